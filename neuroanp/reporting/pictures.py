"""Put a figure into a page: drawn for a screen and, anew, for a phone, with the numbers that it shows."""

from __future__ import annotations

import base64
import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuroanp.reporting.figure_data import csv_of
from neuroanp.reporting.style import WIDTH_OF_PHONE, look, narrowed, to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

DARK = {
    "#1f2933": "#e6eaee", "#616e7c": "#a9b4bf", "#e4e7eb": "#343d46", "#9a3b00": "#ff9d5c", "#9aa5b1": "#7d8894",
    "#c5cdd5": "#5b6670", "#c3cad2": "#5b6670", "#ffffff": "#14191e", "#000000": "#e6eaee", "#0072b2": "#2f93d6",
    "#5e4fa2": "#a598ec",
}  # fmt: skip
"""What takes the place of a figure's colours on dark paper; the other colours are seen on both."""


REM = 6.0
"""Letters of the page (rem) in an inch of a figure: 16 px each, of 96 px."""


@dataclass(frozen=True)
class Figure:
    """A figure in the page.

    Args:
        uri: its picture. alt: what it shows, for who cannot see it. caption: what to see, and how it was drawn.
        narrow: its picture for a phone, or "" where there is none: then it scrolls.
        data: the numbers that it shows, as a CSV file in a URI, or "".
        name: of the files it is saved as.
        scrolls: whether it is too wide for a phone, and scrolls there.
        width: in letters of the page (rem), with which it grows on a projector; 0: as wide as the picture is.
    """

    uri: str
    alt: str
    caption: str
    narrow: str = ""
    data: str = ""
    name: str = "figure"
    scrolls: bool = False
    width: float = 0.0


def pictured(draw: Callable[[], Drawing | None], alt: str, caption: str) -> Figure | None:
    """Draw a figure for a page; None where there is nothing to show.

    Args:
        draw: draws it, from nothing. alt, caption: as of `Figure`.
    """
    with look(), uncollected():
        drawing = draw()
        if drawing is None:
            return None
        with narrowed():
            again = draw()
        return placed(drawing, alt, caption, again)


MOST_KEPT = 500_000
"""Things that may wait to be looked through: some 100 MB of figures that are written."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Let garbage be looked for seldom: a figure is thousands of things that refer to each other, and live meanwhile.

    Within another of these, only where much waits.
    """
    if not gc.isenabled():
        if gc.get_count()[0] > MOST_KEPT:
            gc.collect()
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def placed(drawing: Drawing, alt: str, caption: str, again: Drawing | None = None) -> Figure:
    """Return a figure for a page; arguments as of `pictured`. again: it, drawn for a phone; None: it is narrow."""
    data = in_uri(csv_of(drawing).encode(), "text/csv;charset=utf-8")
    scrolls = drawing.get_figwidth() > WIDTH_OF_PHONE
    width = round(REM * drawing.get_figwidth(), 2)
    narrow = "" if again is None else to_uri(again)
    return Figure(to_uri(drawing), alt, caption, narrow, data, file_name(alt), scrolls and not narrow, width)


def to_uri(figure: Drawing) -> str:
    """Return the figure as a data URI, so that the page holds it and the ids in it cannot clash with others'."""
    return in_uri(for_both(to_svg(figure)).encode(), "image/svg+xml")


def in_uri(content: bytes, kind: str) -> str:
    """Return a file's content as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def for_both(svg: str) -> str:
    """Return an SVG file that changes its colours where the page, or the viewer, is dark.

    The colours themselves stay those of light paper, which is what programs take that know no style sheets.
    """
    rules = [
        f'[style*="{what}: {light}"] {{ {what}: {dark} !important }}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
    ]
    dark = f"svg {{ background: {DARK['#ffffff']}; fill: {DARK['#000000']} }}"  # what states no colour is black
    sheet = f"svg {{ background: #fff }} @media (prefers-color-scheme: dark) {{ {dark}"
    style = f"<style>{sheet} {' '.join(rules)} }}</style>"
    return re.sub(r"(<svg\b[^>]*>)", lambda found: found[1] + style, svg, count=1)


def file_name(text: str) -> str:
    """Return a short file name, without an ending, that says what a figure shows.

    >>> file_name("Test loss against energy, chip time and endurance used"), file_name("../..")
    ('test-loss-against-energy-chip-time-and-endurance', 'figure')
    """
    words = re.findall(r"[a-z0-9]+", text.lower())
    short = ""
    for word in words:
        if len(short) + len(word) > 47:
            break
        short += f"{'-' * bool(short)}{word}"
    return short or "figure"
