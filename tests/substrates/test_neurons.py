"""How the spiking neurons of a chip differ, how its noise is coupled to them, and what their spikes cost."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from scipy import stats

from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.errors import InputError
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import HardwareProfile, available, load, loads
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.facts import describe, known_effects
from neuroanp.substrates.neuron_mismatch import neuron_factors
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.trajectory import PassPlan, Weights
from tests.close import close

NAMES = ("threshold", "tau_m", "tau_s")
ON = frozenset({"neuron_mismatch"})
DOUBLE = torch.float64


def profile_with(base: str = "ideal", extra: str = "", **neurons: object) -> HardwareProfile:
    """A shipped profile and a section `neurons`."""
    keys = "".join(f"  {key}: {value}\n" for key, value in neurons.items())
    meta = "meta: {name: made, summary: s, source: a test, status: illustrative}"
    return loads(f"extends: {base}\n{meta}\n{extra}\n" + (f"neurons:\n{keys}" if keys else ""), "made.yaml")


def build(profile: HardwareProfile, units: int = 5, seed: int = 0, dtype=DOUBLE, **options) -> DeviceChip:
    shapes = {"w_in": (units, 2), "w": (units, units), "w_out": (1, units)}
    weights = Weights.one_layer({name: torch.zeros(shape, dtype=dtype) for name, shape in shapes.items()})
    return DeviceChip.build(profile, weights, streams=Streams(seed), dt=1e-3, dtype=dtype, **options)


def factors(profile: HardwareProfile, **options) -> Mapping[str, torch.Tensor]:
    """How the neurons of the chip's one layer differ."""
    (found,) = build(profile, **options).neurons.values()
    return found


# ---- mismatch ----


@pytest.mark.parametrize("cv", [0.01, 0.2, 1.0])
def test_factors_are_lognormal_with_mean_one_and_the_stated_spread(cv):
    """ln f is normal with variance ln(1 + CV^2) and mean -ln(1 + CV^2)/2: Kolmogorov and Smirnov on 50,000 neurons."""
    made = profile_with(threshold_sd=cv, tau_m_sd=cv, tau_s_sd=cv)
    factors = neuron_factors(made, ON, 50_000, np.random.default_rng(0), torch.empty(0, dtype=DOUBLE))
    assert tuple(factors) == NAMES
    s2 = math.log1p(cv**2)
    for factor in factors.values():
        assert bool((factor > 0).all())
        assert stats.kstest(factor.log().numpy(), stats.norm(-s2 / 2, math.sqrt(s2)).cdf).pvalue > 1e-3
        assert float(factor.mean()) == pytest.approx(1.0, abs=5 * cv / math.sqrt(50_000))
    logs = torch.stack([factor.log() for factor in factors.values()])
    off = torch.corrcoef(logs) - torch.eye(3, dtype=DOUBLE)
    assert float(off.abs().max()) < 5 / math.sqrt(50_000)  # independent


def test_every_quantity_has_draws_of_its_own_whatever_else_is_stated():
    every = factors(profile_with(threshold_sd=0.1, tau_m_sd=0.2, tau_s_sd=0.3))
    for name in NAMES:
        sd = {"threshold": 0.1, "tau_m": 0.2, "tau_s": 0.3}[name]
        alone = factors(profile_with("ideal", "", **{f"{name}_sd": sd}))
        assert list(alone) == [name]
        assert torch.equal(alone[name], every[name])
    exact = factors(profile_with(threshold_sd=0, tau_m_sd=0.2))
    assert torch.equal(exact["threshold"], torch.ones(5, dtype=DOUBLE))
    assert torch.equal(exact["tau_m"], every["tau_m"])


def test_neurons_follow_the_seed_and_not_the_other_effects():
    made = profile_with("pcm", threshold_sd=0.1, tau_m_sd=0.2, tau_s_sd=0.2)
    one = factors(made)
    assert all(torch.equal(one[name], factors(made)[name]) for name in NAMES)
    assert not any(torch.equal(one[name], factors(made, seed=1)[name]) for name in NAMES)
    for effects in (ON, ALL_EFFECTS - {"drift"}):
        assert all(torch.equal(one[name], factors(made, effects=effects)[name]) for name in NAMES)
    assert factors(made, effects=ALL_EFFECTS - ON) == {}
    assert {factor.shape for factor in one.values()} == {(5,)}
    assert factors(made, dtype=torch.float32)["tau_m"].dtype == torch.float32


def test_devices_keep_their_draws_beside_neurons():
    plain, made = build(load("pcm")), build(profile_with("pcm", threshold_sd=0.1))
    for name, array in plain.arrays.items():
        assert torch.equal(array.cells["g"], made.arrays[name].cells["g"])
    assert set(plain.state_dict()) == set(made.state_dict())


def test_who_has_mismatch_says_so():
    assert "neuron_mismatch" in known_effects(load("mixed_signal_neurons"))
    for nothing in (load("ideal"), load("smtj_koenders"), profile_with(threshold_sd=0), profile_with(tau_m_sd=0.0)):
        assert "neuron_mismatch" not in known_effects(nothing)
    for name in available():
        chip = build(load(name), effects=frozenset(known_effects(load(name))))
        assert ("neuron_mismatch" in known_effects(load(name))) == any(chip.neurons.values())
    assert "neuron_mismatch" in describe(build(load("mixed_signal_neurons"), effects=frozenset()))["effects_off"]


def test_the_mapping_cannot_be_written_to():
    with pytest.raises(TypeError):
        factors(profile_with(tau_m_sd=0.1))["tau_m"] = torch.ones(5)  # pyright: ignore[reportIndexIssue]


# ---- coupling of the noise ----

PLAN = PassPlan((1.0, 0.0, -1.0), (0, 1, 0), ((0, 1),))


def drawn(chip: DeviceChip, layer: str, artificial: bool = True) -> torch.Tensor | None:
    return chip.perturbation(PLAN, 3, PassStreams(Streams(0), "train", 0), artificial).draw(layer, 0, 7)


def test_the_coupling_scales_the_junctions_of_the_hidden_layer_alone():
    plain, scaled = (build(load("smtj_koenders"), drive=NodeDrive(scale=scale)) for scale in (1.0, 24.5))
    before, after = drawn(plain, "hidden"), drawn(scaled, "hidden")
    assert before is not None
    assert after is not None
    torch.testing.assert_close(after, 24.5 * before, rtol=1e-12, atol=0)
    outputs = [drawn(chip, "output") for chip in (plain, scaled)]
    assert outputs[0] is not None
    assert torch.equal(outputs[0], outputs[1])  # pyright: ignore[reportArgumentType]


def test_the_coupling_leaves_artificial_noise_as_it_is():
    chips = {scale: build(load("smtj_koenders"), drive=NodeDrive(0.5, scale=scale)) for scale in (1.0, 3.0)}
    own, gaussian = (
        drawn(build(load("smtj_koenders")), "hidden"),
        drawn(build(load("ideal"), drive=NodeDrive(0.5)), "hidden"),
    )
    for scale, chip in chips.items():
        found = drawn(chip, "hidden")
        assert found is not None
        torch.testing.assert_close(found, scale * own + gaussian, rtol=1e-12, atol=1e-15)  # pyright: ignore


def test_outputs_may_have_artificial_noise_of_their_own():
    drives = NodeDrive(0.5), NodeDrive(0.1), NodeDrive(0.5, output=0.1), NodeDrive(0.5, output=0.0)
    one, two, both, silent = (build(load("ideal"), drive=drive) for drive in drives)
    assert torch.equal(drawn(both, "hidden"), drawn(one, "hidden"))  # pyright: ignore[reportArgumentType]
    assert torch.equal(drawn(both, "output"), drawn(two, "output"))  # pyright: ignore[reportArgumentType]
    assert drawn(silent, "output") is None
    assert torch.equal(drawn(silent, "hidden"), drawn(one, "hidden"))  # pyright: ignore[reportArgumentType]
    assert drawn(silent, "hidden", artificial=False) is None


def test_sigmas_by_layer():
    chip = build(load("smtj_koenders"))
    own = chip.junctions.node_sigma
    assert chip.node_sigmas() == {"hidden": own, "output": own}
    chip = build(load("smtj_koenders"), drive=NodeDrive(0.05, 0.01, scale=-2.0))
    assert chip.node_sigmas() == close({"hidden": math.hypot(2 * own, 0.05), "output": math.hypot(own, 0.01)})
    assert chip.node_sigmas(artificial=False) == close({"hidden": 2 * own, "output": own})
    assert describe(chip)["node_sigma"] == chip.node_sigmas()["hidden"]
    assert build(load("ideal")).node_sigmas() == {"hidden": 0.0, "output": 0.0}
    assert build(load("pcm"), drive=NodeDrive(0.3)).node_sigmas(False) == {"hidden": 0.0, "output": 0.0}


def test_drawn_noise_has_the_sigmas_it_is_said_to_have():
    """100,000 numbers: a standard error of 0.22 %."""
    chip = build(load("mixed_signal_neurons"), units=500, drive=NodeDrive(0.03, 0.01, scale=5.0))
    noise = chip.perturbation(PassPlan((1.0,), (0,), "mean"), 100, PassStreams(Streams(0), "train", 0))
    hidden = noise.draw("hidden", 0, 2)
    assert hidden is not None
    assert float(hidden.std()) == close(chip.node_sigmas()["hidden"], rel=0.012)
    output = noise.draw("output", 0, 1000)
    assert output is not None
    assert float(output.std()) == close(chip.node_sigmas()["output"], rel=0.012)


# ---- books ----


def test_hand_computed_spikes():
    """7 spikes of 500 pJ, 21 events of 10 pJ; reads of the array are not booked again."""
    chip = build(load("mixed_signal_neurons"))
    assert not {"spikes", "synaptic_events"} & set(chip.ledger.energy())
    assert "array_reads" in chip.ledger.unstated  # a network of rates reads weights, and that has no figure
    chip.book_spikes(3, 9)
    chip.book_reads("w", torch.ones(5, dtype=DOUBLE), 4, 4, events=9)
    chip.book_spikes(4, 12)
    report = chip.ledger.report()
    assert (report["spikes"], report["events"], report["reads"]) == (7, 21, 4)
    assert report["energy"]["spikes"] == close(7 * 500e-12)
    assert report["energy"]["synaptic_events"] == close(21 * 10e-12)
    assert report["energy"]["array_reads"] == 0.0
    total = 7 * 500e-12 + 21 * 10e-12  # node noise is free here; the first write is left out
    assert report["energy_J"] == close(total + report["energy"]["writes"])
    assert report["energy_per_spike_J"] == close(total / 7)
    assert report["energy_per_event_J"] == close(total / 21)
    assert not {"spikes", "synaptic_events", "array_reads"} & set(report["unstated"])


def test_an_event_reads_one_weight_where_a_read_is_stated():
    """smtj_koenders: 1.5 pJ a weight. All 25 of them in each of 8 reads, or the 15 that spikes reach."""
    chip, figure = build(load("smtj_koenders")), 1.5e-12
    chip.book_reads("w", torch.ones(5, dtype=DOUBLE), 8, 0)
    assert chip.ledger.energy()["array_reads"] == close(8 * 25 * figure)
    chip.book_reads("w", torch.ones(5, dtype=DOUBLE), 8, 0, events=15)
    assert chip.ledger.energy()["array_reads"] == close((8 * 25 + 15) * figure)
    chip.book_reads("w", torch.ones(5, dtype=DOUBLE), 8, 0, events=0)
    assert chip.ledger.energy()["array_reads"] == close((8 * 25 + 15) * figure)
    chip.book_spikes(3, 15)
    energy = chip.ledger.energy()
    assert energy["spikes"] is None  # it spikes, and the profile has no figure for that
    assert "synaptic_events" not in energy  # they are the reads of the array
    assert "spikes" in chip.ledger.unstated


def test_converters_convert_at_every_step_and_lines_without_a_spike_take_nothing():
    profile = load("pcm")
    chips = [build(profile) for _ in range(2)]
    chips[0].book_reads("w", torch.full((5,), 8.0, dtype=DOUBLE), 8, 8)
    chips[1].book_reads("w", torch.zeros(5, dtype=DOUBLE), 8, 8, events=0)
    driven, idle = (chip.ledger.energy() for chip in chips)
    assert (driven["dac"], driven["adc"], driven["digital"]) == (idle["dac"], idle["adc"], idle["digital"])
    assert idle["adc"] == close(8 * 5 * profile.periphery.adc.energy)  # pyright: ignore
    assert idle["array_reads"] == 0.0


def test_a_silent_network_spikes_too():
    """The first booking, of none, tells the books: what has no figure is said, and a checkpoint keeps it."""
    chip = build(load("pcm"))
    assert "spikes" not in chip.ledger.unstated
    chip.book_spikes(0, 0)
    assert "spikes" in chip.ledger.unstated
    report = chip.ledger.report()
    assert (report["spikes"], report["energy_per_spike_J"], report["energy_per_event_J"]) == (0, None, None)
    other = build(load("pcm"))
    other.load_state_dict(chip.state_dict())
    assert other.ledger.spiking
    assert other.ledger.report() == report


def test_books_of_spikes_survive_a_checkpoint():
    chip, other = (build(load("mixed_signal_neurons")) for _ in range(2))
    chip.book_spikes(10**12, 10**14)
    other.load_state_dict(chip.state_dict())
    for each in (chip, other):
        each.book_spikes(1, 3)
    assert other.ledger.report() == chip.ledger.report()
    assert other.ledger.spikes == 10**12 + 1


# ---- profiles ----


def test_a_leaky_membrane_under_white_noise_is_where_the_number_of_koenders_is_from():
    """sqrt((1-a)/(1+a)) sigma with a = e^{-1 ms/20 ms}, sigma = 0.5 thresholds."""
    neurons = load("smtj_koenders").neurons
    assert neurons is not None
    a = math.exp(-1 / 20)
    assert neurons.membrane_sigma == pytest.approx(0.5 * math.sqrt((1 - a) / (1 + a)), abs=0.002)


@pytest.mark.parametrize(
    ("base", "extra", "neurons", "says"),
    [
        ("ideal", "energy: {read: 1 pJ}", {"energy_per_event": "1 pJ"}, "energy.read states already; keep one"),
        ("ideal", "periphery: {v_read: 0.2 V, t_read: 1 us}", {"energy_per_event": "1 pJ"}, "V^2 G t"),
        ("pcm", "", {"energy_per_event": "1 pJ"}, "keep one of the two"),
        ("ideal", "", {"membrane_sigma": 0.1}, "add a section 'stochastic' or drop this key"),
        ("smtj_koenders", "", {"membrane_sigma": 0}, "is not a number above 0"),
        ("ideal", "", {"threshold_sd": -0.1}, "is not a fraction between 0 and 1"),
        ("ideal", "", {"tau_m_sd": 20}, "is not a fraction between 0 and 1"),
        ("ideal", "", {"tau_s_sd": "20%"}, "never per cent"),
        ("ideal", "", {"energy_per_spike": "-1 pJ"}, "is negative"),
        ("ideal", "", {"energy_per_spike": 1}, "has no unit"),
        ("ideal", "", {"treshold_sd": 0.1}, "did you mean 'neurons.threshold_sd'"),
    ],
)
def test_bad_neurons_are_refused_with_the_key(base, extra, neurons, says):
    with pytest.raises(InputError) as refused:
        profile_with(base, extra, **neurons)
    text = str(refused.value)
    assert says in text
    assert f"neurons.{next(iter(neurons))}" in text


def test_a_chip_without_the_effect_refuses_none_of_its_names():
    with pytest.raises(InputError, match="did you mean 'neuron_mismatch'"):
        build(load("ideal"), effects=frozenset({"neuron_mismatches"}))
