"""Simulate the rate network in torch, all passes stacked along the batch.

    h_t = W_in u_t + W x_{t-1} + n_t     x_t = tanh(h_t)     y_t = W_out x_t + n^y_t

A chunk of time is filled with W_in u_t and its noise in bulk; the loop over time adds only
W x_{t-1} and takes the tanh; the outputs are one product for the whole chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from neuroanp.backends.reads import ArrayReads
from neuroanp.baselines.network import tanh_activity, tanh_outputs
from neuroanp.trajectory import PassPlan, Trajectory, with_bias_line

if TYPE_CHECKING:
    from neuroanp.backends.neuron import Interface
    from neuroanp.noise import PassStreams
    from neuroanp.substrates.protocol import ReadPlan, Substrate


SMALL = 1 << 17
"""Multiply-accumulates a step below which numpy's product is twice as fast as torch's, and surely in one thread."""


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

    name: ClassVar[str] = "rate"
    spiking: ClassVar[bool] = False
    digital: ClassVar[bool] = False
    units: ClassVar[type[Interface] | None] = None
    neuron: Interface | None = None
    highest_rate_Hz: float | None = None
    differentiable = staticmethod(tanh_outputs)
    activity = staticmethod(tanh_activity)

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
            h, xs, y, noise = simulation.run(u_chunk, x, t0, keep == "noise")
            if book:
                simulation.book(u_chunk, xs, x)
            shape = (len(u_chunk), plan.passes, batch, -1)
            yield Trajectory(
                u=u_chunk,
                h=h.view(shape) if keep != "loss" else None,
                x=xs.view(shape) if keep != "loss" else None,
                x_prev=x.view(plan.passes, batch, -1) if keep != "loss" else None,
                y=y,
                t0=t0,
                dt=self.dt,
                noise=noise if keep == "noise" else None,
                noise_sigma=substrate.node_sigmas(artificial) if keep == "noise" else None,
            )
            x = xs[-1].clone()  # a copy: the chunk's memory must not live on through its last step

    def rehearse(self, neurons: Mapping[str, Tensor]) -> None:
        """Do nothing: there is no size or option that cannot be simulated."""


class _Simulation:
    """One presentation of a batch: reads of the three arrays and the noise of the units."""

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
        self.plan, self.batch, self.bias = plan, batch, bias
        self.arrays = ArrayReads(substrate, reads, plan, streams, batch, apart)
        self.nodes = substrate.perturbation(plan, batch, streams, artificial, apart)

    def run(self, u: Tensor, x: Tensor, t0: int, keep_noise: bool) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Return h (T, MB, N), x (T, MB, N), y (T, M, B, O) of one chunk that starts from x (MB, N).

        The noise of the units by layer comes with them where it is wanted.
        """
        steps, M = len(u), self.plan.passes
        drive = self.arrays.read("w_in", u.unsqueeze(1), t0)  # (T, 1 or M, B, N): the same for all without noise
        node = self.nodes.draw("hidden", t0, steps)
        noise = {"hidden": node.clone()} if keep_noise and node is not None else {}
        h = drive.expand(steps, M, self.batch, -1).contiguous() if node is None else node.add_(drive)
        h = h.view(steps, M * self.batch, -1)
        xs = torch.empty_like(h)
        self._recur(h, xs, x, t0)
        lines = xs.view(steps, M, self.batch, -1)
        y = self.arrays.read("w_out", with_bias_line(lines) if self.bias else lines, t0)
        node = self.nodes.draw("output", t0, steps)
        if keep_noise and node is not None:
            noise["output"] = node
        return h, xs, y if node is None else y + node, noise

    def _recur(self, h: Tensor, xs: Tensor, x: Tensor, t0: int) -> None:
        """Add W x_{t-1} to h in place and fill xs, step by step."""
        reader = self.arrays.readers["w"]
        if reader.plain and h.device.type == "cpu" and x.numel() * x.shape[1] <= SMALL:
            _recur_small(h.numpy(), xs.numpy(), x.numpy(), reader.wt.numpy())
            return
        activate = tanh_steps(h, xs)
        if reader.plain:
            for t, h_t in enumerate(h):
                h_t.addmm_(x, reader.wt)
                x = activate(t)
            return
        for start, stop, noise in self.arrays.draws("w", t0, len(h)):
            for t in range(start, stop):
                h[t] += self.arrays.once("w", x, None if noise is None else noise.step(t - start))
                x = activate(t)

    def book(self, u: Tensor, xs: Tensor, x: Tensor) -> None:
        """Book the chunk's reads: M x B x T vectors for each array."""
        loads = {name: reader.load for name, reader in self.arrays.readers.items()}
        self.arrays.book("w_in", loads["w_in"](u) * self.plan.passes, len(xs))
        self.arrays.book("w", loads["w"](x.unsqueeze(0)) + loads["w"](xs[:-1]), len(xs))
        self.arrays.book("w_out", loads["w_out"](with_bias_line(xs) if self.bias else xs), len(xs))
