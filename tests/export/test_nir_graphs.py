"""NIR graphs of several layers: what is read does, spike for spike, what the file's equations say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from neuroanp.errors import InputError
from neuroanp.export import nir_import
from neuroanp.export.model import Model, reference
from neuroanp.export.source import _model
from neuroanp.training.configure import configure, load_config
from neuroanp.training.launch import launch
from neuroanp.training.revisit import restored
from tests.close import close

from . import nir_by_hand

nir = pytest.importorskip("nir", reason="pip install 'neuroanp[nir]'")
h5py = pytest.importorskip("h5py", reason="pip install 'neuroanp[nir]'")

DATA = Path(__file__).parents[1] / "data" / "nir"
PUBLISHED = sorted(path for path in (DATA / "published").glob("*.nir") if "cnn" not in path.name)
DT = 1e-4


def _inputs(path, steps=300):
    """Return (T, I) inputs on which units spike now and then: counts of events, and currents for single units."""
    nodes, _ = nir_by_hand.read(path)
    lines = next(node for node in nodes.values() if "weight" in node)["weight"].shape
    into = nodes.get("fc1") or nodes.get("w_in")
    lines = lines[1] if into is None else into["weight"].shape[1]
    rng = np.random.default_rng(0)
    if lines == 1:
        return rng.uniform(0, 4, (steps, 1)) if "debug" not in path.stem else rng.uniform(0, 40, (steps, 1))
    return (rng.random((steps, lines)) < 0.3).astype(float)


def _layers(network, traces):
    """Return spikes (T, n) of each layer of a network."""
    ends = np.cumsum([layer.units for layer in network.layers])
    return np.split(traces.s[:, 0], ends[:-1], -1)


def _compare(path, u, dt=DT, reset="hard", order=()):
    """Assert that a file's network spikes as its equations do; return how often, and how near a threshold.

    `order`: names of the units in the order of the layers, where the file has another.
    """
    spikes, margins, outputs = nir_by_hand.walk(*nir_by_hand.read(path), u, dt, reset)
    read = nir_import.read(path, dt=dt, tau_r=20 * dt)
    network = read.network
    if reset != "hard":
        layers = tuple(each._replace(cell=each.cell.model_copy(update={"reset": reset})) for each in network.layers)
        network = type(network)(network.inputs, layers, network.outputs, network.projections, network.input_delay)
    model = Model("read", read.weights, network, dt, read.spikes_in, u[:, None], lambda y: {}, factors=read.factors)
    traces = reference(model)
    found = _layers(network, traces)
    assert len(found) == len(spikes)
    names = order or [*spikes]
    for name, got in zip(names, found, strict=True):
        assert np.array_equal(got, spikes[name]), (path.stem, name, int((got != spikes[name]).sum()))
    v = np.concatenate([margins[name] for name in names], -1)
    np.testing.assert_allclose(traces.v[:, 0] - 1, v, atol=1e-9)
    y, ys = 0.0, []
    for out in outputs:
        y = (1 - 1 / 20) * y + out
        ys.append(y)
    np.testing.assert_allclose(traces.y[:, 0], np.array(ys).reshape(len(u), -1), atol=1e-9)
    return {name: int(each.sum()) for name, each in spikes.items()}, min(np.abs(m).min() for m in margins.values())


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_files_spike_as_their_equations_say(path):
    reset = "subtract" if "subtract" in path.stem else "hard"
    for one in {reset, "hard"}:
        counts, margin = _compare(path, _inputs(path), reset=one)
        silent = ["lif2"] if "debug" in path.stem else []  # one spike in does not take it to its threshold, nor do all
        assert [name for name, count in counts.items() if not count] == silent
        assert margin > 1e-9


def test_all_published_files_but_the_convolution_are_read(tmp_path):
    assert len(PUBLISHED) == 7
    nodes, edges = _chain([("u", _lif(4))])
    nodes["conv"] = nir.Conv2d((8, 8), np.ones((1, 1, 3, 3)), 1, 0, 1, 1, np.zeros(1))
    nir.write(str(tmp_path / "s.nir"), nir.NIRGraph(nodes, edges, type_check=False))
    with pytest.raises(InputError, match="node 'conv' is of type 'Conv2d'; allowed: Input"):
        nir_import.read(tmp_path / "s.nir", dt=DT, tau_r=2e-3)


def test_two_layers_give_the_spikes_that_their_writer_stored():
    stored = np.load(DATA / "two_cubalif_layers.npz")
    read = nir_import.read(DATA / "two_cubalif_layers.nir", dt=DT, tau_r=2e-3)
    u = stored["u"].astype(float)
    model = Model("read", read.weights, read.network, DT, read.spikes_in, u, lambda y: {})
    traces = reference(model)
    assert traces.s is not None
    assert stored["s"].sum() > 100
    assert np.array_equal(traces.s[..., : stored["s"].shape[-1]], stored["s"])
    for b in range(2):
        _compare(DATA / "two_cubalif_layers.nir", u[:, b])


# Graphs of every kind


def _lif(n, seed=0, **fields):
    """Return LIF units that all differ, in everything."""
    rng = np.random.default_rng(seed)
    spread = {
        "tau": rng.uniform(2e-3, 6e-3, n), "r": rng.uniform(0.5, 2, n), "v_leak": rng.uniform(-0.2, 0.2, n),
        "v_threshold": rng.uniform(0.5, 1.5, n), "v_reset": rng.uniform(-0.3, 0.0, n),
    }  # fmt: skip
    return nir.LIF(**{**spread, **fields})


def _cuba(n, seed=0, **fields):
    rng = np.random.default_rng(seed)
    spread = {
        "tau_syn": rng.uniform(1e-3, 3e-3, n), "tau_mem": rng.uniform(2e-3, 6e-3, n), "r": rng.uniform(0.5, 2, n),
        "w_in": rng.uniform(0.5, 2, n), "v_threshold": rng.uniform(0.5, 1.5, n), "v_reset": rng.uniform(-0.3, 0.0, n),
    }  # fmt: skip
    height = spread["v_threshold"] - spread["v_reset"]
    return nir.CubaLIF(**{**spread, "v_leak": spread["v_reset"] + 0.25 * height, **fields})


def _if(n, seed=0):
    rng = np.random.default_rng(seed)
    return nir.IF(r=rng.uniform(100, 300, n), v_threshold=rng.uniform(0.5, 1.5, n), v_reset=rng.uniform(-0.3, 0, n))


INPUTS, OUTPUTS = 3, 2


def _affine(post, pre, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return nir.Affine(scale * rng.normal(size=(post, pre)), 0.1 * scale * rng.normal(size=post))


def _chain(units, recurrent=(), gain=6.0):
    """Return nodes and edges of input -> Affine -> unit -> Affine -> ... -> output; some units reach themselves."""
    nodes, edges, below, lines = {"input": nir.Input({"input": np.array([INPUTS])})}, [], "input", INPUTS
    for k, (name, unit) in enumerate(units):
        n = len(unit.v_threshold)
        nodes |= {f"to_{name}": _affine(n, lines, k, (1 + 5 * k) * gain), name: unit}
        edges += [(below, f"to_{name}"), (f"to_{name}", name)]
        if name in recurrent:
            nodes[f"{name}.w"] = _affine(n, n, 10 + k, 0.5 * gain)
            edges += [(name, f"{name}.w"), (f"{name}.w", name)]
        below, lines = name, n
    nodes |= {"c": _affine(OUTPUTS, lines, 20), "output": nir.Output({"output": np.array([OUTPUTS])})}
    return nodes, [*edges, (below, "c"), ("c", "output")]


def _write(path, nodes, edges):
    nir.write(str(path), nir.NIRGraph(nodes, edges, type_check=False))
    return path


def _currents(steps=250):
    return np.random.default_rng(7).uniform(0, 1, (steps, INPUTS))


GRAPHS = {
    "one, feed-forward": ([("u", _lif(5))], (), 6.0),
    "two LIF": ([("u", _lif(5)), ("v", _lif(4, 1))], ("u", "v"), 6.0),
    "two CubaLIF": ([("u", _cuba(5)), ("v", _cuba(4, 1))], ("u", "v"), 3.0),
    "LIF below CubaLIF": ([("u", _lif(5)), ("v", _cuba(4, 1))], ("v",), 6.0),
    "CubaLIF below LIF": ([("u", _cuba(5)), ("v", _lif(4, 1))], ("u",), 6.0),
    "IF": ([("u", _if(5)), ("v", _if(4, 1))], ("v",), 6.0),
    "three": ([("u", _if(6)), ("v", _lif(5, 1)), ("w", _cuba(4, 2))], ("v",), 8.0),
}


@pytest.mark.parametrize("reset", ["hard", "subtract"])
@pytest.mark.parametrize("name", GRAPHS)
def test_layers_of_units_that_differ_spike_as_their_equations_say(name, reset, tmp_path):
    path = _write(tmp_path / "s.nir", *_chain(*GRAPHS[name]))
    counts, margin = _compare(path, _currents(), reset=reset)
    assert min(counts.values()) > 5, counts
    assert margin > 1e-9


def test_several_feeds_a_scale_and_products_of_matrices_are_summed(tmp_path):
    """The input reaches both layers, both reach the output; between them three linear nodes, and a way around one."""
    nodes, edges = _chain([("u", _lif(5)), ("v", _lif(5, 1))], ("u",))
    nodes |= {
        "past": _affine(5, INPUTS, 30, 3.0), "early": _affine(OUTPUTS, 5, 31),
        "scale": nir.Scale(np.linspace(0.5, 1.5, 5)), "mix": _affine(5, 5, 32, 2.0), "first": _affine(5, 5, 33, 2.0),
    }  # fmt: skip
    edges += [("input", "past"), ("past", "v"), ("u", "early"), ("early", "output"), ("u", "first"), ("first", "scale")]
    edges += [("scale", "v"), ("scale", "mix"), ("mix", "v")]
    path = _write(tmp_path / "s.nir", nodes, edges)
    counts, _ = _compare(path, _currents())
    assert min(counts.values()) > 5
    read = nir_import.read(path, dt=DT, tau_r=2e-3)
    assert set(read.weights) == {"w_in", "w_1", "w_in_2", "w_1_2", "w_1_out", "w_out"}
    assert any(note.startswith("hidden_1: tau_m differs between units") for note in read.notes)


def test_a_layer_is_where_the_step_is_computed_whatever_the_order_in_the_file(tmp_path):
    nodes, edges = _chain([("u", _lif(5)), ("v", _lif(4, 1))], ("u",))
    path = _write(tmp_path / "s.nir", dict(reversed(nodes.items())), edges[::-1])
    _compare(path, _currents(), order=("u", "v"))


def test_arrays_that_the_graph_has_no_edge_for_are_0_and_told(tmp_path):
    """Two layers side by side: the second gets nothing of the first."""
    nodes, edges = _chain([("u", _lif(5))])
    nodes |= {"past": _affine(4, INPUTS, 30, 6.0), "v": _lif(4, 1), "late": _affine(OUTPUTS, 4, 31)}
    edges += [("input", "past"), ("past", "v"), ("v", "late"), ("late", "output")]
    path = _write(tmp_path / "s.nir", nodes, edges)
    _compare(path, _currents())
    read = nir_import.read(path, dt=DT, tau_r=2e-3)
    assert not read.weights["w_1_2"][:, :-1].any()
    assert any(note.startswith("w_1_2: the file has no such edge") for note in read.notes)


def test_units_without_a_readout_are_read_by_an_identity(tmp_path):
    nodes, edges = _chain([("u", _lif(5)), ("v", _lif(OUTPUTS, 1))])
    del nodes["c"]
    path = _write(tmp_path / "s.nir", nodes, [*edges[:-2], ("v", "output")])
    _compare(path, _currents())
    read = nir_import.read(path, dt=DT, tau_r=2e-3)
    assert np.array_equal(read.weights["w_out"][:, :OUTPUTS], np.eye(OUTPUTS))
    assert any("the graph ends in the spikes of 'v'" in note for note in read.notes)


@pytest.mark.parametrize("bound", [12, 1])
def test_graphs_in_graphs_are_flat_and_not_too_deep(tmp_path, bound):
    """A graph with two units, in a graph, in a graph ..."""
    nodes, edges = _chain([("u", _lif(5)), ("v", _lif(4, 1))], ("u",))
    _write(tmp_path / "flat.nir", nodes, edges)
    for _ in range(bound):
        nodes = {"input": nodes["input"], "g": nir.NIRGraph(nodes, edges, type_check=False), "output": nodes["output"]}
        edges = [("input", "g"), ("g", "output")]
    path = _write(tmp_path / "s.nir", nodes, edges)
    if bound > 8:
        with pytest.raises(InputError, match="graphs in graphs 9 deep; at most 8 are read"):
            nir_import.read(path, dt=DT, tau_r=2e-3)
        return
    read, flat = (nir_import.read(each, dt=DT, tau_r=2e-3) for each in (path, tmp_path / "flat.nir"))
    for name, W in flat.weights.items():
        assert np.array_equal(read.weights[name], W)


def test_a_graph_that_holds_itself_and_one_of_too_many_nodes_are_refused(tmp_path):
    nodes, edges = _chain([("u", _lif(5))])
    path = _write(tmp_path / "s.nir", nodes, edges)
    with h5py.File(path, "r+") as file:
        file["node/nodes/inner"] = file["node"]
    with pytest.raises(InputError, match=r"at most (8|64) are read"):
        nir_import.read(path, dt=DT, tau_r=2e-3)
    nodes |= {f"n{k}": _affine(1, 1, k) for k in range(40)}
    nodes["g"] = nir.NIRGraph({f"n{k}": _affine(1, 1, k) for k in range(40)}, [], type_check=False)
    with pytest.raises(InputError, match="40 entries; at most 64 are read in all"):
        nir_import.read(_write(tmp_path / "s.nir", nodes, edges), dt=DT, tau_r=2e-3)


def _twice(nodes, edges):
    edges.append(edges[0])


def _backwards(nodes, edges):
    nodes["back"] = _affine(5, 4, 40)
    edges += [("v", "back"), ("back", "u")]


def _over(nodes, edges):
    nodes["over"] = _affine(3, 5, 40)
    nodes["w"], nodes["to_w"] = _lif(3, 2), _affine(3, 4, 41)
    edges += [("u", "over"), ("over", "w"), ("v", "to_w"), ("to_w", "w"), ("w", "d"), ("d", "output")]
    nodes["d"] = _affine(OUTPUTS, 3, 42)


def _empty_loop(nodes, edges):
    nodes["a"], nodes["b"] = _affine(4, 4, 40), _affine(4, 4, 41)
    edges += [("to_v", "a"), ("a", "b"), ("b", "a"), ("b", "v")]


def _past(nodes, edges):
    nodes["past"] = _affine(OUTPUTS, INPUTS, 40)
    edges += [("input", "past"), ("past", "output")]


def _middle_li(nodes, edges):
    nodes["li"] = nir.LI(np.full(5, 1e-2), np.ones(5), np.zeros(5))
    edges.remove(("u", "to_v"))
    edges += [("u", "li"), ("li", "to_v")]


def _lost(nodes, edges):
    nodes["lost"] = _lif(5, 3)
    edges.append(("to_u", "lost"))


def _no_unit(nodes, edges):
    for name in ("u", "v", "to_v", "c"):
        del nodes[name]
    edges[:] = [("input", "to_u"), ("to_u", "output")]


def _leak(nodes, edges):
    nodes["u"] = _cuba(5, v_leak=np.linspace(0, 0.5, 5))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_twice, "edge 'input' -> 'to_u' is there twice"),
        (_backwards, r"nodes '[uv]' -> '[uv]' -> '[uv]' reach each other: .*write the units of a loop as one node"),
        (_over, r"'u' -> 'w': passes over 'v'; .*send it through that layer"),
        (_empty_loop, r"'[ab]' -> '[ab]' -> '[ab]': a loop without a unit in it"),
        (_past, "'input' reaches the output past all units"),
        (_middle_li, r"node 'li' \(LI\): one LI can be read"),
        (_lost, r"node 'lost' \(LIF\): it reaches no output"),
        (_no_unit, "no node of type LIF, CubaLIF or IF"),
        (_leak, r"CubaLIF \('u'\): v_leak - v_reset differs between units"),
    ],
)
def test_graphs_that_are_no_layers_are_refused(tmp_path, spoil, said):
    nodes, edges = _chain([("u", _lif(5)), ("v", _lif(4, 1))])
    spoil(nodes, edges)
    with pytest.raises(InputError, match=said):
        nir_import.read(_write(tmp_path / "s.nir", nodes, edges), dt=DT, tau_r=2e-3)


def test_matrices_between_units_are_bounded(tmp_path):
    """A direct edge between many units is an identity that nobody wrote."""
    n = 3000
    nodes = {
        "input": nir.Input({"input": np.array([n])}),
        "u": _lif(n),
        "output": nir.Output({"output": np.array([n])}),
    }
    path = _write(tmp_path / "s.nir", nodes, [("input", "u"), ("u", "output")])
    with pytest.raises(InputError, match="the matrices between units are over the limit"):
        nir_import.read(path, dt=DT, tau_r=2e-3, limit_bytes=9_000_000)


# Training what was read


def _two_layers(path, first=None):
    """Write two layers for xor, whose units differ."""
    first = first or _lif(6, tau=np.linspace(8e-3, 30e-3, 6))
    nodes, edges = _chain([("u", first), ("v", _lif(5, 1, tau=np.full(5, 15e-3)))], ("u",))
    nodes["to_u"], nodes["c"] = _affine(6, 2, 0, 6.0), _affine(1, 5, 20)
    nodes["input"], nodes["output"] = nir.Input({"input": np.array([2])}), nir.Output({"output": np.array([1])})
    return _write(path, nodes, edges)


SMALL = ["task.start=2", "task.pulse=5", "task.gap=2", "task.delay=2", "task.window=5", "task.test_size=4"]
SMALL += ["training.updates=2", "training.batch=2", "training.controls=false", "compute.dtype=float64"]


def _import(invoke, *sets):
    words = [word for each in (*SMALL, *sets) for word in ("--set", each)]
    return invoke("import", "s.nir", "--task", "xor", "--dt", "1 ms", "--tau-r", "20 ms", "-o", "mine", *words)


def _evaluated(where):
    """Return a run that evaluates an import as it is, and its network."""
    run = launch(configure(f"{where}/config.yaml", {"training.updates": 0}), Path("runs"))
    return run, model_of_any(run)


def model_of_any(run):
    """Return the network of a run as plain numbers, of several layers too."""
    experiment, trainer = restored(run)
    return _model("net", experiment, trainer, "targets")


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
def test_it_trains_resumes_and_evaluates(kind, tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    spread = {"tau_syn": np.linspace(3e-3, 6e-3, 6), "tau_mem": np.linspace(8e-3, 30e-3, 6)}
    _two_layers(Path("s.nir"), _cuba(6, **spread) if kind == "CubaLIF" else None)
    signed = ["encoder.signed=false", "encoder.rate=500 Hz"] * (kind == "CubaLIF")
    done = _import(invoke, *signed)
    assert done.exit_code == 0, done.stderr
    config = load_config(Path("mine/config.yaml"))
    assert config.network.layers is not None
    assert [layer.recurrent for layer in config.network.layers] == [True, False]
    assert config.network.input_delay == (kind == "LIF")
    held = load_file("mine/weights.safetensors")
    assert ("units/hidden_1/tau_s" in held) == (kind == "CubaLIF")
    run, model = _evaluated("mine")
    spikes, _, _ = nir_by_hand.walk(*nir_by_hand.read(Path("s.nir")), model.inputs[:, 0], 1e-3)
    for wanted, got in zip(spikes.values(), _layers(model.network, reference(model)), strict=True):
        assert np.array_equal(wanted, got)
    assert run.result["test_loss_noise_free"] == close(model.score(reference(model).y)["loss"], rel=1e-9)
    trained = launch(configure("mine/config.yaml"), Path("runs"))
    assert trained.result["updates"] == 2
    on = launch(configure("mine/config.yaml", {"network.weights": str(trained.path)}), Path("runs"))
    assert np.array_equal(model_of_any(on).factors["hidden_1"]["tau_m"], model.factors["hidden_1"]["tau_m"])


def test_what_is_set_of_the_neuron_is_so_in_all_layers(tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    _two_layers(Path("s.nir"))
    assert _import(invoke, "neuron.reset=subtract", "neuron.tau_r=30 ms").exit_code == 0
    layers = load_config(Path("mine/config.yaml")).network.layers
    assert layers is not None
    assert [(layer.cell.reset, layer.cell.tau_r) for layer in layers] == [("subtract", 0.03)] * 2


def test_the_command_line_says_what_was_read(tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    _two_layers(Path("s.nir"))
    done = _import(invoke)
    said = " ".join(done.stdout.split())
    assert "2 inputs, 11 units in 2 layers, 1 output" in said
    assert "layers: hidden_1 is 'u' (LIF, 6 units), hidden_2 is 'v' (LIF, 5 units)" in said
