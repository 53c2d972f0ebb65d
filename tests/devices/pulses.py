"""Pulsed devices of the shipped profiles: a law, devices of it, pulses sent and targets programmed."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from neuroanp.devices.protocol import Span
from neuroanp.devices.pulsed import PulsedLaw
from neuroanp.profiles import load

PROFILES = ["capacitor", "ecram", "ecram_mo", "rram_es", "rram_hfo2", "rram_hfo2_om", "spintronic"]
SPAN = Span(5e-6, 25e-6)
NONE = frozenset[str]()
N = 100_000
SIGMAS = 5.0
"""A moment may be off by so many of its own standard errors."""

Cells = dict[str, torch.Tensor]


@cache
def law_of(profile: str) -> PulsedLaw:
    law = load(profile).update
    assert isinstance(law, PulsedLaw)
    return law


def devices(law: PulsedLaw, n: int, effects: frozenset[str], seed: int = 0, dtype=torch.float64) -> Cells:
    g = torch.full((1, n, 1), SPAN.middle, dtype=dtype)
    return {"g": g, **law.sample((1, n, 1), np.random.default_rng(seed), effects, g)}


def device_units(g: torch.Tensor) -> torch.Tensor:
    return (g - SPAN.middle) * 2 / SPAN.width


def siemens(v: torch.Tensor | float, like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(v, dtype=like.dtype).expand(like.shape) * (SPAN.width / 2)
