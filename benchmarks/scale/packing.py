"""How well 16 runs of different lengths are packed on 2 workers: python -m benchmarks.scale.packing

For processes of this machine, `--cluster local`, and a scheduler with two workers started by hand on the loopback
interface, beside each other in one go:

    ratio = time from the first update of any run to the end of the last / the shortest time that two workers could take

where the shortest time is that of the best division of these very runs between two workers, each as long as it took
here from its first update to its end. What lies between two runs of a worker (the end of one, the handing over and
building of the next) is thus what the ratio is above 1 for, beside an uneven end.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import keep, table, verdict
from neuroanp.comparing.choosing import executor_of
from neuroanp.comparing.standing import PHASE
from neuroanp.comparing.worker import Job
from neuroanp.training.configure import configure

ROOT = Path(__file__).parents[2]
WORKERS = 2
LENGTHS = [900, 1500, 600, 2400, 1200, 700, 1800, 1000, 1300, 800, 2100, 600, 1600, 1100, 900, 1400]
"""Updates of the runs, in the order in which they are handed out."""
SMALL = {
    "task": {"name": "copy", "length": 3, "delay": 3, "symbols": 4, "test_size": 16},
    "network": {"hidden": 32},
    "rule": "anp",
    "training": {"batch": 4, "controls": False, "checkpoint_every": 1000, "log_every": 1000},
}
LIMIT = 1.25


def shortest(durations: Sequence[float]) -> float:
    """Return the least time in which two workers do runs of these durations: the best of all divisions, to 1 ms.

    >>> shortest([3.0, 3.0, 2.0, 2.0, 2.0])
    6.0
    """
    sums = {0}
    for duration in durations:
        sums |= {one + round(1000 * duration) for one in sums}
    total = sum(round(1000 * duration) for duration in durations)
    return min(max(one, total - one) for one in sums) / 1000


@contextmanager
def by_hand(folder: Path) -> Iterator[str]:
    """Start `dask scheduler` and two `dask worker`s as a user would, and yield the address."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    page = ["--dashboard-address", "127.0.0.1:0"]
    log, started = folder / "scheduler.log", []

    def start(*words: str) -> None:
        with log.open("ab") as file:
            started.append(subprocess.Popen([sys.executable, "-m", *words, *page], env=environment, stderr=file))

    try:
        start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0")
        address = said(log, r"tcp://127\.0\.0\.1:\d+")
        for _ in range(WORKERS):
            start("distributed.cli.dask_worker", address, "--nthreads", "1", "--local-directory", str(folder))
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait()


def said(log: Path, pattern: str) -> str:
    """Wait for what a log says and return it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text()):
            return found[0]
        time.sleep(0.1)
    raise RuntimeError(f"{log} does not say {pattern}")


def measured(cluster: str | None, root: Path) -> tuple[float, float, float]:
    """Do the runs; return seconds before the first update, from there to the end, and the shortest possible."""
    runs = [configure(SMALL, {"training.updates": n, "seed": seed}) for seed, n in enumerate(LENGTHS)]
    first: dict[str, float] = {}
    last: dict[str, float] = {}

    def note(event: dict[str, Any]) -> None:
        if event["phase"] == PHASE:
            return
        now = time.perf_counter()
        if event["phase"] == "done":
            last[event["run"]] = now
        first.setdefault(event["run"], now)

    begun = time.perf_counter()
    with executor_of(WORKERS, cluster) as executor:
        outcomes = executor.run([Job(run, root, False, ("benchmarks.scale.packing",)) for run in runs], note)
    wrong = [one.error for one in outcomes if one.error is not None]
    if wrong or len(last) < len(runs):
        raise RuntimeError(f"runs failed: {wrong}")
    took = max(last.values()) - min(first.values())
    return min(first.values()) - begun, took, shortest([last[name] - first[name] for name in last])


def main() -> None:
    """Print a row for each executor, and whether each packs its runs within LIMIT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2)
    repeats = parser.parse_args().repeats
    rows, ratios = [], dict[str, list[float]]()
    with TemporaryDirectory() as folder, by_hand(Path(folder)) as address:
        for k in range(repeats):
            for name, cluster in (("processes", None), ("--cluster local", "local"), ("--cluster tcp://...", address)):
                start, took, least = measured(cluster, Path(folder) / f"{k}{name[-5:-2]}")
                ratios.setdefault(name, []).append(took / least)
                rows.append([name, f"{start:.1f}", f"{took:.1f}", f"{least:.1f}", f"{took / least:.3f}"])
                print(*rows[-1], sep="  ", flush=True)
    busy = os.getloadavg()[1]
    heads = ["who does the runs", "start-up (s)", "took (s)", "shortest (s)", "ratio"]
    said = [
        verdict(f"{name}: at most {max(found):.3f}, <= {LIMIT}", max(found) <= LIMIT) for name, found in ratios.items()
    ]
    machine = (
        f"{os.cpu_count()} cores, load over the last 5 minutes {busy:.1f} (others were at work where above {WORKERS})"
    )
    title = f"How {len(LENGTHS)} runs of {min(LENGTHS)} to {max(LENGTHS)} updates are packed on {WORKERS} workers"
    body = [table(heads, rows), "", *(f"- {one}" for one in said), "", machine]
    keep("packing", title, "\n".join(body), "benchmarks.scale.packing")


if __name__ == "__main__":
    main()
