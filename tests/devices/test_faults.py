"""Shares of faulty devices and lines, what they conduct, and that what is broken makes no noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from neuroanp.devices.device import Device
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.profiles import loads
from tests.close import close

DOUBLE = torch.float64
LOW, HIGH = 2e-6, 22e-6
HEAD = """
meta: {{name: bench, summary: s, source: bench, status: illustrative}}
conductance: {{g_min: 2 uS, g_max: 22 uS, coding: {coding}}}
programming: {{law: ideal}}
array: {{weight_range: 2, write: serial{array}}}
faults: {{{faults}}}
{more}
"""
REFERENCE = (
    "update: {law: linear_step, dw: 0.01, bound_up: 1, bound_down: 1, gamma_up: 0.1, gamma_down: 0.1, noise: additive, "
    "reference_sd: 0.2, tolerance: 0.1, max_pulses: 9}\n"
)
READS = {
    "gaussian": "law: gaussian, sigma_absolute: 0.3 uS, sigma_relative: 0.04",
    "rtn": "law: rtn, tau_high: 1 ms, tau_low: 3 ms, amplitude: 0.1",
    "one_over_f": "law: one_over_f, f_low: 1 mHz, f_high: 1 MHz, relative_psd: 1e-5",
    "pcm": "law: pcm, t_read: 250 ns, q: 0.0088, exponent: 0.65, floor: 1e-3, q_max: 0.2",
    "sonos": "law: sonos, a: 20 nA, b: 180 nA, v_read: 0.1 V",
}


def device(faults: str, coding: str = "differential", array: str = "", more: str = "") -> Device:
    return Device(loads(HEAD.format(faults=faults, coding=coding, array=array, more=more), "bench.yaml"))


def sample(one: Device, shape: tuple[int, int] = (120, 150), seed: int = 0) -> dict[str, torch.Tensor]:
    return one.sample(shape, np.random.default_rng(seed), DOUBLE)


def share(found: torch.Tensor, expected: float) -> None:
    """Hold a share of devices to a probability: 4.5 standard errors, and none and all exactly."""
    off = abs(float(found.double().mean()) - expected)
    assert off <= 4.5 * math.sqrt(max(0.0, expected * (1 - expected)) / found.numel()) + 1e-12, (off, expected)


@pytest.mark.parametrize(("corrupt", "low", "high"), [(0.0, 0.2, 0.1), (0.4, 0.2, 0.1), (0.7, 0.1, 0.2), (0.3, 0, 0.7)])
@pytest.mark.parametrize("coding", ["differential", "offset"])
def test_shares_are_of_all_devices_whatever_else_is_stuck(coding, corrupt, low, high):
    """Those that are corrupt are neither at an end nor do they take any of the share of those that are."""
    cells = sample(device(f"corrupt: {corrupt}, corrupt_range: 0.9, stuck_low: {low}, stuck_high: {high}", coding))
    g, stuck = cells["g"], cells["stuck"]
    share(stuck & (g == LOW), low)
    share(stuck & (g == HIGH), high)
    share(stuck & (g > LOW) & (g < HIGH), corrupt)
    share(stuck, corrupt + low + high)


@pytest.mark.parametrize("coding", ["differential", "offset"])
def test_corrupt_devices_are_uniform_in_their_range(coding):
    """Device units +-0.6, of which a pair's device takes the size: uniform in siemens, by Kolmogorov and Smirnov."""
    cells = sample(device("corrupt: 1, corrupt_range: 0.6", coding))
    ends = (LOW, LOW + 0.6 * (HIGH - LOW)) if coding == "differential" else (12e-6 - 6e-6, 12e-6 + 6e-6)
    found = cells["g"].flatten().numpy()
    assert stats.kstest(found, stats.uniform(ends[0], ends[1] - ends[0]).cdf).pvalue > 1e-3


def test_a_corrupt_device_is_seen_above_its_own_reference():
    """Offset coding: what is read is the device minus its reference, and the range is that of the device."""
    cells = sample(device("corrupt: 1, corrupt_range: 0.6", "offset", more=REFERENCE))
    w = (cells["g"] - 12e-6) / 10e-6 + cells["ref"]
    assert stats.kstest(w.flatten().numpy(), stats.uniform(-0.6, 1.2).cdf).pvalue > 1e-3
    assert float(cells["ref"].std()) == close(0.2, rel=0.05)


@pytest.mark.parametrize("coding", ["differential", "offset"])
def test_lines_break_tile_by_tile_in_the_stated_shares(coding):
    """Word lines are as long as a tile has bit lines, bit lines as it has word lines: 7 and 4 devices here."""
    one = device("dead_rows: 0.3, dead_columns: 0.2", coding, ", max_rows: 4, max_columns: 7")
    cells = sample(one, (140, 120))
    dead, broken = cells["dead"], cells["scale"] == 0
    assert torch.equal(dead, dead[:1].expand_as(dead))  # one word line for both devices of a pair
    rows = dead[0].view(20, 7, 120)
    assert torch.equal(rows, rows[:, :1].expand_as(rows))
    columns = broken.view(-1, 140, 30, 4)
    assert torch.equal(columns, columns[..., :1].expand_as(columns))
    share(rows[:, 0], 0.3)
    share(columns[..., 0], 0.2)


@pytest.mark.parametrize("coding", ["differential", "offset"])
@pytest.mark.parametrize("reads", READS)
@pytest.mark.parametrize("lines", [("dead_rows",), ("dead_columns",), ("dead_rows", "dead_columns")], ids="+".join)
def test_broken_lines_neither_conduct_nor_make_noise(lines, reads, coding):
    """Whatever the read law says of 0 S: no current flows. All other devices are as noisy as without faults."""
    faults = ", ".join(f"{name}: 0.4" for name in lines)
    mismatch = f"read: {{{READS[reads]}}}\nvariability: {{law: lognormal, cv: 0.3}}\n"
    one = device(faults, coding, ", max_rows: 5, max_columns: 4", mismatch)
    whole = Device(one.profile, ALL_EFFECTS - {"faults"})
    target = torch.full((one.planes, 12, 20), 10e-6, dtype=DOUBLE)
    cells, plain = (
        each.place(sample(each, (12, 20)), target, None, 0.0, np.random.default_rng(1)) for each in (one, whole)
    )
    dead = cells["dead"] if "dead_rows" in lines else torch.zeros_like(target, dtype=torch.bool)
    off = dead | (cells["scale"] == 0)
    assert 0.2 < float(off.double().mean()) < 0.8
    assert bool((cells["scale"] == 0).any()) == ("dead_columns" in lines)
    g = one.conductance(cells, 10.0)
    silent = 0.0 if coding == "differential" else 12e-6  # a broken word line does not drive the reference either
    assert torch.equal(g[dead], torch.full_like(g[dead], silent))
    assert not bool(g[off & ~dead].any())
    torch.testing.assert_close(g[~off], whole.conductance(plain, 10.0)[~off], rtol=1e-12, atol=0)
    for part, other in zip(one.read_sigma(cells, 10.0, 1e-3), whole.read_sigma(plain, 10.0, 1e-3), strict=True):
        assert part is not None
        assert other is not None
        assert not bool(part[off].any())
        torch.testing.assert_close(part[~off], other[~off], rtol=1e-12, atol=0)
    fresh, frozen = one.read_sigma(cells, 10.0, 1e-3)
    assert bool((torch.hypot(fresh, frozen)[~off] > 0).all())  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("coding", ["differential", "offset"])
@pytest.mark.parametrize(("name", "g"), [("stuck_low", LOW), ("stuck_high", HIGH)])
def test_devices_without_a_fault_are_written_and_the_others_stay(name, g, coding):
    one = device(f"{name}: 0.5", coding)
    cells = sample(one, (12, 20))
    stuck = cells["stuck"]
    target = torch.full_like(cells["g"], 10e-6)
    cells, _, gave_up = one.program(cells, target, None, 0.0, np.random.default_rng(1))
    assert torch.equal(cells["g"], torch.where(stuck, torch.full_like(target, g), target))
    assert gave_up is not None
    assert torch.equal(gave_up, stuck)
    _, pulses, gave_up = one.program(cells, target, None, 1.0, np.random.default_rng(2))
    assert not bool(pulses.any())  # what is held was aimed at this already: it is not tried again
    assert gave_up is not None
    assert not bool(gave_up.any())
