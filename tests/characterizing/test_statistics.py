"""Estimates, their standard errors, and closed forms against quadrature and against each other."""

import numpy as np
import pytest

from neuroanp.characterizing.result import At, Moment, plain
from neuroanp.characterizing.spectrum import Spectrum
from neuroanp.characterizing.statistics import deviation, expected, mean, normal_nodes, rectified, share
from tests.close import close


@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 1.0), (0.3, 1.0), (-1.0, 0.5), (4.0, 1.0), (2.0, 0.0)])
def test_rectified_normal_agrees_with_quadrature(mu: float, sigma: float) -> None:
    xi, weights = normal_nodes()
    first, second, _ = expected(np.maximum(mu + sigma * xi.numpy(), 0.0)[:, None], weights)[:, 0]
    found = rectified(np.array([mu]), np.array([sigma]))
    assert found[0][0] == pytest.approx(first, abs=1e-5)
    assert found[1][0] == pytest.approx(second, abs=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1e-9])
@pytest.mark.parametrize("name", ["standard_normal", "standard_exponential", "random"])
def test_standard_errors_are_the_scatter_of_repeated_estimates(name: str, scale: float) -> None:
    rng = np.random.default_rng(3)
    repeats = scale * getattr(rng, name)((600, 400))
    for estimate in (mean, deviation):
        values, errors = np.array([estimate(row) for row in repeats]).T
        # the scatter of 600 estimates is itself known to 1 / sqrt(1200) = 3 %; the rest is the estimates' own bias
        assert np.median(errors) == close(values.std(ddof=1), rel=0.2)


def test_equal_samples_have_no_spread_but_rounding() -> None:
    assert deviation(np.full(100, 1e-6) * (1 + 1e-15 * np.arange(100) % 2)) == (0.0, 0.0)
    assert mean(np.full(100, 0.1))[1] == 0.0


def test_a_share_without_hits_is_uncertain_all_the_same() -> None:
    p, error = share(np.zeros(100, dtype=bool))
    assert (p, error) == (0.0, close(0.00995, rel=1e-3))


def test_the_median_of_a_falling_function_is_its_value_at_the_median() -> None:
    xi, weights = normal_nodes()
    assert expected(np.exp(-2.0 * xi.numpy())[:, None], weights)[2, 0] == close(1.0, rel=1e-4)


def test_welch_is_expected_exactly_for_a_process_with_a_memory() -> None:
    """First-order autoregression: R(k) = a^|k|; 400 copies, every frequency within a max-statistic bound."""
    rng, a = np.random.default_rng(1), 0.9
    x = np.empty((1024, 400))
    x[0] = rng.standard_normal(400)
    for t in range(1, len(x)):
        x[t] = a * x[t - 1] + np.sqrt(1 - a * a) * rng.standard_normal(400)
    found = Spectrum.of(x, dt=2.0, covariance=a ** np.arange(128))
    z = (found.sampled.mean(axis=1) - found.expected) / (found.sampled.std(axis=1, ddof=1) / 20)
    assert np.abs(z).max() < 4.5  # false alarm 5e-4 over 65 frequencies, t distribution of 399 degrees included
    power = found.expected.sum() * found.frequency[1]
    assert power == close(1.0, rel=0.01)  # the area under it is the variance


@pytest.mark.parametrize(
    ("sampled", "error", "theory", "z"),
    [(1.0, 0.1, None, None), (1.2, 0.1, 1.0, 2.0), (1.0, 0.0, 1.0 + 1e-15, 0.0), (1.0, 0.0, 1.1, -np.inf)],
)
def test_difference_in_standard_errors(sampled: float, error: float, theory: float | None, z: float | None) -> None:
    moment = Moment("mean", (At("target", 1e-6, "S"),), "S", sampled, error, theory)
    assert moment.z == (None if z is None else close(z))
    assert plain(moment)["at"] == [{"name": "target", "value": 1e-6, "unit": "S"}]
