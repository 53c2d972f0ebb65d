"""Node noise: moments, streams, gains, and independence of how time is cut."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.substrates.smtj_bank import NodeNoise
from neuroanp.trajectory import PassPlan

PLAN = PassPlan(gain=(1.0, 1.0, 0.0, -1.0), stream=(0, 1, 2, 0), pairs=((0, 1),))
UNITS = {"hidden": 5, "output": 2}


def bank(sigma=0.0, junctions=True, plan=PLAN, batch=3, seed=0, dtype=torch.float64, update=4, units=UNITS):
    law = load("smtj_koenders").stochastic.model_copy(update={"n_sources": 2}) if junctions else None
    streams = PassStreams(Streams(seed), "train", update)
    return NodeNoise(plan, units, batch, streams, torch.empty(0, dtype=dtype), law, sigma)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, 70), min_size=1, max_size=5), layer=st.sampled_from(["hidden", "output"]))
def test_noise_does_not_depend_on_the_cuts(cuts, layer):
    steps = sum(cuts)
    whole = bank(sigma=0.1).draw(layer, 0, steps)
    pieces, noise, t0 = [], bank(sigma=0.1), 0
    for cut in cuts:
        pieces.append(noise.draw(layer, t0, cut))
        t0 += cut
    assert torch.equal(torch.cat(pieces), whole)


def test_passes_share_streams_and_gains_scale_them():
    noise = bank(sigma=0.05).draw("hidden", 0, 20)
    assert noise.shape == (20, 4, 3, 5)
    assert torch.equal(noise[:, 3], -noise[:, 0])
    assert not bool(noise[:, 2].any())
    assert not torch.equal(noise[:, 0], noise[:, 1])


def test_layers_updates_and_seeds_differ_and_a_replay_repeats():
    noise = bank()
    first = noise.draw("hidden", 0, 10)
    assert torch.equal(noise.draw("hidden", 0, 10), first)  # step 0 starts again
    assert not torch.equal(bank(update=5).draw("hidden", 0, 10), first)
    assert not torch.equal(bank(seed=1).draw("hidden", 0, 10), first)


def test_moments_of_both_sources():
    plan = PassPlan((1.0,), (0,), "mean")
    gaussian = bank(sigma=0.03, junctions=False, plan=plan, batch=100).draw("hidden", 0, 400)
    assert float(gaussian.std()) == pytest.approx(0.03, rel=0.01)
    noise = bank(plan=plan, batch=100)
    drawn = noise.draw("hidden", 0, 400)
    sigma = noise.junctions.node_sigma
    assert float(drawn.std()) == pytest.approx(sigma, rel=0.02)
    lagged = float((drawn[1:] * drawn[:-1]).mean()) / sigma**2
    assert lagged == pytest.approx(noise.junctions.autocorrelation(1), abs=0.02)


def test_units_and_sequences_are_independent():
    plan = PassPlan((1.0,), (0,), "mean")
    drawn = bank(plan=plan, batch=4, units={"hidden": 6, "output": 1}).draw("hidden", 0, 20_000)
    flat = drawn.reshape(20_000, -1)
    correlation = torch.corrcoef(flat.T)
    off = correlation - torch.diag(correlation.diag())
    assert float(off.abs().max()) < 5 * (5.67 * 2 / 20_000) ** 0.5 / 2


def test_silence_is_none_and_order_is_checked():
    assert bank(junctions=False).draw("hidden", 0, 3) is None
    noise = bank()
    noise.draw("hidden", 0, 10)
    with pytest.raises(ValueError, match="follow in time"):
        noise.draw("hidden", 11, 5)


def test_single_precision():
    drawn = bank(sigma=0.1, dtype=torch.float32).draw("output", 0, 4)
    assert drawn.dtype == torch.float32
