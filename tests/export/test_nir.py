"""NIR: norse and spikingjelly read what is written; the importer reads it back, and survives what strangers write."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch

from neuroanp.backends.neuron import LIF
from neuroanp.errors import InputError
from neuroanp.export import nir_import
from neuroanp.export.checking import nir as in_readers
from neuroanp.export.model import Model, reference
from neuroanp.export.nir import FILE, Nir, simulate
from neuroanp.export.nir_graph import fold
from neuroanp.export.source import model_of
from neuroanp.training.config import configure
from neuroanp.training.launch import launch
from tests.close import close

nir = pytest.importorskip("nir", reason="pip install 'neuroanp[nir]'")
h5py = pytest.importorskip("h5py", reason="pip install 'neuroanp[nir]'")

READERS = [
    pytest.param(name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"pip install {name}=={version}"))
    for name, version in (("norse", "1.1.0"), ("spikingjelly", "2.0.0"))
]
FAST = LIF(tau_s=0.0, refractory=0.0, synapse_gain=30.0)
SLOW = LIF(refractory=0.0, input_gain=30.0, synapse_gain=9.0)
STRONG = LIF(tau_s=0.0, refractory=0.0, input_gain=40.0, synapse_gain=30.0)
NETWORKS = {  # seeds for which no potential is within 1e-4 of the threshold: see `_margin`
    "currents": {"sizes": (4, 32, 2), "seed": 0, "neuron": FAST, "batch": 1},
    "currents-bias": {"sizes": (3, 20, 4), "seed": 1, "neuron": FAST, "batch": 1, "bias": True},
    "spikes": {"sizes": (6, 24, 3), "seed": 0, "neuron": STRONG, "batch": 1, "spikes_in": True, "bias": True},
    "synapse-spikes": {"sizes": (5, 28, 2), "seed": 1, "neuron": SLOW, "batch": 1, "spikes_in": True, "bias": True},
    "synapse-currents": {"sizes": (4, 16, 3), "seed": 1, "neuron": SLOW, "batch": 1, "bias": True},
    "euler": {"sizes": (4, 18, 2), "seed": 0, "neuron": SLOW.model_copy(update={"integration": "euler"}), "batch": 1},
}


@pytest.fixture(params=NETWORKS)
def model(request, make_network) -> Model:
    return make_network(**NETWORKS[request.param])


@pytest.fixture
def plain(make_network) -> Model:
    return make_network(**NETWORKS["currents"])


def _write(model, folder, **options):
    folder.mkdir(exist_ok=True)
    exporter = Nir(**options)
    exporter.check(model)
    return exporter.export(model, folder)


def _wrote(model, folder):
    _write(model, folder)
    return folder


def _run(folder, u, reader, monkeypatch, exact=False):
    """Run network.nir as the script of the export does; return spikes and outputs."""
    monkeypatch.chdir(folder)
    if exact:
        from spikingjelly.activation_based.nir_exchange import import_from_nir

        found = in_readers.run(lambda graph, dt: import_from_nir(graph, dt=dt, dtype=torch.float64), {"inputs": u})
    else:
        found = in_readers.READERS[reader][-1]({"inputs": u})
    return found["spikes"], found["outputs"]


def _net(read, u, score) -> Model:
    return Model("read", read.weights, read.network, read.dt, read.spikes_in, u, score, factors=read.factors)


def _margin(truth) -> float:
    return float(np.abs(truth.v - 1.0).min())


# The readers


@pytest.mark.parametrize("reader", READERS)
def test_readers_give_the_same_spikes_and_outputs(model, reader, tmp_path, monkeypatch):
    truth = reference(model)
    assert _margin(truth) > 1e-4
    assert truth.s is not None
    assert 0.005 < truth.s.mean() < 0.4
    s, y = _run(_wrote(model, tmp_path), model.inputs, reader, monkeypatch)
    assert (s != truth.s).sum() == 0
    assert np.abs(y - truth.y).max() < 1e-4


TRAINED = {
    "xor": {"task": {"name": "xor"}, "network": {"hidden": 12}},
    "delayed match": {"task": {"name": "delayed_match", "symbols": 3}, "network": {"hidden": 20}},
    "sine": {"task": {"name": "sine", "steps": 80, "periods": [60]}, "network": {"hidden": 16}},
}


@pytest.mark.parametrize("name", TRAINED)
def test_networks_that_learned_spike_alike_in_both_readers(name, tmp_path, monkeypatch):
    """Of the held-out sequences, those whose potentials all keep clear of the threshold: in float32 they must."""
    few = {"updates": 30, "batch": 4, "controls": False}
    record = launch(configure({**TRAINED[name], "training": few}, target="nir"), tmp_path / "runs")
    model = model_of(record)
    clear = np.abs(reference(model).v - 1.0).min((0, 2)) > 1e-4
    assert clear.sum() >= 1
    model = replace(model, inputs=model.inputs[:, clear][:, :8])
    truth = reference(model)
    assert _margin(truth) > 1e-4
    assert truth.s is not None
    assert truth.s.sum() > 20
    _write(model, tmp_path)
    for reader in ("norse", "spikingjelly"):
        pytest.importorskip(reader, reason=f"pip install {reader}")
        s, y = _run(tmp_path, model.inputs, reader, monkeypatch)
        assert (s != truth.s).sum() == 0
        assert np.abs(y - truth.y).max() < 1e-4


@pytest.mark.skipif(find_spec("spikingjelly") is None, reason="pip install spikingjelly==2.0.0")
def test_spikingjelly_in_float64_agrees_to_rounding(model, tmp_path, monkeypatch):
    truth = reference(model)
    _write(model, tmp_path)
    s, y = _run(tmp_path, model.inputs, "spikingjelly", monkeypatch, exact=True)
    assert (s != truth.s).sum() == 0
    np.testing.assert_allclose(y, truth.y, atol=1e-12)


@pytest.mark.skipif(find_spec("norse") is None, reason="pip install norse==1.1.0")
def test_an_LI_node_gives_the_outputs_in_the_same_step(model, tmp_path, monkeypatch):
    """norse has the unit; its import does not know the node, and the script maps it."""
    _write(model, tmp_path, outputs="li")
    s, y = _run(tmp_path, model.inputs, "norse", monkeypatch)
    truth = reference(model)
    assert (s != truth.s).sum() == 0
    assert np.abs(y - truth.y).max() < 1e-4


@pytest.mark.parametrize("reader", READERS)
def test_outputs_that_count(make_network, reader, tmp_path, monkeypatch):
    model = make_network(**NETWORKS["currents-bias"] | {"neuron": FAST.model_copy(update={"decoder": "count"})})
    _, y = _run(_wrote(model, tmp_path), model.inputs, reader, monkeypatch)
    np.testing.assert_allclose(y, reference(model).y, atol=1e-4)
    assert nir_import.read(tmp_path / FILE).neuron.decoder == "count"


@pytest.mark.parametrize("reader", READERS)
def test_a_wrong_decay_or_a_late_step_is_seen(plain, reader, tmp_path, monkeypatch):
    _write(plain, tmp_path)
    truth = reference(plain)
    late = np.concatenate([0 * plain.inputs[:1], plain.inputs[:-1]])
    s, _ = _run(tmp_path, late, reader, monkeypatch)
    assert (s != truth.s).sum() > 20

    graph = nir.read(str(tmp_path / FILE))
    graph.nodes["lif"].tau = graph.nodes["lif"].tau * 1.1
    nir.write(str(tmp_path / FILE), graph)
    s, _ = _run(tmp_path, plain.inputs, reader, monkeypatch)
    assert (s != truth.s).sum() > 20


def test_input_spikes_without_their_delay_are_seen(make_network):
    model = make_network(**NETWORKS["spikes"])
    folded = fold(model, False)
    object.__setattr__(folded, "taps", folded.taps[:, ::-1])
    assert (simulate(folded, model.inputs).s != reference(model).s).sum() > 20


# What is written


@pytest.mark.parametrize("outputs", ["linear", "li"])
def test_own_arithmetic_is_the_networks(model, outputs, tmp_path):
    exported, truth = _write(model, tmp_path, outputs=outputs), reference(model)
    assert (exported.traces.s != truth.s).sum() == 0
    np.testing.assert_allclose(exported.traces.v, truth.v, atol=1e-11)
    np.testing.assert_allclose(exported.traces.y, truth.y, atol=1e-11)
    for name, W in model.weights.items():
        np.testing.assert_allclose(exported.held[name], W, rtol=1e-12, atol=1e-14)
    for wanted, held in exported.decays.values():
        assert held == close(wanted, rel=1e-14)


def test_the_same_network_gives_the_same_bytes(model, tmp_path):
    for name in "ab":
        _write(model, tmp_path / name)
    assert (tmp_path / "a" / FILE).read_bytes() == (tmp_path / "b" / FILE).read_bytes()


def test_metadata_say_what_nir_has_no_field_for(make_network, tmp_path):
    model = make_network(**NETWORKS["synapse-spikes"])
    exported = _write(model, tmp_path)
    about = nir.read(str(tmp_path / FILE)).metadata
    assert (about["dt"], about["reset"], about["input_delay_steps"]) == (1e-3, "hard", 1)
    assert json.loads(about["neuron"])["synapse_gain"] == 9.0
    assert any("one step later" in line for line in exported.limits)
    assert any("metadata say dt, 1 ms, and reset, hard" in line for line in exported.limits)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"reset": "subtract"}, {}, "neuron.reset: 'subtract' cannot be expressed.*reset=hard"),
        ({"refractory": 2e-3}, {}, "neuron.refractory: '2 ms' is 2 steps.*refractory='0 ms'"),
        ({"tau_m": 1e-3}, {}, "tau_m: '1 ms' must be longer than one step"),
        ({"tau_r": 0.5e-3}, {}, "tau_r: .* must be longer than one step"),
        ({"tau_s": 1e-3}, {}, "tau_s: '1 ms' must be longer than one step"),
        ({"decoder": "count"}, {"outputs": "li"}, "neuron.decoder: 'count' has no decay.*outputs=linear"),
        ({"tau_m": 1e15}, {}, "neuron.tau_m: 1e[+]15 s is so long that a step of 0.001 s decays by nothing"),
        ({"input_gain": 1e39}, {}, "w_in: with its gain the largest weight is"),
    ],
)
def test_refuses_neurons_that_it_cannot_express(make_network, change, options, words):
    model = make_network(neuron=FAST.model_copy(update=change), steps=2)
    with pytest.raises(InputError, match=words):
        Nir(**options).check(model)


def test_refuses_tanh_units_and_weights_that_are_not_finite(make_network):
    with pytest.raises(InputError, match="backend: tanh units"):
        Nir().check(make_network(spiking=False, steps=2))
    model = make_network(neuron=FAST.model_copy(update={"reset": "subtract"}), steps=2)
    model.weights["w"][0, 0] = np.nan
    with pytest.raises(InputError) as error:
        Nir().check(model)
    assert len(error.value.problems) == 2
    assert "w: 1 weights are not finite" in str(error.value)


def test_a_refractory_period_of_one_step_is_none(make_network, tmp_path):
    model = make_network(**NETWORKS["currents"] | {"neuron": FAST.model_copy(update={"refractory": 1e-3})})
    assert (_write(model, tmp_path).traces.s == reference(model).s).all()


# Reading back


@pytest.mark.parametrize("outputs", ["linear", "li"])
def test_a_round_trip_is_exact_bit_for_bit(model, outputs, tmp_path):
    _write(model, tmp_path, outputs=outputs)
    read = nir_import.read(tmp_path / FILE)
    for name, W in model.weights.items():
        assert np.array_equal(read.weights[name], W), name
    assert (read.neuron, read.dt, read.bias, read.spikes_in) == (model.neuron, model.dt, model.bias, model.spikes_in)


def test_weights_that_another_tool_trained_on_are_the_nodes(plain, tmp_path):
    _write(plain, tmp_path)
    graph = nir.read(str(tmp_path / FILE))
    graph.nodes["w"].weight = graph.nodes["w"].weight * 1.5
    graph.nodes["w_in"].bias = graph.nodes["w_in"].bias + 0.25
    nir.write(str(tmp_path / FILE), graph)
    read = nir_import.read(tmp_path / FILE)
    np.testing.assert_allclose(read.weights["w"], 1.5 * plain.weights["w"], rtol=1e-14)


def _stranger(rng, kind, li=True, n=12, dtype: type = np.float32):
    """A graph as other tools write it: their own thresholds, resets and resistances."""
    tau, one = 2e-2 * np.ones(n, dtype), np.ones(n, dtype)
    threshold, r = (0.5 + rng.random(n)).astype(dtype), (1 + rng.random(n)).astype(dtype)
    if kind == "LIF":
        unit = nir.LIF(tau=tau, r=r, v_leak=0.1 * one, v_threshold=threshold, v_reset=-0.2 * one)
    else:
        unit = nir.CubaLIF(tau_syn=tau / 4, tau_mem=tau, r=r, v_leak=0 * one, v_threshold=threshold, w_in=2 * one)
    weight = {k: rng.normal(size=shape).astype(dtype) for k, shape in
              {"a": (n, 3), "b": (n, n), "c": (2, n), "bias": (n,), "bias_c": (2,)}.items()}  # fmt: skip
    nodes = {
        "in": nir.Input({"input": np.array([3])}),
        "a": nir.Affine(4 * weight["a"], 0.5 * weight["bias"]),
        "unit": unit,
        "b": nir.Affine(weight["b"], 0.1 * weight["bias"]),
        "c": nir.Affine(weight["c"], weight["bias_c"]),
        "out": nir.Output({"output": np.array([2])}),
    }
    edges = [("in", "a"), ("a", "unit"), ("unit", "b"), ("b", "unit"), ("unit", "c"), ("c", "out")]
    if li:
        nodes["li"] = nir.LI(tau=0.03 * np.ones(2), r=2 * np.ones(2), v_leak=0.3 * np.ones(2))
        edges = [*edges[:-1], ("c", "li"), ("li", "out")]
    return nir.NIRGraph(nodes, edges)


def _euler(graph, u, dt):
    """Step NIR's equations as they are written in nir.ir.neuron; units start at v_reset."""
    nodes = graph.nodes
    unit, li, a, b, c = (nodes.get(name) for name in ("unit", "li", "a", "b", "c"))
    tau = unit.tau_mem if isinstance(unit, nir.CubaLIF) else unit.tau
    v, I, y, s = unit.v_reset + 0.0, 0.0, np.zeros(2), 0 * unit.v_reset  # noqa: E741
    ss, ys = [], []
    for x in u:
        into = a.weight @ x + a.bias + b.weight @ s + b.bias
        if isinstance(unit, nir.CubaLIF):
            I = I + dt / unit.tau_syn * (unit.w_in * into - I)  # noqa: E741
            into = I
        v = v + dt / tau * (unit.v_leak - v + unit.r * into)
        s = (v > unit.v_threshold).astype(float)
        v = np.where(s > 0, unit.v_reset, v)
        y = y + dt / li.tau * (li.v_leak - y + li.r * (c.weight @ s + c.bias))
        ss.append(s)
        ys.append(y)
    return np.array(ss), np.array(ys)


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
def test_a_strangers_graph_does_what_its_equations_say(kind, tmp_path, plain):
    rng = np.random.default_rng(3)
    graph = _stranger(rng, kind, dtype=np.float64)
    nir.write(str(tmp_path / "s.nir"), graph)
    u = rng.normal(size=(150, 3))
    s, y = _euler(nir.read(str(tmp_path / "s.nir")), u, 1e-3)
    read = nir_import.read(tmp_path / "s.nir", dt=1e-3)
    got = reference(_net(read, u[:, None], plain.score))
    assert 0.01 < s.mean() < 0.5
    assert got.s is not None
    assert np.array_equal(got.s[:, 0], s)
    np.testing.assert_allclose(got.y[:, 0], y, atol=1e-10)
    assert read.network.input_delay == (kind == "LIF")


def test_a_graph_without_LI_needs_a_trace(tmp_path):
    nir.write(str(tmp_path / "s.nir"), _stranger(np.random.default_rng(0), "LIF", li=False))
    with pytest.raises(InputError, match="give their time constant tau_r"):
        nir_import.read(tmp_path / "s.nir", dt=1e-3)
    read = nir_import.read(tmp_path / "s.nir", dt=1e-3, tau_r=2e-2)
    assert read.neuron.tau_r == 2e-2
    assert any("traces of the graph's outputs" in note for note in read.notes)


def test_nodes_alone_do_the_same_as_the_network(plain, tmp_path):
    _write(plain, tmp_path, outputs="li")
    read = nir_import.read(tmp_path / FILE, own_units=False)
    got, truth = reference(_net(read, plain.inputs, plain.score)), reference(plain)
    assert read.neuron.input_gain == 1.0
    assert (got.s == truth.s).all()
    np.testing.assert_allclose(got.y, truth.y, atol=1e-10)


# What is no such network


def test_refuses_what_is_no_nir_file(plain, tmp_path):
    _write(plain, tmp_path)
    (tmp_path / "text.nir").write_text("hello")
    h5py.File(tmp_path / "empty.nir", "w").close()
    cases: tuple[tuple[Any, dict[str, Any], str], ...] = (
        (tmp_path / "none.nir", {}, "cannot be read: No such file"),
        (tmp_path, {}, "not a file"),
        (tmp_path / "text.nir", {}, "not a NIR file"),
        (tmp_path / "empty.nir", {}, "has no 'node'; not a NIR graph"),
        (tmp_path / FILE, {"limit_bytes": 1000}, "at most 1000 are read"),
        (tmp_path / FILE, {"dt": 2e-3}, "dt: the file says 0.001 s, and 0.002 s was given"),
    )
    for path, options, words in cases:
        with pytest.raises(InputError, match=words):
            nir_import.read(path, **options)


def _change(graph, case):
    nodes, edges = graph.nodes, graph.edges
    if case == "node":
        nodes["w"] = nir.Threshold(np.ones(12))
        nodes["b"] = nodes["w"]
    elif case == "taus":
        nodes["li"].tau = np.array([0.01, 0.02])
    elif case == "short":
        nodes["unit"].tau = np.full(12, 5e-4)
    elif case == "threshold":
        nodes["unit"].v_threshold = np.full(12, -1.0)
    elif case == "edge":
        edges.append(("in", "c"))
    elif case == "two":
        nodes["unit2"] = nodes["unit"]
    elif case == "nowhere":
        edges.append(("in", "nobody"))


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("node", "node '[bw]' is of type 'Threshold'; allowed: Input, Output, Linear, Affine, Scale, LIF, CubaLIF, IF"),
        ("taus", r"LI: tau differs between units \(0.01 to 0.02 s\); one is needed"),
        ("short", r"LIF \('unit'\): tau is 0.0005 s, and must be longer than one step"),
        ("threshold", r"LIF \('unit'\): v_threshold is not above v_reset in 12 units"),
        ("edge", "edge 'in' -> 'c': 'in' gives 3 numbers, and 'c' takes 12"),
        ("two", r"node 'unit2' \(LIF\): nothing of the input reaches it"),
        ("nowhere", "edge 'in' -> 'nobody': there is no node 'nobody'"),
    ],
)
def test_refuses_graphs_that_it_cannot_hold(tmp_path, case, words):
    graph = _stranger(np.random.default_rng(0), "LIF")
    _change(graph, case)
    nir.write(str(tmp_path / "s.nir"), graph)
    with pytest.raises(InputError, match=words):
        nir_import.read(tmp_path / "s.nir", dt=1e-3)


def test_a_file_that_does_not_say_dt_needs_it(tmp_path):
    nir.write(str(tmp_path / "s.nir"), _stranger(np.random.default_rng(0), "LIF"))
    with pytest.raises(InputError, match="the file does not say dt"):
        nir_import.read(tmp_path / "s.nir")


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        ("node/metadata/neuron", "{}x", "the metadata of neuroanp are damaged"),
        (
            "node/metadata/neuron",
            '{"tau_m": 0.03, "tau_s": 0.0, "refractory": 0}',
            "LIF.tau is .*the graph was changed",
        ),
        ("node/metadata/output_line", 0.0, "damaged .output_line"),
        ("node/nodes/lif/r", np.full(32, 2.0), "LIF.r is 2, and the metadata of neuroanp mean 1"),
        ("node/nodes/w/metadata/rest", np.ones((32, 32)), "metadata rest: is more than rounding"),
    ],
)
def test_metadata_that_contradict_the_nodes_are_refused(plain, tmp_path, where, value, words):
    _write(plain, tmp_path)
    with h5py.File(tmp_path / FILE, "r+") as file:
        del file[where]
        file[where] = value
    with pytest.raises(InputError, match=words):
        nir_import.read(tmp_path / FILE)


@pytest.mark.parametrize("dt", [1e-3, 1e-9, 1e-13])
def test_a_changed_time_constant_is_seen_however_fast_the_units_are(plain, tmp_path, dt):
    """The scale of time is the network's own: no length of time is too small to differ."""
    neuron = LIF(tau_m=20 * dt, tau_s=0.0, tau_r=20 * dt, refractory=0.0, input_gain=3.0)
    layers = (plain.layer._replace(cell=neuron),)
    _write(replace(plain, dt=dt, network=replace(plain.network, layers=layers)), tmp_path)
    read = nir_import.read(tmp_path / FILE)
    assert (read.neuron, read.dt) == (neuron, dt)
    with h5py.File(tmp_path / FILE, "r+") as file:
        file["node/nodes/lif/tau"][...] *= 1.01
    with pytest.raises(InputError, match=r"LIF\.tau is .*the graph was changed"):
        nir_import.read(tmp_path / FILE)
