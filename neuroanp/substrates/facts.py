"""What a person wants to know of a chip: which figures a profile states, noise in ADC steps, effects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neuroanp.devices.effects import ALL_EFFECTS, EFFECTS
from neuroanp.devices.protocol import remembers
from neuroanp.errors import InputError
from neuroanp.substrates.converters import driver, sensor, serial_bits
from neuroanp.substrates.device_noise import check_size
from neuroanp.substrates.ledger import ABSENT, STATED, UNSTATED
from neuroanp.substrates.tiling import through_wires
from neuroanp.substrates.wires_fast import wire_error
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.devices.protocol import NodeSource, ProgrammingLaw, UpdateLaw
    from neuroanp.profiles import HardwareProfile
    from neuroanp.profiles.sections import Adc, Dac
    from neuroanp.substrates.chip import Chip
    from neuroanp.substrates.crossbar import Crossbar


LARGEST_CHECKED = 256
"""Lines of the largest tile whose fast solution is checked against the exact one for the facts of a run."""


def energy_kinds(profile: HardwareProfile, junctions: NodeSource | None, tiles: int) -> dict[str, str]:
    """Return for each kind of energy whether the profile states it, leaves it out, or has no such part.

    Spikes and synaptic events count where the network spikes (see Ledger). Of an event the profile has
    a figure of its own, or it costs what a read does.

    Args:
        profile: the hardware.
        junctions: the sources of node noise, or None.
        tiles: the most tiles whose outputs make one.
    """
    periphery, energy, neurons = profile.periphery, profile.energy, profile.neurons
    adds = tiles > 1 or serial_bits(profile, ALL_EFFECTS) > 1

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
    }


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
        profile, read, effects: as in `Chip.build`.
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


def known_effects(profile: HardwareProfile) -> tuple[str, ...]:
    """Return the effects that a profile has something for, in the order of EFFECTS."""
    periphery, energy = profile.periphery, profile.energy
    pulses: UpdateLaw | None = profile.update  # pyright: ignore[reportAssignmentType]
    law: ProgrammingLaw | None = profile.programming  # pyright: ignore[reportAssignmentType]
    misses = not law.exact if law is not None else pulses is not None and pulses.program is not None
    dac, adc = driver(profile), sensor(profile)
    has = {
        "programming_error": misses,
        "drift": profile.drift is not None,
        "read_noise": profile.read is not None,
        "frozen_noise": profile.read is not None,
        "write_noise": pulses is not None and bool(pulses.write_noise),
        "d2d": pulses is not None or profile.variability is not None,
        "c2c": pulses is not None,
        "faults": profile.faults is not None,
        "dac": dac is not None,
        "dac_noise": dac is not None and bool(dac.noise),
        "adc": adc is not None,
        "adc_mismatch": adc is not None and bool(adc.gain_sd or adc.offset_sd),
        "amplifier_noise": periphery is not None and bool(periphery.amplifier_noise),
        "thermal_noise": periphery is not None and periphery.bandwidth is not None,
        "wires": profile.array.wires is not None,
        "node_noise": profile.stochastic is not None,
        "endurance": energy is not None and energy.endurance is not None,
        "neuron_mismatch": profile.neurons is not None and any(profile.neurons.spreads.values()),
    }
    return tuple(name for name in EFFECTS if has[name])


def describe(chip: Chip, window_s: float) -> dict[str, Any]:
    """Return facts of a chip as plain values.

    Args:
        chip: the chip.
        window_s: window over which read noise counts as fresh, seconds.

    Returns: way to write and read, effects on, and for each array w_s, saturation and noise:
        `sigma_weight_rms` (fresh), `sigma_output` for inputs of rms 0.5, `adc_step`, and the node
        noise of its units in ADC steps (below half a step it explores nothing; `node_sigma` is that of
        the hidden units). Where lines have a
        resistance, also `wire_loss`, the share of the current of all inputs together that they cost,
        and `wire_error` of the fast solution on the first tile, over its largest current.
    """
    sigmas, arrays = chip.node_sigmas(), {}
    for name, array in chip.arrays.items():
        fresh, _ = chip.device.read_sigma(array.cells, chip.now, window_s)
        variance = 0.0 if fresh is None else float(fresh.double().square().sum(0).mean()) * array.slope**2
        own = array.own_variance(chip.now)
        output = math.sqrt(array.shape[1] * 0.25 * variance + own)
        step = array.adc.step if array.adc is not None else None
        node = sigmas["output" if name == "w_out" else "hidden"]
        arrays[name] = {
            "shape": list(array.shape),
            "w_s": array.w_s,
            "sigma_weight_rms": math.sqrt(variance),
            "sigma_output": output,
            "adc_step": step,
            "adc_full_scale": array.adc.limit if array.adc is not None else None,
            "sigma_output_adc_steps": output / step if step else None,
            "node_sigma_adc_steps": node / step if step else None,
            "tiles": array.tiling.tiles,
            **_lines(array, chip.now),
            "stuck": float(array.cells["stuck"].double().mean()) if "stuck" in array.cells else 0.0,
        }
    return {
        "profile": chip.profile.meta.name,
        "write": chip.write,
        "read": chip.read,
        "effects_on": [name for name in known_effects(chip.profile) if name in chip.effects],
        "effects_off": [name for name in known_effects(chip.profile) if name not in chip.effects],
        "node_sigma": sigmas["hidden"],
        "perturbs_units": chip.perturbs_units,
        "unstated": chip.ledger.unstated,
        "arrays": arrays,
    }


def _lines(array: Crossbar, now: float) -> dict[str, float | None]:
    """Return what the resistance of the lines costs an array, and how well the fast solution knows it."""
    wires = array.wires
    if wires is None:
        return {}
    g = array.device.conductance(array.cells, now).clamp_min(0.0)
    seen, _ = through_wires(g, wires.r_word, wires.r_bit, array.tiling, array.solver)
    tile = g[0, : array.tiling.heights[0], : array.tiling.widths[0]]
    error = None
    if array.solver == "fast" and max(tile.shape) <= LARGEST_CHECKED:
        error = wire_error(tile, wires.r_word, wires.r_bit).max
    total = float(g.sum())  # 0 where every line is broken: there is nothing to lose
    return {"wire_loss": 1.0 - float(seen.sum()) / total if total else 0.0, "wire_error": error}
