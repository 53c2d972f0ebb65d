"""What goes together with rules whose weights are computed (`sampled`, `esn`), and what they would ignore: refused."""

from __future__ import annotations

from collections.abc import Iterator
from math import floor, log10
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.baselines.esn import ESN
from neuroanp.baselines.network import rate_outputs
from neuroanp.baselines.regression import HELD_OUT
from neuroanp.baselines.sampled import Sampled
from neuroanp.baselines.solved import Solved
from neuroanp.errors import InputError
from neuroanp.learning.optimisers import Optimizer
from neuroanp.learning.weight_perturbation import WP
from neuroanp.losses import is_squared_error
from neuroanp.network.network import OUTPUT
from neuroanp.noise import Streams
from neuroanp.training.layers import UNITS_FIELD, NetworkConfig
from neuroanp.yaml_io import Problem

if TYPE_CHECKING:
    from neuroanp.network.network import Network
    from neuroanp.substrates.chip import DeviceChip
    from neuroanp.training.build import Experiment
    from neuroanp.training.sections import PerturbationConfig, TrainingConfig


def perturbs_no_units(rule: Any) -> bool:
    """Return whether a rule does not learn from noise on the units, so that none is added for it.

    >>> from neuroanp.learning.anp import ANP
    >>> perturbs_no_units(WP()), perturbs_no_units(Sampled()), perturbs_no_units(ANP())
    (True, True, False)
    """
    return isinstance(rule, WP | Solved)


def misfits(
    rule: Any, network: NetworkConfig, optimizer: Optimizer, perturbation: PerturbationConfig, training: TrainingConfig
) -> Iterator[Problem]:
    """Find what of a configuration such a rule cannot do, or would ignore; nothing of other rules."""
    if not isinstance(rule, Solved):
        return
    yield from _of_network(rule, network)
    usual = Optimizer()
    said = [key for key in Optimizer.model_fields if vars(optimizer)[key] != vars(usual)[key]]
    for key in said:
        text = f"{vars(optimizer)[key]} changes nothing: rule '{rule.name}' writes what it computed, without a rate; "
        yield Problem(("optimizer", key), text + "leave it out, or give it to other rules by --for RULE:KEY=VALUE")
    if perturbation.name == "gaussian":
        text = f"'gaussian' is noise to learn from, and rule '{rule.name}' computes weights; leave it out"
        yield Problem(("perturbation", "name"), text)
    if training.updates and training.batch < HELD_OUT:
        text = f"{training.batch} is too few: rule '{rule.name}' chooses its ridge by a fifth of the sequences; give "
        yield Problem(("training", "batch"), text + f"it at least {HELD_OUT}, better some hundreds")


def _of_network(rule: Solved, network: NetworkConfig) -> Iterator[Problem]:
    layers = network.layers or ()
    if len(layers) > 1:
        text = f"rule '{rule.name}' computes networks of one layer, and these are {len(layers)}; leave the others out"
        yield Problem(("network", "layers"), text)
        return
    for k, layer in enumerate(layers):
        name = "tanh" if layer.cell is None else UNITS_FIELD.name_of(layer.cell)
        if name not in rule.cells:
            text = (
                f"rule '{rule.name}' computes units of cell {' or '.join(rule.cells)}, not '{name}'; use one of these"
            )
            yield Problem(("network", "layers", k, "cell"), text)
        if not layer.recurrent:
            text = f"rule '{rule.name}' computes a recurrence; leave it out"
            yield Problem(("network", "layers", k, "recurrent"), text)
    if rule.needs_bias and not network.bias:
        text = f"rule '{rule.name}' puts each unit between two points of the data, by its bias; set it to true"
        yield Problem(("network", "bias"), text)


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
    from neuroanp.training.sampled_learner import drawn_reservoir

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


def memory(rule: Any, network: Network, steps: int, batch: int) -> int:
    """Return the bytes that computing weights takes on the host; 0 of other rules.

    In float64: states and points (of a sampled network), what units do and should do, and what a readout sees, as it is
    and without the steps that do not count; squares of all of these.
    """
    if not isinstance(rule, Solved):
        return 0
    n, m = network.hidden, sum(network.shapes[p.name][1] for p in network.feed(OUTPUT))
    points = 4 * (rule.delays + 1) * network.inputs if isinstance(rule, Sampled) else 0
    return 8 * (steps * batch * (points + 4 * n + 3 * m) + 10 * m**2 + 8 * n**2)
