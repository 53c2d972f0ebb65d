"""What is to be learned: tasks with small settings that an ideal chip learns with, or configurations of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuroanp.comparing.grid import lay_out
from neuroanp.errors import InputError, did_you_mean
from neuroanp.profiles.loader import available
from neuroanp.reporting.separation import LEAST
from neuroanp.reporting.tables import UNLIKELY, at_least
from neuroanp.requiring.target import Target
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.config import RunConfig
from neuroanp.yaml_io import display

IDEAL = "ideal"
BESIDE = ("pcm", "smtj_koenders", IDEAL)
"""Profiles that a device is shown beside; the last is always among them."""
SEEDS = 5
"""Seeds unless they are named: the fewest that tell a loss from a control, where it is below it on each."""
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "copy": {
        "task": {"name": "copy", "length": 3, "delay": 3, "symbols": 4},
        "network": {"hidden": 30},
        "training": {"updates": 300, "batch": 16},
    },
    "xor": {
        "task": {
            "name": "xor", "start": 0, "pulse": 2, "gap": 2, "jitter": 0, "delay": 2, "window": 3, "cue": True,
            "noise": 0.1,
        },
        "network": {"hidden": 30},
        "training": {"updates": 400, "batch": 16},
    },
    "weather": {
        "task": {"name": "weather"},
        "network": {"hidden": 20},
        "rule": {
            "name": "anp", "reference": "mean", "K": 3, "readout": "rls", "errors": "inferred",
            "difference": "innovation", "gamma": 0.9,
        },
        "optimizer": {"name": "adam", "lr": 6e-3, "clip": 1.0, "schedule": "cosine"},
        "training": {"updates": 600, "batch": 16},
    },
}  # fmt: skip
"""Small settings by task, of rules that hear the loss alone; an ideal chip learns with them (benchmarks/assessing.py).

Other tasks have the package's own.
"""


@dataclass(frozen=True)
class Wanted:
    """One thing to be learned.

    Args:
        name: of the task, or of its file without the ending. source: settings, or a YAML file.
        overrides: values by dotted key.
    """

    name: str
    source: Path | Mapping[str, Any]
    overrides: Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """What is asked of a device.

    Args:
        tasks: to be learned. beside: profiles that are compared with, the ideal one among them. seeds: of every run.
        target: what a device must reach; None: of each task, the loss of the frozen recurrence on the ideal profile.
        requirements: whether what a device must reach is looked for where it does not. write: how it is written.
    """

    tasks: tuple[Wanted, ...]
    beside: tuple[str, ...]
    seeds: tuple[int, ...]
    target: Target | None = None
    requirements: bool = True
    write: str | None = None

    @classmethod
    def of(
        cls,
        tasks: Sequence[str],
        beside: Sequence[str] = BESIDE,
        seeds: Sequence[int] = tuple(range(SEEDS)),
        target: str | None = None,
        requirements: bool = True,
        write: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        for_task: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Asked:
        """Read what is asked for; nothing is run, and no data are read yet.

        Args:
            tasks: names of tasks, or YAML files. overrides: by dotted key, of all tasks. for_task: of one, by its name.

        Raises:
            InputError: a line for each name that there is not, or that is given twice, and for seeds or a target that
                make no sense.

        >>> [one.name for one in Asked.of(["copy", "examples/weather.yaml"]).tasks]
        ['copy', 'weather']
        """
        problems: list[str] = []
        wanted = [one for task in tasks if (one := _wanted(task, problems)) is not None]
        names = [one.name for one in wanted]
        problems += [
            f"--task: '{name}' is named twice; name each once" for name in dict.fromkeys(names) if names.count(name) > 1
        ]
        if not tasks:
            problems.append("--task: no task is named; write e.g. --task copy,xor")
        problems += [
            f"--for {name}: no such task here{did_you_mean(name, names)} (asked for: {', '.join(names)})"
            for name in for_task or {}
            if name not in names and not problems
        ]
        known, beside = available(), tuple(dict.fromkeys((*beside, IDEAL)))
        problems += [
            f"--beside: unknown profile '{name}'{did_you_mean(name, known)} (known: {', '.join(known)})"
            for name in beside
            if name not in known
        ]
        problems += _wrong_seeds(seeds)
        held = None
        try:
            held = None if target is None else Target.of(target)
        except InputError as error:
            problems.append(error.message)
        if problems:
            raise InputError(*([problems[0]] if len(problems) == 1 else ["what is asked for has problems", problems]))
        settings = {name: {**(overrides or {}), **(for_task or {}).get(name, {})} for name in names}
        return cls(
            tuple(replace(one, overrides=settings[one.name]) for one in wanted), beside, tuple(seeds), held,
            requirements, write,
        )  # fmt: skip


def _wanted(task: str, problems: list[str]) -> Wanted | None:
    """Return a task by its name, or what a file describes; a line in `problems` where there is none."""
    if task.endswith((".yaml", ".yml")):
        path = Path(task)
        if not path.is_file():
            problems.append(f"--task {display(path)}: no such file (looked in {path.absolute().parent})")
            return None
        return Wanted(path.stem, path, {})
    known = TASKS.names()
    if task not in known:
        hint = did_you_mean(task, known)
        problems.append(f"--task: unknown task '{task}'{hint} (known: {', '.join(known)}; a file ends in .yaml)")
        return None
    return Wanted(task, SETTINGS.get(task, {"task": {"name": task}}), {})


def _wrong_seeds(seeds: Sequence[int]) -> list[str]:
    if len(set(seeds)) < len(seeds):
        return ["--seeds: a seed is named twice; name each once"]
    if len(seeds) < LEAST:
        said = f"{len(seeds)} seed{'s' * (len(seeds) != 1)}"
        return [
            f"--seeds: {said}: no verdict without spread; take at least {LEAST}, {SEEDS} to tell a loss from a control"
        ]
    return []


def few(seeds: int) -> str:
    """Say that so few seeds can tell no loss from a control, even if it is below it on each; "" where they can.

    >>> few(4)
    '4 seeds can tell no loss from a control (below it on each by chance: 0.062); take --seeds 5'
    >>> few(5)
    ''
    """
    chance = at_least(seeds, seeds)
    if chance <= UNLIKELY:
        return ""
    below = f"below it on each by chance: {chance:.2g}"
    return f"{seeds} seeds can tell no loss from a control ({below}); take --seeds {SEEDS}"


@dataclass(frozen=True)
class Laid:
    """The runs of one task: of each profile, a configuration a seed.

    Args: wanted: the task. configs: by the name of the profile, the device's own first.
    """

    wanted: Wanted
    configs: Mapping[str, tuple[RunConfig, ...]]

    @property
    def every(self) -> list[RunConfig]:
        """All of them."""
        return [config for some in self.configs.values() for config in some]


def laid_out(asked: Asked, name: str, profile: str) -> tuple[Laid, ...]:
    """Lay out the runs of all tasks; data are read and checked.

    The device is written as `asked.write` says, the others as they can be: a device that was measured by pulses is
    trained by pulses, and an ideal one has none.

    Args:
        asked: what. name: of the device. profile: its file.

    Raises:
        InputError: a line for each thing that is wrong, of whichever task.
    """
    found, problems = [], list[str]()
    for wanted in asked.tasks:
        try:
            found.append(_of_task(wanted, asked, name, profile))
        except InputError as error:
            problems += [f"{wanted.name}: {line}" for line in error.problems or [error.message]]
    if problems:
        raise InputError("the tasks cannot be run; nothing was", problems)
    return tuple(found)


def _of_task(wanted: Wanted, asked: Asked, name: str, profile: str) -> Laid:
    own = {**wanted.overrides, **({} if asked.write is None else {"hardware.write": asked.write})}
    device = _grid(wanted.source, own, [profile], asked.seeds)
    others = dict(wanted.overrides)
    if device[0].hardware.write in ("pulse", "verify"):
        others["hardware.write"] = "auto"
    made = _grid(wanted.source, others, asked.beside, asked.seeds)
    many = len(asked.seeds)
    configs = {name: tuple(device)}
    configs |= {one: tuple(made[i * many : (i + 1) * many]) for i, one in enumerate(asked.beside)}
    return Laid(wanted, configs)


def _grid(
    source: Any, overrides: Mapping[str, Any], profiles: Sequence[str], seeds: Sequence[int]
) -> Sequence[RunConfig]:
    return lay_out(source, overrides, profiles=profiles, seeds=seeds).configs
