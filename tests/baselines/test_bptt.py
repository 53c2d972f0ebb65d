"""The gradient against finite differences, against autograd, and the truncated one against an explicit sum."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroanp.baselines.autograd import autograd_gradient
from neuroanp.baselines.bptt import gradient
from neuroanp.baselines.methods import BPTT, BPTT1
from neuroanp.baselines.network import forward, rate_outputs
from neuroanp.errors import InputError
from neuroanp.losses import SquaredError
from neuroanp.losses.cross_entropy import CrossEntropy
from neuroanp.tasks.copy import Copy, CopyConfig
from neuroanp.tasks.protocol import Batch
from neuroanp.tasks.scoring import squared_error
from neuroanp.trajectory import Weights
from tests.close import close

shared = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def loss_of(weights: Weights, batch) -> float:
    """L as the design writes it: summed over scored steps, mean over outputs and sequences."""
    miss = forward(weights, batch.inputs).y.numpy() - batch.targets
    return float((batch.mask[:, None] * (miss**2).mean(axis=-1)).sum() / miss.shape[1])


@pytest.mark.parametrize("bias", [False, True])
def test_the_gradient_is_that_of_the_loss(random_weights, random_batch, bias):
    weights, batch, step = random_weights(1, bias=bias), random_batch(2), 1e-5
    update = gradient(weights, batch)
    for name, array in weights.items():
        assert update.arrays[name].shape == array.shape
        for place in np.ndindex(*array.shape):
            value = array[place].item()
            array[place] = value + step
            high = loss_of(weights, batch)
            array[place] = value - step
            low = loss_of(weights, batch)
            array[place] = value
            assert update.arrays[name][place].item() == pytest.approx((high - low) / (2 * step), abs=1e-9, rel=1e-7)


def explicit(weights: Weights, batch, k: int) -> dict[str, np.ndarray]:
    """Sum dL_t/dh_s over the k steps s = t-k+1 .. t, with Jacobians multiplied one by one."""
    act = forward(weights, batch.inputs)
    h, x, y, u = (array.numpy() for array in (act.h["hidden"], act.x["hidden"], act.y, act.x["input"]))
    u = np.concatenate([u, np.ones((*u.shape[:2], int(weights.network.bias)))], -1)
    w, w_out = weights["w"].numpy(), weights["w_out"].numpy()
    hidden, (_steps, size, outputs) = weights.network.hidden, y.shape
    total = {name: np.zeros(array.shape) for name, array in weights.items()}
    for b in range(size):
        for t in np.flatnonzero(batch.mask):
            g = 2.0 * (y[t, b] - batch.targets[t, b]) / outputs / size
            total["w_out"] += np.outer(g, np.append(x[t, b], 1.0) if weights.network.bias else x[t, b])
            for s in range(max(0, t - k + 1), t + 1):
                jacobian = np.diag(1 - np.tanh(h[s, b]) ** 2)  # dx_s / dh_s
                for later in range(s + 1, t + 1):  # dx_t / dh_s
                    jacobian = np.diag(1 - np.tanh(h[later, b]) ** 2) @ w @ jacobian
                e = jacobian.T @ w_out[:, :hidden].T @ g
                total["w_in"] += np.outer(e, u[s, b])
                total["w"] += np.outer(e, x[s - 1, b] if s else np.zeros(hidden))
    return total


@given(k=st.integers(1, 9), seed=st.integers(0, 50), bias=st.booleans())
@shared
def test_truncation_reaches_exactly_k_steps(random_weights, random_batch, k, seed, bias):
    weights, batch = random_weights(seed, bias=bias), random_batch(seed)
    update, expected = gradient(weights, batch, k), explicit(weights, batch, k)
    for name in weights:
        np.testing.assert_allclose(update.arrays[name].numpy(), expected[name], rtol=1e-10, atol=1e-12)


def test_one_step_equals_autograd_with_a_detached_state(random_weights, random_batch):
    weights, batch = random_weights(4), random_batch(5)
    for array in weights.values():
        array.requires_grad_()
    u, x, total = torch.as_tensor(batch.inputs), torch.zeros(3, 4, dtype=torch.float64), torch.zeros(())
    for t in range(len(u)):
        x = torch.tanh(u[t] @ weights["w_in"].T + x.detach() @ weights["w"].T)
        miss = x @ weights["w_out"].T - torch.as_tensor(batch.targets[t])
        total = total + batch.mask[t] * (miss**2).mean(dim=-1).mean()
    total.backward()
    update = gradient(Weights.one_layer({name: array.detach() for name, array in weights.items()}), batch, truncation=1)
    for name, array in weights.items():
        torch.testing.assert_close(update.arrays[name], array.grad, rtol=1e-10, atol=1e-13)


def test_a_truncation_beyond_the_sequence_is_the_whole_gradient(random_weights, random_batch):
    weights, batch = random_weights(1), random_batch(1)
    whole = gradient(weights, batch).arrays
    for k in (6, 1000):
        assert all(torch.equal(gradient(weights, batch, k).arrays[name], whole[name]) for name in whole)


def test_the_loss_reported_is_the_squared_error(random_weights, random_batch):
    weights, batch = random_weights(1), random_batch(1)
    expected = squared_error(forward(weights, batch.inputs).y.numpy(), batch)
    assert gradient(weights, batch).diagnostics["loss"] == close(expected, rel=1e-12)


def test_the_weights_are_left_alone_and_set_the_precision(random_weights, random_batch):
    weights = random_weights(1, dtype=torch.float32)
    before = {name: array.clone() for name, array in weights.items()}
    update = gradient(weights, random_batch(1))
    assert all(torch.equal(before[name], weights[name]) for name in before)
    assert all(array.dtype == torch.float32 for array in update.arrays.values())


def test_a_truncation_below_one_step_is_refused(random_weights, random_batch):
    with pytest.raises(ValueError, match="at least 1"):
        gradient(random_weights(0), random_batch(0), truncation=0)


def outputs_of(weights: Weights, inputs: torch.Tensor, neurons: object = None) -> torch.Tensor:
    """The rate network, as one that is differentiated automatically."""
    return forward(weights, inputs).y


@pytest.mark.parametrize("bias", [False, True])
def test_automatic_differentiation_finds_the_same_gradient(random_weights, random_batch, bias):
    weights, batch = random_weights(1, bias=bias), random_batch(2)
    with torch.no_grad():  # what surrounds the call is of no account
        found = BPTT().gradient(weights, batch, outputs_of)
    exact = BPTT().gradient(weights, batch, rate_outputs)
    assert found.diagnostics["loss"] == close(exact.diagnostics["loss"], rel=1e-12)
    for name, dW in exact.arrays.items():
        torch.testing.assert_close(found.arrays[name], dW, rtol=1e-10, atol=1e-13)
        assert not weights[name].requires_grad


class Again(SquaredError):
    """The squared error, of which nothing is known by heart."""


@pytest.mark.parametrize("k", [None, 1, 3])
def test_the_gradient_by_hand_is_that_of_autograd_of_the_loss_itself(random_weights, random_batch, k):
    weights, batch = random_weights(1), random_batch(2)
    by_hand, found = gradient(weights, batch, k), gradient(weights, batch, k, loss=Again())
    assert found.diagnostics["loss"] == close(by_hand.diagnostics["loss"], rel=1e-12)
    for name, dW in by_hand.arrays.items():
        torch.testing.assert_close(found.arrays[name], dW, rtol=1e-10, atol=1e-13)
    whole = autograd_gradient(outputs_of, weights, batch, Again())
    if k is None:
        for name, dW in whole.arrays.items():
            torch.testing.assert_close(dW, by_hand.arrays[name], rtol=1e-10, atol=1e-13)
    assert whole.diagnostics["loss"] == close(by_hand.diagnostics["loss"], rel=1e-12)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("method", [BPTT(), BPTT(truncation=2), BPTT1()])
def test_every_method_descends_the_cross_entropy(random_weights, random_batch, method, outputs):
    """The whole gradient against autograd of L itself, written out; of a truncated one its part at the outputs."""
    weights, batch = random_weights(1, outputs=outputs), random_batch(2, outputs=outputs)
    rng = np.random.default_rng(0)
    shape = batch.targets.shape
    signs = rng.choice([-1.0, 1.0], shape)
    targets = signs if outputs == 1 else np.eye(outputs)[rng.integers(outputs, size=shape[:2])]
    batch = Batch(batch.inputs, targets, batch.mask)
    leaves = {name: W.clone().requires_grad_() for name, W in weights.items()}
    y, t = forward(Weights(leaves, weights.network), batch.inputs).y, torch.from_numpy(targets)
    each = (1 + (-t * y).exp()).log().sum(-1) if outputs == 1 else y.logsumexp(-1) - (t * y).sum(-1)
    L = (each * torch.from_numpy(batch.mask)[:, None]).sum() / shape[1]
    L.backward()
    found = method.gradient(weights, batch, rate_outputs, loss=CrossEntropy())
    assert found.diagnostics["loss"] == close(float(L.detach()) / batch.mask.sum(), rel=1e-12)
    for name in leaves if method == BPTT() else ("w_out",):
        torch.testing.assert_close(found.arrays[name], leaves[name].grad, rtol=1e-10, atol=1e-13)
    if method == BPTT():
        again = method.gradient(weights, batch, outputs_of, loss=CrossEntropy())
        for name, dW in again.arrays.items():
            torch.testing.assert_close(dW, found.arrays[name], rtol=1e-10, atol=1e-13)


def test_what_the_loss_does_not_depend_on_has_no_gradient(random_weights, random_batch):
    weights = random_weights(1)
    dW = autograd_gradient(
        lambda W, u, neurons=None: (u @ W["w_in"].T) @ W["w_out"].T, weights, random_batch(2)
    ).arrays["w"]
    assert dW.shape == weights["w"].shape
    assert float(dW.abs().max()) == 0


def test_one_spike_s_surrogate_is_the_slope_it_brings(random_batch):
    """y = W_out s(W_in u) with ds/dv = g(v): dW_in = sum 2 miss W_out g(v) u, though s itself is flat."""

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, v):  # pyright: ignore
            ctx.save_for_backward(v)
            return (v > 0).to(v.dtype)

        @staticmethod
        def backward(ctx, grad):  # pyright: ignore
            (v,) = ctx.saved_tensors
            return grad / (1 + v.abs()) ** 2

    rng = np.random.default_rng(0)
    shapes = {"w_in": (4, 2), "w": (4, 4), "w_out": (3, 4)}
    weights = Weights.one_layer({name: torch.from_numpy(rng.standard_normal(shape)) for name, shape in shapes.items()})
    batch = random_batch(3)

    def network(W: Weights, u: torch.Tensor, neurons: object = None) -> torch.Tensor:
        return Spike.apply(u @ W["w_in"].T) @ W["w_out"].T  # pyright: ignore

    found = autograd_gradient(network, weights, batch).arrays
    w_in, w_out, u = weights["w_in"].numpy(), weights["w_out"].numpy(), batch.inputs
    v = u @ w_in.T
    miss = 2 * batch.mask[:, None, None] * ((v > 0) @ w_out.T - batch.targets) / (3 * 3)  # B and O are 3
    np.testing.assert_allclose(found["w_out"].numpy(), np.einsum("tbo,tbn->on", miss, v > 0), rtol=1e-10)
    expected = np.einsum("tbo,on,tbn,tbi->ni", miss, w_out, (1 + np.abs(v)) ** -2, u)
    np.testing.assert_allclose(found["w_in"].numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("method", [BPTT1(), BPTT(truncation=3)])
def test_a_truncation_of_another_network_is_refused(random_weights, random_batch, method):
    with pytest.raises(InputError, match="rate networks alone"):
        method.gradient(random_weights(1), random_batch(1), outputs_of)
    method.check(spiking=False)


def trained(truncation: int | None, updates: int, rate: float = 3e-3) -> float:
    """Train on copy (length 2, delay 2) with Adam; return the test loss."""
    task, rng = Copy(CopyConfig(length=2, delay=2, symbols=2)), np.random.default_rng(0)
    shapes = {"w_in": (30, 3), "w": (30, 30), "w_out": (2, 30)}
    arrays = {
        name: torch.nn.Parameter(torch.tensor(rng.standard_normal(shape) * np.sqrt(2 / sum(shape))))
        for name, shape in shapes.items()
    }
    adam = torch.optim.Adam(list(arrays.values()), lr=rate)
    weights = Weights.one_layer(arrays)
    for _ in range(updates):
        for name, array in gradient(weights, task.sample(rng, 16), truncation).arrays.items():
            arrays[name].grad = array
        adam.step()
    test = task.test(rng)
    return squared_error(forward(weights, test.inputs).y.detach().numpy(), test)


def test_descent_learns_to_copy():
    assert trained(None, 200) < 0.02 < 0.25  # 1/4 is the constant mean


@pytest.mark.slow
def test_the_whole_gradient_learns_more_than_one_step():
    assert trained(None, 600) < trained(1, 600) / 3
