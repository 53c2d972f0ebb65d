"""A run looked at again: its losses later or under other effects, and its chip living on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from neuroanp.api.loading import loaded
from neuroanp.api.run import Anywhere, Run, opened
from neuroanp.api.telling import noted
from neuroanp.errors import all_of
from neuroanp.training.arguments import names, one_time, rate_of, times, whole

if TYPE_CHECKING:
    from neuroanp.profiles.schema import HardwareProfile


@noted
def evaluate(
    path: Anywhere | Run,
    *,
    after: Any = (),
    only: Any = (),
    without: Any = (),
    profile: Anywhere | HardwareProfile | None = None,
) -> list[dict[str, Any]]:
    """Evaluate a run's newest checkpoint again; the run is left as it is.

    Args:
        path: the run, or its directory.
        after: idle times such as "1 h" and "30 d": retention.
        only, without: the effects of reading that stay on, or are off.
        profile: program a new chip of this profile with the run's weights and evaluate that one.

    Returns: a row for the chip as it stands and one for each idle time, each with test_loss, test_loss_noise_free
        and score.

    Raises:
        InputError: no such run, a time or an effect is wrong, or the run's data have changed.

    >>> from tempfile import TemporaryDirectory
    >>> import neuroanp as na
    >>> task = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}
    >>> tiny = {"task": task, "network": {"hidden": 4}, "training": {"updates": 2, "batch": 2, "controls": False}}
    >>> with TemporaryDirectory() as folder:
    ...     run = na.train(tiny, profile="pcm", runs=folder, report=False, progress=False)
    ...     now, later = evaluate(run, after="30 d", only=["drift"])
    >>> later["after_s"], later["test_loss"] > now["test_loss"]  # conductances have fallen for a month
    (2592000.0, True)
    """
    from neuroanp.training.revisit import Look, revisit

    idle, on, off, chip = all_of(
        lambda: times(after),
        lambda: names("only", only),
        lambda: names("without", without),
        lambda: None if profile is None else loaded(profile),
    )
    return revisit(opened(path), Look(idle, on, off, chip))


@noted
def live(
    path: Anywhere | Run,
    duration: str = "30 d",
    *,
    every: str | None = None,
    relearn: int = 200,
    lr: float | None = None,
    rule: str | None = None,
    told: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Let the chip of a run live on: it drifts, and learns in place from time to time; the run is left as it is.

    Args:
        path: the run, or its directory.
        duration: how long it lives.
        every: time from one relearning to the next; None: times that grow, at most fourfold, from an hour on.
        relearn: updates of each relearning, on new sequences of the task. lr: their rate, constant; None: the run's.
        rule: name of the rule that relearns; None: the run's.
        told: called with how many times are over, and of how many.

    Returns: a row as training left the chip and one for each time: `unattended`, the test loss of the same chip left
        alone; `before` and `test_loss`, before and after relearning; what that took: energy_J, chip_time_s, pulses,
        and wear_fraction so far.

    Raises:
        InputError: no such run, a time or a rule is wrong, or the run's data have changed.
        DivergedError: relearning diverged.

    >>> from tempfile import TemporaryDirectory
    >>> import neuroanp as na
    >>> task = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}
    >>> tiny = {"task": task, "network": {"hidden": 4}, "training": {"updates": 2, "batch": 2, "controls": False}}
    >>> with TemporaryDirectory() as folder:
    ...     run = na.train(tiny, profile="pcm", runs=folder, report=False, progress=False)
    ...     rows = live(run, "10 h", every="5 h", relearn=3)
    >>> [(row["after_s"], row["updates"]) for row in rows]
    [(0.0, 0), (18000.0, 3), (36000.0, 3)]
    """
    from neuroanp.training.living import Care, live_on

    updates, rate, name = all_of(
        lambda: whole("relearn", relearn, 1, 1_000_000),
        lambda: rate_of(lr),
        lambda: None if rule is None else names("rule", rule)[0],
    )
    length, step = all_of(lambda: one_time("duration", duration), lambda: every and one_time("every", every))
    return live_on(opened(path), Care(length, step, updates, rate, name), told)
