"""Present a batch to spiking units on a substrate: arrays and noise in, spikes and outputs out.

    I_ext = g_in W_in u_t + drive + n_t           or, where input lines carry spikes,  I += g_in W_in u_t
    I    += g_s W s_t                             at the synapses' turn of the step
    y_t   = a y_{t-1} + W_out s_t + n^y_t         a = exp(-dt / tau_r) (trace), or 1 (count)

Word lines of w and w_out see spikes, 0 or 1, at every step; what they add is filtered behind the array,
so that y = W_out z, with the read noise of every step filtered as the spikes are. A bias line of w_out
(and of w_in where it adds to I) is driven at 1 - a, so that what it adds settles at its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from neuroanp.backends.neuron import Interface
from neuroanp.backends.population import Population, Recurrence
from neuroanp.backends.reads import ArrayReads, Noise
from neuroanp.trajectory import PassPlan, Trajectory, with_bias_line

if TYPE_CHECKING:
    from neuroanp.noise import PassStreams
    from neuroanp.substrates.protocol import ReadPlan, Substrate


class Asked(NamedTuple):
    """What is to be presented; all but `shape`, (T, B) of the whole batch, as in `Backend.passes`."""

    substrate: Substrate
    reads: Mapping[str, ReadPlan]
    plan: PassPlan
    streams: PassStreams
    artificial: bool
    shape: tuple[int, int]

    @property
    def rows(self) -> int:
        """M B: copies of the network."""
        return self.plan.passes * self.shape[1]


class Presentation:
    """One presentation of a batch, chunk after chunk in order of time.

    Args:
        neuron: gains and decoder. spikes_in: whether input lines carry spikes.
        population: M B copies of the network's neurons.
        asked: what is presented. dt: seconds a step.
        decays: factors a step of the readout and of the input's trace.
    """

    def __init__(
        self,
        neuron: Interface,
        spikes_in: bool,
        population: Population,
        asked: Asked,
        dt: float,
        decays: tuple[float, float],
    ) -> None:
        substrate, reads, plan, streams, artificial, (steps, self.batch) = asked
        self.neuron, self.spikes_in, self.plan, self.dt = neuron, spikes_in, plan, dt
        self.substrate, self.population = substrate, population
        self.arrays = ArrayReads(substrate, reads, plan, streams, self.batch, steps * dt)
        self.nodes = substrate.perturbation(plan, self.batch, streams, artificial, steps * dt)
        self.sigmas = substrate.node_sigmas(artificial)
        weights = substrate.targets
        self.hidden, self.bias = weights.hidden, weights.bias
        self.trace, self.synapse = decays
        counts = neuron.decoder == "count"
        self.decay = 1.0 if counts else self.trace
        self.line = 1.0 / steps if counts else 1.0 - self.trace  # of the bias of w_out: what it adds settles at 1
        # the trace of the units is what the outputs read, unless a bias, a count or units of one's own come between
        self.reads_z = neuron.trace_is_readout and not counts and not self.bias
        like = weights["w"]
        self.wt = self._fixed()
        self.z = like.new_zeros(plan.passes * self.batch, self.hidden)
        self.y = like.new_zeros(plan.passes, self.batch, weights.outputs)
        self.readout = like.new_zeros(plan.passes * self.batch, self.hidden + self.bias)
        self.inputs = like.new_zeros(self.batch, weights.inputs)
        self.told = 0.0  # what the bias line of w_in has added up to, where it adds to I
        population.begin()

    def run(self, u: Tensor, t0: int, keep: str, book: bool) -> Trajectory:
        """Simulate the next chunk of time and return its trajectory; `u` is (T, B, I)."""
        steps, M = len(u), self.plan.passes
        lines, pre = self._input_lines(u)
        drive = self.arrays.read("w_in", lines.unsqueeze(1), t0) * self.neuron.input_gain
        node = self.nodes.draw("hidden", t0, steps)
        noise = {"hidden": node.clone()} if keep == "noise" and node is not None else {}
        current, incoming = self._currents(drive, node)
        found = self.population.run(
            current, Recurrence(self.wt, self._recurrent(t0, steps)), incoming, keep == "states"
        )
        out_lines, y = self._outputs(found.s, t0)
        node = self.nodes.draw("output", t0, steps)
        if keep == "noise" and node is not None:
            noise["output"] = node
        if book:
            self._book(lines, found.s, out_lines)
        shape, kept = (steps, M, self.batch, -1), keep != "loss"
        z = found.z.view(shape) if kept else None
        before, self.z = self.z, found.z[-1].clone()
        return Trajectory(
            u=pre,
            h=found.h.view(shape) if kept else None,
            x=z,
            x_prev=before.view(M, self.batch, -1) if kept else None,
            y=y if node is None else y + node,
            t0=t0,
            dt=self.dt,
            z=z,
            readout=self._readout(out_lines) if kept and not self.reads_z else None,
            spikes=found.s.view(shape) if kept else None,
            fired=found.s.sum((0, 1)),
            v=None if found.v is None else found.v.view(shape),
            noise=noise if keep == "noise" else None,
            noise_sigma=self.sigmas if keep == "noise" else None,
        )

    # ---- into the units ----

    def _input_lines(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the word lines of w_in see, and the presynaptic activity of its weights: (T, B, I) each."""
        if not self.spikes_in:
            lines = with_bias_line(u) if self.bias else u
            return lines, lines
        lines = torch.cat([u, u.new_full((*u.shape[:-1], 1), 1.0 - self.synapse)], -1) if self.bias else u
        pre = torch.empty_like(lines)
        for t, spikes in enumerate(u):  # a spike of this step moves no membrane before the next
            pre[t, :, : u.shape[-1]] = self.inputs
            self.inputs = self.trace * self.inputs + spikes
            if self.bias:
                pre[t, :, -1] = self.told
                self.told = self.synapse * self.told + 1.0 - self.synapse
        return lines, pre

    def _currents(self, drive: Tensor, node: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the external current (T, rows, N), and what input spikes add to I, or None."""
        shape = (len(drive), self.plan.passes, self.batch, self.hidden)
        rows = (len(drive), -1, self.hidden)
        if node is None:
            node = drive.new_zeros(shape)
        if self.neuron.drive:
            node += self.neuron.drive
        if self.spikes_in:
            return node.view(rows), drive.expand(shape).reshape(rows)
        return node.add_(drive).view(rows), None

    def _fixed(self) -> Tensor | None:
        """Return what a spike adds, (N, N), where reads of w are exact; None where each read is its own."""
        reader = self.arrays.readers["w"]
        return reader.wt * self.neuron.synapse_gain if reader.plain else None

    def _recurrent(self, t0: int, steps: int) -> Callable[[int, Tensor], Tensor]:
        """Return a function that reads w at one step of the chunk, for spikes (rows, N); steps come in order."""
        draws, gain = self.arrays.draws("w", t0, steps), self.neuron.synapse_gain
        start, stop, noise = 0, 0, None

        def read(t: int, spikes: Tensor) -> Tensor:
            nonlocal start, stop, noise
            if t >= stop:
                start, stop, noise = next(draws)
            now: Noise | None = None if noise is None else noise.step(t - start)
            return self.arrays.once("w", spikes, now) * gain

        return read

    # ---- out of the units ----

    def _outputs(self, s: Tensor, t0: int) -> tuple[Tensor, Tensor]:
        """Return what the word lines of w_out see (T, M, B, N), and the outputs without their noise."""
        steps, M = len(s), self.plan.passes
        lines = s.to(self.y.dtype).view(steps, M, self.batch, -1)
        if self.bias:
            lines = torch.cat([lines, lines.new_full((*lines.shape[:-1], 1), self.line)], -1)
        y = self.arrays.read("w_out", lines, t0)
        self.y = filtered(y, self.y, self.decay)
        return lines, y

    def _readout(self, lines: Tensor) -> Tensor:
        """Return the presynaptic activity of w_out: its lines, filtered as what they add is."""
        r = lines.clone()
        start = self.readout.view(lines.shape[1:])
        self.readout = filtered(r, start, self.decay).reshape(self.readout.shape)
        return r

    def _book(self, lines: Tensor, s: Tensor, out_lines: Tensor) -> None:
        """Book the chunk's reads and spikes; a bias line is no spike."""
        steps, M = len(s), self.plan.passes
        load = {name: reader.load for name, reader in self.arrays.readers.items()}
        number = s.to(self.y.dtype)
        spikes, outputs = int(s.sum()), self.y.shape[-1]
        events = {"w_in": None, "w": spikes * self.hidden, "w_out": spikes * outputs}
        if self.spikes_in:
            of_inputs = lines[..., :-1] if self.bias else lines
            events["w_in"] = int(torch.count_nonzero(of_inputs)) * M * self.hidden
        self.arrays.book("w_in", load["w_in"](lines) * M, steps, events["w_in"])
        self.arrays.book("w", load["w"](number), steps, events["w"])
        self.arrays.book("w_out", load["w_out"](out_lines.flatten(1, 2)), steps, events["w_out"])
        self.substrate.book_spikes(spikes, sum(count or 0 for count in events.values()))


def filtered(x: Tensor, start: Tensor, decay: float) -> Tensor:
    """Filter x (T, ...) in place, x_t <- decay x_{t-1} + x_t from `start`; return its last step.

    >>> x = torch.ones(3)
    >>> filtered(x, torch.tensor(2.0), 0.5), x
    (tensor(2.), tensor([2., 2., 2.]))
    """
    last = start
    for now in x:
        now.add_(last, alpha=decay)
        last = now
    return last.clone()
