"""Temporal XOR with 40 spiking units: echo, outputs that know their errors and surrogate BPTT at equal passes.

python benchmarks/spiking_echo.py [--seeds 8] [--workers 2]

An update of BPTT counts two passes. BPTT is also shown with the 200 updates and the rate at which it came out best in
spiking_learning.py; rates of the others were chosen on seeds 0 and 1, which are not reported (seeds here: 200 on).
"""

from __future__ import annotations

from statistics import median
from typing import Any

from common import Case, arguments, keep, run_cases, spread, table, values, verdict

PASSES = 6400
BASE: dict[str, Any] = {
    "task": {"name": "xor"}, "network": {"hidden": 40}, "backend": "lif",
    "training": {"batch": 8, "controls": False},
}  # fmt: skip
ECHO = {"rule.name": "echo", "rule.lags": 60, "rule.eta": 1.0, "rule.difference": "activity", "rule.K": 3}
TOLD = {"rule.name": "anp", "rule.reference": "mean", "rule.readout": "delta", "rule.K": 3}
SMTJ = {"profile": "smtj_koenders"}
BEST = "surrogate BPTT, 200 updates"


def rows() -> list[tuple[str, str, int, dict[str, Any]]]:
    """List the methods: name, class, passes of an update, settings with the number of updates."""
    bptt, rate = {"rule": "bptt", "optimizer.lr": 3e-2}, {"optimizer.lr": 1e-2}
    anp = {"rule.name": "anp", "rule.K": 16, **rate}
    return [
        (BEST, "BP", 2, {**bptt, "training.updates": 200}),
        ("surrogate BPTT", "BP", 2, {**bptt, "training.updates": PASSES // 2}),
        ("echo + ANP", "E", 4, {**ECHO, **rate, "training.updates": PASSES // 4}),
        ("ANP, errors told", "S+", 4, {**TOLD, **rate, "training.updates": PASSES // 4}),
        ("ANP, K=16", "S", 32, {**anp, "training.updates": PASSES // 32}),
        ("echo + ANP, smtj_koenders", "E", 4, {**ECHO, **rate, **SMTJ, "training.updates": PASSES // 4}),
        ("ANP, errors told, smtj_koenders", "S+", 4, {**TOLD, **rate, **SMTJ, "training.updates": PASSES // 4}),
        ("ANP, K=16, smtj_koenders", "S", 32, {**anp, **SMTJ, "training.updates": PASSES // 32}),
    ]


def main() -> None:
    """Train, write the table, and say whether echo comes within 1.5 times of BPTT."""
    options = arguments(__doc__ or "", seeds=8)
    methods = rows()
    cases = [Case(label, BASE, settings) for label, _, _, settings in methods]
    found = run_cases(cases, options, first=200)
    lines, losses = [], {}
    for label, feedback, passes, settings in methods:
        losses[label] = values(found[label], "test_loss_noise_free" if "profile" in settings else "test_loss")
        noisy = spread(values(found[label], "test_loss")) if "profile" in settings else ""
        updates = settings["training.updates"]
        lines.append([label, feedback, str(updates), str(updates * passes), spread(losses[label]), noisy])
    heads = ["method", "class", "updates", "passes", "loss, noise-free", "under the junctions' noise"]
    claims = []
    for label in ("echo + ANP", "echo + ANP, smtj_koenders"):
        for other in (BEST, "surrogate BPTT"):
            ratio = median(losses[label]) / median(losses[other])
            claims.append(verdict(f"{label} at {ratio:.2g} times the loss of {other} (<= 1.5)", ratio <= 1.5))
    body = table(heads, lines) + "\n\n" + "\n".join(f"- {claim}" for claim in claims)
    keep("spiking_echo", "Temporal XOR with 40 spiking units: echo", body)


if __name__ == "__main__":
    main()
