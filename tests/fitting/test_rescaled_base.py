"""A range of conductance that moves leaves the base's device as it was, in siemens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp.devices.protocol import Span
from neuroanp.fitting import Choice, Fit, Options, inherited_notes, profile_text
from neuroanp.fitting.rescale import rescaled
from neuroanp.profiles import HardwareProfile, load, loads
from neuroanp.units import format_quantity
from tests.close import close
from tests.fitting.cases import CASES, fitted

WIDE = Options(law="gaussian", g_min=0.0, g_max=100e-6)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """Return a fit of reads that was told a wider range than any base has."""
    return fitted(CASES["read_gaussian"]._replace(options=WIDE), 401, tmp_path_factory.mktemp("wide"))


def span(profile: HardwareProfile) -> Span:
    return Span(profile.conductance.g_min, profile.conductance.g_max)


def nominal_change(profile: HardwareProfile, rising: bool) -> float:
    """Return what ten pulses up or down change the conductance by where a device stands in the middle, siemens."""
    law, range_ = profile.update, span(profile)
    rng, like = np.random.default_rng(0), torch.zeros((1, 1, 1), dtype=torch.float64)
    cells = law.sample((1, 1, 1), rng, frozenset(), like)
    w, sign = torch.zeros_like(like), torch.full_like(like, 1.0 if rising else -1.0)
    for _ in range(10):
        w = law.step(w, sign, *(cells[name] for name in ("up", "down", "w_max", "w_min")), torch.zeros_like(like))
    return w.item() * range_.width / 2


@pytest.mark.parametrize("rising", [True, False])
@pytest.mark.parametrize("name", ["ecram", "ecram_mo", "capacitor", "rram_hfo2", "rram_es", "spintronic"])
def test_pulses_step_as_far_in_siemens_as_in_the_base(wide: Fit, name: str, rising: bool) -> None:
    base, profile = load(name), loads(profile_text(wide, "mine", "2026-02-03", name))
    assert profile.conductance.g_max == pytest.approx(100e-6, abs=0)
    assert nominal_change(profile, rising) == close(nominal_change(base, rising), rel=1e-4)
    for bound in ("bound_up", "bound_down", "tolerance", "reference_sd"):
        here, there = (getattr(p.update, bound) * span(p).width for p in (profile, base))
        assert here == close(there, rel=1e-5)
    assert f"as in {name}, the same in siemens" in profile.provenance["update.dw"].source
    assert profile.provenance["update.dw"].status == base.provenance["update.dw"].status


def test_phase_change_steps_too(wide: Fit) -> None:
    base, profile = load("pcm"), loads(profile_text(wide, "mine", "2026-02-03", "pcm"))
    units = [span(p).width / p.update.w_max for p in (base, profile)]
    assert units[0] == close(units[1], rel=1e-5)


def test_laws_of_conductance_over_g_max_are_named_with_their_factor(wide: Fit) -> None:
    notes = " ".join(inherited_notes(wide, "pcm"))
    assert "programming, drift: inherited from pcm as laws of conductance over g_max" in notes
    assert "stretch by 4" in notes
    assert "stretch by 4" in profile_text(wide, "mine", "2026-02-03", "pcm").partition("extends")[0]


def test_corrupt_devices_keep_their_range(wide: Fit) -> None:
    base, profile = load("rram_hfo2"), loads(profile_text(wide, "mine", "2026-02-03", "rram_hfo2"))
    assert base.faults.corrupt_range * span(base).width == close(
        profile.faults.corrupt_range * span(profile).width, rel=1e-5
    )


def test_the_same_range_changes_nothing(tmp_path: Path) -> None:
    fit = fitted(CASES["read_gaussian"], 401, tmp_path)
    assert inherited_notes(fit, "pcm") == ()
    assert "update" not in profile_text(fit, "mine", "2026-02-03", "ecram").partition("extends")[2]


def fit_of(section: str, low: str, high: str) -> Fit:
    """Return a fit that says nothing but its range."""
    choices = tuple(Choice(f"conductance.{key}", g, "told") for key, g in (("g_min", low), ("g_max", high)))
    return Fit("read_noise", section, "gaussian", "pcm", (), choices, (), "no data")


def test_where_devices_reach_is_told_where_the_middle_moves() -> None:
    """By hand: 6 uS + 1.1724 x 5 uS = 11.862 uS and 6 - 0.8276 x 5 = 1.862 uS; 13.5 uS + 5.862 uS = 19.362 uS."""
    fit = fit_of("read", "1 uS", "26 uS")
    rescaled_bounds, notes = rescaled(load("ecram"), fit)
    assert rescaled_bounds["update.bound_up"][0] == close(1.1724 * 5 / 12.5, rel=1e-5)
    assert rescaled_bounds["update.bound_up"][1].endswith("counted from its middle, which was 6 uS and is 13.5 uS")
    assert "middle" not in rescaled_bounds["update.dw"][1]
    (note,) = (note for note in notes if "typical devices" in note)
    assert note == (
        "typical devices of ecram go from 1.862 uS to 11.86 uS there, and from 9.362 uS to 19.36 uS here: their bounds "
        "count from the middle of the range, which moved from 6 uS to 13.5 uS. That is 40 % of 1 uS to 26 uS, and "
        "weights beyond cannot be written. Unless your devices do so, set update.bound_up and update.bound_down "
        "yourself, fit pulses of theirs (--kind pulse), or keep the range of ecram (--g-min '1 uS' --g-max '11 uS')"
    )


@pytest.mark.parametrize(
    ("name", "low", "high", "said", "silent"),
    [
        ("capacitor", "0 S", "30 uS", "from 5 uS to 25 uS here. That is 66.7 % of 0 S to 30 uS", "moved"),
        ("capacitor", "15 uS", "35 uS", "from 15 uS to 35 uS here: their bounds count from the middle", "beyond"),
        ("ecram", "1 uS", "6 uS", "to 9.362 uS here: their bounds count from the middle", "beyond"),
    ],
)
def test_what_is_told_of_reach_is_what_holds(name: str, low: str, high: str, said: str, silent: str) -> None:
    """Of the middle only where it moved, of weights beyond only where there are any."""
    (note,) = (note for note in rescaled(load(name), fit_of("read", low, high)).notes if "typical devices" in note)
    assert said in note
    assert silent not in note


def test_nothing_is_told_of_reach_where_all_can_be_written_as_before() -> None:
    notes = rescaled(load("capacitor"), fit_of("read", "10 uS", "20 uS")).notes
    assert notes
    assert not [note for note in notes if "typical devices" in note]


def test_devices_go_to_the_ends_that_are_told() -> None:
    """Of a law that subtracts its symmetry point too: thousands of pulses one way, in siemens."""
    base = load("rram_es")
    law, middle, half = base.update, span(base).middle, span(base).width / 2
    rng, like = np.random.default_rng(0), torch.zeros((1, 1, 1), dtype=torch.float64)
    cells = law.sample((1, 1, 1), rng, frozenset(), like)
    ends = []
    for sign in (-1.0, 1.0):
        w = cells["w"]
        for _ in range(5000):
            w = law.step(w, like + sign, *(cells[key] for key in ("up", "down", "w_max", "w_min")), like)
        ends.append(format_quantity(middle + half * (w - cells["ref"]).item(), "S", 3))
    notes = " ".join(rescaled(base, fit_of("read", "1 uS", "100 uS")).notes)
    low, high = notes.partition("go from ")[2].partition(" there")[0].split(" to ")
    assert [format_quantity(float(x.split()[0]) * 1e-6, "S", 3) for x in (low, high)] == ends


def test_bounds_of_one_s_own_pulses_are_not_the_base_s() -> None:
    assert not [note for note in rescaled(load("ecram"), fit_of("update", "1 uS", "26 uS")).notes if "typical" in note]
