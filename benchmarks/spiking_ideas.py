"""Temporal XOR with 40 spiking units under telegraph noise: what was tried to bring a scalar loss nearer to BPTT.

python benchmarks/spiking_ideas.py [--seeds 4] [--workers 2]

The method is the best of class S of spiking_echo.py, outputs that infer their errors, with a rate of .03 and gamma 0; a
row changes one thing, or two. Seeds from 100 on, which spiking_echo.py tunes on and does not report: these are leads.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from common import Case, arguments, keep, run_cases, spread, table, values
from spiking_echo import BASE, INFERRED, PASSES, SMTJ, TUNING

START: Mapping[str, Any] = {**INFERRED, **SMTJ, "optimizer.lr": 0.03, "training.updates": PASSES // 2}
IDEAS: tuple[Mapping[str, Any], ...] = (
    {},
    *({"rule.gamma": gamma} for gamma in (0.3, 0.5, 0.7, 0.9)),
    *({"optimizer.lr": lr} for lr in (0.02, 0.05)),
    {"rule.gamma": 0.5, "optimizer.lr": 0.02},
    {"rule.gamma": 0.5, "optimizer.beta1": 0.8},
    *({"optimizer.beta1": beta} for beta in (0.8, 0.95)),
    *({"optimizer.beta2": beta} for beta in (0.99, 0.9995)),
    *({"optimizer.schedule": name} for name in ("linear", "exponential", "constant")),
    {"optimizer.warmup": 100},
    {"optimizer.clip": 1.0},
    *({"rule.damping": damping} for damping in (1e-2, 1e-6)),
    {"rule.norm": "layer"},
    {"rule.readout": "rls"},
    {"rule.activity": "h"},
)


def said(idea: Mapping[str, Any]) -> str:
    """Write what an idea changes.

    >>> said({"rule.gamma": 0.5, "optimizer.lr": 0.02}), said({})
    ('rule.gamma 0.5, optimizer.lr 0.02', 'as it starts')
    """
    return ", ".join(f"{key} {value}" for key, value in idea.items()) or "as it starts"


def cases() -> list[Case]:
    """List what is run, a case an idea."""
    return [Case(said(idea), BASE, {**START, **idea}) for idea in IDEAS]


def main() -> None:
    """Train, and write the table, the lowest median first."""
    options = arguments(__doc__ or "", seeds=4)
    found = run_cases(cases(), options, first=TUNING[0])
    clean, noisy = ({name: values(each, key) for name, each in found.items()}
                    for key in ("test_loss_noise_free", "test_loss"))  # fmt: skip
    order = sorted(found, key=lambda name: median(clean[name]))
    rows = [[name, spread(clean[name]), spread(noisy[name])] for name in order]
    body = table(["what is changed", "loss, noise-free", "under the junctions' noise"], rows)
    keep("spiking_ideas", "Temporal XOR with 40 spiking units under telegraph noise: ideas", body)


if __name__ == "__main__":
    main()
