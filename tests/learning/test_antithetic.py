"""Pairs of passes with the same noise and opposite sign: no error of even order, and no sign for what devices do."""

from __future__ import annotations

from math import sqrt

import pytest
import torch

from neuroanp.backends.reads import ArrayReads
from neuroanp.devices.ornstein_uhlenbeck import OrnsteinUhlenbeck
from neuroanp.errors import InputError
from neuroanp.learning.anp import ANP
from neuroanp.learning.iterative import INP
from neuroanp.learning.node_perturbation import NP
from neuroanp.losses import of_steps
from neuroanp.noise import PassStreams, Streams
from neuroanp.substrates.node_noise import NodeNoise
from neuroanp.substrates.protocol import ReadPlan
from neuroanp.trajectory import PassPlan
from tests.factors import factors_of

MIRRORED = PassPlan((1.0, -1.0, 1.0, -1.0), (0, 0, 1, 1), ((0, 1), (2, 3)))


def outputs_alone(lab):
    """Let the outputs alone have noise: then the loss is a quadratic of what is perturbed."""
    sigma = lab.substrate.sigma

    def perturbation(plan, batch, streams, artificial=True, apart=0.0):
        units = lab.weights.network.lines
        return NodeNoise(plan, units, batch, streams, lab.weights.like, None, 0.0, output_sigma=sigma, dt=1e-6)

    lab.substrate.perturbation = perturbation
    lab.substrate.node_sigmas = lambda artificial=True: {"hidden": 0.0, "output": sigma}
    return lab


def factors(lab, rule):
    """Return the factors of the outputs in one update, (T, B, O)."""
    chunk = next(iter(lab.context().run(rule.plan(), "noise")))
    credit = rule.assign(of_steps(lab.loss, chunk.y, lab.targets, lab.mask), rule.plan(), chunk.dt)
    return factors_of(rule, chunk, credit, lab.weights, rule.plan())["w_out"]


def one_output(make_lab, **sizes):
    """A network of one output, the same input and target for every sequence, and e = y - target without noise."""
    lab = outputs_alone(make_lab(T=1, I=2, N=3, O=1, **sizes))
    lab.inputs, lab.targets = (part[:, :1].expand_as(part).contiguous() for part in (lab.inputs, lab.targets))
    x = torch.tanh(lab.inputs[0] @ lab.weights["w_in"].T)
    return lab, float((x @ lab.weights["w_out"].T - lab.targets[0])[0, 0])


def test_the_derivative_of_a_quadratic_is_exact_at_any_noise(make_lab):
    """L = (e + n)^2: L(n) - L(-n) = 4 e n, and so n_units dL dy / dy^2 = 2 e, however large the noise."""
    lab, e = one_output(make_lab, B=50, sigma=30.0)
    found = factors(lab, ANP(reference="antithetic", norm="layer"))
    torch.testing.assert_close(found, torch.full_like(found, 2 * e), rtol=1e-9, atol=0)
    two = factors(lab, ANP(reference="two", norm="layer"))
    assert float((two - 2 * e).abs().median()) > 10  # dL dy / dy^2 = 2 e + n_1 + n_2


@pytest.mark.parametrize(
    ("reference", "variance"),
    [
        ("silent", lambda e, s: 8 * e**2 + 15 * s**2),
        ("two", lambda e, s: 8 * e**2 + 6 * s**2),
        ("antithetic", lambda e, s: 8 * e**2),
    ],
)
def test_the_variance_of_node_perturbation_on_a_quadratic(make_lab, reference, variance):
    """Of (2 e n + n^2) n / s^2 (silent), of its pair, and of 2 e n^2 / s^2: what even orders of the loss leave."""
    lab, e = one_output(make_lab, B=200_000, sigma=0.5)
    found = factors(lab, NP(reference=reference)).flatten()
    assert float((found.mean() - 2 * e).abs()) < 5 * float(found.std()) / sqrt(len(found))
    squares = (found - 2 * e).square()
    assert float((squares.mean() - variance(e, 0.5)).abs()) < 5 * float(squares.std()) / sqrt(len(found))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pairs_have_the_same_noise_with_opposite_sign(dtype):
    streams = PassStreams(Streams(3), "train", 5)
    noise = NodeNoise(MIRRORED, {"hidden": 4, "output": 2}, 3, streams, torch.zeros(1, dtype=dtype), sigma=0.1, dt=1.0)
    for group in ("hidden", "output"):
        found = noise.draw(group, 0, 6)
        assert found is not None
        assert torch.equal(found[:, 0], -found[:, 1])
        assert torch.equal(found[:, 2], -found[:, 3])
        assert not torch.equal(found[:, 0].abs(), found[:, 2].abs())
        assert float(found.abs().min()) > 0


def test_reads_of_devices_have_no_sign(make_lab):
    """Each pass reads anew: what is drawn for passes 0 .. 3 of a pair plan, of positive sign."""
    lab = make_lab(B=2)
    reads = {name: ReadPlan(W, sigma2=torch.full_like(W, 0.04)) for name, W in lab.weights.items()}
    x, streams = torch.ones(3, 1, 2, 3, dtype=torch.float64), lab.context().streams
    plain = PassPlan((1.0,) * 4, (0, 1, 2, 3), ((0, 1), (2, 3)))
    mirrored, usual = (
        ArrayReads(lab.substrate, reads, plan, streams, 2, 0.0).read("w_in", x, 0) for plan in (MIRRORED, plain)
    )
    assert torch.equal(mirrored, usual)
    assert not torch.equal(usual[:, 0], usual[:, 1])


def test_sources_of_a_device_perturb_all_groups_of_units_at_once():
    source = OrnsteinUhlenbeck(sigma=0.1, tau=1e-3, n_sources=1)
    streams, like = PassStreams(Streams(0), "train", 0), torch.zeros(1)
    with pytest.raises(InputError, match=r"nobody turns their sign or switches them on .*reference: two or mean"):
        NodeNoise(INP().plan(), {"hidden": 4, "output": 2}, 3, streams, like, source, dt=1e-6)
