"""Find the columns that a fit asks for, by their names or, where those say nothing, by their units."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from neuroanp.errors import did_you_mean
from neuroanp.fitting.table import CONDUCTANCE, CURRENT, RESISTANCE, Column
from neuroanp.tables import Sheet
from neuroanp.tables.headings import fold, readings, scale, unit_of
from neuroanp.units import Dimension

ALIASES = {"time": ("t",), "voltage": ("v", "u"), "conductance": ("g",)}
"""Symbols that columns of a quantity go by."""
_PLAIN_UNIT = re.compile(r"[fpnuµμmkMG]?(?:s|V|A|S|ohm|Ω)")
"""Units that tell a quantity without its name: pint also knows years (a) and bytes (b)."""


@dataclass(frozen=True)
class Found:
    """A column of the file that holds what a fit asks for.

    Args:
        column: what was asked for; index: where it is.
        unit: as written, "" for plain numbers; dimension: what it measures.
        factor: SI units in one of it.
        inverse: a resistance, whose inverse is the conductance asked for.
        v_read: volts that a current was divided by; None: no current.
        why: how it was told, where its name does not say it.
    """

    column: Column
    index: int
    unit: str = ""
    dimension: Dimension | None = None
    factor: float = 1.0
    inverse: bool = False
    v_read: float | None = None
    why: str = ""


def match(sheet: Sheet, columns: Sequence[Column], v_read: float | None = None) -> tuple[list[Found], list[str]]:
    """Return the columns that a fit asks for, and a line for each that is not there or of a wrong unit.

    Args:
        sheet: the file.
        columns: what is asked for.
        v_read: volts at which currents were read, which makes conductances of them.
    """
    where = f"{sheet.label}:{sheet.layout.header + 1}"
    problems: list[str] = []
    found: dict[Column, Found] = {}
    missing: list[Column] = []
    named: set[int] = set()
    for column in columns:
        index, unit = _by_name(sheet, column, named)
        if index is None:
            missing += [] if column.optional else [column]
            continue
        named.add(index)  # of a wrong unit, too: it is no candidate for anything else
        try:
            found[column] = _measured(column, index, sheet.names[index], unit, v_read)
        except ValueError as error:
            problems.append(f"{where}: {sheet.names[index]}: {error}")
    for column in missing:
        taken = named | {one.index for one in found.values()}
        candidates = [] if column.header else list(_by_unit(sheet, column, taken))
        if len(candidates) == 1:
            index, unit = candidates[0]
            try:
                one = _measured(column, index, sheet.names[index], unit, v_read)
                found[column] = replace(one, why=f"the only column in {unit}")
            except ValueError as error:
                problems.append(f"{where}: {sheet.names[index]}: {error}")
        else:
            problems.append(f"{where}: {_lacks(sheet, column, [sheet.names[index] for index, _ in candidates])}")
    return [found[column] for column in columns if column in found], problems


def _readings(sheet: Sheet, index: int) -> Iterator[tuple[str, str]]:
    """Yield the ways to read a header as name and unit; a line of units settles the unit."""
    unit = sheet.layout.units[index]
    if unit:
        yield sheet.names[index], unit
    yield from readings(sheet.names[index])


def _by_name(sheet: Sheet, column: Column, taken: set[int]) -> tuple[int | None, str]:
    """Return the index and the unit of the column of that name; None, "" where there is none."""
    wanted = (column.header,) if column.header else (column.name, *column.also, *ALIASES.get(column.name, ()))
    for name in wanted:
        for index in range(len(sheet.names)):
            if index in taken:
                continue
            ways = list(_readings(sheet, index)) if column.dimensions else [(sheet.names[index], "")]
            if column.header and fold(sheet.names[index]) == fold(name):
                return index, next((unit for _, unit in ways if _told(column, unit)), ways[0][1])
            same = [unit for way, unit in ways if fold(way) == fold(name) and _means(column, name, way, unit)]
            if same:
                return index, next((unit for unit in same if _told(column, unit)), same[0])
    return None, ""


def _means(column: Column, name: str, way: str, unit: str) -> bool:
    """Whether a name stands for what is asked for: a symbol does with no other unit (T in K is no time), T with one."""
    if name not in ALIASES.get(column.name, ()):
        return True
    return _told(column, unit) if unit else way != "T"


def _by_unit(sheet: Sheet, column: Column, taken: set[int]) -> Iterator[tuple[int, str]]:
    """Yield the columns, with their unit, that measure what is asked for whatever they are called."""
    for index in range(len(sheet.names)):
        if index in taken:
            continue
        for _, unit in _readings(sheet, index):
            if _PLAIN_UNIT.fullmatch(unit_of(unit)) and _told(column, unit):
                yield index, unit
                break


def _told(column: Column, unit: str) -> bool:
    """Whether a unit measures what a column holds, or what it could be converted from."""
    others = (RESISTANCE, CURRENT) if CONDUCTANCE in column.dimensions else ()
    return bool(unit) and any(scale(unit, one) is not None for one in (*column.dimensions, *others))


def _measured(column: Column, index: int, header: str, unit: str, v_read: float | None) -> Found:
    """Return a column with what its unit measures; ValueError says what to write instead."""
    if not column.dimensions:
        return Found(column, index)
    examples = " or ".join(f"{column.name}_{one.example.split()[-1]}" for one in column.dimensions)
    if not unit:
        raise ValueError(f"the name ends in no unit; write e.g. {examples}")
    for dimension in column.dimensions:
        factor = scale(unit, dimension)
        if factor is not None:
            return Found(column, index, unit, dimension, factor)
    if CONDUCTANCE in column.dimensions:
        factor = scale(unit, RESISTANCE)
        if factor is not None:
            return Found(column, index, unit, CONDUCTANCE, factor, inverse=True)
        factor = scale(unit, CURRENT)
        if factor is not None and v_read is not None:
            return Found(column, index, unit, CONDUCTANCE, factor / v_read, v_read=v_read)
        if factor is not None:
            raise ValueError(
                f"a current; state the voltage it was read at with --v-read, or divide by it, and write "
                f"{CONDUCTANCE_EXAMPLE}"
            )
    kinds = " or ".join(one.name for one in column.dimensions)
    raise ValueError(f"'{unit}' is not a unit of {kinds}; write e.g. {examples}")


CONDUCTANCE_EXAMPLE = f"conductance_{CONDUCTANCE.example.split()[-1]}"


def _lacks(sheet: Sheet, column: Column, candidates: list[str]) -> str:
    """Say that a column is not there, and what may be meant."""
    wanted = column.header or column.name
    names = [name for name in sheet.names if name]
    if candidates:
        return f"no column '{wanted}', and several that could be it: {', '.join(candidates)}; name one with --column"
    add = f"; add one, e.g. {column.example}" + ("" if column.header else ", or name yours with --column")
    return f"no column '{wanted}'{did_you_mean(wanted, names) or add} (there are: {', '.join(names)})"
