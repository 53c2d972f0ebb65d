"""metrics.csv: exact numbers, whole rows, and no crash on junk."""

import errno
import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.errors import InputError, RunError
from neuroanp.records import metrics
from neuroanp.records.metrics import Metrics

numbers = st.floats(allow_nan=False) | st.integers(min_value=-(2**53), max_value=2**53)


@given(st.lists(st.tuples(numbers, st.none() | numbers), min_size=1, max_size=6))
def test_numbers_read_back_exactly(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("metrics") / "metrics.csv"
    for loss, extra in rows:
        metrics.append(path, [{"update": 1, "train_loss": loss, "extra": extra}])
    read = Metrics.read(path)
    assert read["train_loss"] == [float(loss) for loss, _ in rows]
    assert [None if math.isnan(x) else x for x in read["extra"]] == [None if e is None else float(e) for _, e in rows]
    assert read.skipped == 0


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_junk_is_columns_or_an_input_error(text):
    try:
        read = Metrics.parse(text)
    except InputError:
        return
    assert len({len(column) for column in read.columns.values()}) <= 1
    assert read.skipped + len(read) == max(text.count("\n") - 1, 0) or not read.columns


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=200))
def test_rows_before_the_junk_are_kept(tmp_path_factory, junk, cut):
    path = tmp_path_factory.mktemp("metrics") / "metrics.csv"
    good = "update,train_loss\n1,0.5\n2,0.25\n"
    tail = junk.decode("utf-8", "ignore")[:cut]
    path.write_text(good + tail, encoding="utf-8", newline="")
    assert Metrics.read(path)["train_loss"][:2] == [0.5, 0.25]


def test_every_cut_of_the_file_keeps_the_whole_rows_and_can_be_continued(tmp_path):
    path = tmp_path / "metrics.csv"
    metrics.append(path, [{"update": n, "train_loss": 0.125 * n} for n in range(1, 6)])
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        rows = max(whole[:cut].count(b"\n") - 1, 0)
        assert len(Metrics.read(path)) == rows
        metrics.append(path, [{"update": 9, "train_loss": 9.0}])
        assert Metrics.read(path)["update"] == [*range(1, rows + 1), 9]


def test_truncate_then_append_equals_never_interrupted(tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    rows = [{"update": n, "train_loss": 1 / n} for n in range(1, 21)]
    metrics.append(one, rows)
    metrics.append(two, rows[:13])
    two.write_bytes(two.read_bytes() + b"14,0.0")
    metrics.truncate(two, after=10)
    metrics.append(two, rows[10:])
    assert one.read_bytes() == two.read_bytes()


def test_truncate_of_nothing_is_nothing(tmp_path):
    metrics.truncate(tmp_path / "metrics.csv", 3)
    assert not (tmp_path / "metrics.csv").exists()
    (tmp_path / "metrics.csv").write_text("update,tr")
    metrics.truncate(tmp_path / "metrics.csv", 3)
    assert (tmp_path / "metrics.csv").read_bytes() == b""


def test_an_unknown_column_is_refused(tmp_path):
    path = tmp_path / "metrics.csv"
    metrics.append(path, [{"update": 1}])
    with pytest.raises(ValueError, match="loss"):
        metrics.append(path, [{"update": 2, "loss": 1.0}])
    assert Metrics.read(path)["update"] == [1]


def test_a_full_disk_leaves_no_half_batch(tmp_path, monkeypatch):
    path = tmp_path / "metrics.csv"
    metrics.append(path, [{"update": 1}])
    write, calls = os.write, []

    def full(handle, data):
        calls.append(1)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[:3])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(RunError, match="disk is full"):
        metrics.append(path, [{"update": 2}, {"update": 3}])
    assert path.read_bytes() == b"update\n1\n"


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match="train_loss"):
        Metrics.parse("update,train_loss\n1,2\n")["test_loss"]


def test_plot_draws_the_curve_and_labels_the_controls(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    rows = "".join(f"{n},{1 / n},{'' if n % 2 else 2 / n}\n" for n in range(1, 9))
    read = Metrics.parse("update,train_loss,test_loss\n" + rows, {"ridge": 0.1, "bad": math.nan})
    figure = read.plot()
    axes = figure.axes[0]
    assert [line.get_label() for line in axes.get_legend_handles_labels()[0]] == ["train loss", "test loss"]
    assert list(axes.get_lines()[1].get_xdata()) == [2, 4, 6, 8]
    assert [text.get_text() for text in axes.texts] == ["ridge"]
    import matplotlib.pyplot as plt

    plt.close(figure)
