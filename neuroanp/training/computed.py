"""What goes together with rules whose weights are computed (`sampled`, `esn`), and what they would ignore: refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from neuroanp.baselines.regression import HELD_OUT
from neuroanp.baselines.sampled import Sampled
from neuroanp.baselines.solved import Solved
from neuroanp.learning.optimisers import Optimizer
from neuroanp.learning.requirements import moves_weights
from neuroanp.network.network import OUTPUT
from neuroanp.training.layers import UNITS_FIELD, NetworkConfig
from neuroanp.yaml_io import Problem

if TYPE_CHECKING:
    from neuroanp.network.network import Network
    from neuroanp.training.sections import PerturbationConfig, TrainingConfig


def perturbs_no_units(rule: Any) -> bool:
    """Return whether a rule does not learn from noise on the units, so that none is added for it.

    >>> from neuroanp.learning.anp import ANP
    >>> from neuroanp.learning.weight_perturbation import WP
    >>> perturbs_no_units(WP()), perturbs_no_units(Sampled()), perturbs_no_units(ANP())
    (True, True, False)
    """
    return isinstance(rule, Solved) or moves_weights(rule)


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
    if perturbation.kind is not None:
        text = f"'{perturbation.kind}' is noise to learn from, and rule '{rule.name}' computes weights; leave it out"
        yield Problem(("perturbation", "name"), text)
    if training.updates and training.batch < HELD_OUT:
        text = f"{training.batch} is too few: rule '{rule.name}' chooses its ridge by a fifth of the sequences; give "
        yield Problem(("training", "batch"), text + f"it at least {HELD_OUT}, better some hundreds")


def _of_network(rule: Solved, network: NetworkConfig) -> Iterator[Problem]:
    layers = network.layers or ()
    if network.output_gain != 1:
        text = f"changes nothing: rule '{rule.name}' computes the weights of the outputs; leave it out, or give it to "
        yield Problem(("network", "output_gain"), text + "other rules by --for RULE:KEY=VALUE")
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
        text = (
            f"rule '{rule.name}' puts each unit between two points of the data, by its bias; set it to true, in a "
            f"comparison for this rule alone by --for {rule.name}:network.bias=true"
        )
        yield Problem(("network", "bias"), text)


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
