"""Options that tasks of windows over a table share: what is missing, where the test part begins."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

TIME = "column of times ('Date + Time' for two), to find missing rows; unset: rows are evenly spaced"
Missing = Annotated[
    tuple[Annotated[float, Field(allow_inf_nan=False)], ...] | None,
    Field(
        description="numbers that stand for missing values: [-999.9]; unset: what looks like one is refused; []: none"
    ),
]
Washout = Annotated[int, Field(ge=0, description="first steps of a sequence that are not scored")]
Split = Annotated[
    float,
    Field(
        gt=0,
        allow_inf_nan=False,
        description="where the test part begins: a fraction below 1, or a number of rows",
    ),
]


def check_windows(window: int, washout: int, split: float) -> None:
    """Raise ValueError where no step of a sequence is scored, or the test part begins nowhere.

    >>> check_windows(48, 48, 0.85)
    Traceback (most recent call last):
    ...
    ValueError: washout 48 leaves none of the 48 steps to score; lower washout
    """
    if washout >= window:
        raise ValueError(f"washout {washout} leaves none of the {window} steps to score; lower washout")
    if split >= 1 and split != int(split):
        raise ValueError(f"split {split} is neither a fraction below 1 nor a whole number of rows")
