"""A run directory, a checkpoint and a record that somebody else made lead nowhere outside, and hold what they must."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.files import read_regular, real
from neuroanp.records import RunDir
from neuroanp.records.checkpoints import numbers_of
from neuroanp.records.copies import set_aside
from neuroanp.records.json_io import MAX_DEPTH, parse
from tests.records.lives import life


def test_what_is_set_aside_stays_in_the_run_where_damaged_is_a_link(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    run = life(tmp_path / "runs", [])
    (run.path / "damaged").symlink_to(outside)
    (run.path / "result.json").write_text("{}")
    with run.lock():
        RunDir.open(run.path, check_code=False, quiet=True).mend()
    assert list(outside.iterdir()) == []
    assert (run.path / "damaged" / "result.json").read_text() == "{}"
    assert (run.path / "damaged.2").is_symlink()
    assert RunDir.open(run.path, check_code=False, quiet=True).sealed


def test_a_file_in_the_place_of_damaged_is_moved_as_well(tmp_path):
    (tmp_path / "damaged").write_text("mine")
    (tmp_path / "a.txt").write_text("a")
    assert set_aside(tmp_path, tmp_path / "a.txt") == tmp_path / "damaged" / "a.txt"
    assert (tmp_path / "damaged.2").read_text() == "mine"


@pytest.mark.parametrize("name", ["checkpoints", "copies"])
def test_a_lock_sweeps_no_folder_behind_a_link(tmp_path, name):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ".theirs.tmp").write_text("mine")
    run = life(tmp_path / "runs", [])
    (run.path / f".own.{os.getpid()}.tmp").write_text("left by a killed writer")
    os.rename(run.path / name, run.path / "elsewhere")
    (run.path / name).symlink_to(outside)
    with run.lock():
        pass
    assert (outside / ".theirs.tmp").exists()
    assert not list(run.path.glob(".*.tmp"))


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"b": {"a": 1, "c": 0, "a": 1}}', '[{"": 1, "": 1}]'])
def test_a_key_that_comes_twice_is_no_json_of_ours(text):
    with pytest.raises(ValueError, match="comes twice"):
        parse(text)


def test_depth_and_range_are_looked_at_in_every_place():
    deepest = "[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH
    assert parse(deepest) is not None
    for text in (f"[{deepest}]", f'{{"a": {deepest}}}', f'[1, {{"a": [{deepest}]}}]'):
        with pytest.raises(ValueError, match="more than 32 levels"):
            parse(text)
    for text in ("1e999", "[-1e999]", '{"a": [0, {"b": 1e400}]}', "1" + "0" * 400, "[-1" + "0" * 309 + "]"):
        with pytest.raises(ValueError, match="out of range"):
            parse(text)


def test_links_in_a_circle_are_a_path_as_any(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert real(tmp_path / "a").name in ("a", "b")
    (tmp_path / "c").symlink_to("d")
    (tmp_path / "d").write_text("x")
    assert real(tmp_path / "c") == tmp_path / "d"


def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path, monkeypatch):
    """To open a tape winds it back, and to open a terminal may take it."""
    os.mkfifo(tmp_path / "pipe")
    opened: list[str] = []
    monkeypatch.setattr(os, "open", lambda path, *how: opened.append(str(path)))
    for path in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(InputError, match="not a regular file"):
            read_regular(path, 10)
    assert opened == []


@pytest.mark.parametrize(
    "meta", [{}, {"wall_s": None}, {"wall_s": -1}, {"wall_s": True}, {"wall_s": "1"}, {"wall_s": 2**70}]
)
def test_numbers_of_a_checkpoint_are_numbers(meta):
    with pytest.raises(InputError, match="its meta holds no wall_s"):
        numbers_of(Path("x"), meta, "wall_s")
    assert numbers_of(Path("x"), {"wall_s": 0.5}, "wall_s") == [0.5]


def test_a_checkpoint_without_the_arrays_of_its_configuration_is_refused(tmp_path):
    """Its checksum is right, for anybody can compute it."""
    from neuroanp.training.configure import configure
    from neuroanp.training.launch import launch
    from neuroanp.training.start import load_start

    tiny = {
        "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}, "network": {"hidden": 3},
        "training": {"updates": 2, "batch": 2, "controls": False},
    }  # fmt: skip
    record = launch(configure(tiny), tmp_path)
    path = record.whole_checkpoint()
    state, meta = record.load_checkpoint(path)
    names = [name for name in state if name.endswith(("w_out/aim", "w_out.aim")) or "w_out" in name]
    assert names
    for change in (
        {name: W for name, W in state.items() if name not in names},
        {**state, **{name: torch.zeros(3) for name in names}},
        {**state, **{name: torch.zeros(9, 9) for name in names}},
    ):
        record.save_checkpoint(meta["update"], change, meta)
        with pytest.raises(InputError, match="damaged"):
            load_start(str(record.path))


def test_manifests_with_a_key_twice_are_read_from_their_copy(tmp_path):
    run = life(tmp_path / "runs", [])
    path = run.path / "manifest.json"
    fields = json.loads(path.read_text())
    path.write_text(path.read_text().rstrip()[:-1] + f', "status": {json.dumps(fields["status"])}}}')
    read = RunDir.open(run.path, check_code=False, quiet=True)
    assert read.manifest["status"] == fields["status"]
    assert "comes twice" in read.damage()[0]
