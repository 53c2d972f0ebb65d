"""What learned on a chip's whole numbers is what is exported: the same numbers, the same spikes, the same loss."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp import api
from neuroanp.errors import InputError
from neuroanp.export.checking import xylo as in_xylosim
from neuroanp.export.loihi import Loihi
from neuroanp.export.protocol import Exported
from neuroanp.export.source import model_of
from neuroanp.export.writing import write
from neuroanp.export.xylo import Xylo
from neuroanp.records.run_dir import RunDir
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from neuroanp.training.revisit import restored
from tests.close import close

TINY = {
    "task": {"name": "xor", "start": 2, "pulse": 5, "gap": 2, "delay": 2, "window": 5, "test_size": 8},
    "network": {"hidden": 12},
    "training": {"updates": 5, "batch": 4, "controls": False},
    "compute": {"dtype": "float64"},
}
WEAK = {"neuron.input_gain": 1.0, "neuron.synapse_gain": 1.0, "neuron.drive": 1.6}
"""Weights so small that on Loihi the scale is bound by what states are assumed to reach, and not by 8 bits."""
EXPORTERS = {"loihi": Loihi(), "xylo": Xylo()}
BIAS = {"network.bias": True}
FLOAT32 = {"compute.dtype": "float32"}
RUNS = {
    f"{name}-{kind}": (name, changes)
    for name in EXPORTERS
    for kind, changes in {"plain": {}, "bias": BIAS, "weak": WEAK, "float32": FLOAT32, "bptt": {"rule": "bptt"}}.items()
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the records of tiny runs on a chip's own backend, by name."""
    root = tmp_path_factory.mktemp("runs")
    return {key: launch(configure(TINY, changes, backend=name), root) for key, (name, changes) in RUNS.items()}


@pytest.fixture(params=RUNS)
def run(request, runs) -> tuple[str, RunDir]:
    return RUNS[request.param][0], runs[request.param]


def test_the_exported_network_has_the_loss_that_the_run_recorded(run, tmp_path):
    name, record = run
    assert record.result is not None
    report = api.export(str(record.path), name, tmp_path / "out")
    assert report.score["after"]["loss"] == close(record.result["test_loss_noise_free"], rel=1e-6)
    assert report.spikes is not None
    assert int(report.spikes["spikes"] or 0) > 20
    # the float network of the same weights does something else, or nothing was told above
    assert report.score["before"]["loss"] != close(report.score["after"]["loss"], rel=1e-6)
    assert any("of its unrounded weights in float64, which it never ran" in limit for limit in report.limits)
    assert not any("ends of their bits" in limit for limit in report.limits)


@pytest.mark.parametrize("name", EXPORTERS)
def test_fine_tuning_goes_on_from_what_the_chip_had(runs, tmp_path, name):
    record = runs[f"{name}-plain"]
    report = api.export(str(record.path), name, tmp_path / "out", finetune=2)
    assert report.score["quantised"]["loss"] == close(record.result["test_loss_noise_free"], rel=1e-6)
    assert any("which it never ran" in limit for limit in report.limits)


@pytest.mark.parametrize("name", EXPORTERS)
def test_it_can_be_written_to_a_device_as_the_refusal_says(runs, tmp_path, name):
    record = runs[f"{name}-plain"]
    with pytest.raises(InputError) as refused:
        api.export(str(record.path), "crossbar", tmp_path / "out", finetune=2)
    assert "--profile pcm --updates 0 --set network.weights=RUN --backend lif" in str(refused.value)
    changes = {"training.updates": 0, "network.weights": str(record.path)}
    config = configure(record.path / "config.yaml", changes, profile="pcm", backend="lif")
    written = launch(config, tmp_path / "runs")
    assert api.export(str(written.path), "crossbar", tmp_path / "out").score["after"]["loss"] > 0


def test_numbers_that_the_run_did_not_have_are_told(runs, tmp_path):
    """The check above can fail: another recorded loss is not the one that is exported."""
    record = runs["xylo-plain"]
    model = model_of(record)
    assert model.recorded is not None
    report = write(replace(model, recorded=2 * model.recorded), "xylo", Xylo(), tmp_path / "out")
    assert any("states reached the ends of their bits" in limit for limit in report.limits)


def exported(record: RunDir, name: str, folder: Path, **changes) -> Exported:
    model, exporter = replace(model_of(record), **changes), EXPORTERS[name]
    exporter.check(model)
    folder.mkdir()
    return exporter.export(model, folder)


def test_the_exported_spikes_and_weights_are_those_that_learned(run, tmp_path):
    name, record = run
    found = exported(record, name, tmp_path / "out")
    _, trainer = restored(record)
    backend, targets = trainer.backend, trainer.substrate.weights
    model = model_of(record)
    activity = backend.activity(targets.network)
    assert activity is not None
    z = activity(targets, torch.from_numpy(model.inputs))["hidden"]
    kept, trace = torch.zeros_like(z[0]), backend._decays(targets.network)["hidden"][0]  # pyright: ignore[reportAttributeAccessIssue]
    assert found.traces.s is not None
    for now, s in zip(z, torch.from_numpy(found.traces.s), strict=True):
        kept = trace * kept + s
        torch.testing.assert_close(now, kept, rtol=1e-5, atol=1e-5)
    held = backend.chip.held(dict(targets.items()))  # pyright: ignore[reportAttributeAccessIssue]
    for key, W in held.items():
        rounding = 1e-6 if W.dtype == torch.float32 else 1e-12
        np.testing.assert_allclose(W.numpy(), found.held[key], rtol=rounding, atol=rounding)
    assert any((found.held[key] != model.weights[key]).any() for key in held)


@pytest.mark.parametrize("kind", ["plain", "bias"])
def test_xylosim_reads_back_what_learned(runs, kind, tmp_path, monkeypatch):
    pytest.importorskip("xylosim.v2", reason="xylosim is missing: pip install xylosim", exc_type=ImportError)
    record = runs[f"xylo-{kind}"]
    found, model = exported(record, "xylo", tmp_path / "out"), model_of(record)
    monkeypatch.chdir(tmp_path / "out")
    read = in_xylosim.run({"inputs": model.inputs})
    assert found.traces.s is not None
    np.testing.assert_array_equal(read["spikes"], found.traces.s)
    loss = model.score(read["outputs"])["loss"]
    assert found.traces.s.sum() > 20
    assert record.result is not None
    assert loss == close(record.result["test_loss_noise_free"], rel=1e-6)


@pytest.mark.parametrize("run", ["loihi-weak", "xylo-plain", "xylo-weak"], indirect=True)
def test_with_the_scales_of_its_inputs_it_would_be_another_network(run, tmp_path):
    """The negative control: as if the run had learned elsewhere."""
    name, record = run
    learned = exported(record, name, tmp_path / "a")
    other = exported(record, name, tmp_path / "b", backend="")
    facts = {"loihi": ("threshold", "output_scale"), "xylo": ("threshold_smallest", "threshold_largest", "shift_out")}
    assert [learned.facts[key] for key in facts[name]] != [other.facts[key] for key in facts[name]]
    assert any((learned.held[key] != other.held[key]).any() for key in learned.held)
    loss = model_of(record).score(other.traces.y)["loss"]
    assert record.result is not None
    assert loss != close(record.result["test_loss_noise_free"], rel=1e-6)


def test_other_inputs_change_no_number_of_the_chip(run, tmp_path):
    """Scales of a run that learned on the chip follow its weights alone."""
    name, record = run
    model = model_of(record)
    fewer = model.inputs.copy()
    fewer[12:] = 0
    whole, less = exported(record, name, tmp_path / "a"), exported(record, name, tmp_path / "b", inputs=fewer)
    assert whole.traces.s is not None
    assert not np.array_equal(whole.traces.y, less.traces.y)
    for key, W in whole.held.items():
        np.testing.assert_array_equal(W, less.held[key])


def test_the_report_tells_what_the_chip_holds(run, tmp_path):
    name, record = run
    report = api.export(str(record.path), name, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert told["score"]["after"] == dict(report.score["after"])
    assert all(abs(error["error"]) < 1e-9 for error in report.decays.values())  # what the target filled in
    assert all(0 < error["relative"] < 0.05 for error in report.weights.values())
