"""Weights and variances of an array of pairs of devices, compiled: one pass over the devices, in single precision.

The plain form is in `neuroanp.substrates.crossbar.Crossbar.prepare`, in torch.
"""

from __future__ import annotations

from numba import njit


@njit(cache=True, error_model="numpy")
def pair(g, frozen, xi, fresh, slope, W, variance):  # pyright: ignore
    """Fill W with slope (G+ - G-), G = g + frozen xi, and variance with slope^2 (fresh+^2 + fresh-^2).

    Args: g, frozen, xi, fresh: (2, devices) siemens; frozen and xi, or fresh, of no device: there is none.
        slope: weight per siemens. W: (devices,). variance: likewise, or of none.
    """
    plus, minus, squared = g[0], g[1], slope * slope
    if frozen.shape[1]:
        of_plus, of_minus, x, y = frozen[0], frozen[1], xi[0], xi[1]
        for i in range(len(W)):
            W[i] = ((plus[i] + of_plus[i] * x[i]) - (minus[i] + of_minus[i] * y[i])) * slope
    else:
        for i in range(len(W)):
            W[i] = (plus[i] - minus[i]) * slope
    if len(variance):
        a, b = fresh[0], fresh[1]
        for i in range(len(variance)):
            variance[i] = (a[i] * a[i] + b[i] * b[i]) * squared
