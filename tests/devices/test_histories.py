"""Any history of writes, pulses and waits, for any pair of laws and any effects: what must hold after each step."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.devices.device import Device
from neuroanp.profiles import HardwareProfile, loads

DOUBLE = torch.float64
SHAPE = (3, 4)
LOW, HIGH, REST, TAU = 5e-6, 25e-6, 9e-6, 0.1
MIDDLE, HALF = 0.5 * (LOW + HIGH), 0.5 * (HIGH - LOW)
STEPS = (
    "dw: 0.05, bound_up: 1, bound_down: 0.9, bound_up_d2d: 0.1, dw_d2d: 0.2, c2c: 0.3, tolerance: 0.04, max_pulses: 60"
)
UPDATES = {
    "none": "",
    "linear": f"update: {{law: linear_step, {STEPS}, gamma_up: 0.2, gamma_down: 0.1, noise: additive, "
    "write_noise: 0.4}",
    "referred": f"update: {{law: linear_step, {STEPS}, gamma_up: 0.2, gamma_down: 0.1, noise: multiplicative, "
    "reference: symmetry_point, reference_sd: 0.05}",
    "soft": f"update: {{law: soft_bounds, {STEPS}, write_noise: 0.4, reference_sd: 0.05}}",
    "exponential": f"update: {{law: exponential_step, {STEPS}, A_up: -1.2, A_down: -0.1, gamma_up: 2, gamma_down: 2, "
    "a: -0.5, b: -0.5}",
    "pcm": "update: {law: pcm, dw: 0.01, boost: 27.2, decay: 2.5, noise: 0.6, noise_add: 0.04, noise_slope: 0.1, "
    "w_max: 2, reset: 0.01, reset_sd: 0.02, refresh_upper: 0.75, refresh_lower: 0.25, "
    "dw_d2d: 0.1, w_max_d2d: 0.1}",
}
PROGRAMS = {
    "none": "",
    "ideal": "programming: {law: ideal}",
    "gaussian": "programming: {law: gaussian, sigma_absolute: 0.2 uS, sigma_relative: 0.02, pulses: 3, "
    "deadband: 0.5 uS}",
}
DRIFTS = {
    "none": "",
    "leak": "drift: {law: leak, tau: 100 ms, rest: 9 uS}",
    "pcm": "drift: {law: pcm, t0: 20 s, mu_slope: -0.0155, mu_offset: 0.0244, mu_min: 0.049, mu_max: 0.1, "
    "s_slope: -0.0125, s_offset: -0.0059, s_min: 0.008, s_max: 0.045}",
    "sonos": "drift: {law: sonos, start: {time: 1 s, a: 20 nA, b: 180 nA, v_read: 0.1 V}, "
    "end: {time: 1 d, a: 60 nA, b: 180 nA, v_read: 0.1 V, moved: {i_max: 2 uA, c0: 1, c1: -0.1, c2: 0, c3: 0, "
    "c4: 0, c5: 0, c6: 0, c7: 0, c8: 0, c9: 0, c10: 0}}}",
}
EFFECTS = ("programming_error", "drift", "write_noise", "d2d", "c2c", "faults", "endurance")
HEAD = """
meta: {{name: bench, summary: s, source: bench, status: illustrative}}
conductance: {{g_min: 5 uS, g_max: 25 uS, coding: {coding}}}
array: {{weight_range: 2, write: serial}}
faults: {{corrupt: 0.2, corrupt_range: 0.5, stuck_high: 0.1, dead_rows: 0.1, dead_columns: 0.1}}
energy: {{endurance: 40, endurance_sd: 0.5}}
{more}
"""


@cache
def profile(update: str, program: str, drift: str) -> HardwareProfile:
    laws = "\n".join((UPDATES[update], PROGRAMS[program], DRIFTS[drift]))
    return loads(HEAD.format(coding="differential" if update in ("none", "pcm") else "offset", more=laws), "bench.yaml")


LAWS = [(u, p, d) for u in UPDATES for p in PROGRAMS for d in DRIFTS if (u, p) != ("none", "none")]
operations = st.tuples(
    st.sampled_from(["place", "program", "pulse", "wait"]),
    st.integers(0, 2**32 - 1),
    st.floats(0.02, 1.0),
    st.floats(0.0, 0.5),
)


class History:
    """A device array, the time, and what the next step must leave behind."""

    def __init__(self, device: Device, seed: int) -> None:
        self.device, self.now = device, 0.0
        self.cells = device.sample(SHAPE, np.random.default_rng(seed), DOUBLE)
        self.none = torch.zeros_like(self.cells["g"], dtype=torch.bool)
        self.stuck = self.cells.get("stuck", self.none)
        self.stands, self.aim = self.cells["g"].clone(), self.cells["target"].clone()

    def held(self) -> torch.Tensor:
        """Stuck, or worn out: the pulses so far are those it endures."""
        if "endurance" not in self.device.effects:
            return self.stuck
        return self.stuck | (self.cells["wear"] >= self.cells["limit"])

    def settled(self) -> torch.Tensor:
        """The state that a write starts from: what has leaked away by now is gone, but from stuck devices."""
        g, law = self.cells["g"], self.device.drift
        if law is None or not law.settles:
            return g
        left = g + (g - REST) * torch.expm1(-(self.now - self.cells["t"]) / TAU)  # at once to the bit what it was
        return torch.where(self.stuck, g, left)

    def step(self, kind: str, seed: int, share: float, wait: float) -> None:
        device, rng = self.device, np.random.default_rng(seed)
        shape = tuple(self.cells["g"].shape)
        target = torch.from_numpy(LOW + (HIGH - LOW) * rng.uniform(0.02, 0.98, shape))
        mask = torch.from_numpy(rng.random(shape) < share)
        held, before, old = self.held(), self.settled(), self.cells
        if kind == "place":
            self.cells, pulses = device.place(old, target, mask, self.now, rng), None
            mask = self.moved(target, mask, before)
            assert torch.equal(self.cells["wear"], old["wear"])
            reached = mask & ~self.stuck
            torch.testing.assert_close(self.cells["g"][reached], target[reached], rtol=1e-12, atol=0)
            held = self.stuck
        elif kind == "program" and device.can_program:
            self.cells, pulses, gave_up = device.program(old, target, mask, self.now, rng)
            law = device.programming
            mask = self.moved(
                target, mask, before, law.deadband if law and "programming_error" in device.effects else 0
            )
            self.programmed(target, mask, held, before, gave_up, old)
        elif kind == "pulse" and device.update is not None:
            dg = torch.where(mask, target - before, 0.0)
            self.cells, pulses = device.pulse(old, dg, self.now, rng)
            self.aim = torch.where(pulses > 0, self.cells["target"], self.aim)  # a pulse aims at what it leaves
            assert torch.equal(self.aim[(pulses > 0) & ~held], self.cells["g"][(pulses > 0) & ~held])
        else:
            self.now += wait
            return
        if pulses is not None:
            assert int(pulses.min()) >= 0
            assert torch.equal(self.cells["wear"], old["wear"] + pulses)
        still = held if pulses is None else held | (pulses == 0)
        still = still | ~mask if kind != "pulse" else still  # a refresh writes pairs that were not asked for
        torch.testing.assert_close(self.cells["g"][still], before[still], rtol=1e-12, atol=0)
        written = ~held & (mask if pulses is None else pulses > 0)
        if device.timed:
            assert bool((self.cells["t"][written] == self.now).all())
        for later in (0.0, 1e5):  # what was not written goes its way as if nothing had been
            one, other = (device.conductance(cells, self.now + later) for cells in (old, self.cells))
            aimed = old["target"].nan_to_num(-1.0) != self.cells["target"].nan_to_num(-1.0)
            same, near = ~written & ~aimed, ~written & aimed
            torch.testing.assert_close(other[same], one[same], rtol=1e-9, atol=1e-18)
            # asked for a target that it is near enough to: what relaxes then does so by the spread of that target,
            # whose slope is a/b = 1/3, times a normal that is below six
            moved = (self.cells["target"] - old["target"]).abs()[near].nan_to_num(0.0)  # of one without: not at all
            assert bool(((other - one).abs()[near] <= 2.0 * moved).all())

    def moved(self, target, mask, before, deadband: float = 0.0) -> torch.Tensor:
        """Who is written: those of the mask whose target moved, or that leak and are not on it any more."""
        law = self.device.drift
        old = before if law is not None and law.settles else self.aim  # pyright: ignore[reportAttributeAccessIssue]
        found = mask & ~((target - old).abs() <= deadband)
        self.aim = torch.where(found, target, self.aim)
        return found

    def programmed(self, target, mask, held, before, gave_up, old) -> None:
        """Who is held, or was left outside of the tolerance, is given up on; no one else is."""
        law, update = self.device.programming, self.device.update
        if law is not None:
            assert torch.equal(gave_up if gave_up is not None else self.none, mask & held)
            assert torch.equal(self.cells["wear"] - old["wear"], mask.int() * law.pulses)
            return
        assert gave_up is not None
        off = (self.cells["g"] - target).abs()
        if "programming_error" in self.device.effects:
            far = (off > update.tolerance * HALF) | (held & (off > 0))  # what is held is on its target, or failed
            assert torch.equal(gave_up, mask & far)
        else:
            assert bool((off[mask & ~gave_up & ~held] < 0.2 * HALF).all())  # ten sd of its write noise
            assert bool(gave_up[mask & held & (before != target)].all())
            assert not bool((gave_up & ~mask).any())

    def check(self) -> None:
        """What holds at any time."""
        device, cells = self.device, self.cells
        assert torch.equal(cells["g"][self.stuck], self.stands[self.stuck])
        drifts = device.drift is not None and not device.drift.settles  # seen through the law, a stuck device too
        g = cells["g"] * cells.get("scale", 1.0)
        if "dead" in cells:
            g = torch.where(cells["dead"], 0.0 if device.planes == 2 else MIDDLE, g)
        seen = device.conductance(cells, self.now)
        if not drifts:
            torch.testing.assert_close(seen[self.stuck], g[self.stuck], rtol=1e-12, atol=0)
        assert bool(torch.isfinite(seen).all())
        assert torch.equal(cells["target"].nan_to_num(-1.0), self.aim.nan_to_num(-1.0))
        if "w" in cells and ("write_noise" not in device.effects or not device.update.write_noise):  # pyright: ignore
            v = cells["w"] - cells["ref"]  # what is read is the state over its reference, but for noise of the write
            torch.testing.assert_close((cells["g"] - MIDDLE)[~self.stuck], v[~self.stuck] * HALF, rtol=0, atol=1e-16)


@settings(max_examples=150, deadline=None)
@given(
    laws=st.sampled_from(LAWS),
    effects=st.sets(st.sampled_from(EFFECTS)),
    seed=st.integers(0, 2**16),
    history=st.lists(operations, min_size=1, max_size=6),
)
def test_any_history_of_any_pair_of_laws(laws, effects, seed, history):
    one = History(Device(profile(*laws), frozenset(effects)), seed)
    for operation in history:
        one.step(*operation)
        one.check()


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("update", ["linear", "referred", "soft"])
def test_pulses_start_from_what_a_leak_has_left_of_a_write(update, program):
    """Put on a target, left alone for t, then pulsed k times: k steps of the law from rest + (g - rest) e^{-t/tau}."""
    device = Device(profile(update, program, "leak"), frozenset({"drift"}))
    cells = device.sample(SHAPE, np.random.default_rng(0), DOUBLE)
    target = torch.linspace(MIDDLE, HIGH - 2e-6, 12, dtype=DOUBLE).view(1, *SHAPE)
    if program == "none":
        cells = device.place(cells, target, None, 1.0, np.random.default_rng(1))
    else:
        cells, _, _ = device.program(cells, target, None, 1.0, np.random.default_rng(1))
    wait, law = 0.03, device.update
    assert law is not None
    count = 4
    dg = torch.full_like(target, -count * law.dw * HALF)  # pyright: ignore[reportAttributeAccessIssue]
    after, pulses = device.pulse(cells, dg, 1.0 + wait, np.random.default_rng(2))
    whole = pulses == count  # rounding is stochastic, and the last bit of the product decides
    assert bool(whole.any())
    left = REST + (target - REST) * math.exp(-wait / TAU)
    w, state = (left - MIDDLE) / HALF + cells["ref"], [cells[k] for k in ("up", "down", "w_max", "w_min")]
    for _ in range(count):
        w = law.step(w, -torch.ones_like(w), *state, torch.zeros_like(w))  # pyright: ignore[reportAttributeAccessIssue]
    expected = MIDDLE + (w - cells["ref"]) * HALF
    torch.testing.assert_close(after["g"][whole], expected[whole], rtol=1e-10, atol=0)
    torch.testing.assert_close(after["w"][whole], w[whole], rtol=0, atol=1e-10)
