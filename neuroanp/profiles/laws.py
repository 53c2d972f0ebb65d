"""The kinds of device laws and where their models are found by name.

A law is one frozen model: its fields are the law's parameters, its methods the physics. A
profile's section `read: {law: pcm, ...}` picks it by name and fills the fields.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

from pydantic import Field, PositiveInt

from neuroanp.registry import Registry
from neuroanp.yaml_io import Section

Pulses = Annotated[PositiveInt, Field(le=1_000_000)]
"""Pulses of one write; beyond this they would neither be counted nor simulated in any time."""
Sources = Annotated[PositiveInt, Field(le=10_000)]
"""Sources of noise summed per unit."""
RESERVED = ("value", "source", "status")
"""What a profile says of its numbers, beside them or at a section."""


class Law(Section):
    """Base of all device laws: unknown keys refused, frozen, numbers finite and strictly typed.

    >>> from neuroanp.units import Time
    >>> class Leak(Law):
    ...     tau: Time
    >>> Leak(tau="20 s"), Leak(tau=20.0)
    (Leak(tau=20.0), Leak(tau=20.0))

    >>> Leak(tau="20 s").static_power, Leak(tau="20 s").bank  # nothing is stated of either
    (None, None)
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse parameters that a profile could not state: their names say where a section's numbers come from."""
        super().__pydantic_init_subclass__(**kwargs)
        taken = sorted(set(cls.model_fields) & set(RESERVED))
        if taken:
            raise TypeError(
                f"law {cls.__name__}: no parameter can be called {' or '.join(taken)}: in a profile that is what a "
                "section says of its numbers; choose another name"
            )

    @property
    def static_power(self) -> float | None:
        """Watts that the read-out of one source burns whether it is sampled or not; None: the law knows none."""
        return None

    @property
    def bank(self) -> Any:
        """How the sources of so many units are drawn where each is another one; None: all are alike."""
        return None


def protocol(name: str) -> type:
    """Return a protocol of the devices, a room to the right: what is loaded must have its members."""
    return vars(import_module("neuroanp.devices.protocol"))[name]


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
