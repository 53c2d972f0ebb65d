"""What spiking networks ask of the rule: traces in place of pre-activations, damping, one loss for a trial."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.backends.neuron import LIF
from neuroanp.errors import InputError
from neuroanp.learning.anp import ANP
from neuroanp.learning.passes import PassRule
from neuroanp.trajectory import Credit, LayerActivity, PassPlan, Trajectory, Weights
from tests.factors import factors_of

T, B, N, O = 5, 3, 6, 2  # noqa: E741
ZEROS = {"w_in": torch.zeros(N, 4), "w": torch.zeros(N, N), "w_out": torch.zeros(O, N)}
WEIGHTS = Weights.one_layer(ZEROS, cell=LIF())
OF_RATES = Weights.one_layer(ZEROS)


def spikes(M: int, silent: bool = False, seed: int = 0) -> Trajectory:
    """A chunk of traces that differ by whole spikes, or, where `silent`, in nothing."""
    rng = np.random.default_rng(seed)

    def draw(*shape) -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal(shape))

    z = torch.from_numpy((rng.random((T, M, B, N)) < 0.2).astype(float)).cumsum(0)
    y = draw(T, M, B, O)
    if silent:
        z, y = z[:, :1].expand_as(z), y[:, :1].expand_as(y)
    u, layer = draw(T, B, 4), LayerActivity(draw(T, M, B, N), z, draw(M, B, N), z)
    return Trajectory(u, {"hidden": layer}, y, t0=0, dt=1e-3)


def changed(chunk: Trajectory, z: torch.Tensor | None, y: torch.Tensor | None = None) -> Trajectory:
    """The same chunk with other traces, and other outputs."""
    layer = replace(chunk.layers["hidden"], z=z)
    return replace(chunk, layers={"hidden": layer}, y=chunk.y if y is None else y)


def traces(chunk: Trajectory) -> torch.Tensor:
    z = chunk.layers["hidden"].z
    assert z is not None
    return z


def credit(R: int, seed: int = 1) -> Credit:
    rng = np.random.default_rng(seed)
    return Credit(*(torch.from_numpy(rng.standard_normal((T, R, B))) for _ in range(2)))


def by_hand(rule: ANP, chunk: Trajectory, c: Credit, activity: torch.Tensor) -> dict[str, np.ndarray]:
    """e^h and e^y from their equations, one number at a time, for the references two and silent."""
    a, y = activity.numpy(), chunk.y.numpy()
    e = {"w": np.zeros((T, B, N)), "w_out": np.zeros((T, B, O))}
    for r, (p, q) in enumerate(rule.plan().pairs):
        da, dy = a[:, int(p)] - a[:, int(q)], y[:, int(p)] - y[:, int(q)]
        for t, b in product(range(T), range(B)):
            who = range(B) if rule.credit == "batch" else [b]
            squares = {"w": sum(da[t, o] @ da[t, o] for o in who), "w_out": sum(dy[t, o] @ dy[t, o] for o in who)}
            units = {"w": N, "w_out": O}
            if rule.norm == "global":
                squares, units = dict.fromkeys(squares, sum(squares.values())), dict.fromkeys(units, N + O)
            for name, change, dL in (("w", da, c.hidden), ("w_out", dy, c.output)):
                mean_square = squares[name] / (units[name] * len(who)) + rule.damping
                scale = units[name] / (units[name] * len(who) * mean_square)
                e[name][t, b] += scale * float(dL[t, r, b]) * change[t, b]
    return e


@pytest.mark.parametrize(
    "rule",
    [
        ANP(norm=norm, credit=per, damping=damping, reference=reference, K=2)
        for norm, per, damping, reference in product(
            ("global", "layer"), ("sample", "batch"), (1e-12, 1e-4, 3.0), ("two", "silent")
        )
    ],
    ids=lambda r: f"{r.norm}-{r.credit}-{r.damping}-{r.reference}",
)
def test_damping_is_a_mean_square_per_unit_beside_that_of_the_norm(rule):
    """n c d / (s + n damping) is c d over the units' mean square plus the damping."""
    plan = rule.plan()
    chunk, c = spikes(plan.passes), credit(plan.differences)
    factors, expected = factors_of(rule, chunk, c, WEIGHTS, plan), by_hand(rule, chunk, c, traces(chunk))
    for name, e in expected.items():
        np.testing.assert_allclose(factors[name].numpy(), e, rtol=1e-9, atol=1e-12)
    assert torch.equal(factors["w_in"], factors["w"])


@pytest.mark.parametrize("rule", [ANP(), ANP(preset="spiking"), ANP(reference="mean", K=3, damping=1e-4)])
def test_passes_that_do_not_differ_teach_nothing(rule):
    plan = rule.plan()
    factors = factors_of(rule, spikes(plan.passes, silent=True), credit(plan.differences), WEIGHTS, plan)
    assert all(float(e.abs().max()) == 0 for e in factors.values())


@pytest.mark.parametrize("norm", ["global", "layer"])
def test_a_step_below_eps_teaches_nothing_and_one_above_all(norm):
    """The squared norm of a step against eps, from just above to just below: not less, but nothing."""
    chunk, c, plan = spikes(2), credit(1), ANP().plan()
    one = changed(chunk, traces(chunk)[-1:], chunk.y[-1:])
    c = Credit(c.hidden[-1:], c.output[-1:])
    dz, dy = (a[0, 0] - a[0, 1] for a in (traces(one), one.y))
    squares = {"w": dz.square().sum(-1), "w_out": dy.square().sum(-1)}
    if norm == "global":
        squares = dict.fromkeys(squares, squares["w"] + squares["w_out"])
    whole = factors_of(ANP(norm=norm), one, c, WEIGHTS, plan)
    for name, s in squares.items():
        for b in range(B):
            assert float(s[b]) > 0
            for share, expected in ((0.999, whole[name][0, b]), (1.001, torch.zeros_like(whole[name][0, b]))):
                found = factors_of(ANP(norm=norm, eps=share * float(s[b])), one, c, WEIGHTS, plan)[name][0, b]
                torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@given(damping=st.floats(1e-10, 1e3), size=st.sampled_from([1e-300, 1e-30, 1e-8, 1.0, 1e8]), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_damping_bounds_the_step(damping, size, seed):
    """However small a change, |n c d / (|d|^2 + n damping)| is at most |c| sqrt(n / damping) / 2."""
    rule = ANP(damping=damping)
    plan, c = rule.plan(), credit(1, seed)
    chunk = spikes(2, seed=seed)
    chunk = changed(chunk, traces(chunk) * size, chunk.y * size)
    e = factors_of(rule, chunk, c, WEIGHTS, plan)["w"]
    bound = c.hidden[:, 0].abs() * ((N + O) / damping) ** 0.5 / 2
    assert bool((e.norm(dim=-1) <= bound * (1 + 1e-9)).all())


def test_the_trace_is_compared_where_units_spike():
    chunk, c = spikes(2), credit(1)
    plan = ANP().plan()
    rate = changed(chunk, None)
    e = {name: factors_of(ANP(activity=name), chunk, c, WEIGHTS, plan) for name in ("auto", "z", "h")}
    for name in e["auto"]:
        assert torch.equal(e["auto"][name], e["z"][name])
        assert not torch.equal(e["auto"][name], e["h"][name])
        assert torch.equal(e["h"][name], factors_of(ANP(), rate, c, OF_RATES, plan)[name])
    for name, expected in by_hand(ANP(), chunk, c, chunk.layers["hidden"].h).items():
        np.testing.assert_allclose(e["h"][name].numpy(), expected, rtol=1e-9)


def test_a_trace_of_units_that_do_not_spike_is_refused():
    rule, chunk = ANP(activity="z"), changed(spikes(2), None)
    with pytest.raises(InputError, match=r"rule\.activity: 'z'.*use 'auto' or 'h', or a spiking backend"):
        factors_of(rule, chunk, credit(1), OF_RATES, rule.plan())
    rule.check(spiking=True)


@pytest.mark.parametrize("activity", ["auto", "h"])
def test_an_innovation_of_spiking_units_is_refused(activity):
    rule = ANP(difference="innovation", activity=activity)
    with pytest.raises(InputError, match=r"rule\.difference: 'innovation'.*use 'activity'"):
        factors_of(rule, spikes(2), credit(1), WEIGHTS, rule.plan())
    rule.check(spiking=False)


PLAN = PassPlan((1.0,) * 4, (0, 1, 2, 3), ((0, 1), (2, 3)))


@given(
    gamma=st.floats(0, 1), per=st.sampled_from(["sample", "batch"]), cv=st.booleans(), steps=st.integers(1, 9),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_a_trial_gives_every_step_the_difference_of_the_sums(gamma, per, cv, steps, seed):
    """What a chip knows that is scored once: the credit is that of a sequence whose last step has the whole loss."""
    losses = torch.from_numpy(np.random.default_rng(seed).random((steps, 4, B)))
    options = {"credit": per, "control_variate": "batch" if cv and per == "sample" else "none"}
    trial = ANP(loss="trial", gamma=gamma, **options).assign(losses, PLAN, 1e-3)
    scored_once = torch.zeros_like(losses)
    scored_once[-1] = losses.sum(0)
    expected = ANP(gamma=1.0, **options).assign(scored_once, PLAN, 1e-3).hidden
    assert torch.equal(trial.hidden, trial.output)
    torch.testing.assert_close(trial.hidden, expected, rtol=0, atol=1e-12)


def test_only_a_step_s_own_loss_is_instantaneous():
    cases = {(0.0, "step"): True, (0.0, "trial"): False, (0.5, "step"): False, (1.0, "trial"): False}
    for (gamma, loss), expected in cases.items():
        assert PassRule(name="rule", gamma=gamma, loss=loss).instantaneous is expected


@pytest.mark.parametrize("rule", [ANP(loss="trial"), ANP(loss="trial", gamma=0.0), ANP(loss="trial", preset="spiking")])
def test_a_trial_s_credit_does_not_depend_on_chunks_or_replay(make_lab, rule):
    lab = make_lab(T=11)
    whole = lab.update(rule).arrays
    for memory in (0, 1 << 30):
        cut = lab.update(rule, chunk=3, memory=memory).arrays
        assert all(torch.allclose(cut[n], whole[n], rtol=1e-12, atol=1e-14) for n in whole)


def test_a_trial_scored_at_its_last_step_needs_no_more(make_lab):
    """With one scored step, the hidden units' return-to-go is the trial's loss."""
    lab = make_lab(T=6)
    lab.mask[:-1] = 0.0
    by_step, by_trial = lab.update(ANP()).arrays, lab.update(ANP(loss="trial")).arrays
    for name in ("w_in", "w"):
        torch.testing.assert_close(by_trial[name], by_step[name], rtol=1e-12, atol=1e-15)
    assert not torch.allclose(by_trial["w_out"], by_step["w_out"], rtol=1e-3, atol=0)
