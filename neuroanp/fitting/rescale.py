"""Keep a base profile's device the same where the fit gives it another range of conductance.

Device units are parts of the range: a step dw of 0.002 of 25 uS would be twice as large, in siemens,
of 50 uS. What is counted in them is put into the new units; laws that go by the conductance over
g_max, as their sources have them, stretch with the range, and that is said. Pulsed devices are counted
from the middle of the range: where that moves, so does all that they reach, and that is said too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neuroanp.devices.pcm import PcmDrift, PcmProgramming, PcmRead
from neuroanp.devices.pcm_update import PcmUpdate
from neuroanp.devices.protocol import Span
from neuroanp.devices.pulsed import PulsedLaw
from neuroanp.devices.relaxation import WanProgramming, WanRelaxation
from neuroanp.fitting.result import Fit
from neuroanp.fitting.table import CONDUCTANCE
from neuroanp.profiles import HardwareProfile
from neuroanp.units import format_quantity

_HALVES = ("dw", "bound_up", "bound_down", "reference_sd", "tolerance")
"""Of PulsedLaw, in halves of the range; the rest is in steps or in parts of these."""
_BOUNDS = ("update.bound_up", "update.bound_down")
_SAME = 1e-9
"""Of a range: what rounding leaves of nothing."""
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


def rescaled(base: HardwareProfile, *fits: Fit) -> Rescaled:
    """Return the parameters of a base that count in parts of its range, for the range of the fit.

    Args:
        base: where the rest of the profile is from.
        fits: with the new range among their choices, the same in all that state one, or without one.
    """
    sections = {fit.section for fit in fits}
    update = next((fit for fit in fits if fit.section == "update"), None)
    old = Span(base.conductance.g_min, base.conductance.g_max)
    new = Span(
        *(_siemens(fits, f"conductance.{name}", otherwise) for name, otherwise in zip(old._fields, old, strict=True))
    )
    if new == old or not new.g_max > new.g_min:
        return Rescaled({}, ())
    factor = old.width / new.width
    values: dict[str, float] = {}
    if isinstance(base.update, PulsedLaw):
        counted = _HALVES if update is None else _inherited(update, base)
        values |= {f"update.{name}": factor * getattr(base.update, name) for name in counted}
    if update is None and isinstance(base.update, PcmUpdate):
        values["update.w_max"] = base.update.w_max / factor
    if base.faults is not None and base.faults.corrupt_range:
        values["faults.corrupt_range"] = min(factor * base.faults.corrupt_range, 1.0)  # stuck anywhere in the range
    values = {key: value for key, value in values.items() if value}
    said = f"as in {base.name}, the same in siemens: the range was {_shown(*old)} there and is {_shown(*new)} here"
    moved = f"; counted from its middle, which was {_at(old.middle)} and is {_at(new.middle)}"
    sources = {key: said + (moved if key in _BOUNDS and _moves(old, new) else "") for key in values}
    notes = []
    if values:
        notes.append(f"{', '.join(values)}: as in {base.name} in siemens, for {_shown(*new)} instead of {_shown(*old)}")
    if isinstance(base.update, PulsedLaw) and values.keys() >= set(_BOUNDS):
        notes += _reach(base.update, base.name, old, new)
    inherited = [
        name for name, laws in _OF_G_MAX.items() if name not in sections and isinstance(getattr(base, name), laws)
    ]
    if inherited and new.g_max != old.g_max:
        notes.append(
            f"{', '.join(inherited)}: inherited from {base.name} as laws of conductance over g_max; with the new "
            f"range they stretch by {new.g_max / old.g_max:.4g}"
        )
    return Rescaled({key: (float(f"{value:.6g}"), sources[key]) for key, value in values.items()}, tuple(notes))


def _moves(old: Span, new: Span) -> bool:
    return abs(new.middle - old.middle) > _SAME * new.width


def _reach(law: PulsedLaw, name: str, old: Span, new: Span) -> list[str]:
    """Say from where to where devices of a base go, where that moved or leaves a part of the new range out.

    A bound is as far from the middle as it was, in siemens; a reference that is subtracted shifts both alike.
    """
    import torch

    like = torch.zeros((1, 1, 1), dtype=torch.float64)
    cells = law.sample((1, 1, 1), np.random.default_rng(0), frozenset(), like)
    ends = [(cells[end] - cells["ref"]).item() * old.width / 2 for end in ("w_min", "w_max")]
    before, after = (Span(*(span.middle + end for end in ends)) for span in (old, new))
    said = f"typical devices of {name} go from {_shown(*before)} there, and from {_shown(*after)} here"
    if _moves(old, new):
        said += (
            f": their bounds count from the middle of the range, which moved from {_at(old.middle)} to "
            f"{_at(new.middle)}"
        )
    within = max(0.0, min(after.g_max, new.g_max) - max(after.g_min, new.g_min)) / new.width
    short = within < 1.0 - _SAME
    if not (short or _moves(old, new)):
        return []
    if short:
        said += f". That is {100 * within:.3g} % of {_shown(*new)}, and weights beyond cannot be written"
    return [
        f"{said}. Unless your devices do so, set update.bound_up and update.bound_down yourself, fit pulses of theirs "
        f"(--kind pulse), or keep the range of {name} (--g-min '{_at(old.g_min)}' --g-max '{_at(old.g_max)}')"
    ]


def _shown(low: float, high: float) -> str:
    """Return a range of conductance in words."""
    return f"{_at(low)} to {_at(high)}"


def _at(g: float) -> str:
    """Return a conductance, siemens, in words."""
    return format_quantity(g, "S", 4)


def _inherited(fit: Fit, base: HardwareProfile) -> list[str]:
    """Return what a fitted update law leaves to a base with the same law, of what is in parts of the range."""
    own = {leaf.key[1] for leaf in base.leaves() if leaf.key[0] == "update" and leaf.stated}
    same = any(leaf.key == ("update", "law") and leaf.value == fit.law for leaf in base.leaves())
    left = {choice.key.partition(".")[2] for choice in fit.choices if choice.fallback}
    return [name for name in _HALVES if same and name in own and name in left]


def _siemens(fits: Sequence[Fit], key: str, otherwise: float) -> float:
    """Return what the fits state of the range, siemens."""
    stated = next((choice.value for fit in fits for choice in fit.choices if choice.key == key), None)
    return otherwise if stated is None else CONDUCTANCE.parse(str(stated))
