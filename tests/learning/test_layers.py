"""The rules on several layers and on units of several pre-activations, against loops over their equations."""

from __future__ import annotations

from itertools import product
from math import sqrt

import numpy as np
import pytest
import torch

from neuroanp.baselines.autograd import autograd_gradient
from neuroanp.baselines.network import rate_outputs
from neuroanp.learning.anp import ANP
from neuroanp.learning.node_perturbation import NP
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.gru import GRU
from neuroanp.network.network import INPUT, OUTPUT
from neuroanp.network.tanh import Tanh
from tests.network.made import NETWORKS

T, B = 4, 2
OPTIONS = [
    {"norm": norm, "scale": scale, "difference": difference, "damping": damping}
    for norm, scale, difference, damping in product(
        ("global", "layer"), ("units", "all", "one"), ("activity", "innovation"), (0.0, 1e-3)
    )
]
PASSES = [("two", "sample", 1.0), ("mean", "batch", 0.7), ("silent", "sample", 0.0)]
RULES = [ANP(reference=PASSES[k % 3][0], credit=PASSES[k % 3][1], gamma=PASSES[k % 3][2], K=2, **options)
         for k, options in enumerate(OPTIONS)]  # fmt: skip


def of_passes(lab, rule):
    """One chunk of all passes, with the noise known."""
    now = lab.context()
    return next(iter(now.run(rule.plan(), "noise")))


def differing(rule, M: int) -> list:
    """The differences between passes, as functions of (T, M, ...)."""
    if rule.reference == "mean":
        return [lambda a, p=p: a[:, p] - a.mean(1) for p in range(M)]
    pairs = [(2 * k, 2 * k + 1) if rule.reference == "two" else (k + 1, 0) for k in range(rule.K)]
    return [lambda a, p=p, q=q: a[:, p] - a[:, q] for p, q in pairs]


def updated(lab, rule, chunk, factors) -> dict[str, np.ndarray]:
    """Outer products, one at a time: `factors` takes a difference and returns e (T, B, lines) by group."""
    network, M = lab.weights.network, chunk.y.shape[1]
    x = {INPUT: lab.inputs.numpy()}
    for name, layer in chunk.layers.items():
        x[name] = layer.x[:, 0].numpy() if rule.reference == "silent" else layer.x.numpy().mean(1)
    dW = {name: np.zeros(W.shape) for name, W in lab.weights.items()}
    differences = differing(rule, M)
    for difference in differences:
        e = factors(difference)
        for p, t, b in product(network.projections, range(T), range(B)):
            before = x[p.pre][t - p.delay, b] if t >= p.delay else np.zeros(network.units[p.pre])
            dW[p.name] += np.outer(e[p.post][t, b][network.ports(p)], np.append(before, np.ones(int(p.bias))))
    return {name: total / (B * len(differences)) for name, total in dW.items()}


def credited(lab, rule, chunk, difference) -> tuple[np.ndarray, np.ndarray]:
    """dL (T, B) of a difference, and c, its discounted sum over what follows."""
    miss = chunk.y.numpy() - lab.targets.numpy()[:, None]
    dL = difference(lab.mask.numpy()[:, None, None] * (miss**2).mean(-1))
    if rule.credit == "batch":
        dL = np.repeat(dL.mean(1, keepdims=True), B, 1)
    c = np.array([sum(rule.gamma ** (s - t) * dL[s] for s in range(t, T)) for t in range(T)])
    return dL, c


def anp(lab, rule, chunk):
    """e of a difference, one sample and step at a time."""
    weights, network = lab.weights, lab.weights.network
    lines = network.lines

    def factors(difference):
        dL, c = credited(lab, rule, chunk, difference)
        dy = difference(chunk.y.numpy())
        whole = {name: difference(layer.h.numpy()) for name, layer in chunk.layers.items()}
        d = {name: dh.copy() for name, dh in whole.items()}
        for p, t, b in product(network.projections, range(T), range(B)):
            if rule.difference == "innovation" and p.pre != INPUT and p.post != OUTPUT and t >= p.delay:
                dx = difference(chunk.layers[p.pre].x.numpy())[t - p.delay, b]
                d[p.post][t, b][network.ports(p)] -= weights[p.name].numpy()[:, : len(dx)] @ dx
        d[OUTPUT] = whole[OUTPUT] = dy
        e = {name: np.zeros((T, B, lines[name])) for name in d}
        for group, t, b in product(d, range(T), range(B)):
            who = range(B) if rule.credit == "batch" else [b]
            over = d if group != OUTPUT else whole
            among = network.noisy if rule.norm == "global" else (group,)
            n = sum(lines[name] for name in among)
            s = sum(over[name][t, o] @ over[name][t, o] for name in among for o in who)
            s += n * len(who) * rule.damping
            scale = {"units": n, "all": sqrt(network.inputs + sum(lines.values())), "one": 1}[rule.scale]
            e[group][t, b] = scale * (dL if group == OUTPUT else c)[t, b] * d[group][t, b] / s
        return e

    return factors


def node_perturbation(lab, rule, chunk):
    """e of a difference: credit times known noise over its variance."""
    M, sigma = chunk.y.shape[1], lab.substrate.sigma
    variance = sigma**2 * {"two": 2.0, "silent": 1.0, "mean": 1 - 1 / M}[rule.reference]

    def factors(difference):
        dL, c = credited(lab, rule, chunk, difference)
        return {
            group: (dL if group == OUTPUT else c)[:, :, None] * difference(n.numpy()) / variance
            for group, n in chunk.noise.items()
        }

    return factors


def close_to(found, wanted) -> None:
    assert list(found) == list(wanted)
    for name, dW in wanted.items():
        assert float(np.abs(dW).max()) > 0, name
        np.testing.assert_allclose(found[name].numpy(), dW, rtol=0, atol=1e-9 * np.abs(dW).max(), err_msg=name)


@pytest.mark.parametrize("name", NETWORKS)
def test_anp_is_its_equations_with_every_option(make_lab, name):
    lab = make_lab(T=T, B=B, I=2, O=3, network=NETWORKS[name])
    for rule in RULES:
        chunk = of_passes(lab, rule)
        close_to(lab.update(rule, chunk=3).arrays, updated(lab, rule, chunk, anp(lab, rule, chunk)))


@pytest.mark.parametrize("name", NETWORKS)
def test_node_perturbation_is_its_equations(make_lab, name):
    lab = make_lab(T=T, B=B, I=2, O=3, network=NETWORKS[name])
    for reference, credit, gamma in PASSES:
        rule = NP(reference=reference, credit=credit, gamma=gamma, K=2)
        chunk = of_passes(lab, rule)
        assert set(chunk.noise) == set(lab.weights.network.noisy)
        close_to(lab.update(rule, chunk=3).arrays, updated(lab, rule, chunk, node_perturbation(lab, rule, chunk)))


def test_the_mean_of_node_perturbation_is_the_gradient_of_two_layers(make_lab):
    """Of both layers, gates and outputs: direction, and the size along it."""
    network = stack(2, [Stacked(Tanh(), 3), Stacked(GRU(), 2)], 2, bias=True)
    lab = make_lab(T=3, B=2, I=2, O=2, sigma=1e-5, network=network)
    exact = autograd_gradient(rate_outputs, lab.weights, lab.context()).arrays
    rule = NP(reference="two", K=256)
    total = {name: torch.zeros_like(W) for name, W in lab.weights.items()}
    for update in range(24):
        for name, dW in lab.update(rule, update=update).arrays.items():
            total[name] += dW / 24
    for name, dW in exact.items():
        along = float((total[name] * dW).sum() / dW.norm())
        assert along / float(total[name].norm()) > 0.9, name
        assert 0.8 < along / float(dW.norm()) < 1.25, name
