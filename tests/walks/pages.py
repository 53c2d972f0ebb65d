"""Read a page of the docs as what a reader types: files to write, commands, Python, in order.

A fence says what its block is: `bash` are commands, `python` goes into a session that lasts for the page, and any block
with a `title="NAME"` is a file of that name. All else (text, outputs) is not run. Comments above a fence, which a page
does not show, say how tests run it:

    <!-- run: --seeds 5 -> --seeds 2 -->     replace a text of the block, which must be there, to be quick
    <!-- exit: 2 -->                           the block ends with this exit code
    <!-- not run: REASON -->                   needs what a test has not: a network, a cluster, an editor
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"(?P<said>(?:^[ ]*<!--(?:(?!-->).)*-->[ ]*\n\s*)*)"
    r"^(?P<indent>[ ]*)```(?P<head>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
TITLE = re.compile(r'title="([^"]+)"')
RUN = ("bash", "python")


@dataclass(frozen=True)
class Block:
    """One block of a page that is run or written.

    Args:
        line: where its fence stands. language: of its fence. text: as the page has it. small: as tests run it.
        title: the file that it is; None where it is run. code: the exit code it ends with. skipped: why it is not run.
    """

    line: int
    language: str
    text: str
    small: str
    title: str | None
    code: int
    skipped: str | None


def blocks(page: Path) -> list[Block]:
    """Return what a reader of the page writes and runs, in order; ValueError for a comment that does not fit."""
    whole = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(whole):
        line = whole.count("\n", 0, match.start("head")) + 1
        language, _, rest = match["head"].strip().partition(" ")
        titled = TITLE.search(rest)
        if language not in RUN and titled is None:
            continue
        indent = len(match["indent"])
        text = "".join(one[indent:] or "\n" for one in match["body"].splitlines(keepends=True))
        said = re.findall(r"<!--\s*(.*?)\s*-->", match["said"], re.DOTALL)
        small, code, skipped = _as_said(said, text, f"{page.name}:{line}")
        found.append(Block(line, language, text, small, titled[1] if titled else None, code, skipped))
    return found


def _as_said(said: list[str], text: str, where: str) -> tuple[str, int, str | None]:
    """Return the text as tests run it, its exit code, and why it is not run."""
    code, skipped = 0, None
    for one in said:
        kind, _, rest = one.partition(": ")
        if kind == "run":
            old, arrow, new = rest.partition(" -> ")
            if not arrow or old not in text:
                raise ValueError(f"{where}: {old!r} is not in the block")
            text = text.replace(old, new)
        elif kind == "exit":
            code = int(rest)
        elif kind == "not run":
            skipped = rest
        else:
            raise ValueError(f"{where}: {one!r}: run: OLD -> NEW, exit: N, or not run: REASON")
    return text, code, skipped
