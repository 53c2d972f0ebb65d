"""Draw what lies at an address on a GPU, in one kernel: the bits of `draws.reference` in single precision.

Words, logarithm, sine and cosine stay in registers, where `torch_draws` writes each step of them to memory. Products
and sums are never fused, and the root is rounded once, so that both make the same bits. Triton comes with torch's CUDA
builds; it compiles the kernel at its first use and keeps it in the user's cache.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np
import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from neuroanp.kernels import transforms as plain
from neuroanp.kernels.philox import MULTIPLIERS, WEYL

if TYPE_CHECKING:
    from neuroanp.kernels.draws import Kind
    from neuroanp.kernels.philox import Address


def _single(x: float) -> tl.constexpr:
    """Return a number of single precision: the constant that the other loops have."""
    return tl.constexpr(float(np.float32(x)))


M0, M1 = (tl.constexpr(m) for m in MULTIPLIERS)
W0, W1 = (tl.constexpr(w) for w in WEYL)
LN0, LN1, LN2, LN3, LN4, LN5, LN6, LN7, LN8 = (_single(c) for c in plain.LN)
E0, E1 = (_single(c) for c in plain.LN2)
S0, S1, S2 = (_single(c) for c in plain.SIN)
C0, C1, C2 = (_single(c) for c in plain.COS)
ROOT, QUARTER_TURN = _single(plain.HALF_ROOT), _single(np.pi / 2)
BY_24, BY_30, BY_32 = _single(2.0**-24), _single(2.0**-30), _single(2.0**-32)
BLOCK = 256
"""Calls of a program."""


@triton.jit
def _logarithm(u):  # pyright: ignore
    bits = u.to(tl.int32, bitcast=True)
    exponent = (bits >> 23) - 126
    half = ((bits & 0x007FFFFF) | 0x3F000000).to(tl.float32, bitcast=True)
    low = half < ROOT
    m = tl.where(low, half + half - 1.0, half - 1.0)
    e = tl.where(low, exponent - 1, exponent).to(tl.float32)
    z = m * m
    p = m * LN0 + LN1
    p = p * m + LN2
    p = p * m + LN3
    p = p * m + LN4
    p = p * m + LN5
    p = p * m + LN6
    p = p * m + LN7
    p = p * m + LN8
    return m + (m * z * p + e * E1 - z * 0.5) + e * E0


@triton.jit
def _pair(w0, w1):  # pyright: ignore
    """Return two standard normals of two words."""
    radius = tl.sqrt_rn(_logarithm((w0.to(tl.float32) + 0.5) * BY_32) * -2.0)
    q = (w1 >> 30).to(tl.int32)
    f = ((w1 & 0x3FFFFFFF).to(tl.int32) - 0x20000000).to(tl.float32) * BY_30 * QUARTER_TURN
    z = f * f
    sine = ((z * S0 + S1) * z + S2) * z * f + f
    cosine = ((z * C0 + C1) * z + C2) * z * z - z * 0.5 + 1.0
    odd = (q & 1) != 0
    a = tl.where(odd, sine, cosine)
    b = tl.where(odd, cosine, sine)
    a = tl.where(((q + 1) & 2) != 0, -a, a)
    b = tl.where((q & 2) != 0, -b, b)
    return radius * a, radius * b


@triton.jit
def _words(c0, c1, c2, c3, k0, k1):  # pyright: ignore
    """Return the four words of each call."""
    m0 = tl.full(c0.shape, M0, tl.uint32)
    m1 = tl.full(c0.shape, M1, tl.uint32)
    w0 = tl.full(c0.shape, W0, tl.uint32)
    w1 = tl.full(c0.shape, W1, tl.uint32)
    for _ in tl.static_range(10):  # pyright: ignore[reportGeneralTypeIssues]
        high0, low0 = tl.umulhi(c0, m0), c0 * m0
        high1, low1 = tl.umulhi(c2, m1), c2 * m1
        c0 = high1 ^ c1 ^ k0
        c1 = low1
        c2 = high0 ^ c3 ^ k1
        c3 = low0
        k0 += w0
        k1 += w1
    return c0, c1, c2, c3


@triton.jit
def _put(out, drive, base, shared, row, column, n, made, factor, inside, SUM: tl.constexpr):  # pyright: ignore
    here = inside & (column < n)
    value = made * factor
    if SUM:
        value = tl.load(drive + shared + row * n + column, mask=here) + value
    tl.store(out + base + row * n + column, value, mask=here)


@triton.jit(do_not_specialize=["key0", "key1", "t0"])
def _fill(  # pyright: ignore
    out, drive, streams, factors, update_there, key0, key1, t0, M, D, rows, n, calls,
    NORMAL: tl.constexpr, SUM: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    """Fill out (T, M, rows, n) with factor times the draws of a step and pass, plus drive (T, D, rows, n)."""
    blocks = (rows * calls + SIZE - 1) // SIZE
    at = (tl.program_id(0) // blocks).to(tl.int64)
    t = at // M
    m = at % M
    call = tl.program_id(0) % blocks * SIZE + tl.arange(0, SIZE)
    inside = call < rows * calls
    zero = tl.zeros((SIZE,), tl.uint32)
    c0 = call.to(tl.uint32)
    c1 = zero + (t0 + t).to(tl.uint32)
    c2 = zero + tl.load(streams + m).to(tl.uint32)
    c3 = zero + tl.load(update_there).to(tl.uint32)
    a, b, c, d = _words(c0, c1, c2, c3, zero + key0.to(tl.uint32), zero + key1.to(tl.uint32))
    if NORMAL:
        x0, x1 = _pair(a, b)
        x2, x3 = _pair(c, d)
    else:
        x0 = (a >> 8).to(tl.float32) * BY_24
        x1 = (b >> 8).to(tl.float32) * BY_24
        x2 = (c >> 8).to(tl.float32) * BY_24
        x3 = (d >> 8).to(tl.float32) * BY_24
    row = (call // calls).to(tl.int64)
    i = call % calls
    base = at * rows * n
    shared = (t * D + m % D) * rows * n  # m % 1 is 0: one drive serves all passes
    factor = tl.load(factors + m)
    _put(out, drive, base, shared, row, i, n, x0, factor, inside, SUM)
    _put(out, drive, base, shared, row, i + calls, n, x1, factor, inside, SUM)
    _put(out, drive, base, shared, row, i + 2 * calls, n, x2, factor, inside, SUM)
    _put(out, drive, base, shared, row, i + 3 * calls, n, x3, factor, inside, SUM)


def fill(
    kind: Kind, at: Address, streams: Tensor, factors: Tensor, steps: int, shape: tuple[int, ...],
    update_there: Tensor, drive: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return factor times draws, plus a drive, of passes side by side: (steps, M, *shape) in single precision.

    Args:
        kind: "normal" or "uniform". at: of the first step; its stream and update are not used.
        streams: (M,) int64, that of each pass. factors: (M,) float32. steps: of time. shape: of a step of one pass.
        update_there: int64, of the update, on the device: a recorded kernel finds another number there at each replay.
        drive: (steps, 1 or M, *shape), contiguous, or None.
    """
    M, rows, n = len(streams), prod(shape[:-1]), shape[-1] if shape else 1
    out = factors.new_empty((steps, M, *shape))
    if not out.numel():
        return out
    calls, (key0, key1) = -(-n // 4), at.checked().keys
    grid = (steps * M * triton.cdiv(rows * calls, BLOCK),)  # one axis: the others end at 65,535
    with torch.cuda.device_of(out):  # Triton launches on the device that is current
        _fill[grid](  # pyright: ignore[reportIndexIssue]
            out, out if drive is None else drive, streams, factors, update_there, _signed(key0), _signed(key1), at.t,
            M, 1 if drive is None else drive.shape[1], rows, n, calls,
            NORMAL=kind == "normal", SUM=drive is not None, SIZE=BLOCK, enable_fp_fusion=False,  # pyright: ignore[reportCallIssue]
        )  # fmt: skip
    return out


def _signed(word: int) -> int:
    """Return a word of 32 bits as the signed integer of the same bits: all arguments are then of one type."""
    return int(np.uint32(word).view(np.int32))
