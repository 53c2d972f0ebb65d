"""Change in the configuration of a run what a chip has not: the same task, learned by a network that the chip can hold.

Options that the chip insists on, the nearest of its decays, spikes as inputs, delays between layers; where units spike
already, learning begins at the run's weights. Units of rates become spiking ones, with their usual settings, and learn
from the beginning. How large the network is stays as it is: what is too large is refused as ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from neuroanp.backends.protocol import BACKENDS
from neuroanp.errors import InputError
from neuroanp.records.manifest import CONFIG
from neuroanp.records.run_dir import RunDir
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import configure, load_config
from neuroanp.training.filling import spikes
from neuroanp.training.targets import TARGETS, Target, misfits, unknown
from neuroanp.yaml_io import Key

OF_RATES = ("neuron", "dt", "perturbation", "optimizer")
"""Sections whose values for units of rates mean nothing for spiking ones."""
ROUNDS = 3
"""What one change uncovers another one settles: units of another kind, then their options."""


class Adapted(NamedTuple):
    """A configuration that keeps to its target, and what is another than in the run, a line for each key."""

    config: RunConfig
    changes: tuple[str, ...]


def adapted(
    record: RunDir, target: str, overrides: Mapping[str, Any] | None = None, words: Mapping[str, Any] | None = None
) -> Adapted:
    """Return the configuration of a run with what a target needs.

    Args:
        record: the run. target: name of the chip or format. overrides, words: as of `configure`, laid over all.

    Raises:
        InputError: the target is unknown or the run's already, the run's configuration has changed since, or what is
            left does not fit, such as a rule that does not train spiking units.
    """
    wrong = unknown(target)
    if wrong:
        raise InputError(f"target: {wrong[0]}")
    if lost := record.lost((CONFIG,)):
        raise InputError(f"{record.path}: not as it was written; repeat it, or adapt another run", lost)
    before = load_config(record.config_path)
    if before.target == target:
        raise InputError(f"{record.path}: was trained for {target}; export it, or go on with: train --extend")
    plain, chip = before.to_plain(), TARGETS[target]
    said = {key: value for key, value in {**(overrides or {}), **(words or {})}.items() if value is not None}
    plain["training"].pop("extends", None)
    digital = BACKENDS.get(chip.backend).digital
    backend = before.backend if before.backend in ("lif", "spiking") and not digital else chip.backend
    if spikes(before.backend):
        plain["network"]["weights"] = str(record.path.absolute())
    else:
        plain = _of_spikes(plain, said.get("rule", plain["rule"]))
    plain = _fitted({**plain, "backend": "lif" if digital else backend, "target": None}, target)
    plain |= {"backend": backend, "target": target}
    config = configure(_with_inputs_anew(plain, before, chip), overrides, **(words or {}))
    return Adapted(config, tuple(_changes(before.to_plain(), config.to_plain())))


def _of_spikes(plain: Mapping[str, Any], rule: Any) -> dict[str, Any]:
    """Return a configuration of rates as one of spiking units, with the usual values of what goes with those."""
    kept = {key: value for key, value in plain.items() if key not in OF_RATES}
    network = {**kept["network"], "weights": None}
    layers = network.get("layers")
    if layers:
        network["layers"] = [{**layer, "cell": None} for layer in layers]
    return {**kept, "network": network, "rule": {"name": rule["name"] if isinstance(rule, Mapping) else rule}}


def _fitted(plain: dict[str, Any], target: str) -> dict[str, Any]:
    """Return a configuration with the remedy of each of its misfits."""
    for _ in range(ROUNDS):
        config = configure(plain)
        spiking = config.encoder.spikes
        found = misfits(target, config.neuron, spiking, config.dt, config.network)
        plain = config.to_plain()
        for misfit in found:
            _put(plain, misfit.key, misfit.remedy)
        if not found:
            break
    return plain


def _put(plain: dict[str, Any], key: Key, value: Any) -> None:
    """Write a value at a key; an option of `neuron` also into layers that share it."""
    there: Any = plain
    *above, last = [*key]
    for part in above:
        there = there[part]
    if above == ["neuron"]:
        for cell in _cells(plain):
            if cell.get(last) == there[last]:
                cell[last] = value
    there[last] = value


def _cells(plain: Mapping[str, Any]) -> list[dict[Any, Any]]:
    """Return the options of layers' units of the same kind as `neuron`."""
    cells = [layer["cell"] for layer in plain["network"].get("layers") or ()]
    return [cell for cell in cells if cell is not None and cell["name"] == plain["neuron"]["name"]]


def _with_inputs_anew(plain: dict[str, Any], before: RunConfig, chip: Target) -> dict[str, Any]:
    """Return the configuration, which begins anew where its inputs become others: no weight of the run is of those."""
    if not chip.spikes_in or before.encoder.spikes:
        return plain
    return {**plain, "network": {**plain["network"], "weights": None}}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Say what is another, by dotted key.

    >>> [*_changes({"dt": "1 us", "rule": {"name": "anp", "K": 1}}, {"dt": "1 ms", "rule": {"name": "anp"}})]
    ['dt: 1 us -> 1 ms', 'rule.K: 1 -> (none)']
    """
    one, two = dict(_leaves(before)), dict(_leaves(after))
    for key in dict.fromkeys([*one, *two]):
        if one.get(key, NONE) != two.get(key, NONE):
            yield f"{key}: {one.get(key, NONE)} -> {two.get(key, NONE)}"


NONE = "(none)"


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, each in value.items():
            yield from _leaves(each, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        for index, each in enumerate(value):
            yield from _leaves(each, f"{key}[{index}]")
    else:
        yield key, NONE if value is None else str(value)
