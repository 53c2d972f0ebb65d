"""Operations of torch as nodes of ONNX (opset 17): elementwise ones, comparisons, products, and those of shapes.

What is not in the tables below is refused by its name. Names are those of torch's ATen operators, to which torch.fx
reduces methods, functions and operators alike: `h.tanh()` and `torch.tanh(h)` are "tanh", `1 - h` is "rsub".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neuroanp.export.onnx_writer import Unknown, Writer, common, kind, rows_in

if TYPE_CHECKING:
    from torch.fx import Node

UNARY = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh", "atan": "Atan",
    "atanh": "Atanh", "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "exp": "Exp", "floor": "Floor",
    "log": "Log", "neg": "Neg", "reciprocal": "Reciprocal", "relu": "Relu", "round": "Round", "sigmoid": "Sigmoid",
    "sgn": "Sign", "sign": "Sign", "sin": "Sin", "sinh": "Sinh", "sqrt": "Sqrt", "tan": "Tan", "tanh": "Tanh",
    "logical_not": "Not", "bitwise_not": "Not",
}  # fmt: skip
BINARY = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "pow": "Pow", "maximum": "Max", "minimum": "Min",
}  # fmt: skip
COMPARE = {"gt": "Greater", "lt": "Less", "ge": "GreaterOrEqual", "le": "LessOrEqual", "eq": "Equal", "ne": "Equal"}
LOGIC = {
    "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor", "bitwise_and": "And", "bitwise_or": "Or",
    "bitwise_xor": "Xor",
}  # fmt: skip
SAME = {"clone", "detach", "alias", "lift_fresh_copy", "lift_fresh", "contiguous"}
FILLED = {"new_zeros": 0, "zeros_like": 0, "new_ones": 1, "ones_like": 1, "new_full": None, "full_like": None}
"""What makes tensors of one number; None: it is told."""


# ---- writers: (writer, node, *args, **kwargs) -> name ----


def _unary(operator: str) -> Callable[..., str]:
    return lambda w, node, x: w.node(operator, w.name(x, kind(node)))


def _binary(operator: str) -> Callable[..., str]:
    def write(w: Writer, node: Node, x: Any, y: Any, alpha: Any = 1, rounding_mode: Any = None) -> str:
        if rounding_mode is not None:
            raise Unknown(f"operation '{node.target}' with a rounding is not known to ONNX here")
        to = kind(node)
        if to == "bool":
            raise Unknown(f"operation '{node.target}' of true and false is not known to ONNX here")
        second = w.name(y, to) if alpha == 1 else w.node("Mul", w.name(y, to), w.constant(alpha, to))
        return w.node(operator, w.name(x, to), second)

    return write


def _compare(operator: str, negated: bool = False) -> Callable[..., str]:
    def write(w: Writer, node: Node, x: Any, y: Any) -> str:
        to = common(x, y)
        made = w.node(operator, w.name(x, to), w.name(y, to))
        return w.node("Not", made) if negated else made

    return write


def _logic(operator: str) -> Callable[..., str]:
    def write(w: Writer, node: Node, x: Any, y: Any) -> str:
        if kind(node) != "bool" or (isinstance(x, torch.fx.Node) and kind(x) != "bool"):
            raise Unknown(f"operation '{node.target}' of whole numbers is not known to ONNX here")
        return w.node(operator, w.name(x, "bool"), w.name(y, "bool"))

    return write


def _rsub(w: Writer, node: Node, x: Any, y: Any, alpha: Any = 1) -> str:
    return _binary("Sub")(w, node, y, x, alpha)


def _where(w: Writer, node: Node, which: Any, x: Any, y: Any) -> str:
    return w.node("Where", w.name(which, "bool"), w.name(x, kind(node)), w.name(y, kind(node)))


def _clamp(w: Writer, node: Node, x: Any, least: Any = None, most: Any = None, **by: Any) -> str:
    name, to = w.name(x, kind(node)), kind(node)
    least, most = by.get("min", least), by.get("max", most)
    if least is not None:
        name = w.node("Max", name, w.name(least, to))
    return name if most is None else w.node("Min", name, w.name(most, to))


def _softplus(w: Writer, node: Node, x: Any, beta: float = 1.0, threshold: float = 20.0) -> str:
    """log(1 + exp(b x)) / b without overflow: max(b x, 0) + log(1 + exp(-|b x|)), and x beyond the threshold."""
    x = w.name(x)
    scaled = x if beta == 1 else w.node("Mul", x, w.constant(beta))
    small = w.node("Exp", w.node("Neg", w.node("Abs", scaled)))
    curve = w.node("Add", w.node("Relu", scaled), _log_of_one_more(w, small))
    curve = curve if beta == 1 else w.node("Div", curve, w.constant(beta))
    return w.node("Where", w.node("Greater", scaled, w.constant(threshold)), x, curve)


def _log_of_one_more(w: Writer, x: str) -> str:
    """log(1 + x) to full precision where x is small: log(u) x / (u - 1) with u = 1 + x, x where u is 1."""
    one = w.constant(1.0)
    u = w.node("Add", one, x)
    same, over = w.node("Equal", u, one), w.node("Sub", u, one)
    ratio = w.node("Div", x, w.node("Where", same, one, over))
    return w.node("Where", same, x, w.node("Mul", w.node("Log", u), ratio))


def _exp_less_one(w: Writer, x: str) -> str:
    """exp(x) - 1 to full precision where x is small: (u - 1) x / log(u) with u = exp(x) (W. Kahan)."""
    one = w.constant(1.0)
    u = w.node("Exp", x)
    over = w.node("Sub", u, one)
    plain = w.node("Greater", w.node("Abs", x), one)
    same = w.node("Equal", u, one)
    log = w.node("Where", w.node("Or", plain, same), one, w.node("Log", u))
    near = w.node("Where", same, x, w.node("Div", w.node("Mul", over, x), log))
    return w.node("Where", plain, over, near)


def _elu(w: Writer, node: Node, x: Any, alpha: float = 1.0, scale: float = 1.0, slope: float = 1.0) -> str:
    x = w.name(x)
    below = x if slope == 1 else w.node("Mul", x, w.constant(slope))
    below = w.node("Mul", w.constant(alpha * scale), _exp_less_one(w, below))
    above = x if scale == 1 else w.node("Mul", x, w.constant(scale))
    return w.node("Where", w.node("Greater", x, w.constant(0.0)), above, below)


def _gelu(w: Writer, node: Node, x: Any, approximate: str = "none") -> str:
    x = w.name(x)
    if approximate == "tanh":
        cube = w.node("Mul", w.node("Mul", x, x), w.node("Mul", x, w.constant(0.044715)))
        inner = w.node("Tanh", w.node("Mul", w.constant(np.sqrt(2 / np.pi)), w.node("Add", x, cube)))
    else:
        inner = w.node("Erf", w.node("Mul", x, w.constant(np.sqrt(0.5))))
    return w.node("Mul", w.node("Mul", w.constant(0.5), x), w.node("Add", w.constant(1.0), inner))


def _leaky(w: Writer, node: Node, x: Any, slope: float = 0.01) -> str:
    x = w.name(x)
    return w.node("Where", w.node("Greater", x, w.constant(0.0)), x, w.node("Mul", x, w.constant(slope)))


def _hard(w: Writer, node: Node, x: Any, least: float = -1.0, most: float = 1.0) -> str:
    return w.node("Min", w.node("Max", w.name(x), w.constant(least)), w.constant(most))


def _hard_sigmoid(w: Writer, node: Node, x: Any) -> str:
    up = w.node("Min", w.node("Relu", w.node("Add", w.name(x), w.constant(3.0))), w.constant(6.0))
    return w.node("Div", up, w.constant(6.0))


def _log_sigmoid(w: Writer, node: Node, x: Any) -> list[str]:
    x = w.name(x)
    small = w.node("Exp", w.node("Neg", w.node("Abs", x)))
    return [w.node("Sub", w.node("Min", x, w.constant(0.0)), _log_of_one_more(w, small))]


def _silu(w: Writer, node: Node, x: Any) -> str:
    return w.node("Mul", w.name(x), w.node("Sigmoid", w.name(x)))


def _addmm(w: Writer, node: Node, added: Any, x: Any, y: Any) -> str:
    return w.node("Add", w.node("MatMul", w.name(x), w.name(y)), w.name(added))


def _transposed(w: Writer, node: Node, x: Any, *dims: int) -> str:
    order = [*range(node.meta["val"].ndim)]
    one, other = dims or (0, 1)
    order[one], order[other] = order[other], order[one]
    return w.node("Transpose", w.name(x), perm=order)


def _split(w: Writer, node: Node, x: Any, sizes: Any, dim: int = 0) -> list[tuple[str, int, int, int]]:
    ends = np.cumsum([part.shape[dim] for part in node.meta["val"]])
    starts = [0, *ends[:-1]]
    return [(w.name(x), dim, int(start), int(end)) for start, end in zip(starts, ends, strict=True)]


def _slice(w: Writer, node: Node, x: Any, dim: int = 0, start: Any = None, stop: Any = None, step: int = 1) -> str:
    if rows_in([start, stop]):
        if start not in (None, 0) or step != 1:
            raise Unknown("its step depends on how many rows there are")
        return w.name(x)
    return w.slice(w.name(x), dim, start or 0, 2**62 if stop is None else min(stop, 2**62), step)


def _select(w: Writer, node: Node, x: Any, dim: int, index: int) -> str:
    one = w.node("Gather", w.name(x), w.constant([index], "int64"), axis=dim)
    return w.node("Squeeze", one, w.constant([dim], "int64"))


def _joined(w: Writer, node: Node, parts: Sequence[Any], dim: int = 0) -> str:
    return w.node("Concat", *(w.name(part, kind(node)) for part in parts), axis=dim)


def _stacked(w: Writer, node: Node, parts: Sequence[Any], dim: int = 0) -> str:
    axis = w.constant([dim % node.meta["val"].ndim], "int64")
    return w.node("Concat", *(w.node("Unsqueeze", w.name(part), axis) for part in parts), axis=dim)


def _shaped(w: Writer, node: Node, x: Any, shape: Sequence[Any]) -> str:
    if any(rows_in(size) for size in shape):  # what torch finds out itself is known, and ONNX finds the rows
        shape = [-1 if rows_in(size) else found for size, found in zip(shape, node.meta["val"].shape, strict=True)]
    return w.node("Reshape", w.name(x), w.constant(shape, "int64"))


def _more(operator: str) -> Callable[..., str]:
    def write(w: Writer, node: Node, x: Any, dims: Any) -> str:
        return w.node(operator, w.name(x), w.constant(np.atleast_1d(dims), "int64"))

    return write


def _filled(value: float | None) -> Callable[..., str]:
    def write(w: Writer, node: Node, x: Any, *more: Any, **told: Any) -> str:
        """Return as many rows as there are of a number."""
        fill = value if value is not None else more[-1]
        like = node.meta["val"]
        same = isinstance(x, torch.fx.Node) and x.meta["val"].shape == like.shape
        if not same:
            raise Unknown(f"operation '{node.target}' of another shape is not known to ONNX here; use zeros_like")
        return w.node("Expand", w.constant(fill, kind(node)), w.node("Shape", w.name(x)))

    return write


def _reduced(operator: str, as_input: bool = False) -> Callable[..., str]:
    def write(w: Writer, node: Node, x: Any, dims: Any = None, keep: bool = False, **told: Any) -> str:
        dims = [*np.atleast_1d(range(x.meta["val"].ndim) if dims in (None, []) else dims)]
        whole = [int(each) for each in dims]
        axes = {} if as_input else {"axes": whole}
        more = [w.constant(whole, "int64")] if as_input else []
        return w.node(operator, w.name(x, kind(node)), *more, keepdims=int(keep), **axes)

    return write


def _softmax(w: Writer, node: Node, x: Any, dim: int, half: bool = False) -> str:
    return w.node("Softmax", w.name(x), axis=dim)


WRITERS: dict[str, Callable[..., Any]] = {
    **{name: _unary(operator) for name, operator in UNARY.items()},
    **{name: _binary(operator) for name, operator in BINARY.items()},
    **{name: _compare(operator, name == "ne") for name, operator in COMPARE.items()},
    **{name: _logic(operator) for name, operator in LOGIC.items()},
    **dict.fromkeys(SAME, lambda w, node, x, **told: w.name(x, kind(node))),
    **{name: _filled(value) for name, value in FILLED.items()},
    "_to_copy": lambda w, node, x, **told: w.name(x, kind(node)),
    "rsub": _rsub,
    "where": _where,
    "clamp": _clamp,
    "clamp_min": lambda w, node, x, least: _clamp(w, node, x, least),
    "clamp_max": lambda w, node, x, most: _clamp(w, node, x, None, most),
    "square": lambda w, node, x: w.node("Mul", w.name(x), w.name(x)),
    "rsqrt": lambda w, node, x: w.node("Reciprocal", w.node("Sqrt", w.name(x))),
    "log1p": lambda w, node, x: _log_of_one_more(w, w.name(x)),
    "expm1": lambda w, node, x: _exp_less_one(w, w.name(x)),
    "softplus": _softplus,
    "elu": _elu,
    "gelu": _gelu,
    "silu": _silu,
    "mish": lambda w, node, x: w.node("Mul", w.name(x), w.node("Tanh", _softplus(w, node, x))),
    "leaky_relu": _leaky,
    "hardtanh": _hard,
    "hardsigmoid": _hard_sigmoid,
    "log_sigmoid_forward": _log_sigmoid,
    "mm": lambda w, node, x, y: w.node("MatMul", w.name(x), w.name(y)),
    "addmm": _addmm,
    "t": _transposed,
    "transpose": _transposed,
    "split": _split,
    "split_with_sizes": _split,
    "slice": _slice,
    "select": _select,
    "cat": _joined,
    "stack": _stacked,
    "view": _shaped,
    "_unsafe_view": _shaped,
    "reshape": _shaped,
    "unsqueeze": _more("Unsqueeze"),
    "squeeze": _more("Squeeze"),
    "sum": _reduced("ReduceSum", as_input=True),
    "mean": _reduced("ReduceMean"),
    "amax": _reduced("ReduceMax"),
    "amin": _reduced("ReduceMin"),
    "_softmax": _softmax,
}
