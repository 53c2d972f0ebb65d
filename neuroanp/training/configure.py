"""Resolve a configuration: from a file or a mapping, keywords and values by dotted key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from neuroanp.errors import InputError
from neuroanp.profiles.schema import HardwareProfile
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.config import RunConfig
from neuroanp.training.filling import filled
from neuroanp.yaml_io import Document, Problem, failed, key_of, parse, parse_value, place, problems_in, read, validate

SHORT = ("task", "rule", "perturbation", "encoder", "neuron")
"""Sections that a bare name can stand for: `task: copy` is `task: {name: copy}`."""
WORDS = (*RunConfig.model_fields, "updates")
"""What `configure` takes by keyword; all else goes by `overrides`."""


class Said(NamedTuple):
    """A value of an override with the place that messages call it by, as it is: text is not read as YAML."""

    value: Any
    origin: str


def configure(
    source: str | Path | Mapping[str, Any] | None = None, overrides: Mapping[str, Any] | None = None, **words: Any
) -> RunConfig:
    """Resolve a configuration.

    Args:
        source: a YAML file, its content as a mapping, or None for all defaults.
        overrides: values by dotted key, in a list by index (network.layers[0].units, or network.layers.0.units); text
            is read as YAML would read it ("1e-3" is a number), `Said` is as it is.
        words: sections, or keys beside them, by name, and `updates` for that of `training`. The keys of a section are
            laid over the source's; a name stands for its section (`task`, `rule`, `encoder`, ...), and options of the
            source stay if they are that one's. None is the source's own.

    Raises:
        InputError: one line for each thing wrong, with file and line where it came from a file.

    >>> config = configure({"task": "copy"}, {"rule.K": 4}, seed=1, network={"hidden": 10})
    >>> config.task.length, config.rule.K, config.seed, config.network.hidden
    (3, 4, 1, 10)
    >>> layers = [{"cell": "gru", "units": 5}, {"units": 4}]
    >>> configure({"task": "copy"}, {"network.layers[1].units": 7}, network={"layers": layers}).network.layers[1].units
    7
    """
    document = _document(source)
    for name, value in words.items():
        if value is not None:
            document = _with_word(document, name, value)
    for name, value in (overrides or {}).items():
        document = _with_override(document, name, value)
    document = filled(document)
    if "task" not in document.data:
        raise _without_task(document)
    try:
        return validate(document, RunConfig)
    except InputError:
        besides = _besides(document)
        if not besides:
            raise
        return validate(document, RunConfig, problems=besides)


def _without_task(document: Document) -> InputError:
    """Return the error of a configuration without a task, which another kind of file may be the reason of."""
    strange = [name for name in document.data if name not in RunConfig.model_fields]
    if strange and {*strange} <= {"extends", *HardwareProfile.model_fields}:
        return InputError(
            f"{document.label}: a hardware profile (it has {', '.join(strange)}), and no config; train on it with "
            f"--profile {document.label} beside --task or a config"
        )
    said = f"no task; name one with --task or 'task:' in a file (known: {', '.join(TASKS.names())})"
    others = [problem for problem in problems_in(document, RunConfig) if problem.key in [(name,) for name in strange]]
    return failed(document, [*others, Problem(("task",), said)]) if others else InputError(said)


DECIDING = ("backend", "network", "neuron", "encoder", "target", "dt")
"""Sections and keys that say what a network is: where one is wrong, nothing is known of how they go together."""


def _besides(document: Document) -> list[Problem]:
    """Find what does not go together where another section is wrong by itself, which would hide it.

    As if the wrong ones said nothing; what is then told of those is left out, for they will say something else.
    """
    wrong = {str(key[0]) for key, _ in problems_in(document, RunConfig) if key}
    if not wrong or wrong & {*DECIDING}:
        return []
    kept = {name: value for name, value in document.data.items() if name not in wrong}
    found = problems_in(replace(document, data={"task": {"name": "copy"}, **kept}), RunConfig)
    return [problem for problem in found if problem.key and str(problem.key[0]) not in wrong]


def _with_word(document: Document, name: str, value: Any) -> Document:
    """Return the document with what a keyword says; the keys of a section beside those that are there."""
    key = ("training", "updates") if name == "updates" else (name,)
    there = document.data.get(name)
    if name in SHORT and isinstance(value, str):
        value = named(there, value)
    elif isinstance(value, Mapping):
        if name in SHORT and "name" in value:
            there = named(there, value["name"])
        value = {**(there if isinstance(there, Mapping) else {}), **value}
    return place(document, key, value, _origin(".".join(key), value).removeprefix("--set "))


def _with_override(document: Document, name: str, value: Any) -> Document:
    """Return the document with one value by dotted key; text is read as YAML."""
    key, origin = key_of(name), value.origin if isinstance(value, Said) else _origin(name, value)
    if key is None:
        raise InputError(f"{origin}: write key.key=value, e.g. training.batch=16, or key[0].key=value in a list")
    if isinstance(value, Said):
        value = {"name": value.value} if name in SHORT and isinstance(value.value, str) else value.value
    elif isinstance(value, str):
        value = {"name": value} if name in SHORT else parse_value(value, origin)
    elif isinstance(value, Path):
        value = str(value)
    return place(_with_whole_cells(document) if key[:2] == ("network", "layers") else document, key, value, origin)


def _with_whole_cells(document: Document) -> Document:
    """Return the document with `cell: gru` of a layer as `cell: {name: gru}`, which options can be laid over."""
    network = document.data.get("network")
    layers = network.get("layers") if isinstance(network, Mapping) else None
    if not (isinstance(network, Mapping) and isinstance(layers, list)):
        return document
    whole = [
        {**layer, "cell": {"name": layer["cell"]}}
        if isinstance(layer, Mapping) and isinstance(layer.get("cell"), str)
        else layer
        for layer in layers
    ]
    return replace(document, data={**document.data, "network": {**network, "layers": whole}})


def _origin(name: str, value: Any) -> str:
    """Return what messages call the place of a value that no file states; of a name alone, as one writes it.

    >>> _origin("rule", {"name": "anp"}), _origin("rule.K", 4)
    ('--set rule=anp', '--set rule.K=4')
    """
    if isinstance(value, Mapping) and set(value) == {"name"}:
        value = value["name"]
    shown = json.dumps(value) if isinstance(value, bool | None) else f"{value:.80}" if isinstance(value, str) else value
    return f"--set {name}={shown!s:.120}"


def load_config(path: Path) -> RunConfig:
    """Read a run's resolved configuration."""
    return configure(path)


def check_dump(config: RunConfig) -> None:
    """Raise InputError where a configuration does not come back from its `to_yaml`: its run could not be resumed.

    All that is built in comes back. A task or rule of a user's own may refuse its defaults once they are written
    out, or hold what is not equal to itself.
    """
    try:
        back = configure(parse(config.to_yaml(), "config.yaml").data)
        differs = [name for name in RunConfig.model_fields if getattr(back, name) != getattr(config, name)]
        problems = [f"{name}: reads back as {getattr(back, name)!r:.200}" for name in differs]
    except InputError as error:
        problems = [*error.problems] or [error.message]
    if problems:
        raise InputError(
            f"task '{config.task_name}', rule '{config.rule_name}': with its defaults written out the configuration "
            "does not come back, so its run could not be resumed; let their options take every value they can have",
            problems,
        )


def named(section: Any, name: str) -> dict[str, Any]:
    """Return the section if it is already the one called `name`, else that one with its defaults.

    >>> named({"name": "anp", "K": 4}, "anp"), named({"name": "anp", "K": 4}, "bptt")
    ({'name': 'anp', 'K': 4}, {'name': 'bptt'})
    """
    own = section if isinstance(section, Mapping) else {"name": section}
    return dict(own) if own.get("name") == name else {"name": name}


def _document(source: str | Path | Mapping[str, Any] | None) -> Document:
    if source is None:
        document = Document("the configuration", {})
    elif isinstance(source, Mapping):
        document = Document("configuration", dict(source))
    else:
        document = read(source)
    short = {key: {"name": document.data[key]} for key in SHORT if isinstance(document.data.get(key), str)}
    return replace(document, data={**document.data, **short})
