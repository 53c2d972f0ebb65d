"""Reverse: remember a few symbols and give them back, the last one first."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel

from neuroanp.tasks.sequences import SequenceConfig, Sequences


class ReverseConfig(SequenceConfig):
    """Options of the reverse task."""


class Reverse(Sequences):
    """Give back a sequence of symbols backwards; see `neuroanp.tasks.sequences.Sequences`.

    Args:
        options: the task's options.

    >>> task = Reverse(ReverseConfig(length=3, delay=0, symbols=9))
    >>> task.wanted(np.array([[2], [0], [7]])).T
    array([[7, 0, 2]])

    Source: one of the tasks of arXiv 2505.17852.
    """

    config: ClassVar[type[BaseModel]] = ReverseConfig
    name = "reverse"

    def wanted(self, shown: np.ndarray) -> np.ndarray:
        """Return the symbols backwards, (L, B)."""
        return shown[::-1]
