"""What a trainer does in an update, against the same run written down again, and times and losses by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from math import inf, nan

import numpy as np
import pytest
import torch

from neuroanp.baselines.autograd import autograd_gradient
from neuroanp.errors import DivergedError
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.evaluate import HeldOutBatch
from neuroanp.training.launch import launch
from neuroanp.trajectory import WeightUpdate
from tests.close import close

from .by_hand import descent, forward, mean_square, of_sequences
from .test_resume import same

T, B, N, UPDATES = 5, 3, 5, 6
SMALL = {
    "task": {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 6},
    "network": {"hidden": N},
    "profile": "ideal",
    "rule": {"name": "anp", "reference": "mean", "K": 2},
    "perturbation": {"name": "gaussian", "sigma": 0.1},
    "compute": {"dtype": "float64"},
    "training": {"updates": UPDATES, "batch": B, "controls": False},
    "optimizer": {"lr": 0.05},
}
SGD = {"optimizer.name": "sgd", "optimizer.schedule": "constant", "optimizer.clip": 0.5}
RUNS = {
    "adam": {"rule.gamma": 0.9, "optimizer.eps": 1e-2},
    "sgd-clipped": {"rule.reference": "two", **SGD},
    "its-own-step": {"rule.gamma": 0.0, "rule.credit": "batch", **SGD},
    "noise-free-pass": {"rule.reference": "silent", "training.chunk": 2},
    "outputs-apart": {"perturbation.output": 1e-3, "optimizer.beta1": 0.5, "optimizer.beta2": 0.9},
    "outputs-alone-quiet": {"perturbation.output": 0.0},
    "decayed": {"optimizer.weight_decay": 0.5, "optimizer.schedule": "linear", "optimizer.warmup": 2},
    "sgd-decayed": {"optimizer.weight_decay": 0.5, **SGD},
}


def experiment(changes: dict | None = None) -> Experiment:
    return Experiment.of(configure(SMALL, changes or {}))


def ready(changes: dict | None = None):
    return build_trainer(experiment(changes))


@pytest.mark.parametrize("memory", [1 << 30, 0])
@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_that_of_plain_loops(name, memory):
    """Weights after every update, its loss, norm and rate: passes stored, or replayed for want of memory."""
    made = experiment(RUNS[name])
    trainer = replace(build_trainer(made), memory=memory)
    norms = []
    for update, (row, W) in enumerate(descent(made, trainer.substrate.weights), 1):
        found = trainer.step()
        assert found["update"] == trainer.update == update
        assert {key: found[key] for key in row} == pytest.approx(row, rel=1e-9, abs=0)
        norms.append(row["update_norm"])
        for key, matrix in W.items():
            np.testing.assert_allclose(trainer.substrate.weights[key].numpy(), matrix, rtol=0, atol=1e-10)
    assert update == UPDATES
    clip = made.config.optimizer.clip
    assert clip is None or max(norms) > clip  # else it would not be held here


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_the_control_of_a_frozen_recurrence_is_the_readout_alone(decay):
    """Another norm and other moments than those of the whole network: what is frozen takes no part, nor decays."""
    made = experiment({"optimizer.clip": 0.3, "optimizer.weight_decay": decay})
    trainer = build_trainer(made, trained=frozenset({"w_out"}))
    for row, W in descent(made, trainer.substrate.weights, trained=("w_out",)):
        found = trainer.step()
        assert found["update_norm"] == pytest.approx(row["update_norm"], rel=1e-9, abs=0)
        for key, matrix in W.items():
            np.testing.assert_allclose(trainer.substrate.weights[key].numpy(), matrix, rtol=0, atol=1e-10)


def test_a_record_s_control_and_rows_are_those_of_plain_loops(tmp_path):
    """Metrics at the updates that are due, each with the numbers of its own update; the frozen control at the end."""
    every = {"training.evaluate_every": 4, "training.log_every": 3, "training.controls": True}
    made = experiment(every)
    record = launch(made.config, tmp_path)
    first = {name: W.numpy().copy() for name, W in build_trainer(made).substrate.weights.items()}
    whole, frozen = [*descent(made, first)], [*descent(made, first, trained=("w_out",))]
    batch = of_sequences(made)

    def test_loss(W) -> float:
        return mean_square(forward(W, batch.inputs), batch.targets, batch.mask)

    metrics = record.metrics()
    for column in ("train_loss", "update_norm", "lr"):
        updates, values = metrics.series(column)
        assert list(updates) == [3, 4, 6]
        assert list(values) == pytest.approx([whole[u - 1][0][column] for u in (3, 4, 6)], rel=1e-9, abs=0)
    expected = [test_loss(W) for W in (first, whole[3][1], whole[5][1])]
    for column in ("test_loss", "test_loss_noise_free"):
        updates, values = metrics.series(column)
        assert list(updates) == [0, 4, 6]
        assert list(values) == pytest.approx(expected, rel=1e-9, abs=0)
    radius = [np.abs(np.linalg.eigvals(W["w"])).max() for W in (first, whole[3][1], whole[5][1])]
    assert list(metrics.series("spectral_radius")[1]) == close(radius, rel=1e-9)
    assert record.result is not None
    assert record.result["passes"] == UPDATES * 3
    assert record.result["test_loss"] == pytest.approx(expected[-1], rel=1e-9, abs=0)
    assert record.result["controls"]["frozen_recurrence"] == pytest.approx(test_loss(frozen[-1][1]), rel=1e-9, abs=0)


def test_a_record_of_a_noisy_device_has_each_number_in_its_place(tmp_path):
    """Losses under noise and without, and the books, as the trainer has them at the update of the row."""
    every = {"training.evaluate_every": 2, "training.log_every": 2, "training.evaluate_after": ["1 d"]}
    made = experiment({"profile": "pcm", "dt": "2 us", "training.controls": True, **every})
    record = launch(made.config, tmp_path)
    whole, frozen = build_trainer(made), build_trainer(made, trained=frozenset({"w_out"}))
    held = HeldOutBatch.of(of_sequences(made), whole.substrate.weights["w"], whole.task.loss)
    rows = []
    for update in range(UPDATES + 1):
        if update:
            whole.step(), frozen.step()
        if update % 2 == 0:
            found, books = whole.evaluate(held), whole.substrate.ledger
            losses = {"test_loss": found.test_loss, "test_loss_noise_free": found.test_loss_noise_free}
            of_chip = {"energy_J": books.energy_J, "chip_time_s": books.time_s, "pulses": books.pulses}
            rows.append({**losses, **of_chip, "wear": books.wear_fraction})
    noisy, noise_free = ({row[name] for row in rows} for name in ("test_loss", "test_loss_noise_free"))
    assert len(noisy) == 4
    assert len(noise_free) > 2  # the last steps can be less than a pulse
    assert not noisy & noise_free
    for name in rows[0]:
        assert list(record.metrics().series(name)[1]) == pytest.approx([row[name] for row in rows], rel=1e-9, abs=0)
    assert record.result is not None
    assert {name: record.result[name] for name in rows[-1]} == pytest.approx(rows[-1], rel=1e-9, abs=0)
    later = whole.evaluate_after(held, 86_400.0)
    told = {"test_loss": later.test_loss, "test_loss_noise_free": later.test_loss_noise_free}
    assert record.manifest["after"]["1 d"] == pytest.approx(told, rel=1e-9, abs=0)
    assert later.test_loss != later.test_loss_noise_free
    control = record.result["controls"]["frozen_recurrence"]
    assert control == pytest.approx(frozen.evaluate(held).test_loss, rel=1e-9, abs=0)
    assert control != frozen.evaluate(held).test_loss_noise_free


@pytest.mark.parametrize("rule", ["bptt", "bptt1"])
def test_a_gradient_is_that_of_the_weights_that_the_chip_holds(rule):
    """By autograd through W as read, programming error and drift in it, not through the digital targets."""
    trainer = ready({"profile": "pcm", "rule": {"name": rule}})
    trainer.step()
    context = trainer.lab()
    W = {name: read.W.clone().requires_grad_() for name, read in context.reads.items()}
    x, total = torch.zeros(B, N, dtype=torch.float64), 0.0
    for u, target, scored in zip(context.inputs, context.targets, context.mask, strict=True):
        x = torch.tanh(u @ W["w_in"].T + (x if rule == "bptt" else x.detach()) @ W["w"].T)
        total = total + scored * (x @ W["w_out"].T - target).square().mean(-1).sum() / B
    total.backward()
    found = trainer.learner.learn(trainer.learned, context)[1]
    for name, part in W.items():
        torch.testing.assert_close(found.arrays[name], part.grad, rtol=1e-9, atol=1e-12)
        assert not torch.allclose(part, trainer.substrate.weights[name], rtol=1e-3, atol=0)
    assert found.diagnostics["loss"] == pytest.approx(total.item() / context.mask.sum().item(), rel=1e-9, abs=0)


def test_a_gradient_is_of_the_neurons_that_the_chip_has():
    """Thresholds and time constants of the mismatched units, not nominal ones."""
    spiking = {"backend": "lif", "neuron": {"name": "lif", "drive": 12.0, "input_gain": 6.0}, "dt": "1 ms"}
    trainer = ready({**spiking, "profile": "mixed_signal_neurons", "rule": {"name": "bptt"}, "task.delay": 30})
    lab, chip = trainer.lab(), trainer.substrate
    found = trainer.learner.learn({}, lab)[1].arrays
    outputs = trainer.backend.differentiable(lab.network)
    assert outputs is not None
    own, nominal = (
        autograd_gradient(partial(outputs, neurons=neurons), lab.read(), lab).arrays for neurons in (chip.neurons, {})
    )
    for name, dW in found.items():
        assert torch.equal(dW, own[name])
        assert not torch.equal(dW, nominal[name])


def test_a_gradient_needs_no_junction():
    """The chip is read once without noise, in B T dt: its junctions are not sampled, and take no energy."""
    trainer = ready({"profile": "smtj_koenders", "rule": {"name": "bptt"}})
    trainer.step()
    books = trainer.substrate.ledger
    assert books.reads == 3 * B * T
    assert books.report()["time"]["reads"] == close(B * T * trainer.dt, rel=1e-12)
    assert books.energy()["node_noise"] == 0
    local = ready({"profile": "smtj_koenders"})
    local.step()
    assert local.substrate.ledger.energy()["node_noise"] > 0


# ---- time on the chip ----


@pytest.mark.parametrize("K", [1, 3])
def test_chip_time_by_hand_from_the_figures_of_the_profile(K):
    """pcm writes one device after the other, 100 ns a pulse; an update reads for M B T dt."""
    trainer = ready({"profile": "pcm", "dt": "2 us", "rule.K": K})
    chip = trainer.substrate
    for update in range(1, 4):
        row = trainer.step()
        expected = update * (K + 1) * B * T * 2e-6 + chip.ledger.pulses * 100e-9
        assert chip.ledger.time_s == pytest.approx(expected, rel=1e-12, abs=0)
        assert chip.now == pytest.approx(expected, rel=1e-12, abs=0)
        assert row["update"] == update
    assert chip.ledger.pulses > 1000


def test_time_passes_before_the_write_not_after_it():
    """Charge leaks with 100 ms while passes are read for 45: it is gone before the write, whole after it."""
    trainer = ready({"profile": "capacitor", "hardware.write": "ideal", "dt": "1 ms"})
    chip, window = trainer.substrate, 3 * B * T * 1e-3
    for update in range(1, 4):
        before = {name: array.mean_weights(chip.now) for name, array in chip.arrays.items()}
        trainer.step()
        assert chip.now == close(update * window, rel=1e-12)
        for name, array in chip.arrays.items():
            torch.testing.assert_close(array.mean_weights(chip.now), chip.weights[name], rtol=1e-9, atol=1e-12)
            leaked = array.mean_weights(chip.now + window)
            torch.testing.assert_close(leaked, chip.weights[name] * np.exp(-0.45), rtol=1e-9, atol=1e-12)
            assert not torch.allclose(before[name], array.mean_weights(chip.now), rtol=1e-3, atol=0)


def test_passes_are_read_at_the_start_of_the_window_that_they_take():
    """The clock stands at the end of the last write; 1/f noise up to the window's length M B T dt is fresh."""
    trainer = ready({"profile": "pcm", "dt": "2 us"})
    trainer.step()
    chip, context = trainer.substrate, trainer.lab()
    reads = chip.prepare(3 * B * T * 2e-6, context.streams)
    assert trainer.window() == close(3 * B * T * 2e-6, rel=1e-12)
    for name, read in reads.items():
        assert torch.equal(context.reads[name].W, read.W)
        assert torch.equal(context.reads[name].sigma2, read.sigma2)  # pyright: ignore
        longer = chip.prepare(2 * 3 * B * T * 2e-6, context.streams)[name].sigma2
        assert float((longer - read.sigma2).abs().max()) > 0  # pyright: ignore: the window tells


# ---- the end of a run that diverges ----


class Told:
    """A learner that finds the losses and updates that it is told."""

    options = None
    passes, noisy = 1, False

    def __init__(self, losses: Iterable[float], sizes: Iterable[float] = (1.0,) * 9) -> None:
        self.found = zip(losses, sizes, strict=False)

    def numbers_kept(self, network) -> int:
        return 0

    def init(self, weights) -> dict[str, torch.Tensor]:
        return {}

    def learn(self, state, lab) -> tuple[dict[str, torch.Tensor], WeightUpdate]:
        loss, size = next(self.found)
        update = {name: size * torch.ones_like(W) for name, W in lab.substrate.weights.items()}
        return state, WeightUpdate(update, {"loss": loss})


@pytest.mark.parametrize(
    ("losses", "sizes", "survived"),
    [
        ([1e-3, 999.0, 1001.0], [1.0] * 3, 2),  # a million times the first one, not the last
        ([0.0, 9e-7, 1.1e-6], [1.0] * 3, 2),  # of a first loss of 0, a million times 1e-12
        ([5.0, nan], [1.0] * 2, 1),
        ([5.0, 1.0], [1.0, inf], 1),
        ([inf], [1.0], 0),
    ],
)
def test_a_run_that_diverges_ends_before_it_writes(losses, sizes, survived):
    trainer = replace(ready(), learner=Told(losses, sizes))
    for _ in range(survived):
        trainer.step()
    before = {name: value for name, value in trainer.state_dict().items() if name != "first_loss"}
    with pytest.raises(DivergedError, match=f"diverged at update {survived + 1} of {UPDATES}: training loss"):
        trainer.step()
    after = {name: value for name, value in trainer.state_dict().items() if name != "first_loss"}
    assert same(before, after)
    assert trainer.update == survived


def test_every_write_has_the_draws_of_its_own_update():
    """W <- W - lr dW, at the end of the window, with the cycle-to-cycle draws that carry the update's number."""
    changes = {"profile": "rram_hfo2", "hardware.write": "pulse", "dt": "2 us", **SGD, "optimizer.clip": None}
    trainer = replace(ready(changes), learner=Told([1.0] * 3))
    chip = ready(changes).substrate
    for update in range(3):
        trainer.step()
        chip.elapse(B * T * 2e-6)
        ones = {name: torch.ones_like(W) for name, W in chip.weights.items()}
        chip.apply(WeightUpdate(ones), 0.05, trainer.streams, update)
        assert same(chip.state_dict(), trainer.substrate.state_dict())
    assert chip.ledger.pulses > 100


def test_a_resumed_run_is_compared_with_the_first_loss_of_all():
    first, second = replace(ready(), learner=Told([1e-3, 900.0])), replace(ready(), learner=Told([1001.0]))
    first.step()
    first.step()
    second.load_state_dict(first.state_dict())
    with pytest.raises(DivergedError, match=f"diverged at update 3 of {UPDATES}"):
        second.step()


@pytest.mark.parametrize("write", ["verify", "pulse"])
def test_what_decays_is_written_with_the_step_of_what_the_arrays_are_to_hold_or_with_pulses_hold(write, monkeypatch):
    """On a device decay is a part of the direction that is written, and so costs pulses."""
    decays, directions = (0.0, 4.0), []
    for decay in decays:
        trainer = ready({"profile": "pcm", "dt": "2 us", "hardware.write": write, "optimizer.weight_decay": decay})
        chip = trainer.substrate
        chip.elapse(100.0)  # so that targets and what is held differ
        apply = chip.apply
        window = trainer.window()

        def kept(update, *args, apply=apply, chip=chip, **kwargs):
            held = {name: array.mean_weights(chip.now) for name, array in chip.arrays.items()}
            directions.append((update.arrays, held if write == "pulse" else dict(chip.weights), chip.ledger.pulses))
            return apply(update, *args, **kwargs)

        monkeypatch.setattr(chip, "apply", kept)
        trainer.step()
        assert chip.now >= 100.0 + window
        assert chip.ledger.pulses > directions[-1][2]
    (plain, _, _), (decayed, weights, _) = directions
    for name, W in weights.items():
        torch.testing.assert_close(decayed[name] - plain[name], 4.0 * W, rtol=1e-6, atol=1e-9)
