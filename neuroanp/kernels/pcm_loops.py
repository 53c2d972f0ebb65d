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
AT_A_TIME = 1024
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
    by, ages = 1.0 / t0, np.empty(AT_A_TIME, f32)  # in single precision for itself: else half a vector is left empty
    for start in range(0, len(out), AT_A_TIME):
        part, old, exponent = out[start : start + AT_A_TIME], age[start : start + AT_A_TIME], nu[start:]
        for i in range(len(part)):
            ages[i] = max(f32(old[i] * by), ONE)
        for i in range(len(part)):
            part[i] = exponential(-exponent[i] * logarithm(ages[i]))


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


@njit(cache=True, error_model="numpy")
def observe(programmed, nu, written, now, window, t0, figures, within, conducts, fresh, frozen):  # pyright: ignore
    """Fill what devices conduct and both standard deviations: `decay` and `split` in one pass over them.

    Args:
        programmed: siemens just after the write. nu: exponents. written: seconds, in double precision. now: chip
            seconds at the start of the window of so many seconds. t0: of the drift. figures, within: as in `split`.
        conducts, fresh, frozen: (devices,) siemens, to be filled.
    """
    ages = np.empty(AT_A_TIME, np.float64)
    for start in range(0, len(fresh), AT_A_TIME):
        part = slice(start, start + AT_A_TIME)
        since, g, seen = written[part], programmed[part], conducts[part]
        for i in range(len(since)):
            ages[i] = now - since[i]
        old = ages[: len(since)]
        decay(nu[part], old, t0, seen)
        for i in range(len(since)):
            seen[i] *= g[i]
            old[i] = now + window - since[i]
        split(g, seen, old.astype(f32), figures, within, fresh[part], frozen[part])
