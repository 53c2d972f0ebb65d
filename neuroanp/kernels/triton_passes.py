"""Differences of passes on a GPU in one kernel, at the speed of its memory: torch's own takes three times as long."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from neuroanp.kernels.held import held

BLOCK = 1024
"""Numbers of a program."""


@triton.jit
def _pairs(values, out, first, second, M, R, n, SIZE: tl.constexpr):  # pyright: ignore
    """Fill out (T, R, n) with the differences of pairs of passes of values (T, M, n)."""
    t = (tl.program_id(0) // R).to(tl.int64)
    r = tl.program_id(0) % R
    i = tl.program_id(1) * SIZE + tl.arange(0, SIZE)
    inside = i < n
    a = tl.load(values + (t * M + tl.load(first + r)) * n + i, mask=inside)
    b = tl.load(values + (t * M + tl.load(second + r)) * n + i, mask=inside)
    tl.store(out + (t * R + r) * n + i, a - b, mask=inside)


@triton.jit
def _from_mean(values, out, M, n, SIZE: tl.constexpr):  # pyright: ignore
    """Fill out (T, M, n) with values less their mean over passes; the second look finds them in the cache."""
    t = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * SIZE + tl.arange(0, SIZE)
    inside = i < n
    total = tl.zeros((SIZE,), tl.float32)
    for m in range(M):
        total += tl.load(values + (t * M + m) * n + i, mask=inside)
    mean = tl.div_rn(total, tl.zeros((SIZE,), tl.float32) + M)
    for m in range(M):
        at = (t * M + m) * n + i
        tl.store(out + at, tl.load(values + at, mask=inside) - mean, mask=inside)


def differences(values: Tensor, pairs: Sequence[tuple[int, int]] | None) -> Tensor:
    """Return v^p - v^q of each pair of passes, or v^m - mean_m v.

    Args:
        values: (T, M, ...) in single precision, contiguous. pairs: (R, 2) passes; None: each against the mean.

    Returns: (T, R, ...).
    """
    T, M, n = values.shape[0], values.shape[1], values[:1, :1].numel()
    R = M if pairs is None else len(pairs)
    out = values.new_empty((T, R, *values.shape[2:]))
    if not out.numel():
        return out
    blocks = triton.cdiv(n, BLOCK)
    if pairs is None:
        _from_mean[(T, blocks)](values, out, M, n, SIZE=BLOCK)  # pyright: ignore
        return out
    first, second = (held(each, torch.int64, values.device) for each in zip(*pairs, strict=True))
    _pairs[(T * R, blocks)](values, out, first, second, M, R, n, SIZE=BLOCK)  # pyright: ignore
    return out
