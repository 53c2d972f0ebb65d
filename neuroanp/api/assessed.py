"""Whether a device that was measured learns, from Python."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from neuroanp.api.making import Making
from neuroanp.api.run import Anywhere, Progress
from neuroanp.api.telling import noted, watched
from neuroanp.comparing.size import MOST_RUNS, in_words
from neuroanp.errors import InputError, all_of
from neuroanp.training.arguments import listed, mapping, names, path_of, progress_of, switch, whole
from neuroanp.training.plain import plain

if TYPE_CHECKING:
    from neuroanp.assessing.asked import Asked
    from neuroanp.assessing.found import Found, Needed, Trained
    from neuroanp.assessing.measured import Data
    from neuroanp.assessing.plan import Plan
    from neuroanp.profiles.schema import HardwareProfile

LOG = logging.getLogger("neuroanp")
FOLDER = Path("assessments")
"""Where assessments lie, a folder a device."""
TASKS = ("copy", "xor")
"""What is asked of a device where no task is named: tasks that need no data."""
Watching = Callable[[int], AbstractContextManager[Any]]
"""Shows the progress of so many runs while its block runs."""


@dataclass(frozen=True)
class Assessment:
    r"""Whether a device that was measured learns.

    Args:
        found: all that was found. report: the page, or None where none was asked for.

    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from neuroanp.assessing.found import Found
    >>> wanted = np.repeat([5.0, 10.0, 20.0], 40)  # uS, each written 40 times with an error of 0.3 uS
    >>> found = wanted + np.random.default_rng(0).normal(0.0, 0.3, wanted.shape)
    >>> with TemporaryDirectory() as folder:
    ...     path, out = Path(folder) / "cell.csv", Path(folder) / "out"
    ...     made = path.write_text("target_uS,measured_uS\n" + "\n".join(map("{:g},{:.4f}".format, wanted, found)))
    ...     data = data_of(path, "cell", "programming", {"law": "gaussian"})
    ...     with plan_of(data, asked_of("copy"), out, 100) as plan:  # nothing has been trained yet
    ...         one = Assessment(Found(plan.measured, plan.profile, plan.asked, (), (), plan.folder), None)
    ...         words, plain, place = one.words, one.to_dict(), one.path.relative_to(out)
    >>> one.profile.name, one.profile.programming.sigma_absolute, str(place), plain["report"]  # siemens
    ('cell', 2.8751e-07, 'cell.yaml', None)
    >>> one.verdicts, one.failed, words[0]
    ({}, [], 'cell: .')
    """

    found: Found
    report: Path | None

    @property
    def verdicts(self) -> dict[str, str]:
        """Of each task: learns, learns as well as ideal, does not learn, cannot be told; or has no result."""
        from neuroanp.assessing.words import word_of

        return {one.name: word_of(one) for one in self.found.trained}

    @property
    def words(self) -> list[str]:
        """What was found, in sentences."""
        from neuroanp.assessing.words import sentences

        return sentences(self.found)

    @property
    def profile(self) -> HardwareProfile:
        """The profile that was fitted; `.path` is where it lies."""
        return self.found.profile

    @property
    def path(self) -> Path:
        """Where the fitted profile lies."""
        return self.found.measured.profile(self.found.folder)

    @property
    def failed(self) -> list[tuple[str, str]]:
        """Label and message of runs that have no result, or diverged."""
        return [failure for one in self.found.trained for failure in one.failed]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data, the report's path with it."""
        from neuroanp.assessing.report import to_dict

        return {**to_dict(self.found), "report": None if self.report is None else str(self.report)}

    def __repr__(self) -> str:
        said = "; ".join(f"{task}: {word}" for task, word in self.verdicts.items())
        return f"Assessment({said}; {self.report or 'no report'})"

    def _repr_html_(self) -> str:
        from neuroanp.assessing.report import marks, table
        from neuroanp.markup import lines, listed
        from neuroanp.reporting.brief import page_table

        told = listed(self.words)
        return lines([repr(self)]) + page_table(table(self.found)) + lines(marks(self.found)) + told


@noted
def assess(
    data: Any,
    *,
    tasks: Any = TASKS,
    name: str | None = None,
    kind: str | None = None,
    output: Anywhere | None = None,
    beside: Any = None,
    seeds: Any = None,
    updates: int | None = None,
    write: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    for_task: Mapping[str, Mapping[str, Any]] | None = None,
    target: str | None = None,
    requirements: bool = True,
    workers: int | None = None,
    cluster: Anywhere | None = None,
    time_limit: str | None = None,
    memory_limit: str | None = None,
    others: str = "refuse",
    dashboard: bool = False,
    force: bool = False,
    report: bool = True,
    progress: Progress = None,
    argv: Iterable[str] | None = None,
    max_runs: int = MOST_RUNS,
    **fit: Any,
) -> Assessment:
    r"""Say whether a device that was measured learns: fit it, train on it beside known devices, and say what it lacks.

    The fit is held to its data first; one that does not describe them is refused. Each task is then learned on several
    seeds on the device, on `beside` and on the ideal profile; the verdict is that of the sign test against the controls
    (`neuroanp.assessing.verdict`). Where the device misses its target, the parameters of its profile are swept one at
    a time (`requirements`, at a small budget). All of it lies in `output`; what is there is not repeated.

    Args:
        data: one file or several, as `neuroanp profiles fit` takes them: FILE, or KIND:FILE.
        tasks: names, or YAML files of configurations; copy, xor and weather have small settings of their own.
        name: of the device; None: that of the first file.
        kind: of files that state none; None: as their columns tell.
        output: the folder; None: assessments/NAME.
        beside: profiles to show it beside; None: pcm, smtj_koenders and ideal. The ideal one is always among them.
        seeds: a list, or n for 0 .. n-1; 3 at least, and 5 tell a loss from a control.
        updates: of weights, of all tasks; None: as each task's settings have it.
        write: how the device's weights are written: auto, ideal, verify or pulse.
        overrides: values by dotted key, for all tasks. for_task: the same by the name of a task, for it alone.
        target: what the device must reach, such as "test_loss < 0.01"; None: of each task, the loss of the frozen
            recurrence on the ideal profile.
        requirements: whether what it must reach is looked for where it misses the target.
        force: fit again, and replace a fit that is there.
        workers, cluster, time_limit, memory_limit, others, dashboard, report, progress, argv, max_runs: as in
            `compare`.
        **fit: extends, law, column, g_min, g_max, t0, t_read, v_read, volts_per_unit, missing, anyway: as the options
            of `neuroanp profiles fit`; quantities are texts with a unit, or numbers in SI units.

    Returns: `.verdicts`, `.words`, `.profile`, `.path`, `.report`, `.failed`, `.to_dict()`.

    Raises:
        InputError: an argument, a table or a task is wrong, or the fit does not describe what was measured; nothing has
            been written. RunError: no run has a result, or one of a sweep failed.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "cell.csv"
    ...     made = path.write_text("target_uS,measured_uS\n5,5.1\n10,9.8\n")
    ...     assess(path, tasks="copy", max_runs=10)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: the comparison has 20 runs (1 task x 4 profiles x 5 seeds), more than the 10 that ...
    """
    read, asked, folder, making, tell_to, most = all_of(
        lambda: data_of(data, name, kind, fit),
        lambda: asked_of(tasks, beside, seeds, updates, write, overrides, for_task, target, requirements),
        lambda: None if output is None else path_of("output", output),
        lambda: Making.of(
            Path(),
            argv,
            workers,
            force,
            report,
            cluster=cluster,
            time_limit=time_limit,
            memory_limit=memory_limit,
            others=others,
            dashboard=dashboard,
        ),
        lambda: progress_of(progress),
        lambda: whole("max_runs", max_runs, 1),
    )
    with plan_of(read, asked, folder, most, making.force) as planned:
        return done(planned, making, lambda total: watched(tell_to, total), most)


def data_of(data: Any, name: Any = None, kind: Any = None, fit: Mapping[str, Any] | None = None) -> Data:
    """Return what was measured; one InputError tells of all that is wrong with it."""
    from neuroanp.assessing.measured import Data
    from neuroanp.fitting import options_of

    files, options = all_of(lambda: _files(data), lambda: options_of(**(fit or {})))
    return Data.of(files, plain(name, "name"), options, plain(kind, "kind"))


def _files(data: Any) -> list[str]:
    """Return one file or several as texts; InputError for what is no path."""
    if isinstance(data, str | PathLike):
        return [str(path_of("data", data))]
    if not isinstance(data, Iterable) or isinstance(data, bytes | Mapping):
        raise InputError(f"data: {data!r:.80} is no path; name a file, or a list of files")
    return [str(path_of("data", each)) for each in cast("Iterable[Any]", data)]


def asked_of(
    tasks: Any = TASKS, beside: Any = None, seeds: Any = None, updates: Any = None, write: Any = None,
    overrides: Mapping[str, Any] | None = None, for_task: Mapping[str, Mapping[str, Any]] | None = None,
    target: Any = None, requirements: Any = True,
) -> Asked:  # fmt: skip
    """Return what is asked of a device; one InputError tells of all that is wrong with it.

    >>> asked_of("copy", seeds=[4, 7, 9]).seeds
    (4, 7, 9)
    """
    from neuroanp.assessing.asked import BESIDE, SEEDS, Asked

    named, others, numbers, count, sweeps, laid_over = all_of(
        lambda: names("tasks", tasks),
        lambda: BESIDE if beside is None else names("beside", beside),
        lambda: listed(SEEDS if seeds is None else seeds),
        lambda: None if updates is None else whole("updates", updates, 1),
        lambda: switch("requirements", requirements),
        lambda: mapping("overrides", overrides, Path()),
    )
    if len(numbers) > MOST_RUNS:
        raise InputError(f"--seeds: {len(numbers):,} seeds; --seeds takes how many, or a list")
    values = {**laid_over, **({} if count is None else {"training.updates": count})}
    return Asked.of(
        named, others, [*numbers], plain(target, "target"), sweeps, plain(write, "write"), values,
        {key: dict(some) for key, some in (for_task or {}).items()},
    )  # fmt: skip


@contextmanager
def plan_of(data: Data, asked: Asked, folder: Path | None, most: int, force: bool = False) -> Generator[Plan]:
    """Fit, and lay out all runs; `most` and the rest as in `assess`."""
    from neuroanp.assessing.plan import prepared

    with prepared(data, asked, folder or FOLDER / data.name, most, force) as planned:
        yield planned


def done(planned: Plan, making: Making, watching: Watching, most: int) -> Assessment:
    """Do what was laid out: write the fit, do the runs of all tasks, then sweeps where the device misses its target.

    Args:
        planned: what. making: how runs are made; its root is not used. watching: shows the progress of so many runs.
        most: runs that are allowed.
    """
    from neuroanp.assessing.found import Found
    from neuroanp.assessing.report import save
    from neuroanp.reporting.reading import typed

    plan = planned.written()
    own = Making(plan.store, making.command, making.doing, False, False, logged=making.logged)
    with own.begun():
        trained = _learned(plan, own, watching)
        needed = tuple(_needed(one, plan, own, watching, most) for one in trained)
    found = Found(plan.measured, plan.profile, plan.asked, trained, needed, plan.folder)
    return Assessment(found, save(found, typed(making.command), making.report))


def _learned(plan: Plan, own: Making, watching: Watching) -> tuple[Trained, ...]:
    """Do the runs of all tasks; RunError where none has a result."""
    from neuroanp.api.making import all_failed
    from neuroanp.assessing.asked import few

    total = len(plan.configs)
    with watching(total) as tell:
        for one in plan.measured.found:
            LOG.info(f"{plan.measured.name}: {one['section']}: {one['law']} fitted to {one['file']}, {one['data']}")
        if short := few(len(plan.asked.seeds)):
            LOG.warning(short)
        seeds, profiles = len(plan.asked.seeds), len(plan.asked.beside) + 1
        own.announce(total, in_words({"task": len(plan.laid), "profile": profiles, "seed": seeds}))
        trained = _trained(plan, own.run(plan.configs, tell))
    failed = [failure for one in trained for failure in one.failed]
    if not any(one.runs for one in trained):
        raise all_failed(failed)
    return trained


def _trained(plan: Plan, outcomes: Sequence[Any]) -> tuple[Trained, ...]:
    """Give each task the outcomes of its runs."""
    from neuroanp.assessing.found import Trained

    found: list[Trained] = []
    start = 0
    for laid in plan.laid:
        end = start + len(laid.every)
        found.append(Trained.of(laid, plan.measured.name, outcomes[start:end]))
        start = end
    return tuple(found)


def _needed(one: Trained, plan: Plan, making: Making, watching: Watching, most: int) -> Needed:
    """Return what a device must reach for a task, swept where it misses it."""
    from neuroanp.api.required import done as swept
    from neuroanp.assessing.found import Needed, needs_sweep, sweep_of

    need = needs_sweep(one, plan.asked)
    if need.why or need.target is None:
        return need
    own = one.laid.configs[one.device]
    try:
        planned = sweep_of(own[0], [config.seed for config in own], need.target)
    except InputError as error:
        return Needed(need.target, str(error))
    with watching(planned.runs) as tell:
        LOG.info(f"{one.name}: {one.device} misses {need.target.text}; now its parameters, one at a time")
        made = swept(planned, Making(making.root, making.command, making.doing, False, True), tell or False, most)
    return Needed(need.target, "", made.found, made.report)
