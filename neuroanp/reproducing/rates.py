"""Learning rates: the paper's at its sizes, and at quick sizes those that won on seeds that are not reported."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from neuroanp.reproducing.experiments import Experiment
from neuroanp.reproducing.ways import WAYS

OF_PAPER = 1e-3
"""Of the paper's code: plain gradient descent of the rules that perturb, Adam of BP."""
TUNING_SEEDS = (100, 101)
GRIDS: Mapping[str, tuple[float, ...]] = MappingProxyType({
    "anp": (0.03, 0.1, 0.3, 1.0),
    "danp": (0.03, 0.1, 0.3, 1.0),
    "np": (2.0, 6.0, 20.0, 60.0),
    "wp": (0.03, 0.1, 0.3, 1.0),
    "mean": (1e-3, 3e-3, 1e-2, 3e-2),
    "echo": (1e-3, 3e-3, 1e-2, 3e-2),
    "bptt": (1e-3, 3e-3, 1e-2, 3e-2),
    "bptt1": (1e-3, 3e-3, 1e-2, 3e-2),
})  # fmt: skip
"""What `benchmarks/paper.py --tune` tries of each method at quick sizes."""
LIKE = MappingProxyType({"scaling": "copy_fixed"})
"""Whose rates an experiment takes that was not tuned itself: the same task, at one width."""
QUICK: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "forecast": {
            "anp": 0.1,
            "danp": 0.1,
            "np": 20.0,
            "wp": 0.3,
            "mean": 0.01,
            "echo": 0.01,
            "bptt": 0.01,
            "bptt1": 0.01,
        },
        "recall": {
            "anp": 0.1,
            "danp": 0.1,
            "np": 20.0,
            "wp": 0.3,
            "mean": 0.01,
            "echo": 0.01,
            "bptt": 0.01,
            "bptt1": 0.01,
        },
        "copy_fixed": {
            "anp": 0.1,
            "danp": 0.1,
            "np": 20.0,
            "wp": 0.3,
            "mean": 0.01,
            "echo": 0.01,
            "bptt": 0.01,
            "bptt1": 0.01,
        },
        "copy_fresh": {
            "anp": 0.1,
            "danp": 0.1,
            "np": 20.0,
            "wp": 0.3,
            "mean": 0.01,
            "echo": 0.01,
            "bptt": 0.01,
            "bptt1": 0.01,
        },
        "weather": {
            "anp": 0.1,
            "danp": 0.1,
            "np": 20.0,
            "wp": 0.3,
            "mean": 0.01,
            "echo": 0.01,
            "bptt": 0.01,
            "bptt1": 0.01,
        },
        "psmnist": {
            "anp": 0.1,
            "danp": 0.1,
            "np": 20.0,
            "wp": 0.3,
            "mean": 0.01,
            "echo": 0.01,
            "bptt": 0.01,
            "bptt1": 0.01,
        },
    }
)


def rate(experiment: Experiment, way: str, quick: bool) -> float:
    """Return the learning rate of a method.

    At the paper's sizes every method has 1e-3, times the batch where the paper's code sums over it; of this package's
    methods and of full BPTT that is not tuned.
    """
    if way == "anp_1e-3":
        return OF_PAPER
    if quick:
        return QUICK[LIKE.get(experiment.name, experiment.name)][way]
    return OF_PAPER * (experiment.batch if way in experiment.summed else 1)


def said(quick: bool) -> str:
    """Say where the rates are from."""
    if not quick:
        return (
            "Learning rates: the preset's methods and BPTT of one step keep the paper's, 1e-3, constant; full BPTT and "
            "this package's methods have 1e-3 with cosine decay, which is not tuned."
        )
    seeds = " and ".join(map(str, TUNING_SEEDS))
    return (
        f"Learning rates: of {len(GRIDS['anp'])} values that of the lowest median validation loss on seeds {seeds}, "
        "which are not reported, for each method and experiment by itself (preset: plain gradient descent, constant; "
        f"others: Adam, cosine decay); scaling takes those of copy_fixed at all widths. '{WAYS['anp_1e-3'].label}' "
        "keeps the paper's rate, which is for 500 epochs. Decorrelation has 1e-2, which is not tuned."
    )
