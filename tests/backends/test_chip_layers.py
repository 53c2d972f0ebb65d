"""Several layers on chips: what is simulated, what lava's and xylosim's rules give by hand, and what is refused."""

from __future__ import annotations

import pytest
import torch

from neuroanp.backends import loihi
from neuroanp.backends.chip_structure import unheld
from neuroanp.backends.network import TwinBackend
from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import Request
from neuroanp.errors import InputError
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.network import INPUT, OUTPUT, Layer, Network, Projection
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.substrates.chip import DeviceChip
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.layers import NetworkConfig
from neuroanp.training.targets import misfits
from neuroanp.trajectory import Weights
from tests.backends.whole_numbers import DT, KINDS, NEURONS, SILENT, backend_of, exported, layered, present, tau
from tests.close import close

BIAS = pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
CASES = pytest.mark.parametrize(("name", "skip"), [("loihi", False), ("xylo", False), ("xylo", True)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@BIAS
@CASES
def test_layers_do_what_the_exported_numbers_do(name, skip, bias, dtype):
    weights, u = layered(name, bias=bias, skip=skip, dtype=dtype)
    s, y, v = present(backend_of(name, 32), weights, u)
    s_wanted, y_wanted, v_wanted = exported(name, weights, u)
    for part in s_wanted.split([layer.units for layer in weights.network.layers], -1):
        assert int(part.sum()) > 20  # every layer speaks
    assert torch.equal(s.long(), s_wanted)
    rounding = 1e-6 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(v, v_wanted.to(dtype), rtol=rounding, atol=rounding)
    torch.testing.assert_close(y, y_wanted.to(dtype), rtol=rounding, atol=rounding)


@pytest.mark.slow
@CASES
def test_layers_follow_the_network_of_floats_until_a_spike_differs(name, skip):
    """Before rounding has moved the first spike, potentials are those of the twin: same steps, same gains."""
    weights, u = layered(name, seed=1, skip=skip, batch=1)
    s, _, v = (part[:, 0] for part in present(backend_of(name), weights, u))
    s_wanted, _, v_wanted = (part[:, 0] for part in present(TwinBackend(DT, 64, spikes_in=True), weights, u))
    same = (s.long() == s_wanted.long()).all(1)
    first = int(same.long().cumprod(0).sum())
    units = [layer.units for layer in weights.network.layers]
    assert int(s[: first - 1, : units[0]].sum()) > 0  # the second layer has had spikes
    for k, (now, wanted) in enumerate(zip(v.split(units, -1), v_wanted.split(units, -1), strict=True)):
        off = (now - wanted)[:first].abs().max()
        assert float(off) < 0.1
        if k == 1:  # a step late or early would be seen
            assert float((now[1:first] - wanted[: first - 1]).abs().max()) > 3 * float(off)


def test_spikes_take_a_step_from_layer_to_layer_on_a_loihi():
    """By lava's rules: an input at step 0 spikes layer k at step k, and outputs have it a step after the last."""
    one, none = torch.ones(1, 1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)
    quiet, unit = loihi.Cuba(4096, 4095, 131071, none), loihi.Cuba(4096, 4096, 99, none)
    layers = tuple(loihi.Block(100 * one, 0 * one if k else None, unit) for k in range(3))
    network = loihi.CubaNetwork(layers, loihi.Block(50 * one, None, quiet))
    u = torch.zeros(7, 1, 1, dtype=torch.int64)
    u[0] = 1
    steps, states = loihi.run(network, loihi.begin(network, 1), u)
    assert steps.s[:, 0].T.tolist() == [[0, 1, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0]]
    assert (steps.u_out.flatten() // 64).tolist() == [0, 0, 0, 0, 50, 0, 0]
    again, _ = loihi.run(network, states, u)  # states go on where they were
    assert torch.equal(again.s, steps.s)


def test_each_layer_on_a_loihi_has_a_threshold_of_its_own_weights():
    weights, u = layered("loihi")
    louder = Weights({**weights, "w_1_2": 10 * weights["w_1_2"]}, weights.network)
    units = []
    for W in (weights, louder):
        backend = backend_of("loihi")
        present(backend, W, u[:2])
        units.append({name: float(layer.unit[0]) for name, layer in backend.chip.layers.items()})
    assert units[1]["hidden_1"] == units[0]["hidden_1"]
    assert units[1]["hidden_2"] == close(units[0]["hidden_2"] / 10, rel=0.2)
    assert units[1]["hidden_3"] == units[0]["hidden_3"]


@CASES
def test_a_gradient_reaches_every_array_of_the_rounded_network(name, skip):
    weights, u = layered(name, bias=True, skip=skip, steps=40)
    backend, twin = backend_of(name), TwinBackend(DT, 64, spikes_in=True)
    found = []
    for made, held in ((backend, None), (twin, "held")):
        W = backend.chip.held(dict(weights.items())) if held else weights
        W = {key: part.clone().requires_grad_() for key, part in W.items()}
        twin._decays = backend._decays
        made.differentiable(weights.network)(Weights(W, weights.network), u).square().sum().backward()
        found.append({key: part.grad for key, part in W.items()})
    for key, wanted in found[1].items():
        assert wanted is not None
        assert bool(wanted.any())
        torch.testing.assert_close(found[0][key], wanted, rtol=1e-9, atol=1e-9)


def test_a_bias_of_an_upper_layer_is_there_in_full():
    """Where the membrane settles."""
    for name in KINDS:
        weights, u = layered(name, bias=True)
        backend = backend_of(name)
        quiet = Weights({key: 0 * part for key, part in weights.items()}, weights.network)
        neuron = weights.network.layers[1].cell
        quiet["w_1_2"][:, -1] = 0.2 / (neuron.synapse_gain * moves(neuron))
        _, _, v = present(backend, quiet, 0 * u)
        units = [layer.units for layer in weights.network.layers]
        assert v.split(units, -1)[1][-1].numpy() == close(neuron.drive + 0.2, rel=0.03)


@pytest.mark.parametrize("name", KINDS)
def test_the_rule_is_told_that_a_bias_of_an_upper_layer_acts_in_full(name):
    weights, u = layered(name, bias=True, steps=5)
    streams = Streams(0)
    chip = DeviceChip.build(load("ideal"), weights, streams=streams, dt=DT, dtype=u.dtype, device="cpu")
    own = PassStreams(streams, "train", 0)
    for chunk in backend_of(name, 2).run(Request(chip, chip.prepare(1.0, own), u, SILENT, own)):
        for array in ("w_1_2", "w_2_3"):
            assert bool((chunk.pre[array][..., -1] == 1).all())


def moves(neuron: LIF) -> float:
    """Return k_I / k_e: where a membrane settles under a synaptic current of 1."""
    from neuroanp.backends.neuron import coefficients

    step = coefficients(neuron, DT, torch.zeros(1, dtype=torch.float64))
    return float(step.k_i / step.k_e)


# ---- what is refused ----


def two(name, delay=1, upper=None, skip=False, lower=None):
    own = NEURONS[name]
    return stack(3, [Stacked(lower or own, 5), Stacked(upper or own, 4, delay=delay)], 2, skip=skip)


@pytest.mark.parametrize("name", KINDS)
def test_spikes_in_the_same_step_are_refused_with_the_remedy(name):
    (said,) = KINDS[name].refuses(two(name, delay=0))
    assert said.startswith("hidden_2: ")
    assert said.endswith("give these layers delay: 1")
    assert KINDS[name].refuses(two(name)) == []


def test_skips_are_refused_where_layers_lie_one_after_the_other():
    (said,) = KINDS["loihi"].refuses(two("loihi", skip=True))
    assert said.startswith("w_in_2, w_1_out: ")
    assert said.endswith("train with network.skip: false")
    assert KINDS["xylo"].refuses(two("xylo", skip=True)) == []


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("loihi", {"reset": "subtract"}, "hidden_2: backend 'loihi' cannot do reset 'subtract' (it has 'hard')"),
        ("xylo", {"tau_s": 0.0}, "hidden_2: backend 'xylo' cannot do tau_s 0 (its currents last)"),
    ],
)
def test_units_of_any_layer_are_looked_at(name, options, said):
    upper = NEURONS[name].model_copy(update=options)
    assert KINDS[name].refuses(two(name, upper=upper))[0].startswith(said)


def test_readouts_of_layers_that_reach_the_outputs_must_agree():
    upper = NEURONS["xylo"].model_copy(update={"tau_r": tau(3)})
    assert KINDS["xylo"].refuses(two("xylo", upper=upper)) == []  # the first layer reaches none
    assert "tau_r" in KINDS["xylo"].refuses(two("xylo", upper=upper, skip=True))[0]


def test_structures_that_no_stack_makes_are_refused():
    units = (Layer("a", 2, LIF()), Layer("b", 2, LIF()))
    into, on = Projection("to_a", INPUT, "a", 0, True), Projection("a_b", "a", "b", 1, True)
    for more, said in (
        (Projection("through", INPUT, OUTPUT, 0), "through: xylo has no way from the input to the output"),
        (Projection("to_b", INPUT, "b", 0, True), "a_b, to_b: b has one bias on xylo"),
    ):
        network = Network(1, units, 1, (into, on, more, Projection("out", "b", OUTPUT, 0)))
        assert unheld(network, "xylo", skips=True)[0].startswith(said)


# ---- learning ----

TINY = {
    "task": {"name": "xor", "start": 2, "pulse": 5, "gap": 2, "delay": 2, "window": 5, "test_size": 4},
    "network": {"layers": [{"units": 30}, {"units": 10, "recurrent": False}]},
    "training": {"updates": 2, "batch": 2, "controls": False},
}


@pytest.mark.parametrize("options", [{"rule": "anp"}, {"rule": "bptt"}], ids=["anp", "bptt"])
@pytest.mark.parametrize("name", KINDS)
def test_layers_learn_with_the_delay_that_is_filled_in(name, options):
    config = configure(TINY, target=name, **options)
    assert config.backend == name
    assert [layer.delay for layer in config.network.layers or ()] == [0, 1]
    assert configure(config.to_plain()) == config
    trainer = build_trainer(Experiment.of(config))
    before = {key: W.clone() for key, W in trainer.substrate.weights.items()}
    for _ in range(2):
        trainer.step()
    assert set(before) == {"w_in", "w_1", "w_1_2", "w_out"}
    assert all(not torch.equal(W, before[key]) for key, W in trainer.substrate.weights.items())


@pytest.mark.parametrize(
    ("name", "layer", "more", "key", "said"),
    [
        ("loihi", {"delay": 0}, {}, ("delay",), "loihi needs 1: each connection takes a step; leave it out"),
        ("xylo", {"delay": 0}, {}, ("delay",), "xylo needs 1: each connection takes a step; leave it out"),
        ("loihi", {"delay": 1}, {"skip": True}, None, "loihi holds layers one after the other; leave it out"),
        ("xylo", {"delay": 1, "cell": {"tau_m": "20 ms"}}, {}, ("cell", "tau_m"), "xylo has no such decay"),
        ("xylo", {"delay": 1, "cell": {"reset": "hard"}}, {}, ("cell", "reset"), "xylo needs 'subtract'"),
        (
            "xylo",
            {"delay": 1, "cell": {"name": "tanh"}},
            {},
            ("cell",),
            "xylo needs leaky integrate-and-fire units, cell lif",
        ),
    ],
)
def test_what_a_target_has_not_in_a_layer_is_refused(name, layer, more, key, said):
    fits = NEURONS["xylo"]
    if "cell" in layer and "name" not in layer["cell"]:
        layer = {**layer, "cell": {**fits.model_dump(), **layer["cell"]}}
    network = NetworkConfig.model_validate({"layers": [{"units": 4}, {"units": 4, **layer}], **more})
    usual = fits if name == "xylo" else fits.model_copy(update={"reset": "hard"})
    ((where, found, _),) = misfits(name, usual, True, DT, network)
    assert where == (("network", "skip") if key is None else ("network", "layers", 1, *key))
    assert found.startswith(said)
    with pytest.raises(InputError):  # and so is a configuration
        configure({**TINY, "network": {"layers": [{"units": 4}, {"units": 4, **layer}], **more}}, target=name)


def test_nir_takes_no_layers_that_are_late():
    """Its export would refuse them."""
    late = {**TINY, "network": {"layers": [{"units": 4}, {"units": 4, "delay": 1}]}}
    with pytest.raises(
        InputError, match=r"layers\[1\]\.delay: nir needs 0: an edge acts in the same step; leave it out"
    ):
        configure(late, target="nir")
    late["network"]["layers"][1].pop("delay")
    assert [layer.delay for layer in configure(late, target="nir").network.layers or ()] == [0, 0]


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((120, 100), "36400 connections between units, xylo has room for 31744"),
        ((130, 10), "130 units from the first to the last with inputs, xylo has room for 128"),
        ((10, 130), "130 units from the first to the last with outputs, xylo has room for 128"),
        ((90, 80), None),  # more than 128 in all
    ],
)
def test_layers_must_fit_into_a_xylo(sizes, said):
    config = configure({**TINY, "network": {"layers": [{"units": n} for n in sizes]}}, target="xylo")
    if said is None:
        Experiment.of(config)
        return
    with pytest.raises(InputError) as refused:
        Experiment.of(config)
    assert said in str(refused.value)
