"""Plan an ablation: a run with all non-idealities, without each in turn, with each alone, and with none."""

from __future__ import annotations

from collections.abc import Sequence

from neuroanp.profiles.loader import load
from neuroanp.substrates.facts import known_effects
from neuroanp.training.config import RunConfig


def subsets(effects: Sequence[str]) -> list[frozenset[str]]:
    """Return the sets of effects that are on in the runs of an ablation, each once: all, all but one, one, none.

    >>> [sorted(on) for on in subsets(["adc", "drift"])]
    [['adc', 'drift'], ['drift'], ['adc'], []]
    """
    whole = frozenset(effects)
    found = [whole, *(whole - {name} for name in effects), *(frozenset({name}) for name in effects), frozenset()]
    return list(dict.fromkeys(found))


def ablated(config: RunConfig) -> list[RunConfig]:
    """Return the configurations of an ablation of one; the first is the configuration itself.

    Of n non-idealities that its profile has and it leaves on, there are 2 n + 2 (fewer where n < 3).

    >>> from neuroanp.training.configure import configure
    >>> two = configure({"task": "copy", "profile": "pcm", "hardware": {"only": ["drift", "adc"]}})
    >>> [(c.hardware.only, c.hardware.without) for c in ablated(two)]
    [(['adc', 'drift'], []), (['adc'], []), (['drift'], []), (['adc', 'drift'], ['adc', 'drift'])]
    """
    effects = _effects(config.profile, config.hardware.effects())
    return [_with(config, effects, kept) if len(kept) < len(effects) else config for kept in subsets(effects)]


def count(configs: Sequence[RunConfig]) -> int:
    """Return how many runs `ablated` makes of configurations, without making them."""
    of: dict[tuple[str, frozenset[str]], int] = {}
    total = 0
    for config in configs:
        key = config.profile, config.hardware.effects()
        if key not in of:
            of[key] = len(subsets(_effects(*key)))
        total += of[key]
    return total


def _effects(profile: str, on: frozenset[str]) -> list[str]:
    """Return the non-idealities that a profile has, of those that are on."""
    return [name for name in known_effects(load(profile)) if name in on]


def _with(config: RunConfig, effects: Sequence[str], kept: frozenset[str]) -> RunConfig:
    """Return the configuration with `kept` of the effects on: stated by what is on where that is one."""
    if len(kept) == 1:
        words = {"only": sorted(kept), "without": []}
    else:
        words = {"without": sorted({*config.hardware.without, *effects} - kept)}
    return config.model_copy(update={"hardware": config.hardware.model_copy(update=words)})
