"""Runs whose updates several processes share: their configuration, and what those that do not lead return."""

from __future__ import annotations

from pathlib import Path

from neuroanp.errors import RunError
from neuroanp.records.run_dir import RunDir
from neuroanp.training.arguments import Given, whole
from neuroanp.training.config import RunConfig
from neuroanp.training.ranks import started
from neuroanp.training.resolving import resolve
from neuroanp.training.sharding import usual_shards


def shared(asked: Given, workers: int | None) -> RunConfig:
    """Return the configuration of a run that so many processes share, or those of torchrun; None: as it says.

    Args: asked: what it is resolved from. workers: processes on this machine.

    Raises: InputError: the configuration has a problem, or no update of its rule can be shared.

    >>> from neuroanp.training.arguments import given
    >>> words = {"task": "copy", "rule": {"name": "anp", "preset": "default", "K": 32}}
    >>> shared(given(None, {}, words, "runs"), 2).compute.shards
    4
    """
    if workers is None and not started():
        return resolve(asked.source, asked.overrides, asked.words)
    bare = {key: value for key, value in asked.overrides.items() if key != "compute.sums"}  # of shards that follow
    config = resolve(asked.source, bare, asked.words)
    shards = config.compute.shards if config.compute.shards > 1 else usual_shards(config.rule)
    more: dict[str, int] = {"compute.shards": shards} if shards > 1 else {}
    more |= {} if workers is None else {"compute.workers": whole("workers", workers, 1)}
    return resolve(asked.source, {**asked.overrides, **more}, asked.words)


def of_the_first(path: Path, failed: str) -> RunDir:
    """Open the run that the first process of torchrun kept.

    Args: failed: by which error it ended; nothing: it ended well.

    Raises: RunError: it failed there, or this process does not see its store.
    """
    if failed:
        raise RunError(f"the first process: {failed}")
    if not path.exists():
        raise RunError(f"{path}: the first process keeps the run, on a disk that this one does not see")
    return RunDir.open(path, check_code=False)
