"""Drive an array over PyVISA, by five commands in the style of SCPI.

    ARR:SIZE?                      -> "41,40": word lines, bit lines
    ARR:LIM v,w,i,up,down,s,n      volts of a read and a write, amperes; volts up, down, seconds of a pulse; pulses
    ARR:READ? <rows>,<block>       volts of the word lines, row after row -> <block>: amperes of the bit lines
    ARR:PULS <block>               whole numbers, word line after word line: pulses up (> 0) or down of each device
    ARR:COST?                      -> "1.2e-9,3.0e-3": joules and seconds since this was last asked; NAN: not known
    *CLS  *IDN?  SYST:ERR?  *OPC?  of IEEE 488.2 and SCPI

A block is one of IEEE 488.2 of definite length: float32 of volts and amperes, int16 of pulses, little-endian. An
instrument that says the same in other words is told by `options.commands`; one that speaks another language wants a
driver of its own, a class with the members of `neuroanp.instruments.protocol.Instrument`.

Sources: IEEE 488.2-1992, 7.7.6 and 8.7.9 (blocks); SCPI-99, 21.8 (errors); PyVISA, pyvisa.readthedocs.io.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from neuroanp.errors import InputError
from neuroanp.instruments.protocol import Cost, Identity, InstrumentError, Limits, LinkLostError, Pulse
from neuroanp.instruments.visa_options import COMMANDS, PLAYED, VisaOptions
from neuroanp.yaml_io import Document, validate

T = TypeVar("T")
MOST_CELLS = 1 << 22
"""Devices of the largest array that an answer may claim."""
INSTALL = "hardware.substrate: visa needs PyVISA, and for an instrument that is played PyVISA-sim; install them with "
INSTALL += "python -m pip install 'neuroanp[visa]'"


class VisaInstrument:
    """Drive an array by commands in the style of SCPI, over PyVISA."""

    def __init__(self, resource: str, options: Mapping[str, Any]) -> None:
        self.options = validate(Document("hardware.options", dict(options)), VisaOptions)
        self.resource = resource
        self._words = {**COMMANDS, **self.options.commands}
        self._session: Any = None
        self._identity: Identity | None = None

    def open(self, limits: Limits, pulse: Pulse) -> Identity:
        """Connect, with the instrument to ourselves, tell it the limits and return what it is."""
        pyvisa = _pyvisa()
        self.close()
        manager = self._manager(pyvisa)
        try:
            self._session = manager.open_resource(
                self.resource, access_mode=pyvisa.constants.AccessModes.exclusive_lock,
                timeout=1e3 * self.options.timeout, write_termination="\n", read_termination=None,
            )  # fmt: skip
        except (ValueError, pyvisa.VisaIOError, pyvisa.errors.InvalidSession) as error:
            raise LinkLostError(f"hardware.resource: '{self.resource}' cannot be opened: {_said(error)}") from error
        self._linked(lambda: self._session.write("*CLS"))  # what others left in its queue of errors is none of ours
        name = self._asked("*IDN?")
        if not name:
            raise LinkLostError(
                f"hardware.resource: '{self.resource}' does not answer *IDN?; is it the right one, and on?"
            )
        said = {**limits.model_dump(), **pulse.model_dump()}
        self._told(lambda: self._session.write(self._words["limits"].format(**said)))
        self._identity = Identity(name, *self._size())
        return self._identity

    def _manager(self, pyvisa: Any) -> Any:
        library = self.options.library
        if library.startswith(PLAYED):
            from neuroanp.instruments.played import manager

            return manager(library.removeprefix(PLAYED), self.resource, self.options)
        try:
            return pyvisa.ResourceManager(library)
        except (ValueError, OSError) as error:
            raise InputError(
                f"hardware.options.library: no VISA library '{library or 'of the system'}': {_said(error)}; install "
                "the instrument maker's, or PyVISA-py (library: '@py')"
            ) from error

    def _size(self) -> tuple[int, int]:
        said = self._asked(self._words["size"])
        try:
            lines, bits = (int(part) for part in said.split(","))
        except ValueError:
            lines = bits = 0
        if not (lines > 0 and bits > 0 and lines * bits <= MOST_CELLS):
            raise InstrumentError(f"{self.resource}: '{said:.80}' is no size of an array; 'lines,bits' is due")
        return lines, bits

    def read(self, volts: np.ndarray) -> np.ndarray:
        """Put volts (rows, lines) on the word lines; return amperes (rows, bits)."""
        assert self._identity is not None
        bits, command = self._identity.bits, self._words["read"].format(rows=len(volts))

        def ask() -> Any:
            self._session.write_binary_values(command, volts.astype("<f4").ravel(), datatype="f")
            return self._session.read_binary_values(
                datatype="f", container=np.array, data_points=len(volts) * bits, chunk_size=1 << 20
            )

        found = self._linked(ask)
        if found.size != len(volts) * bits:
            raise InstrumentError(f"{self.resource}: {found.size} currents, and {len(volts)} x {bits} were asked for")
        return found.astype(np.float32).reshape(len(volts), bits)

    def write(self, pulses: np.ndarray) -> None:
        """Send pulses (lines, bits) and wait until they are done."""
        command = self._words["write"]
        self._told(lambda: self._session.write_binary_values(command, pulses.astype("<i2").ravel(), datatype="h"))

    def cost(self) -> Cost:
        """Return joules and seconds since this was last asked."""
        said = self._asked(self._words["cost"])
        try:
            joules, seconds = (float(part) for part in said.split(","))
        except ValueError:
            raise InstrumentError(f"{self.resource}: '{said:.80}' is no cost; 'joules,seconds' is due") from None
        return Cost(*(None if math.isnan(each) else each for each in (joules, seconds)))

    def close(self) -> None:
        """Let go of the instrument."""
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except _pyvisa().Error:
                pass  # the link is gone already

    def _asked(self, question: str) -> str:
        return self._linked(lambda: self._session.query(question)).strip()

    def _told(self, tell: Callable[[], Any]) -> None:
        """Tell the instrument something, wait until it is done, and raise InstrumentError for what it complains of."""
        self._linked(tell)
        self._asked("*OPC?")
        said = self._asked("SYST:ERR?")
        if not said.lstrip("+-").startswith("0"):
            raise InstrumentError(f"{self.resource}: {said:.200}")

    def _linked(self, do: Callable[[], T]) -> T:
        pyvisa = _pyvisa()
        if self._session is None:
            raise LinkLostError(f"{self.resource}: not connected")
        try:
            return do()
        except (pyvisa.VisaIOError, pyvisa.errors.InvalidSession, OSError) as error:
            raise LinkLostError(f"{self.resource}: the link is lost: {_said(error)}") from error
        except ValueError as error:  # a block that is none
            raise InstrumentError(f"{self.resource}: an answer that is no block of numbers: {_said(error)}") from error


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _pyvisa() -> Any:
    try:
        import pyvisa
        import pyvisa.constants
        import pyvisa.errors
    except ImportError as error:
        raise InputError(INSTALL) from error
    return pyvisa
