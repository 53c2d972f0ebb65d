"""Refuse what no chip of a profile can do: steps shorter than a read, and half of a noise with a memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from neuroanp.devices.protocol import remembers
from neuroanp.errors import InputError
from neuroanp.substrates.device_noise import check_size
from neuroanp.substrates.periphery import serial_bits
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile


def check_step(profile: HardwareProfile, dt: float, effects: frozenset[str]) -> None:
    """Raise InputError where a step of dt seconds is shorter than one read of the array."""
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
