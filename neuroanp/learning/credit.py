"""Turn losses into credit: differences between passes, return-to-go, control variate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from neuroanp.kernels.device_draws import fused
from neuroanp.kernels.held import held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from neuroanp.trajectory import PassPlan


def differences(values: Tensor, plan: PassPlan) -> Tensor:
    """Form the R differences of M passes: v^p - v^q for each pair, or v^m - mean_m v.

    Args:
        values: (T, M, ...) anything the passes produced.
        plan: the passes.

    Returns: (T, R, ...).

    >>> from neuroanp.trajectory import PassPlan
    >>> plan = PassPlan(noise=(1, 1), stream=(0, 1), pairs=((0, 1),))
    >>> differences(torch.tensor([[3.0, 1.0]]), plan)
    tensor([[2.]])
    """
    if fused(values) and values.is_contiguous():
        from neuroanp.kernels import triton_passes

        return triton_passes.differences(values, None if isinstance(plan.pairs, str) else plan.pairs)
    if plan.pairs == "mean":
        return values - values.mean(1, keepdim=True)
    perturbed, reference = zip(*plan.pairs, strict=True)
    return _passes(values, perturbed) - _passes(values, reference)


def _passes(values: Tensor, indices: Sequence[int]) -> Tensor:
    """Return passes of values (T, M, ...) by index: a view, never a copy, where they are evenly spaced.

    So it is, too, where one pass serves every pair.
    """
    first, last = indices[0], indices[-1]
    if all(index == first for index in indices):
        return values[:, first : first + 1].expand(-1, len(indices), *values.shape[2:])
    step = indices[1] - first
    if step > 0 and tuple(indices) == tuple(range(first, last + 1, step)):
        return values[:, first : last + 1 : step]
    return values.index_select(1, held(tuple(indices), torch.int64, values.device))


def return_to_go(dL: Tensor, gamma: float) -> Tensor:
    """Sum what follows: c_t = sum_{s >= t} gamma^(s-t) dL_s.

    Args:
        dL: (T, ...) loss differences.
        gamma: discount a step; 0 keeps dL, 1 is the plain sum to the end.

    Returns: (T, ...).

    >>> return_to_go(torch.tensor([1.0, 2.0, 4.0]), 0.5)
    tensor([3., 4., 4.])
    """
    if gamma == 0:
        return dL
    if dL.device.type != "cpu":
        return _doubled(dL, gamma)
    if gamma == 1:
        return dL.flip(0).cumsum(0).flip(0)
    c = dL.clone()
    for t in range(len(c) - 2, -1, -1):
        c[t].add_(c[t + 1], alpha=gamma)
    return c


def _doubled(dL: Tensor, gamma: float) -> Tensor:
    """Do it in log2 T operations on all of time, each of which doubles how far a step sees: for GPUs.

    Always in the same order, where the result of CUDA's cumsum may differ from call to call.

    >>> _doubled(torch.tensor([1.0, 2.0, 4.0]), 0.5)
    tensor([3., 4., 4.])
    """
    c, seen = dL, 1
    while seen < len(dL):
        further = c.clone()
        further[:-seen].add_(c[seen:], alpha=gamma**seen)
        c, seen = further, 2 * seen
    return c


def subtract_others(c: Tensor) -> Tensor:
    """Subtract from each sample's credit the mean of the others': c_b - mean_{b' != b} c_b'.

    The other samples saw other noise, so what is subtracted is independent of the sample's own
    perturbation: the expected update stays, its variance shrinks where credit is common.

    Args:
        c: (T, R, B) with B >= 2.

    >>> subtract_others(torch.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[-1.5000,  0.0000,  1.5000]]])
    """
    batch = c.shape[-1]
    return (c - c.mean(-1, keepdim=True)) * (batch / (batch - 1))


def weighted_sum(factor: Tensor, d: Tensor) -> Tensor:
    """Sum the differences, each times its factor: sum_r factor_r d_r.

    Args:
        factor: (T, R, B).
        d: (T, R, B, n).

    Returns: (T, B, n).

    >>> weighted_sum(torch.tensor([[[2.0], [1.0]]]), torch.tensor([[[[1.0]], [[3.0]]]]))
    tensor([[[5.]]])
    """
    if d.dtype == torch.float32 and d.device.type == "cpu" and d.numel():
        from neuroanp.kernels.passes import weigh

        out = d.new_empty(d.shape[0], *d.shape[2:])
        weigh(out.numpy(), d.contiguous().numpy(), factor.expand(d.shape[:3]).contiguous().numpy())
        return out
    if d.shape[1] == 1:
        return factor[:, 0].unsqueeze(-1) * d[:, 0]
    return torch.einsum("trb,trbn->tbn", factor, d)
