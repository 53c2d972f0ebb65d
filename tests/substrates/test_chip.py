"""The contract of a chip, held by every shipped profile, and what only some of them do."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

import pytest
import torch

from neuroanp.backends.neuron import LIF
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.errors import InputError
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.tanh import Tanh
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import available, load
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.facts import describe
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.substrates.read import Reader
from neuroanp.trajectory import PassPlan, Weights, WeightUpdate
from tests.backends.white import white_pcm
from tests.close import close

N, I, O = 12, 3, 2  # noqa: E741
SHAPES = {"w_in": (N, I), "w": (N, N), "w_out": (O, N)}
PLAN = PassPlan((1.0, 1.0), (0, 1), ((0, 1),))
WINDOW = 1e-3
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))]


def weights(seed: int = 0, dtype=torch.float64) -> Weights:
    g = torch.Generator().manual_seed(seed)
    return Weights.one_layer(
        {k: torch.randn(s, generator=g, dtype=dtype) * (2 / sum(s)) ** 0.5 for k, s in SHAPES.items()}
    )


def gradient(seed: int, dtype=torch.float64) -> WeightUpdate:
    return WeightUpdate(dict(weights(100 + seed, dtype)))


def build(name, **options) -> DeviceChip:
    profile = load(name) if isinstance(name, str) else name
    options = {"dtype": torch.float64, **options}
    return DeviceChip.build(profile, weights(), streams=Streams(options.pop("seed", 0)), dt=1e-6, **options)


@cache
def first(name: str, **options) -> DeviceChip:
    return build(name, **options)


def copied(name: str, **options) -> DeviceChip:
    """Return a copy of a chip as it is built: the first write of a pulsed device takes thousands of pulses."""
    return deepcopy(first(name, **options))


def held(chip: DeviceChip) -> Weights:
    """The mean weights the arrays hold now: programming error, drift and faults included."""
    return Weights.one_layer(
        {name: array.mean_weights(chip.now) for name, array in chip.arrays.items()}, chip.network.bias
    )


def ways(name: str) -> list[str]:
    profile = load(name)
    programs = profile.programming is not None or (profile.update is not None and profile.update.program is not None)
    return ["ideal"] + ["verify"] * programs + ["pulse"] * (profile.update is not None)


ALIKE = {"ecram_mo"}
"""Profiles of a law that others have too, whose first write of 6,000 pulses takes seconds: the long tier's."""


def of_profile(name: str, *more: str):
    return pytest.param(name, *more, marks=[pytest.mark.long] if name in ALIKE else [])


NAMES = [of_profile(name) for name in available()]
CASES = [of_profile(name, write) for name in available() for write in ways(name)]


def test_what_is_left_to_the_long_tier_has_laws_that_others_have():
    laws = {name: tuple(type(law) for law in (load(name).update, load(name).programming)) for name in available()}
    for name in ALIKE:
        assert laws[name] in [laws[other] for other in available() if other not in ALIKE]


def live(chip: DeviceChip, first: int, updates: int) -> list[torch.Tensor]:
    """Run a few updates; return all that was seen on the way."""
    seen = []
    for index in range(first, first + updates):
        streams = PassStreams(Streams(0), "train", index)
        plans = chip.prepare(WINDOW, streams)
        seen += [part for plan in plans.values() for part in (plan.W, plan.sigma2) if part is not None]
        noise = chip.perturbation(PLAN, 4, streams)
        seen += [d for layer in ("hidden", "output") if (d := noise.draw(layer, 0, 5)) is not None]
        chip.book_reads("w", torch.ones(N, dtype=torch.float64), 8, 8)
        chip.elapse(WINDOW)
        before = held(chip)
        chip.apply(gradient(index), 0.05, Streams(0), index)
        after = held(chip)
        seen += [after[name] - before[name] for name in SHAPES]
    return seen + list(chip.weights.values())


@pytest.mark.parametrize(("name", "write"), CASES)
def test_a_write_is_booked_and_its_misses_are_shares(name, write):
    chip = copied(name, write=write)
    pulses, now = chip.ledger.pulses, chip.now
    report = chip.apply(gradient(1), 0.05, Streams(0), 1)
    assert 0 <= report.saturated <= 1
    assert 0 <= report.unverified <= 1
    if write == "ideal":
        assert (chip.ledger.pulses, chip.now) == (pulses, now)
    else:
        assert chip.ledger.pulses > pulses


@pytest.mark.parametrize(("name", "write"), CASES)
def test_a_checkpoint_continues_bit_for_bit(name, write):
    chip = copied(name, write=write, drive=NodeDrive(0.01))
    live(chip, 1, 2)
    saved = {key: value.clone() for key, value in chip.state_dict().items()}
    onward = live(chip, 3, 2)
    other = build(name, write=write, drive=NodeDrive(0.01), seed=9)  # other devices until the state is loaded
    other.load_state_dict(saved)
    again = live(other, 3, 2)
    assert len(onward) == len(again)
    assert all(torch.equal(a, b) for a, b in zip(onward, again, strict=True))
    a, b = chip.state_dict(), other.state_dict()
    assert set(a) == set(b)
    assert all(torch.equal(a[key], b[key]) or bool((a[key] != a[key]).all()) for key in a)
    assert chip.ledger.report() == other.ledger.report()


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides(name):
    one, two = live(build(name), 1, 2), live(build(name), 1, 2)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_dtype_and_device_are_kept(name, dtype, device):
    chip = build(name, dtype=dtype, device=device, drive=NodeDrive(0.01))
    plans = chip.prepare(WINDOW, PassStreams(Streams(0), "train", 1))
    assert all(plan.W.dtype == dtype and plan.W.device.type == device for plan in plans.values())
    reader = Reader(plans["w"])
    xi = torch.ones(3, reader.normals or N, dtype=dtype, device=device)
    y = reader(torch.ones(3, N, dtype=dtype, device=device), xi)
    assert y.dtype == dtype
    assert y.device.type == device
    drawn = chip.perturbation(PLAN, 2, PassStreams(Streams(0), "train", 1)).draw("hidden", 0, 3)
    assert drawn is not None
    assert drawn.dtype == dtype
    chip.apply(gradient(1, dtype), 0.05, Streams(0), 1)
    assert held(chip)["w"].dtype == dtype


@pytest.mark.parametrize("name", NAMES)
def test_without_effects_a_chip_holds_its_targets_and_reads_them_exactly(name):
    chip = build(name, effects=frozenset())
    for index in range(3):
        chip.elapse(1e5)
        plans = chip.prepare(WINDOW, PassStreams(Streams(0), "train", index))
        for array, plan in plans.items():
            torch.testing.assert_close(plan.W, chip.weights[array], rtol=1e-9, atol=1e-10)
            assert (plan.sigma2, plan.extra, plan.dac, plan.adc) == (None, 0.0, None, None)
        chip.apply(gradient(index), 0.02, Streams(0), index)
    assert not chip.perturbs_units
    assert chip.perturbation(PLAN, 2, PassStreams(Streams(0), "train", 0)).draw("hidden", 0, 2) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_noise_free_read_repeats_itself(name):
    chip = copied(name)
    a, b = (chip.prepare(WINDOW, PassStreams(Streams(0), phase, 1), noise=False) for phase in ("train", "test"))
    for array in SHAPES:
        assert torch.equal(a[array].W, b[array].W)
        assert a[array].sigma2 is None
        assert a[array].extra == 0.0


@pytest.mark.parametrize(("name", "write"), CASES)
def test_an_array_without_an_update_is_not_touched(name, write):
    chip = copied(name, write=write)
    was = {array: bar.cells for array, bar in chip.arrays.items()}
    before = {array: dict(cells) for array, cells in was.items()}
    still = torch.zeros(N, N, dtype=torch.float64)
    update = WeightUpdate({"w_out": gradient(1).arrays["w_out"], "w": still})
    chip.apply(update, 0.5, Streams(0), 1)
    assert chip.arrays["w_out"].cells is not was["w_out"]
    for array in ("w_in", "w"):
        assert all(chip.arrays[array].cells[key] is before[array][key] for key in before[array])


def test_ideal_targets_follow_the_update_exactly():
    chip = build("pcm", write="ideal")
    before = chip.weights["w"].clone()
    chip.apply(gradient(1), 0.01, Streams(0), 1)
    torch.testing.assert_close(chip.weights["w"], before - 0.01 * gradient(1).arrays["w"], rtol=1e-12, atol=0)


def test_targets_are_clipped_to_the_range_and_the_share_is_reported():
    chip = build("pcm", write="ideal")
    report = chip.apply(WeightUpdate({"w": -torch.ones(N, N, dtype=torch.float64)}), 10.0, Streams(0), 1)
    assert report.saturated == 1.0
    assert float(chip.weights["w"].max()) == chip.arrays["w"].w_s
    torch.testing.assert_close(held(chip)["w"], chip.weights["w"], rtol=1e-9, atol=0)


def test_pulses_in_place_are_beyond_the_range_from_where_the_array_stands():
    """Twice 0.7 of the range up, each from where the pulses before left the weights and not from any target."""
    chip = build("rram_hfo2", write="pulse")
    w_s = chip.arrays["w"].w_s
    chip.apply(WeightUpdate({"w": chip.weights["w"]}), 1.0, Streams(0), 1)  # back to about 0
    up = WeightUpdate({"w": -0.7 * w_s * torch.ones(N, N, dtype=torch.float64)})
    for update in (2, 3):
        expected = float((chip.arrays["w"].mean_weights(chip.now) + 0.7 * w_s > w_s).double().mean())
        assert chip.apply(up, 1.0, Streams(0), update).saturated == close(expected, rel=1e-12)
    assert expected > 0.5


def test_drift_makes_weights_fade_and_a_rewrite_restores_them():
    chip = build("pcm", effects=frozenset({"drift"}))
    start = held(chip)["w"].abs().mean()
    chip.elapse(86400.0)
    faded = held(chip)["w"].abs().mean()
    assert float(faded / start) == close((86400 / 20) ** -0.05, rel=0.03)
    chip.apply(WeightUpdate({"w": -0.5 * chip.weights["w"]}), 1.0, Streams(0), 1)
    torch.testing.assert_close(held(chip)["w"], chip.weights["w"], rtol=1e-9, atol=1e-12)


def test_read_noise_differs_between_updates_and_the_fresh_part_grows_with_the_window():
    chip = build("pcm")
    chip.elapse(1e4)
    one, two = (chip.prepare(WINDOW, PassStreams(Streams(0), "train", k))["w"] for k in (1, 2))
    assert not torch.equal(one.W, two.W)  # the frozen part is drawn once a window
    assert torch.equal(one.sigma2, two.sigma2)
    longer = chip.prepare(1.0, PassStreams(Streams(0), "train", 1))["w"]
    assert bool((longer.sigma2 >= one.sigma2).all())


def test_which_profiles_explore_by_themselves():
    explores = {name: first(name).perturbs_units for name in available()}
    assert explores | {"ideal": False, "pcm": True, "rram_hfo2": False, "smtj_koenders": True} == explores
    assert not build("pcm", effects=ALL_EFFECTS - {"read_noise"}).perturbs_units
    assert not build("smtj_koenders", effects=ALL_EFFECTS - {"node_noise"}).perturbs_units


def test_amplifier_noise_explores(tmp_path):
    """An ideal array with noisy amplifiers perturbs its units: nothing need be added, and the log must not say so."""
    path = tmp_path / "amplified.yaml"
    path.write_text(
        "extends: ideal\nmeta: {name: amplified, summary: s, source: bench, status: illustrative}\n"
        "periphery: {v_read: 0.2 V, t_read: 250 ns, amplifier_noise: 20 nA}\n"
    )
    assert build(load(path)).perturbs_units
    assert not build(load(path), effects=ALL_EFFECTS - {"amplifier_noise"}).perturbs_units


def test_sampled_reads_have_the_plan_say_so():
    chip = build(white_pcm(), read="sampled")
    plan = chip.prepare(WINDOW, PassStreams(Streams(0), "train", 1))["w"]
    assert plan.sampled
    zero = torch.zeros(2, N * N, dtype=torch.float64)
    y = Reader(plan).sampled(torch.ones(2, N, dtype=torch.float64), zero)
    torch.testing.assert_close(y, Reader(plan)(torch.ones(2, N, dtype=torch.float64)), rtol=1e-12, atol=0)


def test_facts_are_plain_and_say_how_noise_compares_with_the_adc():
    facts = describe(build("pcm"), WINDOW)
    assert facts["profile"] == "pcm"
    assert facts["arrays"]["w"]["sigma_output_adc_steps"] > 0.3
    assert "read_noise" in facts["effects_on"]
    assert "node_noise" not in facts["effects_on"] + facts["effects_off"]
    off = describe(build("smtj_koenders", effects=frozenset()), WINDOW)
    assert off["effects_on"] == []
    assert off["effects_off"] == ["node_noise", "endurance"]


def test_mistakes_are_told_with_what_is_possible():
    with pytest.raises(InputError, match="possible here: auto, ideal, verify"):
        build("ideal", write="pulse")
    with pytest.raises(InputError, match="is unknown"):
        build("ideal", write="magic")
    with pytest.raises(InputError, match="did you mean 'sampled'"):
        build("ideal", read="sample")
    with pytest.raises(InputError, match="shorter than one read"):
        DeviceChip.build(load("pcm"), weights(), streams=Streams(0), dt=1e-9)
    with pytest.raises(InputError, match="another chip"):
        build("pcm").load_state_dict(build("ideal").state_dict())


def test_arrays_that_are_alike_have_draws_of_their_own():
    """Two layers of the same weights, updated alike: errors of first write, of a later one, and frozen noise differ."""
    network = stack(2, [Stacked(Tanh(), 12), Stacked(Tanh(), 12)], 1)
    alike = 0.1 * torch.randn((12, 12), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    given = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in network.shapes.items()}
    given |= {"w_1": alike, "w_2": alike}
    chip = DeviceChip.build(load("pcm"), Weights(given, network), streams=Streams(0), dt=1e-6, dtype=torch.float64)

    def independent(of_array) -> bool:
        pair = torch.stack([of_array(name).flatten() for name in ("w_1", "w_2")])
        return abs(float(torch.corrcoef(pair)[0, 1])) < 0.35  # of 144 numbers: 4 standard errors

    def error(name):
        return chip.arrays[name].mean_weights(chip.now) - chip.weights[name]

    assert independent(error)
    chip.apply(WeightUpdate(dict.fromkeys(("w_1", "w_2"), alike)), -1.0, Streams(0), 1)
    assert independent(error)
    chip.elapse(1e4)
    streams = PassStreams(Streams(0), "train", 1)
    noisy, still = (chip.prepare(WINDOW, streams, noise) for noise in (True, False))
    assert independent(lambda name: noisy[name].W - still[name].W)


def test_layers_that_are_alike_have_neurons_of_their_own():
    network = stack(2, [Stacked(LIF(), 9), Stacked(LIF(), 9)], 1)
    zeros = Weights({name: torch.zeros(shape) for name, shape in network.shapes.items()}, network)
    first, second = DeviceChip.build(load("mixed_signal_neurons"), zeros, streams=Streams(0), dt=1e-3).neurons.values()
    assert set(first) == set(second) != set()
    assert all(not torch.equal(first[name], second[name]) for name in first)
