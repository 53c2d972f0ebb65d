"""What a comparison gives: its runs side by side, and what was chosen on others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from neuroanp.api.run import Run

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs] - its types are in a package of their own

    from neuroanp.comparing.tune import Tuned


@dataclass(frozen=True)
class Comparison:
    """Many runs side by side.

    Args:
        runs: those that have a result.
        failed: label and message of those that have none or diverged.
        report: the HTML file; None where none was asked for (`neuroanp.report(comparison)` makes one).
        ablation: what each non-ideality costs, a row each, where that was asked for.
        tuning: what was chosen on other seeds, and all that was tried for it, where that was asked for.

    >>> from tempfile import TemporaryDirectory
    >>> import neuroanp as na
    >>> tiny = {"task": {"name": "copy", "test_size": 4}, "network": {"hidden": 4}, "training": {"controls": False}}
    >>> with TemporaryDirectory() as folder:
    ...     said = {"updates": 1, "runs": folder, "report": False, "progress": False}
    ...     found = Comparison([na.train(tiny, rule=rule, **said) for rule in ("anp", "np")], [], None)
    ...     frame, rows, plain = found.to_dataframe(), found.results, found.to_dict()
    >>> frame["rule"].tolist(), [row["rule"] for row in rows], plain["failed"]
    (['anp', 'np'], ['anp', 'np'], [])
    """

    runs: list[Run]
    failed: list[tuple[str, str]]
    report: Path | None
    ablation: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    tuning: list[Tuned] = field(default_factory=list["Tuned"])

    @property
    def results(self) -> list[dict[str, Any]]:
        """One row a run; `options` are those in which the runs differ, such as optimizer.lr, as text by dotted key."""
        from neuroanp.reporting.reading import differing, shown

        options = differing([shown(run.record) for run in self.runs])
        return [{**run.result, "options": some} for run, some in zip(self.runs, options, strict=True)]

    def to_dataframe(self) -> DataFrame:
        """Return a row for each run as a data frame of pandas (the extra `frames`).

        Columns are what `results` has: task, profile, rule, seed, test_loss (the task's loss), energy_J, ...; "control
        NAME" for each control; and by its dotted key every option in which the runs differ or that was tuned, such as
        optimizer.lr or rule.K. Numbers are numbers, quantities in SI units: dt of "1 us" is 1e-6. What a run does not
        have is missing.

        Raises:
            InputError: pandas is not installed.
        """
        from neuroanp.tables.frames import frame

        rows: list[dict[str, Any]] = []
        tuned = {key for one in self.tuning for key in one.grid}
        for run, row in zip(self.runs, self.results, strict=True):
            typed = {**_flat(run.config.to_plain()), **_numbers(run.config)}
            # What was tuned may have come to the same value everywhere, and is what one looks for all the same.
            same = {key: typed[key] for key in sorted(tuned) if key in typed}
            options = same | {key: typed.get(key, text) for key, text in row.pop("options").items()}
            controls = {f"control {name}": loss for name, loss in row.pop("controls").items()}
            rows.append({**row, **controls, **options})
        return frame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data: results, failed, ablation, tuning, and the report's path or None."""
        return {
            "results": self.results,
            "failed": [{"run": label, "error": message} for label, message in self.failed],
            "ablation": self.ablation,
            "tuning": [one.to_dict() for one in self.tuning],
            "report": None if self.report is None else str(self.report),
        }

    def __repr__(self) -> str:
        from neuroanp.reporting.brief import of_runs

        said = of_runs([run.record for run in self.runs], len(self.failed))
        return f"Comparison({said}; {self.report or 'no report'})"

    def _repr_html_(self) -> str | None:
        from neuroanp.reporting.brief import ablated, table
        from neuroanp.reporting.tuning import chosen, sentences

        tuning = [one.to_dict() for one in self.tuning]
        notes, records = [*sentences(tuning), *chosen(tuning)], [run.record for run in self.runs]
        if self.ablation:
            return ablated(records, repr(self), self.failed)
        return table(records, repr(self), self.failed, notes)


def _numbers(section: BaseModel, before: str = "") -> dict[str, int | float]:
    """Return the numbers of a configuration by dotted key, quantities in SI units."""
    found: dict[str, int | float] = {}
    for key, value in dict(section).items():
        if isinstance(value, BaseModel):
            found |= _numbers(value, f"{before}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{before}{key}"] = value
    return found


def _flat(plain: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return what a configuration has by dotted key, numbers as numbers; lists are texts.

    >>> _flat({"task": {"name": "copy", "length": 3}, "only": ["drift"]})
    {'task.name': 'copy', 'task.length': 3, 'only': "['drift']"}
    """
    found: dict[str, Any] = {}
    for key, value in plain.items():
        if isinstance(value, Mapping):
            found |= _flat(cast("Mapping[str, Any]", value), f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value if isinstance(value, bool | int | float | str | None) else str(value)
    return found
