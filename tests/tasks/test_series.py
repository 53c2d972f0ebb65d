"""Rossler and Van der Pol: the solver holds to the equations, the control to its steps, windows to their series."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.integrate import solve_ivp

from neuroanp.noise import Streams
from neuroanp.tasks import rossler, van_der_pol
from neuroanp.tasks.rossler import Rossler, RosslerConfig
from neuroanp.tasks.series import runge_kutta, sampled
from neuroanp.tasks.van_der_pol import VanDerPol, VanDerPolConfig
from tests.close import close

START = (1.0, 2.0, 0.5)


def exact(rate, start, time) -> np.ndarray:
    """The state after a time, by another method and other code for the equations."""
    return solve_ivp(rate, (0.0, time), start, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]


def of_rossler(_, u):
    x, y, z = u
    return [-y - z, x + 0.2 * y, 0.2 + z * (x - 5.7)]


def of_van_der_pol(mu, c):
    return lambda _, u: [u[1], mu * (1 - u[0] ** 2) * u[1] - u[0] + c]


@pytest.mark.parametrize("interval", [0.013, 0.2, 0.5])
def test_a_short_time_is_as_another_solver_has_it(interval):
    found = sampled(lambda i: rossler.rate, START, 5, interval, rossler.LONGEST)
    np.testing.assert_array_equal(found[0], START)
    np.testing.assert_allclose(found[-1], exact(of_rossler, START, 4 * interval), atol=1e-6)
    driven = sampled(lambda i: van_der_pol.rate(2.0, 0.7), (2.0, -1.0), 5, interval, van_der_pol.LONGEST)
    np.testing.assert_allclose(driven[-1], exact(of_van_der_pol(2.0, 0.7), (2.0, -1.0), 4 * interval), atol=1e-6)


def test_it_is_of_fourth_order():
    errors = []
    for steps in (20, 40, 80):
        state = START
        for _ in range(steps):
            state = runge_kutta(rossler.rate, state, 1.0 / steps)
        errors.append(np.abs(np.array(state) - exact(of_rossler, START, 1.0)).max())
    assert np.log2(errors[0] / errors[1]) == close(4.0, rel=0.1)
    assert np.log2(errors[1] / errors[2]) == close(4.0, rel=0.1)


def test_without_damping_it_is_a_linear_oscillator_of_constant_energy():
    found = sampled(lambda i: van_der_pol.rate(0.0, 0.0), (1.0, 0.0), 200, 0.1, 0.02)
    t = 0.1 * np.arange(200)
    np.testing.assert_allclose(found, np.stack([np.cos(t), -np.sin(t)], 1), atol=1e-6)


def test_the_cycle_of_the_free_oscillator_is_that_of_the_literature():
    """mu = 1: amplitude 2.0086, period 6.6633."""
    task = VanDerPol(VanDerPolConfig(interval=0.05, train_length=2_000, test_size=2))
    x = 3 * task.sample(np.random.default_rng(0), 40).inputs[:, :, 0]
    assert 2.0 < np.abs(x).max() < 2.0087
    series = 3 * task._train[:, 0]
    up = np.flatnonzero((series[:-1] < 0) & (series[1:] >= 0))
    crossed = 0.05 * (up - series[up] / (series[up + 1] - series[up]))
    assert float(np.diff(crossed).mean()) == close(6.6633, rel=1e-4)


def test_on_the_rossler_attractor_it_turns_as_it_should():
    task = Rossler(RosslerConfig(train_length=5_000, test_size=2))
    series = 12 * task._train[:, 0]
    up = np.flatnonzero((series[:-1] < 0) & (series[1:] >= 0))
    assert 0.2 * float(np.diff(up).mean()) == close(5.87, rel=0.02)
    assert 9 < series.max() < 12


def test_one_step_is_what_the_control_that_is_seen_makes_of_the_state_that_is_seen():
    options = VanDerPolConfig(train_length=300, test_size=4, control=2.0, hold=3, mu=1.5)
    held = VanDerPol(options).test(np.random.default_rng(0))
    for t, b in ((0, 0), (10, 1), (31, 2), (59, 3)):
        x, v, c = held.inputs[t, b] * (3.0, 6.0, 2.0)
        np.testing.assert_allclose(
            held.targets[t, b] * (3.0, 6.0), exact(of_van_der_pol(1.5, c), (x, v), 0.2), atol=1e-5
        )


def test_a_control_is_uniform_and_held():
    task = VanDerPol(VanDerPolConfig(train_length=8_000, test_size=2, control=1.0, hold=4, interval=0.1))
    control = task._train[:, 2]
    changes = np.flatnonzero(np.diff(control)) + 1
    assert set(np.diff(changes)) == {4}
    assert np.abs(control).max() <= 1
    assert float(control.std()) == close(1 / np.sqrt(3), rel=0.03)


def test_series_are_drawn_by_their_own_seed_alone():
    """A control moves no start, and the run's seed nothing."""
    small = {"train_length": 200, "test_size": 3}
    a, b = (VanDerPol(VanDerPolConfig(**small, series_seed=seed)).test(np.random.default_rng(7)) for seed in (0, 1))
    assert not np.array_equal(a.inputs, b.inputs)
    again = VanDerPol(VanDerPolConfig(**small)).test(np.random.default_rng(8))
    assert np.array_equal(a.inputs, again.inputs)
    start = 1.0 + Streams(0).generator("rossler").uniform(-0.1, 0.1, 3)
    dropped = int(np.ceil(rossler.TRANSIENT / 0.2))
    states = sampled(lambda i: rossler.rate, tuple(map(float, start)), dropped + 200, 0.2, rossler.LONGEST)
    np.testing.assert_array_equal(Rossler(RosslerConfig(**small))._train[:, 0], states[dropped:, 0] / 12)


def test_persistence_is_the_present_state_without_the_control():
    held = VanDerPol(VanDerPolConfig(train_length=200, test_size=3, control=1.0)).test(np.random.default_rng(0))
    task = VanDerPol(VanDerPolConfig(train_length=200, test_size=3, control=1.0))
    np.testing.assert_array_equal(task.persistence(held), held.inputs[..., :2])


@pytest.mark.parametrize("options", [{"washout": 60}, {"train_length": 100, "horizon": 50}, {"interval": 0.0}])
def test_options_that_leave_nothing_are_refused(options):
    for config in (RosslerConfig, VanDerPolConfig):
        with pytest.raises(ValidationError):
            config(**options)


def test_a_control_without_damping_is_refused_for_it_would_drive_the_state_without_bound():
    with pytest.raises(ValidationError, match=r"mu 0 hardly damps.*use mu of at least 0\.1, or control 0"):
        VanDerPolConfig(mu=0.0, control=1.0)
    assert VanDerPolConfig(mu=0.0).mu == 0.0
    driven = VanDerPol(VanDerPolConfig(mu=0.1, control=3.0, interval=0.5, train_length=1_000, test_size=2))
    assert 1 < np.abs(driven._train).max() < 2


def test_training_and_test_have_no_sample_in_common():
    task = Rossler(RosslerConfig(train_length=300, test_size=6, steps=20, washout=5))
    train = task.sample(np.random.default_rng(0), 500)
    test = task.test(np.random.default_rng(0))
    assert not {*train.inputs.ravel(), *train.targets.ravel()} & {*test.inputs.ravel(), *test.targets.ravel()}
    scored = test.targets[5:].transpose(1, 0, 2).ravel()  # they tile
    np.testing.assert_array_equal(scored, task._test[10 : 10 + len(scored), 0])
