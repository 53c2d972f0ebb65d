"""Data frames of pandas, which is imported when one is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neuroanp.errors import InputError

if TYPE_CHECKING:
    from pandas import DataFrame


def frame(data: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]) -> DataFrame:
    """Return columns by name, or rows, as a data frame; what a row lacks is missing there.

    Raises:
        InputError: pandas is not installed.

    >>> frame([{"a": 1}, {"a": 2, "b": 0.5}])
       a    b
    0  1  NaN
    1  2  0.5
    """
    try:
        import pandas
    except ImportError as error:
        raise InputError(f"data frames need pandas ({error}); pip install 'neuroanp[frames]'") from None
    return pandas.DataFrame(data)
