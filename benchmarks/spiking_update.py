"""One side of a comparison of whole updates: does updates of examples/xor.yaml when told, and prints their seconds.

python benchmarks/spiking_update.py BACKEND

A line on standard input is one update; its CPU time is printed. benchmarks/spiking_speed.py starts one process for each
version of the code, and asks them in turn.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.memory import keep_freed_memory

try:
    from neuroanp.training.configure import configure
except ModuleNotFoundError:  # where it was in the versions that are compared with
    from neuroanp.training.config import configure  # pyright: ignore

XOR = Path(__file__).parent.parent / "examples" / "xor.yaml"


def main() -> None:
    """Serve updates until the input ends."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as every run does
    trainer = build_trainer(Experiment.of(configure(XOR, {"backend": sys.argv[1]})))
    for _ in range(3):  # compiled, and memory at its size
        trainer.step()
    for _ in sys.stdin:
        start = time.process_time()
        trainer.step()
        print(time.process_time() - start, flush=True)


if __name__ == "__main__":
    main()
