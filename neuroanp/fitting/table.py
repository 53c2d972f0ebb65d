"""Columns of measurements in SI units, and errors that name the line of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuroanp.errors import InputError
from neuroanp.units import Dimension

TIME = Dimension("time", "s", "1 us", signed=True)
VOLTAGE = Dimension("voltage", "V", "1 mV", signed=True)
CONDUCTANCE = Dimension("conductance", "S", "1 uS", signed=True)
RESISTANCE = Dimension("resistance", "ohm", "1 kohm", signed=True)
CURRENT = Dimension("current", "A", "1 uA", signed=True)


@dataclass(frozen=True)
class Column:
    """A column that a fit asks for.

    Args:
        name: the header without its unit.
        dimensions: what its unit may measure; empty: a plain number without a unit.
        optional: the file may lack it.
        label: it holds words or numbers that only tell things apart (a device's name).
        header: the header a user named instead (`--column`).
        also: other names it may have.
    """

    name: str
    dimensions: tuple[Dimension, ...] = ()
    optional: bool = False
    label: bool = False
    header: str | None = None
    also: tuple[str, ...] = ()

    @property
    def example(self) -> str:
        """A header that would do."""
        return f"{self.name}_{self.dimensions[0].example.split()[-1]}" if self.dimensions else self.name


@dataclass(frozen=True)
class Table:
    """Checked columns of a file.

    Args:
        label: the file's name in messages.
        columns: by the name a fit asked for; SI numbers, or for labels the index of each among `names`.
        units: SI unit of each column, "" for plain numbers.
        headers: how the file itself calls each column.
        names: the words behind the label columns, in the order of their first row.
        lines: line in the file of every row.
        digest: SHA-256 of the file.
        account: what was taken for what, a line each.
        currents: columns that are conductances by the voltage that currents were read at.
    """

    label: str
    columns: dict[str, np.ndarray]
    units: dict[str, str]
    headers: dict[str, str]
    names: dict[str, list[str]]
    lines: np.ndarray
    digest: str
    account: tuple[str, ...] = ()
    currents: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __len__(self) -> int:
        return len(self.lines)

    def wrong(self, rows: Sequence[int] | np.ndarray, name: str, text: str) -> InputError:
        """Return the error that `text` says of the first of these rows, with the line and the number of others."""
        rows = np.asarray(rows)
        more = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
        return self.failed(f"{self.label}:{self.lines[rows[0]]}: {self.headers[name]}: {text}{more}")

    def failed(self, *problems: str) -> InputError:
        """Return the error that lists what makes the file unfit."""
        return InputError(f"{self.label} cannot be fitted", [*problems])

    def groups(self, name: str) -> list[np.ndarray]:
        """Return the rows of each label of a column, in the order of the file; one group where the column is absent."""
        if name not in self.columns:
            return [np.arange(len(self))]
        order = np.argsort(self[name], kind="stable")
        return np.split(order, np.flatnonzero(np.diff(self[name][order])) + 1)

    def label_of(self, name: str, row: int) -> str:
        """Return the word of a label column in a row; "" where the column is absent."""
        return self.names[name][int(self[name][row])] if name in self.columns else ""
