"""Networks in ONNX: tanh, GRU and LSTM by their operators, other cells and spiking units by a Scan over their step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field

from neuroanp.backends.neuron import LIF
from neuroanp.export import onnx_graphs, onnx_rates, onnx_spikes, onnx_spiking_sums
from neuroanp.export.checking.presented import Check, clear, compact, rounded
from neuroanp.export.checking.script import HERE
from neuroanp.export.checks import at_once_only, finite, refuse
from neuroanp.export.onnx_names import Names
from neuroanp.export.protocol import Exported, PresentingExporter
from neuroanp.network.tanh import Tanh

if TYPE_CHECKING:
    from neuroanp.export.model import Model
    from neuroanp.network.cell import Unit

MAX_BYTES = 2**31 - 1
"""What a protobuf message may hold."""
UNIT, ROOM = 16, 2**16
"""More than a graph takes beside weights: numbers a unit, and bytes."""

ROUNDING = {"float32": 1e-5, "float64": 1e-10}
"""Relative error that sums may have in the runtime's order: some hundred times that of a number."""
UNITS: dict[type, str] = {Tanh: "tanh", LIF: "lif"}
"""What files call the units of networks of one layer."""
RATHER = 20
"""How many times as far from ours a runtime's sums may be as ours are from those in float64."""


class Onnx(PresentingExporter):
    """ONNX graph (opset 17): layers of tanh, GRU and LSTM by RNN, GRU and LSTM, all other cells by Scan, spiking too.

    Inputs are "inputs" (T, B, I), without the line of a bias; outputs are "outputs" (T, B, O). T and B are free. Every
    call begins at rest. A cell of one's own is traced: its step may use most of torch, and what ONNX is not known for
    is refused by its name.
    """

    holds: ClassVar[str] = (
        "rate networks of any layers and cells, spiking ones of any LIF layers, any reset and refractory period, "
        "skips, bias, currents or spikes in"
    )
    reader: ClassVar[str] = "onnxruntime"
    lost: ClassVar[str] = "rounding to float32; nothing with dtype=float64"
    script: ClassVar[Path | None] = HERE / "onnx.py"

    dtype: Literal["float32", "float64"] = Field(
        default="float32",
        description="numbers of the graph; onnxruntime has RNN, GRU and LSTM in float32 only, so float64 is by Scan",
    )
    states: bool = Field(
        default=False,
        description='give "spikes" and "v", the potentials before resets, too; "rates" of rate units; (T, B, n) each, '
        "and of several layers with their names: rates_hidden_1, ...",
    )

    def check(self, model: Model) -> None:
        """Raise InputError for what neither the format nor its runtime can hold."""
        problems = finite(model) + self._units(model) + at_once_only(model, "onnx") + _library()
        if not np.isfinite(model.inputs).all():
            problems.append("inputs: held-out inputs are not finite; correct the task's data")
        numbers = sum(W.size for W in model.weights.values()) + UNIT * model.sizes[1]
        size = numbers * np.dtype(self.dtype).itemsize + ROOM
        if size > MAX_BYTES:
            narrower = "use --set dtype=float32, or " if self.dtype == "float64" else ""
            problems.append(f"weights: {size} bytes, ONNX holds {MAX_BYTES}; {narrower}train a smaller network")
        refuse(problems + self._range(model), "onnx")

    def _units(self, model: Model) -> list[str]:
        """Find layers whose units have no equations in ONNX, and arrays that these have no place for."""
        if not model.spiking:
            return onnx_rates.refused(model, self.dtype)
        other = [layer for layer in model.network.layers if not isinstance(layer.cell, LIF)]
        where = {layer.name: "neuron" if len(model.network.layers) == 1 else layer.name for layer in other}
        return [
            f"{where[layer.name]}: '{type(layer.cell).__name__}' has equations that ONNX graphs are not known for; "
            "train with neuron 'lif'"
            for layer in other
        ] or onnx_spikes.refused(model)

    def _range(self, model: Model) -> list[str]:
        """Find numbers that are finite, but not in the graph's precision."""
        numbers: dict[str, Any] = dict(model.weights)
        for layer in model.network.layers:
            where = "neuron" if len(model.network.layers) == 1 else layer.name
            if isinstance(layer.cell, LIF):
                numbers |= {f"{where}.{key}": gain for key, gain in onnx_spikes.gains(layer.cell).items()}
        limit = np.finfo(self.dtype).max
        counts = {name: int(((np.abs(part) > limit) & np.isfinite(part)).sum()) for name, part in numbers.items()}
        wider = "use --set dtype=float64" if model.spiking else "train with smaller ones"
        return [
            f"{name}: {count} numbers exceed {limit:.3g}, the range of {self.dtype}; {wider}"
            for name, count in counts.items()
            if count
        ]

    def export(self, model: Model, folder: Path) -> Exported:
        """Write model.onnx; see `Exporter`."""
        graph = onnx_graphs.drawn(model, self.dtype, self.states)
        with np.errstate(over="ignore", invalid="ignore"):
            done = onnx_graphs.evaluate(model, graph.parts, self.dtype, model.inputs)
        traces = done.traces
        if not (np.isfinite(traces.y).all() and np.isfinite(traces.v).all()):
            refuse([f"outputs: not finite in {self.dtype}; train with smaller weights and gains"], "onnx")
        content = serialized(model, graph)
        (folder / "model.onnx").write_bytes(content)
        held = onnx_graphs.held(model, self.dtype)
        facts: dict[str, float | int | str] = {
            "opset": onnx_graphs.OPSET, "ir_version": onnx_graphs.IR_VERSION, "bytes": len(content),
        }  # fmt: skip
        if model.spiking:
            force, _ = onnx_spiking_sums.margins(model, onnx_spikes.thresholds(model, graph.parts), traces)
            facts["smallest |v - threshold|"] = float(force.min())
        decays = _decays(model, graph.parts)
        return Exported(
            files=("model.onnx",),
            held=held,
            traces=traces,
            decays=decays,
            limits=tuple(self._limits(model, decays, held)),
            check=self._presented(model, graph.parts, done),
            facts=facts,
        )

    def _presented(self, model: Model, parts: onnx_graphs.Tensors, done: onnx_graphs.Done) -> Check:
        """Return sequences in which rounding decides no spike, and what the graph gives for them."""
        steps, sequences = self.shown(model)
        which, relative, traces = np.arange(sequences), ROUNDING[self.dtype], done.traces
        if model.spiking:
            _, nearest = onnx_spiking_sums.margins(model, onnx_spikes.thresholds(model, parts), traces)
            steps, which = clear(nearest[:steps].min(-1), sequences, 10 * relative)
        u, y = model.inputs[:steps, which], traces.y[:steps, which]
        largest = max(float(np.abs(model.weights[name]).max()) for name in model.network.readout)
        expected, allowed = {"outputs": y}, {"outputs": rounded(y, largest, relative)}
        if self.states:
            for name, part in done.states.items():
                shown = part[:steps, which]
                expected[name] = compact(shown) if name.startswith("spikes") else shown
                if not name.startswith("spikes"):
                    allowed[name] = rounded(shown, 1.0, relative)
        if not model.spiking:  # rounding may grow from step to step, and float64 tells how much
            exact = onnx_graphs.evaluate(model, parts, "float64", u)
            grown = {"outputs": RATHER * float(np.abs(y - exact.traces.y).max())}
            grown |= {name: RATHER * float(np.abs(done.states[name][:steps, which] - part).max())
                      for name, part in exact.states.items()}  # fmt: skip
            allowed = {name: max(most, grown["outputs"], grown[name]) for name, most in allowed.items()}
        return Check({"inputs": compact(u)}, expected, allowed)

    def _limits(self, model: Model, decays: dict[str, tuple[float, float]], held: dict[str, Any]) -> list[str]:
        said = ["Every call begins at rest: give a sequence whole, not in pieces."]
        if model.spiking:
            said.append(
                f"Sums are {self.dtype}, in the order of the runtime: a spike may come or go where |v - threshold| is "
                "below their rounding, and what follows it differs."
            )
        for name, W in held.items():
            lost = int(((W == 0) & (model.weights[name] != 0)).sum())
            if lost:
                said.append(f"{name}: {lost} weights are too small for {self.dtype} and became 0.")
        for name, (wanted, kept) in decays.items():
            if wanted < 1.0 == kept:
                said.append(f"{name}: its factor a step, 1 - {1.0 - wanted:.3g}, became 1: it does not decay.")
        return said


def serialized(model: Model, graph: onnx_rates.Drawn) -> bytes:
    """Return the bytes of a checked ONNX model; the same network gives the same bytes.

    Args:
        model: the network. graph: its graph.
    """
    import onnx  # pyright: ignore[reportMissingImports]
    import onnx.checker  # pyright: ignore[reportMissingImports]
    import onnx.parser  # pyright: ignore[reportMissingImports]

    head = f'<ir_version: {onnx_graphs.IR_VERSION}, opset_import: ["" : {onnx_graphs.OPSET}]>'
    proto = onnx.parser.parse_model(f"{head}\n{graph.text}")
    proto.producer_name = "neuroanp"
    for name, part in graph.parts.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(part), name))
    onnx.helper.set_model_props(proto, _properties(model))
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString(deterministic=True)


def _properties(model: Model) -> dict[str, str]:
    """Return what the file says of the network; of several layers, or other units, what each of them is."""
    layers = model.network.layers
    kinds = [UNITS.get(type(layer.cell), type(layer.cell).__name__) for layer in layers]
    options = [_options(layer.cell) for layer in layers]
    said = {
        "name": model.name,
        "dt": repr(float(model.dt)),
        "units": ", ".join(dict.fromkeys(kinds)),
        "inputs": "spikes" if model.spikes_in else "currents",
    }
    if len(layers) == 1 and type(layers[0].cell) in UNITS:
        return said | {"neuron": json.dumps(options[0] if model.spiking else {}, sort_keys=True)}
    whole = [{"name": layer.name, "units": layer.units, "cell": kind, "options": told}
             for layer, kind, told in zip(layers, kinds, options, strict=True)]  # fmt: skip
    return said | {"layers": json.dumps(whole, sort_keys=True)}


def _options(cell: Unit) -> dict[str, Any]:
    return cell.model_dump(mode="json") if isinstance(cell, BaseModel) else {}


def _decays(model: Model, parts: onnx_graphs.Tensors) -> dict[str, tuple[float, float]]:
    """Return what each decay is wanted to be and is: of units that differ, where it is off most."""
    if not model.spiking:
        return {}
    found = {}
    for layer in model.network.layers:
        tag, step = Names(model.network).of[layer.name], model.steps[layer.name]
        for name, key, part in (("membrane", "a_m", step.a_m), ("synapse", "a_s", step.a_s)):
            wanted, kept = part.numpy(), parts[f"{key}{tag}"].astype(np.float64)
            worst = int(np.abs(kept - wanted).argmax())
            found[f"{name}{tag}"] = (float(wanted[worst]), float(kept[worst]))
    return found | {"readout": (model.readout_decay, float(parts["readout_decay"]))}


def _library() -> list[str]:
    try:
        import onnx  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        return [f"onnx cannot be imported ({error}); pip install 'neuroanp[onnx]'"]
    return []
