"""The forward loops of a whole update where arrays are read by the moments of their noise, with converters and tiles.

    h^m_t = read_in(u_t) + noise + read(x^m_{t-1})     x^m_t = tanh h^m_t     y^m_t = read_out(x^m_t) + noise
    read(x) = sum over tiles of ADC(gain (W x_q + sqrt(S x_q^2 + extra) xi) + offset)      x_q = DAC(x) + sigma xi

The twin of `neuroanp.kernels.updates.forward`, whose arrays are exact; `credit` and `products` are the same. A read is
that of `neuroanp.kernels.read_loops`, in their order, with the same normals, made where they are used.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from neuroanp.kernels.compiled import deal, make_normals
from neuroanp.kernels.copying import put, put_passes
from neuroanp.kernels.pass_draws import LONG, make_calls, plan_draws
from neuroanp.kernels.passes import ANY_ORDER, reduce, tanh
from neuroanp.kernels.read_loops import MAGIC, code, multiply
from neuroanp.kernels.updates import common, differ

f32 = np.float32
ROUNDER = MAGIC[np.dtype(np.float32)]


class Reading(NamedTuple):
    """How one array is read.

    Args:
        wt: (m, n) mean weights. st: (m, n) variances, or (0, n). starts: the first word line of each tile, and m.
        own: (3, tiles, n) variance, gain and offset of a conversion. dac, adc: (3,) low, high and step.
        converts: whether there is a DAC. sigma: of the drivers' noise. widths: whether inputs are widths of pulses.
        key: of the normals. normals: of a read. heard: whether conversions use any of them.
    """

    wt: np.ndarray
    st: np.ndarray
    starts: np.ndarray
    own: np.ndarray
    dac: np.ndarray
    adc: np.ndarray
    converts: bool
    sigma: np.float32
    widths: bool
    key: tuple[int, int]
    normals: int
    heard: bool


@njit(cache=True, error_model="numpy")
def forward(
    lines,
    readings,
    alike,
    x,
    node,
    node_y,
    noise,
    of_outputs,
    of_reads,
    t0,
    pairs,
    which,
    d,
    s,
    pre,
    y,
    dy,
    sy,
    seen,
    loads,
):  # pyright: ignore
    """Do some steps of all passes; return how many conversions of each array clip.

    Args:
        lines, x, node, node_y, noise, of_outputs, t0, pairs, which: as in `updates.forward`.
        d, s, pre, y, dy, sy, seen: to be filled, as there.
        readings: of W_in, W and W_out. alike: whether W and W_out tell their word lines the same: once is enough.
        of_reads: update, streams and factors (M,) of the noise of reads.
        loads: what each word line of the three carries, (m,) to be added to; (0,): nobody asks.
    """
    into, back, out = readings
    steps, passes, rows, outputs = y.shape
    n = x.shape[2]
    update, streams, factors = of_reads
    h, xs, clipped = np.empty((passes, rows, n), f32), np.empty((2, passes, rows, n), f32), np.zeros(3, np.int64)
    all_rows, shape = passes * rows, (passes, rows, steps)
    room_in = _room(into, shape, rows if into.sigma == f32(0) else all_rows, of_reads)
    room, room_out = _room(back, shape, all_rows, of_reads), _room(out, shape, all_rows, of_reads)
    of_units = _buffer(noise, shape, n if len(node) == 0 else 0)
    of_y = _buffer(of_outputs, shape, outputs if len(node_y) == 0 else 0)
    put_passes(xs[1], x)
    if d.shape[1]:
        common(pre[0].reshape(rows * n), x.reshape(passes, rows * n), which)
    if alike:
        _tell_rows(back, room, x.reshape(all_rows, n))
    for t in range(steps):
        before, now, at = xs[(t + 1) % 2], xs[t % 2], t0 + t
        _draw(room_in[0], into.key, update, streams, factors, t, at)
        _tell_rows(into, room_in, lines[t])
        _book(loads[0], room_in)
        _multiply(into, room_in, room_in)
        _draw(room[0], back.key, update, streams, factors, t, at)
        if not alike:
            _tell_rows(back, room, before.reshape(all_rows, n))
        _book(loads[1], room)
        _multiply(back, room, room)
        _draw(of_units, noise[0], noise[1], noise[2], noise[3], t, at)
        for m in range(passes):
            for b in range(rows):
                clipped[0] += _begin(h[m, b], into, room_in, m, b, factors[m], node, t, of_units[0], noise[3])
                clipped[1] += _hear(back, room, m, b, factors[m], h[m, b])
                _activate(now[m, b], h[m, b])
        _draw(room_out[0], out.key, update, streams, factors, t, at)
        told = room if alike else room_out
        _tell_rows(back if alike else out, told, now.reshape(all_rows, n))
        _book(loads[2], told)
        _multiply(out, told, room_out)
        _draw(of_y, of_outputs[0], of_outputs[1], of_outputs[2], of_outputs[3], t, at)
        for m in range(passes):
            for b in range(rows):
                line = y[t, m, b]
                clipped[2] += _begin(line, out, room_out, m, b, factors[m], node_y, t, of_y[0], of_outputs[3])
        if d.shape[1]:
            reduce(h, now, d[t], s[t], pre[t + 1], pairs, which)
            differ(dy[t], sy[t], y[t], pairs)
        if len(seen):
            put_passes(seen[t], now)
    put_passes(x, xs[(steps + 1) % 2])
    return clipped


@njit(cache=True, error_model="numpy")
def _buffer(source, shape, n):  # pyright: ignore
    """Return room for the draws of a step, (M, B, n), and which calls are made at once; shape: M, B and all steps.

    Silent passes, of which nothing is drawn, stay at zero: drivers add what lies there.
    """
    passes, rows, steps = shape
    return np.zeros((passes, rows, n), f32), plan_draws(source, rows, n, steps, LONG)


@njit(cache=True, error_model="numpy")
def _room(reading, shape, rows, of_reads):  # pyright: ignore
    """Return room for a read of so many rows: its draws, lines and their squares, products (tiles, rows, n) of both.

    And what its word lines carry (m,), and one row (m,) with a 1 for a bias.
    """
    m, n = reading.wt.shape
    tiles = len(reading.starts) - 1
    squared = tiles if len(reading.st) else 0
    source = reading.key, of_reads[0], of_reads[1], of_reads[2]
    lines, squares = np.empty(rows * m, f32), np.empty(rows * m if squared else 0, f32)
    y, variance = np.empty((tiles, rows, n), f32), np.empty((squared, rows, n), f32)
    return _buffer(source, shape, reading.normals), lines, squares, y, variance, np.empty(m, f32), np.ones(m, f32)


@njit(cache=True, error_model="numpy")
def _draw(buffer, key, update, streams, factors, t, at):  # pyright: ignore
    """Fill a buffer with the normals of step `at`, times the factors; t: which of the steps it is."""
    out, (made, first, step, stream, of_step, together) = buffer
    passes, rows, n = out.shape
    calls = (n + 3) // 4
    if n == 0:
        return
    if of_step and t % together == 0:
        make_calls(made, first, step, stream, key, update, at)
    start, many = (t % together) * of_step, made.shape[1] // calls
    for m in range(passes):
        factor = factors[m]
        if factor == f32(0):
            continue
        if of_step:
            deal(made[:, start : start + rows * calls], out[m], calls)
            start += rows * calls
        else:
            for row in range(0, rows, many):
                several = min(many, rows - row)
                make_normals(made, row * calls, several * calls, key, update, streams[m], at)
                deal(made, out[m, row : row + several], calls)
        if factor != f32(1):
            _scale(out[m], factor)


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def _scale(out, factor):  # pyright: ignore
    for line in out:
        for i in range(len(line)):
            line[i] *= factor


@njit(cache=True, error_model="numpy")
def _tell_rows(reading, room, x):  # pyright: ignore
    """Tell word lines what rows x say, and note what they carry.

    A word line beyond x, that of a bias, sees 1. A row of inputs is told once for all passes, or for each of them.
    """
    (own, _), lines, squares, y, _, carried, seen = room
    m, rows = len(reading.wt), y.shape[1]
    drawn = own.reshape(own.shape[0] * own.shape[1], own.shape[2])
    carried[:] = f32(0)
    for row in range(rows):
        of = x[row % len(x)]
        if len(of) < m:
            put(seen[: len(of)], of)
            of = seen
        for tile in range(len(reading.starts) - 1):
            start, end = reading.starts[tile], reading.starts[tile + 1]
            at = rows * start + row * (end - start)
            told = lines[at : at + end - start]
            _tell(told, of[start:end], reading.dac, reading.converts)
            _carry(carried[start:end], told, reading.widths)
            if reading.sigma != f32(0):
                noise = drawn[row, reading.normals - m :]
                _drive(told, reading.sigma, noise[start:end])
            if len(squares):
                _square(squares[at : at + end - start], told)


@njit(cache=True, error_model="numpy")
def _book(load, room):  # pyright: ignore
    """Add to load (m,) what word lines carry in all passes."""
    (own, _), _, _, y, _, carried, _ = room
    times = own.shape[0] * own.shape[1] / y.shape[1]
    for i in range(len(load)):
        load[i] += times * carried[i]


@njit(cache=True, error_model="numpy")
def _multiply(reading, told, room):  # pyright: ignore
    """Multiply what a room's word lines were told by weights and variances, into another room, or the same."""
    multiply(told[1], reading.wt, reading.starts, room[3])
    if len(reading.st):
        multiply(told[2], reading.st, reading.starts, room[4])


@njit(cache=True, error_model="numpy")
def _tell(told, x, dac, converts):  # pyright: ignore
    if converts:
        low, high, step = dac[0], dac[1], dac[2]
        for i in range(len(told)):
            told[i] = code(x[i], low, high, step, ROUNDER)
    else:
        for i in range(len(told)):
            told[i] = x[i]


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def _carry(carried, told, widths):  # pyright: ignore
    for i in range(len(told)):
        carried[i] += abs(told[i]) if widths else told[i] * told[i]


@njit(cache=True, error_model="numpy")
def _drive(told, sigma, noise):  # pyright: ignore
    for i in range(len(told)):
        told[i] += sigma * noise[i]


@njit(cache=True, error_model="numpy")
def _square(squares, told):  # pyright: ignore
    for i in range(len(told)):
        squares[i] = told[i] * told[i]


@njit(cache=True, error_model="numpy")
def _begin(line, reading, room, m, b, factor, node, t, drawn, factors):  # pyright: ignore
    """Fill line (n,) of row b of pass m with what an array brings and the noise of the units; return how many clip.

    Args: factor: of the noise of the read. node: noise that was drawn beforehand, or of no step; then `drawn` (M, B, n)
        is, for passes whose factor of `factors` is not 0.
    """
    line[:] = f32(0)
    clipped = _hear(reading, room, m, b, factor, line)
    if len(node):
        _add(line, node[t, m, b])
    elif factors[m] != f32(0):
        _add(line, drawn[m, b])
    return clipped


@njit(cache=True, error_model="numpy")
def _hear(reading, room, m, b, factor, line):  # pyright: ignore
    """Add to line (n,) what conversions make of the products of row b of pass m; return how many clip."""
    (own, _), _, _, y, variance, _, _ = room
    n, row = len(line), b if y.shape[1] == own.shape[1] else m * own.shape[1] + b
    low, high, step, clipped = reading.adc[0], reading.adc[1], reading.adc[2], 0
    for tile in range(len(y)):
        extra, gain, offset = reading.own[0, tile], reading.own[1, tile], reading.own[2, tile]
        if not reading.heard or factor == f32(0):
            clipped += _convert(line, y[tile, row], gain, offset, low, high, step)
        elif len(variance):
            xi = own[m, b, tile * n : tile * n + n]
            clipped += _disturb(line, y[tile, row], variance[tile, row], extra, xi, gain, offset, low, high, step)
        else:
            xi = own[m, b, tile * n : tile * n + n]
            clipped += _jitter(line, y[tile, row], extra, xi, gain, offset, low, high, step)
    return clipped


@njit(cache=True, error_model="numpy")
def _disturb(line, y, variance, extra, xi, gain, offset, low, high, step):  # pyright: ignore
    clipped = np.int32(0)
    for i in range(len(line)):
        v = (y[i] + np.sqrt(variance[i] + extra[i]) * xi[i]) * gain[i] + offset[i]
        clipped += np.int32((v > high) | (v < low))
        line[i] += code(v, low, high, step, ROUNDER)
    return clipped


@njit(cache=True, error_model="numpy")
def _jitter(line, y, extra, xi, gain, offset, low, high, step):  # pyright: ignore
    clipped = np.int32(0)
    for i in range(len(line)):
        v = (y[i] + np.sqrt(extra[i]) * xi[i]) * gain[i] + offset[i]
        clipped += np.int32((v > high) | (v < low))
        line[i] += code(v, low, high, step, ROUNDER)
    return clipped


@njit(cache=True, error_model="numpy")
def _convert(line, y, gain, offset, low, high, step):  # pyright: ignore
    clipped = np.int32(0)
    for i in range(len(line)):
        v = y[i] * gain[i] + offset[i]
        clipped += np.int32((v > high) | (v < low))
        line[i] += code(v, low, high, step, ROUNDER)
    return clipped


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def _add(line, more):  # pyright: ignore
    for i in range(len(line)):
        line[i] += more[i]


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def _activate(x, h):  # pyright: ignore
    for i in range(len(h)):
        x[i] = tanh(h[i])
