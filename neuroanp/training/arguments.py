"""Read what is given from Python: sources, words of a configuration, names, seeds, paths, idle times."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from neuroanp.errors import InputError, all_of, did_you_mean
from neuroanp.learning.optimisers import MOST_LR
from neuroanp.profiles.schema import HardwareProfile
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import WORDS
from neuroanp.training.plain import items, plain, shown
from neuroanp.training.stored_profile import stored
from neuroanp.training.times import not_bare

EXAMPLE = "set what a YAML file may say by its dotted key, such as overrides={'network.hidden': 10}"
LARGEST_SEED = 2**63 - 1


class Given(NamedTuple):
    """What `train` and its like are given, as plain values.

    Args:
        source: a YAML file's path, its content, or None.
        overrides: values by dotted key; texts of files are read as YAML, all else is as it is.
        words: values by keyword.
        root: the store.
    """

    source: Path | dict[str, Any] | None
    overrides: dict[str, Any]
    words: dict[str, Any]
    root: Path


def given(source: Any, overrides: Any, words: Mapping[str, Any], runs: Any) -> Given:
    """Return what a configuration is resolved from; one InputError tells of all that is no such thing.

    >>> import numpy as np
    >>> given({"task": "copy"}, {"training.batch": np.int64(8)}, {"seed": np.int8(3)}, "runs")[:3]
    ({'task': 'copy'}, {'training.batch': 8}, {'seed': 3})
    """
    root = path_of("runs", runs)
    known(words)
    found = all_of(
        lambda: source_of(source, root),
        lambda: overrides_of(overrides, root),
        *(lambda key=key, value=value: (key, word(key, value, root)) for key, value in words.items()),
    )
    return Given(found[0], found[1], {key: value for key, value in found[2:] if value is not None}, root)


def source_of(source: Any, root: Path) -> Path | dict[str, Any] | None:
    """Return a file's path, a configuration's content, or None."""
    if source is None:
        return None
    if isinstance(source, RunConfig):
        return source.to_plain()
    if isinstance(source, Mapping):
        return mapping("source", source, root)
    if isinstance(source, str | os.PathLike):
        return path_of("source", source)
    raise InputError(
        f"source: {shown(source)} is no configuration; pass a YAML file's path, its content as a mapping, or what "
        "configure returned"
    )


def mapping(what: str, given: Any, root: Path) -> dict[str, Any]:
    """Return a mapping with plain values; a profile that was loaded goes by the file of its text."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InputError(f"{what}: {shown(given)} is not a mapping; pass e.g. {{'training.batch': 16}}")
    whole = {key: profile(part, root) if key == "profile" and part is not None else part for key, part in given.items()}
    return plain(whole, what)


def overrides_of(given: Any, root: Path) -> dict[str, Any]:
    """Return values by dotted key; paths stay paths, for text is read as YAML and a path is none."""
    found = mapping("overrides", given, root)
    paths = [key for key, part in (given or {}).items() if isinstance(part, os.PathLike) and key != "profile"]
    return {**found, **{key: Path(found[key]) for key in paths}}


def word(key: str, value: Any, root: Path) -> Any:
    """Return a keyword's value as plain data."""
    return profile(value, root) if key == "profile" and value is not None else plain(value, key)


def profile(given: Any, root: Path) -> str:
    """Return a profile's name or path; one that was loaded is stored in `root`."""
    if isinstance(given, HardwareProfile):
        return stored(given, root)
    if isinstance(given, os.PathLike):
        text = str(plain(given, "profile"))
        named = "/" in text or text.endswith((".yaml", ".yml"))
        return text if named else f"./{text}"  # a bare word would be a shipped profile's name
    if isinstance(given, str):
        return plain(given, "profile")
    raise InputError(f"profile: {shown(given)} is no profile; pass a name, a YAML file's path, or a loaded profile")


def several(what: str, given: Any, root: Path) -> list[Any]:
    """Return names or sections, one or many, as a list.

    >>> several("rules", {"name": "anp", "K": 3}, Path("runs")), several("profiles", "pcm", Path("runs"))
    ([{'name': 'anp', 'K': 3}], ['pcm'])
    """
    one = what.removesuffix("s")
    if given is None:
        return []
    if isinstance(given, str | os.PathLike | Mapping | BaseModel):
        return [word(one, given, root)]
    each = _listed(what, given, "a name, or a list of names")
    return all_of(*(lambda item=item: _one(what, word(one, item, root)) for item in each))


def _one(what: str, item: Any) -> Any:
    if not isinstance(item, str | Mapping | BaseModel):
        raise InputError(f"{what}: {shown(item)} is no name; pass names, such as {what}=['a', 'b']")
    return item


def names(what: str, one_or_more: Any) -> list[str]:
    """Return one name or several as a list; InputError for anything else.

    >>> names("only", "pcm"), names("only", {"b", "a"})
    (['pcm'], ['a', 'b'])
    """
    if isinstance(one_or_more, str):
        return [plain(one_or_more, what)]
    each = [plain(item, what) for item in _listed(what, one_or_more, "a name, or a list of names")]
    for item in each:
        if not isinstance(item, str):
            raise InputError(f"{what}: {shown(item)} is no name; pass names, such as {what}=['a', 'b']")
    return each


def listed(seeds: Any) -> Sequence[int]:
    """Return seeds one by one; a number means that many, from 0, which are not laid out.

    >>> listed(2), listed([4, 7]), listed(())
    (range(0, 2), [4, 7], [])
    """
    if seeds is None:
        return []
    if isinstance(seeds, str | bytes | Mapping):
        raise InputError(f"seeds: {shown(seeds)}: pass how many, such as seeds=3, or a list of them")
    found = plain(seeds, "seeds")
    if not isinstance(found, list):
        return range(whole("seeds", found, 1, LARGEST_SEED))
    return [whole("seeds", seed, 0, LARGEST_SEED) for seed in found]


def seeds_one_by_one(what: str, seeds: Any) -> list[int]:
    """Return seeds that are named one by one; InputError for a number, which could be a seed or how many.

    >>> seeds_one_by_one("tune_seeds", [100, 101]), seeds_one_by_one("tune_seeds", None)
    ([100, 101], [])
    """
    if seeds is None:
        return []
    found = None if isinstance(seeds, str | bytes | Mapping) else plain(seeds, what)
    if not isinstance(found, list):
        raise InputError(f"{what}: {shown(seeds)}: pass a list of seeds, such as {what}=[100, 101]")
    return [whole(what, seed, 0, LARGEST_SEED) for seed in found]


def whole(what: str, value: Any, low: int, high: int | None = None) -> int:
    """Return a whole number within bounds, which may be numpy's; InputError for anything else.

    >>> whole("workers", 2.5, 1)
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: workers: 2.5 (float) is not a whole number of at least 1
    """
    number = plain(value, what)
    allowed = f"of at least {low}" if high is None else f"from {low} to {high:,}"
    if isinstance(number, bool) or not isinstance(number, int) or number < low or (high is not None and number > high):
        raise InputError(f"{what}: {shown(number)} is not a whole number {allowed}")
    return number


def number(what: str, value: Any) -> float | None:
    """Return a number, which may be numpy's, or None; InputError for anything else."""
    found = plain(value, what)
    if isinstance(found, bool) or not isinstance(found, int | float | None):
        raise InputError(f"{what}: {shown(found)} is not a number")
    return found


def rate_of(lr: Any) -> float | None:
    """Return a learning rate, or None; InputError unless it is above 0."""
    found = number("lr", lr)
    if found is not None and not 0 < found <= MOST_LR:
        raise InputError(f"lr: {found} is not above 0 and at most {MOST_LR:g}")
    return found


def switch(what: str, value: Any) -> bool:
    """Return True or False, which may be numpy's; InputError for anything else."""
    found = plain(value, what)
    if not isinstance(found, bool):
        raise InputError(f"{what}: {shown(found)} is neither True nor False")
    return found


def path_of(what: str, given: Any) -> Path:
    """Return a path from text or a path object; InputError, which names `what` it is of, for anything else.

    >>> path_of("path", "")
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: path: is empty; name a file or a directory
    """
    if not isinstance(given, str | os.PathLike):
        raise InputError(f"{what}: {given!r:.80} is no path; pass text or a pathlib.Path")
    text = plain(given, what)
    if not text.strip():
        raise InputError(f"{what}: is empty; name a file or a directory")
    if "\0" in text:
        raise InputError(f"{what}: {text!r:.80} holds a zero byte, which no path can")
    return Path(text)


def times(after: Any) -> list[str]:
    """Return idle times as texts; InputError for anything else."""
    one = isinstance(after, str | Mapping) or not isinstance(after, Iterable)
    found = []
    for time in [after] if one else items(after, "after"):
        text = plain(time, "after")
        try:
            not_bare(text)
        except ValueError as error:
            raise InputError(f"after: {error}") from None
        if not isinstance(text, str):
            raise InputError(f"after: {text!r:.80} is not a time; write e.g. '1 h'")
        found.append(text)
    return found


AXES = {"task": "tasks", "backend": "backends", "profile": "profiles", "rule": "rules", "seed": "seeds"}
"""What a comparison goes over, by the word for one of it."""


def one_time(what: str, given: Any) -> str:
    """Return a time as text; InputError for anything else, or for several."""
    if not isinstance(given, str):
        raise InputError(f"{what}: {shown(given)} is not one time; write e.g. '30 d'")
    return times(given)[0]


def axes_of(
    source: Any, overrides: Any, axes: Mapping[str, Any], words: Mapping[str, Any], runs: Any
) -> tuple[Given, dict[str, Any]]:
    """Return what a comparison starts from, and the axes it goes over as lists; one InputError tells of all problems.

    A word for one (task, seed) is an axis of one; None keeps the source's own. A list of nothing is refused: what was
    to be chosen from it would be run on something that nobody named.
    """
    root, axes, rest = path_of("runs", runs), dict(axes), dict(words)
    for one, many in AXES.items():
        value = rest.pop(one, None)
        if value is None:
            continue
        if axes.get(many) is not None:
            raise InputError(f"{one}, {many}: both are given; name all in {many}")
        axes[many] = [value]
    found = all_of(
        lambda: given(source, overrides, rest, root),
        *(lambda key=key, value=value: (key, _axis(key, value, root)) for key, value in axes.items()),
    )
    return found[0], dict(found[1:])


def _axis(key: str, value: Any, root: Path) -> Sequence[Any]:
    found = listed(value) if key == "seeds" else several(key, value, root)
    if value is not None and not len(found):
        raise InputError(f"{key}: nothing is in it; name at least one, or leave it out")
    return found


def command(argv: Any) -> list[str]:
    """Return the command for the record: as given, or the process's own."""
    if argv is None:
        return list(sys.argv)
    return names("argv", argv)


def progress_of(progress: Any) -> Any:
    """Return what progress is reported to, or True, False or None; InputError for anything else."""
    if callable(progress) or progress is None:
        return progress
    if isinstance(plain(progress, "progress"), bool):
        return switch("progress", progress)
    raise InputError(
        f"progress: {shown(progress)} cannot be called; pass a function of one event, or False for no bars and no notes"
    )


def known(words: Mapping[str, Any], known: tuple[str, ...] = WORDS) -> None:
    """Raise InputError for keywords that nothing takes; it says of each what to write."""
    unknown = {word: value for word, value in words.items() if word not in known}
    if not unknown:
        return
    models = {name: field.annotation for name, field in RunConfig.model_fields.items()}
    sections = {n: m.model_fields for n, m in models.items() if isinstance(m, type) and issubclass(m, BaseModel)}
    said = []
    for key, value in unknown.items():
        keys = [f"{section}.{key}" for section, fields in sections.items() if key in fields]
        near = did_you_mean(key, known).removeprefix("; ")
        write = " or ".join(f"write overrides={{{name!r}: {value!r:.80}}}" for name in keys)
        said.append(f"{key!r}: {write or near or EXAMPLE}")
    number = "1 keyword is" if len(said) == 1 else f"{len(said)} keywords are"
    raise InputError(f"{number} unknown (known: {', '.join(known)})", said)


def _listed(what: str, given: Any, wanted: str) -> list[Any]:
    if callable(getattr(given, "tolist", None)) and not isinstance(given, type):  # of numpy, pandas, torch
        given = given.tolist()
    if isinstance(given, bytes | bytearray | type) or not isinstance(given, Iterable):
        raise InputError(f"{what}: {shown(given)} is not {wanted}")
    return items(given, what)
