"""JSON Schema of configs and profiles, for editors: keys, names, units and ranges while one types.

It is of what is installed: tasks, rules, cells and laws of one's own packages are in it. What must hold between several
keys is not; neuroanp itself tells that. A file that neuroanp takes is not refused by it, but for numbers of a task that
are written as text or as true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from neuroanp.errors import InputError
from neuroanp.scaffolding.written import as_written
from neuroanp.units import Dimension
from neuroanp.yaml_io import Chosen

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
KINDS = ("config", "profile")
ORIGIN: Mapping[str, Schema] = {name: {"$ref": f"#/$defs/{name}"} for name in ("status", "source")}
"""What a section of a profile, and each of its numbers, says beside its values."""


def schema(kind: str = "config") -> Schema:
    """Return the JSON Schema (draft 2020-12) of a config, or of a hardware profile.

    >>> schema("config")["properties"]["seed"]["minimum"]
    0
    """
    if kind not in KINDS:
        raise InputError(f"no schema of '{kind}'; there are: {', '.join(KINDS)}")
    return _of_config() if kind == "config" else _of_profile()


def _of_config() -> Schema:
    from neuroanp.training.config import RunConfig
    from neuroanp.training.configure import SHORT

    writer = Writer(short=frozenset({*(f"RunConfig.{name}" for name in SHORT), "LayerConfig.cell"}))
    body = writer.section(RunConfig)
    body["properties"]["rule"]["anyOf"].append({"type": "null"})  # as good as not said
    return _whole("A run of neuroanp", "What a run is: task, network, device and rule.", body, writer.defs)


def _of_profile() -> Schema:
    from neuroanp.profiles.schema import HardwareProfile
    from neuroanp.profiles.sections import Meta

    whole, part = Writer(marked=True), Writer(marked=True, partial=True, prefix="changed.")
    full, changed = whole.section(HardwareProfile), part.section(HardwareProfile)
    full["properties"]["meta"] = Writer().section(Meta)
    changed["properties"]["meta"] = {**Writer(partial=True).section(Meta), "required": ["name"]}
    changed["properties"]["extends"] = {
        "type": "string",
        "description": "the profile that this one changes: a shipped one's name, or a file",
    }
    changed["required"] = ["meta"]
    body: Schema = {"type": "object", "if": {"required": ["extends"]}, "then": changed, "else": full}
    said = "What is known of a device: each number with its unit, its source and its status."
    return _whole("A hardware profile of neuroanp", said, body, {**whole.defs, **part.defs, **_origins()})


def _whole(title: str, description: str, body: Schema, defs: Schema) -> Schema:
    return {"$schema": DIALECT, "title": title, **body, "description": description, "$defs": defs}


class Writer:
    """Writes the schemas of models, those that several places need once, under $defs.

    Args:
        short: MODEL.KEY of sections for which a bare name may stand. marked: numbers may be {value, source, status},
            and sections have a source and a status. partial: no key is required. prefix: of names under $defs.
    """

    def __init__(
        self, short: frozenset[str] = frozenset(), marked: bool = False, partial: bool = False, prefix: str = ""
    ) -> None:
        self.short, self.marked, self.partial, self.prefix = short, marked, partial, prefix
        self.defs: dict[str, Schema] = {}

    def section(self, model: type[BaseModel], picked_by: tuple[str, str] | None = None) -> Schema:
        """Return the schema of a section.

        Args: model: of the section. picked_by: the key that picked it, and the name there.
        """
        fields = {n: f for n, f in model.model_fields.items() if picked_by is None or n != picked_by[0]}
        properties = {name: self.field(model, name, field) for name, field in fields.items()}
        required = [] if self.partial else [name for name, field in fields.items() if field.is_required()]
        if picked_by is not None:
            properties = {picked_by[0]: {"const": picked_by[1]}, **properties}
        if self.marked and model.__name__ != "HardwareProfile":
            properties |= ORIGIN
        return _object(properties, required, model)

    def model(self, model: type[BaseModel]) -> Schema:
        """Return a reference to the schema of a section."""
        return self._kept(model.__name__, lambda: self.section(model))

    def field(self, model: type[BaseModel], name: str, field: FieldInfo) -> Schema:
        """Return the schema of one key, with its meaning and its default."""
        found = self.of(field.annotation, tuple(field.metadata), f"{model.__name__}.{name}" in self.short)
        said: Schema = {} if field.description is None else {"description": field.description}
        if not field.is_required():
            default = as_written(field, field.get_default(call_default_factory=True, validated_data={}))
            if isinstance(default, str | int | float | list):
                said["default"] = default
        return {**found, **said}

    def of(self, annotation: Any, metadata: tuple[Any, ...] = (), short: bool = False) -> Schema:
        """Return the schema of what an annotation takes; short: a bare name may stand for a section that one picks."""
        chosen = next((mark for mark in metadata if isinstance(mark, Chosen)), None)
        if chosen is not None:
            return self._chosen(chosen, type(None) in get_args(annotation), short)
        origin, args = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self.of(args[0], (*args[1:], *metadata), short)
        if origin in (Union, UnionType):
            marks = next((mark for part in args for mark in _marks(part) if isinstance(mark, Chosen)), None)
            if marks is not None:
                return self._chosen(marks, type(None) in args, short)
            return _any_of([self.of(part, metadata if part is not type(None) else ()) for part in args])
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return self.model(annotation)
        if origin in (list, tuple) and args and _has_model(args[0]):
            return {"type": "array", "items": self.of(args[0])}
        dimension = next((mark for mark in metadata if isinstance(mark, Dimension)), None)
        if dimension is not None:
            kind = f"{dimension.name}, {dimension.unit}, {dimension.example}"
            return self._kept(kind, lambda: self._marked(dimension.json_schema()))
        return self._marked(self._plain(annotation, metadata))

    def _plain(self, annotation: Any, metadata: tuple[Any, ...]) -> Schema:
        if get_origin(annotation) in (list, tuple, dict, frozenset, set) or annotation is Any:
            return self._container(annotation, metadata)
        whole: Any = annotation
        for mark in metadata:
            whole = Annotated[whole, mark]
        return TypeAdapter(whole).json_schema()

    def _container(self, annotation: Any, metadata: tuple[Any, ...]) -> Schema:
        origin, args = get_origin(annotation), get_args(annotation)
        if annotation is Any:
            return {}
        if origin is dict:
            return {"type": "object"}
        if origin is tuple and args and args[-1] is not Ellipsis:
            return {"type": "array", "minItems": len(args), "maxItems": len(args)}
        return {"type": "array", "items": Writer().of(args[0])} if args else {"type": "array"}

    def _marked(self, plain: Schema) -> Schema:
        """Return a value's schema; in a profile it may be {value, source, status} as well."""
        if not self.marked:
            return plain
        mark = {
            "type": "object", "properties": {"value": plain, **ORIGIN}, "required": ["value"],
            "additionalProperties": False,
        }  # fmt: skip
        return {"anyOf": [plain, mark]}

    def _chosen(self, mark: Chosen, or_none: bool, short: bool) -> Schema:
        """Return the schema of a section whose model one of its keys picks."""
        names, of = list[str](), dict[str, Schema]()
        for name in mark.choices.names():
            with suppress(InputError):  # of another's package that cannot be loaded: no config can name it
                model = mark.model(mark.choices.get(name))
                of[name] = self._kept(
                    f"{mark.choices.kind}.{name}", lambda m=model, n=name: self.section(m, (mark.key, n))
                )
                names.append(name)
        picks: list[Schema] = [
            {"if": {"properties": {mark.key: {"const": name}}, "required": [mark.key]}, "then": one}
            for name, one in of.items()
        ]
        if mark.default in of and not self.partial:
            picks.append({"if": {"not": {"required": [mark.key]}}, "then": of[str(mark.default)]})
        section: Schema = {"type": "object", "properties": {mark.key: {"enum": names}}, "allOf": picks}
        if mark.default is None and not self.partial:
            section["required"] = [mark.key]
        return {"anyOf": [*([{"enum": names}] if short else []), section, *([{"type": "null"}] if or_none else [])]}

    def _kept(self, name: str, make: Any) -> Schema:
        key = re.sub(r"[^A-Za-z0-9_.]+", "_", f"{self.prefix}{name}")  # references are addresses
        if key not in self.defs:
            self.defs[key] = {}  # sections may hold themselves
            self.defs[key] = make()
        return {"$ref": f"#/$defs/{key}"}


def _object(properties: Mapping[str, Schema], required: list[str], model: type[BaseModel]) -> Schema:
    said = (model.__doc__ or "").strip().partition("\n")[0]
    found: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    if required:
        found["required"] = required
    return {**found, "description": said} if said else found


def _origins() -> dict[str, Schema]:
    from neuroanp.profiles import STATUSES

    return {
        "status": {"enum": [*STATUSES], "description": "how far to trust the numbers here"},
        "source": {"type": "string", "description": "the publication, the record, or the reason for the choice"},
    }


def _any_of(parts: list[Schema]) -> Schema:
    flat = [one for part in parts for one in (part["anyOf"] if set(part) == {"anyOf"} else [part])]
    return {"anyOf": flat}


def _marks(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from get_args(annotation)[1:]


def _has_model(annotation: Any) -> bool:
    inner = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return isinstance(inner, type) and issubclass(inner, BaseModel)
