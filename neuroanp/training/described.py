"""What is said of a run before it begins: facts of its chip, choices that were made, what makes them useless.

What would fail at the first update is refused here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroanp.baselines.network import rate_outputs
from neuroanp.baselines.solved import Solved
from neuroanp.devices.junction import Junction
from neuroanp.errors import InputError
from neuroanp.learning.cdrge import CDRGE
from neuroanp.learning.moving import by_itself, of_weights
from neuroanp.learning.oua import OUA
from neuroanp.noise import Streams
from neuroanp.substrates import promises
from neuroanp.substrates.added_noise import LABELS
from neuroanp.substrates.facts import describe as facts_of
from neuroanp.substrates.wandering import of_devices
from neuroanp.training.build import Experiment, holds_weights, plan_of
from neuroanp.training.computed import perturbs_no_units
from neuroanp.training.decorrelating import DIGITAL, decorrelation_of
from neuroanp.training.filling import SPIKING, spikes
from neuroanp.training.gradient_learner import twin
from neuroanp.training.on_bench import said_of
from neuroanp.training.refused import refuse_rule
from neuroanp.training.sharded_learner import ShardedLearner, learner_of
from neuroanp.training.times import seconds
from neuroanp.training.watch import percent
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.backends.protocol import Backend
    from neuroanp.baselines.protocol import Activities
    from neuroanp.network.network import Network
    from neuroanp.substrates.chip import DeviceChip

FLOAT32_FLOOR = 1e-5
"""Perturbations below this drown in the rounding of float32 (dh is off by 2e-5 at 1e-3, 2e-2 at 1e-6)."""

UNCHANGED = "nothing of profile {} that is on changes while it lies idle"

HOST = "a host solves least squares for the outputs, with their targets, and what it finds is written and booked"
"""What fits the outputs in the end."""
STUCK = 0.99
"""Correlation of a source with itself over the passes of a sequence above which it might as well stand still."""


def describe(experiment: Experiment) -> tuple[dict[str, Any], list[str]]:
    """Return facts of the chip, and what a reader of the record must be told about the choices made.

    The facts of stored weights that it starts from are under "start".
    """
    chip = experiment.chip(Streams(experiment.config.seed))
    _rehearse(experiment, chip)
    window = experiment.window_s()
    facts = facts_of(chip, window)
    said = f"perturbation: {_perturbed(experiment, chip)}"
    plan = plan_of(experiment)
    replayed = plan is not None and plan.replayed > 0
    bench = experiment.config.hardware.on_bench
    writes = "pulse" if bench and experiment.config.hardware.write == "pulse" else "verify" if bench else chip.write
    log = [said, f"writes: {writes}", *said_of(experiment.config.hardware, experiment.profile, replayed)]
    log += [line if line.startswith("warning: ") else f"data: {line}" for line in experiment.task.account()]
    if experiment.validation is not None:
        log.append(f"validation: {_validates(experiment)}")
    if experiment.config.training.refit is not None:
        log.append(f"refit: {experiment.config.training.refit:,} sequences once training is over; {HOST}")
    if holds_weights(experiment.config.backend):
        log.append(f"weights: rounded to the whole numbers of {experiment.config.backend} at every presentation")
    if experiment.start is not None:
        facts["start"] = experiment.start.facts() | {"clipped": clipped(experiment, chip)}
        log.append(_begins(facts["start"]))
        log += [f"weights: learned with other constants: {line}" for line in experiment.start.notes]
    if experiment.config.rule.learner == "passes" and 0.0 in experiment.config.rule.plan().noise:
        log.append("reference: a noise-free pass, which no physical substrate has")
    if decorrelation_of(experiment.config.rule) is not None:
        log.append(DIGITAL)
    if replayed:
        log.append(f"passes: {plan}; training.memory may be raised")
    log += _in_shards(experiment, chip)
    log += _idle_switches(experiment, facts) + _warnings(experiment, chip, facts)
    return {**facts, "perturbation": said.removeprefix("perturbation: ")}, log


def _in_shards(experiment: Experiment, chip: DeviceChip) -> list[str]:
    """Say how an update is divided, and what processes tell one another of it; nothing where it is not."""
    config, network = experiment.config, chip.network
    learner = learner_of(config.rule, config.compute)
    if not isinstance(learner, ShardedLearner):
        return []
    sizes = [*chip.weights], experiment.task.steps, config.training.batch
    told = format_quantity(float(learner.bytes_told(learner.init(chip.weights), chip.weights, *sizes)), "B", 3)
    what = "factors over time" if learner.factored(network, *sizes) else "matrices"
    return [f"shards: {learner}; {what} are added, {told} an update between processes that share them"]


def _perturbed(experiment: Experiment, chip: DeviceChip) -> str:
    """Say what makes passes differ."""
    rule, sigma = experiment.config.rule, chip.drive.sigma
    if experiment.config.hardware.on_bench:
        kind = experiment.config.perturbation.kind
        added = "" if kind is None else f" and {LABELS[kind]}, sigma {sigma:g} on the pre-activations"
        return f"the instrument's own noise{added}"
    if by_itself(rule):
        return of_weights(rule, chip.perturbs_units)
    if isinstance(rule, OUA):
        return of_devices(chip, experiment.window_s(), drawn=rule.draw == "step")
    sources = ["the device's own noise"] * chip.perturbs_units
    if chip.banks:
        low = min(float(bank.sigmas.min()) for bank in chip.banks.values())
        high = max(float(bank.sigmas.max()) for bank in chip.banks.values())
        sources[-1] += f" (of junctions that are not alike: sigma {low:.2g} to {high:.2g})"
    if sigma:
        _, output = chip.drive.added()
        where = "hidden and output" if output == sigma else f"hidden; {output:g} on the outputs"
        why = "; no noise of this device reaches the units" if experiment.config.perturbation.name == "auto" else ""
        sources.append(f"{LABELS[chip.drive.kind]}, sigma {sigma:g} on the pre-activations ({where}){why}")
    nothing = "none: weights are computed" if isinstance(rule, Solved) else "none: nothing explores"
    return " and ".join(sources) or nothing


def _validates(experiment: Experiment) -> str:
    """Say what is kept for validation, when training stops, and which weights the chip has then."""
    assert experiment.validation is not None
    training, kept = experiment.config.training, experiment.validation
    stops = "training does not stop early"
    if training.patience is not None:
        looks = f"{training.patience} evaluation{'s' * (training.patience != 1)}"
        stops = f"training stops after {looks} without a lower loss"
    best = (
        "the weights of the lowest loss are written back, which is booked"
        if training.restore
        else "the chip keeps what it holds then"
    )
    return f"{kept.size:,} sequences, {kept.where}; {stops}, and {best}; looks are booked"


def _rehearse(experiment: Experiment, chip: DeviceChip) -> None:
    """Refuse what would fail at the first update: units, rules, losses and encoders that do not go together.

    Raises:
        InputError: the simulator refuses the units, the rule cannot train them, the loss is none of the task's
            targets, no input spikes, or devices are to be drawn one by one whose noise would lose its memory.
    """
    config, rule, hardware = experiment.config, experiment.config.rule, experiment.config.hardware
    problem = promises.sampled_problem(experiment.profile, hardware.read, hardware.effects())
    if problem is not None:
        raise InputError(problem)
    refuse_rule(experiment, chip)
    test = experiment.task.test(Streams(config.seed).generator("test"))
    misfit = experiment.task.loss.misfit(test.targets[test.mask > 0].reshape(-1, experiment.task.outputs))
    if misfit is not None:
        raise InputError(
            f"task.loss: the {experiment.task.loss.label} does not fit task '{config.task_name}': it {misfit}; use "
            "squared_error"
        )
    if config.encoder.spikes and not test.inputs.any():
        raise InputError(
            f"encoder: no held-out input makes a single spike at steps of {format_quantity(config.dt, 's')}; raise "
            "encoder.hold (steps of the simulation a step of the task lasts) or dt"
        )
    backend = experiment.backend()
    if rule.learner == "gradient":
        rule.check(spiking=twin(backend, chip.network, chip.neurons) is not rate_outputs)
    if config.training.controls and test.world is None:
        features_of(backend, chip.network)
    backend.rehearse(chip.network, chip.neurons)


def clipped(experiment: Experiment, chip: DeviceChip) -> dict[str, float]:
    """Return the share of the first weights that lie beyond the range of their array: by array, and of "all"."""
    wanted = experiment.first(Streams(experiment.config.seed))
    beyond = {name: int((W.abs() > chip.arrays[name].w_s).sum()) for name, W in wanted.items()}
    shares = {name: beyond[name] / W.numel() for name, W in wanted.items()}
    return {**shares, "all": sum(beyond.values()) / sum(W.numel() for W in wanted.values())}


def _idle_switches(experiment: Experiment, facts: dict[str, Any]) -> list[str]:
    """Return which --only and --without names the profile has nothing for."""
    there = {*facts["effects_on"], *facts["effects_off"]}
    named = [*experiment.config.hardware.only, *experiment.config.hardware.without]
    return [f"warning: profile {experiment.profile.name} has no {name}" for name in named if name not in there]


def _idle_options(experiment: Experiment, chip: DeviceChip) -> list[str]:
    """Return a sentence for each option that changes nothing here, or is taken beyond what it was measured for."""
    config, hardware = experiment.config, experiment.config.hardware
    said = promises.idle_options(
        experiment.profile, hardware.effects(), hardware.read, hardware.wires, hardware.temperature
    )
    usual = SPIKING["perturbation"] if spikes(config.backend) else {}
    unset = type(config.perturbation)(**usual)
    law, kelvin = experiment.profile.stochastic, chip.device.temperature
    if isinstance(law, Junction) and "node_noise" in hardware.effects() and (line := law.extrapolated(kelvin)):
        said.append(f"profile {experiment.profile.name}: {line}")
    here = {"sigma": config.perturbation.sigma, "output": config.perturbation.output}
    disturb = experiment.profile.disturb
    if disturb is not None and disturb.half_select and "write_disturb" in hardware.effects() and chip.write == "ideal":
        said.append("disturb.half_select changes nothing: ideal writes send no pulses")
    if chip.write == "ideal" and any(array.write_lines for array in chip.arrays.values()):
        said.append("array.wires.writes changes nothing: ideal writes send no pulses")
    given = [name for name, value in here.items() if value != {"sigma": unset.sigma, "output": unset.output}[name]]
    if given and not chip.drive.sigma:
        names = " and ".join(f"perturbation.{name}" for name in given)
        said.append(f"{names}: no Gaussian is added; it is with perturbation.name: gaussian")
    return said


def _times(experiment: Experiment) -> list[str]:
    """Return what is to be said of the idle times that are asked for, and of how long the run takes on the chip."""
    profile, effects, training = experiment.profile, experiment.config.hardware.effects(), experiment.config.training
    run_s = training.updates * experiment.window_s()
    said = [promises.beyond_table(profile, effects, run_s, f"in {promises.duration(run_s)} of chip time")]
    if training.evaluate_after and not promises.changes_with_time(profile, effects):
        said.append(f"training.evaluate_after changes nothing: {UNCHANGED.format(profile.name)}")
    said += [promises.beyond_table(profile, effects, seconds(t), f"after {t}") for t in training.evaluate_after]
    return [line for line in said if line is not None]


def _warnings(experiment: Experiment, chip: DeviceChip, facts: dict[str, Any]) -> list[str]:
    """Return what makes the perturbation useless: too small for the arithmetic, or for the converters."""
    if experiment.config.hardware.on_bench:  # the instrument tells what its noise is
        return []
    warnings, sigma = [], chip.drive.sigma
    warnings += [f"warning: {line}" for line in (*_idle_options(experiment, chip), *_times(experiment))]
    if 0 < sigma < FLOAT32_FLOOR and experiment.config.compute.dtype == "float32":
        warnings.append(
            f"warning: sigma {sigma:g} is near the rounding of float32; use compute.dtype float64 or a larger sigma"
        )
    rule = experiment.config.rule
    if isinstance(rule, CDRGE) and rule.eps < FLOAT32_FLOOR and experiment.config.compute.dtype == "float32":
        warnings.append(
            f"warning: rule.eps {rule.eps:g} is near the rounding of float32, in which losses are told apart; use "
            "compute.dtype float64 or a larger eps"
        )
    unperturbed = perturbs_no_units(rule)
    if not (chip.perturbs_units or sigma or unperturbed):
        warnings.append("warning: nothing perturbs the units, so a rule that compares passes learns nothing")
    if (
        spikes(experiment.config.backend)
        and experiment.config.network.bias
        and any(chip.arrays[name].adc or chip.arrays[name].dac for name in chip.network.readout)
    ):
        warnings.append(
            f"warning: the bias line of {chip.network.readout[-1]} is driven at a few per cent of full scale at "
            "every step, which the converters of this profile round or lose; leave network.bias off"
        )
    if isinstance(experiment.config.rule, Solved) and _as_computed(experiment, chip):
        warnings.append(
            f"warning: rule '{experiment.config.rule_name}' computes for exact weights, and with one update nothing "
            f"makes up for what {experiment.profile.name} does to them; set training.refit, or do more updates"
        )
    if unperturbed:
        return warnings
    warnings += _stuck(experiment, chip)
    if not chip.perturbs_units or chip.junctions is not None or sigma:
        return warnings
    for units in chip.network.noisy:
        names = [p.name for p in chip.network.projections if p.post == units]
        steps = [facts["arrays"][name]["sigma_output_adc_steps"] for name in names]
        if all(step is not None and step < 0.5 for step in steps):
            warnings.append(
                f"warning: the {units} units' read noise is {max(steps):.2g} ADC steps; "
                "below half a step it explores nothing"
            )
    return warnings


def _as_computed(experiment: Experiment, chip: DeviceChip) -> bool:
    """Return whether outputs that were computed for exact weights are all that a chip gets, and it has noise."""
    training = experiment.config.training
    return training.updates == 1 and training.refit is None and chip.perturbs_units


def _stuck(experiment: Experiment, chip: DeviceChip) -> list[str]:
    """Return a warning where the sources of node noise keep their state over the passes of a sequence."""
    # the passes of one sequence follow one another: they differ by what changes over M T dt
    source, window = chip.junctions, experiment.window_s() / experiment.config.training.batch
    # a source that is known sample by sample has no time of its own
    if source is None or source.samples_are_steps:
        return []
    kept = max(law.autocorrelation(window) for law in (chip.banks.values() or [source]))
    if not (source.node_sigma and kept > STUCK):
        return []
    return [
        "warning: the junctions hardly switch within the passes of a sequence "
        f"({format_quantity(window, 's', 3)}; their correlation over it is {kept:.4g}), so passes hardly differ; "
        "use a longer dt, or junctions that are faster or warmer"
    ]


def _begins(start: dict[str, Any]) -> str:
    """Say what weights a run starts from, and how many of them the array cannot hold."""
    updates = start["update"]
    after = "" if updates is None else f", after {updates} update{'s' * (updates != 1)}"
    share = start["clipped"]["all"]
    where = [f"{name} {percent(part)}" for name, part in start["clipped"].items() if part and name != "all"]
    fate = f"{percent(share)} of them lie beyond the array's range and are clipped ({', '.join(where)})"
    which = "" if start["update"] is None else "the digital targets of "
    return f"weights: {which}{start['origin']}{after}; {fate if share else 'all within the range of the array'}"


def features_of(backend: Backend, network: Network) -> Activities:
    """Return what the ridge control reads of a backend's untrained network; InputError where it says nothing."""
    found = backend.activity(network)
    if found is None:
        raise InputError(
            f"training.controls: backend '{backend.name}' does not say what a readout of its untrained network sees, "
            "so there is no ridge control; write training.controls: false"
        )
    return found
