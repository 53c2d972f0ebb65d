"""Name networks in a few words, by their sections of configurations: 'hidden 8', 'gru 4', 'tanh 4 + tanh 4, skip'."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from neuroanp.network.compose import ONE

SAID = ("network.layers", "network.hidden", "network.skip")
"""Options that a network's name says, by the start of their dotted keys; others are named one by one."""

_Options = dict[tuple[int, str], str]


def names(sections: Sequence[Any]) -> list[str]:
    """Return the names of networks that stand side by side: cells and units, and what else tells them apart.

    An option of a layer is named only where networks of the same cells and units differ in it.

    Args:
        sections: `network` of each configuration, as a file has it; what is none has no name.

    >>> def gru(units, **options):
    ...     return {"layers": [{"cell": {"name": "gru", "z_bias": 0.0, **options}, "units": units}]}
    >>> names([{"hidden": 8}, gru(4), gru(5), gru(5, z_bias=-4.0)])
    ['hidden 8', 'gru 4', 'gru 5 (z_bias 0.0)', 'gru 5 (z_bias -4.0)']
    """
    known = [section if isinstance(section, Mapping) else {} for section in sections]
    kinds = [(tuple(_layers(one)), bool(one.get("skip"))) for one in known]
    options = [_options(one) for one in known]
    found = []
    for kind, own in zip(kinds, options, strict=True):
        alike = [theirs for other, theirs in zip(kinds, options, strict=True) if other == kind]
        keys = dict.fromkeys(key for theirs in alike for key in theirs)
        told = [key for key in keys if len({theirs.get(key) for theirs in alike}) > 1]
        found.append(_name(*kind, {key: own.get(key, f"{key[1]} unset") for key in told}))
    return found


def section_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section `network` of a configuration, in which every layer that is listed names its cell.

    >>> section_of({"neuron": {"name": "lif"}, "network": {"layers": [{"units": 4}]}})
    {'layers': [{'units': 4, 'cell': 'lif'}]}
    """
    section, neuron = config.get("network"), config.get("neuron")
    if not isinstance(section, Mapping):
        return {}
    usual = neuron.get("name") if isinstance(neuron, Mapping) else None
    layers = [{**layer, "cell": layer.get("cell") or usual or "tanh"} for layer in _listed(section)]
    return {**section, "layers": layers} if layers else dict(section)


def sizes(section: Any) -> dict[str, int]:
    """Return how many units each layer of a section has, by the layer's name.

    >>> sizes({"layers": [{"units": 4}, {"units": 3}]}), sizes({"hidden": 8})
    ({'hidden_1': 4, 'hidden_2': 3}, {'hidden': 8})
    """
    layers = _listed(section)
    if len(layers) > 1:
        return {f"{ONE}_{k}": layer["units"] for k, layer in enumerate(layers, 1)}
    units = layers[0]["units"] if layers else section.get("hidden") if isinstance(section, Mapping) else None
    return {ONE: units} if isinstance(units, int) else {}


def _name(layers: Sequence[str], skip: bool, told: Mapping[tuple[int, str], str]) -> str:
    """Write layers, each with the options that are told of it; of many alike in a row the count."""
    said = []
    for k, layer in enumerate(layers):
        options = ", ".join(option for (of, _), option in told.items() if of == k)
        said.append(f"{layer} ({options})" if options else layer)
    runs = [(layer, len([*some])) for layer, some in groupby(said)]
    parts = [part for layer, count in runs for part in ([f"{count} × {layer}"] if count > 3 else [layer] * count)]
    return " + ".join(parts) + ", skip" * skip


def _layers(section: Mapping[str, Any]) -> Iterator[str]:
    """Yield cell and units of each layer; of a network that has none listed 'hidden 8'."""
    listed = _listed(section)
    for layer in listed:
        cell = layer.get("cell")
        name = cell.get("name") if isinstance(cell, Mapping) else cell
        yield f"{name} {layer['units']}"
    if not listed and section.get("hidden") is not None:
        yield f"hidden {section['hidden']}"


def _options(section: Mapping[str, Any]) -> _Options:
    """Return what else is said of each layer, as text, by its place and the option's name."""
    found: _Options = {}
    for k, layer in enumerate(_listed(section)):
        cell = layer.get("cell")
        own = cell if isinstance(cell, Mapping) else {}
        found |= {(k, name): f"{name} {value}" for name, value in own.items() if name != "name"}
        found[k, "recurrent"] = "recurrent" if layer.get("recurrent", True) else "feed-forward"
        found[k, "delay"] = f"delay {layer.get('delay', 0)}"
    return found


def _listed(section: Any) -> list[Mapping[str, Any]]:
    """Return the layers that a section lists, if it is one and they are such."""
    layers = section.get("layers") if isinstance(section, Mapping) else None
    listed = layers if isinstance(layers, list) else []
    return listed if all(isinstance(one, Mapping) and "units" in one for one in listed) else []
