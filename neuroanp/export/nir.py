"""The Neuromorphic Intermediate Representation: a graph in HDF5 that simulators and chips' tools load.

`nir_graph` has the numbers of one recurrent layer and `nir_writing` its file; `nir_layers` and `nir_layers_file` have
those of any layers.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from neuroanp.backends.neuron import LIF
from neuroanp.export import checks, nir_layers
from neuroanp.export.checking.presented import Check, clear, compact, rounded
from neuroanp.export.checking.script import HERE
from neuroanp.export.model import Model, Traces
from neuroanp.export.nir_graph import Gains as Gains  # these three: nir_import takes them from here
from neuroanp.export.nir_graph import fold, simulate, tau_of
from neuroanp.export.nir_graph import gains as gains
from neuroanp.export.nir_layers_file import FORMAT as OF_LAYERS
from neuroanp.export.nir_layers_file import write as write_layers
from neuroanp.export.nir_readers import FILE, limits, limits_of_layers
from neuroanp.export.nir_writing import FORMAT as FORMAT
from neuroanp.export.nir_writing import write
from neuroanp.export.protocol import Exported, PresentingExporter
from neuroanp.network.compose import BACK, INTO, OUT
from neuroanp.network.network import Layer

FORMATS = (FORMAT, OF_LAYERS)
LARGEST = float(np.finfo(np.float32).max)


class Nir(PresentingExporter):
    """NIR graph (.nir, HDF5) of layers of LIF units, which simulators and chips' tools load."""

    holds: ClassVar[str] = (
        "spiking networks of layers: LIF, hard reset, no refractory period; inputs spikes or currents"
    )
    reader: ClassVar[str] = "norse 1.1.0, spikingjelly 2.0.0"
    lost: ClassVar[str] = "nothing in the file (float64); readers compute in float32"
    script: ClassVar[Path | None] = HERE / "nir.py"

    outputs: Literal["linear", "li"] = Field(
        default="linear",
        description="the graph gives W_out s_t and the reader applies the outputs' decay, which norse and spikingjelly "
        "can read; or ends in an LI node, which neither can import",
    )

    def check(self, model: Model) -> None:
        """Raise InputError for rates, soft resets, refractory periods, late edges and time constants within a step."""
        problems = [*checks.finite(model), *checks.spiking_only(model, "nir")]
        layers = model.network.layers if model.spiking else ()
        for layer in layers:
            if isinstance(layer.cell, LIF):
                problems += self._of_neuron(model, layer, layer.cell)
            else:
                problems.append(
                    f"{model.key(layer)}: units given by equations cannot be expressed; train with cell lif"
                )
        if layers and not problems:
            problems += nir_layers.misfits(model)
        if layers and not problems:
            try:
                problems += _of_range(self._weights(model))
            except ValueError as error:  # of layers that differ it names the one
                problems.append(f"{model.key(layers[0])}.{error}" if len(layers) == 1 else f"network.layers: {error}")
        checks.refuse(problems, "nir")

    def _weights(self, model: Model) -> dict[str, Any]:
        """Return the graph's weights by node."""
        if as_ever(model):
            folded = fold(model, self.outputs == "li")
            return {INTO: folded.w_in, BACK: folded.w, OUT: folded.w_out}
        graph = nir_layers.graph_of(model, model.output_line, self.outputs == "li")
        return {name: node.weight for name, node in graph.weights.items()}

    def _of_neuron(self, model: Model, layer: Layer, neuron: LIF) -> list[str]:
        from neuroanp.units import format_quantity

        problems, dt, to = [], model.dt, partial(checks.setting, model, layer)
        try:
            neuron.check(dt)
        except ValueError as error:
            problems.append(str(error))
        if neuron.reset != "hard":
            problems.append(
                f"reset: '{neuron.reset}' cannot be expressed, NIR's units are set to 0 by a spike"
                f"{checks.at_once(neuron)}; train with {to('reset', 'hard')}, or --target nir"
            )
        if neuron.refractory_steps(dt) > 1:
            problems.append(
                f"refractory: '{format_quantity(neuron.refractory, 's')}' is {neuron.refractory_steps(dt)} "
                f"steps, NIR's units have none; train with {to('refractory', '0 ms')}, or --target nir"
            )
        if neuron.decoder == "count" and self.outputs == "li":
            problems.append(
                "decoder: 'count' has no decay and LI needs one; export with --set outputs=linear, or train "
                f"with {to('decoder', 'trace')}"
            )
        return [model.key(layer, problem) for problem in problems]

    def export(self, model: Model, folder: Path) -> Exported:
        """Write network.nir; see `Exporter`."""
        if not as_ever(model):
            return self._layers(model, folder)
        folded = fold(model, self.outputs == "li")
        write(model, folded, folder / FILE)
        g, dt, n = folded.gains, model.dt, model.sizes[1]
        own = model.weights[INTO].shape[1] - (model.bias and g.bias_in_node)
        held = {INTO: folded.w_in[:, :own] / g.w_in, BACK: folded.w / g.w, OUT: folded.w_out / g.w_out}
        if model.bias and g.bias_in_node:
            assert folded.bias_in is not None
            held[INTO] = np.concatenate([held[INTO], ((folded.bias_in - g.drive) / g.w_in)[:, None]], -1)
        if folded.bias_out is not None:
            held[OUT] = np.concatenate([held[OUT], (folded.bias_out / g.output_line)[:, None]], -1)
        factors = {"membrane": g.a_m, "synapse": g.a_s, "readout": g.a_y}
        if not g.cuba:
            del factors["synapse"]
        traces = simulate(folded, model.inputs)
        return Exported(
            files=(FILE,),
            held=held,
            traces=traces,
            decays={k: (a, 1.0 - dt / tau_of(a, dt) if a < 1.0 else 1.0) for k, a in factors.items()},
            limits=limits(model, folded),
            check=self._presented(model, traces),
            facts={"node": "CubaLIF" if g.cuba else "LIF", "input_lines": folded.w_in.shape[1], "units": n},
        )

    def _layers(self, model: Model, folder: Path) -> Exported:
        """Write a graph of layers, whatever there are."""
        graph = nir_layers.graph_of(model, model.output_line, self.outputs == "li")
        write_layers(model, graph, folder / FILE)
        held = nir_layers.own_weights(
            graph, {name: (node.weight, node.bias) for name, node in graph.weights.items()}, model
        )
        decays: dict[str, tuple[float, float]] = {}
        many = len(graph.units) > 1
        for name, unit in graph.units.items():
            for what, a in (("membrane", unit.a_m), *([("synapse", unit.a_s)] if unit.kind == "CubaLIF" else [])):
                as_held: Any = np.ones_like(a) if unit.kind == "IF" else 1.0 - model.dt / tau_of(a, model.dt)
                worst = int(np.abs(as_held - a).argmax())
                decays[f"{name}.{what}" if many else what] = float(a[worst]), float(as_held[worst])
        decays["readout"] = graph.decay, graph.decay
        traces = nir_layers.simulate(graph, model)
        return Exported(
            files=(FILE,),
            held=held,
            traces=traces,
            decays=decays,
            limits=limits_of_layers(model, graph),
            check=self._presented(model, traces, graph),
            facts={
                "nodes": ", ".join(unit.kind for unit in graph.units.values()),
                "input_lines": len(graph.taps),
                "units": model.sizes[1],
            },
        )

    def _presented(self, model: Model, traces: Traces, graph: nir_layers.Graph | None = None) -> Check:
        """Return sequences in which float32 decides no spike: readers round, and compute v > 1 or v >= 1."""
        steps, sequences = self.shown(model)
        thresholds = 1.0 if graph is None else np.concatenate([unit.threshold for unit in graph.units.values()])
        steps, which = clear(np.abs(traces.v[:steps] / thresholds - 1.0).min(-1), sequences)
        y = traces.y[:steps, which]
        largest = max(float(np.abs(model.weights[name]).max()) for name in model.network.readout)
        assert traces.s is not None
        s = compact(traces.s[:steps, which])
        spikes = {"spikes": s}
        if graph is not None:
            ends = np.cumsum([layer.units for layer in model.network.layers])[:-1]
            parts = zip(model.network.layers, np.split(s, ends, -1), strict=True)
            spikes = {f"spikes.{layer.name}": part for layer, part in parts}
        return Check(
            stimulus={"inputs": compact(model.inputs[:steps, which])},
            expected={**spikes, "outputs": y},
            tolerance={"outputs": rounded(y, largest)},
        )


def as_ever(model: Model) -> bool:
    """Tell whether it is one recurrent layer of leaky units that are all alike, whose graph is that of `nir_graph`."""
    if not model.one_layer or any(model.factors.values()):
        return False
    return model.lif(model.layer).leak and not (model.spikes_in and not model.network.input_delay)


def _of_range(named: dict[str, Any]) -> list[str]:
    return [
        f"{name}: with its gain the largest weight is {np.abs(W).max():.3g}, readers' float32 ends at {LARGEST:.3g}; "
        "use a smaller neuron.input_gain or neuron.synapse_gain"
        for name, W in named.items()
        if not (np.abs(W) <= LARGEST).all()
    ]
