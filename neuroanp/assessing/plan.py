"""Lay out an assessment: fit, or find the fit again, resolve all runs, tell their costs; nothing is written before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from neuroanp.assessing.asked import IDEAL, Asked, Laid, laid_out
from neuroanp.assessing.found import sweep_of
from neuroanp.assessing.measured import Data, Measured, measure, stored
from neuroanp.comparing.size import check_size
from neuroanp.errors import InputError
from neuroanp.profiles.loader import load
from neuroanp.profiles.schema import HardwareProfile
from neuroanp.requiring import sweep
from neuroanp.requiring.target import Target
from neuroanp.training.build import Experiment
from neuroanp.training.config import RunConfig
from neuroanp.training.described import describe
from neuroanp.training.estimate import estimate

RUNS = "runs"
"""The store, in the folder of an assessment."""


@dataclass(frozen=True)
class Plan:
    """What an assessment is of.

    Args:
        measured: the fit. profile: made of it. asked: what is asked of it. laid: the runs, a task each.
        folder: where all of it will lie. new: whether the fit is not there yet.
    """

    measured: Measured
    profile: HardwareProfile
    asked: Asked
    laid: tuple[Laid, ...]
    folder: Path
    new: bool

    @property
    def store(self) -> Path:
        """Where runs lie."""
        return self.folder / RUNS

    @property
    def configs(self) -> list[RunConfig]:
        """All runs but those of sweeps."""
        return [config for one in self.laid for config in one.every]

    def written(self) -> Plan:
        """Write the fit into the folder, where it is not there yet; return the plan with runs that use that file."""
        here = self.measured.placed(self.folder)
        if self.new:
            here.save(self.folder)
        place = str(here.profile(self.folder))
        laid = tuple(replace(one, configs=_moved(one.configs, here.name, place)) for one in self.laid)
        return replace(self, measured=here, profile=load(place), laid=laid, new=False)


def _moved(configs: Mapping[str, tuple[RunConfig, ...]], name: str, place: str) -> dict[str, tuple[RunConfig, ...]]:
    """Return configurations whose device has its profile in another place."""
    own = tuple(config.model_copy(update={"profile": place}) for config in configs[name])
    return {**configs, name: own}


@contextmanager
def prepared(data: Data, asked: Asked, folder: Path, most: int, force: bool = False) -> Iterator[Plan]:
    """Fit a device, or find its fit in the folder, and lay out all runs; nothing is written but to a temporary folder.

    Args:
        data: what was measured. asked: what is asked of it. folder: of the assessment. most: runs that are allowed.
        force: whether a fit that is there is replaced.

    Raises:
        InputError: the fit is refused, the folder holds something else, or one line for each thing wrong with a task.
    """
    many = len(asked.beside) + 1
    check_size({"task": len(asked.tasks), "profile": many, "seed": len(asked.seeds)}, most)
    kept = stored(data, folder, force)
    if kept is None:
        _laid_alone(asked)  # what is wrong with the tasks is told before a fit that takes its time
    measured = kept or measure(data, date.today().isoformat())
    with TemporaryDirectory(prefix="neuroanp-assess-") as place:
        path = str(measured.profile(Path(place) if kept is None else folder))
        if kept is None:
            Path(path).write_text(measured.placed(Path(place)).text, encoding="utf-8")
        laid = laid_out(asked, measured.name, path)
        _check(laid)
        yield Plan(measured, load(path), asked, laid, folder, kept is None)


def _laid_alone(asked: Asked) -> None:
    """Raise InputError for tasks that could not be run on the ideal profile either; the device is not looked at."""
    laid_out(replace(asked, beside=(IDEAL,), write=None), "device", IDEAL)


def _check(laid: Sequence[Laid]) -> None:
    """Build each chip once, so that what it refuses is told before anything is run."""
    problems = []
    for one in laid:
        for name, configs in one.configs.items():
            try:
                describe(Experiment.of(configs[0]))
            except InputError as error:
                problems += [f"{one.wanted.name} on {name}: {line}" for line in error.problems or [error.message]]
    if problems:
        raise InputError("the tasks cannot be run; nothing was", problems)


def expected(plan: Plan, workers: int) -> dict[str, Any]:
    """Return what an assessment would take, task by task and in all; a few updates are timed, nothing is written.

    Args: plan: what it is of. workers: processes at a time.

    Returns: runs, those that are there, passes and seconds of what is left, and beside them those of sweeps, which are
        made only where the device misses what it must reach.
    """
    tasks = [_expected(plan, one, workers) for one in plan.laid]
    keys = ("runs", "there", "passes", "seconds", "sweep_runs", "sweep_passes", "sweep_seconds")
    total = {key: _sum([one[key] for one in tasks]) for key in keys}
    return {
        "device": plan.measured.name, "folder": str(plan.folder), "fitted": not plan.new,
        "seeds": len(plan.asked.seeds), "profiles": [plan.measured.name, *plan.asked.beside],
        "workers": workers, "tasks": tasks, **total,
    }  # fmt: skip


def _sum(values: Sequence[Any]) -> Any:
    """Return a sum; None where a part of it is not known."""
    return None if any(value is None for value in values) else sum(values)


def _expected(plan: Plan, laid: Laid, workers: int) -> dict[str, Any]:
    left, there, passes, seconds = 0, 0, 0, 0.0
    fits, notes = True, list[str]()
    for configs in laid.configs.values():
        own = Experiment.of(configs[0])
        done = sum((plan.store / replace(own, config=config).directory / "result.json").is_file() for config in configs)
        one = estimate(configs[0])
        there, left = there + done, left + len(configs) - done
        passes += one["passes"] * (len(configs) - done)
        seconds = (
            None if seconds is None or one["seconds"] is None else seconds + one["seconds"] * (len(configs) - done)
        )
        fits = fits and one["fits"]
        notes += [] if one["fits"] else one["notes"]
    swept = _swept(plan, laid, workers)
    return {
        "task": laid.wanted.name, "runs": left + there, "there": there, "passes": passes,
        "seconds": None if seconds is None else seconds / workers, "fits": fits, "notes": notes, **swept,
    }  # fmt: skip


def _swept(plan: Plan, laid: Laid, workers: int) -> dict[str, Any]:
    """Return what a sweep would take, should there be one."""
    if not plan.asked.requirements:
        return {"sweep_runs": 0, "sweep_passes": 0, "sweep_seconds": 0.0}
    own = laid.configs[plan.measured.name]
    target = plan.asked.target or Target.of("test_loss < 1")
    try:
        planned = sweep_of(own[0], [one.seed for one in own], target)
    except InputError:  # it has nothing to sweep
        return {"sweep_runs": 0, "sweep_passes": 0, "sweep_seconds": 0.0}
    told = sweep.expected(planned, plan.store, workers)
    return {
        "sweep_runs": told["runs"] - told["there"], "sweep_passes": told["passes"], "sweep_seconds": told["seconds"],
    }  # fmt: skip
