"""What the parts of an ONNX graph are called, and the codes of its number types."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from neuroanp.network.network import Network

OPSET, IR_VERSION = 17, 9
ELEMENT = {"float32": "float", "float64": "double"}
"""Names of number types in ONNX's text form."""
CODE = {"float": 1, "double": 11}
"""Their codes, TensorProto.DataType; that of true and false is 9."""

Tensors = Mapping[str, Any]
WORD = re.compile(r"[A-Za-z0-9_]+")


class Names:
    """Names of a network's parts that ONNX's text form can have; those of one layer have no layer in them.

    Args:
        network: whose layers and arrays they are of; names that are no words give way to numbers.

    >>> from neuroanp.network.compose import Stacked, stack
    >>> from neuroanp.network.tanh import Tanh
    >>> two = Names(stack(1, [Stacked(Tanh(), 2), Stacked(Tanh(), 2)], 1))
    >>> two.of["hidden_2"], two.array["w_1_2"], two.bias("w_1_2"), two.end("w_1_2")
    ('_hidden_2', 'w_1_2', 'b_1_2', '_1_2')
    """

    def __init__(self, network: Network) -> None:
        layers, arrays = [layer.name for layer in network.layers], [p.name for p in network.projections]
        self.one = len(layers) == 1
        self.of: dict[str, str] = {layers[0]: ""} if self.one else _words(layers, "_", "_layer_")
        """What ends the names of a layer's parts."""
        self.array: dict[str, str] = _words(arrays, "", "w_")
        """Names of arrays."""

    def bias(self, array: str) -> str:
        """Return the name of an array's bias column."""
        return f"b_{self.label(array)}"

    def label(self, array: str) -> str:
        """Return what an array is called without the letter w."""
        return self.array[array].removeprefix("w").removeprefix("_")

    def end(self, array: str) -> str:
        """Return what ends the names of what an array gives."""
        return "" if self.one else f"_{self.label(array)}"


def _words(names: Sequence[str], before: str, otherwise: str) -> dict[str, str]:
    words = all(WORD.fullmatch(name) for name in names)
    return {name: f"{before}{name}" if words else f"{otherwise}{k}" for k, name in enumerate(names, 1)}


def cast(parts: Tensors, dtype: DTypeLike) -> dict[str, NDArray[Any]]:
    """Return real numbers as dtype and whole ones as int64.

    >>> {name: part.dtype.name for name, part in cast({"w": [0.5], "n": [1]}, np.float32).items()}
    {'w': 'float32', 'n': 'int64'}
    """
    made = {name: np.asarray(part) for name, part in parts.items()}
    return {name: part.astype(dtype if part.dtype.kind == "f" else np.int64) for name, part in made.items()}


def summed(names: Sequence[str], total: str) -> tuple[list[str], str]:
    """Return the nodes that add tensors up, in order, and the name of their sum: `total`, or that of the only one.

    >>> summed(["a", "b", "c"], "d")
    (['d_1 = Add (a, b)', 'd = Add (d_1, c)'], 'd')
    """
    nodes, so_far = [], names[0]
    for k, name in enumerate(names[1:], 1):
        after = total if k == len(names) - 1 else f"{total}_{k}"
        nodes.append(f"{after} = Add ({so_far}, {name})")
        so_far = after
    return nodes, so_far
