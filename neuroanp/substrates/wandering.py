"""How the weights of a chip wander by the read noise of its devices: as a rule sees it that explores by it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from neuroanp.devices import reading

if TYPE_CHECKING:
    from neuroanp.devices.protocol import ReadLaw
    from neuroanp.substrates.chip_reads import ReadChip


class Wandering(NamedTuple):
    """What an Ornstein-Uhlenbeck process would be that wanders as far and forgets as fast over a step.

    Args:
        sd: root of the mean variance of a weight of the array. lam: lambda, a step; None: drawn anew in every update.
    """

    sd: float
    lam: float | None

    @property
    def sigma(self) -> float | None:
        """sigma = sd sqrt(2 lambda), a root of a step; None without lambda."""
        return None if self.lam is None else self.sd * math.sqrt(2.0 * self.lam)


def wandering(chip: ReadChip, window_s: float, drawn: bool) -> dict[str, Wandering]:
    """Return how the weights of each array wander.

    Args:
        chip: as it stands. window_s: how long the passes of an update take.
        drawn: whether devices are drawn in time, all their noise; else what stands still of it for the window.

    lambda = - ln C(dt), C the correlation of a device's noise over a step, on average over devices.
    """
    law: ReadLaw | None = chip.device.read  # pyright: ignore[reportAssignmentType]
    if law is None:
        return {}
    found = {}
    for name, array in chip.arrays.items():
        lam = None
        if drawn and law.process is not None:
            process, age = law.process(), array.ages(chip.now + window_s)
            process = process if process.of_ages is None or age is None else process.of_ages(age)
            lam = -math.log(max(process.autocorrelation(chip.dt), 1e-300))
        fresh, frozen = reading.read_sigma(chip.device, array.cells, chip.now, window_s)
        parts = [part for part in ((fresh, frozen) if drawn else (frozen,)) if part is not None]
        variance = sum(float(part.double().square().sum(0).mean()) for part in parts)
        found[name] = Wandering(array.slope * chip.factor(name) * math.sqrt(variance), lam)
    return found


def of_devices(chip: ReadChip, window_s: float, drawn: bool) -> str:
    """Say how far the weights of each array wander by the devices' own noise, and how fast they forget it."""
    parts = []
    for name, each in wandering(chip, window_s, drawn).items():
        forgets = "drawn anew in every update"
        if each.lam is not None:
            forgets = f"lambda {each.lam:.3g} and sigma {each.sigma:.3g} a step"
        parts.append(f"{name} sd {each.sd:.3g}, {forgets}")
    return (
        f"weights, by the read noise of their devices: {'; '.join(parts)}; each device is read to know it, in the books"
    )
