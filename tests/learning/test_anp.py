"""The rule against an independent loop, its invariances, and the gradient it should estimate."""

from __future__ import annotations

from itertools import product
from math import sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks.plain_anp import equations
from neuroanp.baselines.bptt import gradient
from neuroanp.learning.anp import ANP
from neuroanp.training.configure import configure
from neuroanp.trajectory import Credit, LayerActivity, PassPlan, Trajectory
from tests.close import close
from tests.factors import factors_of

VARIANTS = [
    ANP(reference=reference, difference=difference, credit=credit, norm=norm, gamma=gamma, K=K, control_variate=cv)
    for reference, difference, credit, norm, gamma, K, cv in product(
        ("two", "mean", "silent", "antithetic"), ("activity", "innovation"), ("sample", "batch"), ("global", "layer"),
        (0.0, 0.8, 1.0), (1, 3), ("none", "batch"),
    )
    if not (credit == "batch" and cv == "batch")
]  # fmt: skip


def plain_loop(lab, rule: ANP, update: int) -> dict[str, np.ndarray]:
    """The rule from its equations, without the package; only the noise samples are the package's."""
    T, B = lab.sizes[:2]
    M = {"two": 2 * rule.K, "antithetic": 2 * rule.K, "mean": rule.K + 1, "silent": rule.K + 1}[rule.reference]
    plan = PassPlan(noise=(1.0,) * M, stream=tuple(range(M)), pairs="mean")
    noise = lab.substrate.perturbation(plan, B, lab.context(update).streams)
    n_h, n_y = noise.draw("hidden", 0, T).numpy(), noise.draw("output", 0, T).numpy()
    if rule.reference == "silent":
        n_h[:, 0] = n_y[:, 0] = 0
    if rule.reference == "antithetic":  # pair k has stream k, with both signs
        n_h, n_y = (np.stack([s * n[:, k] for k in range(rule.K) for s in (1, -1)], 1) for n in (n_h, n_y))
    W = {name: value.numpy() for name, value in lab.weights.items()}
    return equations(rule, W, lab.inputs.numpy(), lab.targets.numpy(), lab.mask.numpy(), n_h, n_y)


def relative(a, b) -> float:
    return max(float(np.abs(np.asarray(a[n]) - np.asarray(b[n])).max() / np.abs(np.asarray(b[n])).max()) for n in b)


def test_paper_preset_equals_plain_loop(make_lab):
    for seed in range(3):
        lab, rule = make_lab(T=9, B=5, N=8, seed=seed), ANP(preset="paper")
        assert relative(lab.update(rule, update=2).arrays, plain_loop(lab, rule, 2)) < 1e-10


@pytest.mark.parametrize("rule", VARIANTS[::7], ids=lambda r: "-".join(map(str, r.model_dump().values())))
def test_every_option_equals_plain_loop(make_lab, rule):
    lab = make_lab(T=5, B=3, N=5)
    assert relative(lab.update(rule).arrays, plain_loop(lab, rule, 0)) < 1e-9


@settings(max_examples=25, deadline=None)
@given(rule=st.sampled_from(VARIANTS), chunk=st.integers(1, 200), T=st.integers(1, 140), replay=st.booleans())
def test_result_does_not_depend_on_chunks_or_replay(make_lab, rule, chunk, T, replay):
    lab = make_lab(T=T, B=3)
    whole = lab.update(rule, chunk=1000).arrays
    cut = lab.update(rule, chunk=chunk, memory=0 if replay else 1 << 30).arrays
    scale = max(float(W.abs().max()) for W in whole.values())
    assert all(torch.allclose(cut[n], whole[n], rtol=0, atol=1e-12 * scale) for n in whole)


def test_preset_fills_only_what_is_unstated():
    paper = ANP(preset="paper")
    assert (paper.reference, paper.credit, paper.norm, paper.gamma, paper.scale) == (
        "silent",
        "batch",
        "layer",
        0,
        "all",
    )
    assert ANP(preset="paper", gamma=0.5).gamma == 0.5


def test_spiking_preset_is_instantaneous_and_damped():
    rule = ANP(preset="spiking")
    assert (rule.gamma, rule.damping, rule.activity, rule.instantaneous) == (0.0, 1e-4, "auto", True)
    assert configure({"task": "copy", "rule": {"name": "anp", "preset": "spiking"}}).optimizer.lr == 1e-2


@pytest.mark.parametrize(
    "options",
    [{"damping": -1e-9}, {"damping": float("inf")}, {"activity": "v"}, {"loss": "episode"},
     {"gamma": 1.5}, {"gamma": float("nan")}, {"K": 0}, {"reference": "three"}, {"colour": 1},
     {"control_variate": "batch", "credit": "batch"}],
)  # fmt: skip
def test_bad_options_are_refused(options):
    with pytest.raises(ValidationError):
        ANP(**options)


def test_no_noise_teaches_nothing(make_lab):
    update = make_lab(sigma=0.0).update(ANP())
    assert all(float(g.abs().max()) == 0 for g in update.arrays.values())


def test_a_step_below_eps_teaches_nothing_and_one_above_it_in_full(make_lab):
    """n c d / s with n = 3 where s = d^2 is 1e-30 or more: a difference of a rounding is no perturbation."""
    d = torch.tensor([[0.0, 0.0], [0.9e-15, 0.0], [0.0, 1.1e-15], [3.0, 4.0]], dtype=torch.float64)
    h = torch.stack([d, 0 * d], 1).unsqueeze(2)  # (T, M, B, n): a pass that differs, and one at rest
    layers = {"hidden": LayerActivity(h, h.tanh(), h[0])}
    chunk = Trajectory(h.new_zeros(4, 1, 1), layers, h.new_zeros(4, 2, 1, 1), t0=0, dt=1.0)
    c, rule = torch.tensor([1.0, 1.0, 1.0, 2.0], dtype=torch.float64).view(4, 1, 1), ANP()
    factors = factors_of(rule, chunk, Credit(hidden=c, output=c), make_lab(I=1, N=2, O=1).weights, rule.plan())
    e = factors["w"][:, 0].numpy()
    assert not e[:2].any()
    assert e[2:].flatten() == close([0.0, 3 / 1.1e-15, 3 * 2 * 3 / 25, 3 * 2 * 4 / 25], rel=1e-12)
    assert not factors["w_out"].any()


def test_bias_column_learns_with_the_constant_line(make_lab):
    lab = make_lab(bias=True)
    update = lab.update(ANP())
    assert all(update.arrays[n].shape == lab.weights[n].shape for n in lab.weights)
    assert float(update.arrays["w_in"][:, -1].abs().max()) > 0
    assert float(update.arrays["w_out"][:, -1].abs().max()) > 0


@pytest.mark.parametrize(
    ("rule", "floor"),
    [
        (ANP(K=64), 0.9),
        (ANP(reference="mean", K=64), 0.9),
        (ANP(reference="silent", K=64), 0.9),
        (ANP(difference="innovation", K=64), 0.97),
        (ANP(difference="innovation", norm="layer", K=64), 0.97),
    ],
    ids=["two", "mean", "silent", "innovation", "innovation-layer"],
)
def test_update_points_along_the_gradient(make_lab, rule, floor):
    """Averaged over many draws, the recurrent block points along the exact gradient (cosine to BPTT)."""
    lab = make_lab(T=6, B=2, N=5, sigma=1e-4)
    exact = gradient(lab.weights, lab.context()).arrays
    total = {n: torch.zeros_like(W) for n, W in lab.weights.items()}
    for update in range(60):
        for n, g in lab.update(rule, update=update).arrays.items():
            total[n] += g
    for n in total:
        cosine = float((total[n] * exact[n]).sum() / total[n].norm() / exact[n].norm())
        assert cosine > floor, (n, cosine)


def test_innovation_layer_norm_estimates_the_gradient_itself(make_lab):
    """E[n c dh dh^T / ||dh||^2] = gradient for an isotropic innovation: not its direction alone, its size too."""
    lab = make_lab(T=4, B=2, N=6, sigma=1e-5)
    exact = gradient(lab.weights, lab.context()).arrays
    rule = ANP(difference="innovation", norm="layer", K=256)
    draws = torch.stack([lab.update(rule, update=k).arrays["w"] for k in range(40)])
    mean, error = draws.mean(0), draws.std(0) / sqrt(len(draws))
    worst = float(((mean - exact["w"]) / error.clamp_min(1e-12)).abs().max())
    assert worst < 4.5, worst  # 36 numbers: P(any beyond 4.5 standard errors) < 1e-3


@pytest.mark.parametrize("difference", ["activity", "innovation"])
def test_global_norm_keeps_the_blocks_in_proportion(make_lab, difference):
    """No block of the update is blown up against the others: each within a factor of 4 of its exact gradient."""
    lab = make_lab(T=20, B=4, N=30, sigma=1e-3)
    exact = gradient(lab.weights, lab.context()).arrays
    update = lab.update(ANP(reference="mean", K=63, difference=difference)).arrays
    sizes = {name: float(update[name].norm() / exact[name].norm()) for name in exact}
    assert max(sizes.values()) < 4 * min(sizes.values()), sizes


def test_control_variate_keeps_the_mean_and_lowers_the_variance(make_lab):
    """One loss shared by the batch is common noise; taking the other samples' mean away must not move the mean."""
    lab = make_lab(T=4, B=8, sigma=1e-3)
    runs = {
        cv: torch.stack([lab.update(ANP(control_variate=cv), update=k).arrays["w"] for k in range(300)])
        for cv in ("none", "batch")
    }
    gap = runs["batch"].mean(0) - runs["none"].mean(0)
    error = (runs["batch"] - runs["none"]).std(0) / sqrt(300)
    assert float((gap / error.clamp_min(1e-15)).abs().max()) < 4.5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_cpu_update(make_lab):
    lab = make_lab()
    on_cpu = lab.update(ANP()).arrays
    for part in ("inputs", "targets", "mask"):
        setattr(lab, part, getattr(lab, part).cuda())
    lab.substrate.weights = type(lab.weights)({n: W.cuda() for n, W in lab.weights.items()}, lab.weights.network)
    on_gpu = lab.update(ANP()).arrays
    assert all(torch.allclose(on_gpu[n].cpu(), on_cpu[n], rtol=1e-9, atol=1e-12) for n in on_cpu)
