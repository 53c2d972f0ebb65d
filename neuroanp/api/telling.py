"""Show what goes on while runs train: notes of the log, and bars on a terminal or in a notebook."""

from __future__ import annotations

import functools
import logging
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

P = ParamSpec("P")
R = TypeVar("R")
Event = Mapping[str, Any]
PHASES = {"train": "learning", "refit": "fitting outputs", "controls": "controls", "evaluate": "testing"}
SWEEP = "sweep"
"""Phase of the events that say how all runs of a sweep stand (`neuroanp.comparing.standing`)."""
WIDTH = 24
EVERY_S = 0.3
"""A notebook's page is changed no oftener."""


class Lines(logging.Handler):
    """Print each record of the log as a line; what is above a note says what it is.

    Args:
        show: prints one line.
        said: gets the lines that were shown.
    """

    def __init__(self, show: Callable[[str], None], said: set[str] | None = None) -> None:
        super().__init__()
        self._show, self._said = show, said

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        prefix = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        line = prefix + self.format(record)
        self._show(line)
        if self._said is not None:
            self._said.add(line)


@contextmanager
def log_to(err: Console, level: int = logging.INFO, said: set[str] | None = None) -> Generator[None]:
    """Show what neuroanp logs, of `level` and above, on a console while the block runs; add its lines to `said`."""
    logger = logging.getLogger("neuroanp")
    handler, before = Lines(lambda line: err.print(line, markup=False, soft_wrap=True), said), logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


class _Said(Lines):
    """Print on stderr; in a notebook, whose page paints that as an error, notes that warn of nothing on stdout."""

    def __init__(self) -> None:
        super().__init__(lambda line: print(line, file=sys.stderr))

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        if record.levelno < logging.WARNING and in_notebook():
            print(self.format(record))
        else:
            super().emit(record)


class _Notes:
    """The one handler that shows the log of Python code which configured no logging; calls may overlap in threads."""

    def __init__(self) -> None:
        self._lock, self._users = threading.Lock(), 0
        self._handler = _Said()
        self._before = logging.NOTSET

    @contextmanager
    def shown(self, level: int) -> Generator[None]:
        """Show notes while the block runs, unless somebody else takes care of the log."""
        logger = logging.getLogger("neuroanp")
        with self._lock:
            configured = bool(logger.handlers or logging.getLogger().handlers)
            ours = self._users > 0 or not configured
            if ours and not self._users:
                self._before = logger.level
                logger.addHandler(self._handler)
                logger.setLevel(self._before or level)  # a level that was set stays
            self._users += ours
        try:
            yield
        finally:
            with self._lock:
                self._users -= ours
                if ours and not self._users:
                    logger.removeHandler(self._handler)
                    logger.setLevel(self._before)


_NOTES = _Notes()


def noted(function: Callable[P, R]) -> Callable[P, R]:
    """Show what a function logs, unless logging is configured; with `progress=False` warnings alone."""

    @functools.wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        progress = kwargs.get("progress")
        quiet = isinstance(progress, bool | np.bool_) and not progress
        with _NOTES.shown(logging.WARNING if quiet else logging.INFO):
            return function(*args, **kwargs)

    return told


@contextmanager
def watched(
    progress: Callable[[dict[str, Any]], None] | bool | None, runs: int | None = None
) -> Generator[Callable[[dict[str, Any]], None] | None]:
    """Yield what runs report their progress to, or None where nobody looks.

    Args:
        progress: the caller's own; None shows bars where there is a terminal or a notebook; False shows none.
        runs: how many there will be, for the bar of all; None for a single run.
    """
    if callable(progress) or progress is False:
        yield progress or None
    elif in_notebook():
        with NotebookBars(runs) as page:
            yield page
    elif sys.stderr.isatty() or progress:
        from rich.console import Console

        with bars(Console(file=sys.stderr, highlight=False), runs) as shown:
            yield shown
    else:
        yield None


def in_notebook() -> bool:
    """Return whether the code runs in the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


@contextmanager
def bars(err: Console, runs: int | None) -> Generator[Bars]:
    """Show bars on a terminal while the block runs."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    display = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=WIDTH),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=err,
        transient=True,
    )
    with display:
        yield Bars(display, runs)


class Bars:
    """Keep one bar a run up to date from the events of `neuroanp.api`.

    Args:
        bars: the rich display.
        runs: how many runs there will be; None for a single run.
    """

    def __init__(self, bars: Progress, runs: int | None) -> None:
        self._bars = bars
        self._of_run: dict[str, TaskID] = {}
        self._share: dict[str, float] = {}
        self._all = bars.add_task("all runs", total=runs, state="") if runs is not None else None

    def __call__(self, event: Event) -> None:
        """Take one event: run, update, updates, loss, phase."""
        run, phase = str(event["run"]), event.get("phase", "train")
        if phase == SWEEP:
            if self._all is not None:
                self._bars.update(self._all, state=_standing(event))
            return
        if run not in self._of_run:
            self._of_run[run] = self._bars.add_task(run, total=event.get("updates"), state="")
        bar = self._of_run[run]
        if phase in ("done", "failed"):
            self._end(run, bar, phase, event.get("loss"))
        else:
            self._bars.update(bar, completed=event.get("update", 0), state=_state(phase, event.get("loss")))
            self._share[run] = _share(phase, event.get("update", 0), event.get("updates"))
        if self._all is not None:
            self._bars.update(self._all, completed=sum(self._share.values()))

    def _end(self, run: str, bar: TaskID, phase: str, loss: float | None) -> None:
        """Replace a finished run's bar by a line above the bars, so that only running ones take room."""
        self._bars.remove_task(bar)
        del self._of_run[run]
        self._share[run] = 1.0
        if self._all is not None:
            self._bars.console.print(_ended(run, phase, loss), markup=False)


class NotebookBars:
    """Keep a few lines of a notebook's page up to date: running runs, and how many are done.

    Args:
        runs: how many runs there will be; None for a single run.
    """

    def __init__(self, runs: int | None) -> None:
        self._runs = runs
        self._lines: dict[str, str] = {}
        self._share: dict[str, float] = {}
        self._ended, self._last = 0, ""
        self._standing = ""
        self._page: Any = None
        self._shown_at = 0.0

    def __enter__(self) -> NotebookBars:
        return self

    def __exit__(self, *error: object) -> None:
        if self._page is not None:
            self._show()  # what a saved notebook keeps

    def __call__(self, event: Event) -> None:
        """Take one event: run, update, updates, loss, phase."""
        if event.get("phase") == SWEEP:
            self._standing = f" {_standing(event)}{_left(event.get('seconds_left'))}"
            return
        run, phase, loss = str(event["run"]), event.get("phase", "train"), event.get("loss")
        update, updates = event.get("update", 0), event.get("updates") or 0
        if phase in ("done", "failed"):
            self._ended += 1
            self._share[run] = 1.0
            self._lines.pop(run, None)
            self._last = _ended(run, phase, loss)
        else:
            self._share[run] = _share(phase, update, updates)
            self._lines[run] = f"{run}  {drawn(update / max(updates, 1))} {update}/{updates} {_state(phase, loss)}"
        if time.perf_counter() - self._shown_at > EVERY_S:
            self._show()

    def text(self) -> str:
        """Return what is shown."""
        head = []
        if self._runs is not None:
            bar = drawn(sum(self._share.values()) / max(self._runs, 1))
            head = [f"all runs  {bar} {self._ended}/{self._runs}{self._standing}"]
        elif self._last:
            head = [self._last + (f"  ({self._ended} runs)" if self._ended > 1 else "")]
        return "\n".join([*head, *self._lines.values()])

    def _show(self) -> None:
        from IPython.display import display  # pyright: ignore[reportMissingImports, reportUnknownVariableType] - its kernel

        self._shown_at = time.perf_counter()
        content = {"text/plain": self.text()}
        if self._page is None:
            self._page = display(content, raw=True, display_id=True)
        else:
            self._page.update(content, raw=True)


def drawn(share: float) -> str:
    """Return a bar of text.

    >>> drawn(0.5)
    '████████████░░░░░░░░░░░░'
    """
    full = round(WIDTH * min(max(share, 0.0), 1.0))
    return "█" * full + "░" * (WIDTH - full)


def _standing(event: Event) -> str:
    """Say how all runs stand.

    >>> _standing({"running": 2, "done": 3, "failed": 0, "waiting": 11})
    '2 running, 3 done, 11 waiting'
    """
    return ", ".join(f"{event[word]} {word}" for word in ("running", "done", "failed", "waiting") if event.get(word))


def _left(seconds: float | None) -> str:
    """Say how long all will take.

    >>> _left(75.0), _left(None)
    (', 2 min left', '')
    """
    if seconds is None:
        return ""
    return f", {seconds:.0f} s left" if seconds < 60 else f", {-(-seconds // 60):.0f} min left"


def _ended(run: str, phase: str, loss: float | None) -> str:
    """Say how a run ended.

    >>> _ended("copy pcm anp seed 0", "done", 0.0123456)
    'done   copy pcm anp seed 0  loss 0.0123'
    """
    return f"{phase:<6} {run}" + ("" if loss is None else f"  loss {loss:.3g}")


def _state(phase: str, loss: float | None) -> str:
    """Say what a run is doing and its latest loss."""
    tail = "" if loss is None else f" loss {loss:.3g}"
    return PHASES.get(phase, phase) + tail


def _share(phase: str, update: int, updates: int | None) -> float:
    """Return how much of a run is behind: learning is one half, the control that learns again the other.

    >>> _share("train", 5, 10), _share("evaluate", 10, 10), _share("controls", 5, 10)
    (0.25, 0.5, 0.75)
    """
    done = update / updates if updates else 0.0
    return {"train": done / 2, "controls": (1 + done) / 2}.get(phase, 0.5)
