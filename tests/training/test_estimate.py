"""What an estimate counts as memory."""

from __future__ import annotations

import pytest

from neuroanp.backends import rate
from neuroanp.training.config import configure
from neuroanp.training.estimate import estimate

M, B, T, N, O = 2, 4, 4, 9, 2  # noqa: E741
SMALL = {
    "task": {"name": "copy", "length": 1, "delay": 2, "symbols": 2, "test_size": 8},
    "network": {"hidden": N},
    "profile": "pcm",
    "rule": {"name": "anp", "reference": "two", "K": 1, "gamma": 1.0},
    "hardware": {"write": "ideal"},
    "training": {"updates": 3, "batch": B, "controls": False},
}


def memory(**overrides) -> int:
    return estimate(configure(SMALL, {key.replace("__", "."): value for key, value in overrides.items()}))[
        "memory_bytes"
    ]


def test_drawn_devices_are_counted(monkeypatch):
    """xi is (T, M, B, n, m) of the largest array, W, against (T, M, B, n) by moments; a chunk or a limit cuts it."""
    moments = memory()
    assert memory(hardware__read="sampled") - moments == 4 * T * M * B * N * (N - 1)
    assert memory(hardware__read="sampled", training__chunk=2) - memory(training__chunk=2) == 4 * 2 * M * B * N * (
        N - 1
    )
    monkeypatch.setattr(rate, "LARGEST_DRAW", 4 * 3 * M * B * N * N + 1)
    assert memory(hardware__read="sampled") - moments == 4 * M * B * N * (3 * N - T)


def test_without_read_noise_nothing_is_drawn():
    quiet = {"hardware__without": ["read_noise"]}
    assert memory(**quiet, hardware__read="sampled") == memory(**quiet)


@pytest.mark.parametrize("gamma", [0.5, 1.0])
def test_passes_are_stored_for_credit_that_looks_ahead_alone(gamma):
    stored = 4 * T * M * B * (2 * N + O)
    assert memory(rule__gamma=gamma) - memory(rule__gamma=0.0) == stored
