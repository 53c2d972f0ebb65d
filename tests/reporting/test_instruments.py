"""Of a run whose weights an instrument held, noise, energy and time are its own; the endurance is the profile's."""

from __future__ import annotations

import pytest

from neuroanp.reporting.footnotes import rests_on
from neuroanp.reporting.method import Method
from neuroanp.reporting.origins import ENERGY, TIME, WEAR, origins_of

TEXT = """meta: {status: illustrative}
read: {q: 1}
periphery: {v_read: 1 V, t_read: 1 s}
energy: {write: 1 pJ, write_time: {value: 1 s, status: illustrative}, endurance: {value: 5, status: illustrative}}
"""
PROFILE = {"text": TEXT, "inherited": {"energy.write": "pcm", "energy.endurance": "ecram"}}


def test_only_wear_rests_on_the_profile() -> None:
    simulated, held = origins_of(PROFILE), origins_of(PROFILE, {"name": "Bench 7"})
    assert {ENERGY, TIME, WEAR} <= simulated.illustrative
    assert held.illustrative == {WEAR}
    assert dict(held.inherited) == {WEAR: ("ecram",)}
    assert (held.noise, held.instrument) == ("", "Bench 7")
    assert simulated.instrument == ""


@pytest.mark.parametrize(("name", "noise"), [("neuroanp,played pcm,0,1", "is played, not measured"), ("Bench", "")])
def test_the_noise_of_what_is_played_is_no_measurement(name: str, noise: str) -> None:
    assert origins_of(PROFILE, {"name": name}).noise == noise


def test_the_table_says_what_held_the_weights() -> None:
    result = {"status": "finished", "origins": origins_of(PROFILE, {"name": "Bench 7"}), "energy_J": 1.0}
    result |= {"chip_time_s": 1.0, "wear": 0.1}
    method = Method("copy", "mine", "rate", "anp", "", (result,))
    said = rests_on([method])
    assert said[0] == "mine: an instrument held the weights, Bench 7; controls are simulated."
    assert not [line for line in said if "energy" in line]


def test_a_time_that_nobody_measured_rests_on_the_profile() -> None:
    found = origins_of(PROFILE, {"name": "Bench 7", "tells_energy": False, "tells_time": False})
    assert found.illustrative == {TIME, WEAR}
    assert origins_of(PROFILE, {"name": "Bench 7", "tells_time": True}).illustrative == {WEAR}
