"""Draw the figures of a report: data in, a matplotlib figure out, None where there is nothing to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuroanp.losses.reward import MINUS_REWARD
from neuroanp.records.metrics import Metrics
from neuroanp.reporting.figure_data import DECORATION
from neuroanp.reporting.method import Method
from neuroanp.reporting.style import (
    FAINT,
    GREY,
    INK,
    Look,
    fitted,
    is_narrow,
    name_levels,
    new_figure,
    plain,
    settled,
    styled,
)
from neuroanp.reporting.tables import controls
from neuroanp.reporting.values import digits, middle, numbers, prefix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH = 10.5
ROW = 0.22
LABEL = 100
"""Characters of a name in a legend: as many as one row of it holds."""
SERIES_STEPS = 240
SEQUENCES = 6
GAP = 0.12
"""Room between the maps of two sequences, as a share of one."""
FACETS_FROM = 6
FAR = 100
"""A control so far below or above all that is drawn is named in the caption: its line would flatten the curves."""
SMOOTH = 0.06
"""Share of the rows of metrics over which the running median of a training loss is taken."""
NAMED = 5
"""Levels that a figure on a phone has at most."""
NARROW = 3.0
"""A range of a logarithmic axis, highest over lowest, below which it has the ticks of a linear one."""
OF_CHIP_ALONE = ("energy_J", "chip_time_s")

Curve = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@styled
def learning_curves(group: Sequence[Method], metrics: Mapping[str, Metrics], column: str) -> Figure | None:
    """Draw each method's median over seeds, the seeds' range as a band, controls as labelled lines.

    Args:
        group: the methods of one task.
        metrics: by the path of the run.
        column: "test_loss" or "train_loss".
    """
    curves = {i: curve(method, metrics, column) for i, method in enumerate(group)}
    drawn = {i: found for i, found in curves.items() if found is not None}
    if not drawn:
        return None
    look = Look(group)
    facets = _facets([group[i] for i in drawn], look)
    figure, panels = _side_by_side(len(facets), 4.0, 3.0)
    for axes, facet in zip(panels, facets, strict=True):
        for i, (updates, mid, low, high) in drawn.items():
            if facet is None or facet.has(group[i]):
                colour = look.colour(group[i])
                label = group[i].label
                axes.fill_between(updates, low, high, color=colour, alpha=0.15, lw=0, label=label)
                style = {"color": colour, "ls": "-" if facet else look.line(group[i]), "label": label}
                axes.plot(updates, mid, lw=1.7, marker="o" if len(updates) == 1 else "", ms=5, **style)
                if column == "train_loss" and (tested := curve(group[i], metrics, "test_loss")):
                    marks = {"color": colour, "marker": look.marker(group[i]), "label": f"{label}: test loss"}
                    axes.plot(tested[0], tested[1], ls="", ms=5, mec="white", mew=0.8, **marks)
        axes.set(xlabel="update", yscale="log", title=plain(facet.title if facet else ""))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.margins(x=0.01)
        axes.grid(axis="y", color=FAINT, lw=0.7)
    what = "test loss" if column == "test_loss" else "loss"  # beside curves of training: marks and controls of the test
    panels[0].set_ylabel(f"{what} ({group[0].loss})")
    legend(figure, _entries([group[i] for i in drawn], look, facets))
    low, high = extent(group, metrics, column)
    levels = [[line for line in _levels(group, facet) if low / FAR <= line[1] <= high * FAR] for facet in facets]
    levels = [lines[:NAMED] if is_narrow() else lines for lines in levels]
    for axes, lines in zip(panels, levels, strict=True):
        for name, loss in lines:
            axes.axhline(loss, color=GREY, lw=0.9, ls=(0, (4, 3)), zorder=1, label=name)
    decent_log_ticks(panels[0].yaxis, *panels[0].get_ylim())
    settled(figure)  # before names are placed beside the lines
    for axes, lines, after in zip(panels, levels, [*levels[1:], None], strict=True):
        if lines != after:  # the next panel names the same lines
            name_levels(axes, lines)
    return figure


def _side_by_side(count: int, height: float, each: float) -> tuple[Figure, Any]:
    """Return a figure and its panels, which share the axis of losses: in a row, on a phone below one another.

    Args: count: of panels. height, each: inches of the row, and of one of them on a phone.
    """
    if is_narrow():
        figure = new_figure(fitted(WIDTH), 0.5 + each * count)
        return figure, figure.subplots(count, 1, sharey=True, squeeze=False)[:, 0]
    figure = new_figure(WIDTH, height)
    return figure, figure.subplots(1, count, sharey=True, squeeze=False)[0]


def curve(method: Method, metrics: Mapping[str, Metrics], column: str) -> Curve | None:
    """Return (updates, median, lowest, highest) over the method's seeds, or None without positive losses.

    A training loss is that of one batch: its running median over SMOOTH of the rows is taken first.
    """
    by_update: dict[float, list[float]] = {}
    for result in method.results:
        if result["run"] not in metrics:
            continue
        updates, values = metrics[result["run"]].series(column)
        if column == "train_loss":
            values = running_median(values, round(SMOOTH * len(values) / 2))
        for update, value in zip(updates, values, strict=True):
            if value > 0:
                by_update.setdefault(update, []).append(value)
    if not by_update:
        return None
    order = sorted(by_update)
    parts = [(middle(by_update[u]), min(by_update[u]), max(by_update[u])) for u in order]
    mid, low, high = np.array(parts).T
    return np.array(order), mid, low, high


def extent(group: Sequence[Method], metrics: Mapping[str, Metrics], column: str) -> tuple[float, float]:
    """Return the lowest and the highest loss that the methods' learning curves show; inf and 0 where there is none."""
    curves = [found for method in group if (found := curve(method, metrics, column)) is not None]
    low = min((float(low.min()) for _, _, low, _ in curves), default=float("inf"))
    return low, max((float(high.max()) for *_, high in curves), default=0.0)


def running_median(values: Sequence[float], half: int) -> list[float]:
    """Return the median of each value and its neighbours, `half` at either side.

    >>> running_median([1, 9, 2, 3, 8], 1)
    [5.0, 2.0, 3.0, 3.0, 5.5]
    """
    return [float(np.median(values[max(i - half, 0) : i + half + 1])) for i in range(len(values))]


@styled
def trade_offs(group: Sequence[Method]) -> Figure | None:
    """Draw test loss against energy, chip time and endurance used, which share one axis of losses.

    Seeds are small marks, medians large ones; what a profile does not state is left out, and so are energy
    and chip time of methods that compute on a digital twin besides. None for a single run.
    """
    axes_of = [("energy_J", "energy", "J"), ("chip_time_s", "chip time", "s"), ("wear", "endurance used", "")]
    shown = [(key, name, unit, pts) for key, name, unit in axes_of if (pts := _points(group, key))]
    if max((sum(map(len, points.values())) for *_, points in shown), default=0) < 2:  # one mark shows no trade-off
        return None
    positive = group[0].loss != MINUS_REWARD.label  # rewards have any sign
    look = Look(group)
    figure, panels = _side_by_side(len(shown), 3.6, 2.6)
    if len(shown) == 1:
        figure.set_figwidth(fitted(WIDTH * 0.6))
    for axes, (_, name, unit, points) in zip(panels, shown, strict=True):
        power, letter = prefix([x for pairs in points.values() for x, _ in pairs]) if unit else (0, "")
        for i, pairs in points.items():
            xs, ys = np.array(pairs).T
            style = {"color": look.colour(group[i]), "marker": look.marker(group[i]), "ls": ""}
            label = group[i].label
            axes.plot(xs / 10.0**power, ys, ms=3.5, alpha=0.45, mew=0, label=f"{label}, a seed each", **style)
            at = [np.median(xs) / 10.0**power], [np.median(ys)]
            axes.plot(*at, ms=9, mec="white", mew=1.2, label=f"{label}, median", **style)
        axes.set(xscale="log", yscale="log" if positive else "linear", xlabel=f"{name} ({letter}{unit or 'share'})")
        axes.grid(color=FAINT, lw=0.7)
        axes.margins(0.12)
        decent_log_ticks(axes.xaxis, *axes.get_xlim())
        if positive:
            decent_log_ticks(axes.yaxis, *axes.get_ylim())
    for axes in panels if is_narrow() else panels[:1]:
        axes.set_ylabel(f"test loss ({group[0].loss})")
        axes.tick_params(labelleft=True)
    marked = sorted({i for *_, points in shown for i in points})
    marks = [
        (group[i].label, {"color": look.colour(group[i]), "marker": look.marker(group[i]), "ls": ""}) for i in marked
    ]
    legend(figure, marks)
    return figure


def prediction(name: str, colour: str, arrays: Mapping[str, np.ndarray], forecast: bool) -> Figure:
    """Draw outputs against targets: in time, a point for each sequence, or as maps of several outputs.

    Args:
        name, colour, arrays: as of `series`. forecast: whether several outputs are a forecast, drawn in time by its
            first one.
    """
    if arrays["target"].shape[2] > 1 and not forecast:
        return symbols(name, arrays)
    return (answers if arrays["mask"].sum() == 1 else series)(name, colour, arrays)


@styled
def series(name: str, colour: str, arrays: Mapping[str, np.ndarray]) -> Figure:
    """Draw the first scored steps of output 0 against the target, sequences laid end to end.

    Args:
        name: the method's name.
        colour: its colour.
        arrays: y (T, B, O), target (T, B, O), mask (T,).
    """
    scored = arrays["mask"] > 0
    target, output = (arrays[key][scored, :, 0].T.reshape(-1)[:SERIES_STEPS] for key in ("target", "y"))
    figure = new_figure(fitted(WIDTH), 2.2)
    axes = figure.subplots()
    axes.plot(target, color=INK, lw=1.1, label="target")
    axes.plot(output, color=colour, lw=1.5, label="prediction")
    axes.set(xlabel="scored test step", ylabel="output 1", title=plain(name, _letters(110)))
    axes.margins(x=0.01)
    _beside_title(axes)
    return figure


def _letters(count: int) -> int:
    """Return how many letters a title has room for, of a figure of WIDTH that has room for `count`."""
    return min(count, 44) if is_narrow() else count


def _beside_title(axes: Axes) -> None:
    """Name the lines right of the title, on a phone below the panel."""
    if is_narrow():
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=2, borderaxespad=0.2)
    else:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)


@styled
def answers(name: str, colour: str, arrays: Mapping[str, np.ndarray]) -> Figure:
    """Draw the one scored output of each test sequence against its target; arguments as of `series`."""
    scored = arrays["mask"] > 0
    target, output = (arrays[key][scored, :, 0].reshape(-1) for key in ("target", "y"))
    figure = new_figure(fitted(WIDTH * 0.6), 3.6)
    axes = figure.subplots()
    axes.axline((float(target[0]), float(target[0])), slope=1.0, color=INK, lw=1.1, label="target")
    axes.plot(target, output, color=colour, marker="o", ls="", ms=4, alpha=0.7, mew=0, label="prediction")
    axes.set(xlabel=f"target of {len(target)} test sequences", ylabel="output 1", title=plain(name, _letters(60)))
    axes.grid(color=FAINT, lw=0.7)
    _beside_title(axes)
    return figure


@styled
def symbols(name: str, arrays: Mapping[str, np.ndarray]) -> Figure:
    """Draw the targets and the outputs of a few test sequences at their scored steps, as two rows of maps.

    Where one step alone is scored, sequences lie beside each other in one map.
    """
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    scored = arrays["mask"] > 0
    if alone := scored.sum() == 1:
        target, output = (arrays[key][scored].transpose(0, 2, 1) for key in ("target", "y"))
    else:
        sequences = SEQUENCES // 2 if is_narrow() else SEQUENCES
        target, output = (arrays[key][scored, :sequences].transpose(1, 2, 0) for key in ("target", "y"))
    shades = LinearSegmentedColormap.from_list("accent", ["#FFFFFF", "#9CC9E4", "#0072B2", "#00324F"])
    norm = Normalize(0, 1)  # one for all: two bounds of each map's own make it anew twice
    count, wide = len(target), target.shape[2]
    figure = new_figure(fitted(WIDTH), 0.9 + 2 * min(max(0.14 * target.shape[1], 0.75), 1.6))
    panels = figure.subplots(2, 1, sharex=True, sharey=True)
    for axes, label, maps in zip(panels, ("target", "output"), (target, output), strict=True):
        edges: list[np.ndarray] = []
        for number, values in enumerate(maps):  # all in one panel: a panel takes longer to make than its map
            left = number * (wide + GAP * wide) - 0.5
            box = (left, left + wide, target.shape[1] - 0.5, -0.5)
            image = axes.imshow(values, cmap=shades, norm=norm, aspect="auto", interpolation="nearest", extent=box)
            image.set_label(f"{label}s" if alone else f"{label} of sequence {number + 1}")
            edges.append(_outline(box))
        edge = axes.plot(*np.concatenate(edges, axis=1), color=FAINT, lw=0.8, clip_on=False)
        edge[0].set_gid(DECORATION)
        axes.set(xticks=[], yticks=[], xlim=(-0.5, left + wide), ylim=(target.shape[1] - 0.5, -0.5), ylabel=label)
        axes.spines[:].set_visible(False)
    figure.suptitle(plain(name, _letters(110)), x=0.01, ha="left", fontsize=10, fontweight="bold")
    shown = f"{target.shape[2]} test sequences" if alone else f"scored steps of {count} test sequences"
    figure.supxlabel(f"{shown}; rows are the outputs", fontsize=9)
    bar = figure.colorbar(image, ax=panels, fraction=0.02, pad=0.01, ticks=[0, 0.5, 1])
    bar.outline.set_visible(False)
    return figure


def _outline(box: Sequence[float]) -> np.ndarray:
    """Return x and y (2, 6) of the corners of left, right, bottom, top, back to the first, and of no place: a gap."""
    left, right, bottom, top = box
    return np.array([[left, right, right, left, left, np.nan], [bottom, bottom, top, top, bottom, np.nan]])


class Facet(NamedTuple):
    """The rule and the backend of the methods that share a panel; its title says what differs between panels."""

    rule: str
    backend: str
    title: str

    def has(self, method: Method) -> bool:
        """Tell whether a method is in the panel."""
        return (method.rule, method.backend) == (self.rule, self.backend)


def _facets(group: Sequence[Method], look: Look) -> list[Facet | None]:
    """Return the panels, or [None]: several only where profiles alone tell apart what one shows."""
    kinds = list(dict.fromkeys((m.rule, m.backend) for m in group))
    alone = len({(m.profile, m.rule, m.backend) for m in group}) == len(group) and not look.each
    several = alone and len(kinds) > 1 and len({m.profile for m in group}) > 1
    if not several or len(group) < FACETS_FROM:
        return [None]
    differs = [i for i in (0, 1) if len({kind[i] for kind in kinds}) > 1]
    return [Facet(*kind, " · ".join(kind[i] for i in differs)) for kind in kinds]


def _levels(group: Sequence[Method], facet: Facet | None) -> list[tuple[str, float]]:
    """Return (name, median loss over profiles and seeds) of the controls, of one panel's or of all, positive ones."""
    losses: dict[str, list[float]] = {}
    for control in controls(group):
        if facet is None:
            backend = "" if control.backend == "any" else f" · {control.backend}"
            losses.setdefault(control.label + backend, []).extend(control.losses)
        elif control.rule in ("any", facet.rule) and control.backend in ("any", facet.backend):
            losses.setdefault(control.name, []).extend(control.losses)
    return [(name, middle(values)) for name, values in losses.items() if middle(values) > 0]


def far_off(group: Sequence[Method], lowest: float, highest: float) -> str:
    """Name the controls whose line a figure leaves out, FAR times below or above all it shows; "" if there is none."""
    levels = _levels(group, None)
    parts = {
        "below": [(name, loss) for name, loss in levels if loss < lowest / FAR],
        "above": [(name, loss) for name, loss in levels if loss > highest * FAR],
    }
    named = {where: ", ".join(f"{name} {digits(loss)}" for name, loss in found) for where, found in parts.items()}
    return "".join(f" Far {where} the figure: {names}." for where, names in named.items() if names)


def _points(group: Sequence[Method], key: str) -> dict[int, list[tuple[float, float]]]:
    """Return (x, test loss) of each finished run of each method, positive ones where the axis is logarithmic."""
    found = {}
    for i, method in enumerate(group):
        pairs = [(r[key], r["test_loss"]) for r in method.finished if len(numbers([r[key], r["test_loss"]])) == 2]
        of_any_sign = method.loss == MINUS_REWARD.label
        positive = [(x, loss) for x, loss in pairs if x > 0 and (loss > 0 or of_any_sign)]
        if positive and not (method.has_twin and key in OF_CHIP_ALONE):
            found[i] = positive
    return found


def _entries(group: Sequence[Method], look: Look, facets: Sequence[Facet | None]) -> list[tuple[str, dict[str, Any]]]:
    """Return the legend of the curves: methods, or profiles alone where each rule and backend has a panel."""
    if facets == [None]:
        return [(m.label, {"color": look.colour(m), "ls": look.line(m)}) for m in group]
    return list({m.profile: (m.profile, {"color": look.colour(m)}) for m in group}.values())


def legend(figure: Figure, entries: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Name lines and marks above the panels, row by row; the figure grows by the rows it needs."""
    from matplotlib.lines import Line2D

    room = _letters(LABEL)
    longest = max((len(plain(label, room)) for label, _ in entries), default=0)
    columns = max(min(len(entries), 4, int(figure.get_figwidth() / (0.085 * longest + 0.7))), 1)
    rows = -(-len(entries) // columns)
    figure.set_figheight(figure.get_figheight() + ROW * max(rows - 2, 0))  # names take no room from the panels
    by_rows = [entry for first in range(columns) for entry in entries[first::columns]]  # matplotlib fills columns first
    handles = [Line2D([], [], lw=2, ms=7, **style) for _, style in by_rows]
    figure.legend(handles, [plain(label, room) for label, _ in by_rows], loc="outside upper left", ncols=columns)


def decent_log_ticks(axis: Axis, low: float, high: float) -> None:
    """Label with plain numbers; more than the powers of ten where few are shown, for a lone tick says nothing."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    if low <= 0:
        return
    if high / low < 1e5:
        subs = (1,) if high / low >= 100 else (1, 2, 5) if high / low >= 10 else (1, 1.5, 2, 3, 5, 7)
        # where hardly any of these lie, matplotlib would take as many others as it likes
        axis.set_major_locator(LogLocator(subs=subs) if high / low >= NARROW else MaxNLocator(3))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    axis.set_minor_formatter(NullFormatter())
    if is_narrow():
        axis.set_minor_locator(NullLocator())


def _tick(value: float) -> str:
    """Write a tick's number without the zeros that Python pads exponents with.

    >>> _tick(0.02), _tick(5e-8)
    ('0.02', '5e-8')
    """
    mantissa, _, exponent = f"{value:g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa
