"""Fit one configuration to several backends: what only spiking units have is left out where units do not spike."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neuroanp.errors import InputError
from neuroanp.training.filling import spikes
from neuroanp.training.sections import Compute
from neuroanp.yaml_io import read

LOG = logging.getLogger("neuroanp")

SECTION = "neuron"
EXECUTION = ("execution", "recurrence", "loop", "target")
"""Keys of `compute` that say how spiking units are simulated."""


def by_backend(
    source: str | Path | Mapping[str, Any] | None, overrides: Mapping[str, Any] | None, backends: Sequence[str]
) -> dict[str | None, dict[str, Any]]:
    """Return for each backend of a comparison the overrides that fit it, and log what they leave out of the source.

    Where some backends spike and some do not, `neuron` and the keys of `compute` that simulate spikes are taken
    back to their defaults for those that do not. A single backend, or none (None), keeps all that is said.

    Args:
        source, overrides: as in `neuroanp.training.configure.configure`.
        backends: known names.

    >>> by_backend({"task": "xor", "neuron": {"tau_m": "10 ms"}}, {"compute.loop": "run"}, ["rate", "spiking"])
    {'rate': {'neuron': None, 'compute.loop': 'auto'}, 'spiking': {'compute.loop': 'run'}}
    """
    said = dict(overrides or {})
    if not any(map(spikes, backends)) or all(map(spikes, backends)):
        return {backend: dict(said) for backend in [*backends, *([None] * (not backends))]}
    stated = _data(source)
    fitted: dict[str | None, dict[str, Any]] = {}
    for backend in backends:
        fitted[backend] = dict(said) if spikes(backend) else _without_spikes(stated, said)
        left_out = [] if spikes(backend) else _left_out(stated, said)
        if left_out:
            LOG.info("backend %s leaves out %s: its units do not spike", backend, ", ".join(left_out))
    return fitted


def _without_spikes(stated: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides with what `_left_out` names at its default."""
    kept = {key: value for key, value in said.items() if not _of_spikes(key)}
    for key in _left_out(stated, said):
        kept[key] = None if key == SECTION else Compute.model_fields[key.partition(".")[2]].default
    return kept


def _left_out(stated: Mapping[str, Any], said: Mapping[str, Any]) -> list[str]:
    """Return the keys of spiking units alone that the source or the overrides state."""
    compute = stated.get("compute")
    found = [SECTION] if stated.get(SECTION) is not None else []
    found += [f"compute.{key}" for key in EXECUTION if isinstance(compute, Mapping) and key in compute]
    found += [SECTION if key.startswith(SECTION) else key for key in said if _of_spikes(key)]
    return list(dict.fromkeys(found))


def _of_spikes(key: str) -> bool:
    return key.partition(".")[0] == SECTION or key in [f"compute.{name}" for name in EXECUTION]


def _data(source: str | Path | Mapping[str, Any] | None) -> Mapping[str, Any]:
    if source is None or isinstance(source, Mapping):
        return source or {}
    try:
        return read(source).data
    except InputError:  # the configuration's own error tells of it
        return {}
