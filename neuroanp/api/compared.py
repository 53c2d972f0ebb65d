"""What a comparison gives: its runs side by side, and what was chosen on others."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.api.run import Run

if TYPE_CHECKING:
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
    """

    runs: list[Run]
    failed: list[tuple[str, str]]
    report: Path | None
    ablation: list[dict[str, Any]] = field(default_factory=list)
    tuning: list[Tuned] = field(default_factory=list)

    @property
    def results(self) -> list[dict[str, Any]]:
        """One row a run; `options` are those in which the runs differ, such as optimizer.lr, as text by dotted key."""
        from neuroanp.reporting.reading import differing, shown

        options = differing([shown(run.record) for run in self.runs])
        return [{**run.result, "options": some} for run, some in zip(self.runs, options, strict=True)]

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
        from neuroanp.reporting.brief import table
        from neuroanp.reporting.tuning import chosen, sentences

        tuning = [one.to_dict() for one in self.tuning]
        notes = [*sentences(tuning), *chosen(tuning)]
        return table([run.record for run in self.runs], repr(self), self.failed, notes)
