"""How the runs of a comparison are made, and where what they give is put."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.api.compared import Comparison
from neuroanp.api.doing import Doing
from neuroanp.api.run import Run
from neuroanp.comparing.size import in_words
from neuroanp.errors import RunError
from neuroanp.records.atomic import said
from neuroanp.records.json_io import finite
from neuroanp.records.places import check_root
from neuroanp.records.run_dir import RunDir
from neuroanp.training.arguments import command, switch

if TYPE_CHECKING:
    from neuroanp.comparing.grid import Grid
    from neuroanp.comparing.transfer import Transfer
    from neuroanp.comparing.tune import Ended, Trial, Tuned, Tuning
    from neuroanp.comparing.worker import Outcome
    from neuroanp.training.config import RunConfig

LOG = logging.getLogger("neuroanp")
REPEATED = "repeat the command: finished runs are not repeated"
Tell = Callable[[dict[str, Any]], None] | None


@dataclass(frozen=True)
class Making:
    """Where the runs of a comparison go, and how they are made; `logged` spans those that are made in turn."""

    root: Path
    command: Sequence[str]
    doing: Doing
    force: bool
    report: bool
    last: bool = False
    logged: set[tuple[Any, ...]] = field(default_factory=set[tuple[Any, ...]])

    @classmethod
    def of(cls, root: Path, argv: Any, workers: Any, force: Any, report: Any, **how: Any) -> Making:
        """Read the arguments of `compare` and `transfer`; InputError for what is no such thing.

        Args: how: as of `Doing.of`.
        """
        doing = Doing.of(workers, **how)
        return cls(root, command(argv), doing, switch("force", force), switch("report", report))

    @contextmanager
    def begun(self) -> Generator[None]:
        """Hold the store and reach who does the runs, while the block runs; a block inside changes nothing."""
        with self.doing.on(self.root, self.command):
            yield

    def announce(self, count: int, of_what: str) -> None:
        """Say how many runs there will be."""
        if count > 1:
            LOG.info(f"{count:,} runs ({of_what}), {self.doing.executor.where}")

    def run(self, configs: Sequence[RunConfig], tell: Tell) -> list[Outcome]:
        """Do all runs in parallel; their outcomes come in the order of the configurations."""
        from neuroanp.comparing.worker import Job

        check_root(self.root)
        since, say = time.time() if self.force else None, tell or _nobody
        jobs = [
            Job(one, self.root, self.force, tuple(self.command), self.last and one.training.controls, since)
            for one in configs
        ]
        outcomes = self.doing.executor.run(jobs, say, self.logged)
        left = [i for i, one in enumerate(outcomes) if jobs[i].later and one.error is None]
        if not left:
            return outcomes
        LOG.info(f"the results are there (neuroanp report {self.root} shows them); now the controls")
        with_controls = [replace(jobs[i], force=False, later=False) for i in left]
        done = dict(zip(left, self.doing.executor.run(with_controls, say, self.logged), strict=True))
        return [done.get(i, one) for i, one in enumerate(outcomes)]

    def tuned(self, grid: Grid, tuning: Tuning, found: Sequence[Sequence[Trial]], tell: Tell) -> list[Tuned]:
        """Do the trials of all combinations in parallel, in a folder of the store, and choose for each combination.

        Args: grid, tuning: what is tuned. found: the trials that each combination begins with.

        Raises:
            RunError: a trial came to no end, so that nothing can be chosen.
        """
        from neuroanp.comparing import tune

        keys = ", ".join(axis.key for axis in tuning.axes)
        counts = {"combination": len(found), "setting": tuning.points, "seed": len(tuning.seeds)}
        kind = "" if tuning.search.trials is None else f", search {tuning.search.kind}"
        total = len(found) * tuning.trials
        LOG.info(f"{total:,} trials ({in_words(counts)}{kind}) choose {keys}; the runs that are reported follow")
        own = replace(self, root=self.root / tune.FOLDER, last=False)
        ended: list[list[Ended]] = [[] for _ in found]
        names: list[tuple[str, str]] = []
        batch = found
        while any(batch):
            said = own._tried(batch, tell)
            names = names or [(task, profile) for task, profile, _ in said]
            ended = [[*before, *new] for before, (_, _, new) in zip(ended, said, strict=True)]
            batch = [tune.following(one, tuning, some) for one, some in zip(grid.combinations, ended, strict=True)]
        chosen: list[Tuned] = []
        for combination, (task, profile), some in zip(grid.combinations, names, ended, strict=True):
            one = tune.tuned(combination, tuning, task, profile, some)
            _tell_of(one)
            chosen.append(one)
        return chosen

    def _tried(self, batch: Sequence[Sequence[Trial]], tell: Tell) -> list[tuple[str, str, list[Ended]]]:
        """Do some trials of each combination; return for each what its task and profile are called, and what became.

        Raises:
            RunError: a trial came to no end.
        """
        from neuroanp.reporting.reading import shown

        trials = [trial for some in batch for trial in some]
        configs = {repr(trial.config): trial.config for trial in trials}  # Optuna may propose a point twice
        of = dict(zip(configs, self.run([*configs.values()], tell), strict=True))
        outcomes = [of[repr(trial.config)] for trial in trials]
        records = [outcome.opened() for outcome in outcomes]
        ended = zip(trials, outcomes, records, strict=True)
        lost = [(outcome.label, str(outcome.error)) for _, outcome, record in ended if not _has_ended(record)]
        if lost:
            said = "\n".join(f"  {label}: {error}" for label, error in lost)
            raise RunError(f"trials failed, so that nothing can be chosen; the same command goes on:\n{said}")
        whole = iter(zip(trials, records, strict=True))
        found: list[tuple[str, str, list[Ended]]] = []
        for some in batch:
            mine = [next(whole) for _ in some]
            first = mine[0][1]
            assert first is not None  # it has ended
            told = shown(first)
            of_trials = [_ended(trial, record) for trial, record in mine if record is not None]
            found.append((told.task, str(told.result["profile"]), of_trials))
        return found

    def transferred(self, planned: Transfer, tell: Tell) -> Comparison:
        """Train the teachers and, beside them, what learns on the device from scratch; then program and fine-tune."""
        begun = self.run([*planned.teachers, *planned.scratch], tell)
        taught, failed = begun[: len(planned.teachers)], failures(begun)
        ends = zip(planned.teachers, taught, strict=True)
        paths = {config.seed: one.path for config, one in ends if one.path and not one.error}
        if not paths:
            raise all_failed(failed)
        left_out = {config.seed for config in planned.teachers} - set(paths)
        failed += [
            (f"programming of seed {seed}", "not done: training its weights failed") for seed in sorted(left_out)
        ]
        programmed = self.run(planned.programmed(paths), tell)
        failed += failures(programmed)
        of_each, ordered = iter(programmed), list(taught)
        for config, scratch in zip(planned.scratch, begun[len(taught) :], strict=True):
            ordered += [next(of_each), next(of_each), scratch] if config.seed in paths else [scratch]
        return self.compared(ordered, "transfer", failed)

    def compared(
        self, outcomes: Sequence[Outcome], kind: str, failed: list[tuple[str, str]], tuning: Sequence[Tuned] = (),
        **record: Any,
    ) -> Comparison:  # fmt: skip
        """Put what has a result side by side; write report and record into a directory named after its content.

        The record is written without a report, too, where it has what no run knows: what was tuned.
        """
        from neuroanp.comparing.record import Record
        from neuroanp.reporting.ablation import ablations, rows
        from neuroanp.reporting.html import render
        from neuroanp.reporting.reading import shown, typed

        records = [outcome.opened() for outcome in outcomes]
        done = [record for record in records if record is not None and record.result is not None]
        if not done:
            raise all_failed(failed)
        told, folder = [one.to_dict() for one in tuning], None
        if self.report or tuning:
            folder = self.root / f"{kind}-{_digest([record.manifest['identity'] for record in done], told)}"
            with said(folder / "report.html", "move away what is there", REPEATED):
                folder.mkdir(parents=True, exist_ok=True)
            names = [record.path.name for record in done]
            Record(kind, self.command, names, failed=[*map(list, failed)], tuning=told, **record).write(folder)
        if self.report and folder is not None:
            render(done, folder / "report.html", typed(self.command), tuning=told)
        found = rows(ablations([shown(record) for record in done])) if kind == "ablate" else []
        page = folder / "report.html" if self.report and folder is not None else None
        return Comparison([Run(record) for record in done], failed, page, found, [*tuning])


def _nobody(event: Mapping[str, Any]) -> None:
    """Take an event that nobody looks at."""


def _has_ended(record: RunDir | None) -> bool:
    """Return whether a trial has a result: that of a finished run, or of one that diverged."""
    return record is not None and record.result is not None


def _ended(trial: Trial, record: RunDir) -> Ended:
    """Return what became of a trial; one without a loss that is a number counts as infinitely bad."""
    from neuroanp.comparing.tune import FOLDER, Ended

    result: Mapping[str, Any] = record.result or {}
    validation: Mapping[str, Any] = record.manifest.get("validation") or {}
    loss = validation.get("loss")
    return Ended(
        trial.values, trial.seed, inf if loss is None else float(loss), result["status"], result["passes"],
        f"{FOLDER}/{record.path.name}",
    )  # fmt: skip


def _tell_of(one: Tuned) -> None:
    """Log what was chosen, and that a better one may lie beyond what was tried."""
    from neuroanp.reporting import tuning

    for line in tuning.chosen([one.to_dict()]):
        LOG.info(line)
    for line in tuning.warnings([one.to_dict()]):
        LOG.warning(line)


def failures(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    """Return label and message of what failed."""
    return [(outcome.label, outcome.error) for outcome in outcomes if outcome.error is not None]


def all_failed(failed: Sequence[tuple[str, str]]) -> RunError:
    """Return the error of a comparison none of whose runs has a result."""
    return RunError("no run has a result:\n" + "\n".join(f"  {label}: {error}" for label, error in failed))


def _digest(identities: Sequence[str], told: Sequence[Mapping[str, Any]]) -> str:
    """Return 16 hex digits of the runs of a comparison, and of what was tuned for them."""
    tuned = [json.dumps(finite(one), sort_keys=True) for one in told]
    return hashlib.sha256(json.dumps([*sorted(identities), *tuned]).encode()).hexdigest()[:16]
