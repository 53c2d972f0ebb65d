"""Every experiment finds what the laws state, finds a law that lies out, and depends on its seed alone."""

from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import torch

from neuroanp import api
from neuroanp.characterizing import EXPERIMENTS, Characterization, characterize, chosen
from neuroanp.characterizing.bias import _drive
from neuroanp.characterizing.correlated import clock
from neuroanp.characterizing.experiments import FEWEST
from neuroanp.characterizing.pulsing import Pulser
from neuroanp.characterizing.result import Panel, plain
from neuroanp.devices.device import Device
from neuroanp.devices.pcm import PcmProgramming
from neuroanp.errors import InputError
from neuroanp.profiles import available, load, loads
from tests.close import close

FAST = ["ideal", "pcm", "rram_hfo2", "smtj_koenders"]
FALSE_ALARM = 1e-3


def bound(count: int) -> float:
    """Return the standard errors that the largest of `count` differences passes with probability FALSE_ALARM."""
    return NormalDist().inv_cdf(1.0 - FALSE_ALARM / (2 * count))


def holds(found: Characterization) -> None:
    """Check that all moments are numbers, and that those with a closed form agree with it."""
    compared = [moment for one in found.measurements for moment in one.moments if moment.expected is not None]
    for one in found.measurements:
        for moment in one.moments:
            assert np.isfinite([moment.sampled, moment.error]).all(), moment
        for panel in one.panels:
            for series in panel.series if isinstance(panel, Panel) else ():
                assert len(series.x) == len(series.y) > 1
                assert np.isfinite(series.x).all()
    for moment in compared:
        assert abs(moment.z) < (bound(len(compared)) if moment.error else 1e-9), moment


@pytest.mark.parametrize("name", FAST)
def test_what_is_sampled_is_what_the_laws_state(name: str) -> None:
    found = characterize(load(name), devices=2000)
    assert [one.name for one in found.measurements] == [one.name for one in chosen(load(name))]
    holds(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(available()) - set(FAST)))
def test_every_shipped_profile_holds(name: str) -> None:
    found = characterize(load(name), devices=2000)
    assert found.measurements
    holds(found)


def test_a_law_that_lies_about_its_spread_is_found_out() -> None:
    class Liar(PcmProgramming):
        def sigma(self, g_target, g_max):
            return 1.1 * super().sigma(g_target, g_max)

        def write(self, g_target, g_max, xi):
            return (g_target + super().sigma(g_target, g_max) * xi).clamp_min(0.0)

    profile = load("pcm")
    assert profile.programming is not None
    liar = profile.model_copy(update={"programming": Liar(**profile.programming.model_dump())})
    found = characterize(liar, only=["programming"], devices=5000)
    with pytest.raises(AssertionError):
        holds(found)


def test_equal_seeds_give_equal_results_whatever_else_is_measured() -> None:
    every = characterize(load("pcm"), devices=500, only=["programming", "drift"])
    alone = characterize(load("pcm"), devices=500, only=["drift"])
    drift = next(one for one in every.measurements if one.name == "drift")
    assert plain(drift) == plain(alone.measurements[0])
    other = characterize(load("pcm"), devices=500, only=["drift"], seed=1)
    assert other.measurements[0].moments != drift.moments


def test_progress_is_reported_before_each_experiment() -> None:
    said: list[tuple[str, int, int]] = []
    characterize(load("pcm"), devices=100, only=["pulses", "drift"], report=lambda *event: said.append(event))
    assert said == [("drift", 0, 2), ("pulses", 1, 2)]


def test_experiments_that_are_unknown_or_have_nothing_to_measure_are_refused_together() -> None:
    with pytest.raises(InputError) as error:
        chosen(load("ideal"), ["drfit", "read_noise", "programming"])
    assert error.value.problems == (
        "--only: 'drfit' is not an experiment; did you mean 'drift'?",
        "--only: 'read_noise': profile 'ideal' has nothing to measure for it",
    )
    assert len({one.name for one in EXPERIMENTS}) == len(EXPERIMENTS)


def test_one_experiment_may_be_named_without_a_list() -> None:
    assert [one.name for one in api.characterize("pcm", only="drift", devices=FEWEST).measurements] == ["drift"]


@pytest.mark.parametrize("devices", [-1, 0, FEWEST - 1])
def test_too_few_devices_are_refused(devices: int) -> None:
    with pytest.raises(InputError, match=f"{devices} are too few .* take {FEWEST} or more"):
        characterize(load("pcm"), devices=devices, only=["drift"])


@pytest.mark.parametrize("name", ["pcm", "rram_hfo2"])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_pulse_is_found_for_what_the_law_counts_as_one(name: str, direction: int) -> None:
    pulser = Pulser.of(Device(load(name), frozenset()))
    cells = pulser.device.sample((1, 50), np.random.default_rng(0), torch.float64)
    for count in (1, 7):
        _, sent = pulser.send(cells, direction * count, np.random.default_rng(count))
        assert set(sent.sum(0).flatten().tolist()) == {count}


def test_trains_longer_than_one_call_can_send_are_cut() -> None:
    pulser = Pulser.of(Device(load("rram_hfo2"), frozenset()))
    assert pulser.most == 100
    cells = pulser.device.sample((1, 3), np.random.default_rng(0), torch.float64)
    _, sent = pulser.send(cells, 250, np.random.default_rng(0))
    assert sent.flatten().tolist() == [250] * 3


def test_nominal_pulse_curve_is_the_soft_bounds_recursion() -> None:
    profile = load("rram_hfo2")
    (found,) = characterize(profile, only=["pulses"], devices=100).measurements
    (panel,) = found.panels
    assert isinstance(panel, Panel)
    nominal = next(one for one in panel.series if one.label == "without variability")
    w, curve, half = 0.0, [0.0], len(nominal.x) // 2
    for pulse in range(2 * half):
        w += 0.4622 * (1 - w) if pulse < half else -0.4622 * (1 + w)
        curve.append(w)
    width = profile.conductance.g_max - profile.conductance.g_min
    np.testing.assert_allclose(nominal.y, 0.5 * width * np.array(curve), rtol=1e-9)


def test_drift_is_followed_over_the_ages_in_which_it_acts() -> None:
    leak = loads("extends: ideal\nmeta: {name: leaky}\ndrift: {law: leak, tau: 1 ms, rest: 5 uS}\n")
    found = characterize(leak, only=["drift"], devices=100)
    holds(found)
    panel = found.measurements[0].panels[0]
    assert isinstance(panel, Panel)
    ages, g = panel.series[-2].x, panel.series[-2].y
    assert 1e-7 < ages[0] < 1e-4
    assert 5e-3 < ages[-1] < 1.0
    np.testing.assert_allclose(g, 5e-6 + 20e-6 * np.exp(-ages / 1e-3), rtol=1e-9)


def test_faults_and_differences_are_found_in_the_stated_shares() -> None:
    profile = loads(
        "extends: ideal\nmeta: {name: broken}\nvariability: {law: lognormal, cv: 0.2}\n"
        "faults: {stuck_low: 0.05, stuck_high: 0.02, dead_rows: 0.1, dead_columns: 0.15}\n"
    )
    found = characterize(profile, only=["variability", "faults"], devices=20_000)
    assert len(found.checked) == 5
    holds(found)


def test_wires_take_what_the_series_resistance_of_one_device_says() -> None:
    profile = loads(
        "extends: ideal\nmeta: {name: wired}\n"
        "array: {max_rows: 8, max_columns: 8, wires: {r_word: 5 ohm, r_bit: 2 ohm}}\n"
    )
    (found,) = characterize(profile, only=["wires"], devices=100).measurements
    rows = {moment.quantity: moment for moment in found.moments}
    assert rows["a device at g_max, alone: G_eff"].z == 0
    assert rows["a device at g_max, alone: G_eff"].sampled == close(25e-6 / (1 + 25e-6 * 7.0))
    smallest, mean = rows["all at g_max: smallest G_eff / G"], rows["all at g_max: mean of G_eff / G"]
    assert 0.9 < smallest.sampled < mean.sampled < 1.0
    assert 0 < rows["all at g_max: largest relative error of the fast way"].sampled < 1e-3


JUNCTION = """
extends: ideal
meta: {name: junction}
stochastic:
  {law: smtj, dwell: 10 ns, tau0: 1 ns, v_slope: 20 mV, v50: 0.2 V, exponent: 1, reference_temperature: 300 K,
   bias: 0.2 V, r_p: 7.64 kohm, tmr: 1, r_load: 11 kohm, v_dd: 0.4 V, kappa: 1, volts_per_unit: 1.7 V, n_sources: 2}
"""


def test_a_junction_is_measured_as_a_source_and_against_its_bias() -> None:
    profile = loads(JUNCTION)
    found = characterize(profile, only=["source", "bias"], devices=2000)
    assert [one.name for one in found.measurements] == ["source", "bias"]
    holds(found)
    dt, unit = clock(profile.stochastic)
    assert unit == "s"
    assert dt == close(5e-9 / 16, rel=0.15)
    for p in (0.02, 0.98):
        assert profile.stochastic.occupancy(_drive(profile.stochastic, p)) == close(p, rel=0.01)  # pyright: ignore


def test_a_process_without_physical_time_is_followed_in_steps() -> None:
    assert clock(load("smtj_koenders").stochastic) == (1.0, "")


@pytest.mark.parametrize(
    "law",
    [
        "{law: one_over_f, f_low: 1 Hz, f_high: 1 MHz, amplitude: 1 mV, n_sources: 1, kappa: 1, volts_per_unit: 1 V}",
        "{law: measured, file: %s, sampling_time: 1 us, mode: replay, n_sources: 1, kappa: 1, volts_per_unit: 1 V}",
        "{law: measured, file: %s, sampling_time: 1 us, mode: resample, n_sources: 2, kappa: 1, volts_per_unit: 1 V}",
    ],
)
def test_any_source_with_an_autocorrelation_is_followed(tmp_path: Path, law: str) -> None:
    rng = np.random.default_rng(0)
    volts = 5.0 * np.cumprod(np.where(rng.random(2000) < 0.05, -1.0, 1.0)) + rng.standard_normal(2000)
    trace = tmp_path / "trace.csv"
    trace.write_text("voltage_mV\n" + "\n".join(f"{v:.4f}" for v in volts))
    text = f"extends: ideal\nmeta: {{name: mine}}\nstochastic: {law % trace if '%s' in law else law}\n"
    holds(characterize(loads(text), only=["source"]))


def test_a_silent_source_is_nothing_to_measure() -> None:
    silent = loads(JUNCTION.replace("kappa: 1", "kappa: 0"))
    assert [one.name for one in chosen(silent)] == ["programming", "bias"]
