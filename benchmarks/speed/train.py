"""Whole runs from the command line, start and end included: here and in a checkout of the code before a change."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.common import HERE, table, verdict
from benchmarks.speed.timing import middle, ratios, short
from neuroanp.records.environment import git_commit

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
EXAMPLES: dict[str, tuple[int, float]] = {"copy3": (1000, 0.5), "xor": (200, 1 / 3)}
"""Updates, and what share of the time before is to be reached."""
CHECK = "import neuroanp, sys; sys.exit(not neuroanp.__file__.startswith(sys.argv[1] + '/'))"


def child(tree: Path, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run Python in a checkout, with the package that lies there."""
    environment = {**os.environ, **THREADS, "PYTHONPATH": str(tree)}
    return subprocess.run(
        [sys.executable, *words], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )


def trained(tree: Path, example: str, updates: int) -> tuple[float, float]:
    """Return the seconds of wall and of processor time of a run."""
    with TemporaryDirectory() as store:
        words = ["-m", "neuroanp", "train", f"examples/{example}.yaml", "--updates", str(updates), "--runs", store]
        before, start = os.times(), time.perf_counter()
        done = child(tree, [*words, "--no-progress"])
        wall, after = time.perf_counter() - start, os.times()
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} in {tree} ended with {done.returncode}:\n{done.stderr}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, used


def run(quick: bool, before: Path | None) -> str:
    """Measure both trees in turn, a b b a; without one to compare with, this one."""
    trees = [HERE.parent, *([before.resolve()] if before else [])]
    for tree in trees:
        if child(tree, ["-c", CHECK, str(tree)]).returncode:
            raise SystemExit(f"--before: {tree} is no checkout of neuroanp")
    rows, claims = [], []
    for example, (updates, most) in EXAMPLES.items():
        count = 2 if quick else updates
        for tree in trees:
            trained(tree, example, 1)  # compiles and caches what there is to compile
        found: list[list[tuple[float, float]]] = [[] for _ in trees]
        for turn in range(2):
            for which in range(len(trees)) if turn % 2 == 0 else reversed(range(len(trees))):
                found[which].append(trained(trees[which], example, count))
        walls, used = ([[pair[i] for pair in side] for side in found] for i in (0, 1))
        words = [example, str(count), *(short(median(side)) for side in (walls[0], used[0]))]
        if before is None:
            rows.append([*words, "-", "-", "-", "-"])
            continue
        parts = ratios(*walls), ratios(*used)
        rows.append([*words, *(short(median(side)) for side in (walls[1], used[1])), *map(middle, parts)])
        claim = f"{example}: {median(parts[0]):.2f} of the wall time before, <= {most:.2g}"
        claims.append(verdict(claim, median(parts[0]) <= most))
    head = ["example", "updates", "wall (s)", "CPU (s)", "before: wall", "CPU", "wall / before [middle half]", "CPU"]
    said = [f"{name}: {git_commit(tree) or 'no commit'}" for name, tree in zip(("here", "before"), trees, strict=False)]
    return table(head, rows) + "\n\n" + "\n".join(f"- {line}" for line in [*claims, *said])
