"""What a training tells functions of a user's: updates, evaluations, checkpoints, the end; they can ask it to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from types import FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from neuroanp.errors import InputError, RunError
from neuroanp.training.plain import shown

if TYPE_CHECKING:
    from neuroanp.training.stopping import StopRequested

Kind = Literal["update", "evaluation", "checkpoint", "end"]


class CallbackError(RunError):
    """A function of a user's raised an error; the run was saved before."""


@dataclass(frozen=True)
class Event:
    """What a callback is told.

    Args:
        kind: "update", after each; "evaluation", with the losses on held-out sequences; "checkpoint", once one is
            written; "end", with the result, of a run that finishes: of one that diverges or is stopped, `train` raises.
        run: what progress bars call it. path: its directory.
        update: how many updates are done, of how many: `updates`.
        metrics: numbers by name, as in `Run.metrics`: of an update train_loss, update_norm, lr, ...; of an evaluation
            all columns; None where there is no value. It cannot be changed.
        result: at the end, the row that tables show; {} before. It cannot be changed either.

    >>> event = Event("update", "one", Path("runs/one"), 3, 10, {"train_loss": 0.5})
    >>> event.update, event.metrics["train_loss"], event.stop()  # outside of a training there is nothing to stop
    (3, 0.5, None)
    """

    kind: Kind
    run: str
    path: Path
    update: int
    updates: int
    metrics: Mapping[str, float | int | None]
    result: Mapping[str, Any] = field(default_factory=dict)
    _stop: StopRequested | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        # several callbacks get one event: what one of them changed the others would take for the run's
        object.__setattr__(self, "metrics", MappingProxyType(dict(self.metrics)))
        object.__setattr__(self, "result", MappingProxyType(dict(self.result)))

    def __reduce__(self) -> tuple[type[Event], tuple[Any, ...]]:
        """Go to another process as plain numbers; from there nothing is stopped."""
        plain = (self.kind, self.run, self.path, self.update, self.updates, dict(self.metrics), dict(self.result))
        return Event, plain

    def stop(self) -> None:
        """End the run after this update, as Ctrl-C does: it is saved, `train` raises a RunError, `resume` goes on."""
        if self._stop is not None:
            self._stop.ask()


Callback = Callable[[Event], object]


def callbacks_of(given: Any) -> tuple[Callback, ...]:
    """Return callbacks as a tuple; InputError for what cannot be called.

    >>> callbacks_of(None), len(callbacks_of([print]))
    ((), 1)
    """
    if given is None:
        return ()
    several = [given] if callable(given) else given
    if not isinstance(several, Sequence) or isinstance(several, str):
        raise InputError(f"callbacks: {shown(given)}: pass a list of functions of one event")
    wrong = [f"{name_of(one)}: {said}" for one in several if (said := _no_callback(one))]
    if wrong:
        raise InputError("callbacks: pass functions of one event", wrong)
    return tuple(several)


def _no_callback(one: Any) -> str | None:
    """Say why nothing can be told to a thing, before a run begins; None where it can."""
    if isinstance(one, type):
        return f"a class; make one of it: {one.__name__}(...)"
    if not callable(one):
        return "cannot be called"
    try:
        signature(one).bind(Event("update", "", Path(), 0, 0, {}))
    except TypeError:
        return f"takes {signature(one)}, and is called with one event"
    except ValueError:  # a function of C that does not say what it takes
        return None
    return None


def name_of(one: Any) -> str:
    """Return what messages call a callback."""
    if isinstance(one, FunctionType | type):
        return one.__name__
    return type(one).__name__ if callable(one) else shown(one)


def tell(callbacks: Sequence[Callback], event: Event) -> None:
    """Call each; CallbackError names the one that raised an error."""
    for one in callbacks:
        try:
            one(event)
        except Exception as error:
            raise CallbackError(
                f"callback {name_of(one)}: {type(error).__name__}: {str(error)[:300]}, after update {event.update} of "
                f"{event.updates}; the run is saved, mend it and go on with: neuroanp resume {event.path}"
            ) from error
