"""Reads of an array on a GPU: all tiles in one product between two kernels, for what `Reader` does tile by tile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import pad

from neuroanp.kernels.device_draws import fused
from neuroanp.kernels.held import held
from neuroanp.substrates.read_fast import laid_out, roundable

if TYPE_CHECKING:
    from neuroanp.substrates.protocol import Quantiser, ReadPlan


class GpuReader:
    """Reads one array by its plan, by the moments of its noise; the results of `Reader` to rounding.

    Args:
        plan: of an array that `possible` accepts. wt, st: the transposed weights and variances (m, n), or None where
            reads have none.
    """

    def __init__(self, plan: ReadPlan, wt: Tensor, st: Tensor | None) -> None:
        from neuroanp.kernels import triton_reads

        self.kernels, (self.m, self.n) = triton_reads, wt.shape
        widths = plan.widths or (self.m,)
        self.tiles, self.width, self.sigma = len(widths), max(widths), plan.dac_sigma
        self.starts = held((0, *(sum(widths[: k + 1]) for k in range(self.tiles))), torch.int32, wt.device)
        self.wt, self.st = _tiled(wt, widths), None if st is None else _tiled(st, widths)
        self.dac, self.adc = self._codes(plan.dac), self._codes(plan.adc)
        self.noisy = st is not None or plan.amplifies_noise
        each = (self.tiles, self.n)
        self.extra = plan.extra.contiguous() if isinstance(plan.extra, Tensor) else wt.new_full(each, plan.extra)
        self.matched = None
        if plan.gain is not None or plan.offset is not None:
            gain, offset = plan.gain, plan.offset
            self.matched = (
                wt.new_ones(each) if gain is None else gain.contiguous(),
                wt.new_zeros(each) if offset is None else offset.contiguous(),
            )

    @staticmethod
    def possible(plan: ReadPlan) -> bool:
        """Return whether the kernels do reads of a plan: single precision on a GPU, by moments, not bit by bit."""
        return fused(plan.W) and not plan.bits and plan.linear and not plan.sampled and roundable(plan)

    def _codes(self, q: Quantiser | None):
        codes = self.kernels.Codes
        return codes(-math.inf, math.inf, 0.0, False) if q is None else codes(q.floor, q.limit, q.step, True)

    def __call__(self, x: Tensor, xi: Tensor | None, clipped: Tensor) -> tuple[Tensor, int]:
        """Return what is read, (..., n), and how many conversions there were; add to `clipped` those that clip.

        Args: x: (..., m). xi: (..., normals), or None for a read without noise; see `Reader`. clipped: int64.
        """
        x, lead, (T, M, B) = laid_out(x, xi, own=self.sigma > 0)
        rows = x.reshape(T * B, self.m).contiguous()
        noise = None if xi is None else xi.reshape(T, M, B, xi.shape[-1]).contiguous()
        drivers = noise if self.sigma else None
        squared = self.st is not None and noise is not None
        lines = x.new_empty((self.tiles, len(rows), self.width))
        squares = torch.empty_like(lines) if squared else x.new_empty(0)
        told = None if drivers is None else drivers.view(len(rows), -1)
        self.kernels.tell(rows, told, self.sigma, self.starts, self.dac, lines, squares)
        y = torch.bmm(lines, self.wt)
        variance = torch.bmm(squares, self.st) if squared else squares  # pyright: ignore[reportArgumentType]
        out = x.new_empty((T, M, B, self.n))
        heard = noise if self.noisy else None
        self.kernels.hear(y, variance, self.extra, heard, self.matched, self.adc, clipped, out)
        return out.view(*lead, self.n), out.numel() * self.tiles if self.adc.on else 0


def _tiled(matrix: Tensor, widths: tuple[int, ...]) -> Tensor:
    """Return a matrix (m, n) tile by tile, (tiles, width, n), 0 beyond the end of a narrow one."""
    if len(widths) == 1:
        return matrix.unsqueeze(0)
    most = max(widths)
    return torch.stack([pad(part, (0, 0, 0, most - len(part))) for part in matrix.split(list(widths))])
