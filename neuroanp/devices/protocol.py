"""What a device asks of its laws, and the types they share.

A law is a frozen model of parameters (profiles.laws.Law) whose methods are pure functions on
tensors. One's own law implements one of these and is found by entry point (neuroanp.laws.<kind>).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, TypeGuard, runtime_checkable

import numpy as np
from torch import Tensor

Cells = Mapping[str, Tensor]
"""State of the devices of an array by name; see devices.device."""


class Span(NamedTuple):
    """The range of conductance a device is used in, siemens.

    >>> round(Span(0.0, 25e-6).middle * 1e6, 1)
    12.5
    """

    g_min: float
    g_max: float

    @property
    def width(self) -> float:
        """g_max - g_min, siemens."""
        return self.g_max - self.g_min

    @property
    def middle(self) -> float:
        """The conductance halfway, siemens."""
        return 0.5 * (self.g_min + self.g_max)


@dataclass(frozen=True)
class Pulsed:
    """What pulses did.

    Args:
        cells: the state that changed, by name ("g" among it).
        pulses: pulses sent to each cell (int32).
        gave_up: where write-verify ended outside its tolerance, or None.
    """

    cells: Mapping[str, Tensor]
    pulses: Tensor
    gave_up: Tensor | None = None


class ProgrammingLaw(Protocol):
    """What a verified write leaves."""

    pulses: int
    deadband: float
    exact: bool

    def sigma(self, g_target: Tensor, g_max: float) -> Tensor: ...
    def write(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor: ...


class DriftLaw(Protocol):
    """What time does to a conductance.

    `settles` tells whether the state itself relaxes, so that a write starts from what is left of it
    (a leak), or the conductance is kept as written and seen through the law (drift of PCM). A law
    that depends on temperature is `profiles.laws.Thermal`.
    """

    settles: bool

    def draw(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor: ...
    def conductance(self, g: Tensor, nu: Tensor, age: Tensor, target: Tensor, span: Span) -> Tensor: ...


@runtime_checkable
class Tabulated(Protocol):
    """A drift law whose numbers are a table in time: `last_s` after a write, seconds, it ends.

    What is older is answered with the last values; who asks for it is told (substrates.promises).
    """

    @property
    def last_s(self) -> float: ...


class ReadLaw(Protocol):
    """Noise of a read, in its fresh and its frozen part.

    A law with a memory has `correlated = True` and `process()`, the stationary process of unit
    variance that every device follows when each is drawn at each read.
    """

    def split(
        self, g_programmed: Tensor, g_now: Tensor, g_max: float, age: Tensor, window: float
    ) -> tuple[Tensor, Tensor]: ...


@runtime_checkable
class ReadProcess(Protocol):
    """A read law with a memory, where `correlated` is True (see ReadLaw)."""

    correlated: ClassVar[bool]

    def process(self) -> Any: ...


def remembers(law: Any) -> TypeGuard[ReadProcess]:
    """Tell whether a law, or None, is a read law with a memory.

    >>> from neuroanp.devices.rtn import RtnRead
    >>> remembers(RtnRead(tau_high="1 ms", tau_low="1 ms", amplitude=0.1)), remembers(None)
    (True, False)
    """
    return isinstance(law, ReadProcess) and bool(law.correlated)


class VariabilityLaw(Protocol):
    """How the devices of an array differ in what they conduct."""

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator, like: Tensor) -> Tensor: ...


class UpdateLaw(Protocol):
    """What single pulses do. A law that verifies by pulses has `program` and `hold` too.

    One whose pulses only raise a device has `one_sided = True`: its weights are pairs.
    """

    def sample(
        self, shape: tuple[int, ...], rng: np.random.Generator, effects: frozenset[str], like: Tensor
    ) -> dict[str, Tensor]: ...
    def pulse(
        self, cells: Cells, dg: Tensor, span: Span, rng: np.random.Generator, effects: frozenset[str]
    ) -> Pulsed: ...


class NodeSource(Protocol):
    """A stationary process with a memory, exact in continuous time; noise on the pre-activations of units.

    `samples_are_steps = True` marks a source that is only known sample by sample: one is taken a step.
    One step of time takes uniforms and standard normals of the shapes that `uniforms` and `normals`
    name for units of a shape (None: none); the last dimensions of states and draws are that shape. A
    law that depends on temperature is `profiles.laws.Thermal`.
    """

    n_sources: int

    @property
    def node_sigma(self) -> float: ...
    def uniforms(self, shape: tuple[int, ...]) -> tuple[int, ...] | None: ...
    def normals(self, shape: tuple[int, ...]) -> tuple[int, ...] | None: ...
    def start(self, u: Tensor | None, xi: Tensor | None) -> Tensor: ...
    def run(self, state: Tensor, u: Tensor | None, xi: Tensor | None, dt: float) -> tuple[Tensor, Tensor]: ...
    def autocorrelation(self, lag_s: float) -> float: ...
