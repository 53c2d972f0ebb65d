"""Look at the instrument of a run before it begins, and write nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroanp.noise import Streams
from neuroanp.training.on_bench import connected

if TYPE_CHECKING:
    from neuroanp.training.build import Experiment


def try_bench(experiment: Experiment) -> None:
    """Open the instrument of a run and let go of it, so that what is wrong with it is told before there is a run.

    Raises:
        InputError: the network does not fit it, or the profile cannot model it.
        LinkLostError, InstrumentError: it cannot be reached, or answers nonsense.
    """
    config = experiment.config
    with connected(config.hardware) as bench:
        if bench is not None:
            streams = Streams(config.seed)
            bench.chip(config.hardware, True, experiment.chip(streams), experiment.first(streams), streams)


def look(experiment: Experiment) -> dict[str, Any] | None:
    """Open the instrument of a run, measure its devices, and let go of it; None where arrays are simulated.

    Returns: name, lines, bits; noise, the standard deviation of a pre-activation for inputs of half the range; there,
        the share of the devices that are within half a step of what the first weights want; most_pulses, how many the
        furthest of them would take.

    Raises:
        InputError: the instrument is too small, or its reads have no noise.
        LinkLostError, InstrumentError: it cannot be reached, or answers nonsense.
    """
    config = experiment.config
    with connected(config.hardware) as bench:
        if bench is None:
            return None
        streams = Streams(config.seed)
        first, adds = experiment.first(streams), config.perturbation.kind is not None
        chip = bench.chip(config.hardware, adds, experiment.chip(streams), first, streams)
        noise, steps = chip.look(), chip.steps_to(first).abs()
        return {
            **bench.guard.identity._asdict(),
            "noise": noise,
            "there": float((steps <= 0.5).double().mean()),
            "most_pulses": int(steps.max().round()),
        }


def sentence(found: dict[str, Any]) -> str:
    """Say what was found.

    >>> said = sentence({"name": "x", "lines": 4, "bits": 2, "noise": 0.0123, "there": 0.25, "most_pulses": 7})
    >>> said.partition("; ")[0], said.rpartition("; ")[2]
    ('instrument: x, 4 x 2 devices', 'nothing was written')
    """
    return (
        f"instrument: {found['name']}, {found['lines']} x {found['bits']} devices; its noise moves a pre-activation by "
        f"{found['noise']:.3g} (sd); {100 * found['there']:.0f} % of the devices the network takes are where its first "
        f"weights want them, the furthest {found['most_pulses']} pulses away; nothing was written"
    )
