"""Learning on stochastic junctions beside backpropagation: accuracy by network, noise and task; loss: cross-entropy.

python benchmarks/smtj.py [--only digits|noises|sequences|mnist] [--seeds 5] [--mnist FOLDER] [--cell FILE]

The rule is preset smtj of anp, class S: two passes, both noisy, a scalar loss. Learning rates are chosen on seeds 100
and 101, out of those in RATES, by median accuracy (sequences and mnist: on 100 alone; noises: one rate for all); seeds
from 200 on are reported (of MNIST the paper's own, 42 on).
Both sides of a comparison have one network, one loss, batches of one size, Adam with cosine decay and as many updates,
unless a row says otherwise; an update of the rule shows its batch twice. Test accuracies are read under the noise of
the profile; what is added on purpose is left out then.

digits      8 x 8 digits, a still image for one step; feed-forward, one and three hidden layers of 100 leaky ReLU units.
noises      the same at a smaller budget, under each kind of noise, all with sigma about .02.
sequences   permuted sequential digits, a pixel a step: one recurrent layer of 100; squared error, with ridge controls.
mnist       all of MNIST from IDX files (FOLDER), three hidden layers of 500 leaky ReLU units, one epoch.

FILE is a measured trace that is replayed beside the synthetic one; see `measured`.
"""

from __future__ import annotations

import argparse
import gzip
from argparse import Namespace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from common import HERE, Case, keep_parts, run_cases, spread, table, values, verdict

TUNING, REPORTED, OF_PAPER = 100, 200, 42
WITHIN, SIGMA, UPDATES = 0.02, 0.02, 800
RATES = {"anp": (4e-3, 8e-3, 1.6e-2), "bptt": (1e-3, 3e-3, 1e-2)}
SEQUENCE_RATES = {"anp": (3e-4, 1e-3, 2e-3), "bptt": (1e-3, 3e-3, 1e-2)}
MNIST_RATES = {"anp": (4e-3, 8e-3, 1.6e-2), "bptt": (1e-3, 3e-3)}
NOISES_LR = 8e-3
HEADINGS = {
    "digits": "8 x 8 digits: junctions alone against backpropagation",
    "noises": "8 x 8 digits: noises",
    "sequences": "Permuted sequential digits, recurrent",
    "mnist": "MNIST, 3 x 500 units",
}
QUIET = {"controls": False, "evaluate_every": 10_000, "checkpoint_every": 10_000, "log_every": 1000}
STILL = {"name": "digits", "mode": "rates", "steps": 1, "window": 1, "loss": "cross_entropy"}
BASE: dict[str, Any] = {
    "task": STILL,
    "network": {"bias": True},
    "training": {**QUIET, "updates": UPDATES, "batch": 512},
}
RULE = {"rule": {"name": "anp", "preset": "smtj", "decorrelation": {"lr": 1e-3}}, "optimizer.schedule": "cosine"}
"""The preset, with a rate of decorrelation for a thousand updates instead of the paper's two million."""
BP = {"rule": "bptt", "optimizer.schedule": "cosine"}
JUNCTIONS = {"profile": "smtj_koenders"}
RECORDED = HERE.parent / "examples/data/recorded_trace.yaml"


def layers(count: int, units: int = 100, cell: str = "leaky_relu") -> dict[str, Any]:
    """Return feed-forward layers as an override."""
    return {"network.layers": [{"cell": cell, "units": units, "recurrent": False}] * count}


NETWORKS = {"64-100-10": layers(1), "64-100-100-100-10": layers(3)}


def accuracies(found: list[dict[str, Any] | None]) -> list[float]:
    """Return the test accuracy of each seed; a run that failed counts 0."""
    return [0.0 if accuracy == float("inf") else accuracy for accuracy in values(found, "score")]


def percent(numbers: list[float]) -> str:
    """Write median [lowest .. highest] in per cent."""
    return f"{100 * median(numbers):.1f} [{100 * min(numbers):.1f} .. {100 * max(numbers):.1f}]"


def tuned(
    rows: dict[str, dict[str, Any]], options: Namespace, base: dict[str, Any] = BASE, rates: Any = RATES, seeds: int = 2
) -> dict[str, float]:
    """Return the learning rate of the highest median accuracy of each row on seeds that are not reported."""
    tried = {
        (label, lr): Case(f"{label}, {lr:g}", base, {**row, "optimizer.lr": lr})
        for label, row in rows.items()
        for lr in rates["bptt" if row["rule"] == "bptt" else "anp"]
    }
    found = run_cases([*tried.values()], Namespace(**{**vars(options), "seeds": seeds}), TUNING)
    reached = {key: median(accuracies(found[case.label])) for key, case in tried.items()}
    return {label: max((key for key in tried if key[0] == label), key=reached.__getitem__)[1] for label in rows}


def digits(options: Namespace) -> str:
    """Compare the rule under the junctions' noise alone with BP on both networks."""
    rows: dict[str, dict[str, Any]] = {}
    for network, of_network in NETWORKS.items():
        rows[f"{network}, BP"] = {**of_network, **BP}
        rows[f"{network}, rule"] = {**of_network, **RULE, **JUNCTIONS}
    best = tuned(rows, options)
    found = run_cases([Case(k, BASE, {**row, "optimizer.lr": best[k]}) for k, row in rows.items()], options, REPORTED)
    reached = {label: accuracies(found[label]) for label in rows}
    lines, said = [], []
    for network in NETWORKS:
        for who, feedback, passes in (("BP", "BP", 1), ("rule", "S", 2)):
            label = f"{network}, {who}"
            name = "backpropagation, exact" if who == "BP" else "anp, smtj; smtj_koenders"
            lines.append([network, name, feedback, f"{best[label]:g}", str(UPDATES * passes), percent(reached[label])])
        gap = median(reached[f"{network}, BP"]) - median(reached[f"{network}, rule"])
        said.append(verdict(f"{network}: the rule's median is {100 * gap:.1f} points below BP's (<= 2)", gap <= WITHIN))
    heads = ["network", "method; noise", "class", "lr", "passes", "test accuracy, %"]
    return table(heads, lines) + "\n\n" + "\n".join(f"- {line}" for line in said)


def noise_rows(options: Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    """List the noises: what a run has for each."""
    rows = {
        name: {"perturbation": {"name": name, "sigma": SIGMA}}
        for name in ("gaussian", "bernoulli", "centred_bernoulli")
    }
    rows |= {f"telegraph, {name}": {"profile": name} for name in ("smtj_koenders", "smtj_telegraph")}
    rows["recorded trace, synthetic"] = {"profile": str(RECORDED)}
    if options.cell is not None:
        rows["recorded trace, measured on a resistive cell"] = {"profile": str(measured(options.cell, folder))}
    return rows


def measured(record: Path, folder: Path) -> Path:
    """Write a profile whose units are driven by a measured trace, one sample a step, with a standard deviation of .02.

    Args:
        record: techA_tsdata.min.tsv.gz of github.com/akashlevy/RRAM-Relaxation-Master-Model (MIT): rows of level, cell
            and conductances at 400 Hz in siemens; the last row is taken, as the voltage that .1 V drives over 10 kohm.
    """
    with gzip.open(record, "rt", encoding="ascii") as file:
        *_, last = file
    volts = 0.1 * 1e4 * np.array(last.split("\t")[2:], dtype=float)
    np.savez(folder / "cell.npz", voltage_V=volts)
    (folder / "cell.yaml").write_text(
        "extends: smtj_koenders\n"
        "meta: {name: measured_cell, summary: a trace, source: RRAM-Relaxation-Master-Model, status: measured}\n"
        "stochastic: {law: measured, file: cell.npz, sampling_time: 1 us, mode: replay, n_sources: 1, kappa: 1, "
        f"volts_per_unit: {volts.std() / SIGMA:.6g} V}}\n"
    )
    return folder / "cell.yaml"


def noises(options: Namespace) -> str:
    """Train both networks under each noise, at one rate for all."""
    base = {**BASE, "training": {**QUIET, "updates": 300, "batch": 256}}
    with TemporaryDirectory() as folder:
        rows = noise_rows(options, Path(folder))
        cases = [
            Case(f"{noise}, {network}", base, {**of_network, **RULE, **row, "optimizer.lr": NOISES_LR})
            for noise, row in rows.items()
            for network, of_network in NETWORKS.items()
        ]
        found = run_cases(cases, options, REPORTED)
    lines = [[noise, *(percent(accuracies(found[f"{noise}, {network}"])) for network in NETWORKS)] for noise in rows]
    said = f"300 updates of 256 images; learning rate {NOISES_LR:g} for all. Test accuracy, %."
    return f"{said}\n\n" + table(["noise", *NETWORKS], lines)


def sequences(options: Namespace) -> str:
    """Train the recurrent network on permuted sequential digits, beside BPTT and its ridge control."""
    task = {"name": "digits", "mode": "pixels", "permute": 0}
    training = {**QUIET, "updates": 600, "batch": 64, "controls": True, "frozen": False}
    base = {"task": task, "network": {"hidden": 100, "bias": True}, "training": training}
    rows = {
        "BPTT, exact": {**BP},
        "anp, smtj, decorrelation off; smtj_koenders": {**RULE, "rule.decorrelation": None, **JUNCTIONS},
    }
    best = tuned(rows, options, base, SEQUENCE_RATES, 1)
    cases = [Case(k, base, {**row, "optimizer.lr": best[k]}) for k, row in rows.items()]
    found = run_cases(cases, options, REPORTED)
    lines = []
    for label, each in found.items():
        feedback = "BP" if label.startswith("BPTT") else "S"
        losses = (spread(values(each, key)) for key in ("test_loss", "controls.refit", "controls.ridge"))
        lines.append([label, feedback, f"{best[label]:g}", percent(accuracies(each)), *losses])
    heads = ["method; noise", "class", "lr", "test accuracy, %", "loss", "ridge refit on it", "ridge, untrained"]
    said = f"600 updates of 64 sequences of 64 steps; rates of three were chosen on seed {TUNING}."
    return f"{said}\n\n" + table(heads, lines)


def mnist(options: Namespace) -> str:
    """Train the paper's network on MNIST for one epoch, at the paper's rates and at rates for that, beside BP."""
    task = {
        "name": "mnist",
        "path": str(options.mnist.resolve()),
        "mode": "rates",
        "loss": "cross_entropy",
        "test_size": 10_000,
    }
    base = {"task": task, "network": {"bias": True}, "training": {**QUIET, "updates": 937, "batch": 64}}
    base["network"] |= {"layers": layers(3, 500, "leaky_relu")["network.layers"]}
    preset = {"rule": {"name": "anp", "preset": "smtj"}, **JUNCTIONS}
    chosen = {"BP, exact": BP, "anp, smtj": {**RULE, **JUNCTIONS}}
    best = tuned(chosen, options, base, MNIST_RATES, 1)
    rows = {
        "BP, exact; the paper's forward rate": {
            "rule": "bptt",
            "optimizer.schedule": "constant",
            "optimizer.lr": 4.8828e-5,
        },
        "anp, smtj; the paper's rates": preset,
        **{f"{label}; {best[label]:g}, cosine": {**row, "optimizer.lr": best[label]} for label, row in chosen.items()},
    }
    found = run_cases([Case(k, base, row) for k, row in rows.items()], options, OF_PAPER)
    lines = [
        [label, "BP" if label.startswith("BP") else "S", percent(accuracies(each))] for label, each in found.items()
    ]
    said = (
        "937 updates of 64 images, one epoch where the paper has 2,500; seeds 42 on; junctions of smtj_koenders, "
        f"10,000 test images. The paper's rates are for its 2,500 epochs; others were chosen on seed {TUNING}, of "
        f"{', '.join(f'{lr:g}' for lr in MNIST_RATES['bptt'])} (BP) and "
        f"{', '.join(f'{lr:g}' for lr in MNIST_RATES['anp'])} (rule, with a rate of decorrelation of 1e-3)."
    )
    return said + "\n\n" + table(["method", "class", "test accuracy, %"], lines)


def main() -> None:
    """Run one part or all, and keep the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[*HEADINGS])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--mnist", type=Path, help="folder of the four IDX files; without it that part is left out")
    parser.add_argument("--cell", type=Path, help="techA_tsdata.min.tsv.gz; without it that row is left out")
    options = parser.parse_args()
    if options.only == "mnist" and options.mnist is None:
        parser.error("--only mnist needs --mnist FOLDER")
    parts = {"digits": digits, "noises": noises, "sequences": sequences, "mnist": mnist}
    for name, part in parts.items():
        if options.only in (None, name) and (name != "mnist" or options.mnist is not None):
            keep_parts(
                "smtj", "Learning on stochastic junctions", {HEADINGS[name]: part(options)}, [*HEADINGS.values()]
            )


if __name__ == "__main__":
    main()
