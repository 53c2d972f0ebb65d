"""Noise on the units: what a profile says of it before there is a chip, and numbers that cannot be meant."""

from __future__ import annotations

from math import inf, nan, sqrt

import numpy as np
import pytest
import torch

from neuroanp.backends.neuron import LIF
from neuroanp.devices.device import Device
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.errors import InputError
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.tanh import Tanh
from neuroanp.noise import Streams
from neuroanp.profiles import available, load, loads
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.crossbar import Crossbar
from neuroanp.substrates.facts import known_effects
from neuroanp.substrates.node_drive import NO_DRIVE, NodeDrive, junctions_of, perturbs_units
from neuroanp.trajectory import Weights
from tests.close import close

LINES = """
meta: {name: lines, summary: s, source: a test, status: illustrative}
conductance: {coding: differential, g_min: 1 uS, g_max: 21 uS}
array: {weight_range: 2.0, write: serial}
periphery: {v_read: 100 mV, t_read: 1 us, amplifier_noise: 300 nA, bandwidth: 1 MHz, dac: {bits: 8, noise: 4 mV}}
"""


@pytest.mark.parametrize("name", [*available(), "lines"])
def test_what_perturbs_the_units_is_known_before_the_arrays_are_made(name):
    """Each effect alone, against the arrays that it makes: their amplifiers, lines and drivers, reads and junctions."""
    profile = loads(LINES, "lines.yaml") if name == "lines" else load(name)
    found = set()
    for effect in known_effects(profile):
        on = frozenset({effect})
        array = Crossbar(profile, Device(profile, on), (2, 2), np.random.default_rng(0))
        reads = effect == "read_noise"
        noisy = reads or array.extra > 0 or array.thermal > 0 or array.dac_sigma > 0 or effect == "node_noise"
        assert perturbs_units(profile, on) == noisy, effect
        found |= {effect} if noisy else set()
    assert perturbs_units(profile, ALL_EFFECTS) == bool(found)
    assert not perturbs_units(profile, frozenset())
    if name == "lines":
        assert found == {"amplifier_noise", "thermal_noise", "dac_noise"}


def test_junctions_are_those_of_the_chip_at_its_temperature():
    weights = Weights.one_layer({"w_in": torch.zeros(2, 1), "w": torch.zeros(2, 2), "w_out": torch.zeros(1, 2)})
    profile = load("smtj_telegraph")
    for kelvin in (None, 250.0, 350.0):
        chip = DeviceChip.build(profile, weights, streams=Streams(0), dt=1e-3, temperature=kelvin)
        source = junctions_of(profile, ALL_EFFECTS, kelvin)
        assert source is not None
        assert chip.junctions == source
    times = [junctions_of(profile, ALL_EFFECTS, kelvin).autocorrelation(1e-9) for kelvin in (250.0, 350.0)]  # pyright: ignore
    assert times[0] > times[1]  # warmer junctions switch sooner
    assert junctions_of(profile, ALL_EFFECTS - {"node_noise"}) is None


def test_a_chip_is_told_its_drive_and_its_books_whether_units_spike():
    arrays = {"w_in": torch.zeros(2, 1), "w": torch.zeros(2, 2), "w_out": torch.zeros(1, 2)}
    weights, spiking = Weights.one_layer(arrays), Weights.one_layer(arrays, cell=LIF())
    drive = NodeDrive(0.1, 0.2, -3.0)
    chip = DeviceChip.build(load("pcm"), spiking, streams=Streams(0), dt=1e-3, drive=drive)
    assert (chip.drive, chip.ledger.spiking) == (drive, True)
    assert "spikes" in chip.ledger.unstated
    plain = DeviceChip.build(load("pcm"), weights, streams=Streams(0), dt=1e-3)
    assert (plain.drive, plain.ledger.spiking) == (NO_DRIVE, False)
    assert plain.node_sigmas() == {"hidden": 0.0, "output": 0.0}


def test_variances_of_junctions_and_of_gaussian_noise_add_up_group_by_group():
    """sqrt((g s)^2 + sigma^2) of layers with their own coupling g, sqrt(s^2 + sigma_y^2) of the outputs."""
    network = stack(1, [Stacked(Tanh(), 2), Stacked(Tanh(), 3)], 1)
    weights = Weights({name: torch.zeros(shape) for name, shape in network.shapes.items()}, network)
    drive = NodeDrive(0.03, 0.04, {"hidden_2": 2.0})
    chip = DeviceChip.build(load("smtj_koenders"), weights, streams=Streams(0), dt=1e-6, drive=drive)
    assert chip.junctions is not None
    s = chip.junctions.node_sigma
    assert s > 0.01
    assert chip.node_sigmas() == close(
        {"hidden_1": sqrt(s**2 + 9e-4), "hidden_2": sqrt(4 * s**2 + 9e-4), "output": sqrt(s**2 + 1.6e-3)}, rel=1e-12
    )
    assert chip.node_sigmas(artificial=False) == close({"hidden_1": s, "hidden_2": 2 * s, "output": s}, rel=1e-12)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"sigma": -0.1}, ["sigma -0.1"]),
        ({"sigma": nan}, ["sigma nan"]),
        ({"sigma": 0.1, "output": inf}, ["output inf"]),
        ({"scale": nan}, ["coupling of nan"]),
        ({"sigma": -1.0, "output": -2.0, "scale": inf}, ["sigma -1", "output -2", "coupling of inf"]),
    ],
)
def test_numbers_that_cannot_be_meant_are_all_told(numbers, said):
    with pytest.raises(InputError) as error:
        NodeDrive(**numbers)
    assert all(part in str(error.value) for part in said)
    assert len(error.value.problems) == len(said)
