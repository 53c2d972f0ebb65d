"""Books against sums done by hand: a silent pass, bits and tiles, lines that time and writes change, shares of a write.

Energies are picojoules and less: every comparison is relative, and 0 J is close to nothing.
"""

from __future__ import annotations

import math

import pytest
import torch

from neuroanp.backends.protocol import Request
from neuroanp.backends.rate import RateBackend
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import HardwareProfile, loads
from neuroanp.substrates import promises
from neuroanp.substrates.chip import DeviceChip
from neuroanp.trajectory import PassPlan, Weights, WeightUpdate

DOUBLE = torch.float64
N, I, O, T, B = 3, 2, 2, 5, 4  # noqa: E741
SHAPES = {"w_in": (N, I), "w": (N, N), "w_out": (O, N)}
V_READ, T_READ = 0.2, 1e-7
DAC, ADC, DIGITAL, ADD, BIT = 3e-13, 7e-13, 11e-13, 13e-13, 17e-15
HEAD = """
meta: {{name: bench, summary: s, source: bench, status: illustrative}}
conductance: {{g_min: 1 uS, g_max: 21 uS, coding: {coding}}}
programming: {{{programming}}}
array: {{weight_range: 2, write: {write}{array}}}
{more}
"""
PERIPHERY = (
    "periphery: {v_read: 0.2 V, t_read: 100 ns, dac: {bits: 5, energy: 0.3 pJ%s}, "
    "adc: {bits: 16, full_scale: 1 mA, energy: 0.7 pJ}}\nenergy: {digital: 1.1 pJ, accumulate: 1.3 pJ}\n"
)
JUNCTIONS = (
    "stochastic: {law: rtn, tau_high: 2 us, tau_low: 5 us, amplitude: 50 mV, n_sources: 3, kappa: 1, "
    "volts_per_unit: 0.3 V, energy_per_bit: 17 fJ}\n"
)


def profile(more: str = "", array: str = "", coding: str = "differential", write: str = "serial") -> HardwareProfile:
    return loads(
        HEAD.format(coding=coding, programming="law: ideal", write=write, array=array, more=more), "bench.yaml"
    )


def weights(seed: int = 0) -> Weights:
    g = torch.Generator().manual_seed(seed)
    return Weights.one_layer({k: (2 * torch.rand(s, generator=g, dtype=DOUBLE) - 1) * 0.7 for k, s in SHAPES.items()})


def build(hardware: HardwareProfile, **options) -> DeviceChip:
    return DeviceChip.build(hardware, weights(), streams=Streams(0), **{"dt": 1e-6, "dtype": DOUBLE, **options})


def lines(chip: DeviceChip, name: str) -> torch.Tensor:
    """Siemens on each word line, from the weights alone: g_min of both devices, and dG |W| / w_s of one."""
    array = chip.arrays[name]
    return 2e-6 * array.shape[0] + 20e-6 / array.w_s * array.mean_weights(chip.now).abs().sum(0)


def close(found: float | None, wanted: float) -> None:
    assert found is not None
    assert math.isclose(found, wanted, rel_tol=1e-9, abs_tol=0.0), (found, wanted)


# ---- reads ----


def presented(chip: DeviceChip, plan: PassPlan):
    """One presentation by the rate backend, booked; its inputs, and what the units did in the only chunk."""
    streams = PassStreams(Streams(0), "train", 1)
    inputs = torch.rand((T, B, I), generator=torch.Generator().manual_seed(3), dtype=DOUBLE)
    (chunk,) = RateBackend(1e-6, 64).run(Request(chip, chip.prepare(1e-3, streams), inputs, plan, streams))
    return inputs, chunk.layers["hidden"]


@pytest.mark.parametrize("gains", [(1.0, 1.0), (0.0, 1.0, 1.0), (0.0, -1.0), (0.0, 0.0)], ids=str)
def test_a_presentation_with_silent_passes(gains):
    """Every pass reads, converts and updates its units; the junctions are sampled where there is noise alone."""
    chip = build(profile(PERIPHERY % "" + JUNCTIONS))
    M, noisy = len(gains), sum(gain != 0 for gain in gains)
    inputs, units = presented(chip, PassPlan(gains, tuple(range(M)), ((1, 0),)))
    presentations = T * B * M
    energy = chip.ledger.energy()
    close(energy["dac"], presentations * (I + N + N) * DAC)
    close(energy["adc"], presentations * (N + N + O) * ADC)
    close(energy["digital"], presentations * (N + O) * DIGITAL)
    close(energy["node_noise"], noisy * T * B * (N + O) * 3 * BIT)
    assert chip.ledger.reads == 3 * presentations
    assert chip.ledger.conversions == presentations * (N + N + O)
    code = 1 / 15
    before = torch.cat([units.x_prev.unsqueeze(0), units.x[:-1]])
    seen = {"w_in": inputs.unsqueeze(1).expand(T, M, B, I), "w": before, "w_out": units.x}
    siemens = sum(
        float((torch.round(x / code) * code).square().sum((0, 1, 2)) @ lines(chip, name)) for name, x in seen.items()
    )
    close(energy["array_reads"], V_READ**2 * T_READ * siemens)


@pytest.mark.parametrize("gains", [(0.0, 0.0, 0.0), (0.0, 1.0, 1.0)], ids=str)
def test_clipped_conversions_are_counted_in_every_pass(gains):
    """Silent passes of one input are simulated once, and converted in each: counted from what goes into the ADCs."""
    chip = build(profile((PERIPHERY % "" + JUNCTIONS).replace("full_scale: 1 mA", "full_scale: 800 nA")))
    inputs, units = presented(chip, PassPlan(gains, (0, 1, 2), ((1, 0),)))
    before = torch.cat([units.x_prev.unsqueeze(0), units.x[:-1]])
    seen = {"w_in": inputs.unsqueeze(1).expand(T, 3, B, I), "w": before, "w_out": units.x}
    clipped = 0
    for name, x in seen.items():
        y = torch.round(x * 15) / 15 @ chip.weights[name].T
        clipped += int((y.abs() > chip.arrays[name].k * 800e-9).sum())
    assert 0.1 * chip.ledger.conversions < clipped < 0.9 * chip.ledger.conversions
    assert chip.ledger.clipped == clipped
    assert chip.ledger.report()["clipped"] == clipped / (T * B * 3 * (N + N + O))


@pytest.mark.parametrize("bits", [1, 4])
@pytest.mark.parametrize(("rows", "tiles"), [(3, 1), (2, 2), (1, 3)])
def test_bits_and_tiles_are_converted_one_by_one_and_added(bits, rows, tiles):
    """A DAC drives a line once a bit, for all its tiles; each bit of each tile has an ADC; all but one are added."""
    serial = ", inputs: bit_serial" if bits > 1 else ""
    chip = build(profile(PERIPHERY % serial, f", max_rows: {rows}"))
    chip.book_reads("w", torch.zeros(N, dtype=DOUBLE), 10, 10)
    energy = chip.ledger.energy()
    close(energy["dac"], 10 * N * bits * DAC)
    close(energy["adc"], 10 * N * bits * tiles * ADC)
    close(energy["digital"], 10 * N * DIGITAL)
    if bits * tiles == 1:
        assert "accumulate" not in energy
    else:
        close(energy["accumulate"], 10 * N * (bits * tiles - 1) * ADD)


@pytest.mark.parametrize("stated", [False, True])
def test_weights_that_are_read_at_a_stated_figure(stated):
    """All n m of them in every read, or as many as events say, whatever the lines conduct."""
    chip = build(profile("energy: {read: 2 fJ}\n" if stated else "periphery: {v_read: 0.2 V, t_read: 100 ns}\n"))
    load = torch.tensor([2.0, 0.5, 1.0], dtype=DOUBLE)
    chip.book_reads("w_out", load, 7, 7)
    first = chip.ledger.energy()["array_reads"]
    close(first, 7 * O * N * 2e-15 if stated else V_READ**2 * T_READ * float(load @ lines(chip, "w_out")))
    chip.book_reads("w_out", load, 7, 7, events=5)
    close(chip.ledger.energy()["array_reads"], first + 5 * 2e-15 if stated else 2 * first)


# ---- lines that change between reads ----

LEAK = "drift: {law: leak, tau: 10 ms, rest: 1 uS}\nperiphery: {v_read: 0.2 V, t_read: 100 ns}\n"


def written(chip: DeviceChip) -> None:
    chip.apply(WeightUpdate({"w": chip.weights["w"]}), 0.5, Streams(0), 1)


def restored(chip: DeviceChip) -> None:
    other = build(profile(LEAK), write="ideal")
    other.elapse(20e-3)
    chip.load_state_dict({**chip.state_dict(), **{k: v for k, v in other.state_dict().items() if "ledger" not in k}})


@pytest.mark.parametrize(
    ("change", "share"),
    [
        (lambda chip: chip.elapse(10e-3), math.exp(-1)),
        (written, 0.5),
        (restored, math.exp(-2)),
        (lambda chip: None, 1.0),
    ],
    ids=["time", "a write", "a checkpoint", "nothing"],
)
def test_a_read_is_of_the_conductance_of_its_own_time(change, share):
    """What stands above g_min leaks, is halved by a write, or comes from elsewhere: the next read costs less."""
    chip = build(profile(LEAK), write="ideal")
    load = torch.tensor([2.0, 0.5, 1.0], dtype=DOUBLE)
    above = lines(chip, "w") - 2e-6 * N
    chip.book_reads("w", load, 4, 4)
    before = chip.ledger.energy()["array_reads"]
    close(before, V_READ**2 * T_READ * float(load @ (2e-6 * N + above)))
    change(chip)
    chip.book_reads("w", load, 4, 4)
    after = chip.ledger.energy()["array_reads"]
    assert after is not None
    assert before is not None
    close(after - before, V_READ**2 * T_READ * float(load @ (2e-6 * N + share * above)))


@pytest.mark.parametrize("coding", ["differential", "offset"])
def test_a_line_takes_the_conductance_of_its_devices_and_none_that_noise_has_pushed_below_0(coding):
    """Both devices of every pair, or each device and its reference at 11 uS; n, not m, of them on a line."""
    chip = build(profile("periphery: {v_read: 0.2 V, t_read: 100 ns}\n", coding=coding))
    array = chip.arrays["w_out"]
    g = array.cells["g"].clone()
    g[0, 0, 1], g[0, 1, 2] = -3e-6, 0.0
    array.cells = {**array.cells, "g": g}
    load = torch.tensor([2.0, 0.5, 1.0], dtype=DOUBLE)
    siemens = g.clamp_min(0.0).sum((0, 1)) + (0.0 if coding == "differential" else O * 11e-6)
    chip.book_reads("w_out", load, 3, 3)
    close(chip.ledger.energy()["array_reads"], V_READ**2 * T_READ * float(load @ siemens))


# ---- writes ----

STUCK = "faults: {stuck_low: 0.5}\n"


def test_a_weight_is_given_up_on_once_however_many_of_its_devices_are_held():
    """All signs turn, so that both devices of every pair are written; a quarter of the pairs has both stuck."""
    chip = build(profile(STUCK), write="verify")
    chip.arrays["w_out"].cells = {**chip.arrays["w_out"].cells, "stuck": torch.ones(2, O, N, dtype=torch.bool)}
    stuck = {name: chip.arrays[name].cells["stuck"] for name in ("w", "w_out")}
    assert bool(stuck["w"].all(0).any())
    assert bool((~stuck["w"]).all(0).any())
    update = WeightUpdate({name: chip.weights[name] for name in stuck})
    report = chip.apply(update, 1.5, Streams(0), 1)
    lost = int(stuck["w"].any(0).sum()) + O * N
    close(report.unverified, lost / (N * N + O * N))


@pytest.mark.parametrize("write", ["ideal", "verify", "pulse"])
def test_shares_are_of_the_written_weights_of_all_arrays(write):
    """Two weights of w and one of w_out beyond the range, of 9 + 6; w_in, which the update leaves alone, is not one."""
    pulses = "update: {law: linear_step, dw: 0.1, bound_up: 1, bound_down: 1, gamma_up: 0, gamma_down: 0, " \
        "noise: additive, tolerance: 0.1, max_pulses: 50}\n"  # fmt: skip
    chip = build(profile(pulses, coding="offset"), write=write, effects=frozenset())
    change = {name: torch.zeros(SHAPES[name], dtype=DOUBLE) for name in SHAPES}
    change["w"][0, 1] = change["w"][2, 2] = 5.0
    change["w"][1, 1] = change["w_out"][1, 0] = 1e-3
    change["w_out"][0, 2] = -5.0
    report = chip.apply(WeightUpdate(change), 1.0, Streams(0), 1)
    close(report.saturated, 3 / (9 + 6))
    assert report.unverified == 0.0


@pytest.mark.parametrize(("write", "in_turn"), [("serial", 16), ("row", 8)])
def test_a_write_of_two_arrays_adds_up(write, in_turn):
    """w: a device each of two weights on one word line; w_out: a weight that changes sign, so both its devices.

    Every device gets 4 pulses of 25 fJ and 40 ns, by rows all of one word line at once, one array after the other.
    """
    text = HEAD.format(
        coding="differential", write=write, array="",
        programming="law: gaussian, sigma_absolute: 0 S, sigma_relative: 0, pulses: 4",
        more="energy: {write: 25 fJ, write_time: 40 ns, endurance: 1000}\n",
    )  # fmt: skip
    chip = build(loads(text, "bench.yaml"))
    first = chip.ledger.report()
    devices = 2 * (N * I + N * N + O * N)
    assert (first["pulses"], first["wear"]) == (4 * devices, 4)
    close(first["energy_J"], 4 * devices * 25e-15)
    close(first["time_s"], 40e-9 * 4 * (devices if write == "serial" else I + N + N))
    w, w_out = chip.weights["w"], chip.weights["w_out"]
    change = {"w": torch.zeros_like(w), "w_out": torch.zeros_like(w_out)}
    change["w"][0, 1], change["w"][2, 1] = 0.1 * w[0, 1], 0.1 * w[2, 1]
    change["w_out"][1, 2] = 1.5 * w_out[1, 2]
    chip.apply(WeightUpdate(change), 1.0, Streams(0), 1)
    then = chip.ledger.report()
    assert then["pulses"] - first["pulses"] == 4 * 4
    close(then["energy_J"] - first["energy_J"], 16 * 25e-15)
    close(then["time_s"] - first["time_s"], in_turn * 40e-9)
    assert chip.ledger.wear == 8
    close(chip.ledger.wear_fraction, 8e-3)
    close(chip.ledger.energy()["writes"], 4 * (devices + 4) * 25e-15)


@pytest.mark.parametrize("more", ["", ", line_capacitance: 50 fF", ", half_select: 0.5"])
def test_a_write_from_voltages_is_of_the_conductance_around_it(more):
    """Sum over the devices of V^2 t (G_old + G_new) / 2, C V^2, (s V)^2 t of the others on both lines; three arrays."""
    chip = build(profile(f"energy: {{write_voltage: 2 V, write_time: 10 ns{more}}}\n"))

    def joules(before: dict[str, torch.Tensor]) -> float:
        total = 0.0
        for name, old in before.items():
            g, moved = 0.5 * (old + chip.arrays[name].cells["g"]), old != chip.arrays[name].cells["g"]
            moved = moved | torch.full_like(moved, first)  # all are written at first, those that stay at g_min too
            for plane, i, j in moved.nonzero().tolist():
                others = float(g[:, :, j].sum() + g[plane, i].sum() - 2 * g[plane, i, j])
                total += 4e-8 * float(g[plane, i, j])
                total += 50e-15 * 4 if "capacitance" in more else 0.0
                total += 1e-8 * others if "half" in more else 0.0
        return total

    first = True
    booked = chip.ledger.energy()["writes"]
    close(booked, joules({name: torch.full_like(array.cells["g"], 1e-6) for name, array in chip.arrays.items()}))
    first, before = False, {name: chip.arrays[name].cells["g"].clone() for name in ("w", "w_out")}
    chip.apply(WeightUpdate({name: chip.weights[name] for name in before}), 0.5, Streams(0), 1)
    assert booked is not None
    close(chip.ledger.energy()["writes"], booked + joules(before))


def test_the_share_of_worn_devices_is_of_all_devices():
    """Endurance 1: the first write wears every device out; with 2, a write of one array wears out that one alone."""
    assert build(profile("energy: {endurance: 1}\n")).failed == 1.0
    chip = build(profile("energy: {endurance: 2}\n"))
    assert chip.failed == 0.0
    chip.apply(WeightUpdate({"w": chip.weights["w"]}), 1.5, Streams(0), 1)  # signs turn: both devices move
    close(chip.failed, N * N / (N * I + N * N + O * N))


def test_the_oldest_write_is_that_of_the_device_that_has_waited_longest():
    """All is written again after 3 s but for one weight of w; then that weight is, and of the others none."""
    chip = build(profile("read: {law: gaussian, sigma_absolute: 1 nS, sigma_relative: 0}\n"), write="ideal")
    most, one = dict(chip.weights), torch.zeros(N, N, dtype=DOUBLE)
    one[1, 2] = 1.0
    chip.elapse(3.0)
    chip.apply(WeightUpdate({**most, "w": most["w"] * (1 - one)}), 1.5, Streams(0), 1)  # signs turn: both devices
    chip.elapse(2.0)
    close(promises.oldest(chip), 5.0)
    chip.apply(WeightUpdate({"w": most["w"] * one}), 1.5, Streams(0), 2)
    chip.elapse(0.25)
    close(promises.oldest(chip), 2.25)
