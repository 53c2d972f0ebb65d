"""`neuroanp demo` is the comparison that the example's own first lines say, from any folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from neuroanp import api
from neuroanp.errors import RunError
from neuroanp.scaffolding.examples import copy


def test_it_is_the_command_that_the_example_shows(invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def noted(source: Any, **words: Any) -> None:
        beside = ("argv", "progress")
        words = {key: value for key, value in words.items() if key not in beside and value is not None}
        asked.append({**words, "profiles": [*words["profiles"]], "config": Path(source).read_text("utf-8")})
        raise RunError("that will do")

    monkeypatch.setattr(api, "compare", noted, raising=False)
    monkeypatch.chdir(tmp_path)
    copy(tmp_path / "examples", "demo")
    text = (tmp_path / "examples" / "demo.yaml").read_text("utf-8")
    (command,) = re.findall(r"^# +neuroanp (compare .*)", text, re.MULTILINE)
    assert [invoke(*words).exit_code for words in (["demo"], shlex.split(command), ["demo", "--updates", "4"])] == [
        1,
        1,
        1,
    ]
    one, other, small = asked
    how = {"time_limit", "memory_limit", "others", "dashboard", "cluster"}  # options that the demo leaves alone
    assert one == {key: value for key, value in other.items() if key not in how}
    assert one["profiles"] == ["ideal", "pcm", "smtj_koenders"]
    assert small == {**one, "overrides": {"training.updates": 4}}


def test_a_dry_run_of_it_writes_nothing(invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = invoke("demo", "--dry-run")
    assert (shown.exit_code, shown.stdout[:6]) == (0, "3 runs")
    assert not [*tmp_path.iterdir()]
