"""The life of a worker process: one run after another, told of over a connection.

It is started as a program of its own (see `neuroanp.comparing.process`) and never imports the user's `__main__`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from neuroanp.comparing.limits import NO_LIMITS, Limits
from neuroanp.comparing.needs import Absent, Needs, Unable
from neuroanp.errors import HeldError, InputError, NeuroanpError, StoppedError, refused_by_machine
from neuroanp.records.run_dir import RunDir
from neuroanp.training.build import Experiment
from neuroanp.training.config import RunConfig
from neuroanp.training.launch import launch
from neuroanp.training.processes import ends_with

LOG = logging.getLogger("neuroanp")
TELL_EVERY_S = 0.2
Say = Callable[[str, Any], None]
"""Takes ("began", None), ("event", event) and ("log", (level, format, name, message))."""

_serving = False


@dataclass(frozen=True)
class Job:
    """One run to do: its configuration and how it is done (see `launch`), and what it may take."""

    config: RunConfig
    root: Path
    force: bool
    argv: tuple[str, ...]
    later: bool = False
    since: float | None = None
    limits: Limits = NO_LIMITS


@dataclass(frozen=True)
class Outcome:
    """What became of a run: its directory, and a message if it failed."""

    label: str
    path: Path | None
    error: str | None = None

    def opened(self) -> RunDir | None:
        """Open what the run left; None if it left nothing, or nothing readable, which `error` tells of."""
        if self.path is None:
            return None
        try:
            return RunDir.open(self.path, check_code=False)
        except InputError:
            if self.error is None:
                raise
            return None


def serving() -> bool:
    """Tell whether this process is a worker."""
    return _serving


def serve(handle: int, parent: int) -> None:
    """Do jobs until the connection ends: a worker's life.

    For each job two messages come: what the worker needs, then the job itself, which may be made of it. The answer is
    ("outcome", Outcome), ("failed", why), ("stopped", where: it was told to end), ("held", who holds its record),
    ("unable", why not in any process but the parent's), ("absent", why not in this process), or ("lacking", what is
    not here of what the parent could build the run with).
    """
    global _serving
    _serving = True
    if not ends_with(parent):
        return  # it ended before we could be told
    connection = Connection(handle)

    def say(kind: str, content: Any) -> None:
        with suppress(OSError):  # the parent has gone: the system sends a signal, which ends the run in order
            connection.send((kind, content))

    with suppress(EOFError, OSError):  # no more jobs, or nobody left to tell
        while True:
            connection.send(_answer(connection, say))


def _answer(connection: Connection, say: Say) -> tuple[str, Any]:
    needs: Needs = connection.recv()
    try:
        needs.bring()
    except Unable as error:
        connection.recv_bytes()  # the job, whose classes are not here
        return _unable(error)
    try:
        job: Job = connection.recv()
    except (EOFError, OSError):
        raise
    except Exception as error:  # a class that is not where the parent has it
        return "absent", f"it cannot be handed to another process ({type(error).__name__}: {error})"
    say("began", None)
    try:
        with _logging_to(say, job.config):
            return "outcome", work(job, say, needs)
    except HeldError as error:
        return "held", str(error)
    except Unable as error:
        return _unable(error)
    except StoppedError as error:  # one worker was told to end, and the others go on
        return "stopped", said_of(error)
    except InputError as error:  # before it began: the parent built it, and has what is not here
        return "lacking", str(error)
    except Exception as error:
        return "failed", said_of(error)


def _unable(error: Unable) -> tuple[str, str]:
    return "absent" if isinstance(error, Absent) else "unable", str(error)


def work(job: Job, say: Say, needs: Needs | None = None) -> Outcome:
    """Do one job in this process, telling of it; a run that fails is an outcome.

    Raises:
        InputError: the run cannot be built here.
        HeldError: another process holds the run's record.
        StoppedError: the user stopped it.
        Unable: what it needs is not the same in this process.
    """
    experiment = Experiment.of(job.config)
    if needs is not None:
        needs.check(experiment)
    told = [0.0]

    def tell(event: dict[str, Any]) -> None:
        now = time.perf_counter()
        if event["phase"] != "train" or now - told[0] > TELL_EVERY_S:
            told[0] = now
            say("event", event)

    try:
        record = launch(
            job.config, job.root, force=job.force, progress=tell, argv=job.argv, later=job.later, since=job.since
        )
    except (HeldError, StoppedError):
        raise
    except Exception as error:
        tell({"run": experiment.label, "phase": "failed", "update": 0, "updates": 0, "loss": None})
        return Outcome(experiment.label, there(job.root / experiment.directory), said_of(error))
    return Outcome(experiment.label, record.path)


def said_of(error: Exception) -> str:
    """Return in words why a run failed."""
    if isinstance(error, NeuroanpError):
        return str(error)
    return refused_by_machine(error) or f"{type(error).__name__}: {error}"


def there(path: Path) -> Path | None:
    """Return the directory of a run if there is one."""
    return path if path.exists() else None


def name_of(config: RunConfig) -> str:
    """Return the name under which runs that log alike are told of: the profile, and the backend of spikes."""
    from neuroanp.profiles.loader import load

    name = load(config.profile).name
    return name if config.backend == "rate" else f"{name}, {config.backend}"


@contextmanager
def _logging_to(say: Say, config: RunConfig) -> Iterator[None]:
    """Send what is logged in a worker to the parent, which shows it once."""
    name = name_of(config)

    class Sent(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say("log", (record.levelno, "%s: %s", name, record.getMessage()))

    handler = Sent()
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
