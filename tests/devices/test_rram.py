"""What is particular to the filament: spread of its devices, its reference, and the bits of earlier runs.

What it shares with all pulsed devices is in test_pulsed.py.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroanp.devices.protocol import Span
from neuroanp.devices.rram import SoftBounds
from neuroanp.profiles import load

SPAN = Span(1e-6, 40e-6)
QUIET = frozenset[str]()
ALL = frozenset({"programming_error", "write_noise", "c2c", "d2d"})


def hfo2() -> SoftBounds:
    law = load("rram_hfo2").update
    assert isinstance(law, SoftBounds)
    return law


def array(law: SoftBounds, shape: tuple[int, ...], effects: frozenset[str], rng: np.random.Generator):
    g = torch.full(shape, SPAN.middle, dtype=torch.float64)
    return {"g": g, **law.sample(shape, rng, effects, g)}


TARGET = SPAN.middle + SPAN.width / 2 * torch.linspace(-0.5, 0.5, 12, dtype=torch.float64).view(1, 4, 3)


def device_units(g: torch.Tensor) -> torch.Tensor:
    return (g - SPAN.middle) * 2 / SPAN.width


def test_pulses_of_earlier_versions_keep_their_numbers():
    """Everything on: as version 0.1 left it; any change of a draw's order shows."""
    law, rng = hfo2(), np.random.default_rng(11)
    cells = array(law, (1, 4, 3), ALL, rng)
    then = law.pulse(cells, 2 * (TARGET - SPAN.middle), SPAN, rng, ALL)
    assert then.pulses.flatten().tolist() == [2, 2, 1, 1, 1, 0, 0, 1, 1, 1, 2, 2]
    w = [
        -0.93070933559, -1.179434532957, -0.876033094711, -0.389810075386, -0.488392676965, 0.016905870065,
        0.046246462368, 0.262087394478, 0.680625505326, 0.121210092082, 1.30805277919, 0.722433975617,
    ]  # fmt: skip
    assert then.cells["w"].flatten().tolist() == pytest.approx(w, abs=2e-12)
    microsiemens = [
        -6.6246716824, -3.3618481423, -4.8001172202, 13.3172193337, 18.2275410781, 20.5, 20.5, 37.5109691589,
        23.8766100066, 20.0004881821, 51.4324245567, 42.6985493345,
    ]  # fmt: skip
    assert (1e6 * then.cells["g"]).flatten().tolist() == pytest.approx(microsiemens, abs=2e-10)


def test_writes_keep_their_numbers():
    """Their draws lie at addresses of their own since version 0.2: other numbers than those of 0.1."""
    law = hfo2()
    cells = array(law, (1, 4, 3), ALL, np.random.default_rng(11))
    everywhere = torch.ones_like(TARGET, dtype=torch.bool)
    first = law.program(cells, TARGET, everywhere, SPAN, np.random.default_rng(12), ALL)
    assert first.pulses.flatten().tolist() == [4, 11, 65, 2, 4, 0, 0, 12, 1, 3, 12, 4]
    w = [
        -0.340006187172, -0.656625312833, -0.876033094711, -0.340360649477, 0.253589115328, 0.016905870065,
        0.046246462368, -0.230536113496, 0.680625505326, 0.02852457969, -0.038674892893, 0.498769380707,
    ]  # fmt: skip
    assert first.cells["w"].flatten().tolist() == pytest.approx(w, abs=2e-12)


def test_devices_are_drawn_in_a_fixed_order():
    law = hfo2()
    cells = array(law, (1, 50, 1), ALL, np.random.default_rng(3))
    gain, rho, high, low, error = np.random.default_rng(3).standard_normal((5, 50))
    up = law.dw * np.abs(np.exp(law.dw_d2d * gain) + law.up_down_d2d * rho)
    down = law.dw * np.abs(np.exp(law.dw_d2d * gain) - law.up_down_d2d * rho)
    w_max, w_min = np.abs(1 + law.bound_up_d2d * high), -np.abs(1 + law.bound_down_d2d * low)
    ref = (up - down) / (up / w_max - down / w_min) + law.reference_sd * error
    for name, expected in {"up": up, "down": down, "w_max": w_max, "w_min": w_min, "ref": ref, "w": ref}.items():
        np.testing.assert_allclose(cells[name].flatten().numpy(), expected, rtol=1e-12, err_msg=name)


def test_steps_cancel_at_the_symmetry_point_of_every_device():
    law = SoftBounds(
        dw=0.05, bound_up=1.0, bound_down=0.7, up_down=0.2, up_down_d2d=0.05, dw_d2d=0.3,
        bound_up_d2d=0.2, bound_down_d2d=0.2, tolerance=0.1, max_pulses=10,
    )  # fmt: skip
    cells = array(law, (1, 500, 1), frozenset({"d2d"}), np.random.default_rng(0))
    w, zero = cells["ref"], torch.zeros_like(cells["ref"])
    device = [cells[k] for k in ("up", "down", "w_max", "w_min")]
    up = law.step(w, zero + 1, *device, zero) - w
    down = w - law.step(w, zero - 1, *device, zero)
    torch.testing.assert_close(up, down, rtol=1e-9, atol=1e-12)


def test_what_is_read_is_the_device_minus_its_reference():
    """A fresh device stands at its symmetry point, or beside it by the error of the reference, and reads as zero."""
    law = hfo2()
    for effects in (QUIET, ALL):
        cells = array(law, (1, 500, 1), effects, np.random.default_rng(0))
        assert torch.equal(cells["w"], cells["ref"])
        held = law.hold(cells, cells["g"], SPAN)
        torch.testing.assert_close(held["w"], cells["w"], rtol=0, atol=1e-15)
    assert float(cells["ref"].std()) > 0.9 * law.reference_sd


def test_write_verify_without_programming_error_lands_on_the_target():
    law, rng = hfo2(), np.random.default_rng(0)
    cells = array(law, (1, 100, 1), QUIET, rng)
    target = SPAN.middle + SPAN.width / 2 * torch.linspace(-0.9, 0.9, 100, dtype=torch.float64).view(1, 100, 1)
    done = law.program(cells, target, torch.ones_like(target, dtype=torch.bool), SPAN, rng, QUIET)
    torch.testing.assert_close(done.cells["g"], target, rtol=1e-12, atol=0)
    assert done.gave_up is not None
    assert not bool(done.gave_up.any())
    beyond = law.program(cells, 2 * target, torch.ones_like(target, dtype=torch.bool), SPAN, rng, QUIET)
    assert beyond.gave_up is not None
    assert torch.equal(beyond.gave_up, device_units(2 * target).abs() > 1.0)
    assert bool((beyond.cells["w"].abs() <= 1.0).all())
