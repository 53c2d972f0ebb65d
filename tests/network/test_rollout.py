"""A rollout against steps by hand in numpy, and against the same network step by step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroanp.network.compose import Stacked, stack
from neuroanp.network.gru import GRU
from neuroanp.network.init import xavier
from neuroanp.network.lstm import LSTM
from neuroanp.network.network import INPUT, OUTPUT
from neuroanp.network.rollout import advance, rest, rollout
from neuroanp.noise import Streams
from tests.network.made import NETWORKS, inputs, random


@pytest.mark.parametrize("name", NETWORKS)
def test_a_rollout_is_the_network_step_by_step(name):
    network, u = NETWORKS[name], inputs()
    weights = random(network)
    whole, standing = rollout(network, weights, u), rest(network, u.shape[1], u)
    for t, now in enumerate(u):
        standing, y = advance(network, weights, standing, now)
        torch.testing.assert_close(y, whole.y[t], rtol=1e-12, atol=1e-14)
        for group in network.groups[:-1]:
            torch.testing.assert_close(standing.x[group], whole.x[group][t], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NETWORKS)
def test_pre_activations_are_sums_of_what_arrays_bring(name):
    """One number at a time: h of every port from activities, a 1 on a bias line, nothing before the first step."""
    network, u = NETWORKS[name], inputs()
    weights, run = random(network), rollout(network, random(network), u)
    for t, b in np.ndindex(*u.shape[:2]):
        for group in network.noisy:
            total = np.zeros(network.lines[group])
            for p in network.projections:
                if p.post != group:
                    continue
                x = run.x[p.pre][t - p.delay, b].numpy() if t >= p.delay else np.zeros(network.units[p.pre])
                total[network.ports(p)] += weights[p.name].numpy() @ np.append(x, np.ones(int(p.bias)))
            found = run.y[t, b] if group == OUTPUT else run.h[group][t, b]
            np.testing.assert_allclose(found, total, rtol=1e-12, atol=1e-13)
    assert torch.equal(run.x[INPUT], u)


def test_first_weights_have_the_variance_of_their_ports():
    """2 / (pre + post) for each port by itself, whatever the number of ports; bias columns are zero."""
    network = stack(60, [Stacked(GRU(), 120), Stacked(LSTM(), 80)], 90, bias=True, skip=True)
    drawn = xavier(network, Streams(0), torch.float64)
    assert list(drawn) == list(network.shapes)
    for p in network.projections:
        W, pre, post = drawn[p.name], network.units[p.pre], network.units[p.post]
        assert W.shape == network.shapes[p.name]
        for port in W[:, :pre].split(post):
            count = port.numel()
            ratio = float(port.square().mean()) * (pre + post) / 2
            assert abs(ratio - 1) < 5 * (2 / count) ** 0.5  # the mean of chi squared, 5 standard errors
        assert not p.bias or float(W[:, pre].abs().max()) == 0


@pytest.mark.parametrize("bias", [False, True])
def test_one_layer_draws_what_it_always_drew(bias):
    network = NETWORKS["tanh bias" if bias else "tanh"]
    rng = Streams(3).generator("init")
    drawn = xavier(network, Streams(3), torch.float64)
    for name, (post, pre) in {"w_in": (4, 2), "w": (4, 4), "w_out": (3, 4)}.items():
        W = rng.standard_normal((post, pre)) * np.sqrt(2 / (post + pre))
        line = np.zeros((post, int(bias and name != "w")))
        np.testing.assert_array_equal(drawn[name].numpy(), np.hstack([W, line]))
    single = xavier(network, Streams(3), torch.float32)
    assert all(torch.equal(single[name], W.float()) for name, W in drawn.items())


def test_an_output_that_is_delayed_reads_the_step_before():
    """In a rollout and step by step: y_t = W_out x_{t-1}, 0 at the start but for the bias line."""
    one = stack(2, [Stacked(GRU(), 4)], 3, bias=True)
    late = replace(one, projections=(*one.projections[:-1], one.projections[-1]._replace(delay=1)))
    weights, u = random(late), inputs()
    y, whole, standing = rollout(one, weights, u).y, rollout(late, weights, u).y, rest(late, u.shape[1], u)
    torch.testing.assert_close(whole[1:], y[:-1], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(whole[0], weights["w_out"][:, -1].expand(u.shape[1], -1), rtol=1e-12, atol=0)
    for t, now in enumerate(u):
        standing, out = advance(late, weights, standing, now)
        torch.testing.assert_close(out, whole[t], rtol=1e-12, atol=1e-14)
