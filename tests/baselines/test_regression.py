"""Ridge from sums against least squares on the rows themselves."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.baselines.regression import LAMBDAS, Moments, choose_ridge, ridge_path, solve_ridge
from tests.close import close


def rows(seed: int, count: int, features: int = 4, outputs: int = 2, noise: float = 0.1):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((count, features))
    c = np.random.default_rng(99).standard_normal((features, outputs))
    return a, a @ c + noise * rng.standard_normal((count, outputs)), c


def moments_of(a: np.ndarray, y: np.ndarray, pieces: int = 1) -> Moments:
    moments = Moments(a.shape[1], y.shape[1])
    for part in zip(np.array_split(a, pieces), np.array_split(y, pieces), strict=True):
        moments.add(*part)
    return moments


@given(st.integers(0, 50), st.floats(-6, 2), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_the_solution_minimises_the_penalised_error(seed, power, pieces):
    a, y, _ = rows(seed, 40)
    strength = 10.0**power
    penalty = np.sqrt(strength * np.mean(a**2) * len(a)) * np.eye(4)
    expected, *_ = np.linalg.lstsq(np.vstack([a, penalty]), np.vstack([y, np.zeros((4, 2))]), rcond=None)
    np.testing.assert_allclose(solve_ridge(moments_of(a, y, pieces), strength), expected, rtol=1e-8, atol=1e-10)


def test_the_error_from_sums_is_the_error_of_the_rows():
    a, y, c = rows(0, 50)
    assert moments_of(a, y).error(0.9 * c) == close(np.mean((0.9 * a @ c - y) ** 2), rel=1e-10)


def test_little_noisy_data_choose_a_strong_ridge_and_exact_data_a_weak_one():
    noisy = choose_ridge(moments_of(*rows(0, 6, noise=20.0)[:2]), moments_of(*rows(1, 400, noise=20.0)[:2]))[1]
    a, y, c = rows(0, 100, noise=0.0)
    coefficients, exact = choose_ridge(moments_of(a[:80], y[:80]), moments_of(a[80:], y[80:]))
    assert exact <= 1e-6 < noisy
    np.testing.assert_allclose(coefficients, c, atol=1e-5)


def test_features_that_are_all_zero_predict_zero():
    moments = moments_of(np.zeros((5, 3)), np.ones((5, 1)))
    np.testing.assert_array_equal(solve_ridge(moments, 1e-3), np.zeros((3, 1)))


def test_a_held_out_part_that_overlaps_the_fit_does_not_let_rounding_decide():
    """Held-out rows that are those of the fit choose the weakest ridge; it must still bound the coefficients.

    Two columns differ by 1e-6 of noise: least squares, which fits it, needs coefficients of 1e3 and more.
    """
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((400, 1)), rng.standard_normal((400, 1))
    a = np.hstack([x, x + 1e-6 * rng.standard_normal((400, 1))])
    coefficients, strength = choose_ridge(moments_of(a, y), moments_of(a, y))
    assert strength == min(LAMBDAS)
    assert np.abs(solve_ridge(moments_of(a, y), 1e-14)).max() > 1e3
    assert np.abs(coefficients).max() < 1e3


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), tight=st.floats(0.05, 2.0), strength=st.sampled_from([1e-10, 1e-4, 1e-1]))
def test_limits_give_the_least_within_them(seed, tight, strength):
    """Inside, the slope is 0; at a limit it pulls outwards: the Karush-Kuhn-Tucker conditions, which suffice here."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((50, 6)) @ rng.standard_normal((6, 6))
    y = a @ rng.standard_normal((6, 2)) + 0.1 * rng.standard_normal((50, 2))
    moments = Moments(6, 2)
    moments.add(a, y)
    limits = tight * rng.uniform(0.2, 1.0, 6)
    (C,) = ridge_path(moments, (strength,), limits)
    q = np.trace(moments.gram) / 6
    slope = moments.gram @ C + strength * q * C - moments.cross
    small = 1e-7 * np.abs(moments.cross).max()
    at = np.abs(C) >= limits[:, None] * (1 - 1e-9)
    assert (np.abs(C) <= limits[:, None] * (1 + 1e-12)).all()
    assert (np.abs(slope[~at]) <= small).all()
    assert (slope[at] * np.sign(C[at]) <= small).all()
