"""Which rule came out lowest on which device, from the tables of docs/results/rules.md; nothing is computed anew."""

from __future__ import annotations

import re
from collections.abc import Iterator

from website.linked import DOCS

TASKS = {"copy3": "copy 3", "copy5": "copy 5", "parity": "parity", "xor": "noisy XOR", "weather": "weather",
         "mackey_glass": "Mackey-Glass", "adding": "adding"}  # fmt: skip
DEVICES = {"ideal": "Exact arrays (`ideal`)", "pcm": "Phase-change memory (`pcm`)",
           "smtj_koenders": "Magnetic junctions (`smtj_koenders`)"}  # fmt: skip
_CELL = re.compile(r"(\S+) \[\S+\] (\d), \d$")
Row = dict[str, str]


def rows() -> list[Row]:
    """Return the rows of both tables, each by the names of its columns; what was measured on no device is "ideal"."""
    found, head = list[Row](), list[str]()
    for line in (DOCS / "results" / "rules.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if {"method", "class"} <= set(cells):
            head = cells
        elif head and len(cells) == len(head) and not cells[0].startswith("-"):
            found.append({"noise": "ideal", **dict(zip(head, cells, strict=True))})
        elif not cells:
            head = []
    return found


def tables() -> str:
    """Return a table for each device: of each class the method whose median is lowest on a task, and the controls."""
    return "\n".join(
        line
        for device in DEVICES
        for line in _table(device, [row for row in rows() if row["noise"].removesuffix("_tuned") == device])
    )


def _table(device: str, of: list[Row]) -> Iterator[str]:
    classes = [one for one in ("S", "S+", "E", "BP") if any(row["class"] == one for row in of)]
    yield f"### {DEVICES[device]}\n"
    yield f"| task | {' | '.join(f'class {one}' for one in classes)} | ridge, untrained | lagged linear |"
    yield "|" + "---|" * (len(classes) + 3)
    for task, name in TASKS.items():
        ridge, lagged = (next((row.get(task, "") for row in of if row["method"] == method), "")
                         for method in ("ridge, untrained", "lagged linear model"))  # fmt: skip
        if ridge:
            cells = [_lowest([row for row in of if row["class"] == one], task) for one in classes]
            yield f"| {name} | {' | '.join(cells)} | {ridge} | {lagged} |"
    yield ""


def _lowest(of: list[Row], task: str) -> str:
    """Return median, method and how many of eight seeds are below the ridge, of the lowest median."""
    found = [
        (float(cell[1]), cell, row["method"] + ", tuned there" * row["noise"].endswith("_tuned"))
        for row in of
        if (cell := _CELL.match(row.get(task, "")))
    ]
    if not found:
        return "not run"
    _, cell, method = min(found, key=lambda each: each[0])
    return f"**{cell[1]}** {method} ({cell[2]} of 8)"
