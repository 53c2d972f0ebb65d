"""The language of users' equations: what Brian2 is handed is parsed here, checked, and written out anew.

Brian2 turns expressions into code that it compiles and runs. So only arithmetic, comparisons and known functions
of known names are let through; no attribute, string, index or call of anything else.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from neuroanp.errors import did_you_mean


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = _words(
    "exp log log10 log1p expm1 exprel sqrt sin cos tan sinh cosh tanh arcsin arccos arctan abs sign floor ceil clip int"
)
UNITS = _words(
    "volt mV amp mA uA nA pA siemens uS nS farad uF nF pF ohm kohm Mohm Gohm second ms us hertz Hz kHz "
    "coulomb pcoulomb kelvin joule watt meter mm um"
)
BASE_UNITS = _words("volt amp siemens farad ohm second hertz coulomb kelvin joule watt meter")
CONSTANTS = _words("pi e")
GIVEN = _words("t dt lastspike not_refractory")
NOISE = _words("xi rand randn poisson binomial")
RESERVED = GIVEN | _words(
    "i j N auto break case char const continue default do double enum extern float goto inline int long register "
    "restrict short signed sizeof static struct switch typedef union unsigned void volatile bool catch class delete "
    "explicit export friend mutable namespace new operator private protected public template this throw typename "
    "using virtual numpy cdef cpdef ctypedef cimport inf timestep"
)
MAX_TEXT, MAX_EQUATIONS, MAX_NODES, MAX_DEPTH, MAX_POWER, MAX_WRITTEN_OUT = 8000, 64, 400, 40, 100, 4000

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_EQUATION = re.compile(
    r"(?:d(?P<state>\w+)\s*/\s*dt\s*=|(?P<name>\w+)\s*(?P<equals>=)?)(?P<right>[^:]*)"
    r":(?P<unit>[^:()]*)(?:\((?P<flags>[^()]*)\)\s*)?"
)
_NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name, ast.Constant, ast.Load,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or,
    ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq,
)  # fmt: skip


class Variable(NamedTuple):
    """A line of the equations.

    Args:
        kind: "differential", "subexpression", or "parameter" (a value that stays until something writes it).
        right: right-hand side, empty for a parameter.
        unit: a product of Brian2's base units, "1", "boolean" or "integer".
        flag: "unless refractory", "constant" or empty.
    """

    kind: Literal["differential", "subexpression", "parameter"]
    right: str
    unit: str
    flag: str


def uncommented(text: str) -> str:
    return "\n".join(line.partition("#")[0] for line in text.splitlines())


def parse_model(text: str) -> dict[str, Variable]:
    """Return the variables of equations, a line each; a line without ':' goes on in the next."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"{len(text)} characters; at most {MAX_TEXT} are allowed")
    found: dict[str, Variable] = {}
    pending = ""
    for line in uncommented(text).splitlines():
        pending = f"{pending} {line.strip()}".strip()
        if ":" not in pending:
            continue
        name, variable = _parse_equation(pending)
        if name in found:
            raise ValueError(f"'{name}' is defined twice; keep one")
        found[name], pending = variable, ""
    if pending or not found:
        raise ValueError(f"'{pending[:60]}' is no equation; write e.g. dv/dt = -v/(20*ms) : 1")
    if len(found) > MAX_EQUATIONS:
        raise ValueError(f"{len(found)} equations; at most {MAX_EQUATIONS} are allowed")
    return found


def _parse_equation(line: str) -> tuple[str, Variable]:
    match = _EQUATION.fullmatch(line)
    if match is None:
        raise ValueError(f"'{line[:60]}' is no equation; write e.g. dv/dt = -v/(20*ms) : 1")
    name, right, flag = match["state"] or match["name"], match["right"].strip(), (match["flags"] or "").strip()
    check_name(name)
    kind = "differential" if match["state"] else "subexpression" if match["equals"] else "parameter"
    if (kind == "parameter") == bool(right):
        raise ValueError(f"'{line[:60]}' is no equation; write e.g. dv/dt = -v/(20*ms) : 1")
    allowed = {"differential": "unless refractory", "subexpression": "", "parameter": "constant"}[kind]
    if flag not in ("", allowed):
        hint = f"'({allowed})' is" if allowed else "no flag is"
        raise ValueError(f"{name}: the flag '({flag[:40]})' is not allowed here; {hint}")
    unit = match["unit"].strip()
    if unit not in ("1", "boolean", "integer") and not _is_unit(unit):
        raise ValueError(
            f"{name}: '{unit[:40]}' is not a unit of an equation; write 1, boolean, integer or a product of "
            f"{', '.join(sorted(BASE_UNITS))}"
        )
    return name, Variable(kind, " ".join(right.split()), unit, flag)


def _is_unit(text: str) -> bool:
    """Return whether text is a product of base units with powers of one digit."""
    factor = r"[a-z]{1,10}(?:\s*\*\*\s*-?\d)?"
    if len(text) > 80 or not re.fullmatch(rf"{factor}(?:\s*[*/]\s*{factor}){{0,5}}", text):
        return False
    return set(re.findall(r"[a-z]+", text)) <= BASE_UNITS


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or "__" in name or name.endswith(("_pre", "_post")):
        raise ValueError(f"'{name[:40]}' cannot be a name; use letters, digits and single '_'")
    # Brian2 reads every xi_... as a white noise of its own
    if keyword.iskeyword(name) or name in RESERVED | FUNCTIONS | UNITS | CONSTANTS | NOISE or name.startswith("xi_"):
        raise ValueError(f"'{name}' has a meaning already; choose another name")


def expression(text: str, names: Iterable[str], condition: bool = False) -> str:
    """Return an expression written anew from what was parsed; ValueError where it leaves the language."""
    if len(text) > MAX_TEXT or not text.isascii():
        raise ValueError(f"'{text[:40]}' is too long or has letters outside ASCII")
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError(f"'{text[:60]}' is not an expression; write e.g. -v/tau_m") from None
    if condition and not isinstance(tree.body, (ast.Compare, ast.BoolOp)) and not _is_not(tree.body):
        raise ValueError(f"'{text[:60]}' is no condition; write e.g. v > 1")
    _check_tree(tree, set(names))
    return ast.unparse(tree)


def _is_not(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _check_tree(tree: ast.AST, names: set[str]) -> None:
    nodes = list(ast.walk(tree))
    if len(nodes) > MAX_NODES or _depth(tree) > MAX_DEPTH:
        raise ValueError("the expression is too long; split it with 'name = part : unit' in the equations")
    functions = {node.func for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        if not isinstance(node, _NODES):
            raise ValueError(f"'{_shown(node)}' is not allowed; use numbers, names, arithmetic, comparisons")
        if isinstance(node, ast.Constant):
            _check_number(node)
        elif isinstance(node, ast.Name) and node not in functions:
            _check_known(node.id, names)
        elif isinstance(node, ast.Call):
            _check_call(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            _check_power(node)
        elif isinstance(node, ast.Compare) and len(node.ops) > 1:
            raise ValueError(f"'{_shown(node)}': join two comparisons by 'and'")


def _check_number(node: ast.Constant) -> None:
    value = node.value
    if isinstance(value, bool):
        return
    if not isinstance(value, (int, float)) or not abs(value) < 1e15:
        raise ValueError(f"'{_shown(node)}' is not allowed; numbers are real and below 1e15")


def _check_known(name: str, names: set[str]) -> None:
    if name in NOISE:
        raise ValueError(f"'{name}' is random; noise comes from the hardware profile: remove it")
    if name not in names | UNITS | CONSTANTS:
        hint = did_you_mean(name, sorted(names)) or "; define it in the model or add it to the parameters"
        raise ValueError(f"'{name[:40]}' is not known{hint}")


def _check_call(node: ast.Call) -> None:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name in NOISE:
        raise ValueError(f"'{name}' is random; noise comes from the hardware profile: remove it")
    if name not in FUNCTIONS:
        raise ValueError(f"'{_shown(node.func)}' is not a function; use {', '.join(sorted(FUNCTIONS))}")
    if node.keywords or len(node.args) != (3 if name == "clip" else 1):
        raise ValueError(f"'{_shown(node)}': {name} takes {'three arguments' if name == 'clip' else 'one argument'}")
    if not any(_names(argument) - FUNCTIONS - CONSTANTS - UNITS for argument in node.args):
        raise ValueError(f"'{_shown(node)}' is a function of numbers only; write its value")


def _check_power(node: ast.BinOp) -> None:
    """Refuse powers whose exact value would fill the memory when Brian2 simplifies them."""
    exponent = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
    value = exponent.value if isinstance(exponent, ast.Constant) else None
    small = isinstance(value, int | float) and abs(value) <= MAX_POWER
    nested = any(isinstance(part, ast.Pow) for part in ast.walk(node.left))
    if nested or not (small or isinstance(exponent, ast.Name)):
        raise ValueError(
            f"'{_shown(node)}': an exponent is a number up to {MAX_POWER} or a name, and its base has no power in it"
        )


def _names(tree: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}


def check_parts(variables: Mapping[str, Variable]) -> None:
    """Refuse subexpressions that are numbers only, defined by themselves, or endless once written out.

    Brian2 puts each in the place of its name, and then simplifies: what is short here may not stay so.
    """
    trees = {
        name: ast.parse(" ".join(variable.right.split()), mode="eval")
        for name, variable in variables.items()
        if variable.kind == "subexpression"
    }
    sizes: dict[str, int] = {}

    def size(name: str, above: tuple[str, ...]) -> int:
        if name in above or len(above) > MAX_DEPTH:
            raise ValueError(f"{above[0]}: it is defined by itself, or by a chain of more than {MAX_DEPTH}")
        if name not in sizes:
            parts = [node.id for node in ast.walk(trees[name]) if isinstance(node, ast.Name)]
            if not set(parts) - FUNCTIONS - CONSTANTS - UNITS:
                raise ValueError(f"{name}: it is a number only; make it one of the parameters")
            written_out = sum(size(part, (*above, name)) for part in parts if part in trees)
            sizes[name] = sum(1 for _ in ast.walk(trees[name])) + written_out
            if sizes[name] > MAX_WRITTEN_OUT:
                raise ValueError(
                    f"{name}: too long once the expressions that it names are written out; use fewer of them"
                )
        return sizes[name]

    for name in trees:
        size(name, ())


def _depth(node: ast.AST) -> int:
    level, depth = [node], 0
    while level and depth <= MAX_DEPTH:
        level, depth = [child for parent in level for child in ast.iter_child_nodes(parent)], depth + 1
    return depth


def _shown(node: ast.AST) -> str:
    try:
        return ast.unparse(node)[:60]
    except (ValueError, RecursionError):
        return type(node).__name__


def statements(text: str, names: set[str], writable: list[str]) -> list[str]:
    """Return the assignments of a reset, written anew."""
    found = []
    for line in uncommented(text).replace(";", "\n").splitlines():
        if not line.strip():
            continue
        match = re.fullmatch(r"\s*(\w+)\s*([-+*/]?=)(?!=)(.*)", line)
        if match is None:
            raise ValueError(f"'{line.strip()[:60]}' is no assignment; write e.g. v = 0 or z += 1")
        if match[1] not in writable:
            raise ValueError(f"'{match[1][:40]}' cannot be assigned (these can: {', '.join(writable)})")
        found.append(f"{match[1]} {match[2]} {expression(match[3], names)}")
    if not found or len(found) > MAX_EQUATIONS:
        raise ValueError("it must hold an assignment or a few; write e.g. v = 0; z += 1")
    return found
