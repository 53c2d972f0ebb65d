"""Find the publications that docstrings and profiles name; nothing is added that is not written there."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

ARXIV = re.compile(r"arXiv[:\s]\s*(\d{4}\.\d{4,5})", re.IGNORECASE)
DOI = re.compile(r"\b(10\.\d{4,9}/[A-Za-z0-9._;()/:-]*[A-Za-z0-9])")
YEAR = re.compile(r"\b(1[89]\d\d|20\d\d)\b")
_SOURCE = re.compile(r"Sources?:\s+(.*)", re.DOTALL)


def in_docstrings(thing: Any) -> list[str]:
    """Return the publications that the module of a class names in its docstrings, in their order.

    Paragraphs that begin with "Source:" or "Sources:" list them, with semicolons between.

    >>> from neuroanp.learning.iterative import INP
    >>> [text.partition(" (")[0] for text in in_docstrings(INP)]
    ['Dalm, Ahmad, van Gerven, arXiv 2310.00965']
    """
    module = sys.modules[thing.__module__]
    own = [one for one in vars(module).values() if _is_of(one, module.__name__)]
    docs = [module.__doc__, *(one.__doc__ for one in own)]
    found = [text for doc in docs if doc for text in _listed(inspect.cleandoc(doc))]
    return [*dict.fromkeys(text for text in found if is_publication(text))]


def is_publication(text: str) -> bool:
    """Return whether a text names one: by a DOI, by arXiv or by a year.

    >>> is_publication("a choice; not a device that was measured"), is_publication("Spall (1992)")
    (False, True)
    """
    return any(pattern.search(text) for pattern in (ARXIV, DOI, YEAR))


def parts_of(text: str) -> list[str]:
    """Split a list of sources at its semicolons, but for those inside parentheses.

    >>> parts_of("A (a; b), 1990; B, 1991.")
    ['A (a; b), 1990', 'B, 1991']
    """
    parts, depth, last = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == ";" and depth <= 0:
            parts.append(text[last:at])
            last = at + 1
    parts.append(text[last:])
    return [cleaned for part in parts if (cleaned := " ".join(part.split()).rstrip("."))]


def _listed(doc: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", doc):
        found = _SOURCE.match(paragraph.strip())
        if found is not None:
            yield from parts_of(found[1])


def _is_of(thing: Any, module: str) -> bool:
    return (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__module__ == module
