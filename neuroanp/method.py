"""What a config can train with: the members that the options of every rule, baseline and learner have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

FEEDBACK = {
    "S": "one scalar loss for all units, nothing else",
    "S+": "output units know their own signed error, hidden units hear the scalar loss alone",
    "E": "hidden units hear the signed errors of the outputs too, a number for each output",
    "BP": "the exact gradient, found by a backward pass through a twin of the network",
    "LS": "units hear nothing: a host that knows inputs and targets computes the weights, by least squares at the end",
}
"""Classes of feedback: what of the outcome a method tells which units."""


class Method(Protocol):
    """All one can train with: a frozen model of options, which says what runs it.

    >>> from neuroanp.baselines.methods import BPTT
    >>> from neuroanp.learning.anp import ANP
    >>> for method in (ANP(preset="default"), BPTT()):
    ...     method.check(spiking=False)
    ...     print(method.name, method.feedback, method.needs[:1], method.local)
    anp S ('a scalar loss at every step',) True
    bptt BP () False
    """

    learner: ClassVar[str]
    """The registered learner that runs it: "passes" of local rules, "gradient" of baselines, or one of its own."""
    local: ClassVar[bool]
    """Whether it learns from forward activity and a global signal alone."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Options by the name of a preset (key `preset`); one called "spiking" is taken with units that spike. {}: none."""
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Keys of the optimizer that a preset sets, by its name; {}: none."""

    @property
    def feedback(self) -> str:
        """Its class of feedback, by which tables keep claims apart; see `neuroanp.method.FEEDBACK`."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """What hardware must provide, in the words of `neuroanp.learning.requirements`; (): none learns by it."""
        ...

    def check(self, spiking: bool) -> None:
        """Raise InputError where the options do not go with networks whose units do (`spiking`), or do not, spike."""
        ...


def of_preset(presets: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], otherwise: str) -> dict[str, Any]:
    """Return what the preset has that options name; {} where it is none, which a check of the options tells.

    Args: presets: of a method. options: as they were written. otherwise: the preset where they name none.

    >>> presets = {"default": {}, "paper": {"K": 512}}
    >>> of_preset(presets, {"preset": "paper"}, "default"), of_preset(presets, {"preset": ["paper"]}, "default")
    ({'K': 512}, {})
    """
    name = options.get("preset", otherwise)
    return {**presets.get(name, {})} if isinstance(name, str) else {}
