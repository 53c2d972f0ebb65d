"""Leave out of a comparison of rules those that cannot run where others can, and say why of each.

A rule that cannot take a task, a backend, a profile or a network is no mistake of whoever compares many: the others
run, and it is among the failures with its reason. What is wrong for every rule, and with options that were given, is a
mistake, and nothing runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from neuroanp.comparing.settings import name_of
from neuroanp.errors import InputError
from neuroanp.training.build import Experiment
from neuroanp.training.described import describe

if TYPE_CHECKING:
    from neuroanp.comparing.combination import Combination
    from neuroanp.training.config import RunConfig

LeftOut = list[tuple[str, str]]
"""Label and reason of each combination that is not run."""
GIVEN = re.compile(r"--|(.*: )?rule\.")
"""How a line begins that is about a value that was given, or an option of the rule itself."""


def apart(
    combinations: Iterable[Combination], wrong: Callable[[Combination], Sequence[str]]
) -> tuple[list[Combination], LeftOut]:
    """Return the combinations that stay, and those of a rule that is refused where another one is not.

    Args:
        combinations: what is compared.
        wrong: a line for each thing that is wrong with one.
    """
    found = [(one, [*wrong(one)]) for one in combinations]
    fine = {_place(one) for one, lines in found if not lines}
    stay, left = list["Combination"](), LeftOut()
    for one, lines in found:
        if lines and _place(one) in fine:
            left.append((label(one), f"left out: {'; '.join(lines)}"))
        else:
            stay.append(one)
    return stay, left


def of_configs(combinations: Iterable[Combination], seed: int | None) -> tuple[list[Combination], LeftOut]:
    """Leave out rules that a configuration does not go together with; what was given wrongly is left in."""

    def wrong(one: Combination) -> list[str]:
        lines: list[str] = []
        one.resolved(lines, seed)
        return lines

    def mistaken(lines: Sequence[str]) -> bool:
        return any(GIVEN.match(line) for line in lines)

    every = [*combinations]
    said = {id(one): wrong(one) for one in every}
    if any(mistaken(lines) for lines in said.values()):
        return every, []
    return apart(every, lambda one: said[id(one)])


def refusal(config: RunConfig) -> list[str]:
    """Return why a run is refused before it begins, in one line; nothing where it is not."""
    try:
        describe(Experiment.of(config))
    except InputError as error:
        return [": ".join([error.message, "; ".join(error.problems)]) if error.problems else error.message]
    return []


def label(one: Combination) -> str:
    """Return what a combination is called: what was chosen for it by name, its rule, and values of axes."""
    names = [name_of(one.chosen[key], "") for key in ("task", "backend", "profile")]
    return " ".join([*filter(None, names), one.rule, *(f"{key}={value}" for key, value in one.options.items())])


def _place(one: Combination) -> str:
    """Return what combinations have in common that differ in their rule alone."""
    return repr(([one.chosen[key] for key in ("task", "backend", "profile")], sorted(one.options.items())))
