"""Draw on the device where a tensor lies: by Triton on a GPU in single precision, else by torch's own operations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuroanp.kernels import torch_draws
from neuroanp.kernels.held import held

if TYPE_CHECKING:
    from neuroanp.kernels.draws import Kind
    from neuroanp.kernels.philox import Address


@cache
def triton_is_there() -> bool:
    """Return whether Triton can be imported; it comes with torch's CUDA builds for Linux."""
    return find_spec("triton") is not None


def fused(like: Tensor) -> bool:
    """Return whether one kernel makes the draws."""
    return like.is_cuda and like.dtype == torch.float32 and triton_is_there()


def draw(
    kind: Kind, at: Address, steps: int, streams: Sequence[int], shape: tuple[int, ...], like: Tensor,
    clock: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return draws (steps, passes, *shape); the arguments are those of `torch_draws.draw`."""
    if not fused(like):
        return torch_draws.draw(kind, at, steps, streams, shape, like, clock)
    from neuroanp.kernels import triton_draws

    ones = held((1.0,) * len(streams), like.dtype, like.device)
    of_passes = held(tuple(streams), torch.int64, like.device)
    return triton_draws.fill(kind, at, of_passes, ones, steps, shape, _clock(at, clock, like))


def noisy(
    at: Address, steps: int, streams: Sequence[int], factors: Sequence[float], shape: tuple[int, ...], like: Tensor,
    clock: Tensor | None = None, drive: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return drive + factor normal of passes side by side, (steps, passes, *shape).

    Args:
        at, steps, streams, shape, like, clock: as in `torch_draws.draw`. factors: of the normals of each pass.
        drive: (steps, 1 or passes, *shape); None: nothing is added.

    >>> from neuroanp.kernels.philox import Address
    >>> at, like = Address(key=7, update=0, stream=0, t=0), torch.empty(0)
    >>> drive = torch.ones(2, 1, 3)
    >>> found = noisy(at, 2, [0, 1], [0.0, 0.5], (3,), like, drive=drive)
    >>> drawn = draw("normal", at, 2, [1], (3,), like)[:, 0]
    >>> bool((found[:, 0] == 1).all()), bool((found[:, 1] == 0.5 * drawn + 1).all())
    (True, True)
    """
    each = held(tuple(factors), like.dtype, like.device)
    if fused(like):
        from neuroanp.kernels import triton_draws

        of_passes = held(tuple(streams), torch.int64, like.device)
        told = None if drive is None else drive.contiguous()
        return triton_draws.fill("normal", at, of_passes, each, steps, shape, _clock(at, clock, like), told)
    drawn = torch_draws.draw("normal", at, steps, streams, shape, like, clock).mul_(each.view(-1, *(1 for _ in shape)))
    return drawn if drive is None else drawn.add_(drive)


def _clock(at: Address, clock: Tensor | None, like: Tensor) -> Tensor:
    return torch.full((1,), at.update, dtype=torch.int64, device=like.device) if clock is None else clock
