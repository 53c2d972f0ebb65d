"""Several layers as files for Loihi and Xylo: read back bit for bit, against floats, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroanp.backends import loihi
from neuroanp.errors import InputError
from neuroanp.export.checking import xylo as in_xylosim
from neuroanp.export.loihi import Loihi
from neuroanp.export.model import Model, reference
from neuroanp.export.xylo import Xylo
from neuroanp.network.compose import Stacked, stack
from tests.backends.whole_numbers import DT, NEURONS, backend_of, layered, present
from tests.close import close

h5py = pytest.importorskip("h5py", reason="pip install 'neuroanp[loihi]'")

from neuroanp.export import netx  # noqa: E402

BIAS = pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
KINDS = {"loihi": Loihi, "xylo": Xylo}
NAMES = pytest.mark.parametrize("name", KINDS)


def model_of(name, seed=0, *, scale=1.0, **options) -> Model:
    """Return a network of three layers as an exporter gets it; `scale`: of what spikes add."""
    weights, u = layered(name, seed, **options)
    W = {key: part.numpy() * (1.0 if key.startswith(("w_in", "w_out")) else scale) for key, part in weights.items()}
    return Model("layers", W, weights.network, DT, True, u.numpy(), lambda y: {"loss": float(np.mean(y**2))})


def written(model, name, folder, **options):
    exporter = KINDS[name](**options)
    exporter.check(model)
    folder.mkdir(exist_ok=True)
    return exporter.export(model, folder)


@BIAS
def test_a_netx_file_read_back_gives_the_traces(bias, tmp_path):
    model = model_of("loihi", bias=bias)
    out, network = written(model, "loihi", tmp_path), netx.read(tmp_path / "network.net")
    assert [block.recurrent is None for block in network.blocks] == [False, True, False, True]
    assert [block.neurons.threshold for block in network.layers] == [
        out.facts[f"hidden_{k} threshold"] for k in (1, 2, 3)
    ]
    u = torch.from_numpy(np.pad(model.inputs.astype(np.int64), ((0, 1), (0, 0), (0, 0))))
    steps, _ = loihi.run(network, loihi.begin(network, u.shape[1]), u)
    assert np.array_equal(steps.s[:-1].numpy(), out.traces.s)
    state = (steps.v_out if bias else steps.u_out)[1:].numpy()
    assert np.array_equal(state / out.facts["output_scale"], out.traces.y)
    assert out.check is not None
    assert np.array_equal(out.check.expected["spikes"], out.traces.s)
    for part in np.split(out.traces.s, [14, 24], -1):
        assert part.sum() > 20


def test_a_netx_file_has_a_block_for_each_layer(tmp_path):
    written(model_of("loihi", bias=True), "loihi", tmp_path)
    with h5py.File(tmp_path / "network.net") as file:
        layers = [file[f"layer/{k}"] for k in range(4)]
        assert [layer["type"][0] for layer in layers] == [b"dense_rec", b"dense", b"dense_rec", b"dense"]
        assert [(layer["inFeatures"][()], layer["outFeatures"][()]) for layer in layers] == [
            (4, 14), (14, 10), (10, 8), (8, 2)
        ]  # fmt: skip
        assert all("bias" in layer for layer in layers)
        # each has weights to the end of its own bits
        for layer in layers:
            largest = max(np.abs(layer[key]).max() for key in layer if key.startswith("weight"))
            assert 200 < largest <= 254


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("skip", [False, True], ids=["stack", "skip"])
def test_xylosim_reads_layers_back_spike_for_spike(bias, skip, tmp_path, monkeypatch):
    pytest.importorskip("xylosim.v2", reason="xylosim is missing: pip install xylosim", exc_type=ImportError)
    model = model_of("xylo", bias=bias, skip=skip)
    out = written(model, "xylo", tmp_path)
    monkeypatch.chdir(tmp_path)
    found = in_xylosim.run({"inputs": model.inputs})
    np.testing.assert_array_equal(found["spikes"], out.traces.s)
    np.testing.assert_array_equal(found["outputs"], out.traces.y)
    for part in np.split(out.traces.s, [14, 24], -1):
        assert part.sum() > 20


def test_layers_are_blocks_of_one_population(tmp_path):
    """Inputs reach the first, the last reaches outputs, and each has its own shifts and thresholds."""
    written(model_of("xylo"), "xylo", tmp_path)
    with np.load(tmp_path / "xylo.npz") as held, open(tmp_path / "xylo.json") as file:
        told = json.load(file)
        assert told["layers"] == {"hidden_1": [0, 14], "hidden_2": [14, 24], "hidden_3": [24, 32]}
        assert set(told["decays"]) == {
            *(f"hidden_{k} {state}" for k in (1, 2, 3) for state in ("membrane", "synapse")),
            "output",
        }
        edges = [0, 14, 24, 32]
        blocks = {
            (a, b): held["w_rec"][edges[a] : edges[a + 1], edges[b] : edges[b + 1]].any()
            for a in range(3)
            for b in range(3)
        }
        assert {where for where, there in blocks.items() if there} == {(0, 0), (0, 1), (1, 2), (2, 2)}  # from, to
        assert held["w_in"][:, :14].any()
        assert not held["w_in"][:, 14:].any()
        assert held["w_out"][24:].any()
        assert not held["w_out"][:24].any()
        assert [held["dash_mem"][k] for k in (0, 14, 24)] == [4, 3, 4]
        assert [held["dash_syn"][k, 0] for k in (0, 14, 24)] == [2, 3, 2]


@BIAS
@NAMES
def test_what_is_held_is_within_half_a_step_and_follows_the_floats(name, bias, tmp_path):
    model = model_of(name, bias=bias, scale=0.5)
    out, truth = written(model, name, tmp_path), None
    assert list(out.held) == list(model.weights)
    for key, W in model.weights.items():
        assert out.held[key].shape == W.shape
        assert np.abs(out.held[key] - W).max() < 0.02 * np.abs(W).max()
    quiet = replace(model, weights=out.held)
    truth = reference(quiet)
    if bias:  # it rises in the network, and is there on the chip
        return
    for chip, wanted in zip(*(np.split(s, [14, 24], -1) for s in (out.traces.s, truth.s)), strict=True):
        assert chip.sum() == close(wanted.sum(), rel=0.15)
    off = np.sqrt(np.mean((out.traces.y - truth.y) ** 2))
    assert off < 0.6 * np.sqrt(np.mean(truth.y**2))


@pytest.mark.parametrize(("name", "skip"), [("loihi", False), ("xylo", False), ("xylo", True)])
def test_what_learned_on_the_chip_is_exported_spike_for_spike(name, skip, tmp_path):
    weights, u = layered(name, 3, bias=True, skip=skip)
    s, y, _ = present(backend_of(name), weights, u)
    learned = replace(model_of(name, 3, bias=True, skip=skip), backend=name)
    out = written(learned, name, tmp_path)
    assert np.array_equal(out.traces.s, s.long().numpy())
    np.testing.assert_allclose(out.traces.y, y.numpy(), rtol=1e-9, atol=1e-9)
    chip = KINDS[name]().chip(learned)
    held = chip.held({key: torch.from_numpy(W) for key, W in learned.weights.items()})
    for key, W in held.items():
        np.testing.assert_allclose(W.numpy(), out.held[key], rtol=1e-9, atol=1e-12)


def shallow(name, delay=1, upper=None, skip=False, sizes=(5, 4), inputs=3) -> Model:
    own, rng = NEURONS[name], np.random.default_rng(0)
    network = stack(inputs, [Stacked(own, sizes[0]), Stacked(upper or own, sizes[1], delay=delay)], 2, skip=skip)
    W = {key: rng.normal(size=shape) / np.sqrt(shape[1]) for key, shape in network.shapes.items()}
    u = (rng.random((10, 1, inputs)) < 0.3).astype(float)
    return Model("two", W, network, DT, True, u, lambda y: {"loss": 0.0})


@NAMES
def test_same_step_layers_are_refused_with_the_remedy(name):
    with pytest.raises(InputError) as refused:
        KINDS[name]().check(shallow(name, delay=0))
    (said,) = refused.value.problems
    assert said.startswith("network.layers: hidden_2: ")
    assert said.endswith("give these layers delay: 1")
    KINDS[name]().check(shallow(name))


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        ("loihi", {"skip": True}, ["w_in_2, w_1_out", "train with network.skip: false"]),
        (
            "loihi",
            {"upper": {"reset": "subtract"}},
            ["network.layers[1].cell.reset: 'subtract'", "--set network.layers.1.cell.reset=hard"],
        ),
        ("loihi", {"upper": {"tau_m": 20.0}}, ["network.layers[1].cell.tau_m: '20 s'", "up to '4.1 s'"]),
        ("loihi", {"upper": {"synapse_gain": 1e9}}, ["w_1_2, w_2: ", "times too large against the threshold"]),
        (
            "xylo",
            {"upper": {"refractory": 5e-3}},
            ["network.layers[1].cell.refractory: 5 steps", "--set network.layers.1.cell.refractory='0 ms'"],
        ),
        (
            "xylo",
            {"upper": {"tau_m": 20e-3}},
            ["network.layers[1].cell.tau_m: the decay of 0.951229", "--quantize-decay"],
        ),
        (
            "xylo",
            {"upper": {"tau_r": 20e-3}, "skip": True},
            ["network.layers[1].cell.tau_r: hidden_1 and hidden_2 reach the outputs"],
        ),
        ("xylo", {"sizes": (900, 100)}, ["hidden: 1000 are more than the 992 of audio3"]),
        ("xylo", {"sizes": (130, 4)}, ["audio3 gives inputs to the first 128"]),
        ("xylo", {"inputs": 17}, ["inputs: 17 are more than the 16"]),
    ],
)
def test_what_a_layer_has_that_no_chip_has_is_refused(name, changed, words):
    upper = changed.pop("upper", None) if (changed := dict(changed)) else None
    own = NEURONS[name]
    model = shallow(name, upper=None if upper is None else own.model_copy(update=upper), **changed)
    with pytest.raises(InputError) as refused:
        KINDS[name]().check(model)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize("name", ["loihi", "xylo"])
def test_of_a_membrane_that_does_not_leak_the_leak_alone_is_refused(name):
    """Its time constant is none of a decay: no other one would help."""
    upper = NEURONS[name].model_copy(update={"leak": False})
    network = stack(3, [Stacked(NEURONS[name], 5), Stacked(upper, 4, delay=1)], 2)
    with pytest.raises(InputError) as refused:
        KINDS[name]().check(replace(shallow(name), network=network))
    (problem,) = refused.value.problems
    assert problem.startswith("network.layers[1].cell.leak: false")


def test_a_trace_that_no_output_reads_may_have_any_decay():
    """A Xylo knows nothing of the first layer's tau_r."""
    lower = NEURONS["xylo"].model_copy(update={"tau_r": 20e-3})
    network = stack(3, [Stacked(lower, 5), Stacked(NEURONS["xylo"], 4, delay=1)], 2)
    Xylo().check(replace(shallow("xylo"), network=network))


def test_units_that_differ_from_each_other_are_refused():
    model = replace(shallow("loihi"), factors={"hidden_2": {"threshold": np.array([1.0, 1.1, 0.9, 1.0])}})
    for exporter in (Loihi(), Xylo(quantize_decay=True)):
        with pytest.raises(InputError, match="units differ in threshold"):
            exporter.check(model)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file: file.move("layer/3", "layer/5"), "missing or not known: 3, 5"),
        (lambda file: file.__delitem__("layer/3"), "'dense_rec', expected 'dense' of the last"),
        (lambda file: [file.__delitem__(f"layer/{k}") for k in (1, 2, 3)], "1 layers, expected 2 to 101"),
        (lambda file: [file.create_group(f"layer/{k}") for k in range(4, 102)], "102 layers, expected 2 to 101"),
        (lambda file: (file.move("layer/1", "x"), file.move("layer/2", "layer/1"), file.move("x", "layer/2")),
         "layer/1 takes 10 units, layer/0 has 14"),
        (lambda file: file["layer/1"].__setitem__("weight_rec", np.zeros((10, 10), "f4")), "expected 'dense_rec'"),
        (lambda file: file["layer/1"].__setitem__("bias", h5py.ExternalLink("none", "/x")), "is missing, or a link"),
    ],
)  # fmt: skip
def test_files_of_layers_that_do_not_fit_together_are_refused(spoil, said, tmp_path):
    written(model_of("loihi"), "loihi", tmp_path)
    with h5py.File(tmp_path / "network.net", "a") as file:
        if "bias" in file["layer/1"]:
            del file["layer/1/bias"]
        spoil(file)
    with pytest.raises(InputError) as refused:
        netx.read(tmp_path / "network.net")
    assert said in str(refused.value)
