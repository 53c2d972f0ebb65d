"""Many runs side by side: comparisons and transfers, and how they are made."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.api.live import noted, watched
from neuroanp.api.run import Anywhere, Progress, Run, Source
from neuroanp.comparing.grid import expand
from neuroanp.comparing.size import MOST_RUNS, check_size, check_workers, in_words, sizes
from neuroanp.errors import InputError, RunError, all_of
from neuroanp.records.atomic import said
from neuroanp.records.places import check_root
from neuroanp.records.run_dir import RunDir
from neuroanp.training.arguments import axes_of, command, number, progress_of, switch, whole
from neuroanp.training.plain import plain

if TYPE_CHECKING:
    from neuroanp.comparing.transfer import Transfer
    from neuroanp.comparing.worker import Outcome
    from neuroanp.training.config import RunConfig

LOG = logging.getLogger("neuroanp")
CONTROLS = ("each", "last")
Tell = Callable[[dict[str, Any]], None] | None


@dataclass(frozen=True)
class Comparison:
    """Many runs side by side.

    Args:
        runs: those that have a result.
        failed: label and message of those that have none or diverged.
        report: the HTML file; None where none was asked for (`neuroanp.report(comparison)` makes one).
        ablation: what each non-ideality costs, a row each, where that was asked for.
    """

    runs: list[Run]
    failed: list[tuple[str, str]]
    report: Path | None
    ablation: list[dict[str, Any]] = field(default_factory=list)

    @property
    def results(self) -> list[dict[str, Any]]:
        """One row a run; `options` are those in which the runs differ, such as optimizer.lr, as text by dotted key."""
        from neuroanp.reporting.reading import differing, shown

        options = differing([shown(run.record) for run in self.runs])
        return [{**run.result, "options": some} for run, some in zip(self.runs, options, strict=True)]

    def __repr__(self) -> str:
        from neuroanp.reporting.brief import of_runs

        said = of_runs([run.record for run in self.runs], len(self.failed))
        return f"Comparison({said}; {self.report or 'no report'})"

    def _repr_html_(self) -> str | None:
        from neuroanp.reporting.brief import table

        return table([run.record for run in self.runs], repr(self), self.failed)


@noted
def compare(
    source: Source = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    tasks: Any = None,
    backends: Any = None,
    profiles: Any = None,
    rules: Any = None,
    seeds: Any = None,
    workers: int | None = None,
    runs: Anywhere = "runs",
    force: bool = False,
    report: bool = True,
    progress: Progress = None,
    argv: Iterable[str] | None = None,
    ablate: bool = False,
    max_runs: int = MOST_RUNS,
    controls: str = "each",
    **words: Any,
) -> Comparison:
    """Train every combination in parallel processes; runs that are already there are shown.

    Args:
        tasks, rules: names, mappings with options such as {"name": "anp", "K": 3}, or one of these; None keeps the
            source's own.
        backends, profiles: names, or one name; profiles may be files and loaded profiles too.
        seeds: a list, or n for 0 .. n-1.
        workers: processes; one a core if not given.
        source, overrides, runs, force, report, progress, argv: as in `train`.
        ablate: run each combination also without each non-ideality of its profile, with each alone, and with none.
        max_runs: a comparison of more is refused before it starts.
        controls: "each" run computes its own once it is trained, "last": after all runs have their results. A control
            that runs have in common is computed once.
        **words: as in `train`, the same for all combinations.

    Returns: results, failures and the report.

    Raises:
        InputError: there are too many runs, or an argument, a name, a configuration or the store's place is wrong;
            said before anything runs.
    """
    from neuroanp.comparing.ablate import ablated, count

    axes = {"tasks": tasks, "backends": backends, "profiles": profiles, "rules": rules, "seeds": seeds}
    asked, chosen = axes_of(source, overrides, axes, words, runs)
    making = replace(_Making.of(asked.root, argv, workers, force, report), last=_last(controls))
    ablate, progress = switch("ablate", ablate), progress_of(progress)
    max_runs = whole("max_runs", max_runs, 1)
    configs = expand(asked.source, asked.overrides, **chosen, words=asked.words, most=max_runs)
    if ablate:
        check_size({"ablated run": count(configs)}, max_runs)
        configs = [one for config in configs for one in ablated(config)]
    with watched(progress, len(configs)) as tell:
        counts = sizes({axis.removesuffix("s"): values for axis, values in chosen.items()})
        making.announce(len(configs), in_words(counts) + (", ablated" if ablate else ""))
        outcomes = making.run(configs, tell)
    return making.compared(outcomes, "ablate" if ablate else "compare", _failures(outcomes))


def runs_of_ablation(
    source: Source, overrides: Mapping[str, Any] | None, *, max_runs: int = MOST_RUNS, **axes: Any
) -> int:
    """Return how many runs `compare(..., ablate=True)` makes of tasks, backends, profiles, rules and seeds."""
    from neuroanp.comparing.ablate import count

    asked, chosen = axes_of(source, overrides, axes, {}, "runs")
    return count(expand(asked.source, asked.overrides, **chosen, most=max_runs))


@noted
def transfer(
    source: Source = None,
    *,
    profiles: Any,
    fine_tune: int = 200,
    fine_tune_lr: float | None = None,
    overrides: Mapping[str, Any] | None = None,
    task: Any = None,
    backend: str | None = None,
    seeds: Any = None,
    workers: int | None = None,
    runs: Anywhere = "runs",
    force: bool = False,
    report: bool = True,
    progress: Progress = None,
    argv: Iterable[str] | None = None,
    max_runs: int = MOST_RUNS,
    **words: Any,
) -> Comparison:
    """Train weights off the chip by backpropagation, program devices with them, and fine-tune on the device.

    For each seed BPTT trains a network on the ideal profile. For each profile its weights are then programmed and
    evaluated as they are, and after `fine_tune` updates of the source's rule on the device; beside that the same
    rule learns on the device from the untrained network.

    Args:
        profiles: the devices.
        fine_tune: updates on the device after programming.
        fine_tune_lr: learning rate of these; the source's if not given.
        task, backend: one name, or None for the source's own.
        source, overrides, seeds, workers, runs, force, report, progress, argv, max_runs, **words: as in `compare`;
            `rule` is the one that learns on the device.

    Returns: results, failures and the report.

    Raises:
        InputError: as `compare`; there is no device, more than one task, backend or rule, or the source names weights
            to start from.
    """
    from neuroanp.comparing.transfer import plan

    axes = {"profiles": profiles, "seeds": seeds, "tasks": task, "backends": backend}
    asked, chosen = axes_of(source, overrides, axes, words, runs)
    one_task, one_backend, rule = all_of(
        *(lambda one=one: _at_most_one(one, chosen.get(f"{one}s", [])) for one in ("task", "backend", "rule"))
    )
    making = _Making.of(asked.root, argv, workers, force, report)
    progress = progress_of(progress)
    planned = plan(
        asked.source, asked.overrides, profiles=chosen["profiles"], fine_tune=whole("fine_tune", fine_tune, 1),
        fine_tune_lr=number("fine_tune_lr", fine_tune_lr), task=one_task, backend=one_backend, seeds=chosen["seeds"],
        most=whole("max_runs", max_runs, 1), rule=rule, words=asked.words,
    )  # fmt: skip
    with watched(progress, planned.total) as tell:
        making.announce(planned.total, planned.in_words)
        return making.transferred(planned, tell)


@dataclass(frozen=True)
class _Making:
    """Where the runs of a comparison go, and how they are made; `logged` spans those that are made in turn."""

    root: Path
    command: Sequence[str]
    workers: int
    force: bool
    report: bool
    last: bool = False
    logged: set[tuple[Any, ...]] = field(default_factory=set)

    @classmethod
    def of(cls, root: Path, argv: Any, workers: Any, force: Any, report: Any) -> _Making:
        """Read the arguments of `compare` and `transfer`; InputError for what is no such thing."""
        counted = check_workers(plain(workers, "workers"))
        return cls(root, command(argv), counted, switch("force", force), switch("report", report))

    def announce(self, count: int, of_what: str) -> None:
        """Say how many runs there will be."""
        if count > 1:
            LOG.info(f"{count:,} runs ({of_what}), at most {self.workers} at a time")

    def run(self, configs: Sequence[RunConfig], tell: Tell) -> list[Outcome]:
        """Do all runs in parallel; their outcomes come in the order of the configurations."""
        from neuroanp.comparing.pool import run_all
        from neuroanp.comparing.worker import Job

        check_root(self.root)
        since, say = time.time() if self.force else None, tell or (lambda event: None)
        jobs = [
            Job(one, self.root, self.force, tuple(self.command), self.last and one.training.controls, since)
            for one in configs
        ]
        outcomes = run_all(jobs, self.workers, say, self.logged)
        left = [i for i, one in enumerate(outcomes) if jobs[i].later and one.error is None]
        if not left:
            return outcomes
        LOG.info(f"the results are there (neuroanp report {self.root} shows them); now the controls")
        with_controls = [replace(jobs[i], force=False, later=False) for i in left]
        done = dict(zip(left, run_all(with_controls, self.workers, say, self.logged), strict=True))
        return [done.get(i, one) for i, one in enumerate(outcomes)]

    def transferred(self, planned: Transfer, tell: Tell) -> Comparison:
        """Train the teachers and, beside them, what learns on the device from scratch; then program and fine-tune."""
        begun = self.run([*planned.teachers, *planned.scratch], tell)
        taught, failed = begun[: len(planned.teachers)], _failures(begun)
        ends = zip(planned.teachers, taught, strict=True)
        paths = {config.seed: one.path for config, one in ends if one.path and not one.error}
        if not paths:
            raise _all_failed(failed)
        left_out = {config.seed for config in planned.teachers} - set(paths)
        failed += [
            (f"programming of seed {seed}", "not done: training its weights failed") for seed in sorted(left_out)
        ]
        programmed = self.run(planned.programmed(paths), tell)
        failed += _failures(programmed)
        of_each, ordered = iter(programmed), list(taught)
        for config, scratch in zip(planned.scratch, begun[len(taught) :], strict=True):
            ordered += [next(of_each), next(of_each), scratch] if config.seed in paths else [scratch]
        return self.compared(ordered, "transfer", failed)

    def compared(self, outcomes: Sequence[Outcome], kind: str, failed: list[tuple[str, str]]) -> Comparison:
        """Put what has a result side by side; write the report into a directory named after its content."""
        from neuroanp.reporting.ablation import ablations, rows
        from neuroanp.reporting.html import render
        from neuroanp.reporting.reading import shown, typed

        records = [_opened(outcome) for outcome in outcomes]
        done = [record for record in records if record is not None and record.result is not None]
        if not done:
            raise _all_failed(failed)
        path = None
        if self.report:
            path = self.root / f"{kind}-{_digest([record.manifest['identity'] for record in done])}" / "report.html"
            with said(path, "move away what is there", "repeat the command: finished runs are not repeated"):
                path.parent.mkdir(parents=True, exist_ok=True)
            render(done, path, typed(self.command))
        found = rows(ablations([shown(record) for record in done])) if kind == "ablate" else []
        return Comparison([Run(record) for record in done], failed, path, found)


def _last(controls: Any) -> bool:
    """Return whether controls come last; InputError for what is neither of the two."""
    if controls not in CONTROLS:
        raise InputError(f"controls: {controls!r} is neither of {', '.join(CONTROLS)}; training.controls: false: none")
    return controls == "last"


def _at_most_one(what: str, given: Sequence[Any]) -> Any:
    """Return what a transfer is of, or None for the source's own; InputError for several."""
    if len(given) > 1:
        each = ", ".join(str(one.get("name", one)) if isinstance(one, Mapping) else str(one) for one in given)
        raise InputError(f"{what}: {each}: a transfer takes one; call it once for each")
    return next(iter(given), None)


def _failures(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    """Return label and message of what failed."""
    return [(outcome.label, outcome.error) for outcome in outcomes if outcome.error is not None]


def _all_failed(failed: Sequence[tuple[str, str]]) -> RunError:
    """Return the error of a comparison none of whose runs has a result."""
    return RunError("no run has a result:\n" + "\n".join(f"  {label}: {error}" for label, error in failed))


def _opened(outcome: Outcome) -> RunDir | None:
    """Open what a run left; None if it left nothing, or nothing readable, which `failed` tells of."""
    if outcome.path is None:
        return None
    try:
        return RunDir.open(outcome.path, check_code=False)
    except InputError:
        if outcome.error is None:
            raise
        return None


def _digest(identities: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(sorted(identities)).encode()).hexdigest()[:16]
