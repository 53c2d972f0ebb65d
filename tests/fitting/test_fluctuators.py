"""Several fluctuators on a 1/f background: their likelihood, their number, and what their replay refuses."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from neuroanp.errors import InputError
from neuroanp.fitting import Fit, Options, fit_file, profile_text, replay
from neuroanp.fitting import fluctuator_model as model
from neuroanp.fitting.plots import draw
from neuroanp.fitting.replay import correlation, expected_correlation, lags_of
from neuroanp.fitting.sketch import sketch
from neuroanp.profiles import loads
from tests.close import close
from tests.fitting.test_two_levels import OTHERS, pink, signal, states

THETA = np.array([0.1, -1.2, -1.0, math.log(0.1), math.log(200.0), *np.log([0.8, 1.3, 30.0, 200.0, 12.0, 400.0])])
"""Two fluctuators of .8 and 1.3 on a background of .37 between .0005 and .1 cycles a sample, white noise of .3."""


def fit(columns: dict[str, np.ndarray], folder: Path, options: Options | None = None) -> Fit:
    path = folder / "m.csv"
    names, rows = ",".join(columns), np.column_stack([*columns.values()])
    np.savetxt(path, rows, delimiter=",", header=names, comments="", fmt="%.10g")
    return fit_file(path, "telegraph", options)


def trace(v: np.ndarray, name: str = "voltage_mV") -> dict[str, np.ndarray]:
    return {"time_us": np.arange(float(len(v))), name: v}


def test_the_gradient_of_the_likelihood_is_its_slope() -> None:
    data = sketch(model.draw(THETA, 20_000, np.random.default_rng(0)))
    for levelling in (0.0, 50.0):
        data = data.drawn(np.linspace(1, 2, len(data.octaves)), levelling)
        at = THETA + 0.05 * np.random.default_rng(1).standard_normal(len(THETA))
        _, slope = model.cost(at, data)
        steps = 1e-5 * np.eye(len(at))
        numeric = [(model.cost(at + h, data)[0] - model.cost(at - h, data)[0]) / 2e-5 for h in steps]
        assert slope == close(numeric, rel=2e-3)


def test_records_of_a_law_have_its_spectrum_distribution_and_autocorrelation() -> None:
    """Averaged over 40 records; the autocorrelation about each record's own mean, as a short one shows it."""
    rng, n = np.random.default_rng(2), 20_000
    lags = lags_of(n)
    records = [model.draw(THETA, n, rng) for _ in range(40)]
    seen = [sketch(v, np.linspace(-4, 4, 257)) for v in records]
    law = model.spectrum(THETA, seen[0].f)
    power = np.mean([10 ** (one.decibels(law) / 10) for one in seen], axis=0)
    assert np.abs(10 * np.log10(power)).max() < 0.8
    below = np.cumsum(np.mean([one.share for one in seen], axis=0))
    assert np.abs(below - model.distribution(THETA, seen[0].edges)[1:]).max() < 0.02
    found = np.mean([correlation(v, lags) for v in records], axis=0)
    assert np.abs(found - expected_correlation(THETA, n, lags)).max() < 0.03


def test_two_fluctuators_are_found_with_their_sizes_and_dwell_times(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    v = 5.0 + states(6000, 12, 8, rng) + 0.8 * states(6000, 40, 60, rng) + 0.1 * rng.standard_normal(6000)
    found = fit(trace(v), tmp_path)
    assert (found.section, found.law, found.doubts) == ("stochastic", "fluctuators", ())
    assert not any("fluctuators[2]" in p.key for p in found.parameters)
    truth = {
        "fluctuators[0].tau_high": 12e-6, "fluctuators[0].tau_low": 8e-6, "fluctuators[0].amplitude": 1e-3,
        "fluctuators[1].tau_high": 40e-6, "fluctuators[1].tau_low": 60e-6, "fluctuators[1].amplitude": 0.8e-3,
        "white": 0.1e-3, "mean": 5e-3 + 0.6e-3 + 0.32e-3,
    }  # fmt: skip
    for name, true in truth.items():
        value = found[name]
        half = 0.5 * (value.high - value.low)
        assert value.low - half <= true <= value.high + half  # twice the 95 % interval
    assert found["fluctuators[0].amplitude"].value == close(1e-3, rel=0.02)
    assert found["fluctuators[1].amplitude"].value == close(0.8e-3, rel=0.02)
    profile = loads(profile_text(found, "mine", "2026-02-03"))
    law = profile.stochastic
    assert law.fluctuators[1].tau_low == close(found["fluctuators[1].tau_low"].value, rel=0.01)
    assert profile.provenance["stochastic.fluctuators[0].tau_high"].status == "fitted"
    assert law.node_sigma == close(float(v.std()) * 1e-3 / law.volts_per_unit, rel=0.05)
    assert draw(found)[:4] == b"\x89PNG"


def test_a_conductance_is_read_through_fractions_of_its_mean(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    v = signal(rng, 6000) + 0.5 * states(6000, 100, 100, rng)
    found = fit(trace(20.0 + v, "conductance_uS"), tmp_path)
    assert (found.section, found.law, found.base) == ("read", "fluctuators", "rram_rtn")
    mean = 20.0 + v.mean()
    assert found["fluctuators[0].amplitude"].value == close(1.0 / mean, rel=0.03)
    assert found["fluctuators[1].amplitude"].value == close(0.5 / mean, rel=0.05)
    assert any("sigma of a read" in note for note in found.notes)


def test_one_level_on_a_1f_background_has_no_fluctuator(tmp_path: Path) -> None:
    theta = np.array([0.0, -0.7, 0.0, math.log(0.3), math.log(300.0)])
    v = model.draw(theta, 20_000, np.random.default_rng(4))
    found = fit(trace(v), tmp_path)
    assert found.law == "fluctuators"
    assert not any("fluctuators[" in p.key for p in found.parameters)
    assert any(note.startswith("one level: no telegraph signal") for note in found.notes)
    law = loads(profile_text(found, "mine", "2026-02-03")).stochastic
    assert law.fluctuators == ()
    total = law.node_sigma * law.volts_per_unit
    assert total == close(float(v.std()) * 1e-3, rel=0.05)


def test_a_record_too_short_for_its_own_slow_noise_says_how_long_it_must_be() -> None:
    own = replay.Own(np.zeros((3, 5)), np.zeros((3, 2)), np.zeros((3, 2)), np.array([0.04, 0.05, 0.2]))
    assert "lie 0.05 from it: this one is too short, and about 40 s are needed" in replay._too_short(own, 10.0)
    assert replay._too_short(own._replace(distances=np.full(3, 0.01)), 10.0) == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("v", "said"),
    [
        (OTHERS["a random walk"](np.random.default_rng(1)), "m.csv:2: voltage_mV: the baseline drifts over lines"),
        (OTHERS["levels that drift by their distance"](np.random.default_rng(2)), "the baseline drifts over lines"),
        (np.minimum(signal(np.random.default_rng(5)), 1.05), "1.05 mV, the largest value: the trace is clipped"),
        (np.maximum(signal(np.random.default_rng(6)), -0.02), "the smallest value: the trace is clipped"),
    ],
)  # fmt: skip
def test_unfit_traces_are_named_with_their_lines(v: np.ndarray, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no profile is made of them") as refused:
        fit(trace(np.round(v, 4)), tmp_path)
    assert said in str(refused.value)
    found = fit(trace(np.round(v, 4)), tmp_path, Options(anyway=True))
    assert any(said in doubt for doubt in found.doubts)
    text = profile_text(found, "mine", "2026-02-03")
    assert "DOES NOT DESCRIBE ITS DATA" in text
    assert loads(text).meta.status == "illustrative"


@pytest.mark.parametrize("seed", range(4))
def test_what_stands_still_is_neither_drifting_nor_clipped(seed: int, tmp_path: Path) -> None:
    from neuroanp.fitting.data import read_table
    from neuroanp.fitting.telegraph import columns
    from neuroanp.fitting.trace_record import record_of, unfit

    rng = np.random.default_rng(seed)
    for v in (signal(rng), pink(3000, rng), states(3000, 700, 700, rng) + 0.1 * rng.standard_normal(3000)):
        path = tmp_path / "m.csv"
        np.savetxt(path, np.column_stack([np.arange(3000), np.round(v, 2)]), delimiter=",", header="time_us,voltage_mV",
                   comments="", fmt="%.10g")  # fmt: skip
        table = read_table(path, columns(Options()))
        assert unfit(table, record_of(table)) == []


def test_a_gap_names_the_longest_piece_without_one(tmp_path: Path) -> None:
    v = signal(np.random.default_rng(7))
    t = np.arange(3000.0) + 50.0 * (np.arange(3000) >= 1200)
    with pytest.raises(InputError, match=r"m.csv:1202: time_us: a gap of 51 us .* lines 1202 to 3001, 1,800 samples"):
        fit({"time_us": t, "voltage_mV": v}, tmp_path)


def test_a_signal_ten_times_as_large_perturbs_ten_times_as_much(tmp_path: Path) -> None:
    v = signal(np.random.default_rng(8))
    laws = [loads(profile_text(fit(trace(k * v), tmp_path), "mine", "2026-02-03")).stochastic for k in (1.0, 10.0)]
    assert laws[0].volts_per_unit == laws[1].volts_per_unit == 0.3
    assert laws[1].node_sigma == close(10.0 * laws[0].node_sigma, rel=1e-3)
    told = fit(trace(v), tmp_path, Options(volts_per_unit=0.05))
    stated = loads(profile_text(told, "mine", "2026-02-03"))
    assert stated.stochastic.volts_per_unit == 0.05
    assert stated.stochastic.node_sigma == close(6.0 * laws[0].node_sigma, rel=1e-6)
    assert "the gain that the fit was told" in stated.provenance["stochastic.volts_per_unit"].source
    (note,) = [note for note in told.notes if note.startswith("sigma = kappa")]
    assert "/ 50 mV" in note
