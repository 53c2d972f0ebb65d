"""The check for attributes set from outside: what it finds, and that no permission stands for nothing."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).with_name("outside.py")
LINT = runpy.run_path(str(CHECK))


def found(folder: Path, text: str, allowed: dict[str, str] | None = None) -> list[str]:
    """Return what the check says of a package of one module."""
    (folder / "neuroanp").mkdir()
    (folder / "neuroanp" / "mine.py").write_text(text)
    return LINT["problems"](folder, {"neuroanp/mine.py": allowed or {}})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("chip.now = 1", "chip.now"),
        ("self.chip.now += 1", "self.chip.now"),
        ("chips[0].now: float = 1.0", "chips[0].now"),
        ("make().now = 1", "make().now"),
        ("self.now, (chip.now, b) = 1, (2, 3)", "chip.now"),
        ("a = self.now = chip.now = 1", "chip.now"),
        ("for chip.now in times: pass", "chip.now"),
        ("[1 for chip.now in times]", "chip.now"),
        ("with idle() as chip.now: pass", "chip.now"),
        ("del chip.now", "chip.now"),
        ("class A:\n    def f(self, other): other.x = self.x", "other.x"),
        ("setattr(chip, name, 1)", "chip"),
        ("import builtins\nbuiltins.setattr(chip, 'now', 1)", "chip"),
        ("delattr(self.chip, 'now')", "self.chip"),
        ("object.__setattr__(chip, 'now', 1)", "chip"),
        ("Chip.__setattr__(chip, 'now', 1)", "chip"),
        ("chip.__setattr__('now', 1)", "chip"),
        ("put = setattr", "setattr"),
        ("from builtins import setattr as put", "setattr"),
        ("vars(chip)['now'] = 1", "vars(chip)"),
        ("vars(chip).update(now=1)", "vars(chip)"),
        ("chip.__dict__['now'] += 1", "chip.__dict__"),
        ("chip.__dict__.pop('now')", "chip.__dict__"),
    ],
)
def test_setting_is_found_however_it_is_written(tmp_path, text, key):
    line = next(n for n, row in enumerate(text.splitlines(), 1) if not row.startswith(("class", "import")))
    (said,) = found(tmp_path, text)
    assert said.startswith(f"neuroanp/mine.py:{line}: sets `{key}` from outside; ")
    assert f"'{key}' in tests/lint/outside.toml" in said


@pytest.mark.parametrize(
    "text",
    [
        "self.now = cls.count = 1",
        "self.now += chip.now",
        "del self.now",
        "setattr(self, name, 1)",
        "object.__setattr__(self, 'now', 1)",
        "super().__setattr__('now', 1)",
        "self.__setattr__('now', 1)",
        "vars(self).update(vars(chip))",
        "self.__dict__['now'] = vars(chip)['now']",
        "chip.cells['g'] = g",  # a dictionary that it holds, not the object
        "now = chip.now",
        "f(now=1)\nnow: int = 2\n'chip.now = 1'  # chip.now = 1",
        "found.update(now=1)",
    ],
)
def test_an_object_that_sets_its_own_passes(tmp_path, text):
    assert found(tmp_path, text) == []


def test_a_permission_is_for_one_thing_in_one_file_and_says_why(tmp_path):
    reason = "an object of numpy's"
    assert found(tmp_path, "array.flags.writeable = False", {"array.flags.writeable": reason}) == []
    (said,) = LINT["problems"](tmp_path, {"neuroanp/mine.py": {"array.flags.writeable": "numpy"}})
    assert "has no reason" in said
    said = LINT["problems"](tmp_path, {"neuroanp/other.py": {"array.flags.writeable": reason}})
    assert said[0].startswith("neuroanp/mine.py:1: sets `array.flags.writeable`")
    assert said[1:] == [
        "tests/lint/outside.toml: neuroanp/other.py: nothing there sets `array.flags.writeable` any more; drop the line"
    ]


def test_the_package_passes_and_the_linter_says_so_by_its_exit_code(tmp_path):
    assert subprocess.run([sys.executable, CHECK], capture_output=True, text=True).stdout == ""
    copy = tmp_path / "tests" / "lint" / "outside.py"
    copy.parent.mkdir(parents=True)
    copy.write_text(CHECK.read_text())
    (copy.parent / "outside.toml").write_text('["neuroanp/mine.py"]\n"chip.now" = "a chip of no use"\n')
    (tmp_path / "neuroanp").mkdir()
    done = subprocess.run([sys.executable, copy], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert (
        done.stdout
        == "tests/lint/outside.toml: neuroanp/mine.py: nothing there sets `chip.now` any more; drop the line\n"
    )


def test_make_lint_runs_it():
    root = Path(__file__).parents[2]
    assert "tests/lint/outside.py" in (root / "Makefile").read_text()
