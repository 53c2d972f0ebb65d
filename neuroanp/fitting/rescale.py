"""Keep a base profile's device the same where the fit gives it another range of conductance.

Device units are parts of the range: a step dw of 0.002 of 25 uS would be twice as large, in siemens,
of 50 uS. What is counted in them is put into the new units; laws that go by the conductance over
g_max, as their sources have them, stretch with the range, and that is said.
"""

from __future__ import annotations

from typing import NamedTuple

from neuroanp.devices.pcm import PcmDrift, PcmProgramming, PcmRead
from neuroanp.devices.pcm_update import PcmUpdate
from neuroanp.devices.pulsed import PulsedLaw
from neuroanp.devices.relaxation import WanProgramming, WanRelaxation
from neuroanp.fitting.result import Fit
from neuroanp.profiles import HardwareProfile
from neuroanp.units import PositiveConductance, dimension_of, format_quantity

_HALVES = ("dw", "bound_up", "bound_down", "reference_sd", "tolerance")
"""Of PulsedLaw, in halves of the range; the rest is in steps or in parts of these."""
_OF_G_MAX = {
    "programming": (PcmProgramming, WanProgramming), "drift": (PcmDrift, WanRelaxation), "read": (PcmRead,),
}  # fmt: skip


class Rescaled(NamedTuple):
    """What of a base profile a new range changes.

    Args:
        values: by dotted key, in the new units, with the words of where they are from.
        notes: what stretches with the range.
    """

    values: dict[str, tuple[float, str]]
    notes: tuple[str, ...]


def rescaled(base: HardwareProfile, fit: Fit) -> Rescaled:
    """Return the parameters of a base that count in parts of its range, for the range of the fit.

    Args:
        base: where the rest of the profile is from.
        fit: with the new range among its choices, or without one.
    """
    old = (base.conductance.g_min, base.conductance.g_max)
    new = tuple(_siemens(fit, f"conductance.{name}", was) for name, was in zip(("g_min", "g_max"), old, strict=True))
    if new == old or not new[1] > new[0]:
        return Rescaled({}, ())
    factor = (old[1] - old[0]) / (new[1] - new[0])
    ranges = [f"{format_quantity(low, 'S', 4)} to {format_quantity(high, 'S', 4)}" for low, high in (old, new)]
    values: dict[str, float] = {}
    if isinstance(base.update, PulsedLaw):
        counted = _HALVES if fit.section != "update" else _inherited(fit, base)
        values |= {f"update.{name}": factor * getattr(base.update, name) for name in counted}
    if fit.section != "update" and isinstance(base.update, PcmUpdate):
        values["update.w_max"] = base.update.w_max / factor
    if base.faults is not None and base.faults.corrupt_range:
        values["faults.corrupt_range"] = factor * base.faults.corrupt_range
    values = {key: value for key, value in values.items() if value}
    said = f"as in {base.name}, the same in siemens: the range was {ranges[0]} there and is {ranges[1]} here"
    sections = [
        name for name, laws in _OF_G_MAX.items() if name != fit.section and isinstance(getattr(base, name), laws)
    ]
    notes = []
    if values:
        notes.append(f"{', '.join(values)}: as in {base.name} in siemens, for {ranges[1]} instead of {ranges[0]}")
    if sections and new[1] != old[1]:
        notes.append(
            f"{', '.join(sections)}: inherited from {base.name} as laws of conductance over g_max; with the new "
            f"range they stretch by {new[1] / old[1]:.4g}"
        )
    return Rescaled({key: (float(f"{value:.6g}"), said) for key, value in values.items()}, tuple(notes))


def _inherited(fit: Fit, base: HardwareProfile) -> list[str]:
    """Return what a fitted update law leaves to a base with the same law, of what is in parts of the range."""
    own = {leaf.key[1] for leaf in base.leaves() if leaf.key[0] == "update" and leaf.stated}
    same = any(leaf.key == ("update", "law") and leaf.value == fit.law for leaf in base.leaves())
    left = {choice.key.partition(".")[2] for choice in fit.choices if choice.fallback}
    return [name for name in _HALVES if same and name in own and name in left]


def _siemens(fit: Fit, key: str, otherwise: float) -> float:
    """Return what the fit states of the range, siemens."""
    stated = next((choice.value for choice in fit.choices if choice.key == key), None)
    dimension = dimension_of(PositiveConductance)
    assert dimension is not None
    return otherwise if stated is None else dimension.parse(str(stated)) if str(stated) != "0 S" else 0.0
