"""The check finds arrays by a literal name, and exceptions that are none any more."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).with_name("arrays.py")
LINT = runpy.run_path(str(CHECK))


def house(root: Path, **files: str) -> Path:
    """Write modules of a package, by room and text; those that are excepted are there and say what they may."""
    for where in LINT["OTHERS"]:
        files = {where: 'x["w"]\n', **files}
    for where, text in files.items():
        path = root / where.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize("name", ["w_in", "w", "w_out"])
def test_a_literal_is_found_where_it_is_not_at_home(tmp_path, name, capsys):
    text = f'"""Weights {name}."""\n\nW = weights["{name}"]\n'
    files = {"neuroanp/network/init.py": text, "neuroanp/learning/mine.py": text}
    assert LINT["main"](house(tmp_path, **files)) == 1
    assert capsys.readouterr().out == (
        f"neuroanp/learning/mine.py:3: array '{name}' by a literal; take the network's projections\n"
    )


def test_names_within_others_are_none(tmp_path):
    assert LINT["main"](house(tmp_path, **{"neuroanp/mine.py": 'names = ("w_1", "w_in_2", "of w_out")\n'})) == 0


def test_exceptions_that_are_none_any_more_are_told(tmp_path, capsys):
    changed, gone, *_ = LINT["OTHERS"]
    (house(tmp_path) / changed).write_text("x = 1\n")
    (tmp_path / gone).unlink()
    assert LINT["main"](tmp_path) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"tests/lint/arrays.py: {changed}: has no such literal any more; drop the line",
        f"tests/lint/arrays.py: {gone} is not there any more; drop the line",
    ]


def test_an_empty_place_is_no_success(tmp_path, capsys):
    assert LINT["main"](tmp_path) == 2
    assert capsys.readouterr().err == f"nothing to look at in {tmp_path}\n"


def test_the_repository_passes():
    done = subprocess.run([sys.executable, str(CHECK)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
