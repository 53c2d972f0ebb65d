"""Watch the chip of a run: saturated arrays, dead devices, clipped reads and failed writes are told, never silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from neuroanp.training.build import Experiment
    from neuroanp.training.trainer import Trainer


def percent(share: float) -> str:
    """Write a share in per cent, to two digits.

    >>> percent(0.0086), percent(0.68), percent(1.0)
    ('0.86 %', '68 %', '100 %')
    """
    return f"{float(f'{100 * share:.2g}'):g} %"


@dataclass(frozen=True)
class Health:
    """How far a chip is from what its profile lets it do.

    Args:
        saturated: share of the weights at the limit of their array's range.
        unverified: share of the weights written last that write-verify gave up on.
        clipped: share of all conversions so far that were beyond the ADC's full scale.
        failed: share of the devices that have taken more pulses than they survive.
        wear: share of its endurance that the most worn device has used, or None where none is stated.
        silent: share of the units that did not spike on the held-out sequences; 0 where units do not spike.
        restless: share of the units that spiked at more than half of the highest rate they can have.
        rate_Hz: mean rate of the units, or None likewise.
    """

    saturated: float
    unverified: float
    clipped: float
    failed: float
    wear: float | None
    silent: float = 0.0
    restless: float = 0.0
    rate_Hz: float | None = None

    @classmethod
    def of(cls, trainer: Trainer, row: Mapping[str, float | int], rates: np.ndarray | None = None) -> Health:
        """Look at a trainer's chip and its units.

        Args:
            trainer: the network and its chip. row: what its last update reported, empty before the first one.
            rates: (N,) Hz, how often each unit spiked when it was last evaluated; None: not known, or none spikes.
        """
        ledger = trainer.substrate.ledger
        firing: dict[str, float] = {}
        if rates is not None:
            most = trainer.backend.highest_rate_Hz(trainer.substrate.network) or float("inf")
            firing = {
                "silent": float((rates == 0).mean()),
                "restless": float((rates > most / 2).mean()),
                "rate_Hz": float(rates.mean()),
            }
        return cls(
            saturated=trainer.saturated(),
            unverified=float(row.get("unverified", 0.0)),
            clipped=ledger.clipped_fraction,
            failed=trainer.substrate.failed,
            wear=ledger.wear_fraction,
            **firing,
        )

    def plain(self) -> dict[str, float | None]:
        """Return the numbers by name, for a record."""
        return asdict(self)

    def complaints(self) -> Iterator[tuple[str, str]]:
        """Yield (name, sentence) of what is beyond its limit.

        >>> dict(Health(0.08, 0.0, 0.0, 0.0, None).complaints())["saturated"].partition(":")[0]
        "8 % of the weights are at the limit of the array's range"
        """
        for name, (limit, text) in LIMITS.items():
            value = getattr(self, name)
            if name == "wear" and self.failed:  # said already, and in numbers that count
                continue
            if value is not None and value > limit:
                rate = f"{self.rate_Hz or 0.0:.3g} Hz"
                yield name, text.format(share=percent(value), times=f"{value or 0.0:.3g}", rate=rate)


LIMITS: Mapping[str, tuple[float, str]] = {
    "saturated": (
        0.05, "{share} of the weights are at the limit of the array's range: they cannot grow further; "
        "raise array.weight_range, or lower optimizer.lr if updates drive them there",
    ),
    "unverified": (0.01, "write-verify gave up on {share} of the weights that it wrote"),
    "clipped": (
        0.01, "{share} of the conversions were beyond the ADC's full scale; raise periphery.adc.full_scale"
    ),
    "failed": (
        0.0, "endurance is exhausted: {share} of the devices have failed and keep the conductance they have"
    ),
    "silent": (
        0.8, "{share} of the units did not spike on the held-out sequences (mean rate {rate}): "
        "raise neuron.drive or neuron.input_gain (or encoder.hold, where inputs are spikes)"
    ),
    "restless": (
        0.1, "{share} of the units spike at more than half of the rate that their refractory period, or one of 2 ms, "
        "allows (mean rate {rate}): lower neuron.drive, neuron.input_gain or neuron.synapse_gain"
    ),
    "wear": (1.0, "endurance is exhausted: the most worn device has taken {times} times the pulses it survives"),
}  # fmt: skip
"""Above which value something is told, and in which words."""

FIRST_UPDATES = 20
"""Updates after which a chip whose weights were never rewritten is told of."""
SWALLOWED = (
    "no weight has been rewritten: steps stay below programming.deadband; "
    "raise optimizer.lr or write ideally or by pulse (hardware.write)"
)


@dataclass
class Watch:
    """Tells of each complaint when it first arises, and of those that stand at the end.

    Args:
        say: takes a sentence.
        told: the last sentence told of each, by name.

    >>> watch = Watch(print)
    >>> for update in (10, 20):
    ...     watch.look(update, Health(0.08, 0.0, 0.0, 0.0, None))
    update 10: 8 % of the weights are at the limit of the array's range: they cannot grow further; \
raise array.weight_range, or lower optimizer.lr if updates drive them there
    """

    say: Callable[[str], None]
    told: dict[str, str] = field(default_factory=dict)

    def look(self, update: int, health: Health) -> None:
        """Tell of what has not been told before."""
        for name, sentence in health.complaints():
            if name not in self.told:
                self.told[name] = sentence
                self.say(f"update {update}: {sentence}")

    def look_at_writes(self, update: int, rewritten: bool) -> None:
        """Tell once that the deadband swallows the changes, if after FIRST_UPDATES no weight was `rewritten`."""
        if update >= FIRST_UPDATES and not rewritten and "deadband" not in self.told:
            self.told["deadband"] = SWALLOWED
            self.say(f"update {update}: {SWALLOWED}")

    def end(self, health: Health) -> None:
        """Tell of what stands at the end, unless the same has just been told."""
        for name, sentence in health.complaints():
            if self.told.get(name) != sentence:
                self.told[name] = sentence
                self.say(f"at the end: {sentence}")


def rewritten(experiment: Experiment, trainer: Trainer, row: Mapping[str, float | int], first: int) -> bool:
    """Return False where write-verify has a deadband, changes were asked for, and none was written yet.

    Args: row: of the last update. first: pulses of the first weights.
    """
    law: Any = experiment.profile.programming
    hardware = experiment.config.hardware
    spares = law is not None and law.deadband > 0 and "programming_error" in hardware.effects()
    verifies = hardware.write in ("auto", "verify")  # auto verifies wherever there is a programming law
    asked = row.get("update_norm", 0.0) > 0
    return not (spares and verifies and asked and trainer.substrate.ledger.pulses == first)
