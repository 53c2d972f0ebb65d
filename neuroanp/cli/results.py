"""Print results on a terminal: a table a task, its controls, and what they say in words."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neuroanp.cli.screen import text, texts
from neuroanp.errors import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from neuroanp.reporting.reading import Shown
    from neuroanp.reporting.tables import Cell, Column, Row
    from neuroanp.reporting.tables import Table as PlainTable

COSTS = ("passes", "energy", "chip time", "pulses", "wear")
"""Headers that go into a table of their own where one table would be too wide."""


def on_screen(
    runs: Sequence["Shown"], out: "Console", tuned: Sequence[Mapping[str, Any]] = ()
) -> Iterator["RenderableType"]:
    """Yield what shows the runs on `out`, task by task; runs that differ in an option are rows of their own.

    Args: runs: those. out: where. tuned: what was chosen for them on other seeds, a search each.
    """

    from neuroanp.reporting import ablation, ending, health, retention, spikes, transfer, tuning
    from neuroanp.reporting.books import lower_bounds
    from neuroanp.reporting.footnotes import rests_on
    from neuroanp.reporting.method import methods
    from neuroanp.reporting.ranking import ranking
    from neuroanp.reporting.reading import kinds_of_loss, variants
    from neuroanp.reporting.tables import not_counted, results_table, verdicts
    from neuroanp.reporting.warned import grouped

    for task in dict.fromkeys(one.task for one in runs):
        every = [one for one in runs if one.task == task]
        ablated = ablation.ablations(every)
        apart = {path for one in ablated for path in one.runs}
        here = [one for one in every if str(one.run.path) not in apart]
        group = methods([one.result for one in here], variants(here))
        plain = results_table(group)
        yield texts((str(here[0].result["task"]), "bold"), (f"  {here[0].task_options}", "dim"))
        yield from _methods(plain.columns, [row for row in plain.rows if row.kind != "control"], out)
        yield from _controls(plain.columns, [row for row in plain.rows if row.kind == "control"])
        searches = tuning.alike(tuning.of_task(tuned, task))
        for some in searches:
            yield _tuning(some, out)
        kept = retention.table(group)
        if kept is not None:
            yield _whole("retention: test loss after the chip has lain idle", kept, out)
        for one in ablated:
            yield _whole(f"what each non-ideality costs: {one.label}", ablation.table(one), out)
        ledgers = {str(one.result["run"]): one.ledger for one in here}
        limits = health.limits_reached(group, {str(one.result["run"]): one.health for one in here})
        told = [*transfer.sentences(transfer.transfers(here)), *map(ablation.headline, ablated)]
        firing = [*spikes.silent_layers(group, here), *spikes.sentences(group, here)]
        ended = [*ending.sentences(group, here), *(line for some in searches for line in tuning.sentences(some))]
        energies = [*rests_on(group), *lower_bounds(group, ledgers), *not_counted(group)]
        damage = [line for one in every for line in one.damage]
        said = [one.said for one in grouped([*verdicts(group), *limits], [m.label for m in group])]
        yield sentences([*damage, *told, *ranking(group), *said, *firing, *ended, *energies])
    if several := kinds_of_loss(runs):
        yield sentences(several)


def _whole(title: str, plain: "PlainTable", out: "Console") -> "Table":
    """Return a table, of medians alone where their ranges would not fit."""
    every = range(len(plain.columns))
    table = _of(title, plain.columns, plain.rows, every)
    if _fits(table, out):
        return table
    rows = [type(row)(row.kind, tuple(cell._replace(spread="") for cell in row.cells)) for row in plain.rows]
    return _of(f"{title} (medians; the report has the ranges)", plain.columns, rows, every)


def in_parts(
    title: str, plain: "PlainTable", parts: Sequence[Sequence[str]], out: "Console"
) -> Iterator["RenderableType"]:
    """Yield one table or, where it would not fit, one for each part of its columns, without ranges, or halved.

    Args:
        title: of the table. plain: the table. parts: headers of columns that belong together; those that are in none
            come with each. out: where it is shown.
    """
    heads = [column.header for column in plain.columns]
    names = [i for i, head in enumerate(heads) if not any(head in part for part in parts)]
    bare = [type(row)(row.kind, tuple(cell._replace(spread="") for cell in row.cells)) for row in plain.rows]
    whole = _of(title, plain.columns, plain.rows, range(len(heads)))
    if _fits(whole, out):
        yield whole
        return
    left = [*parts]
    while left:
        part = left.pop(0)
        which = [*names, *(heads.index(head) for head in part)]
        tables = [_of(title, plain.columns, rows, which) for rows in (plain.rows, bare)]
        table = next((table for table in tables if _fits(table, out)), None)
        if table is None and len(part) > 1:
            half = -(-len(part) // 2)
            left = [part[:half], part[half:], *left]
            continue
        yield table or tables[1]
        title = ""


def _tuning(searches: Sequence[Mapping[str, Any]], out: "Console") -> "Table":
    """Return the table of what was tried, side by side where that fits, of medians alone if need be."""
    from neuroanp.reporting import tuning

    title = tuning.title(searches)
    side_by_side = _whole(title, tuning.table(searches), out)
    return side_by_side if _fits(side_by_side, out) else _whole(title, tuning.table(searches, wide=False), out)


def rows_on_screen(rows: Sequence[Mapping[str, Any]]) -> Iterator["RenderableType"]:
    """Yield what shows the rows of `neuroanp evaluate`: one evaluation of one run after each idle time."""

    from neuroanp.reporting.tables import Cell, Column, Row
    from neuroanp.reporting.values import digits

    first = rows[0]
    after = f"after {first['update']} update{'s' * (first['update'] != 1)}"
    after += f", outputs fitted to {first['refit']} sequences" if "refit" in first else ""
    what = f"  {first['rule']} on {first['profile']}, seed {first['seed']}, {after}"
    what += f", loss {first['loss']}" if "loss" in first else ""
    yield texts((str(first["task"]), "bold"), (what, "dim"))
    yield text(f"effects on: {', '.join(first['effects']) or 'none'}", style="dim")
    scores = [name for name in first["score"] if name not in ("loss", "mse")]
    columns = [Column("after", numeric=False), Column("test loss"), Column("noise-free"), *map(Column, scores)]
    compensated = "drift_factors" in first
    columns += [Column("outputs x")] * compensated
    columns = [Column(column.header.replace("_", " "), column.numeric) for column in columns]
    plain = [
        Row("method", (
            Cell(str(row["after"])), *(Cell(digits(row[key])) for key in ("test_loss", "test_loss_noise_free")),
            *(Cell(digits(row["score"][name])) for name in scores),
            *([Cell(_between(row["drift_factors"].values()))] if compensated else []),
        ))
        for row in rows
    ]  # fmt: skip
    yield _of("", columns, plain, range(len(columns)))


def lives_on_screen(rows: Sequence[Mapping[str, Any]]) -> Iterator["RenderableType"]:
    """Yield what shows the rows of `neuroanp live`: the losses of one chip at each time, left alone and kept."""
    from neuroanp.reporting.tables import Cell, Column, Row
    from neuroanp.reporting.values import digits

    first = rows[0]
    what = (
        f"  {first['profile']}, seed {first['seed']}; {first['rule']} relearns, {rows[-1]['updates']} updates at rate "
    )
    what += f"{first['lr']:g}" + (f"; loss {first['loss']}" if "loss" in first else "")
    yield texts((str(first["task"]), "bold"), (what, "dim"))
    heads = ("left alone", "before", "relearned", "energy", "chip time", "pulses", "wear")
    columns = [Column("after", numeric=False), *map(Column, heads)]
    plain = []
    for row in rows:
        losses = [digits(row["unattended"])]
        losses += [digits(row[key]) if row["updates"] else "" for key in ("before", "test_loss")]
        spent = [_amount(row["energy_J"], "J"), _amount(row["chip_time_s"], "s"), f"{row['pulses']:,}"]
        wear = "–" if row["wear_fraction"] is None else digits(row["wear_fraction"])
        cells = [row["after"], *losses, *(spent if row["updates"] else ["", "", ""]), wear]
        plain.append(Row("method", tuple(Cell(str(each)) for each in cells)))
    yield _of("", columns, plain, range(len(columns)))


def _amount(value: float | None, unit: str) -> str:
    from neuroanp.units import format_quantity

    return "–" if value is None else format_quantity(value, unit, 3)


def _between(factors: Collection[float]) -> str:
    """Write the least and the largest of the factors that make up for drift, or the one that they all are."""
    low, high = (f"{end(factors):.3f}" for end in (min, max))
    return low if low == high else f"{low} to {high}"


def _methods(columns: Sequence["Column"], rows: Sequence["Row"], out: "Console") -> Iterator["RenderableType"]:
    """Yield one table or, where it would not fit, what was reached and then what it cost, in parts that fit."""
    every = list(range(len(columns)))
    if _fits(_of("", columns, rows, every), out):
        yield _of("", columns, rows, every)
        return
    costs = [i for i in every if columns[i].header.startswith(COSTS)]
    names = [i for i in every if not columns[i].numeric]
    reached = [i for i in every if i not in costs]
    bare = [type(row)(row.kind, tuple(cell._replace(spread="") for cell in row.cells)) for row in rows]
    first = _of("", columns, rows, reached)
    yield first if _fits(first, out) else _of("medians; the report has the ranges", columns, bare, reached)
    for parts in range(1, len(costs) + 1):
        size = -(-len(costs) // parts)
        tables = [
            _of("what it cost" if start == 0 else "", columns, rows, [*names, *costs[start : start + size]])
            for start in range(0, len(costs), size)
        ]
        if parts == len(costs) or all(_fits(table, out) for table in tables):
            yield from tables
            return


def _fits(table: "Table", out: "Console") -> bool:
    return out.measure(table, options=out.options.update(width=1000)).maximum <= out.width


def sentences(lines: Sequence[str]) -> "Table":
    """Return sentences under a hanging mark, with an empty line below."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 1, 0, 0))
    for line in lines:
        grid.add_row(text("*", style="yellow"), text(line))
    grid.add_row("", "")
    return grid


def _of(title: str, columns: Sequence["Column"], rows: Sequence["Row"], which: Sequence[int]) -> "Table":
    """Return a table of some of the columns; strong cells are bold."""
    table = _new(title)
    for i in which:
        justify = "right" if columns[i].numeric else "left"
        widest = max(len(part) for row in rows for part in (*row.cells[i].text.split(", "), row.cells[i].spread))
        table.add_column(_broken(columns[i].header, widest), justify=justify, no_wrap=True, vertical="top")
    for row in rows:
        table.add_row(*(_cell(row.cells[i]) for i in which))
    return table


def _controls(columns: Sequence["Column"], rows: Sequence["Row"]) -> Iterator["Table"]:
    """Yield the table of the controls, if there are any: what each is, on which profile, its loss."""
    if not rows:
        return
    heads = [column.header for column in columns]
    said = [i for i, head in enumerate(heads) if head == "options" and any(row.cells[i].text for row in rows)]
    name = heads.index("rule")
    which = [name, *(i for i, head in enumerate(heads) if head in ("backend", "profile")), *said]
    which += [heads.index("seeds"), heads.index("test loss")]
    named = [type(column)("control", numeric=False) if i == name else column for i, column in enumerate(columns)]
    yield _of("controls", named, rows, which)


def _new(title: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(
        title=title or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False,
        padding=(0, 1, 0, 0),
    )  # fmt: skip


def _broken(header: str, widest: int) -> str:
    """Put a header's unit, or its second word, on a line of its own where the column is narrower than the header.

    >>> _broken("energy (nJ)", 4), _broken("test loss", 18)
    ('energy\\n(nJ)', 'test loss')
    """
    if len(header) <= widest:
        return header
    return header.replace(" (", "\n(") if " (" in header else header.replace(" ", "\n", 1)


def _cell(cell: "Cell") -> "RenderableType":
    """Return a value with its range over the seeds below it, in lighter type."""

    found = text(cell.text.replace(", ", "\n"), "bold" if cell.strong else "")  # a list of options: one a line
    if cell.spread:
        found.append("\n" + printable(cell.spread), style="dim not bold")
    return found
