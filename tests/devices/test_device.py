"""One device: each effect alone, all of them off, writes and their stamps, determinism."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroanp.devices.device import Device
from neuroanp.devices.effects import ALL_EFFECTS, EFFECTS
from neuroanp.errors import InputError
from neuroanp.profiles import available, load

SHAPE = (30, 20)
NONE = frozenset[str]()


def targets(device: Device, seed: int = 7, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    draw = torch.from_numpy(rng.uniform(0.2, 0.8, (device.planes, *SHAPE))).to(dtype)
    return device.span.g_min + device.span.width * draw


def written(name: str, effects: frozenset[str], dtype: torch.dtype = torch.float64, seed: int = 0):
    device = Device(load(name), effects)
    cells = device.sample(SHAPE, np.random.default_rng(seed), dtype)
    target = targets(device, dtype=dtype)
    cells, _, _ = device.program(cells, target, None, 0.0, np.random.default_rng(seed + 1))
    return device, cells, target


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", available())
def test_with_all_effects_off_a_cell_is_its_target(name, dtype):
    device = Device(load(name), NONE)
    cells = device.sample(SHAPE, np.random.default_rng(0), dtype)
    target = targets(device, dtype=dtype)
    if device.can_program:
        cells, _, gave_up = device.program(cells, target, None, 0.0, np.random.default_rng(1))
        assert gave_up is None or not bool(gave_up.any())
    else:
        cells = device.place(cells, target, None, 0.0, np.random.default_rng(1))
    rtol = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(device.conductance(cells, 1e6), target, rtol=rtol, atol=0)
    assert device.read_sigma(cells, 1e6, 1.0) == (None, None)
    assert cells["g"].dtype == dtype


@pytest.mark.parametrize(("name", "effect"), [
    ("pcm", "programming_error"), ("pcm", "drift"), ("pcm", "read_noise"), ("pcm", "frozen_noise"),
    ("rram_hfo2", "programming_error"), ("rram_hfo2", "write_noise"), ("rram_hfo2", "faults"),
])  # fmt: skip
def test_each_effect_acts_alone(name, effect):
    def observe(effects):
        device, cells, target = written(name, effects)
        fresh, frozen = device.read_sigma(cells, 1e5, 1e-3)
        g0, g1 = device.conductance(cells, 0.0), device.conductance(cells, 1e5)
        hit = torch.isclose(g0, target, rtol=1e-9, atol=0)
        missed = not hit.all()
        stuck = "stuck" in cells
        return {
            "off_target": missed and not stuck,
            "drift": not torch.allclose(g0, g1, rtol=1e-9, atol=0),
            "read_noise": fresh is not None and bool(fresh.any()),
            "frozen_noise": frozen is not None and bool(frozen.any()),
            "faults": stuck and bool((~hit == cells["stuck"]).all()),
        }

    mark = {"programming_error": "off_target", "write_noise": "off_target"}.get(effect, effect)
    assert observe(frozenset({effect})) == {key: key == mark for key in observe(NONE)}
    assert not observe(ALL_EFFECTS - {effect})[mark] or mark == "off_target"


@pytest.mark.parametrize("effect", ["d2d", "c2c"])
@pytest.mark.parametrize("name", ["pcm", "rram_hfo2"])
def test_pulses_differ_by_device_and_by_cycle_only_if_asked(name, effect):
    def step(effects, seed):
        device = Device(load(name), effects)
        cells = device.sample(SHAPE, np.random.default_rng(seed), torch.float64)
        dg = torch.full_like(cells["g"], device.span.width * 0.3)
        dg[1:] = 0
        after, pulses = device.pulse(cells, dg, 0.0, np.random.default_rng(seed))
        one = pulses[0] == pulses[0].max()
        return (after["g"] - cells["g"])[0][one]

    assert float(step(NONE, 0).std()) < 1e-12
    assert float(step(frozenset({effect}), 0).std()) > 1e-8


def test_switching_an_effect_off_shifts_no_other_draw():
    profile = load("rram_hfo2")
    draw = lambda effects: Device(profile, effects).sample(SHAPE, np.random.default_rng(0), torch.float64)  # noqa: E731
    every = draw(ALL_EFFECTS)
    assert torch.equal(every["up"], draw(ALL_EFFECTS - {"faults"})["up"])
    assert torch.equal(every["stuck"], draw(ALL_EFFECTS - {"d2d"})["stuck"])


def test_pulses_without_cycle_noise_leave_the_draws_of_drift_alone():
    profile = load("pcm")

    def exponents(effects: frozenset[str]) -> torch.Tensor:
        device = Device(profile, effects)
        cells = device.sample(SHAPE, np.random.default_rng(0), torch.float64)
        dg = torch.full_like(cells["g"], 2e-6)
        cells, _ = device.pulse(cells, dg, 1.0, np.random.default_rng(3))
        mu, s = profile.drift.spread(cells["g"], device.span.g_max)  # pyright: ignore
        return (cells["nu"] - mu) / s

    one, other = exponents(ALL_EFFECTS), exponents(ALL_EFFECTS - {"c2c"})
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_stuck_devices_never_move_but_are_pulsed():
    device = Device(load("rram_hfo2"), ALL_EFFECTS)
    cells = device.sample((60, 50), np.random.default_rng(0), torch.float64)
    stuck, before = cells["stuck"], cells["g"].clone()
    share = device.profile.faults.corrupt
    assert float(stuck.double().mean()) == pytest.approx(share, abs=5 * (share / stuck.numel()) ** 0.5)
    target = torch.full_like(before, device.span.g_max)
    for write in ("place", "program", "pulse"):
        if write == "place":
            cells = device.place(cells, target, None, 0.0, np.random.default_rng(1))
        elif write == "program":
            cells, pulses, gave_up = device.program(cells, 0.9 * target, None, 0.0, np.random.default_rng(2))
            assert bool(gave_up[stuck].all())
            assert bool((pulses[stuck] > 0).all())
        else:
            cells, pulses = device.pulse(cells, 0.9 * target, 0.0, np.random.default_rng(3))
        assert torch.equal(cells["g"][stuck], before[stuck])
    assert bool((cells["wear"][stuck] > 0).any())


def test_unmoved_targets_are_not_rewritten_and_the_deadband_is_kept():
    profile = load("pcm")
    profile = profile.model_copy(update={"programming": profile.programming.model_copy(update={"deadband": 1e-6})})
    device = Device(profile)
    cells = device.sample(SHAPE, np.random.default_rng(0), torch.float64)
    target = targets(device)
    cells, pulses, _ = device.program(cells, target, None, 0.0, np.random.default_rng(1))
    assert bool((pulses == profile.programming.pulses).all())
    nudged = target.clone()
    nudged[0, 0] += 0.9e-6
    nudged[0, 1] += 1.1e-6
    again, pulses, _ = device.program(cells, nudged, None, 5.0, np.random.default_rng(2))
    assert int(pulses[0, 1].min()) > 0
    assert int(pulses.sum()) == int(pulses[0, 1].sum())
    kept = torch.ones_like(pulses, dtype=torch.bool)
    kept[0, 1] = False
    for name in ("g", "t", "nu", "target", "wear"):
        assert torch.equal(again[name][kept], cells[name][kept])
    assert again["t"][0, 1].unique().tolist() == [5.0]


def test_functions_are_pure():
    device, cells, target = written("pcm", ALL_EFFECTS)
    copy = {name: value.clone() for name, value in cells.items()}
    device.program(cells, target * 0.9, None, 1.0, np.random.default_rng(3))
    device.pulse(cells, torch.full_like(target, 5e-6), 1.0, np.random.default_rng(3))
    device.place(cells, target * 0.8, None, 1.0, np.random.default_rng(3))
    device.read_sigma(cells, 1.0, 1e-3)
    assert all(torch.equal(cells[name], copy[name]) for name in copy)


@pytest.mark.parametrize("name", ["pcm", "rram_hfo2"])
def test_the_same_seed_gives_the_same_bits(name):
    _, a, _ = written(name, ALL_EFFECTS)
    torch.manual_seed(123)  # torch's own state plays no part
    _, b, _ = written(name, ALL_EFFECTS)
    assert all(torch.equal(a[key], b[key]) for key in a)
    _, c, _ = written(name, ALL_EFFECTS, seed=1)
    assert not torch.equal(a["g"], c["g"])


def test_errors_name_the_remedy():
    with pytest.raises(InputError, match="did you mean 'drift'"):
        Device(load("pcm"), frozenset({"drfit"}))
    device = Device(load("smtj_koenders").model_copy(update={"programming": None}))
    cells = device.sample(SHAPE, np.random.default_rng(0), torch.float32)
    with pytest.raises(InputError, match="no update law"):
        device.pulse(cells, torch.zeros_like(cells["g"]), 0.0, np.random.default_rng(0))
    with pytest.raises(InputError, match="write ideally"):
        device.program(cells, cells["g"], None, 0.0, np.random.default_rng(0))


@pytest.mark.parametrize("kelvin", [0.0, -5.0, float("nan"), float("inf")])
def test_what_is_no_temperature_is_refused(kelvin):
    with pytest.raises(InputError, match="not a temperature above 0 K"):
        Device(load("pcm_tiles"), temperature=kelvin)


def test_effects_are_listed_once():
    assert len(set(EFFECTS)) == len(EFFECTS)
