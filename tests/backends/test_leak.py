"""Membranes that do not leak: their step is the solution, the simulators agree, and who cannot have them says so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from neuroanp.backends.lif import LIFPopulation, differentiable
from neuroanp.backends.neuron import LIF, coefficients
from neuroanp.backends.population import Recurrence
from neuroanp.errors import InputError
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.training.described import describe
from tests.close import close

ONE = torch.ones(1, dtype=torch.float64)
DT = 1e-3


@pytest.mark.parametrize("tau_s", [4e-3, 20e-3])
def test_one_step_is_the_solution_of_the_equations(tau_s):
    tau_m = 7e-3
    step = coefficients(LIF(tau_m=tau_m, tau_s=tau_s, leak=False), DT, ONE)
    for v, current, external in np.random.default_rng(0).uniform(-2, 2, (5, 3)):

        def slope(_, state, external=external):
            return [(state[1] + external) / tau_m, -state[1] / tau_s]

        wanted = solve_ivp(slope, (0, DT), [v, current], rtol=1e-12, atol=1e-14, method="DOP853").y[:, -1]
        found = [step.a_m * v + step.k_i * current + step.k_e * external, step.a_s * current]
        np.testing.assert_allclose([float(x) for x in found], wanted, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("integration", "tau_s"), [("exact", 5e-3), ("euler", 5e-3), ("exact", 0.0), ("euler", 0.0)])
def test_it_is_the_limit_of_a_long_time_constant_with_as_much_more_current(integration, tau_s):
    """tau_m k (1 unit of current a tau_m) is what is left of a leaky membrane whose tau_m grows."""
    ours = coefficients(LIF(tau_m=8e-3, tau_s=tau_s, leak=False, integration=integration), DT, ONE)
    long = coefficients(LIF(tau_m=8e3, tau_s=tau_s, integration=integration), DT, ONE)
    assert float(ours.a_m) == 1.0
    assert float(ours.k_e) == close(1e6 * float(long.k_e), rel=1e-6)
    assert float(ours.k_i) == close(1e6 * float(long.k_i), rel=1e-6)


def test_its_time_constant_may_be_a_step_and_its_synapse_may_not():
    LIF(leak=False, tau_m=DT).check(DT)
    with pytest.raises(ValueError, match="tau_s: '1 ms' must be longer"):
        LIF(leak=False, tau_s=DT).check(DT)
    with pytest.raises(ValueError, match="tau_m: '1 ms' must be longer"):
        LIF(tau_m=DT).check(DT)


def test_units_that_leak_are_written_as_before_and_others_come_back():
    assert "leak" not in LIF().model_dump_json()
    assert LIF.model_validate_json(LIF(leak=False).model_dump_json()) == LIF(leak=False)


@pytest.mark.parametrize("reset", ["hard", "subtract", "subtract_delayed"])
def test_the_simulators_spike_alike(reset):
    spiking = pytest.importorskip("neuroanp.backends.spiking")
    like = torch.zeros(6, dtype=torch.float64)
    neuron = LIF(tau_m=9e-3, leak=False, refractory=0.0, reset=reset)
    step = coefficients(neuron, DT, like, {"tau_m": torch.linspace(0.8, 1.3, 6, dtype=torch.float64)})
    rng = torch.Generator().manual_seed(0)
    wt = torch.randn(6, 6, generator=rng, dtype=torch.float64)
    current = 2 * torch.rand(120, 2, 6, generator=rng, dtype=torch.float64) - 0.6
    found = []
    for population in (LIFPopulation(step, 2), spiking.Brian2Population(step, 2, dt=DT, target="numpy")):
        population.begin()
        found.append(population.run(current, Recurrence(wt, lambda t, s: s @ wt), None).s)
    assert 0.02 < found[0].double().mean() < 0.6
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], differentiable(step, current, lambda s: s @ wt, None) > 0)


@pytest.mark.parametrize("target", ["loihi", "xylo"])
def test_chips_whose_membranes_leak_refuse_it(target):
    with pytest.raises(InputError, match=r"neuron\.leak: .*needs 'True'; leave it out"):
        configure({"task": "xor", "neuron": {"leak": False}}, target=target)
    with pytest.raises(InputError, match=r"neuron\.leak: .*needs 'True'; leave it out"):
        configure({"task": "xor", "backend": "lif", "neuron": {"leak": False}}, target=target)


def test_a_source_that_is_coupled_by_the_membrane_refuses_it():
    config = configure({"task": "xor", "profile": "smtj_koenders", "backend": "lif", "neuron": {"leak": False}})
    with pytest.raises(InputError, match=r"neuron\.leak: .*sums noise up for ever.*leak: true"):
        describe(Experiment.of(config))
    own = {"layers": [{"units": 3}, {"units": 2, "cell": {"name": "lif", "leak": False}}]}
    config = configure({"task": "xor", "profile": "smtj_koenders", "backend": "lif", "network": own})
    with pytest.raises(InputError, match=r"^network\.layers\[1\]\.cell\.leak: .*sums noise up"):
        describe(Experiment.of(config))
