"""What a network must be so that a chip can hold it: settings that `train --target` fills in and insists on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import exp, log, log2
from typing import Any

from neuroanp.backends.neuron import LIF
from neuroanp.errors import did_you_mean
from neuroanp.units import Dimension, format_quantity

NEURON_TAUS = ("tau_m", "tau_s", "tau_r")


@dataclass(frozen=True)
class Target:
    """A chip or format that a network is trained for.

    Args:
        summary: what it asks for, in one line.
        neuron: values of the neuron's options that it insists on.
        spikes_in: whether inputs must be spikes.
        tau: takes a time constant and dt, seconds, and returns the nearest that it has; None: any.
        backend: what it is trained on if nothing else is stated.
        most: how many inputs, hidden units that all reach each other, and outputs its largest chips have room for.
    """

    summary: str
    neuron: Mapping[str, Any] = field(default_factory=dict)
    spikes_in: bool = False
    tau: Callable[[float, float], float] | None = None
    backend: str = "lif"
    most: Mapping[str, int] = field(default_factory=dict)


def power_of_two(tau: float, dt: float) -> float:
    """Return the nearest time constant whose decay is 1 - 2^-k: tau = -dt / ln(1 - 2^-k), 1 <= k <= 15.

    >>> round(power_of_two(20e-3, 1e-3) * 1e3, 4)  # k = 4
    15.4946
    """
    ks = range(1, 16)
    return min((-dt / log(1 - 2.0**-k) for k in ks), key=lambda found: abs(log2(found / tau)))


def of_4096(tau: float, dt: float) -> float:
    """Return the nearest time constant whose decay is 1 - d / 4096, d whole.

    >>> round(of_4096(20e-3, 1e-3) * 1e3, 4)  # d = 200
    19.9758
    """
    d = min(max(round(4096 * (1 - exp(-dt / tau))), 1), 4095)
    return -dt / log(1 - d / 4096)


TARGETS: Mapping[str, Target] = {
    "nir": Target(
        "hard reset, no refractory period, spikes that are currents of one step",
        {"reset": "hard", "refractory": "0 ms", "tau_s": "0 ms"},
    ),
    "loihi": Target(
        "hard reset, no refractory period, decays in 4096ths, spikes as inputs; learns with its 8-bit weights",
        {"reset": "hard", "refractory": "0 ms", "decoder": "trace", "leak": True},
        spikes_in=True,
        tau=of_4096,
        backend="loihi",
    ),
    "xylo": Target(
        "subtractive reset, no refractory period, decays 1 - 2^-k, spikes as inputs; learns with its 8-bit weights",
        {"reset": "subtract", "refractory": "0 ms", "decoder": "trace", "leak": True},
        spikes_in=True,
        tau=power_of_two,
        backend="xylo",
        most={"inputs": 16, "hidden": 128, "outputs": 32},
    ),
}


def target(name: str) -> Target:
    """Return a target by name; ValueError with the known ones if there is none.

    >>> target("xylo").spikes_in
    True
    """
    if name not in TARGETS:
        raise ValueError(f"unknown target '{name}'{did_you_mean(name, [*TARGETS])} (known: {', '.join(TARGETS)})")
    return TARGETS[name]


def fill(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration's content with what the target needs, where nothing else is stated.

    >>> filled = fill({"task": "xor"}, "xylo")
    >>> filled["backend"], filled["encoder"], filled["neuron"]["reset"]
    ('xylo', {'name': 'poisson'}, 'subtract')
    """
    chip, filled = target(name), dict(data)
    filled.setdefault("backend", chip.backend)
    if chip.spikes_in:
        encoder = filled.get("encoder") or {}
        filled["encoder"] = {"name": "poisson", **encoder} if isinstance(encoder, Mapping) else encoder
    stated = filled.get("neuron") or {}
    if not isinstance(stated, Mapping) or stated.get("name", "lif") != "lif":
        return filled
    dt = _seconds(filled.get("dt", "1 ms"))
    taus: dict[str, Any] = {}
    if chip.tau is not None and dt is not None:
        plain = {key: LIF.model_fields[key].default for key in NEURON_TAUS if key not in chip.neuron}
        taus = {key: format_quantity(chip.tau(tau, dt), "s", digits=None) for key, tau in plain.items()}
    filled["neuron"] = {"name": "lif", **chip.neuron, **taus, **stated}
    return filled


def _seconds(text: Any) -> float | None:
    try:
        return float(Dimension("time", "s", "1 ms").parse(text))
    except (TypeError, ValueError):
        return None  # said by the check of dt itself


def misfits(name: str, neuron: Any, spikes_in: bool, dt: float) -> list[tuple[tuple[str, ...], str]]:
    """Return what keeps a network from its target: the key, and what to write there.

    >>> misfits("nir", LIF(tau_s=0, refractory=0), False, 1e-3)
    []
    >>> misfits("nir", LIF(tau_s=0), False, 1e-3)
    [(('neuron', 'refractory'), "nir needs '0 ms'; leave it out")]
    """
    chip = target(name)
    if not isinstance(neuron, LIF):
        able = ", ".join(f"'{each}'" for each in dict.fromkeys((chip.backend, "lif", "spiking")))
        return [(("neuron",), f"{name} needs units that spike, neuron 'lif' on backend {able}")]
    wanted = LIF(**chip.neuron)
    found: list[tuple[tuple[str, ...], str]] = [
        (("neuron", key), f"{name} needs '{value}'; leave it out")
        for key, value in chip.neuron.items()
        if getattr(neuron, key) != getattr(wanted, key)
    ]
    for key in NEURON_TAUS if chip.tau is not None else ():
        tau = getattr(neuron, key)
        nearest = chip.tau(tau, dt) if tau else tau  # pyright: ignore[reportOptionalCall]
        if abs(nearest - tau) > 1e-9 * tau:
            text = format_quantity(nearest, "s", digits=None)
            found.append((("neuron", key), f"{name} has no such decay; the nearest is '{text}'"))
    if neuron.integration != "exact":
        found.append((("neuron", "integration"), f"{name} needs 'exact'; leave it out"))
    if chip.spikes_in and not spikes_in:
        found.append((("encoder",), f"{name} takes spikes as inputs; use encoder 'poisson' or 'latency'"))
    return found
