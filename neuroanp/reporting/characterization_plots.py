"""Draw what was measured of a device: a figure for each panel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroanp.characterizing.result import Axis, Map, Measurement, Panel, Series
from neuroanp.reporting.style import COLOURS, FAINT, GREY, INK, fitted, new_figure, plain, styled
from neuroanp.reporting.values import PREFIXES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTHS, MAP_WIDTH = {1: 6.6, 2: 4.9, 3: 3.44}, 4.4
"""Inches of a panel, by how many stand in a row."""
HEIGHT = 3.4
SHORT = 300
"""Ratio of its ends below which a logarithmic axis is labelled with plain numbers."""
TIMES = ((1e-9, "1 ns"), (1e-6, "1 µs"), (1e-3, "1 ms"), (1.0, "1 s"), (60.0, "1 min"), (3600.0, "1 h"),
         (86400.0, "1 d"), (2592000.0, "30 d"), (31557600.0, "1 y"))  # fmt: skip
"""Ticks of an axis of long times."""


@styled
def draw(measurement: Measurement) -> list[Figure]:
    """Draw each panel of a measurement as a figure of its own, so that a page can break the row where it is narrow."""
    panels = measurement.panels
    width = WIDTHS[min(len(panels), 3)] if panels else 0.0
    lines = max((len(_entries(panel)) for panel in panels), default=0)
    figures = []
    for panel in panels:
        figure = new_figure(fitted(min(width, MAP_WIDTH) if isinstance(panel, Map) else width), HEIGHT)
        axes = figure.subplots()
        if isinstance(panel, Map):
            _map(axes, panel)
        else:
            _panel(axes, panel, lines)
        figures.append(figure)
    return figures


def _panel(axes: Axes, panel: Panel, lines: int) -> None:
    x_power = _set_axis(axes, "x", panel.x, [s.x for s in panel.series])
    values = [part for s in panel.series for part in (s.y, s.low, s.high) if part is not None]
    y_power = _set_axis(axes, "y", panel.y, values)
    for series in panel.series:
        _series(axes, series, 10.0**x_power, 10.0**y_power)
    axes.grid(color=FAINT, lw=0.7)
    axes.set_axisbelow(True)
    axes.margins(x=0.02)
    _floor(axes, panel, values)
    _title(axes, panel, lines)


def _series(axes: Axes, series: Series, x_unit: float, y_unit: float) -> None:
    colour = GREY if series.group < 0 else COLOURS[series.group % len(COLOURS)]
    x, y = series.x / x_unit, series.y / y_unit
    label = plain(series.label) if series.label else None
    if series.low is not None and series.high is not None:
        axes.fill_between(x, series.low / y_unit, series.high / y_unit, color=colour, alpha=0.15, lw=0)
    if series.kind == "points":
        axes.plot(x, y, ls="", marker="o", ms=4.5, mec="white", mew=0.6, color=colour, label=label, zorder=3)
    elif series.kind == "device":
        axes.plot(x, y, lw=0.8, alpha=0.55, color=colour, label=label)
    elif series.kind == "steps":
        axes.plot(x, y, lw=1.1, drawstyle="steps-mid", color=colour, label=label)
    else:
        style = (0, (4, 2)) if series.group < 0 else "-"
        axes.plot(x, y, lw=1.5, ls=style, color=colour, label=label)


def _set_axis(axes: Axes, which: str, axis: Axis, values: Sequence[np.ndarray]) -> int:
    """Set scale, label and ticks of one axis; return the power of ten its values are divided by."""
    finite = np.concatenate([np.ravel(part) for part in values])
    finite = finite[np.isfinite(finite)]
    positive = finite[finite > 0]
    short = len(positive) > 0 and positive.max() / positive.min() < SHORT
    power = _power(finite) if axis.unit and "/" not in axis.unit and (short or not axis.log) else 0
    unit = f"{PREFIXES[power]}{axis.unit}" if axis.unit else ""
    one = axes.xaxis if which == "x" else axes.yaxis
    if axis.log:
        axes.set(**{f"{which}scale": "log"})
        ticks = _times(positive) if axis.unit == "s" and not short else []
        if ticks:
            one.set_ticks([at for at, _ in ticks], [name for _, name in ticks])
            one.set_minor_locator(_none())
            unit = ""
        elif short:
            _plain_ticks(one)
    axes.set(**{f"{which}label": f"{axis.label} ({unit})" if unit else axis.label})
    return power


def _times(positive: np.ndarray) -> list[tuple[float, str]]:
    """Return ticks that people count in for times on a logarithmic axis, three to seven of them, or none."""
    inside = [(at, name) for at, name in TIMES if positive.min() * 0.7 <= at <= positive.max() * 1.5]
    inside = inside if len(inside) <= 7 else [pair for pair in inside if pair[1] not in ("1 min", "30 d")]
    return inside if len(inside) >= 3 else []


def _none():
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _plain_ticks(axis) -> None:
    """Label a short logarithmic axis with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _power(values: np.ndarray) -> int:
    """Return the power of the SI prefix that suits the largest value.

    >>> _power(np.array([0.0, 2.5e-5])), _power(np.zeros(2))
    (-6, 0)
    """
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0.0:
        return 0
    return int(min(max(3 * math.floor(math.log10(largest) / 3), min(PREFIXES)), max(PREFIXES)))


def _floor(axes: Axes, panel: Panel, values: Sequence[np.ndarray]) -> None:
    """Start at zero what cannot be below it; give a constant room on both sides."""
    if panel.y.log:
        return
    low, high = min(float(np.min(v)) for v in values), max(float(np.max(v)) for v in values)
    if low >= 0.0 and high > 0.0:
        axes.set_ylim(bottom=0.0)
        axes.set_ylim(top=axes.get_ylim()[1] * 1.04)
    elif low < 0.0 < high:
        axes.axhline(0.0, color=GREY, lw=0.6, zorder=1)


def _entries(panel: Panel | Map) -> list[str]:
    return [] if isinstance(panel, Map) else [series.label for series in panel.series if series.label]


def _title(axes: Axes, panel: Panel, lines: int) -> None:
    """Put title and legend above the axes, never on the data; all panels of a measurement take the same room."""
    from matplotlib.lines import Line2D

    handles, labels = axes.get_legend_handles_labels()
    empty = Line2D([], [], ls="")
    missing = lines - len(labels)
    legend = axes.legend(
        [*handles, *[empty] * missing], [*labels, *[" "] * missing], title=plain(panel.title), loc="lower left",
        bbox_to_anchor=(-0.02, 1.0), alignment="left", fontsize=8.5, borderaxespad=0.1, handlelength=1.6,
        labelspacing=0.25, title_fontproperties={"weight": "bold", "size": 10},
    )  # fmt: skip
    legend.get_title().set_color(INK)


def _map(axes: Axes, panel: Map) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("accent", ["#FFFFFF", "#9CC9E4", "#0072B2", "#00324F"])
    power = _power(panel.values) if panel.unit else 0
    image = axes.imshow(panel.values / 10.0**power, cmap=shades, aspect="equal", interpolation="nearest")
    axes.set(xlabel=panel.columns, ylabel=panel.rows, title=plain(panel.title))
    axes.spines[:].set(visible=True, color=FAINT)
    unit = f" ({PREFIXES[power]}{panel.unit})" if panel.unit else ""
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, label=f"{panel.label}{unit}")
    bar.outline.set_visible(False)
