"""Nodes of ONNX, written call by call from what torch.fx traced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.fx.node import map_arg

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch.fx import Node

KINDS = {"float32": "float", "float64": "double", "bool": "bool", "int64": "int64", "int32": "int32"}
"""Number types as ONNX's text form calls them."""
CODES = {"float32": 1, "float64": 11, "bool": 9, "int64": 7, "int32": 6}
"""Their codes, TensorProto.DataType."""

SINGLE = {"Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cosh", "Erf", "Sinh", "Softplus", "Tan"}
"""Those that onnxruntime has in float32 only."""


MANY = object()
"""Stands for the number of rows among the arguments of a call."""


class Unknown(Exception):
    """An operation that no node is known for; the message says which."""


class Writer:
    """Nodes and constants of a step, written call by call.

    Args:
        dtype: of real numbers. module: traced, with its tensors. writers: by the name of a call, what writes it:
            (writer, node, *args, **kwargs) -> the name of what it gives, or a list of what its parts are.
    """

    def __init__(self, dtype: str, module: torch.fx.GraphModule, writers: Mapping[str, Callable[..., Any]]) -> None:
        self.dtype, self.module, self.writers = dtype, module, writers
        self.nodes: list[str] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.names: dict[Node, Any] = {}
        self.known: dict[Node, torch.Tensor] = {}
        """Values that depend on no input."""

    def write(self, node: Node, given: tuple[list[Any], dict[str, Any]]) -> None:
        """Write what a call is; `given` are its arguments, with MANY where they are the number of rows.

        Raises:
            Unknown: no node of ONNX is known for it.
        """
        if node.op == "get_attr":
            self.known[node] = tensor_at(self.module, node)
            return
        name = _name(node)
        if self._fold(node, *given):
            return
        if name == "getitem":
            parts = self.names[given[0][0]]
            if given[0][1] >= len(parts):
                raise Unknown(f"operation '{name}' of it is not known to ONNX here")
            made = parts[given[0][1]]
            self.names[node] = made if isinstance(made, str) else self.slice(*made)
            return
        found = self.writers.get(name)
        if found is None:
            raise Unknown(f"operation '{node.target}' is not known to ONNX here; write its step with others")
        self.names[node] = found(self, node, *given[0], **_told(given[1]))

    def _fold(self, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
        """Compute what depends on no input; return whether it was that."""
        if not all(each in self.known for each in node.all_input_nodes) or rows_in((args, kwargs)):
            return False
        if isinstance(node.target, torch._ops.OpOverload) and torch.Tag.nondeterministic_seeded in node.target.tags:
            raise Unknown(f"operation '{node.target}' draws random numbers, and a graph has none")
        here = map_arg((tuple(args), kwargs), lambda each: self.known[each])
        self.known[node] = node.target(*here[0], **here[1])  # pyright: ignore[reportCallIssue]
        return True

    # ---- what writers write with ----

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Write a node and return the name of what it gives."""
        if operator in SINGLE and self.dtype == "float64":
            raise Unknown(f"onnxruntime has '{operator}' in float32 only; use --set dtype=float32")
        name = f"n_{len(self.nodes)}"
        told = ", ".join(f"{key} = {value}" for key, value in attributes.items())
        self.nodes.append(f"{name} = {operator}{f' <{told}>' if told else ''} ({', '.join(inputs)})")
        return name

    def constant(self, value: Any, dtype: str | None = None) -> str:
        """Return the name of an initializer, with the mark of its layer; the same numbers are one."""
        if rows_in(value):
            raise Unknown("its step depends on how many rows there are")
        array = np.asarray(value, dtype or self.dtype)
        for name, there in self.constants.items():
            if there.dtype == array.dtype and there.shape == array.shape and there.tobytes() == array.tobytes():
                return f"{name}@"
        name = f"c_{len(self.constants)}"
        self.constants[name] = array
        return f"{name}@"

    def name(self, value: Any, dtype: str | None = None) -> str:
        """Return the name of an argument, a number's too, in a number type (None: its own)."""
        if isinstance(value, torch.fx.Node):
            own = kind(value)
            if value in self.known:
                return self.constant(self.known[value].detach().cpu().numpy(), dtype or own)
            name = self.names[value]
            return name if dtype in (None, own) else self.node("Cast", name, to=CODES[str(dtype)])
        return self.constant(value, dtype)

    def slice(self, name: str, dim: int, start: int, stop: int, step: int = 1) -> str:
        """Write what takes a part of a dimension."""
        return self.node("Slice", name, *(self.constant([part], "int64") for part in (start, stop, dim, step)))


def kind(node: Node) -> str:
    """Return the number type of what a call gives; Unknown for one that has no name here."""
    found = str(node.meta["val"].dtype).removeprefix("torch.")
    if found not in KINDS:
        raise Unknown(f"numbers of {found} (operation '{node.target}') are not known to ONNX here")
    return found


def _name(node: Node) -> str:
    """Return the name of an operator, whichever of its overloads is called."""
    target: Any = node.target
    return (target.overloadpacket if isinstance(target, torch._ops.OpOverload) else target).__name__


def tensor_at(module: torch.fx.GraphModule, node: Node) -> torch.Tensor:
    """Return a tensor that a traced module holds."""
    return attrgetter(str(node.target))(module)


def _told(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return arguments without those of where tensors lie."""
    return {name: value for name, value in kwargs.items() if name not in ("device", "layout", "pin_memory")}


def rows_in(value: Any) -> bool:
    """Tell whether the number of rows is among arguments."""
    if isinstance(value, dict):
        return any(rows_in(each) for each in value.values())
    return value is MANY or (isinstance(value, list | tuple) and any(rows_in(each) for each in value))


def common(*values: Any) -> str:
    """Return the number type in which arguments meet."""
    found = [value.meta["val"] if isinstance(value, torch.fx.Node) else value for value in values]
    joint = found[0].dtype if len(found) == 1 else torch.result_type(found[0], found[1])
    return str(joint).removeprefix("torch.")
