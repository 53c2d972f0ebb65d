"""Read what is given from Python by keyword: seeds, names, idle times, words of a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neuroanp.errors import InputError, did_you_mean
from neuroanp.training.config import RunConfig
from neuroanp.training.times import not_bare

WORDS = ("task", "profile", "rule", "backend", "target", "updates", "seed")
"""What `train` and `configure` take by keyword; all else goes by `overrides`."""
EXAMPLE = "set what a YAML file may say by its dotted key, such as overrides={'network.hidden': 10}"


def listed(seeds: int | Sequence[int]) -> Sequence[int]:
    """Return seeds one by one; a number means that many, which are not laid out.

    >>> listed(2), listed([4, 7])
    (range(0, 2), [4, 7])
    """
    return range(seeds) if isinstance(seeds, int) else list(seeds)


def names(one_or_more: str | Sequence[str]) -> list[str]:
    """Return one name or several as a list.

    >>> names("pcm")
    ['pcm']
    """
    return [one_or_more] if isinstance(one_or_more, str) else list(one_or_more)


def times(after: Any) -> list[str]:
    """Return idle times as texts; InputError for anything else."""
    times = list(after) if isinstance(after, Sequence | set) and not isinstance(after, str) else [after]
    for time in times:
        try:
            not_bare(time)
        except ValueError as error:
            raise InputError(f"after: {error}") from None
        if not isinstance(time, str):
            raise InputError(f"after: {time!r} is not a time; write e.g. '1 h'")
    return times


def known(words: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return keywords that are all known; InputError says of the others what to write."""
    unknown = {word: value for word, value in words.items() if word not in WORDS}
    if not unknown:
        return words
    sections = {name: getattr(field.annotation, "model_fields", {}) for name, field in RunConfig.model_fields.items()}
    said = []
    for word, value in unknown.items():
        keys = [f"{section}.{word}" for section, fields in sections.items() if word in fields]
        keys += [word] if word in sections else []
        near = did_you_mean(word, WORDS).removeprefix("; ")
        write = " or ".join(f"write overrides={{{key!r}: {value!r}}}" for key in keys)
        said.append(f"{word!r}: {write or near or EXAMPLE}")
    number = "1 keyword is" if len(said) == 1 else f"{len(said)} keywords are"
    raise InputError(f"{number} unknown (known: {', '.join(WORDS)})", said)
