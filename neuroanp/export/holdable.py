"""What of a network and its inputs the RTL cores cannot hold, before anything is rounded: lists of problems."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from neuroanp.backends.neuron import LIF
from neuroanp.export.checks import spiking_only
from neuroanp.network.network import INPUT, OUTPUT

if TYPE_CHECKING:
    from neuroanp.export.model import Model

ARRAY, LAYER = re.compile(r"w(_[A-Za-z0-9_]{1,60})?"), re.compile(r"[A-Za-z0-9_]{1,60}")
"""Names that a memory of a core can have, and those that its comments can."""


def bad_units(model: Model) -> list[str]:
    """Find units that are no leaky integrate-and-fire units, or that differ within a layer in more than threshold."""
    if not model.spiking:
        return spiking_only(model, "rtl")
    found = [
        f"{layer.name}: units {type(layer.cell).__name__} cannot be expressed in rtl; train with cell lif"
        for layer in model.network.layers
        if not isinstance(layer.cell, LIF)
    ]
    for layer in model.network.layers:
        factors = model.factors.get(layer.name, {})
        differ = [name for name, factor in factors.items() if name != "threshold" and np.ptp(factor)]
        if differ:
            found.append(
                f"{layer.name}: units differ in {', '.join(differ)}, and the core has one for all of a layer; train "
                "without mismatch of the units, or with that of thresholds alone"
            )
    return found


def bad_structure(model: Model) -> list[str]:
    """Find projections that the sequence of a core has no place for, and names that Verilog has none for."""
    found = []
    for p in model.network.projections:
        if p.pre == INPUT and p.post == OUTPUT:
            found.append(f"{p.name}: goes from the input to the output; outputs read spikes of layers alone: leave it")
        elif p.delay and (p.pre == INPUT or p.post == OUTPUT):
            found.append(f"{p.name}: a delay of {p.delay} from the input or to the output; give it 0")
        if p.bias and p.pre == p.post:
            found.append(f"{p.name}: a bias of a layer's own array; give it to the array from below")
        if not ARRAY.fullmatch(p.name):
            found.append(f"projection {p.name!r:.80}: a memory of the core is called w, or w_ and letters, digits or _")
    found += [
        f"layer {layer.name!r:.80}: is not called by letters, digits and _ alone"
        for layer in model.network.layers
        if not LAYER.fullmatch(layer.name)
    ]
    return found


def bad_inputs(model: Model) -> list[str]:
    """Find inputs that are no spikes where they must be, that are not finite, or that give no scale."""
    u = model.inputs
    if not u.size:
        return ["inputs: there are none; export a run with held-out inputs"]
    if not np.isfinite(u).all():
        return [f"inputs: {int((~np.isfinite(u)).sum())} values are not finite; repeat the run"]
    if model.spikes_in and not np.isin(u, (0.0, 1.0)).all():
        odd = float(u[~np.isin(u, (0.0, 1.0))][0])
        return [f"inputs: {odd:g} is neither 0 nor 1; spikes are, use an encoder of spikes or of currents"]
    if not model.spikes_in and not u.any():
        return ["inputs: all are 0, and their largest sets the scale; export a run whose inputs are not silent"]
    return []
