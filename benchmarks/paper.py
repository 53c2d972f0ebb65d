"""The experiments of arXiv 2405.08967 at sizes of minutes, and how their learning rates were chosen.

python benchmarks/paper.py [--tune] [--seeds 42,101,300] [--runs runs/benchmarks] [--workers 2]

Without --tune it is `neuroanp reproduce paper --quick`, whose report it keeps in results/paper.md. With --tune it
tries the grids of neuroanp/reproducing/rates.py on seeds that are not reported, by the validation loss, and prints
what won.
"""

from __future__ import annotations

import argparse
import sys
from itertools import product
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

from common import keep

from neuroanp import reproduce
from neuroanp.comparing.pool import Job, run_all
from neuroanp.noise import Streams
from neuroanp.records.run_dir import RunDir
from neuroanp.reproducing.experiments import at_quick
from neuroanp.reproducing.rates import GRIDS, LIKE, TUNING_SEEDS
from neuroanp.reproducing.report import body, title
from neuroanp.reproducing.running import Cell, plain
from neuroanp.tasks.protocol import TASKS
from neuroanp.tasks.validation import usual_size
from neuroanp.training.configure import configure


def trials() -> list[tuple[str, str, float, int, Any]]:
    """Return experiment, method, rate, seed and configuration of each trial."""
    found = []
    for name, experiment in at_quick().items():
        if name in LIKE:
            continue
        task = configure({"task": dict(experiment.task)}).task
        size = usual_size(TASKS.get(experiment.task["name"])(task), Streams(0).generator("test"))
        ways = [way for way in experiment.ways if way in GRIDS]
        for way, seed in product(ways, TUNING_SEEDS):
            for lr in GRIDS[way]:
                config = plain(Cell(experiment, way, experiment.widths[0], seed, quick=True), lr)
                config["training"] |= {"validation": size, "controls": False}
                found.append((name, way, lr, seed, configure(config)))
    return sorted(found, key=lambda trial: (trial[3], trial[1] == "wp"))  # the slow ones of a seed last


def tune(given: argparse.Namespace) -> None:
    """Print the rate of the lowest median validation loss of each method in each experiment."""
    tried, done = trials(), [0]

    def tell(event: dict[str, Any]) -> None:
        done[0] += event["phase"] in ("done", "failed")
        print(f"\r{done[0]} of {len(tried)} trials", end="", file=sys.stderr, flush=True)

    root = given.runs / "tuning"
    outcomes = run_all([Job(one[-1], root, False, tuple(sys.argv)) for one in tried], given.workers, tell)
    losses: dict[tuple[str, str, float], list[float]] = {}
    for (name, way, lr, _, _), outcome in zip(tried, outcomes, strict=True):
        found = None
        if outcome.path is not None and outcome.error is None:
            found = (RunDir.open(outcome.path, check_code=False).manifest.get("validation") or {}).get("loss")
        losses.setdefault((name, way, lr), []).append(inf if found is None else float(found))
    print(file=sys.stderr)
    for name in dict.fromkeys(one for one, _, _ in losses):
        ways = list(dict.fromkeys(way for one, way, _ in losses if one == name))
        best = {way: min(GRIDS[way], key=lambda lr, way=way: median(losses[name, way, lr])) for way in ways}
        print(f'    "{name}": {best},')
        for way in ways:
            said = ", ".join(f"{lr:g}: {median(losses[name, way, lr]):.3g}" for lr in GRIDS[way])
            print(f"      # {way}: {said}")


def main() -> None:
    """Run or tune."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=None)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--out", type=Path, help="a folder for report and figure, too")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.tune:
        tune(given)
        return
    made = reproduce(quick=True, seeds=given.seeds, workers=given.workers, runs=given.runs, output=given.out)
    keep("paper", f"{title(made)}, seeds {', '.join(map(str, made.seeds))}", body(made))


if __name__ == "__main__":
    main()
