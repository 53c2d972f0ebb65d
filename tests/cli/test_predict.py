"""neuroanp predict: the held-out sequences, or a file of one's own, on the network that was scored."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp import api
from neuroanp.cli.fit import write_all
from neuroanp.errors import InputError, RunError
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.training.from_file import _npy
from neuroanp.training.launch import launch

TINY = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8},
    "network": {"hidden": 6},
    "training": {"updates": 2, "batch": 2, "controls": False},
}
ROWS = "a,b,c\n1,0,0\n0,1,0\n0,0,1\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> api.Run:
    return api.Run(launch(configure(TINY, {"profile": "pcm"}), tmp_path_factory.mktemp("store")))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def predict_of(folder, invoke):
    return lambda run: lambda *words: invoke("predict", str(run.path), *words)


@pytest.fixture
def predict(run, predict_of):
    return predict_of(run)


def test_held_out_sequences_have_the_reported_loss(run, predict):
    for flags, key in (([], "test_loss"), (["--noise-free"], "test_loss_noise_free")):
        done = predict("--json", *flags)
        assert done.exit_code == 0, done.stderr
        (row,) = json.loads(done.stdout)["results"]
        assert row["loss"] == run.result[key]
        assert f"loss {run.result[key]:.6g}" in predict(*flags).stdout


def test_what_it_writes_is_what_python_gives(run, predict, folder):
    batch = run.held_out()
    y = run.predict(batch.inputs)
    assert predict("-o", "y.npz").exit_code == 0
    with np.load("y.npz", allow_pickle=False) as found:
        assert sorted(found) == ["inputs", "mask", "outputs", "targets"]
        np.testing.assert_array_equal(found["outputs"], y)
        np.save("x.npy", found["inputs"])
    np.testing.assert_array_equal(run.predict("x.npy"), y)
    assert predict("-i", "x.npy", "-o", "y.npy").exit_code == 0
    np.testing.assert_array_equal(np.load("y.npy"), y)


def test_a_table_is_one_sequence(run, predict, folder):
    (folder / "x.csv").write_text("\ufeff" + ROWS.replace("\n", "\r\n"), encoding="utf-8")
    done = predict("--inputs", "x.csv", "-o", "y.csv", "--noise-free")
    assert done.exit_code == 0, done.stderr
    assert "noise-free: 3 steps, 2 outputs" in done.stdout
    header, *rows = (folder / "y.csv").read_text().splitlines()
    assert header == "y0,y1"
    found = np.array([[float(text) for text in row.split(",")] for row in rows])
    np.testing.assert_array_equal(found, run.predict(np.eye(3), noise=False))


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", "1,0,0\n0,1,0\n", "numbers where the names of the columns should be"),
        ("x.csv", "a,b,c\n", "a header and no rows"),
        ("x.csv", "a,b,c\n1,2\n1,2,x\n", "x.csv:2: 2 cells"),
        ("x.csv", "a,b,c\n1,2,x\n3,4,5\n", "x.csv:2: c: 'x' is not a number"),
        ("x.csv", "a,b,c\n1,2,1_0\n3,4,5\n", "'1_0'"),
        ("x.csv", "a,b,c\n1,2,nan\n3,4,5\n", "x.csv:2: c: missing; fill it"),
        ("x.csv", "a,b\n1,2\n", "2 values a step, the network takes 3"),
        ("x.csv", "x" * 200_000 + "\n1\n", "characters"),
        ("x.csv", b"\xff\xfe\x00", "x.csv"),
        ("x.npy", npy(np.array([{}], dtype=object)), "not numbers"),
        ("x.npy", pickle.dumps([1.0]), "no .npy file"),
        ("x.npy", npy(np.zeros((3, 3)))[:-1], "71 bytes of numbers, its header says 72"),
        ("x.npy", npy(np.zeros((3, 3))).replace(b"(3, 3)", b"(9**9)"), "no .npy file|header says"),
        ("x.npy", npy(np.zeros((0, 3))), "no step or no sequence"),
        ("x.npy", b"", "no .npy file"),
        ("x.txt", "1", "must end in .npy or .csv"),
    ],
)
def test_files_that_hold_no_inputs_are_refused(predict, folder, name, content, words):
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    done = predict("-i", name, "-o", "y.npy")
    assert done.exit_code == 2, done.output
    assert re.search(words, " ".join(done.stderr.split()))
    assert not (folder / "y.npy").exists()


def test_a_header_that_asks_for_memory_gets_none(folder):
    """The header speaks of 2^60 numbers, and the file is some two hundred bytes."""
    data = npy(np.zeros((3, 3)))
    for shape in (b"(1<<60,)", b"(1152921504606846976, )"):
        with pytest.raises(InputError):
            _npy(folder / "x.npy", data.replace(b"(3, 3), }        ", b"%s, }" % shape))


def test_places_are_checked_before_anything_is_computed(predict, folder, monkeypatch):
    (folder / "x.csv").write_text(ROWS)
    (folder / "y.csv").write_text("mine")
    (folder / "d.npy").mkdir()
    os.mkfifo(folder / "p.csv")
    for words, said in (
        (["-i", "x.csv", "-o", "y.csv"], "is there already; name another file, or use --force"),
        (["-i", "x.csv"], "-o: name a file for the outputs"),
        (["-i", "x.csv", "-o", "y.txt"], "must end in .npy or .csv or .npz"),
        (["-i", "x.csv", "-o", "d.npy"], "is a directory"),
        (["-i", "p.csv", "-o", "z.csv"], "not a regular file"),
        (["-i", "none.csv", "-o", "z.csv"], "none.csv: no such file"),
        (["-o", "z.csv"], "8 sequences do not fit a table"),
    ):
        done = predict(*words)
        assert done.exit_code == 2, done.output
        assert said in " ".join(done.stderr.split())
    assert (folder / "y.csv").read_text() == "mine"
    assert predict("-i", "x.csv", "-o", "y.csv", "--force").exit_code == 0
    assert (folder / "y.csv").read_text() != "mine"


def full(*words: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_of_the_file_that_was_asked_for(run, predict, folder, monkeypatch):
    """It is no run's: there is nothing to resume, and no other place for runs to choose."""
    monkeypatch.setattr("neuroanp.records.atomic._write_new", full)
    done = predict("-o", "y.npz")
    assert (done.exit_code, (folder / "y.npz").exists()) == (1, False)
    said = [done.stderr]
    for write in (
        lambda: write_all({Path("a.yaml"): b"a", Path("a.png"): b"b"}),
        lambda: api.report(run, "page.html"),
        lambda: api.characterize("ideal", "page.html", devices=100),
    ):
        with pytest.raises(RunError) as caught:
            write()
        said.append(str(caught.value))
    for one in said:
        words = " ".join(one.split())
        assert "not written, the disk is full" in words
        assert "or name another place, and repeat the command" in words
        assert "resume" not in words


@given(st.binary(max_size=200))
def test_no_bytes_are_a_crash(data):
    for content in (data, b"\x93NUMPY\x01\x00" + data):
        try:
            found = _npy(Path("x"), content)
        except InputError:
            continue
        assert found.dtype.kind in "biuf"


def test_a_table_is_presented_by_its_names_and_in_its_units(tmp_path, monkeypatch, predict_of):
    """Two columns in any order, beside one of words, with decimal commas: the same forecast, in the target's unit."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = np.stack([50 + 10 * np.sin(np.arange(400) / 4), 300 + rng.normal(0, 5, 400)], axis=1)
    text = "\n".join(f"{a:.3f},{b:.3f}" for a, b in rows)
    (tmp_path / "mine.csv").write_text(f"load,heat\n{text}\n")
    options = {"path": "mine.csv", "target": "load", "horizon": 1, "window": 20, "washout": 2}
    network = {"network.hidden": 6, "training.updates": 2, "training.controls": False}
    trained = api.train({"task": {"name": "weather", **options}}, overrides=network, report=False, progress=False)
    part = rows[:30].round(3)
    swapped = "\n".join(f"{b:.4f};here;{a:.4f}".replace(".", ",") for a, b in part)
    (tmp_path / "x.csv").write_text(f"heat;site;load\n{swapped}\n")
    done = predict_of(trained)("-i", "x.csv", "-o", "y.csv", "--noise-free")
    assert done.exit_code == 0, done.stderr
    assert "inputs: load, heat; output: load, 1 row ahead of its own, in the units of the table" in " ".join(
        done.stdout.split()
    )
    header, *found = (tmp_path / "y.csv").read_text().splitlines()
    assert header == "load"
    known = np.loadtxt("mine.csv", delimiter=",", skiprows=1)[: int(0.85 * 400)]
    low, span = known.min(axis=0), np.ptp(known, axis=0)
    y = trained.predict((part - low) / span, noise=False)
    np.testing.assert_allclose(np.array(found, dtype=float), (y * span[0] + low[0])[:, 0], rtol=1e-12)
    for path in ("x.csv", tmp_path / "x.csv"):
        np.testing.assert_array_equal(trained.predict(path, noise=False)[:, 0], np.array(found, dtype=float))
    (tmp_path / "x.csv").write_text("load,warmth\n1,2\n2,3\n")
    with pytest.raises(InputError, match="no column 'heat'"):
        trained.predict("x.csv")
    done = predict_of(trained)("-i", "x.csv", "-o", "z.csv")
    assert done.exit_code == 2
    assert "no column 'heat' (columns: load, warmth)" in " ".join(done.stderr.split())
    (tmp_path / "x.csv").write_text("load,heat\n50,300\n51,30000\n")
    assert "heat: 1 of 2 values lie far outside" in predict_of(trained)("-i", "x.csv", "-o", "z.csv").stderr


STEPS = 300


def series(step_s: int = 3600, rows: range = range(STEPS), gap: range = range(0), code: str | None = None) -> str:
    """A table of a load by the hour and the heat, with rows left out, and a code where heat was not measured."""
    lines = ["time,load,heat"]
    for k in rows:
        if k in gap:
            continue
        when = np.datetime64("2024-01-01T00:00:00") + np.timedelta64(k * step_s, "s")
        heat = code if code is not None and k % 50 == 7 else f"{20 + 5 * np.sin(k / 24):.4f}"
        lines.append(f"{when}Z,{50 + 10 * np.sin(k / 4):.4f},{heat}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Return a function that trains on a table with options of its own, once."""
    folder, made = tmp_path_factory.mktemp("learned"), {}

    def run(text: str, **options) -> api.Run:
        key = (text, str(options))
        if key not in made:
            path = folder / f"{len(made)}.csv"
            path.write_text(text)
            task = {"name": "weather", "path": str(path), "target": "load", "horizon": 3, "window": 20, "washout": 2}
            made[key] = api.train(
                {"task": task | options, **{k: TINY[k] for k in ("network", "training")}},
                runs=folder / "runs", report=False, progress=False,
            )  # fmt: skip
        return made[key]

    return run


WITH_TIME = {"time": "time", "missing": [-999.9], "fill": 5}


@pytest.mark.parametrize("gap", [range(0), range(100, 103)])
def test_a_new_table_is_read_as_the_run_s_own_was(learned, predict_of, folder, gap):
    """Its own table gives the forecast of its own inputs: codes are missing values, rows left out are held."""
    text = series(code="-999.9", gap=gap)
    run = learned(text, **WITH_TIME)
    (folder / "x.csv").write_text(text)
    done = predict_of(run)("-i", "x.csv", "-o", "y.csv", "--noise-free")
    assert done.exit_code == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "heat: -999.9 in 6 rows counts as missing" in said
    assert ("3 rows are missing" in said) == bool(gap)
    assert "far outside" not in said
    assert "output: load, 3 rows ahead of its own" in " ".join(done.stdout.split())
    task = Experiment.of(run.config).task
    header, *lines = (folder / "y.csv").read_text().splitlines()
    assert header == "time,load"
    assert [line.split(",")[0] for line in lines[100:103]] == [f"2024-01-05T{hour:02}:00:00" for hour in (4, 5, 6)]
    found = np.array([float(line.split(",")[1]) for line in lines])
    y = run.predict(task._rows, noise=False)
    np.testing.assert_allclose(found, task.in_units(y)[:, 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "text", "words"),
    [
        (WITH_TIME, series(900), "a row every 900 s, the network learned from rows every 3600 s"),
        (WITH_TIME, series(gap=range(100, 140)), "40 values missing; at most 5 may be"),
        (WITH_TIME, series(rows=range(60, 0, -1)), "goes backward; sort the file"),
        (WITH_TIME, series().replace("time,", "when,", 1), "no column 'time'"),
        (WITH_TIME, series(code=""), None),
        ({}, series(900), "a row every 900 s, the network learned from rows every 3600 s"),
        ({}, series(rows=range(60, 0, -1)), "a forecast would be of the past; sort the file by time"),
        ({}, series(code=""), "1 value missing; at most 0 may be"),
    ],
)
def test_rows_that_are_not_such_as_it_learned_from_are_refused(learned, predict_of, folder, options, text, words):
    run = learned(series(code="-999.9"), **WITH_TIME) if options else learned(series())
    (folder / "x.csv").write_text(text)
    done = predict_of(run)("-i", "x.csv", "-o", "y.csv")
    if words is None:
        assert done.exit_code == 0, done.stderr
        return
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.stderr.split())
    assert not (folder / "y.csv").exists()
    with pytest.raises(InputError, match=re.escape(words)):
        run.predict("x.csv")


def test_what_may_be_a_code_that_the_run_does_not_know_is_warned_of(learned, predict_of, folder):
    (folder / "x.csv").write_text(series(code="-999.9"))
    done = predict_of(learned(series()))("-i", "x.csv", "-o", "y.csv")
    assert done.exit_code == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "warning: data: x.csv:9: heat: -999.9 in 6 rows, far outside the rest" in said
    assert "a code for missing values? if so, leave the cell empty" in said


def test_a_table_that_goes_backward_is_not_learned_from(learned):
    with pytest.raises(InputError, match=r"as time says: -3600 s: a forecast would be of the past; sort the file"):
        learned(series(rows=range(STEPS, 0, -1)))
