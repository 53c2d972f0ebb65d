"""Junctions that differ: each is the junction that its numbers say, the bank is distributed as they are, runs stay."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from neuroanp.characterizing import characterize
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.devices.junction import Junction
from neuroanp.devices.junction_bank import JunctionBank, Spread
from neuroanp.devices.junction_physics import Physics
from neuroanp.errors import InputError
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load, loads
from neuroanp.requiring.parameters import parameters_of
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.facts import describe, known_effects
from neuroanp.substrates.node_drive import banks_of
from neuroanp.substrates.node_noise import NodeNoise
from neuroanp.trajectory import PassPlan, Weights
from tests.close import close

SPREADS = {"v50_sd": 8e-3, "delta_cv": 0.1, "r_cv": 0.05, "tmr_cv": 0.08}
NUMBERS = {
    "delta": 4.0, "tau0": 1e-9, "v_c": 0.2, "v50": 0.1, "exponent": 1, "reference_temperature": 300.0, "bias": 0.13,
    "r_p": 10e3, "tmr": 1.0, "r_load": 15e3, "v_dd": 0.5, "kappa": 2.0, "volts_per_unit": 0.5, "n_sources": 1,
}  # fmt: skip
UNEVEN = """
extends: smtj_telegraph
meta: {{name: uneven, summary: junctions that differ, source: a test, status: illustrative}}
stochastic: {{law: smtj, {}}}
"""


def junction(**changes) -> Junction:
    fields = {**NUMBERS, **SPREADS, **changes}
    return Junction(**{name: value for name, value in fields.items() if value is not None})


def profile(spreads="v50_sd: 8 mV, delta_cv: 0.1, r_cv: 0.05, tmr_cv: 0.08"):
    return loads(UNEVEN.format(spreads), "uneven.yaml")


def bank(law, units, seed=0) -> JunctionBank:
    return law.bank(np.random.default_rng(seed), units, torch.empty(0, dtype=torch.float64))


@pytest.mark.parametrize("changes", [
    {}, {"exponent": 2}, {"thermal_resistance": 1e6}, {"v_half": 0.3}, {"bias": None, "v50": 0.24},
    {"bias": None, "v50": 0.24, "v_half": 0.3, "thermal_resistance": 1e6}, {"n_sources": 3},
])  # fmt: skip
def test_each_junction_is_the_one_that_its_numbers_say(changes):
    """The bank, computed at once, against junctions made one by one of the same draws."""
    law = junction(**changes)
    found = bank(law, 6, seed=5)
    xi = np.random.default_rng(5).standard_normal((4, law.n_sources, 1, 6))
    power, variance = [], np.zeros(6)
    for j in range(law.n_sources):
        for unit in range(6):
            a, b, c, d = xi[:, j, 0, unit]
            factor = [math.exp(math.sqrt(math.log(1 + s * s)) * x - math.log(1 + s * s) / 2)
                      for s, x in ((0.1, b), (0.05, c), (0.08, d))]  # fmt: skip
            one = law.model_copy(update={
                "v50": law.v50 + 8e-3 * a, "delta": 4.0 * factor[0], "r_p": 10e3 * factor[1], "tmr": factor[2],
            })  # fmt: skip
            assert float(found.p[j, 0, unit]) == close(one.occupancy(), rel=1e-9)
            assert float(found.tau_c[j, 0, unit]) == close(one.correlation_time(), rel=1e-9)
            assert float(found.scale[j, 0, unit]) == close(-2.0 * one.swing / 0.5, rel=1e-9)
            power.append(one.static_power)
            variance[unit] += (2.0 * one.swing / 0.5) ** 2 * one.occupancy() * (1 - one.occupancy())
    assert found.static_power == close(np.mean(power), rel=1e-9)
    assert found.sigmas.tolist() == close(np.sqrt(variance).tolist(), rel=1e-9)
    assert found.node_sigma == close(math.sqrt(variance.mean()), rel=1e-9)


def test_the_bank_is_distributed_as_the_formula_says():
    """sigma and tau_c of 40,000 junctions against 40,000 draws of p = sigmoid(2 Delta u) by other random numbers."""
    n, rng = 40_000, np.random.default_rng(99)
    found = bank(junction(), n)

    def lognormal(cv):
        return rng.lognormal(-0.5 * math.log1p(cv * cv), math.sqrt(math.log1p(cv * cv)), n)

    delta, r_p, tmr = 4.0 * lognormal(0.1), 10e3 * lognormal(0.05), lognormal(0.08)
    u = (0.13 - rng.normal(0.1, 8e-3, n)) / 0.2
    p = 1 / (1 + np.exp(-2 * delta * u))
    tau = 1e-9 * np.exp(delta) / (2 * np.cosh(delta * u))
    swing = 0.5 * 15e3 * (1 / (15e3 + r_p) - 1 / (15e3 + r_p * (1 + tmr)))
    sigma = 2.0 * swing * np.sqrt(p * (1 - p)) / 0.5
    for sampled, wanted in ((found.sigmas.numpy(), sigma), (found.tau_c.numpy().ravel(), tau)):
        assert sampled.mean() == close(wanted.mean(), rel=5e-3)
        assert sampled.std() == close(wanted.std(), rel=0.03)
        shares = np.quantile(sampled, (0.05, 0.5, 0.95))
        assert shares == close(np.quantile(wanted, (0.05, 0.5, 0.95)), rel=0.02)
    assert found.autocorrelation(30e-9) == close((sigma**2 * np.exp(-30e-9 / tau)).sum() / (sigma**2).sum(), rel=0.02)


def test_each_junction_runs_as_a_telegraph_signal_of_its_own():
    """Mean 0, variance scale^2 p (1-p) and covariance times e^{-dt/tau_c}, of every junction by itself."""
    law, units, copies, dt = junction(), 4, 60_000, 20e-9
    found, rng = bank(law, units), np.random.default_rng(1)
    draws = torch.from_numpy(rng.random((3, 1, copies, units), dtype=np.float32))
    state = found.start(draws[0])
    assert state.double().mean(1)[0].tolist() == close(found.p[0, 0].tolist(), rel=0.03)
    noise, _ = found.run(state, draws[1:], None, dt)
    noise = noise.double()
    variance = found.sigmas**2
    assert noise[0].var(0).tolist() == close(variance.tolist(), rel=0.03)
    assert bool((noise[0].mean(0).abs() < 5 * (variance / copies).sqrt()).all())
    rho = torch.exp(-dt / found.tau_c[0, 0])
    assert (noise[0] * noise[1]).mean(0).tolist() == close((variance * rho).tolist(), rel=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiled_steps_are_those_of_the_plain_form(dtype):
    from neuroanp.devices import telegraph

    law = junction(n_sources=3)
    found = law.bank(np.random.default_rng(0), 5, torch.empty(0, dtype=dtype))
    u = torch.rand((6, 3, 4, 5), dtype=dtype, generator=torch.Generator().manual_seed(1))
    state = found.start(u[0])
    noise, after = found.run(state, u[1:], None, 30e-9)
    states = telegraph.run(state, u[1:].clone(), found.p, found.tau_c, 30e-9)
    assert torch.equal(after, states[-1])
    torch.testing.assert_close(noise, ((states.to(dtype) - found.p) * found.scale).sum(1), rtol=0, atol=1e-6)


# ---- on a chip ----


def build(hardware, seed=0, write="ideal", dtype=torch.float64, **options) -> DeviceChip:
    shapes = {"w_in": (5, 3), "w": (5, 5), "w_out": (2, 5)}
    weights = Weights.one_layer({key: torch.full(size, 0.1, dtype=dtype) for key, size in shapes.items()})
    return DeviceChip.build(hardware, weights, streams=Streams(seed), dt=10e-9, write=write, dtype=dtype, **options)


def noise_of(chip, steps=6, cuts=None, apart=math.inf):
    plan = PassPlan(noise=(1.0, 1.0), stream=(0, 1), pairs=((0, 1),))
    made = chip.perturbation(plan, 3, PassStreams(Streams(0), "train", 1), apart=apart)
    cuts = cuts or [steps]
    starts = [sum(cuts[:i]) for i in range(len(cuts))]
    return {n: torch.cat([made.draw(n, t, k) for t, k in zip(starts, cuts, strict=True)]) for n in ("hidden", "output")}


def test_a_spread_of_nothing_leaves_every_bit():
    plain = load("smtj_telegraph")
    nothing = profile("v50_sd: 0 V, delta_cv: 0, r_cv: 0, tmr_cv: 0")
    for chip in (build(nothing), build(profile(), effects=ALL_EFFECTS - {"d2d"})):
        assert not chip.banks
        for name, noise in noise_of(chip).items():
            assert torch.equal(noise, noise_of(build(plain))[name])
    assert "d2d" in known_effects(profile())
    assert "d2d" not in known_effects(plain)


def test_the_same_junctions_come_again_and_are_those_of_a_group_of_units():
    chip, again, other = build(profile()), build(profile()), build(profile(), seed=1)
    for name, law in chip.banks.items():
        assert torch.equal(law.p, again.banks[name].p)
        assert not torch.equal(law.p, other.banks[name].p)
        assert law.p.shape == (1, 1, chip.network.lines[name])
    groups = banks_of(junction(), ALL_EFFECTS, {"one": 5, "two": 5}, Streams(0), torch.empty(0))
    assert not torch.equal(groups["one"].p, groups["two"].p)
    state = chip.state_dict()
    other = build(profile())
    other.load_state_dict(state)
    assert torch.equal(noise_of(other)["hidden"], noise_of(chip)["hidden"])
    assert torch.equal(noise_of(chip.at(1.0))["output"], noise_of(chip)["output"])


@pytest.mark.parametrize("apart", [math.inf, 20e-9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_does_not_depend_on_the_cuts(dtype, apart):
    chip = build(profile(), dtype=dtype)
    whole, cut = noise_of(chip, apart=apart), noise_of(chip, cuts=[1, 3, 2], apart=apart)
    assert all(torch.equal(cut[name], noise) for name, noise in whole.items())


def test_presentations_follow_one_another_by_the_memory_of_each_junction():
    """A slow junction among quick ones: its own starts are common, where the mean junction has long forgotten."""
    law = junction(v50_sd=None, delta_cv=None, r_cv=None, tmr_cv=None)
    quick = bank(junction(), 2)
    slow = JunctionBank(quick.p, torch.tensor([[[1e-9, 1.0]]]).double(), quick.scale, 0.0, None)
    plan = PassPlan(noise=(1.0,), stream=(0,), pairs="mean")
    like = torch.empty(0, dtype=torch.float64)
    made = NodeNoise(plan, {"hidden": 2}, 400, PassStreams(Streams(0), "train", 0), like, law, dt=1e-9, apart=1e-5,
                     banks={"hidden": slow})  # fmt: skip
    first = made.draw("hidden", 0, 1)[0, 0]
    assert (first[1:, 1] == first[:-1, 1]).double().mean() > 0.95
    assert (first[1:, 0] == first[:-1, 0]).double().mean() < 0.75


def test_books_and_facts_are_of_these_junctions():
    chip = build(profile())
    watts = sum(law.static_power * chip.network.lines[name] for name, law in chip.banks.items())
    assert chip.static["junctions"] == close(watts, rel=1e-12)
    assert chip.static["junctions"] != build(load("smtj_telegraph")).static["junctions"]
    sigmas = chip.node_sigmas()
    assert sigmas == {name: law.node_sigma for name, law in chip.banks.items()}
    told = describe(chip)["junction_sigmas"]["hidden"]
    found = sorted(chip.banks["hidden"].sigmas.tolist())
    assert (told["lowest"], told["median"], told["highest"]) == close((found[0], found[2], found[4]), rel=1e-12)


def test_a_bank_is_characterized():
    biased = profile("v50_sd: 3 mV, delta_cv: 0.1, r_cv: 0.05, tmr_cv: 0.05, bias: 0.23 V")
    found = characterize(biased, only=["junctions"], devices=4000)
    assert len(found.checked) == 4  # mean and sd of ln odds and of the barrier
    assert all(abs(moment.z) < 4 for moment in found.checked)
    with pytest.raises(InputError, match="nothing to measure"):
        characterize(load("smtj_telegraph"), only=["junctions"])


def test_what_a_bank_must_reach_can_be_asked():
    found, _ = parameters_of(profile(), "test_loss", frozenset({"node_noise", "d2d"}), "ideal", False)
    keys = {one.key for one in found}
    assert {f"stochastic.{key}" for key in SPREADS} <= keys
    _, left = parameters_of(profile(), "test_loss", frozenset({"node_noise"}), "ideal", False)
    assert "stochastic.r_cv" in str(left)


# ---- what is refused ----


@pytest.mark.parametrize(("changes", "key", "says"), [
    ({"v50_sd": -1e-3}, "v50_sd", "negative"), ({"delta_cv": 1.5}, "delta_cv", "between 0 and 1"),
    ({"r_cv": "5 %"}, "r_cv", "never per cent"), ({"v50_sd": 0.03}, "v50_sd", "6 standard deviations"),
])  # fmt: skip
def test_impossible_spreads_are_refused(changes, key, says):
    with pytest.raises(ValidationError) as error:
        junction(**changes)
    found = error.value.errors()
    assert [detail["loc"] for detail in found] == [(key,)]
    assert says in found[0]["msg"]


def test_a_junction_that_cannot_be_is_told_when_it_is_drawn():
    """With back-action the resistance moves the voltage: a spread of it alone can leave one without a barrier."""
    law = junction(bias=None, v50=0.0, v_c=0.3, r_cv=0.5, v50_sd=None)
    with pytest.raises(InputError, match="of the 2000 junctions that were drawn for 2000 units one cannot be"):
        bank(law, 2000)


def test_other_sources_take_no_spread_of_a_junctions_physics():
    with pytest.raises(InputError, match=r"stochastic\.v50_sd: is of smtj; 'koenders' has"):
        loads(
            UNEVEN.format("v50_sd: 8 mV")
            .replace("smtj_telegraph", "smtj_koenders")
            .replace("law: smtj", "law: koenders")
        )


def test_a_spread_of_nothing_in_one_quantity_draws_the_others_alike():
    plain = Physics(**vars(junction().physics))
    xi = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 50)))
    both, one = Spread(0.01, 0.1, 0.05, 0.0).applied(plain, xi), Spread(0.01, 0.0, 0.0, 0.0).applied(plain, xi)
    assert torch.equal(both.v50, one.v50)
    assert bool((one.barrier == plain.barrier).all())
