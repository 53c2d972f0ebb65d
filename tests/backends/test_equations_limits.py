"""Equations that would fill the memory or never end are refused: by their degree, or by a trial within limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from benchmarks.faults.mutated_equations import BASE
from neuroanp.backends import equations, trial
from neuroanp.backends.arithmetic import Known
from neuroanp.backends.execution import Execution
from neuroanp.backends.expressions import parsed
from neuroanp.backends.growth import _Growth
from neuroanp.backends.network import SpikingBackend
from neuroanp.backends.neuron import LIF
from neuroanp.errors import InputError, RunError
from neuroanp.network.compose import Stacked, stack
from tests.backends.neurons import with_lines
from tests.close import close

NUMPY = Execution(target="numpy")


CHAIN = ("x0 = (v + I + z + Iext)**9 : 1", "x1 = (x0 + v + 1)**9 : 1", "x2 = (x1 + I + 2)**9 : 1")
MOVED = "dw/dt = -{}/ms : 1"
PRODUCT = (*(f"x{n} = (v + I)*(z + {n}) : 1" for n in range(6)), MOVED.format("x0*x1*x2*x3*x4*x5"))


@pytest.mark.parametrize(
    ("lines", "method", "said"),
    [
        ((*CHAIN, MOVED.format("x2")), "exponential_euler", "x2: a power of 729 once"),
        ((*CHAIN[:2], MOVED.format("x1")), "exact", "w: method 'exact' multiplies it out, to about"),
        (("x0 = (v + I + z + Iext)**60 : 1", MOVED.format("x0")), "exact", "to about 4e+04 terms, at most 1000"),
        (("x0 = (v + 1)**n : 1", MOVED.format("x0**n")), "euler", "w: a power of 144 once"),
        (("x0 = (v + I + z + Iext)**20 : 1", MOVED.format("exp(x0)")), "exponential_euler", "multiplies it out"),
        (("x0 = (v + I + z + Iext)**20 : 1", MOVED.format("v/x0")), "exponential_euler", "multiplies it out"),
        (PRODUCT, "exact", "multiplies it out, to about 4.1e+03 terms"),
    ],
)  # fmt: skip
def test_powers_are_followed_through_names(lines, method, said):
    parameters = {**BASE["parameters"], **({"n": 12.0} if "n" in lines[0].split("**")[-1] else {})}
    with pytest.raises(ValueError, match=r".") as error:
        with_lines(*lines, method=method, parameters=parameters)
    assert said in str(error.value)


def test_what_is_not_multiplied_out_is_let_through():
    with_lines("x0 = (v + I + z + Iext)**60 : 1", MOVED.format("x0"), method="rk4")
    with_lines("x0 = (v + I)**9 : 1", MOVED.format("x0"), method="exponential_euler")
    gates = ("m_inf = 1/(1 + exp(-(v + 4)/2)) : 1", "dm/dt = (m_inf - m)/ms : 1", MOVED.format("(m**3*(v - 5) + w)"))
    with_lines(*gates, method="exponential_euler")


@pytest.mark.parametrize(
    "text",
    [
        "(a + b)**5",
        "(a + b + c)**4*(a - b)",
        "(a + b)**3/(a + c)**2",
        "exp((a + b)**4)*(a + c)",
        "a*(b - (a + b)*c)",
        "b/((b + 2)/(b + a))**3",
        "a/(b/(c + a)**2)",
        "(a/(b + c))**-3",
        "(a + b)**2*(a/((b + c + 1)*(b + c)))**-2",
        "1/(1/(a + b)/(c + a))",
        "a/(1/(1/(1/(a + b)**3)))",
        "1/(a/(b + c) + a)**2",
        "c/(-(a + 1)/(b*(a + c)**3))",
        "c/(a*(b + 1)/((a + b + c)*(b + c)))**2",
    ],
)
def test_the_estimate_holds_what_sympy_makes(text):
    import sympy

    found = sympy.sympify(text).expand()
    known = Known(frozenset("abc"), {}, frozenset(), frozenset())
    size = _Growth({}, known).size(parsed(text, known).body, ())
    assert len(sympy.Add.make_args(found)) <= size.multiplied_out
    if found.is_polynomial():
        assert int(sympy.total_degree(found)) == size.degree


def test_a_denominator_of_a_denominator_is_counted_as_it_comes_up():
    """By hand: (a + b)^3 has 4 terms, and as many come of b (a + b)^3 / (b + 2)^3; of a sum none come up."""
    known = Known(frozenset("abc"), {}, frozenset(), frozenset())
    terms = {
        "b/((b + 2)/(b + a))**3": 4, "a/(1/((a + b)*(b + c)))": 4, "a/(1/(a + b) + c)": 1, "a/(1/(a + b))**0.5": 1,
    }  # fmt: skip
    assert {text: _Growth({}, known).size(parsed(text, known).body, ()).terms for text in terms} == close(terms)


# --- the trial ---


@pytest.fixture
def unguarded(monkeypatch):
    """Let every growth through, as one that the estimate misses."""
    monkeypatch.setattr(equations, "check_growth", lambda *args: None)


def test_a_trial_is_ended_by_the_clock_with_what_it_started(monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *args, **options: started.append(popen(*args, **options)) or started[0]
    )
    with pytest.raises(InputError, match=r"not ready after 0.2 s; the longest .* is 'dv/dt = .*'; use lower powers"):
        trial.tried(with_lines(), 1e-3, NUMPY, wall_s=0.2)
    assert started[0].returncode == -9
    with pytest.raises(ProcessLookupError):
        os.killpg(started[0].pid, 0)


def test_a_trial_happens_once(monkeypatch):
    calls = []
    monkeypatch.setattr(trial, "_outcome", lambda task, wall_s: calls.append(json.loads(task)) or {"done": True})
    monkeypatch.setattr(trial, "_PASSED", set())
    for neuron in (with_lines(), with_lines(), with_lines("k : 1")):
        trial.tried(neuron, 1e-3, NUMPY)
    assert [call["given"]["model"].count("\n") for call in calls] == [3, 4]


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ({"refused": "neuron.model (equations): no"}, InputError, r"^neuron.model \(equations\): no$"),
        (
            {"limit": "it takes more than 512 MB"},
            InputError,
            r"^neuron.model \(equations\): it takes .* or take method euler$",
        ),
    ],
)
def test_what_a_trial_finds_is_said(monkeypatch, said, error, words):
    monkeypatch.setattr(trial, "_outcome", lambda task, wall_s: said)
    with pytest.raises(error, match=words):
        trial.tried(with_lines("k : 1", method="exponential_euler"), 1e-3, NUMPY)


@pytest.mark.parametrize(("program", "said"), [("/bin/false", "ended with 1"), ("/no/such", "can be started: No such")])
def test_a_trial_that_cannot_be_run_is_no_fault_of_the_equations(monkeypatch, program, said):
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(RunError, match=said):
        trial.tried(with_lines("own_a : 1"), 1e-3, NUMPY)


def test_a_backend_tries_users_equations_before_it_begins(monkeypatch):
    """And never the built-in neuron."""
    monkeypatch.setattr(trial, "_outcome", lambda task, wall_s: {"limit": "it takes too long"})

    def one_layer_of(cell):
        return stack(2, [Stacked(cell, 3)], 1)

    backend = SpikingBackend(1e-3, execution=NUMPY)
    with pytest.raises(InputError, match="it takes too long"):
        backend.rehearse(one_layer_of(with_lines("own_b : 1")), {})
    backend.rehearse(one_layer_of(LIF()), {})


@pytest.mark.slow
def test_a_trial_in_a_script_without_a_guard(tmp_path):
    """A notebook or script has no `if __name__ == "__main__"`, and may lie beside a file called json.py."""
    (tmp_path / "json.py").write_text("raise SystemExit('not this one')")
    script = f"""
from neuroanp.backends.equations import Equations
from neuroanp.backends.execution import Execution
from neuroanp.backends.trial import tried
print("once")
tried(Equations(**{BASE!r}), 1e-3, Execution(target="numpy"))
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")]))},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "once\n", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "method", "said"),
    [
        ((*CHAIN, MOVED.format("x2")), "exponential_euler", r"more than 512 MB to prepare|preparing .* of computing"),
        pytest.param(
            ("x0 = (v + I + z + Iext)**60 : 1", MOVED.format("x0")),
            "exact",
            r"preparing .* of computing|512 MB",
            marks=pytest.mark.long,
        ),
    ],
)
def test_what_no_estimate_sees_is_stopped_by_the_limits(unguarded, lines, method, said):
    """Measured from outside: 9 s of processor time and 840 MB to 1.1 GB by machine, instead of 10.9 GB."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(
        InputError, match=rf"neuron.model \(equations\): .*({said}).*'dw/dt = -x\d/ms'.*take method euler"
    ):
        trial.tried(with_lines(*lines, method=method), 1e-3, NUMPY)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_maxrss * (1 if sys.platform == "darwin" else 1024) < 1.5 * 2**30
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 60


@pytest.mark.long
def test_an_honest_neuron_that_sympy_never_solves_is_refused_with_another_method():
    """Five variables that all depend on one another have no closed form; SymPy looks for it without end."""
    parameters = BASE["parameters"] | {f"a{i}{j}": 0.1 * (i - j) - 0.5 for i in range(5) for j in range(5)}
    lines = [f"dx{i}/dt = ({' + '.join(f'a{i}{j}*x{j}' for j in range(5))} + I)/ms : 1" for i in range(5)]
    with pytest.raises(InputError, match=r"'dx0/dt = .*take method euler"):
        trial.tried(with_lines(*lines, method="exact", parameters=parameters), 1e-3, NUMPY)


@pytest.mark.slow
def test_a_limit_never_raises_one_that_is_there():
    script = (
        "import resource; from neuroanp.backends.trial import limit\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (5, 5)); resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        "limit(100.0, 2**40); print(resource.getrlimit(resource.RLIMIT_CPU), resource.getrlimit(resource.RLIMIT_AS))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout
    assert out.strip() == f"(5, 5) ({2**31}, {2**31})"


def test_a_limit_that_cannot_be_set_is_told(monkeypatch, tmp_path):
    """Where it is known how much memory is taken, the trial must not go on without its limit."""

    def refused(which, limits):
        if which == trial.resource.RLIMIT_AS:
            raise PermissionError

    monkeypatch.setattr(trial.resource, "setrlimit", refused)
    if trial.STATM.exists():
        with pytest.raises(PermissionError):
            trial.limit(1.0, 2**40)
    monkeypatch.setattr(trial, "STATM", tmp_path / "none")
    trial.limit(1.0, 2**40)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("XCPU", "compiling the equations takes more than 5 s of computing"),
        ("KILL", "was ended by the system: more than 5 s of computing, or no memory left"),
    ],
)
def test_what_the_system_ends_is_not_taken_for_time_alone(monkeypatch, tmp_path, name, said):
    fake = tmp_path / "python"
    fake.write_text(f"""#!/bin/sh
cat > /dev/null
echo '{{"stage": "compiling the equations", "seconds": 5}}'
kill -{name} $$
""")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(InputError, match=said):
        trial.tried(with_lines(f"own_{name} : 1"), 1e-3, NUMPY)


@pytest.mark.long
def test_mutants_agree_or_are_refused():
    """A few of the benchmark's, in children of their own: names, powers, divisions, functions, integers."""
    import time

    from benchmarks.faults.equations import child
    from benchmarks.faults.mutated_equations import mutants

    for mutant in mutants(8, seed=3):
        found = child(mutant, max(time.process_time(), 2.0))
        assert found["verdict"] in ("agree", "refused"), (mutant, found)
        assert found["bytes"] < 2**30
