"""Every code block of the pages is run, by copy and paste, in an empty directory, or the page says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.docs.running import commands, run
from website.linked import ROOT

WALKS = {"tutorials", "how-to"}
"""Folders whose pages are walked through in an environment of their own, by other tests."""
OURS = [page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent.name not in WALKS]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *OURS]
KINDS = {"", "console", "python", "sh", "text", "toml", "yaml"}


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


MINUTES = {"docs/results/paper.md", "docs/results/systems.md"}
"""Pages whose blocks run for most of a minute even when small."""


def _tier(page: Path) -> list[pytest.MarkDecorator]:
    return [pytest.mark.long] * (name(page) in MINUTES)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_says_what_it_is(page: Path):
    found = blocks(page)
    assert {block.kind for block in found} <= (KINDS if page.parent == ROOT else KINDS - {""})
    assert [block.line for block in found if block.kind in ("sh", "console") and not commands(block)] == []


@pytest.mark.slow
@pytest.mark.usefixtures("in_turn")
@pytest.mark.parametrize("page", [pytest.param(p, marks=_tier(p), id=name(p)) for p in PAGES if blocks(p)])
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    run(blocks(page), tmp_path)
