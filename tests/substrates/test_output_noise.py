"""Noise of an output as the facts of a chip state it, against reads: closed forms by Monte Carlo."""

from __future__ import annotations

import math

import pytest
import torch

from neuroanp.network.network import INPUT, OUTPUT, Layer, Network, Projection
from neuroanp.network.tanh import Tanh
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import loads
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.facts import describe
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.substrates.read import Reader
from neuroanp.substrates.wires import WireNetwork
from neuroanp.trajectory import Weights
from tests.close import close

DOUBLE = torch.float64
ERRORS = 4.0
"""Standard errors that a sampled mean may be off: one run in 16,000, and the seed is fixed."""
ROWS = 5_000
HEAD = """
meta: {{name: bench, summary: s, source: bench, status: illustrative}}
conductance: {{g_min: 1 uS, g_max: 21 uS, coding: {coding}}}
programming: {{law: ideal}}
array: {{weight_range: 2, write: serial{array}}}
{more}
"""
PERIPHERY = "periphery: {v_read: 0.2 V, t_read: 100 ns, %s}\n"
PARTS = {
    "amplifiers": "amplifier_noise: 300 nA",
    "thermal": "bandwidth: 50 GHz",
    "both": "amplifier_noise: 300 nA, bandwidth: 50 GHz",
    "drivers": "dac: {bits: 8, noise: 4 mV}",
    "all": "amplifier_noise: 300 nA, bandwidth: 50 GHz, dac: {bits: 8, noise: 4 mV}",
}


def build(coding: str, array: str, more: str, n: int = 12, m: int = 7, **options) -> DeviceChip:
    g = torch.Generator().manual_seed(0)
    shapes = {"w_in": (n, 2), "w": (n, n), "w_out": (n, m)}
    weights = {k: (2 * torch.rand(s, generator=g, dtype=DOUBLE) - 1) * (2 / sum(s)) ** 0.5 for k, s in shapes.items()}
    hardware = loads(HEAD.format(coding=coding, array=array, more=more), "bench.yaml")
    layers = Layer("hidden", n, Tanh()), Layer("wide", m, Tanh())
    network = Network(2, layers, n, (
        Projection("w_in", INPUT, "hidden", 0), Projection("w", "hidden", "hidden", 1),
        Projection("w_out", "wide", OUTPUT, 0),
    ))  # fmt: skip
    return DeviceChip.build(hardware, Weights(weights, network), streams=Streams(0), dt=1e-6, dtype=DOUBLE, **options)


def squares(chip: DeviceChip, x: torch.Tensor) -> torch.Tensor:
    """Squared noise of reads of w_out for inputs x (rows, m), averaged over the outputs: (rows,)."""
    reader = Reader(chip.prepare(1e-3, PassStreams(Streams(0), "train", 0))["w_out"])
    xi = torch.randn((len(x), reader.normals), generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    return (reader(x, xi) - reader(x)).square().mean(1)


def halves(count: int, m: int) -> torch.Tensor:
    """Inputs of rms 0.5: +-0.5 at random."""
    return torch.randint(0, 2, (count, m), generator=torch.Generator().manual_seed(2)).to(DOUBLE) - 0.5


def agree(sampled: torch.Tensor, variance: float) -> None:
    error = float(sampled.std()) / math.sqrt(len(sampled))
    assert abs(float(sampled.mean()) - variance) < ERRORS * error


@pytest.mark.parametrize("coding", ["differential", "offset"])
@pytest.mark.parametrize("array", ["", ", max_rows: 3"], ids=["whole", "tiles"])
@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_own_variance_is_that_of_reads_of_quiet_devices(coding, array, parts):
    chip = build(coding, array, PERIPHERY % parts, effects=frozenset({"amplifier_noise", "thermal_noise", "dac_noise"}))
    agree(squares(chip, halves(ROWS, 7)), chip.arrays["w_out"].own_variance(chip.now))


@pytest.mark.parametrize("coding", ["differential", "offset"])
def test_facts_state_the_noise_of_an_output(coding):
    """sigma_output for inputs of rms 0.5, and the same in steps of the ADC; the ADC itself is off where it is read."""
    more = "read: {law: gaussian, sigma_absolute: 0.3 uS, sigma_relative: 0.04}\n"
    parts = "amplifier_noise: 20 nA, adc: {bits: 8, full_scale: 20 uA}"
    effects = frozenset({"amplifier_noise", "read_noise"})
    chip = build(coding, ", max_rows: 3", PERIPHERY % parts + more, effects=effects)
    facts = describe(chip)["arrays"]["w_out"]
    agree(squares(chip, halves(ROWS, 7)), facts["sigma_output"] ** 2)
    sigma2 = chip.prepare(1e-3, PassStreams(Streams(0), "train", 0))["w_out"].sigma2
    assert sigma2 is not None
    assert facts["sigma_weight_rms"] == close(float(sigma2.mean()) ** 0.5, rel=1e-12)
    assert facts["sigma_output_adc_steps"] is None
    converted = build(coding, ", max_rows: 3", PERIPHERY % parts + more, effects=effects | {"adc"})
    stated = describe(converted)["arrays"]["w_out"]
    step = converted.arrays["w_out"].k * 20e-6 / 127
    assert stated["adc_step"] == close(step, rel=1e-12)
    assert stated["adc_full_scale"] == close(127 * step, rel=1e-12)
    assert stated["sigma_output_adc_steps"] == close(facts["sigma_output"] / step, rel=1e-12)


def test_facts_state_the_noise_of_units_in_steps_of_their_own_adc():
    """Hidden units behind w and w_in, outputs behind w_out: each layer has its own sigma."""
    drive = NodeDrive(0.3, output=0.02)
    chip = build("differential", "", PERIPHERY % "adc: {bits: 8, full_scale: 20 uA}", drive=drive)
    facts = describe(chip)["arrays"]
    for name, sigma in (("w_in", 0.3), ("w", 0.3), ("w_out", 0.02)):
        step = chip.arrays[name].k * 20e-6 / 127
        assert facts[name]["node_sigma_adc_steps"] == close(sigma / step, rel=1e-12)


# ---- through wires ----

WIRES = ", wires: {r_word: 60 ohm, r_bit: 40 ohm}"
STREAMS = PassStreams(Streams(0), "train", 0)


def reaches(chip: DeviceChip, i: int, j: int) -> list[float]:
    """dW_ij / dG of each device of one weight, by central differences, in weights a siemens."""
    array, cells, small, found = chip.arrays["w_out"], chip.arrays["w_out"].cells, 1e-10, []
    for plane in range(chip.device.planes):
        ends = []
        for sign in (1, -1):
            g = cells["g"].clone()
            g[plane, i, j] += sign * small
            array.cells = {**cells, "g": g}
            ends.append(float(chip.prepare(1e-3, STREAMS, noise=False)["w_out"].W[i, j]))
        found.append((ends[0] - ends[1]) / (2 * small))
    array.cells = cells
    return found


@pytest.mark.parametrize("coding", ["differential", "offset"])
@pytest.mark.parametrize(("wires", "rel"), [("fast", 0.01), ("exact", 1e-4)])
def test_noise_reaches_an_output_through_wires_as_the_change_of_its_device_does(wires, rel, coding):
    more = "read: {law: gaussian, sigma_absolute: 0.3 uS, sigma_relative: 0.04}\n" + PERIPHERY % "amplifier_noise: 1 nA"
    chip = build(coding, WIRES, more, effects=frozenset({"read_noise", "wires"}), wires=wires)
    fresh, _ = chip.device.read_sigma(chip.arrays["w_out"].cells, chip.now, 1e-3)
    sigma2 = chip.prepare(1e-3, STREAMS)["w_out"].sigma2
    assert fresh is not None
    assert sigma2 is not None
    for i, j in ((3, 4), (11, 0)):
        variance = sum((reach * float(s)) ** 2 for reach, s in zip(reaches(chip, i, j), fresh[:, i, j], strict=True))
        assert float(sigma2[i, j]) == close(variance, rel=rel)


@pytest.mark.parametrize("coding", ["differential", "offset"])
@pytest.mark.parametrize("array", ["", WIRES], ids=["ideal", "wires"])
def test_noise_with_a_memory_has_the_sign_of_its_plane_and_reaches_through_wires(array, coding):
    """A telegraph signal is not symmetric: what raises G- lowers the weight."""
    more = "read: {law: rtn, tau_high: 1 ms, tau_low: 9 ms, amplitude: 0.1}\n" + PERIPHERY % "amplifier_noise: 1 nA"
    effects = frozenset({"read_noise", "frozen_noise", "wires"})
    chip = build(coding, array, more, effects=effects, wires="exact", read="sampled")
    plan = chip.prepare(1e-3, STREAMS)["w_out"]
    fresh, frozen = chip.device.read_sigma(chip.arrays["w_out"].cells, chip.now, 1e-3)
    assert fresh is not None
    assert frozen is not None
    assert plan.process is not None
    sigma = torch.hypot(fresh, frozen)
    for i, j in ((3, 4), (11, 0)):
        expected = [reach * float(s) for reach, s in zip(reaches(chip, i, j), sigma[:, i, j], strict=True)]
        assert plan.process[:, i, j].tolist() == pytest.approx(expected, rel=1e-4, abs=0)


@pytest.mark.parametrize("wires", ["fast", "exact"])
def test_what_noise_has_pushed_below_0_siemens_acts_as_any_small_change_there(wires):
    chip = build("differential", WIRES, PERIPHERY % "amplifier_noise: 1 nA", effects=frozenset({"wires"}), wires=wires)
    array = chip.arrays["w_out"]
    g = array.cells["g"].clone()
    g[0, 3, 4] = 0.0
    array.cells = {**array.cells, "g": g.clone()}
    at_zero = float(chip.prepare(1e-3, STREAMS)["w_out"].W[3, 4])
    g[0, 3, 4] = 1e-10
    array.cells = {**array.cells, "g": g.clone()}
    slope = (float(chip.prepare(1e-3, STREAMS)["w_out"].W[3, 4]) - at_zero) / 1e-10
    g[0, 3, 4] = -2e-6
    array.cells = {**array.cells, "g": g}
    below = float(chip.prepare(1e-3, STREAMS)["w_out"].W[3, 4]) - at_zero
    assert below == close(-2e-6 * slope, rel=1e-2 if wires == "fast" else 1e-4)
    assert slope < 0.995 * array.slope


def test_devices_on_a_broken_word_line_carry_no_current_through_wires_and_their_references_neither():
    """Offset coding: two networks with open devices there, of which the difference is the weights."""
    more = PERIPHERY % "amplifier_noise: 1 nA" + "faults: {dead_rows: 0.4}\n"
    chip = build("offset", WIRES, more, effects=frozenset({"wires", "faults"}), wires="exact")
    array = chip.arrays["w_out"]
    dead = array.cells["dead"][0]
    assert 0 < int(dead[0].sum()) < 7
    seen = [
        WireNetwork(g.masked_fill(dead, 0.0).numpy(), 60.0, 40.0).transfer()
        for g in (array.cells["g"][0], torch.full_like(array.cells["g"][0], 11e-6))
    ]
    expected = torch.from_numpy(seen[0] - seen[1]) * array.slope
    W = chip.prepare(1e-3, STREAMS)["w_out"].W
    torch.testing.assert_close(W, expected, rtol=1e-9, atol=1e-12)
    assert not bool(W[dead].any())


@pytest.mark.parametrize("wires", ["fast", "exact"])
def test_facts_state_what_lines_take_of_the_current_of_all_inputs(wires):
    """1 V on every word line: the current that comes out of both planes, against that of the devices alone."""
    chip = build("differential", WIRES, PERIPHERY % "amplifier_noise: 1 nA", effects=frozenset({"wires"}), wires=wires)
    g = chip.arrays["w_out"].cells["g"]
    V = torch.ones(7, 1, dtype=DOUBLE).numpy()
    out = sum(float(WireNetwork(plane.numpy(), 60.0, 40.0).currents(V).sum()) for plane in g)
    facts = describe(chip)["arrays"]["w_out"]
    assert facts["wire_loss"] == close(1 - out / float(g.sum()), rel=1e-2 if wires == "fast" else 1e-9)
    assert (facts["wire_error"] is None) == (wires == "exact")


# ---- without noise ----


@pytest.mark.parametrize("coding", ["differential", "offset"])
@pytest.mark.parametrize("read", ["moments", "sampled"])
def test_a_plan_without_noise_draws_nothing(read, coding):
    """Every source of noise there is, and none of them left: drivers, devices, amplifiers, thermal."""
    parts = PARTS["all"] + ", adc: {bits: 8, full_scale: 20 uA}"
    more = "read: {law: gaussian, sigma_absolute: 0.3 uS, sigma_relative: 0.04}\n"
    chip = build(coding, ", max_rows: 3", PERIPHERY % parts + more, read=read)
    noisy, quiet = (Reader(chip.prepare(1e-3, STREAMS, noise=noise)["w_out"]) for noise in (True, False))
    weights = 12 * 7 if read == "sampled" else 0
    assert (noisy.noisy, noisy.normals) == (True, weights + 3 * 12 + 7)
    assert (quiet.noisy, quiet.normals) == (False, 0)
