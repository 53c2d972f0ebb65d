"""Do one update and print [MB before it, MB at its most, seconds]: what `memory` runs in a process of its own.

python -m benchmarks.speed.peak "gamma 1" "[256, 4000, 32, 1]"
"""

from __future__ import annotations

import ctypes
import gc
import json
import platform
import sys
import time
from pathlib import Path

import torch

from benchmarks.speed.gradient import Gradient
from benchmarks.speed.learner import Learner, Size
from benchmarks.speed.memory import PEER, SIDES
from benchmarks.speed.timing import Side
from neuroanp.training.memory import keep_freed_memory

STATUS = Path("/proc/self/status")


def main(side: str, size: Size) -> None:
    """Warm up on a short sequence, forget what that took, and measure."""
    torch.set_num_threads(1)
    if side != PEER:
        keep_freed_memory()  # as every run does
    made(side, Size(size.units, 4, size.batch, size.K))(0)
    update = made(side, size)
    before = forget_peak()
    start = time.perf_counter()
    update(1)
    seconds = time.perf_counter() - start
    print(json.dumps([before, read("VmHWM"), seconds]))


def made(side: str, size: Size) -> Side:
    """Return the update of a row."""
    if side != PEER:
        return Learner(size, **SIDES[side])
    batch = Learner(size).first
    return Gradient(size.units, batch.inputs, batch.targets)


def forget_peak() -> float:
    """Give freed memory back to the system, let the peak start from what is in use, and return that in MB."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): the high-water mark becomes the present size
    return read("VmRSS")


def read(name: str) -> float:
    """Return a number of the process's state in MB."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main(sys.argv[1], Size(*json.loads(sys.argv[2])))
