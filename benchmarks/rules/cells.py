"""One cell of the comparison: a method on a task under a condition; how it is tuned, and which runs it still lacks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.rules.numbers import Numbers, Row, Run, digest
from benchmarks.rules.ways import CONDITIONS, DEFAULT, EVERY, KEPT, PASSES, SAME_TEST, WAYS, task
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import configure

TUNING = (100, 101)
"""Seeds that settings are chosen on: every setting on the first, the two that did best there on the second as well."""
SEMIFINAL = 2
FIRST = "BPTT"
"""The method beside which the readout is trained alone: the control that is called frozen_recurrence."""


Setting = Mapping[str, Any]


class Cell(NamedTuple):
    """A method on a task under a condition.

    Args:
        task, condition, way: keys of TASKS, CONDITIONS and WAYS. csv: weather's file, or None.
        seeds: how many are reported, from 0.
    """

    task: str
    condition: str
    way: str
    csv: Path | None = None
    seeds: int = 8

    @property
    def title(self) -> str:
        """The task, its data where they are a file of one's own, and the condition."""
        return f"{self.task}{f' ({self.csv.stem})' if self.csv and self.task == 'weather' else ''}, {self.condition}"

    def run(self, setting: Setting, seed: int, controls: bool = True) -> Run:
        """Return one run."""
        label = f"{self.title}, {self.way} ({said(setting)}), seed {seed}"
        config, key = _configured(self.task, self.condition, self.way, self.csv, tuple(setting.items()), seed, controls)
        return Run(label, config, key)

    def tries(self, numbers: Numbers) -> list[tuple[Setting, int]]:
        """Return the settings and seeds that it is tuned on, as far as can be said yet."""
        every, first = EVERY[self.way].settings, TUNING[0]
        rows = [(setting, self._tuning(numbers, setting, first)) for setting in every]
        tries = [(setting, first) for setting in every]
        if all(row is not None for _, row in rows):
            best = sorted(rows, key=lambda each: self.loss(each[1]))[:SEMIFINAL]
            tries += [(setting, TUNING[1]) for setting, _ in best]
        return tries

    def chosen(self, numbers: Numbers) -> Setting | None:
        """Return the setting of the lowest median over the tuning seeds, or None while runs are missing."""
        tries = self.tries(numbers)
        if len(tries) == len(EVERY[self.way].settings):
            return None
        losses: dict[int, list[float]] = {}
        for setting, _ in tries[len(EVERY[self.way].settings) :]:
            rows = [self._tuning(numbers, setting, seed) for seed in TUNING]
            if None in rows:
                return None
            losses[EVERY[self.way].settings.index(setting)] = [self.loss(row) for row in rows]
        return EVERY[self.way].settings[min(losses, key=lambda each: median(losses[each]))]

    def wanted(self, numbers: Numbers) -> list[Run]:
        """Return the runs that are still to be done, as far as can be said yet."""
        found = self._tuned_as()
        tuning = [found.run(setting, seed, controls=False) for setting, seed in found.tries(numbers)]
        chosen = found.chosen(numbers)
        reported = [self.run(chosen, seed) for seed in range(self.seeds)] if chosen and self.way in WAYS else []
        return [each for each in [*tuning, *reported] if numbers.of(each) is None]

    def loss(self, row: Row | None) -> float:
        """Return the loss that settings are chosen by, which a row must have; of a run that diverged it is infinite."""
        if row is None or "said" in row:
            return math.inf
        return float(row["validation_loss" if self.task in SAME_TEST else "test_loss"])

    def tried(self, numbers: Numbers) -> list[float] | None:
        """Return the losses on the tuning seeds with the setting that was chosen, or None while there is none."""
        chosen = self.chosen(numbers)
        return None if chosen is None else [self.loss(self._tuning(numbers, chosen, seed)) for seed in TUNING]

    def rows(self, numbers: Numbers) -> list[Row] | None:
        """Return the numbers of the reported seeds, or None while runs are missing; of an idea there are none."""
        chosen = self._tuned_as().chosen(numbers)
        if chosen is None or self.way not in WAYS:
            return None
        rows = [numbers.of(self.run(chosen, seed)) for seed in range(self.seeds)]
        return [row for row in rows if row is not None] if all(row is not None for row in rows) else None

    def setting(self, numbers: Numbers) -> Setting:
        """Return the setting that was chosen; there must be one."""
        found = self._tuned_as().chosen(numbers)
        assert found is not None, f"{self.title}, {self.way}: not tuned yet"
        return found

    def _tuned_as(self) -> Cell:
        """Return the cell whose settings it has: of the condition that they are chosen under."""
        return self._replace(condition=CONDITIONS[self.condition].tuned)

    def _tuning(self, numbers: Numbers, setting: Setting, seed: int) -> Row | None:
        return numbers.of(self.run(setting, seed, controls=False))


@cache
def _configured(
    task_name: str, condition: str, way_name: str, csv: Path | None, setting: tuple[tuple[str, Any], ...], seed: int,
    controls: bool,
) -> tuple[RunConfig, str]:  # fmt: skip
    way, profile = EVERY[way_name], CONDITIONS[condition].profile
    own = {key: value for key, value in setting if key != "lr"}
    moves_units = way.feedback != "BP" and way.rule["name"] != "wp"
    updates = PASSES // way.passes
    left_out = {"validation": KEPT, "evaluate_every": updates} if not controls and task_name in SAME_TEST else {}
    as_it_comes = way_name == DEFAULT or not moves_units
    explores = {"perturbation": {"sigma": 2e-4}} if condition == "ideal" and not as_it_comes else {}
    config = configure({
        "task": task(task_name, csv), "network": {"hidden": 100}, "profile": profile, "rule": {**way.rule, **own},
        "optimizer": {"lr": dict(setting)["lr"], "clip": 1.0}, **explores,
        "training": {"updates": updates, "batch": 32, "controls": controls, **left_out}, "seed": seed,
    })  # fmt: skip
    seldom = {"evaluate_every": updates, "checkpoint_every": updates, "frozen": way_name == FIRST}
    training = config.training.model_copy(update=seldom)
    return config.model_copy(update={"training": training}), digest(config)  # what is left out changes no number


def said(setting: Setting) -> str:
    """Write a setting in a few words.

    >>> said({"difference": "activity", "gamma": 1.0, "lr": 0.0005})
    'activity, gamma 1, lr 0.0005'
    """
    return ", ".join(str(v) if isinstance(v, str) else f"{key} {v:g}" for key, v in setting.items())


def controls_of(rows: Sequence[Row]) -> tuple[str, str]:
    """Return which ridge readouts decide, of the untrained and of the trained network: under noise, those under it."""
    noisy = any("ridge_noisy" in row for row in rows)
    return ("ridge_noisy", "refit_noisy") if noisy else ("ridge", "refit")
