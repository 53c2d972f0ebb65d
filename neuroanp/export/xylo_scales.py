"""The scales of a Xylo's numbers: what leaves room for the states that a network reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroanp.backends.chip_structure import spans
from neuroanp.backends.xylo_numbers import Array, Peaks, Scales, Wanted, assumed_peaks, scales, wanted_numbers
from neuroanp.errors import InputError
from neuroanp.export.model import Model, reference

if TYPE_CHECKING:
    from neuroanp.network.network import Layer


def scales_of(model: Model) -> Scales:
    """Return the scales of the chip: of a network that learned on it those that it had there.

    Else they leave room for the states that it reaches on its held-out inputs.

    Raises:
        InputError: a unit's weights are too large for its threshold.
    """
    wanted = wanted_numbers(model)
    found = scales(wanted, assumed_peaks(wanted) if model.backend == "xylo" else _peaks(model, wanted))
    largest = [
        np.abs(W).max(1) * found.threshold / 2**shift
        for W, shift in zip((wanted.w_in, wanted.w_rec), found.shifts, strict=False)
    ]
    above = np.maximum(*largest) > 127.5
    problems = [
        f"{_own(model, layer)}: units {bad[:5]} have weights above {127 << 7} thresholds; train with less"
        for layer in model.network.layers
        if (bad := np.flatnonzero(above[spans(model.network)[layer.name]]).tolist())
    ]
    if problems:
        raise InputError("xylo", problems)
    return found


def _own(model: Model, layer: Layer) -> str:
    """Return the name of a layer's own array, or of what feeds it."""
    own = model.network.recurrence(layer.name)
    return own.name if own is not None else ", ".join(p.name for p in model.network.feed(layer.name))


def _peaks(model: Model, wanted: Wanted) -> Peaks:
    """Return what states reach on the network's own inputs.

    At least 4 thresholds, and what one unit gives an output that spikes at every step:
    other inputs may do so.
    """
    traces = reference(model)
    assert traces.s is not None
    currents = model.inputs @ wanted.w_in.T + traces.s @ wanted.w_rec.T
    for now, before in zip(currents[1:], currents, strict=False):
        now += before * wanted.synapse
    peak = np.maximum(4.0, np.maximum(np.abs(traces.v).max((0, 1)), np.abs(currents).max((0, 1))))
    y = np.abs(traces.y - wanted.offset * rise(model)).max((0, 1)) / wanted.output[1]
    y = np.maximum(y, np.abs(wanted.w_out).max(1) / (1.0 - wanted.output[1]))
    return Peaks(peak, y, currents)


def rise(model: Model) -> Array:
    """Return (T, 1, 1): the part of an output's offset that is there after each step."""
    return 1.0 - model.readout_decay ** np.arange(1, len(model.inputs) + 1)[:, None, None]
