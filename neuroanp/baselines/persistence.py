"""Forecasts without a network: a constant, nothing changes, and a linear model of the last inputs."""

from __future__ import annotations

import numpy as np

from neuroanp.baselines.protocol import Sequences, Source, scored
from neuroanp.baselines.regression import fit_sequences
from neuroanp.losses import SQUARED_ERROR, Loss
from neuroanp.noise import Streams

LAGS = 24


def persistence(task: Source, batch: Sequences) -> np.ndarray | None:
    """Return the forecast "nothing changes" (T, B, O), or None where it makes no sense."""
    return task.persistence(batch)


def constant_mean(
    task: Source, batch: Sequences, streams: Streams, windows: int = 2560, loss: Loss = SQUARED_ERROR
) -> np.ndarray:
    """Return the constant that minimises the loss of the training targets at scored steps, as every output.

    Of the squared error that is their mean, output by output; of the cross-entropy the logits of their mean, the
    share of each class.

    Args:
        task: where training sequences come from; they are drawn from stream "constant_mean".
        batch: the sequences to predict.
        streams: the run's streams.
        windows: training sequences.
        loss: the task's.

    Returns: (T, B, O).
    """
    train = task.sample(streams.generator("constant_mean"), windows)
    constant = loss.constant(scored(train.targets, train.mask))
    return np.broadcast_to(constant, batch.targets.shape).copy()


def lagged_linear(
    task: Source, batch: Sequences, streams: Streams, lags: int = LAGS, windows: int = 2560
) -> np.ndarray:
    """Predict from the last inputs by ridge regression.

        y_t = c + sum_{l=0}^{lags-1} A_l u_{t-l}

    The first scored step must have `lags` inputs; where the washout is shorter, as many lags are
    used as it has. Lambda is chosen on a fifth of the training sequences.

    Args:
        task: where training sequences come from; they are drawn from stream "lagged_linear".
        batch: the sequences to predict.
        streams: the run's streams.
        lags: input steps that the model sees, at least 1.
        windows: training sequences.

    Returns: (T, B, O); zero at the steps before the first scored one.

    Raises:
        ValueError: lags below 1.
    """
    if lags < 1:
        raise ValueError(f"at least one lag is needed, not {lags}")
    first = int(np.argmax(batch.mask > 0))
    used = min(lags, first + 1)
    size = used * batch.inputs.shape[-1] + 1

    def features(sequences: Sequences) -> np.ndarray:
        return scored(_lagged(sequences.inputs, used), sequences.mask)

    coefficients, _ = fit_sequences(task, features, size, batch.targets.shape[-1], streams, "lagged_linear", windows)
    y = _lagged(batch.inputs, used) @ coefficients
    y[:first] = 0.0
    return y


def _lagged(inputs: np.ndarray, lags: int) -> np.ndarray:
    """Return inputs of the last `lags` steps and a 1, (T, B, lags I + 1); zeros before the start."""
    steps, sequences, width = inputs.shape
    out = np.zeros((steps, sequences, lags * width + 1))
    for lag in range(min(lags, steps)):
        out[lag:, :, lag * width : (lag + 1) * width] = inputs[: steps - lag]
    out[:, :, -1] = 1.0
    return out
