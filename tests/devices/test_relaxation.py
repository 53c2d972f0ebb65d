"""RRAM under write-and-verify: totals at the tabulated times, each part alone, impossible tables refused."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.devices.device import Device
from neuroanp.devices.draws import normal
from neuroanp.devices.protocol import Span
from neuroanp.devices.relaxation import PolynomialError, WanProgramming, WanRelaxation
from neuroanp.errors import InputError
from neuroanp.profiles import load, loads
from tests.close import close

SPAN = Span(1e-6, 40e-6)
G_MAX = SPAN.g_max
SAMPLES = 200_000
LIKE = torch.empty(0, dtype=torch.float64)
DAY = 86400.0

# Wan et al., Nature 608, 504 (2022), uS: powers of r from the highest
TABLE = {
    1.0: (-16.815, 45.393, -43.853, 16.030, 0.348),
    DAY: (-16.458, 47.095, -50.773, 22.086, 0.701),
    2 * DAY: (-11.934, 37.062, -43.507, 20.274, 0.782),
}


def table(seconds: float, r: float) -> float:
    """The tabulated total error, siemens."""
    return 1e-6 * float(np.polyval(TABLE[seconds], r))


def clipped(mean: float, sigma: float) -> tuple[float, float]:
    """Mean and standard deviation of max(0, N(mean, sigma^2))."""
    z = NormalDist()
    share, density = z.cdf(mean / sigma), z.pdf(mean / sigma)
    first = mean * share + sigma * density
    second = (mean**2 + sigma**2) * share + mean * sigma * density
    return first, math.sqrt(second - first**2)


@pytest.fixture(scope="module")
def wan():
    return load("rram_wan")


@pytest.fixture(scope="module")
def written(wan):
    """Targets, conductances just after the write and drift draws, by r."""

    def write(r: float, dtype=torch.float64):
        rng = np.random.default_rng(5)
        target = torch.full((SAMPLES,), r * G_MAX, dtype=dtype)
        xi, nu = (normal(rng, (SAMPLES,), LIKE).to(dtype) for _ in range(2))
        return target, wan.programming.write(target, G_MAX, xi), wan.drift.draw(target, G_MAX, nu)

    return write


def age(seconds: float) -> torch.Tensor:
    return torch.tensor(seconds, dtype=torch.float64)


@pytest.mark.parametrize("seconds", TABLE)
def test_formula_is_the_table(wan, seconds):
    r = torch.linspace(0, 1, 41, dtype=torch.float64)
    sigma = wan.drift.sigma(r * G_MAX, G_MAX, age(seconds))
    assert sigma.tolist() == close([table(seconds, float(x)) for x in r], rel=1e-12)
    assert wan.drift.start == wan.programming.error


@pytest.mark.parametrize("seconds", TABLE)
@pytest.mark.parametrize("r", [0.0025, 0.01, 0.025, 0.05, 0.25, 0.5, 0.75, 1.0])
def test_totals_at_the_tabulated_times(wan, written, r, seconds):
    """The error about the target is the table's, clipped at 0 S; the clipping of the write is felt below r = .05."""
    target, g, nu = written(r)
    at = wan.drift.conductance(g, nu, age(seconds), target, SPAN)
    mean, sd = clipped(r * G_MAX, table(seconds, r))
    assert float(at.min()) >= 0.0
    assert float(at.mean()) == close(mean, rel=0.03 if r < 0.025 and seconds > 1 else 0.01)
    assert float(at.std()) == close(sd, rel=0.01)


@pytest.mark.parametrize("r", [0.25, 0.6, 1.0])
def test_each_part_alone(wan, written, r):
    """Programming alone leaves the first table; drift alone the root of the difference of the squares."""
    target, g, nu = written(r)
    assert float((g - target).std()) == close(table(1.0, r), rel=0.01)
    for seconds in (DAY, 2 * DAY):
        at = wan.drift.conductance(target, nu, age(seconds), target, SPAN)
        extra = math.sqrt(table(seconds, r) ** 2 - table(1.0, r) ** 2)
        assert float((at - target).std()) == close(extra, rel=0.01)
    assert torch.equal(wan.drift.conductance(g, torch.zeros_like(g), age(DAY), target, SPAN), g)


def test_before_the_first_time_nothing_has_come_and_after_the_last_nothing_comes(wan, written):
    for r in (0.0, 0.01, 0.5):
        target, g, nu = written(r)
        for seconds in (0.0, 0.5, 1.0):
            assert torch.equal(wan.drift.conductance(g, nu, age(seconds), target, SPAN), g)
        late = [wan.drift.conductance(g, nu, age(s), target, SPAN) for s in (2 * DAY, 3 * DAY, 1e9)]
        assert torch.equal(late[0], late[1])
        assert torch.equal(late[0], late[2])


@given(share=st.floats(0, 1), r=st.floats(0, 1))
def test_between_times_sigma_is_a_line_in_ln_t(share, r):
    drift = drift_of()
    target = torch.tensor(r * G_MAX, dtype=torch.float64)
    for one, two in ((1.0, DAY), (DAY, 2 * DAY)):
        between = float(drift.sigma(target, G_MAX, age(math.exp(math.log(one) + share * math.log(two / one)))))
        assert between == close((1 - share) * table(one, r) + share * table(two, r), rel=1e-9)


def drift_of(cache: list = []):  # noqa: B006  (hypothesis runs the test many times)
    if not cache:
        cache.append(load("rram_wan").drift)
    return cache[0]


def test_ages_may_differ_from_cell_to_cell(wan, written):
    target, g, nu = (x[:3] for x in written(0.5))
    ages = torch.tensor([1.0, DAY, 2 * DAY], dtype=torch.float64)
    together = wan.drift.conductance(g, nu, ages, target, SPAN)
    alone = [wan.drift.conductance(g[i], nu[i], ages[i], target[i], SPAN) for i in range(3)]
    assert torch.equal(together, torch.stack(alone))


def test_never_written_cells_take_what_they_hold_as_the_target(wan):
    g = torch.tensor([10e-6], dtype=torch.float64)
    nu, none = torch.ones_like(g), torch.full_like(g, torch.nan)
    aged = wan.drift.conductance(g, nu, age(DAY), none, SPAN)
    assert torch.equal(aged, wan.drift.conductance(g, nu, age(DAY), g, SPAN))
    assert float(aged) > 10e-6


def test_float32_is_float64_rounded(wan, written):
    target, g, nu = written(0.02)
    narrow = [x.float() for x in (g, nu, target)]
    aged = wan.drift.conductance(narrow[0], narrow[1], age(DAY), narrow[2], SPAN)
    wide = wan.drift.conductance(g, nu, age(DAY), target, SPAN)
    assert aged.dtype == torch.float32
    assert float((aged.double() - wide).abs().max()) < 1e-6 * G_MAX


def test_scale_follows_the_full_scale_of_the_devices(wan):
    target = torch.tensor([5e-6], dtype=torch.float64)
    assert float(wan.programming.sigma(target, 20e-6)) == close(table(1.0, 0.25) / 2)


def polynomial(seconds: float = 1.0, **c: float) -> PolynomialError:
    filled = {f"c{k}": c.get(f"c{k}", 0.0) for k in range(5)}
    return PolynomialError(time=seconds, g_ref=40e-6, **filled)


def test_an_error_that_is_negative_for_some_target_is_refused():
    polynomial(c0=1e-6, c1=-4e-6, c2=4e-6)  # touches 0 at r = 1/2
    with pytest.raises(ValidationError, match=r"the error is negative, -1e-07 S, at r = 0\.5"):
        polynomial(c0=0.9e-6, c1=-4e-6, c2=4e-6)
    with pytest.raises(ValidationError, match="negative"):
        polynomial(c0=-1e-9)
    text = load("rram_wan").text
    with pytest.raises(InputError, match=r"wan:\d+: programming.error: the error is negative"):
        loads(text.replace("c1: 16.03 uS", "c1: -16.03 uS", 1), "wan")


def test_stages_must_rise_in_time_and_never_fall_below_the_first():
    law = {"start": polynomial(1.0, c0=1e-6), "middle": polynomial(2.0, c0=2e-6), "end": polynomial(3.0, c0=1.5e-6)}
    WanRelaxation(**law)
    with pytest.raises(ValidationError, match=r"end.time\n  not later than middle.time, 2 s"):
        WanRelaxation(**law | {"end": polynomial(2.0, c0=2e-6)})
    with pytest.raises(ValidationError, match="below that of 'start'"):
        WanRelaxation(**law | {"end": polynomial(3.0, c0=2e-6, c1=-4e-6, c2=2.1e-6)})


@pytest.mark.parametrize("key", ["pulses", "deadband"])
def test_impossible_numbers(key):
    with pytest.raises(ValidationError):
        WanProgramming.model_validate({"error": polynomial(c0=1e-6), key: -1})


SIZE = (300, 400)


def through_a_device(effects: set[str], seconds: float, dtype=torch.float64) -> torch.Tensor:
    """Write an array of one target at r = 1/2 through the whole device; return its errors some time later."""
    device = Device(load("rram_wan"), frozenset(effects))
    cells = device.sample(SIZE, np.random.default_rng(0), dtype)
    target = torch.full_like(cells["g"], 20e-6)
    cells, _, _ = device.program(cells, target, None, 100.0, np.random.default_rng(1))
    return device.conductance(cells, 100.0 + seconds) - target


@pytest.mark.parametrize("seconds", TABLE)
def test_totals_and_parts_through_a_device(seconds):
    total, start = table(seconds, 0.5), table(1.0, 0.5)
    both = through_a_device({"programming_error", "drift"}, seconds)
    assert float(both.std()) == close(total, rel=0.01)
    assert float(through_a_device({"programming_error"}, seconds).std()) == close(start, rel=0.01)
    drift = through_a_device({"drift"}, seconds)
    assert float(drift.std()) == pytest.approx(math.sqrt(total**2 - start**2), rel=0.01, abs=1e-12)
    assert float(through_a_device(set(), seconds).abs().max()) < 1e-18
    written = through_a_device({"programming_error"}, 0.0)
    extra = both - written
    assert float((extra * written).mean()) == pytest.approx(0.0, abs=6 * start * total / math.sqrt(written.numel()))
    assert torch.equal(both, through_a_device({"programming_error", "drift"}, seconds))
    narrow = through_a_device({"programming_error", "drift"}, seconds, torch.float32)
    assert float(narrow.std()) == close(total, rel=0.01)
