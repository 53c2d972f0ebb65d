"""Turn a spiking node of a NIR graph into units of a layer, in units of their thresholds.

With v' = (v - v_reset) / (v_threshold - v_reset) every threshold is 1 and every reset 0; resistances, w_in and the
height of the threshold go into the weights, row by row. Time constants that differ are factors of the layer's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neuroanp.backends.neuron import LIF, Reset
from neuroanp.errors import InputError

Array = Any  # NDArray[np.float64]
LONGEST = 2.0**24
"""Steps of a time constant: float32 has no factor a step between 1 and that of a longer one."""
ALIKE = 1e-6
"""Relative spread of time constants that are one."""


@dataclass(frozen=True)
class Units:
    """The units of a layer.

    Args:
        neuron: what they are, gains 1; factors: (n,) of "tau_m", "tau_s" where they differ.
        pulse: (n,) what a weight of the graph is times, for a current of one step.
        lasting: (n,) likewise for one that lasts, over a bias line.
        lean: (n,) constant current of the units themselves, over a bias line.
    """

    neuron: LIF
    factors: dict[str, Array] = field(default_factory=dict)
    pulse: Array = 1.0
    lasting: Array = 1.0
    lean: Array = 0.0


def units_of(name: str, kind: str, unit: dict[str, Array], dt: float, tau_r: float, reset: Reset) -> Units:
    """Return a node's units.

    Args:
        name: of the node. kind: LIF, CubaLIF or IF. unit: its fields, (n,).
        dt: seconds a step. tau_r: time constant of the outputs' trace. reset: what a spike does.

    Raises:
        InputError: what such units here cannot do.
        ValueError: a time constant is no longer than a step.

    >>> one = np.ones(2)
    >>> given = {"tau": 0.02 * one, "r": 3 * one, "v_leak": 0 * one, "v_threshold": one + 0.5, "v_reset": 0 * one}
    >>> units_of("lif", "LIF", given, 1e-3, 0.02, "hard").pulse
    array([2., 2.])
    """
    where, cuba = f"{kind} ('{name}')", kind == "CubaLIF"
    height = unit["v_threshold"] - unit["v_reset"]
    if not (height > 0).all():
        raise InputError(f"{where}: v_threshold is not above v_reset in {int((height <= 0).sum())} units")
    scale = unit["r"] * (unit["w_in"] if cuba else 1.0) / height  # of a current that lasts
    plain = {"input_gain": 1.0, "synapse_gain": 1.0, "tau_r": tau_r, "refractory": 0.0, "integration": "euler"}
    if (
        kind == "IF"
    ):  # dv/dt = r I: a current of 1 / r raises v by 1 in a second, one of 1 here by a threshold in a step
        counts = scale * dt
        neuron = LIF(**plain, drive=0.0, tau_m=dt, tau_s=0.0, reset=reset, leak=False)
        return Units(neuron, {}, counts, counts, 0.0 * counts)
    factors: dict[str, Array] = {}
    tau_m = _common(where, "tau_mem" if cuba else "tau", "tau_m", unit, dt, factors)
    tau_s = _common(where, "tau_syn", "tau_s", unit, dt, factors) if cuba else 0.0
    lean = (unit["v_leak"] - unit["v_reset"]) / height
    drive = 0.0
    if cuba and lean.any():  # past the synapse, which a bias line is not
        if np.ptp(lean) > ALIKE * np.abs(lean).max():
            raise InputError(
                f"{where}: v_leak - v_reset differs between units, in thresholds {lean.min():.3g} to {lean.max():.3g}; "
                "a constant current past the synapse is the same in all units of a layer here: make it one"
            )
        drive, lean = float(lean.flat[0]), 0.0 * lean
    neuron = LIF(**plain, drive=drive, tau_m=tau_m, tau_s=tau_s, reset=reset)
    neuron.check(dt)
    of_s = factors.get("tau_s", 1.0)
    return Units(neuron, factors, scale * (dt / tau_s / of_s if cuba else 1.0), scale / of_s, lean)


def _common(where: str, key: str, name: str, unit: dict[str, Array], dt: float, factors: dict[str, Array]) -> float:
    """Return a time constant of a layer; where units differ, their mean, and the factors by which they do."""
    values = unit[key]
    checked(where, key, values, dt)
    if not differ(values):
        return float(values.flat[0])
    mean = float(f"{values.mean():.4g}")
    factors[name] = values / mean
    return mean


def differ(values: Array) -> bool:
    """Tell whether units differ in something by more than the rounding of float32.

    >>> import numpy as np
    >>> differ(np.array([0.02, 0.02])), differ(np.array([0.02, 0.021]))
    (False, True)
    """
    return bool(np.ptp(values) > ALIKE * np.abs(values).max())


def checked(where: str, key: str, values: Array, dt: float) -> None:
    """Raise InputError for time constants that no step resolves, or no float32."""
    if values.min() <= dt:
        raise InputError(f"{where}: {key} is {values.min():g} s, and must be longer than one step, dt {dt:g} s")
    if values.max() > LONGEST * dt:
        raise InputError(
            f"{where}: {key} is {values.max():g} s, over {LONGEST:g} steps of {dt:g} s: nothing would decay; give a "
            "longer --dt, or correct it"
        )
