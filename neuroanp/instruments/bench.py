"""A chip on the bench as a substrate: the instrument reads, what was last measured of it is what the host believes.

    y = k (I+ - I-)   of pairs,     y = k (I - G_middle sum_j V_j)   in offset coding,     k = (w_s / dG) x_m / v_read

Reads under noise are the instrument's own, each row of each pass once; where a read without noise is asked for, the
host multiplies by the weights that it last measured. Every write is read back, device by device.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.draws import whole_pulses
from neuroanp.errors import InputError
from neuroanp.instruments.guard import Guard
from neuroanp.instruments.layout import layout
from neuroanp.instruments.pairs import shared
from neuroanp.instruments.port import Port, refuse_model
from neuroanp.instruments.records import Records
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.ledger import ABSENT, STATED, UNSTATED, Ledger
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.substrates.periphery import X_MAX
from neuroanp.substrates.protocol import ProgrammingReport, ReadPlan
from neuroanp.trajectory import Weights, WeightUpdate
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.noise import PassStreams, Streams
    from neuroanp.substrates.crossbar import Crossbar

LOG = logging.getLogger("neuroanp")
MEASURED = "measured"
"""What a state calls the conductances that were last read back, "w/measured"."""
LOOKS = 8
"""Times that all devices are measured before a run."""
BLURRED = 2.0
"""Standard deviations of a read-back within which a device is taken for where it should be."""
DRIFTED = 2.0
"""What a resumed chip is off what its checkpoint says, in what read-backs can tell (rms), above which that is said."""
TRIED, LEAST_TRIED = 20, 30.0
"""Pulses of a first train at most, and the sum of squares of all below which it says nothing about a step."""


class How(NamedTuple):
    """How a chip on the bench is written and read.

    Args:
        write: "verify" (trains of pulses until each device is within half a step, or what read-backs can tell), or
            "pulse" (one train an update).
        step: siemens that a pulse moves a device.
        rounds: trains of one verified write, at most. reads: read-backs that are averaged.
    """

    write: str
    step: float
    rounds: int = 10
    reads: int = 4


class BenchChip(DeviceChip):
    """Weights held by an instrument; implements `substrates.protocol.Substrate`.

    Args:
        model: a simulated chip of the profile that the instrument's devices are modelled by: its range, coding and
            read voltage count, and its arrays keep what is measured, so that a checkpoint can be looked at without the
            instrument.
        guard: the instrument, open. how: it is written and read. drive: noise that the host adds to the units.
        streams: the run's.
        records: where measurements go.

    Raises:
        InputError: the profile has no read voltage, or the instrument is too small.
    """

    def __init__(
        self, model: DeviceChip, guard: Guard, how: How, drive: NodeDrive, streams: Streams, records: Records
    ) -> None:
        vars(self).update(vars(model))
        periphery = self.profile.periphery
        if periphery is None:
            raise InputError(
                f"profile: '{self.profile.name}' has no read voltage, which an instrument needs; use the profile that "
                "models its devices (periphery.v_read, conductance.g_min and g_max)"
            )
        refuse_model(self.profile)
        self.v_read, self.now = periphery.v_read, 0.0
        for array in self.arrays.values():  # the model's own first write never was
            array.load({**array.cells, "wear": torch.zeros_like(array.cells["wear"])})
        if self.v_read > guard.limits.voltage:
            raise InputError(
                f"profile: periphery.v_read, {self.v_read:g} V, is beyond hardware.limits.voltage, "
                f"{guard.limits.voltage:g} V; lower it in the profile, or raise the limit if the devices stand it"
            )
        self.guard, self.how, self.drive, self.streams, self.records = guard, how, drive, streams, records
        self.write, self.junctions, self.banks, self.compensated = how.write, None, {}, {}
        planes = self.device.planes
        self.places = layout({name: array.shape for name, array in self.arrays.items()}, planes, guard.identity)
        self.blur = dict.fromkeys(self.arrays, 0.0)
        self.held = {name: torch.full_like(array.cells["g"], torch.nan) for name, array in self.arrays.items()}
        self.known = np.zeros((guard.identity.lines, guard.identity.bits))
        told, timed = guard.tells
        told = STATED if told else UNSTATED
        kinds = dict.fromkeys(("dac", "adc", "digital"), UNSTATED) | {"array_reads": told, "writes": told}
        absent = dict.fromkeys(("node_noise", "accumulate", "spikes", "synaptic_events", "static"), ABSENT)
        endurance = None if self.profile.energy is None else self.profile.energy.endurance
        stated = self.profile.energy is not None and self.profile.energy.write_time is not None
        self.ledger = Ledger({**kinds, **absent}, timed or stated, endurance)

    # ---- the instrument ----

    def begin(self, weights: Weights) -> float:
        """Measure the devices as they are and write the first weights; return the noise of a pre-activation.

        Raises:
            InputError: reads repeat to the last bit and the host adds no noise: nothing would explore.
        """
        sigma, total, missed = self.look(keep=True), 0, 0
        for name, array in self.arrays.items():
            self._aim[name], _ = array.clip(weights[name].to(self.like))
            total += self._try(name, array)
            sent, gave_up = self._verified(name, array)
            total, missed = total + sent, missed + gave_up
        if missed:
            LOG.warning(f"{missed} of the first weights are further off than read-backs are uncertain, and stay so")
        self._book_pulses(total)
        return sigma

    def look(self, times: int = LOOKS, keep: bool = False) -> float:
        """Measure all devices `times` over; return the noise of a pre-activation, for inputs of half the range.

        The first time at a tenth of the read voltage, so that a short is found before it carries much.

        Args: times: of each array. keep: whether the table of the noise gets it.

        Raises:
            InputError: reads repeat to the last bit and the host adds no noise: nothing would explore; or what the
                devices conduct has nothing to do with the profile's range.
        """
        for name in self.arrays:
            self._conductances(name, 0.1)
            self.guard.cost()
            series, at = [], []
            for _ in range(times):
                begun = time.monotonic()
                series.append(self._conductances(name))
                took = self.guard.cost().seconds  # of the chip; of the host, where the instrument cannot tell
                at.append((at[-1] if at else 0.0) + (time.monotonic() - begun if took is None else took))
            if keep:
                self.records.noise(name, [each - at[0] for each in at], np.stack(series))
            self._check_range(name, np.mean(series, 0))
            self._hold(name, np.mean(series, 0))
            share = np.std(series, 0, ddof=1) / np.maximum(np.abs(np.mean(series, 0)), 1e-30)
            self.blur[name] = float(np.sqrt(np.mean(share**2))) / self.how.reads**0.5
        believed, variance = self._believed(), []
        for name, array in self.arrays.items():
            x = 0.5 * torch.ones(array.shape[1], dtype=self.like.dtype)
            x[1::2] = -0.5
            variance.append(float(self._port(name, believed)(x.expand(4 * times, -1)).double().var(0).mean()))
        sigma = max(variance) ** 0.5
        if not sigma and not self.drive.sigma:
            raise InputError(
                f"{self.guard.identity.name}: reads repeat to the last bit: nothing explores; raise its bandwidth or "
                "its resolution, or add noise on purpose (perturbation.name: gaussian)"
            )
        return sigma

    def steps_to(self, weights: Weights) -> Tensor:
        """Return how many steps of a pulse all devices are off what weights want, (devices,)."""
        off = []
        for name, array in self.arrays.items():
            target = array.to_conductance(array.clip(weights[name].to(self.like))[0])
            off.append(((target - self.held[name]) / self.how.step).flatten())
        return torch.cat(off)

    def _check_range(self, name: str, siemens: np.ndarray) -> None:
        """Raise InputError where the mean of an array is far from all that the profile's devices conduct."""
        span, mean = self.device.span, float(np.mean(siemens))
        if not span.g_min - span.width <= mean <= span.g_max + span.width:
            raise InputError(
                f"{self.guard.identity.name}: the devices of array {name} conduct {format_quantity(mean, 'S', 3)} on "
                f"average, and those of profile {self.profile.name} {format_quantity(span.g_min, 'S', 3)} to "
                f"{format_quantity(span.g_max, 'S', 3)}; look at the leads and their polarity, or at the profile"
            )

    def _conductances(self, name: str, share: float = 1.0) -> np.ndarray:
        """Return what each device of an array conducts, (planes, n, m) siemens: its word lines driven one by one.

        Args: name: of the array. share: of the read voltage.
        """
        place, identity = self.places[name], self.guard.identity
        volts = np.zeros((place.m, identity.lines), np.float32)
        volts[np.arange(place.m), np.arange(place.m) + place.first] = share * self.v_read
        self.known[place.lines] = self.guard.read(volts, None).astype(np.float64) / (share * self.v_read)
        return place.taken(self.known)

    def _hold(self, name: str, siemens: np.ndarray) -> None:
        """Take what was measured, (planes, n, m); the model's array has it, too."""
        array, span = self.arrays[name], self.device.span
        self.held[name] = torch.from_numpy(siemens).to(self.like)
        inside = self.held[name].clamp(span.g_min, span.g_max)
        array.place(inside, self.now, self.streams.generator(f"held/{name}"))
        whole = {"stuck": torch.zeros_like, "dead": torch.zeros_like, "scale": torch.ones_like}
        cells = {key: whole[key](each) if key in whole else each for key, each in array.cells.items()}
        # what is stuck in the model alone is where it was measured, at the chip's temperature
        array.load({**cells, "g": inside / self.device.thermal})

    def _believed(self) -> np.ndarray:
        """Return what all devices on the word lines conducted when they were last measured, (lines, bits) siemens.

        Those of bit lines that the network does not use, too: they carry current like the others.
        """
        return self.known.copy()

    def _port(self, name: str, believed: np.ndarray) -> Port:
        """Return what reads an array; believed: (lines, bits) siemens, by which currents are foreseen."""
        middle = None if self.arrays[name].differential else self.device.span.middle
        k = self.arrays[name].slope * X_MAX / self.v_read
        return Port(self.guard, self.places[name], self.v_read, k, middle, believed, self.like)

    def _verified(self, name: str, array: Crossbar) -> tuple[int, int]:
        """Pulse an array to its target weights; return the pulses sent and how many weights are not there."""
        target = array.to_conductance(self._aim[name])
        near = self._near(name, target)
        room = torch.full_like(target, self.guard.limits.pulses, dtype=torch.int32)
        off, total = target - self.held[name], 0
        open_ = off.abs() > near
        for _ in range(self.how.rounds):
            counts = torch.where(open_, (off / self.how.step).round(), 0.0).to(torch.int32)
            counts = self._within(name, torch.minimum(torch.maximum(counts, -room), room))
            if not bool(counts.any()):
                break
            sent, sure = self._send(name, counts)
            total, room = total + sent, room - counts.abs()
            before, off = off, target - self.held[name]
            # what is there stays there: to judge it again would chase the noise of reads; and what a train brought no
            # nearer (it is stuck, or its steps are too large) is left to the next write
            open_ &= (off.abs() > near) & ((off.abs() < before.abs()) | (not sure))
        return total, int((off.abs() > near).any(0).sum())

    def _near(self, name: str, target: Tensor) -> Tensor:
        """Return how far devices may be off their targets, siemens: half a step, or what read-backs cannot tell."""
        blurred = BLURRED * self.blur[name] * target.abs()
        return blurred.clamp_min(0.5 * self.how.step * (1 + 1e-6))

    def _try(self, name: str, array: Crossbar) -> int:
        """Send each device of an array a short train towards its first weight; return how many pulses.

        Raises:
            InputError: they went the other way. Says so where steps are not of the stated size.
        """
        most = min(TRIED, self.guard.limits.pulses)
        off = (array.to_conductance(self._aim[name]) - self.held[name]) / self.how.step
        counts = self._within(name, off.round().clamp(-most, most).to(torch.int32))
        sent = counts.double()
        if float(sent.square().sum()) < LEAST_TRIED:
            return 0
        before = self.held[name].double()
        total, sure = self._send(name, counts)
        if not sure:  # whether they were sent is not known
            return total
        moved = (self.held[name].double() - before)[counts != 0]
        step = float((moved * sent[counts != 0]).sum() / sent.square().sum())
        error = float(((moved - step * sent[counts != 0]).square().mean() / sent.square().sum()).sqrt())
        if step < -3 * error:
            raise InputError(
                f"{self.guard.identity.name}: pulses up lowered what array {name} conducts, and pulses down raised it; "
                "exchange hardware.pulse.up and down, or the leads"
            )
        if abs(step - self.how.step) > 3 * error and not 0.5 < step / self.how.step < 2:
            LOG.warning(
                f"array {name}: a pulse moves a device by {format_quantity(step, 'S', 3)} on average, where "
                f"{format_quantity(self.how.step, 'S', 3)} is stated; set hardware.pulse.step"
            )
        return total

    def _within(self, name: str, counts: Tensor) -> Tensor:
        """Return pulses (planes, n, m), none beyond what devices may still take in this run."""
        left = self.guard.left
        if left is None:
            return counts
        room = torch.from_numpy(self.places[name].taken(left)).clamp_max(torch.iinfo(counts.dtype).max).to(counts.dtype)
        return torch.minimum(torch.maximum(counts, -room), room)

    def _send(self, name: str, counts: Tensor) -> tuple[int, bool]:
        """Send pulses (planes, n, m) and read the array back; return how many, and False if nobody knows whether."""
        place, before = self.places[name], self.held[name]
        sure = self.guard.write(place.spread(counts.numpy().astype(np.int16), self.guard.identity))
        found = np.mean([self._conductances(name) for _ in range(self.how.reads)], 0)
        # of devices without a pulse nothing new is known: to take over the noise of one more read would move them
        self._hold(name, np.where(counts.numpy() != 0, found, before.double().numpy()))
        if sure:
            self.records.writes(name, self.now, counts, before, self.held[name])
        array = self.arrays[name]
        array.load({**array.cells, "wear": array.cells["wear"] + counts.abs().to(array.cells["wear"].dtype)})
        return int(counts.abs().sum()), sure

    def _book_pulses(self, pulses: int) -> None:
        """Book pulses and what they, and the read-backs, cost."""
        cost, energy = self.guard.cost(), self.profile.energy
        stated = 0.0 if energy is None or energy.write_time is None else energy.write_time * pulses
        seconds = stated if cost.seconds is None else cost.seconds
        wear = max(int(array.cells["wear"].max()) for array in self.arrays.values())
        self.ledger.book_writes(pulses, cost.joules, seconds, wear)
        self.now += seconds

    # ---- what a substrate does ----

    @property
    def weights(self) -> Weights:
        """The digital target weights; with "pulse" what was last measured."""
        if self.write == "pulse":
            return Weights({name: a.to_weights(self.held[name]) for name, a in self.arrays.items()}, self.network)
        return Weights(dict(self._aim), self.network)

    @property
    def perturbs_units(self) -> bool:
        """Whether the hardware's own noise reaches the pre-activations: an instrument's does."""
        return True

    @property
    def weighs_reads(self) -> bool:
        """False: the instrument tells what reads cost."""
        return False

    def prepare(self, window_s: float, streams: PassStreams, noise: bool = True) -> dict[str, ReadPlan]:
        """Return plans whose reads are the instrument's; without noise, of the weights that were last measured."""
        self.guard.cost()  # what was read since without being booked is nobody's
        believed, plans = self._believed() if noise else None, {}
        for name, array in self.arrays.items():
            plan = ReadPlan(W=array.to_weights(self.held[name]))
            if believed is not None:
                plan = replace(plan, port=self._port(name, believed))
            D = self._decorrelation.get(self.network.projection(name).pre)
            plans[name] = plan if D is None else replace(plan, decorrelation=D)
        return plans

    def book_reads(
        self, name: str, load: Tensor, reads: int, noisy: int, *, events: float | Tensor | None = None
    ) -> None:
        """Book vector reads; what they cost is told when they are over."""
        self.ledger.book_reads(reads)

    def elapse(self, seconds: float) -> None:
        """Book what the instrument took since it was last prepared; `seconds` where it cannot tell."""
        cost = self.guard.cost()
        if cost.joules is not None:
            self.ledger.book_energy("array_reads", cost.joules)
        took = seconds if cost.seconds is None else cost.seconds  # of its clock: what is to be shown a step in dt
        self.now += took
        self.ledger.book_time("reads", took)

    def at(self, seconds: float) -> NoReturn:
        """Refuse: nobody can look at an instrument at another time than now."""
        raise InputError("an instrument cannot be read at another time than now; let it lie idle and evaluate it then")

    def ahead(self, update: WeightUpdate, lr: float) -> dict[str, Tensor]:
        """Return nothing: a write looks at what it needs itself."""
        return {}

    def apply(
        self, update: WeightUpdate, lr: float, streams: Streams, index: int, part: int = 0,
        told: Mapping[str, float] = MappingProxyType({}),
    ) -> ProgrammingReport:  # fmt: skip
        """Write W <- W - lr dW by pulses and read the written arrays back; see `DeviceChip.apply`."""
        at = (index, part) if part else (index,)
        total = beyond = missed = written = 0
        for name, gradient in update.arrays.items():
            if lr == 0 or not bool(gradient.any()):
                continue
            array, change = self.arrays[name], (-lr * gradient).to(self.like)
            if self.write == "pulse":
                _, over = array.clip(array.to_weights(self.held[name]) + change)
                dg = shared(change / array.slope, self.held[name], self.device.span)
                counts = self._within(name, self._whole(dg, streams.generator(f"c2c/{name}", *at)))
                gave_up = 0
                total += self._send(name, counts)[0] if bool(counts.any()) else 0
            else:
                self._aim[name], over = array.clip(self._aim[name] + change)
                sent, gave_up = self._verified(name, array)
                total += sent
            beyond, missed, written = beyond + int(over), missed + gave_up, written + gradient.numel()
        self._book_pulses(total)
        return ProgrammingReport(beyond / max(written, 1), missed / max(written, 1))

    def _whole(self, dg: Tensor, rng: np.random.Generator) -> Tensor:
        """Round changes in siemens to whole pulses, no more than the limit; the sign says up or down."""
        return whole_pulses(dg.abs(), self.how.step, self.guard.limits.pulses, rng) * dg.sign().to(torch.int32)

    # ---- checkpoints ----

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a simulated chip of the model keeps, and what was measured."""
        held = {f"{name}/{MEASURED}": each.clone() for name, each in self.held.items()}
        return {**super().state_dict(), **held}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` returned, and measure the devices: what they hold is theirs, whatever is stored.

        Raises:
            InputError: it is of another chip.
        """
        held = {name: state.get(f"{name}/{MEASURED}") for name in self.arrays}
        if any(each is None or each.shape != self.held[name].shape for name, each in held.items()):
            raise InputError("the checkpoint is of another chip: resume with the instrument that it was made with")
        super().load_state_dict(state)
        self._count_on()
        self.look()
        off, told = [], []
        for name, each in held.items():
            assert each is not None
            off.append((self.held[name] - each).flatten())
            told.append(self._near(name, each).flatten())
        rms, near = (float(torch.cat(each).double().square().mean().sqrt()) for each in (off, told))
        if rms > DRIFTED * near:
            LOG.warning(
                f"{self.guard.identity.name}: its devices are {rms / self.how.step:.1f} steps of a pulse (rms) off "
                "what the checkpoint says: they moved on; writes bring them back to its weights"
            )

    def _count_on(self) -> None:
        """Count no fewer pulses of the run than the checkpoint has."""
        sent, known = self.guard.sent, np.zeros_like(self.guard.sent.counts)
        for name, array in self.arrays.items():
            wear = array.cells["wear"].to(torch.int64).numpy()
            known += self.places[name].spread(wear, self.guard.identity)
        if self.guard.limits.run_pulses is not None and not sent.found and known.any():
            LOG.warning(f"{sent.path}: is gone; pulses of the run are counted on from its checkpoint")
        sent.at_least(known)
