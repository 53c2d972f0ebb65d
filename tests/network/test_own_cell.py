"""A cell of one's own, a package of 40 lines beside neuroanp: trained, differentiated, compared, evaluated."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.network.cell import CELLS, RateCell
from neuroanp.network.trial import faults
from neuroanp.training.configure import configure

PACKAGE = Path(__file__).with_name("own_cell")
TRAIN = """
import json, sys
import neuroanp as na
found = {}
for rule in ("anp", "bptt", "bptt1", "np"):
    config = {
        "task": {"name": "copy", "length": 1, "delay": 2, "symbols": 2, "test_size": 64}, "rule": rule,
        "network": {"layers": [{"cell": {"name": "mgu", "f_bias": 1.0}, "units": 12}, {"cell": "mgu", "units": 8}]},
        "training": {"updates": 60, "batch": 16}, "optimizer": {"lr": 1e-2}, "compute": {"dtype": "float64"},
    }
    run = na.train(config, runs=sys.argv[1], progress=False, report=False)
    found[rule] = run.result
    assert na.evaluate(run.path)[0]["test_loss"] == run.result["test_loss"]
print(json.dumps(found, default=str))
"""


EXPORT = """
import json, sys
import numpy as np, onnxruntime
import neuroanp as na
config = {
    "task": {"name": "copy", "length": 1, "delay": 2, "symbols": 2, "test_size": 64},
    "network": {"layers": [{"cell": {"name": "mgu", "f_bias": 1.0}, "units": 12}, {"cell": "mgu", "units": 8}]},
    "training": {"updates": 20, "batch": 16, "controls": False}, "compute": {"dtype": "float64"},
}
run = na.train(config, runs=sys.argv[1], progress=False, report=False)
run.export("onnx", sys.argv[1] + "/net")
held = run.held_out()
graph = onnxruntime.InferenceSession(sys.argv[1] + "/net/model.onnx")
(y,) = graph.run(["outputs"], {"inputs": held.inputs.astype("f4")})
checked = na.check_export(sys.argv[1] + "/net")
off = float(np.abs(y - np.asarray(run.predict(held.inputs, noise=False))).max())
print(json.dumps([bool(checked), str(checked.said), off, float(np.abs(y).max())]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Return a directory in which the package is, as pip would have put it there."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "lab_cells.py").write_text((PACKAGE / "lab_cells.py").read_text())
    said = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    info = folder / f"lab_cells-{said['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {said['name']}\nVersion: {said['version']}\n")
    groups = said["entry-points"].items()
    lines = [f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in names.items()) for group, names in groups]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def python(folder: Path, *words: str) -> str:
    code = f"import sys; sys.path.append({str(folder)!r}); sys.argv[1:] = {list(words[1:])!r}\n{words[0]}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_is_short():
    code = [line for line in (PACKAGE / "lab_cells.py").read_text().splitlines() if line.strip()]
    assert len(code) <= 40


@pytest.mark.slow
def test_it_trains_by_every_rule_and_has_features_of_its_own(installed, tmp_path):
    found = json.loads(python(installed, TRAIN, str(tmp_path)).splitlines()[-1])
    ridge = {rule: row["controls"]["ridge"] for rule, row in found.items()}
    assert len(set(ridge.values())) == 1  # the same untrained network
    assert 0 < ridge["anp"] != found["anp"]["controls"]["ridge_all"]
    start = found["anp"]["controls"]["constant_mean"]
    for rule, row in found.items():
        assert row["test_loss"] < row["controls"]["frozen_recurrence"] < 2 * start, rule
    other = TRAIN.replace('{"name": "mgu", "f_bias": 1.0}', '"tanh"').replace('"mgu"', '"tanh"')
    tanh = json.loads(python(installed, other, str(tmp_path)).splitlines()[-1])
    assert tanh["anp"]["controls"]["ridge"] != ridge["anp"]


def test_it_is_listed_with_its_options(installed):
    code = "from neuroanp.cli.main import run\nsys.argv = ['neuroanp', 'cells', 'list', '--json']\nrun()"
    rows = {row["name"]: row for row in json.loads(python(installed, code))["results"]}
    assert rows["mgu"]["summary"].startswith("A minimal gated unit")
    assert rows["mgu"]["pre-activations of a unit"] == "f, g"
    assert {option["option"] for option in rows["mgu"]["options"]} == {"f_bias"}
    assert set(rows) >= {"tanh", "leaky_tanh", "relu", "gru", "lstm", "lif", "equations"}


@pytest.mark.long
def test_it_is_exported_to_onnx_as_it_is(installed, tmp_path):
    """Traced from its step: onnxruntime gives what the run predicts."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is missing: pip install 'neuroanp[export]'")
    passed, said, off, largest = json.loads(python(installed, EXPORT, str(tmp_path)).splitlines()[-1])
    assert passed, said
    assert off < 1e-5 < 0.1 < largest


class Fed(RateCell):
    """Fed at a pre-activation that it has not."""

    ports: ClassVar[tuple[str, ...]] = ("f", "g")
    feed: ClassVar[tuple[str, ...]] = ("f", "k")
    recurrent: ClassVar[tuple[str, ...]] = ("g",)

    def step(self, state, h):
        return state, h.chunk(2, -1)[0]


class Apart(Fed):
    """Fed at two pre-activations with another one between them, and the layer itself at none."""

    ports: ClassVar[tuple[str, ...]] = ("f", "g", "k")
    recurrent: ClassVar[tuple[str, ...]] = ()


class Bare(RateCell):
    def step(self, state, h):
        return h


class Wide(RateCell):
    def step(self, state, h):
        return state, torch.cat([h, h], -1)


class Fails(RateCell):
    def step(self, state, h):
        return state, h / self.slope  # pyright: ignore[reportAttributeAccessIssue]


class Forgets(RateCell):
    def step(self, state, h):
        return None, h.tanh()


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (Fed, ["feed ('f', 'k') are no neighbours among the ports ('f', 'g')"]),
        (Apart, ["feed ('f', 'k') are no neighbours", "recurrent () are no neighbours"]),
        (Bare, ["step returns a Tensor (3, 2) in torch.float64, not the new state and the activity"]),
        (Wide, ["step returns a Tensor (3, 4) in torch.float64 as the activity of 3 rows of 2 units"]),
        (Fails, ["step cannot be done: AttributeError: 'Fails' object has no attribute 'slope'"]),
        (Forgets, ["step returns a NoneType as the state, not a tuple of tensors"]),
    ],
)
def test_what_a_cell_gets_wrong_is_told_by_its_name_before_anything_begins(cell, says, monkeypatch):
    monkeypatch.setitem(CELLS._registered, "own", cell)
    gone = EntryPoint("absent", "no_such_package:Cell", "neuroanp.cells")  # another package's is no hindrance
    entries = {"absent": gone, **CELLS._entries()}
    monkeypatch.setattr(CELLS, "_entries", lambda: entries)
    layers = [{"cell": "own", "units": 3}, {"cell": "gru", "units": 4}, {"cell": "own", "units": 2}]
    with pytest.raises(InputError) as refused:
        configure({"task": "copy", "network": {"layers": layers, "hidden": 3}})
    lines = [line for line in refused.value.problems if "network.layers: cell 'own': " in line]
    assert len(lines) == len(says)
    for line, said in zip(lines, says, strict=True):
        assert said in line
        assert line.endswith("neuroanp.network.cell.Cell says what each of them is")
    assert len(refused.value.problems) == len(says) + 1  # with what else is wrong


@pytest.mark.parametrize("name", CELLS.names())
def test_cells_that_can_do_their_steps_are_taken(name):
    assert faults(CELLS.get(name)()) == []  # pyright: ignore[reportCallIssue]
