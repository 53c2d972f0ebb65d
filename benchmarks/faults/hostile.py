"""Hostile files: every command that takes one refuses it in good order, or what it says is fine.

Each file is made from the seed by a family of attacks, and given to every command that reads its kind, each in a child
of its own. It is wrong if a command prints a traceback or calls it a bug of ours, runs code that the file holds, shows
what a link leads to, ends with anything but 0 or 2, takes what is to be refused, writes controls to the terminal, or
takes more than 10 s of processor time or 1 GB of memory.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.faults import hostile_hdf5, hostile_runs, hostile_tables, hostile_tensors, hostile_yaml
from benchmarks.faults.common import load_all
from benchmarks.faults.families import FAMILIES, Family, Place
from benchmarks.faults.material import Material
from benchmarks.faults.outcome import Budget, Outcome
from benchmarks.faults.readers import readers
from benchmarks.faults.watched import Seen, misdeed, watched

USUAL = 300
MADE_BY = (hostile_yaml, hostile_tables, hostile_hdf5, hostile_tensors, hostile_runs)
"""The modules whose families there are."""
SECRET = "the secret of somebody else: 7f3a91\n"


KINDS = sorted({one.kind for one in FAMILIES})
"""Of files."""


def trials(budget: Budget, kinds: Sequence[str] = ()) -> list[Outcome]:
    """Give hostile files to the commands that take them; `kinds`: of files, all if none are named."""
    count = budget.count(USUAL)
    chosen = [one for one in FAMILIES if not kinds or one.kind in kinds]
    random.Random(budget.seed).shuffle(chosen)  # a few trials are of several kinds
    found: dict[str, Outcome] = {}
    calls, slowest, largest = Counter[str](), (0.0, ""), (0, "")
    load_all()
    with TemporaryDirectory() as place:
        home = Path(place)
        base = Material(home / "base", home / "log")
        floor = _peak(home)
        for trial in range(count):
            one = chosen[trial % len(chosen)]
            outcome = found.setdefault(one.kind, Outcome(f"hostile files: {one.kind}", 0))
            faults: list[str] = []
            for name, seen in tried(one, trial, budget.seed, home, base, floor, faults):
                calls[f"exit code {seen.code}"] += 1
                said = f"{one.kind}, {one.name}; {name}"
                slowest = max(slowest, (seen.cpu_s, said))
                largest = max(largest, (seen.peak, said))
            outcome.asked += 1
            outcome.add("; ".join(faults) or None)
            for line in faults:
                budget.tell(line)
    total = [Outcome(f"hostile files ({len(chosen)} families)", count)]
    for one in found.values():
        total[0].trials += one.trials
        total[0].faults += one.faults
    total[0].notes = [
        f"{sum(calls.values())} commands were given them: "
        + ", ".join(f"{n} {name}" for name, n in calls.most_common()),
        f"most processor time of one command: {slowest[0]:.1f} s ({slowest[1]})",
        f"most memory of one: {largest[0] / 2**20:.0f} MB ({largest[1]}); the process they are forked from has "
        f"{floor / 2**20:.0f} MB",
        "files by kind: " + ", ".join(f"{one.label.partition(': ')[2]} {one.trials}" for one in found.values()),
    ]
    return total


def tried(
    one: Family, trial: int, seed: int, home: Path, base: Material, floor: int, faults: list[str]
) -> list[tuple[str, Seen]]:
    """Make a file of a family and give it to the commands; what is wrong is added to `faults`."""
    folder, out = home / f"t{trial}", home / f"o{trial}"
    secret = home / f"s{trial}" / "secret.txt"
    for path in (folder, out, secret.parent):
        path.mkdir()
    secret.write_text(SECRET)
    place = Place(folder, random.Random(f"{seed} {trial}"), home / f"canary-{trial}", secret, base)
    ended = []
    label = f"file {trial} ({one.kind}: {one.name})"
    try:
        path = one.make(place)
        for name, work in readers(one.kind, path, out, base, one.fine).items():
            seen = watched(work, home / "log")
            ended.append((name, seen))
            said = misdeed(seen, one.fine, floor)
            if said is None and SECRET.strip() in seen.text:
                said = "shows the content of another file"
            if said is not None:
                faults.append(f"{label}; {name}: {said}")
            if place.canary.exists():
                faults.append(f"{label}; {name}: code in the file has run")
                place.canary.unlink()
        if sorted(secret.parent.iterdir()) != [secret] or secret.read_text() != SECRET:
            faults.append(f"{label}: a file outside of it was changed")
    finally:
        for path in (folder, out, secret.parent):
            shutil.rmtree(path, ignore_errors=True)
    return ended


def _peak(home: Path) -> int:
    """Return the memory of a child that does nothing: that of the process it is forked from."""
    return watched(lambda: os.getpid(), home / "log").peak
