"""Write models back as the plain data that they are validated from."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from neuroanp.units import Dimension, dimension_of, format_quantity
from neuroanp.yaml_io.validation import chosen_of


def to_plain(section: BaseModel) -> dict[str, Any]:
    """Return a section as plain values that it is built from again: quantities with their unit, chosen models by name.

    >>> from neuroanp.units import Time
    >>> from neuroanp.yaml_io import Section
    >>> class Read(Section):
    ...     t_read: Time
    ...     after: list[Time] = []
    >>> to_plain(Read(t_read=2.5e-07, after=[1e-3]))
    {'t_read': '250 ns', 'after': ['1 ms']}
    """
    plain = section.model_dump(mode="json")
    for name in type(section).model_fields:
        if name not in plain:  # a section may leave out what was not said
            continue
        value, mark = getattr(section, name), chosen_of(type(section), name)
        dimension = _dimension(type(section), name)
        if isinstance(value, BaseModel):
            plain[name] = to_plain(value)
            if mark is not None and mark.key in plain[name]:
                plain[name][mark.key] = mark.name_of(value)
            elif mark is not None:  # fields that a Chosen section fills do not know the name they were picked by
                plain[name] = {mark.key: mark.name_of(value), **plain[name]}
        elif isinstance(value, list | tuple) and any(isinstance(part, BaseModel) for part in value):
            plain[name] = [to_plain(part) for part in value]
        elif dimension is not None:
            plain[name] = _with_unit(plain[name], dimension)
    return plain


@lru_cache(maxsize=4096)
def _dimension(model: type[BaseModel], name: str) -> Dimension | None:
    field = model.model_fields[name]
    return dimension_of(field.annotation, field.metadata)


def _with_unit(value: Any, dimension: Dimension) -> Any:
    """Return a number as text with its unit; what is text or None already as it is, sequences part by part."""
    if isinstance(value, list):
        return [_with_unit(part, dimension) for part in value]
    if isinstance(value, dict):
        return {key: _with_unit(part, dimension) for key, part in value.items()}
    is_number = isinstance(value, float | int) and not isinstance(value, bool)
    return format_quantity(value, dimension.unit, digits=None) if is_number else value


def in_a_line(value: Any) -> str:
    """Return a plain value as a table or a message shows it.

    >>> in_a_line(0.0021544), in_a_line(100), in_a_line("sgd"), in_a_line(["drift"]), in_a_line(None)
    ('0.0021544', '100', 'sgd', '["drift"]', 'null')
    """
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)
