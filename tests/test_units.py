"""Units: what is read, what is refused, and that a printed quantity reads back."""

import contextlib
import math
import re
import subprocess
import sys
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp import units
from neuroanp.units import FROM_TEXT, Dimension, Time, dimension_of, format_quantity
from neuroanp.yaml_io import Section

ALL = [
    units.Conductance, units.Voltage, units.Time, units.Energy, units.Size,
    units.PositiveConductance, units.PositiveVoltage, units.PositiveCurrent, units.PositiveTime,
]  # fmt: skip
# dimensions that no shipped law uses, as another package's law may define them
Resistance = Annotated[float, Dimension("resistance", "ohm", "1.1 ohm")]
Temperature = Annotated[float, Dimension("temperature", "K", "300 K", positive=True)]


def dimension(kind) -> Dimension:
    found = dimension_of(kind)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ALL)
def test_every_example_is_readable(kind):
    marker = dimension(kind)
    assert format_quantity(marker.parse(marker.example), marker.unit) is not None
    assert marker.parse(marker.example) > 0


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (units.Conductance, "25 uS", 2.5e-05),
        (units.Conductance, "25uS", 2.5e-05),
        (units.Conductance, "0.025 mS", 2.5e-05),
        (units.Conductance, "25 µS", 2.5e-05),
        (units.Conductance, "25 siemens", 25.0),
        (units.Time, "250 ns", 250e-9),
        (units.Time, "1e-3 s", 1e-3),
        (units.Time, "2 hours", 7200.0),
        (units.Energy, "190 fJ", 190e-15),
        (units.Energy, "2 W*s", 2.0),
        (units.Voltage, "-0.2 V", -0.2),
        (Resistance, "7.64 kohm", 7640.0),
        (Resistance, "1.1 Ω", 1.1),
        (Temperature, "300 K", 300.0),
        (units.Size, "1 GiB", 2**30),
        (units.Size, "1.5 kB", 1500),
    ],
)
def test_reads_exactly(kind, text, value):
    assert dimension(kind).parse(text) == value


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        (units.Conductance, "25 mV", "'25 mV' is not a conductance; write e.g. '25 uS'"),
        (units.Conductance, "25", "'25' has no unit; write e.g. '25 uS'"),
        (units.Conductance, 25, "'25' has no unit; write e.g. '25 uS'"),
        (units.Time, "20 S", "'20 S' is not a time"),
        (units.Time, "twenty s", "is not a time"),
        (units.Time, "20 furlongz", "is not a time"),
        (units.Time, "", "is not a time"),
        (units.Time, "nan s", "not a finite number"),
        (units.Time, "-inf s", "not a finite number"),
        (units.Time, ".nan", "not a finite number"),
        (units.Time, "1e400 s", "not a finite number"),
        (units.Time, "1e308 hours", "not a finite number"),
        (units.Time, "-1 s", "is negative"),
        (units.Time, True, "is not a time"),
        (units.Time, None, "is not a time"),
        (units.Time, ["1 s"], "is not a time"),
        (units.Time, float("nan"), "is not a finite number"),
        (units.Time, "9**9**9 s", "is not a time"),
        (units.Time, "1 s**9**9**9", "is not a time"),
        (units.Time, "1 " + "s*" * 5000 + "s", "is not a time"),
        (units.Time, "__import__('os') s", "is not a time"),
        (units.PositiveTime, "0 s", "is not above zero"),
        (units.Conductance, "-1 uS", "is negative"),
        (units.Energy, "-1 pJ", "is negative"),
        (units.Energy, "1 W", "'1 W' is not an energy"),
        (Temperature, "25 degC", "'25 degC' is not a temperature; write e.g. '300 K'"),
        (Temperature, "0 K", "is not above zero"),
        (units.Size, "5 radian", "'5 radian' is not a memory size"),
        (units.Size, "5 bit", "is not a memory size"),
    ],
)
def test_refuses_with_a_remedy(kind, value, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        dimension(kind).parse(value)


class _Model(Section):
    t: Time
    half: units.Fraction = 0.5
    positive: units.Positive = 1.0
    late: Time | None = None


def test_python_may_pass_si_floats_and_files_may_not():
    assert _Model(t=250e-9).t == 250e-9
    assert _Model.model_validate({"t": "250 ns"}, context=FROM_TEXT).t == 250e-9
    with pytest.raises(ValidationError, match="has no unit"):
        _Model.model_validate({"t": 250e-9}, context=FROM_TEXT)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, True, None, "x"])
def test_python_values_are_checked_too(value):
    with pytest.raises(ValidationError):
        _Model(t=value)


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan, True, "0.5", "50 %", None, [0.5]])
def test_fraction_is_a_number_between_zero_and_one(bad):
    with pytest.raises(ValidationError):
        _Model(t=1.0, half=bad)


def test_per_cent_is_explained():
    with pytest.raises(ValidationError, match="never per cent"):
        _Model(t=1.0, half="50 %")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("bad", [0, -1, 10**400, math.inf])
def test_positive(bad):
    with pytest.raises(ValidationError):
        _Model(t=1.0, positive=bad)


def test_dimension_is_found_behind_optional_and_field():
    for name in ("t", "late"):
        field = _Model.model_fields[name]
        found = dimension_of(field.annotation, field.metadata)
        assert found is not None
        assert found.unit == "s"
    assert dimension_of(_Model.model_fields["half"].annotation, _Model.model_fields["half"].metadata) is None


@given(st.floats(min_value=1e-30, max_value=1e20), st.sampled_from([units.Conductance, units.Time, units.Energy]))
def test_exact_print_reads_back_to_the_same_float(value, kind):
    marker = dimension(kind)
    assert marker.parse(format_quantity(value, marker.unit, digits=None)) == value


@given(st.floats(min_value=-1e6, max_value=1e6))
def test_print_keeps_six_digits(value):
    marker = dimension(units.Voltage)
    assert marker.parse(format_quantity(value, "V")) == pytest.approx(value, rel=1e-5, abs=1e-300)


@given(st.text(max_size=30), st.sampled_from(ALL))
def test_no_text_raises_anything_but_valueerror(text, kind):
    with contextlib.suppress(ValueError):
        assert math.isfinite(dimension(kind).parse(text))


def test_a_model_of_quantities_has_a_json_schema():
    class Law(Section):
        tau: units.PositiveTime = 20e-3
        at: units.Voltage | None = None
        share: units.Fraction
        gain: units.Positive = 1.0
        shift: units.Number = 0.0

    found = Law.model_json_schema()["properties"]
    assert (found["tau"]["type"], found["tau"]["default"]) == ("string", 20e-3)
    (at,) = (kind for kind in found["at"]["anyOf"] if kind["type"] == "string")
    assert (at["title"], at["examples"]) == ("voltage", ["0.2 V"])
    for text, fits in (("0.2 V", True), ("-3e-2 mV", True), ("0.2", False), ("V", False)):
        assert bool(re.match(at["pattern"], text)) == fits, text
    assert {key: found["share"][key] for key in ("type", "minimum", "maximum")} == {
        "type": "number",
        "minimum": 0.0,
        "maximum": 1.0,
    }
    assert found["gain"]["exclusiveMinimum"] == 0.0
    assert "minimum" not in found["shift"]


TARGETS = ["mS", "S", "V", "s", "J", "A", "ohm", "K", "Hz", "F", "K/W"]
PRODUCTS = [
    "K/W",
    "uS/V",
    "V/s*A",
    "V*A/V*s",
    "J/K^2",
    "fF*V",
    "kΩ",
    "1/s",
    "S-1",
    "mV**-2*V^3",
    "A·s/V",
    "W/W",
    "C/V",
    "m/m*ohm",
]


@pytest.mark.parametrize("target", TARGETS)
def test_si_units_are_what_pint_says_they_are(target):
    """Every unit with every prefix, and products: the same factor, or the same refusal."""
    for unit in [*(prefix + symbol for prefix in units._POWERS for symbol in units._SI), *PRODUCTS]:
        assert units._factor(unit, target) == units._by_pint(unit, target), unit


@pytest.mark.parametrize("unit", ["degC", "eV", "min", "h", "day", "/s", "V//s", "mmHg", "in", "x", "rad", "cd", "dB"])
def test_other_units_are_left_to_pint(unit):
    assert units._of_si(unit) is None


def test_reading_a_profile_does_not_wait_for_pint():
    read = "from neuroanp.profiles import load; [load(name) for name in ('ideal', 'pcm')]"
    asked = f"import sys; {read}; print('pint' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("digit", ["\u0661", "\uff11", "\u0967"])
def test_digits_of_other_scripts_are_no_quantities(digit):
    """One is read as another number than a reader of that script may mean, or as none by another tool."""
    for text in (f"{digit} uS", f"1{digit} uS", f"1e{digit} uS", f"1 uS**{digit}"):
        with pytest.raises(ValueError, match="is not a conductance"):
            Dimension("conductance", "S", "25 uS").parse(text)
