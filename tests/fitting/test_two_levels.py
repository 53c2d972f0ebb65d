"""What is no telegraph signal is not called one; what is one is not refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuroanp.errors import InputError
from neuroanp.fitting import Options, fit_file, levels
from neuroanp.fitting.levels import three_against_two

Rng = np.random.Generator


def states(n: int, high: float, low: float, rng: Rng) -> np.ndarray:
    """Draw 0 and 1 with these mean dwell times, in samples, independently of the package."""
    s, lengths = [], 0
    state = int(rng.random() < high / (high + low))
    while lengths < n:
        dwell = rng.exponential((low, high)[state])
        s.append((dwell, state))
        lengths += dwell
        state = 1 - state
    edges = np.cumsum([dwell for dwell, _ in s])
    return np.array([state for _, state in s])[np.searchsorted(edges, np.arange(n), side="right")]


def pink(n: int, rng: Rng) -> np.ndarray:
    f = np.fft.rfftfreq(n)
    f[0] = f[1]
    x = np.fft.irfft((rng.standard_normal(len(f)) + 1j * rng.standard_normal(len(f))) / np.sqrt(f), n)
    return x / x.std()


def signal(rng: Rng, n: int = 3000, high: float = 12, low: float = 8, white: float = 0.1) -> np.ndarray:
    return states(n, high, low, rng) + white * rng.standard_normal(n)


OTHERS: dict[str, Callable[[Rng], np.ndarray]] = {
    "three levels": lambda rng: signal(rng) + 0.8 * states(3000, 40, 40, rng),
    "a weak second fluctuator": lambda rng: signal(rng) + 0.25 * states(3000, 100, 100, rng),
    "levels that drift by a tenth": lambda rng: signal(rng) + np.linspace(0, 0.1, 3000),
    "levels that drift by their distance": lambda rng: signal(rng) + np.linspace(0, 1, 3000),
    "a pink background": lambda rng: signal(rng) + 0.1 * pink(3000, rng),
    "pink noise": lambda rng: pink(3000, rng),
    "a random walk": lambda rng: np.cumsum(rng.standard_normal(3000)) + 0.5 * rng.standard_normal(3000),
    "a sine": lambda rng: np.sin(0.05 * np.arange(3000)) + 0.1 * rng.standard_normal(3000),
}
GOOD: dict[str, Callable[[Rng], np.ndarray]] = {
    "usual": signal,
    "fast": lambda rng: signal(rng, high=2.2, low=1.5, white=0.2),
    "noisy": lambda rng: signal(rng, high=5, low=5, white=0.5),
    "unequal": lambda rng: signal(rng, 6000, high=90, low=4),
    "slow": lambda rng: signal(rng, 6000, high=60, low=30),
}


def fit(v: np.ndarray, folder: Path, options: Options | None = None):
    path = folder / "v.csv"
    rows = np.column_stack([np.arange(len(v)), v])
    np.savetxt(path, rows, delimiter=",", header="time_us,voltage_mV", comments="", fmt="%.8g")
    return fit_file(path, "telegraph", options)


NO_LAW = ("levels that drift by their distance", "a random walk", "a sine")
"""Those that no stationary law of levels and noise describes."""


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_telegraph_signal_is_not_called_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not describe these data|one level only|switches between") as refused:
        fit(OTHERS[name](np.random.default_rng(1)), tmp_path, Options(law="rtn"))
    assert "the fitted profile" not in str(refused.value)


@pytest.mark.parametrize("name", NO_LAW)
def test_what_no_law_describes_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not describe these data"):
        fit(OTHERS[name](np.random.default_rng(1)), tmp_path)


@pytest.mark.parametrize("name", GOOD)
def test_a_telegraph_signal_is_fitted(name: str, tmp_path: Path) -> None:
    assert fit(GOOD[name](np.random.default_rng(2)), tmp_path).doubts == ()


@pytest.mark.long
@pytest.mark.parametrize("name", GOOD)
def test_few_telegraph_signals_are_refused(name: str, tmp_path: Path) -> None:
    refused = 0
    for seed in range(100):
        try:
            fit(GOOD[name](np.random.default_rng(seed)), tmp_path)
        except InputError:
            refused += 1
    assert refused <= 4  # of 100, each refused with probability 0.01: more once in 300


def test_three_levels_are_found_where_they_are() -> None:
    rng = np.random.default_rng(3)
    v = states(4000, 30, 30, rng) + 0.4 * states(4000, 80, 80, rng) + 0.05 * rng.standard_normal(4000)
    better, found = three_against_two(v, np.array([0.2, 1.2]), 0.2, np.array([[0.95, 0.05], [0.05, 0.95]]))
    assert better > 100
    assert all(np.abs(np.array([0.0, 0.4, 1.0, 1.4]) - x).min() < 0.25 for x in found.mean)


def test_how_much_was_looked_at_for_three_levels_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    v = next(iter(GOOD.values()))(np.random.default_rng(2))
    assert not [note for note in fit(v, tmp_path).notes if "three levels" in note]
    monkeypatch.setattr(levels, "MOST_SAMPLES", len(v) - 1)
    (note,) = (note for note in fit(v, tmp_path).notes if "three levels" in note)
    assert f"in the first {len(v) - 1:,} of {len(v):,} samples only" in note


@pytest.mark.parametrize("switches", [1, 4])
def test_a_few_switches_are_no_signal_whose_dwell_times_are_known(switches: int, tmp_path: Path) -> None:
    rng, v = np.random.default_rng(5), np.zeros(20_000)
    for at in np.linspace(3_000, 17_000, switches).astype(int):
        v[at:] = 5.0 - v[at]
    with pytest.raises(InputError, match=r"switches between the levels; a fit needs at least 10|does not describe"):
        fit(v + rng.normal(size=len(v)), tmp_path)
