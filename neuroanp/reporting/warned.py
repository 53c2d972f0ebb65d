"""Group what a page warns of: one sentence for all methods of which the same is to be said, and theirs below it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple


class Warned(NamedTuple):
    """A warning.

    Args:
        said: the sentence. each: those that it stands for, with their numbers; empty where it is alone.
    """

    said: str
    each: tuple[str, ...] = ()


def grouped(lines: Sequence[str], labels: Sequence[str]) -> list[Warned]:
    """Return the warnings, those that differ in nothing but the method and the numbers as one.

    Args: lines: sentences, of which those of one method begin with its label. labels: of the methods.

    >>> lines = ["a has not learned: 1 against 2.", "b has not learned: 3 against 4.", "One seed.", "One seed."]
    >>> [(one.said, len(one.each)) for one in grouped(lines, ["a", "b"])]
    [('2 methods, each: has not learned (a, b).', 2), ('One seed.', 0)]
    >>> grouped(["a: 2 of 3 runs.", "b: 1 of 3 runs."], ["a", "b"])[0].said
    '2 methods, each: … of … runs (a, b).'
    """
    found: dict[str, dict[str, str]] = {}
    for line in dict.fromkeys(lines):
        label = max((name for name in labels if line.startswith((f"{name} ", f"{name}: "))), key=len, default="")
        rest = line[len(label) :]
        found.setdefault(re.sub(r"\d[\d.e+-]*", "#", rest) if label else line, {})[line] = label
    return [_one(rest, lines) for rest, lines in found.items()]


def _one(rest: str, lines: dict[str, str]) -> Warned:
    if len(lines) == 1:
        return Warned(next(iter(lines)))
    whole = rest.removeprefix(":").strip().rstrip(".")
    before, found, _ = whole.partition("#")
    point, colon, _ = before.rpartition(":")  # what stands before a colon is said of all, its numbers of each
    stem = point if found and colon else whole.replace("#", "…")
    names = ", ".join(dict.fromkeys(lines.values()))
    return Warned(f"{len(lines)} methods, each: {stem} ({names}).", tuple(lines))
