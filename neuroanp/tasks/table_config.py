"""Options of the task `table`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.window_options import TIME, Missing, Split, Washout, check_windows

Name = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Name, ...], Field(min_length=1)]


class TableConfig(TaskOptions):
    """Options of the task `table`."""

    path: Path | None = Field(default=None, description="CSV or Parquet file with a line of names; it must be given")
    target: Name | Names | None = Field(
        default=None, description="column to forecast or to name, or several columns of numbers; it must be given"
    )
    rows: Literal["time", "apart"] = Field(
        default="time", description="time: rows follow one another; apart: each row is a case of its own"
    )
    labels: bool | None = Field(
        default=None, description="whether the target names classes; unset: it does where its cells are words"
    )
    columns: Names | None = Field(default=None, description="input columns; default: all with measurements")
    time: Name | None = Field(
        default=None,
        description=TIME,
    )
    missing: Missing = None
    fill: int = Field(default=0, ge=0, description="rows in a row that may be missing (last value held)")
    horizon: int | None = Field(
        default=None,
        ge=0,
        description="rows between an input and its target; default: 1 of numbers, which are inputs too, 0 of labels",
    )
    window: int = Field(default=48, ge=2, le=100_000, description="steps of a sequence: one for each row in time")
    washout: Washout = 24
    split: Split = 0.85
    split_seed: int = Field(default=0, ge=0, description="of rows apart: which of them are the test part")
    scale: Literal["range", "standard"] = Field(
        default="range",
        description="range: training rows lie between 0 and 1; standard: their mean is 0, their deviation 1",
    )

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the target columns, each once."""
        return (self.target,) if isinstance(self.target, str) else tuple(dict.fromkeys(self.target or ()))

    @model_validator(mode="after")
    def _consistent(self) -> TableConfig:
        check_windows(self.window, self.washout, self.split)
        if self.labels and len(self.targets) > 1:
            raise ValueError(f"labels are of one column, and target has {len(self.targets)}; name one")
        if self.rows == "apart":
            said = [
                key for key, value in (("time", self.time), ("horizon", self.horizon), ("fill", self.fill)) if value
            ]
            if said:
                raise ValueError(f"{' and '.join(said)} goes with rows: time; of rows apart leave it out")
        elif self.split_seed:
            raise ValueError("split_seed goes with rows: apart; rows in time are split where the test part begins")
        return self
