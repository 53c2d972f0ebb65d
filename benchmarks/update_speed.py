"""One ANP update against a plain per-step implementation, side by side in one process.

python benchmarks/update_speed.py [--repeats 30]

Two passes, return-to-go, hidden 256, T = 100, one thread: from a batch to dW, reading the array's
state and the ledger included; neither side writes the weights. The plain one (plain_anp.update) steps
through time, forms outer products at every step, and draws its noise with torch.randn. It comes in
two versions: one outer product for each sequence, averaged, as published code does; and one product
over the batch.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from common import keep, table, verdict
from plain_anp import update as plain_update

from neuroanp.noise import PassStreams
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.lab import Lab
from neuroanp.training.memory import keep_freed_memory
from neuroanp.training.trainer import Trainer

TARGETS = {1: 0.15, 32: 0.4}


def ours(batch: int) -> tuple[Trainer, Callable[[int], object]]:
    """Return one dW of the package on the ideal chip, its reads booked, as a function of the update's number."""
    task = {"name": "mackey_glass", "steps": 100}
    config: dict[str, Any] = {"task": task, "network": {"hidden": 256}, "training": {"batch": batch, "chunk": 128}}
    trainer = build_trainer(Experiment.of(configure(config)))
    context = trainer.lab()

    def step(number: int) -> object:
        streams = PassStreams(trainer.streams, "train", number)
        reads = trainer.substrate.prepare(trainer.window(), streams)
        fresh = Lab(**{**vars(context), "streams": streams, "reads": reads})
        return trainer.learner.learn(trainer.learned, fresh)

    return trainer, step


def time_pairs(a: Callable[[int], object], b: Callable[[int], object], repeats: int) -> tuple[list[float], list[float]]:
    """Time a and b in turn."""
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(repeats + 2):
        for function, times in zip((a, b), found, strict=True):
            start = time.perf_counter()
            function(number)
            times.append(time.perf_counter() - start)
    return found[0][2:], found[1][2:]


def main() -> None:
    """Print both sides and their ratio, pair by pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as every run does
    rows, claims = [], []
    for batch, target in TARGETS.items():
        trainer, step = ours(batch)
        context = trainer.lab()
        W = dict(trainer.substrate.weights)
        for per_sample in (True, False):

            def plain(_: int, per_sample: bool = per_sample) -> object:
                return plain_update(W, context.inputs, context.targets, 1e-2, per_sample)  # noqa: B023

            mine, its = time_pairs(step, plain, options.repeats)
            ratios = [a / b for a, b in zip(mine, its, strict=True)]
            how = "one outer product a sequence" if per_sample else "one product over the batch"
            rows.append(
                [
                    str(batch),
                    how,
                    f"{median(mine) * 1e3:.2f}",
                    f"{median(its) * 1e3:.2f}",
                    f"{median(ratios):.3f} [{min(ratios):.3f} .. {max(ratios):.3f}]",
                ]
            )
            claim = f"batch {batch}, plain with {how}: {median(ratios):.3f} of its time, <= {target}"
            claims.append(verdict(claim, median(ratios) <= target))
    headers = ["batch", "plain: per step", "neuroanp (ms)", "plain (ms)", "ratio, median [range]"]
    body = table(headers, rows) + "\n\n" + "\n".join(f"- {claim}" for claim in claims)
    keep("update_speed", "One update, hidden 256, T = 100, float32, one thread", body)


if __name__ == "__main__":
    main()
