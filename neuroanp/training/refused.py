"""Rules that cannot learn on the hardware or the task of a run: refused before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.errors import InputError
from neuroanp.learning import requirements
from neuroanp.learning.cdrge import CDRGE
from neuroanp.learning.node_perturbation import unknown_noise
from neuroanp.learning.nrl import NRL
from neuroanp.learning.oua import OUA
from neuroanp.learning.rmhl import RMHL
from neuroanp.learning.weight_perturbation import WP
from neuroanp.noise import PassStreams, Streams
from neuroanp.substrates.promises import memory_of
from neuroanp.tasks.encoding import own_task
from neuroanp.tasks.trying import try_world
from neuroanp.tasks.worlds import WorldTask
from neuroanp.training import oua_learner
from neuroanp.training.crews import refuse_crew
from neuroanp.training.filling import METHODS, spikes
from neuroanp.training.learner import make_learner
from neuroanp.training.plain_form import exact
from neuroanp.training.readout import is_world
from neuroanp.training.refitting import check as check_refit
from neuroanp.training.refused_computed import refuse as refuse_computed
from neuroanp.training.running import OTHER, repeats
from neuroanp.training.together import of_rule
from neuroanp.training.told_outputs import check as check_readout
from neuroanp.training.weight_learner import INEXACT, NO_WORLD, all_but_decorrelation

if TYPE_CHECKING:
    from neuroanp.substrates.chip import DeviceChip
    from neuroanp.training.build import Experiment


def refuse_rule(experiment: Experiment, chip: DeviceChip) -> None:
    """Raise InputError where a run's rule asks for what its hardware or its task do not have.

    Args:
        experiment: of the run. chip: its chip, before any update.

    Raises:
        InputError: it must know noise, or control it, that devices make; compare with earlier presentations of
            sequences that do not repeat; move weights at every step that are not exact; or compute weights that
            arrays cannot hold, for a loss that is not one of squares.
    """
    config, rule = experiment.config, experiment.config.rule
    _refuse_source(experiment)
    refuse_crew(experiment)
    check_refit(config.training.refit, experiment.task.loss)
    refuse_computed(experiment, chip)
    if rule.learner in ("passes", "echo"):
        check_readout(rule.readout, experiment.task.loss)
    _refuse_unknown(rule, experiment, chip)
    if rule.learner == "passes":
        if rule.needs_noise and not any(chip.node_sigmas(True).values()):
            where = f"on profile '{experiment.profile.name}'"
            raise InputError(
                unknown_noise(config.rule_name, where, able(config.backend, chip.perturbs_units, source_of(experiment)))
            )
        plan = rule.plan()
        if plan.controlled:
            _refuse_uncontrolled(experiment, chip)
        if plan.remembered:
            _refuse_other_batches(experiment)
    if isinstance(rule, WP) and rule.draw == "step":
        reads = chip.prepare(experiment.window_s(), PassStreams(Streams(config.seed), "train", 0))
        if not all(map(all_but_decorrelation, reads.values())):
            raise InputError(INEXACT)
    if isinstance(rule, OUA):
        _refuse_wandering(rule, experiment, chip)
    if isinstance(rule, WP | OUA | CDRGE):
        _refuse_circuits(experiment, chip)


def _refuse_circuits(experiment: Experiment, chip: DeviceChip) -> None:
    """Raise InputError where presentations with moved weights would not see them: networks of devices are solved."""
    reads = chip.prepare(experiment.window_s(), PassStreams(Streams(experiment.config.seed), "train", 0))
    if any(read.circuits is not None for read in reads.values()):
        raise InputError(
            f"rule '{experiment.config.rule_name}' presents moved weights, and the devices of profile "
            f"'{experiment.profile.name}' are not ohmic on lines with resistance: their network would have to be "
            "solved for each of them; switch off wires or nonlinear_iv (hardware.without), or use a rule that perturbs "
            "activity: anp, echo"
        )


def _refuse_unknown(rule: Any, experiment: Experiment, chip: DeviceChip) -> None:
    """Raise InputError where a rule of rewards must know the noise of the units, and nobody tells it."""
    if not isinstance(rule, NRL | RMHL) or rule.difference != "noise" or any(chip.node_sigmas(True).values()):
        return
    other = "activity" if isinstance(rule, NRL) else "average"
    where = f"on profile '{experiment.profile.name}'"
    raise InputError(f"{unknown_noise(experiment.config.rule_name, where, ())}, or rule.difference: {other}")


OUTPUTS_FEEL_LATER = (
    "rule.readout: '{}' goes by the errors of the outputs at a step, and task '{}' is a world, where what outputs do "
    "is felt later; use rule.readout: perturb"
)


HALF_A_WORLD = (
    "task: '{}' has batches with a world and a loss of targets, or the loss of worlds and batches with none; a world "
    "tells its loss itself: give such a task loss = MINUS_REWARD (neuroanp.losses.reward), and no other one"
)


def _refuse_source(experiment: Experiment) -> None:
    """Raise InputError where a rule learns from data and a world answers, or from a world and there are data."""
    config, rule = experiment.config, experiment.config.rule
    is_of = source_of(experiment)
    if not takes(rule, is_of):
        names = [name for name in METHODS.names() if takes(METHODS.get(name)(), is_of)]
        learns, why = {
            "actions": ("data", "is a world, which answers the outputs and shows nothing before"),
            "data": ("worlds", "has sequences with targets, and no actions that a reward could be for"),
            "worlds": ("data", "is a world, which answers the outputs and shows nothing before"),
        }[is_of]
        if "worlds" in make_learner(rule).takes and is_of == "worlds":
            learns, why = "the return of actions that it chose", "is a world whose outputs choose none"
        raise InputError(
            f"rule: '{config.rule_name}' learns from {learns}, and task '{config.task_name}' {why}; use "
            f"{', '.join(names)}"
        )
    if is_of != "data":
        task, _ = own_task(experiment.task)
        if isinstance(task, WorldTask):
            try_world(task)
        if rule.learner == "passes" and rule.hears_errors:
            raise InputError(OUTPUTS_FEEL_LATER.format(rule.readout, config.task_name))
        if isinstance(rule, WP) and (rule.credit == "sample" or rule.draw == "step"):
            raise InputError(NO_WORLD)
        if config.training.refit is not None:
            raise InputError(
                f"training.refit: fits outputs to targets, and task '{config.task_name}' is a world, which has none; "
                "leave it out"
            )


def source_of(experiment: Experiment) -> str:
    """Return what a run's task has for a rule to learn from: "data", "actions" in a world, or "worlds" of others.

    Raises:
        InputError: the task's loss says another thing than its batches.
    """
    world = experiment.task.sample(np.random.default_rng(0), 1).world
    if (world is None) == is_world(experiment):
        raise InputError(HALF_A_WORLD.format(experiment.config.task_name))
    if world is None:
        return "data"
    return "actions" if world.shared(None) is not None else "worlds"


def takes(rule: Any, of: str) -> bool:
    """Return whether a rule can learn from a source as `source_of` names it.

    >>> from neuroanp.learning.nrl import NRL
    >>> from neuroanp.learning.oua import OUA
    >>> [[takes(rule, of) for of in ("data", "worlds", "actions")] for rule in (NRL(), OUA())]
    [[False, False, True], [True, True, True]]
    """
    found = make_learner(rule).takes
    return {"data": "data" in found, "worlds": "worlds" in found and "actions" not in found}.get(of, "worlds" in found)


def able(backend: str, noisy: bool, of: str = "data") -> list[str]:
    """Return the local rules that learn where nobody knows or controls the noise of the units, as they come.

    Args:
        backend: whose units. noisy: whether there is any noise; without it those learn that move weights.
        of: what they are to learn from, as `source_of` says it.

    >>> {"anp", "echo", "wp"} <= {*able("rate", noisy=True)}, {"anp", "echo"} & {*able("rate", noisy=False)}
    (True, set())
    >>> {"echo", "wp"} & {*able("loihi", noisy=True)}  # weights in whole numbers; where units spike echo must know it
    set()
    """
    asked = {requirements.KNOWN_NOISE, requirements.NOISE_LEVEL, requirements.SIGN_CONTROL, requirements.GROUP_CONTROL}
    asked |= {requirements.OWN_NOISE} if spikes(backend) else set()
    rules = {name: METHODS.get(name)() for name in METHODS.names() if METHODS.get(name).local}
    return [
        name
        for name, rule in rules.items()
        if asked.isdisjoint(rule.needs)
        and (noisy or requirements.WEIGHT_PERTURBATION in rule.needs)
        and takes(rule, of)
        and not [*of_rule(rule, backend)]
    ]


def _refuse_uncontrolled(experiment: Experiment, chip: DeviceChip) -> None:
    """Raise InputError where noise whose sign or place a rule chooses is not noise that is added on purpose."""
    rule, own = experiment.config.rule, chip.junctions is not None and bool(chip.junctions.node_sigma)
    if chip.drive.sigma and not own:
        return
    key = f"rule.reference: '{rule.reference}'" if rule.reference == "antithetic" else f"rule: '{rule.name}'"
    what = "turns the sign of the noise" if rule.reference == "antithetic" else "perturbs one group of units at a time"
    made = f"the noise of the units is that of profile '{experiment.profile.name}' itself, and nobody controls it"
    why = made if own or chip.perturbs_units else "no noise is added to the units"
    names = able(experiment.config.backend, own or chip.perturbs_units, source_of(experiment))
    use = ["anp with reference 'two' or 'mean'" if name == "anp" else name for name in names]
    use += [] if own else ["perturbation.name: gaussian, which adds noise on purpose"]
    raise InputError(f"{key} {what}, and {why}; use {', or '.join(use)}")


def _refuse_wandering(rule: OUA, experiment: Experiment, chip: DeviceChip) -> None:
    """Raise InputError where weights cannot wander as the rule wants, or nobody can know where they are."""
    window, streams = experiment.window_s(), PassStreams(Streams(experiment.config.seed), "train", 0)
    reads = chip.prepare(window, streams)
    if rule.source == "own":
        if rule.draw == "step" and not all(map(exact, reads.values())):
            raise InputError(oua_learner.INEXACT)
        return
    name = experiment.profile.name
    use = ", ".join(able(experiment.config.backend, chip.perturbs_units, source_of(experiment)))
    rules = f"rules that can learn here: {use} (oua with source 'own')"
    memory = memory_of(experiment.profile)
    if memory in ("none", "white"):
        why = (
            "has no read noise: nothing wanders"
            if memory == "none"
            else "has read noise that is new in every read: where a device is says nothing of where it will be read"
        )
        raise InputError(f"rule.source: 'device': profile '{name}' {why}; {rules}")
    if rule.draw == "step":
        if any(read.process is None for read in reads.values()):
            process = memory == "process"
            how = "hardware.read: sampled, with read_noise and frozen_noise on" if process else "rule.draw: pass"
            raise InputError(
                f"rule.source: 'device' with draw 'step': the noise of profile '{name}' is not drawn in time here, so "
                f"that no device is anywhere at a step; use {how}; {rules}"
            )
        return
    silent = chip.prepare(window, streams, noise=False)
    if not all(bool((read.W != silent[array].W).any()) for array, read in reads.items()):
        raise InputError(
            f"rule.source: 'device' with draw 'pass': nothing of the noise of profile '{name}' stands still for the "
            "passes of an update; use hardware.read: moments with frozen_noise on, or rule.draw: step with "
            f"hardware.read: sampled where the noise is a process in time (rtn, one_over_f, fluctuators, pcm); {rules}"
        )


def _refuse_other_batches(experiment: Experiment) -> None:
    """Raise InputError where the first two batches are not the same; the learner looks at all that follow."""
    streams, task = Streams(experiment.config.seed), experiment.task
    if is_world(experiment):
        raise InputError(OTHER.format(f"task '{experiment.config.task_name}'"))
    first, second = (task.sample(streams.generator("data", k), experiment.config.training.batch) for k in (0, 1))
    if not repeats(*((each.inputs, each.targets, each.mask) for each in (first, second))):
        raise InputError(OTHER.format(f"task '{experiment.config.task_name}'"))
