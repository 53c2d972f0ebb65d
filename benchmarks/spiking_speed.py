"""Brian2's populations against their twin in torch, side by side in one process, one thread.

python benchmarks/spiking_speed.py [--repeats 7]

Four tables, of 200 steps each with random recurrent weights and noisy currents that make units spike some 25 times
a second: the fast loop against Network.run; Brian2 against the twin; the ways to spread spikes; and the memory of a
large network, each side in a process of its own. Neither side reads noisy arrays: weights are a plain matrix.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
import torch
from common import keep, table, verdict

from neuroanp.backends import spiking
from neuroanp.backends.lif import LIFPopulation
from neuroanp.backends.neuron import LIF, coefficients
from neuroanp.backends.population import Population, Recurrence
from neuroanp.backends.recurrence import choose
from neuroanp.training.memory import keep_freed_memory

STEPS, CHUNK, DT = 200, 64, 1e-3
UNITS, REPLICAS = (100, 300, 1000), (1, 16, 64)
DTYPES = (torch.float32, torch.float64)
LOOP_TARGET, MEMORY_TARGET = 20, 2e9


class Network:
    """Weights and currents of a presentation, and the populations that simulate it."""

    def __init__(self, units: int, rows: int, dtype: torch.dtype) -> None:
        rng = np.random.default_rng((units, rows))
        self.rows, self.step = rows, coefficients(LIF(), DT, torch.ones(units, dtype=dtype))
        wt = torch.from_numpy(3 * rng.normal(size=(units, units)) / np.sqrt(units)).to(dtype)
        self.current = torch.from_numpy(1.2 + rng.normal(size=(STEPS, rows, units))).to(dtype)
        self.recurrence = Recurrence(wt, lambda t, s: s @ wt)

    def twin(self) -> Population:
        return LIFPopulation(self.step, self.rows)

    def brian(self, **options) -> spiking.GroupPopulation:
        return spiking.Brian2Population(self.step, self.rows, dt=DT, **options)

    def present(self, population: Population) -> float:
        """Simulate all steps, chunk by chunk; return the share of units that spike in a step."""
        population.begin()
        parts = [population.run(part, self.recurrence, None).s for part in self.current.split(CHUNK)]
        return float(torch.cat(parts).double().mean())


def times(functions: Sequence[Callable[[], object]], repeats: int) -> list[list[float]]:
    """Time functions in turn, seconds; the first turn is not counted."""
    found: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats + 1):
        for function, seconds in zip(functions, found, strict=True):
            start = time.perf_counter()
            function()
            seconds.append(time.perf_counter() - start)
    return [seconds[1:] for seconds in found]


def per_step(seconds: Sequence[float]) -> str:
    return f"{median(seconds) / STEPS * 1e6:.1f}"


def ratio(a: Sequence[float], b: Sequence[float]) -> str:
    each = [x / y for x, y in zip(a, b, strict=True)]
    return f"{median(each):.3g} [{min(each):.3g} .. {max(each):.3g}]"


def loops(repeats: int) -> tuple[str, list[str]]:
    """Compare the fast loop with Network.run, as it is and with the living objects hidden from its gc.collect."""
    network = Network(100, 16, torch.float32)
    fast, run = network.brian(loop="fast"), network.brian(loop="run")

    def plain() -> None:
        run.begin()
        run.run(network.current, network.recurrence, None)

    def bare() -> None:
        """One call of Network.run that collects garbage among all objects of the process, as it does by itself."""
        with patch.object(spiking, "no_garbage_scan", nullcontext):
            plain()

    def stepped() -> None:
        fast.begin()
        fast.run(network.current, network.recurrence, None)

    quick, fallback, original = times([stepped, plain, bare], repeats)
    rows = [
        ["fast loop", f"{median(quick) * 1e3:.2f}", "1"],
        ["Network.run, living objects hidden (fallback)", f"{median(fallback) * 1e3:.1f}", ratio(fallback, quick)],
        ["Network.run", f"{median(original) * 1e3:.1f}", ratio(original, quick)],
    ]
    gain = median(a / b for a, b in zip(original, quick, strict=True))
    claim = f"fast loop: {gain:.0f} times faster than Network.run at 100 neurons x 16, >= {LOOP_TARGET}"
    return table(["200 steps, 100 x 16", "ms", "of the fast loop's time"], rows), [verdict(claim, gain >= LOOP_TARGET)]


def twins(repeats: int) -> tuple[str, list[str]]:
    """Compare Brian2 with the twin over sizes and precisions."""
    rows, worst = [], 0.0
    for dtype in DTYPES:
        for units in UNITS:
            for replicas in REPLICAS:
                network = Network(units, replicas, dtype)
                brian, twin = network.brian(), network.twin()
                rate = network.present(brian) / DT
                turns = 3 if units * replicas >= 16_000 else repeats
                ours, its = times([lambda: network.present(brian), lambda: network.present(twin)], turns)  # noqa: B023
                worst = max(worst, median(a / b for a, b in zip(ours, its, strict=True)))
                words = [str(dtype)[6:], str(units), str(replicas), f"{rate:.0f}"]
                rows.append([*words, per_step(ours), per_step(its), ratio(ours, its)])
                print(*rows[-1], file=sys.stderr)
    claim = f"Brian2 no slower than the twin at any size: at most {worst:.2f} of its time"
    head = ["dtype", "neurons", "replicas", "rate (Hz)", "Brian2 (us a step)", "twin (us a step)", "ratio [range]"]
    return table(head, rows), [verdict(claim, worst <= 1)]


def ways(repeats: int) -> str:
    """Time each way of spreading spikes, a step of the whole simulation."""
    rows = []
    for units in (40, *UNITS):
        for replicas in (1, 4, 16, 64):
            network = Network(units, replicas, torch.float32)
            names = ["dense", "sparse", *(["synapses"] if replicas == 1 and units <= 300 else [])]
            made = [network.brian(recurrence=name) for name in names]
            found = times([lambda p=p: network.present(p) for p in made], min(repeats, 3))  # noqa: B023
            cells = dict(zip(names, map(per_step, found), strict=True))
            rows.append([str(units), str(replicas), *(cells.get(n, "-") for n in ("dense", "sparse", "synapses"))])
            rows[-1].append(choose(replicas, units))
            print(*rows[-1], file=sys.stderr)
    return table(["neurons", "replicas", "dense (us a step)", "sparse", "synapses", "auto takes"], rows)


def peak(side: str, dtype: str) -> None:
    """Print the process's memory in bytes before and at its most, and the seconds of a step."""
    network = Network(1000, 64, getattr(torch, dtype))
    before = high_water_mark()
    population = network.brian() if side == "Brian2" else network.twin()
    seconds = median(times([lambda: network.present(population)], 3)[0])
    print(before, high_water_mark(), seconds / STEPS)


def high_water_mark() -> int:
    """Return the most memory this process has had, in bytes (getrusage would count its parent's)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def memory() -> tuple[str, list[str]]:
    """Measure 1,000 neurons x 64 replicas in a process a side."""
    rows, most = [], 0.0
    for dtype in DTYPES:
        for side in ("Brian2", "twin"):
            command = [sys.executable, __file__, "--peak", side, str(dtype)[6:]]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            before, after, seconds = (float(word) for word in out.split())
            if side == "Brian2":
                most = max(most, after)
            rows.append([str(dtype)[6:], side, f"{before / 1e6:.0f}", f"{after / 1e6:.0f}", f"{seconds * 1e3:.2f}"])
    claim = f"1,000 x 64 in {most / 1e9:.2f} GB of memory, < 2"
    head = ["dtype", "side", "before: imports, inputs (MB)", "peak (MB)", "ms a step"]
    return table(head, rows), [verdict(claim, most < MEMORY_TARGET)]


def main() -> None:
    """Print and keep the four tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--peak", nargs=2, metavar=("SIDE", "DTYPE"), help="measure one side's memory, and end")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as every run does
    if options.peak:
        peak(*options.peak)
        return
    first, claims = loops(options.repeats)
    second, more = twins(options.repeats)
    third = ways(options.repeats)
    fourth, still_more = memory()
    parts = ["## Fast loop", first, "## Against the twin", second, "## Ways to spread spikes, float32", third]
    parts += ["## A large network", fourth, "\n".join(f"- {claim}" for claim in [*claims, *more, *still_more])]
    keep("spiking_speed", "Spiking populations: Brian2 and its twin, 200 steps, one thread", "\n\n".join(parts))


if __name__ == "__main__":
    main()
