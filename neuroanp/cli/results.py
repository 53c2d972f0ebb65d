"""Print results on a terminal: a table a task, its controls, and what they say in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from neuroanp.reporting.tables import Cell, Column, Row

COSTS = ("passes", "energy", "chip time", "pulses", "wear")
"""Headers that go into a table of their own where one table would be too wide."""


def on_screen(results: Sequence[Mapping[str, Any]], out: "Console") -> Iterator["RenderableType"]:
    """Yield what shows `results` on `out`, task by task."""
    from rich.text import Text

    from neuroanp.reporting.tables import methods, results_table, verdicts

    by_task: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        by_task.setdefault(str(result["task"]), []).append(result)
    for task, of_task in by_task.items():
        group = methods(of_task)
        plain = results_table(group)
        yield from _methods(task, plain.columns, [row for row in plain.rows if row.kind != "control"], out)
        yield from _controls(plain.columns, [row for row in plain.rows if row.kind == "control"])
        for sentence in verdicts(group):
            yield Text.assemble(("* ", "yellow"), sentence)
        yield ""


def _methods(
    task: str, columns: Sequence["Column"], rows: Sequence["Row"], out: "Console"
) -> Iterator["RenderableType"]:
    """Yield one table, or two where one would not fit: what was reached, and what it cost."""
    every = list(range(len(columns)))
    whole = _of(task, columns, rows, every)
    if out.measure(whole, options=out.options.update(width=1000)).maximum <= out.width:
        yield whole
        return
    costs = [i for i in every if columns[i].header.startswith(COSTS)]
    names = [i for i in every if not columns[i].numeric]
    yield _of(task, columns, rows, [i for i in every if i not in costs])
    yield _of("what it cost", columns, rows, [*names, *costs])


def _of(title: str, columns: Sequence["Column"], rows: Sequence["Row"], which: Sequence[int]) -> "Table":
    """Return a table of some of the columns; the best row is bold."""
    table = _new(title)
    for i in which:
        justify = "right" if columns[i].numeric else "left"
        widest = max(len(part) for row in rows for part in (row.cells[i].text, row.cells[i].spread))
        table.add_column(_broken(columns[i].header, widest), justify=justify, no_wrap=True, vertical="top")
    for row in rows:
        table.add_row(*(_cell(row.cells[i]) for i in which), style="bold" if row.kind == "best" else None)
    return table


def _controls(columns: Sequence["Column"], rows: Sequence["Row"]) -> Iterator["Table"]:
    """Yield the table of the controls, if there are any: what each is, on which profile, its loss."""
    if not rows:
        return
    heads = [column.header for column in columns]
    which = [1, 0, heads.index("seeds"), heads.index("test loss")]
    yield _of("controls", [*columns[:1], type(columns[1])("control", numeric=False), *columns[2:]], rows, which)


def _new(title: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )


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
    from rich.text import Text

    text = Text(cell.text)
    if cell.spread:
        text.append("\n" + cell.spread, style="dim not bold")
    return text
