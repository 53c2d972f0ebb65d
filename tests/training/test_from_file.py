"""Rows of a file, as the network of a task `table` is asked: what lies far outside, what is missing, and endings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroanp.tasks.any_table import AnyTable
from neuroanp.training.configure import configure
from neuroanp.training.from_file import FileInputs, read_inputs


@pytest.fixture
def bell(tmp_path) -> Path:
    """200 rows of two columns that are bell-shaped, so that most of their standard scores lie outside of [0, 1]."""
    values = np.random.default_rng(0).normal(20, 3, size=(200, 2))
    path = tmp_path / "bell.csv"
    path.write_text("a,b\n" + "\n".join(f"{a!r},{b!r}" for a, b in values.tolist()))
    return path


def config_of(path: Path, **options):
    return configure(
        {"task": {"name": "table", "path": str(path), "target": "a", "window": 8, "washout": 4, **options}}
    )


@pytest.mark.parametrize("scale", ["range", "standard"])
def test_rows_are_far_outside_by_the_reach_of_the_rows_it_learned_from(bell, caplog, scale):
    config = config_of(bell, scale=scale)
    read_inputs(bell, config).presented()
    assert "far outside" not in caplog.text
    task = AnyTable(config.task)
    values = task.read(bell).values
    values[5:8, 1] = 60.0
    FileInputs(values, task).presented()
    assert "b: 3 of 200 values lie far outside the rows it learned from" in caplog.text
    assert caplog.text.count("far outside") == 1
