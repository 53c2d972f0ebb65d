"""Show things in notebooks: lines and tables of plain HTML, without styles, such that every viewer shows them alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from neuroanp.errors import printable


def text(said: str) -> str:
    """Return a text as HTML that shows it, hidden characters as escapes.

    >>> text("a < b")
    'a &lt; b'
    """
    return escape(printable(said))


def lines(said: Iterable[str]) -> str:
    """Return sentences, each a line of its own.

    >>> lines(["one", "two"])
    '<div>one</div><div>two</div>'
    """
    return "".join(f"<div>{text(one)}</div>" for one in said)


def listed(said: Iterable[str]) -> str:
    """Return sentences as a list of points.

    >>> listed(["one"])
    '<ul><li>one</li></ul>'
    """
    return f"<ul>{''.join(f'<li>{text(one)}</li>' for one in said)}</ul>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return a table of texts.

    Args: head: a header for each column. rows: a text for each column. caption: what it is of.

    >>> table(["a"], [["1"]])
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>'
    """
    return of_cells([text(one) for one in head], ([text(one) for one in row] for row in rows), caption)


def of_cells(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return a table whose cells are HTML already; all else as `table`."""
    said = f"<caption>{text(caption)}</caption>" if caption else ""
    top = "".join(f"<th>{one}</th>" for one in head)
    body = "".join(f"<tr>{''.join(f'<td>{one}</td>' for one in row)}</tr>" for row in rows)
    return f"<table>{said}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
