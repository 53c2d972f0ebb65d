"""Cells and learners of a test's own, which every registry forgets afterwards, and configurations for them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from pydantic import Field

from neuroanp.baselines.methods import exact_gradient
from neuroanp.network.cell import CELLS, RateCell
from neuroanp.training.gradient_learner import twin
from neuroanp.training.learner import LEARNERS
from neuroanp.trajectory import PassPlan, WeightUpdate
from neuroanp.yaml_io import Section

TINY = {
    "task": {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 8}, "network": {"hidden": 5},
    "training": {"updates": 6, "batch": 3, "checkpoint_every": 3, "controls": False}, "compute": {"dtype": "float64"},
}  # fmt: skip
SILENT = PassPlan(noise=(0.0,), stream=(0,), pairs="mean")


class Identity(RateCell):
    """x_t = h_t."""

    name: Literal["identity"] = "identity"

    def step(self, state, h):
        """Return what came."""
        return state, h


class Options(Section):
    """A gradient, truncated or not, with Gaussian noise of its own on every weight."""

    learner: ClassVar[str] = "noisy_gradient"
    local: ClassVar[bool] = False
    presets: ClassVar[dict[str, Any]] = {}
    preset_optimizers: ClassVar[dict[str, Any]] = {}
    feedback: ClassVar[str] = "BP"
    needs: ClassVar[tuple[str, ...]] = ()

    name: Literal["noisy_gradient"] = "noisy_gradient"
    truncation: int | None = Field(default=None, ge=1, description="steps that a loss reaches back")
    noise: float = Field(default=0.1, ge=0, description="standard deviation of what is added to each weight's")
    writes: bool = Field(default=False, description="whether it writes to the arrays in between")
    left_out: str | None = Field(default=None, description="an array that it says nothing of")

    def check(self, spiking: bool) -> None:
        """Take any units."""


class NoisyGradient:
    """The update g + noise xi; it has a state, which it changes where it lies, and may write while it learns."""

    options: ClassVar[type[Section]] = Options
    takes: ClassVar[tuple[str, ...]] = ("data",)
    passes, noisy = 1, False

    def __init__(self, rule: Options) -> None:
        self.rule = rule

    def numbers_kept(self, network) -> int:
        return 0

    def init(self, weights):
        return {"count": torch.zeros((), dtype=torch.int64)}

    def learn(self, state, lab):
        outputs = twin(lab.backend, lab.network, lab.substrate.neurons)
        exact = exact_gradient(lab.read(), lab, outputs, self.rule.truncation, lab.loss)
        made = {}
        for name, g in exact.arrays.items():
            xi = lab.streams.normal(f"mine/{name}", 0, 0, 1, tuple(g.shape), np.float64)[0]
            made[name] = g + self.rule.noise * torch.from_numpy(xi) + state["count"]
        made.pop(self.rule.left_out, None)
        state["count"] += 1
        if self.rule.writes:
            lab.write(WeightUpdate(made), 1)
            for _ in lab.run(SILENT, "loss", book=True):
                pass
        return state, WeightUpdate(made, exact.diagnostics)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """Know the cell "identity" and the learner "noisy_gradient"."""
    monkeypatch.setattr(CELLS, "_registered", dict(CELLS._registered))
    monkeypatch.setattr(LEARNERS, "_registered", dict(LEARNERS._registered))
    CELLS.register("identity")(Identity)
    LEARNERS.register("noisy_gradient")(NoisyGradient)


@pytest.fixture
def tiny():
    """Return the configuration of a small network, with changes by section."""

    def make(**changes: Any) -> dict[str, Any]:
        made: dict[str, Any] = {**TINY}
        for name, part in changes.items():
            made[name] = {**made.get(name, {}), **part} if isinstance(part, dict) else part
        return made

    return make
