"""What spiking units learn besides XOR: delayed match, a sine, Mackey-Glass and digits, beside their controls.

python benchmarks/spiking_tasks.py [--seeds 3] [--first 0] [--backend lif] [--workers 2] [--tasks digits,sine]
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from statistics import mean, median
from typing import Any

import numpy as np
import torch
from common import keep, spread, table
from spiking_learning import outputs

from neuroanp.baselines.controls import WINDOWS
from neuroanp.baselines.persistence import lagged_linear, persistence
from neuroanp.baselines.ridge import ridge
from neuroanp.noise import Streams
from neuroanp.tasks.encoding import own_task
from neuroanp.tasks.protocol import Batch
from neuroanp.tasks.scoring import squared_error
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.described import features_of
from neuroanp.training.evaluate import NOISY, SILENT
from neuroanp.training.updates import updates

TASKS: dict[str, dict[str, Any]] = {
    "delayed_match": {
        "task": {"name": "delayed_match", "symbols": 4},
        "network": {"hidden": 40},
        "training": {"updates": 300, "batch": 16},
        "optimizer": {"lr": 1e-2},
    },
    "sine": {
        "task": {"name": "sine", "steps": 110, "periods": [90]},
        "network": {"hidden": 40},
        "training": {"updates": 400, "batch": 8},
        "optimizer": {"lr": 1e-2},
    },
    "mackey_glass": {
        "task": {"name": "mackey_glass"},
        "encoder": {"name": "population", "n": 8, "low": -0.6, "high": 0.5, "hold": 5},
        "network": {"hidden": 100},
        "neuron": {"name": "lif", "input_gain": 6},
        "training": {"updates": 200, "batch": 8},
        "optimizer": {"lr": 1e-2},
    },
    "digits": {
        "task": {"name": "digits"},
        "encoder": {"name": "poisson", "rate": "500 Hz", "signed": False},
        "network": {"hidden": 100},
        "neuron": {"name": "lif", "input_gain": 1},
        "training": {"updates": 300, "batch": 32},
        "optimizer": {"lr": 1e-2},
    },
}
K4, NP, OUT = {"rule.K": 4}, {"rule": "np"}, frozenset({"w_out"})
LEAD = "ANP K=4"


@dataclass(frozen=True)
class Method:
    """A row of trained networks; `slower` divides the task's learning rate."""

    label: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    slower: float = 1.0
    trained: frozenset[str] | None = None


METHODS = [
    Method(LEAD, K4),
    Method("ANP K=1"),
    Method("NP K=4", {**K4, **NP}),
    Method("NP K=4, lr / 3", {**K4, **NP}, 3.0),
    Method("readout only, K=4", K4, trained=OUT),
    Method("surrogate BPTT", {"rule": "bptt"}),
]


@dataclass(frozen=True)
class Result:
    """Noise-free loss, loss under the noise of training, the task's score noise-free, spikes a second and unit."""

    loss: float
    noisy: float | None
    score: float
    rate_Hz: float | None = None


def experiment(name: str, method: Method, seed: int, backend: str) -> Experiment:
    """Resolve one run."""
    base = TASKS[name]
    rate = base["optimizer"]["lr"] / method.slower
    return Experiment.of(configure(base, {"optimizer.lr": rate, **method.overrides}, backend=backend, seed=seed))


def trained(job: tuple[str, Method, int], backend: str) -> Result:
    """Train one network and measure it on the held-out sequences."""
    torch.set_num_threads(1)
    name, method, seed = job
    made = experiment(name, method, seed, backend)
    trainer = build_trainer(made, method.trained)
    test = made.task.test(trainer.streams.generator("test"))
    for _ in updates(trainer):
        pass
    return measure(made, trainer, test)


def measure(made: Experiment, trainer: Any, test: Batch, w_out: torch.Tensor | None = None) -> Result:
    """Measure a network, or the same one with another readout, noise-free and under the noise of training."""
    silent, rate = outputs(trainer, test, SILENT, w_out)
    noisy, _ = outputs(trainer, test, NOISY, w_out)
    score = next(iter(made.task.score(silent, test).values()))
    return Result(squared_error(silent, test), squared_error(noisy, test), score, rate)


def controls(job: tuple[str, int], backend: str) -> dict[str, Result]:
    """Fit what needs no training of the network, on as many sequences as the tool's own controls."""
    torch.set_num_threads(1)
    name, seed = job
    made = experiment(name, METHODS[0], seed, backend)
    trainer = build_trainer(made)
    test = made.task.test(trainer.streams.generator("test"))
    activity = partial(features_of(trainer.backend, made.network), neurons=trainer.substrate.neurons)
    readout = ridge(made.task, made.untrained(Streams(seed)), trainer.streams, activity=activity)
    found = {"control: ridge": measure(made, trainer, test, readout.w_out)}
    plain = own_task(made.task)[0]
    raw = test.raw or test
    predictions: dict[str, np.ndarray | None] = {
        "control: linear in the summed inputs": summed_linear(plain, raw, trainer.streams)
    }
    if made.task.forecast:
        predictions["control: linear in past values"] = lagged_linear(plain, raw, trainer.streams, windows=WINDOWS)
        predictions["control: persistence"] = persistence(plain, raw)
    for label, y in predictions.items():
        if y is not None:
            found[label] = Result(squared_error(y, raw), None, next(iter(plain.score(y, raw).values())))
    return found


def summed_linear(task: Any, test: Batch, streams: Streams) -> np.ndarray:
    """Predict each step's target by least squares from the sum of all inputs up to then, and a constant."""
    drawn = task.sample(streams.generator("benchmark/linear"), WINDOWS)

    def features(batch: Batch) -> np.ndarray:
        total = batch.inputs.cumsum(0) / len(batch.inputs)
        return np.concatenate([total, np.ones((*total.shape[:2], 1))], -1)

    scored = drawn.mask > 0
    x, targets = features(drawn)[scored], drawn.targets[scored]
    weights = np.linalg.lstsq(x.reshape(-1, x.shape[-1]), targets.reshape(-1, targets.shape[-1]), rcond=None)[0]
    return features(test) @ weights


def section(name: str, found: Mapping[str, Sequence[Result]], score: str) -> str:
    """Write one task's table, and which rows its leading method is better than on how many seeds."""
    rows, said = [], []
    lead = found[LEAD]
    for label, results in found.items():
        noisy = [result.noisy for result in results if result.noisy is not None]
        rates = [result.rate_Hz for result in results if result.rate_Hz is not None]
        rows.append(
            [
                label,
                spread([result.loss for result in results]),
                spread(noisy),
                f"{median(result.score for result in results):.3f}",
                f"{mean(rates):.1f}" if rates else "",
            ]
        )
        if label == LEAD:
            continue
        free = sum(ours.loss < theirs.loss for ours, theirs in zip(lead, results, strict=True))
        text = f"{LEAD} is below {label} on {free} of {len(lead)} seeds noise-free"
        if noisy:
            noise = sum(a.noisy < b.noisy for a, b in zip(lead, results, strict=True) if a.noisy and b.noisy)
            text += f", {noise} of {len(lead)} under noise"
        said.append(text)
    base = TASKS[name]
    head = f"## {name}: hidden {base['network']['hidden']}, batch {base['training']['batch']}, "
    head += f"{base['training']['updates']} updates, lr {base['optimizer']['lr']:g}"
    headers = ["method", "loss, median [range]", "under noise", score, "rate (Hz)"]
    return "\n\n".join([head, table(headers, rows), "\n".join(f"- {line}" for line in said)])


def main() -> None:
    """Train all methods on all tasks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="how many (default %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default %(default)s)")
    parser.add_argument("--backend", default="lif", choices=("lif", "spiking"), help="default %(default)s")
    parser.add_argument("--workers", type=int, default=2, help="processes (default %(default)s)")
    parser.add_argument("--tasks", default=",".join(TASKS), help="separated by semicolons; default all")
    options = parser.parse_args()
    names = list(TASKS) if options.tasks == parser.get_default("tasks") else options.tasks.split(";")
    seeds = range(options.first, options.first + options.seeds)
    jobs = [(name, method, seed) for name in names for method in METHODS for seed in seeds]
    found: dict[str, dict[str, list[Result]]] = {name: {} for name in names}
    with ProcessPoolExecutor(options.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for i, ((name, method, _), result) in enumerate(
            zip(jobs, pool.map(partial(trained, backend=options.backend), jobs), strict=True), 1
        ):
            found[name].setdefault(method.label, []).append(result)
            print(f"\r{i} of {len(jobs)} runs", end="", file=sys.stderr, flush=True)
        keys = [(name, seed) for name in names for seed in seeds]
        for (name, _), of_seed in zip(keys, pool.map(partial(controls, backend=options.backend), keys), strict=True):
            for label, result in of_seed.items():
                found[name].setdefault(label, []).append(result)
    print(file=sys.stderr)
    score = {"sine": "nrmse", "mackey_glass": "nrmse"}
    notes = (
        f"Backend {options.backend}, seeds {seeds[0]} .. {seeds[-1]}, steps of 1 ms, profile ideal, Adam with a cosine "
        "schedule, in training white noise of sigma .5 on the units and .1 on the outputs. Losses on held-out "
        "sequences (delayed_match and sine have none but those of training), noise-free and under that noise; the "
        "score is noise-free. ANP and NP with K=4: 8 passes an update. Ridge: the readout of the untrained network, "
        "fitted noise-free to 2560 sequences. Linear in the summed inputs: least squares from the sum of each input "
        "so far (of digits: from the pixels, not their spikes)."
    )
    body = "\n\n".join([notes, *(section(name, found[name], score.get(name, "accuracy")) for name in names)])
    keep("spiking_tasks", "Spiking units on other tasks", body)


if __name__ == "__main__":
    main()
