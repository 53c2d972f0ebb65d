"""Every cell, one and two layers: how true ANP's mean update is, and whether the recurrence learns.

python benchmarks/cells.py [--seeds 3] [--draws 100] [--only gradients]

The first part, minutes: cosine of the mean update of many draws to the gradient that it estimates, array by array, in
small untrained networks (cell_gradients.py). The second, `--only learning`: copy 5 and temporal XOR against the
network's own controls; as many units as have about the parameters of 100 tanh units in one layer. The constants of
gates and the learning rates were tuned on seed 10, which is not reported.
"""

from __future__ import annotations

import argparse
from typing import Any

from cell_gradients import layers, of_rates, of_spikes
from common import Case, against_ridge, arguments, keep_parts, run_cases, spread, table, values, verdict

GRU: dict[str, Any] = {"name": "gru", "r_bias": 4.0, "z_bias": -4.0}
"""Gates that stand so that the unit begins as a tanh unit: the reset gate open, nothing of the step before kept."""
LSTM: dict[str, Any] = {"name": "lstm", "i_bias": 3.0, "f_bias": -2.0, "o_bias": 3.0}
COPY5: dict[str, Any] = {
    "task": {"name": "copy", "length": 5, "delay": 10, "symbols": 4}, "profile": "ideal",
    "training": {"updates": 600, "batch": 32}, "rule": {"name": "anp", "reference": "mean", "K": 15},
}  # fmt: skip
XOR: dict[str, Any] = {
    "task": "xor", "profile": "ideal", "backend": "lif", "training": {"updates": 600, "batch": 32},
    "rule": {"name": "anp", "reference": "mean", "K": 15},
}  # fmt: skip


def gradients(options: argparse.Namespace) -> str:
    """Return the tables of how true the mean update is, and the claims."""
    spiking, claims = of_spikes(options)
    return "\n\n".join([of_rates(options.draws), spiking, listed(claims)])


def learning(options: argparse.Namespace) -> str:
    """Return the table of what learns, and the claims."""
    cases = [
        Case("tanh 100", {**COPY5, "network": {"hidden": 100}}, {"optimizer.lr": 2e-3}),
        Case("tanh 57 + 57", {**COPY5, "network": layers("tanh", 57, 57)}, {"optimizer.lr": 2e-3}),
        Case("gru 57", {**COPY5, "network": layers(GRU, 57)}, {"optimizer.lr": 5e-3}),
        Case("lstm 49", {**COPY5, "network": layers(LSTM, 49)}, {"optimizer.lr": 5e-3}),
        *(
            Case(f"{case}, BPTT", {**COPY5, "network": network}, {"rule": "bptt", "optimizer.lr": rate})
            for case, network, rate in (
                ("tanh 57 + 57", layers("tanh", 57, 57), 2e-3), ("gru 57", layers(GRU, 57), 5e-3),
                ("lstm 49", layers(LSTM, 49), 5e-3),
            )
        ),
        Case("xor: lif 40 + 40", {**XOR, "network": layers("lif", 40, 40)}, {}),
    ]  # fmt: skip
    found = run_cases(cases, options)
    rows, claims = [], []
    for case in cases:
        losses, ridge = values(found[case.label], "test_loss"), values(found[case.label], "controls.ridge")
        every = values(found[case.label], "controls.ridge_all")
        seen = "-" if float("inf") in every else spread(every)
        score = spread(values(found[case.label], "score"))
        frozen = spread(values(found[case.label], "controls.frozen_recurrence"))
        rows.append([case.label, spread(losses), score, spread(ridge), seen, frozen])
        if "BPTT" in case.label:
            continue
        if case.label.startswith("xor"):
            scores = values(found[case.label], "score")
            claims.append(
                verdict(f"{case.label}: accuracy {spread(scores)}, >= .95 on every seed", min(scores) >= 0.95)
            )
            continue
        below = sum(loss < control for loss, control in zip(losses, ridge, strict=True))
        claims.append(
            verdict(f"{case.label}: below its own ridge control in {below} of {len(ridge)}", below == len(ridge))
        )
        claims.append(against_ridge(case.label, losses, ridge))
    heads = ["network", "test loss", "score", "its ridge", "ridge, all layers", "frozen recurrence"]
    return f"{table(heads, rows)}\n\n{listed(claims)}"


def listed(claims: list[str]) -> str:
    """Write claims one a line."""
    return "\n".join(f"- {claim}" for claim in claims)


PARTS = {
    "gradients": ("Cosine of the mean update to the gradient", gradients),
    "learning": ("What learns: copy 5 (600 updates, 16 passes of the mean), temporal XOR", learning),
}


def main() -> None:
    """Print the parts asked for and say which numbers are reached."""
    options = arguments(__doc__ or "", only=tuple(PARTS), draws=100)
    asked = [options.only] if options.only else list(PARTS)
    found = {title: part(options) for title, part in (PARTS[name] for name in asked)}
    keep_parts("cells", "Cells: profile ideal, batch 32", found, [title for title, _ in PARTS.values()])


if __name__ == "__main__":
    main()
