"""Go on learning with the chip in the loop, so that a network gets used to what its export took from it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from neuroanp.backends.chip_network import ChipInLoop
from neuroanp.baselines.solved import Solved
from neuroanp.errors import DivergedError, InputError
from neuroanp.export.protocol import EXPORTERS, ChipExporter, DeviceExporter, Exporter
from neuroanp.learning.protocol import RULES
from neuroanp.learning.requirements import moves_weights
from neuroanp.noise import Streams
from neuroanp.substrates.facts import known_effects
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import load_config
from neuroanp.training.filling import spikes
from neuroanp.training.revisit import restored
from neuroanp.training.sections import Hardware
from neuroanp.training.sharded_learner import learner_of
from neuroanp.training.start import Start
from neuroanp.training.updates import Row, updates

if TYPE_CHECKING:
    from neuroanp.backends.protocol import Backend
    from neuroanp.export.model import Model
    from neuroanp.records.run_dir import RunDir
    from neuroanp.substrates.chip import DeviceChip
    from neuroanp.training.trainer import Trainer

LOG = logging.getLogger("neuroanp")
TOLD_EVERY_S = 10.0
MOST = 99_999_999
APART = 0x9E3779B97F4A7C15 >> 1
"""Between the seed of a run and that of its fine-tuning: any large number."""


@dataclass(frozen=True)
class FineTuning:
    """What to do.

    Args:
        updates: how many. lr: the learning rate; None: the run's own.
    """

    updates: int
    lr: float | None = None

    def of(self, record: RunDir, name: str, chosen: Exporter) -> Callable[[Model], Tuned]:
        """Return what fine-tunes a run's network, for the format of this name.

        Raises:
            InputError: a number is out of range, or the format is of no chip and no device.
        """
        if not isinstance(chosen, ChipExporter | DeviceExporter):
            chips, devices = (
                ", ".join(each for each in EXPORTERS.names() if issubclass(EXPORTERS.get(each), kind))
                for kind in (ChipExporter, DeviceExporter)
            )
            raise InputError(
                f"--finetune: {name} has nothing to learn on; formats that have: {chips} (the chip's integer neurons), "
                f"{devices} (the run's own device)"
            )
        if isinstance(self.updates, bool) or not isinstance(self.updates, int):
            raise InputError(f"--finetune: {self.updates!r} is not a whole number of updates")
        if not 1 <= self.updates <= MOST:
            raise InputError(f"--finetune: {self.updates} updates; give at least 1, at most {MOST}")
        if self.lr is not None and not isinstance(self.lr, int | float):
            raise InputError(f"--finetune-lr: {self.lr!r} is not a number")
        if self.lr is not None and not (isfinite(self.lr) and 0 < self.lr <= 1e3):
            raise InputError(f"--finetune-lr: {self.lr:g} must be above 0, and at most 1000")
        return lambda model: finetune(record, model, chosen, self)


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned network, its weights those that the chip holds.

    Args:
        model: the network. facts: how it was done, by name. limits: what was not in the loop, in sentences.
    """

    model: Model
    facts: Mapping[str, float | int | str]
    limits: tuple[str, ...] = ()


def finetune(record: RunDir, model: Model, chosen: ChipExporter | DeviceExporter, how: FineTuning) -> Tuned:
    """Continue a run's learning on the chip's own forward pass.

    On a chip of integer neurons every presentation is its arithmetic, with the scales that the network had before. The
    rule's updates are written to float64 weights, which are rounded for the next presentation alone: updates smaller
    than half a step add up, and the gradient of the rounding is taken to be 1 (straight-through).

    On a device of conductances all is as it was in training: the rule's updates are written to the run's own device in
    the run's own way, with its errors, and read with its noise; moments and schedule of the optimiser start anew.

    Rules go on as they are; a run trained by a gradient of a digital twin goes on with ANP, which needs none, and so
    does one of weight perturbation on a chip whose weights are whole numbers, which are not moved by less than one.

    Args:
        record: the run, which is left as it is. model: its network; `chosen.check` has passed. chosen: the exporter.
        how: updates and learning rate.

    Raises:
        DivergedError: a lower learning rate is needed.
        InputError: of a device: nothing is lost in writing to it, or nothing perturbs the units.
    """
    config = _config(load_config(record.config_path), how, isinstance(chosen, ChipExporter))
    if how.updates <= config.optimizer.warmup:
        raise InputError(
            f"--finetune: {how.updates} updates lie within the run's optimizer.warmup, {config.optimizer.warmup}; give "
            "more of them"
        )
    threads = torch.get_num_threads()
    torch.set_num_threads(config.compute.threads)
    try:
        if isinstance(chosen, ChipExporter):
            tuned = _on_neurons(record, model, chosen, config)
        else:
            tuned = _on_device(record, model, chosen, config)
    finally:
        torch.set_num_threads(threads)
    facts = {
        "finetune_updates": how.updates,
        "finetune_seed": config.seed,
        "finetune_lr": config.optimizer.lr,
        "finetune_rule": config.rule_name,
    }
    return replace(tuned, facts={**facts, **tuned.facts})


def _on_neurons(record: RunDir, model: Model, chosen: ChipExporter, config: RunConfig) -> Tuned:
    """Learn with a chip's integer neurons in place of the network's own."""
    arrays = {name: torch.from_numpy(np.array(W, dtype=np.float64)) for name, W in model.weights.items()}
    experiment = Experiment.of(_without_device(config), start=Start(arrays, str(record.path), model.name))
    chip = chosen.chip(model)
    backend = cast("Backend", ChipInLoop(chip, config.dt, experiment.chunk))
    trainer = replace(build_trainer(experiment), backend=backend)
    _train(trainer)
    held = chip.held({name: W.double() for name, W in trainer.substrate.weights.items()})
    weights = {name: W.numpy() for name, W in held.items()}
    return Tuned(replace(model, weights=weights, origin="whole numbers of the chip", recorded=None), {})


def _on_device(record: RunDir, model: Model, chosen: DeviceExporter, config: RunConfig) -> Tuned:
    """Learn on the run's own device, from where the run left it: a second one, so that the model's stays as it is."""
    chosen.check_tuning(model)
    of_run, left = restored(record)
    chip = cast("DeviceChip", left.substrate)
    if not (chip.perturbs_units or chip.drive.sigma or moves_weights(config.rule)):
        if isinstance(of_run.config.rule, Solved):  # for which none is added, whatever perturbation.name is
            raise InputError(
                f"--finetune: nothing perturbs the units: for rule '{of_run.config.rule_name}' no noise is added, and "
                f"none of {chip.profile.name} reaches them, so that {config.rule_name} learns nothing; leave it out"
            )
        raise InputError(
            f"--finetune: nothing perturbs the units (perturbation.name 'none', and no noise of {chip.profile.name} "
            f"reaches them), so that {config.rule_name} learns nothing; train with perturbation.name auto"
        )
    before = chip.ledger.pulses
    trainer = replace(
        left,
        learner=learner_of(config.rule, config.compute),
        optimizer=config.optimizer,
        streams=Streams(config.seed, device_seed=left.streams.seed),
        updates=config.training.updates,
        update=0,
        moments={},  # new ones
    )
    _train(trainer)
    pulses = chip.ledger.pulses - before
    facts = {
        "finetune_write": chip.write,
        "finetune_effects": ", ".join(name for name in known_effects(chip.profile) if name in chip.effects) or "none",
        "finetune_pulses": pulses,
    }
    weights = {name: W.detach().double().cpu().numpy() for name, W in chip.weights.items()}
    tuned = replace(model, weights=weights, chip=chip, recorded=None)
    return Tuned(tuned, facts, (*_of_writes(chip, pulses), *chosen.unseen(model)))


def _of_writes(chip: DeviceChip, pulses: int) -> list[str]:
    """Say where fine-tuning met no errors of writing, or wrote nothing at all."""
    said = [] if _errs(chip) else ["writes do not err in this run, so that fine-tuning met no errors of programming"]
    if chip.write == "ideal" or pulses:
        return said
    spared = "less than write-verify writes (deadband)" if chip.write == "verify" else "less than a pulse"
    return [
        *said,
        f"fine-tuning wrote to no device: all changes were {spared}; only time can have changed the conductances; "
        "raise --finetune-lr, or give more updates",
    ]


def _errs(chip: DeviceChip) -> bool:
    """Return whether what a chip writes is off its targets by chance, in its way of writing and with its effects."""
    if chip.write == "ideal":
        return False
    pulsed = {"write_noise", "c2c"}
    by_law = chip.write == "verify" and chip.device.programming is not None
    among = pulsed if chip.write == "pulse" else {"programming_error"} if by_law else {"programming_error", *pulsed}
    return any(name in among & chip.effects for name in known_effects(chip.profile))


def _config(config: RunConfig, how: FineTuning, whole: bool) -> RunConfig:
    """Return the run's configuration for its fine-tuning: a seed, updates and perhaps a rule of its own.

    Args:
        config, how: the run's, and what is asked for. whole: whether weights are whole numbers.
    """
    lr = {} if how.lr is None else {"lr": how.lr}
    changes: dict[str, Any] = {
        "seed": (config.seed + APART) % 2**63,  # sequences and noise that training has not had
        "optimizer": config.optimizer.model_copy(update=lr),
        "training": config.training.model_copy(update={"updates": how.updates, "controls": False, "refit": None}),
    }
    if not config.rule.local or (whole and moves_weights(config.rule)):
        preset = "spiking" if spikes(config.backend) else "default"
        changes["rule"] = RULES.get("anp")(preset=preset)  # pyright: ignore[reportCallIssue]
    return config.model_copy(update=changes)


def _without_device(config: RunConfig) -> RunConfig:
    """Return a configuration for a chip of integer neurons: no device but that, noise on the units alone."""
    changes: dict[str, Any] = {
        "profile": "ideal",
        "hardware": Hardware(),
        "backend": "lif",
        "perturbation": config.perturbation.model_copy(update={"name": "auto"}),
        "network": config.network.model_copy(update={"weights": None}),
        "compute": config.compute.model_copy(update={"dtype": "float64", "device": "cpu"}),
    }
    return config.model_copy(update=changes)


def _train(trainer: Trainer) -> None:
    """Do all updates; say how far they are, now and then."""

    def tell(row: Row) -> None:
        LOG.info("fine-tuning: update %d of %d, training loss %.4g", row["update"], trainer.updates, row["train_loss"])

    try:
        for _ in updates(trainer, tell, TOLD_EVERY_S):
            pass
    except DivergedError as error:
        raise DivergedError(f"fine-tuning {error}; nothing was written: give a lower --finetune-lr") from None
