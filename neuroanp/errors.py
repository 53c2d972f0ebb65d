"""Errors a user can act on: each says where, what, what is allowed and the remedy."""

from collections.abc import Sequence
from pathlib import Path


class NeuroanpError(Exception):
    """Base of all errors that neuroanp raises on purpose; `exit_code` is the command's."""

    exit_code = 1


class InputError(NeuroanpError):
    """Bad usage or bad input (exit code 2).

    `problems` holds one line for each thing wrong, so that all are seen at once.

    >>> error = InputError("pcm.yaml has 1 problem", ["pcm.yaml:5: conductance.g_max: not a conductance"])
    >>> print(error)
    pcm.yaml has 1 problem
      pcm.yaml:5: conductance.g_max: not a conductance
    """

    exit_code = 2

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        self.message = message
        self.problems = tuple(problems)
        super().__init__(message)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {line}" for line in self.problems)])

    def __reduce__(self):  # exceptions with arguments must survive the trip from a worker process
        return type(self), (self.message, self.problems)


class RunError(NeuroanpError):
    """A run failed (exit code 1); its record and last good checkpoint are intact."""


class DivergedError(RunError):
    """The loss or a weight left the finite numbers; the message says at which update.

    Args:
        message: what happened.
        path: the run's directory, which keeps what led there; None where there is none.
    """

    def __init__(self, message: str, *, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


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
