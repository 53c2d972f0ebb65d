"""Anyone's table: forecast its columns, or tell what its rows say, numbers or labels."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
from pydantic import BaseModel

from neuroanp.errors import InputError
from neuroanp.losses import mean_loss
from neuroanp.noise import Streams
from neuroanp.tables import Sheet, read_sheet
from neuroanp.tables.truths import with_truths
from neuroanp.tasks.cut import Cases, Cut
from neuroanp.tasks.labels import Labels, holds_words, label_scores, may_be_classes, read_labels
from neuroanp.tasks.own_table import (
    first_tested,
    gapless,
    gaps_told,
    inputs_of,
    new_rows,
    opened,
    rows_of_file,
    too_short,
)
from neuroanp.tasks.protocol import Batch, Held, HoldsOut, Rows, Task
from neuroanp.tasks.scoring import nrmse, squared_error
from neuroanp.tasks.table import Table, raise_problems
from neuroanp.tasks.table_config import TableConfig
from neuroanp.tasks.windows import ranges


@dataclass(frozen=True)
class Taken:
    """What a task takes of a table.

    Args:
        table: numbers of inputs, of targets that are none, and codes of labels, in this order; nothing is missing.
        inputs: how many columns are inputs. targets: names of the target columns. labels: None: targets are numbers.
        ahead: rows from an input to its target.
    """

    table: Table
    inputs: int
    targets: tuple[str, ...]
    labels: Labels | None
    ahead: int


class AnyTable(HoldsOut):
    """Forecast columns of a table, or tell what each of its rows says: numbers or labels.

    Rows in time (`rows: time`): sequences are windows of rows, and target_t is what row t + horizon says. Of numbers
    horizon is 1 where nothing is said, and the targets are inputs too; with horizon 0 they are not, and the network
    tells them from the other columns. Of labels it is 0. The test part is the end of the table; no training target lies
    in it.

    Rows apart: each is held before the network for all steps of a sequence; `split_seed` alone decides which rows are
    the test part. Those with missing values are left out, which is told.

    Numbers are scaled by the training part alone; columns of true and false are numbers, 1 and 0. Labels are one output
    a class, one-hot. The file is read by the
    reader of all tables here: CSV of any separator and decimal mark, or Parquet (the extra `parquet`). What was taken,
    left out and filled is told; what looks like a code for missing values is refused until `missing` says what it is.

    Args:
        options: the task's options.

    Raises:
        InputError: the table is missing, malformed, constant or too short; with file and line.

    >>> from tempfile import TemporaryDirectory
    >>> rows = [f"{0.1 * (k % 7)},{0.3 * (k % 5)},{'on' if k % 2 else 'off'}" for k in range(60)]
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "plant.csv")
    ...     _ = path.write_text("\\n".join(["a,b,state", *rows]))
    ...     forecast = AnyTable(TableConfig(path=path, target="a", window=8, washout=4))
    ...     named = AnyTable(TableConfig(path=path, target="state", rows="apart", window=4, washout=2))
    >>> forecast.test(np.random.default_rng(0)), forecast.columns
    (Batch(2 sequences of 8 steps, 2 inputs, 1 outputs, 4 steps scored), ('a', 'b'))
    >>> named.test(np.random.default_rng(0)), named.named
    (Batch(9 sequences of 4 steps, 2 inputs, 2 outputs, 2 steps scored), ('off', 'on'))
    """

    config: ClassVar[type[BaseModel]] = TableConfig
    name = "table"

    def __init__(self, options: TableConfig) -> None:
        self.options, self.loss = options, options.made_loss()
        if options.path is None or not options.targets:
            said = {"path, a CSV or Parquet file": options.path, "target, the name of a column": options.target}
            lacking = [f"set task.{key}" for key, value in said.items() if value is None]
            raise InputError("task table needs a table of yours", lacking)
        taken = taken_of(with_truths(opened(options.path)), options)
        table, self._labels, self.ahead = taken.table, taken.labels, taken.ahead
        self._sha256, self._step = table.sha256, table.step
        apart, split = options.rows == "apart", first_tested(len(table), options.split)
        values = table.values
        if apart:
            values = values[Streams(options.split_seed).generator("table").permutation(len(values))]
        self.columns, self.inputs, self.steps = table.columns[: taken.inputs], taken.inputs, options.window
        numbers = len(table.columns) - (taken.labels is not None)
        own = () if taken.labels is not None else taken.targets
        self._low, self._span = ranges(replace(table, values=values), numbers, split, own)
        if options.scale == "standard":
            self._low, self._span = values[:split, :numbers].mean(axis=0), values[:split, :numbers].std(axis=0)
        scaled = (values[:, :numbers] - self._low) / self._span
        learned = scaled[:split, : self.inputs]
        self._reach = learned.min(axis=0), learned.max(axis=0)
        self._at = [table.columns.index(name) for name in own]
        self.named = taken.labels.classes if taken.labels else own
        self.target = ", ".join(taken.targets)
        self.outputs, self.forecast = len(self.named), taken.labels is None and self.ahead > 0
        told = taken.labels.one_hot(values[:, -1]) if taken.labels else scaled[:, self._at]
        _check_told(table, taken, told, split)
        self._account = (*table.account, *_of_classes(taken.labels, told, split))
        self._cut = (Cases if apart else Cut)(options, scaled[:, : self.inputs], told, split, self.ahead)

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` training sequences."""
        return self._cut.sample(rng, batch)

    def test(self, rng: np.random.Generator) -> Batch:
        """Return the sequences of the test part; nothing is drawn."""
        return self._cut.test(rng)

    @property
    def spare(self) -> int:
        """How many validation sequences there can be, with half of the training rows left to learn from."""
        return self._cut.spare

    def hold_out(self, size: int) -> Held:
        """Keep the last training rows: in time those before the test part. Scales stay those of all training rows."""
        held, rest = self._cut.hold_out(size), copy(self)
        rest._learn_from(cast("Cut", held.rest))
        return Held(cast("Task", rest), held.batch, held.where)

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return of labels `accuracy` and `loss`; of numbers `nrmse`, `skill`, `rmse` and `loss`.

        accuracy is the share of scored steps at which the largest output is that of the class. skill = 1 - E /
        E_persistence of squared errors, of forecasts alone; rmse is in the unit of its column, one for each target.
        """
        if self._labels is not None:
            return label_scores(y, batch, self.loss)
        scores = {"nrmse": nrmse(y, batch)}
        if self.forecast and (still := squared_error(self._present(batch), batch)) > 0.0:
            scores["skill"] = 1.0 - squared_error(y, batch) / still
        for k, name in enumerate(self.named):
            one = replace(batch, targets=batch.targets[..., k : k + 1])
            error = np.sqrt(squared_error(y[..., k : k + 1], one)) * self._span[self._at[k]]
            scores["rmse" if len(self.named) == 1 else f"rmse {name}"] = float(error)
        return {**scores, "loss": mean_loss(self.loss, y, batch)}

    def persistence(self, batch: Batch) -> np.ndarray | None:
        """Return the present values of the target columns, (T, B, O); None where nothing is forecast."""
        return self._present(batch) if self.forecast else None

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file."""
        return self._sha256

    def account(self) -> Sequence[str]:
        """Return what was taken of the file and what was left, a line each."""
        return self._account

    @property
    def table(self) -> AnyTable:
        """Itself: its inputs are columns of a table."""
        return self

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return values (R, I) of the columns, in their units, as inputs: (R, I), or (window, R, I) of rows apart."""
        found = (values - self._low[: self.inputs]) / self._span[: self.inputs]
        return np.repeat(found[None], self.steps, axis=0) if self.options.rows == "apart" else found

    @property
    def reach(self) -> tuple[np.ndarray, np.ndarray]:
        """Return least and greatest of each input over the training rows, (I,) each, as the network sees them."""
        return self._reach

    def in_units(self, outputs: np.ndarray) -> np.ndarray:
        """Return outputs (..., O) in the units of the target columns, those of labels as they are.

        Of rows apart, (window, R, O): the mean of the scored steps, (R, O).
        """
        if self.options.rows == "apart":
            outputs = outputs[self.options.washout :].mean(axis=0)
        return outputs if self._labels is not None else outputs * self._span[self._at] + self._low[self._at]

    def read(self, path: Path) -> Rows:
        """Read new rows as the run's own were read: the same columns, codes for missing values, times, and filling.

        Of rows apart, those that lack a value stay, with NaN for it, which is told: nothing can be said of them alone.

        Raises:
            InputError: all that is wrong with the table; rows of another step than the run's are wrong, too; or of rows
                apart none has all values.
        """
        evenly = self.options.rows == "time"
        sheet = with_truths(read_sheet(path))
        even = new_rows(sheet, self.options, self.columns, self._step, self.options.fill, evenly)
        times = None if even.times is None else [even.times.text(row) for row in range(len(even))]
        return Rows(even.values, times, even.account)

    def _learn_from(self, cut: Cut) -> None:
        self._cut = cut

    def _present(self, batch: Batch) -> np.ndarray:
        return batch.inputs[..., self._at].copy()


def taken_of(sheet: Sheet, options: TableConfig) -> Taken:
    """Take inputs and targets of a sheet; one InputError lists all that is wrong with it."""
    targets, apart = options.targets, options.rows == "apart"
    absent = [name for name in targets if name not in sheet.names]
    named = not absent and options.labels is not False and len(targets) == 1
    codes = options.missing or ()
    words = named and (options.labels or holds_words(sheet, sheet.index(targets[0]), codes))
    labels = read_labels(sheet, targets[0], codes) if words else None
    ahead = options.horizon if options.horizon is not None else int(not apart and labels is None)
    told = () if labels is not None else targets
    inputs = _inputs(sheet, options, targets, told if ahead else ())
    columns = tuple(dict.fromkeys([*inputs, *told]))
    table, problems = rows_of_file(sheet, options, columns, options.missing, told, not apart, targets)
    if labels is not None:
        with_codes = np.column_stack([table.values, labels.codes])
        said = f"target: {labels.name}, {len(labels.classes)} classes: {_few(labels.classes)}"
        account = (*table.account, said, *labels.account)
        table = replace(table, values=with_codes, columns=(*columns, labels.name), account=account)
    else:
        hints = [
            line for k, name in enumerate(columns) if name in told for line in may_be_classes(name, table.values[:, k])
        ]
        table = replace(table, account=(*table.account, *hints))
    if apart:
        raise_problems(table.label, problems)
        table = _whole_rows(table)
        raise_problems(table.label, _too_few(table, options))
    else:
        table = gapless(table, options.fill, problems, None, lambda filled: too_short(filled, options, ahead))
    return Taken(table, len(inputs), targets, labels, ahead)


def _inputs(sheet: Sheet, options: TableConfig, targets: Sequence[str], also: Sequence[str]) -> tuple[str, ...]:
    """Return the inputs: those that are stated or hold measurements, without the targets, unless those are `also`."""
    named = [name for name in options.columns or () if name in targets and name not in also]
    if named:
        raise InputError(f"task.columns: {', '.join(named)} is what is to be told; leave it out, or set task.horizon")
    found = inputs_of(sheet, options, targets)
    inputs = tuple(dict.fromkeys(name for name in (*found, *also) if name in also or name not in targets))
    if not inputs:
        raise InputError(f"{sheet.label}: no column of numbers beside the target to learn from; see its line of names")
    return inputs


def _whole_rows(table: Table) -> Table:
    """Return the rows in which nothing is missing, and say how many were left out."""
    whole = ~np.isnan(table.values).any(axis=1)
    if whole.all():
        return table
    account = (*table.account, gaps_told(table, "left out, in which values are missing"))
    return replace(table, values=table.values[whole], lines=table.lines[whole], account=account)


def _too_few(table: Table, options: TableConfig) -> list[str]:
    split = first_tested(len(table), options.split)
    if 2 <= split < len(table):
        return []
    return [
        f"{table.label}: {len(table)} whole rows, split at {split}, leave none to learn from or to test; move split"
    ]


def _check_told(table: Table, taken: Taken, told: np.ndarray, split: int) -> None:
    """Raise InputError where the targets of the test part, or the labels of the training part, do not vary."""
    if taken.labels is not None:
        if np.ptp(told[:split], axis=0).max() == 0.0:
            raise InputError(f"{table.label}: the training part has one label of {taken.labels.name}; move task.split")
        return
    for name, column in zip(taken.targets, told[split:].T, strict=True):
        if np.ptp(column) == 0.0:
            raise InputError(f"{table.label}: {name} is constant in the test part (rows {split} on); lower split")


def _of_classes(labels: Labels | None, told: np.ndarray, split: int) -> list[str]:
    """Warn of classes that nothing is learned of, or that are not tested."""
    said = []
    for part, what in ((told[:split], "training"), (told[split:], "test")):
        absent = (
            [] if labels is None else [name for name, n in zip(labels.classes, part.sum(axis=0), strict=True) if not n]
        )
        if absent:
            said.append(f"warning: the {what} part has none of {_few(absent)}")
    return said


def _few(names: Sequence[str]) -> str:
    """Return the first names in words."""
    shown = [name if len(name) <= 20 else f"{name[:19]}…" for name in names[:6]]
    return ", ".join(shown) + (f" and {len(names) - 6:,} more" if len(names) > 6 else "")
