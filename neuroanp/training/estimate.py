"""Say what a run will take before it runs: passes, operations, memory, time."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import torch

from neuroanp.backends.rate import draw_bytes
from neuroanp.substrates.periphery import normals
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.config import RunConfig
from neuroanp.training.learner import RuleLearner
from neuroanp.training.memory import keep_freed_memory

TIMED = 3


def estimate(config: RunConfig) -> dict[str, Any]:
    """Return what a run will take; a few updates are done and timed, nothing is written to the disk.

    Returns: passes, multiply_accumulates of all passes, memory_bytes (weights, optimizer and device
        state, stored passes, the largest draw of read noise), replayed (whether the passes are run
        twice), seconds, chip_time_s of the reads, and what perturbs the units.

    Raises:
        InputError: the profile or the data cannot be read.
    """
    experiment = Experiment.of(config)
    torch.set_num_threads(config.compute.threads)
    keep_freed_memory()
    trainer = build_trainer(experiment)
    learner, task, batch = trainer.learner, experiment.task, config.training.batch
    stored = 0  # credit that looks at its own step alone (gamma 0) needs no pass stored
    if isinstance(learner, RuleLearner) and learner.rule.gamma > 0:
        stored = learner.stored_bytes(trainer.context())
    replayed = stored > config.training.memory
    state = sum(value.numel() * value.element_size() for value in trainer.state_dict().values())
    seconds = _seconds_an_update(trainer) if config.training.updates else 0.0
    passes = config.training.updates * learner.passes
    weights = sum(W.numel() for W in trainer.substrate.targets.values())
    _, log = experiment.describe()
    twice = 2 if config.training.controls else 1  # the frozen-recurrence control is trained too
    return {
        "run": experiment.directory,
        "updates": config.training.updates,
        "passes": passes,
        "multiply_accumulates": passes * batch * task.steps * weights,
        "memory_bytes": state + min(stored, int(config.training.memory)) + _noise_bytes(trainer, config.training.chunk),
        "replayed": replayed,
        "seconds": seconds * config.training.updates * twice,
        "chip_time_s": passes * batch * task.steps * config.dt,
        "notes": log,
    }


def _noise_bytes(trainer: Any, chunk: int) -> int:
    """Return what the largest draw of read noise takes: (T_chunk, M, B, n, m) where every device is drawn."""
    if not any(trainer.learner.plan.gain):
        return 0
    rows, steps = trainer.learner.passes * trainer.batch, min(chunk, trainer.task.steps)
    noisy = [read for read in trainer.context().reads.values() if normals(read) or read.process is not None]
    return max((draw_bytes(read, rows, steps)[1] for read in noisy), default=0)


def _seconds_an_update(trainer: Any) -> float:
    trainer.step()  # the first one pays for what is set up once
    found = []
    for _ in range(TIMED):
        start = time.perf_counter()
        trainer.step()
        found.append(time.perf_counter() - start)
    return median(found)
