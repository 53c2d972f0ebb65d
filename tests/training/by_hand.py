"""A training run written down again: plain loops of numpy, torch's optimisers, and no part of a trainer.

Only random numbers (streams), tasks and first weights are the package's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from benchmarks.plain_anp import equations
from neuroanp.noise import PassStreams, Streams
from neuroanp.training.build import Experiment
from tests.learning.of_torch import torchs

Arrays = dict[str, np.ndarray]


def forward(W: Mapping[str, Any], u: np.ndarray, n_h: Any = 0.0, n_y: Any = 0.0, bias: bool = False) -> np.ndarray:
    """Outputs of tanh units from x_0 = 0: h_t = W_in u_t + W x_{t-1} + n^h_t, y_t = W_out tanh(h_t) + n^y_t.

    u is (T, B, I); the noise of M passes, (T, M, B, n), makes outputs (T, M, B, O) of it, none makes (T, B, O).
    """
    W = {name: np.asarray(part, float) for name, part in W.items()}
    u = u[:, None] if np.ndim(n_h) == 4 else u
    n_h, n_y = (np.broadcast_to(n, (len(u), *np.shape(n)[1:])) for n in (n_h, n_y))
    lead = (u + n_h[..., :1]).shape[1:-1]
    one = np.ones((*lead, int(bias)))
    x, outputs = np.zeros((*lead, len(W["w"]))), []
    for t in range(len(u)):
        lines = np.concatenate([np.broadcast_to(u[t], (*lead, u.shape[-1])), one], -1)
        x = np.tanh(lines @ W["w_in"].T + x @ W["w"].T + n_h[t])
        outputs.append(np.concatenate([x, one], -1) @ W["w_out"].T + n_y[t])
    return np.array(outputs)


def mean_square(y: np.ndarray, target: np.ndarray, mask: np.ndarray) -> float:
    """The mean squared error over scored steps, sequences and outputs, one number after the other."""
    scored = [t for t in range(len(mask)) if mask[t] == 1.0]
    return float(np.mean([(y[t, b, o] - target[t, b, o]) ** 2 for t in scored for b, o in np.ndindex(y.shape[1:])]))


def of_sequences(experiment: Experiment) -> Any:
    """The held-out sequences."""
    return experiment.task.test(Streams(experiment.config.seed).generator("test"))


def gaussian(experiment: Experiment, update: int, passes: int) -> tuple[np.ndarray, np.ndarray]:
    """The artificial noise of an update's passes: (T, M, B, N) on the hidden units, (T, M, B, O) on the outputs."""
    config, task = experiment.config, experiment.task
    streams = PassStreams(Streams(config.seed), "train", update)
    stated = config.perturbation
    sigmas = {"hidden": stated.sigma, "output": stated.sigma if stated.output is None else stated.output}
    drawn = {
        layer: np.stack(
            [
                sigmas[layer]
                * streams.normal(f"gaussian/{layer}", m, 0, task.steps, (config.training.batch, n), np.float64)
                for m in range(passes)
            ],
            1,
        )
        for layer, n in (("hidden", config.network.hidden), ("output", task.outputs))
    }
    return drawn["hidden"], drawn["output"]


def descent(
    experiment: Experiment, first: Mapping[str, Any], trained: tuple[str, ...] = ("w_in", "w", "w_out")
) -> Iterator[tuple[dict[str, float], Arrays]]:
    """A run of ANP on a device without noise: the loss, norm and rate of each update, and the weights after it."""
    config, task = experiment.config, experiment.task
    rule, optimizer, updates = config.rule, config.optimizer, config.training.updates
    passes = {"two": 2 * rule.K, "mean": rule.K + 1, "silent": rule.K + 1}[rule.reference]
    W = {name: torch.nn.Parameter(torch.tensor(np.asarray(part, float))) for name, part in first.items()}
    mine = [W[name] for name in trained]
    stepper, schedule = torchs(optimizer, mine, updates)
    for update in range(updates):
        batch = task.sample(Streams(config.seed).generator("data", update), config.training.batch)
        n_h, n_y = gaussian(experiment, update, passes)
        if rule.reference == "silent":
            n_h[:, 0] = n_y[:, 0] = 0.0
        now = {name: part.detach().numpy() for name, part in W.items()}
        y = forward(now, batch.inputs, n_h, n_y)
        loss = np.mean([mean_square(y[:, m], batch.targets, batch.mask) for m in range(passes)])
        for name, g in equations(rule, now, batch.inputs, batch.targets, batch.mask, n_h, n_y).items():
            W[name].grad = torch.tensor(g)
        norm = float(torch.cat([part.grad.flatten() for part in mine if part.grad is not None]).norm())
        if optimizer.clip is not None and norm > optimizer.clip:  # torch divides by the norm + 1e-6
            torch.nn.utils.clip_grad_norm_(mine, optimizer.clip * (1 + 1e-6 / norm))
        row = {"train_loss": float(loss), "update_norm": norm, "lr": float(schedule.get_last_lr()[0])}
        stepper.step()
        schedule.step()
        yield row, {name: part.detach().numpy().copy() for name, part in W.items()}
