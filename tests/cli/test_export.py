"""neuroanp export on tiny real runs: what it prints, JSON, and what a user gets wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from neuroanp import api
from neuroanp.errors import InputError
from neuroanp.export.protocol import EXPORTERS
from neuroanp.training.configure import configure
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
    assert "report: out/report.json; to check it: neuroanp export --check out" in done.stdout
    assert {p.name for p in Path("out").iterdir()} == {
        "model.onnx", "check.py", "stimulus.npz", "expected.npz", "report.json", "READ_BACK.txt", ".neuroanp-export",
    }  # fmt: skip


def test_json_is_the_report(run, invoke):
    done = invoke("export", run, "-f", "onnx", "--json")
    (row,) = json.loads(done.stdout)["results"]
    assert row["format"] == "onnx"
    assert row["path"] == f"{run}/export/onnx"
    del row["path"]
    assert row == json.loads(Path(run, "export", "onnx", "report.json").read_text())


def test_a_run_given_by_the_beginning_of_its_name_says_where_its_files_lie(run, invoke):
    done = invoke("export", Path(run).name[:-8], "-f", "onnx", "--json")
    assert done.exit_code == 0, done.stderr
    (row,) = json.loads(done.stdout)["results"]
    assert {*row["files"]} <= {path.name for path in Path(row["path"]).iterdir()}
    assert Path(row["path"]).resolve() == Path(run, "export", "onnx")


def test_the_list_has_every_format_with_what_it_holds_and_its_options(invoke):
    done = invoke("export", "--list", "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)["results"]}
    assert {*rows} == {*EXPORTERS.names()}
    assert all(row["holds"] and row["reader"] and row["lost"] and row["summary"] for row in rows.values())
    shown = " ".join(invoke("export", "--list").stdout.split())
    for row in rows.values():
        assert row["name"] in shown
        assert " ".join(row["holds"].split()[:4]) in shown
    assert {option["option"] for option in rows["onnx"]["options"]} == {"dtype", "states", "sequences", "steps"}


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
        (["{run}", "-f", "onnx", "-o", ""], "the name is empty"),
        (["{run}", "-f", "onnx", "-o", "."], "you are in or below this directory"),
        (["{run}", "-f", "onnx", "-o", "/", "--force"], "you are in or below this directory"),
        (["{run}", "-f", "onnx", "-o", "{run}", "--force"], "is a run's directory"),
        (["{run}", "-f", "onnx", "-o", "taken/notes.txt", "--force"], "is no directory"),
        (["{run}", "-f", "onnx", "-o", "taken/notes.txt/x"], "notes.txt is no directory"),
        (["{run}", "-f", "loihi", "--finetune-lr", "0.1"], "give --finetune N too"),
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


@pytest.mark.parametrize("width", ["80", "120"])
def test_a_crossbar_takes_a_line_an_array(run, invoke, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    done = invoke("export", run, "-f", "crossbar", "-o", "out")
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert [" ".join(line.split()) for line in lines if "devices of" in line] == [
        "w_in 24 devices of 1 uS to 100 uS", "w 72 devices of 1 uS to 100 uS", "w_out 12 devices of 1 uS to 100 uS",
    ]  # fmt: skip
    assert len({line.index("devices of") - len(line.split()[1]) for line in lines if "devices of" in line}) == 1
    assert len(lines) < 30
    assert "w_in.devices_at_g_min" in json.loads(Path("out", "report.json").read_text())["facts"]


def _newest(run: str) -> Path:
    return max(Path(run, "checkpoints").iterdir())


@pytest.mark.parametrize(
    "words", [["export", "{run}", "-f", "onnx"], ["evaluate", "{run}"], ["evaluate", "{run}", "--profile", "pcm"]]
)
def test_a_damaged_checkpoint_is_named(tmp_path, invoke, words):
    run = str(launch(configure(TINY, {"training.checkpoint_every": 1}, target="nir"), tmp_path / "runs").path)
    newest = _newest(run)
    older = newest.with_name("00000001.safetensors")
    whole = older.read_bytes()
    older.unlink()
    newest.write_bytes(newest.read_bytes()[:-100])
    done = invoke(*(word.format(run=run) for word in words))
    assert done.exit_code == 2
    said = " ".join(done.stderr.split())
    assert "no checkpoint can be read; restore one from a copy, or repeat the training: neuroanp train" in said
    assert f"{newest}: damaged (it holds" in said
    assert "resume from an older" not in said
    older.write_bytes(whole)
    done = invoke(*(word.format(run=run) for word in words))
    assert done.exit_code == 0
    assert "taken is 00000001.safetensors, which is older" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda run: api.export(None, "onnx"), "run: None is no path"),
        (lambda run: api.export(run, None), "format: None is no name"),
        (lambda run: api.export(run, 3), "format: 3 is no name"),
        (lambda run: api.export(run, "onnx", 3), "path: 3 is no path"),
        (lambda run: api.export(run, "onnx", ""), "path: is empty"),
        (lambda run: api.export(run, "onnx", "a\0"), "zero byte"),
        (lambda run: api.export(run, "onnx", "a" * 300), "not accessible"),
        (lambda run: api.load_run(run).export("onnx", force="no"), "force: 'no' is neither True nor False"),
        (lambda run: api.export(run, "crossbar", g_min=1e-6), "has no unit"),
        (lambda run: api.load_run(run).export("nir", finetune_lr=0.1), "give --finetune N too"),
    ],
)
def test_arguments_of_other_types_are_one_message(run, call, said):
    before = set(Path().rglob("*"))
    with pytest.raises(InputError, match=re.escape(said)):
        call(run)
    assert set(Path().rglob("*")) == before


def test_runs_paths_and_numbers_of_numpy_are_taken(run):
    assert api.export(api.load_run(run), "rtl", Path("a"), weight_bits=np.int64(8)).format == "rtl"
    assert Path("a", "lif_core.v").exists()


# --check: what a reader of others gives of an export that is there


def test_check_prints_one_line_and_ends_with_0_or_1(run, invoke):
    assert invoke("export", run, "-f", "onnx", "-o", "out").exit_code == 0
    done = invoke("export", "--check", "out")
    assert (done.exit_code, done.stdout.count("\n")) == (0, 1), done.stderr
    assert done.stdout.startswith("PASS onnxruntime: outputs ")
    shown = invoke("export", "--check", "out", "--json")
    (row,) = json.loads(shown.stdout)["results"]
    assert (row["path"], row["format"], row["passed"], row["said"]) == ("out", "onnx", True, done.stdout.strip())
    (array,) = row["readers"]["onnxruntime"]
    assert array["largest"] <= array["tolerance"]

    Path("out", "model.onnx").write_bytes(b"no graph")
    done = invoke("export", "--check", "out")
    assert (done.exit_code, done.stdout.count("\n")) == (1, 1)
    assert done.stdout.startswith("FAIL onnxruntime: ")
    shown = invoke("export", "--check", "out", "--json")
    assert (shown.exit_code, json.loads(shown.stdout)["results"][0]["passed"]) == (1, False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--check", "nowhere"], "nowhere: no such directory"),
        (["--check", "{run}"], "holds no report.json, so it is no export"),
        (["--check", "out", "{run}"], "writes no export; leave out RUN"),
        (["--check", "out", "-f", "onnx", "--set", "states=true"], "leave out --format, --set"),
        (["--check", "out", "--weights", "as_held", "--force"], "leave out --weights, --force"),
        (["--check", ""], "the name is empty"),
    ],
)
def test_what_cannot_be_checked_is_said(run, invoke, words, said):
    done = invoke("export", *(word.format(run=run) for word in words))
    assert done.exit_code == 2, done.stdout
    assert said in " ".join(done.stderr.split())
