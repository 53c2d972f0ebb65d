"""neuroanp export on tiny real runs: what it prints, JSON, and what a user gets wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuroanp.export.protocol import EXPORTERS
from neuroanp.training.config import configure
from neuroanp.training.launch import launch

TINY = {
    "task": {"name": "xor", "start": 2, "pulse": 5, "gap": 2, "delay": 2, "window": 5, "test_size": 4},
    "network": {"hidden": 6},
    "training": {"updates": 2, "batch": 2, "controls": False},
}


@pytest.fixture
def run(tmp_path, monkeypatch) -> str:
    pytest.importorskip("onnx", reason="pip install 'neuroanp[onnx]'")
    monkeypatch.chdir(tmp_path)
    return str(launch(configure(TINY, target="nir"), tmp_path / "runs").path)


def test_it_prints_what_was_lost_and_where_the_files_are(run, invoke):
    done = invoke("export", run, "--format", "onnx", "-o", "out", "--set", "states=true")
    assert done.exit_code == 0, done.stderr
    assert "error of w_in" in done.stdout
    assert "0 of" in done.stdout
    assert "places differ" in done.stdout
    assert "loss" in done.stdout
    assert "files: out/model.onnx" in done.stdout
    assert "report: out/report.json; to read it back: out/READ_BACK.txt" in done.stdout
    assert {p.name for p in Path("out").iterdir()} == {
        "model.onnx", "test_data.npz", "report.json", "READ_BACK.txt", ".neuroanp-export",
    }  # fmt: skip


def test_json_is_the_report(run, invoke):
    done = invoke("export", run, "-f", "onnx", "--json")
    (row,) = json.loads(done.stdout)["results"]
    assert row["format"] == "onnx"
    assert row["path"] == f"{run}/export/onnx"
    del row["path"]
    assert row == json.loads(Path(run, "export", "onnx", "report.json").read_text())


def test_the_list_has_every_format_with_what_it_holds_and_its_options(invoke):
    done = invoke("export", "--list", "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)["results"]}
    assert {*rows} == {*EXPORTERS.names()}
    assert all(row["holds"] and row["reader"] and row["lost"] and row["summary"] for row in rows.values())
    shown = " ".join(invoke("export", "--list").stdout.split())
    for row in rows.values():
        assert row["name"] in shown
        assert " ".join(row["holds"].split()[:4]) in shown
    assert {option["option"] for option in rows["onnx"]["options"]} == {"dtype", "states"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a run and a format"),
        (["{run}"], "name a run and a format"),
        (["{run}", "-f", "onxx"], "did you mean 'onnx'"),
        (["nowhere", "-f", "onnx"], "nowhere"),
        (["{run}", "-f", "onnx", "--set", "dtype=float16"], "dtype"),
        (["{run}", "-f", "onnx", "--set", "dtyp=float32"], "dtyp"),
        (["{run}", "-f", "onnx", "--set", "dtype"], "not of the form"),
        (["{run}", "-f", "onnx", "--quantize-decay"], "onnx needs none"),
        (["{run}", "-f", "onnx", "-o", "taken"], "is there already"),
        (["{run}", "-f", "onnx", "-o", "taken", "--force"], "which neuroanp did not write"),
    ],
)
def test_what_is_wrong_is_one_message_and_writes_nothing(run, invoke, words, said):
    Path("taken").mkdir()
    Path("taken", "notes.txt").write_text("mine")
    before = set(Path().rglob("*"))
    done = invoke("export", *(word.format(run=run) for word in words))
    assert done.exit_code == 2, done.stdout
    assert said in " ".join(done.stderr.split())
    assert "bug" not in done.stderr
    assert set(Path().rglob("*")) == before
