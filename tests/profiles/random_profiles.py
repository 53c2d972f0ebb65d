"""Draw profiles whose numbers are physical: decades of each quantity, made to fit where a law ties them together."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from neuroanp.profiles import LAWS, HardwareProfile
from neuroanp.units import Dimension, Plain, PositiveVoltage, format_quantity
from neuroanp.yaml_io import Chosen

# ---- values: decades of what is physical, with the ends that a model admits ----

DECADES = {
    "S": (-12, -2), "V": (-3, 1), "s": (-9, 9), "J": (-20, -6), "A": (-10, -2), "ohm": (-2, 4), "K": (0, 3),
    "Hz": (0, 11), "F": (-17, -9), "K/W": (0, 7),
    "W": (-12, 0), "m^2": (-14, -6),
}  # fmt: skip
"""Powers of ten that quantities are drawn from, by their SI unit."""


def marks_of(annotation: Any, marks: tuple[Any, ...] = ()) -> tuple[Any, tuple[Any, ...]]:
    """Return what is inside Annotated and Optional, and all marks on the way."""
    if hasattr(annotation, "__metadata__"):
        return marks_of(annotation.__origin__, (*marks, *annotation.__metadata__))
    parts = [part for part in get_args(annotation) if part is not type(None)]
    if type(None) in get_args(annotation) and len(parts) == 1:
        return marks_of(parts[0], marks)
    spread = [inner for mark in marks for inner in (mark.metadata if isinstance(mark, FieldInfo) else [mark])]
    return annotation, tuple(spread)


def decades(low: float, high: float) -> st.SearchStrategy[float]:
    """Powers of ten, a few digits each: short numbers that are read back exactly."""
    return st.floats(low, high).map(lambda power: float(f"{10**power:.4g}"))


def quantity(dimension: Dimension, scale: float | None = None) -> st.SearchStrategy[str]:
    """A value with its unit; of a conductance, where `scale` is given, up to three times that."""
    low, high = DECADES[dimension.unit]
    if dimension.unit == "S" and scale is not None:
        high = math.log10(3.0 * scale)
        low = high - 7.0
    numbers = decades(low, high)
    if dimension.signed:
        numbers = st.one_of(numbers, numbers.map(lambda x: -x), st.just(0.0))
    elif not dimension.positive:
        numbers = st.one_of(numbers, numbers, numbers, st.just(0.0))
    return numbers.map(lambda x: format_quantity(x, dimension.unit, digits=None))


def number(plain: Plain) -> st.SearchStrategy[float]:
    """A plain number within its bounds, the bounds among them."""
    low = max(plain.low, -5.0)
    ends = [x for x in (plain.low, plain.high) if math.isfinite(x) and not (plain.open_low and x == plain.low)]
    inner = st.floats(max(low, 1e-6), min(plain.high, 5.0)).map(lambda x: float(f"{x:.4g}"))
    return st.one_of(inner, inner, inner, st.sampled_from(ends)) if ends else inner


def whole(marks: tuple[Any, ...]) -> st.SearchStrategy[int]:
    """A whole number within the bounds that a field states, and small enough to be simulated."""
    low, high = 0, 30
    for mark in marks:
        low = max(low, getattr(mark, "ge", low), getattr(mark, "gt", low - 1) + 1)
        high = min(high, getattr(mark, "le", high), getattr(mark, "lt", high + 1) - 1)
    return st.integers(low, max(low, high))


# ---- sections, from the models' own fields ----

Draw = Callable[[st.SearchStrategy[Any]], Any]
Values = dict[str, Any]


def filled(draw: Draw, model: type[BaseModel], scale: float | None) -> Values:
    """Draw every field of a model that is required, and half of the others."""
    values: Values = {}
    for name, field in model.model_fields.items():
        if field.is_required() or draw(st.booleans()):
            values[name] = value(draw, name, *marks_of(field.annotation, tuple(field.metadata)), scale)
    return values


def value(draw: Draw, name: str, kind: Any, marks: tuple[Any, ...], scale: float | None) -> Any:
    """Draw one value of a field's type."""
    for mark in marks:
        if isinstance(mark, Dimension):
            return draw(quantity(mark, scale))
        if isinstance(mark, Plain):
            return draw(number(mark))
    if get_origin(kind) is Literal:
        return draw(st.sampled_from(get_args(kind)))
    if kind is bool:
        return draw(st.booleans())
    if kind is int:
        return draw(whole(marks))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return filled(draw, kind, scale)
    if get_origin(kind) is tuple:
        return [value(draw, name, *marks_of(get_args(kind)[0]), scale) for _ in range(draw(st.integers(0, 3)))]
    raise TypeError(f"no way to draw field '{name}' of type {kind!r}; teach this test one")


@cache
def laws(kind: str) -> tuple[str, ...]:
    """The built-in laws of one kind, but those that need a file."""
    models = {name: LAWS[kind].get(name) for name in LAWS[kind].names()}
    own = [name for name, model in models.items() if model.__module__.startswith("neuroanp.")]
    return tuple(name for name in own if "file" not in models[name].model_fields)


# ---- what must hold between the fields of a law: drawn numbers are made to fit ----


def fit_pulsed(draw: Draw, values: Values, g_max: float) -> None:
    """Steps and tolerances within the bounds; the asymmetry short of turning a step round."""
    width = values["bound_up"] + values["bound_down"]
    for name in ("dw", "tolerance"):
        values[name] = width * draw(decades(-4, -0.01))
    if "up_down" in values:
        values["up_down"] /= 5.01
    for name in ("gamma_up", "gamma_down"):
        if name in values:
            values[name] = abs(values[name]) / 5.0
    if "A_up" in values:
        values |= {"A_up": -abs(values["A_up"]), "A_down": -abs(values["A_down"])}
        values |= {"a": values["a"] / 5.0, "b": values["b"] / 5.0}


def fit_pcm_programming(draw: Draw, values: Values, g_max: float) -> None:
    """A polynomial that is nowhere negative."""
    values |= {"c0": "1 nS", "c1": f"{draw(decades(-12, -3))} S", "c2": f"{draw(decades(-12, -3))} S"}


def fit_pcm_update(draw: Draw, values: Values, g_max: float) -> None:
    """A reset below where a pair is refreshed."""
    values["refresh_upper"] = max(values["refresh_upper"], 1e-3)
    values["reset"] = draw(st.sampled_from([0.0, 0.01, 0.9])) * values["refresh_upper"] * values["w_max"]


def fit_pcm_drift(draw: Draw, values: Values, g_max: float) -> None:
    """The limits of the exponent in order."""
    for part in ("mu", "s"):
        low, high = sorted((values[f"{part}_min"], values[f"{part}_max"]))
        values |= {f"{part}_min": low, f"{part}_max": high}
    fit_together("activation_energy", "reference_temperature")(draw, values, g_max)
    if "activation_energy" in values:
        values |= {"activation_energy": "0.01 eV", "reference_temperature": "300 K"}


def fit_polynomial(error: Values, scale: float, time: float, growth: float) -> Values:
    """A polynomial of the target that is nowhere negative, `growth` times as large."""
    numbers = [growth * scale * k for k in (0.02, 0.05, 0.0, 0.01, 0.0)]
    named = {f"c{k}": format_quantity(c, "S", digits=None) for k, c in enumerate(numbers)}
    return {"time": f"{time} s", "g_ref": error["g_ref"], **named}


def fit_wan(draw: Draw, values: Values, g_max: float) -> None:
    """Stages in order of time, with errors that grow."""
    first = draw(decades(-3, 3))
    growth = 1.0
    for name in values:
        if isinstance(values[name], dict):
            g_ref = values["start" if "start" in values else "error"]["g_ref"]
            values[name] = fit_polynomial({"g_ref": g_ref}, g_max, first * growth**4, growth)
            growth *= 1.0 + draw(st.sampled_from([0.1, 1.0, 9.0]))


def fit_sonos(draw: Draw, values: Values, g_max: float) -> None:
    """Stages in order of time, with errors that grow."""
    if "start" in values:
        a = draw(decades(-9, -6))
        values["start"] |= {"time": "1 s", "a": f"{a} A"}
        values["end"] |= {
            "time": "1 d",
            "a": f"{3 * a} A",
            "b": values["start"]["b"],
            "v_read": values["start"]["v_read"],
        }


def fit_together(*names: str) -> Callable[[Draw, Values, float], None]:
    """Fields that go with one another: all or none."""

    def fit(draw: Draw, values: Values, g_max: float) -> None:
        if not set(names) <= set(values):
            for name in names:
                values.pop(name, None)

    return fit


def fit_band(draw: Draw, values: Values, g_max: float) -> None:
    """Cut-offs in order."""
    low = draw(decades(-4, 6))
    values |= {"f_low": f"{low} Hz", "f_high": f"{low * draw(decades(0.1, 6)):.4g} Hz"}


def fit_dwells(draw: Draw, values: Values, g_max: float) -> None:
    """Dwell times that do not differ beyond what is seen."""
    tau = draw(decades(-9, 9))
    values |= {"tau_high": f"{tau} s", "tau_low": f"{tau * draw(decades(-5.9, 5.9)):.4g} s"}
    if "tau_decades" in values:
        values["tau_decades"] = draw(st.sampled_from([0.0, 0.5, 4.0, 24.0]))


def fit_flips(draw: Draw, values: Values, g_max: float) -> None:
    """Flips that no junction of a small bank can have more often than at every sample."""
    if values.get("flip_cv"):
        values |= {"flip": min(values["flip"], 0.05), "flip_cv": 0.3 * values["flip_cv"]}


def fit_junction(draw: Draw, values: Values, g_max: float) -> None:
    """One way to state the barrier and one for the bias, which stays below the critical voltage."""
    for name in ("dwell", "v_slope"):
        values.pop(name, None)
    v = draw(decades(-2, 0.5))
    values |= {"delta": draw(decades(-1, 1.3)), "v_c": f"{v} V", "v_dd": f"{v} V", "v50": f"{0.4 * v:.4g} V"}
    if "v50_sd" in values:  # six of them, and the bias, leave a barrier
        values["v50_sd"] = f"{0.005 * v:.4g} V"
    for name in ("delta_cv", "r_cv", "tmr_cv"):
        if name in values:
            values[name] *= 0.1
    if "bias" in values:
        values["bias"] = f"{v * draw(st.sampled_from([0.0, 0.4, 1.3, -0.5])):.4g} V"


def fit_fluctuators(draw: Draw, values: Values, g_max: float) -> None:
    """Dwell times and cut-offs that go together, and sizes that are all of one kind and not all zero."""
    read, relative = "kappa" not in values, draw(st.booleans())
    kinds = ("amplitude", "amplitude_absolute")
    for part in [*values.get("fluctuators", []), *([values["background"]] if values.get("background") else [])]:
        (fit_band if "f_low" in part else fit_dwells)(draw, part, g_max)
        if read:
            size = (part.get(kinds[0]) or 0.01) if relative else (part.get(kinds[1]) or f"{1e-2 * g_max:g} S")
            for kind in kinds:
                part.pop(kind, None)
            part[kinds[not relative]] = size
    if read:
        values.pop("white", None), values.pop("white_absolute", None)
        values["white" if relative else "white_absolute"] = 0.01 if relative else f"{1e-3 * g_max:g} S"
    else:
        values["white"] = "1 mV"


def fit_switching(draw: Draw, values: Values, g_max: float) -> None:
    """Pulses that are long, at currents below the critical ones."""
    share = draw(st.sampled_from([0.5, 0.9, 0.99]))
    for way, critical in (("up", 40.0), ("down", 60.0)):
        values |= {f"i_c0_{way}": f"{critical} uA", f"current_{way}": f"{share * critical:g} uA"}
    values |= {"tau0": "1 ns", "duration": "100 ns", "delta": draw(st.sampled_from([20.0, 60.0]))}
    for name in ("delta_cv", "i_c0_cv"):
        if name in values:
            values[name] *= 0.1


FITS: dict[tuple[str, str], Callable[[Draw, Values, float], None]] = {
    ("update", "soft_bounds"): fit_pulsed,
    ("update", "linear_step"): fit_pulsed,
    ("update", "exponential_step"): fit_pulsed,
    ("update", "stt_mram"): fit_switching,
    ("programming", "pcm"): fit_pcm_programming,
    ("update", "pcm"): fit_pcm_update,
    ("drift", "pcm"): fit_pcm_drift,
    ("drift", "wan"): fit_wan,
    ("programming", "wan"): fit_wan,
    ("drift", "sonos"): fit_sonos,
    ("drift", "leak"): fit_together("activation_energy", "reference_temperature"),
    ("programming", "gaussian"): fit_together("levels", "g_low"),
    ("read", "one_over_f"): fit_band,
    ("stochastic", "one_over_f"): fit_band,
    ("read", "rtn"): fit_dwells,
    ("stochastic", "rtn"): fit_dwells,
    ("stochastic", "koenders"): fit_flips,
    ("read", "fluctuators"): fit_fluctuators,
    ("stochastic", "fluctuators"): fit_fluctuators,
    ("stochastic", "smtj"): fit_junction,
}


def fit_sections(draw: Draw, content: Values) -> None:
    """What must hold between the keys of the other sections."""
    energy, faults, periphery = (content.get(name) for name in ("energy", "faults", "periphery"))
    if energy is not None:
        if "write" in energy or "write_voltage" not in energy:
            for name in ("write_voltage", "line_capacitance", "half_select", "write_v_0"):
                energy.pop(name, None)
        else:
            energy["write_time"] = "10 ns"
        if "stochastic" not in content:
            energy.pop("area_junction", None)
        if content.get("stochastic", {}).get("law", "smtj") == "smtj":
            energy.pop("static_junction", None)
        if "endurance" not in energy:
            energy.pop("endurance_sd", None)
    if faults is not None:
        fit_together("corrupt", "corrupt_range")(draw, faults, 0.0)
        if "corrupt_range" in faults:  # a device of its own in offset coding reaches down to no conductance
            faults["corrupt_range"] = min(faults["corrupt_range"], 1.0)
        for name in ("corrupt", "stuck_low", "stuck_high"):
            if name in faults:
                faults[name] /= 3.0
    if periphery is not None:
        if "dac" in periphery and periphery["dac"].get("inputs") == "bit_serial":
            periphery["dac"].pop("noise", None)
        read = content.get("read", {})
        read |= {name: periphery[name] for name in ("t_read", "v_read") if name in read}
    disturb, drift = content.get("disturb"), content.get("drift", {})
    if disturb is not None:
        if periphery is None or drift.get("law") == "leak" or not {"update", "programming"} & {*content}:
            del content["disturb"]
        else:
            periphery.pop("drift_compensation", None)
            fit_together("read", "towards")(draw, disturb, 0.0)
            disturb.setdefault("half_select", 1e-6)
    neurons = content.get("neurons", {})
    if "stochastic" not in content:
        neurons.pop("membrane_sigma", None)
    if periphery is not None or "read" in (energy or {}):
        neurons.pop("energy_per_event", None)
    fit_writes(content)


def fit_writes(content: Values) -> None:
    """Levels from g_min on; what relaxes starts from the error of the write, at the one voltage of all reads."""
    programming, drift = content.get("programming", {}), content.get("drift", {})
    if "g_low" in programming:
        programming["g_low"] = content["conductance"]["g_min"]
    if "start" in drift and "error" in programming:
        if drift["law"] != programming["law"]:
            del content["drift"]
        else:
            programming["error"] = drift["start"]
    volts = content.get("periphery", {}).get("v_read")
    errors = [programming.get("error"), *(drift.get(name) for name in ("start", "end"))]
    for error in errors:
        if volts is not None and error is not None and "v_read" in error:
            error["v_read"] = volts


def fit_reads(draw: Draw, content: Values) -> None:
    """Drift of pairs alone is compensated, not too often; currents bend over volts that are near those there are."""
    periphery, pairs = content.get("periphery"), content["conductance"]["coding"] == "differential"
    if periphery is None:
        return
    if (adc := periphery.get("adc")) and ("dnl_sd" in adc or "inl_sd" in adc):
        adc["bits"] = min(adc["bits"], 8)
    wires = content["array"].get("wires", {})
    wires |= {name: "0.01 fF" for name in ("c_word", "c_bit") if name in wires}  # settled within any read
    if "drift_compensation" in periphery:
        if content.get("drift", {"law": "leak"})["law"] == "leak" or not pairs:
            del periphery["drift_compensation"]
        else:
            periphery["drift_compensation"]["every"] = draw(st.sampled_from(["10 Gs", "100 Gs"]))
    if "wires" not in content["array"] and draw(st.booleans()):
        volts = [periphery["v_read"], content.get("energy", {}).get("write_voltage", periphery["v_read"])]
        most = max(TypeAdapter(PositiveVoltage).validate_python(text) for text in volts)
        content["conductance"]["v_0"] = format_quantity(draw(decades(-1, 3)) * most, "V", digits=None)


def fit_lines(draw: Draw, content: Values) -> None:
    """Writes go through lines by pulses with a voltage, one device at a time, by a law that knows weaker ones."""
    wires, energy = content["array"].get("wires", {}), content.get("energy", {})
    law, programs = content.get("update", {}).get("law"), "programming" in content
    if wires.get("writes") != "resistive" or "write_voltage" not in energy or law == "pcm" or not (law or programs):
        wires.pop("writes", None)
        energy.pop("write_v_0", None)
        return
    content["array"]["write"] = "serial"
    wires |= {"r_word": "1 ohm", "r_bit": "0.5 ohm"}  # a verified write that hardly moves a device is an error
    energy["half_select"] = draw(st.sampled_from([0.0, 0.5]))
    if programs or law != "stt_mram":
        volts = TypeAdapter(PositiveVoltage).validate_python(energy["write_voltage"])
        energy["write_v_0"] = format_quantity(volts * draw(st.sampled_from([0.2, 1.0, 1e3])), "V", digits=None)
    else:
        energy.pop("write_v_0", None)


@st.composite
def profiles(draw: Draw) -> Values:
    """A profile as its file would hold it, of any laws and any sections."""
    g_max = draw(decades(-9, -2))
    g_min = draw(st.sampled_from([0.0, 1e-3, 0.2, 0.99])) * g_max
    content: Values = {
        "meta": {"name": "random", "summary": "drawn", "source": "a test", "status": "illustrative"},
        "conductance": {
            "g_min": format_quantity(g_min, "S", digits=None),
            "g_max": format_quantity(g_max, "S", digits=None),
            "coding": draw(st.sampled_from(["differential", "offset"])),
        },
    }
    for name, field in HardwareProfile.model_fields.items():
        if name in content or (name != "array" and not draw(st.sampled_from([True, True, False]))):
            continue
        kind, marks = marks_of(field.annotation, tuple(field.metadata))
        if any(isinstance(mark, Chosen) for mark in marks):
            law = draw(st.sampled_from(laws(name)))
            values = filled(draw, LAWS[name].get(law), g_max)
            if (name, law) in FITS:
                FITS[name, law](draw, values, g_max)
            content[name] = {"law": law, **values}
        else:
            content[name] = filled(draw, kind, g_max)
    if "weight_range" in content["array"]:
        content["array"]["weight_range"] = draw(decades(-2, 3))
    fit_sections(draw, content)
    fit_reads(draw, content)
    fit_lines(draw, content)
    if content.get("update", {}).get("law") == "stt_mram":  # and of pairs pulses in place are refused
        content["conductance"]["coding"] = "offset"
        content.get("periphery", {}).pop("drift_compensation", None)
    if content.get("update", {}).get("law") == "pcm":  # its pulses only raise: it takes pairs
        content["conductance"]["coding"] = "differential"
    return content
