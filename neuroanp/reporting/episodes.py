"""Figures of runs whose task is a world: the return as it is learned, and an episode as it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroanp.losses.reward import MINUS_REWARD
from neuroanp.records.metrics import Metrics
from neuroanp.reporting.method import Method
from neuroanp.reporting.plots import WIDTH, legend
from neuroanp.reporting.style import (
    COLOURS,
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
from neuroanp.reporting.values import middle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 8
"""Numbers seen of an episode that are drawn, at most."""


def of_world(group: Sequence[Method]) -> bool:
    """Return whether the task of some methods is a world: their loss is minus the mean reward a step."""
    return bool(group) and group[0].loss == MINUS_REWARD.label


@styled
def return_curves(group: Sequence[Method], metrics: Mapping[str, Metrics]) -> Figure | None:
    """Draw the mean return of the test episodes: each method's median over seeds, the seeds' range as a band.

    Args:
        group: the methods of one task. metrics: by the path of the run.
    """
    curves = {i: found for i, method in enumerate(group) if (found := _curve(method, metrics)) is not None}
    if not curves:
        return None
    look, figure = Look(group), new_figure(fitted(WIDTH), 4.0)
    axes = figure.subplots()
    for i, (updates, mid, low, high) in curves.items():
        colour = look.colour(group[i])
        axes.fill_between(updates, low, high, color=colour, alpha=0.15, lw=0, label=group[i].label)
        marker = "o" if len(updates) == 1 else ""
        style = {"color": colour, "ls": look.line(group[i]), "marker": marker, "label": group[i].label}
        axes.plot(updates, mid, lw=1.7, ms=5, **style)
    axes.set(xlabel="update", ylabel="return of a test episode")
    axes.xaxis.get_major_locator().set_params(integer=True)  # pyright: ignore[reportCallIssue] - of a MaxNLocator
    axes.margins(x=0.01)
    axes.grid(axis="y", color=FAINT, lw=0.7)
    legend(figure, [(group[i].label, {"color": look.colour(group[i]), "ls": look.line(group[i])}) for i in curves])
    steps = _steps(group, metrics)
    levels = [] if steps is None else [(c.label, -steps * middle(c.losses)) for c in controls(group)]
    for label, level in levels:
        axes.axhline(level, color=GREY, lw=0.9, ls=(0, (4, 3)), zorder=1, label=label)
    settled(figure)  # before names are placed beside the lines
    name_levels(axes, levels)
    return figure


def _curve(
    method: Method, metrics: Mapping[str, Metrics]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """Return (updates, median, lowest, highest) of the return over the method's seeds; None where it has none."""
    by_update: dict[float, list[float]] = {}
    for result in method.results:
        if result["run"] in metrics:
            for update, value in zip(*metrics[result["run"]].series("return"), strict=True):
                by_update.setdefault(update, []).append(value)
    if not by_update:
        return None
    order = sorted(by_update)
    mid, low, high = np.array([(middle(by_update[u]), min(by_update[u]), max(by_update[u])) for u in order]).T
    return np.array(order), mid, low, high


def _steps(group: Sequence[Method], metrics: Mapping[str, Metrics]) -> float | None:
    """Return T, by which a return is minus the loss times it; None where no run tells."""
    for result in (result for method in group for result in method.results if result["run"] in metrics):
        found = metrics[result["run"]]
        for total, loss in zip(found.series("return")[1], found.series("test_loss")[1], strict=True):
            if loss:
                return -total / loss
    return None


@styled
def rollout(name: str, colour: str, arrays: Mapping[str, np.ndarray]) -> Figure:
    """Draw the first test episode as it went: what was seen, what was thought of each action, the rewards added up.

    Where there is one output it is no policy, and shown as it is.

    Args:
        name: the method's name. colour: its colour.
        arrays: episode/inputs (T, S, I), episode/y (T, S, O), episode/rewards (T, S), nan after an episode's end.
    """
    seen, y, rewards = (arrays[f"episode/{key}"][:, 0] for key in ("inputs", "y", "rewards"))
    last = int((~np.isnan(rewards)).sum())
    figure = new_figure(fitted(WIDTH), 5.2)
    top, middle_, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(2, 2, 1))
    shades = [COLOURS[k % len(COLOURS)] for k in range(min(seen.shape[1], SHOWN))]  # seen on light paper and on dark
    for k, shade in enumerate(shades):
        top.plot(seen[:last, k], color=shade, lw=1.1, label=str(k + 1))
    top.set(ylabel="inputs", title=plain(name, 44 if is_narrow() else 110))
    top.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="input", ncols=1 + (len(shades) > 4))
    if y.shape[1] == 1:  # nothing to choose from: the output is what is done
        middle_.plot(y[:last, 0], color=colour, lw=1.3, label="output")
        middle_.set(ylabel="output")
    else:
        _policy(middle_, colour, y[:last])
    bottom.plot(np.cumsum(rewards[:last]), color=INK, lw=1.3, label="reward so far")
    bottom.set(ylabel="reward\nso far", xlabel=f"step of the first test episode, which has {last}")
    for axes in (top, middle_, bottom):
        axes.margins(x=0.01)
        axes.grid(color=FAINT, lw=0.7)
    return figure


def _policy(axes: Axes, colour: str, y: np.ndarray) -> None:
    """Draw the probabilities of actions over time, of logits y (T, O)."""
    z = np.exp(y - y.max(axis=1, keepdims=True))
    parts = (z / z.sum(axis=1, keepdims=True)).T
    axes.stackplot(
        np.arange(len(y)), parts, labels=[str(k + 1) for k in range(len(parts))],
        colors=[(*_rgb(colour), 0.25 + 0.75 * k / max(len(parts) - 1, 1)) for k in range(len(parts))],
    )  # fmt: skip
    axes.set(ylabel="policy", ylim=(0, 1))
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="action")


def _rgb(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)
