"""Sources that differ: drawn as stated, each the source that its numbers say, alike where nothing is stated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from neuroanp.characterizing import characterize
from neuroanp.devices import telegraph
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.devices.one_over_f import OneOverFSource
from neuroanp.devices.ornstein_uhlenbeck import OrnsteinUhlenbeck
from neuroanp.devices.rtn import RtnSource
from neuroanp.devices.smtj import Koenders
from neuroanp.devices.trace import MeasuredTrace
from neuroanp.devices.uneven import SPREADS, factors
from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.profiles import loads
from neuroanp.profiles.laws import LAWS, Law
from neuroanp.requiring.parameters import parameters_of
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.facts import describe
from neuroanp.trajectory import Weights
from tests.close import close

UNITS = 40_000
EMPTY = torch.empty(0, dtype=torch.float64)
NODE: dict[str, Any] = {"kappa": -2.0, "volts_per_unit": 0.1}
LAWS_OF = {
    "rtn": RtnSource(tau_high=1e-6, tau_low=3e-6, amplitude=0.01, n_sources=1, amplitude_cv=0.2, dwell_cv=0.3, **NODE),
    "koenders": Koenders(
        mean=0.0, sigma_white=1e-3, amplitude=6e-3, flip=0.08, n_sources=1, amplitude_cv=0.2, flip_cv=0.3, **NODE
    ),
    "one_over_f": OneOverFSource(f_low=1.0, f_high=1e6, amplitude=1e-3, n_sources=1, amplitude_cv=0.2, **NODE),
    "ornstein_uhlenbeck": OrnsteinUhlenbeck(sigma=0.1, tau=1e-6, n_sources=1, sigma_cv=0.2),
}


def bank(law, units=UNITS, seed=0, like=EMPTY):
    return law.bank(np.random.default_rng(seed), units, like)


def alike(law):
    return law.model_copy(update=dict.fromkeys(set(SPREADS) & set(type(law).model_fields)))


@pytest.mark.parametrize("cv", [0.05, 0.3, 1.0])
def test_factors_have_mean_1_and_the_stated_spread(cv):
    found = factors(cv, (400_000,), np.random.default_rng(0)).numpy()
    assert found.mean() == close(1.0, rel=5 * cv / 400_000**0.5)
    assert found.std() == close(cv, rel=0.03)
    assert found.min() > 0


@pytest.mark.parametrize("sources", [1, 4])
@pytest.mark.parametrize("name", [*LAWS_OF])
def test_the_variance_between_units_is_the_stated_one(name, sources):
    """Mean and variance of sigma_h^2 over units: of lognormal sizes, E f^2 = 1 + c^2 and E f^4 = (1 + c^2)^6."""
    law = LAWS_OF[name].model_copy(update={"n_sources": sources})
    power = bank(law).sigmas.square().numpy()
    plain, c2 = alike(law), 0.2**2
    white = 0.0
    if isinstance(law, Koenders):
        white = sources * (law.kappa * law.sigma_white / law.volts_per_unit) ** 2
    own = plain.node_sigma**2 - white
    assert power.mean() == close(own * (1 + c2) + white, rel=0.01)
    assert law.bank_variance == close(own * (1 + c2) + white, rel=1e-12)
    assert power.var() == close(own**2 * ((1 + c2) ** 6 - (1 + c2) ** 2) / sources, rel=0.06)
    assert bank(law).node_sigma == close(math.sqrt(power.mean()), rel=1e-9)


@pytest.mark.parametrize("name", [*LAWS_OF])
def test_each_unit_runs_with_the_variance_and_the_memory_of_its_own(name):
    law, units, copies, dt = LAWS_OF[name].model_copy(update={"n_sources": 2}), 3, 60_000, 0.5e-6
    found, rng = bank(law, units), np.random.default_rng(1)
    u_shape, xi_shape = found.uniforms((copies, units)), found.normals((copies, units))

    def draws(shape, kind, steps):
        return None if shape is None else torch.from_numpy(kind((steps, *shape)))

    u, xi = draws(u_shape, rng.random, 3), draws(xi_shape, rng.standard_normal, 3)
    state = found.start(*(None if x is None else x[0] for x in (u, xi)))
    noise, _ = found.run(state, *(None if x is None else x[1:] for x in (u, xi)), dt)
    variance = found.sigmas.square()
    assert noise[1].var(0).tolist() == close(variance.tolist(), rel=0.03)
    assert bool((noise[1].mean(0).abs() < 5 * (variance / copies).sqrt()).all())
    covariance = float((noise[0] * noise[1]).mean(0).sum() / variance.sum())
    lag = 1 if found.samples_are_steps else dt
    assert covariance == close(found.autocorrelation(lag), rel=0.03)


def test_telegraph_sources_spread_in_pace_and_keep_their_odds():
    found = bank(LAWS_OF["rtn"])
    assert found.p.unique().tolist() == close([0.25])
    tau = found.tau_c.flatten().numpy()
    assert (tau.mean(), tau.std()) == close((0.75e-6, 0.3 * 0.75e-6), rel=0.02)
    size, pace = found.scale.flatten().numpy(), tau
    assert abs(np.corrcoef(size, pace)[0, 1]) < 5 / UNITS**0.5  # by draws of their own
    assert found.autocorrelation(1e-6) == close(float(np.average(np.exp(-1e-6 / tau), weights=size**2)), rel=1e-9)


def test_junctions_that_flip_by_chance_spread_in_it():
    law = LAWS_OF["koenders"]
    found = bank(law)
    flips = found.flip.flatten().numpy()
    assert (flips.mean(), flips.std()) == close((0.08, 0.3 * 0.08), rel=0.02)
    with pytest.raises(InputError, match=r"one would flip with a probability of .* a sample; .*flip_cv"):
        bank(law.model_copy(update={"flip": 0.5, "flip_cv": 0.9}))


def test_states_of_a_bank_follow_their_own_transition():
    law = LAWS_OF["koenders"]
    found = bank(law, 2)
    rng = np.random.default_rng(3)
    u = torch.from_numpy(rng.random((200_000, 1, 1, 2)))
    noise, state = found.run(found.start(u[0]), u, torch.zeros(200_000, 1, 2, dtype=torch.float64), 1.0)
    flipped = (noise[1:, 0].sign() != noise[:-1, 0].sign()).double().mean(0)
    assert flipped.tolist() == close(found.flip[0, 0].tolist(), rel=0.03)
    assert bool((noise[-1].sign() == (state[0] * found.amplitude[0]).sign()).all())
    assert noise.abs()[0, 0].tolist() == close(found.amplitude[0, 0].abs().tolist())


@pytest.mark.parametrize("name", [*LAWS_OF])
def test_a_spread_of_nothing_is_no_bank(name):
    law = LAWS_OF[name]
    assert law.bank is not None
    assert alike(law).bank is None
    assert law.model_copy(update={key: 0.0 for key in SPREADS if key in type(law).model_fields}).bank is None


RTN = """
extends: smtj_telegraph
meta: {{name: uneven, summary: sources that differ, source: a test, status: illustrative}}
stochastic: {{law: rtn, tau_high: 1 us, tau_low: 3 us, amplitude: 10 mV, n_sources: 1, kappa: 1.0,
              volts_per_unit: 0.1 V, {}}}
"""


def test_a_chip_has_its_own_of_them_and_d2d_switches_them_off():
    profile = loads(RTN.format("amplitude_cv: 0.2, dwell_cv: 0.3"), "uneven.yaml")
    shapes = {"w_in": (50, 3), "w": (50, 50), "w_out": (2, 50)}
    weights = Weights.one_layer({key: torch.full(size, 0.1, dtype=torch.float64) for key, size in shapes.items()})

    def chip(seed=0, **options):
        return DeviceChip.build(profile, weights, streams=Streams(seed), dt=1e-8, write="ideal", **options)

    first, again, other = chip(), chip(), chip(1)
    assert torch.equal(first.banks["hidden"].sigmas, again.banks["hidden"].sigmas)
    assert not torch.equal(first.banks["hidden"].sigmas, other.banks["hidden"].sigmas)
    assert not chip(effects=ALL_EFFECTS - {"d2d"}).banks
    told = describe(first)["junction_sigmas"]["hidden"]
    assert told["lowest"] < told["median"] < told["highest"]
    assert "junctions" not in first.static  # nobody states what they burn
    found, _ = parameters_of(profile, "test_loss", ALL_EFFECTS, "ideal", False)
    assert {"stochastic.amplitude_cv", "stochastic.dwell_cv"} <= {one.key for one in found}


def test_it_is_characterized():
    profile = loads(RTN.format("amplitude_cv: 0.2"), "uneven.yaml")
    found = characterize(profile, only=["junctions"], devices=4000)
    assert len(found.checked) == 1
    assert abs(found.checked[0].z or 0.0) < 4


@pytest.mark.parametrize("key", SPREADS)
@pytest.mark.parametrize("name", [name for name in LAWS["stochastic"].names() if name != "smtj"])
def test_a_spread_that_a_law_has_not_is_refused_by_name(name, key):
    law: type[Law] = LAWS["stochastic"].get(name)
    if key in law.model_fields:
        return
    with pytest.raises(ValidationError) as error:
        law.model_validate({key: 0.1})
    [found] = error.value.errors()
    assert found["loc"] == (key,)
    of = "smtj" if key in SPREADS[:4] else "another law of sources"
    assert f"is of {of}; '{name}' " in found["msg"]


def test_a_profile_says_where_it_lies():
    with pytest.raises(
        InputError, match=r"stochastic\.r_cv: is of smtj; 'rtn' has sources that differ by amplitude_cv"
    ):
        loads(RTN.format("r_cv: 0.1"), "uneven.yaml")
    with pytest.raises(ValidationError, match="replays the trace of one source"):
        MeasuredTrace.model_validate({"r_cv": 0.1})


def test_every_law_of_sources_says_which_spreads_it_has():
    for name in LAWS["stochastic"].names():
        law: type[Law] = LAWS["stochastic"].get(name)
        own = set(SPREADS) & set(law.model_fields)
        assert own or name in ("fluctuators", "measured")


def test_the_transition_of_a_bank_is_that_of_telegraph_signals():
    law = LAWS_OF["rtn"].model_copy(update={"amplitude_cv": None})
    found = bank(law, 4)
    rng = np.random.default_rng(2)
    u = torch.from_numpy(rng.random((5, 1, 1, 4)))
    state = found.start(u[0])
    noise, _ = found.run(state, u[1:], None, 1e-7)
    states = telegraph.run(state, u[1:].clone(), found.p, found.tau_c, 1e-7)
    assert noise.numpy() == close(((states.double() - 0.25) * -0.2).sum(1).numpy(), rel=1e-9)
