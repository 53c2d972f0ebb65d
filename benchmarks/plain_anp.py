"""The rule from its equations, in numpy, one number at a time: independent of the package, and slow.

It is the yardstick of exactness.py and of the tests, shares no code with neuroanp and takes activities' noise as given.
A plain loop in torch to measure times against is benchmarks/speed/loop.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import sqrt
from typing import Any

import numpy as np


def equations(
    rule: Any, W: Mapping[str, np.ndarray], u: np.ndarray, target: np.ndarray, mask: np.ndarray,
    n_h: np.ndarray, n_y: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The rule from its equations, for every option: one sample, one step, one product at a time.

    Args:
        rule: its options (reference, difference, credit, norm, gamma, K, scale, control_variate).
        W: w_in (N, I), w (N, N), w_out (O, N). u: (T, B, I). target: (T, B, O). mask: (T,).
        n_h: (T, M, B, N) noise on the hidden pre-activations of the M passes; n_y: (T, M, B, O) on the outputs.
    """
    h, x, y, loss = _simulate(W, u, target, mask, n_h, n_y)
    T, M, B, N = h.shape
    O = y.shape[-1]  # noqa: E741 - the paper's letter
    dW = {name: np.zeros_like(value) for name, value in W.items()}
    differences = _differences(rule, M)
    pre = x[:, 0] if rule.reference == "silent" else x.mean(1)
    for difference in differences:
        dh, dy, dL, dx = difference(h), difference(y), difference(loss), difference(x)
        whole = dh.copy()
        if rule.difference == "innovation":
            dh[1:] = dh[1:] - dx[:-1] @ W["w"].T
        credit = _credit(rule, dL)
        for t, b in product(range(T), range(B)):
            c = sum(rule.gamma ** (s - t) * credit[s, b] for s in range(t, T))
            who = range(B) if rule.credit == "batch" else [b]
            s_h, s_y = sum(dh[t, o] @ dh[t, o] for o in who), sum(dy[t, o] @ dy[t, o] for o in who)
            scale_h, scale_y = float(N), float(O)
            if rule.norm == "global":
                s_h, s_y = s_h + s_y, sum(whole[t, o] @ whole[t, o] for o in who) + s_y
                scale_h = scale_y = float(N + O)
            if rule.scale == "all":
                scale_h = scale_y = sqrt(u.shape[-1] + N + O)
            e_h, e_y = scale_h * c * dh[t, b] / s_h, scale_y * credit[t, b] * dy[t, b] / s_y
            dW["w"] += np.outer(e_h, pre[t - 1, b] if t else np.zeros(N))
            dW["w_in"] += np.outer(e_h, u[t, b])
            dW["w_out"] += np.outer(e_y, pre[t, b])
    return {name: total / (B * len(differences)) for name, total in dW.items()}


def _simulate(
    W: Mapping[str, np.ndarray], u: np.ndarray, target: np.ndarray, mask: np.ndarray, n_h: np.ndarray, n_y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    h, x, y = np.zeros_like(n_h), np.zeros_like(n_h), np.zeros_like(n_y)
    loss = np.zeros(n_h.shape[:3])
    for m, b in product(range(n_h.shape[1]), range(n_h.shape[2])):
        before = np.zeros(n_h.shape[3])
        for t in range(len(n_h)):
            h[t, m, b] = W["w_in"] @ u[t, b] + W["w"] @ before + n_h[t, m, b]
            x[t, m, b] = before = np.tanh(h[t, m, b])
            y[t, m, b] = W["w_out"] @ before + n_y[t, m, b]
            loss[t, m, b] = mask[t] * np.mean((y[t, m, b] - target[t, b]) ** 2)
    return h, x, y, loss


def _differences(rule: Any, M: int) -> list[Any]:
    if rule.reference in ("two", "antithetic"):
        return [lambda a, k=k: a[:, 2 * k] - a[:, 2 * k + 1] for k in range(rule.K)]
    if rule.reference == "silent":
        return [lambda a, p=p: a[:, p] - a[:, 0] for p in range(1, M)]
    return [lambda a, p=p: a[:, p] - a.mean(1) for p in range(M)]


def _credit(rule: Any, dL: np.ndarray) -> np.ndarray:
    T, B = dL.shape
    if rule.credit == "batch":
        return np.repeat(dL.mean(1, keepdims=True), B, 1)
    credit = dL.copy()
    if rule.control_variate == "batch":
        for t, b in product(range(T), range(B)):
            credit[t, b] = dL[t, b] - np.mean([dL[t, o] for o in range(B) if o != b])
    return credit
