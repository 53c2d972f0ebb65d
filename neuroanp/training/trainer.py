"""The state of a training run and what one update does to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from neuroanp.errors import DivergedError
from neuroanp.later import fetch
from neuroanp.noise import PassStreams, Streams
from neuroanp.substrates.read import Reader
from neuroanp.training.batches import Batches, Tensors
from neuroanp.training.decorrelating import folded
from neuroanp.training.evaluate import (
    NOISY,
    SILENT,
    Evaluation,
    HeldOutBatch,
    evaluate,
    learning_loss,
    noisy_loss,
    of_batch,
    outputs,
)
from neuroanp.training.lab import Lab
from neuroanp.training.learner import Learner
from neuroanp.trajectory import WeightUpdate

if TYPE_CHECKING:
    from neuroanp.backends.protocol import Backend
    from neuroanp.learning.optimisers import Optimizer
    from neuroanp.substrates.protocol import ProgrammingReport, ReadPlan, Substrate
    from neuroanp.tasks.protocol import Task
    from neuroanp.training.sharing import Crew

DIVERGED = 1e6
"""A training loss this many times the first one is the end of a run."""


class Crews(Protocol):
    """What a trainer sees of processes that share its updates; see `neuroanp.training.crew`."""

    def begin(self, trainer: Trainer) -> Crew:
        """Begin an update of a trainer with the others, which become copies of it if they are new.

        Raises: RunError: the system starts no process, or one cannot build its copy.
        """
        ...

    def release(self) -> None:
        """End the processes that were started; the next update starts new ones."""
        ...


@dataclass
class Trainer:
    """One network learning one task on one substrate.

    Args:
        task, substrate, backend, learner, optimizer: the parts.
        streams: the run's random streams.
        updates: how many updates the run has in all (the schedule needs it).
        batch: sequences an update.
        dt: seconds a step.
        memory: bytes that stored trajectories may take.
        trained: the arrays that learn; None: all (the control of frozen layers trains those that reach the output).
        limits: the largest weight of each array, w_s.
        batches: what it learns from is kept there for another trainer of the same seed; as made here: nothing is.
        books: whether anybody looks at the ledger of what is read.
        crew: processes that share each update, where there are any.
        update: how many updates are done. moments: the optimizer's state. learned: the learner's.
        first_loss: training loss of the first update.
    """

    task: Task
    substrate: Substrate
    backend: Backend
    learner: Learner
    optimizer: Optimizer
    streams: Streams
    updates: int
    batch: int
    dt: float
    memory: int
    trained: frozenset[str] | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    batches: Batches = field(default_factory=Batches)
    books: bool = True
    crew: Crews | None = None
    update: int = 0
    moments: dict[str, Tensor] = field(default_factory=dict)
    learned: dict[str, Tensor] = field(default_factory=dict)
    first_loss: float = float("nan")

    def __post_init__(self) -> None:
        if not self.moments:
            self.moments = self.optimizer.init(self.of_trained(self.substrate.weights))
        if not self.learned:
            self.learned = self.learner.init(self.substrate.weights)

    def of_trained(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return those of some arrays that learn."""
        return {name: W for name, W in arrays.items() if self.trained is None or name in self.trained}

    def step(self) -> dict[str, float | int]:
        """Do one update and return its row of the metrics.

        Raises:
            DivergedError: the loss or the update is not finite, or the loss exploded; nothing was written.
        """
        lab = self.lab()
        if self.crew is not None:
            lab = replace(lab, crew=self.crew.begin(self))
        learned, update = self.learner.learn(self.learned, lab)
        found = WeightUpdate(self.of_trained(update.arrays), update.diagnostics)
        if found.arrays:
            direction, moments = self.optimizer.step(found, self.moments)
        else:  # a readout alone, by steps of its own
            direction, moments = replace(found, diagnostics={**found.diagnostics, "update_norm": 0.0}), self.moments
        if self.optimizer.weight_decay and found.arrays:  # what decays is written with the step
            direction = self.optimizer.decayed(direction, self.substrate.weights)
        rate = lr = self.optimizer.rate(self.update, self.updates)
        if steps := self.of_trained(update.steps):  # of which no rate is a factor
            scaled = {name: rate * dW for name, dW in direction.arrays.items()}
            direction, lr = WeightUpdate({**scaled, **steps}, direction.diagnostics), 1.0
        ahead = self.substrate.ahead(direction, lr)
        told = fetch({**direction.diagnostics, **ahead})
        self._check_finite(told, explodes=isinstance(lab.source, Tensor))
        self.substrate.elapse(self.window() if isinstance(lab.source, Tensor) else lab.shown.steps * self.dt)
        if ahead:
            of_arrays = {name: told[name] for name in ahead}
            report = self.substrate.apply(direction, lr, self.streams, self.update, told=of_arrays)
        else:
            report = self.substrate.apply(direction, lr, self.streams, self.update)
        if update.decorrelation:
            self.substrate.decorrelate(self._eased(update.decorrelation, rate / self.optimizer.lr))
        self.moments, self.learned = moments, learned
        self.update += 1
        return self._row(told, rate, report)

    def _eased(self, D: Mapping[str, Tensor], share: float) -> Mapping[str, Tensor]:
        """Return matrices after a share of their step, the one that the schedule leaves the optimizer of its rate."""
        if share == 1:
            return D
        before = self.substrate.decorrelation
        return {name: torch.lerp(before[name], new, share) for name, new in D.items()}

    def release(self) -> None:
        """End the processes that share updates, where there are any; the next update starts new ones."""
        if self.crew is not None:
            self.crew.release()

    def evaluate(self, held: HeldOutBatch) -> Evaluation:
        """Measure the network on held-out sequences; books nothing and lets no chip time pass."""
        return evaluate(held, self.substrate, self.backend, self.streams, self.update, self.dt)

    def test_loss(self, held: HeldOutBatch) -> float:
        """Return the loss under the device's noise that `evaluate` finds, and nothing else."""
        return noisy_loss(held, self.substrate, self.backend, self.streams, self.update, self.dt)

    def validate(self, held: HeldOutBatch) -> float:
        """Return the loss of validation sequences under the device's noise: booked, and chip time passes."""
        noise = PassStreams(self.streams, "validation", self.update)
        return learning_loss(held, self.substrate, self.backend, noise, self.dt, self.books)

    def write(self, weights: Mapping[str, Tensor], late: int = 0) -> ProgrammingReport:
        """Write weights, W <- W - (W - weights), as an update is written: booked, with the errors of a write.

        Args:
            weights: of the arrays that are written. late: how many such writes there were since the last update, whose
                errors those of this one are independent of.

        Returns: the shares of the weights that missed.
        """
        now = self.substrate.weights
        change = WeightUpdate({name: now[name] - W for name, W in weights.items()})
        return self.substrate.apply(change, 1.0, self.streams, self.update + late)

    def outputs(self, inputs: Tensor, noise: bool = True) -> Tensor:
        """Present inputs (T, B, I) once, with the noise that `evaluate` draws, or without any.

        Returns: the outputs, (T, 1, B, O).
        """
        streams = PassStreams(self.streams, "test", self.update)
        return outputs(inputs, self.substrate, self.backend, streams, self.dt, NOISY if noise else SILENT).y

    def draws_noise(self) -> bool:
        """Return whether a presentation under the device's noise, as `evaluate` makes one, draws any."""
        streams = PassStreams(self.streams, "test", self.update)
        noisy, silent = (self.substrate.prepare(self.window(), streams, noise=noise) for noise in (True, False))
        frozen = any(not bool((noisy[name].W == silent[name].W).all()) for name in silent)
        fresh = any(Reader(read).noisy for read in noisy.values())
        return frozen or fresh or any(self.substrate.node_sigmas(artificial=False).values())

    def reads(self) -> Mapping[str, ReadPlan]:
        """Return the arrays as a noise-free presentation reads them: with all that time and writes did to them."""
        return self.substrate.prepare(self.window(), PassStreams(self.streams, "test", self.update), noise=False)

    def evaluate_after(self, held: HeldOutBatch, idle_s: float) -> Evaluation:
        """Measure it as `evaluate` does, after the chip has lain idle; clock, books and devices stay as they are."""
        later = self.substrate.at(self.substrate.now + idle_s)
        return evaluate(held, later, self.backend, self.streams, self.update, self.dt)

    def saturated(self) -> float:
        """Return the share of the weights that are at the limit of their array's range."""
        targets = {name: W for name, W in self.substrate.weights.items() if name in self.limits}
        at_limit = sum(int((W.abs() >= self.limits[name]).sum()) for name, W in targets.items())
        return at_limit / max(sum(W.numel() for W in targets.values()), 1)

    def spectral_radius(self) -> float | None:
        """Return the largest absolute eigenvalue of the recurrent weights, of any layer and port; None without any."""
        radii: list[float] = []
        weights = folded(self.substrate.weights, self.substrate.decorrelation)
        for layer in weights.network.layers:
            back = weights.network.recurrence(layer.name)
            for square in () if back is None else weights[back.name].double().cpu().split(layer.units):
                radii.append(float(torch.linalg.eigvals(square).abs().max()))
        return max(radii, default=None)

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that a resumed run needs, as named tensors."""
        return {
            **{f"substrate/{name}": value for name, value in self.substrate.state_dict().items()},
            **{f"optimizer/{name}": value for name, value in self.moments.items()},
            **{f"learner/{name}": value for name, value in self.learned.items()},
            "first_loss": torch.tensor(self.first_loss, dtype=torch.float64),
            "update": torch.tensor(self.update, dtype=torch.int64),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` returned."""
        self.substrate.load_state_dict(_under("substrate/", state))
        like = self.substrate.weights.like
        self.moments, self.learned = (
            {  # a file's tensors are on the CPU, where counts stay
                name: value.to(like.device) if value.ndim else value for name, value in _under(kind, state).items()
            }
            for kind in ("optimizer/", "learner/")
        )
        self.first_loss = float(state["first_loss"])
        self.update = int(state["update"])

    def window(self) -> float:
        """Return how long the passes of one update take on the chip: M B T dt, one presentation after the other.

        Those of a world take it at most: they end with its episodes.
        """
        return self.learner.passes * self.batch * self.task.steps * self.dt

    def lab(self) -> Lab:
        """Return what the next update may use: its batch, the chip as it stands, its noise."""
        source, targets, mask = self.batches.at(self.update, self._sample)
        streams, window = PassStreams(self.streams, "train", self.update), self.window()
        return Lab(
            source=source,
            targets=targets,
            mask=mask,
            substrate=self.substrate,
            reads=self.substrate.prepare(window, streams),
            backend=self.backend,
            streams=streams,
            memory=self.memory,
            loss=self.task.loss,
            window_s=window,
            writes=(self.streams, self.update),
            learning=self.trained,
            books=self.books,
            limits=self.limits,
        )

    def _sample(self) -> Tensors:
        batch, like = (
            self.task.sample(self.streams.generator("data", self.update), self.batch),
            self.substrate.weights.like,
        )
        return Tensors(*of_batch(batch, like))

    def _check_finite(self, diagnostics: Mapping[str, float], explodes: bool) -> None:
        """Raise DivergedError for numbers that are not finite, or (explodes) a loss far above the first one.

        Rewards are bounded by their world, and may be of any sign.
        """
        loss, norm = diagnostics["loss"], diagnostics["update_norm"]
        if self.update == 0:
            self.first_loss = loss
        exploded = explodes and loss > DIVERGED * max(self.first_loss, 1e-12)
        if not (isfinite(loss) and isfinite(norm)) or exploded:
            radius = self.spectral_radius()
            raise DivergedError(
                f"diverged at update {self.update + 1} of {self.updates}: training loss {loss:.3g}, norm of the update "
                f"{norm:.3g}{'' if radius is None else f', spectral radius {radius:.3g}'}; try a lower optimizer.lr, "
                "optimizer.clip or a smaller rule.gamma"
            )

    def _row(self, diagnostics: Mapping[str, float], lr: float, report: ProgrammingReport) -> dict[str, float | int]:
        return {
            "update": self.update,
            "train_loss": diagnostics["loss"],
            "update_norm": diagnostics["update_norm"],
            "lr": lr,
            "saturated": report.saturated,
            "unverified": report.unverified,
        }


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
