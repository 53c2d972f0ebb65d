"""How large equations become once Brian2 has put every subexpression in the place of its name and multiplied out.

What is short as written may not stay so: (a + b)**9 is 10 terms, and its ninth power 82. So powers are followed
through the names that hide them. The estimate needs neither SymPy nor time; what it misses, limits on time and memory
stop (`backends.trial`).
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import NamedTuple

from neuroanp.backends.arithmetic import Known, constant
from neuroanp.backends.expressions import (
    CONSTANTS,
    FUNCTIONS,
    MAX_DEPTH,
    MAX_POWER,
    UNITS,
    Variable,
    parsed,
)

MAX_WRITTEN_OUT, MAX_TERMS = 4000, 1000

EXPANDING = ("exact", "exponential_euler")
"""Methods for which Brian2 multiplies every equation out."""


class Size(NamedTuple):
    """What an expression is once it is written out.

    Args:
        nodes: numbers, names and operations.
        degree: highest power of anything in it.
        terms: of the sum that it is when multiplied out; inf where that is beyond counting.
        inside: terms of what its functions and denominators hold.
        below: terms of the denominator of a product: where it divides, they multiply what it divides.
    """

    nodes: int
    degree: float
    terms: float
    inside: float = 0.0
    below: float = 1.0

    @property
    def multiplied_out(self) -> float:
        return self.terms + self.inside


def check_growth(variables: Mapping[str, Variable], known: Known, method: str) -> None:
    """Refuse equations that are numbers only, defined by themselves, or endless once written out.

    Raises:
        ValueError: naming the line, what it becomes, and what to do.
    """
    trees, parts = _trees(variables, known)
    for name, tree in parts.items():
        if not {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} - FUNCTIONS - CONSTANTS - UNITS:
            raise ValueError(f"{name}: it is a number only; make it one of the parameters")
    growth = _Growth(parts, known)
    for name in [*parts, *trees.keys() - parts.keys()]:
        size = growth.of(name, ()) if name in parts else growth.size(trees[name], ())
        said = _too_large(size, method if name not in parts else "")
        if said:
            raise ValueError(f"{name}: {said}")


def largest(variables: Mapping[str, Variable], known: Known) -> str:
    """Return the name of the differential equation that multiplies out to the most terms."""
    trees, parts = _trees(variables, known)
    growth = _Growth(parts, known)
    sizes = {n: growth.size(trees[n], ()).multiplied_out for n in trees if variables[n].kind == "differential"}
    return max(sizes, key=sizes.__getitem__, default="")


def _trees(variables: Mapping[str, Variable], known: Known) -> tuple[dict[str, ast.expr], dict[str, ast.expr]]:
    """Return the right sides of all that is computed, and those of subexpressions alone."""
    trees = {name: parsed(v.right, known).body for name, v in variables.items() if v.kind != "parameter"}
    return trees, {name: tree for name, tree in trees.items() if variables[name].kind == "subexpression"}


def _too_large(size: Size, method: str) -> str:
    if size.nodes > MAX_WRITTEN_OUT:
        return "too long once the expressions that it names are written out; use fewer of them"
    if size.degree > MAX_POWER:
        return (
            f"a power of {size.degree:.3g} once the expressions and parameters that it names are written out, at most "
            f"{MAX_POWER} is allowed; use lower powers"
        )
    if method in EXPANDING and size.multiplied_out > MAX_TERMS:
        many = f"{size.multiplied_out:.2g}" if math.isfinite(size.multiplied_out) else "endlessly many"
        return (
            f"method '{method}' multiplies it out, to about {many} terms, at most {MAX_TERMS} are allowed; "
            "use method euler, rk2 or rk4, or lower powers"
        )
    return ""


class _Growth:
    """Sizes of expressions, with the subexpressions that they name written out."""

    def __init__(self, parts: Mapping[str, ast.expr], known: Known) -> None:
        self.parts, self.known = parts, known
        self.sizes: dict[str, Size] = {}

    def of(self, name: str, above: tuple[str, ...]) -> Size:
        """Return the size of a subexpression."""
        if name in above or len(above) > MAX_DEPTH:
            raise ValueError(f"{above[0]}: it is defined by itself, or by a chain of more than {MAX_DEPTH}")
        if name not in self.sizes:
            self.sizes[name] = self.size(self.parts[name], (*above, name))
        return self.sizes[name]

    def size(self, node: ast.AST, above: tuple[str, ...]) -> Size:
        match node:
            case ast.Name(id=name):
                if name in self.parts:
                    return self.of(name, above)
                return Size(1, 0.0 if name in UNITS | CONSTANTS else 1.0, 1.0)
            case ast.Constant():
                return Size(1, 0.0, 1.0)
            case ast.UnaryOp(operand=operand):
                size = self.size(operand, above)
                return size._replace(nodes=size.nodes + 1)
            case ast.BinOp(left=left, op=op, right=right):
                return self._operation(op, right, self.size(left, above), self.size(right, above))
        inner = [self.size(part, above) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
        return Size(1 + sum(s.nodes for s in inner), max((s.degree for s in inner), default=1.0), 1.0, _held(*inner))

    def _operation(self, op: ast.operator, right: ast.expr, a: Size, b: Size) -> Size:
        nodes, inside = 1 + a.nodes + b.nodes, a.inside + b.inside
        match op:
            case ast.Add() | ast.Sub():
                return Size(nodes, max(a.degree, b.degree), a.terms + b.terms, inside)
            case ast.Mult():
                inside = a.terms * b.inside + b.terms * a.inside
                return Size(nodes, a.degree + b.degree, a.terms * b.terms, inside, a.below * b.below)
            case ast.Div():
                terms = a.terms * b.below  # a / (b / c) = a c / b; nothing comes up from the parts of a sum
                return Size(nodes, a.degree + b.degree, terms, terms * _held(b) + b.below * a.inside, a.below * b.terms)
            case ast.Pow():
                return self._power(nodes, right, a, b)
        # % and // are written with a floor, whose argument is the quotient; % has its operands twice
        return Size(2 * nodes, a.degree + b.degree, a.terms + b.terms, 2 * _held(a, b))

    def _power(self, nodes: int, exponent: ast.expr, a: Size, b: Size) -> Size:
        value = constant(exponent, self.known.values)
        n = abs(value) if value is not None else 1.0
        multiplied = isinstance(exponent, ast.Constant | ast.UnaryOp) and n == round(n)  # SymPy leaves x**name alone
        degree = max(a.degree, 1.0) * n
        if not multiplied:
            return Size(nodes, degree, 1.0, a.terms + max(n, 1.0) * a.inside + _held(b))
        above, below = _multinomial(a.terms, n), _multinomial(a.below, n)
        if value is not None and value < 0:
            return Size(nodes, degree, below, below * (above + max(n, 1.0) * a.inside + _held(b)), above)
        return Size(nodes, degree, above, max(n, 1.0) * a.inside + _held(b), below)


def _held(*sizes: Size) -> float:
    """Return the terms of what stays inside a function or a denominator: a single one grows no further."""
    return sum(size.terms - 1 + size.inside for size in sizes)


def _multinomial(terms: float, n: float) -> float:
    """Return the terms of a sum of so many terms to the power of n: (terms + n - 1) over n."""
    if not (math.isfinite(terms) and n < 1e6):
        return math.inf
    logarithm = math.lgamma(terms + n) - math.lgamma(n + 1) - math.lgamma(terms)
    return math.exp(logarithm) if logarithm < 700 else math.inf
