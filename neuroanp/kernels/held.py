"""Keep small tables of numbers on a device: copied there once, whoever asks for them again."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


@cache
def held(values: tuple[float, ...] | tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return numbers as a tensor (n,) that nobody may change.

    A copy from the host to a GPU makes the host wait, and none can be recorded. None is given up again:
    recorded kernels look where they are.

    >>> cpu = torch.device("cpu")
    >>> held((1.0, 0.0), torch.float32, cpu) is held((1.0, 0.0), torch.float32, cpu)
    True
    """
    return torch.tensor(values, dtype=dtype, device=device)
