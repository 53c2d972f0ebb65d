"""Small random networks and sequences."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from neuroanp.tasks.protocol import Batch
from neuroanp.trajectory import Weights


@pytest.fixture(scope="session")
def random_weights() -> Callable[..., Weights]:
    """Return a maker of random networks."""

    def make(
        seed: int,
        inputs: int = 2,
        hidden: int = 4,
        outputs: int = 3,
        bias: bool = False,
        dtype: torch.dtype = torch.float64,
    ) -> Weights:
        rng = np.random.default_rng(seed)
        shapes = {"w_in": (hidden, inputs + bias), "w": (hidden, hidden), "w_out": (outputs, hidden + bias)}
        arrays = {name: torch.tensor(0.7 * rng.standard_normal(shape), dtype=dtype) for name, shape in shapes.items()}
        return Weights.one_layer(arrays, bias)

    return make


@pytest.fixture(scope="session")
def random_batch() -> Callable[..., Batch]:
    """Return a maker of random sequences of which some steps are scored."""

    def make(seed: int, steps: int = 6, size: int = 3, inputs: int = 2, outputs: int = 3) -> Batch:
        rng = np.random.default_rng(seed)
        mask = (rng.random(steps) < 0.6).astype(float)
        mask[-1] = 1.0
        shape = (steps, size)
        return Batch(rng.standard_normal((*shape, inputs)), rng.standard_normal((*shape, outputs)), mask)

    return make
