"""Clocks that jump by hours, back and forth, and files from the future: nothing is lost, nor done twice.

A library that is loaded before any other (LD_PRELOAD) moves what every process of a command takes for the time of day,
Python's own clocks and those of libraries alike; times since the start of the machine, which durations are taken of,
stay. Where there is no C compiler these trials cannot be made, and say so.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.faults.common import COPY, Setup, unlike
from benchmarks.faults.kills import COMPARE, PATIENCE_S, TRAIN, directories, ends
from benchmarks.faults.outcome import Budget, Outcome
from benchmarks.faults.trees import start

USUAL = 12
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static int (*real)(clockid_t, struct timespec *);

/* Hours by which the clock is wrong: another number in each spell of FAULT_SPELL_MS, drawn from FAULT_SEED. */
static long wrong(void) {
    struct timespec now;
    const char *seed = getenv("FAULT_SEED"), *spell = getenv("FAULT_SPELL_MS");
    unsigned long long x;
    if (!seed) return 0;
    real(CLOCK_MONOTONIC, &now);
    x = (now.tv_sec * 1000ULL + now.tv_nsec / 1000000) / (spell ? atoi(spell) : 200);
    x = (x + 0x9E3779B97F4A7C15ULL * (atoi(seed) + 1)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 31)) * 0x94D049BB133111EBULL;
    return (long)((x >> 33) % 20001) - 10000;
}

int clock_gettime(clockid_t id, struct timespec *at) {
    int done;
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    done = real(id, at);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) at->tv_sec += 3600 * wrong();
    return done;
}

time_t time(time_t *out) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (out) *out = at.tv_sec;
    return at.tv_sec;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""
NEGATIVE = re.compile(
    r"(?<![\w.e-])-[0-9][0-9.:]*\s*(?:s|ms|min|h|d|seconds|minutes|hours|days)\b|-\d+:\d\d:\d\d|-1 day"
)
"""A duration below zero, as a person would read it."""
TOLD = (
    sys.executable, "-c",
    "import sys, neuroanp as na\nna.compare(sys.argv[1], runs=sys.argv[2], profiles=['ideal', 'pcm'], seeds=2, "
    "workers=2, report=False, progress=lambda event: print('left', event.get('seconds_left')))",
    "{config}", "{store}",
)  # fmt: skip
"""A comparison that tells the seconds that it takes to be left; bars are drawn on terminals alone."""
MOST_LEFT_S = 3600.0


def compiler() -> str | None:
    """Return the C compiler of this machine, or None."""
    return shutil.which("cc") or shutil.which("gcc")


def shim(folder: Path) -> Path:
    """Compile the library that moves the clock.

    Raises:
        SystemExit: there is no C compiler, or it failed.
    """
    cc = compiler()
    if cc is None:
        raise SystemExit(
            "clocks: no C compiler (cc); install one, for these trials load a library that moves the clock"
        )
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(SHIM)
    done = subprocess.run(
        [cc, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"clocks: {done.stderr[-500:]}")
    return library


def check(library: Path) -> None:
    """Hold the library to what it is for: what a process takes for the time of day is hours off.

    Raises:
        SystemExit: it moves no clock here, and trials would show nothing.
    """
    wrong = {"LD_PRELOAD": str(library), "FAULT_SEED": "1", "FAULT_SPELL_MS": "10"}
    done = subprocess.run(
        [sys.executable, "-c", "import time\nfor _ in range(9): print(time.time()); time.sleep(.02)"],
        env={**os.environ, **wrong}, capture_output=True, text=True,
    )  # fmt: skip
    off = [abs(float(line) - time.time()) for line in done.stdout.split()]
    if len(off) != 9 or max(off) < 3600:
        raise SystemExit(f"clocks: the library moves no clock here: {done.stdout} {done.stderr[-300:]}")


def trials(budget: Budget) -> list[Outcome]:
    """Do runs and comparisons with clocks that jump, and go on in stores whose files are from other years."""
    rng, outcome = random.Random(budget.seed), Outcome("clocks that jump, files from the future", budget.count(USUAL))
    with TemporaryDirectory() as place:
        home = Path(place)
        library, config = shim(home), home / "config.yaml"
        check(library)
        config.write_text(Setup("", COPY, {"profile": "pcm"}).config(updates=60).to_yaml())
        wanted = {}
        for words in (TRAIN, COMPARE)[: max(outcome.asked, 1)]:
            done = start(_filled(words, config, home / f"whole-{words[1]}"), home / "log")
            if done.wait(PATIENCE_S) != 0:
                raise SystemExit(f"clocks: undisturbed it did not end well: {done.output[-500:]}")
            wanted[words[1]] = ends(home / f"whole-{words[1]}")
        for trial in range(outcome.asked):
            words = (TRAIN, COMPARE)[trial % 2]
            fault = _trial(words, config, home / f"store-{trial}", library, rng, wanted[words[1]], home / "log")
            outcome.add(f"trial {trial}: {fault}" if fault else None)
            if fault:
                budget.tell(outcome.faults[-1])
    return [outcome]


def _filled(words: tuple[str, ...], config: Path, store: Path) -> list[str]:
    return [word.format(config=config, store=store) for word in words]


def _trial(
    words: tuple[str, ...],
    config: Path,
    store: Path,
    library: Path,
    rng: random.Random,
    wanted: dict[str, Any],
    log: Path,
) -> str | None:
    """Begin under a clock that jumps, stop it at a random moment, put the files into other years, and go on."""
    wrong = {
        "LD_PRELOAD": str(library),
        "FAULT_SEED": str(rng.randrange(10**6)),
        "FAULT_SPELL_MS": str(rng.choice([20, 300, 4000])),
    }
    running = start(_filled(words, config, store), log, **wrong)
    time.sleep(rng.uniform(2.0, 7.0))
    running.clear()
    said = running.output
    for path in sorted(store.rglob("*")) if store.is_dir() else ():
        if not path.is_symlink():
            moment = time.time() + rng.uniform(-10, 10) * 365 * 86400
            os.utime(path, (moment, moment))
    for command in (words, words, ("neuroanp", "report", "{store}"), ("neuroanp", "runs", "list", "{store}")):
        again = start(_filled(command, config, store), log, **wrong)
        before = {
            path.name: (path / "result.json").stat().st_mtime_ns
            for path in directories(store)
            if (path / "result.json").exists()
        }
        code = again.wait(PATIENCE_S)
        if code != 0:
            return f"{' '.join(command[1:2])} ended with {code}: {again.output[-300:]}"
        said += again.output
        done = {
            path.name: (path / "result.json").stat().st_mtime_ns
            for path in directories(store)
            if (path / "result.json").exists()
        }
        if command is words and len(before) == len(wanted) and before != done:
            return "a finished run was done again"
    if words is COMPARE:
        again = start(_filled(TOLD, config, store.with_name(f"{store.name}-told")), log, **wrong)
        code, left = (
            again.wait(PATIENCE_S),
            [line.partition("left ")[2] for line in again.output.splitlines() if "left " in line],
        )
        if code != 0 or not left:
            return f"a comparison whose progress is looked at ended with {code}: {again.output[-300:]}"
        if absurd := [one for one in left if one != "None" and not 0 <= float(one) < MOST_LEFT_S]:
            return f"says that {absurd[0]} s are left"
    found = ends(store)
    apart = [f"{name} differs in {', '.join(unlike(found.get(name, {}), end))}" for name, end in wanted.items()
             if unlike(found.get(name, {}), end)]  # fmt: skip
    page = "".join(path.read_text(encoding="utf-8") for path in store.glob("report.html"))
    text = re.sub(r"<(?:style|script|svg).*?</(?:style|script|svg)>", "", page, flags=re.DOTALL)
    below = NEGATIVE.search(said + re.sub(r"<[^>]*>", " ", text))
    if below:
        return f"shows a duration that is none: {below[0]!r}"
    return apart[0] if apart else None
