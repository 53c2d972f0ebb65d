"""Lines of a text, without a list of millions of strings: where each begins, and which hold a row."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

import numpy as np

BLANKS = (ord(" "), ord("\t"))
COMMENTS = (ord("#"), ord("%"))
_WORDS = re.compile(r"(?:\([^()]*\)|\[[^\[\]]*\]|[^\s(\[])+(?:\s+(?:\([^()]*\)|\[[^\[\]]*\]))?")


class Lines:
    """The lines of a text, counted from 0.

    Args:
        text: the text, lines ended by a line feed.

    Attributes:
        content: (n,) lines that are neither blank nor a comment.
    """

    def __init__(self, text: str) -> None:
        self._raw = text.encode("utf-8", "replace")
        buffer = np.frombuffer(self._raw, dtype=np.uint8)
        starts = np.concatenate([[0], np.flatnonzero(buffer == ord("\n")) + 1])
        self._starts = starts[starts < len(buffer)]
        self.content = self._content(buffer)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> str:
        end = self._starts[index + 1] if index + 1 < len(self) else len(self._raw)
        return self._raw[self._starts[index] : end].decode().rstrip("\n")

    def of(self, indices: np.ndarray) -> Iterator[tuple[int, str]]:
        """Yield some lines with their index."""
        return ((index, self[index]) for index in indices.tolist())

    def text(self, first: int, last: int) -> str:
        """Return the lines from one to another."""
        end = self._starts[last + 1] if last + 1 < len(self) else len(self._raw)
        return self._raw[self._starts[first] : end].decode().rstrip("\n")

    def marks(self, separator: str | None, lines: np.ndarray) -> np.ndarray:
        """Count, in each of some lines, the separators; where those are runs of blanks, the fields less one."""
        buffer = np.frombuffer(self._raw, dtype=np.uint8)
        if separator is not None:
            at = np.flatnonzero(buffer == ord(separator))
        else:
            blank = np.isin(buffer, (*BLANKS, ord("\n")))
            at = np.flatnonzero(~blank & np.concatenate([[True], blank[:-1]]))
        ends = np.append(self._starts[1:], len(buffer))
        found = np.searchsorted(at, ends[lines]) - np.searchsorted(at, self._starts[lines])
        return found if separator is not None else found - 1

    def end_with(self, separator: str, lines: np.ndarray) -> bool:
        """Whether each of some lines ends with the separator."""
        ends = np.append(self._starts[1:] - 1, len(self._raw.removesuffix(b"\n")))
        return bool((np.frombuffer(self._raw, dtype=np.uint8)[ends[lines] - 1] == ord(separator)).all())

    def _content(self, buffer: np.ndarray) -> np.ndarray:
        first = self._starts.copy()
        moving = np.arange(len(first))
        while len(moving):  # past the blanks in front, all lines at once
            moving = moving[np.isin(buffer[first[moving]], BLANKS)]
            first[moving] += 1
            moving = moving[first[moving] < len(buffer)]
        first = np.minimum(first, max(len(buffer) - 1, 0))
        kinds = buffer[first] if len(buffer) else buffer
        comment = np.isin(kinds, COMMENTS)
        for index in np.flatnonzero(comment):
            comment[index] = self[index].lstrip()[:4].lower() != "#n/a"  # a missing value, in the first column
        return np.flatnonzero(~np.isin(kinds, (ord("\n"), *BLANKS)) & ~comment)


def split(line: str, separator: str | None, heading: bool = False) -> list[str]:
    """Return the fields of a line.

    Args:
        line: the line.
        separator: what stands between fields; None: runs of blanks.
        heading: with blanks between fields, "time (us)" is one.

    Raises:
        csv.Error: a quoted field is longer than 131,072 characters, or its quotes are no pairs.
    """
    if separator is None:
        return [word.group().strip() for word in _WORDS.finditer(line)] if heading else line.split()
    if '"' in line:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]
    return [cell.strip() for cell in line.split(separator)]
