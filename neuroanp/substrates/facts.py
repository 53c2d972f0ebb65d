"""What a person wants to know of a chip: the effects it has something for, its noise in ADC steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from neuroanp.devices.effects import EFFECTS
from neuroanp.substrates.periphery import X_MAX, driver, sensor
from neuroanp.substrates.tiling import through_wires
from neuroanp.substrates.wires_fast import wire_error

if TYPE_CHECKING:
    from neuroanp.devices.protocol import NodeSource, ProgrammingLaw, SourceBank, UpdateLaw
    from neuroanp.profiles import HardwareProfile
    from neuroanp.substrates.chip import DeviceChip
    from neuroanp.substrates.crossbar import Crossbar


HALF = 0.5 * X_MAX
"""Inputs at which the noise of an output is stated, of either sign."""
LARGEST_CHECKED = 256
"""Lines of the largest tile whose fast solution is checked against the exact one for the facts of a run."""


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
        "d2d": pulses is not None or profile.variability is not None or _uneven(profile),
        "c2c": pulses is not None,
        "faults": profile.faults is not None,
        "dac": dac is not None,
        "dac_noise": dac is not None and bool(dac.noise),
        "adc": adc is not None,
        "adc_mismatch": adc is not None and bool(adc.gain_sd or adc.offset_sd),
        "adc_nonlinearity": adc is not None and bool(adc.dnl_sd or adc.inl_sd),
        "amplifier_noise": periphery is not None and bool(periphery.amplifier_noise),
        "thermal_noise": periphery is not None and periphery.bandwidth is not None,
        "wires": profile.array.wires is not None,
        "nonlinear_iv": profile.conductance.v_0 is not None,
        "node_noise": profile.stochastic is not None,
        "endurance": energy is not None and energy.endurance is not None,
        "neuron_mismatch": profile.neurons is not None and any(profile.neurons.spreads.values()),
        "read_disturb": profile.disturb is not None and bool(profile.disturb.read),
        "write_disturb": profile.disturb is not None and bool(profile.disturb.half_select),
        "conductance_temperature": profile.conductance.reference_temperature is not None,
        "drift_compensation": periphery is not None and periphery.drift_compensation is not None,
        "write_drop": profile.array.wires is not None and profile.array.wires.writes == "resistive",
    }
    return tuple(name for name in EFFECTS if has[name])


def _uneven(profile: HardwareProfile) -> bool:
    """Return whether the sources of node noise differ from one another."""
    law: NodeSource | None = profile.stochastic  # pyright: ignore[reportAssignmentType]
    return law is not None and law.bank is not None


def _spread(bank: SourceBank) -> dict[str, float]:
    """Return the lowest, the middle and the highest sd of the noise of units."""
    found = bank.sigmas.sort().values
    return {"lowest": float(found[0]), "median": float(found.median()), "highest": float(found[-1])}


def describe(chip: DeviceChip, window_s: float = 1e-3) -> dict[str, Any]:
    """Return facts of a chip as plain values.

    Args:
        chip: the chip.
        window_s: window over which read noise counts as fresh, seconds.

    Returns: way to write and read, effects on, and for each array w_s, saturation and noise:
        `sigma_weight_rms` (fresh; of devices that are not ohmic at low voltage), `sigma_output` for inputs of +-0.5
        (of ohmic devices: of rms 0.5), `adc_step`, and the node noise of its units in ADC steps (below half a step it
        explores nothing; `node_sigma` is that of the hidden units). Where lines have a resistance, also `wire_loss`,
        the share of the current of all inputs together that they cost,
        and `wire_error` of the fast solution on the first tile, over its largest current; where writes go through them,
        `write_share`, the least and the mean share of the voltage of a pulse that devices see. Where drift is
        compensated, also `drift_factor`, which all of these outputs are scaled by. Where junctions are not alike,
        `junction_sigmas` is the lowest, the middle and the highest sd of their noise on a unit, by group of units.
    """
    sigmas, arrays = chip.node_sigmas(), {}
    for name, array in chip.arrays.items():
        fresh, _ = chip.device.read_sigma(array.cells, chip.now, window_s)
        factor = chip.factor(name)
        variance = 0.0 if fresh is None else float(fresh.double().square().sum(0).mean()) * (array.slope * factor) ** 2
        own = array.own_variance(chip.now) * factor**2
        output = math.sqrt(array.shape[1] * array.drive(HALF) ** 2 * variance + own)
        step = array.adc.step * factor if array.adc is not None else None
        node = sigmas[chip.network.projection(name).post]
        arrays[name] = {
            "shape": list(array.shape),
            "w_s": array.w_s,
            "sigma_weight_rms": math.sqrt(variance),
            "sigma_output": output,
            "adc_step": step,
            "adc_full_scale": array.adc.limit * factor if array.adc is not None else None,
            "sigma_output_adc_steps": output / step if step else None,
            "node_sigma_adc_steps": node / step if step else None,
            "tiles": array.tiling.tiles,
            **_lines(array, chip.now),
            **_pulse(array, chip.now),
            **({} if name not in chip.compensated else {"drift_factor": factor}),
            "stuck": float(array.cells["stuck"].double().mean()) if "stuck" in array.cells else 0.0,
        }
    return {
        "profile": chip.profile.meta.name,
        "write": chip.write,
        "read": chip.read,
        "effects_on": [name for name in known_effects(chip.profile) if name in chip.effects],
        "effects_off": [name for name in known_effects(chip.profile) if name not in chip.effects],
        "node_sigma": sigmas[chip.network.noisy[0]],
        "perturbs_units": chip.perturbs_units,
        "unstated": chip.ledger.unstated,
        **({"junction_sigmas": {name: _spread(bank) for name, bank in chip.banks.items()}} if chip.banks else {}),
        **({"static_W": chip.static} if chip.static else {}),
        **({"area_m2": chip.area} if chip.area else {}),
        "arrays": arrays,
    }


def _pulse(array: Crossbar, now: float) -> dict[str, dict[str, float]]:
    """Return what the lines leave of the voltage of a write pulse, where it goes through them."""
    share = array.share(now)
    return {} if share is None else {"write_share": {"least": float(share.min()), "mean": float(share.mean())}}


def _lines(array: Crossbar, now: float) -> dict[str, float | None]:
    """Return what the resistance of the lines costs an array, and how well the fast solution knows it."""
    wires = array.wires
    if wires is None:
        return {}
    g = array.device.conductance(array.cells, now).clamp_min(0.0)
    if array.v_0 is not None:
        return {"wire_loss": array.bent_loss(g, wires), "wire_error": None}
    seen, _ = through_wires(g, wires.r_word, wires.r_bit, array.tiling, array.solver)
    tile = g[0, : array.tiling.heights[0], : array.tiling.widths[0]]
    error = None
    if array.solver == "fast" and max(tile.shape) <= LARGEST_CHECKED:
        error = wire_error(tile, wires.r_word, wires.r_bit).max
    total = float(g.sum())  # 0 where every line is broken: there is nothing to lose
    return {"wire_loss": 1.0 - float(seen.sum()) / total if total else 0.0, "wire_error": error}
