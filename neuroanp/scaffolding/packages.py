"""Write a package with one thing in it, a device law, a task, a rule or a cell: installable, commented, with a test."""

from __future__ import annotations

import keyword
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from neuroanp.errors import InputError
from neuroanp.records.atomic import OTHER_PLACE, REPEAT, said, write_text
from neuroanp.registry import Registry

TEMPLATES = Path(__file__).with_name("templates")
COMMON = {"pyproject.toml": "pyproject.toml.txt", ".gitignore": "gitignore.txt", "@package@/__init__.py": "init.py.txt"}
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True)
class Kind:
    """A kind of thing.

    Args:
        what: it in words. groups: of entry points, in which a name must be new; the first is where the thing goes.
        files: templates by the path in the package. use: the command that uses it, from within the package.
    """

    what: str
    groups: tuple[str, ...]
    files: dict[str, str]
    use: str


KINDS = {
    "device": Kind(
        "the read law of a device", ("laws.read",),
        {"@package@/@name@.py": "law.py.txt", "@package@/@name@.yaml": "profile.yaml.txt"},
        "neuroanp train --task copy --updates 20 --profile @package@/@name@.yaml",
    ),
    "task": Kind(
        "the task", ("tasks",), {"@package@/@name@.py": "task.py.txt"}, "neuroanp train --task @name@ --updates 20"
    ),
    "rule": Kind(
        "the learning rule", ("rules", "baselines", "learners"), {"@package@/@name@.py": "rule.py.txt"},
        "neuroanp train --task copy --updates 20 --rule @name@",
    ),
    "cell": Kind(
        "the cell", ("cells", "neurons"), {"@package@/@name@.py": "cell.py.txt"},
        "neuroanp train --task copy --updates 20 --set 'network.layers=[{cell: @name@, units: 32}]'",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """What was written.

    Args:
        path: the directory of the package, or the config's file. files: all of it, beside one another.
        commands: what to do next. lacking: what has to be said before, a line each.
    """

    path: Path
    files: list[Path]
    commands: list[str]
    lacking: tuple[str, ...] = ()


def new_package(kind: str, name: str, into: Path = Path()) -> Made:
    """Write the package `into`/`name` with a thing of that name and kind.

    Args:
        kind: of KINDS. name: what configs and profiles will call it; the package is called neuroanp_NAME, such that
            no name hides a module. into: the folder to make it in, which is made if it is missing.

    Raises:
        InputError: the name is none, or another thing's, or there is something of that name already.
    """
    of = KINDS[kind]
    check_name(name)
    _check_free(kind, of, name)
    target = Path(into) / name
    if os.path.lexists(target):
        raise InputError(f"{target}: exists already; choose another name, or another folder with --into")
    words = _words(kind, of, name)
    files = {**COMMON, **{path: f"{kind}/{one}" for path, one in of.files.items()}}
    files |= {"README.md": f"{kind}/README.md.txt", "tests/test_@name@.py": f"{kind}/test.py.txt"}
    building = target.with_name(f".{name}.{os.getpid()}.tmp")
    with said(target, OTHER_PLACE, REPEAT):
        try:
            for path, template in files.items():
                at = building / _filled(path, words)
                at.parent.mkdir(parents=True, exist_ok=True)
                write_text(at, _filled((TEMPLATES / template).read_text("utf-8"), words), OTHER_PLACE, REPEAT)
            os.rename(building, target)
        finally:
            shutil.rmtree(building, ignore_errors=True)  # gone already where the rename came through
    commands = [f"cd {quote(str(target))}", "pip install -e .", _filled(of.use, words), "python -m pytest tests"]
    return Made(target, [target / _filled(path, words) for path in files], commands)


def check_name(name: str) -> None:
    """Raise InputError for what can be no name of a thing, which is the name of a module and of an entry point too."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise InputError(
            f"'{name[:60]}' can be no name here; take a-z, 0-9 and _, a letter first, at most 40, such as my_cell"
        )


def _check_free(kind: str, of: Kind, name: str) -> None:
    for group in of.groups:
        if name in Registry(kind, f"neuroanp.{group}").names():
            raise InputError(f"{kind} '{name}' is there already ({group}); choose another name")


def _words(kind: str, of: Kind, name: str) -> dict[str, str]:
    """Return what stands in the places of a template."""
    return {
        "name": name,
        "Class": "".join(part.capitalize() for part in name.split("_")),
        "package": f"neuroanp_{name}",
        "dist": f"neuroanp-{name.replace('_', '-').strip('-')}",
        "group": f"neuroanp.{of.groups[0]}",
        "what": of.what,
        "What": of.what[0].upper() + of.what[1:],
    }


def _filled(text: str, words: dict[str, str]) -> str:
    """Return a template with its places filled.

    >>> _filled("@package@/@name@.py", {"package": "neuroanp_x", "name": "x"})
    'neuroanp_x/x.py'
    """
    return re.sub(r"@([A-Za-z]+)@", lambda found: words[found[1]], text)
