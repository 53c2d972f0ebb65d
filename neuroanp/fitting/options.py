"""What a user may say about a measurement beside the file itself."""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Real
from os import PathLike
from typing import Any

from neuroanp.errors import InputError, all_of, did_you_mean

QUANTITIES = ("g_min", "g_max", "t0", "t_read", "v_read", "volts_per_unit")
TEXTS = ("extends", "column", "law")


@dataclass(frozen=True)
class Options:
    """Settings of a fit; None where the file or the base profile says it.

    Args:
        extends: the base profile, a name or a path; None takes the one the fitted law suggests.
        column: header of the measured quantity.
        law: name of the law to fit; None compares those that the kind knows.
        g_min, g_max: the range of conductance a weight uses, siemens.
        t0: time after a write at which the programmed conductance counts as measured, seconds.
        t_read: duration of one read, seconds.
        v_read: voltage that devices were read at, volts: currents over it are conductances.
        volts_per_unit: of the node circuit that a measured voltage drives, volts that stand for a pre-activation of 1.
        missing: numbers in the file that stand for none; None: what looks like one is refused.
        anyway: return the fit even of a law that does not describe the data; its `doubts` say why.
    """

    extends: str | None = None
    column: str | None = None
    law: str | None = None
    g_min: float | None = None
    g_max: float | None = None
    t0: float | None = None
    t_read: float | None = None
    v_read: float | None = None
    volts_per_unit: float | None = None
    missing: tuple[float, ...] | None = None
    anyway: bool = False


def options_of(**words: Any) -> Options:
    """Return options of a fit whose quantities are texts with a unit, or numbers in SI units.

    Raises:
        InputError: a line for each word that there is not, and for each value that is no such quantity.

    >>> options_of(v_read="200 mV", g_max=25e-6)
    Options(extends=None, column=None, law=None, g_min=None, g_max=2.5e-05, t0=None, t_read=None, v_read=0.2, \
volts_per_unit=None, missing=None, anyway=False)
    """
    known = [field.name for field in fields(Options)]
    unknown = [f"{word}: no option of a fit{did_you_mean(word, known)}" for word in words if word not in known]
    if unknown:
        raise InputError(*([unknown[0]] if len(unknown) == 1 else ["the options of the fit have problems", unknown]))
    readers = {
        **{word: lambda word=word: quantity(_flag(word), words[word]) for word in QUANTITIES},
        **{word: lambda word=word: _text(_flag(word), words[word]) for word in TEXTS},
        "missing": lambda: codes(words["missing"]),
        "anyway": lambda: _switch(words["anyway"]),
    }
    found = all_of(*(lambda word=word: readers[word]() for word in words if word in readers))
    read = dict(zip([word for word in words if word in readers], found, strict=True))
    return Options(**read)


def _flag(word: str) -> str:
    return f"--{word.replace('_', '-')}"


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise InputError(f"anyway: {value!r:.80} is neither True nor False")


def _text(option: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str | PathLike) and str(value).strip()):
        return None if value is None else str(value)
    raise InputError(f"{option}: {value!r:.80} is no name")


def quantity(option: str, value: Any) -> float | None:
    """Read a quantity, a text with a unit or a number in SI units, by the option of the command line that it has.

    >>> quantity("--t0", "20 s"), quantity("--g-min", 1e-6), quantity("--g-max", None)
    (20.0, 1e-06, None)
    """
    from neuroanp.units import Conductance, PositiveConductance, PositiveTime, PositiveVoltage, dimension_of

    if value is None:
        return None
    of = {
        "--g-min": Conductance, "--g-max": PositiveConductance, "--v-read": PositiveVoltage,
        "--volts-per-unit": PositiveVoltage,
    }  # fmt: skip
    dimension = dimension_of(of.get(option, PositiveTime))
    assert dimension is not None
    text = f"{float(value)!r} {dimension.unit}" if isinstance(value, Real) and not isinstance(value, bool) else value
    try:
        return dimension.parse(text)
    except ValueError as error:
        raise InputError(f"{option}: {error}") from None


def codes(words: Any) -> tuple[float, ...] | None:
    """Read the numbers that stand for none; () where all were measured, None where nothing is said.

    >>> codes(["-999.9"]), codes(["none"]), codes([]), codes((-1.0,))
    ((-999.9,), (), None, (-1.0,))
    """
    from neuroanp.tables.numbers import number

    given = [str(word) for word in words or ()]
    if not given or given == ["none"]:
        return None if not given else ()
    found = [number(word) for word in given]
    wrong = [word for word, code in zip(given, found, strict=True) if code is None]
    if wrong:
        raise InputError(f"--missing: '{wrong[0]}' is not a number; write e.g. --missing=-999.9, or --missing=none")
    return tuple(code for code in found if code is not None)
