"""The side that is measured: one update of the package, from a batch to dW, at a stated size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from neuroanp.noise import PassStreams
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.lab import Lab


@dataclass(frozen=True)
class Size:
    """The size of an update.

    Args:
        units: N hidden ones. steps: T. batch: B sequences. K: of the rule; 1 is a pair of passes, more are K + 1 passes
            of which each is compared with their mean.
    """

    units: int
    steps: int
    batch: int
    K: int = 1

    @property
    def passes(self) -> int:
        """M, the number of passes."""
        return 2 if self.K == 1 else self.K + 1

    def __str__(self) -> str:
        return f"N={self.units}, T={self.steps}, B={self.batch}, M={self.passes}"


class Learner:
    """One dW of the package, again and again: arrays read, passes run, the ledger booked; weights are not written.

    Args:
        size: of the update. device: torch's. rule, training: options that differ from the defaults.
        more: other sections.
    """

    def __init__(
        self, size: Size, device: str = "cpu", rule: Any = None, training: Any = None, more: Any = None
    ) -> None:
        length = max(1000, size.steps + 100)
        task = {"name": "mackey_glass", "steps": size.steps, "washout": 0, "train_length": length, "test_size": 1}
        reference = "two" if size.K == 1 else "mean"
        config: dict[str, Any] = {
            "task": task,
            "network": {"hidden": size.units},
            "rule": {"name": "anp", "reference": reference, "K": size.K, **(rule or {})},
            "training": {"batch": size.batch, "controls": False, **(training or {})},
            "compute": {"device": device},
            **(more or {}),
        }
        self.size = size
        self.trainer = build_trainer(Experiment.of(configure(config)))
        self.first = self.trainer.lab()

    @property
    def weights(self) -> dict[str, Tensor]:
        """The matrices by name."""
        return dict(self.trainer.substrate.weights)

    def lab(self, number: int) -> Lab:
        """Return what update `number` may use: the same batch, its own noise, the arrays read anew."""
        streams = PassStreams(self.trainer.streams, "train", number)
        reads = self.trainer.substrate.prepare(self.trainer.window(), streams)
        return replace(self.first, streams=streams, reads=reads)

    def __call__(self, number: int) -> dict[str, Tensor]:
        """Return dW by name of update `number`."""
        return dict(self.trainer.learner.learn(self.trainer.learned, self.lab(number))[1].arrays)

    def noise(self, number: int) -> tuple[Tensor, Tensor]:
        """Return the noise of update `number`: (T, M, B, N) on the pre-activations, (T, M, B, O) on the outputs."""
        lab = self.lab(number)
        plan = self.trainer.learner.rule.plan()  # pyright: ignore[reportAttributeAccessIssue]
        chunks = [chunk.noise for chunk in lab.run(plan, "noise") if chunk.noise is not None]
        hidden, output = (torch.cat([chunk[name] for chunk in chunks]) for name in ("hidden", "output"))
        return hidden, output
