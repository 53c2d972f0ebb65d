"""Draw what spiking units did: inputs, raster, membrane potentials, and how often each unit fires."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from neuroanp.reporting.plots import WIDTH
from neuroanp.reporting.style import FAINT, GREY, INK, WARN, fitted, is_narrow, new_figure, styled
from neuroanp.reporting.values import digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEPS = 480
"""Steps of time in a raster: as many sequences as fit, but at least one."""
LINES = 4
"""More input lines than these are drawn as a map."""
BINS = 24
LAYERS = 6
"""More layers than these have no histogram each: the first of them are drawn, and the last."""
HEIGHTS = {"inputs": 0.55, "raster": 1.9, "membrane": 0.5, "rates": 1.15}
DEEPEST = -3.0
"""Potentials in thresholds are drawn down to it, and up to its opposite: a few beyond would flatten the others."""


class Panel(NamedTuple):
    """What one method's units did.

    Args:
        title, subtitle: its name, in two lines.
        colour: its colour.
        arrays: as `Shown.activity` returns.
        layers: name and units of each layer, where there are several.
    """

    title: str
    subtitle: str
    colour: str
    arrays: Mapping[str, np.ndarray]
    layers: tuple[tuple[str, int], ...] = ()

    @property
    def last(self) -> str:
        """Name of the layer whose spikes and potentials are kept; the empty string where there is but one."""
        return self.layers[-1][0] if self.layers else ""

    @property
    def rates(self) -> list[tuple[str, np.ndarray]]:
        """Name and rates (units,) in Hz of each layer; of the only one without a name."""
        rates, units = self.arrays["rate_Hz"], [count for _, count in self.layers]
        if sum(units) != len(rates):
            return [("", rates)]
        parts = np.split(rates, np.cumsum(units)[:-1])
        return [(name, part) for (name, _), part in zip(self.layers, parts, strict=True)]


@styled
def rasters(panels: Sequence[Panel]) -> Figure | None:
    """Draw methods side by side: input lines, raster and membranes over time, and a histogram of rates a layer below.

    On a phone methods lie below one another, over half the time. Spikes and potentials are those of the last layer.
    Scales of potentials and rates are the same for all. None where there is nothing to draw.
    """
    if not panels:
        return None
    traces = max(panel.arrays["v"].shape[2] for panel in panels)
    layers = max(len(drawn(panel.rates)) for panel in panels)
    over_time = [HEIGHTS["inputs"], HEIGHTS["raster"], *[HEIGHTS["membrane"]] * traces]
    heights = [*over_time, *[HEIGHTS["rates"]] * layers]
    figure, grid = _grid(heights, len(panels))
    common = _limits([panel.arrays["v"] for panel in panels if in_thresholds(panel.arrays)])
    for column, panel in zip(grid[:-layers].T, panels, strict=True):
        _over_time(column, panel, common if in_thresholds(panel.arrays) else None)
    units = {panel.last for panel in panels}
    unit = units.pop() if len(units) == 1 else ""
    names = ("inputs", unit or "units", *(f"v of {i + 1}" for i in range(traces)))
    for column in grid.T if is_narrow() else grid.T[:1]:
        for axes, name in zip(column, names, strict=False):
            axes.set_ylabel(name, fontsize=8.5, rotation=0, ha="right", va="center")
    _rates(grid[-layers:], panels)
    figure.align_ylabels(grid[:-layers, 0])
    return figure


def _grid(heights: Sequence[float], methods: int) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes, (heights, methods): methods side by side, on a phone below one another."""
    if not is_narrow():
        figure = new_figure(WIDTH, sum(heights) + 1.75)
        return figure, figure.subplots(len(heights), methods, squeeze=False, height_ratios=heights)
    figure = new_figure(fitted(WIDTH), methods * (sum(heights) + 1.75))
    axes = figure.subplots(methods * len(heights), 1, squeeze=False, height_ratios=[*heights] * methods)
    return figure, axes.reshape(methods, len(heights)).T


def in_thresholds(arrays: Mapping[str, np.ndarray]) -> bool:
    """Return whether potentials are in units of the threshold; those of users' equations are in SI units."""
    return bool(np.isfinite(arrays["v_threshold"]).all())


def _over_time(column: Sequence[Axes], panel: Panel, limits: tuple[float, float] | None) -> None:
    """Draw a method's sequences end to end in one column of axes; potentials between limits, None for their own."""
    arrays = panel.arrays
    steps, sequences, _ = arrays["spikes"].shape
    shown = min(max((STEPS // 2 if is_narrow() else STEPS) // steps, 1), sequences)
    inputs, spikes, v = (end_to_end(arrays[name][:, :shown]) for name in ("inputs", "spikes", "v"))
    ms = float(arrays["dt_s"].item()) * 1e3
    times = (np.arange(len(spikes)) + 0.5) * ms
    top, raster, *membranes = column
    top.annotate(panel.title, (0, 1), (0, 17), "axes fraction", "offset points", weight="bold", annotation_clip=False)
    top.annotate(
        panel.subtitle, (0, 1), (0, 5), "axes fraction", "offset points", fontsize=8.5, color=GREY,
        annotation_clip=False,
    )  # fmt: skip
    _inputs(top, inputs, times)
    _raster(raster, spikes, times, panel)
    for i, axes in enumerate(membranes):
        if i >= v.shape[1]:
            axes.set_axis_off()
            continue
        axes.plot(times, v[:, i], color=panel.colour, lw=0.9, label=f"{panel.title}: v of {i + 1}")
        fired = spikes[:, i] > 0
        highest = limits[1] if limits else np.inf
        axes.plot(
            times[fired],
            np.minimum(v[fired, i], highest),
            ls="",
            marker="o",
            ms=2.4,
            color=INK,
            label=f"{panel.title}: spikes of {i + 1}",
        )
        if limits:
            axes.axhline(float(arrays["v_threshold"][i]), color=INK, lw=0.8, ls=(0, (3, 2)))
            axes.set(ylim=limits, yticks=[0, 1])
        else:
            axes.locator_params(axis="y", nbins=3)
    for axes in column:
        axes.tick_params(labelsize=8, length=2.5, labelbottom=axes is column[-1])
        for edge in range(1, shown):
            axes.axvline(edge * steps * ms, color=GREY, lw=0.7, ls=(0, (1, 2)))
        axes.set_xlim(0, len(spikes) * ms)
    column[-1].set_xlabel("time (ms)", fontsize=9)


def end_to_end(array: np.ndarray) -> np.ndarray:
    """Lay the sequences of (T, S, N) one after another: (S T, N).

    >>> end_to_end(np.array([[[1], [3]], [[2], [4]]])).ravel().tolist()
    [1, 2, 3, 4]
    """
    return array.transpose(1, 0, 2).reshape(-1, array.shape[2])


def _inputs(axes: Axes, inputs: np.ndarray, times: np.ndarray) -> None:
    """Draw the input lines: as curves, or as a map where there are many."""
    if inputs.shape[1] <= LINES:
        for line, shade in zip(inputs.T, (INK, GREY, "#9AA5B1", "#C5CDD5"), strict=False):
            axes.plot(times, line, color=shade, lw=1.0, drawstyle="steps-mid")
        return
    step = 2 * float(times[0])
    extent = (0.0, step * len(times), inputs.shape[1] + 0.5, 0.5)
    axes.imshow(inputs.T, aspect="auto", extent=extent, cmap="Greys", interpolation="nearest")
    axes.set_yticks([1, inputs.shape[1]])


def _raster(axes: Axes, spikes: np.ndarray, times: np.ndarray, panel: Panel) -> None:
    """Draw a stroke for each spike, unit 1 on top; all strokes are one path, for there may be thousands."""
    step, unit = np.nonzero(spikes)
    gaps = np.full(len(step), np.nan)
    xs = np.stack([times[step], times[step], gaps], 1).ravel()
    ys = np.stack([unit + 0.6, unit + 1.4, gaps], 1).ravel()
    label = f"{panel.title}: both ends of a stroke"
    axes.plot(xs, ys, color=panel.colour, lw=0.8, solid_capstyle="butt", label=label)
    units = spikes.shape[1]
    axes.set(ylim=(units + 0.5, 0.5), yticks=[1, units] if units > 1 else [1])


def _limits(potentials: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the range of potentials that is drawn: from the lowest, or DEEPEST, to above threshold and highest."""
    low = min(float(v.min()) for v in potentials if v.size) if any(v.size for v in potentials) else 0.0
    high = max((float(v.max()) for v in potentials if v.size), default=1.0)
    return min(max(low, DEEPEST), 0.0) - 0.1, min(max(high, 1.2), -DEEPEST) + 0.1


def drawn(layers: Sequence[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
    """Return the layers that have a histogram: all, or the first of them and the last."""
    return [*layers] if len(layers) <= LAYERS else [*layers[: LAYERS - 1], layers[-1]]


def _rates(rows: np.ndarray, panels: Sequence[Panel]) -> None:
    """Draw the shares of a layer's units by their firing rate, with the mean as a line; (layers, methods) axes."""
    highest = max(float(panel.arrays["rate_Hz"].max()) for panel in panels)
    edges = np.linspace(0, highest or 1.0, BINS + 1).tolist()
    for column, panel in zip(rows.T, panels, strict=True):
        layers = drawn(panel.rates)
        for axes in column[len(layers) :]:
            axes.set_axis_off()
        for axes, (name, rates) in zip(column, layers, strict=False):
            if axes is not rows[0, 0]:
                axes.sharey(rows[0, 0])
            axes.hist(rates, edges, weights=np.full(len(rates), 100 / len(rates)), color=panel.colour, alpha=0.85)
            axes.axvline(rates.mean(), color=INK, lw=1.0)
            silent = not rates.any()
            axes.set_title(_said(name, rates), fontsize=8.5, fontweight="normal", color=WARN if silent else GREY)
            axes.grid(axis="y", color=FAINT, lw=0.7)
            axes.set_axisbelow(True)
            axes.tick_params(labelsize=8, length=2.5, labelbottom=axes is column[len(layers) - 1])
        column[len(layers) - 1].set_xlabel("firing rate (Hz)", fontsize=9)
    if is_narrow():
        for axes in rows.flat:
            axes.set_ylabel("units (%)", fontsize=9)
        return
    for row in rows:  # at the left of a layer that not all methods have is the first that does
        next(axes for axes in row if axes.axison).set_ylabel("units (%)", fontsize=9)


def _said(layer: str, rates: np.ndarray) -> str:
    """Say how the units of a layer fire: of one among several how many are silent, else which share.

    >>> _said("hidden_2", np.array([0.0, 40.0])), _said("hidden_2", np.zeros(3)), _said("", np.array([0.0, 40.0]))
    ('hidden_2: mean 20 Hz, 1 of 2 silent', 'hidden_2: none of 3 units spiked', 'mean 20 Hz, 50 % silent')
    """
    silent, mean = int((rates == 0).sum()), digits(float(rates.mean()))
    if not layer:
        return f"mean {mean} Hz, {digits(100 * silent / len(rates), 2)} % silent"
    if silent == len(rates):
        return f"{layer}: none of {silent} units spiked"
    return f"{layer}: mean {mean} Hz, {silent} of {len(rates)} silent"
