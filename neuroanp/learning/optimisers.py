"""Turn a rule's update into a step: SGD or Adam, a learning-rate schedule, clipping by norm, weight decay."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import cos, pi
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from neuroanp.later import number
from neuroanp.trajectory import WeightUpdate
from neuroanp.yaml_io import GrowingSection, Problem, all_at

MOST_LR = 1e3
MOST_WARMUP = 99_999_999
"""No run has more updates."""
LEAST_FLOOR = 0.01
"""What an exponential decay ends at where nothing is said: it never gets to 0."""
OF_SCHEDULE = {
    "floor": ("cosine", "linear", "exponential"),
    "milestones": ("step",),
    "factor": ("step",),
}
"""Options that some schedules alone have."""


class Optimizer(GrowingSection):
    """SGD or Adam on the update, with clipping by norm, a schedule and decoupled weight decay.

        m <- b1 m + (1-b1) g    v <- b2 v + (1-b2) g^2    step = (m / (1-b1^k)) / (sqrt(v / (1-b2^k)) + eps)
        W <- W - lr_k (step + decay W)

    With SGD the step is g. The decay is of the weights alone: neither moments nor clipping see it, so that it is the
    same for weights whose updates are large. It is part of what is written: on a device it costs pulses, energy and
    errors as the step does, and where write-verify has a deadband a decay below that is not written until it has added
    up. All that learns decays, biases and the readout too: the digital target weights, or with `hardware.write: pulse`,
    where there are none, what the arrays hold; that they are looked at for it is not booked.

    Schedules, of p = (k - warmup) / (updates - warmup): cosine lr (f + (1-f) (1 + cos(pi p)) / 2), linear
    lr (1 - (1-f) p), exponential lr f^p, step lr times `factor` for each of `milestones` that p has reached, constant
    lr; f is `floor`. In the first `warmup` updates k = 0 .. the rate is lr (k+1) / (warmup+1), whichever the schedule.

    Sources: Kingma and Ba, arXiv 1412.6980, algorithm 1; Loshchilov and Hutter, arXiv 1711.05101, algorithms 1 (without
    momentum) and 2, with the decay times the whole learning rate.

    >>> Optimizer(name="sgd", lr=0.1, schedule="cosine").rate(5, 10)
    0.05
    >>> ramped = Optimizer(lr=0.1, schedule="linear", warmup=4)
    >>> [round(ramped.rate(k, 8), 3) for k in range(8)]
    [0.02, 0.04, 0.06, 0.08, 0.1, 0.075, 0.05, 0.025]
    """

    later: ClassVar[tuple[str, ...]] = ("warmup", "floor", "milestones", "factor", "weight_decay")

    name: Literal["adam", "sgd"] = Field(default="adam", description="how the step is made from the update")
    lr: float = Field(
        default=1e-3, gt=0, le=MOST_LR, allow_inf_nan=False, description="learning rate where the schedule starts"
    )
    schedule: Literal["cosine", "linear", "exponential", "step", "constant"] = Field(
        default="cosine", description="how the rate falls until the last update"
    )
    clip: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="largest norm of an update over all arrays"
    )
    beta1: float = Field(default=0.9, ge=0, lt=1, description="Adam: memory of the mean")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="Adam: memory of the square")
    eps: float = Field(default=1e-8, gt=0, description="Adam: floor of the root mean square")
    warmup: int = Field(
        default=0, ge=0, le=MOST_WARMUP, description="first updates, in which the rate rises; the schedule comes after"
    )
    floor: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="what the rate falls to, as a part of lr; unset: 0, of schedule exponential 0.01",
    )
    milestones: tuple[float, ...] = Field(
        default=(0.5, 0.75),
        strict=False,
        min_length=1,
        max_length=100,
        description="schedule step: when the rate falls, as shares of the updates after the warm-up",
    )
    factor: float = Field(default=0.1, gt=0, lt=1, description="schedule step: what the rate is multiplied by")
    weight_decay: float = Field(
        default=0.0, ge=0, description="decoupled: lr times this of each weight is taken off at every update"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Optimizer:
        problems = [
            Problem((key,), f"is of schedule {' or '.join(of)}, and this is {self.schedule}; leave it out")
            for key, of in OF_SCHEDULE.items()
            if key in self.model_fields_set and self.schedule not in of and self._said(key)
        ]
        if self.schedule == "exponential" and self.floor == 0:
            problems.append(
                Problem(("floor",), "0 is never reached by schedule exponential; write e.g. 0.01, or linear")
            )
        inside = all(0 < share < 1 for share in self.milestones)
        if not inside or not all(before < after for before, after in pairwise(self.milestones)):
            problems.append(
                Problem(("milestones",), "must be shares between 0 and 1 that rise; write e.g. [0.5, 0.75]")
            )
        if self.lr * self.weight_decay >= 1:
            taken = f"takes lr x weight_decay = {self.lr * self.weight_decay:g} of each weight at every update"
            problems.append(Problem(("weight_decay",), f"{self.weight_decay:g} {taken}, which must be below 1"))
        if problems:
            raise all_at(problems)
        return self

    def _said(self, key: str) -> bool:
        """Return whether an option is another than its default: what a dump of all options says is no choice."""
        return self.model_dump(include={key}) != {}

    def rate(self, update: int, updates: int) -> float:
        """Return the learning rate of update number `update` (from 0) of `updates`."""
        if update < self.warmup:
            return self.lr * (update + 1) / (self.warmup + 1)
        done, whole = update - self.warmup, updates - self.warmup
        if self.schedule == "constant":
            return self.lr
        if self.schedule == "step":
            return self.lr * self.factor ** sum(done / whole >= share for share in self.milestones)
        if self.schedule == "exponential":
            return self.lr * (LEAST_FLOOR if self.floor is None else self.floor) ** (done / whole)
        floor = self.floor or 0.0
        if self.schedule == "linear":
            return self.lr * (1 - (1 - floor) * done / whole)
        return self.lr * floor + (1 - floor) * (self.lr * 0.5 * (1 + cos(pi * done / whole)))

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

    def decayed(self, direction: WeightUpdate, weights: Mapping[str, Tensor]) -> WeightUpdate:
        """Return the direction with what decays: step + decay W.

        Args:
            direction: the step by array. weights: W by array, at least those of the direction.

        >>> step = WeightUpdate({"w": torch.tensor([[1.0]])})
        >>> Optimizer(weight_decay=0.5).decayed(step, {"w": torch.tensor([[4.0]])}).arrays["w"]
        tensor([[3.]])
        """
        arrays = {name: step + self.weight_decay * weights[name] for name, step in direction.arrays.items()}
        return WeightUpdate(arrays, direction.diagnostics)

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
