"""Which points a search tries: all of a grid, points that are drawn, or points that Optuna proposes.

A search is a function: from what was told so far to the points that are tried next. It keeps nothing besides, so that a
repeat asks for the same points, which the store has, and nothing depends on how many workers there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count, islice, product
from math import prod
from typing import Any

from neuroanp.comparing.settings import Axis
from neuroanp.comparing.values import MOST
from neuroanp.errors import InputError, did_you_mean
from neuroanp.noise import Streams
from neuroanp.training.arguments import LARGEST_SEED, whole

GRID, RANDOM, OPTUNA = KINDS = ("grid", "random", "optuna")
START = 10
"""Points that are drawn before Optuna proposes any: those that a random search begins with."""
BATCH = 5
"""Points that Optuna proposes at a time, whatever the number of workers: they are tried beside one another."""
STREAM = "search"
REMEDY = "pip install 'neuroanp[search]'"
Point = Mapping[str, Any]
Told = Sequence[tuple[Point, float]]
"""Points that were tried, each with its loss, in the order that they were asked for; infinite where it diverged."""


@dataclass(frozen=True)
class Search:
    """How points are found.

    Args:
        kind: one of KINDS. trials: points for each that is tuned; None of a grid, which tries all of its own.
        seed: of what is drawn.

    >>> axes = [Axis("optimizer.lr", (1e-3, 1e-2)), Axis("rule.K", (1, 2, 4))]
    >>> Search().count(axes), Search("random", trials=4).count(axes), Search().to_dict()
    (6, 4, {'kind': 'grid', 'trials': None, 'seed': 0})
    """

    kind: str = GRID
    trials: int | None = None
    seed: int = 0

    def count(self, axes: Sequence[Axis]) -> int:
        """Return how many points each that is tuned gets, of axes that are searched over."""
        return prod(len(axis.values) for axis in axes) if self.trials is None else self.trials

    def next(self, axes: Sequence[Axis], told: Told) -> list[dict[str, Any]]:
        """Return the points that are tried next, none where the search is through.

        Args: axes: what is searched over. told: all that was asked for before.

        >>> Search().next([Axis("a", (1, 2)), Axis("b", (3, 4))], [])
        [{'a': 1, 'b': 3}, {'a': 1, 'b': 4}, {'a': 2, 'b': 3}, {'a': 2, 'b': 4}]
        """
        done = len(told)
        if self.kind == GRID:
            return grid(axes)[done:]
        left = self.count(axes) - done
        if self.kind == RANDOM or done < START:
            until = done + left if self.kind == RANDOM else min(START, done + left)
            return drawn(axes, until, self.seed)[done:]
        if left <= 0:
            return []
        from neuroanp.comparing.suggesting import suggest

        seed = int(Streams(self.seed).generator(f"{STREAM}/{OPTUNA}", done).integers(2**32))
        return suggest(axes, told, min(BATCH, left), seed)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return dict(vars(self))


def grid(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Return all combinations of the values by key, the last key's changing fastest."""
    keys = [axis.key for axis in axes]
    return [dict(zip(keys, values, strict=True)) for values in product(*(axis.values for axis in axes))]


def drawn(axes: Sequence[Axis], number: int, seed: int) -> list[dict[str, Any]]:
    """Return so many different points, each key's value drawn by itself: uniform on its range's scale, or of its list.

    The k-th draw of a key is addressed by (seed, key, k): a longer search begins with the points of a shorter one, and
    a further key changes no other's values. A point that was drawn before is passed over.

    Args: axes: with at least so many points, see `check_room`.

    >>> drawn([Axis("a", (1, 2, 3))], 2, 0) == drawn([Axis("a", (1, 2, 3))], 3, 0)[:2]
    True
    """
    streams = Streams(seed)

    def new() -> Any:
        seen: set[str] = set()
        for k in count():
            point = {axis.key: _at(axis, streams.generator(f"{STREAM}/{axis.key}", k).random()) for axis in axes}
            if (key := repr(point)) not in seen:
                seen.add(key)
                yield point

    return list(islice(new(), number))


def _at(axis: Axis, share: float) -> Any:
    return axis.values[int(share * len(axis.values))] if axis.over is None else axis.over.at(share)


def ends(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Return points that have each end of each range, and each value of each list, at least once.

    What a configuration does not take of these is told before anything runs.

    >>> ends([Axis("a", (1, 2, 3)), Axis("b", (4,))])
    [{'a': 1, 'b': 4}, {'a': 2, 'b': 4}, {'a': 3, 'b': 4}]
    """
    most = max(len(axis.ends) for axis in axes)
    return [{axis.key: axis.ends[k % len(axis.ends)] for axis in axes} for k in range(most)]


def search_of(kind: Any, trials: Any, seed: Any, axes: Sequence[Axis]) -> Search:
    """Return how is searched, as `compare` takes it.

    Args: kind: None: a grid, of lists alone. trials, seed: None where not given. axes: what is searched over.

    Raises:
        InputError: no such search; a grid of a range, or with trials; too few or too many trials; no Optuna.

    >>> search_of(None, None, None, [Axis("a", (1, 2))])
    Search(kind='grid', trials=None, seed=0)
    """
    known = ", ".join(KINDS)
    if kind is not None and kind not in KINDS:
        near = did_you_mean(kind, KINDS) if isinstance(kind, str) else ""
        raise InputError(f"--search: {kind!r:.60} is none{near} (there are: {known})")
    problems = []
    if kind is None or kind == GRID:
        for axis in axes:
            if axis.over is not None:
                problems.append(
                    f"--tune {axis.key}: {axis.over} is a range to draw from, and a grid tries values; say how it is "
                    f"searched, e.g. --search random --trials 20, or how many values there are: {_as_values(axis)}"
                )
        given = {"--trials": trials, "--search-seed": seed}
        problems += [
            f"{option}: a grid tries all of its points and draws none; leave it out, or add --search random (or optuna)"
            for option, value in given.items()
            if value is not None and not problems
        ]
        _raise(problems)
        return Search()
    if trials is None:
        raise InputError(
            f"--trials: missing; say how many points each that is tuned gets, e.g. --search {kind} --trials 20"
        )
    found = Search(kind, whole("--trials", trials, 2, MOST), whole("--search-seed", seed or 0, 0, LARGEST_SEED))
    check_room(axes, found)
    if kind == OPTUNA and find_spec("optuna") is None:
        raise InputError(f"--search optuna: needs the package optuna, which is not installed; {REMEDY}")
    return found


def check_room(axes: Sequence[Axis], search: Search) -> None:
    """Raise InputError where there are fewer different points than trials."""
    points = 1
    for axis in axes:
        number = len(axis.values) if axis.over is None else axis.over.count
        if number is None:
            return
        points *= number
    if points >= search.count(axes):
        return
    of = next((axis.over for axis in axes if axis.over is not None), None)
    said = "" if of is None else f" ({of} is of whole numbers; {of.ends[0]}.0..{of.ends[1]} is of any)"
    raise InputError(
        f"--trials: {search.trials} trials, and there are {points:,} points{said}; take at most {points:,}"
    )


def _as_values(axis: Axis) -> str:
    assert axis.over is not None
    written = str(axis.over)
    return f"{written if axis.over.log else f'{written}:lin'},4"


def _raise(problems: Sequence[str]) -> None:
    if len(problems) == 1:
        raise InputError(problems[0])
    if problems:
        raise InputError(f"the comparison has {len(problems)} problems; nothing was run", problems)
