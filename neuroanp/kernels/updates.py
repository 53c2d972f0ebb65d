"""The loops of a whole update of one layer of tanh units by differences of passes, compiled, in single precision.

    h^m_t = W_in u_t + W x^m_{t-1} + f_m xi^m_t     x^m_t = tanh h^m_t     y^m_t = W_out x^m_t + f_m xi^m_t
    e_t = sum_r c^r_t n / (B R s^r_t) d^r_t         dW = sum_{t,b} e_tb x_{t-1,b}^T, and so on

What `neuroanp.training.pass_learner` does in many calls, in three: `forward` a stretch of time, `credit` once all
losses are known, `products` a stretch of time. Of a step nothing is kept but the differences of the passes, what they
had in common, and the losses.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neuroanp.kernels.compiled import make_normals
from neuroanp.kernels.copying import put, put_passes, put_rows
from neuroanp.kernels.pass_draws import LONG, make_calls, plan_draws
from neuroanp.kernels.passes import ANY_ORDER, add_and_activate, reduce, tanh

f32 = np.float32
FEW = 16
"""Outputs up to which their sums are a loop of their own: BLAS is made for more columns."""
NEVER = 1 << 40


@njit(cache=True, error_model="numpy")
def forward(lines, arrays, x, node, node_y, noise, of_outputs, t0, pairs, which, d, s, pre, y, dy, sy, seen, load):  # pyright: ignore
    """Do some steps of all passes.

    Args:
        lines: (T, B, I) inputs with their bias line. arrays: W_in (n, I), W (n, n), W_out (O, n, or n + 1 with a bias).
        x: (M, B, n) activities of the step before; those of the last step when it is done.
        node, node_y: (T, M, B, n) and (T, M, B, O) noise of units and outputs; of no step: it is made of addresses.
        noise, of_outputs: those: key, update, streams and factors (M,) for units and outputs. t0: the first step.
        pairs, which: as in `passes.reduce`.
        d: (T, R, B, n) and s: (T, R, B), |d|^2, R = 0 where they are not wanted; pre: (T + 1, B, n), from the step
            before on; y: (T, M, B, O); dy: (T, R, B, O) and sy: (T, R, B), of y: to be filled.
        load: (2, n) sums of x_{t-1}^2 and x_t^2 over all, to be added to; (2, 0): nobody asks.
    """
    w_in, w, w_out = arrays
    steps, passes, rows, outputs = y.shape
    n = len(w)
    wt = np.ascontiguousarray(w.T)
    driven = np.dot(lines.reshape(steps * rows, lines.shape[2]), w_in.T).reshape(steps, rows, n)
    h, xs = np.empty((passes, rows, n), f32), np.empty((2, passes, rows, n), f32)
    flat, many = h.reshape(passes * rows, n), outputs > FEW
    made, first, step, stream, of_step, together = plan_draws(noise, rows, n, steps, LONG)
    made_y, first_y, step_y, stream_y, of_step_y, together_y = plan_draws(of_outputs, rows, outputs, steps, NEVER)
    wot = np.ascontiguousarray(w_out[:, :n].T) if many else np.empty((0, 0), f32)
    put_passes(xs[1], x)
    if d.shape[1]:
        common(pre[0].reshape(rows * n), x.reshape(passes, rows * n), which)
    for t in range(steps):
        before, now = xs[(t + 1) % 2], xs[t % 2]
        np.dot(before.reshape(passes * rows, n), wt, flat)
        if len(node):
            _given(h, now, driven[t], node[t])
        elif of_step:
            if t % together == 0:
                make_calls(made, first, step, stream, noise[0], noise[1], t0 + t)
            _few_rows(h, now, driven[t], made, (t % together) * of_step, noise[3])
        else:
            _units(h, now, driven[t], made, noise, t0 + t)
        if load.shape[1]:
            _square_up(load[0], before.reshape(passes * rows, n))
            _square_up(load[1], now.reshape(passes * rows, n))
        if many:
            put_passes(y[t], np.dot(now.reshape(passes * rows, n), wot).reshape(passes, rows, outputs))
        if of_step_y and t % together_y == 0:
            make_calls(made_y, first_y, step_y, stream_y, of_outputs[0], of_outputs[1], t0 + t)
        _outputs(y[t], now, w_out, made_y, (t % together_y) * of_step_y, of_outputs[3])
        if len(node_y):
            y[t] += node_y[t]
        if d.shape[1]:
            reduce(h, now, d[t], s[t], pre[t + 1], pairs, which)
            differ(dy[t], sy[t], y[t], pairs)
        if len(seen):
            put_passes(seen[t], now)
    put_passes(x, xs[(steps + 1) % 2])


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def _given(h, x, drive, node):  # pyright: ignore
    """Add drive (B, n) and noise (M, B, n) to h (M, B, n); fill x with its tanh."""
    for m in range(len(h)):
        for row in range(h.shape[1]):
            line, to, below, of = h[m, row], x[m, row], drive[row], node[m, row]
            for i in range(len(line)):
                line[i] += below[i] + of[i]
                to[i] = tanh(line[i])


@njit(cache=True, error_model="numpy")
def _few_rows(h, x, drive, made, at, factors):  # pyright: ignore
    """Add drive (B, n) and the normals of each pass, made from `at` on, to h (M, B, n); fill x with its tanh."""
    passes, rows, n = h.shape
    calls = (n + 3) // 4
    for m in range(passes):
        if factors[m] == f32(0):
            add_and_activate(h[m], drive, x[m])
            continue
        for row in range(rows):
            _row(h[m, row], x[m, row], drive[row], made, at, calls, factors[m])
            at += calls


@njit(cache=True, error_model="numpy")
def _units(h, x, drive, made, noise, t):  # pyright: ignore
    """Do the same with normals that are made here, as many rows at once as there is room for."""
    key, update, streams, factors = noise
    passes, rows, n = h.shape
    calls = (n + 3) // 4
    together = made.shape[1] // calls
    for m in range(passes):
        factor = factors[m]
        if factor == f32(0):
            add_and_activate(h[m], drive, x[m])
            continue
        for row in range(0, rows, together):
            several = min(together, rows - row)
            make_normals(made, row * calls, several * calls, key, update, streams[m], t)
            for r in range(several):
                _row(h[m, row + r], x[m, row + r], drive[row + r], made, r * calls, calls, factor)


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def _row(h, x, drive, made, start, calls, factor):  # pyright: ignore
    for k in range(4):
        part, below, of = h[k * calls :], drive[k * calls :], made[k, start : start + calls]
        for i in range(min(calls, len(part))):
            part[i] += below[i] + factor * of[i]
    for i in range(len(h)):
        x[i] = tanh(h[i])


@njit(cache=True, error_model="numpy")
def _outputs(y, x, w_out, made, at, factors):  # pyright: ignore
    """Fill y (M, B, O) with W_out x, which many outputs have already, and the normals of each pass, from `at` on."""
    passes, rows, outputs = y.shape
    n, calls = x.shape[2], (outputs + 3) // 4
    for m in range(passes):
        factor = factors[m]
        for b in range(rows):
            for o in range(outputs):
                total = y[m, b, o] if outputs > FEW else _dot(w_out[o], x[m, b])
                if w_out.shape[1] > n:
                    total += w_out[o, n]
                if factor != f32(0):
                    total += factor * made[o // calls, at + o % calls]
                y[m, b, o] = total
            if factor != f32(0):
                at += calls


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def _dot(w, x):  # pyright: ignore
    total = f32(0)
    for i in range(len(x)):
        total += w[i] * x[i]
    return total


@njit(cache=True, error_model="numpy")
def common(out, lines, which):  # pyright: ignore
    """Fill out (n,) with the mean of lines (M, n), or one of them."""
    put(out, lines[max(which, 0)])
    if which < 0:
        for m in range(1, len(lines)):
            out += lines[m]
        out /= f32(len(lines))


@njit(cache=True, error_model="numpy")
def differ(dy, sy, y, pairs):  # pyright: ignore
    """Fill dy (R, B, O) with how y (M, B, O) differs, and sy (R, B) with the square of that."""
    passes, rows, outputs = y.shape
    for b in range(rows):
        for o in range(outputs):
            if len(pairs) == 0:
                mean = f32(0)
                for m in range(passes):
                    mean += y[m, b, o]
                mean /= f32(passes)
            for r in range(len(dy)):
                dy[r, b, o] = y[pairs[r, 0], b, o] - y[pairs[r, 1], b, o] if len(pairs) else y[r, b, o] - mean
        for r in range(len(dy)):
            sy[r, b] = f32(0)
            for o in range(outputs):
                sy[r, b] += dy[r, b, o] * dy[r, b, o]


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def _square_up(load, x):  # pyright: ignore
    """Add the sums of squares of rows x (rows, n), taken in single precision, to load (n,) in double."""
    total = np.zeros(len(load), f32)
    for row in range(len(x)):
        line = x[row]
        for i in range(len(line)):
            total[i] += line[i] * line[i]
    for i in range(len(load)):
        load[i] += total[i]


@njit(cache=True, error_model="numpy")
def squared_errors(losses, y, targets, mask):  # pyright: ignore
    """Fill losses (T, M, B) with mask (T,) times the mean over the outputs of (y - targets)^2; targets (T, B, O)."""
    steps, passes, rows, outputs = y.shape
    for t in range(steps):
        for m in range(passes):
            for b in range(rows):
                total = f32(0)
                for o in range(outputs):
                    error = y[t, m, b, o] - targets[t, b, o]
                    total += error * error
                losses[t, m, b] = mask[t] * (total / f32(outputs))


@njit(cache=True, error_model="numpy")
def credit(hidden, output, losses, pairs, gamma, whole):  # pyright: ignore
    """Fill hidden and output (T, R, B) with the credit of units and outputs; return the sum of the losses.

        output_t = dL_t     hidden_t = sum_{s>=t} gamma^(s-t) dL_s;     both sum_s dL_s where `whole`

    Args: losses: (T, M, B). pairs: as in `passes.reduce`. gamma: discount a step.
    """
    steps, passes, rows = losses.shape
    total = 0.0
    for t in range(steps - 1, -1, -1):
        for b in range(rows):
            mean = f32(0)
            for m in range(passes):
                mean += losses[t, m, b]
            total += mean
            mean /= f32(passes)
            for r in range(output.shape[1]):
                change = losses[t, pairs[r, 0], b] - losses[t, pairs[r, 1], b] if len(pairs) else losses[t, r, b] - mean
                output[t, r, b] = change
                later = hidden[t + 1, r, b] if t + 1 < steps else f32(0)
                hidden[t, r, b] = change + (later if whole else gamma * later)
    if whole:
        for t in range(steps - 1, -1, -1):
            put_rows(hidden[t], hidden[0])
            put_rows(output[t], hidden[0])
    return total


@njit(cache=True, error_model="numpy")
def products(sums, learns, hidden, output, d, s, dy, sy, norms, lines, pre):  # pyright: ignore
    """Add the outer products of some steps.

    Args:
        sums: of W_in, W and W_out, to be added to. learns: which of them learn.
        hidden, output: (T, R, B) credit of these steps, times what every sum is divided by.
        d, s, dy, sy, lines, pre: as in `forward`.
        norms: one norm for units and outputs (1) or each its own (0), what credit is multiplied with at the units and
            at the outputs, damping of either squared norm, and the squared norm below which a step teaches nothing.
    """
    into, back, out = sums
    steps, differences, rows, n = d.shape
    outputs = dy.shape[3]
    e, ey = np.empty((steps, rows, n), f32), np.empty((steps, rows, outputs), f32)
    together, eps = norms[0] != f32(0), norms[5]
    for t in range(steps):
        for b in range(rows):
            ey[t, b] = f32(0)
            for r in range(differences):
                squared_y = s[t, r, b] + sy[t, r, b] if together else sy[t, r, b]
                squared = (squared_y if together else s[t, r, b]) + norms[3]
                squared_y += norms[4]
                factor = f32(0) if squared < eps else hidden[t, r, b] * (norms[1] / squared)
                _weigh(e[t, b], d[t, r, b], factor, r == 0)
                factor = f32(0) if squared_y < eps else output[t, r, b] * (norms[2] / squared_y)
                for o in range(outputs):
                    ey[t, b, o] += factor * dy[t, r, b, o]
    flat = e.reshape(steps * rows, n)
    if learns[0]:
        into += np.dot(flat.T, lines.reshape(steps * rows, lines.shape[2]))
    if learns[1]:
        back += np.dot(flat.T, pre[:steps].reshape(steps * rows, n))
    if learns[2]:
        of_outputs = ey.reshape(steps * rows, outputs)
        more = np.dot(of_outputs.T, pre[1:].reshape(steps * rows, n))
        for o in range(outputs):
            for i in range(n):
                out[o, i] += more[o, i]
        if out.shape[1] > n:
            for row in range(steps * rows):
                for o in range(outputs):
                    out[o, n] += of_outputs[row, o]


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def _weigh(e, d, factor, first):  # pyright: ignore
    if first:
        for i in range(len(e)):
            e[i] = factor * d[i]
    else:
        for i in range(len(e)):
            e[i] += factor * d[i]
