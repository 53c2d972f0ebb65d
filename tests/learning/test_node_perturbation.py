"""Node perturbation: the gradient it estimates, the eligibility trace it is, the noise it must know."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import exp, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.baselines.bptt import gradient
from neuroanp.errors import InputError
from neuroanp.learning.node_perturbation import NP
from neuroanp.losses import of_steps
from neuroanp.training.pass_learner import PassLearner
from neuroanp.trajectory import Trajectory
from tests.factors import factors_of

VARIANTS = [
    NP(reference=reference, credit=credit, gamma=gamma, K=K, loss=loss, scale=scale)
    for reference, credit, gamma, K, loss, scale in product(
        ("two", "mean", "silent", "antithetic"), ("sample", "batch"), (0.0, 0.8, 1.0), (1, 3), ("step", "trial"),
        ("variance", "sigma"),
    )
]  # fmt: skip


def whole(lab, rule: NP, **context) -> Trajectory:
    """One chunk with all of an update's passes."""
    now = lab.context(**context)
    return next(iter(now.run(rule.plan(), "noise")))


def forward_in_time(lab, rule: NP, chunk: Trajectory, gamma: float) -> dict[str, np.ndarray]:
    """Sum dL_t E_t with a trace of each synapse, E_t = gamma E_{t-1} + dn_t / var(dn) x_{t-1}^T: no look ahead."""
    M, sigma = chunk.y.shape[1], lab.substrate.sigma
    pairs = {
        "two": [(2 * k, 2 * k + 1) for k in range(rule.K)],
        "antithetic": [(2 * k, 2 * k + 1) for k in range(rule.K)],
        "silent": [(k + 1, 0) for k in range(rule.K)],
        "mean": [(m, None) for m in range(M)],
    }[rule.reference]
    variance = sigma**2 * {"two": 2.0, "silent": 1.0, "mean": 1 - 1 / M, "antithetic": 4.0}[rule.reference]
    losses = of_steps(lab.loss, chunk.y, lab.targets, lab.mask).numpy()
    noise = {layer: n.numpy() for layer, n in chunk.noise.items()}
    x, u = chunk.layers["hidden"].x.numpy(), chunk.u.numpy()
    pre = x[:, 0] if rule.reference == "silent" else x.mean(1)
    steps, _, batch, units = x.shape
    dW = {name: np.zeros(W.shape) for name, W in lab.weights.items()}
    for p, q in pairs:

        def difference(a, p=p, q=q):
            return a[:, p] - (a.mean(1) if q is None else a[:, q])

        dL, dn, dny = difference(losses), difference(noise["hidden"]), difference(noise["output"])
        for b in range(batch):
            E = {"w": np.zeros((units, units)), "w_in": np.zeros((units, u.shape[-1]))}
            for t in range(steps):
                before = pre[t - 1, b] if t else np.zeros(units)
                for name, line in (("w", before), ("w_in", u[t, b])):
                    E[name] = gamma * E[name] + np.outer(dn[t, b] / variance, line)
                    dW[name] += dL[t, b] * E[name]
                dW["w_out"] += np.outer(dL[t, b] * dny[t, b] / variance, pre[t, b])
    return {name: total / (batch * len(pairs)) for name, total in dW.items()}


@pytest.mark.parametrize("reference", ["two", "mean", "silent", "antithetic"])
@pytest.mark.parametrize("discount", [{"gamma": 0.0}, {"gamma": 0.7}, {"gamma": 1.0}, {"trace": 3e-3}])
def test_the_discount_is_an_eligibility_trace(make_lab, reference, discount):
    """sum_t dL_t E_t = sum_t c_t dn_t x_{t-1}^T with gamma = exp(-dt / tau): what a synapse does, without replay."""
    lab, rule, dt = make_lab(T=8, B=3, N=5), NP(reference=reference, K=3, **discount), 1e-3
    gamma = discount.get("gamma", exp(-1 / 3))
    expected = forward_in_time(lab, rule, whole(lab, rule, dt=dt), gamma)
    update = lab.update(rule, dt=dt).arrays
    for name, dW in expected.items():
        np.testing.assert_allclose(update[name].numpy(), dW, rtol=1e-9, atol=1e-9 * np.abs(dW).max())


@pytest.mark.parametrize("reference", ["two", "mean", "silent", "antithetic"])
def test_it_estimates_the_gradient_itself(make_lab, reference):
    """The expected update is the gradient of all blocks, in size and direction, whatever the reference."""
    lab = make_lab(T=4, B=2, N=6, sigma=1e-5)
    exact = gradient(lab.weights, lab.context()).arrays
    rule = NP(reference=reference, K=256)
    runs = [lab.update(rule, update=k).arrays for k in range(40)]
    for name in exact:
        draws = torch.stack([run[name] for run in runs])
        error = draws.std(0) / sqrt(len(draws))
        worst = float(((draws.mean(0) - exact[name]) / error.clamp_min(1e-12)).abs().max())
        assert worst < 4.5, (name, worst)  # 66 numbers: P(any beyond 4.5 standard errors) < 1e-3


def test_replicas_turn_it_towards_the_gradient(make_lab):
    """The noise of K independent pairs averages out: tan^2 of the angle to the gradient falls as 1 / K."""
    lab = make_lab(T=4, B=2, N=6, sigma=1e-4)
    exact = gradient(lab.weights, lab.context()).arrays["w"]

    def tan2(K: int) -> float:
        squares = []
        for k in range(24):
            dW = lab.update(NP(K=K), update=k).arrays["w"]
            along = float((dW * exact).sum() / exact.norm()) ** 2
            squares.append((along, float(dW.norm()) ** 2 - along))
        return sum(across for _, across in squares) / sum(along for along, _ in squares)

    found = [tan2(K) for K in (64, 512)]
    assert 5 < found[0] / found[1] < 11, found  # 8, but for the noise along the gradient; 24 draws leave a tenth


@pytest.mark.parametrize(
    ("reference", "factor"), [("two", 2.0), ("silent", 1.0), ("mean", 1 - 1 / 4), ("antithetic", 4.0)]
)
def test_sigma_scale_divides_by_the_standard_deviation_of_the_difference(make_lab, reference, factor):
    """sd(dn) = sigma sqrt(2), sigma or sigma sqrt(1 - 1/M): the update by its variance times that."""
    lab = make_lab()
    by_variance, by_sigma = (
        lab.update(NP(scale=scale, reference=reference, K=3)).arrays for scale in ("variance", "sigma")
    )
    for name in by_sigma:
        expected = lab.substrate.sigma * sqrt(factor) * by_variance[name]
        torch.testing.assert_close(by_sigma[name], expected, rtol=1e-12, atol=0)


@settings(max_examples=25, deadline=None)
@given(rule=st.sampled_from(VARIANTS), chunk=st.integers(1, 60), T=st.integers(1, 50), replay=st.booleans())
def test_result_does_not_depend_on_chunks_or_replay(make_lab, rule, chunk, T, replay):
    lab = make_lab(T=T, B=3)
    at_once = lab.update(rule, chunk=1000).arrays
    cut = lab.update(rule, chunk=chunk, memory=0 if replay else 1 << 30).arrays
    scale = max(float(W.abs().max()) for W in at_once.values())
    assert all(torch.allclose(cut[n], at_once[n], rtol=0, atol=1e-12 * scale) for n in at_once)


def test_a_layer_without_noise_learns_nothing(make_lab):
    lab, rule = make_lab(), NP()
    chunk = whole(lab, rule)
    c = rule.assign(of_steps(lab.loss, chunk.y, lab.targets, lab.mask), rule.plan(), chunk.dt)
    known = {"hidden": chunk.noise["hidden"]}
    hidden_only = replace(chunk, noise=known, noise_sigma={"hidden": lab.substrate.sigma, "output": 0.0})
    both, one = (factors_of(rule, each, c, lab.weights, rule.plan()) for each in (chunk, hidden_only))
    assert torch.equal(one["w"], both["w"])
    assert one["w_out"].shape == both["w_out"].shape
    assert float(one["w_out"].abs().max()) == 0


def test_noise_that_is_not_known_is_refused(make_lab):
    lab, rule = make_lab(), NP()
    chunk = whole(lab, rule)
    c = rule.assign(of_steps(lab.loss, chunk.y, lab.targets, lab.mask), rule.plan(), chunk.dt)
    for blind in (replace(chunk, noise=None), replace(chunk, noise_sigma={"hidden": 0.0, "output": 0.0})):
        with pytest.raises(InputError, match=r"np must know the noise: .*perturbation\.name: gaussian"):
            factors_of(rule, blind, c, lab.weights, rule.plan())


@pytest.mark.parametrize(
    ("options", "trace", "gamma", "at_1_ms"),
    [
        ({}, None, 1.0, 1.0),
        ({"preset": "spiking"}, 20e-3, 1.0, exp(-1 / 20)),
        ({"preset": "spiking", "gamma": 0.9}, None, 0.9, 0.9),
        ({"preset": "spiking", "trace": "5 ms"}, 5e-3, 1.0, exp(-1 / 5)),
        ({"preset": "paper"}, None, 0.0, 0.0),
    ],
)
def test_the_discount_comes_from_trace_or_gamma(options, trace, gamma, at_1_ms):
    rule = NP(**options)
    assert (rule.trace, rule.gamma, rule.discount(1e-3)) == (trace, gamma, at_1_ms)
    assert rule.instantaneous is (at_1_ms == 0)
    assert NP(**rule.model_dump(mode="json")) == rule


@pytest.mark.parametrize(
    "options", [{"trace": "0 ms"}, {"trace": "20"}, {"trace": "20 mV"}, {"scale": "one"}, {"damping": 1.0}]
)
def test_bad_options_are_refused(options):
    with pytest.raises(ValidationError):
        NP(**options)


@pytest.mark.parametrize(("memory", "asked"), [(0, ["loss", "noise"]), (1 << 30, ["noise"])])
def test_the_noise_is_asked_for_and_counted(make_lab, memory, asked):
    lab, seen = make_lab(), []
    context = lab.context(memory=memory)
    run = context.backend.run

    def watched(request):
        seen.append(request.keep)
        return run(request)

    context.backend.run = watched
    learner = PassLearner(NP())
    learner.learn({}, context)
    assert seen == asked
    T, B, _, N, O = lab.sizes  # noqa: E741
    # one difference of N + O lines and two gains, x, and two losses
    assert learner.stored_bytes(context) == 8 * T * B * (N + O + 2 + N + 2)
