"""One wrong input, and what is right of the answer: one message, the right exit code, nothing left behind."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from neuroanp.errors import InputError

RAW = re.compile(
    r"Traceback|bug in neuroanp|\b(?:Key|Type|Value|Attribute|Index|Unicode\w*|Recursion|Runtime|OS|Assertion)Error\b"
    r"|pydantic|site-packages|object at 0x|\x1b|np\.float64|PosixPath|<class|NoneType"
)
"""What no message may hold: it speaks of code, not of what was given."""
LONGEST = 2500


@dataclass(frozen=True)
class Case:
    """One wrong input.

    Args:
        kind: what it is wrong with. what: it in words. do: words of the command line, or a call of Python's.
        said: what the message must name: where, what, what is allowed or the remedy.
        code: the exit code, 2 for what is wrong with the input, 1 for what stands in the way.
        within: what holds while it is tried.
        keeps: a run that had begun is saved, and its message quotes an error of the user's own.
    """

    kind: str
    what: str
    do: str | Callable[[], object]
    said: tuple[str, ...]
    code: int = 2
    within: Callable[[], AbstractContextManager[object]] = nullcontext
    keeps: bool = False


@dataclass(frozen=True)
class Answer:
    """What became of a case: its message, and its exit code; of Python's 2 is an InputError."""

    message: str
    code: int
    printed: str = ""


def faults(case: Case, answer: Answer, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Say what is wrong with an answer; nothing where all is right."""
    found = []
    if answer.code != case.code:
        found.append(f"exit code {answer.code}, not {case.code}")
    if not case.keeps and (raw := RAW.search(answer.message)):
        found.append(f"speaks of {raw[0]!r}")
    if lacking := [word for word in case.said if word not in flat(answer.message)]:
        found.append(f"does not say {', '.join(map(repr, lacking))}")
    if answer.message.count("error: ") > 1:
        found.append("more than one message")
    if len(answer.message) > LONGEST:
        found.append(f"{len(answer.message):,} characters")
    if answer.printed.strip():
        found.append(f"prints {answer.printed.strip()[:60]!r}")
    changed = sorted({*before.items()} ^ {*after.items()})
    if changed and not case.keeps:
        found.append(f"left or changed {', '.join(sorted({name for name, _ in changed}))[:200]}")
    return found


def flat(message: str) -> str:
    """Return a message in one line, without the frame that the command line draws around errors of usage."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", message).split())


def content(folder: Path) -> dict[str, str]:
    """Return what lies in a folder: the digest of each file by its path; locks and what a listing caches aside."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name in (".lock", ".listing.json"):
            continue
        whole = path.is_file() and not path.is_symlink()
        found[name] = _digest(path) if whole else "-"
    return found


def answered(call: Callable[[], object]) -> Answer:
    """Call Python and return what it raised: an InputError as 2, another error of ours as 1, any other as -1."""
    from neuroanp.errors import NeuroanpError

    try:
        call()
    except NeuroanpError as error:
        return Answer(str(error), 2 if isinstance(error, InputError) else error.exit_code)
    except Exception as error:
        return Answer(f"{type(error).__name__}: {error}", -1)
    return Answer("", 0)


def _digest(path: Path) -> str:
    """Return the digest of a file's size and first megabyte."""
    with path.open("rb") as file:
        return hashlib.sha256(b"%d " % path.stat().st_size + file.read(1 << 20)).hexdigest()
