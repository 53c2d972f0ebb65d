"""Pulses as a table of one's own measurements: the distribution of the change against the conductance."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.draws import normal, sent, uniform, whole_pulses
from neuroanp.devices.protocol import Pulsed, Span
from neuroanp.devices.step_table import StepTable
from neuroanp.devices.verifying import uniforms
from neuroanp.profiles.file_law import FileLaw
from neuroanp.profiles.laws import Pulses
from neuroanp.profiles.tables import Table
from neuroanp.units import NonNegative, PositiveConductance

MAX_CONDUCTANCES = 4096
"""Of one direction."""
MAX_POINTS = 1_000_000
"""Of the largest row times the number of rows: what a table takes once its rows are equally long."""
_DIRECTIONS = {1: "up", -1: "down"}


class MeasuredUpdate(FileLaw):
    """Step a device up or down as a measured table says.

        G <- G + gain dG, then clip to the table's range;   dG from F+(dG | G) up, F-(dG | G) down

    F is the cumulative distribution of the table, interpolated linearly in G; see `step_table`. Every pulse is drawn
    anew. The file's columns are `direction` (1 up, -1 down), `g`, `probability` and `dg` with their units, e.g.
    `direction,g_uS,probability,dg_nS`: points of F, those of one direction and conductance below one another, rising.
    A table says nothing beyond its first and last conductance: a device does not leave them, and a profile whose range
    does is refused. What differs from device to device is in the table where it was made of several devices.

    A controller counts the pulses of a change in mean steps: the mean of up and down, over the range of conductance.

    Args:
        file: .csv or .npz, relative to the profile that states it.
        sha256: of its content, or None: any.
        tolerance: write-verify accepts |G - target| up to this, siemens.
        max_pulses: write-verify gives up after so many; one in-situ update sends at most so many.
        dg_d2d: spread of the gain from device to device, a fraction: gain = |1 + dg_d2d xi|.
        pulses: how a change becomes whole pulses: stochastic (None: this) or deterministic rounding.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "steps.csv"
    ...     _ = path.write_text("direction,g_uS,probability,dg_nS\\n" + "".join(
    ...         f"{way},{g},{p},{way * dg}\\n" for way in (1, -1) for g in (1, 9) for p, dg in ((0, 100), (1, 100))))
    ...     law = MeasuredUpdate(file=str(path), tolerance="0.2 uS", max_pulses=50)
    >>> cells, span = {"g": torch.full((1, 1, 2), 5e-6), "gain": torch.ones(1, 1, 2)}, Span(1e-6, 9e-6)
    >>> done = law.pulse(cells, torch.tensor([[[3e-7, -2e-7]]]), span, np.random.default_rng(0), frozenset({"c2c"}))
    >>> done.pulses.tolist(), [round(1e9 * g) for g in done.cells["g"].flatten().tolist()]
    ([[[3, 2]]], [5300, 4800])
    """

    units: ClassVar[Mapping[str, str]] = {"direction": "", "g": "S", "probability": "", "dg": "S"}
    max_bytes: ClassVar[int] = 16 * 2**20
    one_sided: ClassVar[bool] = False
    write_noise: ClassVar[float] = 0.0
    hold: ClassVar[None] = None
    driven_by: ClassVar[Literal["voltage", "current"]] = "voltage"
    tolerance: PositiveConductance
    max_pulses: Pulses
    dg_d2d: NonNegative = 0.0
    pulses: Literal["stochastic", "deterministic"] | None = None

    def check(self, table: Table) -> None:
        """Raise ValueError for points that do not rise, a direction that lacks, too many points, or steps of no use."""
        _check_points(table)
        up, down = _tables(table)
        for way, of in ((1, up), (-1, down)):
            if not (way * of.means).mean() > 0:
                raise ValueError(
                    f"{table.label}: {_DIRECTIONS[way]} pulses move a device by {of.means.mean():.3g} S on average, "
                    "the other way; exchange the directions, or the sign of dg"
                )

    @property
    def up(self) -> StepTable:
        """What an up pulse does."""
        return _tables(self._table)[0]

    @property
    def down(self) -> StepTable:
        """What a down pulse does."""
        return _tables(self._table)[1]

    @property
    def reach(self) -> tuple[float, float]:
        """Lowest and highest conductance that the table knows of both directions, siemens."""
        return max(self.up.g[0], self.down.g[0]), min(self.up.g[-1], self.down.g[-1])

    def nominal(self, span: Span) -> float:
        """Return the step that a controller counts with: of up and of down pulses, the mean over a range, siemens."""
        up, down = (_mean_over(of, span) for of in (self.up, self.down))
        return (abs(up) + abs(down)) / 2

    def sample(
        self, shape: tuple[int, ...], rng: np.random.Generator, effects: frozenset[str], like: Tensor
    ) -> dict[str, Tensor]:
        """Draw the gain of each device; without `d2d` it is 1."""
        spread = self.dg_d2d if "d2d" in effects else 0.0
        return {"gain": (1.0 + spread * normal(rng, shape, like)).abs_()}

    def weakened(self, cells: Mapping[str, Tensor], share: Tensor) -> Mapping[str, Tensor]:
        """Return devices of which every change is a share of the table's."""
        return {**cells, "gain": cells["gain"] * share}

    def step(self, g: Tensor, rises: Tensor, gain: Tensor, row: Tensor, u: Tensor, scatters: bool) -> Tensor:
        """Return conductances after one pulse to each device, siemens.

        Args:
            g: (n,) siemens.
            rises: (n,) bool, whether it is an up pulse.
            gain: (n,) of the devices.
            row, u: (n,) uniforms; see StepTable.draw.
            scatters: whether steps are drawn; else they are the means.
        """
        ways = [of.draw(g, row, u) if scatters else of.mean(g) for of in (self.up, self.down)]
        low, high = self.reach
        return (g + gain * torch.where(rises, *ways)).clamp(low, high)

    def pulse(
        self, cells: Mapping[str, Tensor], dg: Tensor, span: Span, rng: np.random.Generator, effects: frozenset[str]
    ) -> Pulsed:
        """Send the pulses that should change each device by dg, up or down, counted in mean steps.

        Args:
            cells: g (siemens) and gain, (1, n, m) each, or (2, n, m) of pairs.
            dg: siemens, of their shape.
            span: range of conductance.
            rng: rounding, then two uniforms a pulse.
            effects: `c2c` draws the steps; without it they are the means.

        Returns: new g and the pulses of each device.
        """
        rounding = self.pulses or "stochastic"
        pulses = whole_pulses(dg.abs(), self.nominal(span), self.max_pulses, rng, rounding)
        g, count = cells["g"].flatten().clone(), pulses.flatten()
        rises, gain = (dg > 0).flatten(), cells["gain"].flatten()
        for done in range(int(count.max()) if count.numel() else 0):
            at = (count > done).nonzero().squeeze(1)
            row, u = uniform(rng, (2, len(at)), g)
            g[at] = self.step(g[at], rises[at], gain[at], row, u, "c2c" in effects)
        return Pulsed({"g": g.view(dg.shape)}, pulses)

    def program(
        self, cells: Mapping[str, Tensor], g_target: Tensor, mask: Tensor, span: Span, rng: np.random.Generator,
        effects: frozenset[str],
    ) -> Pulsed:  # fmt: skip
        """Write and verify: pulse towards the target until the conductance is within the tolerance.

        Without the effect `programming_error` a device lands on its target, or on the end of the table in the way.

        Args:
            cells: g (siemens) and gain; those of `stuck`, if there is one, are pulsed without effect.
            g_target: siemens, of their shape.
            mask: cells to write.
            span: range of conductance.
            rng: one key; draws are at a device's place in the array: no other write changes them.
            effects: `programming_error`, `c2c`.

        Returns: new g, pulses, and where the loop ended outside the tolerance.
        """
        if "programming_error" not in effects:
            landed = g_target.clamp(*self.reach)
            g = torch.where(mask, landed, cells["g"])
            return Pulsed({"g": g}, mask.to(torch.int32), mask & (landed != g_target))
        key = int(rng.integers(0, 1 << 64, dtype=np.uint64))
        g, target, gain = cells["g"].flatten().clone(), g_target.to(cells["g"]).flatten(), cells["gain"].flatten()
        pulses = torch.zeros_like(g, dtype=torch.int32)
        off = ((g - target).abs() > self.tolerance) & mask.flatten()
        stuck = cells["stuck"].flatten() if "stuck" in cells else torch.zeros_like(off)
        pulses[off & stuck] = self.max_pulses
        at = (off & ~stuck).nonzero().squeeze(1)
        for done in range(1, self.max_pulses + 1):
            if not len(at):
                break
            row, u = (sent(x, g) for x in uniforms(key, at, done))
            g[at] = self.step(g[at], target[at] > g[at], gain[at], row, u, "c2c" in effects)
            pulses[at] = done
            at = at[(g[at] - target[at]).abs() > self.tolerance]
        missed = ((g - target).abs() > self.tolerance) & mask.flatten()
        return Pulsed({"g": g.view(mask.shape)}, pulses.view(mask.shape), missed.view(mask.shape))


def _mean_over(table: StepTable, span: Span) -> float:
    """Return the mean over a range of the mean step, which is a straight line between rows, siemens."""
    inside = table.g[(table.g > span.g_min) & (table.g < span.g_max)]
    knots = np.concatenate([[span.g_min], inside, [span.g_max]])
    return float(np.trapezoid(np.interp(knots, table.g, table.means), knots)) / span.width


@lru_cache(maxsize=4)
def _tables(table: Table) -> tuple[StepTable, StepTable]:
    """Return the tables of up and down pulses."""
    direction, g, p, dg = (table.columns[name] for name in ("direction", "g", "probability", "dg"))
    found = []
    for way in _DIRECTIONS:
        rows = np.flatnonzero(direction == way)
        starts = np.flatnonzero(np.diff(g[rows], prepend=np.nan) != 0)
        blocks = np.split(rows, starts[1:])
        found.append(
            StepTable(np.array([g[block[0]] for block in blocks]), [(p[block], dg[block]) for block in blocks])
        )
    return found[0], found[1]


def _check_points(table: Table) -> None:
    """Raise ValueError, with the row, for what is no distribution against conductance."""
    direction, g, p, dg = (table.columns[name] for name in ("direction", "g", "probability", "dg"))

    def refuse(rows: np.ndarray, text: str) -> None:
        if len(rows):
            raise ValueError(f"{table.place(int(rows[0]))}: {text}")

    refuse(np.flatnonzero(~np.isin(direction, (1, -1))), "direction: write 1 (up) or -1 (down)")
    refuse(np.flatnonzero(g < 0), "g: a negative conductance; correct it")
    refuse(np.flatnonzero((p < 0) | (p > 1)), "probability: not between 0 and 1; correct it")
    for way, word in _DIRECTIONS.items():
        rows = np.flatnonzero(direction == way)
        if not len(rows):
            raise ValueError(f"{table.label}: no {word} pulses (direction {way}); a table holds both directions")
        single = g[rows].astype(np.float32)  # two that the coarser type cannot tell apart are no interval
        step = np.diff(single)
        refuse(
            rows[1:][(step < 0) | ((step == 0) & (np.diff(g[rows]) != 0))],
            "g: not well above the row before; sort the rows by direction and g",
        )
        within = step == 0
        for name, values in (("probability", p), ("dg", dg)):
            refuse(
                rows[1:][within & (np.diff(values[rows]) < 0)], f"{name}: falls within one conductance; sort the rows"
            )
        first = np.flatnonzero(np.append(True, ~within))
        sizes = np.diff(np.append(first, len(rows)))
        refuse(rows[first[sizes < 2]], "one point at this conductance; a distribution has two at least")
        if not 2 <= len(first) <= MAX_CONDUCTANCES:
            raise ValueError(
                f"{table.label}: {len(first)} conductances of {word} pulses; a table to interpolate has 2 to "
                f"{MAX_CONDUCTANCES}"
            )
        if len(first) * int(sizes.max()) > MAX_POINTS:
            raise ValueError(
                f"{table.label}: {len(first)} conductances of up to {sizes.max()} points each, of {word} pulses; "
                f"at most {MAX_POINTS:,} in all: thin them"
            )
