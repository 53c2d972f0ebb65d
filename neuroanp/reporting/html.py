"""Write the report: one HTML file that needs nothing but itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroanp.errors import InputError
from neuroanp.records.atomic import OTHER_PLACE, REPEAT, write_text
from neuroanp.records.metrics import Metrics
from neuroanp.records.run_dir import RunDir
from neuroanp.reporting import (
    ablation,
    books,
    devices,
    ending,
    episodes,
    health,
    insights,
    parts,
    plots,
    spikes,
    tables,
)
from neuroanp.reporting.footnotes import classes, rests_on
from neuroanp.reporting.method import Method, methods
from neuroanp.reporting.origins import numbers_of
from neuroanp.reporting.parts import Part
from neuroanp.reporting.pictures import Figure, pictured, uncollected
from neuroanp.reporting.ranking import best, ranking
from neuroanp.reporting.reading import Shown, kinds_of_loss, shown, variants
from neuroanp.reporting.style import Look
from neuroanp.reporting.templating import template
from neuroanp.reporting.tuning import of_task
from neuroanp.reporting.values import middle
from neuroanp.reporting.warned import Warned, grouped

ENVIRONMENT = ("code", "commit", "python", "torch", "numpy", "brian2", "platform", "host")
BEHIND = ("seeds", "class")
"""Columns of the results that tell of their making: a page has them last."""
ENOUGH = 50
"""Points of a learning curve: where the tests have fewer, the training loss is drawn, and tests as marks on it."""
MOST = 10
"""A figure shows so many methods, those of the lowest medians: more names would leave no room for curves."""


@dataclass(frozen=True)
class Section:
    """What the page says of one task."""

    title: str
    options: str
    loss: str
    headline: str
    table: tables.Table
    notes: list[str]
    verdicts: list[str]
    warnings: list[Warned]
    curves: Figure | None
    trade_offs: Figure | None
    unstated: list[str]
    parts: list[Part]
    spikes: Part | None
    books: tables.Table | None
    each_update: tables.Table | None
    lower_bounds: list[str]
    predictions: list[Figure]
    world: bool
    capped: bool


def render(
    runs: Sequence[RunDir], path: Path, command: str | None, title: str | None = None,
    tuning: Sequence[Mapping[str, Any]] = (),
) -> Path:  # fmt: skip
    """Write the report of one run or of many.

    Args:
        runs: their directories; runs of several tasks get a section for each task.
        path: the HTML file to write.
        command: what to type to repeat them, or None to show each run's own.
        title: the page's title; made from the runs if None.
        tuning: what was chosen for them on other seeds, a search each (see `reporting.tuning`).

    Returns: the path.

    Raises:
        InputError: there is no run, or a file of one is damaged.
        RunError: the report cannot be written.
    """
    if not runs:
        raise InputError("no runs to report on; name a run directory, or a directory of runs")
    with uncollected():
        write_text(Path(path), _page([shown(run) for run in runs], command, title, tuning), OTHER_PLACE, REPEAT)
    return Path(path)


def _page(every: Sequence[Shown], command: str | None, title: str | None, tuning: Sequence[Mapping[str, Any]]) -> str:
    """Return the page of some runs; arguments as of `render`."""
    switched = {path for one in ablation.ablations(every) for path in one.runs}
    return template("report.html.j2").render({
        "title": title or _title(every),
        "subtitle": _subtitle(every),
        "damage": [line for one in every for line in one.damage],
        "sections": [
            section([one for one in every if one.task == name], of_task(tuning, name)) for name in _tasks(every)
        ],
        "kinds_of_loss": kinds_of_loss(every),
        "update": tables.UPDATE,
        "devices": _devices(every),
        "command": command,
        "commands": _commands(every),
        "facts": _facts(every),
        "log": _log(every),
        "configs": _configs([one for one in every if str(one.run.path) not in switched]),
        "runs": [(one.result, one.run.path) for one in every],
        "backends": len({one.result["backend"] for one in every}) > 1,
    })  # fmt: skip


def section(every: Sequence[Shown], tuned: Sequence[Mapping[str, Any]] = ()) -> Section:
    """Return what a page says of the runs of one task.

    Args: every: those. tuned: what was chosen for them on other seeds, a search each.
    """
    ablated = ablation.ablations(every)
    apart = {path for one in ablated for path in one.runs}  # these runs are in the ablation's table
    runs = [one for one in every if str(one.run.path) not in apart]
    group = methods([one.result for one in runs], variants(runs))
    ledgers = {str(one.run.path): one.ledger for one in runs}
    leading = tables.leading(group, MOST)
    trade_offs = _trade_offs(leading, _left_out(group))
    verdicts = [
        *tables.verdicts(group),
        *health.limits_reached(group, {str(one.run.path): one.health for one in runs}),
        *spikes.silent_layers(group, runs),
        *ending.sentences(group, runs),
    ]
    return Section(
        title=str(runs[0].result["task"]),
        options=runs[0].task_options,
        loss=runs[0].loss,
        headline=tables.headline(group),
        table=numbers_first(tables.results_table(group)),
        notes=[
            *_won(group),
            *tables.reads_all(group),
            *classes(group),
            *rests_on(group),
            *tables.not_counted(group),
        ],
        verdicts=verdicts,
        warnings=grouped(verdicts, [m.label for m in group]),
        curves=_curves(leading, runs, _left_out(group)),
        trade_offs=trade_offs,
        unstated=[
            said
            for key, what in (("energy_J", "energy"), ("chip_time_s", "chip time"), ("wear", "endurance"))
            if trade_offs and (said := tables.unstated(leading, key, what))
        ],
        parts=parts.of_section(runs, ablated, group, leading, _left_out(group), tuned),
        spikes=spikes.part(group, leading, runs),
        books=books.spent(group, ledgers),
        each_update=books.each_update(group, ledgers),
        lower_bounds=books.lower_bounds(group, ledgers),
        predictions=_predictions(leading, runs),
        world=episodes.of_world(group),
        capped=len(leading) < len(group),
    )


def numbers_first(table: tables.Table) -> tables.Table:
    """Return the results as a page has them: the loss beside the names, how many seeds and of which class last.

    So that a narrow screen shows the number that matters before it is scrolled.
    """
    last = [i for i, column in enumerate(table.columns) if column.header in BEHIND]
    order = [*(i for i in range(len(table.columns)) if i not in last), *last]
    rows = (tables.Row(row.kind, tuple(row.cells[i] for i in order)) for row in table.rows)
    return tables.Table(tuple(table.columns[i] for i in order), tuple(rows))


def _won(group: Sequence[Method]) -> list[str]:
    """Return how the best method is told apart; where there is none the headline says why."""
    return ranking(group) if best(group) is not None else []


def _left_out(group: Sequence[Method]) -> str:
    """Say that figures do not show all methods, as the end of a caption; the empty string if they do."""
    return f" The {MOST} lowest medians of {len(group)} methods; the table has all." if len(group) > MOST else ""


def _curves(group: Sequence[Method], runs: Sequence[Shown], left_out: str) -> Figure | None:
    metrics = {str(one.run.path): one.metrics for one in runs}
    if episodes.of_world(group):
        return _returns(group, metrics, left_out)
    tested = all(len(one.metrics.series("test_loss")[0]) >= ENOUGH for one in runs if len(one.metrics) > 1)
    trained = any(len(one.metrics.series("train_loss")[0]) > 1 for one in runs)
    column = "test_loss" if tested or not trained else "train_loss"
    learned = [m for m in group if any(len(metrics[r["run"]]) > 1 for r in m.results if r["run"] in metrics)]
    what = (
        "Test loss" if column == "test_loss" else f"Training loss (running median over {100 * plots.SMOOTH:g} % of it)"
    )
    caption = f"{insights.of_curves(learned, metrics)}{what}: median over seeds, and their range as a band."
    caption += "" if column == "test_loss" else " Marks: the median test loss."
    caption += " Dashed: the controls' median test loss."
    far = plots.far_off(learned, *plots.extent(learned, metrics, column))
    return pictured(
        lambda: plots.learning_curves(learned, metrics, column),
        f"Learning curves of {', '.join(m.label for m in learned)}", f"{caption}{far}{left_out}",
    )  # fmt: skip


def _returns(group: Sequence[Method], metrics: Mapping[str, Metrics], left_out: str) -> Figure | None:
    caption = (
        "Mean return of the test episodes: median over seeds, and their range as a band. Dashed: the controls' median."
    )
    return pictured(
        lambda: episodes.return_curves(group, metrics), f"Returns of {', '.join(m.label for m in group)}",
        f"{caption}{left_out}",
    )  # fmt: skip


def _trade_offs(group: Sequence[Method], left_out: str) -> Figure | None:
    caption = (
        f"{insights.of_costs(group)}Test loss against what training took of the chip: array reads, converters, writes, "
        f"node noise and unit updates; {tables.UPDATE}. Endurance used: the most worn device's share. "
        f"Small marks: seeds; large: medians. Low and left is best.{left_out}"
    )
    caption += "".join(f" {line}" for line in rests_on(group, marks=False))
    twins = dict.fromkeys(m.rule for m in group if m.has_twin)
    if twins:
        caption += (
            " Not shown against energy and chip time, because what the digital twin computes is not counted: "
            f"{', '.join(twins)}."
        )
    alt = "Test loss against energy, chip time and endurance used"
    return pictured(lambda: plots.trade_offs(group), alt, caption)


def _predictions(group: Sequence[Method], runs: Sequence[Shown]) -> list[Figure]:
    """Draw for each backend and profile the median seed of its method of the lowest median loss."""
    by_path = {str(one.run.path): one for one in runs}
    look, figures = Look(group), []
    for names in dict.fromkeys((m.backend, m.profile) for m in group):
        ranked = [m for m in group if (m.backend, m.profile) == names and m.values("test_loss")]
        if not ranked:
            continue
        lowest = min(ranked, key=lambda m: middle(m.values("test_loss")))
        typical = min(lowest.finished, key=lambda r: abs((r["test_loss"] or 0) - middle(lowest.values("test_loss"))))
        name, colour = f"{lowest.label}, seed {typical['seed']}", look.colour(lowest)
        if episodes.of_world(group):
            if (went := by_path[typical["run"]].episodes()) is not None:
                figures.append(_episode(name, colour, went))
            continue
        arrays = by_path[typical["run"]].predictions()
        if arrays is not None and arrays["mask"].any():
            figures.append(_predicted(name, colour, arrays, "persistence" in (typical["controls"] or {})))
    return [figure for figure in figures if figure is not None]


def _episode(name: str, colour: str, went: Mapping[str, Any]) -> Figure | None:
    caption = "Step by step until the episode ends: what it saw, what it made of that, and the reward so far."
    return pictured(lambda: episodes.rollout(name, colour, went), f"An episode: {name}", caption)


def _predicted(name: str, colour: str, arrays: Mapping[str, Any], forecast: bool) -> Figure | None:
    alt, caption = f"Prediction against target: {name}", insights.of_prediction(arrays)
    return pictured(lambda: plots.prediction(name, colour, arrays, forecast), alt, caption)


def _devices(every: Sequence[Shown]) -> list[dict[str, Any]]:
    """Return name, facts and text of each profile once, by its hash; once a backend where the facts differ."""
    found: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for one in every:
        profile = one.run.manifest.get("profile")
        about = profile if isinstance(profile, Mapping) else {}
        key = (str(one.result["profile"]), str(about.get("hash", "")))
        device = one.run.manifest.get("device")
        known = device if isinstance(device, Mapping) else {}
        facts, parts = devices.facts({k: v for k, v in known.items() if k != "profile"}), devices.parts(known)
        text = str(about.get("text", ""))
        card = {
            "name": key[0],
            "hash": key[1],
            "facts": facts,
            "parts": parts,
            "text": text,
            "rests": numbers_of(about),
        }
        found.setdefault(key, {}).setdefault(str(one.result["backend"]), card)
    cards = []
    for by_backend in found.values():
        first, *others = by_backend.values()
        if all(card == first for card in others):
            cards.append(first)
        else:
            cards += [card | {"name": f"{card['name']} · {backend}"} for backend, card in by_backend.items()]
    return cards


def _facts(every: Sequence[Shown]) -> list[tuple[str, str]]:
    manifests = [one.run.manifest for one in every]
    seeds = dict.fromkeys(str(one.result["seed"]) for one in every)
    facts = [
        ("seeds", ", ".join(seeds)),
        ("started", _edge(manifests, "started", min)),
        ("ended", _edge(manifests, "ended", max)),
    ]
    for name in ENVIRONMENT:
        facts.append((name, ", ".join(dict.fromkeys(str(m[name]) for m in manifests if m.get(name)))))
    return [(name, value) for name, value in facts if value]


def _edge(manifests: Sequence[Mapping[str, Any]], name: str, pick: Any) -> str:
    times = [str(m[name]) for m in manifests if m.get(name)]  # ISO times: the order of the texts is that of the times
    return pick(times) if times else ""


def _log(every: Sequence[Shown]) -> list[tuple[str, str]]:
    """Return each line said by the runs once, with who said it; of lines that differ in numbers alone, the first."""
    said: dict[str, dict[str, list[str]]] = {}
    for one in every:
        for line in map(str, one.run.manifest["log"]):
            alike = said.setdefault(re.sub(r"(?<!\w)\d[\d.e+-]*", "#", line), {})
            alike.setdefault(line, []).append(" · ".join(_names(one, every, "profile", "rule")))
    return [_who(alike, len(every)) for alike in said.values()]


def _who(alike: Mapping[str, Sequence[str]], runs: int) -> tuple[str, str]:
    line, *others = alike
    who = [name for names in alike.values() for name in names]
    names = "all runs" if len(who) == runs else ", ".join(dict.fromkeys(who))
    return line, f"{names}; and so {len(others)} more, with other numbers" if others else names


def _commands(every: Sequence[Shown]) -> list[str]:
    return list(dict.fromkeys(one.command for one in every))


def _configs(every: Sequence[Shown]) -> list[tuple[str, str]]:
    """Return (name, text) of the configuration of each method's first run."""
    texts: dict[str, str] = {}
    for one, variant in zip(every, variants(every), strict=True):
        name = " · ".join(part for part in (*_names(one, every, "task", "profile", "rule"), variant) if part)
        texts.setdefault(f"{name}, seed {one.result['seed']}" if len(every) == 1 else name, one.run.config_text)
    return list(texts.items())


def _names(one: Shown, every: Sequence[Shown], *names: str) -> list[str]:
    """Return what a run is named by, with its backend where several are in the page."""
    several = len({other.result["backend"] for other in every}) > 1
    return [str(one.result[name]) for name in (*names, *(["backend"] * several))]


def _tasks(every: Sequence[Shown]) -> list[str]:
    return list(dict.fromkeys(one.task for one in every))


def _title(every: Sequence[Shown]) -> str:
    tasks = dict.fromkeys(str(one.result["task"]) for one in every)
    profiles = list(dict.fromkeys(str(one.result["profile"]) for one in every))
    backends = list(dict.fromkeys(str(one.result["backend"]) for one in every))
    by = f" by {', '.join(backends)}" if len(backends) > 1 else ""
    return f"{', '.join(tasks)} on {', '.join(profiles)}{by}"


def _subtitle(every: Sequence[Shown]) -> str:
    counts = Counter(str(one.result["status"]) for one in every)
    states = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    runs = f"{len(every)} run{'s' * (len(every) != 1)} ({states})"
    version = ", ".join(dict.fromkeys(str(one.run.manifest.get("neuroanp", one.run.manifest["code"])) for one in every))
    return f"{runs} · neuroanp {version}"
