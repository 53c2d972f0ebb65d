"""Soft bounds against an independent tool's pulse curves, and write-verify against its promise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.devices.draws import whole_pulses
from neuroanp.devices.protocol import Span
from neuroanp.devices.rram import SoftBounds
from neuroanp.profiles import load

REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "pulse_curves.json").read_text())
"""aihwkit 1.2.0, ReRamArrayOM with its variability at zero: up pulses from 0, then down from the last."""

SPAN = Span(1e-6, 40e-6)
QUIET = frozenset[str]()


def array(law: SoftBounds, n: int, effects: frozenset[str], seed: int = 0) -> dict[str, torch.Tensor]:
    g = torch.full((1, n, 1), SPAN.middle, dtype=torch.float64)
    return {"g": g, **law.sample((1, n, 1), np.random.default_rng(seed), effects, g)}


def device_units(g: torch.Tensor) -> torch.Tensor:
    return (g - SPAN.middle) * 2 / SPAN.width


def test_pulse_curve():
    preset, curve = REFERENCE["presets"]["ReRamArrayOM"], REFERENCE["curves"]["ReRamArrayOM"]
    law = SoftBounds(
        dw=preset["dw_min"], bound_up=preset["w_max"], bound_down=-preset["w_min"], tolerance=0.1, max_pulses=1
    )
    cells = array(law, 1, QUIET)
    one = SPAN.width / 2 * law.dw

    def pulsed(state, direction, pulses):
        dg = torch.full_like(state["g"], direction * one * (1 + 1e-12))
        for _ in range(pulses):
            state = {**state, **law.pulse(state, dg, SPAN, np.random.default_rng(0), QUIET).cells}
        return state

    for pulses, expected in curve["w_up"].items():
        assert float(device_units(pulsed(cells, 1, int(pulses))["g"])) == pytest.approx(expected, abs=1e-6)
    top = pulsed(cells, 1, 300)
    for pulses, expected in curve["w_down_from_there"].items():
        assert float(device_units(pulsed(top, -1, int(pulses))["g"])) == pytest.approx(expected, abs=1e-6)


def test_symmetry_point_is_where_up_and_down_cancel():
    law = SoftBounds(
        dw=0.05, bound_up=1.0, bound_down=0.7, up_down=0.2, up_down_d2d=0.05, dw_d2d=0.3,
        bound_up_d2d=0.2, bound_down_d2d=0.2, tolerance=0.1, max_pulses=10,
    )  # fmt: skip
    cells = array(law, 500, frozenset({"d2d"}))
    w, zero = cells["ref"], torch.zeros_like(cells["ref"])
    devices = [cells[k] for k in ("up", "down", "w_max", "w_min")]
    up = law.step(w, zero + 1, *devices, zero) - w
    down = w - law.step(w, zero - 1, *devices, zero)
    torch.testing.assert_close(up, down, rtol=1e-9, atol=1e-12)


def test_device_spread_is_the_stated_one():
    law = load("rram_hfo2").update
    cells = array(law, 200_000, frozenset({"d2d"}))
    step = cells["up"].add(cells["down"]).div(2 * law.dw).log()
    assert float(step.median()) == pytest.approx(0.0, abs=0.01)
    assert float(step.std()) == pytest.approx(law.dw_d2d, rel=0.01)
    xi = np.random.default_rng(0).standard_normal(200_000)
    for name, spread in (("w_max", law.bound_up_d2d), ("w_min", law.bound_down_d2d)):
        assert float(cells[name].abs().mean()) == pytest.approx(np.abs(1 + spread * xi).mean(), rel=0.01)


def test_write_noise_does_not_accumulate():
    """After any number of pulses the visible weight scatters by write_noise dw around a state that does not."""
    law = SoftBounds(dw=0.1, bound_up=1.0, bound_down=1.0, write_noise=0.5, tolerance=0.1, max_pulses=50)
    cells = array(law, 20_000, QUIET)
    for pulses in (1, 40):
        dg = torch.full_like(cells["g"], SPAN.width / 2 * law.dw * pulses * (1 + 1e-12))
        done = law.pulse(cells, dg, SPAN, np.random.default_rng(1), frozenset({"write_noise"}))
        assert int(done.pulses.min()) == int(done.pulses.max()) == pulses
        assert float(done.cells["w"].std()) < 1e-12
        scatter = device_units(done.cells["g"]) - done.cells["w"]
        assert float(scatter.std()) == pytest.approx(0.5 * law.dw, rel=0.03)


def test_verify_keeps_its_promise():
    law = load("rram_hfo2").update
    effects = frozenset({"programming_error", "write_noise", "c2c", "d2d"})
    cells = array(law, 5000, effects)
    rng = np.random.default_rng(5)
    target = SPAN.middle + SPAN.width / 2 * torch.from_numpy(rng.uniform(-0.6, 0.6, (1, 5000, 1)))
    everywhere = torch.ones_like(target, dtype=torch.bool)
    done = law.program(cells, target, everywhere, SPAN, rng, effects)
    off = device_units(done.cells["g"]) - device_units(target)
    assert float(off[~done.gave_up].abs().max()) <= law.tolerance * (1 + 1e-6)
    assert float(off[done.gave_up].abs().min()) > law.tolerance * (1 - 1e-6)
    assert int(done.pulses[done.gave_up].min()) == law.max_pulses
    assert 0.0 < float(done.gave_up.double().mean()) < 0.2


def test_verify_without_programming_error_lands_on_the_target():
    law = load("rram_hfo2").update
    cells = array(law, 100, QUIET)
    target = SPAN.middle + SPAN.width / 2 * torch.linspace(-0.9, 0.9, 100, dtype=torch.float64).view(1, 100, 1)
    done = law.program(cells, target, torch.ones_like(target, dtype=torch.bool), SPAN, np.random.default_rng(0), QUIET)
    torch.testing.assert_close(done.cells["g"], target, rtol=1e-12, atol=0)
    assert not bool(done.gave_up.any())


@given(amount=st.floats(0, 5), seed=st.integers(0, 1000))
def test_whole_pulses_are_right_on_average(amount, seed):
    n = 20_000
    pulses = whole_pulses(torch.full((n,), amount, dtype=torch.float64), 1.0, 100, np.random.default_rng(seed))
    low = int(amount)
    assert set(pulses.tolist()) <= {low, low + 1}
    spread = np.sqrt((amount - low) * (1 - amount + low) / n)
    assert float(pulses.double().mean()) == pytest.approx(amount, abs=6 * spread + 1e-3)
