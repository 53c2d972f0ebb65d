"""The network that an exporter gets: plain numbers, and what it does with them in float64.

    rate:     h_t = W_in u_t + W x_{t-1},   x_t = tanh(h_t),   y_t = W_out x_t
    spiking:  v_t = a_m v_{t-1} + k_I I_{t-1} + k_e (g_in W_in u_t + drive)   (held while refractory)
              s_t = v_t > threshold,   I_t = a_s I_{t-1} + g_s W s_t,   v_t <- 0, or v_t - threshold
              (the other kinds of reset are in `neuroanp.backends.neuron`)
              y_t = a y_{t-1} + W_out s_t
    where inputs are spikes:  I_t = a_s I_{t-1} + g_s W s_t + g_in W_in u_t   instead of the current

With a bias, w_in and w_out have one more column: see `Model.input_lines` and `Model.output_line`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.backends.numeric import Numeric

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Traces:
    """What a network does on inputs.

    Args:
        y: (T, B, O) outputs.
        s: (T, B, N) spikes of the hidden units, whole numbers; None of rates.
        v: (T, B, N) membrane potentials before the reset, in thresholds; pre-activations h of rates.
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
        chip: the run's own device with its conductances (`neuroanp.substrates.chip.Chip`), for formats of crossbars.
        backend: what simulated it in training.
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
        """What drives the bias column of w_out at every step: 1 of rates; 1 - a (1 / T of a count) of spikes."""
        if self.neuron is None:
            return 1.0
        return 1.0 / len(self.inputs) if self.neuron.decoder == "count" else 1.0 - self.readout_decay

    @property
    def input_line(self) -> float:
        """What drives the bias column of w_in at every step: 1, or 1 - a_s where inputs are spikes."""
        return 1.0 - float(self.step.a_s[0]) if self.spikes_in else 1.0

    def input_lines(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what drives the columns of w_in: (T, B, I), or (T, B, I+1) with a bias."""
        if not self.bias:
            return inputs
        return np.concatenate([inputs, np.full((*inputs.shape[:2], 1), self.input_line)], -1)


def reference(model: Model, inputs: NDArray[np.float64] | None = None) -> Traces:
    """Return what the network does, step by step in float64.

    Args:
        model: the network. inputs: (T, B, I); its own held-out ones if None.

    >>> one = np.ones((1, 1))
    >>> W = {"w_in": one, "w": 0 * one, "w_out": one}
    >>> rate = Model("one", W, False, None, 1e-3, False, one[None], lambda y: {})
    >>> round(float(reference(rate).y.item()), 4)  # tanh(1)
    0.7616
    """
    u = model.inputs if inputs is None else inputs
    return _rates(model, u) if model.neuron is None else _spikes(model, u)


def _rates(model: Model, u: NDArray[np.float64]) -> Traces:
    W = model.weights
    x = np.zeros((u.shape[1], model.sizes[1]))
    hs, ys = [], []
    for drive in model.input_lines(u) @ W["w_in"].T:
        h = drive + x @ W["w"].T
        x = np.tanh(h)
        seen = np.concatenate([x, np.ones((len(x), 1))], -1) if model.bias else x
        hs.append(h)
        ys.append(seen @ W["w_out"].T)
    return Traces(np.array(ys), None, np.array(hs))


def _spikes(model: Model, u: NDArray[np.float64]) -> Traces:
    W, neuron = model.weights, model.neuron
    assert neuron is not None
    a_m, k_i, k_e, a_s, _, threshold = (part.numpy() for part in model.step[:6])
    shape = (u.shape[1], model.sizes[1])
    v, I, y = np.zeros(shape), np.zeros(shape), np.zeros((u.shape[1], model.sizes[2]))  # noqa: E741
    wait, s = np.zeros(shape, dtype=int), np.zeros(shape, dtype=bool)
    ss, vs, ys = [], [], []
    step, to_cross = model.step, threshold
    line = 1.0 / len(u) if neuron.decoder == "count" else model.output_line
    for drive in neuron.input_gain * (model.input_lines(u) @ W["w_in"].T):
        wait = np.maximum(wait - 1, 0)
        current = neuron.drive + (0.0 if model.spikes_in else drive)
        if step.raised:
            to_cross = np.where(v > threshold, 2.0 * threshold, threshold)
        v = np.where(wait == 0, a_m * v + k_i * I + k_e * current, v)
        if step.delayed:
            v = np.where(s, v - threshold if step.subtract else 0.0, v)
        s = (v > to_cross) & (wait == 0)
        vs.append(v)
        ss.append(s)
        I = a_s * I + neuron.synapse_gain * (s @ W["w"].T) + (drive if model.spikes_in else 0.0)  # noqa: E741
        if not step.delayed:
            v = np.where(s, v - threshold if step.subtract else 0.0, v)
        wait[s] = step.hold
        seen = np.concatenate([s, np.full((len(s), 1), line)], -1) if model.bias else s
        y = model.readout_decay * y + seen @ W["w_out"].T
        ys.append(y)
    return Traces(np.array(ys), np.array(ss).astype(np.int64), np.array(vs))
