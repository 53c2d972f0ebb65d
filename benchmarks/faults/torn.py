"""Torn files: what a power cut or a bad disk leaves of a run's files, cut short or full of zeros from some place on."""

from __future__ import annotations

import os
import random
from pathlib import Path

from benchmarks.faults import damage
from benchmarks.faults.outcome import Budget, Outcome

USUAL = 60


def cut(path: Path, rng: random.Random, other: Path) -> None:
    """Cut a file at a random place."""
    os.truncate(path, rng.randrange(max(path.stat().st_size, 1)))


def zeros_from(path: Path, rng: random.Random, other: Path) -> None:
    """Fill it with zeros from a random place on: its length was written, its content was not."""
    data = path.read_bytes()
    at = rng.randrange(max(len(data), 1))
    path.write_bytes(data[:at] + bytes(len(data) - at))


def zero_block(path: Path, rng: random.Random, other: Path) -> None:
    """Fill a block of it with zeros."""
    data = bytearray(path.read_bytes())
    at = 512 * rng.randrange(len(data) // 512 + 1)
    data[at : at + 512] = bytes(len(data[at : at + 512]))
    path.write_bytes(data)


def grown(path: Path, rng: random.Random, other: Path) -> None:
    """Leave zeros behind its end."""
    with path.open("ab") as file:
        file.write(bytes(rng.choice([1, 511, 4096])))


def trials(budget: Budget) -> list[Outcome]:
    """Tear files of runs and call commands on them."""
    harms = (cut, cut, zeros_from, zero_block, grown)
    return damage.trials(Budget(budget.count(USUAL), budget.seed, budget.tell), harms, "torn files of a run")
