"""Data in memory that `na.task` cannot make a task of."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false
# Wrong types are what is tried here.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import neuroanp as na
from benchmarks.wrong_inputs.case import Case

X = np.random.default_rng(0).uniform(-1, 1, size=(5, 20, 2))
Y = X.sum(axis=2)
ROWS = np.random.default_rng(1).uniform(-1, 1, size=(80, 2))


def frame(**columns: Any) -> Any:
    """Return a data frame of 80 rows, with some columns of its own."""
    import pandas

    return pandas.DataFrame({"a": ROWS[:, 0], "b": ROWS[:, 1], **columns})


def put(array: np.ndarray, value: Any) -> np.ndarray:
    """Return a copy with another value at its first place."""
    found = array.astype(complex) if isinstance(value, complex) else array.copy()
    found.flat[0] = value
    return found


def _wide(words: list[Any]) -> Any:
    import pandas

    return pandas.DataFrame(ROWS, columns=words)


def _data(what: str, call: Callable[[], object], *said: str) -> Case:
    return Case("data in memory", f"na.task: {what}", call, said)


CASES = [
    _data(
        "one dimension",
        lambda: na.task(ROWS[:, 0]),
        "X: shape (80,); give (T, B, I), steps, sequences, values, or (R, I), rows",
    ),
    _data(
        "four dimensions",
        lambda: na.task(np.zeros((2, 2, 2, 2)), Y),
        "X: shape (2, 2, 2, 2); give (T, B, I), steps, sequences, values, or (R, I), rows",
    ),
    _data(
        "no dimension",
        lambda: na.task(3.0, Y),
        "X: shape (); give (T, B, I), steps, sequences, values, or (R, I), rows",
    ),
    _data("None", lambda: na.task(None, Y), "X: None is no table of numbers; give an array (T, B, I) or (R, I)"),
    _data(
        "a path",
        lambda: na.task("good.csv"),
        "X: a path; of a file make the section task={'name': 'table', 'path': 'good.csv', 'target': ...}",
    ),
    _data(
        "ragged rows",
        lambda: na.task([[1.0, 2.0], [3.0]], [1.0, 2.0]),
        "X: no table of numbers (its parts differ in length); give an array (T, B, I) or (R, I)",
    ),
    _data(
        "dtype object",
        lambda: na.task(np.array([[{}, 2.0]] * 80, dtype=object)),
        "X: Python objects are no table of numbers; give an array (T, B, I) or (R, I) of floats",
    ),
    _data(
        "complex numbers",
        lambda: na.task(put(X, 1j), Y),
        "X: complex numbers are no real numbers; give an array (T, B, I) or (R, I) of them",
    ),
    _data(
        "complex targets",
        lambda: na.task(X, put(Y, 1j)),
        "Y: complex numbers are no real numbers; give an array (T, B, O), (T, B) or (B,) of them",
    ),
    _data(
        "words",
        lambda: na.task(np.full((80, 2), "x")),
        "X: words are no real numbers; give an array (T, B, I) or (R, I) of them",
    ),
    _data(
        "dates",
        lambda: na.task(np.full((80, 2), np.datetime64("2026-01-01"))),
        "X: dates are no real numbers; give an array (T, B, I) or (R, I) of them",
    ),
    _data(
        "NaN in X",
        lambda: na.task(put(X, np.nan), Y),
        "X, Y: no sequences to learn train/inputs: numbers that are not finite",
    ),
    _data(
        "NaN in Y",
        lambda: na.task(X, put(Y, np.nan)),
        "X, Y: no sequences to learn train/targets: numbers that are not finite",
    ),
    _data(
        "infinity in rows",
        lambda: na.task(put(ROWS, np.inf), window=4, washout=2),
        "x0: row 0: inf is no finite number, word or time",
    ),
    _data(
        "NaN in rows",
        lambda: na.task(put(ROWS, np.nan), window=4, washout=2),
        "X has 1 problem; no task was made X, row 0: x0: 1 value missing; no",
    ),
    _data(
        "NaN in row targets",
        lambda: na.task(ROWS, put(ROWS[:, 0], np.nan), window=4, washout=2),
        "X has 1 problem; no task was made X, row 0: y0: 1 value missing; no",
    ),
    _data(
        "numbers beyond float64",
        lambda: na.task([[10**400, 1]] * 80, window=4, washout=2),
        "X: Python objects are no table of numbers; give an array (T, B, I) or (R, I) of floats",
    ),
    _data(
        "no sequence",
        lambda: na.task(X[:, :0], Y[:, :0]),
        "test: 0.15 of 0 sequences leaves none to learn from or to test; give X_test",
    ),
    _data(
        "no step",
        lambda: na.task(X[:0], Y[:0]),
        "X, Y: no sequences to learn train: no sequence, step or value in it",
        "is scored, 0 elsewhere, and some step must be",
    ),
    _data(
        "no input",
        lambda: na.task(X[..., :0], Y),
        "X, Y: no sequences to learn train: no sequence, step or value in it",
    ),
    _data(
        "no row",
        lambda: na.task(ROWS[:0]),
        "X: shape (0, 2); give (T, B, I), steps, sequences, values, or (R, I), rows",
    ),
    _data(
        "no column",
        lambda: na.task(ROWS[:, :0]),
        "X: shape (80, 0); give (T, B, I), steps, sequences, values, or (R, I), rows",
    ),
    _data(
        "one row",
        lambda: na.task(ROWS[:1]),
        "X has 1 problem; no task was made X: 1 rows, split at 0, are too few:",
        "needed; lower window or horizon, or move split",
    ),
    _data(
        "one sequence",
        lambda: na.task(X[:, :1], Y[:, :1]),
        "test: 0.15 of 1 sequences leaves none to learn from or to test; give X_test",
    ),
    _data(
        "targets of other length",
        lambda: na.task(X, Y[:4]),
        "Y: shape (4, 20), and X is (5, 20, 2); give (5, 20) and values, (5, 20) or (20,)",
    ),
    _data(
        "targets of other rows",
        lambda: na.task(ROWS, ROWS[:40, 0]),
        "Y: shape (40,), and X has 80 rows; give (R,) or (R, O)",
    ),
    _data(
        "targets with sequences first",
        lambda: na.task(X, Y.T),
        "Y: shape (20, 5), and X is (5, 20, 2); give (5, 20) and values, (5, 20) or (20,)",
    ),
    _data(
        "ragged targets",
        lambda: na.task(X, [[1.0], [2.0, 3.0]]),
        "Y: its parts differ in length; give one target, or row of targets, for each",
    ),
    _data(
        "object targets",
        lambda: na.task(X, [None] * 20),
        "Y: Python objects are no table of numbers; give an array (T, B, O), (T, B) or (B,) of floats",
    ),
    _data(
        "mixed labels",
        lambda: na.task(X, ["a"] * 19 + [3]),
        "X, Y: no sequences to learn test/targets: constant where they are scored: there is nothing to learn",
    ),
    _data("labels=2", lambda: na.task(X, np.arange(20) % 2, labels=2), "labels: 2 (int) is neither True nor False"),
    _data(
        "labels='yes'",
        lambda: na.task(X, np.arange(20) % 2, labels="yes"),
        "labels: 'yes' (str) is neither True nor False",
    ),
    _data("one label", lambda: na.task(X, ["a"] * 20), "Y: one label: there is nothing to learn"),
    _data(
        "test=1.5",
        lambda: na.task(X, Y, test=1.5),
        "test: 1.5 is no share of the sequences; give a number between 0 and 1",
    ),
    _data(
        "test='half'",
        lambda: na.task(X, Y, test="half"),
        "test: 'half' is no share of the sequences; give a number between 0 and 1",
    ),
    _data(
        "test=nan",
        lambda: na.task(X, Y, test=float("nan")),
        "test: nan is no share of the sequences; give a number between 0 and 1",
    ),
    _data(
        "X_test without Y_test",
        lambda: na.task(X, Y, X_test=X),
        "X_test: goes with the other; give X_test and Y_test, or neither",
    ),
    _data(
        "X_test of other width",
        lambda: na.task(X, Y, X_test=X[..., :1], Y_test=Y),
        "X, Y: no sequences to learn inputs: 1 and 2 values a step in the two parts",
    ),
    _data(
        "X_test of other steps",
        lambda: na.task(X, Y, X_test=X[:3], Y_test=Y[:3]),
        "X, Y: no sequences to learn test: 3 steps, and the mask is (5,)",
    ),
    _data(
        "mask of other length",
        lambda: na.task(X, Y, mask=np.ones(4)),
        "X, Y: no sequences to learn train: 5 steps, and the mask is (4,) test: 5 steps, and the mask is (4,)",
    ),
    _data(
        "mask of halves",
        lambda: na.task(X, Y, mask=np.full(5, 0.5)),
        "X, Y: no sequences to learn mask: 1 where a step is scored, 0 elsewhere, and some step must be",
    ),
    _data(
        "mask of zeros",
        lambda: na.task(X, Y, mask=np.zeros(5)),
        "X, Y: no sequences to learn mask: 1 where a step is scored, 0 elsewhere, and some step must be",
    ),
    _data("washout of all", lambda: na.task(X, Y, washout=5), "washout: 5 (int) is not a whole number from 0 to 4"),
    _data(
        "washout of arrays beside mask",
        lambda: na.task(X, Y, washout=1, mask=np.ones(5)),
        "mask, washout: both say which steps are scored; give one",
    ),
    _data("an option of rows", lambda: na.task(X, Y, horizon=3), "'horizon': no option of sequences"),
    _data("an option mistyped", lambda: na.task(ROWS, windw=4), "'windw': no option of rows"),
    _data(
        "target= of arrays",
        lambda: na.task(ROWS, target="a"),
        "target: names a column of a data frame; of arrays give Y",
    ),
    _data(
        "window='wide'",
        lambda: na.task(ROWS, window="wide"),
        "configuration has 1 problem; no task was made window: 'wide' is not a whole number",
    ),
    _data(
        "loss unknown",
        lambda: na.task(X, Y, loss="mean"),
        "configuration has 1 problem; no task was made loss: unknown loss 'mean'",
    ),
    _data(
        "runs is a file",
        lambda: na.task(X, Y, runs="a_file"),
        "a_file: cannot be written to: a_file is no directory; choose another --runs DIR",
    ),
    _data("runs=None", lambda: na.task(X, Y, runs=None), "runs: None is no path; pass text or a pathlib.Path"),
    _data(
        "constant targets",
        lambda: na.task(X, Y * 0),
        "X, Y: no sequences to learn test/targets: constant where they are scored: there is nothing to learn",
    ),
    _data("a frame without target", lambda: na.task(frame()), "target: name a column to forecast or to tell"),
    _data(
        "a frame with Y",
        lambda: na.task(frame(), Y),
        "Y: a data frame holds its targets; name their columns: target='load'",
    ),
    _data(
        "a frame, target mistyped",
        lambda: na.task(frame(), target="aa"),
        "X has 2 problems; no task was made X: no column 'aa'; did you mean 'a'?",
    ),
    _data(
        "a frame, target is a number",
        lambda: na.task(frame(), target=3),
        "target: 3 (int) is not a name, or a list of names",
    ),
    _data(
        "a frame, names twice",
        lambda: na.task(_wide(["a", "a"]), target="a"),
        "X: columns need names, each its own, as text",
    ),
    _data(
        "a frame, names are numbers",
        lambda: na.task(_wide([0, 1]), target="0"),
        "X: columns need names, each its own, as text: 0, 1",
    ),
    _data(
        "a frame, lists in a column",
        lambda: na.task(frame(c=[[1, 2]] * 80), target="a"),
        "c: row 0: [1, 2] is no finite number, word or time",
    ),
    _data(
        "a frame, complex numbers",
        lambda: na.task(frame(c=[1j] * 80), target="a"),
        "c: row 0: 1j is no finite number, word or time",
    ),
    _data(
        "a frame, infinity",
        lambda: na.task(frame(c=[np.inf] * 80), target="a"),
        "c: row 0: inf is no finite number, word or time",
    ),
    _data(
        "a frame of no row", lambda: na.task(frame().iloc[:0], target="a"), "X: a header and no rows; no task was made"
    ),
    _data(
        "a frame, time= no column",
        lambda: na.task(frame(), target="a", time="when"),
        "X has 2 problems; no task was made X: no column 'when'",
    ),
    _data(
        "a dict",
        lambda: na.task({"a": ROWS[:, 0]}, target="a"),
        "target: names a column of a data frame; of arrays give Y",
    ),
    _data(
        "a series",
        lambda: na.task(frame()["a"], target="a"),
        "target: names a column of a data frame; of arrays give Y",
    ),
]
