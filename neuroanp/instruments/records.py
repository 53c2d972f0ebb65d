"""Keep what an instrument measured, in the tables that `neuroanp profiles fit` reads.

    pulses.csv   device,direction,conductance_uS     each single pulse: the device before it, and after it
    noise.csv    device,time_s,conductance_uS        the devices before training, read again and again
    writes.csv   time_s,device,pulses,before_uS,after_uS     every train, of one pulse or several

A device is called by its array, its plane and where it lies: w:+:3:17 is G+ of row 3, column 17 of w.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

MOST_ROWS = 1_000_000
"""Rows of a table beyond which nothing more is written to it."""
HEADS = {
    "pulses": "device,direction,conductance_uS",
    "noise": "device,time_s,conductance_uS",
    "writes": "time_s,device,pulses,before_uS,after_uS",
}


class Records:
    """Tables in a folder, appended to; a resumed run goes on with them.

    Args: folder: where; None: nothing is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._rows: dict[str, int] = {}

    def noise(self, name: str, times: Sequence[float], series: np.ndarray) -> None:
        """Keep read-backs (times, planes, n, m) in siemens of an array; times: seconds from the first one on."""
        rows = [
            f"{_device(name, index)},{time:.9g},{1e6 * series[(k, *index)]:.9g}"
            for index in np.ndindex(*series.shape[1:])
            for k, time in enumerate(times)
        ]
        self._append("noise", rows)

    def writes(self, name: str, now: float, counts: Tensor, before: Tensor, after: Tensor) -> None:
        """Keep a train of pulses (planes, n, m), and the devices in siemens before and after it."""
        trains, singles = [], []
        for index in counts.nonzero().tolist():
            at, device = tuple(index), _device(name, tuple(index))
            sent, old, new = int(counts[at]), 1e6 * float(before[at]), 1e6 * float(after[at])
            trains.append(f"{now:.9g},{device},{sent},{old:.9g},{new:.9g}")
            if abs(sent) == 1:
                singles += [f"{device},0,{old:.9g}", f"{device},{sent},{new:.9g}"]
        self._append("writes", trains)
        self._append("pulses", singles)

    def _append(self, table: str, rows: list[str]) -> None:
        if self.folder is None or not rows:
            return
        path = self.folder / f"{table}.csv"
        if table not in self._rows:
            self.folder.mkdir(parents=True, exist_ok=True)
            there = path.exists()
            self._rows[table] = sum(1 for _ in path.open("rb")) if there else 0
        rows = rows[: max(0, MOST_ROWS - self._rows[table])]
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{row}\n" for row in ([] if self._rows[table] else [HEADS[table]]) + rows)
        self._rows[table] += len(rows)


def _device(name: str, index: tuple[int, ...]) -> str:
    plane, row, column = index
    return f"{name}:{'+-'[plane]}:{row}:{column}"
