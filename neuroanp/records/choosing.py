"""Choose among the runs of a listing: by names, seeds, dates and conditions on their numbers, and in which order."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from neuroanp.errors import InputError, did_you_mean
from neuroanp.records.listing import KEYS

RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le, ">=": operator.ge, "!=": operator.ne, "==": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
FORM = "write KEY < NUMBER, or <=, >, >=, ==, !=, e.g. 'test_loss < 0.01'"
_CONDITION = re.compile(
    r"\s*([A-Za-z_][A-Za-z0-9_.]{0,79})\s*(<=|>=|!=|==|<|>)\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]{1,3})?)\s*"
)
_AGO = re.compile(r"([0-9]{1,6})\s*(min|h|d)")
_UNITS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
NUMBERS = tuple(
    key for key in KEYS
    if key not in ("name", "task", "profile", "backend", "rule", "status", "started", "ended", "code", "sealed")
)  # fmt: skip
"""What conditions can be on; score and controls hold several, of which one is score.accuracy."""


@dataclass(frozen=True)
class Condition:
    """A number of a run beside another: `test_loss < 0.01`.

    >>> Condition.of("test_loss < 0.01").holds({"test_loss": 0.005})
    True
    >>> Condition.of("score.accuracy >= 0.9").holds({"score": None})
    False
    """

    key: str
    relation: str
    number: float

    @classmethod
    def of(cls, text: str) -> Condition:
        """Read a condition; InputError for what is none."""
        found = _CONDITION.fullmatch(text) if len(text) <= 200 else None
        try:
            number = float(found[3]) if found else None
        except ValueError:
            number = None
        if found is None or number is None:
            raise InputError(f"--where '{text:.80}': no condition; {FORM}")
        check_key(found[1], "--where", NUMBERS)
        return cls(found[1], found[2], number)

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Return whether it is so; a run without the number is none of those."""
        value = value_of(row, self.key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return RELATIONS[self.relation](value, self.number)


def value_of(row: Mapping[str, Any], key: str) -> Any:
    """Return a fact by its key, inside score and controls behind a dot; None where there is none."""
    first, dot, rest = key.partition(".")
    value = row.get(first)
    if not dot:
        return next(iter(value.values()), None) if isinstance(value, Mapping) and len(value) == 1 else value
    return value.get(rest) if isinstance(value, Mapping) else None


def check_key(key: str, option: str, known: Sequence[str]) -> None:
    """Raise InputError for a key that no run has; inside score and controls a run may have any."""
    first = key.partition(".")[0]
    if first not in known or (first != key and first not in ("score", "controls")):
        raise InputError(f"{option}: there is no '{key}'{did_you_mean(key, known)} (there are: {', '.join(known)})")


def since_of(text: str, now: datetime) -> datetime:
    """Read a moment: 2026-11-29, 2026-11-29T12:00, or so long ago: 90 min, 12 h, 7 d.

    >>> since_of("7 d", datetime(2026, 11, 29, tzinfo=UTC)).isoformat()
    '2026-11-22T00:00:00+00:00'
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            return now - int(ago[1]) * _UNITS[ago[2]]
        found = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise InputError(
            f"--since: '{text:.40}' is no moment; write 2026-11-29, 2026-11-29T12:00, or how long ago: 12 h, 7 d"
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Choice:
    """Which runs are chosen; None, or nothing, lets all pass.

    Args:
        task, profile, backend, rule, status: names, any of which a run may have. seed: the same of seeds.
        since: when a run was begun at the earliest. where: conditions, all of which must hold.
    """

    task: Sequence[str] | None = None
    profile: Sequence[str] | None = None
    backend: Sequence[str] | None = None
    rule: Sequence[str] | None = None
    status: Sequence[str] | None = None
    seed: Sequence[int] | None = None
    since: datetime | None = None
    where: Sequence[Condition] = ()

    def of(self, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows that are chosen."""
        wanted: dict[str, Sequence[Any] | None] = {
            "task": self.task, "profile": self.profile, "backend": self.backend, "rule": self.rule,
            "status": self.status, "seed": self.seed,
        }  # fmt: skip
        named = {key: set(names) for key, names in wanted.items() if names is not None}
        return [
            row for row in rows
            if all(row[key] in names for key, names in named.items())
            and (self.since is None or _begun(row) >= self.since)
            and all(condition.holds(row) for condition in self.where)
        ]  # fmt: skip


def _begun(row: Mapping[str, Any]) -> datetime:
    """Return when a run was begun; long ago where nobody knows."""
    try:
        found = datetime.fromisoformat(row["started"] or "")
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def ordered(rows: Sequence[dict[str, Any]], key: str | None) -> list[dict[str, Any]]:
    """Return rows by a key, downwards where "-" stands before it; those that have no such value come last.

    >>> [row["seed"] for row in ordered([{"seed": 1}, {"seed": None}, {"seed": 2}], "-seed")]
    [2, 1, None]
    """
    if key is None:
        return [*rows]
    down, name = key.startswith("-"), key.removeprefix("-")
    check_key(name, "--sort", KEYS)
    of = [(value_of(row, name), row) for row in rows]
    there = [one for one in of if isinstance(one[0], str | int | float)]
    there.sort(key=lambda one: (isinstance(one[0], str), one[0]), reverse=down)
    return [row for _, row in [*there, *(one for one in of if not isinstance(one[0], str | int | float))]]
