"""The Neuromorphic Intermediate Representation: a graph in HDF5 that simulators and chips' tools load.

    input -> w_in -> LIF (CubaLIF where tau_s > 0) <-> w,  LIF -> w_out (-> LI) -> output

NIR states equations in continuous time; readers step them by Euler, and a recurrent node sees the step before:

    LIF:      v_t = (1 - dt/tau) v_{t-1} + (dt/tau) (W_in u_t + b + W s_{t-1})
    CubaLIF:  J_t = (1 - dt/tau_syn) J_{t-1} + W_in u_t + W s_{t-1},   v_t = (1 - dt/tau_mem) v_{t-1} + J_t

Every decay a is written as tau = dt / (1 - a), so that Euler's factor is the network's own, and all gains are in the
weights: r is 1 of LIF, and r = tau_mem / dt, w_in = tau_syn / dt of CubaLIF, which is what all readers understand.

Where the network's equations take the past of an input, the reader filters it: line l gets p_l u_t + q_l u_{t-1}.
Input spikes come one step late (p, q = 0, 1). Currents, which do not pass through the synapse, undo its filter before
they enter CubaLIF (1, -a_s); so does the constant drive, on a line of its own.

Source: Pedersen et al., Nature Communications 15, 8122 (2024).
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from neuroanp.errors import InputError
from neuroanp.export import checks
from neuroanp.export.model import Model, Traces
from neuroanp.export.nir_folding import Array, Folded, Gains, fold
from neuroanp.export.nir_readers import FILE, limits, read_back
from neuroanp.export.protocol import Exported, Exporter
from neuroanp.records.atomic import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from neuroanp.backends.neuron import LIF

FORMAT = "neuroanp-1"
LARGEST = float(np.finfo(np.float32).max)


def simulate(folded: Folded, u: Array) -> Traces:
    """Return what a reader computes, with the decays that the written time constants give, in float64.

    Args:
        folded: the graph's numbers. u: (T, B, I) inputs of the network, before the filter of the input lines.
    """
    g = folded.gains
    a_m, a_s, a_y = (1.0 - folded.dt / _tau(a, folded.dt) if a < 1.0 else 1.0 for a in (g.a_m, g.a_s, g.a_y))
    v, J, y = (np.zeros((u.shape[1], len(weights))) for weights in (folded.w, folded.w, folded.w_out))
    bias_in, bias_out = (0.0 if b is None else b for b in (folded.bias_in, folded.bias_out))
    s, ss, vs, ys = v, [], [], []
    for x in folded.lines(u) @ folded.w_in.T + bias_in:
        current = x + s @ folded.w.T
        J = a_s * J + current
        v = a_m * v + (J if g.cuba else (1.0 - a_m) * current)
        s = (v > 1.0).astype(float)
        out = s @ folded.w_out.T + bias_out
        y = a_y * y + ((1.0 - a_y) * out if folded.li else out)
        vs.append(v)
        ss.append(s)
        ys.append(y)
        v = np.where(s > 0, 0.0, v)
    return Traces(np.array(ys), np.array(ss).astype(np.int64), np.array(vs))


class Nir(Exporter):
    """NIR graph (.nir, HDF5) of recurrent LIF units, which simulators and chips' tools load."""

    holds: ClassVar[str] = "spiking networks: LIF, hard reset, no refractory period; inputs spikes or currents"
    reader: ClassVar[str] = "norse 1.1.0, spikingjelly 2.0.0"
    lost: ClassVar[str] = "nothing in the file (float64); readers compute in float32"

    outputs: Literal["linear", "li"] = Field(
        default="linear",
        description="the graph gives W_out s_t and the reader applies the outputs' decay, which norse and spikingjelly "
        "can read; or ends in an LI node, which neither can import",
    )

    def check(self, model: Model) -> None:
        """Raise InputError for tanh units, soft reset, refractory periods and time constants within a step."""
        problems = [*checks.finite(model), *checks.spiking_only(model, "nir")]
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
        return Exported(
            files=(FILE,),
            held=held,
            traces=simulate(folded, model.inputs),
            decays={k: (a, 1.0 - dt / _tau(a, dt) if a < 1.0 else 1.0) for k, a in factors.items()},
            limits=limits(model, folded),
            read_back=read_back(folded),
            facts={"node": "CubaLIF" if g.cuba else "LIF", "input_lines": folded.w_in.shape[1], "units": n},
        )


def write(model: Model, folded: Folded, path: Path) -> None:
    """Write the graph; the same network gives the same bytes.

    Metadata of the graph hold what NIR has no field for; of a node with weights, `rest` is what float64 lost when the
    gain was folded in, so that the importer returns the network's own weights bit for bit.

    Raises:
        InputError: nir is not installed.
        RunError: the disk is full or fails.
    """
    try:
        import nir  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(f"nir cannot be imported ({error}); pip install 'neuroanp[nir]'") from None

    assert model.neuron is not None
    g, n, W = folded.gains, model.sizes[1], model.weights
    lines, outs = folded.w_in.shape[1], len(folded.w_out)
    own = folded.w_in.shape[1] - (g.cuba and bool(g.drive))
    rest = np.zeros_like(folded.w_in)
    rest[:, :own] = W["w_in"][:, :own] - folded.w_in[:, :own] / g.w_in
    own_in = W["w_in"][:, model.sizes[0]] if model.bias and g.bias_in_node else None
    nodes = {
        "input": nir.Input({"input": np.array([lines])}),
        "w_in": _linear(nir, folded.w_in, folded.bias_in, rest, own_in),
        "lif": _unit(nir, g, model.dt, n),
        "w": _linear(nir, folded.w, None, W["w"] - folded.w / g.w, None),
        "w_out": _linear(
            nir,
            folded.w_out,
            folded.bias_out,
            W["w_out"][:, :n] - folded.w_out / g.w_out,
            W["w_out"][:, n] if model.bias else None,
        ),
        "output": nir.Output({"output": np.array([outs])}),
    }
    edges = [("input", "w_in"), ("w_in", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "w_out"), ("w_out", "output")]
    if folded.li:
        one = np.ones(outs)
        nodes["li"] = nir.LI(tau=_tau(g.a_y, model.dt) * one, r=one, v_leak=0.0 * one)
        edges = [*edges[:-1], ("w_out", "li"), ("li", "output")]
    graph, content = nir.NIRGraph(nodes, edges, metadata=_metadata(model, folded)), BytesIO()
    nir.write(content, graph)  # pyright: ignore[reportArgumentType] - in memory: HDF5 crashes where a disk is full
    write_bytes(path, content.getvalue())


def _metadata(model: Model, folded: Folded) -> dict[str, Any]:
    assert model.neuron is not None
    g = folded.gains
    about = {
        "format": FORMAT,
        "dt": float(model.dt),
        "reset": "hard",
        "neuron": model.neuron.model_dump_json(),
        "bias": int(model.bias),
        "spikes_in": int(model.spikes_in),
        "input_delay_steps": int(model.spikes_in),
        "w_in_gain": g.w_in,
        "w_gain": g.w,
        "w_out_gain": g.w_out,
        "output_decay": g.a_y,
        "output_line": float(model.output_line),
    }
    if folded.filtered:
        about["input_taps"] = folded.taps
    if folded.constants:
        about["input_constants"] = np.array(folded.constants)
    return about


def _linear(nir: Any, weight: Array, bias: Array | None, rest: Array, own_bias: Array | None) -> Any:
    about = {"rest": rest} if rest.any() else {}
    if own_bias is not None:
        about["own_bias"] = np.ascontiguousarray(own_bias)
    return nir.Linear(weight, metadata=about) if bias is None else nir.Affine(weight, bias, metadata=about)


def _unit(nir: Any, g: Gains, dt: float, n: int) -> Any:
    one, zero, tau = np.ones(n), np.zeros(n), _tau(g.a_m, dt)
    if not g.cuba:
        return nir.LIF(tau=tau * one, r=one, v_leak=zero, v_threshold=one, v_reset=zero)
    tau_s = _tau(g.a_s, dt)
    return nir.CubaLIF(
        tau_syn=tau_s * one, tau_mem=tau * one, r=tau / dt * one, v_leak=zero, v_threshold=one, v_reset=zero,
        w_in=tau_s / dt * one,
    )  # fmt: skip


def _tau(a: float, dt: float) -> float:
    """Return the time constant for which an Euler step of dt has the factor a."""
    return dt / (1.0 - a)


def _of_range(folded: Folded) -> list[str]:
    named = {"w_in": folded.w_in, "w": folded.w, "w_out": folded.w_out}
    return [
        f"{name}: with its gain the largest weight is {np.abs(W).max():.3g}, readers' float32 ends at {LARGEST:.3g}; "
        "use a smaller neuron.input_gain or neuron.synapse_gain"
        for name, W in named.items()
        if not (np.abs(W) <= LARGEST).all()
    ]
