"""The types that cross rooms: Weights, PassPlan, Trajectory, WeightUpdate.

Shapes: T time steps, M passes, R differences, B sequences of the batch, I inputs, N hidden
units, O outputs. Matrices are (post, pre), so that h = x W^T.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

ARRAYS = ("w_in", "w", "w_out")
"""The matrices of the network: input, recurrent, output."""


@dataclass(frozen=True)
class Weights(Mapping[str, "Tensor"]):
    """The network's matrices by name.

    Args:
        arrays: w_in (N, I), w (N, N), w_out (O, N). With `bias`, w_in and w_out carry one more
            column, which a constant 1 drives (on a crossbar: a line held at full scale).
        bias: whether that column is there.
    """

    arrays: Mapping[str, Tensor]
    bias: bool = False

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {tuple(W.shape)}" for name, W in self.arrays.items())
        return f"{type(self).__name__}({shapes}{', with a bias line' if self.bias else ''})"

    def __getitem__(self, name: str) -> Tensor:
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    @property
    def inputs(self) -> int:
        """I, the number of inputs without the bias line."""
        return self["w_in"].shape[1] - self.bias

    @property
    def hidden(self) -> int:
        """N, the number of hidden units."""
        return self["w"].shape[0]

    @property
    def outputs(self) -> int:
        """O, the number of outputs."""
        return self["w_out"].shape[0]


def with_bias_line(values: Tensor, bias: bool = True) -> Tensor:
    """Append the line that a constant 1 drives to values (..., n), if the network has one.

    >>> import torch
    >>> with_bias_line(torch.zeros(1, 2))
    tensor([[0., 0., 1.]])
    """
    import torch  # these types are also read by those who do not compute

    return torch.cat([values, values.new_ones(*values.shape[:-1], 1)], -1) if bias else values


@dataclass(frozen=True)
class PassPlan:
    """What the passes of one update are and how they become differences.

    Args:
        gain: (M,) factor on each pass's noise: 1, or 0 for a silent pass.
        stream: (M,) which noise stream each pass draws from.
        pairs: (R, 2) pass indices (perturbed, reference), or "mean": every pass against the mean.
        pre: the pass whose activity is presynaptic, or None for the mean over the passes.

    Raises:
        ValueError: gain and stream differ in length, or pairs or pre name a pass that is not there.

    >>> PassPlan(gain=(1.0, 0.0), stream=(0, 1), pairs=((0, 2),))
    Traceback (most recent call last):
    ...
    ValueError: pairs: (0, 2) is not two different passes out of 0 .. 1
    """

    gain: tuple[float, ...]
    stream: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...] | str
    pre: int | None = None

    def __post_init__(self) -> None:
        if not self.gain or len(self.gain) != len(self.stream):
            raise ValueError(f"a gain and a stream for each pass, not {len(self.gain)} and {len(self.stream)}")
        known = f"out of 0 .. {self.passes - 1}"
        if self.pre is not None and not 0 <= self.pre < self.passes:
            raise ValueError(f"pre: {self.pre} is not a pass {known}")
        if self.pairs == "mean":
            return
        if not isinstance(self.pairs, tuple) or not self.pairs:
            raise ValueError(f"pairs: {self.pairs!r} is neither 'mean' nor a tuple of (perturbed, reference)")
        for pair in self.pairs:
            if len(pair) != 2 or pair[0] == pair[1] or not all(0 <= index < self.passes for index in pair):
                raise ValueError(f"pairs: {pair} is not two different passes {known}")

    @property
    def passes(self) -> int:
        """M, the number of passes."""
        return len(self.gain)

    @property
    def differences(self) -> int:
        """R, the number of differences."""
        return self.passes if self.pairs == "mean" else len(self.pairs)


@dataclass(frozen=True)
class Trajectory:
    """One chunk of time of all passes.

    Args:
        u: (T, B, I) presynaptic activity of w_in: inputs (traces of them where they are spikes), the
            bias line included if the network has one.
        h: (T, M, B, N) pre-activations, or None where only losses were asked for. Of spiking units
            the current that drives the membrane.
        x: (T, M, B, N) activities, or None likewise. Of spiking units the filtered spike trace.
        x_prev: (M, B, N) activities of the step before the chunk (zeros at the start).
        y: (T, M, B, O) outputs.
        t0: index of the chunk's first step.
        dt: seconds a step.
        z: (T, M, B, N) filtered spike trace, or None where units do not spike.
        readout: (T, M, B, N) what w_out sees, the bias line included, where that is not x; or None.
        spikes: (T, M, B, N) whether a unit spiked, bool; None where units do not.
        fired: (N,) spikes of each unit in all passes and sequences of the chunk, or None likewise.
        v: (T, M, B, N) membrane potentials, or None where they were not asked for.
        noise: the known noise by layer, "hidden" (T, M, B, N) on h and "output" (T, M, B, O) on y,
            where it was asked for (node perturbation needs it, ANP never does); or None.
        noise_sigma: standard deviation of that noise by layer.
    """

    u: Tensor
    h: Tensor | None
    x: Tensor | None
    x_prev: Tensor | None
    y: Tensor
    t0: int
    dt: float
    z: Tensor | None = None
    readout: Tensor | None = None
    spikes: Tensor | None = None
    fired: Tensor | None = None
    v: Tensor | None = None
    noise: Mapping[str, Tensor] | None = None
    noise_sigma: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Credit:
    """What the losses say of each step: the only feedback a rule sees.

    Args:
        hidden: (T, R, B) credit of the hidden units (return-to-go of the loss differences).
        output: (T, R, B) credit of the outputs (the step's own loss difference).
    """

    hidden: Tensor
    output: Tensor


@dataclass(frozen=True)
class WeightUpdate:
    """A descent direction, W <- W - lr dW.

    Args:
        arrays: dW by name, of the weights' shapes.
        diagnostics: numbers worth a column in the metrics (loss, norm of the update).
    """

    arrays: Mapping[str, Tensor]
    diagnostics: Mapping[str, float] = field(default_factory=dict)
