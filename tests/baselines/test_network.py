"""The plain network against its equations, step by step."""

import numpy as np
import pytest
import torch

from neuroanp.baselines.network import forward, rate_activities
from tests.network.made import NETWORKS, inputs, random


@pytest.mark.parametrize("bias", [False, True])
def test_the_network_follows_its_equations(random_weights, bias):
    weights = random_weights(3, inputs=2, hidden=5, outputs=3, bias=bias)
    inputs = np.random.default_rng(1).standard_normal((4, 6, 2))
    act = forward(weights, inputs)
    w_in, w, w_out = (weights[name].numpy() for name in ("w_in", "w", "w_out"))
    for b in range(6):
        x = np.zeros(5)
        for t in range(4):
            u = np.append(inputs[t, b], 1.0) if bias else inputs[t, b]
            h = w_in @ u + w @ x
            x = np.tanh(h)
            np.testing.assert_allclose(act.h["hidden"][t, b], h, rtol=1e-12)
            np.testing.assert_allclose(act.x["hidden"][t, b], x, rtol=1e-12)
            np.testing.assert_allclose(act.y[t, b], w_out @ (np.append(x, 1.0) if bias else x), rtol=1e-12, atol=1e-15)


def test_the_weights_set_the_precision(random_weights):
    act = forward(random_weights(0, dtype=torch.float32), np.zeros((2, 1, 2)))
    assert act.y.dtype == torch.float32


def test_autograd_reaches_every_matrix(random_weights):
    weights = random_weights(0)
    for array in weights.values():
        array.requires_grad_()
    forward(weights, np.ones((3, 2, 2))).y.sum().backward()
    assert all(array.grad is not None and array.grad.abs().sum() > 0 for array in weights.values())


def test_activities_are_those_of_every_layer_and_of_nothing_else():
    weights, u = random(NETWORKS["skips"]), inputs()
    found, whole = rate_activities(weights, u.numpy()), forward(weights, u)
    assert list(found) == ["hidden_1", "hidden_2", "hidden_3"]
    assert all(torch.equal(x, whole.x[name]) for name, x in found.items())
