"""Tell on what the figures of a run's device rest: on its own numbers, on another device's, or on illustrative ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from neuroanp.errors import InputError
from neuroanp.profiles.provenance import STATUSES, unwrap
from neuroanp.yaml_io import dotted, parse

ENERGY, TIME, WEAR = "energy_J", "chip_time_s", "wear"
NAMES = {ENERGY: "energy", TIME: "chip time", WEAR: "wear"}
ILLUSTRATIVE, INHERITED = "†", "‡"
WARM = ("activation_energy", "tcr", "reference_temperature")
"""Keys of what a conductance is at the chip's temperature: part of every V^2 G t."""
RESTS_ON = {
    ENERGY: (
        *(f"energy.{key}" for key in ("write", "write_voltage", "line_capacitance", "half_select", "read", "digital")),
        "energy.accumulate", "energy.write_time", "periphery.v_read", "periphery.t_read", "periphery.dac.energy",
        "periphery.adc.energy",
        *(f"energy.static_{part}" for part in ("row", "column", "node", "junction")),
        *(f"energy.static_{of}" for of in ("row", "column", "node", "junction")), "conductance.v_0",
        *(f"stochastic.{key}" for key in ("v_dd", "r_load", "r_p", "tmr", "v_half")),
        *(f"stochastic.{key}" for key in ("v50_sd", "delta_cv", "r_cv", "tmr_cv")),
        *(f"conductance.{key}" for key in WARM),
        "stochastic.energy_per_bit", "neurons.energy_per_spike", "neurons.energy_per_event",
        "array.wires.r_word", "array.wires.r_bit", "energy.write_v_0",
    ),
    TIME: ("energy.write_time", "energy.write_v_0"),
    WEAR: ("energy.endurance", "energy.endurance_sd"),
}  # fmt: skip
"""Parameters of a profile that a figure is computed from (see `_enters`); reads take the time of a run's steps."""
NOISE = ("read", "stochastic")
"""Sections that say how the device's noise reaches the units."""
OF_A_DEVICE = (
    "read",
    "drift",
    "disturb",
    "update",
    "variability",
    "faults",
    "periphery",
    "energy",
    "stochastic",
    "neurons",
)
"""A profile with none of these sections is no device, but what devices are compared with: it has no noise to state."""


@dataclass(frozen=True)
class Origins:
    """Where the figures of one profile are from.

    Args:
        illustrative: the figures (ENERGY, TIME, WEAR) that rest on illustrative values.
        inherited: the profiles whose values a figure rests on, by figure.
        noise: why its noise cannot be compared with another device's, or "" where it can.
        instrument: the name of what held the weights, or "" where arrays were simulated.
    """

    illustrative: frozenset[str] = frozenset()
    inherited: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    noise: str = "has noise that is not known"
    instrument: str = ""

    def marks(self, figure: str) -> str:
        """Return what is put behind a value of a figure: nothing where it rests on the device's own numbers."""
        return ILLUSTRATIVE * (figure in self.illustrative) + INHERITED * (figure in self.inherited)


UNKNOWN = Origins()
PLAYED = "neuroanp,played"
"""What the name of an instrument begins with that is none: see `neuroanp.instruments.played`."""


def origins_of(profile: Any, instrument: Any = None) -> Origins:
    """Return the origins of what a run's manifest says of its profile; UNKNOWN where that cannot be read.

    Args:
        profile: `text`, the canonical profile, and `inherited`, which profile a parameter was taken over from.
        instrument: `name`, of one that held the weights: its noise, energy and time are its own, and only the endurance
            is the profile's; None: arrays were simulated.

    >>> text = "meta: {status: measured}\\nread: {q: 1}\\nenergy: {write: {value: 1 pJ, status: illustrative}}"
    >>> found = origins_of({"text": text, "inherited": {"energy.write": "pcm"}})
    >>> found.marks("energy_J"), found.marks("wear"), found.noise
    ('†‡', '', '')
    """
    about = profile if isinstance(profile, Mapping) else {}
    inherited = about.get("inherited")
    pairs = inherited.items() if isinstance(inherited, Mapping) else ()
    found = _origins(str(about.get("text", "")), tuple((str(key), str(base)) for key, base in pairs))
    if not isinstance(instrument, Mapping):
        return found
    name, of_profile = str(instrument.get("name", "")), {WEAR}
    if not instrument.get("tells_time", True):  # of pulses it is the profile's, then
        of_profile |= {TIME}
    return Origins(
        illustrative=found.illustrative & of_profile,
        inherited={figure: bases for figure, bases in found.inherited.items() if figure in of_profile},
        noise="is played, not measured" if name.startswith(PLAYED) else "",
        instrument=f"{name:.80}" or "one without a name",
    )


@lru_cache(maxsize=256)
def _origins(text: str, inherited: tuple[tuple[str, str], ...]) -> Origins:
    try:
        document, stated, _ = unwrap(parse(text, "profile"))
    except InputError:
        return UNKNOWN
    bases = dict(inherited)
    status = {dotted(key): origin.status for key, origin in stated.items()}
    if not _writes_through_lines(document.data):  # what lines take of reads costs nothing that is booked
        status = {key: origin for key, origin in status.items() if not key.startswith("array.wires.r_")}
    used = {
        figure: [key for key in keys if key in status and _enters(key, figure, status)]
        for figure, keys in RESTS_ON.items()
    }
    return Origins(
        illustrative=frozenset(figure for figure, keys in used.items() if _any(status, keys)),
        inherited={figure: _bases(bases, keys) for figure, keys in used.items() if _bases(bases, keys)},
        noise=_noise(document.data, status, bases),
    )


class Share(NamedTuple):
    """How many numbers of a profile are of one kind: measured, fitted, illustrative, or inherited."""

    kind: str
    count: int
    text: str


def numbers_of(profile: Any) -> list[Share]:
    r"""Return how many numbers of a profile are of which kind; none where that cannot be read.

    Args: profile: what a run's manifest says of it, as of `origins_of`.

    >>> text = "meta: {status: measured}\nread: {q: 1}\nenergy: {write: {value: 1, status: illustrative}, endurance: 3}"
    >>> [one.text for one in numbers_of({"text": text, "inherited": {"energy.endurance": "pcm"}})]
    ['1 measured', '1 inherited from pcm', '1 illustrative']
    """
    about = profile if isinstance(profile, Mapping) else {}
    inherited = about.get("inherited")
    whose = inherited if isinstance(inherited, Mapping) else {}
    try:
        _, stated, _ = unwrap(parse(str(about.get("text", "")), "profile"))
    except InputError:
        return []
    kinds: dict[str, int] = dict.fromkeys((*STATUSES[:2], "inherited", *STATUSES[2:]), 0)
    bases: dict[str, None] = {}
    for key, origin in stated.items():
        name = dotted(key)
        if key[0] in ("meta", "extends") or name.endswith(".law"):
            continue
        kinds["inherited" if name in whose else origin.status] += 1
        bases |= {str(whose[name]): None} if name in whose else {}
    whom = f" from {', '.join(bases)}" if bases else ""
    return [Share(kind, n, f"{n} {kind}{whom if kind == 'inherited' else ''}") for kind, n in kinds.items() if n]


def _writes_through_lines(sections: Mapping[str, Any]) -> bool:
    array = sections.get("array")
    wires = array.get("wires") if isinstance(array, Mapping) else None
    return isinstance(wires, Mapping) and wires.get("writes") == "resistive"


def _noise(sections: Mapping[str, Any], status: Mapping[str, str], bases: Mapping[str, str]) -> str:
    if not any(section in sections for section in OF_A_DEVICE) and len(sections) > 1:
        return ""
    keys = [key for key in status if key.partition(".")[0] in NOISE and not key.endswith((".law", ".energy_per_bit"))]
    if not keys:
        return "states no noise"
    if taken := _bases(bases, keys):
        return f"has noise of {', '.join(taken)}"
    return "has illustrative values in its noise" if _any(status, keys) else ""


def _enters(key: str, figure: str, status: Mapping[str, str]) -> bool:
    """Tell whether a parameter enters an energy that may be computed in two ways; a time has one."""
    if figure == ENERGY and key == "energy.write_time":
        return "energy.write_voltage" in status  # V^2 G t of a pulse
    if figure == ENERGY and key in {f"conductance.{name}" for name in WARM}:
        return "energy.write_voltage" in status or ("periphery.v_read" in status and "energy.read" not in status)
    if figure == ENERGY and key in ("periphery.v_read", "periphery.t_read"):
        return "energy.read" not in status  # V^2 G t of a read, unless a weight has a figure of its own
    return True


def _any(status: Mapping[str, str], keys: Iterable[str]) -> bool:
    return any(status[key] == "illustrative" for key in keys)


def _bases(bases: Mapping[str, str], keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(bases[key] for key in keys if key in bases))
