"""Build what a configuration names: task, profile, substrate, backend, learner."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from neuroanp.backends.coupling import membrane_rms
from neuroanp.backends.execution import Execution
from neuroanp.backends.protocol import BACKENDS, Backend
from neuroanp.baselines.network import rate_outputs
from neuroanp.errors import InputError
from neuroanp.learning.node_perturbation import UNKNOWN_NOISE
from neuroanp.losses import Loss
from neuroanp.network.init import xavier
from neuroanp.noise import Streams
from neuroanp.profiles.loader import load
from neuroanp.records.identity import code_version, identity
from neuroanp.registry import refuse_incomplete
from neuroanp.substrates import promises
from neuroanp.substrates.chip import Chip
from neuroanp.substrates.facts import describe
from neuroanp.substrates.node_drive import NodeDrive, junctions_of, perturbs_units
from neuroanp.tasks.encoding import encoded
from neuroanp.tasks.protocol import TASKS, Task
from neuroanp.training.config import spikes
from neuroanp.training.filling import SPIKING
from neuroanp.training.learner import make_learner, twin
from neuroanp.training.start import Start, load_start
from neuroanp.training.targets import TARGETS
from neuroanp.training.times import seconds
from neuroanp.training.trainer import Trainer
from neuroanp.training.watch import percent
from neuroanp.trajectory import Weights
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.baselines.protocol import Activities
    from neuroanp.devices.protocol import NodeSource
    from neuroanp.network.network import Network
    from neuroanp.profiles.schema import HardwareProfile
    from neuroanp.training.config import RunConfig

FLOAT32_FLOOR = 1e-5
"""Perturbations below this drown in the rounding of float32 (dh is off by 2e-5 at 1e-3, 2e-2 at 1e-6)."""

UNCHANGED = "nothing of profile {} that is on changes while it lies idle"

STUCK = 0.99
"""Correlation of a source with itself over the passes of a sequence above which it might as well stand still."""


@dataclass(frozen=True)
class Experiment:
    """A configuration with the profile, the task and the stored weights it names."""

    config: RunConfig
    profile: HardwareProfile
    task: Task
    start: Start | None = None

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
        task = encoded(own, config.encoder, config.dt)
        network = config.network_of(task.inputs, task.outputs)
        if start is None and config.network.weights is not None:
            start = load_start(config.network.weights)
        if start is not None:
            start = start.check(network)
        profile = profile or load(config.profile)
        _check_weights(config.backend, profile)
        _check_sizes(config.target, {"inputs": task.inputs, "hidden": network.hidden, "outputs": task.outputs})
        return cls(config, profile, task, start)

    @property
    def identity(self) -> str:
        """16 hex digits of what decides the result: configuration, profile content, first weights, data, code."""
        plain = {**self.config.to_plain(), "profile": self.profile.name}
        plain["task"].pop("path", None)  # the data's fingerprint counts, wherever the file lies
        plain["network"]["weights"] = self.start.digest if self.start is not None else None  # likewise
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
        if self.config.backend != "rate":
            parts.append(self.config.backend)
        if self.start is not None:
            parts.append("programmed" if self.config.training.updates == 0 else "fine-tuned")
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
        network = self.network
        return Weights(xavier(network, streams, getattr(torch, self.config.compute.dtype)), network)

    def first(self, streams: Streams) -> Weights:
        """Return the weights that are written first: stored ones, or the untrained network's."""
        if self.start is None:
            return self.untrained(streams)
        return self.start.weights(self.network, getattr(torch, self.config.compute.dtype))

    def chip(self, streams: Streams, effects: frozenset[str] | None = None) -> Chip:
        """Make the chip, its weights written for the first time, with the configuration's effects or others."""
        hardware, config = self.config.hardware, self.config
        on = hardware.effects() if effects is None else effects
        return Chip.build(
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
        )

    def _drive(self, effects: frozenset[str]) -> NodeDrive:
        """Return the noise on the units that the configuration adds, and how the device's own is coupled to them."""
        config, temperature = self.config, self.config.hardware.temperature
        source = junctions_of(self.profile, effects, temperature)
        scale = self._coupling(source) if spikes(config.backend) else 1.0
        # `auto` adds Gaussian noise only where no noise of the device's own reaches the units.
        wanted, own = config.perturbation.name, perturbs_units(self.profile, effects, temperature)
        if wanted == "gaussian" or (wanted == "auto" and not own):
            return NodeDrive(config.perturbation.sigma, config.perturbation.output, scale)
        return NodeDrive(scale=scale)

    def _coupling(self, source: NodeSource | None) -> float:
        """Return the factor on the node noise that moves membranes as far as the profile asks; 1 if it does not."""
        stated = self.profile.neurons
        if stated is None or stated.membrane_sigma is None or source is None:
            return 1.0
        assert self.config.neuron is not None
        a = self.config.neuron.membrane_decay(self.config.dt)
        if a is None:
            raise InputError(
                f"neuron.tau_m: profile '{self.profile.name}' couples its noise by how far it moves the membrane; "
                "state the time constant of the membrane near rest, e.g. tau_m: 10 ms"
            )
        try:
            return stated.membrane_sigma / membrane_rms(source, a, self.config.dt)
        except ValueError as error:
            raise InputError(f"neuron.{'tau_m' if a < 1 else 'leak'}: {error}") from None

    def backend(self) -> Backend:
        """Make the simulator."""
        config, compute = self.config, self.config.compute
        options: dict[str, Any] = {}
        if spikes(config.backend):
            options = {
                "spikes_in": config.encoder.spikes,
                "execution": Execution(compute.recurrence, compute.loop, compute.target),
            }
        made = BACKENDS.get(config.backend)(dt=config.dt, chunk=config.training.chunk, **options)
        refuse_incomplete(made, Backend, f"backend '{config.backend}'")
        return made

    def describe(self) -> tuple[dict[str, Any], list[str]]:
        """Return facts of the chip, and what a reader of the record must be told about the choices made.

        The facts of stored weights that it starts from are under "start".
        """
        chip = self.chip(Streams(self.config.seed))
        self._rehearse(chip)
        window = self.window_s()
        facts = describe(chip, window)
        own, sigma = chip.perturbs_units, chip.drive.sigma
        sources = ["the device's own noise"] * own
        if sigma:
            _, output = chip.drive.gaussian()
            where = "hidden and output" if output == sigma else f"hidden; {output:g} on the outputs"
            why = "; no noise of this device reaches the units" if self.config.perturbation.name == "auto" else ""
            sources.append(f"Gaussian, sigma {sigma:g} on the pre-activations ({where}){why}")
        said = "perturbation: " + (" and ".join(sources) or "none: nothing explores")
        log = [said, f"writes: {chip.write}"]
        log += [line if line.startswith("warning: ") else f"data: {line}" for line in self.task.account()]
        if holds_weights(self.config.backend):
            log.append(f"weights: rounded to the whole numbers of {self.config.backend} at every presentation")
        if self.start is not None:
            facts["start"] = self.start.facts() | {"clipped": self.clipped(chip)}
            log.append(_begins(facts["start"]))
        if self.config.rule.local and 0.0 in self.config.rule.plan().gain:
            log.append("reference: a noise-free pass, which no physical substrate has")
        log += self._idle_switches(facts) + self._warnings(chip, facts)
        return {**facts, "perturbation": said.removeprefix("perturbation: ")}, log

    def _rehearse(self, chip: Chip) -> None:
        """Refuse what would fail at the first update: units, rules, losses and encoders that do not go together.

        Raises:
            InputError: the simulator refuses the units, the rule cannot train them, the loss is none of the task's
                targets, no input spikes, or devices are to be drawn one by one whose noise would lose its memory.
        """
        config, rule, hardware = self.config, self.config.rule, self.config.hardware
        problem = promises.sampled_problem(self.profile, hardware.read, hardware.effects())
        if problem is not None:
            raise InputError(problem)
        if rule.local and rule.needs_noise and not any(chip.node_sigmas(True).values()):
            raise InputError(UNKNOWN_NOISE)
        test = self.task.test(Streams(config.seed).generator("test"))
        misfit = self.task.loss.misfit(test.targets[test.mask > 0].reshape(-1, self.task.outputs))
        if misfit is not None:
            raise InputError(
                f"task.loss: the {self.task.loss.label} does not fit task '{config.task_name}': it {misfit}; use "
                "squared_error"
            )
        if config.encoder.spikes and not test.inputs.any():
            raise InputError(
                f"encoder: no held-out input makes a single spike at steps of {format_quantity(config.dt, 's')}; raise "
                "encoder.hold (steps of the simulation a step of the task lasts) or dt"
            )
        backend = self.backend()
        if not rule.local:
            rule.check(spiking=twin(backend, chip.network, chip.neurons) is not rate_outputs)
        if config.training.controls:
            features_of(backend, chip.network)
        backend.rehearse(chip.network, chip.neurons)

    def clipped(self, chip: Chip) -> dict[str, float]:
        """Return the share of the first weights that lie beyond the range of their array: by array, and of "all"."""
        wanted = self.first(Streams(self.config.seed))
        beyond = {name: int((W.abs() > chip.arrays[name].w_s).sum()) for name, W in wanted.items()}
        shares = {name: beyond[name] / W.numel() for name, W in wanted.items()}
        return {**shares, "all": sum(beyond.values()) / sum(W.numel() for W in wanted.values())}

    def _idle_switches(self, facts: dict[str, Any]) -> list[str]:
        """Return which --only and --without names the profile has nothing for."""
        there = {*facts["effects_on"], *facts["effects_off"]}
        named = [*self.config.hardware.only, *self.config.hardware.without]
        return [f"warning: profile {self.profile.name} has no {name}" for name in named if name not in there]

    def _idle_options(self, chip: Chip) -> list[str]:
        """Return a sentence for each option of the hardware and the perturbation that changes nothing here."""
        config, hardware = self.config, self.config.hardware
        said = promises.idle_options(
            self.profile, hardware.effects(), hardware.read, hardware.wires, hardware.temperature
        )
        usual = SPIKING["perturbation"] if spikes(config.backend) else {}
        unset = type(config.perturbation)(**usual)
        here = {"sigma": config.perturbation.sigma, "output": config.perturbation.output}
        given = [name for name, value in here.items() if value != {"sigma": unset.sigma, "output": unset.output}[name]]
        if given and not chip.drive.sigma:
            names = " and ".join(f"perturbation.{name}" for name in given)
            said.append(f"{names}: no Gaussian is added; it is with perturbation.name: gaussian")
        return said

    def _times(self) -> list[str]:
        """Return what is to be said of the idle times that are asked for, and of how long the run takes on the chip."""
        profile, effects, training = self.profile, self.config.hardware.effects(), self.config.training
        run_s = training.updates * self.window_s()
        said = [promises.beyond_table(profile, effects, run_s, f"in {promises.duration(run_s)} of chip time")]
        if training.evaluate_after and not promises.changes_with_time(profile, effects):
            said.append(f"training.evaluate_after changes nothing: {UNCHANGED.format(profile.name)}")
        said += [promises.beyond_table(profile, effects, seconds(t), f"after {t}") for t in training.evaluate_after]
        return [line for line in said if line is not None]

    def _warnings(self, chip: Chip, facts: dict[str, Any]) -> list[str]:
        """Return what makes the perturbation useless: too small for the arithmetic, or for the converters."""
        warnings, sigma = [], chip.drive.sigma
        warnings += [f"warning: {line}" for line in (*self._idle_options(chip), *self._times())]
        if 0 < sigma < FLOAT32_FLOOR and self.config.compute.dtype == "float32":
            warnings.append(
                f"warning: sigma {sigma:g} is near the rounding of float32; use compute.dtype float64 or a larger sigma"
            )
        if not (chip.perturbs_units or sigma):
            warnings.append("warning: nothing perturbs the units, so a rule that compares passes learns nothing")
        if (
            spikes(self.config.backend)
            and self.config.network.bias
            and any(chip.arrays[name].adc or chip.arrays[name].dac for name in chip.network.readout)
        ):
            warnings.append(
                f"warning: the bias line of {chip.network.readout[-1]} is driven at a few per cent of full scale at "
                "every step, which the converters of this profile round or lose; leave network.bias off"
            )
        warnings += self._stuck(chip)
        if not chip.perturbs_units or chip.junctions is not None or sigma:
            return warnings
        for units in chip.network.noisy:
            names = [p.name for p in chip.network.projections if p.post == units]
            steps = [facts["arrays"][name]["sigma_output_adc_steps"] for name in names]
            if all(step is not None and step < 0.5 for step in steps):
                warnings.append(
                    f"warning: the {units.replace('_', ' ')} units' read noise is {max(steps):.2g} ADC steps; "
                    "below half a step it explores nothing"
                )
        return warnings

    def _stuck(self, chip: Chip) -> list[str]:
        """Return a warning where the sources of node noise keep their state over the passes of a sequence."""
        # the passes of one sequence follow one another: they differ by what changes over M T dt
        source, window = chip.junctions, self.window_s() / self.config.training.batch
        # a source that is known sample by sample has no time of its own
        if source is None or source.samples_are_steps:
            return []
        kept = source.autocorrelation(window)
        if not (source.node_sigma and kept > STUCK):
            return []
        return [
            "warning: the junctions hardly switch within the passes of a sequence "
            f"({format_quantity(window, 's', 3)}; their correlation over it is {kept:.4g}), so passes hardly differ; "
            "use a longer dt, or junctions that are faster or warmer"
        ]

    def window_s(self) -> float:
        """Return the chip time of one update's passes, M B T dt."""
        config = self.config
        return make_learner(config.rule).passes * config.training.batch * self.task.steps * config.dt


def _begins(start: dict[str, Any]) -> str:
    """Say what weights a run starts from, and how many of them the array cannot hold."""
    updates = start["update"]
    after = "" if updates is None else f", after {updates} update{'s' * (updates != 1)}"
    share = start["clipped"]["all"]
    where = [f"{name} {percent(part)}" for name, part in start["clipped"].items() if part and name != "all"]
    fate = f"{percent(share)} of them lie beyond the array's range and are clipped ({', '.join(where)})"
    which = "" if start["update"] is None else "the digital targets of "
    return f"weights: {which}{start['origin']}{after}; {fate if share else 'all within the range of the array'}"


def holds_weights(backend: str) -> bool:
    """Return whether a backend's chip stores the weights itself, as whole numbers."""
    return backend in BACKENDS.names() and BACKENDS.get(backend).digital


def features_of(backend: Backend, network: Network) -> Activities:
    """Return what the ridge control reads of a backend's untrained network; InputError where it says nothing."""
    found = backend.activity(network)
    if found is None:
        raise InputError(
            f"training.controls: backend '{backend.name}' does not say what a readout of its untrained network sees, "
            "so there is no ridge control; write training.controls: false"
        )
    return found


def _check_sizes(target: str | None, sizes: Mapping[str, int]) -> None:
    """Raise InputError where a network is larger than any chip of its target."""
    most = {} if target is None else TARGETS[target].most
    problems = [
        f"{what}: {sizes[what]}, {target} has room for {limit}{'; use fewer' if what == 'hidden' else ''}"
        for what, limit in most.items()
        if sizes[what] > limit
    ]
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
    experiment: Experiment, frozen: frozenset[str] = frozenset(), effects: frozenset[str] | None = None
) -> Trainer:
    """Build a trainer at update 0, with the configuration's effects or others."""
    config = experiment.config
    streams = Streams(config.seed)
    substrate = experiment.chip(streams, effects)
    return Trainer(
        task=experiment.task,
        substrate=substrate,
        backend=experiment.backend(),
        learner=make_learner(config.rule),
        optimizer=config.optimizer,
        streams=streams,
        updates=config.training.updates,
        batch=config.training.batch,
        dt=config.dt,
        memory=int(config.training.memory),
        frozen=frozen,
        limits={name: array.w_s for name, array in substrate.arrays.items()},
    )
