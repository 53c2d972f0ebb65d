"""Arithmetic that numpy and compiled code do differently is refused or made equal; what leaves the numbers is said."""

from __future__ import annotations

import ast
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.faults.mutated_equations import BASE
from neuroanp.backends import trial
from neuroanp.backends.arithmetic import SCALES, Known, constant
from neuroanp.backends.execution import Execution
from neuroanp.backends.expressions import as_written, expression
from neuroanp.backends.population import Recurrence
from neuroanp.errors import InputError, RunError
from tests.backends.neurons import with_lines
from tests.close import close

LIKE = torch.ones(4, dtype=torch.float64)
KNOWN = Known(frozenset({"v", "w", "k", "b", "p", "t"}), {"p": 0.0}, frozenset({"k"}), frozenset({"b"}))


def presented(population, current: float, steps: int = 40):
    population.begin()
    W = torch.zeros(4, 4, dtype=torch.float64)
    drive = torch.full((steps, 1, 4), current, dtype=torch.float64)
    return population.run(drive, Recurrence(W, lambda t, s: s @ W), None, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v/0", "'v / 0' divides by zero"),
        ("v % 0", "'v % 0' divides by zero"),
        ("v // p", "'v // p' divides by zero (p is 0)"),
        ("v/(2*p - p)", "divides by zero (p is 0)"),
        ("v/(20*ms - 0.02*second)", "divides by zero"),
        ("v*(p - 0.0)**(-1)", "'(p - 0.0) ** (-1)' divides by zero (p is 0)"),
        ("v + (2*p)**-0.5", "divides by zero (p is 0)"),
        ("v + p**-2", "divides by zero (p is 0)"),
        ("v*0**-1", "'0 ** (-1)' divides by zero"),
        ("k**-1", "a power of integers"),
        ("2**k", "a power of integers"),
        ("(k + 1)**k", "a power of integers"),
        ("clip(v, 1, -1)", "the bounds of clip are numbers or parameters, the lower first"),
        ("clip(v, 0, w)", "the bounds of clip"),
        ("(v % 2) % 3", "give the inner '%' a name"),
    ],
)
def test_what_the_targets_do_differently_is_refused(text, said):
    with pytest.raises(ValueError, match=r".") as error:
        expression(text, KNOWN)
    assert said in str(error.value)


@pytest.mark.parametrize("text", ["v*p**2", "v + (p + 1)**-1", "p**p", "v**-1.0", "(p + v)**-2"])
def test_a_power_that_does_not_divide_by_zero_for_sure_is_let_through(text):
    expression(text, KNOWN)


@pytest.mark.parametrize(
    ("reset", "said"),
    [
        ("v /= 0", "divides by zero"),
        ("k = v", "'k' is an integer; write k = int(...)"),
        ("k /= 2", "'k' is an integer"),
        ("k += 0.5", "'k' is an integer"),
        ("b = v", "'b' is a boolean; write a condition, e.g. b = v > 1"),
        ("b = k", "'b' is a boolean"),
    ],
)
def test_a_reset_keeps_the_kind_of_a_variable(reset, said):
    with pytest.raises(ValueError, match=r".") as error:
        with_lines("k : integer", "b : boolean", reset=f"z += 1; {reset}")
    assert said in str(error.value)


@pytest.mark.parametrize("reset", ["k = int(v)", "k += 1", "k = k//2 + 1", "b = v > 1", "b = not b", "v = k/2"])
def test_a_reset_that_keeps_it_is_let_through(reset):
    with_lines("k : integer", "b : boolean", reset=f"z += 1; {reset}")


@pytest.mark.parametrize(("unit", "value"), [("integer", 1.5), ("integer", 1e12), ("boolean", 2.0)])
def test_a_start_that_an_array_would_cut_is_refused(unit, value):
    with pytest.raises(ValueError, match=f"is no {unit}"):
        with_lines(f"k : {unit}", initial={"k": value})


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_parameters_are_finite(value):
    with pytest.raises(ValueError, match="finite"):
        with_lines("x = q*v : 1", parameters={**BASE["parameters"], "q": value})


@given(st.floats(-50, 50), st.floats(-50, 50).filter(lambda b: abs(b) > 1e-3))
def test_remainders_are_those_of_python_but_for_rounding(a, b):
    """The sign is the divisor's; at a multiple of it rounding may give the divisor instead of 0."""
    values = {"v": a, "w": b, "floor": math.floor}
    remainder, whole = (eval(as_written(expression(text, KNOWN)), values) for text in ("v % w", "v // w"))  # noqa: S307
    assert abs(whole - a // b) <= 1
    assert abs(whole * b + remainder - a) < 1e-9
    gap = abs(remainder - math.fmod(math.fmod(a, b) + b, b))
    assert min(gap, abs(gap - abs(b))) < 1e-9


def test_what_is_handed_over():
    assert as_written(expression("v // w + k // 2", KNOWN)) == "floor(v / w) + k // 2"
    assert as_written(expression("int(v) + int(k) + int(b) + int(v > 1)", KNOWN)) == (
        "int(clip(v, -2000000000.0, 2000000000.0)) + int(k) + int(b) + int(v > 1)"
    )
    assert expression("-exp(v/ms)*t", KNOWN) == "-exp(v000 / ms) * t"


def test_units_are_brian2s(spiking):
    for name, value in SCALES.items():
        theirs = getattr(spiking.brian2, name, None)
        assert float({"e": math.e}.get(name, theirs)) == close(value, rel=1e-12)


def test_a_constant_is_known_where_nothing_varies():
    values = {"p": 3.0}
    known = {"p - 3": 0.0, "-p**2/2": -4.5, "2 % p": 2.0, "1/0": None, "v": None, "exp(p)": None, "p*mV": 3e-3}
    for text, value in known.items():
        assert constant(ast.parse(text, mode="eval").body, values) == value


# --- at run time ---


REFUSED = r"^neuron.model \(equations\): its equations divide by zero, or take int .*; keep the divisor from 0 at rest"
AT_REST = ["1/z", "z**-1", "w/z", "(v + I)/z", "1 % z", "1 // z", "int(w/z)"]


@pytest.mark.parametrize("text", AT_REST)
@pytest.mark.parametrize("method", ["euler", "exponential_euler"])
def test_a_division_by_zero_at_rest_is_refused(spiking, text, method):
    """Compiled code refuses it; numpy used to go on with 0/0 until the run."""
    own = with_lines(f"dw/dt = ({text} - w)/(5*ms) : 1", method=method)
    with pytest.raises(InputError, match=REFUSED):
        spiking.EquationsPopulation(own, LIKE, 1, dt=1e-3, target="numpy")


@pytest.mark.parametrize("text", ["1/(z + 1)", "exp(90*Iext)/(exp(80*Iext) + 1)", "exprel(z)"])
def test_what_does_not_divide_by_zero_at_rest_is_let_through(spiking, text):
    """Under the strong currents of a first look inf/inf is an overflow, which is a run's to tell."""
    spiking.EquationsPopulation(with_lines(f"dw/dt = ({text} - w)/(5*ms) : 1"), LIKE, 1, dt=1e-3, target="numpy")


def test_a_step_at_rest_leaves_nothing_behind(spiking):
    population = spiking.EquationsPopulation(with_lines("dw/dt = 1/ms : 1"), LIKE, 1, dt=1e-3, target="numpy")
    assert population._group.variables["w000"].get_value().tolist() == [0.0] * 4
    assert population._group.clock.variables["timestep"].get_value()[0] == 0


@pytest.mark.long
def test_a_trial_refuses_a_division_by_zero_in_the_same_words():
    with pytest.raises(InputError, match=REFUSED):
        trial.tried(with_lines("dw/dt = (w/z - w)/(5*ms) : 1"), 1e-3, Execution(target="numpy"))


@pytest.mark.slow
@pytest.mark.parametrize("text", ["1/z", "w/z"])
def test_a_division_by_zero_at_rest_is_refused_in_compiled_code(spiking, text):
    with pytest.raises(InputError, match=REFUSED):
        spiking.EquationsPopulation(with_lines(f"dw/dt = ({text} - w)/(5*ms) : 1"), LIKE, 1, dt=1e-3, target="cython")


def test_what_leaves_the_numbers_ends_the_run(spiking):
    """A root of what is below 0 makes a membrane that never spikes again, in silence."""
    own = with_lines("dw/dt = (sqrt(Iext + 1) - w)/(5*ms) : 1")
    population = spiking.EquationsPopulation(own, LIKE, 1, dt=1e-3, target="numpy")
    presented(population, 1.0)
    with pytest.raises(RunError, match=r"neuron \(equations\): w left the finite numbers"):
        presented(population, -2.0)
    presented(population, 1.0)


def test_a_division_by_zero_during_a_run_ends_it(spiking):
    population = spiking.EquationsPopulation(
        with_lines("dw/dt = (1/(Iext + 2) - w)/(5*ms) : 1"), LIKE, 1, dt=1e-3, target="numpy"
    )
    presented(population, 1.0)
    with pytest.raises(RunError, match=r"neuron \(equations\): its equations divide by zero"):
        presented(population, -2.0)


def test_an_integer_of_what_is_no_number_ends_a_run(spiking):
    """Compiled code makes another integer of it than numpy."""
    own = with_lines("dw/dt = (int(sqrt(Iext + 1)) - w)/(5*ms) : 1")
    population = spiking.EquationsPopulation(own, LIKE, 1, dt=1e-3, target="numpy")
    presented(population, 1.0)
    with pytest.raises(RunError, match="take int of what is no number"):
        presented(population, -2.0)


def test_currents_that_are_no_numbers_are_not_the_equations_fault(spiking):
    """Weights that diverge are the trainer's to tell."""
    population = spiking.EquationsPopulation(with_lines(), LIKE, 1, dt=1e-3, target="numpy")
    assert presented(population, math.nan).v.isnan().any()


@pytest.mark.slow
def test_both_targets_compute_the_same(spiking):
    """Every function and operation that is let through, of both signs, in one neuron; whole numbers to the bit."""
    texts = [
        "v // 0.1", "-v // 0.1", "v % 0.7", "-v % 0.7", "v % -0.7", "k // 3", "(k - 5) % 3", "k % -3", "int(v*1e12)",
        "int(-v*3.7)", "int(v > 0.5)*2", "clip(v, -1, 0.5)", "sign(v - 0.5)", "floor(-v)", "ceil(-v)", "k/3",
        "1/(k + 1)", "abs(v - 0.5)**0.3", "exprel(v)", "arctan(v)", "log1p(abs(v))", "tanh(v)", "int(t/(3*ms))",
        "t % (3*ms)/ms",
    ]  # fmt: skip
    lines = ["k : integer", *(f"dw{n}/dt = ({text} - w{n})/(3*ms) : 1" for n, text in enumerate(texts))]
    own = with_lines(*lines, reset="v = 0; z += 1; k += 1")
    made = [spiking.EquationsPopulation(own, LIKE, 1, dt=1e-3, target=target) for target in ("numpy", "cython")]
    for population in made:
        presented(population, 3.0, 120)
    for n, text in enumerate(texts):
        a, b = (population._group.variables[f"w{n}000"].get_value() for population in made)
        assert abs(a - b).max() <= 1e-12 * max(1.0, abs(a).max()), text
    assert made[0]._group.variables["k000"].get_value().min() > 3
