"""What a device must reach for a task, from Python."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.api.making import Making
from neuroanp.api.run import Anywhere, Progress, Source
from neuroanp.api.telling import noted, watched
from neuroanp.comparing.size import MOST_RUNS, check_size
from neuroanp.errors import InputError, all_of
from neuroanp.requiring.parameters import LONGEST
from neuroanp.training.arguments import given, listed, number, path_of, progress_of, whole
from neuroanp.training.plain import plain
from neuroanp.training.resolving import resolve

if TYPE_CHECKING:
    from neuroanp.requiring.sweep import Asked, Found, Plan
    from neuroanp.training.config import RunConfig

LOG = logging.getLogger("neuroanp")
SEEDS = 3
"""Seeds unless they are named: the fewest from which a first one is named."""


@dataclass(frozen=True)
class Requirements:
    """What a device must reach, what it exceeds, and what pays.

    Args:
        found: the sweep. report: the page, or None where none was asked for.

    >>> from neuroanp.requiring.finding import Finding, Point, in_order
    >>> from neuroanp.requiring.ranking import ranked
    >>> from neuroanp.requiring.sweep import Found
    >>> config = {"task": "copy", "hardware": {"write": "pulse", "only": ["c2c"]}}
    >>> laid = plan_of(config, "test_loss < 0.01", "rram_hfo2", [0, 1, 2], 1.0, 1, 0, None, "runs", {})
    >>> def lost(value):  # as if the loss went with the scatter of pulses alone, and were .02 at its stated value
    ...     return Point(value, (0.02 * value / laid.profile.update.c2c,) * 3, ("",) * 3)
    >>> parameter, values = next(one for one in laid.swept if one[0].key == "update.c2c")
    >>> points = {value: lost(value) for value in values if value != "ideal"}
    >>> own = lost(laid.profile.update.c2c)
    >>> one = Finding(parameter, laid.asked.target, in_order(parameter, points, own))
    >>> made = Requirements(Found(laid, own, False, (one,), (), ranked({"update.c2c": [0.5] * 3}), ranked({})), None)
    >>> made.met, made.cause, made.pays, made.required("update.c2c"), made.to_dict()["report"]
    (False, 'update.c2c', None, 0.02174, None)
    >>> made.words[0]
    'rram_hfo2 as stated misses test_loss < 0.01: median 0.0200 [0.0200 .. 0.0200] over 3 seeds.'
    """

    found: Found
    report: Path | None

    @property
    def met(self) -> bool:
        """Whether the profile as it is meets the target."""
        return self.found.met

    @property
    def cause(self) -> str | None:
        """The parameter whose ideal alone brings most on every seed; None: the target is met, or none is named."""
        return None if self.found.met else self.found.ideals.first

    @property
    def pays(self) -> str | None:
        """The parameter that gains most per decade on every seed; None: none is named."""
        return self.found.pays.first

    @property
    def words(self) -> list[str]:
        """What was found, in sentences."""
        from neuroanp.requiring.words import sentences

        return sentences(self.found)

    def required(self, parameter: str) -> float | str | None:
        """Return the worst value of a parameter that was run and met the target; None: none did, or either side may be.

        Raises: InputError: the parameter was not swept.
        """
        for one in self.found.findings:
            if one.parameter.key == parameter:
                return one.requirement
        raise InputError(
            f"{parameter!r:.80}: was not swept (swept: {', '.join(one.parameter.key for one in self.found.findings)})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data, the report's path with it."""
        from neuroanp.requiring.report import to_dict

        return {**to_dict(self.found), "report": None if self.report is None else str(self.report)}

    def __repr__(self) -> str:
        return f"Requirements({self.words[0]} {self.report or 'no report'})"

    def _repr_html_(self) -> str:
        from neuroanp.markup import lines, listed
        from neuroanp.reporting.brief import page_table
        from neuroanp.requiring.report import table

        return lines([repr(self)]) + page_table(table(self.found)) + listed(self.words)


@noted
def requirements(
    source: Source = None,
    *,
    target: str,
    profile: Any = None,
    seeds: Any = SEEDS,
    decades: float = 1.0,
    points: int = 2,
    pairs: int = 3,
    overrides: Mapping[str, Any] | None = None,
    workers: int | None = None,
    cluster: Anywhere | None = None,
    time_limit: str | None = None,
    memory_limit: str | None = None,
    others: str = "refuse",
    dashboard: bool = False,
    runs: Anywhere = "runs",
    force: bool = False,
    report: bool = True,
    progress: Progress = None,
    argv: Iterable[str] | None = None,
    max_runs: int = MOST_RUNS,
    **words: Any,
) -> Requirements:
    """Say what a device must reach: sweep each parameter of its profile, and hold the medians over seeds to a target.

    Each parameter that the profile states and that plays a part is swept over `decades` on each side of its value, all
    others as stated, and set to its ideal; then the worst pairs. Runs lie in `runs`/requirements; those that are there
    are not repeated, so that the same call goes on.

    Args:
        source: as in `train`. target: such as "test_loss < 0.01": a number of a run's result, <, <=, > or >=, a number.
        profile: a name, a file or a loaded profile; None: the source's own.
        seeds: a list, or n for 0 .. n-1; two at least, and from three on a first one is named.
        decades, points: range on each side of a stated value, and values there. pairs: of parameters, at most.
        overrides, workers, cluster, time_limit, memory_limit, others, dashboard, runs, force, report, progress, argv,
            max_runs, **words: as in `compare`.

    Returns: `.met`, `.cause`, `.pays`, `.required("update.dw")`, `.words`, `.to_dict()`, `.report`.

    Raises:
        InputError: an argument is wrong, the profile states nothing to sweep, the configuration cannot run on it, or
            results have no such metric. RunError: a run failed.

    >>> hardware = {"write": "pulse", "only": ["c2c"]}
    >>> said = {"profile": "rram_hfo2", "target": "test_loss < 0.01", "max_runs": 10}
    >>> requirements({"task": "copy", "hardware": hardware}, **said)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: the comparison has 45 runs (45 swept runs), more than the 10 that are begun unasked; ...
    """
    making, tell_to, most = all_of(
        lambda: Making.of(
            path_of("runs", runs),
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
    planned = plan_of(source, target, profile, seeds, decades, points, pairs, overrides, runs, words)
    return done(planned, making, tell_to, most)


def done(planned: Plan, making: Making, progress: Any, most: int) -> Requirements:
    """Do what `requirements` has laid out.

    Args:
        planned: the sweep. making: how runs are made. progress: what they report to. most: runs that are allowed.
    """
    from neuroanp.reporting.reading import typed
    from neuroanp.requiring.report import save
    from neuroanp.requiring.sweep import FOLDER, sweep

    total = planned.runs + planned.runs_of_pairs
    check_size({"swept run": total}, most)
    own = Making(making.root / FOLDER, making.command, making.doing, making.force, False, logged=making.logged)
    with making.begun(), watched(progress, total) as tell:
        said = f"{len(planned.swept)} parameters and the profile as stated, {len(planned.asked.seeds)} seeds"
        pairs = f"; and up to {planned.runs_of_pairs} of pairs" if planned.runs_of_pairs else ""
        making.announce(planned.runs, f"{said}{pairs}")
        with _without_swept(planned.profile.name):
            found = sweep(planned, making.root, lambda configs: own.run(configs, tell))
    page = save(found, making.root, typed(making.command)) if making.report else None
    return Requirements(found, page)


@contextmanager
def _without_swept(name: str) -> Generator[None]:
    """Keep from the log what runs on the many variants of a profile say, each alike: their records have it."""

    def own(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(f"{name[:LONGEST]}-")

    LOG.addFilter(own)
    try:
        yield
    finally:
        LOG.removeFilter(own)


def plan_of(
    source: Any, target: Any, profile: Any, seeds: Any, decades: Any, points: Any, pairs: Any,
    overrides: Mapping[str, Any] | None, runs: Any, words: Mapping[str, Any],
) -> Plan:  # fmt: skip
    """Return what is to be swept; one InputError tells of all that is wrong with the arguments."""
    from neuroanp.requiring.sweep import plan

    def config() -> RunConfig:
        options = given(source, overrides, {**words, "profile": profile}, runs)
        return resolve(options.source, options.overrides, options.words)

    asked, resolved = all_of(lambda: asked_of(target, seeds, decades, points, pairs), config)
    return plan(resolved, asked)


def asked_of(target: Any, seeds: Any = SEEDS, decades: Any = 1.0, points: Any = 2, pairs: Any = 3) -> Asked:
    """Return what is asked for; InputError tells of all that is wrong with it.

    >>> asked_of("test_loss < 0.01", seeds=[4, 7]).seeds
    (4, 7)
    """
    from neuroanp.requiring.sweep import Asked

    numbers, span, values, many = all_of(
        lambda: listed(seeds),
        lambda: number("decades", decades),
        lambda: whole("points", points, 1),
        lambda: whole("pairs", pairs, 0),
    )
    if len(numbers) > MOST_RUNS:
        raise InputError(f"--seeds: {len(numbers):,} seeds; --seeds takes how many, or a list")
    return Asked.of(plain(target, "target"), [*numbers], 1.0 if span is None else span, values, many)


def expected_of(planned: Plan, workers: int | None = None, runs: Anywhere = "runs") -> dict[str, Any]:
    """Return what a sweep would take, before it is run."""
    from neuroanp.comparing.size import check_workers
    from neuroanp.requiring.sweep import expected

    return expected(planned, path_of("runs", runs), check_workers(plain(workers, "workers")))
