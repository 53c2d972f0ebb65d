"""Read noise with a memory, drawn for every device of an array: telegraph noise, 1/f noise."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.draws import uniform
from neuroanp.devices.protocol import ReadProcess
from neuroanp.devices.rtn import Telegraph
from neuroanp.errors import InputError
from neuroanp.kernels.draws import Kind
from neuroanp.kernels.precision import single
from neuroanp.noise import PassStreams
from neuroanp.substrates.device_reads import Turned
from neuroanp.substrates.starts import one_step, starts
from neuroanp.trajectory import PassPlan

LARGEST = 256
"""Rows and columns of the largest array whose devices are drawn one by one."""


def check_size(name: str, n: int, m: int) -> None:
    """Raise InputError for an array whose devices are too many to be drawn one by one.

    >>> check_size("w", 256, 256)
    >>> check_size("w", 257, 1)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: array 'w' has 257 bit lines and 1 word lines: noise with a memory is drawn device by ...
    """
    if max(n, m) > LARGEST:
        raise InputError(
            f"array '{name}' has {n} bit lines and {m} word lines: noise with a memory is drawn device by device up to "
            f"{LARGEST} x {LARGEST}; use a smaller network, or its moments (hardware.read: moments)"
        )


class DeviceNoise:
    """The read noise of one array in one presentation of a batch, drawn chunk after chunk in order of time.

        deviation(t) = factor sigma z(t),  z a process of unit variance for each device, pass and sequence

    States are carried from chunk to chunk and all draws are addressed by time step, so that the noise
    does not depend on how time is cut. Passes that share a stream see the same noise times their factor.
    What distinguishes devices (their correlation times) is drawn once a run, from "process/<name>".

    Presentations start from independent stationary states, unless `apart` says how far in time they
    lie from one another: sequence after sequence, and the passes of one sequence in turn. Each start
    then follows from the one before over that time, so that slow noise is common to passes (and
    drops out of their differences) as it is on a chip. A presentation itself is exact in both cases;
    between two of them noise is exactly correlated at their starts.

    Memory is of the states (passes x batch x devices, times 2 processes a decade for 1/f) and of the
    steps asked for at once.

    Args:
        name: of the array.
        plan: factor on the noise and stream of each pass.
        batch: B sequences, each with noise of its own.
        streams: where the draws come from.
        sigma: standard deviation of each device, (planes, n, m), in the units that are wanted; gives
            dtype and device. A negative one turns the sign of the noise.
        process: what the devices follow.
        dt: seconds a step.
        apart: seconds from the start of a presentation to that of the next; infinity: independent.

    Raises: InputError for an array beyond 256 x 256.

    >>> from neuroanp.devices.rtn import RtnRead
    >>> from neuroanp.noise import Streams
    >>> process = RtnRead(tau_high="1 ms", tau_low="1 ms", amplitude=0.1).process()
    >>> plan, streams = PassPlan((1.0, 1.0), (0, 1), ((0, 1),)), PassStreams(Streams(0), "train", 0)
    >>> sigma = torch.full((1, 3, 2), 0.1)  # planes, n, m
    >>> noise = DeviceNoise("w", plan, 4, streams, sigma, process, dt=1e-4)
    >>> z = noise.draw(0, 100)
    >>> z.shape, z.abs().unique()  # steps, M, B, planes, n, m; a telegraph: +-sigma
    (torch.Size([100, 2, 4, 1, 3, 2]), tensor([0.1000]))
    >>> x, both = torch.ones(100, 2, 4, 2), np.array([0, 2])
    >>> noise.fused, torch.allclose(noise.products(x, 0, both)[0], z[..., 0, :, :].sum(-1), atol=1e-6)
    (True, True)
    >>> type(noise.turned(0, 10)).__name__
    'Turned'
    """

    def __init__(
        self,
        name: str,
        plan: PassPlan,
        batch: int,
        streams: PassStreams,
        sigma: Tensor,
        process: ReadProcess,
        *,
        dt: float,
        apart: float = math.inf,
    ) -> None:
        check_size(name, *sigma.shape[-2:])
        self.name, self.plan, self.batch, self.streams = name, plan, batch, streams
        self.sigma, self.dt, self.apart = sigma, dt, apart
        of_devices = process.of_devices
        if of_devices is not None:
            rng = streams.streams.generator(f"process/{name}")
            process = of_devices(uniform(rng, tuple(sigma.shape), sigma))
        self.process = process
        self._reached = 0
        self._states: dict[int, Tensor] = {}
        self._turned: Turned | None = None

    def draw(self, t0: int, steps: int) -> Tensor:
        """Return the noise of steps t0 .. t0+steps-1.

        Args:
            t0: first step; 0 starts the presentation again, else it follows the last chunk.
            steps: how many.

        Returns: (steps, M, B, planes, n, m), in units of sigma.
        Raises: ValueError for a chunk out of order.
        """
        if t0 == 0:
            self._states = self._starts()
        elif t0 != self._reached:
            raise ValueError(f"chunks must follow in time: {self.name} stands at step {self._reached}, asked for {t0}")
        make = torch.empty if all(self.plan.noise) else torch.zeros  # silent passes stay at zero
        shape = (steps, self.plan.passes, self.batch, *self.sigma.shape)
        out = make(shape, dtype=self.sigma.dtype, device=self.sigma.device)
        for step in range(steps):
            for stream, state in self._states.items():
                u, xi = self._draws("device", stream, t0 + step)
                z, self._states[stream] = self.process.run(state, one_step(u), one_step(xi), self.dt)
                noise = z[0] * self.sigma
                for index, factor in enumerate(self.plan.noise):
                    if factor and self.plan.stream[index] == stream:
                        torch.mul(noise, factor, out=out[step, index])
        self._reached = t0 + steps
        return out

    @property
    def fused(self) -> bool:
        """Whether `products` can do without `draw`: telegraph noise of known devices, in single precision on a CPU."""
        process = self.process
        known = isinstance(process, Telegraph) and (not process.decades or process.tau_c is not None)
        return known and single(self.sigma)

    def products(self, x: Tensor, t0: int, starts: np.ndarray) -> Tensor:
        """Return what the noise of steps t0, t0 + 1, ... makes of inputs: sum_j deviation_ij x_j of each tile.

        The noise is that of `draw`, and no array of it is stored.

        Args: x: (steps, M, B, m). t0: as for `draw`. starts: (tiles + 1,), first word line of each tile, and m.

        Returns: (tiles, steps, M, B, n).
        Raises: ValueError for a chunk out of order.
        """
        return self.turned(t0, len(x)).products(x, t0, starts)

    def turned(self, t0: int, steps: int) -> Turned:
        """Return the devices as loops want them, for steps t0 .. t0+steps-1; ValueError for a chunk out of order."""
        if t0 == 0:
            assert isinstance(self.process, Telegraph)
            begun = self._starts()
            self._turned = Turned(self.name, self.plan, self.streams, self.sigma, self.process, self.dt, begun)
        elif t0 != self._reached:
            raise ValueError(f"chunks must follow in time: {self.name} stands at step {self._reached}, asked for {t0}")
        assert self._turned is not None
        self._reached = t0 + steps
        return self._turned

    def _starts(self) -> dict[int, Tensor]:
        """Return the state before the first step for each stream that is heard."""
        draws = {stream: self._draws("device_start", stream, 0) for stream in dict.fromkeys(self.plan.stream)}
        found = starts(self.process, draws, self.plan.stream, self.batch, self.apart, axis=-4)
        heard = {stream for factor, stream in zip(self.plan.noise, self.plan.stream, strict=True) if factor}
        return {stream: state for stream, state in found.items() if stream in heard}

    def _draws(self, kind: str, stream: int, step: int) -> tuple[Tensor | None, Tensor | None]:
        """Draw the uniforms and normals of one step."""
        shape = (self.batch, *self.sigma.shape)
        u, xi = self.process.uniforms(shape), self.process.normals(shape)

        def draw(of: Kind, n: tuple[int, ...]) -> Tensor:
            return self.streams.tensors(of, f"{kind}_{of}/{self.name}", [stream], step, 1, n, self.sigma)[0, 0]

        return None if u is None else draw("uniform", u), None if xi is None else draw("normal", xi)
