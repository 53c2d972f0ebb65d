"""Machines that give little: address space, open files, processes. A command ends in one line, or does its work.

Each trial begins a command under a limit of the system, drawn from none to plenty. It ends with exit code 0, or with 1
or 2 and one line that says what there was too little of; and the same command without the limit then ends as one that
was never limited.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.faults.common import COPY, Setup, unlike
from benchmarks.faults.kills import COMPARE, PATIENCE_S, TRAIN, ends, halves
from benchmarks.faults.outcome import Budget, Outcome
from benchmarks.faults.trees import start

USUAL = 30
LIMITS = {
    "v": (
        "address space, kB",
        lambda rng: rng.choice([rng.randrange(100_000, 600_000), rng.randrange(690_000, 2_500_000)]),
    ),
    "n": ("open files", lambda rng: rng.choice([rng.randrange(4, 20), rng.randrange(20, 80)])),
    "f": ("size of a file, kB", lambda rng: rng.randrange(0, 64)),
    "t": ("processor time, s", lambda rng: rng.randrange(1, 6)),
}
"""Options of the shell's `ulimit`: what each limits, and how much is drawn."""


def trials(budget: Budget) -> list[Outcome]:
    """Run commands under limits of the system, then without."""
    rng, found = random.Random(budget.seed), list[Outcome]()
    count = budget.count(USUAL)
    total, ends_of = Outcome("limits of memory, files, sizes, time", count), Counter[str]()
    with TemporaryDirectory() as place:
        home = Path(place)
        config = home / "config.yaml"
        config.write_text(Setup("", COPY, {"profile": "pcm"}).config(updates=20).to_yaml())
        wanted = {}
        for words in (TRAIN, COMPARE)[: max(count, 1)]:
            done = start([w.format(config=config, store=home / f"whole-{words[1]}") for w in words], home / "log")
            if done.wait(PATIENCE_S) != 0:
                raise SystemExit(f"limits: without one it did not end well: {done.output[-500:]}")
            wanted[words[1]] = ends(home / f"whole-{words[1]}")
        for trial in range(count):
            words = (TRAIN, COMPARE)[trial % 2]
            option = rng.choice(sorted(LIMITS))
            limit, store = LIMITS[option][1](rng), home / f"store-{trial}"
            filled = [w.format(config=config, store=store) for w in words]
            limited = start(
                ["bash", "-c", f'ulimit -{option} {limit}; exec "$@"', "-", "python", "-m", *filled], home / "log"
            )
            code = limited.wait(PATIENCE_S)
            label = f"trial {trial}, {words[1]}, ulimit -{option} {limit}"
            ends_of[f"-{option}: {code}"] += 1
            left, fault = limited.orphans(), told(code, limited.output, option)  # at once: they have 5 s to end
            if fault is None and left:
                fault = f"left processes behind: {left[0].line[:100]}"
            fault = fault or _after(filled, store, home / "log", wanted[words[1]])
            total.add(f"{label}: {fault}" if fault else None)
            if fault:
                budget.tell(total.faults[-1])
    total.notes = ["limit and exit code: " + ", ".join(f"{n} x {name}" for name, n in sorted(ends_of.items()))]
    return [*found, total]


def told(code: int | None, output: str, option: str) -> str | None:
    """Say what is wrong with how a command ended under a limit, or None."""
    if code is None:
        return "hung"
    if option == "t" and code in (-24, 152, -9, 137):  # the system ends a process whose time is used up
        return None
    for word in ("Traceback", "this is a bug", "Segmentation fault", "Fatal Python error", "core dumped"):
        if word in output:
            return f"{word}: ...{output[-300:]}"
    if code not in (0, 1, 2):
        return f"exit code {code}: {output[-300:]}"
    if code and not re.search(r"^error: ", output, re.MULTILINE):
        return f"exit code {code} without a word: {output[-300:]}"
    return None


def _after(filled: list[str], store: Path, log: Path, wanted: dict[str, object]) -> str | None:
    torn = halves(store)
    if torn:
        return f"neither whole nor absent: {torn[0]}"
    again = start(filled, log)
    code = again.wait(PATIENCE_S)
    if code != 0:
        return f"without the limit it ended with {code}: {again.output[-300:]}"
    found = ends(store)
    apart = [name for name, end in wanted.items() if unlike(found.get(name, {}), end)]  # pyright: ignore
    return f"without the limit it ends otherwise: {apart[0]}" if apart else None
