"""The arithmetic floor of an update: its products alone, at the same shapes, operands in place.

T products x W^T of all passes, which follow from one another and cannot be fewer, and one outer product for all of
time. What reaches the network from its inputs and leaves it for its outputs is left out: a part in N of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from benchmarks.speed.learner import Size

Side = Callable[[int], object]


class Product(NamedTuple):
    """A product (rows, inner) (inner, columns), done so many times."""

    rows: int
    inner: int
    columns: int
    times: int


def products(size: Size) -> tuple[Product, Product]:
    """Return the recurrent product of a step, and the outer product.

    >>> products(Size(64, 100, 32, 16))[0]
    Product(rows=544, inner=64, columns=64, times=100)
    """
    N, T, B = size.units, size.steps, size.batch
    return Product(size.passes * B, N, N, T), Product(N, T * B, N, 1)


def in_torch(size: Size, device: str = "cpu") -> Side:
    """Return what does them by torch."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for rows, inner, columns, times in products(size):
        a, b = (torch.randn(shape, generator=generator).to(device) for shape in ((rows, inner), (inner, columns)))
        made.append((a, b, a.new_empty(rows, columns), times))

    def run(_: int) -> None:
        for a, b, out, times in made:
            for _ in range(times):
                torch.mm(a, b, out=out)

    return run


def in_numpy(size: Size) -> Side:
    """Return what does them by numpy."""
    import numpy as np

    rng, made = np.random.default_rng(0), []
    for rows, inner, columns, times in products(size):
        a, b = (rng.standard_normal(shape, dtype=np.float32) for shape in ((rows, inner), (inner, columns)))
        made.append((a, b, np.empty((rows, columns), np.float32), times))

    def run(_: int) -> None:
        for a, b, out, times in made:
            for _ in range(times):
                np.dot(a, b, out)

    return run
