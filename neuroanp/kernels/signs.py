"""Draw signs, +1 or -1 with probability 1/2 each (Rademacher), and move numbers by them, without an array of them.

The signs of a step lie in one row, whatever its shape: number 128 i + 32 k + b is -1 where bit b of word k of call i is
1. A call of the generator makes 128 of them, so that a sign costs little beside the sum that it goes into. They are the
same in single and in double precision.

What is done with them is one rounding a number, so that compiled loops, plain numpy and torch make the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from neuroanp.kernels.philox import words

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.kernels.philox import Address

PER_CALL = 128
"""Signs of one call of the generator."""
ON_DEVICE = 1 << 24
"""Signs that are made at once on a GPU, a whole number of calls: what torch holds of them meanwhile is 10 bytes each."""


def reference(at: Address, n: int) -> npt.NDArray[np.int8]:
    """Return n signs in numpy alone: the definition.

    >>> from neuroanp.kernels.philox import Address
    >>> reference(Address(key=7, update=0, stream=0, t=0), 8).tolist()
    [-1, 1, -1, -1, 1, -1, 1, 1]
    """
    w = words(at, -(-n // PER_CALL))
    bits = (w[..., None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)
    return (1 - 2 * bits.reshape(-1)[:n].astype(np.int8)).astype(np.int8)


def draw(at: Address, steps: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
    """Return the signs of steps (steps, *shape) from an address on, as numbers of a precision, by compiled loops."""
    from neuroanp.kernels import sign_loops

    out = np.zeros((steps, prod(shape)), dtype=dtype)
    for t in range(steps):
        sign_loops.move(out[t], out.dtype.type(1), out[t], at.keys, at.update, at.stream, at.t + t)
    return out.reshape(steps, *shape)


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
