"""Expand a comparison into configurations: tasks x profiles x rules x seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from neuroanp.errors import InputError
from neuroanp.training.config import RunConfig, configure


def expand(
    source: str | Path | Mapping[str, Any] | None,
    overrides: Mapping[str, Any] | None = None,
    *,
    tasks: Sequence[str] = (),
    profiles: Sequence[str] = (),
    rules: Sequence[str] = (),
    seeds: Sequence[int] = (),
) -> list[RunConfig]:
    """Return one configuration for each combination; an empty sequence keeps the source's own.

    A task or rule of another name than the source's starts from that one's defaults.

    Raises:
        InputError: something is named twice, or a configuration is wrong.

    >>> [config.seed for config in expand({"task": "copy"}, seeds=[0, 1])]
    [0, 1]
    """
    axes = {"task": tasks, "profile": profiles, "rule": rules, "seed": seeds}
    for name, values in axes.items():
        twice = sorted({str(value) for value in values if list(values).count(value) > 1})
        if twice:
            raise InputError(f"{name} named twice: {', '.join(twice)}; name each once")
    combinations = product(*(values or (None,) for values in axes.values()))
    return [configure(source, overrides, **dict(zip(axes, values, strict=True))) for values in combinations]
