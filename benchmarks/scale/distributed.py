"""One run on several processes: the same bits, what an update gains, what travels, and a model up to 1,000 workers.

python -m benchmarks.scale.distributed [--only hashes|efficiency|payload|model] [--repeats 5]

hashes: sha256 of all weights after 40 updates by 1, 2 and 3 processes, sums exact; in floating point how far weights
are apart after 5 updates. efficiency: wall seconds of updates by one and by two processes of this machine, in turn;
t1 / (2 t2). Both cores must be free: the load before is printed. payload: bytes that a process gave to sums, counted
and by formula. model: `benchmarks.scale.model` with numbers measured here (p, s, and an all-reduce of two processes
over loopback by gloo) for the points of this machine, and a stated network (10 Gbit/s, 30 us) for the table.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median, stdev
from typing import Any

import numpy as np
import torch

from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.crew import Hands
from neuroanp.training.crews import crew_of
from neuroanp.training.sharded_learner import ShardedLearner
from neuroanp.training.trainer import Trainer

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import keep_parts, table, verdict

from benchmarks.scale.model import RULES, Machine, Size, bytes_of_rule, closed, simulated

PARTS = ("hashes", "efficiency", "payload", "model")
T100 = {"name": "copy", "length": 33, "delay": 34, "symbols": 8}
"""100 steps."""
TWO = {"name": "anp", "preset": "default", "reference": "two", "K": 64}
LARGE: dict[str, Any] = {
    "task": T100, "rule": TWO, "network": {"hidden": 512}, "training": {"batch": 2, "controls": False},
    "compute": {"shards": 8},
}  # fmt: skip
SMALL = {
    "task": {"name": "copy", "length": 2, "delay": 2, "symbols": 4}, "network": {"hidden": 40},
    "training": {"batch": 4, "controls": False},
}  # fmt: skip
HASHED = {
    "anp": {"rule": {"name": "anp", "preset": "default", "reference": "two", "K": 12}, "compute": {"shards": 6}},
    "anp, the usual rule": {"rule": {"name": "anp", "K": 18}, "compute": {"shards": 6}},
    "echo": {"rule": {"name": "echo", "K": 18}, "compute": {"shards": 6}},
    "cdrge": {"rule": {"name": "cdrge", "K": 6}},
    "wp": {"rule": {"name": "wp", "K": 6}},
}
TIMED: dict[str, dict[str, Any]] = {
    "two, matrices": {}, "two, matrices, 2 shards": {"compute.shards": 2},
    "two, matrices, B 32": {"training.batch": 32},
    "silent, factors": {"rule.reference": "silent"}, "two, matrices, float": {"compute.sums": "float"},
}  # fmt: skip
ETHERNET = 1.25e9, 30e-6
"""Bytes a second and seconds a message of the network of the table: 10 Gbit/s, 30 us; stated, not measured."""


def trainer_of(source: Mapping[str, Any], **changes: Any) -> Trainer:
    """Build a trainer with the processes that its configuration asks for."""
    experiment = Experiment.of(configure(source, changes))
    return replace(build_trainer(experiment), crew=crew_of(experiment))


def weights_after(trainer: Trainer, updates: int) -> dict[str, torch.Tensor]:
    """Do some updates, end the other processes, and return the weights."""
    for _ in range(updates):
        trainer.step()
    trainer.release()
    return dict(trainer.substrate.weights)


def digest(weights: Mapping[str, torch.Tensor]) -> str:
    """Return 12 digits of the sha256 of all weights."""
    return hashlib.sha256(b"".join(weights[name].numpy().tobytes() for name in sorted(weights))).hexdigest()[:12]


def hashes(options: argparse.Namespace) -> str:
    """Hold 1, 2 and 3 processes to one another."""
    rows, same = [], True
    for label, of in HASHED.items():
        for profile in ("ideal", "pcm"):
            found = [
                digest(weights_after(trainer_of({**SMALL, **of}, **{"compute.workers": n, "profile": profile}), 40))
                for n in (1, 2, 3)
            ]
            same = same and len(set(found)) == 1
            rows.append([label, profile, *found])
    of_two = [weights_after(trainer_of(LARGE, **{"compute.workers": n, "compute.sums": "float"}), 5) for n in (1, 2, 3)]
    apart = max(float((w[n] - W).norm() / W.norm()) for w in of_two[1:] for n, W in of_two[0].items())
    heads = ["rule", "profile", "1 process", "2", "3"]
    claim = f"in floating point weights after 5 updates are {apart:.1e} apart, at most 2e-5 (N 512, T 100, K 64)"
    lines = [
        verdict("exact sums: one hash for 1, 2 and 3 processes over 40 updates", same),
        verdict(claim, apart <= 2e-5),
    ]
    return "\n".join([table(heads, rows), "", *(f"- {line}" for line in lines)])


def timed(trainer: Trainer) -> float:
    """Return the wall seconds of an update."""
    start = time.perf_counter()
    trainer.step()
    return time.perf_counter() - start


def efficiency(options: argparse.Namespace) -> str:
    """Time one and two processes in turn."""
    torch.set_num_threads(1)
    rows, ratios = [], {}
    load = os.getloadavg()[0]
    for label, changes in TIMED.items():
        whole = trainer_of(LARGE, **{**changes, "compute.shards": 1, "compute.sums": "exact"})
        one, two = trainer_of(LARGE, **changes), trainer_of(LARGE, **changes, **{"compute.workers": 2})
        for each in (whole, one, two):
            each.step()
        repeats = min(options.repeats, 3) if "training.batch" in changes else options.repeats
        rounds = [(timed(one), timed(two), timed(whole)) for _ in range(repeats)]
        two.release()
        pairs, found = [(a, b) for a, b, _ in rounds], [a / (2 * b) for a, b, _ in rounds]
        ratios[label] = median(found)
        rows.append([
            label, f"{median(a for a, _ in pairs):.3g}", f"{median(b for _, b in pairs):.3g}",
            f"{median(found):.3f} [{min(found):.3f} .. {max(found):.3f}]",
            f"{median(c for *_, c in rounds):.3g}", f"{median(c / b for _, b, c in rounds):.2f}",
        ])  # fmt: skip
    heads = ["shards are added as", "s an update, 1 process", "2 processes", "efficiency, median [range]"]
    heads += ["no shards, 1 process", "that over 2 processes"]
    claim = "efficiency of 1 -> 2 processes at least .85 (K 64, hidden 512, T 100, B 2, 8 shards)"
    held = ratios["two, matrices"] >= 0.85
    lines = [
        f"- load before: {load:.1f}", f"- {verdict(claim, held)}",
        "- the last column is what two processes gain on an update that is not sharded at all: passes of a shard are "
        "fewer rows of a product each, and each shard forms its own matrices",
    ]  # fmt: skip
    return "\n".join([table(heads, rows), "", *lines])


def payload(options: argparse.Namespace) -> str:
    """Count what a process gives to sums, and hold it to the formula."""
    rows, held = [], True
    cases = {
        "two": {}, "two, float": {"compute.sums": "float"}, "silent": {"rule.reference": "silent"},
        "echo": {"rule": {"name": "echo", "K": 24}}, "cdrge": {"rule": {"name": "cdrge", "K": 64}, "compute.shards": 1},
        "wp": {"rule": {"name": "wp", "K": 64}, "compute.shards": 1},
    }  # fmt: skip
    for label, changes in cases.items():
        trainer = trainer_of(LARGE, **{"network.hidden": 128, "compute.workers": 2, **changes})
        trainer.step()
        crew, learner = trainer.crew, trainer.learner
        assert isinstance(crew, Hands)
        before = crew.sent
        trainer.step()
        counted = crew.sent - before
        trainer.release()
        lab = trainer.lab()
        if isinstance(learner, ShardedLearner):
            told, shared = (
                learner.bytes_told(trainer.learned, lab.substrate.weights, [*lab.reads], lab.steps, lab.batch),
                8,
            )
            own = 4
        else:
            told, shared = 0, {"cdrge": 128, "wp": 65}[label]
            own = shared // 2
        formula = 16 + 8 * (1 + own) + 8 * shared + 2 * told
        held = held and counted == formula
        rows.append([label, f"{told:,}", f"{counted:,}", f"{formula:,}"])
    heads = ["rule", "bytes of a sum", "counted between two processes", "formula"]
    why = "a turn (16), a checksum and own losses, all losses, and sums there and back"
    claim = f"what travels equals the formula to the byte: {why}"
    return "\n".join([table(heads, rows), "", f"- {verdict(claim, held)}"])


def measured_machine(options: argparse.Namespace) -> tuple[Machine, list[list[str]]]:
    """Measure what the model takes for this machine, and hold it to updates of two processes."""
    torch.set_num_threads(1)
    one = trainer_of(LARGE)
    one.step()
    whole = [timed(one) for _ in range(options.repeats)]
    lab, learner = one.lab(), one.learner
    shards = []
    for _ in range(options.repeats):
        start = time.perf_counter()
        for part in learner.parts:  # pyright: ignore[reportAttributeAccessIssue]
            part.found(one.learned, lab)
        shards.append(time.perf_counter() - start)
    size = Size(512, 100, 64, 2)
    macs = 128 * size.B * size.T * size.weights
    spread = stdev(np.log(whole)) if len(whole) > 1 else 0.0
    a, b = all_reduce()
    machine = Machine(median(shards) / macs, max(median(whole) - median(shards), 0.0) / size.weights, a, b, spread)
    two = trainer_of(LARGE, **{"compute.workers": 2})
    two.step()
    pair = median(timed(two) for _ in range(options.repeats))
    two.release()
    rows = [
        ["anp two, matrices", n, f"{found:.3g}", f"{closed(RULES[0], size, 8, n, machine):.3g}",
         f"{simulated(RULES[0], size, 8, n, machine):.3g}"]
        for n, found in ((1, median(whole)), (2, pair))
    ]  # fmt: skip
    return machine, [[str(cell) for cell in row] for row in rows]


def all_reduce() -> tuple[float, float]:
    """Measure gloo between two processes over loopback: seconds a message, bytes a second."""
    from multiprocessing import get_context

    context = get_context("spawn")
    queue = context.Queue()
    port = 29500 + os.getpid() % 1000
    both = [context.Process(target=_reduce, args=(rank, port, queue)) for rank in (0, 1)]
    for each in both:
        each.start()
    small, large = queue.get(timeout=120)
    for each in both:
        each.join()
    # ring of two: 2 (a + bytes / (2 b))
    return small / 2, 8e6 / (large - small)


def _reduce(rank: int, port: int, queue: Any) -> None:
    import torch.distributed as dist

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
    dist.init_process_group("gloo", rank=rank, world_size=2)
    found = []
    for numbers in (1, 1_000_000):
        x, times = torch.zeros(numbers, dtype=torch.int64), []
        for _ in range(30):
            start = time.perf_counter()
            dist.all_reduce(x)
            times.append(time.perf_counter() - start)
        found.append(median(times[5:]))
    if rank == 0:
        queue.put(found)
    dist.destroy_process_group()


def model(options: argparse.Namespace) -> str:
    """Print the measured points beside the model, then the model up to 1,000 workers and 100,000 units."""
    machine, points = measured_machine(options)
    net = machine._replace(bytes_s=ETHERNET[0], message_s=ETHERNET[1], spread=max(machine.spread, 0.05))
    said = (
        f"- measured here: {machine.mac_s:.2e} s a multiply-accumulate, {machine.repeat_s:.2e} s a weight of what all "
        f"repeat, gloo over loopback {machine.message_s * 1e6:.0f} us a message and {machine.bytes_s / 1e9:.2f} GB/s, "
        f"spread of an update {machine.spread:.2f}\n- the table below: the same processors on 10 Gbit/s and 30 us a "
        f"message, times of a worker lognormal with spread {net.spread:.2f}; memory and caches are not modelled, and "
        "P = N (N + I + O) of a dense layer"
    )
    rows = []
    for size in (Size(512, 100, 1000, 2), Size(10_000, 100, 1000, 2), Size(100_000, 100, 1000, 1)):
        for rule in RULES:
            shards, told = 250 if rule.startswith("echo") else 1000, bytes_of_rule(rule, size)
            alone = closed(rule, size, shards, 1, net)
            cells = []
            for workers in (10, 100, 1000):
                paper, seen = (f(rule, size, shards, workers, net) for f in (closed, simulated))
                cells.append(f"{paper:.3g} / {seen:.3g} s, {alone / (workers * seen):.2f}")
            rows.append([f"{size.N:,}", rule, f"{told:.3g}", f"{alone:.3g} s", *cells])
    heads = [
        "N",
        "rule (K 1000, T 100)",
        "bytes a worker",
        "1 worker",
        *(f"{n}: paper / simulated, efficiency" for n in (10, 100, 1000)),
    ]
    first = table(["rule", "processes", "measured, s", "paper", "simulated"], points)
    return "\n".join([first, "", said, "", table(heads, rows)])


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, help="this part alone (default: all)")
    parser.add_argument("--repeats", type=int, default=5, help="updates that are timed (default %(default)s)")
    options = parser.parse_args()
    for name in (options.only,) if options.only else PARTS:
        text = {"hashes": hashes, "efficiency": efficiency, "payload": payload, "model": model}[name](options)
        keep_parts("distributed", "One run on several processes", {name: text}, PARTS, "benchmarks.scale.distributed")


if __name__ == "__main__":
    main()
