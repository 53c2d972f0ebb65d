"""Resolve the configuration of a run, with its profile and its data looked at too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuroanp.errors import InputError
from neuroanp.profiles.loader import load
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import configure
from neuroanp.yaml_io import read


def resolve(
    source: str | Path | Mapping[str, Any] | None,
    overrides: Mapping[str, Any] | None = None,
    words: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Return one configuration whose profile can be used.

    Args:
        source, overrides: as in `neuroanp.training.configure.configure`.
        words: likewise.

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
        profile = profile_of(source, overrides or {}, words)
        said = wrong_with(load, profile) if isinstance(profile, str) else []
        if not said:
            raise
        raise _all_wrong(source, [*(error.problems or [error.message]), *said]) from None
    try:
        load(config.profile)
    except InputError as error:
        where = _where_profile(source, overrides or {}, words)
        of_profile = error.problems or [f"{where}: profile: {error.message}" if where else error.message]
        data = wrong_with(TASKS.get(config.task_name), config.task)
        if data:
            raise _all_wrong(source, [*of_profile, *data]) from None
        if error.problems or not where:
            raise
        raise InputError(of_profile[0]) from None
    return config


def _where_profile(
    source: str | Path | Mapping[str, Any] | None, overrides: Mapping[str, Any], words: Mapping[str, Any]
) -> str | None:
    """Return the file and line that name the profile; None where no file does."""
    if any(said.get("profile") is not None for said in (overrides, words)) or not isinstance(source, str | Path):
        return None
    document = read(source)
    return document.where(("profile",)) if "profile" in document.data else None


def profile_of(
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


def _all_wrong(source: str | Path | Mapping[str, Any] | None, lines: Sequence[str]) -> InputError:
    each = list(dict.fromkeys(lines))
    what = "configuration" if source is None or isinstance(source, Mapping) else str(source)
    return InputError(f"{what} has {len(each)} problem{'s' * (len(each) > 1)}", each)


def wrong_with(use: Callable[[Any], Any], what: Any) -> list[str]:
    """Use something, and return a line for each thing that is wrong with it."""
    try:
        use(what)
    except InputError as error:
        return [*error.problems] or [error.message]
    return []
