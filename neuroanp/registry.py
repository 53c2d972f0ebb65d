"""Find rules, tasks, backends and device laws by name: entry points or a decorator."""

import logging
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from neuroanp.errors import InputError, did_you_mean

T = TypeVar("T")
LOG = logging.getLogger("neuroanp")


@lru_cache
def _entries(group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Return a group's entry points by name; looked up once for each state of sys.path, for it takes milliseconds."""
    return {entry.name: entry for entry in entry_points(group=group)}


_EVERY: "WeakSet[Registry[Any]]" = WeakSet()


class Registry(Generic[T]):
    """Names of one kind of thing, each loaded when it is first asked for.

    Built-in things are entry points of neuroanp itself, a user's own package adds its own to the
    same group, and `register` adds one for the running process only; defined again (a notebook's cell that is run
    again), it takes the place of what it was.

    Args:
        kind: what the things are, for messages ("rule").
        group: the entry-point group ("neuroanp.rules").

    >>> rules = Registry("rule", "neuroanp.example")
    >>> @rules.register("mine")
    ... class Mine:
    ...     "Do it my way."
    >>> rules.names(), rules.summary("mine")
    (['mine'], 'Do it my way.')
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = group
        self._registered: dict[str, T] = {}
        _EVERY.add(self)

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that adds a thing under `name`; InputError if the name is another thing's."""

        def add(thing: T) -> T:
            there = name in self._registered
            if name in self._entries() or (there and not _again(self._registered[name], thing)):
                raise InputError(f"{self.kind} '{name}' is already registered; choose another name")
            if there:  # a run is told apart by options and data, not by the code of what a user registered
                LOG.warning(
                    f"{self.kind} '{name}' is defined again; runs that were made with what it was are shown as they "
                    "are, unless its options or data differ: repeat them with force=True"
                )
            self._registered[name] = thing
            return thing

        return add

    def _entries(self) -> dict[str, EntryPoint]:
        return _entries(self.group, tuple(sys.path))

    def names(self) -> list[str]:
        """List the known names, sorted."""
        return sorted({*self._registered, *self._entries()})

    def get(self, name: str) -> T:
        """Load the thing called `name`; InputError names the known ones, or says why it cannot be loaded."""
        if name in self._registered:
            return self._registered[name]
        entry = self._entries().get(name)
        if entry is None:
            known = self.names()
            raise InputError(
                f"unknown {self.kind} '{name}'{did_you_mean(name, known)} (known: {', '.join(known) or 'none'})"
            )
        try:
            return entry.load()
        except Exception as error:  # whatever importing another's package may raise
            package = f" of package '{entry.dist.name}'" if entry.dist is not None else ""
            raise InputError(
                f"{self.kind} '{name}'{package} cannot be loaded from {entry.value}: {type(error).__name__}: {error}; "
                "repair or uninstall that package"
            ) from error

    def summary(self, name: str) -> str:
        """Return the first line of the thing's docstring."""
        return (getattr(self.get(name), "__doc__", None) or "").strip().partition("\n")[0]


def _again(old: Any, new: Any) -> bool:
    """Tell whether both are one definition: of the same name in the same module."""
    places = [(getattr(one, "__module__", None), getattr(one, "__qualname__", None)) for one in (old, new)]
    return places[0] == places[1] and None not in places[0]


def registered() -> Iterator[tuple[str, str, Any]]:
    """Iterate over (group, name, thing) of all that was registered in this process alone, of every kind."""
    for registry in list(_EVERY):
        for name, thing in list(registry._registered.items()):
            yield registry.group, name, thing


def register(group: str, name: str, thing: Any) -> None:
    """Register a thing in the registries of a group, unless they know its name."""
    for registry in list(_EVERY):
        if registry.group == group and name not in registry.names():
            registry.register(name)(thing)
