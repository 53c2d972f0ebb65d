"""Environments of gymnasium, one copy a row, with what is seen of them scaled to about [-1, 1]."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from neuroanp.errors import InputError


class GymEnvironment:
    """Copies of an environment of gymnasium whose actions are counted (`neuroanp.tasks.acting.Environment`).

    Args:
        name: what gymnasium calls it. scale: (I,) what the numbers that are seen are divided by.

    Raises:
        InputError: gymnasium is not installed.
    """

    def __init__(self, name: str, scale: np.ndarray) -> None:
        require(name)
        self.name, self.scale = name, scale
        self._copies: list[Any] = []

    def start(self, seeds: np.ndarray) -> np.ndarray:
        """Begin an episode for each seed; what is seen of them, (rows, I)."""
        import gymnasium

        self._copies = [gymnasium.make(self.name, disable_env_checker=True).unwrapped for _ in seeds]
        seen = [copy.reset(seed=int(seed))[0] for copy, seed in zip(self._copies, seeds, strict=True)]
        self._seen = np.stack([self._lines(one) for one in seen])
        return self._seen / self.scale

    def act(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Do a step in each copy that goes on; see `Environment`."""
        rewards, over = np.zeros(len(actions)), ~live
        for row in np.flatnonzero(live):
            seen, rewards[row], over[row], _, _ = self._copies[row].step(int(actions[row]))
            self._seen[row] = self._lines(seen)
        return self._seen / self.scale, rewards, over

    def _lines(self, seen: Any) -> np.ndarray:
        """Return what is seen as input lines, (I,): numbers as they are, or which of I states it is."""
        if isinstance(seen, int | np.integer):
            return (np.arange(len(self.scale)) == seen).astype(float)
        return np.asarray(seen, dtype=float).reshape(-1)


def require(name: str) -> None:
    """Raise InputError where gymnasium, which has the environment of this name, is not installed."""
    if find_spec("gymnasium") is None:
        raise InputError(
            f"task: {name} is an environment of gymnasium, which is not installed; install it with: "
            'pip install "neuroanp[worlds]", or use task reaching, which needs nothing besides'
        )
