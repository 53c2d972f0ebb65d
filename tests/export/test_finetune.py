"""Fine-tuning on a chip's neurons: the loop's spikes are the export's, and what a user gets of it."""

from __future__ import annotations

import json
from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp import api
from neuroanp.backends.chip_network import ChipInLoop
from neuroanp.backends.network import TwinBackend
from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import Request
from neuroanp.errors import InputError
from neuroanp.export.finetune import FineTuning, finetune
from neuroanp.export.loihi import Loihi
from neuroanp.export.source import model_of
from neuroanp.export.xylo import Xylo
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.records.run_dir import RunDir
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from neuroanp.trajectory import PassPlan, Weights

DT = 1e-3
SILENT = PassPlan(noise=(0.0,), stream=(0,), pairs="mean")
TINY = {
    "task": {"name": "xor", "start": 2, "pulse": 5, "gap": 2, "delay": 2, "window": 5, "test_size": 4},
    "network": {"hidden": 6},
    "training": {"updates": 2, "batch": 2, "controls": False},
}
NETS = [((4, 32, 2), 0, False), ((8, 60, 3), 1, True), ((3, 12, 1), 2, False)]


def tau(dash: int) -> float:
    return -DT / log(1.0 - 2.0**-dash)


NEURONS = {
    "loihi": LIF(input_gain=3.0, refractory=0.0),
    "xylo": LIF(tau_m=tau(4), tau_s=tau(2), tau_r=tau(4), reset="subtract", refractory=0.0, input_gain=3.0),
}
EXPORTERS = {"loihi": Loihi(), "xylo": Xylo()}


@pytest.fixture(params=[(name, *net) for name in EXPORTERS for net in NETS], ids=lambda p: f"{p[0]}-{p[1][1]}")
def case(request, make_network):
    name, sizes, seed, bias = request.param
    return make_network(sizes, seed=seed, spikes_in=True, bias=bias, neuron=NEURONS[name]), EXPORTERS[name]


def in_loop(model, chip, *, chunk=64, weights=None, sigma=0.0, dtype=torch.float64):
    """Return spikes (T, B, N), outputs (T, B, O) and potentials of a network presented by the loop's backend."""
    W = {name: torch.from_numpy(np.array(W)).to(dtype) for name, W in (weights or model.weights).items()}
    streams = Streams(0)
    substrate = DeviceChip.build(
        load("ideal"),
        Weights.one_layer(W, model.bias, model.neuron),
        streams=streams,
        dt=model.dt,
        drive=NodeDrive(sigma),
        dtype=dtype,
    )
    backend = ChipInLoop(chip, model.dt, chunk)
    own = PassStreams(streams, "train", 0)
    plan = SILENT if not sigma else PassPlan(noise=(1.0,), stream=(0,), pairs="mean")
    u = torch.from_numpy(model.inputs).to(dtype)
    request = Request(substrate, substrate.prepare(1.0, own), u, plan, own, keep="states")
    found = [(c.layers["hidden"].spikes, c.y, c.layers["hidden"].v) for c in backend.run(request)]
    return tuple(torch.cat(parts)[:, 0].numpy() for parts in zip(*found, strict=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_loop_spikes_as_the_export_does(case, tmp_path, dtype):
    model, exporter = case
    exporter.check(model)
    exported = exporter.export(model, tmp_path)
    assert not exported.facts.get("states_saturated", 0)
    s, y, v = in_loop(model, exporter.chip(model), dtype=dtype)
    assert exported.traces.s.sum() > 200
    assert int((s != exported.traces.s).sum()) == 0
    np.testing.assert_allclose(v, exported.traces.v, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(y, exported.traces.y, rtol=1e-5, atol=1e-5)


def test_another_weight_or_decay_is_seen(case, tmp_path):
    model, exporter = case
    exported, chip = exporter.export(model, tmp_path), exporter.chip(model)
    step = 1.0 / float(chip.grids["w_in"].scale[0, 0]) * chip.grids["w_in"].step
    weights = {**model.weights, "w_in": model.weights["w_in"] + 2 * step}
    assert (in_loop(model, chip, weights=weights)[0] != exported.traces.s).any()
    (layer,) = chip.layers.values()
    slower = replace(layer, dash_syn=layer.dash_syn + 1) if isinstance(exporter, Xylo) else replace(
        layer, neurons=layer.neurons._replace(i_decay=layer.neurons.i_decay + 40)
    )  # fmt: skip
    other = replace(chip, layers=dict.fromkeys(chip.layers, slower))
    assert (in_loop(model, other)[0] != exported.traces.s).any()


def test_chunks_of_time_change_nothing_and_noise_does(case):
    model, exporter = case
    chip = exporter.chip(model)
    whole, parts = in_loop(model, chip, chunk=1000), in_loop(model, chip, chunk=7)
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))
    assert (in_loop(model, chip, sigma=0.5)[0] != whole[0]).any()


def test_weights_of_the_chip_are_not_rounded_again(case, tmp_path):
    model, exporter = case
    exported, chip = exporter.export(model, tmp_path), exporter.chip(model)
    held = chip.held({name: torch.from_numpy(W) for name, W in model.weights.items()})
    for name, W in held.items():
        np.testing.assert_allclose(W.numpy(), exported.held[name], rtol=1e-12, atol=1e-12)
    again = exporter.export(replace(model, weights={name: W.numpy() for name, W in held.items()}), tmp_path, model)
    assert np.array_equal(again.traces.s, exported.traces.s)
    for name in held:
        np.testing.assert_allclose(again.held[name], exported.held[name], rtol=1e-12, atol=1e-12)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the path of a tiny run by target, and rule."""
    root = tmp_path_factory.mktemp("runs")
    made = {name: launch(configure(TINY, target=name), root) for name in EXPORTERS}
    made["bias"] = launch(configure({**TINY, "network": {"hidden": 6, "bias": True}}, target="loihi"), root)
    made["bptt"] = launch(configure(TINY, target="xylo", rule="bptt"), root)
    return {name: str(record.path) for name, record in made.items()}


@pytest.mark.parametrize(("run", "name"), [("loihi", "loihi"), ("xylo", "xylo"), ("bias", "loihi"), ("bptt", "xylo")])
def test_the_report_has_the_scores_before_quantised_and_after(runs, tmp_path, run, name):
    plain = api.export(runs[run], name, tmp_path / "plain")
    report = api.export(runs[run], name, tmp_path / "tuned", finetune=3)
    assert set(plain.score) == {"before", "after"}
    assert set(report.score) == {"before", "quantised", "after"}
    assert report.score["before"] == plain.score["before"]
    assert report.score["quantised"] == plain.score["after"]
    assert report.facts["finetune_updates"] == 3
    assert report.facts["finetune_rule"] == "anp"
    assert all(error["relative"] < 1e-12 for error in report.weights.values())
    assert json.loads((tmp_path / "tuned" / "report.json").read_text())["score"] == report.score
    weights = model_of(RunDir.open(Path(runs[run]))).weights
    assert any(plain.weights[key]["max"] > 0 for key in weights)


@pytest.mark.parametrize("name", EXPORTERS)
def test_the_same_again_is_the_same_and_a_learning_rate_counts(runs, tmp_path, name):
    def files(folder, **options):
        report = api.export(runs[name], name, tmp_path / folder, finetune=3, **options)
        return report, {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}

    (first, bytes_first), (_, bytes_again) = files("a"), files("b")
    assert bytes_first == bytes_again
    other, bytes_other = files("c", finetune_lr=0.2)
    assert bytes_other[first.files[0]] != bytes_first[first.files[0]]
    assert other.facts["finetune_lr"] == 0.2


@pytest.mark.parametrize("name", EXPORTERS)
def test_what_was_tuned_is_what_the_loop_ended_with(runs, tmp_path, name):
    record = RunDir.open(Path(runs[name]))
    model, exporter = model_of(record), EXPORTERS[name]
    tuned = finetune(record, model, exporter, FineTuning(3, 0.2)).model
    assert any((tuned.weights[key] != model.weights[key]).any() for key in model.weights)
    exported = exporter.export(tuned, tmp_path, model)
    s, y, _ = in_loop(tuned, exporter.chip(model))
    assert np.array_equal(s, exported.traces.s)
    np.testing.assert_allclose(y, exported.traces.y, atol=1e-9)


@pytest.fixture
def invoke(monkeypatch):
    """Call the command line in this process."""
    from typer.testing import CliRunner

    from neuroanp.cli.main import app

    monkeypatch.setenv("COLUMNS", "100")
    return lambda *words: CliRunner().invoke(app, list(words))


def test_the_terminal_shows_three_scores(runs, invoke, tmp_path):
    done = invoke("export", runs["xylo"], "-f", "xylo", "-o", str(tmp_path / "out"), "--finetune", "1")
    assert done.exit_code == 0, done.stderr
    said = " ".join(done.stdout.split())
    for part in ("before,", "after quantisation,", "after fine-tuning", "finetune updates 1"):
        assert part in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-f", "nir", "--finetune", "3"], "formats that have: loihi, xylo"),
        (["-f", "onnx", "--finetune", "3"], "formats that have: loihi, xylo"),
        (["-f", "rtl", "--finetune", "3"], "formats that have: loihi, xylo"),
        (["-f", "xylo", "--finetune", "0"], "--finetune: 0 updates; give at least 1"),
        (["-f", "xylo", "--finetune", "-2"], "--finetune: -2 updates; give at least 1"),
        (["-f", "xylo", "--finetune", "3", "--finetune-lr", "0"], "--finetune-lr: 0 must be above 0"),
        (["-f", "xylo", "--finetune", "3", "--finetune-lr", "nan"], "--finetune-lr: nan must be above 0"),
        (["-f", "xylo", "--finetune-lr", "0.1"], "give --finetune N too"),
        (["-f", "loihi", "--finetune", "3"], "train with --set neuron.reset=hard"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(runs, invoke, tmp_path, words, said):
    done = invoke("export", runs["xylo"], "-o", str(tmp_path / "out"), *words)
    assert done.exit_code == 2, done.stderr
    assert said in " ".join(done.stderr.split())
    assert not list(tmp_path.iterdir())


def test_an_interruption_leaves_nothing(runs, tmp_path, monkeypatch):
    from neuroanp.training.trainer import Trainer

    done, step = [], Trainer.step

    def interrupted(self):
        done.append(1)
        if len(done) == 2:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Trainer, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        api.export(runs["xylo"], "xylo", tmp_path / "out", finetune=3)
    assert not list(tmp_path.iterdir())


def test_numbers_out_of_range_are_refused_by_the_api(runs, tmp_path):
    with pytest.raises(InputError, match="at least 1"):
        api.load_run(runs["xylo"]).export("xylo", tmp_path / "out", finetune=0)


def test_updates_within_the_warm_up_of_the_run_are_refused(tmp_path):
    """Its rate would never get to where the run's was."""
    warm = {"optimizer.warmup": 1, "target": "xylo"}
    record = launch(configure({**TINY, "backend": "spiking"}, warm), tmp_path)
    with pytest.raises(InputError, match=r"--finetune: 1 updates lie within the run's optimizer.warmup, 1; give more"):
        api.load_run(record.path).export("xylo", tmp_path / "out", finetune=1, quantize_decay=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_fine_tuning_mends_what_nearest_decays_broke_and_float_updates_do_not(tmp_path, monkeypatch):
    """A membrane of 20 ms becomes one of 15.5 ms on a Xylo: the loss nearly doubles, and comes most of the way back."""
    config = {
        "task": {"name": "xor", "test_size": 64},
        "backend": "lif",
        "encoder": {"name": "poisson"},
        "neuron": {"name": "lif", "reset": "subtract", "refractory": "0 ms"},
        "network": {"hidden": 20},
        "rule": {"name": "anp", "preset": "spiking", "K": 4},
        "training": {"updates": 600, "batch": 16, "controls": False},
    }
    run = launch(configure(config), tmp_path)
    report = api.export(run.path, "xylo", tmp_path / "tuned", quantize_decay=True, finetune=100)
    before, quantised, after = (report.score[key]["loss"] for key in ("before", "quantised", "after"))
    assert quantised > 1.5 * before
    assert after < before + 0.6 * (quantised - before)

    def without_chip(chip, dt, chunk):
        return TwinBackend(dt, chunk, spikes_in=True)

    monkeypatch.setattr("neuroanp.export.finetune.ChipInLoop", without_chip)
    control = api.export(run.path, "xylo", tmp_path / "control", quantize_decay=True, finetune=100)
    assert control.score["after"]["loss"] > before + 0.8 * (quantised - before)
