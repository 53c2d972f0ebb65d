"""Learn with a chip in the loop: its integer neurons in place of the network's own.

Weights are rounded to the chip's numbers at every presentation and kept unrounded beside it, so that updates smaller
than half a step add up (the straight-through estimator: the update of the rounded weight is written to the other).
With c_j units of state a threshold, spikes and noise reach unit j in whole numbers:

    arriving_j = round(c_j k (g_s W s + g_in W_in u)_j),     noise_j = round(c_j k_e (I_ext - drive)_j)

and so do spikes of a layer below, which come a step later as all do. A population also takes currents that arrive in
the step itself, each sum rounded on its own.

Source of the estimator: Hubara et al., JMLR 18, 187 (2018), section 2.3.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from neuroanp.backends.chip_structure import biased, unheld
from neuroanp.backends.chips import ChipLayer, IntegerChip
from neuroanp.backends.network import SpikingNetwork
from neuroanp.backends.neuron import LIF, NeuronModel
from neuroanp.backends.population import Recurrence, Steps
from neuroanp.backends.presentation import Presentation
from neuroanp.errors import InputError
from neuroanp.network.network import OUTPUT
from neuroanp.trajectory import Weights

if TYPE_CHECKING:
    from neuroanp.backends.population import Population
    from neuroanp.backends.presentation import Decays, LayerState
    from neuroanp.backends.protocol import Request
    from neuroanp.network.network import Network, Projection
    from neuroanp.substrates.protocol import Neurons


class ChipPopulation:
    """`rows` copies of a layer of a chip; implements `backends.population.Population`.

    Args:
        rows: copies.
    """

    layer: ChipLayer
    bias: Tensor

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def take(self, layer: ChipLayer, bias: Tensor | None = None) -> None:
        """Be this layer's units, with a bias (n,) in the network's units (None: 0) beside the constant drive."""
        self.layer = layer
        self.bias = layer.bias.numbers(torch.zeros_like(layer.unit) if bias is None else bias)

    def begin(self) -> None:
        """Put every unit to rest."""
        rest = self.bias.new_zeros(self.rows, len(self.bias))
        self.states, self.arriving, self.z = (rest, rest), rest, rest.double()

    def run(
        self, current: Tensor, recurrence: Recurrence, incoming: Tensor | None, keep_v: bool = False,
        arriving: Tensor | None = None,
    ) -> Steps:  # fmt: skip
        """Simulate the next steps; see `Population.run`. Spikes are counts where a unit can spike several times."""
        layer, state = self.layer, self.layer.state
        noises = torch.round((current.double() - layer.drive) * layer.k_e * layer.unit * state).long()
        h, zs = torch.empty_like(current), torch.empty_like(current)
        spikes, vs = [], torch.empty_like(current) if keep_v else None
        constant = self.bias / (layer.k_e * layer.unit)
        early = None if arriving is None else self._whole(arriving)
        for t, noise in enumerate(noises):
            # a connection takes a step: what the last spikes added arrives together with what an earlier layer's do
            now_arriving = self.arriving if early is None else self.arriving + early[t]
            self.states, before, s = layer.move(self.states, now_arriving, self.bias, noise)
            now = self.states[0] / (layer.k_i * layer.unit * state)
            h[t] = now + constant + noise / (layer.k_e * layer.unit * state)
            if vs is not None:
                vs[t] = before / (layer.unit * state)
            number = s.to(current.dtype)
            added = number @ recurrence.wt if recurrence.wt is not None else recurrence.read(t, number)
            if incoming is not None:
                added = added + incoming[t]
            self.arriving = self._whole(added)
            self.z = layer.readout * self.z + s
            zs[t] = self.z
            spikes.append(s)
        return Steps(h, torch.stack(spikes), zs, vs)

    def _whole(self, currents: Tensor) -> Tensor:
        """Return the chip's whole numbers for currents into its units."""
        return torch.round(currents.double() * self.layer.arrival).long()


class ChipPresentation(Presentation):
    """A presentation whose outputs are the chip's too; see `Presentation` for the other arguments.

    Args:
        chip: its neurons. offset: (O,) what is added to the outputs in the network's units, or None.
    """

    def __init__(self, chip: IntegerChip, offset: Tensor | None, *arguments: Any) -> None:
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

    def _of_spikes(self, p: Projection, below: Steps, state: LayerState) -> tuple[Tensor, Tensor]:
        """Return what word lines between layers see, and the presynaptic activity of their weights, likewise."""
        lines, pre = super()._of_spikes(p, below, state)
        if p.bias:
            pre[..., -1] = 1.0
        return lines, pre

    def _readout(self, p: Projection, lines: Tensor) -> Tensor:
        """Return the presynaptic activity of an array to the output; of a bias it is what outputs have of it."""
        r = super()._readout(p, lines)
        if p.bias:
            rise = self.chip.rise if self.numbers is None else 0.0
            for now in r:
                self.risen = rise * self.risen + 1.0 - rise
                now[..., -1] = self.risen
        return r

    def _outputs(self, done: Mapping[str, Steps], t0: int, seen: dict[str, Tensor]) -> Tensor:
        """Return the outputs without their noise; what their arrays see goes into `seen`."""
        chip, whole = self.chip, []
        for p in self.network.feed(OUTPUT):
            seen[p.name] = self._output_lines(p, done[p.pre].s)
            read = self.arrays.read(p.name, seen[p.name], t0)
            whole.append(torch.round(read.double() * chip.grids[p.name].scale.squeeze(-1)).long())
        arriving = sum(whole[1:], start=whole[0])
        y = torch.empty_like(arriving, dtype=self.y.dtype)
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

    >>> from neuroanp.backends.integer import LoihiBackend
    >>> from neuroanp.network.compose import Stacked, stack
    >>> LoihiBackend.refuses(stack(3, [Stacked(LIF(reset="hard", refractory=0.0), 5)], 2))
    []
    """

    units = LIF
    skips: ClassVar[bool] = True
    """Whether arrays may pass layers by."""
    chip: IntegerChip
    """That of the latest presentation."""

    def __init__(self, dt: float, chunk: int = 64, **options: Any) -> None:
        super().__init__(dt, chunk, **{**options, "spikes_in": True})

    @classmethod
    def refuses(cls, network: Network) -> list[str]:
        """Return why it cannot simulate such a network; see `neuroanp.backends.protocol.Backend`."""
        said = unheld(network, cls.name, cls.skips)
        if not network.input_delay:
            said.append(f"backend '{cls.name}': input spikes act a step later; leave network.input_delay out")
        return said + super().refuses(network)

    @abstractmethod
    def _scaled(self, weights: Weights) -> IntegerChip:
        """Return the chip with its scales for the weights of a network."""

    def _twin(self, weights: Weights, inputs: Tensor, neurons: Neurons | None = None) -> Tensor:
        """Return the outputs of the float twin with the chip's weights, whose rounding has a gradient of 1."""
        plain = {name: W.detach() for name, W in weights.items()}
        network = weights.network
        self.chip = self._scaled(Weights(plain, network))
        held = self.chip.held(plain)
        rounded = {name: W + (held[name] - W).detach() for name, W in weights.items()}
        return super()._twin(Weights(rounded, network), inputs, neurons)

    def _traces(self, weights: Weights, inputs: Any, neurons: Neurons | None = None) -> dict[str, Tensor]:
        """Return what the outputs of the noise-free network read; see `SpikingNetwork`."""
        held, _ = self._loaded(weights, len(inputs[0]), neurons or {})
        return super()._traces(Weights(held, weights.network), inputs, neurons)

    def rounded(self, weights: Weights) -> Weights:
        """Return the weights as whole numbers of the chip stand for them, biases among them, in the network's units.

        >>> import torch
        >>> from neuroanp.backends.integer import LoihiBackend
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> units = LIF(reset="hard", refractory=0.0)
        >>> W = Weights.one_layer({"w_in": one, "w": 0.301 * one, "w_out": one}, cell=units)
        >>> LoihiBackend(1e-3).rounded(W)["w"]
        tensor([[0.3151]], dtype=torch.float64)
        """
        return Weights(self._scaled(weights).held(dict(weights.items())), weights.network)

    def _loaded(self, weights: Weights, rows: int, neurons: Neurons) -> tuple[dict[str, Tensor], Tensor | None]:
        """Put weights on the chip; return them as it has them, and what is added to its outputs (O,), or None.

        Biases act on their own, not over a line that is driven at every step: their columns are 0.
        """
        network = weights.network
        self.chip = self._scaled(weights)
        held = self.chip.held(dict(weights.items()))
        for layer in network.layers:
            population = self._population(layer, rows, weights.like, neurons.get(layer.name, {}))
            assert isinstance(population, ChipPopulation)
            population.take(self.chip.layers[layer.name], self._bias(held, biased(network, layer.name)))
        return held, self._bias(held, biased(network, OUTPUT))

    def _bias(self, held: dict[str, Tensor], p: Projection | None) -> Tensor | None:
        """Return the bias that is in the last column of an array, which is 0 from then on; None without one."""
        if p is None:
            return None
        bias = held[p.name][:, -1].clone()
        held[p.name][:, -1] = 0.0
        return bias

    def _presentation(self, request: Request) -> Presentation:
        self._check(request.network)
        neurons, network = request.substrate.neurons, request.network
        held, offset = self._loaded(Weights(request.weights, network), request.rows, neurons)
        reads = {name: replace(read, W=held[name]) for name, read in request.reads.items()}
        populations = self._all(network, request.rows, next(iter(held.values())), neurons)
        rounded = request._replace(reads=reads)
        return ChipPresentation(self.chip, offset, rounded, True, populations, self._decays(network), self.dt)

    def _decays(self, network: Network) -> dict[str, Decays]:
        """Return the chip's factors a step of each layer's trace and of its synaptic current."""
        return {name: (layer.readout, layer.synapse) for name, layer in self.chip.layers.items()}

    def _make(self, neuron: NeuronModel, rows: int, like: Tensor, neurons: Mapping[str, Tensor]) -> Population:
        if neurons:
            raise InputError(
                f"backend {self.name}: the chip's units are all alike, those of the profile or of the weights differ "
                f"in {', '.join(sorted(neurons))}; switch mismatch off with --without neuron_mismatch, or use backend "
                "'lif'"
            )
        return ChipPopulation(rows)


class ChipInLoop(ChipNetwork):
    """The backend of one chip, with scales that stay: what fine-tuning learns on.

    Args:
        chip: its neurons and scales. dt, chunk: as in `SpikingNetwork`.
    """

    name = "chip"

    def __init__(self, chip: IntegerChip, dt: float, chunk: int = 64) -> None:
        super().__init__(dt, chunk)
        self.chip = chip

    def _scaled(self, weights: Weights) -> IntegerChip:
        return self.chip
