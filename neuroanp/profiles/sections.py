"""The sections of a hardware profile that hold no law: what must hold inside each of them.

All quantities are SI floats once loaded. A section or a key that a device does not have is None.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from neuroanp.profiles.arrhenius import FARTHEST, log_acceleration
from neuroanp.units import (
    Area,
    Capacitance,
    Conductance,
    Dimension,
    Energy,
    Fraction,
    Frequency,
    NonNegative,
    Plain,
    Positive,
    PositiveConductance,
    PositiveCurrent,
    PositiveTime,
    PositiveVoltage,
    Power,
    Resistance,
    RmsVoltage,
    Temperature,
    TemperatureCoefficient,
    Time,
    format_quantity,
)
from neuroanp.yaml_io import Section, at

MOST_BENT = 40.0
"""The largest voltage over a device that is not ohmic, in its v_0: single precision holds e^40 squared."""
MOST_LISTED = 12
"""Bits of the finest converter whose transitions are kept one by one."""
_Text = Annotated[str, Field(min_length=1)]
_NoiseCurrent = Annotated[float, Dimension("current", "A", "20 nA")]
_Coding = Literal["sign_magnitude", "offset"]


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
        status: of parameters that have none of their own or of their section, in files from before sections had one;
            None: those are illustrative.
    """

    name: Annotated[str, AfterValidator(_name)]
    summary: _Text
    source: _Text
    doi: _Text | None = None
    status: Literal["measured", "fitted", "illustrative"] | None = None


class ConductanceRange(Section):
    """The range of conductance a weight uses, and how a signed weight is coded in it.

    Args:
        g_min, g_max: siemens.
        coding: differential, W = w_s (G+ - G-) / (g_max - g_min), two devices a weight; offset,
            W = 2 w_s (G - G_mid) / (g_max - g_min), one device and a shared reference.
        activation_energy: joules, of conduction over a barrier; or tcr, the linear coefficient of resistance
            in 1/K; neither: conductance does not depend on the temperature.
        reference_temperature: kelvin, at which all other numbers hold; see `thermal`.
        v_0: volts over which the current bends away from Ohm's law, I = G v_0 sinh(V / v_0), G at low voltage; None:
            I = G V.
    """

    g_min: Conductance
    g_max: PositiveConductance
    coding: Literal["differential", "offset"]
    v_0: PositiveVoltage | None = None
    activation_energy: Energy | None = None
    tcr: TemperatureCoefficient | None = None
    reference_temperature: Temperature | None = None

    @model_validator(mode="after")
    def _one_law_of_temperature(self) -> ConductanceRange:
        laws = [name for name in ("activation_energy", "tcr") if name in self.model_fields_set]
        if len(laws) > 1:
            raise at(("tcr",), "activation_energy states how conductance goes with temperature already; drop one")
        if bool(laws) != (self.reference_temperature is not None):
            missing = "reference_temperature" if laws else "activation_energy"
            raise at(
                (missing,), "a law of the temperature needs both its number and where others hold; add it, or drop it"
            )
        return self

    def thermal(self, kelvin: float) -> float:
        """Return what a device conducts at a temperature over what it does at the reference temperature; 1: no law.

            f = e^{-E_a/k_B (1/T - 1/T_ref)},  or  f = 1 / (1 + TCR (T - T_ref))

        TCR is that of the resistance, as it is published: above 0 for a metal, which conducts less when warm.

        Raises: ValueError where nothing would conduct, or f leaves the range of floats.

        >>> ConductanceRange(g_min="0 S", g_max="25 uS", coding="differential", tcr="5e-3 K^-1",
        ...                  reference_temperature="300 K").thermal(350.0)
        0.8
        """
        if self.reference_temperature is None:
            return 1.0
        if self.tcr is not None:
            ohms = 1.0 + self.tcr * (kelvin - self.reference_temperature)
            factor = 1.0 / ohms if ohms > 0 else 0.0
            if not 0 < factor < math.inf:
                raise ValueError(f"nothing conducts at {kelvin:g} K by conductance.tcr: it is for temperatures nearby")
            return factor
        log = log_acceleration(self.activation_energy or 0.0, self.reference_temperature, kelvin)
        if abs(log) > FARTHEST:
            raise ValueError(f"conductance at {kelvin:g} K is e^{log:.0f} times that at its reference_temperature")
        return math.exp(log)

    @field_validator("g_max")
    @classmethod
    def _above_g_min(cls, g_max: float, info: ValidationInfo) -> float:
        g_min = info.data.get("g_min")
        if g_min is not None and g_min >= g_max:
            shown = [format_quantity(g, "S") for g in (g_max, g_min)]
            raise ValueError(f"'{shown[0]}' is not above g_min, '{shown[1]}'; raise g_max or lower g_min")
        return g_max


class Environment(Section):
    """Where the chip is.

    Args:
        temperature: of the surroundings, kelvin.
    """

    temperature: Temperature


class Dac(Section):
    """The converter that drives a word line.

    Args:
        bits: sign included; 1 bit codes the sign alone.
        energy: joules a conversion, or None where no figure is known.
        coding: sign_magnitude (the default): 2^(bits-1) - 1 codes each way; offset: two's complement,
            one code more below zero than above.
        inputs: amplitude (the default): |x| is the voltage; pulse_width: |x| is the time a fixed
            voltage stays on; bit_serial: one read for each magnitude bit, weighted digitally.
        noise: rms of the driver's voltage, volts; it is common to all devices of a word line.
    """

    bits: Annotated[int, Field(ge=1, le=24)]
    energy: Energy | None = None
    coding: _Coding | None = None
    inputs: Literal["amplitude", "pulse_width", "bit_serial"] | None = None
    noise: RmsVoltage | None = None

    @model_validator(mode="after")
    def _noise_of_a_voltage(self) -> Dac:
        if self.noise is not None and self.inputs == "bit_serial":
            raise at(("noise",), "is of drivers that set a voltage; bit-serial ones only switch: leave it out")
        return self


class Adc(Section):
    """The converter that reads a bit line (or the difference of a pair of them).

    Args:
        bits: at least 2, so that one is left beside the sign.
        full_scale: current of the largest code, amperes.
        energy: joules a conversion, or None.
        coding: sign_magnitude (the default): 2^(bits-1) - 1 codes each way; offset: two's complement,
            one code more below zero than above.
        gain_sd: spread of the gain from converter to converter, a fraction.
        offset_sd: spread of their offsets, amperes.
        dnl_sd: spread of the widths of the codes of one converter about one code, in codes (LSB); see
            `substrates.transitions`.
        inl_sd: spread from converter to converter of the bow of the transitions in the middle of the range, in codes.
    """

    bits: Annotated[int, Field(ge=2, le=24)]
    full_scale: PositiveCurrent
    energy: Energy | None = None
    coding: _Coding | None = None
    gain_sd: Fraction | None = None
    offset_sd: _NoiseCurrent | None = None
    dnl_sd: NonNegative | None = None
    inl_sd: NonNegative | None = None

    @model_validator(mode="after")
    def _codes_to_list(self) -> Adc:
        stated = [name for name in ("dnl_sd", "inl_sd") if name in self.model_fields_set]
        if stated and self.bits > MOST_LISTED:
            text = f"the transitions of {self.bits} bits are too many to keep for each converter; at most {MOST_LISTED}"
            raise at((stated[0],), f"{text}, or drop this key")
        return self


class DriftCompensation(Section):
    """How often the outputs of an array are rescaled by what reference lines read (see substrates.compensation).

    Args:
        every: seconds of the chip's clock from one reading of the reference lines to the next; each write ends
            with one, too.
        lines: word lines that are read, evenly spaced over the array, each alone at the highest code of its driver;
            None: all.
    """

    every: PositiveTime
    lines: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Periphery(Section):
    """What drives and senses an array.

    Args:
        v_read: volts of a full-scale input.
        t_read: seconds of one read of the array.
        dac, adc: converters; None converts without rounding or limits.
        amplifier_noise: rms current at the input of the sense amplifier, amperes, or None.
        bandwidth: of the sense amplifier, hertz; gives the devices' thermal noise, or None: left out.
        drift_compensation: one factor for all outputs of an array that makes up for the drift of its devices, or
            None: drift is seen as it is.
    """

    v_read: PositiveVoltage
    t_read: PositiveTime
    dac: Dac | None = None
    adc: Adc | None = None
    amplifier_noise: _NoiseCurrent | None = None
    bandwidth: Frequency | None = None
    drift_compensation: DriftCompensation | None = None


class Wires(Section):
    """Resistance of the lines of an array.

    Args:
        r_word, r_bit: ohms a segment, between neighbouring devices and at the driven or sensed end.
        c_word, c_bit: farads a segment, which a read waits for (see substrates.settling), or None: it need not.
        writes: ideal (the default): a write pulse arrives in full at every device; resistive: what the lines take of
            its voltage makes its step smaller, and what they and the half-selected devices burn is booked (see
            substrates.write_lines). It needs energy.write_voltage, and energy.write_v_0 where steps go with voltage.
    """

    r_word: Resistance
    r_bit: Resistance
    c_word: Capacitance | None = None
    c_bit: Capacitance | None = None
    writes: Literal["ideal", "resistive"] | None = None


class Array(Section):
    """How weights lie on the array.

    Args:
        weight_range: w_s, the largest weight, in Xavier standard deviations of its matrix.
        write: what one write pulse reaches: serial, one device; row, one row of the array at a time.
        max_rows, max_columns: word and bit lines of one tile; a larger matrix takes several, whose
            outputs are added digitally. None: one tile of any size.
        wires: resistance of the lines, or None: none.
    """

    weight_range: Positive
    write: Literal["serial", "row"]
    max_rows: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_columns: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    wires: Wires | None = None


class EnergyFigures(Section):
    """Stated figures of energy, time and wear.

    Args:
        write: joules a write pulse, or None: unknown, or computed from write_voltage.
        write_voltage: volts of a write pulse: V^2 G t of the device (mean of its conductance before and
            after), C V^2 of the line, and the half-selected devices of its word and bit line.
        line_capacitance: farads of the line a pulse charges.
        half_select: fraction of the write voltage that the other devices of both lines see.
        write_v_0: volts over which the step of a pulse falls with its voltage, sinh(v/write_v_0)/sinh(V/write_v_0),
            where array.wires.writes is resistive (see devices.arriving); at least write_voltage / 40.
        write_time: seconds a write pulse.
        read: joules of the read of one weight; None: computed from V^2 G t.
        digital: joules of one unit's update in digital logic (activation, memory), or None.
        accumulate: joules of adding one tile's output to the others' digitally, or None.
        endurance: pulses a device survives, or None; what is worn out keeps its conductance for good.
        endurance_sd: spread of that number from device to device (of its logarithm; median endurance).
        static_row: watts that one word line's driver burns all the time, whatever is read: bias, heaters.
        static_column: watts of one bit line of one tile: amplifier and converter.
        static_node: watts of one unit (of gated cells, of each of its gates).
        static_junction: watts of one source of node noise, where its law does not know them by itself.
        area_device: square metres of one device of an array.
        area_row, area_column, area_node, area_junction: square metres of one of these, as static_row and others.
    """

    write: Energy | None = None
    write_voltage: PositiveVoltage | None = None
    line_capacitance: Capacitance | None = None
    half_select: Fraction | None = None
    write_v_0: PositiveVoltage | None = None
    write_time: Time | None = None
    read: Energy | None = None
    digital: Energy | None = None
    accumulate: Energy | None = None
    endurance: Annotated[float, Plain("a number of pulses of 1 or above", 1.0)] | None = None
    endurance_sd: NonNegative | None = None
    static_row: Power | None = None
    static_column: Power | None = None
    static_node: Power | None = None
    static_junction: Power | None = None
    area_device: Area | None = None
    area_row: Area | None = None
    area_column: Area | None = None
    area_node: Area | None = None
    area_junction: Area | None = None

    @model_validator(mode="after")
    def _one_write_energy(self) -> EnergyFigures:
        if self.write is not None and self.write_voltage is not None:
            raise at(("write_voltage",), "write already states the energy of a pulse; keep one of the two")
        if self.write_voltage is not None and not self.write_time:
            raise at(("write_voltage",), "the energy V^2 G t of a pulse needs its duration; add write_time above 0 s")
        for name in ("line_capacitance", "half_select", "write_v_0"):
            if getattr(self, name) is not None and self.write_voltage is None:
                raise at((name,), "counts only with a write_voltage; add it or drop this key")
        if self.endurance_sd is not None and self.endurance is None:
            raise at(("endurance_sd",), "spreads a number that is not stated; add endurance")
        return self


class Faults(Section):
    """Devices that no longer follow the law, and lines that carry nothing.

    Args:
        corrupt: fraction of the devices that are stuck.
        corrupt_range: they are stuck uniformly within +- this, in device units.
        stuck_low, stuck_high: fractions of the devices stuck at g_min and at g_max.
        dead_rows, dead_columns: fractions of the word and of the bit lines that are broken.
    """

    corrupt: Fraction | None = None
    corrupt_range: NonNegative | None = None
    stuck_low: Fraction | None = None
    stuck_high: Fraction | None = None
    dead_rows: Fraction | None = None
    dead_columns: Fraction | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Faults:
        if (self.corrupt is None) != (self.corrupt_range is None):
            there, missing = ("corrupt_range", "corrupt") if self.corrupt is None else ("corrupt", "corrupt_range")
            raise at((missing,), f"required key is missing: {there} needs it")
        share = sum(part or 0.0 for part in (self.corrupt, self.stuck_low, self.stuck_high))
        if share > 1.0:
            raise at(
                ("stuck_high" if self.stuck_high else "stuck_low",),
                f"corrupt, stuck_low and stuck_high add up to {share:g} of the devices; lower them to 1 or less",
            )
        return self


class Disturb(Section):
    """How reads, and the pulses of others, move a device that nobody writes (see devices.disturb).

    Args:
        read: share of its distance from the end that a device moves at one read of its word line at full scale.
        towards: which end that is: set, g_max; reset, g_min.
        half_select: share that one pulse to another device of its word or bit line takes, towards where that one went.
    """

    read: NonNegative | None = None
    towards: Literal["set", "reset"] | None = None
    half_select: NonNegative | None = None

    @model_validator(mode="after")
    def _whole(self) -> Disturb:
        if self.read is None and self.half_select is None:
            raise at(("read",), "required key is missing: state what a read does, or half_select")
        if (self.read is None) != (self.towards is None):
            there, missing = ("read", "towards") if self.towards is None else ("towards", "read")
            raise at((missing,), f"required key is missing: {there} needs it")
        return self


class Neurons(Section):
    """What the spiking neurons of the hardware are like; a network of rates has none.

    Neurons are made alike and differ: each has its own threshold and time constants, the nominal ones
    times a lognormal factor of mean 1. In silicon below threshold all three are set by currents, of
    which the mismatch is lognormal (see devices.cmos), and none of them may be negative.

    The two figures of energy are of asynchronous circuits, which work when a spike comes; what works at
    every step of time is in `energy` and `periphery`.

    Args:
        threshold_sd, tau_m_sd, tau_s_sd: spread of the thresholds, of the membranes' and of the
            synapses' time constants from neuron to neuron, fractions of their mean; None: none known.
        membrane_sigma: rms of the membrane potential that the coupling of the node noise is set for, in
            thresholds, without a spike; None: the noise enters as it is.
        energy_per_spike: joules of a spike: the neuron's own and those of sending it out, or None.
        energy_per_event: joules of one spike that arrives at one synapse, the read of its weight
            included, or None: unknown, or what a read costs (`energy.read`, `periphery`).
    """

    threshold_sd: Fraction | None = None
    tau_m_sd: Fraction | None = None
    tau_s_sd: Fraction | None = None
    membrane_sigma: Positive | None = None
    energy_per_spike: Energy | None = None
    energy_per_event: Energy | None = None

    @property
    def spreads(self) -> dict[str, float | None]:
        """The spread of each quantity in which neurons differ, by its name."""
        return {"threshold": self.threshold_sd, "tau_m": self.tau_m_sd, "tau_s": self.tau_s_sd}
