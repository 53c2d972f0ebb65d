"""Start, continue or show a run: what decides which is the record of its identity."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neuroanp.errors import DivergedError, InputError
from neuroanp.losses import named
from neuroanp.profiles.loader import loads
from neuroanp.records.environment import arithmetic, differences, environment
from neuroanp.records.manifest import BEGUN, CONFIG, ENDED, START
from neuroanp.records.run_dir import RunDir
from neuroanp.training.build import Experiment
from neuroanp.training.callbacks import Callback, name_of
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import check_dump, load_config
from neuroanp.training.described import describe
from neuroanp.training.estimate import refuse_size
from neuroanp.training.extending import begun_by, keep_begun
from neuroanp.training.how import NOW, How
from neuroanp.training.looking import try_bench
from neuroanp.training.loop import PENDING, Progress, Training
from neuroanp.training.start import Start
from neuroanp.training.threads import threads_note

LOG = logging.getLogger("neuroanp")
CHOICES = (
    "data: ", "perturbation: ", "writes: ", "weights: ", "reference: ", "decorrelation: ", "validation: ",
    "shards: ",
)  # fmt: skip


def launch(
    config: RunConfig,
    root: Path,
    *,
    force: bool = False,
    progress: Progress | None = None,
    argv: Sequence[str] | None = None,
    later: bool = False,
    since: float | None = None,
    callbacks: Sequence[Callback] = (),
    notes: Sequence[str] = (),
) -> RunDir:
    """Train, or show the identical run that has ended, or go on with the one that has not.

    Args:
        config: the resolved configuration.
        root: the store.
        force: repeat a run that has ended.
        progress: told of phase, update and loss.
        argv: the command, for the record.
        later: leave the controls to the next launch of the run, or to its resume.
        since: controls that other runs have in common with it count from that time on, seconds since 1970; None: all
            do, or, with `force`, none that is there.
        callbacks: functions that are told of updates, evaluations, checkpoints and the end.
        notes: lines with which the log of a new record begins.

    Returns: the run's record.

    Raises:
        InputError: the place cannot be written to, or the data cannot be read.
        DivergedError: it diverges, now or when it was done before.
        StoppedError: it was interrupted.
        HeldError: another process holds its record.
        RunError: it failed.
    """
    config = config.anchored()
    check_dump(config)  # before it trains: a run that cannot be read back is lost
    experiment = Experiment.of(config)
    refuse_size(experiment)
    path = root / experiment.directory
    if force or not path.exists():
        try_bench(experiment)
    how = How(later, time.time() if force and since is None else since, tuple(callbacks))
    if force or not path.exists():
        begun_by(experiment)  # refused before there is a record
        begun = _manifest(experiment, argv)
        manifest = {**begun, "log": [*notes, *begun["log"]]}
        try:
            record = RunDir.create(root, experiment.directory, experiment.config.to_yaml(), manifest, replace=force)
        except InputError:
            if force or not path.exists():
                raise
            record = RunDir.open(path, quiet=True)  # another process was quicker
    else:
        record = RunDir.open(path, quiet=True)
    return _run(experiment, record, progress, how)


def resume(path: Path, *, progress: Progress | None = None, callbacks: Sequence[Callback] = ()) -> RunDir:
    """Go on with an interrupted run from its last whole checkpoint; a run that has ended is shown.

    Raises:
        InputError: not a run directory, damaged, or made by other code or from another profile.
        RunError: as `launch`.
    """
    record = RunDir.open(path, quiet=True)
    if _whole(record):
        _told_nothing(callbacks)
        return _shown(record)
    text = record.manifest.get("profile", {}).get("text")
    if text is None:
        raise InputError(f"{path}: manifest.json holds no profile; start anew with: neuroanp train {path}/config.yaml")
    profile = loads(text, f"{path}/manifest.json")  # as it was, wherever its file is now
    experiment = Experiment.of(_config(record), profile, Start.kept(record))
    if experiment.identity != record.manifest["identity"]:
        raise InputError(
            f"{path}: its configuration or data have changed since the run began; "
            f"start anew with: neuroanp train {path / 'config.yaml'}"
        )
    return _run(experiment, record, progress, How(callbacks=tuple(callbacks)))


def _config(record: RunDir) -> RunConfig:
    """Return the configuration that a run was begun with.

    A damaged file is read from its copy. One that can be read and says something else was edited, and whoever did so
    wants another run: to go on as if nothing were said would waste it.
    """
    own, whole = record.path / CONFIG, record.config_path
    kept = load_config(whole)
    if whole == own:
        return kept
    try:
        edited = load_config(own)
    except InputError:
        return kept
    if edited != kept:
        raise InputError(
            f"{own}: says something else than when the run began. To go on as it began, put back its copy, {whole}; "
            f"to train what it says now: neuroanp train {own}"
        )
    return kept


def _run(experiment: Experiment, record: RunDir, progress: Progress | None, how: How = NOW) -> RunDir:
    if _whole(record, how.later):
        _told_nothing(how.callbacks)
    else:
        with record.lock():
            record = RunDir.open(record.path, quiet=True)  # another process may have ended it before we held it
            mended = record.mend()
            for line in mended:
                LOG.warning(line)
            if experiment.start is not None and START not in record.manifest.get("seals", {}):
                experiment.start.keep(record)  # here, while we hold the record; again, where it was lost
            if experiment.config.training.extends is not None and BEGUN not in record.manifest.get("seals", {}):
                keep_begun(experiment, record)
            if not _ended(record, how.later):
                _announce(record, mended)
                if (said := threads_note(experiment.config)) is not None:
                    LOG.warning(said)  # of this machine now: no part of the record
                compute = experiment.config.compute
                _note_arithmetic(record, arithmetic(compute.device, compute.threads))
                record.begin()
                Training(experiment, record, progress or (lambda event: None), how).run()
    return _shown(record)


def _told_nothing(callbacks: Sequence[Callback]) -> None:
    """Say that callbacks, TensorBoard for one, will hear nothing of a run that has ended."""
    if callbacks:
        LOG.warning(
            f"the run has ended, so that {', '.join(map(name_of, callbacks))} hears nothing of it; --force "
            "(force=True) repeats it"
        )


def _note_arithmetic(record: RunDir, now: dict[str, str]) -> None:
    """Keep what decides the last bits; warn where a resumed run goes on with something else."""
    before = record.manifest.get("arithmetic", [])
    last = before[-1] if before and isinstance(before[-1], dict) else None
    if last == now:
        return
    log = record.manifest["log"]
    if last is not None and record.checkpoints():
        line = (
            f"resumed with other arithmetic: {'; '.join(differences(last, now))}: the numbers may differ from those of "
            "an undisturbed run in their last bits, and from there on"
        )
        LOG.warning(line)
        log = [*log, f"warning: {line}"]
    record.update(arithmetic=[*before, now], log=log)


def _announce(record: RunDir, told: Sequence[str]) -> None:
    """Log the choices made for a run before it starts or goes on: of the data, of what perturbs, of writing.

    Args:
        told: warnings that were logged just now.
    """
    for line in record.manifest["log"]:
        if line.startswith(CHOICES):
            LOG.info(line)
        elif line.startswith("warning: ") and line.removeprefix("warning: ") not in told:
            LOG.warning(line.removeprefix("warning: "))


def _shown(record: RunDir) -> RunDir:
    """Return a record that has ended; one that diverged says so again."""
    if record.manifest["status"] == "diverged":
        said = [line for line in record.manifest["log"] if line.startswith("diverged")]
        raise DivergedError(f"{(said or ['diverged'])[-1]}; its record is {record.path}", path=record.path)
    return record


def _ended(record: RunDir, later: bool = False) -> bool:
    """Return whether a run has ended, with its controls unless they are for later."""
    due = not later and bool(record.manifest.get(PENDING))
    return record.manifest["status"] in ENDED and record.result is not None and not due


def _whole(record: RunDir, later: bool = False) -> bool:
    """Return whether a run has ended and all that it left is as it was written."""
    return _ended(record, later) and not record.damage()


def _manifest(experiment: Experiment, argv: Sequence[str] | None) -> Mapping[str, Any]:
    device, log = describe(experiment)
    start = device.pop("start", None)
    return {
        **({"start": start} if start is not None else {}),
        **environment(),
        "identity": experiment.identity,
        "profile": {
            "name": experiment.profile.name,
            "hash": experiment.profile.hash,
            "text": experiment.profile.text,
            "inherited": dict(experiment.profile.inherited),
        },
        "data": experiment.task.fingerprint(),
        "loss": named(experiment.task.loss),
        "feedback": experiment.config.feedback,
        "seeds": {"seed": experiment.config.seed},
        "argv": list(sys.argv if argv is None else argv),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device,
        "log": log,
    }
