"""Diagnose a rule: updates at moments of a training, with several settings, against the exact gradient."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from neuroanp.baselines.solved import Solved
from neuroanp.diagnosing import points
from neuroanp.diagnosing.asked import Asked, updates_of
from neuroanp.diagnosing.drawing import held_to_gradient
from neuroanp.diagnosing.gradient import gradient_of
from neuroanp.diagnosing.result import Diagnosis, Row
from neuroanp.diagnosing.settings import Setting, settings_of
from neuroanp.errors import InputError
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.described import describe
from neuroanp.training.launch import CHOICES
from neuroanp.training.memory import keep_freed_memory
from neuroanp.training.revisit import looked_at

if TYPE_CHECKING:
    from neuroanp.diagnosing.points import Point
    from neuroanp.records.run_dir import RunDir
    from neuroanp.training.config import RunConfig
    from neuroanp.training.trainer import Trainer

LOG = logging.getLogger("neuroanp")
Tell = Callable[[dict[str, Any]], None]


def of_config(config: RunConfig, asked: Asked, tell: Tell = lambda event: None) -> Diagnosis:
    """Diagnose the rule of a configuration, which is trained up to the moments that are asked for.

    Args:
        config: the resolved configuration. asked: what to look at. tell: takes events of progress, as of a training.

    Raises:
        InputError: there is no gradient, or no such update, replicas or noise level; nothing was computed then.
        DivergedError: it diverged before a moment. RunError: an update is not finite.
    """
    with _threads(config):
        experiment = Experiment.of(config)
        trainer = build_trainer(experiment)
        at = updates_of((0,) if asked.at is None else asked.at, config.training.updates)
        settings = _checked(experiment, trainer, asked)
        told = {"run": experiment.label, "phase": "train"}
        moments = points.trained(trainer, at, lambda event: tell({**told, **event}))
        return _diagnosis(experiment, settings, moments, asked, tell)


def of_run(record: RunDir, asked: Asked, tell: Tell = lambda event: None) -> Diagnosis:
    """Diagnose the rule of a run at its checkpoints; the run is left as it is. Arguments and errors as `of_config`."""
    with looked_at(record) as found:
        at = points.kept(record, found.experiment, asked.at)
        settings = _checked(found.experiment, found.trainer, asked)
        moments = points.loaded(record, found.experiment, at)
        made = _diagnosis(found.experiment, settings, moments, asked, tell)
        return replace(made, about={**made.about, "run": str(record.path)})


@contextmanager
def _threads(config: RunConfig) -> Iterator[None]:
    """Compute with the threads of a configuration while the block runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(config.compute.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _checked(experiment: Experiment, trainer: Trainer, asked: Asked) -> list[Setting]:
    """Return the settings; refuse before anything is drawn what cannot be looked at, and say what was chosen."""
    keep_freed_memory()
    rule = experiment.config.rule
    if isinstance(rule, Solved):
        raise InputError(
            f"rule: '{rule.name}' computes weights and makes no update that could be held to a gradient; diagnose "
            "another, or compare what they come to: neuroanp compare"
        )
    gradient_of(trainer, trainer.lab())
    config = experiment.config
    quiet = config.model_copy(update={"training": config.training.model_copy(update={"controls": False})})
    settings = settings_of(quiet, asked, trainer)
    told: set[str] = set()
    for setting in {setting.sigma: setting for setting in reversed(settings)}.values():
        _, log = describe(replace(experiment, config=setting.config))
        for line in log:
            if line not in told and line.startswith("warning: "):
                LOG.warning(line.removeprefix("warning: "))
            elif line not in told and line.startswith(CHOICES):
                LOG.info(line)
        told.update(log)
    return settings


def _diagnosis(
    experiment: Experiment, settings: Sequence[Setting], moments: Iterator[Point], asked: Asked, tell: Tell
) -> Diagnosis:
    """Look at each moment with each setting."""
    trainers = [build_trainer(replace(experiment, config=setting.config)) for setting in settings]
    rows: list[Row] = []
    for point in moments:
        for setting, trainer in zip(settings, trainers, strict=True):
            _stand(trainer, point.state, setting)
            label = ", ".join(part for part in (experiment.label, f"update {point.update}", str(setting)) if part)
            event = {"run": label, "phase": "drawing updates", "updates": asked.draws.most, "loss": None}
            found = held_to_gradient(trainer, asked.draws, lambda n, event=event: tell({**event, "update": n}))
            tell({**event, "phase": "done", "update": asked.draws.most})
            rows += [
                Row(point.update, setting.K, setting.sigma, trainer.learner.passes, name, setting.own, one)
                for name, one in found.items()
            ]
    return Diagnosis(_about(experiment, trainers[0], asked), tuple(rows))


def _stand(trainer: Trainer, state: Mapping[str, torch.Tensor], setting: Setting) -> None:
    """Put a trainer where another one stood, whose rule may have had other settings.

    Raises:
        InputError: the learner's state is of another shape with these.
    """
    first = {f"learner/{name}": x.shape for name, x in trainer.learner.init(trainer.substrate.weights).items()}
    there = {name: x.shape for name, x in state.items() if name.startswith("learner/")}
    if first != there:
        raise InputError(
            f"{setting}: what rule '{setting.config.rule_name}' has learned of its own is of another shape there than "
            "in the training; look at the training's own setting, or train with this one"
        )
    trainer.load_state_dict(state)


def _about(experiment: Experiment, trainer: Trainer, asked: Asked) -> dict[str, Any]:
    config, profile = experiment.config, experiment.profile
    return {
        "task": config.task_name,
        "profile": profile.name,
        "backend": config.backend,
        "rule": config.rule_name,
        "seed": config.seed,
        "updates": config.training.updates,
        "batch": config.training.batch,
        "gradient": "surrogate" if trainer.substrate.network.spikes else "exact",
        "within": asked.draws.within,
        "most": asked.draws.most,
        "run": None,
    }
