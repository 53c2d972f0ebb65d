"""Mackey-Glass 15 steps ahead: where a ridge readout on the untrained network is hard to beat.

python benchmarks/mackey_glass.py [--seeds 3]
"""

from __future__ import annotations

from typing import Any

from common import Case, against_ridge, arguments, keep, run_cases, spread, table, values

AHEAD: dict[str, Any] = {
    "task": {"name": "mackey_glass", "horizon": 15, "steps": 60},
    "network": {"hidden": 100},
    "profile": "ideal",
    "training": {"updates": 1000, "batch": 32, "evaluate_every": 100},
}
QUICK = {"training.controls": False}


def main() -> None:
    """Run the table and say in words which method beats the ridge readout of the same seed."""
    options = arguments(__doc__ or "")
    anp = {"rule.reference": "mean", "rule.K": 15, "optimizer.lr": 2e-3, "optimizer.clip": 1.0}
    lead = "ANP mean K=15, innovation, gamma .9"
    cases = [
        Case(lead, AHEAD, {**anp, "rule.difference": "innovation", "rule.gamma": 0.9}),
        Case("ANP mean K=15, activity, gamma .8", AHEAD, {**anp, "rule.gamma": 0.8, **QUICK}),
        Case("BPTT", AHEAD, {"rule.name": "bptt", "optimizer.lr": 3e-3, **QUICK}),
        Case("BPTT, 1 step", AHEAD, {"rule.name": "bptt1", "optimizer.lr": 3e-3, **QUICK}),
    ]
    found = run_cases(cases, options)
    ridge = values(found[lead], "controls.ridge")
    rows, words = [], []
    for case in cases:
        losses = values(found[case.label], "test_loss")
        below = sum(loss < control for loss, control in zip(losses, ridge, strict=True))
        rows.append([case.label, spread(losses), f"{below} of {len(ridge)}"])
        words.append(against_ridge(case.label, losses, ridge))
    for name in ("ridge", "lagged_linear", "persistence", "frozen_recurrence", "constant_mean"):
        rows.append([f"control: {name}", spread(values(found[lead], f"controls.{name}")), ""])
    body = table(["method", "test loss, median [range]", "below ridge"], rows)
    body += "\n\n" + "\n".join(f"- {line}" for line in words)
    keep("mackey_glass", "Mackey-Glass, 15 ahead, hidden 100, batch 32, 1000 updates, profile ideal", body)


if __name__ == "__main__":
    main()
