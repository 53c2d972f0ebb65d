"""The paper preset against its equations written out, and against itself in other chunks of time.

python benchmarks/exactness.py [--seeds 3]
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from common import arguments, keep, table, verdict
from plain_anp import equations

from neuroanp.backends.rate import RateBackend
from neuroanp.noise import PassStreams
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure

SMALL: dict[str, Any] = {
    "task": {"name": "copy", "length": 20, "delay": 30, "symbols": 3, "test_size": 1},
    "network": {"hidden": 40},
    "training": {"batch": 6, "chunk": 1000},
    "compute": {"dtype": "float64"},
}
CHUNKS = (1, 3, 7, 64)
PROFILES = ("ideal", "pcm", "rram_hfo2", "smtj_koenders")


def relative(found: Any, exact: Any) -> float:
    """Return the largest difference of any matrix, relative to the matrix's largest number."""
    worst = 0.0
    for name, matrix in exact.items():
        gap = np.abs(np.asarray(found[name]) - np.asarray(matrix)).max()
        worst = max(worst, float(gap / np.abs(np.asarray(matrix)).max()))
    return worst


def against_equations(rule: dict[str, Any], seed: int) -> float:
    """Return how far one update on the ideal chip lies from the equations with the same noise."""
    config = configure({**SMALL, "rule": {"name": "anp", **rule}}, seed=seed)
    trainer = build_trainer(Experiment.of(config))
    context = trainer.lab()
    plan = trainer.learner.plan  # pyright: ignore[reportAttributeAccessIssue]
    noise = trainer.substrate.perturbation(plan, 6, PassStreams(trainer.streams, "train", 0))
    steps = len(context.inputs)
    drawn = [noise.draw(layer, 0, steps) for layer in ("hidden", "output")]
    n_h, n_y = (np.asarray(part) for part in drawn)
    W = {name: np.asarray(matrix) for name, matrix in trainer.substrate.weights.items()}
    u, target, mask = (np.asarray(part) for part in (context.inputs, context.targets, context.mask))
    update = trainer.learner.learn(trainer.learned, context)[1].arrays
    return relative(update, equations(config.rule, W, u, target, mask, n_h, n_y))


def against_chunks(profile: str, seed: int, replay: bool) -> float:
    """Return how far an update cut into chunks lies from the uncut one, at worst."""
    config = configure({**SMALL, "profile": profile}, {"rule": {"name": "anp", "K": 2}}, seed=seed)
    trainer = build_trainer(Experiment.of(config))
    whole = trainer.learner.learn(trainer.learned, trainer.lab())[1].arrays
    worst = 0.0
    for chunk in CHUNKS:
        context = replace(trainer.lab(), backend=RateBackend(config.dt, chunk), memory=0 if replay else 1 << 30)
        worst = max(worst, relative(trainer.learner.learn(trainer.learned, context)[1].arrays, whole))
    return worst


def main() -> None:
    """Print both tables and say which numbers are reached."""
    options = arguments(__doc__ or "")
    seeds = range(options.seeds)
    paper = max(against_equations({"preset": "paper"}, seed) for seed in seeds)
    default = max(against_equations({}, seed) for seed in seeds)
    rows = [["paper preset, its equations", f"{paper:.2g}"], ["default rule, its equations", f"{default:.2g}"]]
    chunked = {(p, r): max(against_chunks(p, seed, r) for seed in seeds) for p in PROFILES for r in (False, True)}
    rows += [
        [f"{profile}, chunks of {CHUNKS} steps{', replayed' if replay else ''}", f"{worst:.2g}"]
        for (profile, replay), worst in chunked.items()
    ]
    claims = [
        verdict(f"paper preset equals the plain loop to {paper:.2g} <= 1e-10 relative", paper <= 1e-10),
        verdict(
            f"chunk size changes the result by {max(chunked.values()):.2g} <= 1e-12", max(chunked.values()) <= 1e-12
        ),
    ]
    body = table(["compared with", "largest relative difference"], rows) + "\n\n" + "\n".join(f"- {c}" for c in claims)
    keep("exactness", "One update, float64: against its equations and against other chunks", body)


if __name__ == "__main__":
    main()
