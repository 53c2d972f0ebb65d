"""Errors a user can act on: each says where, what, what is allowed and the remedy."""

import errno
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from unicodedata import category

_limits: ModuleType | None = None
try:  # at once: where memory has run out it could no longer be loaded
    import resource

    _limits = resource
except ImportError:  # a platform without such limits
    pass

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories that act on a terminal or a reader unseen: controls, directions, no widths, ends of lines."""


def printable(text: str) -> str:
    """Return a text whose hidden characters are written as escapes; line breaks and tabs stay, for they lay out ours.

    Text of others (files, names, arguments) must not reach a terminal or a page otherwise: an escape sequence can
    recolour, retitle or overwrite what was said, and a change of direction can reverse it.

    >>> print(printable("pcm\\x1b[31m \\u202ered\\r"))
    pcm\\x1b[31m \\u202ered\\r
    >>> printable("\\ta\\n\\x1bb\\n")
    '\\ta\\n\\\\x1bb\\n'
    """
    if text.isprintable():
        return text
    if "\n" in text:  # a page's lines are long, and hardly one of them hides anything
        return "\n".join(map(printable, text.split("\n")))
    return "".join(c if c == "\t" or category(c) not in HIDDEN else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


class _Printable(logging.Filter):
    """Make what neuroanp logs printable, whoever shows it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = printable(record.getMessage()), None
        return True


logging.getLogger("neuroanp").addFilter(_Printable())


class NeuroanpError(Exception):
    """Base of all errors that neuroanp raises on purpose; `exit_code` is the command's. Its text is printable."""

    exit_code = 1

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(NeuroanpError):
    """Bad usage or bad input (exit code 2).

    Args: message: where, what, what is allowed, the remedy. problems: one line for each thing wrong, all at once.

    >>> error = InputError("pcm.yaml has 1 problem", ["pcm.yaml:5: conductance.g_max: not a conductance"])
    >>> print(error)
    pcm.yaml has 1 problem
      pcm.yaml:5: conductance.g_max: not a conductance
    """

    exit_code = 2

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        self.message = message
        self.problems: tuple[str, ...] = tuple(problems)
        super().__init__(message)

    def __str__(self) -> str:
        return printable("\n".join([self.message, *(f"  {line}" for line in self.problems)]))

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the line of the caller's own code, and what is wrong with it; not ours."""
        from itertools import takewhile
        from traceback import extract_tb

        def caller(frame: Any) -> bool:
            return not Path(frame.filename).is_relative_to(Path(__file__).parent)

        frames = [*takewhile(caller, extract_tb(self.__traceback__))]
        where = [f"line {frames[-1].lineno}: {frames[-1].line}"] if frames else []
        return [*where, f"{type(self).__name__}: {self}"]

    # exceptions with arguments must survive the trip from a worker process
    def __reduce__(self) -> tuple[type, tuple[str, tuple[str, ...]]]:
        return type(self), (self.message, self.problems)


class RunError(NeuroanpError):
    """A run failed (exit code 1); its record and last good checkpoint are intact.

    >>> RunError("the disk is full").exit_code
    1
    """


class HeldError(RunError):
    """Another process holds the run's record; the message names it."""


class StoppedError(RunError):
    """The user stopped the run; its last checkpoint is intact."""


class DivergedError(RunError):
    """The loss or a weight left the finite numbers; the message says at which update.

    Args:
        message: what happened.
        path: the run's directory, which keeps what led there; None where there is none.

    >>> DivergedError("the loss is nan at update 3", path=Path("runs/one")).path.name
    'one'
    """

    def __init__(self, message: str, *, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


def all_of(*readers: Callable[[], Any]) -> list[Any]:
    """Call every reader and return what they read; one InputError with the problems of all that fail."""
    found, failed = [], []
    for read in readers:
        try:
            found.append(read())
        except InputError as error:
            failed.append(error)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        lines = [line for error in failed for line in error.problems or [error.message]]
        raise InputError(f"the arguments have {len(lines)} problems", lines)
    return found


def nearest(word: str, allowed: Sequence[str]) -> str | None:
    """Return the allowed word nearest to `word`, upper and lower case aside, or None.

    >>> nearest("k", ["gamma", "K"]), nearest("t_red", ["t_read", "t0"]), nearest("x", ["gamma"])
    ('K', 't_read', None)
    """
    from difflib import get_close_matches

    folded = {name.casefold(): name for name in reversed(allowed)}
    near = get_close_matches(word.casefold(), folded, n=1)
    return folded[near[0]] if near else None


def did_you_mean(word: str, allowed: Sequence[str]) -> str:
    """Return "; did you mean 'x'?" for the nearest allowed word, or the empty string.

    >>> did_you_mean("t_red", ["t_read", "t0"])
    "; did you mean 't_read'?"
    """
    near = nearest(word, allowed)
    return f"; did you mean '{near}'?" if near else ""


def refused_by_machine(error: BaseException) -> str | None:
    """Say in one line what the machine refused, if that is what an exception or what caused it means; else None.

    >>> refused_by_machine(OSError(errno.EMFILE, "Too many open files"))  # doctest: +ELLIPSIS
    'too many open files: a process may have ... at a time (ulimit -n); raise that limit, or take fewer --workers'
    >>> refused_by_machine(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")) is None
    False
    >>> refused_by_machine(ValueError("out of range")) is None
    True
    """
    for one in _chain(error):
        for number, words, say in _REFUSALS:
            if (isinstance(one, OSError) and one.errno in number) or words.search(f"{type(one).__name__}: {one}"):
                return say(one)
        if isinstance(one, OSError) and one.errno == errno.EAGAIN and _of_a_start(one):
            return _no_processes(one)
        if isinstance(one, SystemError) and _UNSAID.search(str(one)) and _limit("RLIMIT_AS") is not None:
            return _no_memory(one)  # C code that fails under a limit and says nothing: torch's and the import's do
    return None


def _of_a_start(error: BaseException) -> bool:
    """Tell whether an exception arose where a process is started: a full pipe and a held lock have the same number."""
    at = error.__traceback__
    while at is not None:
        code, room = at.tb_frame.f_code, at.tb_frame.f_globals.get("__name__", "").partition(".")[0]
        if room in ("subprocess", "multiprocessing") and code.co_name in _STARTS:
            return True
        at = at.tb_next
    return False


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Iterate over an exception and those that caused it, the last one first."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__


def _no_memory(error: BaseException) -> str:
    said = printable(str(error)).strip().partition("\n")[0]
    detail = f" ({said})" if said else ""
    most = _limit("RLIMIT_AS")
    limit = "" if most is None else f"; this process may take {most / 1e9:.3g} GB (ulimit -v)"
    if isinstance(error, ImportError):
        return f"out of memory while a library was loaded{detail}{limit}; free some memory, or raise the limit"
    return f"out of memory{detail}{limit}; lower network.hidden or training.batch (--dry-run tells what a run takes)"


def _no_files(error: BaseException) -> str:
    most = _limit("RLIMIT_NOFILE")
    limit = "no more" if most is None else f"{most}"
    return (
        f"too many open files: a process may have {limit} at a time (ulimit -n); raise that limit, or take fewer "
        "--workers"
    )


def _no_processes(error: BaseException) -> str:
    most = _limit("RLIMIT_NPROC")
    limit = "" if most is None else f": you may have {most} (ulimit -u)"
    return f"no further process or thread could be started{limit}; end others, raise the limit, or take fewer --workers"


def _limit(name: str) -> int | None:
    """Return a limit of this process, or None where there is none."""
    if _limits is None:
        return None
    most = _limits.getrlimit(getattr(_limits, name))[0]
    return None if most == _limits.RLIM_INFINITY else most


def no_room_to_load(least: int) -> str | None:
    """Say in one line that this process may take less address space than `least` bytes; None if it may take that.

    >>> no_room_to_load(0) is None
    True
    """
    most = _limit("RLIMIT_AS")
    if most is None or most >= least:
        return None
    return (
        f"out of memory: this process may take {most / 1e9:.3g} GB (ulimit -v), and the libraries alone take more than "
        f"{least / 1e9:.3g} GB; raise the limit"
    )


_STARTS = ("_execute_child", "_posix_spawn", "_launch", "spawnv_passfds")
"""Functions of the standard library in which a process is started."""


_UNSAID = re.compile("without (?:exception set|setting an exception)")
_REFUSALS: tuple[tuple[tuple[int, ...], re.Pattern[str], Callable[[BaseException], str]], ...] = (
    (
        (errno.ENOMEM,),
        re.compile(
            r"^\w*MemoryError|out of memory|can(?:no|')t allocate|unable to allocate|bad_alloc|failed to map segment"
            r"|cannot create shared object|static TLS block",
            re.IGNORECASE,
        ),
        _no_memory,
    ),
    ((errno.EMFILE, errno.ENFILE), re.compile("too many open files", re.IGNORECASE), _no_files),
    (
        (),
        re.compile("can't start new thread|thread creation failed|pthread_create", re.IGNORECASE),
        _no_processes,
    ),
)
"""What the machine can refuse: by the system's number or by words of the libraries, and how to say it."""
