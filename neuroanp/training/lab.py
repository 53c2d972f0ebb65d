"""What one update may use: the batch, the chip to present it to, and the books and streams of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from torch import Tensor

from neuroanp.backends.protocol import Request
from neuroanp.errors import InputError
from neuroanp.losses import errors_of_steps, of_steps
from neuroanp.trajectory import Weights

if TYPE_CHECKING:
    from neuroanp.backends.protocol import Backend
    from neuroanp.losses import Loss
    from neuroanp.network.network import Network
    from neuroanp.noise import PassStreams, Streams
    from neuroanp.source import Source
    from neuroanp.substrates.ledger import Ledger
    from neuroanp.substrates.protocol import ProgrammingReport, ReadPlan, Substrate
    from neuroanp.training.identifying import Identifying
    from neuroanp.training.sharing import Crew
    from neuroanp.trajectory import PassPlan, Trajectory, WeightUpdate


class Shown:
    """How many steps of how many sequences a chip was shown of a world; it stops where one ends.

    steps: over all passes. heard: those in which some pass goes on, each counted once.

    >>> import torch
    >>> shown = Shown()
    >>> shown.add(torch.tensor([[[True, False], [True, False]]]), (1, 2, 2))
    >>> shown.steps, shown.heard
    (2, 1)
    """

    def __init__(self) -> None:
        self.steps, self.heard = 0, 0

    def add(self, live: Tensor | None, shape: tuple[int, int, int]) -> None:
        """Count a chunk of shape (T, M, B): live, which of them went on, of that shape; None: all."""
        T, M, B = shape
        self.steps += T * M * B if live is None else int(live.sum())
        self.heard += T * B if live is None else int(live.any(1).sum())


NO_ERRORS = (
    "a world tells its loss and no signed errors of the outputs; use a rule that hears the loss alone: rule.readout: "
    "perturb, or rule.errors: inferred"
)


@dataclass(frozen=True)
class Lab:
    """All that one update may use.

    Args:
        source: of the inputs: (T, B, I) data, or a world.
        targets: (T, B, O); mask: (T,); of a world, which says the loss itself, the mask alone counts.
        substrate: holds the weights; reads: what it prepared for this update.
        backend: runs the passes; streams: the noise of this update.
        memory: bytes that stored trajectories may take before passes are replayed instead.
        loss: the task's.
        window_s: seconds that the passes of this update take on the chip.
        writes: where cycle-to-cycle draws of writes in the course of the update come from, and the update's number.
        learning: the arrays that learn; None: all.
        books: whether anybody looks at the ledger: of a control nobody does.
        identifying: what units know, and hear, of the arrays before them; None: they go by the weights that are held.
        shown: counts what of a world is presented, which takes the chip's time.
        limits: the largest weight of each array, w_s; of one that is not there nothing is known.
        crew: processes that share what is presented, where the learner can; None: this one alone.

    >>> import torch
    >>> from neuroanp.trajectory import WeightUpdate
    >>> from neuroanp.training.build import Experiment, build_trainer
    >>> from neuroanp.training.configure import configure
    >>> tiny = {"task": "copy", "network": {"hidden": 4}, "training": {"batch": 2}, "rule": "np"}
    >>> trainer = build_trainer(Experiment.of(configure(tiny)))
    >>> lab, rule = trainer.lab(), trainer.learner.rule
    >>> plan = rule.plan()
    >>> chunks = [*lab.run(plan)]
    >>> lab.steps, lab.batch, lab.inputs.shape, plan.passes, sum(len(chunk.y) for chunk in chunks)
    (9, 2, torch.Size([9, 2, 5]), 2, 9)
    >>> scored = torch.cat([lab.losses(chunk) for chunk in chunks])  # 0 where a step is not scored
    >>> scored.shape, bool((scored[lab.mask == 0] == 0).all()), lab.errors(chunks[0]).shape, lab.learns("w")
    (torch.Size([9, 2, 2]), True, torch.Size([9, 2, 2, 4]), True)
    >>> with lab.page() as books:  # what is booked here stands apart
    ...     before = lab.read()
    >>> after, report = lab.write(WeightUpdate({name: W - W + 0.01 for name, W in before.items()}), part=1)
    >>> round(float((before["w"] - after.read()["w"]).mean()), 6), report.saturated, lab.network.hidden
    (0.01, 0.0, 4)
    """

    source: Source
    targets: Tensor
    mask: Tensor
    substrate: Substrate
    reads: Mapping[str, ReadPlan]
    backend: Backend
    streams: PassStreams
    memory: int
    loss: Loss
    window_s: float = 0.0
    writes: tuple[Streams, int] | None = None
    learning: frozenset[str] | None = None
    books: bool = True
    identifying: Identifying | None = None
    shown: Shown = field(default_factory=Shown)
    limits: Mapping[str, float] = field(default_factory=dict)
    crew: Crew | None = None

    def learns(self, name: str) -> bool:
        """Return whether an array, by its `name`, learns; what is found for others is thrown away."""
        return self.learning is None or name in self.learning

    @property
    def network(self) -> Network:
        """Layers and projections of the network that learns."""
        return self.substrate.network

    @property
    def batch(self) -> int:
        """B, sequences of the batch."""
        return self.source.shape[1] if isinstance(self.source, Tensor) else self.source.batch

    @property
    def steps(self) -> int:
        """T, steps of a presentation."""
        return len(self.source) if isinstance(self.source, Tensor) else self.source.steps

    @property
    def inputs(self) -> Tensor:
        """The data (T, B, I), which a digital twin can be shown.

        Raises: InputError: a world answers the network, and no twin of it can be differentiated.
        """
        if isinstance(self.source, Tensor):
            return self.source
        raise InputError("a world that answers the network has no data to show a digital twin; use a local rule")

    def run(self, plan: PassPlan, keep: str = "all", book: bool = True) -> Iterator[Trajectory]:
        """Present the batch once for each pass and yield what happened chunk by chunk; see `Request`.

        Args:
            plan: the passes. keep: what of them is kept, as in `Request`. book: whether the ledger counts these reads.
        """
        asked = Request(self.substrate, self.reads, self.source, plan, self.streams, keep, book and self.books)
        chunks = self.backend.run(asked)
        return chunks if isinstance(self.source, Tensor) or not book else self._counted(chunks)

    def _counted(self, chunks: Iterator[Trajectory]) -> Iterator[Trajectory]:
        """Yield the chunks of a world, and note how much of it was shown."""
        for chunk in chunks:
            T, M, B = chunk.y.shape[:3]
            self.shown.add(chunk.live, (T, M, B))
            yield chunk

    def page(self) -> AbstractContextManager[Ledger | None]:
        """Return what books what happens meanwhile on a page of its own, where anybody looks at the books."""
        return self.substrate.ledger.apart() if self.books else nullcontext()

    def losses(self, chunk: Trajectory) -> Tensor:
        """Return the loss of each step that is scored, (T, M, B): what a world said, or the task's of its targets.

        Args: chunk: what `run` yielded, of T steps.
        """
        time = slice(chunk.t0, chunk.t0 + len(chunk.y))
        if chunk.loss is not None:
            return chunk.loss * self.mask[time, None, None]
        return of_steps(self.loss, chunk.y, self.targets[time], self.mask[time])

    def errors(self, chunk: Trajectory) -> Tensor:
        """Return the signed errors of the outputs at each step that is scored, (T, M, B, O): see `errors_of_steps`.

        Args: chunk: what `run` yielded, of T steps.

        Raises: InputError: a world says the loss alone.
        """
        if chunk.loss is not None:
            raise InputError(NO_ERRORS)
        time = slice(chunk.t0, chunk.t0 + len(chunk.y))
        return errors_of_steps(self.loss, chunk.y, self.targets[time], self.mask[time])

    def read(self) -> Weights:
        """Return the weights as the passes of this update see them: the mean ones, with all that devices did, W D."""
        return Weights({name: read.effective for name, read in self.reads.items()}, self.network)

    def write(self, update: WeightUpdate, part: int) -> tuple[Lab, ProgrammingReport]:
        """Write W <- W - dW in the course of an update, and read the arrays anew for the passes that follow.

        Args:
            update: dW by name. part: number of this write within the update, from 1; it has draws of its own.

        Returns: the lab after the write, and what the write missed.
        """
        if self.writes is None:
            raise ValueError("this lab was made without streams for writes")
        streams, index = self.writes
        report = self.substrate.apply(update, 1.0, streams, index, part)
        return replace(self, reads=self.substrate.prepare(self.window_s, self.streams)), report
