"""Read what a comparison goes over besides its names: values of any key, and settings that some rules come with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from neuroanp.comparing.ranges import Range, range_of
from neuroanp.comparing.values import checked, values_of
from neuroanp.errors import InputError, did_you_mean
from neuroanp.training.configure import Said
from neuroanp.training.plain import plain
from neuroanp.yaml_io import Key, dotted, in_a_line, key_of

NAMED = {
    ("seed",): "--seeds", ("profile",): "--profiles", ("backend",): "--backend", ("task",): "--task",
    ("task", "name"): "--task", ("rule",): "--rules", ("rule", "name"): "--rules",
}  # fmt: skip
"""Keys that have an option of their own, which also looks the names up."""
Settings = Mapping[str, Said]
"""Values by dotted key, each with the place that messages call it by."""


@dataclass(frozen=True)
class Axis:
    """Values of one key of the configuration.

    Args:
        key: dotted. values: plain; none of a range. option: what gives it, "--axis" or "--tune".
        over: the range that values are drawn from; None: `values` are all there are.
    """

    key: str
    values: tuple[Any, ...]
    option: str = "--axis"
    over: Range | None = field(default=None, repr=False)

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values, or both ends of the range."""
        return self.values if self.over is None else self.over.ends

    @property
    def tried(self) -> Any:
        """What is tried, as plain data: the values, or the range as a mapping."""
        return [*self.values] if self.over is None else self.over.to_dict()

    def said(self, value: Any) -> Said:
        """Return a value with the place that messages call it by."""
        return Said(value, f"{self.option} {self.key}={in_a_line(value):.80}")


def axes_over(given: Any, option: str) -> list[Axis]:
    """Return the axes of a mapping from keys to values: a list, or a text as `values_of` reads it.

    With "--tune" also a range that values are drawn from, as `range_of` reads it.

    Raises:
        InputError: a line for each that is no key, has no values, or has an option of its own.

    >>> axes_over({"network.hidden": "100,200"}, "--axis")
    [Axis(key='network.hidden', values=(100, 200), option='--axis')]
    """
    if given is None:
        return []
    if not isinstance(given, Mapping):
        raise InputError(f"{option}: {given!r:.80} is not a mapping; pass e.g. {{'network.hidden': [100, 200]}}")
    found, problems = [], []
    for key, values in given.items():
        try:
            found.append(_axis(_checked(key, option), values, option))
        except InputError as error:
            problems += error.problems or [error.message]
    twice = [one.key for i, one in enumerate(found) if any(key_of(one.key) == key_of(two.key) for two in found[:i])]
    problems += [f"{option} {key}: is given twice; name all its values at once" for key in twice]
    _raise(problems)
    return found


def of_rules(given: Any, rules: Sequence[str]) -> Mapping[str, Settings]:
    """Return the settings that rules come with, by the rule's name.

    Args:
        given: a mapping from rules, several with commas between them, to mappings from keys to values.
        rules: the names of those that are compared.

    Raises:
        InputError: a line for each rule that is not compared, and each key that cannot be set so.

    >>> of_rules({"anp": {"optimizer.lr": 0.002}}, ["anp", "bptt"])
    {'anp': {'optimizer.lr': Said(value=0.002, origin='--for anp:optimizer.lr=0.002')}}
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(settings, Mapping) for settings in given.values()):
        raise InputError(f"--for: {given!r:.80} is no mapping; pass e.g. {{'anp': {{'optimizer.lr': 2e-3}}}}")
    found: dict[str, dict[str, Said]] = {}
    problems = []
    for names, settings in given.items():
        for rule in [name.strip() for name in str(names).split(",")]:
            if rule not in rules:
                near = did_you_mean(rule, rules)
                problems.append(f"--for {rule}: is not compared here{near} (compared: {', '.join(rules)})")
                continue
            for key, value in settings.items():
                try:
                    _checked(key, f"--for {rule}:")
                    said = plain(value, f"--for {rule}:{key}")
                except InputError as error:
                    problems += error.problems or [error.message]
                    continue
                own = found.setdefault(rule, {})
                if any(key_of(key) == key_of(there) for there in own):
                    problems.append(f"--for {rule}:{key}: is given twice; give it once")
                own[key] = Said(said, f"--for {rule}:{key}={in_a_line(said):.80}")
    _raise(problems)
    return found


def check_apart(overrides: Mapping[str, Any], settings: Mapping[str, Settings], axes: Sequence[Axis]) -> None:
    """Raise InputError where one key is set in two ways, of which one would be lost."""
    ways = [(key_of(key), key, "--set (or an option such as --updates)") for key in overrides]
    ways += [(key_of(key), key, f"--for {rule}") for rule, own in settings.items() for key in own]
    over = [(key_of(axis.key), axis.key, axis.option) for axis in axes]
    problems = []
    for i, (mine, key, option) in enumerate(over):
        for theirs, other, way in [*ways, *over[:i]]:
            if mine is not None and theirs is not None and _overlap(mine, theirs):
                of = "" if mine == theirs else f" of {other}"
                problems.append(f"{option} {key}: is set by {way}{of} too; leave one of them out")
    _raise(problems)


def name_of(rule: Any, own: str) -> str:
    """Return the name of a rule that is a name, a section, or None for the source's `own`."""
    if isinstance(rule, Mapping):
        return str(rule.get("name", own))
    if isinstance(rule, BaseModel):
        from neuroanp.training.config import METHODS_FIELD

        return METHODS_FIELD.name_of(rule)
    return own if rule is None else str(rule)


def _overlap(one: Key, two: Key) -> bool:
    shorter = min(len(one), len(two))
    return one[:shorter] == two[:shorter]


def _axis(key: str, values: Any, option: str) -> Axis:
    what = f"{option} {key}"
    given = values if isinstance(values, str) else plain(values, what)
    over = range_of(given, what) if option == "--tune" else None
    return Axis(key, () if over else tuple(_values(given, what)), option, over)


def _values(values: Any, what: str) -> list[Any]:
    if isinstance(values, str):
        return values_of(values, what)
    found = plain(values, what)
    if not isinstance(found, list):
        found = [found]
    return checked(found, what)


def _checked(key: Any, option: str) -> str:
    way = key_of(key) if isinstance(key, str) else None
    if way is None:
        raise InputError(f"{option} {key!r:.80}: is no key; write key.key=values, e.g. network.hidden=100,200")
    if way in NAMED:
        raise InputError(f"{option} {dotted(way)}: has an option of its own, {NAMED[way]}")
    return str(key).strip()


def _raise(problems: Sequence[str]) -> None:
    each = list(dict.fromkeys(problems))
    if len(each) == 1:
        raise InputError(each[0])
    if each:
        raise InputError(f"the comparison has {len(each)} problems; nothing was run", each)
