"""Echo state networks: the spectral radius, the density and the scale are those that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from neuroanp.baselines.esn import ESN, inputs, reservoir
from neuroanp.errors import InputError
from tests.close import close


@pytest.mark.parametrize("radius", [0.3, 0.9, 1.4])
@pytest.mark.parametrize("density", [0.1, 1.0])
def test_the_spectral_radius_and_the_density_are_those_asked_for(radius, density):
    W = reservoir(ESN(radius=radius, density=density), 80, np.random.default_rng(0))
    assert float(np.abs(np.linalg.eigvals(W)).max()) == close(radius, rel=1e-9)
    share = (W != 0).mean()
    assert abs(share - density) < 4 * np.sqrt(density * (1 - density) / W.size) + 1e-12


def test_below_a_largest_singular_value_of_one_the_start_is_forgotten():
    """The echo state property, where it is sure: two starts come together, a step at least by that factor."""
    W = reservoir(ESN(radius=0.45), 60, np.random.default_rng(1))
    most = float(np.linalg.svd(W, compute_uv=False).max())
    assert most < 1
    x, y = np.random.default_rng(2).uniform(-1, 1, (2, 60))
    for _ in range(20):
        apart = np.linalg.norm(x - y)
        x, y = np.tanh(W @ x + 0.1), np.tanh(W @ y + 0.1)
        assert np.linalg.norm(x - y) <= most * apart * (1 + 1e-12)


def test_inputs_are_uniform_within_their_scale():
    W = inputs(ESN(input_scale=0.2), 400, 3, np.random.default_rng(0))
    assert W.shape == (400, 3)
    assert 0.19 < np.abs(W).max() <= 0.2
    assert float(W.std()) == close(0.2 / np.sqrt(3), rel=0.05)


def test_a_draw_without_a_loop_has_no_radius():
    with pytest.raises(InputError, match=r"rule\.density: 0\.001 of the weights of 5 units make no loop"):
        reservoir(ESN(density=0.001), 5, np.random.default_rng(0))
    assert not reservoir(ESN(density=0.001, radius=0.0), 5, np.random.default_rng(0)).any()


def test_options_say_how_they_compare():
    assert ESN().feedback == "LS"
    assert not ESN().local
    with pytest.raises(InputError, match="rule: 'esn' computes weights of rate networks"):
        ESN().check(spiking=True)
