"""A stored run evaluated again: as it was, later, with less noise, on another device; and never changed."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest

from neuroanp import api
from neuroanp.errors import InputError
from neuroanp.profiles.loader import load
from neuroanp.records.run_dir import RunDir
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.evaluate import HeldOutBatch
from neuroanp.training.launch import launch
from neuroanp.training.results import result_of
from neuroanp.training.revisit import NOW, Look, revisit

from .test_resume import SMALL


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> RunDir:
    """A finished run on pcm, evaluated after an hour as well."""
    wanted = configure(SMALL, {"profile": "pcm", "training.evaluate_after": ["1 h"]})
    return launch(wanted, tmp_path_factory.mktemp("store"))


def content(path: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_it_says_what_the_run_said_and_leaves_the_record_alone(stored):
    before = content(stored.path)
    rows = revisit(stored, Look(after=["1 h"]))
    assert content(stored.path) == before
    result = result_of(stored)
    assert result is not None
    assert [row["after"] for row in rows] == [NOW, "1 h"]
    assert [row["test_loss"] for row in rows] == [result["test_loss"], result["test_loss_after"]["1 h"]]
    assert [row["test_loss_noise_free"] for row in rows] == [
        result["test_loss_noise_free"],
        result["test_loss_noise_free_after"]["1 h"],
    ]
    assert rows[0]["score"] == stored.manifest["scores"]
    assert (rows[0]["update"], rows[0]["profile"], rows[0]["rule"], rows[1]["after_s"]) == (20, "pcm", "anp", 3600.0)


def test_effects_of_reading_can_be_switched_off(stored):
    now, later = revisit(stored, Look(after=["30 d"], without=["drift"]))
    assert now["test_loss_noise_free"] == later["test_loss_noise_free"]
    assert "drift" not in now["effects"]
    assert "programming_error" in now["effects"]
    quiet = revisit(stored, Look(only=["drift"]))[0]
    assert quiet["test_loss"] == quiet["test_loss_noise_free"]  # neither read noise nor converters are left
    off = ["read_noise", "frozen_noise", "dac", "adc"]
    assert quiet["test_loss"] == revisit(stored, Look(without=off))[0]["test_loss"]


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (Look(without=["d2d"]), "in the conductances since they were written"),
        (Look(only=["programming_error"]), r"it can switch off: drift, read_noise, frozen_noise, dac, adc"),
        (Look(without=["node_noise"]), "profile pcm has no node_noise"),
        (Look(without=["driftt"]), "did you mean 'drift'"),
        (Look(after=["1"]), "no unit"),
        (Look(after=["1 h", "60 min"]), "--after: '60 min' is '1 h' again"),
        (Look(profile=load("smtj_koenders"), without=["drift"]), "profile smtj_koenders has no drift"),
    ],
)
def test_what_cannot_be_asked_is_said(stored, look, words):
    with pytest.raises(InputError, match=words):
        revisit(stored, look)


def test_what_was_off_in_the_run_stays_off(tmp_path):
    record = launch(configure(SMALL, {"profile": "pcm", "hardware.without": ["drift"]}), tmp_path)
    assert "drift" not in revisit(record, Look())[0]["effects"]
    with pytest.raises(InputError, match="drift: off in the run already"):
        revisit(record, Look(only=["drift"]))


def test_a_new_chip_holds_the_run_s_weights(stored, caplog):
    """On ideal hardware the loss is that of the digital target weights: what BPTT would call the network's."""
    with caplog.at_level(logging.INFO, "neuroanp"):
        (row,) = revisit(stored, Look(profile=load("ideal")))
    assert (row["profile"], row["effects"]) == ("ideal", [])
    assert any("anp on pcm, after 20 updates" in entry.getMessage() for entry in caplog.records)
    overrides = {"network.weights": str(stored.path), "profile": "ideal", "training.updates": 0}
    experiment = Experiment.of(configure(SMALL, overrides))
    trainer = build_trainer(experiment)
    held = HeldOutBatch.of(
        experiment.task.test(trainer.streams.generator("test")), trainer.substrate.weights["w"], trainer.task.loss
    )
    assert row["test_loss"] == trainer.evaluate(held).test_loss
    again = revisit(stored, Look(profile=load("pcm"), without=["programming_error"]))[0]
    assert "programming_error" not in again["effects"]
    assert again["test_loss"] != (stored.result or {})["test_loss"]


def test_a_pulsed_run_can_go_to_a_device_without_pulses(tmp_path):
    record = launch(configure(SMALL, {"profile": "rram_hfo2", "hardware.write": "pulse"}), tmp_path)
    assert revisit(record, Look(profile=load("ideal")))[0]["profile"] == "ideal"


def test_a_run_of_other_data_or_without_a_checkpoint_is_refused(stored, tmp_path):
    bare = RunDir.create(tmp_path, "bare", stored.config_text, {**stored.manifest, "status": "running"})
    with pytest.raises(InputError, match="no checkpoint is there; make one with: neuroanp resume"):
        revisit(bare, Look())
    bare.save_checkpoint(20, stored.load_checkpoint(stored.checkpoints()[-1])[0], {})
    bare.update(data="another")
    with pytest.raises(InputError, match="its data have changed"):
        revisit(bare, Look())


def test_one_name_is_taken_as_it_is(stored):
    assert "drift" not in api.evaluate(stored.path, without="drift")[0]["effects"]
    assert api.evaluate(stored.path, after="1 h", only="drift") == api.evaluate(
        stored.path, after=["1 h"], only=["drift"]
    )


@pytest.mark.parametrize("profile", [None, "rram_hfo2"])
def test_cut_checkpoints_are_told_once(stored, tmp_path, caplog, profile):
    """On the run's own chip and on a new one: the one before is taken, or none can be read."""
    shutil.copytree(stored.path, tmp_path / "run")
    record = RunDir.open(tmp_path / "run")
    look = Look(profile=None if profile is None else load(profile))
    first, last = record.checkpoints()
    os.truncate(last, 100)
    caplog.set_level(logging.WARNING)
    assert revisit(record, look)[0]["update"] == 10
    (told,) = [line for line in caplog.messages if last.name in line]
    assert f"taken is {first.name}, which is older" in told
    os.truncate(first, 100)
    with pytest.raises(InputError, match="no checkpoint can be read") as caught:
        revisit(record, look)
    assert len(caught.value.problems) == 2
