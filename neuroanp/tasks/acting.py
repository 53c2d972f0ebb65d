"""Worlds with actions to choose from: outputs are the logits of a policy, which an environment answers.

    p_t = softmax(y_t),   a_t the first action with p_t(1) + ... + p_t(a) > u_t,   u_t uniform in [0, 1)

The same u_t serves all passes: what differs between them is what their noise did to the policy. A policy that is greedy
takes the action of the largest output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from neuroanp.errors import RunError
from neuroanp.tasks.encoded_world import EncodedWorld

if TYPE_CHECKING:
    from neuroanp.source import World


class Environment(Protocol):
    """What is acted in: several copies side by side, which do not know of each other. All numbers are float64.

    >>> class Guess:
    ...     "Guess a coin that is shown: seeds that are odd are tails, 1."
    ...     def start(self, seeds):
    ...         self._coin = seeds % 2
    ...         return self._coin[:, None].astype(float)
    ...     def act(self, actions, live):
    ...         return self._coin[:, None] * 1.0, (actions == self._coin) * 1.0, np.ones(len(actions), bool)
    >>> coins = Guess()
    >>> coins.start(np.array([3, 4])).tolist()
    [[1.0], [0.0]]
    >>> seen, rewards, over = coins.act(np.array([1, 1]), np.array([True, True]))
    >>> rewards.tolist(), over.tolist()
    ([1.0, 0.0], [True, True])
    """

    def start(self, seeds: np.ndarray) -> np.ndarray:
        """Begin an episode for each seed, the same for the same one; return what is seen of it, (rows, I).

        Args: seeds: (rows,) int.
        """
        ...

    def act(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Do a step.

        Args:
            actions: (rows,) int, from 0. live: (rows,) bool, of those that go on: the others stay as they are.

        Returns: what is seen then (rows, I), rewards (rows,), and which are over (rows,) bool.
        """
        ...


class ActingWorld:
    """Episodes of an environment, a world for each pass and sequence (`neuroanp.source.World`).

    Args:
        make: makes the environment. actions: how many there are to choose from, O.
        seeds: (B,) of the episodes. key: (2,) uint64, of the draws of actions.
        steps: T, after which an episode is over in any case.
        greedy: whether the largest output acts; else actions are drawn.

    The loss of a step is minus its reward.
    """

    def __init__(
        self, make: Callable[[], Environment], actions: int, seeds: np.ndarray, key: np.ndarray, steps: int,
        greedy: bool = False,
    ) -> None:  # fmt: skip
        self.make, self.actions, self.seeds, self.key, self.greedy = make, actions, seeds, key, greedy
        self.steps, self.batch = steps, len(seeds)
        self._live = np.ones((1, self.batch), bool)

    def reset(self, passes: int, like: Tensor) -> Tensor:
        """Begin all episodes anew; the first inputs, (M, B, I)."""
        self._env = self.make()
        self._draws = np.random.Generator(np.random.Philox(key=self.key))
        self._live = np.ones((passes, self.batch), bool)
        seen = self._env.start(np.tile(self.seeds, passes))
        return self._as_seen(seen, like)

    @property
    def live(self) -> Tensor:
        """Which episodes go on, (M, B)."""
        return torch.from_numpy(self._live.copy())

    def step(self, t: int, y: Tensor) -> tuple[Tensor, Tensor]:
        """Act; y: (M, B, O) logits. Returns what is seen next (M, B, I), and minus the rewards (M, B)."""
        actions = chosen(policy(y), self._uniforms())
        seen, reward = self._act(actions)
        return self._as_seen(seen, y), torch.from_numpy(-reward).to(y)

    def shared(self, by: int | None) -> SharedWorld:
        """Return the same episodes for all passes at once: what one of them does, or the mean of their policies.

        Args:
            by: the pass that acts; None: the mean of all policies does.
        """
        return SharedWorld(self, by)

    def _uniforms(self) -> np.ndarray | None:
        """Return the draws of a step, (B,); None where nothing is drawn."""
        return None if self.greedy else self._draws.random(self.batch)

    def _act(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Do a step of actions (M, B); return what is seen (rows, I) and the rewards (M, B), 0 of what is over."""
        live = self._live
        seen, rewards, over = self._env.act(actions.reshape(-1), live.reshape(-1))
        rewards = np.where(live, rewards.reshape(live.shape), 0.0)
        if not np.isfinite(rewards).all():
            _, episode = np.argwhere(~np.isfinite(rewards))[0]
            raise RunError(
                f"task: a reward is no finite number ({rewards[~np.isfinite(rewards)][0]}), in the episode of seed "
                f"{self.seeds[episode]}; mend the environment"
            )
        self._live = live & ~over.reshape(live.shape)
        return seen, rewards

    def _as_seen(self, seen: np.ndarray, like: Tensor) -> Tensor:
        """Return what is seen as inputs (M, B, I); 0 where an episode is over."""
        shown = np.where(self._live.reshape(-1, 1), seen, 0.0).reshape(*self._live.shape, -1)
        return torch.from_numpy(shown).to(like)


class SharedWorld:
    """Episodes in which all passes act as one: they see the same, and are asked what they think of the action taken.

        L_t^m = -log p_t^m(a_t)          by pass m, of the action a_t that was drawn

    Made by `ActingWorld.shared`.
    """

    def __init__(self, world: ActingWorld, by: int | None) -> None:
        self._world, self._by = world, by
        self.steps, self.batch, self._passes = world.steps, world.batch, 1

    def shared(self, by: int | None) -> SharedWorld:
        """Return the same episodes, in which others act."""
        return self._world.shared(by)

    def reset(self, passes: int, like: Tensor) -> Tensor:
        """Begin all episodes anew; the first inputs, (M, B, I), the same for all passes."""
        self._passes, self._taken, self._got = passes, list[np.ndarray](), list[np.ndarray]()
        return self._world.reset(1, like).expand(passes, -1, -1)

    @property
    def live(self) -> Tensor:
        """Which episodes go on, (M, B), the same for all passes."""
        return self._world.live.expand(self._passes, -1)

    def step(self, t: int, y: Tensor) -> tuple[Tensor, Tensor]:
        """Act; y: (M, B, O) logits. Returns what is seen next (M, B, I), and -log p of the action by pass (M, B)."""
        world, live, p = self._world, self._world.live, policy(y)
        acts = p.mean(0, keepdims=True) if self._by is None else p[self._by : self._by + 1]
        actions = chosen(acts, world._uniforms())
        seen, rewards = world._act(actions)
        self._taken.append(actions[0])
        self._got.append(rewards[0])
        log_p = torch.log_softmax(y.double().cpu(), -1)  # what is acted in lies there, wherever outputs lie
        taken = torch.from_numpy(actions).expand(len(y), -1).unsqueeze(-1)
        loss = -log_p.gather(-1, taken).squeeze(-1) * live
        return world._as_seen(seen, y).expand(len(y), -1, -1), loss.to(y)

    @property
    def actions(self) -> np.ndarray:
        """The actions taken so far, (t, B)."""
        return np.stack(self._taken)

    @property
    def rewards(self) -> np.ndarray:
        """The rewards so far, (t, B), 0 once an episode is over."""
        return np.stack(self._got)


def by_chance(world: World) -> float | None:
    """Return minus the mean reward a step (of all T) of actions that are all equally probable.

    None: what the outputs of the world mean is its own.

    >>> from neuroanp.tasks.reaching import Reaching
    >>> task = Reaching(Reaching.config(steps=5))
    >>> by_chance(task.sample(np.random.default_rng(0), 50).world) > 0  # rewards are minus distances
    True
    """
    while isinstance(world, EncodedWorld):
        world = world.world
    if not isinstance(world, ActingWorld):
        return None
    drawn = ActingWorld(world.make, world.actions, world.seeds, world.key, world.steps)
    like, total = torch.zeros(1, dtype=torch.float64), 0.0
    drawn.reset(1, like)
    for t in range(drawn.steps):
        if not bool(drawn.live.any()):
            break
        total += float(drawn.step(t, like.expand(1, drawn.batch, world.actions))[1].sum())
    return total / (drawn.steps * drawn.batch)


def policy(y: Tensor) -> np.ndarray:
    """Return the probabilities of actions (..., A), float64, of logits (..., A).

    >>> policy(torch.zeros(1, 4)).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    return torch.softmax(y.double(), -1).cpu().numpy()


def chosen(p: np.ndarray, uniforms: np.ndarray | None) -> np.ndarray:
    """Return the actions (M, B) of policies p (M, B, A): drawn by uniforms (B,), the same for all M, or the likeliest.

    >>> chosen(np.array([[[0.2, 0.5, 0.3]] * 4]), np.array([0.1, 0.2, 0.69, 0.99])).tolist()
    [[0, 1, 1, 2]]
    """
    if uniforms is None:
        return p.argmax(-1)
    below = np.cumsum(p, -1)[..., :-1] <= uniforms[:, None]  # the last action takes what rounding leaves over
    return below.sum(-1)
