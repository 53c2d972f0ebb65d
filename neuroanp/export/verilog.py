"""Verilog of a fixed-point network of one layer, and what all have: the testbench and the memory files.

The core works one unit, or one weight, a clock cycle; that of several layers is in `verilog_net`. A step is

    INPUT   E += W_in[:, line] u[line]     I lines x N units, silent lines take one cycle
    UPDATE  V, I, spike, refractory        N units
    SPREAD  I += W[:, line] << shift       N lines, those that spiked x N units
    FADE    Y <- ((a Y) >>> d) + C_y       O outputs
    READ    Y += W_out[:, line] << shift   N lines, those that spiked x O outputs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.export.templates import filled
from neuroanp.network.compose import ONE_LAYER
from neuroanp.network.network import OUTPUT

if TYPE_CHECKING:
    from neuroanp.export.whole_numbers import FixedLayer, FixedPoint
    from neuroanp.network.network import Network

FACTORS = ("a_m", "k_i", "k_e", "a_s")
"""Of a layer, in the order in which they lie in decays.mem; that of the outputs is the last."""
CORE, NET, TESTBENCH = "lif_core.v", "lif_net.v", "testbench.v"
"""What is written, the core of one layer or that of several; see `templates`."""
OF_INPUTS = {
    "LINE": ("{1'b0, line_bits}", "{line_bits[LANE-1], line_bits}"),
    "CURRENT": ("", " + k_e * $signed(e[n] <<< IN_SHIFT)"),
    "SPIKES": (" + $signed(e[n] <<< IN_SHIFT)", ""),
    "MODE": ("spikes", "signed currents"),
}
"""What stands there where inputs are spikes, and where they are currents."""
_LATE = "    wire signed [STATE-1:0] v_now = spikes[n] ? {} : v_moved;\n"  # spikes[n] is still that of the step before
_RAISED = "    wire signed [STATE:0] to_cross = v[n] > threshold ? threshold <<< 1 : threshold;\n"
OF_RESETS: Mapping[str, tuple[str, ...]] = {
    "MOVED": ("v_now", "v_moved"),
    "LATE": ("", _LATE.format("0"), _LATE.format("v_moved - threshold"), _RAISED),
    "CROSSED": ("threshold", "to_cross"),
    "RESET": ("fires ? 0 : v_now", "fires ? v_now - threshold : v_now", "v_now"),
}
"""What may stand there, by the kind of reset; see `_reset`."""


def memory(values: Any, bits: int, title: str) -> str:
    """Return a file for $readmemh: a comment, then one word a line, two's complement in hexadecimal.

    >>> print(memory([1, -1, -8], 4, "three words"), end="")
    // three words
    1
    f
    8
    >>> memory([8], 4, "too large")
    Traceback (most recent call last):
    ...
    ValueError: 8 does not fit into 4 bits
    """
    words = [int(value) for value in np.asarray(values).ravel()]
    for word in words:
        if not -(1 << bits - 1) <= word < 1 << bits - 1:
            raise ValueError(f"{word} does not fit into {bits} bits")
    return "".join([f"// {title}\n", *(f"{hexadecimal(word, bits)}\n" for word in words)])


def hexadecimal(word: int, bits: int) -> str:
    """Return a whole number in two's complement, as many digits as the bits take.

    >>> hexadecimal(-2, 10), hexadecimal(5, 3)
    ('3fe', '5')
    """
    return f"{word & ((1 << bits) - 1):0{-(-bits // 4)}x}"


def packed(lanes: Any, bits: int) -> int:
    """Return whole numbers side by side in one word, the first in the lowest bits.

    >>> hex(packed([1, -1], 8))
    '0xff01'
    """
    return sum((int(lane) & ((1 << bits) - 1)) << bits * k for k, lane in enumerate(lanes))


def lane_bits(fixed: FixedPoint) -> int:
    """Return the width of one input line."""
    return fixed.bits.input if fixed.currents else 1


def factor_bits(fixed: FixedPoint) -> int:
    """Return the width of a factor, which may be 1 and has a sign."""
    return fixed.bits.decay + 2


def single(network: Network) -> bool:
    """Return whether a network is what lif_core.v holds: one layer whose units reach each other.

    >>> from neuroanp.network.compose import one_layer
    >>> single(one_layer({"w_in": (2, 1), "w": (2, 2), "w_out": (1, 2)}))
    True
    """
    return tuple(network.shapes) == ONE_LAYER


def memories(fixed: FixedPoint) -> dict[str, str]:
    """Return the memory files of the core by name."""
    state, weight, factor = fixed.bits.state, fixed.bits.weight, factor_bits(fixed)
    files, network = {}, fixed.network
    for p in network.projections:
        W, post = fixed.weights[p.name], "output" if p.post == OUTPUT else "unit"
        title = f"{p.name}, scale {W.scale!r}: word line * {len(W.values)} + {post}"
        files[p.name] = memory(W.values.T, weight, title)
    layers = [*fixed.layers.values()]
    point = f"{', '.join(str(layer.fraction) for layer in layers)} bits after the point"
    every = "of each unit in every step"
    by_unit = {
        "thresholds": ([layer.threshold for layer in layers], "threshold of each unit"),
        "constants_v": ([layer.v for layer in layers], f"added to v {every}"),
        "constants_i": ([layer.i for layer in layers], f"added to i {every}"),
    }
    if not single(network):
        by_unit["constants_j"] = ([layer.j for layer in layers], f"added to i {every}, before v moves")
    for name, (parts, what) in by_unit.items():
        files[name] = memory(np.concatenate(parts), state, f"{what}, {point}")
    files["constants_y"] = memory(fixed.y, state, f"added to y in every step, {fixed.fraction_y} bits after the point")
    names = " ".join(FACTORS) + " of each layer, then" * (not single(network))
    title = f"{names} a_r as fractions of 2^{fixed.bits.decay}"
    factors = [*(layer.factors[name] for layer in layers for name in FACTORS), fixed.a_r]
    files["decays"] = memory(factors, factor, title)
    return {f"{name}.mem": text for name, text in files.items()}


def core(fixed: FixedPoint) -> str:
    """Return lif_core.v."""
    I, N, O = fixed.network.inputs, fixed.network.hidden, fixed.network.outputs  # noqa: E741
    (layer,) = fixed.layers.values()
    in_shift, shift, out_shift = (fixed.shift(p) for p in fixed.network.projections)
    names = {
        "INPUTS": I, "UNITS": N, "OUTPUTS": O, "LANE": lane_bits(fixed), "STATE": fixed.bits.state,
        "WEIGHT": fixed.bits.weight, "DECAY": fixed.bits.decay, "IN_SHIFT": in_shift, "SHIFT": shift,
        "OUT_SHIFT": out_shift, "HOLD": layer.hold, "WAIT": max(1, layer.hold.bit_length()),
        "INDEX": max(I, N, O).bit_length(), "ADDRESS": (max(I, N, O) * max(N, O)).bit_length(),
        "FRACTION": layer.fraction, "FRACTION_Y": fixed.fraction_y, **_reset(layer),
        **{name: texts[fixed.currents] for name, texts in OF_INPUTS.items()},
    }  # fmt: skip
    return filled(CORE, names)


def bench(fixed: FixedPoint, steps: int, sequences: int) -> str:
    """Return testbench.v, which drives the core with stimulus.mem and compares with expected.txt."""
    network = fixed.network
    I, N, O = network.inputs, network.hidden, network.outputs  # noqa: E741
    one = single(network)
    names = {
        "CORE": (CORE if one else NET).removesuffix(".v"), "ARRAYS": _of_one() if one else _of_several(fixed),
        "INPUTS": I, "UNITS": N, "OUTPUTS": O, "LANE": lane_bits(fixed), "STATE": fixed.bits.state,
        "STEPS": steps, "SEQUENCES": sequences,
        "CYCLES": 4 * cycles(fixed),
        "WEIGHT": fixed.bits.weight, "FACTOR": factor_bits(fixed), "FACTORS": len(FACTORS) * len(fixed.layers) + 1,
    }  # fmt: skip
    return filled(TESTBENCH, names)


def cycles(fixed: FixedPoint) -> int:
    """Return how many clock cycles a step takes at most: all weights, all units, and 16 to pass between stages."""
    network = fixed.network
    I, N, O = network.inputs, network.hidden, network.outputs  # noqa: E741
    if single(network):
        return (I + N) * N + N * O + I + 2 * N + O + 16
    weights = sum(W.values.size + W.values.shape[1] for W in fixed.weights.values())
    return weights + 2 * N + O + 16


def _of_one() -> str:
    """Return the lines of the testbench that look through the memories of weights of one layer."""
    words = zip(ONE_LAYER, ("INPUTS * UNITS", "UNITS * UNITS", "UNITS * OUTPUTS"), strict=True)
    return "".join(_looked_through(name, "WEIGHT", count) for name, count in words)


def _of_several(fixed: FixedPoint) -> str:
    found = [_looked_through(name, "WEIGHT", str(W.values.size)) for name, W in fixed.weights.items()]
    return "".join([*found, _looked_through("constants_j", "STATE", "UNITS")])


def _looked_through(name: str, width: str, words: str) -> str:
    return f'    memory_file #(.NAME("{name}.mem"), .WIDTH({width}), .WORDS({words})) {name} ();\n'


def _reset(layer: FixedLayer) -> dict[str, str]:
    """Return what stands in the step of a unit for its kind of reset."""
    names = {name: texts[0] for name, texts in OF_RESETS.items()}
    _, hard, subtracted, raised = OF_RESETS["LATE"]
    if layer.delayed:
        return names | {"MOVED": "v_moved", "LATE": subtracted if layer.subtract else hard, "RESET": "v_now"}
    names["RESET"] = OF_RESETS["RESET"][layer.subtract]
    return names | ({"LATE": raised, "CROSSED": "to_cross"} if layer.raised else {})
