"""The numbers of a run, one row an update: written by appending, read back whatever happened."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from neuroanp.errors import InputError, RunError
from neuroanp.records.atomic import said, write_all, write_bytes
from neuroanp.records.json_io import read_limited

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_BYTES = 512 * 2**20

Number = float | int | None


@dataclass(frozen=True)
class Metrics:
    """Columns of numbers, all of one length; NaN where a row has no value.

    Args:
        columns: values by column name. Those of a training run: update, train_loss, update_norm,
            lr, saturated, unverified, test_loss, test_loss_noise_free, spectral_radius; energy_J, chip_time_s,
            pulses, wear and wall_s are cumulative. Any others are kept.
        controls: losses of the controls by name, for the plot.
        skipped: how many rows were unreadable and left out.

    >>> metrics = Metrics.parse("update,train_loss\\n1,0.5\\n2,0.25\\n3,0.1")  # the last line was cut
    >>> metrics["train_loss"], len(metrics)
    ([0.5, 0.25], 2)
    """

    columns: dict[str, list[float]]
    controls: dict[str, float] = field(default_factory=dict)
    skipped: int = 0

    @classmethod
    def parse(cls, text: str, controls: Mapping[str, float] | None = None) -> Metrics:
        """Read CSV text; what follows the last newline was cut off in writing and is left out."""
        lines = text.split("\n")[:-1]
        names = lines[0].split(",") if lines else []
        if len(set(names)) != len(names) or not all(names):
            raise InputError(f"metrics: the header {names} is damaged; restore the file from a copy")
        rows = [values for line in lines[1:] if (values := _values(line, len(names))) is not None]
        columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
        return cls(columns, dict(controls or {}), skipped=max(len(lines) - 1, 0) - len(rows))

    @classmethod
    def read(cls, path: Path, controls: Mapping[str, float] | None = None) -> Metrics:
        """Read a CSV file; one that does not exist yet is empty. InputError for one that is none."""
        if not path.exists():
            return cls({}, dict(controls or {}))
        try:
            return cls.parse(read_limited(path, MAX_BYTES).decode("utf-8"), controls)
        except (UnicodeDecodeError, InputError) as error:
            raise InputError(f"{path}: {error}") from error

    def __getitem__(self, name: str) -> list[float]:
        if name not in self.columns:
            raise InputError(f"metrics: no column '{name}' (there are: {', '.join(self.columns) or 'none'})")
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def __repr__(self) -> str:
        last = f", the last of update {int(self['update'][-1])}" if len(self) and "update" in self else ""
        return f"Metrics({len(self)} rows{last}; {', '.join(self.columns) or 'no columns'})"

    def series(self, name: str) -> tuple[list[float], list[float]]:
        """Return (updates, values) of the rows in which column `name` has a finite value."""
        if name not in self.columns:
            return [], []
        pairs = [(u, v) for u, v in zip(self["update"], self[name], strict=True) if math.isfinite(v)]
        return [u for u, _ in pairs], [v for _, v in pairs]

    def plot(self) -> Figure:
        """Draw the learning curve with the controls as labelled horizontal lines; return the figure."""
        import matplotlib.pyplot as plt  # lazy: half a second

        from neuroanp.records.figure import ShownOnce

        figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained", FigureClass=ShownOnce)
        for name, colour in (("train_loss", "#9AA5B1"), ("test_loss", "#0072B2")):
            updates, values = self.series(name)
            if values:
                axes.plot(updates, values, color=colour, label=name.replace("_", " "), lw=1.6)
        for name, loss in self.controls.items():
            if math.isfinite(loss) and loss > 0:
                axes.axhline(loss, color="#555555", lw=0.8, ls=(0, (4, 3)), zorder=1)
                axes.annotate(
                    name.replace("_", " "), (1, loss), xycoords=("axes fraction", "data"), xytext=(4, 0),
                    textcoords="offset points", va="center", fontsize="small", color="#555555",
                )  # fmt: skip
        axes.set(xlabel="update", ylabel="loss", yscale="log")
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
        return figure


def append(path: Path, rows: Sequence[Mapping[str, Number]]) -> None:
    """Append rows to a CSV file and flush it; the first row ever fixes the columns.

    Args:
        path: the file, made if it is missing.
        rows: values by column name; a missing value or None is an empty cell.

    Raises:
        ValueError: a row has a column the file has not.
        RunError: the disk is full; the rows before are intact.
    """
    if not rows:
        return
    with said(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            end, header = _whole_lines(handle)
            names = header or list(rows[0])
            text = "".join(_line(names, row) for row in rows)
            if not header:
                text = ",".join(_name(name) for name in names) + "\n" + text
            _append_or_undo(handle, end, text.encode())
        finally:
            os.close(handle)


def truncate(path: Path, after: int) -> None:
    """Drop the rows past update `after`, and unreadable ones: a resumed run writes them again."""
    if not path.exists():
        return
    lines = read_limited(path, MAX_BYTES).decode("utf-8", "replace").split("\n")[:-1]
    if not lines:
        write_bytes(path, b"")
        return
    names = lines[0].split(",")
    if "update" not in names:
        raise RunError(
            f"{path}: no column 'update' to match rows to the checkpoint; restore the file, or repeat the run"
        )
    at = names.index("update")
    rows = [(line, _values(line, len(names))) for line in lines[1:]]
    kept = [line for line, values in rows if values is not None and values[at] <= after]
    write_bytes(path, "".join(f"{line}\n" for line in [lines[0], *kept]).encode())


def _values(line: str, count: int) -> list[float] | None:
    """Return a row's numbers (NaN for an empty cell), or None if it is not such a row."""
    cells = line.split(",")
    if len(cells) != count:
        return None
    try:
        return [float(cell) if cell else math.nan for cell in cells]
    except ValueError:
        return None


def _line(names: Sequence[str], row: Mapping[str, Number]) -> str:
    unknown = set(row) - set(names)
    if unknown:
        raise ValueError(f"columns {sorted(unknown)} are not in this file's header {list(names)}")
    return ",".join(_cell(row.get(name)) for name in names) + "\n"


def _cell(value: Number) -> str:
    """Return the shortest text that reads back as the same number."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else repr(float(value))


def _name(name: str) -> str:
    if not name or any(c in name for c in ',"\n\r'):
        raise ValueError(f"'{name}' cannot be a column's name")
    return name


def _whole_lines(handle: int) -> tuple[int, list[str]]:
    """Return where the last whole line ends and the header's names."""
    size = os.fstat(handle).st_size
    head = os.pread(handle, min(size, 2**16), 0).partition(b"\n")
    if not head[1]:
        return 0, []
    end, step = size, 2**16
    while end > 0:  # a killed writer may have left half a line: look back for the last newline
        start = max(end - step, 0)
        found = os.pread(handle, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1, head[0].decode("utf-8", "replace").split(",")
        end = start
    return 0, []


def _append_or_undo(handle: int, end: int, data: bytes) -> None:
    os.ftruncate(handle, end)
    os.lseek(handle, end, os.SEEK_SET)
    try:
        write_all(handle, data)
    except OSError:
        os.ftruncate(handle, end)  # half a batch of rows would be taken for all of it
        raise
    os.fsync(handle)
