"""What a temperature does to a rate, by an activation energy.

    a(T) = e^{E_a/k_B (1/T_ref - 1/T)}

Over a barrier E_a everything goes a times faster than at T_ref: t seconds at T are a t seconds there.

Source: Arrhenius, Z. Phys. Chem. 4, 226 (1889), as it is used for retention of resistive memories.
"""

from __future__ import annotations

import math

from neuroanp.yaml_io import at

BOLTZMANN = 1.380649e-23
"""k_B in J/K, exact in the SI of 2019."""
FARTHEST = 700.0
"""Largest |ln a|: beyond it a leaves the range of floats."""


def log_acceleration(energy: float, reference: float, kelvin: float) -> float:
    """Return ln a(T).

    Args: energy: E_a, joules. reference: T_ref, kelvin. kelvin: T.

    Raises: ValueError for what is no temperature above 0 K.

    >>> round(math.exp(log_acceleration(0.6 * 1.602176634e-19, 300.0, 310.0)), 3)
    2.114
    """
    if not (kelvin > 0 and math.isfinite(kelvin)):
        raise ValueError(f"{kelvin} K is not a temperature above 0 K")
    return energy / BOLTZMANN * (1.0 / reference - 1.0 / kelvin)


def whole(energy: float | None, reference: float | None) -> None:
    """Raise at its key unless both an activation energy and its reference temperature are stated, or none."""
    if (energy is None) != (reference is None):
        missing = "activation_energy" if energy is None else "reference_temperature"
        raise at((missing,), "an Arrhenius law needs both an energy and a temperature; add it or drop the other")


def slowed(time: float, energy: float | None, reference: float | None, kelvin: float, name: str) -> float | None:
    """Return a time of T_ref, seconds, as it is at a temperature, t / a(T); None where no energy is stated.

    Raises: ValueError for no temperature, or where the time, of this name, leaves the range of floats.

    >>> slowed(2.0, None, None, 350.0, "tau"), slowed(2.0, 1e-19, 300.0, 300.0, "tau")
    (None, 2.0)
    """
    if energy is None or reference is None:
        return None
    log = math.log(time) - log_acceleration(energy, reference, kelvin)
    if abs(log) > FARTHEST:
        raise ValueError(f"{name} at {kelvin:g} K is e^{log:.0f} s: too far from reference_temperature")
    return time if kelvin == reference else math.exp(log)
