"""The double integrator: its steps are exact, and its best controller is Riccati's."""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.linalg import expm

from neuroanp.errors import InputError
from neuroanp.tasks.double_integrator import DoubleIntegrator, DoubleIntegratorConfig, Motion
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from tests.close import close

ONE = torch.zeros(1, dtype=torch.float64)


def made(**options: Any) -> DoubleIntegrator:
    return DoubleIntegrator(DoubleIntegratorConfig(**options))


def lived(world: Any, act: Any, passes: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return what was seen, (T + 1, M, B, 2), and what it cost, (T, M, B), where act(t, seen) is the force (M, B)."""
    seen, costs = [world.reset(passes, ONE)], []
    for t in range(world.steps):
        now, cost = world.step(t, act(t, seen[-1]).unsqueeze(-1))
        seen.append(now)
        costs.append(cost)
    return torch.stack(seen).numpy(), torch.stack(costs).numpy()


@pytest.mark.parametrize("damping", [0.0, 0.5, 3.0])
def test_a_step_is_exact_by_closed_forms(damping):
    """Of dv = (u - zeta v) dt + sigma dW: the means, and the covariance as an integral over when noise came."""
    dt, sigma = 0.7, 0.3
    A, b, N = Motion.of(DoubleIntegratorConfig(interval=dt, damping=damping, noise=sigma))
    v = exp(-damping * dt)
    p = (1 - v) / damping if damping else dt
    pushed = (dt - p) / damping if damping else dt**2 / 2
    np.testing.assert_allclose(A, [[1, p], [0, v]], rtol=1e-12, atol=0)
    np.testing.assert_allclose(b, [pushed, p], rtol=1e-9, atol=0)
    s, w = np.polynomial.legendre.leggauss(20)
    ago, w = dt * (s + 1) / 2, w * dt / 2
    later = np.stack([expm(np.array([[0, 1], [0, -damping]]) * t)[:, 1] for t in ago])
    np.testing.assert_allclose(N @ N.T, sigma**2 * np.einsum("k,ki,kj->ij", w, later, later), rtol=1e-9, atol=0)


def test_two_half_steps_are_one_and_no_noise_is_none():
    whole = Motion.of(DoubleIntegratorConfig(interval=0.4))
    half = Motion.of(DoubleIntegratorConfig(interval=0.2))
    np.testing.assert_allclose(half.A @ half.A, whole.A, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(half.A @ half.b + half.b, whole.b, rtol=1e-12, atol=0)
    twice = half.A @ half.N @ half.N.T @ half.A.T + half.N @ half.N.T
    np.testing.assert_allclose(twice, whole.N @ whole.N.T, rtol=1e-10, atol=0)
    assert not Motion.of(DoubleIntegratorConfig(noise=0)).N.any()


def test_passes_differ_by_what_they_do_alone_and_presentations_not_at_all():
    world = made(steps=30).particles(np.random.default_rng(1), 5)
    still, _ = lived(world, lambda t, z: torch.zeros(2, 5).double(), passes=2)
    assert np.array_equal(still[:, 0], still[:, 1])
    push = torch.tensor([[0.0], [0.5]]).double().expand(2, 5)
    moved, costs = lived(world, lambda t, z: push, passes=2)
    assert np.array_equal(moved[:, 0], still[:, 0])
    apart = moved[1:, 1] - moved[1:, 0]  # noise is what both have in common: the rest is a force on a damped mass
    t = 0.1 * np.arange(1, 31)
    v = 0.5 / 0.5 * (1 - np.exp(-0.5 * t))
    np.testing.assert_allclose(apart[..., 1], np.repeat(v[:, None], 5, 1), rtol=1e-9, atol=0)
    np.testing.assert_allclose(costs, 0.9 * moved[1:, ..., 0] ** 2 + 0.1 * push.numpy() ** 2, rtol=1e-12, atol=0)
    assert not np.array_equal(still[:, 0, 0], still[:, 0, 1])  # sequences have noise of their own
    assert world.shared(0) is None


def test_no_force_is_larger_than_its_limit():
    world = made(steps=1, limit=0.3, noise=0, start=0, effort=1).particles(np.random.default_rng(0), 2)
    seen, costs = lived(world, lambda t, z: torch.tensor([[-9.0, 0.2]], dtype=torch.float64))
    b = Motion.of(world.options).b
    np.testing.assert_allclose(seen[1, 0], np.outer([-0.3, 0.2], b), rtol=1e-12, atol=0)
    assert costs[0, 0].tolist() == close([0.09, 0.04], rel=1e-12)


def riccati(options: DoubleIntegratorConfig) -> tuple[list[np.ndarray], np.ndarray, float]:
    """Return the gains of each step, and the cost to go of a state, z' P z + c."""
    A, b, N = Motion.of(options)
    Q, R = np.diag([1 - options.effort, 0.0]), options.effort
    P, c, gains = np.zeros((2, 2)), 0.0, []
    for _ in range(options.steps):
        V = Q + P
        k = b @ V @ A / (R + b @ V @ b)
        P, c = A.T @ V @ (A - np.outer(b, k)), c + float(np.trace(V @ N @ N.T))
        gains.append(k)
    return gains[::-1], P, c


def test_riccatis_controller_costs_what_it_should_and_others_more():
    """Mean over 4,000 episodes within five standard errors; gains that are off cost more on the same noise."""
    task = made(steps=40, noise=0.2, limit=100)
    gains, P, c = riccati(task.options)
    world = task.sample(np.random.default_rng(2), 4000).world
    K = torch.from_numpy(np.stack(gains))
    seen, costs = lived(world, lambda t, z: -(z @ K[t]))
    own = costs.sum(0)[0]
    expected = np.einsum("bi,ij,bj->b", seen[0, 0], P, seen[0, 0]) + c
    assert abs((own - expected).mean()) < 5 * (own - expected).std() / np.sqrt(4000)
    for factor in ([0.6, 1.0], [1.0, 0.6], [1.6, 1.0]):
        off = K * torch.tensor(factor, dtype=torch.float64)
        _, worse = lived(world, lambda t, z, off=off: -(z @ off[t]))
        assert worse.sum(0)[0].mean() > own.mean() + 3 * (worse.sum(0)[0] - own).std() / np.sqrt(4000)


def test_a_linear_unit_learns_to_hold_it():
    """By Ornstein-Uhlenbeck adaptation, from no force at all to near the best controller's cost."""
    task = {"name": "double_integrator", "steps": 40, "interval": 0.25, "limit": 10, "test_size": 200}
    trainer = build_trainer(Experiment.of(configure({
        "task": task, "network": {"layers": [{"cell": "linear", "units": 1, "recurrent": False}]},
        "rule": {"name": "oua", "sigma": 0.2, "rho": 0.3}, "optimizer": {"lr": 0.1},
        "training": {"updates": 80, "batch": 32, "controls": False},
    })))  # fmt: skip
    trainer.write({name: torch.zeros_like(W) + (name == "w_out") for name, W in trainer.substrate.weights.items()})
    held = made(**{k: v for k, v in task.items() if k != "name"})
    _, P, c = riccati(held.options)
    best = (P[0, 0] / 3 + c) / 40  # of a start that is uniform within +-1

    def cost() -> float:
        W = trainer.substrate.weights
        k = (W["w_out"] @ W["w_in"]).double()[0]
        world = held.test(np.random.default_rng(9)).world
        return float(lived(world, lambda t, z: z @ k)[1].mean())

    before = cost()
    for _ in range(80):
        trainer.step()
    assert best < cost() < 1.5 * best < 0.5 * before


@pytest.mark.parametrize("options", [
    {"interval": 0}, {"damping": -1}, {"noise": float("nan")}, {"start": float("inf")}, {"limit": 0}, {"effort": 2},
    {"steps": 0}, {"tested": "drawn"},
])  # fmt: skip
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValidationError):
        DoubleIntegratorConfig(**options)


@pytest.mark.parametrize(("rule", "said"), [
    ("nrl", "learns from the return of actions that it chose, and task 'double_integrator' is a world whose outputs"),
    ("reinforce", "choose none; use anp, inp, np, cdrge, oua, wp"),
    ("bptt", "learns from data, and task 'double_integrator' is a world, which answers the outputs"),
])  # fmt: skip
def test_a_rule_that_needs_actions_is_refused_before_the_run(rule, said, tmp_path):
    with pytest.raises(InputError, match=said):
        launch(configure({"task": "double_integrator", "rule": rule, "network": {"hidden": 4}}), tmp_path)
    assert not [*tmp_path.iterdir()]
