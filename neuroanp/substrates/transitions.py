"""Where the codes of a converter change: differential and integral nonlinearity, drawn for each converter.

    T_k = k + 1/2 + L_k,   L_k = sum_{j<=k} d_j - (k+1)/K sum_j d_j + b 4 s (1 - s),   s = (k + 1)/K,   k = 0 .. K-2

in codes (LSB) above the lowest of the K codes: d_j is how much wider than one the code j is (DNL, sd `dnl_sd`, no code
narrower than 0: it is missing then), b the bow of the converter (sd `inl_sd`). L is the integral nonlinearity about the
line through both ends, Var L_k = dnl_sd^2 K s (1 - s) + inl_sd^2 (4 s (1 - s))^2.

Source: IEEE Std 1241, Terminology and test methods for analog-to-digital converters: DNL, INL, transition levels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuroanp.devices.draws import normal

if TYPE_CHECKING:
    import numpy as np

    from neuroanp.substrates.protocol import Quantiser


def codes_of(q: Quantiser) -> tuple[int, int]:
    """Return the lowest and the highest code of a quantiser.

    >>> from neuroanp.substrates.protocol import Quantiser
    >>> codes_of(Quantiser(0.5, 1.5)), codes_of(Quantiser(0.5, 1.5, -2.0))
    ((-3, 3), (-4, 3))
    """
    return round(q.floor / q.step), round(q.limit / q.step)


def drawn(
    rng: np.random.Generator, shape: tuple[int, int], q: Quantiser, dnl_sd: float, inl_sd: float, like: Tensor
) -> Tensor:
    """Draw the transitions of converters.

    Args:
        rng: where from. shape: (tiles, n) converters. q: what they would be without errors.
        dnl_sd, inl_sd: in codes. like: gives dtype and device.

    Returns: (tiles, n, codes - 1), in codes, rising.
    """
    low, high = codes_of(q)
    K = high - low + 1
    narrow = (dnl_sd * normal(rng, (*shape, K), like)).clamp_min_(-1.0)
    s = torch.arange(1, K + 1, dtype=like.dtype, device=like.device) / K
    about = narrow.cumsum(-1) - s * narrow.sum(-1, keepdim=True)
    bow = inl_sd * normal(rng, (*shape, 1), like) * (4.0 * s * (1.0 - s))
    ideal = low + 0.5 + torch.arange(K, dtype=like.dtype, device=like.device)
    return (ideal + about + bow)[..., :-1].cummax(-1).values.contiguous()


def converted(y: Tensor, q: Quantiser, transitions: Tensor) -> Tensor:
    """Return the codes of outputs, times the step: as many above the lowest as there are transitions below the input.

    Args:
        y: (..., n) in units of outputs. q: the converters. transitions: (n, codes - 1).

    >>> from neuroanp.substrates.protocol import Quantiser
    >>> wide = torch.tensor([[-0.5, 0.9]])  # the code 0 reaches to 0.9 instead of 0.5
    >>> converted(torch.tensor([[-5.0], [0.8], [1.0]]), Quantiser(1.0, 1.0), wide).T.tolist()
    [[-1.0, 0.0, 1.0]]
    """
    low, _ = codes_of(q)
    rows = (y / q.step).reshape(-1, y.shape[-1]).T.contiguous()
    above = torch.searchsorted(transitions, rows)
    return ((above + low).to(y.dtype) * q.step).T.reshape(y.shape)
