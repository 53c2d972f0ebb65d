"""Name a run by what decides its result: configuration, profile, data and code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from neuroanp.version import __version__

PACKAGE = Path(__file__).parents[1]


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the version with a fingerprint of the package's sources, as "0.1.0+0123456789ab".

    Two checkouts with the same fingerprint compute the same; a file edited in between shows.

    >>> code_version().partition("+")[0] == __version__, len(code_version().partition("+")[2])
    (True, 12)
    """
    return f"{__version__}+{sources_hash(PACKAGE)[:12]}"


def sources_hash(folder: Path) -> str:
    """Return the sha256 over all *.py files under `folder`: names and contents, in sorted order."""
    digest = hashlib.sha256()
    for name, source in sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*.py")):
        content = source.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def canonical(data: Any) -> str:
    """Return JSON that is the same text for the same data: sorted keys, no spaces, ASCII.

    Raises:
        ValueError: a number is not finite; TypeError: something JSON has no form for.

    >>> canonical({"b": 1, "a": [0.1, None]})
    '{"a":[0.1,null],"b":1}'
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def identity(config: Mapping[str, Any], profile_content: str, data_fingerprint: str, code: str) -> str:
    """Return the run's name: the first 16 hex digits of a sha256 over all that decides its result.

    Args:
        config: the resolved configuration, plain values only, the seed in it.
        profile_content: the resolved profile's text (its content, wherever the file lies).
        data_fingerprint: what identifies the data beyond the options, or "".
        code: `code_version()`.

    >>> identity({"seed": 0}, "ideal", "", "1") == identity({"seed": 1}, "ideal", "", "1")
    False
    >>> identity({"a": 1, "b": 2}, "ideal", "", "1") == identity({"b": 2, "a": 1}, "ideal", "", "1")
    True
    """
    whole = {"config": dict(config), "profile": profile_content, "data": data_fingerprint, "code": code}
    return hashlib.sha256(canonical(whole).encode()).hexdigest()[:16]
