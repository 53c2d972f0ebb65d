"""Devices over exact weights: what `benchmarks/device_speed.py` measures."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.speed.scripts import script


def run(quick: bool) -> str:
    """Measure every device, and writes."""
    speed = script("device_speed")
    if speed is None:
        return "Not measured: there is no benchmarks/device_speed.py here."
    if quick:
        parts = [speed.updates([replace(speed.ROWS[0], hidden=16, batch=2)], 2)]
    else:
        parts = [speed.updates(speed.ROWS, 11), speed.writes(11)]
    claims = [f"- {claim}" for _, said in parts for claim in said]
    return "\n\n".join([*(body for body, _ in parts), "\n".join(claims)])
