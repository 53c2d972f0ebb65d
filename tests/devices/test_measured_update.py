"""Pulses by table: draws and moments against the numbers in the file, and what a device may do with them."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from neuroanp.devices.device import Device
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.devices.measured_update import MeasuredUpdate
from neuroanp.devices.protocol import Span
from neuroanp.devices.step_table import StepTable
from neuroanp.errors import InputError
from neuroanp.profiles import load, loads
from tests.close import close

DATA = Path(__file__).parents[2] / "examples/data"
EXAMPLES = ("crosssim_enode", "xbtorch_reram")
DOUBLE = torch.float64
N = 40_000
TABLE = [
    (way, g, p, way * dg)
    for way in (1, -1)
    for g, last in ((2, 300), (10, 100))
    for p, dg in (((0, 0), (1, last)) if way == 1 else ((0, last), (1, 0)))
]
"""Uniform steps: up to 0.3 uS at 2 uS, up to 0.1 uS at 10 uS; down alike."""


def written(folder: Path, rows: list[tuple[float, ...]] | str = TABLE) -> Path:
    path = folder / "steps.csv"
    lines = rows if isinstance(rows, str) else "".join(",".join(map(str, row)) + "\n" for row in rows)
    path.write_text("direction,g_uS,probability,dg_nS\n" + lines)
    return path


def law_of(path: Path, **more) -> MeasuredUpdate:
    return MeasuredUpdate(file=str(path), **{"tolerance": 0.2e-6, "max_pulses": 400, **more})


@cache
def rows_of(name: str) -> dict[int, dict[float, np.ndarray]]:
    """Read the file of an example again, by other means: direction, conductance, points."""
    found: dict[int, dict[float, list]] = {1: {}, -1: {}}
    text = (DATA / name / f"{name}.csv").read_text().splitlines()
    for row in csv.DictReader(line for line in text if not line.startswith("#")):
        of = found[int(row["direction"])].setdefault(float(row["g_S"]), [])
        of.append((float(row["probability"]), float(row["dg_S"])))
    return {way: {g: np.array(points) for g, points in of.items()} for way, of in found.items()}


def cdf(points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """P(dG <= at): straight lines between points, and steps where several lie above one another."""
    p, dg = points.T
    right = np.searchsorted(dg, at, side="right")
    inside = np.interp(at, dg, p)
    inside = np.where((right > 0) & np.isin(at, dg), p[np.maximum(right - 1, 0)], inside)
    return np.where(right == 0, 0.0, np.where(right == len(dg), 1.0, inside))


def moments(points: np.ndarray) -> tuple[float, float]:
    """Mean and mean square, from midpoints of so fine slices of probability that nothing is left to see."""
    u = (np.arange(400_000) + 0.5) / 400_000
    p, dg = points.T
    p = np.concatenate([[0.0], p, [1.0]])
    drawn = np.interp(u, p, np.concatenate([dg[:1], dg, dg[-1:]]))
    return float(drawn.mean()), float((drawn**2).mean())


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("name", EXAMPLES)
def test_steps_are_drawn_from_the_table(name: str, way: int) -> None:
    """At a row and between two: distribution by Kolmogorov and Smirnov, moments within five standard errors."""
    law, rows = load(DATA / name / f"{name}.yaml").update, rows_of(name)[way]
    assert isinstance(law, MeasuredUpdate)
    of = law.up if way == 1 else law.down
    conductances = sorted(rows)
    for k, share in ((0, 0.0), (len(rows) // 2, 0.3), (len(rows) - 2, 0.8)):
        low, high = conductances[k : k + 2]
        g = torch.full((N,), low + share * (high - low), dtype=DOUBLE)
        rng = np.random.default_rng(k)
        drawn = of.draw(g, *torch.from_numpy(rng.random((2, N)))).numpy()
        # among draws at the table's own points there are ties: compare at all values there are
        values = np.unique(np.concatenate([drawn, rows[low][:, 1], rows[high][:, 1]]))
        told = (1 - share) * cdf(rows[low], values) + share * cdf(rows[high], values)
        seen = np.searchsorted(np.sort(drawn), values, side="right") / N
        assert np.abs(seen - told).max() < stats.kstwobign.isf(1e-4) / np.sqrt(N)
        (mean, square), (mean2, square2) = moments(rows[low]), moments(rows[high])
        mean, square = (1 - share) * mean + share * mean2, (1 - share) * square + share * square2
        sd = np.sqrt(square - mean**2)
        assert of.mean(g[:1]).item() == close(mean, rel=1e-4 * sd / abs(mean))
        assert of.variance(g[:1]).item() == close(sd**2, rel=1e-4)
        assert abs(drawn.mean() - mean) < 5 * sd / np.sqrt(N)


def test_quantiles_between_and_beyond_points() -> None:
    """A table that begins at 0.2 and ends at 0.9 leaves the rest to its first and last change."""
    points = (np.array([0.2, 0.4, 0.4, 0.9]), np.array([-1.0, 1.0, 2.0, 4.0]))
    table = StepTable(np.array([1.0, 2.0]), [points, points])
    u = torch.tensor([0.0, 0.1, 0.2, 0.35, 0.4, 0.65, 0.9, 0.99], dtype=DOUBLE)
    drawn = table.draw(torch.full((8,), 1.5, dtype=DOUBLE), torch.zeros(8, dtype=DOUBLE), u)
    assert drawn.tolist() == close([-1.0, -1.0, -1.0, 0.5, 2.0, 3.0, 4.0, 4.0])
    # by hand: 0.2 at -1, 0.2 uniform in -1..1, 0.5 uniform in 2..4, 0.1 at 4
    assert float(table.means[0]) == close(-0.2 + 0.0 + 1.5 + 0.4)
    assert float(table.squares[0]) == close(0.2 + 0.2 / 3 + 0.5 * (4 + 8 + 16) / 3 + 1.6)


def test_pulses_move_by_mean_steps_where_c2c_is_off(tmp_path: Path) -> None:
    law, span = law_of(written(tmp_path)), Span(2e-6, 10e-6)
    assert law.reach == close((2e-6, 10e-6))
    assert law.nominal(span) == close(0.1e-6)  # 0.15 uS at one end, 0.05 uS at the other
    assert law.nominal(Span(2e-6, 6e-6)) == close(0.125e-6)
    cells = {
        "g": torch.tensor([[[6e-6, 6e-6, 9.99e-6]]], dtype=DOUBLE),
        "gain": torch.tensor([[[1.0, 2.0, 1.0]]], dtype=DOUBLE),
    }
    dg = torch.tensor([[[0.2e-6, -0.2e-6, 1e-6]]], dtype=DOUBLE)
    done = law.pulse(cells, dg, span, np.random.default_rng(0), frozenset())
    slope, g = -0.1 / 8, [6.0, 6.0]  # of the mean step against g, uS
    for _ in range(2):
        g = [g[0] + 0.15 + slope * (g[0] - 2), g[1] - 2 * (0.15 + slope * (g[1] - 2))]
    assert done.pulses.flatten().tolist() == [2, 2, 10]
    assert (1e6 * done.cells["g"]).flatten().tolist() == close([*g, 10.0], rel=1e-9)


def test_devices_are_written_within_the_tolerance_or_give_up(tmp_path: Path) -> None:
    law, span = law_of(written(tmp_path), tolerance=0.1e-6), Span(2e-6, 10e-6)
    n = 500
    g = torch.full((1, 1, n), 4e-6, dtype=DOUBLE)
    cells = {"g": g, "gain": torch.ones_like(g), "stuck": torch.arange(n).view(1, 1, n) == 3}
    target, mask = torch.linspace(3e-6, 9e-6, n, dtype=DOUBLE).view(1, 1, n), torch.ones(1, 1, n, dtype=torch.bool)
    mask[..., 7] = False
    everything = frozenset({"programming_error", "c2c"})
    done = law.program(cells, target, mask, span, np.random.default_rng(0), everything)
    assert done.gave_up is not None
    off = (done.cells["g"] - target).abs() > 0.1e-6
    assert done.gave_up.flatten().nonzero().flatten().tolist() == [3]
    assert off.flatten().nonzero().flatten().tolist() == [3, 7]
    assert done.pulses[0, 0, [3, 7]].tolist() == [400, 0]
    # the draws of a device do not depend on which others are written
    half = mask & (torch.arange(n) % 2 == 0)
    again = law.program(cells, target, half, span, np.random.default_rng(0), everything)
    assert torch.equal(again.cells["g"][half], done.cells["g"][half])
    exact = law.program(cells, target + 2e-6, mask, span, np.random.default_rng(0), frozenset({"c2c"}))
    beyond = (target > 8e-6) & mask
    assert torch.equal(exact.cells["g"], torch.where(mask, (target + 2e-6).clamp(*law.reach), g))
    assert torch.equal(exact.gave_up, beyond)


def test_gains_spread_between_devices(tmp_path: Path) -> None:
    law, like = law_of(written(tmp_path), dg_d2d=0.2), torch.empty(0, dtype=DOUBLE)
    gain = law.sample((1, 100, 400), np.random.default_rng(0), frozenset({"d2d"}), like)["gain"]
    assert float(gain.mean()) == close(1.0, rel=0.005)
    assert float(gain.std()) == close(0.2, rel=0.02)
    alike = law.sample((1, 2, 2), np.random.default_rng(0), frozenset(), like)["gain"]
    assert torch.equal(alike, torch.ones_like(alike))


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_a_device_stays_within_its_table(dtype: torch.dtype) -> None:
    device = Device(load(DATA / "xbtorch_reram/xbtorch_reram.yaml"), ALL_EFFECTS - {"faults"})
    cells = device.sample((20, 20), np.random.default_rng(0), dtype)
    law, rng = device.update, np.random.default_rng(1)
    assert isinstance(law, MeasuredUpdate)
    for way in (1.0, -1.0):
        cells, pulses = device.pulse(cells, torch.full_like(cells["g"], way * 50e-6), 0.0, rng)
        assert cells["g"].dtype == dtype
        assert float(cells["g"].min()) >= np.float32(law.reach[0])
        assert float(cells["g"].max()) <= np.float32(law.reach[1])
        assert int(pulses.max()) == law.max_pulses


def changed(rows: list[tuple[float, ...]], at: int, to: tuple[float, ...]) -> list[tuple[float, ...]]:
    return [*rows[:at], to, *rows[at + 1 :]]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (changed(TABLE, 0, (2, 2, 0, 0)), "steps.csv:2: direction: write 1 (up) or -1 (down)"),
        (changed(TABLE, 1, (1, 2, 1.1, 300)), "steps.csv:3: probability: not between 0 and 1"),
        (changed(TABLE, 2, (1, 1, 0, 0)), "steps.csv:4: g: not well above the row before"),
        (changed(TABLE, 0, (1, -2, 0, 0)), "steps.csv:2: g: a negative conductance"),
        (changed(TABLE, 1, (1, 2, 1, -1)), "steps.csv:3: dg: falls within one conductance"),
        ([TABLE[1], TABLE[0], *TABLE[2:]], "steps.csv:3: probability: falls within one conductance"),
        (TABLE[1:], "steps.csv:2: one point at this conductance; a distribution has two at least"),
        (TABLE[:4], "steps.csv: no down pulses (direction -1)"),
        (TABLE[:6], "steps.csv: 1 conductances of down pulses; a table to interpolate has 2 to 4096"),
        ([(-way, *rest) for way, *rest in TABLE], "up pulses move a device by -1e-07 S on average, the other way"),
        ("1,2,nan,3\n", "probability: 'nan' is not a finite number"),
    ],
)  # fmt: skip
def test_tables_that_are_no_distributions_are_refused(rows, says: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"steps\.csv") as caught:
        law_of(written(tmp_path, rows))
    assert says in str(caught.value)


def test_a_table_of_too_many_points_is_refused(tmp_path: Path) -> None:
    one = [(1, 1, k / 2000, k) for k in range(2001)]
    many = [(1, g, p, p) for g in range(2, 602) for p in (0, 1)]
    with pytest.raises(
        ValueError, match=r"601 conductances of up to 2001 points each, of up pulses; at most 1,000,000"
    ):
        law_of(written(tmp_path, [*one, *many]))


def test_a_range_beyond_the_table_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    text = """meta: {name: mine, summary: a test, source: my bench, status: measured}
conductance: {g_min: 2 uS, g_max: 12 uS, coding: offset}
update: {law: measured, file: FILE, tolerance: 0.1 uS, max_pulses: 9}
array: {weight_range: 4, write: serial}
""".replace("FILE", str(tmp_path / "steps.csv"))
    with pytest.raises(
        InputError, match=r"update.file: knows steps from 2 uS to 10 uS, and the range is 2 uS to 12 uS"
    ):
        loads(text)
    assert loads(text.replace("12 uS", "10 uS")).update is not None
