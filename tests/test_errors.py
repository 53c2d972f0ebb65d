"""Errors a user can act on."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.errors import DivergedError, InputError, NeuroanpError, RunError, did_you_mean, nearest, printable


@pytest.mark.parametrize(("kind", "code"), [(NeuroanpError, 1), (RunError, 1), (DivergedError, 1), (InputError, 2)])
def test_exit_codes(kind, code):
    assert kind("why").exit_code == code
    assert isinstance(kind("why"), NeuroanpError)


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
