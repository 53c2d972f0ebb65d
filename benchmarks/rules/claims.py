"""What numbers come to: the best of each class beside BPTT and the ridge readout, and beside what was to be reached."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from benchmarks.common import verdict
from benchmarks.rules.cells import controls_of
from benchmarks.rules.numbers import Row
from benchmarks.rules.ways import EVERY, WAYS

Found = Mapping[str, Sequence[Row]]
"""The rows of each method, a row a seed."""
BEFORE = "ANP, K=15"
"""What was recommended before."""
OLDER = ("NP", "WP")
DANP = "DANP, errors inferred"
"""What is told beside the best, too, with the older ones: what decorrelation costs or brings."""
LAGGED = "lagged_linear"
"""The control of forecasts that a linear model of the last inputs is."""
FEEDBACK = ("E", "S+", "S")
"""Classes, those that hear most first."""
FACTORS: Mapping[str, float] = {
    "copy3": 2, "weather": 2, "copy5": 5, "parity": 10, "xor": 10, "mackey_glass": 10
}  # fmt: skip
"""How many times the loss of BPTT the best of class E may have, without noise."""
FORECASTS = frozenset({"weather", "mackey_glass"})
SHARES: Mapping[str, tuple[float, float]] = {"E": (1.0, 7 / 8), "S+": (1.0, 5 / 8), "S": (7 / 8, 7 / 8)}
"""On which part of the seeds a class is to be below the ridge without noise, on forecasts the second; S refitted."""


def column(rows: Sequence[Row], key: str) -> list[float]:
    """Return one number a seed; where there is none, infinity."""
    return [float("inf") if row.get(key) is None else float(row[key]) for row in rows]


def below(losses: Sequence[float], others: Sequence[float]) -> int:
    """Count the seeds on which a loss is below another.

    >>> below([1.0, 2.0], [1.5, 2.0])
    1
    """
    return sum(a < b for a, b in zip(losses, others, strict=True))


def below_ridge(rows: Sequence[Row]) -> int:
    """Count the seeds on which a method is, as learned, below a ridge readout of the untrained network."""
    return below(column(rows, "test_loss"), column(rows, controls_of(rows)[0]))


class Best(NamedTuple):
    """The best method of a class.

    Args:
        name: of it; of several, each with how many seeds it was chosen for. rows: its numbers, a row a seed.
    """

    name: str
    rows: list[Row]

    @property
    def losses(self) -> list[float]:
        """The losses as learned, one a seed."""
        return column(self.rows, "test_loss")


def best(found: Found, feedback: str) -> Best | None:
    """Return the method of a class with the lowest median loss, chosen for each seed by the others.

    The least of several numbers is too low where it is chosen by these numbers: a seed has no say in which method
    stands for its class on it. A seed alone has to choose for itself. What was an idea alone is no method.

    >>> rows = {"echo": [{"test_loss": x} for x in (1.0, 5.0, 1.0)], "echo + ANP": [{"test_loss": 2.0}] * 3}
    >>> best(rows, "E").name, best(rows, "E").losses
    ('echo on 1 of 3 seeds, echo + ANP on 2', [2.0, 5.0, 2.0])
    """
    ways = [way for way in found if way in WAYS and EVERY[way].feedback == feedback]
    if not ways:
        return None
    losses = {way: column(found[way], "test_loss") for way in ways}
    seeds = len(losses[ways[0]])
    chosen = [
        min(ways, key=lambda way: median([*losses[way][:seed], *losses[way][seed + 1 :]] or losses[way]))
        for seed in range(seeds)
    ]
    rows = [found[way][seed] for seed, way in enumerate(chosen)]
    counts = [(way, chosen.count(way)) for way in ways if way in chosen]
    if len(counts) == 1:
        return Best(chosen[0], rows)
    (first, n), *others = counts
    said = [f"{first} on {n} of {seeds} seeds", *(f"{way} on {m}" for way, m in others)]
    return Best(", ".join(said), rows)


def claims(found: Found, untrained: str, again: str) -> list[str]:
    """Say how the best method of each class stands to BPTT, to the ridge, and to what rules there were."""
    told = []
    for feedback in FEEDBACK:
        if (lead := best(found, feedback)) is not None:
            way, losses = lead.name, lead.losses
            ridge, refit = column(lead.rows, untrained), column(lead.rows, again)
            factor = f", {times(losses, column(found['BPTT'], 'test_loss'))} times BPTT" if "BPTT" in found else ""
            counts = f"{below(losses, ridge)} of {len(ridge)}, its refit {below(refit, ridge)} of {len(ridge)}"
            lagged = column(lead.rows, LAGGED)
            if any(map(math.isfinite, lagged)):
                counts += f"; below the lagged linear model {below(losses, lagged)} of {len(losses)}"
            told.append(f"class {feedback}, best here: {way}, {median(losses):.3g}{factor}; below the ridge {counts}")
    ours = best({way: rows for way, rows in found.items() if way not in OLDER}, "S")
    if ours is not None:
        name, losses = ours.name, ours.losses
        factors = [f"{way} {times(column(found[way], 'test_loss'), losses)}" for way in (*OLDER, DANP)
                   if way in found and way != name]  # fmt: skip
        told += [f"in units of class S's best, {name}: {', '.join(factors)}"] if factors else []
        if BEFORE in found:
            before = median(column(found[BEFORE], "test_loss"))
            holds = math.isfinite(before) and median(losses) <= 0.5 * before
            share = times(losses, [before])
            told.append(verdict(f"class S, {name}, at {share} of the loss of {BEFORE} (<= .5)", holds))
    return told


def times(losses: Sequence[float], others: Sequence[float]) -> str:
    """Write the ratio of two medians; of runs that diverged there is none."""
    one, other = median(losses), median(others)
    return f"{one / other:.3g}" if math.isfinite(one) and math.isfinite(other) else "?"


def targets(found: Found, task: str, condition: str, untrained: str, again: str) -> list[str]:
    """Hold the best method of each class to what was to be reached.

    Args:
        found: the numbers of each method. task, condition: of all of them.
        untrained, again: names of the ridge readouts of the untrained network and of the trained one.
    """
    said = _learned_at_all(found) if task == "adding" and condition == "ideal" else []
    for feedback, shares in SHARES.items() if task in FACTORS else ():
        lead = best(found, feedback)
        if lead is None:
            continue
        way, losses = lead.name, lead.losses
        if feedback == "E" and condition == "ideal" and "BPTT" in found:
            said.append(_beside_bptt(way, losses, found["BPTT"], FACTORS[task]))
        refitted = feedback == "S" and condition == "ideal"
        key, how = (again, "its refit") if refitted else ("test_loss", "as learned")
        count = below(column(lead.rows, key), column(lead.rows, untrained))
        wanted = math.ceil((shares[task in FORECASTS] if condition == "ideal" else 1.0) * len(losses))
        there = f"{how} below the ridge on {count} of {len(losses)} seeds (>= {wanted})"
        said.append(verdict(f"class {feedback}, {way}: {there}", count >= wanted))
    return said


def _learned_at_all(found: Found) -> list[str]:
    """Say whether the best local rule has half of the loss of the constant."""
    leads = [lead for feedback in FEEDBACK if (lead := best(found, feedback)) is not None]
    if not leads:
        return []
    lead = min(leads, key=lambda each: median(each.losses))
    constant = median(column(lead.rows, "constant_mean"))
    holds = math.isfinite(constant) and median(lead.losses) <= 0.5 * constant
    return [verdict(f"{lead.name}: {times(lead.losses, [constant])} of the loss of the constant (<= .5)", holds)]


def made_by(rows: Sequence[Row]) -> str:
    """Say with which code runs were made, and how many with each.

    >>> made_by([{"with": "neuroanp 0.1.0+ab"}, {"with": "neuroanp 0.1.0+ab"}, {}])
    'made with neuroanp 0.1.0+ab (2 runs), not noted (1)'
    """
    counts = Counter(row.get("with", "not noted") for row in rows)
    (first, many), *others = counts.most_common()
    return f"made with {', '.join([f'{first} ({many} runs)', *(f'{name} ({n})' for name, n in others)])}"


def _beside_bptt(way: str, losses: Sequence[float], exact: Sequence[Row], factor: float) -> str:
    bptt = column(exact, "test_loss")
    holds = math.isfinite(median(bptt)) and median(losses) <= factor * median(bptt)
    return verdict(f"class E, {way}: {times(losses, bptt)} times BPTT (<= {factor:g})", holds)
