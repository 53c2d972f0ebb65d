"""Run the blocks of a page as a reader does who copies one after the other, in one empty directory."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from neuroanp.cli.commands import app
from neuroanp.yaml_io import parse
from tests.docs.blocks import Block
from website.linked import ROOT

TRAINS = {"train", "compare", "transfer", "requirements", "assess"}
"""Commands that take minutes, and have a --dry-run."""
ELSEWHERE = {"pip install neuroanp && neuroanp demo": "tests/test_wheel.py"}
"""Lines that another test runs, and where."""


def run(blocks: list[Block], folder: Path) -> None:
    """Run all blocks of a page in `folder`, which is the working directory; AssertionError says where one fails."""
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks:
        write_named(block, folder)
    for block in blocks:
        if block.not_run:
            continue
        if block.kind == "python":
            _python(block, names)
        elif block.kind == "yaml":
            assert parse(block.text, f"line {block.line}").data
        elif block.kind in ("sh", "console", "") and commands(block):
            for words, shown in commands(block):
                _command(words, shown, block, folder)


def write_named(block: Block, folder: Path) -> None:
    """Write what begins with the name of a file into it: "# load.py", "# slurm.yaml"."""
    named = re.match(r"# ([\w.-]+\.(?:py|yaml))$", block.lines[0]) if block.kind in ("python", "yaml") else None
    if named:
        (folder / named[1]).write_text(block.text, encoding="utf-8")


def _python(block: Block, names: dict[str, Any]) -> None:
    if not block.lines[0].startswith("# "):
        exec(compile(block.text, f"line {block.line}", "exec"), names)


def commands(block: Block) -> list[tuple[str, list[str]]]:
    """Return the commands of a block, each with the lines that are printed below it."""
    found = list[tuple[str, list[str]]]()
    whole = re.sub(r"\\\n\s*", "", block.text).splitlines()
    if any(line.startswith("$ ") for line in whole):
        for line in whole:
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found:
                found[-1][1].append(line)
        return found
    plain = block.kind == "sh" or whole[0].split(" ")[0] in ("neuroanp", "make", "pip", "python")
    return [(line, []) for line in whole if line.strip()] if plain else []


def _command(line: str, shown: list[str], block: Block, folder: Path) -> None:
    bare = line.partition(" # ")[0].strip()
    if bare in ELSEWHERE:
        assert (ROOT / ELSEWHERE[bare]).exists()
        return
    for part in line.split(" && "):
        name, *words = shlex.split(part, comments=True)
        where = f"line {block.line}: {part}"
        if name == "cat":  # what the page shows of a file is what is in it
            (folder / words[0]).write_text("\n".join(shown) + "\n", encoding="utf-8")
        elif name == "make":
            assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), where
        elif name == "python" and words[0] != "-m":
            subprocess.run([sys.executable, *words], cwd=folder, check=True, timeout=300)
        else:
            assert name == "neuroanp", f"{where}: no test knows how to run it; say above the block why it is not run"
            _neuroanp(words, shown, block, where)


def _neuroanp(words: list[str], shown: list[str], block: Block, where: str) -> None:
    if words[0] in TRAINS or words[:2] == ["reproduce", "paper"]:
        words = [*words, *(block.behind or [word for word in ["--dry-run"] if word not in words])]
    done = CliRunner().invoke(app, words)
    said = f"{where} ({' '.join(words)}): {done.output}"
    told = bool(shown) and shown[0].startswith("error: ")
    assert done.exit_code == (2 if block.refused or told else 0), said
    if block.same or told:
        there = " ".join(done.output.split())
        assert [each for each in shown if each != "..." and " ".join(each.split()) not in there] == [], said
