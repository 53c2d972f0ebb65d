"""Resolve the configurations of a comparison: tasks x backends x profiles x rules x values of keys x seeds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from neuroanp.backends.protocol import BACKENDS
from neuroanp.comparing.able import apart, of_configs, refusal
from neuroanp.comparing.across import by_backend
from neuroanp.comparing.combination import Combination
from neuroanp.comparing.settings import Axis, Settings, axes_over, check_apart, name_of, of_rules
from neuroanp.comparing.size import MOST_RUNS, check_size, sizes
from neuroanp.errors import InputError
from neuroanp.profiles.loader import load
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import check_dump, configure
from neuroanp.training.filling import METHODS, spikes
from neuroanp.training.resolving import profile_of, wrong_with

OWN_RULE = "anp"
"""The name of the rule where the source names none; its options are those that `training.filling` has for it."""


@dataclass(frozen=True)
class Grid:
    """All that a comparison compares: combinations, each with every seed.

    Args:
        combinations: in the order of the axes. seeds: None stands for the source's own.
        configs: one for each combination and seed, seeds changing fastest.
        counts: how many values each axis has, as `sizes` does.
        left_out: label and reason of combinations whose rule cannot run where others can.
    """

    combinations: tuple[Combination, ...]
    seeds: Sequence[int | None]
    configs: tuple[RunConfig, ...]
    counts: Mapping[str, int]
    left_out: tuple[tuple[str, str], ...] = ()


def expand(
    source: str | Path | Mapping[str, Any] | None,
    overrides: Mapping[str, Any] | None = None,
    *,
    most: int = MOST_RUNS,
    **axes: Any,
) -> list[RunConfig]:
    """Return one configuration for each combination and seed; arguments and errors as of `lay_out`.

    Raises: InputError: a rule cannot run, too.

    >>> [config.seed for config in expand({"task": "copy"}, seeds=[0, 1])]
    [0, 1]
    >>> [config.rule.K for config in expand({"task": "copy"}, rules=["anp", {"name": "anp", "K": 3}])]
    [1, 3]
    """
    grid = lay_out(source, overrides, most=most, **axes)
    raise_all(why for _, why in grid.left_out)
    return [*grid.configs]


def lay_out(
    source: str | Path | Mapping[str, Any] | None,
    overrides: Mapping[str, Any] | None = None,
    *,
    tasks: str | Sequence[str | Mapping[str, Any]] = (),
    backends: str | Sequence[str] = (),
    profiles: str | Sequence[str] = (),
    rules: str | Sequence[str | Mapping[str, Any]] = (),
    seeds: Sequence[int] = (),
    axes: Any = None,
    for_rule: Any = None,
    tune: Sequence[Axis] = (),
    words: Mapping[str, Any] | None = None,
    most: int = MOST_RUNS,
) -> Grid:
    """Lay a comparison out: every combination once; an empty sequence keeps the source's own.

    A task or rule of another name than the source's starts from that one's defaults. A rule that a configuration does
    not go together with is left out where others do (`neuroanp.comparing.able`). Of several backends, those whose
    units do not spike leave out what the source says of spiking units alone, which is logged.

    Args:
        source, overrides, words: as in `neuroanp.training.configure.configure`.
        tasks, rules: names, or sections with options.
        backends, profiles, seeds: names and numbers.
        axes: values by dotted key, as `axes_over` reads them.
        for_rule: settings that rules come with, as `of_rules` reads them.
        tune: keys that are chosen later, which nothing else may set.

    Raises:
        InputError: more than `most` combinations; or one line for each name that is empty, unknown or given twice,
            for each key that is set in two ways, and for each thing wrong with a configuration, its profile or its
            data.

    >>> both = lay_out({"task": "copy"}, rules=["anp", "bptt"], axes={"network.hidden": [10, 20]}, seeds=[0])
    >>> [(one.rule, one.options["network.hidden"]) for one in both.combinations]
    [('anp', 10), ('anp', 20), ('bptt', 10), ('bptt', 20)]
    """
    over = axes_over(axes, "--axis")
    counts = sizes({"task": tasks, "backend": backends, "profile": profiles, "rule": rules})
    counts |= {f"value of {axis.key}": len(axis.values) for axis in over} | sizes({"seed": seeds})
    check_size(counts, most)
    problems: list[str] = []
    named = {
        "task": _known("--task", tasks, TASKS.get, problems),
        "backend": _known("--backend", backends, BACKENDS.get, problems),
        "profile": _known("--profiles", profiles, load, problems),
        "rule": _known("--rules", rules, METHODS.get, problems),
    }
    chosen_seeds: Sequence[int | None] = _known("--seeds", seeds, int, problems) or [None]
    firsts = {one: named[one][0] for one in ("task", "backend") if named[one]}
    own = _own_rule(source, overrides, {**(words or {}), **firsts})
    names = list(dict.fromkeys(name_of(rule, own) for rule in named["rule"] or [None]))
    settings = of_rules(for_rule, names)
    check_apart(overrides or {}, settings, [*over, *tune])
    fitted = by_backend(source, overrides, named["backend"])
    found: list[Combination] = []
    for chosen, said in _product(named, over):
        rule = name_of(chosen["rule"], own)
        set_here = {**fitted[chosen["backend"]], **settings.get(rule, {}), **said}
        options = {key: each.value for key, each in said.items()}
        fitting = _fitting(words or {}, chosen, named)
        found.append(Combination(source, set_here, fitting, chosen, options, rule, len(names) > 1))
    before, left_out = [*problems], list[tuple[str, str]]()
    configs = [config for one in found for seed in chosen_seeds for config in one.resolved(problems, seed)]
    if problems != before and len(names) > 1:
        found, left_out = of_configs(found, chosen_seeds[0])
        if left_out:
            problems = before
            configs = [config for one in found for seed in chosen_seeds for config in one.resolved(problems, seed)]
    _check(configs, problems, None if named["profile"] else profile_of(source, overrides or {}, words or {}))
    _check_different(configs, problems)
    raise_all(problems)
    return Grid(tuple(found), chosen_seeds, tuple(configs), counts, tuple(left_out))


def without_refused(grid: Grid) -> Grid | None:
    """Return a comparison without the rules whose runs are refused where those of other rules are not.

    Returns: None where no rule is, or none but such.
    """
    each = len(grid.seeds)
    first = {id(one): grid.configs[k * each] for k, one in enumerate(grid.combinations)}
    stay, left = apart(grid.combinations, lambda one: refusal(first[id(one)]))
    if not left:
        return None
    kept = {id(one) for one in stay}
    configs = [
        config
        for k, one in enumerate(grid.combinations)
        if id(one) in kept
        for config in grid.configs[k * each : (k + 1) * each]
    ]
    return replace(grid, combinations=tuple(stay), configs=tuple(configs), left_out=(*grid.left_out, *left))


def _product(named: Mapping[str, Sequence[Any]], over: Sequence[Axis]) -> Iterator[tuple[dict[str, Any], Settings]]:
    """Iterate over the names that are chosen (None: the source's own) and the values of the axes, all with all."""
    for names in product(*(values or (None,) for values in named.values())):
        for values in product(*(axis.values for axis in over)):
            said = {axis.key: axis.said(value) for axis, value in zip(over, values, strict=True)}
            yield dict(zip(named, names, strict=True)), said


def raise_all(problems: Iterable[str]) -> None:
    """Raise one InputError that tells of all problems, each once; nothing if there are none."""
    each = list(dict.fromkeys(problems))
    if each:
        raise InputError(f"the comparison has {len(each)} problem{'s' * (len(each) > 1)}; nothing was run", each)


def _check(configs: Sequence[RunConfig], problems: list[str], named: Any) -> None:
    """Add what is wrong with the profiles, the data and the dumps of configurations.

    Args: named: the profile that is named where no configuration could be resolved.
    """
    if not configs and isinstance(named, str):
        problems += wrong_with(load, named)
    for name in {config.profile: None for config in configs}:
        problems += wrong_with(load, name)
    for config in {str(config.to_plain()["task"]): config for config in configs}.values():
        problems += wrong_with(TASKS.get(config.task_name), config.task) or wrong_with(check_dump, config)


def _check_different(configs: Sequence[RunConfig], problems: list[str]) -> None:
    """Add a line where two combinations are one and the same run."""
    counts = Counter(map(repr, configs))
    same = next((config for config in configs if counts[repr(config)] > 1), None)
    if same is not None:
        problems.append(
            f"two combinations are one and the same run (rule {same.rule_name}, profile {same.profile}, seed "
            f"{same.seed}): an axis changes nothing there, or two sections say the same; leave one out"
        )


def _own_rule(
    source: str | Path | Mapping[str, Any] | None,
    overrides: Mapping[str, Any] | None,
    words: Mapping[str, Any],
) -> str:
    """Return the name of the source's own rule, with the first of the tasks and backends that are compared."""
    try:
        return configure(source, overrides, **words).rule_name
    except InputError:  # what is wrong with it is told with the combinations
        return OWN_RULE


def _fitting(
    words: Mapping[str, Any], chosen: Mapping[str, Any], named: Mapping[str, Sequence[Any]]
) -> Mapping[str, Any]:
    """Return the words that a combination takes: `neuron` stays with units that spike where others do not."""
    mixed = len({spikes(backend) for backend in named["backend"]}) > 1
    leave_out = ("neuron",) if mixed and not spikes(chosen["backend"]) else ()
    return {key: value for key, value in words.items() if key not in leave_out}


def _known(option: str, values: Any, find: Callable[[Any], Any], problems: list[str]) -> list[Any]:
    """Return the values that can be used, each once; add a line to `problems` for each of the others.

    A value is a name, a number, or a section whose name is looked up if it has one.
    """
    good: list[Any] = []
    given = [values] if isinstance(values, str | Mapping) else list(values)
    counts = Counter(map(_key, given))
    for value in {_key(one): one for one in given}.values():
        name = value.get("name") if isinstance(value, Mapping) else value
        if not str(name).strip():
            said = [f"a name in '{','.join(map(str, given))}' is empty; write e.g. {option} a,b"]
        else:  # a section without a name is of the source's own rule or task, a model is that of a known one
            said = wrong_with(find, name) if isinstance(name, str | int) else []
        if said:
            problems += [f"{option}: {line}" for line in said]
        else:
            good.append(value)
        if counts[_key(value)] > 1 and str(name).strip():
            problems.append(f"{option}: '{value}' is named twice; name each once")
    return good


def _key(value: Any) -> Any:
    """Return what tells values of an axis apart: themselves, or the text of a section."""
    return json.dumps(value, sort_keys=True, default=repr) if isinstance(value, Mapping) else value
