"""The Makefile gives each tier of tests its marks and its workers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _called(*words: str, **environment: str) -> str:
    """Return the command of pytest that make would run; what the make that runs these tests was told is left out."""
    own = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "WORKERS", "VENV")}
    ran = subprocess.run(
        ["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=True, env=own | environment
    )
    (line,) = (line for line in ran.stdout.splitlines() if "-m pytest" in line)
    return line


@pytest.mark.parametrize(
    ("words", "workers", "marks"),
    [
        (["test"], 2, "not slow and not long"),
        (["test-slow"], 3, "slow and not long"),
        (["test-long"], 2, "long"),
        (["test-slow", "WORKERS=5"], 5, "slow and not long"),
    ],
)
def test_each_tier_has_its_tests_and_its_workers(words: list[str], workers: int, marks: str):
    line = _called(*words)
    assert f"-n {workers} " in line
    assert line.split(" -m ")[-1].strip("'") == marks


@pytest.mark.parametrize("tier", ["test", "test-slow"])
def test_the_shell_may_say_how_many(tier: str):
    assert "-n 7 " in _called(tier, WORKERS="7")
