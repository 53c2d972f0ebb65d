"""The types that cross rooms: Weights, PassPlan, Trajectory, Compared, Credit, WeightUpdate.

Shapes: T time steps, M passes, R differences, B sequences of the batch, I inputs, n units of a layer, O outputs.
Matrices are (post, pre), so that h = x W^T.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from neuroanp.network.compose import one_layer

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.network.cell import Unit
    from neuroanp.network.network import Network


@dataclass(frozen=True)
class Weights(Mapping[str, "Tensor"]):
    """A network's matrices by the name of their projection.

    Args:
        arrays: (post lines, pre lines) each; one with a bias line carries one more column, which a constant 1 drives
            (on a crossbar: a line held at full scale).
        network: which layers and projections they are of.

    Raises:
        ValueError: an array is missing, of another shape, or of no projection.

    >>> import torch
    >>> one = torch.ones(1, 1)
    >>> Weights.one_layer({"w_in": one, "w": one, "w_out": one})
    Weights(w_in (1, 1), w (1, 1), w_out (1, 1))

    >>> Weights.one_layer({"w_in": one, "w": one, "w_out": one}).like
    tensor([[1.]])
    """

    arrays: Mapping[str, Tensor]
    network: Network

    def __post_init__(self) -> None:
        found, needed = {name: tuple(W.shape) for name, W in self.arrays.items()}, self.network.shapes
        if found != needed:
            raise ValueError(f"the arrays are {found}, the network needs {needed}")

    @classmethod
    def one_layer(cls, arrays: Mapping[str, Tensor], bias: bool = False, cell: Unit | None = None) -> Weights:
        """Return the weights of a network of one layer from its three matrices.

        Args:
            arrays: w_in (n, I), w (n, n) and w_out (O, n); where `bias`, w_in and w_out have one column more.
            bias: whether a constant 1 drives that. cell: its units, tanh if left out.
        """
        return cls(arrays, one_layer({name: W.shape for name, W in arrays.items()}, bias, cell))

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {tuple(W.shape)}" for name, W in self.arrays.items())
        return f"{type(self).__name__}({shapes}{', with a bias line' if self.network.bias else ''})"

    def __getitem__(self, name: str) -> Tensor:
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    @property
    def like(self) -> Tensor:
        """One of the matrices: gives dtype and device."""
        return next(iter(self.arrays.values()))


@dataclass(frozen=True)
class PassPlan:
    """What the passes of one update are and how they become differences.

    Args:
        noise: (M,) factor on each pass's noise: 1, 0 for a silent pass, or -1 for one that mirrors another.
        stream: (M,) which noise stream each pass draws from.
        pairs: (R, 2) pass indices (perturbed, reference), or "mean": every pass against the mean.
        pre: the pass whose activity is presynaptic, or None for the mean over the passes.
        only: (M,) the one group of units that has noise in a pass, 0 the first layer, the outputs last; None: all of
            them; (): all in every pass. A factor of -1 and a group are of noise that is added on purpose: what devices
            make by themselves knows neither (`of_devices`).
        remembered: how many passes come after these M that are not run: a learner remembers them.
        first: the number of the first pass among all of an update, where these are a part of them: what devices make
            by themselves is new in each.

    Raises:
        ValueError: noise and stream (or only) differ in length, or pairs or pre name a pass that is not there.

    >>> PassPlan(noise=(1.0, 0.0), stream=(0, 1), pairs=((0, 2),))
    Traceback (most recent call last):
    ...
    ValueError: pairs: (0, 2) is not two different passes out of 0 .. 1

    >>> plan = PassPlan(noise=(1.0, -1.0), stream=(0, 0), pairs=((0, 1),))
    >>> plan.passes, plan.differences, plan.controlled
    (2, 1, True)
    """

    noise: tuple[float, ...]
    stream: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...] | str
    pre: int | None = None
    only: tuple[int | None, ...] = ()
    remembered: int = 0
    first: int = 0

    def __post_init__(self) -> None:
        if self.only and len(self.only) != self.passes:
            raise ValueError(f"only: a group or None for each of {self.passes} passes, not {len(self.only)}")
        if not self.noise or len(self.noise) != len(self.stream):
            raise ValueError(f"a factor and a stream for each pass, not {len(self.noise)} and {len(self.stream)}")
        last = self.passes + self.remembered - 1
        known = f"out of 0 .. {last}"
        if self.pre is not None and not 0 <= self.pre < self.passes:
            raise ValueError(f"pre: {self.pre} is not a pass {known}")
        if self.pairs == "mean":
            return
        if not isinstance(self.pairs, tuple) or not self.pairs:
            raise ValueError(f"pairs: {self.pairs!r} is neither 'mean' nor a tuple of (perturbed, reference)")
        for pair in self.pairs:
            if len(pair) != 2 or pair[0] == pair[1] or not all(0 <= index <= last for index in pair):
                raise ValueError(f"pairs: {pair} is not two different passes {known}")

    @property
    def passes(self) -> int:
        """M, the number of passes."""
        return len(self.noise)

    @property
    def differences(self) -> int:
        """R, the number of differences."""
        return self.passes if self.pairs == "mean" else len(self.pairs)

    @property
    def controlled(self) -> bool:
        """Whether somebody must turn the sign of noise, or switch it on for one group of units."""
        return bool(self.only) or any(factor < 0 for factor in self.noise)

    def of_group(self, k: int) -> tuple[float, ...]:
        """Return the factors (M,) on the noise that is added to a group of units: k from 0, the outputs last.

        >>> PassPlan(noise=(0.0, 1.0, 1.0), stream=(0, 1, 2), pairs=((1, 0), (2, 0)), only=(None, 0, 1)).of_group(1)
        (0.0, 0.0, 1.0)
        """
        if not self.only:
            return self.noise
        return tuple(factor if of in (None, k) else 0.0 for factor, of in zip(self.noise, self.only, strict=True))

    def part(self, index: int) -> PassPlan:
        """Return the plan of one of several alike parts of an update, by its index, with noise of its own.

        >>> PassPlan(noise=(1.0, 1.0), stream=(0, 1), pairs=((0, 1),)).part(2).stream
        (4, 5)
        """
        apart = index * (max(self.stream) + 1)
        stream = tuple(apart + each for each in self.stream)
        return replace(self, stream=stream, first=index * self.passes)

    @property
    def of_devices(self) -> PassPlan:
        """The passes as the noise of devices sees them: new in each, of no sign and in all groups.

        >>> PassPlan(noise=(1.0, -1.0), stream=(0, 0), pairs=((0, 1),)).of_devices
        PassPlan(noise=(1.0, 1.0), stream=(0, 1), pairs=((0, 1),), pre=None, only=(), remembered=0, first=0)
        """
        if not self.controlled:
            return self
        return replace(
            self, noise=tuple(map(abs, self.noise)), stream=tuple(range(self.first, self.first + self.passes)), only=()
        )


@dataclass(frozen=True)
class LayerActivity:
    """What the units of one layer did in a chunk of time, in all passes.

    Args:
        h: (T, M, B, ports n) pre-activations, port after port. Of spiking units the current that drives the membrane.
        x: (T, M, B, n) activities. Of spiking units the filtered spike trace.
        x_prev: (M, B, n) activities of the step before the chunk (zeros at the start).
        z: (T, M, B, n) filtered spike trace, or None where units do not spike.
        spikes: (T, M, B, n) whether a unit spiked, bool; None where units do not.
        v: (T, M, B, n) membrane potentials, or None where they were not asked for.

    >>> import torch
    >>> h = torch.tensor([0.5, 1.0]).reshape(1, 1, 1, 2)
    >>> LayerActivity(h, torch.tanh(h), torch.zeros(1, 1, 2)).x.flatten()
    tensor([0.4621, 0.7616])
    """

    h: Tensor
    x: Tensor
    x_prev: Tensor
    z: Tensor | None = None
    spikes: Tensor | None = None
    v: Tensor | None = None


@dataclass(frozen=True)
class LayerChange:
    """What the units of one layer did in a chunk of time, where only how passes differ was asked for.

    Args:
        d: (T, R, B, ports n) differences of the pre-activations. squared: (T, R, B), |d|^2.
        x: (T, B, n) presynaptic activity: the mean over the passes, or that of the silent one.
        x_prev: (B, n) that of the step before the chunk (zeros at the start).
    """

    d: Tensor
    squared: Tensor
    x: Tensor
    x_prev: Tensor


@dataclass(frozen=True)
class Trajectory:
    """One chunk of time of all passes.

    Args:
        u: (T, B, I) presynaptic activity of the inputs (traces of them where they are spikes), the bias line included
            if the network has one; (T, M, B, I) where a world answers each pass.
        layers: what each layer did, by name; empty where only losses were asked for. Where only how passes differ was
            asked for, a backend may say that alone.
        y: (T, M, B, O) outputs.
        t0: index of the chunk's first step.
        dt: seconds a step.
        pre: (T, M, B, m) presynaptic activity of arrays, by name, the bias line included, where it is not the activity
            x of the units before them (with a 1 for a bias line); spiking units are filtered on their way.
        loss: (T, M, B) what a world says of the outputs; None of data, where the task says it.
        live: (T, M, B) bool, which worlds had not ended before the step; None: all go on, and of data.
        fired: (n,) by layer: spikes of each unit in all passes and sequences of the chunk; None where units do not.
        noise: the known noise by group of units, on the pre-activations (T, M, B, ports n) of each layer and on the
            "output" (T, M, B, O), where it was asked for (node perturbation needs it, ANP never does); or None.
        noise_sigma: standard deviation of that noise by group.

    >>> import torch
    >>> layer = LayerActivity(*(torch.zeros(4, 2, 3, 5),) * 2, torch.zeros(2, 3, 5))  # T 4, M 2, B 3, n 5
    >>> chunk = Trajectory(torch.zeros(4, 3, 1), {"hidden": layer}, torch.zeros(4, 2, 3, 1), t0=0, dt=1e-3)
    >>> list(chunk.activities), chunk.layers["hidden"].h.shape
    (['hidden'], torch.Size([4, 2, 3, 5]))
    """

    u: Tensor
    layers: Mapping[str, LayerActivity | LayerChange]
    y: Tensor
    t0: int
    dt: float
    pre: Mapping[str, Tensor] = field(default_factory=dict)
    loss: Tensor | None = None
    live: Tensor | None = None
    fired: Mapping[str, Tensor] | None = None
    noise: Mapping[str, Tensor] | None = None
    noise_sigma: Mapping[str, float] | None = None

    @property
    def activities(self) -> dict[str, LayerActivity]:
        """What each layer did in all passes, by name; ValueError where only how passes differ was asked for."""
        found = {name: layer for name, layer in self.layers.items() if isinstance(layer, LayerActivity)}
        if len(found) != len(self.layers):
            raise ValueError("this trajectory tells how passes differ and nothing else; ask for keep 'all'")
        return found


@dataclass(frozen=True)
class Compared:
    """What a rule keeps of one chunk of all passes: how they differ, and what credit is worth there.

    Args:
        d: (T, R, B, lines) differences of the passes by group of units: of the pre-activations of each layer, and of
            the "output".
        gain: (T, R, B) by group, the factor of credit at a step, or one number for all of them.

    >>> import torch
    >>> d = torch.tensor([0.1, -0.1]).reshape(1, 1, 1, 2)  # of two units
    >>> Compared({"hidden": d}, {"hidden": 1.0 / d.square().sum(-1)}).gain["hidden"].item()  # of ANP, 1 / |d|^2
    49.999996185302734
    """

    d: Mapping[str, Tensor]
    gain: Mapping[str, Tensor | float]


@dataclass(frozen=True)
class Credit:
    """What the losses say of each step: the only feedback a rule sees.

    Args:
        hidden: (T, R, B) credit of the hidden units (return-to-go of the loss differences).
        output: (T, R, B) credit of the outputs (the step's own loss difference).

    >>> import torch
    >>> from neuroanp.learning.credit import return_to_go
    >>> dL = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    >>> Credit(hidden=return_to_go(dL, 1.0), output=dL).hidden.flatten()
    tensor([6., 5., 3.])
    """

    hidden: Tensor
    output: Tensor


@dataclass(frozen=True)
class WeightUpdate:
    """A descent direction, W <- W - lr dW.

    Args:
        arrays: dW by name, of the weights' shapes.
        diagnostics: numbers worth a column in the metrics (loss, norm of the update); a GPU knows them first, see
            `neuroanp.later`.
        decorrelation: the next matrix D (N, N) of each layer whose activity is decorrelated; {}: nothing changes.
        steps: whole steps by name, W <- W - step: neither an optimiser nor a rate is between; those of no array else.

    >>> import torch
    >>> update, W = WeightUpdate({"w": torch.tensor([[2.0]])}, {"loss": 0.5}), torch.tensor([[1.0]])
    >>> W - 0.1 * update.arrays["w"]
    tensor([[0.8000]])
    """

    arrays: Mapping[str, Tensor]
    diagnostics: Mapping[str, float | Tensor] = field(default_factory=dict)
    decorrelation: Mapping[str, Tensor] = field(default_factory=dict)
    steps: Mapping[str, Tensor] = field(default_factory=dict)
