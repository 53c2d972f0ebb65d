"""Show a diagnosis: tables of what was found and sentences that say how to read it; write its files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from neuroanp.records.json_io import finite
from neuroanp.reporting import folders
from neuroanp.reporting.tables import Cell, Column, Row, Table
from neuroanp.reporting.values import MISSING, digits

if TYPE_CHECKING:
    from neuroanp.diagnosing.result import Diagnosis
    from neuroanp.diagnosing.result import Row as Found
    from neuroanp.diagnosing.statistics import Estimate

NAME = "diagnosis"
FILES = tuple(f"{NAME}.{ending}" for ending in ("csv", "json", "png", "svg"))
"""What `save` writes."""
VARYING = ("update", "sigma", "K")
"""What tells rows of one array apart."""
ALIGNED, SIZES = ("draws", "one update", "mean update"), ("scale", "bias", "variance", "SNR")
"""Headers of the columns of cosines, and of sizes."""
ALIKE = 2.0
"""Variance and squared bias within this factor of each other are both to blame."""


def table(found: Diagnosis) -> Table:
    """Return the estimates, a row for each moment, setting and array; what all rows have in common has no column."""
    shown = [name for name in VARYING if len({row.setting[name] for row in found.rows}) > 1]
    columns = [Column(name) for name in shown]
    columns += [Column("passes"), Column("array", numeric=False), *map(Column, (*ALIGNED, *SIZES))]
    rows, before = [], None
    for row in found.rows:
        key = (row.update, row.sigma, row.K)
        same, before = key == before, key
        names = [Cell("" if same else _number(row.setting[name])) for name in shown]
        names += [Cell("" if same else str(row.passes)), Cell(row.array), Cell(str(row.found.draws))]
        rows.append(Row("method", (*names, *_cells(row))))
    return Table(tuple(columns), tuple(rows))


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:g}"


def _cells(row: Found) -> list[Cell]:
    one = row.found
    if one.why is not None:
        return [Cell(MISSING), Cell(MISSING), *[Cell(MISSING)] * 4]
    snr = digits(one.signal, 2) if one.signal < float("inf") else "∞"
    return [
        _cell(row.one),
        Cell("not resolved") if one.cosine.value is None else _cell(one.cosine),
        _cell(one.scale),
        Cell(f"< {digits(one.bias.high, 2)}") if one.bias.value is None else _cell(one.bias),
        _cell(one.variance),
        Cell(snr),
    ]


def _cell(estimate: Estimate) -> Cell:
    """Write a number with its interval; one that has no width is left out."""
    if estimate.value is None:
        return Cell(MISSING)
    low, high = (_short(end) for end in estimate[1:])
    return Cell(_short(estimate.value), f"[{low}, {high}]" if low != high else "")


def _short(value: float) -> str:
    """Write a number to three digits, one near 0 or 1 to three places.

    >>> _short(0.98765), _short(-0.00123), _short(12.345), _short(0.0)
    ('0.988', '-0.00123', '12.3', '0')
    """
    return "0" if value == 0 else digits(value)


def common(found: Diagnosis) -> str:
    """Say what all rows have in common: of what the updates are."""
    about, first = found.about, found.rows[0]
    parts = [f"{about['rule']} on {about['profile']}, seed {about['seed']}"]
    parts += [about["backend"]] * (about["backend"] != "rate")
    for name in VARYING:
        if len({row.setting[name] for row in found.rows}) == 1 and first.setting[name] is not None:
            value = _number(first.setting[name])
            parts.append(f"update {value}" if name == "update" else f"{name} {value}")
    return ", ".join([*parts, f"batch {about['batch']}"])


def sentences(found: Diagnosis) -> list[str]:
    """Say how to read the table, what limits the updates, and what was not resolved."""
    kind = found.about["gradient"]
    what = "the exact gradient" if kind == "exact" else "the surrogate gradient (a spike has no exact one)"
    told = [
        f"Held to {what} g of the same batch, by the digital twin at the weights as the chip holds them. Intervals "
        "hold the truth in 95 of 100 cases.",
        "One update u: its cosine to g, median [lowest, highest]. Mean update: the cosine of E u to g. Scale a: E u "
        "along g, in units of g. Bias: |E u - a g| / |g|. Variance: tr Cov u / |g|². SNR: |E u|² / tr Cov u.",
    ]
    rows = [row for row in found.rows if row.found.why is None]
    any_own = any(row.own for row in rows)
    told += [line for row in rows if row.own == any_own and (line := limit(row)) is not None]
    if any(row.found.bias.value is None for row in rows):
        told.append("Bias < x: not resolved, its interval holds 0; it is below x.")
    for why in dict.fromkeys(row.found.why for row in found.rows if row.found.why is not None):
        names = ", ".join(dict.fromkeys(row.array for row in found.rows if row.found.why == why))
        told.append(f"{names}: nothing to compare, {why}.")
    within, most = found.about["within"], found.about["most"]
    wide = [row for row in rows if row.found.settled > within > 0]
    if wide:
        told.append(
            f"{len(wide)} of {len(rows)} angles of the mean update are known less well than +- {within:g} (cosine, "
            f"sine) after {most:,} draws; --most gives more."
        )
    return told


def limit(row: Found) -> str | None:
    """Say what keeps single updates of all arrays from the gradient: noise that passes average out, or bias."""
    one = row.found
    if row.array != "all" or one.scale.value is None or one.cosine.value is None:
        return None
    where = f"Update {row.update}, {row.passes} pass{'es' * (row.passes != 1)}, all arrays"
    if one.scale.high < 0:
        return f"{where}: the mean update goes up the gradient, not down."
    noise = (one.variance.value or 0.0) / one.scale.value**2
    bias = ((one.bias.value or 0.0) / one.scale.value) ** 2
    if noise == bias == 0:
        return None
    what = "mostly variance, which more passes average out"
    if bias * ALIKE > noise:
        mostly = "variance and" if noise * ALIKE > bias else "mostly"
        what = f"{mostly} bias, which more passes do not take away"
    said = "none resolved" if one.bias.value is None else digits(bias, 2)
    shares = f"{digits(noise, 2)} of variance, squared bias {said}, where 1 is along the gradient"
    return f"{where}: what leads a single update astray is {what} ({shares})."


def check_folder(folder: Path) -> Path:
    """Return a folder that `save` can write to; InputError, before anything is computed, for one that it cannot."""
    return folders.check_folder(folder, FILES, "-o")


def save(found: Diagnosis, folder: Path) -> list[Path]:
    """Write the rows as CSV, all of it as JSON, and the figure as PNG and SVG; the same diagnosis, the same bytes.

    Args:
        found: the diagnosis. folder: where; made if it is missing. Files of these names are replaced.

    Returns: the files.

    Raises:
        InputError: the folder cannot be made or written to. RunError: the disk is full.
    """
    from neuroanp.reporting.diagnosis_plots import drawn

    check_folder(folder)
    contents = [
        as_csv(found).encode(),
        (json.dumps(finite(found.plain()), indent=1, allow_nan=False) + "\n").encode(),
        *(drawn(found, ending) for ending in ("png", "svg")),
    ]
    return folders.write_folder(folder, dict(zip(FILES, contents, strict=True)))


def as_csv(found: Diagnosis) -> str:
    """Return the rows as a table of text; what is not resolved is an empty cell."""
    text = io.StringIO(newline="")
    rows = finite(found.table())
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
