"""Read a target, such as 'test_loss < 0.01': a metric that results have, a relation and a number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, log10
from typing import Any

from neuroanp.errors import InputError, did_you_mean

METRICS = (
    "test_loss", "test_loss_noise_free", "score", "energy_J", "chip_time_s", "pulses", "wear", "passes", "updates",
)  # fmt: skip
"""Numbers of a run's result."""
RELATIONS = ("<=", ">=", "<", ">")
FORM = "write METRIC < NUMBER, or <=, >, >=, e.g. 'test_loss < 0.01'"
_FORM = re.compile(
    r"\s*([A-Za-z_][A-Za-z0-9_.]{0,79})\s*(<=|>=|<|>)\s*([-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?)\s*"
)


@dataclass(frozen=True)
class Target:
    """What the median over seeds of a metric must be.

    Args:
        metric: of METRICS. relation: of RELATIONS. number: above 0.

    >>> Target.of("test_loss < 1e-2")
    Target(metric='test_loss', relation='<', number=0.01)
    >>> Target.of("test_loss 0.01")
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: --target: 'test_loss 0.01' is no target; write METRIC < NUMBER, or <=, >, >=, e.g. \
'test_loss < 0.01'
    """

    metric: str
    relation: str
    number: float

    @classmethod
    def of(cls, text: Any) -> Target:
        """Read a target.

        Raises:
            InputError: it has no relation, no such metric, or no number above 0.
        """
        if not isinstance(text, str):
            raise InputError(f"--target: {text!r:.80} is no text; {FORM}")
        found = _FORM.fullmatch(text)
        if found is None:
            raise InputError(f"--target: '{text:.80}' is no target; {FORM}")
        metric, relation, number = found[1], found[2], float(found[3])
        if metric not in METRICS:
            near = did_you_mean(metric, METRICS)
            raise InputError(f"--target: a result has no '{metric}'{near} (it has: {', '.join(METRICS)})")
        if not 0 < number < inf:
            raise InputError(
                f"--target: {found[3]} is not above 0: parameters are ranked by decades, and there are none to it"
            )
        return cls(metric, relation, number)

    @property
    def text(self) -> str:
        """The target as it is written."""
        return f"{self.metric} {self.relation} {self.number:g}"

    @property
    def less(self) -> bool:
        """Whether less of the metric is better."""
        return self.relation in ("<", "<=")

    def value(self, result: Mapping[str, Any] | None) -> float | None:
        """Return the metric of a result; infinitely bad where the run diverged, None where the result has none."""
        if result is None:
            return None
        if result["status"] == "diverged":
            return inf if self.less else -inf
        value = result[self.metric]
        return None if value is None else float(value)

    def met(self, value: float) -> bool:
        """Tell whether a value is what the target asks for.

        >>> Target.of("score >= 0.9").met(0.9), Target.of("test_loss < 0.01").met(0.01)
        (True, False)
        """
        return {
            "<": value < self.number, "<=": value <= self.number, ">": value > self.number, ">=": value >= self.number
        }[self.relation]  # fmt: skip

    def distance(self, value: float) -> float:
        """Return by how many decades a value is worse than the target's number; below 0 it is better.

        log10(value / number) where less is better, its negative where more is; infinite for a value of 0 or below.

        >>> Target.of("test_loss < 0.01").distance(0.1), Target.of("score > 1").distance(0.1)
        (1.0, 1.0)
        """
        if not isfinite(value):
            return inf
        decades = log10(value / self.number) if value > 0 and value / self.number > 0 else -inf
        return decades if self.less else -decades
