"""Simulate a rate network in torch, all passes stacked along the batch.

    h_t = sum over arrays of W pre + n_t     state, x_t = cell.step(state, h_t)     y_t = sum of W_out x_t + n^y_t

Layer after layer a chunk of time is filled with what comes from below and the noise of the units in bulk; the loop over
time adds only W x_{t-1} and takes the cell's step; the outputs are one product for the whole chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor

from neuroanp.backends.compiled_passes import Chunk, compiled, noisy, run
from neuroanp.backends.protocol import Request, of_both_kinds
from neuroanp.backends.reads import ArrayReads
from neuroanp.baselines.network import rate_activities, rate_outputs
from neuroanp.kernels.precision import single
from neuroanp.network.cell import CELLS
from neuroanp.network.lines import with_bias_line, word_lines
from neuroanp.network.network import INPUT, OUTPUT
from neuroanp.network.tanh import Tanh
from neuroanp.network.trial import faults
from neuroanp.registry import Registry
from neuroanp.trajectory import LayerActivity, LayerChange, Trajectory

if TYPE_CHECKING:
    from neuroanp.baselines.protocol import Activities, Outputs
    from neuroanp.network.cell import Cell
    from neuroanp.network.network import Layer, Network, Projection
    from neuroanp.substrates.protocol import Neurons, White


class RateBackend:
    """Rate networks (one step of time a read) in torch.

    Args:
        dt: seconds a step.
        chunk: steps of time simulated at once; changes memory and rounding only.
    """

    name: ClassVar[str] = "rate"
    spiking: ClassVar[bool] = False
    digital: ClassVar[bool] = False
    recordable: ClassVar[bool] = True
    cells: ClassVar[Registry[Any]] = CELLS

    def __init__(self, dt: float, chunk: int = 64) -> None:
        self.dt = dt
        self.chunk = chunk

    def run(self, request: Request) -> Iterator[Trajectory]:
        """Present the inputs once for each pass; see `neuroanp.backends.protocol.Backend`."""
        simulation = _Simulation(request, request.steps * self.dt)
        sigmas = request.substrate.node_sigmas(request.artificial) if request.keep == "noise" else None

        def run(u: Tensor, t0: int, live: Tensor | None) -> Trajectory:
            u = with_bias_line(u, request.network.bias)
            layers, y, noise = simulation.run(u, t0, live)
            return Trajectory(
                u=u,
                layers=layers if request.keep != "loss" else {},
                y=y,
                t0=t0,
                dt=self.dt,
                noise=noise if request.keep == "noise" else None,
                noise_sigma=sigmas,
            )

        yield from request.present(self.chunk, run)

    @classmethod
    def refuses(cls, network: Network) -> list[str]:
        """Return why it cannot simulate such a network; see `neuroanp.backends.protocol.Backend`."""
        if not network.spikes:
            wrong = [said for layer in network.layers for said in faults(cast("Cell", layer.cell))]
            return [*dict.fromkeys(wrong), *network.late_inputs]
        said = f"backend 'rate' has cells of rates only ({', '.join(CELLS.names())}); use backend 'lif' or 'spiking'"
        return of_both_kinds(network) or [said]

    def highest_rate_Hz(self, network: Network) -> float | None:
        """Return None: no unit spikes."""

    def differentiable(self, network: Network) -> Outputs | None:
        """Return the noise-free network, through which autograd can differentiate."""
        return rate_outputs

    def activity(self, network: Network) -> Activities | None:
        """Return what says how active the layers of the noise-free network are."""
        return rate_activities

    def rehearse(self, network: Network, neurons: Neurons) -> None:
        """Do nothing: there is no size or option that cannot be simulated."""


class _Simulation:
    """One presentation of a batch: reads of the arrays, noise of the units, and where each layer stands."""

    def __init__(self, request: Request, apart: float) -> None:
        substrate, self.request, self.plan = request.substrate, request, request.plan
        self.network, self.batch = substrate.network, request.batch
        streams = request.streams
        self.arrays = ArrayReads(substrate, request.reads, self.plan, streams, self.batch, apart)
        self.nodes = substrate.perturbation(self.plan, self.batch, streams, request.artificial, apart)
        like, rows = request.like, self.plan.passes * self.batch
        self.x = {layer.name: like.new_zeros(rows, layer.units) for layer in self.network.layers}
        self.states = {
            layer.name: cast("Cell", layer.cell).start(rows, layer.units, like) for layer in self.network.layers
        }
        self.before = self.x

    def run(
        self, u: Tensor, t0: int, live: Tensor | None
    ) -> tuple[dict[str, LayerActivity | LayerChange], Tensor, dict[str, Tensor]]:
        """Return what the layers did in the next chunk of time, the outputs (T, M, B, O) and the noise by group.

        Args:
            u: (T, B, I), or (T, M, B, I) of a world, with the bias line. t0: its first step.
            live: (M, B), of a world those rows that go on; None: all.
        """
        noise: dict[str, Tensor] = {}
        self.before = dict(self.x)
        seen = {INPUT: u.unsqueeze(1) if u.ndim == 3 else u}  # (T, 1 or M, B, n): data are the same for all passes
        layers: dict[str, LayerActivity | LayerChange] = {}
        for layer in self.network.layers:
            layers[layer.name], xs = self._layer(layer, seen, t0, noise)
            if self.request.book:
                self._book(layer, seen, xs, live)
            seen[layer.name] = xs.view(len(u), self.plan.passes, self.batch, -1)
            self.x[layer.name] = xs[-1].clone()  # a copy: the chunk's memory must not live on through its last step
        y = self._outputs(seen, t0, noise, live)
        return layers, y, noise

    def _layer(
        self, layer: Layer, seen: Mapping[str, Tensor], t0: int, noise: dict[str, Tensor]
    ) -> tuple[LayerActivity | LayerChange, Tensor]:
        """Return what a layer did, and x (T, M B, n); its noise goes into `noise` where it is wanted."""
        drive, there = self._drive(layer.name, seen, t0)  # (T, 1 or M, B, lines)
        steps, M = len(drive), self.plan.passes
        if compiled(layer, drive):
            return self._compiled(layer, drive, t0, noise)
        white = self._white(layer.name, drive)
        node = None if white is not None else self._node(layer.name, t0, steps, noise, copy=True)
        if drive.shape[-1] < self.network.lines[layer.name]:
            wide = drive.new_zeros(*drive.shape[:-1], self.network.lines[layer.name])
            wide[..., there] = drive
            drive = wide
        if white is not None and white.sigma:
            h = noisy(drive, white, self.plan, t0)
        else:
            h = drive.expand(steps, M, self.batch, -1).contiguous() if node is None else node.add_(drive)
        h = h.view(steps, M * self.batch, -1)
        xs = h.new_empty(steps, M * self.batch, layer.units)
        self._recur(layer, h, xs, t0)
        shape, before = (steps, M, self.batch, -1), self.before[layer.name]
        return LayerActivity(h.view(shape), xs.view(shape), before.view(shape[1:])), xs

    def _compiled(
        self, layer: Layer, drive: Tensor, t0: int, noise: dict[str, Tensor]
    ) -> tuple[LayerActivity | LayerChange, Tensor]:
        """Do a layer by compiled loops, which draw white noise themselves; see `_layer`."""
        keep, back = self.request.keep, self.network.recurrence(layer.name)
        white = self._white(layer.name, drive)
        if white is None and (node := self._node(layer.name, t0, len(drive), noise, copy=True)) is not None:
            drive = node.add_(drive)
        chunk = Chunk(drive.contiguous(), self.before[layer.name], t0, white)
        done = run(chunk, self.plan, keep, self.arrays, None if back is None else back.name)
        return done.told(), done.xs.view(len(drive), -1, layer.units)

    def _drive(self, group: str, seen: Mapping[str, Tensor], t0: int) -> tuple[Tensor, slice]:
        """Return the sum of what arrays from below bring to a group, and which of its pre-activations they reach."""
        feed = self.network.feed(group)
        total: Tensor | None = None
        for p in feed:
            part = self.arrays.read(p.name, self._lines(p, seen), t0)
            total = part if total is None else total + part
        assert total is not None
        return total, self.network.ports(feed[0])

    def _lines(self, p: Projection, seen: Mapping[str, Tensor]) -> Tensor:
        """Return what the word lines of an array from below see, (T, 1 or M, B, m)."""
        x = seen[p.pre]
        if p.pre == INPUT:
            return x if p.bias or not self.network.bias else x[..., : self.network.inputs]
        return word_lines(p, x, self.before[p.pre].view(x.shape[1:]))

    def _node(self, group: str, t0: int, steps: int, noise: dict[str, Tensor], copy: bool) -> Tensor | None:
        """Return the noise of a group's pre-activations, kept where the rule wants to know it."""
        node = self.nodes.draw(group, t0, steps)
        if self.request.keep == "noise" and node is not None:
            noise[group] = node.clone() if copy else node
        return node

    def _outputs(self, seen: Mapping[str, Tensor], t0: int, noise: dict[str, Tensor], live: Tensor | None) -> Tensor:
        """Return the outputs (T, M, B, O) and book their reads."""
        y, _ = self._drive(OUTPUT, seen, t0)
        if self.request.book:
            for p in self.network.feed(OUTPUT):
                self._booked(p, self._lines(p, seen), live)
        white = self._white(OUTPUT, y)
        if white is not None:
            return noisy(y, white, self.plan, t0) if white.sigma else y
        node = self._node(OUTPUT, t0, len(y), noise, copy=False)
        return y if node is None else y + node

    def _white(self, group: str, like: Tensor) -> White | None:
        """Return a group's noise where it is drawn as it is added; None where it is drawn apart, or is wanted."""
        there = single(like) or like.device.type != "cpu"
        return self.nodes.white(group) if there and self.request.keep != "noise" else None

    def _recur(self, layer: Layer, h: Tensor, xs: Tensor, t0: int) -> None:
        """Fill xs step by step, adding W x_{t-1} to h in place where the layer sees itself."""
        back, x = self.network.recurrence(layer.name), self.x[layer.name]
        reader = None if back is None else self.arrays.readers[back.name]
        activate = self._cell_steps(layer, h, xs)
        if back is None:
            for t in range(len(h)):
                activate(t)
            return
        there = self.network.ports(back)
        if reader is not None and reader.plain:
            for t, h_t in enumerate(h[..., there]):
                h_t.addmm_(x, reader.wt)
                x = activate(t)
            return
        reached = h[..., there]
        for start, stop, drawn in self.arrays.draws(back.name, t0, len(h)):
            for t in range(start, stop):
                reached[t] += self.arrays.once(back.name, x, None if drawn is None else drawn.step(t - start))
                x = activate(t)

    def _cell_steps(self, layer: Layer, h: Tensor, xs: Tensor) -> Callable[[int], Tensor]:
        """Return a function that does step t of a layer's cells: it fills xs[t] and returns it."""
        cell = cast("Cell", layer.cell)
        if type(cell) is Tanh:
            return lambda t: torch.tanh(h[t], out=xs[t])

        def activate(t: int) -> Tensor:
            self.states[layer.name], x = cell.step(self.states[layer.name], h[t])
            return xs[t].copy_(x)

        return activate

    def _book(self, layer: Layer, seen: Mapping[str, Tensor], xs: Tensor, live: Tensor | None) -> None:
        """Book the chunk's reads of the arrays into a layer: M x B x T vectors for each."""
        for p in self.network.projections:
            if p.post != layer.name:
                continue
            if p.pre != p.post:
                self._booked(p, self._lines(p, seen), live)
                continue
            before = self.before[layer.name].unsqueeze(0)
            load = self.arrays.load(p.name, before, live) + self.arrays.load(p.name, xs[:-1], live)
            self.arrays.book(p.name, load, len(xs), live=live)

    def _booked(self, p: Projection, lines: Tensor, live: Tensor | None) -> None:
        """Book the reads of an array from below; lines (T, 1 or M, B, m): those of data serve all passes."""
        load = self.arrays.load(p.name, lines.flatten(1, 2), live)
        self.arrays.book(p.name, load * (self.plan.passes // lines.shape[1]), len(lines), live=live)
