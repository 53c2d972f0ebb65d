"""Make a hardware profile of tables of pulses: an update law `measured`, and the file with its numbers."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from neuroanp.devices.measured_update import MeasuredUpdate
from neuroanp.devices.protocol import Span
from neuroanp.errors import InputError
from neuroanp.fitting.profile_text import as_base, contents_of
from neuroanp.fitting.rescale import rescaled
from neuroanp.fitting.result import Choice, Fit
from neuroanp.fitting.step_tables import Steps, read_steps
from neuroanp.profiles import load
from neuroanp.units import format_quantity
from neuroanp.yaml_io import dump

BASE = "rram_hfo2"
MOST_PULSES = 10_000
_DIGITS = 9
"""Of a number in the file: below what single precision resolves."""


@dataclass(frozen=True)
class Tabulated:
    """A profile whose pulses are a table.

    Args:
        profile: its text, which names the table's file.
        table: the text of that file.
        law: what both make.
        span: the range of conductance.
        notes: what a reader should know of the numbers that the base has.
    """

    profile: str
    table: str
    law: MeasuredUpdate
    span: Span
    notes: tuple[str, ...]


def tabulate(
    up: str | Path, down: str | Path, name: str, date: str, *, unit: str = "S", extends: str = BASE,
    g_min: float | None = None, g_max: float | None = None, folder: str | Path = ".", table: str | None = None,
) -> Tabulated:  # fmt: skip
    """Return a profile of tables of up and of down pulses, and the file that it reads.

    Args:
        up, down: tables of CrossSim or xbtorch; see `step_tables`.
        name: of the new profile.
        date: of the reading, as the source shall say it.
        unit: of the numbers in the tables, which hold none.
        extends: the profile that has the rest.
        g_min, g_max: the range of conductance a weight uses, siemens; None: as far as both tables go.
        folder: where both files will be.
        table: name of the second file; None: NAME.csv.

    Raises:
        InputError: what is wrong with a table, or which number of the base contradicts it.
    """
    ways = [read_steps(path, unit) for path in (up, down)]
    reach = Span(max(steps.g[0] for steps in ways), min(steps.g[-1] for steps in ways))
    if not reach.g_max > reach.g_min:
        raise InputError(f"{Path(up).name} and {Path(down).name} have no range of conductance in common")
    span = Span(reach.g_min if g_min is None else g_min, reach.g_max if g_max is None else g_max)
    files = ", ".join(f"{file} (SHA-256 {digest[:12]})" for steps in ways for file, digest in steps.files.items())
    text = _csv(ways, f"Changes of conductance by a pulse, cumulative distributions: {files}, in {unit}.")
    table = table or f"{name}.csv"
    with TemporaryDirectory() as place:
        path = Path(place) / table
        path.write_text(text, encoding="utf-8")
        law = _law(path, span, f"{Path(up).name} and {Path(down).name}")
        fit = _fit(law, span, files, table, g_min, g_max, sum(len(p) for steps in ways for p, _ in steps.points))
        base = load(extends)
        content = contents_of([fit], base) | {"meta": _meta(name, files, date, unit, base.name)}
        made = Path(place) / "profile.yaml"
        made.write_text(dump({"extends": as_base(extends, Path(place)), **content}), encoding="utf-8")
        law = _loaded(made, name, files)
    head = f"# Pulses as in {files}; the rest is as in {base.name}.\n"
    notes = rescaled(base, fit).notes
    head += "".join(f"# Note: {note}.\n" for note in notes)
    return Tabulated(head + dump({"extends": as_base(extends, Path(folder)), **content}), text, law, span, notes)


def _law(path: Path, span: Span, files: str) -> MeasuredUpdate:
    """Return the law of a file, to ask it for its mean step."""
    try:
        return MeasuredUpdate(file=str(path), tolerance=span.width / 2, max_pulses=1)  # pyright: ignore[reportCallIssue]
    except ValidationError as error:
        problems = [str(one["msg"]).rpartition(f"{path.name}: ")[2] for one in error.errors()]
        raise InputError(f"{files} are no tables of pulses up and down", problems) from None


def _loaded(path: Path, name: str, files: str) -> MeasuredUpdate:
    try:
        law = load(path).update
    except InputError as error:
        problems = [problem.partition("profile.yaml:")[2] or problem for problem in error.problems]
        raise InputError(f"{name}: the tables ({files}) and the rest of the base make no profile", problems) from None
    assert isinstance(law, MeasuredUpdate)
    return law


def _csv(ways: list[Steps], comment: str) -> str:
    """Return the file of the law."""
    text = io.StringIO()
    text.write(f"# {comment}\ndirection,g_S,probability,dg_S\n")
    for way, steps in zip((1, -1), ways, strict=True):
        for g, (p, dg) in zip(steps.g, steps.points, strict=True):
            for probability, change in zip(p, dg, strict=True):
                text.write(f"{way},{g:.{_DIGITS}g},{probability:.{_DIGITS + 3}g},{change:.{_DIGITS}g}\n")
    return text.getvalue()


def _fit(
    law: MeasuredUpdate, span: Span, files: str, table: str, g_min: float | None, g_max: float | None, points: int
) -> Fit:
    """Return what goes into the profile, as a fit says it."""
    step = law.nominal(span)
    choices = [
        Choice("update.file", table, f"{points:,} points of cumulative distributions", "measured"),
        Choice("update.tolerance", format_quantity(step / 2, "S", 3), "a choice of the controller; half a mean step"),
        Choice(
            "update.max_pulses", max(1, min(MOST_PULSES, math.ceil(2 * span.width / step))),
            "a choice of the controller; twice the way from end to end",
        ),
    ]  # fmt: skip
    for key, value, given in (("g_min", span.g_min, g_min), ("g_max", span.g_max, g_max)):
        source = "an end of the table" if given is None else "the range that was told"
        status = "measured" if given is None else "illustrative"
        choices.append(Choice(f"conductance.{key}", format_quantity(value, "S", 12), source, status))
    return Fit("pulse_table", "update", "measured", BASE, (), tuple(choices), (), files)


def _meta(name: str, files: str, date: str, unit: str, base: str) -> dict[str, Any]:
    return {
        "name": name,
        "summary": f"pulses by table, the rest as in {base}",
        "source": f"{files}, numbers taken as {unit}; read {date}",
        "doi": None,
        "status": "measured",
    }
