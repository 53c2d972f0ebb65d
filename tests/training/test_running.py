"""Running averages in whole runs: state in checkpoints, tasks that repeat, and those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.estimate import memory_of
from neuroanp.training.launch import launch

from .test_resume import same

FIXED = {
    "task": {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 4, "mode": "fixed"},
    "network": {"hidden": 6},
    "rule": {"name": "anp", "reference": "running"},
    "training": {"updates": 20, "batch": 3, "controls": False},
}


def made(**changes):
    return build_trainer(Experiment.of(configure(FIXED, changes)))


@pytest.mark.parametrize(
    "changes",
    [{}, {"rule.difference": "innovation"}, {"rule.name": "np"}, {"profile": "pcm"}, {"backend": "lif", "dt": "1 ms"}],
    ids=["anp", "innovation", "np", "pcm", "lif"],
)
def test_twenty_updates_are_ten_and_ten_after_a_checkpoint(changes):
    whole, first, second = (made(**changes) for _ in range(3))
    rows = [whole.step() for _ in range(20)]
    for _ in range(10):
        first.step()
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    assert [second.step() for _ in range(10)] == rows[10:]
    assert same(second.state_dict(), whole.state_dict())
    assert int(whole.learned["running/count"]) == 20


def test_a_run_of_a_task_that_repeats_learns_and_one_of_fresh_sequences_is_refused(tmp_path: Path):
    record = launch(configure(FIXED), tmp_path)
    assert record.result["status"] == "finished"
    assert record.result["passes"] == 20
    before = [*tmp_path.iterdir()]
    with pytest.raises(InputError, match=r"rule.reference: 'running' .*task 'copy' has others in every update"):
        launch(configure(FIXED, {"task.mode": "fresh"}), tmp_path)
    assert [*tmp_path.iterdir()] == before


def test_it_lowers_the_loss():
    trainer = made(
        **{"training.updates": 300, "optimizer.lr": 1e-3, "rule.average": 1.0, "perturbation": {"sigma": 0.1}}
    )
    losses = [trainer.step()["train_loss"] for _ in range(300)]
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])


def test_the_estimate_counts_what_is_remembered():
    usual, running = (memory_of(Experiment.of(configure(FIXED, {"rule.reference": r}))) for r in ("two", "running"))
    task, N = Experiment.of(configure(FIXED)).task, 6
    numbers = 2 * (1 + N + task.outputs) + task.inputs + task.outputs
    assert running["passes"] == 4 * task.steps * 3 * numbers
    assert usual["passes"] != running["passes"]


def test_the_state_is_on_the_disk_with_the_checkpoint(tmp_path: Path):
    record = launch(configure(FIXED), tmp_path)
    state, _ = record.load_checkpoint(record.latest_checkpoint())
    assert state["learner/running/hidden/h"].shape == (5, 3, 6)
    assert bool(torch.isfinite(state["learner/running/loss"]).all())
