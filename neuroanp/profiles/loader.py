"""Find profile files, resolve `extends`, and load them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from neuroanp.errors import InputError, did_you_mean
from neuroanp.files import real
from neuroanp.profiles.provenance import Provenance, shares, unwrap
from neuroanp.profiles.schema import HardwareProfile, Meta
from neuroanp.shipped import shipped
from neuroanp.yaml_io import Document, Key, Problem, Section, failed, parse, read, validate


def directory() -> Path:
    """Return the folder of the shipped profiles: inside an installed wheel, beside the package in a checkout."""
    return shipped("hardware_profiles")


def available() -> list[str]:
    """List the names of the shipped profiles, sorted."""
    return sorted(path.stem for path in directory().glob("*.yaml"))


def profile_path(name: str | Path) -> Path:
    """Return the file of a shipped profile's name, or a path as it is.

    What ends in .yaml or .yml or holds a slash is a path.

    Raises:
        InputError: no shipped profile has that name; the message lists them.
    """
    text = str(name)
    if isinstance(name, Path) or text.endswith((".yaml", ".yml")) or "/" in text or "\\" in text:
        return Path(name)
    known = available()
    if text not in known:
        raise InputError(
            f"unknown profile '{text}'{did_you_mean(text, known)} (shipped: {', '.join(known)}; "
            f"a file of your own goes by its path, e.g. ./{text or 'mine'}.yaml)"
        )
    return directory() / f"{text}.yaml"


def load(name: str | Path) -> HardwareProfile:
    """Load a profile by name or path.

    Args:
        name: a shipped profile ("pcm") or the path of a YAML file.

    Returns: the frozen profile, all quantities in SI units.

    Raises:
        InputError: with one line "file:line: key: what; remedy" for everything wrong at once.

    >>> profile = load("pcm")
    >>> profile.conductance.g_max, profile.conductance.coding
    (2.5e-05, 'differential')
    """
    path = profile_path(name)
    document = read(path)
    if "task" in document.data and not {"meta", "extends"} & {*document.data}:
        raise InputError(
            f"{document.label}: the config of a run, for it names a task; profiles have meta, conductance, array, ...; "
            f"to train with it: neuroanp train {document.label}"
        )
    return _build(*_resolve(document, path.parent, (real(path),)))


def loads(text: str, label: str = "profile") -> HardwareProfile:
    """Load a profile from YAML text, such as the `text` of another; relative paths start at the working directory."""
    return _build(*_resolve(parse(text, label), Path(), ()))


class Summary(NamedTuple):
    """What a profile is, and how many of its parameters have each status."""

    meta: Meta
    shares: dict[str, int]


def summaries() -> list[Summary]:
    """Return what every shipped profile is, without loading any law."""

    class Head(Section):
        meta: Meta

    found = []
    for path in map(profile_path, available()):
        document, stated, _, problems = _resolve(read(path), path.parent, (real(path),))
        head = validate(replace(document, data={"meta": document.data.get("meta")}), Head, problems=problems)
        found.append(Summary(head.meta, shares(origin for key, origin in stated.items() if key[-1] != "law")))
    return found


def _build(
    document: Document, stated: dict[Key, Provenance], inherited: dict[Key, str], problems: list[Problem]
) -> HardwareProfile:
    return validate(document, HardwareProfile, problems=problems).with_provenance(stated, inherited)


_Resolved = tuple[Document, dict[Key, Provenance], dict[Key, str], list[Problem]]


def _resolve(written: Document, folder: Path, below: tuple[Path, ...]) -> _Resolved:
    """Merge a document into the one it extends; `below` are the files that extend this one.

    Returns: the document, the provenance of its values, the name of the profile that each inherited one is of, and what
    is wrong.
    """
    document, stated, problems = unwrap(written)
    document = _with_files(document, folder)
    if "extends" not in document.data:
        return document, stated, {}, problems
    base = document.data["extends"]
    if not isinstance(base, str) or not base:
        raise failed(document, [Problem(("extends",), f"{base!r} is not a profile; write a name or a path")])
    try:
        path = profile_path(base)
    except InputError as error:
        raise failed(document, [*problems, Problem(("extends",), error.message)]) from None
    path = real(path if path.is_absolute() else folder / path)
    if path in below or len(below) > 8:
        chain = " -> ".join(str(p.name) for p in (*below, path))
        raise failed(document, [Problem(("extends",), f"profiles extend each other in a circle: {chain}")])
    base_document, base_stated, base_inherited, base_problems = _resolve(read(path), path.parent, (*below, path))
    meta = document.data.get("meta")
    if not isinstance(meta, dict) or "name" not in meta:
        problems.append(Problem(("meta", "name"), "a profile that extends another needs a name of its own"))
    merged = _merge(document, base_document)
    kept = {key: origin for key, origin in (base_stated | stated).items() if _holds(merged.data, key)}
    about = base_document.data.get("meta")
    owner = str(about.get("name", base) if isinstance(about, dict) else base)
    inherited = {key: base_inherited.get(key, owner) for key in kept if key not in stated}
    return merged, kept, inherited, base_problems + problems


def _with_files(document: Document, folder: Path) -> Document:
    """Make the files that sections name absolute: they are relative to the folder of the profile that names them."""

    def placed(part: Any) -> Any:
        name = part.get("file") if isinstance(part, dict) else None
        return {**part, "file": str(folder.absolute() / name)} if isinstance(name, str) and name else part

    return replace(document, data={name: placed(part) for name, part in document.data.items()})


def _merge(child: Document, base: Document) -> Document:
    """Lay a document over another, key by key; lines stay those of the file each key is from."""
    data = _overlay(base.data, {name: part for name, part in child.data.items() if name != "extends"})
    lines = {**base.lines, **child.lines}
    origin = {key: base.origin.get(key, base.label) for key in base.lines if key not in child.lines}
    return Document(child.label, data, lines, child.text, origin | dict(child.origin))


def _overlay(base: Any, child: Any) -> Any:
    """Merge two mappings deeply; a section that picks another law replaces the one below it."""
    if not isinstance(base, dict) or not isinstance(child, dict):
        return child
    if "law" in child and child["law"] != base.get("law"):
        return child
    return {**base, **{name: _overlay(base.get(name), part) for name, part in child.items()}}


def _holds(data: Any, key: Key) -> bool:
    inside: Any = data
    for part in key:
        if isinstance(inside, list):
            inside = dict(enumerate(inside))
        if not isinstance(inside, dict) or part not in inside:
            return False
        inside = inside[part]
    return True
