"""How far noise moves a membrane: the formula against closed forms and against membranes."""

from __future__ import annotations

from math import exp, inf, sqrt

import numpy as np
import pytest
import torch

from neuroanp.backends.coupling import membrane_rms
from neuroanp.backends.lif import LIFPopulation
from neuroanp.backends.neuron import LIF, coefficients
from neuroanp.backends.population import Recurrence
from neuroanp.devices.ornstein_uhlenbeck import OrnsteinUhlenbeck
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.substrates.node_noise import NodeNoise
from neuroanp.trajectory import PassPlan
from tests.close import close

A = exp(-1e-3 / 20e-3)
UNITS, STEPS = 8000, 220  # eleven time constants of the membrane: its start is forgotten to exp(-22) of the variance

SOURCES = {
    "white": OrnsteinUhlenbeck(sigma=0.5, n_sources=1),
    "slow": OrnsteinUhlenbeck(sigma=0.1, tau=10e-3, n_sources=4),
    "telegraph by samples": load("smtj_koenders").stochastic,
    "telegraph by time": load("smtj_telegraph").stochastic,
}


@pytest.mark.parametrize("integration", ["exact", "euler"])
@pytest.mark.parametrize("name", SOURCES)
def test_it_is_the_rms_of_a_membrane_that_never_spikes(name, integration):
    """The variance over units; its standard error is sqrt(2/n) of it for a Gaussian, less for a telegraph signal."""
    source = SOURCES[name]
    neuron = LIF(integration=integration)
    rest = coefficients(neuron, 1e-3, torch.ones(UNITS))
    population = LIFPopulation(rest._replace(threshold=torch.full((UNITS,), inf)), rows=1)
    population.begin()
    noise = NodeNoise(
        PassPlan((1.0,), (0,), "mean"), {"hidden": UNITS}, 1, PassStreams(Streams(3), "train", 0), torch.ones(1),
        source, dt=1e-3,
    ).draw("hidden", 0, STEPS)  # fmt: skip
    assert noise is not None
    nothing = Recurrence(None, lambda t, s: torch.zeros_like(s))
    found = population.run(noise[:, 0], nothing, None, keep_v=True)
    assert not found.s.any()
    assert found.v is not None
    v = found.v[-1, 0].double().numpy()
    expected = membrane_rms(source, neuron.membrane_decay(1e-3), 1e-3)
    assert np.mean(v**2) / expected**2 == pytest.approx(1.0, abs=4 * sqrt(2 / UNITS))


@pytest.mark.parametrize("tau", [1e-3, 10e-3, 1.0])
def test_an_exponential_correlation_sums_to_a_closed_form(tau):
    """1 + 2 sum a^k rho^k = (1 + a rho) / (1 - a rho)."""
    a, rho = A, exp(-1e-3 / tau)
    expected = 0.3 * sqrt((1 - a) / (1 + a) * (1 + a * rho) / (1 - a * rho))
    found = membrane_rms(OrnsteinUhlenbeck(sigma=0.3, tau=tau, n_sources=1), A, 1e-3)
    assert found == close(expected, rel=1e-6)


def test_white_noise_counts_by_its_power_and_slow_noise_by_its_variance():
    """sigma sqrt((1-a)/(1+a)) -> sigma sqrt(dt / 2 tau_m) for short steps; sigma where noise stands still."""
    white = OrnsteinUhlenbeck(sigma=1.0, n_sources=1)
    assert membrane_rms(white, exp(-1e-6 / 20e-3), 1e-6) == close(sqrt(1e-6 / 40e-3), rel=1e-4)
    assert membrane_rms(OrnsteinUhlenbeck(sigma=1.0, tau=1e6, n_sources=1), A, 1e-3) == close(1, rel=1e-6)


def test_what_flips_every_step_hardly_moves_a_membrane():
    """rho_k = (-1)^k: the sum is (1 - a) / (1 + a), so that rms = sigma (1 - a) / (1 + a)."""
    law = load("smtj_koenders").stochastic
    assert law is not None
    flips = law.model_copy(update={"flip": 1.0, "sigma_white": 0.0})
    assert membrane_rms(flips, A, 1e-3) == close(flips.node_sigma * (1 - A) / (1 + A), rel=1e-6)


def test_a_membrane_that_hardly_forgets_is_refused():
    with pytest.raises(ValueError, match="million steps"):
        membrane_rms(SOURCES["white"], exp(-1e-7), 1e-3)
