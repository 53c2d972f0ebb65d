"""Draw a diagnosis: cosine, bias and variance of each array against the passes, a row of panels for all else."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.reporting.plots import WIDTH, decent_log_ticks, legend
from neuroanp.reporting.style import COLOURS, FAINT, GREY, INK, MARKERS, new_figure, plain, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neuroanp.diagnosing.result import Diagnosis, Row

LOG = logging.getLogger("neuroanp")
MOST_ROWS = 8
"""Rows of panels: of more moments and noise levels the first are drawn, the table has all."""
HEIGHT = 2.9
APART = 0.07
"""Decades, or steps of a linear axis, over which the marks of one x are spread."""
DOTS = 150
AXES = ("passes", "sigma", "update")
LABELS = {"passes": "passes an update", "sigma": "sigma of the noise", "update": "update of the training"}


@styled
def drawn(found: Diagnosis, ending: str) -> bytes:
    """Return the figure as the bytes of a .png or .svg file."""
    buffer = io.BytesIO()
    figure(found).savefig(buffer, format=ending, dpi=DOTS, metadata={"Date": None} if ending == "svg" else {})
    return buffer.getvalue()


@styled
def figure(found: Diagnosis) -> Figure:
    """Draw cosines, bias and variance: a colour for each array, all of them together in black.

    Against the passes, where there are several; else against the noise level, else against the updates of training.
    """
    x = axis_of(found.rows)
    rest = [name for name in AXES if name not in (x, "passes")]
    facets = list(dict.fromkeys(tuple(row.setting[name] for name in rest) for row in found.rows))
    if len(facets) > MOST_ROWS:
        LOG.warning("the figure shows %d of %d moments and noise levels; the table has all", MOST_ROWS, len(facets))
        facets = facets[:MOST_ROWS]
    made = new_figure(WIDTH, HEIGHT * len(facets) + 0.55)
    grid = made.subplots(len(facets), 3, squeeze=False, sharex=True, width_ratios=(1.5, 1, 1))
    arrays = list(dict.fromkeys(row.array for row in found.rows if row.found.why is None))
    for facet, axes in zip(facets, grid, strict=True):
        rows = [row for row in found.rows if tuple(row.setting[name] for name in rest) == facet]
        _row(axes, rows, x, arrays)
        said = [f"{name} {value:g}" for name, value in zip(rest, facet, strict=True) if value is not None]
        axes[0].set_title(plain(", ".join(reversed(said))))
    for axes in grid[-1]:
        axes.set_xlabel(LABELS[x])
    entries: list[tuple[str, dict[str, Any]]] = [
        ("all arrays" if name == "all" else name, {"color": _colour(name, arrays), "marker": _marker(name, arrays)})
        for name in arrays
    ]
    entries += [
        ("one update (range)", {"color": GREY, "marker": "o", "ls": "-"}),
        ("mean update (95 %)", {"color": GREY, "marker": "o", "mfc": "white", "ls": (0, (4, 2))}),
    ]
    if any(row.found.bias.value is None and row.found.why is None for row in found.rows):
        entries.append(("not resolved, below", {"color": GREY, "marker": "v", "mfc": "white", "ls": ""}))
    legend(made, entries)
    return made


def axis_of(rows: Sequence[Row]) -> str:
    """Return what the figure has along its x axis: the first of AXES that has several values, else passes."""
    for name in AXES:
        if len({row.setting[name] for row in rows}) > 1:
            return name
    return AXES[0]


def _row(axes: Sequence[Axes], rows: Sequence[Row], x: str, arrays: Sequence[str]) -> None:
    """Draw one moment and noise level: cosines, bias, variance."""
    cosine, bias, variance = axes
    logarithmic = x != "update"
    for name in arrays:
        mine = [row for row in rows if row.array == name and row.found.why is None]
        if not mine:
            continue
        at = _spread([_place(row, x) for row in mine], arrays.index(name), len(arrays), logarithmic)
        style: dict[str, Any] = {"color": _colour(name, arrays), "marker": _marker(name, arrays), "ms": 5}
        ones, means = [row.one for row in mine], [row.found.cosine for row in mine]
        _marks(cosine, at, ones, {**style, "elinewidth": 0.7, "lw": 1.4})
        _marks(cosine, at, means, {**style, "mfc": "white", "ls": (0, (4, 2)), "lw": 1.0, "elinewidth": 1.6})
        biases = [row.found.bias for row in mine]
        _marks(bias, at, biases, {**style, "mfc": "white", "ls": (0, (4, 2)), "lw": 1.0})
        below = [(place, one.high) for place, one in zip(at, biases, strict=True) if one.value is None and one.high > 0]
        if below:
            bias.plot(*zip(*below, strict=True), ls="", marker="v", ms=6, mfc="white", color=style["color"])
        varying = [row.found.variance for row in mine]
        _marks(variance, at, [one if one.value else one._replace(value=None) for one in varying], style)
    cosine.set(ylabel="cosine to the gradient")
    cosine.axhline(1.0, color=GREY, lw=0.7, ls=(0, (4, 3)), zorder=1)
    cosine.axhline(0.0, color=GREY, lw=0.7, zorder=1)
    bias.set(ylabel="bias / |g|")
    variance.set(ylabel="variance / |g|²", yscale="log")
    values = sorted({_place(row, x) for row in rows})
    for one in axes:
        one.grid(axis="y", color=FAINT, lw=0.7)
        one.set_axisbelow(True)
        if logarithmic:
            one.set_xscale("log")
        one.set_xticks(values, [f"{value:g}" for value in values])
        one.minorticks_off()
        if len(values) == 1:
            one.set_xlim(*((values[0] / 2, values[0] * 2) if logarithmic else (values[0] - 1, values[0] + 1)))
    bias.set_ylim(bottom=0.0)
    if variance.lines or variance.containers:
        decent_log_ticks(variance.yaxis, *variance.get_ylim())
    else:
        variance.set(yscale="linear", yticks=[])
        variance.annotate("none", (0.5, 0.5), xycoords="axes fraction", ha="center", color=GREY)


def _place(row: Row, x: str) -> float:
    """Return where a row lies along the x axis."""
    value = row.setting[x]
    assert value is not None  # of several noise levels none is missing
    return float(value)


def _marks(axes: Axes, at: Sequence[float], found: Sequence[Any], style: dict[str, Any]) -> None:
    """Draw values with their intervals; what is not resolved is left out."""
    there = [(place, one) for place, one in zip(at, found, strict=True) if one.value is not None]
    if there:
        places, values = [place for place, _ in there], np.array([one.value for _, one in there])
        ends = np.array([(one.value - one.low, one.high - one.value) for _, one in there]).T
        axes.errorbar(places, values, yerr=np.maximum(ends, 0.0), capsize=0, **style)


def _spread(values: Sequence[float], index: int, count: int, logarithmic: bool) -> list[float]:
    """Return places a little apart for each array, so that their intervals do not hide one another.

    >>> _spread([2.0, 8.0], 1, 3, True), _spread([0, 100], 0, 3, False)
    ([2.0, 8.0], [-2.5, 97.5])
    """
    shift = index - (count - 1) / 2
    if logarithmic:
        return [float(value * 10 ** (APART * shift / max(count - 1, 1))) for value in values]
    step = min(np.diff(sorted(set(values))), default=1.0)
    return [float(value + step * 0.05 * shift / max((count - 1) / 2, 0.5) / 2) for value in values]


def _colour(name: str, arrays: Sequence[str]) -> str:
    others = [each for each in arrays if each != "all"]
    return INK if name == "all" else COLOURS[others.index(name) % len(COLOURS)]


def _marker(name: str, arrays: Sequence[str]) -> str:
    return MARKERS[arrays.index(name) % len(MARKERS)]
