"""The shipped profiles: they load, every number has a source, and the numbers are those of the papers."""

import math
import os
import subprocess
import sys

import pytest

from neuroanp.profiles import available, load, loads, profile_path, summaries
from neuroanp.profiles.provenance import STATUSES

NAMES = ["ideal", "pcm", "rram_hfo2", "smtj_koenders"]


def test_names():
    assert available() == NAMES
    assert [meta.name for meta in summaries()] == NAMES


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
        if key.startswith("energy.") or key.endswith((".energy", ".energy_per_bit")):
            assert status == "illustrative", key


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
    assert sigma_h == pytest.approx(0.02, rel=1e-3)


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
