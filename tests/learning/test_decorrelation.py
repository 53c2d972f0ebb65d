"""Decorrelation: its step in closed form, what D x does to a rule, and where second moments go."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.learning.anp import ANP
from neuroanp.learning.decorrelation import Decorrelation, step
from neuroanp.learning.echo import Echo
from neuroanp.learning.iterative import INP
from neuroanp.learning.node_perturbation import NP
from neuroanp.learning.weight_perturbation import WP
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.gru import GRU
from neuroanp.network.tanh import Tanh
from neuroanp.substrates.protocol import Quantiser, ReadPlan
from neuroanp.substrates.read import Reader
from neuroanp.training.configure import configure
from neuroanp.training.decorrelating import folded
from neuroanp.training.echo_learner import EchoLearner
from neuroanp.training.pass_learner import PassLearner
from neuroanp.training.weight_learner import WeightLearner
from neuroanp.trajectory import Weights

ON = {"decorrelation": {"lr": 0.05}}
RULES = {
    "anp": ANP(K=2, **ON), "innovation": ANP(difference="innovation", **ON), "instantaneous": ANP(gamma=0, **ON),
    "mean": ANP(reference="mean", K=3, **ON), "silent": ANP(reference="silent", K=2, **ON), "np": NP(**ON),
    "inp": INP(**ON), "antithetic": NP(reference="antithetic", **ON), "echo": Echo(K=2, lags=4, **ON),
    "echo and anp": Echo(eta=0.7, lags=4, readout="rls", **ON),
}  # fmt: skip


def learned(rule, context, weights):
    """Return what a rule learns in its first update; echo begins with the responses of some weights."""
    learner = EchoLearner(rule) if isinstance(rule, Echo) else PassLearner(rule)
    return learner.learn(learner.init(weights), context)[1]


def matrix(n, seed=0):
    """Return some D that is far from the identity and from symmetry."""
    return torch.eye(n, dtype=torch.float64) + 0.3 * torch.randn(
        n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def with_matrices(context, D):
    reads = {
        name: replace(read, decorrelation=D.get(context.network.projection(name).pre))
        for name, read in context.reads.items()
    }
    return replace(context, reads=reads)


def matrices_of(lab):
    return {layer.name: matrix(layer.units, k) for k, layer in enumerate(lab.weights.network.layers)}


@pytest.mark.parametrize("trailing", [True, False])
def test_a_step_is_the_published_one_number_by_number(trailing):
    D, n, lr = matrix(4), 4, 0.07
    x = torch.randn(11, n, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    C = torch.zeros(n, n, dtype=torch.float64)
    for row in x:
        z = D @ row
        for i in range(n):
            for j in range(n):
                C[i, j] += (i != j) * z[i] * z[j] / len(x)
    expected = D - lr * (C @ D if trailing else C)
    torch.testing.assert_close(step(D, x.T @ x / len(x), lr, trailing), expected, rtol=1e-12, atol=1e-14)


def test_the_first_step_takes_the_off_diagonals_away():
    """D = 1 - lr offdiag(S): of two units of second moments 1 and r, C_12 is then r - 2 lr r + lr^2 r^3."""
    r, lr = 0.6, 0.1
    S = torch.tensor([[1.0, r], [r, 1.0]], dtype=torch.float64)
    D = step(torch.eye(2, dtype=torch.float64), S, lr)
    expected = torch.tensor([[1.0, -lr * r], [-lr * r, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(D, expected, rtol=1e-14, atol=0)
    after = float((D @ S @ D.T)[0, 1])
    assert abs(after - (r - 2 * lr * r + (lr * r) ** 2 * r)) < 1e-15


@pytest.mark.parametrize("trailing", [True, False])
def test_off_diagonals_of_what_passes_go_to_zero(trailing):
    """Correlated inputs of five units, second moments far from diagonal."""
    A = matrix(5, 7)
    S = A @ A.T / 5
    D, off = torch.eye(5, dtype=torch.float64), []
    for _ in range(3000):
        D = step(D, S, 0.1, trailing)
        C = D @ S @ D.T
        off.append(float((C - C.diag().diag()).norm() / C.norm()))
    assert off[-1] < 1e-6 < 0.05 < off[0]
    assert float(C.diag().min()) > 0.01  # and nothing is switched off


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("network", ["one layer", "two layers and biases"])
def test_a_rule_learns_of_the_network_of_wd_and_its_presynaptic_activity_is_dx(make_lab, name, network):
    """h and y of (W, D) are those of weights W D, and so are all factors e: dW = sum e (D x)^T = (sum e x^T) D^T."""
    layers = stack(3, [Stacked(Tanh(), 6), Stacked(GRU(), 4)], 2, True) if network != "one layer" else None
    lab, rule = make_lab(T=6, B=3, network=layers), RULES[name]
    rule = rule.model_copy(update={"groups": len(lab.weights.network.noisy)}) if isinstance(rule, INP) else rule
    D = matrices_of(lab)
    plain, whole = lab.weights, folded(lab.weights, D)
    found = learned(rule, with_matrices(lab.context(), D), whole)
    lab.weights = lab.substrate.weights = whole
    expected = learned(rule.model_copy(update={"decorrelation": None}), lab.context(), whole)
    for name, dW in expected.arrays.items():
        of = D.get(plain.network.projection(name).pre)
        if of is not None:
            n = len(of)
            dW = torch.cat([dW[:, :n] @ of.T, dW[:, n:]], 1)
        torch.testing.assert_close(found.arrays[name], dW, rtol=1e-9, atol=1e-11 * float(dW.abs().max()))
    assert found.diagnostics["loss"] == pytest.approx(expected.diagnostics["loss"], rel=1e-12, abs=0)


def activity(lab, rule, D, **context):
    """Return the presynaptic activity of each layer, (T B, n), by running the passes of an update by hand."""
    now, plan = with_matrices(lab.context(**context), D), rule.plan()
    chunk = next(iter(now.run(plan, "all")))
    x = {name: layer.x for name, layer in chunk.activities.items()}
    return {name: (each.mean(1) if plan.pre is None else each[:, plan.pre]).flatten(0, 1) for name, each in x.items()}


@pytest.mark.parametrize("name", RULES)
def test_the_next_matrix_is_the_step_of_the_moments_of_presynaptic_activity(make_lab, name):
    lab, rule = make_lab(T=6, B=3), RULES[name]
    D = matrices_of(lab)
    found = learned(rule, with_matrices(lab.context(), D), lab.weights)
    x = activity(lab, rule, D)["hidden"]
    torch.testing.assert_close(
        found.decorrelation["hidden"], step(D["hidden"], x.T @ x / len(x), 0.05), rtol=1e-10, atol=0
    )


def test_the_paper_leaves_the_last_matrix_out(make_lab):
    lab = make_lab(T=6, B=3)
    D = matrices_of(lab)

    def following(rule):
        return PassLearner(rule).learn({}, with_matrices(lab.context(), D))[1].decorrelation["hidden"]

    paper = ANP(preset="paper", **ON)
    x = activity(lab, paper, D)["hidden"]
    S = x.T @ x / len(x)
    torch.testing.assert_close(following(paper), step(D["hidden"], S, 0.05, trailing=False), rtol=1e-10, atol=0)
    stated = ANP(preset="paper", decorrelation={"lr": 0.05, "trailing": True})
    torch.testing.assert_close(following(stated), step(D["hidden"], S, 0.05, trailing=True), rtol=1e-10, atol=0)


@settings(max_examples=15, deadline=None)
@given(
    rule=st.sampled_from([RULES[name] for name in ("anp", "innovation", "np", "instantaneous")]),
    chunk=st.integers(1, 30), T=st.integers(1, 25), replay=st.booleans(),
)  # fmt: skip
def test_result_does_not_depend_on_chunks_or_replay(make_lab, rule, chunk, T, replay):
    lab = make_lab(T=T, B=3)
    D = matrices_of(lab)
    contexts = lab.context(chunk=1000), lab.context(chunk=chunk, memory=0 if replay else 1 << 30)
    whole, cut = (PassLearner(rule).learn({}, with_matrices(each, D))[1] for each in contexts)
    for one, other in ((whole.arrays, cut.arrays), (whole.decorrelation, cut.decorrelation)):
        for name, value in one.items():
            torch.testing.assert_close(other[name], value, rtol=0, atol=1e-11 * float(value.abs().max()))


def test_where_some_arrays_are_frozen_it_is_frozen(make_lab):
    lab = make_lab()
    context = replace(with_matrices(lab.context(), matrices_of(lab)), learning=frozenset({"w_out"}))
    assert PassLearner(ANP(**ON)).learn({}, context)[1].decorrelation == {}


@pytest.mark.parametrize("reference", ["silent", "two", "antithetic"])
@pytest.mark.parametrize("draw", ["pass", "step"])
def test_weight_perturbation_moves_w_and_not_wd(make_lab, reference, draw):
    """dW = (g . xi) xi of the gradient g over W at a fixed D, by autograd; and D from the unmoved network."""
    lab = make_lab(T=1 if draw == "step" else 4, B=2, sigma=0.0)
    D = matrices_of(lab)
    leaves = {name: W.clone().requires_grad_() for name, W in lab.weights.items()}
    x, L, xs = torch.zeros(2, 6, dtype=torch.float64), 0.0, []
    for u, target, m in zip(lab.inputs, lab.targets, lab.mask, strict=True):
        x = torch.tanh(u @ leaves["w_in"].T + x @ D["hidden"].T @ leaves["w"].T)
        xs.append(x.detach())
        L = L + m * (x @ D["hidden"].T @ leaves["w_out"].T - target).square().mean()
    g = dict(zip(leaves, torch.autograd.grad(L, [*leaves.values()], materialize_grads=True), strict=True))
    rule = WP(reference=reference, sigma=1e-6, draw=draw, **ON)
    _, found = WeightLearner(rule).learn({}, with_matrices(lab.context(), D))
    streams = lab.context().streams

    def xi(k):
        return {
            n: torch.from_numpy(streams.normal(f"weights/{n}", k, 0, 1, tuple(W.shape), "float64")[0])
            for n, W in lab.weights.items()
        }

    d, variance = (xi(0), 1.0) if reference != "two" else ({n: a - xi(1)[n] for n, a in xi(0).items()}, 2.0)
    size = sum(float((g[n] * d[n]).sum()) for n in g) / variance
    for n, a in d.items():
        torch.testing.assert_close(found.arrays[n], size * a, rtol=0, atol=3e-4 * abs(size))
    X = torch.cat(xs)
    torch.testing.assert_close(
        found.decorrelation["hidden"], step(D["hidden"], X.T @ X / len(X), 0.05), rtol=1e-8, atol=0
    )
    assert rule.passes == (2 if reference == "silent" else 3)


# ---- arrays ----

PLANS = {
    "exact": {}, "noise": {"sigma2": 0.01}, "converters": {"dac": Quantiser(0.05, 1.0), "adc": Quantiser(0.02, 3.0)},
    "tiles": {"sigma2": 0.01, "widths": (3, 2), "adc": Quantiser(0.02, 3.0)},
    "drawn": {"sigma2": 0.01, "sampled": True},
    "drivers": {"dac_sigma": 0.02, "dac": Quantiser(0.05, 1.0)},
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [0, 1])
@pytest.mark.parametrize("name", PLANS)
def test_word_lines_are_told_dx_before_the_converters(name, bias, dtype):
    """Reading x by a plan with D is reading D x by one without, with noise, codes and load; the bias line passes by."""
    options = dict(PLANS[name])
    D, draws = matrix(5 - bias).to(dtype), torch.Generator().manual_seed(1)
    W = torch.randn(3, 5, dtype=dtype, generator=draws)
    if "sigma2" in options:
        options["sigma2"] = torch.full_like(W, options["sigma2"])
    with_D, without = Reader(ReadPlan(W, decorrelation=D, **options)), Reader(ReadPlan(W, **options))
    x = torch.rand(4, 2, 5, dtype=dtype, generator=draws) * 1.6 - 0.8
    x[..., 5 - bias :] = 1.0
    told = torch.cat([x[..., : 5 - bias] @ D.T, x[..., 5 - bias :]], -1)
    xi = torch.randn(4, 2, with_D.normals, dtype=dtype, generator=draws)
    close = 1e-5 if dtype == torch.float32 else 1e-12  # of numbers of the size of 1
    if name == "drawn":
        rows, normals = x.flatten(0, 1), xi.flatten(0, 1)
        torch.testing.assert_close(
            with_D.sampled(rows, normals), without.sampled(told.flatten(0, 1), normals), rtol=close, atol=close
        )
    else:
        torch.testing.assert_close(with_D(x, xi if with_D.normals else None),
                                   without(told, xi if with_D.normals else None), rtol=close, atol=close)  # fmt: skip
    torch.testing.assert_close(with_D.load(x), without.load(told), rtol=close, atol=close)
    assert not with_D.recurs
    torch.testing.assert_close(with_D.plan.effective[:, : 5 - bias], W[:, : 5 - bias] @ D, rtol=close, atol=close)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_network_of_w_and_d_is_that_of_wd(make_lab, dtype):
    """In compiled loops and in plain ones."""
    lab = make_lab(T=9, B=2)
    lab.inputs, network = lab.inputs.to(dtype), lab.weights.network
    lab.weights = lab.substrate.weights = Weights({n: W.to(dtype) for n, W in lab.weights.items()}, network)
    D = {name: each.to(dtype) for name, each in matrices_of(lab).items()}
    plan = ANP(K=2).plan()
    one = next(iter(with_matrices(lab.context(), D).run(plan, "all")))
    lab.weights = lab.substrate.weights = folded(lab.weights, D)
    other = next(iter(lab.context().run(plan, "all")))
    tolerance = 1e-4 if dtype == torch.float32 else 1e-11
    torch.testing.assert_close(one.y, other.y, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(one.layers["hidden"].h, other.layers["hidden"].h, rtol=tolerance, atol=tolerance)


# ---- options ----


def test_it_is_off_unless_asked_for_and_is_written_out_where_it_is():
    for rule in (ANP(), NP(), INP(), Echo()):
        assert rule.decorrelation is None
        assert "decorrelation" not in rule.model_dump()
    for name in ("np", "echo", "wp"):
        config = configure({"task": "copy", "rule": {"name": name, "decorrelation": {"lr": 0.02}}})
        assert config.rule.decorrelation == Decorrelation(lr=0.02)
        assert config.to_plain()["rule"]["decorrelation"] == {"lr": 0.02, "trailing": None}
        assert configure(config.to_plain()) == config


@pytest.mark.parametrize("rule", ["anp", "np", "inp", "wp", "echo"])
def test_spikes_are_not_decorrelated(rule):
    with pytest.raises(InputError, match=r"rule.decorrelation: a matrix would make graded numbers of the spikes"):
        configure({"task": "copy", "backend": "lif", "rule": {"name": rule, "decorrelation": {}}})
