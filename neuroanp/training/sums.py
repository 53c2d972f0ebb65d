"""Add what shards found, whoever found it: exactly, so that the order does not count, or in floating point.

Exact: with x_s the numbers of one array that shard s of S found, and all of them below 2^e in size,

    mean = 2^(e - b) / S  sum_s round(2^(b - e) x_s),    b = 62 - ceil(log2 S)

Whole numbers of 64 bits have the same sum in every order, and none of these overflows. What is cut off is below
2^(e - b): of numbers that are 2^-37 of the largest of their array single precision keeps its last digit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.training.sharing import Crew

Named = Mapping[str, "Tensor"]
MOST_SHIFTED = 1000
"""Exponent of the largest power of two that numbers are multiplied with: 2^1024 is none of double precision."""


def mean_of(parts: Sequence[Named], count: int, sums: str, crew: Crew | None) -> dict[str, Tensor]:
    """Return the mean over all shards of what each found, array by array.

    Args:
        parts: what this process found, by shard: arrays of the same names and shapes in each.
        count: S, shards of all processes. sums: exact or float. crew: processes that share them; None: this one alone.

    Returns: the mean, the same in each process; an array in which some shard found no number is of no numbers.

    >>> parts = [{"w": torch.tensor([0.5])}, {"w": torch.tensor([1.5])}]
    >>> mean_of(parts, 2, "exact", None), mean_of(parts, 2, "float", None)
    ({'w': tensor([1.])}, {'w': tensor([1.])})
    """
    if not parts[0]:
        return {}
    in_order = [{name: part[name] for name in sorted(part)} for part in parts]  # a copy's dicts may have another
    return (_exactly if sums == "exact" else _in_float)(in_order, count, crew)


def bytes_of(arrays: Sequence[int], itemsize: int, sums: str) -> int:
    """Return what a process tells of an update: 8 bytes a number and 8 an array for its size; or a float a number.

    Args: arrays: numbers of each. itemsize: bytes of a float.

    >>> bytes_of([500, 300, 200], 4, "exact"), bytes_of([500, 300, 200], 4, "float")
    (8024, 4000)
    """
    return 8 * (sum(arrays) + len(arrays)) if sums == "exact" else itemsize * sum(arrays)


def _exactly(parts: Sequence[Named], count: int, crew: Crew | None) -> dict[str, Tensor]:
    first = parts[0]
    largest = torch.stack([torch.stack([_size(part[name]) for part in parts]).amax() for name in first])
    if crew is not None:
        largest = crew.largest(largest)
    shifts = [_shift(size, count) for size in largest.tolist()]
    numbers = [x.numel() for x in first.values()]
    total = torch.zeros(sum(numbers), dtype=torch.int64, device=largest.device)
    into = total.split(numbers)
    for part in parts:
        for name, shift, sums in zip(first, shifts, into, strict=True):
            _add_whole(sums, part[name], shift)
    if crew is not None:
        total = crew.total(total)
    found, pieces = dict[str, "Tensor"](), total.split(numbers)
    for (name, like), piece, shift in zip(first.items(), pieces, shifts, strict=True):
        mean = piece.double() * math.ldexp(1.0 / count, -shift) if shift is not None else piece.double() * math.nan
        found[name] = mean.to(like.dtype).view(like.shape)
    return found


def _size(x: Tensor) -> Tensor:
    """Return the largest size of a number of an array, in double precision; infinity where one is none."""
    if not x.numel():
        return x.new_zeros((), dtype=torch.float64)
    least, most = x.aminmax()
    size = torch.maximum(-least, most).double()
    return torch.where(size.isfinite(), size, torch.inf)


def _shift(size: float, count: int) -> int | None:
    """Return b - e of numbers up to a size; None where one of them is none."""
    if not math.isfinite(size):
        return None
    room = 62 - math.ceil(math.log2(count))
    return min(room - math.frexp(size)[1], MOST_SHIFTED)


def _add_whole(sums: Tensor, x: Tensor, shift: int | None) -> None:
    """Add numbers as whole ones to sums of such; nothing where they could not be."""
    if shift is None:
        return
    scale = math.ldexp(1.0, shift)
    if x.is_cuda:
        sums += (x.flatten().double() * scale).round_().to(torch.int64)
        return
    from neuroanp.kernels.whole_sums import add_whole

    add_whole(sums.numpy(), x.contiguous().view(-1).numpy(), scale)


def _in_float(parts: Sequence[Named], count: int, crew: Crew | None) -> dict[str, Tensor]:
    found = dict[str, "Tensor"]()
    for dtype in dict.fromkeys(x.dtype for x in parts[0].values()):
        names = [name for name, x in parts[0].items() if x.dtype == dtype]
        total = torch.cat([parts[0][name].flatten() for name in names])
        for part in parts[1:]:
            total += torch.cat([part[name].flatten() for name in names])
        if crew is not None:
            total = crew.total(total)
        pieces = total.split([parts[0][name].numel() for name in names])
        found |= {n: (x / count).view(parts[0][n].shape) for n, x in zip(names, pieces, strict=True)}
    return {name: found[name] for name in parts[0]}
