"""PCM's read noise in time: held to the law's own variances, at any age, through a chip and alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from neuroanp.devices.pcm_noise import DAY, PcmNoise
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.substrates.chip import DeviceChip
from neuroanp.trajectory import PassPlan, Weights
from tests.close import close

T_READ = 250e-9
EULER = 0.57722
AGES = (0.1, 1.0, 20.0, DAY, 3e7)


def total(age: float) -> float:
    """L, the law's variance in units of Q^2 G^2."""
    return math.log((age + T_READ) / (2.0 * T_READ))


def apart(lag: float) -> float:
    """Half the variance between two reads, in the same units, for lags far above t_r and far below the age."""
    return math.log(math.pi * lag / T_READ) + EULER


def noise(age) -> PcmNoise:
    return PcmNoise(T_READ).of_ages(torch.as_tensor(age))


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("lag", [1e-6, 1e-5, 1e-4])
def test_two_reads_differ_as_the_law_says_at_any_age(age, lag):
    correlation = noise(age).autocorrelation(lag)
    assert total(age) * (1.0 - correlation) == close(apart(lag), rel=0.02)
    assert correlation == close(1.0 - apart(lag) / total(age), rel=0.03)


def test_the_two_variances_of_a_device_a_day_old():
    """51.8 of the total, 6.2 between two reads 1 us apart, in units of Q^2 G^2."""
    assert 2.0 * total(DAY) == close(51.8, rel=1e-3)
    assert 2.0 * total(DAY) * (1.0 - PcmNoise(T_READ).autocorrelation(1e-6)) == close(6.2, rel=0.01)


def test_the_spectrum_is_one_over_f_between_the_age_and_the_read():
    """Variance an e-fold of frequency: 1 / L within 3 % from 100 / t_s to a tenth of 1 / (2 t_r)."""
    process = noise(1.0)
    corners, weights = process.corners, process.weights.numpy()
    for f in np.logspace(2, 5.3, 9):
        density = (2.0 / math.pi * weights * corners / (corners**2 + f**2)).sum()
        assert f * density == close(1.0 / total(1.0), rel=0.03)


def test_devices_of_one_array_have_each_their_own_age():
    """Old and young beside one another: what the old one remembers over a millisecond, the young one never had."""
    ages = torch.tensor([1e-4, DAY], dtype=torch.float64)
    process = noise(ages)
    xi = torch.from_numpy(np.random.default_rng(0).normal(size=(2, *process.normals((40_000, 2)))))
    state = process.start(None, xi[0])
    began, _ = process.run(state, None, xi[:1] * 0.0, 0.0)
    then, _ = process.run(state, None, xi[1:], 1e-3)
    young, old = (float((began[0, :, k] * then[0, :, k]).mean()) for k in (0, 1))
    assert old == pytest.approx(noise(DAY).autocorrelation(1e-3), abs=0.02)
    assert young == pytest.approx(0.0, abs=0.02)
    assert began[0].var(0).tolist() == close([1.0, 1.0], rel=0.03)
    assert process.autocorrelation(1e-3) == close(0.5 * (noise(1e-4).autocorrelation(1e-3) + old), rel=0.03)


def test_two_steps_are_one_of_their_length():
    process = noise(1.0)
    rho = [np.exp(-2.0 * math.pi * process.corners * dt) for dt in (1e-5, 3e-5, 4e-5)]
    assert (rho[0] * rho[1]).tolist() == close(rho[2].tolist())
    state = process.start(None, torch.ones(process.normals((3,)), dtype=torch.float64))
    silent = torch.zeros(2, *process.normals((3,)), dtype=torch.float64)
    _, once = process.run(state, None, silent[:1], 4e-5)
    _, first = process.run(state, None, silent[:1], 1e-5)
    _, twice = process.run(first, None, silent[:1], 3e-5)
    assert twice.numpy() == close(once.numpy())


def test_time_runs_forward():
    process = noise(1.0)
    with pytest.raises(ValueError, match="time runs forward"):
        process.run(torch.zeros(process.normals((1,))), None, torch.zeros(1, *process.normals((1,))), -1e-6)


@pytest.mark.parametrize("waited", [0.1, 20.0, DAY])
def test_a_chip_s_sampled_reads_have_the_memory_and_the_variance_of_the_law(waited):
    """Every device of an array drawn: correlation from step to step, and both variances, within 3 % of the law."""
    weights = Weights.one_layer({key: torch.full((2, 2), 0.1, dtype=torch.float64) for key in ("w_in", "w", "w_out")})
    effects = frozenset({"read_noise", "frozen_noise"})
    chip = DeviceChip.build(load("pcm"), weights, streams=Streams(0), dt=1e-6, read="sampled", effects=effects,
                            write="ideal", dtype=torch.float64)  # fmt: skip
    chip.now += waited
    window, streams = 1e-4, PassStreams(Streams(0), "train", 0)
    moments = chip.arrays["w"].prepare(chip.now, window, lambda: torch.zeros_like(chip.arrays["w"].cells["g"]))
    age = waited + window
    reads = chip.prepare(window, streams)["w"]
    assert reads.age is not None
    assert reads.age.unique().tolist() == close([age])
    bank = chip.device_noise("w", reads, PassPlan((1.0,), (0,), "mean"), 20_000, streams)
    drawn = torch.cat([bank.draw(t, 1) for t in range(3)])[:, 0]  # (steps, B, planes, n, m)
    variance = drawn.var(1).mean(0)
    L_w = math.log(math.pi * window / T_READ) - 0.923
    fresh = moments.sigma2
    assert fresh is not None
    assert variance.sum(0).mean().item() == close(fresh.mean().item() * total(age) / L_w, rel=0.03)
    held = variance > 0
    between = (drawn[1:] - drawn[:-1]).var(1).mean(0)
    assert (between / variance)[held].mean().item() == close(2.0 * apart(1e-6) / total(age), rel=0.03)
    correlation = (drawn[1:] * drawn[:-1]).mean((0, 1)) / variance
    assert correlation[held].mean().item() == close(1.0 - apart(1e-6) / total(age), rel=0.03)
