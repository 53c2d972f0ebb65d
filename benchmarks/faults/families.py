"""What hostile files have in common: a family makes files of one attack, a kind is what commands take them for."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.material import Material

ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe\u2066\u200b\x9b31m"
"""Retitles and clears a terminal, and turns the direction of what follows."""


@dataclass(frozen=True)
class Place:
    """Where a hostile file is made: an empty folder, the draws of this trial, and what must never be there.

    Args:
        folder: an empty folder. rng: the draws. canary: a file that code in a hostile file would make.
        secret: a file outside the folder, which links lead to; its content must not be shown, nor it be touched.
        base: files of ours.
    """

    folder: Path
    rng: random.Random
    canary: Path
    secret: Path
    base: Material


@dataclass(frozen=True)
class Family:
    """Hostile files of one kind.

    Args:
        kind: what they pretend to be: config, profile, csv, ... name: the attack.
        make: makes one, and returns where it is.
        fine: whether commands are to take it: False: all refuse; None: either, in good order.
    """

    kind: str
    name: str
    make: Callable[[Place], Path]
    fine: bool | None = False


FAMILIES: list[Family] = []


def family(kind: str, name: str, fine: bool | None = False) -> Callable[[Callable[[Place], Path]], None]:
    """Return a decorator that lists a maker of hostile files."""

    def listed(make: Callable[[Place], Path]) -> None:
        FAMILIES.append(Family(kind, name, make, fine))

    return listed


def texts(kind: str, suffix: str, given: dict[str, Callable[[Place], str | bytes]], fine: bool | None = False) -> None:
    """List families whose files are a text or bytes, by name."""

    def maker(content: Callable[[Place], str | bytes]) -> Callable[[Place], Path]:
        def make(place: Place) -> Path:
            path, data = place.folder / f"hostile{suffix}", content(place)
            path.write_bytes(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)
            return path

        return make

    FAMILIES.extend(Family(kind, name, maker(content), fine) for name, content in given.items())


def instead(kind: str, suffix: str) -> None:
    """List what can lie in the place of any file: a pipe, a folder, a link, a device, nothing, garbage."""

    def pipe(path: Path, place: Place) -> None:
        import os

        os.mkfifo(path)

    def folder(path: Path, place: Place) -> None:
        path.mkdir()
        (path / "inside").write_text("mine")

    def link(path: Path, place: Place) -> None:
        path.symlink_to(place.rng.choice(["/dev/zero", "/dev/tty", path.name, "nothing", "/proc/self/mem", "/"]))

    def garbage(path: Path, place: Place) -> None:
        path.write_bytes(
            place.rng.choice([b"", b"\0" * 4096, place.rng.randbytes(5000), b"\xff\xfe" + b"\n" * 99, b"PK\x03\x04"])
        )

    def spoken(path: Path, place: Place) -> None:
        path.write_bytes(place.rng.randbytes(50))

    def maker(put: Callable[[Path, Place], None], name: str) -> Callable[[Place], Path]:
        def make(place: Place) -> Path:
            path = place.folder / f"{name}{suffix}"
            put(path, place)
            return path

        return make

    said = f"a{ESCAPES.replace('/', '')}b"
    for what, put, name in (
        ("a pipe in its place", pipe, "hostile"), ("a folder in its place", folder, "hostile"),
        ("a link in its place", link, "hostile"), ("empty, zeros, noise", garbage, "hostile"),
        ("escapes in its name", spoken, said),
    ):  # fmt: skip
        FAMILIES.append(Family(kind, what, maker(put, name)))
