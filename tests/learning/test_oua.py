"""The mathematics of Ornstein-Uhlenbeck adaptation: how weights wander, and that their means follow the gradient."""

from __future__ import annotations

from math import exp, sqrt

import pytest
import torch
from pydantic import ValidationError

from neuroanp.learning import requirements
from neuroanp.learning.moving import by_itself
from neuroanp.learning.oua import OUA, PAPER, advantages, gain, wandered
from neuroanp.noise import Streams
from tests.close import close

COPIES = 4000


def normals(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(Streams(seed).generator("test").standard_normal(shape))


@pytest.mark.parametrize(("lam", "sigma"), [(0.05, 0.3), (0.5, 1.0), (3.0, 0.2)])
def test_it_stays_at_its_stationary_variance_and_forgets_exponentially(lam, sigma):
    """Var = sigma^2 / (2 lambda) and C(k) = Var e^{-lambda k}, within 5 standard errors of independent copies."""
    sd, var = sigma / sqrt(2 * lam), sigma**2 / (2 * lam)
    d = wandered(None, normals(12, COPIES), lam, sd)
    assert OUA(lam=lam, sigma=sigma).deviation == close(sd, rel=1e-12)
    for t in (0, 5, 11):
        assert abs(float(d[t].square().mean()) / var - 1) < 5 * sqrt(2 / COPIES)
    for lag in (1, 4, 11):
        c = exp(-lam * lag)
        found = float((d[-1] * d[-1 - lag]).mean()) / var
        assert abs(found - c) < 5 * sqrt((1 + c**2) / COPIES)  # variance of a product of correlated normals


def test_a_long_path_of_one_weight_has_them_too():
    """Of one path of T steps the error of the variance is that of T (1 - a^2) / (1 + a^2) independent squares."""
    lam, T = 0.2, 40_000
    d, a2 = wandered(None, normals(T, seed=1), lam, 0.7), exp(-0.4)
    error = sqrt(2 / T * (1 + a2) / (1 - a2))
    assert abs(float(d.square().mean()) / 0.49 - 1) < 5 * error


def test_a_step_is_exact_whatever_its_length_and_however_time_is_cut():
    """Two half steps have the mean and the variance of one; going on from where it was is the same path."""
    one, half = exp(-0.8), exp(-0.4)
    assert half * half == close(one, rel=1e-12)
    xi, start = normals(6, 3), torch.ones(3, dtype=torch.float64)
    whole = wandered(start, xi, 0.4, 0.5)
    first = wandered(start, xi[:2], 0.4, 0.5)
    assert torch.equal(torch.cat([first, wandered(first[-1], xi[2:], 0.4, 0.5)]), whole)
    assert float(wandered(start, 0 * xi, 0.4, 0.5)[-1, 0]) == close(exp(-2.4), rel=1e-12)
    # the variance that two half steps make is that of one whole step: Euler's would not be
    twice = wandered(0 * start, torch.tensor([[1.0] * 3, [0.0] * 3]).double(), 0.4, 1.0)[-1, 0] ** 2
    again = wandered(0 * start, torch.tensor([[0.0] * 3, [1.0] * 3]).double(), 0.4, 1.0)[-1, 0] ** 2
    assert float(twice + again) == close(1 - one**2, rel=1e-12)


def test_the_running_mean_of_the_reward_is_an_exact_step_and_what_was_before_the_first_reward_is_nothing():
    r = torch.tensor([[1.0, 3.0], [5.0, 7.0], [100.0, 100.0], [4.0, 2.0]]).double()
    A, mean = advantages(r, [True, True, False, True], None, rho=0.7)
    kept = exp(-0.7)
    after = 6 + (2 - 6) * kept
    expected = torch.tensor([[-1, 1], [3, 5], [0, 0], [4 - after, 2 - after]], dtype=torch.float64)
    torch.testing.assert_close(A, expected, rtol=1e-12, atol=0)
    assert mean == close(3 + (after - 3) * kept, rel=1e-12)
    first, between = advantages(r[:2], [True, True], None, 0.7)
    second, last = advantages(r[2:], [False, True], between, 0.7)
    assert torch.equal(torch.cat([first, second]), A)
    assert last == mean
    assert advantages(r[2:3], [False], None, 0.7)[1] is None


@pytest.mark.parametrize(("lam", "rho"), [(0.1, 0.05), (0.4, 1.5), (2.0, 0.3)])
def test_on_a_quadratic_the_means_move_along_the_gradient(lam, rho):
    """E[d mu] = - eta gain s^2 dL/dmu of L = (theta - c)' H (theta - c) / 2, whatever H, within 5 standard errors.

    The running mean that follows the reward takes its share away: without `gain` it would not be true.
    """
    H = torch.tensor([[2.0, 0.6], [0.6, 1.0]]).double()
    away, sd, T, copies = torch.tensor([1.0, -2.0]).double(), 0.3, 200, 2000
    d = wandered(None, normals(T, copies, 2, seed=2), lam, sd)
    theta = away + d
    r = -0.5 * ((theta @ H) * theta).sum(-1)
    warm = 60  # until rbar is stationary
    moved = torch.empty(copies, 2).double()
    kept, mean, total = exp(-rho), r[0].clone(), torch.zeros(copies, 2).double()
    for t in range(T):
        if t >= warm:
            total += (r[t] - mean).unsqueeze(-1) * d[t]
        mean = r[t] + (mean - r[t]) * kept
    moved = total / (T - warm)
    expected = -gain(lam, rho) * sd**2 * (H @ away)
    error = moved.std(0) / sqrt(copies)
    assert bool(((moved.mean(0) - expected).abs() < 5 * error).all()), (moved.mean(0), expected, error)
    assert bool(((moved.mean(0) - expected / gain(lam, rho)).abs() > 5 * error).any())
    # and one copy is what `advantages` makes of it
    A, _ = advantages(r[:, :1], [True] * T, None, rho)
    torch.testing.assert_close((A[warm:] * d[warm:, 0]).mean(0), moved[0], rtol=1e-9, atol=0)


def test_for_short_steps_the_gain_is_that_of_the_equations():
    assert gain(1e-6, 3e-6) == close(0.25, rel=1e-5)
    assert gain(1.0, 1e-9) == close(1.0, rel=1e-8)


def test_the_paper_has_a_step_of_twentieth():
    """lambda 1, sigma .05, rho 1, eta .1 of its time; a variance does not depend on the step."""
    rule = OUA(preset="paper")
    assert (rule.draw, rule.lam, rule.rho) == ("step", 0.05, 0.05)
    assert rule.deviation == close(0.05 / sqrt(2), rel=1e-12)
    assert OUA.preset_optimizers["paper"] == {"name": "sgd", "lr": close(0.005, rel=1e-12), "schedule": "constant"}
    assert OUA(preset="paper", source="device").lam != PAPER["lam"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source": "device", "lam": 0.5}, "lam: with source 'device' the devices say how they wander"),
        ({"source": "device", "sigma": 0.5, "draw": "step"}, "sigma: with source 'device'"),
        ({"source": "device", "K": 2}, "K above 1 with source 'device' and draw 'pass'"),
    ],
)
def test_what_would_be_ignored_is_refused(options, said):
    with pytest.raises(ValidationError, match=said):
        OUA(**options)


def test_what_it_needs_follows_from_where_the_noise_comes_from():
    own, device = OUA().needs, OUA(source="device", draw="step").needs
    assert {requirements.WEIGHT_PERTURBATION, requirements.TRIAL_LOSS} <= {*own}
    assert requirements.AT_EVERY_STEP in OUA(draw="step").needs
    assert {requirements.SCALAR_LOSS, requirements.OWN_CONDUCTANCE, requirements.TRACE} <= {*device}
    assert requirements.WEIGHT_PERTURBATION not in device
    assert by_itself(OUA())
    assert not by_itself(OUA(source="device"))
