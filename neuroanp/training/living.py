"""A chip that lives on after its training: it drifts, and from time to time it learns in place what it has lost.

    at each time t_k:  let the chip age to t_k, measure; do N updates of a rule on it; measure again

Beside it the same chip is left alone. What relearning rewrites is as young as a first write and drifts as fast, so that
how long a repair lasts is part of what is measured.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import ceil, isnan, log
from typing import TYPE_CHECKING, Any, cast

from neuroanp.errors import InputError, did_you_mean
from neuroanp.losses import is_squared_error
from neuroanp.losses import named as called
from neuroanp.substrates import promises
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.described import UNCHANGED, describe
from neuroanp.training.evaluate import HeldOutBatch
from neuroanp.training.filling import METHODS
from neuroanp.training.readout import is_world
from neuroanp.training.results import took
from neuroanp.training.revisit import NOW, looked_at, note_noise
from neuroanp.training.sharding import alone
from neuroanp.training.times import seconds

if TYPE_CHECKING:
    from neuroanp.records.run_dir import RunDir
    from neuroanp.substrates.chip import DeviceChip
    from neuroanp.training.config import RunConfig
    from neuroanp.training.revisit import Revisited
    from neuroanp.training.trainer import Trainer

LOG = logging.getLogger("neuroanp")
HOUR = 3600.0
GROWTH = 4.0
"""At most, from one time to the next where none are asked for: drift goes by the logarithm of the time."""
MOST_VISITS = 10_000


@dataclass(frozen=True)
class Care:
    """How a chip is kept.

    Args:
        duration: how long it lives, such as "30 d".
        every: time from one relearning to the next; None: times that grow, at most fourfold, from an hour on.
        updates: N, of each relearning. lr: their learning rate, constant; None: the run's.
        rule: name of the rule that relearns; None: the run's, which goes on with what it remembers, the optimizer's
            moments too. Another rule begins anew.
    """

    duration: str
    every: str | None = None
    updates: int = 200
    lr: float | None = None
    rule: str | None = None


def times(care: Care) -> list[float]:
    """Return when the chip is seen to, seconds after its training, rising; the last is its end.

    Raises: InputError for times without a unit, or more of them than anybody waits for.

    >>> [round(t / 3600, 1) for t in times(Care("64 h"))]
    [1.0, 4.0, 16.0, 64.0]
    >>> times(Care("5 s", every="2 s"))
    [2.0, 4.0, 5.0]
    """
    end, step = _seconds("--for", care.duration), None if care.every is None else _seconds("--every", care.every)
    if step is None:
        if end <= HOUR:
            return [end]
        parts = ceil(log(end / HOUR) / log(GROWTH))
        return [*(HOUR * (end / HOUR) ** (k / parts) for k in range(parts)), end]
    if end / step > MOST_VISITS:
        raise InputError(f"--every: '{care.every}' is {end / step:.3g} times within '{care.duration}'; at most "
                         f"{MOST_VISITS:,}: relearn less often")  # fmt: skip
    count = int(end / step * (1 + 1e-12))
    found = [step * k for k in range(1, count + 1)]
    return found if count and found[-1] >= end * (1 - 1e-9) else [*found, end]


def _seconds(option: str, text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise InputError(f"{option}: {error}") from None


def live_on(record: RunDir, care: Care, told: Callable[[int, int], None] | None = None) -> list[dict[str, Any]]:
    """Let the chip of a finished run live on, and return what it can at each time; the record is left as it is.

    Args:
        record: the run.
        care: how the chip is kept.
        told: called with how many times are over, and of how many.

    Returns: a row as training left it, and one for each time: run, task, profile, rule (that relearns), lr, seed,
        after, after_s, unattended (the test loss of the same chip left alone), before, test_loss (under the device's
        noise, before and after relearning), updates; energy_J, chip_time_s and pulses that relearning took (None: not
        stated), wear_fraction so far; loss, what the losses are, where that is not the squared error.

    Raises:
        InputError: as `revisit.looked_at`; a time that cannot be read, a world, or a rule that cannot learn in place.
        DivergedError: relearning diverged; a lower rate, or fewer updates.
    """
    visits = times(care)
    with looked_at(record) as alone:
        config, kept = _kept(record, alone, care)
        task = alone.experiment.task
        held = HeldOutBatch.of(
            task.test(alone.trainer.streams.generator("test")), alone.trainer.substrate.weights.like, task.loss
        )
        _say(alone, visits)
        note_noise(record, alone.trainer)
        about = {
            "run": str(record.path), "task": config.task_name, "profile": alone.experiment.profile.name,
            "rule": config.rule_name, "lr": config.optimizer.lr, "seed": config.seed,
        }  # fmt: skip
        loss = {} if is_squared_error(task.loss) else {"loss": called(task.loss)}
        rows = []
        for row in _rows(alone.trainer, kept, held, visits, care.updates):
            rows.append({**about, **row, **loss})
            if told is not None:
                told(len(rows) - 1, len(visits))
        return rows


def _kept(record: RunDir, found: Revisited, care: Care) -> tuple[RunConfig, Trainer]:
    """Return a trainer of the same chip as it stands, which learns at a constant rate from where training ended."""
    config = found.experiment.config
    if is_world(found.experiment):
        raise InputError(f"{record.path}: task '{config.task_name}' is a world; live is for tasks with targets")
    name = config.rule_name if care.rule is None else care.rule
    known = METHODS.names()
    if name not in known:
        raise InputError(f"--rule: unknown rule '{name}'{did_you_mean(name, known)} (known: {', '.join(known)})")
    if METHODS.get(name).learner == "sampled":
        raise InputError(
            f"rule '{name}' computes weights and cannot learn in place; name one that can, e.g. --rule anp"
        )
    own = care.rule in (None, config.rule_name)  # another one's replicas are others
    config = configure(config.to_plain() if own else alone(config.to_plain()), rule=care.rule)
    lr = config.optimizer.lr if care.lr is None else care.lr
    constant = {"schedule": "constant", "warmup": 0, "floor": None, "lr": lr}
    training = config.training.model_copy(update={"updates": care.updates})
    config = config.model_copy(update={"optimizer": config.optimizer.model_copy(update=constant), "training": training})
    experiment = Experiment.of(config, found.experiment.profile, found.experiment.start)
    describe(experiment)  # which refuses what cannot learn there
    trainer, was = build_trainer(experiment, effects=found.effects), found.trainer
    if set(trainer.substrate.decorrelation) != set(was.substrate.decorrelation):
        raise InputError(
            f"--rule {name}: decorrelates other layers than the run did, whose chip has matrices for its own; relearn "
            "by the run's rule"
        )
    trainer.substrate.load_state_dict(was.substrate.state_dict())
    updates = was.update + care.updates * len(times(care))
    trainer = replace(trainer, update=was.update, updates=updates, first_loss=was.first_loss)
    if care.rule in (None, found.experiment.config.rule_name):  # it goes on where training ended
        trainer = replace(trainer, moments=was.moments, learned=was.learned)
    return config, trainer


def _say(found: Revisited, visits: list[float]) -> None:
    """Say what time does not do to this chip, or nobody knows."""
    profile, end = found.experiment.profile, visits[-1]
    if not promises.changes_with_time(profile, found.effects):
        LOG.warning("--for: %s", UNCHANGED.format(profile.name))
    age = promises.oldest(cast("DeviceChip", found.trainer.substrate))
    late = promises.beyond_table(profile, found.effects, age + end, f"after {promises.duration(end)}")
    if late is not None:
        LOG.warning("%s", late)


def _in_words(age: float) -> str:
    """Return a time in the largest unit that it has one of.

    >>> [_in_words(t) for t in (90.0, 3600.0, 50_000.0, 2592000.0)]
    ['1.5 min', '1 h', '13.9 h', '30 d']
    """
    for unit, length in (("d", 86_400.0), ("h", HOUR), ("min", 60.0)):
        if age >= length:
            return f"{age / length:.3g} {unit}"
    return f"{age:.3g} s"


def _rows(
    alone: Trainer, kept: Trainer, held: HeldOutBatch, visits: list[float], updates: int
) -> Iterator[dict[str, Any]]:
    born, late = kept.substrate.now, False
    for k, age in enumerate([0.0, *visits]):
        if kept.substrate.now > born + age * (1.0 + 1e-6) + 1e-12 and not late:
            late = True
            LOG.warning(
                "--every: relearning takes longer than there is from one time to the next; the chip that is kept is "
                "older than its rows say from %s on", _in_words(age),
            )  # fmt: skip
        kept.substrate.elapse(max(0.0, born + age - kept.substrate.now))
        before, first = kept.test_loss(held), kept.substrate.ledger.report()
        for _ in range(updates if k else 0):
            kept.step()
        last = kept.substrate.ledger.report()
        spent = took(first, last)
        yield {
            "after": _in_words(age) if k else NOW,
            "after_s": age,
            "unattended": alone.evaluate_after(held, age).test_loss,
            "before": before,
            "test_loss": kept.test_loss(held) if k else before,
            "updates": updates if k else 0,
            "energy_J": None if isnan(spent["energy_J"]) else spent["energy_J"],
            "chip_time_s": None if isnan(spent["time_s"]) else spent["time_s"],
            "pulses": spent["pulses"],
            "wear_fraction": last["wear_fraction"],
        }
