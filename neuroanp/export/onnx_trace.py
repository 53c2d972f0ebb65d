"""The step of a cell as nodes of ONNX: traced by torch.fx, whatever pure torch it is written in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from neuroanp.errors import InputError
from neuroanp.export.onnx_ops import WRITERS
from neuroanp.export.onnx_writer import KINDS, MANY, Unknown, Writer, tensor_at

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor
    from torch.fx import GraphModule, Node

    from neuroanp.network.cell import Cell


class Step(NamedTuple):
    """A cell's step as nodes: they read h_t, s_0_before, s_1_before, ... and give s_0_after, ..., and the activity.

    Args:
        nodes: in order; `@` stands where the tag of a layer ends the name of a constant.
        x: the name of the activity. constants: by name, without tag.
        start: of each state (1, n). kinds: number types of the states in ONNX's text form.
    """

    nodes: list[str]
    x: str
    constants: dict[str, NDArray[Any]]
    start: list[NDArray[Any]]
    kinds: list[str]


def trace(cell: Cell, where: str, units: int, lines: int, dtype: str) -> Step:
    """Return the step of `units` units of a cell as nodes.

    Args:
        cell: any. where: the layer's name. lines: ports times units. dtype: "float32" or "float64".

    Raises:
        InputError: something that its step calls is not known here, or it depends on values or on how many rows there
            are.
    """
    who = f"{where}: cell '{type(cell).__name__}'"
    graphs = [_traced(cell, who, units, lines, rows, dtype) for rows in ROWS]
    writer = Writer(dtype, graphs[0], WRITERS)
    start = _start(cell, who, units, dtype)
    nodes = [[*module.graph.nodes] for module in graphs]
    if [node.target for node in nodes[0]] != [node.target for node in nodes[1]]:
        raise _refused(f"{who}: its step does other things for other numbers of rows")
    inputs = iter(["h_t", *(f"s_{k}_before" for k in range(len(start)))])
    outputs: list[Any] = []
    for node, other in zip(*nodes, strict=True):
        if node.op == "placeholder":
            writer.names[node] = next(inputs)
        elif node.op == "output":
            outputs = [*node.args[0]]  # pyright: ignore[reportGeneralTypeIssues]
        else:
            try:
                if node.op == "get_attr" and not _same(*map(tensor_at, graphs, (node, other))):
                    raise Unknown("its step holds another tensor each time")
                writer.write(node, _of_any_rows(node, other))
            except Unknown as unknown:
                raise _refused(f"{who}: {unknown}") from None
    *after, x = outputs
    _keeps(who, after, x, start, units)
    after = [f"s_{k}_after = Identity ({writer.names[node]})" for k, node in enumerate(after)]
    kinds = [KINDS[str(part.dtype)] for part in start]
    return Step([*writer.nodes, *after], writer.names[x], writer.constants, start, kinds)


ROWS = 2, 3
"""It is traced with so many rows: what differs is their number."""


def _refused(said: str) -> InputError:
    return InputError("onnx cannot hold this network; nothing was written", [said])


def _traced(cell: Cell, who: str, units: int, lines: int, rows: int, dtype: str) -> GraphModule:
    import torch
    from torch.func import functionalize
    from torch.fx.experimental.proxy_tensor import make_fx

    like = torch.zeros((), dtype={"float32": torch.float32, "float64": torch.float64}[dtype])

    def step(h: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        after, x = cell.step(tuple(state), h)
        return (*after, x)

    try:
        pure = functionalize(step, remove="mutations")
        module = make_fx(pure)(like.new_zeros(rows, lines), *cell.start(rows, units, like))
    except Exception as error:
        said = " ".join(str(error).split())[:160]
        raise _refused(f"{who}: its step cannot be traced ({type(error).__name__}: {said})") from error
    module.graph.eliminate_dead_code()
    return module


def _start(cell: Cell, who: str, units: int, dtype: str) -> list[NDArray[Any]]:
    """Return where a row of units begins."""
    import torch

    like = torch.zeros((), dtype={"float32": torch.float32, "float64": torch.float64}[dtype])
    states = [state.numpy() for state in cell.start(ROWS[1], units, like)]
    for state in states:
        if state.ndim != 2 or str(state.dtype) not in KINDS or not (state == state[:1]).all():
            raise _refused(f"{who}: it starts with {state.dtype} {state.shape}; ONNX takes rows of numbers, all alike")
    return [state[:1] for state in states]


def _of_any_rows(node: Node, other: Node) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call, with MANY where they are the number of rows."""

    def one(a: Any, b: Any) -> Any:
        if isinstance(a, list | tuple):
            if len(a) != len(b):
                raise Unknown("its step does other things for other numbers of rows")
            return [one(x, y) for x, y in zip(a, b, strict=True)]
        if isinstance(a, int | float) and a != b:
            if (a, b) == ROWS:
                return MANY
            raise Unknown("its step depends on how many rows there are")
        return a

    return one(node.args, other.args), {name: one(a, other.kwargs[name]) for name, a in node.kwargs.items()}


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool((one == other).all())


def _keeps(who: str, after: Sequence[Node], x: Node, start: Sequence[NDArray[Any]], units: int) -> None:
    """Refuse a step that does not return what `start` began with, and an activity."""
    found = [_shaped(node) for node in after]
    wanted = [((ROWS[0], part.shape[1]), str(part.dtype)) for part in start]
    if found != wanted:
        raise _refused(f"{who}: its step returns the states {found}, and it starts with {wanted}")
    if _shaped(x)[0] != (ROWS[0], units):
        raise _refused(f"{who}: the activity is {_shaped(x)[0]}, {(ROWS[0], units)} is one of {units} units")


def _shaped(node: Node) -> tuple[tuple[int, ...], str]:
    value = node.meta["val"]
    return tuple(value.shape), str(value.dtype).removeprefix("torch.")
