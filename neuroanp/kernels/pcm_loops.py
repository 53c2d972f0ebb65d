"""Drift and read noise of phase-change memory, compiled: one pass over the devices for each, in single precision.

The plain forms are `neuroanp.devices.pcm.PcmDrift.factor` and `PcmRead.split` in torch, to a few units in the last
place: powers are exponentials of logarithms here.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neuroanp.kernels.compiled import HALF, ONE, logarithm

f32, i32 = np.float32, np.int32
LOG2_E, LN2_HIGH, LN2_LOW = f32(1.44269504088896341), f32(0.693359375), f32(-2.12194440e-4)
# e^r = 1 + r + r^2 P(r) for |r| <= ln 2 / 2: figures of Cephes (Stephen Moshier), expf
P0, P1, P2 = f32(1.9875691500e-4), f32(1.3981999507e-3), f32(8.3334519073e-3)
P3, P4, P5 = f32(4.1665795894e-2), f32(1.6666665459e-1), f32(5.0000001201e-1)
LOWEST, HIGHEST = f32(-87.0), f32(88.0)
BIAS, MANTISSA_BITS = i32(127), i32(23)


@njit(inline="always")
def exponential(x):  # pyright: ignore
    """Return e^x, of no x below -87 or above 88."""
    x = min(max(x, LOWEST), HIGHEST)
    n = np.floor(x * LOG2_E + HALF)
    r = x - n * LN2_HIGH - n * LN2_LOW
    p = ((((P0 * r + P1) * r + P2) * r + P3) * r + P4) * r + P5
    return (p * r * r + r + ONE) * i32((i32(n) + BIAS) << MANTISSA_BITS).view(f32)


@njit(cache=True, error_model="numpy")
def decay(nu, age, t0, out):  # pyright: ignore
    """Fill out with max(age / t0, 1)^-nu; all (devices,), age in double precision."""
    for i in range(len(out)):
        out[i] = exponential(-nu[i] * logarithm(max(f32(age[i] / t0), ONE)))


@njit(cache=True, error_model="numpy")
def split(programmed, now, age, figures, within, fresh, frozen):  # pyright: ignore
    """Fill the standard deviations of what is new at a read and what stands still; all (devices,).

    Args:
        programmed, now: siemens, just after the write and drifted. age: seconds at the end of the window.
        figures: g_max, t_read, q, exponent, floor, q_max. within: L of the window, at most.
    """
    g_max, t_read, q, exponent, floor, q_max = figures
    for i in range(len(fresh)):
        r = programmed[i] / g_max
        power = exponential(exponent * logarithm(r)) if r > f32(0) else f32(0)
        scale = min(q / max(power, floor), q_max) * now[i]
        total = max(logarithm((age[i] + t_read) / (t_read + t_read)), f32(0))
        moving = min(total, within)
        fresh[i], frozen[i] = scale * np.sqrt(moving), scale * np.sqrt(total - moving)
