"""Many runs side by side: comparisons and transfers, and how they are made."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from neuroanp.api.compared import Comparison
from neuroanp.api.making import Making, failures
from neuroanp.api.run import Anywhere, Progress, Source
from neuroanp.api.telling import noted, watched
from neuroanp.comparing.grid import lay_out, without_refused
from neuroanp.comparing.settings import axes_over
from neuroanp.comparing.size import MOST_RUNS, check_size, in_words
from neuroanp.errors import InputError, all_of
from neuroanp.training.arguments import axes_of, number, progress_of, seeds_one_by_one, switch, whole
from neuroanp.training.plain import plain

if TYPE_CHECKING:
    from neuroanp.comparing.grid import Grid
    from neuroanp.comparing.tune import Trial, Tuning

LOG = logging.getLogger("neuroanp")
CONTROLS = ("each", "last")


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
    axes: Mapping[str, Any] | None = None,
    for_rule: Mapping[str, Mapping[str, Any]] | None = None,
    tune: Mapping[str, Any] | None = None,
    tune_seeds: Any = None,
    search: str | None = None,
    trials: int | None = None,
    search_seed: int | None = None,
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
        axes: values by dotted key, as in {"network.hidden": [100, 200]}: all of them with all the others. A text is a
            list, "100,200", or a range, "1e-3..1e-2:log,4".
        for_rule: what a rule comes with, as in {"anp": {"optimizer.lr": 2e-3}}.
        tune: values by dotted key, as in {"optimizer.lr": "1e-3..1e-2:log,4"}, of which each combination gets those
            of the lowest median validation loss on `tune_seeds`: the same trials for all. A trial that diverges counts
            as infinitely bad; of equal ones the first is taken; a combination all of whose trials diverge is not run,
            and is one of the failures.
            A range that a search draws from is a text, "1e-4..1e-1:log" or "5..50", or a mapping,
            {"low": 1e-4, "high": 1e-1, "log": True}; whole numbers are drawn where both ends are whole.
        tune_seeds: a list of seeds, none of which is reported.
        search: which points are tried: "grid", all of them, which is usual where `tune` has values alone; "random";
            or "optuna", ten random ones, then five at a time that TPE proposes (the extra `search`).
        trials: points for each that is tuned, the same number for all; of a grid none is given.
        search_seed: of what is drawn, 0 if not given: the same one gives the same points, of which a longer search
            tries more.
        workers: runs at a time; None: one a core of this machine, or on a cluster as many as its workers have threads.
        cluster: who does the runs: None, processes of this machine; "local", a Dask scheduler inside this process; the
            address of a scheduler, "tcp://host:8786"; or a YAML file of a queue of jobs (docs/scale.md).
        time_limit, memory_limit: of each run, "10 min" and "4 GB"; beyond it is ended and is one of the failures.
        others: what to do where another command does runs of this store: "refuse", "wait" for it, or "share" it.
        dashboard: whether Dask's page of tasks is served, on this machine alone.
        source, overrides, runs, force, report, progress, argv: as in `train`.
        ablate: run each combination also without each non-ideality of its profile, with each alone, and with none.
        max_runs: a comparison of more is refused before it starts.
        controls: "each" run computes its own once it is trained, "last": after all runs have their results. A control
            that runs have in common is computed once.
        **words: as in `train`, the same for all combinations.

    A rule that cannot run where others can is left out, and is one of the failures, with its reason.

    Returns: results, failures, what was tuned, and the report.

    Raises:
        InputError: there are too many runs, or an argument, a name, a configuration or the store's place is wrong;
            said before anything runs.
        RunError: no run has a result, or a trial failed.

    >>> from tempfile import TemporaryDirectory
    >>> task = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}
    >>> tiny = {"task": task, "network": {"hidden": 4}, "training": {"updates": 1, "batch": 2}}
    >>> with TemporaryDirectory() as folder:
    ...     said = {"runs": folder, "report": False, "progress": False, "workers": 1}
    ...     found = compare(tiny, rules="np", seeds=1, axes={"optimizer.lr": [0.001, 0.01]}, **said)
    ...     frame = found.to_dataframe()
    >>> frame["optimizer.lr"].tolist(), "control ridge" in frame
    ([0.001, 0.01], True)
    """
    named = {"tasks": tasks, "backends": backends, "profiles": profiles, "rules": rules, "seeds": seeds}
    asked, chosen = axes_of(source, overrides, named, words, runs)
    how = {
        "cluster": cluster, "time_limit": time_limit, "memory_limit": memory_limit, "others": others,
        "dashboard": dashboard,
    }  # fmt: skip
    making = replace(Making.of(asked.root, argv, workers, force, report, **how), last=_last(controls))
    ablate, progress = switch("ablate", ablate), progress_of(progress)
    max_runs = whole("max_runs", max_runs, 1)
    tuning = _tuning(tune, tune_seeds, ablate, (search, trials, search_seed))
    grid = lay_out(
        asked.source, asked.overrides, **chosen, axes=axes, for_rule=for_rule, tune=tuning.axes if tuning else (),
        words=asked.words, most=max_runs,
    )  # fmt: skip
    told = {
        "axes": {one.key: [*one.values] for one in axes_over(axes, "--axis")},
        "for_rule": plain(for_rule or {}, "for_rule"),
    }

    def of(grid: Grid) -> Comparison:
        return _compared(making, grid, tuning, max_runs, ablate, progress, told)

    _warn_of(grid.left_out)
    with making.begun():
        try:
            return of(grid)
        except InputError:  # nothing has run
            able = without_refused(grid)
            if able is None:
                raise
        _warn_of(able.left_out[len(grid.left_out) :])
        return of(able)


def _warn_of(left_out: Iterable[tuple[str, str]]) -> None:
    """Say what is left out and why, before anything runs."""
    for name, why in left_out:
        LOG.warning(f"{name}: {why}")


def _compared(
    making: Making, grid: Grid, tuning: Tuning | None, most: int, ablate: bool, progress: Progress,
    told: Mapping[str, Any],
) -> Comparison:  # fmt: skip
    """Do what `compare` has laid out.

    Raises:
        InputError: there are too many runs, or one of them is refused; nothing has run then.
    """
    from neuroanp.comparing.ablate import ablated, count
    from neuroanp.comparing.tune import with_chosen

    trials = _trials(grid, tuning, most)
    configs, total = [*grid.configs], len(grid.configs) + len(trials) * (tuning.trials if tuning else 0)
    if ablate:
        check_size({"ablated run": count(configs)}, most)
        configs = [one for config in configs for one in ablated(config)]
        total = len(configs)
    failed: list[tuple[str, str]] = []
    with watched(progress, total) as tell:
        found = [] if tuning is None else making.tuned(grid, tuning, trials, tell)
        if tuning is not None:
            configs, failed = with_chosen(grid, tuning, found)
        making.announce(len(configs), in_words(grid.counts) + (", ablated" if ablate else ""))
        outcomes = making.run(configs, tell)
    failed = [*grid.left_out, *failed, *failures(outcomes)]
    return making.compared(outcomes, "ablate" if ablate else "compare", failed, found, **told)


@dataclass(frozen=True)
class Size:
    """How many runs a comparison makes.

    Args: reported: runs of the table, ablated ones among them. tuned: things that are tuned. trials: of each.
    """

    reported: int
    tuned: int = 0
    trials: int = 0

    @property
    def total(self) -> int:
        """All runs."""
        return self.reported + self.tuned * self.trials


def runs_of_comparison(source: Source, overrides: Mapping[str, Any] | None, **named: Any) -> int:
    """Return how many runs `compare` makes of its arguments, trials and ablated ones among them."""
    return size_of_comparison(source, overrides, **named).total


def size_of_comparison(
    source: Source,
    overrides: Mapping[str, Any] | None,
    *,
    ablate: bool = False,
    axes: Any = None,
    for_rule: Any = None,
    tune: Any = None,
    tune_seeds: Any = None,
    search: str | None = None,
    trials: int | None = None,
    search_seed: int | None = None,
    max_runs: int = MOST_RUNS,
    **named: Any,
) -> Size:
    """Return how many runs `compare` makes of its arguments.

    Raises:
        InputError: as `compare`, as far as it can be told without laying out the trials.
    """
    from neuroanp.comparing.ablate import count

    asked, chosen = axes_of(source, overrides, named, {}, "runs")
    tuning = _tuning(tune, tune_seeds, ablate, (search, trials, search_seed))
    grid = lay_out(
        asked.source, asked.overrides, **chosen, axes=axes, for_rule=for_rule, tune=tuning.axes if tuning else (),
        most=max_runs,
    )  # fmt: skip
    if ablate:
        return Size(count(grid.configs))
    return Size(len(grid.configs), *((len(grid.combinations), tuning.trials) if tuning else ()))


def _tuning(tune: Any, seeds: Any, ablate: bool, search: tuple[Any, Any, Any]) -> Tuning | None:
    """Return what is to be tuned; InputError where that does not go together with an ablation."""
    from neuroanp.comparing.tune import tuning_of

    found = tuning_of(tune, seeds_one_by_one("tune_seeds", seeds), *search)
    if found is not None and ablate:
        raise InputError("--tune: an ablation is of one setting; tune first, then ablate with what was chosen (--set)")
    return found


def _trials(grid: Grid, tuning: Tuning | None, most: int) -> list[list[Trial]]:
    """Return the trials that each combination begins with; InputError where there would be too many runs."""
    from neuroanp.comparing.tune import searches

    if tuning is None:
        return []
    each = tuning.trials + len(grid.seeds)
    check_size({"combination": len(grid.combinations), "run of each": each}, most)
    return searches(grid, tuning)


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
        source, overrides, seeds, workers, cluster, time_limit, memory_limit, others, dashboard, runs, force, report,
            progress, argv, max_runs, **words: as in `compare`; `rule` is the one that learns on the device.

    Returns: results, failures and the report.

    Raises:
        InputError: as `compare`; there is no device, more than one task, backend or rule, or the source names weights
            to start from.

    >>> transfer({"task": "copy"}, profiles=["pcm", "rram_hfo2"], seeds=5, max_runs=10)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: the comparison has 35 runs (5 seeds x 7 runs), more than the 10 that are ...
    """
    from neuroanp.comparing.transfer import plan

    axes = {"profiles": profiles, "seeds": seeds, "tasks": task, "backends": backend}
    asked, chosen = axes_of(source, overrides, axes, words, runs)
    one_task, one_backend, rule = all_of(
        *(lambda one=one: _at_most_one(one, chosen.get(f"{one}s", [])) for one in ("task", "backend", "rule"))
    )
    how = {
        "cluster": cluster, "time_limit": time_limit, "memory_limit": memory_limit, "others": others,
        "dashboard": dashboard,
    }  # fmt: skip
    making = Making.of(asked.root, argv, workers, force, report, **how)
    progress = progress_of(progress)
    planned = plan(
        asked.source, asked.overrides, profiles=chosen["profiles"], fine_tune=whole("fine_tune", fine_tune, 1),
        fine_tune_lr=number("fine_tune_lr", fine_tune_lr), task=one_task, backend=one_backend, seeds=chosen["seeds"],
        most=whole("max_runs", max_runs, 1), rule=rule, words=asked.words,
    )  # fmt: skip
    with making.begun(), watched(progress, planned.total) as tell:
        making.announce(planned.total, planned.in_words)
        return making.transferred(planned, tell)


def _last(controls: Any) -> bool:
    """Return whether controls come last; InputError for what is neither of the two."""
    if controls not in CONTROLS:
        raise InputError(f"controls: {controls!r} is neither of {', '.join(CONTROLS)}; training.controls: false: none")
    return controls == "last"


def _at_most_one(what: str, given: Sequence[Any]) -> Any:
    """Return what a transfer is of, or None for the source's own; InputError for several."""
    if len(given) > 1:
        each = ", ".join(map(_called, given))
        raise InputError(f"{what}: {each}: a transfer takes one; call it once for each")
    return next(iter(given), None)


def _called(one: Any) -> str:
    """Return the name of a task, rule or profile that is given by name, as a mapping or as itself."""
    return str(cast("Mapping[str, Any]", one).get("name", one) if isinstance(one, Mapping) else one)
