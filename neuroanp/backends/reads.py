"""Read the arrays of a network for all passes at once: their noise, and what the reads cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.draws import numpy_dtype
from neuroanp.kernels.draws import draw
from neuroanp.substrates.read import Reader, normals

if TYPE_CHECKING:
    from neuroanp.kernels.philox import Address
    from neuroanp.noise import PassStreams
    from neuroanp.substrates.device_noise import DeviceNoise
    from neuroanp.substrates.protocol import ReadPlan, Substrate
    from neuroanp.trajectory import PassPlan

LARGEST_DRAW = 256 << 20
"""Bytes of read noise drawn at once for one array, unless a single step takes more."""
NEAR = 1 << 20
"""The same where it is read step by step by compiled loops: it lies in a near cache still."""


def draw_bytes(read: ReadPlan, rows: int, steps: int, near: bool = False, later: bool = False) -> tuple[int, int]:
    """Return how many of `steps` steps are drawn at once, and the bytes that their read noise takes.

    Args:
        read: the array.
        rows: vectors read a step, M B.
        steps: of the chunk.
        near: whether NEAR bounds them, too. later: whether noise of devices is drawn as they are read, not before.

    >>> from neuroanp.substrates.protocol import ReadPlan
    >>> draw_bytes(ReadPlan(torch.zeros(128, 128), torch.ones(128, 128), sampled=True), 64, 100)  # 4 MiB a step
    (64, 268435456)
    """
    process = None if later else read.process
    states = 0 if process is None else 2 * process.numel()  # the processes, and the weights they make
    step = rows * (normals(read) + states) * read.W.element_size()
    most = min(LARGEST_DRAW, NEAR) if near else LARGEST_DRAW
    at_once = min(steps, max(1, most // max(step, 1)))
    return at_once, at_once * step


class Noise(NamedTuple):
    """What some steps of reads of one array draw.

    Args:
        xi: standard normals times the pass's gain, (..., M, B, normals).
        deviation: noise of the weights where it has a memory, (..., M, B, n, m), or what draws it as it is read; None.
    """

    xi: Tensor
    deviation: Tensor | Later | None

    def step(self, t: int) -> Noise:
        """Return the noise of one step, with passes and batch in one dimension."""
        at = self.deviation
        deviation = at.step(t) if isinstance(at, Later) else None if at is None else at[t].flatten(0, 1)
        return Noise(self.xi[t].flatten(0, 1), deviation)


class Later(NamedTuple):
    """Noise of an array's devices that is drawn while it is read, a step at a time.

    Args: devices: whose. t0: the first step.
    """

    devices: DeviceNoise
    t0: int

    def step(self, t: int) -> Later:
        """Return that of steps from t on."""
        return Later(self.devices, self.t0 + t)

    def __call__(self, x: Tensor, starts: np.ndarray) -> Tensor:
        """Return what it makes of rows x (steps M B, m) at each tile, (tiles, steps M B, n)."""
        rows = self.devices.plan.passes, self.devices.batch
        products = self.devices.products(x.view(-1, *rows, x.shape[-1]), self.t0, starts)
        return products.flatten(1, 3)


def draw_pass(xi: Tensor, m: int, factor: float, at: Address) -> None:
    """Fill xi[:, m], of (T, M, B, normals) on the CPU, with factor times the normals of an address."""
    if xi.dtype != torch.float32:
        made = draw("normal", at, len(xi), tuple(xi.shape[2:]), numpy_dtype(xi))
        torch.mul(torch.from_numpy(made), factor, out=xi[:, m])
        return
    from neuroanp.kernels import read_loops

    at.checked()._replace(t=at.t + len(xi) - 1).checked()
    read_loops.draw_pass(xi.numpy(), m, np.float32(factor), at.keys, at.update, at.stream, at.t)


class ArrayReads:
    """One presentation of a batch: readers of the arrays, and the noise that they draw.

    Args:
        substrate: holds the weights. reads: what it prepared for this update.
        plan, batch, streams: passes, sequences, where noise is drawn from.
        apart: seconds from one presentation to the next.
    """

    def __init__(
        self,
        substrate: Substrate,
        reads: Mapping[str, ReadPlan],
        plan: PassPlan,
        streams: PassStreams,
        batch: int,
        apart: float,
    ) -> None:
        plan = plan.of_devices  # whose noise nobody controls
        self.substrate, self.plan, self.streams, self.batch = substrate, plan, streams, batch
        self.readers = {name: Reader(read) for name, read in reads.items()}
        self.noisy = any(plan.noise)
        self.devices = {
            name: substrate.device_noise(name, read, plan, batch, streams, apart)
            for name, read in reads.items()
            if read.process is not None and self.noisy
        }

    def read(self, name: str, x: Tensor, t0: int) -> Tensor:
        """Read an array for a whole chunk: x (T, 1 or M, B, m) -> (T, 1 or M, B, n)."""
        parts = [self.once(name, x[start:stop], noise) for start, stop, noise in self.draws(name, t0, len(x))]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def recurs(self, name: str, rows: int) -> bool:
        """Return whether `recur` reads an array for so many rows; of drawn devices few."""
        reader, devices = self.readers[name], self.devices.get(name)
        if reader.plan.decorrelation is not None:  # each step has its own product before the array
            return False
        if reader.fast is None or not reader.plan.sampled:
            return reader.recurs
        return devices is not None and devices.fused and reader.fast.small(rows)

    def recur(self, name: str, h: Tensor, xs: Tensor, x: Tensor, noise: Noise | None) -> None:
        """Do some steps of tanh units that see themselves: h_t += what is read of x_{t-1}, x_t = tanh(h_t).

        Args: h, xs: (T, rows, n), changed and filled. x: (rows, n), before the first. noise: what the steps draw.
        """
        xi, later = (None, None) if noise is None else noise
        devices = later.devices.turned(later.t0, len(h)).loop(later.t0) if isinstance(later, Later) else None
        self.readers[name].recur(h, xs, x, xi, devices)

    def once(self, name: str, x: Tensor, noise: Noise | None) -> Tensor:
        """Read an array at once for all rows: by the moments of its noise, or with every device drawn."""
        reader = self.readers[name]
        if reader.plan.port is not None and x.ndim == 4:  # what is the same for all passes is read in each of them
            return reader(x.expand(-1, self.plan.passes, -1, -1))
        if noise is None or not reader.plan.sampled:
            return reader(x, None if noise is None else noise.xi)
        lead = noise.xi.shape[:-1]
        rows = x.expand(*lead, x.shape[-1])
        deviation = noise.deviation
        if isinstance(deviation, Tensor):
            deviation = deviation.flatten(0, len(lead) - 1)
        y = reader.sampled(rows.flatten(0, -2), noise.xi.flatten(0, -2), deviation)
        return y.view(*lead, -1)

    def draws(
        self, name: str, t0: int, steps: int, near: bool = False
    ) -> Iterator[tuple[int, int, Noise | None]]:  # fmt: skip
        """Draw an array's read noise for a chunk, as many steps at once as LARGEST_DRAW (and NEAR) allows.

        Yields: the first step within the chunk, the one after the last, and the noise or None where
            nothing is noisy.
        """
        reader = self.readers[name]
        if not (reader.noisy and self.noisy):
            yield 0, steps, None
            return
        at_once, _ = draw_bytes(reader.plan, self.plan.passes * self.batch, steps, near, self._later(name))
        for start in range(0, steps, at_once):
            stop = min(start + at_once, steps)
            yield start, stop, self._noise(name, t0 + start, stop - start)

    def _normals(self, stream: str, at: tuple[int, int, tuple[int, ...]], like: Tensor) -> Tensor:
        """Draw normals of all passes (steps, M, *shape), each times its factor, where `like` lies."""
        t0, steps, shape = at
        if like.device.type != "cpu":
            return self.streams.times(stream, self.plan.stream, self.plan.noise, t0, steps, shape, like)
        make = torch.empty if all(self.plan.noise) else torch.zeros
        xi = make(steps, self.plan.passes, *shape, dtype=like.dtype)
        for m, (factor, of_pass) in enumerate(zip(self.plan.noise, self.plan.stream, strict=True)):
            if factor and shape[-1]:
                draw_pass(xi, m, factor, self.streams.at(stream, of_pass, t0))
        return xi

    def _later(self, name: str) -> bool:
        """Return whether an array's devices are drawn as they are read."""
        devices = self.devices.get(name)
        return devices is not None and devices.fused and self.readers[name].fast is not None

    def _noise(self, name: str, t0: int, steps: int) -> Noise:
        """Draw an array's read noise, times each pass's factor."""
        reader = self.readers[name]
        xi = self._normals(f"read/{name}", (t0, steps, (self.batch, reader.normals)), reader.wt)
        devices = self.devices.get(name)
        if devices is None:
            deviation = None
        elif self._later(name):
            deviation = Later(devices, t0)
        else:  # both devices of a pair come with the sign of their plane
            deviation = devices.draw(t0, steps).sum(3)
        return Noise(xi, deviation)

    def load(self, name: str, x: Tensor, live: Tensor | None = None) -> Tensor:
        """Return what `Reader.load` does of inputs (steps, rows, m), or zeros (m,) where no book is kept of it.

        Args: live: (M, B), of a world those rows that go on: the others are not read. None: all are.
        """
        if not self.substrate.weighs_reads:
            return x.new_zeros(x.shape[-1])
        return self.readers[name].load(x if live is None else x[:, live.flatten()])

    def book(
        self, name: str, load: Tensor, steps: int, events: float | Tensor | None = None, live: Tensor | None = None
    ) -> None:
        """Book `steps` x M x B reads of an array and its conversions.

        Args:
            name: the array. load: (m,) what `Reader.load` returned for all passes.
            steps: of time.
            events: weights that spikes reached, where word lines carry spikes.
            live: (M, B), of a world those rows that go on; None: all.
        """
        rows = self.plan.passes * self.batch if live is None else int(live.sum())
        of_pass = [self.batch] * self.plan.passes if live is None else live.sum(1).tolist()
        noisy = steps * sum(n for n, factor in zip(of_pass, self.plan.noise, strict=True) if factor != 0)
        self.substrate.book_reads(name, load, steps * rows, noisy, events=events)
        reader = self.readers[name]
        if reader.conversions:
            # a noise-free read is simulated once for all passes; the chip converts in each of them, and nothing of what
            # is over: of that the share at the limits, which is counted of all that is simulated, is left out evenly
            due = steps * rows * reader.wt.shape[1] * reader.plan.parts
            clipped, simulated = reader.counted()
            at_limit = clipped * (due // simulated) if due % simulated == 0 else clipped * due / simulated
            self.substrate.ledger.book_conversions(at_limit, due)
