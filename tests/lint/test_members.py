"""The check for members asked by name: what it finds, what it lets pass, and that no permission stands for nothing."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).with_name("members.py")
LINT = runpy.run_path(str(CHECK))


def found(folder: Path, text: str, allowed: dict[str, str] | None = None) -> list[str]:
    """Return what the check says of a package of one module."""
    (folder / "neuroanp").mkdir()
    (folder / "neuroanp" / "mine.py").write_text(text)
    return LINT["problems"](folder, {"neuroanp/mine.py": allowed or {}})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("getattr(rule, name)", "rule"),
        ("x = y if hasattr(law.read, 'process') else None", "law.read?"),
        ("getattr(backend, 'spiking', False)", "backend?"),
        ("import builtins\nbuiltins.getattr(rule, 'K', 1)", "rule?"),
        ("ask = getattr", "getattr"),
        ("from functools import partial\nask = partial(hasattr, rule)", "hasattr"),
        ("import operator\noperator.attrgetter('K')(rule)", "attrgetter"),
        ("from operator import attrgetter as ask", "attrgetter"),
        ("import inspect\ninspect.getattr_static(rule, 'K')", "getattr_static"),
        ("try:\n    rule.K\nexcept (KeyError, AttributeError):\n    pass", "except AttributeError"),
        ("try:\n    rule.K\nexcept AttributeError as error:\n    pass", "except AttributeError"),
        ("import typing\n@typing.runtime_checkable\nclass P(typing.Protocol): ...", "runtime_checkable"),
    ],
)
def test_asking_by_name_is_found_wherever_it_stands(tmp_path, text, key):
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "import" not in row or "from operator" in row)
    line += key == "except AttributeError" and 2
    said = found(tmp_path, text)
    assert len(said) == 1
    assert said[0].startswith(f"neuroanp/mine.py:{line}: asks `{key.removesuffix('?')}` for a member by name; list ")
    assert f"'{key}' in tests/lint/members.toml" in said[0]


def test_what_asks_nobody_passes(tmp_path):
    text = "'getattr(rule, 1)'\n# hasattr(rule, 'K')\nvars(rule)\nraise AttributeError(name)\nsetattr(rule, 'K', 1)\n"
    assert found(tmp_path, text + "try:\n    pass\nexcept KeyError:\n    pass\nexcept:\n    pass\n") == []


def test_a_permission_is_for_one_thing_in_one_file_and_says_why(tmp_path):
    reason = "numpy's arrays have it"
    assert found(tmp_path, "getattr(array, 'tolist', None)", {"array?": reason}) == []
    (said,) = LINT["problems"](tmp_path, {"neuroanp/mine.py": {"array?": "numpy"}})
    assert "has no reason" in said
    said = LINT["problems"](tmp_path, {"neuroanp/mine.py": {"array": reason}})  # without a default: another one
    assert [line.split(": ", 1)[0] for line in said] == ["neuroanp/mine.py:1", "tests/lint/members.toml"]
    said = LINT["problems"](tmp_path, {"neuroanp/other.py": {"array?": reason}})
    assert said[1] == "tests/lint/members.toml: neuroanp/other.py: nothing there asks `array?` any more; drop the line"


def test_the_package_passes_and_the_linter_says_so_by_its_exit_code(tmp_path):
    assert subprocess.run([sys.executable, CHECK], capture_output=True, text=True).stdout == ""
    copy = tmp_path / "tests" / "lint" / "members.py"
    copy.parent.mkdir(parents=True)
    copy.write_text(CHECK.read_text())
    (copy.parent / "members.toml").write_text('["neuroanp/mine.py"]\nrule = "a rule of no use"\n')
    (tmp_path / "neuroanp").mkdir()
    done = subprocess.run([sys.executable, copy], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert (
        done.stdout == "tests/lint/members.toml: neuroanp/mine.py: nothing there asks `rule` any more; drop the line\n"
    )
