"""A task from data in memory: arrays of sequences, arrays of rows, a data frame."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from hashlib import sha256
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from neuroanp.api.run import Anywhere
from neuroanp.errors import InputError, all_of
from neuroanp.noise import Streams
from neuroanp.records.atomic import said, write_bytes
from neuroanp.records.places import check_root
from neuroanp.tasks.arrays import NAMES, digest_of, problems_of
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.arguments import names, path_of, switch, whole
from neuroanp.training.presented import as_numbers
from neuroanp.yaml_io import display

if TYPE_CHECKING:
    from neuroanp.tasks.protocol import Batch, Task

FOLDER = "data"
"""The folder of a store that data in memory are written to."""
MOST_BYTES = 256 << 20
"""Of a table as text: what the reader of tables takes."""
OF_ARRAYS = ("Y", "X_test", "Y_test", "test", "mask", "washout", "labels", "split_seed", "loss")
OF_TABLES = (
    "columns", "time", "missing", "fill", "horizon", "window", "washout", "split", "split_seed", "scale", "rows",
    "labels", "loss",
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class OwnTask(Mapping[str, Any]):
    """A task from one's own data: the section `task` of a configuration, which names the file that they lie in.

    Args:
        section: name, path and options. made: the task itself.

    >>> from tempfile import TemporaryDirectory
    >>> X = np.random.default_rng(0).uniform(-1, 1, size=(10, 40, 2))
    >>> with TemporaryDirectory() as folder:
    ...     sums = task(X, X.sum(axis=2), runs=folder)
    ...     one, place = sums.test(), sums.path.relative_to(folder)
    >>> sums["name"], str(place) == f"data/{sums.sha256[:16]}.safetensors"
    ('arrays', True)
    >>> np.allclose(one.targets[..., 0], one.inputs.sum(axis=2)), sums.account[0].partition(": ")[2]
    (True, '34 training and 6 test sequences of 10 steps, 2 inputs, 1 outputs')
    """

    section: Mapping[str, Any]
    made: Task = field(compare=False)

    def __getitem__(self, key: str) -> Any:
        return self.section[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.section)

    def __len__(self) -> int:
        return len(self.section)

    @property
    def path(self) -> Path:
        """The file that the data lie in, which runs name."""
        return Path(self.section["path"])

    @property
    def sha256(self) -> str:
        """64 hex digits of the data, which every run's identity contains."""
        return self.made.fingerprint()

    @property
    def account(self) -> list[str]:
        """What was taken of the data and what was left out, a line each."""
        return list(self.made.account())

    def test(self) -> Batch:
        """Return the test sequences: inputs (T, B, I), targets (T, B, O), mask (T,)."""
        return self.made.test(Streams(0).generator("test"))

    def __repr__(self) -> str:
        task = self.made
        sizes = f"{task.inputs} inputs, {task.outputs} outputs, {task.steps} steps a sequence"
        return f"Task({self.section['name']}: {sizes}; {self.path})"

    def _repr_html_(self) -> str:
        from neuroanp.markup import lines

        return lines([repr(self), repr(self.test()), *self.account])


def task(X: Any, Y: Any = None, *, target: Any = None, runs: Anywhere = "runs", **options: Any) -> OwnTask:
    """Make a task of data in memory: sequences, rows in time, rows apart, or a data frame.

    What is given decides what it is:

    - X (T, B, I): B sequences of T steps, numbers that the network gets as they are. Y: numbers (T, B, O) or (T, B);
      or one number or label for each sequence, (B,), told at its last step. See the task `arrays`.
    - X (R, I): R rows. Y: (R,) or (R, O) numbers, or labels; None: the rows are forecast themselves. The columns are
      x0, x1, ... and y0, ...; see the task `table`, whose options these are, and which scales them.
    - X a data frame of pandas, target: names of its columns; as the task `table` reads a file.

    The data are written to RUNS/data/HASH.safetensors or .csv, once: runs name that file, workers read it, and it must
    stay. Its content is part of every run's identity: resume and evaluate refuse other data. Nothing is pickled.

    Args:
        X, Y, target: the data, and what is to be told of them.
        runs: the store.
        **options: of sequences: X_test, Y_test (same shapes but for B), or test, the share of the sequences (0.15) that
            `split_seed` (0) draws for the test part; mask (T,) 1 where a step is scored, or washout, the first steps
            that are not (0; of one target a sequence all but the last); labels, whether Y are classes (words are).
            Of rows and frames: the options of the task `table`: rows, horizon, window, washout, split, scale, ...
            Of both: loss.

    Returns: what `train`, `compare`, `configure` and the others take as their `task`; it shows what was taken.

    Raises:
        InputError: all that is wrong with the data, or the store cannot be written to.

    >>> from tempfile import TemporaryDirectory
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(10, 40, 2))
    >>> with TemporaryDirectory() as folder:
    ...     sums = task(X, X.sum(axis=2), runs=folder)
    ...     signs = task(X, np.where(X[0, :, 0] > 0, "up", "down"), runs=folder)
    ...     rows = task(X[0], X[0] @ [1.0, -1.0], rows="apart", window=4, washout=2, runs=folder)
    >>> sums.test()
    Batch(6 sequences of 10 steps, 2 inputs, 1 outputs, 10 steps scored)
    >>> signs.test(), signs["classes"]
    (Batch(6 sequences of 10 steps, 2 inputs, 2 outputs, 1 steps scored), ['down', 'up'])
    >>> rows.test()
    Batch(6 sequences of 4 steps, 2 inputs, 1 outputs, 2 steps scored)
    """
    root = path_of("runs", runs)
    if _is_frame(X):
        return _of_frame(X, Y, target, root, options)
    if isinstance(X, str | PathLike):
        place = cast("str | PathLike[str]", X)
        raise InputError(
            f"X: a path; of a file make the section task={{'name': 'table', 'path': {str(place)!r:.80}, 'target': ...}}"
        )
    if target is not None:
        raise InputError("target: names a column of a data frame; of arrays give Y")
    values = as_numbers(X, "X", "(T, B, I) or (R, I)")
    if values.ndim == 3:
        return _of_sequences(values, Y, root, options)
    if values.ndim != 2 or not values.size:
        raise InputError(f"X: shape {values.shape}; give (T, B, I), steps, sequences, values, or (R, I), rows")
    return _of_rows(values, Y, root, options)


def _known(options: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    unknown = [repr(key) for key in options if key not in known]
    if unknown:
        raise InputError(f"{', '.join(unknown)}: no option of {what} (known: {', '.join(known)})")


def _is_frame(X: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(X, pandas.DataFrame)


def _of_sequences(X: np.ndarray, Y: Any, root: Path, options: Mapping[str, Any]) -> OwnTask:
    _known(options, OF_ARRAYS[1:], "sequences")
    if Y is None:
        raise InputError("Y: sequences need targets; give (T, B, O), (T, B) or (B,)")
    given = dict(options)
    labels = None if given.get("labels") is None else switch("labels", given["labels"])
    y, classes, single = _targets(Y, X.shape, labels, "Y")
    has_test = [name for name in ("X_test", "Y_test") if given.get(name) is not None]
    if len(has_test) == 1:
        raise InputError(f"{has_test[0]}: goes with the other; give X_test and Y_test, or neither")
    if has_test:
        u = as_numbers(given["X_test"], "X_test", "(T, B, I)")
        if u.ndim != 3:
            raise InputError(f"X_test: shape {u.shape}; give (T, B, I) as X")
        test = (u, _targets(given["Y_test"], u.shape, labels, "Y_test", classes)[0])
        train = (X, y)
    else:
        split = _split(X.shape[1], given.get("test", 0.15), given.get("split_seed", 0))
        test, train = ((X[:, which], y[:, which]) for which in split)
    arrays = dict(zip(NAMES, (*train, *test, _mask(len(X), given, single)), strict=True))
    arrays = {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in arrays.items()}
    if problems := problems_of(arrays):
        raise InputError("X, Y: no sequences to learn", problems)
    from safetensors.numpy import save

    section: dict[str, Any] = {"name": "arrays"} | ({} if classes is None else {"classes": classes})
    section |= {"loss": given["loss"]} if "loss" in given else {}
    return _made(root, section, save(arrays), digest_of(arrays), ".safetensors")


def _targets(
    Y: Any, shape: tuple[int, ...], labels: bool | None, what: str, classes: list[str] | None = None
) -> tuple[np.ndarray, list[str] | None, bool]:
    """Return targets (T, B, O), the names of classes or None, and whether there is one for each sequence."""
    T, B = shape[:2]
    y = _as_given(Y, what)
    words = y.dtype.kind in "US" or (y.dtype.kind == "O" and all(isinstance(one, str) for one in y.ravel()))
    single = y.shape == (B,)
    if labels is None and not words and single and y.dtype.kind in "biu":
        raise InputError(f"{what}: whole numbers, one a sequence: say whether they name classes, labels=True or False")
    if not (single or y.shape[:2] == (T, B)) or y.ndim > 3:
        raise InputError(f"{what}: shape {y.shape}, and X is {shape}; give {(T, B)} and values, {(T, B)} or {(B,)}")
    if words or labels:
        if y.ndim == 3:
            raise InputError(f"{what}: shape {y.shape}: one label a step, {(T, B)}, or a sequence, {(B,)}")
        told: list[Any] = y.ravel().tolist()
        if missing := sum(one is None or one != one for one in told):  # NaN is no number, not even itself
            raise InputError(f"{what}: {missing} labels are missing; leave out what has none")
        found = np.array([str(one) for one in told]).reshape(y.shape)
        names = classes or sorted(set(found.ravel().tolist()), key=_in_order)
        absent = sorted(set(found.ravel().tolist()) - set(names))
        if absent or len(names) < 2:
            lacking = f"{', '.join(absent[:5])}: in no label of Y" if absent else "one label: there is nothing to learn"
            raise InputError(f"{what}: {lacking}")
        place = {name: k for k, name in enumerate(names)}
        one_hot = np.eye(len(names))[np.vectorize(place.__getitem__)(found)]
        return np.broadcast_to(one_hot, (T, B, len(names))), names, single
    numbers = as_numbers(y, what, "(T, B, O), (T, B) or (B,)")
    whole_shape = numbers if numbers.ndim == 3 else numbers[..., None]
    return np.broadcast_to(whole_shape, (T, B, whole_shape.shape[-1])), None, single


def _as_given(Y: Any, what: str) -> np.ndarray:
    """Return targets as an array of whatever they are, numbers or labels."""
    if _is_series(Y):
        return Y.to_numpy()
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(Y, torch.Tensor):
        return Y.detach().cpu().numpy()
    try:
        return np.asarray(Y)
    except ValueError:
        raise InputError(f"{what}: its parts differ in length; give one target, or row of targets, for each") from None


def _in_order(label: str) -> tuple[bool, float, str]:
    """Return what labels are sorted by: numbers first, by size.

    >>> sorted(["b", "10", "nan", "9"], key=_in_order)
    ['9', '10', 'b', 'nan']
    """
    with suppress(ValueError):
        if isfinite(number := float(label)):
            return False, number, label
    return True, 0.0, label


def _is_series(Y: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(Y, pandas.Series | pandas.DataFrame)


def _mask(T: int, given: Mapping[str, Any], single: bool) -> np.ndarray:
    if given.get("mask") is not None:
        if given.get("washout") is not None:
            raise InputError("mask, washout: both say which steps are scored; give one")
        return as_numbers(given["mask"], "mask", "(T,)")
    usual = T - 1 if single else 0
    washout = usual if given.get("washout") is None else whole("washout", given["washout"], 0, T - 1)
    return (np.arange(T) >= washout).astype(float)


def _split(B: int, share: Any, seed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return which sequences are of the test part, and which of training; in their own order."""
    if isinstance(share, bool) or not isinstance(share, int | float | np.number) or not 0 < share < 1:
        raise InputError(f"test: {share!r:.40} is no share of the sequences; give a number between 0 and 1")
    part = float(cast("float", share))
    size = round(B * part)
    if not 0 < size < B:
        raise InputError(f"test: {part:g} of {B} sequences leaves none to learn from or to test; give X_test")
    order = Streams(whole("split_seed", seed, 0)).generator("arrays").permutation(B)
    return np.sort(order[:size]), np.sort(order[size:])


def _of_rows(X: np.ndarray, Y: Any, root: Path, options: Mapping[str, Any]) -> OwnTask:
    _known(options, OF_TABLES, "rows")
    if Y is None and options.get("rows") == "apart":
        raise InputError("Y: rows apart need targets; give (R,) or (R, O), or rows='time' for a forecast of X")
    columns = {f"x{k}": x.tolist() for k, x in enumerate(X.T)}
    told: dict[str, list[Any]] = {}
    if Y is not None:
        y = _as_given(Y, "Y")
        if y.ndim not in (1, 2) or len(y) != len(X):
            raise InputError(f"Y: shape {y.shape}, and X has {len(X)} rows; give (R,) or (R, O)")
        if y.dtype.kind in "biu" and y.ndim == 1 and options.get("labels") is None:
            raise InputError("Y: whole numbers: say whether they name classes, labels=True or False")
        told = {f"y{k}": column.tolist() for k, column in enumerate(y.reshape(len(y), -1).T)}
    names = list(told or columns)
    usual: dict[str, Any] = {"columns": list(columns), "missing": ()}
    if told and options.get("rows", "time") == "time":
        usual["horizon"] = 0
    return _of_table({**columns, **told}, names, root, {**usual, **options})


def _of_frame(frame: Any, Y: Any, target: Any, root: Path, options: Mapping[str, Any]) -> OwnTask:
    _known(options, OF_TABLES, "a data frame")
    if Y is not None:
        raise InputError("Y: a data frame holds its targets; name their columns: target='load'")
    if target is None:
        raise InputError(
            f"target: name a column to forecast or to tell (columns: {', '.join(map(str, frame.columns))})"
        )
    wrong = [repr(name) for name in frame.columns if not isinstance(name, str) or not name.strip()]
    if wrong or len(set(frame.columns)) < len(frame.columns):
        raise InputError(f"X: columns need names, each its own, as text{': ' + ', '.join(wrong[:5]) if wrong else ''}")
    if options.get("rows", "time") == "time" and type(frame.index).__name__ in ("DatetimeIndex", "PeriodIndex"):
        raise InputError("X: its times are its index, which is no column; give X.reset_index(), and time='NAME' of it")
    columns = {name: frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame.columns}
    return _of_table(columns, names("target", target), root, options)


def _of_table(columns: Mapping[str, list[Any]], told: list[str], root: Path, options: Mapping[str, Any]) -> OwnTask:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    cells = all_of(*(partial(_cells, name, column) for name, column in columns.items()))
    writer.writerows(zip(*cells, strict=True))
    data = text.getvalue().encode()
    if len(data) > MOST_BYTES:
        raise InputError(f"X: {len(data) >> 20} MiB as a table, at most {MOST_BYTES >> 20}; give fewer rows or columns")
    target = told[0] if len(told) == 1 else told
    section = {"name": "table", "target": target, **options}
    return _made(root, section, data, sha256(data).hexdigest(), ".csv")


def _cells(name: str, column: list[Any]) -> list[str]:
    """Return the cells of a column as text: numbers with all their digits, nothing where there is none."""
    cells: list[str] = []
    for row, given in enumerate(column):
        value = cast("Any", given).item() if isinstance(given, np.bool_ | np.integer | np.floating) else given
        if value is None or (isinstance(value, float) and value != value):
            cells.append("")
        elif isinstance(value, bool):
            cells.append(str(int(value)))
        elif isinstance(value, int | float) and abs(value) < float("inf"):
            cells.append(repr(value))
        elif isinstance(value, datetime | date):
            cells.append(value.isoformat())
        elif isinstance(value, str):
            cells.append(value)
        else:
            raise InputError(f"{name}: row {row}: {value!r:.60} is no finite number, word or time")
    return cells


def _made(root: Path, options: Mapping[str, Any], data: bytes, digest: str, ending: str) -> OwnTask:
    """Write data into the store, and return the task of them; InputError tells of all that is wrong, and none stay."""
    path = root / FOLDER / f"{digest[:16]}{ending}"
    section = {"name": options["name"], "path": str(path), **options}
    new: list[Path] = []
    with said(path):
        there = path.is_file() and path.read_bytes() == data
        if not there:
            check_root(root)
            new = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, data)
    try:
        return OwnTask(section, _task_of(section))
    except InputError as error:
        if not there:
            path.unlink()
            for folder in new:  # those that were made for it; another process may have put something there
                with suppress(OSError):
                    folder.rmdir()
        raise _told(error, display(path)) from None


def _task_of(section: Mapping[str, Any]) -> Task:
    from neuroanp.training.configure import configure

    config = configure({"task": dict(section)})
    return TASKS.get(config.task_name)(config.task)


def _told(error: InputError, label: str) -> InputError:
    """Return an error about a written table as one about the data in memory: rows from 0 in the place of lines."""

    def said(text: str) -> str:
        text = re.sub(rf"{re.escape(label)}:(\d+)", lambda found: _row(int(found[1])), text).replace(label, "X")
        return text.removeprefix("the configuration: ").removeprefix("configuration: ").removeprefix("task.")

    return InputError(f"{said(error.message)}; no task was made", [said(line) for line in error.problems])


def _row(line: int) -> str:
    return "X" if line < 2 else f"X, row {line - 2}"
