"""What Brian2 cannot compile is refused, whoever's code it is; and no name of a user's can be such code."""

from __future__ import annotations

import builtins
import errno
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.faults.mutated_equations import BASE, WORDS
from neuroanp.backends import compiling, expressions
from neuroanp.backends.compiling import NotCompiled, checked, said_by_programs, verify
from neuroanp.backends.equations import Equations
from neuroanp.backends.lif import LIFPopulation
from neuroanp.backends.neuron import LIF, coefficients
from neuroanp.backends.population import Recurrence
from neuroanp.errors import InputError

UNITS, DT = 5, 1e-3
LIKE = torch.ones(UNITS, dtype=torch.float64)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,6}", fullmatch=True)


def renamed(word: str) -> Equations:
    """The plain neuron, with a parameter of 1 of that name."""
    parameters = {**BASE["parameters"], word: 1.0}
    return Equations(**{**BASE, "model": BASE["model"].replace("(-v", f"(-v*{word}"), "parameters": parameters})


def presented(population):
    population.begin()
    W = torch.linspace(-1, 2, UNITS**2, dtype=torch.float64).view(UNITS, UNITS)
    current = torch.linspace(0, 4, 100 * UNITS, dtype=torch.float64).view(100, 1, UNITS)
    return population.run(current, Recurrence(W, lambda t, s: s @ W), None, True)


def same_bits(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# --- names ---


@given(NAMES, NAMES)
def test_handing_a_name_over_keeps_the_order_of_names(a, b):
    """SymPy sorts terms by name: another order would round sums in another way."""
    handed = expressions.handed
    assert (a < b) == (handed(a) < handed(b))
    assert (a == b) == (handed(a) == handed(b))
    for given_name in ("t", "dt", "ms", "mV", "volt", "exp", "not_refractory"):
        if a != given_name:
            assert (a < given_name) == (handed(a) < given_name)
    assert expressions.as_written(f"'{handed(a)}' and {handed(b)}: not {handed(a)}+1") == f"'{a}' and {b}: not {a}+1"


def test_no_name_that_is_handed_over_is_a_word(spiking):
    brian2 = spiking.brian2
    for word in WORDS:
        handed = expressions.handed(word)
        assert handed not in WORDS
        assert not hasattr(builtins, handed)
        for names in (brian2.DEFAULT_FUNCTIONS, brian2.DEFAULT_UNITS, brian2.DEFAULT_CONSTANTS, vars(brian2)):
            assert handed not in names


def as_foo(spiking, word: str, target: str) -> None:
    """Assert that a parameter of that name gives what one called foo does."""
    steps, foo = (
        presented(spiking.EquationsPopulation(renamed(name), LIKE, 1, dt=DT, target=target)) for name in (word, "foo")
    )
    twin = presented(LIFPopulation(coefficients(LIF(), DT, LIKE), 1))
    assert steps.s.sum() > 30
    assert torch.equal(steps.s, twin.s)
    if ("Iext" < word < "tau_m") == ("Iext" < "foo" < "tau_m"):  # SymPy sorts by name: the same sums, to the last bit
        assert same_bits(steps, foo)
    assert all(torch.allclose(a, b, rtol=1e-13, atol=1e-13) for a, b in zip(steps, foo, strict=True))


@pytest.mark.long
@pytest.mark.parametrize("word", ["len", "IF"])
def test_a_parameters_name_changes_nothing(spiking, word):
    as_foo(spiking, word, "numpy")


@pytest.mark.long
@pytest.mark.parametrize(
    "word",
    [
        "IF",
        *(
            pytest.param(w, marks=pytest.mark.long)
            for w in ("len", "NULL", "range", "complex", "include", "DEF", "ELSE", "int32_t")
        ),
    ],
)
def test_a_parameters_name_changes_nothing_in_compiled_code(spiking, word):
    as_foo(spiking, word, "cython")


@pytest.mark.long
def test_a_word_that_cython_knows_is_refused_in_one_line(spiking, monkeypatch, capfd):
    """Names as they are: what happened before they were handed over, and what happens if that fails."""
    monkeypatch.setattr(expressions, "_END", "")
    with pytest.raises(InputError) as error:
        spiking.EquationsPopulation(renamed("IF"), LIKE, 1, dt=DT, target="cython")
    said = str(error.value)
    assert said.startswith("neuron.model (equations): Brian2's code 'neurons_stateupdater_codeobject")
    assert "IF" in said
    assert ".pyx" not in said
    assert len(said.splitlines()) == 1
    assert capfd.readouterr() == ("", "")


# --- every block ---


def manager(spiking):
    return sys.modules["brian2.codegen.runtime.cython_rt.cython_rt"].cython_extension_manager


def leave_out(spiking, monkeypatch, word: str, real: bool = False) -> None:
    """Let Brian2 make no extension for code with a word in its name; for other code a real one, or one that idles."""
    create, made = manager(spiking).create_extension, SimpleNamespace(main=lambda namespace: None)

    def other(code, *args, owner_name="", **options):
        if word in owner_name:
            return None
        return create(code, *args, owner_name=owner_name, **options) if real else made

    monkeypatch.setattr(manager(spiking), "create_extension", other)
    monkeypatch.setattr(spiking, "_no_compiler", lambda: None)


def build(spiking, which: str, **options):
    if which == "lif":
        return spiking.Brian2Population(coefficients(LIF(), DT, LIKE), 1, dt=DT, target="cython", **options)
    return spiking.EquationsPopulation(renamed("foo"), LIKE, 1, dt=DT, target="cython", **options)


REFUSED = r"Brian2's code '.*' does not compile: no error was told; check the compiler"


@pytest.mark.parametrize("loop", ["auto", "run"])
@pytest.mark.parametrize("which", ["lif", "own"])
@pytest.mark.parametrize("word", ["neurons_stateupdate", "neurons_threshold", "neurons_reset"])
def test_a_block_that_is_left_out_is_refused(spiking, monkeypatch, which, word, loop):
    leave_out(spiking, monkeypatch, word)
    with pytest.raises(InputError, match=REFUSED) as error:
        build(spiking, which, loop=loop)
    part = {"stateupdate": "model"}.get(word.removeprefix("neurons_"), word.removeprefix("neurons_"))
    assert str(error.value).startswith(f"neuron.{part} (equations): " if which == "own" else "Brian2's code 'neurons_")


def test_synapses_that_cannot_be_made_are_refused(spiking, monkeypatch):
    leave_out(spiking, monkeypatch, "synapses_create")
    with pytest.raises(InputError, match=REFUSED):
        build(spiking, "lif", recurrence="synapses")


@pytest.mark.slow
@pytest.mark.parametrize("which", ["lif", "own"])
@pytest.mark.parametrize("word", ["recurrence_synapses", "recurrence_pre_synapses_push"])
def test_synapses_that_do_nothing_are_refused(spiking, monkeypatch, which, word):
    """What carries the spikes: the queue, and what a spike adds; the rest is compiled."""
    monkeypatch.setattr(spiking.GroupPopulation, "_connect", connected(spiking, monkeypatch, word))
    with pytest.raises(InputError, match=REFUSED):
        build(spiking, which, recurrence="synapses")


def connected(spiking, monkeypatch, word):
    """Return `_connect`, after which code with that word in its name is left out."""
    connect = spiking.GroupPopulation._connect

    def then(self, *args):
        synapses = connect(self, *args)
        leave_out(spiking, monkeypatch, word, real=True)
        return synapses

    return then


def test_only_what_is_left_out_is_refused(spiking, monkeypatch):
    leave_out(spiking, monkeypatch, "nothing is called this")
    for which in ("lif", "own"):
        build(spiking, which)


@pytest.mark.parametrize("which", ["lif", "own"])
@pytest.mark.parametrize("removed", ["checked", "verify"])
def test_each_of_two_checks_is_enough(spiking, monkeypatch, which, removed):
    """One looks when a block is compiled, the other at the finished network."""
    leave_out(spiking, monkeypatch, "reset")
    monkeypatch.setattr(spiking, removed, (lambda kind: kind) if removed == "checked" else lambda objects: None)
    with pytest.raises(InputError, match="does not compile"):
        build(spiking, which)


def test_without_both_nothing_is_said(spiking, monkeypatch):
    """The negative control: this is what Brian2 does by itself."""
    leave_out(spiking, monkeypatch, "reset")
    monkeypatch.setattr(spiking, "checked", lambda kind: kind)
    monkeypatch.setattr(spiking, "verify", lambda objects: None)
    build(spiking, "lif")


def test_numpys_code_is_looked_at_too():
    code = SimpleNamespace(
        name="c", template_name="t", code=SimpleNamespace(before_run="", run="x = 1", after_run="# EMPTY_CODE_BLOCK"),
        compiled_code={"run": compile("x = 1", "", "exec")},
    )  # fmt: skip
    verify([SimpleNamespace(code_objects=[code])])
    code.compiled_code.clear()
    with pytest.raises(NotCompiled, match="'c' does not compile"):
        verify([SimpleNamespace(code_objects=[code])])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), r"No space left .*CYTHON_CACHE_DIR"),
        (PermissionError(errno.EACCES, "Permission denied"), r"Permission denied.* permissions of Cython's cache"),
        (RuntimeError("command '/usr/bin/g++' failed: No such file"), r"failed: No such file; check the compiler"),
    ],
)
@pytest.mark.parametrize("which", ["lif", "own"])
def test_a_compiler_that_vanishes_or_a_full_disk_is_said(spiking, monkeypatch, which, error, said):
    """After the first look found a compiler that works."""

    def create(*args, **options):
        raise error

    monkeypatch.setattr(spiking, "_no_compiler", lambda: None)
    monkeypatch.setattr(manager(spiking), "create_extension", create)
    with pytest.raises(InputError, match=said):
        build(spiking, which)


def test_a_compiler_is_asked_for_what_brian2_asks_and_no_debugging_information(spiking, monkeypatch):
    asked = []

    def create(*args, compiler, extra_compile_args, **options):
        asked.append((compiler, extra_compile_args))
        raise RuntimeError("enough")

    monkeypatch.setattr(spiking, "_no_compiler", lambda: None)
    monkeypatch.setattr(manager(spiking), "create_extension", create)
    with pytest.raises(InputError, match="enough"):
        build(spiking, "lif")
    flags = spiking.brian2.prefs["codegen.cpp.extra_compile_args_gcc"]
    assert asked == [("unix", [*flags, "-g0"])]
    made = checked(Code)()  # another compiler has another spelling, and makes no such information by default
    assert (made.compiler, made.extra_compile_args) == ("msvc", ["/w"])


def test_no_compiler_says_why(spiking, monkeypatch, caplog, capfd, tmp_path):
    """A cache that cannot be written is not a missing compiler."""
    (tmp_path / "file").write_text("")
    monkeypatch.setitem(spiking.brian2.prefs, "codegen.runtime.cython.cache_dir", str(tmp_path / "file" / "cache"))
    for cached in (spiking._no_compiler, spiking.warn_once):
        cached.cache_clear()
    try:
        with caplog.at_level(logging.WARNING, "neuroanp"):
            spiking._code_class("auto")
        assert "Couldn't create Cython cache directory" in caplog.records[-1].message
        with pytest.raises(InputError, match="Couldn't create Cython cache directory"):
            spiking._code_class("cython")
        assert capfd.readouterr() == ("", "")
    finally:
        spiking._no_compiler.cache_clear()


# --- the pieces ---


class Code:
    """As much of a code object of Brian2's as `checked` needs."""

    name, template_name, left = "c", "stateupdate", Path()
    compiler, extra_compile_args = "msvc", ["/w"]

    def __init__(self):
        self.code = SimpleNamespace(run="cdef double IF")
        self.calls = 0

    def compile_block(self, block):
        self.calls += 1
        if self.left.is_file():
            raise ImportError("file too short", path=str(self.left))
        return "made"


def test_what_was_left_half_written_is_made_again(tmp_path):
    left = tmp_path / "_cython_magic.so"
    left.write_bytes(b"\x7fELF")
    kind = checked(type("Left", (Code,), {"left": left}))
    made = kind()
    assert made.compile_block("run") == "made"
    assert made.calls == 2
    assert not left.exists()


@pytest.mark.parametrize("name", ["module.py", "_cython_magic.py", "libstdc++.so", "numpy.cpython-312.so"])
def test_other_import_errors_remove_nothing(tmp_path, name):
    left = tmp_path / name
    left.write_text("")
    with pytest.raises(NotCompiled, match="file too short"):
        checked(type("Left", (Code,), {"left": left}))().compile_block("run")
    assert left.exists()


def test_what_programs_write_is_kept_from_the_terminal(capfd):
    with said_by_programs():
        subprocess.run([sys.executable, "-c", "import os; os.write(2, b'from below\\n'); print('out')"], check=True)
        print("from here")
        os.write(1, b"raw\n")
    assert capfd.readouterr() == ("", "")
    print("after")
    assert capfd.readouterr() == ("after\n", "")
    with pytest.raises(ZeroDivisionError), said_by_programs():
        1 / os.write(2, b"")  # what is raised leaves the terminal as it was, too
    print("after", file=sys.stderr)
    assert capfd.readouterr() == ("", "after\n")


def test_the_first_error_is_shown_without_control_characters():
    said = "warning: a.pyx:1:1: old\n\x1b[31ma.cpp:3:1: \x1b[0merror: expected \u2018;\u2019\x07\na.cpp:4: error: two"
    shown = compiling.first_error(said)
    assert "expected" in shown
    assert "two" not in shown
    assert shown.isprintable()
