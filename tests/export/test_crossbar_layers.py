"""Crossbars of networks of several layers and gates: ngspice computes what each of their matrices does."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroanp as na
from neuroanp.backends.neuron import LIF
from neuroanp.cli.export import _facts
from neuroanp.export.crossbar import Crossbar
from neuroanp.export.driven import lines_of, vector
from neuroanp.export.model import Model, reference
from neuroanp.export.writing import write
from neuroanp.network.compose import Stacked
from neuroanp.network.gru import GRU
from neuroanp.network.lstm import LSTM
from neuroanp.network.network import INPUT, OUTPUT, Layer, Network, Projection
from neuroanp.network.rollout import Standing, advance, rest, rollout
from neuroanp.network.tanh import LeakyTanh, Tanh
from neuroanp.noise import Streams
from neuroanp.profiles import load
from neuroanp.substrates.chip import DeviceChip
from neuroanp.trajectory import Weights
from tests.export.layered import layered
from tests.export.test_crossbar import arrays, nodal, off, refused, run, spice

LOUD = LIF(input_gain=9.0, drive=1.2)
NETWORKS = {
    "gates": {"layers": [Stacked(GRU(), 5), Stacked(LSTM(), 4, delay=1)], "bias": True, "skip": True},
    "rates": {"layers": [Stacked(Tanh(), 6), Stacked(LeakyTanh(), 3, recurrent=False), Stacked(Tanh(), 2)]},
    "spikes": {"layers": [Stacked(LOUD, 6), Stacked(LOUD, 5, delay=1)], "bias": True, "spikes_in": True},
    "one gru": {"layers": [Stacked(GRU(), 4)]},
}


def lines_by_hand(model: Model, step: int) -> dict[str, np.ndarray]:
    """Return what drives each array at a step of the first sequence: of rates by the cells' own steps."""
    network = model.network
    if model.spiking:
        s, seen, first = reference(model).s, {INPUT: model.inputs[step, 0]}, 0
        assert s is not None
        for layer in network.layers:
            seen[layer.name] = s[step, 0, first : (first := first + layer.units)]
    else:
        W = {name: torch.from_numpy(w) for name, w in model.weights.items()}
        u = torch.from_numpy(model.inputs[:, :1])
        stands: Standing = rest(network, 1, u)
        for t in range(step + 1):
            stands, _ = advance(network, W, stands, u[t])
        seen = {name: x[0].numpy() for name, x in stands.x.items()}
    found = {}
    for p in network.projections:
        if not model.spiking or (p.pre == INPUT and not model.spikes_in):
            line = 1.0
        elif p.post == OUTPUT:
            line = 1.0 - np.exp(-model.dt / LOUD.tau_r)
        else:
            line = 1.0 - np.exp(-model.dt / LOUD.tau_s)
        found[p.name] = np.append(seen[p.pre], line) if p.bias else seen[p.pre]
    return found


@spice
@pytest.mark.parametrize("name", NETWORKS)
def test_ngspice_multiplies_as_every_matrix_does(tmp_path, name):
    model = layered(**NETWORKS[name])
    done = Crossbar().export(model, tmp_path)
    data, wanted = arrays(tmp_path), lines_by_hand(model, int(done.facts["vector"]))
    assert {path.stem for path in tmp_path.glob("*.cir")} == {*model.network.shapes}
    for key, W in model.weights.items():
        np.testing.assert_allclose(data[f"{key}.x"], wanted[key], rtol=0, atol=1e-12)
        assert data[f"{key}.x"].any()
        assert off(run(tmp_path, key), W @ wanted[key]) < 1e-9
        np.testing.assert_allclose(done.held[key], W, rtol=0, atol=1e-13)
    np.testing.assert_allclose(done.traces.y, reference(model).y, rtol=0, atol=1e-12)


@spice
def test_lines_with_resistance_are_the_nodal_solve(tmp_path):
    model = layered(**NETWORKS["gates"])
    done = Crossbar(wire=20.0).export(model, tmp_path)
    data = arrays(tmp_path)
    for name, W in model.weights.items():
        found = run(tmp_path, name)
        assert off(found, nodal(data, name)) < 1e-9
        assert off(found, done.held[name] @ data[f"{name}.x"]) < 1e-9
        assert off(found, W @ data[f"{name}.x"]) > 1e-4
    again = reference(dataclasses.replace(model, weights=done.held))
    np.testing.assert_array_equal(done.traces.y, again.y)
    driven = lines_by_hand(dataclasses.replace(model, weights=done.held), int(done.facts["vector"]))
    np.testing.assert_allclose(data["w_2.x"], driven["w_2"], rtol=0, atol=1e-12)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    layers=st.lists(
        st.builds(Stacked, st.sampled_from([Tanh(), LeakyTanh(), GRU(), LSTM()]), st.integers(1, 4),
                  recurrent=st.booleans(), delay=st.integers(0, 1)), min_size=1, max_size=3),
    bias=st.booleans(), skip=st.booleans(), seed=st.integers(0, 99), step=st.integers(0, 8),
)  # fmt: skip
def test_vectors_are_the_activities_of_the_step(layers, bias, skip, seed, step):
    model = layered(layers, seed=seed, steps=9, bias=bias, skip=skip and len(layers) > 1)
    Crossbar(vector=step).check(model)
    found, driven = vector(model, reference(model), step)
    assert found == step
    wanted = lines_by_hand(model, step)
    assert driven.keys() == wanted.keys() == model.weights.keys()
    for name, x in driven.items():
        np.testing.assert_allclose(x, wanted[name], rtol=0, atol=1e-12)
        assert len(x) == model.weights[name].shape[1]


# ---- which lines are which gate ----


@pytest.mark.parametrize("cell", [GRU(r_bias=0.3, z_bias=-0.2), LSTM()])
def test_the_lines_that_are_told_are_the_gates(cell):
    """A large weight into the lines of one gate is seen in that gate's pre-activation, and in no other."""
    model = layered([Stacked(cell, 3), Stacked(cell, 2)], steps=2, batch=1)
    network, u = model.network, torch.from_numpy(model.inputs)
    for name in ("w_1", "w_1_2"):
        p = network.projection(name)
        told = lines_of(network, name)
        assert told.endswith(f" of {p.post}")
        spans = [part.split(" ") for part in told.removesuffix(f" of {p.post}").split(", ")]
        assert spans[-1][3] == str(len(model.weights[name]) - 1)
        for port, first, _, last in spans:
            more = {key: torch.from_numpy(w.copy()) for key, w in model.weights.items()}
            more[name][int(first) : int(last) + 1] += 100.0
            plain = rollout(network, {key: torch.from_numpy(w) for key, w in model.weights.items()}, u)
            moved = (rollout(network, more, u).h[p.post][1] - plain.h[p.post][1]).abs()[0] > 1.0
            units = network.units[p.post]
            where = cell.ports.index(port)
            assert moved.view(len(cell.ports), units)[where].all()
            if name == "w_1":  # what comes from below moves the state, and so later gates of the recurrence
                others = [k for k in range(len(cell.ports)) if k != where]
                assert not moved.view(len(cell.ports), units)[others].any()


def test_the_report_and_the_netlist_say_the_lines(tmp_path):
    model = layered(**NETWORKS["gates"])
    report = write(model, "crossbar", Crossbar(), tmp_path / "out")
    assert report.facts["w_1.lines"] == "r 0 to 4, z 5 to 9, c 10 to 14 of hidden_1"
    assert report.facts["w_in.lines"] == "n 0 to 4, r 5 to 9, z 10 to 14 of hidden_1"
    assert report.facts["w_2.lines"] == "i 0 to 3, f 4 to 7, g 8 to 11, o 12 to 15 of hidden_2"
    assert "w_out.lines" not in report.facts
    printed = dict(_facts(report.facts, [*model.weights]))
    assert printed["w_1"].endswith("; bit lines r 0 to 4, z 5 to 9, c 10 to 14 of hidden_1")
    assert "bit lines" not in printed["w_out"]
    assert "* outputs: r 0 to 4, z 5 to 9, c 10 to 14 of hidden_1\n" in (tmp_path / "out" / "w_1.cir").read_text()
    assert not any(key.endswith(".lines") for key in Crossbar().export(layered(**NETWORKS["rates"]), tmp_path).facts)


# ---- a device, the check, refusals ----


def test_conductances_are_the_devices(tmp_path):
    model = layered(**NETWORKS["gates"])
    tensors = {name: torch.from_numpy(W).float() for name, W in model.weights.items()}
    chip = DeviceChip.build(load("pcm"), Weights(tensors, model.network), streams=Streams(0), dt=model.dt)
    model = dataclasses.replace(model, chip=chip)
    done = Crossbar().export(model, tmp_path)
    assert done.of_device
    data = arrays(tmp_path)
    for name, array in chip.arrays.items():
        g = chip.device.conductance(array.cells, chip.now).double().numpy()
        np.testing.assert_array_equal(data[f"{name}.g"][: len(g)], np.maximum(g, 0.0))
        assert f"{name}.weight_rms_error" in done.facts


@spice
@pytest.mark.parametrize("name", ["gates", "spikes"])
def test_an_export_checks_itself(tmp_path, name):
    model, folder = layered(**NETWORKS[name]), tmp_path / "out"
    write(model, "crossbar", Crossbar(), folder)
    checked = na.check_export(folder)
    assert checked, checked.said
    assert {row["array"] for row in checked.readers["ngspice"]} == {
        f"{array}{end}" for array in model.weights for end in ("", ".all")
    }
    text = (folder / "w_1_2.cir").read_text()
    (folder / "w_1_2.cir").write_text(text.replace("Ry0 y0 0 1\n", "Ry0 y0 0 2.0\n"))
    wrong = na.check_export(folder)
    differ = {row["array"] for row in wrong.readers["ngspice"] if not row["agrees"]}
    assert differ == {"w_1_2", "w_1_2.all"}


@spice
def test_a_device_on_a_line_at_rest_is_checked_too(tmp_path):
    """One-hot inputs leave most lines at 0 V, where a conductance could be anything."""
    model, folder = layered(**NETWORKS["gates"]), tmp_path / "out"
    model.inputs[..., 0] = 0.0
    write(model, "crossbar", Crossbar(arrays=("w_in",)), folder)
    assert na.check_export(folder)
    text = (folder / "w_in.cir").read_text()
    (device,) = re.findall(r"^Rp0_0 .*", text, flags=re.M)
    *ends, ohms = device.split()
    (folder / "w_in.cir").write_text(text.replace(device, " ".join([*ends, repr(1.5 * float(ohms))])))
    wrong = na.check_export(folder)
    assert {row["array"] for row in wrong.readers["ngspice"] if not row["agrees"]} == {"w_in.all"}


def test_arrays_are_chosen_by_name(tmp_path):
    model = layered(**NETWORKS["gates"])
    done = Crossbar(arrays=("w_1_out", "w_1_2")).export(model, tmp_path)
    assert done.files == ("conductances.npz", "w_1_2.cir", "w_1_out.cir")
    assert {*done.held} == {"w_1_2", "w_1_out"}
    said = refused(model, arrays=("w", "w_1", "v"), g_min=0.0)
    known = ", ".join(model.network.shapes)
    for each in ("w", "v"):
        assert f"arrays: '{each}' is none of this network; it has {known}" in said
    assert "g_min: 0 S is no resistor" in said  # all at once


def test_what_cannot_be_held_is_refused():
    odd = Network(1, (Layer("hidden", 2, Tanh()),), 1, (
        Projection("../w", INPUT, "hidden", 0), Projection("w_out", "hidden", OUTPUT, 0),
    ))  # fmt: skip
    W = {name: np.ones(shape) for name, shape in odd.shapes.items()}
    model = Model("odd", W, odd, 1e-3, False, np.ones((4, 1, 1)), lambda y: {})
    assert "projection '../w': names a file" in refused(model)
    mixed = layered([Stacked(LOUD, 3), Stacked(Tanh(), 2)])
    assert "hidden_2: what units Tanh send is not known here" in refused(mixed)
    zero = layered(**NETWORKS["gates"])
    zero.weights["w_in_2"][:] = 0.0
    zero.weights["w_1"][1, 1] = np.nan
    said = refused(zero)
    assert "w_in_2: largest weight 0 gives no scale" in said
    assert "w_1: 1 weights are not finite" in said
