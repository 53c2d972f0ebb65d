"""Rate networks of any layers and cells in ONNX: onnxruntime and torch.nn give what the network gives."""

from __future__ import annotations

import json
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import Phase, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.export.model import Model, reference
from neuroanp.export.onnx import Onnx
from neuroanp.network.cell import RateCell
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.gru import GRU
from neuroanp.network.leaky_relu import LeakyReLU
from neuroanp.network.lstm import LSTM
from neuroanp.network.network import INPUT, OUTPUT, Layer, Network, Projection
from neuroanp.network.relu import ReLU
from neuroanp.network.rollout import rollout
from neuroanp.network.tanh import LeakyTanh, Tanh

onnx = pytest.importorskip("onnx", reason="onnx is missing: pip install 'neuroanp[onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is missing: pip install 'onnxruntime>=1.20'")


class Own(RateCell):
    """A cell of a user's own: two ports, two states, what an author of cells writes."""

    ports = ("h", "gate")
    feed = ("h", "gate")
    recurrent = ("gate",)
    name: Literal["own"] = "own"
    tau: float = 3.0

    def start(self, rows, n, like):
        return like.new_full((rows, n), 0.1), like.new_zeros(rows, n)

    def step(self, state, h):
        h, gate = h.chunk(2, -1)
        a, fast = state
        open_ = torch.sigmoid(torch.nn.functional.softplus(gate) - 0.5)
        a = a + (torch.nn.functional.silu(h) - a) / self.tau
        fast = torch.where(h > 0.2, fast * 0.5, open_ - fast.clamp(-1, 1) ** 2)
        return (a, fast), torch.tanh(a) * open_ + 0.1 * fast


def layered(network: Network, seed=0, steps=23, batch=3) -> Model:
    """Return a model of a network with random weights, whose rates are not saturated."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(size=shape) / np.sqrt(shape[1]) for name, shape in network.shapes.items()}
    return Model(
        f"net-{seed}", weights, network, 1e-3, False, rng.uniform(-1, 1, size=(steps, batch, network.inputs)),
        lambda y: {"loss": float(np.mean(y**2))},
    )  # fmt: skip


def ran(content, inputs):
    """Return what onnxruntime gives by name."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    kind = {"tensor(float)": np.float32, "tensor(double)": np.float64}[session.get_inputs()[0].type]
    return dict(zip(names, session.run(names, {"inputs": inputs.astype(kind)}), strict=True))


def content(model, folder, **options):
    exporter = Onnx(**options)
    exporter.check(model)
    exported = exporter.export(model, folder)
    return (folder / exported.files[0]).read_bytes(), exported


def agrees(model, folder, dtype):
    """Hold outputs and rates of all layers to the network, for its own inputs and for other T and B."""
    graph, exported = content(model, folder, dtype=dtype, states=True)
    near = {"float32": 1e-5, "float64": 1e-12}[dtype]
    for inputs in (model.inputs, np.random.default_rng(1).uniform(-1, 1, size=(7, 1, model.network.inputs))):
        W = {name: torch.from_numpy(w) for name, w in model.weights.items()}
        truth, found = rollout(model.network, W, torch.from_numpy(inputs)), ran(graph, inputs)
        np.testing.assert_array_equal(reference(model, inputs).y.shape, found["outputs"].shape)
        assert np.abs(found.pop("outputs") - truth.y.numpy()).max() < near * max(1.0, float(truth.y.abs().max()))
        assert len(found) == len(model.network.layers)
        for name, rates in found.items():
            layer = name.removeprefix("rates_") if len(found) > 1 else model.network.layers[0].name
            assert np.abs(rates - truth.x[layer].numpy()).max() < near * max(1.0, float(truth.x[layer].abs().max()))
    assert all((np.abs(exported.held[name] - W) <= 2.0**-24 * np.abs(W)).all() for name, W in model.weights.items())
    return graph


def operators(graph):
    return [node.op_type for node in onnx.load_from_string(graph).graph.node]


def one(cell, recurrent=True, bias=True):
    return stack(3, [Stacked(cell, 5, recurrent)], 2, bias)


CELLS = [
    Tanh(),
    LeakyTanh(leak=0.3),
    ReLU(),
    LeakyReLU(slope=0.2),
    GRU(r_bias=0.4, z_bias=-0.7),
    LSTM(i_bias=0.3, o_bias=-0.2),
    Own(),
]
STACKS = {
    "two-tanh": stack(3, [Stacked(Tanh(), 5), Stacked(Tanh(), 4)], 2, bias=True),
    "delayed": stack(3, [Stacked(Tanh(), 5), Stacked(GRU(), 4, delay=1)], 2),
    "skips": stack(3, [Stacked(GRU(), 5), Stacked(LSTM(), 4, delay=1), Stacked(Tanh(), 3)], 2, bias=True, skip=True),
    "forward": stack(3, [Stacked(Tanh(), 5, False), Stacked(GRU(), 4, False), Stacked(LSTM(), 4, False)], 2, bias=True),
    "own": stack(2, [Stacked(Own(), 4), Stacked(ReLU(), 3, False), Stacked(LeakyTanh(), 4, delay=1)], 1, skip=True),
    "anything": Network(
        2, (Layer("a b", 4, Tanh()), Layer("c", 3, GRU())), 2,
        (Projection("x y", INPUT, "a b", 1, True), Projection("q", "a b", "a b", 1),
         Projection("r", INPUT, "c", 0, True),
         Projection("s", "a b", "c", 1, True), Projection("t", "c", "c", 1), Projection("u", INPUT, OUTPUT, 0, True),
         Projection("v", "a b", OUTPUT, 1, True), Projection("w", "c", OUTPUT, 0)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: type(cell).__name__)
@pytest.mark.parametrize(("recurrent", "bias"), [(True, True), (True, False), (False, True)])
def test_a_layer_of_any_cell_agrees_with_onnxruntime(tmp_path, cell, recurrent, bias, dtype):
    graph = agrees(layered(one(cell, recurrent, bias)), tmp_path, dtype)
    native = recurrent and dtype == "float32" and not isinstance(cell, Own | LeakyTanh | ReLU | LeakyReLU)
    wanted = {Tanh: "RNN", GRU: "GRU", LSTM: "LSTM"}[type(cell)] if native else "Scan"
    assert operators(graph).count(wanted) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", STACKS)
def test_several_layers_agree_with_onnxruntime(tmp_path, name, dtype):
    model = layered(STACKS[name], seed=3)
    if name == "anything":  # names that are no words
        graph, _ = content(model, tmp_path, dtype=dtype, states=True)
        truth, found = reference(model), ran(graph, model.inputs)
        assert np.abs(found["outputs"] - truth.y).max() < 1e-5
        return
    agrees(model, tmp_path, dtype)


def cells():
    bias = st.floats(-1, 1)
    return st.one_of(
        st.just(Tanh()), st.just(ReLU()), st.just(Own()), st.builds(LeakyTanh, leak=st.floats(0.1, 1.0)),
        st.builds(GRU, r_bias=bias, z_bias=bias), st.builds(LSTM, i_bias=bias, f_bias=bias, o_bias=bias),
    )  # fmt: skip


@drawn(
    layers=st.lists(
        st.builds(Stacked, cells(), st.integers(1, 4), st.booleans(), st.integers(0, 1)), min_size=1, max_size=3
    ),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 3)), bias=st.booleans(), skip=st.booleans(),
    seed=st.integers(0, 99), dtype=st.sampled_from(["float32", "float64"]),
)  # fmt: skip
@settings(max_examples=10, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
def test_any_small_network_agrees_with_onnxruntime(tmp_path_factory, layers, sizes, bias, skip, seed, dtype):
    network = stack(sizes[0], layers, sizes[1], bias, skip)
    agrees(layered(network, seed, steps=9, batch=2), tmp_path_factory.mktemp("any"), dtype)


# ---- the operators are those of torch ----


@pytest.mark.parametrize("cell", [GRU(), LSTM(f_bias=0.0)], ids=["gru", "lstm"])
def test_native_operators_are_torchs_own(tmp_path, cell):
    """torch.nn orders gates r, z, n and i, f, g, o, each with two biases."""
    model = layered(one(cell))
    graph, _ = content(model, tmp_path, states=True)
    into, back = (torch.from_numpy(model.weights[name]) for name in ("w_in", "w"))
    rows = [1, 2, 0] if isinstance(cell, GRU) else [0, 1, 2, 3]
    made = (torch.nn.GRU if isinstance(cell, GRU) else torch.nn.LSTM)(3, 5, dtype=torch.float64)
    blocks = into.reshape(len(rows), 5, -1)[rows].reshape(into.shape)
    with torch.no_grad():
        made.weight_ih_l0.copy_(blocks[:, :-1])
        made.bias_ih_l0.copy_(blocks[:, -1])
        made.weight_hh_l0.copy_(back)  # rows r, z, c: torch's own order
        made.bias_hh_l0.zero_()
        wanted, _ = made(torch.from_numpy(model.inputs))
    assert np.abs(ran(graph, model.inputs)["rates"] - wanted.numpy()).max() < 1e-5


def test_the_file_says_what_its_layers_are(tmp_path):
    graph, exported = content(layered(STACKS["skips"]), tmp_path)
    said = {prop.key: prop.value for prop in onnx.load_from_string(graph).metadata_props}
    layers = json.loads(said["layers"])
    assert (said["units"], said["inputs"]) == ("GRU, LSTM, tanh", "currents")
    assert [layer["name"] for layer in layers] == ["hidden_1", "hidden_2", "hidden_3"]
    assert LSTM(**layers[1]["options"]) == LSTM()
    assert exported.traces.s is None


def test_a_file_of_rates_brings_its_check(tmp_path):
    from neuroanp.export.checking.running import check
    from neuroanp.export.writing import write

    for name in ("skips", "own"):
        write(layered(STACKS[name]), "onnx", Onnx(states=True), tmp_path / name)
        assert check(tmp_path / name)


# ---- what cannot be traced ----


def stepping(function, **members):
    """Return a cell of this step: h to the activity."""
    return type("Mine", (RateCell,), {"step": lambda self, state, h: (state, function(h)), **members})()


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda h: h.cumsum(-1), "operation 'aten.cumsum.default' is not known to ONNX here"),
        (lambda h: h + torch.rand_like(h), "operation 'aten.rand_like.default' is not known to ONNX here"),
        (lambda h: h + torch.rand(5), "operation 'aten.rand.default' draws random numbers"),
        (lambda h: h if h.max() > 0 else -h, "its step cannot be traced (RuntimeError: It appears that you're trying"),
        (lambda h: h / len(h), "its step depends on how many rows there are"),
        (lambda h: h.view(len(h) * 5, 1).view(len(h), 5), "its step depends on how many rows there are"),
        (lambda h: h * np.random.default_rng().random(), "its step depends on how many rows there are"),
        (lambda h: torch.tanh(h[:, :2]), "the activity is (2, 2), (2, 5) is one of 5 units"),
        (lambda h: h.fft, "its step cannot be traced (AttributeError"),
        (lambda h: torch.complex(h, h).real, "is not known to ONNX here"),
    ],
    ids=["unknown", "noise", "random", "branches", "rows", "folded", "other", "shape", "error", "complex"],
)
def test_a_step_that_is_no_graph_is_refused_by_the_cells_name(function, said):
    model = layered(stack(3, [Stacked(Tanh(), 4), Stacked(stepping(function), 5)], 2))
    with pytest.raises(InputError, match="nothing was written") as refused:
        Onnx().check(model)
    (problem,) = refused.value.problems
    assert problem.startswith("hidden_2: cell 'Mine': ")
    assert said in problem


def test_all_cells_that_are_unknown_are_told_at_once():
    mine = stepping(lambda h: h.cumsum(-1))
    with pytest.raises(InputError) as refused:
        Onnx().check(layered(stack(3, [Stacked(mine, 4), Stacked(mine, 5)], 2)))
    assert len(refused.value.problems) == 2


def test_a_state_that_changes_its_shape_is_refused():
    grows = type("Grows", (RateCell,), {
        "start": lambda self, rows, n, like: (like.new_zeros(rows, n),),
        "step": lambda self, state, h: ((torch.cat([state[0], h], -1),), h),
    })()  # fmt: skip
    with pytest.raises(InputError) as refused:
        Onnx().check(layered(one(grows)))
    assert "its step returns the states" in refused.value.problems[0]


# ---- operations of torch ----

F = torch.nn.functional
STEPS = {
    "arithmetic": lambda h: (1 - h) * 2 + h / 3 - (-h).abs() + 1 / (2 + h * h) + h.sub(h.tanh(), alpha=0.5),
    "powers": lambda h: h**2 + h.abs() ** 1.5 + h.square().sqrt() + (h.abs() + 1).rsqrt() + 2**h,
    "curves": lambda h: h.exp() + (h.abs() + 0.5).log() + h.sigmoid() + h.tanh().sin() + h.cos() + h.relu().floor(),
    "small": lambda h: torch.log1p((1e-4 * h).abs()) * 1e4 + torch.expm1(1e-4 * h) * 1e4,
    "large": lambda h: torch.expm1(3 * h) + torch.log1p(9 * h.abs()),
    "softplus": lambda h: F.softplus(h) + F.softplus(30 * h, beta=2.0, threshold=5.0) + F.logsigmoid(h) + F.mish(h),
    "units": lambda h: F.silu(h) + F.elu(h) + F.selu(h) + F.leaky_relu(h, 0.2) + F.gelu(h, approximate="tanh"),
    "hard": lambda h: F.hardtanh(h) + F.hardsigmoid(3 * h) + h.clamp(min=-0.2) + h.clamp(max=0.3) + h.clamp(-0.1, 0.1),
    "choices": lambda h: torch.where((h > 0) & ~(h >= 0.5), h, -h) + (h < 0.1).to(h) + (h <= 0).float() * (h != 0),
    "extremes": lambda h: torch.maximum(h, 0.5 * h) + torch.minimum(h, -h) + h.sign() + h.round(),
    "in-place": lambda h: h.clone().mul_(2).add_(1),
    "shapes": lambda h: torch.cat([h[:, 2:], h[..., :2]], -1) + torch.stack([h, 2 * h], 1).sum(1)
    + h.mean(-1, keepdim=True) + h.amax(1)[:, None] + h.unsqueeze(1).squeeze(1) + h.view(h.shape[0], 1, -1)[:, 0],
    "splits": lambda h: torch.cat(h.split([2, 3], -1)[::-1], -1) + torch.cat(h.chunk(2, 1), 1),
    "softmax": lambda h: h.softmax(-1) + torch.zeros_like(h) + torch.ones_like(h) + torch.full_like(h, 0.3),
    "constants": lambda h: h * torch.linspace(0, 1, 5) @ torch.eye(5).to(h) + F.linear(h, torch.ones(5, 5).to(h)),
    "linear": lambda h: F.linear(h, torch.eye(5).to(h), torch.ones(5).to(h)) @ torch.ones(5, 5).to(h).t(),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", STEPS)
def test_what_steps_are_written_in_is_known(tmp_path, name, dtype):
    agrees(layered(one(stepping(STEPS[name]), recurrent=False)), tmp_path, dtype)


@pytest.mark.parametrize("function", [F.gelu, torch.atan, torch.sinh, torch.erf], ids=["gelu", "atan", "sinh", "erf"])
def test_what_onnxruntime_has_in_float32_alone_is_refused_in_float64(tmp_path, function):
    model = layered(one(stepping(function), recurrent=False))
    agrees(model, tmp_path, "float32")
    with pytest.raises(InputError) as refused:
        Onnx(dtype="float64").check(model)
    assert "in float32 only; use --set dtype=float32" in refused.value.problems[0]


def altered(graph, name, change):
    proto = onnx.load_from_string(graph)
    tensor = next(t for t in proto.graph.initializer if t.name == name)
    tensor.CopyFrom(onnx.numpy_helper.from_array(change(onnx.numpy_helper.to_array(tensor)), name))
    return proto.SerializeToString()


@pytest.mark.parametrize("name", ["w_in", "w_1", "w_2_t", "b_out", "b_hidden_1"])
def test_a_wrong_graph_of_layers_is_seen(tmp_path, name):
    model = layered(stack(3, [Stacked(GRU(), 5), Stacked(ReLU(), 4)], 2, bias=True))
    graph, _ = content(model, tmp_path)
    truth = reference(model).y
    assert np.abs(ran(graph, model.inputs)["outputs"] - truth).max() < 1e-5
    wrong = altered(graph, name, lambda part: np.ascontiguousarray(np.roll(part, 1, -1)))
    assert np.abs(ran(wrong, model.inputs)["outputs"] - truth).max() > 1e-3
