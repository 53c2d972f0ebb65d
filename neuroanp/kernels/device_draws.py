"""Draw on the device where a tensor lies: by Triton on a GPU in single precision, else by torch's own operations."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuroanp.kernels import torch_draws
from neuroanp.kernels.held import held
from neuroanp.kernels.philox import Address

if TYPE_CHECKING:
    from neuroanp.kernels.draws import Kind

LOG = logging.getLogger(__name__)


@cache
def why_no_triton(device: torch.device) -> str | None:
    """Return why kernels of Triton do not run on a GPU, which is logged once; None where they do.

    It comes with torch's CUDA builds for Linux, and needs a C compiler the first time.
    """
    why = None
    try:
        from neuroanp.kernels import triton_draws

        at, one = Address(0, 0, 0, 0), held((1.0,), torch.float32, device)
        triton_draws.fill("normal", at, held((0,), torch.int64, device), one, 1, (1,), _update_there(at, None, one))
    except (ImportError, RuntimeError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        LOG.warning("Triton does not work here (%s): torch draws noise on the GPU instead, several times slower", why)
    return why


def fused(like: Tensor) -> bool:
    """Return whether kernels of Triton are used for a tensor: single precision on a GPU, where they run."""
    return like.is_cuda and like.dtype == torch.float32 and why_no_triton(like.device) is None


def draw(
    kind: Kind, at: Address, steps: int, streams: Sequence[int], shape: tuple[int, ...], like: Tensor,
    update_there: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return draws (steps, passes, *shape); the arguments are those of `torch_draws.draw`."""
    if kind == "rademacher" or not fused(like):
        return torch_draws.draw(kind, at, steps, streams, shape, like, update_there)
    from neuroanp.kernels import triton_draws

    ones = held((1.0,) * len(streams), like.dtype, like.device)
    of_passes = held(tuple(streams), torch.int64, like.device)
    return triton_draws.fill(kind, at, of_passes, ones, steps, shape, _update_there(at, update_there, like))


def noisy(
    at: Address, steps: int, streams: Sequence[int], factors: Sequence[float], shape: tuple[int, ...], like: Tensor,
    update_there: Tensor | None = None, drive: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return drive + factor normal of passes side by side, (steps, passes, *shape).

    Args:
        at, steps, streams, shape, like, update_there: as in `torch_draws.draw`. factors: of the normals of each pass.
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
        return triton_draws.fill(
            "normal", at, of_passes, each, steps, shape, _update_there(at, update_there, like), told
        )
    drawn = torch_draws.draw("normal", at, steps, streams, shape, like, update_there).mul_(
        each.view(-1, *(1 for _ in shape))
    )
    return drawn if drive is None else drawn.add_(drive)


def _update_there(at: Address, update_there: Tensor | None, like: Tensor) -> Tensor:
    return torch.full((1,), at.update, dtype=torch.int64, device=like.device) if update_there is None else update_there
