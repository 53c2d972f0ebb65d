"""Every law of pulses as its profile loads it: curves of another tool, moments, bounds, write-verify, bad input."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.devices.draws import whole_pulses
from neuroanp.devices.ecram import LinearStep
from neuroanp.devices.exponential_step import ExponentialStep
from neuroanp.devices.protocol import Pulsed, Span
from neuroanp.devices.pulsed import PulsedLaw
from neuroanp.devices.rram import SoftBounds
from neuroanp.errors import InputError
from neuroanp.profiles import load, loads
from tests.close import close

REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "pulse_curves.json").read_text())
"""aihwkit 1.2.0, variability at zero: up pulses from 0, then down pulses from where the last of them ended."""

PRESETS = {"Capacitor": "capacitor", "EcRam": "ecram", "ReRamES": "rram_es", "ReRamArrayOM": "rram_hfo2_om"}
PROFILES = ["capacitor", "ecram", "ecram_mo", "rram_es", "rram_hfo2", "rram_hfo2_om", "spintronic"]
SPAN = Span(5e-6, 25e-6)
NONE = frozenset[str]()
ALL = frozenset({"programming_error", "c2c", "d2d", "write_noise"})
N = 100_000
SIGMAS = 5.0
"""A moment may be off by so many of its own standard errors."""

Cells = dict[str, torch.Tensor]


@cache
def law_of(profile: str) -> PulsedLaw:
    law = load(profile).update
    assert isinstance(law, PulsedLaw)
    return law


def devices(law: PulsedLaw, n: int, effects: frozenset[str], seed: int = 0, dtype=torch.float64) -> Cells:
    g = torch.full((1, n, 1), SPAN.middle, dtype=dtype)
    return {"g": g, **law.sample((1, n, 1), np.random.default_rng(seed), effects, g)}


def device_units(g: torch.Tensor) -> torch.Tensor:
    return (g - SPAN.middle) * 2 / SPAN.width


def siemens(v: torch.Tensor | float, like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(v, dtype=like.dtype).expand(like.shape) * (SPAN.width / 2)


def send(law: PulsedLaw, cells: Cells, pulses: float, effects=NONE, seed: int = 0) -> tuple[Cells, Pulsed]:
    """Send so many pulses to every device at once, down if negative."""
    whole = law.model_copy(update={"pulses": "deterministic"})
    done = whole.pulse(cells, siemens(pulses * law.dw, cells["g"]), SPAN, np.random.default_rng(seed), effects)
    assert done.pulses.unique().tolist() == [abs(pulses)]
    return {**cells, **done.cells}, done


def program(law: PulsedLaw, cells: Cells, v: torch.Tensor, effects: frozenset[str], seed: int = 0) -> Pulsed:
    target = (SPAN.middle + siemens(v, cells["g"])).to(cells["g"].dtype)
    everywhere = torch.ones_like(target, dtype=torch.bool)
    return law.program(cells, target, everywhere, SPAN, np.random.default_rng(seed), effects)


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


# --- bounds, trains, write and verify ----------------------------------------------------------------

_linear = st.builds(
    LinearStep,
    dw=st.floats(1e-4, 0.9), bound_up=st.floats(0.5, 2), bound_down=st.floats(0.5, 2), tolerance=st.floats(1e-3, 0.5),
    max_pulses=st.integers(1, 40), dw_d2d=st.floats(0, 2), up_down=st.floats(-0.99, 0.99),
    bound_up_d2d=st.floats(0, 2), bound_down_d2d=st.floats(0, 2), c2c=st.floats(0, 5), write_noise=st.floats(0, 5),
    reference_sd=st.floats(0, 1), gamma_up=st.floats(0, 1), gamma_down=st.floats(0, 1),
    noise=st.sampled_from(["additive", "multiplicative"]), dw_distribution=st.sampled_from(["normal", "lognormal"]),
    reference=st.sampled_from(["zero", "symmetry_point"]), pulses=st.sampled_from(["stochastic", "deterministic"]),
)  # fmt: skip
_soft = st.builds(
    SoftBounds,
    dw=st.floats(1e-4, 0.9), bound_up=st.floats(0.5, 2), bound_down=st.floats(0.5, 2), tolerance=st.floats(1e-3, 0.5),
    max_pulses=st.integers(1, 40), dw_d2d=st.floats(0, 2), up_down=st.floats(-0.99, 0.99),
    bound_up_d2d=st.floats(0, 2), bound_down_d2d=st.floats(0, 2), c2c=st.floats(0, 5), write_noise=st.floats(0, 5),
    reference_sd=st.floats(0, 1),
)  # fmt: skip
_exponential = st.builds(
    ExponentialStep,
    dw=st.floats(1e-4, 0.9), bound_up=st.floats(0.5, 2), bound_down=st.floats(0.5, 2), tolerance=st.floats(1e-3, 0.5),
    max_pulses=st.integers(1, 40), dw_d2d=st.floats(0, 2), bound_up_d2d=st.floats(0, 2), c2c=st.floats(0, 5),
    A_up=st.floats(-3, 0), A_down=st.floats(-3, 0.01), gamma_up=st.floats(0, 8), gamma_down=st.floats(0, 8),
    a=st.floats(-2, 2), b=st.floats(0, 0.5), reference=st.sampled_from(["zero", "symmetry_point"]),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    law=st.one_of(_linear, _soft, _exponential),
    seed=st.integers(0, 1000),
    size=st.floats(0, 20),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    effects=st.sets(st.sampled_from(sorted(ALL))),
)
def test_no_pulse_leaves_the_bounds_of_its_device(law, seed, size, dtype, effects):
    effects = frozenset(effects)
    cells = devices(law, 50, effects, seed, dtype)
    rng = np.random.default_rng(seed)
    v = torch.from_numpy(rng.uniform(-2, 2, cells["g"].shape)).to(dtype)
    for done in (
        law.pulse(cells, siemens(size * v, cells["g"]), SPAN, rng, effects), program(law, cells, v, effects, seed),
    ):  # fmt: skip
        w, touched = done.cells["w"], done.pulses > 0
        assert bool(torch.isfinite(done.cells["g"]).all())
        assert bool(((w <= cells["w_max"]) & (w >= cells["w_min"]))[touched].all())
        assert torch.equal(w[~touched], cells["w"][~touched])
        assert torch.equal(done.cells["g"][~touched], cells["g"][~touched])
        assert int(done.pulses.min()) >= 0
        assert int(done.pulses.max()) <= law.max_pulses
        assert w.dtype == done.cells["g"].dtype == dtype


@pytest.mark.parametrize("profile", ["rram_hfo2", "ecram", "rram_es"])
def test_trains_of_different_lengths_equal_a_plain_loop(profile):
    """The noise of a round of pulses goes to the devices still pulsed, in their order in the array."""
    law = law_of(profile)
    cells = devices(law, 500, ALL)
    dg = siemens(torch.from_numpy(np.random.default_rng(1).normal(0, 10 * law.dw, (1, 500, 1))), cells["g"])
    done = law.pulse(cells, dg, SPAN, np.random.default_rng(2), ALL)

    rng = np.random.default_rng(2)
    count = whole_pulses(device_units(SPAN.middle + dg).abs(), law.dw, law.max_pulses, rng)
    w = cells["w"].clone()
    for sent in range(int(count.max())):
        on = count > sent
        state = [cells[k][on] for k in ("up", "down", "w_max", "w_min")]
        w[on] = law.step(w[on], dg[on], *state, torch.from_numpy(rng.standard_normal(int(on.sum()))))
    assert torch.equal(done.pulses, count)
    assert torch.equal(done.cells["w"], w)
    assert len(count.unique()) > 10


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("profile", PROFILES)
def test_write_verify_keeps_its_promise(profile, dtype):
    law = law_of(profile)
    cells = devices(law, 300, ALL, dtype=dtype)
    v = torch.from_numpy(np.random.default_rng(5).uniform(-0.5, 0.5, (1, 300, 1)))
    done = program(law, cells, v, ALL)
    off = (device_units(done.cells["g"].double()) - v).abs()
    slack = 1e-5 if dtype == torch.float32 else 1e-9
    assert done.gave_up is not None
    assert float(off[~done.gave_up].max()) <= law.tolerance + slack
    assert bool((off[done.gave_up] > law.tolerance - slack).all())
    assert bool((done.pulses[done.gave_up] == law.max_pulses).all())
    assert float(done.gave_up.double().mean()) < (0.15 if "hfo2" in profile else 0.03)  # narrow bounds of their own


@pytest.mark.parametrize("profile", PROFILES)
def test_write_verify_of_a_target_out_of_reach_says_so(profile):
    law = law_of(profile).model_copy(update={"max_pulses": 30})
    cells = devices(law, 20, NONE)
    done = program(law, cells, torch.full_like(cells["g"], 1.5), frozenset({"programming_error"}))
    assert done.gave_up is not None
    assert bool(done.gave_up.all())
    assert done.pulses.unique().tolist() == [30]


def test_a_stuck_device_is_pulsed_in_vain():
    law = law_of("ecram").model_copy(update={"max_pulses": 50})
    cells = devices(law, 10, ALL)
    stuck = torch.zeros_like(cells["g"], dtype=torch.bool)
    stuck[0, 3] = True
    done = program(law, {**cells, "stuck": stuck}, torch.full_like(cells["g"], 0.05), ALL)
    assert done.gave_up is not None
    assert done.gave_up.nonzero().tolist() == [[0, 3, 0]]
    assert int(done.pulses[0, 3]) == 50
    assert float(done.cells["w"][0, 3]) == float(cells["w"][0, 3])


# --- determinism and isolation -----------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
def test_seeds_decide_and_inputs_stay(profile):
    law = law_of(profile).model_copy(update={"max_pulses": 50})
    cells = devices(law, 200, ALL)
    kept = {name: value.clone() for name, value in cells.items()}
    dg = siemens(torch.from_numpy(np.random.default_rng(0).normal(0, 5 * law.dw, (1, 200, 1))), cells["g"])
    results = [law.pulse(cells, dg, SPAN, np.random.default_rng(seed), ALL) for seed in (3, 3, 4)]
    assert torch.equal(results[0].cells["g"], results[1].cells["g"])
    assert not torch.equal(results[0].cells["g"], results[2].cells["g"])
    writes = [program(law, cells, torch.full_like(cells["g"], 0.3), ALL, seed) for seed in (3, 3, 4)]
    assert torch.equal(writes[0].cells["g"], writes[1].cells["g"])
    assert not torch.equal(writes[0].cells["g"], writes[2].cells["g"])
    assert all(torch.equal(cells[name], kept[name]) for name in kept)


@pytest.mark.parametrize("profile", ["rram_hfo2", "rram_es"])
def test_switching_the_noise_of_pulses_off_shifts_no_other_draw(profile):
    law = law_of(profile)
    cells = devices(law, 200, ALL)

    def noise(effects):
        done = law.pulse(cells, siemens(3.4 * law.dw, cells["g"]), SPAN, np.random.default_rng(0), effects)
        return done.pulses, device_units(done.cells["g"]) - (done.cells["w"] - cells["ref"])

    with_c2c, without = noise(ALL), noise(ALL - {"c2c"})
    assert torch.equal(with_c2c[0], without[0])
    torch.testing.assert_close(with_c2c[1], without[1], rtol=0, atol=1e-12)
    state = [
        law.pulse(cells, siemens(3.4 * law.dw, cells["g"]), SPAN, np.random.default_rng(0), effects).cells["w"]
        for effects in (ALL, ALL - {"write_noise"})
    ]
    assert torch.equal(*state)


# --- rounding ----------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(amount=st.floats(0, 5), seed=st.integers(0, 1000))
def test_stochastic_rounding_is_right_on_average(amount, seed):
    n = 20_000
    pulses = whole_pulses(torch.full((n,), amount, dtype=torch.float64), 1.0, 100, np.random.default_rng(seed))
    low = int(amount)
    assert set(pulses.tolist()) <= {low, low + 1}
    spread = np.sqrt((amount - low) * (1 - amount + low) / n)
    assert float(pulses.double().mean()) == pytest.approx(amount, abs=6 * spread + 1e-3)


@given(amount=st.floats(0, 200))
def test_deterministic_rounding_goes_to_the_nearest(amount):
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    pulses = whole_pulses(torch.tensor([amount], dtype=torch.float64), 1.0, 100, rng, "deterministic")
    assert int(pulses) == min(100, math.floor(amount + 0.5))
    assert rng.bit_generator.state == before


def test_the_field_pulses_chooses_the_rounding():
    """A third of a step: stochastically one device in three is pulsed, deterministically none."""
    law = law_of("ecram")
    cells = devices(law, N, NONE)
    dg = siemens(law.dw / 3, cells["g"])
    for pulses, share in (("stochastic", 1 / 3), (None, 1 / 3), ("deterministic", 0.0)):
        done = law.model_copy(update={"pulses": pulses}).pulse(cells, dg, SPAN, np.random.default_rng(0), NONE)
        assert float(done.pulses.double().mean()) == pytest.approx(share, abs=SIGMAS * math.sqrt(2 / 9 / N))


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
