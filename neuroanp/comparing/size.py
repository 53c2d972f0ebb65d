"""How many runs a comparison has: bounded before it is laid out, and told before it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from math import prod

from neuroanp.errors import InputError
from neuroanp.records.environment import usable_cores

MOST_RUNS = 10_000
"""Runs that are begun unless more are asked for: a number of seeds may be a seed by mistake."""
WORKERS_A_CORE = 32
"""Beyond these, workers only wait for each other, each with some hundred MB."""


def sizes(axes: Mapping[str, str | Sized]) -> dict[str, int]:
    """Return how many values each axis has that is given; a text, or a section, is one.

    >>> sizes({"task": "copy", "profile": ["ideal", "pcm"], "seed": range(10**9), "rule": []})
    {'task': 1, 'profile': 2, 'seed': 1000000000}
    """
    counts = {axis: 1 if isinstance(values, str | Mapping) else len(values) for axis, values in axes.items() if values}
    return {axis: count for axis, count in counts.items() if count}


def check_size(counts: Mapping[str, int], most: int) -> None:
    """Check that a comparison has at most so many runs.

    Args:
        counts: values of each axis, by the axis' name.
        most: runs that are allowed.

    Raises:
        InputError: it has more; the message says what multiplies to how many.

    >>> check_size({"profile": 2, "seed": 999_999_999}, MOST_RUNS)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: the comparison has 1,999,999,998 runs (2 profiles x 999,999,999 seeds), ...
    """
    total = prod(counts.values())
    if total <= most:
        return
    seed = "; --seeds takes how many, or a list, and a single seed goes by --set seed=N" if "seed" in counts else ""
    raise InputError(
        f"the comparison has {total:,} runs ({in_words(counts)}), more than the {most:,} that are begun unasked"
        f"{seed}; if they are meant: --max-runs {total} (max_runs={total})"
    )


def in_words(counts: Mapping[str, int]) -> str:
    """Return what multiplies to the number of runs.

    >>> in_words({"profile": 2, "seed": 1000}), in_words({}), in_words({"value of dt": 2})
    ('2 profiles x 1,000 seeds', '1 configuration', '2 values of dt')
    """
    return " x ".join(_counted(n, *axis.partition(" of ")) for axis, n in counts.items()) or "1 configuration"


def _counted(n: int, what: str, of: str, whose: str) -> str:
    return f"{n:,} {what}{'s' * (n > 1)}{of}{whose}"


def check_workers(workers: int | None) -> int:
    """Return how many processes may run at a time, one a core if None; InputError for none or far too many.

    >>> check_workers(0)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: workers: 0 processes are too few or too many for ...; take 1 to ...
    """
    cores = usable_cores()
    if workers is None:
        return cores
    if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= WORKERS_A_CORE * cores:
        raise InputError(
            f"workers: {workers!r} processes are too few or too many for {cores} core{'s' * (cores > 1)}; take 1 to "
            f"{WORKERS_A_CORE * cores}, or leave it out: one a core"
        )
    return workers
