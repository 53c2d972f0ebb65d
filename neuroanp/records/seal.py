"""Seals: what shows that a file of a run is no longer the one that was written.

A seal is a length and a sha256. The manifest holds those of the other files and one of itself; a checkpoint holds that
of the metrics up to its update. They tell of damage and of careless edits, wherever the directory was moved or copied
to. They are no signatures: who changes a file and computes its seal anew is not found out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neuroanp.records.identity import canonical
from neuroanp.records.json_io import finite


@dataclass(frozen=True)
class Seal:
    """The length in bytes and the sha256 of what was written.

    >>> seal = Seal.of(b"update\\n1\\n")
    >>> seal.holds(b"update\\n1\\n"), seal.holds(b"update\\n2\\n"), seal.begins(b"update\\n1\\n2\\n")
    (True, False, True)
    """

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Seal:
        """Return the seal of `data`."""
        return cls(len(data), hashlib.sha256(data).hexdigest())

    @classmethod
    def read(cls, plain: Any) -> Seal | None:
        """Return what `plain` made of a seal, or None where it is no such thing.

        >>> Seal.read({"size": "9"}) is None
        True
        """
        if not isinstance(plain, Mapping):
            return None
        size, sha256 = plain.get("size"), plain.get("sha256")
        whole = isinstance(size, int) and not isinstance(size, bool) and size >= 0 and isinstance(sha256, str)
        return cls(size, sha256) if whole else None  # pyright: ignore[reportArgumentType]

    def plain(self) -> dict[str, Any]:
        """Return it as values that JSON takes."""
        return {"size": self.size, "sha256": self.sha256}

    def holds(self, data: bytes) -> bool:
        """Return whether `data` is what was sealed."""
        return len(data) == self.size and hashlib.sha256(data).hexdigest() == self.sha256

    def begins(self, data: bytes) -> bool:
        """Return whether `data` begins with what was sealed: a file that grows goes on after it."""
        return len(data) >= self.size and hashlib.sha256(memoryview(data)[: self.size]).hexdigest() == self.sha256


def of_parsed(fields: Mapping[str, Any]) -> str:
    """Return the same of fields that strict JSON gave, whose numbers are finite and whose keys are texts.

    >>> of_parsed({"a": [1.5, None]}) == of_fields({"a": [1.5, None]})
    True
    """
    return hashlib.sha256(canonical({k: v for k, v in fields.items() if k != "seal"}).encode()).hexdigest()


def of_fields(fields: Mapping[str, Any]) -> str:
    """Return the sha256 of a manifest's fields but for `seal` itself, whatever their order and spacing.

    >>> of_fields({"a": 1, "b": 2}) == of_fields({"b": 2, "a": 1, "seal": "0"})
    True
    """
    return hashlib.sha256(canonical(finite({k: v for k, v in fields.items() if k != "seal"})).encode()).hexdigest()
