"""One of what a comparison compares, of any seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroanp.comparing.settings import Settings
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import configure
from neuroanp.training.resolving import wrong_with


@dataclass(frozen=True)
class Combination:
    """One of what is compared, of any seed.

    Args:
        source, overrides, words: what it is resolved from, as in `neuroanp.training.configure.configure`.
        chosen: task, backend, profile and rule; None: the source's own.
        options: values of axes over keys, as they are, by dotted key.
        rule: name of its rule. several: whether it is compared with other rules.
    """

    source: str | Path | Mapping[str, Any] | None
    overrides: Mapping[str, Any]
    words: Mapping[str, Any]
    chosen: Mapping[str, Any]
    options: Mapping[str, Any]
    rule: str
    several: bool = False

    def config(self, seed: int | None = None, more: Settings | None = None) -> RunConfig:
        """Return its configuration for a seed (None: the source's own), with more values set."""
        overrides = {**self.overrides, **(more or {})}
        return configure(self.source, overrides, **{**self.words, **self.chosen, "seed": seed})

    def resolved(self, problems: list[str], seed: int | None = None, more: Settings | None = None) -> list[RunConfig]:
        """Return what `config` does; or nothing, and a line more in `problems` for each thing that is wrong with it.

        Of lines that differ in the value of an axis alone, the first. Keys of a rule are told with the rule.
        """
        found: list[RunConfig] = []
        lines = wrong_with(lambda own: found.append(self.config(own, more)), seed)
        known = {_of_key(line) for line in problems}
        problems += [self._with_rule(line) for line in lines if _of_key(self._with_rule(line)) not in known]
        return found

    def _with_rule(self, line: str) -> str:
        of_key = any(line.startswith(f"{option} rule.") for option in ("--axis", "--tune"))
        if not (of_key and self.several and "unknown key" in line):
            return line
        return f"{line} (rule '{self.rule}'; --for RULE:KEY=VALUE is for the rules that have it)"


def _of_key(line: str) -> str:
    """Return what is wrong with a key of an axis, whichever value it was given."""
    if not line.startswith(("--axis ", "--tune ")):
        return line
    said, _, why = line.partition(": ")
    return f"{said.partition('=')[0]}: {why}"
