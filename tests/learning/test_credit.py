"""Differences of any pairs, the return-to-go, and who can do without the losses that follow, from their definitions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.learning.anp import ANP
from neuroanp.learning.credit import _doubled, differences, return_to_go
from neuroanp.learning.node_perturbation import NP
from neuroanp.trajectory import PassPlan


def check(plan: PassPlan) -> None:
    values = torch.randn(3, plan.passes, 2, generator=torch.Generator().manual_seed(0))
    assert plan.pairs != "mean"
    expected = torch.stack([values[:, p] - values[:, q] for p, q in plan.pairs], 1)
    assert torch.equal(differences(values, plan), expected)


@st.composite
def plans(draw) -> PassPlan:
    M = draw(st.integers(2, 7))
    index = st.integers(0, M - 1)
    pairs = draw(st.lists(st.tuples(index, index).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=8))
    return PassPlan((1.0,) * M, tuple(range(M)), tuple(pairs))


@given(plans())
def test_differences_are_those_of_the_pairs(plan):
    check(plan)


@given(reference=st.sampled_from(["two", "silent"]), K=st.integers(1, 6))
def test_differences_of_the_rules_own_plans(reference, K):
    check(ANP(reference=reference, K=K).plan())


def test_against_the_mean():
    values = torch.tensor([[1.0, 2.0, 6.0]])
    assert differences(values, PassPlan((1.0,) * 3, (0, 1, 2), "mean")).tolist() == [[-2.0, -1.0, 3.0]]


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
def test_return_to_go_is_its_sum_and_deterministic(gamma, device):
    dL = torch.randn(9, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).to(device)
    expected = torch.stack([
        sum((gamma ** (s - t) * dL[s] for s in range(t, 9)), torch.zeros_like(dL[0])) for t in range(9)
    ])  # fmt: skip
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)  # torch raises for what is not, cumsum on CUDA for one
    try:
        torch.testing.assert_close(return_to_go(dL, gamma), expected, rtol=1e-12, atol=1e-12)
    finally:
        torch.use_deterministic_algorithms(before)


@given(steps=st.integers(1, 40), gamma=st.sampled_from([1e-3, 0.3, 0.97, 1.0]))
def test_doubling_sums_what_follows(steps, gamma):
    """What other devices do, log2 T times for all of time, is what the CPU does step by step."""
    dL = torch.randn(steps, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(steps))
    torch.testing.assert_close(_doubled(dL, gamma), return_to_go(dL, gamma), rtol=1e-12, atol=1e-12)


def test_only_the_cpu_sums_by_cumsum(monkeypatch):
    """On CUDA its result may differ from call to call; a meta tensor stands for any other device."""
    monkeypatch.setattr(torch.Tensor, "cumsum", None)
    assert return_to_go(torch.zeros(4, 2, device="meta"), 1.0).shape == (4, 2)


# ---- the credit of a stretch ----

options = st.fixed_dictionaries(
    {
        "gamma": st.sampled_from([0.0, 1e-3, 0.5, 1.0]),
        "loss": st.sampled_from(["step", "trial"]),
        "credit": st.sampled_from(["sample", "batch"]),
        "reference": st.sampled_from(["two", "mean", "silent"]),
        "K": st.integers(1, 3),
    }
)
traces = st.sampled_from([None, 0.2e-3, 1e-3, 20e-3])


@given(
    name=st.sampled_from(["anp", "np"]), options=options, trace=traces, cut=st.integers(1, 5), seed=st.integers(0, 99)
)
def test_a_rule_is_instantaneous_if_and_only_if_any_stretch_has_its_own_credit(name, options, trace, cut, seed):
    """Whatever else the options say: a trace remembers though gamma is 0, and a trial is scored at its end."""
    rule = ANP(**options) if name == "anp" else NP(**options, trace=trace)
    plan, dt = rule.plan(), 1e-3
    losses = torch.rand((6, plan.passes, 4), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    whole, parts = rule.assign(losses, plan, dt), [rule.assign(part, plan, dt) for part in losses.split([cut, 6 - cut])]
    alone = all(
        torch.allclose(torch.cat([getattr(part, layer) for part in parts]), getattr(whole, layer), rtol=0, atol=1e-12)
        for layer in ("hidden", "output")
    )
    assert rule.instantaneous is alone


@pytest.mark.parametrize("trace", [None, 2e-3])
@pytest.mark.parametrize("gamma", [0.0, 0.6])
def test_the_update_of_a_trace_does_not_depend_on_chunks(make_lab, gamma, trace):
    """Cut into stretches or at once, stored or run twice: a rule that looks ahead gets the losses of all time."""
    lab, rule = make_lab(T=9, B=3), NP(gamma=gamma, trace=trace)
    whole = lab.update(rule, chunk=100, dt=1e-3).arrays
    for memory in (0, 1 << 30):
        cut = lab.update(rule, chunk=2, memory=memory, dt=1e-3).arrays
        for name, dW in whole.items():
            torch.testing.assert_close(cut[name], dW, rtol=1e-9, atol=1e-12 * float(dW.abs().max()))
