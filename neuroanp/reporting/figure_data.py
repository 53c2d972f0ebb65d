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
from neuroanp.tables.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import StepPatch

COLUMNS = ("panel", "series", "x axis", "y axis", "x", "y", "low", "high", "value")
NAMELESS = re.compile(r"(_child\d+|_nolegend_|_container\d+)?")
DECORATION = "decoration"
"""The gid of what a figure draws without showing a number by it."""
FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""

Row = tuple[str, ...]
Band = tuple[np.ndarray, np.ndarray, np.ndarray]


def csv_of(figure: Figure) -> str:
    """Return what a figure shows: a row a point, with its panel, series and axes; of maps a row a cell.

    low and high: the ends of a band, of an error bar, or of a bin. value: of a cell of a map, or the length of a bar,
    whose place is x, or y where bars lie, with its name where the axis has names. Numbers are written such that they
    come back to the last bit. x is empty of lines across the whole panel.

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
    for at, axes in enumerate(figure.axes, 1):
        if axes.get_label() != "<colorbar>":
            names = [axes.get_title(loc="left") or axes.get_title() or str(at)]
            names += [axes.get_xlabel(), axes.get_ylabel()]
            for series, *values in _rows(axes):
                panel, x, y = map(_word, names)
                writer.writerow([panel, _word(series), x, y, *values])
    return text.getvalue()


def _rows(axes: Axes) -> Iterator[Row]:
    """Return series, x, y, low, high and value of each point."""
    from matplotlib.collections import PolyCollection
    from matplotlib.container import BarContainer
    from matplotlib.lines import AxLine
    from matplotlib.patches import StepPatch

    bands = {str(one.get_label()): _band(one) for one in axes.collections if isinstance(one, PolyCollection)}
    errors = dict(_errors(axes))
    lie = any(isinstance(bars, BarContainer) and bars.orientation == "horizontal" for bars in axes.containers)
    beside = _names(axes, "y") if lie else {}  # of marks that lie on such bars
    shown = [line for line in axes.lines if line.get_gid() != DECORATION and not isinstance(line, AxLine)]
    for k, line in enumerate(shown, 1):
        label, band = errors.get(line, (str(line.get_label()), None))
        band = bands.pop(label, None) if band is None else band
        for row in _line(line, axes, band, _named(label, f"line {k}")):
            yield (*row[:2], _nearest(beside, float(row[2])), *row[3:]) if beside else row
    for name, band in bands.items():
        if band is not None:
            yield from (
                (name, *map(_number, (x, math.nan, low, high, math.nan))) for x, low, high in zip(*band, strict=True)
            )
    for bars in axes.containers:
        if isinstance(bars, BarContainer):
            yield from _bars(bars, axes)
    for stairs in axes.patches:
        if isinstance(stairs, StepPatch) and not stairs.get_fill():  # what is filled has an outline that says the same
            yield from _stairs(stairs)
    for image in axes.images:
        name = str(image.get_label())
        values = np.asarray(image.get_array(), dtype=float)
        if values.ndim == 2:
            for (row, column), value in np.ndenumerate(values):
                yield _named(name, "map"), str(column + 1), str(row + 1), "", "", _number(value)


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


def _errors(axes: Axes) -> Iterator[tuple[Line2D, tuple[str, Band]]]:
    """Return of each line with error bars the label of both, and x and the ends of the bars."""
    from matplotlib.container import ErrorbarContainer

    for one in axes.containers:
        if isinstance(one, ErrorbarContainer) and one.has_yerr and one.lines[0] is not None:
            paths = one.lines[2][-1].get_paths()  # also of a bar that is not drawn, since its ends are not finite
            bars = np.array([np.asarray(path.vertices)[:, 1] for path in paths]).reshape(-1, 2)
            xs = np.asarray(one.lines[0].get_xdata(orig=True), dtype=float)
            if len(bars) == len(xs):
                yield one.lines[0], (str(one.get_label()), (xs, bars.min(axis=1), bars.max(axis=1)))


def _bars(bars: BarContainer, axes: Axes) -> Iterator[Row]:
    """Return bars: where each stands, by name if its axis has names, and its length; of a histogram the ends, too."""
    lie = bars.orientation == "horizontal"
    names = _names(axes, "y" if lie else "x")
    for bar in bars.patches:
        start, width = (bar.get_y(), bar.get_height()) if lie else (bar.get_x(), bar.get_width())
        length, middle = bar.get_width() if lie else bar.get_height(), start + width / 2
        if names:
            place, ends = _nearest(names, middle), ("", "")
        else:
            place, ends = _number(middle), (_number(start), _number(start + width))
        x, y = ("", place) if lie else (place, "")
        yield _named(str(bars.get_label()), "bar"), x, y, *ends, _number(length)


def _names(axes: Axes, which: str) -> dict[float, str]:
    """Return the names along an axis by their places; {} where it has numbers."""
    from matplotlib.category import StrCategoryFormatter, StrCategoryLocator
    from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

    axis = axes.yaxis if which == "y" else axes.xaxis
    said, at = axis.get_major_formatter(), axis.get_major_locator()
    named = isinstance(said, FixedFormatter | FuncFormatter | StrCategoryFormatter)
    if not named or not isinstance(at, FixedLocator | StrCategoryLocator):
        return {}
    places = [float(place) for place in at()]
    names = [_word(text) for text in said.format_ticks(places)]
    return {} if all(map(_says_number, names)) else dict(zip(places, names, strict=True))


def _nearest(names: dict[float, str], place: float) -> str:
    return names[min(names, key=lambda at: abs(at - place))]


def _says_number(text: str) -> bool:
    return number(text.replace("\N{MINUS SIGN}", "-")) is not None


def _stairs(stairs: StepPatch) -> Iterator[Row]:
    """Return the bins of a histogram: the middle, the ends and the height of each."""
    name, (values, edges, _) = _named(str(stairs.get_label()), "bins"), stairs.get_data()
    for low, high, value in zip(edges[:-1], edges[1:], values, strict=True):
        yield name, _number((low + high) / 2), "", _number(low), _number(high), _number(value)


def _named(label: str, otherwise: str) -> str:
    """Return the label of a series, or what it is called without one."""
    return otherwise if NAMELESS.fullmatch(label) else label


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
