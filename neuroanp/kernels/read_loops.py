"""Read an array around its products, compiled: what word lines are told before, noise and converters after.

The plain form is `neuroanp.substrates.read.Reader` in torch, ten passes over memory where there are two here. Sums and
products are in its order, so that results differ by what a fused multiply-add there rounds. Rounding to a code adds and
subtracts a number whose last bit is worth 1: half to even, as `rint`, for codes below a third of it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neuroanp.kernels.compiled import AT_ONCE, deal, make_normals
from neuroanp.kernels.copying import put
from neuroanp.kernels.passes import activate

MAGIC = {np.dtype(np.float32): np.float32(1.5 * 2.0**23), np.dtype(np.float64): np.float64(1.5 * 2.0**52)}


@njit(inline="always")
def code(v, low, high, step, magic):  # pyright: ignore
    """Return v clipped to [low, high] and rounded to a multiple of step; 0: not rounded."""
    v = low if v < low else v
    v = high if v > high else v
    return ((v / step + magic) - magic) * step if step > 0 else v


@njit(cache=True, error_model="numpy")
def tell(x, noise, sigma, starts, dac, magic, lines, squares):  # pyright: ignore
    """Fill lines with DAC(x) + sigma noise, tile after tile: (rows, width) each, and squares with their squares.

    Args:
        x: (rows, m). noise: (rows, more), its last m are the drivers' where sigma > 0.
        starts: first word line of each tile, and m. dac: low, high, step; empty: none.
        lines: (rows m). squares: likewise, or empty.
    """
    rows, m = x.shape
    converts, squared, first = len(dac) > 0, len(squares) > 0, noise.shape[1] - m
    low, high, step = (dac[0], dac[1], dac[2]) if converts else (magic, magic, magic)
    for tile in range(len(starts) - 1):
        start, width = starts[tile], starts[tile + 1] - starts[tile]
        for r in range(rows):
            of, at = x[r, start : start + width], rows * start + r * width
            told = lines[at : at + width]
            if converts:
                for i in range(width):
                    told[i] = code(of[i], low, high, step, magic)
            else:
                for i in range(width):
                    told[i] = of[i]
            if sigma > 0:
                own = noise[r, first + start : first + start + width]
                for i in range(width):
                    told[i] += sigma * own[i]
            if squared:
                power = squares[at : at + width]
                for i in range(width):
                    power[i] = told[i] * told[i]


@njit(cache=True, error_model="numpy")
def multiply(lines, matrix, starts, out):  # pyright: ignore
    """Fill out (tiles, rows, n) with the products of lines and the rows (width, n) of each tile in a matrix (m, n)."""
    rows = out.shape[1]
    for tile in range(len(starts) - 1):
        a, b = starts[tile], starts[tile + 1]
        np.dot(lines[rows * a : rows * b].reshape(rows, b - a), matrix[a:b], out[tile])


@njit(cache=True, error_model="numpy")
def hear(y, beside, variance, extra, xi, gain, offset, adc, magic, total):  # pyright: ignore
    """Fill total with the sum over tiles of ADC(gain (y + beside + sqrt(variance + extra) xi) + offset).

    Return how many conversions clip. What a read has not is told by numbers that change nothing (gain 1, offset 0).

    Args:
        y: (tiles, T B, n) products: a row serves all passes. beside, variance: likewise, or of no tile.
        extra: (tiles, n) variance of a conversion.
        xi: (T, M, B, normals), conversion after conversion; of no column: no noise.
        gain, offset: (tiles, n). adc: low, high, step. total: (T, M, B, n).
    """
    T, M, B, n = total.shape
    low, high, step, clipped, nothing = adc[0], adc[1], adc[2], 0, np.zeros(n, y.dtype)
    for tile in range(len(beside)):
        for row in range(y.shape[1]):
            for i in range(n):
                y[tile, row, i] += beside[tile, row, i]
    for t in range(T):
        for p in range(M):
            for b in range(B):
                out, row = total[t, p, b], t * B + b
                for i in range(n):
                    out[i] = 0
                for tile in range(len(y)):
                    of, own, factor, shift = y[tile, row], extra[tile], gain[tile], offset[tile]
                    if xi.shape[3]:
                        weights = variance[tile, row] if len(variance) else nothing
                        drawn = xi[t, p, b, tile * n : tile * n + n]
                        for i in range(n):
                            v = (of[i] + np.sqrt(weights[i] + own[i]) * drawn[i]) * factor[i] + shift[i]
                            clipped += (v > high) | (v < low)
                            out[i] += code(v, low, high, step, magic)
                    else:
                        for i in range(n):
                            v = of[i] * factor[i] + shift[i]
                            clipped += (v > high) | (v < low)
                            out[i] += code(v, low, high, step, magic)
    return clipped


@njit(cache=True, error_model="numpy")
def read(x, noise, sigma, starts, dac, magic, wt, st, room, beside, extra, xi, gain, offset, adc, total):  # pyright: ignore
    """Tell, multiply and hear; the arguments are theirs, `room` what lies between: lines, squares, y, variance."""
    lines, squares, y, variance = room
    tell(x, noise, sigma, starts, dac, magic, lines, squares)
    multiply(lines, wt, starts, y)
    if len(squares):
        multiply(squares, st, starts, variance)
    return hear(y, beside, variance, extra, xi, gain, offset, adc, magic, total)


@njit(cache=True, error_model="numpy")
def recur(h, xs, x, noise, heard, wt, st, room, to_tell, to_hear):  # pyright: ignore
    """Do all steps of units that see themselves: h_t += what is read of x, x = tanh(h_t); return what clips.

    Args: h, xs: (T, rows, n), changed and filled. x: (rows, n), before the first step.
        noise: (T, rows, more) for `tell`. heard: (T, rows, normals) for `hear`. wt, st, room: see `read`.
        to_tell: sigma, starts, dac, magic. to_hear: beside, extra, gain, offset, adc.
    """
    T, rows, n = h.shape
    lines, squares, y, variance = room
    sigma, starts, dac, magic = to_tell
    out, clipped = np.empty((1, 1, rows, n), h.dtype), 0
    tell(x, noise[0], sigma, starts, dac, magic, lines, squares)
    for t in range(T):
        multiply(lines, wt, starts, y)
        if len(squares):
            multiply(squares, st, starts, variance)
        own = heard[t].reshape((1, 1, rows, heard.shape[2]))
        clipped += onward(h[t], xs[t], own, noise[t + 1 - T], room, to_tell, to_hear, out)
    return clipped


@njit(cache=True, error_model="numpy")
def onward(h, x, heard, noise, room, to_tell, to_hear, out):  # pyright: ignore
    """Take units (rows, n) from a step's products to what word lines are told in the next; return what clips.

    Args: h, x: of the step, changed and filled. heard: (1, 1, rows, normals). noise: of the next step, for `tell`.
        out: (1, 1, rows, n) to work in. The others: see `recur`.
    """
    lines, squares, y, variance = room
    sigma, starts, dac, magic = to_tell
    beside, extra, gain, offset, adc = to_hear
    clipped = hear(y, beside, variance, extra, heard, gain, offset, adc, magic, out)
    for r in range(len(h)):
        before, more = h[r], out[0, 0, r]
        for i in range(len(before)):
            before[i] += more[i]
    if h.itemsize == 4:
        activate(h, x)
    else:
        for r in range(len(h)):
            for i in range(h.shape[1]):
                x[r, i] = np.tanh(h[r, i])
    tell(x, noise, sigma, starts, dac, magic, lines, squares)
    return clipped


@njit(cache=True, error_model="numpy")
def weigh(x, xi, sigma, starts, out):  # pyright: ignore
    """Fill out (tiles, rows, n) with sum_j sigma_ij xi_ij x_j over the word lines of each tile.

    Args: x: (rows, m). xi: (rows, n m or more). sigma: (n, m).
    """
    n, m = sigma.shape
    flat, noise, line = sigma.reshape(n * m), np.empty(n * m, x.dtype), np.zeros(m, x.dtype)
    for r in range(len(x)):
        own = xi[r, : n * m]
        for i in range(n * m):
            noise[i] = flat[i] * own[i]
        for tile in range(len(out)):
            line[:] = 0
            put(line[starts[tile] : starts[tile + 1]], x[r, starts[tile] : starts[tile + 1]])
            np.dot(noise.reshape(n, m), line, out[tile, r])


@njit(cache=True, error_model="numpy")
def load(x, dac, magic, widths, out):  # pyright: ignore
    """Add to out (m,), float64, what word lines carry: DAC(x)^2, or |DAC(x)| where inputs are widths of pulses."""
    converts = len(dac) > 0
    low, high, step = (dac[0], dac[1], dac[2]) if converts else (magic, magic, magic)
    for r in range(len(x)):
        of = x[r]
        for i in range(len(out)):
            v = code(of[i], low, high, step, magic) if converts else of[i]
            out[i] += abs(v) if widths else v * v


@njit(cache=True, error_model="numpy")
def draw_pass(out, m, factor, key, update, stream, t0):  # pyright: ignore
    """Fill out[:, m] of (T, M, B, normals) with factor times the normals of a stream: those of `compiled.fill`."""
    T, _, B, n = out.shape
    calls = (n + 3) // 4
    together = max(1, min(B, AT_ONCE // max(calls, 1)))
    made = np.empty((4, together * calls), np.float32)
    for t in range(T):
        for b in range(0, B, together):
            many = min(together, B - b)
            make_normals(made, b * calls, many * calls, key, update, stream, t0 + t)
            if factor != 1:
                for k in range(4):
                    part = made[k]
                    for i in range(many * calls):
                        part[i] *= factor
            deal(made, out[t, m, b : b + many], calls)
