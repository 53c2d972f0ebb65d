"""Between weights and a driver: limits that hold for voltages, currents and pulses, and a link that comes back."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from neuroanp.errors import InputError
from neuroanp.instruments.protocol import Cost, Identity, Instrument, InstrumentError, Limits, LinkLostError, Pulse
from neuroanp.instruments.sent import Sent
from neuroanp.units import format_quantity

LOG = logging.getLogger("neuroanp")
T = TypeVar("T")
MOST_VALUES = 1 << 20
"""Numbers of one read that go over the link at once."""
FIRST_WAIT_S = 0.5
"""Wait before the first attempt to connect again; each further one waits twice as long."""


class Guard:
    """An instrument whose limits hold.

    A read whose voltages, or whose currents by what the devices were last measured to conduct, are beyond the limits is
    refused before anything is sent, as are pulses beyond them; what is measured beyond the limit of currents ends the
    run. Where the link is lost the instrument is opened again, up to `retries` times in turn; it must be the same one.
    A read is repeated then. Pulses are not: whether they were sent is not known, so that the devices are to be read.

    Args:
        instrument: the driver. limits, pulse: of the configuration. retries: attempts to connect again, in turn.
        wait_s: seconds before the first of them.

    Attributes:
        sent: pulses that each device took in this run. tells: whether the instrument tells joules and seconds.
        lost: how often the link was.

    Raises:
        InputError: a pulse is beyond `limits.write_voltage`.
    """

    def __init__(
        self, instrument: Instrument, limits: Limits, pulse: Pulse, retries: int = 3, wait_s: float = FIRST_WAIT_S
    ) -> None:
        beyond = [
            f"hardware.pulse.{name}: {format_quantity(volts, 'V')} is beyond hardware.limits.write_voltage, "
            f"{format_quantity(limits.write_voltage, 'V')}"
            for name, volts in (("up", pulse.up), ("down", pulse.down))
            if abs(volts) > limits.write_voltage
        ]
        if beyond:
            raise InputError("pulses beyond the limits; lower them, or raise the limit if the devices stand it", beyond)
        self.instrument, self.limits, self.pulse = instrument, limits, pulse
        self.retries, self.wait_s = retries, wait_s
        self._identity: Identity | None = None
        self.lost = 0
        self.sent = Sent((0, 0))
        self.tells = False, False

    @property
    def identity(self) -> Identity:
        """What the instrument said it is."""
        assert self._identity is not None
        return self._identity

    def open(self) -> Identity:
        """Connect; raise LinkLostError where that fails `retries` times in turn."""
        self._identity = self._again(lambda: self.instrument.open(self.limits, self.pulse), reopen=False)
        self.count(None)
        cost = self.cost()
        self.tells = cost.joules is not None, cost.seconds is not None
        return self._identity

    def count(self, path: Path | None) -> None:
        """Go on with the count of a run's pulses that a file has, or begin it there; None: it is kept nowhere.

        Raises:
            InputError: the file is none of such counts.
        """
        kept = path if self.limits.run_pulses is not None else None
        self.sent = Sent((self.identity.lines, self.identity.bits), kept)

    @property
    def left(self) -> np.ndarray | None:
        """Pulses that each device may still take in this run, (lines, bits); None: as many as there are."""
        most = self.limits.run_pulses
        return None if most is None else np.maximum(most - self.sent.counts, 0)

    @property
    def spent(self) -> int:
        """How many devices may take no further pulse in this run."""
        left = self.left
        return 0 if left is None else int((left == 0).sum())

    def close(self) -> None:
        """Let go of the instrument."""
        self.instrument.close()

    def cost(self) -> Cost:
        """Return what reads and writes took since this was last asked."""
        cost = Cost(*self._again(self.instrument.cost))
        for name, each in cost._asdict().items():
            if each is not None and not 0 <= each < math.inf:
                raise InstrumentError(f"{self.identity.name}: a cost of {each} {name}, where 0 or more are due")
        return cost

    def read(self, volts: np.ndarray, siemens: np.ndarray | None) -> np.ndarray:
        """Return the amperes (rows, bits) of volts (rows, lines).

        Args:
            volts: of the word lines.
            siemens: (lines, bits) last measured, by which currents are foreseen; None: nothing is known yet, and rows
                must drive one line each.

        Raises:
            InstrumentError: a voltage or a current is beyond the limits, or the answer is none of that shape.
        """
        volts = np.ascontiguousarray(volts, dtype=np.float32)
        most = float(np.abs(volts).max(initial=0.0))
        if not most <= self.limits.voltage * (1 + 1e-6):
            raise InstrumentError(
                f"hardware.limits.voltage: a read would need {format_quantity(most, 'V', 3)}, and "
                f"{format_quantity(self.limits.voltage, 'V', 3)} is the limit; nothing was sent"
            )
        if siemens is None:
            assert (np.count_nonzero(volts, axis=1) <= 1).all()
        else:
            self._check_current(volts @ siemens, "would need", "; nothing was sent")
        at_once = max(1, MOST_VALUES // max(volts.shape[1], self.identity.bits))
        parts = [self._read(volts[start : start + at_once]) for start in range(0, len(volts), at_once)]
        found = np.concatenate(parts) if parts else np.zeros((0, self.identity.bits), np.float32)
        self._check_current(found, "drove", ", and it is over")
        return found

    def _read(self, volts: np.ndarray) -> np.ndarray:
        found = np.asarray(self._again(lambda: self.instrument.read(volts)))
        if found.shape != (len(volts), self.identity.bits) or not np.isfinite(found).all():
            raise InstrumentError(
                f"{self.identity.name}: a read of {len(volts)} rows answered {found.shape} numbers"
                f"{'' if np.isfinite(found).all() else ', not all of them finite'}; {self.identity.bits} a row are due"
            )
        return found

    def _check_current(self, amperes: np.ndarray, did: str, then: str) -> None:
        most = float(np.abs(amperes).max(initial=0.0))
        if not most <= self.limits.current:
            raise InstrumentError(
                f"hardware.limits.current: a read {did} {format_quantity(most, 'A', 3)} through a bit line, and "
                f"{format_quantity(self.limits.current, 'A', 3)} is the limit{then}; lower periphery.v_read of the "
                "profile, use fewer units, or raise the limit if the lines stand it"
            )

    def write(self, pulses: np.ndarray) -> bool:
        """Send pulses (lines, bits); return False where the link was lost meanwhile and nobody knows what was done.

        Raises:
            InstrumentError: more pulses to a device than the limits of a write or of the run; nothing was sent.
        """
        most = int(np.abs(pulses.astype(np.int64)).max(initial=0))
        if most > self.limits.pulses:
            raise InstrumentError(
                f"hardware.limits.pulses: a write would send {most} pulses to a device, and {self.limits.pulses} is "
                "the limit; nothing was sent"
            )
        left = self.left
        if left is not None:
            beyond = int((np.abs(pulses.astype(np.int64)) > left).sum())
            if beyond:
                raise InstrumentError(
                    f"hardware.limits.run_pulses: a write would send {beyond} devices more than the "
                    f"{self.limits.run_pulses} pulses that each may take in a run; nothing was sent"
                )
            self.sent.add(pulses)
        try:
            self.instrument.write(np.ascontiguousarray(pulses, dtype=np.int16))
        except LinkLostError as error:
            self._back(error)
            return False
        return True

    def _again(self, do: Callable[[], T], reopen: bool = True) -> T:
        """Do what may be repeated, with a new link where the old one is lost."""
        for attempt in range(self.retries + 1):
            try:
                return do()
            except LinkLostError as error:
                if attempt == self.retries:
                    raise
                if reopen:
                    self._back(error)
                else:
                    self._wait(attempt, error)
        raise AssertionError

    def _back(self, error: LinkLostError) -> None:
        """Open the link again; raise the last error where that fails."""
        self.lost += 1
        for attempt in range(self.retries):
            self._wait(attempt, error)
            self.instrument.close()
            try:
                found = self.instrument.open(self.limits, self.pulse)
            except LinkLostError as again:
                error = again
                continue
            if found != self.identity:
                raise InstrumentError(
                    f"another instrument answers now: {found}, not {self.identity}; look at the bench"
                )
            return
        raise error

    def _wait(self, attempt: int, error: LinkLostError) -> None:
        wait = self.wait_s * 2**attempt
        LOG.warning(f"{error}; connecting again in {wait:g} s")
        time.sleep(wait)
