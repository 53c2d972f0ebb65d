"""Give wrong inputs one by one, in a folder that is as it was for each."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.wrong_inputs import place
from benchmarks.wrong_inputs.case import Answer, Case, answered, content, faults

MOST_S = 120
"""Longer than any refusal takes: what is not refused by then works."""


class _Late(BaseException):
    """What ends an input that was taken; no handler of errors takes it for its own."""


def given(case: Case, process: bool = False) -> Answer:
    """Give one input: to Python, or to the command line, in this process or in one of its own."""
    with case.within():
        if not isinstance(case.do, str):
            return answered(case.do)
        words = shlex.split(case.do)
        if process:
            command = [sys.executable, "-m", "neuroanp", *words]
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            return Answer(done.stderr, done.returncode, done.stdout)
        from typer.testing import CliRunner

        from neuroanp.cli.main import app

        done = CliRunner().invoke(app, words)
        return Answer(done.stderr, done.exit_code, done.stdout)


class Place:
    """A folder to be wrong in: the working directory while `open`.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._fresh = folder / "place", folder / "fresh"
        self._back = Path.cwd()
        self.folder.mkdir()
        os.chdir(self.folder)
        place.make(self.folder)
        shutil.copytree(self.folder, self._fresh, symlinks=True, ignore=_uncopied)
        self._before = content(self.folder)

    def close(self) -> None:
        """Go back to the working directory before."""
        os.chdir(self._back)

    def judged(self, case: Case, process: bool = False) -> tuple[Answer, list[str]]:
        """Give one input; return the answer, and what is wrong with it."""
        try:
            with _limited():
                answer = given(case, process)
        except _Late:
            answer = Answer("", 0, "took it, and began to work")
        after = content(self.folder)
        if after != self._before:
            self._restore()
        return answer, faults(case, answer, self._before, after)

    def _restore(self) -> None:
        os.chdir(self._back)
        shutil.rmtree(self.folder)
        shutil.copytree(self._fresh, self.folder, symlinks=True)
        place.uncopied(self.folder)
        os.chdir(self.folder)


def judge(cases: Sequence[Case], folder: Path, process: bool = False) -> Iterator[tuple[Case, Answer, list[str]]]:
    """Give all inputs; iterate over them with the answers and what is wrong with these."""
    there = Place(folder)
    try:
        for case in cases:
            yield case, *there.judged(case, process)
    finally:
        there.close()


@contextmanager
def _limited() -> Iterator[None]:
    def late(*_: object) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(MOST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _uncopied(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in place.UNCOPIED]
