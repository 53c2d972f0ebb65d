"""Pixels of images as a network is shown them: averaged over blocks, in the one order of all images."""

from __future__ import annotations

import numpy as np

from neuroanp.noise import Streams


def pooled(images: np.ndarray, pool: int) -> np.ndarray:
    """Return the means of blocks of `pool` x `pool` pixels, row by row.

    Args:
        images: (B, rows, columns), both a multiple of `pool`.

    Returns: (B, rows columns / pool^2) float64.

    >>> pooled(np.arange(8).reshape(1, 2, 4), 2).tolist()
    [[2.5, 4.5]]
    """
    count, rows, columns = images.shape
    blocks = images.reshape(count, rows // pool, pool, columns // pool, pool)
    return blocks.mean(axis=(2, 4)).reshape(count, -1)


def pixel_order(seed: int | None, task: str, pixels: int) -> np.ndarray:
    """Return in which order pixels are shown: row by row, or as a seed draws it; (pixels,).

    >>> pixel_order(None, "digits", 4).tolist(), sorted(pixel_order(7, "digits", 4).tolist())
    ([0, 1, 2, 3], [0, 1, 2, 3])
    """
    if seed is None:
        return np.arange(pixels)
    return Streams(seed).generator(f"{task}/order").permutation(pixels)
