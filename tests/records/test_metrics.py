"""metrics.csv: exact numbers, whole rows, and no crash on junk."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.records.metrics import Metrics


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


def test_cells_that_python_alone_takes_for_numbers_are_none():
    rows = Metrics.parse("update,train_loss\n1,0.5\n2,0_5\n\u0663,0.25\n4,nan\n")
    assert (rows["update"], rows.skipped) == ([1.0, 4.0], 2)
