"""What a reproduction gives: what every run measured, and what became of every claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuroanp.reproducing.claims import Claim
from neuroanp.reproducing.experiments import Experiment
from neuroanp.reproducing.running import Measured
from neuroanp.reproducing.verdicts import HELD, NOT, OPEN, Finding

PAPER = "arXiv 2405.08967"


@dataclass(frozen=True, repr=False)
class Reproduction:
    """The experiments of a paper, run again.

    Args:
        quick: whether at small sizes. seeds: of the runs. command: as one would repeat it.
        experiments: all there are, by name. run: names of those that were asked for.
        missing: why one could not be run, by name. measured: a row each run.
        claims, findings: the claims, and what became of each of their comparisons.
        output: the folder with the report, or None.

    >>> from neuroanp.reproducing.claims import claims
    >>> from neuroanp.reproducing.experiments import at_quick
    >>> from neuroanp.reproducing.verdicts import held_to
    >>> every, seeds = at_quick(), (1, 2, 3)
    >>> losses = {"anp": 0.2, "np": 0.4, "wp": 0.5}  # as if all seeds gave the same
    >>> rows = [Measured("recall", way, 40, seed, 500, 0.1, {"loss": x}) for way, x in losses.items() for seed in seeds]
    >>> found = claims(every)
    >>> verdicts = held_to(found, rows, seeds, {}, ("recall",))
    >>> made = Reproduction(True, seeds, ("neuroanp",), every, ("recall",), {}, rows, found, verdicts)
    >>> made.counts("NP")["held"], made.by_chance(["NP"]), made.failed  # ANP below NP in three of three seeds
    (1, 0.125, [])
    >>> made.to_dict()["paper"]
    'arXiv 2405.08967'
    """

    quick: bool
    seeds: tuple[int, ...]
    command: tuple[str, ...]
    experiments: Mapping[str, Experiment]
    run: tuple[str, ...]
    missing: Mapping[str, str]
    measured: Sequence[Measured]
    claims: Sequence[Claim]
    findings: Sequence[Finding]
    output: Path | None = field(default=None, compare=False)

    @property
    def failed(self) -> list[tuple[str, str]]:
        """What run failed, and why."""
        return [(f"{one.experiment}, {one.way}, seed {one.seed}", one.error) for one in self.measured if one.error]

    def counts(self, claim: str) -> dict[str, int]:
        """Return how many comparisons of a claim held, did not, and are undecided."""
        mine = [finding.verdict for finding in self.findings if finding.claim == claim]
        return {verdict: mine.count(verdict) for verdict in (HELD, NOT, OPEN)}

    def by_chance(self, claims: Sequence[str]) -> float | None:
        """Return how many comparisons of claims chance would hold, on average; None where none can be so counted."""
        found = [one.luck for one in self.findings if one.claim in claims and one.luck is not None]
        return sum(found) if found else None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "paper": PAPER,
            "quick": self.quick,
            "seeds": [*self.seeds],
            "command": [*self.command],
            "run": [*self.run],
            "missing": dict(self.missing),
            "claims": [
                {
                    "name": one.name,
                    "whose": one.whose,
                    "said": one.said,
                    **self.counts(one.name),
                    "by_chance": self.by_chance([one.name]),
                }
                for one in self.claims
            ],
            "findings": [finding.to_dict() for finding in self.findings],
            "runs": [one.to_dict() for one in self.measured],
        }

    def __repr__(self) -> str:
        verdicts = [finding.verdict for finding in self.findings]
        said = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in (HELD, NOT, OPEN))
        size = "quick sizes" if self.quick else "the paper's sizes"
        return f"Reproduction({PAPER}, {size}, {len(self.measured)} runs: {said}; {self.output or 'no report'})"

    def _repr_html_(self) -> str:
        from neuroanp.markup import lines, table

        rows = []
        for claim in self.claims:
            held = self.counts(claim.name)
            if any(held.values()):
                rows.append([claim.said, claim.whose, *(str(held[verdict]) for verdict in (HELD, NOT, OPEN))])
        told = [f"{experiment}: {why}" for experiment, why in self.missing.items()]
        told += [f"{label} failed: {error}" for label, error in self.failed]
        return lines([repr(self)]) + table(["claim", "whose", HELD, NOT, OPEN], rows) + lines(told)
