"""An instrument that PyVISA-sim plays: the array of a profile's devices behind the commands of `visa`.

    I = V G + sqrt(V^2 sigma^2) xi        with the read noise sigma of the profile, and that of its amplifiers

What a bench does before there is one: the same command, the same messages byte for byte, devices that step, scatter,
stick and wear as their profile says. The played instrument checks the limits that it was told by itself, counts what
breaks them and refuses it, and keeps its devices from one opening to the next, as a chip does; in a file also from one
process to the next. Its link can be cut at random, before or after what was asked was done.

The played and the driving side share no code but the commands and `numpy`.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pyvisa import ResourceManager, constants, rname
from pyvisa.errors import VisaIOError
from pyvisa_sim.devices import Device as SimulatedDevice
from pyvisa_sim.devices import Devices
from pyvisa_sim.highlevel import SimVisaLibrary

from neuroanp.devices.device import Device
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.devices.pulsed import PulsedLaw
from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.profiles.loader import load

if TYPE_CHECKING:
    from neuroanp.instruments.visa_options import VisaOptions
    from neuroanp.profiles import HardwareProfile

LOG = logging.getLogger("neuroanp")
OK, RANGE, SYNTAX = '0,"No error"', '-222,"Data out of range"', '-102,"Syntax error"'
T_READ = 250e-9
"""Seconds of a read where the profile does not say."""
_PLAYED: dict[tuple[Any, ...], PlayedArray] = {}
"""Instruments of this process: they stay as they were left, whoever opens them."""


class PlayedArray(SimulatedDevice):
    """One instrument.

    Args:
        profile: of its devices; its update law is one of pulses of one size (linear_step, soft_bounds, ...).
        options: seed, lines, bits, state and cuts of it.

    Attributes:
        beyond: messages that broke a limit, all refused. written: writes that were carried out. pulses: sent in all.
        short: pulses that were asked for and not sent, of trains longer than the law's `max_pulses`; it is logged once.
        cut: how often the link was.
    """

    def __init__(self, profile: HardwareProfile, options: VisaOptions) -> None:
        super().__init__("played", b"")
        for kind in ("TCPIP INSTR", "TCPIP SOCKET", "GPIB INSTR", "USB INSTR", "ASRL INSTR"):
            self.add_eom(kind, "\n", "\n")
        law = profile.update
        if not isinstance(law, PulsedLaw):
            raise InputError(
                f"hardware.options.library: 'played:{profile.meta.name}': that profile has no pulses up and down of "
                "one size; take one whose update law is linear_step, soft_bounds or exponential_step"
            )
        self.profile = profile.model_copy(update={"update": law.model_copy(update={"pulses": "deterministic"})})
        self.device = Device(self.profile, ALL_EFFECTS)
        self.step = law.dw * self.device.span.width / 2
        self.options, self.streams = options, Streams(options.seed)
        shape = (options.bits // self.device.planes, options.lines)
        cells = self.device.sample(shape, self.streams.generator("d2d"), torch.float32)
        middle = torch.full_like(cells["g"], self.device.span.middle)
        self.cells = self.device.place(cells, middle, None, 0.0, self.streams.generator("first"))
        self.now, self.message = 0.0, 0
        self.joules = self.seconds = 0.0
        self.beyond = self.written = self.pulses = self.cut = self.short = 0
        self.limits: dict[str, float] = {}
        self.error, self.linked = OK, False
        self._load()

    # ---- the link ----

    def switch_on(self) -> None:
        """Wait for a library to be bound to: one at a time, and each opening has one of its own."""
        self._resource_name, self.linked = None, True

    def write(self, data: bytes) -> None:
        """Take a message whole, carry it out and put the answer where it is read."""
        if not self.linked:
            raise VisaIOError(constants.StatusCode.error_connection_lost)
        self.message += 1
        u, late = self.streams.generator("cut", self.message).random(2)
        lost = u < self.options.cut_rate
        if lost and late < 0.5:
            self._lose()
        answer = self._answer(data.removesuffix(b"\n"))
        if lost:
            self._lose()
        if answer is not None:
            self._output_buffers.append(bytearray(answer + b"\n"))

    def _lose(self) -> None:
        self.cut, self.linked = self.cut + 1, False
        self._output_buffers.clear()
        self._save()
        raise VisaIOError(constants.StatusCode.error_connection_lost)

    def _answer(self, message: bytes) -> bytes | None:
        for start, answer in (
            (b"*CLS", lambda _: self._told_error() and None),
            (b"*IDN?", lambda _: f"neuroanp,played {self.profile.meta.name},{self.options.seed},1".encode()),
            (b"*OPC?", lambda _: b"1"),
            (b"SYST:ERR?", lambda _: self._told_error()),
            (b"ARR:SIZE?", lambda _: f"{self.options.lines},{self.options.bits}".encode()),
            (b"ARR:LIM ", self._limited),
            (b"ARR:READ? ", self._read),
            (b"ARR:PULS ", self._pulsed),
            (b"ARR:COST?", lambda _: self._spent()),
        ):
            if message.startswith(start):
                return answer(message.removeprefix(start))
        self.error = SYNTAX
        return None

    def _told_error(self) -> bytes:
        said, self.error = self.error, OK
        return said.encode()

    def _limited(self, message: bytes) -> None:
        names = ("voltage", "write_voltage", "current", "up", "down", "width", "pulses")
        self.limits = dict(zip(names, (float(part) for part in message.split(b",")), strict=True))

    def _refuse(self) -> None:
        self.beyond, self.error = self.beyond + 1, RANGE

    # ---- the array ----

    @property
    def siemens(self) -> np.ndarray:
        """What the devices conduct now, (lines, bits)."""
        g = self.device.conductance(self.cells, self.now).clamp_min(0.0)
        return g.reshape(-1, self.options.lines).T.double().numpy()

    def _read(self, message: bytes) -> bytes:
        rows, _, block = message.partition(b",")
        volts = np.frombuffer(_content(block), "<f4").astype(np.float64).reshape(int(rows), self.options.lines)
        if np.abs(volts).max(initial=0.0) > self.limits["voltage"] * (1 + 1e-6):
            self._refuse()
            return _block(np.full((len(volts), self.options.bits), np.nan, "<f4"))
        amperes = volts @ self.siemens
        if np.abs(amperes).max(initial=0.0) > self.limits["current"]:
            self._refuse()
        periphery = self.profile.periphery
        t_read = T_READ if periphery is None else periphery.t_read
        noise = 0.0 if periphery is None or periphery.amplifier_noise is None else periphery.amplifier_noise
        fresh, frozen = self.device.read_sigma(self.cells, self.now, t_read * max(len(volts), 1))
        variance = sum((each.double().square() for each in (fresh, frozen) if each is not None), torch.zeros(()))
        variance = np.broadcast_to(variance.numpy(), self.cells["g"].shape).reshape(-1, self.options.lines).T
        sigma = np.sqrt(volts**2 @ variance + noise**2)
        xi = self.streams.generator("read", self.message).standard_normal(amperes.shape)
        self.now += t_read * len(volts)
        self.seconds += t_read * len(volts)
        self.joules += float((volts**2 @ self.siemens).sum()) * t_read
        return _block((amperes + sigma * xi).astype("<f4"))

    def _pulsed(self, message: bytes) -> None:
        counts = np.frombuffer(_content(message), "<i2").reshape(self.options.lines, self.options.bits)
        volts = max(abs(self.limits["up"]), abs(self.limits["down"]))
        if volts > self.limits["write_voltage"] or np.abs(counts.astype(int)).max() > self.limits["pulses"]:
            return self._refuse()
        dg = torch.from_numpy(np.ascontiguousarray(counts.T)).to(torch.float32).view(self.cells["g"].shape) * self.step
        before = self.siemens
        rng = self.streams.generator("pulse", self.message)
        self.cells, sent = self.device.pulse(self.cells, dg, self.now, rng)
        total, width = int(sent.sum()), self.limits["width"]
        self._say_short(int(np.abs(counts.astype(int)).sum()) - total)
        self.written, self.pulses = self.written + 1, self.pulses + total
        self.now += total * width
        self.seconds += total * width
        volts = np.where(counts > 0, self.limits["up"], self.limits["down"])
        done = sent.view(-1, self.options.lines).T.numpy()
        self.joules += float((volts**2 * 0.5 * (before + self.siemens) * done).sum()) * width
        self._save()
        return None

    def _say_short(self, short: int) -> None:
        """Log, the first time, that trains are cut to what the law of the devices sends at most."""
        if short and not self.short:
            most = self.device.profile.update.max_pulses  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
            LOG.warning(
                f"the played {self.profile.meta.name} cut a train: its law sends a device {most:,} pulses at most "
                f"(update.max_pulses of its profile), and was asked for more; {short:,} were not sent (said "
                f"once); set hardware.limits.pulses to {most} at most, or raise max_pulses in that profile"
            )
        self.short += short

    def _spent(self) -> bytes:
        said = f"{self.joules:.9g},{self.seconds:.9g}"
        self.joules = self.seconds = 0.0
        return said.encode()

    # ---- from one process to the next ----

    COUNTS = ("message", "beyond", "written", "pulses", "cut")

    def _save(self) -> None:
        if self.options.state is None:
            return
        path = Path(self.options.state)
        held: dict[str, Any] = {f"cells/{name}": each.numpy() for name, each in self.cells.items()}
        held["counts"] = np.array([vars(self)[name] for name in self.COUNTS], dtype=np.int64)
        beside = path.with_name(path.name + ".new.npz")
        np.savez(beside, now=np.array(self.now), **held)
        os.replace(beside, path)

    def _load(self) -> None:
        path = None if self.options.state is None else Path(self.options.state)
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"hardware.options.state: {path.parent} is no directory; make it, or name another file")
        if path is None or not path.exists():
            return
        wrong = f"hardware.options.state: {path}: is not the state of such an instrument; name another file"
        try:
            with np.load(path, allow_pickle=False) as held:
                cells = {name: torch.from_numpy(held[f"cells/{name}"]) for name in self.cells}
                counts: dict[str, int] = dict(zip(self.COUNTS, held["counts"].tolist(), strict=True))
                now = float(held["now"])
        except Exception as error:  # whatever a damaged archive raises
            raise InputError(wrong) from error
        if any(cells[name].shape != each.shape or cells[name].dtype != each.dtype for name, each in self.cells.items()):
            raise InputError(wrong)
        self.cells, self.now = cells, now
        vars(self).update(counts)


class PlayedLibrary(SimVisaLibrary):
    """PyVISA-sim's library, which hands over an answer at once where its own takes it byte by byte."""

    def _init(self) -> None:
        self.sessions, self.devices = {}, Devices()

    def read(self, session: Any, count: int) -> tuple[bytes, constants.StatusCode]:
        """Return at most `count` bytes of the oldest answer."""
        waiting = self.sessions[session].device._output_buffers
        if not waiting:
            return super().read(session, count)
        chunk = bytes(waiting[0][:count])
        del waiting[0][:count]
        if waiting[0]:
            return chunk, constants.StatusCode.success_max_count_read
        waiting.popleft()
        return chunk, constants.StatusCode.success


def _block(values: np.ndarray) -> bytes:
    content = values.tobytes()
    size = str(len(content))
    return f"#{len(size)}{size}".encode() + content


def _content(block: bytes) -> bytes:
    digits = int(block[1:2])
    return block[2 + digits : 2 + digits + int(block[2 : 2 + digits])]


def manager(profile: str, resource: str, options: VisaOptions) -> ResourceManager:
    """Return a resource manager that has the played instrument, switched on.

    Args:
        profile: name or file of its devices' profile. resource: what it is to be called. options: of the driver.

    Raises:
        InputError: the profile cannot be played, or the resource is no name.
    """
    try:
        name = str(rname.parse_resource_name(resource))
    except (ValueError, rname.InvalidResourceName) as error:
        raise InputError(
            f"hardware.resource: '{resource}' is no VISA resource; write e.g. TCPIP::host::INSTR"
        ) from error
    library: Any = PlayedLibrary("unset")
    played = array_of(profile, name, options)
    played.switch_on()
    library.devices.add_device(name, played)
    return ResourceManager(library)


def array_of(profile: str, resource: str, options: VisaOptions) -> PlayedArray:
    """Return the played instrument of that name and those options, made when it is first asked for."""
    found = load(profile)
    key = (resource, found.text, options.seed, options.lines, options.bits, options.state, options.cut_rate)
    if key not in _PLAYED:
        _PLAYED[key] = PlayedArray(found, options)
    return _PLAYED[key]
