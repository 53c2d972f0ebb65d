"""One look for all figures: colours that colour-blind readers tell apart, dark text on white, little ink."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from neuroanp.errors import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from neuroanp.reporting.method import Method

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5E4FA2")
"""Okabe and Ito's palette, whose yellow is too light on white; an indigo takes its place."""
LINES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P")
WIDTH_OF_PHONE = 4.1
"""Inches: on a phone its letters are hardly smaller than those of the page."""
_NARROW: ContextVar[bool] = ContextVar("narrow", default=False)
INK, GREY, FAINT, WARN = "#1F2933", "#616E7C", "#E4E7EB", "#9A3B00"

_RC: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "svg.fonttype": "path",  # the page must look the same whatever fonts the reader has
    "svg.hashsalt": "neuroanp",  # the same runs give the same bytes
}


_LOOKS: ContextVar[bool] = ContextVar("the report's look", default=False)


@contextmanager
def look() -> Iterator[None]:
    """Let matplotlib draw with the report's look; within another of these it is that already."""
    import matplotlib as mpl

    if _LOOKS.get():  # matplotlib copies all that it has for each
        yield
        return
    token = _LOOKS.set(True)
    try:
        with mpl.rc_context(_RC):
            yield
    finally:
        _LOOKS.reset(token)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of width x height inches, apart from pyplot's global state."""
    from matplotlib.figure import Figure

    with look():
        return Figure(figsize=(width, height), layout="constrained")


@contextmanager
def narrowed() -> Iterator[None]:
    """Let what is drawn be drawn for a phone: panels below one another, on WIDTH_OF_PHONE."""
    token = _NARROW.set(True)
    try:
        yield
    finally:
        _NARROW.reset(token)


def is_narrow() -> bool:
    """Return whether figures are drawn for a phone."""
    return _NARROW.get()


def fitted(width: float) -> float:
    """Return the width in inches of a figure that takes `width` where there is room for it."""
    return min(width, WIDTH_OF_PHONE) if is_narrow() else width


def to_svg(figure: Figure) -> str:
    """Return the figure as an SVG file without a background: that is the page's.

    What `savefig` does, without the drawing on trial for the layout: the layout is found first, once.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    for text in _texts(figure):
        text.set_text(printable(text.get_text()))  # a control character makes the file no XML
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    buffer = io.StringIO()
    with look():
        figure.set_dpi(72)
        settled(figure)
        figure.set_layout_engine("none")
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    return printable(buffer.getvalue())


def _texts(figure: Figure) -> Iterator[Text]:
    """Yield the texts of a figure but those at ticks, which are ours: to ask for them makes hundreds of ticks."""
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    for thing in figure.get_children():
        for part in thing.get_children() if isinstance(thing, Axes) else [thing]:
            yield from [part.label] if isinstance(part, Axis) else part.findobj(Text)


def settled(figure: Figure) -> None:
    """Find where the panels of a figure are, and what their scales show."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)


def styled(draw):
    """Decorate a function that draws, so that what it makes has the report's look."""
    from functools import wraps

    @wraps(draw)
    def drawing(*args, **kwargs):
        with look():
            return draw(*args, **kwargs)

    return drawing


class Look:
    """Colour, line and marker of each method, the same in every figure.

    One rule: colours tell profiles apart. One profile: colours tell rules apart. Both: colours are
    profiles, lines and markers are rules. Where there are too many of either, each method has its own.
    """

    def __init__(self, group: Sequence[Method]) -> None:
        profiles = list(dict.fromkeys(m.profile for m in group))
        kinds = list(dict.fromkeys(_kind(m) for m in group))
        self._profiles, self._kinds = profiles, kinds
        self._by_kind = len(profiles) == 1
        self._methods = [_name(m) for m in group]
        self.each = not self._by_kind and (len(profiles) > len(COLOURS) or len(kinds) > len(LINES))

    def colour(self, method: Method) -> str:
        """Its colour."""
        if self.each:
            index = self._methods.index(_name(method))
        else:
            index = self._kinds.index(_kind(method)) if self._by_kind else self._profiles.index(method.profile)
        return COLOURS[index % len(COLOURS)]

    def line(self, method: Method):
        """Its line style."""
        if self.each:
            return LINES[self._methods.index(_name(method)) // len(COLOURS) % len(LINES)]
        index = self._kinds.index(_kind(method))
        return LINES[index // len(COLOURS) % len(LINES) if self._by_kind else index % len(LINES)]

    def marker(self, method: Method) -> str:
        """Its marker."""
        index = self._methods.index(_name(method)) if self.each else self._kinds.index(_kind(method))
        return MARKERS[index % len(MARKERS)]


def plain(text: str, limit: int = 60) -> str:
    """Return text that matplotlib draws as it is: no mathematics between dollar signs, nothing hidden, not endless.

    >>> plain("cost in $")
    'cost in \\\\$'
    """
    text = printable(" ".join(text.split()))
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return short.replace("$", r"\$")


def name_levels(axes: Axes, levels: Sequence[tuple[str, float]]) -> None:
    """Write the levels' names right of the axes, on a phone inside; names that would overlap are moved apart."""
    if is_narrow():
        _name_inside(axes, levels)
        figure = axes.get_figure(root=True)
        if figure is not None:
            figure.set_layout_engine("none")  # what is inside moves nothing: panels stay where they were found
        return
    places = spread([axes.transData.transform((1, loss))[1] for _, loss in levels], 13 * axes.figure.dpi / 72)
    for (name, loss), place in zip(levels, places, strict=True):
        height = axes.transAxes.inverted().transform((0, place))[1]
        axes.annotate(
            plain(name), (1, loss), xycoords=("axes fraction", "data"), xytext=(1.035, height),
            textcoords="axes fraction", va="center", fontsize=8.5, color=GREY,
            arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.5, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)},
        )  # fmt: skip


def _name_inside(axes: Axes, levels: Sequence[tuple[str, float]]) -> None:
    """Write the names above their lines, at the right end; lines too close for names of their own share one."""
    from textwrap import fill

    point = axes.figure.dpi / 72
    bottom, top = axes.get_window_extent().y0, axes.get_window_extent().y1
    for names, low, high in _neighbours(axes, levels, 11 * point):
        said = fill(", ".join(plain(name, 30) for name in names), 36, break_long_words=False)
        above = high + point * (2 + 10 * (said.count("\n") + 1)) < top
        height = ((high + 2 * point if above else low - 2 * point) - bottom) / (top - bottom)
        axes.text(
            0.995, height, said, transform=axes.transAxes, ha="right", va="bottom" if above else "top", fontsize=8,
            color=GREY, linespacing=1.1, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
        )  # fmt: skip


def _neighbours(
    axes: Axes, levels: Sequence[tuple[str, float]], gap: float
) -> Iterator[tuple[list[str], float, float]]:
    """Yield names, lowest and highest place in pixels of lines that lie closer than `gap`, each set from the top."""
    places = sorted(((axes.transData.transform((1, loss))[1], name) for name, loss in levels), reverse=True)
    found: list[tuple[list[str], float, float]] = []
    for place, name in places:
        if found and found[-1][1] - place < gap:
            names, _, high = found.pop()
            found.append(([*names, name], place, high))
        else:
            found.append(([name], place, place))
    yield from found


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Move numbers apart by at least `gap`, keeping their order and their middle.

    >>> spread([0, 1, 10], 4)
    [-1.5, 2.5, 10.0]
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    blocks: list[list[float]] = []  # [middle, count]: a block is set around its middle, gap apart
    for i in order:
        blocks.append([float(places[i]), 1])
        while len(blocks) > 1 and _end(blocks[-2], gap) + gap > _start(blocks[-1], gap):
            (m2, n2), (m1, n1) = blocks.pop(), blocks.pop()
            blocks.append([(m1 * n1 + m2 * n2) / (n1 + n2), n1 + n2])
    moved = [_start(block, gap) + gap * k for block in blocks for k in range(int(block[1]))]
    result = [0.0] * len(places)
    for i, value in zip(order, moved, strict=True):
        result[i] = value
    return result


def _start(block: Sequence[float], gap: float) -> float:
    return block[0] - gap * (block[1] - 1) / 2


def _end(block: Sequence[float], gap: float) -> float:
    return block[0] + gap * (block[1] - 1) / 2


def _name(method: Method) -> tuple[str, ...]:
    return method.profile, *_kind(method)


def _kind(method: Method) -> tuple[str, str, str]:
    return method.rule, method.backend, method.variant
