"""Eligibility traces in the place of stored or repeated passes: what they would take of time and memory.

    sum_t c_t A_t x_t^T = sum_s dL_s E_s,    E_s = gamma E_{s-1} + A_s x_s^T        (A = n dh / |d|^2, one E a sample)

Step by step a trace costs R B N^2 multiplications with nothing to share. In blocks of time it is a product a sample and
difference, E <- gamma^k E + sum_t gamma^(k-t) A_t x_t^T, beside the product within the block that all samples share.
An update with traces is therefore one with stored passes and these products. `python -m benchmarks.traces [--keep]`
times the three in turn, one thread, gamma 1.
"""

from __future__ import annotations

import argparse
from statistics import median

import torch

from benchmarks.common import keep, table
from benchmarks.speed.learner import Learner, Size
from benchmarks.speed.timing import Side, in_turn, middle, ratios
from neuroanp.training.memory import keep_freed_memory

BLOCK, STEPS = 128, 512
SIZES = [Size(64, STEPS, 1), Size(64, STEPS, 1, 16), Size(64, STEPS, 32), Size(256, STEPS, 1), Size(256, STEPS, 32)]


def traces(size: Size) -> Side:
    """Return what forms the traces of all samples and differences of a presentation, block after block."""
    R = 1 if size.passes == 2 else size.passes
    A, x = torch.randn(R, size.batch, BLOCK, size.units), torch.randn(size.batch, BLOCK, size.units)
    E = torch.zeros(R, size.batch, size.units, size.units)

    def all_blocks(_: int) -> None:
        for _block in range(size.steps // BLOCK):
            for r in range(R):
                E[r].baddbmm_(A[r].mT, x)

    return all_blocks


def row(size: Size, seconds: float) -> list[str]:
    """Measure one size."""
    sides = {
        "stored": Learner(size, training={"memory": "64 GiB"}),
        "twice": Learner(size, training={"memory": "1 B"}),
        "traces": traces(size),
    }
    times = in_turn(sides, seconds)
    times["with traces"] = [a + b for a, b in zip(times["stored"], times["traces"], strict=True)]
    R, N, B = (1 if size.passes == 2 else size.passes), size.units, size.batch
    of_traces, of_a_step = 4 * R * B * N * N, 4 * B * (R * (N + 1) + N)
    shown = [
        str(size),
        *(middle(ratios(times[name], times["stored"])) for name in ("twice", "with traces")),
        f"{of_traces / 1e6:.3g}",
        f"{of_traces / of_a_step:,.0f}",
        f"{median(times['stored']) * 1e3:.3g}",
    ]
    print(shown, flush=True)
    return shown


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser("python -m benchmarks.traces", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each size (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/traces.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    head = [
        "size",
        "passes run twice / stored",
        "traces / stored",
        "traces (MB)",
        "less than storing beyond T =",
        "stored (ms)",
    ]
    body = table(head, [row(size, options.seconds) for size in SIZES])
    if options.keep:
        keep("traces", "Eligibility traces against stored passes and passes run twice", body, "benchmarks.traces")
    else:
        print(body)


if __name__ == "__main__":
    main()
