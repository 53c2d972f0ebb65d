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
RULES = {"anp": 1e-3, "echo": 1e-3}
UPDATES, LIFE, WITHIN = 200, "30 d", 1.5
Rows = list[dict[str, Any]]


def lives(seed: int, cares: dict[str, Care]) -> dict[str, Rows]:
    """Train one chip, and return what becomes of it under each care."""
    config = configure(HERE.parent / "examples/copy3.yaml", {"profile": "pcm", "training.controls": False}, seed=seed)
    with TemporaryDirectory() as store:
        record = launch(config, Path(store))
        found = {label: live_on(record, care) for label, care in cares.items()}
        for rows in found.values():
            rows[0]["trained_J"] = record.manifest["ledger"]["energy_J"]
    return found


def main() -> None:
    """Run all seeds and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tune", action="store_true", help="print what the rates that were tried give")
    options = parser.parse_args()
    if options.tune:
        cares = {f"{rule} {lr:g}": Care(LIFE, updates=UPDATES, lr=lr, rule=rule) for rule in RULES for lr in RATES}
        for label, rows in lives(TUNING, cares).items():
            print(label, [round(row["test_loss"], 4) for row in rows], flush=True)
        return
    cares = {rule: Care(LIFE, updates=UPDATES, lr=lr, rule=rule) for rule, lr in RULES.items()}
    found: dict[str, list[Rows]] = {rule: [] for rule in RULES}
    for seed in range(options.seeds):
        for rule, rows in lives(seed, cares).items():
            found[rule].append(rows)
            print(rule, seed, [round(row["test_loss"], 4) for row in rows], file=sys.stderr, flush=True)
    keep("living", "A month on phase-change memory", report(found))


def report(found: dict[str, list[Rows]]) -> str:
    """Return the tables of all seeds."""
    parts = []
    for rule, seeds in found.items():
        rows = []
        for k, row in enumerate(seeds[0]):
            of = {key: [each[k][key] for each in seeds] for key in ("unattended", "before", "test_loss")}
            later = [spread(of[key]) if k else "" for key in ("before", "test_loss")]
            rows.append([row["after"], spread(of["unattended"]), *later])
        heads = ["after", "left alone", f"before {UPDATES} updates", "after them"]
        spent = [sum(row["energy_J"] for row in each) / each[0]["trained_J"] for each in seeds]
        wear = [each[-1]["wear_fraction"] / each[0]["wear_fraction"] for each in seeds]
        ratio = [each[-1]["test_loss"] / each[1]["test_loss"] for each in seeds]
        claim = f"after {LIFE} the loss is at most {WITHIN} of that of the first hour (median {median(ratio):.2f})"
        parts.append(
            f"{rule}, rate {RULES[rule]:g}; test loss, {len(seeds)} seeds, median [lowest .. highest]\n\n"
            f"{table(heads, rows)}\n\nenergy of relearning over that of training: {spread(spent)}; wear of the most "
            f"worn device over that of training: {spread(wear)}\n\n{verdict(claim, median(ratio) <= WITHIN)}"
        )
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
