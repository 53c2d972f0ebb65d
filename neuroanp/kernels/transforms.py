"""Turn random words into uniforms, signs and normals, in numpy: what every faster path is held to, bit for bit.

    uniform  u = w 2^-24 of the upper 24 bits (double: the upper 53 of two words)
    sign     +1 where the upper bit is set, else -1
    normal   z = sqrt(-2 ln u) (cos a, sin a), u = (w + 1/2) 2^-32, a = pi/2 (q + f), q from 2 bits and f from 30

In single precision logarithm, sine and cosine are polynomials of additions and products that IEEE 754 rounds the same
everywhere: the bits of a draw are those of every machine. u takes 32 bits, so |z| reaches 6.8. Double precision takes
numpy's own functions.

Sources: Box and Muller, Ann. Math. Statist. 29, 610 (1958); the polynomials are minimax ones of degree 8, 7 and 8
(Cody and Waite, Software Manual for the Elementary Functions, 1980; coefficients of Moshier's Cephes library).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]
Single = npt.NDArray[np.float32]

LN = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
    2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
"""ln(1 + m) = m - m^2/2 + m^3 P(m) for 1/sqrt2 <= 1 + m < sqrt2, highest power first."""
LN2 = (0.693359375, -2.12194440e-4)
"""ln 2 in two parts: the first is exact in few bits, times any exponent."""
SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
"""sin f = f + f^3 P(f^2), cos f = 1 - f^2/2 + f^4 P(f^2) for |f| <= pi/4."""
HALF_ROOT = 0.70710678

f32 = np.float32


def logarithm(u: Single) -> Single:
    """Return ln u of normal numbers, to 1 part in 10^7 of the larger of ln u and u's distance from 1."""
    bits = u.view(np.int32)
    exponent = (bits >> 23) - 126
    m = ((bits & 0x007FFFFF) | 0x3F000000).view(f32)  # in [1/2, 1)
    low = m < f32(HALF_ROOT)
    m = np.where(low, m + m - f32(1), m - f32(1))
    e = np.where(low, exponent - 1, exponent).astype(f32)
    z = m * m
    p = f32(LN[0])
    for c in LN[1:]:
        p = p * m + f32(c)
    return (m + (m * z * p + e * f32(LN2[1]) - f32(0.5) * z) + e * f32(LN2[0])).astype(f32, copy=False)


def circle(w: Words) -> tuple[Single, Single]:
    """Return cosine and sine of angles pi/2 (q + f): q of the upper two bits, f in [-1/2, 1/2) of the others."""
    f = ((w & np.uint32(0x3FFFFFFF)).astype(np.int32) - np.int32(0x20000000)).astype(f32)
    f = f * f32(2.0**-30) * f32(np.pi / 2)
    z = f * f
    sine = ((f32(SIN[0]) * z + f32(SIN[1])) * z + f32(SIN[2])) * z * f + f
    cosine = ((f32(COS[0]) * z + f32(COS[1])) * z + f32(COS[2])) * z * z - f32(0.5) * z + f32(1)
    q = (w >> np.uint32(30)).astype(np.int32)
    odd = (q & 1) != 0
    a, b = np.where(odd, sine, cosine), np.where(odd, cosine, sine)
    return np.where(((q + 1) & 2) != 0, -a, a), np.where((q & 2) != 0, -b, b)


def normals(w: Words) -> Single:
    """Return standard normals (n, 4) of words (n, 4): two words make two of them."""
    out = np.empty(w.shape, dtype=f32)
    for k in (0, 2):
        radius = np.sqrt(f32(-2) * logarithm((w[:, k].astype(f32) + f32(0.5)) * f32(2.0**-32)))
        cosine, sine = circle(w[:, k + 1])
        out[:, k], out[:, k + 1] = radius * cosine, radius * sine
    return out


def uniforms(w: Words) -> Single:
    """Return uniforms in [0, 1), (n, 4)."""
    return (w >> np.uint32(8)).astype(f32) * f32(2.0**-24)


def signs(w: Words) -> Single:
    """Return +1 or -1, (n, 4)."""
    return np.where((w >> np.uint32(31)) != 0, f32(1), f32(-1))


def uniforms64(w: Words) -> npt.NDArray[np.float64]:
    """Return uniforms in [0, 1) of double precision, (n, 2) of words (n, 4)."""
    high, low = w[:, 0::2].astype(np.uint64), w[:, 1::2].astype(np.uint64)
    return ((high << np.uint64(21)) | (low >> np.uint64(11))).astype(np.float64) * 2.0**-53


def normals64(w: Words) -> npt.NDArray[np.float64]:
    """Return standard normals of double precision, (n, 2) of words (n, 4)."""
    u = uniforms64(w)
    radius, angle = np.sqrt(-2.0 * np.log1p(-u[:, 0])), 2.0 * np.pi * u[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
