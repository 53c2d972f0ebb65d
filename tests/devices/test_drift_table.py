"""Drift by tables: HERMES's exponents, moments on and between the rows, what falls together, broken tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp.devices.device import Device
from neuroanp.devices.draws import normal
from neuroanp.devices.drift_table import MeasuredDrift, PowerLawDrift
from neuroanp.devices.protocol import Span
from neuroanp.errors import InputError
from neuroanp.profiles import load, loads
from neuroanp.substrates import promises
from tests.close import close

SPAN = Span(0.0, 25e-6)
SAMPLES = 200_000
LIKE = torch.empty(0, dtype=torch.float64)
DAY = 86_400.0
GRID = """time_s,target_uS,mean_uS,sd_uS
1,0,0.05,0.2
1,10,10.5,0.4
1,20,20,0.8
100,0,0.1,0.3
100,10,9,1.2
100,20,17,0.4
10000,0,0.1,0.3
10000,10,8,1.4
10000,20,15,0.5
"""
PROFILE = """meta: {name: mine, summary: a test, source: my bench, status: measured}
conductance: {g_min: 0 S, g_max: 25 uS, coding: differential}
programming: {law: gaussian, sigma_absolute: 0.4 uS, sigma_relative: 0}
drift: {law: measured, file: drift.csv}
array: {weight_range: 4, write: row}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("drift.csv").write_text(GRID)
    Path("mine.yaml").write_text(PROFILE)
    return tmp_path


def age(seconds: float) -> torch.Tensor:
    return torch.tensor(seconds, dtype=torch.float64)


def siemens(uS: float, count: int = 1) -> torch.Tensor:
    return torch.full((count,), 1e-6 * uS, dtype=torch.float64)


# ---- exponents ----


def hermes(r: np.ndarray) -> np.ndarray:
    """Mean exponent of single PCM devices of the HERMES chip against r = G / 10.35 uS (Le Gallo et al., 2023)."""
    low = np.clip(-0.0387 * np.log(np.maximum(r, 1e-7)) - 0.0182, 0.0720, 0.13)
    return np.where(r < 0.0945, low, -0.0436 * r**2 - 0.0126 * r + 0.0736)


def hermes_sd(r: np.ndarray) -> np.ndarray:
    """Its spread from device to device."""
    low = np.clip(-0.0120 * np.log(np.maximum(r, 1e-7)) - 0.0023, 0.0124, 0.04)
    return np.where(r < 0.3039, low, -0.0165 * r**2 + 0.0116 * r + 0.0104)


@pytest.fixture
def tabulated(tmp_path):
    """HERMES's exponents every ten nanosiemens."""
    target = np.linspace(0.0, 10.35, 1036)
    rows = zip(target, hermes(target / 10.35), hermes_sd(target / 10.35), strict=True)
    path = tmp_path / "nu.csv"
    path.write_text("target_uS,nu,sd\n" + "\n".join(f"{g:.9g},{nu:.9g},{sd:.9g}" for g, nu, sd in rows))
    return PowerLawDrift(file=str(path), t0=200.0)


def test_exponents_of_hermes_by_table(tabulated):
    """Within 1 % of the curve, on and between the rows."""
    g = np.linspace(0.02, 10.33, 517)
    mean, sd = tabulated.spread(torch.from_numpy(1e-6 * g))
    assert mean.numpy() == close(hermes(g / 10.35), rel=0.01)
    assert sd.numpy() == close(hermes_sd(g / 10.35), rel=0.01)
    assert tabulated.covers == (0.0, close(10.35e-6))


def test_conductance_falls_as_a_power_of_the_time(tabulated):
    target = siemens(5.0, SAMPLES)
    nu = tabulated.draw(target, 10.35e-6, normal(np.random.default_rng(3), (SAMPLES,), LIKE))
    assert float(nu.mean()) == close(float(hermes(np.array(5.0 / 10.35))), rel=0.01)
    assert float(nu.std()) == close(float(hermes_sd(np.array(5.0 / 10.35))), rel=0.01)
    late = tabulated.conductance(target, nu, age(DAY), target, SPAN)
    slope = torch.log(late / target) / np.log(DAY / 200.0)
    assert float(slope.mean()) == close(-float(hermes(np.array(5.0 / 10.35))), rel=0.01)
    assert torch.equal(tabulated.conductance(target, nu, age(100.0), target, SPAN), target)


def test_without_a_spread_all_devices_drift_alike(tmp_path):
    path = tmp_path / "nu.csv"
    path.write_text("target_uS,nu\n0,0.1\n10,0.05\n")
    law = PowerLawDrift(file=str(path), t0=1.0)
    nu = law.draw(siemens(5.0, 3), 25e-6, torch.tensor([-1.0, 0.0, 9.0], dtype=torch.float64))
    assert nu.tolist() == close([0.075] * 3)


# ---- means and errors ----


@pytest.mark.parametrize(
    ("seconds", "uS", "mean", "sd"),
    [
        (100.0, 10.0, 9.0, 1.2), (10_000.0, 20.0, 15.0, 0.5), (1e9, 10.0, 8.0, 1.4), (1000.0, 10.0, 8.5, 1.3),
        (100.0, 15.0, 13.0, 0.8), (100.0, 24.0, 21.0, 0.4), (1e-3, 10.0, 10.5, 0.4), (10.0, 20.0, 18.5, 0.6),
    ],
)  # fmt: skip
def test_moments_on_between_and_beyond_the_rows(folder, seconds, uS, mean, sd):
    """Of devices that were written as the first time says, .5 uS too high at 10: 20 uS draw together, 10 uS spread."""
    law, rng = MeasuredDrift(file="drift.csv"), np.random.default_rng(4)
    target = siemens(uS, SAMPLES)
    written = 1e-6 * np.interp(uS, [0, 10, 20], [0.2, 0.4, 0.8])
    first = 1e-6 * (uS + np.interp(uS, [0, 10, 20], [0.05, 0.5, 0]))
    g = first + written * normal(rng, (SAMPLES,), LIKE)
    nu = law.draw(target, SPAN.g_max, normal(rng, (SAMPLES,), LIKE))
    late = law.conductance(g, nu, age(seconds), target, SPAN)
    assert 1e6 * float(late.mean()) == close(mean, rel=2e-3)
    assert 1e6 * float(late.std()) == close(sd, rel=0.01)
    assert 1e6 * float(law.sigma(target[:1], SPAN.g_max, age(seconds))) == close(sd)


def test_one_device_stays_on_its_side(folder):
    """What moves it is drawn once a write: deviations of two times are of one sign, from where it was written."""
    law, target = MeasuredDrift(file="drift.csv"), siemens(10.0)
    nu = torch.tensor([1.0], dtype=torch.float64)
    early, late = (1e6 * float(law.conductance(target, nu, age(t), target, SPAN)) for t in (100.0, 10_000.0))
    assert early == close(8.5 + (1.2**2 - 0.4**2) ** 0.5)
    assert late == close(7.5 + (1.4**2 - 0.4**2) ** 0.5)


def test_a_profile_tells_what_its_table_covers(folder):
    profile = load("mine.yaml")
    assert promises.table_end(profile, frozenset({"drift"})) == 10_000.0
    said = promises.idle_options(profile, frozenset({"drift"}), "moments", "fast", None)
    assert any("the drift table of profile mine covers 0 S to 20 uS" in line for line in said)
    assert any("beyond the table its ends are taken" in line for line in said)
    assert not promises.idle_options(profile, frozenset(), "moments", "fast", None)
    again = loads(profile.text)
    assert again.hash == profile.hash
    device = Device(again)
    cells = device.sample((100, 100), np.random.default_rng(0), torch.float64)
    cells, _, _ = device.program(cells, torch.full_like(cells["g"], 10e-6), None, 0.0, np.random.default_rng(1))
    assert 1e6 * float(device.conductance(cells, 10_000.0).mean()) == close(7.5, rel=0.01)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time_s,target_uS,mean_uS,sd_uS\n1,0,0,0\n1,1,1,0\n", "1 times; a table of drift has 2 to 64"),
        ("time_s,target_uS,mean_uS,sd_uS\n0,0,0,0\n0,1,1,0\n1,0,0,0\n1,1,1,0\n", ":2: time: 0 s; times count from"),
        ("time_s,target_uS,mean_uS,sd_uS\n2,0,0,0\n2,1,1,0\n1,0,0,0\n1,1,1,0\n", ":4: time: falls; sort the rows"),
        ("time_s,target_uS,mean_uS,sd_uS\n1,0,0,0\n1,1,1,0\n2,0,0,0\n", "1 targets at 2 s, 2 at 1 s"),
        ("time_s,target_uS,mean_uS,sd_uS\n1,0,0,0\n1,1,1,0\n2,0,0,0\n2,2,1,0\n", "other targets at 2 s than at 1 s"),
        ("time_s,target_uS,mean_uS,sd_uS\n1,1,0,0\n1,0,1,0\n2,1,0,0\n2,0,1,0\n", ":3: target: not well above"),
        ("time_s,target_uS,mean_uS,sd_uS\n1,0,0,0\n1,1,1,0\n2,0,0,0\n2,1,-1,0\n", ":5: mean: -1e-06 S is negative"),
        ("time_s,target_uS,mean_uS\n1,0,0\n1,1,1\n", "no column 'sd_uS'"),
    ],
    ids=["one time", "time 0", "falling", "ragged", "other targets", "unsorted", "negative", "no sd"],
)
def test_a_table_that_is_no_grid_is_refused(folder, text, says):
    Path("drift.csv").write_text(text)
    with pytest.raises(InputError) as error:
        load("mine.yaml")
    problem = str(error.value)
    assert "drift.file: drift.csv" in problem
    assert says in problem


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("target_uS,nu\n0,0.1\n", "1 rows; a table to interpolate has 2"),
        ("target_uS,nu\n1,0.1\n0,0.1\n", ":3: target: not well above the row before"),
        ("target_uS,nu,sd\n0,0.1,0\n1,0.1,-0.1\n", ":3: sd: -0.1 is negative"),
        ("target_uS,nu\n0,-0.1\n1,0.1\n", ":2: nu: -0.1 is negative"),
    ],
)
def test_a_table_of_exponents_that_cannot_be_is_refused(folder, text, says):
    Path("drift.csv").write_text(text)
    Path("mine.yaml").write_text(PROFILE.replace("law: measured", "law: power_law, t0: 1 s"))
    with pytest.raises(InputError) as error:
        load("mine.yaml")
    assert says in str(error.value)
