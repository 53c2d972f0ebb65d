"""Choose the scales of a spiking network in whole numbers, with which no state can overflow; see `whole_numbers`.

With |d_t| <= D,

    x <- ((a x) >>> d) + d_t     stays within     |x| <= (D + 1) / (1 - a / 2^d),     of a = 2^d within T D in T steps

Weights of an array keep all their bits. V and I of a layer get as many bits after the point as the sums of all arrays
into it leave, Y as those of all arrays to the output do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import floor, log2
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.export.checks import finite, refuse
from neuroanp.export.holdable import bad_inputs, bad_structure, bad_units
from neuroanp.export.whole_numbers import DECAY_MAX, STATE_MAX, Bits, Column, FixedLayer, FixedPoint, Weights, labelled
from neuroanp.network.network import INPUT, OUTPUT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuroanp.export.model import Model
    from neuroanp.network.network import Layer, Projection

# A threshold of at least 64 steps; fewer would round most currents to nothing.
FRACTION_MIN = 6


@dataclass(frozen=True)
class _Rounded:
    """What is rounded before the bits after the point are chosen.

    Args:
        factors: a_m, k_i, k_e, a_s by layer. a_r: of the outputs.
        weights: by array. input_scale: whole numbers per input of 1.
    """

    model: Model
    bits: Bits
    factors: Mapping[str, Mapping[str, int]]
    a_r: int
    weights: Mapping[str, Weights]
    input_scale: float


def fixed_point(model: Model, bits: Bits) -> FixedPoint:
    """Choose scales, with as many bits after the point as no state can overflow with, and round the network.

    Args:
        model: a spiking network, its inputs set the scale of currents. bits: widths.

    Raises:
        InputError: all of what cannot be held: units, values, factors that round to 0 or 1, states that could overflow.
    """
    refuse([*bad_units(model), *bad_structure(model), *finite(model), *bad_inputs(model)], "rtl")
    problems: list[str] = []
    network, layers = model.network, model.network.layers
    whole = _factors(model, bits.decay, problems)
    weights, input_scale = _weights(model, bits, problems)
    refuse(problems, "rtl")
    of_layers = {layer.name: {key: whole[label] for key, label in _labels(model, layer).items()} for layer in layers}
    rounded = _Rounded(model, bits, of_layers, whole["a_r"], weights, input_scale)
    fractions = {layer.name: _fraction(rounded, layer, problems) for layer in layers}
    fractions[OUTPUT] = _fraction(rounded, None, problems)
    refuse(problems, "rtl")
    biases = {
        p.name: Column(_whole(_bias(model, p), fractions[p.post]), _per_bias(model, p))
        for p in network.projections
        if p.bias
    }
    reach: dict[str, int] = {}
    for layer in layers:
        reach |= labelled(network, layer.name, _reach(rounded, layer, fractions[layer.name]))
    return FixedPoint(
        network=network, weights=weights, biases=biases,
        layers={layer.name: _layer(rounded, layer, fractions[layer.name], biases) for layer in layers},
        y=sum((biases[p.name].values for p in network.feed(OUTPUT) if p.bias), np.zeros(network.outputs, np.int64)),
        a_r=rounded.a_r, fraction_y=fractions[OUTPUT], currents=not model.spikes_in, input_scale=input_scale, bits=bits,
        reach={**reach, **_reach_y(rounded, fractions[OUTPUT])},
    )  # fmt: skip


def wanted_factors(model: Model) -> dict[str, float]:
    """Return the factors of one step that a_m, k_i, k_e and a_s of each layer, and a_r, are rounded from.

    >>> from neuroanp.export.model import Model
    >>> import numpy as np
    >>> from neuroanp.backends.neuron import LIF
    >>> from neuroanp.network.compose import one_layer
    >>> W = {name: np.ones((1, 1)) for name in ("w_in", "w", "w_out")}
    >>> network = one_layer({name: w.shape for name, w in W.items()}, cell=LIF())
    >>> model = Model("one", W, network, 1e-3, True, np.ones((2, 1, 1)), lambda y: {"loss": 0.0})
    >>> {name: round(factor, 4) for name, factor in wanted_factors(model).items()}
    {'a_m': 0.9512, 'k_i': 0.0442, 'k_e': 0.0488, 'a_s': 0.8187, 'a_r': 0.9512}
    """
    found: dict[str, float] = {}
    for layer in model.network.layers:
        step = model.steps[layer.name]
        parts = {"a_m": step.a_m, "k_i": step.k_i, "k_e": step.k_e, "a_s": step.a_s}
        found |= {_labels(model, layer)[name]: float(part[0]) for name, part in parts.items()}
    return {**found, "a_r": model.readout_decay}


def _labels(model: Model, layer: Layer) -> dict[str, str]:
    """Return under which name each factor of a layer is reported."""
    factors = ("a_m", "k_i", "k_e", "a_s")
    return dict(zip(factors, labelled(model.network, layer.name, dict.fromkeys(factors)), strict=True))


def _layer(rounded: _Rounded, layer: Layer, fraction: int, biases: Mapping[str, Column]) -> FixedLayer:
    model, step = rounded.model, rounded.model.steps[layer.name]
    constants = {state: np.zeros(layer.units, dtype=np.int64) for state in "vij"}
    constants["v"] += _whole(_rest(model, layer), fraction)
    for p in model.network.feed(layer.name):
        if p.bias:
            constants[_state(model, p)] += biases[p.name].values
    return FixedLayer(
        **constants, threshold=_whole(step.threshold.numpy(), fraction), factors=rounded.factors[layer.name],
        fraction=fraction, hold=step.hold, subtract=step.subtract, delayed=step.delayed, raised=step.raised,
    )  # fmt: skip


def _whole(x: Any, fraction: int) -> Any:
    return np.rint(np.asarray(x) * 2.0**fraction).astype(np.int64)


def _state(model: Model, p: Projection) -> str:
    """Return to which state what an array brings to a layer is added: v, or i at a step's end (i) or start (j)."""
    if p.pre == INPUT:
        return "i" if model.spikes_in else "v"
    return "i" if p.delay else "j"


def _per_bias(model: Model, p: Projection) -> float:
    """Return what a bias weight of 1 adds in a step to the state that the array's lines are added to."""
    layer = model.network.layer(p.post)
    if layer is None:
        return model.bias_line(p)
    factor = float(model.steps[layer.name].k_e[0]) if _state(model, p) == "v" else 1.0
    return factor * _gain(model, p) * model.bias_line(p)


def _bias(model: Model, p: Projection) -> NDArray[np.float64]:
    return _per_bias(model, p) * model.weights[p.name][:, -1]


def _rest(model: Model, layer: Layer) -> NDArray[np.float64]:
    """Return what the constant current adds to v in a step."""
    return np.full(layer.units, float(model.steps[layer.name].k_e[0]) * model.lif(layer).drive)


def _gain(model: Model, p: Projection) -> float:
    """Return the current that a line of 1 over a weight of 1 is; 1 of what outputs read."""
    layer = model.network.layer(p.post)
    if layer is None:
        return 1.0
    neuron = model.lif(layer)
    return neuron.input_gain if p.pre == INPUT else neuron.synapse_gain


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
    input_scale = 1.0 if model.spikes_in else (2 ** (bits.input - 1) - 1) / float(np.abs(model.inputs).max())
    weights = {}
    for p in model.network.projections:
        gain = _gain(model, p) / input_scale if p.pre == INPUT else _gain(model, p)
        W, _ = model.columns(p.name)
        largest = gain * float(np.abs(W).max())
        if not largest:
            problems.append(f"{p.name}: all weights are 0, and the largest sets the scale; train it first")
        elif not 2.0**-60 < largest < 2.0**60:
            problems.append(
                f"{p.name}: the largest weight times its gain is {largest:.3g}, outside 2^-60 to 2^60; rescale"
            )
        else:
            exponent = floor(log2((2 ** (bits.weight - 1) - 1) / largest))
            scale = gain * 2.0**exponent
            weights[p.name] = Weights(np.rint(W * scale).astype(np.int64), gain, exponent)
    return weights, input_scale


def _leaky(drive: int, factor: int, d: int) -> int:
    """Return what |x| of x <- ((factor x) >>> d) + d_t cannot exceed while |d_t| <= drive."""
    return -(-(drive + 1 << d) // ((1 << d) - factor))


def _largest(x: Any, fraction: int) -> int:
    return int(np.abs(np.rint(np.asarray(x, dtype=np.float64) * 2.0**fraction)).max())


def _reach(rounded: _Rounded, layer: Layer, fraction: int) -> dict[str, int]:
    """Return what shifted W_in u, I and v of a layer cannot exceed, whatever the spikes and inputs.

    What arrives at the start of a step and what does at its end both leak from then on: I is never larger than if all
    came at one time.
    """
    model, bits, factors = rounded.model, rounded.bits, rounded.factors[layer.name]
    network, d, currents = model.network, bits.decay, not model.spikes_in
    E, spread = 0, 0
    constant = {"v": _largest(_rest(model, layer), fraction), "i": 0, "j": 0}
    for p in network.projections:
        if p.post != layer.name:
            continue
        most = 2 ** (bits.input - 1) - 1 if p.pre == INPUT and currents else 1
        W = rounded.weights[p.name]
        sums = W.largest_sum * most << fraction - W.exponent
        E, spread = (E + sums, spread) if p.pre == INPUT else (E, spread + sums)
        if p.bias:
            constant[_state(model, p)] += _largest(_bias(model, p), fraction)
    I = _leaky(spread + constant["i"] + constant["j"] + (0 if currents else E), factors["a_s"], d)  # noqa: E741
    drive = -(-(factors["k_i"] * I + (factors["k_e"] * E if currents else 0)) >> d)
    step = model.steps[layer.name]
    threshold = _largest(step.threshold.numpy(), fraction)
    late = threshold if step.delayed and step.subtract else 0  # is taken from what decayed below it
    driven = drive + constant["v"] + late
    # a membrane that does not leak: in as many steps as the inputs have
    v = _leaky(driven, factors["a_m"], d) if factors["a_m"] < 1 << d else driven * len(model.inputs)
    return {"E": E, "I": I, "v": max(v, threshold)}


def _reach_y(rounded: _Rounded, fraction: int) -> dict[str, int]:
    """Return what outputs cannot exceed; of a count, in as many steps as the inputs have."""
    model, drive = rounded.model, 0
    for p in model.network.feed(OUTPUT):
        W = rounded.weights[p.name]
        drive += W.largest_sum << fraction - W.exponent
        drive += _largest(_bias(model, p), fraction) if p.bias else 0
    if rounded.a_r == 1 << rounded.bits.decay:
        return {"y": drive * len(model.inputs)}
    return {"y": _leaky(drive, rounded.a_r, rounded.bits.decay)}


def _fraction(rounded: _Rounded, layer: Layer | None, problems: list[str]) -> int:
    """Return the bits after the point of V and I of a layer, or of Y (None)."""
    model, bits = rounded.model, rounded.bits
    arrays = [p for p in model.network.projections if p.post == (OUTPUT if layer is None else layer.name)]
    where = "" if layer is None or len(model.network.layers) == 1 else f" of {layer.name}"
    reach = partial(_reach_y, rounded) if layer is None else partial(_reach, rounded, layer)
    takes_currents = not model.spikes_in and any(p.pre == INPUT for p in arrays)
    fewer = "fewer weight_bits or input_bits" if takes_currents else "fewer weight_bits"
    exponents = [rounded.weights[p.name].exponent for p in arrays]
    count = model.readout_decay == 1.0
    return _most_bits(exponents, bits, reach, problems, where=where, fewer=fewer, count=count)


def _most_bits(
    exponents: Sequence[int], bits: Bits, reach: Callable[[int], Mapping[str, int]], problems: list[str], *,
    where: str, fewer: str, count: bool,
) -> int:  # fmt: skip
    """Return the most bits after the point with which no state overflows; weights keep all their bits."""
    least = max([FRACTION_MIN, *exponents])
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
        f"state_bits: {state}{where} could reach {most}, which takes {need} bits, with {least} bits after the point, "
        f"{why}; states have {bits.state}: {', or '.join(remedies)}"
    )
    return least
