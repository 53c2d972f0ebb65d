"""What a worker process must load before it knows all names of a run, or why the run cannot leave this process.

A worker never runs the user's own `__main__` as its own: a script without a guard would start itself again. What was
registered in this process is brought to it by import where that finds the same thing: from a module, or from a script
whose `if __name__ == "__main__":` the call came from, which is run again as `__mp_main__`, as multiprocessing does.
What lives in a notebook, a console or a function stays here, and so do its runs.
"""

from __future__ import annotations

import ast
import hashlib
import os
import runpy
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.noise import Streams
from neuroanp.registry import register, registered

if TYPE_CHECKING:
    from neuroanp.source import World
    from neuroanp.training.build import Experiment

MAIN, AGAIN = "__main__", "__mp_main__"


class Unable(Exception):
    """A run cannot be done in another process; the message says why."""


class Absent(Unable):
    """A run cannot be done in this process, which does not find a file or a module that another might find."""


@dataclass(frozen=True)
class Thing:
    """Something that was registered in a process: where it was registered, and where it can be imported from."""

    group: str
    name: str
    module: str
    qualname: str


@dataclass(frozen=True)
class Needs:
    """What a worker loads before it does a run.

    Args:
        things: what the run names and this process registered.
        script: path, or name with -m, of the script to run again; None: none.
        argv: the words of the command, for a script that reads them.
        data: digest of the task's data, where the task is one of the things.
    """

    things: tuple[Thing, ...] = ()
    script: tuple[str, str] | None = None
    argv: tuple[str, ...] = ()
    data: str | None = None

    def bring(self) -> None:
        """Load the things into this process; Unable says what is not there, Absent what may be there elsewhere."""
        if self.script is not None and (why := _run_again(self.script, self.argv)) is not None:
            raise (Absent if why.absent else Unable)(why.text)
        for thing in self.things:
            try:
                __import__(thing.module)
                found = attrgetter(thing.qualname)(sys.modules[thing.module])
            except Exception as error:  # whatever importing a user's module may raise
                raise _kind(error)(
                    f"'{thing.name}' cannot be imported from {thing.module} in another process "
                    f"({type(error).__name__}: {error})"
                ) from error
            register(thing.group, thing.name, found)

    def check(self, experiment: Experiment) -> None:
        """Raise Unable if the data of a run are others here than in the process that asked for it."""
        if self.data is not None and digest(experiment) != self.data:
            raise Unable(
                f"task '{experiment.config.task_name}' has other data in another process; give them a fixed seed"
            )


def needs_of(experiment: Experiment) -> Needs:
    """Return what a worker needs for a run; Unable says why the run has to stay in this process."""
    words = {*_texts(experiment.config.to_plain()), *(str(leaf.value) for leaf in experiment.profile.leaves())}
    named = [(group, name, thing) for group, name, thing in registered() if name in words]
    if not named:
        return Needs()
    things = tuple(_found(*one) for one in named)
    own = [thing.name for thing in things if thing.module == MAIN]
    script = _script(own[0]) if own else None
    own_task = any(thing.group == "neuroanp.tasks" for thing in things)
    return Needs(things, script, tuple(sys.argv), digest(experiment) if own_task else None)


def digest(experiment: Experiment) -> str:
    """Return a digest of held-out sequences and one batch of a run's task, by which two processes compare them."""
    streams, task, found = Streams(0), experiment.task, hashlib.sha256()
    try:
        for batch in (task.test(streams.generator("test")), task.sample(streams.generator("data", 0), 1)):
            told = () if batch.world is None else (_first_of(batch.world),)
            for array in map(np.asarray, (*told, batch.inputs, batch.targets, batch.mask)):
                found.update(repr((array.dtype.str, array.shape)).encode())
                found.update(array.tobytes())
    except Exception as error:  # the user's task: its own run tells of it, as an outcome
        return type(error).__name__
    return found.hexdigest()


def _first_of(world: World) -> np.ndarray:
    """Return the first inputs of a world, (1, B, I)."""
    import torch

    return world.reset(1, torch.zeros(1, dtype=torch.float64)).numpy()


def _texts(plain: Any) -> Iterator[str]:
    """Iterate over all texts in plain values."""
    if isinstance(plain, str):
        yield plain
    elif isinstance(plain, Mapping):
        for value in plain.values():
            yield from _texts(value)
    elif isinstance(plain, list | tuple):
        for value in plain:
            yield from _texts(value)


def _found(group: str, name: str, thing: Any) -> Thing:
    """Return where a thing can be imported from; Unable if nowhere."""
    module, qualname = getattr(thing, "__module__", ""), getattr(thing, "__qualname__", "<locals>")
    what = f"'{name}' is registered in {module or 'memory'}"
    try:
        same = attrgetter(qualname)(sys.modules[module]) is thing
    except (KeyError, AttributeError):
        same = False
    if not same:
        raise Unable(f"{what}, and no module has it under that name")
    spec = getattr(sys.modules[module], "__spec__", None)
    if module != MAIN and (spec is None or spec.origin is None or not os.path.isfile(spec.origin)):
        raise Unable(f"{what}, which is no file that another process could import")
    return Thing(group, name, module, qualname)


def _script(name: str) -> tuple[str, str]:
    """Return how the running script can be run again: ("path" or "name", which); Unable if it cannot."""
    main = sys.modules[MAIN]
    path = getattr(main, "__file__", None)
    if path is None or not os.path.isfile(path):
        raise Unable(f"'{name}' is registered in a notebook or a console")
    if not _guarded(main, path):
        raise Unable(
            f"'{name}' is registered in {path}, which does not call this below `if __name__ == '__main__':` and would "
            "start itself again in another process"
        )
    spec = main.__spec__
    return ("path", os.path.abspath(path)) if spec is None else ("name", spec.name)


def _guarded(main: ModuleType, path: str) -> bool:
    """Tell whether the present call comes from below the guard of the script."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals is main.__dict__ and frame.f_code.co_name == "<module>":
            break
        frame = frame.f_back
    if frame is None or os.path.abspath(frame.f_code.co_filename) != os.path.abspath(path):
        return False  # another thread, or typed at a prompt after the script
    try:
        lines = _guards(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return False
    return any(frame.f_lineno in of for of in lines)


def _guards(source: str) -> list[range]:
    """Return the lines below each `if __name__ == "__main__":` of a script.

    >>> _guards("import os\\nif __name__ == '__main__':\\n    run()\\n    end()\\nelse:\\n    pass\\n")
    [range(3, 5)]
    """
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Compare) and len(node.test.comparators) == 1:
            sides = (node.test.left, node.test.comparators[0])
            names = {side.id for side in sides if isinstance(side, ast.Name)}
            texts = {side.value for side in sides if isinstance(side, ast.Constant)}
            if names == {"__name__"} and texts == {MAIN} and isinstance(node.test.ops[0], ast.Eq):
                found.append(range(node.body[0].lineno, (node.body[-1].end_lineno or node.body[-1].lineno) + 1))
    return found


def _kind(error: BaseException) -> type[Unable]:
    """Return as what it counts that something cannot be loaded."""
    return Absent if isinstance(error, ImportError | OSError) else Unable


@dataclass(frozen=True)
class _Why:
    """Why a script cannot be run again, and whether that is for a file or a module that is not there."""

    text: str
    absent: bool


@lru_cache
def _run_again(script: tuple[str, str], argv: tuple[str, ...]) -> _Why | None:
    """Run the user's script as `__mp_main__`, so that what it defines is found under `__main__` here too; once.

    Returns: why it cannot be, None where it was; an exception would not be kept, and the script be run for each job.
    """
    how, which = script
    sys.argv[:] = argv
    try:
        if how == "path":
            found = runpy.run_path(which, run_name=AGAIN)
        else:
            found = runpy.run_module(which, run_name=AGAIN, alter_sys=True)
    except BaseException as error:
        text = f"{which} cannot be run again in another process ({type(error).__name__}: {error})"
        return _Why(text, _kind(error) is Absent)
    main = ModuleType(AGAIN)
    main.__dict__.update(found)
    sys.modules[MAIN] = sys.modules[AGAIN] = main
    return None
