"""The controls of a task: what every table of results is printed beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroanp.baselines.persistence import constant_mean, lagged_linear, persistence
from neuroanp.baselines.protocol import Sequences, Source
from neuroanp.baselines.ridge import ridge
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
) -> dict[str, Control]:
    """Return the controls that make sense for a task, by name.

    `constant_mean` and `ridge` (readout on the untrained network) always; `persistence` and
    `lagged_linear` where the task is a forecast.

    Args:
        task: where training sequences come from.
        weights: the untrained network.
        streams: the run's streams.
        test: the test sequences.
        loss: the squared error of outputs (T, B, O) against a batch.
        windows: training sequences each control is fitted to, at least 5.

    >>> import torch
    >>> from types import SimpleNamespace
    >>> flat = SimpleNamespace(inputs=np.ones((2, 5, 1)), targets=np.ones((2, 5, 1)), mask=np.ones(2))
    >>> task = SimpleNamespace(forecast=False, sample=lambda rng, batch: flat)
    >>> weights = Weights({"w_in": torch.ones(3, 1), "w": torch.zeros(3, 3), "w_out": torch.zeros(1, 3)})
    >>> found = controls(task, weights, Streams(0), flat, lambda y, batch: float(np.mean((y - batch.targets) ** 2)))
    >>> {name: round(control.loss, 6) for name, control in found.items()}
    {'constant_mean': 0.0, 'ridge': 0.0}
    """
    predictions = {
        "constant_mean": constant_mean(task, test, streams, windows),
        "ridge": ridge(task, weights, streams, windows).predict(test),
    }
    if task.forecast:
        predictions["lagged_linear"] = lagged_linear(task, test, streams, windows=windows)
        still = persistence(task, test)
        if still is not None:
            predictions["persistence"] = still
    return {name: Control(loss(y, test), y) for name, y in predictions.items()}
