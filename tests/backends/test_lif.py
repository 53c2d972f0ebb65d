"""The twin in torch: what autograd goes through is the same network, and its surrogate gradient by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from neuroanp.backends.lif import LIFPopulation, Surrogate, differentiable
from neuroanp.backends.network import TwinBackend
from neuroanp.backends.neuron import LIF, coefficients
from neuroanp.backends.population import Recurrence
from neuroanp.errors import InputError
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.tanh import Tanh
from neuroanp.trajectory import PassPlan, Weights
from tests.close import close

T, ROWS, N = 120, 3, 9
SILENT = PassPlan((0.0,), (0,), "mean")


def network(seed=0, steps=T):
    rng = np.random.default_rng(seed)
    current = torch.from_numpy(rng.normal(1.4, 1.5, (steps, ROWS, N)))
    incoming = torch.from_numpy(rng.normal(0, 0.1, (steps, ROWS, N)))
    wt = torch.from_numpy(rng.normal(0, 1, (N, N)))
    factors = {name: torch.from_numpy(rng.uniform(0.8, 1.2, N)) for name in ("threshold", "tau_m", "tau_s")}
    return current, incoming, wt, factors


@pytest.mark.parametrize("reset", ["hard", "subtract"])
@pytest.mark.parametrize("refractory", [0.0, 1e-3, 3e-3])
@pytest.mark.parametrize("spikes_in", [True, False])
@pytest.mark.parametrize("integration", ["exact", "euler"])
def test_the_differentiable_network_spikes_where_the_simulator_does(reset, refractory, spikes_in, integration):
    current, incoming, wt, factors = network()
    neuron = LIF(reset=reset, refractory=refractory, integration=integration)
    step = coefficients(neuron, 1e-3, current[0, 0], factors)
    arriving = incoming if spikes_in else None
    population = LIFPopulation(step, ROWS)
    population.begin()
    expected = population.run(current, Recurrence(wt, lambda t, s: s @ wt), arriving).s
    found = differentiable(step, current.clone().requires_grad_(), lambda s: s @ wt, arriving)
    assert torch.equal(found.detach() > 0, expected)
    assert set(found.unique().tolist()) == {0.0, 1.0}
    assert 0.02 < float(expected.double().mean()) < 0.5


def test_reads_of_a_noise_free_matrix_are_the_matrix():
    current, _, wt, factors = network()
    step = coefficients(LIF(), 1e-3, current[0, 0], factors)
    found = []
    for recurrence in (Recurrence(wt, lambda t, s: s @ wt), Recurrence(None, lambda t, s: s @ wt)):
        population = LIFPopulation(step, ROWS)
        population.begin()
        found.append(population.run(current, recurrence, None, keep_v=True))
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)


def test_a_run_in_two_parts_is_one_run_and_begin_forgets_it():
    current, incoming, wt, factors = network()
    population = LIFPopulation(coefficients(LIF(), 1e-3, current[0, 0], factors), ROWS)
    recurrence = Recurrence(wt, lambda t, s: s @ wt)
    found = []
    for cuts in ((0, T), (0, 1, 50, T)):
        population.begin()
        parts = [population.run(current[a:b], recurrence, incoming[a:b], keep_v=True) for a, b in pairwise(cuts)]
        found.append([torch.cat(kind) for kind in zip(*parts, strict=True)])
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("reset", ["hard", "subtract"])
def test_the_surrogate_gradient_by_hand(reset):
    """d(sum_t s_t) / dI_ext of step 0 of one unit, without recurrence.

        dv_t/dI_0 = k_e a_m^t     ds_t/dv_t = 1 / (1 + beta |v_t - threshold|)^2

    A hard reset sets v to a constant, and what was before is forgotten; a subtractive one passes it on.
    A refractory unit's spikes depend on nothing, and its membrane is held: no decay.
    """
    neuron = LIF(reset=reset, refractory=3e-3)
    step = coefficients(neuron, 1e-3, torch.ones(1, dtype=torch.float64))
    drive = torch.full((40, 1, 1), 2.5, dtype=torch.float64).requires_grad_()
    found = differentiable(step, drive, torch.zeros_like, None)
    (gradient,) = torch.autograd.grad(found.sum(), drive)
    a_m, k_e = float(step.a_m), float(step.k_e)
    v, slope, wait, expected, spikes = 0.0, 0.0, 0, 0.0, 0
    for t in range(40):
        wait = max(wait - 1, 0)
        if wait:
            continue
        v, slope = a_m * v + k_e * 2.5, a_m * slope + (k_e if t == 0 else 0.0)
        expected += slope / (1 + Surrogate.beta * abs(v - 1)) ** 2
        if v > 1:
            spikes, wait = spikes + 1, 3
            v, slope = (v - 1, slope) if reset == "subtract" else (0.0, 0.0)
    assert spikes == int(found.detach().sum()) >= 3
    assert float(gradient[0]) == close(expected, rel=1e-12)
    assert expected > 0


def test_the_gradient_reaches_the_current_of_the_synapse_a_step_later():
    """What arrives at step 0 is in I after it and moves v at step 1: ds_1/d incoming_0 = k_I / (1 + beta |v - 1|)^2."""
    step = coefficients(LIF(), 1e-3, torch.ones(1, dtype=torch.float64))
    arriving = torch.zeros(2, 1, 1, dtype=torch.float64).requires_grad_()
    zero = torch.zeros(2, 1, 1, dtype=torch.float64)
    found = differentiable(step, zero, torch.zeros_like, arriving)
    (gradient,) = torch.autograd.grad(found.sum(), arriving)
    assert gradient[:, 0, 0].tolist() == close([float(step.k_i) / (1 + Surrogate.beta) ** 2, 0.0], rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_of_a_recurrent_network_are_finite(dtype):
    current, incoming, wt, factors = (
        {n: f.to(dtype) for n, f in part.items()} if isinstance(part, dict) else part.to(dtype) for part in network()
    )
    leaf = wt.clone().requires_grad_()
    step = coefficients(LIF(), 1e-3, current[0, 0], factors)
    found = differentiable(step, current, lambda s: s @ leaf, incoming)
    (gradient,) = torch.autograd.grad(found.square().sum(), leaf)
    assert bool(gradient.isfinite().all())
    assert float(gradient.abs().max()) > 0


@pytest.mark.parametrize("decoder", ["trace", "count"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("spikes_in", [True, False])
@pytest.mark.parametrize("profile", ["ideal", "mixed_signal_neurons"])
def test_gradient_and_ridge_see_the_network_that_is_presented(make_bench, decoder, bias, spikes_in, profile):
    """`differentiable` gives the outputs of a noise-free pass, `activity` what its outputs read."""
    bench = make_bench(profile, bias=bias, sigma=None, backend="lif", cell=LIF(decoder=decoder))
    if spikes_in:
        bench.inputs = (bench.inputs > 0.6).to(bench.inputs)
    backend = TwinBackend(1e-3, spikes_in=spikes_in)
    found = bench.passes(SILENT, backend=backend)
    outputs, traces = backend.differentiable(bench.network), backend.activity(bench.network)
    assert outputs is not None
    assert traces is not None
    weights, neurons = bench.chip.weights, bench.chip.neurons
    assert bool(found.spikes.any())
    assert bool(neurons["hidden"]) == (profile == "mixed_signal_neurons")
    # what an ideal array holds is off by the roundings of its conductances
    y = outputs(weights, bench.inputs, neurons)
    torch.testing.assert_close(y, found.y[:, 0], rtol=0, atol=1e-9)
    x = traces(weights, bench.inputs.numpy(), neurons)["hidden"]
    read = found.z if found.readout is None else found.readout[..., :7]
    torch.testing.assert_close(x, read[:, 0], rtol=0, atol=1e-9)


def test_weights_are_left_alone_by_both():
    rng = np.random.default_rng(0)
    shapes = {"w_in": (7, 3), "w": (7, 7), "w_out": (2, 8)}
    arrays = {n: torch.from_numpy(rng.normal(size=shape)) for n, shape in shapes.items()}
    weights = Weights.one_layer(arrays, True, LIF())
    before = {name: W.clone() for name, W in weights.items()}
    inputs = torch.from_numpy(rng.uniform(size=(20, 2, 2)))
    kept = inputs.clone()
    for spikes_in in (True, False):
        backend = TwinBackend(1e-3, spikes_in=spikes_in)
        for asked in (backend.activity(weights.network), backend.differentiable(weights.network)):
            assert asked is not None
            asked(weights, inputs)
    assert all(torch.equal(before[name], weights[name]) for name in before)
    assert torch.equal(inputs, kept)


def one_layer_of(cell):
    return stack(2, [Stacked(cell, 3)], 1)


def test_units_that_are_not_lif_are_refused_by_the_twin():
    from neuroanp.backends.neuron import NeuronModel

    for cell, other in ((NeuronModel(), "spiking"), (Tanh(), "rate")):
        with pytest.raises(InputError, match=rf"^neuron: backend 'lif' has .* only.*; use backend '{other}'$"):
            TwinBackend(1e-3).rehearse(one_layer_of(cell), {"hidden": {}})


def test_a_step_too_long_is_refused_by_the_backend():
    with pytest.raises(InputError, match=r"neuron\.tau_s: '5 ms' must be longer than one step, dt '10 ms'"):
        TwinBackend(10e-3).rehearse(one_layer_of(LIF()), {"hidden": {}})
