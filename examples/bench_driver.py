"""A driver of one's own: a board whose maker has a Python library, here one with two methods.

Copy this, put your library in the place of `Board`, and name it in the configuration:

    hardware: {substrate: my_board, resource: "board 7", limits: {...}, pulse: {...}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neuroanp.instruments.protocol import INSTRUMENTS, Cost, Identity, Limits, LinkLostError, Pulse


class Board:
    """Stands for the maker's library: ohmic devices, 1 % read noise, steps of 100 nS."""

    def __init__(self) -> None:
        self.rng, self.siemens = np.random.default_rng(7), np.full((64, 20), 6e-6)

    def measure(self, volts: np.ndarray) -> np.ndarray:
        return volts @ (self.siemens * (1 + 0.01 * self.rng.standard_normal(self.siemens.shape)))

    def pulse(self, row: int, column: int, count: int) -> None:
        self.siemens[row, column] = np.clip(self.siemens[row, column] + 100e-9 * count, 1e-6, 11e-6)


@INSTRUMENTS.register("my_board")
class MyBoard:
    """Drive my board."""

    def __init__(self, resource: str, options: Mapping[str, Any]) -> None:
        self.resource, self.board, self.open_now = resource, Board(), False

    def open(self, limits: Limits, pulse: Pulse) -> Identity:
        self.open_now = True  # tell the board its compliance (limits.current) and the shape of `pulse` here
        return Identity(self.resource, *self.board.siemens.shape)

    def read(self, volts: np.ndarray) -> np.ndarray:
        if not self.open_now:
            raise LinkLostError(f"{self.resource}: not connected")
        return np.stack([self.board.measure(row) for row in volts])

    def write(self, pulses: np.ndarray) -> None:
        for row, column in zip(*pulses.nonzero(), strict=True):
            self.board.pulse(row, column, int(pulses[row, column]))

    def cost(self) -> Cost:
        return Cost()  # this board measures neither energy nor time

    def close(self) -> None:
        self.open_now = False
