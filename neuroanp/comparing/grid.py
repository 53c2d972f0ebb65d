"""Resolve a run's configuration, or a comparison's: tasks x backends x profiles x rules x seeds."""

from __future__ import annotations

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
from neuroanp.training.config import METHODS, RunConfig, configure
from neuroanp.yaml_io import read


def resolve(
    source: str | Path | Mapping[str, Any] | None,
    overrides: Mapping[str, Any] | None = None,
    words: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Return one configuration whose profile can be used.

    Args:
        source, overrides: as in `neuroanp.training.config.configure`.
        words: task, profile, rule, backend, target, updates, seed.

    Raises:
        InputError: one line for each thing wrong with the configuration, its profile or its data.

    >>> resolve({"task": "copy"}, {"training.batch": 0}, {"profile": "pmc"})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: configuration has 2 problems
      --set training.batch=0: training.batch: 0 must be at least 1
      unknown profile 'pmc'; did you mean 'pcm'? (shipped: ...; a file of your own goes by its path, e.g. ./pmc.yaml)
    """
    words = words or {}
    try:
        config = configure(source, overrides, **words)
    except InputError as error:
        profile = _profile_of(source, overrides or {}, words)
        said = _wrong(load, profile) if isinstance(profile, str) else []
        if not said:
            raise
        raise _problems(source, [*(error.problems or [error.message]), *said]) from None
    try:
        load(config.profile)
    except InputError as error:
        data = _wrong(TASKS.get(config.task_name), config.task)
        if not data:
            raise
        raise _problems(source, [*(error.problems or [error.message]), *data]) from None
    return config


def _profile_of(
    source: str | Path | Mapping[str, Any] | None, overrides: Mapping[str, Any], words: Mapping[str, Any]
) -> Any:
    """Return the profile that a configuration with other faults names, or None."""
    for said in (overrides.get("profile"), words.get("profile")):
        if said is not None:
            return said
    if isinstance(source, Mapping) or source is None:
        return (source or {}).get("profile")
    try:
        return read(source).data.get("profile")
    except InputError:  # the configuration's own error tells of it
        return None


def _problems(source: str | Path | Mapping[str, Any] | None, lines: Sequence[str]) -> InputError:
    each = list(dict.fromkeys(lines))
    what = "configuration" if source is None or isinstance(source, Mapping) else str(source)
    return InputError(f"{what} has {len(each)} problem{'s' * (len(each) > 1)}", each)


def expand(
    source: str | Path | Mapping[str, Any] | None,
    overrides: Mapping[str, Any] | None = None,
    *,
    tasks: str | Sequence[str] = (),
    backends: str | Sequence[str] = (),
    profiles: str | Sequence[str] = (),
    rules: str | Sequence[str] = (),
    seeds: Sequence[int] = (),
    most: int = MOST_RUNS,
) -> list[RunConfig]:
    """Return one configuration for each combination; an empty sequence keeps the source's own.

    A task or rule of another name than the source's starts from that one's defaults. Of several backends, those whose
    units do not spike leave out what the source says of spiking units alone, which is logged.

    Raises:
        InputError: more than `most` combinations; or one line for each name that is empty, unknown or given twice,
            and for each thing wrong with a configuration, its profile or its data.

    >>> [config.seed for config in expand({"task": "copy"}, seeds=[0, 1])]
    [0, 1]
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
    for values in product(*(values or (None,) for values in axes.values())):
        words = dict(zip(axes, values, strict=True))
        problems += _wrong(lambda words: configs.append(configure(source, fitted[words["backend"]], **words)), words)
    if not configs and not axes["profile"] and isinstance(profile := _profile_of(source, overrides or {}, {}), str):
        problems += _wrong(load, profile)
    for name in {config.profile: None for config in configs}:
        problems += _wrong(load, name)
    for config in {str(config.to_plain()["task"]): config for config in configs}.values():
        problems += _wrong(TASKS.get(config.task_name), config.task)
    if problems:
        each = list(dict.fromkeys(problems))
        raise InputError(f"the comparison has {len(each)} problem{'s' * (len(each) > 1)}; nothing was run", each)
    return configs


def _wrong(use: Callable[[Any], Any], what: Any) -> list[str]:
    """Use something, and return a line for each thing that is wrong with it."""
    try:
        use(what)
    except InputError as error:
        return [*error.problems] or [error.message]
    return []


def _known(option: str, values: str | Sequence[Any], find: Callable[[Any], Any], problems: list[str]) -> list[Any]:
    """Return the values that can be used, each once; add a line to `problems` for each of the others."""
    good: list[Any] = []
    given = [values] if isinstance(values, str) else list(values)
    counts = Counter(given)
    for value in counts:
        if not str(value).strip():
            said = [f"a name in '{','.join(map(str, given))}' is empty; write e.g. {option} a,b"]
        else:
            said = _wrong(find, value)
        if said:
            problems += [f"{option}: {line}" for line in said]
        else:
            good.append(value)
        if counts[value] > 1 and str(value).strip():
            problems.append(f"{option}: '{value}' is named twice; name each once")
    return good
