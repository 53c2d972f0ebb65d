"""Global drift compensation: what it leaves of the drift, when its factor changes, what it costs, who has none."""

from __future__ import annotations

import math

import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import HardwareProfile, load, loads
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.facts import describe, known_effects
from neuroanp.substrates.promises import idle_options
from neuroanp.substrates.read import Reader
from neuroanp.trajectory import Weights, WeightUpdate
from tests.close import close

DAY, HOUR, DOUBLE = 86_400.0, 3600.0, torch.float64
WAY = {"write": "verify", "dt": 1e-3, "dtype": DOUBLE}
NU = 0.1
EXACT = """
meta: {{name: bench, summary: s, source: bench, status: illustrative}}
conductance: {{g_min: 1 uS, g_max: 21 uS, coding: {coding}}}
programming: {{law: ideal}}
{drift}
array: {{weight_range: 2, write: serial{array}}}
periphery: {{v_read: 0.2 V, t_read: 100 ns, {converters}
  drift_compensation: {{every: {every}{lines}}}}}
energy: {{accumulate: 1.3 pJ}}
"""
DRIFT = (
    "drift: {law: pcm, t0: 20 s, mu_slope: 0, mu_offset: 0.1, mu_min: 0, mu_max: 1, s_slope: 0, s_offset: 0, s_min: 0,"
    " s_max: 0}"
)
CONVERTERS = "dac: {bits: 8, energy: 0.3 pJ}, adc: {bits: 8, full_scale: 40 uA, energy: 0.7 pJ},"


def bench(every="1 h", lines="", coding="differential", drift=DRIFT, converters="", array="") -> HardwareProfile:
    """Devices without error or noise, all of which drift alike."""
    text = EXACT.format(coding=coding, drift=drift, every=every, lines=lines, converters=converters, array=array)
    return loads(text, "bench.yaml")


def build(profile: HardwareProfile, shape=(6, 5), seed=0, **options) -> DeviceChip:
    rng = torch.Generator().manual_seed(seed)
    shapes = {"w_in": (shape[0], 2), "w": (shape[0], shape[0]), "w_out": (2, shape[0])}
    W = {key: (2 * torch.rand(size, generator=rng, dtype=DOUBLE) - 1) * 0.3 for key, size in shapes.items()}
    return DeviceChip.build(profile, Weights.one_layer(W), streams=Streams(seed), **{**WAY, **options})


def alike(found: float, wanted: float, rel: float = 1e-6) -> None:
    assert found == close(wanted, rel)


def seen(chip, name="w", noise=False) -> torch.Tensor:
    return chip.prepare(1e-3, PassStreams(Streams(0), "test", 0), noise)[name].W


def test_the_rms_error_of_pcm_after_a_day():
    """4.95 uS as it is read and 1.59 uS compensated, of devices programmed anywhere in the range."""
    profile, size, age = load("pcm_compensated"), 250, DAY + 20.0
    chip = build(profile, (size, size))
    array, rng = chip.arrays["w"], torch.Generator().manual_seed(1)
    target = 25e-6 * torch.rand((2, size, size), generator=rng, dtype=DOUBLE)
    array.program(target, 0.0, Streams(3).generator("program"))
    g, fresh, frozen = chip.device.observed(array.cells, age, 1e-3)
    assert fresh is not None
    assert frozen is not None
    g = g + torch.hypot(fresh, frozen) * torch.randn(g.shape, generator=rng, dtype=DOUBLE)
    rms = [
        float((factor * g - target).square().mean().sqrt())
        for factor in (1.0, chip.compensated["w"].factor(array, age))
    ]
    alike(rms[0], 4.95e-6, 0.005)
    alike(rms[1], 1.59e-6, 0.01)


def test_devices_that_drift_alike_are_restored():
    """alpha = (t_c / t0)^nu, at the last full period since the write; between two readings the drift goes on."""
    chip = build(bench(every="1 d"))
    today = seen(chip)
    for age, at in ((0.5 * DAY, None), (DAY, DAY), (1.7 * DAY, DAY), (30 * DAY + 1, 30 * DAY)):
        alpha = 1.0 if at is None else (at / 20.0) ** NU
        later = chip.at(chip.now + age)
        since = later.now - float(chip.arrays["w"].cells["t"].max())
        alike(later.drift_factors["w"], alpha, 1e-9)
        assert torch.allclose(seen(later), today * alpha * (since / 20.0) ** -NU, rtol=1e-9, atol=0.0)


def test_what_was_written_since_keeps_its_share():
    """Half of the devices are rewritten after a month: S_0 is of all as each was written, S of both ages."""
    chip = build(bench(every="1 d"))
    chip.elapse(30 * DAY)
    array = chip.arrays["w"]
    rows = torch.zeros(array.shape, dtype=DOUBLE)
    rows[:3] = 0.05
    target = array.to_conductance(array.clip(chip.weights["w"] + rows)[0])
    written = torch.zeros_like(target, dtype=torch.bool)
    written[:, :3] = True
    array.cells = array.device.place(array.cells, target, written, chip.now, Streams(0).generator("x"))
    g = array.cells["g"]
    anew = array.cells["t"] > 0  # what was on its target is left alone
    left = torch.where(anew, g, g * (30 * DAY / 20.0) ** -NU)
    assert 0 < int(anew.sum()) < anew.numel()
    alike(chip.drift_factors["w"], float(g.sum() / left.sum()), 1e-6)


def test_it_reads_the_lines_that_are_stated():
    """One line alone: the factor is that of its devices, and of no other."""
    profile = load("pcm_compensated")
    on = frozenset({"drift", "drift_compensation"})
    periphery = profile.periphery
    assert periphery is not None
    few = periphery.model_copy(update={"drift_compensation": bench(lines=", lines: 1").periphery.drift_compensation})  # pyright: ignore
    chip = build(profile.model_copy(update={"periphery": few}), effects=on).at(DAY)
    array = chip.arrays["w"]
    g = chip.device.conductance(array.cells, DAY - DAY % HOUR)
    alike(chip.drift_factors["w"], float(array.cells["g"][..., 0].sum() / g[..., 0].sum()), 1e-9)


def test_a_factor_is_one_measurement_however_often_it_is_asked_for():
    """The noise of a reading is drawn once: the same for whoever looks, another at the next reading."""
    one, other = build(load("pcm_compensated")), build(load("pcm_compensated"))
    times = [one.now + DAY + 10.0, one.now + DAY + 20.0]
    found = [one.at(t).drift_factors["w"] for t in times] + [other.at(times[1]).drift_factors["w"]]
    assert len(set(found)) == 1
    silent = build(load("pcm_compensated"), effects=frozenset({"drift", "drift_compensation", "programming_error"}))
    assert found[0] != silent.at(times[0]).drift_factors["w"]
    assert found[0] != one.at(times[0] + HOUR).drift_factors["w"]


def test_converters_round_the_readings():
    """Every output of a reading is a whole number of codes, clipped at the full scale."""
    chip = build(bench(converters="adc: {bits: 3, full_scale: 2 uA},"))
    array, later = chip.arrays["w"], chip.at(chip.now + DAY)
    at = float(array.cells["t"].max()) + math.floor((later.now - float(array.cells["t"].max())) / HOUR) * HOUR
    step = 2e-6 / 3
    codes = [
        (g * 0.2 / step).clamp(-3, 3).round().sum()
        for g in (array.cells["g"], chip.device.conductance(array.cells, at))
    ]
    alike(later.drift_factors["w"], float(codes[0] / codes[1]), 1e-9)


@pytest.mark.parametrize("noise", [True, False])
def test_outputs_are_scaled_after_the_conversion(noise):
    """y = alpha ADC(W x + noise): the codes are those of the chip without compensation."""
    profile = load("pcm_compensated")
    assert profile.periphery is not None
    assert profile.periphery.adc is not None
    narrow = profile.periphery.adc.model_copy(update={"full_scale": 0.5e-6})  # some outputs are clipped
    profile = profile.model_copy(update={"periphery": profile.periphery.model_copy(update={"adc": narrow})})
    on = frozenset(known_effects(profile))
    with_it, without = (build(profile, effects=effects) for effects in (on, on - {"drift_compensation"}))
    now = with_it.now + DAY
    with_it, without = with_it.at(now), without.at(now)
    streams = PassStreams(Streams(0), "test", 0)
    x = torch.linspace(-1, 1, 6, dtype=DOUBLE).expand(4, 6).contiguous()
    plans = [chip.prepare(1e-3, streams, noise)["w"] for chip in (with_it, without)]
    xi = torch.randn((4, Reader(plans[0]).normals), generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    one, other = (Reader(plan)(x, xi if noise else None) for plan in plans)
    assert torch.allclose(one, with_it.drift_factors["w"] * other, rtol=1e-9, atol=1e-12)
    assert plans[1].adc is not None
    assert bool((other.abs() > 0.999 * plans[1].adc.limit).any())


def test_readings_are_booked():
    """A reading of m lines, either plane: 2 m reads, 2 m DAC and 2 m n ADC conversions, V^2 t sum G, the additions."""
    chip = build(bench(every="1 h", converters=CONVERTERS))
    sizes = [array.shape for array in chip.arrays.values()]
    before = chip.ledger.report()
    readings = sum(2 * m for _, m in sizes)
    assert before["reads"] == readings  # those of the first write
    written = chip.arrays["w"].cells["t"].max().item()
    chip.elapse(3.5 * HOUR)
    after = chip.ledger.report()
    assert after["reads"] == 4 * readings
    spent = {kind: after["energy"][kind] - before["energy"][kind] for kind in ("dac", "adc", "accumulate")}
    alike(spent["dac"], 3 * readings * 0.3e-12)
    alike(spent["adc"], 3 * sum(2 * m * n for n, m in sizes) * 0.7e-12)
    alike(spent["accumulate"], 3 * sum(2 * m * n - 1 for n, m in sizes) * 1.3e-12)
    # V^2 t G of all devices, at the conductance they have left when the time is booked
    factor = ((3.5 * HOUR + 1e-3 - written) / 20.0) ** -NU
    g = sum(float(array.cells["g"].sum()) for array in chip.arrays.values())
    joules = after["energy"]["array_reads"] - before["energy"]["array_reads"]
    alike(joules, 3 * 0.2**2 * 100e-9 * g * factor, 1e-4)
    alike(after["time"]["reads"] - before["time"]["reads"], 3.5 * HOUR + 3 * readings * 100e-9)


def test_each_write_ends_with_a_reading():
    chip = build(bench(converters=CONVERTERS))
    reads = chip.ledger.reads
    chip.apply(WeightUpdate({"w": torch.full_like(chip.weights["w"], 0.1)}), 0.1, Streams(0), 0)
    assert chip.ledger.reads - reads == 2 * chip.arrays["w"].shape[1]
    chip.apply(WeightUpdate({"w": torch.zeros_like(chip.weights["w"])}), 0.1, Streams(0), 1)  # nothing is written
    assert chip.ledger.reads - reads == 2 * chip.arrays["w"].shape[1]


def test_a_chip_that_is_read_on_agrees_with_a_chip_at_that_time():
    chip, waits = build(load("pcm_compensated")), build(load("pcm_compensated"))
    later = chip.at(chip.now + DAY)
    waits.elapse(DAY)
    assert later.drift_factors == waits.drift_factors
    assert describe(later)["arrays"]["w"]["drift_factor"] == later.drift_factors["w"]


def test_without_the_option_nothing_is_scaled():
    chip = build(load("pcm"))
    assert chip.at(chip.now + DAY).drift_factors == {}
    assert chip.ledger.reads == 0
    off = build(load("pcm_compensated"), effects=frozenset(known_effects(load("pcm"))))
    assert torch.equal(seen(chip.at(DAY), noise=True), seen(off.at(DAY), noise=True))


def test_a_checkpoint_holds_all_of_it():
    chip = build(load("pcm_compensated"))
    chip.elapse(2 * HOUR)
    again = build(load("pcm_compensated"))
    again.load_state_dict(chip.state_dict())
    assert again.at(DAY).drift_factors == chip.at(DAY).drift_factors


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"drift": ""}, "periphery.drift_compensation: compensates a drift that is not stated"),
        ({"coding": "offset"}, "write 'coding: differential' or drop this key"),
        ({"every": "0 s"}, "periphery.drift_compensation.every"),
        ({"lines": ", lines: 0"}, "periphery.drift_compensation.lines"),
        ({"drift": "drift: {law: leak, tau: 10 s, rest: 1 uS}"}, "a pulse begins anew; drop this key"),
    ],
)
def test_profiles_that_cannot_have_it_say_so(change, said):
    with pytest.raises(InputError, match=r"bench\.yaml:\d") as caught:
        bench(**change)
    assert said in str(caught.value)


def test_a_period_shorter_than_a_reading_is_refused():
    with pytest.raises(InputError, match=r"every: 1 us is no longer than one reading .* array w takes \(12 x"):
        build(bench(every="1 us"))


def test_a_compensation_of_no_drift_is_told():
    profile = load("pcm_compensated")
    on = frozenset(known_effects(profile)) - {"drift"}
    assert any(
        "drift_compensation changes nothing" in line for line in idle_options(profile, on, "moments", "fast", None)
    )
    assert build(profile, effects=on).drift_factors == {}


@pytest.mark.parametrize("every", ["7 h", "7 d"])
def test_what_is_expected_of_the_factor_is_that_of_the_last_reading(every):
    """A period that divides neither an hour nor a day: the reading is some time ago, and the closed form knows."""
    from neuroanp.characterizing import characterize

    text = "extends: pcm_compensated\nmeta: {name: mine}\nperiphery: {drift_compensation: {every: %s}}\n"
    profile = loads(text % every)
    found = characterize(profile, devices=20_000, only=["compensation"])
    assert all(abs(moment.z) < 5 for moment in found.checked if moment.error)


def test_how_far_aged_devices_wander_is_what_is_read_of_them():
    """The factor of an array scales its noise with its outputs; how fast it forgets goes by the devices' ages."""
    from neuroanp.devices.pcm_noise import PcmNoise
    from neuroanp.substrates.wandering import wandering

    chip = build(load("pcm_compensated"), read="sampled", dt=1e-6)
    chip.elapse(30 * DAY)
    window = 1e-3
    reads = chip.prepare(window, PassStreams(Streams(0), "train", 0))
    for name, one in wandering(chip, window, drawn=True).items():
        process = reads[name].process
        assert process is not None
        assert one.sd == close(float(process.square().sum(0).mean()) ** 0.5, rel=1e-6)
        assert one.lam is not None
        aged = PcmNoise(250e-9).of_ages(torch.tensor(30 * DAY)).autocorrelation(1e-6)
        assert math.exp(-one.lam) == close(aged, rel=1e-3)
        assert chip.factor(name) > 1.3
