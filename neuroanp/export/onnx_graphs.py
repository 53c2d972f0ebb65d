"""A network as an ONNX graph (opset 17), and the same arithmetic in numpy or torch.

The graphs are written in ONNX's own text form, which `onnx.parser` reads; the numbers are its initializers.
Weights stand as a product of row vectors takes them: the name ends in _t where a matrix is transposed. Layers of rates
are in `onnx_rates`, and the steps of their cells in `onnx_trace`; spiking ones in `onnx_spikes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuroanp.export import onnx_rates, onnx_spikes, onnx_spiking_sums
from neuroanp.export.onnx_names import ELEMENT, IR_VERSION, OPSET, Names, Tensors, cast

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuroanp.export.model import Model, Traces

__all__ = ["IR_VERSION", "OPSET", "Done", "Tensors", "drawn", "evaluate", "held"]


def drawn(model: Model, dtype: str, states: bool) -> onnx_rates.Drawn:
    """Return the graph in ONNX's text form, and its initializers by name.

    Args:
        model: the network. dtype: "float32" or "float64". states: whether it also gives what its units do.

    Raises:
        InputError: a cell's step is not known to ONNX.

    >>> one = np.ones((1, 1))
    >>> W = {"w_in": one, "w": 0 * one, "w_out": one}
    >>> from neuroanp.export.model import Model
    >>> from neuroanp.network.compose import one_layer
    >>> shape = one_layer({name: w.shape for name, w in W.items()})
    >>> print(drawn(Model("one", W, shape, 1e-3, False, one[None], lambda y: {}), "float32", False).text)
    rate (float[T,B,1] inputs) => (float[T,B,1] outputs) {
      every = RNN <hidden_size = 1, activations = ["Tanh"]> (inputs, w_in, w)
      rates = Squeeze (every, axis)
      outputs = MatMul (rates, w_out_t)
    }
    """
    if model.spiking:
        text, parts = onnx_spikes.graph(model, ELEMENT[dtype], states), onnx_spikes.tensors(model)
    else:
        text, parts = onnx_rates.drawn(model, dtype, states)
    return onnx_rates.Drawn(text, cast(parts, dtype))


def held(model: Model, dtype: str) -> dict[str, NDArray[np.float64]]:
    """Return the weights that initializers hold, in the network's own shapes."""
    return {name: np.asarray(W.astype(dtype), np.float64) for name, W in model.weights.items()}


class Done(NamedTuple):
    """What a graph does.

    Args:
        traces: outputs, spikes and potentials. states: what it gives by name with states, (T, B, n) each.
    """

    traces: Traces
    states: dict[str, NDArray[Any]]


def evaluate(model: Model, parts: Tensors, dtype: str, u: NDArray[Any]) -> Done:
    """Return what the graph does on u (T, B, I), in the initializers' own precision."""
    of = Names(model.network).of
    if not model.spiking:
        traces, rates = onnx_rates.evaluate(model, dtype, u)
        return Done(traces, {f"rates{of[name]}": x for name, x in rates.items()})
    traces, states, at = onnx_spiking_sums.evaluate(model, parts, u.astype(dtype)), {}, 0
    assert traces.s is not None
    for layer in model.network.layers:
        units = slice(at, at + layer.units)
        states |= {f"spikes{of[layer.name]}": traces.s[..., units], f"v{of[layer.name]}": traces.v[..., units]}
        at = units.stop
    return Done(traces, states)
