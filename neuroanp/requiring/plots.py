"""Draw a sweep: the metric against each parameter, and what ideals bring."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import median
from typing import TYPE_CHECKING

from neuroanp.reporting.plots import decent_log_ticks
from neuroanp.reporting.style import COLOURS, FAINT, GREY, INK, WARN, fitted, is_narrow, new_figure, plain, styled
from neuroanp.requiring.finding import Finding
from neuroanp.requiring.sweep import Found

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 3.44, 2.9
"""Inches of one curve: three stand in a row."""
LETTERS = 36
"""Of a title that such a figure has room for."""
ROW, WIDE = 0.3, 7.6
"""Inches of a row of the overview, and its width."""


@styled
def curves(found: Found) -> list[tuple[str, Figure]]:
    """Draw the metric against each parameter: median, range over seeds, target, stated value and limits."""
    made = []
    span = _span(found)
    for one in found.findings:
        figure = new_figure(WIDTH, HEIGHT)
        _curve(figure.subplots(), one, span)
        made.append((one.parameter.key, figure))
    return made


def _span(found: Found) -> tuple[float, float]:
    """Return the ends of the axis of the metric, the same in all figures."""
    target = found.plan.asked.target
    values = [v for one in found.findings for point in one.points for v in point.metric]
    kept = [value for value in [*values, target.number] if isfinite(value) and value > 0]
    return min(kept) / 1.5, max(kept) * 1.5


def places(one: Finding) -> list[float]:
    """Return where points are drawn, in decades: 0 and the ideal half a step beyond the others."""
    inside = [place for place in one.places if isfinite(place)]
    if not inside:
        return [float(i) for i, _ in enumerate(one.places)]
    step = max((max(inside) - min(inside)) / max(len(inside) - 1, 1), 0.2)
    return [place if isfinite(place) else (min(inside) - step if place < 0 else max(inside) + step)
            for place in one.places]  # fmt: skip


def _curve(axes: Axes, one: Finding, span: tuple[float, float]) -> None:
    at, target = places(one), one.target
    low, high = span

    def held(value: float) -> float:
        return min(max(value, low), high) if isfinite(value) else high

    axes.fill_between(
        at, [held(min(p.metric)) for p in one.points], [held(max(p.metric)) for p in one.points], color=COLOURS[0],
        alpha=0.15, lw=0,
    )  # fmt: skip
    axes.plot(at, [held(value) for value in one.medians], "-o", ms=4, lw=1.4, color=COLOURS[0])
    lost = [(x, high) for x, point in zip(at, one.points, strict=True) if not all(map(isfinite, point.metric))]
    if lost:
        axes.plot(*zip(*lost, strict=True), ls="", marker="x", ms=6, color=WARN, clip_on=False)
    axes.axhline(target.number, color=COLOURS[1], lw=1.1, ls=(0, (4, 2)))
    if one.stated is not None:
        axes.axvline(at[one.stated], color=GREY, lw=0.9, ls=(0, (1.5, 1.5)))
    for limit in one.limits:
        if limit.at is not None:
            place = one.parameter.decades(limit.at)
            axes.plot([place], [target.number], marker="D", ms=5, color=COLOURS[1], zorder=4)
    axes.set(yscale="log", ylim=span, ylabel=target.metric)
    axes.set_xticks(at, [_tick(one, i) for i, _ in enumerate(at)], rotation=40, ha="right", rotation_mode="anchor",
                    fontsize=8)  # fmt: skip
    axes.grid(axis="y", color=FAINT, lw=0.7)
    axes.set_axisbelow(True)
    decent_log_ticks(axes.yaxis, *span)
    key = one.parameter.key
    axes.set_title(plain(key if len(key) <= LETTERS else one.parameter.kind.name, LETTERS), fontsize=9, color=INK)


def _tick(one: Finding, i: int) -> str:
    value = one.points[i].value
    return one.shown(value).replace(" x stated", " x")


@styled
def overview(found: Found) -> Figure | None:
    """Draw by how many decades the metric gets better with the ideal of each parameter alone; None: none has one."""
    gains = found.ideals.gains
    if not gains:
        return None
    figure = new_figure(fitted(WIDE), 1.0 + (2 if is_narrow() else 1) * ROW * len(gains))
    axes = figure.subplots()
    ends = [v for some in gains.values() for v in some if isfinite(v)]
    most = max([*ends, 0.1])
    for row, (key, some) in enumerate(gains.items()):
        _dots(axes, row, [min(v, most * 1.1) for v in some], key == found.ideals.first)
    axes.axvline(0.0, color=GREY, lw=0.8)
    _name_rows(axes, [plain(key, 40) for key in gains])
    parts = (f"decades by which {found.plan.asked.target.metric} gets better", "with its ideal or best value alone")
    axes.set(xlabel="\n".join(parts))
    axes.grid(axis="x", color=FAINT, lw=0.7)
    axes.set_axisbelow(True)
    return figure


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows, the first on top, at the left of the axes, on a phone above the row."""
    if is_narrow():
        for row, name in enumerate(names):
            axes.text(0.01, row - 0.25, name, transform=axes.get_yaxis_transform(), fontsize=8.5, va="bottom")
        axes.set_yticks([])
        axes.set_ylim(len(names) - 0.6, -0.9)
    else:
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()


def _dots(axes: Axes, row: int, some: Sequence[float], first: bool) -> None:
    colour = COLOURS[1] if first else COLOURS[0]
    axes.plot([min(some), max(some)], [row, row], color=colour, lw=1.2, alpha=0.5)
    axes.plot(some, [row] * len(some), ls="", marker="o", ms=3.5, color=colour, alpha=0.55)
    axes.plot([median(some)], [row], ls="", marker="D", ms=6, color=colour)
