"""What a network must be so that a chip can hold it: settings that `train --target` fills in and insists on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import exp, log, log2
from typing import TYPE_CHECKING, Any, NamedTuple

from neuroanp.backends.chip_structure import spans
from neuroanp.backends.neuron import LIF
from neuroanp.errors import did_you_mean
from neuroanp.network.network import INPUT, OUTPUT
from neuroanp.units import Dimension, format_quantity

if TYPE_CHECKING:
    from neuroanp.network.network import Network
    from neuroanp.training.layers import NetworkConfig

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
        room: of a network of several layers: takes it and returns what the largest chips have no room for.
        delay: steps from the spikes of a layer to the currents in the next that it insists on; None: any.
        skips: whether the input may reach every layer, and every layer the output.
        lasts: whether a spike's current must last: tau_s 0 is none that it has.
    """

    summary: str
    neuron: Mapping[str, Any] = field(default_factory=dict)
    spikes_in: bool = False
    tau: Callable[[float, float], float] | None = None
    backend: str = "lif"
    most: Mapping[str, int] = field(default_factory=dict)
    room: Callable[[Network], list[str]] | None = None
    delay: int | None = None
    skips: bool = True
    lasts: bool = False


def power_of_two(tau: float, dt: float) -> float:
    """Return the nearest time constant whose decay is 1 - 2^-k: tau = -dt / ln(1 - 2^-k), 1 <= k <= 15.

    >>> round(power_of_two(20e-3, 1e-3) * 1e3, 4), round(power_of_two(0.0, 1e-3) * 1e3, 4)  # k = 4, k = 1
    (15.4946, 1.4427)
    """
    each = [-dt / log(1 - 2.0**-k) for k in range(1, 16)]
    return min(each, key=lambda found: abs(log2(found / tau))) if tau else each[0]


def of_4096(tau: float, dt: float) -> float:
    """Return the nearest time constant whose decay is 1 - d / 4096, d whole.

    >>> round(of_4096(20e-3, 1e-3) * 1e3, 4)  # d = 200
    19.9758
    """
    d = min(max(round(4096 * (1 - exp(-dt / tau))), 1), 4095)
    return -dt / log(1 - d / 4096)


XYLO_UNITS, XYLO_ENDS, XYLO_CONNECTIONS = 992, 128, 32 * 992
"""Of the largest Xylo: hidden units; the first with inputs, and the last with outputs; connections between them."""


def xylo_room(network: Network) -> list[str]:
    """Return what of several layers, blocks of one population one after the other, a Xylo has no room for.

    >>> from neuroanp.network.compose import Stacked, stack
    >>> xylo_room(stack(8, [Stacked(LIF(), 120), Stacked(LIF(), 100, delay=1)], 4))
    ['hidden: 36400 connections between units, xylo has room for 31744; use fewer units']
    """
    where, units, said = spans(network), network.units, []
    first = max((where[p.post].stop for p in network.projections if p.pre == INPUT and p.post in where), default=0)
    last = network.hidden - min((where[p.pre].start for p in network.feed(OUTPUT) if p.pre in where), default=0)
    between = sum(units[p.pre] * units[p.post] for p in network.projections if p.pre in where and p.post in where)
    for what, count, limit in (
        ("units", network.hidden, XYLO_UNITS),
        ("units from the first to the last with inputs", first, XYLO_ENDS),
        ("units from the first to the last with outputs", last, XYLO_ENDS),
        ("connections between units", between, XYLO_CONNECTIONS),
    ):
        if count > limit:
            said.append(f"hidden: {count} {what}, xylo has room for {limit}; use fewer units")
    return said


TARGETS: Mapping[str, Target] = {
    "nir": Target(
        "hard reset, no refractory period, spikes that are currents of one step",
        {"reset": "hard", "refractory": "0 ms", "tau_s": "0 ms"},
        delay=0,
    ),
    "loihi": Target(
        "hard reset, no refractory period, decays in 4096ths, spikes as inputs, layers a step after each other; "
        "learns with its 8-bit weights",
        {"reset": "hard", "refractory": "0 ms", "decoder": "trace", "leak": True},
        spikes_in=True,
        tau=of_4096,
        backend="loihi",
        delay=1,
        skips=False,
    ),
    "xylo": Target(
        "subtractive reset, no refractory period, decays 1 - 2^-k, spikes as inputs, layers a step after each other; "
        "learns with its 8-bit weights",
        {"reset": "subtract", "refractory": "0 ms", "decoder": "trace", "leak": True},
        spikes_in=True,
        tau=power_of_two,
        backend="xylo",
        most={"inputs": 16, "hidden": 128, "outputs": 32},
        room=xylo_room,
        delay=1,
        lasts=True,
    ),
}


def unknown(name: str) -> list[str]:
    """Return what to say of a name that is no target's; [] of one that is.

    >>> unknown("xylo"), unknown("xylp")
    ([], ["unknown target 'xylp'; did you mean 'xylo'? (known: nir, loihi, xylo)"])
    """
    if name in TARGETS:
        return []
    return [f"unknown target '{name}'{did_you_mean(name, [*TARGETS])} (known: {', '.join(TARGETS)})"]


def fill(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration's content with what the target needs, where nothing else is stated.

    >>> filled = fill({"task": "xor"}, "xylo")
    >>> filled["backend"], filled["encoder"], filled["neuron"]["reset"]
    ('xylo', {'name': 'poisson'}, 'subtract')
    """
    chip, filled = TARGETS[name], dict(data)
    filled.setdefault("backend", chip.backend)
    if chip.delay is not None:
        filled = _with_delays(filled, chip.delay)
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


def _with_delays(data: dict[str, Any], delay: int) -> dict[str, Any]:
    """Fill the delay of layers above the first, where none is stated."""
    network = data.get("network")
    layers = network.get("layers") if isinstance(network, Mapping) else None
    if not (isinstance(network, Mapping) and isinstance(layers, list)):
        return data
    first, above = layers[:1], layers[1:]
    late = [{"delay": delay, **layer} if isinstance(layer, Mapping) else layer for layer in above]
    return {**data, "network": {**network, "layers": [*first, *late]}}


def _seconds(text: Any) -> float | None:
    try:
        return float(Dimension("time", "s", "1 ms").parse(text))
    except (TypeError, ValueError):
        return None  # said by the check of dt itself


Key = tuple[str | int, ...]


class Misfit(NamedTuple):
    """What keeps a network from its target.

    Args:
        key: of the configuration. said: what to write there, for a message. remedy: that value.
    """

    key: Key
    said: str
    remedy: Any


def misfits(name: str, neuron: Any, spikes_in: bool, dt: float, network: NetworkConfig | None = None) -> list[Misfit]:
    """Return what keeps a network from its target.

    Args:
        name: the target. neuron: usual units. spikes_in: whether inputs are spikes. dt: seconds a step.
        network: the section, for layers that have units of their own; None: there are none.

    >>> misfits("nir", LIF(tau_s=0, refractory=0), False, 1e-3)
    []
    >>> [tuple(each) for each in misfits("nir", LIF(tau_s=0), False, 1e-3)]
    [(('neuron', 'refractory'), "nir needs '0 ms'; leave it out", '0 ms')]
    """
    chip = TARGETS[name]
    if isinstance(neuron, LIF):
        found = [Misfit(("neuron", *each.key), each.said, each.remedy) for each in _of_units(name, neuron, dt)]
    else:
        able = " or ".join(f"'{each}'" for each in dict.fromkeys((chip.backend, "lif", "spiking")))
        said = f"{name} needs leaky integrate-and-fire units: neuron 'lif' on backend {able}"
        found = [Misfit(("neuron",), said, LIF_UNITS)]
    found += [] if network is None else _of_layers(name, network, neuron, dt)
    if chip.spikes_in and not spikes_in:
        said = f"{name} takes spikes as inputs; use encoder 'poisson' or 'latency'"
        found.append(Misfit(("encoder",), said, {"name": "poisson"}))
    return found


LIF_UNITS = {"name": "lif"}


def _of_units(name: str, neuron: LIF, dt: float) -> list[Misfit]:
    """Return what of some units the target has not, by their options."""
    chip, found = TARGETS[name], list[Misfit]()
    wanted = LIF(**chip.neuron)
    for key, value in chip.neuron.items():
        if getattr(neuron, key) != getattr(wanted, key):
            found.append(Misfit((key,), f"{name} needs '{value}'; leave it out", value))
    for key in NEURON_TAUS if chip.tau is not None else ():
        tau = getattr(neuron, key)
        nearest = chip.tau(tau, dt) if tau or chip.lasts else tau  # pyright: ignore[reportOptionalCall]
        if abs(nearest - tau) > 1e-9 * tau:
            text = format_quantity(nearest, "s", digits=None)
            found.append(Misfit((key,), f"{name} has no such decay; the nearest is '{text}'", text))
    if neuron.integration != "exact":
        found.append(Misfit(("integration",), f"{name} needs 'exact'; leave it out", "exact"))
    return found


def _of_layers(name: str, network: NetworkConfig, usual: Any, dt: float) -> list[Misfit]:
    """Return what of layers the target has not: units of their own, delays, skips.

    What a layer has from the `usual` units, or shares with them, is said of those alone.
    """
    chip = TARGETS[name]
    found: list[Misfit] = []
    said_of_usual = {each.key[0]: each for each in _of_units(name, usual, dt)} if isinstance(usual, LIF) else {}
    for index, layer in enumerate(network.layers or ()):
        here: Key = ("network", "layers", index)
        if isinstance(layer.cell, LIF):
            for (key,), said, remedy in _of_units(name, layer.cell, dt):
                same = key in said_of_usual and _option(usual, str(key)) == _option(layer.cell, str(key))
                found += [] if same else [Misfit((*here, "cell", key), said, remedy)]
        elif layer.cell is not None:
            found.append(Misfit((*here, "cell"), f"{name} needs leaky integrate-and-fire units, cell lif", LIF_UNITS))
        if chip.delay is not None and index and layer.delay != chip.delay:
            why = "each connection takes a step" if chip.delay else "an edge acts in the same step"
            found.append(Misfit((*here, "delay"), f"{name} needs {chip.delay}: {why}; leave it out", chip.delay))
    if chip.spikes_in and not network.input_delay:
        said = f"{name}: input spikes act a step later; leave it out"
        found.append(Misfit(("network", "input_delay"), said, 1))
    if network.skip and not chip.skips:
        found.append(Misfit(("network", "skip"), f"{name} holds layers one after the other; leave it out", False))
    return found


def _option(neuron: LIF, key: str) -> Any:
    return neuron.model_dump(include={key})
