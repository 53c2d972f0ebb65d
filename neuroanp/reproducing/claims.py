"""What the paper claims, in our words, and what one would ask beside it: each a comparison of two losses, seed by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from neuroanp.reproducing.experiments import Experiment
from neuroanp.reproducing.ways import WAYS

REACHES = 1.1
"""A loss reaches another where it is at most so many times as high."""
MEASURE = "measure"
"""The key of the loss that an experiment compares."""
CONTROLS: Mapping[str, str] = {
    "constant_mean": "the constant mean", "persistence": "persistence", "ridge": "ridge readout, untrained network",
}  # fmt: skip
"""Controls by key; they are computed with the runs of the paper's ANP."""


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
        return tuple(_pair(name, of(name, way), of(name, "anp", key)) for name in names)

    widths = experiments["scaling"].widths
    wide, narrow = f"{widths[-1]} hidden", f"{widths[0]} hidden"
    return [
        Claim("BP", "paper", "ANP, without a backward pass, ends as low as what the paper calls backpropagation, which its "
              "code truncates to one step.", pairs(every, "anp", "bptt1", REACHES)),
        Claim("BPTT", "paper", "ANP ends as low as backpropagation through all of time.",
              pairs(every, "anp", "bptt", REACHES)),
        Claim("NP", "paper", "ANP ends below node perturbation.", pairs(every, "anp", "np")),
        Claim("WP", "paper", "ANP ends below weight perturbation.", pairs(every, "anp", "wp")),
        Claim("decorrelation", "paper", "Decorrelated activity makes ANP better.", pairs(every, "danp", "anp")),
        Claim("learns", "paper", "ANP learns the task: it ends below the best constant.",
              control([name for name in every if name != "weather"], "anp", "constant_mean")),
        Claim("persistence", "paper", "Forecasts by ANP are better than that nothing changes.",
              control(["forecast", "weather"], "anp", "persistence")),
        Claim("scaling", "paper", "Larger hidden layers do better.", tuple(
            Comparison(f"scaling, {WAYS[way].label}", of("scaling", way, which=-1), of("scaling", way), wide, narrow)
            for way in experiments["scaling"].ways)),
        Claim("recall", "code", "What the code asks of Mackey-Glass, to recall it, is easier than to forecast it.", tuple(
            Comparison(f"Mackey-Glass, {WAYS[way].label}", of("recall", way), of("forecast", way), "recall", "forecast")
            for way in ("anp", "bptt1", "bptt"))),
        Claim("by heart", "code", "What ANP learned of the one sequence that it trains on serves for others.", tuple(
            Comparison(f"copy_fixed, {WAYS[way].label}", of("copy_fixed", way, "loss"),
                       of("copy_fixed", "anp", "constant_mean"), "fresh sequences", CONTROLS["constant_mean"])
            for way in ("anp", "bptt1", "bptt"))),
        Claim("recurrence", "ours", "ANP trains the recurrence: it ends below a ridge readout of the untrained network.",
              control(fresh, "anp", "ridge")),
        Claim("ours, S", "ours", "Noisy passes against their mean, a loss for each sequence and what follows a step (class "
              "S as the preset) end below the preset of ANP.", pairs(every, "mean", "anp")),
        Claim("ours, E", "ours", "Echo, which hears the outputs' errors too, ends below the preset of ANP.",
              pairs(every, "echo", "anp")),
        Claim("echo, BPTT", "ours", "Echo ends as low as backpropagation through all of time.",
              pairs(every, "echo", "bptt", REACHES)),
        Claim("echo, recurrence", "ours", "Echo trains the recurrence: it ends below a ridge readout of the untrained "
              "network.", control(fresh, "echo", "ridge")),
    ]  # fmt: skip


def _pair(name: str, one: Number, other: Number, within: float = 1.0) -> Comparison:
    return Comparison(name, one, other, one.label, other.label, within)
