"""Move tensors by signs, and add signs up, without an array of them: W + factor z, sum_j factor_j z_j.

One rounding a number, so that compiled loops, plain numpy and torch make the same bits. What signs lie where, see
`neuroanp.kernels.signs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroanp.kernels.signs import PER_CALL

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.kernels.philox import Address

ON_DEVICE = 1 << 24
"""Signs that are made at once on a GPU, a whole number of calls; torch holds some 10 bytes of each meanwhile."""


def moved(W: Tensor, factor: float, at: Address, out: Tensor | None = None) -> Tensor:
    """Return W + factor z, with the signs z at an address: no array of them is made.

    Args:
        W: any shape, float32 or float64. factor: as a number of W's precision.
        out: where the result goes, of the same shape and precision, contiguous; None: new memory.

    >>> import torch
    >>> from neuroanp.kernels.philox import Address
    >>> moved(torch.zeros(2, 3), 0.5, Address(key=7, update=0, stream=0, t=0)).tolist()
    [[-0.5, 0.5, -0.5], [-0.5, 0.5, -0.5]]
    """
    import torch

    made = torch.empty_like(W, memory_format=torch.contiguous_format) if out is None else out
    plain = W.contiguous().view(-1)
    if W.device.type != "cpu":
        for part, z in _on_device(at, plain):
            torch.add(plain[part], z, alpha=_rounded(factor, W), out=made.view(-1)[part])
        return made
    from neuroanp.kernels import sign_loops

    own = plain.numpy()
    sign_loops.move(own, own.dtype.type(factor), made.view(-1).numpy(), at.checked().keys, at.update, at.stream, at.t)
    return made


def add(total: Tensor, factors: Sequence[float], at: Address, streams: Sequence[int]) -> Tensor:
    """Return total += sum_j factor_j z_j, in place and in this order, with signs of several streams at an address.

    Args:
        total: any shape, contiguous. factors: of each stream, as numbers of the precision of `total`.
        at: its stream does not count. streams: which signs.

    >>> import torch
    >>> from neuroanp.kernels.philox import Address
    >>> add(torch.zeros(4), [1.0, 0.5], Address(key=7, update=0, stream=0, t=0), [0, 0]).tolist()
    [-1.5, 1.5, -1.5, -1.5]
    """
    flat = total.view(-1)
    for stream in (min(streams), max(streams)):
        at._replace(stream=stream).checked()
    if total.device.type != "cpu":
        for factor, stream in zip(factors, streams, strict=True):
            for part, z in _on_device(at._replace(stream=stream), flat):
                flat[part].add_(z, alpha=_rounded(factor, total))
        return total
    from neuroanp.kernels import sign_loops

    own = flat.numpy()
    sign_loops.add(own, np.array(factors, own.dtype), np.array(streams, np.uint32), at.keys, at.update, at.t)
    return total


def _rounded(factor: float, like: Tensor) -> float:
    """Return a factor as the number of a tensor's precision that compiled loops take."""
    import torch

    return float(torch.tensor(factor, dtype=like.dtype))


def _on_device(at: Address, flat: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield parts of a flat tensor, one after the other, and their signs where it lies."""
    from neuroanp.kernels.torch_draws import signs

    for start in range(0, len(flat), ON_DEVICE):
        n = min(ON_DEVICE, len(flat) - start)
        yield slice(start, start + n), signs(at, n, flat, start // PER_CALL)
