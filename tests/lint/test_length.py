"""The check finds modules that are too long, and too many long ones, in every folder of code."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).with_name("length.py")
LINT = runpy.run_path(str(CHECK))
FOLDERS = ("neuroanp", "tests", "benchmarks", "examples", "notebooks", "website")


def house(root: Path, **more: dict[str, int]) -> Path:
    """Write a short module into every folder, and more of so many lines by folder and name."""
    for folder in FOLDERS:
        for name, lines in {"short": 10, **more.get(folder, {})}.items():
            path = root / folder / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x = 1\n" * lines)
    return root


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_module_may_have_450_lines_and_no_more(tmp_path, folder, capsys):
    assert LINT["main"](house(tmp_path, **{folder: {"room/long": 450, "b": 10, "c": 10}})) == 0
    assert f"longest of {folder}: {folder}/room/long.py, 450 of 450 lines" in capsys.readouterr().out
    house(tmp_path, **{folder: {"room/long": 451}})
    assert LINT["main"](tmp_path) == 1
    assert f"{folder}/room/long.py: 451 lines, at most 450: split it by what it does\n" in capsys.readouterr().out


def test_half_of_the_package_has_150_lines_at_most(tmp_path, capsys):
    house(tmp_path, neuroanp={"a": 200, "b": 150, "c": 150, "d": 200, "empty": 0}, tests={"a": 400, "b": 400})
    assert LINT["main"](tmp_path) == 0
    assert "; median 150 of 150\n" in capsys.readouterr().out
    house(tmp_path, neuroanp={"b": 151, "c": 151})
    assert LINT["main"](tmp_path) == 1
    assert "half of the modules have more than 151 lines, which may be 150 at most" in capsys.readouterr().out


def test_the_repository_passes_and_an_empty_place_is_no_success(tmp_path):
    done = subprocess.run([sys.executable, CHECK], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == len(FOLDERS)
    done = subprocess.run([sys.executable, CHECK, tmp_path], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing to look at: no Python file in " in done.stderr
