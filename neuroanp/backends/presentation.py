"""Present a batch to spiking units on a substrate: arrays and noise in, spikes and outputs out.

    I_ext = g_in W_in u_t + drive + n_t           or, where input lines carry spikes,  I += g_in W_in u_t
    I    += g_s W s_t                             at the synapses' turn of the step, from the layer itself
    I    += g_s W s_t                             from a layer below: before the membrane moves, or (delay 1) with these
    y_t   = a y_{t-1} + sum of W_out s_t + n^y_t  a = exp(-dt / tau_r) (trace), or 1 (count)

Word lines that units drive see spikes, 0 or 1, at every step; what they add to outputs is filtered behind the array,
so that y = W_out z, with the read noise of every step filtered as the spikes are. A bias line of an array to the output
(and of one that adds to I) is driven at 1 - a, so that what it adds settles at its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from neuroanp.backends.neuron import NeuronModel
from neuroanp.backends.population import Population, Recurrence, Steps, fired
from neuroanp.backends.reads import ArrayReads, Noise
from neuroanp.kernels.held import held
from neuroanp.later import number as as_number
from neuroanp.network.lines import a_step_late, with_bias_line
from neuroanp.network.network import INPUT, OUTPUT
from neuroanp.trajectory import LayerActivity, Trajectory

if TYPE_CHECKING:
    from neuroanp.backends.protocol import Request
    from neuroanp.network.network import Layer, Projection

Decays = tuple[float, float]
"""Factors a step of the trace that outputs read, and of the synaptic current."""


class LayerState:
    """One layer of a presentation: its population, and what it carries from chunk to chunk.

    Args:
        layer: name, number and model of its units. population: M B copies of them, put to rest here.
        decays: of its traces. like: (rows, n) gives dtype and device.
    """

    def __init__(self, layer: Layer, population: Population, decays: Decays, rows: int, like: Tensor) -> None:
        self.name, self.units, self.population = layer.name, layer.units, population
        self.neuron = cast("NeuronModel", layer.cell)
        self.trace, self.synapse = decays
        self.z = like.new_zeros(rows, layer.units)
        population.begin()

    def keep(self, found: Steps) -> None:
        """Remember where the chunk left the traces; a copy, so that the chunk's memory does not live on."""
        self.z = found.z[-1].clone()


class Presentation:
    """One presentation of a batch, chunk after chunk in order of time.

    Args:
        request: what is presented. spikes_in: whether input lines carry spikes.
        populations: M B copies of the units of each layer. decays: of their traces, by layer.
        dt: seconds a step.
    """

    def __init__(
        self,
        request: Request,
        spikes_in: bool,
        populations: Mapping[str, Population],
        decays: Mapping[str, Decays],
        dt: float,
    ) -> None:
        self.request, self.network, self.plan = request, request.network, request.plan
        self.substrate, self.spikes_in, self.dt = request.substrate, spikes_in, dt
        steps, self.batch = request.steps, request.batch
        about = (request.plan, request.streams, self.batch)
        self.arrays = ArrayReads(request.substrate, request.reads, *about, steps * dt)
        self.nodes = request.substrate.perturbation(
            request.plan, self.batch, request.streams, request.artificial, steps * dt
        )
        self.sigmas = request.substrate.node_sigmas(request.artificial)
        like, M = request.like, request.plan.passes
        self.layers = {
            layer.name: LayerState(layer, populations[layer.name], decays[layer.name], request.rows, like)
            for layer in self.network.layers
        }
        last = self.layers[self.network.layers[-1].name]
        self.counts = last.neuron.decoder == "count"
        self.decay = 1.0 if self.counts else last.trace
        self.line = 1.0 / steps if self.counts else 1.0 - last.trace  # of a bias of the output: it settles at 1
        self.first = self.layers[self.network.layers[0].name]
        self.wt = {name: self._fixed(state) for name, state in self.layers.items()}
        self.y = like.new_zeros(M, self.batch, self.network.outputs)
        self.traces = {  # what arrays to the output have seen, filtered
            p.name: like.new_zeros(M, self.batch, self.network.shapes[p.name][1]) for p in self.network.feed(OUTPUT)
        }
        self.inputs = like.new_zeros(self.batch, self.network.inputs)  # traces of them; of a world one for each pass
        self.before = {name: state.z for name, state in self.layers.items()}  # traces of the step before the chunk
        self.told = {p.name: 0.0 for p in self.network.projections}  # what a bias line that adds to I has added up to

    def run(self, u: Tensor, t0: int, live: Tensor | None = None) -> Trajectory:
        """Simulate the next chunk of time and return its trajectory.

        Args:
            u: (T, B, I), or (T, M, B, I) of a world. t0: its first step.
            live: (M, B), of a world those rows that go on; None: all.
        """
        keep, kept = self.request.keep, self.request.keep != "loss"
        seen: dict[str, Tensor] = {}  # what word lines see, by array
        pre: dict[str, Tensor] = {}
        noise: dict[str, Tensor] = {}
        done: dict[str, Steps] = {}
        layers: dict[str, LayerActivity] = {}
        lines, trace = self._input_lines(u)
        self.before = {name: state.z for name, state in self.layers.items()}
        for name, state in self.layers.items():
            done[name] = self._layer(state, lines, done, t0, seen, pre, noise)
            if kept:
                layers[name] = self._activity(done[name], self.before[name])
        y = self._outputs(done, t0, seen)
        node = self.nodes.draw(OUTPUT, t0, len(u))
        if keep == "noise" and node is not None:
            noise[OUTPUT] = node
        spikes = {name: found.s if live is None else found.s[:, live.flatten()] for name, found in done.items()}
        number = {name: fired(s) for name, s in spikes.items()}
        if self.request.book:
            self._book(seen, spikes, number, live)
        if kept:
            pre |= self._readouts(seen)
        return Trajectory(
            u=trace,
            layers=layers,
            y=y if node is None else y + node,
            t0=t0,
            dt=self.dt,
            pre=pre if kept else {},
            fired=number,
            noise=noise if keep == "noise" else None,
            noise_sigma=self.sigmas if keep == "noise" else None,
        )

    # ---- into the units ----

    def _layer(
        self, state: LayerState, lines: Tensor, done: Mapping[str, Steps], t0: int,
        seen: dict[str, Tensor], pre: dict[str, Tensor], noise: dict[str, Tensor],
    ) -> Steps:  # fmt: skip
        """Simulate a layer for a chunk of time; what its arrays see goes into `seen`, its noise into `noise`."""
        steps = len(lines)
        external: Tensor | None = None  # what adds to I_ext
        turn: Tensor | None = None  # to I, at the synapses' turn
        arriving: Tensor | None = None  # to I, before the membrane moves
        for p in self.network.feed(state.name):
            if p.pre == INPUT:
                seen[p.name] = lines if p.bias or not self.network.bias else lines[..., : self.network.inputs]
                part = self.arrays.read(p.name, by_pass(seen[p.name]), t0) * state.neuron.input_gain
                if not self.spikes_in:
                    external = added(external, part)
                elif self.network.input_delay:
                    turn = added(turn, part)
                else:
                    arriving = added(arriving, part)
                continue
            seen[p.name], pre[p.name] = self._of_spikes(p, done[p.pre], state)
            part = self.arrays.read(p.name, seen[p.name], t0) * state.neuron.synapse_gain
            turn, arriving = (added(turn, part), arriving) if p.delay else (turn, added(arriving, part))
        node = self.nodes.draw(state.name, t0, steps)
        if self.request.keep == "noise" and node is not None:
            noise[state.name] = node.clone()
        shape, rows = (steps, self.plan.passes, self.batch, state.units), (steps, -1, state.units)
        current = self._current(state, external, node, shape)
        incoming, before = (None if part is None else part.expand(shape).reshape(rows) for part in (turn, arriving))
        connected = self.network.recurrence(state.name) is not None
        recurrence = Recurrence(self.wt[state.name], self._recurrent(state, t0, steps), connected)
        found = state.population.run(current.view(rows), recurrence, incoming, self.request.keep == "states", before)
        state.keep(found)
        return found

    def _input_lines(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return what word lines of the input see, and the presynaptic activity of its weights, shaped as u is."""
        bias = self.network.bias
        if not self.spikes_in:
            lines = with_bias_line(u) if bias else u
            return lines, lines
        first = self.first
        lines = torch.cat([u, u.new_full((*u.shape[:-1], 1), 1.0 - first.synapse)], -1) if bias else u
        trace, late = torch.empty_like(lines), self.network.input_delay
        for t, spikes in enumerate(u):
            before, self.inputs = self.inputs, first.trace * self.inputs + spikes
            trace[t, ..., : u.shape[-1]] = before if late else self.inputs  # late: it moves no membrane before the next
            if bias:
                told = self._tell(INPUT, first.synapse)
                trace[t, ..., -1] = told if late else self.told[INPUT]
        return lines, trace

    def _tell(self, array: str, synapse: float) -> float:
        """Return what a bias line that adds to I has added up to, and let it add once more."""
        before = self.told.get(array, 0.0)
        self.told[array] = synapse * before + 1.0 - synapse
        return before

    def _of_spikes(self, p: Projection, below: Steps, state: LayerState) -> tuple[Tensor, Tensor]:
        """Return what the word lines of an array between layers see, and the presynaptic activity of its weights."""
        shape = self._shape(below)
        spikes, trace = below.s.to(self.y.dtype).view(shape), below.z.view(shape)
        if p.delay:  # a spike of this step moves no membrane above before the next
            trace = a_step_late(trace, self.before[p.pre].view(trace.shape[1:]))
        if not p.bias:
            return spikes, trace
        told = [self._tell(p.name, state.synapse) for _ in spikes]
        if not p.delay:  # it arrives before the membrane moves
            told = [*told[1:], self.told[p.name]]
        constant = held(tuple(told), trace.dtype, trace.device).view(-1, 1, 1, 1).expand(*trace.shape[:-1], 1)
        driven = spikes.new_full((*spikes.shape[:-1], 1), 1.0 - state.synapse)
        return torch.cat([spikes, driven], -1), torch.cat([trace, constant], -1)

    def _current(
        self, state: LayerState, external: Tensor | None, node: Tensor | None, shape: tuple[int, ...]
    ) -> Tensor:
        """Return the external current (T, M, B, n): constant drive, noise, and what inputs that are currents bring."""
        if node is None:
            node = self.y.new_zeros(shape)
        if state.neuron.drive:
            node += state.neuron.drive
        return node if external is None else node.add_(external)

    def _fixed(self, state: LayerState) -> Tensor | None:
        """Return what a spike adds within a layer, (n, n), where reads are exact; None where each is its own."""
        back = self.network.recurrence(state.name)
        reader = None if back is None else self.arrays.readers[back.name]
        return reader.wt * state.neuron.synapse_gain if reader is not None and reader.plain else None

    def _recurrent(self, state: LayerState, t0: int, steps: int) -> Callable[[int, Tensor], Tensor]:
        """Return a function that reads a layer's own array at one step, for spikes (rows, n); steps come in order."""
        back, gain = self.network.recurrence(state.name), state.neuron.synapse_gain
        if back is None:
            nothing = torch.zeros_like(state.z)
            return lambda t, spikes: nothing
        draws = self.arrays.draws(back.name, t0, steps)
        start, stop, noise = 0, 0, None

        def read(t: int, spikes: Tensor) -> Tensor:
            nonlocal start, stop, noise
            if t >= stop:
                start, stop, noise = next(draws)
            now: Noise | None = None if noise is None else noise.step(t - start)
            return self.arrays.once(back.name, spikes, now) * gain

        return read

    def _activity(self, found: Steps, before: Tensor) -> LayerActivity:
        """Return what a layer did; `before` is its trace at the step before."""
        shape = self._shape(found)
        z = found.z.view(shape)
        return LayerActivity(
            h=found.h.view(shape), x=z, x_prev=before.view(shape[1:]), z=z, spikes=found.s.view(shape),
            v=None if found.v is None else found.v.view(shape),
        )  # fmt: skip

    # ---- out of the units ----

    def _outputs(self, done: Mapping[str, Steps], t0: int, seen: dict[str, Tensor]) -> Tensor:
        """Return the outputs (T, M, B, O) without their noise; what their arrays see goes into `seen`."""
        feed, total = self.network.feed(OUTPUT), None
        if all(self.arrays.readers[p.name].plain and self._trace_is_read(p) for p in feed):  # y = W_out z
            for p in feed:
                total = added(total, self.arrays.read(p.name, done[p.pre].z.view(self._shape(done[p.pre])), t0))
            assert total is not None
            return total
        for p in feed:
            seen[p.name] = self._output_lines(p, done[p.pre].s)
            total = added(total, self.arrays.read(p.name, seen[p.name], t0))
        assert total is not None
        self.y = filtered(total, self.y, self.decay)
        return total

    def _output_lines(self, p: Projection, s: Tensor) -> Tensor:
        """Return what the word lines of an array to the output see, (T, M, B, m)."""
        lines = s.to(self.y.dtype).view(len(s), self.plan.passes, self.batch, -1)
        return torch.cat([lines, lines.new_full((*lines.shape[:-1], 1), self.line)], -1) if p.bias else lines

    def _readouts(self, seen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the presynaptic activity of arrays to the output, where it is not the trace of the units itself."""
        found = {}
        for p in self.network.feed(OUTPUT):
            if not self._trace_is_read(p):
                found[p.name] = self._readout(p, seen[p.name])
        return found

    def _trace_is_read(self, p: Projection) -> bool:
        """Return whether outputs read the trace z itself: no bias, no count, no units of one's own come between."""
        return self.layers[p.pre].neuron.trace_is_readout and not self.counts and not p.bias

    def _shape(self, found: Steps) -> tuple[int, int, int, int]:
        """Return the shape of what units did, with passes and sequences apart."""
        return len(found.s), self.plan.passes, self.batch, -1

    def _readout(self, p: Projection, lines: Tensor) -> Tensor:
        """Return the presynaptic activity of an array to the output: its lines, filtered as what they add is."""
        r = lines.clone()
        self.traces[p.name] = filtered(r, self.traces[p.name], self.decay)
        return r

    def _book(
        self, seen: Mapping[str, Tensor], s: Mapping[str, Tensor], number: Mapping[str, Tensor], live: Tensor | None
    ) -> None:
        """Book the chunk's reads and spikes, `number` (n,) of each unit; a bias line is no spike.

        Args:
            seen: what word lines saw, of all rows. s: (T, rows, n) spikes of those that go on. number: of these.
            live: (M, B), which those are; None: all.
        """

        def rows_of(lines: Tensor) -> Tensor:
            lines = lines.flatten(1, 2)
            return lines if live is None else lines[:, live.flatten()]

        count = {name: as_number(each.sum()) for name, each in number.items()}
        total: float | Tensor = 0
        loads: dict[str, tuple[Tensor, float | Tensor | None]] = {}
        for p in self.network.projections:
            rows, reader = self.network.shapes[p.name][0], self.arrays.readers[p.name]
            load = reader.load
            if p.pre == INPUT:
                lines = by_pass(seen[p.name])
                times = self.plan.passes // lines.shape[1]  # data serve all passes
                lines = rows_of(lines)
                driven = as_number(torch.count_nonzero(lines[..., : self.network.inputs]))
                loads[p.name] = load(lines) * times, driven * times * rows if self.spikes_in else None
            elif (
                reader.plan.dac is None and not reader.plan.bits and reader.plan.ohmic and not p.bias
            ):  # lines of 0 and 1: their squares add up to the spikes
                loads[p.name] = number[p.pre].to(self.y.dtype), count[p.pre] * rows
            else:
                lines = s[p.pre].to(self.y.dtype) if p.pre == p.post else rows_of(seen[p.name])
                loads[p.name] = load(lines), count[p.pre] * rows
        for name, (load, events) in loads.items():
            self.arrays.book(name, load, len(next(iter(s.values()))), events, live)
            total = total if events is None else total + events
        self.substrate.book_spikes(sum(count.values()), total)


def by_pass(u: Tensor) -> Tensor:
    """Return inputs as (T, 1 or M, B, I): data (T, B, I) are the same for all passes."""
    return u.unsqueeze(1) if u.ndim == 3 else u


def added(total: Tensor | None, part: Tensor) -> Tensor:
    """Return a sum that may have no part yet."""
    return part if total is None else total + part


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
