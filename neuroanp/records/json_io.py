"""Read JSON that may have been damaged or made up; write JSON that any reader takes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from neuroanp.errors import InputError
from neuroanp.files import read_regular
from neuroanp.records.atomic import said, write_text

MAX_BYTES = 16 * 2**20
MAX_DEPTH = 32


def read_limited(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes; InputError otherwise."""
    with said(path):
        try:
            data = read_regular(path, limit, "restore it from a copy")
        except IsADirectoryError:
            raise InputError(f"{path}: not a regular file; restore it from a copy") from None
        if len(data) > limit:
            size = path.stat().st_size
            raise InputError(f"{path}: {size} bytes, of which neuroanp writes at most {limit}; restore it")
        return data


def read_object(path: Path, remedy: str = "restore it from a copy, or repeat the run") -> dict[str, Any]:
    """Read one JSON object: at most 16 MiB, 32 levels deep, finite numbers.

    Args:
        path: the file. remedy: of a damaged one, a phrase.

    Raises:
        InputError: the file is missing, damaged or not such an object.
    """
    try:
        data = parse(read_limited(path, MAX_BYTES).decode("utf-8"))
    except (ValueError, RecursionError) as error:  # JSON and UTF-8 errors are ValueErrors
        raise InputError(f"{path}: damaged ({error}); {remedy}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: damaged (not a JSON object); {remedy}")
    return data


def parse(text: str) -> Any:
    """Return the value of strict JSON text; ValueError for NaN, infinities, keys that come twice, and depth over 32.

    >>> parse('{"a": [1, 2.5, null]}')
    {'a': [1, 2.5, None]}
    >>> parse('[NaN]')
    Traceback (most recent call last):
    ValueError: NaN is not JSON
    """
    try:
        data = _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError(f"more than {MAX_DEPTH} levels") from error
    _check(data)
    return data


def write_object(path: Path, data: dict[str, Any]) -> None:
    """Write one JSON object atomically; a number that is not finite becomes null.

    Raises:
        TypeError: a value has no form in JSON.
    """
    write_text(path, json.dumps(finite(data), indent=1, allow_nan=False) + "\n")


def finite(data: Any) -> Any:
    """Return a copy with None for NaN and infinities, which JSON cannot say.

    >>> finite({"loss": float("nan"), "seeds": (0, 1)})
    {'loss': None, 'seeds': [0, 1]}
    """
    if isinstance(data, dict):
        return {str(key): finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unlike(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; ValueError where a key comes twice: readers differ in which of the two they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key '{next(name for name in names if names.count(name) > 1):.40}' comes twice")
    return found


def _check(data: Any) -> None:
    """Look at all values, a level at a time; ValueError for what `parse` refuses."""
    level = [data]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for value in level:
            kind = value.__class__
            if kind is str:
                continue
            if kind is dict:
                inner += value.values()
            elif kind is list:
                inner += value
            elif (kind is float and not math.isfinite(value)) or (kind is int and value.bit_length() > 1023):  # 1e999
                raise ValueError("a number is out of range")
        level = inner
        if not level:
            return
    raise ValueError(f"more than {MAX_DEPTH} levels")


_DECODER = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_unlike)
