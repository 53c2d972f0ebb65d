"""The numbers of a run, one row an update, as they are read back whatever happened."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from neuroanp.errors import InputError
from neuroanp.records.json_io import read_limited

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

MAX_BYTES = 512 * 2**20
GREY = "#9AA5B1"
ROWS = 3
"""Shown of a curve in a notebook, at each end."""

Number = float | int | None


@dataclass(frozen=True)
class Metrics:
    r"""Columns of numbers, all of one length; NaN where a row has no value.

    Args:
        columns: values by column name. Those of a training run: update, train_loss, update_norm,
            lr, saturated, unverified, test_loss, test_loss_noise_free, spectral_radius (and validation_loss, where
            sequences are kept for it, and return, of a world, the mean of test episodes); energy_J, chip_time_s,
            pulses, wear and wall_s are cumulative. Any others are kept.
        controls: losses of the controls by name, for the plot.
        skipped: how many rows were unreadable and left out.

    >>> metrics = Metrics.parse("update,train_loss\n1,0.5\n2,0.25\n3,0.1")  # the last line was cut
    >>> metrics["train_loss"], len(metrics)
    ([0.5, 0.25], 2)

    >>> metrics.series("train_loss"), type(metrics.plot()).__name__
    (([1.0, 2.0], [0.5, 0.25]), 'ShownOnce')
    """

    columns: dict[str, list[float]]
    controls: dict[str, float] = field(default_factory=dict)
    skipped: int = 0

    @classmethod
    def parse(cls, text: str, controls: Mapping[str, float] | None = None) -> Metrics:
        """Read CSV text; what follows the last newline was cut off in writing and is left out.

        Args: text: of the file. controls: losses of the controls by name.

        Raises: InputError: a header with empty or equal names.
        """
        lines = text.split("\n")[:-1]
        names = lines[0].split(",") if lines else []
        if len(set(names)) != len(names) or not all(names):
            raise InputError(f"metrics: the header {names!s:.200} is damaged; restore the file from a copy")
        rows = [values for line in lines[1:] if (values := _values(line, len(names))) is not None]
        columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
        return cls(columns, dict(controls or {}), skipped=max(len(lines) - 1, 0) - len(rows))

    @classmethod
    def read(cls, path: Path, controls: Mapping[str, float] | None = None) -> Metrics:
        """Read a CSV file; one that does not exist yet is empty.

        Args: path: of the file. controls: losses of the controls by name.

        Raises: InputError: it is no such file.

        >>> len(Metrics.read(Path("runs/none/metrics.csv")))
        0
        """
        if not path.exists():
            return cls({}, dict(controls or {}))
        try:
            return cls.parse(read_limited(path, MAX_BYTES).decode("utf-8"), controls)
        except (UnicodeDecodeError, InputError) as error:
            raise InputError(f"{path}: damaged ({error})") from error

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

    def _repr_html_(self) -> str:
        """Return the first and the last rows as a notebook shows them, of columns that have a value."""
        from neuroanp.markup import lines, table

        names = [name for name, values in self.columns.items() if any(map(math.isfinite, values))]
        whole = ("update", "pulses", "unverified")
        rows = [
            [_shown(self.columns[name][at], name in whole) if at is not None else "…" for name in names]
            for at in _ends(len(self))
        ]
        return lines([repr(self)]) + (table(names, rows) if names else "")

    def series(self, name: str) -> tuple[list[float], list[float]]:
        """Return (updates, values) of the rows in which column `name` has a finite value."""
        if name not in self.columns:
            return [], []
        pairs = [(u, v) for u, v in zip(self["update"], self[name], strict=True) if math.isfinite(v)]
        return [u for u, _ in pairs], [v for _, v in pairs]

    def to_dataframe(self) -> DataFrame:
        """Return the rows as a data frame of pandas (the extra `frames`): a column for each of `columns`.

        Raises:
            InputError: pandas is not installed.

        >>> Metrics({"update": [0.0, 10.0], "train_loss": [0.5, 0.25]}).to_dataframe()
           update  train_loss
        0       0        0.50
        1      10        0.25
        """
        from neuroanp.tables.frames import frame

        found = frame(self.columns)
        whole = [name for name in ("update",) if name in self.columns]
        return found.astype(dict.fromkeys(whole, "int64"))

    def plot(self) -> Figure:
        """Draw the learning curve with the controls as labelled horizontal lines; return the figure."""
        import matplotlib.pyplot as plt  # lazy: half a second

        from neuroanp.records.figure import ShownOnce

        figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained", FigureClass=ShownOnce)
        of_world = "return" in self  # minus rewards have no logarithm
        for name, colour in (("return", "#0072B2"),) if of_world else (("train_loss", GREY), ("test_loss", "#0072B2")):
            updates, values = self.series(name)
            if values:
                axes.plot(updates, values, color=colour, label=name.replace("_", " "), lw=1.6)
        for name, loss in () if of_world else self.controls.items():
            if math.isfinite(loss) and loss > 0:
                axes.axhline(loss, color="#555555", lw=0.8, ls=(0, (4, 3)), zorder=1)
                axes.annotate(
                    name.replace("_", " "), (1, loss), xycoords=("axes fraction", "data"), xytext=(4, 0),
                    textcoords="offset points", va="center", fontsize="small", color="#555555",
                )  # fmt: skip
        axes.set(xlabel="update", ylabel="return" if of_world else "loss", yscale="linear" if of_world else "log")
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
        return figure


def _ends(count: int) -> list[int | None]:
    """Return the first and the last of so many rows, and None for those between.

    >>> _ends(4), _ends(20)
    ([0, 1, 2, 3], [0, 1, 2, None, 17, 18, 19])
    """
    return [*range(count)] if count <= 2 * ROWS else [*range(ROWS), None, *range(count - ROWS, count)]


def _shown(value: float, whole: bool) -> str:
    """Write a number of a table; nothing where there is none.

    >>> _shown(0.012345, False), _shown(12.0, True), _shown(float("nan"), False)
    ('0.0123', '12', '')
    """
    if not math.isfinite(value):
        return "" if math.isnan(value) else str(value)
    return f"{value:,.0f}" if whole else f"{value:.3g}"


def _values(line: str, count: int) -> list[float] | None:
    """Return a row's numbers (NaN for an empty cell), or None if it is not such a row."""
    cells = line.split(",")
    if len(cells) != count or not line.isascii() or "_" in line:  # float() takes more than we write
        return None
    try:
        return [float(cell) if cell else math.nan for cell in cells]
    except ValueError:
        return None
