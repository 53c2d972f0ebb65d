"""Train, and keep the numbers of every run in results/rules.json, so that none is repeated, here or elsewhere.

A run is found by a digest of its whole configuration, its data by the file's name alone. Who runs on another machine
brings the numbers together with `merge`.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from neuroanp.errors import NeuroanpError
from neuroanp.records.atomic import write_text
from neuroanp.records.environment import environment
from neuroanp.records.identity import canonical
from neuroanp.training.config import RunConfig
from neuroanp.training.launch import launch

PATH = Path(__file__).parents[1] / "results" / "rules.json"
CONTROLS = (
    "ridge", "refit", "ridge_noisy", "refit_noisy", "persistence", "lagged_linear", "frozen_recurrence", "constant_mean"
)  # fmt: skip
Row = dict[str, Any]


def digest(config: RunConfig) -> str:
    """Name a run by its configuration; files by their names, so that it is the same from every place."""
    plain = config.to_plain()
    plain["profile"] = Path(plain["profile"]).name
    if plain["task"].get("path"):
        plain["task"]["path"] = Path(plain["task"]["path"]).name
    return hashlib.sha256(canonical(plain).encode()).hexdigest()[:16]


def train(config: RunConfig) -> Row:
    """Do one run and return its numbers; of one that diverged, what was said."""
    start = time.perf_counter()
    try:
        with TemporaryDirectory() as store:
            result = launch(config, Path(store), force=True, progress=lambda event: None, argv=()).result or {}
    except NeuroanpError as error:
        return {"said": str(error).partition("\n")[0]}
    controls = result.get("controls") or {}
    kept = {"test_loss": result["test_loss"], **{key: controls[key] for key in CONTROLS if key in controls}}
    return {**kept, "s": round(time.perf_counter() - start, 1)}


class Numbers:
    """The numbers of all runs there are.

    Args:
        path: the file that keeps them.
    """

    def __init__(self, path: Path = PATH) -> None:
        self.path = path
        self.runs: dict[str, Row] = json.loads(path.read_text())["runs"] if path.exists() else {}

    def of(self, config: RunConfig) -> Row | None:
        """Return the numbers of a run, or None if it is still to be done."""
        return self.runs.get(digest(config))

    def add(self, config: RunConfig, label: str, row: Mapping[str, Any]) -> None:
        """Keep the numbers of a run, with what it was and what it ran with."""
        facts = environment()
        self.runs[digest(config)] = {
            "run": label,
            "with": f"neuroanp {facts['neuroanp']}, torch {facts['torch']}",
            **row,
        }
        self.save()

    def merge(self, other: Path) -> int:
        """Take the runs of another file that are not here, and return how many."""
        new = {key: row for key, row in Numbers(other).runs.items() if key not in self.runs}
        self.runs |= new
        self.save()
        return len(new)

    def save(self) -> None:
        """Write the file."""
        lines = [f"{json.dumps(key)}: {json.dumps(row)}" for key, row in sorted(self.runs.items(), key=_by_run)]
        write_text(self.path, '{"runs": {\n' + ",\n".join(lines) + "\n}}\n")


def _by_run(item: tuple[str, Row]) -> tuple[str, str]:
    return item[1]["run"], item[0]


Wanted = Callable[[Numbers], list[tuple[str, RunConfig]]]


def do_all(wanted: Wanted, numbers: Numbers, workers: int, until_s: float | None) -> None:
    """Train whatever is wanted, most wanted first, until nothing is or the time is over.

    Args:
        wanted: what is still to be done, by what is known.
        numbers: what is known; grows.
        workers: processes.
        until_s: seconds after which no run is begun; None: no end.
    """
    start, pending = time.monotonic(), dict[Future[Row], tuple[str, RunConfig]]()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        while True:
            if until_s is None or time.monotonic() - start < until_s:
                held = {digest(config) for _, config in pending.values()}
                for label, config in wanted(numbers):
                    if len(pending) >= workers:
                        break
                    if digest(config) not in held:
                        held.add(digest(config))
                        pending[pool.submit(train, config)] = (label, config)
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                label, config = pending.pop(future)
                row = future.result()
                numbers.add(config, label, row)
                print(
                    f"{label}: {row.get('test_loss', row.get('said'))} ({row.get('s')} s)", file=sys.stderr, flush=True
                )
