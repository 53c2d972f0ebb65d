"""Compose layers one above the other to a network, and name its arrays.

one layer       w_in, w, w_out
several         w_in (to layer 1), w_1 (recurrent), w_1_2, w_2, ..., w_out (from the last)
with skips      besides w_in_2, w_in_3, ... (the input to every layer) and w_1_out, ... (every layer to the output)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from neuroanp.network.cell import Unit
from neuroanp.network.network import INPUT, OUTPUT, Layer, Network, Projection
from neuroanp.network.tanh import Tanh

INTO, BACK, OUT = "w_in", "w", "w_out"
ONE_LAYER = (INTO, BACK, OUT)
"""The arrays of a network of one layer: into it, its own, out of it; the first and the last are in every stack."""
ONE = "hidden"
"""What the layer of a network of one is called."""


class Stacked(NamedTuple):
    """One layer of a stack.

    Args:
        cell, units: what and how many. recurrent: whether it sees its own activity of the step before.
        delay: steps from the activity of the layer below to the current it makes.
    """

    cell: Unit
    units: int
    recurrent: bool = True
    delay: int = 0


def stack(
    inputs: int, layers: Sequence[Stacked], outputs: int, bias: bool = False, skip: bool = False, input_delay: int = 1
) -> Network:
    """Return the network of these layers.

    Args:
        inputs, outputs: I, O.
        layers: from the input up, at least one.
        bias: the array into each layer from the one below, and that of the last layer to the output, has a line that
            a constant drives.
        skip: the input reaches every layer, and every layer the output.
        input_delay: steps from a spike of the input to the current it makes, 0 or 1.

    >>> from neuroanp.network.tanh import Tanh
    >>> from neuroanp.network.gru import GRU
    >>> stack(3, [Stacked(Tanh(), 5), Stacked(GRU(), 4)], 2, skip=True).shapes  # doctest: +NORMALIZE_WHITESPACE
    {'w_in': (5, 3), 'w_1': (5, 5), 'w_1_2': (12, 5), 'w_in_2': (12, 3), 'w_2': (12, 4), 'w_1_out': (2, 5),
     'w_out': (2, 4)}
    """
    many, last = len(layers) > 1, len(layers)
    names = [f"{ONE}_{k}" if many else ONE for k in range(1, last + 1)]
    found: list[Projection] = []
    for k, (name, spec) in enumerate(zip(names, layers, strict=True), 1):
        below, array = (INPUT, "w_in") if k == 1 else (names[k - 2], f"w_{k - 1}_{k}")
        found.append(Projection(array, below, name, spec.delay if k > 1 else 0, bias))
        if skip and k > 1:
            found.append(Projection(f"w_in_{k}", INPUT, name, 0))
        if spec.recurrent:
            found.append(Projection(f"w_{k}" if many else "w", name, name, 1))
    if skip:
        found += [Projection(f"w_{k}_out", names[k - 1], OUTPUT, 0) for k in range(1, last)]
    found.append(Projection("w_out", names[-1], OUTPUT, 0, bias))
    made = tuple(Layer(name, spec.units, spec.cell) for name, spec in zip(names, layers, strict=True))
    return Network(inputs, made, outputs, tuple(found), input_delay)


def one_layer(shapes: Mapping[str, Sequence[int]], bias: bool = False, cell: Unit | None = None) -> Network:
    """Return the network of one layer whose matrices w_in, w and w_out have these shapes.

    Args:
        shapes: (post, pre) of each. bias: whether w_in and w_out have a column more.
        cell: the units; None: tanh.

    Raises:
        ValueError: another name is among them, or one is missing.

    >>> one_layer({"w_in": (5, 3), "w": (5, 5), "w_out": (2, 5)}).units
    {'input': 3, 'hidden': 5, 'output': 2}
    """
    if set(shapes) != set(ONE_LAYER):
        raise ValueError(f"a network of one layer has w_in, w and w_out, not {', '.join(shapes) or 'nothing'}")
    (units, inputs), (outputs, _) = shapes["w_in"], shapes["w_out"]
    return stack(inputs - bias, [Stacked(cell or Tanh(), units)], outputs, bias)
