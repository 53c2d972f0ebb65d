"""Node noise of every kind of source: moments at any step, streams, gains, and independence of how time is cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.devices.fluctuator_laws import FluctuatorsSource
from neuroanp.devices.junction import Junction
from neuroanp.devices.one_over_f import OneOverFSource
from neuroanp.devices.ornstein_uhlenbeck import OrnsteinUhlenbeck
from neuroanp.devices.rtn import RtnSource
from neuroanp.devices.trace import MeasuredTrace
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.substrates.node_noise import NodeNoise
from neuroanp.trajectory import PassPlan
from tests.close import close

PLAN = PassPlan(noise=(1.0, 1.0, 0.0, -1.0), stream=(0, 1, 2, 0), pairs=((0, 1),))
UNITS = {"hidden": 5, "output": 2}


DT = 2e-6
KINDS = (
    "koenders", "smtj", "rtn", "one_over_f", "fluctuators", "ornstein_uhlenbeck", "white", "replay", "resample",
)  # fmt: skip
with_memory = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module", autouse=True)
def recording(tmp_path_factory):
    """A correlated trace, of which the measured sources are made."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("recordings") / "trace.npz"
    np.savez(path, voltage_mV=np.convolve(rng.standard_normal(1007), np.ones(8), "valid"))
    SOURCES.update(make_sources(str(path)))


SOURCES = {}


def make_sources(trace):
    out = {"n_sources": 2, "kappa": -1.0, "volts_per_unit": 0.1}
    measured = {"file": trace, "sampling_time": 1e-6, **out}
    return {
        "koenders": load("smtj_koenders").stochastic.model_copy(update={"n_sources": 2}),
        "smtj": Junction(
            dwell=8e-6, tau0=1e-9, v_slope=0.02, v50=0.2, exponent=1, reference_temperature=300.0, bias=0.21,
            r_p=1e4, tmr=1.0, r_load=1e4, v_dd=0.4, **out,
        ),
        "rtn": RtnSource(tau_high=2e-6, tau_low=6e-6, amplitude=0.01, **out),
        "one_over_f": OneOverFSource(f_low=1e3, f_high=1e6, amplitude=0.01, **out),
        "fluctuators": FluctuatorsSource(
            fluctuators=[
                {"tau_high": 2e-6, "tau_low": 6e-6, "amplitude": 0.01},
                {"tau_high": 3e-5, "tau_low": 2e-5, "amplitude": 0.02},
            ],
            background={"f_low": 1e3, "f_high": 1e6, "amplitude": 0.003}, white=0.002, **out,
        ),
        "ornstein_uhlenbeck": OrnsteinUhlenbeck(sigma=0.1, tau=3e-6, n_sources=2),
        "white": OrnsteinUhlenbeck(sigma=0.1, n_sources=2),
        "replay": MeasuredTrace(mode="replay", **measured),
        "resample": MeasuredTrace(mode="resample", **measured),
    }  # fmt: skip


def bank(
    sigma=0.0, kind="koenders", plan=PLAN, batch=3, seed=0, dtype=torch.float64, update=4, units=UNITS, dt=DT
):  # fmt: skip
    law = None if kind is None else SOURCES[kind]
    streams = PassStreams(Streams(seed), "train", update)
    return NodeNoise(plan, units, batch, streams, torch.empty(0, dtype=dtype), law, sigma, dt=dt)


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 70), min_size=1, max_size=5),
    layer=st.sampled_from(["hidden", "output"]),
    kind=st.sampled_from(KINDS),
)
def test_noise_does_not_depend_on_the_cuts(cuts, layer, kind):
    steps = sum(cuts)
    whole = bank(sigma=0.1, kind=kind).draw(layer, 0, steps)
    pieces, noise, t0 = [], bank(sigma=0.1, kind=kind), 0
    for cut in cuts:
        pieces.append(noise.draw(layer, t0, cut))
        t0 += cut
    assert torch.equal(torch.cat(pieces), whole)


@pytest.mark.parametrize("coupling", [1.0, 0.4])
@pytest.mark.parametrize("sigma", [0.0, 0.05])
@pytest.mark.parametrize("kind", ["koenders", "smtj", "rtn"])
def test_a_source_that_draws_as_it_runs_makes_the_noise_of_one_that_is_given_its_draws(kind, sigma, coupling):
    """The same bits for passes that share a stream, silent ones, coupled units, and in any cut."""
    law = SOURCES[kind]
    plan = PassPlan(noise=(0.5, 1.0, 0.0, -2.0, 1.0), stream=(0, 1, 2, 0, 0), pairs=((0, 1),))
    found = []
    for source in (law, Given(law)):
        noise = NodeNoise(
            plan, UNITS, 3, PassStreams(Streams(0), "train", 4), torch.empty(0), source, sigma,
            scale={"hidden": coupling}, dt=DT,
        )  # fmt: skip
        found.append({layer: torch.cat([noise.draw(layer, 0, 4), noise.draw(layer, 4, 6)]) for layer in UNITS})
    for layer, noise in found[0].items():
        assert torch.equal(noise, found[1][layer])
        assert not noise[:, 2].any()
        assert noise[:, 0].std() > 0


def test_who_runs_otherwise_is_not_filled_by_what_it_derives_from():
    class Still(RtnSource):
        def run(self, state, u, xi, dt):
            return torch.zeros(u.shape[0], *u.shape[2:], dtype=u.dtype), state

    law = Still(**SOURCES["rtn"].model_dump())
    noise = NodeNoise(PLAN, UNITS, 3, PassStreams(Streams(0), "train", 4), torch.empty(0), law, dt=DT)
    assert not noise.draw("hidden", 0, 4).any()


class Given:
    """A source that is given its draws."""

    fill = None

    def __init__(self, law):
        self.law = law

    def __getattr__(self, name):
        return getattr(self.law, name)


@with_memory
def test_passes_share_streams_and_gains_scale_them(kind):
    noise = bank(sigma=0.05, kind=kind).draw("hidden", 0, 20)
    assert noise.shape == (20, 4, 3, 5)
    assert torch.equal(noise[:, 3], -noise[:, 0])
    assert not bool(noise[:, 2].any())
    assert not torch.equal(noise[:, 0], noise[:, 1])


@with_memory
def test_layers_updates_and_seeds_differ_and_a_replay_repeats(kind):
    noise = bank(kind=kind)
    first = noise.draw("hidden", 0, 10)
    assert torch.equal(noise.draw("hidden", 0, 10), first)  # step 0 starts again
    assert not torch.equal(bank(kind=kind, update=5).draw("hidden", 0, 10), first)
    assert not torch.equal(bank(kind=kind, seed=1).draw("hidden", 0, 10), first)


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_gaussian_noise_alone_or_beside_sources_is_of_each_layer_and_is_not_coupled(kind):
    """g n + sigma xi: xi is the stream "gaussian/<layer>", and only the sources' n is coupled."""
    law = None if kind is None else SOURCES[kind]
    streams, like = PassStreams(Streams(0), "train", 4), torch.empty(0, dtype=torch.float64)
    both, sources = (
        NodeNoise(PLAN, UNITS, 3, streams, like, law, sigma, dt=DT, scale={"hidden": -3.0}) for sigma in (0.5, 0.0)
    )
    for layer, n in UNITS.items():
        alone = sources.draw(layer, 0, 6)
        more = both.draw(layer, 0, 6) - (0.0 if alone is None else alone)
        for m, (gain, stream) in enumerate(zip(PLAN.noise, PLAN.stream, strict=True)):
            xi = streams.normal(f"gaussian/{layer}", stream, 0, 6, (3, n), np.float64)
            np.testing.assert_allclose(more[:, m], gain * 0.5 * xi, rtol=0, atol=1e-12)


def test_moments_of_gaussian_noise():
    plan = PassPlan((1.0,), (0,), "mean")
    gaussian = bank(sigma=0.03, kind=None, plan=plan, batch=100).draw("hidden", 0, 400)
    assert float(gaussian.std()) == close(0.03, rel=0.01)


@with_memory
def test_a_coupling_scales_hidden_sources_and_leaves_their_states(kind):
    """Chunk after chunk: what is scaled is the noise, not the process that it is a sample of."""
    streams, like = PassStreams(Streams(0), "train", 4), torch.empty(0, dtype=torch.float64)
    scaled = NodeNoise(PLAN, UNITS, 3, streams, like, SOURCES[kind], dt=DT, scale={"hidden": -3.0})
    plain, parts = bank(kind=kind), []
    for _ in range(2):  # a second presentation finds the sources as the first did
        parts = [scaled.draw("hidden", 0, 5), scaled.draw("hidden", 5, 6)]
    torch.testing.assert_close(torch.cat(parts), -3.0 * plain.draw("hidden", 0, 11), rtol=1e-12, atol=0)
    assert torch.equal(scaled.draw("output", 0, 5), plain.draw("output", 0, 5))


@with_memory
@pytest.mark.parametrize("dt", [4e-8, DT, 4e-4])
def test_moments_at_any_step(kind, dt):
    """200,000 units at their first and later steps: standard errors of 0.3 % of the variance and of 0.0025."""
    plan = PassPlan((1.0,), (0,), "mean")
    noise = bank(kind=kind, plan=plan, batch=400, units={"hidden": 500, "output": 1}, dtype=torch.float32, dt=dt)
    drawn = noise.draw("hidden", 0, 5).squeeze(1).double()
    law = noise.junctions
    lags = {"dt": dt} if kind == "koenders" else {}
    assert float(drawn[-1].mean()) == pytest.approx(0.0, abs=0.012 * law.node_sigma)
    for step in (0, 4):
        assert float(drawn[step].var()) == close(law.node_sigma**2, rel=0.01)
    for lag in (1, 4):
        found = float((drawn[lag] * drawn[0]).mean()) / law.node_sigma**2
        assert found == pytest.approx(law.autocorrelation(lag * dt, **lags), abs=0.01)


def test_koenders_keeps_the_bits_of_its_streams():
    """Uniforms of "junction_start/" and "junction/", normals of "junction_white/"; whatever dt is."""
    law, streams = SOURCES["koenders"], PassStreams(Streams(0), "train", 4)
    plan = PassPlan((1.0,), (0,), "mean")

    def draw(kind, name, steps, *shape):
        return torch.from_numpy(getattr(streams, kind)(f"{name}/output", 0, 0, steps, shape, np.float64))

    start = torch.where(draw("uniform", "junction_start", 1, 2, 3, 2)[0] < 0.5, -1.0, 1.0).double()
    flips = torch.where(draw("uniform", "junction", 70, 2, 3, 2) < law.flip, -1.0, 1.0).double()
    volts = law.amplitude * (start * flips.cumprod(0)).sum(1)
    volts = volts + law.sigma_white * 2**0.5 * draw("normal", "junction_white", 70, 3, 2)
    drawn = bank(plan=plan, dt=1.0).draw("output", 0, 70)
    torch.testing.assert_close(drawn[:, 0], volts * law.kappa / law.volts_per_unit, rtol=1e-12, atol=1e-16)


def test_units_and_sequences_are_independent():
    plan = PassPlan((1.0,), (0,), "mean")
    drawn = bank(plan=plan, batch=4, units={"hidden": 6, "output": 1}).draw("hidden", 0, 20_000)
    flat = drawn.reshape(20_000, -1)
    correlation = torch.corrcoef(flat.T)
    off = correlation - torch.diag(correlation.diag())
    spread = (5.67 / 20_000) ** 0.5  # (1 + 2 sum of squared correlations over time) / steps
    assert float(off.abs().max()) < 5 * spread


@with_memory
def test_order_is_checked(kind):
    noise = bank(kind=kind)
    noise.draw("hidden", 0, 10)
    with pytest.raises(ValueError, match="follow in time"):
        noise.draw("hidden", 11, 5)


def test_silence_is_none():
    assert bank(kind=None).draw("hidden", 0, 3) is None


@with_memory
def test_single_precision(kind):
    drawn = bank(sigma=0.1, kind=kind, dtype=torch.float32).draw("output", 0, 4)
    assert drawn.dtype == torch.float32
    assert bool(drawn.isfinite().all())


def test_slow_noise_is_common_to_passes_that_follow_one_another():
    """The difference of two passes has the variance 2 (1 - rho) of starts `apart` in time, not 2."""
    law = RtnSource(tau_high=2e-3, tau_low=2e-3, amplitude=1.0, n_sources=1, kappa=1.0, volts_per_unit=1.0)
    plan, units, apart = PassPlan((1.0, 1.0), (0, 1), ((0, 1),)), {"hidden": 4000}, 2e-4
    streams = PassStreams(Streams(0), "train", 0)
    for gap, rho in ((apart, np.exp(-apart / law.tau_c)), (math.inf, 0.0)):
        like = torch.empty(0, dtype=torch.float64)
        bank = NodeNoise(plan, units, 8, streams, like, law, dt=1e-9, apart=gap)
        first = bank.draw("hidden", 0, 1)[0]
        difference = (first[0] - first[1]).square().mean() / law.node_sigma**2
        assert float(difference) == close(2 * (1 - rho), rel=0.05)
        between = (first[0, :-1] * first[0, 1:]).mean() / law.node_sigma**2  # sequences lie two presentations apart
        assert float(between) == pytest.approx(rho**2, abs=0.03)


def test_noise_that_has_turned_round_meanwhile_is_common_to_passes_with_its_sign(tmp_path):
    """A trace of +1 and -1 in turn, presentations an odd number of samples apart: correlation -1, not none."""
    np.savez(tmp_path / "turns.npz", voltage_mV=(-1.0) ** np.arange(200))
    law = MeasuredTrace(
        file=str(tmp_path / "turns.npz"), sampling_time=1e-6, mode="replay", n_sources=1, kappa=1.0, volts_per_unit=1e-3
    )
    plan, streams = PassPlan((1.0, 1.0), (0, 1), ((0, 1),)), PassStreams(Streams(0), "train", 0)
    like = torch.empty(0, dtype=torch.float64)
    first = NodeNoise(plan, {"hidden": 50}, 2, streams, like, law, dt=1e-6, apart=3e-6).draw("hidden", 0, 1)
    assert first is not None
    assert bool((first.abs() - 1 < 1e-12).all())
    torch.testing.assert_close(first[0, 1], -first[0, 0], rtol=1e-12, atol=0)
    torch.testing.assert_close(first[0, :, 1], first[0, :, 0], rtol=1e-12, atol=0)  # two presentations later


def test_passes_that_listen_to_one_stream_take_time_as_well():
    """Streams 0, 0, 1: the second one starts two presentations after the first, and a sequence takes three."""
    law = RtnSource(tau_high=2e-3, tau_low=2e-3, amplitude=1.0, n_sources=1, kappa=1.0, volts_per_unit=1.0)
    plan, streams = PassPlan((1.0, 1.0, 1.0), (0, 0, 1), ((0, 2),)), PassStreams(Streams(0), "train", 0)
    like, apart, units = torch.empty(0, dtype=torch.float64), 3e-4, 40_000
    first = NodeNoise(plan, {"hidden": units}, 2, streams, like, law, dt=0.0, apart=apart).draw("hidden", 0, 1)
    assert first is not None
    starts = first[0] / law.node_sigma
    assert torch.equal(starts[0], starts[1])
    for one, other, apart_by in ((starts[0, 0], starts[2, 0], 2), (starts[2, 0], starts[0, 1], 1)):
        expected = law.autocorrelation(apart_by * apart)
        assert float((one * other).mean()) == pytest.approx(expected, abs=4.5 / math.sqrt(units))
