"""Every export says which weights of a run it carries, and how far their loss is from the one that was scored."""

from __future__ import annotations

import json

import numpy as np
import pytest

from neuroanp import api
from neuroanp.errors import InputError
from neuroanp.export import source
from neuroanp.export.protocol import EXPORTERS
from neuroanp.export.source import model_of
from neuroanp.export.writing import READ_BACK, REPORT
from neuroanp.records.run_dir import RunDir
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from tests.close import close

RATE = {
    "task": {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 8},
    "network": {"hidden": 8},
    "optimizer": {"lr": 0.05},
    "training": {"updates": 4, "batch": 2, "controls": False},
}
SPIKES = {"backend": "lif", "encoder": {"name": "poisson", "hold": 8, "rate": "500 Hz"}}
RUNS = {
    "pcm": {"profile": "pcm"},
    "plain": {"profile": "pcm", "hardware.without": ["dac", "adc"]},
    "pulses": {"profile": "rram_hfo2", "hardware.write": "pulse"},
    "digital": {"profile": "smtj_koenders"},
    "hard": {"profile": "pcm", **SPIKES, "target": "nir", "network.hidden": 6},
    "units": {"profile": "mixed_signal_neurons", **SPIKES, "target": "nir", "network.hidden": 6},
    "loihi": {"profile": "ideal", **SPIKES, "backend": None, "target": "loihi", "neuron.drive": 4.0},
    "xylo": {"profile": "pcm", **SPIKES, "target": "xylo", "neuron.drive": 4.0, "backend": "lif"},
}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    store, made = tmp_path_factory.mktemp("store"), {}

    def record(name: str) -> RunDir:
        if name not in made:
            changes = {key: value for key, value in RUNS[name].items() if value is not None}
            made[name] = launch(configure(RATE, changes), store)
        return made[name]

    return record


CASES = [
    ("pcm", "onnx"), ("pcm", "crossbar"), ("digital", "crossbar"), ("digital", "onnx"), ("hard", "nir"),
    ("hard", "onnx"), ("hard", "loihi"), ("hard", "rtl"), ("hard", "crossbar"), ("loihi", "loihi"),
    ("xylo", "xylo"), ("pulses", "onnx"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "format"), CASES)
def test_report_and_lines_to_read_back_say_which_weights_they_are(records, tmp_path, run, format):
    record = records(run)
    report = api.export(record.path, format, tmp_path / "out")
    held = (run, format) in (("pcm", "crossbar"), ("hard", "crossbar"))
    wanted = "conductances of device pcm at" if held else "digital targets after update 4"
    if run == "pulses":
        wanted = "weights as pulses in place left them after update 4"
    assert report.origin.startswith(wanted)
    assert report.reference == (wanted if run == "pulses" else "digital targets after update 4")
    assert report.recorded == record.result["test_loss_noise_free"]
    assert json.loads((tmp_path / "out" / REPORT).read_text())["origin"] == report.origin
    assert (tmp_path / "out" / READ_BACK).read_text().splitlines()[0] == f"# weights: {report.origin}"


def test_formats_are_all_tried():
    assert {name for _, name in CASES} == set(EXPORTERS.names())


def test_targets_of_a_device_run_say_by_how_much_they_differ_from_what_was_scored(records, tmp_path):
    record = records("plain")
    report = api.export(record.path, "onnx", tmp_path / "out")
    had, before = record.result["test_loss_noise_free"], report.score["before"]["loss"]
    assert abs(before / had - 1.0) > 1e-2
    (line,) = (line for line in report.limits if "digital targets" in line)
    assert f"of loss {before:.4g}" in line
    assert f"held them the network had {had:.4g} without noise; --weights as_held" in line


def test_weights_as_held_are_the_network_that_was_scored(records, tmp_path):
    record = records("plain")
    report = api.export(record.path, "onnx", tmp_path / "out", weights="as_held")
    assert report.origin.startswith("weights as held by pcm after update 4")
    for when in ("before", "after"):
        assert report.score[when]["loss"] == close(record.result["test_loss_noise_free"], rel=2e-5)
    assert not any("was scored" in line or "targets" in line for line in report.limits)
    weights = api.load_run(record.path).weights()
    for name, W in model_of(record, "as_held").weights.items():
        np.testing.assert_array_equal(W, weights[name].double().numpy())


def test_what_is_beside_weights_as_held_is_said(records, tmp_path):
    report = api.export(records("pcm").path, "onnx", tmp_path / "out", weights="as_held")
    (line,) = (line for line in report.limits if "was scored" in line)
    assert "pass a DAC" in line
    assert f"{report.recorded:.4g}" in line
    report = api.export(records("hard").path, "nir", tmp_path / "nir", weights="as_held")
    said = " ".join(line for line in report.limits if "was scored" in line)
    assert "encoder" not in said  # its spikes are the inputs that an export is given
    assert "units are those" not in said


@pytest.mark.parametrize(("weights", "origin"), [("targets", "digital targets"), ("as_held", "weights as held by")])
def test_units_that_differ_are_why_the_same_matrices_have_another_loss(records, tmp_path, weights, origin):
    report = api.export(records("units").path, "nir", tmp_path / "out", weights=weights)
    assert report.origin.startswith(origin)
    (line,) = (line for line in report.limits if f"loss of {report.recorded:.4g} without noise" in line)
    assert "these weights alone have" in line
    assert "the units of the run's device differ in" in line
    assert not any("--weights as_held" in line or "held them" in line for line in report.limits)


@pytest.mark.parametrize(
    ("run", "format", "why"),
    [
        ("digital", "onnx", "its sums were rounded to the run's own precision"),
        ("loihi", "onnx", "backend loihi computes in whole numbers"),
    ],
)
def test_what_makes_the_same_matrices_differ_without_anything_beside_them(
    records, tmp_path, monkeypatch, run, format, why
):
    scored = source._scored
    monkeypatch.setattr(source, "_scored", lambda *of: 1.001 * scored(*of))
    report = api.export(records(run).path, format, tmp_path / "out", weights="as_held")
    (line,) = (line for line in report.limits if "was scored" in line)
    assert line.endswith(why)


@pytest.mark.parametrize(
    ("run", "format", "weights", "words"),
    [
        ("pcm", "crossbar", "as_held", "crossbar has conductances"),
        ("loihi", "loihi", "as_held", "learned with the numbers of loihi"),
        ("pcm", "onnx", "held", "'held' is not one of targets, as_held"),
        ("pcm", "onnx", None, "None is not one of"),
    ],
)
def test_weights_that_a_format_cannot_take_are_refused(records, tmp_path, run, format, weights, words):
    with pytest.raises(InputError, match=words):
        api.export(records(run).path, format, tmp_path / "out", weights=weights)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("run", "format"), [("hard", "loihi"), ("pcm", "crossbar")])
def test_fine_tuning_is_said(records, tmp_path, run, format):
    report = api.export(records(run).path, format, tmp_path / "out", finetune=1)
    assert report.origin.endswith(", after 1 update of fine-tuning")
    assert report.reference == "digital targets after update 4"
    assert report.recorded == records(run).result["test_loss_noise_free"]


def test_a_run_without_a_result_has_its_loss_measured(records, tmp_path):
    """What an interrupted run scores is what its last checkpoint does, not a number of another one."""
    record = records("pcm")
    begun = RunDir.create(tmp_path, "begun", record.config_text, {**record.manifest, "status": "interrupted"})
    begun.save_checkpoint(4, record.load_checkpoint(record.checkpoints()[-1])[0], {})
    assert model_of(begun).recorded == record.result["test_loss_noise_free"]
    begun.write_result({**record.result, "test_loss_noise_free": 9.0, "updates": 3})
    assert model_of(begun).recorded == record.result["test_loss_noise_free"]


def test_the_terminal_says_it(records, invoke, tmp_path):
    path = str(records("plain").path)
    done = invoke("export", path, "-f", "onnx", "-o", str(tmp_path / "a"), "--weights", "as_held")
    assert done.exit_code == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "weights weights as held by pcm after update 4" in said
    assert "of these weights in float64" in said
    assert "of the network that was scored, without noise" in said
    done = invoke("export", path, "-f", "onnx", "-o", str(tmp_path / "b"))
    assert "weights digital targets after update 4" in " ".join(done.stdout.split())
    done = invoke("export", path, "-f", "crossbar", "-o", str(tmp_path / "c"), "--weights", "as_held")
    assert done.exit_code == 2
    assert not (tmp_path / "c").exists()
