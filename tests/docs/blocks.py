"""Code blocks of a page: what they are, and what the page says of running them.

A line in italics above a block says what a reader must know: "Not run by the tests: why", or "Exit code 2: why". A
comment above it, which readers do not see, makes it small: `<!-- run: updates=500 -> updates=2; --updates 2 -->`
replaces one text by another, and puts words behind each command that trains; `same` asks that what is printed is what
the page shows. Without one a command that trains is asked for its --dry-run.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

_NOT_RUN = "*Not run by the tests"
_REFUSED = "*Exit code 2: "
_FENCE = re.compile(r"^ *(```+)(\w*)\s*$")
_RUN = re.compile(r"<!-- run: (.*) -->")


@dataclass
class Block:
    """A block of code.

    Args:
        kind: its language, "" for one that is indented. line: of the page where it begins. lines: what it holds.
        not_run, refused: whether the page says so. how: what is in the comment above it.
    """

    kind: str
    line: int
    lines: list[str] = field(default_factory=list)
    not_run: bool = False
    refused: bool = False
    how: str = ""

    @property
    def text(self) -> str:
        """The code, made small as the comment says."""
        text = dedent("\n".join(self.lines)) + "\n"  # a fence may stand in a list
        for part in self.how.split("; "):
            old, arrow, new = part.partition(" -> ")
            if arrow:
                assert old in text, f"line {self.line}: {old!r} is not in the block"
                text = text.replace(old, new)
        return text

    @property
    def behind(self) -> list[str]:
        """The words to put behind each command that trains."""
        parts = [part for part in self.how.split("; ") if part.startswith("--") and " -> " not in part]
        return [word for part in parts for word in shlex.split(part)]

    @property
    def same(self) -> bool:
        """Whether what is printed must be what the page shows."""
        return "same" in self.how.split("; ")


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page: fenced ones, and those that are indented.

    >>> from website.linked import ROOT
    >>> [block.kind for block in blocks(ROOT / "docs" / "concepts" / "passes.md")]
    ['python', 'text', 'sh']
    """
    found, fence, said, how, before = list[Block](), "", "", "", ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        mark, comment = _FENCE.match(line), _RUN.match(line)
        if fence:
            if mark and mark[1] == fence:
                fence, said, how = "", "", ""
            else:
                found[-1].lines.append(line)
        elif mark:
            fence = mark[1]
            found.append(Block(mark[2], number, [], said.startswith(_NOT_RUN), said.startswith(_REFUSED), how))
        elif line.startswith("    ") and line.strip() and (not before.strip() or before.startswith("    ")):
            if before.startswith("    ") and before.strip():
                found[-1].lines.append(line[4:])
            else:
                found.append(Block("", number, [line[4:]], said.startswith(_NOT_RUN), said.startswith(_REFUSED), how))
        elif comment:
            how = comment[1]
        elif line.startswith((_NOT_RUN, _REFUSED)):
            said = line
        elif line.strip() and not (said and before.strip()):  # other words; those of the same paragraph belong to it
            said, how = "", ""
        before = line
    return found
