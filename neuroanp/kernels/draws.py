"""Draw what lies at an address: steps of time, rows of numbers.

A row of n numbers takes Q calls of the generator, ceil(n/4) in single precision and ceil(n/2) in double; row r has the
calls from r Q on, and number k Q + i of a row is what call i makes of its k-th word (pair of words). Whoever draws some
steps or rows alone gets the same numbers, at the cost of those alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from neuroanp.kernels import signs, transforms
from neuroanp.kernels.philox import words

if TYPE_CHECKING:
    from neuroanp.kernels.philox import Address

Kind = Literal["normal", "uniform", "rademacher"]
PER_CALL = {np.dtype(np.float32): 4, np.dtype(np.float64): 2}
AT_ONCE = 4096
"""Calls whose numbers numpy makes together in double precision: short steps are many, and long ones stay in a cache."""


def draw(kind: Kind, at: Address, steps: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
    """Return steps of draws (steps, *shape) from an address on, by compiled loops.

    Args:
        kind: "normal", standard, "uniform", in [0, 1), or "rademacher", signs, which lie as `signs` says.
        at: of the first step. steps: of time. shape: of a step; its last axis is the row. dtype: float32 or float64.

    Raises: ValueError where the address does not fit its words, TypeError for another dtype.

    >>> from neuroanp.kernels.philox import Address
    >>> at = Address(key=7, update=0, stream=0, t=0)
    >>> both, second = draw("normal", at, 2, (3,), "float32"), draw("normal", at._replace(t=1), 1, (3,), "float32")
    >>> bool((both[1] == second[0]).all()), bool((both == reference("normal", at, 2, (3,), "float32")).all())
    (True, True)
    """
    from neuroanp.kernels import compiled

    _check(at, steps, shape, dtype)
    if kind == "rademacher":
        return signs.draw(at, steps, shape, dtype)
    if np.dtype(dtype) == np.float64:
        return draw_doubles(kind, at, (at.stream,), steps, shape)[:, 0]
    out = np.empty((steps, *shape), dtype=dtype)
    rows = out.reshape(steps, prod(shape[:-1]), shape[-1] if shape else 1)
    compiled.fill(rows, at.keys, at.update, at.stream, at.t, kind == "normal")
    return out


def draw_doubles(
    kind: Literal["normal", "uniform"], at: Address, streams: Sequence[int], steps: int, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the draws of several streams, (steps, streams, *shape) in double precision, each as `draw` has it.

    Args:
        kind: "normal" or "uniform". at: of the first step; its stream does not count. streams: of passes.
        steps: of time. shape: of a step of one stream; its last axis is the row.

    Raises: ValueError where an address does not fit its words.

    >>> from neuroanp.kernels.philox import Address
    >>> at = Address(key=7, update=0, stream=0, t=0)
    >>> both = draw_doubles("normal", at, (3, 5), 2, (4,))
    >>> bool((both[:, 1] == draw("normal", at._replace(stream=5), 2, (4,), "float64")).all())
    True
    """
    from neuroanp.kernels import compiled

    for stream in (min(streams), max(streams)):
        _check(at._replace(stream=stream), steps, shape, np.float64)
    rows, n = prod(shape[:-1]), shape[-1] if shape else 1
    out, calls = np.empty((steps * len(streams), rows, n)), rows * -(-n // 2)
    places, together = [(t, m) for t in range(steps) for m in streams], max(1, AT_ONCE // max(calls, 1))
    w, keys = np.empty((min(together, len(places)), calls, 4), dtype=np.uint32), at.keys
    for first in range(0, len(places), together):
        some = places[first : first + together]
        for of_a_step, (t, m) in zip(w, some, strict=False):
            compiled.fill_words(of_a_step, keys, at.update, m, at.t + t)
        made = _made(kind, w[: len(some)].reshape(-1, 4), out.dtype)
        out[first : first + len(some)] = _dealt(made, len(some) * rows, n).reshape(len(some), rows, n)
    return out.reshape(steps, len(streams), *shape)


def draw_passes(
    at: Address, streams: Sequence[int], factors: Sequence[float], steps: int, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the normals of several streams, each times its factor, (steps, passes, *shape) in single precision.

    Pass m is draw("normal", at stream streams[m]) * factors[m], to the bit, in one go over the memory.

    Args:
        at: of the first step; its stream does not count. streams, factors: (passes,).
        steps: of time. shape: of a step of one pass; its last axis is the row.

    >>> from neuroanp.kernels.philox import Address
    >>> at = Address(key=7, update=0, stream=0, t=0)
    >>> both = draw_passes(at, (3, 3), (1.0, -0.5), 2, (5,))
    >>> bool((both[:, 1] == -0.5 * both[:, 0]).all())
    True
    """
    from neuroanp.kernels.pass_noise import fill_passes

    for stream in (min(streams), max(streams)):
        _check(at._replace(stream=stream), steps, shape, np.float32)
    if not any(factors):
        return np.zeros((steps, len(streams), *shape), dtype=np.float32)
    out = np.empty((steps, len(streams), *shape), dtype=np.float32)
    rows = out.reshape(steps, len(streams), prod(shape[:-1]), shape[-1] if shape else 1)
    fill_passes(rows, at.keys, at.update, np.array(streams, np.uint32), np.array(factors, np.float32), at.t)
    return out


def reference(kind: Kind, at: Address, steps: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
    """Return the same bits in numpy alone: the definition, about twenty times as slow."""
    _check(at, steps, shape, dtype)
    if kind == "rademacher":
        each = [signs.reference(at._replace(t=at.t + t), prod(shape)) for t in range(steps)]
        return np.array(each, dtype=dtype).reshape((steps, *shape))
    rows, n = prod(shape[:-1]), shape[-1] if shape else 1
    calls = rows * -(-n // PER_CALL[np.dtype(dtype)])
    made = [_made(kind, words(at._replace(t=at.t + t), calls), np.dtype(dtype)) for t in range(steps)]
    return np.array([_dealt(each, rows, n) for each in made], dtype=dtype).reshape((steps, *shape))


def _check(at: Address, steps: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
    if np.dtype(dtype) not in PER_CALL:
        raise TypeError(f"draws are of float32 or float64, not {np.dtype(dtype)}")
    at.checked()._replace(t=at.t + max(steps - 1, 0)).checked()
    if prod(shape) >= 1 << 32:
        raise ValueError(f"a step has 2^32 draws at most, not those of {shape}")


def _made(kind: Kind, w: transforms.Words, dtype: np.dtype[Any]) -> np.ndarray:
    single = dtype == np.float32
    if kind == "normal":
        return transforms.normals(w) if single else transforms.normals64(w)
    return transforms.uniforms(w) if single else transforms.uniforms64(w)


def _dealt(made: np.ndarray, rows: int, n: int) -> np.ndarray:
    """Return rows (rows, n) of what calls made (rows Q, k): number k Q + i of a row is made[Q row + i, k]."""
    if not rows or not n:
        return np.empty((rows, n), dtype=made.dtype)
    return made.reshape(rows, len(made) // rows, made.shape[1]).transpose(0, 2, 1).reshape(rows, -1)[:, :n]
