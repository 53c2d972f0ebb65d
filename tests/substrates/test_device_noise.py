"""Noise of every device of an array: moments, streams, gains, and independence of how time is cut."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.devices.fluctuators import Fluctuators
from neuroanp.devices.one_over_f import OneOverF
from neuroanp.devices.pcm_noise import PcmNoise
from neuroanp.devices.rtn import Telegraph
from neuroanp.errors import InputError
from neuroanp.noise import PassStreams, Streams
from neuroanp.substrates.device_noise import DeviceNoise
from neuroanp.trajectory import PassPlan
from tests.close import close

PLAN = PassPlan(noise=(1.0, 0.5, 0.0, -1.0), stream=(0, 1, 2, 0), pairs=((0, 1),))
ONE = PassPlan((1.0,), (0,), "mean")
PROCESSES = {
    "telegraph": Telegraph(0.3, 1e-3),
    "spread": Telegraph(0.3, 1e-3, 3.0),
    "one_over_f": OneOverF(10.0, 1e4),
    "pcm": PcmNoise(1e-4).of_ages(torch.tensor(0.1)),
    "fluctuators": Fluctuators((0.3, 0.6), (1e-3, 2e-5), (0.4, 0.2), OneOverF(10.0, 1e4), 0.3, 0.1),
    "one level": Fluctuators((), (), (), OneOverF(10.0, 1e4), 0.9, 0.1),
    "no background": Fluctuators((0.3, 0.6), (1e-3, 2e-5), (0.4, 0.6), None, 0.0, 0.0),
}
every_process = pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)


def noise(process, plan=PLAN, batch=2, shape=(2, 4, 3), dt=1e-3, seed=0, update=4, name="w", phase="train", **more):
    sigma = more.pop("sigma", torch.ones(shape, dtype=more.pop("dtype", torch.float32)))
    streams = PassStreams(Streams(seed), phase, update)
    return DeviceNoise(name, plan, batch, streams, sigma, process, dt=dt, **more)


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 70), min_size=1, max_size=4), which=st.sampled_from(sorted(PROCESSES)))
def test_noise_does_not_depend_on_the_cuts(cuts, which):
    whole = noise(PROCESSES[which]).draw(0, sum(cuts))
    pieces, again, t0 = [], noise(PROCESSES[which]), 0
    for cut in cuts:
        pieces.append(again.draw(t0, cut))
        t0 += cut
    assert torch.equal(torch.cat(pieces), whole)


@every_process
def test_passes_share_streams_and_gains_scale_them(process):
    drawn = noise(process).draw(0, 6)
    assert drawn.shape == (6, 4, 2, 2, 4, 3)
    assert torch.equal(drawn[:, 3], -drawn[:, 0])
    assert not bool(drawn[:, 2].any())
    assert not torch.equal(drawn[:, 1], 0.5 * drawn[:, 0])
    alone = noise(process, plan=PassPlan((1.0, 1.0), (0, 2), ((0, 1),))).draw(0, 6)
    assert torch.equal(alone[:, 0], drawn[:, 0])  # what other passes draw shifts nothing


@every_process
def test_arrays_phases_updates_and_seeds_differ_and_a_replay_repeats(process):
    bank = noise(process)
    first = bank.draw(0, 3)
    bank.draw(3, 2)
    assert torch.equal(bank.draw(0, 3), first)  # step 0 starts again
    for other in ({"update": 5}, {"seed": 1}, {"name": "w_in"}, {"phase": "test"}):
        assert not torch.equal(noise(process, **other).draw(0, 3), first)


@every_process
@pytest.mark.parametrize("dt", [1e-6, 1e-3, 0.1])
def test_moments_of_devices_at_any_step(process, dt):
    """200,000 devices, passes and sequences: standard errors of 0.25 % of the variance."""
    bank = noise(process, plan=PassPlan((1.0, 1.0), (0, 1), ((0, 1),)), batch=5, shape=(2, 100, 100), dt=dt)
    drawn = bank.draw(0, 4).double()
    assert float(drawn[-1].mean()) == pytest.approx(0.0, abs=0.012)
    assert float(drawn[-1].var()) == close(1.0, rel=0.01)
    assert float(drawn[0].var()) == close(1.0, rel=0.01)
    for lag in (1, 3):
        assert float((drawn[lag] * drawn[0]).mean()) == pytest.approx(process.autocorrelation(lag * dt), abs=0.01)


@every_process
def test_devices_passes_and_sequences_are_independent(process):
    bank = noise(process, plan=PassPlan((1.0, 1.0), (0, 1), ((0, 1),)), batch=2, shape=(2, 2, 2), dt=0.5)
    flat = bank.draw(0, 1500).reshape(1500, -1)
    off = torch.corrcoef(flat.T) - torch.eye(flat.shape[1])
    assert float(off.abs().max()) < 6 / math.sqrt(1500)  # dt is far beyond the memory: 1500 independent samples


def test_sigma_scales_each_device_with_its_sign():
    sigma = torch.tensor([[[1.0, -2.0]], [[0.0, 3.0]]])
    plain = noise(PROCESSES["spread"], shape=(2, 1, 2)).draw(0, 3)
    assert torch.equal(noise(PROCESSES["spread"], sigma=sigma).draw(0, 3), plain * sigma)


@every_process
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_precisions(process, dtype):
    drawn = noise(process, dtype=dtype).draw(0, 3)
    assert drawn.dtype == dtype
    assert bool(drawn.isfinite().all())


def test_a_device_keeps_its_correlation_time_over_updates_phases_and_passes():
    times = [
        noise(PROCESSES["spread"], update=update, phase=phase).process.tau_c
        for update, phase in ((0, "train"), (9, "train"), (0, "test"))
    ]
    assert torch.equal(times[0], times[1])
    assert torch.equal(times[0], times[2])
    assert times[0].unique().numel() == times[0].numel()
    assert not torch.equal(noise(PROCESSES["spread"], seed=1).process.tau_c, times[0])


# ---- presentations one after the other ----


@every_process
def test_presentations_apart_in_time_remember_one_another(process):
    """Passes (p) within sequences (b): starts k presentations apart correlate as the process does over k times that."""
    plan, apart = PassPlan((1.0, 1.0, 1.0), (5, 3, 4), "mean"), 4e-4
    bank = noise(process, plan=plan, batch=2, shape=(2, 150, 150), dt=0.0, apart=apart)
    starts = bank.draw(0, 1)[0].double()  # no time passes in the first step: (M, B, planes, n, m)
    in_order = [starts[p, b] for b in range(2) for p in range(3)]
    for i, j in ((0, 1), (0, 2), (2, 3), (0, 5)):
        found = float((in_order[i] * in_order[j]).mean())
        assert found == pytest.approx(process.autocorrelation((j - i) * apart), abs=5 / math.sqrt(45_000))
    assert float(starts.var()) == close(1.0, rel=0.02)


def test_silent_passes_take_time_too():
    process, apart = PROCESSES["telegraph"], 3e-4
    plan = PassPlan((1.0, 0.0, 1.0), (0, 1, 2), ((0, 2),))
    starts = noise(process, plan=plan, batch=1, shape=(2, 150, 150), dt=0.0, apart=apart).draw(0, 1)[0].double()
    assert float((starts[0] * starts[2]).mean()) == pytest.approx(process.autocorrelation(2 * apart), abs=0.025)


@every_process
def test_presentations_with_no_end_between_them_are_independent(process):
    plan = PassPlan((1.0, 1.0), (0, 1), ((0, 1),))
    starts = noise(process, plan=plan, batch=1, shape=(2, 150, 150), dt=0.0).draw(0, 1)[0].double()
    assert abs(float((starts[0] * starts[1]).mean())) < 5 / math.sqrt(45_000)


# ---- what is refused ----


@pytest.mark.parametrize("shape", [(2, 257, 3), (1, 3, 257)])
def test_larger_arrays_are_refused_with_the_remedy(shape):
    said = r"array 'w' has \d+ bit lines and \d+ word lines.* up to 256 x 256.*hardware.read: moments"
    with pytest.raises(InputError, match=said):
        noise(PROCESSES["telegraph"], shape=shape)


def test_order_is_checked():
    bank = noise(PROCESSES["telegraph"])
    with pytest.raises(ValueError, match="w stands at step 0, asked for 2"):
        bank.draw(2, 1)
    bank.draw(0, 3)
    with pytest.raises(ValueError, match="w stands at step 3, asked for 4"):
        bank.draw(4, 1)
