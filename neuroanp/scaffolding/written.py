"""Write a value of a field as a file has it."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from neuroanp.units import dimension_of, format_quantity


def as_written(field: FieldInfo, value: Any) -> Any:
    """Return a value of a field as one writes it in a file: quantities with their unit."""
    dimension = dimension_of(field.annotation, field.metadata)
    if dimension is not None and isinstance(value, int | float):
        return format_quantity(value, dimension.unit, digits=None)
    return TypeAdapter(Any).dump_python(value, mode="json")
