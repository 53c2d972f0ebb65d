"""How true echo's update is while it trains: its mean over draws of the noise against the exact gradient.

python benchmarks/echo_gradients.py [--seeds 3] [--updates 2400] [--draws 16]

Each network is trained by echo, and looked at before it, soon after, a quarter of the way on and at its end: the update
of its recurrent array on one batch, its noise drawn anew and again. What the mean of these lacks of the gradient is
bias: lags that are not listened to, and responses that are not the same for all samples and times.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from common import arguments, keep, table, weather

import neuroanp as na
from neuroanp.errors import DivergedError

COPY3 = {"name": "copy", "length": 3, "delay": 3, "symbols": 4}
COPY5 = {"name": "copy", "length": 5, "delay": 10, "symbols": 4}
TANH = {"hidden": 100}
ECHO = {"name": "echo", "lags": 24}
CASES: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]] = {
    "copy3": (COPY3, TANH, ECHO),
    "copy5": (COPY5, TANH, ECHO),
    "copy5, 4 lags": (COPY5, TANH, {**ECHO, "lags": 4}),
    "parity": ({"name": "parity"}, TANH, ECHO),
    "weather": ({}, TANH, ECHO),
    "mackey_glass": ({"name": "mackey_glass"}, TANH, ECHO),
    "copy3, gru": (COPY3, {"layers": [{"cell": "gru", "units": 57}]}, ECHO),
    "copy3, lstm": (COPY3, {"layers": [{"cell": "lstm", "units": 49}]}, ECHO),
}


def looks(updates: int) -> tuple[int, ...]:
    """Return the updates after which a training is looked at."""
    return (0, updates // 48, updates // 4, updates)


def moments(case: str, seed: int, updates: int, draws: int) -> dict[int, Mapping[str, Any]]:
    """Return what was found of the recurrent array at each moment of one training; {}: it diverged."""
    task, network, rule = CASES[case]
    source = {
        "task": dict(task or weather(None)), "network": dict(network), "profile": "ideal", "rule": dict(rule),
        "optimizer": {"lr": 1e-3, "clip": 1.0}, "training": {"updates": updates, "batch": 32}, "seed": seed,
    }  # fmt: skip
    try:
        found = na.diagnose(source, at=looks(updates), K=1, draws=draws, progress=False)
    except DivergedError:
        return {}
    return {row["update"]: row for row in found.table() if row["array"] == "w"}


def spread(rows: Sequence[Mapping[str, Any]], key: str) -> str:
    """Write median [lowest .. highest] of a number that all rows have, with two digits."""
    numbers = [row[key] for row in rows]
    if not numbers or None in numbers:
        return "-"
    return f"{median(numbers):.2f} [{min(numbers):.2f} .. {max(numbers):.2f}]"


def main() -> None:
    given = arguments(__doc__ or "", updates=2400, draws=16)
    lines = []
    for case in CASES:
        runs = [moments(case, seed, given.updates, given.draws) for seed in range(given.seeds)]
        print(case, file=sys.stderr)
        for update in looks(given.updates):
            rows = [run[update] for run in runs if run]
            lost = f" ({given.seeds - len(rows)} diverged)" if len(rows) < given.seeds else ""
            numbers = [spread(rows, key) for key in ("mean_cosine", "cosine", "scale")]
            lines.append([case + lost, f"{update}", *numbers])
    heads = ["network", "update", "cosine of the mean update", "of single updates", "scale"]
    about = (
        "Rule echo, 24 lags unless said, K=1, readout delta; Adam, rate 1e-3, cosine, clip 1; hidden 100 (gru 57, lstm "
        f"49), batch 32, profile ideal; {given.seeds} seeds, {given.draws} draws each: median [lowest .. highest]. "
        "Scale: the mean update along the gradient, over the gradient."
    )
    keep("echo_gradients", "Echo: how true the update of the recurrent array is", f"{about}\n\n{table(heads, lines)}")


if __name__ == "__main__":
    main()
