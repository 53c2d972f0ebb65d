"""Sort: remember a few symbols and give them back in order of their number."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel

from neuroanp.tasks.sequences import SequenceConfig, Sequences


class SortConfig(SequenceConfig):
    """Options of the sort task."""


class Sort(Sequences):
    """Give back a sequence of symbols in ascending order; see `neuroanp.tasks.sequences.Sequences`.

    Args:
        options: the task's options.

    >>> task = Sort(SortConfig(length=3, delay=0, symbols=9))
    >>> task.wanted(np.array([[2], [0], [7]])).T
    array([[0, 2, 7]])

    Source: one of the tasks of arXiv 2505.17852.
    """

    config: ClassVar[type[BaseModel]] = SortConfig
    name = "sort"

    def wanted(self, shown: np.ndarray) -> np.ndarray:
        """Return the symbols in ascending order, (L, B)."""
        return np.sort(shown, axis=0)
