"""Reads of an array on a CPU: torch's and numpy's products between compiled loops, for what `Reader` does in torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.draws import numpy_dtype
from neuroanp.substrates.protocol import Quantiser

if TYPE_CHECKING:
    from neuroanp.substrates.protocol import ReadPlan

FINEST = {torch.float32: 2.0**22, torch.float64: 2.0**51}
"""Codes on either side of zero below which adding and subtracting `read_loops.MAGIC` rounds to the nearest."""
SMALL = 1 << 17
"""Multiply-accumulates below which numpy's product is twice as fast as torch's, and surely in one thread."""


def as_numpy(x: Tensor) -> np.ndarray:
    """Return a tensor's numbers, row after row."""
    return (x if x.is_contiguous() else x.contiguous()).numpy()


Product = Callable[[Tensor, np.ndarray], Tensor]
"""Inputs (rows, m) and the first word line of each tile, and m, to what noise makes of them, (tiles, rows, n)."""


class FastReader:
    """Reads one array by its plan, by the moments of its noise; the results of `Reader` but for their last bits.

    Args:
        plan: of an array on the CPU that `possible` accepts. wt, st: the transposed weights and variances (m, n), or
            None where reads have none.
    """

    def __init__(self, plan: ReadPlan, wt: Tensor, st: Tensor | None) -> None:
        from neuroanp.kernels import read_loops

        self.loops, self.dtype = read_loops, np.dtype(numpy_dtype(wt))
        self.m, self.n = wt.shape
        widths = plan.widths or (self.m,)
        self.widths, self.tiles, self.starts = widths, len(widths), np.concatenate([[0], np.cumsum(widths)])
        self.magic = read_loops.MAGIC[self.dtype]
        self.sigma, self.pulse_width = self.dtype.type(plan.dac_sigma), plan.pulse_width
        self.converts = plan.adc is not None
        self.dac, self.adc = self._codes(plan.dac), self._codes(plan.adc or Quantiser(0.0, math.inf))
        each = (self.tiles, self.n)
        extra = plan.extra if isinstance(plan.extra, Tensor) else wt.new_full(each, plan.extra)
        self.extra = self._table(extra)
        self.gain = self._table(wt.new_ones(each) if plan.gain is None else plan.gain)
        self.offset = self._table(wt.new_zeros(each) if plan.offset is None else plan.offset)
        self.noisy = st is not None or plan.amplifies_noise
        self.wt, self.st = wt.numpy(), self._table(st)
        self.silence, self.nothing = np.empty((1, 1, 1, 0), self.dtype), np.empty((0, 1, self.n), self.dtype)
        self.no_sigma, self.no_codes, self.whole = self.dtype.type(0), self.dac[:0], self.starts[[0, -1]]
        self._room: tuple[np.ndarray, ...] = ()
        self._products: list[tuple[tuple[Tensor, Tensor], Tensor]] = []

    @staticmethod
    def possible(plan: ReadPlan) -> bool:
        """Return whether the loops do reads of a plan: on a CPU, not bit by bit, codes that they can round."""
        return plan.W.device.type == "cpu" and not plan.bits and plan.linear and roundable(plan)

    def _codes(self, q: Quantiser | None) -> np.ndarray:
        return np.array([] if q is None else [q.floor, q.limit, q.step], dtype=self.dtype)

    def _table(self, values: Tensor | None) -> np.ndarray:
        """Return numbers of each tile and output, (tiles, n), or (0, n)."""
        return np.empty((0, self.n), self.dtype) if values is None else np.ascontiguousarray(values.numpy())

    def __call__(self, x: Tensor, xi: Tensor | None) -> tuple[Tensor, int, int]:
        """Return what is read, (..., n), how many conversions clipped, and how many there were.

        Args: x: (..., m). xi: (..., normals), or None for a read without noise; see `Reader`.
        """
        x, lead, (T, M, B) = laid_out(x, xi, own=bool(self.sigma))
        noise = self.silence if xi is None else as_numpy(xi).reshape(T, M, B, xi.shape[-1])
        out = np.empty((T, M, B, self.n), self.dtype)
        clipped = self._read(as_numpy(x).reshape(T * B, self.m), noise, self.nothing, out)
        return torch.from_numpy(out).view(*lead, self.n), clipped, out.size * self.tiles if self.converts else 0

    def small(self, rows: int) -> bool:
        """Return whether numpy multiplies so many rows."""
        return rows * self.m * self.n <= SMALL

    def recur(
        self, h: Tensor, xs: Tensor, x: Tensor, xi: Tensor | None, devices: tuple[Any, ...] | None = None
    ) -> tuple[int, int]:  # fmt: skip
        """Do all steps of units that see themselves: h_t += what is read of x, x = tanh(h_t), which goes into xs.

        Args: h, xs: (T, rows, n), one row after the other in memory. x: (rows, n). xi: (T, ..., normals), or None.
            devices: what `device_loops.recur` wants to know of those that are drawn as they are read, or None.

        Returns: how many conversions clipped, and how many there were.
        """
        T, rows, _ = h.shape
        noise = np.empty((T, rows, 0), self.dtype) if xi is None else as_numpy(xi).reshape(T, rows, xi.shape[-1])
        of_units = h.numpy(), xs.numpy(), as_numpy(x)
        heard = noise if self.noisy else noise[..., :0].copy()
        room = self._space(rows, len(self.st) > 0 and xi is not None)
        sigma = self.no_sigma if xi is None else self.sigma
        to_tell = (sigma, self.starts, self.dac, self.magic)
        to_hear = (self.nothing, self.extra, self.gain, self.offset, self.adc)
        if devices is not None:
            from neuroanp.kernels import device_loops

            clipped = device_loops.recur(*of_units, noise, heard, self.wt, room, to_tell, to_hear, devices)
        elif self.small(rows):
            matrices = (self.wt, self.st)
            clipped = self.loops.recur(*of_units, noise, heard, *matrices, room, to_tell, to_hear)
        else:
            clipped = self._step_by_step(*of_units, (noise, heard, room, to_tell, to_hear))
        return clipped, h.numel() * self.tiles if self.converts else 0

    def _step_by_step(self, h: np.ndarray, xs: np.ndarray, x: np.ndarray, reading: tuple[Any, ...]) -> int:
        """Do the steps of `read_loops.recur` between torch's products; reading: its noise, heard, room and so on."""
        noise, heard, room, to_tell, to_hear = reading
        out, clipped = np.empty((1, 1, *x.shape), self.dtype), 0
        self.loops.tell(x, noise[0], *to_tell, room[0], room[1])
        heard = heard.reshape(len(h), 1, 1, *heard.shape[1:])
        for t in range(len(h)):
            for factors, into in self._products:
                torch.mm(*factors, out=into)
            following = noise[t + 1 - len(h)]  # of the last step's, which nothing reads, the first
            clipped += self.loops.onward(h[t], xs[t], heard[t], following, room, to_tell, to_hear, out)
        return clipped

    def sampled(
        self, x: Tensor, xi: Tensor, sigma: Tensor | None, deviation: Tensor | Product | None
    ) -> tuple[Tensor, int, int]:
        """Return what is read with the noise of every weight drawn, and what `__call__` does; see `Reader.sampled`."""
        rows, normals = as_numpy(x), as_numpy(xi)
        told = np.empty_like(rows)
        self.loops.tell(
            rows, normals, self.sigma, self.whole, self.dac, self.magic, told.reshape(-1), self.silence[0, 0, 0]
        )
        own, beside = 0, self.nothing
        if callable(deviation):
            beside = deviation(torch.from_numpy(told), self.starts).numpy()
        elif deviation is not None:
            parts = zip(deviation.split(self.widths, -1), torch.from_numpy(told).split(self.widths, -1), strict=True)
            beside = torch.stack([torch.einsum("rnm,rm->rn", *part) for part in parts]).numpy()
        elif sigma is not None:
            own, beside = sigma.numel(), np.empty((self.tiles, len(rows), self.n), self.dtype)
            self.loops.weigh(told, normals, sigma.numpy(), self.starts, beside)
        noise = self.silence
        if self.noisy:
            noise = np.ascontiguousarray(normals[:, own : own + self.tiles * self.n])[None, None]
        out = np.empty((1, 1, len(rows), self.n), self.dtype)
        clipped = self._read(told, noise, beside, out, told=True)
        return torch.from_numpy(out[0, 0]), clipped, out.size * self.tiles if self.converts else 0

    def _read(
        self, x: np.ndarray, noise: np.ndarray, beside: np.ndarray, out: np.ndarray, told: bool = False
    ) -> int:  # fmt: skip
        """Fill out (T, M, B, n) with what is read of rows x (T B, m), past their drivers where they are `told`."""
        loops, silent = self.loops, noise is self.silence
        room = self._space(len(x), len(self.st) > 0 and not silent)
        sigma, dac, lines = self.no_sigma, self.no_codes if told else self.dac, self.silence[0, 0]
        if self.sigma and not silent and not told:
            sigma, lines = self.sigma, noise.reshape(-1, noise.shape[-1])
        heard = noise if self.noisy else self.silence
        if x.size * self.n <= SMALL:
            return loops.read(
                x, lines, sigma, self.starts, dac, self.magic, self.wt, self.st, room, beside, self.extra, heard,
                self.gain, self.offset, self.adc, out,
            )  # fmt: skip
        loops.tell(x, lines, sigma, self.starts, dac, self.magic, room[0], room[1])
        for factors, into in self._products:
            torch.mm(*factors, out=into)
        after = (self.extra, heard, self.gain, self.offset, self.adc)
        return loops.hear(room[2], beside, room[3], *after, self.magic, out)

    def _space(self, rows: int, squared: bool) -> tuple[np.ndarray, ...]:
        """Return lines, squares (rows m), y and variance (tiles, rows, n); unless `squared` the squares are empty."""
        of_lines, of_tiles = rows * self.m, (self.tiles, rows, self.n)
        room = self._room
        if not room or len(room[0]) != of_lines or (len(room[1]) > 0) != squared:  # fresh memory is a tenth of a read
            shapes = (of_lines, of_lines * squared, of_tiles, (self.tiles * squared, rows, self.n))
            room = self._room = tuple(np.empty(shape, self.dtype) for shape in shapes)
            lines, squares, y, variance = (torch.from_numpy(each) for each in room)
            self._products = self._paired(lines, self.wt, y) + self._paired(squares, self.st, variance)
        return room

    def _paired(self, lines: Tensor, matrix: np.ndarray, out: Tensor) -> list[tuple[tuple[Tensor, Tensor], Tensor]]:
        """Return what `read_loops.multiply` multiplies and where to: for torch, which may use several threads."""
        rows, ends = out.shape[1], zip(self.starts[:-1], self.starts[1:], out, strict=False)
        return [
            ((lines[rows * a : rows * b].view(rows, b - a), torch.from_numpy(matrix[a:b])), into) for a, b, into in ends
        ]

    def load(self, x: Tensor) -> Tensor:
        """Return what word lines carried in all reads; see `Reader.load`."""
        total = np.zeros(self.m)
        lines = as_numpy(x).reshape(-1, self.m)
        self.loops.load(lines, self.dac, self.magic, self.pulse_width, total)
        return torch.from_numpy(total).to(x.dtype)


def roundable(plan: ReadPlan) -> bool:
    """Return whether adding and subtracting a number rounds to the codes of a plan's converters, in its precision.

    >>> from neuroanp.substrates.protocol import Quantiser, ReadPlan
    >>> roundable(ReadPlan(torch.eye(2), adc=Quantiser(0.1, 1.0)))
    True
    """
    finest = FINEST.get(plan.W.dtype, 0.0)
    converters = (q for q in (plan.dac, plan.adc) if q is not None and q.step)
    return bool(finest) and all(max(q.limit, -q.floor) < finest * q.step for q in converters)


def laid_out(x: Tensor, xi: Tensor | None, own: bool) -> tuple[Tensor, torch.Size, tuple[int, int, int]]:
    """Return inputs of as many rows as are multiplied, the shape of what is read, and steps, passes and rows of it.

    Args:
        x: (..., m). xi: (..., normals), or None.
        own: whether drivers have noise of their own: then no row of x serves several passes.

    >>> x, xi = torch.zeros(5, 1, 2, 4), torch.zeros(5, 3, 2, 7)
    >>> [(tuple(laid_out(x, xi, own)[0].shape), laid_out(x, xi, own)[2]) for own in (False, True)]
    [((5, 1, 2, 4), (5, 3, 2)), ((5, 3, 2, 4), (1, 1, 30))]
    """
    lead = x.shape[:-1]
    if xi is None or xi.shape[:-1] == lead:
        return x, lead, (1, 1, lead.numel())
    shared, lead = len(lead) == 3 and lead[1] == 1 and not own, xi.shape[:-1]
    if shared and (x.shape[0], x.shape[2]) == (lead[0], lead[2]):
        return x, lead, (lead[0], lead[1], lead[2])
    return x.expand(*lead, x.shape[-1]), lead, (1, 1, lead.numel())


def plain_load(x: Tensor) -> Tensor:
    """Return sum x^2 over all reads (steps, rows, m) of each word line, (m,), summed in double precision on a CPU."""
    from neuroanp.kernels import read_loops

    lines, total = np.ascontiguousarray(x.numpy()).reshape(-1, x.shape[-1]), np.zeros(x.shape[-1])
    read_loops.load(lines, lines[:0, 0], read_loops.MAGIC[lines.dtype], False, total)
    return torch.from_numpy(total).to(x.dtype)
