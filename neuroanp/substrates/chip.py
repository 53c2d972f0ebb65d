"""A chip: its arrays are written, its clock moves on, its books are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuroanp.devices.device import Device
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.devices.protocol import Cells
from neuroanp.errors import InputError, did_you_mean
from neuroanp.later import number
from neuroanp.noise import Streams
from neuroanp.substrates.checks import (
    check_circuits,
    check_memory,
    check_pulses,
    check_references,
    check_settling,
    check_step,
)
from neuroanp.substrates.chip_at import ChipAt, later
from neuroanp.substrates.chip_reads import DECORRELATION, ReadChip
from neuroanp.substrates.crossbar import Crossbar
from neuroanp.substrates.neuron_mismatch import combined, neuron_factors
from neuroanp.substrates.node_drive import NO_DRIVE, NodeDrive, banks_of, junctions_of
from neuroanp.substrates.protocol import ProgrammingReport
from neuroanp.substrates.write_energy import Bill, write_energy
from neuroanp.substrates.write_lines import check_lines
from neuroanp.trajectory import Weights, WeightUpdate

if TYPE_CHECKING:
    import numpy as np

    from neuroanp.profiles import HardwareProfile
    from neuroanp.substrates.protocol import Neurons

WRITES = ("auto", "ideal", "verify", "pulse")
READS = ("moments", "sampled")
SOLVERS = ("fast", "exact")
STATIC = "ledger/static"
"""Where a state has the joules of static power."""
MOVES, BEYOND = "moves/", "beyond/"
"""What `ahead` asks of each array: whether an update moves it, how many weights it takes beyond the range."""


class DeviceChip(ReadChip):
    """Weights held by the arrays of one hardware profile; implements `substrates.protocol.Substrate`.

    Ways to write: "ideal" puts conductances on their targets without error, time, energy or pulses;
    "verify" programs and verifies; "pulse" sends single pulses in place. The digital side keeps
    target weights and clips them to the range of the arrays, except with "pulse", where what the
    array holds is all there is.

    Attributes: see ReadChip.
    """

    @classmethod
    def build(
        cls,
        profile: HardwareProfile,
        weights: Weights,
        *,
        streams: Streams,
        dt: float,
        write: str = "auto",
        read: str = "moments",
        effects: frozenset[str] = ALL_EFFECTS,
        drive: NodeDrive = NO_DRIVE,
        temperature: float | None = None,
        wires: str = "fast",
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        units: Neurons = MappingProxyType({}),
        decorrelated: Sequence[str] = (),
    ) -> DeviceChip:
        """Make a chip and write the first weights.

        Args:
            profile: the hardware.
            weights: the matrices, and the network that they are of.
            streams: the run's streams; devices are drawn from "d2d/<array>", neurons from "d2d/neurons" (of several
                layers "d2d/neurons/<layer>"), junctions that differ from "d2d/junctions/<group>".
            dt: seconds a step; no shorter than a read.
            write: one of WRITES; "auto" verifies where the profile can, else writes ideally.
            read: "moments" (a read has its exact distribution, two products) or "sampled" (every device drawn, from
                read to read where its law is a process; see `promises.sampled_problem`).
            effects: the non-idealities that are on.
            drive: noise on the units that no device makes, and the coupling of the junctions.
            temperature: kelvin; None: the profile's own.
            wires: how the resistance of lines is solved, "fast" or "exact", where the profile states any.
            dtype: float32 or float64.
            device: the torch device.
            units: how spiking neurons differ by themselves, which the profile's mismatch comes on top of.
            decorrelated: groups of units that have a digital matrix, the identity at first, between them and arrays.

        Raises: InputError for a way to write the profile has no law for, unknown effects, or dt below a read.
        """
        cell = Device(profile, effects, temperature)
        write = cls._way(profile, cell, write)
        if read not in READS:
            raise InputError(f"hardware.read: '{read}' is unknown{did_you_mean(read, READS)} ({', '.join(READS)})")
        if wires not in SOLVERS:
            raise InputError(
                f"hardware.wires: '{wires}' is unknown{did_you_mean(wires, SOLVERS)} ({', '.join(SOLVERS)})"
            )
        check_pulses(profile, write)
        check_step(profile, dt, effects)
        check_memory(profile, read, effects, {name: tuple(w.shape) for name, w in weights.items()})
        shapes = {name: tuple(w.shape) for name, w in weights.items()}
        check_circuits(profile, read, wires, effects, shapes)
        check_settling(profile, effects, shapes)
        check_lines(profile, effects, wires)
        check_references(profile, effects, {name: w.shape[1] for name, w in weights.items()})
        arrays = {
            name: Crossbar(
                profile,
                cell,
                (w.shape[0], w.shape[1]),
                streams.generator(f"d2d/{name}"),
                dtype,
                device,
                wires,
                pulsed=write == "pulse",
            )
            for name, w in weights.items()
        }
        like = next(iter(arrays.values())).cells["g"]
        layers = weights.network.layers
        neurons = {
            layer.name: neuron_factors(
                profile, effects, layer.units,
                streams.generator("d2d/neurons" if len(layers) == 1 else f"d2d/neurons/{layer.name}"), like,
            )
            for layer in layers
        }  # fmt: skip
        neurons = {name: combined(factors, units.get(name, {}), like) for name, factors in neurons.items()}
        seeds = {name: int(streams.generator(f"compensation/{name}").integers(1 << 62)) for name in arrays}
        junctions = junctions_of(profile, cell.effects, cell.temperature)
        banks = banks_of(junctions, cell.effects, weights.network.lines, streams, like)
        chip = cls(profile, arrays, weights.network, write, read, drive, dt, neurons, seeds, banks)
        chip._first_write(weights, streams)
        if decorrelated:
            sizes = weights.network.units
            chip.decorrelate({k: torch.eye(sizes[k], dtype=like.dtype, device=like.device) for k in decorrelated})
        return chip

    def decorrelate(self, D: Mapping[str, Tensor]) -> None:
        """Take new digital matrices by layer (see Substrate)."""
        self._decorrelation = dict(D)

    @staticmethod
    def _way(profile: HardwareProfile, cell: Device, write: str) -> str:
        possible = ["ideal"] + ["verify"] * cell.can_program + ["pulse"] * (cell.update is not None)
        if write == "auto":
            return "verify" if cell.can_program else "ideal"
        if write not in possible:
            why = "is unknown" if write not in WRITES else f"has no law in profile '{profile.meta.name}'"
            raise InputError(f"hardware.write: '{write}' {why}; possible here: auto, {', '.join(possible)}")
        return write

    def elapse(self, seconds: float) -> None:
        """Let chip time pass while the arrays are read or idle; InputError unless it runs forward."""
        if not 0 <= seconds < math.inf:
            raise InputError(f"{seconds} s cannot pass on a chip; give a finite time of 0 s or more")
        start = self.now
        self.now += seconds
        self.ledger.book_time("reads", seconds)
        self._columns.clear()
        for name, one in self.compensated.items():
            self._refer(name, one.due(self.arrays[name], start, self.now))

    def at(self, seconds: float) -> ChipAt:
        """Return the chip as it would be at a later time of its clock, to be read alone (see ChipAt).

        Raises: InputError for a time before `now`, or none at all.
        """
        return later(self, seconds)

    # ---- writing ----

    def _first_write(self, weights: Weights, streams: Streams) -> None:
        way = self.write if self.write != "pulse" else ("verify" if self.device.can_program else "ideal")
        bill = Bill()
        for name, array in self.arrays.items():
            wanted, _ = array.clip(weights[name].to(self.like))
            rng = streams.generator(f"first_write/{name}")
            if way == "ideal":
                array.place(array.to_conductance(wanted), self.now, rng)
            else:
                before = array.cells
                pulses, _ = array.program(array.to_conductance(wanted), self.now, rng)
                self._charge(bill, array, before, pulses)
            self._aim[name] = wanted
        self._book_write(bill)
        for name in self.arrays if way != "ideal" else ():
            self._refer(name, 1)

    def _refer(self, name: str, times: int) -> None:
        """Book so many readings of the reference lines of an array, and let their time pass; none without them."""
        array, periphery, energy = self.arrays[name], self.profile.periphery, self.profile.energy
        if name not in self.compensated or not times:
            return
        assert periphery is not None
        spent = self.compensated[name].spent(array, self.now, periphery, energy)
        self.ledger.book_reads(times * spent.reads)
        for kind, joules in spent.energy.items():
            self.ledger.book_energy(kind, times * joules)
        self.ledger.book_time("reads", times * spent.seconds)
        self.now += times * spent.seconds
        self._columns.clear()

    def ahead(self, update: WeightUpdate, lr: float) -> dict[str, Tensor]:
        """Return what a write of an update has to know of it, as numbers on the GPU it is on; see Substrate."""
        asked: dict[str, float | Tensor] = {}
        for name, gradient in update.arrays.items() if self.like.device.type != "cpu" else ():
            asked[f"{MOVES}{name}"] = number(gradient.any())
            if self.write != "pulse":
                asked[f"{BEYOND}{name}"] = self.arrays[name].clip(self._aim[name] + (-lr * gradient).to(self.like))[1]
        return {name: each for name, each in asked.items() if isinstance(each, Tensor)}

    def apply(
        self, update: WeightUpdate, lr: float, streams: Streams, index: int, part: int = 0,
        told: Mapping[str, float] = MappingProxyType({}),
    ) -> ProgrammingReport:  # fmt: skip
        """Write W <- W - lr dW; arrays that the update lacks, or leaves as they are, are not touched.

        Args:
            update: dW by name.
            lr: step size.
            streams: cycle-to-cycle draws come from ("c2c/<array>", index), of other parts ("c2c/<array>", index, part).
            index: the update's number. part: which of the writes of one update it is, 0 the one at its end.
            told: the numbers that `ahead` asked for; {}: they are looked for here.

        Returns: the shares of the written weights that missed their target.
        """
        bill, at = Bill(), (index, part) if part else (index,)
        beyond = missed = written = 0
        moved = []
        for name, gradient in update.arrays.items():
            if lr == 0 or not (told[f"{MOVES}{name}"] if told else bool(gradient.any())):
                continue
            array = self.arrays[name]
            before = array.cells
            moved.append(name)
            pulses, over, gave_up = self._write(name, array, -lr * gradient, streams.generator(f"c2c/{name}", *at))
            if pulses is not None:
                self._charge(bill, array, before, pulses)
            over = told.get(f"{BEYOND}{name}", over) if told else over
            beyond, missed, written = beyond + over, missed + gave_up, written + gradient.numel()
        self._book_write(bill)
        for name in moved if self.write != "ideal" else ():
            self._refer(name, 1)
        share = 1.0 / max(written, 1)
        return ProgrammingReport(float(beyond * share), missed * share)

    def _write(
        self, name: str, array: Crossbar, change: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor | None, float | Tensor, int]:
        """Write one array; return pulses by cell (None: ideal), weights beyond the range, weights given up on."""
        change = change.to(self.like)
        if self.write == "pulse":
            _, over = array.clip(array.mean_weights(self.now) + change)
            return array.pulse(array.to_change(change), self.now, rng), over, 0
        wanted, over = array.clip(self._aim[name] + change)
        self._aim[name] = wanted
        target = array.to_conductance(wanted)
        if self.write == "ideal":
            array.place(target, self.now, rng)
            return None, over, 0
        pulses, gave_up = array.program(target, self.now, rng)
        return pulses, over, 0 if gave_up is None else int(gave_up.any(0).sum())

    def _charge(self, bill: Bill, array: Crossbar, before: Cells, pulses: Tensor) -> None:
        """Add the pulses of one array to a bill."""
        v_0 = self.profile.conductance.v_0 if array.v_0 is not None else None
        f = self.device.thermal
        old, new = (cells["g"] if f == 1.0 else f * cells["g"] for cells in (before, array.cells))
        joules = write_energy(self.profile.energy, pulses, old, new, array.tiling, v_0, array.write_lines)
        bill.add(*array.count(pulses), joules)

    def _book_write(self, bill: Bill) -> None:
        """Book the pulses of a write and let its time pass."""
        energy = self.profile.energy
        stated = energy is not None and (energy.write is not None or energy.write_voltage is not None)
        joules = bill.joules if stated else None
        # the chip's clock is the host's: where writes take time, it waits for their number
        seconds = 0.0 if energy is None or energy.write_time is None else energy.write_time * float(bill.in_turn)
        wear: float | Tensor = 0
        if isinstance(bill.pulses, Tensor) or bill.pulses:
            wear = number(torch.stack([array.cells["wear"].max() for array in self.arrays.values()]).max())
        self.ledger.book_writes(bill.pulses, joules, seconds, wear)
        self.now += seconds
        self._columns.clear()

    # ---- checkpoints ----

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` returned; InputError if it is of another chip."""
        mine = self.state_dict()
        if STATIC in mine:  # books from before there was any static power in them
            state = {STATIC: torch.zeros_like(mine[STATIC]), **state}
        wrong = sorted(set(mine) ^ set(state)) or [k for k in mine if mine[k].shape != state[k].shape]
        wrong = wrong or [k for k in mine if mine[k].dtype != state[k].dtype]
        if wrong:
            raise InputError(
                "the checkpoint is of another chip: resume with the profile, network, effects and dtype it was "
                "made with",
                [f"checkpoint: {name}: missing, unknown, or of another shape or dtype" for name in wrong],
            )
        self.now = float(state["clock"])
        for name, array in self.arrays.items():
            array.load({key: state[f"{name}/{key}"].to(self.like.device).clone() for key in array.cells})
            self._aim[name] = state[f"{name}/aim"].to(self.like.device).clone()
            if name in self.compensated:
                self.compensated[name].load(int(state[f"{name}/reference"]))
        self._decorrelation = {
            name: state[f"{DECORRELATION}{name}"].to(self.like.device).clone() for name in self._decorrelation
        }
        self.ledger.load_state_dict({k.partition("/")[2]: v for k, v in state.items() if k.startswith("ledger/")})
        self._columns.clear()
