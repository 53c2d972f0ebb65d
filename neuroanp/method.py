"""What a config can train with: the members that the options of every rule, baseline and learner have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol


class Method(Protocol):
    """All one can train with: a frozen model of options, which says what runs it."""

    learner: ClassVar[str]
    """The registered learner that runs it: "passes" of local rules, "gradient" of baselines, or one of its own."""
    local: ClassVar[bool]
    """Whether it learns from forward activity and a global signal alone."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Options by the name of a preset (key `preset`); one called "spiking" is taken with units that spike. {}: none."""
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Keys of the optimizer that a preset sets, by its name; {}: none."""

    @property
    def needs(self) -> tuple[str, ...]:
        """What hardware must provide, in the words of `neuroanp.learning.requirements`; (): none learns by it."""
        ...

    def check(self, spiking: bool) -> None:
        """Raise InputError where the options do not go with networks whose units do (not) spike."""
        ...
