"""Outer products: their sum, and that no cut of time moves a bit of an update."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.outer_products import ROWS, OuterProducts, block_steps

from .test_resume import same


@given(cuts=st.lists(st.integers(1, 2500), min_size=1, max_size=9), batch=st.sampled_from([1, 3, 400, 9000]))
@settings(max_examples=30, deadline=None)
def test_sums_are_those_of_every_cut(cuts, batch):
    cuts = [max(1, cut // batch) for cut in cuts]
    T = sum(cuts)
    draws = torch.Generator().manual_seed(0)
    A, pre = (torch.randn(T, batch, n, generator=draws) for n in (3, 5))
    found = []
    for parts in (cuts, [T], [1] * T):
        products, t = OuterProducts({"w": torch.zeros(3, 5)}, batch), 0
        for steps in parts:
            products.add({"w": A[t : t + steps]}, {"w": pre[t : t + steps], "w_in": pre})
            t += steps
        found.append(products.done()["w"])
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    exact = torch.einsum("tbi,tbj->ij", A.double(), pre.double())
    torch.testing.assert_close(found[0].double(), exact, rtol=1e-4, atol=1e-4 * (T * batch) ** 0.5)
    assert block_steps(batch) * batch <= max(ROWS, batch)


CONFIG = {
    "task": {"name": "mackey_glass", "steps": 150, "test_size": 4},
    "network": {"hidden": 12},
    "rule": {"name": "anp", "reference": "mean", "K": 3},
    "perturbation": {"name": "gaussian"},
    "training": {"updates": 3, "batch": 60, "controls": False},
}
CASES = {
    "tanh": {},
    "pcm": {"profile": "pcm"},
    "koenders": {"profile": "smtj_koenders", "perturbation": {"name": "none"}},
    "large": {"network": {"hidden": 70}},
    "two layers": {"network": {"layers": [{"units": 9}, {"cell": "gru", "units": 5}], "skip": True}},
    "own step": {"rule.gamma": 0.0},
    "replayed": {"training.memory": "1 B"},
    "double": {"compute.dtype": "float64"},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_bits_of_an_update_are_those_of_every_chunk(case):
    """Weights, counts and the recorded loss; energies are sums of real numbers, and the same to rounding."""
    found = []
    for chunk in (None, 1, 7, 51, 64):
        trainer = build_trainer(Experiment.of(configure(CONFIG, {**CASES[case], "training.chunk": chunk})))
        told = [trainer.step() for _ in range(2)]
        found.append((trainer.state_dict(), told))
    for state, told in found[1:]:
        energy, first = (each.pop("substrate/ledger/energy") for each in (state, {**found[0][0]}))
        torch.testing.assert_close(energy, first, rtol=1e-6, atol=0)
        assert same(state, {k: v for k, v in found[0][0].items() if k != "substrate/ledger/energy"})
        assert told == found[0][1]
