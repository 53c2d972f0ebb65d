"""The network that an exporter gets: plain numbers, and what it does with them in float64.

    rate:     h_t = sum of W pre_t,   state, x_t = cell.step(state, h_t),   y_t = sum of W_out x_t
    spiking:  J_t = I_{t-1} + g_s W s^below_t
              v_t = a_m v_{t-1} + k_I J_t + k_e (g_in W_in u_t + drive)   (held while refractory)
              s_t = v_t > threshold,   I_t = a_s J_t + g_s W s_t,   v_t <- 0, or v_t - threshold
              (the other kinds of reset are in `neuroanp.backends.neuron`)
              y_t = a y_{t-1} + sum of W_out s_t
    where inputs are spikes, g_in W_in u_t is added to I_t instead of the current (to J_t with an input_delay of 0), as
    are spikes of a layer below that arrive a step later

With a bias, some arrays have one more column: see `Model.input_lines` and `Model.output_line`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.backends.numeric import Numeric
from neuroanp.network.compose import ONE_LAYER
from neuroanp.network.network import INPUT, OUTPUT
from neuroanp.network.rollout import rollout
from neuroanp.network.tanh import Tanh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuroanp.network.network import Layer, Projection


@dataclass(frozen=True)
class Traces:
    """What a network does on inputs.

    Args:
        y: (T, B, O) outputs.
        s: (T, B, N) spikes of the hidden units, layer after layer, whole numbers; None of rates.
        v: (T, B, N) membrane potentials before the reset, in thresholds; pre-activations h of rates, likewise.
    """

    y: NDArray[np.float64]
    s: NDArray[np.int64] | None
    v: NDArray[np.float64]


@dataclass(frozen=True)
class Model(Numeric):
    """A trained network; its name is that of its run, see `Numeric` for weights and units.

    Args:
        inputs: (T, B, I) float64, held-out inputs of the run, without the bias line.
        score: takes outputs (T, B, O) on these inputs and returns the task's scores, "loss" first.
        origin: which of a run's weights these are, a phrase: "digital targets ..." or "weights as held by ...".
        as_held: whether the run's device held the same matrices, so that these are those that were scored.
        beside: of such matrices, what the network that was scored has beside them and this has not, a sentence each.
        recorded: noise-free loss of the network that was scored, on the run's own device; None where there is none.
        notes: sentences: what of the run is not in this network.
        chip: the run's own device with its conductances (`substrates.chip.DeviceChip`), for formats of crossbars.
        backend: what simulated it in training.

    >>> from neuroanp.network.compose import one_layer
    >>> W = {"w_in": np.array([[0.5, 0.1]]), "w": np.zeros((1, 1)), "w_out": np.array([[1.0, 0.2]])}  # biases .1 and .2
    >>> network = one_layer({name: w.shape for name, w in W.items()}, bias=True)
    >>> rate = Model("one", W, network, 1e-3, False, np.ones((2, 1, 1)), lambda y: {"loss": 0.0})
    >>> rate.sizes, rate.spiking, rate.bias, rate.one_layer, rate.neuron, rate.layer.name, rate.key(rate.layer)
    ((1, 1, 1), False, True, True, None, 'hidden', 'neuron')
    >>> rate.input_lines(rate.inputs).shape, rate.input_line, rate.output_line, rate.bias_line(network.projections[0])
    ((2, 1, 2), 1.0, 1.0, 1.0)
    >>> [part.tolist() for part in rate.columns("w_in")]
    [[[0.5]], [0.1]]
    """

    inputs: NDArray[np.float64]
    score: Callable[[NDArray[np.float64]], Mapping[str, float]]
    origin: str = "weights as they were given"
    as_held: bool = False
    beside: tuple[str, ...] = ()
    recorded: float | None = None
    notes: tuple[str, ...] = ()
    chip: Any = field(default=None, compare=False)
    backend: str = ""

    @property
    def output_line(self) -> float:
        """What drives the bias column of an array to the output at every step: 1 of rates; 1 - a (1 / T of a count)."""
        if not self.spiking:
            return 1.0
        count = self.lif(self.network.layers[-1]).decoder == "count"
        return 1.0 / len(self.inputs) if count else 1.0 - self.readout_decay

    @property
    def input_line(self) -> float:
        """What drives the bias column of the array from the input at every step: 1, or 1 - a_s of spikes."""
        return self.synapse_line(self.network.layers[0]) if self.spikes_in else 1.0

    def bias_line(self, p: Projection) -> float:
        """Return what drives the bias column of an array p at each step: 1 of rates and currents; 1 - a_s of spikes."""
        if p.post == OUTPUT:
            return self.output_line
        if not self.spiking:
            return 1.0
        layer = self.network.layer(p.post)
        return self.input_line if p.pre == INPUT or layer is None else self.synapse_line(layer)

    def input_lines(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what drives the columns of the array from the input: inputs (T, B, I), or (T, B, I+1) with a bias."""
        if not self.bias:
            return inputs
        return np.concatenate([inputs, np.full((*inputs.shape[:2], 1), self.input_line)], -1)


def reference(model: Model, inputs: NDArray[np.float64] | None = None) -> Traces:
    """Return what the network does, step by step in float64.

    Args:
        model: the network. inputs: (T, B, I); its own held-out ones if None.

    >>> from neuroanp.network.compose import one_layer
    >>> one = np.ones((1, 1))
    >>> W = {"w_in": one, "w": 0 * one, "w_out": one}
    >>> network = one_layer({name: w.shape for name, w in W.items()})
    >>> rate = Model("one", W, network, 1e-3, False, one[None], lambda y: {})
    >>> round(float(reference(rate).y.item()), 4)  # tanh(1)
    0.7616
    """
    u = model.inputs if inputs is None else inputs
    if model.spiking:
        return _spikes(model, u)
    return _tanh(model, u) if model.one_layer and type(model.layer.cell) is Tanh else _rates(model, u)


def _rates(model: Model, u: NDArray[np.float64]) -> Traces:
    import torch

    W = {name: torch.from_numpy(np.ascontiguousarray(w)) for name, w in model.weights.items()}
    with torch.no_grad():
        run = rollout(model.network, W, torch.from_numpy(np.ascontiguousarray(u)))
    return Traces(run.y.numpy(), None, torch.cat([*run.h.values()], -1).numpy())


def _tanh(model: Model, u: NDArray[np.float64]) -> Traces:
    """Do what `_rates` does for one layer of tanh units, with numpy alone."""
    into, back, out = (model.weights[name] for name in ONE_LAYER)
    x = np.zeros((u.shape[1], model.sizes[1]))
    hs, ys = [], []
    for drive in model.input_lines(u) @ into.T:
        h = drive + x @ back.T
        x = np.tanh(h)
        seen = np.concatenate([x, np.ones((len(x), 1))], -1) if model.bias else x
        hs.append(h)
        ys.append(seen @ out.T)
    return Traces(np.array(ys), None, np.array(hs))


def _spikes(model: Model, u: NDArray[np.float64]) -> Traces:
    spikes: dict[str, NDArray[Any]] = {}
    potentials: dict[str, NDArray[np.float64]] = {}
    for layer in model.network.layers:
        spikes[layer.name], potentials[layer.name] = _layer(model, layer, u, spikes)
    y, ys = np.zeros((u.shape[1], model.network.outputs)), []
    count = model.lif(model.network.layers[-1]).decoder == "count"
    line = 1.0 / len(u) if count else model.output_line
    for t in range(len(u)):
        y = model.readout_decay * y + _sum([with_line(spikes[p.pre][t], p.bias, line) @ model.weights[p.name].T
                                            for p in model.network.feed(OUTPUT)])  # fmt: skip
        ys.append(y)
    s, v = np.concatenate([*spikes.values()], -1), np.concatenate([*potentials.values()], -1)
    return Traces(np.array(ys), s.astype(np.int64), v)


def _layer(
    model: Model, layer: Layer, u: NDArray[np.float64], spikes: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return spikes and potentials (T, B, n) of one layer; `spikes`: those of the layers below."""
    W, neuron, step = model.weights, model.lif(layer), model.steps[layer.name]
    a_m, k_i, k_e, a_s, _, threshold = (part.numpy() for part in step[:6])
    external, late, early = 0.0, 0.0, 0.0  # what comes from below: to the current, to I at its end, to I at its start
    for p in model.network.feed(layer.name):
        if p.pre == INPUT:
            lines = with_line(u, p.bias, model.input_line)
            part = neuron.input_gain * (lines @ W[p.name].T)
            if not model.spikes_in:
                external = external + part
            elif model.network.input_delay:
                late = late + part
            else:
                early = early + part
            continue
        part = neuron.synapse_gain * (with_line(spikes[p.pre], p.bias, model.synapse_line(layer)) @ W[p.name].T)
        late, early = (late + part, early) if p.delay else (late, early + part)
    back = model.network.recurrence(layer.name)
    shape = (u.shape[1], layer.units)
    v, I, wait = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=int)  # noqa: E741
    s, to_cross = np.zeros(shape, dtype=bool), threshold
    ss, vs = [], []
    for t in range(len(u)):
        wait = np.maximum(wait - 1, 0)
        J = I + _at(early, t)
        current = neuron.drive + _at(external, t)
        if step.raised:
            to_cross = np.where(v > threshold, 2.0 * threshold, threshold)
        v = np.where(wait == 0, a_m * v + k_i * J + k_e * current, v)
        if step.delayed:
            v = np.where(s, v - threshold if step.subtract else 0.0, v)
        s = (v > to_cross) & (wait == 0)
        vs.append(v)
        ss.append(s)
        own = 0.0 if back is None else neuron.synapse_gain * (s @ W[back.name].T)
        I = a_s * J + own + _at(late, t)  # noqa: E741
        if not step.delayed:
            v = np.where(s, v - threshold if step.subtract else 0.0, v)
        wait[s] = step.hold
    return np.array(ss), np.array(vs)


def with_line(x: NDArray[Any], bias: bool, line: float) -> NDArray[Any]:
    """Return x (..., n) with the line that drives a bias column, if there is one.

    >>> with_line(np.zeros((1, 2)), True, 0.5)
    array([[0. , 0. , 0.5]])
    """
    return np.concatenate([x, np.full((*x.shape[:-1], 1), line)], -1) if bias else x


def _at(part: Any, t: int) -> Any:
    return part if isinstance(part, float) else part[t]


def _sum(parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
