"""What goes says what takes its place, and when; and goes then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lint.deprecated import PAGE, problems

WARNS = "old is deprecated and goes in 0.3.0; use new"
LINE = "| `old` | 0.3.0 | `new` |"


@pytest.mark.parametrize(
    ("words", "line", "said"),
    [
        (f'"{WARNS}"', LINE, ""),
        (f'"{WARNS}"', "| `older` | 0.3.0 | `new` |", "no line"),
        (f'"{WARNS}"', "| `old` | 0.4.0 | `new` |", "no line"),
        ('"old is deprecated and goes in 0.2.0; use new"', LINE.replace("3", "2"), "0.2.0 is there: remove it"),
        ('"old is deprecated; use new"', LINE, "as plain text"),
        ('"old is deprecated and goes in 0.3.0"', LINE, "as plain text"),
        (f'f"{WARNS}"', LINE, "as plain text"),
    ],
)
@pytest.mark.parametrize("way", ["@deprecated({})\ndef old(): ...", "warnings.warn({}, DeprecationWarning, 2)",
                                 "warn({}, category=DeprecationWarning)"])  # fmt: skip
def test_a_warning_is_held_to_the_page(tmp_path: Path, way: str, words: str, line: str, said: str) -> None:
    (tmp_path / "neuroanp" / "room").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / PAGE).write_text(f"# Page\n\n{line}\n", "utf-8")
    (tmp_path / "neuroanp" / "room" / "old.py").write_text(way.format(words), "utf-8")
    found = problems(tmp_path, (0, 2, 0))
    assert len(found) == bool(said)
    assert all(said in one and one.startswith("neuroanp/room/old.py:1: ") for one in found)


def test_other_warnings_are_not_its_business(tmp_path: Path) -> None:
    for name in ("neuroanp", "docs"):
        (tmp_path / name).mkdir()
    (tmp_path / PAGE).write_text("", "utf-8")
    code = 'warnings.warn("slow, as DeprecationWarning is not", RuntimeWarning)\n"""deprecated"""\n'
    (tmp_path / "neuroanp" / "a.py").write_text(code, "utf-8")
    assert problems(tmp_path, (9, 0, 0)) == []
