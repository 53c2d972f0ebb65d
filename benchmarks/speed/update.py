"""One update against its floor, nn.RNN and a plain loop: the main table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from statistics import median
from typing import NamedTuple

from benchmarks.common import table, verdict
from benchmarks.speed import floor
from benchmarks.speed.gradient import Gradient
from benchmarks.speed.learner import Learner, Size
from benchmarks.speed.loop import update, white
from benchmarks.speed.timing import Side, Times, in_turn, middle, ms, ratios

SIZES = [Size(*each) for each in product((64, 256, 1000), (100,), (1, 32), (1, 16))]
LONG = [Size(256, 1000, 32, 16), Size(1000, 1000, 32, 16)]
TINY = [Size(16, 10, 2, 1), Size(16, 10, 2, 2)]
FLOOR = {
    Size(64, 100, 1): 2.0, Size(64, 100, 32): 3.0, Size(64, 100, 32, 16): 4.0,
    Size(256, 100, 32): 1.8, Size(256, 100, 32, 16): 2.0,
    Size(1000, 100, 32, 16): 1.4, Size(1000, 1000, 32, 16): 1.4,
}  # fmt: skip
RNN = {Size(64, 100, 1): 0.2, Size(64, 100, 32): 0.5, Size(256, 100, 32): 0.85, Size(1000, 100, 32): 0.85}
LOOP = 0.6
LARGE = 3 * 10**10
"""Multiply-accumulates of the passes of an update that is long: see `is_large`."""
HEADERS = [
    "N", "T", "B", "K (M)", "update (ms)", "floor (ms)", "by", "/floor [middle half]", "/nn.RNN", "/loop",
    "/loop as published",
]  # fmt: skip


class Row(NamedTuple):
    """What was measured at one size: seconds by side."""

    size: Size
    times: Times

    @property
    def floor(self) -> str:
        """The faster of the two floors."""
        return min(self.times.keys() & {"torch", "numpy"}, key=lambda name: median(self.times[name]))

    def over(self, side: str) -> list[float]:
        """Return the update's time over that of another side, turn by turn."""
        return ratios(self.times["update"], self.times[side])


def is_large(size: Size) -> bool:
    """Return whether an update is timed without a warm-up, and one floor does."""
    return size.units**2 * size.batch * size.passes * size.steps > LARGE


def sides(size: Size) -> dict[str, Side]:
    """Return all that is timed, at the same shapes and on the same batch."""
    learner = Learner(size)
    W, u, target = learner.weights, learner.first.inputs, learner.first.targets

    def loop(per_sample: bool) -> Callable[[int], object]:
        return lambda _: update(W, u, target, size.passes, white(), per_sample)

    found: dict[str, Side] = {
        "update": learner,
        "torch": floor.in_torch(size),
        "rnn": Gradient(size.units, u, target),
        "loop": loop(False),
    }
    if not is_large(size):
        found["numpy"] = floor.in_numpy(size)
    if size.passes == 2 and size.units <= 256:
        found["published"] = loop(True)
    return found


def measured(sizes: Iterable[Size], seconds: float) -> list[Row]:
    """Time every size, each for about so many seconds."""
    rows = []
    for size in sizes:
        large = is_large(size)
        if large:
            Learner(Size(size.units, 2, 1, size.K))(0)  # compiles what there is to compile
        rows.append(Row(size, in_turn(sides(size), 5 * seconds if large else seconds, warm=not large)))
        print(f"{size}: {middle(rows[-1].over(rows[-1].floor))} of the floor", flush=True)
    return rows


def report(rows: Sequence[Row]) -> str:
    """Write the table, and which numbers are reached."""
    body, claims = [], []
    for row in rows:
        size = row.size
        words = [str(size.units), str(size.steps), str(size.batch), f"{size.K} ({size.passes})"]
        peers = [middle(row.over(name)) if name in row.times else "-" for name in ("rnn", "loop", "published")]
        body.append([
            *words, ms(row.times["update"]), ms(row.times[row.floor]), row.floor, middle(row.over(row.floor)), *peers,
        ])  # fmt: skip
        claims += [
            *_claims(row, row.floor, FLOOR, "of the floor"),
            *_claims(row, "rnn", RNN, "of nn.RNN"),
            *_claims(row, "loop", {size: LOOP}, "of the plain loop"),
        ]
    return table(HEADERS, body) + "\n\n" + "\n".join(f"- {claim}" for claim in claims)


def _claims(row: Row, side: str, targets: Mapping[Size, float], what: str) -> Iterable[str]:
    if row.size in targets:
        found, most = median(row.over(side)), targets[row.size]
        yield verdict(f"{row.size}: {found:.3g} {what}, <= {most:g}", found <= most)


def short_ones(quick: bool) -> str:
    """Measure the sizes of T = 100."""
    return report(measured(TINY, 0) if quick else measured(SIZES, 4))


def long_ones(quick: bool) -> str:
    """Measure those of T = 1000."""
    return report(measured([Size(16, 40, 2, 2)], 0) if quick else measured(LONG, 4))
