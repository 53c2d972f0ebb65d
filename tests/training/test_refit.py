"""Outputs fitted once training is over: least squares of what the chip did, within its range, written and booked."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch

from neuroanp.baselines.network import rate_activities
from neuroanp.baselines.protocol import scored
from neuroanp.baselines.regression import drawn
from neuroanp.baselines.ridge import features
from neuroanp.errors import DivergedError, InputError, RunError
from neuroanp.noise import Streams
from neuroanp.reporting.books import each_update
from neuroanp.reporting.method import methods
from neuroanp.reporting.values import quantity
from neuroanp.training.batches import Batches
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure, load_config
from neuroanp.training.decorrelating import folded
from neuroanp.training.estimate import estimate, memory_of
from neuroanp.training.evaluate import HeldOutBatch
from neuroanp.training.launch import launch, resume
from neuroanp.training.readout import readout_trainer
from neuroanp.training.refitting import AS_EXACT, Refit, _Bench
from neuroanp.training.results import result_of
from neuroanp.training.under_noise import UnderNoise
from neuroanp.trajectory import Weights
from tests.close import close

from .test_resume import final

STEPS, SEQUENCES = 7, 200
SMALL = {
    "task": {"name": "copy", "length": 3, "delay": 1, "symbols": 3, "test_size": 16},
    "network": {"hidden": 12, "bias": True},
    "rule": {"name": "anp", "reference": "mean", "K": 2},
    "optimizer": {"lr": 0.02, "schedule": "constant"},
    "training": {
        "updates": 10, "batch": 4, "checkpoint_every": 5, "evaluate_every": 5, "log_every": 1, "controls": False,
        "refit": SEQUENCES,
    },
    "compute": {"dtype": "float64"},
}  # fmt: skip
TWO_LAYERS = {"layers": [{"units": 8}, {"units": 6}], "bias": True, "skip": True}


def config(profile="ideal", changes=None, **training):
    dt = "2 us" if profile != "ideal" else "1 us"
    overrides = {f"training.{name}": value for name, value in training.items()}
    return configure(SMALL, {"profile": profile, "dt": dt, **overrides, **(changes or {})})


def trained(record):
    """The trainer of a run, as its last checkpoint has it."""
    trainer = build_trainer(Experiment.of(config_of(record)))
    trainer.load_state_dict(record.load_checkpoint(record.checkpoints()[-1])[0])
    return trainer


def held(record) -> Weights:
    """What the chip is to hold at the end."""
    return trained(record).substrate.weights


def config_of(record):
    return load_config(record.path / "config.yaml")


def sums(experiment: Experiment, weights: Weights, D=None, activity=rate_activities):
    """A^T A, A^T Y over the sequences that are fitted to, by the noise-free network; the features' mean square, summed.

    D: by layer, what decorrelates its activity before arrays carry it.
    """
    gram, cross = 0.0, 0.0
    for chooses, batch in drawn(experiment.task, Streams(experiment.config.seed), "refit", SEQUENCES):
        if chooses:
            continue
        folded_ = folded(weights, D or {})
        did = activity(Weights({n: W.double() for n, W in folded_.items()}, weights.network), batch.inputs)
        did = {layer: x @ D[layer].T if D and layer in D else x for layer, x in did.items()}
        a, y = scored(features(did, weights.network).numpy(), batch.mask), scored(batch.targets, batch.mask)
        gram, cross = gram + a.T @ a, cross + a.T @ y
    return gram, cross, float(np.trace(gram)) / len(gram)


@pytest.mark.parametrize(
    "changes",
    [{}, {"rule": "bptt"}, {"rule": "wp"}, {"rule": "echo"}, {"network": TWO_LAYERS},
     {"rule": {"name": "anp", "K": 2, "decorrelation": {"lr": 0.3}}}],
    ids=["anp", "bptt", "wp", "echo", "two layers", "decorrelated"],
)  # fmt: skip
def test_exact_arrays_hold_the_least_squares_of_what_the_network_did(changes, tmp_path):
    """W (A^T A + lambda q) = Y^T A, of the recurrence that was learned; which of no other refit stays as it was."""
    record, plain = launch(config(changes=changes), tmp_path), launch(config(changes=changes, refit=None), tmp_path)
    experiment, W, before = Experiment.of(config_of(record)), held(record), held(plain)
    D = trained(record).substrate.decorrelation
    gram, cross, unit = sums(experiment, W, D)
    w_out = torch.cat([W[name] for name in W.network.readout], 1).double().numpy()
    found = record.manifest["refit"]
    assert found["at_limit"] == 0
    left = w_out @ (gram + found["strength"] * unit * np.eye(len(gram))) - cross.T
    assert np.abs(left).max() < 1e-6
    if D:  # arrays carry other sums than units do
        assert np.abs(w_out @ sums(experiment, W)[0] - cross.T).max() > 0.1
    for name in W:
        same = torch.allclose(W[name], before[name], rtol=1e-12, atol=0)
        assert same == (name not in W.network.readout), name
    assert record.result["test_loss"] < plain.result["test_loss"]
    assert record.result["test_loss"] == record.metrics()["test_loss"][-1]
    assert found["before"] > found["after"] == close(found["exact"], rel=1e-6)
    assert (found["writes"], found["looks"]) == (1, 2)


def test_a_network_as_it_was_drawn_has_its_outputs_fitted(tmp_path):
    """0 updates: the loss of the ridge control, which is fitted to more sequences; and that of frozen recurrence."""
    drawn_, taught = launch(config(updates=0, controls=True), tmp_path), launch(config(controls=True), tmp_path)
    loss, found = drawn_.result["test_loss"], drawn_.result["controls"]
    assert loss == close(found["ridge"], rel=0.2)
    assert taught.result["controls"]["frozen_recurrence"] == close(loss, rel=1e-6)
    assert taught.result["controls"]["refit"] == close(taught.result["test_loss"], rel=0.2)
    assert drawn_.metrics()["test_loss"] == [loss]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["rate", "lif"])
@pytest.mark.parametrize("profile", ["pcm", "smtj_koenders"])
def test_under_noise_it_is_fitted_to_what_the_noisy_chip_did(profile, backend, tmp_path):
    """As the control that is fitted under noise, whose weights nobody writes; on units that spike too."""
    spiking = {"backend": "lif", "encoder.hold": 10, "dt": "1 ms"} if backend == "lif" else {}
    changes = {"network": {"hidden": 20}, "hardware.write": "ideal", **spiking}
    record = launch(config(profile, changes, controls=True, refit=2000), tmp_path)
    loss, control = record.result["test_loss"], record.result["controls"]["refit_noisy"]
    plain = launch(config(profile, changes, refit=None), tmp_path).result["test_loss"]
    assert loss < 0.6 * plain
    assert loss < 1.6 * control


def test_it_is_fitted_to_the_noise_that_the_chip_has():
    """The equations hold of what the chip did under its noise, and not of what it would do without."""
    experiment = Experiment.of(config("smtj_koenders", {"hardware.write": "ideal"}))
    twin, trainer = build_trainer(experiment), build_trainer(experiment)
    chip = UnderNoise(twin.substrate, twin.backend, twin.streams, "refit", twin.dt, learns=True)
    gram, cross, unit = sums(experiment, twin.substrate.weights, activity=chip)
    refit = Refit.of(experiment)
    assert refit is not None
    refit.end(trainer)
    w_out = trainer.substrate.weights["w_out"].numpy()
    assert refit.looks == 2
    assert np.abs(w_out @ (gram + refit.strength * unit * np.eye(len(gram))) - cross.T).max() < 1e-6
    silent, same, _ = sums(experiment, twin.substrate.weights)
    assert np.abs(w_out @ (silent + refit.strength * unit * np.eye(len(gram))) - same.T).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "write"), [("rram_hfo2", "verify"), ("ecram", "pulse"), ("pcm", "verify")])
def test_errors_of_writing_count(profile, write, tmp_path):
    """What is left is near the best that was written, and far better than the first fit, which is of exact weights."""
    changes = {"hardware.write": write, "task.length": 2, "task.symbols": 2}
    record = launch(config(profile, changes, refit=2000), tmp_path)
    found, trainer = record.manifest["refit"], build_trainer(Experiment.of(config_of(record)))
    plain = launch(config(profile, changes, refit=None), tmp_path).result["test_loss"]
    assert found["writes"] > 1
    assert record.result["test_loss"] < 0.5 * plain
    assert found["after"] < 0.5 * found["before"]
    (first, w_out, exact), *stronger = (bench := _Bench.of(trainer, 2000, lambda: None)).solutions()
    assert exact <= min(each for *_, each in stronger)
    assert first < min(strength for strength, *_ in stronger)
    assert bench.written(w_out) > AS_EXACT * exact


def test_outputs_that_no_write_makes_better_are_written_back(monkeypatch):
    """Where all that is written is worse, what was before comes back, as often as it takes to do as well."""
    experiment = Experiment.of(config("pcm"))
    trainer, refit = build_trainer(experiment), Refit.of(experiment)
    assert refit is not None
    before = trainer.substrate.weights["w_out"].clone()
    losses = iter([0.1] + [0.5] * 11 + [0.3, 0.2, 0.105, 9.0])
    monkeypatch.setattr(_Bench, "look", lambda self: next(losses))
    refit.end(trainer)
    assert refit.after == 0.105
    assert np.isnan(refit.strength)
    torch.testing.assert_close(trainer.substrate.weights["w_out"], before, rtol=1e-6, atol=1e-9)
    assert next(losses) == 9.0
    fact = {key: refit.facts()[key] for key in ("strength", "at_limit", "before", "after")}
    assert fact == {"strength": None, "at_limit": None, "before": 0.1, "after": 0.105}


def test_a_run_that_stops_early_is_fitted_where_it_stopped(tmp_path):
    record = launch(config(validation=12, patience=1, updates=200, evaluate_every=1), tmp_path)
    assert record.manifest["validation"]["stopped"]
    assert record.result["updates"] < 200
    assert record.manifest["refit"]["after"] < record.manifest["refit"]["before"]
    assert record.metrics()["test_loss"][-1] == record.result["test_loss"]


def test_pulses_that_nobody_verifies_are_sent_again_while_that_brings_weights_nearer():
    trainer = build_trainer(Experiment.of(config("ecram", {"hardware.write": "pulse"})))
    bench = _Bench.of(trainer, 2000, lambda: None)
    (_, w_out, _), *_ = bench.solutions()
    loss, W = bench.written(w_out), torch.as_tensor(w_out.copy())
    assert bench.writes > 1
    left = (trainer.substrate.weights["w_out"] - W).square().mean().sqrt()
    once = build_trainer(Experiment.of(config("ecram", {"hardware.write": "pulse"})))
    other = _Bench.of(once, 2000, lambda: None)
    once.write({"w_out": W}, late=1)
    assert left < 0.9 * (once.substrate.weights["w_out"] - W).square().mean().sqrt()
    assert loss < other.look()


@pytest.mark.parametrize("decorrelation", [None, {"lr": 0.3}])
def test_frozen_recurrence_is_fitted_on_a_chip_as_old_as_the_one_that_learned(decorrelation, tmp_path):
    """Nothing of it is decorrelated, as in the control that is trained, so that no update would be seen in the end."""
    rule = {"name": "anp", "K": 2, "decorrelation": decorrelation}
    made = config("pcm", {"dt": "1 ms", "rule": rule}, controls=True)
    record, experiment = launch(made, tmp_path), Experiment.of(made)
    old, young = (readout_trainer(experiment, Batches()) for _ in range(2))
    old.substrate.elapse(10 * old.window())
    test = experiment.task.test(Streams(0).generator("test"))
    losses = []
    for trainer in (old, young):
        refit = Refit.of(experiment)
        assert refit is not None
        refit.end(trainer)
        losses.append(trainer.test_loss(HeldOutBatch.of(test, trainer.substrate.weights.like, experiment.task.loss)))
    assert record.result["controls"]["frozen_recurrence"] == losses[0] != losses[1]


@pytest.mark.parametrize("updates", [0, 10])
def test_what_the_last_write_missed_is_said(updates, tmp_path):
    record = launch(config("rram_hfo2", updates=updates), tmp_path)
    found = record.manifest["refit"]
    assert record.manifest["health"]["unverified"] == record.metrics()["unverified"][-1] == found["unverified"] > 0


def test_a_fit_can_be_left_and_the_run_taken_up_again(tmp_path):
    """Its pieces tell that they are done, and the first Ctrl-C is heeded between them."""
    whole, told = launch(config("pcm", refit=3000), tmp_path / "whole"), []

    def stop(event):
        told.append(event["phase"])
        if told.count("refit") == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(RunError, match="interrupted at update 10 of 10"):
        launch(config("pcm", refit=3000), tmp_path / "cut", progress=stop)
    assert told[-1] == "refit"
    (path,) = (tmp_path / "cut").iterdir()
    assert final(resume(path)) == final(whole)


@pytest.mark.parametrize("network", [{"hidden": 40}, {"layers": [{"units": 40}, {"units": 8}], "skip": True}])
def test_what_arrays_cannot_hold_is_not_asked_of_them(network, tmp_path):
    """The least within their range: weights at its end pull outwards, the others do not pull.

    To cut the free solution off would leave all of them pulling: of XOR its weights are hundreds. Of several arrays
    each has a range of its own.
    """
    record = launch(config(changes={"task": {"name": "xor"}, "network": network}, updates=2), tmp_path)
    experiment, W = Experiment.of(config_of(record)), held(record)
    limits = build_trainer(experiment).limits
    names = W.network.readout
    limit = np.concatenate([np.full(W[name].shape[1], limits[name]) for name in names])
    assert len(names) == 1 or len(set(limit)) > 1
    w_out, found = torch.cat([W[name] for name in names], 1).numpy(), record.manifest["refit"]
    gram, cross, unit = sums(experiment, W)
    slope = w_out @ (gram + found["strength"] * unit * np.eye(len(gram))) - cross.T
    at = np.abs(w_out) >= limit * (1 - 1e-9)
    assert 0 < at.mean() == found["at_limit"] < 1
    assert (np.abs(w_out) <= limit * (1 + 1e-12)).all()
    pull = 1e-6 * np.abs(cross).max()
    assert np.abs(slope[~at]).max() < pull
    assert (slope[at] * np.sign(w_out[at]) < pull).all()


@pytest.mark.parametrize("write", ["ideal", "verify", "pulse"])
def test_what_it_takes_is_booked_and_is_no_part_of_an_update(write, tmp_path):
    """The whole run is the first write, its updates and the fit: N T dt, looks, reads of three arrays, and writes."""
    changes = {"hardware.write": write}
    record, plain = launch(config("pcm", changes), tmp_path), launch(config("pcm", changes, refit=None), tmp_path)
    books, before, found = record.manifest["ledger"], plain.manifest["ledger"], record.manifest["refit"]
    shown = SEQUENCES + found["looks"] * SEQUENCES // 5
    assert books["time"]["reads"] - before["time"]["reads"] == close(shown * STEPS * 2e-6, rel=1e-9)
    assert books["reads"] - before["reads"] == 3 * shown * STEPS
    for key, name in (("energy_J", "energy_J"), ("time_s", "chip_time_s"), ("pulses", "pulses")):
        assert found[name] == books["refit"][key] == close(books[key] - before[key], rel=1e-9)
        parts = books["first_write"][key] + 10 * books["per_update"][key] + books["refit"][key]
        assert parts == close(books[key], rel=1e-9)
        assert books["per_update"][key] == close(before["per_update"][key], rel=1e-6)
    assert (found["pulses"] > 0) == (write != "ideal")
    assert result_of(record)["refit"] == found
    assert record.result["passes"] == plain.result["passes"]
    (group,) = [methods([result_of(record)])]
    table = each_update(group, {str(record.path): books})
    cells = {column.header: str(cell) for column, cell in zip(table.columns, table.rows[0].cells, strict=True)}
    assert cells["refit: chip time"] == quantity(found["chip_time_s"], "s")


def test_it_is_written_with_errors_that_earlier_writes_did_not_have(monkeypatch):
    """The same weights are written twice after one update: programming errs anew."""
    trainer = build_trainer(Experiment.of(config("pcm")))
    target, made = dict(trainer.substrate.weights), []
    for late in (0, 1):
        trainer.write({name: 0.5 * W for name, W in target.items()})
        trainer.write(target, late)
        made.append(trainer.substrate.arrays["w"].cells["g"].clone())
    assert not torch.equal(*made)
    written = []
    write = type(trainer).write
    monkeypatch.setattr(type(trainer), "write", lambda *a, late=0: written.append((set(a[1]), late)) or write(*a, late))
    refit = Refit.of(Experiment.of(config("pcm")))
    assert refit is not None
    refit.end(trainer)  # the best weights may have been written back before: that was late by 0
    assert written == [({"w_out"}, k + 1) for k in range(refit.writes)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "write", "validation"), [("pcm", "verify", 12), ("pcm", "pulse", None), ("smtj_koenders", "auto", 12)]
)
def test_an_interrupted_run_ends_as_an_undisturbed_one(profile, write, validation, tmp_path, monkeypatch):
    looks = {"validation": validation, "restore": validation is not None, "evaluate_every": 2}
    made = config(profile, {"hardware.write": write}, **looks)
    whole = launch(made, tmp_path / "whole")
    assert np.isfinite(whole.manifest["refit"]["strength"])
    monkeypatch.setattr("neuroanp.training.loop.REPORT_EVERY_S", 0.0)
    for phase, at in (("train", 3), ("train", 10), ("evaluate", 10)):
        cut = tmp_path / f"cut-{phase}-{at}"

        def stop(event, phase=phase, at=at, told=[]):  # noqa: B006 - remembers that it did
            if event["phase"] == phase and event["update"] >= at and not told:
                told.append(at)
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(RunError, match="interrupted at update"):
            launch(made, cut, progress=stop)
        (path,) = cut.iterdir()
        resumed = resume(path)
        assert final(resumed) == final(whole)
        for key in ("refit", "validation", "ledger"):
            assert resumed.manifest.get(key) == whole.manifest.get(key)


def test_the_validation_loss_is_that_of_the_fitted_outputs(tmp_path):
    """One look more, of which a run tells; and what is expected counts all of it."""
    made = config("pcm", validation=12, restore=True)
    record = launch(made, tmp_path)
    found, plain = record.manifest["validation"], launch(config("pcm", validation=12), tmp_path)
    assert found["looks"] == plain.manifest["validation"]["looks"] + found["restored"]
    assert record.metrics().series("validation_loss")[1][-1] == found["loss"]
    books, looks = plain.manifest["ledger"], plain.manifest["refit"]["looks"] - 2
    time = books["time"]["reads"] - looks * SEQUENCES // 5 * STEPS * 2e-6  # it takes more than the least, here
    assert looks > 0
    assert estimate(config("pcm", validation=12))["chip_time_s"] == close(time, rel=1e-9)
    parts = [books["first_write"], books["validation"], books["refit"]]
    assert sum(part["energy_J"] for part in parts) + 10 * books["per_update"]["energy_J"] == close(
        books["energy_J"], rel=1e-9
    )


def test_memory_has_what_lines_carry_and_the_sums():
    plain, fitted = (memory_of(Experiment.of(config(refit=n)))["readout"] for n in (None, SEQUENCES))
    assert (plain, fitted) == (0, 5 * 8 * 13**2 + 3 * 8 * SEQUENCES * STEPS * 13)


@pytest.mark.parametrize(
    ("rule", "without", "fitted"),
    [("anp", "S", "S+"), ({"name": "anp", "readout": "delta"}, "S+", "S+"), ("echo", "E", "E"), ("bptt", "BP", "BP")],
)
def test_outputs_that_are_fitted_know_their_targets(rule, without, fitted):
    """Of a network that is left as it was drawn outputs alone are told anything, whatever the rule's name."""
    assert config(changes={"rule": rule}, updates=0).feedback == "S+"
    assert config(changes={"rule": rule}, refit=None).feedback == without
    assert config(changes={"rule": rule}).feedback == fitted


@pytest.mark.parametrize(
    ("changes", "fits", "updates"),
    [({"updates": 0}, 1, 0), ({}, 1, 10), ({"controls": True}, 2, 10), ({"controls": True, "frozen": False}, 1, 10)],
)
def test_what_is_expected_counts_the_seconds_of_the_fit(changes, fits, updates, monkeypatch):
    """Its sequences and two looks, a second each, and those of frozen recurrence, which does no updates then."""
    monkeypatch.setattr("neuroanp.training.estimate._seconds_a_sequence", lambda trainer: 1.0)
    monkeypatch.setattr("neuroanp.training.estimate._seconds_an_update", lambda trainer: 0.25)
    for sequences, look in ((1000, 200), (100_000, 256)):
        found = estimate(config("pcm", refit=sequences, **changes))["seconds"]
        assert found == fits * (sequences + 2 * look) + 0.25 * updates


def test_a_transfer_fits_nothing():
    from neuroanp.comparing.transfer import plan

    with pytest.raises(InputError, match=r"training\.refit: a transfer writes the weights of a twin as they are"):
        plan(SMALL, profiles=["pcm"], fine_tune=5)


def test_fine_tuning_for_a_chip_fits_nothing(tmp_path):
    from neuroanp.export.finetune import FineTuning, _config

    assert _config(config(), FineTuning(updates=3), whole=False).training.refit is None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"training": {"refit": 4}}, "training.refit: 4 must be at least 5"),
        ({"training": {"refit": 2_000_000}}, "training.refit: 2000000 must be at most 1000000"),
        ({"training": {"refit": True}}, "training.refit: True is not a whole number"),
        ({"training": {"updates": 0}}, "or training.refit fits the outputs of a network that is left as it was drawn"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(said, why):
    with pytest.raises(InputError) as caught:
        configure({"task": "copy", **said})
    (line,) = caught.value.problems
    assert why in line


def test_a_loss_that_is_not_of_squares_is_refused_before_anything_is_written(tmp_path):
    made = config(changes={"task.loss": "cross_entropy"})
    with pytest.raises(InputError, match=r"training.refit: it is least squares, .* is the mean cross-entropy"):
        launch(made, tmp_path)
    assert not list(tmp_path.iterdir())


def test_units_that_run_away_are_no_fit(tmp_path):
    """What is not finite is said to have diverged, and nothing is written."""
    experiment = Experiment.of(config())
    trainer, refit = build_trainer(experiment), Refit.of(experiment)
    trainer.substrate.arrays["w"].cells["g"].fill_(float("nan"))
    before = trainer.substrate.weights["w_out"].clone()
    with pytest.raises(DivergedError, match=r"after update 0 units do nothing finite .* \(training.refit\)"):
        refit.end(trainer)
    assert torch.equal(trainer.substrate.weights["w_out"], before)
