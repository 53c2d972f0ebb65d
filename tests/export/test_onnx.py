"""ONNX: onnxruntime gives what the network gives; what the format cannot hold is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from neuroanp.backends.neuron import LIF, NeuronModel
from neuroanp.errors import InputError
from neuroanp.export import onnx as exporting
from neuroanp.export.model import reference
from neuroanp.export.onnx import Onnx
from neuroanp.network.compose import one_layer
from tests.close import close

onnx = pytest.importorskip("onnx", reason="onnx is missing: pip install 'neuroanp[onnx]'")

SIZES = [(4, 32, 2), (3, 16, 1), (7, 24, 5)]
STEPS, MARGIN = 500, 1e-4
# Orthogonal array of strength 2: every pair of two options' values occurs.
# reset, refractory in ms, spikes in, bias, decoder, tau_s in ms, integration
COVER = [
    ("hard", 0, False, False, "trace", 5, "exact"),
    ("hard", 0, False, True, "count", 0, "euler"),
    ("hard", 2, True, False, "trace", 0, "euler"),
    ("hard", 2, True, True, "count", 5, "exact"),
    ("subtract", 0, True, False, "count", 5, "euler"),
    ("subtract", 0, True, True, "trace", 0, "exact"),
    ("subtract", 2, False, False, "count", 0, "exact"),
    ("subtract", 2, False, True, "trace", 5, "euler"),
]


@pytest.fixture(scope="module")
def runtime():
    return pytest.importorskip("onnxruntime", reason="onnxruntime is missing: pip install 'onnxruntime>=1.20'")


@pytest.fixture
def given(runtime):
    """Return a function: what onnxruntime gives by name, of bytes of a model on inputs (T, B, I)."""

    def run(content, inputs):
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        kind = {"tensor(float)": np.float32, "tensor(double)": np.float64}[session.get_inputs()[0].type]
        return dict(zip(names, session.run(names, {"inputs": inputs.astype(kind)}), strict=True))

    return run


@pytest.fixture
def spiking(make_network):
    """Return a function: a network of a row of COVER; with a margin, the first seed whose |v - threshold| exceed it."""

    def build(row, sizes, seed=0, margin=0.0, steps=STEPS):
        reset, refractory, spikes_in, bias, decoder, tau_s, integration = row
        gain = 3.0 if tau_s else 6.0
        neuron = LIF(
            input_gain=gain, synapse_gain=gain, tau_s=tau_s * 1e-3, refractory=refractory * 1e-3,
            reset=reset, decoder=decoder, integration=integration,
        )  # fmt: skip
        for tried in range(seed, seed + 200):
            options = {"seed": tried, "steps": steps, "batch": 1, "bias": bias, "spikes_in": spikes_in}
            model = make_network(sizes, neuron=neuron, **options)
            truth = reference(model)
            if np.abs(truth.v - 1.0).min() > margin:
                return model, truth
        raise AssertionError("no network keeps clear of the threshold")

    return build


def content(exporter, model, folder):
    exporter.check(model)
    exported = exporter.export(model, folder)
    return (folder / exported.files[0]).read_bytes(), exported


def relative(found, wanted):
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_tanh_units_agree_with_onnxruntime(make_network, given, tmp_path, seed, bias):
    model = make_network(SIZES[seed], seed=seed, bias=bias, spiking=False)
    graph, exported = content(Onnx(states=True), model, tmp_path)
    other = np.random.default_rng(seed).uniform(-1, 1, size=(37, 5, model.sizes[0]))
    for inputs in (model.inputs, other):
        truth, found = reference(model, inputs), given(graph, inputs)
        assert np.abs(found["outputs"] - truth.y).max() < 1e-5
        assert np.abs(found["rates"] - np.tanh(truth.v)).max() < 1e-5
    assert np.abs(exported.traces.y - given(graph, model.inputs)["outputs"]).max() < 5e-6
    assert exported.traces.s is None


@pytest.mark.parametrize("row", COVER, ids=lambda row: "-".join(map(str, row)))
@pytest.mark.parametrize("net", range(3))
def test_spikes_agree_with_onnxruntime_in_float32(spiking, given, tmp_path, net, row):
    model, truth = spiking(row, SIZES[net], seed=100 * net, margin=MARGIN)
    graph, exported = content(Onnx(states=True), model, tmp_path)
    found = given(graph, model.inputs)
    assert np.abs(truth.v - 1.0).min() > MARGIN
    assert truth.s.sum() > 50
    assert (found["spikes"] != truth.s).sum() == 0
    assert (exported.traces.s != truth.s).sum() == 0
    assert relative(found["outputs"], truth.y) < 1e-5
    assert relative(found["v"], truth.v) < 1e-5
    assert relative(exported.traces.y, found["outputs"]) < 1e-6


@pytest.mark.parametrize("row", COVER, ids=lambda row: "-".join(map(str, row)))
@pytest.mark.parametrize("net", range(3))
def test_spikes_agree_with_onnxruntime_in_float64_whatever_the_margin(spiking, given, tmp_path, net, row):
    model, truth = spiking(row, SIZES[net], seed=net)
    graph, exported = content(Onnx(states=True, dtype="float64"), model, tmp_path)
    found = given(graph, model.inputs)
    assert (found["spikes"] != truth.s).sum() == 0
    assert relative(found["outputs"], truth.y) < 1e-12
    assert (exported.traces.s != truth.s).sum() == 0
    assert all(np.array_equal(exported.held[name], W) for name, W in model.weights.items())


@pytest.mark.parametrize("row", [COVER[1], COVER[7]])
def test_a_spiking_graph_takes_any_number_of_steps_and_sequences(spiking, given, tmp_path, row):
    model, _ = spiking(row, SIZES[0])
    graph, _ = content(Onnx(states=True, dtype="float64"), model, tmp_path)
    other = replace(model, inputs=np.random.default_rng(1).uniform(-1, 1, size=(61, 5, model.sizes[0])))
    truth, found = reference(other), given(graph, other.inputs)
    assert found["outputs"].shape == (61, 5, 2)
    assert (found["spikes"] != truth.s).sum() == 0
    assert relative(found["outputs"], truth.y) < 1e-12


def delayed(graph):
    """Return a spiking graph whose recurrence takes one step more: v, I, wait, y and now the last spikes are states."""
    proto = onnx.load_from_string(graph)
    scan = next(node for node in proto.graph.node if node.op_type == "Scan")
    body = next(a.g for a in scan.attribute if a.name == "body")
    sent = next(node for node in body.node if node.output[0] == "sent")
    sent.input[0] = "s_0"
    body.node.append(onnx.helper.make_node("Identity", ["s_t"], ["s_1"]))
    for values, name in ((body.input, "s_0"), (body.output, "s_1")):
        value = onnx.ValueInfoProto()
        value.CopyFrom(values[0])
        value.name = name
        values.insert(4, value)
    scan.input.insert(4, scan.input[0])
    scan.output.insert(4, "s_T")
    return proto.SerializeToString()


def altered(graph, name, change):
    proto = onnx.load_from_string(graph)
    tensor = next(t for t in proto.graph.initializer if t.name == name)
    tensor.CopyFrom(onnx.numpy_helper.from_array(change(onnx.numpy_helper.to_array(tensor)), name))
    return proto.SerializeToString()


@pytest.mark.parametrize(
    "spoil",
    [
        delayed,
        lambda graph: altered(graph, "hold", lambda hold: hold + 1),
        lambda graph: altered(graph, "hold", lambda hold: hold - 1),
        lambda graph: altered(graph, "a_m", lambda a: a * a),
        lambda graph: altered(graph, "a_s", lambda a: a * a),
        lambda graph: altered(graph, "threshold", lambda threshold: threshold * 1.01),
    ],
    ids=["delay", "longer-rest", "shorter-rest", "membrane", "synapse", "threshold"],
)
def test_a_wrong_spiking_graph_is_seen(spiking, given, tmp_path, spoil):
    model, truth = spiking(("hard", 2, False, True, "trace", 5, "exact"), SIZES[0])
    graph, _ = content(Onnx(states=True, dtype="float64"), model, tmp_path)
    assert (given(graph, model.inputs)["spikes"] != truth.s).sum() == 0
    assert (given(spoil(graph), model.inputs)["spikes"] != truth.s).sum() > 0


def test_the_cover_has_every_pair_of_values():
    columns = list(zip(*COVER, strict=True))
    for k, one in enumerate(columns):
        assert all(len(set(zip(one, other, strict=True))) == 4 for other in columns[k + 1 :])


def test_a_wrong_rate_graph_is_seen(make_network, given, tmp_path):
    model = make_network(spiking=False, bias=True)
    graph, _ = content(Onnx(), model, tmp_path)
    truth = reference(model).y
    turned = altered(graph, "w", lambda w: np.ascontiguousarray(w.transpose(0, 2, 1)))
    assert relative(given(turned, model.inputs)["outputs"], truth) > 1e-3
    assert relative(given(graph, model.inputs)["outputs"][:-1], truth[1:]) > 1e-3  # a step late


def test_float32_rounds_weights_and_decays_by_half_a_unit_at_most(make_network, tmp_path):
    model = make_network(bias=True)
    _, exported = content(Onnx(), model, tmp_path)
    for name, W in model.weights.items():
        assert exported.held[name].shape == W.shape
        assert (np.abs(exported.held[name] - W) <= 2.0**-24 * np.abs(W)).all()
        assert (exported.held[name] != W).any()
    assert exported.decays["membrane"][0] == close(np.exp(-1e-3 / 20e-3), rel=1e-15)
    assert exported.decays["synapse"][0] == close(np.exp(-1e-3 / 5e-3), rel=1e-15)
    assert all(abs(kept - wanted) <= 2.0**-24 for wanted, kept in exported.decays.values())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_file_says_what_it_holds(make_network, tmp_path, dtype):
    model = make_network(bias=True, neuron=LIF(reset="subtract"))
    graph, exported = content(Onnx(dtype=dtype), model, tmp_path)
    proto = onnx.load_from_string(graph)
    assert (proto.ir_version, proto.opset_import[0].version) == (9, 17)
    said = {prop.key: prop.value for prop in proto.metadata_props}
    assert (said["name"], float(said["dt"]), said["units"], said["inputs"]) == ("net-0", 1e-3, "lif", "currents")
    assert LIF(**json.loads(said["neuron"])) == model.neuron
    assert [value.name for value in proto.graph.output] == ["outputs"]
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == ["T", "B", 4]
    assert exported.facts["bytes"] == len(graph)


@pytest.mark.parametrize("spiking_units", [False, True])
def test_the_same_network_gives_the_same_bytes(make_network, tmp_path, spiking_units):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        content(Onnx(states=True), make_network(spiking=spiking_units, steps=20), folder)
    assert (folders[0] / "model.onnx").read_bytes() == (folders[1] / "model.onnx").read_bytes()


def test_what_float32_swallows_is_said(make_network, tmp_path):
    model = make_network(steps=20, neuron=LIF(input_gain=3.0, tau_m=1e6))
    model.weights["w"][0, 0] = 1e-60
    _, exported = content(Onnx(), model, tmp_path)
    said = "\n".join(exported.limits)
    assert "w: 1 weights are too small for float32 and became 0" in said
    assert "membrane: its factor a step, 1 - 1e-09, became 1: it does not decay" in said


def spoiled(model, name, value):
    weights = {key: W.copy() for key, W in model.weights.items()}
    weights[name][0, 0] = value
    return replace(model, weights=weights)


def test_what_cannot_be_held_is_refused_all_at_once(make_network):
    model = spoiled(make_network(), "w", np.nan)

    class Izhikevich(NeuronModel):
        """Units of one's own."""

    other = replace(model, inputs=model.inputs * np.inf)
    shapes = {name: W.shape for name, W in model.weights.items()}
    other = replace(other, network=one_layer(shapes, cell=Izhikevich()))
    with pytest.raises(InputError, match="nothing was written") as refused:
        Onnx().check(other)
    assert refused.value.problems == (
        "w: 1 weights are not finite; repeat the training",
        "neuron: 'Izhikevich' has equations that ONNX graphs are not known for; train with neuron 'lif'",
        "inputs: held-out inputs are not finite; correct the task's data",
    )


def test_tanh_units_in_float64_go_by_scan(make_network, given, tmp_path):
    model = make_network(spiking=False, bias=True)
    graph, _ = content(Onnx(dtype="float64", states=True), model, tmp_path)
    truth, found = reference(model), given(graph, model.inputs)
    assert relative(found["outputs"], truth.y) < 1e-14
    assert relative(found["rates"], np.tanh(truth.v)) < 1e-14


def test_weights_beyond_float32_are_refused(make_network):
    model = spoiled(make_network(), "w_in", 1e39)
    with pytest.raises(InputError, match=r"w_in: 1 numbers exceed 3.4e.38, the range of float32; use --set dtype=f"):
        Onnx().check(model)
    Onnx(dtype="float64").check(model)
    with pytest.raises(InputError, match=r"neuron.input_gain: 1 numbers exceed"):
        Onnx().check(make_network(neuron=LIF(input_gain=1e39)))


def test_sums_beyond_float32_are_refused_before_a_file_is_there(make_network, tmp_path):
    model = spoiled(make_network(neuron=LIF(input_gain=1e3)), "w_in", 3e38)
    Onnx().check(model)
    with pytest.raises(InputError, match="outputs: not finite in float32"):
        Onnx().export(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_beyond_what_protobuf_holds_is_refused(make_network, monkeypatch):
    monkeypatch.setattr(exporting, "MAX_BYTES", 75_000)
    Onnx().check(make_network())
    with pytest.raises(InputError, match=r"weights: \d+ bytes, ONNX holds 75000; use --set dtype=float32, or train a"):
        Onnx(dtype="float64").check(make_network())


def test_a_missing_library_is_told_with_what_installs_it(make_network, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install 'neuroanp\[onnx\]'"):
        Onnx().check(make_network())


def test_onnxruntime_still_lacks_rnn_in_float64(make_network, runtime, tmp_path):
    """The Scan in its place rests on it: once this fails, float64 can take the operators, too."""
    graph, _ = content(Onnx(), make_network(spiking=False, steps=5), tmp_path)
    proto = onnx.load_from_string(graph)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    for tensor in proto.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(array.astype(np.float64), tensor.name))
    onnx.checker.check_model(proto, full_check=True)
    with pytest.raises(Exception, match="NOT_IMPLEMENTED"):
        runtime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
