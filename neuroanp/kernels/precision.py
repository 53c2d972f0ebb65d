"""What compiled loops on a CPU are for: numbers of single precision."""

from __future__ import annotations

import torch
from torch import Tensor


def single(x: Tensor) -> bool:
    """Return whether a tensor is of single precision on a CPU.

    >>> single(torch.zeros(2)), single(torch.zeros(2, dtype=torch.float64))
    (True, False)
    """
    return x.dtype == torch.float32 and x.device.type == "cpu"
