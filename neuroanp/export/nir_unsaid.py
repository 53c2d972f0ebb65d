"""Tell what a NIR file leaves open: what an import takes for it, and the option that takes another.

NIR states equations in continuous time. It has no field for what a spike does to the membrane besides v_reset, for a
refractory period, for the step of time, or for how the equations are stepped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from neuroanp.backends.neuron import Reset
from neuroanp.errors import InputError
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.export.model import Model
    from neuroanp.export.nir_file import Node

RESETS: tuple[Reset, ...] = get_args(Reset)
SAME = 1e-5
"""Relative difference of time constants and steps that are the same: files hold float32."""

OPEN = {
    "neuron.reset": (
        "reset: the file does not say it; a spike sets the membrane to v_reset here (hard). If its writer subtracts "
        "the threshold: --set neuron.reset=subtract. Of snntorch the default is subtract_delayed, and its zero "
        "hard_delayed (of Leaky hard); with reset_delay=False subtract_raised and hard, but in RSynaptic of snntorch "
        "1.0, which delays all the same"
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


def said(
    units: Mapping[str, Node],
    filled: Mapping[str, Collection[str]],
    about: Mapping[str, Any],
    given: Collection[str],
) -> list[str]:
    """Return a sentence for each choice that a file of another tool leaves open.

    Args:
        units: the spiking nodes by name, their fields (n,).
        filled: those of their fields that the file does not have.
        about: the graph's metadata, which may say the reset.
        given: dotted keys of the configuration that the caller sets: what is decided is not told.
    """
    found = list(dict.fromkeys(
        f"{key}: the file does not have it, and {unit.fields[key].flat[0]:g} is taken"
        for name, unit in units.items() for key in filled[name]
    ))  # fmt: skip
    open_to = dict(OPEN)
    if isinstance(reset := about.get("reset"), str):
        found += [] if reset in RESETS else [f"reset: the file says {reset[:40]!r}, which is not known here"]
        open_to = {key: text for key, text in OPEN.items() if key != "neuron.reset" or reset not in RESETS}
    open_to["encoder.name"] = INPUTS[next(iter(units.values())).kind == "CubaLIF"]
    several = "; of all layers" * (len(units) > 1)
    found += [text + several * key.startswith("neuron.") for key, text in open_to.items() if not _decided(key, given)]
    if any(unit.fields["v_reset"].any() for unit in units.values()):
        found.append(
            "start: the file does not say where membranes start; they start at v_reset; a reset that subtracts takes "
            "v_threshold - v_reset from them"
        )
    return found


def reset_of(about: Mapping[str, Any]) -> Reset:
    """Return the reset that the metadata say, or the hard one."""
    said = about.get("reset")
    for reset in RESETS:
        if isinstance(said, str) and said == reset:
            return reset
    return "hard"


def _decided(key: str, given: Collection[str]) -> bool:
    return any(key == one or key.startswith(f"{one}.") for one in given)


def writers_steps(*units: Node) -> dict[str, float]:
    """Return the step in seconds that units were written with, by the equations that give it away.

    Tools that compute without a time, as snntorch does, write r = tau / dt, and w_in = tau_syn / dt. An equation counts
    that holds in all units of a node for one step, shorter than all time constants: else r is a resistance, such as 1.
    Nothing is returned where two equations, or those of two nodes, give different steps.

    >>> from neuroanp.export.nir_file import Node
    >>> writers_steps(Node("LIF", {"tau": np.array([1e-3, 2e-3]), "r": np.array([10.0, 20.0])}))
    {'r = tau / dt': 0.0001}
    >>> writers_steps(Node("LIF", {"tau": np.array([1e-3, 2e-3]), "r": np.array([1.0, 1.0])}))
    {}
    """
    pairs = {"CubaLIF": (("tau_mem", "r"), ("tau_syn", "w_in")), "LIF": (("tau", "r"),)}
    taus = [unit.fields[tau] for unit in units for tau, _ in pairs.get(unit.kind, ())]
    shortest = min((float(values.min()) for values in taus), default=0.0)
    found: dict[str, float] = {}
    steps: list[float] = []
    for unit in units:
        for tau, gain in pairs.get(unit.kind, ()):
            one = _one_step(unit.fields[tau], unit.fields[gain])
            if one is not None and one < shortest * (1 - SAME):
                found.setdefault(f"{gain} = {tau} / dt", one)
                steps.append(one)
    return found if steps and max(steps) - min(steps) <= 2 * SAME * max(steps) else {}


def _one_step(tau: Any, gain: Any) -> float | None:
    """Return tau / gain (N,) where it is the same in all units, but for the rounding of float32."""
    if not (gain > 0).all() or not (tau > 0).all():
        return None
    steps = tau / gain
    return None if np.ptp(steps) > SAME * steps.max() else float(f"{np.median(steps):.5g}")


def missing(about: Mapping[str, Any], units: Collection[Node], dt: float | None) -> list[str]:
    """Say that nobody states the step of time, and propose the one that the units were written with."""
    if dt is not None or _stated(about) is not None:
        return []
    said, steps = "the file does not say dt, the time of a step", writers_steps(*units)
    if not steps:
        return [f"{said}; give the one of its writer, e.g. --dt '1 ms'"]
    return [f"{said}; --dt '{_time(min(steps.values()))}' is what {' and '.join(steps)} gives in all units"]


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


def another_step(about: Mapping[str, Any], units: Collection[Node], dt: float) -> list[str]:
    """Say that the step that was given is not the one that the units seem to be written with."""
    steps = writers_steps(*units)
    if _stated(about) is not None or not steps or abs((meant := min(steps.values())) - dt) <= SAME * dt:
        return []
    return [
        f"dt: '{_time(dt)}' was given, and {' and '.join(steps)} gives '{_time(meant)}' in all units: if that was its "
        f"writer's step, give --dt '{_time(meant)}'; with another one the spikes are others"
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
