"""Learn with a chip in the loop: its integer neurons in place of the network's own.

Weights are rounded to the chip's numbers at every presentation and kept unrounded beside it, so that updates smaller
than half a step add up (the straight-through estimator: the update of the rounded weight is written to the other).
With c_j units of state a threshold, spikes and noise reach unit j in whole numbers:

    arriving_j = round(c_j k (g_s W s + g_in W_in u)_j),     noise_j = round(c_j k_e (I_ext - drive)_j)

and so do the currents of an earlier layer's spikes, which arrive in the step itself, each sum rounded on its own.

Source of the estimator: Hubara et al., JMLR 18, 187 (2018), section 2.3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from neuroanp.backends import loihi, xylo
from neuroanp.backends.network import SpikingNetwork
from neuroanp.backends.neuron import LIF, Interface
from neuroanp.backends.population import Recurrence, Steps
from neuroanp.backends.presentation import Presentation
from neuroanp.errors import InputError
from neuroanp.network.network import OUTPUT
from neuroanp.trajectory import Weights

if TYPE_CHECKING:
    from neuroanp.backends.population import Population
    from neuroanp.backends.presentation import Decays
    from neuroanp.backends.protocol import Request
    from neuroanp.network.network import Network, Projection
    from neuroanp.substrates.protocol import Neurons


States = tuple[Tensor, Tensor]
"""Current and potential, int64."""


class Grid(NamedTuple):
    """The numbers that a chip has for some weights: n = round((scale W + zero) / step), cut at low and high.

    >>> grid = Grid(torch.tensor([[100.0]]), step=2, low=-254, high=254)
    >>> grid.held(torch.tensor([[0.034, 9.0]])).tolist()
    [[0.03999999910593033, 2.5399999618530273]]
    """

    scale: Tensor
    step: int
    low: int
    high: int
    zero: float | Tensor = 0.0

    def numbers(self, W: Tensor) -> Tensor:
        """Return the chip's whole numbers for weights (post, pre), as multiples of 1, not of the step."""
        rounded = torch.round((W.to(self.scale) * self.scale + self.zero) / self.step) * self.step
        return rounded.clamp(self.low, self.high).long()

    def held(self, W: Tensor) -> Tensor:
        """Return the weights that the chip has instead, in their own units."""
        return ((self.numbers(W).double() - self.zero) / self.scale).to(W)


@dataclass(frozen=True)
class Chip(ABC):
    """A chip's neurons and the scales of its numbers; all tensors float64 unless said otherwise.

    Args:
        grids: of w_in, w and w_out. bias: of what drives hidden units at every step, (N,).
        offset: of the bias of outputs, (O,), or None where who reads the outputs adds it.
        arrival: (N,), a weight's units in a current of 1. unit: (N,), a bias's units in a threshold.
        state: units of a potential in a unit of a bias.
        k_i, k_e, drive: of the network's neurons: how currents move membranes, and the constant one.
        readout, synapse: decays of outputs and currents, as the chip has them.
        rise: decay with which a bias of outputs that who reads them adds comes to its end.
        scale: (O,), units of an output's state in an output of 1.
    """

    grids: Mapping[str, Grid]
    bias: Grid
    offset: Grid | None
    arrival: Tensor
    unit: Tensor
    state: int
    k_i: float
    k_e: float
    drive: float
    readout: float
    synapse: float
    rise: float
    scale: Tensor

    @abstractmethod
    def move(self, states: States, arriving: Tensor, bias: Tensor, noise: Tensor) -> tuple[States, Tensor, Tensor]:
        """Return current and potential after a step, potentials before the reset, and spikes, (rows, N) each."""

    @abstractmethod
    def read(self, states: States, arriving: Tensor, offset: Tensor | None) -> tuple[States, Tensor]:
        """Return the two states (..., O) of outputs after a step, and the one that is read."""

    def to(self, device: torch.device) -> Chip:
        """Return the chip with its tensors on a torch device."""
        if device.type == "cpu":
            return self

        def moved(part: Any) -> Any:
            if isinstance(part, Tensor):
                return part.to(device)
            if isinstance(part, tuple):
                return type(part)(*map(moved, part))
            return {key: moved(value) for key, value in part.items()} if isinstance(part, Mapping) else part

        return replace(self, **{each.name: moved(getattr(self, each.name)) for each in fields(self)})

    def held(self, W: Mapping[str, Tensor], bias: bool) -> dict[str, Tensor]:
        """Return the weights that the chip has instead of W, in their own units; with a bias in the last columns."""
        found = {name: self.grids[name].held(W[name]) for name in W}
        if bias:
            found["w_in"][:, -1] = self.bias.held(W["w_in"][:, -1])
            column = W["w_out"][:, -1]
            found["w_out"][:, -1] = column if self.offset is None else self.offset.held(column)
        return found


@dataclass(frozen=True)
class LoihiChip(Chip):
    """Loihi's; see `backends.loihi`. The layers' own biases are not used."""

    hidden: loihi.Cuba
    output: loihi.Cuba

    def move(self, states: States, arriving: Tensor, bias: Tensor, noise: Tensor) -> tuple[States, Tensor, Tensor]:
        """Do a step of hidden units; see `Chip`."""
        u, before, s, v, _ = loihi.step(self.hidden._replace(bias=bias), *states, arriving, noise)
        return (u, v), before, s

    def read(self, states: States, arriving: Tensor, offset: Tensor | None) -> tuple[States, Tensor]:
        """Do a step of output units, whose membrane adds the offset; see `Chip`."""
        layer = self.output if offset is None else self.output._replace(bias=offset)
        u, before, _, v, _ = loihi.step(layer, *states, arriving)
        return (u, v), u if offset is None else before


@dataclass(frozen=True)
class XyloChip(Chip):
    """Xylo's; see `backends.xylo`. Of sums that leave 16 bits only the whole sum is cut.

    Args:
        threshold, dash_mem, dash_syn: (N,), dash_out: (O,), int64, as in `backends.xylo.Network`.
    """

    threshold: Tensor
    dash_mem: Tensor
    dash_syn: Tensor
    dash_out: Tensor

    def move(self, states: States, arriving: Tensor, bias: Tensor, noise: Tensor) -> tuple[States, Tensor, Tensor]:
        """Do a step of hidden units; see `Chip`."""
        i = xylo.decayed((states[0] + arriving).clamp(xylo.LOW, xylo.HIGH), self.dash_syn)
        before, v, s = xylo.fire(states[1], i + noise, bias, self.dash_mem, self.threshold, xylo.MAX_HIDDEN)
        return (i, v), before, s

    def read(self, states: States, arriving: Tensor, offset: Tensor | None) -> tuple[States, Tensor]:
        """Do a step of the outputs' currents; see `Chip`."""
        i = xylo.decayed((states[0] + arriving).clamp(xylo.LOW, xylo.HIGH), self.dash_out)
        return (i, i), i


class ChipPopulation:
    """`rows` copies of a chip's hidden units; implements `backends.population.Population`.

    Args:
        rows: copies.
    """

    chip: Chip
    bias: Tensor

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def take(self, chip: Chip, bias: Tensor | None = None) -> None:
        """Be this chip's units, with a bias (N,) in the network's units (None: 0) beside the constant drive."""
        self.chip = chip
        self.bias = chip.bias.numbers(torch.zeros_like(chip.unit) if bias is None else bias)

    def begin(self) -> None:
        """Put every unit to rest."""
        rest = self.bias.new_zeros(self.rows, len(self.bias))
        self.states, self.arriving, self.z = (rest, rest), rest, rest.double()

    def run(
        self, current: Tensor, recurrence: Recurrence, incoming: Tensor | None, keep_v: bool = False,
        arriving: Tensor | None = None,
    ) -> Steps:  # fmt: skip
        """Simulate the next steps; see `Population.run`. Spikes are counts where a unit can spike several times."""
        chip, state = self.chip, self.chip.state
        noises = torch.round((current.double() - chip.drive) * chip.k_e * chip.unit * state).long()
        h, zs = torch.empty_like(current), torch.empty_like(current)
        spikes, vs = [], torch.empty_like(current) if keep_v else None
        constant = self.bias / (chip.k_e * chip.unit)
        early = None if arriving is None else self._whole(arriving)
        for t, noise in enumerate(noises):
            # a connection takes a step: what the last spikes added arrives together with what an earlier layer's do
            now_arriving = self.arriving if early is None else self.arriving + early[t]
            self.states, before, s = chip.move(self.states, now_arriving, self.bias, noise)
            now = self.states[0] / (chip.k_i * chip.unit * state)
            h[t] = now + constant + noise / (chip.k_e * chip.unit * state)
            if vs is not None:
                vs[t] = before / (chip.unit * state)
            number = s.to(current.dtype)
            added = number @ recurrence.wt if recurrence.wt is not None else recurrence.read(t, number)
            if incoming is not None:
                added = added + incoming[t]
            self.arriving = self._whole(added)
            self.z = chip.readout * self.z + s
            zs[t] = self.z
            spikes.append(s)
        return Steps(h, torch.stack(spikes), zs, vs)

    def _whole(self, currents: Tensor) -> Tensor:
        """Return the chip's whole numbers for currents into its units."""
        return torch.round(currents.double() * self.chip.arrival).long()


class ChipPresentation(Presentation):
    """A presentation whose outputs are the chip's too; see `Presentation` for the other arguments.

    Args:
        chip: its neurons. offset: (O,) what is added to the outputs in the network's units, or None.
    """

    def __init__(self, chip: Chip, offset: Tensor | None, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.chip, self.offset = chip, offset
        self.risen = 0.0  # of the bias of outputs
        self.numbers = None if offset is None or chip.offset is None else chip.offset.numbers(offset)
        rest = torch.zeros_like(self.y, dtype=torch.int64)
        self.states, _ = chip.read((rest, rest), rest, self.numbers)  # spikes take a step, an offset does not

    def _input_lines(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the word lines of w_in see, and the presynaptic activity of its weights: (T, B, I) each."""
        lines, pre = super()._input_lines(u)
        if self.network.bias:
            pre[..., -1] = 1.0  # on a chip a bias moves the membrane itself, in full from the first step
        return lines, pre

    def _readout(self, p: Projection, lines: Tensor) -> Tensor:
        """Return the presynaptic activity of w_out; that of a bias is what there is of it in the outputs."""
        r = super()._readout(p, lines)
        if p.bias:
            rise = self.chip.rise if self.numbers is None else 0.0
            for now in r:
                self.risen = rise * self.risen + 1.0 - rise
                now[..., -1] = self.risen
        return r

    def _outputs(self, spikes: Mapping[str, Tensor], t0: int, seen: dict[str, Tensor]) -> Tensor:
        """Return the outputs without their noise; what their array sees goes into `seen`."""
        chip, (p,) = self.chip, self.network.feed(OUTPUT)
        seen[p.name] = self._output_lines(p, spikes[p.pre])
        read = self.arrays.read(p.name, seen[p.name], t0)
        arriving = torch.round(read.double() * chip.grids[p.name].scale.squeeze(-1)).long()
        y = torch.empty_like(read)
        for t, now in enumerate(arriving):
            self.states, state = chip.read(self.states, now, self.numbers)
            y[t] = state / chip.scale
            if self.offset is not None and self.numbers is None:
                y[t] += self.offset * (1.0 - chip.rise ** (t0 + t + 1))
        return y


class ChipNetwork(SpikingNetwork):
    """Base of the backends whose units are a chip's: weights are rounded to its numbers, its integer neurons take them.

    Args:
        dt, chunk: as in `SpikingNetwork`; input lines carry spikes.
    """

    units = LIF
    chip: Chip
    """That of the latest presentation."""

    def __init__(self, dt: float, chunk: int = 64, **options: Any) -> None:
        super().__init__(dt, chunk, **{**options, "spikes_in": True})

    @classmethod
    def refuses(cls, network: Network) -> list[str]:
        """Return why it cannot simulate such a network; see `neuroanp.backends.protocol.Backend`."""
        first = network.groups[1]
        if len(network.layers) > 1 or network.recurrence(first) is None:
            return [f"backend '{cls.name}' has one layer whose units reach each other; use backend 'lif'"]
        if not network.input_delay:
            return [f"backend '{cls.name}': input spikes act a step later; leave network.input_delay out"]
        return super().refuses(network)

    @abstractmethod
    def _scaled(self, weights: Weights) -> Chip:
        """Return the chip with its scales for the weights of a network of one layer."""

    def _twin(self, weights: Weights, inputs: Tensor, neurons: Neurons | None = None) -> Tensor:
        """Return the outputs of the float twin with the chip's weights, whose rounding has a gradient of 1."""
        plain = {name: W.detach() for name, W in weights.items()}
        network = weights.network
        self.chip = self._scaled(Weights(plain, network))
        held = self.chip.held(plain, network.bias)
        rounded = {name: W + (held[name] - W).detach() for name, W in weights.items()}
        return super()._twin(Weights(rounded, network), inputs, neurons)

    def _traces(self, weights: Weights, inputs: Any, neurons: Neurons | None = None) -> dict[str, Tensor]:
        """Return what the outputs of the noise-free network read; see `SpikingNetwork`."""
        held, _ = self._loaded(weights, len(inputs[0]), neurons or {})
        return super()._traces(Weights(held, weights.network), inputs, neurons)

    def rounded(self, weights: Weights) -> Weights:
        """Return the weights as whole numbers of the chip stand for them, biases among them, in the network's units."""
        return Weights(self._scaled(weights).held(dict(weights.items()), weights.network.bias), weights.network)

    def _loaded(self, weights: Weights, rows: int, neurons: Neurons) -> tuple[dict[str, Tensor], Tensor | None]:
        """Put weights on the chip; return them as it has them, and what is added to its outputs (O,), or None.

        Biases act on their own, not over a line that is driven at every step: their columns are 0.
        """
        network, bias = weights.network, weights.network.bias
        layer = next(iter(network.layers))
        (into,), (out,) = network.feed(layer.name), network.feed(OUTPUT)
        self.chip = self._scaled(weights)
        held = self.chip.held(dict(weights.items()), bias)
        population = self._population(layer, rows, weights.like, neurons.get(layer.name, {}))
        assert isinstance(population, ChipPopulation)
        population.take(self.chip, held[into.name][:, -1] if bias else None)
        if not bias:
            return held, None
        offset = held[out.name][:, -1].clone()
        held[into.name][:, -1], held[out.name][:, -1] = 0.0, 0.0
        return held, offset

    def _presentation(self, request: Request) -> Presentation:
        self._check(request.network)
        neurons, network = request.substrate.neurons, request.network
        held, offset = self._loaded(Weights(request.weights, network), request.rows, neurons)
        reads = {name: replace(read, W=held[name]) for name, read in request.reads.items()}
        populations = self._all(network, request.rows, next(iter(held.values())), neurons)
        rounded = request._replace(reads=reads)
        return ChipPresentation(self.chip, offset, rounded, True, populations, self._decays(network), self.dt)

    def _decays(self, network: Network) -> dict[str, Decays]:
        """Return the chip's factors a step of the outputs and of the synaptic current."""
        return {layer.name: (self.chip.readout, self.chip.synapse) for layer in network.layers}

    def _make(self, neuron: Interface, rows: int, like: Tensor, neurons: Mapping[str, Tensor]) -> Population:
        if neurons:
            raise InputError(
                f"backend {self.name}: the chip's units are all alike, those of the profile or the weights differ in "
                f"{', '.join(sorted(neurons))}; switch mismatch off with --without neuron_mismatch, or use 'lif'"
            )
        return ChipPopulation(rows)


class ChipInLoop(ChipNetwork):
    """The backend of one chip, with scales that stay: what fine-tuning learns on.

    Args:
        chip: its neurons and scales. dt, chunk: as in `SpikingNetwork`.
    """

    name = "chip"

    def __init__(self, chip: Chip, dt: float, chunk: int = 64) -> None:
        super().__init__(dt, chunk)
        self.chip = chip

    def _scaled(self, weights: Weights) -> Chip:
        return self.chip
