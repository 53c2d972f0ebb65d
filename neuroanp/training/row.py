"""The row that tables show of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuroanp.training.build import Experiment
    from neuroanp.training.evaluate import Evaluation
    from neuroanp.training.trainer import Trainer


def row_of(
    experiment: Experiment, trainer: Trainer, status: str, path: Path, found: Evaluation | None = None,
    score: float | None = None, losses: Mapping[str, float] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the row of a run that has ended.

    Args:
        status: finished or diverged. path: the run's directory. found: its losses; None: it has none.
        score: the task's headline. losses: of the controls.
    """
    config, ledger = experiment.config, trainer.substrate.ledger
    return {
        "task": config.task_name,
        "profile": experiment.profile.name,
        "backend": config.backend,
        "rule": config.rule_name,
        "seed": config.seed,
        "status": status,
        "updates": trainer.update,
        "passes": trainer.update * trainer.learner.passes,
        "test_loss": None if found is None else found.test_loss,
        "test_loss_noise_free": None if found is None else found.test_loss_noise_free,
        "score": score,
        "controls": dict(losses or {}),
        "energy_J": ledger.energy_J,
        "chip_time_s": ledger.time_s,
        "pulses": ledger.pulses,
        "wear": ledger.wear_fraction,
        "run": str(path),
    }
