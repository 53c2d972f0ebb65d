"""The most memory that one update takes besides what lay there before it, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import astuple
from statistics import median
from typing import NamedTuple

from benchmarks.common import HERE, table, verdict
from benchmarks.speed.learner import Size

SHORT, LONG, LONGEST = Size(256, 200, 32), Size(256, 4000, 32), Size(256, 100_000, 32)
TINY = Size(16, 10, 2), Size(16, 40, 2), Size(16, 400, 2)
OF_RNN, MOST_MB = 0.5, 200.0
REPEATS = 3
TWICE = "gamma 1, passes run twice"
SIDES = {"gamma 0": {"rule": {"gamma": 0.0}}, "gamma 1": {}, TWICE: {"training": {"memory": "1 KiB"}}}
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


def peaks(side: str, size: Size, repeats: int) -> list[Peak]:
    """Measure it several times, smallest first: what an allocator leaves between blocks is a matter of chance."""
    return sorted((peak(side, size) for _ in range(repeats)), key=lambda each: each.extra)


def told(found: Sequence[Peak]) -> str:
    """Write the least and the most, and the median of seconds."""
    low, high = (f"{found[i].extra:.0f}" for i in (0, -1))
    seconds = median(each.seconds for each in found)
    return f"{low if low == high else f'{low} .. {high}'} MB, {seconds:.{2 if seconds < 10 else 0}f} s"


def run(quick: bool) -> str:
    """Measure all rows."""
    short, long, longest = TINY if quick else (SHORT, LONG, LONGEST)
    repeats = 1 if quick else REPEATS
    found: dict[str, list[list[Peak]]] = {}
    for side in (*SIDES, PEER):
        found[side] = [peaks(side, size, repeats) for size in (short, long)]
        print(f"{side}: {told(found[side][1])}", flush=True)
    found[TWICE].append(peaks(TWICE, longest, repeats))
    head = [f"N={short.units}, B={short.batch}, M={short.passes}"]
    head += [f"T={size.steps:,}" for size in (short, long, longest)]
    rows = [[side, *map(told, each), *(["-"] * (3 - len(each)))] for side, each in found.items()]
    peer = found[PEER][1][0].extra
    claims = []
    for side, how in (("gamma 1", "as it is by default"), (TWICE, "passes run twice")):
        most = found[side][1][-1].extra
        claim = f"gamma 1, T={long.steps:,}, {how}: at most {most / peer:.2f} of nn.RNN at its least, <= {OF_RNN}"
        claims.append(verdict(claim, most <= OF_RNN * peer))
    last = found[TWICE][2][-1].extra
    claims.append(verdict(f"gamma 1, T={longest.steps:,}: at most {last:.0f} MB, < {MOST_MB:.0f}", last < MOST_MB))
    return table(head, rows) + "\n\n" + "\n".join(f"- {claim}" for claim in claims)
