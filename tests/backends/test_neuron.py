"""The coefficients of one step against a numerical integration of the equations, and their limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from neuroanp.backends.equations import Equations
from neuroanp.backends.lif import LIFPopulation
from neuroanp.backends.neuron import LIF, coefficients
from neuroanp.backends.population import Recurrence
from neuroanp.units import PositiveTime
from tests.close import close

ONE = torch.ones(1, dtype=torch.float64)


def integrated(tau_m, tau_s, dt, v, current, external):
    """Solve tau_m dv/dt = -v + I + I_ext, tau_s dI/dt = -I over dt."""

    def slope(_, state):
        return [(-state[0] + state[1] + external) / tau_m, -state[1] / tau_s]

    return solve_ivp(slope, (0, dt), [v, current], rtol=1e-12, atol=1e-14, method="DOP853").y[:, -1]


@pytest.mark.parametrize("dt", [1e-4, 1e-3, 4e-3])
@pytest.mark.parametrize(
    ("tau_m", "tau_s"), [(20e-3, 5e-3), (5e-3, 20e-3), (10e-3, 10e-3), (10e-3, 10e-3 * (1 + 1e-9)), (1.0, 4.1e-3)]
)
def test_one_step_is_the_solution_of_the_equations(tau_m, tau_s, dt):
    step = coefficients(LIF(tau_m=tau_m, tau_s=tau_s), dt, ONE)
    for v, current, external in np.random.default_rng(0).uniform(-2, 2, (5, 3)):
        expected = integrated(tau_m, tau_s, dt, v, current, external)
        found = [step.a_m * v + step.k_i * current + step.k_e * external, step.a_s * current]
        np.testing.assert_allclose([float(x) for x in found], expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9, 1e-12, 1e-15, 0.0])
def test_nearly_equal_time_constants_lose_no_digits(gap):
    """k_I against its expansion about tau_m = tau_s: dt/tau a (1 + (m - s)/2 + ...)."""
    tau, dt = 10e-3, 1e-3
    m, s = dt / tau, dt / (tau * (1 + gap))
    d = m - s
    expected = m * np.exp(-m) * (1 + d / 2 + d**2 / 6 + d**3 / 24)
    found = coefficients(LIF(tau_m=tau, tau_s=tau * (1 + gap)), dt, ONE).k_i
    assert float(found) == close(expected, rel=1e-14)


def test_euler_is_the_first_order_of_the_exact_step():
    def step(dt, **options):
        return coefficients(LIF(**options), dt, ONE)

    euler = step(1e-3, integration="euler")
    assert [float(x) for x in euler[:5]] == close([0.95, 0.05, 0.05, 0.8, 0.95], rel=1e-14)
    errors = []
    for dt in (1e-4, 1e-5):
        pairs = zip(step(dt)[:5], step(dt, integration="euler")[:5], strict=True)
        errors.append([abs(float(a) - float(b)) for a, b in pairs])
    assert np.divide(*errors) == close([100.0] * 5, rel=0.02)  # the error of a step is of second order


def test_mismatch_multiplies_time_constants_and_threshold():
    like = torch.ones(3, dtype=torch.float64)
    factors = {
        "tau_m": torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64),
        "tau_s": torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64),
        "threshold": torch.tensor([0.9, 1.0, 1.1], dtype=torch.float64),
    }
    found = coefficients(LIF(), 1e-3, like, factors)
    for unit in range(3):
        own = {name: float(factors[name][unit]) for name in ("tau_m", "tau_s")}
        alone = coefficients(LIF(tau_m=20e-3 * own["tau_m"], tau_s=5e-3 * own["tau_s"]), 1e-3, ONE)
        for name in ("a_m", "k_i", "k_e", "a_s", "a_r"):
            assert float(getattr(found, name)[unit]) == close(float(getattr(alone, name)), rel=1e-14)
    assert torch.equal(found.threshold, factors["threshold"])
    single = coefficients(LIF(), 1e-3, like.float(), {name: f.float() for name, f in factors.items()})
    assert single.a_m.dtype == single.threshold.dtype == torch.float32


def spike_times(neuron: LIF, current: float, steps: int = 60) -> list[int]:
    population = LIFPopulation(coefficients(neuron, 1e-3, ONE), rows=1)
    population.begin()
    nothing = Recurrence(torch.zeros(1, 1, dtype=torch.float64), lambda t, s: s * 0)
    found = population.run(torch.full((steps, 1, 1), current, dtype=torch.float64), nothing, None)
    return found.s[:, 0, 0].nonzero().flatten().tolist()


@pytest.mark.parametrize(("refractory", "held"), [(0.0, 0), (1e-3, 0), (2e-3, 1), (2.4e-3, 1), (5e-3, 4)])
@pytest.mark.parametrize("current", [1.2, 2.0, 8.0])
def test_spikes_come_at_the_passage_time_and_the_refractory_period_holds(refractory, held, current):
    """From 0 the membrane passes 1 in the first step k with c (1 - exp(-k dt / tau_m)) > 1; then it is held.

    The earliest next spike is `refractory` after one: of 1 ms and of none, in the next step of 1 ms.
    """
    k = int(np.floor(-20 * np.log1p(-1 / current))) + 1
    expected = list(range(k - 1, 60, k + held))
    assert spike_times(LIF(refractory=refractory), current) == expected


def test_a_subtractive_reset_keeps_what_lies_above_the_threshold():
    """Without a refractory period: as many spikes as the membrane, less what spikes took, has passed."""
    current, a, v, expected = 3.0, np.exp(-1 / 20), 0.0, []
    for t in range(60):
        v = a * v + (1 - a) * current
        if v > 1:
            expected.append(t)
            v -= 1
    assert spike_times(LIF(refractory=0.0, reset="subtract"), current) == expected
    assert len(expected) > len(spike_times(LIF(refractory=0.0), current))
    # far above: every step a spike, for the membrane stays above the threshold
    assert spike_times(LIF(refractory=0.0, reset="subtract"), 100.0) == list(range(60))


@pytest.mark.parametrize("name", ["tau_m", "tau_s", "tau_r"])
@pytest.mark.parametrize("tau", [1e-3, 0.5e-3])
def test_time_constants_of_a_step_or_less_are_refused(name, tau):
    with pytest.raises(ValueError, match=rf"{name}: '.*' must be longer than one step, dt '1 ms'; use a shorter dt"):
        LIF(**{name: tau}).check(1e-3)
    LIF(**{name: 1.001e-3}).check(1e-3)


@pytest.mark.parametrize("bad", [{"tau_m": -1e-3}, {"refractory": -1e-3}, {"input_gain": 0}, {"reset": "soft"}])
def test_impossible_parameters_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        LIF(**bad)


def test_every_parameter_is_described():
    assert all(field.description for name, field in LIF.model_fields.items() if name != "name")


def test_currents_of_input_spikes_decay_as_the_neuron_says():
    """Of equations by the field tau_s of a subclass, a name that is free to mean anything in `parameters`."""

    class Own(Equations):
        tau_s: PositiveTime = 5e-3

    given = {
        "model": "dv/dt = (-v + I + Iext)/(20*ms) : 1\ndI/dt = -I/tau_s : 1\ndz/dt = -z/tau_r : 1\nIext : 1",
        "threshold": "v > 1", "reset": "v = 0; z += 1", "tau_r": "10 ms",
    }  # fmt: skip
    slow, fast = np.exp(-0.1), np.exp(-0.2)
    assert Own(**given).decays(1e-3) == close((slow, fast), rel=1e-14)
    assert Equations(**given, parameters={"tau_s": "5 ms"}).decays(1e-3) == close((slow, slow), rel=1e-14)
    assert LIF(tau_r="10 ms", tau_s="5 ms").decays(1e-3) == close((slow, fast), rel=1e-14)
    assert LIF(tau_r="10 ms", tau_s="5 ms", integration="euler").decays(1e-3) == close((0.9, 0.8), rel=1e-14)
