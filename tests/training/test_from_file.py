"""Rows of a file, as the network of a task `table` is asked: what lies far outside, what is missing, and endings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroanp.errors import InputError
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


def test_a_table_is_read_from_parquet_as_from_csv(bell):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    pandas.read_csv(bell).to_parquet(path := bell.with_suffix(".parquet"))
    assert np.array_equal(read_inputs(path, config_of(bell)).values, read_inputs(bell, config_of(bell)).values)


def test_of_rows_apart_that_lack_a_value_nothing_is_told_and_of_the_others_it_is(bell, tmp_path, caplog):
    config, new = config_of(bell, rows="apart"), tmp_path / "new.csv"
    new.write_text("a,b\n,20\n,\n,22\n")
    file = read_inputs(new, config)
    assert "1 of 3 rows lack values, so that nothing is told of them (b 1; lines 3)" in caplog.text
    shown = file.presented()
    assert shown.shape == (8, 2, 1)
    assert np.isfinite(shown).all()
    y = file.in_units(np.tile([[0.0], [1.0]], (8, 1, 1)))
    assert y.shape == (3, 1)
    assert np.isnan(y[:, 0]).tolist() == [False, True, False]
    assert y[0, 0] < y[2, 0]
    new.write_text("a,b\n1,\n2,\n")
    with pytest.raises(InputError, match="each row lacks a value"):
        read_inputs(new, config)
