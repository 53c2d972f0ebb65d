"""The tables of methods in docs/results/rules.md are those that the record of the benchmark comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.rules.cells import Cell
from benchmarks.rules.numbers import Numbers
from benchmarks.rules.overview import methods, overview, under_noise
from benchmarks.rules.ways import CONDITIONS, TASKS, WAYS

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_table_of_methods_is_what_its_numbers_say():
    """And no other cell: what was not run is empty."""
    numbers, csv = Numbers(), Path("WTH.csv")
    cells = {task: [Cell(task, "ideal", way, csv) for way in WAYS] for task in TASKS}
    table = overview(cells, numbers)
    assert table.count("\n") > 12
    assert table in (ROOT / "docs" / "results" / "rules.md").read_text(encoding="utf-8")


@pytest.mark.long
def test_the_table_under_noise_is_what_its_numbers_say():
    """Likewise; thousands of configurations, by the code of the other table."""
    cells = {
        condition: {task: [Cell(task, condition, way, Path("WTH.csv")) for way in WAYS] for task in TASKS}
        for condition in CONDITIONS if condition != "ideal"
    }  # fmt: skip
    ideal = {task: [Cell(task, "ideal", way, Path("WTH.csv")) for way in WAYS] for task in TASKS}
    table = under_noise(cells, Numbers(), methods(ideal, Numbers()))
    assert table.count("\n") > 5
    assert table in (ROOT / "docs" / "results" / "rules.md").read_text(encoding="utf-8")
