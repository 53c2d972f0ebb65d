"""The check finds every circle of imports, however the import is written, and nothing that is none."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).with_name("circles.py")
LINT = runpy.run_path(str(CHECK))


def package(root: Path, files: dict[str, str]) -> Path:
    """Write root/neuroanp/<name>.py for each name, with the packages around them."""
    for name, text in files.items():
        path = root / "neuroanp" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for folder in {root / "neuroanp", path.parent}:
            (folder / "__init__.py").touch()
    return root


def found(root: Path) -> list[list[str]]:
    return [[name.removeprefix("neuroanp.") for name in way] for way in LINT["circles"](LINT["graph"](root))]


@pytest.mark.parametrize(
    "back",
    [
        "import neuroanp.a",
        "import json, neuroanp.a as one",
        "from neuroanp.a import thing",
        "from neuroanp import a",
        "from neuroanp import a as one, b",
        "from .a import thing",
        "from . import a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from neuroanp.a import thing",
        "def f():\n    from neuroanp.a import thing",
        "try:\n    import neuroanp.a\nexcept ImportError:\n    pass",
    ],
)
def test_a_circle_of_two_is_found_however_it_is_written(tmp_path, back):
    package(tmp_path, {"a": "import os\nfrom neuroanp.b import thing", "b": back})
    assert found(tmp_path) == [["a", "b"]]
    said = LINT["told"](["neuroanp.a", "neuroanp.b"], LINT["graph"](tmp_path))
    at = next(n for n, row in enumerate(back.splitlines(), 1) if "import" in row and "typing" not in row)
    assert said.startswith(f"circle of imports: neuroanp.a (line 2) -> neuroanp.b (line {at}) -> neuroanp.a; move ")


def test_a_longer_circle_is_told_by_its_shortest_way_round(tmp_path):
    files = {"a": "from neuroanp import b, d", "b": "import neuroanp.room.c", "room/c": "import neuroanp.e"}
    package(tmp_path, {**files, "d": "import neuroanp.e", "e": "import neuroanp.a"})
    assert found(tmp_path) == [["a", "d", "e"], ["b", "room.c", "e", "a"]]  # b lies on no shorter one


@pytest.mark.parametrize(
    ("files", "way"),
    [
        ({"room/__init__": "from .a import x", "room/a": "from neuroanp.room import y"}, ["room", "room.a"]),
        ({"room/__init__": "import neuroanp.b", "room/a": "", "b": "import neuroanp.room.a"}, ["b", "room"]),
        ({"__init__": "import neuroanp.b", "b": "from neuroanp import __version__"}, ["neuroanp", "b"]),
    ],
)
def test_a_package_is_a_module_and_runs_before_what_lies_in_it(tmp_path, files, way):
    assert found(package(tmp_path, files)) == [way]


def test_what_is_no_circle_passes(tmp_path):
    files = {
        "a": "import neuroanp.b, neuroanp.c",
        "b": "from neuroanp.c import a",  # a name in c
        "c": "'import neuroanp.a'\nimport os",
        "d": "from neuroanp.room import two",
        "e": "from other.a import neuroanp\nimport e",
        "room/__init__": "from neuroanp.room.one import x",
        "room/one": "from neuroanp.room.two import x",  # while its package is being imported
        "room/two": "",
    }
    assert found(package(tmp_path, files)) == []


def test_the_package_passes_and_the_linter_says_so_by_its_exit_code(tmp_path):
    def run(*root: Path) -> tuple[int, str]:
        done = subprocess.run([sys.executable, CHECK, *root], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    assert run() == (0, "")
    assert run(tmp_path) == (2, f"nothing to look at: no Python file in {tmp_path / 'neuroanp'}\n")
    code, said = run(package(tmp_path, {"a": "import neuroanp.b", "b": "import neuroanp.a"}))
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("circle of imports: neuroanp.a (line 1) -> neuroanp.b (line 1) -> neuroanp.a; ")
