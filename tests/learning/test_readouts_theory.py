"""What section 6 of docs/theory/echo.md states in closed form of readouts: by the equation's number there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from neuroanp.baselines.network import forward
from neuroanp.learning.anp import ANP
from neuroanp.learning.readouts import block_counts, inferred, least_squares
from tests.close import close
from tests.learning.test_echo_theory import linear


def test_several_passes_infer_their_error_but_for_the_third_moment():
    """(6.1): of one output 2 (ybar - target) + sum d^3 / sum d^2, and of two passes the first alone."""
    for y, third in (([3.0, 1.0], 0.0), ([4.0, 1.0, 1.0], (8 - 1 - 1) / (4 + 1 + 1))):
        passes = torch.tensor(y, dtype=torch.float64).reshape(1, -1, 1, 1)
        L = (passes[..., 0] - 5.0) ** 2
        d, dL = passes - passes.mean(1, keepdim=True), L - L.mean(1, keepdim=True)
        assert float(inferred(dL, d)) == close(2 * (sum(y) / len(y) - 5.0) + third, rel=1e-12)


def test_several_outputs_infer_their_errors_turned_by_the_covariance_of_their_changes():
    """(6.2): O C e / tr C."""
    draw = torch.Generator().manual_seed(0)
    e, root = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([[1.0, 0, 0], [0.8, 0.3, 0], [0, 0, 0.2]]).double()
    d = torch.randn((1, 100_000, 1, 3), generator=draw, dtype=torch.float64) @ root.T
    C = root @ root.T
    assert_close(inferred(d @ e, d).flatten(), 3 * C @ e / C.trace(), rtol=0.02, atol=0.01)


def test_delta_of_passes_is_the_gradient_under_noise(make_lab):
    """(6.3): what it is without noise, and 2/O W_out C; of two passes and of more, and not C / M."""
    for K in (1, 5):
        lab = make_lab(T=1, B=4000, sigma=0.7, network=linear(3, 4, 2, recurrent=False))
        lab.mask = torch.ones(1).double()
        W = lab.weights["w_out"]
        found = lab.update(ANP(reference="mean", K=K, readout="delta")).arrays["w_out"]
        silent = gradient_of_outputs(lab)
        assert_close(found - silent, W * 0.7**2, rtol=0.1, atol=0.05 * float(W.abs().max()))


def gradient_of_outputs(lab) -> torch.Tensor:
    """Return the gradient of the weights to the outputs without noise; 2/O of two outputs is 1."""
    act = forward(lab.weights, lab.inputs)
    return torch.einsum("tbo,tbi->oi", act.y - lab.targets, act.x["hidden"][-1:]) / lab.inputs.shape[1]


def test_least_squares_over_passes_is_a_ridge_by_nature():
    """(6.4): Y X^T (X X^T + n C)^-1, with C the covariance of the noise of the activities."""
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((300, 4)), rng.standard_normal((300, 2))
    root = np.diag([1.0, 0.5, 0.2, 0.0])
    many = 400
    lines = np.concatenate([x + rng.standard_normal(x.shape) @ root for _ in range(many)])
    e = -np.tile(target, (many, 1))  # of weights 0
    _, step = least_squares(
        torch.zeros(4, 4, dtype=torch.float64), torch.from_numpy(e.T @ lines / many),
        torch.from_numpy(lines.T @ lines / many), 1.0, 1e-12,
    )  # fmt: skip
    ridge = target.T @ x @ np.linalg.inv(x.T @ x + 300 * root @ root)
    plain = target.T @ x @ np.linalg.inv(x.T @ x)
    assert_close(-step, torch.from_numpy(ridge), rtol=0, atol=0.05 * float(np.abs(ridge).max()))
    assert float(np.linalg.norm(ridge - plain)) > 0.2 * float(np.linalg.norm(plain))


@pytest.mark.parametrize("K", [1, 3, 15])
@pytest.mark.parametrize("outputs", [2, 5])
def test_what_a_block_of_inferred_errors_leaves_of_them(outputs, K):
    """(6.5) and (6.6): 1 - 2/c + q/c^2 of their square, least for c = q."""
    rng, samples = np.random.default_rng(0), 1500
    e, dy = rng.standard_normal((samples, outputs)), torch.from_numpy(rng.standard_normal((1, K, samples, outputs)))
    told = inferred((torch.from_numpy(e) * dy).sum(-1), dy)[0]
    lines = torch.eye(samples, dtype=torch.float64)  # each sample has a line of its own
    q, ratios = block_counts(outputs, K), {}
    assert_close(float((told.numpy() ** 2).sum() / (e**2).sum()), q, rtol=0.05, atol=0.0)
    for counts in (1.0, q, 1.5 * q, 20.0):
        _, step = least_squares(torch.zeros_like(lines), told.T, lines, 1.0, 1e-12, counts)
        after = e - 2 / outputs * step.numpy().T
        ratios[counts] = float((after**2).sum() / (e**2).sum())
        assert_close(ratios[counts], 1 - 2 / counts + q / counts**2, rtol=0.05, atol=0.0)
    assert min(ratios, key=ratios.__getitem__) == q
