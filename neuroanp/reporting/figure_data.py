"""Read the numbers out of a figure: what its lines, bands, bars and maps show, as a table of CSV."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroanp.errors import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

COLUMNS = ("panel", "series", "x axis", "y axis", "x", "y", "low", "high", "value")
NAMELESS = re.compile(r"(_child\d+)?")
DECORATION = "decoration"
"""The gid of what a figure draws without showing a number by it."""
FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""

Row = tuple[str, ...]
Band = tuple[np.ndarray, np.ndarray, np.ndarray]


def csv_of(figure: Figure) -> str:
    """Return what a figure shows: a row a point, with its panel, series and axes; of maps a row a cell.

    low and high: the ends of a band. Numbers are written such that they come back to the last bit. x is empty of lines
    across the whole panel.

    >>> from matplotlib.figure import Figure
    >>> figure = Figure()
    >>> _ = figure.subplots().plot([1, 2], [0.5, 0.25], label="pcm")
    >>> print(csv_of(figure))
    panel,series,x axis,y axis,x,y,low,high,value
    1,pcm,,,1.0,0.5,,,
    1,pcm,,,2.0,0.25,,,
    <BLANKLINE>
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, axes in enumerate(figure.axes, 1):
        if axes.get_label() != "<colorbar>":
            names = [axes.get_title(loc="left") or axes.get_title() or str(number)]
            names += [axes.get_xlabel(), axes.get_ylabel()]
            for series, *values in _rows(axes):
                panel, x, y = map(_word, names)
                writer.writerow([panel, _word(series), x, y, *values])
    return text.getvalue()


def _rows(axes: Axes) -> Iterator[Row]:
    """Return series, x, y, low, high and value of each point."""
    from matplotlib.collections import PolyCollection
    from matplotlib.lines import AxLine
    from matplotlib.patches import Rectangle

    bands = {str(one.get_label()): _band(one) for one in axes.collections if isinstance(one, PolyCollection)}
    shown = [line for line in axes.lines if line.get_gid() != DECORATION and not isinstance(line, AxLine)]
    for number, line in enumerate(shown, 1):
        name = str(line.get_label())
        yield from _line(line, axes, bands.pop(name, None), f"line {number}" if NAMELESS.fullmatch(name) else name)
    for name, band in bands.items():
        if band is not None:
            yield from (
                (name, *map(_number, (x, math.nan, low, high, math.nan))) for x, low, high in zip(*band, strict=True)
            )
    for bar in axes.patches:
        if isinstance(bar, Rectangle):
            yield _bar(bar)
    for image in axes.images:
        name = str(image.get_label())
        values = np.asarray(image.get_array(), dtype=float)
        if values.ndim == 2:
            for (row, column), value in np.ndenumerate(values):
                yield "map" if NAMELESS.fullmatch(name) else name, str(column + 1), str(row + 1), "", "", _number(value)


def _line(line: Line2D, axes: Axes, band: Band | None, name: str) -> Iterator[Row]:
    x_of_data, y_of_data = line.get_transform().contains_branch_seperately(axes.transData)
    if not y_of_data:  # a mark across the panel, at a place that it shares with all others
        return
    there, up = line.get_data(orig=True)
    xs, ys = np.asarray(there, dtype=float), np.asarray(up, dtype=float)
    if not x_of_data:
        yield name, "", _number(ys[0]), "", "", ""
        return
    low, high = (np.full(len(xs), math.nan),) * 2
    if band is not None and np.array_equal(band[0], xs):
        _, low, high = band
    for x, y, least, most in zip(xs, ys, low, high, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            yield name, _number(x), _number(y), _number(least), _number(most), ""


def _band(one: PolyCollection) -> Band | None:
    """Return x, low and high of what `fill_between` drew: its outline goes along the one and back along the other."""
    paths = one.get_paths()
    points = np.asarray(paths[0].vertices) if len(paths) == 1 else np.empty((0, 2))
    if len(points) < 5:
        return None
    count = (len(points) - 3) // 2
    there, back = points[1 : count + 1], points[count + 2 : 2 * count + 2][::-1]
    low, high = np.minimum(there[:, 1], back[:, 1]), np.maximum(there[:, 1], back[:, 1])
    return (there[:, 0], low, high) if np.array_equal(there[:, 0], back[:, 0]) else None


def _bar(bar) -> Row:
    """Return a bar of a histogram, or of costs that lie beside one another."""
    x, y, width, height = bar.get_x(), bar.get_y(), bar.get_width(), bar.get_height()
    return "bar", _number(x), _number(y), _number(x + width), _number(y + height), ""


def _number(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else ""


def _word(text: str) -> str:
    """Return a name as it is, without what a spreadsheet would compute or a terminal obey.

    A leading "_" is of matplotlib: it keeps a line out of the legend.
    """
    plain = printable(" ".join(text.split())).removeprefix("_").replace(r"\$", "$")
    return f"'{plain}" if plain.startswith(FORMULA) else plain


def read_back(text: str) -> Sequence[dict[str, str]]:
    """Return the rows of `csv_of` by the name of each column."""
    return list(csv.DictReader(io.StringIO(text)))
