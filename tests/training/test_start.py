"""Weights from elsewhere: where they may come from, what is checked, and what they make of a run's identity."""

from __future__ import annotations

import logging
import os
import shutil

import pytest
import torch
from safetensors.torch import save_file

from neuroanp.errors import InputError, RunError
from neuroanp.network.compose import ONE_LAYER
from neuroanp.records.run_dir import RunDir
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure, load_config
from neuroanp.training.launch import launch, resume
from neuroanp.training.start import load_start
from tests.close import close

from .test_resume import SMALL, config, final

N, I, O = 12, 4, 2  # noqa: E741 - copy with two symbols: two inputs, the cue, and the bias line


@pytest.fixture(scope="module")
def taught(tmp_path_factory) -> RunDir:
    """A short run of BPTT on ideal hardware."""
    return launch(configure(SMALL, {"rule": "bptt", "training.updates": 5}), tmp_path_factory.mktemp("store"))


def from_weights(path, **words):
    overrides = {key.replace("__", "."): value for key, value in words.items()}
    return configure(SMALL, {"network.weights": str(path), **overrides})


def test_a_chip_begins_with_the_run_s_weights(taught):
    start = load_start(str(taught.path))
    assert (start.origin, start.update) == ("bptt on ideal", 5)
    trainer = build_trainer(Experiment.of(from_weights(taught.path)))
    for name in ONE_LAYER:
        assert torch.equal(trainer.substrate.weights[name], start.arrays[name])


def test_a_file_of_the_same_weights_is_the_same_start(taught, tmp_path):
    start = load_start(str(taught.path))
    wide = tmp_path / "wide.safetensors"
    save_file({name: W.double().contiguous() for name, W in start.arrays.items()}, wide)
    assert load_start(str(wide)).digest == start.digest
    found = {Experiment.of(from_weights(path)).identity for path in (taught.path, wide)}
    assert len(found) == 1
    save_file({name: W.double() * (1 + 1e-6) for name, W in start.arrays.items()}, wide)
    found |= {Experiment.of(from_weights(wide)).identity, Experiment.of(configure(SMALL)).identity}
    assert len(found) == 3
    checkpoint = taught.checkpoints()[-1]
    assert load_start(str(checkpoint)).digest == start.digest


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "no w_in, w, w_out"),
        ({"w_in": torch.ones(N, I), "w": torch.ones(N, N)}, "no w_out of floating-point numbers"),
        ({"w_in": torch.ones(N, I), "w": torch.ones(N, N), "w_out": torch.ones(O, N + 1, dtype=torch.int32)}, "no w_"),
        ({"w_in": torch.ones(N, I), "w": torch.ones(N, N), "w_out": torch.full((O, N + 1), torch.nan)}, "not finite"),
        ({"w_in": torch.ones(7, I), "w": torch.ones(7, 7), "w_out": torch.ones(O, 8)}, "set network.hidden to 7"),
        ({"w_in": torch.ones(N, I - 1), "w": torch.ones(N, N), "w_out": torch.ones(O, N)}, "network.bias to false"),
        ({"w_in": torch.ones(N), "w": torch.ones(N, N), "w_out": torch.ones(O, N + 1)}, r"w_in is \(12,\)"),
    ],
    ids=["nothing", "missing", "integers", "not finite", "another size", "no bias", "one dimension"],
)
def test_weights_that_do_not_fit_are_said(arrays, words, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(arrays, path)
    with pytest.raises(InputError, match=words):
        Experiment.of(from_weights(path))


def test_places_without_weights_are_said(tmp_path):
    (tmp_path / "text").write_text("not a tensor in sight")
    for path, words in (
        (tmp_path / "gone", "no such run directory or file"),
        (tmp_path / "text", "not a safetensors file"),
        (tmp_path, "not a run directory"),
    ):
        with pytest.raises(InputError, match=words):
            Experiment.of(from_weights(path))


def test_no_update_is_for_stored_weights_alone(taught, tmp_path):
    with pytest.raises(InputError, match=r"at least 1, unless network.weights"):
        configure(SMALL, {"training.updates": 0})
    record = launch(from_weights(taught.path, training__updates=0, training__controls=True), tmp_path)
    row = record.result
    assert row is not None
    assert (row["status"], row["updates"], row["passes"]) == ("finished", 0, 0)
    assert row["test_loss"] == close((taught.result or {})["test_loss"])  # ideal to ideal loses nothing
    assert set(row["controls"]) == {"constant_mean", "ridge"}
    assert len(record.checkpoints()) == 1
    assert record.metrics()["update"] == [0]


def test_what_the_array_cannot_hold_is_clipped_and_told(taught, tmp_path):
    profile = tmp_path / "narrow.yaml"
    profile.write_text("extends: pcm\nmeta: {name: narrow}\narray: {weight_range: 1}\n")
    record = launch(from_weights(taught.path, profile=str(profile), training__updates=0), tmp_path / "runs")
    experiment = Experiment.of(from_weights(taught.path, profile=str(profile)))
    start = load_start(str(taught.path)).weights(experiment.network, torch.float32)
    chip = experiment.chip(build_trainer_streams())
    beyond = {name: float((W.abs() > chip.arrays[name].w_s).float().mean()) for name, W in start.items()}
    told = record.manifest["start"]
    assert told["clipped"]["w"] == close(beyond["w"])
    assert 0.2 < beyond["w"] < 0.5  # a normal draw beyond one standard deviation: 0.32
    (line,) = [line for line in record.manifest["log"] if line.startswith("weights: ")]
    assert "bptt on ideal, after 5 updates" in line
    assert f"w {100 * beyond['w']:.2g} %" in line


def build_trainer_streams():
    from neuroanp.noise import Streams

    return Streams(0)


def test_an_interrupted_run_goes_on_though_its_source_is_gone(taught, tmp_path, monkeypatch):
    source = tmp_path / "source"
    shutil.copytree(taught.path, source)
    wanted = from_weights(source, profile="pcm")
    whole = launch(wanted, tmp_path / "whole")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("neuroanp.training.loop.Training._finish", interrupted)
    with pytest.raises(RunError, match="interrupted"):
        launch(wanted, tmp_path / "cut")
    monkeypatch.undo()
    shutil.rmtree(source)
    (path,) = (tmp_path / "cut").iterdir()
    assert final(resume(path)) == final(whole)


def test_another_network_is_no_start(taught):
    with pytest.raises(InputError, match="does not fit the network"):
        Experiment.of(configure(config("ideal").to_plain(), {"network.weights": str(taught.path), "network.hidden": 9}))


def test_a_run_whose_newest_checkpoint_is_cut(tmp_path, caplog):
    """The one before is taken, and told; where none is left it is said which are damaged, and how."""
    record = launch(configure(SMALL, {"rule": "bptt"}), tmp_path)
    first, last = record.checkpoints()
    older = load_start(str(first))
    os.truncate(last, 100)
    caplog.set_level(logging.WARNING)
    caplog.clear()  # the training's own lines
    start = load_start(str(record.path))
    assert (start.digest, start.update) == (older.digest, 10)
    (told,) = caplog.messages
    assert last.name in told
    assert f"taken is {first.name}, which is older" in told
    os.truncate(first, 100)
    with pytest.raises(InputError, match="no checkpoint can be read; restore one from a copy") as caught:
        Experiment.of(from_weights(record.path))
    assert all(path.name in str(caught.value) for path in (first, last))
    assert "no checkpoint is there" not in str(caught.value)


@pytest.fixture
def begun(taught, tmp_path) -> RunDir:
    """A run from weights of its own place, interrupted after its first checkpoint."""
    given = shutil.copytree(taught.path, tmp_path / "given")

    def stop(event):
        if event["update"] >= 10:
            raise KeyboardInterrupt

    with pytest.raises(RunError, match="interrupted"):
        launch(from_weights(given), tmp_path / "store", progress=stop)
    shutil.rmtree(given)
    return RunDir.open(next((tmp_path / "store").iterdir()))


def damage(path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def test_the_weights_it_starts_from_are_sealed_and_kept_twice(taught, begun, caplog):
    assert "start.safetensors" in begun.manifest["seals"]
    damage(begun.path / "start.safetensors")
    assert begun.sealed is False
    assert "start.safetensors: not as it was written" in begun.damage()[0]
    record = resume(begun.path)
    assert "restored from copies/start.safetensors" in caplog.text
    assert (record.sealed, record.manifest["status"]) == (True, "finished")
    assert (begun.path / "start.safetensors").read_bytes() == (begun.path / "copies/start.safetensors").read_bytes()


def test_without_a_whole_copy_of_them_a_resumed_run_says_what_to_do(taught, begun, tmp_path):
    """And what it says is done: the weights are put back, the command that it names goes on to the same end."""
    whole = launch(from_weights(taught.path), tmp_path / "undisturbed").result
    for folder in (begun.path, begun.path / "copies"):
        damage(folder / "start.safetensors")
    with pytest.raises(InputError) as caught:
        resume(begun.path)
    assert f"{begun.path / 'start.safetensors'}: damaged" in str(caught.value)
    said = "put the weights back where network.weights names them and continue with: neuroanp train"
    assert f"{said} {begun.path / 'config.yaml'}" in str(caught.value)
    assert "checkpoint" not in str(caught.value)
    shutil.copytree(taught.path, tmp_path / "given")
    told = []
    record = launch(load_config(begun.path / "config.yaml"), begun.path.parent, progress=told.append)
    assert min(event["update"] for event in told) >= 10  # it went on
    assert (record.path, record.sealed) == (begun.path, True)
    assert whole is not None
    assert record.result is not None
    assert record.result["test_loss"] == whole["test_loss"]


def test_a_finished_run_keeps_them_again_too(taught, tmp_path):
    record = launch(from_weights(taught.path), tmp_path)
    whole = (record.path / "start.safetensors").read_bytes()
    for folder in (record.path, record.path / "copies"):
        (folder / "start.safetensors").unlink()
    again = launch(from_weights(taught.path), tmp_path)
    assert again.sealed is True
    assert "start.safetensors" in again.manifest["seals"]
    assert (record.path / "start.safetensors").read_bytes() == whole


def test_weights_that_are_still_where_they_were_are_kept_again(taught, tmp_path, caplog):
    def stop(event):
        raise KeyboardInterrupt

    with pytest.raises(RunError, match="interrupted"):
        launch(from_weights(taught.path), tmp_path, progress=stop)
    (path,) = tmp_path.iterdir()
    whole = (path / "start.safetensors").read_bytes()
    for folder in (path, path / "copies"):
        damage(folder / "start.safetensors")
    record = launch(from_weights(taught.path), tmp_path)
    assert "no whole copy is left: written again from the weights that network.weights names" in caplog.text
    assert (path / "start.safetensors").read_bytes() == (path / "copies" / "start.safetensors").read_bytes() == whole
    assert record.sealed is True


@pytest.mark.parametrize("path", ["/proc/self/mem", "/dev/zero", "/dev/null"])
def test_what_only_looks_like_a_file_is_the_user_s_to_name_otherwise(path):
    """The system calls /proc/self/mem a file, and fails as it is read: no fault of a disk, and no run to resume."""
    with pytest.raises(InputError, match=r"cannot be opened|not a regular file"):
        load_start(path)
