"""Spiking networks of several layers in ONNX: onnxruntime spikes where the network does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from neuroanp.backends.neuron import LIF
from neuroanp.errors import InputError
from neuroanp.export import onnx_spiking_sums
from neuroanp.export.model import Model, reference
from neuroanp.export.onnx import Onnx
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.network import INPUT, OUTPUT, Network, Projection
from tests.backends.test_resets import KINDS
from tests.export.test_onnx_layers import altered, content, ran

MARGIN = 1e-4


def lif(**options):
    return LIF(**{"input_gain": 12.0, "synapse_gain": 12.0, **options})


def layered(network: Network, seed=0, steps=80, batch=2, spikes_in=False, factors=None) -> Model:
    """Return a model of a spiking network with random weights, active enough."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(size=shape) / np.sqrt(shape[1]) for name, shape in network.shapes.items()}
    u = rng.uniform(-1, 1, size=(steps, batch, network.inputs))
    given = (u > 0.5).astype(float) if spikes_in else u
    return Model(
        f"net-{seed}", weights, network, 1e-3, spikes_in, given, lambda y: {"loss": float(np.mean(y**2))},
        factors=factors or {},
    )  # fmt: skip


def clear_of(model, truth):
    """Return how near potentials come to any threshold that decides."""
    thresholds = np.concatenate([step.threshold.numpy() for step in model.steps.values()])
    return onnx_spiking_sums.margins(model, thresholds, truth)[1].min()


def with_margin(build):
    """Return the first model, one for each seed, that keeps clear of the threshold, and what it does."""
    for seed in range(100):
        model = build(seed)
        truth = reference(model)
        if clear_of(model, truth) > MARGIN:
            return model, truth
    raise AssertionError("no network keeps clear of the threshold")


def agrees(model, folder, dtype="float64", inputs=None):
    """Hold spikes and potentials of all layers, and outputs, to the network."""
    graph, exported = content(model, folder, dtype=dtype, states=True)
    truth = reference(model, inputs)
    found = ran(graph, model.inputs if inputs is None else inputs)
    one = len(model.network.layers) == 1
    tags = [""] if one else [f"_{layer.name}" for layer in model.network.layers]
    near = {"float32": 1e-5, "float64": 1e-12}[dtype]
    assert truth.s.sum() > 20
    assert (np.concatenate([found[f"spikes{tag}"] for tag in tags], -1) != truth.s).sum() == 0
    v = np.concatenate([found[f"v{tag}"] for tag in tags], -1)
    assert np.abs(v - truth.v).max() < near * max(1.0, np.abs(truth.v).max())
    assert np.abs(found["outputs"] - truth.y).max() < near * max(1.0, np.abs(truth.y).max())
    if inputs is None:
        assert (exported.traces.s != truth.s).sum() == 0
        assert np.abs(exported.traces.y - truth.y).max() < near * max(1.0, np.abs(truth.y).max())
    return graph


def two(neuron, delay=0, skip=False, bias=False, recurrent=True):
    return stack(3, [Stacked(neuron, 8, recurrent), Stacked(neuron, 6, recurrent, delay)], 2, bias, skip)


# Orthogonal array of strength 2 over delay, skip, bias, recurrent, spikes in, refractory in ms and decoder.
COVER = [
    (0, False, False, False, False, 0, "trace"),
    (0, False, False, True, True, 2, "count"),
    (0, True, True, False, False, 2, "count"),
    (0, True, True, True, True, 0, "trace"),
    (1, False, True, False, True, 0, "count"),
    (1, False, True, True, False, 2, "trace"),
    (1, True, False, False, True, 2, "trace"),
    (1, True, False, True, False, 0, "count"),
]


def test_the_cover_has_every_pair_of_values():
    columns = list(zip(*COVER, strict=True))
    for k, one in enumerate(columns):
        assert all(len(set(zip(one, other, strict=True))) == 4 for other in columns[k + 1 :])


@pytest.mark.parametrize("row", COVER, ids=lambda row: "-".join(map(str, row)))
def test_two_layers_spike_in_onnxruntime_as_in_the_network(tmp_path, row):
    delay, skip, bias, recurrent, spikes_in, refractory, decoder = row
    network = two(lif(refractory=refractory * 1e-3, decoder=decoder), delay, skip, bias, recurrent)
    model, truth = with_margin(lambda seed: layered(network, seed, spikes_in=spikes_in))
    assert clear_of(model, truth) > MARGIN
    assert min(truth.s[..., :8].sum(), truth.s[..., 8:].sum()) > 20
    for dtype in ("float32", "float64"):
        agrees(model, tmp_path, dtype)
    other = layered(network, 1000, steps=41, batch=3, spikes_in=spikes_in).inputs
    agrees(model, tmp_path, "float64", other)


@pytest.mark.parametrize("kind", KINDS)
def test_each_layer_resets_in_its_own_way(tmp_path, kind):
    """The two layers differ in everything that a layer has of its own."""
    first = lif(reset=kind, refractory=0.0, input_gain=20.0, tau_m=12e-3)
    second = lif(reset="hard", refractory=3e-3, tau_s=0.0, synapse_gain=9.0, drive=0.9, integration="euler")
    for layers in ([Stacked(first, 6), Stacked(second, 5, delay=1)], [Stacked(second, 6), Stacked(first, 5)]):
        network = stack(3, layers, 2, bias=True, skip=True)
        model, _ = with_margin(lambda seed, network=network: layered(network, seed))
        agrees(model, tmp_path)


def test_units_that_differ_keep_their_differences(tmp_path):
    rng, network = np.random.default_rng(5), two(lif(refractory=0.0), skip=True, bias=True)
    factors = {
        layer.name: {name: rng.uniform(0.7, 1.4, layer.units) for name in ("threshold", "tau_m", "tau_s")}
        for layer in network.layers
    }
    model, truth = with_margin(lambda seed: layered(network, seed, factors=factors))
    assert (reference(replace(model, factors={})).s != truth.s).any()
    agrees(model, tmp_path)
    _, exported = content(model, tmp_path)
    wanted, kept = exported.decays["membrane_hidden_1"]  # of the unit that rounding moves most
    a_m = model.steps["hidden_1"].a_m.numpy()
    assert abs(kept - wanted) == np.abs(a_m.astype(np.float32).astype(float) - a_m).max()
    assert {"synapse_hidden_2", "readout"} <= set(exported.decays)


@drawn(
    layers=st.lists(
        st.builds(
            Stacked,
            st.builds(lif, reset=st.sampled_from(KINDS), refractory=st.sampled_from([0.0, 2e-3]), drive=st.just(0.8)),
            st.integers(1, 5), st.booleans(), st.integers(0, 1),
        ),
        min_size=1, max_size=3,
    ),
    bias=st.booleans(), skip=st.booleans(), spikes_in=st.booleans(),
)  # fmt: skip
@settings(max_examples=10, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
def test_any_small_spiking_network_agrees_with_onnxruntime(tmp_path_factory, layers, bias, skip, spikes_in):
    layers = [Stacked(LIF(input_gain=30.0, synapse_gain=9.0, refractory=0.0), 5), *layers]
    network = stack(3, layers, 2, bias, skip)
    model, _ = with_margin(lambda seed: layered(network, seed, steps=50, spikes_in=spikes_in))
    agrees(model, tmp_path_factory.mktemp("any"))


def test_a_file_of_layers_brings_its_check(tmp_path):
    from neuroanp.export.checking.running import check
    from neuroanp.export.writing import write

    for states in (True, False):
        report = write(layered(two(lif(), skip=True)), "onnx", Onnx(states=states), tmp_path / str(states))
        assert report.spikes is not None
        assert report.spikes["mismatches"] == 0
        assert check(tmp_path / str(states))


@pytest.mark.parametrize("name", ["w_1_2_t", "w_1_t", "threshold_hidden_1", "a_s_hidden_2", "hold_hidden_2"])
def test_a_wrong_graph_of_spiking_layers_is_seen(tmp_path, name):
    model, truth = with_margin(lambda seed: layered(two(lif(), bias=True), seed))
    graph, _ = content(model, tmp_path, dtype="float64", states=True)
    wrong = altered(graph, name, lambda part: part + 1 if part.dtype.kind == "i" else 0.8 * part)
    spikes = ran(wrong, model.inputs)
    found = np.concatenate([spikes["spikes_hidden_1"], spikes["spikes_hidden_2"]], -1)
    assert (found != truth.s).any()


def test_arrays_without_a_place_are_refused():
    plain = two(lif())
    more = (*plain.projections, Projection("x", INPUT, OUTPUT, 0), Projection("y", "hidden_1", OUTPUT, 1))
    with pytest.raises(InputError) as refused:
        Onnx().check(layered_weights(replace(plain, projections=more)))
    assert [line.partition(":")[0] for line in refused.value.problems] == ["x", "y"]


def layered_weights(network):
    return layered(network, steps=3)


def test_rates_among_spikes_are_refused():
    from neuroanp.network.tanh import Tanh

    network = stack(3, [Stacked(Tanh(), 4), Stacked(lif(), 5)], 2)
    with pytest.raises(InputError, match="nothing was written") as refused:
        Onnx().check(layered(network, steps=3))
    assert refused.value.problems == (
        "hidden_1: 'Tanh' has equations that ONNX graphs are not known for; train with neuron 'lif'",
    )


def test_a_raised_threshold_that_nearly_is_not_raised_is_near():
    """Whether the last reset left a membrane above the threshold decides, as whether it crosses does."""
    model = layered(stack(1, [Stacked(lif(reset="subtract_raised"), 1)], 1), steps=2, batch=1)
    truth = replace(reference(model), v=np.array([[[2.0 + 1e-6]], [[0.2]]]), s=np.array([[[1]], [[0]]]))
    force, nearest = onnx_spiking_sums.margins(model, np.ones(1), truth)
    assert force.min() > 0.5
    assert nearest.min() == pytest.approx(1e-6, rel=1e-3, abs=0)
