"""The most memory that one update takes besides what lay there before it, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import astuple
from typing import NamedTuple

from benchmarks.common import HERE, table, verdict
from benchmarks.speed.learner import Size

SHORT, LONG, LONGEST = Size(256, 200, 32), Size(256, 4000, 32), Size(256, 100_000, 32)
TINY = Size(16, 10, 2), Size(16, 40, 2), Size(16, 400, 2)
OF_RNN, MOST_MB = 0.5, 200.0
SIDES = {
    "gamma 0": {"rule": {"gamma": 0.0}},
    "gamma 1": {},
    "gamma 1, passes run twice": {"training": {"memory": "1 KiB"}},
}
"""Options of the update by row of the table."""
PEER = "nn.RNN, forward and backward"
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class Peak(NamedTuple):
    """What a process had: MB before the update and at its most, and the seconds that the update took."""

    before_MB: float
    peak_MB: float
    seconds: float

    @property
    def extra(self) -> float:
        """MB that the update took."""
        return self.peak_MB - self.before_MB


def peak(side: str, size: Size) -> Peak:
    """Measure one update of a row of the table in a fresh process."""
    words = [sys.executable, "-m", "benchmarks.speed.peak", side, json.dumps(astuple(size))]
    environment = {**os.environ, **THREADS}
    done = subprocess.run(words, cwd=HERE.parent, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    return Peak(*json.loads(done.stdout.splitlines()[-1]))


def run(quick: bool) -> str:
    """Measure all rows."""
    short, long, longest = TINY if quick else (SHORT, LONG, LONGEST)
    found: dict[str, tuple[Peak, Peak]] = {}
    for side in (*SIDES, PEER):
        found[side] = peak(side, short), peak(side, long)
        print(f"{side}: {found[side][1].extra:.0f} MB", flush=True)
    last = peak("gamma 1, passes run twice", longest)
    head = [
        f"N={short.units}, B={short.batch}, M={short.passes}",
        *(f"T={size.steps:,}" for size in (short, long, longest)),
    ]
    rows = [
        [side, *(f"{each.extra:.0f} MB, {each.seconds:.2f} s" for each in both), "-"] for side, both in found.items()
    ]
    rows[2][-1] = f"{last.extra:.0f} MB, {last.seconds:.0f} s"
    least = min(found[side][1].extra for side in SIDES if side != "gamma 0")
    for_peer, usual = found[PEER][1].extra, found["gamma 1"][1].extra
    claims = [
        verdict(f"gamma 1, T={long.steps:,}, as it is by default: {usual / for_peer:.2f} of nn.RNN, <= {OF_RNN}",
                usual <= OF_RNN * for_peer),
        verdict(f"gamma 1, T={long.steps:,}, the smallest plan: {least / for_peer:.2f} of nn.RNN, <= {OF_RNN}",
                least <= OF_RNN * for_peer),
        verdict(f"gamma 1, T={longest.steps:,}: {last.extra:.0f} MB, < {MOST_MB:.0f}", last.extra < MOST_MB),
    ]  # fmt: skip
    return table(head, rows) + "\n\n" + "\n".join(f"- {claim}" for claim in claims)
