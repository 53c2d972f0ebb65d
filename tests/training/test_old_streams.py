"""Runs whose passes drew their noise from other streams: what of them goes on, what is drawn anew, and what says so."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import neuroanp as na
from neuroanp.errors import InputError
from neuroanp.kernels.philox import Address
from neuroanp.noise import VERSION, PassStreams
from neuroanp.records import manifest
from neuroanp.records.run_dir import RunDir
from neuroanp.training.launch import launch, resume

from .test_resume import config

NOTE = "the noise of its passes is of streams 1 (numpy's Philox 4x64 in blocks of 64 steps)"


def older(path: Path, **fields) -> Path:
    """Make a run one of before there was a second version: nothing in its manifest says which."""
    kept = {name: value for name, value in manifest.read(path).fields.items() if name != "streams"}
    manifest.write(path, {**kept, **fields})
    return path


def trained(root: Path, profile: str, monkeypatch) -> Path:
    """Train with streams whose numbers are others, as those of version 1 were."""
    at = PassStreams.at

    def other(self, name, pass_stream, t0=0) -> Address:
        found = at(self, name, pass_stream, t0)
        return found._replace(key=found.key ^ 1)

    monkeypatch.setattr(PassStreams, "at", other)
    record = launch(config(profile, updates=3), root)
    monkeypatch.setattr(PassStreams, "at", at)
    return older(record.path)


def told(caplog) -> list[str]:
    return [line for line in caplog.messages if "streams 1" in line]


def test_a_run_says_which_streams_it_draws_from(tmp_path):
    assert launch(config("ideal", updates=1), tmp_path).manifest["streams"] == VERSION == 2


@pytest.mark.parametrize("code", ["0.1.0+0123456789ab", None], ids=["other code", "this code"])
def test_one_that_was_interrupted_does_not_go_on_and_is_told_why(tmp_path, code):
    record = launch(config("ideal", updates=3), tmp_path)
    older(record.path, status="interrupted", code=code or record.manifest["code"])
    before = {path: path.read_bytes() for path in record.path.rglob("*") if path.is_file()}
    with pytest.raises(InputError) as caught:
        resume(record.path)
    said = str(caught.value)
    for part in (NOTE, f"this program draws streams {VERSION}", "Use that version", "neuroanp train", "evaluated"):
        assert part in said
    assert {path: path.read_bytes() for path in record.path.rglob("*") if path.is_file()} == before


def test_one_of_these_streams_and_other_code_is_refused_without_a_word_of_noise(tmp_path):
    record = launch(config("ideal", updates=1), tmp_path)
    record.update(code="0.1.0+0123456789ab", status="interrupted")
    with pytest.raises(InputError) as caught:
        resume(record.path)
    assert "would mix two programs. Use" in str(caught.value)


@pytest.mark.parametrize("profile", ["pcm", "smtj_koenders"])
def test_its_losses_under_noise_are_drawn_anew_and_one_note_says_so(tmp_path, profile, monkeypatch, caplog):
    path = trained(tmp_path, profile, monkeypatch)
    run = na.load_run(path)
    with caplog.at_level(logging.WARNING, logger="neuroanp"):
        (row,) = na.evaluate(path)
        batch = run.held_out()
        y = run.predict(batch.inputs)
    assert row["test_loss_noise_free"] == run.result["test_loss_noise_free"]
    assert row["test_loss"] != run.result["test_loss"]
    assert batch.loss(y) == row["test_loss"]
    assert batch.loss(run.predict(batch.inputs, noise=False)) == run.result["test_loss_noise_free"]
    (line,) = told(caplog)
    assert line.startswith(f"{path}: {NOTE}")
    assert "a fresh draw" in line


def test_nothing_is_said_where_no_noise_is_drawn(tmp_path, monkeypatch, caplog):
    """Ideal devices have none when they are evaluated; nor have noise-free predictions, weights, exports, reports."""
    ideal, pcm = (trained(tmp_path, profile, monkeypatch) for profile in ("ideal", "pcm"))
    with caplog.at_level(logging.WARNING, logger="neuroanp"):
        (row,) = na.evaluate(ideal)
        assert row["test_loss"] == na.load_run(ideal).result["test_loss"]
        run = na.load_run(pcm)
        run.predict(run.held_out().inputs, noise=False)
        run.weights()
        run.export("onnx")
        assert run.report().exists()
        assert not told(caplog)
        na.evaluate(pcm)
        assert len(told(caplog)) == 1


def test_a_store_shows_it_beside_others(tmp_path):
    first = older(launch(config("ideal", updates=1), tmp_path).path)
    launch(config("ideal", updates=2), tmp_path)
    assert na.report([tmp_path], tmp_path / "report.html").exists()
    assert RunDir.open(first, check_code=False).result is not None


def test_a_version_that_is_no_number_is_a_damaged_manifest(tmp_path):
    record = launch(config("ideal", updates=1), tmp_path)
    with pytest.raises(InputError, match="streams: not a int"):
        manifest.write(record.path, {**record.manifest, "streams": "2"})
