"""Go on from a finished run, from Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from neuroanp.api.run import Anywhere, Progress, Run, configure, opened, train
from neuroanp.api.telling import noted
from neuroanp.errors import InputError


def _says_updates(how: Mapping[str, Any]) -> bool:
    training, overrides = (how.get(key) for key in ("training", "overrides"))
    if isinstance(training, Mapping) and "updates" in training:
        return True
    return isinstance(overrides, Mapping) and "training.updates" in overrides


@noted
def extend(
    run: Anywhere | Run,
    updates: int,
    *,
    runs: Anywhere | None = None,
    force: bool = False,
    report: bool = True,
    progress: Progress = None,
    argv: Iterable[str] | None = None,
    **how: Any,
) -> Run:
    """Train a finished run on: a new run that goes on with its weights, device, optimiser and clock.

    The arrays as they are held, their wear and books, the optimiser's moments, the learner's memory, the counter of
    updates and the metrics are those that the run left, so that 10 updates and `extend` by 10 are, where the rate is
    constant, bit for bit the 20 of one run. A schedule is that of the whole length, and begins in its middle. The run
    that is extended is left as it is; its name and state are in the new one's configuration (`training.extends`).

    Args:
        run: a finished run, its directory, or its name in `runs`. updates: how many more.
        runs: the store; None: that of the run, whose name is looked for in runs/.
        force, report, progress, argv, **how: as of `train`.

    Returns: the new run, with its result.

    Raises:
        InputError: the run has not finished, was made by other code, ends with a refit or with weights written back,
            or its profile or data have changed; or `how` says another number of updates. RunError: as of `train`.

    >>> from tempfile import TemporaryDirectory
    >>> import neuroanp as na
    >>> task = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}
    >>> tiny = {"task": task, "network": {"hidden": 4}, "training": {"updates": 2, "batch": 2, "controls": False}}
    >>> tiny["optimizer"] = {"schedule": "constant"}
    >>> with TemporaryDirectory() as folder:
    ...     said = {"report": False, "progress": False}
    ...     longer = extend(na.train(tiny, runs=folder, **said), updates=2, **said)
    ...     whole = na.train(tiny, updates=4, runs=folder, **said)
    ...     longer.result["updates"], longer.result["test_loss"] == whole.result["test_loss"]
    (4, True)
    """
    from neuroanp.training.extending import extended

    if _says_updates(how):
        raise InputError("updates: training.updates says it too, and is that of the whole run; leave it out")
    record = opened(run, runs)
    store = record.path.parent if runs is None else runs
    planned = extended(record, updates)
    given = configure(planned, **{key: value for key, value in how.items() if key != "callbacks"}).training
    if (given.extends, given.updates) != (planned.training.extends, planned.training.updates):
        raise InputError(
            "training: as a whole it says anew how many updates there are, and of which run; say its keys one by one, "
            "such as training.batch"
        )
    return train(planned, runs=store, force=force, report=report, progress=progress, argv=argv, **how)
