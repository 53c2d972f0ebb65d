"""Evaluation after idle time: what it says, and that it leaves the run alone."""

from __future__ import annotations

import pytest

from neuroanp.errors import InputError
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.evaluate import HeldOutBatch
from neuroanp.training.launch import launch
from neuroanp.training.results import result_of
from tests.close import close

from .test_resume import SMALL, config, final, same

AFTER = {"training.evaluate_after": ["30 d", "1h"]}


def held_of(trainer) -> HeldOutBatch:
    return HeldOutBatch.of(
        trainer.task.test(trainer.streams.generator("test")), trainer.substrate.weights["w"], trainer.task.loss
    )


def test_idle_times_are_named_sorted_and_read_back():
    found = configure(SMALL, {"training.evaluate_after": ["30 d", "1h", "5 min"]})
    assert found.training.evaluate_after == ["5 min", "1 h", "30 d"]
    assert configure(found.to_plain()) == found


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (["3600"], "'3600' has no unit; write e.g. '1 h'"),
        ([5], "'5' has no unit; write e.g. '5 h'"),
        ("[5]", "'5' has no unit; write e.g. '5 h'"),
        (["1 V"], "not a time"),
        (["0 s"], "not above zero"),
        (["-1 h"], "not above zero"),
        (["1 h", "60 min"], "'60 min' is '1 h' again"),
        (["1 h", "1 h"], "'1 h' is '1 h' again"),
    ],
)
def test_times_that_cannot_be_meant_are_refused(times, words):
    with pytest.raises(InputError, match=words):
        configure(SMALL, {"training.evaluate_after": times})


def test_environment_of_the_chip_is_read_and_written_back():
    found = configure(SMALL, {"hardware.temperature": "350 K", "hardware.wires": "exact"})
    assert (found.hardware.temperature, found.hardware.wires) == (350.0, "exact")
    assert configure(found.to_plain()) == found
    for key, value, words in (
        ("temperature", "350", "no unit"),
        ("temperature", "0 K", "not above zero"),
        ("wires", "slow", "not one of fast, exact"),
    ):
        with pytest.raises(InputError, match=words):
            configure(SMALL, {f"hardware.{key}": value})


@pytest.mark.parametrize(("profile", "write"), [("pcm", "verify"), ("capacitor", "verify"), ("capacitor", "pulse")])
def test_looking_ahead_leaves_chip_clock_and_books_alone(profile, write):
    """A volatile device that was looked at after a day goes on as one that was not: bit for bit."""
    experiment = Experiment.of(config(profile, write))
    watched, left = build_trainer(experiment), build_trainer(experiment)
    held = held_of(watched)
    for _ in range(3):
        for trainer in (watched, left):
            trainer.step()
        assert watched.evaluate_after(held, 86_400.0).test_loss != watched.evaluate(held).test_loss  # the day shows
    assert same(watched.state_dict(), left.state_dict())


def test_a_capacitor_forgets_all_in_a_day():
    """Its charge leaks with a time constant far below a day: weights, and so outputs, are zero."""
    trainer = build_trainer(Experiment.of(config("capacitor")))
    held = held_of(trainer)
    silent = float((held.targets.double() ** 2 * held.mask[:, None, None]).sum())
    silent /= float(held.mask.sum()) * held.targets.shape[1] * held.targets.shape[2]
    assert trainer.evaluate_after(held, 86_400.0).test_loss == close(silent, rel=1e-3)


def test_drift_alone_makes_the_difference():
    """Without drift the noise-free loss does not change with time; with it the conductances at t decide."""
    still = build_trainer(Experiment.of(configure(SMALL, {"profile": "pcm", "hardware.without": ["drift"]})))
    held = held_of(still)
    assert still.evaluate_after(held, 1e7).test_loss_noise_free == still.evaluate(held).test_loss_noise_free
    drifting = build_trainer(Experiment.of(config("pcm")))
    elapsed = build_trainer(Experiment.of(config("pcm")))
    elapsed.substrate.elapse(1e7)
    ahead = drifting.evaluate_after(held, 1e7)
    assert (ahead.test_loss, ahead.test_loss_noise_free) == (
        elapsed.evaluate(held).test_loss,
        elapsed.evaluate(held).test_loss_noise_free,
    )
    assert ahead.test_loss_noise_free != drifting.evaluate(held).test_loss_noise_free


def test_a_run_stores_its_losses_after_idle_time_and_is_otherwise_the_same(tmp_path):
    plain = launch(config("pcm"), tmp_path / "plain")
    after = launch(configure(config("pcm").to_plain(), AFTER), tmp_path / "after")
    assert final(after) == final(plain)
    row = result_of(after)
    assert row is not None
    assert list(row["test_loss_after"]) == list(row["test_loss_noise_free_after"]) == ["1 h", "30 d"]
    assert len({row["test_loss"], *row["test_loss_after"].values()}) == 3
    without = result_of(plain)
    assert without is not None
    assert without["test_loss_after"] == {}
