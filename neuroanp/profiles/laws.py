"""The kinds of device laws and where their models are found by name.

A law is one frozen model: its fields are the law's parameters, its methods the physics. A
profile's section `read: {law: pcm, ...}` picks it by name and fills the fields.
"""

from __future__ import annotations

from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import Field, PositiveInt

from neuroanp.registry import Registry
from neuroanp.yaml_io import Section

Pulses = Annotated[PositiveInt, Field(le=1_000_000)]
"""Pulses of one write; beyond this they would neither be counted nor simulated in any time."""
Sources = Annotated[PositiveInt, Field(le=10_000)]
"""Sources of noise summed per unit."""


@runtime_checkable
class Thermal(Protocol):
    """A drift law or a node source that may depend on temperature.

    `at_temperature` returns it in surroundings of so many kelvin, one that is equal where nothing depends on it;
    ValueError where the law does not hold.
    """

    def at_temperature(self, kelvin: float, /) -> Any: ...


class Law(Section):
    """Base of all device laws: unknown keys refused, frozen, numbers finite and strictly typed.

    >>> from neuroanp.units import Time
    >>> class Leak(Law):
    ...     tau: Time
    >>> Leak(tau="20 s"), Leak(tau=20.0)
    (Leak(tau=20.0), Leak(tau=20.0))
    """


LAWS: dict[str, Registry[type[Law]]] = {
    kind: Registry(f"{kind} law", f"neuroanp.laws.{kind}")
    for kind in ("programming", "read", "drift", "update", "variability", "stochastic")
}
"""The registries of laws, by the section of a profile that selects from them."""
