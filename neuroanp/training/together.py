"""What of a configuration does not go together: a problem for each cause, with its key and the nearest remedy.

What follows from another problem is not said again: a layer that has its option from `neuron`, a rule that would not
train the units that a backend is to have instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import BACKENDS, KINDS
from neuroanp.errors import InputError
from neuroanp.learning.cdrge import CDRGE
from neuroanp.learning.moving import by_itself
from neuroanp.learning.passes import PassRule
from neuroanp.learning.requirements import moves_weights
from neuroanp.network.tanh import Tanh
from neuroanp.substrates.added_noise import mean
from neuroanp.training.filling import spikes
from neuroanp.training.layers import UNITS_FIELD, NetworkConfig
from neuroanp.training.targets import TARGETS, misfits, unknown
from neuroanp.yaml_io import Key, Problem

if TYPE_CHECKING:
    from neuroanp.network.cell import Unit
    from neuroanp.training.sections import PerturbationConfig

LAYERS: Key = ("network", "layers")


class Found(NamedTuple):
    """Problems, and whether the backend is sure to have the kind of units that it has now, once they are solved."""

    problems: list[Problem]
    sure: bool = True


def of_units(
    backend: str, neuron: Any, network: NetworkConfig, target: str | None, spikes_in: bool, dt: float
) -> Found:
    """Find units that target and backend have not, or structures.

    Args:
        backend, neuron, network, target: of the configuration. spikes_in: whether inputs are spikes.
        dt: seconds a step.
    """
    chip = TARGETS.get(backend)
    if chip is not None and chip.backend == backend != target:  # another target fills in units that it does not have
        return Found([Problem(("target",), f"backend '{backend}' is that of target '{backend}'; leave target out")])
    wrong = [] if target is None else unknown(target)
    found = [Problem(("target",), said) for said in wrong]
    if target is not None and not wrong:
        of_target, kind = _of_target(backend, neuron, network, target, spikes_in, dt)
        found += of_target
        if kind or (of_target and BACKENDS.get(backend).digital):  # the chip's own backend would say the same
            return Found(found, sure=not kind)
    of_backend = _of_backend(backend, neuron, network)
    return Found(found + of_backend.problems, of_backend.sure)


def _of_target(
    backend: str, neuron: Any, network: NetworkConfig, target: str, spikes_in: bool, dt: float
) -> tuple[list[Problem], bool]:
    """Return what does not fit a target, and whether there are units among it of another kind than the target's."""
    found = [Problem(each.key, each.said) for each in misfits(target, neuron, spikes_in, dt, network)]
    if not spikes(backend):  # no neuron of any options would do
        able = ", ".join(f"'{each}'" for each in dict.fromkeys((TARGETS[target].backend, "lif", "spiking")))
        said = f"'{backend}' has no units that spike, which {target} needs; use one of {able}, or leave target out"
        found = [Problem(("backend",), said), *(each for each in found if each.key[0] != "neuron")]
    kinds = ("backend",), ("neuron",)
    return found, any(key in kinds or (key[:2] == LAYERS and key[-1] == "cell") for key, _ in found)


def _of_backend(backend: str, neuron: Any, network: NetworkConfig) -> Found:
    """Find that units are of another kind than the backend's, or of both kinds; else what the backend refuses."""
    stated = [(k, layer.cell) for k, layer in enumerate(network.layers or ()) if layer.cell is not None]
    spiking, rates = ([each for each in stated if each[1].spikes == kind] for kind in (True, False))
    able = "'lif' or 'spiking'" if isinstance(neuron, LIF) else "'spiking'"
    if spiking and rates:
        said = (
            f"{KINDS}; here {_named(spiking)}, {_named(rates)}: give all of them cells of rates on backend 'rate', or "
            "cell lif on backend 'lif' or 'spiking'"
        )
        return Found([Problem(LAYERS, said)], sure=False)
    if neuron is None and spikes(backend) and not rates:
        return Found([Problem(("neuron",), f"backend '{backend}' has spiking units; write 'neuron: lif'")], sure=True)
    if neuron is not None and not (spikes(backend) or spiking):
        said = (
            f"the units of backend '{backend}' do not spike, and are named by network.layers (cell: gru, ...); leave "
            f"neuron out, or use backend {able}"
        )
        return Found([Problem(("neuron",), said)], sure=False)
    others = rates if spikes(backend) else spiking
    usual: Unit = others[0][1] if others else Tanh() if neuron is None else neuron
    where = ("neuron",) if network.layers is None else LAYERS
    refused = BACKENDS.get(backend).refuses(network.stack(1, 1, usual))
    return Found([Problem(where, said) for said in refused], sure=not others)


def _named(layers: list[tuple[int, Any]]) -> str:
    """Name layers, and what their units do.

    >>> from neuroanp.network.gru import GRU
    >>> _named([(1, GRU()), (2, GRU())])
    'layers[1] (gru), layers[2] (gru) do not spike'
    """
    each = ", ".join(f"layers[{k}] ({UNITS_FIELD.name_of(cell)})" for k, cell in layers)
    one, does = len(layers) == 1, layers[0][1].spikes
    return f"{each} {('spikes' if one else 'spike') if does else ('does' if one else 'do') + ' not spike'}"


def of_steps(neuron: Any, network: NetworkConfig, encoder: Any, dt: float) -> list[Problem]:
    """Find units and an encoder for which a step of dt seconds is too long."""
    found: list[Problem] = []
    try:
        encoder.check(dt)
    except ValueError as error:
        found.append(Problem(("encoder",), str(error)))
    own = [] if neuron is None else _too_short(("neuron",), neuron, dt)
    said = {(each.key[-1], each.text) for each in own}
    for k, layer in enumerate(network.layers or ()):
        if layer.cell is not None and layer.cell.spikes:
            of_layer = _too_short((*LAYERS, k, "cell"), layer.cell, dt)  # an option of `neuron` is told there alone
            own += [each for each in of_layer if (each.key[-1], each.text) not in said]
    return found + own


def _too_short(where: Key, cell: Any, dt: float) -> list[Problem]:
    try:
        cell.check(dt)
    except ValueError as error:
        key, _, said = str(error).partition(": ")
        return [Problem((*where, key), said)]
    return []


def of_noise(perturbation: PerturbationConfig, rule: Any) -> list[Problem]:
    """Find noise that is added to units by a rule that moves weights, or whose mean a rule would take for a signal.

    Noise with a mean goes with passes that have that mean in common. It does not cancel against a pass that is
    noise-free or has the opposite sign; and node perturbation against running averages multiplies the noise itself, not
    a difference of it.
    """
    kind = perturbation.kind
    if kind is None:
        return []
    if moves_weights(rule):
        size = "(rule.eps)" if isinstance(rule, CDRGE) else "(rule.sigma)"
        moved = size if by_itself(rule) else "by their own noise"
        said = f"'{kind}' is noise on the units, and rule '{rule.name}' moves weights {moved}; leave it out"
        return [Problem(("perturbation", "name"), said)]
    if not mean(kind) or not isinstance(rule, PassRule):
        return []
    plan = rule.plan()
    alone = plan.remembered > 0 and rule.needs_noise
    others = [factor for factor in plan.noise if factor != 1.0]
    if not (others or alone):
        return []
    what = "a pass that is noise-free" if 0.0 in others else "passes of both signs" if others else "a running average"
    able = "'two'" if plan.only else "'two' or 'mean'"
    said = (
        f"'{kind}' is 0 or a step up, and its mean does not cancel against {what} (rule.reference: "
        f"{rule.reference}); use 'centred_bernoulli', or rule.reference {able}"
    )
    return [Problem(("perturbation", "name"), said)]


def of_rule(rule: Any, backend: str) -> Iterator[Problem]:
    """Find that a rule cannot train a backend's units; what it says begins with the key."""
    if moves_weights(rule) and BACKENDS.get(backend).digital:
        said = (
            f"'{rule.name}' moves weights by less than backend '{backend}' resolves, whose weights are whole numbers; "
            "use rule 'anp', or backend: lif"
        )
        yield Problem(("rule",), said)
    try:
        rule.check(spiking=spikes(backend))
    except InputError as error:
        for line in error.problems or [error.message]:
            key, _, said = line.partition(": ")
            if re.fullmatch(r"rule(\.\w+)*", key):
                yield Problem(tuple(key.split(".")), said)
            else:
                yield Problem(("rule",), line)
