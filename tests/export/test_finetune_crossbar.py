"""Fine-tuning on the run's own device: what is exported is what the device holds after N more updates on it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neuroanp import api
from neuroanp.errors import DivergedError, InputError
from neuroanp.export.crossbar import Crossbar
from neuroanp.export.finetune import APART, FineTuning, finetune
from neuroanp.export.model import reference
from neuroanp.export.source import model_of
from neuroanp.learning.anp import ANP
from neuroanp.noise import Streams
from neuroanp.records.run_dir import RunDir
from neuroanp.substrates.chip import DeviceChip
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from neuroanp.training.learner import make_learner
from neuroanp.training.revisit import restored
from tests.close import close

COPY = {
    "task": {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 16},
    "network": {"hidden": 8},
    "rule": "anp",
    "training": {"updates": 2, "batch": 4, "controls": False},
}
XOR = {
    "task": {"name": "xor", "start": 4, "pulse": 10, "gap": 6, "delay": 6, "window": 12, "test_size": 4},
    "network": {"hidden": 8},
    "neuron": {"name": "lif", "input_gain": 6.0, "drive": 1.5},
    "training": {"updates": 2, "batch": 2, "controls": False},
    "backend": "lif",
}
RUNS = {
    "verify": (COPY, {"profile": "pcm"}),
    "pulse": (COPY, {"profile": "pcm", "hardware.write": "pulse"}),
    "spikes": (XOR, {"profile": "pcm", "network.bias": True}),
    "spikes-pulse": (XOR, {"profile": "ecram", "hardware.write": "pulse"}),
    "bptt": (COPY, {"profile": "rram_hfo2", "rule": "bptt"}),
    "bptt-spikes": (XOR, {"profile": "rram_es", "rule": "bptt"}),
    "lines": (COPY, {"profile": "pcm_tiles"}),
    "ideal-writes": (COPY, {"profile": "pcm", "hardware.write": "ideal"}),
    "no-errors": (COPY, {"profile": "rram_hfo2", "hardware.without": ["programming_error", "write_noise", "c2c"]}),
    "quiet": (COPY, {"profile": "rram_hfo2", "perturbation.name": "none"}),
    "own-traps": (COPY, {"profile": "rram_rtn", "hardware.read": "sampled"}),
    "digital": (COPY, {"profile": "ideal"}),
    "sram": (COPY, {"profile": "sram_cim"}),
}
LEARNS = ("verify", "pulse", "spikes", "spikes-pulse", "bptt", "bptt-spikes", "own-traps")
FAST = 0.3
"""A rate at which a few updates are more than write-verify leaves alone."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the record of a tiny run by name, made when it is first asked for."""
    root, made = tmp_path_factory.mktemp("runs"), {}

    def record(name: str) -> RunDir:
        if name not in made:
            base, changes = RUNS[name]
            made[name] = launch(configure(base, changes), root).path
        return RunDir.open(made[name])

    return record


def by_hand(record: RunDir, updates: int, lr: float | None = None) -> DeviceChip:
    """Return the device after so many updates from where the run ended, with a seed of their own."""
    experiment, trainer = restored(record)
    config = experiment.config
    if config.rule_name == "bptt":
        trainer.learner = make_learner(ANP(preset="default" if config.neuron is None else "spiking"))
    trainer.optimizer = config.optimizer if lr is None else config.optimizer.model_copy(update={"lr": lr})
    trainer.moments = trainer.optimizer.init(dict(trainer.substrate.weights.items()))
    trainer.streams, trainer.update, trainer.updates = Streams(config.seed + APART, config.seed), 0, updates
    for _ in range(updates):
        trainer.step()
    assert isinstance(trainer.substrate, DeviceChip)
    return trainer.substrate


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def conductances(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "conductances.npz", allow_pickle=False) as data:
        return {name: data[f"{name}.g"] for name in ("w_in", "w", "w_out")}


@pytest.mark.parametrize("name", LEARNS)
def test_the_export_is_what_the_device_holds_after_the_updates(runs, tmp_path, name):
    record = runs(name)
    stored, model = contents(record.path), model_of(record)
    plain = api.export(record.path, "crossbar", tmp_path / "plain")
    report = api.export(record.path, "crossbar", tmp_path / "tuned", finetune=3, finetune_lr=FAST)
    assert contents(record.path) == stored
    chip = by_hand(record, 3, FAST)
    for key, g in conductances(tmp_path / "tuned").items():
        array = chip.arrays[key]
        wanted = chip.device.conductance(array.cells, chip.now).double().numpy()
        assert np.array_equal(g[: len(wanted)], np.maximum(wanted, 0.0))
        assert key == "w_in" or not torch.equal(array.cells["g"], model.chip.arrays[key].cells["g"])
    weights = {key: W.double().numpy() for key, W in chip.weights.items()}
    (tmp_path / "hand").mkdir()
    held = Crossbar().export(replace(model, weights=weights, chip=chip), tmp_path / "hand")
    assert report.score["before"] == model.score(reference(model).y) == plain.score["before"]
    assert report.score["quantised"] == plain.score["after"]
    assert report.score["after"] == model.score(held.traces.y)
    assert report.score["after"]["loss"] != report.score["quantised"]["loss"]
    assert json.loads((tmp_path / "tuned" / "report.json").read_text())["score"] == report.score
    for key, error in report.weights.items():
        assert error["max"] == np.abs(held.held[key] - weights[key]).max()
    worse = report.score["after"]["loss"] > report.score["quantised"]["loss"]
    assert any("made the loss worse" in limit for limit in report.limits) is worse


@pytest.mark.parametrize("name", ["verify", "spikes-pulse"])
def test_it_learns_on_a_second_device(runs, name):
    record = runs(name)
    model = model_of(record)
    was = {key: array.cells["g"].clone() for key, array in model.chip.arrays.items()}
    clock = model.chip.now
    tuned, chip = finetune(record, model, Crossbar(), FineTuning(3, FAST)).model, by_hand(record, 3, FAST)
    assert (model.chip.now, tuned.chip.now, tuned.recorded) == (clock, chip.now, None)
    assert chip.now > clock
    for key, array in chip.arrays.items():
        assert torch.equal(model.chip.arrays[key].cells["g"], was[key])
        assert np.array_equal(tuned.weights[key], chip.weights[key].double().numpy())
        for part, cells in array.cells.items():
            assert torch.equal(cells.nan_to_num(), tuned.chip.arrays[key].cells[part].nan_to_num()), (key, part)


def test_facts_say_how_it_was_done(runs, tmp_path):
    def facts(name: str, **options: Any) -> dict[str, Any]:
        found = api.export(runs(name).path, "crossbar", tmp_path / name, finetune=2, **options).facts
        return {key.removeprefix("finetune_"): fact for key, fact in found.items() if key.startswith("finetune_")}

    seed = configure(*RUNS["verify"]).seed + APART
    verify, pulse, bptt = facts("verify", finetune_lr=FAST), facts("pulse", finetune_lr=0.1), facts("bptt-spikes")
    assert (verify["updates"], verify["seed"], verify["write"], verify["rule"]) == (2, seed, "verify", "anp")
    assert (pulse["lr"], pulse["write"]) == (0.1, "pulse")
    assert (bptt["lr"], bptt["rule"]) == (configure(*RUNS["bptt-spikes"]).optimizer.lr, "anp")
    ledgers = [by_hand(runs("verify"), count, FAST).ledger.pulses for count in (0, 2)]
    assert verify["pulses"] == ledgers[1] - ledgers[0] > 0
    for effect in ("programming_error", "drift", "read_noise"):
        assert effect in str(verify["effects"]).split(", ")


@pytest.mark.parametrize("name", ["verify", "spikes-pulse"])
def test_the_same_again_is_the_same_and_a_learning_rate_counts(runs, tmp_path, name):
    for folder, lr in (("a", None), ("b", None), ("c", FAST)):
        api.export(runs(name).path, "crossbar", tmp_path / folder, finetune=2, finetune_lr=lr)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a")["conductances.npz"] != contents(tmp_path / "c")["conductances.npz"]


def test_limits_say_what_the_loop_did_not_have(runs, tmp_path):
    def limits(name: str, lr: float = FAST, **options: Any) -> str:
        options |= {"finetune": 1, "finetune_lr": lr}
        return " ".join(api.export(runs(name).path, "crossbar", tmp_path / f"{name}{options}", **options).limits)

    errs, other, idle = "met no errors of programming", "not through those of --set wire", "wrote to no device: all"
    for name, lr, options, wanted in (
        ("verify", FAST, {}, set()),
        ("pulse", FAST, {}, set()),
        ("ideal-writes", FAST, {}, {errs}),
        ("no-errors", FAST, {"arrays": ("w",)}, {errs}),
        ("verify", 1e-6, {"wire": "3 ohm"}, {other, idle}),
        ("pulse", 1e-12, {"wire": "0 ohm"}, {idle}),
        ("lines", FAST, {"arrays": ("w_out",)}, set()),
        ("lines", FAST, {"wire": "0 ohm"}, {other}),
    ):
        found = limits(name, lr, **options)
        assert {said for said in (errs, other, idle) if said in found} == wanted, (name, options)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("digital", {}, "device ideal stores digital weights, of which writing loses nothing"),
        ("digital", {"source": "device"}, "--updates 0 --set network.weights=RUN"),
        ("sram", {}, "device sram_cim stores digital weights"),
        ("verify", {"source": "weights"}, "leave --set source=weights out"),
        ("quiet", {}, "nothing perturbs the units (perturbation.name 'none', and no noise of rram_hfo2 reaches them)"),
    ],
)
def test_what_cannot_learn_is_refused_and_nothing_is_written(runs, tmp_path, name, options, said):
    path = runs(name).path
    with pytest.raises(InputError) as refused:
        api.export(path, "crossbar", tmp_path / "out", finetune=2, **options)
    assert said in " ".join(str(refused.value).split())
    assert not list(tmp_path.iterdir())
    api.export(path, "crossbar", tmp_path / "out", **options)  # which needs no learning


def test_the_remedy_for_digital_weights_works(runs, tmp_path):
    """A run that only writes another's weights to a device: `train RUN/config.yaml --profile pcm --updates 0`."""
    path = runs("digital").path
    changes = {"profile": "pcm", "training.updates": 0, "network.weights": str(path)}
    written = launch(configure(path / "config.yaml", changes), tmp_path / "runs")
    report = api.export(written.path, "crossbar", tmp_path / "out", finetune=2, finetune_lr=FAST)
    assert report.score["before"]["loss"] == close(api.export(path, "crossbar").score["before"]["loss"])
    assert report.facts["finetune_pulses"] != 0


@pytest.mark.parametrize(
    ("updates", "lr", "said"),
    [
        (0, None, "--finetune: 0 updates; give at least 1"),
        (-3, None, "--finetune: -3 updates; give at least 1"),
        (10**9, None, "at most 99999999"),
        (True, None, "--finetune: True is not a whole number"),
        (2.5, None, "--finetune: 2.5 is not a whole number"),
        (1, 0.0, "--finetune-lr: 0 must be above 0"),
        (1, float("nan"), "--finetune-lr: nan must be above 0"),
        (1, 1e4, "at most 1000"),
        (1, "much", "--finetune-lr: 'much' is not a number"),
    ],
)
def test_numbers_out_of_range_are_refused(runs, tmp_path, updates, lr, said):
    with pytest.raises(InputError) as refused:
        api.export(runs("verify").path, "crossbar", tmp_path / "out", finetune=updates, finetune_lr=lr)
    assert said in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_formats_that_have_nothing_to_learn_on_name_those_that_have(runs, tmp_path):
    with pytest.raises(InputError) as refused:
        api.export(runs("verify").path, "onnx", tmp_path / "out", finetune=2)
    said = "loihi, xylo (the chip's integer neurons), crossbar (the run's own device)"
    assert said in str(refused.value)


def test_what_diverges_is_said_and_leaves_nothing(runs, tmp_path, monkeypatch):
    """Far rates saturate an array, which bounds the loss; here the limit of the loss is moved instead."""
    threads = torch.get_num_threads()
    monkeypatch.setattr("neuroanp.training.trainer.DIVERGED", 1e-6)
    with pytest.raises(DivergedError, match=r"fine-tuning diverged at update 1 of 4: .* give a lower --finetune-lr"):
        api.export(runs("verify").path, "crossbar", tmp_path / "out", finetune=4)
    assert not list(tmp_path.iterdir())
    assert torch.get_num_threads() == threads


def test_an_interruption_leaves_nothing(runs, tmp_path, monkeypatch):
    from neuroanp.training.trainer import Trainer

    def interrupted(self):
        raise KeyboardInterrupt

    path = runs("verify").path
    monkeypatch.setattr(Trainer, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        api.export(path, "crossbar", tmp_path / "out", finetune=3)
    assert not list(tmp_path.iterdir())


def test_the_terminal_takes_it_and_says_what_is_wrong(runs, invoke, tmp_path):
    path = str(runs("verify").path)
    done = invoke("export", path, "-f", "crossbar", "-o", str(tmp_path / "out"), "--finetune", "1")
    assert done.exit_code == 0, done.stderr
    said = " ".join(done.stdout.split())
    for part in (
        "of the digital targets after update",
        "after fine-tuning",
        "finetune updates 1",
        "finetune write verify",
    ):
        assert part in said
    done = invoke("export", str(runs("digital").path), "-f", "crossbar", "-o", str(tmp_path / "no"), "--finetune", "1")
    assert done.exit_code == 2
    assert "stores digital weights" in " ".join(done.stderr.split())
    assert not (tmp_path / "no").exists()
