"""An instrument for tests that keeps all it is told, loses its link when it is told to, and answers V G exactly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroanp.instruments import played
from neuroanp.instruments.protocol import Cost, Identity, Limits, LinkLostError, Pulse

LIMITS = Limits.model_validate({"voltage": 0.25, "write_voltage": 1.5, "current": 1e-4, "pulses": 50})
PULSE = Pulse.model_validate({"up": 1.2, "down": -1.3, "width": 1e-7})
PROFILE = """extends: ecram
meta: {name: bench_ecram, summary: ecram with read noise}
read: {law: gaussian, sigma_absolute: 0 S, sigma_relative: {value: 0.01, source: assumed, status: illustrative}}
"""
STEP = 1e-8


class Told:
    """A driver that needs no link: devices of 6 uS that step by STEP, within 1 to 11 uS."""

    def __init__(
        self, resource: str = "told", options: Mapping[str, Any] | None = None, *, lines: int = 8, bits: int = 4,
        noise: float = 0.0,
    ) -> None:  # fmt: skip
        self.siemens = np.full((lines, bits), 6e-6)
        self.identity, self.noise, self.rng = Identity(resource, lines, bits), noise, np.random.default_rng(0)
        self.reads: list[np.ndarray] = []
        self.writes: list[np.ndarray] = []
        self.opened = self.closed = 0
        self.fails: list[str] = []
        self.joules: float | None = None

    def _fail(self, what: str) -> None:
        if self.fails and self.fails[0] == what:
            self.fails.pop(0)
            raise LinkLostError(f"{what}: cut")

    def open(self, limits: Limits, pulse: Pulse) -> Identity:
        self._fail("open")
        self.opened += 1
        return self.identity

    def read(self, volts: np.ndarray) -> np.ndarray:
        self._fail("read")
        self.reads.append(volts.copy())
        found = volts.astype(np.float64) @ self.siemens
        return found * (1 + self.noise * self.rng.standard_normal(found.shape))

    def write(self, pulses: np.ndarray) -> None:
        self._fail("before write")
        self.writes.append(pulses.copy())
        self.siemens = np.clip(self.siemens + STEP * pulses, 1e-6, 11e-6)
        self._fail("after write")

    def cost(self) -> Cost:
        return Cost(self.joules, None)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instruments that are played stay as they were left; those of a test are its own."""
    monkeypatch.setattr(played, "_PLAYED", {})


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def bench_profile(tmp_path: Path) -> Path:
    path = tmp_path / "bench_ecram.yaml"
    path.write_text(PROFILE)
    return path


def settings(profile: Path, **options: Any) -> dict[str, Any]:
    """A configuration of a small run on a played instrument."""
    return {
        "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 16},
        "network": {"hidden": 4},
        "profile": str(profile),
        "rule": {"name": "anp", "reference": "mean", "K": 3},
        "optimizer": {"lr": 4e-3},
        "hardware": {
            "substrate": "visa",
            "resource": "TCPIP::bench::INSTR",
            "options": {"library": f"played:{profile}", "lines": 16, "bits": 4, **options},
            "limits": {"voltage": "0.25 V", "write_voltage": "1.5 V", "current": "100 uA", "pulses": 2000},
            "pulse": {"up": "1.2 V", "down": "-1.2 V", "width": "100 ns"},
        },
        "training": {"updates": 4, "batch": 4, "evaluate_every": 100, "checkpoint_every": 2, "controls": False},
    }


def without(plain: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """A configuration whose hardware lacks some keys."""
    hardware = {key: value for key, value in plain["hardware"].items() if key not in keys}
    return {**plain, "hardware": hardware}
