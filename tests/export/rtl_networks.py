"""Networks that are exported as RTL."""

from __future__ import annotations

from neuroanp.backends.neuron import LIF

NETWORKS = {
    "currents": {"sizes": (4, 32, 2), "seed": 0, "steps": 150, "neuron": LIF(input_gain=6.0)},
    "spikes": {
        "sizes": (3, 20, 2), "seed": 1, "steps": 150, "bias": True, "spikes_in": True,
        "neuron": LIF(input_gain=12.0, reset="subtract", refractory=0.0),
    },
    "counts": {
        "sizes": (5, 40, 3), "seed": 2, "steps": 100, "bias": True,
        "neuron": LIF(tau_s=0.0, decoder="count", reset="subtract", refractory=3e-3, integration="euler"),
    },
    "single": {"sizes": (1, 1, 1), "seed": 6, "steps": 60, "neuron": LIF(refractory=1e-3)},
}  # fmt: skip
