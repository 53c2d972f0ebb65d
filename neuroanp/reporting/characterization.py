"""Show what was measured of a device: tables of moments for page and terminal, and the page itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

from neuroanp.records.atomic import OTHER_PLACE, REPEAT, write_text
from neuroanp.reporting.tables import Cell, Column, Row, Table
from neuroanp.reporting.templating import template
from neuroanp.reporting.values import MISSING, digits, prefix

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from neuroanp.characterizing import Characterization, Measurement, Moment
    from neuroanp.characterizing.result import At, Map, Panel
    from neuroanp.reporting.pictures import Figure

SPANS = ((365.25 * 86400.0, "y"), (86400.0, "d"), (3600.0, "h"), (60.0, "min"))
"""Spans of time people count in, above a minute."""
COUNTS = ("steps", "per step")
"""Units that take no prefix."""
BLOCKS = "▁▂▃▄▅▆▇█"


def render(found: Characterization, path: Path, command: str | None = None) -> Path:
    """Write one HTML file that needs nothing but itself; the same measurements give the same bytes.

    Args:
        found: the measurements.
        path: the file to write.
        command: what to type to repeat them, or None.

    Raises: InputError or RunError if the file cannot be written.
    """
    from neuroanp.version import __version__

    sections = [
        {
            "about": one,
            "table": moments_table(one),
            "pictures": _pictures(one),
        }
        for one in found.measurements
    ]
    meta = found.profile.meta
    page = {
        "title": f"{meta.name}: characterization",
        "subtitle": meta.summary,
        "version": __version__,
        "meta": meta,
        "verdict": verdict(found),
        "sections": sections,
        "facts": _facts(found),
        "parameters": _parameters(found),
        "text": found.profile.text,
        "command": command,
    }
    write_text(Path(path), template("characterization.html.j2").render(page), OTHER_PLACE, REPEAT)
    return Path(path)


def _pictures(one: Measurement) -> list[Figure]:
    """Return the figure of each panel, drawn anew for a phone where it is wider than one."""
    from neuroanp.reporting.characterization_plots import draw
    from neuroanp.reporting.pictures import placed
    from neuroanp.reporting.style import WIDTH_OF_PHONE, narrowed

    drawn = draw(one)
    again: list[Drawing | None] = [None] * len(drawn)
    if any(figure.get_figwidth() > WIDTH_OF_PHONE for figure in drawn):
        with narrowed():
            again = [*draw(one)]
    figures = zip(drawn, again, one.panels, strict=True)
    return [placed(figure, f"{one.title}: {panel.title}", shown(panel), small) for figure, small, panel in figures]


def shown(panel: Panel | Map) -> str:
    """Say which values a panel shows, and over which range; of samples, where there are any.

    >>> import numpy as np
    >>> from neuroanp.characterizing.result import Axis, Panel, Series
    >>> curve = Series("", np.array([1.0, 86400.0]), np.array([0.0, 2e-6]))
    >>> shown(Panel("drift", Axis("age", "s"), Axis("sd", "S"), (curve,)))
    'Shown: sd 0 … 2 µS, over age 1 s … 1 d.'
    """
    from neuroanp.characterizing.result import Map

    if isinstance(panel, Map):
        return f"Shown: {panel.label} {between(panel.values.ravel().tolist(), panel.unit)}."
    x, y, _ = spark(panel, 2)
    return f"Shown: {panel.y.label} {between(y, panel.y.unit)}, over {panel.x.label} {between(x, panel.x.unit)}."


def verdict(found: Characterization) -> str:
    """Say how the sampled moments compare with what is expected of them."""
    compared = [moment for one in found.measurements for moment in one.moments if moment.expected is not None]
    scores = [abs(moment.z or 0.0) for moment in compared if moment.error > 0]
    exact = [moment for moment in compared if moment.error <= 0]
    wrong = sum(1 for moment in exact if moment.z != 0.0)
    parts = []
    if len(scores) > 1:
        usual = NormalDist().inv_cdf(0.5 * (1.0 + 0.5 ** (1.0 / len(scores))))
        parts.append(
            f"{len(scores)} moments were held to closed forms: the largest difference is {max(scores):.1f} standard "
            f"errors; chance alone makes the largest of {len(scores)} about {usual:.1f}."
        )
    elif scores:
        parts.append(f"One moment was held to a closed form: it differs by {scores[0]:.1f} standard errors.")
    if wrong:
        parts.append(f"{wrong} of {len(exact)} values without chance DIFFER from their closed form.")
    elif exact:
        many = f"{len(exact)} values without chance agree with their closed forms"
        parts.append(
            f"{many if len(exact) > 1 else 'One value without chance agrees with its closed form'} to rounding."
        )
    return " ".join(parts) or "No moment of this profile has a closed form to compare with."


def moments_table(one: Measurement) -> Table:
    """Return a measurement's moments as a table: sampled with its standard error, expected, difference.

    Columns in which nothing would stand are left out.
    """
    columns = (
        Column("quantity", numeric=False),
        Column("conditions", numeric=False),
        Column("sampled"),
        Column("expected"),
        Column("difference (SE)"),
    )
    rows = [_cells(moment) for moment in one.moments]
    used = [i for i in range(len(columns)) if any(row[i].text not in ("", MISSING) for row in rows)]
    kept = tuple(Row("method", tuple(row[i] for i in used)) for row in rows)
    return Table(tuple(columns[i] for i in used), kept)


def _cells(moment: Moment) -> tuple[Cell, ...]:
    sizes = [abs(moment.sampled), abs(moment.expected or 0.0), moment.error]
    power, letter = prefix([max(sizes)]) if moment.unit and "/" not in moment.unit else (0, "")
    unit = f" {letter}{moment.unit}" if moment.unit else ""

    def written(value: float) -> str:
        return f"{_to(value / 10.0**power, moment.error / 10.0**power)}{unit}"

    return (
        Cell(moment.quantity),
        Cell(", ".join(condition(at) for at in moment.at)),
        Cell(written(moment.sampled), f"± {written(moment.error)}" if moment.error > 0 else ""),
        Cell(MISSING if moment.expected is None else written(moment.expected)),
        Cell(_difference(moment)),
    )


def _to(value: float, error: float) -> str:
    """Write a number to the second digit of its standard error, or to four digits where it has none.

    >>> _to(26.7794, 6.66), _to(-0.3, 23.4), _to(1.07403, 0.0076), _to(3.21e-5, 2.2e-7), _to(0.333333, 0.0)
    ('26.8', '0', '1.0740', '3.210e-5', '0.3333')
    """
    if not error > 0:
        return digits(value, 4)
    size = math.floor(math.log10(error))
    if max(abs(value), error) < 1e-3:
        return digits(value, max(math.floor(math.log10(max(abs(value), error))) - size + 2, 2))
    return f"{round(value, 1 - size) + 0.0:.{max(1 - size, 0)}f}"


def _difference(moment: Moment) -> str:
    if moment.z is None:
        return MISSING
    if moment.error <= 0:
        return "none" if moment.z == 0 else "differs"
    return f"{moment.z + 0.0:+.1f}" if abs(moment.z) >= 0.05 else "0.0"


def condition(at: At) -> str:
    """Write a condition as a person says it.

    >>> from neuroanp.characterizing.result import At
    >>> [condition(at) for at in (At("target", 1.25e-5, "S"), At("age", 86400.0, "s"), At("pulses", 50.0))]
    ['target 12.5 µS', 'age 1 d', 'pulses 50']
    """
    return f"{at.name} {said(at.value, at.unit)}"


def said(value: float, unit: str) -> str:
    """Write a value with its unit; long times in minutes, hours, days and years.

    >>> said(2592000.0, "s"), said(0.001, "s"), said(0.5, ""), said(0.0, "S")
    ('30 d', '1 ms', '0.5', '0 S')
    """
    if unit == "s":
        for seconds, name in SPANS:
            if value >= seconds:
                return f"{value / seconds:.3g} {name}"
    if not unit or unit in COUNTS:
        return f"{value:.4g} {unit}".strip()
    power, letter = prefix([value])
    return f"{value / 10.0**power:.4g} {letter}{unit}"


def between(values: Sequence[float], unit: str) -> str:
    """Write the range of values; what vanishes beside the largest is 0.

    >>> between([1e-22, 2.5e-6, 2.5e-5], "S"), between([0.001, 1e7], "s")
    ('0 … 25 µS', '1 ms … 116 d')
    """
    low, high = min(values), max(values)
    if unit == "s":
        return f"{said(low, unit)} … {said(high, unit)}"
    power, letter = prefix([max(abs(low), abs(high))]) if unit and "/" not in unit else (0, "")
    scale = 10.0**power
    shown = [0.0 if abs(v) < 1e-9 * max(abs(low), abs(high)) else v / scale for v in (low, high)]
    texts = [f"{v:,.0f}" if 1000 <= abs(v) < 1e6 else f"{v:.3g}" for v in shown]
    return f"{texts[0]} … {texts[1]} {letter}{unit}".strip()


def _facts(found: Characterization) -> list[tuple[str, str]]:
    profile = found.profile
    span, statuses = profile.conductance, Counter(origin.status for origin in profile.provenance.values())
    facts = [
        ("range", f"{said(span.g_min, 'S')} to {said(span.g_max, 'S')}, {span.coding} coding"),
        ("parameters", ", ".join(f"{count} {status}" for status, count in statuses.most_common())),
        ("profile", profile.hash[:12]),
        ("seed", str(found.seed)),
        ("devices", f"{found.devices:,} under each condition, unless a section says otherwise"),
    ]
    if profile.environment is not None:
        facts.insert(1, ("temperature", f"{profile.temperature:g} K"))
    return facts


def _parameters(found: Characterization) -> tuple[list[tuple[str, str, str, str]], list[str]]:
    """Return (key, value, status, number of the source) of every parameter, and the sources."""
    from neuroanp.yaml_io import dotted

    origins, whose = found.profile.provenance, found.profile.inherited
    sources = list(dict.fromkeys(origin.source for origin in origins.values()))
    rows = []
    for leaf in found.profile.leaves():
        key = dotted(leaf.key)
        origin = origins.get(key)
        number = "" if origin is None else f"({sources.index(origin.source) + 1})"
        status = "" if origin is None else origin.status
        status += f", inherited from {whose[key]}" if key in whose else ""
        rows.append((key, leaf.text, status, number))
    return rows, sources


def spark(panel: Panel, width: int) -> tuple[list[float], list[float], str]:
    """Return x and y of the curve of a panel that varies most, and its shape in `width` characters.

    Closed forms and single devices are left out where there is anything else; what cannot be negative is drawn from 0.
    """
    import numpy as np

    sampled = [one for one in panel.series if one.kind in ("points", "steps")]
    series = max(sampled or [one for one in panel.series if one.kind == "line"], key=lambda one: np.ptp(one.y))
    keep = np.isfinite(series.y) & ((series.x > 0) | (not panel.x.log)) & ((series.y > 0) | (not panel.y.log))
    x, y = series.x[keep], series.y[keep]
    along = np.log(x) if panel.x.log else x
    even = np.interp(np.linspace(along[0], along[-1], min(width, len(x))), along, y)
    return x.tolist(), y.tolist(), sparkline(even.tolist(), panel.y.log, from_zero=bool((y >= 0).all()))


def sparkline(values: Sequence[float], log: bool = False, from_zero: bool = False) -> str:
    """Return values as block characters, from the lowest to the highest.

    Args:
        values: finite; positive where `log`.
        log: scale heights by the logarithm.
        from_zero: the lowest character stands for 0, unless `log`.

    >>> sparkline([0, 1, 2, 3, 4, 5, 6, 7]), sparkline([1.0, 1.0]), sparkline([1.0, 10.0, 100.0], log=True)
    ('▁▂▃▄▅▆▇█', '▄▄', '▁▅█')
    """
    heights = [math.log(v) if log else float(v) for v in values]
    low, high = 0.0 if from_zero and not log else min(heights), max(heights)
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return BLOCKS[3] * len(heights)
    return "".join(BLOCKS[min(int((v - low) / (high - low) * 8), 7)] for v in heights)
