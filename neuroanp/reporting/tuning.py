"""Show what was chosen on seeds that are not reported: the loss of everything that was tried, and what it took.

A search is what `comparing.tune.Tuned.to_dict` made of it, or a record had of that: losses that are None, or infinite,
are of trials that diverged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neuroanp.reporting import searching
from neuroanp.reporting.plots import decent_log_ticks, legend
from neuroanp.reporting.style import COLOURS, FAINT, GREY, MARKERS, fitted, new_figure, styled
from neuroanp.reporting.tables import Cell, Column, Row, Table
from neuroanp.reporting.values import digits, numbers
from neuroanp.yaml_io import in_a_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Search = Mapping[str, Any]
WIDEST = 8
"""Values of one key that stand side by side; more, or of several keys, are one below the other."""
MOST_LINES = len(COLOURS)
"""Searches that a figure shows: more could not be told apart."""
DIVERGED, NONE = "diverged", "none"


def of_task(searches: Sequence[Search], task: str) -> list[Search]:
    """Return the searches of one task, by its name with its options."""
    return [one for one in searches if one["task"] == task]


def alike(searches: Sequence[Search]) -> list[list[Search]]:
    """Return searches in groups of those that tried the same, in the same way and on the same seeds."""
    groups: dict[str, list[Search]] = {}
    for one in searches:
        groups.setdefault(repr((one["grid"], one["seeds"], one.get("search"))), []).append(one)
    return list(groups.values())


def label(one: Search) -> str:
    """Return what was tuned, as the methods of the results are called."""
    name = f"{one['profile']} · {one['rule']}" + ("" if one["backend"] == "rate" else f" · {one['backend']}")
    options = ", ".join(f"{key} {in_a_line(value)}" for key, value in one["options"].items())
    return f"{name} ({options})" if options else name


def chosen(searches: Sequence[Search]) -> list[str]:
    """Say in one line for each search what was chosen; nothing where nothing could be."""
    return [
        f"tuned {label(one)}: {_values(one['chosen'])}, median validation loss {digits(one['loss'])} of "
        f"{len(one['seeds'])} seed{'s' * (len(one['seeds']) != 1)}"
        for one in searches
        if one["chosen"] is not None
    ]


def warnings(searches: Sequence[Search]) -> list[str]:
    """Say where the best value is the lowest or the highest that was tried, where none matters, and where none is."""
    said = []
    for one in searches:
        best = one["chosen"]
        if best is None:
            said.append(f"{label(one)}: nothing could be chosen: every median is infinite; widen --tune")
            continue
        for key in one.get("idle", ()):  # records of before it was looked for have none
            said.append(f"{label(one)}: {key} made no difference to any trial; the rule, as it is set, does not use it")
        for key in one["at_edge"]:
            value = best[key]
            if isinstance(one["grid"][key], Mapping):
                where = f"{in_a_line(value)}, {searching.edge(one, key)}"
                said.append(f"{label(one)}: the best {key}, {where}: a better one may lie beyond; widen --tune")
                continue
            end = (
                f"{in_a_line(value)}, is the {'lowest' if value == min(one['grid'][key]) else 'highest'} that was tried"
            )
            said.append(f"{label(one)}: the best {key}, {end}: a better one may lie beyond; widen --tune")
    return said


def sentences(searches: Sequence[Search]) -> list[str]:
    """Say how was tuned: what was tried, on which seeds, what it took; how often it diverged; and the warnings.

    Args: searches: alike.
    """
    if not searches:
        return []
    first, count = searches[0], len(searches[0]["seeds"])
    tried = "; ".join(f"{key} {searching.tried(values)}" for key, values in first["grid"].items())
    on = f"seed{'s' * (count != 1)} {', '.join(map(str, first['seeds']))}, which {'is' if count == 1 else 'are'}"
    each = "" if len(searches) == 1 else " for each"
    took = searching.budget(searches) if searching.is_drawn(first) else f"{first['runs']} trials{each}"
    said = [f"Tuned on {on} not reported: {tried}. {took}; the lowest median validation loss wins."]
    lost = [(one, sum(_loss(trial) is None for trial in one["trials"])) for one in searches]
    said += [f"{label(one)}: {n} of {len(one['trials'])} trials diverged." for one, n in lost if n]
    return [*said, *(f"{line}." for line in warnings(searches))]


def title(searches: Sequence[Search]) -> str:
    """Return the title of the table of some searches."""
    keys = list(searches[0]["grid"])
    if searching.is_drawn(searches[0]):
        return f"tuning: the best {' and '.join(keys)}, by median validation loss"
    return f"tuning: median validation loss by {' and '.join(keys)}"


def table(searches: Sequence[Search], wide: bool = True) -> Table:
    """Build the table of what was tried: the median of the validation loss, and its range over the tuning seeds.

    Args:
        searches: alike. wide: values of a single key side by side, if they are few.

    Returns: a search a row, or a point of the grid a row; what was chosen is strong.
    """
    keys = list(searches[0]["grid"])
    named = _names(searches)
    if searching.is_drawn(searches[0]):
        return searching.table(searches, named)
    values = searches[0]["grid"][keys[0]]
    columns = [Column(header, numeric=False) for header, _ in named]
    if wide and len(keys) == 1 and len(values) <= WIDEST:
        columns += [Column("chosen"), *(Column(in_a_line(value)) for value in values)]
        columns += [Column("trials"), Column("passes")]
        rows = []
        for i, one in enumerate(searches):
            best = Cell(NONE if one["chosen"] is None else in_a_line(one["chosen"][keys[0]]), strong=True)
            took = Cell(str(one["runs"])), Cell(digits(one["passes"]))
            rows.append(Row("method", (*_cells(named, i), best, *_losses(one), *took)))
        return Table(tuple(columns), tuple(rows))
    columns += [*map(Column, keys), *map(Column, ("validation loss", "trials", "passes", "chosen"))]
    rows = []
    for i, one in enumerate(searches):
        for point, (values_, loss) in enumerate(zip(_points(one), _losses(one), strict=True)):
            some = _of_point(one, point)
            took = Cell(str(len(some))), Cell(digits(sum(trial["passes"] for trial in some)))
            names = _cells(named, i) if point == 0 else [Cell("")] * len(named)
            told = [Cell(in_a_line(values_[key]), strong=loss.strong) for key in keys]
            rows.append(Row("method", (*names, *told, loss, *took, Cell("chosen" * loss.strong, strong=True))))
    return Table(tuple(columns), tuple(rows))


@styled
def figure(searches: Sequence[Search], loss: str) -> Figure | None:
    """Draw the validation loss against the values of one key: medians as lines, seeds as small marks, choices ringed.

    Args:
        searches: of one task, alike. loss: what the losses are. Of what was drawn, how the lowest loss fell.

    Returns: the figure, or None of several keys, of what are no numbers above 0, or of more than a figure can show.
    """
    if searching.is_drawn(searches[0]):
        return searching.figure(searches, loss, [label(one) for one in searches])
    key, *others = searches[0]["grid"]
    values = searches[0]["grid"][key]
    drawable = not others and len(numbers(values)) == len(values) > 1 and min(values) > 0
    positive = any(median > 0 for one in searches for median in numbers(one["medians"]))
    if not drawable or not positive or len(searches) > MOST_LINES:
        return None
    drawn = new_figure(fitted(7.2), 3.4)
    axes = drawn.subplots()
    for i, one in enumerate(searches):
        _line(axes, one, key, COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
    axes.set(xscale="log", yscale="log", xlabel=key, ylabel=f"validation loss ({loss})")
    axes.set_xticks(values, [in_a_line(value) for value in values])
    axes.minorticks_off()
    axes.grid(axis="y", color=FAINT, lw=0.7)
    decent_log_ticks(axes.yaxis, *axes.get_ylim())
    names = [(label(one), {"color": COLOURS[i], "marker": MARKERS[i % len(MARKERS)]}) for i, one in enumerate(searches)]
    legend(drawn, names)
    return drawn


def _line(axes: Axes, one: Search, key: str, colour: str, marker: str) -> None:
    places = [point[key] for point in _points(one)]
    found = [(x, m) for x, m in zip(places, one["medians"], strict=True) if numbers([m]) and m > 0]
    if found:
        axes.plot(*zip(*found, strict=True), color=colour, marker=marker, ms=5.5, lw=1.6, label=label(one))
    seeds = [(trial["values"][key], loss) for trial in one["trials"] if (loss := _loss(trial)) is not None and loss > 0]
    if seeds:
        xs, ys = zip(*seeds, strict=True)
        each = f"{label(one)}, a seed each"
        axes.plot(xs, ys, ls="", color=colour, marker=marker, ms=3, alpha=0.45, mew=0, label=each)
    if one["chosen"] is not None:
        style = {"mfc": "none", "mec": GREY, "mew": 1.2, "label": f"{label(one)}, chosen"}
        axes.plot([one["chosen"][key]], [one["loss"]], marker="o", ms=12, ls="", **style)


def _losses(one: Search) -> list[Cell]:
    """Return the median of each point with its range, or that it diverged."""
    cells = []
    for point, values in enumerate(_points(one)):
        median, some = one["medians"][point], numbers(_loss(trial) for trial in _of_point(one, point))
        known = numbers([median]) and some
        low, high = (digits(min(some)), digits(max(some))) if known else ("", "")
        spread = f"[{low}, {high}]" if low != high else ""
        text = digits(median) if known else DIVERGED
        cells.append(Cell(text, spread if known else "", strong=values == one["chosen"]))
    return cells


def _points(one: Search) -> list[Mapping[str, Any]]:
    """Return the points of the grid in the order of the trials."""
    seeds = len(one["seeds"])
    return [trial["values"] for trial in one["trials"][::seeds]]


def _of_point(one: Search, point: int) -> Sequence[Mapping[str, Any]]:
    seeds = len(one["seeds"])
    return one["trials"][point * seeds : (point + 1) * seeds]


def _loss(trial: Mapping[str, Any]) -> float | None:
    loss = trial["loss"]
    return loss if isinstance(loss, int | float) and math.isfinite(loss) else None


def _names(searches: Sequence[Search]) -> list[tuple[str, list[str]]]:
    """Return header and names of the columns that tell the searches apart, profile and rule in any case."""
    columns = [("profile", [one["profile"] for one in searches]), ("rule", [one["rule"] for one in searches])]
    if any(one["backend"] != "rate" for one in searches):
        columns.insert(0, ("backend", [one["backend"] for one in searches]))
    keys = dict.fromkeys(key for one in searches for key in one["options"])
    return columns + [(key, [in_a_line(one["options"].get(key, "")) for one in searches]) for key in keys]


def _cells(named: Sequence[tuple[str, list[str]]], i: int) -> list[Cell]:
    return [Cell(names[i]) for _, names in named]


def _values(point: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {in_a_line(value)}" for key, value in point.items())
