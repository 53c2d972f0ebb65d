"""Say what there is to see in a figure, from the numbers it is drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neuroanp.records.metrics import Metrics
from neuroanp.reporting.method import Method
from neuroanp.reporting.origins import ENERGY
from neuroanp.reporting.plots import curve
from neuroanp.reporting.ranking import best
from neuroanp.reporting.values import digits, middle, quantity

STILL = 0.05
"""Share by which a loss falls over the last fifth of the updates, from which on it is said to fall."""


def of_curves(group: Sequence[Method], metrics: Mapping[str, Metrics]) -> str:
    """Say whose median test loss ends lowest, from where, and which still fall; "" where nothing was tested twice."""
    found = [(m, curve(m, metrics, "test_loss")) for m in group]
    ends = [(m, updates, mid) for m, one in found if one is not None and len(one[0]) > 1 for updates, mid, *_ in [one]]
    if not ends:
        return ""
    lowest, updates, mid = min(ends, key=lambda end: end[2][-1])
    who = _who(lowest, group, len(ends), mid)
    said = f"{who} from {digits(mid[0])} to {digits(mid[-1])} after {updates[-1]:g} updates."
    still = [m.label for m, at, losses in ends if _falls(at, losses)]
    if len(ends) == 1:
        told = "It still falls at the end: more updates may help." if still else "It has levelled off."
        return f"{said} {told} "
    if not still:
        return f"{said} All have levelled off. "
    return f"{said} Still falling at the end, so that more updates may help: {', '.join(still)}. "


def _who(lowest: Method, group: Sequence[Method], count: int, losses: np.ndarray) -> str:
    """Begin the sentence of whose loss ends lowest; it has a name only where one is named the best."""
    if count == 1:
        return "The median test loss falls" if losses[-1] < losses[0] else "The median test loss does not fall"
    winner = best(group)
    return f"Lowest at the end: {lowest.label}," if winner is lowest else "The test loss that ends lowest goes"


def _falls(updates: np.ndarray, losses: np.ndarray) -> bool:
    before = float(np.interp(0.8 * updates[-1], updates, losses))
    return float(losses[-1]) < (1 - STILL) * before


def of_costs(group: Sequence[Method]) -> str:
    """Say which method takes the least energy, and how its loss compares with the lowest; "" where few state it."""
    known = [(m, middle(m.values("energy_J")), middle(m.values("test_loss"))) for m in group if not m.has_twin]
    known = [(m, energy, loss) for m, energy, loss in known if energy > 0 and loss > 0]
    if len(known) < 2 or any(m.origins.marks(ENERGY) for m, *_ in known):  # not measured, and so no matter of fact
        return ""
    (least, energy, loss), lowest = min(known, key=lambda one: one[1]), min(known, key=lambda one: one[2])
    said = f"{least.label} takes the least energy of those that state it, {quantity(energy, 'J')}"
    if lowest[0] is least:
        return f"{said}, and has the lowest loss of them. "
    more, times = digits(lowest[1] / energy, 2), digits(loss / lowest[2], 2)
    return f"{said}, and has {times} times the lowest loss, for which {lowest[0].label} takes {more} times as much. "


def of_prediction(arrays: Mapping[str, Any]) -> str:
    """Say how much of the targets' variance the outputs leave unexplained over what is scored."""
    scored = np.asarray(arrays["mask"]) > 0
    y, target = (np.asarray(arrays[name], dtype=float)[scored] for name in ("y", "target"))
    spread = float(((target - target.mean(axis=(0, 1))) ** 2).mean())
    if not spread > 0 or not np.isfinite(y).all():
        return ""
    left = float(((y - target) ** 2).mean()) / spread
    if left < 1:
        return f"The outputs explain {digits(100 * (1 - left), 2)} % of the variance of the targets."
    return "The outputs explain none of the variance of the targets: their mean would be nearer."
