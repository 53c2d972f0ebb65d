"""Networks of several layers to export, with random weights and inputs for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neuroanp.export.model import Model
from neuroanp.network.compose import Stacked, stack


def layered(
    layers: Sequence[Stacked], inputs=3, outputs=2, *, seed=0, steps=60, batch=2, bias=False, skip=False,
    spikes_in=False, factors=None,
) -> Model:  # fmt: skip
    """Return a network of these layers, with currents from -1 to 1 as inputs, or spikes."""
    network, rng = stack(inputs, layers, outputs, bias, skip), np.random.default_rng(seed)
    weights = {name: rng.normal(size=shape) / np.sqrt(shape[1]) for name, shape in network.shapes.items()}
    u = rng.uniform(-1, 1, size=(steps, batch, inputs))
    if spikes_in:
        u = (u > 0.6).astype(float)
    return Model(
        name=f"layers-{seed}", weights=weights, network=network, dt=1e-3, spikes_in=spikes_in, inputs=u,
        score=lambda y: {"loss": float(np.mean(y**2))}, factors=factors or {},
    )  # fmt: skip
