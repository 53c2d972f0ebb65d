"""Numbers that a GPU knows before its host does: they stay there until somebody looks at them, all at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

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


def fetch(numbers: Mapping[K, Any]) -> dict[K, Any]:
    """Return all tensors of one number as Python's, and all else as it is: the host waits once, or not at all.

    Args: numbers: by name; tensors of one element each, on one device.

    >>> fetch({"loss": 0.5, "norm": 2})
    {'loss': 0.5, 'norm': 2}
    """
    import torch

    waiting = {name: x.detach().double().reshape(()) for name, x in numbers.items() if isinstance(x, torch.Tensor)}
    if not waiting:
        return dict(numbers)
    told = dict(zip(waiting, torch.stack([*waiting.values()]).tolist(), strict=True))
    return {**numbers, **told}
