"""Say what a profile rests on: of each section, how many of its numbers were measured, and how many are another's."""

from __future__ import annotations

from collections.abc import Sequence

from neuroanp.profiles.provenance import STATUSES, in_words
from neuroanp.profiles.schema import HardwareProfile
from neuroanp.reporting.origins import ENERGY, TIME, WEAR, origins_of
from neuroanp.reporting.tables import Cell, Column, Row, Table
from neuroanp.yaml_io import dotted

INHERITED = "inherited"
KINDS = (*STATUSES, INHERITED)
"""What a parameter is: the profile's own of one of three statuses, or taken over from another profile."""


def kinds_of(profile: HardwareProfile) -> dict[str, str]:
    """Return of each parameter that a profile states what it is, of KINDS, by dotted key.

    >>> from neuroanp.profiles import load
    >>> found = kinds_of(load("pcm_tiles"))
    >>> found["energy.write"], found["periphery.bandwidth"]
    ('inherited', 'illustrative')
    """
    whose = profile.inherited  # made anew at each look
    return {key: INHERITED if key in whose else origin.status for key, origin in profile.provenance.items()}


def shares(profile: HardwareProfile) -> dict[str, int]:
    """Return how many parameters are of each of KINDS."""
    found = [*kinds_of(profile).values()]
    return {kind: found.count(kind) for kind in KINDS}


def table(profile: HardwareProfile) -> Table:
    """Return how many parameters of each section are of each kind, and whose the inherited ones are."""
    kinds, laws, whose = kinds_of(profile), _laws(profile), profile.inherited
    columns = (
        Column("section", numeric=False), Column("law", numeric=False), *map(Column, KINDS),
        Column("inherited from", numeric=False),
    )  # fmt: skip
    rows = []
    for section in dict.fromkeys(key.partition(".")[0] for key in kinds):
        here = {key: kind for key, kind in kinds.items() if key.partition(".")[0] == section}
        counts = [list(here.values()).count(kind) for kind in KINDS]
        bases = dict.fromkeys(whose[key] for key in here if key in whose)
        cells = (Cell(section), Cell(laws.get(section, "")), *(Cell(str(count or "")) for count in counts))
        rows.append(Row("method", (*cells, Cell(", ".join(bases)))))
    return Table(columns, tuple(rows))


def _laws(profile: HardwareProfile) -> dict[str, str]:
    return {
        str(leaf.key[0]): str(leaf.value) for leaf in profile.leaves() if len(leaf.key) == 2 and leaf.key[1] == "law"
    }


def parameters(profile: HardwareProfile) -> list[tuple[str, str, str, str]]:
    """Return key, value, what it is, and where it is from, of each parameter that a profile states."""
    kinds, leaves = kinds_of(profile), {dotted(leaf.key): leaf for leaf in profile.leaves()}
    origins, bases = profile.provenance, profile.inherited
    found = []
    for key, kind in kinds.items():
        origin, whose = origins[key], bases.get(key)
        what = kind if whose is None else f"{kind} from {whose} ({origin.status} there)"
        found.append((key, leaves[key].text, what, origin.source))
    return found


def sentences(profile: HardwareProfile, doubts: Sequence[str]) -> list[str]:
    """Say what the verdicts rest on: how much is the device's own, and what of noise, energy, time and wear is not.

    Args: profile: of the device. doubts: why the law does not describe what was measured.
    """
    counted, origin, inherited = shares(profile), profile.provenance, profile.inherited
    own = {status: counted[status] for status in STATUSES}
    said = [f"Of {sum(counted.values())} parameters, the device's own are {in_words(own)}"]
    whose = dict.fromkeys(inherited.values())
    if whose:
        there = {status: sum(origin[key].status == status for key in inherited) for status in STATUSES}
        said.append(f"taken over from {', '.join(whose)} {counted[INHERITED]} ({in_words(there)} there)")
    told = [f"{'; '.join(said)}."]
    if doubts:
        told.append("The fitted ones count as illustrative: the law does not describe what was measured.")
    origins = origins_of({"text": profile.text, "inherited": dict(inherited)})
    if origins.noise:
        told.append(f"{profile.name} {origins.noise}, and names no winner among devices.")
    not_known = [name for figure, name in ((ENERGY, "energy"), (TIME, "chip time"), (WEAR, "wear"))
                 if origins.marks(figure)]  # fmt: skip
    if not_known:
        told.append(f"Its {', '.join(not_known)} rest on illustrative or inherited numbers, and name no winner.")
    return told
