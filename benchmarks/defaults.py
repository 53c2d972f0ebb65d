"""What runs where no rule is named (ANP, outputs that infer their errors) beside plain ANP, on several devices.

python -m benchmarks.defaults [--seeds 3] [--workers 2]

Both with every option at its default, thus the same 1,000 updates of two passes. The leads that the default was chosen
by are of other seeds (100, 101). Beside them the default with the ridge that rules have of their own: outputs whose
weights grow large make much of errors of writing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.common import Case, arguments, keep, run_cases, spread, table, values, verdict
from benchmarks.rules.claims import below, times
from neuroanp.learning.readouts import RIDGE

TASKS = ("copy", "digits", "mackey_glass")
PROFILES = ("ideal", "pcm", "smtj_koenders", "ecram", "rram_hfo2")
RULES: Mapping[str, Mapping[str, Any]] = {
    "where none is named": {},
    "plain ANP": {"rule": "anp"},
    f"with a ridge of {RIDGE:g}": {"rule": {"preset": "inferred", "ridge": RIDGE}},
}
USUAL, PLAIN, SMALL = RULES


def cases() -> list[Case]:
    """List what is run: each task on each device by both rules, without a control that is a training of its own."""
    return [
        Case(f"{task}, {profile}, {label}", {"task": task, "profile": profile},
             {**rule, "training": {"controls": False}})
        for task in TASKS for profile in PROFILES for label, rule in RULES.items()
    ]  # fmt: skip


def body(found: Mapping[str, Sequence[Mapping[str, Any] | None]]) -> str:
    """Write the table, and on how many devices of each task the default is ahead.

    Args:
        found: results a seed, by the label of the case.
    """
    rows, claims = [], list[str]()
    for task in TASKS:
        ahead = 0
        for profile in PROFILES:
            usual, plain, small = (values(found[f"{task}, {profile}, {label}"], "test_loss") for label in RULES)
            counts = below(usual, plain)
            ahead += 2 * counts > len(usual)
            counted = f"{counts} of {len(usual)}"
            rows.append([task, profile, spread(small), spread(usual), spread(plain), times(usual, plain), counted])
        claim = f"{task}: below plain ANP on most seeds on {ahead} of {len(PROFILES)} devices"
        claims.append(verdict(claim, ahead == len(PROFILES)))
    heads = ["task", "device", SMALL, USUAL, PLAIN, "ratio", "seeds below"]
    return "\n".join([table(heads, rows), "", *(f"- {claim}" for claim in claims)])


def main() -> None:
    """Train, and write the table."""
    options = arguments(__doc__ or "")
    keep("defaults", "The rule where none is named", body(run_cases(cases(), options)), "benchmarks.defaults")


if __name__ == "__main__":
    main()
