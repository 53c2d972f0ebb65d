"""A range of conductance that moves leaves the base's device as it was, in siemens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp.devices.protocol import Span
from neuroanp.fitting import Fit, Options, inherited_notes, profile_text
from neuroanp.profiles import HardwareProfile, load, loads
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
    assert nominal_change(profile, rising) == pytest.approx(nominal_change(base, rising), rel=1e-4, abs=0)
    for bound in ("bound_up", "bound_down", "tolerance", "reference_sd"):
        here, there = (getattr(p.update, bound) * span(p).width for p in (profile, base))
        assert here == pytest.approx(there, rel=1e-5, abs=0)
    assert f"as in {name}, the same in siemens" in profile.provenance["update.dw"].source
    assert profile.provenance["update.dw"].status == base.provenance["update.dw"].status


def test_phase_change_steps_too(wide: Fit) -> None:
    base, profile = load("pcm"), loads(profile_text(wide, "mine", "2026-02-03", "pcm"))
    units = [span(p).width / p.update.w_max for p in (base, profile)]
    assert units[0] == pytest.approx(units[1], rel=1e-5, abs=0)


def test_laws_of_conductance_over_g_max_are_named_with_their_factor(wide: Fit) -> None:
    notes = " ".join(inherited_notes(wide, "pcm"))
    assert "programming, drift: inherited from pcm as laws of conductance over g_max" in notes
    assert "stretch by 4" in notes
    assert "stretch by 4" in profile_text(wide, "mine", "2026-02-03", "pcm").partition("extends")[0]


def test_corrupt_devices_keep_their_range(wide: Fit) -> None:
    base, profile = load("rram_hfo2"), loads(profile_text(wide, "mine", "2026-02-03", "rram_hfo2"))
    assert base.faults.corrupt_range * span(base).width == pytest.approx(
        profile.faults.corrupt_range * span(profile).width, rel=1e-5, abs=0
    )


def test_the_same_range_changes_nothing(tmp_path: Path) -> None:
    fit = fitted(CASES["read_gaussian"], 401, tmp_path)
    assert inherited_notes(fit, "pcm") == ()
    assert "update" not in profile_text(fit, "mine", "2026-02-03", "ecram").partition("extends")[2]
