"""Profiles of a sweep: each differs from the one it is of in one parameter, and loads; what plays no part is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.profiles import HardwareProfile
from neuroanp.profiles.laws import LAWS
from neuroanp.profiles.loader import available, load
from neuroanp.profiles.sections import ConductanceRange
from neuroanp.requiring.kinds import HIGHER, KINDS, LOWER
from neuroanp.requiring.parameters import IDEAL, TEMPERATURE, Parameter, changed, ideal_of, parameters_of, values_of
from neuroanp.yaml_io import dotted
from tests.close import close

ONE_OF_EACH = ("capacitor", "cmos_subthreshold", "pcm", "rram_hfo2", "rram_rtn", "rram_wan", "sonos_flash")
"""Profiles that have each law between them."""


def swept(profile: HardwareProfile, metric: str = "test_loss", write: str = "pulse", spiking: bool = False):
    """Return parameters by key."""
    found, _ = parameters_of(profile, metric, ALL_EFFECTS, write, spiking)
    return {one.key: one for one in found}


def leaves(profile: HardwareProfile) -> dict[str, object]:
    return {dotted(leaf.key): leaf.value for leaf in profile.leaves()}


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_swept_profile_differs_in_exactly_its_parameter(name: str) -> None:
    profile = load(name)
    own = leaves(profile)
    for one in swept(profile).values():
        numbers = (
            [0.5]
            if one.stated == 0
            else []
            if one.stated is None
            else [round(one.stated / 2) or 1 if one.kind.count else one.stated / 2]
        )
        for value in [IDEAL, *numbers]:
            made = (
                None
                if value == IDEAL and not (one.kind.without or one.kind.ideal is not None)
                else changed(profile, one, value)
            )
            if made is None:  # no ideal, or stated as such
                continue
            new = leaves(made)
            differing = {key for key in {*own, *new} if own.get(key) != new.get(key)}
            if value == IDEAL and one.kind.ideal is None:
                sections = tuple(one.kind.without)
                assert differing
                assert all(key.startswith(sections) for key in differing), (one.key, differing)
                continue
            nonzero = {key for key in one.kind.keys if own[key] != 0}
            assert (nonzero if one.scaled else {*one.kind.keys}) == differing, (one.key, value)
            for key in one.kind.keys if value != IDEAL else ():
                was, now = own[key], new[key]
                assert isinstance(was, int | float)
                assert now == close(was * float(value) if one.scaled else float(value))


@pytest.mark.parametrize("name", ["rram_hfo2"])
def test_values_lie_within_the_range_on_both_sides_and_the_ideal_beyond(name: str) -> None:
    profile = load(name)
    for one in swept(profile).values():
        values = [*values_of(one, profile, 1.5, 1)]
        places = [one.decades(value) for value in values]
        assert places == sorted(places)
        assert len(set(places)) == len(places)
        ideal = ideal_of(one, values)
        if one.stated:
            here = one.decades(one.stated)
            assert one.stated not in values
            rounding = 0.31 if one.kind.count else 0.01
            inside = [place for value, place in zip(values, places, strict=True) if value != IDEAL]
            assert all(abs(place - here) <= 1.5 + rounding for place in inside)
            if one.kind.better in (LOWER, HIGHER):
                assert ideal is not None
                side = 1.0 if one.kind.better == HIGHER else -1.0
                assert side * one.decades(ideal) == max(side * place for place in [*places, here])
        else:
            assert ideal is None or one.stated is None


def test_what_is_stated_as_0_is_swept_towards_its_largest_value() -> None:
    profile = load("rram_hfo2")
    one = swept(profile)["update.up_down"]
    assert [*values_of(one, profile, 1.0, 2)] == close([0.09, 0.2846, 0.9])


def test_values_that_the_law_does_not_admit_are_left_out() -> None:
    profile = load("rram_hfo2")
    values = values_of(swept(profile)["update.dw"], profile, 1.0, 2)
    assert max(float(value) for value in values) == close(1.462)  # 4.6 would leap the whole range


def test_a_swept_value_is_marked_as_none_of_the_source() -> None:
    profile = load("rram_hfo2")
    made = changed(profile, swept(profile)["update.dw"], 0.05)
    assert made is not None
    assert made.provenance["update.dw"].status == "illustrative"
    assert "0.4622" in made.provenance["update.dw"].source
    assert made.provenance["update.c2c"] == profile.provenance["update.c2c"]
    assert made.name == "rram_hfo2-dw-0.05"


def test_two_parameters_change_at_once() -> None:
    profile = load("pcm")
    found = swept(profile)
    made = changed(profile, found["read.q+q_max"], 0.1, found["periphery.adc.bits"], IDEAL)
    assert made is not None
    assert (leaves(made)["read.q"], leaves(made)["read.q_max"]) == close((0.00088, 0.02))
    assert leaves(made)["periphery.adc.bits"] == 24


@pytest.mark.parametrize(
    ("name", "asked", "key", "why"),
    [
        ("rram_hfo2", {"write": "ideal"}, "update.dw", "hardware.write: ideal"),
        ("pcm", {"write": "verify"}, "update.dw", "hardware.write: verify"),
        ("pcm", {"effects": ALL_EFFECTS - {"drift"}}, "drift.mu_slope", "switched off with drift"),
        ("pcm", {}, "energy.write", "is not of test_loss"),
        ("smtj_koenders", {}, "neurons.membrane_sigma", "is of spiking units"),
        ("smtj_koenders", {"spiking": True}, "stochastic.volts_per_unit", "neurons.membrane_sigma sets"),
    ],
)
def test_what_plays_no_part_is_left_out_with_the_reason(name: str, asked: dict, key: str, why: str) -> None:
    words = {"metric": "test_loss", "effects": ALL_EFFECTS, "write": "pulse", "spiking": False, **asked}
    found, left = parameters_of(load(name), **words)
    assert not any(one.key.startswith(key) for one in found)
    assert any(one.key.startswith(key) and why in one.why for one in left)


def test_every_number_that_is_stated_is_swept_or_told_as_left_out() -> None:
    for name in available():
        profile = load(name)
        found, left = parameters_of(profile, "test_loss", ALL_EFFECTS, "pulse", False)
        told = {key for one in found for key in one.kind.keys}
        said = " ".join(one.key for one in left)
        for leaf in profile.leaves():
            if leaf.stated and isinstance(leaf.value, int | float):
                assert dotted(leaf.key) in told or str(leaf.key[-1]) in said, (name, leaf.key)


def test_keys_of_kinds_are_keys_of_laws() -> None:
    for kind in KINDS:
        if kind.law is not None:
            section, law = kind.law
            fields = LAWS[section].get(law).model_fields
            for key in kind.keys:
                place, _, rest = key.partition(".")
                assert place != section or rest.partition(".")[0] in fields, key


def test_every_law_that_makes_a_device_worse_has_a_quantity() -> None:
    """But for those whose numbers are with another section: what a write leaves, and grows from there; pulse tables."""
    known = {kind.law for kind in KINDS}
    elsewhere = {("programming", "ideal"), ("drift", "wan"), ("drift", "sonos"), ("update", "measured")}
    there = {(section, law) for section in ("programming", "read", "drift", "update") for law in LAWS[section].names()}
    assert there - known == elsewhere


def test_every_key_of_a_temperature_has_a_quantity() -> None:
    """Of all drift laws and of the conductance: the sections in which an Arrhenius law or a coefficient can stand."""
    known = {(key, None if kind.law is None else kind.law[1]) for kind in KINDS for key in kind.keys}
    there = {(f"conductance.{key}", None) for key in TEMPERATURE if key in ConductanceRange.model_fields}
    for law in LAWS["drift"].names():
        fields = LAWS["drift"].get(law).model_fields
        there |= {(f"drift.{key}", law) for key in TEMPERATURE if key in fields}
    assert len(there) == 5
    assert there <= known


WARM = """
extends: {base}
meta: {{name: warm, summary: s, source: here, status: measured}}
environment: {{temperature: {kelvin} K}}
{section}
"""
CONDUCTS = "conductance: {{{}, reference_temperature: 300 K}}"


@pytest.mark.parametrize(
    ("base", "section", "key", "better", "ideal"),
    [
        ("pcm", CONDUCTS.format("activation_energy: 0.1 eV"), "conductance.activation_energy", LOWER, LOWER),
        ("pcm", CONDUCTS.format("tcr: -5e-4 K^-1"), "conductance.tcr", LOWER, LOWER),
        ("pcm", "drift: {activation_energy: 0.2 eV, reference_temperature: 300 K}", "drift.activation_energy", LOWER,
         HIGHER),
        ("capacitor", "drift: {activation_energy: 0.6 eV, reference_temperature: 300 K}", "drift.activation_energy",
         LOWER, HIGHER),
    ],
)  # fmt: skip
def test_what_goes_with_temperature_is_swept_where_the_chip_is_at_another(
    tmp_path: Path, base: str, section: str, key: str, better: str, ideal: str
) -> None:
    for kelvin, side in ((350, better), (280, ideal), (300, None)):
        path = tmp_path / f"{kelvin}.yaml"
        path.write_text(WARM.format(base=base, kelvin=kelvin, section=section))
        profile = load(path)
        words = (profile, "test_loss", ALL_EFFECTS, "pulse", False)
        found, left = parameters_of(*words)
        mine = [one for one in found if one.key == key]
        if side is None:
            assert not mine
            assert [one for one in left if one.key == key and "does nothing at" in one.why and "300 K" in one.why]
            found, _ = parameters_of(*words, kelvin=350.0)  # of the run, whatever the profile says
            assert key in [one.key for one in found]
            continue
        [one] = mine
        assert one.kind.better == side
        values = values_of(one, profile, 1.0, 1)
        assert len([value for value in values if value != IDEAL]) == 2
        assert (IDEAL in values) == (side == LOWER)
        if side == LOWER:
            assert leaves(values[IDEAL])[key] == 0
            assert ideal_of(one, [*values]) == IDEAL


def test_a_chip_without_its_temperature_is_as_at_the_reference(tmp_path: Path) -> None:
    path = tmp_path / "warm.yaml"
    path.write_text(WARM.format(base="pcm", kelvin=350, section=CONDUCTS.format("tcr: -2e-3 K^-1")))
    profile = load(path)
    [one] = [each for each in parameters_of(profile, "test_loss", ALL_EFFECTS, "pulse", False)[0] if "tcr" in each.key]
    made = changed(profile, one, IDEAL)
    assert made is not None
    assert (made.conductance.thermal(350.0), profile.conductance.thermal(350.0)) == close((1.0, 1 / 0.9))


def test_inherited_and_illustrative_values_are_known_as_such(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: rram_hfo2\nmeta: {name: mine, summary: s, source: measured here, status: measured}\n"
        "update: {dw: 0.1}\n"
    )
    found = swept(load(path))
    dw, c2c, bits = (found[key] for key in ("update.dw", "update.c2c", "periphery.adc.bits"))
    assert (dw.stated, dw.status, dw.inherited) == (0.1, "measured", "")
    assert (c2c.status, c2c.inherited) == ("fitted", "rram_hfo2")
    assert (bits.status, bits.inherited) == ("illustrative", "rram_hfo2")


def test_a_profile_without_flaws_has_nothing_to_sweep() -> None:
    assert swept(load("ideal")) == {}


def test_negative_asymmetry_keeps_its_sign(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: rram_hfo2\nmeta: {name: mine, summary: s, source: here, status: measured}\nupdate: {up_down: -0.2}\n"
    )
    profile = load(path)
    one: Parameter = swept(profile)["update.up_down"]
    values = values_of(one, profile, 0.5, 1)
    assert [value for value in values if value != IDEAL] == close([-0.06325, -0.6325])
    assert IDEAL in values
