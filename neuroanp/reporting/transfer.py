"""Show what a transfer did: the loss where the weights were trained, as programmed, fine-tuned, and from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.reporting.method import Method
from neuroanp.reporting.plots import FAR, decent_log_ticks
from neuroanp.reporting.reading import BY_WAY, PROGRAMMED, SCRATCH, TUNED, Shown, network_names
from neuroanp.reporting.style import (
    COLOURS,
    FAINT,
    GREY,
    MARKERS,
    fitted,
    name_levels,
    new_figure,
    plain,
    settled,
    styled,
)
from neuroanp.reporting.tables import Cell, Column, Row, Table, cell, controls
from neuroanp.reporting.values import digits, middle, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EX_SITU = "ex situ"
STAGES = (EX_SITU, PROGRAMMED, TUNED, SCRATCH)


@dataclass
class Transferred:
    """One device that weights were brought to.

    Args:
        profile, backend, rule: the device, the simulator of the network, and what learned on it.
        origin: what trained the weights, such as "bptt on ideal".
        losses: test losses by stage and seed.
        updates: numbers of updates by stage.
        clipped: share of the weights beyond the array's range, a run each.
        network: its name where the networks that were brought differ, or "".
    """

    profile: str
    backend: str
    rule: str
    origin: str
    losses: dict[str, dict[Any, float]] = field(default_factory=dict)
    updates: dict[str, set[int]] = field(default_factory=dict)
    clipped: list[float] = field(default_factory=list)
    unclear: bool = False
    network: str = ""

    @property
    def label(self) -> str:
        """Its name, "pcm · anp", with backend and network where these are no matter of course."""
        name = f"{self.profile} · {self.rule}{'' if self.backend == 'rate' else f' · {self.backend}'}"
        return f"{name} ({self.network})" if self.network else name

    def of(self, stage: str) -> list[float]:
        """Return the losses of a stage."""
        return [*self.losses.get(stage, {}).values()]

    def add(self, one: Shown, stage: str) -> None:
        """Take over a run's loss; two runs of one seed make it unclear which one a stage means."""
        for loss in numbers([one.result["test_loss"]]) if one.result["status"] == "finished" else []:
            known = self.losses.setdefault(stage, {})
            self.unclear |= one.result["seed"] in known
            known[one.result["seed"]] = loss
            self.updates.setdefault(stage, set()).add(one.result["updates"])


def transfers(runs: Sequence[Shown]) -> list[Transferred]:
    """Find the devices that weights were brought to among the runs of one task, with what learned on them alone.

    Where two runs of one seed could be the same stage, as with two rates of fine-tuning, there is no such device:
    the table of results has them all.
    """
    found: dict[tuple[Any, ...], Transferred] = {}
    brought = [one for one in runs if one.start]
    for one, network in zip(brought, network_names(brought), strict=True):
        profile, backend, rule = (str(one.result[name]) for name in ("profile", "backend", "rule"))
        fresh = Transferred(profile, backend, rule, str(one.start.get("origin")), network=network)
        device = found.setdefault((*_same(one), one.start.get("origin")), fresh)
        device.add(one, one.way)
        device.clipped.extend(numbers([(one.start.get("clipped") or {}).get("all")]))
    by_name = {one.run.path.name: one for one in runs}
    for key, device in found.items():
        names = [Path(str(one.start["path"])).name for one in brought if (*_same(one), one.start.get("origin")) == key]
        for name in dict.fromkeys(names):
            if name in by_name:
                device.add(by_name[name], EX_SITU)
        for one in runs:
            if not one.start and _same(one) == key[:-1]:
                device.add(one, SCRATCH)
    return [device for device in found.values() if device.losses and not device.unclear]


def _same(one: Shown) -> tuple[Any, ...]:
    """Return what the stages on one device share: all options but the seed and those that make the stage."""
    options = tuple(sorted((key, value) for key, value in one.options.items() if key not in ("seed", *BY_WAY)))
    return (*(one.result[name] for name in ("profile", "backend", "rule")), options)


def table(found: Sequence[Transferred]) -> Table:
    """Build the table of a transfer: a device a row, a stage a column."""
    heads = [_head(found, stage) for stage in STAGES]
    several = ["backend"] * (len({one.backend for one in found}) > 1)
    names = [*several, "profile", "rule", *(["network"] * any(one.network for one in found)), "origin"]
    heads_of_names = [Column("weights" if name == "origin" else name, numeric=False) for name in names]
    columns = [*heads_of_names, Column("clipped")]
    rows = [
        Row(
            "method",
            (
                *(Cell(getattr(one, name)) for name in names),
                Cell(f"{digits(100 * middle(one.clipped), 2)} %" if one.clipped else "–"),
                *(cell(one.of(stage)) for stage in STAGES),
            ),
        )
        for one in found
    ]
    return Table((*columns, *map(Column, heads)), tuple(rows))


def _head(found: Sequence[Transferred], stage: str) -> str:
    """Return a stage's name, with its number of updates where all agree and there are any."""
    counts = {count for one in found for count in one.updates.get(stage, ())}
    return f"{stage} ({counts.pop()} updates)" if len(counts) == 1 and counts != {0} else stage


def sentences(found: Sequence[Transferred]) -> list[str]:
    """Say for each device what programming, fine-tuning and learning on it come to, over how many seeds."""
    said = []
    for one in found:
        words = {
            EX_SITU: f"as trained ({one.origin})",
            PROGRAMMED: "once programmed",
            TUNED: f"after {_updates(one, TUNED)} of {one.rule} on the device",
            SCRATCH: f"from scratch in {_updates(one, SCRATCH)}",
        }
        parts = [f"{digits(middle(one.of(stage)))} {text}" for stage, text in words.items() if one.of(stage)]
        clipped = f"; {digits(100 * middle(one.clipped), 2)} % of the weights are clipped" if any(one.clipped) else ""
        said.append(f"{one.label}, {_over(one)}: {', '.join(parts)}{clipped}.")
    return said


def _over(one: Transferred) -> str:
    """Return over how many seeds the losses are medians; the fewest and the most where stages differ."""
    counts = sorted({len(one.of(stage)) for stage in STAGES if one.of(stage)})
    if counts == [1]:
        return "test loss of one seed"
    return f"median test loss of {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seeds"


def _updates(one: Transferred, stage: str) -> str:
    counts = one.updates.get(stage, set())
    return f"{min(counts)} update{'s' * (counts != {1})}" if len(counts) == 1 else "updates"


@styled
def figure(found: Sequence[Transferred], group: Sequence[Method]) -> Figure | None:
    """Draw the loss at each stage, a device a line: medians, with seeds as small marks; the ridge readout dashed.

    A ridge readout far below is left out: its line would flatten the others.

    Args:
        found: the devices.
        group: the methods of the task, for its controls.
    """
    if not any(min(losses, default=0) > 0 for one in found for losses in map(one.of, STAGES)):
        return None
    drawn = new_figure(fitted(7.2), 3.6)
    axes = drawn.subplots()
    for i, one in enumerate(found):
        _device_line(axes, one, (i - (len(found) - 1) / 2) * 0.09, COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
    axes.set_yscale("log")
    axes.set(ylabel=f"test loss ({group[0].loss})", xlim=(-0.5, len(STAGES) - 0.5))
    axes.set_xticks(range(len(STAGES)), [_head(found, stage).replace(" (", "\n(") for stage in STAGES])
    axes.axvline(len(STAGES) - 1.5, color=GREY, lw=0.8, ls=(0, (2, 3)))
    axes.grid(axis="y", color=FAINT, lw=0.7)
    axes.tick_params(axis="x", length=0)
    decent_log_ticks(axes.yaxis, *axes.get_ylim())
    drawn.legend(loc="outside upper left", ncols=max(min(len(found), 4), 1))
    lowest = min(loss for one in found for stage in STAGES for loss in one.of(stage) if loss > 0)
    shared = [control for control in controls(group) if control.shared]
    ridge = [c for c in shared if c.name == "ridge readout" and middle(c.losses) > lowest / FAR]
    for control in ridge:
        axes.axhline(middle(control.losses), color=GREY, lw=0.9, ls=(0, (4, 3)), zorder=1, label=f"_{control.name}")
    settled(drawn)
    name_levels(axes, [(control.name, middle(control.losses)) for control in ridge])
    return drawn


def _device_line(axes: Axes, one: Transferred, shift: float, colour: str, marker: str) -> None:
    places = [(i + shift, losses) for i, stage in enumerate(STAGES) if (losses := one.of(stage))]
    style: Any = {"color": colour, "marker": marker}
    brought = [(x, middle(losses)) for x, losses in places if x < len(STAGES) - 1.5]
    axes.plot(
        *zip(*brought, strict=True),
        ms=8,
        mec="white",
        mew=1.0,
        lw=1.6,
        **style,
        label=plain(one.label),
    )
    for x, losses in places:
        axes.plot(
            [x] * len(losses), losses, ls="", ms=3.5, alpha=0.45, mew=0, label=f"_{one.label}, a seed each", **style
        )
        if x > len(STAGES) - 1.5:
            axes.plot([x], [middle(losses)], ms=8, mec="white", mew=1.0, label=f"_{one.label}", **style)
