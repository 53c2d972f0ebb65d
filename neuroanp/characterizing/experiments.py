"""The experiments there are, in the order they are shown, and which of them a profile has something for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from neuroanp.characterizing import (
    banks,
    bias,
    compensating,
    conducting,
    converting,
    correlated,
    disturbing,
    drifting,
    programming,
    pulse_lines,
    pulsing,
    reading,
    switching,
    variability,
    warming,
    wiring,
)
from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import Measurement, Moment
from neuroanp.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile


class Experiment(NamedTuple):
    """One experiment.

    Args:
        name: how --only names it.
        applies: tells whether a profile has what it measures.
        measure: does it.
    """

    name: str
    applies: Callable[[HardwareProfile], bool]
    measure: Callable[[Bench], Measurement]


FEWEST = 100
"""Devices that a condition takes at least: a standard deviation is known to 7 % then."""

EXPERIMENTS = (
    Experiment("programming", programming.applies, programming.measure),
    Experiment("drift", drifting.applies, drifting.measure),
    Experiment("disturb", disturbing.applies, disturbing.measure),
    Experiment("compensation", compensating.applies, compensating.measure),
    Experiment("read_noise", reading.applies, reading.measure),
    Experiment("read_process", correlated.applies_to_reads, correlated.measure_reads),
    Experiment("pulses", pulsing.applies, pulsing.measure),
    Experiment("switching", switching.applies, switching.measure),
    Experiment("variability", variability.differ, variability.measure_spread),
    Experiment("faults", variability.fail, variability.measure_faults),
    Experiment("source", correlated.applies_to_source, correlated.measure_source),
    Experiment("junctions", banks.applies, banks.measure),
    Experiment("bias", bias.applies, bias.measure),
    Experiment("temperature", warming.applies, warming.measure),
    Experiment("conduction", conducting.applies, conducting.measure),
    Experiment("converters", converting.applies, converting.measure),
    Experiment("wires", wiring.applies, wiring.measure),
    Experiment("writes", pulse_lines.applies, pulse_lines.measure),
)


@dataclass(frozen=True)
class Characterization:
    """What was measured of one profile.

    Args:
        profile: the hardware.
        seed, devices: of the bench.
        measurements: in the order of EXPERIMENTS.

    >>> from neuroanp.profiles import load
    >>> found = characterize(load("pcm"), devices=500, only=["programming"])
    >>> [(moment.quantity, moment.z is not None) for moment in found.checked[:2]], len(found.measurements)
    ([('mean error', True), ('sd of the error', True)], 1)
    """

    profile: HardwareProfile
    seed: int
    devices: int
    measurements: tuple[Measurement, ...]

    @property
    def checked(self) -> tuple[Moment, ...]:
        """All moments that have an expected value and a standard error."""
        every = (moment for one in self.measurements for moment in one.moments)
        return tuple(moment for moment in every if moment.expected is not None and moment.error > 0)


def chosen(profile: HardwareProfile, only: Sequence[str] | None = None) -> tuple[Experiment, ...]:
    """Return the experiments that a profile has something for, or those of them that `only` names.

    Raises:
        InputError: an experiment does not exist, or the profile has nothing for it.

    >>> from neuroanp.profiles import load
    >>> [one.name for one in chosen(load("pcm"))]
    ['programming', 'drift', 'read_noise', 'read_process', 'pulses']
    """
    possible = tuple(one for one in EXPERIMENTS if one.applies(profile))
    if only is None:
        return possible
    known, here = [one.name for one in EXPERIMENTS], [one.name for one in possible]
    problems = [
        f"--only: '{name}' is not an experiment{did_you_mean(name, known)}"
        if name not in known
        else f"--only: '{name}': profile '{profile.name}' has nothing to measure for it"
        for name in only
        if name not in here
    ]
    if problems:
        raise InputError(f"profile '{profile.name}' can be characterized by: {', '.join(here) or 'nothing'}", problems)
    return tuple(one for one in possible if one.name in only)


def characterize(
    profile: HardwareProfile,
    *,
    seed: int = 0,
    devices: int = 10_000,
    only: Sequence[str] | None = None,
    report: Callable[[str, int, int], Any] | None = None,
) -> Characterization:
    """Measure a profile's devices: moments against closed forms, and curves.

    Args:
        profile: the hardware.
        seed: of all random draws; equal seeds give equal results.
        devices: sampled under each condition.
        only: names of experiments; None: all that the profile has something for.
        report: called with an experiment's name, its number and how many there are, before each.

    Raises: InputError as `chosen`, and for fewer than FEWEST devices.

    >>> from neuroanp.profiles import load
    >>> found = characterize(load("pcm"), devices=1000, only=["drift"])
    >>> found.measurements[0].name, all(abs(moment.z) < 5 for moment in found.checked)
    ('drift', True)
    """
    if devices < FEWEST:
        raise InputError(f"devices: {devices} are too few for moments and their standard errors; take {FEWEST} or more")
    bench, experiments = Bench(profile, seed, devices), chosen(profile, only)
    found = []
    for number, one in enumerate(experiments):
        if report is not None:
            report(one.name, number, len(experiments))
        found.append(one.measure(bench))
    return Characterization(profile, seed, devices, tuple(found))
