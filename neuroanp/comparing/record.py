"""The record of a comparison, comparison.json beside its report: what was compared and tuned, and its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from neuroanp.errors import InputError
from neuroanp.records.json_io import read_object, write_object
from neuroanp.records.places import NAME_OF_RUN
from neuroanp.records.seal import of_fields

NAME = "comparison.json"
FORMAT = 1
_NEEDED = {"kind": str, "argv": list, "axes": dict, "for": dict, "runs": list, "failed": list, "tuning": list}


@dataclass(frozen=True)
class Record:
    """What a comparison was.

    Args:
        kind: "compare", "ablate" or "transfer". argv: the command.
        axes: values by key. for_rule: settings that rules came with, by rule.
        runs: names of the directories beside that of the record. failed: label and message of what has no result.
        tuning: what each search found, as `Tuned.to_dict` has it.
    """

    kind: str
    argv: Sequence[str]
    runs: Sequence[str]
    axes: Mapping[str, Any] = field(default_factory=dict)
    for_rule: Mapping[str, Any] = field(default_factory=dict)
    failed: Sequence[Sequence[str]] = ()
    tuning: Sequence[Mapping[str, Any]] = ()

    def write(self, folder: Path) -> None:
        """Write it into a directory that is there.

        Raises:
            RunError: the disk is full. InputError: the place cannot be written to.
        """
        fields: dict[str, Any] = {**vars(self), "for": dict(self.for_rule), "format": FORMAT}
        del fields["for_rule"]
        write_object(folder / NAME, {**fields, "seal": of_fields(fields)})


def is_there(folder: Path) -> bool:
    """Return whether a directory is that of a comparison with a record."""
    return (folder / NAME).is_file()


def read(folder: Path) -> Record:
    """Read the record of a comparison, which anybody may have made: its runs are names of directories beside it.

    Raises:
        InputError: it is damaged, of a later format, or holds what no comparison writes.
    """
    path = folder / NAME
    fields = read_object(path, "repeat the comparison: finished runs are not repeated")
    if fields.get("format") != FORMAT:
        raise InputError(f"{path}: written in format {fields.get('format')!r:.40}, this neuroanp reads {FORMAT}")
    wrong = [
        name
        for name, kind in _NEEDED.items()
        if not (isinstance(fields.get(name), kind) and _sound(name, fields[name]))
    ]
    if wrong or fields.get("seal") != of_fields(fields):
        said = f"no {', '.join(wrong)}" if wrong else "its content has changed"
        raise InputError(f"{path}: damaged ({said}); repeat the comparison: finished runs are not repeated")
    kept = {name: fields[name] for name in _NEEDED if name != "for"}
    return Record(for_rule=fields["for"], **kept)


def _sound(name: str, value: Any) -> bool:
    """Return whether what is inside a field is what `Record.write` puts there."""
    if name == "runs":
        return all(isinstance(one, str) and NAME_OF_RUN.fullmatch(one) for one in value)
    if name == "failed":
        return all(isinstance(one, list) and len(one) == 2 and _texts(one) for one in value)
    if name == "argv":
        return _texts(value)
    return name != "tuning" or all(map(_search, value))


def _search(one: Any) -> bool:
    """Return whether a search is as `Tuned.to_dict` has it: pages rely on its parts fitting together."""
    if not isinstance(one, dict):
        return False
    grid, lists = one.get("grid"), {name: one.get(name) for name in ("seeds", "trials", "medians", "at_edge", "idle")}
    drawn = one.get("search")
    if not (isinstance(grid, dict) and grid and all(_tried(tried, drawn) for tried in grid.values())):
        return False
    if drawn is not None and not _drawn(drawn, one.get("place"), grid):
        return False
    if not all(isinstance(part, list) for part in lists.values()):
        return False
    seeds, trials, medians = (list[Any](lists[name] or ()) for name in ("seeds", "trials", "medians"))
    points = len(medians) if drawn is not None else prod(map(len, grid.values()))
    chosen = one.get("chosen")
    return (
        _texts([one.get(name) for name in ("task", "profile", "backend", "rule")])
        and isinstance(one.get("options"), dict)
        and len(seeds) > 0 and len(medians) == points > 0 and len(trials) == points * len(seeds)
        and all(map(_number, medians)) and all(map(_is_number, [one.get("runs"), one.get("passes")]))
        and (_is_number(one.get("loss")) or (chosen is None and one.get("loss") is None))
        and all(_trial(trial, grid) for trial in trials)
        and (chosen is None or (isinstance(chosen, dict) and set(chosen) == set(grid)))
        and all(isinstance(key, str) and key in grid for key in [*one["at_edge"], *one["idle"]])
        and all(_of_numbers(grid[key]) and chosen is not None for key in one["at_edge"])
    )  # fmt: skip


def _tried(tried: Any, drawn: Any) -> bool:
    """Return whether what was tried of a key is a list of values or, where points were drawn, a range."""
    if drawn is None or isinstance(tried, list):
        return isinstance(tried, list) and len(tried) > 0
    if not isinstance(tried, dict):
        return False
    low, high = tried.get("low"), tried.get("high")
    if low is None or high is None or not (_is_number(low) and _is_number(high)):
        return False
    return low < high and isinstance(tried.get("log"), bool)


def _drawn(search: Any, place: Any, grid: Mapping[str, Any]) -> bool:
    """Return whether a search that drew its points says how many, and where in its ranges the best lies."""
    return (
        isinstance(search, dict) and isinstance(search.get("kind"), str) and _is_number(search.get("trials"))
        and _is_number(search.get("seed")) and isinstance(place, dict)
        and all(key in grid and _is_number(value) for key, value in place.items())
    )  # fmt: skip


def _of_numbers(tried: Any) -> bool:
    return isinstance(tried, dict) or all(map(_is_number, tried))


def _trial(trial: Any, grid: Mapping[str, Any]) -> bool:
    return (
        isinstance(trial, dict) and isinstance(trial.get("values"), dict) and set(trial["values"]) == set(grid)
        and _number(trial.get("loss")) and _is_number(trial.get("passes"))
    )  # fmt: skip


def _texts(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _number(value: Any) -> bool:
    return value is None or _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
