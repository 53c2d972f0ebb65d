"""Arrays of devices with I = G V_0 sinh(V/V_0): reads, noise and books by loops, tiles against their networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import HardwareProfile, loads
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.facts import describe, known_effects
from neuroanp.substrates.read import Reader
from neuroanp.substrates.tiling import Tiling
from neuroanp.substrates.wires_nonlinear import NonlinearNetwork
from neuroanp.substrates.write_energy import write_energy
from neuroanp.trajectory import Weights
from tests.close import close

DOUBLE = torch.float64
V_READ, V_0 = 0.2, 0.07
TEXT = """
meta: {{name: bench, summary: s, source: bench, status: illustrative}}
conductance: {{g_min: 1 uS, g_max: 21 uS, coding: {coding}{v_0}}}
programming: {{law: ideal}}
{read}
array: {{weight_range: 2, write: serial{array}}}
{periphery}
"""
NOISE = "read: {law: gaussian, sigma_absolute: 0.1 uS, sigma_relative: 0.02}"
WIRES = ", wires: {r_word: 50 ohm, r_bit: 80 ohm}, max_rows: 4, max_columns: 3"


def profile(
    v_0=", v_0: 0.07 V", array="", coding="differential", read="", more="", inputs="", name="bench.yaml"
) -> HardwareProfile:
    periphery = f"periphery: {{v_read: 0.2 V, t_read: 100 ns{inputs}}}\n{more}"
    return loads(TEXT.format(coding=coding, v_0=v_0, read=read, array=array, periphery=periphery), name)


def build(hardware, n=5, m=6, **options) -> DeviceChip:
    rng = torch.Generator().manual_seed(0)
    shapes = {"w_in": (n, m), "w": (n, n), "w_out": (2, n)}
    W = {key: (2 * torch.rand(size, generator=rng, dtype=DOUBLE) - 1) * 0.5 for key, size in shapes.items()}
    given = {"dt": 1e-3, "dtype": DOUBLE, **options}
    return DeviceChip.build(hardware, Weights.one_layer(W), streams=Streams(0), **given)


def reader(chip, noise=False) -> Reader:
    return Reader(chip.prepare(1e-3, PassStreams(Streams(0), "test", 0), noise)["w_in"])


def planes(chip) -> tuple[np.ndarray, np.ndarray]:
    """G+ and G-, or the device and its reference."""
    g = chip.arrays["w_in"].cells["g"].double().numpy()
    return (g[0], g[1]) if len(g) == 2 else (g[0], np.full_like(g[0], 11e-6))


INPUTS = torch.tensor([[1.0, -0.3, 0.0, 0.6, -1.0, 0.2], [0.1, 0.2, 0.3, -0.4, 0.5, 0.9]], dtype=DOUBLE)


@pytest.mark.parametrize("coding", ["differential", "offset"])
def test_a_read_is_the_sum_of_bent_currents(coding):
    chip = build(profile(coding=coding))
    found, (up, down) = reader(chip)(INPUTS), planes(chip)
    k = chip.arrays["w_in"].k
    for row, x in zip(found, INPUTS.tolist(), strict=True):
        for i in range(5):
            current = sum(
                (up[i, j] - down[i, j]) * V_0 * math.sinh(x[j] * V_READ / V_0) for j in range(6)
            )  # fmt: skip
            assert float(row[i]) == close(k * current, rel=1e-9)


def test_noise_follows_the_current():
    """Var I_i = sum (V_0 sinh(V_j/V_0))^2 (sigma+^2 + sigma-^2)."""
    chip = build(profile(read=NOISE))
    array, plain = chip.arrays["w_in"], reader(chip)
    noisy = reader(chip, noise=True)
    xi = torch.randn((2, noisy.normals), generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    g = array.cells["g"]
    fresh, _ = chip.device.read_sigma(array.cells, chip.now, 1e-3)
    assert fresh is not None
    drive = V_0 / V_READ * torch.sinh(INPUTS * V_READ / V_0)
    spread = ((drive**2) @ (fresh**2).sum(0).T).sqrt() * array.slope
    assert g.shape == (2, 5, 6)
    torch.testing.assert_close(noisy(INPUTS, xi) - plain(INPUTS), spread * xi, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("coding", ["differential", "offset"])
def test_tiles_with_lines_are_their_networks(coding):
    """Each plane of each tile by itself, at the voltages that its drivers have; digital sums of the tiles beside."""
    chip = build(profile(coding=coding, array=WIRES), wires="exact")
    found, (up, down) = reader(chip)(INPUTS), planes(chip)
    V, wanted = INPUTS.numpy().T * V_READ, np.zeros((5, 2))
    for i in (slice(0, 3), slice(3, 5)):
        for j in (slice(0, 4), slice(4, 6)):
            for sign, g in ((1, up), (-1, down)):
                wanted[i] += sign * NonlinearNetwork(g[i, j], 50.0, 80.0, V_0).currents(V[j])
    np.testing.assert_allclose(found.numpy(), chip.arrays["w_in"].k * wanted.T, rtol=1e-9)
    ohmic = reader(build(profile(coding=coding, array=WIRES, v_0=""), wires="exact"))(INPUTS)
    assert float((found / ohmic - 1).abs().max()) > 0.1


def test_tiles_with_lines_and_noise():
    chip = build(profile(array=WIRES, read=NOISE), wires="exact")
    noisy, plain = reader(chip, noise=True), reader(chip)
    xi = torch.randn((2, noisy.normals), generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    array = chip.arrays["w_in"]
    fresh = chip.device.read_sigma(array.cells, chip.now, 1e-3)[0]
    assert fresh is not None
    wanted = torch.zeros(2, 5, dtype=DOUBLE)
    for tile, j in enumerate((slice(0, 4), slice(4, 6))):
        for i in (slice(0, 3), slice(3, 5)):
            V = INPUTS.numpy()[:, j].T * V_READ
            of = sum(
                NonlinearNetwork(array.cells["g"][p, i, j].numpy(), 50.0, 80.0, V_0).noise_variance(V, fresh[p, i, j])
                for p in range(2)
            )
            wanted[:, i] += torch.from_numpy(np.sqrt(of).T) * array.k * xi[:, tile * 5 : tile * 5 + 5][:, i]
    torch.testing.assert_close(noisy(INPUTS, xi) - plain(INPUTS), wanted, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("array", ["", WIRES])
def test_a_curve_that_hardly_bends_is_ohms_law(array):
    straight = reader(build(profile(v_0="", array=array), wires="exact"))(INPUTS)
    for v_0, rel in (("1 kV", 1e-6), ("2 V", 2e-2)):
        hardly = reader(build(profile(v_0=f", v_0: {v_0}", array=array), wires="exact"))(INPUTS)
        torch.testing.assert_close(hardly, straight, rtol=rel, atol=1e-9)


@pytest.mark.parametrize(("inputs", "bits"), [("bit_serial", 4), ("pulse_width", 0)])
def test_inputs_of_one_voltage_take_one_factor(inputs, bits):
    """Bits and pulses put v_read on a line or nothing: outputs and power are those of ohmic devices, times a factor."""
    by = V_0 / V_READ * math.sinh(V_READ / V_0)
    text = f", dac: {{bits: 5, inputs: {inputs}, energy: 0 pJ}}"
    one, other = (build(profile(inputs=text, v_0=v)) for v in (", v_0: 0.07 V", ""))
    torch.testing.assert_close(reader(one)(INPUTS), reader(other)(INPUTS) * by, rtol=1e-9, atol=1e-12)
    spent = []
    for chip in (one, other):
        load = reader(chip).load(INPUTS[None])
        chip.book_reads("w_in", load, 2, 0)
        spent.append(chip.ledger.energy()["array_reads"])
    assert spent[0] == close(by * spent[1])
    assert reader(one).plan.bits == bits


def test_power_is_voltage_times_current():
    chip = build(profile())
    load = reader(chip).load(INPUTS[None])
    chip.book_reads("w_in", load, 2, 0)
    up, down = planes(chip)
    V = INPUTS.numpy() * V_READ
    joules = float((V * V_0 * np.sinh(V / V_0) * (up + down).sum(0)).sum()) * 100e-9
    assert chip.ledger.energy()["array_reads"] == close(joules, rel=1e-9)


def test_a_write_costs_less_on_half_selected_lines():
    """V I(V) t of the device, and of the others of both lines at half the voltage."""
    energy = "energy: {write_voltage: 1 V, write_time: 50 ns, half_select: 0.5}"
    hardware = profile(more=energy)
    g = torch.full((1, 2, 2), 1e-6, dtype=DOUBLE)
    pulses = torch.tensor([[[1, 0], [0, 0]]])
    spent = [write_energy(hardware.energy, pulses, g, g, Tiling((2,), (2,)), v_0) for v_0 in (None, 0.2)]
    assert spent[0] == close(1e-6 * 50e-9 * (1 + 2 * 0.25))
    bent = 1.0 * 0.2 * math.sinh(5.0) + 2 * 0.5 * 0.2 * math.sinh(2.5)
    assert spent[1] == close(1e-6 * 50e-9 * bent)


def test_switched_off_it_is_not_there():
    hardware = profile()
    assert "nonlinear_iv" in known_effects(hardware)
    off = frozenset(known_effects(hardware)) - {"nonlinear_iv"}
    one, other = reader(build(hardware, effects=off)), reader(build(profile(v_0="")))
    assert torch.equal(one(INPUTS), other(INPUTS))


def test_inputs_beyond_all_drivers_stay_finite():
    x = torch.full((1, 6), 1e6)
    for array in ("", WIRES):
        found = reader(build(profile(array=array), wires="exact", dtype=torch.float32))(x)
        assert bool(torch.isfinite(found).all())


def test_single_precision_reads_agree():
    one, other = (reader(build(profile(read=NOISE), dtype=dtype)) for dtype in (DOUBLE, torch.float32))
    assert other.fast is None  # whose loops are of ohmic devices
    torch.testing.assert_close(other(INPUTS.float()).double(), one(INPUTS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "change", "said"),
    [
        ({}, {}, "hardware.wires: fast solves lines with ohmic devices alone; write hardware.wires: exact"),
        ({"wires": "exact", "read": "sampled"}, {}, "write hardware.read: moments"),
        ({"wires": "exact"}, {"inputs": ", dac: {bits: 5, inputs: pulse_width}"}, "inputs: pulse_width"),
        ({"wires": "exact", "n": 70}, {"array": ", wires: {r_word: 1 ohm, r_bit: 1 ohm}"}, "a tile of 70 lines"),
    ],
)
def test_lines_and_bent_currents_that_no_read_solves_are_refused(options, change, said):
    with pytest.raises(InputError) as caught:
        build(profile(**{"array": WIRES, **change}), **options)
    assert said in str(caught.value)


def test_profiles_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="bends the current of a voltage that is not stated"):
        loads(TEXT.format(coding="offset", v_0=", v_0: 0.1 V", read="", array="", periphery=""), "bench.yaml")
    with pytest.raises(InputError, match=r"'1 mV' is below periphery.v_read, '200 mV', / 40"):
        profile(v_0=", v_0: 1 mV")
    with pytest.raises(InputError, match=r"below energy.write_voltage, '4 V'"):
        profile(more="energy: {write_voltage: 4 V, write_time: 1 ns}")


# ---- facts ----


def halves(rows: int, m: int) -> torch.Tensor:
    return torch.randint(0, 2, (rows, m), generator=torch.Generator().manual_seed(2)).to(DOUBLE) - 0.5


@pytest.mark.parametrize("coding", ["differential", "offset"])
@pytest.mark.parametrize("inputs", ["", ", dac: {bits: 8, inputs: pulse_width}"], ids=["volts", "times"])
def test_facts_state_the_noise_of_an_output_at_half_the_range(coding, inputs):
    """Of devices that conduct V_0 sinh(V/V_0), not V: read noise and drivers' noise, against reads."""
    noise = "" if inputs else ", dac: {bits: 8, noise: 1 mV}"
    effects = frozenset({"read_noise", "nonlinear_iv", "dac_noise"})
    chip = build(profile(coding=coding, read=NOISE, inputs=inputs or noise), effects=effects)
    rows, facts = 20_000, describe(chip)["arrays"]["w_in"]
    read = reader(chip, noise=True)
    xi = torch.randn((rows, read.normals), generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    x = halves(rows, 6)
    sampled = (read(x, xi) - read(x)).square().mean(1)
    error = float(sampled.std()) / math.sqrt(rows)
    assert abs(float(sampled.mean()) - facts["sigma_output"] ** 2) < 4 * error
    ohmic = build(profile(coding=coding, read=NOISE, inputs=inputs or noise, v_0=""), effects=effects)
    less = describe(ohmic)["arrays"]["w_in"]["sigma_output"]
    bent = V_0 * math.sinh(V_READ / V_0) / V_READ if inputs else V_0 / (V_READ / 2) * math.sinh(V_READ / 2 / V_0)
    if inputs:
        assert facts["sigma_output"] == close(less * bent, rel=1e-9)
    else:
        assert less * bent < facts["sigma_output"] < less * math.cosh(V_READ / 2 / V_0)


@pytest.mark.parametrize("coding", ["differential", "offset"])
def test_facts_state_what_lines_take_of_bent_currents(coding):
    """All word lines at the read voltage: what comes out of the tiles' networks, against the devices alone."""
    chip = build(profile(coding=coding, array=WIRES), wires="exact")
    lost = 0.0
    for g in planes(chip):
        for j in range(0, 6, 4):
            for i in range(0, 5, 3):
                tile = g[i : i + 3, j : j + 4]
                net = NonlinearNetwork(tile, 50.0, 80.0, V_0)
                lost += float(net.currents(np.full((tile.shape[1], 1), V_READ)).sum())
    alone = V_0 * math.sinh(V_READ / V_0) * sum(g.sum() for g in planes(chip))
    found = describe(chip)["arrays"]["w_in"]
    assert found["wire_loss"] == close(1 - lost / alone, rel=1e-6)
    straight = describe(build(profile(coding=coding, array=WIRES, v_0=""), wires="exact"))["arrays"]["w_in"]
    assert found["wire_loss"] > 1.05 * straight["wire_loss"]
    assert found["wire_error"] is None
