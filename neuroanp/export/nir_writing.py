"""Write a NIR graph, with what NIR has no field for in its metadata."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from neuroanp.errors import InputError
from neuroanp.export.model import Model
from neuroanp.export.nir_graph import Array, Folded, Gains, tau_of
from neuroanp.network.compose import BACK, INTO, OUT
from neuroanp.records.atomic import write_bytes

FORMAT = "neuroanp-1"


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
    rest[:, :own] = W[INTO][:, :own] - folded.w_in[:, :own] / g.w_in
    own_in = W[INTO][:, model.sizes[0]] if model.bias and g.bias_in_node else None
    nodes = {
        "input": nir.Input({"input": np.array([lines])}),
        INTO: _linear(nir, folded.w_in, folded.bias_in, rest, own_in),
        "lif": _unit(nir, g, model.dt, n),
        BACK: _linear(nir, folded.w, None, W[BACK] - folded.w / g.w, None),
        OUT: _linear(
            nir,
            folded.w_out,
            folded.bias_out,
            W[OUT][:, :n] - folded.w_out / g.w_out,
            W[OUT][:, n] if model.bias else None,
        ),
        "output": nir.Output({"output": np.array([outs])}),
    }
    edges = [("input", INTO), (INTO, "lif"), ("lif", BACK), (BACK, "lif"), ("lif", OUT), (OUT, "output")]
    if folded.li:
        one = np.ones(outs)
        nodes["li"] = nir.LI(tau=tau_of(g.a_y, model.dt) * one, r=one, v_leak=0.0 * one)
        edges = [*edges[:-1], (OUT, "li"), ("li", "output")]
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
    one, zero, tau = np.ones(n), np.zeros(n), tau_of(g.a_m, dt)
    if not g.cuba:
        return nir.LIF(tau=tau * one, r=one, v_leak=zero, v_threshold=one, v_reset=zero)
    tau_s = tau_of(g.a_s, dt)
    return nir.CubaLIF(
        tau_syn=tau_s * one, tau_mem=tau * one, r=tau / dt * one, v_leak=zero, v_threshold=one, v_reset=zero,
        w_in=tau_s / dt * one,
    )  # fmt: skip
