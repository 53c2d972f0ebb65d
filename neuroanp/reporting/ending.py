"""Say how training ended: when it stopped, which weights were written back, and what the outputs were fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neuroanp.reporting.method import Method
from neuroanp.reporting.reading import Shown
from neuroanp.reporting.values import digits, middle
from neuroanp.training.watch import percent

FAR = 1.5
"""How many times its loss with exact weights a fit must have as written to be told of."""


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
    sizes: dict[int, list[str]] = {}
    for label, found in fits.items():
        sizes.setdefault(found[0]["sequences"], []).append(label)
    said = [
        f"Once training was over, a host that knows the targets fitted the outputs of {', '.join(labels)} to {size} "
        "sequences by least squares and wrote them: that is in energy and chip time, not in passes."
        for size, labels in sizes.items()
    ]
    for label, found in fits.items():
        said += _missed(label, found)
    return said


def _missed(label: str, fits: Sequence[Any]) -> list[str]:
    """Say what came between the fit and the arrays: their range, the errors of writing, or that nothing was better."""
    exact, after, before = (middle([fit[name] for fit in fits]) for name in ("exact", "after", "before"))
    there = f"{digits(after)} as the chip has it, {digits(before)} before, {digits(exact)} of exact weights"
    written, said = [fit for fit in fits if fit["strength"] is not None], []
    if len(written) < len(fits):
        of = "" if len(fits) == 1 else f" in {len(fits) - len(written)} of {len(fits)} runs"
        said.append(
            f"{label}: no fit, once written, was better than what the rule had left, which was written back{of}."
        )
    beyond = middle([fit["at_limit"] for fit in written]) if written else 0.0
    if beyond > 0:
        said.append(f"{label}: {percent(beyond)} of the weights fitted lie at the largest that their array holds.")
    if after > FAR * exact:
        lost = "the fit" if after > before else "a part of the fit"
        said.append(f"{label}: writing lost {lost}: {there}, on sequences that it was not fitted to.")
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
