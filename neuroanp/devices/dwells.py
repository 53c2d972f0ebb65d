"""The mean dwell times of a signal that switches between two levels."""

from __future__ import annotations

from pydantic import ValidationInfo, field_validator

from neuroanp.devices import telegraph
from neuroanp.units import PositiveTime, format_quantity
from neuroanp.yaml_io import Section

MOST_UNEQUAL = 1e6
"""Largest ratio of the dwell times: a rarer state is beyond the resolution of float32 uniforms."""


class Dwells(Section):
    """What switches between two levels, whatever their distance.

    Args:
        tau_high, tau_low: mean dwell times in both states, seconds.

    >>> both = Dwells(tau_high="1 us", tau_low="3 us")
    >>> both.p, both.tau_c
    (0.25, 7.5e-07)
    """

    tau_high: PositiveTime
    tau_low: PositiveTime

    @field_validator("tau_low")
    @classmethod
    def _both_states_are_seen(cls, tau_low: float, info: ValidationInfo) -> float:
        tau_high = info.data.get("tau_high")
        if tau_high is not None and max(tau_high / tau_low, tau_low / tau_high) > MOST_UNEQUAL:
            shown = [format_quantity(tau, "s") for tau in (tau_low, tau_high)]
            raise ValueError(
                f"'{shown[0]}' and tau_high, '{shown[1]}', differ by more than {MOST_UNEQUAL:g}: one state is "
                "practically never seen; bring them closer or leave the noise out"
            )
        return tau_low

    @property
    def p(self) -> float:
        """Probability of the high state."""
        return telegraph.occupancy(self.tau_high, self.tau_low)

    @property
    def tau_c(self) -> float:
        """Correlation time, seconds."""
        return telegraph.correlation_time(self.tau_high, self.tau_low)
