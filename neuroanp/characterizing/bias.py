"""Measure a two-state junction against its bias: occupancy and correlation time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import Measurement

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile


def applies(profile: HardwareProfile) -> bool:
    """Tell whether the source is a junction with a bias."""
    return hasattr(profile.stochastic, "occupancy")


def measure(bench: Bench) -> Measurement:
    raise NotImplementedError
