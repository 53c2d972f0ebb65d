"""Every export has a stimulus, an expected output and a script of its own; what is changed in it makes that fail."""

from __future__ import annotations

import io
import json
import os
import runpy
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import neuroanp as na
from neuroanp.backends.neuron import LIF
from neuroanp.errors import InputError
from neuroanp.export.checking import running
from neuroanp.export.checking.presented import Check
from neuroanp.export.model import reference
from neuroanp.export.protocol import EXPORTERS, Exported, Exporter
from neuroanp.export.writing import exporter, write

from .conftest import network

SUBTRACTING = LIF(reset="subtract", refractory=0.0, tau_m=8e-3 / np.log(2), tau_s=4e-3 / np.log(2), input_gain=9.0)
FAST = LIF(tau_s=0.0, refractory=0.0, input_gain=30.0, synapse_gain=30.0)
FEW = {"sizes": (4, 12, 2), "steps": 40}
MODELS = {
    "nir": lambda: network(**FEW, neuron=FAST),
    "onnx": lambda: network(**FEW, neuron=FAST),
    "xylo": lambda: network((8, 12, 2), steps=60, spikes_in=True, neuron=SUBTRACTING),
    "rtl": lambda: network(**FEW, neuron=FAST),
    "crossbar": lambda: network(**FEW),
    "loihi": lambda: network(**FEW, spikes_in=True, neuron=LIF(refractory=0.0, input_gain=9.0)),
}
OPTIONS = {"onnx": {"states": True}, "xylo": {"quantize_decay": True}}
NEEDS = {
    "nir": ("nir", "norse", "spikingjelly"), "onnx": ("onnx", "onnxruntime"), "xylo": ("xylosim",),
    "rtl": ("iverilog", "vvp"), "crossbar": ("ngspice",),
}  # fmt: skip


def read(name: str):
    """Return a format's name as a parameter, skipped where a reader of it is not here."""
    gone = [need for need in NEEDS[name] if find_spec(need) is None and shutil.which(need) is None]
    return pytest.param(name, marks=pytest.mark.skipif(bool(gone), reason=f"{', '.join(gone)} missing"))


READ = [read(name) for name in NEEDS]
FAST_READ = [read(name) for name in NEEDS if name != "nir"]  # torch and two readers take seconds to load


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a function that exports the network of a format, once."""
    done = {}

    def get(name: str) -> Path:
        if name not in done:
            done[name] = tmp_path_factory.mktemp(name) / name
            write(MODELS[name](), name, exporter(name, OPTIONS.get(name)), done[name])
        return done[name]

    return get


@pytest.fixture
def copy(written, tmp_path):
    """Return a function that copies an export of a format."""
    return lambda name: Path(shutil.copytree(written(name), tmp_path / name))


def script(folder: Path, *words: str, **more) -> tuple[int, str]:
    """Run check.py as a user does; return its exit code and what it prints."""
    done = subprocess.run(
        [sys.executable, str(folder / "check.py"), *words], capture_output=True, text=True, timeout=120, check=False,
        cwd=folder.parent, **more,
    )  # fmt: skip
    return done.returncode, done.stdout


def in_this_process(folder: Path, monkeypatch, capsys, *words: str) -> tuple[int, str]:
    """The same without a process of its own: norse and spikingjelly take seconds to load."""
    monkeypatch.chdir(folder)
    names = runpy.run_path(str(folder / "check.py"), run_name="check")
    code = names["main"](names["READERS"], list(words))
    return code, capsys.readouterr().out


def changed(path: Path, change) -> None:
    """Change the arrays of an .npz file."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(path, **arrays)


def flipped(arrays) -> None:
    arrays["spikes"][5, 0, 3] ^= 1


def wrong_weight(name: str, folder: Path) -> None:
    """Change one weight of the artefact by a hundredth or more of the largest."""
    if name == "nir":
        import nir

        graph = nir.read(str(folder / "network.nir"))
        graph.nodes["w_out"].weight[0, 3] += 0.1
        nir.write(str(folder / "network.nir"), graph)
    elif name == "onnx":
        import onnx
        from onnx import numpy_helper

        graph = onnx.load(str(folder / "model.onnx"))
        (weight,) = (part for part in graph.graph.initializer if part.name == "w_out_t")
        W = numpy_helper.to_array(weight).copy()
        W[3, 0] += 0.1
        weight.CopyFrom(numpy_helper.from_array(W, "w_out_t"))
        onnx.save(graph, str(folder / "model.onnx"))
    elif name == "xylo":
        changed(folder / "xylo.npz", lambda chip: chip["w_out"].__setitem__((slice(None), 0), chip["w_out"][:, 0] ^ 1))
    elif name == "rtl":
        path = folder / "w_out.mem"
        title, *words = path.read_text().splitlines()
        path.write_text("\n".join([title, *(f"{int(word, 16) ^ 1:02x}" for word in words)]) + "\n")
    else:
        path = folder / "w_in.cir"
        lines = path.read_text().splitlines()
        at = next(number for number, line in enumerate(lines) if line.startswith("Rp0_0"))
        *nodes, ohms = lines[at].split()
        lines[at] = " ".join([*nodes, repr(1.01 * float(ohms))])
        path.write_text("\n".join(lines) + "\n")


def wrong_expectation(name: str, folder: Path) -> None:
    """Flip one expected spike; change one expected output of what has no spikes."""
    if name == "rtl":
        path = folder / "expected.txt"
        first, *rest = path.read_text().splitlines()
        path.write_text("\n".join([f"{int(first[:3], 16) ^ 4:03x}{first[3:]}", *rest]) + "\n")
    elif name == "crossbar":
        changed(folder / "conductances.npz", lambda data: data.__setitem__("w.y", data["w.y"] + 1e-6))
    else:
        changed(folder / "expected.npz", flipped)


MAIN = {"nir": "network.nir", "onnx": "model.onnx", "xylo": "xylo.npz", "rtl": "w.mem", "crossbar": "w.cir"}


def missing_file(name: str, folder: Path) -> None:
    (folder / MAIN[name]).unlink()


# Every format


def test_all_formats_are_tried():
    assert set(MODELS) == set(EXPORTERS.names())


@pytest.mark.parametrize("name", [*FAST_READ, pytest.param("nir", marks=[*read("nir").marks, pytest.mark.slow])])
def test_a_fresh_export_passes(written, name):
    folder = written(name)
    code, line = script(folder)
    assert (code, line[:5], line.count("\n")) == (0, "PASS ", 1), line
    assert "(0 are not 0)" not in line  # silence proves nothing
    checked = na.check_export(folder)
    assert checked
    assert checked.passed
    assert checked.said == line.strip()
    told = json.loads((folder / "report.json").read_text())["check"]
    for rows in checked.readers.values():
        assert [row["array"] for row in rows] == list(told["compared"])
        assert [row.get("tolerance", 0.0) for row in rows] == [each["tolerance"] for each in told["compared"].values()]
        assert all(row["agrees"] for row in rows)
    assert set(checked.readers) == {"nir": {"norse", "spikingjelly"}}.get(name, set(checked.readers))


@pytest.mark.parametrize("change", [wrong_weight, wrong_expectation, missing_file])
@pytest.mark.parametrize("name", READ)
def test_what_is_changed_fails_in_one_line(copy, name, change, monkeypatch, capsys):
    folder = copy(name)
    change(name, folder)
    code, line = in_this_process(folder, monkeypatch, capsys) if name == "nir" else script(folder)
    assert (code, line[:5], line.count("\n")) == (1, "FAIL ", 1), line
    if change is missing_file:
        assert MAIN[name] in line
    if change is wrong_expectation and name != "crossbar":
        assert "spikes 1 of" in line
    if name != "nir" or change is missing_file:
        checked = na.check_export(folder)
        assert not checked
        assert checked.said.startswith("FAIL ")
        assert (MAIN[name] in checked.said) >= (change is missing_file)


@pytest.mark.parametrize("name", READ)
def test_the_files_are_named_and_small(written, name):
    folder = written(name)
    told = json.loads((folder / "report.json").read_text())["check"]
    there = {path.name for path in folder.iterdir()}
    assert {told["script"], told["stimulus"], told["expected"]} <= there
    assert "neuroanp" not in (folder / "check.py").read_text()
    lines = (folder / "READ_BACK.txt").read_text()
    assert told["command"] in lines.splitlines()
    assert told["stimulus"] in lines
    assert told["expected"] in lines


def test_loihi_says_what_is_missing(written, monkeypatch):
    if find_spec("lava") is not None:
        pytest.skip("lava is here")
    code, line = script(written("loihi"))
    assert (code, line.count("\n")) == (3, 1)
    assert "lava is not here" in line
    assert "pip install lava-nc==0.10.0 lava-dl==0.6.0" in line
    with pytest.raises(InputError, match=r"lava is not here.*pip install lava-nc"):
        na.check_export(written("loihi"))


@pytest.mark.skipif(find_spec("norse") is None, reason="pip install norse==1.1.0")
def test_a_graph_that_ends_in_LI_is_read_by_norse_alone(tmp_path, monkeypatch, capsys):
    write(MODELS["nir"](), "nir", exporter("nir", {"outputs": "li"}), tmp_path / "a")
    code, line = in_this_process(tmp_path / "a", monkeypatch, capsys, "norse")
    assert (code, line[:10]) == (0, "PASS norse"), line
    if find_spec("spikingjelly") is not None:
        code, line = in_this_process(tmp_path / "a", monkeypatch, capsys, "spikingjelly")
        assert (code, line) == (3, "NOT CHECKED: spikingjelly cannot import the LI node at the end of the graph\n")


@pytest.mark.parametrize(
    ("name", "options", "changes"),
    [
        pytest.param("onnx", {"dtype": "float64", "states": True}, {}, marks=read("onnx").marks),
        pytest.param("onnx", {"states": True}, {"spiking": False, "neuron": None}, marks=read("onnx").marks),
        pytest.param("onnx", {"sequences": 1, "steps": 7}, {"bias": True}, marks=read("onnx").marks),
        pytest.param("crossbar", {"wire": "5 ohm"}, {"bias": True}, marks=read("crossbar").marks),
        pytest.param("rtl", {}, {"spikes_in": True, "bias": True}, marks=read("rtl").marks),
    ],
)
def test_options_of_formats_pass_too(tmp_path, name, options, changes):
    write(network(**{**FEW, "neuron": FAST, **changes}), name, exporter(name, options), tmp_path / "a")
    checked = na.check_export(tmp_path / "a")
    assert checked, checked.said
    if "steps" in options:
        told = json.loads((tmp_path / "a" / "report.json").read_text())["check"]
        assert told["presented"] == {"inputs": [7, 1, 4]}


# Strangers' directories: nothing in them is run, and all is read with limits


@read("onnx").marks[0]
def test_the_script_and_modules_that_lie_there_are_not_run(copy, monkeypatch):
    folder = copy("onnx")
    for name in ("check.py", "numpy.py", "onnxruntime.py", "sitecustomize.py"):
        (folder / name).write_text(f"open({str(folder / 'ran')!r}, 'w').close(); raise SystemExit(0)")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", *filter(None, sys.path)]))  # "": the working directory
    monkeypatch.chdir(folder)
    assert na.check_export(folder)
    assert not (folder / "ran").exists()


def test_what_is_copied_is_not_on_the_path_of_modules(copy, monkeypatch):
    text = "import json, os, sys; here = [p for p in sys.path if os.path.abspath(p) == os.getcwd()]\n"
    text += "print(json.dumps({'exit_code': 0, 'said': repr(here), 'readers': {}}))"
    monkeypatch.setattr(running, "script", lambda reader: text)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", *filter(None, sys.path)]))
    assert na.check_export(copy("onnx")).said == "[]"


@pytest.mark.parametrize(
    "line",
    [
        "shell touch ran",
        ".include /etc/passwd",
        "*ng_script",
        "Rp9_9 in0 bp0_0 1.0 shell touch ran",
        "* a\rshell touch ran",
        ".control",
    ],
)
@pytest.mark.parametrize("at", [0, 5, -3])
def test_commands_in_a_netlist_are_not_run(copy, line, at):
    folder = copy("crossbar")
    lines = (folder / "w.cir").read_text().splitlines()
    lines.insert(at, line)
    (folder / "w.cir").write_text("\n".join(lines) + "\n", newline="")
    with pytest.raises(InputError, match=r"w.cir:\d+: .* is not what neuroanp writes there"):
        na.check_export(folder)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("testbench.v", "wrong = 0;", 'wrong = 0; $fclose($fopen("ran", "w"));'),
        ("lif_core.v", "integer k;", 'integer k; initial $system("touch ran");'),
        ("lif_core.v", "parameter LANE = ", "parameter LANE = `include "),
        ("testbench.v", "wrong = wrong + 1", "wrong = wrong + 0"),
    ],
)
def test_verilog_of_others_is_not_run(copy, name, old, new):
    folder = copy("rtl")
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    with pytest.raises(InputError, match=f"{name}: is not what neuroanp writes"):
        na.check_export(folder)


@read("crossbar").marks[0]
def test_arrays_whose_names_are_paths_are_not_run(copy):
    folder = copy("crossbar")

    def renamed(data):
        for part in ("g", "x", "y", "scale"):
            data[f"../../w.{part}"] = data.pop(f"w.{part}")

    changed(folder / "conductances.npz", renamed)
    checked = na.check_export(folder)
    assert not checked
    assert "is no name of an array" in checked.said


@read("onnx").marks[0]
def test_pickles_are_not_loaded(copy):
    folder = copy("onnx")
    bad = io.BytesIO()
    np.savez(bad, inputs=np.array([{}], dtype=object))  # pyright: ignore
    (folder / "stimulus.npz").write_bytes(bad.getvalue())
    checked = na.check_export(folder)
    assert not checked
    assert "FAIL files: ValueError: stimulus.npz: " in checked.said
    assert "allow_pickle=False" in checked.said


def edited(**changes):
    def edit(folder: Path) -> None:
        told = json.loads((folder / "report.json").read_text())
        (folder / "report.json").write_text(json.dumps({**told, **changes}))

    return edit


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: shutil.rmtree(folder), "no such directory"),
        (lambda folder: (folder / "report.json").unlink(), "holds no report.json, so it is no export"),
        (lambda folder: (folder / "report.json").write_text("{"), r"report.json: damaged .*; export the run again"),
        (lambda folder: (folder / "report.json").write_text("{}"), "report.json: damaged .format, files and check"),
        (edited(format="onyx"), "did you mean 'onnx'"),
        (edited(format=["onnx"]), "damaged"),
        (edited(check=None), "names no check"),
        (edited(files=["../model.onnx"]), "is no name of an export's file"),
        (edited(files=["model.onnx", "numpy.py"]), "is no name of an export's file"),
        (edited(files=["model.onnx", ".spiceinit"]), "is no name of an export's file"),
        (edited(files=["model.onnx", 3]), "is no name of an export's file"),
        (edited(files=[f"{k}.txt" for k in range(600)]), "names 602 files"),
        (lambda folder: (folder / "stimulus.npz").unlink() or os.mkfifo(folder / "stimulus.npz"), "not a regular file"),
        (lambda folder: (folder / "stimulus.npz").unlink() or (folder / "stimulus.npz").mkdir(), "a directory"),
    ],
)
def test_what_is_no_export_is_refused(copy, change, words):
    folder = copy("onnx")
    change(folder)
    with pytest.raises(InputError, match=words):
        na.check_export(folder)


def test_files_are_read_with_limits(copy, monkeypatch):
    monkeypatch.setattr(running, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match="too large"):
        na.check_export(copy("onnx"))


class Text(Exporter):
    """Weights as text: what a format of others has to bring for a check."""

    holds, reader, lost = "everything", "numpy", "nothing"
    script = None

    def check(self, model) -> None:
        pass

    def export(self, model, folder: Path) -> Exported:
        np.savetxt(folder / "w.txt", model.weights["w"])
        x = np.arange(1.0, 13.0)
        check = Check({"x": x}, {"y": model.weights["w"] @ x}, {"y": 1e-12})
        return Exported(("w.txt",), dict(model.weights), reference(model), check=check)


READER = '''"""Multiply with the matrix of w.txt."""

import numpy as np


def run(stimulus):
    return {"y": np.loadtxt("w.txt") @ stimulus["x"]}


READERS = {"numpy": (("numpy",), "pip install numpy", run)}
'''


def test_a_format_of_others_brings_its_reader(tmp_path, monkeypatch):
    monkeypatch.setitem(EXPORTERS._registered, "text", Text)
    with pytest.raises(ValueError, match="a stimulus without a script"):
        write(MODELS["onnx"](), "text", Text(), tmp_path / "out")
    (tmp_path / "reader.py").write_text(READER)
    monkeypatch.setattr(Text, "script", tmp_path / "reader.py")
    write(MODELS["onnx"](), "text", Text(), tmp_path / "out")
    assert script(tmp_path / "out")[1].startswith("PASS numpy: y ")
    assert na.check_export(tmp_path / "out")
    (tmp_path / "out" / "w.txt").write_text((tmp_path / "out" / "w.txt").read_text().replace("-", "", 1))
    assert not na.check_export(str(tmp_path / "out"))


def test_a_format_of_others_may_bring_no_check(copy, monkeypatch):
    folder = copy("onnx")
    monkeypatch.setattr(EXPORTERS.get("onnx"), "script", None)
    with pytest.raises(InputError, match="format 'onnx' brings no check"):
        na.check_export(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import time; time.sleep(100)", "stopped after 1 s"),
        ("import os; os.kill(os.getpid(), 11)", "with exit code -11"),
        ("print('PASS')", "with exit code 0"),
        ('print(\'{"exit_code": 0, "said": "PASS", "readers": {}}\'); raise SystemExit(1)', "with exit code 1"),
        ("x = bytearray(2 ** 40)", "MemoryError"),
    ],
)
def test_a_reader_that_does_not_end_as_it_should_is_told(copy, monkeypatch, text, words):
    monkeypatch.setattr(running, "script", lambda reader: text)
    monkeypatch.setattr(running, "SECONDS", 1 if "sleep" in text else 600)
    with pytest.raises(na.errors.RunError, match=words):
        na.check_export(copy("onnx"))
