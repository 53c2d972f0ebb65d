"""What is written for Xylo is what xylosim runs, and is as near to the network as its bits allow."""

from __future__ import annotations

import json
from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch

from neuroanp.backends import xylo as chip
from neuroanp.backends.neuron import LIF
from neuroanp.backends.xylo_numbers import quantised, wanted_numbers
from neuroanp.errors import InputError
from neuroanp.export.checking import xylo as in_xylosim
from neuroanp.export.model import reference
from neuroanp.export.xylo import Xylo
from neuroanp.export.xylo_limits import DEVICES
from neuroanp.export.xylo_scales import scales_of
from tests.close import close

DT = 1e-3


def tau(dash: int) -> float:
    """Return the time constant, in seconds, whose exact decay in a step is 1 - 2^-dash."""
    return -DT / log(1.0 - 2.0**-dash)


def unit(**options) -> LIF:
    """Return a neuron that a Xylo holds without rounding its decays."""
    fits = {"tau_m": tau(4), "tau_s": tau(2), "tau_r": tau(4), "reset": "subtract", "refractory": 0.0}
    return LIF(**{**fits, "input_gain": 3.0, **options})


def other(model, neuron):
    """Return the network with other units."""
    return replace(model, network=replace(model.network, layers=(model.layer._replace(cell=neuron),)))


NETS = [((4, 32, 2), 0, "audio3"), ((16, 64, 8), 1, "audio2"), ((8, 100, 3), 2, "imu")]


@pytest.fixture(params=NETS, ids=[device for *_, device in NETS])
def case(request, make_network):
    """Return a network and the exporter for a chip."""
    sizes, seed, device = request.param
    return make_network(sizes, seed=seed, spikes_in=True, bias=seed != 0, neuron=unit()), Xylo(device=device)


def written(model, exporter, folder):
    exporter.check(model)
    folder.mkdir(exist_ok=True)
    return exporter.export(model, folder)


def test_xylosim_reads_the_files_back_spike_for_spike(case, tmp_path, monkeypatch) -> None:
    pytest.importorskip("xylosim.v2", reason="xylosim is missing: pip install xylosim", exc_type=ImportError)
    model, exporter = case
    exported = written(model, exporter, tmp_path)
    monkeypatch.chdir(tmp_path)
    found = in_xylosim.run({"inputs": model.inputs})
    np.testing.assert_array_equal(found["spikes"], exported.traces.s)
    np.testing.assert_array_equal(found["outputs"], exported.traces.y)
    assert exported.traces.s.sum() > 300


def test_states_of_the_files_equal_xylosim(case, tmp_path) -> None:
    v2 = pytest.importorskip("xylosim.v2", reason="xylosim is missing: pip install xylosim", exc_type=ImportError)
    model, exporter = case
    exported = written(model, exporter, tmp_path)
    held, numbers = dict(np.load(tmp_path / "xylo.npz")), json.loads((tmp_path / "xylo.json").read_text())
    net = chip.Network(
        **{name: torch.from_numpy(part.astype(np.int64)) for name, part in held.items()},
        **{f"shift_{name}": shift for name, shift in numbers["shifts"].items()},
    )
    chip.check(net)
    inputs = np.concatenate([0 * model.inputs[:1], model.inputs])[:, :1].astype(np.int64)
    states, before = chip.run(net, torch.from_numpy(inputs))
    np.testing.assert_array_equal(before[:-1, 0].numpy() / np.array(numbers["thresholds"]), exported.traces.v[:, 0])
    assert torch.equal(states.v_out, states.i_out)  # of outputs without a membrane
    assert not states.s_out.any()

    def synapses(W):
        W = W.reshape(*W.shape[:2], -1)
        return [[v2.XyloSynapse(*map(int, to), int(pre[tuple(to)])) for to in np.argwhere(pre)] for pre in W]

    kept = [synapses(held[name]) for name in ("w_in", "w_rec", "w_out")]
    layer = v2.XyloLayer(
        *kept, [[] for _ in net.bias], *(held[k].tolist() for k in ("threshold", "threshold_out")), True,
        *(held[k].tolist() for k in ("bias", "bias_out")), *numbers["shifts"].values(),
        *(held[k].tolist() for k in ("dash_mem", "dash_mem_out", "dash_syn")),
        held["dash_syn_out"][:, None].tolist(), "chip",
    )  # fmt: skip
    layer.evolve(inputs[:, 0].tolist())
    np.testing.assert_array_equal(np.array(layer.rec_v_mem).T, states.v[:, 0])
    np.testing.assert_array_equal(np.array(layer.rec_i_syn).T, states.i[:, 0, :, 0])
    np.testing.assert_array_equal(np.array(layer.rec_v_mem_out).T, states.v_out[:, 0])


def test_weights_are_within_half_a_step(case, tmp_path) -> None:
    model, exporter = case
    exported = written(model, exporter, tmp_path)
    wanted = wanted_numbers(model)
    held = quantised(wanted, scales_of(model), DEVICES[exporter.device].synapses)
    net, (inputs, units, _) = held.net, model.sizes
    steps = {
        "w_in": 2.0**net.shift_in / held.threshold[:, None] / wanted.layers["hidden"].k_in,
        "w": 2.0**net.shift_rec / held.threshold[:, None] / wanted.layers["hidden"].k_rec,
        "w_out": 2.0**net.shift_out / held.y[:, None] / wanted.k_out,
    }
    for name, step in steps.items():
        W, kept = model.weights[name], exported.held[name]
        columns = inputs if name == "w_in" else units
        assert W.shape == kept.shape
        assert np.all(np.abs(W - kept)[:, :columns] <= step * (0.5 + 1e-9))
        assert np.abs(W - kept).max() < 0.02 * np.abs(W).max()
    if model.bias:
        np.testing.assert_array_less(
            np.abs(model.weights["w_in"] - exported.held["w_in"])[:, -1],
            0.501 / held.threshold / wanted.layers["hidden"].k_bias,
        )
        np.testing.assert_array_equal(model.weights["w_out"][:, -1], exported.held["w_out"][:, -1])
    for wanted_decay, kept_decay in exported.decays.values():
        assert wanted_decay == pytest.approx(kept_decay, abs=1e-9)


@pytest.mark.parametrize("integration", ["exact", "euler"])
def test_a_silent_network_follows_the_equations(make_network, tmp_path, integration) -> None:
    """Below threshold all is linear: potentials differ by what rounding adds, at most."""
    taus = {"tau_m": 16 * DT, "tau_s": 4 * DT, "tau_r": 16 * DT} if integration == "euler" else {}
    neuron = unit(input_gain=0.2, drive=0.2, integration=integration, **taus)
    model = make_network((6, 16, 2), spikes_in=True, neuron=neuron)
    exported, truth = written(model, Xylo(), tmp_path), reference(model)
    assert not truth.s.any()
    assert not exported.traces.s.any()
    # a step is off by 1 unit at most in the decay of a potential, which keeps 16 of them, and in that of a current,
    # which keeps 4; rounded weights are off by half a step each
    held = quantised(wanted_numbers(model), scales_of(model), 2)
    rounded = 0.5 * 2.0**held.net.shift_in * model.inputs.sum(-1).mean() * 4 + 0.5
    bound = 16 * (1 + 4 + rounded) / held.threshold
    assert np.all(np.abs(truth.v - exported.traces.v).max((0, 1)) < bound)
    assert bound.max() < 0.25


def test_a_late_input_and_a_wrong_decay_are_seen(make_network, tmp_path) -> None:
    quiet = {"input_gain": 1.5, "drive": -2.5}  # far from the threshold, so that no spike hides an error
    model = make_network((6, 16, 2), spikes_in=True, neuron=unit(**quiet))
    exported = written(model, Xylo(), tmp_path)
    truth = reference(model).v

    def off(v):
        return np.sqrt(np.mean((v - exported.traces.v) ** 2))

    assert off(np.concatenate([0 * truth[:1], truth[:-1]])) > 2 * off(truth)
    slower = other(model, unit(**quiet, tau_m=tau(5)))
    assert off(reference(slower).v) > 2 * off(truth)


def test_outputs_are_read_at_the_step_of_their_spikes(make_network, tmp_path) -> None:
    """One unit spikes at each step: y rises to W / (1 - a), with the bias's part beside it."""
    model = make_network((1, 1, 1), spikes_in=True, bias=True, neuron=unit(drive=0.0, input_gain=1.0), steps=60)
    weights = {"w_in": np.array([[8.0, 0.0]]), "w": np.zeros((1, 1)), "w_out": np.array([[1.0, 0.5]])}
    model = replace(model, weights=weights, inputs=np.ones((60, 1, 1)))
    exported, truth = written(model, Xylo(), tmp_path), reference(model)
    once = exported.traces.s <= 1
    first = int(np.argmax(~once[:, 0, 0])) if not once.all() else 60
    assert first > 3
    np.testing.assert_allclose(exported.traces.y[:first], truth.y[:first], atol=2e-3 * np.abs(truth.y).max())
    assert np.array_equal(truth.s[:first], exported.traces.s[:first])


def test_nearest_decays_keep_the_rate(make_network, tmp_path) -> None:
    neuron = LIF(reset="subtract", refractory=0.0, input_gain=3.0)
    model = make_network((16, 64, 4), spikes_in=True, neuron=neuron, steps=400)
    with pytest.raises(InputError) as refused:
        Xylo().check(model)
    assert "--quantize-decay" in str(refused.value)
    assert f"neuron.tau_m='{1e3 * tau(4):.15g} ms'" in str(refused.value)
    exported = written(model, Xylo(quantize_decay=True), tmp_path)
    assert [round(held, 6) for _, held in exported.decays.values()] == [0.9375, 0.75, 0.9375]
    assert exported.traces.s.mean() == close(reference(model).s.mean(), rel=0.1)
    assert any("decays of membrane, synapse, output" in line for line in exported.limits)


def test_remedies_of_decays_are_taken(make_network) -> None:
    """The time constants that a refusal names are held without rounding, under either integration."""
    for integration in ("exact", "euler"):
        neuron = LIF(reset="subtract", refractory=0.0, integration=integration)
        model = make_network((3, 8, 2), spikes_in=True, neuron=neuron)
        with pytest.raises(InputError) as refused:
            Xylo().check(model)
        taken = {}
        for line in refused.value.problems:
            key, text = line.split("--set neuron.")[1].split("=")
            taken[key] = text.strip("'")
        assert set(taken) == {"tau_m", "tau_s", "tau_r"}
        Xylo().check(other(model, LIF(**{**neuron.model_dump(), **taken})))


def test_same_network_same_bytes(case, tmp_path) -> None:
    model, exporter = case
    for name in ("a", "b"):
        written(model, exporter, tmp_path / name)
    for file in ("xylo.npz", "xylo.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    held = np.load(tmp_path / "a" / "xylo.npz", allow_pickle=False)
    assert held["w_in"].dtype == held["w_rec"].dtype == held["w_out"].dtype == np.int8
    assert held["w_in"].shape == (*model.sizes[:2], DEVICES[exporter.device].synapses)
    assert held["threshold"].dtype == held["bias"].dtype == np.int16


REFUSED = {
    "currents": ({"spikes_in": False}, {}, "encoder: xylo takes spikes as inputs"),
    "rates": ({"spiking": False, "spikes_in": True}, {}, "backend: tanh units cannot be expressed in xylo"),
    "hard reset": ({"neuron": unit(reset="hard")}, {}, "--set neuron.reset=subtract"),
    "refractory": ({"neuron": unit(refractory=2e-3)}, {}, "neuron.refractory: 2 steps"),
    "count": ({"neuron": unit(decoder="count")}, {}, "--set neuron.decoder=trace"),
    "no synapse": ({"neuron": unit(tau_s=0.0)}, {}, "neuron.tau_s: 0, a Xylo's current would be 0"),
    "inputs": ({"sizes": (17, 8, 2)}, {}, "inputs: 17 are more than the 16 of audio3; train with 16 or fewer"),
    "outputs": ({"sizes": (4, 8, 9)}, {"device": "audio2"}, "outputs: 9 are more than the 8 of audio2; --set"),
    "hidden": ({"sizes": (2, 500, 1), "steps": 2}, {"device": "imu"}, "hidden: 500 are more than the 496 of imu"),
    "fan-out": ({"sizes": (4, 80, 2), "steps": 20}, {"device": "audio2"}, "others, audio2 allows 64"),
    "expansion": ({"sizes": (4, 140, 2), "steps": 20}, {}, "audio3 gives inputs to the first 128"),
    "connections": ({"sizes": (4, 200, 2), "steps": 5}, {}, "connections, audio3 has 31744; train with 178"),
}  # fmt: skip


@pytest.mark.parametrize("case_name", REFUSED)
def test_refuses_what_a_xylo_cannot_hold(make_network, case_name) -> None:
    options, device, message = REFUSED[case_name]
    options = {"sizes": (4, 8, 2), "spikes_in": True, "neuron": unit(), "steps": 30, **options}
    if options.get("spiking") is False:
        del options["neuron"]
    model = make_network(options.pop("sizes"), **options)
    with pytest.raises(InputError) as refused:
        Xylo(**device).check(model)
    assert any(message in line for line in refused.value.problems), refused.value.problems


def test_refuses_weights_that_are_no_numbers_or_nothing_or_too_large(make_network) -> None:
    model = make_network((4, 8, 2), spikes_in=True, neuron=unit())
    W = model.weights
    for change, message in (
        ({"w": np.full((8, 8), np.nan)}, "w: 64 weights are not finite"),
        ({"w_in": 0 * W["w_in"]}, "w_in: all weights are zero"),
        ({"w_out": 0 * W["w_out"]}, "w_out: all weights are zero"),
        ({"w_in": 1e6 * W["w_in"]}, "thresholds; train with less"),
    ):
        with pytest.raises(InputError) as refused:
            Xylo().check(replace(model, weights={**W, **change}))
        assert any(message in line for line in refused.value.problems), refused.value.problems
    with pytest.raises(InputError, match="inputs are not 0 to 15 spikes a step"):
        Xylo().check(replace(model, inputs=model.inputs + 0.5))


def test_outputs_whose_weights_all_round_to_zero_are_refused(make_network) -> None:
    model = make_network((4, 24, 2), spikes_in=True, neuron=unit(tau_r=100.0))
    with pytest.raises(InputError) as refused:
        Xylo(quantize_decay=True).check(model)
    assert "w_out: all weights of" in str(refused.value)
    assert "train with a shorter neuron.tau_r" in str(refused.value)


def test_all_problems_are_told_at_once(make_network) -> None:
    model = make_network((20, 8, 40), neuron=LIF())
    with pytest.raises(InputError) as refused:
        Xylo().check(model)
    said = "\n".join(refused.value.problems)
    for part in ("inputs: 20", "outputs: 40", "encoder:", "neuron.reset", "neuron.refractory", "neuron.tau_m"):
        assert part in said
