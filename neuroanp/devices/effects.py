"""The non-idealities that can be isolated or switched off, by name."""

from __future__ import annotations

from neuroanp.errors import InputError, did_you_mean

EFFECTS = (
    "programming_error", "drift", "read_noise", "frozen_noise", "write_noise", "d2d", "c2c", "faults",
    "dac", "dac_noise", "adc", "adc_mismatch", "adc_nonlinearity", "amplifier_noise", "thermal_noise", "wires",
    "nonlinear_iv", "node_noise", "endurance", "neuron_mismatch", "read_disturb",
    "write_disturb", "conductance_temperature", "drift_compensation", "write_drop",
)  # fmt: skip
"""Names of the non-idealities that can be isolated or switched off, and the remedy for one of them at the end."""

ALL_EFFECTS = frozenset(EFFECTS)


def check_effects(effects: frozenset[str]) -> frozenset[str]:
    """Return the effects; InputError names those that do not exist.

    >>> sorted(check_effects(frozenset({"drift"})))
    ['drift']
    """
    unknown = sorted(effects - ALL_EFFECTS)
    if unknown:
        raise InputError(
            f"unknown effect{'s' if len(unknown) > 1 else ''} (known: {', '.join(EFFECTS)})",
            [f"effects: '{name}' is not an effect{did_you_mean(name, EFFECTS)}" for name in unknown],
        )
    return effects
