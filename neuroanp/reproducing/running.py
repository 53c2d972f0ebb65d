"""Lay out the runs of an experiment, do them in parallel with what the store has, and read what they gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any

from neuroanp.comparing.desk import Plan, planned
from neuroanp.comparing.executor import Executor
from neuroanp.comparing.worker import Job, Outcome
from neuroanp.errors import InputError
from neuroanp.records.run_dir import RunDir
from neuroanp.reproducing.experiments import Experiment
from neuroanp.reproducing.rates import rate
from neuroanp.reproducing.ways import SIGMA, WAYS
from neuroanp.tasks.protocol import Task
from neuroanp.training.build import Experiment as Built
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import configure
from neuroanp.yaml_io import display

WITH_CONTROLS = "bptt"
"""The method whose runs compute the controls: of one seed they are the same for all methods, and it hardly diverges."""
PARTS = 20
"""Rows of the metrics of a run."""


@dataclass(frozen=True)
class Cell:
    """One run to do: a method of an experiment, with so many hidden units, on a seed."""

    experiment: Experiment
    way: str
    hidden: int
    seed: int
    quick: bool

    @property
    def updates(self) -> int:
        """Updates that its passes are enough for."""
        return self.experiment.passes // WAYS[self.way].passes

    @property
    def lr(self) -> float:
        """Its learning rate."""
        return rate(self.experiment, self.way, self.quick)

    @property
    def config(self) -> RunConfig:
        """The configuration of the run."""
        return configure(plain(self))


@dataclass(frozen=True)
class Measured:
    """What a run gave.

    Args:
        values: by key. loss: of the test sequences, the one compared; trained: of the sequence that is learned by
            heart; accuracy, where there is one; controls by name (constant_mean, ridge, persistence, ...). A run that
            diverged has infinite losses, and nothing else.
        error: why there is no result. run: the directory's name.
    """

    experiment: str
    way: str
    hidden: int
    seed: int
    updates: int
    lr: float
    values: Mapping[str, float]
    error: str | None = None
    run: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**vars(self), "values": dict(self.values)}


def plain(cell: Cell, lr: float | None = None) -> dict[str, Any]:
    """Return the configuration of a run as a YAML file would have it; `lr` in place of its own rate."""
    experiment, way, quick = cell.experiment, WAYS[cell.way], cell.quick
    rule = dict(way.rule)
    if "decorrelation" in rule:
        rule["decorrelation"] = {"lr": experiment.decorrelation}
    if rule["name"] == "echo":
        rule["lags"] = experiment.lags
    optimizer = way.optimizer if quick or way.of_paper is None else way.of_paper
    noise = {"perturbation": {"name": "gaussian", "sigma": SIGMA}} if way.noise == "units" else {}
    return {
        "task": dict(experiment.task),
        "network": {"hidden": cell.hidden},
        "profile": "ideal",
        "rule": rule,
        **noise,
        "optimizer": {**optimizer, "lr": cell.lr if lr is None else lr},
        "training": {
            "updates": cell.updates, "batch": experiment.batch, "controls": cell.way == WITH_CONTROLS,
            "evaluate_every": cell.updates, "checkpoint_every": max(cell.updates // 4, 100),
            "log_every": max(cell.updates // PARTS, 1),
        },
        "seed": cell.seed,
    }  # fmt: skip


def cells(experiments: Sequence[Experiment], seeds: Sequence[int], quick: bool) -> list[Cell]:
    """Return the runs of experiments, one after another."""
    return [
        Cell(experiment, way, hidden, seed, quick)
        for experiment in experiments
        for way in experiment.ways
        for hidden in experiment.widths
        for seed in seeds
    ]


def missing(experiments: Sequence[Experiment], seed: int, quick: bool) -> dict[str, str]:
    """Return which experiments lack their data, and why.

    Raises:
        InputError: files that were named are missing or not what they should be.
    """
    found = {}
    for experiment in experiments:
        try:
            task_of(Cell(experiment, experiment.ways[0], experiment.widths[0], seed, quick))
        except InputError as error:
            if experiment.given:
                raise _named(experiment, error) from None
            found[experiment.name] = str(error)
    return found


def _named(experiment: Experiment, error: InputError) -> InputError:
    """Return why files that were named cannot be read, with the option that names them where they are not there."""
    path = Path(experiment.task["path"])
    if path.exists():
        return error
    option = "--mnist" if experiment.task["name"] == "mnist" else "--csv"
    return InputError(
        f"{display(path)}: no such file or folder (looked in {path.absolute().parent}); name it with {option}"
    )


def task_of(cell: Cell) -> Task:
    """Return the task of a run; InputError where its data are missing or wrong."""
    return Built.of(cell.config).task


def plans(some: Sequence[Cell], root: Path, argv: Sequence[str]) -> list[Plan]:
    """Return the runs as the pool has them, with where they lie; nothing is run."""
    return planned([Job(cell.config, root, False, tuple(argv)) for cell in some])


def there(plan: Plan) -> bool:
    """Tell whether the store has a run's result."""
    return plan.path.is_dir() and RunDir.open(plan.path, check_code=False, quiet=True).result is not None


def measure(
    some: Sequence[Cell], root: Path, argv: Sequence[str], executor: Executor, tell: Callable[[dict[str, Any]], None]
) -> list[Measured]:
    """Do the runs that the store lacks, and return what all of them gave, in their order."""
    jobs = [Job(cell.config, root, False, tuple(argv)) for cell in some]
    return [read(cell, outcome) for cell, outcome in zip(some, executor.run(jobs, tell), strict=True)]


def read(cell: Cell, outcome: Outcome) -> Measured:
    """Return what a run gave."""
    values, error = {}, outcome.error
    name = None if outcome.path is None else outcome.path.name
    try:
        record = None if outcome.path is None else RunDir.open(outcome.path, check_code=False, quiet=True)
        result = None if record is None else record.result
    except InputError as damage:
        record = result = None
        error = error or str(damage)
    if record is not None and result is not None:
        if result["status"] == "diverged":
            values, error = dict.fromkeys({"loss", cell.experiment.measure}, inf), None
        elif error is None:
            values = numbers_of(record.manifest, result)
    elif error is None:
        error = "it left no result"
    return Measured(cell.experiment.name, cell.way, cell.hidden, cell.seed, cell.updates, cell.lr, values, error, name)


def numbers_of(manifest: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a finished run by key."""
    scores = manifest.get("scores") or {}
    found = {"loss": result["test_loss"], "passes": result["passes"], **(result.get("controls") or {})}
    for key, score in {
        "trained": "training_loss",
        "accuracy": "accuracy",
        "trained_accuracy": "training_accuracy",
    }.items():
        if score in scores:
            found[key] = scores[score]
    return {key: float(value) for key, value in found.items() if value is not None and isfinite(value)}
