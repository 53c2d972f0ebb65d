"""Noise that is added on purpose: moments and whiteness of each kind, and that no fast path takes it for Gaussian."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.kernels import torch_draws
from neuroanp.noise import PassStreams, Streams
from neuroanp.substrates.added_noise import KINDS, checked, drawn, mean
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.substrates.node_noise import NodeNoise
from neuroanp.trajectory import PassPlan
from tests.close import close

PLAN = PassPlan(noise=(1.0, 1.0, 0.0, -1.0), stream=(0, 1, 2, 0), pairs=((0, 1),))
UNITS = {"hidden": 50, "output": 7}
SIGMA, OUTPUT_SIGMA = 0.03, 0.2
COINS = [kind for kind in KINDS if kind != "gaussian"]


def bank(kind, dtype=torch.float32, batch=40, plan=PLAN, law=None, update=4):
    streams, like = PassStreams(Streams(1), "train", update), torch.empty(0, dtype=dtype)
    return NodeNoise(
        plan, UNITS, batch, streams, like, law, SIGMA, output_sigma=OUTPUT_SIGMA, dt=1e-6, kind=kind
    )  # fmt: skip


def kurtosis(kind):
    return 3.0 if kind == "gaussian" else 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_moments_are_those_of_the_kind(kind, dtype):
    """Mean 0 or sigma, variance sigma^2, fourth moment 3 or 1 sigma^4, each within five standard errors."""
    noise = bank(kind, dtype)
    for group, sigma in (("hidden", SIGMA), ("output", OUTPUT_SIGMA)):
        x = noise.draw(group, 0, 60)[:, 0].double().flatten() / sigma
        n, middle = len(x), mean(kind)
        assert abs(float(x.mean()) - middle) < 5 / math.sqrt(n)
        centred = x - middle
        assert abs(float(centred.square().mean()) - 1) < 5 * math.sqrt((kurtosis(kind) - 1) / n) + 1e-6
        assert abs(float(centred.pow(4).mean()) - kurtosis(kind)) < 5 * math.sqrt(96 / n) * (kind == "gaussian") + 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_white_over_steps_units_sequences_and_passes(kind):
    x = bank(kind).draw("hidden", 0, 60)[:, :2].double() / SIGMA - mean(kind)
    pairs = {
        "step": (x[1:], x[:-1]), "pass": (x[:, 0], x[:, 1]), "sequence": (x[:, :, 1:], x[:, :, :-1]),
        "unit": (x[..., 1:], x[..., :-1]),
    }  # fmt: skip
    for name, (a, b) in pairs.items():
        assert abs(float((a * b).mean())) < 5 / math.sqrt(a.numel()), name
    other = bank(kind, update=5).draw("hidden", 0, 60)[:, 0].double() / SIGMA - mean(kind)
    assert abs(float((other * x[:, 0]).mean())) < 5 / math.sqrt(other.numel())


@pytest.mark.parametrize("kind", COINS)
def test_a_coin_has_two_values_and_a_step_of_two_sigma(kind):
    values = bank(kind).draw("hidden", 0, 9)[:, 0].unique().tolist()
    low = 0.0 if kind == "bernoulli" else -SIGMA
    assert values == close([low, low + 2 * SIGMA])


@pytest.mark.parametrize("kind", COINS)
def test_passes_have_the_same_noise_times_their_factor(kind):
    noise = bank(kind).draw("hidden", 0, 9)
    assert not noise[:, 2].any()
    assert torch.equal(noise[:, 3], -noise[:, 0])
    assert not torch.equal(noise[:, 1], noise[:, 0])


@pytest.mark.parametrize("kind", COINS)
def test_it_does_not_depend_on_how_time_is_cut(kind):
    whole, parts = bank(kind).draw("hidden", 0, 12), bank(kind)
    assert torch.equal(torch.cat([parts.draw("hidden", t0, 4) for t0 in (0, 4, 8)]), whole)


@pytest.mark.parametrize("kind", COINS)
def test_who_draws_gaussian_noise_himself_is_given_none(kind):
    assert bank(kind).white("hidden") is None
    silent = NodeNoise(PLAN, UNITS, 2, PassStreams(Streams(0), "train", 0), torch.empty(0), dt=1.0, kind=kind)
    white = silent.white("hidden")
    assert white is not None
    assert white.sigma == 0
    assert silent.draw("hidden", 0, 3) is None


@pytest.mark.parametrize("kind", COINS)
def test_beside_junctions_it_is_added_to_their_noise(kind):
    from neuroanp.profiles import load

    law = load("smtj_koenders").stochastic
    both, alone = (bank(each, law=law).draw("hidden", 0, 6) for each in (kind, "gaussian"))
    xi = PassStreams(Streams(1), "train", 4).normal("gaussian/hidden", 0, 0, 6, (40, 50), np.float32)
    junctions = alone[:, 0] - SIGMA * torch.from_numpy(xi)
    added = (both[:, 0] - junctions).double()
    low = 0.0 if kind == "bernoulli" else -SIGMA
    assert bool((((added - low).abs() < 1e-6) | ((added - low - 2 * SIGMA).abs() < 1e-6)).all())


@pytest.mark.parametrize("kind", COINS)
def test_a_gpu_draws_the_same_bits(kind):
    """By torch's own operations, which is what a GPU without Triton does, and Triton's kernels are held to."""
    streams = PassStreams(Streams(1), "train", 4)
    u = torch_draws.draw("uniform", streams.at("bernoulli/hidden", 0), 3, [5], (2, 9), torch.empty(0))[:, 0]
    found = drawn(kind, streams, "hidden", 5, 0, 3, (2, 9), torch.empty(0))
    assert torch.equal(found, torch.where(u < 0.5, 0.0, 2.0) - (0.0 if kind == "bernoulli" else 1.0))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", COINS)
def test_noise_on_a_gpu_is_that_of_the_cpu(kind):
    made = []
    for device in ("cpu", "cuda"):
        like = torch.empty(0, device=device)
        noise = NodeNoise(PLAN, UNITS, 4, PassStreams(Streams(1), "train", 4), like, None, SIGMA, dt=1.0, kind=kind)
        made.append(noise.draw("hidden", 0, 5).cpu())
    assert torch.equal(*made)


def test_a_kind_that_is_not_known_is_refused():
    assert [checked(kind) for kind in KINDS] == [*KINDS]
    with pytest.raises(InputError, match="no noise is called 'bernouli'; did you mean 'bernoulli'"):
        NodeDrive(0.1, kind="bernouli")  # pyright: ignore[reportArgumentType]
