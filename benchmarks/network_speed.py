"""CPU time of an update in two trees of the code, in turn, each in a process of its own.

python -m benchmarks.network_speed --before PATH [--after PATH] [--repeats 40] [--keep]

PATH is a checkout of the code before a change, the other one by default this one. Each tree runs its own copy of this
script as a worker that builds the same network and does blocks of updates when told to; the two are told in turn, in
the order a b b a, so that what a machine does besides takes from both. The ratio is that of two blocks next to each
other. Of a tree against itself it shows the spread alone: --before . --after . (the row of ratios must hold 1).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.common import HERE, keep, table, verdict
from neuroanp.records.environment import git_commit

SIZES, PROFILES = (64, 256, 1000), ("ideal", "pcm")
BLOCK_S, WARM_UP = 0.25, 2
MOST = 1.02
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def main() -> None:
    """Print the ratios, size by size and profile by profile."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.network_speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="checkout of the code before the change")
    parser.add_argument("--after", type=Path, default=HERE.parent, help="that after it (default: this one)")
    parser.add_argument("--repeats", type=int, default=40, help="pairs of blocks (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/network_speed.md")
    parser.add_argument("--worker", nargs=2, metavar=("UNITS", "PROFILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return work(int(options.worker[0]), options.worker[1])
    if options.before is None:
        parser.error("--before: name a checkout of the code before the change")
    if options.repeats < 2:
        parser.error("--repeats: at least 2 pairs show a spread")
    trees = [path.resolve() for path in (options.before, options.after)]
    for path in trees:
        if not (path / "benchmarks" / Path(__file__).name).is_file():
            parser.error(f"{path} has no benchmarks/{Path(__file__).name}; name a checkout that has it")
    body = report([Pair.measured(trees, n, profile, options.repeats) for n, profile in product(SIZES, PROFILES)])
    said = [git_commit(path) or "no commit" for path in trees]
    body += f"\n\n- before: {said[0]}\n- after: {said[1]}"
    if not options.keep:
        return print(body)
    keep(
        "network_speed",
        "An update before and after a change: CPU time, one thread",
        body,
        "benchmarks.network_speed",
        ["--before", said[0][:12], "--repeats", str(options.repeats)],
    )
    return None


def trainer_of(units: int, profile: str) -> Any:
    """Return what does one update a `step`: rate units, ANP, 60 steps, batch 32."""
    from neuroanp.training.build import Experiment, build_trainer
    from neuroanp.training.configure import configure
    from neuroanp.training.memory import keep_freed_memory

    keep_freed_memory()  # as every run does
    config: dict[str, Any] = {
        "task": {"name": "mackey_glass", "steps": 60, "train_length": 1000, "test_size": 4},
        "network": {"hidden": units},
        "profile": profile,
        "rule": {"name": "anp"},
    }
    return build_trainer(Experiment.of(configure(config)))


def work(units: int, profile: str) -> None:
    """Be the worker: for each number read, do so many updates and write the CPU time that they took, s."""
    import torch

    torch.set_num_threads(1)
    trainer = trainer_of(units, profile)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        start = time.process_time()
        for _ in range(int(line)):
            trainer.step()
        print(json.dumps(time.process_time() - start), flush=True)


class Worker:
    """A child that runs the worker of one tree.

    Args:
        tree: a checkout. units: hidden ones. profile: the device.
    """

    def __init__(self, tree: Path, units: int, profile: str) -> None:
        words = [sys.executable, "-m", "benchmarks.network_speed", "--worker", str(units), profile]
        environment = {**os.environ, **THREADS, "PYTHONPATH": str(tree)}
        self.child = subprocess.Popen(
            words, cwd=tree, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()

    def updates(self, count: int) -> float:
        """Do so many updates and return the seconds of CPU time of one."""
        assert self.child.stdin is not None
        print(count, file=self.child.stdin, flush=True)
        return self._answer() / count

    def _answer(self) -> Any:
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.child.args)} ended with {self.child.wait()}")  # pyright: ignore
        return json.loads(line)

    def end(self) -> None:
        """Let it go: its loop ends with its input."""
        assert self.child.stdin is not None
        self.child.stdin.close()
        self.child.wait()


class Pair:
    """CPU times of an update before and after, s, block by block, of one size and profile."""

    def __init__(self, units: int, profile: str, before: Sequence[float], after: Sequence[float]) -> None:
        self.units, self.profile, self.before, self.after = units, profile, before, after

    @classmethod
    def measured(cls, trees: Sequence[Path], units: int, profile: str, repeats: int) -> Pair:
        """Measure both trees in turn, in blocks of about BLOCK_S."""
        workers = [Worker(tree, units, profile) for tree in trees]
        times: tuple[list[float], list[float]] = ([], [])
        try:
            least = min(worker.updates(WARM_UP) for worker in workers)
            count = max(1, round(BLOCK_S / least))
            for number in range(repeats):
                for which in (0, 1) if number % 2 == 0 else (1, 0):
                    times[which].append(workers[which].updates(count))
        finally:
            for worker in workers:
                worker.end()
        print(f"{units} units, {profile}: done", file=sys.stderr)
        return cls(units, profile, *times)

    @property
    def ratios(self) -> list[float]:
        """After over before, block by block."""
        return [after / before for before, after in zip(self.before, self.after, strict=True)]


def report(pairs: Sequence[Pair]) -> str:
    """Write the table, and whether each median is within MOST."""
    rows, claims = [], []
    for pair in pairs:
        low, middle, high = quantiles(pair.ratios, n=4)
        times = [f"{median(side) * 1e3:.2f}" for side in (pair.before, pair.after)]
        rows.append([str(pair.units), pair.profile, *times, f"{middle:.3f} [{low:.3f} .. {high:.3f}]"])
        claims.append(verdict(f"{pair.units} units, {pair.profile}: {middle:.3f}, <= {MOST}", middle <= MOST))
    headers = ["units", "profile", "before (ms)", "after (ms)", "after / before, median [middle half]"]
    return table(headers, rows) + "\n\n" + "\n".join(f"- {claim}" for claim in claims)


if __name__ == "__main__":
    main()
