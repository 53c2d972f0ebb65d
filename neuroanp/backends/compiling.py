"""Code that Brian2 makes is compiled, or the run is refused: Brian2 itself leaves out in silence what does not compile.

Its manager of extensions returns None where Cython finds an error, its code objects skip what is None, and a network
whose neurons do not move trains to the end. Brian2 is not imported here: its classes and objects are passed in.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from neuroanp.errors import InputError

BLOCKS = ("before_run", "run", "after_run")

_PLACES = (("thresholder", "threshold"), ("resetter", "reset"), ("stateupdater", "model"), ("subexpression", "model"))
_CYTHON = re.compile(r"^\S*\.pyx:(?P<line>\d+):\d+: *(?P<said>.*\S)")
_ERROR = re.compile(r"^(?:\S*:\d+:(?:\d+:)? *)?(?P<said>.*\berror: .*\S)", re.IGNORECASE)
_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_MADE = "_cython_magic"
"""How Brian2 names the modules that it has Cython make."""
_NO_DEBUGGING = "-g0"
"""Python's own flags ask for debugging information: a fifth of the compiler's time, and no instruction differs."""
CACHE = "check the free space and the permissions of Cython's cache (CYTHON_CACHE_DIR), or set compute.target: numpy"
COMPILER = "check the compiler (neuroanp doctor), or set compute.target: numpy"


class NotCompiled(InputError):
    """A block of Brian2's code did not compile; `part` is that of the neuron which it computes, or empty."""

    def __init__(self, message: str, problems: Iterable[str] = (), part: str = "") -> None:
        super().__init__(message, tuple(problems))
        self.part = part


@cache
def checked(kind: type) -> type:
    """Return a class of Brian2's code objects that refuses what does not compile; its compiler is quiet, and quick.

    For those of Cython: where numpy's are made, Brian2 asks for that very class, and Python's compiler is never silent.

    Raises (its `compile_block`):
        NotCompiled: with the first error of the compiler, in one line.
    """

    class Checked(kind):
        def __init__(self, *args: Any, **keywords: Any) -> None:
            super().__init__(*args, **keywords)
            if self.compiler == "unix":  # of distutils: gcc or clang
                self.extra_compile_args = [*self.extra_compile_args, _NO_DEBUGGING]

        def compile_block(self, block: str) -> Any:
            source = _source(self, block)
            with said_by_programs() as said:
                try:
                    made = _compiled(super().compile_block, block)
                except Exception as error:  # of Cython, distutils, the linker, the file system
                    raise _refusal(self, source, said(), error) from error
                if made is None and source:
                    raise _refusal(self, source, said(), None)
            return made

    return Checked


def verify(objects: Iterable[Any]) -> None:
    """Raise NotCompiled unless each block of code of each of Brian2's objects is there compiled."""
    for part in objects:
        for code in part.code_objects:
            for block in BLOCKS:
                if _source(code, block) and code.compiled_code.get(block) is None:
                    raise _refusal(code, _source(code, block), "", None)


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise NotCompiled itself instead of what Brian2 wraps around it."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, NotCompiled):
            cause = cause.__cause__
        if cause is None:
            raise
        raise cause from cause.__cause__


@contextmanager
def said_by_programs() -> Iterator[Callable[[], str]]:
    """Keep from the terminal what is written inside, by other programs too; what is yielded returns it."""
    with TemporaryFile() as file, open(file.fileno(), "w", errors="replace", closefd=False) as text:

        def said() -> str:
            text.flush()
            size = os.fstat(file.fileno()).st_size
            return os.pread(file.fileno(), min(size, 1_000_000), 0).decode(errors="replace")

        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        kept = [os.dup(number) for number in (1, 2)]
        try:
            with redirect_stdout(text), redirect_stderr(text):
                for number in (1, 2):
                    os.dup2(file.fileno(), number)
                yield said
        finally:
            for number, was in zip((1, 2), kept, strict=True):
                os.dup2(was, number)
                os.close(was)


def first_error(said: str, source: str = "") -> str:
    r"""Return the first error that a compiler wrote, with the line of its source; empty where it wrote none.

    >>> first_error("a.pyx:2:9: Expected an identifier\nb.cpp:7:1: error: x", "import numpy\ncdef double IF")
    "Expected an identifier, in 'cdef double IF'"
    >>> first_error("building\nx86_64-linux-gnu-g++: error: no space left")
    'x86_64-linux-gnu-g++: error: no space left'
    """
    lines, code = _ESCAPE.sub("", said).splitlines(), source.splitlines()
    for match in filter(None, map(_CYTHON.match, lines)):
        number = int(match["line"]) - 1
        where = code[number].strip() if number < len(code) else ""
        return _shown(match["said"]) + (f", in '{_shown(where)}'" if where else "")
    return next((_shown(match["said"]) for match in filter(None, map(_ERROR.match, lines))), "")


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))[:200]


def _source(code: Any, block: str) -> str:
    """Return the code of a block, empty where it does nothing."""
    source = (getattr(code.code, block, "") or "").strip()
    return "" if "EMPTY_CODE_BLOCK" in source else source


def _compiled(compile_block: Callable[[str], Any], block: str) -> Any:
    """Compile a block; what an earlier process left half written is removed, once."""
    try:
        return compile_block(block)
    except ImportError as error:
        left = Path(error.path or "")
        if not (left.name.startswith(_MADE) and left.suffix in (".so", ".pyd") and left.is_file()):
            raise
        left.unlink()
        return compile_block(block)


def _refusal(code: Any, source: str, said: str, error: Exception | None) -> NotCompiled:
    part = next((key for word, key in _PLACES if word in code.template_name or word in code.name), "")
    why = first_error(said, source) or (_shown(str(error)) or type(error).__name__ if error else "no error was told")
    remedy = CACHE if isinstance(error, OSError) or "No space left" in said else COMPILER
    return NotCompiled(f"Brian2's code '{code.name}' does not compile: {why}; {remedy}", part=part)
