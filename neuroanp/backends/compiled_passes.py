"""A chunk of time of a layer of tanh units by compiled loops, in single precision on a CPU.

See `neuroanp.kernels.passes`. What it returns is what the plain loop of `neuroanp.backends.rate` returns, to rounding;
where only how the passes differ is wanted, that alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from torch import Tensor

from neuroanp.kernels.precision import single
from neuroanp.network.tanh import Tanh
from neuroanp.trajectory import LayerActivity, LayerChange

if TYPE_CHECKING:
    from neuroanp.backends.reads import ArrayReads
    from neuroanp.network.network import Layer
    from neuroanp.substrates.protocol import White
    from neuroanp.trajectory import PassPlan

WIDEST = 724
"""Units up to which the BLAS that loops call takes no longer than torch's, whose products of few rows read W faster."""
SMALL = 1 << 22
"""Multiply-accumulates a step up to which the product of a step is part of the loop: too few to share by threads."""


def compiled(layer: Layer, like: Tensor) -> bool:
    """Return whether a layer is done by compiled loops."""
    return type(layer.cell) is Tanh and single(like)


class Source(NamedTuple):
    """Where the loops find the noise of some units.

    Args:
        key, update, streams: its address, but for the step. factors: (M,) of the normals of each pass.
    """

    key: tuple[int, int]
    update: int
    streams: np.ndarray
    factors: np.ndarray

    @classmethod
    def of(cls, white: White | None, plan: PassPlan) -> Source:
        """Return that of white noise; None: of none."""
        streams, sigma = np.array(plan.stream, dtype=np.int64), 0.0 if white is None else white.sigma
        factors = (np.array(plan.noise) * sigma).astype(np.float32)
        return cls(
            (0, 0) if white is None else white.at.keys, 0 if white is None else white.at.update, streams, factors
        )


def noisy(drive: Tensor, white: White, plan: PassPlan, t0: int) -> Tensor:
    """Return drive (T, 1 or M, B, n) with white noise, (T, M, B, n); t0: the first step."""
    if drive.device.type != "cpu":
        from neuroanp.kernels import device_draws

        factors = [factor * white.sigma for factor in plan.noise]
        at, shape = white.at._replace(t=t0), tuple(drive.shape[2:])
        return device_draws.noisy(at, len(drive), plan.stream, factors, shape, drive, white.update_there, drive)
    from neuroanp.kernels import passes

    out = drive.new_empty(len(drive), plan.passes, *drive.shape[2:])
    passes.noisy_drive(out.numpy(), drive.contiguous().numpy(), *Source.of(white, plan), t0)
    return out


@dataclass(frozen=True)
class Chunk:
    """What a chunk of a layer starts from.

    Args:
        drive: (T, 1 or M, B, n) what arrives from below, with the noise of the units unless that is `white`.
        x: (M B, n) activities of the step before. t0: its first step.
        white: noise to be drawn; None: it is in the drive, or there is none.
    """

    drive: Tensor
    x: Tensor
    t0: int
    white: White | None


class CompiledPasses:
    """Buffers and addresses of one chunk, and its loops.

    Args:
        chunk: what it starts from. plan: the passes. keep: what is wanted, as in `Request`.
    """

    def __init__(self, chunk: Chunk, plan: PassPlan, keep: str) -> None:
        self.chunk, self.plan, self.keep = chunk, plan, keep
        drive, M = chunk.drive, plan.passes
        steps, _, B, n = drive.shape
        self.shape = (M, B, n)
        self.hs = drive.new_empty(steps if keep not in ("changes", "loss") else min(steps, 1), *self.shape)
        self.xs = drive.new_empty(steps, *self.shape)
        R = plan.differences if keep == "changes" else 0
        self.d, self.s = drive.new_empty(steps, R, B, n), drive.new_empty(steps, R, B)
        self.pre = drive.new_empty(steps, B, n) if R else drive.new_empty(0, B, n)
        self.which = -1 if plan.pre is None else plan.pre
        of_pairs = () if plan.pairs == "mean" else plan.pairs
        self.pairs = np.array(of_pairs, dtype=np.int64).reshape(-1, 2)
        self.source = Source.of(chunk.white, plan)

    def recur(self, wt: Tensor) -> None:
        """Do all steps of a small layer whose array is read without noise; wt: (n, n), W transposed."""
        from neuroanp.kernels import passes
        from neuroanp.kernels.blas import one_thread

        with one_thread():
            self._recur(wt, passes.recur)

    def _recur(self, wt: Tensor, recur: Callable[..., None]) -> None:
        recur(
            self.chunk.drive.numpy(), wt.numpy(), self.chunk.x.numpy(), self.hs.numpy(), self.xs.numpy(),
            self.d.numpy(), self.s.numpy(), self.pre.numpy(), *self.source, self.chunk.t0, self.pairs, self.which,
        )  # fmt: skip

    def steps(self, add: Callable[[int, Tensor, Tensor], object] | None) -> None:
        """Do the steps one by one; add(t, h, x): adds to h (M B, n) what the layer's own array makes of x_{t-1}."""
        from neuroanp.kernels import passes

        n = self.shape[-1]
        drive, hs, xs = self.chunk.drive.numpy(), self.hs.numpy(), self.xs.numpy()
        d, s, pre = self.d.numpy(), self.s.numpy(), self.pre.numpy()
        before, rows, flat = self.chunk.x, self.hs.view(len(self.hs), -1, n), self.xs.view(len(self.xs), -1, n)
        for t in range(len(drive)):
            h, at = hs[t % len(hs)], self.chunk.t0 + t
            passes.drive_and_noise(h, drive[t], *self.source, at)
            if add is not None:
                add(t, rows[t % len(hs)], before)
            passes.activate(h.reshape(-1, n), xs[t].reshape(-1, n))
            before = flat[t]
            if d.shape[1]:
                passes.reduce(h, xs[t], d[t], s[t], pre[t], self.pairs, self.which)

    def read(self, arrays: ArrayReads, back: str) -> None:
        """Do all steps of a layer whose array is read with noise, as many at once as are drawn; back: its name."""
        from neuroanp.kernels import passes

        (steps, M, B, n), x = self.xs.shape, self.chunk.x
        for start, stop, noise in arrays.draws(back, self.chunk.t0, steps, near=True):
            now, xs = slice(start, stop), self.xs[start:stop]
            h = self.hs[now] if len(self.hs) == steps else self.xs.new_empty(xs.shape)
            passes.noisy_drive(h.numpy(), self.chunk.drive[now].numpy(), *self.source, self.chunk.t0 + start)
            flat = xs.view(-1, M * B, n)
            arrays.recur(back, h.view(flat.shape), flat, x, noise)
            x = flat[-1]
            if self.d.shape[1]:
                d, s, pre = (each[now].numpy() for each in (self.d, self.s, self.pre))
                passes.reduce_all(h.numpy(), xs.numpy(), d, s, pre, self.pairs, self.which)

    def told(self) -> LayerActivity | LayerChange:
        """Return what the layer did."""
        before = self.chunk.x.view(self.shape)
        if not self.d.shape[1]:
            return LayerActivity(self.hs, self.xs, before)
        first = before.mean(0) if self.plan.pre is None else before[self.plan.pre].clone()
        return LayerChange(self.d, self.s, self.pre, first)


def run(chunk: Chunk, plan: PassPlan, keep: str, arrays: ArrayReads, back: str | None) -> CompiledPasses:
    """Do a chunk of a layer.

    Args:
        chunk, plan, keep: as in `CompiledPasses`.
        arrays: readers. back: name of the array by which the layer sees itself, or None.
    """
    passes = CompiledPasses(chunk, plan, keep)
    if back is None:
        passes.steps(None)
        return passes
    reader = arrays.readers[back]
    if reader.plain and chunk.x.numel() * chunk.x.shape[1] <= SMALL and chunk.x.shape[1] <= WIDEST:
        passes.recur(reader.wt)
    elif reader.plain:
        passes.steps(lambda t, h, x: h.addmm_(x, reader.wt))
    elif arrays.recurs(back, len(chunk.x)):
        passes.read(arrays, back)
    else:
        passes.steps(_noisy(arrays, back, chunk))
    return passes


def _noisy(arrays: ArrayReads, back: str, chunk: Chunk) -> Callable[[int, Tensor, Tensor], object]:
    """Return what adds a noisy read of the layer's own array at each step, in order."""
    parts = arrays.draws(back, chunk.t0, len(chunk.drive), near=True)
    start, stop, drawn = next(parts)

    def add(t: int, h: Tensor, x: Tensor) -> None:
        nonlocal start, stop, drawn
        if t == stop:
            start, stop, drawn = next(parts)
        h += arrays.once(back, x, None if drawn is None else drawn.step(t - start))

    return add
