"""The documentation site builds strictly, needs no other host, and no link leads nowhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import neuroanp
from website import best, check, hook
from website.linked import DOCS, ROOT

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
]


def test_no_link_of_a_page_leads_nowhere():
    assert len(PAGES) > 60
    broken = {page.relative_to(ROOT).as_posix(): check.broken_in_repository(page) for page in PAGES}
    assert {page: links for page, links in broken.items() if links} == {}


def test_what_is_made_at_build_time_is_said_in_the_file_and_stands_in_its_place_on_the_site(
    monkeypatch: pytest.MonkeyPatch,
):
    marks = {page: re.findall(r"<!-- generated: (\w+) -->", page.read_text(encoding="utf-8")) for page in PAGES}
    marked = {page: names for page, names in marks.items() if names}
    assert sorted(name for names in marked.values() for name in names) == sorted(hook.GENERATED)
    monkeypatch.setattr(hook, "GENERATED", {name: f"made: {name}".lower for name in hook.GENERATED})
    for page, names in marked.items():
        text = page.read_text(encoding="utf-8")
        assert text.count("*This part is made when the site is built (`make docs`).*") == len(names)
        site = SimpleNamespace(file=SimpleNamespace(src_uri=page.relative_to(DOCS).as_posix()), meta={})
        made = hook.on_page_markdown(text, site)
        assert "when the site is built" not in made
        assert "<!-- generated" not in made
        assert [name for name in names if f"made: {name}" not in made] == []


@pytest.mark.slow
def test_the_site_is_whole(tmp_path: Path):
    """A warning ends the strict build: a page or an anchor that is missing, a name without a docstring."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    nowhere, foreign, count = check.broken(tmp_path)
    assert count > 3000
    assert (nowhere, foreign) == ([], [])
    text = (tmp_path / "reference" / "python.html").read_text(encoding="utf-8")
    assert [name for name in neuroanp.__all__ if f'id="neuroanp.api.{name}"' not in text and name[0] != "_"] == []
    assert 'id="neuroanp-train"' in (tmp_path / "reference" / "commands.html").read_text(encoding="utf-8")
    assert 'id="config-task.copy"' in (tmp_path / "reference" / "config.html").read_text(encoding="utf-8")
    assert 'id="profile-read_law.pcm"' in (tmp_path / "reference" / "profile.html").read_text(encoding="utf-8")
    assert "<math" in (tmp_path / "theory" / "echo.html").read_text(encoding="utf-8")


def test_what_is_said_of_classes_is_what_their_tables_show():
    """Of the sentences in docs/results/index.md."""
    lowest = {device: dict[str, dict[str, float]]() for device in best.DEVICES}
    for row in best.rows():
        device = row["noise"].removesuffix("_tuned")
        for task in best.TASKS if device in lowest and row["class"] in ("S", "S+", "E") else ():
            if row.get(task):
                classes = lowest[device].setdefault(task, {})
                classes[row["class"]] = min(classes.get(row["class"], 1e9), float(row[task].split(" ")[0]))
    shown = {device: best.tables().split(f"### {title}")[1].split("###")[0] for device, title in best.DEVICES.items()}
    for device, tasks in lowest.items():
        for task, of in tasks.items():
            (line,) = (line for line in shown[device].splitlines() if line.startswith(f"| {best.TASKS[task]} |"))
            assert [float(cell) for cell in re.findall(r"\*\*(\S+)\*\*", line)][:3] == [of["S"], of["S+"], of["E"]]
    assert all(of["S"] <= of["S+"] for of in lowest["ideal"].values())
    ahead = {
        device: {task for task, of in tasks.items() if min(of, key=of.__getitem__) == "E"}
        for device, tasks in lowest.items()
    }
    assert ahead["ideal"] == set(best.TASKS) - {"xor"}
    assert ahead["smtj_koenders"] == set(best.TASKS) - {"xor", "adding"}
    assert ahead["pcm"] == {"copy5", "mackey_glass"}
    (lagged,) = {
        row["weather"] for row in best.rows() if row["noise"] == "ideal" and row["method"] == "lagged linear model"
    }
    assert all(loss > float(lagged) for of in lowest.values() for loss in of["weather"].values())
