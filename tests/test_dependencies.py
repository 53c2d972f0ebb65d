"""What the package requires at run time is what it imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = {"pyyaml": "yaml", "pyvisa-sim": "pyvisa_sim", "dask-jobqueue": "dask_jobqueue"}
"""Import names that differ from the distribution's."""


def imported() -> set[str]:
    """Return the packages that any module of neuroanp imports, lazily or not, standard library left out.

    Scripts that lie in an export import its reader, which is looked for where they run.
    """
    found: set[str] = set()
    for path in {*(ROOT / "neuroanp").rglob("*.py")} - {*(ROOT / "neuroanp/export/checking").rglob("*.py")}:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"neuroanp"}


def test_every_required_package_is_imported_and_the_other_way_round():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = packages(project["dependencies"])
    extras = project["optional-dependencies"]
    optional = packages(line for name in extras for line in extras[name] if name != "test")
    assert required - imported() == set()
    # what comes with pydantic, Jinja2, torch's builds for GPUs, and what is there where a notebook is
    accompanying = {"pydantic_core", "typing_extensions", "markupsafe", "triton", "IPython"}
    assert imported() - required - optional - accompanying == set()


def packages(lines: Iterable[str]) -> set[str]:
    """Return the names under which what requirements name is imported."""
    names = (re.split(r"[^A-Za-z0-9_-]", line)[0].lower() for line in lines)
    return {MODULES.get(name, name) for name in names}
