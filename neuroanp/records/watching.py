"""How runs stand, read from what they write: manifest, metrics and configuration. Nothing is written, locked or asked.

A run that says "running" and that no process holds any more is "stopped": it was killed, and can be resumed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite, log
from pathlib import Path
from typing import Any

from neuroanp.errors import InputError
from neuroanp.records import holders, manifest
from neuroanp.records.copies import peek, signature
from neuroanp.records.listing import listing
from neuroanp.records.metrics import MAX_BYTES, Metrics
from neuroanp.records.metrics_file import NAME as METRICS
from neuroanp.yaml_io import parse

RUNNING, STOPPED = "running", "stopped"
LEVELS = "▁▂▃▄▅▆▇█"
LARGEST_CONFIG = 2**20
GRACE_S = 5.0
"""Seconds in which a run may be made, and not be held yet."""
RECENT = 20
"""Rows of the metrics that the speed is taken from."""


@dataclass(frozen=True)
class Stand:
    """How one run stands.

    Args:
        run: its directory. status: of its manifest, or "stopped". update, updates: done, and wanted (None: unknown).
        train_loss, test_loss: the newest. left_s: seconds until the last update, by the speed of the last rows;
            controls and report come after. note: the last line of the log, of one that has ended otherwise than well.
        losses: all training losses, for a curve.
    """

    run: str
    status: str
    update: int
    updates: int | None
    train_loss: float | None
    test_loss: float | None
    left_s: float | None
    note: str | None = None
    losses: Sequence[float] = field(default=(), repr=False)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.status == RUNNING

    def row(self) -> dict[str, Any]:
        """Return all but the curve, for machines."""
        return {name: value for name, value in asdict(self).items() if name != "losses"}


class Watcher:
    """Looks at a run again and again; what has not changed since is not read again.

    Args: path: a run directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._metrics: tuple[Any, Metrics] = (None, Metrics({}))
        self._updates: int | None = None

    def look(self) -> Stand:
        """Return how the run stands now.

        Raises:
            InputError: it is no run any more, or its manifest cannot be read.
        """
        metrics = self._read()  # before the manifest: a run that ends meanwhile is seen to run once more
        fields = manifest.read(self.path).fields
        status = fields["status"]
        if status == RUNNING and holders.of_run(self.path) is None and _quiet(self.path):
            status = STOPPED
        self._updates = self._updates or _updates_of(self.path)
        train, tests = (metrics.series(name)[1] for name in ("train_loss", "test_loss"))
        update = int(metrics["update"][-1]) if len(metrics) and "update" in metrics else 0
        ended_well = status in (RUNNING, "finished")
        note = None if ended_well or not fields["log"] else str(fields["log"][-1])
        left = None
        if status == RUNNING and self._updates is not None:
            left = left_of(metrics, self._updates)
        newest = [part[-1] if part else None for part in (train, tests)]
        return Stand(str(self.path), status, update, self._updates, newest[0], newest[1], left, note, train)

    def _read(self) -> Metrics:
        now = signature(self.path / METRICS)
        if now != self._metrics[0]:
            data, _ = peek(self.path, METRICS, MAX_BYTES)
            try:
                self._metrics = now, Metrics.parse((data or b"").decode("utf-8", "replace"))
            except InputError:  # a damaged header is told by `runs show`; here there are no numbers
                self._metrics = now, Metrics({})
        return self._metrics[1]


class StoreWatcher:
    """Looks at the runs of a store again and again, those in its folders of trials too.

    Args: root: the store. folders: names of stores inside it.
    """

    def __init__(self, root: Path, folders: Sequence[str] = ()) -> None:
        self.root, self.folders = root, folders
        self._watchers: dict[Path, Watcher] = {}
        self._seen: set[Path] = set()

    def look(self) -> tuple[list[Stand], dict[str, int], str | None]:
        """Return how those runs stand that run, or ran at a look before; how many there are by status; who holds it.

        Raises:
            InputError: there is no such store.
        """
        stands, counts = list[Stand](), dict[str, int]()
        for root in [self.root, *(self.root / name for name in self.folders if (self.root / name).is_dir())]:
            for row in listing(root).rows:
                path = root / row["name"]
                if row["status"] != RUNNING and path not in self._seen:
                    counts[row["status"]] = counts.get(row["status"], 0) + 1
                    continue
                try:
                    stand = self._watchers.setdefault(path, Watcher(path)).look()
                except InputError:  # removed, or damaged since it was listed: the next listing tells
                    continue
                counts[stand.status] = counts.get(stand.status, 0) + 1
                if stand.runs or path in self._seen:
                    self._seen.add(path)
                    stands.append(stand)
        return stands, counts, holders.of_store(self.root)


def left_of(metrics: Metrics, updates: int) -> float | None:
    """Return the seconds until the last update, by the speed of the last rows; None: it is not known yet.

    >>> left_of(Metrics({"update": [1.0, 11.0, 21.0], "wall_s": [5.0, 6.0, 7.0]}), 31)
    1.0
    """
    if "wall_s" not in metrics or "update" not in metrics:
        return None
    rows = [(u, w) for u, w in zip(metrics["update"], metrics["wall_s"], strict=True) if isfinite(w)][-RECENT:]
    if len(rows) < 2 or rows[-1][0] <= rows[0][0]:
        return None
    (first, begun), (last, now) = rows[0], rows[-1]
    return max(0.0, (updates - last) * (now - begun) / (last - first))


def curve(values: Sequence[float], width: int = 24) -> str:
    """Return numbers as a small curve, means of `width` parts, logarithmic where all are above 0.

    >>> curve([1.0, 0.1, 0.01, 0.001], 4)
    '█▆▃▁'
    >>> curve([0.5, 0.5]), curve([])
    ('▁▁', '')
    """
    finite = [value for value in values if isfinite(value)]
    if not finite:
        return ""
    if min(finite) > 0:
        finite = [log(value) for value in finite]
    n = min(width, len(finite))
    parts = [finite[i * len(finite) // n : (i + 1) * len(finite) // n] for i in range(n)]
    means = [sum(part) / len(part) for part in parts]
    low, high = min(means), max(means)
    step = (high - low) / (len(LEVELS) - 1)
    return "".join(LEVELS[round((mean - low) / step) if step else 0] for mean in means)


def _quiet(path: Path) -> bool:
    """Return whether a run's manifest has been left alone for a while: one that is just made is not held yet."""
    try:
        return time.time() - os.lstat(path / manifest.NAME).st_mtime > GRACE_S
    except OSError:
        return True


def _updates_of(path: Path) -> int | None:
    """Return how many updates a run's configuration asks for; None where it does not say."""
    data, _ = peek(path, manifest.CONFIG, LARGEST_CONFIG)
    try:
        training = parse((data or b"").decode("utf-8"), "config.yaml").data.get("training")
    except (InputError, UnicodeDecodeError):
        return None
    wanted = training.get("updates") if isinstance(training, dict) else None
    return wanted if isinstance(wanted, int) and not isinstance(wanted, bool) else None
