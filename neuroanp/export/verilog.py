"""Verilog of the fixed-point network: the core, its testbench and its memory files.

The core works one unit, or one weight, a clock cycle. A step is

    INPUT   E += W_in[:, line] u[line]     I lines x N units, silent lines take one cycle
    UPDATE  V, I, spike, refractory        N units
    SPREAD  I += W[:, line] << shift       N lines, those that spiked x N units
    FADE    Y <- ((a Y) >>> d) + C_y       O outputs
    READ    Y += W_out[:, line] << shift   N lines, those that spiked x O outputs
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from neuroanp.export.fixed_point import FixedPoint

FACTORS = ("a_m", "k_i", "k_e", "a_s", "a_r")
CORE, TESTBENCH = "lif_core.v", "testbench.v"
"""What is written; beside this module they lie with @NAMES@ for what differs from network to network."""
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


def memories(fixed: FixedPoint) -> dict[str, str]:
    """Return the memory files of the core by name."""
    state, weight, factor = fixed.bits.state, fixed.bits.weight, factor_bits(fixed)
    N, O = len(fixed.v), len(fixed.y)  # noqa: E741
    files = {
        name: memory(W.values.T, weight, f"{name}, scale {W.scale!r}: word line * {posts} + {post}")
        for name, W, posts, post in (
            ("w_in", fixed.w_in, N, "unit"), ("w", fixed.w, N, "unit"), ("w_out", fixed.w_out, O, "output"),
        )
    }  # fmt: skip
    point = f"{fixed.fraction} bits after the point"
    files["thresholds"] = memory(fixed.threshold, state, f"threshold of each unit, {point}")
    files["constants_v"] = memory(fixed.v, state, f"added to v of each unit in every step, {point}")
    files["constants_i"] = memory(fixed.i, state, f"added to i of each unit in every step, {point}")
    files["constants_y"] = memory(fixed.y, state, f"added to y in every step, {fixed.fraction_y} bits after the point")
    title = f"{' '.join(FACTORS)} as fractions of 2^{fixed.bits.decay}"
    files["decays"] = memory([fixed.factors[name] for name in FACTORS], factor, title)
    return {f"{name}.mem": text for name, text in files.items()}


def core(fixed: FixedPoint) -> str:
    """Return lif_core.v."""
    I, N, O = fixed.w_in.values.shape[1], len(fixed.v), len(fixed.y)  # noqa: E741
    in_shift, shift, out_shift = fixed.shifts
    names = {
        "INPUTS": I, "UNITS": N, "OUTPUTS": O, "LANE": lane_bits(fixed), "STATE": fixed.bits.state,
        "WEIGHT": fixed.bits.weight, "DECAY": fixed.bits.decay, "IN_SHIFT": in_shift, "SHIFT": shift,
        "OUT_SHIFT": out_shift, "HOLD": fixed.hold, "WAIT": max(1, fixed.hold.bit_length()),
        "INDEX": max(I, N, O).bit_length(), "ADDRESS": (max(I, N, O) * max(N, O)).bit_length(),
        "FRACTION": fixed.fraction, "FRACTION_Y": fixed.fraction_y, **_reset(fixed),
        **{name: texts[fixed.currents] for name, texts in OF_INPUTS.items()},
    }  # fmt: skip
    return _filled(CORE, names)


def bench(fixed: FixedPoint, steps: int, sequences: int) -> str:
    """Return testbench.v, which drives the core with stimulus.mem and compares with expected.txt."""
    I, N, O = fixed.w_in.values.shape[1], len(fixed.v), len(fixed.y)  # noqa: E741
    cycles = 4 * ((I + N) * N + N * O + I + 2 * N + O + 16)  # a step takes fewer than a quarter of these
    names = {
        "INPUTS": I, "UNITS": N, "OUTPUTS": O, "LANE": lane_bits(fixed), "STATE": fixed.bits.state,
        "STEPS": steps, "SEQUENCES": sequences, "CYCLES": cycles, "WEIGHT": fixed.bits.weight,
        "FACTOR": factor_bits(fixed), "FACTORS": len(FACTORS),
    }  # fmt: skip
    return _filled(TESTBENCH, names)


def foreign(folder: Path) -> list[str]:
    """Find Verilog that is not the core and testbench written here, whatever the numbers in it.

    A simulator opens and writes any file that a module asks for.
    """
    return [
        f"{name}: is not what neuroanp writes, numbers aside; run your own in a simulator of your own"
        for name in (CORE, TESTBENCH)
        if (folder / name).exists()
        and _pattern(name).fullmatch((folder / name).read_text(encoding="utf-8", errors="replace")) is None
    ]


def _reset(fixed: FixedPoint) -> dict[str, str]:
    """Return what stands in the step of a unit for its kind of reset."""
    names = {name: texts[0] for name, texts in OF_RESETS.items()}
    _, hard, subtracted, raised = OF_RESETS["LATE"]
    if fixed.delayed:
        return names | {"MOVED": "v_moved", "LATE": subtracted if fixed.subtract else hard, "RESET": "v_now"}
    names["RESET"] = OF_RESETS["RESET"][fixed.subtract]
    return names | ({"LATE": raised, "CROSSED": "to_cross"} if fixed.raised else {})


@cache
def _pattern(name: str) -> re.Pattern[str]:
    """Return what a template looks like whatever it is filled with: what stands in it twice is the same."""
    choices, seen, parts = {**OF_INPUTS, **OF_RESETS}, set(), []
    for at, part in enumerate(re.split(r"@([A-Z_]+)@", _template(name))):
        if at % 2 == 0:
            parts.append(re.escape(part))
        elif part in seen:
            parts.append(f"(?P={part})")
        else:
            may_be = "|".join(map(re.escape, choices[part])) if part in choices else "-?[0-9]{1,9}"
            parts.append(f"(?P<{part}>{may_be})")
            seen.add(part)
    return re.compile("".join(parts))


@cache
def _template(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _filled(name: str, names: dict[str, Any]) -> str:
    text = _template(name)
    for name, value in names.items():
        text = text.replace(f"@{name}@", str(value))
    return text
