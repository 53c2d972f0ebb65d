"""Say below a table what the marks of its figures mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from neuroanp.method import FEEDBACK
from neuroanp.reporting.method import Method
from neuroanp.reporting.origins import ILLUSTRATIVE, INHERITED, NAMES


def rests_on(group: Sequence[Method], marks: bool = True) -> list[str]:
    """Say what was an instrument, and whose energy, chip time and wear are nobody's measurement, or another device's.

    Args:
        group: the methods. marks: whether the values are marked.
    """
    illustrative: dict[str, dict[str, None]] = {}
    inherited: dict[tuple[str, str], dict[str, None]] = {}
    for m in group:
        for figure in [figure for figure in NAMES if m.values(figure)]:
            if figure in m.origins.illustrative:
                illustrative.setdefault(m.profile, {})[NAMES[figure]] = None
            for base in m.origins.inherited.get(figure, ()):
                inherited.setdefault((m.profile, base), {})[NAMES[figure]] = None
    known = [f"{figures} of {', '.join(profiles)}" for figures, profiles in _alike(illustrative)]
    taken = [
        f"{figures} of {', '.join(profile for profile, _ in some)}, from {base}"
        for base in dict.fromkeys(base for _, base in inherited)
        for figures, some in _alike({key: names for key, names in inherited.items() if key[1] == base})
    ]
    said = [(ILLUSTRATIVE, "From illustrative values, not measurements", known)] * bool(known)
    said += [(INHERITED, "From values inherited of another profile", taken)] * bool(taken)
    on = {m.profile: m.origins.instrument for m in group if m.origins.instrument}
    held = [
        f"{profile}: an instrument held the weights, {name}; controls are simulated." for profile, name in on.items()
    ]
    return held + [f"{f'{mark} ' * marks}{words}: {'; '.join(found)}." for mark, words, found in said]


def classes(group: Sequence[Method]) -> list[str]:
    """Say what the classes of feedback in the column "class" mean; nothing where no run says its own."""
    named = [one for one in FEEDBACK if any(m.feedback == one for m in group)]
    meant = "; ".join(f"{one}: {FEEDBACK[one]}" for one in named)
    return [f"Class, what a method tells the units: {meant}."] if named else []


MEANT = {ILLUSTRATIVE: "rests on illustrative values", INHERITED: "rests on values inherited of another profile"}


def meaning(text: str) -> str:
    """Return what the marks behind a number say of it; "" where it has none.

    >>> meaning("3.2†"), meaning("3.2")
    ('Not measured: rests on illustrative values', '')
    """
    found = [said for mark, said in MEANT.items() if mark in text[-2:]]
    return f"Not measured: {' and '.join(found)}" if found else ""


def _alike(names: Mapping[Any, Iterable[str]]) -> list[tuple[str, list[Any]]]:
    """Return the keys that have the same names, by these names in one line.

    >>> _alike({"pcm": ["energy", "wear"], "rram": ["energy", "wear"], "sram": ["energy"]})
    [('energy, wear', ['pcm', 'rram']), ('energy', ['sram'])]
    """
    found: dict[str, list[Any]] = {}
    for key, some in names.items():
        found.setdefault(", ".join(some), []).append(key)
    return [*found.items()]
