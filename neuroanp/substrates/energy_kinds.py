"""Tell which kinds of energy a profile states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.substrates.ledger import ABSENT, STATED, UNSTATED
from neuroanp.substrates.periphery import serial_bits

if TYPE_CHECKING:
    from neuroanp.devices.protocol import NodeSource
    from neuroanp.profiles import HardwareProfile
    from neuroanp.profiles.sections import Adc, Dac


def energy_kinds(
    profile: HardwareProfile, junctions: NodeSource | None, tiles: int, static: bool = False
) -> dict[str, str]:
    """Return for each kind of energy whether the profile states it, leaves it out, or has no such part.

    Spikes and synaptic events count where the network spikes (see Ledger). Of an event the profile has
    a figure of its own, or it costs what a read does.

    Args:
        profile: the hardware.
        junctions: the sources of node noise, or None.
        tiles: the most tiles whose outputs make one.
        static: whether any part states a power that flows all the time; else that is absent.
    """
    periphery, energy, neurons = profile.periphery, profile.energy, profile.neurons
    compensated = periphery is not None and periphery.drift_compensation is not None
    adds = tiles > 1 or serial_bits(profile, ALL_EFFECTS) > 1 or compensated

    def converter(section: Dac | Adc | None) -> str:
        if periphery is None:
            return UNSTATED
        return ABSENT if section is None else UNSTATED if section.energy is None else STATED

    def price(figure: float | None) -> str:
        return UNSTATED if figure is None else STATED

    return {
        "array_reads": UNSTATED if periphery is None and (energy is None or energy.read is None) else STATED,
        "dac": converter(None if periphery is None else periphery.dac),
        "adc": converter(None if periphery is None else periphery.adc),
        "writes": price(None if energy is None else energy.write if energy.write is not None else energy.write_voltage),
        "node_noise": ABSENT if junctions is None else price(junctions.energy_per_bit),
        "digital": price(energy.digital if energy is not None else None),
        "accumulate": price(energy.accumulate if energy is not None else None) if adds else ABSENT,
        "spikes": price(neurons.energy_per_spike if neurons is not None else None),
        "synaptic_events": STATED if neurons is not None and neurons.energy_per_event is not None else ABSENT,
        "static": STATED if static else ABSENT,
    }
