"""Tiles, bits, converters that differ, drivers and lines: each against a plain computation of the same."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from neuroanp.errors import InputError
from neuroanp.network.network import INPUT, OUTPUT, Layer, Network, Projection
from neuroanp.network.tanh import Tanh
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load, loads
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.periphery import BOLTZMANN, quantise, quantiser
from neuroanp.substrates.protocol import Quantiser, ReadPlan
from neuroanp.substrates.read import Reader, normals
from neuroanp.substrates.tiling import Tiling
from neuroanp.trajectory import Weights, WeightUpdate
from tests.close import close

DOUBLE = torch.float64
FALSE_ALARM = 1e-3
HEAD = """
meta: {name: bench, summary: s, source: bench, status: illustrative}
conductance: {g_min: 1 uS, g_max: 21 uS, coding: CODING}
programming: {law: ideal}
"""
PERIPHERY = "periphery: {v_read: 0.2 V, t_read: 100 ns, %s}\n"
ARRAY = "array: {weight_range: 2, write: serial%s}\n"


def profile(periphery: str = "", array: str = "", more: str = "", coding: str = "differential"):
    text = HEAD.replace("CODING", coding) + (PERIPHERY % periphery if periphery else "") + ARRAY % array + more
    return loads(text, "bench.yaml")


def chip(hardware, n: int = 6, m: int = 10, **options) -> DeviceChip:
    rng = np.random.default_rng(0)
    shapes = {"w_in": (n, 3), "w": (n, n), "w_out": (n, m)}
    weights = {name: torch.from_numpy(rng.uniform(-1, 1, s) * math.sqrt(2 / sum(s))) for name, s in shapes.items()}
    options = {"dt": 1e-6, "streams": Streams(0), "dtype": DOUBLE, **options}
    weights["w"] = torch.from_numpy(rng.uniform(-0.3, 0.3, (n, n)))
    layers = Layer("hidden", n, Tanh()), Layer("wide", m, Tanh())
    network = Network(3, layers, n, (
        Projection("w_in", INPUT, "hidden", 0), Projection("w", "hidden", "hidden", 1),
        Projection("w_out", "wide", OUTPUT, 0),
    ))  # fmt: skip
    return DeviceChip.build(hardware, Weights(weights, network), **options)


def plan_of(built: DeviceChip, name: str = "w_out", **options) -> ReadPlan:
    return built.prepare(1e-3, PassStreams(Streams(0), "train", 0), **options)[name]


def inputs(rows: int, m: int, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1.2, 1.2, (rows, m)))


# ---- tiles ----


@given(n=st.integers(1, 50), m=st.integers(1, 50), rows=st.integers(1, 60), columns=st.integers(1, 60))
def test_tiles_cover_the_matrix_and_none_is_too_large(n, m, rows, columns):
    tiling = Tiling.of((n, m), rows, columns)
    assert (sum(tiling.heights), sum(tiling.widths)) == (n, m)
    assert max(tiling.widths) <= rows
    assert max(tiling.heights) <= columns
    assert tiling.tiles == math.ceil(n / columns) * math.ceil(m / rows)


def test_each_tile_is_converted_and_the_outputs_are_added():
    hardware = profile("dac: {bits: 5}, adc: {bits: 5, full_scale: 20 uA}", ", max_rows: 4")
    plan = plan_of(chip(hardware))
    assert plan.widths == (4, 4, 2)
    x = inputs(7, 10)
    xq = quantise(x, plan.dac)
    expected = sum(
        quantise(xq[:, part] @ plan.W[:, part].T, plan.adc) for part in (slice(4), slice(4, 8), slice(8, 10))
    )
    reader = Reader(plan)
    torch.testing.assert_close(reader(x), expected, rtol=0, atol=1e-12)
    assert reader.conversions == 7 * 6 * 3
    whole = quantise(xq @ plan.W.T, plan.adc)
    assert not torch.equal(expected, whole)


def test_without_an_adc_tiles_change_nothing_but_the_amplifiers_add_up():
    one, many = (profile("amplifier_noise: 1 uA", array) for array in ("", ", max_rows: 4"))
    a, b = plan_of(chip(one)), plan_of(chip(many))
    x = inputs(5, 10)
    torch.testing.assert_close(Reader(a)(x), Reader(b)(x), rtol=1e-9, atol=0)
    assert (normals(a), normals(b)) == (6, 18)
    xi = torch.ones(5, 18, dtype=DOUBLE)
    torch.testing.assert_close(
        Reader(b)(x, xi) - Reader(b)(x), 3.0 * (Reader(a)(x, xi[:, :6]) - Reader(a)(x)), rtol=1e-9, atol=0
    )


@pytest.mark.parametrize("sampled", [False, True])
def test_moments_of_a_tiled_noisy_read(sampled):
    """Mean and covariance with tiles, noisy drivers, amplifiers and weights: the closed form, by a max statistic."""
    rng = np.random.default_rng(3)
    plan = ReadPlan(
        W=torch.from_numpy(rng.standard_normal((3, 5))), sigma2=torch.from_numpy(0.1 * rng.random((3, 5))),
        extra=torch.from_numpy(0.05 * rng.random((2, 3))), dac=Quantiser(1 / 7, 1.0), widths=(2, 3), dac_sigma=0.1,
        sampled=sampled,
    )  # fmt: skip
    count, x = 200_000, torch.tensor([0.4, -1.3, 0.2, 0.9, -0.5], dtype=DOUBLE)
    reader = Reader(plan)
    assert reader.normals == (3 * 5 if sampled else 0) + 2 * 3 + 5
    xi = torch.from_numpy(rng.standard_normal((count, reader.normals)))
    y = reader.sampled(x.expand(count, 5), xi) if sampled else reader(x.expand(count, 5), xi)
    xq = quantise(x, plan.dac)
    # a driver's noise is common to all outputs, and adds to the square that the weights' noise sees
    squares = xq.square() + plan.dac_sigma**2
    covariance = plan.dac_sigma**2 * plan.W @ plan.W.T + torch.diag(plan.sigma2 @ squares + plan.extra.sum(0))
    spread = covariance.diag().sqrt()
    z_mean = (y.mean(0) - plan.W @ xq) / (spread / math.sqrt(count))
    standard = (y - plan.W @ xq) / spread
    products = standard.unsqueeze(2) * standard.unsqueeze(1)
    z_cov = (products.mean(0) - covariance / spread.outer(spread)) / (products.std(0) / math.sqrt(count))
    z = torch.cat([z_mean, z_cov.flatten()]).abs().max()
    assert float(z) < stats.norm.isf(FALSE_ALARM / (2 * 12))


@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_reads_by_moments_are_reads_of_sampled_devices(size):
    """Of the pcm profile's own noise, at four sizes: mean and covariance, by a max statistic (false alarm 1e-3)."""
    from neuroanp.devices.effects import ALL_EFFECTS

    count = 20_000
    built = chip(load("pcm"), size, size, effects=ALL_EFFECTS - {"adc"})
    built.elapse(1e4)
    x = inputs(1, size).squeeze(0)
    rng = np.random.default_rng(size)
    found = []
    for sampled in (False, True):
        plan = replace(plan_of(built), sampled=sampled)
        reader, rows = Reader(plan), []
        for _ in range(20):
            xi = torch.from_numpy(rng.standard_normal((count // 20, reader.normals)))
            part = x.expand(count // 20, size)
            rows.append(reader.sampled(part, xi) if sampled else reader(part, xi))
        found.append(torch.cat(rows)[:, : min(size, 12)])
    xq = quantise(x, plan.dac)
    mean = (plan.W @ xq)[: found[0].shape[1]]
    spread = (plan.sigma2 @ xq.square()).sqrt()[: found[0].shape[1]]
    for y in found:
        standard = (y - mean) / spread
        z_mean = standard.mean(0) * math.sqrt(count)
        identity = torch.eye(len(mean), dtype=DOUBLE)
        z_cov = (standard.T @ standard / count - identity) * math.sqrt(count) / (1 + identity).sqrt()
        pairs = torch.triu_indices(len(mean), len(mean))
        z = torch.cat([z_mean, z_cov[pairs[0], pairs[1]]])
        assert float(z.abs().max()) < stats.norm.isf(FALSE_ALARM / (4 * len(z)))


# ---- converters ----


@given(value=st.floats(-3, 3), bits=st.integers(2, 10))
def test_offset_coding_has_one_code_more_below(value, bits):
    q = quantiser(bits, "offset", 1.0)
    y = float(quantise(torch.tensor(value, dtype=DOUBLE), q))
    code = round(y / q.step)
    assert -(2 ** (bits - 1)) <= code <= 2 ** (bits - 1) - 1
    assert y == close(code * q.step)
    if -1 <= value <= 1 - q.step:
        assert abs(y - value) <= q.step / 2 * (1 + 1e-12)


def test_clipping_of_offset_coding_is_counted_at_both_ends():
    reader = Reader(ReadPlan(W=torch.eye(3), adc=quantiser(3, "offset", 4.0)))
    assert reader(torch.tensor([[3.4, 3.6, -4.0], [-4.2, -5.0, 0.0]])).tolist() == [[3.0, 3.0, -4.0], [-4.0, -4.0, 0.0]]
    assert int(reader.clipped) == 4


@pytest.mark.parametrize("coding", ["sign_magnitude", "offset"])
def test_bit_serial_inputs_without_an_adc_are_the_rounded_inputs(coding):
    hardware = profile(f"dac: {{bits: 4, inputs: bit_serial, coding: {coding}}}")
    plan = plan_of(chip(hardware))
    x = inputs(40, 10)
    torch.testing.assert_close(Reader(plan)(x), quantise(x, plan.dac) @ plan.W.T, rtol=0, atol=1e-12)


def test_the_noise_of_bit_serial_inputs_is_that_of_their_bits():
    """Var y = sum_b 4^b step^2 sum_j x_jb^2 S_j, and every bit is one conversion."""
    plan = ReadPlan(
        W=torch.ones(1, 2, dtype=DOUBLE), sigma2=torch.tensor([[0.5, 2.0]], dtype=DOUBLE),
        dac=Quantiser(1 / 7, 1.0), bits=3, adc=Quantiser(0.0, math.inf),
    )  # fmt: skip
    reader = Reader(plan)
    assert reader.normals == 3
    x = torch.tensor([[5 / 7, -3 / 7]], dtype=DOUBLE)  # 101 and 011
    quiet = reader(x)
    parts = [float(reader(x, row.view(1, 3)) - quiet) for row in torch.eye(3, dtype=DOUBLE)]
    expected = [math.sqrt(2.5) / 7, 2 * math.sqrt(2.0) / 7, 4 * math.sqrt(0.5) / 7]
    assert parts == close(expected)
    assert reader.conversions == 4 * 3
    assert reader.load(x.unsqueeze(0)).tolist() == [2.0, 2.0]


def test_loads_are_squares_of_voltages_or_times():
    x = inputs(6, 10).view(2, 3, 10)
    voltage, width = (
        plan_of(chip(profile(f"dac: {{bits: 6, inputs: {kind}}}"))) for kind in ("amplitude", "pulse_width")
    )
    xq = quantise(x, voltage.dac)
    torch.testing.assert_close(Reader(voltage).load(x), xq.square().sum((0, 1)), rtol=1e-12, atol=0)
    torch.testing.assert_close(Reader(width).load(x), xq.abs().sum((0, 1)), rtol=1e-12, atol=0)


def test_a_step_must_hold_all_bits():
    serial = profile("dac: {bits: 8, inputs: bit_serial}")
    with pytest.raises(InputError, match=r"100 ns x 7 bits"):
        chip(serial, dt=6.5e-7)
    chip(serial, dt=7e-7)


def test_converters_differ_by_gain_and_offset():
    text = "adc: {bits: 12, full_scale: 40 uA, gain_sd: 0.1, offset_sd: 0.5 uA}"
    built = chip(profile(text, ", max_rows: 5"), n=400)
    plan = plan_of(built)
    k = built.arrays["w_out"].k
    assert plan.gain.shape == plan.offset.shape == (2, 400)
    assert float(plan.gain.mean()) == pytest.approx(1.0, abs=4 * 0.1 / math.sqrt(800))
    assert float(plan.gain.std()) == close(0.1, rel=0.1)
    assert float(plan.offset.std()) == close(k * 0.5e-6, rel=0.1)
    x = inputs(3, 10)
    expected = sum(
        quantise(x[:, part] @ plan.W[:, part].T * plan.gain[i] + plan.offset[i], plan.adc)
        for i, part in enumerate((slice(5), slice(5, 10)))
    )
    torch.testing.assert_close(Reader(plan)(x), expected, rtol=0, atol=1e-12)
    off = plan_of(chip(profile(text, ", max_rows: 5"), n=400, effects=frozenset({"adc"})))
    assert (off.gain, off.offset) == (None, None)


# ---- noise of lines ----


@pytest.mark.parametrize("coding", ["differential", "offset"])
def test_thermal_noise_is_that_of_the_conductance_on_the_bit_lines(coding):
    """(k^2) 4 k_B T B sum G over both devices of each weight, by tile; it follows the temperature."""
    hardware = profile(
        "bandwidth: 10 MHz, amplifier_noise: 5 nA", ", max_rows: 4", "environment: {temperature: 400 K}\n", coding
    )
    built = chip(hardware)
    array, plan = built.arrays["w_out"], plan_of(built)
    g = array.cells["g"].sum(0) if coding == "differential" else array.cells["g"][0] + 11e-6
    siemens = torch.stack([g[:, part].sum(1) for part in (slice(4), slice(4, 8), slice(8, 10))])
    expected = array.k**2 * (4 * BOLTZMANN * 400 * 1e7 * siemens + 5e-9**2)
    torch.testing.assert_close(plan.extra, expected, rtol=1e-12, atol=0)
    colder = plan_of(chip(hardware, temperature=200.0))
    torch.testing.assert_close(colder.extra - array.extra, (plan.extra - array.extra) / 2, rtol=1e-9, atol=0)
    assert plan_of(built, noise=False).extra == 0.0


def test_drivers_noise_is_in_units_of_the_input():
    plan = plan_of(chip(profile("dac: {bits: 8, noise: 2 mV}")))
    assert plan.dac_sigma == close(0.01)
    assert plan_of(chip(profile("dac: {bits: 8, noise: 2 mV}"), effects=frozenset({"dac"}))).dac_sigma == 0.0


# ---- faults ----


def test_stuck_devices_are_at_the_ends_in_the_stated_shares():
    built = chip(profile(more="faults: {stuck_low: 0.1, stuck_high: 0.2}\n"), 120, 200)
    cells = built.arrays["w_out"].cells
    low, high = cells["stuck"] & (cells["g"] == 1e-6), cells["stuck"] & (cells["g"] == 21e-6)
    total = cells["g"].numel()
    for share, found in ((0.1, low), (0.2, high)):
        assert float(found.double().mean()) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / total))
    assert torch.equal(cells["stuck"], low | high)


@pytest.mark.parametrize("coding", ["differential", "offset"])
def test_dead_lines_carry_nothing(coding):
    more = "faults: {dead_rows: 0.3, dead_columns: 0.2}\n"
    hardware = profile("bandwidth: 1 MHz", ", max_rows: 20, max_columns: 30", more, coding)
    built = chip(hardware, 60, 40)
    array, cells = built.arrays["w_out"], built.arrays["w_out"].cells
    dead, scale = cells["dead"], cells["scale"]
    rows = dead[0].view(2, 30, 40)
    assert torch.equal(rows, rows[:, :1].expand_as(rows))  # as long as a tile has bit lines
    columns = scale.view(-1, 60, 2, 20)
    assert torch.equal(columns, columns[..., :1].expand_as(columns))
    assert 0 < int(rows[:, 0].sum()) < 80
    assert 0 < int((columns[..., 0] == 0).sum()) < columns[..., 0].numel()
    W = array.mean_weights(0.0)
    assert not W[dead[0]].any()  # in offset coding too: the reference is on the same word line
    g = array.device.conductance(cells, 0.0)
    assert not g[(scale == 0) & ~dead].any()
    whole = chip(hardware, 60, 40, effects=frozenset())
    alive = ~dead.any(0) & (scale == 1).all(0)
    torch.testing.assert_close(W[alive], whole.arrays["w_out"].mean_weights(0.0)[alive], rtol=1e-9, atol=0)


# ---- lines with resistance ----


@pytest.mark.parametrize("solver", ["fast", "exact"])
def test_wires_take_something_and_reach_the_plan(solver):
    lines = ", max_rows: 8, max_columns: 4, wires: {r_word: 20 ohm, r_bit: 10 ohm}"
    built = chip(profile(array=lines), wires=solver)
    plain = plan_of(chip(profile(array=lines), wires=solver, effects=frozenset()))
    plan = plan_of(built)
    x = torch.ones(1, 10, dtype=DOUBLE)
    loss = 1 - Reader(plan)(x).abs().sum() / Reader(plain)(x).abs().sum()
    assert 0 < float(loss) < 0.2
    # tiles do not see each other: one alone gives its own block
    alone = chip(profile(array=lines), n=4, m=8, wires=solver)
    alone.arrays["w_out"].cells = {**alone.arrays["w_out"].cells, "g": built.arrays["w_out"].cells["g"][:, :4, :8]}
    ratio = alone.arrays["w_out"].slope / built.arrays["w_out"].slope
    torch.testing.assert_close(plan_of(alone).W, plan.W[:4, :8] * ratio, rtol=1e-9, atol=1e-12)


def test_both_solvers_agree_on_a_realistic_tile():
    lines = ", max_rows: 16, max_columns: 16, wires: {r_word: 2 ohm, r_bit: 2 ohm}"
    fast, exact = (plan_of(chip(profile(array=lines), 20, 30, wires=solver)).W for solver in ("fast", "exact"))
    assert float((fast - exact).abs().max()) < 1e-4 * float(exact.abs().max())


def test_unknown_solver():
    with pytest.raises(InputError, match="did you mean 'exact'"):
        chip(profile(), wires="exat")


# ---- wear ----


@pytest.mark.parametrize("spread", [False, True])
def test_a_worn_out_device_keeps_its_conductance(spread):
    more = f"energy: {{endurance: 9{', endurance_sd: 0.5' if spread else ''}}}\n"
    built = chip(profile(more=more))
    assert built.failed == 0.0
    seen = [built.failed]
    for index in range(20):
        update = WeightUpdate({"w": torch.full((6, 6), (-1.0) ** index * 0.01, dtype=DOUBLE)})
        before = built.arrays["w"].cells
        worn = built.device.worn_out(before)
        built.apply(update, 1.0, Streams(0), index)
        after = built.arrays["w"].cells["g"]
        if worn is not None:
            assert torch.equal(after[worn], before["g"][worn])
        seen.append(built.failed)
    assert seen == sorted(seen)
    cells = built.arrays["w"].cells
    assert 0 < int((cells["wear"] >= cells.get("limit", torch.tensor(9.0))).sum()) == round(seen[-1] * 2 * 114)
    immortal = chip(profile(more=more), effects=frozenset())
    assert immortal.device.worn_out(immortal.arrays["w"].cells) is None


# ---- one effect alone ----


def test_converters_differ_even_where_they_neither_round_nor_clip():
    hardware = profile("adc: {bits: 8, full_scale: 20 uA, gain_sd: 0.02, offset_sd: 0.1 uA}", ", max_rows: 4")
    plan = plan_of(chip(hardware, effects=frozenset({"adc_mismatch"})))
    assert plan.adc is None
    assert plan.gain is not None
    assert plan.offset is not None
    x, tiles = inputs(7, 10), (slice(4), slice(4, 8), slice(8, 10))
    expected = sum(x[:, t] @ plan.W[:, t].T * plan.gain[i] + plan.offset[i] for i, t in enumerate(tiles))
    reader = Reader(plan)
    torch.testing.assert_close(reader(x), expected, rtol=0, atol=1e-12)
    assert (int(reader.clipped), reader.conversions) == (0, 0)


def test_a_broken_word_line_weighs_nothing_through_wires_in_offset_coding():
    wires, faults = ", wires: {r_word: 20 ohm, r_bit: 20 ohm}", "faults: {dead_rows: 1}\n"
    plan = plan_of(chip(profile("", wires, faults, coding="offset")))
    assert torch.equal(plan.W, torch.zeros_like(plan.W))


@pytest.mark.parametrize("seconds", [-1.0, math.inf, math.nan])
def test_time_on_a_chip_runs_forward(seconds):
    with pytest.raises(InputError, match="cannot pass"):
        chip(profile()).elapse(seconds)


@pytest.mark.parametrize("solver", ["fast", "exact"])
def test_zero_weights_in_offset_coding_stay_zero_behind_wires(solver):
    """The reference is an array with the same lines, so that what they take from both drops out."""
    lines = ", wires: {r_word: 20 ohm, r_bit: 10 ohm}"
    built = chip(profile(array=lines, coding="offset"), 12, 12, wires=solver)
    array = built.arrays["w_out"]
    array.cells = {**array.cells, "g": torch.full_like(array.cells["g"], built.device.span.middle)}
    assert float(plan_of(built).W.abs().max()) < 1e-12
    array.cells["g"][0, 3, 4] = 21e-6
    W = plan_of(built).W
    assert 0.9 * array.w_s < float(W[3, 4]) < array.w_s


def test_noise_with_a_memory_is_switched_as_a_whole():
    with pytest.raises(InputError, match="'read_noise' cannot be on alone"):
        chip(load("rram_rtn"), read="sampled", effects=frozenset({"read_noise"}))
    chip(load("rram_rtn"), read="moments", effects=frozenset({"read_noise"}))
