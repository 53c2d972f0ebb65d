"""NIR files that other tools wrote: the spikes are theirs with the right options, and what no file says is told."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from textwrap import wrap
from typing import get_args

import numpy as np
import pytest

from neuroanp.backends.neuron import Reset
from neuroanp.errors import InputError
from neuroanp.export import nir_import
from neuroanp.export.model import Model, reference
from neuroanp.export.nir_file import Node
from neuroanp.export.nir_unsaid import INPUTS, OPEN, writers_steps
from neuroanp.training.config import load_config
from tests.close import close

nir = pytest.importorskip("nir", reason="pip install 'neuroanp[nir]'")

DATA = Path(__file__).parents[1] / "data" / "nir"
STEP = 1e-4


def _read(name, **given):
    stored = np.load(DATA / f"{name}.npz")
    read = nir_import.read(DATA / f"{name}.nir", dt=STEP, tau_r=20 * STEP, **given)
    model = Model(name, read.weights, read.network, read.dt, read.spikes_in, stored["u"].astype(float), dict)
    return read, model, stored["s"]


def _with(model, reset):
    assert model.neuron is not None
    cell = model.neuron.model_copy(update={"reset": reset})
    return replace(model, network=replace(model.network, layers=(model.layer._replace(cell=cell),)))


def test_a_reset_to_zero_gives_the_writers_spikes():
    _, model, theirs = _read("snn_rleaky_zero_nodelay")
    assert theirs.sum() == 550
    assert np.array_equal(reference(model).s, theirs)
    assert (reference(_with(model, "subtract")).s != theirs).sum() > 300


@pytest.mark.parametrize("reset", get_args(Reset))
def test_each_of_snntorchs_resets_gives_its_spikes_under_one_option_alone(reset):
    """Its reset_delay=False in two files; the same weights with its default, one step later."""
    _, model, zero = _read("snn_rleaky_zero_nodelay")
    later = np.load(DATA / "snn_rleaky_delayed.npz")
    stored = {
        "hard": zero,
        "subtract_raised": _read("snn_rleaky_subtract_nodelay")[2],
        "hard_delayed": later["zero"],
        "subtract_delayed": later["subtract"],
    }
    assert [int(s.sum()) for s in stored.values()] == [550, 777, 439, 784]
    ours = reference(_with(model, reset)).s
    wrong = {name: int((ours != theirs).sum()) for name, theirs in stored.items()}
    assert wrong.pop(reset, 0) == 0
    assert min(wrong.values()) > 100


def test_a_subtracting_reset_gives_them_until_a_membrane_is_above_twice_its_threshold():
    """snntorch asks twice the threshold of a membrane that the last subtraction left above it."""
    _, model, theirs = _read("snn_rleaky_subtract_nodelay")
    hard, ours = reference(model), reference(_with(model, "subtract"))
    steps = 0
    for b in range(theirs.shape[1]):
        above = (ours.v[:, b] > 2.0).any(-1)
        first = int(above.argmax()) + 1 if above.any() else len(theirs)
        assert np.array_equal(ours.s[:first, b], theirs[:first, b])
        steps += int(theirs[:first, b].sum())
    assert steps > 10
    assert (hard.s != theirs).sum() == 335


def test_snntorchs_own_subtraction_on_the_imported_weights_gives_its_spikes():
    """Weights, decay and order of the steps are right, so that the reset alone is what is left open."""
    read, model, theirs = _read("snn_rleaky_subtract_nodelay")
    a, W = read.neuron.membrane_decay(STEP), read.weights
    v = s = np.zeros(theirs.shape[1:])
    for x, wanted in zip(model.input_lines(model.inputs), theirs, strict=True):
        before = v > 1.0
        v = a * v + (1 - a) * (x @ W["w_in"].T + s @ W["w"].T) - before
        s = v > 1.0
        v = v - (s.astype(float) - before)
        assert np.array_equal(s, wanted)


def test_what_the_file_does_not_say_is_told_with_its_option():
    notes = _read("snn_rleaky_subtract_nodelay")[0].notes
    for sentence in (*OPEN.values(), INPUTS[False]):
        assert sentence in notes
    assert "v_reset" not in " ".join(notes).replace("sets the membrane to v_reset", "")


@pytest.mark.parametrize("option", [*OPEN, "encoder.name"])
def test_what_the_caller_decided_is_not_told(option):
    sentence = {**OPEN, "encoder.name": INPUTS[False]}[option]
    for given in (option, option.partition(".")[0]):
        assert sentence not in _read("snn_rleaky_zero_nodelay", given=[given])[0].notes


def test_the_writers_step_is_proposed_and_another_one_is_remarked_on():
    path = DATA / "snn_rleaky_zero_nodelay.nir"
    with pytest.raises(InputError) as error:
        nir_import.read(path)
    assert error.value.problems[0].endswith("; --dt '100 us' is what r = tau / dt gives in all units")
    assert "give their time constant tau_r" in error.value.problems[1]
    assert not [note for note in nir_import.read(path, dt=STEP, tau_r=2e-3).notes if note.startswith("dt")]
    (note,) = [note for note in nir_import.read(path, dt=STEP / 2, tau_r=2e-3).notes if note.startswith("dt")]
    assert "'50 us' was given, and r = tau / dt gives '100 us' in all units" in note
    with pytest.raises(InputError, match=r"tau is 0\.001 s") as error:
        nir_import.read(path, dt=1e-3, tau_r=20e-3)
    assert "--dt '100 us'" in str(error.value)


@pytest.mark.parametrize(
    ("kind", "fields", "step"),
    [
        ("LIF", {"tau": [1e-3, 2e-3], "r": [10, 20]}, 1e-4),
        ("LIF", {"tau": [1e-3, 2e-3], "r": [10, 10]}, None),
        ("LIF", {"tau": [1e-3, 1e-3], "r": [1, 1]}, None),
        ("LIF", {"tau": [1e-3, 1e-3], "r": [0, 10]}, None),
        ("LIF", {"tau": [1e-3, 1e-3], "r": [-10, -10]}, None),
        ("LIF", {"tau": [1e-3, 2e-3], "r": [10 * (1 + 4e-6), 20]}, 1e-4),
        ("LIF", {"tau": [1e-3, 2e-3], "r": [10 * (1 + 4e-5), 20]}, None),
        ("LIF", {"tau": [1e-3, 20e-3], "r": [1, 20]}, None),
        ("CubaLIF", {"tau_mem": [1e-3], "r": [10], "tau_syn": [2.5e-4], "w_in": [2.5]}, 1e-4),
        ("CubaLIF", {"tau_mem": [1e-3], "r": [10], "tau_syn": [2.5e-4], "w_in": [1]}, 1e-4),
        ("CubaLIF", {"tau_mem": [1e-3], "r": [1], "tau_syn": [2.5e-4], "w_in": [2.5]}, 1e-4),
        ("CubaLIF", {"tau_mem": [1e-3], "r": [10], "tau_syn": [2.5e-4], "w_in": [5]}, None),
        ("CubaLIF", {"tau_mem": [1e-3], "r": [1], "tau_syn": [2.5e-4], "w_in": [1]}, None),
        ("CubaLIF", {"tau_mem": [1e-3], "r": [2], "tau_syn": [2.5e-4], "w_in": [1]}, None),
    ],
)
def test_a_step_is_proposed_only_where_all_units_agree(kind, fields, step):
    found = writers_steps(Node(kind, {key: np.array(value, float) for key, value in fields.items()}))
    assert {*found.values()} == {step} - {None}


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
@pytest.mark.parametrize("step", [1e-4, 2.5e-5, 1e-3, 3.3e-4])
@pytest.mark.parametrize("w_in", [True, False])
def test_a_file_in_float32_gives_its_step_away(tmp_path, monkeypatch, invoke, kind, step, w_in):
    """As snntorch writes it: time constants and gains of the decays alone, each in float32; --dt can be pasted."""
    monkeypatch.chdir(tmp_path)
    one, size = np.ones(8, np.float32), np.float32
    alpha, beta = size(0.83), size(0.96)
    tau, tau_syn = size(step) / (1 - beta) * one, size(step) / (1 - alpha) * one
    gains = {"r": tau / size(step)} | ({"w_in": tau_syn / size(step)} if kind == "CubaLIF" and w_in else {})
    _small(Path("s.nir"), kind=kind, metadata={}, unit={"tau": tau, "tau_syn": tau_syn, **gains})
    words = ["import", "s.nir", "--task", "xor", "--tau-r", "20 ms", "-o", "mine"]
    words += ["--set", "encoder.signed=false"] * (kind == "CubaLIF")
    refused = invoke(*words)
    assert refused.exit_code == 2
    equations = "r = tau_mem / dt" if kind == "CubaLIF" else "r = tau / dt"
    if "w_in" in gains:
        equations += " and w_in = tau_syn / dt"
    said = " ".join(refused.stderr.split())
    (proposed,) = re.findall(rf"--dt '([^']+)' is what {re.escape(equations)} gives in all units", said)
    done = invoke(*words, "--dt", proposed)
    assert done.exit_code == 0, done.stderr
    assert load_config(Path("mine/config.yaml")).dt == close(step, rel=1e-12)
    assert "in all units" not in done.stderr + done.stdout


def test_a_resistance_of_one_gives_no_step_away(tmp_path):
    _small(tmp_path / "s.nir")
    with pytest.raises(InputError, match=r"does not say dt.*; give the one of its writer, e\.g\. --dt '1 ms'$"):
        nir_import.read(tmp_path / "s.nir", tau_r=2e-2)


def _small(path, *, kind="LIF", scale=2.0, v_leak=0.0, v_reset: float | None = 0.0, metadata=None, li=False, unit=None):
    """Write a recurrent network of 8 units with 2 inputs and 1 output, r such as a physicist gives it."""
    rng, n = np.random.default_rng(0), 8
    one = np.ones(n)
    own = {"tau": 2e-2 * one, "tau_syn": 5e-3 * one, "r": one, "w_in": one, **(unit or {})}
    shared = {"r": own["r"], "v_threshold": one, "v_reset": (v_reset or 0.0) * one}
    unit = nir.LIF(tau=own["tau"], v_leak=v_leak * one, **shared)
    if kind == "CubaLIF":
        unit = nir.CubaLIF(tau_syn=own["tau_syn"], tau_mem=own["tau"], w_in=own["w_in"], v_leak=0 * one, **shared)
    nodes = {
        "in": nir.Input({"input": np.array([2])}),
        "a": nir.Linear(scale * rng.normal(size=(n, 2))),
        "u": unit,
        "b": nir.Linear(0.1 * rng.normal(size=(n, n))),
        "c": nir.Linear(rng.normal(size=(1, n))),
        "out": nir.Output({"output": np.array([1])}),
    }
    edges = [("in", "a"), ("a", "u"), ("u", "b"), ("b", "u"), ("u", "c"), ("c", "out")]
    if li:
        nodes["li"] = nir.LI(tau=np.array([0.03]), r=np.ones(1), v_leak=np.zeros(1))
        edges = [*edges[:-1], ("c", "li"), ("li", "out")]
    nir.write(str(path), nir.NIRGraph(nodes, edges, metadata=metadata or {}))
    if v_reset is None:
        import h5py  # pyright: ignore[reportMissingImports]

        with h5py.File(path, "r+") as file:
            del file["node/nodes/u/v_reset"]


@pytest.mark.parametrize(("reset", "taken"), [*((kind, kind) for kind in get_args(Reset)), ("later", "hard")])
def test_metadata_that_say_dt_and_reset_are_taken(tmp_path, reset, taken):
    _small(tmp_path / "s.nir", metadata={"dt": 1e-3, "reset": reset})
    read = nir_import.read(tmp_path / "s.nir", tau_r=2e-2)
    assert (read.dt, read.neuron.reset) == (1e-3, taken)
    assert (OPEN["neuron.reset"] in read.notes) == (reset == "later")
    assert any("'later'" in note for note in read.notes) == (reset == "later")


def test_a_step_in_float32_is_the_one_that_is_given_and_a_time_constant_likewise(tmp_path):
    _small(tmp_path / "s.nir", metadata={"dt": float(np.float32(1e-4))}, li=True)
    read = nir_import.read(tmp_path / "s.nir", dt=1e-4, tau_r=0.03 * (1 + 5e-6))
    assert (read.dt, read.neuron.tau_r) == (1e-4, 0.03)
    with pytest.raises(InputError, match=r"dt: the file says 0\.0001 s, and 0\.000101 s was given"):
        nir_import.read(tmp_path / "s.nir", dt=1.01e-4)


def test_a_tau_r_beside_an_LI_that_says_another_is_refused(tmp_path):
    _small(tmp_path / "s.nir", li=True)
    assert nir_import.read(tmp_path / "s.nir", dt=1e-3, tau_r=0.03).neuron.tau_r == 0.03
    with pytest.raises(InputError, match=r"tau_r: the file says 0\.03 s, and 0\.02 s was given"):
        nir_import.read(tmp_path / "s.nir", dt=1e-3, tau_r=0.02)


def test_fields_that_are_not_there_and_where_membranes_start_are_told(tmp_path):
    _small(tmp_path / "s.nir", v_reset=None)
    assert any(note.startswith("v_reset: the file does not") for note in _notes(tmp_path))
    _small(tmp_path / "s.nir", v_reset=-0.5)
    assert any(note.startswith("start: the file does not say") for note in _notes(tmp_path))


def test_inputs_of_CubaLIF_are_taken_as_spikes_and_it_is_told(tmp_path):
    _small(tmp_path / "s.nir", kind="CubaLIF")
    assert INPUTS[True] in _notes(tmp_path)
    assert INPUTS[False] not in _notes(tmp_path)
    assert nir_import.read(tmp_path / "s.nir", dt=1e-3, tau_r=2e-2).spikes_in


def _notes(folder):
    return nir_import.read(folder / "s.nir", dt=1e-3, tau_r=2e-2).notes


@pytest.mark.parametrize(
    ("scale", "v_leak", "said"),
    [
        (0.001, 0.0, "no unit spikes on 32 held-out sequences"),
        (1.2, 0.0, "of 8 units never spike"),
        (0.001, 1.5, ""),
    ],
)
def test_units_that_never_spike_on_the_task_are_told(tmp_path, monkeypatch, invoke, scale, v_leak, said):
    monkeypatch.chdir(tmp_path)
    _small(Path("s.nir"), scale=scale, v_leak=v_leak)
    done = invoke("import", "s.nir", "--task", "xor", "--dt", "1 ms", "--tau-r", "20 ms", "-o", "mine", "--json")
    assert done.exit_code == 0, done.stderr
    notes = json.loads(done.stdout)["results"][0]["notes"]
    silent = [note for note in notes if "spikes on" in note or "never spike" in note]
    assert len(silent) == bool(said)
    assert all(said in note for note in silent)


def test_the_written_config_says_it_too_and_keeps_what_was_set(tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    _small(Path("s.nir"))
    words = ("import", "s.nir", "--task", "xor", "--dt", "1 ms", "--tau-r", "20 ms", "-o", "mine")
    done = invoke(*words, "--set", "neuron.reset=subtract")
    assert done.exit_code == 0, done.stderr
    text = Path("mine/config.yaml").read_text()
    comment = " ".join(line[2:].strip() for line in text.splitlines() if line.startswith("#"))
    assert " ".join(wrap(OPEN["neuron.refractory"])) in comment
    for shown in (comment, " ".join(done.stdout.split())):
        assert "refractory period: NIR has none" in shown
        assert "reset: the file does not say it" not in shown
    neuron = load_config(Path("mine/config.yaml")).neuron
    assert neuron is not None
    assert neuron.model_dump()["reset"] == "subtract"
