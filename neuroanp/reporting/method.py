"""Group the results of a comparison into methods: all seeds of one way to learn a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuroanp.losses import SQUARED_ERROR
from neuroanp.reporting.origins import UNKNOWN, Origins
from neuroanp.reporting.values import numbers

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Method:
    """One way to learn a task: all the seeds of it.

    Args:
        profile, backend, rule: what learned.
        variant: options in which it differs from a method of the same names, or "".
        results: one for each seed, finished or not.
        task: what was learned.
        among_backends: whether it is compared with methods of other backends.
    """

    task: str
    profile: str
    backend: str
    rule: str
    variant: str
    results: tuple[Result, ...]
    among_backends: bool = False

    @property
    def label(self) -> str:
        """Its name in figures and sentences, "pcm · anp", with the backend where that is no matter of course."""
        name = f"{self.profile} · {self.rule}"
        name += f" · {self.backend}" if self.among_backends or self.backend != "rate" else ""
        return f"{name} ({self.variant})" if self.variant else name

    @property
    def has_twin(self) -> bool:
        """Whether a host computes on a digital twin of the network, which no chip's books count."""
        from neuroanp.baselines.methods import BASELINES  # lazy: it imports torch

        return self.rule in BASELINES.names() or self.computes

    @property
    def computes(self) -> bool:
        """Whether a host computes the weights, class LS, so that no unit learns."""
        return self.feedback == "LS"

    @property
    def origins(self) -> Origins:
        """On what the figures of its device rest; UNKNOWN where its runs do not say."""
        return next((result["origins"] for result in self.results if "origins" in result), UNKNOWN)

    @property
    def loss(self) -> str:
        """What its losses are: "mean squared error"."""
        return next((result["loss"] for result in self.results if "loss" in result), SQUARED_ERROR.label)

    @property
    def feedback(self) -> str:
        """Its class of feedback (`neuroanp.method.FEEDBACK`); "" where its runs do not say, as earlier ones do."""
        return next((result["feedback"] for result in self.results if "feedback" in result), "")

    @property
    def finished(self) -> tuple[Result, ...]:
        """The results of the runs that came to their end."""
        return tuple(result for result in self.results if result["status"] == "finished")

    def values(self, key: str) -> list[float]:
        """The finished runs' finite values of one number."""
        return numbers(result[key] for result in self.finished)

    def against(self, control: str) -> list[tuple[float, float]]:
        """Pairs (test loss, the control's loss) of the runs that have both."""
        pairs = [numbers([r["test_loss"], (r["controls"] or {}).get(control)]) for r in self.finished]
        return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]

    def between(self, one: str, other: str) -> list[tuple[float, float]]:
        """Pairs of two controls' losses, of the runs that have both."""
        of_runs = [r["controls"] or {} for r in self.finished]
        pairs = [numbers([found.get(one), found.get(other)]) for found in of_runs]
        return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]


def methods(results: Sequence[Result], variants: Sequence[str] | None = None) -> list[Method]:
    """Group results by task, profile, backend, rule and variant, in order of first appearance, backend by backend.

    >>> names = {"task": "copy", "profile": "pcm", "backend": "rate", "rule": "anp", "status": "finished"}
    >>> row = {**names, "test_loss": 1.0}
    >>> [(m.label, m.values("test_loss")) for m in methods([row, {**row, "test_loss": 3.0}])]
    [('pcm · anp', [1.0, 3.0])]
    """
    groups: dict[tuple[str, ...], list[Result]] = {}
    for result, variant in zip(results, variants or [""] * len(results), strict=True):
        key = (*(str(result[name]) for name in ("task", "profile", "backend", "rule")), variant)
        groups.setdefault(key, []).append(result)
    found = dict.fromkeys(backend for _, _, backend, *_ in groups)
    ordered = [(key, groups[key]) for backend in found for key in groups if key[2] == backend]
    return [Method(*key, results=tuple(group), among_backends=len(found) > 1) for key, group in ordered]
