"""The ridge control of any loss: at its minimum, and where the minimum is known, there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from neuroanp.baselines import penalised
from neuroanp.baselines.controls import controls
from neuroanp.baselines.network import forward
from neuroanp.baselines.penalised import NotFittedError, Rows, choose, fit_sequences_to, minimise
from neuroanp.baselines.persistence import constant_mean
from neuroanp.baselines.regression import Moments, solve_ridge
from neuroanp.baselines.ridge import ridge
from neuroanp.losses import SQUARED_ERROR, Loss, mean_loss
from neuroanp.losses.cross_entropy import CrossEntropy
from neuroanp.losses.squared_error import OfValues
from neuroanp.noise import Streams
from neuroanp.tasks.copy import Copy, CopyConfig
from neuroanp.tasks.delayed_match import DelayedMatch, DelayedMatchConfig
from neuroanp.tasks.protocol import Batch
from neuroanp.trajectory import Weights
from tests.close import close

CROSS_ENTROPY = CrossEntropy()


class AbsoluteError(OfValues):
    """Not smooth where it is least."""

    label: ClassVar[str] = "mean absolute error"

    def of(self, y: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (y - targets).abs().mean(-1)

    def constant(self, targets: np.ndarray) -> np.ndarray:
        return np.median(targets, axis=0)


class Huberlike(AbsoluteError):
    """Smooth, convex, of values."""

    label: ClassVar[str] = "mean log-cosh"

    def of(self, y: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (y - targets).cosh().log().mean(-1)


def rows_of(classes: int, rows: int = 400, features: int = 6, seed: int = 0, noise: float = 1.0) -> Rows:
    """Rows of classes by noisy planes; features of very different sizes, two of them nearly the same."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((rows, features)) * np.logspace(0, -2, features)
    a[:, 1] = a[:, 0] + 1e-3 * a[:, 1]
    planes = np.random.default_rng(7).standard_normal((features, classes)) / np.logspace(0, -2, features)[:, None]
    scores = a @ planes + noise * rng.gumbel(size=(rows, classes))
    if classes == 1:
        return Rows(a, np.where(scores > 0, 1.0, -1.0))
    return Rows(a, np.eye(classes)[scores.argmax(-1)])


def objective(loss: Loss, rows: Rows, C: np.ndarray, strength: float) -> tuple[float, np.ndarray]:
    leaf = torch.from_numpy(C).requires_grad_()
    penalty = strength * float((rows.a**2).mean()) * leaf.square().sum()
    value = loss.of(torch.from_numpy(rows.a) @ leaf, torch.from_numpy(rows.y)).mean() + penalty
    value.backward()
    assert leaf.grad is not None
    return float(value.detach()), leaf.grad.numpy()


@pytest.mark.parametrize("strength", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("classes", [1, 2, 5])
def test_it_is_least_there(classes, strength):
    rows = rows_of(classes)
    C = minimise(CROSS_ENTROPY, rows, strength)
    least, slope = objective(CROSS_ENTROPY, rows, C, strength)
    assert np.abs(slope).max() < 1e-5
    rng = np.random.default_rng(1)
    for size in (1e-2, 1.0):
        beside = C + size * rng.standard_normal(C.shape)
        assert objective(CROSS_ENTROPY, rows, beside, strength)[0] > least


@pytest.mark.parametrize("strength", [1.0, 1e-2, 1e-5])
@pytest.mark.parametrize("classes", [1, 4])
def test_it_is_the_logistic_regression_of_scikit_learn(classes, strength):
    """mean L + s q |C|^2 is its sum L + |C|^2 / (2 c), less a factor: c = 1 / (2 s q rows)."""
    linear = pytest.importorskip("sklearn.linear_model")
    rows = rows_of(classes)
    c = 1.0 / (2.0 * strength * float((rows.a**2).mean()) * len(rows.a))
    labels = rows.y[:, 0] if classes == 1 else rows.y.argmax(-1)
    known = linear.LogisticRegression(C=c, fit_intercept=False, tol=1e-10, max_iter=10_000, solver="newton-cg")
    expected = known.fit(rows.a, labels).coef_.T
    np.testing.assert_allclose(
        rows.a @ minimise(CROSS_ENTROPY, rows, strength), rows.a @ expected, atol=1e-3 * np.abs(rows.a @ expected).max()
    )


@pytest.mark.parametrize("strength", [1e-1, 1e-6])
def test_of_the_squared_error_it_is_ridge_regression(strength):
    """L is a mean over the m outputs, so its penalty is m times that of the sum of squares."""
    rows = rows_of(3)
    moments = Moments(6, 3)
    moments.add(rows.a, rows.y)
    expected = rows.a @ solve_ridge(moments, strength * 3)
    np.testing.assert_allclose(rows.a @ minimise(SQUARED_ERROR, rows, strength), expected, atol=1e-4)


def test_features_that_are_all_zero_predict_nothing():
    rows = Rows(np.zeros((10, 3)), np.ones((10, 1)))
    np.testing.assert_array_equal(minimise(CROSS_ENTROPY, rows, 1e-3), np.zeros((3, 1)))


def test_a_loss_that_is_not_smooth_where_it_is_least_is_told():
    with pytest.raises(NotFittedError, match="the mean absolute error with a ridge of 1e-08 has no minimum that was"):
        minimise(AbsoluteError(), rows_of(3, rows=60), 1e-8)


def test_the_strength_is_that_of_the_least_held_out_loss_and_the_fit_is_of_all_rows():
    fit, held = rows_of(3, rows=40, noise=6.0), rows_of(3, rows=400, seed=1, noise=6.0)
    strengths = (1e-6, 1e-4, 1e-2, 1.0, 10.0)
    C, strength = choose(CROSS_ENTROPY, fit, held, strengths)
    losses = {s: held.mean(CROSS_ENTROPY, minimise(CROSS_ENTROPY, fit, s)) for s in strengths}
    assert strength == min(losses, key=lambda s: losses[s])
    assert 1e-6 < strength < 10.0
    _, slope = objective(CROSS_ENTROPY, fit.joined(held), C, strength)
    assert np.abs(slope).max() < 1e-5


def test_weaker_strengths_are_left_out_where_the_held_out_loss_rises_twice(monkeypatch):
    tried: list[float] = []

    @dataclass
    class Held:
        losses: list[float]

        def mean(self, loss: Any, C: np.ndarray) -> float:
            return self.losses[len(tried) - 1]

    real = penalised.minimise

    def told(loss, rows, strength, start=None, flat=penalised.FLAT):
        tried.append(strength)
        return real(loss, rows, strength, start, flat)

    monkeypatch.setattr(penalised, "minimise", told)
    fit = rows_of(2, rows=30)
    held: Any = Held([3.0, 4.0, 2.0, 2.5, 2.1, 0.0])
    monkeypatch.setattr(Rows, "joined", lambda self, other: self)
    _, strength = choose(CROSS_ENTROPY, fit, held, (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0))
    assert tried == [1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-2]
    assert strength == 1e-2


def test_a_strength_without_a_minimum_ends_the_search(monkeypatch):
    real = penalised.minimise

    def fails(loss, rows, strength, start=None, flat=penalised.FLAT):
        if strength < 1e-2:
            raise NotFittedError("no")
        return real(loss, rows, strength, start, flat)

    monkeypatch.setattr(penalised, "minimise", fails)
    fit, held = rows_of(2, rows=50), rows_of(2, rows=50, seed=1)
    assert choose(CROSS_ENTROPY, fit, held, (1e-4, 1e-2, 1.0))[1] >= 1e-2
    with pytest.raises(NotFittedError):
        choose(CROSS_ENTROPY, fit, held, (1e-4, 1e-3))


def test_only_so_many_rows_are_kept(monkeypatch):
    monkeypatch.setattr(penalised, "ROWS", 60)
    task, seen = Copy(CopyConfig(length=3, delay=0, symbols=2)), []

    def features(batch: Batch) -> np.ndarray:
        seen.append(batch.inputs.shape[1])
        return batch.inputs[batch.mask > 0].reshape(-1, 3)

    fit_sequences_to(CROSS_ENTROPY, task, features, Streams(0), "ridge", 1000)
    assert sum(seen) == 20  # of 3 scored steps
    monkeypatch.setattr(penalised, "ROWS", 1)
    seen.clear()
    fit_sequences_to(CROSS_ENTROPY, task, features, Streams(0), "ridge", 1000)
    assert sum(seen) == 5


def network(inputs: int, outputs: int, hidden: int = 20, bias: bool = False) -> Weights:
    rng = np.random.default_rng(0)
    shapes = {"w_in": (hidden, inputs + bias), "w": (hidden, hidden), "w_out": (outputs, hidden + bias)}
    arrays = {n: torch.tensor(rng.standard_normal(s) * np.sqrt(2 / sum(s))) for n, s in shapes.items()}
    return Weights.one_layer(arrays, bias)


def with_readout(fitted, inputs: np.ndarray) -> np.ndarray:
    """Outputs of the network with the fitted readout in place of its own."""
    weights = Weights({**fitted.weights.arrays, "w_out": fitted.w_out}, fitted.weights.network)
    return forward(weights, inputs).y.numpy()


@pytest.mark.parametrize("bias", [False, True])
def test_the_readout_of_an_untrained_network_names_what_it_can_tell(bias):
    """Copy without a delay: the symbol is in the input of the step before; the readout is better than chance."""
    task = Copy(CopyConfig(length=1, delay=0, symbols=3, test_size=64))
    test, weights = task.test(np.random.default_rng(0)), network(4, 3, bias=bias)
    found = controls(task, weights, Streams(0), test, CROSS_ENTROPY, windows=200)
    assert sorted(found) == ["constant_mean", "ridge"]
    assert found["constant_mean"].loss == close(np.log(3.0), rel=0.02)
    assert found["ridge"].loss < 0.01
    assert task.score(found["ridge"].prediction, test)["accuracy"] == 1.0
    fitted = ridge(task, weights, Streams(0), windows=200, loss=CROSS_ENTROPY)
    np.testing.assert_allclose(with_readout(fitted, test.inputs), found["ridge"].prediction, rtol=1e-12)
    assert mean_loss(CROSS_ENTROPY, found["ridge"].prediction, test) == found["ridge"].loss
    of_squares = ridge(task, weights, Streams(0), windows=200)
    assert mean_loss(CROSS_ENTROPY, of_squares.predict(test), test) > found["ridge"].loss  # it minimises its own loss


def test_the_constant_of_a_task_is_the_log_of_its_classes():
    task = DelayedMatch(DelayedMatchConfig())
    batch = task.test(np.random.default_rng(0))
    train = task.sample(Streams(0).generator("constant_mean"), 500)
    share = float((train.targets[-1] > 0).mean())
    y = constant_mean(task, batch, Streams(0), 500, CROSS_ENTROPY)
    assert y.shape == batch.targets.shape
    np.testing.assert_allclose(y, np.log(share / (1 - share)), rtol=1e-9)


class Series:
    """A forecast, and the sign of its next value."""

    forecast = True

    def __init__(self, signs: bool) -> None:
        self.signs = signs

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        series = rng.standard_normal((9, batch, 1)).cumsum(0)
        targets = np.sign(series[1:]) if self.signs else series[1:]
        return Batch(series[:-1], targets, np.ones(8))

    def persistence(self, batch: Batch) -> np.ndarray:
        return batch.inputs


@pytest.mark.parametrize(("loss", "signs"), [(Huberlike(), False), (CROSS_ENTROPY, True)])
def test_forecasts_are_controls_where_outputs_are_values(loss, signs):
    """Of a loss of values they are scored by it; logits are no forecast."""
    task = Series(signs)
    test = task.sample(np.random.default_rng(0), 50)
    found = controls(task, network(1, 1), Streams(0), test, loss, windows=100)
    forecasts = {"lagged_linear", "persistence"}
    assert set(found) == {"constant_mean", "ridge"} | (set() if signs else forecasts)
    if not signs:
        assert found["persistence"].loss == close(mean_loss(loss, test.inputs, test))


def test_a_control_without_a_minimum_is_said_and_has_no_loss():
    task = Series(signs=False)
    test = task.sample(np.random.default_rng(0), 20)
    found = controls(task, network(1, 1), Streams(0), test, AbsoluteError(), windows=50)
    assert np.isnan(found["ridge"].loss)
    assert found["ridge"].note is not None
    assert found["ridge"].note.startswith("control ridge: the mean absolute error with a ridge of 1 has no minimum")
    assert np.isfinite(found["persistence"].loss)
    assert all(control.note is None for name, control in found.items() if name != "ridge")
