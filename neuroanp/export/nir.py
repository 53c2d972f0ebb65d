"""The Neuromorphic Intermediate Representation: a graph in HDF5 that simulators and chips' tools load.

`nir_graph` has the graph's numbers and `nir_writing` the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from neuroanp.backends.neuron import LIF
from neuroanp.export import checks
from neuroanp.export.checking.presented import Check, clear, compact, rounded
from neuroanp.export.checking.script import HERE
from neuroanp.export.model import Model, Traces
from neuroanp.export.nir_graph import Folded, fold, simulate, tau_of
from neuroanp.export.nir_graph import Gains as Gains  # these three: nir_import takes them from here
from neuroanp.export.nir_graph import gains as gains
from neuroanp.export.nir_readers import FILE, limits
from neuroanp.export.nir_writing import FORMAT as FORMAT
from neuroanp.export.nir_writing import write
from neuroanp.export.protocol import Exported, PresentingExporter

LARGEST = float(np.finfo(np.float32).max)


class Nir(PresentingExporter):
    """NIR graph (.nir, HDF5) of recurrent LIF units, which simulators and chips' tools load."""

    holds: ClassVar[str] = "spiking networks: LIF, hard reset, no refractory period; inputs spikes or currents"
    reader: ClassVar[str] = "norse 1.1.0, spikingjelly 2.0.0"
    lost: ClassVar[str] = "nothing in the file (float64); readers compute in float32"
    script: ClassVar[Path | None] = HERE / "nir.py"

    outputs: Literal["linear", "li"] = Field(
        default="linear",
        description="the graph gives W_out s_t and the reader applies the outputs' decay, which norse and spikingjelly "
        "can read; or ends in an LI node, which neither can import",
    )

    def check(self, model: Model) -> None:
        """Raise InputError for tanh units, soft reset, refractory periods and time constants within a step."""
        problems = [*checks.finite(model), *checks.one_layer_only(model, "nir", (LIF,))]
        if model.neuron is not None:
            problems += self._of_neuron(model.neuron, model.dt)
        if model.neuron is not None and not problems:
            try:
                problems += _of_range(fold(model, self.outputs == "li"))
            except ValueError as error:
                problems.append(f"neuron.{error}")
        checks.refuse(problems, "nir")

    def _of_neuron(self, neuron: LIF, dt: float) -> list[str]:
        from neuroanp.units import format_quantity

        problems = []
        try:
            neuron.check(dt)
        except ValueError as error:
            problems.append(f"neuron.{error}")
        if neuron.reset != "hard":
            problems.append(
                f"neuron.reset: '{neuron.reset}' cannot be expressed, NIR's units are set to 0 by a spike"
                f"{checks.at_once(neuron)}; train with --set neuron.reset=hard, or --target nir"
            )
        if neuron.refractory_steps(dt) > 1:
            problems.append(
                f"neuron.refractory: '{format_quantity(neuron.refractory, 's')}' is {neuron.refractory_steps(dt)} "
                "steps, NIR's units have none; train with --set neuron.refractory='0 ms', or --target nir"
            )
        if neuron.decoder == "count" and self.outputs == "li":
            problems.append(
                "neuron.decoder: 'count' has no decay and LI needs one; export with --set outputs=linear, or train "
                "with --set neuron.decoder=trace"
            )
        return problems

    def export(self, model: Model, folder: Path) -> Exported:
        """Write network.nir; see `Exporter`."""
        folded = fold(model, self.outputs == "li")
        write(model, folded, folder / FILE)
        g, dt, n = folded.gains, model.dt, model.sizes[1]
        own = model.weights["w_in"].shape[1] - (model.bias and g.bias_in_node)
        held = {"w_in": folded.w_in[:, :own] / g.w_in, "w": folded.w / g.w, "w_out": folded.w_out / g.w_out}
        if model.bias and g.bias_in_node:
            assert folded.bias_in is not None
            held["w_in"] = np.concatenate([held["w_in"], ((folded.bias_in - g.drive) / g.w_in)[:, None]], -1)
        if folded.bias_out is not None:
            held["w_out"] = np.concatenate([held["w_out"], (folded.bias_out / g.output_line)[:, None]], -1)
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

    def _presented(self, model: Model, traces: Traces) -> Check:
        """Return sequences in which float32 decides no spike: readers round, and compute v > 1 or v >= 1."""
        steps, sequences = self.shown(model)
        steps, which = clear(np.abs(traces.v[:steps] - 1.0).min(-1), sequences)
        y, largest = traces.y[:steps, which], float(np.abs(model.weights["w_out"]).max())
        assert traces.s is not None
        return Check(
            stimulus={"inputs": compact(model.inputs[:steps, which])},
            expected={"spikes": compact(traces.s[:steps, which]), "outputs": y},
            tolerance={"outputs": rounded(y, largest)},
        )


def _of_range(folded: Folded) -> list[str]:
    named = {"w_in": folded.w_in, "w": folded.w, "w_out": folded.w_out}
    return [
        f"{name}: with its gain the largest weight is {np.abs(W).max():.3g}, readers' float32 ends at {LARGEST:.3g}; "
        "use a smaller neuron.input_gain or neuron.synapse_gain"
        for name, W in named.items()
        if not (np.abs(W) <= LARGEST).all()
    ]
