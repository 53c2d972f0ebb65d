"""Show what idle time does to a result: the loss at once, and after the chip has lain idle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neuroanp.reporting.method import Method
from neuroanp.reporting.plots import decent_log_ticks, legend
from neuroanp.reporting.style import FAINT, GREY, Look, fitted, new_figure, styled
from neuroanp.reporting.tables import Cell, Column, Row, Table, cell, names_of
from neuroanp.reporting.values import middle, numbers
from neuroanp.training.times import seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READINGS = {"noisy": "test_loss", "noise-free": "test_loss_noise_free"}
NOW = "at once"
WIDTH = 7.2


def times_of(group: Sequence[Method]) -> list[str]:
    """Return the idle times of the methods' finished runs, the shortest first; of two names of one time, the first."""
    found: dict[float, str] = {}
    for text in (text for m in group for result in m.finished for text in result["test_loss_after"]):
        found.setdefault(seconds(text), text)
    return [found[time] for time in sorted(found)]


def losses(method: Method, key: str, time: str | None) -> list[float]:
    """Return a method's losses, one a seed: at once (None), or after an idle time."""
    if time is None:
        return method.values(key)
    after = [_by_seconds(result[f"{key}_after"]).get(seconds(time)) for result in method.finished]
    return numbers(after)


def table(group: Sequence[Method]) -> Table | None:
    """Build the table of losses by idle time: a method's under its device's noise, and without it where that differs.

    Returns: the table, or None where no run was evaluated after idle time.
    """
    times = times_of(group)
    kept = [m for m in group if any(losses(m, "test_loss", time) for time in times)]
    if not times or not kept:
        return None
    named = names_of(kept)
    columns = [*(Column(header, numeric=False) for header, _ in named), Column("reading", numeric=False)]
    columns += [Column(NOW), *(Column(f"after {time}") for time in times)]
    rows = []
    for i, method in enumerate(kept):
        found = {key: [losses(method, key, time) for time in (None, *times)] for key in READINGS.values()}
        same = found["test_loss"] == found["test_loss_noise_free"]  # a device without noise of its own
        for reading, key in READINGS.items():
            first = key == "test_loss"
            if first or not same:
                names = [Cell(names[i] if first else "") for _, names in named]
                rows.append(Row("method", (*names, Cell("either" if same else reading), *map(cell, found[key]))))
    return Table(tuple(columns), tuple(rows))


@styled
def figure(group: Sequence[Method]) -> Figure | None:
    """Draw the loss against idle time, median over seeds and their range; solid under noise, dotted without it."""
    times = times_of(group)
    kept = [m for m in group if any(min(losses(m, "test_loss", time), default=0) > 0 for time in times)]
    if not times or not kept:
        return None
    look = Look(group)
    at = [seconds(times[0]) / 10, *(seconds(time) for time in times)]
    drawn = new_figure(fitted(WIDTH), 3.4)
    axes = drawn.subplots()
    for method in kept:
        for key, line, width in (("test_loss", "-", 1.8), ("test_loss_noise_free", (0, (1, 1.6)), 1.4)):
            found = [(x, losses(method, key, time)) for x, time in zip(at, (None, *times), strict=True)]
            _line(axes, [(x, some) for x, some in found if some and min(some) > 0], look, method, line, width)
    axes.axvline(at[0] * 10**0.5, color=GREY, lw=0.8, ls=(0, (2, 3)))  # left of it no time has passed
    axes.set(xscale="log", yscale="log", xlabel="idle time", ylabel=f"test loss ({group[0].loss})")
    axes.set_xticks(*_ticks(at, [NOW, *times]))
    axes.minorticks_off()
    axes.grid(axis="y", color=FAINT, lw=0.7)
    decent_log_ticks(axes.yaxis, *axes.get_ylim())
    methods = [(m.label, {"color": look.colour(m), "marker": look.marker(m)}) for m in kept]
    legend(drawn, [*methods, ("without read and node noise", {"color": GREY, "ls": (0, (1, 1.6))})])
    return drawn


def _by_seconds(by_name: Mapping[str, Any]) -> dict[float, Any]:
    return {seconds(name): value for name, value in by_name.items()}


def _line(
    axes: Axes, found: Sequence[tuple[float, list[float]]], look: Look, method: Method, line: Any, width: float
) -> None:
    if not found:
        return
    xs, values = zip(*found, strict=True)
    colour, solid = look.colour(method), line == "-"
    name = method.label if solid else f"{method.label}, without read and node noise"
    if solid:
        low, high = [min(v) for v in values], [max(v) for v in values]
        axes.fill_between(xs, low, high, color=colour, alpha=0.15, lw=0, label=name)
    marker = look.marker(method) if solid else ""
    axes.plot(xs, [middle(v) for v in values], color=colour, ls=line, lw=width, marker=marker, ms=5, label=name)


def _ticks(at: Sequence[float], names: Sequence[str], share: float = 0.09) -> tuple[list[float], list[str]]:
    """Return places and names of the ticks, leaving out those that would run into the one before.

    >>> _ticks([1.0, 10.0, 11.0, 1e5], ["at once", "10 s", "11 s", "1 d"])
    ([1.0, 10.0, 100000.0], ['at once', '10 s', '1 d'])
    """
    from math import log

    kept: list[tuple[float, str]] = []
    for place, name in zip(at, names, strict=True):
        if not kept or log(place / kept[-1][0]) >= share * log(at[-1] / at[0]):
            kept.append((place, name))
    return [place for place, _ in kept], [name for _, name in kept]
