"""The backends whose units spike: Brian2, and its twin in torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from neuroanp.backends.execution import Execution
from neuroanp.backends.lif import LIFPopulation, differentiable
from neuroanp.backends.neuron import LIF, Interface, coefficients
from neuroanp.backends.population import Recurrence
from neuroanp.backends.presentation import Asked, Presentation, filtered
from neuroanp.errors import InputError
from neuroanp.trajectory import PassPlan, Trajectory, Weights, with_bias_line

if TYPE_CHECKING:
    from neuroanp.backends.population import Population
    from neuroanp.baselines.protocol import Simulated
    from neuroanp.noise import PassStreams
    from neuroanp.substrates.protocol import ReadPlan, Substrate


NOMINAL_REST_S = 2e-3
"""Refractory period of units that state none, where their rate is judged."""


class SpikingNetwork(ABC):
    """Base of the backends whose units spike: all passes and sequences are rows of one population.

    Args:
        dt: seconds a step.
        chunk: steps of time simulated at once; changes memory and rounding only.
        neuron: the model of the units; None: LIF with its defaults.
        spikes_in: whether input lines carry spikes, which add to the synaptic current, or currents.
        execution: how Brian2 is run.

    Raises:
        InputError: a time constant of the neuron is not longer than a step, or it is not for this backend.
    """

    name: ClassVar[str]
    spiking: ClassVar[bool] = True
    digital: ClassVar[bool] = False
    units: ClassVar[type[Interface]] = Interface

    def __init__(
        self,
        dt: float,
        chunk: int = 64,
        neuron: Interface | None = None,
        spikes_in: bool = False,
        execution: Execution | None = None,
    ) -> None:
        self.dt, self.chunk = dt, chunk
        self.neuron = LIF() if neuron is None else neuron
        self.spikes_in, self.execution = spikes_in, execution or Execution()
        try:
            self.neuron.check(dt)
        except ValueError as error:
            raise InputError(f"neuron.{error}") from None
        self.highest_rate_Hz = 1.0 / max(self.neuron.rest_s() or NOMINAL_REST_S, dt)
        self._populations: dict[Any, tuple[Mapping[str, Tensor], Population]] = {}
        self._latest: Presentation | None = None

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
        presentation = self._presentation(Asked(substrate, reads, plan, streams, artificial, (steps, batch)))
        self._latest = presentation
        for t0 in range(0, steps, self.chunk):
            if self._latest is not presentation:  # its neurons are those of the next one now
                raise RuntimeError("another presentation has begun: finish one first, or use a second backend")
            yield presentation.run(inputs[t0 : t0 + self.chunk], t0, keep, book)
        self._latest = None

    def _presentation(self, asked: Asked) -> Presentation:
        """Begin a presentation of a batch."""
        population = self._population(asked.rows, asked.substrate.targets["w"], asked.substrate.neurons)
        return Presentation(self.neuron, self.spikes_in, population, asked, self.dt, self._decays())

    @property
    def differentiable(self) -> Simulated | None:
        """The noise-free twin of LIF units, a spike differentiated as its surrogate (`backends.lif.Surrogate`).

        None for units of one's own equations, whose surrogate gradients are not known.
        """
        return self._twin if isinstance(self.neuron, LIF) else None

    def _twin(self, weights: Weights, inputs: Tensor, neurons: Mapping[str, Tensor] | None = None) -> Tensor:
        """Return the outputs (T, B, O) of the noise-free twin, through which autograd can differentiate.

        Args:
            weights: the matrices. inputs: (T, B, I) without the bias line.
            neurons: relative factors (N,) of the units' parameters.
        """
        neuron = self.neuron
        assert isinstance(neuron, LIF)
        trace, synapse = self._decays()
        decay = 1.0 if neuron.decoder == "count" else trace
        step = coefficients(neuron, self.dt, weights["w"][0].detach(), neurons)
        u = inputs
        if weights.bias:
            line = 1.0 - synapse if self.spikes_in else 1.0
            u = torch.cat([u, u.new_full((*u.shape[:-1], 1), line)], -1)
        drive = u @ weights["w_in"].T * neuron.input_gain
        constant = torch.full_like(drive, neuron.drive)
        current, incoming = (constant, drive) if self.spikes_in else (constant + drive, None)
        wt = weights["w"].T * neuron.synapse_gain
        spikes = differentiable(step, current, lambda s: s @ wt, incoming)
        if weights.bias:
            line = 1.0 / len(u) if neuron.decoder == "count" else 1.0 - trace
            spikes = torch.cat([spikes, spikes.new_full((*spikes.shape[:-1], 1), line)], -1)
        outputs, y = [], torch.zeros_like(spikes[0] @ weights["w_out"].T)
        for s in spikes:
            y = decay * y + s @ weights["w_out"].T
            outputs.append(y)
        return torch.stack(outputs)

    def rehearse(self, neurons: Mapping[str, Tensor]) -> None:
        """Make two units, so that what cannot be simulated is told before anything begins.

        Args:
            neurons: relative factors (N,) of the units' parameters.

        Raises:
            InputError: the simulator is missing, or refuses the units.
        """
        two = {name: factor[:1].expand(2).contiguous() for name, factor in neurons.items()}
        like = next(iter(two.values())).new_zeros(2, 2) if two else torch.zeros(2, 2)
        self._make(1, like, two)

    def activity(self, weights: Weights, inputs: Any, neurons: Mapping[str, Tensor] | None = None) -> Tensor:
        """Return what the outputs of the noise-free network read, (T, B, N), without a bias line.

        Args:
            weights: the matrices, held exactly. inputs: (T, B, I) without the bias line.
            neurons: relative factors (N,) of the units' parameters.
        """
        neuron, W = self.neuron, weights["w"]
        u = torch.as_tensor(inputs, dtype=W.dtype, device=W.device)
        trace, synapse = self._decays()
        lines = with_bias_line(u) if weights.bias else u
        if weights.bias and self.spikes_in:
            lines[..., -1] = 1.0 - synapse
        drive = lines @ weights["w_in"].T * neuron.input_gain
        constant = torch.full_like(drive, neuron.drive)
        current, incoming = (constant, drive) if self.spikes_in else (constant + drive, None)
        wt = W.T.contiguous() * neuron.synapse_gain
        population, self._latest = self._population(u.shape[1], W, neurons or {}), None
        population.begin()
        x = population.run(current, Recurrence(wt, lambda t, s: s @ wt), incoming).s.to(W.dtype)
        filtered(x, torch.zeros_like(x[0]), 1.0 if neuron.decoder == "count" else trace)
        return x

    def _decays(self) -> tuple[float, float]:
        """Return the factors a step of the readout's trace and of the synaptic current."""
        return self.neuron.decays(self.dt)

    def _population(self, rows: int, like: Tensor, neurons: Mapping[str, Tensor]) -> Population:
        """Return the population of this size, made once: its arrays are used again by every presentation."""
        key = (rows, like.shape[0], like.dtype, like.device)
        neurons = {name: factor.to(like.device) for name, factor in neurons.items()}
        made_of, population = self._populations.get(key, (None, None))
        same = made_of is not None and made_of.keys() == neurons.keys()
        if population is None or not same or any(not torch.equal(made_of[n], neurons[n]) for n in neurons):  # pyright: ignore
            population = self._make(rows, like, neurons)
            self._populations[key] = (dict(neurons), population)
        return population

    @abstractmethod
    def _make(self, rows: int, like: Tensor, neurons: Mapping[str, Tensor]) -> Population:
        """Make `rows` copies of the units; `like` (N, N) gives their number, dtype and device."""


class TwinBackend(SpikingNetwork):
    """Leaky integrate-and-fire units in torch, on CPU or CUDA: the twin of the Brian2 backend."""

    name = "lif"
    units: ClassVar[type[Interface]] = LIF

    def __init__(self, dt: float, chunk: int = 64, neuron: Interface | None = None, **options: Any) -> None:
        super().__init__(dt, chunk, neuron, **options)
        if not isinstance(self.neuron, self.units):
            raise InputError("neuron: backend 'lif' has leaky integrate-and-fire units only; use backend 'spiking'")

    def _make(self, rows: int, like: Tensor, neurons: Mapping[str, Tensor]) -> Population:
        assert isinstance(self.neuron, LIF)
        return LIFPopulation(coefficients(self.neuron, self.dt, like.detach()[0], neurons), rows)


class SpikingBackend(SpikingNetwork):
    """Spiking units simulated by Brian2: leaky integrate-and-fire, or a user's own equations."""

    name = "spiking"

    def _make(self, rows: int, like: Tensor, neurons: Mapping[str, Tensor]) -> Population:
        if like.device.type != "cpu":
            raise InputError(
                f"compute.device: Brian2 computes on the CPU, not on '{like.device}'; use backend 'lif' there"
            )
        from neuroanp.backends.equations import Equations
        from neuroanp.backends.trial import tried

        try:
            from neuroanp.backends import spiking  # imports brian2
        except ImportError as error:
            raise InputError(
                f"backend spiking: brian2 cannot be imported ({error}); pip install 'brian2>=2.9', or use backend 'lif'"
            ) from None

        how = self.execution
        options = {"dt": self.dt, "recurrence": how.recurrence, "loop": how.loop, "target": how.target}
        try:
            if isinstance(self.neuron, LIF):
                step = coefficients(self.neuron, self.dt, like.detach()[0], neurons)
                return spiking.Brian2Population(step, rows, **options)
            if neurons:
                raise InputError(
                    "neuron: the profile's mismatch is of the threshold and time constants of neuron 'lif', which "
                    "equations do not have; switch it off with --without neuron_mismatch"
                )
            assert isinstance(self.neuron, Equations)
            tried(self.neuron, self.dt, how)
            return spiking.EquationsPopulation(self.neuron, like.detach()[0], rows, **options)
        except ValueError as error:
            raise InputError(f"backend spiking: {error}") from None
