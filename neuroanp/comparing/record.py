"""The record of a comparison, comparison.json beside its report: what was compared and tuned, and its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuroanp.errors import InputError
from neuroanp.records.json_io import read_object, write_object
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
    """Read the record of a comparison.

    Raises:
        InputError: it is damaged, or of a later format.
    """
    path = folder / NAME
    fields = read_object(path, "repeat the comparison: finished runs are not repeated")
    if fields.get("format") != FORMAT:
        raise InputError(f"{path}: written in format {fields.get('format')!r:.40}, this neuroanp reads {FORMAT}")
    wrong = [name for name, kind in _NEEDED.items() if not isinstance(fields.get(name), kind)]
    if wrong or fields.get("seal") != of_fields(fields):
        said = f"no {', '.join(wrong)}" if wrong else "its content has changed"
        raise InputError(f"{path}: damaged ({said}); repeat the comparison: finished runs are not repeated")
    kept = {name: fields[name] for name in _NEEDED if name != "for"}
    return Record(for_rule=fields["for"], **kept)
