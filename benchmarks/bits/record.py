"""The record of bits: what it was computed with, how it is written, and how another is compared with it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.bits.digests import digest
from neuroanp.records.atomic import write_text
from neuroanp.records.environment import arithmetic

LIBRARIES = ("scipy", "brian2", "cython", "h5py", "nir", "onnx", "scikit-learn")
BUILT = "torch built with"
Outcome = Mapping[str, Any]
"""Digests by part, those of an export by format and file; "said" where a run was refused or failed."""


def matches(label: str, pattern: str) -> bool:
    """Tell whether a label has the pattern in it.

    >>> matches("rule np pcm verify rate float32", "np*rate"), matches("rule np pcm verify rate float32", "lif")
    (True, False)
    """
    return fnmatchcase(label, f"*{pattern}*")


def compare(wanted: Mapping[str, Outcome], found: Mapping[str, Outcome]) -> list[str]:
    """Say of each case that is not as it was what differs, one line a case.

    >>> compare({"a": {"weights": "0", "losses": "1"}, "b": {}}, {"a": {"weights": "2", "losses": "1"}, "c": {}})
    ['a: weights differs', 'b: recorded, and no case any more', 'c: not recorded']
    """
    told = []
    for label in sorted({*wanted, *found}):
        if label not in found:
            told.append(f"{label}: recorded, and no case any more")
        elif label not in wanted:
            told.append(f"{label}: not recorded")
        elif wanted[label] != found[label]:
            told.append(f"{label}: {_differing(wanted[label], found[label])}")
    return told


def _differing(wanted: Outcome, found: Outcome) -> str:
    """Name the parts that differ; of what is said, give both.

    >>> _differing({"losses": "0", "export nir": {"a.nir": "0"}}, {"losses": "1", "export nir": {"said": "no"}})
    "losses differs, export nir (was 'a run', is 'no')"
    """
    names = [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)]
    if "said" in names:
        return f"was {wanted.get('said', 'a run')!r}, is {found.get('said', 'a run')!r}"
    told = []
    for name in names:
        was, now = wanted.get(name), found.get(name)
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            told.append(f"{name} ({_differing(was, now)})")
        else:
            told.append(f"{name} {'differs' if was and now else 'is new' if now else 'is gone'}")
    return ", ".join(told)


def summary(found: Mapping[str, Outcome]) -> str:
    """Say how many cases there are, and what they left.

    >>> exported = {"weights": "0", "export nir": {"a.nir": "0"}, "export rtl": {"said": "no"}}
    >>> summary({"a": {"said": "no"}, "b": exported})
    '2 cases, 1 of them refused or diverged, 1 files of exports'
    """
    refused = sum("said" in outcome and "weights" not in outcome for outcome in found.values())
    exports = [part for outcome in found.values() for name, part in outcome.items() if name.startswith("export ")]
    files = sum(len(part) for part in exports if "said" not in part)
    return f"{len(found)} cases, {refused} of them refused or diverged, {files} files of exports"


def machine() -> dict[str, str]:
    """Return what decides the last bits here: processor, libraries, threads, compiler."""
    facts = arithmetic("cpu", 1)
    versions = {name: _version(name) for name in LIBRARIES}
    own = {"python": sys.version.split()[0], "compiler": _compiler(), BUILT: digest([facts[BUILT].encode()])}
    return dict(sorted({**facts, **versions, **own}.items()))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _compiler() -> str:
    """Return the compiler that Brian2's generated code goes through."""
    try:
        return subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    except (OSError, subprocess.SubprocessError):
        return "none"


def write(found: Mapping[str, Outcome], path: Path) -> None:
    """Write a record: one case a line, sorted, so that a change shows line by line."""
    lines = [f"  {json.dumps(label)}: {json.dumps(found[label], sort_keys=True)}" for label in sorted(found)]
    head = {"command": "python -m benchmarks.bits", "digests": "sha256, 16 hex digits", "machine": machine()}
    text = json.dumps(head, indent=1).removesuffix("\n}") + ',\n "cases": {\n' + ",\n".join(lines) + "\n }\n}\n"
    write_text(path, text)
