"""What the controls of a run cost beside the run itself: process CPU time, in turn, in one process.

python benchmarks/controls_speed.py [--repeats 5] [--only NAME]

A run is what `neuroanp train` does, checkpoints and evaluations included, of so many updates; its controls are all of
them: constant, ridge and forecasts, and the readout trained alone. What is trained alone is also timed update by update
against the run's own updates. Ridge and its like are fitted once, however long a run is: the last column says what all
controls are of a run of 1000 updates, computed from the columns before it.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from common import keep, table, verdict

from neuroanp.training.batches import Batches
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from neuroanp.training.memory import keep_freed_memory
from neuroanp.training.readout import readout_trainer
from neuroanp.training.trainer import Trainer

UPDATES = 1000
SERIES = {"name": "mackey_glass", "steps": 100}
CASES: dict[str, tuple[Any, dict[str, Any], int]] = {
    "copy 3, N=100, K=1": ("examples/copy3.yaml", {}, UPDATES),
    "copy 5, as in the example": ("examples/copy5.yaml", {}, 60),
    "Mackey-Glass, N=64, K=1": ({"task": SERIES, "network": {"hidden": 64}}, {}, UPDATES),
    "Mackey-Glass, N=256, K=1": ({"task": SERIES, "network": {"hidden": 256}}, {}, 30),
    "Mackey-Glass, N=256, mean of 17": (
        {"task": SERIES, "network": {"hidden": 256}},
        {"rule.reference": "mean", "rule.K": 16},
        8,
    ),
    "Mackey-Glass, N=256, run twice": (
        {"task": SERIES, "network": {"hidden": 256}},
        {"training.memory": "1 MB"},
        20,
    ),
    "copy 3, pcm": ("examples/copy3.yaml", {"profile": "pcm"}, 100),
    "copy 3, BPTT": ("examples/copy3.yaml", {"rule": {"name": "bptt"}}, 200),
    "xor, LIF": ({"task": "xor", "backend": "lif"}, {}, 20),
}  # fmt: skip
"""Configuration, what is set in it, and updates of the runs that are timed."""


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU time of this process that something takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def of_runs(source: Any, changes: dict[str, Any], updates: int, repeats: int) -> tuple[list[float], list[float]]:
    """Return the CPU time of runs without controls and with them, in turn."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for controls, times in zip((False, True), found, strict=True):
            wanted = {**changes, "training.updates": updates, "training.controls": controls}
            with TemporaryDirectory() as store:
                config = configure(source, wanted)
                times.append(cpu(lambda: launch(config, Path(store))))  # noqa: B023
    return found


def of_updates(source: Any, changes: dict[str, Any], repeats: int) -> tuple[float, float]:
    """Return the median CPU time of an update of a run, and of its readout alone, a few in turn."""
    of = Experiment.of(configure(source, {**changes, "training.updates": UPDATES}))
    trainers: list[Trainer] = [build_trainer(of), readout_trainer(of, Batches())]
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(5 * repeats + 1):
        for trainer, each in zip(trainers, times, strict=True):
            spent = cpu(trainer.step)
            each.extend([spent] * (number > 0))
    return median(times[0]), median(times[1])


def main() -> None:
    """Print what controls cost, case by case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=[*CASES])
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("neuroanp").setLevel(logging.ERROR)
    keep_freed_memory()
    rows, claims = [], []
    for name, (source, changes, updates) in CASES.items():
        if options.only not in (None, name):
            continue
        of_runs(source, changes, 2, 1)  # what is compiled and imported once
        without, whole = of_runs(source, changes, updates, options.repeats)
        of_run, of_control = of_updates(source, changes, options.repeats)
        ratios = [b / a for a, b in zip(without, whole, strict=True)]
        once = max(median(b - a for a, b in zip(without, whole, strict=True)) - updates * of_control, 0.0)
        bare = max(median(without) - updates * of_run, 0.0) + UPDATES * of_run
        share = (once + UPDATES * of_control) / bare
        spread = f"{median(ratios):.2f} [{min(ratios):.2f} .. {max(ratios):.2f}]"
        times = [f"{of_run * 1e3:.2f}", f"{of_control * 1e3:.2f}", f"{of_control / of_run:.2f}"]
        rows.append([name, str(updates), f"{median(without):.2f}", spread, *times, f"{once:.2f}", f"{share:.2f}"])
        claims.append(verdict(f"{name}: controls of {UPDATES} updates {share:.2f} of the run, < 1", share < 1))
    headers = [
        "run", "updates", "without (s)", "with / without, median [range]", "update (ms)", "readout's (ms)", "ratio",
        "fitted once (s)", f"controls / run, {UPDATES}",
    ]  # fmt: skip
    body = table(headers, rows) + "\n\n" + "\n".join(f"- {claim}" for claim in claims)
    title = "What controls cost beside their run, process CPU time, one thread, float32"
    if options.only is None:
        keep("controls_speed", title, body)
    else:
        print(body)


if __name__ == "__main__":
    main()
