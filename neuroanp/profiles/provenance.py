"""Where each number of a profile comes from: read it from a file, keep it by key.

A value may be written `{value: "25 uS", source: "...", status: fitted}`. What it leaves out, and every value written
plainly, has the `status` and `source` of its section, of the section around it, and so on; a source that none of them
states is the file's `meta.source`, a status that none of them states is illustrative.

Files from before sections had a status have one in `meta`, for every key that has none of its own: it is still read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from pydantic import BaseModel

from neuroanp.errors import did_you_mean
from neuroanp.units import Dimension, dimension_of, format_quantity
from neuroanp.yaml_io import Document, Key, Problem, chosen_of

STATUSES = ("measured", "fitted", "illustrative")
"""How far to trust a number: measured on devices, fitted to measurements, or an order of magnitude."""

UNSTATED = "illustrative"
"""The status of what states none: nobody says that it was measured."""

_MARK = ("value", "source", "status")


class Provenance(NamedTuple):
    """Where a number comes from.

    Args:
        status: measured, fitted or illustrative.
        source: the publication, or the reason for the choice.
    """

    status: str
    source: str


class Leaf(NamedTuple):
    """One parameter of a profile.

    Args:
        key: its way from the root.
        value: what it is, in SI units.
        dimension: its unit, or None.
        stated: False where the model's default fills it.
    """

    key: Key
    value: Any
    dimension: Dimension | None
    stated: bool

    @property
    def text(self) -> str:
        """The value as a person would write it, exact."""
        if self.dimension is not None and isinstance(self.value, float):
            return format_quantity(self.value, self.dimension.unit, digits=None)
        return shortest(self.value) if isinstance(self.value, float) else str(self.value)


def shortest(value: float) -> str:
    """Write a number in its shortest form that is read back exactly.

    >>> [shortest(x) for x in (1e9, 4.0, 0.0088, 27.235, -1.5e-7, 250000.0)]
    ['1e9', '4', '0.0088', '27.235', '-1.5e-7', '250000']
    """
    exact = Decimal(repr(value)).normalize()
    if not exact or -5 < exact.adjusted() < 6:
        return f"{exact:f}"
    mantissa, _, exponent = f"{exact:e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def leaves(section: BaseModel, key: Key = ()) -> Iterator[Leaf]:
    """Yield every parameter below a section, in the order of the models' fields; what is None is left out."""
    for name, field in type(section).model_fields.items():
        value, here = getattr(section, name), (*key, name)
        if isinstance(value, BaseModel):
            chosen = chosen_of(type(section), name)
            if chosen is not None:
                yield Leaf((*here, chosen.key), chosen.name_of(value), None, True)
            yield from leaves(value, here)
        elif isinstance(value, (list, tuple)) and any(isinstance(part, BaseModel) for part in value):
            for index, part in enumerate(value):
                yield from leaves(part, (*here, index))
        elif value is not None:
            plain = list(value) if isinstance(value, (tuple, frozenset, set)) else value
            dimension = dimension_of(field.annotation, field.metadata)
            yield Leaf(here, plain, dimension, name in section.model_fields_set)


def unwrap(document: Document) -> tuple[Document, dict[Key, Provenance], list[Problem]]:
    """Replace each `{value, source, status}` by its value.

    Returns: the document with plain values, the provenance of each of them, and what is wrong.
    """
    meta = document.data.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    base = document.data.get("extends")
    fallback = f"changed from {base} without a stated source" if base else "not stated"
    default = Provenance(str(meta.get("status", UNSTATED)), str(meta.get("source", fallback)))
    found: dict[Key, Provenance] = {}
    problems: list[Problem] = []

    def walk(value: Any, key: Key, around: Provenance) -> Any:
        if isinstance(value, dict) and "value" in value:
            found[key] = _read_mark(value, key, around, problems)
            return value["value"]
        if isinstance(value, dict):
            here = _read_origin(value, key, around, problems)
            if value and set(value) <= {"status", "source"}:
                text = "stands at a section without a number; what a base states has the origin that it has there"
                problems.append(Problem((*key, next(iter(value))), f"{text}: state the numbers it is of, too"))
            return {
                name: walk(inner, (*key, name), here)
                for name, inner in value.items()
                if name not in ("status", "source")
            }
        if isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
            return [walk(inner, (*key, index), around) for index, inner in enumerate(value)]
        found[key] = around
        return value

    data = {
        name: part if name in ("meta", "extends") else walk(part, (name,), default)
        for name, part in document.data.items()
    }
    return replace(document, data=data), found, problems


def shares(stated: Iterable[Provenance]) -> dict[str, int]:
    """Return how many parameters have each status, in the order of STATUSES.

    >>> shares([Provenance("fitted", "a paper"), Provenance("illustrative", "a choice"), Provenance("fitted", "b")])
    {'measured': 0, 'fitted': 2, 'illustrative': 1}
    """
    counted = Counter(origin.status for origin in stated)
    return {status: counted[status] for status in STATUSES}


def in_words(counted: Mapping[str, int]) -> str:
    """Write shares as a person would.

    >>> in_words({"measured": 0, "fitted": 30, "illustrative": 18})
    '30 fitted, 18 illustrative'
    """
    return ", ".join(f"{count} {status}" for status, count in counted.items() if count) or "no parameters"


def _read_mark(mark: dict[str, Any], key: Key, around: Provenance, problems: list[Problem]) -> Provenance:
    for name in mark:
        if name not in _MARK:
            hint = did_you_mean(name, _MARK)
            problems.append(Problem((*key, name), f"unknown key{hint} (beside a value: source, status)"))
    if isinstance(mark["value"], dict) or mark["value"] is None:
        problems.append(Problem((*key, "value"), "a value with a source is one number, text or list"))
    elif isinstance(mark["value"], list) and any(isinstance(each, dict) for each in mark["value"]):
        problems.append(Problem((*key, "value"), "a list of sections has no source of its own: state it in each"))
    return _read_origin(mark, key, around, problems)


def _read_origin(part: dict[str, Any], key: Key, around: Provenance, problems: list[Problem]) -> Provenance:
    """Return the status and the source that a section or a mark states, what it leaves out as around it."""
    status, source = part.get("status", around.status), part.get("source", around.source)
    if status not in STATUSES:
        hint = did_you_mean(str(status), STATUSES)
        problems.append(Problem((*key, "status"), f"{status!r} is not one of {', '.join(STATUSES)}{hint}"))
    if not isinstance(source, str) or not source.strip():
        problems.append(Problem((*key, "source"), f"{source!r} is not a text; name the publication or the reason"))
    return Provenance(str(status), str(source))
