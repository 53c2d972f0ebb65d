"""The methods that are compared: the paper's own as its code has them, this package's, and backpropagation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

SIGMA = 1e-3
"""Standard deviation of the noise, on units or on weights, as in the paper's code."""
SGD: Mapping[str, Any] = MappingProxyType({"name": "sgd", "schedule": "constant"})
ADAM: Mapping[str, Any] = MappingProxyType({"name": "adam", "schedule": "cosine", "clip": 1.0})
ADAM_OF_PAPER: Mapping[str, Any] = MappingProxyType({"name": "adam", "schedule": "constant"})


@dataclass(frozen=True)
class Way:
    """One method.

    Args:
        label: in tables. rule: its options, without what a task decides.
        passes: what an update counts, in presentations of a batch; a forward and a backward pass are two.
        optimizer: of quick runs. of_paper: at the paper's sizes, where that is another.
        preset: whether the rule is as the paper's code has it.
        noise: what is perturbed: units, weights or nothing.
    """

    label: str
    rule: Mapping[str, Any]
    passes: int
    optimizer: Mapping[str, Any]
    of_paper: Mapping[str, Any] | None = None
    preset: bool = False
    noise: str = "units"


def _preset(name: str, label: str, noise: str = "units", **more: Any) -> Way:
    return Way(label, {"name": name, "preset": "paper", **more}, 2, SGD, preset=True, noise=noise)


WAYS: Mapping[str, Way] = MappingProxyType({
    "anp": _preset("anp", "ANP (preset)"),
    "danp": _preset("anp", "DANP (preset)", decorrelation={}),
    "anp_1e-3": _preset("anp", "ANP (preset), lr 1e-3"),
    "np": _preset("np", "NP (preset)"),
    "wp": _preset("wp", "WP (preset)", noise="weights", sigma=SIGMA),
    "mean": Way("ANP (ours, S)", {"name": "anp", "reference": "mean", "K": 3}, 4, ADAM),
    "echo": Way("echo (ours, E)", {"name": "echo"}, 2, ADAM),
    "bptt": Way("BPTT", {"name": "bptt"}, 2, ADAM, noise="nothing"),
    "bptt1": Way("BPTT, 1 step", {"name": "bptt1"}, 2, ADAM, ADAM_OF_PAPER, noise="nothing"),
})  # fmt: skip
"""By key. What the paper's code calls BP is `bptt1`: the hidden state of the step before is a constant to it."""
