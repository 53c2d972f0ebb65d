"""The experiments of arXiv 2405.08967 at sizes of minutes, and how their learning rates were chosen.

python benchmarks/paper.py [--tune] [--seeds 42,300,482] [--runs runs/benchmarks] [--workers 2] [--out DIR]

Without --tune it is `neuroanp reproduce paper --quick`, whose report it keeps in results/paper.md. With --tune it tries
the grids of neuroanp/reproducing/rates.py on seeds that are not reported, by the validation loss, widens one whose best
lies at its edge, and prints what won. A run that diverges has an infinite loss; one that fails ends it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import inf, isfinite
from pathlib import Path
from statistics import median

from common import keep

from neuroanp import reproduce
from neuroanp.comparing.pool import Job, run_all
from neuroanp.comparing.worker import Outcome
from neuroanp.errors import RunError
from neuroanp.noise import Streams
from neuroanp.records.run_dir import RunDir
from neuroanp.reproducing.experiments import Experiment, at_quick
from neuroanp.reproducing.rates import DECORRELATIONS, GRIDS, LIKE, TUNING_SEEDS
from neuroanp.reproducing.report import body, title
from neuroanp.reproducing.running import Cell, plain, read
from neuroanp.tasks.protocol import TASKS
from neuroanp.tasks.validation import usual_size
from neuroanp.training.configure import configure

WIDENED = 3
"""Times that a grid is widened."""


def losses(experiment: Experiment, way: str, rates: Sequence[float], given: argparse.Namespace) -> dict[float, float]:
    """Return the median validation loss of each rate over the tuning seeds; a divergence is infinite.

    Raises:
        RunError: a run failed otherwise, or left no validation loss.
    """
    task = configure({"task": dict(experiment.task)}).task
    size = usual_size(TASKS.get(experiment.task["name"])(task), Streams(0).generator("test"))
    tries = [
        (lr, Cell(experiment, way, experiment.widths[0], seed, quick=True)) for lr, seed in product(rates, TUNING_SEEDS)
    ]
    jobs = []
    for lr, cell in tries:
        config = plain(cell, lr)
        config["training"] |= {"validation": size, "controls": False}
        jobs.append(Job(configure(config), given.runs / "tuning", False, tuple(sys.argv)))
    found: dict[float, list[float]] = {lr: [] for lr in rates}
    for (lr, cell), outcome in zip(tries, run_all(jobs, given.workers, lambda event: None), strict=True):
        found[lr].append(validated(cell, outcome))
    return {lr: median(each) for lr, each in found.items()}


def validated(cell: Cell, outcome: Outcome) -> float:
    """Return the validation loss of a run, infinite where it diverged; RunError where it failed."""
    made = read(cell, outcome)
    if made.values.get("loss") == inf:
        return inf
    if made.error is not None or outcome.path is None:
        raise RunError(f"{cell.experiment.name} {cell.way}, seed {cell.seed}: {made.error}; mend it and repeat")
    loss = (RunDir.open(outcome.path, check_code=False).manifest.get("validation") or {}).get("loss")
    if loss is None:
        raise RunError(f"{outcome.path}: it has no validation loss; remove it and repeat")
    return float(loss)


def search(experiment: Experiment, way: str, given: argparse.Namespace) -> dict[float, float]:
    """Return the losses of a grid that is widened until its best is inside, by rate."""
    found = losses(experiment, way, GRIDS[way], given)
    for _ in range(WIDENED):
        best = min(found, key=lambda lr: found[lr])
        if isfinite(found[best]) and best == max(found):
            beyond = round(best * 3, 6)
        elif best == min(found):  # or none is finite: the first is the lowest
            beyond = round(best / 3, 6)
        else:
            break
        found |= losses(experiment, way, (beyond,), given)
        found = dict(sorted(found.items()))
    return found


def tune(given: argparse.Namespace) -> None:
    """Print what won for each method in each experiment, and all that was tried."""
    for name, experiment in at_quick().items():
        for way in (each for each in experiment.ways if each in GRIDS and name not in LIKE):
            tried: Mapping[float, Mapping[float, float]] = {
                moved: search(replace(experiment, decorrelation=moved), way, given)
                for moved in (DECORRELATIONS if way == "danp" else (experiment.decorrelation,))
            }
            _, moved, lr = min((loss, moved, lr) for moved, each in tried.items() for lr, loss in each.items())
            print(f"{name} {way}: {lr:g}" + f", decorrelation {moved:g}" * (way == "danp"))
            for moved, each in tried.items():
                print(f"    {moved:g} " + ", ".join(f"{lr:g}: {loss:.3g}" for lr, loss in each.items()), flush=True)


def main() -> None:
    """Run or tune."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=None)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="a folder for report and figure, too")
    given = parser.parse_args()
    if given.tune:
        tune(given)
        return
    made = reproduce(quick=True, seeds=given.seeds, workers=given.workers, runs=given.runs, output=given.out)
    words = ["--seeds", ",".join(map(str, made.seeds)), "--workers", str(given.workers)]  # places say nothing to others
    keep("paper", f"{title(made)}, seeds {', '.join(map(str, made.seeds))}", body(made), words=words)


if __name__ == "__main__":
    main()
