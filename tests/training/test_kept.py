"""Which steps of a presentation are stored until their credit is known, and which are run twice: never other bits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from neuroanp.training import build
from neuroanp.training.build import Experiment, stored_memory
from neuroanp.training.configure import configure
from neuroanp.training.described import describe
from neuroanp.training.kept import Plan, Rows
from neuroanp.training.memory import fair_share

from .test_resume import same
from .test_stored_passes import RULES, SMALL, SPIKING, ready

GRU = {"network": {"layers": [{"cell": "gru", "units": 5}, {"units": 4}], "bias": True}}


@pytest.mark.parametrize("more", [{}, {"profile": "pcm"}, GRU, SPIKING], ids=["tanh", "pcm", "gru", "lif"])
@pytest.mark.parametrize("rule", ["two", "mean", "np"])
def test_as_many_of_the_last_steps_are_stored_as_fit(rule, more):
    """To the byte, in whole chunks; the weights and the books are the same, bit for bit."""
    chunks, found = [], []
    whole = ready(RULES[rule], {**more, "training.chunk": 4})
    needed = whole.learner.stored_bytes(whole.lab())
    kinds = {needed: [0, 4, 8], needed - 1: [0, 4, 8, 0], needed * 4 // 11: [0, 4, 8, 0, 4]}
    for memory in kinds:
        trainer = replace(ready(RULES[rule], {**more, "training.chunk": 4}), memory=memory)
        lab, run = trainer.lab(), trainer.backend.run

        def noted(request, run=run):
            for chunk in run(request):
                chunks.append(chunk.t0)
                yield chunk

        trainer.backend.run = noted
        chunks.clear()
        plan = trainer.learner.plan_of(lab)
        trainer.step()
        assert (chunks, plan.replayed > 0) == (kinds[memory], memory < needed)
        found.append(trainer.state_dict())
    assert all(same(found[0], each) for each in found[1:])


def test_the_plan_stores_what_fits_and_says_what_is_run_twice():
    plans = [Plan.of(1000, 10**6, memory) for memory in (10**6, 10**6 - 1, 460_000, 124_999, 0)]
    assert [plan.replayed for plan in plans] == [0, 1, 540, 1000, 1000]
    assert str(plans[0]) == "stored until the credit of their steps is known, 977 KiB"
    assert "twice in the first 540 of 1,000 steps, since 977 KiB do not fit in training.memory" in str(plans[2])
    assert "twice in all steps" in str(plans[4])


def test_rows_of_all_steps_are_kept_and_others_copied():
    whole, rows = torch.ones(3, 2), Rows(3)
    assert rows.put("a", 0, whole) is whole
    for t in range(3):
        rows.put("b", t, torch.full((1, 2), float(t)))
    assert rows.of["b"].tolist() == [[0, 0], [1, 1], [2, 2]]


def test_a_machine_with_more_memory_stores_more_unless_it_is_said(monkeypatch):
    """Half of what can be had, by the share of the cores; the run's name does not depend on it."""
    named, plans = set(), []
    for available in (None, 1 << 30, 64 << 30):
        monkeypatch.setattr(build, "available_memory", lambda available=available: available)
        monkeypatch.setattr(build, "usable_cores", lambda: 4)
        config = configure(SMALL)
        named.add(Experiment.of(config).identity)
        plans.append(stored_memory(config))
        assert stored_memory(configure(SMALL, {"training.memory": "1 MB"})) == 10**6
    assert plans == [1 << 30, 1 << 30, 8 << 30]
    assert len(named) == 1
    assert fair_share(100, threads=8, cores=4) == 50


def test_passes_that_are_run_twice_are_said():
    for memory, said in (("1 B", True), ("1 GiB", False)):
        _, log = describe(Experiment.of(configure(SMALL, {"training.memory": memory})))
        assert any(line.startswith("passes: run twice in all steps") for line in log) == said
