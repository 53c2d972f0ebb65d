"""The compiled event loop, Brian2 and their twin in torch, side by side, one thread.

python benchmarks/spiking_speed.py [--repeats 7] [--only TABLE] [--before FOLDER]

Tables of 200 steps each with random recurrent weights and noisy currents that make units spike some 25 times a second:
Brian2's fast loop against Network.run; the event loop against Brian2 and the twin; the ways that Brian2 spreads spikes;
and the memory of a large network, each side in a process of its own. None reads noisy arrays: weights are a plain
matrix. With --before, whole updates of examples/xor.yaml against those of an older neuroanp, whose folder that is.
Times are of the processor, one side after the other, ratios medians of those of each turn.
"""

from __future__ import annotations

import argparse
import os
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
from common import keep_parts, table, verdict

from neuroanp.backends import spiking
from neuroanp.backends.compiled_lif import CompiledPopulation
from neuroanp.backends.lif import LIFPopulation
from neuroanp.backends.neuron import LIF, coefficients
from neuroanp.backends.population import Population, Recurrence
from neuroanp.backends.recurrence import choose
from neuroanp.training.memory import keep_freed_memory

STEPS, CHUNK, DT = 200, 64, 1e-3
UNITS, REPLICAS = (100, 300, 1000), (1, 16, 64)
DTYPES = (torch.float32, torch.float64)
LOOP_TARGET, MEMORY_TARGET, EVENT_TARGET, UPDATE_TARGET = 20, 2e9, 2, 3


class Network:
    """Weights and currents of a presentation, and the populations that simulate it."""

    def __init__(self, units: int, rows: int, dtype: torch.dtype) -> None:
        rng = np.random.default_rng((units, rows))
        self.rows, self.step = rows, coefficients(LIF(), DT, torch.ones(units, dtype=dtype))
        wt = torch.from_numpy(3 * rng.normal(size=(units, units)) / np.sqrt(units)).to(dtype)
        self.current = torch.from_numpy(1.2 + rng.normal(size=(STEPS, rows, units))).to(dtype)
        self.recurrence = Recurrence(wt, lambda t, s: s @ wt)

    def event_loop(self) -> Population:
        return CompiledPopulation(self.step, self.rows)

    def twin(self) -> Population:
        return LIFPopulation(self.step, self.rows)

    def brian(self, **options) -> spiking.GroupPopulation:
        return spiking.Brian2Population(self.step, self.rows, dt=DT, **options)

    def present(self, population: Population) -> list[torch.Tensor]:
        """Simulate all steps, chunk by chunk; return the spikes of each."""
        population.begin()
        return [population.run(part, self.recurrence, None).s for part in self.current.split(CHUNK)]

    def rate(self, population: Population) -> float:
        """Return how often a unit spikes, Hz."""
        return float(torch.cat(self.present(population)).double().mean()) / DT


def times(functions: Sequence[Callable[[], object]], repeats: int) -> list[list[float]]:
    """Time functions in turn, seconds of the processor; the first turn is not counted."""
    found: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats + 1):
        for function, seconds in zip(functions, found, strict=True):
            start = time.process_time()
            function()
            seconds.append(time.process_time() - start)
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
    """Compare the event loop, Brian2 and the twin over sizes and precisions."""
    rows, worst, least = [], 0.0, float("inf")
    for dtype in DTYPES:
        for units in UNITS:
            for replicas in REPLICAS:
                network = Network(units, replicas, dtype)
                sides = [network.event_loop(), network.brian(), network.twin()]
                rate = network.rate(sides[0])
                turns = min(3, repeats) if units * replicas > 16_000 else repeats
                loop, brian, twin = times([lambda p=p: network.present(p) for p in sides], turns)  # noqa: B023
                worst = max(worst, median(a / b for a, b in zip(brian, twin, strict=True)))
                least = min(least, median(a / b for a, b in zip(brian, loop, strict=True)))
                words = [str(dtype)[6:], str(units), str(replicas), f"{rate:.0f}"]
                words += [per_step(loop), per_step(brian), per_step(twin)]
                rows.append([*words, ratio(brian, loop), ratio(twin, loop)])
                print(*rows[-1], file=sys.stderr)
    claims = [
        verdict(f"event loop: {least:.2f} times faster than Brian2 at least, >= {EVENT_TARGET}", least >= EVENT_TARGET),
        verdict(f"Brian2 no slower than the twin at any size: at most {worst:.2f} of its time", worst <= 1),
    ]
    head = ["dtype", "neurons", "replicas", "rate (Hz)", "event loop (us a step)", "Brian2", "twin"]
    return table([*head, "Brian2 / event loop [range]", "twin / event loop [range]"], rows), claims


def updates(repeats: int, before: str) -> tuple[str, list[str]]:
    """Compare whole updates of the example with those of an older version, a process each, asked in turn."""
    rows, least = [], float("inf")
    for backend in ("spiking", "lif"):
        paths = [
            before,
            os.pathsep.join(filter(None, [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH")])),
        ]
        command = [sys.executable, str(Path(__file__).with_name("spiking_update.py")), backend]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        sides = [subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, **pipes) for path in paths]
        found: list[list[float]] = [[] for _ in sides]
        for _ in range(3 * repeats):
            for side, seconds in zip(sides, found, strict=True):
                assert side.stdin is not None
                assert side.stdout is not None
                print(file=side.stdin, flush=True)
                seconds.append(float(side.stdout.readline()))
        for side in sides:
            side.communicate()
        old, new = found
        least = min(least, median(a / b for a, b in zip(old, new, strict=True)))
        rows.append([backend, f"{median(old) * 1e3:.1f}", f"{median(new) * 1e3:.1f}", ratio(old, new)])
        print(*rows[-1], file=sys.stderr)
    claim = verdict(f"update of xor: {least:.2f} times faster at least, >= {UPDATE_TARGET}", least >= UPDATE_TARGET)
    return table(["backend", "before (ms an update)", "now", "ratio [range]"], rows), [claim]


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
    population = {"event loop": network.event_loop, "Brian2": network.brian, "twin": network.twin}[side]()
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
        for side in ("event loop", "Brian2", "twin"):
            command = [sys.executable, __file__, "--peak", side, str(dtype)[6:]]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            before, after, seconds = (float(word) for word in out.split())
            if side == "Brian2":
                most = max(most, after)
            rows.append([str(dtype)[6:], side, f"{before / 1e6:.0f}", f"{after / 1e6:.0f}", f"{seconds * 1e3:.2f}"])
    claim = f"1,000 x 64 in {most / 1e9:.2f} GB of memory, < 2"
    head = ["dtype", "side", "before: imports, inputs (MB)", "peak (MB)", "ms a step"]
    return table(head, rows), [verdict(claim, most < MEMORY_TARGET)]


PARTS = ("sizes", "updates", "loop", "ways", "memory")
HEADINGS = {
    "sizes": "The event loop, Brian2 and the twin",
    "updates": "Whole updates of examples/xor.yaml",
    "loop": "Brian2: the fast loop",
    "ways": "Brian2: ways to spread spikes, float32",
    "memory": "A large network",
}


def part(name: str, repeats: int, before: str | None) -> str:
    """Return one table, and what is claimed of it."""
    if name == "ways":
        return ways(repeats)
    if name == "updates":
        assert before is not None
        body, claims = updates(repeats, before)
    elif name == "memory":
        body, claims = memory()
    else:
        body, claims = {"sizes": twins, "loop": loops}[name](repeats)
    return "\n\n".join([body, "\n".join(f"- {claim}" for claim in claims)])


def main() -> None:
    """Print and keep the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", choices=PARTS, help="this table alone; the file keeps its other ones")
    parser.add_argument("--before", help="folder of an older neuroanp, to compare updates with")
    parser.add_argument("--peak", nargs=2, metavar=("SIDE", "DTYPE"), help="measure one side's memory, and end")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as every run does
    if options.peak:
        peak(*options.peak)
        return
    wanted = [options.only] if options.only else [name for name in PARTS if name != "updates" or options.before]
    found = {HEADINGS[name]: part(name, options.repeats, options.before) for name in wanted}
    title = "Spiking populations: the event loop, Brian2 and their twin, 200 steps, one thread"
    keep_parts("spiking_speed", title, found, list(HEADINGS.values()))


if __name__ == "__main__":
    main()
