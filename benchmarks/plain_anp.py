"""The rule as one would first write it: independent of the package, slow, step by step.

`update` is the yardstick of update_speed.py; `equations` (numpy, one number at a time) of
exactness.py and of the tests. Neither shares code with neuroanp: both take activities' noise as given.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor


def update(W: Mapping[str, Tensor], u: Tensor, target: Tensor, sigma: float, per_sample: bool) -> dict[str, Tensor]:
    """One ANP update (two passes, return-to-go, global norm), step by step with an outer product a step.

    Args:
        W: w_in (N, I), w (N, N), w_out (O, N).
        u: (T, B, I); target: (T, B, O); sigma: of the Gaussian on the pre-activations.
        per_sample: form one outer product for each sequence and average them (as published code
            does) instead of one product over the batch.
    """
    T, B, _ = u.shape
    N, outputs = W["w"].shape[0], W["w_out"].shape[0]
    x = [torch.zeros(B, N), torch.zeros(B, N)]
    steps = []
    for t in range(T):
        before = (x[0] + x[1]) / 2
        h, y = [], []
        for p in range(2):
            h.append(u[t] @ W["w_in"].T + x[p] @ W["w"].T + sigma * torch.randn(B, N))
            x[p] = torch.tanh(h[p])
            y.append(x[p] @ W["w_out"].T + sigma * torch.randn(B, outputs))
        loss = [((y[p] - target[t]) ** 2).mean(-1) for p in range(2)]
        steps.append((h[0] - h[1], y[0] - y[1], loss[0] - loss[1], before, (x[0] + x[1]) / 2))
    to_go = torch.zeros(B)
    dW = {name: torch.zeros_like(matrix) for name, matrix in W.items()}
    for t in reversed(range(T)):
        dh, dy, dL, before, after = steps[t]
        to_go = to_go + dL
        s = (dh**2).sum(-1) + (dy**2).sum(-1)
        e_h = (N + outputs) * (to_go / s).unsqueeze(-1) * dh
        e_y = (N + outputs) * (dL / s).unsqueeze(-1) * dy
        dW["w"] += _outer(e_h, before, per_sample)
        dW["w_in"] += _outer(e_h, u[t], per_sample)
        dW["w_out"] += _outer(e_y, after, per_sample)
    return dW


def _outer(e: Tensor, x: Tensor, per_sample: bool) -> Tensor:
    if per_sample:
        return (e.unsqueeze(2) * x.unsqueeze(1)).mean(0)
    return e.T @ x / len(e)


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
    if rule.reference == "two":
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
