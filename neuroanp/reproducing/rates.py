"""Learning rates: the paper's at its sizes, and at quick sizes those that won on seeds that are not reported."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from neuroanp.reproducing.experiments import EVERY, Experiment
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
"""What `benchmarks/paper.py --tune` tries first of each method at quick sizes; it widens a grid at its edge."""
LIKE = MappingProxyType({"scaling": "copy_fixed"})
"""Whose rates an experiment takes that was not tuned itself: the same task, at one width."""
DECORRELATIONS = (1e-4, 1e-2)
"""Rates of decorrelation that are tried with each rate of DANP."""
ROWS: Mapping[str, tuple[float, ...]] = MappingProxyType({
    # anp, danp, np, wp, mean, echo, bptt, bptt1: the order of EVERY
    "forecast": (0.3, 0.3, 2.0, 0.1, 0.01, 0.01, 0.003, 0.03),
    "recall": (0.3, 0.3, 0.6, 0.1, 0.003, 0.003, 0.003, 0.001),
    "copy_fixed": (0.01, 0.01, 0.6, 0.3, 0.003, 0.001, 0.01, 0.003),
    "copy_fresh": (1.0, 1.0, 20.0, 1.0, 0.01, 0.003, 0.03, 0.003),
    "weather": (0.1, 0.1, 6.0, 1.0, 0.01, 0.01, 0.01, 0.01),
    "psmnist": (3.0, 1.0, 60.0, 1.0, 0.003, 0.01, 0.01, 0.03),
})  # fmt: skip
QUICK: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {name: MappingProxyType(dict(zip(EVERY, row, strict=True))) for name, row in ROWS.items()}
)
"""What won: rates by experiment and method, those of decorrelation in `experiments.QUICK_DECORRELATION`."""


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
    first, second = TUNING_SEEDS
    return (
        f"Learning rates: those of the lowest median validation loss on seeds {first} and {second}, which are not "
        "reported, for each method and experiment by itself, of four a factor of about three apart, and more where the "
        f"best of ANP, NP or echo was the last of them; weight perturbation on seed {first} alone. DANP "
        "decorrelates at the paper's 1e-4 of copy, which has as many updates, and learns at ANP's rate; where 1e-2 was "
        "better than ANP on these seeds (psMNIST) it has that. The preset has plain gradient descent at a constant "
        "rate, the others Adam, cosine decay and clipping. Scaling takes the rates of copy_fixed at all widths. "
        f"'{WAYS['anp_1e-3'].label}' keeps the paper's rate, which is for 500 epochs."
    )
