"""Record what an update computes on a GPU once, as one CUDA graph, and replay it for the updates that follow.

A kernel at a time, the host takes longer to launch a step of a small network than the GPU takes to do it. The kernels
of an update are always the same, and so are the places where they read and write; what differs are the numbers they
find: weights and read noise of the arrays, the batch, the number of the update that noise is addressed by. These are
copied to where the recorded kernels look. What a chip's books are told is told again, with the numbers of the replay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from torch import Tensor

from neuroanp.backends.foreign import warn_once
from neuroanp.training.noted import Noted
from neuroanp.trajectory import Weights, WeightUpdate

if TYPE_CHECKING:
    from neuroanp.substrates.protocol import ReadPlan, Substrate
    from neuroanp.training.lab import Lab

Learn = Callable[["Lab"], WeightUpdate]

MOST_STEPS = 4096
"""Steps of time up to which an update is recorded: each is a few nodes of the graph, which takes memory and time."""


class Graph(Protocol):
    """What records work and does it again."""

    def record(self, work: Callable[[], WeightUpdate]) -> WeightUpdate:
        """Record work and return what it makes: tensors that each replay fills anew."""
        ...

    def replay(self) -> None:
        """Do it again."""
        ...


class CudaGraph:
    """A CUDA graph.

    Args: device: of the tensors.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._graph = device, torch.cuda.CUDAGraph()

    def record(self, work: Callable[[], WeightUpdate]) -> WeightUpdate:
        """Do work once for libraries to set up and kernels to be compiled, then record it."""
        with torch.cuda.device(self._device):
            before, beside = torch.cuda.current_stream(), torch.cuda.Stream()
            beside.wait_stream(before)
            with torch.cuda.stream(beside):
                work()
            before.wait_stream(beside)
            try:
                with torch.cuda.graph(self._graph, stream=beside):
                    return work()
            finally:
                torch.cuda.set_stream(before)  # a recording that fails may leave the other one

    def replay(self) -> None:
        """Launch it."""
        self._graph.replay()


class Recording:
    """What a learner computes in one update of a lab, recorded.

    Args:
        lab: gives sizes, and all that stays. learn: what is recorded; it may only read the lab.
        graph: what records.
    """

    def __init__(self, lab: Lab, learn: Learn, graph: Graph) -> None:
        given = found(lab)
        self.layout = layout(lab, given)
        like = lab.mask
        self._update_there = torch.full((1,), lab.streams.update, dtype=torch.int64, device=like.device)
        self._places = [x.clone() for x in given]
        self._graph = graph
        places = iter(self._places)
        source, targets, mask = (next(places) for _ in range(3))
        weights = Weights({name: next(places) for name in lab.substrate.weights}, lab.network)
        reads = {
            name: replace(read, **{field: next(places) for field in tensors(read)}) for name, read in lab.reads.items()
        }
        self._noted = Noted(lab.substrate, weights)
        twin = replace(
            lab, source=source, targets=targets, mask=mask, reads=reads, substrate=cast("Substrate", self._noted),
            streams=replace(lab.streams, update_there=self._update_there), writes=None,
        )  # fmt: skip

        def work() -> WeightUpdate:
            self._noted.forget()
            return learn(twin)

        self._made = graph.record(work)

    def learn(self, lab: Lab, given: list[Tensor]) -> WeightUpdate:
        """Return the update of a lab of the same layout, and book its reads; given: what `found` finds in it."""
        self._update_there.fill_(lab.streams.update)
        torch._foreach_copy_(self._places, given)  # pyright: ignore[reportPrivateImportUsage]
        self._graph.replay()
        self._noted.book(lab.substrate)
        made = self._made
        numbers = {name: x.clone() if isinstance(x, Tensor) else x for name, x in made.diagnostics.items()}
        arrays, D = ({name: x.clone() for name, x in each.items()} for each in (made.arrays, made.decorrelation))
        return WeightUpdate(arrays, numbers, D)


class Recorded:
    """Computes updates: by a recording where one can be made, else a kernel at a time.

    Args: learn: what computes an update.
    """

    def __init__(self, learn: Learn) -> None:
        self._learn = learn
        self._recording: Recording | None = None
        self._refused = False

    def __call__(self, lab: Lab) -> WeightUpdate:
        """Return the update of a lab."""
        if self._refused or not data_on_gpu(lab):
            return self._learn(lab)
        if (why := unrecordable(lab)) is not None:
            self._refuse(why)
            return self._learn(lab)
        given = found(lab)
        if self._recording is None or self._recording.layout != layout(lab, given):
            self._recording = None  # its memory is free for the next one
            try:
                self._recording = Recording(lab, self._learn, CudaGraph(lab.mask.device))
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:  # a cell or a loss of somebody's own that the host has a part in
                self._refuse(str(error).splitlines()[0])
                return self._learn(lab)
        return self._recording.learn(lab, given)

    def _refuse(self, why: str) -> None:
        """Record no more, and say why."""
        self._refused = True
        warn_once(
            f"this update cannot be recorded as a CUDA graph ({why}): its kernels are launched one by one, which takes "
            "several times as long for small networks"
        )


def data_on_gpu(lab: Lab) -> bool:
    """Return whether an update is of data on a GPU; a world answers on the host, step by step."""
    return isinstance(lab.source, Tensor) and lab.source.is_cuda


def unrecordable(lab: Lab) -> str | None:
    """Return why updates of data on a GPU cannot be recorded: what the host has a part in; None: they can."""
    if lab.steps > MOST_STEPS:
        return f"{lab.steps:,} steps of time, at most {MOST_STEPS:,} are"
    if not lab.backend.recordable:
        return f"backend '{lab.backend.name}' computes on the host as well"
    if any(read.process is not None for read in lab.reads.values()):
        return "devices are drawn one by one, whose states the host keeps"
    return None


def tensors(read: ReadPlan) -> list[str]:
    """Return the names of a plan's tensors."""
    return [name for name, value in vars(read).items() if isinstance(value, Tensor)]


def found(lab: Lab) -> list[Tensor]:
    """Return all numbers that differ from update to update, in order."""
    assert isinstance(lab.source, Tensor)
    of_reads = [vars(read)[name] for read in lab.reads.values() for name in tensors(read)]
    return [lab.source, lab.targets, lab.mask, *lab.substrate.weights.values(), *of_reads]


def layout(lab: Lab, given: list[Tensor]) -> tuple[Any, ...]:
    """Return all that must be the same for a recording to serve a lab; given: what `found` finds in it."""
    of_reads = tuple(
        (name, field, None if isinstance(value, Tensor) else value)
        for name, read in lab.reads.items()
        for field, value in vars(read).items()
    )
    shapes = tuple((tuple(x.shape), x.dtype) for x in given)
    own = (lab.substrate, lab.backend, lab.loss, lab.streams.streams, lab.streams.phase, lab.memory, lab.books)
    neurons = tuple((name, key, id(x)) for name, each in lab.substrate.neurons.items() for key, x in each.items())
    return (of_reads, shapes, *own, lab.learning, tuple(lab.substrate.node_sigmas().items()), neurons)
