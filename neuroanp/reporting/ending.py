"""Say how training ended: when it stopped, which weights were written back, and what the outputs were fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neuroanp.reporting.method import Method
from neuroanp.reporting.reading import Shown
from neuroanp.reporting.values import middle
from neuroanp.training.watch import percent


def sentences(group: Sequence[Method], runs: Sequence[Shown]) -> list[str]:
    """Say for each method how its runs ended where that is no matter of course, and where what it took is counted.

    Args:
        group: the methods of one task. runs: theirs, which know how many updates there were to be.
    """
    planned = {str(one.result["run"]): one.options.get("training.updates") for one in runs}
    said = []
    for method in group:
        looked = [result for result in method.finished if result.get("validation")]
        if any(result["validation"]["stopped"] or result["validation"]["restored"] for result in looked):
            said.append(f"{method.label}: {_ended(looked, planned)}.")
    if any(result.get("validation") for method in group for result in method.finished):
        said.append("What the chip took for looks at validation sequences is in energy and chip time, not in passes.")
    return said + _fitted(group)


def _fitted(group: Sequence[Method]) -> list[str]:
    """Say whose outputs a host fitted in the end, and what of their weights the arrays could not hold."""
    fits = {m.label: found for m in group if (found := [r["refit"] for r in m.finished if r.get("refit")])}
    if not fits:
        return []
    sizes = _span([fit["sequences"] for found in fits.values() for fit in found])
    said = [
        f"Once training was over, a host that knows the targets fitted the outputs of {', '.join(fits)} to {sizes} "
        "sequences by least squares and wrote them: that is in energy and chip time, not in passes."
    ]
    for label, found in fits.items():
        beyond = middle([fit["at_limit"] for fit in found])
        if beyond > 0:
            said.append(f"{label}: {percent(beyond)} of the weights fitted lie at the largest that their array holds.")
    return said


def _ended(looked: Sequence[Any], planned: dict[str, str | None]) -> str:
    early = [result for result in looked if result["validation"]["stopped"]]
    restored = [result for result in looked if result["validation"]["restored"]]
    parts = []
    if early:
        of = planned.get(str(early[0]["run"]))
        parts.append(
            f"training stopped after {_span([r['updates'] for r in early])} of {of} updates{_in(early, looked)}"
        )
    if restored:
        at = _span([result["validation"]["at"] for result in restored])
        parts.append(
            f"the weights of update {at}, of the lowest validation loss, were written back{_in(restored, looked)}"
        )
    return "; ".join(parts)


def _in(some: Sequence[Any], looked: Sequence[Any]) -> str:
    return "" if len(looked) == 1 else f" in {len(some)} of {len(looked)} runs"


def _span(numbers: Sequence[int]) -> str:
    """Return the lowest and the highest of some numbers.

    >>> _span([3, 9, 5]), _span([4, 4])
    ('3 to 9', '4')
    """
    return f"{min(numbers)}" if min(numbers) == max(numbers) else f"{min(numbers)} to {max(numbers)}"
