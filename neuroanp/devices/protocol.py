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
    """The range of conductance a device is used in.

    Args: g_min, g_max: its ends, siemens.

    >>> round(Span(0.0, 25e-6).middle * 1e6, 1)
    12.5
    >>> Span(0.0, 25e-6).width
    2.5e-05
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
        pulses: pulses sent to each cell (int32), (planes, n, m).
        gave_up: where write-verify ended outside its tolerance, (planes, n, m), or None.

    >>> import torch
    >>> Pulsed({"g": torch.zeros(1, 1, 2)}, torch.tensor([[[3, 0]]], dtype=torch.int32)).pulses.sum().item()
    3
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

    Args:
        pulses: of one write. deadband: siemens that a target must move for a write. exact: whether a write is.
        error: the total error that it starts from where a drift law lets that grow (an `ErrorAt`), or None.
        g_low: the lowest conductance of its levels, siemens, or None: no levels.

    >>> import torch
    >>> from neuroanp.devices.gaussian import GaussianProgramming
    >>> law = GaussianProgramming(sigma_absolute="0.3 uS", sigma_relative=0.04)
    >>> target = torch.tensor([10e-6])
    >>> law.sigma(target, 25e-6), law.write(target, 25e-6, torch.ones(1))  # sqrt(.3^2 + .4^2) uS, and one of it above
    (tensor([5.0000e-07]), tensor([1.0500e-05]))
    """

    pulses: int
    deadband: float
    exact: bool
    error: ErrorAt | None
    g_low: float | None

    def sigma(self, g_target: Tensor, g_max: float) -> Tensor:
        """Return the standard deviation of the random error, siemens.

        Args: g_target: siemens, any shape. g_max: full scale, siemens.
        """
        ...

    def write(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return the programmed conductance, siemens.

        Args: g_target: siemens, any shape. g_max: full scale, siemens. xi: standard normals, of the shape of g_target.
        """
        ...


class DriftLaw(Protocol):
    """What time does to a conductance.

    Args:
        settles: whether the state itself relaxes, so that a write starts from what is left of it (a leak), or the
            conductance is kept as written and seen through the law (drift of PCM).
        last_s: when its table in time ends, seconds after a write (the last values hold from then on); None: no table.
        start: the error that it grows from; None: none.

    >>> import torch
    >>> from neuroanp.profiles.loader import load
    >>> law, span = load("pcm").drift, Span(0.0, 25e-6)
    >>> g = torch.tensor([10e-6], dtype=torch.float64)
    >>> nu = law.draw(g, span.g_max, torch.zeros(1))  # of one write; here the mean exponent of such a target
    >>> later = law.conductance(g, nu, torch.tensor([20.0 * 1000.0]), g, span)
    >>> bool((later / g - 1000.0**-nu).abs() < 1e-6), law.settles, law.covers  # (t / t0)^-nu, t0 = 20 s
    (True, False, None)
    >>> law.at_temperature(350.0) is law
    True
    """

    settles: bool
    last_s: float | None
    start: ErrorAt | None

    @property
    def covers(self) -> tuple[float, float] | None:
        """The range of targets that its numbers are for, siemens (beyond, its ends are taken and told); None: any."""

    @property
    def at_temperature(self) -> Callable[[float], DriftLaw] | None:
        """What returns the law in surroundings of so many kelvin, as of `NodeSource`; None: nothing depends on it."""

    def draw(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return what is drawn at a write, "nu", of the shape of g_target.

        Args: g_target: siemens, any shape. g_max: full scale, siemens. xi: standard normals, of the shape of g_target.
        """
        ...

    def conductance(self, g: Tensor, nu: Tensor, age: Tensor, target: Tensor, span: Span) -> Tensor:
        """Return the conductance so long after a write, siemens.

        Args:
            g: just after the write, siemens, any shape. nu: what `draw` returned, of the same shape.
            age: seconds since then, (...) that broadcasts. target: what the write aimed at, siemens, the same shape.
            span: range of conductance.
        """
        ...


class ReadLaw(Protocol):
    """Noise of a read, in its fresh and its frozen part.

    Args: t_read: seconds that a read lasts. v_read: volts it is made with. None: the law does not know.

    >>> import torch
    >>> from neuroanp.devices.gaussian import GaussianRead
    >>> law, g = GaussianRead(sigma_absolute="0.3 uS", sigma_relative=0.04), torch.tensor([10e-6])
    >>> fresh, frozen = law.split(g, g, 25e-6, torch.tensor(1.0), 1e-6)
    >>> round(1e6 * fresh.item(), 6), frozen.item(), law.process  # uS; white noise remembers nothing
    (0.5, 0.0, None)
    """

    t_read: float | None
    v_read: float | None

    @property
    def process(self) -> Callable[[], ReadProcess] | None:
        """What returns the process of variance 1 that devices follow when each is drawn; None: no memory."""

    def split(
        self, g_programmed: Tensor, g_now: Tensor, g_max: float, age: Tensor, window: float
    ) -> tuple[Tensor, Tensor]:
        """Return standard deviations of the fresh and the frozen noise, siemens.

        Args:
            g_programmed, g_now: just after the write and as it has drifted, siemens, any shape.
            g_max: full scale, siemens. age: seconds since the write at the end of the window, (...) that broadcasts.
            window: seconds that the passes of one update take.
        """
        ...


def remembers(law: ReadLaw | None) -> bool:
    """Tell whether a law, or None, is a read law with a memory.

    >>> from neuroanp.devices.rtn import RtnRead
    >>> remembers(RtnRead(tau_high="1 ms", tau_low="1 ms", amplitude=0.1)), remembers(None)
    (True, False)
    """
    return law is not None and law.process is not None


class VariabilityLaw(Protocol):
    """How the devices of an array differ in what they conduct.

    Args: cv: standard deviation of their factor, a fraction; None: not stated.

    >>> import torch
    >>> from neuroanp.devices.cmos import LognormalMismatch
    >>> f = LognormalMismatch(cv=0.2).sample((1, 100, 100), np.random.default_rng(0), torch.empty(0))
    >>> f.shape, round(f.mean().item(), 2)
    (torch.Size([1, 100, 100]), 1.0)
    """

    cv: float | None

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator, like: Tensor) -> Tensor:
        """Draw the factors of an array of devices, (planes, n, m), dimensionless.

        Args: shape: (planes, n, m). rng: device-to-device draws. like: gives dtype and device.
        """
        ...


class UpdateLaw(Protocol):
    """What single pulses do.

    Args:
        one_sided: whether pulses only raise a device, so that weights are pairs of them.
        write_noise: relative noise of what a write shows on top of the state; 0: none.
        driven_by: what the share of a pulse that arrives is of: of the step at full voltage ("voltage", see
            `devices.arriving`), or of the current, whose law the update law has by itself ("current").

    >>> import torch
    >>> from neuroanp.profiles.loader import load
    >>> law, span, rng = load("ecram").update, Span(1e-6, 11e-6), np.random.default_rng(0)
    >>> cells = law.sample((1, 1, 2), rng, frozenset(), torch.empty(0))  # without `d2d` they are alike
    >>> g = torch.full((1, 1, 2), span.middle)
    >>> cells = {**cells, **law.hold(cells, g, span)}
    >>> done = law.pulse(cells, torch.tensor([[[0.5e-6, -0.5e-6]]]), span, rng, frozenset())
    >>> done.pulses.tolist(), [round(x, 1) for x in (1e6 * (done.cells["g"] - g)).flatten().tolist()]  # of .01 uS
    ([[[50, 50]]], [0.5, -0.5])
    >>> half = law.weakened(cells, torch.full((1, 1, 2), 0.5))
    >>> (half["up"] / cells["up"]).flatten().tolist(), law.reach, law.one_sided
    ([0.5, 0.5], None, False)
    >>> made = law.program(cells, g + 1e-6, torch.ones(1, 1, 2, dtype=torch.bool), span, rng, frozenset())
    >>> [round(x, 3) for x in (1e6 * made.cells["g"]).flatten().tolist()]
    [7.0, 7.0]
    """

    one_sided: bool
    write_noise: float
    driven_by: Literal["voltage", "current"]

    @property
    def reach(self) -> tuple[float, float] | None:
        """The lowest and highest conductance, siemens, that a law has numbers for; None: they go with the range."""

    @property
    def program(
        self,
    ) -> Callable[[Cells, Tensor, Tensor, Span, np.random.Generator, frozenset[str]], Pulsed] | None:
        """What writes and verifies by pulses; takes cells, targets, mask, span, draws, effects. None: it cannot."""

    @property
    def hold(self) -> Callable[[Cells, Tensor, Span], Mapping[str, Tensor]] | None:
        """What returns the state (by name) of devices that conduct g; takes cells, g, span. None: g is all there is."""

    @property
    def weakened(self) -> Callable[[Cells, Tensor], Cells] | None:
        """What returns devices as pulses find them of which a share arrives; takes cells, share. None: unknown."""

    def sample(
        self, shape: tuple[int, ...], rng: np.random.Generator, effects: frozenset[str], like: Tensor
    ) -> dict[str, Tensor]:
        """Draw the devices of an array: what they keep beside their conductance, by name, (planes, n, m) each.

        Args:
            shape: (planes, n, m). rng: device-to-device draws, the same whatever effects are on. effects: that are on.
            like: gives dtype and device.
        """
        ...

    def pulse(self, cells: Cells, dg: Tensor, span: Span, rng: np.random.Generator, effects: frozenset[str]) -> Pulsed:
        """Send single pulses that should change each device by dg; return what they did.

        Args: cells: the devices, (planes, n, m) each. dg: siemens, (planes, n, m). span: range of conductance.
            rng: rounding to whole pulses, and their noise. effects: that are on.
        """
        ...


class Process(Protocol):
    """A stationary process with a memory, exact in continuous time.

    One step of time takes uniforms and standard normals of the shapes that `uniforms` and `normals` name for units of a
    shape (None: none); the last dimensions of states and draws are that shape.

    Args: n_sources: that are summed. samples_are_steps: whether it is only known sample by sample, one a step.

    >>> import torch
    >>> from neuroanp.devices.ornstein_uhlenbeck import OrnsteinUhlenbeck
    >>> law = OrnsteinUhlenbeck(sigma=0.1, tau="10 ms", n_sources=4)
    >>> law.node_sigma, round(law.autocorrelation(10e-3), 4), law.uniforms((3,)), law.normals((3,))
    (0.2, 0.3679, None, (3,))
    >>> noise, state = law.run(law.start(None, torch.ones(3)), None, torch.zeros(2, 3), 10e-3)  # T 2, three units
    >>> noise.shape, round((noise[1, 0] / noise[0, 0]).item(), 4)  # e^-1 a step
    (torch.Size([2, 3]), 0.3679)
    """

    n_sources: int
    samples_are_steps: bool

    @property
    def node_sigma(self) -> float:
        """Its standard deviation, dimensionless."""
        ...

    def uniforms(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the shape of the uniforms that one step takes, for units of this shape; None: none."""

    def normals(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the shape of the standard normals that one step takes, for units of this shape; None: none."""

    def start(self, u: Tensor | None, xi: Tensor | None) -> Tensor:
        """Return stationary states.

        Args: u, xi: uniforms and normals, of the shapes that `uniforms` and `normals` name, or None.
        """
        ...

    def run(self, state: Tensor, u: Tensor | None, xi: Tensor | None, dt: float) -> tuple[Tensor, Tensor]:
        """Return the values of T steps, (T, *shape), and the states after them; exact for any dt.

        Args:
            state: as `start` or the last call returned it, of its shape. u, xi: draws, (T, ...) of one step's shapes.
            dt: seconds a step, 0 or more.
        """
        ...

    def autocorrelation(self, lag_s: float) -> float:
        """Return the correlation of the process with itself lag_s seconds away."""
        ...


class ReadProcess(Process, Protocol):
    """What the devices of a read law with a memory follow, of variance 1.

    >>> import torch
    >>> from neuroanp.devices.rtn import RtnRead
    >>> process = RtnRead(tau_high="1 ms", tau_low="1 ms", amplitude=0.1).process()
    >>> process.node_sigma, process.of_devices is None, process.of_ages is None
    (1.0, False, True)
    """

    @property
    def of_devices(self) -> Callable[[Tensor], ReadProcess] | None:
        """What takes uniforms of the devices' shape and returns the process of these very ones; None: all are alike."""

    @property
    def of_ages(self) -> Callable[[Tensor], ReadProcess] | None:
        """What takes seconds since each write, at the end of a window, to the process then; None: age is nothing."""


class Place(NamedTuple):
    """Where the noise of some steps of a pass goes, and where its draws lie.

    Args:
        noise: (T, M, B, n), in single precision on a CPU. m: which pass.
        u, xi: addresses of the uniforms and normals of the first step.

    >>> import torch
    >>> from neuroanp.noise import PassStreams, Streams
    >>> streams = PassStreams(Streams(0), "train", 0)
    >>> place = Place(torch.zeros(8, 1, 2, 3), 0, streams.at("u", 0), streams.at("xi", 0))  # T 8, M 1, B 2, n 3
    >>> place.noise[:, place.m].shape
    torch.Size([8, 2, 3])
    """

    noise: Tensor
    m: int
    u: Address
    xi: Address


class NodeSource(Process, Protocol):
    """Noise on the pre-activations of units.

    Args: energy_per_bit: joules a sample of one source; None: not stated.

    >>> import torch
    >>> from neuroanp.devices.ornstein_uhlenbeck import OrnsteinUhlenbeck
    >>> law = OrnsteinUhlenbeck(sigma=0.1, tau="10 ms", n_sources=4, energy_per_bit="2 fJ", sigma_cv=0.2)
    >>> law.energy_per_bit, law.static_power, law.fill, law.at_temperature
    (2e-15, None, None, None)
    >>> bank = law.bank(np.random.default_rng(0), 5, torch.empty(0))  # five units, no two alike
    >>> bank.sigmas.shape
    torch.Size([5])
    """

    energy_per_bit: float | None

    @property
    def static_power(self) -> float | None:
        """Watts of one source all the time; None: not stated."""

    @property
    def bank(self) -> Callable[[np.random.Generator, int, Tensor], SourceBank] | None:
        """What draws the sources of so many units, no two alike (shapes are then (..., units)); None: all are alike."""

    @property
    def at_temperature(self) -> Callable[[float], NodeSource] | None:
        """What returns the law in surroundings of so many kelvin, one that is equal where nothing depends on it.

        ValueError where it does not hold there. None: nothing depends on it.
        """

    @property
    def fill(self) -> Callable[[Place, Tensor, float], Tensor] | None:
        """What does `run` of the draws at a place, bit for bit, and returns the states; None: it is given its draws."""


class SourceBank(NodeSource, Protocol):
    """Sources that are not alike, those of some units.

    `static_power` is that of one source on average.

    >>> import torch
    >>> from neuroanp.devices.ornstein_uhlenbeck import OrnsteinUhlenbeck
    >>> law = OrnsteinUhlenbeck(sigma=0.1, n_sources=1, sigma_cv=0.2)
    >>> bank = law.bank(np.random.default_rng(0), 1000, torch.empty(0))
    >>> bank.sigmas.shape, abs(bank.sigmas.mean().item() / 0.1 - 1.0) < 0.03
    (torch.Size([1000]), True)
    """

    @property
    def sigmas(self) -> Tensor:
        """Standard deviation of the noise of each unit, (units,), dimensionless."""
        ...
