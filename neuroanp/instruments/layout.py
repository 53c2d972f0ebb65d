"""Where the arrays of a network lie on the array of an instrument.

Arrays lie below one another: each has word lines of its own, and all begin at bit line 0. A read of one of them leaves
the word lines of the others at 0 V, so that they carry nothing. Of differential pairs all G+ come first, then all G-.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from neuroanp.errors import InputError
from neuroanp.instruments.protocol import Identity


class Place(NamedTuple):
    """The devices (planes, n, m) of a network's array: word lines from `first` on, bit lines 0 .. planes n - 1."""

    first: int
    planes: int
    n: int
    m: int

    @property
    def lines(self) -> slice:
        """Its word lines."""
        return slice(self.first, self.first + self.m)

    def spread(self, devices: np.ndarray, identity: Identity) -> np.ndarray:
        """Return numbers of its devices, (planes, n, m), on the whole array (lines, bits), others 0.

        >>> Place(1, 2, 1, 2).spread(np.array([[[1, 2]], [[3, 4]]]), Identity("x", 3, 2)).tolist()
        [[0, 0], [1, 3], [2, 4]]
        """
        whole = np.zeros((identity.lines, identity.bits), devices.dtype)
        whole[self.lines, : self.planes * self.n] = devices.reshape(self.planes * self.n, self.m).T
        return whole

    def taken(self, whole: np.ndarray) -> np.ndarray:
        """Return what of the whole array (lines, bits) is of its devices, (planes, n, m)."""
        part = whole[self.lines, : self.planes * self.n]
        return np.ascontiguousarray(part.T).reshape(self.planes, self.n, self.m)


def layout(shapes: Mapping[str, tuple[int, int]], planes: int, identity: Identity) -> dict[str, Place]:
    """Return the place of each array.

    Args:
        shapes: (n, m) by name: bit lines and word lines. planes: devices a weight. identity: of the instrument.

    Raises:
        InputError: the instrument is too small.

    >>> layout({"w_in": (2, 3), "w": (2, 2)}, 2, Identity("x", 5, 4))["w"]
    Place(first=3, planes=2, n=2, m=2)
    """
    places, first = {}, 0
    for name, (n, m) in shapes.items():
        places[name] = Place(first, planes, n, m)
        first += m
    bits = planes * max(n for n, _ in shapes.values())
    if first > identity.lines or bits > identity.bits:
        each = ", ".join(f"{name} {m} x {planes * n}" for name, (n, m) in shapes.items())
        raise InputError(
            f"network: its arrays take {first} word lines and {bits} bit lines ({each}), and {identity.name} has "
            f"{identity.lines} and {identity.bits}; use fewer units"
        )
    return places
