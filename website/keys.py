"""Keys of a configuration and of a profile, from the JSON Schema that editors complete by."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

from neuroanp.profiles.schema import HardwareProfile
from neuroanp.profiles.sections import Section
from neuroanp.scaffolding.schema import schema
from website.docstrings import arguments, before_arguments

Node = dict[str, Any]
_PROVENANCE = {"status", "source"}
_KINDS = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "`true` or `false`",
          "object": "a mapping", "null": "`null`"}  # fmt: skip


CHOICES = {"task": "what is asked of the network", "encoder": "how inputs reach units that spike",
           "neuron": "units that spike", "rule": "how the network learns"}  # fmt: skip
"""Keys of a configuration that are choices by name, which the schema describes one by one."""


def tables(kind: str) -> str:
    """Return the keys of a `kind`, "config" or "profile", in Markdown: a table, and one for each section or choice."""
    return "\n".join(_Keys(kind).told())


class _Keys:
    """The definitions of one schema, in words."""

    def __init__(self, kind: str) -> None:
        whole = schema(kind)
        self.kind, self.definitions = kind, whole["$defs"]
        self.top = whole if "properties" in whole else whole["else"]  # one that extends may leave all else out
        self.sections = {name: node for name, node in self.definitions.items()
                         if "properties" in node and not name.startswith("changed.")}  # fmt: skip

    def told(self) -> Iterator[str]:
        yield from self.table(self.top, arguments(_docstring("HardwareProfile")) if self.kind == "profile" else CHOICES)
        for name, node in self.sections.items():
            said = _docstring(name) if self.kind == "profile" else ""
            yield f"### {_title(name)} {{: #{self.anchor(name)} }}\n"
            yield f"{before_arguments(said) or node.get('description', '')}\n"
            yield from self.table(node, arguments(said))

    def anchor(self, name: str) -> str:
        return f"{self.kind}-{name}".lower()

    def table(self, node: Node, meanings: dict[str, str]) -> Iterator[str]:
        must = set(node.get("required", ()))
        rows = [(key, each) for key, each in node["properties"].items()
                if key not in _PROVENANCE and "const" not in each]  # fmt: skip
        if not rows:
            return
        yield "| key | what it is | a value | default |\n|---|---|---|---|"
        for key, each in rows:
            default = (
                "to be stated" if key in must else f"`{json.dumps(each['default'])}`" if "default" in each else "–"
            )
            meaning = each.get("description") or meanings.get(key) or self.meaning(each)
            yield f"| `{key}` | {_cell(meaning)} | {self.value(each)} | {_cell(default)} |"
        yield ""

    def meaning(self, node: Node) -> str:
        """Say what the section is for that a key holds."""
        nodes = [node, *node.get("anyOf", ())]
        names = [each["$ref"].removeprefix("#/$defs/") for each in nodes if "$ref" in each]
        return next((self.sections[name].get("description", "") for name in names if name in self.sections), "")

    def value(self, node: Node) -> str:
        """Say in words what a value may be: links where there is more to say."""
        if "$ref" in node:
            name = node["$ref"].removeprefix("#/$defs/")
            return f"[{_title(name)}](#{self.anchor(name)})" if name in self.sections else _quantity(
                self.definitions[name])  # fmt: skip
        if "allOf" in node and "properties" in node:  # a choice by name, each with options of its own
            return ", ".join(self.chosen(node["allOf"]))
        if "anyOf" in node:
            said = [self.value(each) for each in node["anyOf"] if not _states_provenance(each)]
            linked = any(one.startswith("[") for one in said)
            return " or ".join(dict.fromkeys(one for one in said if one == "`null`" or not (linked and one[0] == "`")))
        if "enum" in node:
            return ", ".join(f"`{one if isinstance(one, str) else json.dumps(one)}`" for one in node["enum"])
        if node.get("type") == "array":
            return f"a list of {self.value(node['items'])}" if node.get("items") else "a list"
        return _KINDS.get(node.get("type", ""), "any") + _range(node)

    def chosen(self, choices: list[Node]) -> Iterator[str]:
        for each in choices:
            if "not" not in each["if"]:
                name = each["then"]["$ref"].removeprefix("#/$defs/")
                word = name.partition(".")[2]
                yield f"[{word}](#{self.anchor(name)})" if name in self.sections else f"`{word}`"


def _docstring(name: str) -> str:
    """Return what the class behind a definition of profiles says of itself."""
    kind, _, choice = name.partition("_law.")
    if choice:
        (found,) = entry_points(group=f"neuroanp.laws.{kind}", name=choice)
        return inspect.getdoc(found.load()) or ""
    known = {one.__name__: one for one in (HardwareProfile, *_subclasses(Section))}
    return inspect.getdoc(known[name]) or "" if name in known else ""


def _subclasses(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def _title(name: str) -> str:
    kind, _, choice = name.partition(".")
    return f"{kind.removesuffix('_law')}: {choice}" if choice else name


def _states_provenance(node: Node) -> bool:
    """A value may be `{value: ..., status: ..., source: ...}` wherever it may be a plain one."""
    return set(node.get("properties", ())) >= _PROVENANCE


def _quantity(node: Node) -> str:
    """Say which quantity a number with its unit is."""
    plain = node["anyOf"][0] if "anyOf" in node else node
    example = f", `{plain['examples'][0]}`" if plain.get("examples") else ""
    return f"{plain.get('title', _KINDS.get(plain.get('type', ''), 'any'))}{example}"


def _range(node: Node) -> str:
    low = node.get("minimum", node.get("exclusiveMinimum"))
    high = node.get("maximum", node.get("exclusiveMaximum"))
    parts = [] if low is None else [f"{'above' if 'exclusiveMinimum' in node else 'from'} {low:g}"]
    if high is not None and high < 2**31:
        parts.append(f"{'below' if 'exclusiveMaximum' in node else 'to'} {high:g}")
    return f", {' '.join(parts)}" if parts else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
