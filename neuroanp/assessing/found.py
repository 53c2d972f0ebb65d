"""What a device did on a task, beside others: its runs as methods, the verdict, and what it must reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from neuroanp.assessing.asked import IDEAL, Asked, Laid
from neuroanp.assessing.measured import Measured
from neuroanp.assessing.verdict import Verdict, verdict
from neuroanp.comparing.worker import Outcome
from neuroanp.profiles.schema import HardwareProfile
from neuroanp.records.result import RESULT_KEYS
from neuroanp.reporting.method import Method, methods
from neuroanp.reporting.reading import Shown, shown, variants
from neuroanp.reporting.values import digits
from neuroanp.requiring import sweep
from neuroanp.requiring.finding import SHORT, Finding
from neuroanp.requiring.target import Target
from neuroanp.training.config import RunConfig

SWEPT_SEEDS, DECADES, POINTS = 3, 1.0, 1
"""Budget of a sweep: the fewest seeds that name a first one; a decade on each side of a value, one value there."""


@dataclass(frozen=True)
class Trained:
    """What came of the runs of one task.

    Args:
        laid: what was to be run. device: the name of the device. runs: those that have a result, its own first.
        failed: label and message of those that have none, or diverged.
    """

    laid: Laid
    device: str
    runs: tuple[Shown, ...]
    failed: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, laid: Laid, device: str, outcomes: Sequence[Outcome]) -> Trained:
        """Read the runs of a task, in the order of their configurations."""
        found = []
        for outcome in outcomes:
            record = outcome.opened()
            if record is not None and record.result is not None:
                found.append(shown(record))
        failed = [(one.label, one.error) for one in outcomes if one.error is not None]
        return cls(laid, device, tuple(found), tuple(failed))

    @property
    def name(self) -> str:
        """What the task is called here."""
        return self.laid.wanted.name

    @cached_property
    def group(self) -> list[Method]:
        """The device and what it is shown beside, all seeds of each."""
        return methods([one.result for one in self.runs], variants(self.runs))

    def of_profile(self, name: str) -> Method | None:
        """Return what learned on a profile; None where no run has a result."""
        return next((one for one in self.group if one.profile == name), None)

    @cached_property
    def verdict(self) -> Verdict | None:
        """Whether the device learns; None where none of its runs has a result."""
        own = self.of_profile(self.device)
        return None if own is None else verdict(own, self.of_profile(IDEAL))

    def target(self, asked: Asked) -> Target | None:
        """Return what a device must reach: what was asked for, or the median loss of the ideal's frozen recurrence.

        None where that has none.
        """
        ideal = self.of_profile(IDEAL)
        losses = [] if ideal is None else [
            other for key in ("frozen_recurrence", "frozen_layers") for _, other in ideal.against(key)
        ]  # fmt: skip
        if asked.target is not None:
            return asked.target
        return Target("test_loss", "<", float(f"{median(losses):.3g}")) if losses and median(losses) > 0 else None

    def reaches(self, target: Target, profile: str) -> bool | None:
        """Tell whether the median over a profile's seeds meets a target; None: some result has no such number."""
        rows = [one.run.result for one in self.runs if one.result["profile"] == profile]
        values = [target.value(row) for row in rows]
        held = [value for value in values if value is not None]
        return None if not held or len(held) < len(values) else target.met(median(held))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data: verdict, and the row of each run."""
        rows = [{key: one.result[key] for key in RESULT_KEYS} for one in self.runs]
        return {
            "task": self.name,
            "of": self.runs[0].task_options if self.runs else "",
            **({} if self.verdict is None else self.verdict.to_dict()),
            "results": rows,
            "failed": [{"run": label, "error": error} for label, error in self.failed],
        }


@dataclass(frozen=True)
class Needed:
    """What a device must reach for a task.

    Args:
        target: of the median over seeds; None: there is none to hold it to. why: there was no sweep, or "".
        found: the sweep. page: where it is shown whole.
    """

    target: Target | None
    why: str = ""
    found: sweep.Found | None = None
    page: Path | None = None

    @property
    def failing(self) -> list[Finding]:
        """The parameters that fall short of what they must reach: at a value that was run the target is met."""
        if self.found is None:
            return []
        return [one for one in self.found.findings if one.verdict == SHORT]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        from neuroanp.requiring.report import to_dict

        return {
            "target": None if self.target is None else self.target.text,
            "why_no_sweep": self.why,
            "sweep": None if self.found is None else to_dict(self.found),
            "failing": [one.parameter.key for one in self.failing],
            "page": None if self.page is None else str(self.page),
        }


def needs_sweep(trained: Trained, asked: Asked) -> Needed:
    """Return what a device must reach, and why there is no sweep where there need be none."""
    target = trained.target(asked)
    if target is None:
        return Needed(None, "no run on the ideal profile has a control that is the frozen recurrence")
    own, ideal = (trained.reaches(target, name) for name in (trained.device, IDEAL))
    if own is None:
        return Needed(target, f"its results have no {target.metric}: it is not stated, or its runs failed")
    if own and trained.verdict is not None and trained.verdict.learned:
        return Needed(target, "met")
    if not asked.requirements:
        return Needed(target, "left out (--no-requirements)")
    if own:
        return Needed(target, "the target is met, though it has not been shown to learn")
    if not ideal:
        return Needed(target, "the ideal device misses it too: more --updates, or another --target")
    return Needed(target)


def sweep_of(config: RunConfig, seeds: Sequence[int], target: Target) -> sweep.Plan:
    """Lay out a sweep of the device's parameters, one at a time; InputError where there is nothing to sweep.

    Args: config: of a run on the device. seeds: of its runs, of which the first few are taken. target: to be reached.
    """
    return sweep.plan(config, sweep.Asked(target, tuple(seeds)[:SWEPT_SEEDS], DECADES, POINTS, 0))


@dataclass(frozen=True)
class Found:
    """All that was found of a device.

    Args:
        measured: the fit. profile: made of it. asked: what was asked. trained: the runs, a task each.
        needed: what must be reached, a task each. folder: where all of it lies.
    """

    measured: Measured
    profile: HardwareProfile
    asked: Asked
    trained: tuple[Trained, ...]
    needed: tuple[Needed, ...]
    folder: Path


def number(values: Sequence[float]) -> str:
    """Write the median of numbers with their range.

    >>> number([1.0, 2.0, 4.0])
    '2 [1, 4]'
    """
    low, high = digits(min(values)), digits(max(values))
    return digits(median(values)) + (f" [{low}, {high}]" if low != high else "")
