"""Validation while a network learns: when it stops, what is written back and what it costs; resumed to the bit."""

from __future__ import annotations

import os
import signal

import pytest
import torch

from neuroanp.errors import InputError, RunError
from neuroanp.noise import Streams
from neuroanp.records.run_dir import RunDir
from neuroanp.reporting.books import each_update
from neuroanp.reporting.method import methods
from neuroanp.reporting.reading import shown
from neuroanp.reporting.values import quantity
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.estimate import estimate, memory_of
from neuroanp.training.evaluate import HeldOutBatch
from neuroanp.training.launch import launch, resume
from neuroanp.training.readout import key_of, readout_trainer
from neuroanp.training.results import result_of
from neuroanp.training.validating import Validator
from tests.close import close

from .test_resume import final, same

STEPS, SEQUENCES, EVERY = 5, 12, 2
SMALL = {
    "task": {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 16},
    "network": {"hidden": 12},
    "profile": "ideal",
    "rule": {"name": "anp", "reference": "mean", "K": 2},
    "optimizer": {"lr": 0.05, "schedule": "constant"},
    "training": {
        "updates": 40, "batch": 4, "checkpoint_every": 5, "evaluate_every": EVERY, "log_every": 1, "controls": False,
        "validation": SEQUENCES,
    },
}  # fmt: skip


def config(**training):
    profile = training.pop("profile", "ideal")
    write = training.pop("write", "auto")
    overrides = {f"training.{name}": value for name, value in training.items()}
    dt = "2 us" if profile != "ideal" else "1 us"
    return configure(SMALL, {"profile": profile, "hardware.write": write, "dt": dt, **overrides})


def held_of(experiment: Experiment, trainer) -> HeldOutBatch:
    assert experiment.validation is not None
    batch = experiment.validation.batch(Streams(experiment.config.seed).generator("validation"))
    return HeldOutBatch.of(batch, trainer.substrate.weights.like, experiment.task.loss)


def by_hand(losses: list[tuple[int, float]], patience: int) -> tuple[int, int, int]:
    """The update at which training stops, that of the lowest loss until then, and the looks until then."""
    lowest, at, stale = float("inf"), -1, 0
    for looks, (update, loss) in enumerate(losses, 1):
        if loss < lowest:
            lowest, at, stale = loss, update, 0
        else:
            stale += 1
        if stale == patience:
            return update, at, looks
    return losses[-1][0], at, len(losses)


@pytest.mark.parametrize("patience", [1, 2, 4])
def test_training_stops_where_patience_runs_out_and_until_then_it_is_the_same(patience, tmp_path):
    whole, stopped = launch(config(), tmp_path), launch(config(patience=patience), tmp_path)
    losses = [(int(u), loss) for u, loss in zip(*whole.metrics().series("validation_loss"), strict=True)]
    assert [update for update, _ in losses] == [*range(0, 41, EVERY)]
    until, at, looks = by_hand(losses, patience)
    assert until < 40
    rows = [line.rpartition(",")[0] for line in (stopped.path / "metrics.csv").read_text().splitlines()]
    every = [line.rpartition(",")[0] for line in (whole.path / "metrics.csv").read_text().splitlines()]
    assert rows == every[: until + 2]  # the header, and the row of update 0
    found, result = stopped.manifest["validation"], result_of(stopped)
    assert result is not None
    assert (result["updates"], result["passes"], result["status"]) == (until, 3 * until, "finished")
    assert result["validation"] == found
    assert (found["at"], found["looks"], found["stopped"], found["restored"]) == (at, looks, True, False)
    assert (found["lowest"], found["loss"]) == (dict(losses)[at], dict(losses)[until])
    assert result["test_loss"] == stopped.metrics()["test_loss"][-1]
    last = whole.manifest["validation"]
    assert (last["stopped"], last["loss"], last["looks"]) == (False, losses[-1][1], len(losses))


def test_what_is_looked_at_learns_as_if_it_was_not(tmp_path):
    """On a device that time does not change: no other stream is shifted, and no option that was there before."""
    looked, plain = launch(config(), tmp_path), launch(config(validation=None), tmp_path)
    for column in ("train_loss", "update_norm", "test_loss"):
        assert looked.metrics().series(column) == plain.metrics().series(column)
    assert "validation_loss" not in plain.metrics()
    assert "validation" not in plain.manifest
    assert {"validation", "patience", "restore"}.isdisjoint(configure({"task": "copy"}).to_plain()["training"])


@pytest.mark.parametrize("write", ["ideal", "verify", "pulse"])
def test_the_best_weights_are_written_back_as_any_write_is(write, tmp_path):
    """What the arrays are to hold at the end is what they were to hold then; the books have the pulses of it."""
    made = config(profile="pcm", write=write, patience=3, restore=True)
    record = launch(made, tmp_path)
    found = record.manifest["validation"]
    assert found["stopped"]
    assert found["restored"]
    assert found["at"] < record.result["updates"]
    experiment = Experiment.of(made)
    trainer = build_trainer(experiment)
    validator = Validator.of(experiment, trainer)
    assert validator is not None
    validator.look(trainer)
    while trainer.update < record.result["updates"]:
        trainer.step()
        if trainer.update % EVERY == 0:
            validator.look(trainer)
        if trainer.update == found["at"]:
            best = {name: W.clone() for name, W in trainer.substrate.weights.items()}
    chip = trainer.substrate
    pulses, joules, before = chip.ledger.pulses, chip.ledger.energy_J, dict(chip.weights)
    chip.apply(
        type("Change", (), {"arrays": {name: before[name] - W for name, W in best.items()}})(), 1.0, trainer.streams,
        trainer.update,
    )  # fmt: skip
    written = chip.ledger.pulses - pulses
    state, _ = record.load_checkpoint(record.checkpoints()[-1])
    assert found["pulses"] == written
    assert (written > 0) == (write != "ideal")
    assert record.result["pulses"] == chip.ledger.pulses
    assert found["energy_J"] > chip.ledger.energy_J - joules > 0 or write == "ideal"
    for name, array in chip.arrays.items():
        assert torch.equal(state[f"substrate/{name}/g"], array.cells["g"])
        if write != "pulse":
            torch.testing.assert_close(state[f"substrate/{name}/aim"], best[name], rtol=1e-5, atol=1e-6)
    # it is looked at once more, for the write may have erred
    assert found["looks"] == validator.looks + 1
    assert found["loss"] == trainer.validate(held_of(experiment, trainer))
    assert record.metrics().series("validation_loss")[1][-1] == found["loss"]
    assert record.metrics()["test_loss"][-1] == record.result["test_loss"]


def test_on_exact_weights_the_lowest_loss_comes_back(tmp_path):
    record = launch(config(patience=3, restore=True), tmp_path)
    found = record.manifest["validation"]
    assert found["restored"]
    assert found["loss"] == close(found["lowest"], rel=1e-4)
    whole = launch(config(patience=3), tmp_path).manifest["validation"]
    assert (whole["at"], whole["lowest"]) == (found["at"], found["lowest"])
    assert whole["loss"] > found["loss"]


def test_nothing_is_written_where_the_last_weights_are_the_best(tmp_path):
    record = launch(config(updates=4, restore=True, profile="pcm"), tmp_path)
    found = record.manifest["validation"]
    assert (found["at"], found["restored"], found["looks"]) == (4, False, 3)
    assert found["pulses"] == 0


def test_what_looks_cost_is_booked_and_is_no_part_of_an_update(tmp_path):
    """The whole run is the first write, its updates and its looks: N T dt each, and the reads of three arrays."""
    record = launch(config(profile="pcm", updates=10), tmp_path)
    books, found = record.manifest["ledger"], record.manifest["validation"]
    looks = found["looks"]
    assert looks == 6
    assert found["chip_time_s"] == close(looks * SEQUENCES * STEPS * 2e-6, rel=1e-9)
    for key in ("energy_J", "time_s", "pulses"):
        parts = books["first_write"][key] + 10 * books["per_update"][key] + books["validation"][key]
        assert parts == close(books[key], rel=1e-9)
    assert books["validation"]["energy_J"] == found["energy_J"] > 0
    plain = launch(config(profile="pcm", updates=10, validation=None), tmp_path).manifest["ledger"]
    assert books["reads"] - plain["reads"] == 3 * looks * SEQUENCES * STEPS
    assert "validation" not in plain
    (table,) = [each_update(group, {str(record.path): books}) for group in [methods([result_of(record)], [""])]]
    assert table is not None
    cells = {column.header: str(cell) for column, cell in zip(table.columns, table.rows[0].cells, strict=True)}
    assert cells["validation: chip time"] == quantity(found["chip_time_s"], "s")
    assert not any(
        c.header.startswith("validation")
        for c in each_update(methods([result_of(record)], [""]), {str(record.path): plain}).columns
    )
    # energy of reads goes by the reads: passes of training and looks are alike but for their number
    training, validation = 10 * 3 * 4 * STEPS, looks * SEQUENCES * STEPS
    share = found["energy_J"] / validation / ((plain["energy_J"] - plain["energy"]["writes"]) / training)
    assert 0.5 < share < 2.0


def test_what_is_expected_counts_the_looks(tmp_path):
    """Chip time of the reads, before the run and in its books."""
    for updates in (10, 9):
        made = config(profile="pcm", updates=updates)
        time = launch(made, tmp_path).manifest["ledger"]["time"]["reads"]
        assert estimate(made)["chip_time_s"] == close(time, rel=1e-9)


def test_memory_has_the_sequences_and_the_weights_that_are_kept():
    found = {kind: memory_of(Experiment.of(config(**words)))["validation"] for kind, words in {
        "none": {"validation": None}, "looked": {}, "restored": {"restore": True},
    }.items()}  # fmt: skip
    sequences = 4 * STEPS * (SEQUENCES * (3 + 2) + 1)
    assert found == {"none": 0, "looked": sequences, "restored": sequences + 4 * 12 * (3 + 12 + 2)}


def test_a_profile_without_figures_states_none_for_the_looks(tmp_path):
    found = launch(config(profile="ideal", updates=2), tmp_path).manifest["validation"]
    assert found["energy_J"] is None or found["energy_J"] == 0
    assert found["pulses"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize(("profile", "write"), [("pcm", "verify"), ("pcm", "pulse"), ("smtj_koenders", "auto")])
def test_an_interrupted_run_stops_early_where_an_undisturbed_one_does(profile, write, restore, tmp_path, monkeypatch):
    made = config(profile=profile, write=write, patience=3, restore=restore)
    whole = launch(made, tmp_path / "whole")
    ended = whole.result["updates"]
    assert ended < 40
    monkeypatch.setattr("neuroanp.training.loop.REPORT_EVERY_S", 0.0)
    for at in (3, ended - 1):
        cut = tmp_path / f"cut-{at}"

        def stop(event, at=at, told=[]):  # noqa: B006 - remembers that it did
            if event["phase"] == "train" and event["update"] >= at and not told:
                told.append(at)
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(RunError, match="interrupted at update"):
            launch(made, cut, progress=stop)
        (path,) = cut.iterdir()
        assert RunDir.open(path).manifest["status"] == "interrupted"
        resumed = resume(path)
        assert final(resumed) == final(whole)
        assert resumed.manifest["validation"] == whole.manifest["validation"]


def test_20_updates_equal_10_and_10_more_with_what_was_found():
    experiment = Experiment.of(config(profile="pcm", patience=5, restore=True, updates=20))

    def done(trainer, validator, until):
        while trainer.update < until:
            trainer.step()
            if trainer.update % EVERY == 0:
                validator.look(trainer)
        return {**trainer.state_dict(), **validator.state_dict()}

    def ready():
        trainer = build_trainer(experiment)
        validator = Validator.of(experiment, trainer)
        assert validator is not None
        return trainer, validator

    whole, first, second = ready(), ready(), ready()
    for trainer, validator in (whole, first):
        validator.look(trainer)
    state = done(*first, 10)
    for part in second:
        part.load_state_dict(state)
    assert same(done(*second, 20), done(*whole, 20))
    assert second[1].best.keys() == whole[1].best.keys() != set()


def test_the_frozen_control_has_patience_of_its_own(tmp_path):
    """It is trained as the run is, and stops by its own validation loss."""
    made = config(patience=2, controls=True)
    record = launch(made, tmp_path)
    experiment = Experiment.of(made)
    trainer = readout_trainer(experiment, build_trainer(experiment).batches)
    held, losses = held_of(experiment, trainer), []
    losses.append((0, trainer.validate(held)))
    while trainer.update < 40 and by_hand(losses, 2)[2] == len(losses) and not _over(losses, 2):
        trainer.step()
        if trainer.update % EVERY == 0:
            losses.append((trainer.update, trainer.validate(held)))
    test = experiment.task.test(Streams(0).generator("test"))
    expected = trainer.test_loss(HeldOutBatch.of(test, trainer.substrate.weights.like, experiment.task.loss))
    assert record.result["controls"]["frozen_recurrence"] == expected


def _over(losses, patience) -> bool:
    lowest = min(range(len(losses)), key=lambda k: losses[k][1])
    return len(losses) - 1 - lowest >= patience


def test_controls_are_shared_only_where_the_same_is_looked_at():
    base = key_of(Experiment.of(config(controls=True)))
    assert base != key_of(Experiment.of(config(controls=True, validation=None)))
    assert base != key_of(Experiment.of(config(controls=True, evaluate_every=4)))
    plain = key_of(Experiment.of(config(controls=True, validation=None)))
    assert plain == key_of(Experiment.of(config(controls=True, validation=None, evaluate_every=4)))


def test_a_run_says_what_is_kept_and_when_it_stops(tmp_path):
    record = launch(config(patience=1, restore=True), tmp_path)
    (line,) = [line for line in record.manifest["log"] if line.startswith("validation: ")]
    assert line == (
        "validation: 12 sequences, drawn as training sequences are, from a stream of their own; training stops after 1 "
        "evaluation without a lower loss, and the weights of the lowest loss are written back, which is booked; looks "
        "are booked"
    )
    assert "training.patience" in shown(record).options


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"patience": 3}, "patience: looks at the validation loss; set training.validation"),
        ({"restore": True}, "restore: looks at the validation loss; set training.validation"),
        ({"validation": 0}, "0 must be at least 1"),
        ({"validation": 8, "patience": 0}, "0 must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(said, why):
    with pytest.raises(InputError) as caught:
        configure({"task": "copy", "training": said})
    (line,) = caught.value.problems
    assert why in line


def test_too_many_sequences_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match=r"validation: 400 sequences are too many: task 'weather' has .* for 154"):
        launch(configure({"task": "weather", "training": {"validation": 400}}), tmp_path)
    assert not list(tmp_path.iterdir())
