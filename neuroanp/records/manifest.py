"""The manifest of a run: its fields, their seal, and how a damaged one is read from its copy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroanp.errors import InputError
from neuroanp.records.copies import FOLDER, peek, put
from neuroanp.records.json_io import MAX_BYTES, finite, parse
from neuroanp.records.seal import Seal, of_fields

NAME, CONFIG, START = "manifest.json", "config.yaml", "start.safetensors"
BEGUN = "begun.safetensors"
"""The state that a run goes on from, where it extends another."""
"""Names of files: the manifest, the configuration, and the weights that a run starts from where they were given."""
FORMAT, UNSEALED = 2, 1
"""The format that is written, and the one of runs that had no seals, which are still read."""
STATUSES = ("running", "finished", "diverged", "failed", "interrupted")
ENDED = ("finished", "diverged")
"""A run of this status is shown: the same configuration would end the same way."""
_NEEDED = {"format": int, "code": str, "status": str, "identity": str, "log": list}
_KNOWN = {
    "profile": dict, "device": dict, "seeds": dict, "warned": dict, "ledger": dict, "health": dict, "firing": dict,
    "validation": dict, "refit": dict, "scores": dict, "after": dict, "start": dict, "seals": dict, "argv": list,
    "arithmetic": list, "pending": list, "streams": int, "started": str, "ended": str, "loss": str, "feedback": str,
}  # fmt: skip
_ALL = {**_NEEDED, **_KNOWN}
_PROFILE = ("name", "hash", "text")


@dataclass(frozen=True)
class Read:
    """A manifest as it was read: its fields, and what was wrong with the file, or None."""

    fields: dict[str, Any]
    problem: str | None


@dataclass(frozen=True)
class _Candidate:
    """One of the two files: its fields (None: none that can be read), and why it is not as it was written, or None."""

    fields: dict[str, Any] | None
    why: str | None

    @property
    def whole(self) -> bool:
        return self.fields is not None and self.why is None


def is_there(root: Path) -> bool:
    """Return whether a directory holds a run: a manifest, or the copy of one."""
    return (root / NAME).exists() or (root / FOLDER / NAME).is_file()


def read(root: Path) -> Read:
    """Read manifest.json, or its copy where it is damaged.

    Raises:
        InputError: neither can be read, or what is read lacks what every reader relies on; all problems at once.
    """
    own, copy = _candidate(root, NAME), _candidate(root, f"{FOLDER}/{NAME}")
    if own.whole and copy.whole and own.fields and copy.fields and own.fields["identity"] != copy.fields["identity"]:
        return _of_two_runs(root, own.fields, copy.fields)
    if own.whole and own.fields is not None:
        return Read(checked(root, own.fields), None)
    if copy.whole and copy.fields is not None:
        return Read(checked(root, copy.fields), f"{root / NAME}: {own.why}; taken is its copy, which is whole")
    for one in (own, copy):
        if one.fields is not None:
            return Read(checked(root, one.fields), f"{root / NAME}: {one.why}, and no whole copy is left")
    raise InputError(
        f"{root / NAME}: damaged ({own.why}); restore it from a copy, or move the directory away and repeat the run"
    )


def write(root: Path, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Seal and write the fields, the copy first; return them as written.

    Raises:
        InputError: a field is not what readers rely on.
        RunError: the disk is full.
    """
    sealed = checked(root, finite({name: value for name, value in fields.items() if name != "seal"}))
    if sealed["format"] != UNSEALED:
        sealed["seal"] = of_fields(sealed)
    put(root, NAME, (json.dumps(sealed, indent=1, allow_nan=False) + "\n").encode())
    return sealed


def checked(root: Path, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields if they are what every reader relies on; InputError with all problems otherwise."""
    found = fields.get("format")
    if found not in (FORMAT, UNSEALED) or isinstance(found, bool):
        raise InputError(
            f"{root}: written in format {found!r:.40}, this neuroanp reads {UNSEALED} and {FORMAT}; use the version "
            "that wrote it"
        )
    wrong = [
        f"{name}: {'missing' if name not in fields else 'not a ' + kind.__name__}"
        for name, kind in _ALL.items()
        if (name in fields or name in _NEEDED) and not isinstance(fields.get(name), kind)
    ]
    if isinstance(fields.get("status"), str) and fields["status"] not in STATUSES:
        wrong.append(f"status: '{fields['status']:.40}' is not one of {', '.join(STATUSES)}")
    wrong += _parts(fields)
    if wrong:
        raise InputError(
            f"{root}: damaged manifest; restore it from a copy, or repeat the run",
            [f"{NAME}: {line}" for line in wrong],
        )
    return fields


def _parts(fields: Mapping[str, Any]) -> list[str]:
    """Return what is wrong inside the fields that are there."""
    log, profile, start, after = (fields.get(name) for name in ("log", "profile", "start", "after"))
    wrong = []
    if isinstance(log, list) and not all(isinstance(line, str) for line in log):
        wrong.append("log: not a list of lines")
    if isinstance(profile, dict):
        wrong += [f"profile.{name}: not a str" for name in _PROFILE if not isinstance(profile.get(name, ""), str)]
    if isinstance(start, dict):
        wrong += [f"start.{name}: not a str" for name in ("path", "origin") if not isinstance(start.get(name, ""), str)]
    if isinstance(after, dict) and not all(
        isinstance(found, dict) and {"test_loss", "test_loss_noise_free"} <= set(found) for found in after.values()
    ):
        wrong.append("after: not losses by idle time")
    return wrong


def _candidate(root: Path, name: str) -> _Candidate:
    data, why = peek(root, name, MAX_BYTES)
    if data is None:
        return _Candidate(None, why)
    try:
        fields = parse(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # JSON and UTF-8 errors are ValueErrors
        return _Candidate(None, str(error))
    if not isinstance(fields, dict):
        return _Candidate(None, "not a JSON object")
    if fields.get("format") == UNSEALED and "seal" not in fields:
        return _Candidate(fields, None)
    if fields.get("seal") != of_fields(fields) or not isinstance(fields.get("identity"), str):
        return _Candidate(fields, "not as it was written (its content has changed)")
    return _Candidate(fields, None)


def _of_two_runs(root: Path, own: dict[str, Any], copy: dict[str, Any]) -> Read:
    """Tell which of two whole manifests is this directory's: that which knows its configuration."""
    config, _ = peek(root, CONFIG, MAX_BYTES)
    kept, _ = peek(root, f"{FOLDER}/{CONFIG}", MAX_BYTES)
    mine = [_knows(fields, config) + _knows(fields, kept) for fields in (own, copy)]
    if mine[0] > mine[1]:
        return Read(checked(root, own), None)
    if mine[1] > mine[0]:
        problem = f"{root / NAME}: of another run ({own['identity']}); taken is its copy, which is this run's"
        return Read(checked(root, copy), problem)
    raise InputError(
        f"{root}: holds files of two runs, {own['identity']} in {NAME} and {copy['identity']} in {FOLDER}/{NAME}; "
        "put back those of one"
    )


def _knows(fields: Mapping[str, Any], config: bytes | None) -> bool:
    seals = fields.get("seals")
    seal = Seal.read(seals.get(CONFIG)) if isinstance(seals, dict) else None
    return seal is not None and config is not None and seal.holds(config)
