"""Arithmetic that numpy and compiled code do not do alike: refused where it fails, written anew where it can be equal.

    a // b -> floor(a / b)     a % b -> a - b floor(a / b)     int(x) -> int(clip(x, -2e9, 2e9))

of numbers that are no integers: numpy rounds a / b once more than C does (1 // 0.1 is 9 there, and 10 here), and C cuts
a number that no int can hold to another one than numpy does.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

SCALES = {
    "volt": 1.0, "mV": 1e-3, "amp": 1.0, "mA": 1e-3, "uA": 1e-6, "nA": 1e-9, "pA": 1e-12, "siemens": 1.0, "uS": 1e-6,
    "nS": 1e-9, "farad": 1.0, "uF": 1e-6, "nF": 1e-9, "pF": 1e-12, "ohm": 1.0, "kohm": 1e3, "Mohm": 1e6, "Gohm": 1e9,
    "second": 1.0, "ms": 1e-3, "us": 1e-6, "hertz": 1.0, "Hz": 1.0, "kHz": 1e3, "coulomb": 1.0, "pcoulomb": 1e-12,
    "kelvin": 1.0, "joule": 1.0, "watt": 1.0, "meter": 1.0, "mm": 1e-3, "um": 1e-6, "pi": math.pi, "e": math.e,
}  # fmt: skip
"""Units and constants of the language in SI units."""

LARGEST_INT = 2e9
"""Numbers up to this fit into a C int."""

_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: math.pow,
}

_DIVISIONS = (ast.Div, ast.FloorDiv, ast.Mod)


class Known(NamedTuple):
    """The names that an expression may use.

    Args:
        names: of variables, parameters and what Brian2 gives.
        values: of the parameters, in SI units.
        whole: variables that are integers. boolean: those that are true or false.
    """

    names: frozenset[str]
    values: Mapping[str, float]
    whole: frozenset[str]
    boolean: frozenset[str]


def constant(node: ast.AST, values: Mapping[str, float]) -> float | None:
    """Return the value of arithmetic of numbers, units and parameters in SI units; None where anything else is in it.

    >>> constant(ast.parse("2*(tau - 20*ms)", mode="eval").body, {"tau": 0.02})
    0.0
    """
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            return values.get(name, SCALES.get(name))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value = constant(operand, values)
            return -value if value is not None and isinstance(sign, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right):
            a, b = constant(left, values), constant(right, values)
            if a is None or b is None:
                return None
            try:
                return _OPERATIONS[type(op)](a, b)
            except (ArithmeticError, ValueError):
                return None
    return None


def is_whole(node: ast.AST, known: Known) -> bool:
    """Return whether Brian2 computes an expression in integers."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, int) and not isinstance(value, bool)
        case ast.Name(id=name):
            return name in known.whole
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return is_whole(operand, known)
        case ast.Call(func=ast.Name(id="int")):
            return True
        case ast.Call(func=ast.Name(id="abs" | "sign" | "clip"), args=args):
            return all(is_whole(argument, known) for argument in args)
        case ast.BinOp(left=left, op=op, right=right):
            return not isinstance(op, ast.Div) and is_whole(left, known) and is_whole(right, known)
    return False


def is_true_or_false(node: ast.AST, known: Known) -> bool:
    """Return whether an expression is a condition, or a name of one."""
    match node:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return True
        case ast.Constant(value=value):
            return isinstance(value, bool)
        case ast.Name(id=name):
            return name in known.boolean or name == "not_refractory"
    return False


def check_arithmetic(tree: ast.AST, known: Known) -> None:
    """Raise ValueError for what divides by nothing, or comes out differently in numpy and in C."""
    for node in ast.walk(tree):
        match node:
            case ast.BinOp() if constant(divisor := _divisor(node, known), known.values) == 0:
                named = sorted({n.id for n in ast.walk(divisor) if isinstance(n, ast.Name)} & known.values.keys())
                why = f" ({', '.join(f'{name} is {known.values[name]:g}' for name in named)})" if named else ""
                raise ValueError(f"'{shown(node)}' divides by zero{why}")
            case ast.BinOp(op=ast.Mod(), left=left, right=right) if _has(left, ast.Mod) or _has(right, ast.Mod):
                raise ValueError(f"'{shown(node)}': give the inner '%' a name, 'name = part : unit'")
            case ast.BinOp(op=ast.Pow(), left=base, right=exponent) if is_whole(base, known) and not _counts(exponent):
                if is_whole(exponent, known):
                    raise ValueError(
                        f"'{shown(node)}': a power of integers is one itself and loses what is below 1; "
                        "use 1/x, or a number with a point as its base"
                    )
            case ast.Call(func=ast.Name(id="clip"), args=[_, low, high]):
                bounds = [constant(bound, known.values) for bound in (low, high)]
                if None in bounds or bounds[0] > bounds[1]:  # pyright: ignore
                    raise ValueError(f"'{shown(node)}': the bounds of clip are numbers or parameters, the lower first")


def _divisor(node: ast.BinOp, known: Known) -> ast.expr:
    """Return what an operation divides by: the base of a negative power, 1 where it does not divide."""
    if isinstance(node.op, ast.Pow):
        exponent = constant(node.right, known.values)
        return node.left if exponent is not None and exponent < 0 else ast.Constant(1)
    return node.right if isinstance(node.op, _DIVISIONS) else ast.Constant(1)


class Equal(ast.NodeTransformer):
    """Writes //, % and int of numbers so that numpy and C compute the same, to the last bit."""

    def __init__(self, known: Known) -> None:
        self.known = known

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        kind = type(node.op)
        if kind not in (ast.FloorDiv, ast.Mod) or is_whole(node, self.known):
            return self.generic_visit(node)  # pyright: ignore
        a, b = self.visit(node.left), self.visit(node.right)
        floor = ast.Call(ast.Name("floor"), [ast.BinOp(a, ast.Div(), b)], [])
        return floor if kind is ast.FloorDiv else ast.BinOp(a, ast.Sub(), ast.BinOp(b, ast.Mult(), floor))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id="int"), args=[argument]):
                if not (is_whole(argument, self.known) or is_true_or_false(argument, self.known)):
                    low, high = ast.UnaryOp(ast.USub(), ast.Constant(LARGEST_INT)), ast.Constant(LARGEST_INT)
                    return ast.Call(node.func, [ast.Call(ast.Name("clip"), [argument, low, high], [])], node.keywords)
        return node


def _counts(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


def _has(tree: ast.AST, kind: type) -> bool:
    return any(isinstance(node, kind) for node in ast.walk(tree))


def shown(node: ast.AST) -> str:
    """Return an expression as a message shows it; only the kind of one that cannot be written."""
    try:
        return ast.unparse(node)[:60]
    except (ValueError, RecursionError):
        return type(node).__name__
