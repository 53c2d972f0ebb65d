"""Show the books of the chips: where the energy and the time went, and what the profiles leave unsaid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neuroanp.reporting.method import Method
from neuroanp.reporting.origins import ENERGY, TIME
from neuroanp.reporting.tables import Cell, Column, Row, Table, marked, names_of
from neuroanp.reporting.values import SILENT, digits, middle, numbers, quantity

Ledger = Mapping[str, Any]

NAMES = {"dac": "DAC", "adc": "ADC"}
STANDING = (("static_W", "static power", "W"), ("area_m2", "area", "m²"))
"""What the books have of chips whose profiles state it: what the chip is, whatever it does."""
APART = ("validation", "refit")
"""What else than updates a run does to learn, which its books have apart."""


def spent(group: Sequence[Method], ledgers: Mapping[str, Ledger]) -> Table | None:
    """Build the table of energy by kind, time, clipped conversions and pulses: a method a row, medians over seeds.

    Where a profile states them, also the power that flows all the time and the area of the chip's parts.

    Args:
        group: the methods of one task.
        ledgers: what `Ledger.report` wrote, by the path of the run.

    Returns: the table, or None where no run has ended. What a profile does not state is said, never 0.
    """
    kept = [(method, books) for method in group if (books := _books(method, ledgers))]
    if not kept:
        return None
    kinds = list(dict.fromkeys(kind for _, books in kept for ledger in books for kind in _part(ledger, "energy")))
    columns = [Column(header, numeric=False) for header, _ in names_of([method for method, _ in kept])]
    columns += [Column(_name(kind)) for kind in kinds]
    also = [(key, head, unit) for key, head, unit in STANDING if any(key in one for _, books in kept for one in books)]
    columns += [Column(head) for head in ("sum", "reading time", "writing time", "clipped", "pulses of most worn")]
    columns += [Column(head) for _, head, _ in also]
    named = [names for _, names in names_of([method for method, _ in kept])]
    rows = []
    for i, (method, books) in enumerate(kept):
        cells = [Cell(names[i]) for names in named]
        # a kind that a ledger does not name is of a part that its hardware does not have
        cells += [_amount([_part(ledger, "energy").get(kind, 0.0) for ledger in books], "J") for kind in kinds]
        cells += [marked(_sum(books, method.has_twin), method, ENERGY)]
        # reads take the steps of the run, a time that no profile states
        cells += [_time(books, "reads"), marked(_time(books, "writes"), method, TIME)]
        cells += [_clipped(books), _worn(books)]
        cells += [_standing([ledger.get(key) for ledger in books], unit) for key, _, unit in also]
        rows.append(Row("method", tuple(cells)))
    return Table(tuple(columns), tuple(rows))


def each_update(group: Sequence[Method], ledgers: Mapping[str, Ledger]) -> Table | None:
    """Build the table of what one update took (its mean), beside the first write of the weights and the whole run.

    Args:
        group: the methods of one task.
        ledgers: as `spent`: the run is the first write, its updates, and what else it did to learn, which is a part
            of its own then: looks at validation sequences, fitting the outputs in the end.

    Returns: the table, or None where no run that has ended did an update or any of these.
    """
    every = [(method, _books(method, ledgers)) for method in group]
    kept = [
        (method, some)
        for method, some in every
        if any(_part(ledger, key) for ledger in some for key in ("per_update", *APART))
    ]
    if not kept:
        return None
    named = names_of([method for method, _ in kept])
    also = [name for name in APART if any(_part(ledger, name) for _, some in kept for ledger in some)]
    apart = [(name, name) for name in also]
    parts = (("an update", "per_update"), ("first write", "first_write"), *apart, ("whole run", None))
    columns = [Column(header, numeric=False) for header, _ in named]
    columns += [Column(f"{name}: {what}") for name, _ in parts for what in ("energy", "chip time", "pulses")]
    rows = []
    for i, (method, some) in enumerate(kept):
        cells = [Cell(names[i]) for _, names in named]
        for _, key in parts:
            of = [ledger if key is None else _part(ledger, key) for ledger in some]
            if not any(of):  # it did none of that, which is not the same as a figure that is not stated
                cells += [Cell("")] * 3
                continue
            cells += [marked(_amount([part.get("energy_J") for part in of], "J"), method, ENERGY)]
            cells += [marked(_amount([part.get("time_s") for part in of], "s"), method, TIME)]
            cells += [_count([part.get("pulses") for part in of])]
        rows.append(Row("method", tuple(cells)))
    return Table(tuple(columns), tuple(rows))


def lower_bounds(group: Sequence[Method], ledgers: Mapping[str, Ledger]) -> list[str]:
    """Say of which profiles the energy is a lower bound, because they give no figure for a part."""
    missing: dict[str, dict[str, None]] = {}
    for method in group:
        for ledger in _books(method, ledgers):
            energy = _part(ledger, "energy")
            if numbers([ledger.get("energy_J")]):
                silent = {_name(kind): None for kind, joules in energy.items() if joules is None}
                missing.setdefault(method.profile, {}).update(silent)
    return [
        f"{profile} states no energy for {', '.join(kinds)}: its energy is a lower bound."
        for profile, kinds in missing.items()
        if kinds
    ]


def _books(method: Method, ledgers: Mapping[str, Ledger]) -> list[Ledger]:
    """Return the books of the method's finished runs."""
    return [ledger for result in method.finished if (ledger := ledgers.get(str(result["run"]), {}))]


def _part(ledger: Ledger, key: str) -> Mapping[str, Any]:
    part = ledger.get(key)
    return part if isinstance(part, Mapping) else {}


def _name(kind: str) -> str:
    return NAMES.get(kind, kind.replace("_", " "))


def _amount(values: Sequence[Any], unit: str) -> Cell:
    found = numbers(values)
    return Cell(quantity(middle(found), unit) if found else SILENT)


def _standing(values: Sequence[Any], unit: str) -> Cell:
    """Write a power, or an area, which is square millimetres of most chips."""
    found = numbers(values)
    if unit == "W" or not found:
        return _amount(values, unit)
    return Cell(f"{digits(1e6 * middle(found))} mm²")


def _count(values: Sequence[Any]) -> Cell:
    found = numbers(values)
    return Cell(digits(middle(found)) if found else SILENT)


def _sum(books: Sequence[Ledger], has_twin: bool) -> Cell:
    """Write the sum of what is stated, as a lower bound where a part is not or a digital twin computes besides."""
    cell = _amount([ledger.get("energy_J") for ledger in books], "J")
    partial = has_twin or any(joules is None for ledger in books for joules in _part(ledger, "energy").values())
    return Cell(f"≥ {cell.text}") if partial and cell.text != SILENT else cell


def _time(books: Sequence[Ledger], kind: str) -> Cell:
    if kind == "writes" and all("write_time" in (ledger.get("unstated") or ()) for ledger in books):
        return Cell(SILENT)
    return _amount([_part(ledger, "time").get(kind) for ledger in books], "s")


def _clipped(books: Sequence[Ledger]) -> Cell:
    found = numbers(ledger.get("clipped") for ledger in books)
    return Cell(f"{digits(100 * middle(found), 2)} %" if found else SILENT)


def _worn(books: Sequence[Ledger]) -> Cell:
    found = numbers(ledger.get("wear") for ledger in books)
    return Cell(digits(middle(found)) if found else SILENT)
