"""Lay out the runs of a sweep, tell their costs, do them, and read what they gave."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb, inf
from pathlib import Path
from statistics import median
from typing import Any

from neuroanp.comparing.worker import Outcome
from neuroanp.errors import InputError, RunError
from neuroanp.profiles.loader import load
from neuroanp.profiles.schema import HardwareProfile
from neuroanp.records.run_dir import RunDir
from neuroanp.reporting.separation import LEAST
from neuroanp.requiring.finding import Finding, Point, in_order
from neuroanp.requiring.parameters import LeftOut, Parameter, Value, changed, parameters_of, values_of
from neuroanp.requiring.ranking import Ranked, ranked, worst_pairs
from neuroanp.requiring.target import Target
from neuroanp.training.build import Experiment
from neuroanp.training.config import RunConfig
from neuroanp.training.described import describe
from neuroanp.training.estimate import estimate
from neuroanp.training.filling import spikes
from neuroanp.training.stored_profile import stored

LOG = logging.getLogger("neuroanp")
FOLDER = "requirements"
"""Where swept runs lie, in the store: `neuroanp report` of the store shows what was compared, not what was swept."""
MOST_DECADES, MOST_POINTS, MOST_PAIRS = 6.0, 20, 50
Run = Callable[[Sequence[RunConfig]], list[Outcome]]


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    Args:
        target: of the median over the seeds. seeds: two at least.
        decades: swept on each side of a stated value. points: values on each side. pairs: pairs to run, at most.
    """

    target: Target
    seeds: tuple[int, ...]
    decades: float = 1.0
    points: int = 2
    pairs: int = 3

    @classmethod
    def of(cls, target: Any, seeds: Sequence[int], decades: float = 1.0, points: int = 2, pairs: int = 3) -> Asked:
        """Return what is asked for, with numbers that were read.

        Raises:
            InputError: a line for each that makes no sense.

        >>> Asked.of("test_loss < 1e-2", [0])
        Traceback (most recent call last):
        ...
        neuroanp.errors.InputError: --seeds: 1 seed: no ranking without spread; take at least 2 (a first one is named \
from 3 on)
        """
        problems, wanted = [], None
        try:
            wanted = Target.of(target)
        except InputError as error:
            problems.append(error.message)
        if len(set(seeds)) < len(seeds):
            problems.append("--seeds: a seed is named twice; name each once")
        if len(seeds) < 2:
            said = f"{len(seeds)} seed{'s' * (len(seeds) != 1)}"
            problems.append(
                f"--seeds: {said}: no ranking without spread; take at least 2 (a first one is named from {LEAST} on)"
            )
        if not 0 < decades <= MOST_DECADES:
            problems.append(f"--decades: {decades:g} is not above 0 and at most {MOST_DECADES:g}")
        if not 1 <= points <= MOST_POINTS:
            problems.append(f"--points: {points} is not from 1 to {MOST_POINTS}")
        if not 0 <= pairs <= MOST_PAIRS:
            problems.append(f"--pairs: {pairs} is not from 0 to {MOST_PAIRS}")
        if problems:
            raise InputError(*([problems[0]] if len(problems) == 1 else ["the arguments have problems", problems]))
        assert wanted is not None
        return cls(wanted, tuple(seeds), float(decades), points, pairs)


@dataclass(frozen=True)
class Plan:
    """What is swept.

    Args:
        config: of the runs, on the profile as it is. profile: that. write: how weights are written.
        swept: the profiles of each parameter, by value. left_out: what is not swept, and why.
        perturbation: what makes passes differ on the profile as it is, in words.
    """

    config: RunConfig
    profile: HardwareProfile
    write: str
    asked: Asked
    swept: tuple[tuple[Parameter, Mapping[Value, HardwareProfile]], ...]
    left_out: tuple[LeftOut, ...]
    perturbation: str

    @property
    def runs(self) -> int:
        """How many runs there are before pairs."""
        return (1 + sum(len(values) for _, values in self.swept)) * len(self.asked.seeds)

    @property
    def runs_of_pairs(self) -> int:
        """How many runs of pairs there are at most."""
        return min(self.asked.pairs, comb(len(self.swept), 2)) * len(self.asked.seeds)


@dataclass(frozen=True)
class Pair:
    """Two parameters changed at once."""

    keys: tuple[str, str]
    values: tuple[Value, Value]
    shown: tuple[str, str]
    point: Point
    met: bool
    median: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "parameters": [*self.keys], "values": [*self.values], "metric": [*self.point.metric],
            "median": self.median, "met": self.met, "runs": [*self.point.runs],
        }  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a sweep gave: the profile as it is, each parameter, pairs, and two rankings.

    Args:
        stated: the profile as it is. met: whether its median meets the target.
        ideals: by what the ideal value alone brings, in decades of the metric. pays: by decades a decade.
    """

    plan: Plan
    stated: Point
    met: bool
    findings: tuple[Finding, ...]
    pairs: tuple[Pair, ...]
    ideals: Ranked
    pays: Ranked


def plan(config: RunConfig, asked: Asked) -> Plan:
    """Lay out a sweep.

    Raises:
        InputError: the configuration cannot run on the profile, or the profile has nothing to sweep.
    """
    if config.hardware.on_bench:
        raise InputError(
            "hardware.substrate: the devices of an instrument are what they are, whatever a profile says; sweep what "
            "models them, with a configuration of simulated arrays (no substrate, resource, options, limits, pulse)"
        )
    training = config.training.model_copy(update={"controls": False, "evaluate_after": []})
    config = config.model_copy(update={"training": training, "seed": asked.seeds[0]})
    experiment = Experiment.of(config)
    facts, _ = describe(experiment)
    profile, effects = load(config.profile), config.hardware.effects()
    spiking = spikes(config.backend)
    found, left = parameters_of(
        profile, asked.target.metric, effects, facts["write"], spiking, config.hardware.temperature
    )
    swept: list[tuple[Parameter, Mapping[Value, HardwareProfile]]] = []
    for parameter in found:
        values = values_of(parameter, profile, asked.decades, asked.points)
        if values:
            swept.append((parameter, values))
        else:
            left.append(LeftOut(parameter.key, "stated as 0, with no scale of its own to sweep it on"))
    if not swept:
        raise InputError(
            f"profile {profile.name}: states nothing to sweep for {asked.target.metric} with hardware.write: "
            f"{facts['write']}; name one of a device, such as pcm or rram_hfo2 (neuroanp profiles list)"
        )
    return Plan(config, profile, facts["write"], asked, tuple(swept), tuple(left), str(facts["perturbation"]))


def expected(planned: Plan, root: Path, workers: int) -> dict[str, Any]:
    """Return what a sweep would take: runs, how many of the first ones the store has, seconds; nothing is written.

    Args:
        planned: what is swept. root: the store. workers: processes at a time.
    """
    one = estimate(planned.config)
    own = Experiment.of(planned.config)
    profiles = [planned.profile, *(made for _, values in planned.swept for made in values.values())]
    there = 0
    for made in profiles:
        experiment = replace(own, profile=made)
        for seed in planned.asked.seeds:
            named = replace(experiment, config=planned.config.model_copy(update={"seed": seed}))
            there += (root / FOLDER / named.directory / "result.json").is_file()
    left = planned.runs - there
    seconds = one["seconds"]
    return {
        "target": planned.asked.target.text,
        "profile": planned.profile.name,
        "parameters": len(planned.swept),
        "seeds": len(planned.asked.seeds),
        "runs": planned.runs,
        "there": there,
        "runs_of_pairs": planned.runs_of_pairs,
        "passes": one["passes"] * (left + planned.runs_of_pairs),
        "seconds_a_run": seconds,
        "seconds": None if seconds is None else seconds * (left + planned.runs_of_pairs) / workers,
        "memory_bytes": one["memory_bytes"] * workers,
        "fits": one["fits"],
        "notes": one["notes"],
    }


def sweep(planned: Plan, root: Path, run: Run) -> Found:
    """Do the runs: the profile as it is, one parameter at a time, then the worst pairs.

    Args:
        planned: what is swept. root: the store. run: does runs in parallel; those that are there are not repeated.

    Raises:
        InputError: results have no such metric, or a swept value cannot run. RunError: a run came to no end.
    """
    asked, own = planned.asked, planned.config.profile
    stated = _points(planned, run, [own])[0]
    profiles = [made for _, values in planned.swept for made in values.values()]
    places = [stored(made, root) for made in profiles]
    done = iter(_points(planned, run, places))
    findings = []
    for parameter, values in planned.swept:
        points = {value: replace(next(done), value=value) for value in values}
        findings.append(Finding(parameter, asked.target, in_order(parameter, points, stated)))
    distances = [asked.target.distance(value) for value in stated.metric]
    met = asked.target.met(_middle(stated, asked.target))
    wanted = worst_pairs(findings, distances, met, asked.pairs)
    gains = {one.parameter.key: some for one in findings if (some := one.gains(distances)) is not None}
    pays = {one.parameter.key: one.pays[1] for one in findings if one.pays is not None}
    pairs = _pairs(planned, root, run, wanted)
    return Found(planned, stated, met, tuple(findings), pairs, ranked(gains), ranked(pays))


def _pairs(planned: Plan, root: Path, run: Run, wanted: Sequence[tuple[Any, Any]]) -> tuple[Pair, ...]:
    settings = [[part for one, value in pair for part in (one.parameter, value)] for pair in wanted]
    made = []
    for pair, setting in zip(wanted, settings, strict=True):
        try:
            profile = changed(planned.profile, *setting)
        except InputError:  # the two do not go together, such as shares of stuck devices above 1
            continue
        if profile is not None:
            made.append((pair, stored(profile, root)))
    if not made:
        return ()
    found = []
    for (pair, _), point in zip(made, _points(planned, run, [place for _, place in made]), strict=True):
        (one, a), (other, b) = pair
        middle = _middle(point, planned.asked.target)
        found.append(
            Pair(
                (one.parameter.key, other.parameter.key), (a, b), (one.shown(a), other.shown(b)), point,
                planned.asked.target.met(middle), middle,
            )
        )  # fmt: skip
    return tuple(found)


def _middle(point: Point, target: Target) -> float:
    """Return the median of a metric; infinitely bad where half of the runs diverged."""
    found = median(point.metric)
    return found if found == found else inf if target.less else -inf


def _points(planned: Plan, run: Run, profiles: Sequence[str]) -> list[Point]:
    """Run each profile on each seed; return a point each."""
    seeds = planned.asked.seeds
    configs = [planned.config.model_copy(update={"profile": name, "seed": seed}) for name in profiles for seed in seeds]
    results = [_result(outcome) for outcome in run(configs)]
    lost = [f"  {label}: {why}" for label, _, why in results if why]
    if lost:
        raise RunError("runs failed, so that nothing can be said; the same command goes on:\n" + "\n".join(lost))
    metric = [planned.asked.target.value(result.result) for _, result, _ in results if result is not None]
    names = [f"{FOLDER}/{result.path.name}" for _, result, _ in results if result is not None]
    if any(value is None for value in metric):
        raise InputError(
            f"--target: {planned.asked.target.metric}: results on profile {planned.profile.name} have none, for it is "
            "not stated or not of this task"
        )
    values = [float(value) for value in metric if value is not None]
    many = len(seeds)
    return [Point("", tuple(values[i : i + many]), tuple(names[i : i + many])) for i in range(0, len(values), many)]


def _result(outcome: Outcome) -> tuple[str, RunDir | None, str]:
    """Return label, record and why there is no result; one that diverged is a result."""
    record = None if outcome.path is None else RunDir.open(outcome.path, check_code=False)
    if record is not None and record.result is not None:
        return outcome.label, record, ""
    return outcome.label, None, outcome.error or "it has no result"
