"""Spiking networks in whole numbers: what the RTL core computes, bit for bit.

    A   = a_m V + k_I I [+ k_e (E << in_shift), inputs are currents]      E = W_in u, whole numbers
    V  <- (A >>> d) + C_v       (held while refractory)     s = V > threshold;  V <- 0, or V - threshold, or as in
                                                            `neuroanp.backends.neuron` for the other resets
    I  <- ((a_s I) >>> d) + C_i [+ (E << in_shift), inputs are spikes] + ((W s) << shift)
    Y  <- ((a Y) >>> d) + C_y + ((W_out s) << out_shift)

Factors a and k are fractions of 2^d, d = `Bits.decay`. >>> is the arithmetic shift: it rounds towards minus infinity.
V and I are in steps of 2^-fraction thresholds, Y in steps of 2^-fraction_y. The order is that of
`neuroanp.export.model`. Drive and bias columns are in the constants C. No state can overflow: with |d_t| <= D,

    x <- ((a x) >>> d) + d_t     stays within     |x| <= (D + 1) / (1 - a / 2^d)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import floor, log2
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuroanp.backends.neuron import LIF
from neuroanp.export.checks import finite, one_layer_only, refuse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuroanp.export.model import Model

Integers = Any  # NDArray[np.int64]

# A threshold of at least 64 steps; fewer would round most currents to nothing.
FRACTION_MIN = 6
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


@dataclass(frozen=True)
class FixedPoint:
    """A spiking network in whole numbers, see the equations above.

    Args:
        w_in, w, w_out: weights.
        v, i, y: constants C added in every step, (N,), (N,), (O,).
        threshold: (N,).
        factors: a_m, k_i, k_e, a_s, a_r as fractions of 2^bits.decay.
        fraction, fraction_y: bits after the point of V and I, and of Y.
        hold: steps of the refractory period.
        subtract, delayed, raised: what a spike does to V, as in `neuroanp.backends.neuron.Coefficients`.
        currents: whether inputs are currents; otherwise spikes.
        input_scale: whole numbers per input of 1.
        reach: what no state exceeds, by name.
    """

    w_in: Weights
    w: Weights
    w_out: Weights
    v: Integers
    i: Integers
    y: Integers
    threshold: Integers
    factors: Mapping[str, int]
    fraction: int
    fraction_y: int
    hold: int
    subtract: bool
    delayed: bool
    raised: bool
    currents: bool
    input_scale: float
    bits: Bits
    reach: Mapping[str, int]

    @property
    def shifts(self) -> tuple[int, int, int]:
        """Left shifts of W_in u, W s and W_out s."""
        w_in, w = self.fraction - self.w_in.exponent, self.fraction - self.w.exponent
        return w_in, w, self.fraction_y - self.w_out.exponent

    def inputs(self, u: NDArray[np.float64]) -> Integers:
        """Round inputs to whole numbers."""
        return np.rint(u * self.input_scale).astype(np.int64)

    def run(self, u: Integers) -> tuple[Integers, Integers, Integers]:
        """Return spikes, V before the reset and Y of inputs: (T, B, I) to (T, B, N), (T, B, N), (T, B, O)."""
        a_m, k_i, k_e, a_s, a_r = (self.factors[name] for name in ("a_m", "k_i", "k_e", "a_s", "a_r"))
        d, (in_shift, w_shift, out_shift) = self.bits.decay, self.shifts
        V = np.zeros((u.shape[1], len(self.v)), dtype=np.int64)
        I, wait, Y = np.zeros_like(V), np.zeros_like(V), np.zeros((u.shape[1], len(self.y)), dtype=np.int64)  # noqa: E741
        s, to_cross, ss, vs, ys = np.zeros(V.shape, dtype=bool), self.threshold, [], [], []
        for E in _dot(u, self.w_in) << in_shift:
            wait = np.maximum(wait - 1, 0)
            A = a_m * V + k_i * I + (k_e * E if self.currents else 0)
            if self.raised:
                to_cross = np.where(self.threshold < V, 2 * self.threshold, self.threshold)
            V = np.where(wait == 0, (A >> d) + self.v, V)
            if self.delayed:
                V = np.where(s, V - self.threshold if self.subtract else 0, V)
            s = (to_cross < V) & (wait == 0)
            vs.append(V)
            ss.append(s)
            I = (a_s * I >> d) + self.i + (0 if self.currents else E) + (_dot(s, self.w) << w_shift)  # noqa: E741
            if not self.delayed:
                V = np.where(s, V - self.threshold if self.subtract else 0, V)
            wait[s] = self.hold
            Y = (a_r * Y >> d) + self.y + (_dot(s, self.w_out) << out_shift)
            ys.append(Y)
        return np.array(ss).astype(np.int64), np.array(vs), np.array(ys)

    def held(self, model: Model) -> dict[str, NDArray[np.float64]]:
        """Return the weights that the whole numbers stand for, bias columns from the constants."""
        weights = {name: W.values / W.scale for name, W in self._weights().items()}
        if model.bias:
            per_in, per_out = _per_bias(model)
            column = self.v - _whole(_constants(model)["rest"], self.fraction) if self.currents else self.i
            weights["w_in"] = np.column_stack([weights["w_in"], column / (per_in * 2.0**self.fraction)])
            weights["w_out"] = np.column_stack([weights["w_out"], self.y / (per_out * 2.0**self.fraction_y)])
        return weights

    def _weights(self) -> dict[str, Weights]:
        return {"w_in": self.w_in, "w": self.w, "w_out": self.w_out}


def fixed_point(model: Model, bits: Bits) -> FixedPoint:
    """Choose scales, with as many bits after the point as no state can overflow with, and round the network.

    Args:
        model: a spiking network, its inputs set the scale of currents. bits: widths.

    Raises:
        InputError: all of what cannot be held: units, values, factors that round to 0 or 1, states that could overflow.
    """
    refuse([*one_layer_only(model, "rtl", (LIF,)), *finite(model), *_bad_inputs(model)], "rtl")
    problems: list[str] = []
    factors = _factors(model, bits.decay, problems)
    weights, input_scale = _weights(model, bits, problems)
    refuse(problems, "rtl")
    reach, reach_y = (partial(law, model, bits, factors, weights) for law in (_reach, _reach_y))
    count = model.readout_decay == 1.0
    fewer = "fewer weight_bits" if model.spikes_in else "fewer weight_bits or input_bits"
    fraction = _most_bits(("w_in", "w"), weights, bits, reach, problems, fewer=fewer, count=count)
    fraction_y = _most_bits(("w_out",), weights, bits, reach_y, problems, fewer="fewer weight_bits", count=count)
    refuse(problems, "rtl")
    C = {name: _whole(x, fraction) for name, x in _constants(model).items() if name != "y"}
    return FixedPoint(
        **weights, v=C["rest"] + C["v"], i=C["i"], y=_whole(_constants(model)["y"], fraction_y),
        threshold=_whole(model.step.threshold.numpy(), fraction), factors=factors,
        fraction=fraction, fraction_y=fraction_y, hold=model.step.hold,
        subtract=model.step.subtract, delayed=model.step.delayed, raised=model.step.raised,
        currents=not model.spikes_in, input_scale=input_scale, bits=bits,
        reach={**reach(fraction), **reach_y(fraction_y)},
    )  # fmt: skip


def wanted_factors(model: Model) -> dict[str, float]:
    """Return the factors of one step that a_m, k_i, k_e, a_s and a_r are rounded from."""
    step = model.step
    parts = {"a_m": step.a_m, "k_i": step.k_i, "k_e": step.k_e, "a_s": step.a_s}
    return {**{name: float(part[0]) for name, part in parts.items()}, "a_r": model.readout_decay}


def _dot(x: Any, W: Weights) -> Integers:
    """Return x W^T; whole numbers below 2^53 are exact in float64, and the reach of the states keeps them there."""
    return (x.astype(np.float64) @ W.values.T.astype(np.float64)).astype(np.int64)


def _whole(x: Any, fraction: int) -> Integers:
    return np.rint(np.asarray(x) * 2.0**fraction).astype(np.int64)


def _per_bias(model: Model) -> tuple[float, float]:
    """Return what a bias weight of 1 adds in a step: to v (to I where inputs are spikes), and to y."""
    assert model.neuron is not None
    factor = 1.0 if model.spikes_in else float(model.step.k_e[0])
    return factor * model.neuron.input_gain * model.input_line, model.output_line


def _constants(model: Model) -> dict[str, NDArray[np.float64]]:
    """Return what the constant current ("rest") and a bias ("v", "i", "y") add to v, v, I and y in a step."""
    assert model.neuron is not None
    _, hidden, outputs = model.sizes
    rest = float(model.step.k_e[0]) * model.neuron.drive
    constants = {"rest": np.full(hidden, rest), "v": np.zeros(hidden), "i": np.zeros(hidden), "y": np.zeros(outputs)}
    if model.bias:
        per_in, per_out = _per_bias(model)
        constants["i" if model.spikes_in else "v"] = per_in * model.weights["w_in"][:, -1]
        constants["y"] = per_out * model.weights["w_out"][:, -1]
    return constants


def _bad_inputs(model: Model) -> list[str]:
    u = model.inputs
    if not u.size:
        return ["inputs: there are none; export a run with held-out inputs"]
    if not np.isfinite(u).all():
        return [f"inputs: {int((~np.isfinite(u)).sum())} values are not finite; repeat the run"]
    if model.spikes_in and not np.isin(u, (0.0, 1.0)).all():
        odd = float(u[~np.isin(u, (0.0, 1.0))][0])
        return [f"inputs: {odd:g} is neither 0 nor 1; spikes are, use an encoder of spikes or of currents"]
    if not model.spikes_in and not u.any():
        return ["inputs: all are 0, and their largest sets the scale; export a run whose inputs are not silent"]
    return []


def _factors(model: Model, d: int, problems: list[str]) -> dict[str, int]:
    factors = {}
    for name, wanted in wanted_factors(model).items():
        factors[name] = round(wanted * 2**d)
        if wanted not in (0.0, 1.0) and not _strictly(wanted, d):
            enough = next((more for more in range(d + 1, DECAY_MAX + 1) if _strictly(wanted, more)), None)
            remedy = f"set decay_bits={enough}" if enough else "train with another dt or time constant"
            problems.append(f"decay_bits: {name} {wanted:.6g} rounds to {factors[name] >> d} in {d} bits; {remedy}")
    return factors


def _strictly(factor: float, d: int) -> bool:
    return 0 < round(factor * 2**d) < 2**d


def _weights(model: Model, bits: Bits, problems: list[str]) -> tuple[dict[str, Weights], float]:
    """Round the arrays without bias columns; each largest weight decides its power of two."""
    assert model.neuron is not None
    inputs, hidden, _ = model.sizes
    input_scale = 1.0 if model.spikes_in else (2 ** (bits.input - 1) - 1) / float(np.abs(model.inputs).max())
    gains = {"w_in": model.neuron.input_gain / input_scale, "w": model.neuron.synapse_gain, "w_out": 1.0}
    columns = {"w_in": inputs, "w": hidden, "w_out": hidden}
    weights = {}
    for name, gain in gains.items():
        W = model.weights[name][:, : columns[name]]
        largest = gain * float(np.abs(W).max())
        if not largest:
            problems.append(f"{name}: all weights are 0, and the largest sets the scale; train it first")
        elif not 2.0**-60 < largest < 2.0**60:
            problems.append(
                f"{name}: the largest weight times its gain is {largest:.3g}, outside 2^-60 to 2^60; rescale"
            )
        else:
            exponent = floor(log2((2 ** (bits.weight - 1) - 1) / largest))
            scale = gain * 2.0**exponent
            weights[name] = Weights(np.rint(W * scale).astype(np.int64), gain, exponent)
    return weights, input_scale


def _leaky(drive: int, factor: int, d: int) -> int:
    """Return what |x| of x <- ((factor x) >>> d) + d_t cannot exceed while |d_t| <= drive."""
    return -(-(drive + 1 << d) // ((1 << d) - factor))


def _largest(x: Any, fraction: int) -> int:
    return int(np.abs(np.rint(np.asarray(x, dtype=np.float64) * 2.0**fraction)).max())


def _reach(
    model: Model, bits: Bits, factors: Mapping[str, int], weights: Mapping[str, Weights], fraction: int
) -> dict[str, int]:
    """Return what shifted W_in u, I and v cannot exceed, whatever the spikes and inputs."""
    C = {name: _largest(x, fraction) for name, x in _constants(model).items()}
    loudest = 2 ** (bits.input - 1) - 1 if not model.spikes_in else 1
    E, spread = (
        weights[name].largest_sum * most << fraction - weights[name].exponent
        for name, most in (("w_in", loudest), ("w", 1))
    )
    d, currents = bits.decay, not model.spikes_in
    I = _leaky(spread + C["i"] + (0 if currents else E), factors["a_s"], d)  # noqa: E741
    drive = -(-(factors["k_i"] * I + (factors["k_e"] * E if currents else 0)) >> d)
    threshold = _largest(model.step.threshold.numpy(), fraction)
    late = threshold if model.step.delayed and model.step.subtract else 0  # is taken from what decayed below it
    v = _leaky(drive + C["rest"] + C["v"] + late, factors["a_m"], d)
    return {"E": E, "I": I, "v": max(v, threshold)}


def _reach_y(
    model: Model, bits: Bits, factors: Mapping[str, int], weights: Mapping[str, Weights], fraction: int
) -> dict[str, int]:
    """Return what outputs cannot exceed; of a count, in as many steps as the inputs have."""
    drive = weights["w_out"].largest_sum << fraction - weights["w_out"].exponent
    drive += _largest(_constants(model)["y"], fraction)
    if factors["a_r"] == 1 << bits.decay:
        return {"y": drive * len(model.inputs)}
    return {"y": _leaky(drive, factors["a_r"], bits.decay)}


def _most_bits(
    names: Sequence[str], weights: Mapping[str, Weights], bits: Bits, reach: Callable[[int], Mapping[str, int]],
    problems: list[str], *, fewer: str, count: bool,
) -> int:  # fmt: skip
    """Return the most bits after the point with which no state overflows; the weights named keep all their bits."""
    least = max(FRACTION_MIN, *(weights[name].exponent for name in names))
    for fraction in range(bits.state - 1, least - 1, -1):
        if max(reach(fraction).values()) < 1 << bits.state - 1:
            return fraction
    state, most = max(reach(least).items(), key=lambda item: item[1])
    need = most.bit_length() + 1
    remedies = [f"set state_bits={need}"] if need <= STATE_MAX else []
    why = "the fewest there may be" if least == FRACTION_MIN else f"which weights of {bits.weight} bits need"
    if least > FRACTION_MIN:
        remedies.append(fewer)
    if least == FRACTION_MIN or need > STATE_MAX:
        remedies.append("train with smaller weights or gains")
    if state == "y" and count:
        remedies.append("train with decoder trace")
    problems.append(
        f"state_bits: {state} could reach {most}, which takes {need} bits, with {least} bits after the point, {why}; "
        f"states have {bits.state}: {', or '.join(remedies)}"
    )
    return least
