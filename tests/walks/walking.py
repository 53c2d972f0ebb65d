"""Walk through a page of the docs as its reader does: in an empty directory, with the commands of an environment."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.walks.pages import Block, blocks

SESSION = """
import contextlib, io, json, sys, traceback
space = {"__name__": "__main__"}
for line in sys.stdin:
    said, code = io.StringIO(), json.loads(line)
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            exec(compile(code, "the page", "exec"), space)
        except BaseException:
            traceback.print_exc()
            space["__failed__"] = True
    print(json.dumps([said.getvalue(), space.pop("__failed__", False)]), file=sys.__stdout__, flush=True)
"""
"""One interpreter for the Python of a page, as a notebook is one."""


@dataclass(frozen=True)
class Step:
    """What one block did. Args: block: as it stood. said: stdout and stderr. seconds: how long it took."""

    block: Block
    said: str
    seconds: float


def walk(page: Path, commands: Path, where: Path, full: bool = False) -> list[Step]:
    """Write and run the blocks of a page in order; AssertionError with what was said where one ends otherwise.

    Args:
        page: the Markdown. commands: the folder with `neuroanp` and `python`. where: an empty directory.
        full: run them as a reader does, not at the size of tests.
    """
    from time import monotonic

    steps, session = [], None
    environment = environment_of(commands)
    try:
        for block in blocks(page):
            if block.skipped is not None:
                continue
            text, since = block.text if full else block.small, monotonic()
            if block.title is not None:
                (where / block.title).parent.mkdir(parents=True, exist_ok=True)
                (where / block.title).write_text(text, encoding="utf-8")
                said, code = "", block.code
            elif block.language == "bash":
                said, code = _shell(text, where, environment)
            else:
                session = session or _session(commands, where, environment)
                said, code = _python(session, text)
            assert code == block.code, f"{page.name}:{block.line}: exit code {code}\n{text}\n{said}"
            steps.append(Step(block, said, monotonic() - since))
    finally:
        if session is not None:
            session.kill()
            session.wait()
    return steps


def environment_of(commands: Path) -> dict[str, str]:
    """Return the variables of a shell that finds these commands first, and nothing of a checkout."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    kept |= {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    return kept


def _shell(text: str, where: Path, environment: dict[str, str]) -> tuple[str, int]:
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", text], cwd=where, env=environment, text=True, timeout=1500,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.stdout, done.returncode


def _session(commands: Path, where: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [commands / "python", "-c", SESSION], cwd=where, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def _python(session: subprocess.Popen[str], text: str) -> tuple[str, int]:
    assert session.stdin is not None
    assert session.stdout is not None
    session.stdin.write(json.dumps(text) + "\n")
    session.stdin.flush()
    said, failed = json.loads(session.stdout.readline() or '["the session ended", true]')
    return said, int(failed)
