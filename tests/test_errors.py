"""Errors a user can act on."""

from __future__ import annotations

import errno
import os
import pickle
import resource
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.errors import (
    DivergedError,
    InputError,
    NeuroanpError,
    RunError,
    did_you_mean,
    nearest,
    no_room_to_load,
    printable,
    refused_by_machine,
)
from neuroanp.records.metrics import Metrics


@pytest.mark.parametrize(("kind", "code"), [(NeuroanpError, 1), (RunError, 1), (DivergedError, 1), (InputError, 2)])
def test_exit_codes(kind, code):
    assert kind("why").exit_code == code
    assert isinstance(kind("why"), NeuroanpError)


def test_a_notebook_shows_the_line_that_called_and_none_of_ours():
    with pytest.raises(InputError) as caught:
        Metrics({})["loss"]  # the caller
    where, said = caught.value._render_traceback_()
    assert where.startswith("line ")
    assert where.endswith(': Metrics({})["loss"]  # the caller')
    assert said == f"InputError: {caught.value}"


@given(message=st.text(), problems=st.lists(st.text(max_size=30), max_size=4))
def test_errors_survive_the_trip_from_a_worker(message, problems):
    error = InputError(message, problems)
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - as multiprocessing does
    assert (type(back), back.message, back.problems, str(back)) == (
        InputError,
        message,
        tuple(problems),
        str(error),
    )
    run = pickle.loads(pickle.dumps(DivergedError(message)))  # noqa: S301
    assert (type(run), str(run)) == (DivergedError, printable(message))


def test_every_problem_has_a_line_of_its_own():
    assert str(InputError("two", ["a: x", "b: y"])) == "two\n  a: x\n  b: y"
    assert str(InputError("one")) == "one"


WORDS = ["gamma", "K", "reference", "control_variate"]


@given(word=st.sampled_from(WORDS), change=st.sampled_from(["upper", "lower", "swapcase", "title"]))
def test_case_is_no_difference(word, change):
    assert nearest(getattr(word, change)(), WORDS) == word


@given(word=st.text(max_size=12), allowed=st.lists(st.text(min_size=1, max_size=12), max_size=5))
def test_only_an_allowed_word_is_proposed(word, allowed):
    near = nearest(word, allowed)
    assert near is None or near in allowed
    assert did_you_mean(word, allowed) == (f"; did you mean '{near}'?" if near else "")


def test_of_words_that_differ_in_case_the_first_is_proposed():
    assert nearest("k", ["K", "k"]) == "K"


def test_a_process_that_cannot_be_forked_is_what_the_machine_refused(monkeypatch):
    def fork(*args):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("subprocess._fork_exec", fork)
    monkeypatch.setattr("subprocess._USE_POSIX_SPAWN", False)
    with pytest.raises(BlockingIOError) as caught:
        subprocess.Popen([sys.executable, "-c", ""])
    assert "no further process or thread" in (refused_by_machine(caught.value) or "")


def test_a_full_pipe_is_no_process_that_could_not_be_started():
    """Both have the same number and words."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        os.write(writer, b"x" * (1 << 20))  # as much as goes in
        with pytest.raises(BlockingIOError) as caught:
            os.write(writer, b"x")
    finally:
        os.close(reader)
        os.close(writer)
    assert "temporarily unavailable" in str(caught.value)
    assert refused_by_machine(caught.value) is None
    assert refused_by_machine(BlockingIOError(errno.EAGAIN, "write could not complete without blocking")) is None


def test_the_limit_is_said_where_nothing_can_be_imported_any_more(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)  # importing it fails, as where memory has run out
    assert (refused_by_machine(MemoryError("no")) or "").startswith("out of memory (no)")


@pytest.mark.parametrize(("least", "short"), [(10**9 - 1, False), (10**9, False), (10**9 + 1, True)])
def test_room_to_load_is_what_the_limit_leaves(monkeypatch, least, short):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (10**9, resource.RLIM_INFINITY))
    assert (no_room_to_load(least) is not None) == short
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY,) * 2)
    assert no_room_to_load(least) is None
