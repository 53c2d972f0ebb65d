"""Plan a transfer: train off the chip by backpropagation, program the device, fine-tune on it; and from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroanp.comparing.grid import expand
from neuroanp.comparing.size import MOST_RUNS, check_size, in_words
from neuroanp.errors import InputError
from neuroanp.learning.optimisers import MOST_LR
from neuroanp.training.config import RunConfig
from neuroanp.training.sections import MOST_UPDATES, Hardware, PerturbationConfig

TEACHER_RULE, TEACHER_PROFILE = "bptt", "ideal"
"""What trains the weights ex situ, and on what: the exact gradient on weights without a flaw."""


@dataclass(frozen=True)
class Transfer:
    """The runs of a transfer, by seed.

    Args:
        teachers: trains the weights ex situ, one a seed.
        scratch: learns on the device from the untrained network, one a profile and seed.
        fine_tune: updates on the device after programming.
        fine_tune_lr: learning rate of these, or None for the configuration's.
    """

    teachers: list[RunConfig]
    scratch: list[RunConfig]
    fine_tune: int
    fine_tune_lr: float | None

    @property
    def total(self) -> int:
        """How many runs there are."""
        return len(self.teachers) + 3 * len(self.scratch)

    @property
    def in_words(self) -> str:
        """What multiplies and adds to the number of runs."""
        seeds = len(self.teachers)
        devices = in_words({"profile": len(self.scratch) // seeds, "seed": seeds})
        return f"{in_words({'teacher': seeds})} + 3 runs x {devices}"

    def programmed(self, weights: Mapping[int, Path]) -> list[RunConfig]:
        """Return the runs that start from stored weights, for each profile: as programmed, then fine-tuned.

        Args:
            weights: the directory of the run that trained them, by seed; seeds that are missing are left out.
        """
        found = []
        for config in self.scratch:
            if config.seed in weights:
                path = str(weights[config.seed].resolve())
                found += [_from(config, path, 0, None), _from(config, path, self.fine_tune, self.fine_tune_lr)]
        return found


def plan(
    source: str | Path | Mapping[str, Any] | None,
    overrides: Mapping[str, Any] | None = None,
    *,
    profiles: str | Sequence[str],
    fine_tune: int,
    fine_tune_lr: float | None = None,
    task: str | None = None,
    backend: str | None = None,
    seeds: Sequence[int] = (),
    most: int = MOST_RUNS,
    rule: Any = None,
    words: Mapping[str, Any] | None = None,
) -> Transfer:
    """Return the runs of a transfer.

    Args:
        source, overrides, seeds, most, words: as in `neuroanp.comparing.grid.expand`; options of the rule and of the
            hardware are those of learning on the device.
        profiles: the devices.
        fine_tune, fine_tune_lr: see Transfer.
        task, backend, rule: a name, or None for the source's own; the rule is that of learning on the device.

    Raises:
        InputError: as `expand`, there is no device, or the source already names weights to start from.

    >>> two = plan({"task": "copy"}, profiles=["pcm"], fine_tune=200, seeds=[0, 1])
    >>> [(c.profile, c.rule_name, c.seed) for c in (*two.teachers, *two.scratch)]
    [('ideal', 'bptt', 0), ('ideal', 'bptt', 1), ('pcm', 'anp', 0), ('pcm', 'anp', 1)]
    >>> two.total, two.in_words
    (8, '2 teachers + 3 runs x 1 profile x 2 seeds')
    >>> [(c.training.updates, c.network.weights) for c in two.programmed({1: Path("/runs/a")})]
    [(0, '/runs/a'), (200, '/runs/a')]
    """
    if not profiles:
        raise InputError("no devices to transfer to; name them, e.g. profiles=['pcm', 'rram_hfo2']")
    if not 1 <= fine_tune <= MOST_UPDATES or (fine_tune_lr is not None and not 0 < fine_tune_lr <= MOST_LR):
        raise InputError(
            f"fine-tuning with {fine_tune} updates at a rate of {fine_tune_lr}: it takes 1 to {MOST_UPDATES:,} updates "
            f"and a rate above 0, at most {MOST_LR:g}"
        )
    names: dict[str, Any] = {"tasks": [] if task is None else [task], "backends": [] if backend is None else [backend]}
    rules = [] if rule is None else [rule]
    scratch = expand(source, overrides, **names, profiles=profiles, rules=rules, seeds=seeds, words=words, most=most)
    runs = {"seed": len({config.seed for config in scratch})}
    check_size({**runs, "run": 1 + 3 * (len(scratch) // runs["seed"])}, most)
    if fine_tune <= (warmup := max(config.optimizer.warmup for config in scratch)):
        raise InputError(
            f"fine-tuning with {fine_tune} updates lies within optimizer.warmup, {warmup}; give more, or lower it"
        )
    if any(config.network.weights is not None for config in scratch):
        raise InputError(
            "network.weights: a transfer trains the weights itself; leave it out, or fine-tune weights of your own "
            "with neuroanp train"
        )
    if any(config.training.refit is not None for config in scratch):
        raise InputError(
            "training.refit: a transfer writes the weights of a twin as they are, fine-tunes them, and trains from "
            "scratch; fit the outputs of one of these runs with neuroanp train, or leave it out"
        )
    others = {key: value for key, value in (overrides or {}).items() if key != "rule" and not key.startswith("rule.")}
    teachers = expand(
        source, others, **names, profiles=[TEACHER_PROFILE], rules=[TEACHER_RULE],
        seeds=list(dict.fromkeys(config.seed for config in scratch)), words=words,
    )  # fmt: skip
    plain = {"hardware": Hardware(), "perturbation": PerturbationConfig()}
    return Transfer([config.model_copy(update=plain) for config in teachers], scratch, fine_tune, fine_tune_lr)


def _from(config: RunConfig, weights: str, updates: int, lr: float | None) -> RunConfig:
    """Return the configuration that starts from weights and does so many updates."""
    changes: dict[str, Any] = {
        "network": config.network.model_copy(update={"weights": weights, "output_gain": 1.0}),
        "training": config.training.model_copy(update={"updates": updates}),
    }
    if lr is not None:
        changes["optimizer"] = config.optimizer.model_copy(update={"lr": lr})
    return config.model_copy(update=changes)
