"""Mutated equations of a leaky integrate-and-fire neuron: what users and attackers may write, drawn from a seed."""

from __future__ import annotations

import builtins
import keyword
from dataclasses import dataclass
from typing import Any

import numpy as np

C_WORDS = [
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "enum", "extern", "float", "for",
    "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed", "sizeof", "static",
    "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "NULL", "EOF", "M_PI",
    "INFINITY", "NAN", "errno", "stdin", "stdout", "stderr", "main", "printf", "malloc", "free", "size_t", "int32_t",
    "uint64_t", "abs", "fabs", "pow", "fmod", "isinf", "isnan", "j0", "j1", "jn", "y0", "y1", "yn", "gamma",
    "signgam", "INT_MIN", "INT_MAX", "TRUE", "FALSE",
]  # fmt: skip
CPP_WORDS = [
    "bool", "catch", "class", "constexpr", "decltype", "delete", "dynamic_cast", "explicit", "export", "friend",
    "mutable", "namespace", "new", "noexcept", "nullptr", "operator", "private", "protected", "public",
    "reinterpret_cast", "template", "this", "throw", "typename", "using", "virtual", "wchar_t", "std", "vector",
    "set", "string", "cout", "and_eq", "bitand", "bitor", "compl", "not_eq", "or_eq", "xor", "xor_eq", "alignas",
    "thread_local",
]  # fmt: skip
CYTHON_WORDS = [
    "cdef", "cpdef", "ctypedef", "cimport", "include", "IF", "ELIF", "ELSE", "DEF", "DEF_", "nogil", "gil", "inline",
    "readonly", "public", "api", "extern", "except", "fused", "cython", "by", "bint", "ssize_t", "object", "unicode",
    "PyObject", "Py_None", "Py_ssize_t", "import_array", "dereference", "preincrement",
]  # fmt: skip
BRIAN_WORDS = [
    "i", "j", "N", "t", "dt", "lastspike", "not_refractory", "xi", "xi_a", "numpy", "np", "brian2", "neurons",
    "neurons_clock", "namespace", "group", "owner", "spikes", "template_name", "code_object", "timestep", "rand",
    "randn", "poisson", "inf", "pi", "e", "exp", "log", "clip", "sign", "volt", "mV", "ms", "second", "idx", "count",
    "abstract_code", "scalar_code", "vector_code", "refractory", "threshold", "reset", "event", "spikespace", "_idx",
    "_num", "_v", "v_pre", "v_post",
]  # fmt: skip
PYTHON_WORDS = [*keyword.kwlist, *keyword.softkwlist, *(name for name in dir(builtins) if name[0].islower()), "numpy"]

WORDS = sorted({*PYTHON_WORDS, *C_WORDS, *CPP_WORDS, *CYTHON_WORDS, *BRIAN_WORDS})

BASE = {
    "model": "dv/dt = (-v + I + Iext)/tau_m : 1 (unless refractory)\ndI/dt = -I/tau_s : 1\ndz/dt = -z/tau_r : 1\n"
    "Iext : 1",
    "threshold": "v > 1",
    "reset": "v = 0; z += 1",
    "refractory": "2 ms",
    "method": "exact",
    "parameters": {"tau_m": "20 ms", "tau_s": "5 ms"},
}
METHODS = ("exponential_euler", "exact", "euler", "rk2", "rk4")
FUNCTIONS = [
    "exp", "log", "log10", "log1p", "expm1", "exprel", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan",
    "abs", "sign", "floor", "ceil", "int",
]  # fmt: skip
STATES = ("v", "I", "z", "Iext", "w", "k")


@dataclass(frozen=True)
class Mutant:
    """One neuron: fields of `Equations`, the kind of mutation, and whether it is still the plain neuron."""

    kind: str
    neuron: dict[str, Any]
    plain: bool = False


def mutants(number: int, seed: int) -> list[Mutant]:
    """Return so many mutants, in an order without meaning; the same for the same seed."""
    rng = np.random.default_rng(seed)
    kinds = (_name, _name, _power, _division, _functions, _integers)
    return [kinds[int(rng.integers(len(kinds)))](rng) for _ in range(number)]


def _name(rng: np.random.Generator) -> Mutant:
    """A parameter of 1, or the membrane itself, is called a word of some language."""
    word = _one(rng, WORDS)
    if rng.random() < 0.7:
        model = BASE["model"].replace("(-v", f"(-v*{word}")
        return Mutant("a parameter's name", _changed(model=model, parameters={**BASE["parameters"], word: 1.0}), True)
    model = BASE["model"].replace("dv/dt", f"d{word}/dt").replace("(-v", f"(-{word}")
    changed = _changed(model=model, threshold=f"{word} > 1", reset=f"{word} = 0; z += 1", voltage=word)
    return Mutant("a variable's name", changed, True)


def _power(rng: np.random.Generator) -> Mutant:
    """Powers of sums, behind one to three names; some exponents are parameters."""
    lines, base, parameters = [], "(v + I + z + 0.1)", dict(BASE["parameters"])
    for level in range(int(rng.integers(1, 4))):
        power = str(int(rng.choice([2, 3, 4, 9, 20, 60])))
        if rng.random() < 0.3:
            parameters[f"n{level}"], power = float(power), f"n{level}"
        lines.append(f"x{level} = {base}**{power} : 1")
        base = f"(x{level} + {_one(rng, STATES[:4])} + {rng.integers(1, 4)})"
    return _with("a hidden power", rng, f"x{len(lines) - 1}", lines, parameters)


def _division(rng: np.random.Generator) -> Mutant:
    """Division, whole division and remainder, by numbers, parameters and states that are 0 or not, of either sign."""
    right = _one(
        rng, ["0", "2", "0.1", "-3", "p", "q", "-q", "v", "(v + 3)", "(z - z)", "k", "(q - 0.7)", "(p*2)", "I"]
    )
    left = _one(rng, ["v", "-v", "I", "(v - I)", "7", "-7", "k", "(k - 3)", "z"])
    parameters = {**BASE["parameters"], "p": 0.0, "q": 0.7}
    text = f"{left} {_one(rng, ['/', '//', '%', '/', '%'])} {right}"
    return _with(
        "a division", rng, text, ["k : integer"], {n: v for n, v in parameters.items() if n in f"{text} tau_m tau_s"}
    )


def _functions(rng: np.random.Generator) -> Mutant:
    """Functions inside functions, of arguments where some of them are not defined."""
    text = _one(rng, ["v", "I", "(v - I)", "-v", "(z + w)", "Iext", "3*v", "(v - 50)"])
    for _ in range(int(rng.integers(1, 5))):
        name = _one(rng, [*FUNCTIONS, "clip", "**", "+"])
        if name == "clip":
            text = f"clip({text}, {rng.integers(-2, 2)}, {rng.integers(-1, 3)})"
        elif name == "**":
            text = f"abs({text})**{_one(rng, ['0.5', '-0.5', '1.5', '2'])}" if "**" not in text else f"-({text})"
        else:
            text = f"({text} + {_one(rng, ['v', '0.5', 'z'])})" if name == "+" else f"{name}({text})"
    return _with("nested functions", rng, text, [], dict(BASE["parameters"]))


def _integers(rng: np.random.Generator) -> Mutant:
    """Integers and truths in arithmetic, in resets, and where numbers are wanted."""
    text = _one(rng, [
        "k*v", "k/3", "k**2", "k**-1", "2**k", "(-2)**k", "k**k", "int(v*1e10)", "int(-v*3.7)", "int(v > 0.5)*2", "b*v",
        "int(b) + k", "(v > 0.5)*1.0", "abs(k - 3)", "sign(k - 2)", "clip(k, 0, 2)", "k*1000000000", "floor(k/2)",
        "int(t/(3*ms))", "int(t/dt)%3", "(k + 1)/(k + 2)", "v**k", "sqrt(k)", "exp(k/5)", "-k//2", "not b", "k == 2",
    ])  # fmt: skip
    reset = _one(
        rng, ["k += 1", "k = int(3*z)", "k = v", "k *= 2", "k /= 2", "b = v > 0.5", "b = k", "k = k//2 + 1", "k -= 1"]
    )
    return _with("integers and booleans", rng, text, ["k : integer", "b : boolean"], dict(BASE["parameters"]), reset)


def _with(
    kind: str, rng: np.random.Generator, text: str, lines: list[str], parameters: dict[str, Any], reset: str = ""
) -> Mutant:
    """Let an expression move a second variable, which moves the membrane a little; sometimes the reset as well."""
    method = _one(rng, METHODS[:1] * 2 + METHODS)
    model = BASE["model"].replace("(-v", "(-v + 0.1*w")
    extra = [*lines, f"dw/dt = ({text} - w)/(10*ms) : 1"]
    if not reset and rng.random() < 0.2:
        reset = f"w = {text}"
    resets = f"{BASE['reset']}; {reset}" if reset else BASE["reset"]
    if " k" in text and "k : integer" not in extra:
        extra.insert(0, "k : integer")
    changed = _changed(model="\n".join([model, *extra]), method=method, parameters=parameters, reset=resets)
    return Mutant(kind, changed)


def _changed(**values: Any) -> dict[str, Any]:
    return {**BASE, **values}


def _one(rng: np.random.Generator, choices: Any) -> str:
    return str(choices[int(rng.integers(len(choices)))])
