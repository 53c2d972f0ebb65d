"""Build what a configuration names: task, profile, substrate, backend, learner."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from neuroanp.backends.coupling import membrane_rms
from neuroanp.backends.execution import Execution
from neuroanp.backends.protocol import BACKENDS, Backend
from neuroanp.errors import InputError
from neuroanp.learning.cdrge import CDRGE
from neuroanp.losses import Loss
from neuroanp.network.init import xavier
from neuroanp.noise import Streams
from neuroanp.profiles.loader import load
from neuroanp.records.environment import usable_cores
from neuroanp.records.identity import code_version, identity
from neuroanp.registry import refuse_incomplete
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.node_drive import NodeDrive, junctions_of, perturbs_units
from neuroanp.tasks.encoding import encoded
from neuroanp.tasks.protocol import TASKS, Task
from neuroanp.tasks.validation import Validation, split
from neuroanp.training.computed import perturbs_no_units
from neuroanp.training.decorrelating import decorrelated_groups
from neuroanp.training.filling import spikes
from neuroanp.training.kept import Plan
from neuroanp.training.learner import make_learner
from neuroanp.training.memory import available_memory, fair_share
from neuroanp.training.sharded_learner import learner_of
from neuroanp.training.sharding import rule_of_shard, without_workers
from neuroanp.training.start import Start, load_start
from neuroanp.training.targets import TARGETS
from neuroanp.training.trainer import Trainer
from neuroanp.trajectory import Weights

if TYPE_CHECKING:
    from neuroanp.backends.neuron import NeuronModel
    from neuroanp.devices.protocol import NodeSource
    from neuroanp.network.network import Layer, Network
    from neuroanp.profiles.schema import HardwareProfile
    from neuroanp.training.config import RunConfig
    from neuroanp.training.on_bench import Bench


@dataclass(frozen=True)
class Experiment:
    """A configuration with the profile, the task and the stored weights it names.

    The task is what is learned from: without its validation sequences, where some are kept.
    """

    config: RunConfig
    profile: HardwareProfile
    task: Task
    start: Start | None = None
    validation: Validation | None = None

    @classmethod
    def of(cls, config: RunConfig, profile: HardwareProfile | None = None, start: Start | None = None) -> Experiment:
        """Load the profile and the weights to start from (unless given) and the task.

        Raises:
            InputError: data or weights cannot be read, weights do not fit the network, or a device is missing.
        """
        _check_device(config.compute.device)
        config.rule.check(spiking=spikes(config.backend))
        own = TASKS.get(config.task_name)(config.task)
        refuse_incomplete(own, Task, f"task '{config.task_name}'")
        refuse_incomplete(own.loss, Loss, f"loss of task '{config.task_name}'")
        task, validation = encoded(own, config.encoder, config.dt), None
        if config.training.validation is not None:
            task, validation = split(task, config.training.validation)
        network = config.network_of(task.inputs, task.outputs)
        if start is None and config.network.weights is not None:
            start = load_start(config.network.weights)
        if start is not None:
            start = start.check(network, config.network.layers is not None)
        profile = profile or load(config.profile)
        _check_weights(config.backend, profile)
        _check_sizes(config.target, network)
        return cls(config, profile, task, start, validation)

    @property
    def identity(self) -> str:
        """16 hex digits of what decides the result: configuration, profile content, first weights, data, code."""
        # files of an instrument, as data and weights, count wherever they lie
        hardware = self.config.hardware.with_paths(lambda _, path: Path(path).name)
        config = self.config.model_copy(update={"hardware": hardware})
        plain = {**config.to_plain(), "profile": self.profile.name}
        plain["task"].pop("path", None)  # the data's fingerprint counts, wherever the file lies
        plain["network"]["weights"] = self.start.digest if self.start is not None else None  # likewise
        if "extends" in plain["training"]:
            plain["training"]["extends"] = plain["training"]["extends"]["state"]  # likewise
        plain["compute"] = without_workers(plain["compute"])
        return identity(plain, self.profile.text, self.task.fingerprint(), code_version())

    @property
    def name(self) -> str:
        """Task, profile, rule and seed."""
        config = self.config
        return f"{config.task_name} {self.profile.name} {config.rule_name} seed {config.seed}"

    @property
    def label(self) -> str:
        """What a progress bar calls it: its name, and what sets it apart from runs of the same name."""
        hardware, parts = self.config.hardware, [self.name]
        if hardware.on_bench:
            parts.append(f"on {hardware.resource}")
        if self.config.backend != "rate":
            parts.append(self.config.backend)
        if self.start is not None:
            parts.append("programmed" if self.config.training.updates == 0 else "fine-tuned")
        if self.config.training.refit is not None:
            parts.append("refit")
        for word, effects in (("only", hardware.only), ("without", hardware.without)):
            if effects:
                parts.append(f"{word} {effects[0] if len(effects) == 1 else f'{len(effects)} effects'}")
        return ", ".join(parts)

    @property
    def directory(self) -> str:
        """The name of its directory in a store."""
        name = "-".join([*self.name.replace(" seed ", " s").split(), self.identity])
        return re.sub(r"[^A-Za-z0-9._-]", "_", name)[-100:].lstrip("._-")

    @property
    def network(self) -> Network:
        """Layers and projections."""
        return self.config.network_of(self.task.inputs, self.task.outputs)

    def untrained(self, streams: Streams) -> Weights:
        """Draw the network before any training: what random recurrence gives for free."""
        network, gain = self.network, self.config.network.output_gain
        drawn = xavier(network, streams, getattr(torch, self.config.compute.dtype))
        return Weights({name: W * gain if name in network.readout else W for name, W in drawn.items()}, network)

    def first(self, streams: Streams) -> Weights:
        """Return the weights that are written first: stored ones, or the untrained network's."""
        if self.start is None:
            return self.untrained(streams)
        return self.start.weights(self.network, getattr(torch, self.config.compute.dtype))

    def chip(self, streams: Streams, effects: frozenset[str] | None = None) -> DeviceChip:
        """Make the chip, its weights written for the first time, with the configuration's effects or others."""
        hardware, config = self.config.hardware, self.config
        on = hardware.effects() if effects is None else effects
        return DeviceChip.build(
            self.profile,
            self.first(streams),
            streams=streams,
            dt=config.dt,
            write=hardware.write,
            read=hardware.read,
            effects=on,
            dtype=getattr(torch, config.compute.dtype),
            device=torch.device(config.compute.device),
            temperature=hardware.temperature,
            wires=hardware.wires,
            drive=self._drive(on),
            units={} if self.start is None else self.start.factors,
            decorrelated=decorrelated_groups(config.rule, self.network),
        )

    def _drive(self, effects: frozenset[str]) -> NodeDrive:
        """Return the noise on the units that the configuration adds, and how the device's own is coupled to them."""
        config, temperature = self.config, self.config.hardware.temperature
        source = junctions_of(self.profile, effects, temperature)
        scale = {layer.name: self._coupling(layer, source) for layer in self.network.layers if layer.cell.spikes}
        # `auto` adds Gaussian noise only where no noise of the device's own reaches the units.
        wanted, own = config.perturbation, perturbs_units(self.profile, effects, temperature)
        if wanted.kind is not None or (wanted.name == "auto" and not own and not perturbs_no_units(config.rule)):
            return NodeDrive(wanted.sigma, wanted.output, scale, wanted.kind or "gaussian")
        return NodeDrive(scale=scale)

    def _coupling(self, layer: Layer, source: NodeSource | None) -> float:
        """Return the factor on the node noise that moves membranes as far as the profile asks; 1 if it does not."""
        stated = self.profile.neurons
        if stated is None or stated.membrane_sigma is None or source is None:
            return 1.0
        key = self.config.network.key_of_units(self.network.layers.index(layer))
        a = cast("NeuronModel", layer.cell).membrane_decay(self.config.dt)
        if a is None:
            raise InputError(
                f"{key}.tau_m: profile '{self.profile.name}' couples its noise by how far it moves the membrane; "
                "state the time constant of the membrane near rest, e.g. tau_m: 10 ms"
            )
        try:
            return stated.membrane_sigma / membrane_rms(source, a, self.config.dt)
        except ValueError as error:
            raise InputError(f"{key}.{'tau_m' if a < 1 else 'leak'}: {error}") from None

    def backend(self) -> Backend:
        """Make the simulator."""
        config, compute = self.config, self.config.compute
        options: dict[str, Any] = {}
        if spikes(config.backend):
            options = {
                "spikes_in": config.encoder.spikes,
                "execution": Execution(compute.recurrence, compute.loop, compute.target, compute.execution),
            }
        made = BACKENDS.get(config.backend)(dt=config.dt, chunk=self.chunk, **options)
        refuse_incomplete(made, Backend, f"backend '{config.backend}'")
        return made

    @property
    def chunk(self) -> int:
        """Steps of time simulated at once: stated, or what activities of all passes fit in `AT_ONCE` numbers."""
        training = self.config.training
        if training.chunk is not None:
            return training.chunk
        if spikes(self.config.backend):
            return 64
        of_a_step = passes_at_once(self.config) * training.batch * sum(self.network.lines.values())
        at_once = AT_ONCE
        if self.config.compute.device != "cpu":  # a few arrays of that size are there at once
            at_once = min(AT_ONCE_GPU, stored_memory(self.config) // 8)
        return min(self.task.steps, max(FEWEST, at_once // of_a_step))

    def window_s(self) -> float:
        """Return the chip time of one update's passes, M B T dt."""
        config = self.config
        return learner_of(config.rule, config.compute).passes * config.training.batch * self.task.steps * config.dt


def passes_at_once(config: RunConfig) -> int:
    """Return how many passes are simulated side by side, at most: those of CD-RGE go one by one, as shards do."""
    if isinstance(config.rule, CDRGE):
        return 1
    shards = config.compute.shards
    return make_learner(config.rule if shards == 1 else rule_of_shard(config.rule, shards)).passes


AT_ONCE, FEWEST = 1 << 21, 8
"""Numbers of a chunk of time of rates, and its fewest steps: fewer cost more than the memory that they save."""
AT_ONCE_GPU = 1 << 29
"""The same on a GPU, where a chunk is not the longer for what no cache holds, and each has kernels of its own."""
LEAST_STORED = 1 << 30
"""Bytes that stored passes may take on any machine, where nothing is said."""
SHARE_GPU = 4
"""One part in so many of a GPU's memory is for stored passes, where nothing is said."""


def stored_memory(config: RunConfig) -> int:
    """Return the bytes that stored passes may take: what is said, and else a share of a machine that has more.

    It changes no bit of a run, so that one can go on where there is less, or more.
    """
    said, compute = config.training.memory, config.compute
    if said is not None:
        return int(said)
    if compute.device == "cpu":
        return max(LEAST_STORED, fair_share(available_memory(), compute.threads, usable_cores()))
    return max(LEAST_STORED, torch.cuda.get_device_properties(compute.device).total_memory // SHARE_GPU)


def plan_of(experiment: Experiment) -> Plan | None:
    """Return which steps of an update are stored until their credit is known; None where credit needs no later loss."""
    config, task = experiment.config, experiment.task
    numbers = learner_of(config.rule, config.compute).numbers_kept(experiment.network)
    needed = task.steps * config.training.batch * numbers * getattr(torch, config.compute.dtype).itemsize
    return Plan.of(task.steps, needed, stored_memory(config)) if needed else None


def holds_weights(backend: str) -> bool:
    """Return whether a backend's chip stores the weights itself, as whole numbers."""
    return backend in BACKENDS.names() and BACKENDS.get(backend).digital


def _check_sizes(target: str | None, network: Network) -> None:
    """Raise InputError where a network is larger than any chip of its target."""
    if target is None:
        return
    chip, sizes = TARGETS[target], {"inputs": network.inputs, "hidden": network.hidden, "outputs": network.outputs}
    room = chip.room if len(network.layers) > 1 else None  # that of one layer, all to all, is in `most`
    problems = [
        f"{what}: {sizes[what]}, {target} has room for {limit}{'; use fewer' if what == 'hidden' else ''}"
        for what, limit in chip.most.items()
        if sizes[what] > limit and not (room and what == "hidden")
    ]
    problems += room(network) if room else []
    if problems:
        remedy = "a smaller task (digits row by row: --set task.mode=rows), fewer hidden units, or no target"
        raise InputError(f"target: the network is too large; take {remedy}", problems)


def _check_weights(backend: str, profile: HardwareProfile) -> None:
    """Raise InputError where both a chip and a device would hold the weights."""
    if holds_weights(backend) and profile.periphery is not None:
        raise InputError(
            f"profile: '{profile.name}' has arrays of its own for the weights, backend '{backend}' the chip's memory; "
            "use a profile without arrays (ideal, smtj_koenders), or train with backend 'lif'"
        )


def _check_device(name: str) -> None:
    """Raise InputError where torch does not have the device to compute on."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ["cpu", *(["cuda"] if count else []), *(f"cuda:{index}" for index in range(count))]
    if name not in there:
        raise InputError(f"compute.device: '{name}' is not on this machine; possible here: {', '.join(there)}")


def build_trainer(
    experiment: Experiment, trained: frozenset[str] | None = None, effects: frozenset[str] | None = None,
    bench: Bench | None = None,
) -> Trainer:  # fmt: skip
    """Build a trainer of all arrays or some, at update 0, with the configuration's effects or others.

    Its arrays are simulated, those of a run with an instrument by its profile, unless `bench` is there.
    """
    config = experiment.config
    streams = Streams(config.seed)
    substrate = experiment.chip(streams, effects)
    if bench is not None:
        first, adds = experiment.first(streams), config.perturbation.kind is not None
        substrate = bench.chip(config.hardware, adds, substrate, first, streams)
    return Trainer(
        task=experiment.task,
        substrate=substrate,
        backend=experiment.backend(),
        learner=learner_of(config.rule, config.compute),
        optimizer=config.optimizer,
        streams=streams,
        updates=config.training.updates,
        batch=config.training.batch,
        dt=config.dt,
        memory=stored_memory(config),
        trained=trained,
        limits={name: array.w_s for name, array in substrate.arrays.items()},
    )
