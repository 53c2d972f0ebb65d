"""Noise of an output as the facts of a chip state it, against reads: closed forms by Monte Carlo."""

from __future__ import annotations

import math

import pytest
import torch

from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import loads
from neuroanp.substrates.chip import Chip
from neuroanp.substrates.periphery import Reader
from neuroanp.trajectory import Weights

DOUBLE = torch.float64
ERRORS = 4.0
"""Standard errors that a sampled mean may be off: one run in 16,000, and the seed is fixed."""
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


def build(coding: str, array: str, more: str, n: int = 12, m: int = 7, **options) -> Chip:
    g = torch.Generator().manual_seed(0)
    shapes = {"w_in": (n, 2), "w": (n, n), "w_out": (n, m)}
    weights = {k: (2 * torch.rand(s, generator=g, dtype=DOUBLE) - 1) * (2 / sum(s)) ** 0.5 for k, s in shapes.items()}
    hardware = loads(HEAD.format(coding=coding, array=array, more=more), "bench.yaml")
    return Chip.build(hardware, Weights(weights), streams=Streams(0), dt=1e-6, dtype=DOUBLE, **options)


def squares(chip: Chip, x: torch.Tensor, count: int = 20_000) -> torch.Tensor:
    """Squared noise of reads of w_out for inputs x (count, m), averaged over the outputs: (count,)."""
    reader = Reader(chip.prepare(1e-3, PassStreams(Streams(0), "train", 0))["w_out"])
    xi = torch.randn((count, reader.normals), generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
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
    agree(squares(chip, halves(20_000, 7)), chip.arrays["w_out"].own_variance(chip.now))


@pytest.mark.parametrize("coding", ["differential", "offset"])
def test_facts_state_the_noise_of_an_output(coding):
    """sigma_output for inputs of rms 0.5, and the same in steps of the ADC; the ADC itself is off where it is read."""
    more = "read: {law: gaussian, sigma_absolute: 0.3 uS, sigma_relative: 0.04}\n"
    parts = "amplifier_noise: 20 nA, adc: {bits: 8, full_scale: 20 uA}"
    effects = frozenset({"amplifier_noise", "read_noise"})
    chip = build(coding, ", max_rows: 3", PERIPHERY % parts + more, effects=effects)
    facts = chip.describe()["arrays"]["w_out"]
    agree(squares(chip, halves(20_000, 7)), facts["sigma_output"] ** 2)
    sigma2 = chip.prepare(1e-3, PassStreams(Streams(0), "train", 0))["w_out"].sigma2
    assert sigma2 is not None
    assert facts["sigma_weight_rms"] == pytest.approx(float(sigma2.mean()) ** 0.5, rel=1e-12)
    assert facts["sigma_output_adc_steps"] is None
    converted = build(coding, ", max_rows: 3", PERIPHERY % parts + more, effects=effects | {"adc"})
    stated = converted.describe()["arrays"]["w_out"]
    step = converted.arrays["w_out"].k * 20e-6 / 127
    assert stated["adc_step"] == pytest.approx(step, rel=1e-12)
    assert stated["adc_full_scale"] == pytest.approx(127 * step, rel=1e-12)
    assert stated["sigma_output_adc_steps"] == pytest.approx(facts["sigma_output"] / step, rel=1e-12)


def test_facts_state_the_noise_of_units_in_steps_of_their_own_adc():
    """Hidden units behind w and w_in, outputs behind w_out: each layer has its own sigma."""
    chip = build("differential", "", PERIPHERY % "adc: {bits: 8, full_scale: 20 uA}", artificial_sigma=0.3)
    chip.artificial_output_sigma = 0.02
    facts = chip.describe()["arrays"]
    for name, sigma in (("w_in", 0.3), ("w", 0.3), ("w_out", 0.02)):
        step = chip.arrays[name].k * 20e-6 / 127
        assert facts[name]["node_sigma_adc_steps"] == pytest.approx(sigma / step, rel=1e-12)


@pytest.mark.parametrize("wires", ["fast", "exact"])
def test_noise_reaches_the_outputs_through_wires_as_the_change_of_a_device_does(wires):
    """What is left of one device's change at its output, numerically, is what its noise is multiplied by."""
    more = "read: {law: gaussian, sigma_absolute: 0.3 uS, sigma_relative: 0.04}\n" + PERIPHERY % "amplifier_noise: 1 nA"
    effects = frozenset({"read_noise", "wires"})
    for coding in ("differential", "offset"):
        wired = build(coding, ", wires: {r_word: 60 ohm, r_bit: 40 ohm}", more, effects=effects, wires=wires)
        array = wired.arrays["w_out"]
        streams = PassStreams(Streams(0), "train", 0)
        plan = wired.prepare(1e-3, streams)["w_out"]
        fresh, _ = wired.device.read_sigma(array.cells, wired.now, 1e-3)
        assert fresh is not None
        assert plan.sigma2 is not None
        cells, i, j, small = array.cells, 3, 4, 1e-10
        variance = 0.0
        for plane in range(wired.device.planes):
            ends = []
            for sign in (1, -1):
                g = cells["g"].clone()
                g[plane, i, j] += sign * small
                array.cells = {**cells, "g": g}
                ends.append(float(wired.prepare(1e-3, streams)["w_out"].W[i, j]))
            variance += ((ends[0] - ends[1]) / (2 * small) * float(fresh[plane, i, j])) ** 2
        array.cells = cells
        assert float(plan.sigma2[i, j]) == pytest.approx(variance, rel=0.01 if wires == "fast" else 1e-3)
        assert float(plan.sigma2[i, j]) < 0.99 * float((fresh[:, i, j] * array.slope).square().sum())
