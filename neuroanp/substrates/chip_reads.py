"""A chip as it is read: one crossbar for each array, the node noise, the clock and the books of its reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuroanp.later import number
from neuroanp.network.network import OUTPUT, Network
from neuroanp.noise import PassStreams
from neuroanp.substrates.compensation import compensation, scaled
from neuroanp.substrates.crossbar import Crossbar
from neuroanp.substrates.device_noise import DeviceNoise
from neuroanp.substrates.energy_kinds import energy_kinds
from neuroanp.substrates.ledger import Ledger
from neuroanp.substrates.node_drive import NodeDrive, junctions_of, perturbs_units
from neuroanp.substrates.node_noise import NodeNoise
from neuroanp.substrates.periphery import X_MAX, driver, sensor
from neuroanp.substrates.protocol import Neurons, ReadPlan
from neuroanp.substrates.standing import area_of, static_power
from neuroanp.trajectory import PassPlan, Weights

if TYPE_CHECKING:
    from neuroanp.devices.protocol import SourceBank
    from neuroanp.profiles import HardwareProfile


DECORRELATION = "decorrelation/"
"""Where a state has the digital matrix of a layer."""


class ReadChip:
    """The arrays of one hardware profile as they stand, to be presented something.

    What writes to them is in `substrates.chip`, what looks at another time in `substrates.chip_at`.

    Args:
        profile: the hardware. arrays: the crossbars by name. network: whose arrays they are.
        write, read: how; see `chip.Chip`.
        drive: noise on the units that no device makes, and the coupling of the junctions.
        dt: seconds a step. neurons: how spiking neurons differ.
        references: seeds of the noise of readings that compensate drift, by array; what is missing has none.
        banks: the junctions by group of units, where they are not alike.

    Attributes:
        ledger: the books. now: chip time in seconds.
        static, area: watts that flow all the time and square metres, by part, where the profile states them.
    """

    def __init__(
        self,
        profile: HardwareProfile,
        arrays: Mapping[str, Crossbar],
        network: Network,
        write: str,
        read: str,
        drive: NodeDrive,
        dt: float,
        neurons: Neurons | None = None,
        references: Mapping[str, int] = MappingProxyType({}),
        banks: Mapping[str, SourceBank] = MappingProxyType({}),
    ) -> None:
        self.profile, self.arrays, self.network = profile, dict(arrays), network
        self.write, self.read, self.drive, self.dt = write, read, drive, dt
        self._neurons = dict(neurons or {})
        compensated = {name: compensation(array, references.get(name)) for name, array in self.arrays.items()}
        self.compensated = {name: one for name, one in compensated.items() if one is not None}
        self.device = next(iter(self.arrays.values())).device
        self.effects = self.device.effects
        self.like = next(iter(self.arrays.values())).cells["g"]
        self.junctions = junctions_of(profile, self.effects, self.device.temperature)
        tiles = max(len(array.tiling.widths) for array in self.arrays.values())
        self.banks = dict(banks)
        parts = profile, self.arrays, network.lines, self.junctions
        self.static, self.area = static_power(*parts, self.banks), area_of(*parts)
        self.ledger = Ledger(
            energy_kinds(profile, self.junctions, tiles, static=bool(self.static)),
            profile.energy is not None and profile.energy.write_time is not None,
            profile.energy.endurance if profile.energy is not None else None,
            network.spikes,
            sum(self.static.values()),
            sum(self.area.values()) if self.area else None,
        )
        self.now = 0.0
        self._aim: dict[str, Tensor] = {}
        self._columns: dict[str, Tensor] = {}
        self._decorrelation: Mapping[str, Tensor] = {}

    # ---- what the arrays hold ----

    @property
    def weights(self) -> Weights:
        """The digital target weights; with "pulse" what the arrays hold now, read noise aside."""
        if self.write == "pulse":
            held = {name: a.mean_weights(self.now) for name, a in self.arrays.items()}
            of = self.drift_factors
            return Weights({name: W * of[name] if name in of else W for name, W in held.items()}, self.network)
        return Weights(dict(self._aim), self.network)

    @property
    def decorrelation(self) -> Mapping[str, Tensor]:
        """The digital matrix that the activity of each layer passes before the arrays (see Substrate)."""
        return self._decorrelation

    @property
    def perturbs_units(self) -> bool:
        """Whether the hardware's own noise reaches the pre-activations: of reads, amplifiers or junctions."""
        return perturbs_units(self.profile, self.effects, self.device.temperature)

    @property
    def neurons(self) -> Neurons:
        """How the spiking neurons differ (see Substrate): the chip's own, as its converters, no part of its state."""
        return MappingProxyType({name: MappingProxyType(factors) for name, factors in self._neurons.items()})

    def node_sigmas(self, artificial: bool = True) -> dict[str, float]:
        """Return the standard deviation of the node noise by group of units (see Substrate)."""
        own = {
            name: 0.0 if (law := self.banks.get(name, self.junctions)) is None else law.node_sigma
            for name in self.network.lines
        }
        of_layers, of_output = self.drive.added(artificial)
        coupled = self.drive.coupled(self.network.groups[1:-1])
        sigmas = {name: math.hypot(own[name] * scale, of_layers) for name, scale in coupled.items()}
        return {**sigmas, OUTPUT: math.hypot(own[OUTPUT], of_output)}

    @property
    def failed(self) -> float:
        """Fraction of the devices that have had the pulses they endure, and move no more."""
        total = worn = 0
        for array in self.arrays.values():
            out = self.device.worn_out(array.cells)
            total += array.cells["g"].numel()
            worn += 0 if out is None else int(out.sum())
        return worn / total

    @property
    def drift_factors(self) -> dict[str, float]:
        """What makes up for the drift of each array's devices now, by name; {}: nothing does."""
        return {name: one.factor(self.arrays[name], self.now) for name, one in self.compensated.items()}

    def factor(self, name: str) -> float:
        """Return what the outputs of an array are scaled by for the drift of its devices; 1 where nothing is."""
        return self.compensated[name].factor(self.arrays[name], self.now) if name in self.compensated else 1.0

    # ---- reading ----

    def prepare(self, window_s: float, streams: PassStreams, noise: bool = True) -> dict[str, ReadPlan]:
        """Read the state of every array once for the passes of one update (see Substrate)."""
        plans = {}
        for name, array in self.arrays.items():
            plans[name] = array.prepare(
                self.now, window_s, lambda name=name: self._frozen(name, streams), noise, self.read == "sampled"
            )
            plans[name] = scaled(plans[name], self.factor(name))
            D = self._decorrelation.get(self.network.projection(name).pre)
            plans[name] = plans[name] if D is None else replace(plans[name], decorrelation=D)
        return plans

    def _frozen(self, name: str, streams: PassStreams) -> Tensor:
        like = self.arrays[name].cells["g"]
        return streams.tensors("normal", f"frozen/{name}", [0], 0, 1, tuple(like.shape), like)[0, 0]

    def perturbation(
        self, plan: PassPlan, batch: int, streams: PassStreams, artificial: bool = True, apart: float = math.inf
    ) -> NodeNoise:
        """Start the node noise of one presentation (see Substrate)."""
        of_layers, of_output = self.drive.added(artificial)
        return NodeNoise(
            plan, self.network.lines, batch, streams, self.like, self.junctions, of_layers,
            output_sigma=of_output, scale=self.drive.coupled(self.network.groups[1:-1]), dt=self.dt, apart=apart,
            kind=self.drive.kind, banks=self.banks,
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
        if process.of_ages is not None:
            assert reads.age is not None
            process = process.of_ages(reads.age)
        return DeviceNoise(name, plan, batch, streams, reads.process, process, dt=self.dt, apart=apart)

    @property
    def weighs_reads(self) -> bool:
        """Whether what the word lines carried is wanted: a profile states how arrays are read, or what that does."""
        energy, disturb = self.profile.energy, self.device.disturb
        if disturb is not None and disturb.read and "read_disturb" in self.effects:
            return True
        return self.profile.periphery is not None and (energy is None or energy.read is None)

    def book_reads(
        self, name: str, load: Tensor, reads: int, noisy: int, *, events: float | Tensor | None = None
    ) -> None:
        """Book `reads` vector reads of one array; `load` (m,) is what `Reader.load` returned for them.

        Array: v_read^2 / x_m^2 sum_j load_j sum_i (G+ + G-)_ij t_read, or the profile's own figure a
        weight: n m of them a read, or the `events` that spikes read in all: a line without a spike is
        not driven (its load is 0, too). One DAC conversion a word line (its driver serves all tiles of
        the line), one ADC conversion a bit line of each tile, both for each bit of a bit-serial input;
        the outputs of the tiles, and the bits, are added digitally. The last read that a group of
        units waits for also updates it: digital energy, and node noise in the `noisy` reads that are of
        passes with noise: a silent pass samples no junction.
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
            siemens = number(torch.dot(load.to(torch.float64), self._columns[name]))
            if array.one_level and array.v_0 is not None:
                siemens = siemens * (array.drive(X_MAX) / X_MAX)
            self.ledger.book_energy("array_reads", (periphery.v_read / X_MAX) ** 2 * siemens * periphery.t_read)
        array.expose(load)
        bits, tiles = max(array.bits, 1), len(array.tiling.widths)
        dac, adc = driver(self.profile), sensor(self.profile)
        if dac is not None:
            self.ledger.book_energy("dac", (dac.energy or 0.0) * reads * m * bits)
        if adc is not None:
            self.ledger.book_energy("adc", (adc.energy or 0.0) * reads * n * bits * tiles)
        if energy is not None:
            self.ledger.book_energy("accumulate", (energy.accumulate or 0.0) * reads * n * (bits * tiles - 1))
        group = self.network.projection(name).post
        if name == self.network.last(group).name:
            lines = self.network.lines[group]
            if energy is not None:
                self.ledger.book_energy("digital", (energy.digital or 0.0) * reads * lines)
            if self.junctions is not None:
                bits = noisy * lines * self.junctions.n_sources
                self.ledger.book_energy("node_noise", (self.junctions.energy_per_bit or 0.0) * bits)

    def book_spikes(self, spikes: float | Tensor, events: float | Tensor) -> None:
        """Book spikes of units and synaptic events, at the profile's own figures (see Substrate)."""
        self.ledger.book_spikes(spikes, events)
        neurons = self.profile.neurons
        if neurons is not None:
            self.ledger.book_energy("spikes", (neurons.energy_per_spike or 0.0) * spikes)
            self.ledger.book_energy("synaptic_events", (neurons.energy_per_event or 0.0) * events)

    def state_dict(self) -> dict[str, Tensor]:
        """Return cells ("w/g"), digital targets ("w/aim"), books ("ledger/energy") and the clock, bit for bit."""
        state: dict[str, Tensor] = {"clock": torch.tensor(self.now, dtype=torch.float64)}
        aim = self.weights  # with "pulse" what the arrays hold: there is nothing else to aim at
        for name, array in self.arrays.items():
            state.update({f"{name}/{key}": value.detach().clone() for key, value in array.cells.items()})
            state[f"{name}/aim"] = aim[name].detach().clone()
            if name in self.compensated:
                state[f"{name}/reference"] = torch.tensor(self.compensated[name].seed or 0, dtype=torch.int64)
        state.update({f"{DECORRELATION}{name}": D.detach().clone() for name, D in self._decorrelation.items()})
        state.update({f"ledger/{key}": value for key, value in self.ledger.state_dict().items()})
        return state
