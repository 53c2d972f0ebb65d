"""Validate a document against a model and say everything that is wrong, with file and line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from neuroanp.errors import InputError, did_you_mean, nearest
from neuroanp.units import FROM_TEXT
from neuroanp.yaml_io.document import Document, Key, dotted

M = TypeVar("M", bound=BaseModel)


class Section(BaseModel):
    """Base of the models that files are validated against.

    Unknown keys are refused, the result is frozen, numbers are finite, and nothing is coerced
    (true is not 1, "8" is not 8). A tuple field takes a YAML list with `Field(strict=False)`.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class GrowingSection(Section):
    """Base of sections that got keys after runs had been made from them.

    The keys of `later` are not written out at their default: runs from before there was a choice have the same
    configuration, and the same name.

    >>> class Read(GrowingSection):
    ...     later: ClassVar[tuple[str, ...]] = ("gain",)
    ...     t_read: float = 0.5
    ...     gain: float = 1.0
    >>> Read().model_dump(), Read(gain=2.0).model_dump()
    ({'t_read': 0.5}, {'t_read': 0.5, 'gain': 2.0})
    """

    later: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _dump(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written, plain = handler(type(self).model_construct()), handler(self)
        return {key: value for key, value in plain.items() if key not in self.later or value != written.get(key)}


class Choices(Protocol):
    """What `Chosen` picks from; a `neuroanp.registry.Registry` is one."""

    kind: str

    def names(self) -> list[str]: ...

    def get(self, name: str) -> Any: ...

    def hint(self, name: str) -> str:
        """Return what is said of a name that is not among them, "; ..." or nothing."""
        ...


def _itself(thing: Any) -> type[BaseModel]:
    return thing


@dataclass(frozen=True)
class Chosen:
    """Mark a section whose model one of its keys picks: `read: {law: pcm, ...}`, `task: {name: copy, ...}`.

    Use as `read: Annotated[Law, Chosen("law", LAWS["read"])]`. The picked model gets the remaining
    keys, and the picking key too if it has a field of that name. Python code may pass the model's
    instance instead.

    Args:
        key: the key that picks.
        choices: the registry it picks from.
        model: how to get the model from what the registry holds (the thing itself by default).
        default: the choice where the key is missing; None makes the key required.
    """

    key: str
    choices: Choices
    model: Callable[[Any], type[BaseModel]] = _itself
    default: str | None = None

    def pick(self, section: Any) -> type[BaseModel] | None:
        """Return the model a section picks, or None where it picks no known one."""
        name = section.get(self.key, self.default) if isinstance(section, Mapping) else None
        if not isinstance(name, str) or name not in self.choices.names():
            return None
        return self.model(self.choices.get(name))

    def name_of(self, instance: BaseModel) -> str:
        """Return the name under which an instance's model is registered."""
        for name in self.choices.names():
            with suppress(InputError):  # another package's thing that cannot be loaded is not this one
                if self.model(self.choices.get(name)) is type(instance):
                    return name
        raise InputError(f"{type(instance).__name__} is not a registered {self.choices.kind}; register it first")

    def build(self, section: Any, context: Mapping[str, Any] | None) -> BaseModel:
        """Return the picked model filled from the section; ValueError says what is wrong."""
        if isinstance(section, BaseModel):
            self.name_of(section)
            return section
        if not isinstance(section, Mapping):
            said = "nothing is said here" if section is None else f"{section!r:.80} is not a section"
            raise ValueError(f"{said}; write '{self.key}: ...' and its keys below")
        model = self.pick(section)
        if model is None:
            raise self._unknown(section.get(self.key, self.default))
        keep = self.key in model.model_fields
        values = {name: value for name, value in section.items() if keep or name != self.key}
        if keep and self.default is not None:
            values.setdefault(self.key, self.default)
        built, name = model.model_validate(values, context=context), section.get(self.key, self.default)
        other = self.name_of(built)
        if other != name:  # by its options alone nothing could tell them apart: the other one would run
            raise at(
                (self.key,),
                f"{self.choices.kind} '{name}' has the same model of options as '{other}', {model.__name__}; give it "
                f"one of its own, such as class Options({model.__name__}): pass",
            )
        return built

    def _unknown(self, name: Any) -> ValidationError:
        known = self.choices.names()
        listed = f"known: {', '.join(known) or 'none'}"
        if name is None:
            text = f"required key is missing: it picks the {self.choices.kind} ({listed})"
        else:
            near = self.choices.hint(name) if isinstance(name, str) else ""
            text = f"unknown {self.choices.kind} {name!r}{near} ({listed})"
        return at((self.key,), text)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        def build(value: Any, info: core_schema.ValidationInfo) -> BaseModel:
            try:
                return self.build(value, info.context)
            except InputError as error:
                raise ValueError(error.message) from None

        return core_schema.with_info_plain_validator_function(build)


def validate(
    document: Document, model: type[M], context: Mapping[str, Any] | None = None, problems: Sequence[Problem] = ()
) -> M:
    """Build the model from a document; InputError holds one line for each problem.

    Args:
        document: what to validate.
        model: what it must be.
        context: pydantic's validation context, beside `FROM_TEXT`.
        problems: what is known to be wrong already, to be told along with the rest.

    >>> from neuroanp.yaml_io import parse
    >>> class Read(Section):
    ...     t_read: float
    >>> validate(parse("t_red: 1.0", "pcm.yaml"), Read)
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: pcm.yaml has 2 problems
      pcm.yaml: t_read: required key is missing
      pcm.yaml:1: t_red: unknown key; did you mean 't_read'?
    """
    found, result = list(problems), None
    try:
        result = model.model_validate(document.data, context={**FROM_TEXT, **(context or {})})
    except ValidationError as error:
        found += problems_of(error, document, model)
    if found or result is None:
        raise failed(document, found)
    return result


def problems_in(document: Document, model: type[BaseModel]) -> list[Problem]:
    """Return what is wrong with a document as a model; [] if nothing is.

    >>> from neuroanp.yaml_io import parse
    >>> class Read(Section):
    ...     t_read: float
    >>> [key for key, _ in problems_in(parse("t_red: 1.0", "pcm.yaml"), Read)]
    [('t_read',), ('t_red',)]
    """
    try:
        model.model_validate(document.data, context=FROM_TEXT)
    except ValidationError as error:
        return problems_of(error, document, model)
    return []


class Problem(NamedTuple):
    """One thing wrong: the key, and what is wrong with it together with the remedy."""

    key: Key
    text: str


def failed(document: Document, problems: Sequence[Problem]) -> InputError:
    """Return the InputError that lists a document's problems in the order of its lines."""

    def place(problem: Problem) -> tuple[str, int]:
        label, _, line = document.where(problem.key).rpartition(":")
        return (label, int(line)) if line.isdigit() else ("", 0)

    lines = [
        ": ".join([document.where(key), *([dotted(key)] if key else []), text])
        for key, text in sorted(problems, key=place)
    ]
    return InputError(f"{document.label} has {len(lines)} problem{'s' if len(lines) != 1 else ''}", lines)


def at(key: Key, text: str) -> ValidationError:
    """Return an error for a model's validator to raise, placed at a key inside the model."""
    return all_at([Problem(key, text)])


def all_at(problems: Sequence[Problem]) -> ValidationError:
    """Return one error for a model's validator to raise, each problem placed at its key inside the model."""
    details = [
        InitErrorDetails(type=PydanticCustomError("problem", "{text}", {"text": text}), loc=key, input=None)
        for key, text in problems
    ]
    return ValidationError.from_exception_data("problem", details)


def problems_of(error: ValidationError, document: Document, model: type[BaseModel]) -> list[Problem]:
    """Put pydantic's findings into words."""
    return [Problem(detail["loc"], _say(detail, document, model)) for detail in error.errors(include_url=False)]


def _say(detail: Any, document: Document, model: type[BaseModel]) -> str:
    """Put one of pydantic's findings into words with the remedy."""
    kind, value, context, key = detail["type"], detail["input"], detail.get("ctx", {}), detail["loc"]
    shown = f"'{value[:80]}'" if isinstance(value, str) else repr(value)[:80]
    if kind == "extra_forbidden":
        return _unknown_key(key, *_at(model, document.data, key[:-1]))
    if kind == "missing":
        return "required key is missing"
    if kind == "literal_error":
        allowed = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        near = did_you_mean(value, allowed) if isinstance(value, str) else ""
        return f"{shown} is not one of {', '.join(allowed)}{near}"
    if kind == "value_error":
        return str(context["error"])
    if kind in _WORDS:
        return f"{shown} {_WORDS[kind].format(**context)}"
    return f"{shown}: {detail['msg'][:1].lower()}{detail['msg'][1:]}" if kind != "problem" else detail["msg"]


_WORDS = {
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "int_parsing": "is not a whole number",
    "float_type": "is not a number",
    "float_parsing": "is not a number",
    "finite_number": "is not a finite number",
    "bool_type": "is neither true nor false",
    "bool_parsing": "is neither true nor false",
    "string_type": "is not a text; put it in quotes",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "model_type": "is not a section; write its keys below, indented",
    "model_attributes_type": "is not a section; write its keys below, indented",
    "dict_type": "is not a section; write its keys below, indented",
    "list_type": "is not a list; write [a, b]",
    "tuple_type": "is not a list; write [a, b]",
    "too_short": "has {actual_length} in it; give {min_length} at least",
    "too_long": "has {actual_length} in it; give {max_length} at most",
    "string_too_short": "is too short; write {min_length} character at least",
}


def _unknown_key(key: Key, section: type[BaseModel] | None, picker: Chosen | None, data: Any) -> str:
    """Put an unknown key into words.

    Args:
        key: from the top. section: the model of the section that has it; picker: what picked that model, or None.
        data: what the section says.
    """
    known = _keys(section, picker)
    near = nearest(str(key[-1]), known)
    if near:
        return f"unknown key; did you mean '{dotted((*key[:-1], near))}'?"
    return _of_chosen(key, section, data) or f"unknown key; known here: {', '.join(known) or 'none'}"


def _of_chosen(key: Key, section: type[BaseModel] | None, data: Any) -> str:
    """Say that a key belongs one section further in, to what a key beside it picks; "" if it does not."""
    for name in section.model_fields if section is not None and isinstance(data, Mapping) else ():
        chosen, there = chosen_of(section, name), data.get(name)  # pyright: ignore[reportArgumentType]
        if chosen is None or there is None:
            continue
        own = chosen.pick({chosen.key: there} if isinstance(there, str) else there)
        near = nearest(str(key[-1]), _keys(own, None))
        if near:
            write = f" write {name}: {{{chosen.key}: {there}, {near}: ...}}" if isinstance(there, str) else ""
            return f"unknown key; did you mean '{dotted((*key[:-1], name, near))}'?{write}"
    return ""


def _keys(section: type[BaseModel] | None, picker: Chosen | None) -> list[str]:
    """Return the keys that a section takes."""
    if section is None:
        return []
    extra = [picker.key] if picker and picker.key not in section.model_fields else []
    return [*extra, *section.model_fields]


def _at(model: type[BaseModel], data: Any, key: Key) -> tuple[type[BaseModel] | None, Chosen | None, Any]:
    """Return the model of the section at `key`, what picked it, and its data, following sections and choices down."""
    annotation: Any = model
    picker: Chosen | None = None
    for part in key:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(str(part))
            if field is None:
                return None, None, None
            annotation, marks = field.annotation, field.metadata
        else:
            annotation, marks = ([None, *(arg for arg in get_args(annotation) if arg is not ...)])[-1], ()
        annotation, picker = _inside(annotation, marks)
        data = data[part] if isinstance(data, (dict, list)) else None  # pyright: ignore
        if picker is not None:
            annotation = picker.pick(data)
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return None, None, None
    return annotation, picker, data


def _inside(annotation: Any, marks: Sequence[Any]) -> tuple[Any, Chosen | None]:
    """Strip Optional and Annotated: return what is inside and the Chosen mark among the metadata."""
    chosen = next((mark for mark in marks if isinstance(mark, Chosen)), None)
    if get_origin(annotation) is Annotated:
        inner, *own = get_args(annotation)
        return _inside(inner, (*marks, *own))
    parts = [part for part in get_args(annotation) if part is not type(None)]
    if type(None) in get_args(annotation) and len(parts) == 1:
        return _inside(parts[0], marks)
    return annotation, chosen


@lru_cache(maxsize=4096)
def chosen_of(model: type[BaseModel], name: str) -> Chosen | None:
    """Return the Chosen mark of a model's field, or None."""
    field = model.model_fields[name]
    return _inside(field.annotation, field.metadata)[1]
