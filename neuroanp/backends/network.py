"""The backends whose units spike: Brian2 and its twin in torch, and for both a compiled loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

import torch
from torch import Tensor

from neuroanp.backends.compiled_lif import CompiledPopulation
from neuroanp.backends.execution import Execution
from neuroanp.backends.lif import LIFPopulation, differentiable
from neuroanp.backends.neuron import LIF, NEURONS, NeuronModel, coefficients
from neuroanp.backends.population import Recurrence
from neuroanp.backends.presentation import Presentation, added, filtered
from neuroanp.backends.protocol import of_both_kinds
from neuroanp.errors import InputError
from neuroanp.network.network import INPUT, OUTPUT
from neuroanp.registry import Registry
from neuroanp.trajectory import Trajectory, Weights

if TYPE_CHECKING:
    from neuroanp.backends.population import Population
    from neuroanp.backends.presentation import Decays
    from neuroanp.backends.protocol import Request
    from neuroanp.baselines.protocol import Activities, Outputs
    from neuroanp.network.cell import Unit
    from neuroanp.network.network import Layer, Network
    from neuroanp.substrates.protocol import Neurons


NOMINAL_REST_S = 2e-3
"""Refractory period of units that state none, where their rate is judged."""


class SpikingNetwork(ABC):
    """Base of the backends whose units spike: all passes and sequences are rows of one population for each layer.

    Args:
        dt: seconds a step.
        chunk: steps of time simulated at once; changes memory and rounding only.
        spikes_in: whether input lines carry spikes, which add to the synaptic current, or currents.
        execution: what simulates the units: the compiled event loop, or Brian2 and how that is run.

    >>> from neuroanp.training.build import Experiment, build_trainer
    >>> from neuroanp.training.configure import configure
    >>> config = {"task": "copy", "network": {"hidden": 4}, "backend": "lif", "training": {"batch": 2}, "rule": "anp"}
    >>> trainer = build_trainer(Experiment.of(configure(config)))
    >>> backend, lab = trainer.backend, trainer.lab()
    >>> backend.refuses(lab.network), backend.highest_rate_Hz(lab.network), backend.rehearse(lab.network, {})
    ([], 500.0, None)
    >>> (chunk,) = lab.run(trainer.learner.rule.plan())
    >>> chunk.layers["hidden"].spikes.dtype, chunk.y.shape
    (torch.bool, torch.Size([9, 2, 2, 4]))
    >>> twin, traces = backend.differentiable(lab.network), backend.activity(lab.network)
    >>> twin(lab.read(), lab.inputs).shape, sorted(traces(lab.read(), lab.inputs))
    (torch.Size([9, 2, 4]), ['hidden'])
    """

    name: ClassVar[str]
    spiking: ClassVar[bool] = True
    digital: ClassVar[bool] = False
    recordable: ClassVar[bool] = False
    cells: ClassVar[Registry[Any]] = NEURONS
    units: ClassVar[type[NeuronModel]] = NeuronModel
    """Models of units that it can simulate."""

    def __init__(self, dt: float, chunk: int = 64, spikes_in: bool = False, execution: Execution | None = None) -> None:
        self.dt: float = dt
        self.chunk: int = chunk
        self.spikes_in: bool = spikes_in
        self.execution: Execution = execution or Execution()
        self._populations: dict[Any, tuple[Unit | None, Mapping[str, Tensor], Population]] = {}
        self._latest: Presentation | None = None

    @classmethod
    def refuses(cls, network: Network) -> list[str]:
        """Return why it cannot simulate such a network; see `neuroanp.backends.protocol.Backend`."""
        if mixed := of_both_kinds(network):
            return mixed
        if not network.spikes:
            able = NEURONS.names() if cls.units is NeuronModel else ["lif"]
            return [f"backend '{cls.name}' has spiking units only ({', '.join(able)}); use backend 'rate'"]
        if not all(isinstance(layer.cell, cls.units) for layer in network.layers):
            return [f"backend '{cls.name}' has leaky integrate-and-fire units only; use backend 'spiking'"]
        return _readouts_differ(network) + network.late_inputs

    def highest_rate_Hz(self, network: Network) -> float | None:
        """Return the spikes a second of a unit of the network that spikes whenever its refractory period lets it."""
        return max(1.0 / max(neuron.rest_s() or NOMINAL_REST_S, self.dt) for neuron in _neurons(network))

    def run(self, request: Request) -> Iterator[Trajectory]:
        """Present the inputs once for each pass and yield what happened; see `neuroanp.backends.protocol.Backend`.

        Args: request: substrate, reads, inputs, passes and streams.
        """
        presentation = self._presentation(request)
        self._latest = presentation

        def run(u: Tensor, t0: int, live: Tensor | None) -> Trajectory:
            if self._latest is not presentation:  # its neurons are those of the next one now
                raise RuntimeError("another presentation has begun: finish one first, or use a second backend")
            return presentation.run(u, t0, live)

        yield from request.present(self.chunk, run)
        self._latest = None

    def _presentation(self, request: Request) -> Presentation:
        """Begin a presentation of a batch."""
        self._check(request.network)
        populations = self._all(request.network, request.rows, request.like, request.substrate.neurons)
        return Presentation(request, self.spikes_in, populations, self._decays(request.network), self.dt)

    def differentiable(self, network: Network) -> Outputs | None:
        """Return the noise-free twin of LIF units, a spike differentiated as its surrogate (`backends.lif.Surrogate`).

        None for units of one's own equations, whose surrogate gradients are not known.

        Args: network: layers and projections.
        """
        return self._twin if all(isinstance(layer.cell, LIF) for layer in network.layers) else None

    def activity(self, network: Network) -> Activities | None:
        """Return what says which traces the outputs of the noise-free network read."""
        return self._traces

    def _twin(self, weights: Weights, inputs: Tensor, neurons: Neurons | None = None) -> Tensor:
        """Return the outputs (T, B, O) of the noise-free twin, through which autograd can differentiate.

        Args:
            weights: the matrices. inputs: (T, B, I) without the bias line.
            neurons: relative factors (n,) of the units' parameters, by layer.
        """

        def spikes(layer: Layer, currents: Currents) -> Tensor:
            neuron = cast("LIF", layer.cell)
            like = weights.like.new_zeros(layer.units)
            step = coefficients(neuron, self.dt, like, (neurons or {}).get(layer.name))
            return differentiable(step, currents.current, currents.spread, currents.incoming, currents.arriving)

        return _noise_free(weights, inputs, self.spikes_in, self._decays(weights.network), spikes)[1]

    def _traces(self, weights: Weights, inputs: Any, neurons: Neurons | None = None) -> dict[str, Tensor]:
        """Return what the outputs of the noise-free network read of each layer, (T, B, n), without a bias line.

        Args:
            weights: the matrices, held exactly. inputs: (T, B, I) without the bias line.
            neurons: relative factors (n,) of the units' parameters, by layer.
        """
        network, like = weights.network, weights.like
        self._check(network)
        u = torch.as_tensor(inputs, dtype=like.dtype, device=like.device)
        decays, self._latest = self._decays(network), None
        populations = self._all(network, u.shape[1], like, neurons or {})

        def spikes(layer: Layer, currents: Currents) -> Tensor:
            population = populations[layer.name]
            population.begin()
            wt = None if currents.wt is None else currents.wt.contiguous()
            recurrence = Recurrence(wt, lambda t, s: currents.spread(s), connected=wt is not None)
            found = population.run(currents.current, recurrence, currents.incoming, False, currents.arriving)
            return found.s.to(like.dtype)

        found, _ = _noise_free(weights, u, self.spikes_in, decays, spikes)
        for name, x in found.items():
            neuron = cast("NeuronModel", cast("Layer", network.layer(name)).cell)
            filtered(x, torch.zeros_like(x[0]), 1.0 if neuron.decoder == "count" else decays[name][0])
        return found

    def rehearse(self, network: Network, neurons: Neurons) -> None:
        """Make two units of each layer, so that what cannot be simulated is told before anything begins.

        Args:
            network: layers and projections. neurons: relative factors (n,) of the units' parameters, by layer.

        Raises:
            InputError: the simulator is missing, or refuses the units.
        """
        self._check(network)
        for layer in network.layers:
            factors = neurons.get(layer.name, {})
            two = {name: factor[:1].expand(2).contiguous() for name, factor in factors.items()}
            like = next(iter(two.values())).new_zeros(2) if two else torch.zeros(2)
            self._make(cast("NeuronModel", layer.cell), 1, like, two)

    def _check(self, network: Network) -> None:
        """Raise InputError where such a network cannot be simulated with steps of dt."""
        problems = [f"neuron: {said}" for said in self.refuses(network)]
        for neuron in () if problems else _neurons(network):
            try:
                neuron.check(self.dt)
            except ValueError as error:
                problems.append(f"neuron.{error}")
        if problems:
            raise InputError("; ".join(dict.fromkeys(problems)))

    def _decays(self, network: Network) -> dict[str, Decays]:
        """Return the factors a step of each layer's readout trace and of its synaptic current."""
        return {layer.name: cast("NeuronModel", layer.cell).decays(self.dt) for layer in network.layers}

    def _all(self, network: Network, rows: int, like: Tensor, neurons: Neurons) -> dict[str, Population]:
        """Return a population of each layer."""
        return {
            layer.name: self._population(layer, rows, like, neurons.get(layer.name, {})) for layer in network.layers
        }

    def _population(self, layer: Layer, rows: int, like: Tensor, neurons: Mapping[str, Tensor]) -> Population:
        """Return the population of a layer, made once: its arrays are used again by every presentation."""
        key = (layer.name, layer.units, rows, like.dtype, like.device)  # no model of equations can be hashed
        neurons = {name: factor.to(like.device) for name, factor in neurons.items()}
        cell, made_of, population = self._populations.get(key, (None, {}, None))
        same = cell == layer.cell and made_of.keys() == neurons.keys()
        if population is None or not same or any(not _equal(made_of[name], neurons[name]) for name in neurons):
            population = self._make(cast("NeuronModel", layer.cell), rows, like.new_zeros(layer.units), neurons)
            self._populations[key] = (layer.cell, dict(neurons), population)
        return population

    def _event_loop(self, neuron: NeuronModel, like: Tensor, of_brian2: Sequence[str] = ()) -> bool:
        """Return whether the compiled loop simulates units, which is told where it was asked for and cannot.

        Args:
            neuron: the units. like: gives the device. of_brian2: options that only Brian2 has, and that are said.
        """
        problems = [f"does without compute.{name}" for name in of_brian2]
        if not isinstance(neuron, LIF):
            problems.append("has leaky integrate-and-fire units only")
        if like.device.type != "cpu":
            problems.append("computes on the CPU")
        if self.execution.execution == "event_loop" and problems:
            raise InputError(f"compute.execution: the event loop {' and '.join(problems)}; use auto")
        return self.execution.execution != "simulator" and not problems

    @abstractmethod
    def _make(self, neuron: NeuronModel, rows: int, like: Tensor, neurons: Mapping[str, Tensor]) -> Population:
        """Make `rows` copies of units; `like` (n,) gives their number, dtype and device."""


class Currents(NamedTuple):
    """What drives a layer of a noise-free network.

    Args:
        current: (T, rows, n) external. spread: takes spikes (rows, n), returns what they add to I.
        incoming: (T, rows, n) what is added to I at the synapses' turn, or None.
        arriving: what is before the membrane moves, likewise. wt: (n, n) that `spread` multiplies by, or None.
    """

    current: Tensor
    spread: Callable[[Tensor], Tensor]
    incoming: Tensor | None
    arriving: Tensor | None
    wt: Tensor | None


def _noise_free(
    weights: Weights,
    u: Tensor,
    spikes_in: bool,
    decays: Mapping[str, Decays],
    spikes: Callable[[Layer, Currents], Tensor],
) -> tuple[dict[str, Tensor], Tensor]:
    """Run a network of spiking units from rest without noise.

    Args:
        weights: held exactly. u: (T, B, I) without the bias line. spikes_in, decays: as in a presentation.
        spikes: simulates a layer: takes what drives it, returns its spikes (T, B, n) as numbers.

    Returns: the spikes of each layer, and the outputs (T, B, O).
    """
    network, found = weights.network, {}
    for layer in network.layers:
        neuron, synapse = cast("NeuronModel", layer.cell), decays[layer.name][1]
        current, incoming, arriving = None, None, None
        for p in network.feed(layer.name):
            of_inputs = p.pre == INPUT
            adds = not of_inputs or spikes_in  # to I, not to the external current
            x = u if of_inputs else found[p.pre]
            if p.bias:
                x = torch.cat([x, x.new_full((*x.shape[:-1], 1), 1.0 - synapse if adds else 1.0)], -1)
            part = x @ weights[p.name].T * (neuron.input_gain if of_inputs else neuron.synapse_gain)
            if not adds:
                current = added(current, part)
            elif network.input_delay if of_inputs else p.delay:
                incoming = added(incoming, part)
            else:
                arriving = added(arriving, part)
        shape = (*u.shape[:2], layer.units)
        constant = weights.like.new_full(shape, neuron.drive)
        back = network.recurrence(layer.name)
        wt = None if back is None else weights[back.name].T * neuron.synapse_gain
        nothing = weights.like.new_zeros(shape[1:])
        found[layer.name] = spikes(
            layer,
            Currents(
                constant if current is None else constant + current,
                (lambda s, nothing=nothing: nothing) if wt is None else (lambda s, wt=wt: s @ wt),
                incoming, arriving, wt,
            ),
        )  # fmt: skip
    return found, _outputs_of(weights, found, decays)


def _outputs_of(weights: Weights, spikes: Mapping[str, Tensor], decays: Mapping[str, Decays]) -> Tensor:
    """Return the outputs (T, B, O) that spikes (T, B, n) of the layers make."""
    network = weights.network
    last = network.layers[-1]
    counts = cast("NeuronModel", last.cell).decoder == "count"
    trace = decays[last.name][0]
    steps = len(spikes[last.name])
    line = 1.0 / steps if counts else 1.0 - trace
    lines = {
        p.name: torch.cat([s, s.new_full((*s.shape[:-1], 1), line)], -1) if p.bias else s
        for p in network.feed(OUTPUT)
        for s in (spikes[p.pre],)
    }
    outputs: list[Tensor] = []
    y: Tensor | None = None
    for t in range(steps):
        step: Tensor | None = None
        for name, s in lines.items():
            step = added(step, s[t] @ weights[name].T)
        assert step is not None
        y = (torch.zeros_like(step) if y is None else y) * (1.0 if counts else trace) + step
        outputs.append(y)
    return torch.stack(outputs)


def _equal(a: Tensor, b: Tensor) -> bool:
    return a is b or torch.equal(a, b)  # to compare what is on a GPU makes the host wait


def _neurons(network: Network) -> list[NeuronModel]:
    return [cast("NeuronModel", layer.cell) for layer in network.layers]


def _readouts_differ(network: Network) -> list[str]:
    """Say where layers that reach the output would filter it differently."""
    read = {p.pre: cast("NeuronModel", cast("Layer", network.layer(p.pre)).cell) for p in network.feed(OUTPUT)}
    traces = {(neuron.tau_r, neuron.decoder) for neuron in read.values()}
    if len(traces) == 1:
        return []
    return [f"tau_r: {' and '.join(read)} reach the output: give their units the same tau_r and the same decoder"]


class TwinBackend(SpikingNetwork):
    """Leaky integrate-and-fire units, on the CPU by a compiled event loop, in torch on CUDA: the twin of Brian2."""

    name = "lif"
    recordable = True
    units: ClassVar[type[NeuronModel]] = LIF

    def _make(self, neuron: NeuronModel, rows: int, like: Tensor, neurons: Mapping[str, Tensor]) -> Population:
        assert isinstance(neuron, LIF)
        kind = CompiledPopulation if self._event_loop(neuron, like) else LIFPopulation
        return kind(coefficients(neuron, self.dt, like, neurons), rows)


class SpikingBackend(SpikingNetwork):
    """Spiking units: a user's own equations in Brian2; leaky integrate-and-fire by its like, a compiled event loop."""

    name = "spiking"

    def _make(self, neuron: NeuronModel, rows: int, like: Tensor, neurons: Mapping[str, Tensor]) -> Population:
        if like.device.type != "cpu":
            raise InputError(
                f"compute.device: Brian2 computes on the CPU, not on '{like.device}'; use backend 'lif' there"
            )
        if self._event_loop(neuron, like, self.execution.of_brian2):
            assert isinstance(neuron, LIF)
            return CompiledPopulation(coefficients(neuron, self.dt, like, neurons), rows)
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
            if isinstance(neuron, LIF):
                step = coefficients(neuron, self.dt, like, neurons)
                return spiking.Brian2Population(step, rows, **options)
            if neurons:
                raise InputError(
                    "neuron: mismatch is of the threshold and time constants of neuron 'lif', which equations do not "
                    "have; switch it off with --without neuron_mismatch"
                )
            assert isinstance(neuron, Equations)
            tried(neuron, self.dt, how)
            return spiking.EquationsPopulation(neuron, like, rows, **options)
        except ValueError as error:
            raise InputError(f"backend spiking: {error}") from None
