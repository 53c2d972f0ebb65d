"""HeldOutBatch-out losses, predictions and what is kept for a figure, by a forward pass of a few lines of numpy."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from neuroanp import api
from neuroanp.backends.protocol import Request
from neuroanp.baselines.controls import WINDOWS
from neuroanp.baselines.ridge import ridge
from neuroanp.noise import PassStreams
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.evaluate import NOISY, HeldOutBatch, show
from neuroanp.training.launch import launch
from tests.close import close

from .by_hand import forward, mean_square, of_sequences
from .test_resume import same

T, B, N = 5, 7, 6
SMALL = {
    "task": {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": B},
    "network": {"hidden": N, "bias": True},
    "profile": "ideal",
    "compute": {"dtype": "float64"},
    "training": {"updates": 3, "batch": 2, "controls": False},
    "optimizer": {"lr": 0.05},
}
LOUD = {"perturbation.name": "gaussian", "perturbation.sigma": 0.5}
CHANGES = {
    "artificial": LOUD,
    "artificial-outputs": {**LOUD, "perturbation.sigma": 1e-9, "perturbation.output": 5.0},
    "chunks": {**LOUD, "training.chunk": 2},
    "sgd": {**LOUD, "optimizer.name": "sgd"},
}


def experiment(changes: dict) -> Experiment:
    return Experiment.of(configure(SMALL, changes))


def after_updates(changes: dict, updates: int = 3):
    made = experiment(changes)
    trainer = build_trainer(made)
    for _ in range(updates):
        trainer.step()
    batch = of_sequences(made)
    return trainer, batch, HeldOutBatch.of(batch, trainer.substrate.weights["w"], trainer.task.loss)


@pytest.mark.parametrize("name", CHANGES)
def test_noise_that_no_device_makes_is_in_no_evaluation(name):
    """Both losses and the outputs are those of the weights alone."""
    trainer, batch, held = after_updates(CHANGES[name])
    found = trainer.evaluate(held)
    y = forward(trainer.substrate.weights, batch.inputs, bias=True)
    np.testing.assert_allclose(found.y, y, rtol=0, atol=1e-12)
    expected = mean_square(y, batch.targets, batch.mask)
    assert found.test_loss == pytest.approx(expected, rel=1e-10, abs=0)
    assert found.test_loss_noise_free == pytest.approx(expected, rel=1e-10, abs=0)
    for noise in (True, False):
        np.testing.assert_allclose(trainer.outputs(held.inputs, noise)[:, 0].numpy(), y, rtol=0, atol=1e-12)


DEVICES = {
    "pcm": {"profile": "pcm", "hardware.without": ["dac", "adc"]},
    "amplifiers": {"profile": "cmos_subthreshold", "hardware.without": ["dac", "adc", "adc_mismatch"]},
}


@pytest.mark.parametrize("name", DEVICES)
def test_the_noise_of_the_device_is_in_the_loss_under_noise_alone(name):
    """y = W x + sqrt(S x^2 + s^2) xi, with S of a window of T B dt: every sequence is shown in turn."""
    trainer, batch, held = after_updates({**LOUD, **DEVICES[name], "dt": "2 us"})
    chip, books = trainer.substrate, trainer.substrate.state_dict()
    found = trainer.evaluate(held)
    assert same(chip.state_dict(), books)  # its user reads it: no time, no energy
    streams = PassStreams(trainer.streams, "test", 3)
    reads = chip.prepare(T * B * 2e-6, streams)
    xi = {
        name: streams.normal(f"read/{name}", 0, 0, T, (B, n), np.float64)
        for name, n in (("w_in", N), ("w", N), ("w_out", batch.targets.shape[2]))
    }

    def read(name: str, x: np.ndarray, t: int) -> np.ndarray:
        W, S = reads[name].W.numpy(), reads[name].sigma2.numpy()  # pyright: ignore
        return x @ W.T + np.sqrt(x**2 @ S.T + float(reads[name].extra)) * xi[name][t]  # pyright: ignore

    x, one, outputs = np.zeros((B, N)), np.ones((B, 1)), []
    for t in range(T):
        x = np.tanh(read("w_in", np.hstack([batch.inputs[t], one]), t) + read("w", x, t))
        outputs.append(read("w_out", np.hstack([x, one]), t))
    np.testing.assert_allclose(found.y, np.array(outputs), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(trainer.outputs(held.inputs)[:, 0].numpy(), found.y)
    assert found.test_loss == pytest.approx(mean_square(np.array(outputs), batch.targets, batch.mask), rel=1e-10, abs=0)
    silent = {name: read.W for name, read in chip.prepare(T * B * 2e-6, streams, noise=False).items()}
    y = forward(silent, batch.inputs, bias=True)
    assert found.test_loss_noise_free == pytest.approx(mean_square(y, batch.targets, batch.mask), rel=1e-10, abs=0)
    assert abs(found.test_loss / found.test_loss_noise_free - 1) > 1e-6


def test_a_window_that_is_longer_has_more_noise():
    """What the test above would not see if S did not depend on the window."""
    trainer, _, _ = after_updates(DEVICES["pcm"], 0)
    streams = PassStreams(trainer.streams, "test", 0)
    one, many = (float(trainer.substrate.prepare(T * n * 1e-6, streams)["w"].sigma2.sum()) for n in (1, B))  # pyright: ignore
    assert many > 1.05 * one


def test_after_idle_time_the_weights_are_those_that_the_leak_has_left():
    """W e^{-t/tau} with tau = 100 ms, t from the last write and not from the chip's first second."""
    without = ["dac", "adc"]
    changes = {"profile": "capacitor", "hardware.write": "ideal", "dt": "1 ms", "hardware.without": without}
    trainer, batch, held = after_updates({**LOUD, **changes})
    W = {name: part.numpy() * np.exp(-0.05 / 0.1) for name, part in trainer.substrate.weights.items()}
    found = trainer.evaluate_after(held, 0.05)
    y = forward(W, batch.inputs, bias=True)
    np.testing.assert_allclose(found.y, y, rtol=0, atol=1e-9)
    assert found.test_loss == pytest.approx(mean_square(y, batch.targets, batch.mask), rel=1e-9, abs=0)
    assert trainer.substrate.now == close(3 * 2 * 2 * T * 1e-3, rel=1e-12)


def test_a_record_s_losses_after_idle_time_are_of_that_time(tmp_path):
    changes = {"profile": "capacitor", "hardware.write": "ideal", "dt": "1 ms", "hardware.without": ["dac", "adc"]}
    made = experiment({**changes, **LOUD, "training.evaluate_after": ["20 ms", "50 ms"]})
    run, batch = api.load_run(launch(made.config, tmp_path).path), of_sequences(made)
    row, W = run.result, run.weights(as_held=False)
    for time, s in {"20 ms": 0.02, "50 ms": 0.05}.items():
        y = forward({name: part.numpy() * np.exp(-s / 0.1) for name, part in W.items()}, batch.inputs, bias=True)
        for loss in ("test_loss_after", "test_loss_noise_free_after"):
            assert row[loss][time] == pytest.approx(mean_square(y, batch.targets, batch.mask), rel=1e-9, abs=0)


HOLDS = {
    "as-it-is": {},
    "held": {"encoder": "current", "encoder.hold": 3},
    "population": {"encoder": {"name": "population", "n": 3, "hold": 4}},
}


@pytest.mark.parametrize("name", HOLDS)
def test_predictions_are_those_of_the_last_step_of_each_of_the_task_s(name, tmp_path):
    """In the record, from `predict`, and in the scores; targets and mask are the task's own."""
    made = experiment({**LOUD, **HOLDS[name]})
    run = api.load_run(launch(made.config, tmp_path).path)
    batch, weights = of_sequences(made), run.weights()
    raw = batch.raw or batch
    hold = len(batch.mask) // len(raw.mask)
    assert (hold, len(raw.mask)) == ({"as-it-is": 1, "held": 3, "population": 4}[name], T)
    y = np.array([forward(weights, batch.inputs, bias=True)[t * hold + hold - 1] for t in range(T)])
    arrays = run.record.load_arrays("predictions")
    assert arrays is not None
    np.testing.assert_allclose(arrays["y"], y, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(arrays["target"], raw.targets)
    np.testing.assert_array_equal(arrays["mask"], raw.mask)
    np.testing.assert_allclose(run.predict(raw.inputs), y, rtol=0, atol=1e-12)
    assert run.result["test_loss"] == pytest.approx(mean_square(y, raw.targets, raw.mask), rel=1e-10, abs=0)
    hits = [y[t, b].argmax() == raw.targets[t, b].argmax() for t in (3, 4) for b in range(B)]
    assert run.result["score"] == close(np.mean(hits), rel=1e-12)
    assert run.record.manifest["scores"]["loss"] == pytest.approx(run.result["test_loss"], rel=1e-10, abs=0)
    assert np.abs(np.diff(y, axis=0)).min() > 1e-9  # no two steps are alike


@pytest.mark.parametrize("output", [None, 0.0, 0.25])
def test_a_stated_noise_of_the_outputs_is_that_of_the_outputs(output):
    """In training passes, and where a rule is told the sigma; the hidden units keep theirs."""
    trainer, _, _ = after_updates({**LOUD, "perturbation.output": output}, 0)
    context = trainer.lab()
    plan = trainer.learner.plan
    (chunk,) = context.run(plan, "noise")
    sigma = 0.5 if output is None else output
    assert chunk.noise_sigma == {"hidden": 0.5, "output": sigma}
    for m in range(plan.passes):
        drawn = context.streams.normal("gaussian/output", m, 0, T, (2, 2), np.float64)
        clean = (
            torch.cat([chunk.layers["hidden"].x[:, m], torch.ones(T, 2, 1)], -1) @ trainer.substrate.weights["w_out"].T
        )
        np.testing.assert_allclose((chunk.y[:, m] - clean).numpy(), sigma * drawn, rtol=0, atol=1e-12)


def test_what_is_shown_is_the_evaluation_s_own_presentation():
    """Spikes of the first sequences, without the artificial noise, which would make others."""
    spiking = {
        "backend": "lif", "neuron": {"name": "lif", "drive": 12.0, "input_gain": 6.0}, "network.bias": False,
        "perturbation.name": "gaussian", "perturbation.sigma": 10.0,
    }  # fmt: skip
    loud, quiet = (after_updates({**spiking, **more}, 0)[::2] for more in ({}, {"perturbation.name": "none"}))
    shown = [
        show(held, made.substrate, made.backend, made.streams, made.update, made.dt) for made, held in (loud, quiet)
    ]
    for name in ("spikes", "v", "inputs"):
        np.testing.assert_array_equal(shown[0][name], shown[1][name])
    made, held = quiet
    lone = made.outputs(held.inputs[:, :4])
    np.testing.assert_allclose(made.evaluate(held).y[:, :4], lone[:, 0].numpy(), rtol=0, atol=1e-12)
    assert shown[0]["spikes"].any()


def test_what_is_shown_has_the_noise_of_the_device_and_a_window_of_its_own():
    """Four of seven sequences: spike for spike those of an evaluation of these four alone, in 4 T dt."""
    spiking = {"backend": "lif", "neuron": {"name": "lif", "drive": 12.0, "input_gain": 6.0}, "network.bias": False}
    made, batch, held = after_updates(
        {**spiking, "profile": "pcm", "task.delay": 30, "dt": "1 ms", "training.chunk": 16}, 0
    )
    told = show(held, made.substrate, made.backend, made.streams, made.update, made.dt)
    steps = len(batch.mask)
    four = HeldOutBatch(batch, held.inputs[:, :4], held.targets[:, :4], held.mask, held.loss)
    rates = made.evaluate(four).rates
    np.testing.assert_allclose(told["spikes"].sum((0, 1)) / (steps * 4 * 1e-3), rates, rtol=1e-12)
    streams = PassStreams(made.streams, "test", 0)
    v = {}
    for name, window, noise in (("so", 4, True), ("seven", 7, True), ("silent", 4, False)):
        reads = made.substrate.prepare(steps * window * 1e-3, streams, noise)
        options = {"keep": "states", "book": False, "artificial": False}
        chunks = made.backend.run(Request(made.substrate, reads, four.inputs, NOISY, streams, **options))
        v[name] = torch.cat([chunk.layers["hidden"].v[:, 0] for chunk in chunks])[..., :4].float().numpy()
    np.testing.assert_array_equal(told["v"], v["so"])
    assert all(np.abs(v[other] - v["so"]).max() > 1e-6 for other in ("seven", "silent"))


def test_rates_are_of_all_layers_in_their_order_and_what_is_shown_is_the_last():
    spiking = {
        "backend": "lif", "neuron": {"name": "lif", "drive": 12.0, "input_gain": 6.0},
        "network": {"layers": [{"units": 5}, {"units": 4, "cell": {"name": "lif", "drive": 20.0}}]}, "dt": "1 ms",
        "task.delay": 30,
    }  # fmt: skip
    made, batch = build_trainer(experiment(spiking)), of_sequences(experiment(spiking))
    held, streams = (
        HeldOutBatch.of(batch, made.substrate.weights.like, made.task.loss),
        PassStreams(made.streams, "test", 0),
    )
    reads = made.substrate.prepare(1e-3, streams)
    options = {"keep": "states", "book": False, "artificial": False}
    (chunk,) = made.backend.run(Request(made.substrate, reads, held.inputs, NOISY, streams, **options))
    spikes = {name: layer.spikes[:, 0].double().numpy() for name, layer in chunk.layers.items()}
    rates = np.concatenate([s.sum((0, 1)) / (len(batch.mask) * B * 1e-3) for s in spikes.values()])
    assert [s.shape[-1] for s in spikes.values()] == [5, 4]
    np.testing.assert_allclose(made.evaluate(held).rates, rates, rtol=1e-12)
    told = show(held, made.substrate, made.backend, made.streams, made.update, made.dt)
    np.testing.assert_array_equal(told["spikes"], spikes["hidden_2"][:, :4])
    assert len(set(rates)) > 1


def test_the_ridge_control_sees_the_neurons_of_the_chip(tmp_path):
    """Those of the mismatched units, not of the nominal ones."""
    changes = {
        "backend": "lif", "neuron": {"name": "lif", "drive": 12.0, "input_gain": 6.0}, "dt": "1 ms", "task.delay": 30,
        "profile": "mixed_signal_neurons", "training.controls": True, "training.updates": 1,
    }  # fmt: skip
    made, record = experiment(changes), launch(experiment(changes).config, tmp_path)
    trainer, batch = build_trainer(made), of_sequences(made)
    untrained = made.untrained(trainer.streams)
    activity = trainer.backend.activity(untrained.network)
    assert activity is not None
    losses = []
    for neurons in (trainer.substrate.neurons, {}):
        seen = partial(activity, neurons=neurons)
        y = ridge(made.task, untrained, trainer.streams, WINDOWS, activity=seen).predict(batch)
        losses.append(mean_square(y, batch.targets, batch.mask))
    assert record.result is not None
    assert record.result["controls"]["ridge"] == close(losses[0], rel=1e-9)
    assert losses[1] != close(losses[0], rel=1e-3)
