"""What the paper claims, in our words, and what one would ask beside it: comparisons of two losses, seed by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from neuroanp.reproducing.experiments import Experiment
from neuroanp.reproducing.running import WITH_CONTROLS
from neuroanp.reproducing.ways import WAYS

SAID: Mapping[str, tuple[str, str]] = {
    "BP": ("paper", "ANP ends as low as what the paper calls backpropagation, which its code truncates to one step."),
    "BPTT": ("paper", "ANP ends as low as backpropagation through all of time."),
    "NP": ("paper", "ANP ends below node perturbation."),
    "WP": ("paper", "ANP ends below weight perturbation."),
    "decorrelation": ("paper", "Decorrelated activity makes ANP better."),
    "learns": ("paper", "ANP learns the task: it ends below the best constant."),
    "persistence": ("paper", "Forecasts by ANP are better than that nothing changes."),
    "scaling": ("paper", "Larger hidden layers do better."),
    "recall": ("code", "What the code asks of Mackey-Glass, to recall it, is easier than to forecast it."),
    "by heart": ("code", "What is learned of the one sequence that the code trains on serves for others."),
    "recurrence": ("ours", "ANP trains the recurrence: it ends below a ridge readout of the untrained network."),
    "ours, S": (
        "ours",
        "Noisy passes against their mean, with credit a sequence and for later losses, end below preset ANP.",
    ),
    "ours, E": ("ours", "Echo, which hears the outputs' errors too, ends below preset ANP."),
    "echo, BPTT": ("ours", "Echo ends as low as backpropagation through all of time."),
    "echo, recurrence": ("ours", "Echo trains the recurrence: it ends below a ridge readout of the untrained network."),
}
"""Claims by name: whose ("paper", "code": what its code does in place of what is written, "ours"), and in our words."""
FRESH = "fresh sequences"
REACHES, SOLVED = 1.1, 1e-6
"""A loss reaches another where it is below so many times the other, or so low that nothing is left to learn."""
MEASURE = "measure"
"""The key of the loss that an experiment compares."""
CONTROLS: Mapping[str, str] = {
    "constant_mean": "the constant mean", "persistence": "persistence", "ridge": "ridge readout, untrained network",
}  # fmt: skip
"""Controls by key."""


@dataclass(frozen=True)
class Number:
    """A loss: what experiment, method and width it is of, and by what key a run has it."""

    experiment: str
    way: str
    hidden: int
    key: str

    @property
    def label(self) -> str:
        """What it is called beside the other of a comparison."""
        return CONTROLS.get(self.key, WAYS[self.way].label)


@dataclass(frozen=True)
class Comparison:
    """That one loss is below `within` times another, in one experiment or across two.

    Args:
        where: the experiment, or what is compared. one, other: the losses, and what they are called.
    """

    where: str
    one: Number
    other: Number
    one_label: str
    other_label: str
    within: float = 1.0

    def below(self, one: float, other: float) -> bool:
        """Tell whether the one loss is as low as is claimed.

        >>> number = Number("recall", "anp", 8, "loss")
        >>> [Comparison("", number, number, "", "", within).below(1.05, 1.0) for within in (1.0, REACHES)]
        [False, True]
        """
        return one < self.within * other or (self.within > 1 and one < SOLVED)


@dataclass(frozen=True)
class Claim:
    """One sentence, and the comparisons that it is held to.

    Args:
        name: short. whose: "paper", "code" (what its code does in place of what is written), or "ours".
        said: the sentence. tests: comparisons.
    """

    name: str
    whose: str
    said: str
    tests: tuple[Comparison, ...]


def claims(experiments: Mapping[str, Experiment]) -> list[Claim]:
    """Return all claims; `experiments` are all there are, by name."""
    every = [name for name in experiments if name != "scaling"]
    fresh = [name for name in every if name != "copy_fixed"]

    def of(name: str, way: str, key: str = MEASURE, which: int = 0) -> Number:
        experiment = experiments[name]
        return Number(name, way, experiment.widths[which], experiment.measure if key == MEASURE else key)

    def pairs(names: Iterable[str], one: str, other: str, within: float = 1.0) -> tuple[Comparison, ...]:
        return tuple(_pair(name, of(name, one), of(name, other), within) for name in names)

    def control(names: Iterable[str], way: str, key: str) -> tuple[Comparison, ...]:
        return tuple(_pair(name, of(name, way), of(name, WITH_CONTROLS, key)) for name in names)

    widths = experiments["scaling"].widths
    wide, narrow = f"{widths[-1]} hidden", f"{widths[0]} hidden"
    of_width = tuple(
        Comparison(f"scaling, {WAYS[way].label}", of("scaling", way, which=-1), of("scaling", way), wide, narrow)
        for way in experiments["scaling"].ways
    )
    three = ("anp", "bptt1", "bptt")
    directions = tuple(
        Comparison(f"Mackey-Glass, {WAYS[way].label}", of("recall", way), of("forecast", way), "recall", "forecast")
        for way in three
    )
    constant = of("copy_fixed", WITH_CONTROLS, "constant_mean")
    by_heart = tuple(
        Comparison(f"copy_fixed, {WAYS[way].label}", of("copy_fixed", way, "loss"), constant, FRESH, constant.label)
        for way in three
    )
    scored = [name for name in fresh if name != "weather"]  # copy_fixed's constant is of other sequences
    tests: dict[str, tuple[Comparison, ...]] = {
        "BP": pairs(every, "anp", "bptt1", REACHES),
        "BPTT": pairs(every, "anp", "bptt", REACHES),
        "NP": pairs(every, "anp", "np"),
        "WP": pairs(every, "anp", "wp"),
        "decorrelation": pairs(every, "danp", "anp"),
        "learns": control(scored, "anp", "constant_mean"),
        "persistence": control(["forecast", "weather"], "anp", "persistence"),
        "scaling": of_width,
        "recall": directions,
        "by heart": by_heart,
        "recurrence": control(fresh, "anp", "ridge"),
        "ours, S": pairs(every, "mean", "anp"),
        "ours, E": pairs(every, "echo", "anp"),
        "echo, BPTT": pairs(every, "echo", "bptt", REACHES),
        "echo, recurrence": control(fresh, "echo", "ridge"),
    }
    return [Claim(name, whose, said, tests[name]) for name, (whose, said) in SAID.items()]


def _pair(name: str, one: Number, other: Number, within: float = 1.0) -> Comparison:
    return Comparison(name, one, other, one.label, other.label, within)
