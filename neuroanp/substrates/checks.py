"""Refuse what no chip of a profile can do: steps shorter than a read, and half of a noise with a memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from neuroanp.devices.protocol import remembers
from neuroanp.devices.stt_mram import SttMram
from neuroanp.errors import InputError
from neuroanp.substrates.device_noise import check_size
from neuroanp.substrates.periphery import serial_bits
from neuroanp.substrates.settling import settling_time
from neuroanp.substrates.tiling import Tiling
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile


SOLVED = 64
"""Lines of the largest tile that is solved at every read."""


def check_step(profile: HardwareProfile, dt: float, effects: frozenset[str]) -> None:
    """Raise InputError where a step of dt seconds is shorter than one read of the array.

    >>> from neuroanp.profiles.loader import load
    >>> check_step(load("pcm"), 1e-6, frozenset())
    >>> check_step(load("pcm"), 1e-9, frozenset())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: dt: 1 ns is shorter than one read of profile 'pcm' (periphery.t_read 250 ns); ...
    """
    periphery = profile.periphery
    if periphery is None:
        return
    bits = serial_bits(profile, effects)
    needed = periphery.t_read * max(bits, 1)
    if dt < needed:
        serial = f" x {bits} bits" if bits > 1 else ""
        raise InputError(
            f"dt: {format_quantity(dt, 's')} is shorter than one read of profile '{profile.meta.name}' "
            f"(periphery.t_read {format_quantity(periphery.t_read, 's')}{serial}); use a longer dt"
        )


def check_settling(profile: HardwareProfile, effects: frozenset[str], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise InputError where a read is over before the lines of the largest tile have settled.

    Args:
        profile, effects: as in `DeviceChip.build`. shapes: (n, m) of the arrays by name.
    """
    wires, periphery = profile.array.wires, profile.periphery
    if wires is None or periphery is None or "wires" not in effects:
        return
    array = profile.array
    tilings = {name: Tiling.of((n, m), array.max_rows, array.max_columns) for name, (n, m) in shapes.items()}
    times = {name: settling_time(profile, max(t.heights), max(t.widths)) for name, t in tilings.items()}
    name = max(times, key=lambda one: times[one])
    if times[name] > periphery.t_read:
        tile = tilings[name]
        raise InputError(
            f"periphery.t_read: {format_quantity(periphery.t_read, 's')} is over before the lines of array {name} have "
            f"settled, {format_quantity(times[name], 's', 3)} for tiles of {max(tile.widths)} word and "
            f"{max(tile.heights)} bit lines; read longer, or write smaller array.max_rows and max_columns"
        )


def check_circuits(
    profile: HardwareProfile, read: str, wires: str, effects: frozenset[str], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise InputError where devices that are not ohmic, on lines with resistance, cannot be read as is asked.

    Args:
        profile, read, wires, effects: as in `DeviceChip.build`.
        shapes: (n, m) of the arrays by name.
    """
    array, periphery = profile.array, profile.periphery
    if profile.conductance.v_0 is None or array.wires is None or not {"nonlinear_iv", "wires"} <= effects:
        return
    problems = []
    if wires != "exact":
        problems.append(f"hardware.wires: {wires} solves lines with ohmic devices alone; write hardware.wires: exact")
    if read != "moments":
        problems.append(f"hardware.read: {read} draws devices of a linear read alone; write hardware.read: moments")
    if periphery is not None and periphery.dac is not None and periphery.dac.inputs == "pulse_width":
        problems.append("periphery.dac.inputs: pulse_width: the currents change whenever a pulse ends; use amplitude")
    largest = Tiling.of((max(n for n, _ in shapes.values()), max(m for _, m in shapes.values())), array.max_rows,
                        array.max_columns)  # fmt: skip
    if (most := max(*largest.heights, *largest.widths)) > SOLVED:
        problems.append(
            f"a tile of {most} lines takes too long to solve at every read; write array.max_rows and max_columns up to "
            f"{SOLVED}"
        )
    if problems:
        raise InputError(
            f"profile '{profile.name}' has devices that are not ohmic on lines with resistance, which are solved anew "
            "at every read; change this, or switch off wires or nonlinear_iv",
            problems,
        )


def check_pulses(profile: HardwareProfile, write: str) -> None:
    """Raise InputError where pulses in place would drive both devices of every pair to one end, whatever is learned.

    Args: profile, write: as in `DeviceChip.build`.
    """
    if write == "pulse" and isinstance(profile.update, SttMram) and profile.conductance.coding == "differential":
        raise InputError(
            f"hardware.write: pulse: of the pairs of profile '{profile.meta.name}' pulses in place are rises only, and "
            "devices that switch would all end at g_max; write conductance.coding: offset, or hardware.write: verify"
        )


def check_references(profile: HardwareProfile, effects: frozenset[str], lines: Mapping[str, int]) -> None:
    """Raise InputError where the reference lines of an array take longer to read than there is time between readings.

    Args:
        profile, effects: as in `DeviceChip.build`. lines: word lines of the arrays by name.
    """
    periphery = profile.periphery
    if periphery is None or periphery.drift_compensation is None or not {"drift", "drift_compensation"} <= effects:
        return
    figures = periphery.drift_compensation
    name, most = max(lines.items(), key=lambda item: item[1])
    reads = 2 * min(figures.lines or most, most)
    if figures.every <= reads * periphery.t_read:
        raise InputError(
            f"periphery.drift_compensation.every: {format_quantity(figures.every, 's')} is no longer than one reading "
            f"of the reference lines of array {name} takes ({reads} x {format_quantity(periphery.t_read, 's')}); "
            "compensate less often, or read fewer lines"
        )


def check_memory(
    profile: HardwareProfile, read: str, effects: frozenset[str], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise InputError where noise with a memory is to be drawn in part, or for an array too large for it.

    Args:
        profile, read, effects: as in `DeviceChip.build`.
        shapes: (n, m) of the arrays by name.
    """
    parts = sorted(effects & {"read_noise", "frozen_noise"})
    if read != "sampled" or not remembers(profile.read) or not parts:  # pyright: ignore[reportArgumentType]
        return
    for name, (n, m) in shapes.items():
        check_size(name, n, m)
    if len(parts) == 1:
        raise InputError(
            f"hardware.read: sampled draws the noise of profile '{profile.meta.name}' with its memory, and that is one "
            f"process: '{parts[0]}' cannot be on alone; switch read_noise and frozen_noise together, or use "
            "hardware.read: moments"
        )
