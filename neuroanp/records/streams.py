"""The version of the noise that a run's passes saw, and what it means where it is not this program's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIELD = "streams"
"""Of the manifest; a run that has none is from before there was a second version."""
FIRST = 1


def current() -> int:
    """Return the version of the streams that this program draws from."""
    from neuroanp.noise import VERSION  # numpy comes with it, which who asks for help has no use for

    return VERSION


def difference(manifest: Mapping[str, Any]) -> str | None:
    """Say how the noise of a run's passes differs from what this program draws of the same seed; None: it does not.

    >>> from neuroanp.noise import VERSION
    >>> difference({"streams": VERSION}) is None
    True
    >>> difference({})[:40]
    'the noise of its passes is of streams 1 '
    """
    from neuroanp.noise import VERSION, VERSIONS

    of = manifest.get(FIELD, FIRST)
    if of == VERSION:
        return None
    its = f" ({VERSIONS[of]})" if of in VERSIONS else ""
    return (
        f"the noise of its passes is of streams {of}{its}, this program draws streams {VERSION} ({VERSIONS[VERSION]}): "
        "other numbers of the same seed"
    )
