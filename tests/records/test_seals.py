"""Seals: an edit is said wherever it is read, whole copies are shown instead, and no kill forges one."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.records import RunDir
from tests.records.lives import EVERY, FIELDS, SEALED, UPDATES, content, life

COPIED = ("config.yaml", "manifest.json", "metrics.csv", "result.json")


@pytest.fixture
def run(tmp_path):
    return life(tmp_path / "runs", [])


def edit(path: Path, old: bytes = b"0.", new: bytes = b"0.0") -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def again(run: RunDir) -> RunDir:
    return RunDir.open(run.path, check_code=False)


def test_a_finished_run_is_sealed_wherever_it_lies(run, tmp_path):
    assert set(run.manifest["seals"]) == set(SEALED)
    assert (run.sealed, run.damage()) == (True, [])
    for move in (shutil.copytree, shutil.move):
        here = move(str(run.path), str(tmp_path / move.__name__))
        assert RunDir.open(Path(here), check_code=False).sealed is True


@pytest.mark.parametrize("name", COPIED)
def test_an_edit_is_said_and_the_copy_is_shown(run, name, caplog):
    before, losses, test_loss = run.manifest, run.metrics()["train_loss"], run.result["test_loss"]
    if name == "manifest.json":
        edit(run.path / name, b'"loss": ', b'"loss": 1')
    elif name == "config.yaml":
        edit(run.path / name, b"seed: 0", b"seed: 1")
    else:
        edit(run.path / name)
    read = again(run)
    assert read.sealed is False
    (sentence,) = read.damage()
    assert sentence.startswith(f"{run.path / name}: not as it was written")
    assert sentence.endswith("taken is its copy, which is whole")
    assert read.manifest == before
    assert read.result is not None
    assert read.result["test_loss"] == test_loss
    assert read.metrics()["train_loss"] == losses
    assert read.config_text == "seed: 0\n"
    assert [record.getMessage() for record in caplog.records] == [sentence]  # once, however often it is read


@pytest.mark.parametrize("name", SEALED)
@pytest.mark.parametrize("change", ["removed", "cut", "edited"])
def test_what_has_no_whole_copy_is_said(run, name, change, caplog):
    for path in (run.path / name, run.path / "copies" / name):
        if path.exists():
            if change == "removed" and name != "config.yaml":
                path.unlink()
            elif change == "edited":
                path.write_bytes(path.read_bytes()[:-3] + b"\n\n\n")
            else:
                os.truncate(path, path.stat().st_size - 1)
    read = again(run)
    (sentence,) = read.damage()
    assert str(run.path / name) in sentence
    assert "no whole copy is left" in sentence
    if name.endswith(".safetensors"):
        array, remedy = (
            ("start", "put the weights back .* continue with: neuroanp train")
            if "start" in name
            else ("predictions", "resume")
        )
        if change == "removed":
            assert read.load_arrays(array) is None
        else:
            with pytest.raises(InputError, match=f"damaged .*; .*{remedy}"):
                read.load_arrays(array)
    else:
        # of a result the cut takes the last line's end alone, of the metrics their last row
        left = {"removed": (None, 0), "cut": (0.1, UPDATES - 1), "edited": (None, UPDATES)}[change]
        control = None if read.result is None else read.result["controls"]["ridge"]
        assert control == (left[0] if name == "result.json" else 0.1)
        assert len(read.metrics()) == (left[1] if name == "metrics.csv" else UPDATES)
        assert read.config_path == run.path / "config.yaml"  # what is there, for want of a better one
    if name != "predictions.safetensors":  # it is not read for anything above
        assert sentence in [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("link", [None, "/etc/passwd", "nothing"])
def test_weights_it_starts_from_are_read_from_their_copy(run, caplog, link):
    path = run.path / "start.safetensors"
    data = path.read_bytes()[:-1] + b"x"
    if link is not None:
        path.unlink()
        path.symlink_to(link)
    else:
        path.write_bytes(data)
    read = again(run)
    np.testing.assert_array_equal((read.load_arrays("start") or {})["w"], np.arange(3.0))
    assert read.damage() == [record.getMessage() for record in caplog.records]
    said = {None: "not as it was written", "/etc/passwd": "a link that leads out", "nothing": "a link to nothing"}[link]
    assert f"start.safetensors: {said}" in caplog.text


@pytest.mark.parametrize(
    ("status", "remedy"), [("finished", "train"), ("diverged", "train"), ("interrupted", "resume")]
)
def test_what_makes_a_checkpoint_again_depends_on_how_the_run_ended(run, status, remedy):
    """To resume a run that has ended only shows it."""
    run.end(status)
    for path in run.checkpoints():
        path.write_bytes(b"damaged")
    with pytest.raises(InputError, match=f"repeat the training: neuroanp {remedy} "):
        again(run).whole_checkpoint()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("finished", "make one with: neuroanp train .* --force"),
        ("diverged", "it diverged before its first checkpoint; train another configuration"),
        ("interrupted", "make one with: neuroanp resume"),
    ],
)
def test_what_to_do_without_any_checkpoint_depends_on_how_the_run_ended(run, status, said):
    run.end(status)
    for path in run.checkpoints():
        path.unlink()
    with pytest.raises(InputError, match=said):
        again(run).whole_checkpoint()


def test_an_edited_manifest_without_a_copy_is_said(run):
    edit(run.path / "manifest.json", b'"loss": ', b'"loss": 1')
    shutil.rmtree(run.path / "copies")
    assert again(run).damage()[0].endswith("no whole copy is left")
    assert again(run).sealed is False


def test_a_manifest_does_not_become_one_of_a_version_without_seals(run):
    """Neither does a letter in `format` or `seal` switch the seals off."""
    for old, new in ((b'"format": 2', b'"format": 1'), (b'"seal":', b'"sael":'), (b'"seals":', b'"seels":')):
        shutil.copy(run.path / "copies" / "manifest.json", run.path / "manifest.json")
        edit(run.path / "manifest.json", old, new)
        assert again(run).sealed is False
        assert "not as it was written" in again(run).damage()[0]


def test_a_run_of_a_version_that_sealed_nothing_is_read_quietly(run, caplog):
    shutil.rmtree(run.path / "copies")
    fields = {key: value for key, value in run.manifest.items() if key not in ("seal", "seals")}
    (run.path / "manifest.json").write_text(json.dumps({**fields, "format": 1}))
    read = again(run)
    assert (read.sealed, read.damage()) == (None, [])
    assert read.result is not None
    assert read.metrics()["update"] == [*range(1, UPDATES + 1)]
    before = read.result["test_loss"]
    edit(run.path / "result.json")
    assert (again(run).result or {})["test_loss"] < before  # who sealed nothing cannot tell
    assert caplog.records == []
    (run.path / "result.json").write_text("{}")
    with pytest.raises(InputError, match="missing or unknown keys"):
        _ = again(run).result


@pytest.mark.parametrize("value", ['"low"', "[1]", "true", '{"a": "b"}'])
def test_a_result_that_no_table_can_show_is_no_result(run, value, caplog):
    for path in (run.path / "result.json", run.path / "copies" / "result.json"):
        data = json.loads(path.read_text())
        path.write_text(json.dumps({**data, "test_loss": json.loads(value)}))
    assert again(run).result is None
    assert "computes it again" in caplog.text


@pytest.mark.parametrize("name", [*SEALED, "manifest.json"])
@pytest.mark.parametrize("both", [False, True])
def test_a_damaged_run_is_mended_to_what_it_was(run, name, both):
    whole = content(run)
    for path in (run.path / name, run.path / "copies" / name)[: 1 + both]:
        if path.exists():
            path.write_bytes(path.read_bytes()[:-5] + b"12\n}\n")
    told: list[str] = []
    if name == "manifest.json" and both:  # it can still be read: what it says is taken, with a warning
        for path in (run.path / name, run.path / "copies" / name):
            path.write_text(json.dumps(json.loads(of_text(run)) | {"started": "2026"}))
    if name == "config.yaml" and both:
        assert "no whole copy" in again(run).damage()[0]
        return
    mended = life(run.path.parent, told)
    assert str(run.path / name) in told[0]
    assert mended.manifest["log"] == [f"warning: {line}" for line in told]
    if both and name in ("metrics.csv", "start.safetensors"):
        assert ("the learning curve is lost" if name == "metrics.csv" else "written again from") in told[0]
        assert name not in again(run).manifest["seals"]
        assert not (run.path / name).exists()
        return
    assert content(mended) == whole
    assert again(mended).sealed is True
    assert (run.path / "damaged" / name).exists()


def of_text(run: RunDir) -> str:
    return json.dumps(run.manifest)


def test_a_manifest_of_another_run_is_found_out(run, tmp_path):
    other = RunDir.create(tmp_path, "two", "seed: 1\n", {**FIELDS, "identity": "f" * 16})
    shutil.copy(other.path / "manifest.json", run.path / "manifest.json")
    read = again(run)
    assert read.manifest["identity"] == FIELDS["identity"]
    assert "of another run" in read.damage()[0]
    shutil.copy(other.path / "config.yaml", run.path / "config.yaml")
    shutil.copy(run.path / "config.yaml", run.path / "copies" / "config.yaml")
    (run.path / "config.yaml").write_text("seed: 2\n")
    (run.path / "copies" / "config.yaml").write_text("seed: 2\n")
    with pytest.raises(InputError, match="files of two runs"):
        again(run)


def test_a_checkpoint_of_another_run_or_update_is_not_taken(run, tmp_path):
    other = RunDir.create(tmp_path, "two", "seed: 1\n", {**FIELDS, "identity": "f" * 16})
    newest, before = run.checkpoints()[-1], run.checkpoints()[-2]
    shutil.copy(other.save_checkpoint(UPDATES, {"value": torch.ones(1)}, {}), newest)
    assert run.latest_checkpoint() == before
    assert "of another run" in run.warnings[-1]
    with pytest.raises(InputError, match="not this run's file"):
        run.load_checkpoint(newest)
    shutil.copy(before, newest)
    assert run.latest_checkpoint() == before
    assert f"it holds update {UPDATES - EVERY}" in run.warnings[-1]
    shutil.copy(other.save_arrays("predictions", {"y": np.ones(1)}), run.path / "predictions.safetensors")
    with pytest.raises(InputError, match="of another run"):
        run.load_arrays("predictions")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nothing"), lambda path: None])
@pytest.mark.parametrize("name", [".lock", "checkpoints/00000004.safetensors", "checkpoints/00000006.safetensors",
                                  "copies", "result.json", "predictions.safetensors", "metrics.csv"])  # fmt: skip
def test_what_is_no_file_does_not_stop_a_run(tmp_path, name, make):
    whole = content(life(tmp_path / "whole", []))
    run = life(tmp_path / "runs", [])
    run.update(status="running", seals={"config.yaml": run.manifest["seals"]["config.yaml"]})
    path = run.path / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    make(path)
    if name.startswith("checkpoints/"):  # it lies in the way of one that is yet to be written
        for later in run.checkpoints():
            if later != path:
                later.unlink()
    told: list[str] = []
    assert content(life(tmp_path / "runs", told)) == whole
    assert RunDir.open(run.path).sealed is True


def test_a_last_checkpoint_that_is_gone_is_said(run, caplog):
    """A number from an older one is another number."""
    run.checkpoints()[-1].unlink()
    assert again(run).whole_checkpoint().stem == f"{UPDATES - EVERY:08d}"
    assert f"the result is of update {UPDATES}: its checkpoint is gone" in caplog.text
