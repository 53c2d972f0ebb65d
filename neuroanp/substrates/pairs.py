"""Weights of pairs of devices as reads see them, and the variance of their noise."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from neuroanp.kernels.precision import single


def single_pairs(g: Tensor) -> bool:
    """Return whether `paired` is for conductances (planes, n, m): of pairs, in single precision on a CPU.

    >>> import torch
    >>> single_pairs(torch.zeros(2, 3, 3)), single_pairs(torch.zeros(1, 3, 3))
    (True, False)
    """
    return len(g) == 2 and single(g)


def paired(
    g: Tensor, frozen: Tensor | None, xi: Tensor | None, fresh: Tensor | None, slope: float
) -> tuple[Tensor, Tensor | None]:
    """Return W = slope (G+ - G-), G = g + frozen xi, and S = slope^2 (fresh+^2 + fresh-^2), in one pass over devices.

    Args:
        g: (2, n, m) siemens, which `single_pairs` accepts. frozen, fresh: standard deviations likewise; None: no noise.
        xi: standard normals likewise, or None: no frozen noise. slope: weight per siemens.

    >>> W, S = paired(torch.tensor([[[2.0]], [[1.0]]]), None, None, torch.tensor([[[0.3]], [[0.4]]]), 10.0)
    >>> W.item(), round(S.item(), 4)
    (10.0, 25.0)
    """
    from neuroanp.kernels import crossbar_loops

    disturbed = frozen is not None and xi is not None
    W = g.new_empty(g.shape[1:])
    variance = None if fresh is None else torch.empty_like(W)
    of_reads = np.empty(0, np.float32) if variance is None else variance.view(-1).numpy()
    still = (_flat(frozen), _flat(xi)) if disturbed else (_flat(None), _flat(None))
    crossbar_loops.pair(_flat(g), *still, _flat(fresh), np.float32(slope), W.view(-1).numpy(), of_reads)
    return W, variance


def _flat(x: Tensor | None) -> np.ndarray:
    """Return numbers of each device, (2, devices); (2, 0) for None."""
    return np.empty((2, 0), np.float32) if x is None else x.contiguous().view(2, -1).numpy()
