"""The shipped profiles: they load, every number has a source, and the numbers are those of the papers."""

import math
import os
import re
import subprocess
import sys

import pytest

from neuroanp.profiles import available, load, loads, profile_path, summaries
from neuroanp.profiles.provenance import STATUSES
from tests.close import close

SHIPPED = {
    "capacitor", "cmos_subthreshold", "ecram", "ecram_mo", "fefet", "ideal", "mixed_signal_neurons", "pcm", "pcm_tiles",
    "photonic", "rram_es", "rram_hfo2", "rram_hfo2_om", "rram_rtn", "rram_wan", "smtj_koenders", "smtj_telegraph",
    "sonos_flash", "spintronic", "sram_cim",
}  # fmt: skip
"""Names that runs and papers may refer to: none of them may vanish."""
NAMES = available()


def test_names():
    assert set(NAMES) >= SHIPPED
    assert len(SHIPPED) >= 15
    found = summaries()
    assert [each.meta.name for each in found] == NAMES
    assert [each.shares for each in found] == [load(name).shares for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_an_order_of_magnitude_or_a_choice_is_illustrative(name):
    """A source that says so itself cannot stand beside "measured" or "fitted"."""
    for key, (status, source) in load(name).provenance.items():
        if source.startswith(("a choice", "order of magnitude", "a usual", "assumed")):
            assert status == "illustrative", f"{key}: {source}"


@pytest.mark.parametrize("name", NAMES)
def test_a_device_that_was_measured_names_its_publication(name):
    """A number that is measured or fitted names where it was published, with the year."""
    for key, (status, source) in load(name).provenance.items():
        if status != "illustrative":
            assert re.search(r"\b(19|20)\d\d\b", source), f"{key}: {source}"


@pytest.mark.parametrize("name", NAMES)
def test_no_file_has_one_status_for_all_its_keys(name):
    assert load(name).meta.status is None


@pytest.mark.parametrize("name", ["rram_hfo2", "rram_hfo2_om"])
def test_what_a_source_does_not_state_of_hfo2_is_illustrative(name):
    """Bounds are assumed, spreads without a measurement the preset's."""
    origins = load(name).provenance
    for key in ("bound_up", "bound_down", "up_down_d2d", "reference_sd"):
        assert origins[f"update.{key}"].status == "illustrative", key
    assert {origins[f"update.{key}"].status for key in ("dw", "dw_d2d", "c2c", "write_noise")} == {"fitted"}


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_status_and_a_source(name):
    profile = load(name)
    assert profile.name == name
    assert profile.provenance
    for key, (status, source) in profile.provenance.items():
        assert status in STATUSES, key
        assert len(source) > 3, key
        assert "default of the model" not in source, f"{key} is not in the file"


@pytest.mark.parametrize("name", NAMES)
def test_canonical_text_is_a_fixed_point(name):
    profile = load(name)
    again = loads(profile.text)
    assert again.text == profile.text
    assert again.hash == profile.hash
    assert dict(again.provenance) == dict(profile.provenance)
    assert again.leaves() == profile.leaves()
    assert len(profile.hash) == 64


@pytest.mark.parametrize("name", NAMES)
def test_orders_of_magnitude_are_called_illustrative(name):
    for key, (status, _) in load(name).provenance.items():
        ends = (".energy", ".energy_per_bit", ".energy_per_spike", ".energy_per_event")
        if key.startswith("energy.") or key.endswith(ends):
            assert status == "illustrative", key


@pytest.mark.parametrize("name", NAMES)
def test_what_costs_nothing_or_takes_no_time_says_why(name):
    """An energy that nobody knows is left out; 0 J is a figure, and true by definition alone."""
    profile = load(name)
    figures = [leaf for leaf in profile.leaves() if leaf.dimension is not None and leaf.dimension.unit in ("J", "s")]
    assert figures or name == "ideal"
    for leaf in figures:
        key = ".".join(map(str, leaf.key))
        assert leaf.value > 0 or profile.provenance[key][1].startswith("by definition"), key


def numbers(name: str) -> dict[str, object]:
    return {".".join(map(str, leaf.key)): leaf.value for leaf in load(name).leaves()}


def test_ideal_has_no_flaw():
    profile = load("ideal")
    assert (profile.conductance.g_min, profile.conductance.g_max) == (0.0, 25e-6)
    for section in (profile.read, profile.drift, profile.update, profile.faults, profile.periphery, profile.energy):
        assert section is None


def test_pcm_numbers():
    """Nandakumar et al., ICECS 2019."""
    pcm = numbers("pcm")
    assert [pcm[f"programming.c{i}"] for i in range(3)] == [0.26348e-6, 1.9650e-6, -1.1731e-6]
    assert pcm["conductance.g_max"] == pcm["programming.g_ref"] == 25e-6
    assert (pcm["drift.t0"], pcm["read.t_read"]) == (20.0, 250e-9)
    assert (pcm["drift.mu_slope"], pcm["drift.mu_offset"]) == (-0.0155, 0.0244)
    assert (pcm["drift.mu_min"], pcm["drift.mu_max"]) == (0.049, 0.1)
    assert (pcm["drift.s_slope"], pcm["drift.s_offset"]) == (-0.0125, -0.0059)
    assert (pcm["drift.s_min"], pcm["drift.s_max"]) == (0.008, 0.045)
    assert [pcm[f"read.{k}"] for k in ("q", "exponent", "floor", "q_max")] == [0.0088, 0.65, 1e-3, 0.2]
    assert [pcm[f"update.{k}"] for k in ("dw", "boost", "decay", "noise")] == [0.01, 27.235, 2.5, 0.6]
    assert (pcm["energy.write"], pcm["energy.write_time"], pcm["energy.endurance"]) == (50e-12, 100e-9, 1e9)


def test_rram_numbers():
    """Gong and Rasch, IEDM 2022: the HfO2 array; it has no read noise."""
    rram = numbers("rram_hfo2")
    assert load("rram_hfo2").read is None
    assert rram["conductance.coding"] == "offset"
    expected = {
        "dw": 0.4622, "dw_d2d": 0.7125, "bound_up_d2d": 0.4295, "bound_down_d2d": 0.5990, "c2c": 0.2174,
        "write_noise": 0.5841, "reference_sd": 0.05,
    }  # fmt: skip
    assert {key: rram[f"update.{key}"] for key in expected} == expected
    assert (rram["faults.corrupt"], rram["faults.corrupt_range"]) == (0.0977, 0.01)


PULSED = {
    "ecram": {  # Tang et al., IEDM 2018
        "law": "linear_step", "dw": 0.002, "bound_down": 0.8276, "bound_up": 1.1724, "gamma_up": 0.1153,
        "gamma_down": 0.5085, "dw_d2d": 0.1, "c2c": 0.3, "noise": "multiplicative",
    },
    "ecram_mo": {  # Kim et al., IEDM 2019
        "law": "linear_step", "dw": 2.8214e-4, "bound_down": 0.8286, "bound_up": 1.1714, "gamma_up": 0.4152,
        "gamma_down": 0.7342, "c2c": 2.0, "noise": "multiplicative",
    },
    "capacitor": {  # Li et al., VLSI 2018
        "law": "linear_step", "dw": 0.005, "gamma_up": 0.05, "gamma_down": 0.05, "dw_d2d": 0.1, "c2c": 0.3,
        "noise": "additive",
    },
    "rram_hfo2_om": {  # Gong and Rasch, IEDM 2022: the optimised material
        "law": "soft_bounds", "dw": 0.0949, "dw_d2d": 0.7829, "bound_up_d2d": 0.3499, "bound_down_d2d": 0.5695,
        "c2c": 0.4158, "write_noise": 1.4113,
    },
    "rram_es": {  # Gong et al., Nat. Commun. 2018
        "law": "exponential_step", "dw": 0.00135, "up_down": 0.259359, "A_up": -1.18445, "A_down": -0.081404,
        "gamma_up": 5.0, "gamma_down": 5.0, "a": -0.5, "b": -0.5, "c2c": 5.0, "dw_d2d": 0.2, "bound_up_d2d": 0.3,
        "bound_down_d2d": 0.3, "up_down_d2d": 0.05, "write_noise": 75.0,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PULSED)
def test_numbers_of_pulsed_devices(name):
    found = numbers(name)
    assert {key: found[f"update.{key}"] for key in PULSED[name]} == PULSED[name]


def test_wan_numbers():
    """Wan et al., Nature 608, 504 (2022): the total error about the target after 1 s, 1 day and 2 days, in uS."""
    wan = numbers("rram_wan")
    for stage, seconds, powers in (
        ("start", 1.0, (0.348, 16.030, -43.853, 45.393, -16.815)),
        ("middle", 86400.0, (0.701, 22.086, -50.773, 47.095, -16.458)),
        ("end", 172800.0, (0.782, 20.274, -43.507, 37.062, -11.934)),
    ):
        assert wan[f"drift.{stage}.time"] == seconds
        assert [wan[f"drift.{stage}.c{k}"] for k in range(5)] == [close(c * 1e-6, rel=1e-12) for c in powers]
    assert wan["conductance.g_max"] == 40e-6
    assert load("rram_wan").read is None


def test_sonos_numbers():
    """Agrawal et al., IEDM 2022, in nA."""
    sonos = numbers("sonos_flash")
    pairs = {
        "programming.error": (19.887, 176.31), "read": (12.580, 215.37), "drift.stage_1": (25.591, 186.86),
        "drift.stage_2": (28.728, 193.57), "drift.stage_3": (31.043, 198.90), "drift.stage_4": (33.762, 204.77),
        "drift.end": (34.579, 207.34),
    }  # fmt: skip
    for key, (a, b) in pairs.items():
        assert (sonos[f"{key}.a"], sonos[f"{key}.b"]) == (close(a * 1e-9), close(b * 1e-9))
    times = [sonos[f"drift.{stage}.time"] for stage in ("stage_1", "stage_2", "stage_3", "stage_4", "end")]
    assert times == [86400.0 * day for day in (1, 2, 3, 4, 5)]
    assert sonos["periphery.dac.inputs"] == "pulse_width"
    assert sonos["conductance.g_max"] * sonos["periphery.v_read"] <= 3200e-9  # pyright: ignore[reportOperatorIssue]


def test_koenders_numbers():
    """As in the code of arXiv 2412.12783; volts and seconds are assumed and say so."""
    profile = load("smtj_koenders")
    source = numbers("smtj_koenders")
    assert source["stochastic.mean"] == 0.042092
    assert source["stochastic.sigma_white"] == 9.0841e-4
    assert source["stochastic.amplitude"] == 5.9316e-3
    assert source["stochastic.flip"] == 0.0809
    for key in ("mean", "sigma_white", "amplitude", "flip"):
        status, text = profile.provenance[f"stochastic.{key}"]
        assert status == "illustrative"
        assert "assumed" in text
    volts = math.hypot(source["stochastic.sigma_white"], source["stochastic.amplitude"])  # pyright: ignore
    sigma_h = source["stochastic.kappa"] * volts / source["stochastic.volts_per_unit"]  # pyright: ignore
    assert sigma_h == close(0.02, rel=1e-3)


def test_mixed_signal_neurons_are_illustrative_throughout():
    profile = load("mixed_signal_neurons")
    assert {status for status, _ in profile.provenance.values()} == {"illustrative"}
    assert profile.neurons is not None
    assert set(profile.neurons.spreads.values()) == {0.1, 0.2}
    assert profile.stochastic.node_sigma == 0.02  # pyright: ignore[reportOptionalMemberAccess]


def test_listing_profiles_imports_neither_torch_nor_pint():
    code = (
        "import sys, neuroanp.profiles as p; p.summaries();"
        "print([m for m in ('torch', 'pint', 'scipy') if m in sys.modules])"
    )
    root = profile_path("pcm").parent.parent
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root, env=os.environ
    )
    assert run.stdout.strip() == "[]"
