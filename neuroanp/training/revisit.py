"""Evaluate a stored run again: after idle time, with non-idealities switched off, or on another device."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import torch

from neuroanp.backends.foreign import warn_once
from neuroanp.devices.effects import EFFECTS
from neuroanp.errors import InputError, did_you_mean
from neuroanp.losses import is_squared_error
from neuroanp.losses import named as called
from neuroanp.profiles.loader import loads
from neuroanp.records.identity import code_version
from neuroanp.records.manifest import CONFIG
from neuroanp.records.streams import difference
from neuroanp.substrates import promises
from neuroanp.substrates.facts import known_effects
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import load_config
from neuroanp.training.described import UNCHANGED, describe
from neuroanp.training.evaluate import HeldOutBatch, scores
from neuroanp.training.results import fitted_to
from neuroanp.training.start import Start, factors_of, of_record
from neuroanp.training.times import named, seconds, without_repeats

if TYPE_CHECKING:
    from neuroanp.profiles.schema import HardwareProfile
    from neuroanp.records.run_dir import RunDir
    from neuroanp.substrates.chip import DeviceChip
    from neuroanp.training.trainer import Trainer

LOG = logging.getLogger("neuroanp")
WRITTEN = ("programming_error", "write_noise", "d2d", "c2c", "faults", "endurance", "read_disturb", "write_disturb",
           "write_drop")  # fmt: skip
"""Effects that are in the conductances once they are written: no evaluation can take them out again."""
NOW = "at once"


@dataclass(frozen=True)
class Look:
    """How a stored run is looked at.

    Args:
        after: idle times such as "1 h"; the chip as it stands is evaluated before them.
        only: the effects of reading that stay on; empty: all that the run had.
        without: effects that are off.
        profile: write the run's weights to a new chip of this profile and evaluate that one; None: the run's own chip.
    """

    after: Sequence[str] = ()
    only: Sequence[str] = ()
    without: Sequence[str] = ()
    profile: HardwareProfile | None = None


@dataclass(frozen=True)
class Revisited:
    """A trainer whose chip holds what is to be evaluated, and the effects that are on."""

    experiment: Experiment
    trainer: Trainer
    effects: frozenset[str]


def revisit(record: RunDir, look: Look) -> list[dict[str, Any]]:
    """Evaluate a run's newest checkpoint on its held-out sequences; the record is left as it is.

    Args:
        record: the run.
        look: how.

    Returns: a row for the chip as it stands and one for each idle time: run, task, profile, rule, seed, update,
        after, after_s, test_loss, test_loss_noise_free, score (by name), effects (those that are on), sealed (whether
        all files of the run are as it wrote them; None: it was made by a version that sealed nothing); drift_factors,
        what the outputs of each array were scaled by, where drift is compensated; loss, what the losses are, where that
        is not the squared error.

    Raises:
        InputError: the record has no checkpoint that can be read, its data have changed, a time cannot be read, an
            effect is unknown, was off in the run or cannot be switched off afterwards.
    """
    times = _times(look.after)
    _check_names([*look.only, *look.without])
    with looked_at(record, look) as found:
        task, trainer = found.experiment.task, found.trainer
        held = HeldOutBatch.of(task.test(trainer.streams.generator("test")), trainer.substrate.weights.like, task.loss)
        for line in _of_time(found, times):
            LOG.warning(line)
        note_noise(record, trainer)
        return [_row(record, found, held, time) for time in (NOW, *times)]


def note_noise(record: RunDir, trainer: Trainer) -> None:
    """Say once where noise is about to be drawn that is not what the run saw: results under noise are new ones."""
    said = difference(record.manifest)
    if said is not None and trainer.draws_noise():
        warn_once(
            f"{record.path}: {said}; losses and outputs under noise are a fresh draw, as probable as those that were "
            "reported and not the same; what is noise-free is the same"
        )


def _of_time(found: Revisited, times: Sequence[str]) -> list[str]:
    """Return what is to be said of idle times: none changes anything, or a law's table ends before them."""
    profile, on = found.experiment.profile, found.effects
    said = []
    if times and not promises.changes_with_time(profile, on):
        said.append(f"--after: {UNCHANGED.format(profile.name)}: all rows are alike")
    age = promises.oldest(cast("DeviceChip", found.trainer.substrate))
    late = [time for time in (NOW, *times) if promises.beyond_table(profile, on, age + _idle_s(time), time)]
    if late:
        when = ", ".join(time if time == NOW else f"after {time}" for time in late)
        said.append(str(promises.beyond_table(profile, on, math.inf, when)))
    return said


def _idle_s(time: str) -> float:
    return 0.0 if time == NOW else seconds(time)


@contextmanager
def looked_at(record: RunDir, look: Look = Look()) -> Iterator[Revisited]:
    """Open a run's network to be presented something, with the threads that it was trained with; leave the record.

    Raises:
        InputError: the record has no checkpoint that can be read, its data have changed, or an effect of `look` was
            off in the run or cannot be switched off afterwards.
    """
    if record.manifest["code"] != code_version():
        warn_once(f"{record.path}: made by neuroanp {record.manifest['code']}, evaluated by {code_version()}")
    config = load_config(record.config_path)
    _same_config(record, config)
    threads = torch.get_num_threads()
    torch.set_num_threads(config.compute.threads)
    try:
        found = _own_chip(record, config, look) if look.profile is None else _new_chip(record, config, look)
        _same_data(record, found.experiment)
        problem = promises.sampled_problem(found.experiment.profile, config.hardware.read, found.effects)
        if problem is not None:  # a run from before it was refused
            LOG.warning("%s: %s", record.path, problem)
        yield found
    finally:
        torch.set_num_threads(threads)


def restored(record: RunDir) -> tuple[Experiment, Trainer]:
    """Return a run's experiment, and a trainer on the CPU whose chip is as its newest checkpoint left it.

    Raises:
        InputError: the record has no checkpoint that can be read, or its data have changed.
    """
    config = load_config(record.config_path)
    _same_config(record, config)
    compute = config.compute.model_copy(update={"device": "cpu"})
    found = _own_chip(record, config.model_copy(update={"compute": compute}), Look())
    _same_data(record, found.experiment)
    return found.experiment, found.trainer


def _same_config(record: RunDir, config: RunConfig) -> None:
    """Raise InputError where a configuration that is not as it was written says another run than its record is of."""
    if record.config_is_whole:
        return
    if Experiment.of(config, _kept_profile(record), Start.kept(record)).identity != record.manifest.get("identity"):
        own = record.path / CONFIG
        raise InputError(
            f"{own}: says another run than the one that was made; put back what it said, or train what it says now: "
            f"neuroanp train {own}"
        )


def _same_data(record: RunDir, experiment: Experiment) -> None:
    if experiment.task.fingerprint() != record.manifest.get("data"):
        raise InputError(f"{record.path}: its data have changed since the run; restore them, or repeat the run")


def _times(after: Sequence[str]) -> list[str]:
    try:
        return without_repeats([named(text) for text in after])
    except ValueError as error:
        raise InputError(f"--after: {error}") from None


def _own_chip(record: RunDir, config: RunConfig, look: Look) -> Revisited:
    """Return the run's chip as its newest checkpoint left it, read with the effects that `look` leaves on."""
    path = record.whole_checkpoint()
    experiment = Experiment.of(config, _kept_profile(record), Start.kept(record))
    on = _read_with(experiment, look)
    trainer = build_trainer(experiment, effects=on)
    state, _ = record.load_checkpoint(path)
    mine = trainer.state_dict()  # an effect that is off has no state: what the checkpoint holds of it is left out
    trainer.load_state_dict({k: value for k, value in state.items() if k in mine or k.startswith("optimizer/")})
    return Revisited(experiment, trainer, on)


def _kept_profile(record: RunDir) -> HardwareProfile:
    """Return the profile as it was when the run began, wherever its file is now."""
    kept = record.manifest.get("profile")
    if not isinstance(kept, Mapping) or not isinstance(kept.get("text"), str):
        raise InputError(f"{record.path}: damaged manifest: it holds no profile; restore it from a copy")
    return loads(kept["text"], f"{record.path}/manifest.json")


def _new_chip(record: RunDir, config: RunConfig, look: Look) -> Revisited:
    """Return a new chip of the profile that `look` names, the run's weights written to it."""
    assert look.profile is not None
    _check_there(look.profile, [*look.only, *look.without])
    arrays, update = of_record(record)
    origin = f"{config.rule_name} on {record.manifest['profile']['name']}"
    hardware: dict[str, Any] = {"only": list(look.only), "without": list(look.without)}
    if config.hardware.write == "pulse":  # a first write is verified or ideal; the new device may know no pulses
        hardware["write"] = "auto"
    changes = {"profile": look.profile.name, "hardware": config.hardware.model_copy(update=hardware)}
    experiment = Experiment.of(
        config.model_copy(update=changes),
        look.profile,
        Start(arrays.arrays, str(record.path), origin, update, factors_of(record)),
    )
    LOG.info(next(line for line in describe(experiment)[1] if line.startswith("weights: ")))
    # the update names the noise of the evaluation: the same as the run's own
    trainer = replace(build_trainer(experiment), update=update)
    return Revisited(experiment, trainer, experiment.config.hardware.effects())


def _read_with(experiment: Experiment, look: Look) -> frozenset[str]:
    """Return the effects that are on: the run's own, but for those of reading that are switched off."""
    run, profile = experiment.config.hardware.effects(), experiment.profile
    said = [*look.only, *look.without]
    _check_there(profile, said)
    off = [name for name in said if name not in run]
    if off:
        raise InputError(f"{', '.join(off)}: off in the run already; leave it out, or train a run with it")
    fixed = [name for name in said if name in WRITTEN]
    if fixed:
        can = [name for name in known_effects(profile) if name in run and name not in WRITTEN]
        raise InputError(
            f"{', '.join(fixed)}: in the conductances since they were written, where no evaluation can take it out "
            f"(it can switch off: {', '.join(can) or 'nothing'}); train a run without it, or write the weights to a "
            f"new chip with --profile {experiment.config.profile}"
        )
    on = frozenset(name for name in run if name in WRITTEN or not look.only or name in look.only)
    return on - frozenset(look.without)


def _check_names(names: Sequence[str]) -> None:
    unknown = [f"'{name}' is not a non-ideality{did_you_mean(name, EFFECTS)}" for name in names if name not in EFFECTS]
    if unknown:
        raise InputError(f"unknown non-ideality (known: {', '.join(EFFECTS)})", unknown)


def _check_there(profile: HardwareProfile, names: Sequence[str]) -> None:
    there = known_effects(profile)
    missing = [name for name in names if name not in there]
    if missing:
        raise InputError(f"profile {profile.name} has no {', '.join(missing)} (it has: {', '.join(there) or 'none'})")


def _row(record: RunDir, found: Revisited, held: HeldOutBatch, time: str) -> dict[str, Any]:
    experiment, trainer = found.experiment, found.trainer
    idle_s = _idle_s(time)
    losses = trainer.evaluate_after(held, idle_s)
    chip = cast("DeviceChip", trainer.substrate)
    later = chip.at(chip.now + idle_s)
    return {
        "run": str(record.path),
        "task": experiment.config.task_name,
        "profile": experiment.profile.name,
        "rule": experiment.config.rule_name,
        "seed": experiment.config.seed,
        "update": trainer.update,
        **({} if (sequences := fitted_to(record)) is None else {"refit": sequences}),
        "after": time,
        "after_s": idle_s,
        "test_loss": losses.test_loss,
        "test_loss_noise_free": losses.test_loss_noise_free,
        "score": scores(experiment.task, losses, held, lambda other: trainer.evaluate_after(other, idle_s)),
        "effects": [name for name in known_effects(experiment.profile) if name in found.effects],
        "sealed": record.sealed,
        **({} if not (factors := later.drift_factors) else {"drift_factors": factors}),
        **({} if is_squared_error(experiment.task.loss) else {"loss": called(experiment.task.loss)}),
    }
