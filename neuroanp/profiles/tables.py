"""Read measured numbers from CSV and npz files.

A CSV file names its columns in the first line; lines that begin with # are comments. An npz file
holds one array a column. A column of a quantity carries its unit in its name: target_uS, sd_nS.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import zipfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

from neuroanp.errors import InputError, did_you_mean
from neuroanp.files import not_utf8, opening, read_regular
from neuroanp.tables.npy import read_header
from neuroanp.units import Dimension
from neuroanp.yaml_io import display

MAX_BYTES = 64 * 2**20
"""Largest file that is read, and largest content of an npz file once unpacked."""

MAX_COLUMNS = 64
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How the members of an npz file may be packed: as numpy.savez does, and numpy.savez_compressed."""


@dataclass(frozen=True)
class Table:
    """Columns of numbers and where each row was written; two tables of one content are equal.

    Args:
        label: the file's name in messages.
        sha256: of the file's content, hexadecimal.
        columns: finite numbers by name, (rows,) float64 each.
        lines: line of each row in a CSV file; None for npz.
    """

    label: str = field(compare=False)
    sha256: str
    columns: Mapping[str, np.ndarray] = field(compare=False)
    lines: Sequence[int] | None = field(compare=False, default=None)

    @property
    def rows(self) -> int:
        """How many rows there are, one at least."""
        return len(next(iter(self.columns.values())))

    def place(self, row: int) -> str:
        """Return where a row was written: "file:line", or "file: row 3" of arrays (counted from 0)."""
        return f"{self.label}: row {row}" if self.lines is None else f"{self.label}:{self.lines[row]}"


def read_table(path: Path, names: Sequence[str] | None = None, max_bytes: int = MAX_BYTES) -> Table:
    """Read a CSV or npz file of numbers.

    Args:
        path: a file that ends in .csv or .npz.
        names: the columns wanted, all required; others are not looked at. None: all columns.
        max_bytes: refuse files beyond this, packed or unpacked.

    Raises:
        ValueError: "file:line: what; remedy" for a file that cannot be read, columns that are missing
            or named twice, cells that are empty or not finite numbers, and rows of unequal length.
    """
    path = Path(path)
    label = display(path)
    readers = {".csv": _csv, ".npz": _npz}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"{label}: not a .csv or .npz file; save the table as one of them")
    raw = _content(path, label, max_bytes)
    columns, lines = read(raw, label, names, max_bytes)
    return Table(label, sha256(raw).hexdigest(), columns, lines)


def quantities(table: Table, units: Mapping[str, str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Return columns in SI units by the names without their unit: "target_uS" as "target".

    Args:
        table: what was read.
        units: the columns wanted and the SI unit of each ("" for a plain number).
        optional: those of them that may be absent.

    Raises:
        ValueError: a column is missing, is there in two units, or has a unit of another dimension.

    >>> table = Table("t.csv", "", {"target_uS": np.array([0.0, 25.0])})
    >>> quantities(table, {"target": "S"})["target"].tolist()
    [0.0, 2.5e-05]
    """
    found: dict[str, np.ndarray] = {}
    for name, unit in units.items():
        matching = [key for key in table.columns if key == name or key.rpartition("_")[0] == name]
        if len(matching) > 1:
            raise ValueError(f"{table.label}: columns {' and '.join(matching)} are both '{name}'; keep one")
        if matching:
            scale = _scale(table.label, matching[0], name, unit)
            whole = round(1.0 / scale)  # to divide by 1e6 rounds to what is meant, to multiply by 1e-6 does not
            column = table.columns[matching[0]]
            found[name] = column / whole if math.isclose(whole * scale, 1.0) else column * scale
        elif name not in optional:
            known = ", ".join(table.columns)
            raise ValueError(f"{table.label}: no column '{_example(name, unit)}' (columns: {known}); add it")
    return found


def _content(path: Path, label: str, max_bytes: int) -> bytes:
    """Return a regular file's bytes."""
    remedy = "name a .csv or .npz file"
    try:
        with opening(label, f"a directory; {remedy}"):
            raw = read_regular(path, max_bytes, remedy)
    except InputError as error:
        raise ValueError(error.message) from None
    if len(raw) > max_bytes:
        raise ValueError(f"{label}: larger than {_shown(max_bytes)}; shorten or thin it")
    return raw


def _shown(size: int) -> str:
    return f"{size / 2**20:g} MiB" if size >= 2**20 else f"{size / 2**10:g} KiB"


def _csv(
    raw: bytes, label: str, names: Sequence[str] | None, max_bytes: int
) -> tuple[dict[str, np.ndarray], Sequence[int]]:
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(not_utf8(raw, error.start, label).message) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    header: list[str] = []
    wanted: dict[str, int] = {}
    values: list[array] = []
    lines = array("l")
    gap = 0
    try:
        for row in reader:
            if not row or (len(row) == 1 and not row[0].strip()):
                gap = gap or reader.line_num
            elif row[0].startswith("#"):
                continue
            elif not header:
                header, gap = [cell.strip() for cell in row], 0
                wanted = _wanted(header, names, f"{label}:{reader.line_num}")
                values = [array("d") for _ in wanted]
            else:
                if gap:
                    raise ValueError(f"{label}:{gap}: an empty line between rows: a gap; close or delete it")
                _append(values, wanted, row, len(header), f"{label}:{reader.line_num}")
                lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(f"{label}:{reader.line_num}: not CSV ({error})") from None
    if not lines:
        what = "the file is empty" if not header else "no row below the names of the columns"
        raise ValueError(f"{label}: {what}; the first line names the columns, numbers follow")
    return {name: np.array(column) for name, column in zip(wanted, values, strict=True)}, lines


def _wanted(header: list[str], names: Sequence[str] | None, where: str) -> dict[str, int]:
    """Return the position of each wanted column in a header line."""
    if all(_number(cell) is not None for cell in header):
        raise ValueError(f"{where}: the first line must name the columns, e.g. 'target_uS,sd_uS'")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise ValueError(f"{where}: columns are separated by commas, not by semicolons or tabs")
    return {name: header.index(name) for name in _checked(header, names, where)}


def _checked(header: Sequence[str], names: Sequence[str] | None, where: str) -> Sequence[str]:
    """Return the wanted names; ValueError if the header lacks one or is ambiguous."""
    if len(header) > MAX_COLUMNS:
        raise ValueError(f"{where}: {len(header)} columns; at most {MAX_COLUMNS} are read")
    for name in header:
        if not name:
            raise ValueError(f"{where}: a column has no name; name it")
        if header.count(name) > 1:
            raise ValueError(f"{where}: two columns are named '{name[:40]}'; rename one")
    for name in names or ():
        if name not in header:
            known = ", ".join(header)
            raise ValueError(f"{where}: no column '{name}'{did_you_mean(name, header)} (columns: {known[:200]})")
    return header if names is None else names


def _append(values: list[array], wanted: Mapping[str, int], row: list[str], width: int, where: str) -> None:
    if len(row) != width:
        raise ValueError(f"{where}: {len(row)} cells where the first line names {width} columns")
    for column, (name, position) in zip(values, wanted.items(), strict=True):
        number = _number(row[position])
        if number is None or not math.isfinite(number):
            cell = row[position].strip()[:40]
            what = f"'{cell}' is not a finite number" if cell else "an empty cell: a gap"
            raise ValueError(f"{where}: {name}: {what}; measure it again or delete the row")
        column.append(number)


def _number(cell: str) -> float | None:
    try:
        return (
            None if "_" in cell or not cell.strip().isascii() else float(cell)
        )  # Python's 1_000, digits of any script
    except ValueError:
        return None


def _npz(
    raw: bytes, label: str, names: Sequence[str] | None, max_bytes: int
) -> tuple[dict[str, np.ndarray], Sequence[int] | None]:
    with _damaged(label):
        archive = zipfile.ZipFile(io.BytesIO(raw))
        members = [(info.filename.removesuffix(".npy"), info) for info in archive.infolist()]
    foreign = [info for _, info in members if info.compress_type not in PACKINGS]
    if foreign:  # Python unpacks the others a block at a time, whatever it grows to
        raise ValueError(f"{label}: packed otherwise than numpy does ({foreign[0].filename[:40]}); save it again")
    if sum(info.file_size for _, info in members) > max_bytes:
        raise ValueError(f"{label}: larger than {_shown(max_bytes)} once unpacked; shorten or thin it")
    wanted = _checked([name for name, _ in members], names, label)
    with _damaged(label):
        content = {name: archive.read(info) for name, info in members if name in wanted}
    columns = {name: _member(content[name], f"{label}: {name}") for name in wanted}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"{label}: arrays of equal length, one number at least, are needed; found {shown or 'none'}")
    return columns, None


@contextmanager
def _damaged(label: str) -> Iterator[None]:
    """Turn whatever a damaged archive raises into a ValueError with the file's name."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{label}: not an npz file that can be read ({error}); save it again") from None


def _member(raw: bytes, where: str) -> np.ndarray:
    """Return one array of an npz file; its header is checked before anything of its size is made."""
    stream = io.BytesIO(raw)
    try:
        shape, _, dtype = read_header(stream)
    except ValueError as error:
        raise ValueError(f"{where}: not an array that can be read ({error})") from None
    if len(shape) != 1 or dtype.kind not in "iuf":
        raise ValueError(f"{where}: {dtype} of shape {shape} is no column of numbers; save an array of (rows,) floats")
    if len(raw) - stream.tell() != shape[0] * dtype.itemsize:
        raise ValueError(f"{where}: {len(raw) - stream.tell()} bytes do not hold {shape[0]} numbers; save it again")
    column = np.frombuffer(raw, dtype, shape[0], stream.tell()).astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(column))
    if len(bad):
        raise ValueError(f"{where}[{bad[0]}]: {column[bad[0]]} is not a finite number; measure it again")
    return column


def _scale(label: str, key: str, name: str, unit: str) -> float:
    """Return how many SI units one unit of a column's name is."""
    written = key.removeprefix(name).removeprefix("_")
    if not unit or not written:
        if written != unit:
            raise ValueError(f"{label}: column '{key}' should be '{_example(name, unit)}'")
        return 1.0
    try:
        return Dimension("quantity", unit, f"1 {unit}", positive=True).parse(f"1 {written}")
    except ValueError:
        raise ValueError(f"{label}: column '{key}': '{written}' is no unit of {unit}; e.g. '{name}_{unit}'") from None


def _example(name: str, unit: str) -> str:
    return f"{name}_u{unit}" if unit == "S" else f"{name}_{unit}" if unit else name
