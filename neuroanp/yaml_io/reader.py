"""Parse YAML text and files into Documents, and write plain data as YAML.

Differences from plain PyYAML: numbers as in YAML 1.2 (1e-6 is a number; no, yes, on, off are
words), duplicate keys and foreign tags refused, size, nesting and alias expansion bounded, the
line of every key kept for messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from neuroanp.errors import InputError
from neuroanp.files import not_utf8, opening, read_regular
from neuroanp.yaml_io.document import Document, Key, dotted, key_of

_SURROGATE = re.compile("[\ud800-\udfff]")
_TAG = "tag:yaml.org,2002:"

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_VALUES = 20_000
"""Values after aliases are expanded: a short file cannot grow into gigabytes."""


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the scalars of YAML 1.2 and bounded nesting."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # pyright: ignore[reportAttributeAccessIssue]
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_DEPTH} levels of nesting", problem_mark=mark)
        node = super().compose_node(parent, index)  # pyright: ignore
        self._depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """PyYAML's writer, quoting what `_Loader` would not read back as text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # PyYAML's plain and single-quoted styles lose these line breaks of Unicode
        return self.represent_scalar(
            _TAG + "str", data, style='"' if set(data) & set("\x85\u2028\u2029\ufeff") else None
        )


_Dumper.add_representer(str, _Dumper.represent_str)


_SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
}
for _name, (_pattern, _first) in _SCALARS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), list(_first))


class _Builder:
    """Turn YAML nodes into plain data, collecting lines and problems on the way."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.lines: dict[Key, int] = {}
        self.problems: list[str] = []
        self._values = 0
        self._open: set[int] = set()

    def complain(self, node: yaml.Node, what: str) -> None:
        self.problems.append(f"{self.label}:{node.start_mark.line + 1}: {what}")

    def build(self, node: yaml.Node, key: Key) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            raise yaml.MarkedYAMLError(
                problem=f"more than {MAX_VALUES} values once aliases are expanded", problem_mark=node.start_mark
            )
        if id(node) in self._open:
            self.complain(node, "an alias that contains itself; write the value out")
            return None
        if len(key) > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_DEPTH} levels of nesting", problem_mark=node.start_mark)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.ScalarNode):
                return self._scalar(node)
            if node.tag not in (_TAG + "map", _TAG + "seq"):
                self.complain(node, f"tag '{node.tag}' is not allowed; write plain values")
            if isinstance(node, yaml.SequenceNode):
                self.lines.update({(*key, i): item.start_mark.line + 1 for i, item in enumerate(node.value)})
                return [self.build(item, (*key, i)) for i, item in enumerate(node.value)]
            return self._mapping(node, key)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.Node, key: Key) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name = name_node.value
            if not isinstance(name, str) or name_node.tag != _TAG + "str":
                shown = f"key '{name}'" if isinstance(name, str) else "a key"
                self.complain(name_node, f"{shown} is not a word; keys are words (quote it if it is meant as one)")
                continue
            if _SURROGATE.search(name):
                self.complain(name_node, "half a surrogate pair in a key; write the character itself")
                continue
            inner = (*key, name)
            if name in result:
                self.complain(name_node, f"{dotted(inner)}: duplicate key, first at line {self.lines[inner]}")
                continue
            self.lines[inner] = name_node.start_mark.line + 1
            result[name] = self.build(value_node, inner)
        return result

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text, kind = node.value, node.tag.removeprefix(_TAG)
        if _SURROGATE.search(text):
            self.complain(node, "half a surrogate pair in a text; write the character itself")
            return None
        try:
            if kind == "str":
                return text
            if kind not in _SCALARS or not re.fullmatch(_SCALARS[kind][0], text):
                self.complain(node, f"'{text[:40]}' with tag '{node.tag}' is not allowed; write plain values")
                return None
            if kind == "int":
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            if kind == "float":
                special = text.lower().lstrip("+-") in (".inf", ".nan")
                return float(text.replace(".", "", 1) if special else text)
            return text.lower() == "true" if kind == "bool" else None
        except ValueError:  # an integer of more digits than Python converts
            self.complain(node, f"'{text[:40]}...' is not a number that can be read")
            return None


def parse(text: str, label: str) -> Document:
    """Parse YAML text whose root is a mapping; InputError lists everything wrong with its lines.

    >>> parse("a: 1e-6\\nb: no", "example.yaml").data
    {'a': 1e-06, 'b': 'no'}
    >>> parse("a: 1\\na: 2", "example.yaml")
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: example.yaml cannot be read
      example.yaml:2: a: duplicate key, first at line 1
    """
    found = _parsed(text, label)  # who gets it may change the data
    return replace(found, data=deepcopy(found.data), lines=dict(found.lines))


@lru_cache(maxsize=32)
def _parsed(text: str, label: str) -> Document:
    """Do what `parse` says; once for each text, for a comparison asks for the same profiles hundreds of times."""
    builder = _Builder(label)
    node = _compose(text, label)
    if node is None:
        raise _unreadable(label, [f"{label}: the file is empty; write lines of the form 'key: value'"])
    if not isinstance(node, yaml.MappingNode):
        raise _unreadable(label, [f"{label}:1: the file is not a mapping; write lines of the form 'key: value'"])
    try:
        data = builder.build(node, ())
    except yaml.MarkedYAMLError as error:
        raise _unreadable(label, [*builder.problems, _marked(error, label)]) from None
    if builder.problems:
        raise _unreadable(label, builder.problems)
    return Document(label, data, builder.lines, text)


def parse_value(text: str, label: str = "--set") -> Any:
    """Read one value as a file would: "1e-3" is a number, "copy" a word, "[1, 2]" a list."""
    builder = _Builder(label)
    node = _compose(text, label)
    try:
        value = None if node is None else builder.build(node, ())
    except yaml.MarkedYAMLError as error:
        raise _unreadable(label, [_marked(error, label)]) from None
    if builder.problems:
        raise _unreadable(label, builder.problems)
    return value


def read(path: str | Path) -> Document:
    """Read a YAML file whose root is a mapping.

    Raises:
        InputError: the file is missing, a directory, too large, not UTF-8, or not the YAML meant here.
    """
    path = Path(path)
    label = display(path)
    with opening(label, "a directory; name a YAML file in it"):
        raw = read_regular(path, MAX_BYTES, "name a YAML file")
    if len(raw) > MAX_BYTES:
        raise InputError(f"{label}: larger than {MAX_BYTES // 1024} KiB; is this the right file?")
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{label}:1: starts with a byte order mark; save the file as UTF-8 without one")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise not_utf8(raw, error.start, label) from None
    return parse(text, label)


def display(path: Path) -> str:
    """Return a path as a message shows it: relative inside the working directory, else whole."""
    here = Path.cwd()
    shown = str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
    return shown.replace("\0", "\\0")


def dump(data: Any) -> str:
    """Write plain data as YAML that `parse` reads back equal.

    >>> print(dump({"a": 1e-06, "b": "1e-6", "c": ["no", True]}), end="")
    a: 1.0e-06
    b: '1e-6'
    c:
    - no
    - true
    """
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def assign(document: Document, assignments: Iterable[str], label: str = "--set") -> Document:
    """Return the document with values replaced, each given as "a.b=c".

    >>> assign(parse("rule: {K: 1}", "run.yaml"), ["rule.K=15"]).data
    {'rule': {'K': 15}}
    """
    result = document
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        key = key_of(name)
        if not equals or key is None:
            raise InputError(f"{label} {assignment}: write key.key=value, e.g. training.batch=16")
        value = parse_value(text, f"{label} {assignment}")
        result = place(result, key, value, f"{label} {assignment}")
    return result


def place(document: Document, key: Key, value: Any, origin: str) -> Document:
    """Return the document with one value replaced by plain data, as it is.

    Args:
        document: the document.
        key: the way to the value.
        value: plain data.
        origin: where it is from, for messages.

    >>> place(parse("rule: {K: 1}", "run.yaml"), ("rule", "name"), "1e3", "rule").data
    {'rule': {'K': 1, 'name': '1e3'}}
    """
    data = _replaced(document.data, key, value, origin)
    stale = {k for k in (*document.lines, *document.origin) if k[: len(key)] == key}
    lines = {k: line for k, line in document.lines.items() if k not in stale}
    origins = {k: said for k, said in document.origin.items() if k not in stale}
    return replace(document, data=data, lines=lines, origin=origins | {key: origin})


def _compose(text: str, label: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise _unreadable(label, [_marked(error, label)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        shown = f"U+{error.character:04X}" if isinstance(error.character, int) else repr(error.character)
        raise _unreadable(label, [f"{label}:{line}: character {shown} is not allowed; delete it"]) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # e.g. an escape beyond Unicode
        raise _unreadable(label, [f"{label}: not YAML: {error}"]) from None


def _marked(error: yaml.MarkedYAMLError, label: str) -> str:
    """Write PyYAML's error as one line with a remedy where one is known."""
    mark = error.problem_mark or error.context_mark
    what = error.problem or error.context or "not YAML"
    what = what.replace("'<stream end>'", "the end")
    if "'\\t'" in what:
        what = "a tab where YAML wants spaces; indent with spaces"
    elif "mapping values are not allowed" in what:
        what += "; check the indentation, and quote a text that holds ': '"
    elif "another document" in what:
        what = "a second document ('---') starts; keep one per file"
    return f"{label}:{mark.line + 1 if mark else 1}: {what}"


def _unreadable(label: str, problems: list[str]) -> InputError:
    return InputError(f"{label} cannot be read", problems)


def _replaced(data: dict[str, Any], key: Key, value: Any, origin: str) -> dict[str, Any]:
    """Return a copy of nested mappings and lists with one value replaced, sections made on the way."""
    return _changed(data, (), key, value, origin)


def _changed(inside: Any, way: Key, key: Key, value: Any, origin: str) -> Any:
    """Return a copy of what is at `way`, with the value at `key` below it replaced."""
    if not key:
        return value
    part, rest = key[0], key[1:]
    if isinstance(inside, list):
        if not isinstance(part, int) or part >= len(inside):
            raise InputError(f"{origin}: {_not_in(inside, way, part)}")
        return [_changed(each, (*way, part), rest, value, origin) if k == part else each
                for k, each in enumerate(inside)]  # fmt: skip
    if isinstance(part, int):
        held = "is not set" if inside is None else "has keys" if isinstance(inside, dict) else f"is {inside!r:.80}"
        raise InputError(f"{origin}: [{part}] is of a list, and '{dotted(way)}' {held}; set it as a whole, as a list")
    if inside is not None and not isinstance(inside, dict):
        raise InputError(f"{origin}: '{dotted(way)}' holds {inside!r:.80}, not a section with keys")
    return {**(inside or {}), part: _changed((inside or {}).get(part), (*way, part), rest, value, origin)}


def _not_in(inside: list[Any], way: Key, part: str | int) -> str:
    """Say that a list has no such part, and which it has."""
    name, last = dotted(way), len(inside) - 1
    if not inside:
        return f"'{name}' is an empty list; set it as a whole"
    there = f"it has {dotted((*way, 0))}" + (f" to {dotted((*way, last))}" if last else " alone")
    if isinstance(part, int):
        return f"there is no {dotted((*way, part))}; {there}"
    return f"'{name}' is a list, and '{part:.80}' no index of it; {there}"
