"""A hardware profile: its sections, what must hold between them, where its numbers are from.

All quantities are SI floats once loaded. A section that a device does not have is None.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import PrivateAttr, model_validator

from neuroanp.profiles.laws import LAWS, Law, protocol
from neuroanp.profiles.lines import problems_of_writes
from neuroanp.profiles.provenance import UNSTATED, Leaf, Provenance, leaves, shares
from neuroanp.profiles.sections import (
    MOST_BENT,
    Array,
    ConductanceRange,
    Disturb,
    EnergyFigures,
    Environment,
    Faults,
    Meta,
    Neurons,
    Periphery,
)
from neuroanp.registry import lack
from neuroanp.units import format_quantity
from neuroanp.yaml_io import Chosen, Key, Section, all_at, at, dotted, dump

ROOM_TEMPERATURE = 300.0
"""Kelvin, where a profile states no environment."""


class HardwareProfile(Section):
    """Everything known about one kind of device and the array around it; frozen.

    A section with a law holds the law itself: `profile.read` has the physics as methods.

    Args:
        meta: name, source and status.
        conductance: range and coding.
        programming: what write-and-verify leaves, or None.
        read: read noise, or None.
        drift: what time does to a conductance, or None.
        update: what single pulses do, or None.
        variability: how devices differ in what they conduct, or None.
        faults: stuck devices and dead lines, or None.
        disturb: what reads and the pulses of others do to a device, or None: nothing.
        environment: the temperature, or None: 300 K.
        periphery: drivers, converters, amplifiers, or None: ideal ones.
        array: weight range and write parallelism.
        energy: stated figures, or None: energy is not accounted.
        stochastic: a bank of stochastic junctions as noise of the nodes, or None.
        neurons: how its spiking neurons differ and what they take, or None: alike, and not known.

    >>> from neuroanp.profiles.loader import load
    >>> pcm = load("pcm")
    >>> pcm.name, pcm.conductance.g_max, pcm.temperature, pcm.shares  # siemens, kelvin
    ('pcm', 2.5e-05, 300.0, {'measured': 0, 'fitted': 30, 'illustrative': 20})
    >>> len(pcm.leaves()), pcm.provenance["conductance.g_max"].status, pcm.text.splitlines()[0]
    (54, 'fitted', 'meta:')
    >>> bare = pcm.with_provenance({})  # its numbers have no source any more, which is another profile
    >>> bare.shares["fitted"], bare.hash == pcm.hash
    (0, False)
    """

    meta: Meta
    conductance: ConductanceRange
    programming: Annotated[Law, Chosen("law", LAWS["programming"])] | None = None
    read: Annotated[Law, Chosen("law", LAWS["read"])] | None = None
    drift: Annotated[Law, Chosen("law", LAWS["drift"])] | None = None
    update: Annotated[Law, Chosen("law", LAWS["update"])] | None = None
    variability: Annotated[Law, Chosen("law", LAWS["variability"])] | None = None
    faults: Faults | None = None
    disturb: Disturb | None = None
    environment: Environment | None = None
    periphery: Periphery | None = None
    array: Array
    energy: EnergyFigures | None = None
    stochastic: Annotated[Law, Chosen("law", LAWS["stochastic"])] | None = None
    neurons: Neurons | None = None

    _stated: Mapping[Key, Provenance] = PrivateAttr(default_factory=dict)
    _inherited: Mapping[Key, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _one_read_time(self) -> HardwareProfile:
        law: Any = self.read
        law_time = None if law is None else law.t_read
        if law_time is not None and self.periphery is not None and law_time != self.periphery.t_read:
            shown = [format_quantity(t, "s") for t in (law_time, self.periphery.t_read)]
            text = f"'{shown[0]}' differs from periphery.t_read, '{shown[1]}': a read lasts one time; make them equal"
            raise at(("read", "t_read"), text)
        return self

    @model_validator(mode="after")
    def _one_read_voltage(self) -> HardwareProfile:
        read: Any = self.read
        error = self._written
        stated = {
            ("read", "v_read"): None if read is None else read.v_read,
            ("programming", "error", "v_read"): None if error is None else error.v_read,
        }
        for key, volts in stated.items():
            if volts is not None and self.periphery is not None and volts != self.periphery.v_read:
                shown = [format_quantity(v, "V") for v in (volts, self.periphery.v_read)]
                text = f"'{shown[0]}' differs from periphery.v_read, '{shown[1]}': currents are known at one voltage"
                raise at(key, f"{text}; make them equal")
        return self

    @model_validator(mode="after")
    def _levels_span_the_range(self) -> HardwareProfile:
        law: Any = self.programming
        low = None if law is None else law.g_low
        if low is not None and low != self.conductance.g_min:
            shown = [format_quantity(g, "S") for g in (low, self.conductance.g_min)]
            text = f"'{shown[0]}' is not conductance.g_min, '{shown[1]}': levels span the range; make them equal"
            raise at(("programming", "g_low"), text)
        return self

    @model_validator(mode="after")
    def _one_error_at_the_write(self) -> HardwareProfile:
        law: Any = self.drift
        written, start = self._written, None if law is None else law.start
        if written is not None and start is not None and written != start:
            text = "differs from programming.error, the error it grows from; make them equal (a YAML alias does)"
            raise at(("drift", "start"), text)
        return self

    @model_validator(mode="after")
    def _pairs_where_pulses_only_raise(self) -> HardwareProfile:
        law: Any = self.update
        if law is not None and law.one_sided and self.conductance.coding != "differential":
            text = "its pulses only raise a device: weights need pairs of them; write 'coding: differential'"
            raise at(("update",), text)
        return self

    @model_validator(mode="after")
    def _table_of_steps_spans_the_range(self) -> HardwareProfile:
        law: Any = self.update
        reach, span = None if law is None else law.reach, self.conductance
        if reach is not None and not (reach[0] <= span.g_min and span.g_max <= reach[1]):
            table, used = (
                " to ".join(format_quantity(g, "S") for g in ends) for ends in (reach, (span.g_min, span.g_max))
            )
            text = (
                f"knows steps from {table}, and the range is {used}: set conductance.g_min and g_max within the table"
            )
            raise at(("update", "file"), text)
        return self

    @model_validator(mode="after")
    def _corrupt_devices_conduct(self) -> HardwareProfile:
        reach, span = self.faults.corrupt_range if self.faults is not None else None, self.conductance
        most = (span.g_max + span.g_min) / (span.g_max - span.g_min)
        if reach is not None and span.coding == "offset" and reach > most:
            text = f"'{reach:g}' reaches below a conductance of 0, where no device is; write {most:.4g} or less"
            raise at(("faults", "corrupt_range"), text)
        return self

    @model_validator(mode="after")
    def _drift_of_pairs_to_compensate(self) -> HardwareProfile:
        if self.periphery is None or self.periphery.drift_compensation is None:
            return self
        key = ("periphery", "drift_compensation")
        if self.drift is None:
            raise at(key, "compensates a drift that is not stated; add a section 'drift' or drop this key")
        law: Any = self.drift
        if law.settles:
            text = "is for devices that keep what was written, and those of this drift relax: a pulse begins anew"
            raise at(key, f"{text}; drop this key")
        if self.conductance.coding != "differential":
            text = "one factor makes up for the drift of pairs, not for that of a device read against a reference"
            raise at(key, f"{text}; write 'coding: differential' or drop this key")
        return self

    @model_validator(mode="after")
    def _something_to_disturb(self) -> HardwareProfile:
        if self.disturb is None:
            return self
        drift: Any = self.drift
        if drift is not None and drift.settles:
            text = "is for devices that keep what was written, and those of this drift relax; drop this section"
            raise at(("disturb",), text)
        if self.disturb.read is not None and self.periphery is None:
            text = "is of reads at a voltage that is not stated; add periphery.v_read or drop this key"
            raise at(("disturb", "read"), text)
        if self.periphery is not None and self.periphery.drift_compensation is not None:
            text = "is not told from drift by what compensates that; drop this section or periphery.drift_compensation"
            raise at(("disturb",), text)
        if self.disturb.half_select is not None and self.update is None and self.programming is None:
            text = "is of pulses that nothing sends; add a section 'update' or 'programming', or drop this key"
            raise at(("disturb", "half_select"), text)
        return self

    @model_validator(mode="after")
    def _temperature_of_pairs(self) -> HardwareProfile:
        if self.conductance.reference_temperature is not None and self.conductance.coding != "differential":
            text = "is of pairs: where a device is read against a reference, that has a temperature, too"
            key = ("conductance", "reference_temperature")
            raise at(key, f"{text}; write 'coding: differential' or drop these keys")
        return self

    @model_validator(mode="after")
    def _voltages_to_bend_currents(self) -> HardwareProfile:
        v_0 = self.conductance.v_0
        if v_0 is None:
            return self
        if self.periphery is None:
            text = "bends the current of a voltage that is not stated; add periphery.v_read or drop this key"
            raise at(("conductance", "v_0"), text)
        write = None if self.energy is None else self.energy.write_voltage
        stated = {"periphery.v_read": self.periphery.v_read, "energy.write_voltage": write}
        for name, volts in stated.items():
            if volts is not None and volts > MOST_BENT * v_0:
                shown = [format_quantity(v, "V") for v in (v_0, volts)]
                text = f"'{shown[0]}' is below {name}, '{shown[1]}', / {MOST_BENT:g}"
                raise at(("conductance", "v_0"), f"{text}: no current grows e^{MOST_BENT:g}-fold; check the two")
        return self

    @model_validator(mode="after")
    def _writes_through_lines(self) -> HardwareProfile:
        if problems := problems_of_writes(self.array, self.energy, self.programming, self.update):
            raise all_at(problems)
        return self

    @model_validator(mode="after")
    def _one_power_of_a_junction(self) -> HardwareProfile:
        law, energy = self.stochastic, self.energy
        if energy is None:
            return self
        figures = {"static_junction": energy.static_junction, "area_junction": energy.area_junction}
        stated = [name for name, figure in figures.items() if figure is not None]
        if stated and law is None:
            text = "is of sources of node noise that there are not; add a section 'stochastic' or drop this key"
            raise at(("energy", stated[0]), text)
        if energy.static_junction is not None and law is not None and law.static_power is not None:
            text = "the law of the sources computes their power from its own parameters; drop this key"
            raise at(("energy", "static_junction"), text)
        return self

    @model_validator(mode="after")
    def _noise_to_couple(self) -> HardwareProfile:
        if self.neurons is not None and self.neurons.membrane_sigma is not None and self.stochastic is None:
            text = "couples node noise that is not stated; add a section 'stochastic' or drop this key"
            raise at(("neurons", "membrane_sigma"), text)
        return self

    @model_validator(mode="after")
    def _one_energy_of_an_event(self) -> HardwareProfile:
        if self.neurons is None or self.neurons.energy_per_event is None:
            return self
        read = self.energy is not None and self.energy.read is not None
        if read or self.periphery is not None:
            where = "energy.read states" if read else "periphery gives (V^2 G t of its device)"
            text = f"an event reads one weight, and what that costs {where} already; keep one of the two"
            raise at(("neurons", "energy_per_event"), text)
        return self

    @model_validator(mode="after")
    def _noise_with_a_memory_is_whole(self) -> HardwareProfile:
        """What devices follow is made by the read law: no registry has seen it."""
        law: Any = self.read
        if law is not None and law.process is not None:
            process = law.process()
            said = lack(process, protocol("ReadProcess"))
            if said is not None:
                raise at(("read",), f"{type(process).__name__}, the process that {type(law).__name__} makes, {said}")
        return self

    @model_validator(mode="after")
    def _laws_hold_at_its_temperature(self) -> HardwareProfile:
        try:
            self.conductance.thermal(self.temperature)
        except ValueError as error:
            key = ("conductance",) if self.environment is None else ("environment", "temperature")
            raise at(key, str(error)) from None
        laws: dict[str, Any] = {"drift": self.drift, "stochastic": self.stochastic}
        for name, law in laws.items():
            try:
                if law is not None and law.at_temperature is not None:
                    law.at_temperature(self.temperature)
            except ValueError as error:
                key = (name,) if self.environment is None else ("environment", "temperature")
                raise at(key, str(error)) from None
        return self

    @property
    def _written(self) -> Any:
        """The total error that a verified write starts from, or None."""
        law: Any = self.programming
        return None if law is None else law.error

    @property
    def temperature(self) -> float:
        """The temperature of the chip's surroundings, kelvin: ROOM_TEMPERATURE unless stated."""
        return ROOM_TEMPERATURE if self.environment is None else self.environment.temperature

    @property
    def name(self) -> str:
        """The name commands know the profile by."""
        return self.meta.name

    def leaves(self) -> list[Leaf]:
        """List every parameter with its value in SI units, `meta` left out."""
        return [leaf for leaf in leaves(self) if leaf.key[0] != "meta"]

    @property
    def provenance(self) -> Mapping[str, Provenance]:
        """Status and source of every parameter, by dotted key; names of laws have none of their own."""
        found = {dotted(leaf.key): self._origin(leaf) for leaf in self.leaves() if leaf.key[-1] != "law"}
        return MappingProxyType(found)

    @property
    def shares(self) -> dict[str, int]:
        """How many parameters are measured, fitted and illustrative.

        >>> from neuroanp.profiles import load
        >>> load("ideal").shares["measured"]
        0
        """
        return shares(self.provenance.values())

    @property
    def inherited(self) -> Mapping[str, str]:
        """The profile that a parameter was taken over from by `extends`, by dotted key; its own are left out.

        >>> from neuroanp.profiles import load
        >>> tiles = load("pcm_tiles")
        >>> tiles.inherited["energy.write"], "periphery.bandwidth" in tiles.inherited
        ('pcm', False)
        """
        here = [leaf.key for leaf in self.leaves() if leaf.key in self._inherited]
        return MappingProxyType({dotted(key): self._inherited[key] for key in here if key[-1] != "law"})

    @property
    def text(self) -> str:
        """The profile as one canonical YAML file: `extends` resolved, defaults written out."""
        return self._content(places=True)

    def _content(self, places: bool) -> str:
        """Return the canonical text; without `places` a file is known by its checksum alone."""
        content: dict[str, Any] = {"meta": self.meta.model_dump(exclude_none=True)}
        content |= {name: {} for name in type(self).model_fields if name != "meta" and getattr(self, name) is not None}
        usual = self._usual_origins()
        for name, origin in usual.items() if self.meta.status is None else ():
            content[name] |= origin._asdict()
        for leaf in self.leaves():
            section: Any = content
            if not places and leaf.key[-1] == "file":
                continue
            for part, inner in pairwise(leaf.key):
                section = _below(section, part, [] if isinstance(inner, int) else {})
            value = leaf.value if leaf.dimension is None else leaf.text
            origin = self._origin(leaf)
            plain = origin == usual[str(leaf.key[0])] or leaf.key[-1] == "law"
            section[leaf.key[-1]] = value if plain else {"value": value, **origin._asdict()}
        return dump(content)

    def _usual_origins(self) -> dict[str, Provenance]:
        """Return what the canonical text states for a whole section: the origin of most of its parameters.

        Where `meta` has a status, that is of all sections.
        """
        of: dict[str, list[Provenance]] = {}
        for leaf in self.leaves():
            of.setdefault(str(leaf.key[0]), []).extend([self._origin(leaf)] * (leaf.key[-1] != "law"))
        if self.meta.status is not None:
            return dict.fromkeys(of, Provenance(self.meta.status, self.meta.source))
        default = Provenance(UNSTATED, self.meta.source)
        return {name: Counter(origins or [default]).most_common(1)[0][0] for name, origins in of.items()}

    @property
    def hash(self) -> str:
        """SHA-256 in hexadecimal: the same for the same content, wherever files are and however numbers are written.

        What `meta` says is content: a status there makes another profile than the same status at every section.
        """
        return sha256(self._content(places=False).encode()).hexdigest()

    def with_provenance(
        self, stated: Mapping[Key, Provenance], inherited: Mapping[Key, str] | None = None
    ) -> HardwareProfile:
        """Return the profile with the provenance of its parameters; keys it lacks keep that of `meta`.

        Args:
            stated: status and source by key.
            inherited: the profile that a value was taken over from, by key.
        """
        copy = self.model_copy()
        copy._stated, copy._inherited = dict(stated), dict(inherited or {})
        return copy

    def _origin(self, leaf: Leaf) -> Provenance:
        if leaf.key in self._stated:
            return self._stated[leaf.key]
        if not leaf.stated:
            return Provenance("illustrative", "default of the model")
        return Provenance(self.meta.status or UNSTATED, self.meta.source)


def _below(inside: Any, part: str | int, empty: Any) -> Any:
    """Return what is at a key of a mapping, or at an index of a list that grows by one at most; `empty` where new."""
    if isinstance(part, str):
        return inside.setdefault(part, empty)
    if part == len(inside):
        inside.append(empty)
    return inside[part]
