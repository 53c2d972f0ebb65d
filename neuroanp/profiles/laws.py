"""The kinds of device laws and where their models are found by name.

A law is one frozen model: its fields are the law's parameters, its methods the physics. A
profile's section `read: {law: pcm, ...}` picks it by name and fills the fields.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt

from neuroanp.registry import Registry
from neuroanp.yaml_io import Section

Pulses = Annotated[PositiveInt, Field(le=1_000_000)]
"""Pulses of one write; beyond this they would neither be counted nor simulated in any time."""
Sources = Annotated[PositiveInt, Field(le=10_000)]
"""Sources of noise summed per unit."""


class Law(Section):
    """Base of all device laws: unknown keys refused, frozen, numbers finite and strictly typed.

    >>> from neuroanp.units import Time
    >>> class Leak(Law):
    ...     tau: Time
    >>> Leak(tau="20 s"), Leak(tau=20.0)
    (Leak(tau=20.0), Leak(tau=20.0))
    """

    @property
    def static_power(self) -> float | None:
        """Watts that the read-out of one source burns whether it is sampled or not; None: the law knows none."""
        return None


LAWS: dict[str, Registry[type[Law]]] = {
    kind: Registry(f"{kind} law", f"neuroanp.laws.{kind}", f"neuroanp.devices.protocol:{protocol}")
    for kind, protocol in {
        "programming": "ProgrammingLaw",
        "read": "ReadLaw",
        "drift": "DriftLaw",
        "update": "UpdateLaw",
        "variability": "VariabilityLaw",
        "stochastic": "NodeSource",
    }.items()
}
"""The registries of laws, by the section of a profile that selects from them."""
