"""Draw a reproduction: a panel for each experiment, the loss of every seed, methods side by side; scaling as lines."""

from __future__ import annotations

import io
from collections.abc import Sequence
from math import inf, isfinite
from statistics import median
from typing import TYPE_CHECKING, Any

from neuroanp.reporting.plots import decent_log_ticks
from neuroanp.reporting.style import COLOURS, FAINT, GREY, INK, MARKERS, new_figure, plain, styled
from neuroanp.reproducing.claims import CONTROLS
from neuroanp.reproducing.experiments import Experiment
from neuroanp.reproducing.running import Measured
from neuroanp.reproducing.ways import WAYS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neuroanp.reproducing.result import Reproduction

COLUMNS, WIDTH, HEIGHT, DOTS = 2, 5.6, 3.3, 130
FLOOR = 1e-6
"""Losses below are drawn there, as triangles: nothing is left to learn, and they would take the whole axis."""
SPREAD = 0.25
"""Of the seeds of one method, beside one another."""
GROUPS = {
    "preset": ("anp", "danp", "anp_1e-3", "np", "wp"), "ours": ("mean", "echo"), "backpropagation": ("bptt1", "bptt"),
}  # fmt: skip
"""Methods in their order along the axis, a colour each group."""
ORDER = tuple(way for group in GROUPS.values() for way in group)
DASHES = {"constant_mean": (0, (1.5, 1.5)), "persistence": (0, (5, 2)), "ridge": (0, (6, 2, 1.5, 2))}


@styled
def drawn(made: Reproduction) -> bytes:
    """Return the figure as the bytes of a .png file; b"" where nothing was measured."""
    if not any(isfinite(one.values.get("loss", inf)) for one in made.measured):
        return b""
    buffer = io.BytesIO()
    figure(made).savefig(buffer, format="png", dpi=DOTS)
    return buffer.getvalue()


@styled
def figure(made: Reproduction) -> Figure:
    """Draw a panel for each experiment that was run."""
    names = [name for name in made.run if any(one.experiment == name for one in made.measured)]
    rows = -(-len(names) // COLUMNS)
    columns = min(COLUMNS, len(names))
    found = new_figure(WIDTH * columns, HEIGHT * rows)
    grid = found.subplots(rows, columns, squeeze=False)
    panels = [axes for row in grid for axes in row]
    for name, axes in zip(names, panels, strict=False):
        experiment = made.experiments[name]
        mine = [one for one in made.measured if one.experiment == name]
        (_against_width if len(experiment.widths) > 1 else _side_by_side)(axes, experiment, mine)
        axes.set_title(plain(f"{name}: {experiment.title}", 70))
        axes.grid(axis="y", color=FAINT, lw=0.7)
        axes.set_axisbelow(True)
        axes.set(ylabel="loss, trained sequence" if experiment.measure == "trained" else "test loss")
        if axes.get_yscale() == "log":
            decent_log_ticks(axes.yaxis, *axes.get_ylim())
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    return found


def _side_by_side(axes: Axes, experiment: Experiment, mine: Sequence[Measured]) -> None:
    """Draw the losses of every method: a mark a seed, a line at the median, open marks of fresh sequences."""
    ways = [way for way in ORDER if way in experiment.ways]
    axes.set_yscale("log")
    faces = {experiment.measure: None, "loss": None if experiment.measure == "loss" else "white"}
    for at, way in enumerate(ways):
        some = [one for one in mine if one.way == way]
        for key, face in faces.items():
            values = [one.values.get(key, inf) for one in some]
            _marks(axes, at, values, _colour(way), face)
    _controls(axes, mine)
    axes.set_xticks(range(len(ways)), [_short(way) for way in ways], rotation=35, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.6, len(ways) - 0.4)
    if experiment.measure != "loss":
        axes.annotate("open: fresh sequences", (0.01, 0.03), xycoords="axes fraction", fontsize=8, color=GREY)


def _marks(axes: Axes, at: int, values: Sequence[float], colour: str, face: str | None) -> None:
    """Draw one method's losses, a mark a seed and a line at the median; crosses at the top are runs without one."""
    places = [at + SPREAD * (2 * i / max(len(values) - 1, 1) - 1) for i in range(len(values))]
    there = [(x, y) for x, y in zip(places, values, strict=True) if isfinite(y)]
    style: dict[str, Any] = {"ls": "", "ms": 4.5, "color": colour, "mfc": face or colour}
    axes.plot([x for x, y in there if y >= FLOOR], [y for _, y in there if y >= FLOOR], marker="o", **style)
    low = [x for x, y in there if y < FLOOR]
    axes.plot(low, [FLOOR] * len(low), marker="v", **style)
    if there and median(y for _, y in there) >= FLOOR:
        axes.plot([at - 0.36, at + 0.36], [median(y for _, y in there)] * 2, color=colour, lw=1.6)
    if face is None:
        lost = [x for x, y in zip(places, values, strict=True) if not isfinite(y)]
        top = axes.get_xaxis_transform()
        axes.plot(lost, [0.97] * len(lost), ls="", marker="x", ms=5, color=colour, transform=top)


def _controls(axes: Axes, mine: Sequence[Measured]) -> None:
    """Draw a line for each control, named at its right."""
    for key, label in CONTROLS.items():
        values = [one.values[key] for one in mine if key in one.values]
        if values and median(values) > 0:
            axes.axhline(median(values), color=GREY, lw=0.9, ls=DASHES[key], zorder=1, label=label)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=7.5, loc="best", handlelength=2.2)


def _against_width(axes: Axes, experiment: Experiment, mine: Sequence[Measured]) -> None:
    """Draw losses against hidden units, a line through the medians of each method."""
    for index, way in enumerate(experiment.ways):
        points = []
        for hidden in experiment.widths:
            values = [one.values.get(experiment.measure, inf) for one in mine
                      if (one.way, one.hidden) == (way, hidden)]  # fmt: skip
            good = [max(value, FLOOR) for value in values if isfinite(value) and value > 0]
            axes.plot([hidden] * len(good), good, ls="", marker=MARKERS[index], ms=4, color=COLOURS[index], alpha=0.6)
            if good and len(good) * 2 > len(values):
                points.append((hidden, median(good)))
        if points:
            axes.plot(*zip(*points, strict=True), color=COLOURS[index], marker=MARKERS[index], ms=5, label=_short(way))
    axes.set(xscale="log", yscale="log", xlabel="hidden units")
    axes.set_xticks(experiment.widths, [str(hidden) for hidden in experiment.widths])
    axes.minorticks_off()
    axes.legend(fontsize=8)


def _colour(way: str) -> str:
    groups = [*GROUPS.values()]
    index = next(i for i, group in enumerate(groups) if way in group)
    return (COLOURS[0], COLOURS[1], INK)[index]


def _short(way: str) -> str:
    return WAYS[way].label.replace(" (preset)", "").replace(" (ours, ", ", ").replace(")", "")
