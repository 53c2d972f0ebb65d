"""Take inputs from a user's file: .npy, or a table of one sequence (CSV, Parquet), in the units that its task has."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroanp.errors import InputError
from neuroanp.files import read_regular
from neuroanp.tables import read_sheet
from neuroanp.tables.npy import read_header
from neuroanp.tasks.protocol import TASKS, InUnits

if TYPE_CHECKING:
    from neuroanp.training.config import RunConfig

TABLES = (".csv", ".parquet")
ENDINGS = (".npy", *TABLES)
LARGEST = 1 << 30
"""Bytes of a file of inputs."""
SHOWN = 5
"""Problems of a table that are told one by one."""
FAR = 0.5
"""Ranges of a column's training rows by which an input may lie outside them without a word."""
LOG = logging.getLogger("neuroanp")


@dataclass(frozen=True)
class FileInputs:
    """Inputs as a file has them, and what makes the network's numbers of them.

    Args:
        values: (T, I) of a table, with NaN where rows apart lack a value; (T, B, I) or (T, I) of an array.
        task: whose columns and units a table has; None: the values are the network's own numbers.
        times: T texts, of a table whose task has a column of times.
    """

    values: np.ndarray
    task: InUnits | None = None
    times: list[str] | None = None

    def presented(self) -> np.ndarray:
        """Return the network's own numbers; warn of columns that lie far outside the rows that it learned from.

        Rows that lack a value are left out.
        """
        if self.task is None:
            return self.values
        scaled = self.task.scaled(self.values[self._whole])
        each = scaled if scaled.ndim == 2 else scaled[0]  # rows apart are held for all steps
        reach = self.task.reach
        if reach is None:
            return scaled
        for name, column, low, high in zip(self.task.columns, each.T, *reach, strict=True):
            room = FAR * (high - low)
            far = int(((column < low - room) | (column > high + room)).sum())
            if far:
                LOG.warning("%s: %d of %d values lie far outside the rows it learned from", name, far, len(column))
        return scaled

    def in_units(self, outputs: np.ndarray) -> np.ndarray:
        """Return outputs (..., O) of the network in the unit that the table has of its target.

        They are NaN of rows that lack a value, which were not presented.
        """
        if self.task is None:
            return outputs
        found, whole = self.task.in_units(outputs), self._whole
        if whole.all():
            return found
        every = np.full((len(whole), found.shape[-1]), np.nan)
        every[whole] = found
        return every

    @property
    def _whole(self) -> np.ndarray:
        return np.asarray(~np.isnan(self.values).any(axis=1))


def read_inputs(path: Path, config: RunConfig) -> FileInputs:
    """Read a file of inputs for a run's network.

    Args:
        path: .npy of (T, B, I) or (T, I), the network's own numbers; or a table, .csv or .parquet, a step a row: where
            the run learned from a table, it is read as that was (what was taken is logged), else all columns are taken.
        config: the run's.

    Raises:
        InputError: no such file, not a regular one, too large, damaged, no numbers, or no column of a name.
    """
    if path.suffix not in ENDINGS:
        raise InputError(f"inputs: {path}: its name must end in {' or '.join(ENDINGS)}")
    if path.suffix in TABLES:
        table = TASKS.get(config.task_name)(config.task).table
        return FileInputs(_all_columns(path)) if table is None else _rows(path, table)
    try:
        data = read_regular(path, LARGEST)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a file of inputs") from None
    if len(data) > LARGEST:
        raise InputError(f"{path}: more than {LARGEST >> 30} GiB; present it in parts")
    return FileInputs(_npy(path, data))


def _rows(path: Path, task: InUnits) -> FileInputs:
    """Read a table as the task's own was read; say what was taken and what was left."""
    rows = task.read(path)
    for line in rows.account:
        if line.startswith("warning: "):
            LOG.warning("data: %s", line.removeprefix("warning: "))
        else:
            LOG.info("data: %s", line)
    return FileInputs(rows.values, task, rows.times)


def _npy(path: Path, data: bytes) -> np.ndarray:
    """Read the format by its header alone: what it says of sizes is checked before memory is taken."""
    stream = io.BytesIO(data)
    try:
        shape, fortran, dtype = read_header(stream)
    except ValueError as error:
        raise InputError(f"{path}: no .npy file ({error}); write it with numpy.save") from None
    if dtype.hasobject or dtype.kind not in "biuf":
        raise InputError(f"{path}: holds {str(dtype)[:40]}, not numbers; save a float array (T, B, I)")
    size = dtype.itemsize
    for length in shape:
        size *= length
    if len(data) - stream.tell() != size:
        raise InputError(f"{path}: {len(data) - stream.tell()} bytes of numbers, its header says {size}; copy it again")
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def _all_columns(path: Path) -> np.ndarray:
    """Read a table of the network's own numbers, a step a row: all columns that have a name."""
    sheet = read_sheet(path)
    names = [name for name in sheet.names if name]
    columns, _, bad = sheet.read([sheet.names.index(name) for name in names])
    gaps = [(name, column, np.flatnonzero(~np.isfinite(column))) for name, column in zip(names, columns, strict=True)]
    problems = bad.problems() + [
        f"{sheet.label}:{sheet.lines[row]}: {name}: missing; fill it, or leave the row out"
        for name, _, rows in gaps
        if not bad.count(name)
        for row in rows.tolist()
    ]
    if problems:
        more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise InputError(f"{sheet.label}: cannot be read as numbers", [*problems[:SHOWN], *more])
    return np.stack(columns, axis=1)
