"""Networks in ONNX: tanh units by the operator RNN, spiking ones by a Scan over their step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from neuroanp.backends.neuron import LIF
from neuroanp.export import onnx_graphs
from neuroanp.export.checking.presented import Check, clear, compact, rounded
from neuroanp.export.checking.script import HERE
from neuroanp.export.checks import at_once_only, finite, refuse
from neuroanp.export.model import reference
from neuroanp.export.protocol import Exported, PresentingExporter

if TYPE_CHECKING:
    from neuroanp.export.model import Model, Traces

MAX_BYTES = 2**31 - 1
"""What a protobuf message may hold."""
UNIT, ROOM = 16, 2**16
"""More than a graph takes beside weights: numbers a unit, and bytes."""

ROUNDING = {"float32": 1e-5, "float64": 1e-10}
"""Relative error that sums may have in the runtime's order: some hundred times that of a number."""
RATHER = 20
"""How many times as far from ours a runtime's sums may be as ours are from those in float64."""


class Onnx(PresentingExporter):
    """ONNX graph (opset 17): tanh units by RNN, spiking ones by Scan.

    Inputs are "inputs" (T, B, I), without the line of a bias; outputs are "outputs" (T, B, O). T and B are free. Every
    call begins at rest.
    """

    holds: ClassVar[str] = "rate and spiking networks, any reset, any refractory period, bias, currents or spikes in"
    reader: ClassVar[str] = "onnxruntime"
    lost: ClassVar[str] = "rounding to float32; nothing where spiking networks take dtype=float64"
    script: ClassVar[Path | None] = HERE / "onnx.py"

    dtype: Literal["float32", "float64"] = Field(
        default="float32", description="numbers of the graph; onnxruntime has no float64 for tanh units"
    )
    states: bool = Field(
        default=False,
        description='give "spikes" and "v", the potentials before resets, too; "rates" of tanh units; all (T, B, N)',
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
        if model.neuron is not None and not isinstance(model.neuron, LIF):
            name = type(model.neuron).__name__
            return [f"neuron: '{name}' has equations that ONNX graphs are not known for; train with neuron 'lif'"]
        if model.neuron is None and self.dtype == "float64":
            return ["dtype: 'float64' of tanh units runs nowhere, onnxruntime has RNN in float32 only; use float32"]
        return []

    def _range(self, model: Model) -> list[str]:
        """Find numbers that are finite, but not in the graph's precision."""
        numbers: dict[str, Any] = dict(model.weights)
        if isinstance(model.neuron, LIF):
            numbers |= {f"neuron.{key}": gain for key, gain in onnx_graphs.gains(model.neuron).items()}
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
        parts = onnx_graphs.tensors(model, self.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            traces = onnx_graphs.evaluate(model, parts, model.inputs)
        if not (np.isfinite(traces.y).all() and np.isfinite(traces.v).all()):
            refuse([f"outputs: not finite in {self.dtype}; train with smaller weights and gains"], "onnx")
        content = serialized(model, parts, self.dtype, self.states)
        (folder / "model.onnx").write_bytes(content)
        held = onnx_graphs.held(model, parts)
        facts: dict[str, float | int | str] = {
            "opset": onnx_graphs.OPSET, "ir_version": onnx_graphs.IR_VERSION, "bytes": len(content),
        }  # fmt: skip
        if model.spiking:
            margins = np.abs(traces.v - onnx_graphs.crossed(model, parts["threshold"], traces))
            facts["smallest |v - threshold|"] = float(margins.min())
        return Exported(
            files=("model.onnx",),
            held=held,
            traces=traces,
            decays=_decays(model, parts),
            limits=tuple(self._limits(model, parts, held)),
            check=self._presented(model, parts, traces),
            facts=facts,
        )

    def _presented(self, model: Model, parts: onnx_graphs.Tensors, traces: Traces) -> Check:
        """Return sequences in which rounding decides no spike, and what the graph gives for them."""
        steps, sequences = self.shown(model)
        which, relative = np.arange(sequences), ROUNDING[self.dtype]
        if model.spiking:
            distance = np.abs(traces.v[:steps] - parts["threshold"]).min(-1)
            steps, which = clear(distance, sequences, 10 * relative)
        u = model.inputs[:steps, which]
        y, s, v = (None if part is None else part[:steps, which] for part in (traces.y, traces.s, traces.v))
        assert y is not None
        assert v is not None
        expected, allowed = {"outputs": y}, {"outputs": rounded(y, float(np.abs(parts["w_out_t"]).max()), relative)}
        if self.states and s is not None:
            expected, allowed = expected | {"spikes": compact(s), "v": v}, allowed | {"v": rounded(v, 1.0, relative)}
        elif self.states:
            expected, allowed = expected | {"rates": np.tanh(v)}, allowed | {"rates": relative}
        if s is None:  # rounding may grow from step to step, and float64 tells how much
            grown = RATHER * float(np.abs(y - reference(model, u).y).max())
            allowed = {name: max(most, grown) for name, most in allowed.items()}
        return Check({"inputs": compact(u)}, expected, allowed)

    def _limits(self, model: Model, parts: onnx_graphs.Tensors, held: dict[str, Any]) -> list[str]:
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
        for name, (wanted, kept) in _decays(model, parts).items():
            if wanted < 1.0 == kept:
                said.append(f"{name}: its factor a step, 1 - {1.0 - wanted:.3g}, became 1: it does not decay.")
        return said


def serialized(model: Model, parts: onnx_graphs.Tensors, dtype: str, states: bool) -> bytes:
    """Return the bytes of a checked ONNX model; the same network gives the same bytes.

    Args:
        model: the network. parts: initializers of its graph by name.
        dtype: "float32" or "float64". states: whether the graph gives what its units do, too.
    """
    import onnx  # pyright: ignore[reportMissingImports]
    import onnx.checker  # pyright: ignore[reportMissingImports]
    import onnx.parser  # pyright: ignore[reportMissingImports]

    head = f'<ir_version: {onnx_graphs.IR_VERSION}, opset_import: ["" : {onnx_graphs.OPSET}]>'
    proto = onnx.parser.parse_model(f"{head}\n{onnx_graphs.graph(model, dtype, states)}")
    proto.producer_name = "neuroanp"
    for name, part in parts.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(part), name))
    onnx.helper.set_model_props(proto, _properties(model))
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString(deterministic=True)


def _properties(model: Model) -> dict[str, str]:
    neuron = {} if model.neuron is None else model.neuron.model_dump(mode="json")
    return {
        "name": model.name,
        "dt": repr(float(model.dt)),
        "units": "lif" if model.spiking else "tanh",
        "inputs": "spikes" if model.spikes_in else "currents",
        "neuron": json.dumps(neuron, sort_keys=True),
    }


def _decays(model: Model, parts: onnx_graphs.Tensors) -> dict[str, tuple[float, float]]:
    if not model.spiking:
        return {}
    wanted = {"a_m": model.step.a_m[0], "a_s": model.step.a_s[0], "readout_decay": model.readout_decay}
    names = {"membrane": "a_m", "synapse": "a_s", "readout": "readout_decay"}
    return {name: (float(wanted[key]), float(parts[key].flat[0])) for name, key in names.items()}


def _library() -> list[str]:
    try:
        import onnx  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        return [f"onnx cannot be imported ({error}); pip install 'neuroanp[onnx]'"]
    return []
