"""The Brian2 backend and its twin in torch train side by side: the same spikes, update by update."""

from __future__ import annotations

import pytest
import torch

from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure

UPDATES = 60
SOURCE = {
    "task": {"name": "xor", "start": 2, "pulse": 8, "gap": 2, "delay": 2, "window": 8},
    "network": {"hidden": 30},
    "training": {"updates": UPDATES, "batch": 4},
    "optimizer": {"lr": 1e-2},
    "compute": {"dtype": "float64"},
}


def train(backend: str, **changes) -> tuple[list[list[int]], dict[str, torch.Tensor]]:
    """Return the spikes of each unit in each update, and the weights at the end."""
    trainer = build_trainer(Experiment.of(configure({**SOURCE, "backend": backend}, changes)))
    run, counts = trainer.backend.run, []

    def counting(request):
        for chunk in run(request):
            counts.append(chunk.fired["hidden"].tolist())
            yield chunk

    trainer.backend.run = counting
    for _ in range(UPDATES):
        trainer.step()
    return counts, dict(trainer.substrate.weights)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"profile": "mixed_signal_neurons"},
        {"profile": "pcm", "rule.reference": "mean", "rule.K": 2},
        {"encoder": {"name": "poisson"}, "neuron": {"name": "lif", "reset": "subtract", "tau_m": "5 ms"}},
    ],
    ids=["white noise", "mismatch and membrane noise", "noisy reads", "input spikes"],
)
def test_sixty_updates_have_the_same_spikes_and_the_same_weights(changes):
    ours, W = train("spiking", **changes)
    twins, W_twin = train("lif", **changes)
    assert sum(map(sum, ours)) > 5_000
    assert ours == twins
    for name in W:
        torch.testing.assert_close(W[name], W_twin[name], rtol=0, atol=1e-9)


@pytest.mark.parametrize("change", [{"neuron.refractory": "3 ms"}, {"neuron.tau_s": "6 ms"}, {"seed": 1}])
def test_twins_that_differ_are_told_apart(change):
    assert train("spiking")[0] != train("lif", **change)[0]
