"""Compare two profiles parameter by parameter."""

from __future__ import annotations

from typing import NamedTuple

from neuroanp.profiles.schema import HardwareProfile
from neuroanp.yaml_io import dotted


class Difference(NamedTuple):
    """One parameter that differs.

    Args:
        key: dotted key.
        left, right: the values with their units; None where a profile does not have the parameter.
    """

    key: str
    left: str | None
    right: str | None


def diff(left: HardwareProfile, right: HardwareProfile) -> list[Difference]:
    """List the parameters in which two profiles differ, in the order of the sections.

    Values are compared as held, in SI units: "0.025 mS" is no different from "25 uS".

    >>> from neuroanp.profiles import load
    >>> diff(load("pcm"), load("ideal"))[0]
    Difference(key='programming.law', left='pcm', right='ideal')
    """
    sides = [{dotted(leaf.key): leaf for leaf in profile.leaves()} for profile in (left, right)]
    order = list(dict.fromkeys([*sides[0], *sides[1]]))
    sections = list(HardwareProfile.model_fields)
    order.sort(key=lambda key: sections.index(key.partition(".")[0]))
    found = []
    for key in order:
        a, b = (side.get(key) for side in sides)
        if a is None or b is None or a.value != b.value:
            found.append(Difference(key, a and a.text, b and b.text))
    return found
