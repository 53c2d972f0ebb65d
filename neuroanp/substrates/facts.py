"""What a person wants to know of a chip: which figures a profile states, noise in ADC steps, effects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from neuroanp.devices.device import EFFECTS
from neuroanp.errors import InputError
from neuroanp.substrates.ledger import ABSENT, STATED, UNSTATED
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.devices.smtj import Koenders
    from neuroanp.profiles import HardwareProfile
    from neuroanp.substrates.chip import Chip


def energy_kinds(profile: HardwareProfile, junctions: Koenders | None) -> dict[str, str]:
    """Return for each kind of energy whether the profile states it, leaves it out, or has no such part."""
    periphery, energy = profile.periphery, profile.energy

    def converter(part: str) -> str:
        if periphery is None:
            return UNSTATED
        section = getattr(periphery, part)
        return ABSENT if section is None else UNSTATED if section.energy is None else STATED

    def price(figure: float | None) -> str:
        return UNSTATED if figure is None else STATED

    return {
        "array_reads": UNSTATED if periphery is None and (energy is None or energy.read is None) else STATED,
        "dac": converter("dac"),
        "adc": converter("adc"),
        "writes": price(energy.write if energy is not None else None),
        "node_noise": ABSENT if junctions is None else price(junctions.energy_per_bit),
        "digital": price(energy.digital if energy is not None else None),
    }


def check_step(profile: HardwareProfile, dt: float) -> None:
    """Raise InputError where a step of dt seconds is shorter than one read of the array."""
    periphery = profile.periphery
    if periphery is not None and dt < periphery.t_read:
        raise InputError(
            f"dt: {format_quantity(dt, 's')} is shorter than one read of profile '{profile.meta.name}' "
            f"(periphery.t_read {format_quantity(periphery.t_read, 's')}); use a longer dt"
        )


def known_effects(profile: HardwareProfile) -> tuple[str, ...]:
    """Return the effects that a profile has something for, in the order of EFFECTS."""
    pulses, periphery = profile.update, profile.periphery
    misses = hasattr(pulses, "program")
    if profile.programming is not None:
        misses = not getattr(profile.programming, "exact", False)
    has = {
        "programming_error": misses,
        "drift": profile.drift is not None,
        "read_noise": profile.read is not None,
        "frozen_noise": profile.read is not None,
        "write_noise": bool(getattr(pulses, "write_noise", 0.0)),
        "d2d": pulses is not None,
        "c2c": pulses is not None,
        "faults": profile.faults is not None,
        "dac": periphery is not None and periphery.dac is not None,
        "adc": periphery is not None and periphery.adc is not None,
        "amplifier_noise": periphery is not None and bool(periphery.amplifier_noise),
        "node_noise": profile.stochastic is not None,
    }
    return tuple(name for name in EFFECTS if has[name])


def describe(chip: Chip, window_s: float) -> dict[str, Any]:
    """Return facts of a chip as plain values.

    Args:
        chip: the chip.
        window_s: window over which read noise counts as fresh, seconds.

    Returns: way to write and read, effects on, and for each array w_s, saturation and noise:
        `sigma_weight_rms` (fresh), `sigma_output` for inputs of rms 0.5, `adc_step`, and the node
        noise of its units in ADC steps (below half a step it explores nothing).
    """
    node = math.hypot(chip.junctions.node_sigma if chip.junctions is not None else 0.0, chip.artificial_sigma)
    arrays = {}
    for name, array in chip.arrays.items():
        fresh, _ = chip.device.read_sigma(array.cells, chip.now, window_s)
        variance = 0.0 if fresh is None else float(fresh.double().square().sum(0).mean()) * array.slope**2
        output = math.sqrt(array.shape[1] * 0.25 * variance + array.extra)
        step = array.adc.step if array.adc is not None else None
        arrays[name] = {
            "shape": list(array.shape),
            "w_s": array.w_s,
            "sigma_weight_rms": math.sqrt(variance),
            "sigma_output": output,
            "adc_step": step,
            "adc_full_scale": array.adc.limit if array.adc is not None else None,
            "sigma_output_adc_steps": output / step if step else None,
            "node_sigma_adc_steps": node / step if step else None,
            "stuck": float(array.cells["stuck"].double().mean()) if "stuck" in array.cells else 0.0,
        }
    return {
        "profile": chip.profile.meta.name,
        "write": chip.write,
        "read": chip.read,
        "effects_on": [name for name in known_effects(chip.profile) if name in chip.effects],
        "effects_off": [name for name in known_effects(chip.profile) if name not in chip.effects],
        "node_sigma": node,
        "perturbs_units": chip.perturbs_units,
        "unstated": chip.ledger.unstated,
        "arrays": arrays,
    }
