"""The sections of a hardware profile and what must hold between them.

All quantities are SI floats once loaded. A section that a device does not have is None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from neuroanp.profiles.laws import LAWS, Law
from neuroanp.profiles.provenance import Leaf, Provenance, leaves
from neuroanp.units import (
    Conductance,
    Dimension,
    Energy,
    Fraction,
    NonNegative,
    Positive,
    PositiveConductance,
    PositiveCurrent,
    PositiveTime,
    PositiveVoltage,
    Time,
    format_quantity,
)
from neuroanp.yaml_io import Chosen, Key, Section, at, dotted, dump

_Text = Annotated[str, Field(min_length=1)]
_NoiseCurrent = Annotated[float, Dimension("current", "A", "20 nA")]


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}", text):
        raise ValueError(
            f"'{text[:80]}' is not a name: write up to 64 letters (a-z, A-Z), digits and . _ + - without spaces, "
            "beginning with a letter or a digit"
        )
    return text


class Meta(Section):
    """What the profile is and where its numbers come from unless they say otherwise.

    Args:
        name: how commands name the profile.
        summary: one line.
        source: the publication.
        doi: of the publication.
        status: measured, fitted or illustrative.
    """

    name: Annotated[str, AfterValidator(_name)]
    summary: _Text
    source: _Text
    doi: _Text | None = None
    status: Literal["measured", "fitted", "illustrative"]


class ConductanceRange(Section):
    """The range of conductance a weight uses, and how a signed weight is coded in it.

    Args:
        g_min, g_max: siemens.
        coding: differential, W = w_s (G+ - G-) / (g_max - g_min), two devices a weight; offset,
            W = 2 w_s (G - G_mid) / (g_max - g_min), one device and a shared reference.
    """

    g_min: Conductance
    g_max: PositiveConductance
    coding: Literal["differential", "offset"]

    @field_validator("g_max")
    @classmethod
    def _above_g_min(cls, g_max: float, info: ValidationInfo) -> float:
        g_min = info.data.get("g_min")
        if g_min is not None and g_min >= g_max:
            shown = [format_quantity(g, "S") for g in (g_max, g_min)]
            raise ValueError(f"'{shown[0]}' is not above g_min, '{shown[1]}'; raise g_max or lower g_min")
        return g_max


class Dac(Section):
    """The converter that drives a word line.

    Args:
        bits: sign included; 1 bit codes the sign alone.
        energy: joules a conversion, or None where no figure is known.
    """

    bits: Annotated[int, Field(ge=1, le=24)]
    energy: Energy | None = None


class Adc(Section):
    """The converter that reads a bit line, sign and magnitude: 2^(bits-1) - 1 codes each way.

    Args:
        bits: at least 2, so that one is left beside the sign.
        full_scale: current of the largest code, amperes.
        energy: joules a conversion, or None.
    """

    bits: Annotated[int, Field(ge=2, le=24)]
    full_scale: PositiveCurrent
    energy: Energy | None = None


class Periphery(Section):
    """What drives and senses an array.

    Args:
        v_read: volts of a full-scale input.
        t_read: seconds of one read of the array.
        dac, adc: converters; None converts without rounding or limits.
        amplifier_noise: rms current at the input of the sense amplifier, amperes, or None.
    """

    v_read: PositiveVoltage
    t_read: PositiveTime
    dac: Dac | None = None
    adc: Adc | None = None
    amplifier_noise: _NoiseCurrent | None = None


class Array(Section):
    """How weights lie on the array.

    Args:
        weight_range: w_s, the largest weight, in Xavier standard deviations of its matrix.
        write: what one write pulse reaches: serial, one device; row, one row of the array at a time.
    """

    weight_range: Positive
    write: Literal["serial", "row"]


class EnergyFigures(Section):
    """Stated figures of energy, time and wear.

    Args:
        write: joules a write pulse, or None: unknown.
        write_time: seconds a write pulse.
        read: joules of the read of one weight; None: computed from V^2 G t.
        digital: joules of one unit's update in digital logic (activation, memory), or None.
        endurance: pulses a device survives, or None.
    """

    write: Energy | None = None
    write_time: Time | None = None
    read: Energy | None = None
    digital: Energy | None = None
    endurance: Positive | None = None


class Faults(Section):
    """Devices that no longer follow the law.

    Args:
        corrupt: fraction of the devices that are stuck.
        corrupt_range: they are stuck uniformly within +- this, in device units.
    """

    corrupt: Fraction
    corrupt_range: NonNegative


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
        faults: stuck devices, or None.
        periphery: drivers, converters, amplifiers, or None: ideal ones.
        array: weight range and write parallelism.
        energy: stated figures, or None: energy is not accounted.
        stochastic: a bank of stochastic junctions as noise of the nodes, or None.
    """

    meta: Meta
    conductance: ConductanceRange
    programming: Annotated[Law, Chosen("law", LAWS["programming"])] | None = None
    read: Annotated[Law, Chosen("law", LAWS["read"])] | None = None
    drift: Annotated[Law, Chosen("law", LAWS["drift"])] | None = None
    update: Annotated[Law, Chosen("law", LAWS["update"])] | None = None
    faults: Faults | None = None
    periphery: Periphery | None = None
    array: Array
    energy: EnergyFigures | None = None
    stochastic: Annotated[Law, Chosen("law", LAWS["stochastic"])] | None = None

    _stated: Mapping[Key, Provenance] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _one_read_time(self) -> HardwareProfile:
        law_time = getattr(self.read, "t_read", None)
        if law_time is not None and self.periphery is not None and law_time != self.periphery.t_read:
            shown = [format_quantity(t, "s") for t in (law_time, self.periphery.t_read)]
            text = f"'{shown[0]}' differs from periphery.t_read, '{shown[1]}': a read lasts one time; make them equal"
            raise at(("read", "t_read"), text)
        return self

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
    def text(self) -> str:
        """The profile as one canonical YAML file: `extends` resolved, defaults written out."""
        content: dict[str, Any] = {"meta": self.meta.model_dump(exclude_none=True)}
        content |= {name: {} for name in type(self).model_fields if name != "meta" and getattr(self, name) is not None}
        default = Provenance(self.meta.status, self.meta.source)
        for leaf in self.leaves():
            section = content
            for part in leaf.key[:-1]:
                section = section.setdefault(str(part), {})
            value = leaf.value if leaf.dimension is None else leaf.text
            origin = self._origin(leaf)
            plain = origin == default or leaf.key[-1] == "law"
            section[str(leaf.key[-1])] = value if plain else {"value": value, **origin._asdict()}
        return dump(content)

    @property
    def hash(self) -> str:
        """SHA-256 of `text` in hexadecimal: the same for the same content however it was written."""
        return sha256(self.text.encode()).hexdigest()

    def with_provenance(self, stated: Mapping[Key, Provenance]) -> HardwareProfile:
        """Return the profile with the provenance of its parameters; keys it lacks keep that of `meta`."""
        copy = self.model_copy()
        copy._stated = dict(stated)
        return copy

    def _origin(self, leaf: Leaf) -> Provenance:
        if leaf.key in self._stated:
            return self._stated[leaf.key]
        if not leaf.stated:
            return Provenance("illustrative", "default of the model")
        return Provenance(self.meta.status, self.meta.source)
