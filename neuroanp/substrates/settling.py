"""How long the lines of a tile take to settle, by the slowest pole of a chain of segments.

    tau = r c / (4 sin^2(pi / (4 N + 2)))

for N segments of resistance r, driven at one end and open at the other, with a capacitance c to ground behind each
(about .405 R C of the whole line). Devices shorten it: what they draw is left out, so that the time is an upper bound
for lines that settle one after the other, t = (tau_word + tau_bit) ln(1 / share), share half a code of the ADC.

Source: eigenvalues of a chain with one fixed and one free end, 2 - 2 cos((2k - 1) pi / (2N + 1)).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from neuroanp.substrates.periphery import sensor

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile

SHARE = 0.01
"""What of the last value may be missing where no ADC says what can be told."""


def slowest(ohms: float, farads: float, segments: int) -> float:
    """Return the slowest time constant of a line, seconds.

    Args: ohms, farads: a segment. segments: how many.

    >>> slowest(2.0, 3.0, 1), round(slowest(1e-3, 1e-3, 1000) / (4 / math.pi**2), 2)
    (6.000000000000002, 1.0)
    """
    return ohms * farads / (4.0 * math.sin(math.pi / (4 * segments + 2)) ** 2)


def settling_time(profile: HardwareProfile, bit_lines: int, word_lines: int) -> float:
    """Return seconds until the outputs of a tile are within half a code of the ADC (or SHARE) of their last value.

    0 where the profile states no capacitance. A word line crosses all bit lines, and the other way round.

    >>> from neuroanp.profiles.loader import load
    >>> settling_time(load("pcm"), 64, 64)  # it states no capacitance
    0.0
    """
    wires, adc = profile.array.wires, sensor(profile)
    if wires is None:
        return 0.0
    word = slowest(wires.r_word, wires.c_word or 0.0, bit_lines)
    bit = slowest(wires.r_bit, wires.c_bit or 0.0, word_lines)
    return (word + bit) * math.log(1.0 / SHARE if adc is None else 2.0 ** (adc.bits + 1))
