"""What a profile must say for its writes to go through lines with resistance, and what it must not."""

from __future__ import annotations

from typing import Any

from neuroanp.profiles.sections import MOST_BENT, Array, EnergyFigures
from neuroanp.units import format_quantity
from neuroanp.yaml_io import Problem

LEAST_HALF, MOST_HALF = 0.33, 0.5
"""Shares of the write voltage on half-selected devices: from the V/3 scheme to the V/2 scheme."""
_WRITES, _V_0 = ("array", "wires", "writes"), ("energy", "write_v_0")


def problems_of_writes(array: Array, energy: EnergyFigures | None, programming: Any, update: Any) -> list[Problem]:
    """Return all that is wrong with `array.wires.writes` and the keys it needs; programming, update: laws, or None."""
    v_0 = None if energy is None else energy.write_v_0
    if array.wires is None or array.wires.writes != "resistive":
        text = "is of pulses that lines weaken, and none do; add array.wires.writes: resistive or drop this key"
        return [] if v_0 is None else [Problem(_V_0, text)]
    found = []
    if programming is None and update is None:
        text = "is of pulses that nothing sends; add a section 'update' or 'programming', or drop this key"
        found.append(Problem(_WRITES, text))
    if array.write == "row":
        text = "lines are solved for one device that is written at a time; write array.write: serial, or drop this key"
        found.append(Problem(_WRITES, text))
    if update is not None and update.weakened is None:
        text = "its law says nothing of pulses with less voltage; take another law, or drop array.wires.writes"
        found.append(Problem(("update",), text))
    return found + _voltages(energy) + _scale(energy, programming, update)


def _voltages(energy: EnergyFigures | None) -> list[Problem]:
    """Return what is wrong with the voltages of a pulse."""
    if energy is None or energy.write_voltage is None:
        text = "needs the voltage of a pulse; add energy.write_voltage (in place of energy.write) or drop this key"
        return [Problem(_WRITES, text)]
    s = energy.half_select or 0.5
    if not LEAST_HALF <= s <= MOST_HALF:
        text = (
            f"{s:g} is no scheme of half selection on lines that are solved: devices that share no line would see "
            f"{abs(2 * s - 1):.3g} of the voltage; write {LEAST_HALF:g} to {MOST_HALF:g} (V/3 to V/2), or leave it out "
            "(a transistor a device)"
        )
        return [Problem(("energy", "half_select"), text)]
    return []


def _scale(energy: EnergyFigures | None, programming: Any, update: Any) -> list[Problem]:
    """Return what is wrong with the voltage over which steps fall."""
    v_0 = None if energy is None else energy.write_v_0
    needed = programming is not None or (update is not None and update.driven_by == "voltage")
    if v_0 is None:
        text = "required key is missing: array.wires.writes needs the volts over which the step of a pulse falls"
        return [Problem(_V_0, text)] if needed else []
    if not needed and update is not None and update.weakened is not None:
        text = "the update law goes with the current of a pulse by itself; drop this key"
        return [Problem(_V_0, text)]
    assert energy is not None
    volts = energy.write_voltage
    if volts is not None and volts > MOST_BENT * v_0:
        shown = [format_quantity(v, "V") for v in (v_0, volts)]
        text = f"'{shown[0]}' is below energy.write_voltage, '{shown[1]}', / {MOST_BENT:g}"
        return [Problem(_V_0, f"{text}: no step grows e^{MOST_BENT:g}-fold; check the two")]
    return []
