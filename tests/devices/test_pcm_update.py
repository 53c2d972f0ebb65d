"""Single SET pulses of phase-change memory where g_min is not 0 S, devices differ and pairs are refreshed, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from neuroanp.devices.pcm_update import PcmUpdate
from neuroanp.devices.protocol import Span
from tests.close import close

DOUBLE = torch.float64
SPAN = Span(2e-6, 27e-6)
UNIT = 2.0 / 25e-6
"""Device units a siemens: w_max over the range."""
QUIET = frozenset[str]()
N = 200_000
LAW = PcmUpdate(
    dw=0.01, boost=27.235, decay=2.5, noise=0.6, noise_add=0.042, noise_slope=0.108, w_max=2.0, reset=0.01,
    reset_sd=0.02, refresh_upper=0.75, refresh_lower=0.25, dw_d2d=0.2, w_max_d2d=0.1,
)  # fmt: skip


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def conductance(*w: float) -> torch.Tensor:
    """Pairs as (2, 1, n): first all G+, then all G-."""
    return (SPAN.g_min + torch.tensor(w, dtype=DOUBLE) / UNIT).view(2, 1, -1)


def train(w: float, pulses: int, gain: float = 1.0, top: float = 2.0) -> float:
    for _ in range(pulses):
        w = min(top, w + gain * 0.01 * (1 + 27.235 * math.exp(-2.5 * w)))
    return w


def cells(g: torch.Tensor, gain: list[float], top: list[float]) -> dict[str, torch.Tensor]:
    drawn = (torch.tensor(values, dtype=DOUBLE).view(g.shape) for values in (gain, top))
    return dict(zip(("g", "gain", "top"), (g, *drawn), strict=True))


def test_pulses_raise_each_device_by_its_own_steps_above_g_min():
    """Whole numbers of nominal steps: rounding adds nothing but the last bit of the product."""
    gain, top = [0.5, 1.0, 1.5, 1.0, 1.0, 1.0], [2.0, 2.0, 0.9, 2.0, 2.0, 2.0]
    start = [0.1, 0.3, 0.5, 0.0, 0.05, 0.2]
    state = cells(conductance(*start), gain, top)
    wanted = torch.tensor([3.0, 5.0, 9.0, -4.0, 0.0, 0.0], dtype=DOUBLE).view(2, 1, 3) * 1.000001
    done = LAW.pulse(state, wanted * LAW.nominal / UNIT, SPAN, rng(), QUIET)
    assert done.pulses.flatten().tolist() == [3, 5, 9, 0, 0, 0]
    ends = [train(w, n, s, t) for w, n, s, t in zip(start, (3, 5, 9, 0, 0, 0), gain, top, strict=True)]
    torch.testing.assert_close(done.cells["g"], conductance(*ends), rtol=1e-12, atol=0)


@pytest.mark.parametrize("w", [0.0, 0.5, 1.6])
def test_a_pulse_scatters_by_its_step_a_constant_and_a_share_of_its_state(w):
    """sd = noise (dw(w) + noise_add + noise_slope w); devices may fall, but not below 0."""
    step = train(w, 1) - w
    sigma = 0.6 * (step + 0.042 + 0.108 * w)
    one = torch.ones(N, dtype=DOUBLE)
    found = LAW._raise(w * one, one.int(), one, 99 * one, rng(1), frozenset({"c2c"}))
    assert float(found.min()) >= 0.0
    above = found[found > 0] if w == 0.0 else found
    z = (above - w - step) / sigma
    if w == 0.0:  # clipped at 0: the upper half of the distribution tells its spread
        z = z[z > 0]
        assert float(z.square().mean()) == pytest.approx(1.0, abs=4.5 * math.sqrt(2 / len(z)))
    else:
        assert float(z.mean()) == pytest.approx(0.0, abs=4.5 / math.sqrt(N))
        assert float(z.square().mean()) == pytest.approx(1.0, abs=4.5 * math.sqrt(2 / N))


def test_devices_differ_in_step_and_bound_as_stated():
    drawn = LAW.sample((2, 1, N // 2), rng(), frozenset({"d2d"}), torch.empty(0, dtype=DOUBLE))
    for name, mean, sd in (("gain", 1.0, 0.2), ("top", 2.0, 0.2)):
        z = (drawn[name].flatten() - mean) / sd
        assert float(z.mean()) == pytest.approx(0.0, abs=4.5 / math.sqrt(N))
        assert float(z.square().mean()) == pytest.approx(1.0, abs=4.5 * math.sqrt(2 / N))
    narrow = LAW.model_copy(update={"w_max_d2d": 0.03}).sample((2, 1, N // 2), rng(), frozenset({"d2d"}), drawn["gain"])
    assert torch.equal(narrow["gain"], drawn["gain"])
    assert float(narrow["top"].std()) == close(0.06, rel=0.02)
    alike = LAW.sample((2, 1, 5), rng(), QUIET, drawn["gain"])
    assert (alike["gain"].unique().tolist(), alike["top"].unique().tolist()) == ([1.0], [2.0])


def test_a_refresh_counts_one_reset_a_device_and_the_train_that_writes_the_difference_back():
    """Of three pairs the middle one is full. Its devices have steps of their own, and so have the others."""
    gain, top = [0.2, 0.5, 0.3, 0.4, 1.5, 0.6], [9.0, 1.9, 9.0, 9.0, 1.8, 9.0]
    state = cells(conductance(0.1, 0.9, 1.0, 0.2, 1.7, 0.1), gain, top)
    done = LAW.pulse(state, torch.zeros(2, 1, 3, dtype=DOUBLE), SPAN, rng(), QUIET)
    curve = [train(0.01, n) for n in range(40)]
    pulses = next(n for n, w in enumerate(curve) if w >= 0.8)  # G- is above by 0.8
    assert done.pulses.flatten().tolist() == [0, 1, 0, 0, 1 + pulses, 0]
    ends = conductance(0.1, 0.01, 1.0, 0.2, train(0.01, pulses, 1.5, 1.8), 0.1)
    torch.testing.assert_close(done.cells["g"], ends, rtol=1e-12, atol=0)


def test_a_reset_scatters_as_stated():
    """Reset 0.2 and 0.02 about it, ten standard deviations above 0; pairs that are equal are written nothing back."""
    law = LAW.model_copy(update={"reset": 0.2})
    one = torch.ones(2 * 20_000, dtype=DOUBLE)
    found, extra = law._refresh(1.8 * one, one, 2 * one, rng(), frozenset({"c2c"}))
    assert extra.unique().tolist() == [1]
    z = (found - 0.2) / 0.02
    assert float(z.mean()) == pytest.approx(0.0, abs=4.5 / math.sqrt(40_000))
    assert float(z.square().mean()) == pytest.approx(1.0, abs=4.5 * math.sqrt(2 / 40_000))


def test_the_nominal_step_leads_from_reset_to_the_threshold():
    """Mean rise of a pulse while w is below 0.75 w_max, from a reset that is not small."""
    law = LAW.model_copy(update={"reset": 0.4})
    w, count = 0.4, 0
    while w < 1.5:
        w, count = train(w, 1), count + 1
    assert law.nominal == close((1.5 - 0.4) / count, rel=1e-12)
