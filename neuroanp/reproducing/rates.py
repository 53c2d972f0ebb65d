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
WIDENED: Mapping[tuple[str, str], tuple[float, ...]] = MappingProxyType({
    ("forecast", "np"): (0.6,),
    ("recall", "np"): (0.2, 0.6),
    ("recall", "bptt1"): (3e-4,),
    ("copy_fixed", "anp"): (0.003, 0.01),
    ("copy_fixed", "np"): (0.2, 0.6),
    ("copy_fixed", "echo"): (1e-4, 3e-4),
    ("copy_fresh", "anp"): (3.0,),
    ("psmnist", "anp"): (3.0,),
    ("psmnist", "np"): (200.0,),
})  # fmt: skip
"""Rates that were tried beyond the grids for `ROWS`, by experiment and method: fewer than `--tune` would try."""
TUNED_DANP = ("psmnist",)
"""Where DANP keeps what its own tuning gave; elsewhere it has ANP's rate."""
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


def at_edge(name: str, way: str) -> bool:
    """Tell whether the rate of a method at quick sizes is the lowest or the highest that was tried.

    >>> at_edge("weather", "wp"), at_edge("weather", "anp")  # 1 of .03 to 1, .1 of .03 to 1
    (True, False)
    """
    like = LIKE.get(name, name)
    if way not in GRIDS or (way == "danp" and like not in TUNED_DANP):
        return False
    tried = (*GRIDS[way], *WIDENED.get((like, way), ()))
    return QUICK[like][way] in (min(tried), max(tried))


def said(quick: bool) -> str:
    """Say where the rates are from."""
    if not quick:
        return (
            "Learning rates: the preset's methods and BPTT of one step keep the paper's, 1e-3, constant; full BPTT and "
            "this package's methods have 1e-3 with cosine decay, which is not tuned."
        )
    first, second = TUNING_SEEDS
    widened = _listed({place: f"{', '.join(f'{lr:g}' for lr in more)}" for place, more in WIDENED.items()})
    edges = _listed({(name, way): f"{QUICK[name][way]:g}" for name in QUICK for way in EVERY if at_edge(name, way)})
    return (
        f"Learning rates: those of the lowest median validation loss on seeds {first} and {second}, reported only "
        "where --seeds names them, for each method and experiment by itself, of four a factor of about "
        f"three apart; weight perturbation on seed {first} alone (in the forecast on both). Beyond these four were "
        f"tried {widened}; nothing beyond the last of other methods. The best is at the edge of what was tried, and a "
        f"better one may lie beyond, for {edges}. DANP was tuned with decorrelation of 1e-2 alone, which it has where "
        "that was better than ANP on these seeds (psMNIST); elsewhere it is not tuned: it learns at ANP's rate and "
        "decorrelates at the paper's 1e-4 of copy, which has as many updates. The preset has plain gradient descent at "
        "a constant rate, the others Adam, cosine decay and clipping. Scaling takes the rates of copy_fixed at all "
        f"widths. '{WAYS['anp_1e-3'].label}' keeps the paper's rate, which is for 500 epochs."
    )


def _listed(numbers: Mapping[tuple[str, str], str]) -> str:
    """Write numbers of methods in experiments, an experiment after another."""
    names = dict.fromkeys(name for name, _ in numbers)
    return "; ".join(
        f"{name}: " + ", ".join(f"{WAYS[way].label} {said}" for (other, way), said in numbers.items() if other == name)
        for name in names
    )
