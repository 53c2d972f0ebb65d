"""The row of result.json: its keys, what each may hold, and how it is written and read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from neuroanp.records.json_io import finite, parse

RESULT = "result.json"
RESULT_KEYS = (
    "task", "profile", "backend", "rule", "seed", "status", "updates", "passes", "test_loss", "test_loss_noise_free",
    "score", "controls", "energy_J", "chip_time_s", "pulses", "wear", "run",
)  # fmt: skip
_TEXTS = ("task", "profile", "backend", "rule", "status", "run")
_NOT_NUMBERS = (*_TEXTS, "controls", "score")


def written(row: Mapping[str, Any]) -> bytes:
    """Return a row as the file holds it; numbers that are not finite become null, and other keys are a ValueError.

    >>> written({**dict.fromkeys(RESULT_KEYS), "test_loss": float("nan"), "wear": 0.5}).split()[-5:-1]
    [b'"wear":', b'0.5,', b'"run":', b'null']
    """
    wrong = set(row) ^ set(RESULT_KEYS)
    if wrong:
        raise ValueError(f"a result has exactly {RESULT_KEYS}; missing or unknown: {sorted(wrong)}")
    plain = finite({key: row[key] for key in RESULT_KEYS})
    return (json.dumps(plain, indent=1, allow_nan=False) + "\n").encode()


def read_row(data: bytes) -> tuple[dict[str, Any] | None, str]:
    """Return the row that a file holds, or None and what is wrong with it.

    >>> read_row(b"[]")
    (None, 'not a JSON object')
    """
    try:
        row = parse(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # JSON and UTF-8 errors are ValueErrors
        return None, str(error)
    wrong = wrong_in(row) if isinstance(row, dict) else ["not a JSON object"]
    return (None, "; ".join(wrong)) if wrong else (row, "")


def wrong_in(row: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a row that was read: keys, and values that no table can show.

    >>> wrong_in({**dict.fromkeys(RESULT_KEYS), "test_loss": "low"})
    ['test_loss is no number']
    """
    keys = set(row) ^ set(RESULT_KEYS)
    if keys:
        return [f"missing or unknown keys: {sorted(keys)}"]
    wrong = [f"{name} is no text" for name in _TEXTS if not isinstance(row[name], str | None)]
    wrong += [f"{name} is no number" for name in RESULT_KEYS if name not in _NOT_NUMBERS and not _number(row[name])]
    for name in ("controls", "score"):
        parts = row[name].values() if isinstance(row[name], dict) else [row[name]]
        wrong += [f"{name} holds what is no number"] * (not all(map(_number, parts)))
    return wrong


def _number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
