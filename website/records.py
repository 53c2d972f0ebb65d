"""Tables of benchmarks/results, with the columns that a page shows."""

from __future__ import annotations

from website.linked import ROOT


def columns(record: str, wanted: dict[str, str]) -> str:
    """Return the first table of a record in benchmarks/results.

    Args:
        record: its name. wanted: heads of columns there, and what they are called here.

    >>> columns("defaults", {"device": "on", "ratio": "ratio"}).splitlines()[2]
    '| ideal | 0.507 |'
    """
    text = (ROOT / "benchmarks" / "results" / f"{record}.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    places = [rows[0].index(name) for name in wanted]
    lines = [list(wanted.values()), ["---"] * len(wanted), *([row[i] for i in places] for row in rows[2:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
