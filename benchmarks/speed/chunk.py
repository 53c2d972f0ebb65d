"""What it costs to cut time into single steps: training.chunk 1 against 64."""

from __future__ import annotations

from itertools import product
from statistics import median

from benchmarks.common import table, verdict
from benchmarks.speed.learner import Learner, Size
from benchmarks.speed.timing import in_turn, middle, ms, ratios

SIZES = [Size(*each) for each in product((64, 256), (100,), (1, 32))]
MOST = 1.5
CHUNKS = (1, 8, 64)


def run(quick: bool) -> str:
    """Measure both in turn."""
    rows, claims = [], []
    for size in [Size(16, 10, 2)] if quick else SIZES:
        sides = {str(chunk): Learner(size, training={"chunk": chunk}) for chunk in CHUNKS}
        times = in_turn(sides, 0 if quick else 4)
        found = {chunk: ratios(times[str(chunk)], times["64"]) for chunk in CHUNKS}
        words = [str(size.units), str(size.steps), str(size.batch), *(ms(each) for each in times.values())]
        rows.append([*words, middle(found[1]), middle(found[8])])
        claim = f"{size}: chunk 1 takes {median(found[1]):.2f} times chunk 64, <= {MOST}"
        claims.append(verdict(claim, median(found[1]) <= MOST))
    headers = ["N", "T", "B", *(f"chunk {chunk} (ms)" for chunk in CHUNKS), "1 / 64 [middle half]", "8 / 64"]
    return table(headers, rows) + "\n\n" + "\n".join(f"- {claim}" for claim in claims)
