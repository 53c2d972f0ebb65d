"""A step of spiking units: Brian2, the twin in torch, the compiled loop, and other simulators where installed.

200 steps of the same random network and noisy currents (`benchmarks/spiking_speed.py`), forward alone. The peers are
their own recurrent leaky integrate-and-fire units of the same number, with dense weights and the same currents; their
spikes are not ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from statistics import median
from typing import Any

import torch

from benchmarks.common import table, verdict
from benchmarks.speed.peers import PEERS
from benchmarks.speed.scripts import script
from benchmarks.speed.timing import Side, in_turn, middle, ratios, short

SIZES = ((100, 1), (100, 64), (300, 16), (1000, 1), (1000, 16))
TINY = ((10, 2),)
BRIAN, LOOP, TWIN = "Brian2 fast loop", "compiled loop", "twin"
LEAST = 2.0


def compiled_population() -> Any:
    """Return the class of the compiled loop's units, or None where there is none."""
    if find_spec("neuroanp.backends.compiled_lif") is None:
        return None
    from importlib import import_module

    return import_module("neuroanp.backends.compiled_lif").CompiledPopulation


def sides(network: Any) -> dict[str, Side]:
    """Return a presentation by each simulator."""
    brian, twin, compiled = network.brian(loop="fast"), network.twin(), compiled_population()
    found: dict[str, Side] = {BRIAN: lambda _: network.present(brian), TWIN: lambda _: network.present(twin)}
    if compiled is not None:
        population = compiled(network.step, network.rows)
        found[LOOP] = lambda _: network.present(population)
    for name, made in PEERS.items():
        if find_spec(name) is not None:
            peer = made(network.current, network.recurrence.wt)
            found[name] = lambda _, peer=peer: peer()
    return found


def run(quick: bool) -> str:
    """Measure every size."""
    speed, rows, claims = script("spiking_speed"), [], []
    names = [BRIAN, TWIN, *([] if compiled_population() is None else [LOOP]), *filter(find_spec, PEERS)]
    with torch.no_grad():
        for units, copies in TINY if quick else SIZES:
            network = speed.Network(units, copies, torch.float32)
            times = in_turn(sides(network), 0 if quick else 5)
            cells = [short(median(times[name]) / speed.STEPS * 1e6) for name in names]
            rows.append([f"{units} x {copies}", *cells, *_compared(times)])
            if LOOP in times:
                found = median(ratios(times[BRIAN], times[LOOP]))
                claim = f"{units} x {copies}: the compiled loop is {found:.2f} times faster than Brian2, >= {LEAST:g}"
                claims.append(verdict(claim, found >= LEAST))
            print(*rows[-1], flush=True)
    if not claims:
        claims = [verdict("a compiled loop of events: there is none here", False)]
    said = [f"not installed: {name}" for name in PEERS if name not in names]
    head = ["N x R", *(f"{name} (us a step)" for name in names), "Brian2 / twin [middle half]", "Brian2 / compiled"]
    return table(head, rows) + "\n\n" + "\n".join(f"- {line}" for line in [*claims, *said])


def _compared(times: Mapping[str, list[float]]) -> list[str]:
    return [middle(ratios(times[BRIAN], times[name])) if name in times else "-" for name in (TWIN, LOOP)]
