"""What a simulator of spiking neurons offers: many independent rows of the same network, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Recurrence:
    """How spikes become synaptic current: either a matrix that never changes, or a read of a noisy array.

    Args:
        wt: (N, N) current that a spike of unit j (row) adds to unit i (column); None where reads are noisy.
        read: takes the step within the chunk and the spikes (rows, N) as numbers; returns currents (rows, N).
        connected: False where no spike reaches a unit of its own layer: `wt` is None then, and reads are of zeros.
    """

    wt: Tensor | None
    read: Callable[[int, Tensor], Tensor]
    connected: bool = True


class Steps(NamedTuple):
    """What a chunk of T steps was.

    Args:
        h: (T, rows, N) the current that drove the membrane: I before the step, what arrived at its start, and I_ext.
        s: (T, rows, N) spikes, bool.
        z: (T, rows, N) activity after the step.
        v: (T, rows, N) membrane potential after the step, as it is compared with the threshold: before the reset of
            that step's spike, and after a delayed one; or None where not asked for.
    """

    h: Tensor
    s: Tensor
    z: Tensor
    v: Tensor | None


def fired(s: Tensor) -> Tensor:
    """Return how often each unit spiked, int64 (N,), of spikes (T, rows, N).

    >>> import torch
    >>> fired(torch.tensor([[[True, False]], [[True, True]]]))
    tensor([2, 1])
    """
    if s.device.type != "cpu":
        return s.sum((0, 1))
    import numpy as np
    import torch

    from neuroanp.kernels.lif import count  # torch takes twelve times as long to add up booleans

    found = np.zeros(s.shape[-1], np.int64)
    count(s.reshape(-1, s.shape[-1]).numpy(), found)
    return torch.from_numpy(found)


class Population(Protocol):
    """`rows` independent copies of N neurons (passes x sequences); they differ in their input alone."""

    def begin(self) -> None:
        """Put every neuron to rest: the start of a presentation."""
        ...

    def run(
        self, current: Tensor, recurrence: Recurrence, incoming: Tensor | None, keep_v: bool = False,
        arriving: Tensor | None = None,
    ) -> Steps:  # fmt: skip
        """Simulate the next T steps.

        Order of a step: I_ext is set, and I gains `arriving`; v moves by the I of the step before and what arrived;
        units above threshold that are not refractory spike; I decays and gains what the spikes and `incoming` add;
        spiking units reset:

            J = I_{t-1} + arriving_t,   h_t = J + I_ext_t,   I_t = a_s J + W s_t + incoming_t

        Args:
            current: (T, rows, N) external current I_ext.
            recurrence: what spikes add to I.
            incoming: (T, rows, N) what input spikes add to I at the synapses' turn, or None.
            keep_v: whether membrane potentials are wanted.
            arriving: (T, rows, N) what is added to I at the start of a step, before v moves by it, such as the spikes
                of an earlier layer in the same step; or None.
        """
        ...
