"""Fit a device to measurements once: the profile, the figures and what was found are kept, and found again."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from neuroanp.errors import InputError, all_of
from neuroanp.fitting import Fit, Options, fit_files, inherited_notes, profile_text
from neuroanp.fitting.profile_text import base_of
from neuroanp.fitting.several import named
from neuroanp.profiles.loader import available, profile_path
from neuroanp.records import atomic
from neuroanp.records.identity import canonical, code_version
from neuroanp.records.json_io import read_limited, read_object, write_object
from neuroanp.records.places import check_root
from neuroanp.tables.source import read_source
from neuroanp.yaml_io import display

RECORD = "fit.json"
MOST_NAME = 60
"""Letters of a device's name: run directories and variants of its profile are named after it."""
MOST_BYTES = 64 << 20
KEYS = {"kind", "section", "law", "file", "data", "parameters", "goodness", "notes", "doubts", "figure"}
"""What a record has of each fit."""
_FIGURE = re.compile(r"fit-[a-z_]{1,40}\.svg")
ANEW = "or give --force, which fits again"


@dataclass(frozen=True)
class Data:
    """Measurements, and how they are to be fitted.

    Args:
        files: FILE or KIND:FILE. name: of the device. options: of the fit. kind: of files that state none.
        key: hash of what decides the fit beside the code: content of the files, options, name, base profile.
    """

    files: tuple[str, ...]
    name: str
    options: Options
    kind: str | None
    key: str

    @classmethod
    def of(
        cls, files: Sequence[str | Path], name: str | None = None, options: Options | None = None,
        kind: str | None = None,
    ) -> Data:  # fmt: skip
        """Read the files' content, to know them again; InputError tells of each that cannot be read, and of a name."""
        if not files:
            raise InputError("DATA: no file is named; name the tables of what was measured")
        options = options or Options()
        label = name or named(files[0])[1].stem
        read = all_of(lambda: _check_name(label, name is None), *(lambda file=file: _digest(file) for file in files))
        base = options.extends and profile_path(options.extends)
        held = read_source(base).sha256 if base is not None else None
        whole = {"files": read[1:], "options": asdict(options), "kind": kind, "name": label, "base": held}
        return cls(tuple(map(str, files)), label, options, kind, hashlib.sha256(canonical(whole).encode()).hexdigest())


def _digest(file: str | Path) -> list[Any]:
    kind, path = named(file)
    return [kind, path.name, read_source(path).sha256]


def _check_name(name: str, of_file: bool) -> None:
    """Refuse names that no profile or file can have, and those of shipped profiles, which it is shown beside."""
    why = ""
    if name in available():
        why = "is a shipped profile's, which it may be compared with"
    elif not 0 < len(os.fsencode(name)) <= MOST_NAME or not name.isprintable() or "/" in name or name.startswith("."):
        why = f"cannot name a device: 1 to {MOST_NAME} bytes, no slash, no dot in front"
    if why:
        raise InputError(
            f"--name: '{name:.80}'{' (of the first file)' if of_file else ''} {why}; write --name my_device"
        )


@dataclass(frozen=True)
class Measured:
    """A device that was measured.

    Args:
        data: what was fitted. text: the profile. found: what each fit found, as plain data.
        notes: on what is taken over from the base. base: its name. figures: of each fit, SVG, by file name.
        fits, date: what the profile is written of; none where it was read from its folder.
    """

    data: Data
    text: str
    found: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    base: str
    figures: Mapping[str, bytes] = field(default_factory=dict)
    fits: tuple[Fit, ...] = ()
    date: str = ""

    @property
    def name(self) -> str:
        """What the device is called."""
        return self.data.name

    @property
    def doubts(self) -> list[str]:
        """Why the laws do not describe what was measured; empty where they do."""
        return [f"{one['file']}, {one['section']}: {doubt}" for one in self.found for doubt in one["doubts"]]

    def profile(self, folder: Path) -> Path:
        """Return where the profile lies in a folder."""
        return folder / f"{self.name}.yaml"

    def placed(self, folder: Path) -> Measured:
        """Return it with the profile as it has to read in a folder: a base that is a file is named from there."""
        if not self.fits:  # it was read from its folder
            return self
        text = profile_text(self.fits, self.name, self.date, self.data.options.extends, False, folder)
        return replace(self, text=text)

    def save(self, folder: Path) -> None:
        """Write record, profile and figures into a folder; the record has the hash of each, and comes first.

        Raises:
            InputError: the place cannot be written to. RunError: the disk is full.
        """
        check_root(folder)
        with atomic.said(folder, atomic.OTHER_PLACE, atomic.REPEAT):
            folder.mkdir(parents=True, exist_ok=True)
        files = {self.profile(folder).name: self.text.encode(), **self.figures}
        write_object(folder / RECORD, {
            "key": self.data.key, "code": code_version(), "found": [*self.found], "notes": [*self.notes],
            "base": self.base, "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        })  # fmt: skip
        for name, content in files.items():
            atomic.write_bytes(folder / name, content, elsewhere=atomic.OTHER_PLACE, again=atomic.REPEAT)


def measure(data: Data, date: str) -> Measured:
    """Fit a device; nothing is written, and `placed` says how its profile reads where it is to lie.

    Args:
        data: what was measured. date: of the fit, YYYY-MM-DD.

    Raises:
        InputError: what is wrong with the measurements; or which tests the law fails, unless `options.anyway`.
    """
    fits = tuple(fit_files(data.files, data.options, data.kind))
    found = Measured(
        data, "", tuple(map(_plain, fits)), inherited_notes(fits, data.options.extends),
        data.options.extends or base_of(fits), dict(file for fit in fits for file in _figures(fit)), fits, date,
    )  # fmt: skip
    return found.placed(Path())  # what is wrong with the profile is told here


def _figures(fit: Fit) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of a fit's figure, of it for a phone, and of the numbers that it shows."""
    from neuroanp.fitting.plots import draw, figure
    from neuroanp.reporting.figure_data import csv_of

    content = (draw(fit, ".svg"), draw(fit, ".svg", phone=True), csv_of(figure(fit)).encode())
    yield from zip(names_of_figure(f"fit-{fit.kind}.svg"), content, strict=True)


def names_of_figure(name: str) -> tuple[str, str, str]:
    """Return the files of a fit's figure: itself, for a phone, and its numbers.

    >>> names_of_figure("fit-drift.svg")
    ('fit-drift.svg', 'fit-drift-phone.svg', 'fit-drift.csv')
    """
    stem = name.removesuffix(".svg")
    return name, f"{stem}-phone.svg", f"{stem}.csv"


def _plain(fit: Fit) -> dict[str, Any]:
    """Return what a fit found as plain data: what is printed of it, and its numbers in SI units."""
    parameters = [{**one.as_dict(), "text": one.text, "interval": one.interval} for one in fit.parameters]
    return {
        "kind": fit.kind, "section": fit.section, "law": fit.law, "file": fit.source, "sha256": fit.digest,
        "data": fit.data, "parameters": parameters, "goodness": [one.text for one in fit.goodness],
        "notes": [*fit.notes], "doubts": [*fit.doubts], "read": [*fit.account], "figure": f"fit-{fit.kind}.svg",
    }  # fmt: skip


def stored(data: Data, folder: Path, force: bool = False) -> Measured | None:
    """Return the fit that a folder has of the same measurements; None where it has none yet, or of earlier code.

    Args:
        data: what was measured. folder: of the assessment. force: whether what is there is replaced.

    Raises:
        InputError: the folder holds something else, or what was fitted has been changed since.
    """
    record = folder / RECORD
    if force or not folder.exists():
        return None
    if not folder.is_dir():
        raise InputError(f"-o {display(folder)}: is no folder; name another")
    if not record.exists():
        if any(not one.name.startswith(".") for one in folder.iterdir()):
            raise InputError(f"-o {display(folder)}: holds other files; name a new folder, or one of an assessment")
        return None
    told = read_object(record, f"move {display(folder)} away, {ANEW}")
    if told.get("key") != data.key:
        raise InputError(
            f"-o {display(folder)}: holds the assessment of other measurements, or of other options of the fit; name "
            f"another folder, {ANEW}"
        )
    return _read(data, folder, told) if told.get("code") == code_version() else None


def _read(data: Data, folder: Path, told: Mapping[str, Any]) -> Measured | None:
    """Read what was stored, and hold it to its hashes; None where writing it came to no end."""
    found, hashes, notes, base = (told.get(key) for key in ("found", "sha256", "notes", "base"))
    parts = found if isinstance(found, list) else []
    figures = [str(one["figure"]) for one in parts if isinstance(one, dict) and one.keys() >= KEYS]
    whole = parts and len(figures) == len(parts) and all(map(_FIGURE.fullmatch, figures))
    if not (whole and isinstance(hashes, dict) and isinstance(notes, list) and isinstance(base, str)):
        raise InputError(f"{display(folder / RECORD)}: damaged; move {display(folder)} away, {ANEW}")
    names = [f"{data.name}.yaml", *(name for one in figures for name in names_of_figure(one))]
    if not all((folder / name).exists() for name in names):
        return None
    content = {name: read_limited(folder / name, MOST_BYTES) for name in names}
    for name, held in content.items():
        if hashlib.sha256(held).hexdigest() != hashes.get(name):
            raise InputError(f"{display(folder / name)}: was changed since it was fitted; restore it, {ANEW}")
    text = content.pop(names[0]).decode()
    return Measured(data, text, tuple(parts), tuple(notes), base, content)
