"""Several fluctuators on a 1/f background: moments, spectrum, third moment, and what a profile may state."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from neuroanp.devices.fluctuator_laws import FluctuatorsRead, FluctuatorsSource
from neuroanp.devices.one_over_f import END, OneOverFRead
from neuroanp.devices.protocol import remembers
from neuroanp.devices.rtn import RtnRead
from neuroanp.errors import InputError
from neuroanp.profiles import loads
from neuroanp.profiles.diff import diff
from tests.close import close

FAST, SLOW = (
    {"tau_high": 1e-3, "tau_low": 3e-3, "amplitude": 0.2},
    {"tau_high": 2.0, "tau_low": 1.0, "amplitude": 0.1},
)
BAND = {"f_low": 0.1, "f_high": 1e3, "amplitude": 0.01}
READ = FluctuatorsRead(fluctuators=[FAST, SLOW], background=BAND, white=0.02)
VARIANCES = (0.04 * 0.25 * 0.75, 0.01 * 2 / 9, 1e-4 * (math.log(1e4) + 2 / END), 4e-4)
G = torch.tensor(10e-6, dtype=torch.float64)


def split(law, window, g=G):
    return [float(part) ** 2 for part in law.split(g, g, 25e-6, torch.tensor(1.0), window)]


def normals(rng, *shape):
    return torch.from_numpy(rng.standard_normal(shape))


def sampled(law, units, steps, dt, seed=0):
    process, rng = law.process(), np.random.default_rng(seed)
    u, xi = process.uniforms((units,)), process.normals((units,))

    def draws(*steps):
        return (None if u is None else torch.from_numpy(rng.random((*steps, *u)))), xi and normals(rng, *steps, *xi)

    return process.run(process.start(*draws()), *draws(steps), dt)[0]


def test_variances_add_and_each_part_freezes_as_its_own_law_says():
    total = sum(VARIANCES)
    assert READ.process().shares == close([v / total for v in VARIANCES[:2]])
    for window in (0.0, 1e-4, 1e-2, 1.0, 1e9):
        fresh, frozen = split(READ, window)
        assert fresh + frozen == close(1e-10 * total, rel=1e-12)
        alone = [
            split(RtnRead(**FAST), window)[1], split(RtnRead(**SLOW), window)[1],
            split(OneOverFRead(f_low=0.1, f_high=1e3, relative_psd=1e-4), window)[1],
        ]  # fmt: skip
        assert frozen == close(sum(alone), rel=1e-9)


@pytest.mark.parametrize("dt", [1e-5, 1e-3, 0.3, math.inf])
def test_variance_third_moment_and_autocorrelation_at_any_step(dt):
    """Skewed fluctuators show in the third moment, which no Gaussian process has."""
    z = sampled(READ, 150_000, 4, dt)
    total = sum(VARIANCES)
    assert float(z[-1].var()) == close(1.0, rel=0.01)
    third = sum(
        f["amplitude"] ** 3 * p * (1 - p) * (1 - 2 * p) for f in (FAST, SLOW)
        for p in [f["tau_high"] / (f["tau_high"] + f["tau_low"])]
    )  # fmt: skip
    assert float((z[-1] ** 3).mean()) == pytest.approx(third / total**1.5, abs=0.02)
    for lag in (1, 3):
        assert float((z[lag] * z[0]).mean()) == pytest.approx(READ.process().autocorrelation(lag * dt), abs=0.012)


def test_levels_are_sums_of_the_amplitudes():
    law = FluctuatorsRead(fluctuators=[FAST, SLOW])
    z = sampled(law, 4000, 1, 1e-3)[0] * math.sqrt(sum(VARIANCES[:2]))
    middle = 0.2 * 0.25 + 0.1 * 2 / 3
    levels = sorted({round(x, 6) for x in z.tolist()})
    assert levels == close([round(x - middle, 6) for x in (0.0, 0.1, 0.2, 0.3)], rel=1e-4)


def test_the_spectrum_is_that_of_the_autocorrelation():
    """S(f) = 4 int C(t) cos(2 pi f t) dt, by quadrature; the white part has no spectrum in continuous time."""
    from scipy.integrate import quad

    process = READ.process()
    coloured = 1.0 - process.white_share
    f = 30.0
    edges = [1e-12, 1e-3, 1e-2, 0.1, 1.0, 10.0, 60.0]
    pieces = [
        quad(process.autocorrelation, a, b, weight="cos", wvar=2 * math.pi * f, limit=400)[0]
        for a, b in pairwise(edges)
    ]
    assert 4 * sum(pieces) == close(process.spectrum(f), rel=2e-3)
    total = quad(lambda x: process.spectrum(math.exp(x)) * math.exp(x), math.log(1e-5), math.log(1e8), limit=400)[0]
    assert total == close(coloured, rel=1e-4)


def test_two_steps_are_one_of_both():
    """In distribution: the autocorrelation after two steps of dt/2 is that after one of dt."""
    halves, whole = sampled(READ, 150_000, 3, 2e-3, 1), sampled(READ, 150_000, 2, 4e-3, 2)
    pairs = [float((z[-1] * z[0]).mean()) for z in (halves, whole)]
    assert pairs[0] == pytest.approx(pairs[1], abs=0.012)


def test_sources_sum_and_the_gain_has_a_sign():
    parts = {
        "fluctuators": [{**FAST, "amplitude": "20 mV"}],
        "background": {**BAND, "amplitude": "2 mV"},
        "white": "3 mV",
    }
    one = FluctuatorsSource(**parts, n_sources=1, kappa=-2.0, volts_per_unit="0.5 V")
    four = FluctuatorsSource(**parts, n_sources=4, kappa=-2.0, volts_per_unit="0.5 V")
    variance = 4e-4 * 0.25 * 0.75 + 4e-6 * (math.log(1e4) + 2 / END) + 9e-6
    assert one.node_sigma == close(2.0 * math.sqrt(variance) / 0.5)
    assert four.node_sigma == close(2.0 * one.node_sigma)
    assert four.uniforms((7,)) == (4, 7)
    assert four.autocorrelation(1e-3) == close(one.autocorrelation(1e-3))
    u, xi = torch.zeros(1, 5), torch.zeros(*one.normals((5,)))
    noise, _ = one.run(one.start(u, xi), u[None], xi[None], 1e-3)  # high for certain: the gain turns it round
    assert float(noise[0, 0]) == close(-2.0 * 0.02 * 0.75 / 0.5, rel=1e-5)


def test_sizes_in_siemens_do_not_follow_the_conductance():
    law = FluctuatorsRead(
        fluctuators=[{"tau_high": 1.0, "tau_low": 1.0, "amplitude_absolute": "2 uS"}], white_absolute="1 uS"
    )
    for g in (1e-6, 20e-6):
        assert sum(split(law, 1.0, torch.tensor(g, dtype=torch.float64))) == close(1e-12 + 1e-12)
    assert sum(split(READ, 1.0, 2 * G)) == close(4 * sum(split(READ, 1.0)))


PROFILE = """
extends: pcm
meta: {name: mine, summary: a test, source: a test, status: illustrative}
read:
  law: fluctuators
  fluctuators:
    - tau_high: {value: 2 ms, source: a fit, status: fitted}
      tau_low: 1 ms
      amplitude: 0.1
    - {tau_high: 2 s, tau_low: 1 s, amplitude: 0.05}
  background: {f_low: 1 Hz, f_high: 1 kHz, amplitude: 0.01}
  white: 0.01
"""


def test_each_number_of_a_list_has_its_own_provenance_and_comes_back_from_the_text():
    profile = loads(PROFILE)
    assert remembers(profile.read)
    assert profile.provenance["read.fluctuators[0].tau_high"].status == "fitted"
    assert profile.provenance["read.fluctuators[1].tau_high"].status == "illustrative"
    again = loads(profile.text)
    assert again.hash == profile.hash
    assert again.provenance == profile.provenance
    other = loads(PROFILE.replace("tau_high: 2 s", "tau_high: 3 s"))
    assert [d.key for d in diff(profile, other)] == ["read.fluctuators[1].tau_high"]


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("amplitude: 0.05", "amplitude_absolute: 1 uS", "fluctuators[1].amplitude", "and others are a fraction"),
        ("white: 0.01", "white_absolute: 1 uS", "white_absolute", "and others are a fraction"),
        (", amplitude: 0.05", "", "fluctuators[1].amplitude", "no size; state amplitude"),
        ("amplitude: 0.05", "amplitude: 0.05, amplitude_absolute: 1 uS", "fluctuators[1].amplitude", "two sizes"),
        ("tau_high: 2 s", "tau_high: 2 d, tau_lo: 1 s", "fluctuators[1].tau_lo", "did you mean"),
        ("tau_low: 1 s", "tau_low: 1 us", "fluctuators[1].tau_low", "differ by more than 1e+06"),
        ("f_low: 1 Hz", "f_low: 1 MHz", "background.f_high", "is not above f_low"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_its_line(old, new, key, says):
    text = PROFILE.replace(old, new)
    assert text != PROFILE
    with pytest.raises(InputError) as error:
        loads(text, "mine.yaml")
    (problem,) = [p for p in error.value.problems if says in p]
    assert f"read.{key}" in problem
    assert problem.startswith("mine.yaml:")


def test_a_law_of_nothing_is_refused():
    for law, extra in (
        (FluctuatorsRead, {}),
        (FluctuatorsSource, {"n_sources": 1, "kappa": 1.0, "volts_per_unit": 1.0}),
    ):
        with pytest.raises(ValidationError, match="no noise is stated"):
            law(**extra)
    with pytest.raises(ValidationError, match="all sizes are 0"):
        FluctuatorsRead(white=0.0)


@pytest.mark.parametrize("law", [READ, FluctuatorsRead(fluctuators=[FAST]), FluctuatorsRead(white=0.1)])
def test_time_runs_forward(law):
    with pytest.raises(ValueError, match="time runs forward"):
        sampled(law, 1, 1, -1.0)
