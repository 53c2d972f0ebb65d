"""What every export goes through: the network of a run, the directory that appears whole, and what was lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp import api
from neuroanp.backends.network import TwinBackend
from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import Request
from neuroanp.backends.rate import RateBackend
from neuroanp.errors import InputError
from neuroanp.export.directory import MARK, check_free, whole
from neuroanp.export.finetune import Tuned
from neuroanp.export.importing import bring
from neuroanp.export.model import Traces, reference
from neuroanp.export.protocol import EXPORTERS, Exported, Exporter
from neuroanp.export.report import mismatches
from neuroanp.export.source import model_of
from neuroanp.export.writing import READ_BACK, REPORT, exporter, write
from neuroanp.noise import PassStreams, Streams
from neuroanp.training.configure import configure
from neuroanp.training.evaluate import SILENT
from neuroanp.training.launch import launch
from tests.close import close
from tests.export.folders import SPIKING, content, exported

RATE = {**SPIKING, "backend": "rate", "task": {"name": "copy", "test_size": 8}}


class Rounded(Exporter):
    """Write weights as text, rounded."""

    holds, reader, lost = "everything", "numpy", "digits"
    digits: int = 2
    fails: bool = False

    def check(self, model) -> None:
        if not model.spiking:
            raise InputError("rounded cannot hold this network; nothing was written", ["backend: tanh units"])

    def export(self, model, folder: Path) -> Exported:
        held = {name: np.round(W, self.digits) for name, W in model.weights.items()}
        for name, W in held.items():
            np.savetxt(folder / f"{name}.txt", W)
        if self.fails:
            raise KeyboardInterrupt
        truth = reference(model)
        assert truth.s is not None
        late = Traces(truth.y + 0.5, np.roll(truth.s, 1, 0), truth.v)
        return Exported(("w.txt",), held, late, {"membrane": (0.9, 0.875)}, ("a limit",), facts={"digits": 2})


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(EXPORTERS._registered, "rounded", Rounded)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    store = tmp_path_factory.mktemp("runs")
    return {name: launch(configure(plain), store) for name, plain in (("spiking", SPIKING), ("rate", RATE))}


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"bias": True}, {"spikes_in": True}, {"spikes_in": True, "bias": True},
        {"neuron": LIF(reset="subtract", refractory=0)}, {"neuron": LIF(integration="euler", refractory=5e-3)},
        {"neuron": LIF(tau_s=0, input_gain=12)}, {"neuron": LIF(decoder="count"), "bias": True},
        {"spiking": False}, {"spiking": False, "bias": True},
    ],
    ids=str,
)  # fmt: skip
def test_the_reference_is_the_backend_without_noise(make_network, changes):
    """The loop that exports are compared with, against the simulator that trains, spike for spike."""
    model = make_network((3, 20, 2), **changes)
    options = {} if model.neuron is None else {"spikes_in": model.spikes_in}
    kind = RateBackend if model.neuron is None else TwinBackend
    backend = kind(model.dt, 16, **options)
    substrate = exact(model)
    inputs = torch.from_numpy(model.inputs)
    streams = PassStreams(Streams(0), "test", 0)
    chunks = list(backend.run(Request(substrate, substrate.prepare(), inputs, SILENT, streams, book=False)))
    truth = reference(model)
    np.testing.assert_allclose(truth.y, torch.cat([c.y for c in chunks])[:, 0].numpy(), rtol=0, atol=1e-10)
    if truth.s is not None:
        assert truth.s.sum() > 20
        np.testing.assert_array_equal(truth.s, torch.cat([c.layers["hidden"].spikes for c in chunks])[:, 0].numpy())


def exact(model):
    """Return a substrate that holds the weights exactly and makes no noise."""
    from neuroanp.trajectory import Weights

    from ..learning.conftest import ExactSubstrate

    arrays = {name: torch.from_numpy(W) for name, W in model.weights.items()}
    return ExactSubstrate(Weights.one_layer(arrays, model.bias, model.neuron), 0.0)


def test_the_network_of_a_run(runs):
    for name, record in runs.items():
        model = model_of(record)
        assert model.spiking == (name == "spiking")
        y = reference(model).y
        assert model.score(y)["loss"] == close(record.result["test_loss_noise_free"], rel=1e-4)


def test_an_export_is_a_directory_with_its_report(runs, tmp_path):
    report = api.export(runs["spiking"].path, "rounded", tmp_path / "out", digits=1)
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {REPORT, READ_BACK, MARK, "w.txt", "w_in.txt", "w_out.txt"}
    assert json.loads((tmp_path / "out" / REPORT).read_text()) == json.loads(json.dumps(report.plain()))
    assert 0 < report.weights["w"]["max"] <= 0.05
    assert report.decays["membrane"]["error"] == close(-0.025)
    assert report.outputs["max"] == close(0.5)
    assert report.spikes is not None
    assert report.spikes["mismatches"] > 0
    assert report.score["before"]["loss"] != report.score["after"]["loss"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_mismatches_are_counted_by_place():
    one, two = np.zeros((4, 2, 3), int), np.zeros((4, 2, 3), int)
    one[2, 0, 1] = one[3, 1, 2] = two[3, 1, 2] = 1
    assert mismatches(one, two) == {"mismatches": 1, "of": 24, "spikes": 1, "first_step": 2}


def test_what_cannot_be_held_is_refused_before_anything_is_written(runs, tmp_path):
    with pytest.raises(InputError, match="tanh units"):
        api.export(runs["rate"].path, "rounded", tmp_path / "out")
    with pytest.raises(InputError, match="did you mean 'rounded'"):
        api.export(runs["rate"].path, "roundet", tmp_path / "out")
    with pytest.raises(InputError, match="digitz"):
        api.export(runs["spiking"].path, "rounded", tmp_path / "out", digitz=1)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_export_leaves_nothing_and_what_was_there(runs, tmp_path):
    model = model_of(runs["spiking"])
    with pytest.raises(KeyboardInterrupt):
        write(model, "rounded", exporter("rounded", {"fails": True}), tmp_path / "out")
    assert not list(tmp_path.iterdir())
    write(model, "rounded", exporter("rounded"), tmp_path / "out")
    before = (tmp_path / "out" / "w.txt").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write(model, "rounded", exporter("rounded", {"fails": True}), tmp_path / "out", force=True)
    assert (tmp_path / "out" / "w.txt").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_only_an_export_is_replaced_and_only_by_force(runs, tmp_path):
    model, rounded = model_of(runs["spiking"]), exporter("rounded")
    write(model, "rounded", rounded, tmp_path / "out")
    with pytest.raises(InputError, match="is there already"):
        write(model, "rounded", rounded, tmp_path / "out")
    write(model, "rounded", exporter("rounded", {"digits": 4}), tmp_path / "out", force=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    (tmp_path / "mine" / REPORT).write_text("{}")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds notes\.txt, which neuroanp did not write"):
        write(model, "rounded", rounded, tmp_path / "out", force=True)
    for force in (False, True):
        with pytest.raises(InputError, match="-o"):
            write(model, "rounded", rounded, tmp_path / "mine", force=force)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "all of it"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "out"]


def test_a_run_without_a_checkpoint_or_with_equations_is_refused(tmp_path):
    with pytest.raises(InputError):
        api.export(tmp_path / "none", "rounded", tmp_path / "out")


def test_what_the_device_made_of_it_is_told(tmp_path):
    """Scores before are those of what is exported: the digital weights, and units that are all alike."""
    device = {**SPIKING, "profile": "mixed_signal_neurons", "training": {**SPIKING["training"], "updates": 1}}
    record = launch(configure(device), tmp_path / "runs")
    said = api.export(record.path, "rounded", tmp_path / "out").limits
    assert "the units of the run's device differ in tau_m, tau_s, threshold; those exported are all alike" in said
    assert any("was scored had a loss of" in line and "; --weights" not in line for line in said)


def test_what_came_while_an_export_ran_is_kept(tmp_path):
    """A file of the user's in the empty directory that is being replaced; parents made for nothing go again."""
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(InputError, match=r"holds notes\.txt, which neuroanp did not write"), whole(out):
        (out / "notes.txt").write_text("mine")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["out", "out/notes.txt"]
    with pytest.raises(KeyboardInterrupt), whole(tmp_path / "a" / "b" / "c"):
        raise KeyboardInterrupt
    assert not (tmp_path / "a").exists()


def test_the_current_directory_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in (".", str(tmp_path), "..", "/"):
        with pytest.raises(InputError, match="you are in or below"):
            check_free(Path(place), force=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("force", [False, True])
def test_what_came_while_it_was_fine_tuned_is_kept(runs, tmp_path, force):
    """Of the user's in any case, an export without --force."""
    model, out = model_of(runs["spiking"]), tmp_path / "out"

    def tune(model):
        exported(out, "another export")
        if force:
            (out / "thesis.txt").write_text("mine")
        return Tuned(model, {})

    with pytest.raises(InputError, match=r"holds thesis\.txt" if force else "replace it with --force"):
        write(model, "rounded", exporter("rounded"), out, force=force, tune=tune)
    mine = {"out/thesis.txt": "mine"} if force else {}
    assert content(tmp_path) == {"out/a.txt": "another export", **mine}


def test_a_network_that_was_imported_is_replaced_by_force(tmp_path):
    pytest.importorskip("nir")
    run = launch(configure(SPIKING, target="loihi"), tmp_path / "runs")
    api.export(run.path, "nir", tmp_path / "out")
    task, mine = {"task": SPIKING["task"]}, tmp_path / "mine"
    for force in (False, True):
        bring(tmp_path / "out" / "network.nir", mine, overrides=task, force=force)
    with pytest.raises(InputError, match="replace it with --force"):
        bring(tmp_path / "out" / "network.nir", mine, overrides=task)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out", "runs"]
