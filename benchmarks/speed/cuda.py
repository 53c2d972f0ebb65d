"""The table of updates on a GPU: milliseconds between events of the device; the host waits at the end of a block.

Everything is as a user has it; the floor and nn.RNN run kernel by kernel, without a CUDA graph. With `--device cpu` the
same code runs on a CPU with the clock of the wall, to try it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from itertools import product
from statistics import median

import torch

from benchmarks.common import table, verdict
from benchmarks.speed import floor
from benchmarks.speed.gradient import Gradient
from benchmarks.speed.learner import Learner, Size
from benchmarks.speed.timing import Side, in_turn, middle, ms, ratios

SIZES = [Size(*each) for each in product((256, 1000, 4000, 8000), (100,), (32,), (1, 16))]
TINY = [Size(16, 10, 2, 1), Size(16, 10, 2, 2)]
FLOOR = {1000: 1.5, 4000: 1.15, 8000: 1.15}
RNN, SYNCHRONISATIONS = 0.6, 1
SECONDS = 4.0
SPIKING = {"backend": "lif", "neuron": {"name": "lif", "drive": 12.0, "input_gain": 6.0}}
DEVICES: dict[str, dict[str, object]] = {
    "ideal": {},
    "pcm": {"profile": "pcm"},
    "pcm_tiles": {"profile": "pcm_tiles"},
    "smtj_koenders": {"profile": "smtj_koenders"},
    "lif": SPIKING,
}
"""What the second table is of, each as an option of a run."""


def by_events(side: Side, first: int, count: int) -> float:
    """Return the seconds of one call on the GPU, of `count` that follow one another."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for number in range(first, first + count):
        side(number)
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3 / count


def by_wall(side: Side, first: int, count: int) -> float:
    """Return the same of a CPU."""
    start = time.perf_counter()
    for number in range(first, first + count):
        side(number)
    return (time.perf_counter() - start) / count


def waits(learner: Learner, device: str) -> int | None:
    """Return how often a whole update makes the host wait for the GPU, as torch knows it; None on a CPU.

    Whole: with the batch that is sent, the optimizer's step, the write and the row of the metrics.
    """
    if device == "cpu":
        return None
    learner.trainer.step()  # the first sets up what stays
    mode = torch.cuda.get_sync_debug_mode()
    try:
        torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            learner.trainer.step()
    finally:
        torch.cuda.set_sync_debug_mode(mode)
    return sum("called a synchronizing" in str(each.message) for each in told)


def sides(size: Size, device: str) -> tuple[Learner, dict[str, Side]]:
    """Return the update, and with it its floor and nn.RNN on a device."""
    learner = Learner(size, device)
    batch = learner.first
    torch.backends.cudnn.allow_tf32 = False  # nn.RNN has it by default, and the update has not
    rnn = Gradient(size.units, batch.inputs, batch.targets)
    return learner, {"update": learner, "floor": floor.in_torch(size, device), "rnn": rnn}


def launched(size: Size, device: str, more: object) -> Side:
    """Return an update whose kernels are launched one by one."""
    learner = Learner(size, device, more=more)
    return lambda number: learner.trainer.learner._learn(learner.lab(number))  # pyright: ignore


def of_devices(quick: bool, device: str) -> str:
    """Measure updates of devices and of spiking units: recorded, a kernel at a time, and over exact arrays."""
    rows, clock = [], by_wall if device == "cpu" else by_events
    for K in (1, 16):
        size, ideal = Size(16, 10, 2, K) if quick else Size(1000, 100, 32, K), 0.0
        for name, more in DEVICES.items():
            made: dict[str, Side] = {
                "recorded": Learner(size, device, more=more),
                "launched": launched(size, device, more),
            }
            times = in_turn(made, 0 if quick else SECONDS / 2, clock=clock)
            recorded = median(times["recorded"])
            ideal = ideal or recorded
            each = middle(ratios(times["launched"], times["recorded"]))
            rows.append(
                [name, f"{K} ({size.passes})", *(ms(times[side]) for side in made), each, f"{recorded / ideal:.3g}"]
            )
            print(*rows[-1], flush=True)
            del made
            if device == "cuda":
                torch.cuda.empty_cache()
    head = [
        "units and arrays",
        "K (M)",
        "recorded (ms)",
        "kernel by kernel (ms)",
        "of recorded [middle half]",
        "/ideal",
    ]
    return table(head, rows)


def run(quick: bool, device: str) -> str:
    """Measure every size, or say why not."""
    if device == "cuda" and not torch.cuda.is_available():
        return "Not measured: torch finds no CUDA device here."
    rows, claims, clock = [], [], by_wall if device == "cpu" else by_events
    for size in TINY if quick else SIZES:
        learner, made = sides(size, device)
        times = in_turn(made, 0 if quick else SECONDS, clock=clock)
        waiting = waits(learner, device)
        over = {name: ratios(times["update"], times[name]) for name in ("floor", "rnn")}
        words = [
            str(size.units),
            f"{size.K} ({size.passes})",
            *(ms(times[name]) for name in ("floor", "rnn", "update")),
        ]
        rows.append([*words, *map(middle, over.values()), "-" if waiting is None else str(waiting)])
        claims += _claims(size, median(over["floor"]), median(over["rnn"]), waiting)
        print(*rows[-1], flush=True)
        del made, learner
        if device == "cuda":
            torch.cuda.empty_cache()
    name = "the CPU" if device == "cpu" else torch.cuda.get_device_name()
    tf32 = "on" if torch.backends.cuda.matmul.allow_tf32 else "off"
    head = ["N", "K (M)", "floor (ms)", "nn.RNN (ms)", "update (ms)", "/floor [middle half]", "/nn.RNN", "waits"]
    said = [*claims, f"on {name}, T={size.steps}, B={size.batch}, float32, TF32 {tf32}"]
    first = table(head, rows) + "\n\n" + "\n".join(f"- {line}" for line in said)
    told = f"Devices and spiking units at {'N=16, T=10, B=2' if quick else 'N=1000, T=100, B=32'}, the learner alone:"
    return f"{first}\n\n{told}\n\n{of_devices(quick, device)}"


def _claims(size: Size, of_floor: float, of_rnn: float, waiting: int | None) -> Iterator[str]:
    if size.units in FLOOR:
        most = FLOOR[size.units]
        yield verdict(f"{size}: {of_floor:.3g} of the floor, <= {most:g}", of_floor <= most)
        if size.K == 1:
            yield verdict(f"{size}: {of_rnn:.3g} of nn.RNN, <= {RNN:g}", of_rnn <= RNN)
    if waiting is not None:
        yield verdict(f"{size}: the host waits {waiting} times an update, <= {SYNCHRONISATIONS}",
                      waiting <= SYNCHRONISATIONS)  # fmt: skip
