"""A parsed file and where each of its keys was written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Key = tuple[str | int, ...]
"""The way to a value: ("read", "t_read")."""


def dotted(key: Key) -> str:
    """Write a key as a message shows it.

    >>> dotted(("rows", 2, "t_read"))
    'rows[2].t_read'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def key_of(text: str) -> Key | None:
    """Read a key as a message shows it, or with dots alone; None where it is none. Digits are an index.

    >>> key_of("network.layers[0].units") == key_of("network.layers.0.units") == ("network", "layers", 0, "units")
    True
    >>> key_of("rule..K"), key_of("layers[-1]"), key_of("layers[0")
    (None, None, None)
    """
    key: list[str | int] = []
    for part in (each.strip() for each in text.split(".")):
        found = _PART.fullmatch(part)
        if found is None:
            return None
        name, indices = found.groups()
        key.append(int(name) if _INDEX.fullmatch(name) else name)
        key += [int(index) for index in indices[1:-1].split("][")] if indices else []
    return tuple(key)


_PART, _INDEX = re.compile(r"([^\[\]]+)((?:\[[0-9]{1,9}\])*)"), re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Document:
    """What a file says and where it says it.

    Args:
        label: the file's name in messages.
        data: the content.
        lines: line of every key, by its way from the root.
        text: the file as written.
        origin: label of the place a key came from where that is not `label` (a base profile, --set).
    """

    label: str
    data: dict[str, Any]
    lines: Mapping[Key, int] = field(default_factory=dict)
    text: str = ""
    origin: Mapping[Key, str] = field(default_factory=dict)

    def where(self, key: Key) -> str:
        """Return "file:line" of a key, or of the nearest section around it that was written; else of what is in it.

        >>> from neuroanp.yaml_io import parse
        >>> parse("read:\\n  t_read: 250 ns", "pcm.yaml").where(("read", "t_red"))
        'pcm.yaml:1'
        """
        around = (key[:length] for length in range(len(key), -1, -1))
        inside = (known for known in self.origin if key and known[: len(key)] == key)
        for known in (*around, *inside):
            if known in self.lines or known in self.origin:
                line = self.lines.get(known, 0)
                label = self.origin.get(known, self.label)
                return f"{label}:{line}" if line else label
        return self.label
