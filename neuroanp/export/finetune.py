"""Go on learning with the chip in the loop, so that a network gets used to what its export took from it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from neuroanp.backends.chips import ChipInLoop
from neuroanp.errors import DivergedError, InputError
from neuroanp.export.protocol import EXPORTERS, ChipExporter, Exporter
from neuroanp.learning.protocol import RULES
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.config import Hardware, RunConfig, load_config
from neuroanp.training.start import Start

if TYPE_CHECKING:
    from neuroanp.backends.protocol import Backend
    from neuroanp.export.model import Model
    from neuroanp.records.run_dir import RunDir
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
            InputError: a number is out of range, or the neurons of the format's chip are not known.
        """
        if not isinstance(chosen, ChipExporter):
            able = [each for each in EXPORTERS.names() if issubclass(EXPORTERS.get(each), ChipExporter)]
            raise InputError(
                f"--finetune: {name} has no integer neurons to learn with; formats that have: {', '.join(able)}"
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
    """A fine-tuned network, its weights those that the chip holds, and facts of how it was done, by name."""

    model: Model
    facts: Mapping[str, float | int | str]


def finetune(record: RunDir, model: Model, chosen: ChipExporter, how: FineTuning) -> Tuned:
    """Continue a run's learning on the chip's own forward pass.

    Every presentation is the integer arithmetic of the chip, with the scales that the network had before. The rule's
    updates are written to float64 weights, which are rounded for the next presentation alone: updates smaller than half
    a step add up, and the gradient of the rounding is taken to be 1 (straight-through). Rules go on as they are; a run
    trained by a gradient of the float network goes on with ANP, which needs none.

    Args:
        record: the run. model: its network; `chosen.check` has passed. chosen: the exporter.
        how: updates and learning rate.

    Raises:
        DivergedError: a lower learning rate is needed.
    """
    config = _config(load_config(record.path / "config.yaml"), how)
    arrays = {name: torch.from_numpy(np.array(W, dtype=np.float64)) for name, W in model.weights.items()}
    experiment = Experiment.of(config, start=Start(arrays, str(record.path), model.name))
    threads = torch.get_num_threads()
    torch.set_num_threads(config.compute.threads)
    try:
        trainer = build_trainer(experiment)
        chip = chosen.chip(model)
        trainer.backend = cast("Backend", ChipInLoop(chip, config.dt, config.training.chunk, config.neuron))
        _train(trainer)
        held = chip.held({name: W.double() for name, W in trainer.substrate.targets.items()}, model.bias)
    finally:
        torch.set_num_threads(threads)
    facts = {
        "finetune_updates": how.updates,
        "finetune_seed": config.seed,
        "finetune_lr": config.optimizer.lr,
        "finetune_rule": config.rule_name,
    }
    return Tuned(replace(model, weights={name: W.numpy() for name, W in held.items()}, recorded=None), facts)


def _config(config: RunConfig, how: FineTuning) -> RunConfig:
    """Return the run's configuration for learning on a chip: no device but that, noise on the units alone."""
    lr = {} if how.lr is None else {"lr": how.lr}
    changes: dict[str, Any] = {
        "seed": (config.seed + APART) % 2**63,  # sequences and noise that training has not had
        "profile": "ideal",
        "hardware": Hardware(),
        "backend": "lif",
        "perturbation": config.perturbation.model_copy(update={"name": "auto"}),
        "network": config.network.model_copy(update={"weights": None}),
        "optimizer": config.optimizer.model_copy(update=lr),
        "training": config.training.model_copy(update={"updates": how.updates, "controls": False}),
        "compute": config.compute.model_copy(update={"dtype": "float64", "device": "cpu"}),
    }
    if hasattr(config.rule, "gradient"):
        changes["rule"] = RULES.get("anp")(preset="spiking")  # pyright: ignore[reportCallIssue]
    return config.model_copy(update=changes)


def _train(trainer: Trainer) -> None:
    """Do all updates; say how far they are, now and then."""
    told = time.perf_counter()
    while trainer.update < trainer.updates:
        try:
            row = trainer.step()
        except DivergedError as error:
            raise DivergedError(f"fine-tuning {error}; nothing was written: give a lower --finetune-lr") from None
        if time.perf_counter() - told > TOLD_EVERY_S:
            told = time.perf_counter()
            LOG.info(
                "fine-tuning: update %d of %d, training loss %.4g", row["update"], trainer.updates, row["train_loss"]
            )
