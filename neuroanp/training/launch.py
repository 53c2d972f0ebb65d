"""Start, continue or show a run: what decides which is the record of its identity."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neuroanp.errors import DivergedError, InputError
from neuroanp.profiles.loader import loads
from neuroanp.records.environment import environment
from neuroanp.records.run_dir import RunDir
from neuroanp.training.build import Experiment
from neuroanp.training.config import RunConfig, load_config
from neuroanp.training.loop import Progress, Training
from neuroanp.training.start import Start

LOG = logging.getLogger("neuroanp")
CHOICES = ("perturbation: ", "writes: ", "weights: ", "reference: ")
ENDED = ("finished", "diverged")
"""A run of this status is shown: the same configuration would end the same way."""


def launch(
    config: RunConfig,
    root: Path,
    *,
    force: bool = False,
    progress: Progress | None = None,
    argv: Sequence[str] | None = None,
) -> RunDir:
    """Train, or show the identical run that has ended, or go on with the one that has not.

    Args:
        config: the resolved configuration.
        root: the store.
        force: repeat a run that has ended.
        progress: told of phase, update and loss.
        argv: the command, for the record.

    Returns: the run's record.

    Raises:
        InputError: the place cannot be written to, or the data cannot be read.
        DivergedError: it diverges, now or when it was done before.
        RunError: it was interrupted, or another process holds its record.
    """
    config = config.anchored()
    config.check_dump()  # before it trains: a run that cannot be read back is lost
    experiment = Experiment.of(config)
    path = root / experiment.directory
    if force or not path.exists():
        manifest = _manifest(experiment, argv)
        try:
            record = RunDir.create(root, experiment.directory, experiment.config.to_yaml(), manifest, replace=force)
            if experiment.start is not None:
                experiment.start.keep(record)
        except InputError:
            if force or not path.exists():
                raise
            record = RunDir.open(path)  # another process was quicker
    else:
        record = RunDir.open(path)
    return _run(experiment, record, progress)


def resume(path: Path, *, progress: Progress | None = None) -> RunDir:
    """Go on with an interrupted run from its last whole checkpoint; a run that has ended is shown.

    Raises:
        InputError: not a run directory, damaged, or made by other code or from another profile.
        RunError: as `launch`.
    """
    record = RunDir.open(path)
    if _ended(record):
        return _shown(record)
    profile = loads(record.manifest["profile"]["text"], f"{path}/manifest.json")  # as it was, wherever its file is now
    experiment = Experiment.of(load_config(path / "config.yaml"), profile, Start.kept(record))
    if experiment.identity != record.manifest["identity"]:
        raise InputError(
            f"{path}: its configuration or data have changed since the run began; "
            f"start anew with: neuroanp train {path / 'config.yaml'}"
        )
    return _run(experiment, record, progress)


def _run(experiment: Experiment, record: RunDir, progress: Progress | None) -> RunDir:
    if not _ended(record):
        with record.lock():
            record = RunDir.open(record.path)  # another process may have ended it before we held it
            if not _ended(record):
                _announce(record)
                record.update(status="running")
                Training(experiment, record, progress or (lambda event: None)).run()
    return _shown(record)


def _announce(record: RunDir) -> None:
    """Log the choices made for a run before it starts or goes on: what perturbs, how weights are written."""
    for line in record.manifest["log"]:
        if line.startswith(CHOICES):
            LOG.info(line)
        elif line.startswith("warning: "):
            LOG.warning(line.removeprefix("warning: "))


def _shown(record: RunDir) -> RunDir:
    """Return a record that has ended; one that diverged says so again."""
    if record.manifest["status"] == "diverged":
        said = [line for line in record.manifest["log"] if line.startswith("diverged")]
        raise DivergedError(f"{(said or ['diverged'])[-1]}; its record is {record.path}", path=record.path)
    return record


def _ended(record: RunDir) -> bool:
    return record.manifest["status"] in ENDED and record.result is not None


def _manifest(experiment: Experiment, argv: Sequence[str] | None) -> Mapping[str, Any]:
    device, log = experiment.describe()
    start = device.pop("start", None)
    return {
        **({"start": start} if start is not None else {}),
        **environment(),
        "identity": experiment.identity,
        "profile": {
            "name": experiment.profile.name,
            "hash": experiment.profile.hash,
            "text": experiment.profile.text,
        },
        "data": experiment.task.fingerprint(),
        "seeds": {"seed": experiment.config.seed},
        "argv": list(sys.argv if argv is None else argv),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device,
        "log": log,
    }
