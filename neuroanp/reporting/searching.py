"""Show a search that drew its points: what it chose and where in its range that lies, and how the best loss fell.

A search is a mapping as in `neuroanp.reporting.tuning`; all trials are in comparison.json.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from neuroanp.reporting.plots import decent_log_ticks, legend
from neuroanp.reporting.style import COLOURS, FAINT, MARKERS, fitted, new_figure, styled
from neuroanp.reporting.tables import Cell, Column, Row, Table
from neuroanp.reporting.values import digits, numbers
from neuroanp.yaml_io import in_a_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Search = Mapping[str, Any]
NONE = "none"
BY = {"random": "drawn at random", "optuna": "drawn at random, then proposed by Optuna (TPE)"}


def is_drawn(one: Search) -> bool:
    """Return whether points were drawn; those of a grid, and records of before there was more, have no search."""
    return "search" in one


def tried(values: Any) -> str:
    """Return in words what was tried of a key: a list of values, or a range.

    >>> tried([1, 2]), tried({"low": 1e-4, "high": 0.1, "log": True})
    ('of 1, 2', 'from 0.0001 to 0.1 (log)')
    """
    if isinstance(values, Mapping):
        return f"from {in_a_line(values['low'])} to {in_a_line(values['high'])}" + (" (log)" if values["log"] else "")
    return f"of {', '.join(map(in_a_line, values))}"


def budget(searches: Sequence[Search]) -> str:
    """Say how many points and trials each got, and whether all got the same."""
    how = searches[0]["search"]
    said = f"{how['trials']} points, {BY[how['kind']]} (seed {how['seed']})"
    runs = sorted({one["runs"] for one in searches})
    if len(searches) == 1:
        return f"{said}, {runs[0]} trials"
    if len(runs) == 1:
        return f"{said}, {runs[0]} trials for each of {len(searches)}: the same number for all"
    return f"{said}, and unlike numbers of trials, {', '.join(map(str, runs))}: not a fair comparison"


def edge(one: Search, key: str) -> str:
    """Say where the best value of a range lies that is near an end of it."""
    place = one["place"][key]
    return f"lies at {_share(place)} of its range, near the {'lower' if place < 0.5 else 'upper'} end"


def table(searches: Sequence[Search], named: Sequence[tuple[str, list[str]]]) -> Table:
    """Build the table of what was found: the best value of each key, and where in its range it lies.

    Args: searches: over the same keys. named: header and names of the columns that tell them apart.
    """
    keys = list(searches[0]["grid"])
    heads = [*keys, "validation loss", "points", "diverged", "trials", "passes"]
    columns = [*(Column(header, numeric=False) for header, _ in named), *map(Column, heads)]
    rows = []
    for i, one in enumerate(searches):
        best, took = one["chosen"], [one["search"]["trials"], _diverged(one), one["runs"]]
        values = [Cell(NONE) if best is None else _value(one, key) for key in keys]
        names = [Cell(each[i]) for _, each in named]
        rest = [*(Cell(str(n)) for n in took), Cell(digits(one["passes"]))]
        rows.append(Row("method", (*names, *values, _loss(one), *rest)))
    return Table(tuple(columns), tuple(rows))


@styled
def figure(searches: Sequence[Search], loss: str, labels: Sequence[str]) -> Figure | None:
    """Draw the lowest median of the validation loss against the number of points that were tried.

    Args: searches: of one task, over the same keys. loss: what the losses are. labels: what each is called.

    Returns: the figure, or None where no loss is above 0, or of more than a figure can show.
    """
    from matplotlib.ticker import MaxNLocator

    lines = [falling(one) for one in searches]
    known = [y for line in lines for y in line if math.isfinite(y)]
    if not known or min(known) <= 0 or len(searches) > len(COLOURS):
        return None
    drawn = new_figure(fitted(7.2), 3.4)
    axes = drawn.subplots()
    names: list[tuple[str, dict[str, Any]]] = []
    for i, line in enumerate(lines):
        look = {"color": COLOURS[i], "marker": MARKERS[i % len(MARKERS)]}
        places = [(k + 1, y) for k, y in enumerate(line) if math.isfinite(y)]
        if places:
            x, y = zip(*places, strict=True)
            axes.plot(
                x,
                y,
                drawstyle="steps-post",
                ms=3.5,
                lw=1.6,
                label=labels[i],
                color=look["color"],
                marker=look["marker"],
            )
        names.append((labels[i], look))
    axes.set(yscale="log", xlabel="points tried", ylabel=f"lowest validation loss\n({loss})")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=FAINT, lw=0.7)
    decent_log_ticks(axes.yaxis, *axes.get_ylim())
    legend(drawn, names)
    return drawn


def falling(one: Search) -> list[float]:
    """Return the lowest median of the points so far, a number a point; infinite while all diverged."""
    return list(accumulate((m if numbers([m]) else math.inf for m in one["medians"]), min))


def _value(one: Search, key: str) -> Cell:
    place = one["place"].get(key)
    spread = "" if place is None else f"[at {_share(place)}]"
    return Cell(in_a_line(one["chosen"][key]), spread, strong=True)


def _loss(one: Search) -> Cell:
    if one["chosen"] is None:
        return Cell(NONE)
    some = numbers(trial["loss"] for trial in one["trials"] if trial["values"] == one["chosen"])
    low, high = digits(min(some)), digits(max(some))
    return Cell(digits(one["loss"]), f"[{low}, {high}]" if low != high else "")


def _diverged(one: Search) -> int:
    return sum(not numbers([trial["loss"]]) for trial in one["trials"])


def _share(place: float) -> str:
    return f"{100 * place:.0f} %"
