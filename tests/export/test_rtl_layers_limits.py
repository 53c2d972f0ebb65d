"""RTL of several layers: bounds of states, what is refused before a file is written, and what is in a core."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from neuroanp.backends.neuron import LIF
from neuroanp.errors import InputError
from neuroanp.export.fixed_point import fixed_point
from neuroanp.export.model import Model
from neuroanp.export.rtl import Rtl
from neuroanp.export.whole_numbers import Bits
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.gru import GRU
from neuroanp.network.network import INPUT, OUTPUT, Layer, Network, Projection
from neuroanp.network.tanh import Tanh
from tests.export.layered import layered
from tests.export.test_rtl_layers import LOUD, NETWORKS


@pytest.mark.parametrize("delay", [0, 1])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_states_come_near_what_bounds_them_and_stay_within(sign, delay):
    """All units below spike in every step, with weights of one sign: nothing is larger."""
    below = LIF(drive=60.0, refractory=0.0, input_gain=1.0)
    model = layered(
        [Stacked(below, 4), Stacked(LIF(drive=0.0, refractory=0.0), 3, delay=delay)],
        2,
        2,
        steps=400,
        batch=1,
        skip=True,
    )
    W = {name: np.full_like(w, 1e-5 if name == "w_2" else sign) for name, w in model.weights.items()}
    W["w_1"] = np.full_like(W["w_1"], 1e-5)
    W["w_in"] = np.full_like(W["w_in"], 1e-5)
    model = replace(model, weights=W, inputs=np.ones_like(model.inputs))
    fixed = fixed_point(model, Bits(weight=4, state=40))
    deaf = replace(fixed.layers["hidden_2"], threshold=np.full(3, fixed.reach["hidden_2.v"]))
    silent = replace(fixed, layers={**fixed.layers, "hidden_2": deaf})
    s, v, y = silent.run(silent.inputs(model.inputs))
    assert s[..., :4].all()
    assert not s[..., 4:].any()
    assert 0.98 * fixed.reach["hidden_2.v"] < np.abs(v[..., 4:]).max() <= fixed.reach["hidden_2.v"] < 2**39
    assert np.abs(y).max() <= fixed.reach["y"] < 2**39
    loud = replace(fixed, layers={**fixed.layers, "hidden_2": replace(deaf, threshold=np.full(3, -(2**40)))})
    assert 0.98 * fixed.reach["y"] < np.abs(loud.run(loud.inputs(model.inputs))[2]).max() <= fixed.reach["y"]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_membrane_that_does_not_leak_stays_within_what_all_steps_add(sign):
    model = layered([Stacked(LIF(drive=0.0, refractory=0.0, tau_s=0.0, leak=False), 3)], steps=200, batch=1)
    W = {name: np.full_like(w, sign if name == "w_in" else 1e-5) for name, w in model.weights.items()}
    model = replace(model, weights=W, inputs=np.ones_like(model.inputs))
    fixed = fixed_point(model, Bits(weight=4, state=40))
    deaf = replace(fixed.layers["hidden"], threshold=np.full(3, fixed.reach["v"]))
    s, v, _ = replace(fixed, layers={"hidden": deaf}).run(fixed.inputs(model.inputs))
    assert not s.any()
    assert 0.98 * fixed.reach["v"] < np.abs(v).max() <= fixed.reach["v"] < 2**39


def refused(model: Model, **options) -> str:
    with pytest.raises(InputError, match="nothing was written") as caught:
        Rtl(**options).check(model)
    return str(caught.value)


def test_what_cannot_be_held_is_said_all_at_once():
    two = layered([Stacked(LOUD, 3), Stacked(LOUD, 2)])
    said = refused(replace(two, factors={"hidden_2": {"tau_m": np.array([1.0, 1.1]), "threshold": np.ones(2)}}))
    assert "hidden_2: units differ in tau_m, and the core has one for all of a layer" in said
    said = refused(layered([Stacked(GRU(), 3), Stacked(LOUD, 2), Stacked(Tanh(), 2)]))
    assert "network.layers[0].cell: units GRU cannot be expressed in rtl; train with cell lif" in said
    assert "network.layers[2].cell: units Tanh cannot" in said
    assert "tanh units cannot be expressed in rtl" in refused(layered([Stacked(Tanh(), 3), Stacked(Tanh(), 2)]))
    odd = Network(1, (Layer("a b", 2, LOUD),), 1, (
        Projection("from", INPUT, "a b", 1), Projection("w_own", "a b", "a b", 1, True),
        Projection("w_o", "a b", OUTPUT, 1), Projection("w_past", INPUT, OUTPUT, 0),
    ))  # fmt: skip
    W = {name: np.ones(shape) for name, shape in odd.shapes.items()}
    said = refused(Model("odd", W, odd, 1e-3, False, np.ones((9, 1, 1)), lambda y: {}))
    for each in (
        "from: a delay of 1 from the input", "projection 'from': a memory", "layer 'a b'", "w_o: a delay of 1",
        "w_past: goes from the input to the output", "w_own: a bias",
    ):  # fmt: skip
        assert each in said


def test_bounds_and_scales_are_told_by_layer():
    model = layered([Stacked(LOUD, 4), Stacked(LOUD.model_copy(update={"tau_m": 1.0}), 3)], skip=True)
    W = {**model.weights, "w_2": 0.0 * model.weights["w_2"], "w_1_2": 1e300 * model.weights["w_1_2"]}
    said = refused(replace(model, weights=W), decay_bits=6)
    assert "decay_bits: hidden_2.a_m 0.999 rounds to 1 in 6 bits" in said
    assert "w_2: all weights are 0" in said
    assert "w_1_2: the largest weight times its gain is" in said
    said = refused(model, state_bits=12)
    assert "state_bits: I of hidden_1 could reach" in said or "state_bits: v of hidden_1 could reach" in said
    assert " of hidden_2 could reach" in said
    assert "state_bits: y could reach" in said
    need = max(int(bits) for bits in re.findall(r"set state_bits=(\d+)", said))
    Rtl(state_bits=need).check(model)
    with pytest.raises(InputError):
        Rtl(state_bits=need - 1).check(model)


@pytest.mark.long
def test_arrays_beyond_a_memory_are_named():
    model = layered([Stacked(LOUD, 2), Stacked(LOUD, 2)])
    large = stack(1, [Stacked(LOUD, 5000), Stacked(LOUD, 70000)], 1)
    W = {name: np.broadcast_to(1.0, shape) for name, shape in large.shapes.items()}
    said = refused(replace(model, network=large, weights=W))
    for name, count in (("w_1", 5000**2), ("w_1_2", 5000 * 70000), ("w_2", 70000**2)):
        assert f"{name}: {count} weights, a memory holds at most" in said
    assert "network.layers: 75000 units of 1 bit are 75000 bits side by side" in said
    total = sum(w.size for w in W.values())
    assert f"network.layers: {total} weights in all, one a clock cycle of a step, at most {2**27}" in said
    assert "cannot be expressed" in refused(replace(model, network=stack(1, [Stacked(GRU(), 70000)], 1)))


def test_the_core_has_nothing_that_cannot_be_synthesised(tmp_path):
    Rtl().export(layered(**NETWORKS["resets"]), tmp_path)
    code = re.sub(r"//.*", "", (tmp_path / "lif_net.v").read_text())
    assert "@" not in code.replace("always @(posedge clk)", "").replace("always @*", "")
    assert set(re.findall(r"\$\w+", code)) == {"$readmemh"}
    assert not re.search(r"\breal\b|\btime\b|\bwait\b|\bfork\b|#\d|\bforce\b", code)
    assert len(re.findall(r"\binitial\b", code)) == 1
    for table in re.findall(r"case \(\w+\)(.*?)endcase", code, re.DOTALL):  # no latches
        assert "default:" in table
