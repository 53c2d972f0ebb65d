"""Chips whose writes go through lines: what a weaker pulse does, how many it takes, books, refusals, plain chips."""

from __future__ import annotations

import math

import pytest
import torch

from neuroanp.characterizing import characterize
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.profiles import loads
from neuroanp.reporting.origins import origins_of
from neuroanp.requiring.parameters import changed, parameters_of
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.facts import describe, known_effects
from neuroanp.substrates.tiling import Tiling
from neuroanp.substrates.write_lines import WriteLines, pulse_through
from neuroanp.trajectory import Weights, WeightUpdate
from tests.close import close

DOUBLE = torch.float64
N, I, O = 6, 4, 2  # noqa: E741
V, V_0, T = 2.0, 0.5, 1e-7
LINES = "{r_word: 300 ohm, r_bit: 500 ohm, writes: resistive}"
ENERGY = "{write_voltage: 2 V, write_time: 100 ns, half_select: 0.5, write_v_0: 0.5 V}"
STEPS = (
    "{law: linear_step, dw: 0.01, bound_up: 1, bound_down: 1, gamma_up: 0, gamma_down: 0, noise: multiplicative, "
    "tolerance: 0.02, max_pulses: 1000, pulses: deterministic}"
)
STT = (
    "{law: stt_mram, tau0: 1 ns, delta: 60, duration: 100 ns, current_up: 35.6 uA, current_down: 53.4 uA, "
    "i_c0_up: 40 uA, i_c0_down: 60 uA, max_pulses: 200, pulses: deterministic}"
)
TEXT = """
meta: {{name: bench, summary: s, source: bench, status: illustrative}}
conductance: {{g_min: 1 uS, g_max: 101 uS, coding: {coding}}}
array: {{weight_range: 2, write: {write}, wires: {wires}{array}}}
energy: {energy}
{more}
"""


def profile(update=STEPS, wires=LINES, energy=ENERGY, coding="offset", write="serial", array="", more=""):
    more = f"update: {update}\n{more}" if update else more
    return loads(TEXT.format(**locals()), "bench.yaml")


def weights(size: float = 0.5) -> Weights:
    g = torch.Generator().manual_seed(0)
    shapes = {"w_in": (N, I), "w": (N, N), "w_out": (O, N)}
    return Weights.one_layer({k: (2 * torch.rand(s, generator=g, dtype=DOUBLE) - 1) * size for k, s in shapes.items()})


def build(hardware, write="pulse", dtype=DOUBLE, **options) -> DeviceChip:
    return DeviceChip.build(hardware, weights(), streams=Streams(0), dt=1e-6, write=write, dtype=dtype, **options)


def moved(chip: DeviceChip, change: torch.Tensor) -> torch.Tensor:
    """Siemens by which the devices of w move in one write."""
    before = chip.arrays["w"].cells["g"].clone()
    chip.apply(WeightUpdate({"w": change}), 1.0, Streams(0), 0)
    return chip.arrays["w"].cells["g"] - before


@pytest.mark.parametrize("solver", ["exact", "fast"])
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_a_device_far_from_its_driver_moves_less(solver, dtype):
    """All are asked for the same change, and each makes sinh(v / v_0) / sinh(V / v_0) of it, either way."""
    change = torch.full((N, N), 0.05, dtype=dtype)
    for sign in (1.0, -1.0):
        off = ALL_EFFECTS - {"write_drop"}
        chip, whole = (build(profile(), wires=solver, dtype=dtype, effects=on) for on in (ALL_EFFECTS, off))
        worn = [one.arrays["w"].cells["wear"].clone() for one in (chip, whole)]
        share = chip.arrays["w"].share(chip.now)
        assert share is not None
        kept = (moved(chip, sign * change) / moved(whole, sign * change))[0].double()
        wanted = torch.sinh(share[0] * V / V_0) / math.sinh(V / V_0)
        torch.testing.assert_close(kept, wanted, rtol=1e-9 if dtype == DOUBLE else 1e-4, atol=0)
        assert kept[-1, 0] < 0.7 * kept[0, -1]  # the corner far from both terminals, and the one near both
        sent = [one.arrays["w"].cells["wear"] - before for one, before in zip((chip, whole), worn, strict=True)]
        assert torch.equal(*sent)  # nobody tells the controller


def test_measured_steps_are_weakened_as_others_are(tmp_path):
    """A table of steps of 100 nS all over the range, up and down, without its scatter."""
    rows = [f"{way},{g},{p},{way * 100}" for way in (1, -1) for g in (1, 101) for p in (0, 1)]
    (tmp_path / "steps.csv").write_text("\n".join(["direction,g_uS,probability,dg_nS", *rows]) + "\n")
    law = "{law: measured, file: FILE, tolerance: 1 uS, max_pulses: 2000, pulses: deterministic}"
    hardware = profile(law.replace("FILE", str(tmp_path / "steps.csv")))
    chip, whole = (build(hardware, effects=on) for on in (ALL_EFFECTS, ALL_EFFECTS - {"write_drop"}))
    share = chip.arrays["w"].share(chip.now)
    assert share is not None
    for one, factor in ((chip, torch.sinh(share * V / V_0) / math.sinh(V / V_0)), (whole, torch.ones_like(share))):
        worn = one.arrays["w"].cells["wear"].clone()
        found = moved(one, torch.full((N, N), 0.05, dtype=DOUBLE))  # W <- W - dW
        sent = one.arrays["w"].cells["wear"] - worn
        torch.testing.assert_close(found, -1e-7 * sent.double() * factor, rtol=1e-9, atol=0)


def test_the_lines_are_of_what_devices_conduct_when_they_are_written():
    """Drops are those of the tile as it stands, and of its own tile alone."""
    chip = build(profile(array=", max_rows: 4, max_columns: 3"))
    g = chip.device.conductance(chip.arrays["w"].cells, 0.0)
    wanted = pulse_through(g, WriteLines(300.0, 500.0, 0.5, "fast"), Tiling((3, 3), (4, 2))).share
    share = chip.arrays["w"].share(0.0)
    assert share is not None
    assert torch.equal(share, wanted)
    moved(chip, torch.full((N, N), -1.0, dtype=DOUBLE))
    assert not torch.equal(chip.arrays["w"].share(chip.now), share)


def test_broken_word_lines_carry_no_current():
    """What a device on a broken word line reads as takes nothing from the others."""
    faults = "faults: {dead_rows: 0.5}"
    chip = build(profile(more=faults))
    array = chip.arrays["w"]
    share, dead = array.share(0.0), array.cells["dead"]
    assert share is not None
    assert bool(dead.any())
    assert not bool(dead.all())
    lines = WriteLines(300.0, 500.0, 0.5, "fast")
    seen = chip.device.conductance(array.cells, 0.0)
    wanted = pulse_through(torch.where(dead, 0.0, seen), lines, array.tiling).share
    assert torch.equal(share, wanted)
    assert not torch.equal(share, pulse_through(seen, lines, array.tiling).share)


def test_verified_writes_take_more_pulses_and_land_all_the_same():
    """A loop of pulses: the steps are smaller, so more of them are needed, and all end within the tolerance."""
    chip, whole = (build(profile(), "verify", effects=e) for e in (ALL_EFFECTS, ALL_EFFECTS - {"write_drop"}))
    for one in (chip, whole):
        off = (one.weights["w"] - weights()["w"].clamp(-one.arrays["w"].w_s, one.arrays["w"].w_s)).abs()
        assert bool((off <= 0.02 * one.arrays["w"].w_s).all())
    taken, plain = (one.arrays["w"].cells["wear"] for one in (chip, whole))
    assert bool((taken >= plain).all())
    assert int(taken.sum()) > 1.3 * int(plain.sum())
    assert chip.ledger.report()["time_s"] == close(T * chip.ledger.report()["pulses"])


def test_a_programming_law_counts_the_pulses_that_its_steps_need():
    law = "programming: {law: ideal}"
    hardware = profile("", more=law)
    chip = build(hardware, "verify")
    array = build(hardware, "ideal").arrays["w"]  # another chip: the first write starts from what devices are made with
    array.load(array.device.sample(array.shape, Streams(0).generator("d2d/w"), DOUBLE))
    share = array.share(0.0)
    assert share is not None
    wanted = torch.ceil(math.sinh(V / V_0) / torch.sinh(share * V / V_0) - 1e-6)
    first = weights()["w"] != 0
    assert torch.equal(chip.arrays["w"].cells["wear"][0][first].double(), wanted[0][first])
    assert int(wanted.max()) > 1
    target = chip.arrays["w"].to_conductance(weights()["w"].clamp(-array.w_s, array.w_s))
    torch.testing.assert_close(chip.arrays["w"].cells["g"], target, rtol=0, atol=0)


def test_currents_switch_magnets_with_less_probability():
    """P(N) = 1 - e^{-N t/tau}, tau = tau_0 e^{Delta (1 - v I / (V I_c0))}: lines take current; no v_0 is needed."""
    hardware = profile(STT, energy=ENERGY.replace(", write_v_0: 0.5 V", ""))
    chip = build(hardware)
    law, array = chip.device.update, chip.arrays["w"]
    assert law is not None
    assert law.weakened is not None
    share = array.share(0.0)
    assert share is not None
    rises = torch.ones_like(share, dtype=torch.bool)
    weak = law.weakened(array.cells, share)
    rate = hardware.update.rate(rises, weak["delta"], weak["i_c0"])  # pyright: ignore[reportOptionalMemberAccess]
    wanted = 100.0 * torch.exp(-60.0 * (1.0 - share * 35.6 / 40.0))
    torch.testing.assert_close(rate, wanted, rtol=1e-5, atol=0)  # the law has its currents in single precision
    effects = ALL_EFFECTS - {"c2c"}  # then a device switches where its pulses do it with a half or more
    weaker, whole = (build(hardware, effects=e) for e in (effects, effects - {"write_drop"}))
    switched = [moved(one, torch.full((N, N), 10.0, dtype=DOUBLE)).count_nonzero() for one in (weaker, whole)]
    assert switched[0] < switched[1]


@pytest.mark.parametrize(("write", "coding"), [("verify", "offset"), ("pulse", "offset"), ("verify", "differential")])
@pytest.mark.parametrize("solver", ["exact", "fast"])
def test_the_books_have_what_the_drivers_deliver(write, coding, solver):
    """Sum over pulses of V^2 t P: the conductances halfway, both planes of a pair, C V^2 of the line as ever."""
    energy = ENERGY.replace("}", ", line_capacitance: 50 fF}")
    law = STEPS if coding == "offset" else ""
    more = "" if law else "programming: {law: ideal}"
    chip = build(profile(law, energy=energy, coding=coding, more=more), write, wires=solver)
    array, then = chip.arrays["w"], chip.ledger.report()
    before, worn = array.cells["g"].clone(), array.cells["wear"].clone()
    moved(chip, 0.2 * weights()["w"])
    sent, g = (array.cells["wear"] - worn).double(), 0.5 * (before + array.cells["g"])
    power = pulse_through(g, WriteLines(300.0, 500.0, 0.5, solver), Tiling((N,), (N,))).power
    spent = chip.ledger.report()["energy_J"] - then["energy_J"]
    assert float(sent.sum()) > 0
    assert spent == close(float((sent * (V**2 * T * power + 50e-15 * V**2)).sum()), rel=1e-9)
    plain = float((sent * V**2 * T * g).sum())
    assert plain < spent  # the half-selected devices take more than the lines save here


def test_ideal_writes_and_switched_off_drops_are_the_chip_without_the_key():
    """Bit for bit, books among it."""
    plain = profile(wires="{r_word: 300 ohm, r_bit: 500 ohm}", energy=ENERGY.replace(", write_v_0: 0.5 V", ""))
    stated = profile(wires=LINES.replace("resistive", "ideal"), energy=ENERGY.replace(", write_v_0: 0.5 V", ""))
    for hardware, effects in ((stated, ALL_EFFECTS), (profile(), ALL_EFFECTS - {"write_drop"})):
        for write in ("verify", "pulse", "ideal"):
            one, other = build(plain, write), build(hardware, write, effects=effects)
            for chip in (one, other):
                moved(chip, 0.1 * weights()["w"])
            a, b = one.state_dict(), other.state_dict()
            assert all(torch.equal(a[key], b[key]) for key in a)
            assert one.ledger.report() == other.ledger.report()
    off = build(profile(), effects=ALL_EFFECTS - {"wires"})
    assert off.arrays["w"].share(0.0) is None  # no lines, no drop


def test_it_is_known_described_characterized_and_required():
    hardware = profile()
    assert "write_drop" in known_effects(hardware)
    facts = describe(build(hardware))["arrays"]["w"]["write_share"]
    assert 0 < facts["least"] < facts["mean"] < 1
    assert "write_share" not in describe(build(hardware, effects=ALL_EFFECTS - {"write_drop"}))["arrays"]["w"]
    moments = characterize(hardware, only=["writes"]).measurements[0].moments
    assert all(m.sampled == close(m.expected, rel=1e-9) for m in moments if m.expected is not None)
    asked, _ = parameters_of(hardware, "test_loss", ALL_EFFECTS, "pulse", False)
    by = {one.key: one for one in asked}
    for key in ("energy.write_v_0", "array.wires.r_word+r_bit"):
        ideal = changed(hardware, by[key], "ideal")
        assert ideal is not None
        assert "write_drop" not in known_effects(ideal)
    with pytest.raises(InputError, match="nothing to measure"):
        characterize(profile(wires="{r_word: 1 ohm, r_bit: 1 ohm}", energy="{write: 1 pJ}"), only=["writes"])


@pytest.mark.parametrize(("writes", "marked"), [("resistive", True), ("ideal", False)])
def test_energies_rest_on_lines_that_writes_go_through(writes, marked):
    text = (
        "meta: {status: measured}\narray: {wires: {r_word: {value: 1 ohm, status: illustrative}, "
        f"writes: {writes}}}}}\nenergy: {{write_voltage: 1 V}}"
    )
    assert origins_of({"text": text}).marks("energy_J") == "†" * marked


@pytest.mark.parametrize(("changes", "said"), [
    ({"energy": "{write: 1 pJ, write_time: 100 ns}"}, "writes: needs the voltage of a pulse; add energy.write_voltage"),
    ({"energy": ENERGY.replace(", write_v_0: 0.5 V", "")}, "energy.write_v_0: required key is missing"),
    ({"energy": ENERGY.replace("v_0: 0.5 V", "v_0: 10 mV")}, "'10 mV' is below energy.write_voltage, '2 V', / 40"),
    ({"energy": ENERGY.replace("half_select: 0.5", "half_select: 0.2")}, "devices that share no line would see 0.6"),
    ({"energy": ENERGY.replace("half_select: 0.5", "half_select: 0.8")}, "write 0.33 to 0.5"),
    ({"wires": "{r_word: 1 ohm, r_bit: 1 ohm}"}, "energy.write_v_0: is of pulses that lines weaken, and none do"),
    ({"wires": LINES.replace("resistive", "yes")}, "array.wires.writes"),
    ({"write": "row"}, "lines are solved for one device that is written at a time"),
    ({"update": ""}, "array.wires.writes: is of pulses that nothing sends"),
    ({"update": STT}, "the update law goes with the current of a pulse by itself; drop this key"),
    ({"energy": "{write_v_0: 1 V}", "wires": "{r_word: 1 ohm, r_bit: 1 ohm}"}, "counts only with a write_voltage"),
])  # fmt: skip
def test_what_cannot_be_is_refused(changes, said):
    with pytest.raises(InputError) as error:
        profile(**changes)
    assert any(said in problem for problem in error.value.problems), error.value.problems


def test_phase_change_pulses_of_less_voltage_are_refused():
    with pytest.raises(InputError) as error:
        loads(
            "extends: pcm\nmeta: {name: p, summary: s, source: s, status: illustrative}\n"
            "array: {wires: {r_word: 1 ohm, r_bit: 1 ohm, writes: resistive}}\n"
            "energy: {write: null, write_voltage: 2 V, write_v_0: 1 V}\n", "p.yaml",
        )  # fmt: skip
    assert any("update: its law says nothing of pulses with less voltage" in line for line in error.value.problems)


def test_all_that_is_missing_is_told_at_once():
    with pytest.raises(InputError) as error:
        profile(energy="{write: 1 pJ}", write="row")
    assert len(error.value.problems) == 3


def test_what_a_solver_does_not_know_is_refused():
    third = profile(energy=ENERGY.replace("half_select: 0.5", "half_select: 0.3333"))
    with pytest.raises(InputError, match="go through lines with resistance") as error:
        build(third)
    assert "hardware.wires: exact" in error.value.problems[0]
    assert build(third, wires="exact").arrays["w"].share(0.0) is not None
    bent = "periphery: {v_read: 0.2 V, t_read: 100 ns}"
    text = TEXT.replace("coding: {coding}", "coding: {coding}, v_0: 0.4 V")
    given = {"coding": "offset", "write": "serial", "wires": LINES, "array": "", "more": f"update: {STEPS}\n{bent}"}
    steep = loads(text.format(energy=ENERGY, **given), "bench.yaml")
    with pytest.raises(InputError) as error:
        build(steep, wires="exact")
    assert "conductance.v_0: half-selected devices" in error.value.problems[0]
    alone = loads(text.format(energy=ENERGY.replace("half_select: 0.5, ", ""), **given), "bench.yaml")
    chip = build(alone, wires="exact")
    lines = chip.arrays["w"].write_lines
    assert lines is not None
    assert lines.v_0 == close(0.2)
    assert build(steep, wires="exact", effects=ALL_EFFECTS - {"nonlinear_iv"}).arrays["w"].share(0.0) is not None


def test_a_checkpoint_goes_on_bit_for_bit():
    one, other = build(profile(), "verify"), build(profile(), "verify")
    moved(one, 0.1 * weights()["w"])
    other.load_state_dict({key: value.clone() for key, value in one.state_dict().items()})
    for chip in (one, other):
        moved(chip, 0.1 * weights()["w"])
    a, b = one.state_dict(), other.state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)
