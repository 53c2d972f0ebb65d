"""RTL: what fixed point can hold, what is refused before a file is written, and that nothing else can be in a core."""

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
from neuroanp.network.compose import one_layer
from tests.export.rtl_networks import NETWORKS


@pytest.mark.parametrize("bits", [2, 5, 8, 12])
@pytest.mark.parametrize("name", ["currents", "spikes", "counts"])
def test_weights_and_factors_are_off_by_half_a_step_at_most(make_network, tmp_path, name, bits):
    model = make_network(**NETWORKS[name])
    rtl = Rtl(weight_bits=bits, state_bits=40)
    exported = rtl.export(model, tmp_path)
    for key, held in exported.held.items():
        scale = float(exported.facts[f"{key}_scale"])
        columns = model.sizes[0] if key == "w_in" else model.sizes[1]
        W, whole = model.weights[key], held[:, :columns] * scale
        np.testing.assert_allclose(whole, np.rint(whole), rtol=0, atol=1e-9)
        limit = 2 ** (bits - 1) - 1
        assert limit / 2 - 1 < np.abs(whole).max() <= limit + 1e-9  # no clipping, and no bit left unused
        assert np.abs(held[:, :columns] - W[:, :columns]).max() <= 0.5 / scale * (1 + 1e-9)
        np.testing.assert_allclose(held[:, columns:], W[:, columns:], rtol=0, atol=1e-4)  # biases have the states' bits
    for wanted, held in exported.decays.values():
        assert abs(wanted - held) <= 0.5 / 2**rtl.decay_bits


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_outputs_come_near_their_reach_and_stay_within(sign):
    # every unit spikes in every step and all weights have one sign: nothing is larger
    W = {"w_in": np.ones((3, 2)), "w": np.full((3, 3), sign / 4), "w_out": sign * np.ones((2, 3))}
    network = one_layer({name: w.shape for name, w in W.items()}, cell=LIF(drive=60.0, refractory=0.0))
    model = Model("loud", W, network, 1e-3, False, np.ones((300, 1, 2)), lambda y: {})
    fixed = fixed_point(model, Bits())
    s, v, y = fixed.run(fixed.inputs(model.inputs))
    assert s.all()
    assert 0.99 * fixed.reach["y"] < np.abs(y).max() <= fixed.reach["y"] < 2**31
    assert np.abs(v).max() <= fixed.reach["v"] < 2**31


@pytest.mark.parametrize("spikes_in", [True, False])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_potentials_come_near_their_reach_and_stay_within(sign, spikes_in):
    W = {"w_in": sign * np.ones((3, 2)), "w": np.full((3, 3), 1e-5), "w_out": np.ones((2, 3))}
    network = one_layer({name: w.shape for name, w in W.items()}, cell=LIF(drive=0.0))
    model = Model("slow", W, network, 1e-3, spikes_in, np.ones((400, 1, 2)), lambda y: {})
    fixed = fixed_point(model, Bits(weight=4))
    deaf = replace(fixed.layers["hidden"], threshold=np.full(3, fixed.reach["v"]))
    silent = replace(fixed, layers={"hidden": deaf})
    s, v, _ = silent.run(silent.inputs(model.inputs))
    assert not s.any()
    assert 0.99 * fixed.reach["v"] < np.abs(v).max() <= fixed.reach["v"] < 2**31


def zeroed(model: Model, key: str, value: float) -> Model:
    return replace(model, weights={**model.weights, key: np.full_like(model.weights[key], value)})


REFUSED = {
    "tanh units cannot be expressed in rtl": (lambda net: net(spiking=False), {}),
    "w: 1024 weights are not finite": (lambda net: zeroed(net(), "w", np.nan), {}),
    "w_out: all weights are 0, and the largest sets the scale": (lambda net: zeroed(net(), "w_out", 0.0), {}),
    "w_in: the largest weight times its gain is": (lambda net: zeroed(net(), "w_in", 1e300), {}),
    "inputs: 0.5 is neither 0 nor 1": (lambda net: replace(net(spikes_in=True), inputs=np.full((9, 1, 4), 0.5)), {}),
    "inputs: all are 0": (lambda net: replace(net(), inputs=np.zeros((9, 1, 4))), {}),
    "inputs: 36 values are not finite": (lambda net: replace(net(), inputs=np.full((9, 1, 4), np.inf)), {}),
    "inputs: there are none": (lambda net: replace(net(), inputs=np.zeros((0, 1, 4))), {}),
    "decay_bits: a_m 0.999 rounds to 1 in 8 bits; set decay_bits=9": (
        lambda net: net(neuron=LIF(tau_m=1.0)), {"decay_bits": 8},
    ),
    "decay_bits: a_m 1 rounds to 1 in 12 bits; train with another dt": (lambda net: net(neuron=LIF(tau_m=1e6)), {}),
    "with 9 bits after the point, which weights of 8 bits need; states have 12: set state_bits=16": (
        lambda net: net(spikes_in=True, scale=0.1), {"state_bits": 12},
    ),
    "states have 32: fewer weight_bits or input_bits, or train with smaller weights": (
        lambda net: zeroed(net(), "w", 1e9), {},
    ),
    "6 bits after the point, the fewest there may be; states have 12: set state_bits=": (
        lambda net: zeroed(net(spikes_in=True), "w", 9.0), {"state_bits": 12, "weight_bits": 4},
    ),
    "or fewer weight_bits or input_bits": (lambda net: net(), {"weight_bits": 16, "input_bits": 16}),
    "or fewer weight_bits, or train with decoder trace": (
        lambda net: net(neuron=LIF(decoder="count"), steps=3000, batch=1), {"state_bits": 20},
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_refused_before_a_file_is_written(make_network, tmp_path, message):
    build, options = REFUSED[message]
    model = build(make_network)
    for refuse in (Rtl(**options).check, lambda model: Rtl(**options).export(model, tmp_path)):
        with pytest.raises(InputError, match="nothing was written") as caught:
            refuse(model)
        assert message in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_the_state_bits_it_asks_for_are_enough_and_one_fewer_are_not(make_network):
    with pytest.raises(InputError) as caught:
        Rtl(state_bits=12).check(make_network())
    need = max(int(bits) for bits in re.findall(r"set state_bits=(\d+)", str(caught.value)))
    Rtl(state_bits=need).check(make_network())
    with pytest.raises(InputError):
        Rtl(state_bits=need - 1).check(make_network())


def test_a_long_count_is_refused_where_a_short_one_is_held(make_network):
    for steps, held in ((100, True), (20000, False)):
        model = make_network((2, 4, 1), steps=steps, batch=1, neuron=LIF(decoder="count"))
        if held:
            Rtl(state_bits=22).check(model)
        else:
            with pytest.raises(InputError, match="state_bits: y could reach"):
                Rtl(state_bits=22).check(model)


@pytest.mark.parametrize(
    "options", [{"weight_bits": 1}, {"weight_bits": 17}, {"state_bits": 41}, {"decay_bits": 3}, {"input_bits": 17},
                {"sequences": 0}, {"steps": 0}],
)  # fmt: skip
def test_widths_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Rtl(**options)


def test_the_same_network_gives_the_same_bytes(make_network, tmp_path):
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        exported = Rtl(steps=7, sequences=9).export(make_network(bias=True), tmp_path / name)
        contents.append({file: (tmp_path / name / file).read_bytes() for file in exported.files})
        assert sorted(exported.files) == sorted(path.name for path in (tmp_path / name).iterdir())
    assert contents[0] == contents[1]
    assert len(contents[0]["expected.txt"].splitlines()) == 7 * 2
    assert any("first 7 steps of 2 sequences" in line for line in exported.limits)


def test_the_core_has_nothing_that_cannot_be_synthesised(make_network, tmp_path):
    Rtl().export(make_network(), tmp_path)
    code = re.sub(r"//.*", "", (tmp_path / "lif_core.v").read_text())
    assert "@" not in code.replace("always @(posedge clk)", "")
    assert set(re.findall(r"\$\w+", code)) <= {"$readmemh", "$signed"}
    assert not re.search(r"\breal\b|\btime\b|\bwait\b|\bfork\b|#\d|\bforce\b", code)
    assert len(re.findall(r"\binitial\b", code)) == 1


@pytest.mark.parametrize(
    ("sizes", "options", "said"),
    [
        ((1, 5000, 1), {}, "w: 25000000 weights, a memory holds at most 16777216"),
        ((9000, 2, 1), {"input_bits": 8}, "9000 lines of 8 bits are 72000 bits side by side, a Verilog vector"),
        ((1, 2, 1700), {"state_bits": 40}, "1700 words of 40 bits are 68000 bits side by side, a Verilog vector"),
    ],
)
def test_networks_beyond_memories_and_vectors_are_refused(make_network, sizes, options, said):
    model = make_network((1, 1, 1))
    inputs, hidden, outputs = sizes
    shapes = {"w_in": (hidden, inputs), "w": (hidden, hidden), "w_out": (outputs, hidden)}
    large = {name: np.broadcast_to(1.0, shape) for name, shape in shapes.items()}
    with pytest.raises(InputError, match=re.escape(said)):
        Rtl(**options).check(replace(model, weights=large, network=one_layer(shapes, cell=LIF())))
