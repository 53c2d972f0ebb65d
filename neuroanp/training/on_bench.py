"""Runs whose weights an instrument holds: what goes with one, and its connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.devices.pulsed import PulsedLaw
from neuroanp.errors import InputError
from neuroanp.instruments.bench import BenchChip, How
from neuroanp.instruments.guard import Guard
from neuroanp.instruments.protocol import INSTRUMENTS, SpentError
from neuroanp.instruments.records import Records
from neuroanp.instruments.sent import NAME
from neuroanp.substrates.node_drive import NO_DRIVE
from neuroanp.training.alone import alone
from neuroanp.training.sections import Compute, Hardware, PerturbationConfig, TrainingConfig
from neuroanp.units import format_quantity
from neuroanp.yaml_io import Problem

if TYPE_CHECKING:
    from neuroanp.noise import Streams
    from neuroanp.profiles import HardwareProfile
    from neuroanp.records.run_dir import RunDir
    from neuroanp.substrates.chip import DeviceChip
    from neuroanp.trajectory import Weights

LEARNERS = ("passes", "gradient")
"""Learners that look at what passes do, and leave the weights alone until they are over."""
MEASURED = "measured"
"""Folder of a run that has what its instrument measured."""


def misfits(
    hardware: Hardware, backend: str, rule: Any, perturbation: PerturbationConfig, training: TrainingConfig,
    compute: Compute,
) -> list[Problem]:  # fmt: skip
    """Find what does not go with an instrument; nothing where arrays are simulated."""
    if not hardware.on_bench:
        return []
    problems = []
    if backend != "rate":
        problems.append(Problem(("backend",), f"'{backend}' simulates the arrays; with an instrument use rate"))
    if compute.device != "cpu":
        said = f"'{compute.device}' computes what is simulated; with an instrument use cpu"
        problems.append(Problem(("compute", "device"), said))
    for name, count in (("workers", compute.workers), ("shards", compute.shards)):
        if count > 1:
            said = f"{count} share what is simulated, and an instrument is one; leave it out"
            problems.append(Problem(("compute", name), said))
    if rule.learner not in LEARNERS:
        said = "is not for an instrument: rules that move weights between passes, compute them, act in a world or ask "
        problems.append(
            Problem(("rule",), said + "each unit for its own noise want what it cannot give; use anp or bptt")
        )
    elif rule.learner == "passes" and 0.0 in rule.plan().noise:
        said = f"'{rule.reference}' compares with a pass without noise, which no instrument has; use two or mean"
        problems.append(Problem(("rule", "reference"), said))
    elif rule.learner == "passes" and rule.reference == "antithetic" and perturbation.kind is None:
        said = "'antithetic' turns the sign of noise that is added: set perturbation.name: gaussian, or use two or mean"
        problems.append(Problem(("rule", "reference"), said))
    if training.evaluate_after:
        said = "is of simulated chips: an instrument cannot be looked at ahead of time; leave it out"
        problems.append(Problem(("training", "evaluate_after"), said))
    return problems


def step_of(hardware: Hardware, profile: HardwareProfile) -> float:
    """Return the siemens that a pulse moves a device; InputError where neither a key nor the profile says it."""
    assert hardware.pulse is not None
    if hardware.pulse.step is not None:
        return hardware.pulse.step
    if not isinstance(profile.update, PulsedLaw):
        raise InputError(
            f"hardware.pulse.step: is missing, and profile '{profile.name}' has no update law of pulses of one size; "
            "state what a pulse moves a device by in the middle of its range, e.g. 100 nS"
        )
    return profile.update.dw * (profile.conductance.g_max - profile.conductance.g_min) / 2


def guard_of(hardware: Hardware) -> Guard:
    """Make the driver of an instrument and what holds its limits; nothing is opened.

    Raises:
        InputError: options that the driver does not know, or a pulse beyond the limits.
    """
    assert hardware.limits is not None
    assert hardware.pulse is not None
    assert hardware.resource is not None
    driver = INSTRUMENTS.get(hardware.substrate)(hardware.resource, hardware.options)
    return Guard(driver, hardware.limits, hardware.pulse, hardware.retries)


@dataclass(frozen=True)
class Bench:
    """An open instrument and the run that it is of.

    Args:
        guard: the instrument. folder: where what is measured is kept; None: nowhere.
        fresh: whether the run begins: the first weights are written. False: they are not.
    """

    guard: Guard
    folder: Path | None = None
    fresh: bool = True

    def refuse_spent(self, update: int, updates: int, run: Path) -> None:
        """Raise SpentError where a device took all the pulses that this run may send it."""
        spent, most, counts = self.guard.spent, self.guard.limits.run_pulses, self.guard.sent.counts
        if spent:
            raise SpentError(
                f"hardware.limits.run_pulses: {spent} of {counts.size} devices took the {most:,} pulses that a run may "
                f"send each, at update {update} of {updates}; {int(counts.sum()):,} were sent in all, and the "
                "checkpoint has what was learned. If the devices stand more, go on from it: "
                f"neuroanp train {run / 'config.yaml'} --set network.weights={run} --set hardware.limits.run_pulses=..."
            )

    def chip(
        self, hardware: Hardware, adds: bool, model: DeviceChip, first: Weights, streams: Streams
    ) -> BenchChip:  # fmt: skip
        """Return the substrate, the first weights written where the run begins.

        Args:
            hardware: how it is used. adds: whether the host adds noise to the units, as the model does.
            model: a simulated chip of its profile. first: weights. streams: the run's.

        Raises:
            InputError: the instrument is too small, or its reads have no noise.
        """
        write = "pulse" if hardware.write == "pulse" else "verify"
        how = How(write, step_of(hardware, model.profile), reads=hardware.read_backs)
        drive = model.drive if adds else NO_DRIVE
        chip = BenchChip(model, self.guard, how, drive, streams, Records(self.folder))
        if self.fresh:
            chip.begin(first)
        return chip


@contextmanager
def connected(hardware: Hardware, record: RunDir | None = None) -> Iterator[Bench | None]:
    """Open the instrument of a run, and let go of it afterwards; None: its arrays are simulated.

    Args: record: where what is measured is kept, and whether it begins; None: it is looked at, and nothing is written.

    Raises:
        HeldError: another process drives it.
        LinkLostError: it cannot be reached.
    """
    if not hardware.on_bench:
        yield None
        return
    with alone(hardware, None if record is None else record.path):
        yield from _opened(hardware, record)


def _opened(hardware: Hardware, record: RunDir | None) -> Iterator[Bench]:
    guard = guard_of(hardware)
    folder = None if record is None else record.path / MEASURED
    try:
        identity = guard.open()
        guard.count(None if folder is None else folder / NAME)
        if record is not None:
            before = record.manifest.get("instrument")
            if isinstance(before, Mapping) and before.get("name") != identity.name:
                raise InputError(
                    f"hardware.resource: '{hardware.resource}' is {identity.name} now, and the run was begun on "
                    f"{before.get('name')}; connect that one, or begin another run"
                )
            told = {"tells_energy": guard.tells[0], "tells_time": guard.tells[1]}
            record.update(instrument={**identity._asdict(), "resource": hardware.resource, **told})
        yield Bench(guard, folder, fresh=record is not None and record.latest_checkpoint() is None)
    finally:
        guard.close()


def said_of(hardware: Hardware, profile: HardwareProfile, replayed: bool) -> list[str]:
    """Return lines on the instrument of a run, none where its arrays are simulated.

    Args: hardware, profile: of the run. replayed: whether passes are to be run twice, which an instrument cannot.

    Raises:
        InputError: what the driver or its limits refuse before anything is opened, or passes that are run twice.
    """
    if not hardware.on_bench:
        return []
    guard_of(hardware)
    if replayed:
        raise InputError(
            "training.memory: too little to store all passes of an update, and an instrument gives none of them twice; "
            "raise it, or lower training.batch or rule.K"
        )
    assert hardware.limits is not None
    assert hardware.pulse is not None
    limits, pulse = hardware.limits, hardware.pulse
    return [
        f"instrument: {hardware.substrate} {hardware.resource}; its own noise explores; controls, and later looks at "
        f"the run, are simulated with profile {profile.name}",
        f"limits: reads {format_quantity(limits.voltage, 'V')} and {format_quantity(limits.current, 'A')} a bit line, "
        f"writes {format_quantity(limits.write_voltage, 'V')} and {limits.pulses} pulses a device"
        f"{'' if limits.run_pulses is None else f', {limits.run_pulses:,} in the whole run'}",
        f"pulses: {format_quantity(pulse.up, 'V')} up, {format_quantity(pulse.down, 'V')} down, "
        f"{format_quantity(pulse.width, 's')}; a step of {format_quantity(step_of(hardware, profile), 'S', 3)}",
    ]
