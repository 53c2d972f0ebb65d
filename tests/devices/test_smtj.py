"""The Koenders source against its closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.profiles import load, loads, profile_path
from tests.close import close


@pytest.fixture(scope="module")
def law():
    return load("smtj_koenders").stochastic.model_copy(update={"n_sources": 2})


@pytest.fixture(scope="module")
def path(law):
    """States (T, n_sources, units) of a stationary start and the noise they make (T, units)."""
    rng = np.random.default_rng(0)
    steps, units = 500, 2000
    draw = lambda *shape: torch.from_numpy(rng.random(shape))  # noqa: E731
    states = law.states(law.start(draw(2, units)), draw(steps, 2, units))
    return states, law.noise(states, torch.from_numpy(rng.standard_normal((steps, units))))


def test_source_numbers_are_those_of_the_paper(law):
    assert 1 / law.flip == pytest.approx(12.36, abs=0.01)
    assert law.correlation_samples == pytest.approx(5.67, abs=0.01)
    assert 1 - 2 * law.flip == pytest.approx(0.838, abs=5e-4)
    assert law.autocorrelation(1) == pytest.approx(0.819, abs=5e-4)


def test_occupancy_and_dwell(law, path):
    states, _ = path
    independent = states.numel() / (2 * 5.67)
    assert float((states > 0).double().mean()) == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(independent))
    flips = (states[1:] != states[:-1]).double().mean()
    assert float(flips) == pytest.approx(law.flip, abs=5 * math.sqrt(law.flip / states.numel()))


def test_start_is_stationary(path):
    states, noise = path
    assert float((states[0] > 0).double().mean()) == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(states[0].numel()))
    assert float(noise[0].var()) == close(float(noise[-1].var()), rel=0.15)


def test_variance_and_autocorrelation(law, path):
    _, noise = path
    sigma = law.node_sigma
    assert sigma == close(abs(law.kappa) * math.sqrt(law.variance) / law.volts_per_unit)
    assert float(noise.mean()) == pytest.approx(0.0, abs=5 * sigma * math.sqrt(2 * 5.67 / noise.numel()))
    assert float(noise.var()) == close(sigma**2, rel=0.02)
    for lag in (1, 2, 5, 10, 20):
        measured = float((noise[lag:] * noise[:-lag]).mean()) / sigma**2
        assert measured == pytest.approx(law.autocorrelation(lag), abs=0.02)


def test_any_cut_of_time_gives_the_same_path(law):
    rng = np.random.default_rng(1)
    start, u = law.start(torch.from_numpy(rng.random((2, 3)))), torch.from_numpy(rng.random((40, 2, 3)))
    whole = law.states(start, u)
    first = law.states(start, u[:13])
    assert torch.equal(whole, torch.cat([first, law.states(first[-1], u[13:])]))


def test_run_is_states_and_noise_and_carries_the_state(law):
    rng = np.random.default_rng(2)
    start, u = law.start(torch.from_numpy(rng.random((2, 3)))), torch.from_numpy(rng.random((40, 2, 3)))
    xi = torch.from_numpy(rng.standard_normal((40, 3)))
    assert (law.uniforms((3,)), law.normals((3,))) == ((2, 3), (3,))
    noise, last = law.run(start, u, xi, 1e-6)
    states = law.states(start, u)
    assert torch.equal(noise, law.noise(states, xi))
    assert torch.equal(last, states[-1])


def test_a_sample_is_a_step_however_long(law):
    rng = np.random.default_rng(3)
    start, u = law.start(torch.from_numpy(rng.random((2, 3)))), torch.from_numpy(rng.random((9, 2, 3)))
    xi = torch.zeros(9, 3, dtype=torch.float64)
    assert law.samples_are_steps
    assert torch.equal(law.run(start, u, xi, 1e-9)[0], law.run(start, u, xi, 1.0)[0])
    assert law.autocorrelation(3e-6, 1e-6) == law.autocorrelation(3)


@pytest.mark.parametrize(("flip", "says"), [(1.1, "1.1 is not a fraction"), (-0.1, "-0.1 is not a fraction")])
def test_a_flip_is_a_probability(flip, says):
    text = profile_path("smtj_koenders").read_text(encoding="utf-8").replace("value: 0.0809", f"value: {flip}")
    line = next(i for i, line in enumerate(text.splitlines(), 1) if line.strip().startswith("flip:"))
    with pytest.raises(InputError) as error:
        loads(text, "mine.yaml")
    assert error.value.problems[0].startswith(f"mine.yaml:{line}: stochastic.flip: {says}")
