"""Disturb of reads and of half-selected pulses: closed forms, counting, writes that begin anew, books, checkpoints."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from neuroanp.backends.protocol import Request
from neuroanp.backends.rate import RateBackend
from neuroanp.characterizing import characterize
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.errors import InputError
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import loads
from neuroanp.requiring.parameters import parameters_of
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.facts import known_effects
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.crews import refuse_crew
from neuroanp.training.described import describe as describe_run
from neuroanp.training.pass_learner import PassLearner
from neuroanp.training.plain_form import plain
from neuroanp.trajectory import PassPlan, Weights, WeightUpdate
from tests.close import close

DOUBLE = torch.float64
N, I, O, T, B = 3, 2, 2, 5, 4  # noqa: E741
TEXT = """
meta: {{name: bench, summary: s, source: bench, status: illustrative}}
conductance: {{g_min: 1 uS, g_max: 21 uS, coding: {coding}}}
programming: {{law: ideal}}
array: {{weight_range: 2, write: serial{array}}}
periphery: {{v_read: 0.2 V, t_read: 100 ns{periphery}}}
disturb: {{{disturb}}}
{more}
"""
READ = "read: 1e-3, towards: set"
PULSED = "update: {law: soft_bounds, dw: 0.1, up_down: 0, bound_up: 1, bound_down: 1, tolerance: 0.01, max_pulses: 5}"


def profile(disturb=READ, coding="differential", array="", periphery="", more=""):
    return loads(TEXT.format(disturb=disturb, coding=coding, array=array, periphery=periphery, more=more), "bench.yaml")


def weights(seed=0):
    g = torch.Generator().manual_seed(seed)
    shapes = {"w_in": (N, I), "w": (N, N), "w_out": (O, N)}
    return Weights.one_layer({k: (2 * torch.rand(s, generator=g, dtype=DOUBLE) - 1) * 0.7 for k, s in shapes.items()})


def build(hardware, write="ideal", dtype=DOUBLE, **options) -> DeviceChip:
    return DeviceChip.build(hardware, weights(), streams=Streams(0), dt=1e-6, write=write, dtype=dtype, **options)


def conducts(chip, name="w"):
    return chip.device.conductance(chip.arrays[name].cells, chip.now)


def book(chip, name, per_line, reads=1):
    chip.book_reads(name, torch.as_tensor(per_line, dtype=chip.like.dtype), reads, 0)


@pytest.mark.parametrize(("towards", "end"), [("set", 21e-6), ("reset", 1e-6)])
@pytest.mark.parametrize("coding", ["differential", "offset"])
def test_a_conductance_creeps_to_its_end(coding, towards, end):
    """G_end + (G_0 - G_end) e^{-N r}, N reads of each line."""
    chip = build(profile(f"read: 1e-3, towards: {towards}", coding))
    start = conducts(chip)
    reads = torch.tensor([0.0, 500.0, 3000.0], dtype=DOUBLE)
    book(chip, "w", reads)
    wanted = end + (start - end) * torch.exp(-1e-3 * reads)
    torch.testing.assert_close(conducts(chip), wanted, rtol=1e-12, atol=0)
    assert float((conducts(chip)[..., 0] - start[..., 0]).abs().max()) == 0


def test_one_read_moves_a_device_by_the_share_of_its_distance():
    chip = build(profile("read: 1e-7, towards: set"))
    start = conducts(chip)
    book(chip, "w", [1.0, 1.0, 1.0])
    torch.testing.assert_close(
        (conducts(chip) - start) / (21e-6 - start), torch.full_like(start, 1e-7), rtol=1e-4, atol=0
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_does_not_matter_how_reads_are_counted(dtype):
    """Ten thousand reads of 1e-8 each, far below what single precision resolves of a conductance, are not lost."""
    hardware = profile("read: 1e-8, towards: set")
    once, often = build(hardware, dtype=dtype), build(hardware, dtype=dtype)
    book(once, "w", [1e4] * N)
    for _ in range(10_000):
        book(often, "w", [1.0] * N)
    torch.testing.assert_close(conducts(often), conducts(once), rtol=1e-6 if dtype == torch.float32 else 1e-12, atol=0)
    start = conducts(build(hardware, dtype=dtype)).double()
    moved = conducts(often).double() - start
    torch.testing.assert_close(
        moved, (21e-6 - start) * -math.expm1(-1e-4), rtol=0.05 if dtype == torch.float32 else 1e-6, atol=0
    )


@pytest.mark.parametrize("chunk", [1, 2, 64])
@pytest.mark.parametrize("more", ["", "energy: {read: 1 pJ}"])
def test_a_simulation_counts_its_reads_in_any_chunks(chunk, more):
    """The load of a line is the sum of x^2 of all passes, whether the books want it or state a figure a weight."""
    chip = build(profile("read: 1e-2, towards: set", more=more))
    start = {name: conducts(chip, name) for name in chip.arrays}
    plan = PassPlan((1.0, 1.0), (0, 1), ((0, 1),))
    streams = PassStreams(Streams(0), "train", 0)
    x = torch.rand((T, B, I), dtype=DOUBLE, generator=torch.Generator().manual_seed(3))
    for _ in RateBackend(1e-6, chunk).run(Request(chip, chip.prepare(1e-3, streams), x, plan, streams)):
        pass
    reads = 2 * x.square().sum((0, 1))
    wanted = 21e-6 + (start["w_in"] - 21e-6) * torch.exp(-1e-2 * reads)
    torch.testing.assert_close(conducts(chip, "w_in"), wanted, rtol=1e-9, atol=0)
    assert bool((conducts(chip, "w_out") > start["w_out"]).any())


@pytest.mark.parametrize("periphery", ["", ", dac: {bits: 5, inputs: pulse_width}"])
def test_full_scale_is_one_read_of_devices_that_are_not_ohmic(periphery):
    """The load is in units of what ohmic devices take: V_0 sinh(V/V_0) over V more."""
    hardware = profile(periphery=periphery)
    bent = profile(periphery=periphery).model_copy(
        update={"conductance": hardware.conductance.model_copy(update={"v_0": 0.1})}
    )
    found = []
    for one in (hardware, bent):
        chip = build(one, effects=frozenset({"dac", "read_disturb", "nonlinear_iv"}))
        streams = PassStreams(Streams(0), "train", 0)
        x, plan = torch.ones((T, B, I), dtype=DOUBLE), PassPlan((1.0,), (0,), "mean")
        for _ in RateBackend(1e-6, 64).run(Request(chip, chip.prepare(1e-3, streams), x, plan, streams)):
            pass
        found.append(conducts(chip, "w_in"))
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=0)
    start = conducts(build(hardware), "w_in")
    torch.testing.assert_close(found[0], 21e-6 + (start - 21e-6) * math.exp(-1e-3 * T * B), rtol=1e-9, atol=0)


def test_a_write_begins_anew_and_leaves_others_as_they_were_disturbed():
    chip = build(profile("read: 1e-2, towards: set"))
    book(chip, "w", [100.0] * N)
    disturbed, array = conducts(chip), chip.arrays["w"]
    change = torch.zeros((N, N), dtype=DOUBLE)
    change[0, 1] = 0.1
    chip.apply(WeightUpdate({"w": change}), -1.0, Streams(0), 0)
    written = array.cells["target"] != build(profile()).arrays["w"].cells["target"]
    assert written.any()
    torch.testing.assert_close(conducts(chip)[written], array.cells["target"][written], rtol=1e-12, atol=0)
    assert torch.equal(conducts(chip)[~written], disturbed[~written])


def test_pulses_in_place_start_from_what_is_left():
    """Soft bounds: a step from the disturbed state, by the same draws as from a device that was written there."""
    hardware = profile("read: 1e-2, towards: set", "offset", more=PULSED)
    effects = frozenset({"read_disturb"})
    chip = build(hardware, "pulse", effects=effects)
    book(chip, "w", [30.0] * N)
    array, left = chip.arrays["w"], conducts(chip)
    other = build(hardware, "pulse", effects=effects)
    other.arrays["w"].place(left, 0.0, Streams(0).generator("x"))
    torch.testing.assert_close(conducts(other), left, rtol=1e-12, atol=0)
    change = torch.full((N, N), 0.2, dtype=DOUBLE)
    for one in (chip, other):
        one.apply(WeightUpdate({"w": change}), -1.0, Streams(0), 0)
    torch.testing.assert_close(conducts(chip), conducts(other), rtol=1e-9, atol=0)
    assert not bool(array.cells["set_by"].any())


def test_drift_comes_first():
    drift = (
        "drift: {law: pcm, t0: 20 s, mu_slope: 0, mu_offset: 0.05, mu_min: 0.05, mu_max: 0.05, s_slope: 0, "
        "s_offset: 0, s_min: 0, s_max: 0}"
    )
    chip, plain = (build(profile(disturb, more=drift)) for disturb in ("read: 1e-2, towards: set", "half_select: 0"))
    book(chip, "w", [50.0] * N)
    for one in (chip, plain):
        one.elapse(1e4)
    torch.testing.assert_close(conducts(chip), 21e-6 + (conducts(plain) - 21e-6) * math.exp(-0.5), rtol=1e-9, atol=0)
    assert bool((conducts(plain) < conducts(build(profile()))).all())


def test_stuck_devices_stay():
    chip = build(profile("read: 1e-2, towards: set", more="faults: {stuck_low: 0.5}"))
    stuck = chip.arrays["w"].cells["stuck"]
    assert stuck.any()
    assert not stuck.all()
    start = conducts(chip)
    book(chip, "w", [100.0] * N)
    assert torch.equal(conducts(chip)[stuck], start[stuck])
    assert bool((conducts(chip)[~stuck] > start[~stuck]).all())


def test_a_checkpoint_has_what_devices_were_exposed_to():
    hardware = profile("read: 1e-2, towards: reset, half_select: 1e-3")
    chip, other = build(hardware), build(hardware)
    book(chip, "w", [1.0, 2.0, 3.0])
    other.load_state_dict(chip.state_dict())
    assert torch.equal(conducts(other), conducts(chip))
    assert not torch.equal(conducts(other), conducts(build(hardware)))


def test_looks_at_another_time_disturb_nobody():
    chip = build(profile())
    start = conducts(chip)
    later = chip.at(10.0)
    with pytest.raises(InputError, match="charged for reads"):
        later.book_reads("w", torch.ones(N, dtype=DOUBLE), 1, 0)
    assert torch.equal(conducts(chip), start)


# ---- half-selected devices ----


def test_pulses_to_others_of_the_lines_pull_where_these_went():
    """Of 3 x 3 pairs in tiles of 2 x 2: both planes of the word line in the tile, one plane of the bit line."""
    chip = build(
        profile("half_select: 0.01", array=", max_rows: 2, max_columns: 2", more="energy: {write: 1 pJ}"), "verify"
    )
    array = chip.arrays["w"]
    array.place(torch.full((2, N, N), 5e-6, dtype=DOUBLE), 0.0, Streams(0).generator("x"))
    target = array.cells["g"].clone()
    target[0, 0, 0] = 9e-6
    pulses, _ = array.program(target, 0.0, Streams(0).generator("x"))
    assert int(pulses.sum()) == 1
    found = conducts(chip)
    up = 21e-6 + (5e-6 - 21e-6) * math.exp(-0.01)
    wanted = torch.full((2, N, N), 5e-6, dtype=DOUBLE)
    wanted[0, 0, 0] = 9e-6
    wanted[1, 0, 0] = wanted[:, 1, 0] = up  # the word line of the tile
    wanted[0, 0, 1] = up  # the bit line of the tile
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)
    target = target.clone()
    target[0, 0, 0] = 2e-6
    array.program(target, 0.0, Streams(0).generator("x"))
    both = 11e-6 + (5e-6 - 11e-6) * math.exp(-0.02)  # one up, one down: to the middle
    assert float(conducts(chip)[0, 0, 1]) == close(both, rel=1e-12)
    assert float(conducts(chip)[1, 1, 0]) == close(both, rel=1e-12)


def test_ideal_writes_select_nobody():
    hardware = profile("half_select: 0.5")
    chip = build(hardware)
    chip.apply(WeightUpdate({"w": torch.full((N, N), 0.1, dtype=DOUBLE)}), 1.0, Streams(0), 0)
    torch.testing.assert_close(conducts(chip), chip.arrays["w"].cells["target"], rtol=1e-12, atol=0)


# ---- switched off, told, refused ----


def test_without_it_nothing_moves_and_no_bit_is_another():
    hardware = profile("read: 1e-2, towards: set, half_select: 0.1")
    assert {"read_disturb", "write_disturb"} <= set(known_effects(hardware))
    off = build(hardware, "verify", effects=ALL_EFFECTS - {"read_disturb", "write_disturb"})
    assert "set_by" not in off.arrays["w"].cells
    start = conducts(off)
    book(off, "w", [100.0] * N)
    assert torch.equal(conducts(off), start)
    reads_alone = build(hardware, "verify", effects=ALL_EFFECTS - {"write_disturb"})
    assert torch.equal(conducts(reads_alone), start)
    book(reads_alone, "w", [100.0] * N)
    writes_alone = build(hardware, "verify", effects=ALL_EFFECTS - {"read_disturb"})
    before = conducts(writes_alone)
    assert not torch.equal(before, start)  # the first write selects others
    book(writes_alone, "w", [100.0] * N)
    assert torch.equal(conducts(writes_alone), before)
    assert not torch.equal(conducts(reads_alone), start)


def test_it_is_characterized_and_can_be_required():
    hardware = profile("read: 1e-9, towards: reset, half_select: 1e-3")
    found = characterize(hardware, only=["disturb"], devices=200)
    moments = found.measurements[0].moments
    assert len(moments) == 8
    assert all(m.sampled == close(m.expected, rel=1e-9) for m in moments)
    with pytest.raises(InputError, match="nothing to measure"):
        characterize(profile("half_select: 0"), only=["disturb"])
    asked, _ = parameters_of(hardware, "test_loss", ALL_EFFECTS, "verify", False)
    assert {"disturb.read", "disturb.half_select"} <= {one.key for one in asked}


@pytest.mark.parametrize(("changes", "says"), [
    ({"disturb": "towards: set"}, "bench.yaml:7: disturb.read: required key is missing"),
    ({"disturb": "read: 1e-3"}, "disturb.towards: required key is missing: read needs it"),
    ({"disturb": "read: 1e-3, towards: up"}, "disturb.towards"),
    ({"disturb": "read: -1, towards: set"}, "disturb.read: -1 is not a number of 0 or above"),
    ({"more": "drift: {law: leak, tau: 1 s, rest: 1 uS}"}, "devices that keep what was written"),
    ({"more": "drift: {law: pcm, t0: 20 s, mu_slope: 0, mu_offset: 0.05, mu_min: 0.05, mu_max: 0.05, s_slope: 0, "
              "s_offset: 0, s_min: 0, s_max: 0}", "periphery": ", drift_compensation: {every: 1 h}"},
     "not told from drift"),
])  # fmt: skip
def test_what_cannot_be_is_refused(changes, says):
    with pytest.raises(InputError) as error:
        profile(**changes)
    assert any(says in problem for problem in error.value.problems)


def test_reads_at_no_voltage_and_pulses_that_nothing_sends_are_refused():
    text = TEXT.format(
        disturb="read: 1e-3, towards: set, half_select: 1e-3", coding="offset", array="", periphery="", more=""
    )
    lines = [line for line in text.splitlines() if not line.startswith("periphery")]
    with pytest.raises(InputError, match="reads at a voltage that is not stated"):
        loads("\n".join(lines), "x.yaml")
    lines = [line for line in text.splitlines() if not line.startswith("programming")]
    with pytest.raises(InputError, match="pulses that nothing sends"):
        loads("\n".join(lines), "x.yaml")


# ---- in a run ----

RUN = {
    "task": {"name": "copy", "length": 3, "delay": 2, "symbols": 2, "test_size": 4}, "network": {"hidden": 6},
    "rule": {"name": "anp"}, "perturbation": {"name": "gaussian"},
    "training": {"updates": 3, "batch": 3, "controls": False},
}  # fmt: skip


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "disturbed.yaml"
    path.write_text(
        "extends: pcm\nmeta: {name: disturbed, summary: s, source: a test, status: illustrative}\n"
        "disturb: {read: 1e-4, towards: set, half_select: 1e-5}\n"
    )
    return str(path)


def experiment(profile, **changes):
    return Experiment.of(configure(RUN, {"profile": profile, **changes}))


def test_compiled_updates_disturb_as_the_general_path_does(written):
    """Whole updates in compiled calls book all reads at once, the general path in chunks of time."""

    class General(PassLearner):
        pass

    exposed = []
    for general in (False, True):
        made = build_trainer(experiment(written, **{"hardware.only": ["read_disturb"], "training.chunk": 2}))
        assert isinstance(made.learner, PassLearner)
        assert plain(made.lab())
        made = replace(made, learner=General(made.learner.rule)) if general else made
        made.learner.learn(made.learned, made.lab())
        exposed.append({name: array.cells["set_by"] for name, array in made.substrate.arrays.items()})
    for name, found in exposed[0].items():
        assert bool((found > 0).any())
        torch.testing.assert_close(found, exposed[1][name], rtol=1e-5, atol=0)


def test_several_processes_are_refused(written):
    refuse_crew(experiment(written))
    two = {"compute.workers": 2, "rule": {"name": "cdrge"}, "perturbation": {"name": "auto"}}
    with pytest.raises(InputError, match="each process would disturb those of its own chip alone"):
        refuse_crew(experiment(written, **two))
    refuse_crew(experiment(written, **two, **{"hardware.without": ["read_disturb"]}))


def test_half_selected_devices_of_ideal_writes_are_told(written):
    _, log = describe_run(experiment(written, **{"hardware.write": "ideal"}))
    assert any("disturb.half_select changes nothing: ideal writes send no pulses" in line for line in log)
    _, log = describe_run(experiment(written))
    assert not any("disturb.half_select" in line for line in log)
