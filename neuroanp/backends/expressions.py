"""The language of users' equations: what Brian2 is handed is parsed here, checked, and written out anew.

Brian2 turns expressions into code that it compiles and runs. So only arithmetic, comparisons and known functions
of known names are let through; no attribute, string, index or call of anything else. Users' names reach it as
`handed` writes them, so that none is a word of the code around it.
"""

from __future__ import annotations

import ast
import keyword
import re
from typing import Literal, NamedTuple

from neuroanp.backends.arithmetic import SCALES, Equal, Known, check_arithmetic, is_true_or_false, is_whole, shown
from neuroanp.errors import did_you_mean


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = _words(
    "exp log log10 log1p expm1 exprel sqrt sin cos tan sinh cosh tanh arcsin arccos arctan abs sign floor ceil clip int"
)
CONSTANTS = _words("pi e")
UNITS = frozenset(SCALES) - CONSTANTS
BASE_UNITS = _words("volt amp siemens farad ohm second hertz coulomb kelvin joule watt meter")
GIVEN = _words("t dt lastspike not_refractory")
NOISE = _words("xi rand randn poisson binomial")
RESERVED = GIVEN | _words("i j N inf timestep")
MAX_TEXT, MAX_EQUATIONS, MAX_NODES, MAX_DEPTH, MAX_POWER = 8000, 64, 400, 40, 100

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


_END = "000"


def handed(name: str) -> str:
    """Return a user's name as Brian2 gets it: a word of Python, C, C++, Cython or Brian2 never ends like this.

    Called `len` or `IF` it would take the place of that word in the code that Brian2 writes and compiles. Zeros at
    the end keep the order in which SymPy sorts names, and so the order of sums and every bit of a result.

    >>> handed("len")
    'len000'
    """
    return name + _END


def as_written(text: str) -> str:
    """Return a text of Brian2's with names as their user wrote them.

    >>> as_written("the units of v000 and w000 differ")
    'the units of v and w differ'
    """
    return re.sub(rf"\b([A-Za-z][A-Za-z0-9_]*?){_END}\b", r"\1", text)


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


def expression(text: str, known: Known, condition: bool = False) -> str:
    """Return an expression written anew from what was parsed, with names as Brian2 gets them.

    Raises:
        ValueError: it leaves the language, or numpy and compiled code would not compute the same.
    """
    tree = parsed(text, known, condition)
    return ast.unparse(_Handed(known).visit(Equal(known).visit(tree)))


def parsed(text: str, known: Known, condition: bool = False) -> ast.Expression:
    """Return the tree of an expression that is in the language."""
    if len(text) > MAX_TEXT or not text.isascii():
        raise ValueError(f"'{text[:40]}' is too long or has letters outside ASCII")
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError(f"'{text[:60]}' is not an expression; write e.g. -v/tau_m") from None
    if condition and not isinstance(tree.body, (ast.Compare, ast.BoolOp)) and not _is_not(tree.body):
        raise ValueError(f"'{text[:60]}' is no condition; write e.g. v > 1")
    _check_tree(tree, known)
    check_arithmetic(tree, known)
    return tree


class _Handed(ast.NodeTransformer):
    """Writes users' names as Brian2 gets them."""

    def __init__(self, known: Known) -> None:
        self.own = known.names - GIVEN

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(handed(node.id)) if node.id in self.own else node


def _is_not(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _check_tree(tree: ast.AST, known: Known) -> None:
    nodes = list(ast.walk(tree))
    if len(nodes) > MAX_NODES or _depth(tree) > MAX_DEPTH:
        raise ValueError("the expression is too long; split it with 'name = part : unit' in the equations")
    functions = {node.func for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        if not isinstance(node, _NODES):
            raise ValueError(f"'{shown(node)}' is not allowed; use numbers, names, arithmetic, comparisons")
        if isinstance(node, ast.Constant):
            _check_number(node)
        elif isinstance(node, ast.Name) and node not in functions:
            _check_known(node.id, known.names)
        elif isinstance(node, ast.Call):
            _check_call(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            _check_power(node)
        elif isinstance(node, ast.Compare) and len(node.ops) > 1:
            raise ValueError(f"'{shown(node)}': join two comparisons by 'and'")


def _check_number(node: ast.Constant) -> None:
    value = node.value
    if isinstance(value, bool):
        return
    if not isinstance(value, (int, float)) or not abs(value) < 1e15:
        raise ValueError(f"'{shown(node)}' is not allowed; numbers are real and below 1e15")


def _check_known(name: str, names: frozenset[str]) -> None:
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
        raise ValueError(f"'{shown(node.func)}' is not a function; use {', '.join(sorted(FUNCTIONS))}")
    if node.keywords or len(node.args) != (3 if name == "clip" else 1):
        raise ValueError(f"'{shown(node)}': {name} takes {'three arguments' if name == 'clip' else 'one argument'}")
    if not any(_names(argument) - FUNCTIONS - CONSTANTS - UNITS for argument in node.args):
        raise ValueError(f"'{shown(node)}' is a function of numbers only; write its value")


def _check_power(node: ast.BinOp) -> None:
    """Refuse powers whose exact value would fill the memory when Brian2 simplifies them."""
    exponent = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
    value = exponent.value if isinstance(exponent, ast.Constant) else None
    small = isinstance(value, int | float) and abs(value) <= MAX_POWER
    nested = any(isinstance(part, ast.Pow) for part in ast.walk(node.left))
    if nested or not (small or isinstance(exponent, ast.Name)):
        raise ValueError(
            f"'{shown(node)}': an exponent is a number up to {MAX_POWER} or a name, and its base has no power in it"
        )


def _names(tree: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}


def _depth(node: ast.AST) -> int:
    level, depth = [node], 0
    while level and depth <= MAX_DEPTH:
        level, depth = [child for parent in level for child in ast.iter_child_nodes(parent)], depth + 1
    return depth


def statements(text: str, known: Known, writable: list[str]) -> list[str]:
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
        check_whole(match[1], f"{match[1]} {match[2][:-1]} ({match[3]})" if match[2] != "=" else match[3], known)
        found.append(f"{handed(match[1])} {match[2]} {expression(match[3], known)}")
    if not found or len(found) > MAX_EQUATIONS:
        raise ValueError("it must hold an assignment or a few; write e.g. v = 0; z += 1")
    return found


def check_whole(name: str, right: str, known: Known) -> None:
    """Refuse a number where an integer or a truth is kept: numpy would cut it, and compiled code cannot."""
    tree = parsed(right, known).body
    if name in known.whole and not is_whole(tree, known):
        raise ValueError(f"'{name}' is an integer; write {name} = int(...), or give it the unit 1")
    if name in known.boolean and not is_true_or_false(tree, known):
        raise ValueError(f"'{name}' is a boolean; write a condition, e.g. {name} = v > 1")
