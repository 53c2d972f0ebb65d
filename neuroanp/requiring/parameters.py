"""Find what can be swept in a profile, lay out its values, and make the profile that has another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, log10
from typing import Any

from neuroanp.errors import InputError
from neuroanp.profiles.loader import loads
from neuroanp.profiles.provenance import UNSTATED, Leaf, shortest
from neuroanp.profiles.schema import HardwareProfile
from neuroanp.requiring.kinds import HIGHER, KINDS, LOWER, PULSES, VERIFIED, WRITES, Kind
from neuroanp.units import format_quantity
from neuroanp.yaml_io import dotted, dump, parse

IDEAL = "ideal"
"""In place of a value: the device without the flaw."""
Value = float | str
TEMPERATURE = ("activation_energy", "tcr")
"""Keys of what goes with the temperature, about the `reference_temperature` of their section."""
LONGEST = 30
"""Letters of the profile's name that the name of one with another value begins with."""
DIGITS = 4
"""Significant digits of swept values: they can be typed again."""


@dataclass(frozen=True)
class Parameter:
    """A quantity of a profile that is swept.

    Args:
        kind: which.
        stated: its value, SI units; 1 of several keys, which are scaled together; None of a law that is a table.
        unit: SI symbol, "" of a number.
        status: measured, fitted or illustrative; the least certain of several keys.
        inherited: the profile that the value was taken over from, or "".
    """

    kind: Kind
    stated: float | None
    unit: str = ""
    status: str = "illustrative"
    inherited: str = ""

    @property
    def key(self) -> str:
        """What it is called by."""
        return self.kind.key

    @property
    def scaled(self) -> bool:
        """Whether values are factors on several keys."""
        return len(self.kind.keys) > 1

    def decades(self, value: Value) -> float:
        """Return where a value lies, in decades; the ideal beyond all others on its side.

        A bit more halves the step of a converter: bits count as decades of 2^bits.
        """
        if value == IDEAL:
            return inf if self.kind.better == HIGHER else -inf
        number = abs(float(value))
        if self.kind.count == "bits":
            return number * log10(2.0)
        return log10(number) if number > 0 else -inf

    def at(self, decades: float) -> float:
        """Return the value that lies there.

        >>> Parameter(Kind("", ("periphery.adc.bits",), count="bits"), 8.0).at(8 * log10(2))
        8.0
        """
        return decades / log10(2.0) if self.kind.count == "bits" else 10.0**decades

    def shown(self, value: Value) -> str:
        """Write a value with its unit, three digits; a factor as such.

        >>> Parameter(Kind("", ("read.sigma_absolute",)), 1e-6, "S").shown(3.16e-7)
        '316 nS'
        """
        if value == IDEAL:
            return IDEAL
        number = float(value)
        if self.unit:
            return format_quantity(number, self.unit, 3)
        return shortest(float(f"{number:.3g}")) + (" x stated" if self.scaled else "")


@dataclass(frozen=True)
class LeftOut:
    """What is not swept, and why."""

    key: str
    why: str


def parameters_of(
    profile: HardwareProfile,
    metric: str,
    effects: frozenset[str],
    write: str,
    spiking: bool,
    kelvin: float | None = None,
) -> tuple[list[Parameter], list[LeftOut]]:
    """Return what can be swept of the keys that a profile states, and what is left out of those that it states.

    Args:
        profile: as it was loaded. metric: of the target. effects: non-idealities that are on.
        write: how weights are written: ideal, verify or pulse. spiking: whether units spike.
        kelvin: of the chip's surroundings; None: as the profile states.
    """
    leaves = {dotted(leaf.key): leaf for leaf in profile.leaves() if leaf.stated}
    found, left, seen = [], [], set[str]()
    for kind in KINDS:
        if not _stated(kind, profile, leaves):
            continue
        seen.update(kind.keys)
        kind, idle = _at_temperature(kind, leaves, profile.temperature if kelvin is None else kelvin)
        why = idle or _idle(kind, profile, metric, effects, write, spiking)
        if why:
            left.append(LeftOut(kind.key, why))
        else:
            found.append(_parameter(kind, profile, leaves))
    choices = [key for key, leaf in leaves.items() if key not in seen and _number(leaf)]
    if choices:
        left.append(LeftOut(", ".join(choices), "a choice of the design, or no side is known to be the better one"))
    return found, left


def _stated(kind: Kind, profile: HardwareProfile, leaves: Mapping[str, Leaf]) -> bool:
    """Tell whether a profile states a quantity: the law, and a number at one of its keys or more."""
    if kind.law is not None:
        section, law = kind.law
        named = leaves.get(f"{section}.law")
        if named is None or named.value != law:
            return False
        if not kind.keys:
            return True
    return bool(_present(kind, leaves))


def _present(kind: Kind, leaves: Mapping[str, Leaf]) -> list[str]:
    """Return the keys of a quantity that hold a number: a profile may lack whole sections of an error's history."""
    return [key for key in kind.keys if key in leaves and _number(leaves[key])]


def _number(leaf: Leaf) -> bool:
    return isinstance(leaf.value, int | float) and not isinstance(leaf.value, bool)


def _idle(kind: Kind, profile: HardwareProfile, metric: str, effects: frozenset[str], write: str, spiking: bool) -> str:
    """Return why a quantity plays no part in these runs, or ""."""
    if kind.metrics and metric not in kind.metrics:
        return f"is not of {metric}"
    if kind.effects and not effects & {*kind.effects}:
        return f"switched off with {' and '.join(kind.effects)}"
    if kind.spiking is not None and kind.spiking != spiking:
        return f"is of {'spiking units' if kind.spiking else 'rates'}"
    if kind.keys == ("stochastic.volts_per_unit",) and spiking and _couples(profile):
        return "neurons.membrane_sigma sets how far the noise moves a membrane"
    by_pulses = write == "pulse" or (write == "verify" and profile.programming is None)
    parts = {PULSES: by_pulses, VERIFIED: write == "verify" and profile.programming is None, WRITES: write != "ideal"}
    if not parts.get(kind.when, True):
        return f"plays no part with hardware.write: {write}"
    return ""


def _at_temperature(kind: Kind, leaves: Mapping[str, Leaf], kelvin: float) -> tuple[Kind, str]:
    """Return a quantity as it is at a temperature, and why it plays no part there, or "".

    What goes with temperature does nothing at the reference temperature of its section.
    """
    section, _, name = kind.keys[0].partition(".") if kind.keys else ("", "", "")
    if name not in TEMPERATURE:
        return kind, ""
    reference = float(leaves[f"{section}.reference_temperature"].value)
    if kelvin == reference:
        return kind, f"does nothing at {section}.reference_temperature, {reference:g} K, where the chip is"
    if kind.warm and kelvin < reference:
        return replace(kind, better=HIGHER, ideal=None), ""
    return kind, ""


def _couples(profile: HardwareProfile) -> bool:
    return profile.neurons is not None and profile.neurons.membrane_sigma is not None


def _parameter(kind: Kind, profile: HardwareProfile, leaves: Mapping[str, Leaf]) -> Parameter:
    keys = _present(kind, leaves)
    if not keys:
        return Parameter(kind, None, "", *_origin(profile, kind))
    leaf = leaves[keys[0]]
    unit = leaf.dimension.unit if leaf.dimension is not None and len(keys) == 1 else ""
    stated = float(leaf.value) if len(keys) == 1 else 1.0
    return Parameter(replace(kind, keys=tuple(keys)), stated, unit, *_origin(profile, kind))


def _origin(profile: HardwareProfile, kind: Kind) -> tuple[str, str]:
    """Return the least certain status of a quantity's keys, and the profile that one of them is taken over from."""
    keys = kind.keys or tuple(key for key in profile.provenance if key.startswith(f"{kind.key}."))
    statuses = [profile.provenance[key].status for key in keys if key in profile.provenance]
    bases = [profile.inherited[key] for key in keys if key in profile.inherited]
    ranked = [status for status in ("illustrative", "fitted", "measured") if status in statuses]
    return (ranked[0] if ranked else UNSTATED), (bases[0] if bases else "")


def values_of(
    parameter: Parameter, profile: HardwareProfile, decades: float, points: int
) -> dict[Value, HardwareProfile]:
    """Return the values to sweep beside the stated one, from low to high, each with its profile; the ideal among them.

    A value that the profile does not admit (a step wider than the range, a fraction above 1) is left out. What is
    stated as 0 is swept below `kind.full`, if it has such a value.

    Args:
        parameter: which. profile: that states it.
        decades: on each side. points: values on each side.
    """
    found: dict[Value, HardwareProfile] = {}
    for value in [IDEAL, *_numbers(parameter, decades, points)]:
        try:
            made = changed(profile, parameter, value)
        except InputError:  # not admitted, or there is no ideal
            continue
        if made is not None:
            found[value] = made
    order = sorted(found, key=parameter.decades)
    return {value: found[value] for value in order}


def _numbers(parameter: Parameter, decades: float, points: int) -> list[float]:
    """Return the numbers to try, apart from the stated one."""
    stated, kind = parameter.stated, parameter.kind
    if stated is None:
        return []
    steps = [decades * k / points for k in range(1, points + 1)]
    if stated == 0.0:
        return [] if kind.full is None else [_rounded(kind.full * 10.0 ** (step - decades)) for step in (0.0, *steps)]
    here = parameter.decades(stated)
    sign = -1.0 if stated < 0 else 1.0
    numbers = [parameter.at(here + side * step) for step in steps for side in (-1.0, 1.0)]
    numbers = [float(round(number)) if kind.count else _rounded(sign * number) for number in numbers]
    return [number for number in dict.fromkeys(numbers) if number != stated]


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def ideal_of(parameter: Parameter, swept: Sequence[Value]) -> Value | None:
    """Return the value of the least flaw: the ideal, or where there is none the best one that was swept.

    None where it is stated already, or no side is the better one.
    """
    if parameter.kind.better not in (LOWER, HIGHER) or parameter.stated == 0.0:
        return None
    if IDEAL in swept:
        return IDEAL
    here = None if parameter.stated is None else parameter.decades(parameter.stated)
    side = 1.0 if parameter.kind.better == HIGHER else -1.0
    better = [value for value in swept if here is not None and side * (parameter.decades(value) - here) > 0]
    return max(better, key=lambda value: side * parameter.decades(value), default=None)


def changed(profile: HardwareProfile, *settings: Any) -> HardwareProfile | None:
    """Return the profile with parameters at other values, and nothing else but its name; None where one has no ideal.

    Args:
        profile: as it was loaded. settings: parameter, value, parameter, value, ...

    Raises:
        InputError: the profile does not admit the value.
    """
    data = parse(profile.text, profile.name).data
    units = {dotted(leaf.key): leaf.dimension for leaf in profile.leaves()}
    pairs: list[tuple[Parameter, Value]] = list(zip(settings[::2], settings[1::2], strict=True))
    for parameter, value in pairs:
        kind = parameter.kind
        if value == IDEAL and kind.ideal is None:
            if not kind.without:
                return None
            for section, instead in kind.without.items():
                _replace(data, section.split("."), instead)
            continue
        number = kind.ideal if value == IDEAL else float(value)
        if value == IDEAL and number == parameter.stated:
            return None
        for key in kind.keys:
            _set(data, key.split("."), number, parameter, units[key])
    label = "-".join(f"{p.key.rpartition('.')[2]}-{v if v == IDEAL else f'{v:.4g}'}" for p, v in pairs)
    data["meta"]["name"] = f"{profile.name[:LONGEST]}-{label}"[:64]
    return loads(dump(data), f"{profile.name} with another {', '.join(p.key for p, _ in pairs)}")


def _set(data: dict[str, Any], way: Sequence[str], number: Any, parameter: Parameter, dimension: Any) -> None:
    """Lay a number over the value at a key, or a factor on it, with where it comes from."""
    at = data
    for part in way[:-1]:
        at = at[part]
    there = at[way[-1]]
    before = there["value"] if isinstance(there, dict) else there
    if parameter.scaled:
        held = before if dimension is None else dimension.parse(before)
        number = held * number
    value = int(number) if parameter.kind.count else float(number)
    text = value if dimension is None else format_quantity(value, dimension.unit, digits=None)
    at[way[-1]] = {"value": text, "source": f"a value of a sweep; stated is {before}", "status": "illustrative"}


def _replace(data: dict[str, Any], way: Sequence[str], instead: Any) -> None:
    """Put something in the place of a section, nothing where it is None."""
    at: Any = data
    for part in way[:-1]:
        at = at.get(part) or {}
    if instead is None:
        at.pop(way[-1], None)
    elif way[-1] in at:
        at[way[-1]] = dict(instead)
