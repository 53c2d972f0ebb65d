"""The controls of a task: what every table of results is printed beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroanp.baselines.network import rate_activities
from neuroanp.baselines.persistence import constant_mean, lagged_linear, persistence
from neuroanp.baselines.protocol import Activities, Sequences, Source
from neuroanp.baselines.ridge import ridge, sees_all
from neuroanp.noise import Streams
from neuroanp.trajectory import Weights

WINDOWS = 2560
"""Training sequences that each control is fitted to."""


@dataclass(frozen=True)
class Control:
    """A control's result on the test sequences.

    Args:
        loss: squared error, mean over the scored steps, sequences and outputs.
        prediction: outputs, (T, B, O).
    """

    loss: float
    prediction: np.ndarray


def controls(
    task: Source,
    weights: Weights,
    streams: Streams,
    test: Sequences,
    loss: Callable[[np.ndarray, Any], float],
    windows: int = WINDOWS,
    features: Activities = rate_activities,
    own: Source | None = None,
) -> dict[str, Control]:
    """Return the controls that make sense for a task, by name.

    `constant_mean` and `ridge` (readout on the untrained network) always; `ridge_all`, whose readout sees all layers,
    where the network's own does not; `persistence` and `lagged_linear` where the task is a forecast.

    Args:
        task: where training sequences come from.
        weights: the untrained network.
        streams: the run's streams.
        test: the test sequences.
        loss: the squared error of outputs (T, B, O) against a batch.
        windows: training sequences each control is fitted to, at least 5.
        features: simulates the untrained network; left out, one of rates.
        own: the task before an encoder, where one lies before the network; None: `task` itself. Only `ridge` sees
            through the encoder; the others see the task's own values and steps, and so are their predictions.

    >>> import torch
    >>> from types import SimpleNamespace
    >>> flat = SimpleNamespace(inputs=np.ones((2, 5, 1)), targets=np.ones((2, 5, 1)), mask=np.ones(2), raw=None)
    >>> task = SimpleNamespace(forecast=False, sample=lambda rng, batch: flat)
    >>> weights = Weights.one_layer({"w_in": torch.ones(3, 1), "w": torch.zeros(3, 3), "w_out": torch.zeros(1, 3)})
    >>> found = controls(task, weights, Streams(0), flat, lambda y, batch: float(np.mean((y - batch.targets) ** 2)))
    >>> {name: round(control.loss, 6) for name, control in found.items()}
    {'constant_mean': 0.0, 'ridge': 0.0}
    """
    plain, raw = own or task, test.raw or test
    hold = len(test.mask) // len(raw.mask)
    last = slice(hold - 1, None, hold)  # of the steps that are scored

    def readout(every: bool) -> np.ndarray:
        return ridge(task, weights, streams, windows, activity=features, every=every).predict(test)[last]

    predictions = {
        "constant_mean": constant_mean(plain, raw, streams, windows),
        "ridge": readout(False),
    }
    if not sees_all(weights.network):
        predictions["ridge_all"] = readout(True)
    if task.forecast:
        predictions["lagged_linear"] = lagged_linear(plain, raw, streams, windows=windows)
        still = persistence(plain, raw)
        if still is not None:
            predictions["persistence"] = still
    return {name: Control(loss(y, raw), y) for name, y in predictions.items()}
