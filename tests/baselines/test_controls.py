"""The controls against what is known of them."""

import numpy as np
import pytest
import torch

from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import BACKENDS
from neuroanp.baselines.controls import controls
from neuroanp.baselines.network import forward
from neuroanp.baselines.persistence import constant_mean, lagged_linear, persistence
from neuroanp.baselines.ridge import ridge
from neuroanp.losses import SQUARED_ERROR
from neuroanp.losses.cross_entropy import CrossEntropy
from neuroanp.network.cell import Unit
from neuroanp.noise import Streams
from neuroanp.tasks.copy import Copy, CopyConfig
from neuroanp.tasks.encoders import Current, Poisson
from neuroanp.tasks.encoding import encoded
from neuroanp.tasks.mackey_glass import MackeyGlass, MackeyGlassConfig
from neuroanp.tasks.protocol import Batch
from neuroanp.tasks.scoring import squared_error
from neuroanp.tasks.weather import Weather
from neuroanp.tasks.weather_config import WeatherConfig
from neuroanp.trajectory import Weights
from tests.close import close


def xavier(
    seed: int, inputs: int, outputs: int, hidden: int = 100, bias: bool = False, cell: Unit | None = None
) -> Weights:
    rng = np.random.default_rng(seed)
    shapes = {"w_in": (hidden, inputs + bias), "w": (hidden, hidden), "w_out": (outputs, hidden + bias)}
    return Weights.one_layer(
        {n: torch.tensor(rng.standard_normal(s) * np.sqrt(2 / sum(s))) for n, s in shapes.items()}, bias, cell
    )


class Moving:
    """Sequences of random numbers whose target is a fixed mix of the last inputs, plus a constant."""

    forecast = True

    def __init__(self, lags: int) -> None:
        self.mix = np.random.default_rng(5).standard_normal((lags, 2))

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        lags = len(self.mix)
        u = rng.standard_normal((12, batch, 2))
        past = np.stack([np.pad(u, ((lag, 0), (0, 0), (0, 0)))[:12] for lag in range(lags)])
        y = np.einsum("ltbi,li->tb", past, self.mix) + 0.3
        return Batch(u, y[:, :, None], (np.arange(12) >= 6).astype(float))

    def persistence(self, batch: Batch) -> np.ndarray | None:
        return batch.inputs[:, :, :1]


def test_lagged_linear_finds_a_linear_filter():
    task = Moving(lags=5)
    test = task.sample(np.random.default_rng(0), 50)
    assert squared_error(lagged_linear(task, test, Streams(0), lags=5, windows=200), test) < 1e-12
    few = squared_error(lagged_linear(task, test, Streams(0), lags=3, windows=200), test)
    missing = float(np.sum(task.mix[3:] ** 2))  # the variance of the two lags that it cannot see
    assert few == close(missing, rel=0.25)


def test_lags_are_cut_to_the_washout():
    task = Moving(lags=7)
    test = task.sample(np.random.default_rng(0), 20)
    assert squared_error(lagged_linear(task, test, Streams(0), lags=24, windows=200), test) < 1e-12


def test_constant_mean_is_the_targets_mean_at_scored_steps():
    task = Copy(CopyConfig(length=3, delay=3, symbols=4))
    test = task.test(np.random.default_rng(0))
    y = constant_mean(task, test, Streams(0))
    assert y.shape == test.targets.shape
    np.testing.assert_allclose(y[0, 0], 0.25, atol=0.02)
    assert squared_error(y, test) == close(0.25 * 0.75, rel=0.01)


@pytest.mark.parametrize("bias", [False, True])
def test_ridge_recovers_the_readout_of_a_network_that_made_the_targets(bias):
    teacher = xavier(0, 2, 3, hidden=20, bias=bias)

    class Taught:
        forecast = False

        def sample(self, rng: np.random.Generator, batch: int) -> Batch:
            u = rng.standard_normal((10, batch, 2))
            return Batch(u, forward(teacher, u).y.numpy(), (np.arange(10) >= 4).astype(float))

        def persistence(self, batch: Batch) -> None:
            return None

    blank = Weights.one_layer({**teacher.arrays, "w_out": torch.zeros_like(teacher["w_out"])}, bias)
    found = ridge(Taught(), blank, Streams(0), windows=300)
    torch.testing.assert_close(found.w_out, teacher["w_out"], rtol=1e-5, atol=1e-6)
    assert torch.equal(found.weights["w"], teacher["w"])
    test = Taught().sample(np.random.default_rng(9), 7)
    np.testing.assert_allclose(found.predict(test), test.targets, atol=1e-5)


def test_ridge_is_the_same_whatever_the_precision_it_is_given():
    task = Copy(CopyConfig(length=2, delay=1, symbols=2))
    single = Weights.one_layer({name: array.float() for name, array in xavier(0, 3, 2, hidden=10).items()})
    double = Weights.one_layer({name: array.double() for name, array in single.items()})
    one, two = (ridge(task, weights, Streams(0), windows=50) for weights in (single, double))
    assert torch.equal(one.w_out, two.w_out)


def test_too_few_windows_and_no_lags_are_refused():
    task = Moving(lags=2)
    test = task.sample(np.random.default_rng(0), 3)
    with pytest.raises(ValueError, match="at least 5 windows"):
        ridge(task, xavier(0, 2, 1, hidden=3), Streams(0), windows=4)
    with pytest.raises(ValueError, match="one lag"):
        lagged_linear(task, test, Streams(0), lags=0)


@pytest.mark.parametrize(("length", "delay", "high"), [(3, 3, 5e-4), (5, 10, 0.03)])
def test_the_untrained_network_copies_what_is_known(length, delay, high):
    task = Copy(CopyConfig(length=length, delay=delay, symbols=4))
    test = task.test(np.random.default_rng(0))
    found = controls(task, xavier(0, 5, 4), Streams(0), test, SQUARED_ERROR)
    assert sorted(found) == ["constant_mean", "ridge"]
    assert high / 10 < found["ridge"].loss < high
    assert found["ridge"].loss == squared_error(found["ridge"].prediction, test)


def test_forecasts_have_four_controls_in_the_known_order_on_real_weather():
    task = Weather(WeatherConfig())
    test = task.test(np.random.default_rng(0))
    found = {
        name: control.loss for name, control in controls(task, xavier(0, 8, 1), Streams(0), test, SQUARED_ERROR).items()
    }
    assert found["lagged_linear"] < found["persistence"] < found["constant_mean"]
    assert found["ridge"] < found["persistence"]
    np.testing.assert_array_equal(persistence(task, test), test.inputs[:, :, :1])


@pytest.mark.parametrize("backend", ["lif"])
@pytest.mark.parametrize("encoder", [Poisson(rate=300.0, hold=3), Current(hold=3)], ids=["poisson", "current"])
def test_controls_of_an_encoded_task_are_told_in_its_own_steps(encoder, backend):
    """Ridge sees what the units make of the encoded input, at the steps that are scored; the others see the task's."""
    plain = MackeyGlass(MackeyGlassConfig(train_length=500, test_size=5))
    task = encoded(plain, encoder, 1e-3)
    test = task.test(np.random.default_rng(0))
    simulator = BACKENDS.get(backend)(1e-3, spikes_in=encoder.spikes)
    weights = xavier(0, task.inputs, 1, hidden=20, bias=True, cell=LIF())
    activity = simulator.activity(weights.network)
    assert activity is not None
    found = controls(task, weights, Streams(0), test, SQUARED_ERROR, windows=100, features=activity, own=plain)
    raw = controls(plain, xavier(0, 1, 1, hidden=20), Streams(0), test.raw, SQUARED_ERROR, windows=100)
    assert sorted(found) == sorted(raw) == ["constant_mean", "lagged_linear", "persistence", "ridge"]
    for name, control in found.items():
        assert control.prediction.shape == test.raw.targets.shape
        if name != "ridge":
            np.testing.assert_array_equal(control.prediction, raw[name].prediction)
    fitted = ridge(task, weights, Streams(0), windows=100, activity=activity)
    y = fitted.predict(test)
    np.testing.assert_array_equal(found["ridge"].prediction, y[2::3])
    x = activity(fitted.weights, test.inputs)["hidden"]
    assert float(x.max()) > 1  # units that spike
    by_hand = x @ fitted.w_out[:, :-1].T + fitted.w_out[:, -1]
    np.testing.assert_allclose(y, by_hand.numpy(), rtol=0, atol=1e-12)
    assert found["ridge"].loss == squared_error(y[2::3], test.raw) == close(squared_error(y, test))


@pytest.mark.parametrize("decoder", ["trace", "count"])
def test_ridge_finds_a_readout_as_good_as_that_of_the_spiking_units_that_made_the_targets(decoder):
    simulator = BACKENDS.get("lif")(1e-3)
    teacher = xavier(0, 2, 3, hidden=8, bias=True, cell=LIF(decoder=decoder))
    activity = simulator.activity(teacher.network)
    assert activity is not None
    w_out = teacher["w_out"]

    class Taught:
        forecast = False

        def sample(self, rng: np.random.Generator, batch: int) -> Batch:
            u = rng.uniform(-1, 1, (50, batch, 2))
            y = activity(teacher, u)["hidden"] @ w_out[:, :-1].T + w_out[:, -1]
            return Batch(u, y.numpy(), (np.arange(50) >= 20).astype(float))

        def persistence(self, batch: Batch) -> None:
            return None

    blank = Weights.one_layer({**teacher.arrays, "w_out": torch.zeros_like(w_out)}, True, LIF(decoder=decoder))
    found = ridge(Taught(), blank, Streams(0), windows=100, activity=activity)
    test = Taught().sample(np.random.default_rng(9), 7)
    scored = test.mask > 0
    np.testing.assert_allclose(found.predict(test)[scored], test.targets[scored], rtol=0, atol=1e-3)
    assert test.targets[scored].std() > 0.1


def test_recall_is_no_forecast():
    task = MackeyGlass(MackeyGlassConfig(direction="recall", train_length=500, test_size=5))
    test = task.test(np.random.default_rng(0))
    found = controls(task, xavier(0, 1, 1, hidden=20), Streams(0), test, SQUARED_ERROR, windows=100)
    assert sorted(found) == ["constant_mean", "ridge"]


def test_forecasts_by_values_are_left_out_where_outputs_are_logits():
    """A constant input of +1 is no logit of a sign that is +1: what are values is not compared with odds."""

    class Signs(Moving):
        def sample(self, rng: np.random.Generator, batch: int) -> Batch:
            found = super().sample(rng, batch)
            return Batch(found.inputs, rng.choice([-1.0, 1.0], found.targets.shape), found.mask)

    task = Signs(lags=2)
    test, weights = task.sample(np.random.default_rng(0), 10), xavier(0, 2, 1, hidden=5)
    by_value, by_odds = (
        controls(task, weights, Streams(0), test, loss, windows=20) for loss in (SQUARED_ERROR, CrossEntropy())
    )
    assert sorted(by_value) == ["constant_mean", "lagged_linear", "persistence", "ridge"]
    assert sorted(by_odds) == ["constant_mean", "ridge"]


def test_controls_are_a_function_of_the_seed():
    task = MackeyGlass(MackeyGlassConfig(train_length=500, test_size=5))
    test = task.test(np.random.default_rng(0))
    weights = xavier(0, 1, 1, hidden=20)
    one, two = (controls(task, weights, Streams(3), test, SQUARED_ERROR, windows=100) for _ in range(2))
    assert {n: c.loss for n, c in one.items()} == {n: c.loss for n, c in two.items()}
