"""Read tables of pulses as two simulators keep them: what a pulse changes, as a distribution at each conductance.

- CrossSim: one file a direction. Lines of numbers between commas, after a line of words or not: conductances G (R);
  probabilities (K); then K lines of R changes dG, the quantile of each probability at each conductance.
- xbtorch: three files a direction. NAME_cdf.txt: R lines of K cumulative probabilities; beside it
  NAME_axis_level_G.txt with the R conductances and NAME_axis_level_dG.txt with the K changes.

None of them holds a unit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from neuroanp.devices.measured_update import MAX_CONDUCTANCES, MAX_POINTS
from neuroanp.errors import InputError
from neuroanp.files import not_utf8, opening, read_regular
from neuroanp.fitting.table import CONDUCTANCE
from neuroanp.tables.headings import scale
from neuroanp.yaml_io import display

MAX_BYTES = 16 * 2**20
_CDF, _AXES = "_cdf.txt", ("_axis_level_G.txt", "_axis_level_dG.txt")
_NEVER = 1e-15
"""Probability that no generator of double precision tells from 0."""


@dataclass(frozen=True)
class Steps:
    """What pulses in one direction do.

    Args:
        g: (R,) conductances, siemens.
        points: R pairs of cumulative probabilities and changes (siemens), both rising.
        files: name and SHA-256 of what was read.
    """

    g: np.ndarray
    points: list[tuple[np.ndarray, np.ndarray]]
    files: dict[str, str]


def read_steps(path: str | Path, unit: str = "S") -> Steps:
    """Read the table of one direction.

    Args:
        path: a file of CrossSim, or the cumulative probabilities of xbtorch; at most 16 MiB.
        unit: of all conductances and changes.

    Raises:
        InputError: no such unit; a file that is missing, too large, or no table: with file and line.
    """
    factor = scale(unit, CONDUCTANCE)
    if factor is None:
        raise InputError(f"--unit: '{unit}' is not a unit of conductance; write e.g. uS")
    path = Path(path)
    return _xbtorch(path, factor) if path.name.endswith(_CDF) else _crosssim(path, factor)


def _crosssim(path: Path, factor: float) -> Steps:
    rows, lines, digest = _numbers(path, words=True)
    label = display(path)
    if len(rows) < 4:
        raise InputError(
            f"{label}: {len(rows)} lines of numbers; a table of CrossSim has one of conductances, one of "
            f"probabilities, and one of changes for each of these (for a table of xbtorch name its NAME{_CDF})"
        )
    g, p, changes = rows[0], rows[1], rows[2:]
    problems = [
        f"{label}:{line}: {len(row)} changes, where the first line has {len(g)} conductances"
        for row, line in zip(changes, lines[2:], strict=True) if len(row) != len(g)
    ]  # fmt: skip
    if len(changes) != len(p):
        problems.append(f"{label}: {len(changes)} lines of changes for {len(p)} probabilities; there is one for each")
    if problems:
        raise InputError(f"{label} is not a table of pulses", problems)
    _check(label, len(g), len(p))
    quantiles = np.array(changes)
    return Steps(
        _rising(label, "conductances", g) * factor,
        [_thinned(_probabilities(label, p), _sorted(label, q * factor)) for q in quantiles.T],
        {path.name: digest},
    )


def _xbtorch(path: Path, factor: float) -> Steps:
    label, stem = display(path), path.name.removesuffix(_CDF)
    sides = [path.with_name(stem + end) for end in _AXES]
    lacking = [f"{display(side)}: no such file; it lies beside {path.name}" for side in sides if not side.is_file()]
    if lacking:
        raise InputError(f"{label}: its axes are not there", lacking)
    rows, lines, digest = _numbers(path, words=False)
    axes, files = [], {path.name: digest}
    for side in sides:
        numbers, _, files[side.name] = _numbers(side, words=False)
        axes.append(np.concatenate(numbers))
    g, dg = axes
    problems = [
        f"{label}:{line}: {len(row)} probabilities, where {sides[1].name} has {len(dg)} changes"
        for row, line in zip(rows, lines, strict=True) if len(row) != len(dg)
    ]  # fmt: skip
    if len(rows) != len(g):
        problems.append(f"{label}: {len(rows)} lines, where {sides[0].name} has {len(g)} conductances")
    if problems:
        raise InputError(f"{label} is not a table of pulses", problems)
    _check(label, len(g), len(dg))
    changes = _rising(display(sides[1]), "changes", dg) * factor
    g = _rising(display(sides[0]), "conductances", g) * factor
    return Steps(
        g, [_thinned(_probabilities(f"{label}:{at}", p), changes) for p, at in zip(rows, lines, strict=True)], files
    )


def _numbers(path: Path, words: bool) -> tuple[list[np.ndarray], list[int], str]:
    """Return the lines of numbers of a file, where they stand, and its SHA-256; `words`: leading words are left out."""
    label = display(path)
    with opening(label, "a directory; name a file in it"):
        raw = read_regular(path, MAX_BYTES)
    if len(raw) > MAX_BYTES:
        raise InputError(f"{label}: larger than 16 MiB; thin the table")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(raw, error.start, label) from None
    rows, lines = [], []
    for number, line in enumerate(text.splitlines(), 1):
        cells = re.split(r"[,\s]+", line.strip().strip(","))
        if cells == [""] or (words and not rows and not _is_number(cells[0])):
            continue
        try:
            row = np.array([float(cell) for cell in cells])
        except ValueError:
            wrong = next(cell for cell in cells if not _is_number(cell))
            raise InputError(f"{label}:{number}: '{wrong[:40]}' is not a number; correct it") from None
        if not np.isfinite(row).all():
            raise InputError(f"{label}:{number}: a number that is not finite; correct it")
        rows.append(row)
        lines.append(number)
    return rows, lines, sha256(raw).hexdigest()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _check(label: str, rows: int, points: int) -> None:
    if not (2 <= rows <= MAX_CONDUCTANCES and points >= 2 and rows * points <= MAX_POINTS):
        raise InputError(
            f"{label}: {rows} conductances of {points} points; a table has 2 to {MAX_CONDUCTANCES} of 2 points at "
            f"least, and {MAX_POINTS:,} in all at most"
        )


def _rising(label: str, what: str, values: np.ndarray) -> np.ndarray:
    flat = np.flatnonzero(np.diff(values) <= 0)
    if len(flat):
        raise InputError(f"{label}: {what} do not rise: {values[flat[0] + 1]:g} after {values[flat[0]]:g}; sort them")
    return values


def _probabilities(label: str, p: np.ndarray) -> np.ndarray:
    wrong = np.flatnonzero((p < 0) | (p > 1))
    if len(wrong):
        raise InputError(f"{label}: {p[wrong[0]]:g} is not a probability; a cumulative one goes from 0 to 1")
    return _sorted(label, p)


def _sorted(label: str, values: np.ndarray) -> np.ndarray:
    falls = np.flatnonzero(np.diff(values) < 0)
    if len(falls):
        at = falls[0]
        raise InputError(f"{label}: {values[at + 1]:g} after {values[at]:g}: a cumulative distribution does not fall")
    return values


def _thinned(p: np.ndarray, dg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points without those between two of the same probability, or the same change: none of them counts."""
    p = np.where(p < _NEVER, 0.0, np.where(p > 1 - _NEVER, 1.0, p))
    keep = np.ones(len(p), bool)
    for values in (p, dg):
        keep[1:-1] &= (np.diff(values)[1:] != 0) | (np.diff(values)[:-1] != 0)
    return p[keep], dg[keep]
