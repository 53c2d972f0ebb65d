"""Refuse computed weights (`sampled`, `esn`) for a loss, a simulator or arrays that they are not for."""

from __future__ import annotations

from math import floor, log10
from typing import TYPE_CHECKING

import numpy as np

from neuroanp.baselines.esn import ESN
from neuroanp.baselines.network import rate_outputs
from neuroanp.baselines.solved import Solved
from neuroanp.errors import InputError
from neuroanp.losses import is_squared_error
from neuroanp.noise import Streams
from neuroanp.training.sampled_learner import drawn_reservoir

if TYPE_CHECKING:
    from neuroanp.substrates.chip import DeviceChip
    from neuroanp.training.build import Experiment


def refuse(experiment: Experiment, chip: DeviceChip) -> None:
    """Raise InputError where such a rule cannot compute weights for a task, a simulator or arrays.

    Args:
        experiment: of the run. chip: its chip, before any update.

    Raises:
        InputError: the loss is not one of squares, the simulator's units are others than their cell's, or an array
            cannot hold a reservoir.
    """
    rule, loss = experiment.config.rule, experiment.task.loss
    if not isinstance(rule, Solved):
        return
    if not is_squared_error(loss):
        raise InputError(
            f"rule: '{rule.name}' is least squares, and the loss is the {loss.label}; use rule 'anp' or 'bptt', or "
            "give the task loss: squared_error"
        )
    backend = experiment.backend()
    if backend.differentiable(chip.network) is not rate_outputs:
        raise InputError(
            f"rule: '{rule.name}' computes weights by the equations of cells, and backend '{backend.name}' has others; "
            "use backend 'rate'"
        )
    if isinstance(rule, ESN):
        _refuse_weights(rule, experiment, chip)


def _refuse_weights(rule: ESN, experiment: Experiment, chip: DeviceChip) -> None:
    """Raise InputError where arrays cannot hold a reservoir: cut off, it would have another spectral radius."""
    back, problems = chip.network.recurrence(chip.network.layers[0].name), []
    for name, W in drawn_reservoir(rule, chip.network, Streams(experiment.config.seed)).items():
        largest, limit = float(np.abs(W).max()), chip.arrays[name].w_s
        if largest <= limit:
            continue
        within = back is not None and name == back.name
        key, value = ("radius", rule.radius) if within else ("input_scale", rule.input_scale)
        most = floored(value * limit / largest)
        problems.append(
            f"rule.{key}: {value:g} makes weights of {name} up to {largest:.3g}, and the array holds {limit:.3g}; take "
            f"at most {most:g}" + (", or a larger rule.density" if within and rule.density < 1 else "")
        )
    if problems:
        raise InputError(f"profile '{experiment.profile.name}' cannot hold this echo state network", problems)


def floored(value: float) -> float:
    """Return the largest number of two digits that is not above a positive one.

    >>> floored(2.196), floored(0.0309)
    (2.1, 0.03)
    """
    digit = 10.0 ** (floor(log10(value)) - 1)
    return float(f"{floor(value / digit) * digit:.2g}")
