"""Options whose promise holds for some profiles only: each says so before a run, or is refused.

What a law does is found out by asking it, so that laws of one's own are told of as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from neuroanp.devices.measured import MeasuredProgramming, MeasuredRead
from neuroanp.devices.protocol import DriftLaw, ReadLaw, Span, remembers
from neuroanp.profiles.loader import available, load
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile
    from neuroanp.substrates.chip import DeviceChip

DAY = 86_400.0
READING = frozenset({"read_noise", "frozen_noise"})


def memory_of(profile: HardwareProfile) -> str:
    """Return how a read law remembers: "none" (no law), "white", "process" (drawn in time), or "window".

    A law of "window" divides its noise into what is new at a read and what stands still for a window: right for the
    moments of one read, but no two reads of a window share what moves between them.

    >>> [memory_of(load(name)) for name in ("ideal", "fefet", "rram_rtn", "pcm")]
    ['none', 'white', 'process', 'process']
    """
    law: ReadLaw | None = profile.read  # pyright: ignore[reportAssignmentType]
    if law is None:
        return "none"
    if remembers(law):
        return "process"
    _, frozen = _noise(law, profile, DAY)
    return "window" if bool(frozen.any()) else "white"


def sampled_problem(profile: HardwareProfile, read: str, effects: frozenset[str]) -> str | None:
    """Return why every device drawn at every read would not have the memory that its noise has, or None."""
    if read != "sampled" or "read_noise" not in effects or memory_of(profile) != "window":
        return None
    have = [name for name in available() if memory_of(load(name)) == "process"]
    return (
        f"hardware.read: sampled draws the noise of every device with its memory, and the read law of profile "
        f"'{profile.meta.name}' has moments only: two reads would share nothing of what moves between them; use "
        f"hardware.read: moments, switch read_noise off, or take a profile whose law is a process in time (rtn, "
        f"one_over_f, fluctuators, pcm: {', '.join(have)})"
    )


def changes_with_time(profile: HardwareProfile, effects: frozenset[str]) -> bool:
    """Return whether lying idle changes anything: a drift law that is on, or read noise that depends on age.

    >>> everything = frozenset({"drift", *READING})
    >>> [changes_with_time(load(name), everything) for name in ("fefet", "pcm")]
    [False, True]
    >>> changes_with_time(load("pcm"), READING), changes_with_time(load("capacitor"), READING)
    (True, False)
    """
    if profile.drift is not None and "drift" in effects:
        return True
    law: ReadLaw | None = profile.read  # pyright: ignore[reportAssignmentType]
    if law is None or not effects & READING:
        return False
    young, old = (torch.hypot(*_noise(law, profile, age)) for age in (1.0, DAY))
    return not torch.equal(young, old)


def table_end(profile: HardwareProfile, effects: frozenset[str]) -> float | None:
    """Return the last time after a write, seconds, that the drift law has numbers for; None: it is no table, or off.

    >>> table_end(load("rram_wan"), frozenset({"drift"})), table_end(load("pcm"), frozenset({"drift"}))
    (172800.0, None)
    """
    law: DriftLaw | None = profile.drift  # pyright: ignore[reportAssignmentType]
    return law.last_s if law is not None and "drift" in effects else None


def beyond_table(profile: HardwareProfile, effects: frozenset[str], age_s: float, when: str) -> str | None:
    """Return what to say of devices that were written `age_s` seconds ago, `when` in words; None within the table.

    >>> beyond_table(load("sonos_flash"), frozenset({"drift"}), 6 * DAY, "after 6 d")
    'after 6 d: the drift table of profile sonos_flash ends 5 d after a write; beyond, its last values are taken'
    """
    end = table_end(profile, effects)
    if end is None or age_s <= end:
        return None
    return (
        f"{when}: the drift table of profile {profile.meta.name} ends {duration(end)} after a write; beyond, its last "
        "values are taken"
    )


def oldest(chip: DeviceChip) -> float:
    """Return seconds since the write of the device that has waited longest; 0 where no law asks for it."""
    ages = [chip.now - float(array.cells["t"].min()) for array in chip.arrays.values() if "t" in array.cells]
    return max(ages, default=0.0)


def duration(seconds: float) -> str:
    """Return a time in words, in days where it is one or more.

    >>> duration(172800.0), duration(90.0)
    ('2 d', '90 s')
    """
    return f"{seconds / DAY:.4g} d" if seconds >= DAY else format_quantity(seconds, "s", 3)


def temperature_dependent(profile: HardwareProfile, effects: frozenset[str]) -> list[str]:
    """Return which sections of a profile depend on the temperature and are on."""
    effect = {"drift": "drift", "stochastic": "node_noise"}
    on = [(name, law) for name, law in (("drift", profile.drift), ("stochastic", profile.stochastic))
          if effect[name] in effects]  # fmt: skip
    laws = [name for name, law in on if law is not None and _differs(law, profile.temperature)]
    thermal = profile.periphery is not None and profile.periphery.bandwidth is not None and "thermal_noise" in effects
    conducts = "conductance_temperature" in effects and profile.conductance.reference_temperature is not None
    return ["conductance"] * conducts + laws + ["periphery"] * thermal


def _differs(law: Any, kelvin: float) -> bool:
    """Return whether a law is another one a degree warmer: a leak without an energy is not."""
    if law.at_temperature is None:
        return False
    try:
        return law.at_temperature(kelvin) != law.at_temperature(kelvin + 1.0)
    except ValueError:  # it holds at the one and not at the other
        return True


def idle_options(
    profile: HardwareProfile, effects: frozenset[str], read: str, wires: str, temperature: float | None
) -> list[str]:
    """Return a sentence for each option that changes nothing on a profile, and for each table that ends too early."""
    name = profile.meta.name
    said = []
    if temperature is not None and not temperature_dependent(profile, effects):
        said.append(f"hardware.temperature changes nothing: no law of profile {name} that is on depends on it")
    if wires == "exact" and (profile.array.wires is None or "wires" not in effects):
        why = "states no resistance of lines" if profile.array.wires is None else "has its wires switched off"
        said.append(f"hardware.wires: exact changes nothing: profile {name} {why}")
    if read == "sampled":
        memory = memory_of(profile)
        if memory == "none" or "read_noise" not in effects:
            why = "has no read noise" if memory == "none" else "has its fresh read noise switched off"
            said.append(f"hardware.read: sampled changes nothing: profile {name} {why}")
        elif memory == "white":
            said.append(
                f"hardware.read: sampled changes no distribution: the read noise of profile {name} is white, new at "
                "every read, and its moments are exact; it only takes longer"
            )
    periphery = profile.periphery
    compensated = periphery is not None and periphery.drift_compensation is not None
    if compensated and "drift_compensation" in effects and "drift" not in effects:
        said.append(f"periphery.drift_compensation changes nothing: the drift of profile {name} is switched off")
    return said + _short_tables(profile, effects)


def _short_tables(profile: HardwareProfile, effects: frozenset[str]) -> list[str]:
    """Say of measured tables that do not reach over all conductances that the devices are used at."""
    low, high = profile.conductance.g_min, profile.conductance.g_max
    found: list[tuple[str, Any]] = []
    if isinstance(profile.programming, MeasuredProgramming) and "programming_error" in effects:
        found.append(("programming", profile.programming.data["target"]))
    if isinstance(profile.read, MeasuredRead) and effects & READING:
        found.append(("read", profile.read.data["g"]))
    drift: DriftLaw | None = profile.drift  # pyright: ignore[reportAssignmentType]
    if drift is not None and drift.covers is not None and "drift" in effects:
        found.append(("drift", drift.covers))
    said = []
    for what, knots in found:
        first, last = float(knots[0]), float(knots[-1])
        if first > low or last < high:
            of_table, of_device = (
                " to ".join(format_quantity(g, "S", 3) for g in pair) for pair in ((first, last), (low, high))
            )
            said.append(
                f"the {what} table of profile {profile.meta.name} covers {of_table}, its devices are used from "
                f"{of_device}: beyond the table its ends are taken"
            )
    return said


def _noise(law: ReadLaw, profile: HardwareProfile, age: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return fresh and frozen noise of a device in the middle of its range, some time after its write."""
    span = Span(profile.conductance.g_min, profile.conductance.g_max)
    g = torch.full((1,), span.middle, dtype=torch.float64)
    return law.split(g, g, span.g_max, torch.full_like(g, age), 1e-3)
