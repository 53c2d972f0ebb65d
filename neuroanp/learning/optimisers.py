"""Turn a rule's update into a step: SGD or Adam, a learning-rate schedule, clipping by norm."""

from __future__ import annotations

from math import cos, pi
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from neuroanp.later import number
from neuroanp.trajectory import WeightUpdate
from neuroanp.yaml_io import Section

MOST_LR = 1e3


class Optimizer(Section):
    """SGD or Adam on the update, with clipping by norm and a schedule.

        m <- b1 m + (1-b1) g    v <- b2 v + (1-b2) g^2    step = (m / (1-b1^k)) / (sqrt(v / (1-b2^k)) + eps)

    Source: Kingma and Ba, arXiv 1412.6980, algorithm 1.

    >>> Optimizer(name="sgd", lr=0.1, schedule="cosine").rate(5, 10)
    0.05
    """

    name: Literal["adam", "sgd"] = Field(default="adam", description="how the step is made from the update")
    lr: float = Field(default=1e-3, gt=0, le=MOST_LR, allow_inf_nan=False, description="learning rate at the start")
    schedule: Literal["cosine", "constant"] = Field(
        default="cosine", description="cosine: decays to 0 at the last update"
    )
    clip: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="largest norm of an update over all arrays"
    )
    beta1: float = Field(default=0.9, ge=0, lt=1, description="Adam: memory of the mean")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="Adam: memory of the square")
    eps: float = Field(default=1e-8, gt=0, description="Adam: floor of the root mean square")

    def rate(self, update: int, updates: int) -> float:
        """Return the learning rate of update number `update` (from 0) of `updates`."""
        if self.schedule == "constant":
            return self.lr
        return self.lr * 0.5 * (1 + cos(pi * update / updates))

    def init(self, arrays: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the state at the start: moments by array and the step count."""
        if self.name == "sgd":
            return {}
        zeros = {f"{moment}/{name}": torch.zeros_like(W) for moment in ("m", "v") for name, W in arrays.items()}
        return {**zeros, "count": torch.zeros((), dtype=torch.int64)}

    def step(self, update: WeightUpdate, state: dict[str, Tensor]) -> tuple[WeightUpdate, dict[str, Tensor]]:
        """Return the direction to write (to be scaled by the learning rate) and the new state.

        The diagnostics gain `update_norm`, the norm before clipping.
        """
        norm = number(torch.sqrt(sum((g.double() ** 2).sum() for g in update.arrays.values())))  # pyright: ignore
        arrays = dict(update.arrays)
        if self.clip is not None and isinstance(norm, Tensor):  # on a GPU, which nobody waits for
            factor = torch.where(norm > self.clip, self.clip / norm, 1.0)
            arrays = {name: g * factor.to(g.dtype) for name, g in arrays.items()}
        elif self.clip is not None and norm > self.clip:
            arrays = {name: g * (self.clip / norm) for name, g in arrays.items()}
        if self.name == "adam":
            arrays, state = self._adam(arrays, state)
        return WeightUpdate(arrays, {**update.diagnostics, "update_norm": norm}), state

    def _adam(self, grads: dict[str, Tensor], state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        count = int(state["count"]) + 1
        new: dict[str, Tensor] = {"count": torch.tensor(count, dtype=torch.int64)}
        steps = {}
        for name, g in grads.items():
            m = self.beta1 * state[f"m/{name}"] + (1 - self.beta1) * g
            v = self.beta2 * state[f"v/{name}"] + (1 - self.beta2) * g * g
            new[f"m/{name}"], new[f"v/{name}"] = m, v
            root = (v / (1 - self.beta2**count)).sqrt_().add_(self.eps)
            steps[name] = m / (1 - self.beta1**count) / root
        return steps, new
