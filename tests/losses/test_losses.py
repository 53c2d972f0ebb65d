"""The losses against closed forms, their gradients by hand, and what every one of them owes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neuroanp.errors import InputError
from neuroanp.losses import LOSSES, SQUARED_ERROR, SquaredError, is_squared_error, mean_loss, named, of_steps
from neuroanp.losses.cross_entropy import CrossEntropy
from neuroanp.tasks.protocol import Batch
from tests.close import close

CROSS_ENTROPY = CrossEntropy()
LOGITS = st.floats(-50.0, 50.0, allow_subnormal=False)


def logits(most: int = 5) -> st.SearchStrategy[np.ndarray]:
    """Logits (rows, O) of at least two classes."""
    return st.tuples(st.integers(1, 4), st.integers(2, most)).flatmap(
        lambda shape: arrays(float, shape, elements=LOGITS)
    )


def one_hot(rows: int, classes: int, seed: int = 0) -> np.ndarray:
    return np.eye(classes)[np.random.default_rng(seed).integers(classes, size=rows)]


def targets_of(loss: Any, rows: int, outputs: int, seed: int = 0) -> np.ndarray:
    """Targets (rows, O) that a loss takes."""
    if isinstance(loss, SquaredError):
        return np.random.default_rng(seed).standard_normal((rows, outputs))
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (rows, 1))
    return signs if outputs == 1 else one_hot(rows, outputs, seed)


def slope(loss: Any, y: np.ndarray, targets: np.ndarray) -> np.ndarray:
    leaf = torch.from_numpy(y).requires_grad_()
    loss.of(leaf, torch.from_numpy(targets)).sum().backward()
    assert leaf.grad is not None
    return leaf.grad.numpy()


EVERY = [(name, outputs) for name in LOSSES.names() for outputs in (1, 3)]


@pytest.mark.parametrize(("name", "outputs"), EVERY)
def test_every_loss_is_one_number_an_output_vector_and_differentiable(name, outputs):
    """Values of passes and of single rows are the same, and the slope is that of finite differences."""
    loss = LOSSES.get(name)()
    rng = np.random.default_rng(1)
    y, targets = rng.standard_normal((4, 2, 5, outputs)), targets_of(loss, 20, outputs).reshape(4, 5, outputs)
    found = loss.of(torch.from_numpy(y), torch.from_numpy(targets).unsqueeze(1))
    assert found.shape == (4, 2, 5)
    assert found.dtype == torch.float64
    for t, m, b in ((0, 0, 0), (3, 1, 4), (2, 0, 3)):
        one = loss.of(torch.from_numpy(y[t, m, b]), torch.from_numpy(targets[t, b]))
        assert float(found[t, m, b]) == close(float(one), rel=1e-14)
    flat, rows = y[:, 0].reshape(20, outputs), targets.reshape(20, outputs)
    step = 1e-6 * rng.standard_normal(flat.shape)
    values = [loss.of(torch.from_numpy(flat + sign * step), torch.from_numpy(rows)).sum() for sign in (1, -1)]
    expected = float((slope(loss, flat, rows) * 2 * step).sum())
    assert float(values[0] - values[1]) == close(expected, rel=1e-4)


@pytest.mark.parametrize(("name", "outputs"), EVERY)
def test_every_loss_is_least_at_its_constant(name, outputs):
    loss = LOSSES.get(name)()
    targets = targets_of(loss, 40, outputs)
    assert loss.misfit(targets) is None
    constant = loss.constant(targets)
    assert constant.shape == (outputs,)
    np.testing.assert_allclose(slope(loss, np.tile(constant, (40, 1)), targets).sum(0), 0.0, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES.names())
def test_every_loss_is_finite_where_nothing_is_scored(name):
    """Targets are 0 there, and what the mask leaves out must not come back as nan."""
    loss = LOSSES.get(name)()
    y, targets = torch.randn(3, 1, 2, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(3, 2, 4)
    targets[2, :, 1] = 1.0
    found = of_steps(loss, y.requires_grad_(), targets, torch.tensor([0.0, 0.0, 1.0]))
    assert (found[:2] == 0).all()
    assert (found[2] > 0).all()
    found.sum().backward()
    assert y.grad is not None
    assert (y.grad[:2] == 0).all()
    assert torch.isfinite(y.grad).all()


def test_squared_error_is_the_mean_over_outputs():
    y, targets = torch.tensor([[1.0, 5.0]]), torch.tensor([[2.0, 2.0]])
    assert SQUARED_ERROR.of(y, targets).tolist() == [5.0]
    np.testing.assert_allclose(slope(SQUARED_ERROR, y.double().numpy(), targets.double().numpy()), [[-1.0, 3.0]])


def test_cross_entropy_in_closed_form():
    """ln O of equal logits; less ln of the class's probability; of one output ln(1 + exp(-y))."""
    eye = torch.eye(7, dtype=torch.float64)
    np.testing.assert_allclose(CROSS_ENTROPY.of(torch.full_like(eye, 3.0), eye), np.log(7.0), rtol=1e-14)
    p = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64)
    assert float(CROSS_ENTROPY.of(p.log(), eye[:1, :3])) == close(-np.log(0.7), rel=1e-14)
    assert float(CROSS_ENTROPY.of(p.log(), p)) == close(-float((p * p.log()).sum()), rel=1e-14)  # its entropy
    y = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    np.testing.assert_allclose(CROSS_ENTROPY.of(y, torch.ones_like(y)), np.log1p(np.exp([0.0, -2.0])), rtol=1e-14)
    np.testing.assert_allclose(CROSS_ENTROPY.of(y, -torch.ones_like(y)), np.log1p(np.exp([0.0, 2.0])), rtol=1e-14)


@given(y=logits(), seed=st.integers(0, 9))
def test_the_slope_of_cross_entropy_is_softmax_less_target(y, seed):
    targets = np.random.default_rng(seed).dirichlet(np.ones(y.shape[1]), y.shape[0])
    softmax = np.exp(y - y.max(-1, keepdims=True))
    softmax /= softmax.sum(-1, keepdims=True)
    np.testing.assert_allclose(slope(CROSS_ENTROPY, y, targets), softmax - targets, atol=1e-13)
    np.testing.assert_allclose(CROSS_ENTROPY.as_targets(y), softmax, rtol=1e-12)


@given(y=arrays(float, (4, 1), elements=LOGITS), seed=st.integers(0, 9))
def test_one_output_is_the_first_of_two_classes_the_other_at_zero(y, seed):
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (4, 1))
    two, classes = np.concatenate([y, 0 * y], -1), np.concatenate([signs > 0, signs < 0], -1).astype(float)
    one = CROSS_ENTROPY.of(torch.from_numpy(y), torch.from_numpy(signs))
    np.testing.assert_allclose(one, CROSS_ENTROPY.of(torch.from_numpy(two), torch.from_numpy(classes)), atol=1e-13)
    np.testing.assert_allclose(slope(CROSS_ENTROPY, y, signs), 1 / (1 + np.exp(-y)) - (signs + 1) / 2, atol=1e-13)
    p = CROSS_ENTROPY.as_targets(two)
    np.testing.assert_allclose(CROSS_ENTROPY.as_targets(y), p[:, :1] - p[:, 1:], atol=1e-12)


@given(y=logits(), shift=st.floats(-1e3, 1e3))
def test_a_constant_on_all_logits_changes_nothing(y, shift):
    targets = one_hot(*y.shape)
    values = [CROSS_ENTROPY.of(torch.from_numpy(part), torch.from_numpy(targets)).numpy() for part in (y, y + shift)]
    np.testing.assert_allclose(*values, rtol=1e-9, atol=1e-11)
    assert (values[0] >= 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("outputs", [1, 3])
def test_huge_logits_neither_overflow_nor_lose_the_slope(dtype, outputs):
    """1e4 too high on a wrong class costs 1e4, and its slope is 1."""
    wrong = torch.full((1, outputs), 0.0, dtype=dtype)
    wrong[0, 0] = 1e4
    targets = torch.eye(3, dtype=dtype)[1:2] if outputs == 3 else torch.tensor([[-1.0]], dtype=dtype)
    y = wrong.requires_grad_()
    found = CROSS_ENTROPY.of(y, targets)
    found.sum().backward()
    assert found.tolist() == [1e4]
    assert y.grad is not None
    assert float(y.grad[0, 0]) == 1.0


def test_the_constant_of_classes_is_the_log_of_their_share():
    targets = np.repeat(np.eye(3), [5, 3, 2], axis=0)
    np.testing.assert_allclose(CROSS_ENTROPY.constant(targets), np.log([0.5, 0.3, 0.2]), rtol=1e-14)
    signs = np.array([[1.0]] * 3 + [[-1.0]])
    np.testing.assert_allclose(CROSS_ENTROPY.constant(signs), np.log([3.0]), rtol=1e-14)


def test_a_class_that_never_occurs_counts_as_half_a_row():
    assert CROSS_ENTROPY.constant(np.eye(3)[[0, 1] * 5])[2] == close(np.log(0.05), rel=1e-14)
    assert CROSS_ENTROPY.constant(np.ones((10, 1)))[0] == close(np.log(19.0), rel=1e-12)
    assert CROSS_ENTROPY.constant(-np.ones((10, 1)))[0] == close(-np.log(19.0), rel=1e-12)


MISFITS = [
    np.array([[0.5], [1.0]]), np.array([[0.0]]), np.array([[2.0]]), np.array([[np.nan]]),
    np.array([[1.0, 1.0]]), np.array([[0.0, 0.0]]), np.array([[1.5, -0.5]]), np.array([[np.nan, 1.0]]),
    np.array([[1.0, 0.0], [0.5, 0.4]]),
]  # fmt: skip


@pytest.mark.parametrize("targets", MISFITS, ids=range(len(MISFITS)))
def test_cross_entropy_says_what_targets_are_no_classes(targets):
    said = CROSS_ENTROPY.misfit(targets)
    assert said == "takes classes: one output of +1 or -1, or one for each class that add up to 1"
    assert SQUARED_ERROR.misfit(targets) is None


@pytest.mark.parametrize("targets", [np.array([[1.0], [-1.0]]), np.eye(4), np.array([[0.25, 0.75], [1.0, 0.0]])])
def test_cross_entropy_takes_classes_and_their_probabilities(targets):
    assert CROSS_ENTROPY.misfit(targets) is None


@pytest.mark.parametrize("name", LOSSES.names())
def test_the_mean_is_over_scored_steps_and_sequences(name):
    loss = LOSSES.get(name)()
    rng = np.random.default_rng(3)
    y, mask = rng.standard_normal((6, 4, 3)), np.array([0.0, 1, 0, 1, 1, 0])
    batch = Batch(np.zeros((6, 4, 1)), targets_of(loss, 24, 3).reshape(6, 4, 3), mask)
    steps = of_steps(loss, *(torch.from_numpy(a) for a in (y[:, None], batch.targets, mask)))
    assert mean_loss(loss, y, batch) == close(float(steps.sum()) / (3 * 4), rel=1e-13)
    with pytest.raises(ValueError, match=r"outputs \(6, 4, 2\) do not match the targets \(6, 4, 3\)"):
        mean_loss(loss, y[..., :2], batch)
    with pytest.raises(ValueError, match="the batch's mask scores no step"):
        mean_loss(loss, y, Batch(batch.inputs, batch.targets, 0 * mask))


def test_what_derives_from_the_squared_error_is_another_loss():
    """What has a closed form for the squared error must not take it for that."""

    class Doubled(SquaredError):
        label: ClassVar[str] = "twice the squared error"

    assert is_squared_error(SQUARED_ERROR)
    assert is_squared_error(SquaredError())
    assert not is_squared_error(Doubled())
    assert not is_squared_error(CROSS_ENTROPY)
    assert named(Doubled()) == "twice the squared error"


def test_a_loss_that_lacks_a_member_is_refused():
    with pytest.raises(
        InputError, match=r"loss 'half' lacks as_targets, constant, error, label, misfit, unit: neuroanp\.losses"
    ):

        @LOSSES.register("half")
        class Half:
            def of(self, y, targets):
                return y.sum(-1)
