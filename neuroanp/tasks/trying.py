"""Try an environment before a run: does it begin, does it answer, and are its numbers numbers?"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from neuroanp.errors import InputError, NeuroanpError
from neuroanp.tasks.acting import ActingWorld

if TYPE_CHECKING:
    from collections.abc import Callable

    from neuroanp.tasks.acting import Environment
    from neuroanp.tasks.worlds import WorldTask

WHAT = "task: the world of '{}' "
T = TypeVar("T")
SEEDS = np.array([0, 1])


def try_world(task: WorldTask) -> None:
    """Begin two episodes of a task's world and do a step in each.

    Args:
        task: whose world it is; of one with an environment the first and the last action are taken.

    Raises:
        InputError: it cannot begin an episode, fails at its first step, or gives numbers of another shape, or no
            numbers.

    >>> from neuroanp.tasks.reaching import Reaching
    >>> try_world(Reaching(Reaching.config(steps=5)))
    """
    what = WHAT.format(task.name)
    world = _answered(what + "cannot be made", lambda: task.sample(np.random.default_rng(0), len(SEEDS)).world)
    if isinstance(world, ActingWorld):
        _try_environment(what, task, world.make)
        return
    assert world is not None
    y = torch.zeros(1, len(SEEDS), task.outputs, dtype=torch.float64)
    seen = _answered(what + "cannot begin an episode (its reset fails)", lambda: world.reset(1, y))
    _check(what + "shows", seen.numpy(), (1, len(SEEDS), task.inputs))
    seen, loss = _answered(what + "fails at the first step", lambda: world.step(0, y))
    _check(what + "shows after a step", seen.numpy(), (1, len(SEEDS), task.inputs))
    _check(what + "gives as losses", loss.numpy(), (1, len(SEEDS)))


def _try_environment(what: str, task: WorldTask, make: Callable[[], Environment]) -> None:
    env = _answered(what + "cannot be made", make)
    seen = _answered(what + "cannot begin an episode (its reset fails)", lambda: env.start(SEEDS))
    _check(what + "shows", seen, (len(SEEDS), task.inputs))
    actions, live = np.array([0, task.outputs - 1]), np.ones(len(SEEDS), bool)
    seen, rewards, over = _answered(what + "fails at the first step", lambda: env.act(actions, live))
    _check(what + "shows after a step", seen, (len(SEEDS), task.inputs))
    _check(what + "gives as rewards", rewards, (len(SEEDS),))
    if np.asarray(over).shape != (len(SEEDS),) or np.asarray(over).dtype != bool:
        raise InputError(f"{what}does not say which episodes are over, one True or False each: {over!r:.80}")


def _answered(what: str, ask: Callable[[], T]) -> T:
    """Return what a world answers; InputError for whatever it raises, for it is not our code."""
    try:
        return ask()
    except NeuroanpError:
        raise
    except Exception as error:
        said = str(error).strip().splitlines()
        why = f"{type(error).__name__}{': ' + said[0][:200] if said else ''}"
        raise InputError(f"{what}: {why}; mend the world") from error


def _check(what: str, found: np.ndarray, shape: tuple[int, ...]) -> None:
    numbers = np.asarray(found)
    if numbers.shape != shape:
        raise InputError(f"{what} numbers of shape {numbers.shape}, and {shape} are needed: an episode a row")
    if numbers.dtype.kind not in "fiub" or not np.isfinite(numbers.astype(float)).all():
        raise InputError(f"{what} what is no finite number: {numbers.tolist()!r:.80}; mend the world")
