"""Simulate the rate network in torch, all passes stacked along the batch.

    h_t = W_in u_t + W x_{t-1} + n_t     x_t = tanh(h_t)     y_t = W_out x_t + n^y_t

A chunk of time is filled with W_in u_t and its noise in bulk; the loop over time adds only
W x_{t-1} and takes the tanh; the outputs are one product for the whole chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.draws import numpy_dtype
from neuroanp.substrates.periphery import Reader, normals
from neuroanp.trajectory import PassPlan, Trajectory, with_bias_line

if TYPE_CHECKING:
    from neuroanp.noise import PassStreams
    from neuroanp.substrates.protocol import ReadPlan, Substrate


SMALL = 1 << 17
"""Multiply-accumulates a step below which numpy's product is twice as fast as torch's, and surely in one thread."""
LARGEST_DRAW = 256 << 20
"""Bytes of read noise drawn at once for one array, unless a single step takes more."""


def draw_bytes(read: ReadPlan, rows: int, steps: int) -> tuple[int, int]:
    """Return how many of `steps` steps are drawn at once, and the bytes that their read noise takes.

    Args:
        read: the array.
        rows: vectors read a step, M B.
        steps: of the chunk.

    >>> from neuroanp.substrates.protocol import ReadPlan
    >>> draw_bytes(ReadPlan(torch.zeros(128, 128), torch.ones(128, 128), sampled=True), 64, 100)  # 4 MiB a step
    (64, 268435456)
    """
    states = 0 if read.process is None else 2 * read.process.numel()  # the processes, and the weights they make
    step = rows * (normals(read) + states) * read.W.element_size()
    at_once = min(steps, max(1, LARGEST_DRAW // max(step, 1)))
    return at_once, at_once * step


def _recur_small(h: np.ndarray, xs: np.ndarray, x: np.ndarray, wt: np.ndarray) -> None:
    """Do all steps of a small network on the tensors' own memory: h_t += x W^T, x = tanh(h_t)."""
    product = np.empty_like(x)
    for h_t, x_t in zip(h, xs, strict=True):
        np.dot(x, wt, out=product)
        np.add(h_t, product, out=h_t)
        x = np.tanh(h_t, out=x_t)


def tanh_steps(h: Tensor, x: Tensor) -> Callable[[int], Tensor]:
    """Return a function that fills x[t] with tanh(h[t]) and returns it.

    On a CPU numpy computes it on the same memory: its vectorised tanh takes an eighth of torch's time.
    """
    if h.device.type != "cpu":
        return lambda t: torch.tanh(h[t], out=x[t])
    before, after, steps = h.numpy(), x.numpy(), x.unbind()

    def activate(t: int) -> Tensor:
        np.tanh(before[t], out=after[t])
        return steps[t]

    return activate


class RateBackend:
    """Rate network (tanh units, one step of time a read) in torch.

    Args:
        dt: seconds a step.
        chunk: steps of time simulated at once; changes memory and rounding only.
    """

    name = "rate"

    def __init__(self, dt: float, chunk: int = 64) -> None:
        self.dt = dt
        self.chunk = chunk

    def passes(
        self,
        substrate: Substrate,
        reads: Mapping[str, ReadPlan],
        inputs: Tensor,
        plan: PassPlan,
        streams: PassStreams,
        *,
        keep: str = "all",
        book: bool = True,
        artificial: bool = True,
    ) -> Iterator[Trajectory]:
        """Present `inputs` once for each pass; see `neuroanp.backends.protocol.Backend`."""
        steps, batch, _ = inputs.shape
        bias = substrate.targets.bias
        u = with_bias_line(inputs) if bias else inputs
        simulation = _Simulation(substrate, reads, plan, streams, batch, steps * self.dt, bias, artificial)
        x = inputs.new_zeros(plan.passes * batch, substrate.targets.hidden)
        for t0 in range(0, steps, self.chunk):
            u_chunk = u[t0 : t0 + self.chunk]
            h, xs, y = simulation.run(u_chunk, x, t0)
            if book:
                simulation.book(u_chunk, xs, x)
            shape = (len(u_chunk), plan.passes, batch, -1)
            yield Trajectory(
                u=u_chunk,
                h=h.view(shape) if keep == "all" else None,
                x=xs.view(shape) if keep == "all" else None,
                x_prev=x.view(plan.passes, batch, -1) if keep == "all" else None,
                y=y,
                t0=t0,
                dt=self.dt,
            )
            x = xs[-1].clone()  # a copy: the chunk's memory must not live on through its last step


class _Noise(NamedTuple):
    """What some steps of reads of one array draw.

    Args:
        xi: standard normals times the pass's gain, (..., M, B, normals).
        deviation: noise of the weights where it has a memory, (..., M, B, n, m), or None.
    """

    xi: Tensor
    deviation: Tensor | None

    def step(self, t: int) -> _Noise:
        """Return the noise of one step, with passes and batch in one dimension."""
        deviation = None if self.deviation is None else self.deviation[t].flatten(0, 1)
        return _Noise(self.xi[t].flatten(0, 1), deviation)


class _Simulation:
    """One presentation of a batch: readers of the three arrays and the noise they draw."""

    def __init__(
        self,
        substrate: Substrate,
        reads: Mapping[str, ReadPlan],
        plan: PassPlan,
        streams: PassStreams,
        batch: int,
        apart: float,
        bias: bool,
        artificial: bool,
    ) -> None:
        self.substrate, self.plan, self.streams, self.batch, self.bias = substrate, plan, streams, batch, bias
        self.readers = {name: Reader(read) for name, read in reads.items()}
        self.nodes = substrate.perturbation(plan, batch, streams, artificial, apart)
        self.noisy = any(plan.gain)
        self.devices = {
            name: substrate.device_noise(name, read, plan, batch, streams, apart)
            for name, read in reads.items()
            if read.process is not None and self.noisy
        }

    def run(self, u: Tensor, x: Tensor, t0: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return h (T, MB, N), x (T, MB, N), y (T, M, B, O) of one chunk that starts from x (MB, N)."""
        steps, M = len(u), self.plan.passes
        drive = self._read("w_in", u.unsqueeze(1), t0)  # (T, 1 or M, B, N): noise-free inputs are the same for all
        node = self.nodes.draw("hidden", t0, steps)
        h = drive.expand(steps, M, self.batch, -1).contiguous() if node is None else node.add_(drive)
        h = h.view(steps, M * self.batch, -1)
        xs = torch.empty_like(h)
        self._recur(h, xs, x, t0)
        lines = xs.view(steps, M, self.batch, -1)
        y = self._read("w_out", with_bias_line(lines) if self.bias else lines, t0)
        node = self.nodes.draw("output", t0, steps)
        return h, xs, y if node is None else y + node

    def _recur(self, h: Tensor, xs: Tensor, x: Tensor, t0: int) -> None:
        """Add W x_{t-1} to h in place and fill xs, step by step."""
        reader = self.readers["w"]
        if reader.plain and h.device.type == "cpu" and x.numel() * x.shape[1] <= SMALL:
            _recur_small(h.numpy(), xs.numpy(), x.numpy(), reader.wt.numpy())
            return
        activate = tanh_steps(h, xs)
        if reader.plain:
            for t, h_t in enumerate(h):
                h_t.addmm_(x, reader.wt)
                x = activate(t)
            return
        for start, stop, noise in self._draws("w", t0, len(h)):
            for t in range(start, stop):
                h[t] += self._once("w", x, None if noise is None else noise.step(t - start))
                x = activate(t)

    def _read(self, name: str, x: Tensor, t0: int) -> Tensor:
        """Read an array for a whole chunk: x (T, 1 or M, B, m) -> (T, 1 or M, B, n)."""
        parts = [self._once(name, x[start:stop], noise) for start, stop, noise in self._draws(name, t0, len(x))]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _once(self, name: str, x: Tensor, noise: _Noise | None) -> Tensor:
        """Read an array at once for all rows: by the moments of its noise, or with every device drawn."""
        reader = self.readers[name]
        if noise is None or not reader.plan.sampled:
            return reader(x, None if noise is None else noise.xi)
        lead = noise.xi.shape[:-1]
        rows = x.expand(*lead, x.shape[-1])
        deviation = None if noise.deviation is None else noise.deviation.flatten(0, len(lead) - 1)
        y = self.substrate.mvm(name, reader, rows.flatten(0, -2), noise.xi.flatten(0, -2), deviation)
        return y.view(*lead, -1)

    def _draws(self, name: str, t0: int, steps: int) -> Iterator[tuple[int, int, _Noise | None]]:
        """Draw an array's read noise for a chunk, as many steps at once as LARGEST_DRAW allows.

        Yields: the first step within the chunk, the one after the last, and the noise or None where
            nothing is noisy.
        """
        reader = self.readers[name]
        if not (reader.noisy and self.noisy):
            yield 0, steps, None
            return
        at_once, _ = draw_bytes(reader.plan, self.plan.passes * self.batch, steps)
        for start in range(0, steps, at_once):
            stop = min(start + at_once, steps)
            yield start, stop, self._noise(name, t0 + start, stop - start)

    def _noise(self, name: str, t0: int, steps: int) -> _Noise:
        """Draw an array's read noise, times each pass's gain."""
        reader = self.readers[name]
        shape, dtype = (self.batch, reader.normals), numpy_dtype(reader.wt)
        make = torch.empty if all(self.plan.gain) else torch.zeros
        xi = make(steps, self.plan.passes, *shape, dtype=reader.wt.dtype)
        for m, (gain, stream) in enumerate(zip(self.plan.gain, self.plan.stream, strict=True)):
            if gain and reader.normals:
                draw = self.streams.normal(f"read/{name}", stream, t0, steps, shape, dtype)
                torch.mul(torch.from_numpy(draw), gain, out=xi[:, m])
        devices = self.devices.get(name)
        # both devices of a pair come with the sign of their plane
        deviation = None if devices is None else devices.draw(t0, steps).sum(3)
        return _Noise(xi.to(reader.wt.device), deviation)

    def book(self, u: Tensor, xs: Tensor, x: Tensor) -> None:
        """Book the chunk's reads: M x B x T vectors for each array."""
        reads = xs.shape[0] * xs.shape[1]
        noisy = xs.shape[0] * self.batch * sum(gain != 0 for gain in self.plan.gain)
        loads = {name: reader.load for name, reader in self.readers.items()}
        outside = loads["w_in"](u) * self.plan.passes
        before = loads["w"](x.unsqueeze(0)) + loads["w"](xs[:-1])
        after = loads["w_out"](with_bias_line(xs) if self.bias else xs)
        for name, load in (("w_in", outside), ("w", before), ("w_out", after)):
            self.substrate.book_reads(name, load, reads, noisy)
            reader = self.readers[name]
            if reader.conversions:
                # a noise-free read is simulated once for all passes; the chip converts in each of them
                times = reads * reader.wt.shape[1] * reader.plan.parts // reader.conversions
                self.substrate.ledger.book_conversions(times * int(reader.clipped), times * reader.conversions)
                reader.clipped.zero_()
                reader.conversions = 0
