"""Labels: names of one's own for the runs of a store. They lie in STORE/.labels.json, and records stay as they are.

A label is of the name of a run's directory. One whose run is gone stays until it is taken away or given to another.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from neuroanp.errors import InputError
from neuroanp.files import read_regular
from neuroanp.records import lock
from neuroanp.records.atomic import said, write_text
from neuroanp.records.json_io import parse
from neuroanp.records.manifest import is_there
from neuroanp.records.places import NAME_OF_RUN, check_name

FILE, FORMAT, LARGEST = ".labels.json", 1, 2**24
LAST = "last"
"""What commands call the newest run by: no label."""


def read(root: Path) -> dict[str, str]:
    """Return the names of runs by their labels; {} where there are none.

    Raises:
        InputError: the file is damaged: a label must not lead to another run than the one that it was given to.
    """
    path = Path(root) / FILE
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise InputError(f"{path}: no file; move it away, and give the labels again")
        data = read_regular(path, LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    with said(path):
        found = _labels(data)
    if found is None:
        raise InputError(f"{path}: damaged; remove it, and give the labels again (neuroanp runs label RUN NAME)")
    return found


def _labels(data: bytes) -> dict[str, str] | None:
    """Return the labels that a file holds; None: it is not what `_write` writes."""
    try:
        held = parse(data.decode("utf-8")) if len(data) <= LARGEST else None
    except (ValueError, RecursionError):
        return None
    if not (isinstance(held, dict) and set(held) == {"format", "labels"} and held["format"] == FORMAT):
        return None
    labels = held["labels"]
    whole = isinstance(labels, dict) and all(
        isinstance(run, str) and NAME_OF_RUN.fullmatch(run) and NAME_OF_RUN.fullmatch(label)
        for label, run in labels.items()
    )
    return labels if whole else None


def of_runs(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels by run, several of one run with spaces between them.

    >>> of_runs({"b": "one", "a": "one", "c": "two"})
    {'one': 'a b', 'two': 'c'}
    """
    found: dict[str, str] = {}
    for label, run in sorted(labels.items()):
        found[run] = f"{found[run]} {label}" if run in found else label
    return found


def is_of_none(root: Path, label: str) -> bool:
    """Return whether a label is of a run that is not in the store any more."""
    run = read(root).get(label)
    return run is not None and not is_there(Path(root) / run)


def give(root: Path, run: str, label: str, force: bool = False) -> None:
    """Give a run a label.

    Args: root: the store. run: the name of its directory. force: take the label from another run that has it.

    Raises:
        InputError: the label cannot be one, or is another run's, or a run's name; or the store cannot be written to.
    """
    check_name(label, "a label")
    if label == LAST:
        raise InputError(f"'{LAST}' is the newest run of a store, whichever that is; choose another label")
    if os.path.lexists(Path(root) / label):
        raise InputError(f"'{label}' is the name of what lies in {root}; choose another label")
    with lock.held(root, f"{root}: its labels"):
        labels = read(root)
        if labels.get(label, run) != run and not force:
            raise InputError(f"'{label}' is the label of {labels[label]}; choose another, or --force to move it")
        _write(root, {**labels, label: run})


def take(root: Path, runs: set[str]) -> list[str]:
    """Take all labels away from some runs; return those that there were."""
    there = [label for label, run in read(root).items() if run in runs]
    if not there:
        return []
    with lock.held(root, f"{root}: its labels"):
        labels = read(root)
        _write(root, {label: run for label, run in labels.items() if run not in runs})
    return sorted(there)


def _write(root: Path, labels: Mapping[str, str]) -> None:
    held = {"format": FORMAT, "labels": dict(sorted(labels.items()))}
    write_text(Path(root) / FILE, json.dumps(held, indent=1, ensure_ascii=False) + "\n", "name another store", "repeat")
