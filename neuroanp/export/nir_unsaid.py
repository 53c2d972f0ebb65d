"""Tell what a NIR file leaves open: what an import takes for it, and the option that takes another.

NIR states equations in continuous time. It has no field for what a spike does to the membrane besides v_reset, for a
refractory period, for the step of time, or for how the equations are stepped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neuroanp.errors import InputError
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.export.model import Model
    from neuroanp.export.nir_file import Node

RESETS = ("hard", "subtract")
SAME = 1e-5
"""Relative difference of time constants and steps that are the same: files hold float32."""

OPEN = {
    "neuron.reset": (
        "reset: the file does not say it; a spike sets the membrane to v_reset here (hard). If its writer subtracts "
        "the threshold: --set neuron.reset=subtract. snntorch subtracts by default, and agrees with that where its "
        "reset_delay is False and no membrane exceeds twice its threshold; a reset one step later is not offered"
    ),
    "neuron.refractory": "refractory period: NIR has none, and 0 is taken; another: --set neuron.refractory='2 ms'",
    "neuron.integration": (
        "steps: NIR's equations are continuous; they are stepped by Euler, as norse, snntorch and spikingjelly do; "
        "decays of exp(-dt / tau): --set neuron.integration=exact"
    ),
}
"""What no NIR file says, by the option that sets it."""
INPUTS = {
    True: (
        "inputs: the file does not say whether they are spikes; they pass the synapse of CubaLIF, as spikes do here: "
        "encoder poisson is taken, another: --set encoder.name=latency"
    ),
    False: (
        "inputs: the file does not say whether they are spikes; currents are taken; spikes, which act one step later: "
        "--set encoder.name=poisson"
    ),
}


def said(unit: Node, filled: Collection[str], about: Mapping[str, Any], given: Collection[str]) -> list[str]:
    """Return a sentence for each choice that a file of another tool leaves open.

    Args:
        unit: the spiking node, its fields (N,).
        filled: its fields that the file does not have.
        about: the graph's metadata, which may say the reset.
        given: dotted keys of the configuration that the caller sets: what is decided is not told.
    """
    found = [f"{key}: the file does not have it, and {unit.fields[key].flat[0]:g} is taken" for key in filled]
    open_to = dict(OPEN)
    if isinstance(reset := about.get("reset"), str):
        found += [] if reset in RESETS else [f"reset: the file says {reset[:40]!r}, which is not known here"]
        open_to = {key: text for key, text in OPEN.items() if key != "neuron.reset" or reset not in RESETS}
    open_to["encoder.name"] = INPUTS[unit.kind == "CubaLIF"]
    found += [text for key, text in open_to.items() if not _decided(key, given)]
    if unit.fields["v_reset"].any():
        found.append(
            "start: the file does not say where membranes start; they start at v_reset; with reset=subtract a spike "
            "takes v_threshold - v_reset from them"
        )
    return found


def reset_of(about: Mapping[str, Any]) -> Literal["hard", "subtract"]:
    """Return the reset that the metadata say, or the hard one."""
    return "subtract" if about.get("reset") == "subtract" else "hard"


def _decided(key: str, given: Collection[str]) -> bool:
    return any(key == one or key.startswith(f"{one}.") for one in given)


def writers_step(unit: Node) -> float | None:
    """Return the step in seconds for which r = tau / dt in all units, and w_in = tau_syn / dt in those of CubaLIF.

    Tools that compute without a time, as snntorch does, write their units so. None where no one step does it, or
    where it is no shorter than a time constant: r is then a resistance, such as 1.

    >>> from neuroanp.export.nir_file import Node
    >>> writers_step(Node("LIF", {"tau": np.array([1e-3, 2e-3]), "r": np.array([10.0, 20.0])}))
    0.0001
    >>> writers_step(Node("LIF", {"tau": np.array([1e-3, 2e-3]), "r": np.array([1.0, 1.0])})) is None
    True
    """
    pairs = (("tau_mem", "r"), ("tau_syn", "w_in")) if unit.kind == "CubaLIF" else (("tau", "r"),)
    tau, gain = (np.concatenate([unit.fields[pair[i]] for pair in pairs]) for i in (0, 1))
    if not (gain > 0).all() or not (tau > 0).all():
        return None
    steps = tau / gain
    if np.ptp(steps) > SAME * steps.max() or steps.max() >= tau.min() * (1 - SAME):
        return None
    return float(f"{np.median(steps):.5g}")


def missing(about: Mapping[str, Any], unit: Node, dt: float | None) -> list[str]:
    """Say that nobody states the step of time, and propose the one that the units were written with."""
    if dt is not None or _stated(about) is not None:
        return []
    meant = writers_step(unit)
    holds = ", if r is tau / dt, as it is in all units for that step" if meant else ""
    return [f"the file does not say dt; give it with --dt '{_time(meant or 1e-3)}'{holds}"]


def step(about: Mapping[str, Any], given: float | None) -> float:
    """Return the seconds of a step, which the metadata or the caller says.

    Raises:
        InputError: the two differ, or they are no time.
    """
    stated = _stated(about)
    if stated is not None and given is not None and abs(stated - given) > SAME * abs(given):
        raise InputError(f"dt: the file says {stated:g} s, and {given:g} s was given")
    dt = stated if given is None else given  # the two are one step, and the given one is not rounded
    if dt is None:
        raise InputError("dt: the file does not say the seconds of a step; give them")
    if not 0 < dt < 1e3:
        raise InputError(f"dt: {dt:g} s; more than 0 and less than 1000 s is needed")
    return dt


def another_step(about: Mapping[str, Any], unit: Node, dt: float) -> list[str]:
    """Say that the step that was given is not the one that the units seem to be written with."""
    meant = writers_step(unit)
    if _stated(about) is not None or meant is None or abs(meant - dt) <= SAME * dt:
        return []
    return [
        f"dt: '{_time(dt)}' was given, and r is tau / dt in all units for '{_time(meant)}': if that was its writer's "
        f"step, give --dt '{_time(meant)}'; with another one the spikes are others"
    ]


def _stated(about: Mapping[str, Any]) -> float | None:
    dt = about.get("dt")
    return float(dt) if isinstance(dt, np.ndarray) and dt.size == 1 else None


def _time(seconds: float) -> str:
    return format_quantity(seconds, "s", digits=None)


def silence(model: Model) -> list[str]:
    """Say how many units never spike on the model's inputs, without noise; nothing where all do."""
    from neuroanp.export.model import reference

    traces = reference(model)
    assert traces.s is not None
    silent = (traces.s == 0).all((0, 1))
    where = f"on {model.inputs.shape[1]} held-out sequences of this task"
    if silent.all():
        return [
            f"no unit spikes {where}: the highest potential is {float(traces.v.max()):.3g} thresholds. Are inputs and "
            "dt those the network was trained with? Larger currents: --set neuron.input_gain, neuron.drive"
        ]
    return [f"{int(silent.sum())} of {silent.size} units never spike {where}"] if silent.any() else []
