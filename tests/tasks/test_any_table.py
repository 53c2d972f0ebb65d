"""The task `table`: anyone's columns as weather cuts them, rows that are cases of their own, labels, Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import neuroanp as na
from neuroanp.errors import InputError
from neuroanp.tasks.any_table import AnyTable
from neuroanp.tasks.table_config import TableConfig
from neuroanp.tasks.validation import split
from neuroanp.tasks.weather import Weather
from neuroanp.tasks.weather_config import WeatherConfig
from tests.close import close

RNG = np.random.default_rng
SMALL = {"window": 8, "washout": 4}


@pytest.fixture
def plant(tmp_path) -> Path:
    """120 rows of two measurements, a number that follows from them, and a label that does."""
    rng = RNG(3)
    a, b = np.sin(np.arange(120) / 3), rng.normal(size=120)
    pairs = zip(a.tolist(), b.tolist(), strict=True)
    rows = [f"{x!r},{y!r},{(10 + 2 * x - y)!r},{'hot' if x > 0 else 'cold'}" for x, y in pairs]
    path = tmp_path / "plant.csv"
    path.write_text("\n".join(["a,b,c,state", *rows]))
    return path


def made(path: Path, **options) -> AnyTable:
    return AnyTable(TableConfig(path=path, **{**SMALL, **options}))


def columns_of(path: Path) -> np.ndarray:
    return np.loadtxt(path, delimiter=",", skiprows=1, usecols=(0, 1, 2))


def test_a_forecast_is_that_of_the_weather_task_on_the_same_file_bit_for_bit(plant):
    said = {"path": plant, "target": "c", "horizon": 3, **SMALL}
    ours, weather = AnyTable(TableConfig(**said)), Weather(WeatherConfig(**said))
    assert ours.columns == weather.columns
    assert ours.fingerprint() == weather.fingerprint()
    pairs = [(task.sample(RNG(1), 5), task.test(RNG(0))) for task in (ours, weather)]
    for mine, theirs in zip(*pairs, strict=True):
        for name in ("inputs", "targets", "mask"):
            assert np.array_equal(getattr(mine, name), getattr(theirs, name))
        y = RNG(2).normal(size=mine.targets.shape)
        assert ours.score(y, mine) == weather.score(y, theirs)
    mine, theirs = (split(task, 4)[1].batch(RNG(0)) for task in (ours, weather))
    assert np.array_equal(mine.inputs, theirs.inputs)


def test_targets_of_a_forecast_are_their_columns_so_many_rows_later(plant):
    task, values = made(plant, target=["c", "a"], horizon=2, split=100), columns_of(plant)
    batch = task.test(RNG(0))
    assert batch.targets.shape == (8, 5, 2)
    scored = task.in_units(batch.targets[4:]).transpose(1, 0, 2).reshape(-1, 2)
    assert scored == close(values[100:120][:, [2, 0]])
    still = task.persistence(batch)[4:]
    assert task.in_units(still).transpose(1, 0, 2).reshape(-1, 2) == close(values[98:118][:, [2, 0]])
    exact = task.score(batch.targets, batch)
    assert exact == {"nrmse": 0.0, "skill": 1.0, "rmse c": 0.0, "rmse a": 0.0, "loss": 0.0}


def test_a_target_without_a_horizon_is_no_input(plant):
    task, values = made(plant, target="c", horizon=0, split=100), columns_of(plant)
    assert task.columns == ("a", "b")
    batch = task.test(RNG(0))
    told = task.in_units(batch.targets)[..., 0]
    low, high = values[:100, :2].min(axis=0), values[:100, :2].max(axis=0)
    u = batch.inputs * (high - low) + low
    assert told == close(10 + 2 * u[..., 0] - u[..., 1], rel=1e-9)
    assert task.persistence(batch) is None
    with pytest.raises(InputError, match=r"task\.columns: c is what is to be told"):
        made(plant, target="c", horizon=0, columns=["a", "c"])


@pytest.mark.parametrize("scale", ["range", "standard"])
def test_scales_are_those_of_the_training_part_alone(plant, scale):
    task, values = made(plant, target="c", scale=scale, split=90), columns_of(plant)
    x = task.scaled(values)[:, :3]
    if scale == "range":
        assert (x[:90].min(axis=0), x[:90].max(axis=0)) == (close(np.zeros(3), abs=1e-15), close(np.ones(3)))
    else:
        assert x[:90].mean(axis=0) == close(np.zeros(3), abs=1e-13)
        assert x[:90].std(axis=0) == close(np.ones(3))
    lines = plant.read_text().splitlines()
    lines[-1] = "5,5,25,hot"  # of the test part
    plant.write_text("\n".join(lines))
    again = made(plant, target="c", scale=scale, split=90)
    assert np.array_equal(again.sample(RNG(5), 9).inputs, task.sample(RNG(5), 9).inputs)


def test_words_are_labels_of_their_rows_in_time(plant):
    task = made(plant, target="state", split=100)
    assert (task.named, task.columns, task.forecast) == (("cold", "hot"), ("a", "b", "c"), False)
    batch, values = task.test(RNG(0)), columns_of(plant)
    hot = batch.targets[4:, :, 1].T.reshape(-1)
    assert np.array_equal(hot, (values[100:120, 0] > 0).astype(float))
    assert task.score(batch.targets, batch)["accuracy"] == 1.0
    wrong = batch.targets.copy()
    wrong[4:6] = 1 - wrong[4:6]  # half of the scored steps
    assert task.score(wrong, batch)["accuracy"] == 0.5
    assert any(line == "target: state, 2 classes: cold, hot" for line in task.account())


def test_rows_apart_are_held_and_each_is_in_one_part(plant):
    task, values = made(plant, target="c", rows="apart", split=0.75), columns_of(plant)
    batch = task.test(RNG(0))
    assert batch.inputs.shape == (8, 30, 2)
    assert (batch.inputs == batch.inputs[:1]).all()
    tested = task.in_units(batch.targets)[:, 0]
    many = task.sample(RNG(0), 4_000)
    trained = task.in_units(many.targets)[:, 0]
    assert sorted([*np.unique(trained.round(9)), *tested.round(9)]) == close(sorted(values[:, 2]), rel=1e-6)
    other = made(plant, target="c", rows="apart", split=0.75, split_seed=1)
    assert set(other.in_units(other.test(RNG(0)).targets)[:, 0].round(9)) != set(tested.round(9))
    rest, kept = split(task, 40)
    held = task.in_units(kept.batch(RNG(0)).targets)[:, 0].round(9)
    left = task.in_units(rest.sample(RNG(0), 2_000).targets)[:, 0].round(9)
    assert not set(held) & set(left)
    assert not set(held) & set(tested.round(9))


def test_rows_apart_with_missing_values_are_left_out_and_told(plant):
    lines = plant.read_text().splitlines()
    lines[3], lines[7] = "1.5,,3,hot", "1.5,2,3,"
    plant.write_text("\n".join(lines))
    task = made(plant, target="state", rows="apart", split=100)
    assert task.test(RNG(0)).inputs.shape[1] == 18
    said = "warning: 2 of 120 rows left out, in which values are missing (b 1, state 1; lines 4, 8)"
    assert said in task.account()


def test_numbers_are_labels_where_that_is_said_and_told_where_they_may_be(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,kind\n" + "\n".join(f"{k % 7 + 0.5},{(k % 3) + 1}" + (".0" if k % 2 else "") for k in range(60)))
    assert made(path, target="kind", rows="apart", labels=True).named == ("1", "2", "3")
    numbers = made(path, target="kind", rows="apart")
    assert numbers.outputs == 1
    assert any("if they name classes, set task.labels to true" in line for line in numbers.account())


def test_a_code_for_missing_values_is_refused_until_it_is_named(plant):
    lines = plant.read_text().splitlines()
    for k in (20, 60):
        lines[k] = f"-999.9,{lines[k].split(',', 1)[1]}"
    plant.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"set task\.missing to \[-999\.9\]"):
        made(plant, target="c")
    task = made(plant, target="c", missing=[-999.9], fill=1)
    assert "a: -999.9 in 2 rows counts as missing" in task.account()


@pytest.mark.parametrize(("first", "second"), [("1", "2"), ("cold", "hot")])
def test_a_code_for_missing_values_is_no_class(tmp_path, first, second):
    path = tmp_path / "x.csv"
    kinds = [("-999", first, second)[k % 3] for k in range(90)]
    path.write_text("a,b,c\n" + "\n".join(f"{k % 7},{k % 5},{kind}" for k, kind in enumerate(kinds)))
    task = made(path, target="c", labels=True, missing=[-999], rows="apart")
    assert task.named == (first, second)
    assert "c: -999 in 30 rows counts as missing" in task.account()
    assert any("30 of 90 rows left out" in line for line in task.account())
    assert len(made(path, target="c", labels=True, missing=[], rows="apart").named) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": "sate"}, "no column 'sate'; did you mean 'state'"),
        ({"target": "state", "labels": False}, "state"),
        ({"target": ["c", "state"]}, "state"),
        ({"target": "c", "split": 119.0}, "test part has 1 rows"),
        ({"target": "c", "rows": "apart", "split": 500.0}, "leave none to learn from"),
        ({"target": "b", "labels": True}, "no classes"),
    ],
)
def test_what_is_wrong_is_told(plant, options, said):
    with pytest.raises(InputError) as error:
        made(plant, **options)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rows": "apart", "horizon": 2}, "horizon goes with rows: time"),
        ({"rows": "apart", "time": "t", "fill": 1}, "time and fill goes with"),
        ({"split_seed": 1}, "split_seed goes with rows: apart"),
        ({"washout": 48}, "leaves none of the 48 steps"),
        ({"target": ["a", "b"], "labels": True}, "labels are of one column"),
        ({"split": 2.5}, "neither a fraction"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        na.configure({"task": {"name": "table", "path": "x.csv", "target": "a", **options}})


def test_parquet_is_read_as_the_same_table_with_all_digits(plant):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.read_csv(plant)
    frame.to_parquet(path := plant.with_suffix(".parquet"))
    ours, csv = made(path, target="state"), made(plant, target="state")
    assert np.array_equal(ours.test(RNG(0)).inputs, csv.test(RNG(0)).inputs)
    assert np.array_equal(ours.test(RNG(0)).targets, csv.test(RNG(0)).targets)
    assert ours.fingerprint() != csv.fingerprint()
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="no Parquet file that can be read"):
        made(path, target="state")


def test_true_and_false_are_one_and_zero_however_the_table_comes_in(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": np.arange(60) % 7 + 0.5, "on": np.arange(60) % 3 == 0, "c": np.arange(60) % 5})
    frame.to_csv(csv := tmp_path / "x.csv", index=False)
    frame.to_parquet(parquet := tmp_path / "x.parquet")
    tasks = [made(csv, target="c"), made(parquet, target="c"), na.task(frame, target="c", runs=tmp_path, **SMALL).made]
    for task in tasks:
        assert task.columns == ("a", "on", "c")
        assert np.array_equal(task.test(RNG(0)).inputs, tasks[0].test(RNG(0)).inputs)
    assert np.array_equal(tasks[0].read(csv).values[:, 1], frame["on"].astype(float))
    for path in (csv, parquet):
        assert made(path, target="on", labels=True).named == ("0", "1")
        assert made(path, target="on").named == ("on",)
    csv.write_text(csv.read_text().replace("True", "perhaps", 1))
    assert made(csv, target="c").columns == ("a", "c")
    assert Weather(WeatherConfig(path=parquet, target="c", **SMALL)).columns == ("a", "c")  # as runs have it


def test_parquet_without_pyarrow_says_what_to_install(plant, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    path = plant.with_suffix(".parquet")
    path.write_bytes(b"PAR1....PAR1")
    with pytest.raises(InputError, match=r"pip install 'neuroanp\[parquet\]'"):
        made(path, target="a")


def test_a_run_on_rows_apart_is_trained_evaluated_and_asked_in_units(plant, tmp_path):
    said = {"name": "table", "path": str(plant), "target": "c", "rows": "apart", **SMALL}
    run = na.train(
        task=said, network={"hidden": 8}, training={"updates": 4, "batch": 4, "controls": False}, profile="pcm",
        rule={"name": "anp", "K": 2}, runs=tmp_path / "runs", report=False, progress=False,
    )  # fmt: skip
    assert na.evaluate(run)[0]["test_loss"] == close(run.result["test_loss"])
    new = tmp_path / "new.csv"
    new.write_text("b,a\n0.5,0.25\n-1,0.5\n0.1,0\n")
    y = run.predict(new, noise=False)
    assert y.shape == (3, 1)
    values = columns_of(plant)
    task = AnyTable(run.config.task)
    outputs = run.predict(task.scaled(np.array([[0.25, 0.5], [0.5, -1.0], [0.0, 0.1]])), noise=False)
    assert outputs.shape == (8, 3, 1)
    assert y == close(task.in_units(outputs))
    spread = np.ptp(values[:, 2])
    assert y == close(outputs[4:].mean(axis=0) * task._span[2] + task._low[2])
    assert task._span[2] <= spread
