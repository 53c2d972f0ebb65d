"""Turn what Python code passes into the plain values that a YAML file holds: numpy, paths, sequences of any kind."""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from numbers import Integral, Real
from typing import Any

from pydantic import BaseModel

from neuroanp.errors import InputError

MOST = 100_000
"""Values of one sequence: a generator may have no end."""
DEEPEST = 32
_SURROGATE = re.compile("[\ud800-\udfff]")
_SAID = "a number, a text, a path, a list or a mapping of these"


def plain(value: Any, where: str, depth: int = 0) -> Any:
    """Return a value as plain data, models of pydantic as they are.

    Numbers and arrays of numpy (torch, pandas) become Python's own, paths text, sequences, sets and generators lists.

    Args:
        value: what was passed.
        where: the argument's name, for messages.

    Raises:
        InputError: something that a file could not hold.

    >>> import numpy as np
    >>> from pathlib import Path
    >>> plain({"updates": np.int64(5), "only": ("drift",), "path": Path("a/b.csv")}, "overrides")
    {'updates': 5, 'only': ['drift'], 'path': 'a/b.csv'}
    """
    if value is None or isinstance(value, bool | BaseModel):
        return value
    if depth > DEEPEST:
        raise InputError(f"{where}: more than {DEEPEST} levels of nesting; pass {_SAID}")
    if isinstance(value, enum.Enum):
        return plain(value.value, where, depth + 1)
    if isinstance(value, str):
        return _text(str.__str__(value), where)
    if isinstance(value, os.PathLike):
        return _text(os.fspath(value), where)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Mapping):
        return {_key(key, where): plain(part, f"{where}[{key!r:.40}]", depth + 1) for key, part in value.items()}
    if callable(getattr(value, "tolist", None)) and not isinstance(value, type):  # arrays, and numpy's own booleans
        return plain(value.tolist(), where, depth + 1)
    if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | memoryview | type):
        return [plain(part, f"{where}[{i}]", depth + 1) for i, part in enumerate(items(value, where))]
    if isinstance(value, type):
        raise InputError(f"{where}: {value.__name__} is a class; pass {value.__name__}(...), or a registered name")
    raise InputError(f"{where}: {shown(value)} cannot be used here; pass {_SAID}")


def items(value: Iterable[Any], where: str) -> list[Any]:
    """Return the items of a sequence, a set (in order) or a generator; InputError where there is no end of them."""
    found = list(islice(value, MOST + 1))
    if len(found) > MOST:
        raise InputError(f"{where}: more than {MOST:,} items; pass fewer")
    return sorted(found, key=lambda item: (str(type(item)), item)) if isinstance(value, set | frozenset) else found


def shown(value: Any) -> str:
    """Return a value and its type as a message shows them.

    >>> shown(b"x"), shown(int)
    ("b'x' (bytes)", "<class 'int'> (type)")
    """
    return f"{value!r:.80} ({type(value).__name__})"


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise InputError(f"{where}: {shown(key)} is no key; keys are words, such as 'training.batch'")
    return _text(str.__str__(key), where)


def _text(text: Any, where: str) -> str:
    if not isinstance(text, str):
        raise InputError(f"{where}: {shown(text)} is not text; pass text or a pathlib.Path")
    if _SURROGATE.search(text):
        raise InputError(f"{where}: {text!r:.80} is not Unicode, which no file of a run can hold; rename it")
    return text
