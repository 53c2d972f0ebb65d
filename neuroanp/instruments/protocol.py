"""What drives a real array: read a vector, send pulses, tell what it cost.

    I_i = sum_j V_j G_ij        a read: volts of the word lines in, amperes of the bit lines out

A driver of one's own is a class with the members of `Instrument`; it is found by entry point (neuroanp.instruments) or
registered, and named by `hardware.substrate`. It never sees weights, pairs or limits: those are kept above it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from pydantic import Field, model_validator

from neuroanp.errors import RunError
from neuroanp.registry import Registry
from neuroanp.units import PositiveConductance, PositiveCurrent, PositiveTime, PositiveVoltage, Voltage
from neuroanp.yaml_io import GrowingSection, Section, at


class LinkLostError(RunError):
    """The connection to an instrument is gone: whether what was asked last was done is not known.

    >>> str(LinkLostError("tcp://bench: connection refused"))
    'tcp://bench: connection refused'
    """


class InstrumentError(RunError):
    """An instrument answers nonsense or reports an error, or would have to go beyond a limit; nothing was sent then."""


class SpentError(InstrumentError):
    """A device took all the pulses that the run may send it; the last checkpoint is of the update that did so."""


class Limits(GrowingSection):
    """What no read and no write may exceed, whatever a rule wants.

    >>> Limits(voltage="0.3 V", write_voltage="2 V", current="1 mA", pulses=100).voltage
    0.3
    """

    later: ClassVar[tuple[str, ...]] = ("run_pulses",)

    voltage: PositiveVoltage = Field(description="most volts of a word line in a read, of either sign")
    write_voltage: PositiveVoltage = Field(description="most volts of a pulse, of either sign")
    current: PositiveCurrent = Field(description="most amperes of a bit line in a read, of either sign")
    pulses: int = Field(ge=1, le=10_000, description="most pulses of one device in one write")
    run_pulses: int | None = Field(
        default=None,
        ge=1,
        le=10**15,
        description="most pulses of one device in a whole run, those of its first weights among them: what reaches it "
        "ends the run, with a checkpoint; unset: no such limit",
    )


class Pulse(Section):
    """The pulses that a device is written with: one shape up, one down.

    >>> Pulse(up="1.2 V", down="-1.5 V", width="100 ns").width
    1e-07
    """

    up: Voltage = Field(description="volts of a pulse that raises the conductance")
    down: Voltage = Field(description="volts of a pulse that lowers it")
    width: PositiveTime = Field(description="how long each lasts")
    step: PositiveConductance | None = Field(
        default=None,
        description="siemens that a pulse moves a device in the middle of its range; unset: the profile's own",
    )

    @model_validator(mode="after")
    def _not_nothing(self) -> Pulse:
        for name, volts in (("up", self.up), ("down", self.down)):
            if not volts:
                raise at((name,), "0 V is no pulse; state its voltage with its sign, e.g. 1.2 V")
        return self


class Identity(NamedTuple):
    """What an instrument is. A device is where a word line and a bit line cross.

    Args: name: of it. lines: how many word lines. bits: how many bit lines.

    >>> Identity("bench", 64, 32).bits
    32
    """

    name: str
    lines: int
    bits: int


class Cost(NamedTuple):
    """What all since the last look took; None where the instrument cannot tell.

    Args: joules: energy, joules. seconds: of the chip's time.

    >>> Cost(joules=1e-9).seconds is None
    True
    """

    joules: float | None = None
    seconds: float | None = None


class Instrument(Protocol):
    """A driver: made with a resource and options, opened, used, closed; it may be opened again after it was closed.

    Whatever loses the connection raises `LinkLostError`; whatever else goes wrong raises `InstrumentError`.

    Args: resource, options: what `hardware.resource` and `hardware.options` say.

    >>> class Resistors:
    ...     "An array of 2 x 1 resistors of 1 kOhm, each raised by a microsiemens a pulse."
    ...     def __init__(self, resource, options):
    ...         self.G = np.full((2, 1), 1e-3)
    ...     def open(self, limits, pulse):
    ...         self.limits, self.pulse = limits, pulse
    ...         return Identity("resistors", 2, 1)
    ...     def read(self, volts):
    ...         return volts @ self.G
    ...     def write(self, pulses):
    ...         self.G += 1e-6 * pulses
    ...     def cost(self):
    ...         return Cost()
    ...     def close(self):
    ...         pass
    >>> from neuroanp.registry import missing
    >>> bench, limits = Resistors("", {}), Limits(voltage="1 V", write_voltage="2 V", current="1 A", pulses=10)
    >>> bench.open(limits, Pulse(up="1 V", down="-1 V", width="1 us")).lines, missing(Resistors, Instrument)
    (2, [])
    >>> bench.write(np.array([[10], [0]], dtype=np.int16))
    >>> bench.read(np.array([[0.5, 0.5]])).item(), bench.cost().joules, bench.close()  # I = sum_j V_j G_j
    (0.001005, None, None)
    """

    def __init__(self, resource: str, options: Mapping[str, Any]) -> None:
        """Take what `hardware.resource` and `hardware.options` say; InputError for options it does not know."""
        ...

    def open(self, limits: Limits, pulse: Pulse) -> Identity:
        """Connect, tell the instrument the limits and the shape of a pulse, and return what it is."""
        ...

    def read(self, volts: np.ndarray) -> np.ndarray:
        """Put volts (rows, lines) on the word lines, a row after the other; return amperes (rows, bits)."""
        ...

    def write(self, pulses: np.ndarray) -> None:
        """Send pulses (lines, bits), int16: so many up (> 0) or down (< 0) to each device."""
        ...

    def cost(self) -> Cost:
        """Return what reads and writes took since this was last asked."""
        ...

    def close(self) -> None:
        """Leave the devices as they are and let go of the instrument; nothing where it is closed."""
        ...


INSTRUMENTS: Registry[type[Instrument]] = Registry("instrument", "neuroanp.instruments", Instrument)
SIMULATED = "simulated"
"""What `hardware.substrate` says of arrays that are no instrument's."""
