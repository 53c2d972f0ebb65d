"""Lorenz: the solver holds to the equations, windows to their series, the test part to its place in time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.integrate import solve_ivp

from neuroanp.baselines.persistence import lagged_linear
from neuroanp.noise import Streams
from neuroanp.tasks.lorenz import FLOW, LONGEST, SCALE, Flow, Lorenz, LorenzConfig, solve
from tests.close import close

START = (1.0, 2.0, 20.0)
AXIS = st.floats(-20.0, 20.0)


def exact(start, time, flow=FLOW):
    """The state after a time, by another method and other code for the equations."""

    def rate(_, u):
        x, y, z = u
        return [flow.sigma * (y - x), x * (flow.rho - z) - y, x * y - flow.beta * z]

    return solve_ivp(rate, (0.0, time), start, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]


def small(**options) -> Lorenz:
    return Lorenz(LorenzConfig(**{"train_length": 300, "test_size": 6, **options}))


@pytest.mark.parametrize("interval", [0.004, 0.05, 0.037])
def test_a_short_time_is_as_another_solver_has_it(interval):
    samples = round(0.5 / interval)
    found = solve(START, samples, interval)
    assert found.shape == (samples, 3)
    np.testing.assert_allclose(found[-1], exact(START, samples * interval), rtol=0, atol=5e-4)
    np.testing.assert_allclose(found[0], exact(START, interval), rtol=0, atol=5e-4)


def test_other_constants_are_other_flows():
    flow = Flow(sigma=4.0, rho=15.0, beta=1.0)
    np.testing.assert_allclose(solve(START, 10, 0.05, flow)[-1], exact(START, 0.5, flow), rtol=0, atol=5e-4)


def test_it_is_of_fourth_order():
    errors = []
    for steps in (50, 100, 200):
        state = START
        for _ in range(steps):
            state = FLOW.step(state, 0.5 / steps)
        errors.append(np.abs(np.array(state) - exact(START, 0.5)).max())
    assert np.log2(errors[0] / errors[1]) == close(4.0, rel=0.1)
    assert np.log2(errors[1] / errors[2]) == close(4.0, rel=0.1)


@given(st.floats(-50.0, -0.01) | st.floats(0.01, 50.0), st.integers(1, 9))
def test_on_the_z_axis_a_step_multiplies_by_the_fourth_order_exponential(z, samples):
    q = -8 / 3 * LONGEST
    factor = 1 + q + q**2 / 2 + q**3 / 6 + q**4 / 24
    expected = [[0.0, 0.0, z * factor**k] for k in range(1, samples + 1)]
    np.testing.assert_allclose(solve((0.0, 0.0, z), samples, LONGEST), expected, rtol=1e-13)


def test_the_three_fixed_points_stay():
    r = np.sqrt(8 / 3 * 27)
    for point in ((0.0, 0.0, 0.0), (r, r, 27.0), (-r, -r, 27.0)):
        np.testing.assert_allclose(solve(point, 20, 0.05), np.tile(point, (20, 1)), rtol=1e-11)


@given(AXIS, AXIS, st.floats(0.0, 40.0))
@settings(max_examples=20)
def test_the_flow_is_the_same_with_x_and_y_turned_round(x, y, z):
    one, other = solve((x, y, z), 5, 0.05), solve((-x, -y, z), 5, 0.05)
    np.testing.assert_array_equal(other * [-1.0, -1.0, 1.0], one)


def test_it_stays_within_the_ball_that_holds_the_attractor():
    """x^2 + y^2 + (z - sigma - rho)^2 <= (sigma + rho)^2 beta^2 / (4 (beta - 1)), once inside (Leonov 1987)."""
    states = solve((1.0, 1.0, 1.0), 4000, 0.05)
    beta, centre = 8 / 3, 38.0
    square = states[:, 0] ** 2 + states[:, 1] ** 2 + (states[:, 2] - centre) ** 2
    assert square.max() <= centre**2 * beta**2 / (4 * (beta - 1))
    assert np.abs(states[:, 0]).max() < SCALE
    assert (np.sign(states[:-1, 0]) != np.sign(states[1:, 0])).sum() > 100  # both wings


def test_near_states_part_at_the_rate_of_the_largest_lyapunov_exponent():
    """0.9056 a unit of time (Viswanath 1998); over 12 units, averaged over six starts, within a fifth."""
    starts = solve((1.0, 1.0, 1.0), 1200, 0.05)[200::200]
    rates = []
    for x, y, z in starts:
        near = solve((x + 1e-8, y, z), 240, 0.05)
        d = np.linalg.norm(near - solve((x, y, z), 240, 0.05), axis=1)
        rates.append(np.log(d[-1] / d[39]) / (200 * 0.05))
    assert np.mean(rates) == close(0.9056, rel=0.2)


def test_the_target_is_the_input_shifted():
    task = small(horizon=7)
    for batch in (task.sample(np.random.default_rng(0), 4), task.test(np.random.default_rng(0))):
        np.testing.assert_array_equal(batch.targets[:-7], batch.inputs[7:])
        assert np.abs(batch.inputs).max() < 1.0


def test_the_test_part_follows_the_training_part_and_shares_no_sample_with_it():
    task = small(series_seed=3)
    x, y, z = 1.0 + Streams(3).generator("lorenz").uniform(-0.1, 0.1, 3)
    whole = solve((x, y, z), 1000 + 300 + 5 * 36 + 65, 0.05)[:, 0] / SCALE
    np.testing.assert_array_equal(task._train, whole[1000:1300])
    np.testing.assert_array_equal(task._test, whole[1300:])
    drawn = task.sample(np.random.default_rng(0), 2000)
    tested = task.test(np.random.default_rng(0))
    assert not np.isin(tested.inputs, task._train).any()
    assert not np.isin(drawn.targets, task._test).any()
    assert set(drawn.targets.ravel()) == set(task._train[5:])
    assert not np.array_equal(small(series_seed=1)._train, task._train)


def test_test_windows_score_each_sample_once():
    batch = small().test(np.random.default_rng(0))
    scored = batch.targets[batch.mask > 0][:, :, 0].T.ravel()
    assert len(np.unique(scored)) == len(scored) == 6 * 36
    np.testing.assert_array_equal(batch.inputs[36:, 0], batch.inputs[:24, 1])  # the next one's washout


def test_controls_and_scores():
    task = Lorenz(LorenzConfig(train_length=3000, test_size=40))
    batch = task.test(np.random.default_rng(0))
    np.testing.assert_array_equal(task.persistence(batch), batch.inputs)
    assert task.score(batch.targets, batch) == {"nrmse": 0.0, "loss": 0.0}
    assert next(iter(task.score(batch.targets, batch))) == "nrmse"
    linear = task.score(lagged_linear(task, batch, Streams(0), windows=500), batch)
    still = task.score(task.persistence(batch), batch)
    assert 0.4 < linear["nrmse"] < still["nrmse"]  # far from nothing, and far from solved
    assert task.forecast


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"washout": 60}, "lower washout"),
        ({"horizon": 0}, "greater than or equal to 1"),
        ({"interval": 0}, "greater than 0"),
        ({"interval": float("inf")}, "less than or equal|finite"),
        ({"steps": 0}, "greater than or equal to 2"),
        ({"train_length": 100, "steps": 98}, r"shorter than steps \+ horizon = 103"),
        ({"rho": 28}, "Extra"),
    ],
)
def test_bad_options_are_refused(bad, said):
    with pytest.raises(ValidationError, match=said):
        LorenzConfig(**bad)
