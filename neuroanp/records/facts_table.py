"""Facts of runs as a table for other programs: CSV, one column for every number, or JSON as the commands print it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from neuroanp.errors import printable
from neuroanp.records.json_io import finite

FORMULA = ("=", "+", "-", "@")
"""How a text begins that a spreadsheet would compute."""


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table with a row for each run; scores and controls have a column each, such as score.accuracy.

    Numbers have all their digits; what is not there is empty. A text that a spreadsheet would take for a formula
    begins with a quote.

    >>> print(as_csv([{"name": "a", "score": {"accuracy": 0.5}}, {"name": "b", "score": None}]), end="")
    name,score.accuracy
    a,0.5
    b,
    """
    flat = [_flat(row) for row in rows]
    columns: dict[str, None] = {}
    for row in flat:
        columns |= dict.fromkeys(row)
    first = [name for name in columns if "." not in name]
    parts = sorted(name for name in columns if "." in name)
    whole = {name.partition(".")[0] for name in parts}
    names = [name for name in first if name not in whole] + parts
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([[_cell(row.get(name)) for name in names] for row in flat])
    return out.getvalue()


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return {"results": [...]}; numbers that are not finite become null."""
    return json.dumps({"results": finite([*rows])}, indent=1, allow_nan=False) + "\n"


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{part}": one for part, one in value.items()}
        else:
            found[name] = value
    return found


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, str):
        said = printable(value).replace("\n", " ")
        return f"'{said}" if said.startswith(FORMULA) else said
    return json.dumps(value) if isinstance(value, bool | float) else value
