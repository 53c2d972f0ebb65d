"""Say what each chip was: the facts a run recorded of its device, ready to be set as lists and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neuroanp.reporting.tables import Cell, Column, Row, Table
from neuroanp.reporting.values import MISSING, digits


def text(value: Any) -> str:
    """Write one fact: three digits for numbers, lists with commas.

    >>> text(0.012345), text(["drift", "adc"]), text([]), text(None), text(True)
    ('0.0123', 'drift, adc', 'none', '–', 'yes')
    """
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return digits(float(value))
    if isinstance(value, list | tuple):
        return ", ".join(text(item) for item in value) or "none"
    return str(value)


def _fact(key: str, value: Any) -> str:
    """Write a fact whose name says how: a shape with its sign, what is not stated in words."""
    if key == "shape" and isinstance(value, list):
        return " × ".join(map(text, value))
    return text(value).replace("_", " ") if key == "unstated" else text(value)


def words(key: str) -> str:
    """Return a key as words; a symbol with a one-letter part stays as it is.

    >>> words("effects_on"), words("w_s")
    ('effects on', 'w_s')
    """
    return key if any(len(part) == 1 for part in key.split("_")) else key.replace("_", " ")


def facts(device: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (name, value) of the device's plain facts; nested ones are named by both keys."""
    found = []
    for key, value in device.items():
        if isinstance(value, Mapping):
            if not is_table(value):
                found += [(f"{words(key)}: {name}", said) for name, said in facts(value)]
        else:
            found.append((words(key), _fact(key, value)))
    return found


def parts(device: Mapping[str, Any]) -> list[tuple[str, Table]]:
    """Return (name, table) of what the device has several of, such as arrays: a column each, a row a fact."""
    return [
        (words(key), _table(value)) for key, value in device.items() if isinstance(value, Mapping) and is_table(value)
    ]


def is_table(value: Mapping[str, Any]) -> bool:
    """Tell whether all that a mapping holds are mappings."""
    return bool(value) and all(isinstance(part, Mapping) for part in value.values())


def _table(value: Mapping[str, Mapping[str, Any]]) -> Table:
    names: Sequence[str] = list(dict.fromkeys(name for part in value.values() for name in part))
    rows = [(words(name), [_fact(name, part.get(name)) for part in value.values()]) for name in names]
    stated = [(name, cells) for name, cells in rows if set(cells) != {MISSING}]
    columns = (Column("", numeric=False), *(Column(key) for key in value))
    return Table(columns, tuple(Row("method", (Cell(name), *map(Cell, cells))) for name, cells in stated))
