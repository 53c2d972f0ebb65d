"""Any environment of gymnasium that has actions to choose from, by its name."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from neuroanp.errors import InputError
from neuroanp.tasks.gym import GymEnvironment, require
from neuroanp.tasks.worlds import WorldOptions, WorldTask

MOST_NUMBERS, MOST_ACTIONS = 100_000, 10_000
"""Of what is seen at a step, and actions: what is larger is no network's input here."""
UNBOUNDED = 1e6
"""Bounds of what is seen that are larger say nothing of its size."""


class AnyGymConfig(WorldOptions):
    """Options of `AnyGym`."""

    id: str = Field(
        default="MountainCar-v0", min_length=1, max_length=200,
        description="gymnasium's name of it, with its version; installed packages add theirs to gymnasium's list",
    )  # fmt: skip
    steps: int | None = Field(
        default=None, ge=1, le=100_000,
        description="most steps of an episode (T); if not given what gymnasium has for it",
    )  # fmt: skip
    scale: tuple[float, ...] | None = Field(
        default=None,
        description="what the numbers that are seen are divided by, one each, or one for all; if not given the larger "
        "of their bounds where there are any, else 1",
    )


class AnyGym(WorldTask):
    """Act in an environment of gymnasium: outputs are the logits of its actions.

    What is seen is a box of numbers, flattened, or one of several states, of which the input line is 1. Actions are
    counted. An episode is over when the environment says so, or after T steps.

    Args:
        options: the task's options.

    Raises:
        InputError: gymnasium is not installed, does not know the name, or misses what the environment needs; or the
            environment has other actions, shows something else, or has no limit of steps.
    """

    config: ClassVar[type[BaseModel]] = AnyGymConfig
    name = "gym"

    def __init__(self, options: AnyGymConfig) -> None:
        self.id = options.id
        env, limit = _made(options.id)
        self.inputs, bounds = _seen(options.id, env.observation_space)
        self.outputs = _actions(options.id, env.action_space)
        env.close()
        steps = options.steps or limit
        if steps is None:
            raise InputError(f"task.steps: {options.id} has no limit of its own; say how many steps an episode has")
        given = bounds if options.scale is None else np.array(options.scale, dtype=float)
        if given.shape not in ((1,), (self.inputs,)) or not (np.isfinite(given).all() and (given > 0).all()):
            raise InputError(
                f"task.scale: {given.tolist()!r:.80} are not one or {self.inputs} numbers above 0, as many as "
                f"{options.id} shows"
            )
        self.scale = np.broadcast_to(given, (self.inputs,))
        super().__init__(options, steps)

    def environment(self) -> GymEnvironment:
        """Make copies of it."""
        return GymEnvironment(self.id, self.scale)


def _made(name: str) -> tuple[Any, int | None]:
    """Return an environment and its limit of steps; InputError where there is none."""
    require(name)
    import gymnasium

    if ":" in name:  # gymnasium would import the module before it
        raise InputError(
            f"task.id: {name!r:.80} names a module to import; install a package that adds its environments to "
            "gymnasium's list by itself, and give the name alone"
        )
    try:
        env = gymnasium.make(name, disable_env_checker=True)
    except (gymnasium.error.Error, ImportError) as error:
        raise InputError(f"task.id: gymnasium cannot make {name!r:.80}: {str(error).splitlines()[0]:.300}") from None
    return env.unwrapped, None if env.spec is None else env.spec.max_episode_steps


def _seen(name: str, space: Any) -> tuple[int, np.ndarray]:
    """Return how many input lines what is seen takes, and what each is divided by as it comes, (I,)."""
    from gymnasium.spaces import Box, Discrete

    if isinstance(space, Discrete):
        lines, bounds = int(space.n), np.ones(1)
    elif isinstance(space, Box):
        lines = int(np.prod(space.shape))
        largest = np.maximum(np.abs(space.low), np.abs(space.high)).astype(float).reshape(-1)
        bounds = np.where((largest > 0) & (largest < UNBOUNDED), largest, 1.0)
    else:
        raise InputError(f"task.id: {name} shows {type(space).__name__}; what is seen must be a Box or Discrete")
    if not 1 <= lines <= MOST_NUMBERS:
        raise InputError(f"task.id: {name} shows {lines} numbers at a step; 1 to {MOST_NUMBERS} can be")
    return lines, bounds


def _actions(name: str, space: Any) -> int:
    """Return how many actions there are to choose from."""
    from gymnasium.spaces import Discrete

    if not isinstance(space, Discrete) or int(space.start) != 0:
        raise InputError(f"task.id: {name} has actions {space}; those that can be chosen are Discrete, from 0")
    if not 2 <= space.n <= MOST_ACTIONS:
        raise InputError(f"task.id: {name} has {space.n} actions; 2 to {MOST_ACTIONS} can be chosen from")
    return int(space.n)
