"""Go on from a finished run: a new run whose first updates are those of another, with all that they left.

What is taken: the arrays as they are held, their targets, wear, the chip's clock and books, the optimiser's moments,
the learner's memory, the counter of updates, and the rows of the metrics. Streams go by the number of the update, so
that 10 updates and 10 more are, where the rate is constant, bit for bit the 20 of one run. A schedule is that of the
whole length: it begins in its middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroanp.errors import InputError, RunError
from neuroanp.records.manifest import BEGUN, CONFIG
from neuroanp.records.result import RESULT
from neuroanp.records.run_dir import METRICS, RunDir
from neuroanp.training.arguments import whole
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import load_config
from neuroanp.training.sections import MOST_UPDATES, Extends

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.training.build import Experiment
    from neuroanp.training.trainer import Trainer
    from neuroanp.training.validating import Validator

KEPT_AS = BEGUN.removesuffix(".safetensors")
STATE, ROWS = "state/", "rows/"
WHOLE = ("update", "pulses")
"""Columns of the metrics that are whole numbers."""
FREE = ("updates", "extends", "log_every", "evaluate_every", "checkpoint_every", "evaluate_after", "controls", "frozen",
        "memory")  # fmt: skip
"""Keys of `training` in which a run may differ from the one that it goes on from; of optimizer all but the name."""


@dataclass(frozen=True)
class Begun:
    """What a run goes on from.

    Args:
        state: all that a checkpoint holds, by name. rows: columns of the metrics so far. update: how many updates.
    """

    state: Mapping[str, Tensor]
    rows: Mapping[str, np.ndarray]
    update: int

    @property
    def digest(self) -> str:
        """64 hex digits of the state: names, types, shapes, numbers."""
        digest = sha256()
        for name in sorted(self.state):
            array = np.ascontiguousarray(self.state[name].detach().cpu().numpy())
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    @classmethod
    def of(cls, record: RunDir) -> Begun:
        """Return what a finished run left.

        Raises:
            InputError: it has not finished, or has diverged, its newest checkpoint is not that of its end, or its
                configuration, metrics or result have changed since, and their copies with them: what goes on would pass
                them off as whole.
        """
        result, status = record.result, record.manifest["status"]
        if status == "diverged":
            raise InputError(f"{record.path}: it diverged, and there is nothing to go on from; extend another run")
        if result is None or status != "finished":
            raise InputError(f"{record.path}: it has not finished; go on with: neuroanp resume {record.path}")
        if lost := record.lost((CONFIG, METRICS, RESULT)):
            raise InputError(f"{record.path}: not as it was when it ended; repeat it, or extend another run", lost)
        state, meta = record.load_checkpoint(record.whole_checkpoint())
        if int(meta["update"]) != result["updates"]:
            raise InputError(f"{record.path}: the checkpoint of its end is gone; repeat it, or extend another run")
        rows = {name: np.array(column, dtype=np.float64) for name, column in record.metrics().columns.items()}
        return cls(state, rows, int(meta["update"]))

    def keep(self, record: RunDir) -> None:
        """Copy it into the record of the run that goes on, which can then always do so; sealed."""
        state = {f"{STATE}{name}": value.detach().cpu().numpy() for name, value in self.state.items()}
        record.save_arrays(KEPT_AS, {**state, **{f"{ROWS}{name}": column for name, column in self.rows.items()}})
        record.update()

    @classmethod
    def kept(cls, record: RunDir) -> Begun | None:
        """Return what `keep` copied, or None where there is no copy; InputError where it is damaged."""
        import torch

        arrays = record.load_arrays(KEPT_AS)
        if arrays is None:
            return None
        state = {n.removeprefix(STATE): torch.from_numpy(a.copy()) for n, a in arrays.items() if n.startswith(STATE)}
        rows = {name.removeprefix(ROWS): column for name, column in arrays.items() if name.startswith(ROWS)}
        return cls(state, rows, int(state["update"]))

    def told_rows(self) -> list[dict[str, float | int | None]]:
        """Return the rows of the metrics so far, as they were written."""
        columns = [
            [None if isnan(x) else int(x) if name in WHOLE else x for x in column.tolist()]
            for name, column in self.rows.items()
        ]
        return [dict(zip(self.rows, row, strict=True)) for row in zip(*columns, strict=True)]


def begun_by(experiment: Experiment) -> Begun | None:
    """Return what a configuration goes on from; None where it begins anew.

    Raises:
        InputError: the run is gone, has not finished or has changed, or the configuration is another than its.
    """
    extends = experiment.config.training.extends
    if extends is None:
        return None
    record = RunDir.open(Path(extends.run))
    begun = Begun.of(record)
    where = f"training.extends: {record.path}"
    if begun.digest != extends.state:
        raise InputError(f"{where}: holds another state than when this run was planned; extend it anew")
    kept, profile = load_config(record.config_path), record.manifest.get("profile") or {}
    problems = _differences(kept, experiment.config)
    if profile.get("hash") != experiment.profile.hash:
        problems.append(f"profile: its content has changed since; put it back ({experiment.profile.name})")
    if record.manifest.get("data") != experiment.task.fingerprint():
        problems.append("task: its data have changed since; put them back")
    if problems:
        raise InputError(f"{where}: another run than what is to go on", problems)
    return begun


def keep_begun(experiment: Experiment, record: RunDir) -> None:
    """Copy what a run goes on from into its record, and note where it comes from."""
    begun, extends = begun_by(experiment), experiment.config.training.extends
    if begun is not None and extends is not None:
        begun.keep(record)
        record.log(f"goes on after update {begun.update} of {extends.run}")


def take_up(
    experiment: Experiment, record: RunDir, trainer: Trainer, validator: Validator | None
) -> tuple[bool, float]:
    """Give a trainer what the run that is extended left; return whether there is one, and the wall time that it spent.

    Raises:
        RunError: the copy of it is gone.
    """
    if experiment.config.training.extends is None:
        return False, 0.0
    begun = Begun.kept(record)
    if begun is None:
        raise RunError(f"{record.path}: what it goes on from is gone ({BEGUN}); extend its run anew")
    trainer.load_state_dict(begun.state)
    if validator is not None:
        validator.load_state_dict(begun.state)
    rows = begun.told_rows()
    record.append_metrics(rows)
    return True, float((rows[-1].get("wall_s") if rows else None) or 0.0)


def extended(record: RunDir, updates: int) -> RunConfig:
    """Return the configuration of a run that goes on from a finished one for so many updates.

    Raises:
        InputError: the run has not finished, cannot go on, or would have too many updates.
    """
    more = whole("updates", updates, 1, MOST_UPDATES)
    config, begun = load_config(record.config_path), Begun.of(record)
    said = {
        "training.refit": config.training.refit is not None,
        "training.patience": config.training.patience is not None,
        "training.restore": config.training.restore,
    }
    ends = [key for key, asked in said.items() if asked]
    if ends:
        raise InputError(
            f"{record.path}: {', '.join(ends)} changes what a run ends with, which is no update to go on "
            f"from; start from its weights with network.weights={record.path}"
        )
    if config.hardware.on_bench:
        raise InputError(f"{record.path}: an instrument holds its weights; go on with network.weights={record.path}")
    total = begun.update + more
    if total > MOST_UPDATES:
        raise InputError(f"updates: {total:,} in all are more than {MOST_UPDATES:,}")
    extends = Extends(run=str(record.path), state=begun.digest)
    training = config.training.model_copy(update={"updates": total, "extends": extends})
    return config.model_copy(update={"training": training})


def _differences(before: RunConfig, after: RunConfig) -> list[str]:
    """Say in what two configurations differ that may not change when a run goes on."""
    one, two = (config.anchored().to_plain() for config in (before, after))
    for plain in (one, two):
        plain["training"] = {key: value for key, value in plain["training"].items() if key not in FREE}
        plain["optimizer"] = plain["optimizer"]["name"]
        plain["compute"] = {key: value for key, value in plain["compute"].items() if key not in ("workers", "threads")}
    differ = [key for key in one if one[key] != two.get(key)]
    return [f"{key}: {two.get(key)!r:.120}, and it had {one.get(key)!r:.120}" for key in differ]
