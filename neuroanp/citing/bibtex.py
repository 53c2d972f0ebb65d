"""BibTeX entries: what a source says of itself, word for word, with the DOI and the arXiv number that are in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from unicodedata import normalize

from neuroanp.citing.sources import ARXIV, DOI, YEAR
from neuroanp.errors import printable

_SPECIAL = {
    "\\": r"\textbackslash ", "{": r"\textbraceleft ", "}": r"\textbraceright ", "%": r"\%", "&": r"\&", "#": r"\#",
    "_": r"\_", "$": r"\$", "~": r"\textasciitilde ", "^": r"\textasciicircum ", "@": r"\symbol{64}",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One thing to cite.

    Args:
        of: what of the run it is of, such as "rule anp". kind: of entry, "misc" or "software".
        fields: by BibTeX's names, plain text. key: in BibTeX; "" until `bibtex` or `keyed` gives one.
    """

    of: str
    kind: str
    fields: Mapping[str, str] = field(default_factory=dict)
    key: str = ""

    @classmethod
    def of_text(cls, of: str, text: str, doi: str | None = None) -> Entry:
        """Return the entry of a source as it is written; its DOI, arXiv number and year are taken from the text.

        A year is the last in parentheses, or else the last one.

        >>> Entry.of_text("rule wp", "Spall, IEEE Trans. Autom. Control 37, 332 (1992)").fields["year"]
        '1992'
        """
        fields = {"note": " ".join(text.split())}
        if (year := _year(text)) is not None:
            fields["year"] = year
        number, own = ARXIV.search(text), DOI.search(text)
        if number is not None:
            fields |= {"eprint": number[1], "archiveprefix": "arXiv"}
        found = doi or (own[1] if own is not None else None)
        if found is not None and DOI.fullmatch(found):
            fields["doi"] = found
        return cls(of, "misc", fields)

    def plain(self) -> dict[str, Any]:
        """Return it for machines."""
        return {"key": self.key, "type": self.kind, "of": self.of, "fields": dict(self.fields)}


def bibtex(entries: Iterable[Entry]) -> str:
    """Return entries as a .bib file; what two parts of a run share is there once.

    >>> print(bibtex([Entry.of_text("task x", "A & B, arXiv 2405.08967")]), end="")
    % task x
    @misc{task_x,
      note = {A \\& B, arXiv 2405.08967},
      eprint = {2405.08967},
      archiveprefix = {arXiv},
    }
    """
    return "\n".join(map(_written, keyed(entries)))


def keyed(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries with a key each; those that are of one publication become one, of both things."""
    merged: dict[tuple[str, ...], Entry] = {}
    for one in entries:
        same = _same(one)
        there = merged.get(same)
        if there is None:
            merged[same] = one
        elif one.of not in there.of.split(", "):
            merged[same] = replace(there, of=f"{there.of}, {one.of}")
    found, used = [], set[str]()
    for one in merged.values():
        base = re.sub(r"[^a-z0-9]+", "_", one.of.partition(",")[0].lower()).strip("_") or "source"
        key, n = base, 2
        while key in used:
            key, n = f"{base}_{n}", n + 1
        used.add(key)
        found.append(replace(one, key=key))
    return found


def _same(one: Entry) -> tuple[str, ...]:
    """Return what two entries of one publication share: the DOI, the arXiv number, or else every word."""
    for name in ("doi", "eprint"):
        if name in one.fields:
            number = one.fields[name].lower().removeprefix("10.48550/arxiv.")
            return (number,)
    return (one.kind, *sorted(one.fields.values()))


def _written(one: Entry) -> str:
    lines = [
        f"  {name} = {{{value if name in ('doi', 'url') else _escaped(value)}}}," for name, value in one.fields.items()
    ]
    of = printable(one.of).replace("@", " ").replace("\n", " ")
    return "\n".join([f"% {of}", f"@{one.kind}{{{one.key},", *lines, "}", ""])


def _escaped(text: str) -> str:
    """Return a text as LaTeX prints it; its braces cannot end a field."""
    return "".join(_SPECIAL.get(character, character) for character in printable(normalize("NFC", text)))


def _year(text: str) -> str | None:
    inside = re.findall(r"\((?:[^()]*\b)?(1[89]\d\d|20\d\d)\)", text)
    plain = [found[0] for found in YEAR.finditer(ARXIV.sub("", DOI.sub("", text)))]
    return (inside or plain or [None])[-1]
