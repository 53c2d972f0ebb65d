"""How fast updates are, beside the arithmetic they cannot do without and beside what others take: all tables.

python -m benchmarks.speed                      # every table, printed: a quarter of an hour of a quiet machine
python -m benchmarks.speed --only update        # one of them
python -m benchmarks.speed --keep --before PATH # write benchmarks/results/speed.md; PATH: a checkout before a change
python -m benchmarks.speed --quick              # sizes that take seconds and say nothing: does it run?

One thread, float32. Times are processor time of the process and ratios are of sides that take turns in it, a b b a;
each is a median with its middle half. Whole runs and a GPU are timed by the clock. A part that is kept replaces its
own table alone; what was tried, expected and found is in benchmarks/speed/NOTES.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.common import keep_parts
from benchmarks.speed import chunk, cuda, devices, memory, spiking, train, update
from neuroanp.records.environment import git_commit
from neuroanp.training.memory import keep_freed_memory

TITLE = "Speed: an update beside its arithmetic, nn.RNN and a plain loop"
HEADINGS = {
    "update": "One update, T = 100",
    "long": "One update, T = 1000",
    "chunk": "Steps at once",
    "memory": "Extra memory of one update",
    "devices": "Devices over exact weights",
    "spiking": "A step of spiking units",
    "train": "Whole runs",
    "cuda": "On a GPU",
}
"""Heading of each part in the file, in order."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure the parts asked for, print and keep them."""
    options = _arguments(words)
    torch.set_num_threads(1)
    keep_freed_memory()  # as every run does
    quick = options.quick
    parts: dict[str, Callable[[], str]] = {
        "update": lambda: update.short_ones(quick),
        "long": lambda: update.long_ones(quick),
        "chunk": lambda: chunk.run(quick),
        "memory": lambda: memory.run(quick),
        "devices": lambda: devices.run(quick),
        "spiking": lambda: spiking.run(quick),
        "train": lambda: train.run(quick, options.before),
        "cuda": lambda: cuda.run(quick, options.device),
    }
    for name in options.only or HEADINGS:
        found = parts[name]()
        if options.keep:
            told = ["--only", name, "--keep"]
            if name == "train" and options.before:  # by its commit: the path says nothing elsewhere
                told += ["--before", (git_commit(options.before) or "unknown")[:12]]
            keep_parts("speed", TITLE, {HEADINGS[name]: found}, [*HEADINGS.values()], "benchmarks.speed", told)
        else:
            print(f"## {HEADINGS[name]}\n\n{found}\n", flush=True)
    return 0


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=[*HEADINGS], help="this part; may be repeated")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs, not how fast")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/speed.md")
    parser.add_argument("--before", type=Path, help="checkout that whole runs are compared with")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="of the GPU's table; cpu: to try it")
    options = parser.parse_args(words)
    if options.quick and options.keep:
        parser.error("--quick: its numbers are not to be kept")
    return options


if __name__ == "__main__":
    sys.exit(main())
