"""Find rules, tasks, backends and device laws by name: entry points or a decorator."""

import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import FunctionType
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from neuroanp.errors import InputError, did_you_mean

T = TypeVar("T")
LOG = logging.getLogger("neuroanp")


@lru_cache
def _installed(path: tuple[str, ...]) -> Any:
    """Return the entry points of all packages; read once for each state of sys.path, for it takes tens of ms."""
    return entry_points()


@lru_cache
def _entries(group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Return a group's entry points by name."""
    return {entry.name: entry for entry in _installed(path).select(group=group)}


_EVERY: "WeakSet[Registry[Any]]" = WeakSet()


class Registry(Generic[T]):
    """Names of one kind of thing, each loaded when it is first asked for.

    Built-in things are entry points of neuroanp itself, a user's own package adds its own to the
    same group, and `register` adds one for the running process only; defined again (a notebook's cell that is run
    again), it takes the place of what it was.

    What lacks a member of its protocol is refused, whichever way it came: nothing in neuroanp asks a thing for more
    than its protocol lists, and nothing guesses what a thing that says nothing would have said.

    Args:
        kind: what the things are, for messages ("rule").
        group: the entry-point group ("neuroanp.rules").
        protocol: what each of them has, a Protocol or a base class; "module:name" where that is of a room to the
            right, as entry points are; None: anything.

    >>> rules = Registry("rule", "neuroanp.example")
    >>> @rules.register("mine")
    ... class Mine:
    ...     "Do it my way."
    >>> rules.names(), rules.summary("mine"), rules.get("mine").__name__, rules.hint("mime"), rules.protocol
    (['mine'], 'Do it my way.', 'Mine', "; did you mean 'mine'?", None)
    """

    def __init__(self, kind: str, group: str, protocol: type | str | None = None) -> None:
        self.kind = kind
        self.group = group
        self._protocol = protocol
        self._registered: dict[str, T] = {}
        _EVERY.add(self)

    @property
    def protocol(self) -> type | None:
        """What each of the things has, or None."""
        if isinstance(self._protocol, str):
            module, _, name = self._protocol.partition(":")
            self._protocol = vars(import_module(module))[name]
        return self._protocol  # pyright: ignore[reportReturnType]

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that adds a thing under `name`.

        Raises:
            InputError: the name is another thing's, or the thing lacks a member of its protocol.
        """

        def add(thing: T) -> T:
            self._check(name, thing)
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
        """Load the thing called `name`.

        Raises:
            InputError: it names the known ones, or says why the thing cannot be loaded, or what it lacks.
        """
        if name in self._registered:
            return self._registered[name]
        entry = self._entries().get(name)
        if entry is None:
            known = self.names()
            raise InputError(f"unknown {self.kind} '{name}'{self.hint(name)} (known: {', '.join(known) or 'none'})")
        try:
            thing = entry.load()
        except Exception as error:  # whatever importing another's package may raise
            package = f" of package '{entry.dist.name}'" if entry.dist is not None else ""
            raise InputError(
                f"{self.kind} '{name}'{package} cannot be loaded from {entry.value}: {type(error).__name__}: {error}; "
                "repair or uninstall that package"
            ) from error
        self._check(name, thing)
        return thing

    def hint(self, name: str) -> str:
        """Return "; did you mean 'x'?" for the nearest known name, or the empty string."""
        return did_you_mean(name, self.names())

    def _check(self, name: str, thing: T) -> None:
        if self.protocol is not None:
            refuse_incomplete(thing, self.protocol, f"{self.kind} '{name}'")

    def summary(self, name: str) -> str:
        """Return the first line of the docstring of the thing called `name`."""
        return (self.get(name).__doc__ or "").strip().partition("\n")[0]


_PASSED: "WeakKeyDictionary[type, set[type]]" = WeakKeyDictionary()
"""Protocols of which a class has all members."""


def _again(old: Any, new: Any) -> bool:
    """Tell whether both are one definition: classes or functions of the same name in the same module."""
    named = (type, FunctionType)
    if not (isinstance(old, named) and isinstance(new, named)):
        return False
    return (old.__module__, old.__qualname__) == (new.__module__, new.__qualname__)


def members(protocol: type) -> dict[str, bool]:
    """Return the public members that a protocol lists, by name.

    Args:
        protocol: a Protocol, with those that it derives from, or a base class, of which its own count.

    Returns: whether a class itself has the member (a method, a property, a ClassVar), or each instance its own.

    >>> from typing import ClassVar, Protocol
    >>> class Painter(Protocol):
    ...     colours: ClassVar[int]
    ...     width: float
    ...     def paint(self) -> None: ...
    >>> members(Painter)
    {'colours': True, 'width': False, 'paint': True}
    """
    found: dict[str, bool] = {}
    for one in reversed(protocol.__mro__):
        if one is protocol or _is_protocol(one):
            found |= _annotated(one)
            found |= dict.fromkeys(vars(one), True)
    return {name: of_class for name, of_class in found.items() if not name.startswith(("_", "model_"))}


def missing(thing: Any, protocol: type) -> list[str]:
    """Return the members of a protocol that a class or an instance lacks, sorted.

    Args: thing: a class, or an instance. protocol: a Protocol or a base class.

    A class that makes its instances' attributes in `__init__` may leave them out; ask its instances. What it inherits
    from the protocol itself says nothing, and is lacking.

    >>> from typing import Protocol
    >>> class Painter(Protocol):
    ...     width: float
    ...     def paint(self) -> None: ...
    >>> class Lazy(Painter):
    ...     def __init__(self):
    ...         self.height = 1.0
    >>> missing(Lazy, Painter), missing(Lazy(), Painter)
    (['paint'], ['paint', 'width'])
    """
    is_class = isinstance(thing, type)
    mro = (thing if is_class else type(thing)).__mro__
    own = [one for one in mro if one is not object and not _is_protocol(one)]
    there = {name for one in own for name in vars(one)}
    abstract = {name for one in own[:1] for name in vars(one).get("__abstractmethods__", ())}
    wanted = members(protocol)
    if is_class:
        there |= {name for one in own for name, of_class in _annotated(one).items() if not of_class}
        if "model_fields" not in dir(thing):  # a pydantic model declares all that its instances have
            wanted = {name: of_class for name, of_class in wanted.items() if of_class}
    elif "__dict__" in dir(thing):
        there |= vars(thing).keys()
    return sorted(name for name in wanted if name not in there or name in abstract)


def refuse_incomplete(thing: Any, protocol: type, label: str) -> None:
    """Raise InputError where a class or an instance, which messages call `label`, lacks members of a protocol."""
    passed = _PASSED.setdefault(thing, set()) if isinstance(thing, type) else set[type]()
    if protocol in passed:  # every look-up asks, thousands in a comparison
        return
    if (said := lack(thing, protocol)) is not None:
        raise InputError(f"{label} {said}")
    passed.add(protocol)


def lack(thing: Any, protocol: type) -> str | None:
    """Say which members of a protocol a class or an instance lacks; None: it has them all."""
    lacking = missing(thing, protocol)
    if not lacking:
        return None
    where = f"{protocol.__module__}.{protocol.__qualname__}"
    return f"lacks {', '.join(lacking)}: {where} says what each of them is, and which may be None or empty"


def _annotated(kind: type) -> dict[str, bool]:
    """Return the names that a class's own body annotates, and whether each is a ClassVar."""
    return {name: "ClassVar" in str(annotation) for name, annotation in inspect.get_annotations(kind).items()}


def _is_protocol(kind: type) -> bool:
    return bool(vars(kind).get("_is_protocol", False))


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
