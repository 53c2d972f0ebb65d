"""Show a sweep: its table, its page, and all of it as plain data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from neuroanp.records.atomic import OTHER_PLACE, REPEAT, said, write_text
from neuroanp.records.json_io import finite, write_object
from neuroanp.reporting.tables import Cell, Column, Row, Table
from neuroanp.reporting.templating import template
from neuroanp.reporting.values import MISSING
from neuroanp.requiring import words
from neuroanp.requiring.finding import IDLE, THROUGHOUT, Finding
from neuroanp.requiring.kinds import HIGHER, LOWER
from neuroanp.requiring.sweep import Found

PAGE, RECORD = "report.html", "requirements.json"
NEEDS = ("must reach", "crossing", "margin")
BRINGS = ("per decade", "ideal alone brings", "one way")
"""Headers of the columns of what is needed, and of what changes bring."""


def to_dict(found: Found) -> dict[str, Any]:
    """Return all that was found as plain data; decades and metrics that are infinite stay so."""
    plan, asked = found.plan, found.plan.asked
    distances = [asked.target.distance(value) for value in found.stated.metric]
    return {
        "target": asked.target.text,
        "metric": asked.target.metric,
        "task": plan.config.task_name,
        "rule": plan.config.rule_name,
        "backend": plan.config.backend,
        "profile": plan.profile.name,
        "profile_hash": plan.profile.hash,
        "write": plan.write,
        "perturbation": plan.perturbation,
        "seeds": [*asked.seeds],
        "decades": asked.decades,
        "points": asked.points,
        "stated": {
            "metric": [*found.stated.metric], "median": median(found.stated.metric), "met": found.met,
            "runs": [*found.stated.runs],
        },
        "parameters": [one.to_dict(distances) for one in found.findings],
        "cause": None if found.met else found.ideals.first,
        "ideals": found.ideals.to_dict(),
        "pays": found.pays.to_dict(),
        "pairs": [pair.to_dict() for pair in found.pairs],
        "left_out": [vars(one) for one in plan.left_out],
        "words": words.sentences(found),
    }  # fmt: skip


def table(found: Found) -> Table:
    """Return the specification: a row a parameter, those that fall short first, then by margin."""
    columns = (
        Column("parameter", numeric=False), Column("stated"), *(Column(head) for head in NEEDS),
        Column("verdict", numeric=False), *(Column(head) for head in BRINGS),
    )  # fmt: skip
    return Table(columns, tuple(_row(found, one) for one in _ordered(found)))


def _ordered(found: Found) -> list[Finding]:
    gains = found.ideals.gains

    def place(one: Finding) -> tuple[float, float]:
        margin = one.margin if one.margin is not None else (1e9 if one.verdict == THROUGHOUT else 1e8)
        some = gains.get(one.parameter.key)
        return (margin if found.met else 0.0, -median(some) if some else 1e9)

    return sorted(found.findings, key=place)


def _row(found: Found, one: Finding) -> Row:
    parameter, limit = one.parameter, next(iter(one.limits), None)
    gains, pays = found.ideals.gains.get(parameter.key), one.pays
    first = parameter.key in (found.ideals.first,) and not found.met
    at = MISSING if limit is None or limit.at is None else one.shown(limit.at)
    bracket = "" if limit is None else f"[{one.shown(limit.met)} .. {one.shown(limit.missed)}]"
    return Row(
        "best" if first else "method",
        (
            Cell(parameter.key, parameter.kind.name, first),
            Cell("table" if parameter.stated is None else f"{one.shown(parameter.stated)}{words.marks(one)}"),
            Cell(required(one)),
            Cell(at, bracket),
            Cell(margin(one)),
            Cell(words.verdict_word(one)),
            _gain(None if pays is None else pays[1]),
            _gain(gains),
            Cell({True: "yes", False: "no", None: "not told"}[one.monotone]),
        ),
    )


def required(one: Finding) -> str:
    """Write what a parameter must reach."""
    if one.requirement is None or one.verdict in (THROUGHOUT, IDLE):
        return MISSING
    side = {LOWER: "≤ ", HIGHER: "≥ "}.get(one.parameter.kind.better, "")
    return f"{side}{one.shown(one.requirement)}"


def caption(one: Finding) -> str:
    """Say what the curve of a parameter shows: what it must reach, where that was found, and by how much it does."""
    needed = "" if (needs := required(one)) == MISSING else f"; must reach {needs}"
    spare = margin(one)
    apart = "" if spare == MISSING else f"; margin {spare} decades"
    return f"{one.parameter.kind.name}: {words.verdict_word(one)}{needed}{apart}."


def margin(one: Finding) -> str:
    """Write a margin in decades: what is to spare, or below 0 what is missing."""
    if one.margin is not None:
        return f"{one.margin:+.2f}"
    if one.verdict != THROUGHOUT or one.stated is None or not one.places:
        return MISSING
    end = one.places[-1] if one.parameter.kind.better == LOWER else one.places[0]
    spare = abs(end - one.places[one.stated])
    return f"> {spare:.2f}" if spare not in (0.0, float("inf")) else MISSING


def _gain(gains: Any) -> Cell:
    if gains is None:
        return Cell(MISSING)
    middle, _, ends = words._range(gains).partition(" ")
    return Cell(middle, ends)


def save(found: Found, root: Path, command: str | None) -> Path:
    """Write the page and the record into a folder named after what was found; return the page.

    Args:
        found: the sweep. root: the store. command: what repeats it, or None.

    Raises:
        InputError: the place cannot be written to. RunError: the disk is full.
    """
    plain = finite(to_dict(found))
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]
    folder = root / f"requirements-{digest}"
    with said(folder / PAGE, OTHER_PLACE, REPEAT):
        folder.mkdir(parents=True, exist_ok=True)
    write_object(folder / RECORD, plain)
    return render(found, folder / PAGE, command)


def render(found: Found, path: Path, command: str | None = None) -> Path:
    """Write one HTML file that needs nothing but itself; the same sweep, the same bytes."""
    from neuroanp.reporting.pictures import pictured, placed
    from neuroanp.requiring.plots import curves, overview
    from neuroanp.version import __version__

    told = words.sentences(found)
    plan, asked = found.plan, found.plan.asked
    page: Mapping[str, Any] = {
        "title": f"{plan.profile.name}: what it must reach",
        "subtitle": f"{plan.config.task_name} by {plan.config.rule_name}, {asked.target.text}, "
        f"{len(asked.seeds)} seeds",
        "headline": told[0],
        "verdicts": told[1:],
        "table": table(found),
        "needs": NEEDS,
        "overview": pictured(lambda: overview(found), "Decades gained with each ideal alone", words.OVERVIEW),
        "curves": [
            placed(figure, f"{asked.target.metric} against {key}", caption(one))
            for (key, figure), one in zip(curves(found), found.findings, strict=True)
        ],
        "target": asked.target,
        "left_out": plan.left_out,
        "facts": _facts(found),
        "config": plan.config.to_yaml(),
        "profile": plan.profile.text,
        "command": command,
        "version": __version__,
    }
    write_text(path, template("requirements.html.j2").render(page), OTHER_PLACE, REPEAT)
    return path


def counted(number: float, what: str) -> str:
    """Return a number of things.

    >>> counted(1, "pair"), counted(0.5, "decade")
    ('1 pair', '0.5 decades')
    """
    return f"{number:g} {what}{'s' * (number != 1)}"


def _facts(found: Found) -> list[tuple[str, str]]:
    plan, asked = found.plan, found.plan.asked
    return [
        ("range", f"{counted(asked.decades, 'decade')} on each side, {counted(asked.points, 'value')} a side, and the "
                  "ideal"),
        ("seeds", ", ".join(map(str, asked.seeds))),
        ("runs", f"{plan.runs + len(found.pairs) * len(asked.seeds):,}, of one parameter at a time and "
                 f"{counted(len(found.pairs), 'pair')}"),
        ("writes", plan.write),
        ("perturbation", plan.perturbation),
        ("profile", plan.profile.hash[:12]),
    ]  # fmt: skip
