"""Change in the configuration of a run what a chip has not: the same task, learned by a network that the chip can hold.

Options that the chip insists on, the nearest of its decays, spikes as inputs, delays between layers. Learning begins at
the run's weights where they mean the same: the same task and inputs, the same structure, units that spike in both.
Units of another kind become spiking ones, and learn from the beginning. How large the network is stays as it is: what
is too large is refused as ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from neuroanp.backends.protocol import BACKENDS
from neuroanp.errors import InputError
from neuroanp.records.manifest import CONFIG
from neuroanp.records.run_dir import RunDir
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import configure, load_config
from neuroanp.training.filling import spikes
from neuroanp.training.targets import LIF_UNITS, TARGETS, misfits, unknown
from neuroanp.yaml_io import Key

OF_RATES = ("neuron", "dt", "perturbation", "optimizer")
"""Sections whose values for units of rates mean nothing for spiking ones."""
SETTLED = ("backend", "target")
"""Keys that are laid over when all else fits."""
SHOWN = 60
"""Letters of a value in a line."""


class Adapted(NamedTuple):
    """A configuration that keeps to its target, and a line for each thing that is another than in the run."""

    config: RunConfig
    changes: tuple[str, ...]


def adapted(
    record: RunDir, target: Any, overrides: Mapping[str, Any] | None = None, words: Mapping[str, Any] | None = None
) -> Adapted:
    """Return the configuration of a run with what a target needs.

    Args:
        record: the run. target: name of the chip or format. overrides, words: as of `configure`, laid over all.

    Raises:
        InputError: the target is unknown or the run's already, the run's configuration has changed since, or what is
            left does not fit, such as a rule that does not train spiking units.
    """
    over = overrides or {}  # None is a value there
    said = {key: value for key, value in (words or {}).items() if value is not None}
    _check(record, target, {**over, **said})
    before, chip = load_config(record.config_path), TARGETS[target]
    if before.target == target:
        raise InputError(f"{record.path}: was trained for {target}; export it, or go on with: train --extend")
    digital = BACKENDS.get(chip.backend).digital
    backend = before.backend if before.backend in ("lif", "spiking") and not digital else chip.backend
    plain: dict[str, Any] = {**_of_spikes(before, {**over, **said}.get("rule")), "target": None}
    own = str(record.path.absolute()) if spikes(before.backend) else None
    gain = {} if own is None else _taken(plain["network"], "output_gain")  # weights are taken as they are
    plain["network"]["weights"] = own
    laid = configure({**plain, "backend": "lif" if digital else backend}, _without(over), **_without(said))
    plain = {**_fitted(laid, target), "backend": backend, "target": target}
    config = configure(plain, over, **said)
    if own is not None and config.network.weights == own and _of_weights(before) != _of_weights(config):
        plain["network"] |= {"weights": None, **gain}
        config = configure(plain, over, **said)
    weights = config.network.weights
    how = "begins anew" if weights is None else f"begins at the weights of {weights}"
    return Adapted(config, (f"in the place of {record.path}: {how}", *_changes(before, config)))


def _check(record: RunDir, target: Any, said: Mapping[str, Any]) -> None:
    wrong = unknown(target) if isinstance(target, str) else [f"{target!r} is no name (known: {', '.join(TARGETS)})"]
    if wrong:
        raise InputError(f"target: {wrong[0]}")
    if "target" in said:
        raise InputError(f"target: '{target}' is said beside '{said['target']}'; leave one of them out")
    if lost := record.lost((CONFIG,)):
        raise InputError(f"{record.path}: not as it was written; repeat it, or adapt another run", lost)


def _taken(section: dict[str, Any], key: str) -> dict[str, Any]:
    """Take a key out of a section; return it with its value, or {} where it is not there."""
    return {key: section.pop(key)} if key in section else {}


def _without(said: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in said.items() if key not in SETTLED}


def _of_spikes(before: RunConfig, rule: Any) -> dict[str, Any]:
    """Return the content of a configuration whose units are LIF; those of another kind get what is usual.

    Args: before: the run's. rule: what is said of it, or None.
    """
    plain = before.to_plain()
    plain["training"].pop("extends", None)
    network = dict(plain["network"])
    if network.get("layers"):
        network["layers"] = [{**layer, "cell": _lif_of(layer["cell"])} for layer in network["layers"]]
    if spikes(before.backend):
        return {**plain, "network": network, "neuron": _lif_of(plain["neuron"]) or LIF_UNITS}
    kept = {key: value for key, value in plain.items() if key not in OF_RATES}
    rule = plain["rule"] if rule is None else rule
    return {**kept, "network": network, "rule": {"name": rule["name"] if isinstance(rule, Mapping) else rule}}


def _lif_of(cell: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the options of units that are LIF; None, which has those of `neuron`, of others."""
    return cell if cell is not None and cell["name"] == LIF_UNITS["name"] else None


def _fitted(config: RunConfig, target: str) -> dict[str, Any]:
    """Return the content of a configuration with the remedy of each of its misfits."""
    plain = config.to_plain()
    for misfit in misfits(target, config.neuron, config.encoder.spikes, config.dt, config.network):
        _put(plain, misfit.key, misfit.remedy)
    return plain


def _put(plain: dict[str, Any], key: Key, value: Any) -> None:
    """Write a value at a key; an option of `neuron` also into layers that share it."""
    there: Any = plain
    *above, last = [*key]
    for part in above:
        there = there[part]
    if above == ["neuron"]:
        for layer in plain["network"].get("layers") or ():
            if layer["cell"] is not None and layer["cell"].get(last) == there[last]:
                layer["cell"][last] = value
    there[last] = value


def _of_weights(config: RunConfig) -> dict[str, Any]:
    """Return what weights mean something to: task, inputs, and the network but for the constants of its units."""
    plain = config.to_plain()
    network = {key: value for key, value in plain["network"].items() if key not in ("weights", "output_gain")}
    if network.get("layers"):
        of = plain["neuron"]["name"]
        network["layers"] = [
            {**layer, "cell": of if layer["cell"] is None else layer["cell"]["name"]} for layer in network["layers"]
        ]
    return {"task": plain["task"], "encoder": plain["encoder"], "units": plain["neuron"]["name"], "network": network}


def _changes(before: RunConfig, after: RunConfig) -> Iterator[str]:
    """Say what is another, by dotted key; of what goes with another kind of units only the sections."""
    one, two = before.to_plain(), after.to_plain()
    for plain in (one, two):
        plain["training"].pop("extends", None)
        plain["network"].pop("weights")
    if one["neuron"] is None:
        yield f"units of rates become {two['neuron']['name']}, with the usual settings of {after.target}"
        for plain in (one, two):  # of these all values are others
            plain |= {"rule": plain["rule"]["name"], "neuron": None, "perturbation": None, "optimizer": None}
    yield from differences(one, two)


def differences(one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[str]:
    """Say in what two contents differ, a line for each dotted key.

    >>> [*differences({"dt": "1 us", "rule": {"name": "anp", "K": 1}}, {"dt": "1 ms", "rule": {"name": "anp"}})]
    ['dt: 1 us -> 1 ms', 'rule.K: 1 -> (default)']
    """
    first, second = dict(_leaves(one)), dict(_leaves(two))
    for key in dict.fromkeys([*first, *second]):
        if first.get(key, DEFAULT) != second.get(key, DEFAULT):
            yield f"{key}: {_short(first.get(key, DEFAULT))} -> {_short(second.get(key, DEFAULT))}"


DEFAULT = "(default)"
"""What stands for a key that a configuration leaves out."""


def _short(value: str) -> str:
    """Return a value for a line: numbers by six digits, long texts by their beginning.

    >>> _short("15.494622163225379 ms"), _short("a\\n  b" + 80 * "c")
    ('15.4946 ms', 'a bccccccccccccccccccccccccccccccccccccccccccccccccccccccccc...')
    """
    text = re.sub(r"\d+\.\d{5,}", lambda number: f"{float(number[0]):.6g}", " ".join(value.split()))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, each in value.items():
            yield from _leaves(each, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        for index, each in enumerate(value):
            yield from _leaves(each, f"{key}[{index}]")
    else:
        yield key, "(none)" if value is None else str(value)
