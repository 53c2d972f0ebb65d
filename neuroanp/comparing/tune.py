"""Choose settings on seeds that are not reported: the same number of trials for everything that is compared.

Each combination of task, backend, profile, rule and axes is tuned by itself, over the same grid or ranges, by the same
search (`neuroanp.comparing.search`), with the same number of points, on the same seeds. A trial is an ordinary run,
without controls, that keeps validation sequences; its loss is the validation loss of the network as the run left it.
Held-out test sequences are never looked at: those of weather, digits and Mackey-Glass are the same for all seeds, so
that to choose by them would be to choose by what is reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf, isfinite
from statistics import median
from typing import Any

from neuroanp.comparing.combination import Combination
from neuroanp.comparing.grid import Grid, raise_all
from neuroanp.comparing.search import Search, ends, search_of
from neuroanp.comparing.settings import Axis, axes_over
from neuroanp.comparing.trials import FOLDER as FOLDER
from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.tasks.encoding import encoded
from neuroanp.tasks.protocol import TASKS
from neuroanp.tasks.validation import usual_size
from neuroanp.training.config import RunConfig
from neuroanp.yaml_io import in_a_line

OF_TRIALS = ("training.validation", "training.controls", "training.evaluate_after")
"""Keys that a trial sets itself."""
EDGE = 0.05
"""Share of a range from its ends within which the best point is said to lie at the edge."""
NONE_LEFT = "no setting that was tried is usable, for each diverges on half of the tuning seeds or more; widen --tune"


@dataclass(frozen=True)
class Tuning:
    """What is tuned: every point of the search, on every seed.

    Args:
        axes: the keys with the values that are tried, or ranges. seeds: none of which is reported.
        search: which points are tried.
    """

    axes: tuple[Axis, ...]
    seeds: tuple[int, ...]
    search: Search = field(default_factory=Search)

    @property
    def points(self) -> int:
        """How many points each combination gets."""
        return self.search.count(self.axes)

    @property
    def trials(self) -> int:
        """How many runs each combination takes: the same for all."""
        return self.points * len(self.seeds)

    def settings(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return a point of the search as overrides that messages call by the option."""
        return {axis.key: axis.said(point[axis.key]) for axis in self.axes}


@dataclass(frozen=True)
class Trial:
    """One run of the search: a point on a seed."""

    values: Mapping[str, Any]
    seed: int
    config: RunConfig


@dataclass(frozen=True)
class Ended:
    """What became of a trial.

    Args:
        values: by key. seed: of the run.
        loss: its validation loss; infinite where it diverged.
        status: "finished" or "diverged". passes: that it took. run: its directory.
    """

    values: Mapping[str, Any]
    seed: int
    loss: float
    status: str
    passes: int
    run: str


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Args:
        task: with its options, as a report calls it. profile, backend, rule: of what was tuned.
        options: values of the comparison's axes there, by key.
        grid: values tried, or the range as a mapping, by key. seeds: on which.
        trials: all of them, in the search's order, seeds changing fastest.
        medians: of the loss over the seeds, a point each.
        chosen: the values of the lowest median, the first of equal ones; None where every median is infinite.
        at_edge: keys whose chosen number is the lowest or the highest that was tried, or near an end of its range.
        idle: keys whose value made no difference to any loss.
        search: how it was searched.
        place: where the chosen number of each range lies in it, from 0 (its lower end) to 1, on the range's scale.
    """

    task: str
    profile: str
    backend: str
    rule: str
    options: Mapping[str, Any]
    grid: Mapping[str, Sequence[Any]]
    seeds: Sequence[int]
    trials: Sequence[Ended]
    medians: Sequence[float]
    chosen: Mapping[str, Any] | None
    at_edge: Sequence[str]
    idle: Sequence[str]
    search: Search = field(default_factory=Search)
    place: Mapping[str, float] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """The lowest median."""
        return min(self.medians)

    @property
    def label(self) -> str:
        """What it is of, in words."""
        backend = [] if self.backend == "rate" else [self.backend]
        options = [f"{key} {in_a_line(value)}" for key, value in self.options.items()]
        return " ".join([self.task.partition(":")[0], self.profile, self.rule, *backend, *options])

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, with the budget: how many runs, and how many passes they took.

        What a grid has nothing to say of (`search`, `place`) is left out there, as in records of before.
        """
        plain = {key: value for key, value in vars(self).items() if key not in ("trials", "search", "place")}
        if self.search.trials is not None:
            plain |= {"search": self.search.to_dict(), "place": dict(self.place)}
        budget = {"runs": len(self.trials), "passes": sum(trial.passes for trial in self.trials)}
        return {**plain, "loss": self.loss, **budget, "trials": [asdict(trial) for trial in self.trials]}


def tuning_of(
    tune: Any, seeds: Sequence[int], search: Any = None, trials: Any = None, search_seed: Any = None
) -> Tuning | None:
    """Return what is to be tuned, or None where nothing is.

    Args:
        tune: a mapping from keys to the values to try, as `axes_over` reads them; None: nothing. seeds: on which.
        search, trials, search_seed: as `search_of` reads them.

    Raises:
        InputError: no seeds, or one twice; keys that make no sense; a grid of one point; no such search.
    """
    if tune is None:
        for option, value in {"--search": search, "--trials": trials, "--search-seed": search_seed}.items():
            if value is not None:
                raise InputError(f"{option}: nothing is tuned; say what with --tune, e.g. optimizer.lr=1e-4..1e-1:log")
        if seeds:
            raise InputError("--tune-seeds: nothing is tuned; say what with --tune, e.g. optimizer.lr=1e-3..1e-2:log,4")
        return None
    axes = axes_over(tune, "--tune")
    problems = []
    for axis in axes:
        if axis.key.partition(".")[0] == "task":
            problems.append(f"--tune {axis.key}: is of the task, which is given; --axis compares several")
        if axis.key in OF_TRIALS:
            problems.append(f"--tune {axis.key}: a trial sets it itself; leave it out")
    found = Search()
    try:
        found = search_of(search, trials, search_seed, axes)
    except InputError as error:
        problems += error.problems or [error.message]
    if not problems and found.count(axes) < 2:
        problems.append("--tune: a grid of one point leaves nothing to choose; name several values")
    if not seeds:
        problems.append("--tune-seeds: no seeds to tune on; name some that are not reported, e.g. --tune-seeds 100,101")
    counts = Counter(seeds)
    problems += [f"--tune-seeds: {seed} is named twice; name each once" for seed in counts if counts[seed] > 1]
    raise_all(problems)
    return Tuning(tuple(axes), tuple(seeds), found)


def searches(grid: Grid, tuning: Tuning) -> list[list[Trial]]:
    """Return the trials that each combination begins with: every point on every seed, seeds changing fastest.

    These are all trials, but for a search that goes on from what it is told (`following`).

    Raises:
        InputError: a line for each value that a configuration does not take, ends of ranges among them, and for seeds
            that are reported.
    """
    reported = {config.seed for config in grid.configs}
    problems = [
        f"--tune-seeds: {seed} is reported too; what was chosen on a seed may not be reported on it, name others"
        for seed in tuning.seeds
        if seed in reported
    ]
    sizes: dict[str, int] = {}
    before, first, found = len(problems), tuning.search.next(tuning.axes, []), []
    for combination in grid.combinations:
        for point in ends(tuning.axes) if tuning.search.trials is not None else ():
            combination.resolved(problems, tuning.seeds[0], tuning.settings(point))
        if len(problems) > before:  # of any combination
            continue  # what lies between the ends of a range would say it again, with each number
        found.append(_trials(combination, tuning, first, problems, sizes))
    raise_all(problems)
    return found


def following(combination: Combination, tuning: Tuning, ended: Sequence[Ended]) -> list[Trial]:
    """Return the trials that a combination goes on with, none where its search is through.

    Args: ended: all of its trials so far, in their order.

    Raises:
        InputError: a configuration does not take a value that is proposed.
    """
    if len(ended) >= tuning.trials:
        return []
    each, problems = len(tuning.seeds), list[str]()
    told = [(dict(ended[k].values), median(map(_loss, ended[k : k + each]))) for k in range(0, len(ended), each)]
    trials = _trials(combination, tuning, tuning.search.next(tuning.axes, told), problems, {})
    if problems:
        raise InputError("a point that is proposed cannot be tried; narrow --tune (what was tried is kept)", problems)
    return trials


def _trials(
    combination: Combination, tuning: Tuning, points: Sequence[dict[str, Any]], problems: list[str],
    sizes: dict[str, int],
) -> list[Trial]:  # fmt: skip
    """Return the trials of some points; what is wrong with one goes to `problems`."""
    trials = []
    for point in points:
        for seed in tuning.seeds:
            configs = combination.resolved(problems, seed, tuning.settings(point))
            trials += [Trial(point, seed, _trial(config, sizes)) for config in configs]
    return trials


def _trial(config: RunConfig, sizes: dict[str, int]) -> RunConfig:
    """Return the configuration of a trial: validation sequences, and nothing that learns nothing.

    Args: config: of a run. sizes: how many sequences there are where nothing is said, a task each.
    """
    training = config.training
    size = training.validation
    if size is None:
        kind = repr((config.task, config.encoder, config.dt))
        if kind not in sizes:
            task = encoded(TASKS.get(config.task_name)(config.task), config.encoder, config.dt)
            sizes[kind] = usual_size(task, Streams(0).generator("test"))
        size = sizes[kind]
    changes = {"validation": size, "controls": False, "evaluate_after": []}
    return config.model_copy(update={"training": training.model_copy(update=changes)})


def choose(points: Sequence[Mapping[str, Any]], trials: Sequence[Ended]) -> tuple[list[float], int | None]:
    """Return the median loss of each point, and which point has the lowest; None where all are infinite.

    Of equal medians the first point's wins: that of the lower values, where a range gave them. A median over an even
    number of seeds is the mean of the middle two: infinite if one of these is.

    Args:
        points: that were tried. trials: of any order; every point has at least one.
    """
    medians = [median(_loss(trial) for trial in trials if trial.values == point) for point in points]
    best = min(range(len(medians)), key=lambda k: medians[k])
    return medians, best if isfinite(medians[best]) else None


def _loss(trial: Ended) -> float:
    return trial.loss if isfinite(trial.loss) else inf


def at_edge(axes: Sequence[Axis], chosen: Mapping[str, Any]) -> list[str]:
    """Return the keys whose chosen number is the lowest or the highest tried: a better one may lie beyond.

    Of a range: within a share of EDGE from one of its ends, on its own scale.
    """
    found = []
    for axis in axes:
        if axis.over is not None:
            if not EDGE < axis.over.place(chosen[axis.key]) < 1 - EDGE:
                found.append(axis.key)
            continue
        numbers = [v for v in axis.values if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) == len(axis.values) > 1 and chosen[axis.key] in (min(numbers), max(numbers)):
            found.append(axis.key)
    return found


def idle(axes: Sequence[Axis], trials: Sequence[Ended]) -> list[str]:
    """Return the keys of several values none of which made a difference: the rule, as it stands, has no use for them.

    Args:
        axes: what was tried. trials: all of a grid, so that each value of a key meets the same others.
    """
    found = []
    for axis in axes:
        losses: dict[str, set[float]] = {}
        for trial in trials:
            others = {key: value for key, value in trial.values.items() if key != axis.key}
            losses.setdefault(repr((others, trial.seed)), set()).add(_loss(trial))
        if len(axis.values) > 1 and all(len(each) == 1 and isfinite(*each) for each in losses.values()):
            found.append(axis.key)
    return found


def none_matters(axes: Sequence[Axis], trials: Sequence[Ended]) -> list[str]:
    """Return all keys where no point of a search made a difference on any seed: which of them does is not known else.

    Args: axes, trials: as of `idle`, of points that are no grid.
    """
    losses: dict[int, set[float]] = {}
    for trial in trials:
        losses.setdefault(trial.seed, set()).add(_loss(trial))
    alike = all(len(each) == 1 and isfinite(*each) for each in losses.values())
    return [axis.key for axis in axes if axis.over is not None or len(axis.values) > 1] if alike else []


def tuned(combination: Combination, tuning: Tuning, task: str, profile: str, trials: Sequence[Ended]) -> Tuned:
    """Return what the trials of a combination say.

    Args:
        combination, tuning: which. task: with its options, as a report calls it. profile: by name. trials: as ended.
    """
    points = [trial.values for trial in trials[:: len(tuning.seeds)]]
    medians, best = choose(points, trials)
    chosen = None if best is None else points[best]
    config = combination.config(tuning.seeds[0])
    none = idle(tuning.axes, trials) if tuning.search.trials is None else none_matters(tuning.axes, trials)
    return Tuned(
        task=task,
        profile=profile,
        backend=config.backend,
        rule=config.rule_name,
        options=dict(combination.options),
        grid={axis.key: axis.tried for axis in tuning.axes},
        seeds=list(tuning.seeds),
        trials=list(trials),
        medians=medians,
        chosen=chosen,
        at_edge=[] if chosen is None else [key for key in at_edge(tuning.axes, chosen) if key not in none],
        idle=none,
        search=tuning.search,
        place={} if chosen is None else _places(tuning.axes, chosen),
    )


def _places(axes: Sequence[Axis], chosen: Mapping[str, Any]) -> dict[str, float]:
    return {axis.key: round(axis.over.place(chosen[axis.key]), 4) for axis in axes if axis.over is not None}


def with_chosen(grid: Grid, tuning: Tuning, found: Sequence[Tuned]) -> tuple[list[RunConfig], list[tuple[str, str]]]:
    """Return the runs that are reported, with what was chosen, and label and message of what has no setting."""
    configs, failed = [], []
    for combination, one in zip(grid.combinations, found, strict=True):
        if one.chosen is None:
            failed.append((one.label, NONE_LEFT))
        else:
            configs += [combination.config(seed, tuning.settings(one.chosen)) for seed in grid.seeds]
    return configs, failed
