"""Kinds of reset: against the equations by hand, Brian2 against its twin, and what follows from the equations."""

from __future__ import annotations

from itertools import product
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.backends.lif import LIFPopulation, Surrogate, differentiable
from neuroanp.backends.neuron import LIF, Reset, coefficients
from neuroanp.backends.population import Recurrence
from tests.backends.lif_by_hand import by_hand
from tests.close import close

KINDS = get_args(Reset)
OTHERS = [kind for kind in KINDS if kind not in ("hard", "subtract")]
DT, T, ROWS, N = 1e-3, 150, 3, 9


def network(seed=0, mean=2.0, spread=6.0):
    """Return currents that take membranes above twice their threshold, weights, and factors of the units."""
    rng = np.random.default_rng(seed)
    current = torch.from_numpy(rng.normal(mean, spread, (T, ROWS, N)))
    wt = torch.from_numpy(rng.normal(0, 3, (N, N)))
    factors = {name: torch.from_numpy(rng.uniform(0.8, 1.2, N)) for name in ("threshold", "tau_m", "tau_s")}
    return current, wt, factors


def step_of(kind, refractory=0.0, factors=None, **options):
    neuron = LIF(reset=kind, refractory=refractory, **options)
    return coefficients(neuron, DT, torch.ones(N, dtype=torch.float64), factors)


def simulated(population, current, wt, incoming=None, arriving=None):
    population.begin()
    return population.run(current, Recurrence(wt, lambda t, s: s @ wt), incoming, True, arriving)


def spikes(kind, refractory=0.0, seed=0, **options):
    current, wt, factors = network(seed)
    return simulated(LIFPopulation(step_of(kind, refractory, factors, **options), ROWS), current, wt).s


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("refractory", [0.0, 1e-3, 3e-3])
@pytest.mark.parametrize("tau_s", [0.0, 5e-3])
def test_the_twin_is_the_equations_by_hand(kind, refractory, tau_s):
    current, wt, factors = network()
    step = step_of(kind, refractory, factors, tau_s=tau_s)
    found = simulated(LIFPopulation(step, ROWS), current, wt)
    h, s, z, v = by_hand(step, kind, current, wt)
    assert np.array_equal(found.s.numpy(), s)
    assert 0.05 < s.mean() < 0.9
    for one, two in ((found.h, h), (found.z, z), (found.v, v)):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("refractory", [0.0, 3e-3])
def test_the_differentiable_network_spikes_where_the_simulator_does(kind, refractory):
    current, wt, factors = network()
    found = differentiable(step_of(kind, refractory, factors), current, lambda s: s @ wt, None)
    assert torch.equal(found > 0, spikes(kind, refractory))


def compiled():
    """Return the cases of Brian2; compiled, which takes seconds each, those of unlike units that rest are slow."""
    for target, alike, refractory in product(("numpy", "cython"), (True, False), (0.0, 3e-3)):
        tier = pytest.mark.slow if refractory and not alike else pytest.mark.long
        yield pytest.param(refractory, alike, target, marks=[tier] if target == "cython" else [])


@pytest.mark.parametrize(("refractory", "alike", "target"), [*compiled()])
@pytest.mark.parametrize("kind", OTHERS)
def test_brian2_spikes_where_its_twin_does(spiking, kind, refractory, alike, target):
    current, wt, factors = network()
    step = step_of(kind, refractory, None if alike else factors)
    twin = simulated(LIFPopulation(step, ROWS), current, wt)
    brian = simulated(spiking.Brian2Population(step, ROWS, dt=DT, target=target), current, wt)
    assert torch.equal(twin.s, brian.s)
    for one, two in ((twin.h, brian.h), (twin.z, brian.z), (twin.v, brian.v)):
        assert one is not None
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", ["twin", "brian2"])
@pytest.mark.parametrize("kind", OTHERS)
def test_a_run_in_parts_is_one_run_and_begin_forgets_it(request, kind, backend):
    current, wt, factors = network()
    step = step_of(kind, 0.0, factors)
    if backend == "twin":
        population = LIFPopulation(step, ROWS)
    else:
        population = request.getfixturevalue("spiking").Brian2Population(step, ROWS, dt=DT, target="numpy")
    whole = simulated(population, current, wt)
    for chunk in (1, 7):
        population.begin()
        recurrence = Recurrence(wt, lambda t, s: s @ wt)
        parts = [population.run(part, recurrence, None, True) for part in current.split(chunk)]
        for one, two in zip(whole, zip(*parts, strict=True), strict=True):
            assert torch.equal(one, torch.cat(two))


def test_the_kinds_differ():
    found = [spikes(kind) for kind in KINDS]
    for k, one in enumerate(found):
        assert all((one != other).double().mean() > 0.02 for other in found[k + 1 :])


@given(st.integers(0, 2**16), st.sampled_from(["hard", "subtract"]), st.integers(2, 6))
@settings(max_examples=20, deadline=None)
def test_in_a_refractory_period_of_two_steps_a_delay_does_nothing(seed, kind, steps):
    """The membrane is held where the reset put it, a step sooner or later."""
    assert torch.equal(spikes(kind, steps * DT, seed), spikes(f"{kind}_delayed", steps * DT, seed))


@given(st.integers(0, 2**16))
@settings(max_examples=20, deadline=None)
def test_a_delayed_hard_reset_is_a_refractory_period_of_two_steps(seed):
    assert torch.equal(spikes("hard_delayed", 0.0, seed), spikes("hard", 2 * DT, seed))


def test_a_raised_threshold_is_no_other_one_below_twice_of_it():
    current, wt, _ = network(mean=1.2, spread=1.0)
    found = [
        simulated(LIFPopulation(step_of(kind), ROWS), current, 0.2 * wt) for kind in ("subtract", "subtract_raised")
    ]
    assert float(found[0].v.max()) < 2.0
    assert torch.equal(found[0].s, found[1].s)
    assert found[0].s.any()


def run_one(kind, drives):
    """Return spikes and potentials of one unit without leak, whose steps add what `drives` says."""
    step = step_of(kind, tau_s=0.0)._replace(a_m=torch.ones(N, dtype=torch.float64), k_e=torch.ones(N).double())
    current = torch.tensor(drives, dtype=torch.float64).view(-1, 1, 1).expand(-1, 1, N)
    found = simulated(LIFPopulation(step, 1), current, torch.zeros(N, N, dtype=torch.float64))
    return found.s[:, 0, 0].long().tolist(), found.v[:, 0, 0].tolist()


@pytest.mark.parametrize(
    ("kind", "wanted_s", "wanted_v"),
    [
        ("hard", [1, 0, 0, 1, 0], [3.5, 0.25, 0.5, 1.75, 0.25]),
        ("subtract", [1, 1, 1, 1, 1], [3.5, 2.75, 2.0, 2.25, 1.5]),
        ("hard_delayed", [1, 0, 0, 1, 0], [3.5, 0.0, 0.25, 1.5, 0.0]),
        ("subtract_delayed", [1, 1, 1, 1, 1], [3.5, 2.75, 2.0, 2.25, 1.5]),
        ("subtract_raised", [1, 1, 0, 1, 1], [3.5, 2.75, 2.0, 3.25, 2.5]),
    ],
)
def test_one_unit_without_leak_by_hand(kind, wanted_s, wanted_v):
    """Without leak a delayed subtraction is the other; 2.0 is not above the raised threshold of 2, and 3.25 is."""
    assert run_one(kind, [3.5, 0.25, 0.25, 1.25, 0.25]) == (wanted_s, wanted_v)


def test_the_surrogate_is_centred_where_the_membrane_is_compared():
    """v_0 = 2.5 spikes and leaves 1.5 > 1: ds_1/dI_1 = k_e / (1 + beta |v_1 - 2|)^2."""
    step = coefficients(LIF(reset="subtract_raised", refractory=0.0), DT, torch.ones(1, dtype=torch.float64))
    k_e, a_m = float(step.k_e), float(step.a_m)
    current = torch.tensor([2.5 / k_e, 0.0], dtype=torch.float64).view(2, 1, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(differentiable(step, current, torch.zeros_like, None)[1].sum(), current)
    slope = 1 / (1 + Surrogate.beta * abs(1.5 * a_m - 2)) ** 2
    assert gradient.flatten().tolist() == close([a_m * k_e * slope, k_e * slope], rel=1e-12)


@pytest.mark.parametrize(("kind", "kept"), [("subtract_delayed", True), ("hard_delayed", False)])
def test_the_gradient_passes_a_delayed_subtraction_and_not_a_hard_one(kind, kept):
    """The unit spikes at step 0; at 1 its membrane is a_m v_0 - 1, or 0 whatever came in."""
    step = coefficients(LIF(reset=kind, refractory=0.0), DT, torch.ones(1, dtype=torch.float64))
    k_e, a_m = float(step.k_e), float(step.a_m)
    current = torch.tensor([1.5 / k_e, 0.0], dtype=torch.float64).view(2, 1, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(differentiable(step, current, torch.zeros_like, None)[1].sum(), current)
    slope = kept / (1 + Surrogate.beta * abs(1.5 * a_m - 2)) ** 2
    assert gradient.flatten().tolist() == close([a_m * k_e * slope, k_e * slope], rel=1e-12)
