"""A billion weights on one GPU: five minutes of CD-RGE, its loss, its time and its memory.

python benchmarks/cdrge_billion.py [--hidden 31600] [--minutes 4] [--probes 4] [--cell tanh] [--device cuda]

Needs CUDA and about 60 GB of the GPU's memory, and says so where there is none (exit code 2). `--device cpu --hidden 64
--minutes 0.1` runs the same code at a small size. What is timed begins once the network is built: a billion weights are
drawn on the host, which takes a minute or two. The table goes to results/cdrge_billion.md, of a GPU alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from statistics import median

import torch
from common import keep, table, verdict

from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.trainer import Trainer

STEP = 0.128
"""Rate times units: the curvature that a probe meets, the trace of the Hessian, grows as the units do. Tried at 64 and
800 units, where half and twice of it learn as well."""
WARMED = 1
"""Updates that set up kernels, and are not timed."""

NO_GPU = (
    "cdrge_billion.py: a billion weights need CUDA, and torch finds no GPU here; run it where there is one of 80 GB, "
    "or try its code at a small size: --device cpu --hidden 64 --minutes 0.1"
)


def asked() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=31_600, help="units; of tanh their square is about the weights")
    parser.add_argument("--cell", default="tanh", help="of the layer; an LSTM has four times as many weights")
    parser.add_argument("--minutes", type=float, default=4.0, help="of updates (default %(default)s)")
    parser.add_argument("--probes", type=int, default=4, help="of an update (default %(default)s)")
    parser.add_argument("--batch", type=int, default=32, help="sequences (default %(default)s)")
    parser.add_argument("--lr", type=float, help=f"of plain gradient descent (default: {STEP:g} / hidden)")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a small size (default %(default)s)")
    return parser.parse_args()


def main() -> int:
    """Train for some minutes and say what happened; 2 where there is no GPU."""
    options = asked()
    if options.device != "cpu" and not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        return 2
    started = time.perf_counter()
    trainer = build_trainer(Experiment.of(configure({
        "task": {"name": "copy", "length": 3, "delay": 3},
        "network": {"layers": [{"cell": options.cell, "units": options.hidden}]},
        "rule": {"name": "cdrge", "K": options.probes, "eps": 1e-3},
        "optimizer": {"name": "sgd", "lr": options.lr or STEP / options.hidden, "schedule": "constant"},
        "training": {"updates": 100_000, "batch": options.batch, "controls": False},
        "compute": {"device": options.device},
    })))  # fmt: skip
    built = time.perf_counter() - started
    losses, seconds = updates_of(trainer, 60 * options.minutes)
    report(options, trainer, built, losses, seconds)
    return 0


def updates_of(trainer: Trainer, room: float) -> tuple[list[float], list[float]]:
    """Do updates for so many seconds, two at least; return their losses and how long each took."""
    losses, seconds, start = list[float](), list[float](), time.perf_counter()
    while len(losses) < WARMED + 1 or time.perf_counter() - start < room:
        before = time.perf_counter()
        losses.append(float(trainer.step()["train_loss"]))  # a number of the host: the GPU is done
        seconds.append(time.perf_counter() - before)
        print(f"update {len(losses)}: loss {losses[-1]:.5g}, {seconds[-1]:.3g} s", file=sys.stderr)
    return losses, seconds


def report(
    options: argparse.Namespace, trainer: Trainer, built: float, losses: list[float], seconds: list[float]
) -> None:
    """Print the table; keep it where a GPU made it."""
    weights = sum(W.numel() for W in trainer.substrate.weights.values())
    passes, on_gpu = trainer.learner.passes, options.device != "cpu"
    update, size = median(seconds[WARMED:]), max(len(losses) // 4, 1)
    memory = f"{torch.cuda.max_memory_allocated() / 1e9:.3g} GB" if on_gpu else "not measured"
    name = torch.cuda.get_device_name() if on_gpu else "CPU"
    rows = [
        ["weights", f"{weights:,}"], ["device", name], ["built in, s", f"{built:.3g}"],
        ["updates", f"{len(losses)}"], ["s an update, median", f"{update:.3g}"],
        ["presentations a second", f"{passes / update:.4g}"], ["most memory of the GPU", memory],
        ["loss, first quarter", f"{sum(losses[:size]) / size:.5g}"],
        ["loss, last quarter", f"{sum(losses[-size:]) / size:.5g}"],
    ]  # fmt: skip
    falls = sum(losses[-size:]) < sum(losses[:size])
    body = table(["what", "value"], rows) + f"\n\n- {verdict('the loss falls', falls)}"
    if on_gpu:
        keep("cdrge_billion", "CD-RGE with a billion weights on a GPU", body)
    else:
        print(body)


if __name__ == "__main__":
    sys.exit(main())
