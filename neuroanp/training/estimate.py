"""Say what a run will take before it runs: passes, operations, memory, time."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import torch

from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.config import RunConfig
from neuroanp.training.learner import RuleLearner
from neuroanp.training.memory import keep_freed_memory

TIMED = 3


def estimate(config: RunConfig) -> dict[str, Any]:
    """Return what a run will take; a few updates are done and timed, nothing is written to the disk.

    Returns: passes, multiply_accumulates of all passes, memory_bytes (weights, optimizer and device
        state, stored passes), replayed (whether the passes are run twice), seconds, chip_time_s of
        the reads, and what perturbs the units.

    Raises:
        InputError: the profile or the data cannot be read.
    """
    experiment = Experiment.of(config)
    torch.set_num_threads(config.compute.threads)
    keep_freed_memory()
    trainer = build_trainer(experiment)
    learner, task, batch = trainer.learner, experiment.task, config.training.batch
    context = trainer.context()
    stored = learner.stored_bytes(context) if isinstance(learner, RuleLearner) else 0
    replayed = isinstance(learner, RuleLearner) and learner.rule.gamma > 0 and stored > config.training.memory
    state = sum(value.numel() * value.element_size() for value in trainer.state_dict().values())
    seconds = _seconds_an_update(trainer)
    passes = config.training.updates * learner.passes
    weights = sum(W.numel() for W in trainer.substrate.targets.values())
    _facts, log = experiment.describe()
    twice = 2 if config.training.controls else 1  # the frozen-recurrence control is trained too
    return {
        "run": experiment.directory,
        "updates": config.training.updates,
        "passes": passes,
        "multiply_accumulates": passes * batch * task.steps * weights,
        "memory_bytes": state + min(stored, config.training.memory),
        "replayed": replayed,
        "seconds": seconds * config.training.updates * twice,
        "chip_time_s": passes * batch * task.steps * config.dt,
        "notes": log,
    }


def _seconds_an_update(trainer: Any) -> float:
    trainer.step()  # the first one pays for what is set up once
    found = []
    for _ in range(TIMED):
        start = time.perf_counter()
        trainer.step()
        found.append(time.perf_counter() - start)
    return median(found)
