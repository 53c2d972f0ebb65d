"""Compiled drift and read noise of phase-change memory are the plain ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from neuroanp.devices import pcm
from neuroanp.profiles import load

DRIFT: Any = load("pcm").drift
READ: Any = load("pcm").read
SHAPE = (2, 40, 50)


def devices() -> dict[str, torch.Tensor]:
    """Ages from none to years, just before and after t0; conductances at and around both ends of the range."""
    rng = np.random.default_rng(0)
    age = 10.0 ** rng.uniform(-7, 9, SHAPE)
    age[0, 0], age[0, 1], age[0, 2] = 0.0, 20.0, 20.0000001
    g = rng.uniform(-1e-6, 27e-6, SHAPE)  # below 0 S, too, as noise may leave one
    g[0, 3], g[0, 4], g[0, 5] = 0.0, 25e-6, 1e-9
    nu = rng.uniform(0, 0.3, SHAPE)
    nu[1, 0] = 0.0
    tensors = {"age": age, "g": g, "nu": nu}
    return {name: torch.from_numpy(x if name == "age" else x.astype(np.float32)) for name, x in tensors.items()}


def plain(monkeypatch, function):
    monkeypatch.setattr(pcm, "single", lambda x: False)
    return function()


def test_drift_is_the_plain_one(monkeypatch):
    of, law = devices(), DRIFT
    found = law.factor(of["nu"], of["age"])
    assert bool((found[of["age"] <= law.t0] == 1).all())
    torch.testing.assert_close(found, plain(monkeypatch, lambda: law.factor(of["nu"], of["age"])), rtol=1e-6, atol=0)


@pytest.mark.parametrize("window", [0.0, 1e-8, 1e-4, 10.0])
def test_read_noise_is_the_plain_one(monkeypatch, window):
    of, law = devices(), READ
    age = of["age"].float()

    def split():
        return law.split(of["g"], 0.8 * of["g"], 25e-6, age, window)

    found = split()
    for part, expected in zip(found, plain(monkeypatch, split), strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-5, atol=1e-12)  # of L near 0: a difference of logarithms
    assert bool((found[0] > 0).any()) == (window > 1e-7)


def test_devices_of_no_conductance_have_no_noise():
    none = torch.zeros(3)
    for part in READ.split(none, none, 25e-6, torch.full((3,), 1e3), 1e-4):
        assert part.tolist() == [0, 0, 0]


def test_double_precision_and_one_exponent_for_all_are_done():
    law, of = DRIFT, devices()
    fine = law.factor(of["nu"].double(), of["age"])
    assert fine.dtype == torch.float64
    torch.testing.assert_close(
        law.factor(torch.tensor(0.05), of["age"]), (of["age"] / 20).clamp_min(1).pow(-0.05).float(), rtol=1e-6, atol=0
    )
    across = law.factor(of["nu"].mT, of["age"].mT)  # not row after row in memory
    torch.testing.assert_close(across, fine.mT.float(), rtol=1e-6, atol=0)
