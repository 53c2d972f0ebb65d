"""List the runs of a store, and show what one of them is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from os import PathLike, fspath
from pathlib import Path
from typing import Any, cast

from neuroanp.errors import InputError, did_you_mean
from neuroanp.records import labels
from neuroanp.records.choosing import Choice, Condition, ordered, since_of
from neuroanp.records.finding import found as begun
from neuroanp.records.listing import Listing, facts, listing
from neuroanp.records.manifest import STATUSES
from neuroanp.records.run_dir import RunDir

Anywhere = str | PathLike[str]

Names = str | Sequence[str] | None


def runs(
    store: Anywhere = "runs",
    *,
    task: Names = None,
    profile: Names = None,
    backend: Names = None,
    rule: Names = None,
    status: Names = None,
    seed: int | Sequence[int] | None = None,
    since: str | None = None,
    where: str | Sequence[str] = (),
    sort: str | None = None,
) -> list[dict[str, Any]]:
    """Return the facts of the runs of a store, a mapping each: the keys of its result, with name, label and times.

    Args:
        store: the folder that runs were written to.
        task, profile, backend, rule, status: a name, or several, any of which a run may have. seed: the same of seeds.
        since: begun then or later: "2026-11-29", or how long ago: "7 d".
        where: conditions such as "test_loss < 0.01", all of which hold.
        sort: a key such as "test_loss", "-started" for downwards; by name if not given.

    Raises:
        InputError: there is no such store, or an argument is none; directories that are no valid runs are logged.

    >>> from tempfile import TemporaryDirectory
    >>> import neuroanp as na
    >>> task = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}
    >>> tiny = {"task": task, "network": {"hidden": 4}, "training": {"updates": 1, "batch": 2, "controls": False}}
    >>> with TemporaryDirectory() as folder:
    ...     said = {"runs": folder, "report": False, "progress": False}
    ...     made = [na.train(tiny, rule=rule, **said) for rule in ("anp", "np")]
    ...     found = [(row["rule"], row["updates"]) for row in runs(folder, sort="-rule")]
    ...     none = runs(folder, rule="anp", where="updates > 1")
    >>> found, none
    ([('np', 1), ('anp', 1)], [])
    """
    import logging

    found = chosen(store, task, profile, backend, rule, status, seed, since, where, sort)
    for message in found.broken:
        logging.getLogger("neuroanp").warning("left out: %s", message)
    return found.rows


def chosen(
    store: Anywhere, task: Names, profile: Names, backend: Names, rule: Names, status: Names,
    seed: int | Sequence[int] | None, since: str | None, where: str | Sequence[str], sort: str | None,
) -> Listing:  # fmt: skip
    """Return the runs that are chosen, as `runs`, with the messages of those that are none."""
    for name in _several(status) or ():
        if name not in STATUSES:
            raise InputError(
                f"--status: there is no '{name}'{did_you_mean(name, STATUSES)} (there are: {', '.join(STATUSES)})"
            )
    conditions = [where] if isinstance(where, str) else [*where]
    choice = Choice(
        _several(task), _several(profile), _several(backend), _several(rule), _several(status),
        [seed] if isinstance(seed, int) else seed, None if since is None else since_of(since, datetime.now(UTC)),
        [Condition.of(text) for text in conditions],
    )  # fmt: skip
    ordered([], sort)  # a key that nothing has is told before a store is read
    root = _path("store", store)
    found, known = listing(root), labels.of_runs(labels.read(root))
    rows = [row | {"label": known.get(row["name"])} for row in ordered(choice.of(found.rows), sort)]
    return Listing(rows, found.broken, found.read)


def run_facts(run: Anywhere) -> dict[str, Any]:
    """Return what one run is: the facts of `runs`, with its checkpoints, its log, and what is damaged in it.

    Args:
        run: its directory, or the beginning of its name.

    Raises:
        InputError: there is no such run, or it is damaged beyond its copies.

    >>> from tempfile import TemporaryDirectory
    >>> import neuroanp as na
    >>> task = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}
    >>> tiny = {"task": task, "network": {"hidden": 4}, "training": {"updates": 1, "batch": 2, "controls": False}}
    >>> with TemporaryDirectory() as folder:
    ...     facts = run_facts(na.train(tiny, runs=folder, report=False, progress=False).path)
    >>> facts["status"], facts["passes"], facts["damage"]
    ('finished', 2, [])
    """
    path = begun(_path("run", run))
    record = RunDir.open(path, check_code=False, quiet=True)
    row = facts(path)
    fields = record.manifest
    label = labels.of_runs(labels.read(path.parent)).get(path.name)
    return {
        "run": str(path), "label": label, **row, "argv": fields.get("argv"),
        "checkpoints": [one.name for one in record.checkpoints()], "log": fields["log"], "damage": record.damage(),
        "config": record.config_text,
    }  # fmt: skip


def _path(what: str, given: Any) -> Path:
    if not isinstance(given, str | PathLike) or not str(cast("object", given)):
        raise InputError(f"{what}: {given!r:.80} is no path; pass text or a pathlib.Path")
    return Path(fspath(cast("str | PathLike[str]", given)))


def _several(given: Names) -> Sequence[str] | None:
    if given is None:
        return None
    found = [given] if isinstance(given, str) else [*given]
    if not found or not all(found):
        raise InputError("an empty name; leave the filter out to let all pass")
    return found
