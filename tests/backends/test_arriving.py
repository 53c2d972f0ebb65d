"""Currents that arrive before the membrane moves: by hand, and in every simulator as the step before brings them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.backends.chip_network import ChipPopulation
from neuroanp.backends.equations import Equations
from neuroanp.backends.lif import LIFPopulation, Surrogate, differentiable
from neuroanp.backends.neuron import LIF, coefficients
from neuroanp.backends.population import Recurrence, Steps
from tests.backends.lif_by_hand import by_hand
from tests.backends.test_chips import loihi_chip, xylo_chip
from tests.close import close

DT, T, ROWS, N = 1e-3, 120, 3, 5
PLAIN = Equations(
    model="""dv/dt = (-v + I + Iext)/tau_m : 1 (unless refractory)
             dI/dt = -I/tau_s : 1
             dz/dt = -z/tau_r : 1
             Iext : 1""",
    threshold="v > 1", reset="v = 0; z += 1", refractory="2 ms", method="exact",
    parameters={"tau_m": "20 ms", "tau_s": "5 ms"},
)  # fmt: skip


def network(seed=0, whole=False):
    """Return external currents, weights, what arrives at the start of each step, and what at the synapses' turn."""
    rng = np.random.default_rng(seed)
    current, wt = rng.normal(1.2, 1.0, (T, ROWS, N)), rng.normal(0, 1, (N, N))
    arriving, incoming = (rng.exponential(0.5, (T, ROWS, N)) * (rng.random((T, ROWS, N)) < 0.3) for _ in range(2))
    if whole:  # of a chip's units
        current, wt, arriving, incoming = 0 * current, np.rint(40 * wt), np.rint(90 * arriving), np.rint(20 * incoming)
    return (torch.from_numpy(part) for part in (current, wt, arriving, incoming))


def step_of(seed=None, **options):
    rng = np.random.default_rng(seed)
    names = () if seed is None else ("threshold", "tau_m", "tau_s")
    factors = {name: torch.from_numpy(rng.uniform(0.8, 1.2, N)) for name in names}
    return coefficients(LIF(**options), DT, torch.ones(N, dtype=torch.float64), factors)


def made(name, request=None):
    """Return a population of its kind, in the unit in which `network` gives its currents."""
    if name == "twin":
        return LIFPopulation(step_of(0), ROWS)
    if name in ("loihi", "xylo"):
        population = ChipPopulation(ROWS)
        population.take(loihi_chip(torch.zeros(N, dtype=torch.int64)) if name == "loihi" else xylo_chip())
        return population
    module = request.getfixturevalue("spiking")
    options = {"dt": DT, "target": "numpy"}
    if name == "equations":
        return module.EquationsPopulation(PLAIN, torch.ones(N, dtype=torch.float64), ROWS, **options)
    return module.Brian2Population(step_of(0), ROWS, recurrence=name.partition(" ")[2] or "auto", **options)


def simulated(population, current, wt, incoming, arriving, chunk=T) -> Steps:
    population.begin()
    recurrence = Recurrence(wt, lambda t, s: s @ wt)
    cut = [(None,) * T if each is None else each.split(chunk) for each in (current, incoming, arriving)]
    parts = [population.run(now, recurrence, later, True, early) for now, later, early in zip(*cut, strict=False)]
    return Steps(*(torch.cat(part) for part in zip(*parts, strict=True)))


@pytest.mark.parametrize("reset", ["hard", "subtract", "subtract_delayed", "subtract_raised"])
@pytest.mark.parametrize("refractory", [0.0, 2e-3])
@pytest.mark.parametrize("tau_s", [0.0, 5e-3])
@pytest.mark.parametrize("spikes_in", [True, False])
def test_the_twin_is_the_equations_by_hand(reset, refractory, tau_s, spikes_in):
    current, wt, arriving, incoming = network()
    step = step_of(1, reset=reset, refractory=refractory, tau_s=tau_s)
    later = incoming if spikes_in else None
    found = simulated(LIFPopulation(step, ROWS), current, wt, later, arriving)
    h, s, z, v = by_hand(step, reset, current, wt, later, arriving)
    assert np.array_equal(found.s.numpy(), s)
    assert s.sum() > 40
    for one, two in ((found.h, h), (found.z, z), (found.v, v)):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-12)
    through = differentiable(step, current, lambda s: s @ wt, later, arriving)
    assert torch.equal(through > 0, found.s)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["brian2 dense", "brian2 sparse", "brian2 synapses", "equations"])
@pytest.mark.parametrize("spikes_in", [True, False])
def test_brian2_spikes_where_its_twin_does(request, name, spikes_in):
    current, wt, arriving, incoming = network()
    later = incoming if spikes_in else None
    twin = LIFPopulation(step_of() if name == "equations" else step_of(0), ROWS)
    one, two = (simulated(each, current, wt, later, arriving) for each in (twin, made(name, request)))
    assert torch.equal(one.s, two.s)
    assert one.s.sum() > 40
    for a, b in ((one.h, two.h), (one.z, two.z), (one.v, two.v)):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["twin", "brian2", "equations", "loihi", "xylo"])
@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_chunks_of_any_size_give_the_same_bits(request, name, chunk):
    current, wt, arriving, incoming = network(whole=name in ("loihi", "xylo"))
    population = made(name, request)
    found = [simulated(population, current, wt, incoming, arriving, size) for size in (T, chunk)]
    assert found[0].s.any()
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


@pytest.mark.parametrize("name", ["twin", "brian2", "equations", "loihi", "xylo"])
def test_nothing_that_arrives_is_none_and_something_is_seen(request, name):
    current, wt, arriving, incoming = network(whole=name in ("loihi", "xylo"))
    population = made(name, request)
    without, nothing, more = (
        simulated(population, current, wt, incoming, early) for early in (None, 0 * arriving, arriving)
    )
    assert all(torch.equal(one, two) for one, two in zip(without, nothing, strict=True))
    assert not torch.equal(without.s, more.s)


@given(st.integers(0, 2**16), st.sampled_from(["twin", "loihi", "xylo"]))
@settings(max_examples=30, deadline=None)
def test_what_arrives_is_what_the_synapses_turn_of_the_step_before_would_add(seed, name):
    """I_{t-1} + x is one current, whoever adds x; of whole numbers to the last bit."""
    current, wt, arriving, incoming = network(seed, whole=name != "twin")
    arriving[0] = 0
    early = simulated(made(name), current, wt, incoming, arriving)
    before = torch.cat([arriving[1:], 0 * arriving[:1]])
    late = simulated(made(name), current, wt, incoming + before, None)
    assert torch.equal(early.s, late.s)
    tolerance = 1e-12 if name == "twin" else 0.0
    for one, two in ((early.h, late.h), (early.v, late.v)):
        torch.testing.assert_close(one, two, rtol=0, atol=tolerance)


def test_a_current_that_arrives_moves_the_membrane_in_its_own_step():
    """v_0 = k_I x and ds_0/dx_0 = k_I / (1 + beta |v_0 - 1|)^2; a step later v_1 = a_m v_0 + k_I a_s x."""
    step = coefficients(LIF(), DT, torch.ones(1, dtype=torch.float64))
    arriving = torch.tensor([0.5, 0.0], dtype=torch.float64).view(2, 1, 1).requires_grad_()
    zero = torch.zeros(2, 1, 1, dtype=torch.float64)
    spikes = differentiable(step, zero, torch.zeros_like, None, arriving)
    k_i, a_m, a_s = float(step.k_i), float(step.a_m), float(step.a_s)
    expected = [k_i, a_m * k_i + k_i * a_s]
    for t, slope in enumerate(expected):
        (gradient,) = torch.autograd.grad(spikes[t].sum(), arriving, retain_graph=True)
        factor = 1 / (1 + Surrogate.beta * abs(0.5 * slope - 1)) ** 2
        assert float(gradient[0]) == close(slope * factor, rel=1e-12)


def test_each_sum_is_rounded_to_the_chips_numbers():
    """0.4 and 0.4 of a unit's weight are nothing, 0.6 and 0.6 two."""
    chip = loihi_chip(torch.zeros(N, dtype=torch.int64))
    still = torch.zeros(2, 1, N, dtype=torch.float64)
    seen = []
    for size in (0.4, 0.6):
        population = ChipPopulation(1)
        population.take(chip)
        population.begin()
        first, second = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
        later, early = (size * each.view(2, 1, 1).expand(2, 1, N).double() for each in (first, second))
        population.run(still, Recurrence(still[0].expand(N, N), lambda t, s: s), later, False, early)
        seen.append(int(population.states[0][0, 0]) >> 6)
    assert seen == [0, 2]
