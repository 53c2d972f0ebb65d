"""Restore what is damaged in a run's directory from its copies, and set aside what cannot be restored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from neuroanp.records.copies import FOLDER, changed, peek, put_one, told_aside
from neuroanp.records.manifest import CONFIG, START
from neuroanp.records.metrics_file import NAME as METRICS
from neuroanp.records.result import RESULT
from neuroanp.records.seal import Seal

MOST = 16 << 30
"""Bytes of the largest file of arrays."""
ARRAYS = ("predictions.safetensors", "activity.safetensors")
"""What a run's end computes beside its result, and can compute again."""

_LOST = {
    START: "written again from the weights that network.weights names",
    METRICS: "the learning curve is lost",
    RESULT: "computed again from the last checkpoint",
}


@dataclass
class Mended:
    """What was done, in sentences, and which files are lost: their seals hold nothing any more."""

    told: list[str] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)


def mend(root: Path, seals: Mapping[str, Seal]) -> Mended:
    """Look at each sealed file and its copy.

    Args:
        root: the run's directory, locked by the caller.
        seals: by name of the file.
    """
    done = Mended()
    for name in (CONFIG, START, METRICS, RESULT):
        if name in seals:
            _twins(root, name, seals[name], done)
    for name in ARRAYS:
        if name in seals:
            _arrays(root, name, seals[name], done)
    return done


def _twins(root: Path, name: str, seal: Seal, done: Mended) -> None:
    (own, why), (copy, _) = peek(root, name, MOST), peek(root, f"{FOLDER}/{name}", MOST)
    whole = [data for data in (own, copy) if data is not None and seal.holds(data)]
    if own in whole and own is not None:
        if copy not in whole:
            put_one(root, f"{FOLDER}/{name}", own)
    elif whole:
        where = told_aside(root, root / name)
        put_one(root, name, whole[0])
        done.told.append(f"{root / name}: {why or changed(own or b'', seal)}; restored from {FOLDER}/{name}{where}")
    elif name != CONFIG:  # what a run was asked for is nothing to be set aside: its name tells whether it is still that
        where = told_aside(root, root / name)
        what = why or changed(own or b"", seal)
        done.told.append(f"{root / name}: {what}, and no whole copy is left: {_LOST[name]}{where}")
        done.lost.add(name)


def _arrays(root: Path, name: str, seal: Seal, done: Mended) -> None:
    data, why = peek(root, name, MOST)
    if data is not None and seal.holds(data):
        return
    what = why or changed(data or b"", seal)
    where = told_aside(root, root / name)
    done.told.append(f"{root / name}: {what}: computed again from the last checkpoint{where}")
    done.lost.update((name, RESULT))
