"""Say where chips were at their limits: saturated arrays, failed devices, clipped reads, writes given up on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neuroanp.reporting.method import Method
from neuroanp.reporting.values import middle, numbers
from neuroanp.training.watch import LIMITS, Health

UNKNOWN = ("wear", "rate_Hz")
"""What is None, and not 0, where no run tells of it."""


def limits_reached(group: Sequence[Method], healths: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each method and limit that the median of its finished runs is beyond.

    Args:
        group: the methods of one task.
        healths: `Health.plain` of each run at its end, by the path of the run.
    """
    said = []
    for method in group:
        known = [found for result in method.finished if (found := healths.get(str(result["run"])))]
        for _, sentence in _median(known).complaints() if known else ():
            said.append(f"{method.label}: {sentence}.")
    return said


def _median(healths: Sequence[Mapping[str, Any]]) -> Health:
    values = {name: numbers(health.get(name) for health in healths) for name in [*LIMITS, "rate_Hz"]}
    shares = {name: middle(found) if found else 0.0 for name, found in values.items() if name not in UNKNOWN}
    unknown: dict[str, Any] = {name: middle(values[name]) if values[name] else None for name in UNKNOWN}
    return Health(**shares, **unknown)
