"""Weight perturbation in whole runs: on top of what devices hold, what is booked, and where it makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch

from .test_resume import same

SMALL = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4},
    "network": {"hidden": 5},
    "rule": {"name": "wp", "K": 2},
    "training": {"updates": 20, "batch": 3, "controls": False},
}


def made(**changes):
    return build_trainer(Experiment.of(configure(SMALL, changes)))


def test_it_comes_on_top_of_what_the_arrays_hold():
    """Of PCM, which errs and drifts: each presentation reads W + sigma xi, its noise and converters as they are."""
    trainer = made(profile="pcm")
    trainer.step()
    lab, seen = trainer.lab(), []
    run = lab.backend.run
    lab.backend.run = lambda request: (seen.append(request), run(request))[1]  # pyright: ignore
    before = trainer.substrate.ledger.report()
    trainer.learner.learn({}, lab)
    after = trainer.substrate.ledger.report()
    assert [request.plan.stream for request in seen] == [(0,), (1,), (2,)]
    assert [request.plan.noise for request in seen] == [(1.0,)] * 3
    moves = [request.reads["w"].W - lab.reads["w"].W for request in seen]
    moved = [move for move in moves if move.any()]
    assert len(moved) == 2
    assert 0.5e-3 < float(torch.cat(moved).std()) < 1.5e-3
    assert not torch.equal(*moved)
    for request in seen:
        read, own = request.reads["w"], lab.reads["w"]
        assert read.sigma2 is own.sigma2
        assert (read.dac, read.adc) == (own.dac, own.adc)
    assert after["reads"] - before["reads"] == 3 * 3 * trainer.task.steps * 3  # arrays x sequences x steps x passes
    assert (after["pulses"], after["wear"]) == (before["pulses"], before["wear"])


@pytest.mark.parametrize(
    "changes",
    [{}, {"rule.credit": "sample"}, {"rule.reference": "two"}, {"rule.preset": "paper"}, {"profile": "rram_hfo2"}],
    ids=["batch", "sample", "two", "paper", "rram"],
)
def test_twenty_updates_are_ten_and_ten_after_a_checkpoint(changes):
    whole, first, second = (made(**changes) for _ in range(3))
    rows = [whole.step() for _ in range(20)]
    for _ in range(10):
        first.step()
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    assert [second.step() for _ in range(10)] == rows[10:]
    assert same(second.state_dict(), whole.state_dict())


def test_it_lowers_the_loss_and_has_its_controls(tmp_path: Path):
    options = {"training.updates": 100, "optimizer.lr": 2e-2, "rule.K": 8, "training.controls": True}
    record = launch(configure(SMALL, options), tmp_path)
    assert record.result["passes"] == 100 * 9
    assert {"ridge", "refit", "frozen_recurrence"} <= set(record.result["controls"])
    losses = record.metrics()["train_loss"]
    assert losses[-1] < 0.5 * losses[1]
    assert any("weights, Gaussian of sigma 0.001 digitally" in line for line in record.manifest["log"])
    assert not any("nothing perturbs the units" in line for line in record.manifest["log"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"perturbation": {"name": "gaussian"}}, "'gaussian' is noise on the units, and rule 'wp' moves weights"),
        ({"backend": "loihi", "dt": "1 ms"}, "'wp' moves weights by less than backend 'loihi' resolves"),
        ({"backend": "lif", "dt": "1 ms", "rule.draw": "step"}, "rule.draw: 'step' is defined for rate networks alone"),
        (
            {"profile": "pcm", "rule.preset": "paper"},
            "rule.draw: 'step' moves weights between two steps, which no array",
        ),
    ],
)
def test_where_it_makes_no_sense_it_is_refused(changes, said, tmp_path: Path):
    with pytest.raises(InputError) as error:
        launch(configure(SMALL, changes), tmp_path)
    assert said in "\n".join([str(error.value), *error.value.problems])
    assert not [*tmp_path.iterdir()]


def test_units_have_no_noise_that_no_device_makes():
    assert not any(made().substrate.node_sigmas(True).values())
    assert any(made(rule={"name": "anp"}).substrate.node_sigmas(True).values())
