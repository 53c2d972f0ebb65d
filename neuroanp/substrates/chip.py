"""A chip: one crossbar for each matrix, the node noise, the clock and the books."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from neuroanp.devices.device import Device
from neuroanp.devices.draws import numpy_dtype
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.devices.protocol import Cells
from neuroanp.devices.switched import at_temperature
from neuroanp.errors import InputError, did_you_mean
from neuroanp.noise import PassStreams, Streams
from neuroanp.substrates.checks import check_memory, check_step
from neuroanp.substrates.crossbar import Crossbar
from neuroanp.substrates.device_noise import DeviceNoise
from neuroanp.substrates.energy_kinds import energy_kinds
from neuroanp.substrates.ledger import Ledger
from neuroanp.substrates.neuron_mismatch import neuron_factors
from neuroanp.substrates.node_noise import NodeNoise
from neuroanp.substrates.periphery import X_MAX, driver, sensor
from neuroanp.substrates.protocol import ProgrammingReport, ReadPlan
from neuroanp.substrates.write_energy import write_energy
from neuroanp.trajectory import PassPlan, Weights, WeightUpdate

if TYPE_CHECKING:
    import numpy as np

    from neuroanp.profiles import HardwareProfile

WRITES = ("auto", "ideal", "verify", "pulse")
READS = ("moments", "sampled")
SOLVERS = ("fast", "exact")


@dataclass
class _Bill:
    """What one write adds up to: pulses, those that follow one another in time, joules (None: not stated)."""

    pulses: int = 0
    in_turn: int = 0
    joules: float | None = 0.0


class Chip:
    """Weights held by the arrays of one hardware profile; implements `substrates.protocol.Substrate`.

    Ways to write: "ideal" puts conductances on their targets without error, time, energy or pulses;
    "verify" programs and verifies; "pulse" sends single pulses in place. The digital side keeps
    target weights and clips them to the range of the arrays, except with "pulse", where what the
    array holds is all there is.

    Attributes:
        ledger: the books. arrays: the crossbars by name. now: chip time in seconds.
        artificial_sigma: standard deviation of Gaussian noise on the pre-activations that no device makes.
        artificial_output_sigma: that of the output layer, where it differs, or None.
        node_scale: coupling of the junctions to the hidden units; the outputs get their noise as it is.
    """

    def __init__(
        self,
        profile: HardwareProfile,
        arrays: Mapping[str, Crossbar],
        bias: bool,
        write: str,
        read: str,
        artificial_sigma: float,
        dt: float,
        neurons: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.profile, self.arrays, self.bias = profile, dict(arrays), bias
        self.write, self.read, self.artificial_sigma, self.dt = write, read, artificial_sigma, dt
        self.artificial_output_sigma: float | None = None
        self.node_scale = 1.0
        self._neurons = dict(neurons or {})
        self.device = next(iter(self.arrays.values())).device
        self.effects = self.device.effects
        self.like = next(iter(self.arrays.values())).cells["g"]
        junctions = at_temperature(profile.stochastic, self.device.temperature)
        self.junctions: Any = junctions if "node_noise" in self.effects else None
        tiles = max(len(array.tiling.widths) for array in self.arrays.values())
        self.ledger = Ledger(
            energy_kinds(profile, self.junctions, tiles),
            profile.energy is not None and profile.energy.write_time is not None,
            profile.energy.endurance if profile.energy is not None else None,
        )
        self.now = 0.0
        self._aim: dict[str, Tensor] = {}
        self._columns: dict[str, Tensor] = {}

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
        artificial_sigma: float | None = None,
        temperature: float | None = None,
        wires: str = "fast",
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Chip:
        """Make a chip and write the first weights.

        Args:
            profile: the hardware.
            weights: w_in (N, I), w (N, N), w_out (O, N).
            streams: the run's streams; devices are drawn from "d2d/<array>", neurons from "d2d/neurons".
            dt: seconds a step; no shorter than a read.
            write: one of WRITES; "auto" verifies where the profile can, else writes ideally.
            read: "moments" (a read has its exact distribution, two products) or "sampled" (every device drawn, from
                read to read where its law is a process; see `promises.sampled_problem`).
            effects: the non-idealities that are on.
            artificial_sigma: Gaussian noise on the pre-activations that no device makes, or None.
            temperature: kelvin; None: the profile's own.
            wires: how the resistance of lines is solved, "fast" or "exact", where the profile states any.
            dtype: float32 or float64.
            device: the torch device.

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
        check_step(profile, dt, effects)
        check_memory(profile, read, effects, {name: tuple(w.shape) for name, w in weights.items()})
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
        like = arrays["w"].cells["g"]
        neurons = neuron_factors(profile, effects, len(weights["w"]), streams.generator("d2d/neurons"), like)
        chip = cls(profile, arrays, weights.bias, write, read, float(artificial_sigma or 0.0), dt, neurons)
        chip._first_write(weights, streams)
        return chip

    @staticmethod
    def _way(profile: HardwareProfile, cell: Device, write: str) -> str:
        possible = ["ideal"] + ["verify"] * cell.can_program + ["pulse"] * (cell.update is not None)
        if write == "auto":
            return "verify" if cell.can_program else "ideal"
        if write not in possible:
            why = "is unknown" if write not in WRITES else f"has no law in profile '{profile.meta.name}'"
            raise InputError(f"hardware.write: '{write}' {why}; possible here: auto, {', '.join(possible)}")
        return write

    # ---- what the arrays hold ----

    @property
    def targets(self) -> Weights:
        """The digital target weights; with "pulse" what the arrays hold now, read noise aside."""
        if self.write == "pulse":
            return Weights({name: a.mean_weights(self.now) for name, a in self.arrays.items()}, self.bias)
        return Weights(dict(self._aim), self.bias)

    @property
    def perturbs_units(self) -> bool:
        """Whether the hardware's own noise reaches the pre-activations: of reads, amplifiers or junctions."""
        reads = self.profile.read is not None and "read_noise" in self.effects
        lines = any(array.extra > 0 or array.thermal > 0 or array.dac_sigma > 0 for array in self.arrays.values())
        return reads or lines or (self.junctions is not None and self.junctions.node_sigma > 0)

    @property
    def neurons(self) -> Mapping[str, Tensor]:
        """How the spiking neurons differ (see Substrate): the chip's own, as its converters, no part of its state."""
        return MappingProxyType(self._neurons)

    def node_sigmas(self, artificial: bool = True) -> dict[str, float]:
        """Return the standard deviation of the node noise by layer (see Substrate)."""
        own = self.junctions.node_sigma if self.junctions is not None else 0.0
        hidden, output = self._artificial() if artificial else (0.0, 0.0)
        return {"hidden": math.hypot(own * self.node_scale, hidden), "output": math.hypot(own, output)}

    def _artificial(self) -> tuple[float, float]:
        """Return the standard deviation of the artificial noise on hidden and on output units."""
        output = self.artificial_output_sigma
        return self.artificial_sigma, self.artificial_sigma if output is None else output

    @property
    def failed(self) -> float:
        """Fraction of the devices that have had the pulses they endure, and move no more."""
        total = worn = 0
        for array in self.arrays.values():
            out = self.device.worn_out(array.cells)
            total += array.cells["g"].numel()
            worn += 0 if out is None else int(out.sum())
        return worn / total

    # ---- reading ----

    def prepare(self, window_s: float, streams: PassStreams, noise: bool = True) -> dict[str, ReadPlan]:
        """Read the state of every array once for the passes of one update (see Substrate)."""
        plans = {}
        for name, array in self.arrays.items():
            plans[name] = array.prepare(
                self.now, window_s, lambda name=name: self._frozen(name, streams), noise, self.read == "sampled"
            )
        return plans

    def _frozen(self, name: str, streams: PassStreams) -> Tensor:
        like = self.arrays[name].cells["g"]
        draw = streams.normal(f"frozen/{name}", 0, 0, 1, tuple(like.shape), numpy_dtype(like))[0]
        return torch.from_numpy(draw).to(like.device)

    def perturbation(
        self, plan: PassPlan, batch: int, streams: PassStreams, artificial: bool = True, apart: float = math.inf
    ) -> NodeNoise:
        """Start the node noise of one presentation (see Substrate)."""
        units = {"hidden": self.arrays["w"].shape[0], "output": self.arrays["w_out"].shape[0]}
        hidden, output = self._artificial() if artificial else (0.0, 0.0)
        return NodeNoise(
            plan, units, batch, streams, self.like, self.junctions, hidden,
            output_sigma=output, scale=self.node_scale, dt=self.dt, apart=apart,
        )  # fmt: skip

    def device_noise(
        self, name: str, reads: ReadPlan, plan: PassPlan, batch: int, streams: PassStreams, apart: float = math.inf
    ) -> DeviceNoise:
        """Start the noise with a memory of the devices of one array (see Substrate)."""
        assert reads.process is not None
        law = self.device.read
        assert law is not None
        assert law.process is not None
        process = law.process()
        return DeviceNoise(name, plan, batch, streams, reads.process, process, dt=self.dt, apart=apart)

    def book_reads(self, name: str, load: Tensor, reads: int, noisy: int, *, events: int | None = None) -> None:
        """Book `reads` vector reads of one array; `load` (m,) is what `Reader.load` returned for them.

        Array: v_read^2 / x_m^2 sum_j load_j sum_i (G+ + G-)_ij t_read, or the profile's own figure a
        weight: n m of them a read, or the `events` that spikes read in all: a line without a spike is
        not driven (its load is 0, too). One DAC conversion a word line (its driver serves all tiles of
        the line), one ADC conversion a bit line of each tile, both for each bit of a bit-serial input;
        the outputs of the tiles, and the bits, are added digitally. A read of w or w_out also updates
        its units: digital energy, and node noise in the `noisy` reads that are of passes with a gain: a
        silent pass samples no junction.
        """
        array, periphery, energy = self.arrays[name], self.profile.periphery, self.profile.energy
        n, m = array.shape
        self.ledger.book_reads(reads)
        if energy is not None and energy.read is not None:
            joules = energy.read * n * m * reads if events is None else energy.read * events
            self.ledger.book_energy("array_reads", joules)
        elif periphery is not None:
            if name not in self._columns:
                self._columns[name] = array.columns(self.now)
            siemens = float(torch.dot(load.to(torch.float64), self._columns[name]))
            self.ledger.book_energy("array_reads", (periphery.v_read / X_MAX) ** 2 * siemens * periphery.t_read)
        bits, tiles = max(array.bits, 1), len(array.tiling.widths)
        dac, adc = driver(self.profile), sensor(self.profile)
        if dac is not None:
            self.ledger.book_energy("dac", (dac.energy or 0.0) * reads * m * bits)
        if adc is not None:
            self.ledger.book_energy("adc", (adc.energy or 0.0) * reads * n * bits * tiles)
        if energy is not None:
            self.ledger.book_energy("accumulate", (energy.accumulate or 0.0) * reads * n * (bits * tiles - 1))
        if name != "w_in":  # w_in feeds the same units as w
            if energy is not None:
                self.ledger.book_energy("digital", (energy.digital or 0.0) * reads * n)
            if self.junctions is not None:
                bits = noisy * n * self.junctions.n_sources
                self.ledger.book_energy("node_noise", (self.junctions.energy_per_bit or 0.0) * bits)

    def book_spikes(self, spikes: int, events: int) -> None:
        """Book spikes of units and synaptic events, at the profile's own figures (see Substrate)."""
        self.ledger.book_spikes(spikes, events)
        neurons = self.profile.neurons
        if neurons is not None:
            self.ledger.book_energy("spikes", (neurons.energy_per_spike or 0.0) * spikes)
            self.ledger.book_energy("synaptic_events", (neurons.energy_per_event or 0.0) * events)

    def elapse(self, seconds: float) -> None:
        """Let chip time pass while the arrays are read or idle; InputError unless it runs forward."""
        if not 0 <= seconds < math.inf:
            raise InputError(f"{seconds} s cannot pass on a chip; give a finite time of 0 s or more")
        self.now += seconds
        self.ledger.book_time("reads", seconds)
        self._columns.clear()

    # ---- writing ----

    def _first_write(self, weights: Weights, streams: Streams) -> None:
        way = self.write if self.write != "pulse" else ("verify" if self.device.can_program else "ideal")
        bill = _Bill()
        for name, array in self.arrays.items():
            wanted, _ = array.clip(weights[name].to(self.like))
            rng = streams.generator(f"first_write/{name}")
            if way == "ideal":
                array.cells = self.device.place(array.cells, array.to_conductance(wanted), None, self.now, rng)
            else:
                before = array.cells
                array.cells, pulses, _ = self.device.program(before, array.to_conductance(wanted), None, self.now, rng)
                self._charge(bill, array, before, pulses)
            self._aim[name] = wanted
        self._book_write(bill)

    def apply(self, update: WeightUpdate, lr: float, streams: Streams, index: int) -> ProgrammingReport:
        """Write W <- W - lr dW; arrays that the update lacks, or leaves as they are, are not touched.

        Args:
            update: dW by name.
            lr: step size.
            streams: cycle-to-cycle draws come from ("c2c/<array>", index).
            index: the update's number.

        Returns: the shares of the written weights that missed their target.
        """
        bill = _Bill()
        beyond = missed = written = 0
        for name, gradient in update.arrays.items():
            if lr == 0 or not bool(gradient.any()):
                continue
            array = self.arrays[name]
            before = array.cells
            pulses, over, gave_up = self._write(name, array, -lr * gradient, streams.generator(f"c2c/{name}", index))
            if pulses is not None:
                self._charge(bill, array, before, pulses)
            beyond, missed, written = beyond + over, missed + gave_up, written + gradient.numel()
        self._book_write(bill)
        share = 1.0 / max(written, 1)
        return ProgrammingReport(beyond * share, missed * share)

    def _write(
        self, name: str, array: Crossbar, change: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor | None, int, int]:
        """Write one array; return pulses by cell (None: ideal), weights beyond the range, weights given up on."""
        change = change.to(self.like)
        if self.write == "pulse":
            _, over = array.clip(array.mean_weights(self.now) + change)
            array.cells, pulses = self.device.pulse(array.cells, array.to_change(change), self.now, rng)
            return pulses, over, 0
        wanted, over = array.clip(self._aim[name] + change)
        self._aim[name] = wanted
        target = array.to_conductance(wanted)
        if self.write == "ideal":
            array.cells = self.device.place(array.cells, target, None, self.now, rng)
            return None, over, 0
        array.cells, pulses, gave_up = self.device.program(array.cells, target, None, self.now, rng)
        return pulses, over, 0 if gave_up is None else int(gave_up.any(0).sum())

    def _charge(self, bill: _Bill, array: Crossbar, before: Cells, pulses: Tensor) -> None:
        """Add the pulses of one array to a bill."""
        count, in_turn = array.count(pulses)
        bill.pulses += count
        bill.in_turn += in_turn
        joules = write_energy(self.profile.energy, pulses, before["g"], array.cells["g"], array.tiling)
        bill.joules = None if joules is None or bill.joules is None else bill.joules + joules

    def _book_write(self, bill: _Bill) -> None:
        """Book the pulses of a write and let its time pass."""
        energy = self.profile.energy
        stated = energy is not None and (energy.write is not None or energy.write_voltage is not None)
        joules = bill.joules if stated else None
        seconds = 0.0 if energy is None or energy.write_time is None else energy.write_time * bill.in_turn
        wear = max(int(array.cells["wear"].max()) for array in self.arrays.values()) if bill.pulses else 0
        self.ledger.book_writes(bill.pulses, joules, seconds, wear)
        self.now += seconds
        self._columns.clear()

    # ---- checkpoints ----

    def state_dict(self) -> dict[str, Tensor]:
        """Return cells ("w/g"), digital targets ("w/aim"), books ("ledger/energy") and the clock, bit for bit."""
        state: dict[str, Tensor] = {"clock": torch.tensor(self.now, dtype=torch.float64)}
        aim = self.targets  # with "pulse" what the arrays hold: there is nothing else to aim at
        for name, array in self.arrays.items():
            state.update({f"{name}/{key}": value.detach().clone() for key, value in array.cells.items()})
            state[f"{name}/aim"] = aim[name].detach().clone()
        state.update({f"ledger/{key}": value for key, value in self.ledger.state_dict().items()})
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` returned; InputError if it is of another chip."""
        mine = self.state_dict()
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
            array.cells = {key: state[f"{name}/{key}"].to(self.like.device).clone() for key in array.cells}
            self._aim[name] = state[f"{name}/aim"].to(self.like.device).clone()
        self.ledger.load_state_dict({k.partition("/")[2]: v for k, v in state.items() if k.startswith("ledger/")})
        self._columns.clear()
