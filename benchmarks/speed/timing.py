"""Time several sides in turn in one process: a b b a, in blocks, by the processor time that the process took."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles

Side = Callable[[int], object]
Times = dict[str, list[float]]

BLOCK_S = 0.02
"""What a block of calls of one side lasts at least."""
MOST_TURNS = 40


def cpu(side: Side, first: int, count: int) -> float:
    """Return the seconds of processor time of one call, of `count` that follow one another."""
    start = time.process_time()
    for number in range(first, first + count):
        side(number)
    return (time.process_time() - start) / count


def in_turn(
    sides: Mapping[str, Side], seconds: float, warm: bool = True, clock: Callable[[Side, int, int], float] = cpu
) -> Times:
    """Return the seconds of a call of each side, turn by turn; every second turn goes backwards.

    Args:
        sides: by name; they get a number that never comes again.
        seconds: after these no turn begins but the second of a pair; two are taken in any case.
        warm: call each side once first, and choose blocks by a second call; else every block is one call.
        clock: what times a block.
    """
    counts = dict.fromkeys(sides, 1)
    for name, side in sides.items() if warm else ():
        clock(side, 0, 1)
        counts[name] = max(1, round(BLOCK_S / max(clock(side, 1, 1), 1e-7)))
    found: Times = {name: [] for name in sides}
    number, spent, turn = 2, 0.0, 0
    while turn < 2 or turn % 2 or (spent < seconds and turn < MOST_TURNS):
        for name in sides if turn % 2 == 0 else reversed(tuple(sides)):
            found[name].append(clock(sides[name], number, counts[name]))
            spent += found[name][-1] * counts[name]
        number += max(counts.values())
        turn += 1
    return found


def ratios(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """Return a over b, turn by turn."""
    return [x / y for x, y in zip(a, b, strict=True)]


def middle(numbers: Sequence[float]) -> str:
    """Write the median and the middle half.

    >>> middle([1.0, 2.0, 3.0, 4.0, 5.0])
    '3.00 [2.00 .. 4.00]'
    """
    low, mid, high = quantiles(numbers, n=4, method="inclusive")
    return f"{short(mid)} [{short(low)} .. {short(high)}]"


def short(number: float) -> str:
    """Write a ratio in three digits or so.

    >>> short(0.1234), short(12.345), short(1234.5)
    ('0.123', '12.3', '1234')
    """
    if number < 1:
        return f"{number:.3g}"
    return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f}"


def ms(times: Sequence[float]) -> str:
    """Write the median of seconds in milliseconds."""
    return short(median(times) * 1e3)
