"""Gradients of any network of cells: by autograd, truncated, and where they must agree with those by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroanp.baselines import controls as controls_module
from neuroanp.baselines.autograd import autograd_gradient
from neuroanp.baselines.bptt import gradient
from neuroanp.baselines.methods import BPTT, BPTT1
from neuroanp.baselines.network import forward, is_one_layer_of_tanh, rate_outputs
from neuroanp.baselines.penalised import NotFittedError
from neuroanp.baselines.ridge import ridge, sees_all
from neuroanp.baselines.truncated import truncated_gradient
from neuroanp.losses import SQUARED_ERROR
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.gru import GRU
from neuroanp.network.rollout import advance, rest
from neuroanp.network.tanh import LeakyTanh, Tanh
from neuroanp.noise import Streams
from neuroanp.tasks.protocol import Batch
from neuroanp.trajectory import Weights
from tests.close import close
from tests.network.made import NETWORKS, random

STEPS = 6


def agree(one, two, rel: float = 1e-12) -> None:
    assert list(one.arrays) == list(two.arrays)
    assert one.diagnostics["loss"] == close(two.diagnostics["loss"], rel=1e-12)
    for name, dW in two.arrays.items():
        torch.testing.assert_close(one.arrays[name], dW, rtol=0, atol=rel * max(1.0, float(dW.abs().max())))


@pytest.mark.parametrize("name", ["tanh", "tanh bias"])
def test_by_hand_and_by_autograd_one_layer_of_tanh_has_one_gradient(random_batch, name):
    weights, batch = random(NETWORKS[name]), random_batch(1, STEPS)
    assert is_one_layer_of_tanh(weights)
    agree(autograd_gradient(rate_outputs, weights, batch), gradient(weights, batch))
    for k in (1, 2, 3, STEPS, STEPS + 9):
        agree(truncated_gradient(weights, batch, k), gradient(weights, batch, k))


@pytest.mark.parametrize("name", [name for name in NETWORKS if "tanh" not in name])
def test_a_truncation_beyond_the_sequence_is_the_whole_gradient(random_batch, name):
    weights, batch = random(NETWORKS[name]), random_batch(1, STEPS)
    assert not is_one_layer_of_tanh(weights)
    whole = autograd_gradient(rate_outputs, weights, batch)
    for k in (STEPS, STEPS + 5):
        agree(truncated_gradient(weights, batch, k), whole)
    agree(BPTT().gradient(weights, batch, rate_outputs), whole, rel=0.0)


@pytest.mark.parametrize("name", ["gru", "lstm", "two", "delayed", "skips"])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_a_truncated_loss_sees_only_its_last_steps(random_batch, name, k):
    """The gradient of one scored step, of the network started k steps before from where it stood, as a constant."""
    weights, batch = random(NETWORKS[name]), random_batch(1, STEPS)
    total = {name: torch.zeros_like(W) for name, W in weights.items()}
    for t in np.flatnonzero(batch.mask):
        leaves = {name: W.clone().requires_grad_() for name, W in weights.items()}
        start = max(0, t - k + 1)
        u = torch.as_tensor(batch.inputs)
        y = _continued(weights, leaves, u, start, int(t))
        loss = (y - torch.as_tensor(batch.targets[t])).square().mean()
        for name, g in zip(
            leaves, torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True), strict=True
        ):
            total[name] += g
    found = truncated_gradient(weights, batch, k).arrays
    for name, dW in total.items():
        torch.testing.assert_close(found[name], dW, rtol=0, atol=1e-12 * max(1.0, float(dW.abs().max())))
    if k == 1:
        agree(BPTT1().gradient(weights, batch, rate_outputs), truncated_gradient(weights, batch, 1), rel=0.0)


def _continued(weights: Weights, leaves, u: torch.Tensor, start: int, t: int) -> torch.Tensor:
    """The output of step t; steps before `start` are run with weights that nothing is learned of."""
    standing, y = rest(weights.network, u.shape[1], u), None
    for s in range(t + 1):
        standing, y = advance(weights.network, weights if s < start else leaves, standing, u[s])
    assert y is not None
    return y


class Halved(Tanh):
    """x = tanh(h) / 2: derived from what is known by heart, and another cell."""

    def step(self, state, h):
        return state, h.tanh() / 2


@pytest.mark.parametrize("cell", [GRU(), LeakyTanh(), Halved()], ids=["gru", "leaky", "derived"])
def test_what_is_by_hand_is_for_tanh_alone(random_batch, cell):
    weights, batch = random(stack(2, [Stacked(cell, 3)], 3)), random_batch(0)
    assert not is_one_layer_of_tanh(weights)
    agree(BPTT().gradient(weights, batch, rate_outputs), autograd_gradient(rate_outputs, weights, batch), rel=0.0)
    assert not is_one_layer_of_tanh(random(stack(2, [Stacked(Tanh(), 3, recurrent=False)], 1)))


def test_what_is_by_hand_has_no_delay_before_its_layer():
    one = stack(2, [Stacked(Tanh(), 3)], 1)
    late = replace(one, projections=(one.projections[0]._replace(delay=1), *one.projections[1:]))
    assert is_one_layer_of_tanh(random(one))
    assert not is_one_layer_of_tanh(random(late))


def test_a_truncation_below_one_step_is_refused(random_batch):
    with pytest.raises(ValueError, match="at least 1"):
        truncated_gradient(random(NETWORKS["gru"]), random_batch(0), 0)


class Taught:
    """Sequences whose targets a network makes; its last layers see what the inputs were."""

    forecast = False

    def __init__(self, teacher) -> None:
        self.teacher = teacher

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        u = rng.standard_normal((8, batch, 2))
        return Batch(u, self.teacher(u).numpy(), (np.arange(8) >= 3).astype(float))

    def persistence(self, batch: Batch) -> None:
        return None


def test_ridge_recovers_what_several_layers_bring_to_the_outputs():
    """With skips the readout is that of all arrays to the output side by side, in their order."""
    teacher = random(NETWORKS["skips"])
    assert sees_all(teacher.network)
    found = ridge(Taught(lambda u: forward(teacher, u).y), teacher, Streams(0), windows=200)
    wanted = torch.cat([teacher[name] for name in teacher.network.readout], 1)
    torch.testing.assert_close(found.w_out, wanted, rtol=1e-4, atol=1e-5)


def test_ridge_of_every_layer_recovers_a_readout_that_the_network_has_not():
    network = stack(2, [Stacked(GRU(), 4), Stacked(Tanh(), 3)], 3, bias=True)
    weights = random(network)
    assert not sees_all(network)
    wanted = torch.randn((3, 8), generator=torch.Generator().manual_seed(5), dtype=torch.float64)

    def taught(u) -> torch.Tensor:
        x = forward(weights, u).x
        return torch.cat([x["hidden_1"], x["hidden_2"]], -1) @ wanted[:, :7].T + wanted[:, 7]

    task = Taught(taught)
    found = ridge(task, weights, Streams(0), windows=200, every=True)
    torch.testing.assert_close(found.w_out, wanted, rtol=1e-4, atol=1e-5)
    test = task.sample(np.random.default_rng(9), 5)
    np.testing.assert_allclose(found.predict(test), test.targets, rtol=0, atol=1e-4)
    last = ridge(task, weights, Streams(0), windows=200)
    assert last.w_out.shape == (3, 4)
    assert np.abs(last.predict(test) - test.targets).max() > 0.1


@pytest.mark.parametrize("unfitted", [["ridge"], ["ridge_all"], ["ridge", "ridge_all"]], ids="-".join)
def test_a_control_that_finds_no_minimum_takes_no_other_with_it(monkeypatch, unfitted):
    """Each says for itself why it is not there, and the other keeps its loss."""
    weights = random(stack(2, [Stacked(GRU(), 4), Stacked(Tanh(), 3)], 3, bias=True))
    task = Taught(lambda u: forward(weights, u).y)
    test = task.sample(np.random.default_rng(9), 5)

    def failing(*given, every: bool, **options):
        if ("ridge_all" if every else "ridge") in unfitted:
            raise NotFittedError("no minimum")
        return ridge(*given, every=every, **options)

    whole = controls_module.controls(task, weights, Streams(0), test, SQUARED_ERROR, windows=20)
    monkeypatch.setattr(controls_module, "ridge", failing)
    found = controls_module.controls(task, weights, Streams(0), test, SQUARED_ERROR, windows=20)
    assert set(found) == set(whole) == {"constant_mean", "ridge", "ridge_all"}
    for name, control in found.items():
        if name in unfitted:
            assert np.isnan(control.loss)
            assert np.isnan(control.prediction).all()
            assert control.note == f"control {name}: no minimum"
        else:
            assert (control.loss, control.note) == (whole[name].loss, None)
