"""What an exported network takes: units, synapses, time, and how many synapses a step works through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroanp.backends.chip_structure import spans
from neuroanp.network.network import INPUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from neuroanp.export.model import Model
    from neuroanp.export.protocol import Exported
    from neuroanp.network.network import Projection


def resources(model: Model, exported: Exported) -> dict[str, int | float]:
    """Return what a format's network takes of a chip, by name.

    Of units that spike, with s_t the spikes before an array and n_j the synapses of its line j that are not 0,

        synaptic_events_per_step = mean over steps and sequences of  sum over arrays and lines j of  s_tj n_j

    which is what a chip that works by events does in a step, besides its units.

    Args:
        model: the network. exported: what the format holds of it; arrays that it leaves out are left out here.

    Returns: units, synapses that are not 0 (lines of a bias left out), seconds of a presentation, steps that an output
        is late and, of spikes, events a step: numbers. Energy is theirs times the chip's own figures.

    >>> from neuroanp.export.protocol import Exported
    >>> from neuroanp.export.model import Model, reference
    >>> from neuroanp.network.compose import one_layer
    >>> one = np.ones((1, 1))
    >>> W = {"w_in": one, "w": 0 * one, "w_out": one}
    >>> network = one_layer({name: w.shape for name, w in W.items()})
    >>> rate = Model("one", W, network, 1e-3, False, one[None], lambda y: {})
    >>> resources(rate, Exported((), W, reference(rate)))
    {'units': 1, 'synapses': 2, 'output_late_steps': 0, 'presentation_s': 0.001}
    """
    kept = {p.name: p for p in model.network.projections if p.name in exported.held}
    lines = {name: _synapses(p, exported.held[name]) for name, p in kept.items()}
    steps = len(model.inputs) + exported.late
    found: dict[str, int | float] = {
        "units": model.network.hidden,
        "synapses": sum(int(each.sum()) for each in lines.values()),
        "output_late_steps": exported.late,
        "presentation_s": steps * model.dt,
    }
    if exported.traces.s is not None:
        found["synaptic_events_per_step"] = _events(model, exported.traces.s, kept, lines)
    return found


def _synapses(p: Projection, held: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many weights of each line are not 0, (n_pre,)."""
    W = held[:, :-1] if p.bias else held
    return np.count_nonzero(W, axis=0)


def _events(
    model: Model, s: NDArray[np.int64], arrays: Mapping[str, Projection], lines: Mapping[str, NDArray[np.int64]]
) -> float:
    where, events = spans(model.network), 0.0
    for name, p in arrays.items():
        if p.pre != INPUT:
            events += float((s[..., where[p.pre]].mean(axis=(0, 1)) * lines[name]).sum())
        elif model.spikes_in:
            events += float((model.inputs.mean(axis=(0, 1)) * lines[name]).sum())
    return events
