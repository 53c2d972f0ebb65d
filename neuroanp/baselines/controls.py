"""The controls of a task: what every table of results is printed beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from neuroanp.baselines.network import rate_activities
from neuroanp.baselines.penalised import NotFittedError
from neuroanp.baselines.persistence import constant_mean, lagged_linear, persistence
from neuroanp.baselines.protocol import Activities, Sequences, Source
from neuroanp.baselines.ridge import ridge, sees_all
from neuroanp.losses import Loss, mean_loss
from neuroanp.noise import Streams
from neuroanp.trajectory import Weights

WINDOWS = 2560
"""Training sequences that each control is fitted to."""


class Noisy(Activities, Protocol):
    """A network on a chip under its noise, which is drawn anew at each call."""

    def at_outputs(self, steps: int, batch: int) -> np.ndarray | float:
        """Return the noise of the outputs in one presentation, (T, B, O); 0: they have none."""
        ...


@dataclass(frozen=True)
class Control:
    """A control's result on the test sequences.

    Args:
        loss: mean of the task's loss over the scored steps and sequences; nan where it could not be fitted.
        prediction: outputs, (T, B, O).
        note: why it could not be fitted; None: it was.
    """

    loss: float
    prediction: np.ndarray
    note: str | None = None


def controls(
    task: Source,
    weights: Weights,
    streams: Streams,
    test: Sequences,
    loss: Loss,
    windows: int = WINDOWS,
    features: Activities = rate_activities,
    own: Source | None = None,
    trained: Weights | None = None,
    noisy: Mapping[str, Noisy] | None = None,
) -> dict[str, Control]:
    """Return the controls that make sense for a task, by name.

    `constant_mean` and `ridge` (readout on the untrained network) always; `ridge_all`, whose readout sees all layers,
    where the network's own does not; `persistence` and `lagged_linear` where the task is a forecast. Of a `trained`
    network `refit`: a ridge readout fitted to it as to the untrained one, on the same sequences, with the same search
    for lambda. What tells the two apart is what the arrays before the readout have learned; what tells `refit` from
    the loss as learned is what the learned readout lost.

    Args:
        task: where training sequences come from.
        weights: the untrained network.
        streams: the run's streams.
        test: the test sequences.
        loss: the task's. `constant_mean` and `ridge` minimise it; the forecasts are values, fitted by least squares
            if at all, and are left out where outputs mean something else (logits).
        windows: training sequences each control is fitted to, at least 5.
        features: simulates the untrained network; left out, one of rates.
        own: the task before an encoder, where one lies before the network; None: `task` itself. Only `ridge` sees
            through the encoder; the others see the task's own values and steps, and so are their predictions.
        trained: the network as its arrays hold it once it is trained; None: none is.
        noisy: by the name of the control, chips under their noise: `ridge_noisy` the untrained network, `refit_noisy`
            the trained one. Readouts are fitted to such noisy activities and read from others; the readout itself is
            exact, and the outputs have their own noise. None: nothing is noisy.

    >>> import torch
    >>> from types import SimpleNamespace
    >>> from neuroanp.losses import SQUARED_ERROR
    >>> flat = SimpleNamespace(inputs=np.ones((2, 5, 1)), targets=np.ones((2, 5, 1)), mask=np.ones(2), raw=None)
    >>> task = SimpleNamespace(forecast=False, sample=lambda rng, batch: flat)
    >>> weights = Weights.one_layer({"w_in": torch.ones(3, 1), "w": torch.zeros(3, 3), "w_out": torch.zeros(1, 3)})
    >>> found = controls(task, weights, Streams(0), flat, SQUARED_ERROR)
    >>> {name: round(control.loss, 6) for name, control in found.items()}
    {'constant_mean': 0.0, 'ridge': 0.0}
    """
    plain, raw = own or task, test.raw or test
    networks: list[tuple[str, Weights, bool, Activities]] = [("ridge", weights, False, features)]
    networks += [("refit", trained, False, features)] if trained is not None else []
    networks += [(name, weights, False, chip) for name, chip in (noisy or {}).items()]
    networks += [("ridge_all", weights, True, features)] if not sees_all(weights.network) else []
    found = {"constant_mean": _of(constant_mean(plain, raw, streams, windows, loss), loss, raw)}
    for name, network, every, activity in networks:
        at_outputs = noisy[name].at_outputs if noisy and name in noisy else None
        found[name] = _ridge(name, task, network, streams, test, loss, windows, activity, every, at_outputs)
    if task.forecast and np.array_equal(loss.as_targets(raw.targets), raw.targets):
        found["lagged_linear"] = _of(lagged_linear(plain, raw, streams, windows=windows), loss, raw)
        still = persistence(plain, raw)
        if still is not None:
            found["persistence"] = _of(still, loss, raw)
    return found


def _of(y: np.ndarray, loss: Loss, raw: Sequences) -> Control:
    """Return the control that predicts y (T, B, O)."""
    return Control(mean_loss(loss, y, raw), y)


def _ridge(
    name: str, task: Source, weights: Weights, streams: Streams, test: Sequences, loss: Loss, windows: int,
    features: Activities, every: bool, at_outputs: Callable[[int, int], np.ndarray | float] | None,
) -> Control:  # fmt: skip
    """Fit a ridge readout to a network and return what it does on the test sequences, with the noise of outputs."""
    raw = test.raw or test
    hold = len(test.mask) // len(raw.mask)
    last = slice(hold - 1, None, hold)  # of the steps that are scored
    try:
        fitted = ridge(task, weights, streams, windows, activity=features, loss=loss, every=every)
        y = fitted.predict(test)
        y = (y if at_outputs is None else y + at_outputs(*y.shape[:2]))[last]
    except NotFittedError as error:  # what is not at its minimum would flatter whatever it is compared with
        return Control(float("nan"), np.full_like(raw.targets, np.nan), f"control {name}: {error}")
    return _of(y, loss, raw)
