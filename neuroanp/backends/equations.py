"""A neuron of the user's own: Brian2 equations, threshold and reset, checked before Brian2 sees them.

Equations come from YAML files, and Brian2 turns them into code that it compiles and runs. So only a small
language is let through: every expression is parsed, held to arithmetic, comparisons and known functions of
known names, and written out anew from what was parsed.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from neuroanp.backends.neuron import Interface
from neuroanp.errors import did_you_mean
from neuroanp.units import Dimension, dimension_of
from neuroanp.yaml_io import at


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
    "using virtual numpy cdef cpdef ctypedef cimport"
)
MAX_TEXT, MAX_EQUATIONS, MAX_NODES, MAX_DEPTH, MAX_POWER = 8000, 64, 400, 40, 100

QUANTITIES = {
    "V": "volt", "A": "amp", "S": "siemens", "F": "farad", "ohm": "ohm", "s": "second", "Hz": "hertz",
    "C": "coulomb", "K": "kelvin", "J": "joule", "W": "watt", "m": "meter", "V/s": "volt/second",
    "A/s": "amp/second", "S/s": "siemens/second", "Hz/V": "hertz/volt", "Hz/V/s": "hertz/volt/second",
    "S/V": "siemens/volt", "F/m^2": "farad/meter**2", "S/m^2": "siemens/meter**2", "A/m^2": "amp/meter**2",
    "m^2": "meter**2",
}  # fmt: skip
"""Units of parameters: as written in a quantity, and as Brian2 writes them."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_EQUATION = re.compile(
    r"(?:d(?P<state>\w+)\s*/\s*dt\s*=|(?P<name>\w+)\s*(?P<equals>=)?)(?P<right>[^:]*)"
    r":(?P<unit>[^:()]*)(?:\((?P<flags>[^()]*)\)\s*)?"
)
_QUANTITY = re.compile(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?\s*[A-Za-zµ]*")
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


class Equations(Interface):
    """A neuron given by Brian2 equations, with dimensionless variables where the network meets it.

    The network writes `input` (the external current) before every step, adds to `synapse` what spikes
    bring, and reads `activity` (for the learning rule and the outputs) and `voltage` (for records). The
    first three are dimensionless: convert inside the equations, e.g. `i_in = (I + Iext) * nA : amp`.
    In a step, the equations are integrated, `threshold` is tested, spikes are added, `reset` runs.
    The parameter tau_r is the field of that name.

    >>> neuron = Equations(
    ...     model='''dv/dt = (-v + I + Iext)/tau_m : 1 (unless refractory)
    ...              dI/dt = -I/tau_s : 1
    ...              dz/dt = -z/tau_r : 1
    ...              Iext : 1''',
    ...     threshold="v > 1", reset="v = 0; z += 1", refractory="2 ms", method="exact",
    ...     parameters={"tau_m": "20 ms", "tau_s": "5 ms"},
    ... )
    >>> neuron.quantities()["tau_m"], list(neuron.variables)
    ((0.02, 'second'), ['v', 'I', 'z', 'Iext'])

    A package of yours may register a subclass under "neuroanp.neurons", with defaults for these fields and
    with fields of its own, which become parameters:

    >>> from neuroanp.units import Voltage
    >>> class Izhikevich(Equations):
    ...     '''Izhikevich, IEEE Trans. Neural Netw. 14, 1569 (2003), eqs. 1-3; v and u in mV and mV/ms.'''
    ...     name: Literal["izhikevich"] = "izhikevich"
    ...     model: str = '''dv/dt = (0.04*v**2/mV + 5*v + 140*mV)/ms - u + (I + Iext)*mV/ms : volt
    ...                     du/dt = (0.2*v/ms - u)*0.02/ms : volt/second
    ...                     dI/dt = -I/(5*ms) : 1
    ...                     dz/dt = -z/tau_r : 1
    ...                     Iext : 1'''
    ...     threshold: str = "v >= 30*mV"
    ...     reset: str = "v = c; u += 8*mV/ms; z += 1"
    ...     method: str = "euler"
    ...     initial: dict[str, str | float] = {"v": "-70 mV", "u": "-14 V/s"}
    ...     c: Voltage = -65e-3
    >>> Izhikevich(c="-50 mV").quantities()["c"]  # bursts
    (-0.05, 'volt')

    Raises:
        ValueError: anything outside the language, an unknown name, or no variable where one is needed.
    """

    name: Literal["equations"] = "equations"
    model: str = Field(description="Brian2 equations, one a line: 'dx/dt = right-hand side : unit (flag)'")
    threshold: str = Field(description="a neuron spikes where this is true, e.g. 'v > 1'")
    reset: str = Field(description="assignments where a neuron spiked, e.g. 'v = 0; z += 1'")
    refractory: str | None = Field(default=None, description="a time such as '2 ms', or an expression")
    method: Literal["exponential_euler", "exact", "euler", "rk2", "rk4"] = Field(
        default="exponential_euler", description="Brian2's way of integrating the equations"
    )
    parameters: dict[str, str | float] = Field(default={}, description="values of names, with their units")
    initial: dict[str, str | float] = Field(default={}, description="values at the start; 0 where missing")
    input: str = Field(default="Iext", description="variable that is the external current")
    synapse: str = Field(default="I", description="variable that spikes add to")
    activity: str = Field(default="z", description="variable that rules and outputs read")
    voltage: str = Field(default="v", description="variable that is recorded as the membrane potential")

    @cached_property
    def variables(self) -> dict[str, Variable]:
        """What the equations define, by name."""
        return _parse_model(self.model)

    def quantities(self) -> dict[str, tuple[float, str]]:
        """Return the parameters in SI units, each with its unit as Brian2 writes it ("1" for a number)."""
        found = {"tau_r": (self.tau_r, "second")}
        for name, field in type(self).model_fields.items():
            if name not in Equations.model_fields:
                dimension = dimension_of(field.annotation, field.metadata)
                found[name] = (float(getattr(self, name)), QUANTITIES[dimension.unit] if dimension else "1")
        return found | {name: _quantity(value) for name, value in self.parameters.items()}

    def rest(self) -> dict[str, float]:
        """Return what every variable that is not computed starts from, in SI units."""
        return {
            name: _of_unit(self.initial.get(name, 0.0), variable.unit)
            for name, variable in self.variables.items()
            if variable.kind != "subexpression"
        }

    def text(self) -> str:
        """Return the equations as Brian2 gets them."""
        lines = []
        for name, (kind, right, unit, flag) in self.variables.items():
            right = _expression(right, self._names()) if right else ""
            left = {"differential": f"d{name}/dt = {right}", "subexpression": f"{name} = {right}", "parameter": name}
            lines.append(f"{left[kind]} : {unit}" + (f" ({flag})" if flag else ""))
        return "\n".join(lines)

    def condition(self) -> str:
        """Return the threshold as Brian2 gets it."""
        return _expression(self.threshold, self._names(), condition=True)

    def statements(self) -> str:
        """Return the reset as Brian2 gets it, one assignment a line."""
        return "\n".join(_statements(self.reset, self._names(), self._writable()))

    def refractoriness(self) -> float | str | None:
        """Return the refractory period in seconds, or the expression Brian2 gets."""
        if self.refractory is None:
            return None
        if _QUANTITY.fullmatch(self.refractory.strip()):
            return Dimension("time", "s", "2 ms").parse(self.refractory)
        return _expression(self.refractory, self._names())

    def _names(self) -> set[str]:
        return {*self.variables, *self.quantities(), *GIVEN}

    def _writable(self) -> list[str]:
        return [n for n, v in self.variables.items() if v.kind != "subexpression" and v.flag != "constant"]

    @model_validator(mode="after")
    def _allowed(self) -> Equations:
        for key, check in (
            ("model", lambda: self.variables),
            *((key, self._needed(key)) for key in ("input", "synapse", "activity", "voltage")),
            ("parameters", self._check_parameters),
            ("model", self._check_model),
            ("threshold", self.condition),
            ("reset", self.statements),
            ("refractory", self._check_refractory),
            ("initial", self._check_initial),
        ):
            try:
                check()
            except ValueError as error:
                raise at((key,), str(error)) from None
        return self

    def _check_parameters(self) -> None:
        for name in self.quantities():
            if name != "tau_r":
                _check_name(name)
            if name in self.variables:
                raise ValueError(f"'{name}' is a variable of the equations too; rename one of them")
        texts = [self.model, self.threshold, self.reset, self.refractory or ""]
        used = set(re.findall(r"\w+", " ".join(_uncommented(text) for text in texts)))
        for name in self.parameters:
            if name not in used:
                raise ValueError(f"'{name}' is used nowhere{did_you_mean(name, sorted(used))}; remove it")

    def _check_model(self) -> None:
        for name, variable in self.variables.items():
            if variable.kind != "parameter":
                try:
                    _expression(variable.right, self._names())
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
            if variable.flag == "unless refractory" and self.refractory is None:
                raise ValueError(f"{name}: 'unless refractory' needs refractory, e.g. refractory: 2 ms")

    def _check_refractory(self) -> None:
        self.refractoriness()

    def _check_initial(self) -> None:
        for name in self.initial:
            if name not in self.variables or self.variables[name].kind == "subexpression":
                known = [n for n, v in self.variables.items() if v.kind != "subexpression"]
                raise ValueError(f"'{name}' is not a state{did_you_mean(name, known)} (states: {', '.join(known)})")
        self.rest()

    def _needed(self, key: str) -> Callable[[], None]:
        """Return the check that a field names a variable which suits its role."""

        def check() -> None:
            name, variable = getattr(self, key), self.variables.get(getattr(self, key))
            if variable is None:
                raise ValueError(
                    f"the equations do not define the {key} variable '{name[:40]}' (they define "
                    f"{', '.join(self.variables)}); add e.g. {_EXAMPLES[key]}, or name one with neuron.{key}"
                )
            if variable.kind == "subexpression" or variable.flag == "constant":
                raise ValueError(f"the {key} variable '{name}' is computed or constant; use a state, {_EXAMPLES[key]}")
            if key != "voltage" and variable.unit != "1":
                raise ValueError(
                    f"the {key} variable '{name}' has unit {variable.unit}; make it dimensionless "
                    f"and convert inside the equations, e.g. {_EXAMPLES[key]}"
                )
            roles = [role for role in ("input", "synapse", "activity") if getattr(self, role) == name]
            if key in roles[1:]:
                raise ValueError(f"'{name}' is the {roles[0]} variable too; they must differ")

        return check


_EXAMPLES = {
    "input": "Iext : 1",
    "synapse": "dI/dt = -I/(5*ms) : 1",
    "activity": "dz/dt = -z/tau_r : 1 and z += 1 to the reset",
    "voltage": "dv/dt = (-v + I + Iext)/tau_m : 1",
}


def _uncommented(text: str) -> str:
    return "\n".join(line.partition("#")[0] for line in text.splitlines())


def _parse_model(text: str) -> dict[str, Variable]:
    """Return the variables of equations, a line each; a line without ':' goes on in the next."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"{len(text)} characters; at most {MAX_TEXT} are allowed")
    found: dict[str, Variable] = {}
    pending = ""
    for line in _uncommented(text).splitlines():
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
    _check_name(name)
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


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or "__" in name or name.endswith(("_pre", "_post")):
        raise ValueError(f"'{name[:40]}' cannot be a name; use letters, digits and single '_'")
    if keyword.iskeyword(name) or name in RESERVED | FUNCTIONS | UNITS | CONSTANTS | NOISE:
        raise ValueError(f"'{name}' has a meaning already; choose another name")


def _expression(text: str, names: Iterable[str], condition: bool = False) -> str:
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
    if not any(isinstance(part, ast.Name) for argument in node.args for part in ast.walk(argument)):
        raise ValueError(f"'{_shown(node)}' is a function of numbers only; write its value")


def _check_power(node: ast.BinOp) -> None:
    """Refuse powers whose exact value would fill the memory when Brian2 simplifies them."""
    exponent = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
    small = isinstance(exponent, ast.Constant) and abs(exponent.value) <= MAX_POWER  # pyright: ignore
    nested = any(isinstance(part, ast.Pow) for part in ast.walk(node.left))
    if nested or not (small or isinstance(exponent, ast.Name)):
        raise ValueError(
            f"'{_shown(node)}': an exponent is a number up to {MAX_POWER} or a name, and its base has no power in it"
        )


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


def _statements(text: str, names: set[str], writable: list[str]) -> list[str]:
    """Return the assignments of a reset, written anew."""
    found = []
    for line in _uncommented(text).replace(";", "\n").splitlines():
        if not line.strip():
            continue
        match = re.fullmatch(r"\s*(\w+)\s*([-+*/]?=)(?!=)(.*)", line)
        if match is None:
            raise ValueError(f"'{line.strip()[:60]}' is no assignment; write e.g. v = 0 or z += 1")
        if match[1] not in writable:
            raise ValueError(f"'{match[1][:40]}' cannot be assigned (these can: {', '.join(writable)})")
        found.append(f"{match[1]} {match[2]} {_expression(match[3], names)}")
    if not found or len(found) > MAX_EQUATIONS:
        raise ValueError("it must hold an assignment or a few; write e.g. v = 0; z += 1")
    return found


def _quantity(value: str | float) -> tuple[float, str]:
    """Return a parameter in SI units and its unit as Brian2 writes it."""
    if not isinstance(value, str):
        return float(value), "1"
    for unit, written in QUANTITIES.items():
        try:
            return Dimension("value", unit, "20 ms", signed=True).parse(value), written
        except ValueError:
            continue
    raise ValueError(f"'{value[:40]}' is not a quantity; write e.g. 20 ms, -70 mV, 30 nS, 2 Hz, or a bare number")


def _of_unit(value: str | float, unit: str) -> float:
    """Return a value in SI units; ValueError where it has not the unit of its variable."""
    if unit in ("1", "boolean", "integer"):
        if isinstance(value, str):
            raise ValueError(f"'{value[:40]}' is not a number; its variable is dimensionless")
        return float(value)
    if not isinstance(value, str):
        if value:
            raise ValueError(f"'{value}' has no unit; its variable is in {unit}")
        return 0.0
    return Dimension(f"value in {unit}", unit, f"1 {unit}", signed=True).parse(value)
