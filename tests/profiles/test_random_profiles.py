"""Random profiles and inputs: each works, with finite numbers, or is refused in words; nothing else may happen."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from neuroanp.backends.protocol import BACKENDS, Request
from neuroanp.devices.device import Device
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.errors import InputError, RunError
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import LAWS, HardwareProfile, loads
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.facts import describe, known_effects
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.substrates.read import Reader
from neuroanp.trajectory import PassPlan, Weights, WeightUpdate
from neuroanp.yaml_io import dump
from tests.close import close
from tests.profiles.random_profiles import Values, laws, profiles

FAST = 100
QUIET = settings(
    deadline=None, derandomize=True, database=None, phases=[Phase.generate],  # add Phase.shrink for a smaller example
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)  # fmt: skip
PLAN = PassPlan((1.0, -1.0, 0.0), (0, 0, 1), ((0, 1),))
SHAPES = {"w_in": (3, 2), "w": (3, 3), "w_out": (2, 3)}


def weights(seed: int, size: float = 1.0) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {name: size * torch.randn(shape, generator=g, dtype=torch.float64) for name, shape in SHAPES.items()}


INPUTS = st.sampled_from([0.0, 1.0, -1.0, 1e-30, -1e-12, 0.3, 1.5, 1e6, -1e9])  # beyond, squares leave float32
SPANS = st.sampled_from([0.0, 1e-9, 1e-3, 1.0, 86400.0, 1e9])


def check(chip: DeviceChip) -> None:
    """Nothing is NaN or infinite, and the books add up."""
    for name, tensor in chip.state_dict().items():
        if name.endswith("/target"):  # NaN where nothing was written yet
            tensor = torch.nan_to_num(tensor, nan=0.0)
        assert bool(torch.isfinite(tensor).all()), name
        assert not name.endswith("/wear") or bool((tensor >= 0).all()), name
    for name, array in chip.arrays.items():
        if "ref" not in array.cells:  # no reference is subtracted: what is left is a conductance
            assert bool((chip.device.conductance(array.cells, chip.now) >= 0).all()), name
    report = chip.ledger.report()
    stated = [joules for joules in report["energy"].values() if joules is not None]
    assert all(math.isfinite(joules) and joules >= 0 for joules in stated)
    assert report["energy_J"] is None or report["energy_J"] == close(sum(stated), rel=1e-12)
    assert report["time_s"] == close(sum(report["time"].values()), rel=1e-12)
    assert report["pulses"] >= 0
    assert 0 <= chip.failed <= 1
    numbers = [x for facts in describe(chip)["arrays"].values() for x in facts.values() if isinstance(x, float)]
    assert all(math.isfinite(x) for x in numbers)


def live(profile: HardwareProfile, data: st.DataObject) -> None:
    """Build a chip, and read, write and wait in any order."""
    draw = data.draw
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    known = known_effects(profile)
    off = draw(st.sets(st.sampled_from(known), max_size=2)) if known else set()
    periphery = profile.periphery
    bits = 1 if periphery is None or periphery.dac is None else periphery.dac.bits
    dt = max(1e-6, 0.0 if periphery is None else periphery.t_read * bits)
    ways = ["ideal"] + ["verify"] * (Device(profile).can_program)
    ways += ["pulse"] * (profile.update is not None)
    chip = DeviceChip.build(
        profile, Weights.one_layer(weights(0)), streams=Streams(draw(st.integers(0, 9))), dt=dt, dtype=dtype,
        write=draw(st.sampled_from(ways)), read=draw(st.sampled_from(["moments", "sampled"])),
        effects=ALL_EFFECTS - frozenset(off), drive=NodeDrive(draw(st.sampled_from([0.0, 0.01]))),
        wires=draw(st.sampled_from(["fast", "exact"])),
    )  # fmt: skip
    check(chip)
    backend = BACKENDS.get("rate")(dt, 2)
    for index in range(draw(st.integers(1, 3))):
        chip.elapse(draw(SPANS))
        streams = PassStreams(Streams(0), "train", index)
        plans = chip.prepare(draw(st.sampled_from([0.0, 1e-6, 1.0])), streams)
        x = draw(INPUTS)
        for name, plan in plans.items():
            assert bool(torch.isfinite(plan.W).all()), name
            assert plan.sigma2 is None or bool((torch.isfinite(plan.sigma2) & (plan.sigma2 >= 0)).all()), name
            quiet = Reader(plan)(torch.full((1, SHAPES[name][1]), x, dtype=dtype))
            assert bool(torch.isfinite(quiet).all()), name
        inputs = torch.full((3, 2, 2), x, dtype=dtype)
        inputs[1] = 0.0
        for part in backend.run(Request(chip, plans, inputs, PLAN, streams)):
            layer = part.layers["hidden"]
            for tensor in (layer.h, part.y):
                assert bool(torch.isfinite(tensor).all())
            assert bool((layer.x.abs() <= 1).all())
        update = WeightUpdate(weights(index + 1, draw(st.sampled_from([1e-9, 0.1, 1e6]))))
        report = chip.apply(update, 0.1, Streams(1), index)
        assert 0 <= report.saturated <= 1
        assert 0 <= report.unverified <= 1
        assert all(bool(torch.isfinite(array.mean_weights(chip.now)).all()) for array in chip.arrays.values())
        check(chip)


def survive(examples: int, anew: bool = False) -> Counter[Any]:
    """Draw profiles, others every time if `anew`, and use them; return what was drawn, of which most must live."""
    seen: Counter[Any] = Counter()

    @settings(QUIET, max_examples=examples, derandomize=not anew)
    @given(profiles(), st.data())
    def one(content: Values, data: st.DataObject) -> None:
        seen["drawn"] += 1
        seen.update((kind, part["law"]) for kind, part in content.items() if "law" in part)
        try:
            profile = loads(dump(content), "random.yaml")
            live(profile, data)
        except InputError as error:
            said = [*error.problems, error.message]
            seen.update(said[:1])
            return
        except RunError as error:  # siemens beside hundredths of an ohm: told, with what to check
            if "wire network is numerically singular" not in str(error):
                raise
            seen["singular"] += 1
            return
        seen["lived"] += 1

    one()
    assert seen["lived"] > 0.7 * seen["drawn"], seen
    return seen


@pytest.mark.long
def test_random_profiles_live_with_finite_numbers():
    survive(FAST)


@pytest.mark.long
def test_five_hundred_random_profiles_live_with_finite_numbers():
    seen = survive(500)
    assert set(seen) >= {(kind, name) for kind in LAWS for name in laws(kind)}


@pytest.mark.long
def test_other_random_profiles_live_every_time():
    survive(500, anew=True)
