"""Progress bars with ETA on stderr: one a run, and one for all runs of a comparison."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from neuroanp.cli.screen import console, log_to_stderr

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Event = Mapping[str, Any]
PHASES = {"train": "learning", "controls": "controls", "evaluate": "testing"}


@contextmanager
def progress(
    enabled: bool, runs: int | None = None, quiet: bool = False, said: set[str] | None = None
) -> Iterator[Callable[[Event], None] | None]:
    """Show bars while the block runs; yield the callable that `neuroanp.api` reports to, or None.

    Nothing moves where stderr is not a terminal; the log is shown either way.

    Args:
        enabled: False shows no bars (`--no-progress`).
        runs: how many runs there will be, for the bar of all; None shows no such bar.
        quiet: show no log but warnings.
        said: gets the lines of the log that were shown.
    """
    err = console(error=True)
    with log_to_stderr(err, logging.WARNING if quiet else logging.INFO, said):
        if not (enabled and err.is_terminal):
            yield None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=err,
            transient=True,
        )
        with bars:
            yield Bars(bars, runs)


class Bars:
    """Keep one bar a run up to date from the events of `neuroanp.api`.

    Args:
        bars: the rich display.
        runs: how many runs there will be; None for a single run.
    """

    def __init__(self, bars: "Progress", runs: int | None) -> None:
        self._bars = bars
        self._of_run: dict[str, TaskID] = {}
        self._share: dict[str, float] = {}
        self._lock = threading.Lock()  # a comparison may report from a thread for each worker
        self._all = bars.add_task("all runs", total=runs, state="") if runs is not None else None

    def __call__(self, event: Event) -> None:
        """Take one event: run, update, updates, loss, phase."""
        with self._lock:
            run, phase = str(event["run"]), event.get("phase", "train")
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

    def _end(self, run: str, bar: "TaskID", phase: str, loss: float | None) -> None:
        """Replace a finished run's bar by a line above the bars, so that only running ones take room."""
        self._bars.remove_task(bar)
        del self._of_run[run]
        self._share[run] = 1.0
        if self._all is not None:
            tail = "" if loss is None else f"  loss {loss:.3g}"
            self._bars.console.print(f"{phase:<6} {run}{tail}")


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
