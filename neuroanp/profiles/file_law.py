"""Laws whose numbers lie in a file beside the profile."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from neuroanp.profiles.laws import Law
from neuroanp.profiles.tables import MAX_BYTES, Table, quantities, read_table
from neuroanp.yaml_io import at


class FileLaw(Law):
    """Base of laws whose numbers lie in a file; the law keeps them, and the content's SHA-256.

    A profile's `file` is relative to the profile that states it. `sha256` is filled when it is not
    stated and checked when it is, so that a profile kept with a run refuses a file that has changed.
    A law of one's own sets `units` and reads `self.data` (SI units, by name without the unit).

    Args:
        file: path of the .csv or .npz file, kept absolute.
        sha256: of its content, or None: any.
    """

    units: ClassVar[Mapping[str, str]]
    optional: ClassVar[Sequence[str]] = ()
    max_bytes: ClassVar[int] = MAX_BYTES

    file: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    _table: Table = PrivateAttr()

    @field_validator("file")
    @classmethod
    def _absolute(cls, file: str) -> str:
        if "\0" in file:
            raise ValueError("the name holds a NUL character; name a file")
        return os.path.abspath(file)

    @model_validator(mode="after")
    def _load(self):
        try:
            table = read_table(Path(self.file), None, self.max_bytes)
            if self.sha256 not in (None, table.sha256):
                text = f"{table.label} has changed: its SHA-256 is {table.sha256}; restore the file or restate it"
                raise at(("sha256",), text)
            self._table = Table(table.label, table.sha256, quantities(table, self.units, self.optional), table.lines)
            self.check(self._table)
        except ValidationError:  # placed at its key already
            raise
        except ValueError as error:
            raise at(("file",), str(error)) from None
        # a frozen model is filled in here only: from now on it is what its text says
        object.__setattr__(self, "sha256", table.sha256)
        self.__pydantic_fields_set__.add("sha256")
        return self

    def check(self, table: Table) -> None:
        """Raise ValueError with `table.place(row)` for numbers that cannot be."""

    @property
    def data(self) -> Mapping[str, np.ndarray]:
        """The columns in SI units, (rows,) float64 each; not to be changed."""
        return self._table.columns
