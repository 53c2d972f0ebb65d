"""What arrays cost: a read with noise, the resistance of wires, memory.

python benchmarks/arrays.py [--repeats 20] [--largest 512]

One thread. Reads: 512x512, batch 64, a block of 64 steps as the rate backend does them (its normals
drawn at once, two products a step), against the plain products x W^T, in turn. Wires: nodal solve of
the tile after its factorisation, and the fast approximation's time and error against it, for 64 inputs.
Memory: every tensor that a programmed array of 1024x1024 and the plan it is read by hold.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from statistics import median
from typing import Any

import numpy as np
import torch
from common import keep, spread, table, verdict
from torch import Tensor

from neuroanp.devices.device import Device
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.profiles.loader import available
from neuroanp.substrates.crossbar import Crossbar
from neuroanp.substrates.protocol import ReadPlan
from neuroanp.substrates.read import Reader
from neuroanp.substrates.wires import WireNetwork
from neuroanp.substrates.wires_fast import effective_conductance_fast
from neuroanp.training.memory import keep_freed_memory

READ, SOLVE, MEMORY = 2.5, 0.5, 16.0
SIZE, BATCH, INPUTS, MATRIX, BLOCK = 512, 64, 64, 1024, 64
TILES = {"pcm-like, 0.25-25 uS, 2.5 ohm": (0.25e-6, 25e-6, 2.5), "rram-like, 50-225 uS, 1 ohm": (50e-6, 225e-6, 1.0)}


def timed(function: Callable[[], Any], repeats: int) -> list[tuple[float, Any]]:
    """Return seconds and result of every call."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        found.append((time.perf_counter() - start, result))
    return found


def time_pairs(a: Callable[[int], object], b: Callable[[int], object], repeats: int) -> tuple[list[float], list[float]]:
    """Time a and b in turn, seconds; the first two calls of each are not counted."""
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(repeats + 2):
        for function, times in zip((a, b), found, strict=True):
            start = time.perf_counter()
            function(number)
            times.append(time.perf_counter() - start)
    return found[0][2:], found[1][2:]


# ---- reads ----


def programmed(profile: str, size: int, pulsed: bool = False) -> Crossbar:
    """Return an array of `size` x `size` programmed with random weights; `pulsed`: ready for in-situ pulses."""
    loaded = load(profile)
    array = Crossbar(loaded, Device(loaded), (size, size), np.random.default_rng(0), pulsed=pulsed)
    weights = 0.3 * array.w_s * torch.from_numpy(np.random.default_rng(1).standard_normal((size, size))).float()
    target, rng = array.to_conductance(array.clip(weights)[0]), np.random.default_rng(2)
    if array.device.can_program:
        array.cells = array.device.program(array.cells, target, None, 0.0, rng)[0]
    else:
        array.cells = array.device.place(array.cells, target, None, 0.0, rng)
    return array


def plan_of(array: Crossbar) -> ReadPlan:
    """Return the plan the array is read by 1 s after it was programmed."""
    rng, shape = np.random.default_rng(3), tuple(array.cells["g"].shape)
    return array.prepare(1.0, 1e-3, lambda: torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)))


def read_parts(reader: Reader, x: Tensor) -> dict[str, tuple[Callable[[int], object], Callable[[int], object]]]:
    """Return ways to read one block of steps, and their parts, as functions of its number, each with its plain twin."""
    streams = PassStreams(Streams(0), "train", 0)
    rows = x.flatten(0, 1)

    def draw(number: int) -> Tensor:
        shape = (BATCH, reader.normals)
        return torch.from_numpy(streams.normal("read/w", 0, number * BLOCK, BLOCK, shape, np.float32))

    def by_step(number: int) -> list[Tensor]:
        return [reader(x_t, xi) for x_t, xi in zip(x, draw(number), strict=True)]

    def plain(_: int) -> list[Tensor]:
        return [x_t @ reader.wt for x_t in x]

    def spread_alone(_: int) -> list[Tensor]:
        return [reader.deviation(x_t) for x_t in x]

    def at_once(number: int) -> Tensor:
        return reader(rows, draw(number).flatten(0, 1))

    def plain_at_once(_: int) -> Tensor:
        return rows @ reader.wt

    return {
        "step by step (w)": (by_step, plain),
        "- its normals alone": (draw, plain),
        "- its standard deviation alone": (spread_alone, plain),
        "the block at once (w_in, w_out)": (at_once, plain_at_once),
    }


def reads(repeats: int) -> tuple[str, list[str]]:
    """Time noisy reads against plain products."""
    plan = plan_of(programmed("pcm", SIZE))
    bare = ReadPlan(W=plan.W, sigma2=plan.sigma2)
    x = torch.tanh(torch.from_numpy(np.random.default_rng(4).standard_normal((BLOCK, BATCH, SIZE), dtype=np.float32)))
    rows, claims = [], []
    for label, one in (("read noise", bare), ("read noise, DAC and ADC", plan)):
        for name, (ours, plain) in read_parts(Reader(one), x).items():
            mine, its = time_pairs(ours, plain, repeats)
            ratios = [a / b for a, b in zip(mine, its, strict=True)]
            times = [f"{median(t) / BLOCK * 1e6:.0f}" for t in (mine, its)]
            rows.append([label, name, *times, f"{median(ratios):.2f} [{min(ratios):.2f} .. {max(ratios):.2f}]"])
            if not name.startswith("-"):
                claim = f"{label}, {name}: {median(ratios):.2f} times a plain product, <= {READ}"
                claims.append(verdict(claim, median(ratios) <= READ))
    headers = ["array", "read", "us a step", "plain product (us)", "ratio, median [range]"]
    return table(headers, rows), claims


# ---- wires ----


def wires(repeats: int, largest: int) -> tuple[str, list[str]]:
    """Time nodal solves and the fast approximation; compare their currents."""
    rows, claims = [], []
    for label, (low, high, r) in TILES.items():
        for size in (n for n in (64, 128, 256, 512) if n <= largest):
            rng = np.random.default_rng(size)
            G, V = rng.uniform(low, high, (size, size)), rng.uniform(0.0, 0.2, (size, INPUTS))
            start = time.perf_counter()
            network = WireNetwork(G, r, r)
            factorised = time.perf_counter() - start
            # large tiles take seconds, so that once will do
            solves = timed(lambda: network.currents(V), repeats if size <= 64 else 1)  # noqa: B023
            exact, tile = solves[-1][1], torch.from_numpy(G).float()
            fast = timed(lambda: effective_conductance_fast(tile, r, r), repeats)  # noqa: B023
            off = fast[-1][1].double().numpy() @ V - exact
            errors = [f"{e / exact.max():.1e}" for e in (abs(off).max(), np.sqrt((off**2).mean()))]
            lost = 1.0 - exact.sum() / (G @ V).sum()
            x = r * size**2 * G.mean()
            row = [label, str(size), f"{x:.2f}", f"{lost:.1%}", f"{factorised:.3f}", spread([t for t, _ in solves])]
            rows.append([*row, f"{median(t for t, _ in fast) * 1e3:.1f}", *errors])
            if size == 64:
                took = median(t for t, _ in solves)
                claim = f"{label}: {INPUTS} inputs solved in {took:.3f} s after factorisation, <= {SOLVE} s"
                claims.append(verdict(claim, took <= SOLVE))
    headers = ["tile", "size", "r N^2 G", "current lost", "factorise (s)", f"solve {INPUTS} inputs (s)"]
    return table([*headers, "fast (ms)", "its largest error", "rms"], rows), claims


# ---- memory ----


def tensors(array: Crossbar) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor that the array, its digital side, its plan and its reader hold, by name."""
    yield from ((f"cells: {name}", value) for name, value in array.cells.items())
    yield "digital targets", array.to_weights(array.cells["target"])
    plan = plan_of(array)
    planned = {f.name: value for f in fields(plan) if isinstance(value := getattr(plan, f.name), Tensor)}
    yield from ((f"plan: {name}", value) for name, value in planned.items())
    shared = {value.data_ptr() for value in planned.values()}
    for name, value in vars(Reader(plan)).items():
        if isinstance(value, Tensor) and value.data_ptr() not in shared:
            yield f"reader: {name}", value


def memory() -> tuple[str, list[str]]:
    """List the tensors of pcm, and the sum of every shipped profile."""
    weights = 4 * MATRIX**2
    rows, sums, claims = [], [], []
    both = [n for n in available() if load(n).programming is not None and load(n).update is not None]
    for name, pulsed in [(n, False) for n in available()] + [(n, True) for n in both]:
        array = programmed(name, MATRIX, pulsed)
        found = [(label, value.nbytes, str(value.dtype)) for label, value in tensors(array)]
        if name == "pcm" and not pulsed:
            rows = [
                [label, kind.removeprefix("torch."), f"{size:,}", f"{size / weights:.2f}"]
                for label, size, kind in found
            ]
        parts = [sum(size for label, size, _ in found if label.startswith(kind)) for kind in ("cells", "plan")]
        total = sum(size for _, size, _ in found)
        name += ", in-situ pulses" * pulsed
        sums.append([name, *(f"{size / weights:.1f}" for size in (*parts, total - sum(parts), total))])
        claims.append((pulsed, sum(parts) / weights, total / weights, name))
    words = []
    for kind in (False, True):
        _, cells, whole, worst = max(claim for claim in claims if claim[0] == kind)
        said = f"cells and plan, largest ({worst}): {cells:.1f} times its float32 weights, <= {MEMORY}"
        words.append(verdict(said, cells <= MEMORY))
        words.append(f"with digital targets and the reader's transposes: {whole:.1f} times")
    body = table(["pcm", "dtype", "bytes", "times the weights"], rows)
    return body + "\n\n" + table(["profile", "cells", "plan", "targets, reader", "times the weights"], sums), words


def main() -> None:
    """Print all three parts with their verdicts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--largest", type=int, default=512, help="largest tile that is solved (default %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as every run does
    parts = {
        f"Reads: {SIZE}x{SIZE}, batch {BATCH}, float32": reads(options.repeats),
        "Wires: exact nodal solve and fast approximation": wires(options.repeats, options.largest),
        f"Memory: {MATRIX}x{MATRIX}": memory(),
    }
    body = "\n\n".join(
        f"## {title}\n\n{text}\n\n" + "\n".join(f"- {claim}" for claim in claims)
        for title, (text, claims) in parts.items()
    )
    keep("arrays", "Arrays: reads, wires, memory; one thread", body)


if __name__ == "__main__":
    main()
