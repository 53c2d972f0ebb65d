"""What every shipped device must hold to: moments, seeds, checkpoints, isolation, the books, both precisions.

That a chip without effects is exact, and that a noise-free read repeats itself, is in tests/substrates/test_chip.py.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from scipy import stats

from neuroanp.backends.protocol import BACKENDS, Request
from neuroanp.devices.device import Device
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.devices.protocol import remembers
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import HardwareProfile, available, load, loads
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.facts import known_effects
from neuroanp.substrates.ledger import KINDS
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.substrates.periphery import serial_bits
from neuroanp.substrates.read import Reader
from neuroanp.trajectory import PassPlan, Weights, WeightUpdate

EVERYTHING = """
extends: pcm
meta: {name: everything, summary: all there is, source: a test, status: illustrative}
environment: {temperature: 350 K}
conductance: {tcr: 1e-3 K^-1, reference_temperature: 300 K}
drift: {law: pcm, activation_energy: 0.2 eV, reference_temperature: 300 K}
variability: {law: lognormal, cv: 0.1}
faults: {corrupt: 0.05, corrupt_range: 0.1, stuck_low: 0.05, stuck_high: 0.05, dead_rows: 0.1, dead_columns: 0.1}
periphery:
  amplifier_noise: 20 nA
  bandwidth: 1 MHz
  dac: {noise: 1 mV}
  adc: {gain_sd: 0.01, offset_sd: 20 nA}
array: {max_rows: 4, max_columns: 4, wires: {r_word: 2 ohm, r_bit: 2 ohm}}
energy: {endurance: 100, endurance_sd: 0.5, accumulate: 0.1 pJ}
stochastic: {law: rtn, tau_high: 2 us, tau_low: 5 us, amplitude: 5 mV, n_sources: 2, kappa: 1, volts_per_unit: 0.3 V,
             energy_per_bit: 20 fJ}
disturb: {read: 1e-4, towards: set, half_select: 1e-5}
neurons: {threshold_sd: 0.1, tau_m_sd: 0.2, tau_s_sd: 0.2, membrane_sigma: 0.08, energy_per_spike: 500 pJ}
"""
"""One profile in which every effect has something to act on, but the write noise of pulsed laws."""

DATA = Path(__file__).parents[2] / "examples/data"
TABLES = ("crosssim_enode", "xbtorch_reram")
"""Examples whose pulses are tables of measurements."""
FLUCTUATING = """
extends: rram_rtn
meta: {name: fluctuating, summary: fluctuators on a 1/f background, source: a test, status: illustrative}
read:
  law: fluctuators
  fluctuators:
    - {tau_high: 1 ms, tau_low: 3 ms, amplitude: 0.1}
    - {tau_high: 200 us, tau_low: 50 us, amplitude: 0.05}
  background: {f_low: 1 Hz, f_high: 1 MHz, amplitude: 0.01}
  white: 0.02
stochastic:
  law: fluctuators
  fluctuators: [{tau_high: 2 us, tau_low: 5 us, amplitude: 5 mV}, {tau_high: 30 us, tau_low: 20 us, amplitude: 3 mV}]
  background: {f_low: 10 Hz, f_high: 1 MHz, amplitude: 1 mV}
  white: 1 mV
  n_sources: 2
  kappa: 1
  volts_per_unit: 0.3 V
"""
"""Several fluctuators on a 1/f background, of the devices and of the nodes; no shipped profile has them."""

OWN = {
    "everything": EVERYTHING, "fluctuating": FLUCTUATING,
    **{name: (DATA / f"{name}.yaml").read_text(encoding="utf-8") for name in ("stt_mram", "rram_lines")},
}  # fmt: skip
NAMES = [*available(), *OWN, *TABLES]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))]
DTYPES = [torch.float32, torch.float64]
DOUBLE = torch.float64
SHAPES = {"w_in": (6, 3), "w": (6, 6), "w_out": (2, 6)}
PLAN = PassPlan((1.0, -1.0, 0.0), (0, 0, 1), ((0, 1),))
WINDOW = 1e-3
FALSE_ALARM = 1e-3
ALONE = PassPlan((1.0,), (0,), "mean")
STEPS, BATCH = 4, 2
SMALL = 0.2
"""Of Xavier's standard deviation: devices of many small steps are written in few of them."""


@cache
def profile_of(name: str) -> HardwareProfile:
    if name in TABLES:
        return load(DATA / name / f"{name}.yaml")
    return loads(OWN[name], f"{name}.yaml") if name in OWN else load(name)


def ways(profile: HardwareProfile) -> list[str]:
    programs = profile.programming is not None or (profile.update is not None and profile.update.program is not None)
    return ["ideal"] + ["verify"] * programs + ["pulse"] * (profile.update is not None)


CASES = [(name, write) for name in NAMES for write in ways(profile_of(name))]


def weights(seed: int = 0) -> Weights:
    rng = np.random.default_rng(seed)
    sd = {name: SMALL * (2 / sum(shape)) ** 0.5 for name, shape in SHAPES.items()}
    return Weights.one_layer(
        {name: torch.from_numpy(sd[name] * rng.standard_normal(shape)) for name, shape in SHAPES.items()}
    )


def step_of(profile: HardwareProfile) -> float:
    """A step of time that holds one read of the array."""
    periphery = profile.periphery
    return 1e-6 if periphery is None else max(1e-6, periphery.t_read * max(1, serial_bits(profile, ALL_EFFECTS)))


def build(name: str, *, seed: int = 0, **options) -> DeviceChip:
    profile = profile_of(name)
    options = {"dtype": DOUBLE, "streams": Streams(seed), "dt": step_of(profile), **options}
    return DeviceChip.build(profile, weights(), **options)


def live(chip: DeviceChip, first: int = 0, updates: int = 1, seed: int = 0) -> list[torch.Tensor]:
    """Read, write and wait; return all that was seen on the way."""
    seen: list[torch.Tensor] = []
    backend = BACKENDS.get("rate")(chip.dt, 64)
    for index in range(first, first + updates):
        streams = PassStreams(Streams(seed), "train", index)
        plans = chip.prepare(WINDOW, streams)
        seen += [part for plan in plans.values() for part in (plan.W, plan.sigma2) if part is not None]
        rng = np.random.default_rng(index)
        inputs = torch.from_numpy(rng.uniform(-1.2, 1.2, (STEPS, BATCH, 3))).to(chip.like)
        for part in backend.run(Request(chip, plans, inputs, PLAN, streams)):
            seen += [part.layers["hidden"].h, part.y]
        chip.elapse(WINDOW)
        gradient = WeightUpdate({name: w.to(chip.like) for name, w in weights(100 + index).items()})
        before = {name: array.mean_weights(chip.now) for name, array in chip.arrays.items()}
        chip.apply(gradient, 0.05, Streams(seed), index)
        seen += [array.mean_weights(chip.now) - before[name] for name, array in chip.arrays.items()]
        chip.elapse(3600.0)
    return seen + list(chip.weights.values())


def finite(chip: DeviceChip, seen: list[torch.Tensor]) -> None:
    for tensor in seen:
        assert bool(torch.isfinite(tensor).all())
    for name, tensor in chip.state_dict().items():
        unwritten = name.endswith("/target")  # NaN where nothing has been written yet
        assert bool((torch.isfinite(tensor) | (unwritten & torch.isnan(tensor))).all()), name


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# ---- moments ----


def standard(samples: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """Differences of the sampled mean and variance from theory, in their standard errors; samples along dim 0.

    Where theory has no spread, samples must be the mean itself.
    """
    count = len(samples)
    still = variance <= 0
    torch.testing.assert_close(samples[:, still], mean[still].expand_as(samples[:, still]), rtol=1e-9, atol=1e-18)
    off = samples - mean
    square = off.square()
    z_mean = off.mean(0) / (variance / count).sqrt()
    # of two states that are equally likely the squares are all the same: no error but that of rounding
    error = (square.var(0) / count).sqrt() + 1e-9 * variance
    z_variance = (square.mean(0) - variance) / error
    return torch.stack([z_mean[~still], z_variance[~still]]).flatten()


def accept(z: torch.Tensor) -> None:
    """Hold the largest of many standardised differences to its distribution."""
    if z.numel():
        assert float(z.abs().max()) < stats.norm.isf(FALSE_ALARM / (2 * z.numel()))


def clipped(mean: torch.Tensor, sd: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of max(0, N(mean, sd^2)); exact where sd is 0."""
    safe = sd.clamp_min(1e-30)
    z = (mean / safe).numpy()
    phi, Phi = torch.from_numpy(stats.norm.pdf(z)), torch.from_numpy(stats.norm.cdf(z))
    first = mean * Phi + sd * phi
    second = (mean.square() + sd.square()) * Phi + mean * sd * phi
    return first, (second - first.square()).clamp_min(0.0)


@pytest.mark.parametrize("name", [name for name in NAMES if profile_of(name).programming is not None])
def test_writes_miss_their_targets_as_the_law_says(name):
    device = Device(profile_of(name), frozenset({"programming_error"}))
    law, span = device.programming, device.span
    assert law is not None
    target = torch.linspace(span.g_min, span.g_max, 9, dtype=DOUBLE).view(1, 1, 9).expand(device.planes, 5000, 9)
    cells = device.sample((5000, 9), np.random.default_rng(0), DOUBLE)
    cells, _, _ = device.program(cells, target, None, 0.0, np.random.default_rng(1))
    samples = cells["g"].reshape(-1, 9)
    centre = law.write(target[0, 0], span.g_max, torch.zeros(9, dtype=DOUBLE))
    mean, variance = clipped(centre, law.sigma(target[0, 0], span.g_max))
    accept(standard(samples, mean, variance))
    assert float(samples.min()) >= 0


CORRELATED = [name for name in NAMES if remembers(profile_of(name).read)]


@pytest.mark.parametrize("name", [n for n in NAMES if profile_of(n).read is not None and n not in CORRELATED])
def test_reads_of_sampled_devices_scatter_as_the_plan_says(name):
    """y = sum_j (W + sqrt(sigma2) xi)_ij x_j: mean W x, variance sigma2 x^2; and sigma2 is the law's own."""
    reads = frozenset({"read_noise"})
    chips = {read: build(name, effects=reads, read=read) for read in ("moments", "sampled")}
    streams = PassStreams(Streams(0), "train", 0)
    for chip in chips.values():
        chip.elapse(1e4)
    plan = chips["moments"].prepare(WINDOW, streams)["w"]
    array, device = chips["moments"].arrays["w"], chips["moments"].device
    g = device.conductance(array.cells, 1e4)
    assert device.read is not None
    age = torch.full_like(g, 1e4 + WINDOW)
    fresh, _ = device.read.split(array.cells["g"], g, device.span.g_max, age, WINDOW)
    assert plan.sigma2 is not None
    torch.testing.assert_close(plan.sigma2, fresh.square().sum(0) * array.slope**2, rtol=1e-9, atol=0)
    sampled = chips["sampled"].prepare(WINDOW, streams)["w"]
    rng, x = np.random.default_rng(0), torch.linspace(-1, 1, 6, dtype=DOUBLE)
    reader, count = Reader(sampled), 20_000
    xi = torch.from_numpy(rng.standard_normal((count, reader.normals)))
    y = reader.sampled(x.expand(count, 6), xi)
    accept(standard(y, plan.W @ x, plan.sigma2 @ x.square()))


@pytest.mark.parametrize("name", CORRELATED)
def test_noise_with_a_memory_has_the_variance_of_its_law(name):
    """Drawn device by device it holds fresh and frozen part at once, at the start and after many steps."""
    chip = build(name, read="sampled", effects=frozenset({"read_noise", "frozen_noise"}))
    streams = PassStreams(Streams(0), "train", 0)
    plan = chip.prepare(WINDOW, streams)["w"]
    device, array = chip.device, chip.arrays["w"]
    assert device.read is not None
    assert plan.process is not None
    g = device.conductance(array.cells, chip.now)
    age = chip.now + WINDOW - array.cells["t"]
    both = device.read.split(array.cells["g"], g, device.span.g_max, age.to(g), WINDOW)
    torch.testing.assert_close(plan.process.abs(), torch.hypot(*both) * array.slope, rtol=1e-9, atol=0)
    noise = chip.device_noise("w", plan, ALONE, 4000, streams)
    for t0 in (0, 1):
        drawn = noise.draw(t0, 1)[0, 0].flatten(1)
        accept(standard(drawn, torch.zeros_like(drawn[0]), plan.process.square().flatten()))


@pytest.mark.parametrize("name", [name for name in NAMES if profile_of(name).stochastic is not None])
def test_sources_of_node_noise_are_stationary_with_the_stated_spread(name):
    chip = build(name, effects=frozenset({"node_noise"}))
    noise = chip.perturbation(ALONE, 5000, PassStreams(Streams(0), "train", 0))
    first = noise.draw("hidden", 0, 1)
    later = noise.draw("hidden", 1, 20)
    assert first is not None
    assert later is not None
    for drawn in (first[0, 0], later[-1, 0]):
        spread = torch.full((6,), chip.junctions.node_sigma**2, dtype=DOUBLE)
        accept(standard(drawn, torch.zeros(6, dtype=DOUBLE), spread))


# ---- seeds and checkpoints ----


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_gives_the_same_bits_and_another_one_others(name):
    one, again = live(build(name)), live(build(name))
    assert same(one, again)
    other = live(build(name, seed=1), seed=1)
    assert same(one, other) == (name == "ideal")  # where nothing is random the seed cannot matter


@pytest.mark.parametrize(("name", "write"), CASES)
def test_a_checkpoint_on_the_disk_continues_bit_for_bit(name, write):
    chip = build(name, write=write, drive=NodeDrive(0.01))
    live(chip)
    stored = safetensors.torch.save(chip.state_dict())
    onward = live(chip, 1)
    other = build(name, write=write, drive=NodeDrive(0.01), seed=9)  # other devices until the state is loaded
    if "adc_mismatch" in known_effects(chip.profile):  # converters are the chip's own and no part of the state
        other = build(name, write=write, drive=NodeDrive(0.01))
    other.load_state_dict(safetensors.torch.load(stored))
    assert same(onward, live(other, 1))
    assert other.ledger.report() == chip.ledger.report()


# ---- one effect at a time ----

DRAWN_FOR = {
    "stuck": {"faults"}, "dead": {"faults"}, "scale": {"faults", "d2d"}, "limit": {"endurance"},
    "set_by": {"read_disturb", "write_disturb"}, "reset_by": {"read_disturb", "write_disturb"},
    "g": {"faults", "d2d"}, "t": {"drift", "read_noise", "frozen_noise"}, "nu": {"drift"},
}  # fmt: skip
"""Which effects may change the cells of a new array; what an update law draws belongs to d2d."""
CELLS_OF_A_WRITE = {"nu": {"drift", "faults", "endurance"}, "stuck": {"faults"}, "scale": {"faults", "d2d"}}
"""Which effects may change what stands in the cells after the first verified write by a programming law."""


def new_cells(name: str, effects: frozenset[str]) -> dict[str, torch.Tensor]:
    device = Device(profile_of(name), effects)
    return device.sample((8, 9), np.random.default_rng(0), DOUBLE)


@pytest.mark.parametrize("name", NAMES)
def test_each_effect_alone_and_each_left_out_gives_finite_numbers(name):
    for effect in known_effects(profile_of(name)):
        for effects in (frozenset({effect}), ALL_EFFECTS - {effect}):
            chip = build(name, effects=effects)
            finite(chip, live(chip))


@pytest.mark.parametrize("name", NAMES)
def test_switching_an_effect_off_shifts_no_draw_of_another(name):
    chip, cells = build(name), new_cells(name, ALL_EFFECTS)
    streams = PassStreams(Streams(0), "train", 0)
    node = chip.perturbation(PLAN, BATCH, streams).draw("hidden", 0, STEPS)
    for effect in known_effects(chip.profile):
        less = ALL_EFFECTS - {effect}
        for key, drawn in new_cells(name, less).items():
            if effect not in DRAWN_FOR.get(key, {"d2d"}):
                assert torch.equal(torch.nan_to_num(drawn, 7.0), torch.nan_to_num(cells[key], 7.0)), (effect, key)
        other = build(name, effects=less)
        if effect != "adc_mismatch":
            for array, bar in chip.arrays.items():
                for mine, yours in ((bar.gain, other.arrays[array].gain), (bar.offset, other.arrays[array].offset)):
                    assert (mine is None) == (yours is None)
                    assert mine is None or (yours is not None and torch.equal(mine, yours)), effect
        if effect != "node_noise" and node is not None:
            drawn = other.perturbation(PLAN, BATCH, streams).draw("hidden", 0, STEPS)
            assert drawn is not None
            assert torch.equal(drawn, node)


@pytest.mark.parametrize("name", [name for name in NAMES if profile_of(name).programming is not None])
def test_switching_an_effect_off_shifts_no_draw_of_the_first_write(name):
    chip = build(name, write="verify")
    for effect in known_effects(chip.profile):
        other = build(name, write="verify", effects=ALL_EFFECTS - {effect})
        for array in SHAPES:
            before, after = chip.arrays[array].cells, other.arrays[array].cells
            for key, owners in CELLS_OF_A_WRITE.items():
                if key in before and effect not in owners:
                    assert torch.equal(before[key], after[key]), (effect, key)


# ---- books ----


@pytest.mark.parametrize(("name", "write"), CASES)
def test_the_books_balance(name, write):
    chip = build(name, write=write)
    first = chip.ledger.report()
    live(chip, updates=2)
    report, profile = chip.ledger.report(), chip.profile
    stated = [joules for joules in report["energy"].values() if joules is not None]
    assert set(report["energy"]) <= set(KINDS)
    assert (report["energy_J"] is None) == (not [kind for kind in KINDS if chip.ledger.kinds[kind] == "stated"])
    assert all(joules >= 0 for joules in stated)
    if report["energy_J"] is not None:
        assert math.isclose(report["energy_J"], math.fsum(stated), rel_tol=1e-12)
    # the clock: all time is booked, and what was read took what it was told to take
    assert math.isclose(report["time_s"], math.fsum(report["time"].values()), rel_tol=1e-12)
    assert math.isclose(chip.now, report["time_s"], rel_tol=1e-12)
    references = report["reads"] - 2 * 3 * PLAN.passes * BATCH * STEPS  # of what compensates drift, a t_read each
    assert (references > 0) == bool(chip.compensated)
    took = 0.0 if profile.periphery is None else references * profile.periphery.t_read
    assert math.isclose(report["time"]["reads"], 2 * (WINDOW + 3600.0) + took, rel_tol=1e-12)
    # pulses: those of the books are those the devices have seen
    worn = sum(int(array.cells["wear"].sum()) for array in chip.arrays.values())
    assert report["pulses"] == worn
    assert report["wear"] == max(int(array.cells["wear"].max()) for array in chip.arrays.values())
    figures = profile.energy
    if write == "ideal":
        assert (report["pulses"], report["time"]["writes"]) == (0, 0.0)
    if figures is not None and figures.write is not None:
        assert math.isclose(report["energy"]["writes"], figures.write * worn, rel_tol=1e-9)
    if figures is not None and figures.write_time is not None and profile.array.write == "serial":
        assert math.isclose(report["time"]["writes"], figures.write_time * worn, rel_tol=1e-9)
    # every book only grows
    for key in ("pulses", "reads", "wear", "time_s"):
        assert report[key] >= first[key]


# ---- precision ----


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_no_number_is_ever_nan_in_ten_years(name, dtype, device):
    for write in ways(profile_of(name)):
        read = "sampled" if write == "ideal" else "moments"
        chip = build(name, write=write, read=read, dtype=dtype, device=device)
        seen = live(chip)
        chip.elapse(3.15e8)
        seen += live(chip, 1)
        assert {tensor.dtype for tensor in seen} == {dtype}
        assert {tensor.device.type for tensor in seen} == {device}
        finite(chip, seen)


@pytest.mark.parametrize("name", NAMES)
def test_both_precisions_agree_where_nothing_is_random(name):
    """Without effects both hold and read the same numbers, to what float32 resolves of the largest weight."""
    coarse, fine = (live(build(name, dtype=dtype, effects=frozenset())) for dtype in DTYPES)
    for a, b in zip(coarse, fine, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4 * max(1.0, float(b.abs().max())))
