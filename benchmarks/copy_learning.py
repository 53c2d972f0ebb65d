"""Does the recurrence learn? Copy 3 (a regression check) and copy 5 (where a ridge readout fails).

python benchmarks/copy_learning.py [--seeds 3]
"""

from __future__ import annotations

from statistics import median
from typing import Any

from common import Case, against_ridge, arguments, keep, run_cases, spread, table, values, verdict

NETWORK = {"network": {"hidden": 100}, "profile": "ideal"}
COPY3: dict[str, Any] = {**NETWORK, "task": {"name": "copy", "length": 3, "delay": 3, "symbols": 4},
                         "training": {"updates": 1000, "batch": 32}}  # fmt: skip
COPY5: dict[str, Any] = {**NETWORK, "task": {"name": "copy", "length": 5, "delay": 10, "symbols": 4},
                         "training": {"updates": 600, "batch": 32}}  # fmt: skip
QUICK = {"training.controls": False}
PAPER_RATES = (1.0, 3.0, 10.0)


def copy3_cases() -> list[Case]:
    """Plain ANP, the paper preset at three learning rates, the other methods beside them."""
    paper = {"rule.preset": "paper", "optimizer.name": "sgd", "optimizer.schedule": "constant", **QUICK}
    return [
        Case("ANP default", COPY3, {"rule.name": "anp", "optimizer.lr": 1e-3}),
        *(Case(f"ANP paper preset, SGD lr {lr:g}", COPY3, {**paper, "optimizer.lr": lr}) for lr in PAPER_RATES),
        Case("BPTT", COPY3, {"rule.name": "bptt", "optimizer.lr": 3e-3, **QUICK}),
        Case("BPTT, 1 step", COPY3, {"rule.name": "bptt1", "optimizer.lr": 3e-3, **QUICK}),
    ]


def copy5_cases() -> list[Case]:
    """Reference mean with 16 passes, cosine decay; BPTT beside it, and plain ANP at 2 passes."""
    mean = {"rule.reference": "mean", "rule.K": 15, "optimizer.lr": 2e-3}
    return [
        Case("ANP mean K=15", COPY5, mean),
        Case("ANP default (K=1)", COPY5, {"rule.name": "anp", "optimizer.lr": 1e-3, **QUICK}),
        Case("BPTT", COPY5, {"rule.name": "bptt", "optimizer.lr": 3e-3, **QUICK}),
        Case("BPTT, 1 step", COPY5, {"rule.name": "bptt1", "optimizer.lr": 3e-3, **QUICK}),
    ]


def section(title: str, cases: list[Case], found: dict[str, list[Any]], lead: str) -> str:
    """Write one table: the methods, then the controls of the leading one, ratios paired by seed."""
    ridge = values(found[lead], "controls.ridge")
    rows = []
    for case in cases:
        losses, passes = values(found[case.label], "test_loss"), values(found[case.label], "passes")
        below = sum(loss < control for loss, control in zip(losses, ridge, strict=True))
        rows.append([case.label, spread(losses), f"{median(passes):g}", f"{below} of {len(ridge)}"])
    for name in ("ridge", "frozen_recurrence", "constant_mean"):
        rows.append([f"control: {name}", spread(values(found[lead], f"controls.{name}")), "", ""])
    return f"## {title}\n\n" + table(["method", "test loss, median [range]", "passes", "below ridge"], rows)


def main() -> None:
    """Run both tables and say which numbers are reached."""
    options = arguments(__doc__ or "")
    three, five = copy3_cases(), copy5_cases()
    found3, found5 = run_cases(three, options), run_cases(five, options)
    default = median(values(found3["ANP default"], "test_loss"))
    paper = min(median(values(found3[case.label], "test_loss")) for case in three if "paper" in case.label)
    lead = found5["ANP mean K=15"]
    losses, ridge = values(lead, "test_loss"), values(lead, "controls.ridge")
    below = sum(loss < control for loss, control in zip(losses, ridge, strict=True))
    claims = [
        verdict(f"copy 3: default test loss {default:.3g} <= .003", default <= 0.003),
        verdict(f"copy 3: {default / paper:.3g} of the paper preset's {paper:.3g}, <= 1/20", default <= paper / 20),
        verdict(f"copy 5: median test loss {median(losses):.3g} <= .004", median(losses) <= 0.004),
        verdict(
            f"copy 5: below the ridge readout of the same seed in {below} of {len(losses)}: the recurrence learned",
            below == len(losses),
        ),
    ]
    for task, cases, found, first in (
        ("copy 3", three, found3, "ANP default"),
        ("copy 5", five, found5, "ANP mean K=15"),
    ):
        control = values(found[first], "controls.ridge")
        claims += [f"{task}: " + against_ridge(c.label, values(found[c.label], "test_loss"), control) for c in cases]
    body = "\n\n".join(
        [
            section("Copy, length 3, delay 3, 4 symbols, 1000 updates", three, found3, "ANP default"),
            section("Copy, length 5, delay 10, 4 symbols, 600 updates", five, found5, "ANP mean K=15"),
            "\n".join(f"- {claim}" for claim in claims),
        ]
    )
    keep("copy_learning", "Copy: hidden 100, batch 32, profile ideal", body)


if __name__ == "__main__":
    main()
