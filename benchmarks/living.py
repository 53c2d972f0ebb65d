"""A month of a chip of phase-change memory that relearns in place, beside one that is left alone.

python benchmarks/living.py [--seeds 5]

Copy 3 is trained on pcm, and on pcm_compensated, by ANP as in examples/copy3.yaml; then the chip lives for 30 days
(`neuroanp live RUN --for '30 d'`): at times that grow from an hour to the end it drifts, does 200 updates of ANP at a
constant rate, and is measured. The rate was chosen on seed 100 (`--tune` prints what those that were tried gave); seeds
0 .. n-1 are reported. Energy is that of relearning, of all times together, beside that of training.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from common import HERE, keep, spread, table, verdict

from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from neuroanp.training.living import Care, live_on

TUNING = 100
RATES = (3e-4, 1e-3, 3e-3)
PROFILES = ("pcm", "pcm_compensated")
LR, UPDATES, LIFE, WITHIN = 1e-3, 200, "30 d", 1.5
Rows = list[dict[str, Any]]


def lives(profile: str, seed: int, rates: tuple[float, ...]) -> list[Rows]:
    """Train one chip, and return what becomes of it at each rate."""
    source = HERE.parent / "examples/copy3.yaml"
    config = configure(source, {"profile": profile, "training.controls": False}, seed=seed)
    with TemporaryDirectory() as store:
        record = launch(config, Path(store))
        found = [live_on(record, Care(LIFE, updates=UPDATES, lr=lr)) for lr in rates]
        for rows in found:
            rows[0]["trained_J"] = record.manifest["ledger"]["energy_J"]
    return found


def main() -> None:
    """Run all seeds and keep the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tune", action="store_true", help="print what the rates that were tried give")
    options = parser.parse_args()
    if options.tune:
        for lr, rows in zip(RATES, lives(PROFILES[0], TUNING, RATES), strict=True):
            print(lr, [round(row["test_loss"], 4) for row in rows], flush=True)
        return
    parts = []
    for profile in PROFILES:
        seeds = []
        for seed in range(options.seeds):
            seeds += lives(profile, seed, (LR,))
            print(profile, seed, [round(row["test_loss"], 4) for row in seeds[-1]], file=sys.stderr, flush=True)
        parts.append(report(profile, seeds))
    keep("living", "A month on phase-change memory", "\n\n".join(parts))


def report(profile: str, seeds: list[Rows]) -> str:
    """Return the table of a profile."""
    rows = []
    for k, row in enumerate(seeds[0]):
        of = {key: [each[k][key] for each in seeds] for key in ("unattended", "before", "test_loss")}
        later = [spread(of[key]) if k else "" for key in ("before", "test_loss")]
        rows.append([row["after"], spread(of["unattended"]), *later])
    heads = ["after", "left alone", f"before {UPDATES} updates", "after them"]
    spent = [sum(row["energy_J"] for row in each) / each[0]["trained_J"] for each in seeds]
    wear = [each[-1]["wear_fraction"] / each[0]["wear_fraction"] for each in seeds]
    ratio = median(each[-1]["test_loss"] / each[1]["test_loss"] for each in seeds)
    claim = f"relearned after {LIFE} the loss is at most {WITHIN} of that of the first hour (median {ratio:.2f})"
    return (
        f"{profile}, rate {LR:g}; test loss, {len(seeds)} seeds, median [lowest .. highest]\n\n{table(heads, rows)}\n\n"
        f"Energy of relearning over that of training: {spread(spent)}; wear of the most worn device over what it was "
        f"after training: {spread(wear)}.\n\n{verdict(claim, ratio <= WITHIN)}"
    )


if __name__ == "__main__":
    main()
