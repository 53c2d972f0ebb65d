"""Trains, write-verify and rounding of pulsed devices: bounds are kept, promises too, and draws shift no other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.devices.draws import whole_pulses
from neuroanp.devices.ecram import LinearStep
from neuroanp.devices.exponential_step import ExponentialStep
from neuroanp.devices.protocol import Pulsed
from neuroanp.devices.pulsed import PulsedLaw
from neuroanp.devices.rram import SoftBounds
from tests.devices.pulses import NONE, PROFILES, SIGMAS, SPAN, Cells, N, device_units, devices, law_of, siemens

ALL = frozenset({"programming_error", "c2c", "d2d", "write_noise"})


def program(law: PulsedLaw, cells: Cells, v: torch.Tensor, effects: frozenset[str], seed: int = 0) -> Pulsed:
    target = (SPAN.middle + siemens(v, cells["g"])).to(cells["g"].dtype)
    everywhere = torch.ones_like(target, dtype=torch.bool)
    return law.program(cells, target, everywhere, SPAN, np.random.default_rng(seed), effects)


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
