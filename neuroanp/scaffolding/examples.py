"""The commented configs that come with neuroanp: which there are, and copies of them to begin with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from neuroanp.errors import InputError, did_you_mean
from neuroanp.records.atomic import OTHER_PLACE, REPEAT, said, write_bytes
from neuroanp.shipped import EXAMPLES, shipped

IGNORED = ("__pycache__",)
WHOLE = re.compile(r".*[.?!](?=\s|$)")
FIRST = re.compile(r".*?[.?!](?=\s|$)")
"""As many sentences as end, and the first one."""


@dataclass(frozen=True)
class Example:
    """An example: its name, what it is in a line, and its file."""

    name: str
    summary: str
    path: Path


def examples() -> list[Example]:
    """Return all examples by name.

    >>> [one.summary for one in examples() if one.name == "copy3"]
    ['Remember three of four symbols over three silent steps, on ideal hardware: a first run of half a minute.']
    """
    there = sorted(shipped(EXAMPLES).glob("*.yaml"))
    return [Example(path.stem, summary(path.read_text("utf-8")), path) for path in there]


def example(name: str) -> Example:
    """Return one example by its name, with or without .yaml; InputError names the nearest, or all."""
    there = {one.name: one for one in examples()}
    wanted = name.removesuffix(".yaml").removeprefix(f"{EXAMPLES}/")
    if wanted not in there:
        raise InputError(f"no example '{name}'{did_you_mean(wanted, [*there])} (there are: {', '.join(there)})")
    return there[wanted]


def copy(into: Path, name: str | None = None) -> list[Path]:
    """Copy all examples with their data, or one and what data it names, into a folder, which is made if it is missing.

    Returns: the files that are there now. One that is there with the same content stays.

    Raises:
        InputError: a file of such a name is there with other content: nothing is copied then.
    """
    home = shipped(EXAMPLES)
    chosen = [*_files(home)] if name is None else [*_with_data(home, example(name).path)]
    pairs = [(path, Path(into) / path.relative_to(home)) for path in chosen]
    with said(Path(into), OTHER_PLACE, REPEAT):
        other = [str(to) for path, to in pairs if to.exists() and not (to.is_file() and _same(path, to))]
        if other:
            raise InputError("there with other content: move them away, or name another folder", other)
        for path, to in pairs:
            if not to.exists():
                to.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(to, path.read_bytes(), True, OTHER_PLACE, REPEAT)
    return [to for _, to in pairs]


def _same(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part in IGNORED for part in path.parts):
            yield path


def _with_data(home: Path, config: Path) -> Iterator[Path]:
    """Iterate over a config, and what lies beside it that its text names."""
    yield config
    text = config.read_text("utf-8")
    yield from (path for path in _files(home) if path != config and f"{EXAMPLES}/{path.relative_to(home)}" in text)


def summary(text: str) -> str:
    """Return what a config says of itself in whole sentences: those of its first line, or the one that begins there.

    >>> summary("# Copy 5. It is a task that\\n# takes long.\\n#   neuroanp train it.yaml")
    'Copy 5.'
    >>> summary("# A\\n# task. Or\\n# two.")
    'A task.'
    """
    lines = [*takewhile(lambda line: line.startswith("# ") and not line.startswith("#  "), text.splitlines())]
    said = [line.removeprefix("#").strip() for line in lines] or [""]
    found = WHOLE.match(said[0]) or FIRST.match(" ".join(said))
    return found[0] if found else " ".join(said)
