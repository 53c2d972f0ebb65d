"""Count the pulses that each device takes in a run, however often the run or the link is cut."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from neuroanp.errors import InputError

NAME = "sent.npy"
"""File of the count, beside what is measured."""


class Sent:
    """Pulses that each device of an instrument took in a run.

    They are counted, in a file as well, before they are sent: what a cut link or a killed process leaves open counts as
    sent.

    Args:
        shape: word lines and bit lines.
        path: the file, which a run that is begun again or resumed goes on with; None: nothing is kept.

    Raises:
        InputError: the file is none of such counts.

    >>> sent = Sent((2, 2))
    >>> sent.add(np.array([[3, 0], [-4, 0]], np.int16))
    >>> sent.counts.tolist()
    [[3, 0], [4, 0]]
    """

    def __init__(self, shape: tuple[int, int], path: Path | None = None) -> None:
        self.counts, self.path = np.zeros(shape, np.int64), path
        self.found = path is not None and path.exists()
        if path is not None and self.found:
            self.counts = _read(path, shape)

    def add(self, pulses: np.ndarray) -> None:
        """Count pulses (lines, bits), of either sign, that are about to be sent."""
        self.counts += np.abs(pulses.astype(np.int64))
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f"{self.path.name}.new")
        with beside.open("wb") as file:
            np.save(file, self.counts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)

    def at_least(self, counts: np.ndarray) -> None:
        """Take other counts of the same devices where they are higher: a checkpoint's, where the file is gone."""
        np.maximum(self.counts, counts, out=self.counts)


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray:
    wrong = f"{path}: is not the count of this instrument's pulses; put the file back, or begin another run"
    try:
        counts = np.load(path, allow_pickle=False)
    except Exception as error:  # whatever Python's readers raise of a damaged header
        raise InputError(wrong) from error
    if not isinstance(counts, np.ndarray) or counts.shape != shape or counts.dtype != np.int64 or (counts < 0).any():
        raise InputError(wrong)
    return counts
