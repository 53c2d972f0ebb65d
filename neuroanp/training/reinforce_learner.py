"""The learner of REINFORCE: episodes of the chip without noise, and the gradient of a digital twin."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from neuroanp.baselines.reinforce import Reinforce, policy_gradient
from neuroanp.losses.surprise import first_state, surprise
from neuroanp.training.gradient_learner import twin
from neuroanp.training.reward_learner import shared
from neuroanp.training.watched import Watched
from neuroanp.trajectory import PassPlan, WeightUpdate

if TYPE_CHECKING:
    from neuroanp.learning.protocol import State
    from neuroanp.network.network import Network
    from neuroanp.training.lab import Lab
    from neuroanp.trajectory import Weights


class ReinforceLearner:
    """Runs REINFORCE: lets episodes go by, noise-free, and differentiates a twin with the weights that arrays hold."""

    options: ClassVar[type[Reinforce]] = Reinforce
    takes: ClassVar[tuple[str, ...]] = ("worlds", "actions")
    plan = PassPlan(noise=(0.0,), stream=(0,), pairs="mean")
    passes = 1
    noisy = False

    def __init__(self, rule: Reinforce) -> None:
        self.rule = rule

    def numbers_kept(self, network: Network) -> int:
        """Return 0: what is stored of an episode is what it showed."""
        return 0

    def init(self, weights: Weights) -> State:
        """Return the state at the start of a run: no return is known."""
        return first_state()

    def learn(self, state: State, lab: Lab) -> tuple[State, WeightUpdate]:
        """Let the batch of episodes go by, and return the policy gradient.

        Raises:
            InputError: the task has no actions to choose from, or the backend no twin that can be differentiated.
        """
        world, live = shared(lab, self.rule.name, 0), list[Tensor]()
        watched = Watched(world)
        for chunk in replace(lab, source=watched).run(self.plan, "loss"):
            live.append(torch.ones_like(chunk.y[:, 0, :, 0]) if chunk.live is None else chunk.live[:, 0].to(chunk.y))
        returns = torch.from_numpy(world.rewards.sum(0))
        delta, after = surprise(returns, state, self.rule.average)
        went = torch.cat(live)
        seen = watched.inputs(len(went))
        outputs = twin(lab.backend, lab.network, lab.substrate.neurons)
        actions = torch.from_numpy(world.actions).to(seen.device)
        went = went * (actions >= 0)  # behind an encoder an action is not due at every step
        actions = actions.clamp_min(0)
        arrays = policy_gradient(outputs, lab.read(), seen, actions, went, delta.to(seen))
        return after, WeightUpdate(arrays, {"loss": -float(returns.sum()) / (lab.steps * lab.batch)})
