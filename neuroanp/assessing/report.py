"""Show an assessment: the table of verdicts, one page, and all of it as plain data."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neuroanp.assessing import words
from neuroanp.assessing.asked import IDEAL
from neuroanp.assessing.found import DECADES, POINTS, SWEPT_SEEDS, Found, Needed, Trained
from neuroanp.assessing.measured import names_of_figure
from neuroanp.assessing.rests import parameters, shares
from neuroanp.assessing.rests import sentences as rests_on
from neuroanp.assessing.rests import table as rests
from neuroanp.assessing.verdict import FROZEN, RIDGE
from neuroanp.records.atomic import OTHER_PLACE, REPEAT, write_text
from neuroanp.records.json_io import finite, write_object
from neuroanp.reporting.footnotes import rests_on as marks_of
from neuroanp.reporting.html import section
from neuroanp.reporting.method import Method
from neuroanp.reporting.origins import ENERGY, TIME, WEAR
from neuroanp.reporting.pictures import Figure, file_name, for_both, in_uri
from neuroanp.reporting.tables import Cell, Column, Row, Table, cell, marked
from neuroanp.reporting.templating import template
from neuroanp.reporting.values import MISSING, middle, quantity
from neuroanp.reporting.warned import grouped
from neuroanp.requiring.report import table as specification

PAGE, RECORD = "report.html", "assessment.json"
LOSSES = ("test loss", IDEAL, FROZEN, RIDGE)
COSTS = ("energy", "chip time", "wear")
"""Headers of the columns of losses, and of what training took."""


def to_dict(found: Found) -> dict[str, Any]:
    """Return all that was found as plain data."""
    measured = found.measured
    tasks = [
        {**one.to_dict(), "requirements": need.to_dict()} for one, need in zip(found.trained, found.needed, strict=True)
    ]
    return {
        "device": measured.name,
        "profile": str(measured.profile(found.folder)),
        "profile_hash": found.profile.hash,
        "extends": measured.base,
        "parameters": shares(found.profile),
        "fits": [*measured.found],
        "notes": [*measured.notes],
        "describes_its_data": not measured.doubts,
        "beside": [*found.asked.beside],
        "seeds": [*found.asked.seeds],
        "tasks": tasks,
        "words": words.sentences(found),
    }


def table(found: Found) -> Table:
    """Return the verdicts: a row a task, with the device's loss beside the ideal one's and its controls."""
    columns = (Column("task", numeric=False), Column("verdict", numeric=False), *map(Column, (*LOSSES, *COSTS)))
    return Table(columns, tuple(_row(one) for one in found.trained))


def _row(one: Trained) -> Row:
    own, ideal = one.of_profile(one.device), one.of_profile(IDEAL)
    head = (Cell(one.name), Cell(words.word_of(one), strong=True))
    if own is None:
        return Row("method", (*head, *(Cell(MISSING) for _ in (*LOSSES, *COSTS))))
    held = {} if one.verdict is None else {each.other: [other for _, other in each.losses] for each in one.verdict.held}
    losses = [own.values("test_loss"), [] if ideal is None else ideal.values("test_loss")]
    losses += [held.get(name, []) for name in (FROZEN, RIDGE)]
    costs = [_cost(own, key, unit) for key, unit in ((ENERGY, "J"), (TIME, "s"), (WEAR, ""))]
    return Row("method", (*head, *map(cell, losses), *costs))


def _cost(own: Method, key: str, unit: str) -> Cell:
    """Write what training took, the median over seeds, with the marks of what it rests on."""
    values = own.values(key)
    if not values:
        return Cell(MISSING)
    return marked(Cell(quantity(middle(values), unit)) if unit else cell(values), own, key)


def marks(found: Found) -> list[str]:
    """Say what the marks behind the figures of the device mean."""
    own = [method for one in found.trained if (method := one.of_profile(one.device)) is not None]
    return list(dict.fromkeys(marks_of(own)))


def save(found: Found, command: str | None, page: bool) -> Path | None:
    """Write the record, and the page, into the folder; return the page.

    Args:
        found: the assessment. command: what repeats it, or None. page: whether one is wanted.

    Raises:
        InputError: the place cannot be written to. RunError: the disk is full.
    """
    write_object(found.folder / RECORD, finite(to_dict(found)))
    return render(found, found.folder / PAGE, command) if page else None


def render(found: Found, path: Path, command: str | None = None) -> Path:
    """Write one HTML file that needs nothing but itself; the same assessment, the same bytes."""
    from neuroanp.version import __version__

    measured, asked = found.measured, found.asked
    page: Mapping[str, Any] = {
        "title": f"{measured.name}: can it learn?",
        "subtitle": f"fitted to {', '.join(str(one['file']) for one in measured.found)}; "
        f"{', '.join(one.name for one in found.trained)}; {len(asked.seeds)} seeds",
        "doubts": words.doubts(found),
        "headline": words.headline(found),
        "table": table(found),
        "marks": marks(found),
        "rests": rests_on(found.profile, measured.doubts),
        "rests_table": rests(found.profile),
        "parameters": parameters(found.profile),
        "fits": [_fit(one, measured.figures) for one in measured.found],
        "base": measured.base,
        "notes": measured.notes,
        "tasks": [_task(one, need, path.parent) for one, need in zip(found.trained, found.needed, strict=True)],
        "budget": f"{DECADES:g} decade on each side of the stated value, {POINTS} value there, and the ideal; "
        f"{min(SWEPT_SEEDS, len(asked.seeds))} seeds",
        "facts": _facts(found),
        "profile": measured.text,
        "command": command,
        "version": __version__,
    }
    write_text(path, template("assessment.html.j2").render(page), OTHER_PLACE, REPEAT)
    return path


def _fit(one: Mapping[str, Any], figures: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what the page shows of a fit."""
    whole, phone, numbers = (figures[name] for name in names_of_figure(str(one["figure"])))
    alt, caption = f"{one['law']} against {one['file']}", "Measurements in grey, the fitted law in colour."
    uri, narrow = (in_uri(for_both(svg.decode()).encode(), "image/svg+xml") for svg in (whole, phone))
    data = in_uri(numbers, "text/csv;charset=utf-8")
    return {**one, "picture": Figure(uri, alt, f"{caption} {one['data']}.", narrow, data, file_name(alt))}


def _task(one: Trained, need: Needed, folder: Path) -> dict[str, Any]:
    """Return what the page shows of a task."""
    shown = section(one.runs) if one.runs else None
    labels = [method.label for method in one.group]
    return {
        "name": one.name,
        "section": shown,
        "methods": None if shown is None else _of_kind(shown.table, False),
        "controls": None if shown is None else _of_kind(shown.table, True),
        "word": words.word_of(one),
        "words": (told := words.of_task(one)),
        "notes": [] if shown is None else grouped([line for line in shown.verdicts if line not in told], labels),
        "required": words.required(need),
        "failing": _failing(need),
        "page": None if need.page is None else Path(os.path.relpath(need.page, folder)).as_posix(),
        "config": one.laid.configs[one.device][0].to_yaml(),
    }


def _of_kind(table: Table, controls: bool) -> Table:
    """Return the rows of controls, without the columns that they leave empty, or all others."""
    rows = [row for row in table.rows if (row.kind == "control") == controls]
    if not controls:
        return Table(table.columns, tuple(rows))
    kept = [i for i, _ in enumerate(table.columns) if any(row.cells[i].text for row in rows)]
    columns = tuple(table.columns[i] for i in kept)
    return Table(columns, tuple(Row(row.kind, tuple(row.cells[i] for i in kept)) for row in rows))


def _failing(need: Needed) -> Table | None:
    """Return the rows of a sweep's specification whose parameters fail; None where there are none."""
    keys = {one.parameter.key for one in need.failing}
    if need.found is None or not keys:
        return None
    whole = specification(need.found)
    return Table(whole.columns, tuple(row for row in whole.rows if row.cells[0].text in keys))


def _facts(found: Found) -> list[tuple[str, str]]:
    runs = sum(len(one.runs) for one in found.trained)
    seeds: Sequence[int] = found.asked.seeds
    return [
        ("beside", ", ".join(found.asked.beside)),
        ("seeds", ", ".join(map(str, seeds))),
        ("runs", f"{runs:,}, and those of sweeps"),
        ("profile", f"{found.profile.hash[:12]}, extends {found.measured.base}"),
    ]
