"""Read a column of labels: classes by name, and which one each row has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuroanp.errors import InputError
from neuroanp.losses import Loss, mean_loss
from neuroanp.losses.mean import scored_steps
from neuroanp.tables.numbers import is_missing, looks_like_number, number, shown
from neuroanp.tables.sheet import Sheet
from neuroanp.tasks.protocol import Batch
from neuroanp.tasks.table import blank, is_code

MOST = 1_000
"""Classes of one column."""
FEW = 20
"""Different whole numbers of a column that may be classes."""


@dataclass(frozen=True)
class Labels:
    """The labels of a table.

    Args:
        name: of their column. classes: their names, in order. codes: (rows,) the class of each row, nan where it is
            missing.
        account: what counts as missing, a line for each code.
    """

    name: str
    classes: tuple[str, ...]
    codes: np.ndarray
    account: tuple[str, ...] = ()

    def one_hot(self, codes: np.ndarray) -> np.ndarray:
        """Return the targets (R, classes) of rows of these codes."""
        return np.eye(len(self.classes))[codes.astype(int)]


def holds_words(sheet: Sheet, index: int, missing: Sequence[float] = ()) -> bool:
    """Return whether most cells of a column, of those that are not missing, are no numbers."""
    cells = [row[index].strip() for row in sheet.sample if index < len(row)]
    cells = [cell for cell in cells if not is_missing(cell) and not _is_code(cell, sheet, missing)]
    numbers = sum(looks_like_number(cell, sheet.layout.decimal) for cell in cells)
    return bool(cells) and 2 * numbers < len(cells)


def read_labels(sheet: Sheet, name: str, missing: Sequence[float] = ()) -> Labels:
    """Read a column of labels; numbers are the same class however they are written ("1", "1.0").

    Args:
        sheet: the table. name: of the column. missing: numbers that stand for none, among words, too.

    Raises:
        InputError: there is one class, or so many that they can be none.
    """
    index = sheet.index(name)
    (values,), _, bad = sheet.read([index])
    account = blank(name, values, missing)
    if not bad.count(name):
        found, inverse = np.unique(values[np.isfinite(values)], return_inverse=True)
        classes, codes = [f"{value:.15g}" for value in found], np.full(len(values), math.nan)
        codes[np.isfinite(values)] = inverse
    else:
        cells = ["" if _is_code(cell, sheet, missing) else cell for cell in sheet.words(index)]
        classes = sorted({cell for cell in cells if not is_missing(cell)})
        place = {cell: float(code) for code, cell in enumerate(classes)}
        codes = np.array([place.get(cell, math.nan) for cell in cells])
    there = int(np.isfinite(codes).sum())
    where = f"{sheet.label}: {name}"
    if len(classes) < 2:
        what = f"all labels are '{shown(classes[0])}'" if classes else "it is empty"
        raise InputError(f"{where}: {what}: there is nothing to learn; name another column: set task.target")
    if len(classes) > min(MOST, there // 2):
        raise InputError(
            f"{where}: {len(classes):,} different labels in {there:,} rows: no classes (at most {MOST:,}, and half as "
            "many as rows); name another column, or of numbers set task.labels to false"
        )
    return Labels(name, tuple(classes), codes, tuple(account))


def _is_code(cell: str, sheet: Sheet, missing: Sequence[float]) -> bool:
    """Return whether a cell is a number that stands for a missing value."""
    value = number(cell, sheet.layout.decimal)
    return value is not None and bool(is_code(value, missing))


def may_be_classes(name: str, values: np.ndarray) -> list[str]:
    """Say that a column of few whole numbers, which is taken as numbers, may be one of classes.

    >>> may_be_classes("day", np.tile([0.0, 1.0], 20)), may_be_classes("load", np.arange(40.0))
    (['day: 2 whole numbers, taken as numbers; if they name classes, set task.labels to true'], [])
    """
    there = np.unique(values[np.isfinite(values)])
    if 1 < len(there) <= FEW and (there == np.round(there)).all() and len(values) > 4 * len(there):
        return [f"{name}: {len(there)} whole numbers, taken as numbers; if they name classes, set task.labels to true"]
    return []


def label_scores(y: np.ndarray, batch: Batch, loss: Loss) -> dict[str, float]:
    """Return `accuracy`, the share of scored steps whose largest output is that of their class, and `loss`.

    Args:
        y: outputs, one a class, (T, B, O). batch: the sequences; their targets are one-hot. loss: the task's.

    >>> from neuroanp.losses import SQUARED_ERROR
    >>> batch = Batch(np.zeros((2, 1, 1)), np.eye(2)[:, None], np.ones(2))
    >>> label_scores(np.array([[[0.9, 0.1]], [[0.8, 0.2]]]), batch, SQUARED_ERROR)["accuracy"]
    0.5
    """
    got, target = scored_steps(y, batch)
    return {
        "accuracy": float(np.mean(got.argmax(axis=-1) == target.argmax(axis=-1))),
        "loss": mean_loss(loss, y, batch),
    }
