"""Resolve the configurations of a comparison: tasks x backends x profiles x rules x seeds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from neuroanp.backends.protocol import BACKENDS
from neuroanp.comparing.across import by_backend
from neuroanp.comparing.size import MOST_RUNS, check_size, sizes
from neuroanp.errors import InputError
from neuroanp.profiles.loader import load
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import check_dump, configure
from neuroanp.training.filling import METHODS, spikes
from neuroanp.training.resolving import profile_of, wrong_with


def expand(
    source: str | Path | Mapping[str, Any] | None,
    overrides: Mapping[str, Any] | None = None,
    *,
    tasks: str | Sequence[str | Mapping[str, Any]] = (),
    backends: str | Sequence[str] = (),
    profiles: str | Sequence[str] = (),
    rules: str | Sequence[str | Mapping[str, Any]] = (),
    seeds: Sequence[int] = (),
    words: Mapping[str, Any] | None = None,
    most: int = MOST_RUNS,
) -> list[RunConfig]:
    """Return one configuration for each combination; an empty sequence keeps the source's own.

    A task or rule of another name than the source's starts from that one's defaults. Of several backends, those whose
    units do not spike leave out what the source says of spiking units alone, which is logged.

    Args:
        source, overrides, words: as in `neuroanp.training.configure.configure`.
        tasks, rules: names, or sections with options.
        backends, profiles, seeds: names and numbers.

    Raises:
        InputError: more than `most` combinations; or one line for each name that is empty, unknown or given twice,
            and for each thing wrong with a configuration, its profile or its data.

    >>> [config.seed for config in expand({"task": "copy"}, seeds=[0, 1])]
    [0, 1]
    >>> [config.rule.K for config in expand({"task": "copy"}, rules=["anp", {"name": "anp", "K": 3}])]
    [1, 3]
    """
    check_size(sizes({"task": tasks, "backend": backends, "profile": profiles, "rule": rules, "seed": seeds}), most)
    problems: list[str] = []
    axes = {
        "task": _known("--task", tasks, TASKS.get, problems),
        "backend": _known("--backend", backends, BACKENDS.get, problems),
        "profile": _known("--profiles", profiles, load, problems),
        "rule": _known("--rules", rules, METHODS.get, problems),
        "seed": _known("--seeds", seeds, int, problems),
    }
    fitted = by_backend(source, overrides, axes["backend"])
    configs: list[RunConfig] = []

    def add(chosen: Mapping[str, Any]) -> None:
        configs.append(
            configure(source, fitted[chosen["backend"]], **{**_fitting(words or {}, chosen, axes), **chosen})
        )

    for values in product(*(values or (None,) for values in axes.values())):
        problems += wrong_with(add, dict(zip(axes, values, strict=True)))
    if (
        not configs
        and not axes["profile"]
        and isinstance(profile := profile_of(source, overrides or {}, words or {}), str)
    ):
        problems += wrong_with(load, profile)
    for name in {config.profile: None for config in configs}:
        problems += wrong_with(load, name)
    for config in {str(config.to_plain()["task"]): config for config in configs}.values():
        problems += wrong_with(TASKS.get(config.task_name), config.task) or wrong_with(check_dump, config)
    if problems:
        each = list(dict.fromkeys(problems))
        raise InputError(f"the comparison has {len(each)} problem{'s' * (len(each) > 1)}; nothing was run", each)
    return configs


def _fitting(
    words: Mapping[str, Any], chosen: Mapping[str, Any], axes: Mapping[str, Sequence[Any]]
) -> Mapping[str, Any]:
    """Return the words that a combination takes: `neuron` stays with units that spike where others do not."""
    mixed = len({spikes(backend) for backend in axes["backend"]}) > 1
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
