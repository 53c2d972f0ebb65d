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
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from neuroanp.errors import DivergedError, NeuroanpError
from neuroanp.profiles.loader import load
from neuroanp.records.atomic import write_text
from neuroanp.records.environment import environment
from neuroanp.records.identity import canonical, code_version
from neuroanp.training.config import RunConfig
from neuroanp.training.launch import launch
from neuroanp.training.results import result_of
from neuroanp.yaml_io import dotted

PATH = Path(__file__).parents[1] / "results" / "rules.json"
CONTROLS = (
    "ridge", "refit", "ridge_noisy", "refit_noisy", "persistence", "lagged_linear", "frozen_recurrence", "constant_mean"
)  # fmt: skip
Row = dict[str, Any]


def digest(config: RunConfig) -> str:
    """Name a run by its configuration and its profile's values; data by the file's name, so that places do not count.

    Neither the code nor what is said of the values is in it, so that numbers outlive what does not concern them; each
    says which code it is of.
    """
    plain = {**config.to_plain(), "values": _values(config.profile)}
    plain["profile"] = Path(plain["profile"]).name
    if plain["task"].get("path"):
        plain["task"]["path"] = Path(plain["task"]["path"]).name
    return hashlib.sha256(canonical(plain).encode()).hexdigest()[:16]


@cache
def _values(profile: str) -> dict[str, str]:
    """Return the parameters of a profile as texts; of a file its checksum counts, not its place."""
    return {dotted(leaf.key): leaf.text for leaf in load(profile).leaves() if leaf.key[-1] != "file"}


class Run(NamedTuple):
    """A run to be done or done: what it is called, its configuration, and the digest that it is found by."""

    label: str
    config: RunConfig
    key: str


def train(config: RunConfig) -> Row:
    """Do one run and return its numbers; of one that diverged, what was said.

    Raises:
        NeuroanpError: it could not be run: that is no number.
    """
    start = time.perf_counter()
    try:
        with TemporaryDirectory() as store:
            record = launch(config, Path(store), force=True, progress=lambda event: None, argv=())
            result = result_of(record) or {}
    except DivergedError as error:
        return {"said": str(error).partition("\n")[0]}
    controls = result.get("controls") or {}
    kept = {"test_loss": result["test_loss"]}
    if config.training.validation is not None:
        kept["validation_loss"] = result["validation"]["loss"]
    kept |= {key: controls[key] for key in CONTROLS if key in controls}
    return {**kept, "s": round(time.perf_counter() - start, 1)}


class Numbers:
    """The numbers of all runs there are.

    Args:
        path: the file that keeps them.
    """

    def __init__(self, path: Path = PATH) -> None:
        self.path = path
        self.runs: dict[str, Row] = json.loads(path.read_text())["runs"] if path.exists() else {}

    def of(self, run: Run) -> Row | None:
        """Return the numbers of a run, or None if it is still to be done."""
        return self.runs.get(run.key)

    def add(self, run: Run, row: Mapping[str, Any]) -> None:
        """Keep the numbers of a run, with what it was and what it ran with."""
        made = f"neuroanp {code_version()}, torch {environment()['torch']}"
        self.runs[run.key] = {"run": run.label, "with": made, **row}
        self.save()

    def merge(self, other: Path) -> int:
        """Take the runs of another file that are not here, and return how many."""
        new = {key: row for key, row in Numbers(other).runs.items() if key not in self.runs}
        self.runs |= new
        self.save()
        return len(new)

    def save(self) -> None:
        """Write the file, with what others wrote to it meanwhile."""
        if self.path.exists():
            self.runs = {**json.loads(self.path.read_text())["runs"], **self.runs}
        lines = [f"{json.dumps(key)}: {json.dumps(row)}" for key, row in sorted(self.runs.items(), key=_by_run)]
        write_text(self.path, '{"runs": {\n' + ",\n".join(lines) + "\n}}\n")


def _by_run(item: tuple[str, Row]) -> tuple[str, str]:
    return item[1]["run"], item[0]


def do_all(wanted: Callable[[Numbers], list[Run]], numbers: Numbers, workers: int, until_s: float | None) -> int:
    """Train whatever is wanted, most wanted first, until nothing is or the time is over.

    Args:
        wanted: what is still to be done, by what is known.
        numbers: what is known; grows.
        workers: processes.
        until_s: seconds after which no run is begun; None: no end.

    Returns: how many could not be run.
    """
    start, pending, failed = time.monotonic(), dict[Future[Row], Run](), set[str]()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        while True:
            if until_s is None or time.monotonic() - start < until_s:
                held = {run.key for run in pending.values()} | failed
                new = {run.key: run for run in wanted(numbers) if run.key not in held}
                for run in list(new.values())[: workers - len(pending)]:
                    pending[pool.submit(train, run.config)] = run
            if not pending:
                return len(failed)
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                run = pending.pop(future)
                try:
                    row = future.result()
                except (NeuroanpError, OSError, BrokenProcessPool) as error:  # the others go on
                    failed.add(run.key)
                    print(f"{run.label}: NOT RUN: {error}", file=sys.stderr, flush=True)
                    continue
                numbers.add(run, row)
                came = row.get("test_loss", row.get("said"))
                print(f"{run.label}: {came} ({row.get('s')} s)", file=sys.stderr, flush=True)
