"""What a device asks of its laws, and the types they share.

A law is a frozen model of parameters (profiles.laws.Law) whose methods are pure functions on
tensors. One's own law implements one of these and is found by entry point (neuroanp.laws.<kind>).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from neuroanp.kernels.philox import Address

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


class ErrorAt(Protocol):
    """The total error about the target at one time after the write; `v_read`: volts it was read at, None: any.

    `shift` is how far the mean of all cells of a target has moved by then, siemens; None: not at all.
    """

    @property
    def time(self) -> float: ...
    @property
    def v_read(self) -> float | None: ...
    def sigma(self, g_target: Tensor, g_max: float) -> Tensor: ...
    def shift(self, g_target: Tensor) -> Tensor | None: ...
    def within(self, later: Any) -> bool: ...


class ProgrammingLaw(Protocol):
    """What a verified write leaves.

    `pulses` of one write, `deadband` in siemens that a target must move for a write, and whether a write is `exact`.
    `error` is the total error that it starts from where a drift law lets that grow (an `ErrorAt`), or None;
    `g_low` the lowest conductance of its levels, siemens, or None: no levels.
    """

    pulses: int
    deadband: float
    exact: bool
    error: ErrorAt | None
    g_low: float | None

    def sigma(self, g_target: Tensor, g_max: float) -> Tensor: ...
    def write(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor: ...


class DriftLaw(Protocol):
    """What time does to a conductance.

    `settles` tells whether the state itself relaxes, so that a write starts from what is left of it
    (a leak), or the conductance is kept as written and seen through the law (drift of PCM). Of a law whose numbers are
    a table in time, `last_s` is when it ends, seconds after a write (what is older is answered with the last values,
    and who asks for it is told), `start` the error that it grows from; None: neither. `covers` is the range of targets
    that its numbers are for, siemens (beyond, the values of its ends are taken, and that is said); None: any.
    `at_temperature` is as of `NodeSource`.
    """

    settles: bool
    last_s: float | None
    start: ErrorAt | None

    @property
    def covers(self) -> tuple[float, float] | None: ...
    @property
    def at_temperature(self) -> Callable[[float], DriftLaw] | None: ...
    def draw(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor: ...
    def conductance(self, g: Tensor, nu: Tensor, age: Tensor, target: Tensor, span: Span) -> Tensor: ...


class ReadLaw(Protocol):
    """Noise of a read, in its fresh and its frozen part.

    `t_read` seconds that a read lasts and `v_read` volts it is made with, where the law knows them; None: it does not.
    A law with a memory has a method `process`, which returns the stationary process of unit variance that every device
    follows when each is drawn at each read; None: no memory.
    """

    t_read: float | None
    v_read: float | None

    @property
    def process(self) -> Callable[[], ReadProcess] | None: ...
    def split(
        self, g_programmed: Tensor, g_now: Tensor, g_max: float, age: Tensor, window: float
    ) -> tuple[Tensor, Tensor]: ...


def remembers(law: ReadLaw | None) -> bool:
    """Tell whether a law, or None, is a read law with a memory.

    >>> from neuroanp.devices.rtn import RtnRead
    >>> remembers(RtnRead(tau_high="1 ms", tau_low="1 ms", amplitude=0.1)), remembers(None)
    (True, False)
    """
    return law is not None and law.process is not None


class VariabilityLaw(Protocol):
    """How the devices of an array differ in what they conduct; `cv` is the sd of their factor, None: not stated."""

    cv: float | None

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator, like: Tensor) -> Tensor: ...


class UpdateLaw(Protocol):
    """What single pulses do.

    `one_sided` tells whether pulses only raise a device, so that weights are pairs of them; `write_noise` is the
    relative noise of what a write shows on top of the state, 0: none. A law that verifies by pulses has a method
    `program` (write and verify); None: it cannot. A law whose devices have a state beside what they conduct has a
    method `hold` (the state of devices that conduct g); None: what they conduct is all. `reach` is the lowest and the
    highest conductance, siemens, that a law in siemens has numbers for; None: its numbers go with the range.
    `weakened` takes devices and a share (planes, n, m), and returns them as pulses find them that arrive in part; None:
    the law cannot say what such a pulse does. `driven_by` is what the share is of: of the step at full voltage
    ("voltage", see `devices.arriving`), or of the current, whose law the update law has by itself ("current").
    """

    one_sided: bool
    write_noise: float
    driven_by: Literal["voltage", "current"]

    @property
    def reach(self) -> tuple[float, float] | None: ...

    @property
    def program(
        self,
    ) -> Callable[[Cells, Tensor, Tensor, Span, np.random.Generator, frozenset[str]], Pulsed] | None: ...
    @property
    def hold(self) -> Callable[[Cells, Tensor, Span], Mapping[str, Tensor]] | None: ...
    @property
    def weakened(self) -> Callable[[Cells, Tensor], Cells] | None: ...
    def sample(
        self, shape: tuple[int, ...], rng: np.random.Generator, effects: frozenset[str], like: Tensor
    ) -> dict[str, Tensor]: ...
    def pulse(
        self, cells: Cells, dg: Tensor, span: Span, rng: np.random.Generator, effects: frozenset[str]
    ) -> Pulsed: ...


class Process(Protocol):
    """A stationary process with a memory, exact in continuous time.

    `samples_are_steps` marks one that is only known sample by sample: one is taken a step. One step of time takes
    uniforms and standard normals of the shapes that `uniforms` and `normals` name for units of a shape (None: none);
    the last dimensions of states and draws are that shape. `node_sigma` is its standard deviation.
    """

    n_sources: int
    samples_are_steps: bool

    @property
    def node_sigma(self) -> float: ...
    def uniforms(self, shape: tuple[int, ...]) -> tuple[int, ...] | None: ...
    def normals(self, shape: tuple[int, ...]) -> tuple[int, ...] | None: ...
    def start(self, u: Tensor | None, xi: Tensor | None) -> Tensor: ...
    def run(self, state: Tensor, u: Tensor | None, xi: Tensor | None, dt: float) -> tuple[Tensor, Tensor]: ...
    def autocorrelation(self, lag_s: float) -> float: ...


class ReadProcess(Process, Protocol):
    """What the devices of a read law with a memory follow, of variance 1.

    `of_devices` takes uniforms of the devices' shape and returns the process of these very devices; None: all are
    alike. `of_ages` takes seconds since the write of each device, at the end of the window, and returns the process of
    devices of these ages; None: a device's age does not matter to it.
    """

    @property
    def of_devices(self) -> Callable[[Tensor], ReadProcess] | None: ...
    @property
    def of_ages(self) -> Callable[[Tensor], ReadProcess] | None: ...


class Place(NamedTuple):
    """Where the noise of some steps of a pass goes, and where its draws lie.

    Args:
        noise: (T, M, B, n), in single precision on a CPU. m: which pass.
        u, xi: addresses of the uniforms and normals of the first step.
    """

    noise: Tensor
    m: int
    u: Address
    xi: Address


class NodeSource(Process, Protocol):
    """Noise on the pre-activations of units.

    A law that draws as it runs has a method `fill`: what `run` returns of the draws at a place is put there, bit for
    bit, and the states after it are returned; None: it is given its draws.
    `energy_per_bit` is joules a sample of one source, `static_power` watts of one all the time, None: not stated.
    `at_temperature` returns the law in
    surroundings of so many kelvin, one that is equal where nothing depends on it (ValueError where it does not hold);
    None: nothing depends on it.
    `bank` draws the sources of so many units where each is another one: what it returns takes shapes (..., units), and
    its `node_sigma` and `autocorrelation` are of all of them; None: all are alike.
    """

    energy_per_bit: float | None

    @property
    def static_power(self) -> float | None: ...
    @property
    def bank(self) -> Callable[[np.random.Generator, int, Tensor], SourceBank] | None: ...
    @property
    def at_temperature(self) -> Callable[[float], NodeSource] | None: ...
    @property
    def fill(self) -> Callable[[Place, Tensor, float], Tensor] | None: ...


class SourceBank(NodeSource, Protocol):
    """Sources that are not alike, those of some units; `sigmas` (units,) is the standard deviation of each one's noise.

    `static_power` is that of one source on average.
    """

    @property
    def sigmas(self) -> Tensor: ...
