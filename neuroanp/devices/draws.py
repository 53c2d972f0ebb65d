"""Draw random tensors from numpy generators, so that no result depends on torch's own state."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor


def numpy_dtype(like: Tensor) -> type[np.float32] | type[np.float64]:
    """Return numpy's name of a float tensor's dtype; TypeError for anything but float32 and float64.

    >>> numpy_dtype(torch.zeros(1, dtype=torch.float64)).__name__
    'float64'
    """
    if like.dtype == torch.float64:
        return np.float64
    if like.dtype == torch.float32:
        return np.float32
    raise TypeError(f"devices compute in float32 or float64, not {like.dtype}")


def sent(drawn: np.ndarray, like: Tensor) -> Tensor:
    """Return an array where a tensor lies; the host does not wait until it is there.

    >>> sent(np.ones(2), torch.zeros(1)).tolist()
    [1.0, 1.0]
    """
    here = torch.from_numpy(drawn)
    if like.is_cuda and torch.cuda.is_current_stream_capturing():
        raise RuntimeError("numbers of the host cannot be recorded: a replay would find the same ones again")
    return here.pin_memory().to(like.device, non_blocking=True) if like.is_cuda else here.to(like.device)


def normal(rng: np.random.Generator, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Draw standard normals of a tensor's dtype, on its device.

    Args:
        rng: the generator, advanced by the draw.
        shape: of the result.
        like: gives dtype (float32 or float64) and device.

    >>> a, b = (normal(np.random.default_rng(0), (2, 3), torch.empty(0)) for _ in range(2))
    >>> a.shape, bool((a == b).all())
    (torch.Size([2, 3]), True)
    """
    return sent(rng.standard_normal(shape, dtype=numpy_dtype(like)), like)


def uniform(rng: np.random.Generator, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Draw uniforms in [0, 1); as `normal`.

    >>> u = uniform(np.random.default_rng(0), (1000,), torch.empty(0))
    >>> bool(((u >= 0) & (u < 1)).all()), abs(u.mean().item() - 0.5) < 0.03
    (True, True)
    """
    return sent(rng.random(shape, dtype=numpy_dtype(like)), like)


def whole_pulses(
    amount: Tensor,
    step: float,
    most: int,
    rng: np.random.Generator,
    rounding: Literal["stochastic", "deterministic"] = "stochastic",
) -> Tensor:
    """Round a change to whole pulses: floor(amount / step + U), stochastic, or U = 1/2, deterministic.

    Stochastic rounding goes up with the probability of the remainder: the expected number of pulses
    is amount / step, so that changes far below one step still act. Deterministic rounding is to the
    nearest number, halves up: changes below half a step are lost.

    Args:
        amount: size of the change >= 0, any shape, in device units.
        step: size of one pulse in the same units.
        most: largest number of pulses one update sends to a device.
        rng: draws one uniform an element; left alone by deterministic rounding.
        rounding: which of the two.

    Returns: number of pulses (int32), of the shape of `amount`.

    >>> whole_pulses(torch.tensor([0.04, 0.05, 1.0]), 0.1, 5, np.random.default_rng(0), "deterministic").tolist()
    [0, 1, 5]
    """
    shift = uniform(rng, tuple(amount.shape), amount) if rounding == "stochastic" else 0.5
    return torch.floor(amount / step + shift).clamp_(0, most).to(torch.int32)
