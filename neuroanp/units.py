"""Read physical quantities with their units; hold them as SI floats.

A model annotates a field with `Conductance`, `Time`, ...; text such as "25 uS" becomes 2.5e-05.
Python code may pass the SI float itself (`PcmRead(t_read=250e-9)`): there the reader sees the unit
in the type. A file or a command line may not: `yaml_io` validates with the context `FROM_TEXT`,
under which a bare number is refused where a unit belongs.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from pydantic_core import core_schema

if TYPE_CHECKING:
    import pint

FROM_TEXT = {"from_text": True}
"""Validation context of values that a person wrote in a file: a dimension needs its unit."""

_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"  # \d would be the digits of any script
# Units are products of symbols with one-digit powers: pint's own grammar would also compute 9**9**9.
_SYMBOL = r"[A-Za-zµμΩ]{1,20}(?:(?:\^|\*\*)?-?[0-9])?"
_QUANTITY = re.compile(rf"({_NUMBER})\s*({_SYMBOL}(?:[/*·]{_SYMBOL}){{0,3}})?")
_NOT_FINITE = re.compile(r"[+-]?\.?(?:nan|inf|infinity)\b.*", re.IGNORECASE)
_PREFIXES = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}
_BYTES = {"B": 1}
_BYTES |= {prefix + "B": 1000**k for k, prefix in enumerate("kMGT", 1)}
_BYTES |= {prefix + "iB": 1024**k for k, prefix in enumerate("KMGT", 1)}


# SI units that hardware is described in, as powers of kg, m, s, A, K. Pint, which knows all others and stands for these
# in the tests, takes a quarter of a second to begin.
_SI = {
    "s": (0, 0, 1, 0, 0), "Hz": (0, 0, -1, 0, 0), "m": (0, 1, 0, 0, 0), "K": (0, 0, 0, 0, 1), "A": (0, 0, 0, 1, 0),
    "V": (1, 2, -3, -1, 0), "S": (-1, -2, 3, 2, 0), "Ω": (1, 2, -3, -2, 0), "ohm": (1, 2, -3, -2, 0),
    "J": (1, 2, -2, 0, 0), "W": (1, 2, -3, 0, 0), "F": (-1, -2, 4, 2, 0), "C": (0, 0, 1, 1, 0),
}  # fmt: skip
_POWERS = {"f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_PRODUCT = re.compile(r"([/*·]?)([A-Za-zµμΩ]+?)(?:(?:\^|\*\*)(-?[0-9]))?(?=[/*·]|$)")


def _of_si(unit: str) -> tuple[Decimal, tuple[int, ...]] | None:
    """Return a product of SI units as its factor and the powers of the base units; None for any other unit.

    >>> _of_si("uS/V")
    (Decimal('0.000001'), (-2, -4, 6, 3, 0))
    """
    factor, powers, at = Decimal(1), [0] * 5, 0
    while at < len(unit):
        found = _PRODUCT.match(unit, at)
        known = _symbol(found[2]) if found and bool(found[1]) == bool(at) else None
        if found is None or known is None:
            return None
        power = (-1 if found[1] == "/" else 1) * int(found[3] or 1)
        factor *= Decimal(10) ** (known[0] * power)
        powers = [a + power * b for a, b in zip(powers, known[1], strict=True)]
        at = found.end()
    return factor, tuple(powers)


def _symbol(symbol: str) -> tuple[int, tuple[int, ...]] | None:
    """Return the power of ten of a prefixed unit, and its base units; None where it is none of `_SI`."""
    for length in (0, 1):
        if symbol[length:] in _SI and symbol[:length] in _POWERS:
            return _POWERS[symbol[:length]], _SI[symbol[length:]]
    return None


@cache
def _pint() -> pint.UnitRegistry:
    import pint

    return pint.UnitRegistry()


@cache
def _factor(unit: str, target: str) -> Decimal | None:
    """Return how many `target` one `unit` is; None if the dimensions differ or the unit is unknown."""
    one, other = _of_si(unit), _of_si(target)
    if one is not None and other is not None:
        return one[0] / other[0] if one[1] == other[1] else None
    return _by_pint(unit, target)


def _by_pint(unit: str, target: str) -> Decimal | None:
    """Return what `_factor` does of any unit there is."""
    import pint

    try:
        parsed = _pint().parse_units(unit.replace("·", "*").replace("^", "**"))
        zero, one = (_pint().Quantity(number, parsed).to(target).magnitude for number in (0.0, 1.0))
        # a scale with an offset (degC) has no factor; 15 digits make 9.999999999999999e-07 the 1e-06 that is meant
        return None if zero else Decimal(f"{one:.15g}")
    except (pint.PintError, AttributeError, ValueError, TypeError):
        return None


def _finite(value: object) -> float:
    """Return a number as a float; ValueError for NaN, infinities, booleans and non-numbers."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{value!r} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number


@dataclass(frozen=True)
class Dimension:
    """What a quantity is: the marker inside `Conductance` and its siblings.

    Args:
        name: the dimension in words, for messages.
        unit: the SI unit values are held in.
        example: a value as a user would write it.
        positive: refuse zero and below; `signed` admits negative values; neither: zero and above.

    >>> CONDUCTANCE = Dimension("conductance", "S", "25 uS")
    >>> CONDUCTANCE.parse("25 uS")
    2.5e-05
    >>> CONDUCTANCE.parse("25 mV")
    Traceback (most recent call last):
    ...
    ValueError: '25 mV' is not a conductance; write e.g. '25 uS'
    """

    name: str
    unit: str
    example: str
    signed: bool = False
    positive: bool = False

    def parse(self, value: object) -> float:
        """Read text with a unit into an SI float; ValueError says what to write instead."""
        if not isinstance(value, str):
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                _finite(value)
                raise ValueError(f"'{value}' has no unit; write e.g. '{self.example}'")
            raise ValueError(f"{value!r} is not {self._article} {self.name}; write e.g. '{self.example}'")
        text = value.strip()
        if _NOT_FINITE.fullmatch(text):
            raise ValueError(f"'{text}' is not a finite number; write e.g. '{self.example}'")
        match = _QUANTITY.fullmatch(text) if len(text) <= 80 else None
        if match and not match[2]:
            raise ValueError(f"'{text}' has no unit; write e.g. '{self.example}'")
        factor = self._factor(match[2]) if match else None
        if match is None or factor is None:
            raise ValueError(f"'{text[:80]}' is not {self._article} {self.name}; write e.g. '{self.example}'")
        if not math.isfinite(float(match[1])):
            raise ValueError(f"'{text}' is not a finite number; write e.g. '{self.example}'")
        return self._bounded(float(Decimal(match[1]) * factor), f"'{text}'")

    def validate(self, value: object, from_text: bool = False) -> float:
        """Read text, or take an SI float as it is unless `from_text`; ValueError otherwise."""
        if from_text or isinstance(value, str):
            return self.parse(value)
        number = _finite(value)
        return self._bounded(number, f"'{format_quantity(number, self.unit)}'")

    @property
    def _article(self) -> str:
        return "an" if self.name[0] in "aeiou" else "a"

    def _factor(self, unit: str) -> Decimal | None:
        if self.unit == "B":  # pint counts bytes as dimensionless: a radian would pass for 1/8 byte
            return Decimal(_BYTES[unit]) if unit in _BYTES else None
        return _factor(unit, self.unit)

    def _bounded(self, number: float, shown: str) -> float:
        if not math.isfinite(number):
            raise ValueError(f"{shown} is not a finite number; write e.g. '{self.example}'")
        if self.positive and number <= 0:
            raise ValueError(f"{shown} is not above zero; write e.g. '{self.example}'")
        if number < 0 and not self.signed:
            raise ValueError(f"{shown} is negative; write {self._article} {self.name} of zero or above")
        return number

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        def validate(value: object, info: core_schema.ValidationInfo) -> float:
            return self.validate(value, from_text=bool((info.context or {}).get("from_text")))

        return core_schema.with_info_plain_validator_function(validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return self.json_schema()

    def json_schema(self) -> dict[str, Any]:
        """Return what JSON Schema can say of it: a text of a number and a unit. Which units suit, `parse` tells."""
        pattern = rf"^\s*{_NUMBER}\s*{_SYMBOL}([/*·]{_SYMBOL}){{0,3}}\s*$".replace("(?:", "(")
        return {"type": "string", "pattern": pattern, "title": self.name, "examples": [self.example]}


@dataclass(frozen=True)
class Plain:
    """A dimensionless number within bounds: the marker inside `Fraction`, `Positive`, `NonNegative`.

    Args:
        name: what the number is, for messages.
        low, high: bounds; `open_low` refuses `low` itself.
    """

    name: str
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False

    def validate(self, value: object) -> float:
        """Return the number as a float; ValueError if it is not finite or out of bounds."""
        if isinstance(value, str):
            hint = "; a fraction is written 0.25, never per cent" if "%" in value else ""
            raise ValueError(f"'{value[:80]}' is not a number{hint or ': it takes no unit and no quotes'}")
        number = _finite(value)
        if not self.low <= number <= self.high or (self.open_low and number == self.low):
            raise ValueError(f"{value} is not {self.name}")
        return number

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        low = {} if self.low == -math.inf else {"exclusiveMinimum" if self.open_low else "minimum": self.low}
        return {"type": "number", **low, **({} if self.high == math.inf else {"maximum": self.high})}


Conductance = Annotated[float, Dimension("conductance", "S", "25 uS")]
Voltage = Annotated[float, Dimension("voltage", "V", "0.2 V", signed=True)]
RmsVoltage = Annotated[float, Dimension("voltage", "V", "1 mV")]
Time = Annotated[float, Dimension("time", "s", "250 ns")]
Energy = Annotated[float, Dimension("energy", "J", "50 pJ")]
Size = Annotated[float, Dimension("memory size", "B", "1 GiB", positive=True)]
PositiveConductance = Annotated[float, Dimension("conductance", "S", "25 uS", positive=True)]
PositiveVoltage = Annotated[float, Dimension("voltage", "V", "0.2 V", positive=True)]
PositiveCurrent = Annotated[float, Dimension("current", "A", "10 uA", positive=True)]
PositiveTime = Annotated[float, Dimension("time", "s", "250 ns", positive=True)]
Resistance = Annotated[float, Dimension("resistance", "ohm", "1.1 ohm")]
PositiveResistance = Annotated[float, Dimension("resistance", "ohm", "7.64 kohm", positive=True)]
Temperature = Annotated[float, Dimension("temperature", "K", "300 K", positive=True)]
TemperatureCoefficient = Annotated[float, Dimension("temperature coefficient", "K^-1", "2e-3 K^-1", signed=True)]
Frequency = Annotated[float, Dimension("frequency", "Hz", "10 MHz", positive=True)]
Capacitance = Annotated[float, Dimension("capacitance", "F", "50 fF")]
ThermalResistance = Annotated[float, Dimension("thermal resistance", "K/W", "1e5 K/W")]
Power = Annotated[float, Dimension("power", "W", "3 uW")]
Area = Annotated[float, Dimension("area", "m^2", "25 um^2")]
Number = Annotated[float, Plain("a finite number")]
Fraction = Annotated[float, Plain("a fraction between 0 and 1", 0.0, 1.0)]
Positive = Annotated[float, Plain("a number above 0", 0.0, open_low=True)]
NonNegative = Annotated[float, Plain("a number of 0 or above", 0.0)]


def dimension_of(annotation: Any, metadata: tuple[Any, ...] | list[Any] = ()) -> Dimension | None:
    """Return the Dimension inside an annotation such as `Time | None` and a field's metadata, or None.

    >>> dimension_of(Time | None).unit
    's'
    """
    for item in metadata:
        if isinstance(item, Dimension):
            return item
    if get_origin(annotation) is Annotated:
        return dimension_of(None, get_args(annotation)[1:])
    found = (dimension_of(part) for part in get_args(annotation))
    return next((dimension for dimension in found if dimension), None)


def format_quantity(value: float, unit: str, digits: int | None = 6) -> str:
    """Write an SI value with the prefix that suits it.

    Args:
        value: the number, in `unit`.
        unit: the SI unit's symbol ("S", "s", "V"; "B" gets binary prefixes).
        digits: significant digits; None keeps all that tell the float from its neighbours.

    Returns: text that the matching type reads back.

    >>> format_quantity(2.5e-05, "S"), format_quantity(2.5e-11, "m^2"), format_quantity(2**30, "B")
    ('25 uS', '25 um^2', '1 GiB')
    """
    if not math.isfinite(value):
        return f"{value} {unit}"
    if unit == "B":
        power = min(4, max(0, (int(abs(value)).bit_length() - 1) // 10))
        return f"{value / 1024**power:.{digits or 17}g} {['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}"
    exact = Decimal(repr(float(value))) if digits is None else Decimal(f"{value:.{digits}g}")
    square = 2 if unit.endswith("^2") else 1  # of which the prefix is squared, too
    plain = not exact or unit in ("K", "K^-1")
    power = 0 if plain else min(12, max(-18, 3 * math.floor(exact.adjusted() / (3 * square))))
    scaled = exact.scaleb(-power * square).normalize()
    number = f"{scaled:f}" if -7 < scaled.adjusted() < 16 else f"{scaled:e}"
    return f"{number} {_PREFIXES[power]}{unit}"
