"""Run the cases: train, look at some again, export them, and take the digests of what is left."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.bits.cases import IMAGES, START, write_images, write_start
from benchmarks.bits.digests import parts_of_export, parts_of_run, plain_digest
from benchmarks.common import Case
from neuroanp.api.run import export
from neuroanp.errors import DivergedError
from neuroanp.export.protocol import EXPORTERS
from neuroanp.profiles.loader import load
from neuroanp.records.run_dir import RunDir
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from neuroanp.training.revisit import Look, revisit

LOOKS = {"later": Look(after=("1 d",)), "elsewhere": Look(profile=load("rram_wan"))}
"""How a run of kind "export" is evaluated again."""
IDENTITY = re.compile(r"\b[0-9a-f]{16}\b")


def outcomes(chosen: Sequence[Case]) -> dict[str, dict[str, Any]]:
    """Run the cases one after the other in this process, and return what came of each, by label."""
    logger, found = logging.getLogger("neuroanp"), {}
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # what they warn of is meant to be
    try:
        for number, case in enumerate(chosen, 1):
            with TemporaryDirectory() as store:
                found[case.label] = outcome(case, Path(store))
            print(f"\r{number} of {len(chosen)} cases", end="", file=sys.stderr, flush=True)
    finally:
        logger.setLevel(level)
        print(file=sys.stderr)
    return found


def outcome(case: Case, store: Path) -> dict[str, Any]:
    """Train one case below `store`, and return its digests, or what is said where it is refused or fails."""
    overrides = dict(case.overrides)
    if overrides.get("network.weights") == START:
        write_start(store / START)
        overrides["network.weights"] = str(store / START)
    if overrides.get("task.path") == IMAGES:
        write_images(store / IMAGES)
        overrides["task.path"] = str(store / IMAGES)
    try:
        record = launch(configure(case.base, overrides), store)
    except DivergedError as error:
        return {"said": said(error, store), **({} if error.path is None else parts_of_run(error.path))}
    except Exception as error:  # a crash must not end the other cases: it is told as any other difference
        return {"said": said(error, store)}
    found: dict[str, Any] = parts_of_run(record.path)
    if case.label.startswith("export "):
        found |= {f"evaluated {name}": _evaluated(record, look) for name, look in LOOKS.items()}
        found |= {f"export {name}": _exported(record.path, name, store / name) for name in EXPORTERS.names()}
    return found


def _evaluated(record: RunDir, look: Look) -> Any:
    try:
        rows = revisit(record, look)
    except Exception as error:
        return {"said": said(error, record.path.parent)}
    return plain_digest([{key: value for key, value in row.items() if key != "run"} for row in rows])


def _exported(run: Path, name: str, folder: Path) -> dict[str, str]:
    try:
        export(run, name, folder)
    except Exception as error:
        return {"said": said(error, folder.parent)}
    return parts_of_export(folder, run)


def said(error: Exception, place: Path) -> str:
    """Return the first line of a message and, below it, the first problem, without places and identities.

    >>> said(ValueError("/tmp/x/copy-0123456789abcdef has 2 problems\\n  dt: is 0\\n  seed: is -1"), Path("/tmp/x"))
    'ValueError: PLACE/copy-RUN has 2 problems: dt: is 0'
    """
    lines = [line.strip() for line in str(error).splitlines()[:2]]
    return IDENTITY.sub("RUN", f"{type(error).__name__}: {': '.join(lines)}".replace(str(place), "PLACE"))
