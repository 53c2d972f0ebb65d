"""Repeat the experiments of arXiv 2405.08967: choose them, say what they take, run them, hold claims to them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from neuroanp.comparing.executor import Executor
from neuroanp.comparing.standing import PHASE
from neuroanp.errors import InputError, did_you_mean
from neuroanp.records.places import check_root
from neuroanp.reproducing import running
from neuroanp.reproducing.claims import claims
from neuroanp.reproducing.experiments import NAMES, QUICK_SEEDS, SEEDS, Data, Experiment, at_paper, at_quick
from neuroanp.reproducing.rates import TUNING_SEEDS
from neuroanp.reproducing.result import Reproduction
from neuroanp.reproducing.verdicts import held_to
from neuroanp.reproducing.ways import WAYS

LOG = logging.getLogger("neuroanp")
TIMED = 20
"""Products that are timed, of which the fastest counts."""
LEAST_S, STEP_S, SLOWER = 1.0, 50e-6, 10
"""The shortest run (quick ones take 1 to 2.3 s of one core); seconds of a step besides its products, where it is slow;
times that products take more, where weights are perturbed or the machine is slow."""
Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    Args:
        quick: small sizes. names: of the experiments. seeds: of the runs. data: files in place of what packages bring.
    """

    quick: bool
    names: tuple[str, ...]
    seeds: tuple[int, ...]
    data: Data

    @classmethod
    def of(
        cls,
        quick: bool = False,
        only: Sequence[str] = (),
        seeds: int | Sequence[int] | None = None,
        data: Data | None = None,
    ) -> Asked:
        """Return what is asked for.

        Args:
            only: names of experiments; (): all. seeds: how many of the paper's five, or a list; None: all five, or with
                `quick` three. With `quick` those that rates were tuned on come last.

        Raises:
            InputError: a name or a number of seeds that there is not, something twice, or files that none reads.

        >>> Asked.of(quick=True, only=["recall"], seeds=2).seeds
        (42, 300)
        """
        problems = [
            f"only: no experiment '{name}'{did_you_mean(name, NAMES)} (known: {', '.join(NAMES)})"
            for name in dict.fromkeys(only)
            if name not in NAMES
        ]
        if len(set(only)) < len(only):
            problems.append("only: an experiment is named twice; name each once")
        problems += _unread(only, data or Data())
        chosen: Sequence[int] = (QUICK_SEEDS if quick else SEEDS) if seeds is None else ()
        if isinstance(seeds, int):
            if not 1 <= seeds <= len(SEEDS):
                problems.append(
                    f"seeds: {seeds} of the paper's {len(SEEDS)} seeds; take 1 to {len(SEEDS)}, or name a list"
                )
            chosen = sorted(SEEDS, key=lambda seed: quick and seed in TUNING_SEEDS)[: max(seeds, 0)]
        elif seeds is not None:
            chosen = seeds
            if not seeds or len(set(seeds)) < len(seeds):
                problems.append("seeds: name at least one, and each once")
        if problems:
            raise InputError(problems[0], problems[1:])
        names = tuple(name for name in NAMES if name in only or not only)
        return cls(quick, names, tuple(chosen), data or Data())

    @property
    def experiments(self) -> dict[str, Experiment]:
        """All experiments at the sizes that are asked for, by name."""
        return at_quick(self.data) if self.quick else at_paper(self.data)

    @property
    def chosen(self) -> list[Experiment]:
        """Those that are asked for."""
        return [experiment for name, experiment in self.experiments.items() if name in self.names]


def _unread(only: Sequence[str], data: Data) -> list[str]:
    """Return what is wrong with files that no experiment reads which is asked for."""
    read_by = {"csv": ("weather", data.csv), "mnist": ("psmnist", data.mnist)}
    return [
        f"{option}: {name} alone reads it, which --only leaves out; add {name} to --only, or leave --{option} out"
        for option, (name, path) in read_by.items()
        if path is not None and only and name not in only
    ]


def paper(
    asked: Asked, root: Path, argv: Sequence[str], executor: Executor, tell: Tell = lambda event: None
) -> Reproduction:
    """Run the experiments that are asked for; what the store has is not repeated.

    Args:
        asked: what. root: the store. argv: the command, for the record. executor: who does them.
        tell: takes events of progress, a bar each experiment.

    Raises:
        InputError: files that were named are missing or wrong, or the store's place is; nothing has run then.
    """
    check_root(root)
    missing = running.missing(asked.chosen, asked.seeds[0], asked.quick)
    for name, why in missing.items():
        LOG.warning(f"{name} is left out: {why}")
    measured: list[running.Measured] = []
    ready = [experiment for experiment in asked.chosen if experiment.name not in missing]
    for experiment in ready:
        some = running.cells([experiment], asked.seeds, asked.quick)
        LOG.info(f"{experiment.name}: {experiment.title}; {len(some)} runs, what is there is not repeated")
        measured += running.measure(some, root, argv, executor, _Bar(experiment.name, len(some), tell))
    found = claims(asked.experiments)
    findings = held_to(found, measured, asked.seeds, missing, asked.names)
    return Reproduction(
        asked.quick, asked.seeds, tuple(argv), asked.experiments, asked.names, missing, measured, found, findings
    )


class _Bar:
    """Tell of the runs of one experiment as of one run, whose updates they are: many have the same name."""

    def __init__(self, name: str, total: int, tell: Tell) -> None:
        self._name, self._total, self._tell, self._done = name, total, tell, 0

    def __call__(self, event: dict[str, Any]) -> None:
        if event.get("phase") == PHASE:
            return  # this bar counts by itself
        ended = event.get("phase") in ("done", "failed")
        self._done += ended
        now = "" if ended else f" ({event['run']}, {event.get('update', 0)} of {event.get('updates')} updates)"
        phase = "done" if self._done == self._total else f"runs{now}"
        told = {"run": self._name, "update": self._done, "updates": self._total, "phase": phase, "loss": None}
        self._tell(told)


@dataclass(frozen=True)
class Expected:
    """What an experiment would take: before it is run.

    Args:
        name: of the experiment. runs: all. there: those that the store has. updates: of all runs that are left.
        passes: presentations of a batch of these, counted alike (two an update of backpropagation).
        multiply_accumulates: of their matrix products. least_s: seconds of one core for these products alone, but a
            second a run, or None. most_s: seconds of slow runs, or None.
        missing: why it cannot be run.
    """

    name: str
    runs: int
    there: int
    updates: int
    passes: int
    multiply_accumulates: int
    least_s: float | None
    most_s: float | None
    missing: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return dict(vars(self))


def expected(asked: Asked, root: Path) -> list[Expected]:
    """Say what each experiment would take; nothing is run or written.

    Raises:
        InputError: files that were named are missing or wrong.
    """
    missing = running.missing(asked.chosen, asked.seeds[0], asked.quick)
    return [_expected(experiment, asked, root, missing.get(experiment.name)) for experiment in asked.chosen]


def _expected(experiment: Experiment, asked: Asked, root: Path, missing: str | None) -> Expected:
    some = running.cells([experiment], asked.seeds, asked.quick)
    if missing is not None:
        return Expected(experiment.name, len(some), 0, 0, 0, 0, None, None, missing)
    plans, task = running.plans(some, root, ()), running.task_of(some[0])
    left = [(cell, plan) for cell, plan in zip(some, plans, strict=True) if not running.there(plan)]
    products, least, most = 0, 0.0, 0.0
    for hidden in experiment.widths:
        of_width = [cell for cell, _ in left if cell.hidden == hidden]
        if not of_width:
            continue
        weights = hidden * (task.inputs + hidden + task.outputs)
        each = weights * experiment.batch * _seconds_a_product(hidden, 2 * experiment.batch)  # a step's
        for steps in (_passes(cell) * task.steps for cell in of_width):
            products += steps * experiment.batch * weights
            at_least, at_most = taken(steps, each)
            least, most = least + at_least, most + at_most
    updates, passes = (sum(of(cell) for cell, _ in left) for of in (lambda cell: cell.updates, _passes))
    return Expected(experiment.name, len(some), len(some) - len(left), updates, passes, products, least, most)


def taken(steps: int, product_s: float) -> tuple[float, float]:
    """Return the least and the most seconds that a run may take.

    Args:
        steps: of all its passes. product_s: seconds of the matrix products of a step.

    >>> taken(60_000, 1e-6), taken(10_000_000, 1e-4)  # the products of the first are a moment, of the second 1,000 s
    ((1.0, 4.6), (1000.0, 10501.0))
    """
    return max(LEAST_S, steps * product_s), LEAST_S + steps * (STEP_S + SLOWER * product_s)


def _passes(cell: running.Cell) -> int:
    return cell.updates * WAYS[cell.way].passes


def _seconds_a_product(hidden: int, rows: int) -> float:
    """Time a matrix product of a step at these sizes, on one core; return the seconds of one multiply-accumulate."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x, w = torch.ones(rows, hidden), torch.ones(hidden, hidden)
        ends = [time.perf_counter()]
        for _ in range(TIMED):
            torch.mm(x, w)
            ends.append(time.perf_counter())
    finally:
        torch.set_num_threads(before)
    return min(after - before_it for before_it, after in pairwise(ends)) / (rows * hidden * hidden)
