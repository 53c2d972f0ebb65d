"""REINFORCE: the policy gradient by backpropagation, the control of rules that learn from returns.

    dW = -1/B sum_b delta_b sum_t grad_W log p_tb(a_tb)          delta = (R - Rbar) / max(|R|, 1)

Sources: Williams, Mach. Learn. 8, 229 (1992); with this delta the control of Garcia Fernandez, Ahmad, van Gerven,
arXiv 2503.23972 (2025).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from neuroanp.baselines.protocol import Outputs
from neuroanp.losses.surprise import AVERAGE, AVERAGES
from neuroanp.trajectory import Weights
from neuroanp.yaml_io import Section


class Reinforce(Section):
    """REINFORCE: the gradient of the probability of what was done, times the return, by backpropagation."""

    learner: ClassVar[str] = "reinforce"
    local: ClassVar[bool] = False
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    feedback: ClassVar[str] = "BP"
    needs: ClassVar[tuple[str, ...]] = ()  # a host learns by it, on a digital twin

    name: Literal["reinforce"] = "reinforce"
    average: float = Field(default=AVERAGE, gt=0, le=1, description=AVERAGES)

    def check(self, spiking: bool) -> None:
        """Do nothing: spikes have their surrogate gradients."""


def policy_gradient(
    outputs: Outputs, weights: Weights, inputs: Tensor, actions: Tensor, live: Tensor, delta: Tensor
) -> dict[str, Tensor]:
    """Return -1/B sum_b delta_b sum_t grad_W log p_tb(a_tb), the direction of descent, by array.

    Args:
        outputs: the noise-free network, through which autograd can differentiate. weights: its matrices.
        inputs: (T, B, I) what was seen. actions: (T, B) what was done. live: (T, B) 1 where that was one, else 0.
        delta: (B,) what each episode is worth.
    """
    leaves = {name: W.detach().clone().requires_grad_() for name, W in weights.items()}
    with torch.enable_grad():
        log_p = torch.log_softmax(outputs(Weights(leaves, weights.network), inputs), -1)
        of_actions = log_p.gather(-1, actions.unsqueeze(-1)).squeeze(-1) * live
        total = -(of_actions.sum(0) * delta).mean()
        found = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found, strict=True))
