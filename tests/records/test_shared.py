"""Numbers that runs have in common: computed once, and again where a file is not as it was written."""

from __future__ import annotations

import json
import math
import multiprocessing
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from neuroanp.records import lock
from neuroanp.records.shared import FOLDER, NAME, Number, shared

KEY = "0123456789abcdef"


def never() -> Number:
    raise AssertionError("it is there already")


def nobody() -> None:
    raise AssertionError("nobody holds it")


def test_a_number_is_computed_once_and_its_words_are_kept(tmp_path):
    first = shared(tmp_path, KEY, lambda: Number(0.1 + 0.2, "one", "said"), nobody)
    again = shared(tmp_path, KEY, never, nobody)
    assert again == first
    assert (again.value, again.run, again.note) == (0.1 + 0.2, "one", "said")
    assert shared(tmp_path, KEY[::-1], lambda: Number(3.0, "two"), nobody).run == "two"


def test_no_number_is_kept_too(tmp_path):
    shared(tmp_path, KEY, lambda: Number(math.nan, "one", "diverged"), nobody)
    again = shared(tmp_path, KEY, never, nobody)
    assert math.isnan(again.value)
    assert again.note == "diverged"


@pytest.mark.parametrize("damage", ["value", "key", "cut", "gone", "empty"])
def test_a_file_that_is_not_as_it_was_written_does_not_count(tmp_path, damage):
    shared(tmp_path, KEY, lambda: Number(1.0, "one"), nobody)
    path = tmp_path / FOLDER / KEY / NAME
    text = path.read_text()
    if damage in ("value", "key"):
        path.write_text(json.dumps({**json.loads(text), damage: 2.0}))
    elif damage == "gone":
        path.unlink()
    else:
        path.write_text(text[:20] if damage == "cut" else "{}")
    assert shared(tmp_path, KEY, lambda: Number(3.0, "two"), nobody).run == "two"
    assert shared(tmp_path, KEY, never, nobody).run == "two"


def test_one_of_another_key_does_not_count(tmp_path):
    shared(tmp_path, KEY, lambda: Number(1.0, "one"), nobody)
    (tmp_path / FOLDER / KEY).rename(tmp_path / FOLDER / KEY[::-1])
    assert shared(tmp_path, KEY[::-1], lambda: Number(2.0, "two"), nobody).run == "two"


def test_one_made_before_a_time_does_not_count(tmp_path):
    made = shared(tmp_path, KEY, lambda: Number(1.0, "one"), nobody).made
    assert shared(tmp_path, KEY, never, nobody, since=made).run == "one"
    assert shared(tmp_path, KEY, lambda: Number(2.0, "two"), nobody, since=made + 1e-3).run == "two"


def test_what_fails_leaves_nothing(tmp_path):
    with pytest.raises(AssertionError, match="already"):
        shared(tmp_path, KEY, never, nobody)
    assert shared(tmp_path, KEY, lambda: Number(2.0, "two"), nobody).run == "two"


def _ask(root: Path, name: str, done: Path) -> None:
    def compute() -> Number:
        with done.open("a") as file:
            file.write(name)
        time.sleep(0.5)
        return Number(4.0, name)

    assert shared(root, KEY, compute, lambda: time.sleep(0.01)).value == 4.0


def test_of_two_processes_one_computes_it_and_the_other_waits(tmp_path):
    fork = multiprocessing.get_context("fork")
    asking = [fork.Process(target=_ask, args=(tmp_path, name, tmp_path / "done")) for name in "ab"]
    for process in asking:
        process.start()
    for process in asking:
        process.join(60)
    assert [process.exitcode for process in asking] == [0, 0]
    assert (tmp_path / "done").read_text() in ("a", "b")


def test_one_that_was_written_just_before_we_held_the_lock_is_taken(tmp_path, monkeypatch):
    held = lock.held

    @contextmanager
    def late(folder):
        monkeypatch.setattr(lock, "held", held)
        shared(tmp_path, KEY, lambda: Number(1.0, "quicker"), nobody)
        with held(folder):
            yield

    monkeypatch.setattr(lock, "held", late)
    assert shared(tmp_path, KEY, never, nobody).run == "quicker"


def test_who_waits_may_stop(tmp_path):
    folder = tmp_path / FOLDER / KEY
    folder.mkdir(parents=True)

    def stopped() -> None:
        raise KeyboardInterrupt

    with lock.held(folder), pytest.raises(KeyboardInterrupt):
        shared(tmp_path, KEY, never, stopped)
