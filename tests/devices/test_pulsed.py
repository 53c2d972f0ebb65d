"""Every law of pulses as its profile loads it: curves of another tool, moments, bounds, write-verify, bad input."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp.devices.ecram import LinearStep
from neuroanp.devices.protocol import Pulsed
from neuroanp.devices.pulsed import PulsedLaw
from neuroanp.devices.rram import SoftBounds
from neuroanp.errors import InputError
from neuroanp.profiles import loads
from tests.close import close
from tests.devices.pulses import NONE, PROFILES, SIGMAS, SPAN, Cells, N, device_units, devices, law_of, siemens

REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "pulse_curves.json").read_text())
"""aihwkit 1.2.0, variability at zero: up pulses from 0, then down pulses from where the last of them ended."""

PRESETS = {"Capacitor": "capacitor", "EcRam": "ecram", "ReRamES": "rram_es", "ReRamArrayOM": "rram_hfo2_om"}


def send(law: PulsedLaw, cells: Cells, pulses: float, effects=NONE, seed: int = 0) -> tuple[Cells, Pulsed]:
    """Send so many pulses to every device at once, down if negative."""
    whole = law.model_copy(update={"pulses": "deterministic"})
    done = whole.pulse(cells, siemens(pulses * law.dw, cells["g"]), SPAN, np.random.default_rng(seed), effects)
    assert done.pulses.unique().tolist() == [abs(pulses)]
    return {**cells, **done.cells}, done


# --- pulse curves ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("preset", PRESETS)
def test_pulse_curve(preset, dtype):
    law, curve = law_of(PRESETS[preset]), REFERENCE["curves"][preset]
    cells = devices(law, 1, NONE, dtype=dtype)
    for name, sign in (("w_up", 1), ("w_down_from_there", -1)):
        sent = 0
        for pulses in map(int, curve[name]):
            while sent < pulses:
                train = min(pulses - sent, law.max_pulses)
                cells, _ = send(law, cells, sign * train)
                sent += train
            expected = curve[name][str(pulses)]
            assert float(device_units(cells["g"].double())) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_profile_has_the_numbers_of_the_preset(preset):
    law, numbers = law_of(PRESETS[preset]), REFERENCE["presets"][preset]
    assert (law.dw, law.bound_up, -law.bound_down) == (numbers["dw_min"], numbers["w_max"], numbers["w_min"])
    assert (law.dw_d2d, law.c2c, law.up_down) == (numbers["dw_min_dtod"], numbers["dw_min_std"], numbers["up_down"])
    assert law.write_noise * law.dw == close(numbers["write_noise_std_weight_units"], rel=1e-6)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_train_is_its_pulses_one_after_another(preset):
    law, curve = law_of(PRESETS[preset]), REFERENCE["curves"][preset]["w_up"]
    cells = devices(law, 1, NONE)
    train, _ = send(law, cells, 10)
    for sent in range(1, 11):
        cells, _ = send(law, cells, 1)
        if str(sent) in curve:
            assert float(device_units(cells["g"])) == pytest.approx(curve[str(sent)], abs=1e-6)
    assert torch.equal(cells["w"], train["w"])


# --- moments -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
def test_steps_spread_from_device_to_device_as_stated(profile):
    """(s+ + s-)/2 = dw (gd - b/2) and (s+ - s-)/2 = dw (rho + b/2)."""
    law = law_of(profile)
    cells = devices(law, N, frozenset({"d2d"}))
    gain = (cells["up"] + cells["down"]) / (2 * law.dw) + abs(law.up_down) / 2
    rho = (cells["up"] - cells["down"]) / (2 * law.dw) - law.up_down / 2
    if law.lognormal:
        gain = gain.log()
        centre = 0.0  # the median is dw
    else:
        centre = 1.0
    assert float(gain.mean()) == pytest.approx(centre, abs=SIGMAS * law.dw_d2d / math.sqrt(N))
    assert float(gain.std()) == close(law.dw_d2d, rel=SIGMAS / math.sqrt(2 * N))
    assert float(rho.mean()) == pytest.approx(0.0, abs=SIGMAS * law.up_down_d2d / math.sqrt(N))
    assert float(rho.std()) == close(law.up_down_d2d, rel=SIGMAS / math.sqrt(2 * N))


@pytest.mark.parametrize("profile", PROFILES)
def test_bounds_spread_from_device_to_device_as_stated(profile):
    """|1 + s xi| has mean 1 + s (2 phi(1/s) - 2 Phi(-1/s) / s) and second moment 1 + s^2."""
    law = law_of(profile)
    cells = devices(law, N, frozenset({"d2d"}))
    for bound, nominal, s in (
        (cells["w_max"], law.bound_up, law.bound_up_d2d), (-cells["w_min"], law.bound_down, law.bound_down_d2d),
    ):  # fmt: skip
        folded = 2 * math.exp(-0.5 / s**2) / math.sqrt(2 * math.pi) - math.erfc(1 / (s * math.sqrt(2))) / s
        assert float(bound.mean()) == pytest.approx(nominal * (1 + s * folded), abs=SIGMAS * nominal * s / math.sqrt(N))
        square = bound.square()
        error = SIGMAS * float(square.std()) / math.sqrt(N)
        assert float(square.mean()) == pytest.approx(nominal**2 * (1 + s**2), abs=error)
        assert float(bound.min()) > 0


@pytest.mark.parametrize("profile", PROFILES)
def test_without_d2d_all_devices_are_the_nominal_one(profile):
    law = law_of(profile)
    cells = devices(law, 10, NONE)
    nominal = {"w_max": law.bound_up, "w_min": -law.bound_down, "w": 0.0, "ref": 0.0}
    assert {name: cells[name].unique().tolist() for name in nominal} == {k: [v] for k, v in nominal.items()}


@pytest.mark.parametrize(("b", "up", "down"), [(0.25, 1.0, 0.75), (-0.25, 0.75, 1.0), (0.0, 1.0, 1.0)])
def test_asymmetry_makes_one_direction_smaller(b, up, down):
    law = LinearStep(
        dw=0.01, bound_up=1.0, bound_down=1.0, up_down=b, gamma_up=0.0, gamma_down=0.0, noise="additive",
        tolerance=0.1, max_pulses=10,
    )  # fmt: skip
    cells = devices(law, 1, NONE)
    for pulses, step in ((1, up), (-1, down)):
        assert float(send(law, cells, pulses)[0]["w"]) == close(pulses * step * law.dw, rel=1e-12)


@pytest.mark.parametrize("profile", PROFILES)
def test_one_pulse_from_zero_scatters_by_c2c_steps(profile):
    """w = 0: mean s f(0), standard deviation c2c s f(0), for both kinds of noise (additive laws have f(0) = 1)."""
    law = law_of(profile)
    cells = devices(law, N, NONE)
    for sign in (1, -1):
        step = float(send(law, devices(law, 1, NONE), sign)[0]["w"])
        w = send(law, cells, sign, frozenset({"c2c"}), seed=7)[0]["w"]
        error = SIGMAS * law.c2c * abs(step) / math.sqrt(N)
        assert float(w.mean()) == pytest.approx(step, abs=error)
        assert float(w.std()) == close(law.c2c * abs(step), rel=SIGMAS / math.sqrt(2 * N))


def test_multiplicative_noise_shrinks_with_the_step_and_additive_does_not():
    fields = dict(  # noqa: C408
        dw=0.01, bound_up=1.0, bound_down=1.0, gamma_up=0.8, gamma_down=0.0, c2c=0.5, tolerance=0.1, max_pulses=10
    )
    for noise, share in (("multiplicative", 0.6), ("additive", 1.0)):  # f+ at half of the bound is 0.6
        law = LinearStep(**fields, noise=noise)
        cells = devices(law, N, NONE)
        cells = {**cells, **law.hold(cells, SPAN.middle + siemens(0.5, cells["g"]), SPAN)}
        w = send(law, cells, 1, frozenset({"c2c"}))[0]["w"]
        assert float(w.mean()) == pytest.approx(0.506, abs=SIGMAS * 0.005 / math.sqrt(N))
        assert float(w.std()) == close(0.005 * share, rel=SIGMAS / math.sqrt(2 * N))


@pytest.mark.parametrize("profile", ["rram_hfo2", "rram_hfo2_om", "rram_es"])
def test_write_noise_does_not_accumulate(profile):
    """The visible weight scatters by write_noise dw around the state after 1 pulse as after 100 in turn."""
    law = law_of(profile)
    cells = devices(law, 4_000, NONE)
    for sent in range(1, 101):
        cells, _ = send(law, cells, 1 if sent % 2 else -1, frozenset({"write_noise"}), seed=sent)
        if sent in (1, 100):
            assert float(cells["w"].std()) < 1e-12
            scatter = device_units(cells["g"]) - (cells["w"] - cells["ref"])
            sigma = law.write_noise * law.dw
            assert float(scatter.mean()) == pytest.approx(0.0, abs=SIGMAS * sigma / math.sqrt(4_000))
            assert float(scatter.std()) == close(sigma, rel=SIGMAS / math.sqrt(2 * 4_000))


# --- symmetry point ----------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["rram_hfo2", "ecram", "rram_es"])
def test_steps_cancel_at_the_symmetry_point(profile):
    law = law_of(profile)
    cells = devices(law, 2000, frozenset({"d2d"}))
    device = [cells[k] for k in ("up", "down", "w_max", "w_min")]
    point, zero = law.symmetry_point(*device), torch.zeros_like(cells["up"])
    inside = (point > 0.95 * cells["w_min"]) & (point < 0.95 * cells["w_max"])
    assert float(inside.double().mean()) > 0.9
    wide = [device[0] * 1e-3, device[1] * 1e-3, *device[2:]]  # steps so small that no bound is met
    rise = law.step(point, zero + 1, *wide, zero) - point
    fall = point - law.step(point, zero - 1, *wide, zero)
    torch.testing.assert_close(rise[inside], fall[inside], rtol=1e-6, atol=1e-13)


@pytest.mark.parametrize("profile", ["rram_hfo2", "ecram"])
def test_the_closed_form_of_the_symmetry_point_is_what_halving_finds(profile):
    law = law_of(profile)
    cells = devices(law, 2000, frozenset({"d2d"}))
    device = [cells[k] for k in ("up", "down", "w_max", "w_min")]
    torch.testing.assert_close(law.symmetry_point(*device), PulsedLaw.symmetry_point(law, *device), rtol=0, atol=1e-9)


def test_without_a_symmetry_point_it_is_the_bound_that_pulses_drive_to():
    for up_down, bound in ((0.2, 1.0), (-0.2, -0.7)):
        law = LinearStep(
            dw=0.01, bound_up=1.0, bound_down=0.7, gamma_up=0.0, gamma_down=0.0, up_down=up_down, noise="additive",
            reference="symmetry_point", tolerance=0.1, max_pulses=10,
        )  # fmt: skip
        cells = devices(law, 1, NONE)
        device = [cells[k] for k in ("up", "down", "w_max", "w_min")]
        assert float(cells["ref"]) == bound
        assert float(PulsedLaw.symmetry_point(law, *device)) == pytest.approx(bound, abs=1e-12)


def test_pulses_in_turn_end_at_the_symmetry_point_on_average():
    """Soft bounds: a pair of pulses maps w linearly; halfway between its ends lies the symmetry point to O(dw^2)."""
    law = SoftBounds(dw=0.04, bound_up=1.0, bound_down=0.7, up_down=0.3, c2c=0.4, tolerance=0.1, max_pulses=10)
    cells = devices(law, 4_000, NONE)
    up, down, symmetry = law.dw, 0.7 * law.dw, float(cells["ref"][0, 0])
    a, b = 1 - up / law.bound_up, 1 - down / law.bound_down
    after_down = (b * up - down) / (1 - a * b)
    after_up = a * after_down + up
    for sent in range(1, 201):
        cells, _ = send(law, cells, 1 if sent % 2 else -1, frozenset({"c2c"}), seed=sent)
    scatter = law.c2c * math.sqrt((b * up) ** 2 + down**2) / math.sqrt(1 - (a * b) ** 2)
    assert float(cells["w"].std()) == close(scatter, rel=SIGMAS / math.sqrt(2 * 4_000))
    assert float(cells["w"].mean()) == pytest.approx(after_down, abs=SIGMAS * scatter / math.sqrt(4_000))
    assert 0.5 * (after_up + after_down) == pytest.approx(symmetry, abs=law.dw**2)


# --- impossible devices ------------------------------------------------------------------------------


@pytest.mark.parametrize(("profile", "key", "value", "message"), [
    ("ecram", "dw", "2.5", "leaps the whole range of 2; lower dw"),
    ("ecram", "dw", "0", "is not a number above 0"),
    ("ecram", "c2c", "-0.3", "is not a number of 0 or above"),
    ("ecram", "dw_d2d", "-0.1", "is not a number of 0 or above"),
    ("rram_hfo2", "write_noise", "-1", "is not a number of 0 or above"),
    ("rram_hfo2", "bound_up_d2d", "-0.1", "is not a number of 0 or above"),
    ("ecram", "bound_down", "-0.8276", "is not a number above 0"),
    ("ecram", "bound_up", "0", "is not a number above 0"),
    ("ecram", "gamma_down", "1.25", "would change sign at 0.8 of the bound"),
    ("ecram", "gamma_up", "-0.1", "would grow towards the bound"),
    ("ecram", "noise", "additve", "did you mean 'additive'?"),
    ("ecram", "pulses", "outer_product", "is not one of stochastic, deterministic"),
    ("ecram", "tolerance", "2", "nothing would be written"),
    ("ecram", "max_pulses", "0", "0 must be above 0"),
    ("rram_es", "up_down", "1.0", "turns the down step round"),
    ("rram_es", "up_down", "-1.5", "turns the up step round"),
    ("rram_es", "A_up", "13", "no up step is left"),
    ("rram_es", "A_down", "0.1", "no down step is left"),
    ("rram_es", "gamma_up", "60", "the exponent reaches 90"),
])  # fmt: skip
def test_impossible_devices_are_refused_at_load(profile, key, value, message):
    with pytest.raises(InputError) as caught:
        loads(f"extends: {profile}\nmeta: {{name: mine}}\nupdate:\n  {key}: {value}\n", "mine.yaml")
    text = str(caught.value)
    assert f"mine.yaml:4: update.{key}:" in text
    assert message in text
