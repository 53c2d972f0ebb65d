"""Write a network as the numbers of SynSense's Xylo: 8-bit weights, decays of powers of two, 16-bit thresholds.

The equations and scales are those of `neuroanp.backends.xylo_numbers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from neuroanp.backends.chip_structure import spans, unheld
from neuroanp.backends.neuron import LIF
from neuroanp.backends.xylo_numbers import Array, ChipNumbers, Wanted, chip_of, place, quantised, wanted_numbers
from neuroanp.export import xylo_limits as limits
from neuroanp.export.checking.presented import Check, compact
from neuroanp.export.checking.script import HERE
from neuroanp.export.checks import finite, lif_only, refuse, spikes_in_only, spiking_only
from neuroanp.export.model import Model, Traces
from neuroanp.export.protocol import ChipExporter, Exported
from neuroanp.export.xylo_layers import integers, named, part_of
from neuroanp.export.xylo_limits import DEVICES
from neuroanp.export.xylo_scales import rise, scales_of
from neuroanp.network.network import OUTPUT
from neuroanp.records.json_io import write_object

if TYPE_CHECKING:
    from neuroanp.backends.chips import IntegerChip
    from neuroanp.backends.xylo import Network, State


class Xylo(ChipExporter):
    """SynSense Xylo (v2): integer neurons with 8-bit weights, as a specification."""

    holds: ClassVar[str] = "spiking layers (delay 1) with spikes as inputs, reset by subtraction, no refractory period"
    reader: ClassVar[str] = "xylosim"
    lost: ClassVar[str] = "weights to 8 bits, decays to 1 - 2^-k, states to 16 bits; biases do not rise, they are there"
    script: ClassVar[Path | None] = HERE / "xylo.py"

    device: Literal["audio2", "audio3", "imu"] = Field(
        default="audio3", description="chip of the family whose sizes must hold the network"
    )
    quantize_decay: bool = Field(default=False, description="take the nearest decays 1 - 2^-k, where others are wanted")

    def check(self, model: Model) -> None:
        """Raise InputError for what a Xylo cannot hold; see `Exporter.check`."""
        problems = [*finite(model), *spiking_only(model, "xylo"), *spikes_in_only(model, "xylo")]
        problems += limits.sizes(model, self.device)
        if model.spiking:
            problems += lif_only(model, "xylo")
            problems += [f"network.layers: {line}" for line in unheld(model.network, "xylo", skips=True)]
            problems += limits.readouts(model)
            if all(isinstance(layer.cell, LIF) for layer in model.network.layers):
                problems += limits.units(model, self.quantize_decay)
        if not problems:
            problems += limits.inputs(model)
        if not problems:
            problems += limits.room(model, self.device)
        refuse(problems, "xylo")

    def export(self, model: Model, folder: Path, like: Model | None = None) -> Exported:
        """Write xylo.npz and xylo.json; see `ChipExporter.export`."""
        wanted = wanted_numbers(model)
        held = quantised(wanted, scales_of(like or model), DEVICES[self.device].synapses)
        arrays, numbers = specification(model, wanted, held, self.device)
        np.savez(folder / "xylo.npz", **arrays)
        write_object(folder / "xylo.json", numbers)
        states, before = _run(held.net, model.inputs)
        traces = _traces(model, wanted, held, states, before)
        return Exported(
            files=("xylo.npz", "xylo.json"),
            held=_weights(model, wanted, held),
            traces=traces,
            decays=decays_by_name(model, wanted),
            limits=tuple(_limits(model, wanted, held, states, before)),
            check=self._presented(model, held, traces),
            facts={"device": self.device, **_facts(held, states, before)},
            late=1,
        )

    def _presented(self, model: Model, held: ChipNumbers, traces: Traces) -> Check:
        """Return the first sequences, and the chip's spikes and outputs, equal but for the division by their unit."""
        assert traces.s is not None
        steps, sequences = self.shown(model)
        u, y, s = (part[:steps, :sequences] for part in (model.inputs, traces.y, traces.s))
        least = 1.0 / float(np.max(held.y))  # what a state's unit is of an output
        return Check({"inputs": compact(u)}, {"spikes": compact(s), "outputs": y}, {"outputs": 1e-6 * least})

    def chip(self, model: Model) -> IntegerChip:
        """Return the chip's neurons and scales for this network; see `ChipExporter.chip`."""
        return chip_of(model, wanted_numbers(model), scales_of(model))


def _run(net: Network, inputs: Array) -> tuple[State, Any]:
    """Run the chip one step longer than the inputs, which come a step late: recurrent spikes and they act together."""
    import torch

    from neuroanp.backends import xylo

    late = np.concatenate([np.zeros_like(inputs[:1]), inputs]).astype(np.int64)
    return xylo.run(net, torch.from_numpy(late))


def _traces(model: Model, wanted: Wanted, held: ChipNumbers, states: State, before: Any) -> Traces:
    """Return what the chip does at the network's steps and in its units."""
    y = states.i_out[1:].numpy() / held.y + wanted.offset * rise(model)
    return Traces(y, states.s[:-1].numpy(), before[:-1].numpy() / held.threshold)


def decays_by_name(model: Model, wanted: Wanted) -> dict[str, tuple[float, float]]:
    """Return (wanted, held) of every decay; of several layers each with its layer's name."""
    found = {
        named(model, layer, name): getattr(wanted.layers[layer.name], name)
        for layer in model.network.layers
        for name in ("membrane", "synapse")
    }
    return {**found, "output": wanted.output}


def _weights(model: Model, wanted: Wanted, held: ChipNumbers) -> dict[str, Array]:
    """Return the chip's weights in the network's own units."""
    net, where, found = held.net, spans(model.network), {}
    shifts = {"w_in": net.shift_in, "w_rec": net.shift_rec, "w_out": net.shift_out}
    for p in model.network.projections:
        numbers = integers(model, net, p) * 2.0 ** shifts[place(model.network, p)[0]]
        if p.post == OUTPUT:
            W, column = numbers / held.y[:, None] / wanted.k_out, wanted.offset
        else:
            units, has = where[p.post], wanted.layers[p.post]
            W = numbers / held.threshold[units, None] / has.k(p)
            bias = (net.bias.numpy() + held.kept)[units] / held.threshold[units]
            column = (bias - has.drive) / has.k_bias
        found[p.name] = np.column_stack([W, column]) if p.bias else W
    return found


def specification(
    model: Model, wanted: Wanted, held: ChipNumbers, device: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what xylo.npz and xylo.json hold."""
    net, (inputs, units, outputs) = held.net, model.sizes
    kinds = {"w": np.int8, "dash": np.uint8}
    arrays = {
        name: value.numpy().astype(kinds.get(name.split("_")[0], np.int16))
        for name, value in net._asdict().items()
        if not name.startswith("shift")
    }
    numbers = {
        "format": "neuroanp Xylo specification 1", "network": model.name, "dt": model.dt,
        "device": {"name": device, **asdict(DEVICES[device])},
        "sizes": {"inputs": inputs, "hidden": units, "outputs": outputs},
        **_of_layers(model, wanted),
        "shifts": {"in": net.shift_in, "rec": net.shift_rec, "out": net.shift_out},
        "dashes": _dashes(model, wanted),
        "decays": {
            name: {"wanted": decay, "held": kept} for name, (decay, kept) in decays_by_name(model, wanted).items()
        },
        "thresholds": net.threshold.tolist(), "biases": net.bias.tolist(),
        "delays": {"inputs": 1, "outputs": 1},
        "y": {"units": held.y.tolist(), "offset": wanted.offset.tolist(), "decay": model.readout_decay},
    }  # fmt: skip
    return arrays, numbers


def _of_layers(model: Model, wanted: Wanted) -> dict[str, Any]:
    """Return which hidden units each layer is, where there are several."""
    if len(model.network.layers) == 1:
        return {}
    return {"layers": {name: [where.start, where.stop] for name, where in spans(model.network).items()}}


def _dashes(model: Model, wanted: Wanted) -> dict[str, int]:
    """Return the shifts of all decays, by the names of `decays_by_name`."""
    found = {
        named(model, layer, name): getattr(wanted.layers[layer.name], dash)
        for layer in model.network.layers
        for name, dash in (("membrane", "dash_mem"), ("synapse", "dash_syn"))
    }
    return {**found, "output": wanted.dash_out}


def _facts(held: ChipNumbers, states: State, before: Any) -> dict[str, int | float]:
    net = held.net
    return {
        "shift_in": net.shift_in, "shift_rec": net.shift_rec, "shift_out": net.shift_out,
        "threshold_smallest": int(net.threshold.min()), "threshold_largest": int(net.threshold.max()),
        "steps_of_several_spikes": int((states.s > 1).sum()), "states_saturated": _saturated(net, states, before),
    }  # fmt: skip


def _saturated(net: Network, states: State, before: Any) -> int:
    """Count potentials before their reset at the ends of 16 bits, and currents at what these decay to, or beyond."""
    from neuroanp.backends.xylo import HIGH, LOW, decayed

    def ends(x: Any, dash: Any) -> int:
        low, high = (decayed(dash.new_full(dash.shape, end), dash) for end in (LOW, HIGH))
        return int(((x <= low) | (x >= high)).sum())

    potentials = int(((before <= LOW) | (before >= HIGH)).sum())
    return potentials + ends(states.i, net.dash_syn) + ends(states.i_out, net.dash_syn_out)


def _limits(model: Model, wanted: Wanted, held: ChipNumbers, states: State, before: Any) -> Iterator[str]:
    net = held.net
    yield "inputs are given one step late and outputs read one step late: the chip takes T + 1 steps for T"
    yield "a potential that equals its threshold spikes on the chip, and does not in the network"
    yield "currents and potentials lose at least 1 unit a step, so small ones fade sooner than 1 - 2^-k says"
    if changed := [name for name, (decay, kept) in decays_by_name(model, wanted).items() if abs(decay - kept) > 1e-9]:
        yield f"decays of {', '.join(changed)}: nearest 1 - 2^-k; the charge of a spike stays as it was"
    if several := int((states.s > 1).sum()):
        yield f"several spikes in one step: {several} times; the network spikes once a step at most, the chip up to 31"
    if saturated := _saturated(net, states, before):
        yield f"states at the ends of 16 bits: {saturated} times on the held-out inputs"
    for p in model.network.projections:
        W = part_of(model, wanted, p)
        if gone := int((W != 0).sum() - (integers(model, net, p) != 0).sum()):
            yield f"{p.name}: {gone} of {W.size} weights are rounded to 0"
    if model.bias:
        yield "the bias of inputs is there from the first step, and the bias of outputs is added by who reads them"
