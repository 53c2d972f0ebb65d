"""What compiled loops see of an array in one pass over its devices is what the plain forms see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroanp.devices.device import Device
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.profiles import load
from neuroanp.substrates.pairs import paired, single_pairs

SLOPE, NOW = 3.2e4, 1.2e4


def normals(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("still", [False, True])
def test_pairs_become_weights_and_variances(still, fresh):
    g, frozen, moving = (normals(seed, 2, 5, 7).abs() * scale for seed, scale in ((0, 2e-5), (1, 1e-6), (2, 5e-7)))
    xi = normals(3, 2, 5, 7)
    W, S = paired(g, frozen, xi if still else None, moving if fresh else None, SLOPE)
    seen = (g + frozen * xi if still else g).double()
    torch.testing.assert_close(W.double(), (seen[0] - seen[1]) * SLOPE, rtol=1e-5, atol=1e-6)
    assert (S is not None) == fresh
    if S is not None:
        torch.testing.assert_close(S.double(), SLOPE**2 * moving.double().square().sum(0), rtol=1e-6, atol=0)


def test_loops_are_for_pairs_in_single_precision():
    assert single_pairs(torch.zeros(2, 3, 4))
    assert not single_pairs(torch.zeros(1, 3, 4))
    assert not single_pairs(torch.zeros(2, 3, 4, dtype=torch.float64))


def pcm(effects=ALL_EFFECTS):
    """Return a device and cells of many ages, some younger than the time that drift begins at."""
    device = Device(load("pcm"), effects)
    cells = device.sample((30, 70), np.random.default_rng(0), torch.float32, "cpu", False)
    target = torch.rand((2, 30, 70), generator=torch.Generator().manual_seed(1)) * device.span.g_max
    cells = device.place(cells, target, None, 0.0, np.random.default_rng(2))
    ages = torch.logspace(-2, 4, cells["t"].numel(), dtype=torch.float64).view_as(cells["t"])
    return device, {**cells, "t": NOW - ages}


@pytest.mark.parametrize("window", [1e-3, 10.0])
def test_drift_and_noise_at_once_are_those_of_their_laws(window):
    device, cells = pcm()
    found = device.observed(cells, NOW, window)
    g = device.conductance(cells, NOW)
    fresh, frozen = device.read_sigma(cells, NOW, window, g)
    exact = {name: x.double() if x.is_floating_point() else x for name, x in cells.items()}
    precise = device.conductance(exact, NOW), *device.read_sigma(exact, NOW, window)
    assert precise[0].std() > 0
    for each, plain, true in zip(found, (g, fresh, frozen), precise, strict=True):
        assert each is not None
        assert plain is not None
        assert true is not None
        torch.testing.assert_close(each, plain, rtol=2e-6, atol=0)
        torch.testing.assert_close(each.double(), true, rtol=2e-4, atol=0)  # a small difference of logarithms


@pytest.mark.parametrize("off", ["read_noise", "frozen_noise", "drift"])
def test_what_is_off_is_not_seen(off):
    device, cells = pcm(ALL_EFFECTS - {off})
    found, fresh, frozen = device.observed(cells, NOW, 0.1)
    assert (fresh is None) == (off == "read_noise")
    assert (frozen is None) == (off == "frozen_noise")
    torch.testing.assert_close(found, device.conductance(cells, NOW), rtol=2e-6, atol=0)


@pytest.mark.parametrize("key", ["scale", "dead"])
def test_devices_that_conduct_otherwise_are_seen_as_they_are(key):
    """A factor of their own, or a broken line."""
    device, cells = pcm()
    shape = cells["g"].shape
    cells[key] = torch.full(shape, 0.5) if key == "scale" else torch.arange(shape[-1]).expand(shape) % 3 == 0
    found, fresh, _ = device.observed(cells, NOW, 0.1)
    assert torch.equal(found, device.conductance(cells, NOW))
    expected, _ = device.read_sigma(cells, NOW, 0.1)
    assert fresh is not None
    assert expected is not None
    assert torch.equal(fresh, expected)
    assert not torch.equal(found, pcm()[0].conductance(pcm()[1], NOW))
