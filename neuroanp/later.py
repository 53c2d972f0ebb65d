"""Numbers that a GPU knows before its host does: they stay there until somebody looks at them, all at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

K = TypeVar("K")


def number(x: Tensor) -> int | float | Tensor:
    """Return a tensor of one number as Python's on a CPU, and elsewhere as float64 where it lies: nobody waits.

    Whole numbers stay exact up to 2^53.

    >>> import torch
    >>> number(torch.tensor(3))
    3
    """
    return x.item() if x.device.type == "cpu" else x.detach().double().reshape(())


def fetch(numbers: Mapping[K, float | Tensor]) -> dict[K, float]:
    """Return all numbers as Python's: the host waits once, or not at all where it knows them.

    >>> fetch({"loss": 0.5, "norm": 2})
    {'loss': 0.5, 'norm': 2}
    """
    waiting = {name: x for name, x in numbers.items() if not isinstance(x, int | float)}
    if not waiting:
        return {name: x for name, x in numbers.items() if isinstance(x, int | float)}
    import torch

    told = dict(zip(waiting, torch.stack([x.detach().double() for x in waiting.values()]).tolist(), strict=True))
    return {name: told.get(name, x) for name, x in numbers.items()}  # pyright: ignore[reportReturnType]
