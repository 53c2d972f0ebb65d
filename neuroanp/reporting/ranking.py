"""Say which method of a comparison is best, or why none is named."""

from __future__ import annotations

from collections.abc import Sequence

from neuroanp.reporting.method import Method
from neuroanp.reporting.separation import LEAST, by_chance, lowest_apart, too_few
from neuroanp.reporting.values import digits, middle


def best(group: Sequence[Method]) -> Method | None:
    """Return the method whose test loss is told apart from all others': the lowest of all its seeds, or None.

    None too where a method has fewer seeds than a ranking takes, or where devices are compared of which one's noise is
    not its own: illustrative, another's, or not stated.
    """
    ranked = with_losses(group)
    winner = lowest_apart([m.values("test_loss") for m in ranked])
    return None if winner is None or _noises(ranked) else ranked[winner]


def ranking(group: Sequence[Method]) -> list[str]:
    """Say which method is best, and how likely that is by chance, or why none is named; nothing of a single one."""
    ranked = with_losses(group)
    if len(ranked) < 2:
        return []
    fewest = min(len(m.values("test_loss")) for m in ranked)
    if fewest < LEAST:
        return [f"No method is named the best. {too_few(fewest).capitalize()}."]
    winner = lowest_apart([m.values("test_loss") for m in ranked])
    if winner is None:
        first, *others = sorted(ranked, key=lambda m: middle(m.values("test_loss")))
        over = [m.label for m in others if min(m.values("test_loss")) <= max(first.values("test_loss"))]
        return [
            f"No method is named the best: the seeds of {first.label}, the lowest median, overlap with those of "
            f"{some(over)}."
        ]
    if noises := _noises(ranked):
        return [f"No method is named the best of several devices: {'; '.join(noises)}."]
    counts = [len(m.values("test_loss")) for m in ranked]
    chance = digits(by_chance(counts), 2)
    return [
        f"{ranked[winner].label} is the best: all its seeds are below all others'; were all alike, one would be so "
        f"with probability {chance}."
    ]


def with_losses(group: Sequence[Method]) -> list[Method]:
    """Return the methods of which a finished run has a test loss."""
    return [m for m in group if m.values("test_loss")]


def _noises(group: Sequence[Method]) -> list[str]:
    """Say of which devices the noise cannot be compared; nothing where all methods are on one."""
    if len({m.profile for m in group}) < 2:
        return []
    return [f"{name} {why}" for name, why in {m.profile: m.origins.noise for m in group}.items() if why]


def some(names: Sequence[str], most: int = 3) -> str:
    """Return names in one line, the first few of many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
