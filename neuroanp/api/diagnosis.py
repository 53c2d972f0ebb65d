"""How good the update of a rule is: against the exact gradient, from Python."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from neuroanp.api.run import Anywhere, Progress, Run, Source, place_of
from neuroanp.api.telling import noted, watched
from neuroanp.errors import InputError, all_of
from neuroanp.records.finding import found
from neuroanp.records.run_dir import RunDir
from neuroanp.training.arguments import given, number, path_of, progress_of, whole
from neuroanp.training.plain import plain
from neuroanp.training.resolving import resolve

if TYPE_CHECKING:
    from neuroanp.diagnosing.asked import Asked
    from neuroanp.diagnosing.result import Diagnosis


@noted
def diagnose(
    source: Source | Run = None,
    *,
    at: Any = None,
    K: Any = None,
    sigma: Any = None,
    draws: int | None = None,
    within: float | None = None,
    most: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    output: Anywhere | None = None,
    runs: Anywhere = "runs",
    progress: Progress = None,
    **words: Any,
) -> Diagnosis:
    """Hold the updates of a rule to the exact gradient: how they point, how large they are, their bias and variance.

    For each moment and setting independent updates of one batch are drawn, with noise of their own; see
    `neuroanp.diagnosing.statistics` for what is estimated of them and how. No run is made or changed.

    Args:
        source: as in `train`, whose network is trained up to the moments that are asked for; or a run, its directory or
            the beginning of its name, which is looked at as its checkpoints have it.
        at: updates of the training, whole numbers, or shares of it such as 0.5; None: its start, or of a run the newest
            checkpoint.
        K: replicas of the rule to look at; None: 1, 4, 16 and its own, where it has such an option.
        sigma: levels of the Gaussian on the units to look at, where one is added; None: the configuration's own.
        draws: how many updates are drawn for each; None: until the next two say.
        within: the error to which cosine and sine of the angle between mean update and gradient are known then, a
            number, 0.05 if not given. most: updates that are drawn at most; 256 if not given.
        overrides, runs, progress, **words: as in `train`; a run has its own configuration.
        output: a directory to write CSV, JSON and figures to, or None.

    Returns: what was found; `.table()` is a row for each moment, setting and array.

    Raises:
        InputError: an argument is wrong, or there is no gradient to compare with.
        DivergedError: the training diverged before a moment. RunError: an update is not finite.

    >>> task = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8}
    >>> made = diagnose({"task": task, "rule": "bptt1", "network": {"hidden": 6}}, draws=4, progress=False)
    >>> [(row["array"], row["variance"], row["bias"] is None) for row in made.table()]
    [('all', 0.0, False), ('w_in', 0.0, False), ('w', 0.0, False), ('w_out', 0.0, True)]
    """
    from neuroanp.diagnosing.diagnosis import of_config, of_run
    from neuroanp.reporting.diagnosis import check_folder, save

    asked, folder = all_of(
        lambda: asked_of(at, K, sigma, draws, within, most),
        lambda: None if output is None else check_folder(path_of("output", output)),
    )
    run = run_of(source, runs)
    said = [name for name, value in {**words, "overrides (--set, --seed)": overrides or None}.items() if value]
    if run is not None and said:
        raise InputError(
            f"{run.path}: a run has its configuration; leave out {', '.join(said)}, or diagnose {run.config_path}, "
            "which is trained anew"
        )
    if run is None:
        options = given(source, overrides, words, runs)
        config = resolve(options.source, options.overrides, options.words)
        with watched(progress_of(progress)) as tell:
            made = of_config(config, asked, tell or _nobody)
    else:
        with watched(progress_of(progress)) as tell:
            made = of_run(run, asked, tell or _nobody)
    if folder is not None:
        save(made, folder)
    return made


def _nobody(event: dict[str, Any]) -> None:
    """Take an event that nobody looks at."""


def run_of(source: Any, runs: Any = "runs") -> RunDir | None:
    """Return the run that a source is, or None where it is a configuration.

    A directory is a run, and so is the beginning of a run's name, where no file has that name.
    """
    if isinstance(source, Run | RunDir):
        return RunDir.open(place_of(source), check_code=False)
    if isinstance(source, str | PathLike):
        place = found(path_of("source", source), path_of("runs", runs))
        if place.is_dir():
            return RunDir.open(place, check_code=False)
    return None


def asked_of(
    at: Any = None, K: Any = None, sigma: Any = None, draws: Any = None, within: Any = None, most: Any = None
) -> Asked:
    """Return what a diagnosis is asked for; one InputError tells of all that is wrong with it.

    >>> asked_of(at=[0, 0.5], K=4).at
    (0, 0.5)
    >>> asked_of(K=0)
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: K: 0 (int) is not a whole number of at least 1
    """
    from neuroanp.diagnosing.asked import Asked, Draws

    moments, replicas, levels, many = all_of(
        lambda: _numbers("at", at),
        lambda: None if K is None else tuple(int(whole("K", each, 1)) for each in _listed("K", K)),
        lambda: _levels(sigma),
        lambda: Draws.of(
            None if draws is None else whole("draws", draws, 1),
            None if most is None else whole("most", most, 1),
            number("within", within),
        ),
    )
    return Asked(moments, replicas, levels, many)


def _levels(sigma: Any) -> tuple[float, ...] | None:
    found = _numbers("sigma", sigma)
    wrong = [each for each in found or () if not each > 0]
    if wrong:
        raise InputError(f"sigma: {wrong[0]:g} is no standard deviation above 0")
    return None if found is None else tuple(map(float, found))


def _numbers(what: str, given: Any) -> tuple[int | float, ...] | None:
    """Return one number or several; InputError for anything else, or none."""
    if given is None:
        return None
    found = tuple(each for item in _listed(what, given) if (each := number(what, item)) is not None)
    if not found:
        raise InputError(f"{what}: nothing is in it; name at least one number, or leave it out")
    return found


def _listed(what: str, given: Any) -> list[Any]:
    found: Any = plain(given, what)
    return cast("list[Any]", found) if isinstance(found, list) else [found]


def folder_of(source: Path, runs: Any = "runs") -> Path | None:
    """Return where the diagnosis of a run goes, if nothing is said; None where a source is no run."""
    run = run_of(source, runs)
    return None if run is None else Path(f"diagnosis-{run.path.resolve().name}")
