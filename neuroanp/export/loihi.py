"""Loihi 2: whole-number weights and decays, in the HDF5 layout that lava-dl's netx loads.

The equations and scales are those of `neuroanp.backends.loihi_numbers`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from neuroanp.backends.chip_structure import biased, spans, unheld
from neuroanp.backends.loihi import DECAY_ONE, SHIFT, WEIGHT_HIGH
from neuroanp.backends.loihi_numbers import (
    ROOM,
    Peaks,
    Quantised,
    Scales,
    assumed_peaks,
    between,
    chip_of,
    decays,
    finest,
    gain,
    in_thresholds,
    output_decay,
    quantise,
    readout,
    scales,
)
from neuroanp.backends.neuron import LIF
from neuroanp.export.checking.presented import Check, compact
from neuroanp.export.checking.script import HERE
from neuroanp.export.checks import at_once, finite, lif_only, refuse, setting, spikes_in_only, spiking_only
from neuroanp.export.model import Model, Traces, reference
from neuroanp.export.netx import write
from neuroanp.export.protocol import ChipExporter, Exported
from neuroanp.network.network import OUTPUT
from neuroanp.units import Plain, format_quantity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuroanp.backends.chips import IntegerChip
    from neuroanp.backends.loihi import Block
    from neuroanp.network.network import Layer

# one chip, of Intel's technology brief of Loihi 2 (2021)
NEURONS_MOST, SYNAPSES_MOST = 1_000_000, 120_000_000


class Loihi(ChipExporter):
    """Loihi 2: a netx HDF5 file for lava-dl, of 8-bit weights and 12-bit decays."""

    holds: ClassVar[str] = (
        "spiking layers one after the other (delay 1), spikes as inputs, hard reset and at most one step of rest"
    )
    reader: ClassVar[str] = "lava-dl 0.6 with lava-nc 0.10 (Python 3.10)"
    lost: ClassVar[str] = (
        "weights to 8 bits, decays to 1/4096 a step, states cut to whole numbers; biases do not rise, they are there"
    )
    script: ClassVar[Path | None] = HERE / "loihi.py"

    headroom: Annotated[float, Plain("a number of 1 or above", 1.0)] = Field(
        default=2.0, description="how many times the largest state on held-out inputs fits into 24 bits"
    )

    def check(self, model: Model) -> None:
        """Raise InputError for what Loihi's neurons cannot do; see `Exporter.check`."""
        problems = [*finite(model), *spiking_only(model, "loihi"), *_too_large(model)]
        if model.backend == "loihi" and "headroom" in self.model_fields_set:
            problems.append("headroom: the run learned on the chip's numbers, whose scales are fixed; leave it out")
        if model.spiking:
            problems += [*spikes_in_only(model, "loihi"), *_spikes(model), *lif_only(model, "loihi")]
            problems += [f"network.layers: {line}" for line in unheld(model.network, "loihi", skips=False)]
            if all(isinstance(layer.cell, LIF) for layer in model.network.layers):
                problems += [line for layer in model.network.layers for line in _neuron(model, layer)]
        refuse(problems or _weights(model, self.headroom), "loihi")

    def export(self, model: Model, folder: Path, like: Model | None = None) -> Exported:
        """Write network.net; see `ChipExporter.export`.

        Args:
            like: the network whose scales are taken; the model's own if None.
        """
        held = quantise(model, self._scales(like or model))
        traces, state, wrapped = _run(model, held)
        write(folder / "network.net", held.network)
        return Exported(
            files=("network.net",),
            held=_held(model, held),
            traces=traces,
            decays={name: (wanted, 1 - whole / DECAY_ONE) for name, (wanted, whole) in _decays(model).items()},
            limits=tuple(_limits(model, held, wrapped)),
            check=self._presented(model, held, traces, state),
            facts=_facts(model, held, wrapped),
            late=1,
        )

    def _presented(self, model: Model, held: Quantised, traces: Traces, state: NDArray[np.int64]) -> Check:
        """Return the first sequences, and what is read of the chip: spikes, and the state that is the output."""
        assert traces.s is not None
        steps, sequences = self.shown(model)
        u, s, out = (part[:steps, :sequences] for part in (model.inputs, traces.s, state))
        return Check(
            stimulus={"inputs": compact(u), "state": np.array(held.reads)},
            expected={"spikes": compact(s), "output_state": out},
        )

    def chip(self, model: Model) -> IntegerChip:
        """Return the chip's neurons and scales for this network; see `ChipExporter.chip`."""
        return chip_of(model, self._scales(model))

    def _scales(self, model: Model) -> Scales:
        return scales(model, peaks_of(model, self.headroom))


def peaks_of(model: Model, headroom: float) -> Peaks:
    """Return what states reach: of a network that learned on the chip what was assumed there.

    Else `headroom` times the largest state and output on the model's inputs.
    """
    if model.backend == "loihi":
        return assumed_peaks(model)
    truth = reference(model)
    loudest = max(float(np.abs(truth.y).max()), 1e-300)
    return Peaks(
        {layer.name: headroom * _peak(model, layer, truth) for layer in model.network.layers}, headroom * loudest
    )


def _peak(model: Model, layer: Layer, truth: Traces) -> float:
    """Return a layer's largest current k_I J or membrane on the model's inputs, in thresholds."""
    assert truth.s is not None
    where, step = spans(model.network)[layer.name], model.steps[layer.name]
    v, s, a_m, k_e = truth.v[..., where], truth.s[..., where], float(step.a_m[0]), float(step.k_e[0])
    after = np.concatenate([np.zeros_like(v[:1]), v[:-1] * (1 - s[:-1])])
    current = v - a_m * after - k_e * model.lif(layer).drive
    return max(float(np.abs(v).max()), float(np.abs(current).max()), 1e-300)


def _decays(model: Model) -> dict[str, tuple[float, int]]:
    """Return all decays by name, as wanted and as whole numbers; of several layers each with its layer's name."""
    found = {
        _named(model, layer, name): decay
        for layer in model.network.layers
        for name, decay in decays(model, layer).items()
        if name != "readout"
    }
    return {**found, "readout": output_decay(model)}


def _named(model: Model, layer: Layer, name: str) -> str:
    """Return what is said of a layer, with its name where there are several."""
    return name if len(model.network.layers) == 1 else f"{layer.name} {name}"


def _run(model: Model, held: Quantised) -> tuple[Traces, NDArray[np.int64], int]:
    """Return what the chip does on the model's inputs in the network's steps and units.

    Then the states of its output units (T, B, O) as they are, and how often a current wrapped.
    """
    import torch

    from neuroanp.backends.loihi import begin, run

    u = torch.from_numpy(model.inputs.astype(np.int64))
    u = torch.cat([u, u.new_zeros((1, *u.shape[1:]))])
    steps, _ = run(held.network, begin(held.network, u.shape[1]), u)
    s, v = (x[:-1].numpy() for x in (steps.s, steps.v))
    state = (steps.u_out if held.reads == "u" else steps.v_out)[1:].numpy()
    units = [layer.units for layer in model.network.layers]
    threshold = np.repeat([held.threshold[layer.name] for layer in model.network.layers], units)
    traces = Traces(state / held.scale, s, v / (threshold * 2.0**SHIFT))
    return traces, state, int(steps.wrapped.sum())


def _held(model: Model, held: Quantised) -> dict[str, NDArray[np.float64]]:
    """Return the chip's weights in the network's own units and shapes, in the network's order."""
    found: dict[str, NDArray[np.float64]] = {}
    for layer, block in zip(model.network.layers, held.network.layers, strict=True):
        step, threshold = model.steps[layer.name], held.threshold[layer.name]
        per_current = threshold * float(step.k_i[0])
        below, own = between(model, layer)
        W = block.weight.numpy() / (per_current * gain(model, layer, below))
        if below.bias:
            driven = block.neurons.bias.numpy() - threshold * float(step.k_e[0]) * model.lif(layer).drive
            W = np.column_stack([W, driven / (per_current * gain(model, layer, below))])
        found[below.name] = W
        if own is not None and block.recurrent is not None:
            found[own.name] = block.recurrent.numpy() / (per_current * gain(model, layer, own))
    (p,), outputs = model.network.feed(OUTPUT), held.network.outputs
    W = outputs.weight.numpy() * 2**SHIFT / held.scale
    found[p.name] = np.column_stack([W, outputs.neurons.bias.numpy() * 2**SHIFT / held.scale]) if p.bias else W
    return {p.name: found[p.name] for p in model.network.projections}


def _facts(model: Model, held: Quantised, wrapped: int) -> dict[str, float | int | str]:
    layers = list(zip(model.network.layers, held.network.layers, strict=True))
    facts: dict[str, float | int | str] = {
        _named(model, layer, "threshold"): held.threshold[layer.name] for layer, _ in layers
    }
    facts |= {"output_scale": held.scale}
    facts |= {"largest_weight": max(int(W.abs().max()) for _, block in layers for W in _matrices(block))}
    facts |= {"currents_wrapped": wrapped}
    return facts | {_named(model, layer, "drive"): _drive(model, layer, block) for layer, block in layers
                    if _drives_alone(model, layer)}  # fmt: skip


def _matrices(block: Block) -> list[Any]:
    return [block.weight] if block.recurrent is None else [block.weight, block.recurrent]


def _drives_alone(model: Model, layer: Layer) -> bool:
    """Return whether units have a constant current, and no bias of their own with it."""
    return bool(model.lif(layer).drive) and biased(model.network, layer.name) is None


def _drive(model: Model, layer: Layer, block: Block) -> float:
    """Return the constant current that the chip has."""
    return float(block.neurons.bias[0]) / block.neurons.threshold / float(model.steps[layer.name].k_e[0])


def _limits(model: Model, held: Quantised, wrapped: int) -> list[str]:
    network, layers = held.network, model.network.layers
    units = "; ".join(_named(model, layer, f"1/{held.threshold[layer.name]} thresholds") for layer in layers)
    said = [
        "outputs come one step late (the dense connection); taken out of the traces",
        f"a weight is an even whole number of units of {units}, or {2**SHIFT / held.scale:.3g} "
        f"of an output; output units never spike: read their state {held.reads} and divide by {held.scale:.6g}",
        "lava was not run: check.py runs the file in it, where it is installed, and compares",
    ]
    for layer, block in zip(layers, network.layers, strict=True):
        wanted, _ = in_thresholds(model, layer)
        said += [line for (name, W), got in zip(wanted.items(), _matrices(block), strict=True)
                 for line in _lost(name, W, got)]  # fmt: skip
    (p,) = model.network.feed(OUTPUT)
    said += _lost(p.name, readout(model)[0], network.outputs.weight)
    said += [
        f"{model.key(layer, 'drive')} is {_drive(model, layer, block):.4g}, wanted {model.lif(layer).drive:.4g}"
        for layer, block in zip(layers, network.layers, strict=True)
        if _drives_alone(model, layer)
    ]
    if model.bias:
        said.append("biases act in full from the first step; in the network they rise with tau_s and tau_r")
    if wrapped:
        remedy = "" if model.backend == "loihi" else "; raise headroom"
        said.append(f"a current left its 24 bits {wrapped} times and wrapped round{remedy}")
    return said


def _lost(name: str, W: NDArray[np.float64], got: Any) -> list[str]:
    lost = int(((W != 0) & (got.numpy() == 0)).sum())
    return [f"{name}: {lost} of {W.size} weights are less than half a step, and are 0"] if lost else []


def _too_large(model: Model) -> list[str]:
    network, units = model.network, model.network.units
    counts = {
        "neurons": (network.hidden + network.outputs, NEURONS_MOST),
        "weights": (sum(units[p.pre] * units[p.post] for p in network.projections), SYNAPSES_MOST),
    }
    return [
        f"hidden: {count} {what}, one chip has {most}; train with fewer hidden units"
        for what, (count, most) in counts.items()
        if count > most
    ]


def _neuron(model: Model, layer: Layer) -> list[str]:
    """Find what of a layer's neurons the chip's cannot do."""
    neuron, problems = model.lif(layer), []
    key, to = partial(model.key, layer), partial(setting, model, layer)
    if neuron.reset != "hard":
        problems.append(
            f"{key('reset')}: '{neuron.reset}', Loihi resets to 0{at_once(neuron)}; train with {to('reset', 'hard')}"
        )
    if not neuron.leak:
        problems.append(f"{key('leak')}: false, membranes leak here; train with {to('leak', 'true')}")
    if neuron.refractory_steps(model.dt) > 1:
        rest, dt = (format_quantity(seconds, "s") for seconds in (neuron.refractory, model.dt))
        problems.append(
            f"{key('refractory')}: '{rest}' is longer than one step, '{dt}', and lava's neurons have no rest; "
            f"train with {to('refractory', dt)}"
        )
    if neuron.decoder != "trace":
        problems.append(f"{key('decoder')}: 'count' never forgets; train with {to('decoder', 'trace')}")
    taus = {"membrane": "tau_m", "synapse": "tau_s", "readout": "tau_r"}
    longest = format_quantity(DECAY_ONE * model.dt, "s", 3)
    for name, (_, whole) in decays(model, layer).items():
        forgets = {"membrane": neuron.leak, "readout": neuron.decoder == "trace"}.get(name, True)
        if whole < 1 and forgets:
            tau = format_quantity(getattr(neuron, taus[name]), "s")
            problems.append(
                f"{key(taus[name])}: '{tau}' decays by less than 1/{2 * DECAY_ONE} a step and would never; "
                f"train with {taus[name]} up to '{longest}'"
            )
    return problems


def _spikes(model: Model) -> list[str]:
    bad = int((~np.isin(model.inputs, (0.0, 1.0))).sum())
    if model.spikes_in and bad:
        return [f"inputs: {bad} of {model.inputs.size} are neither 0 nor 1; train with --set encoder=poisson"]
    return []


def _weights(model: Model, headroom: float) -> list[str]:
    """Find weights that no threshold brings into range."""
    feeds = [p.name for p in model.network.projections if p.pre != p.post]
    zero = [name for name in feeds if not np.any(model.columns(name)[0])]
    if zero:
        return [f"{name}: all weights are 0; repeat the training" for name in zero]
    large = [line for layer in model.network.layers for line in _out_of_range(model, layer)]
    if large:
        return large
    peaks = peaks_of(model, headroom)
    (p,) = model.network.feed(OUTPUT)
    if not np.rint(readout(model)[0] * scales(model, peaks).y / 2).any():
        return [
            f"{p.name}: all weights round to 0 where 24 bits hold an output of {peaks.y:.3g}; use a shorter "
            f"{model.key(model.network.layers[-1], 'tau_r')}"
        ]
    return [line for layer in model.network.layers for line in _without_room(model, layer, peaks.state[layer.name])]


def _out_of_range(model: Model, layer: Layer) -> list[str]:
    """Find that weights or biases are too large against a layer's threshold."""
    weights, biases = in_thresholds(model, layer)
    most, largest = finest(weights, biases), max(float(np.abs(W).max()) for W in weights.values())
    if most >= 1:
        return []
    times, names = 1 / most, ", ".join(weights)
    if most * largest <= WEIGHT_HIGH / 2:
        key = model.key(layer, "drive")
        return [f"{key}: a constant current {times:.3g} times too large against the threshold; lower it"]
    key = model.key(layer, "input_gain")
    return [f"{names}: {times:.3g} times too large against the threshold; lower {key} or synapse_gain"]


def _without_room(model: Model, layer: Layer, peak: float) -> list[str]:
    """Find that states of a layer which reach `peak` thresholds leave its weights no bits."""
    weights, biases = in_thresholds(model, layer)
    largest, names = max(float(np.abs(W).max()) for W in weights.values()), ", ".join(weights)
    most = min(finest(weights, biases), ROOM / peak)
    if most * largest < 1:
        return [
            f"{names}: the largest adds {largest:.3g} thresholds and rounds to 0 where {peak:.3g} thresholds fit into "
            "24 bits; use a longer tau_m or tau_s, or repeat the training"
        ]
    if most < 1:
        return [f"{names}: states reach {peak:.3g} thresholds, 24 bits hold {int(ROOM)}; lower headroom"]
    return []
