"""Ridge readouts fitted to a chip under its noise, and read under it: against least squares by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroanp.backends.protocol import Request
from neuroanp.baselines.ridge import ridge
from neuroanp.losses import mean_loss
from neuroanp.network.network import OUTPUT
from neuroanp.noise import PassStreams, Streams
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.evaluate import NOISY, window_s
from neuroanp.training.launch import launch
from neuroanp.training.under_noise import UnderNoise
from tests.close import close

SMALL = {
    "task": {"name": "copy", "length": 2, "delay": 2, "symbols": 2, "test_size": 32},
    "network": {"hidden": 12},
    "profile": "smtj_koenders",
    "training": {"updates": 3, "batch": 4, "evaluate_every": 1000},
}


def ready(changes=None):
    experiment = Experiment.of(configure(SMALL, changes or {}))
    trainer = build_trainer(experiment)
    return experiment, trainer, UnderNoise(trainer.substrate, trainer.backend, trainer.streams, "x", trainer.dt)


@pytest.mark.parametrize("profile", ["smtj_koenders", "pcm"])
def test_activities_are_those_of_the_chip_under_its_noise_each_time_another(profile):
    experiment, trainer, chip = ready({"profile": profile})
    inputs = experiment.task.test(trainer.streams.generator("test")).inputs
    first, second = (chip(trainer.substrate.weights, inputs)["hidden"] for _ in range(2))
    u = torch.from_numpy(inputs).float()
    for draw, found in enumerate((first, second)):
        noise = PassStreams(trainer.streams, "x", draw)
        reads = trainer.substrate.prepare(window_s(u, trainer.dt), noise)
        asked = Request(trainer.substrate, reads, u, NOISY, noise, keep="all", book=False, artificial=False)
        x = torch.cat([chunk.activities["hidden"].x[:, 0] for chunk in trainer.backend.run(asked)])
        assert found.dtype == torch.float64
        assert torch.equal(found, x.double())
    assert not torch.equal(first, second)


def test_outputs_have_the_noise_that_the_profile_gives_them():
    """Of junctions, at every output; its size is what the chip says of them."""
    _, trainer, chip = ready()
    drawn = np.concatenate([np.asarray(chip.at_outputs(40, 200)) for _ in range(2)])
    sigma = trainer.substrate.node_sigmas(artificial=False)[OUTPUT]
    assert drawn.shape == (80, 200, 2)
    assert float(drawn.std()) == close(sigma, rel=0.05)
    assert ready({"profile": "pcm"})[2].at_outputs(5, 3) == 0.0
    before = trainer.substrate.ledger.report()
    chip.at_outputs(4, 4)
    chip(trainer.substrate.weights, np.zeros((5, 2, 3)))
    assert trainer.substrate.ledger.report() == before


def test_the_controls_of_a_noisy_chip_are_fitted_and_read_under_its_noise(tmp_path):
    """By hand: the ridge of those activities, with the outputs' own noise on what it says."""
    config = configure(SMALL)
    record = launch(config, tmp_path)
    experiment = Experiment.of(config)
    first = build_trainer(experiment)
    trained = build_trainer(experiment)
    while trained.update < trained.updates:
        trained.step()
    held = experiment.task.test(first.streams.generator("test"))
    assert record.result is not None
    for name, trainer in (("ridge_noisy", first), ("refit_noisy", trained)):
        chip = UnderNoise(trainer.substrate, trainer.backend, Streams(config.seed), name, trainer.dt)
        fitted = ridge(experiment.task, experiment.untrained(first.streams), first.streams, activity=chip)
        y = fitted.predict(held)
        loss = mean_loss(experiment.task.loss, y + chip.at_outputs(*y.shape[:2]), held)
        assert record.result["controls"][name] == close(loss, rel=1e-9)
        assert loss > record.result["controls"]["ridge"]


@pytest.mark.parametrize("profile", ["ideal", "rram_hfo2"])
def test_a_chip_without_noise_has_no_such_controls(profile, tmp_path):
    record = launch(configure(SMALL, {"profile": profile}), tmp_path)
    assert record.result is not None
    assert not {"ridge_noisy", "refit_noisy"} & set(record.result["controls"])


def test_spiking_units_are_read_as_their_outputs_read_them():
    """Traces, filtered as the readout filters them, of the units alone: a line of a constant is the readout's."""
    task = {"name": "xor", "start": 2, "pulse": 6, "gap": 2, "delay": 0, "window": 6, "test_size": 4}
    source = {"task": task, "backend": "lif", "network": {"hidden": 7, "bias": True}, "profile": "smtj_koenders"}
    trainer = build_trainer(Experiment.of(configure(source)))
    chip = UnderNoise(trainer.substrate, trainer.backend, trainer.streams, "x", trainer.dt)
    inputs = trainer.task.test(trainer.streams.generator("test")).inputs
    x = chip(trainer.substrate.weights, inputs)["hidden"]
    assert x.shape == (trainer.task.steps, 4, 7)
    assert bool((x >= 0).all())
    assert bool((x > 0).any())
