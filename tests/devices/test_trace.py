"""Recorded traces: replayed and resampled at any step, and every bad recording with its line."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from neuroanp.devices.trace import MeasuredTrace
from neuroanp.errors import InputError
from neuroanp.profiles import load, loads
from tests.close import close

INTERVAL = 2e-6
PROFILE = """meta: {name: mine, summary: a test, source: my bench, status: measured}
conductance: {g_min: 1 uS, g_max: 25 uS, coding: differential}
array: {weight_range: 4, write: row}
stochastic: {law: measured, file: trace.csv, mode: replay, n_sources: 1, kappa: 1, volts_per_unit: 1 V}
"""


def recording(n=500):
    """A correlated trace with a mean, volts."""
    rng = np.random.default_rng(0)
    return 0.3 + 1e-3 * np.convolve(rng.standard_normal(n + 7), np.ones(8) / 8, "valid") + 1e-3 * rng.random(n)


def csv(volts, times=None):
    times = INTERVAL * np.arange(len(volts)) if times is None else times
    return "time_us,voltage_mV\n" + "".join(
        f"{1e6 * float(t)!r},{1e3 * float(v)!r}\n" for t, v in zip(times, volts, strict=True)
    )


@pytest.fixture
def path(tmp_path):
    np.savez(tmp_path / "trace.npz", voltage_V=recording())
    return tmp_path / "trace.npz"


def law(path, **changes):
    fields = {
        "file": str(path), "sampling_time": INTERVAL, "mode": "replay", "n_sources": 1, "kappa": 2.0,
        "volts_per_unit": 0.1, **changes,
    }  # fmt: skip
    return MeasuredTrace(**{name: value for name, value in fields.items() if value is not None})


def uniforms(rng, *shape, dtype=np.float64):
    return torch.from_numpy(rng.random(shape, dtype=dtype))


# ---- replay ----


@pytest.mark.parametrize(("ratio", "index"), [(1, 1), (3, 3), (499, 499), (500, 0), (501, 1), (1e6 + 2, 2)])
def test_replay_follows_the_trace_and_begins_again(path, ratio, index):
    source = law(path)
    wanted = 2.0 * (recording() - recording().mean()) / 0.1
    start = source.start(torch.tensor([[0.2]], dtype=torch.float64))  # sample 100
    noise, _ = source.run(start, torch.zeros(20, 1, 1, dtype=torch.float64), None, ratio * INTERVAL)
    places = (100 + index * np.arange(1, 21)) % 500
    np.testing.assert_allclose(noise[:, 0].numpy(), wanted[places], rtol=1e-12, atol=1e-15)


def test_between_samples_the_earlier_one_shows(path):
    source = law(path)
    wanted = 2.0 * (recording() - recording().mean()) / 0.1
    start = source.start(torch.tensor([[0.2]], dtype=torch.float64))
    noise, _ = source.run(start, torch.zeros(10, 1, 1, dtype=torch.float64), None, 0.25 * INTERVAL)
    np.testing.assert_allclose(noise[:, 0].numpy(), wanted[[100, 100, 100, 101, 101, 101, 101, 102, 102, 102]])


@pytest.mark.parametrize("dt", [0.01 * INTERVAL, 0.7 * INTERVAL, INTERVAL, 2.5 * INTERVAL, 123.4 * INTERVAL])
def test_replay_has_the_moments_of_the_ring_at_any_step(path, dt):
    source, rng, units = law(path), np.random.default_rng(1), 200_000
    x, _ = source.run(source.start(uniforms(rng, 1, units)), uniforms(rng, 5, 1, units), None, dt)
    sigma = source.node_sigma
    assert sigma == close(2.0 * recording().std() / 0.1)
    assert float(x[-1].mean()) == pytest.approx(0.0, abs=0.012 * sigma)
    assert float(x[-1].var()) == close(sigma**2, rel=0.01)
    for lag in (1, 4):
        assert float((x[lag] * x[0]).mean()) / sigma**2 == pytest.approx(source.autocorrelation(lag * dt), abs=0.01)


def test_autocorrelation_is_that_of_the_ring(path):
    source, v = law(path), recording() - recording().mean()
    for k in (0, 1, 5, 250, 499, 500, 1003):
        wanted = float((v * np.roll(v, k)).mean() / v.var())
        assert source.autocorrelation(k * INTERVAL) == pytest.approx(wanted, abs=1e-9)
    halfway = 0.5 * (source.autocorrelation(0.0) + source.autocorrelation(INTERVAL))
    assert source.autocorrelation(0.5 * INTERVAL) == pytest.approx(halfway, abs=1e-9)


@pytest.mark.parametrize("mode", ["replay", "resample"])
def test_any_cut_into_chunks_gives_the_same_bits(path, mode):
    source, rng = law(path, mode=mode, n_sources=2), np.random.default_rng(2)
    start, u = source.start(uniforms(rng, 2, 30, dtype=np.float32)), uniforms(rng, 9, 2, 30, dtype=np.float32)
    kept = start.clone()
    whole, _ = source.run(start, u, None, 0.3 * INTERVAL)
    head, state = source.run(start, u[:4], None, 0.3 * INTERVAL)
    tail, _ = source.run(state, u[4:], None, 0.3 * INTERVAL)
    assert torch.equal(whole, torch.cat([head, tail]))
    assert torch.equal(start, kept)
    assert whole.dtype == torch.float32
    assert whole.shape == (9, 30)


# ---- resample ----


def test_resample_has_the_distribution_of_the_trace_and_no_memory(path):
    from scipy.stats import chisquare

    source, rng, units = law(path, mode="resample", sampling_time=None), np.random.default_rng(3), 200_000
    x, _ = source.run(source.start(uniforms(rng, 1, units)), uniforms(rng, 2, 1, units), None, 1e-9)
    assert float(x[-1].var()) == close(source.node_sigma**2, rel=0.01)
    levels = np.sort(2.0 * (recording() - recording().mean()) / 0.1)
    counts = np.bincount(np.searchsorted(levels, x[0].numpy() - 1e-12), minlength=500)
    assert chisquare(counts).pvalue > 1e-3
    assert abs(float((x[1] * x[0]).mean())) / source.node_sigma**2 < 5 / math.sqrt(units)
    assert (source.autocorrelation(0.0), source.autocorrelation(1e-12)) == (1.0, 0.0)


# ---- sources, files, units ----


def test_sources_add_up(path):
    assert law(path, n_sources=4).node_sigma == close(2 * law(path).node_sigma)
    assert law(path, n_sources=4).uniforms((3, 2)) == (4, 3, 2)


def test_a_profile_finds_its_trace_beside_it(tmp_path):
    (tmp_path / "trace.csv").write_text(csv(recording()), encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(PROFILE, encoding="utf-8")
    source = load(tmp_path / "mine.yaml").stochastic
    assert isinstance(source, MeasuredTrace)
    assert source.interval == close(INTERVAL, rel=1e-9)
    assert source.node_sigma == close(recording().std(), rel=1e-9)
    again = loads(load(tmp_path / "mine.yaml").text).stochastic
    assert again == source


GAP = INTERVAL * np.where(np.arange(200) < 60, np.arange(200), np.arange(200) + 1)
BACK = INTERVAL * np.where(np.arange(200) == 60, 40, np.arange(200))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (csv(recording(99)), "trace.csv: 99 samples; a trace needs 100 or more"),
        (csv(np.full(200, 0.25)), "trace.csv: all samples are 250 mV: there is no noise in it"),
        (csv(recording(200), GAP), "trace.csv:62: 4 us after the sample before, others 2 us: a gap"),
        (csv(recording(200), BACK), "trace.csv:62: -38 us after the sample before, others 2 us: a gap"),
        (csv(recording(200), np.zeros(200)), "trace.csv:3: time does not rise"),
        (csv(np.where(np.arange(200) == 7, np.nan, recording(200))), "trace.csv:9: voltage_mV: 'nan' is not a finite"),
        (csv(recording(200)).replace("voltage_mV", "voltage_uA"), "'uA' is no unit of V"),
        ("time_us,current_mA\n1,2\n", "trace.csv: no column 'voltage_V'"),
    ],
)
def test_bad_recordings_are_refused_with_file_and_line(tmp_path, text, says):
    (tmp_path / "trace.csv").write_text(text, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(PROFILE, encoding="utf-8")
    with pytest.raises(InputError) as error:
        load(tmp_path / "mine.yaml")
    (problem,) = error.value.problems
    assert "mine.yaml:4: stochastic.file: " in problem
    assert says in problem


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"mode": "loop"}, "mode", "replay"),
        ({"sampling_time": None}, "sampling_time", "required: "),
        ({"sampling_time": 0.0}, "sampling_time", "not above zero"),
        ({"volts_per_unit": 0.0}, "volts_per_unit", "not above zero"),
    ],
)
def test_bad_keys_are_refused(path, changes, key, says):
    with pytest.raises(ValidationError) as error:
        law(path, **changes)
    assert [detail["loc"] for detail in error.value.errors()] == [(key,)]
    assert says in str(error.value)


def test_sampling_time_and_time_column_must_agree(tmp_path):
    (tmp_path / "trace.csv").write_text(csv(recording()), encoding="utf-8")
    law(tmp_path / "trace.csv", sampling_time=INTERVAL)
    with pytest.raises(ValidationError, match="differs from the time column"):
        law(tmp_path / "trace.csv", sampling_time=1.5 * INTERVAL)


@pytest.mark.parametrize("dt", [-1.0, math.inf, math.nan])
def test_a_trace_is_followed_forward_in_finite_steps(path, dt):
    source = law(path)
    with pytest.raises(ValueError, match="followed forward in time"):
        source.run(torch.zeros(1, 1), torch.zeros(1, 1, 1), None, dt)
