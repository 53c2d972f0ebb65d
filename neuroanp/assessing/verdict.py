"""Say of one task whether a device learns it: its losses held to controls and to the ideal device, seed by seed.

Of n seeds alike with a control, at least k are below it with the probability sum_{j >= k} C(n, j) 2^-n (the sign test).
What has less than UNLIKELY of it is told, either way; the rest cannot be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median
from typing import Any

from neuroanp.reporting.method import Method
from neuroanp.reporting.separation import LEAST
from neuroanp.reporting.tables import SOLVED, UNLIKELY, at_least
from neuroanp.reporting.values import digits

LEARNS, AS_IDEAL, NOT, OPEN = "learns", "learns as well as ideal", "does not learn", "cannot be told"
LEARNED = (LEARNS, AS_IDEAL)
MEAN, FROZEN, RIDGE = "constant mean", "frozen recurrence", "ridge readout"


@dataclass(frozen=True)
class Held:
    """A loss held to another, seed by seed.

    Args:
        mine, other: what the two are. losses: (mine, other) of each seed; infinite of a run that diverged.
    """

    mine: str
    other: str
    losses: tuple[tuple[float, float], ...]

    @property
    def medians(self) -> tuple[float, float]:
        """Both medians over the seeds."""
        return median(one for one, _ in self.losses), median(other for _, other in self.losses)

    @property
    def below(self) -> int:
        """On how many seeds mine is below the other."""
        return sum(one < other for one, other in self.losses)

    @property
    def told(self) -> bool | None:
        """Whether mine is below the other; None: chance gives as many seeds too often to tell, or there are too few."""
        many, (one, other) = len(self.losses), self.medians
        if many < LEAST:
            return None
        wins = self.below if one < other else many - self.below
        return one < other if at_least(wins, many) <= UNLIKELY else None

    @property
    def chance(self) -> float:
        """The probability of as many seeds on that side, or more, were the two alike."""
        many, (one, other) = len(self.losses), self.medians
        return at_least(self.below if one < other else many - self.below, many)

    @property
    def text(self) -> str:
        """What was found, in words."""
        one, other = (digits(value) if value < inf else "diverged" for value in self.medians)
        return (
            f"{self.mine} {one} against {other} of the {self.other}, below it in {self.below} of {len(self.losses)} "
            f"seeds ({digits(self.chance, 2)} by chance)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "mine": self.mine, "other": self.other, "losses": [[*pair] for pair in self.losses], "below": self.below,
            "told": self.told, "chance": self.chance,
        }  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """Whether a device learns a task.

    Args:
        word: one of LEARNS, AS_IDEAL, NOT, OPEN.
        held: what that rests on: losses as learned, and of readouts refit, held to controls.
        ideal: losses held to the ideal device's; None where that has none, or is the device itself.
        why: what keeps it from being told; "" where it is.
    """

    word: str
    held: tuple[Held, ...]
    ideal: Held | None
    why: str = ""

    @property
    def learned(self) -> bool:
        """Whether it has been shown to learn."""
        return self.word in LEARNED

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "verdict": self.word, "why": self.why, "held": [one.to_dict() for one in self.held],
            "ideal": None if self.ideal is None else self.ideal.to_dict(),
        }  # fmt: skip


def verdict(device: Method, ideal: Method | None) -> Verdict:
    """Say whether a device learns a task.

    It learns where, each told by the seeds, its loss as learned is below the constant mean and below that of the
    frozen recurrence (the readout alone learned, by the same rule), and a ridge readout refit on the trained network
    is below one of the untrained; on a noisy chip both under its noise. It does not where one of these is told to be
    otherwise. It learns as well as the ideal device where the seeds do not tell its loss to be above that one's.

    Args:
        device: all its seeds. ideal: the same task on the ideal profile, or None.
    """
    held = controls_of(device)
    beside = None if ideal is None else against(device, ideal)
    learns_there = None if ideal is None else _word(controls_of(ideal))
    word = _word(held)
    if word == LEARNS:
        return Verdict(AS_IDEAL if beside is not None and beside.told is not True else LEARNS, held, beside)
    if learns_there is not None and learns_there != LEARNS:
        return Verdict(
            OPEN, held, beside, "the ideal device has not been shown to learn it here either: more --updates"
        )
    return Verdict(word, held, beside, "" if word == NOT else _why(device, held))


def _word(held: Sequence[Held]) -> str:
    found = [one.told for one in held]
    if any(told is False for told in found):
        return NOT
    complete = {one.other for one in held} >= {MEAN, FROZEN, RIDGE}
    return LEARNS if complete and all(found) else OPEN


def _why(device: Method, held: Sequence[Held]) -> str:
    """Say what keeps a verdict from being told."""
    missing = [name for name in (MEAN, FROZEN, RIDGE) if name not in {one.other for one in held}]
    if missing:
        return f"its runs have no control that is the {' or the '.join(missing)}"
    many = min(len(one.losses) for one in held)
    if at_least(many, many) > UNLIKELY:
        return f"{many} seeds are too few, even if all agree; take --seeds 5"
    unsure = " and ".join(f"the {one.other}" for one in held if one.told is None)
    return f"{many} seeds do not tell it from {unsure}; more of them would, or more --updates"


def controls_of(method: Method) -> tuple[Held, ...]:
    """Return a method's losses held to its controls, in the same order always; those that it has.

    A ridge readout that solves the task to rounding leaves nothing to be learned: it is left out.
    """
    frozen = next((key for key in ("frozen_recurrence", "frozen_layers") if method.against(key)), "")
    pairs = {
        MEAN: ("its loss", method.against("constant_mean")),
        FROZEN: ("its loss", method.against(frozen) if frozen else []),
        RIDGE: (
            "a ridge readout refit on it",
            method.between("refit_noisy", "ridge_noisy") or method.between("refit", "ridge"),
        ),
    }
    lost = sum(result["status"] == "diverged" for result in method.results)
    made = []
    for other, (mine, found) in pairs.items():
        if not found or (other == RIDGE and median(of for _, of in found) <= SOLVED):
            continue
        beside = median(of for _, of in found)
        made.append(Held(mine, other, (*found, *((inf, beside),) * lost)))
    return tuple(made)


def against(device: Method, ideal: Method) -> Held | None:
    """Return how far a device is above the ideal one: the ideal's losses held to its own, by seed; None: none shared.

    `told` is True where the ideal device is better.
    """
    mine, theirs = (_by_seed(one) for one in (device, ideal))
    shared = [seed for seed in mine if seed in theirs]
    if not shared:
        return None
    return Held("the ideal device", "device", tuple((theirs[seed], mine[seed]) for seed in shared))


def _by_seed(method: Method) -> Mapping[Any, float]:
    """Return the losses by seed; infinite of a run that diverged."""
    found = {}
    for result in method.results:
        if result["status"] == "diverged":
            found[result["seed"]] = inf
        elif result["status"] == "finished" and result["test_loss"] is not None:
            found[result["seed"]] = float(result["test_loss"])
    return found
