"""Spiking networks in whole numbers: what the RTL cores compute, bit for bit.

    J   = I + C_j + ((W s of layers below that arrive at once) << shift)
    A   = a_m V + k_I J [+ k_e (E << in_shift), inputs are currents]      E = W_in u, whole numbers
    V  <- (A >>> d) + C_v       (held while refractory)     s = V > threshold;  V <- 0, or V - threshold, or as in
                                                            `neuroanp.backends.neuron` for the other resets
    I  <- ((a_s J) >>> d) + C_i [+ (E << in_shift), inputs are spikes] + ((W s, of the layer and of those below that
                                                                           arrive a step later) << shift)
    Y  <- ((a Y) >>> d) + C_y + ((W_out s) << out_shift)

Factors a and k are fractions of 2^d, d = `Bits.decay`. >>> is the arithmetic shift: it rounds towards minus infinity.
V and I of a layer are in steps of 2^-fraction thresholds, Y in steps of 2^-fraction_y. The order is that of
`neuroanp.export.model`. Drive and bias columns are in the constants C.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuroanp.network.network import INPUT, OUTPUT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuroanp.network.network import Network, Projection

Integers = Any  # NDArray[np.int64]

STATE_MAX = 40  # with factors of 17 bits, sums of three products stay within 64 bits
DECAY_MAX = 16


@dataclass(frozen=True)
class Bits:
    """Widths: of weights, states and inputs (two's complement), and of the fractions of factors."""

    weight: int = 8
    state: int = 32
    decay: int = 12
    input: int = 8


class Weights(NamedTuple):
    """Whole numbers W = round(scale x weight), scale = gain 2^exponent, (post, pre), without a bias column."""

    values: Integers
    gain: float
    exponent: int

    @property
    def scale(self) -> float:
        """Whole numbers per weight of 1."""
        return self.gain * 2.0**self.exponent

    @property
    def largest_sum(self) -> int:
        """Largest sum of magnitudes into one unit."""
        return int(np.abs(self.values).sum(1).max())


class Column(NamedTuple):
    """A bias column: what it adds in a step, and what a weight of 1 in it would add before rounding."""

    values: Integers
    per_weight: float


@dataclass(frozen=True)
class FixedLayer:
    """A layer in whole numbers.

    Args:
        v, i, j: constants C added in every step, to V, and to I at its end and at its start, (n,).
        threshold: (n,).
        factors: a_m, k_i, k_e, a_s as fractions of 2^bits.decay.
        fraction: bits after the point of V and I.
        hold: steps of the refractory period.
        subtract, delayed, raised: what a spike does to V, as in `neuroanp.backends.neuron.Coefficients`.
    """

    v: Integers
    i: Integers
    j: Integers
    threshold: Integers
    factors: Mapping[str, int]
    fraction: int
    hold: int
    subtract: bool
    delayed: bool
    raised: bool


@dataclass(frozen=True)
class FixedPoint:
    """A spiking network in whole numbers, see the equations above.

    Args:
        network: its structure. layers: by name.
        weights, biases: by the name of their projection.
        y: constant C added to Y in every step, (O,).
        a_r: the factor of the outputs, a fraction of 2^bits.decay.
        fraction_y: bits after the point of Y.
        currents: whether inputs are currents; otherwise spikes.
        input_scale: whole numbers per input of 1.
        reach: what no state exceeds, by name.
    """

    network: Network
    layers: Mapping[str, FixedLayer]
    weights: Mapping[str, Weights]
    biases: Mapping[str, Column]
    y: Integers
    a_r: int
    fraction_y: int
    currents: bool
    input_scale: float
    bits: Bits
    reach: Mapping[str, int]

    @property
    def factors(self) -> dict[str, int]:
        """All factors of a step by name, as `labelled` of each layer."""
        found = {}
        for name, layer in self.layers.items():
            found |= labelled(self.network, name, layer.factors)
        return {**found, "a_r": self.a_r}

    def shift(self, p: Projection) -> int:
        """Return the left shift of what an array sums up."""
        fraction = self.fraction_y if p.post == OUTPUT else self.layers[p.post].fraction
        return fraction - self.weights[p.name].exponent

    def inputs(self, u: NDArray[np.float64]) -> Integers:
        """Round inputs to whole numbers."""
        return np.rint(u * self.input_scale).astype(np.int64)

    def potentials(self, v: Integers) -> NDArray[np.float64]:
        """Return V of all units side by side in thresholds, (..., N)."""
        layers = self.network.layers
        fractions = np.repeat([self.layers[layer.name].fraction for layer in layers], [layer.units for layer in layers])
        return v * 2.0**-fractions

    def run(self, u: Integers) -> tuple[Integers, Integers, Integers]:
        """Return spikes, V before the reset and Y of inputs: (T, B, I) to (T, B, N), (T, B, N), (T, B, O).

        Units of all layers lie side by side.
        """
        spikes: dict[str, Integers] = {}
        potentials: dict[str, Integers] = {}
        for layer in self.network.layers:
            spikes[layer.name], potentials[layer.name] = self._layer(layer.name, u, spikes)
        Y, ys = np.zeros((u.shape[1], len(self.y)), dtype=np.int64), []
        for t in range(len(u)):
            read = sum(self._sums(p, spikes[p.pre][t]) for p in self.network.feed(OUTPUT))
            Y = (self.a_r * Y >> self.bits.decay) + self.y + read
            ys.append(Y)
        s, v = np.concatenate([*spikes.values()], -1), np.concatenate([*potentials.values()], -1)
        return s.astype(np.int64), v, np.array(ys)

    def _layer(self, name: str, u: Integers, below: Mapping[str, Integers]) -> tuple[Integers, Integers]:
        """Return spikes and V (T, B, n) of one layer; `below`: spikes of those below."""
        one, d = self.layers[name], self.bits.decay
        a_m, k_i, k_e, a_s = (one.factors[key] for key in ("a_m", "k_i", "k_e", "a_s"))
        current, early, late = self._arriving(name, u, below)
        back = self.network.recurrence(name)
        V = np.zeros((u.shape[1], len(one.v)), dtype=np.int64)
        I, wait = np.zeros_like(V), np.zeros_like(V)  # noqa: E741
        s, to_cross, ss, vs = np.zeros(V.shape, dtype=bool), one.threshold, [], []
        for t in range(len(u)):
            wait = np.maximum(wait - 1, 0)
            J = I + _at(early, t)
            A = a_m * V + k_i * J + k_e * _at(current, t)
            if one.raised:
                to_cross = np.where(one.threshold < V, 2 * one.threshold, one.threshold)
            V = np.where(wait == 0, (A >> d) + one.v, V)
            if one.delayed:
                V = np.where(s, V - one.threshold if one.subtract else 0, V)
            s = (to_cross < V) & (wait == 0)
            vs.append(V)
            ss.append(s)
            I = (a_s * J >> d) + _at(late, t) + (0 if back is None else self._sums(back, s))  # noqa: E741
            if not one.delayed:
                V = np.where(s, V - one.threshold if one.subtract else 0, V)
            wait[s] = one.hold
        return np.array(ss), np.array(vs)

    def _arriving(self, name: str, u: Integers, below: Mapping[str, Integers]) -> tuple[Integers, Integers, Integers]:
        """Return what comes to a layer from below: to the current, to I at the start of a step, to I at its end."""
        current, early, late = np.int64(0), self.layers[name].j, self.layers[name].i
        for p in self.network.feed(name):
            if p.pre == INPUT:
                part = self._sums(p, u)
                current, late = (current + part, late) if self.currents else (current, late + part)
                continue
            part = self._sums(p, below[p.pre])
            early, late = (early, late + part) if p.delay else (early + part, late)
        return current, early, late

    def _sums(self, p: Projection, x: Integers) -> Integers:
        return _dot(x, self.weights[p.name]) << self.shift(p)

    def held(self) -> dict[str, NDArray[np.float64]]:
        """Return the weights that the whole numbers stand for, bias columns from the constants."""
        found = {name: W.values / W.scale for name, W in self.weights.items()}
        for name, column in self.biases.items():
            post = self.network.projection(name).post
            fraction = self.fraction_y if post == OUTPUT else self.layers[post].fraction
            found[name] = np.column_stack([found[name], column.values / (column.per_weight * 2.0**fraction)])
        return found


def labelled(network: Network, layer: str, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers of a layer under names that tell it from others; as they are where there is but one.

    >>> from neuroanp.network.compose import Stacked, stack
    >>> from neuroanp.network.tanh import Tanh
    >>> labelled(stack(1, [Stacked(Tanh(), 1)] * 2, 1), "hidden_2", {"a_m": 3})
    {'hidden_2.a_m': 3}
    """
    return dict(numbers) if len(network.layers) == 1 else {f"{layer}.{key}": x for key, x in numbers.items()}


def _dot(x: Any, W: Weights) -> Integers:
    """Return x W^T; whole numbers below 2^53 are exact in float64, and the reach of the states keeps them there."""
    return (x.astype(np.float64) @ W.values.T.astype(np.float64)).astype(np.int64)


def _at(part: Integers, t: int) -> Integers:
    """Return what is added in step t: of each step its own (T, B, n), or the same in all."""
    return part[t] if part.ndim == 3 else part
