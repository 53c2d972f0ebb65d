"""Crossbars: ngspice computes what the matrices and the nodal solve of the lines do, from the chip's conductances."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from neuroanp.errors import InputError
from neuroanp.export.crossbar import MOST, MOST_WIRED, Crossbar, analogue, from_device
from neuroanp.export.model import reference
from neuroanp.export.netlist import plain
from neuroanp.noise import Streams
from neuroanp.profiles import load
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.wires import WireNetwork
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.trajectory import Weights
from tests.close import close

NGSPICE = shutil.which("ngspice")
spice = pytest.mark.skipif(NGSPICE is None, reason="needs ngspice: apt-get install ngspice")
XOR = {"task": "xor", "network": {"hidden": 12}}


def run(folder: Path, name: str) -> np.ndarray:
    """Return the outputs (n,) that ngspice finds for an array."""
    assert NGSPICE is not None
    done = subprocess.run(
        [NGSPICE, "-b", f"{name}.cir"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (folder / f"{name}.out").is_file(), done.stdout + done.stderr
    return np.loadtxt(folder / f"{name}.out", skiprows=1, ndmin=1)[1:]


def arrays(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "conductances.npz", allow_pickle=False) as data:
        return dict(data)


def nodal(data: dict[str, np.ndarray], name: str, times: float = 1.0) -> np.ndarray:
    """Return the outputs by the nodal solve, tile by tile, with lines some times as resistive."""
    g, x, (r_word, r_bit) = data[f"{name}.g"], data[f"{name}.x"], times * data[f"{name}.wires"]
    rows, columns = (np.cumsum([0, *data[f"{name}.{side}"]]) for side in ("heights", "widths"))
    y = np.zeros(g.shape[1])
    for sign, plane in zip((1.0, -1.0), g, strict=True):
        for i, i1 in pairwise(rows):
            for j, j1 in pairwise(columns):
                tile = WireNetwork(plane[i:i1, j:j1], r_word, r_bit)
                y[i:i1] += sign * tile.currents(x[j:j1, None])[:, 0]
    return y / data[f"{name}.scale"]


def off(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def with_chip(network, weights=None, profile="pcm", seed=0, **options):
    """Return a network of 32 rate units, and the chip that a profile makes of its weights."""
    model = network(seed=seed, steps=40, scale=0.2, spiking=False)
    made = load(profile) if isinstance(profile, str) else profile
    tensors = {name: torch.from_numpy(W).float() for name, W in (weights or model.weights).items()}
    chip = DeviceChip.build(made, Weights(tensors, model.network), streams=Streams(seed), dt=model.dt, **options)
    return dataclasses.replace(model, chip=chip)


# ---- ngspice ----


@spice
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ngspice_multiplies_as_the_matrices_do(make_network, tmp_path, seed):
    model = make_network(seed=seed, bias=seed == 1, spiking=seed != 2)
    done = Crossbar().export(model, tmp_path)
    data = arrays(tmp_path)
    for name, W in model.weights.items():
        assert data[f"{name}.x"].any()
        assert off(run(tmp_path, name), W @ data[f"{name}.x"]) < 1e-9
        np.testing.assert_allclose(done.held[name], W, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(data["w_in.x"], model.input_lines(model.inputs)[done.facts["vector"], 0])


@spice
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ngspice_solves_lines_as_the_nodal_solve_does(make_network, tmp_path, seed):
    model = make_network(seed=seed)
    done = Crossbar(wire=20.0, arrays=("w_in", "w_out")).export(model, tmp_path)
    data = arrays(tmp_path)
    for name in ("w_in", "w_out"):
        found = run(tmp_path, name)
        assert off(found, nodal(data, name)) < 1e-9
        assert off(found, done.held[name] @ data[f"{name}.x"]) < 1e-9
        np.testing.assert_array_equal(data[f"{name}.y"], done.held[name] @ data[f"{name}.x"])
        # the agreement means something: lines twice as resistive are another circuit, as is none
        assert off(found, nodal(data, name, times=2.0)) > 1e-3
        assert off(found, model.weights[name] @ data[f"{name}.x"]) > 1e-3


def test_devices_that_are_no_resistors_are_refused(make_network, tmp_path):
    """Netlists have resistors; weights that are mapped to them are none of the device's."""
    profile = load("pcm")
    bent = profile.model_copy(update={"conductance": profile.conductance.model_copy(update={"v_0": 0.1})})
    model = with_chip(make_network, profile=bent)
    with pytest.raises(InputError, match=r"conductance.v_0: the devices of profile pcm are not ohmic"):
        Crossbar().check(model)
    Crossbar(source="weights").check(model)


@spice
def test_one_ideal_line_of_two_is_a_circuit_too(make_network, tmp_path):
    profile = load("pcm_tiles")
    wires = profile.array.wires
    for key in ("r_word", "r_bit"):
        one = wires.model_copy(update={key: 0.0})
        made = profile.model_copy(update={"array": profile.array.model_copy(update={"wires": one})})
        folder = tmp_path / key
        folder.mkdir()
        Crossbar(arrays=("w_in",)).export(with_chip(make_network, profile=made), folder)
        assert off(run(folder, "w_in"), nodal(arrays(folder), "w_in")) < 1e-9


@spice
def test_tiles_of_a_device_have_lines_of_their_own(make_network, tmp_path):
    profile = load("pcm_tiles")
    small = profile.array.model_copy(update={"max_rows": 10, "max_columns": 20})
    model = with_chip(make_network, profile=profile.model_copy(update={"array": small}))
    done = Crossbar(arrays=("w",)).export(model, tmp_path)
    data = arrays(tmp_path)
    assert data["w.widths"].tolist() == [10, 10, 10, 2]
    assert data["w.heights"].tolist() == [20, 12]
    found = run(tmp_path, "w")
    assert off(found, nodal(data, "w")) < 1e-9
    assert off(found, done.held["w"] @ data["w.x"]) < 1e-9
    assert off(found, nodal({**data, "w.widths": np.array([32]), "w.heights": np.array([32])}, "w")) > 1e-4


@spice
def test_inputs_at_the_top_of_a_netlist_can_be_changed(make_network, tmp_path):
    model = make_network()
    Crossbar(arrays=("w_in",)).export(model, tmp_path)
    path = tmp_path / "w_in.cir"
    text, count = re.subn(r"^\.param x2=.*$", ".param x2=0.75", path.read_text(), flags=re.MULTILINE)
    assert count == 1
    path.write_text(text)
    x = arrays(tmp_path)["w_in.x"]
    x[2] = 0.75
    assert off(run(tmp_path, "w_in"), model.weights["w_in"] @ x) < 1e-9


@spice
@pytest.mark.parametrize("name", ["a\n.include /etc/passwd\n", "\u202e\u2028.end\r\n*ng_script", "x" * 5000, ""])
def test_odd_names_do_not_reach_the_circuit(make_network, tmp_path, name):
    model = dataclasses.replace(make_network(), name=name)
    Crossbar(arrays=("w_out",)).export(model, tmp_path)
    assert off(run(tmp_path, "w_out"), model.weights["w_out"] @ arrays(tmp_path)["w_out.x"]) < 1e-9
    lines = (tmp_path / "w_out.cir").read_text().splitlines()
    assert not any(line.startswith((".include", "*ng_script")) for line in lines)
    assert max(map(len, lines)) < 300


def test_plain_text_is_one_line_of_ascii():
    assert re.fullmatch(r"[ -~]*", plain("".join(map(chr, range(2000))), 2000))


# ---- a device's own conductances ----


@pytest.mark.parametrize("profile", ["pcm", "rram_es", "rram_wan", "sonos_flash", "ecram"])
def test_conductances_are_the_chips(make_network, tmp_path, profile):
    model = with_chip(make_network, profile=profile)
    chip = model.chip
    chip.elapse(3600.0)  # drift is in them
    Crossbar().check(model)
    done = Crossbar().export(model, tmp_path)
    data = arrays(tmp_path)
    for name, array in chip.arrays.items():
        g = chip.device.conductance(array.cells, chip.now).double().numpy()
        np.testing.assert_array_equal(data[f"{name}.g"][: len(g)], np.maximum(g, 0.0))
        if len(g) == 1:
            np.testing.assert_array_equal(data[f"{name}.g"][1], chip.device.span.middle)
        if not (g < 0).any():
            wanted = array.mean_weights(chip.now).double().numpy()
            np.testing.assert_allclose(done.held[name], wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())
        assert done.facts[f"{name}.volts_per_input"] == chip.profile.periphery.v_read
        rms = np.sqrt(np.mean((done.held[name] - model.weights[name]) ** 2))
        assert done.facts[f"{name}.weight_rms_error"] == close(rms, rel=1e-12)
    assert profile in done.facts["source"]


@spice
@pytest.mark.parametrize("profile", ["pcm", "rram_es", "pcm_tiles"])
def test_ngspice_reads_the_chips_weights(tmp_path, make_network, profile):
    chip = Experiment.of(configure(XOR, profile=profile)).chip(Streams(0))
    weights = {name: array.mean_weights(chip.now).double().numpy() for name, array in chip.arrays.items()}
    model = dataclasses.replace(
        make_network((weights["w_in"].shape[1], 12, 1), spiking=False), weights=weights, chip=chip
    )
    assert not model.bias
    Crossbar(wire=0.0).export(model, tmp_path)
    data = arrays(tmp_path)
    for name, W in weights.items():
        assert off(run(tmp_path, name), W @ data[f"{name}.x"]) < 1e-5  # the chip computes in float32


def test_faults_are_exported_as_they_are(make_network, tmp_path):
    from neuroanp.profiles.sections import Faults

    for name, coding in (("pcm", "differential"), ("rram_es", "offset")):
        faults = Faults(stuck_low=0.1, stuck_high=0.1, dead_rows=0.2, dead_columns=0.2)
        profile = load(name).model_copy(update={"faults": faults})
        model = with_chip(make_network, profile=profile)
        chip = model.chip
        folder = tmp_path / coding
        folder.mkdir()
        done = Crossbar().export(model, folder)
        for key, array in chip.arrays.items():
            wanted = array.mean_weights(chip.now).double().numpy()
            atol = 1e-6 * np.abs(wanted).max()
            np.testing.assert_allclose(done.held[key], wanted, rtol=0, atol=atol)
        dead = chip.arrays["w"].cells["dead"][0].numpy()
        assert dead.any()
        assert not arrays(folder)["w.g"][:, dead].any()  # neither the device nor its reference
        stuck = chip.arrays["w"].cells["stuck"].numpy()
        assert done.facts["w.devices_at_g_max"] >= 0.02 * stuck.size


def test_lines_are_the_devices_unless_others_are_given(make_network, tmp_path):
    model = with_chip(make_network, profile="pcm_tiles")
    own = from_device(model.chip, "w")
    assert own.wires == (2.5, 2.5)
    assert from_device(model.chip, "w", 7.0).wires == (7.0, 7.0)
    chip = model.chip
    held = chip.arrays["w"]
    held.solver = "exact"
    plan = held.prepare(chip.now, 1e-3, lambda: torch.zeros(()), noise=False)
    np.testing.assert_allclose(own.weights(), plan.W.double().numpy(), rtol=0, atol=2e-6 * float(plan.W.abs().max()))
    without = with_chip(make_network, profile="pcm_tiles", effects=chip.effects - {"wires"})
    assert from_device(without.chip, "w").wires == (0.0, 0.0)


def test_what_is_below_0_siemens_is_left_out_and_said(make_network, tmp_path):
    model = with_chip(make_network)
    cells = model.chip.arrays["w"].cells
    cells["g"][0, 0, :3] = -1e-6
    done = Crossbar().export(model, tmp_path)
    assert "w: 3 devices below 0 S are left out" in done.limits
    assert not arrays(tmp_path)["w.g"][0, 0, :3].any()
    text = (tmp_path / "w.cir").read_text()
    assert "\nRp0_0 " not in text
    assert "\nRp0_3 " in text


@pytest.mark.parametrize(
    ("profile", "holds"),
    [("ideal", False), ("smtj_koenders", False), ("sram_cim", False), ("mixed_signal_neurons", False)]
    + [(name, True) for name in ("pcm", "pcm_tiles", "rram_es", "rram_wan", "fefet", "capacitor")],
)
def test_digital_weights_are_mapped(make_network, tmp_path, profile, holds):
    model = with_chip(make_network, profile=profile)
    assert analogue(model.chip) is holds
    done = Crossbar().export(model, tmp_path)
    assert ("illustrative" in done.facts["source"]) is not holds
    if not holds:
        assert done.facts["w.scale_siemens"] == close(99e-6 / np.abs(model.weights["w"]).max())
        assert done.facts["w.weight_rms_error"] < 1e-14


# ---- traces, facts, bytes ----


@pytest.mark.parametrize("spiking", [True, False])
def test_the_network_runs_on_what_the_conductances_are(make_network, tmp_path, spiking):
    model = make_network(spiking=spiking, bias=True)
    done = Crossbar(wire=20.0).export(model, tmp_path)
    again = reference(dataclasses.replace(model, weights=done.held))
    np.testing.assert_array_equal(done.traces.y, again.y)
    assert off(done.traces.y, reference(model).y) > 1e-6
    one = Crossbar(wire=20.0, arrays=("w_out",)).export(model, tmp_path)
    assert set(one.held) == {"w_out"}
    np.testing.assert_array_equal(one.traces.v, reference(model).v)


def test_vector_is_the_step_asked_for(make_network, tmp_path):
    model = make_network(bias=True)
    done = Crossbar(vector=7).export(model, tmp_path)
    data, s = arrays(tmp_path), done.traces.s[:, 0]
    np.testing.assert_array_equal(data["w_in.x"], [*model.inputs[7, 0], 1.0])
    np.testing.assert_array_equal(data["w.x"], s[7])
    np.testing.assert_array_equal(data["w_out.x"], [*s[7], model.output_line])
    done = Crossbar().export(model, tmp_path)
    assert done.facts["vector"] == s.sum(-1).argmax()


def test_a_vector_without_a_spike_is_said(make_network, tmp_path):
    model = make_network()
    done = Crossbar(vector=0).export(model, tmp_path)
    assert not done.traces.s[0, 0].any()
    assert "w: nothing drives it at step 0; choose another step (--set vector=...)" in done.limits
    assert not any(line.startswith("w_in: nothing") for line in done.limits)
    assert not any("nothing drives" in line for line in Crossbar().export(model, tmp_path).limits)


def test_facts_of_mapped_weights(make_network, tmp_path):
    model = make_network()
    facts = Crossbar(g_min=2e-6, g_max=42e-6).export(model, tmp_path).facts
    n, m = model.weights["w"].shape
    assert facts["w.devices"] == 2 * n * m
    assert facts["w.devices_at_g_max"] == 1
    assert facts["w.devices_at_g_min"] == n * m  # one device of each pair
    assert facts["w.g_lowest_siemens"] == close(2e-6)
    assert facts["w.g_highest_siemens"] == close(42e-6)


def test_same_network_same_bytes(make_network, tmp_path):
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        Crossbar(wire=3.0).export(with_chip(make_network), folder)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["conductances.npz", "w.cir", "w_in.cir", "w_out.cir"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


# ---- refusals ----


def refused(model, **options) -> str:
    with pytest.raises(InputError) as caught:
        Crossbar(**options).check(model)
    return str(caught.value)


def test_ranges_that_are_no_resistors_are_refused(make_network):
    model = make_network()
    said = refused(model, g_min=0.0, g_max=0.0)
    assert "g_min: 0 S is no resistor; give one above 0 S" in said
    assert "g_max: 0 S is not above g_min" in said
    assert "g_max: 1 uS is not above g_min, 2 uS" in refused(model, g_min=2e-6, g_max=1e-6)
    assert "g_max: 1 uS is not above g_min, 1 uS" in refused(model, g_max=1e-6)
    for bad in (float("nan"), float("inf"), -1e-6):
        for key in ("g_min", "g_max", "wire"):
            with pytest.raises(ValidationError):
                Crossbar(**{key: bad})
    with pytest.raises(ValidationError):
        Crossbar(arrays=())
    assert "arrays: 'v' is none of this network; it has w_in, w, w_out" in refused(model, arrays=("v", "w"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(make_network, value):
    model = make_network()
    model.weights["w"][1, 2] = value
    assert "w: 1 weights are not finite" in refused(model)
    model = make_network()
    model.inputs[0, 0, 0] = value
    assert "inputs: held-out inputs are not finite" in refused(model)
    model = with_chip(make_network)
    model.chip.arrays["w_in"].cells["g"][0, 0, 0] = value
    assert "w_in: 1 conductances are not finite" in refused(model)


def test_arrays_of_zeros_are_refused(make_network):
    model = make_network()
    model.weights["w_out"][:] = 0.0
    assert "w_out: largest weight 0 gives no scale" in refused(model)
    Crossbar(arrays=("w_in", "w")).check(model)
    model = with_chip(make_network)
    model.chip.arrays["w"].cells["g"][:] = 0.0
    assert "w: no device conducts" in refused(model)


def test_arrays_that_take_minutes_are_refused_unless_asked_for(make_network):
    model = make_network((4, 65, 2), steps=2)
    Crossbar().check(model)
    said = refused(model, wire=1.0)
    assert f"w: 65 x 65 weights with wires take ngspice minutes or more, at most {MOST_WIRED} are written" in said
    assert "--set large=true" in said
    Crossbar(wire=1.0, large=True).check(model)
    Crossbar(wire=1.0, arrays=("w_in", "w_out")).check(model)
    wide = make_network((4, 520, 2), steps=2)
    assert f"at most {MOST} are written" in refused(wide)
    Crossbar(large=True).check(wide)


def test_options_that_do_not_go_with_the_device_are_refused(make_network):
    model = with_chip(make_network)
    said = refused(model, g_min=1e-6, vector=3)
    assert "g_min: the conductances are those of profile pcm; leave it out, or map the weights" in said
    Crossbar(g_min=1e-6, source="weights").check(model)
    assert "source: 'device', but the network comes without one" in refused(make_network(), source="device")
    assert "vector: step 40 is beyond the 40 of a sequence; give 0 to 39" in refused(model, vector=40)
    other = dataclasses.replace(make_network((4, 16, 2)), chip=model.chip)
    assert "w: the device holds (32, 32), the network (16, 16)" in refused(other)
