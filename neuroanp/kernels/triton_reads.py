"""Read an array on a GPU around its products: what word lines are told before, noise and converters after.

The GPU's form of `read_loops`: torch takes some twenty kernels a tile for what is two here. Rounding to a code adds and
subtracts a number whose last bit is worth 1: half to even, as there.
"""

from __future__ import annotations

from typing import NamedTuple

import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

MAGIC = tl.constexpr(1.5 * 2.0**23)
BLOCK = 256
"""Numbers of a program."""


@triton.jit
def _code(v, low, high, step, ROUNDS: tl.constexpr):  # pyright: ignore
    """Return v clipped to [low, high] and rounded to a multiple of step."""
    v = tl.minimum(tl.maximum(v, low), high)
    if ROUNDS:
        v = ((tl.div_rn(v, step + tl.zeros_like(v)) + MAGIC) - MAGIC) * step
    return v


@triton.jit
def _tell(  # pyright: ignore
    x, noise, starts, lines, squares, rows, m, width, normals, low, high, step, sigma,
    CONVERTS: tl.constexpr, ROUNDS: tl.constexpr, NOISY: tl.constexpr, SQUARED: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    """Fill lines (tiles, rows, width) with DAC(x) + sigma noise, 0 beyond a tile's end; squares with their squares."""
    row = tl.program_id(0).to(tl.int64)
    tile = tl.program_id(1)
    start = tl.load(starts + tile)
    end = tl.load(starts + tile + 1)
    i = tl.program_id(2) * SIZE + tl.arange(0, SIZE)
    there = (i < width) & (start + i < end)
    v = tl.load(x + row * m + start + i, mask=there, other=0.0)
    if CONVERTS:
        v = _code(v, low, high, step, ROUNDS)
    if NOISY:
        v += sigma * tl.load(noise + row * normals + (normals - m) + start + i, mask=there, other=0.0)
    v = tl.where(there, v, 0.0)
    at = (tile * rows + row) * width + i
    tl.store(lines + at, v, mask=i < width)
    if SQUARED:
        tl.store(squares + at, v * v, mask=i < width)


@triton.jit
def _hear(  # pyright: ignore
    y, variance, extra, xi, gain, offset, clipped, out, tiles, rows, M, B, n, normals, low, high, step,
    NOISY: tl.constexpr, WEIGHED: tl.constexpr, MATCHED: tl.constexpr, CONVERTS: tl.constexpr, ROUNDS: tl.constexpr,
    SIZE: tl.constexpr,
):  # fmt: skip
    """Fill out (T, M, B, n) with the sum over tiles of ADC(gain (y + sqrt(variance + extra) xi) + offset)."""
    at = tl.program_id(0).to(tl.int64)
    row = (at // (M * B)) * B + at % B  # of the products: one serves all passes
    i = tl.program_id(1) * SIZE + tl.arange(0, SIZE)
    inside = i < n
    total = tl.zeros((SIZE,), tl.float32)
    beyond = tl.zeros((SIZE,), tl.int32)
    for tile in range(tiles):
        here = (tile * rows + row) * n + i
        v = tl.load(y + here, mask=inside, other=0.0)
        if NOISY:
            power = tl.load(extra + tile * n + i, mask=inside, other=0.0)
            if WEIGHED:
                power += tl.load(variance + here, mask=inside, other=0.0)
            v += tl.sqrt_rn(power) * tl.load(xi + at * normals + tile * n + i, mask=inside, other=0.0)
        if not MATCHED:
            factor = tl.load(gain + tile * n + i, mask=inside, other=1.0)
            v = v * factor + tl.load(offset + tile * n + i, mask=inside, other=0.0)
        if CONVERTS:
            beyond += (inside & ((v > high) | (v < low))).to(tl.int32)
            v = _code(v, low, high, step, ROUNDS)
        total += v
    tl.store(out + at * n + i, total, mask=inside)
    if CONVERTS:
        tl.atomic_add(clipped, tl.sum(beyond, 0).to(tl.int64))


class Codes(NamedTuple):
    """A converter: it clips to [low, high] and rounds to multiples of step, 0: not at all; `on`: it is there."""

    low: float
    high: float
    step: float
    on: bool


def tell(
    x: Tensor, noise: Tensor | None, sigma: float, starts: Tensor, dac: Codes, lines: Tensor, squares: Tensor
) -> None:
    """Fill what word lines are told, and its squares.

    Args:
        x: (rows, m). noise: (rows, normals), of which the last m are the drivers', or None. sigma: theirs.
        starts: (tiles + 1,) first word line of each tile, and m. lines: (tiles, rows, width).
        squares: likewise, or empty.
    """
    (rows, m), (tiles, _, width) = x.shape, lines.shape
    grid = (rows, tiles, triton.cdiv(width, BLOCK))
    _tell[grid](  # pyright: ignore
        x, x if noise is None else noise, starts, lines, squares, rows, m, width,
        m if noise is None else noise.shape[-1], dac.low, dac.high, dac.step, sigma,
        CONVERTS=dac.on, ROUNDS=dac.step > 0, NOISY=noise is not None, SQUARED=squares.numel() > 0, SIZE=BLOCK,
        enable_fp_fusion=False,  # pyright: ignore[reportCallIssue]
    )  # fmt: skip


def hear(
    y: Tensor, variance: Tensor, extra: Tensor, xi: Tensor | None, matched: tuple[Tensor, Tensor] | None, adc: Codes,
    clipped: Tensor, out: Tensor,
) -> None:  # fmt: skip
    """Fill out (T, M, B, n) with what is read, and add to `clipped` how many conversions clip.

    Args:
        y: (tiles, T B, n) products, a row for all passes; or M = 1. variance: likewise, or empty.
        extra: (tiles, n) variance of a conversion. xi: (T, M, B, normals), tile after tile; None: no noise.
        matched: gain and offset (tiles, n); None: all alike. clipped: int64.
    """
    (_, M, B, n), (tiles, rows, _) = out.shape, y.shape
    gain, offset = (extra, extra) if matched is None else matched
    grid = (out.numel() // n, triton.cdiv(n, BLOCK))
    _hear[grid](  # pyright: ignore
        y, variance, extra, y if xi is None else xi, gain, offset, clipped, out, tiles, rows, M, B, n,
        n if xi is None else xi.shape[-1], adc.low, adc.high, adc.step,
        NOISY=xi is not None, WEIGHED=variance.numel() > 0, MATCHED=matched is None, CONVERTS=adc.on,
        ROUNDS=adc.step > 0, SIZE=BLOCK, enable_fp_fusion=False,  # pyright: ignore[reportCallIssue]
    )  # fmt: skip
